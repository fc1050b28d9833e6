"""What came in and what goes out, the same for every channel (DESIGN.md 7.4). Values only."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Address:
    """Where somebody can be reached: scheme phone (E.164), zalo, facebook, telegram, email or anonymous."""

    scheme: str
    handle: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file of a message: bytes still at the vendor (`url` or `vendor_id`), or already ours (`sha256`)."""

    name: str
    media_type: str
    size: int | None = None
    inline: bool = False
    url: str | None = None
    vendor_id: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One event of a channel in its normal form; vendor extras stay in the stored raw payload.

    `thread` says what it belongs to in the vendor's own words: `in_reply_to` and `references` (ids of messages),
    `case_token` (a case code in a reply address or subject, not yet trusted), and whatever an answer must repeat to
    come out at the same place, such as `comment_id` or `conversation_id`. `raw` is the part of the payload that this
    event is: it parses again alone, to the same event.
    """

    channel: str
    account: str
    external_id: str
    kind: str
    sender: Address | None = None
    text: str | None = None
    body: str | None = None
    subject: str | None = None
    attachments: tuple[FileRef, ...] = ()
    location: tuple[float, float] | None = None
    contact: dict[str, str] | None = None
    rating: dict[str, Any] | None = None
    status: str | None = None
    error: str | None = None
    refs: tuple[str, ...] = ()
    thread: dict[str, Any] = field(default_factory=dict)
    sent_at: datetime | None = None
    automatic: bool = False
    ignore_reason: str | None = None
    raw: str = field(default="", repr=False)

    def form(self) -> dict[str, Any]:
        """The normal form as `main.py parse` prints it: plain values, absent members left out, without `raw`."""
        made = _stated(asdict(self))
        made.pop("raw", None)
        if self.location is not None:
            made["location"] = {"lat": self.location[0], "lng": self.location[1]}
        if self.sent_at is not None:
            made["sent_at"] = self.sent_at.isoformat()
        return {**made, "automatic": self.automatic}


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """One message to one address. `id` is ours and stays the same over every attempt.

    It fits its channel's capabilities: the outbox has cut long texts and put files into messages of their own where
    the channel takes one thing at a time; `part` counts those.
    """

    id: UUID
    channel: str
    to: Address
    text: str
    purpose: str
    attachments: tuple[FileRef, ...] = ()
    reference: str | None = None  # the case code people see
    title: str | None = None  # the subject line, on channels that have one
    thread: Mapping[str, Any] = field(default_factory=dict)  # of the citizen's last message, as InboundMessage has it
    unheard: timedelta | None = None  # since the addressee last wrote to us on this channel; None: never
    automatic: bool = False  # no person wrote it: a receipt or a notice
    link: str | None = None  # a page of ours where the rest can be read
    part: int = 0


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a channel can do; the composer and the outbox read this and know no vendor's name."""

    max_text: int | None = None  # characters of one message; longer ones are cut into several
    max_file: int | None = None  # bytes; a larger file is sent as a link to the tracking page
    media_types: frozenset[str] = frozenset()  # files it takes; empty: none
    whole: bool = False  # text and all files travel in one message
    idempotent: bool = False  # repeating a send with the same id is harmless
    per_second: float | None = None  # messages the vendor takes from us
    reply_window_hours: int | None = None
    once_in: frozenset[str] = frozenset()  # members of threads that take one message only, without files
    heard_on: str | None = None  # the channel whose events tell what becomes of its messages, if that is another one


def _stated(value: Any) -> Any:
    """Without members that are absent or empty; tuples as lists."""
    if isinstance(value, dict):
        kept = {name: _stated(member) for name, member in value.items()}
        return {name: member for name, member in kept.items() if member not in (None, "", [], {}, False)}
    return [_stated(member) for member in value] if isinstance(value, list | tuple) else value
