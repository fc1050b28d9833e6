"""Who is charged with which late minute of a case: its journal folded into stretches, each held by somebody. Pure.

A clock is late from the due time that was known at that moment until it is met, given up or stopped, and its minutes
are those of its own clock: working minutes by its calendar, or elapsed ones. Each goes to who held it just then:

* What comes after the fact does not reach back: an extension granted late leaves the minutes until it was granted, an
  urgency said late makes nobody late for the time before it was said. Only a corrected calendar (`recounted`) does.
* An answer that is returned is owed again by the lead from the moment of its return: while the head read it, the lead
  had delivered, and the head's own limit to reply ran.
* Once an answer is approved the head has done their part, but `reply` ends only when the citizen's channel took it.
  What lies between is the sending's, charged to the centre as the stage `delivery`: our queue and the vendors' delays
  are no lateness of a department's.
* What passes to the heir of an abolished department is late in its hands from that moment on.
* A case that is given back, recalled or reopened leaves the minutes so far with the unit that had it; while the centre
  looks for another unit its own clock runs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from routing.working_time import Calendar, worked

DELIVERY = "delivery"  # what is left of `reply` once the answer is approved: no limit of its own
_APPROVED = "case.approve_answer"
_ENDS = frozenset({"met", "cancelled", "stopped"})


class Said(NamedTuple):
    """A journal row of a case, as far as clocks care."""

    at: datetime
    kind: str
    ops: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Charge:
    """A stretch in which a clock was late, and its minutes on that clock."""

    limit: str
    stage: str
    holder: str
    since: datetime
    until: datetime
    late: timedelta


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A clock running in one hand towards one due time; `until` None: it still runs."""

    stage: str
    holder: str
    clock: str
    calendar: str
    since: datetime
    due: datetime | None
    until: datetime | None = None


@dataclass(slots=True)
class _Clock:
    stretches: list[_Stretch] = field(default_factory=list)

    @property
    def running(self) -> _Stretch | None:
        last = self.stretches[-1] if self.stretches else None
        return last if last is not None and last.until is None else None

    def end(self, at: datetime) -> None:
        if (running := self.running) is not None:
            self.stretches[-1] = replace(running, until=at)

    def go_on(self, at: datetime, **changed: Any) -> None:
        """From now on otherwise: in another hand, towards another due time, or again."""
        last = self.stretches[-1]
        self.end(at)
        self.stretches.append(replace(last, since=at, until=None, **changed))


def charges(
    history: Iterable[Said],
    calendar_of: Callable[[str], Calendar],
    centre: str,
    since: datetime,
    until: datetime,
) -> list[Charge]:
    """Every late stretch of one case between two moments, from its journal rows in order; what runs, runs to `until`.

    `calendar_of` is asked by the calendar's code. Counted by calendars as they are now: what is corrected in them later
    moves minutes here, as it moves the due times it recounts.
    """
    clocks: dict[str, _Clock] = {}
    for said in history:
        for op in said.ops:
            _apply(clocks, said, op)
        if said.kind == _APPROVED:
            for clock in clocks.values():
                if (running := clock.running) is not None and running.stage == "reply":
                    clock.go_on(said.at, stage=DELIVERY, holder=centre)
    found = []
    for limit, clock in clocks.items():
        for stretch in clock.stretches:
            begins = max(stretch.since, since)
            ends = min(stretch.until or until, until)
            if stretch.due is None or ends <= (begins := max(begins, stretch.due)):
                continue
            elapsed = stretch.clock == "calendar"
            late = ends - begins if elapsed else worked(begins, ends, calendar_of(stretch.calendar))
            if late:
                found.append(Charge(limit, stretch.stage, stretch.holder, begins, ends, late))
    return found


def _apply(clocks: dict[str, _Clock], said: Said, op: Mapping[str, Any]) -> None:
    name, due, at = op["op"], _moment(op.get("due_at")), _moment(op.get("at")) or said.at
    if name == "opened":
        opened = _moment(op["opened_at"]) or said.at
        new = _Stretch(op["stage"], op["holder"], op["clock"], op["calendar"], opened, due)
        clocks[op["id"]] = _Clock([new])
        return
    clock = clocks.get(op["id"])
    if clock is None:
        return
    if name in _ENDS:
        clock.end(at)
    elif name in ("resumed", "reopened"):
        clock.go_on(at, due=due, holder=op["holder"])
    elif name == "handed":
        if (running := clock.running) is not None and running.stage != DELIVERY:
            clock.go_on(at, holder=op["holder"])
    elif name == "recounted":
        was = _moment(op.get("was"))
        clock.stretches = [replace(each, due=due) if each.due == was else each for each in clock.stretches]
    else:  # moved, amended, and what may come to be
        last = clock.stretches[-1]
        kind = op.get("clock", last.clock)
        if clock.running is None:  # it stands still, and will run on by this clock
            clock.stretches[-1] = replace(last, clock=kind)
        elif (due, kind) != (last.due, last.clock):
            clock.go_on(said.at, due=due, clock=kind)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
