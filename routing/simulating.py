"""A draft of the rules tried on past cases: who would have led, which due times would have moved, what would have been
in time. Pure: cases are read by `cases.simulating`.

What is compared is one rule set with another, all else as it was:

* **Before** is the rule set a case was opened under, **after** the draft, both asked about the case as it is classified
  now and counted by the calendars of now, so that nothing differs but the rules.
* A clock begins when it really began, is stopped when it really was, and ends when the work was really finished. Nobody
  knows whether people would have hurried: what the draft would have them do is not guessed.
* The lead before is who really led. Where both rule sets name the same unit, a person's choice of another one stays;
  where the draft names another unit than the old set, the draft's unit takes the case.
* A date granted by an extension was a person's decision: it stands in both, unless the rule alone gives more.
* In time: finished by the due time. Late: finished, given up or still open after it. What is open and not yet due, and
  what was given up before it was due, counts in neither (as in the figures).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from routing.decide import STAGES, Decision, Facts, Rulebook, decide
from routing.stretches import Stop
from routing.working_time import Amount, Calendar, due

MOST_CODES = 20  # of cases named as examples of one thing


@dataclass(frozen=True, slots=True)
class Ran:
    """One clock of a past case as it ran. `ended_at`: done (`met`) or given up; None: it still runs."""

    stage: str
    holder: str
    opened_at: datetime
    ended_at: datetime | None = None
    met: bool = False
    stops: tuple[Stop, ...] = ()
    granted: datetime | None = None  # until when it was extended


@dataclass(frozen=True, slots=True)
class PastCase:
    """A case that was worked on; `lead` is who led it last, None when it never left the centre."""

    code: str
    facts: Facts
    lead: str | None
    clocks: tuple[Ran, ...]
    awaits_lead: bool = False  # not sent to anybody yet


@dataclass(frozen=True, slots=True)
class Replayed:
    """One clock under both rule sets; `due` None where one gives no limit. `kept`: in time, late, not yet known."""

    stage: str
    holder: str
    holder_after: str
    due: datetime | None
    due_after: datetime | None
    kept: bool | None
    kept_after: bool | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One case under both rule sets; `lead` is None where the case is nobody's load."""

    code: str
    lead: str | None
    lead_after: str | None
    clocks: tuple[Replayed, ...]


@dataclass(slots=True)
class Kept:
    """Clocks whose outcome is known, and how many of them were in time."""

    due: int = 0
    on_time: int = 0

    @property
    def rate(self) -> float | None:
        """The share in time; None when nothing fell due."""
        return self.on_time / self.due if self.due else None

    def add(self, kept: bool | None) -> None:
        """Count one outcome, if it is known."""
        if kept is not None:
            self.due += 1
            self.on_time += kept


@dataclass(slots=True)
class StageChange:
    """What the draft does to the clocks of one stage. `shift` is elapsed time, summed over those that moved."""

    clocks: int = 0
    earlier: int = 0
    later: int = 0
    gone: int = 0  # the draft gives them no limit
    added: int = 0  # only the draft gives them one
    shift: timedelta = timedelta()
    before: Kept = field(default_factory=Kept)
    after: Kept = field(default_factory=Kept)
    newly_late: int = 0
    newly_kept: int = 0

    @property
    def mean_shift(self) -> timedelta | None:
        """By how much a moved due time moved; negative is earlier."""
        moved = self.earlier + self.later
        return self.shift / moved if moved else None


@dataclass(slots=True)
class UnitChange:
    """One department: the cases it led, and how its limits to resolve were kept."""

    led: int = 0
    led_after: int = 0
    before: Kept = field(default_factory=Kept)
    after: Kept = field(default_factory=Kept)


@dataclass(slots=True)
class Result:
    """Everything a simulation found. `first` and `last` are when the earliest and latest case was received."""

    cases: int = 0
    first: datetime | None = None
    last: datetime | None = None
    moved: Counter[tuple[str, str]] = field(default_factory=Counter)  # (lead before, after) → cases
    stages: dict[str, StageChange] = field(default_factory=dict)
    units: dict[str, UnitChange] = field(default_factory=dict)
    late_codes: list[str] = field(default_factory=list)  # some whose limit to resolve only the draft makes late
    kept_codes: list[str] = field(default_factory=list)  # and the other way round

    def add(self, past: PastCase, verdict: Verdict) -> None:
        """Count one case."""
        self.cases += 1
        received = past.facts.received_at
        self.first = received if self.first is None else min(self.first, received)
        self.last = received if self.last is None else max(self.last, received)
        if verdict.lead is not None and verdict.lead_after is not None:
            self._unit(verdict.lead).led += 1
            self._unit(verdict.lead_after).led_after += 1
            if verdict.lead != verdict.lead_after:
                self.moved[verdict.lead, verdict.lead_after] += 1
        for clock in verdict.clocks:
            self._clock(past.code, clock)

    def to_dict(self) -> dict[str, Any]:
        """As JSON: shares from 0 to 1, shifts in minutes."""
        return {
            "cases": self.cases,
            "first_received": self.first.isoformat(timespec="seconds") if self.first else None,
            "last_received": self.last.isoformat(timespec="seconds") if self.last else None,
            "moved_leads": [{"from": old, "to": new, "cases": n} for (old, new), n in self.moved.most_common()],
            "stages": [{"stage": name, **_stage(self.stages[name])} for name in STAGES if name in self.stages],
            "departments": [
                {
                    "department": code,
                    "led": {"before": unit.led, "after": unit.led_after},
                    "resolve": {"before": _kept(unit.before), "after": _kept(unit.after)},
                }
                for code, unit in self.by_load()
            ],
            "newly_late": self.late_codes,
            "newly_on_time": self.kept_codes,
        }

    def by_load(self) -> list[tuple[str, UnitChange]]:
        """Departments, the most burdened first."""
        return sorted(self.units.items(), key=lambda each: (-max(each[1].led, each[1].led_after), each[0]))

    def _unit(self, code: str) -> UnitChange:
        return self.units.setdefault(code, UnitChange())

    def _clock(self, code: str, clock: Replayed) -> None:
        stage = self.stages.setdefault(clock.stage, StageChange())
        stage.clocks += 1
        if clock.due is not None and clock.due_after is not None:
            stage.earlier += clock.due_after < clock.due
            stage.later += clock.due_after > clock.due
            stage.shift += clock.due_after - clock.due
        else:
            stage.gone += clock.due is not None
            stage.added += clock.due_after is not None
        stage.before.add(clock.kept)
        stage.after.add(clock.kept_after)
        newly_late = clock.kept is not False and clock.kept_after is False
        newly_kept = clock.kept is False and clock.kept_after is not False
        stage.newly_late += newly_late
        stage.newly_kept += newly_kept
        if clock.stage != "resolve":
            return
        self._unit(clock.holder).before.add(clock.kept)
        self._unit(clock.holder_after).after.add(clock.kept_after)
        for news, codes in ((newly_late, self.late_codes), (newly_kept, self.kept_codes)):
            if news and len(codes) < MOST_CODES and code not in codes:
                codes.append(code)


def compare(
    cases: Iterable[tuple[PastCase, Rulebook]],
    draft: Rulebook,
    calendars: Mapping[str, Calendar],
    at: datetime,
    into: Result | None = None,
) -> Result:
    """Replay cases, each with the rulebook it was opened under, by the draft as well; `into` goes on with a result.

    `calendars` are those of departments that keep hours of their own, by code; the others use their rulebook's. `at` is
    the moment up to which what is not finished has run. NoWorkingTime when a calendar has none.
    """
    result = Result() if into is None else into
    for past, old in cases:
        result.add(past, replay(past, old, draft, calendars, at))
    return result


def replay(past: PastCase, old: Rulebook, draft: Rulebook, calendars: Mapping[str, Calendar], at: datetime) -> Verdict:
    """One case under both rule sets."""
    was, now = decide(past.facts, old), decide(past.facts, draft)
    lead = past.lead or (was.lead if past.awaits_lead else None)
    lead_after = lead if lead is None or now.lead == was.lead else now.lead
    clocks = []
    for ran in past.clocks:
        before, after = _amount(was, ran.stage), _amount(now, ran.stage)
        holder_after = ran.holder
        if lead and lead_after and ran.stage != "contribute" and ran.holder == old.holder(ran.stage, lead):
            holder_after = draft.holder(ran.stage, lead_after)
        calendar = calendars.get(ran.holder, old.calendar)
        calendar_after = calendars.get(holder_after, draft.calendar)
        due_at = _due(ran, before, calendar, old)
        alike = (before, calendar, old.day_end) == (after, calendar_after, draft.day_end)
        due_after = due_at if alike else _due(ran, after, calendar_after, draft)
        kept, kept_after = _kept_by(ran, due_at, at), _kept_by(ran, due_after, at)
        clocks.append(Replayed(ran.stage, ran.holder, holder_after, due_at, due_after, kept, kept_after))
    return Verdict(past.code, lead, lead_after, tuple(clocks))


def _amount(decision: Decision, stage: str) -> Amount | None:
    """What a stage may take; who helps has as long as the lead where no rule says otherwise, as with real clocks."""
    limit = decision.limit(stage) or (decision.limit("resolve") if stage == "contribute" else None)
    return limit.amount if limit else None


def _due(ran: Ran, amount: Amount | None, calendar: Calendar, book: Rulebook) -> datetime | None:
    if amount is None:
        return None
    by_rule = due(ran.opened_at, amount, calendar, day_end=book.day_end, stops=ran.stops).astimezone(UTC)
    return by_rule if ran.granted is None else max(by_rule, ran.granted)


def _kept_by(ran: Ran, due_at: datetime | None, at: datetime) -> bool | None:
    if due_at is None:
        return None
    if (ran.ended_at or at) > due_at:
        return False
    return True if ran.met else None


def _kept(kept: Kept) -> dict[str, Any]:
    return {"due": kept.due, "on_time": kept.on_time, "rate": None if kept.rate is None else round(kept.rate, 4)}


def _stage(change: StageChange) -> dict[str, Any]:
    told = {name: getattr(change, name) for name in ("clocks", "earlier", "later", "gone", "added")}
    mean = change.mean_shift
    return {
        **told,
        "mean_shift_minutes": None if mean is None else round(mean / timedelta(minutes=1)),
        "before": _kept(change.before),
        "after": _kept(change.after),
        "newly_late": change.newly_late,
        "newly_on_time": change.newly_kept,
    }
