"""What every parser does with a vendor's payload: clean text, ids as text, whole events even of broken input. Pure."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from channels.message import InboundMessage
from core.text import nfc

MOST_TEXT = 10_000  # characters; a case takes no more (DESIGN.md 7.3), what is cut off stays in the raw payload

_ENCODED = "base64:"
_ISO = re.compile(r"\d{4}-\d\d-\d\dT")
_CONTROLS = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff\u200b-\u200f\u202a-\u202e\u2060-\u2069\ud800-\udfff]"
)


def clean(text: object) -> str | None:
    """A person's words: NFC, plain line ends, no control or direction characters, at most MOST_TEXT; None if empty.

    The zero-width joiner goes too: it matters to emoji only, whose parts are read as well.
    """
    if not isinstance(text, str):
        return None
    short = text[: 4 * MOST_TEXT]
    plain = _CONTROLS.sub("", nfc(short.replace("\r\n", "\n").replace("\r", "\n")))
    return plain.strip()[:MOST_TEXT].rstrip() or None


def ident(value: object) -> str | None:
    """A vendor's id, which may come as text or as a number; None when it is neither or empty."""
    if isinstance(value, str):
        return _CONTROLS.sub("", value).strip() or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def moment(value: object) -> datetime | None:
    """A time in seconds or milliseconds since 1970, as number or text, or in ISO 8601; None when none."""
    try:
        if isinstance(value, str) and _ISO.match(value):
            read = datetime.fromisoformat(value)
            return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
        seconds = float(value)  # type: ignore[arg-type]
        seconds = seconds / 1000 if abs(seconds) >= 1e11 else seconds
        return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def place(lat: object, lng: object) -> tuple[float, float] | None:
    """Degrees north and east, as numbers or text; None when they are no place on earth."""
    try:
        found = float(lat), float(lng)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return found if -90 <= found[0] <= 90 and -180 <= found[1] <= 180 else None


def web_address(value: object) -> str | None:
    """An http(s) address a vendor names; None for anything else."""
    return value if isinstance(value, str) and re.fullmatch(r"https?://[^\s\x00-\x1f]+", value) else None


def read_json(body: bytes) -> dict[str, Any] | None:
    """The object a body holds; None when it holds none. Numbers that no JSON has are not read."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        value = json.loads(body.decode("utf-8-sig"), parse_constant=refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def dict_of(value: object) -> dict[str, Any]:
    """The value if it is an object, else an empty one: vendors leave out and retype members freely."""
    return value if isinstance(value, dict) else {}


def dicts_of(value: object) -> list[dict[str, Any]]:
    """The objects of a list; what is no object in it, or no list, is left out."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def hashed(*parts: str | bytes) -> str:
    """An id for what the vendor gave none: the same content, the same id."""
    joined = b"\n".join(part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part for part in parts)
    return hashlib.sha256(joined).hexdigest()[:40]


def keep(body: bytes) -> str:
    """The bytes as text that a database keeps and `kept` gives back exactly."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = "\x00"
    return _ENCODED + base64.b64encode(body).decode() if "\x00" in text or text.startswith(_ENCODED) else text


def kept(text: str) -> bytes:
    """The bytes that `keep` was given."""
    if text.startswith(_ENCODED):
        try:
            return base64.b64decode(text.removeprefix(_ENCODED), validate=True)
        except binascii.Error:
            pass
    return text.encode()


def unread(channel: str, account: str, body: bytes, reason: str) -> InboundMessage:
    """A genuine payload that nobody could read: kept whole, for a person and for a later version of the parser."""
    return InboundMessage(
        channel, account, hashed(channel, body), "unknown", ignore_reason=reason, raw=keep(body)
    )  # fmt: skip


def one_of_a_kind(messages: Iterable[InboundMessage]) -> list[InboundMessage]:
    """Without repetitions inside one payload, which the unique key would take for repeated deliveries."""
    return list({message.external_id: message for message in messages}.values())


def header(headers: Mapping[str, str], name: str) -> str:
    """A header whatever its case; empty when it is absent."""
    return next((value for each, value in headers.items() if each.lower() == name.lower()), "")
