"""Where a call stands, ranked: whatever is heard of it, in whatever order and however often, ends in the same place.

Carriers report late, twice and out of order (Twilio numbers its reports, Asterisk does not). So no report is trusted
to be the newest: a state only rises. Pure.
"""

from dataclasses import dataclass
from enum import StrEnum


class CallState(StrEnum):
    """In the order in which a call goes through them; the names are Twilio's."""

    QUEUED = "queued"
    INITIATED = "initiated"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    LOST = "lost"  # the carrier no longer knows it: an end by our own reckoning, until the carrier tells a real one
    CANCELED = "canceled"
    NO_ANSWER = "no-answer"
    BUSY = "busy"
    FAILED = "failed"
    COMPLETED = "completed"


S = CallState
ENDED = frozenset({S.CANCELED, S.NO_ANSWER, S.BUSY, S.FAILED, S.COMPLETED})
OVER = ENDED | {S.LOST}

_ORDER = {state: place for place, state in enumerate(S)}
_RANK = {state: _ORDER[S.CANCELED] if state in ENDED else place for state, place in _ORDER.items()}


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of one leg, and the number of the report that said so, where the carrier numbers them."""

    state: CallState
    seq: int | None = None


def advance(old: Standing | None, new: CallState, seq: int | None = None) -> Standing:
    """The standing after a report: the old one unless the report is further.

    An end is never left for a state before it. Of two different ends, which no carrier should report, the one with
    the higher number holds, or the one that says more; so the order in which they came does not matter there either.
    """
    told = Standing(new, seq)
    return told if old is None or _height(told) > _height(old) else old


def rank(state: CallState) -> int:
    """How far along it is; all ends are equally far."""
    return _RANK[state]


def _height(standing: Standing) -> tuple[int, int, int]:
    return (_RANK[standing.state], -1 if standing.seq is None else standing.seq, _ORDER[standing.state])
