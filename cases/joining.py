"""Does what somebody writes belong to a case they have already, or is it a new matter? Pure.

Nothing is lost either way: a new case that may be the same is linked with the other one, and an agent merges them; a
message that went into the wrong case is split off. So doubt opens a new case.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from cases.states import OPEN, Status
from core.text import fold

BURST = timedelta(minutes=10)  # people write one matter in several messages, a sentence each
WORDLESS = timedelta(hours=24)  # a photo or a place sent afterwards
SHORT = timedelta(hours=72)  # thanks, "vẫn chưa xong", "bao giờ xong"
SHORT_WORDS = 12
FRESH = timedelta(days=15)  # after the reply; as long as a case can be reopened
AGAIN = timedelta(hours=24)  # the very same words: sent twice, or by a machine that answers everything with them
SAME = timedelta(days=30)  # an open case this old may still be what a new message is about


@dataclass(frozen=True, slots=True)
class Known:
    """A case the sender has, live (never one that was merged away)."""

    id: UUID
    status: Status
    received_at: datetime
    heard_at: datetime  # when the citizen last said something in it
    touched_at: datetime  # when either side last did
    channel: str
    text: str = ""  # of its report


@dataclass(frozen=True, slots=True)
class Said:
    """What has come: its words, whether anything else is with it, on which channel and when."""

    text: str | None
    channel: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Place:
    """Where it goes: into `join`, or into a new case that may be the same as `maybe`; `why` for the journal."""

    join: UUID | None = None
    maybe: UUID | None = None
    why: str = "new"


def place_of(said: Said, known: Sequence[Known]) -> Place:
    """Where a message goes that names no case itself. Of mails only the same words again do: a subject says little."""
    live = sorted(
        (case for case in known if case.status is not Status.SPAM), key=lambda case: case.heard_at, reverse=True
    )
    open_cases = [case for case in live if case.status in OPEN]
    same = next((case.id for case in open_cases if said.at - case.received_at <= SAME), None)
    here = [case for case in live if case.channel == said.channel]
    waiting = [case for case in open_cases if case.status is Status.WAITING_CITIZEN]
    for case in here:
        if case.status in OPEN and said.at - case.heard_at <= AGAIN and _says_again(said, case):
            return Place(case.id, why="again")
    if said.channel != "email":
        if waiting:
            return Place(waiting[0].id, why="asked")
        for case in here:
            if _plainly_continues(said, case):
                return Place(case.id, why="continues")
    return Place(maybe=same)


def _says_again(said: Said, case: Known) -> bool:
    """The words of the report once more; a mail's subject stands before them."""
    return bool(said.text) and (case.text == said.text or case.text.endswith(f"\n\n{said.text}"))


def _plainly_continues(said: Said, case: Known) -> bool:
    over = case.status not in OPEN
    if not over and said.at - case.heard_at <= BURST:
        return True
    if over and said.at - case.touched_at > FRESH:
        return False
    if said.text is None:
        return said.at - case.heard_at <= WORDLESS and not over
    return len(fold(said.text).split()) <= SHORT_WORDS and said.at - case.touched_at <= SHORT
