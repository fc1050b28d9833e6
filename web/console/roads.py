"""How what was said to a citizen got to them: each way it went, how far, why no further, and what each file came to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cases.dossier import Dossier
from channels.models import Outgoing, OutgoingPart

LEFT = ("sent", "delivered", "read")
BAD = ("failed", "unknown", "passed")
_ICONS = {
    "sent": "check",
    "delivered": "checks",
    "read": "eye",
    "failed": "mail-x",
    "passed": "mail-x",
    "unknown": "help",
}

_WHOLE = ("email", "web", "app")  # channels on which files travel in the message itself, or stand beside it


@dataclass(frozen=True, slots=True)
class FileSent:
    """A file that was to travel along, and how far it is: a state of its part, `link` or `waiting`."""

    name: str
    state: str


@dataclass(frozen=True, slots=True)
class Way:
    """One way a message went."""

    channel: str
    state: str
    at: datetime | None  # when it came so far
    why: str | None  # what stopped it
    files: tuple[FileSent, ...]

    @property
    def bad(self) -> bool:
        """Whether it has not arrived by it, as far as anybody knows."""
        return self.state in BAD

    @property
    def icon(self) -> str:
        """The picture of its state."""
        return _ICONS.get(self.state, "mail-x" if self.bad else "clock")


def roads(told: Dossier) -> Mapping[UUID, tuple[Way, ...]]:
    """By line of the conversation; receipts belong to none, and letters to units are no talk with the citizen."""
    found: dict[UUID, tuple[Way, ...]] = {}
    for each in sorted(told.deliveries, key=lambda each: each.step):
        if each.purpose != "receipt":
            found[each.entry_id] = (*found.get(each.entry_id, ()), _way(each, told.parts.get(each.id, ())))
    return found


def _way(message: Outgoing, parts: Sequence[OutgoingPart]) -> Way:
    at = {"sent": message.sent_at, "delivered": message.delivered_at, "read": message.read_at}.get(message.state)
    return Way(
        message.channel,
        message.state,
        at,
        message.failure if message.state in BAD or message.state == "queued" else None,
        tuple(FileSent(file["name"], _state(file["name"], message, parts)) for file in message.attachments),
    )


def _state(name: str, message: Outgoing, parts: Sequence[OutgoingPart]) -> str:
    """Of a file: that of its own part; without one it went with the text, is named in it, or waits."""
    own = next((part for part in parts if part.file == name), None)
    if own is not None:
        return own.state
    if message.state not in LEFT:
        return "waiting"
    return "link" if any(part.file for part in parts) or message.channel not in _WHOLE else message.state
