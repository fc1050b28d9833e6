"""What came in and what goes out, the same for every channel (DESIGN.md 7.4). Values only."""

from dataclasses import dataclass, field
from datetime import datetime
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
    """One event of a channel in its normal form; vendor extras stay in the stored raw payload."""

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


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """One message to one address. `id` is ours and stays the same over every attempt."""

    id: UUID
    channel: str
    to: Address
    text: str
    purpose: str
    attachments: tuple[FileRef, ...] = ()
    reference: str | None = None  # the case code people see
    title: str | None = None  # the subject line, on channels that have one


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a channel can do; the composer and the outbox read this and know no vendor's name."""

    max_text: int | None = None
    media_types: frozenset[str] = frozenset()
    idempotent: bool = False  # repeating a send with the same id is harmless
    reply_window_hours: int | None = None
