"""Who leads a case, who helps, by when each step is due, and why: facts and a rulebook in, a decision out.

Pure: no database, no clock; the same facts and the same rulebook always give the same decision, so it can be replayed
on last month's cases. How rules are written down and read is in `rulesets.py`, how they are checked in `rule_check.py`
and made a rulebook in `rule_building.py`, who answers for what in `directory.py`, how a legal matter is told from an
ordinary one in `tracks.py`, how time is counted in `working_time.py`, and how a decision is explained in
`explaining.py`. Nothing here is stored or changed while deciding.

* A rule's condition is a row of facts; what it leaves out matches anything. The first match by rank wins, then the
  order of writing. A lead rule whose selector finds nobody alive (an area not known, a unit abolished without one heir)
  is passed over, so the catch-all, which names the centre, is always reached.
* Each stage takes its limit from the first limit rule that matches for that stage.
"""

import json
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from functools import cached_property
from operator import attrgetter
from typing import Literal
from zoneinfo import ZoneInfo

from routing.directory import Directory, Selector
from routing.tracks import TRACKS, TrackTriggers
from routing.working_time import Amount, Calendar

STAGES = ("forward", "accept", "give_back", "resolve", "contribute", "reply", "publish")
URGENCIES = ("emergency", "urgent", "normal", "complex")
MODES = ("normal", "epidemic", "disaster")
CHANNELS = ("web", "app", "zalo", "facebook", "telegram", "email", "sms", "voice", "counter", "open311")
KINDS = ("report", "question", "proposal", "praise", "emergency", "other")
FIFTEEN_DAYS, A_WEEK, A_WORKING_DAY = Amount(15, "d", "calendar"), Amount(7, "d", "calendar"), Amount(1, "d", "working")


class BadFacts(ValueError):
    """Facts that cannot be decided on; `key` names the member at fault, the text says what is wrong with it."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key}: {problem}")
        self.key = key


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a decision may depend on. `area` is our area code, `received_at` is aware; `None` means not known."""

    received_at: datetime
    field: str | None = None
    urgency: str = "normal"
    kind: str = "report"
    track: str = "ordinary"
    area: str | None = None
    channel: str = "web"
    mode: str = "normal"
    competence_clear: bool | None = None
    asset_owner: str | None = None
    flags: frozenset[str] = frozenset()
    road_class: str | None = None

    def __post_init__(self) -> None:
        if self.urgency not in URGENCIES:
            raise BadFacts("urgency", f"{self.urgency!r} is none of {', '.join(URGENCIES)}")
        if self.track not in TRACKS:
            raise BadFacts("track", f"{self.track!r} is none of {', '.join(TRACKS)}")
        if self.mode not in MODES:
            raise BadFacts("mode", f"{self.mode!r} is none of {', '.join(MODES)}")
        if self.received_at.tzinfo is None:
            raise BadFacts("received_at", "needs a time zone")


_BESIDES_MOMENT = attrgetter(*(each.name for each in fields(Facts) if each.name != "received_at"))
_REMEMBERED_DECISIONS = 20_000


@dataclass(frozen=True, slots=True)
class Condition:
    """A row of facts to compare with. `None` matches anything, a tuple any of its values; flags must all be there.

    A field pattern `infra.*` is the whole group. An area matches everything inside it, and old units by their heirs.
    """

    fields: tuple[str, ...] | None = None
    urgencies: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None
    tracks: tuple[str, ...] | None = None
    areas: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = None
    modes: tuple[str, ...] | None = None
    asset_owners: tuple[str, ...] | None = None
    competence_clear: bool | None = None
    flags: tuple[str, ...] | None = None
    road_classes: tuple[str, ...] | None = None

    def misses(self, facts: Facts, lineage: frozenset[str]) -> tuple[str, ...]:
        """The names of the facts that do not fit, in the order of writing; empty when the condition matches.

        `lineage` is `Directory.lineage` of the area of the facts.
        """
        tests = (
            ("field", self.fields is None or in_patterns(facts.field, self.fields)),
            ("urgency", self.urgencies is None or facts.urgency in self.urgencies),
            ("track", self.tracks is None or facts.track in self.tracks),
            ("mode", self.modes is None or facts.mode in self.modes),
            ("kind", self.kinds is None or facts.kind in self.kinds),
            ("area", self.areas is None or not lineage.isdisjoint(self.areas)),
            ("channel", self.channels is None or facts.channel in self.channels),
            ("asset_owner", self.asset_owners is None or facts.asset_owner in self.asset_owners),
            ("competence_clear", self.competence_clear is None or facts.competence_clear is self.competence_clear),
            ("flags", self.flags is None or facts.flags.issuperset(self.flags)),
            ("road_class", self.road_classes is None or facts.road_class in self.road_classes),
        )
        return tuple(name for name, fits in tests if not fits)

    def fits_case(self, facts: Facts, lineage: frozenset[str]) -> bool:
        """The part of the comparison that the index of the rulebook has not already made."""
        return (
            (self.kinds is None or facts.kind in self.kinds)
            and (self.areas is None or not lineage.isdisjoint(self.areas))
            and (self.channels is None or facts.channel in self.channels)
            and (self.asset_owners is None or facts.asset_owner in self.asset_owners)
            and (self.competence_clear is None or facts.competence_clear is self.competence_clear)
            and (self.flags is None or facts.flags.issuperset(self.flags))
            and (self.road_classes is None or facts.road_class in self.road_classes)
        )

    def fits_class(self, field: str | None, urgency: str, track: str, mode: str) -> bool:
        """The indexed part; `field` may also be a group pattern, standing for any other field of the group."""
        return (
            (self.fields is None or in_patterns(field, self.fields))
            and (self.urgencies is None or urgency in self.urgencies)
            and (self.tracks is None or track in self.tracks)
            and (self.modes is None or mode in self.modes)
        )


def in_patterns(field: str | None, patterns: Iterable[str]) -> bool:
    """Whether a field is named by any of the patterns, itself or by its group."""
    return field is not None and any(p == field or p == group_pattern(field) for p in patterns)


def group_pattern(field: str) -> str:
    """`infra.light` → `infra.*`."""
    return field.partition(".")[0] + ".*"


@dataclass(frozen=True, slots=True)
class LeadRule:
    """Who leads and who helps, when the condition matches. A lower rank is asked earlier."""

    code: str
    rank: int
    when: Condition
    lead: Selector
    supporting: tuple[Selector, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class LimitRule:
    """How long one stage may take, when the condition matches. A lower rank is asked earlier."""

    code: str
    stage: str
    rank: int
    when: Condition
    amount: Amount
    note: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class CaseField:
    """A field (lĩnh vực) `group.name`, and what holds for a case of it until a person says otherwise."""

    code: str
    name: str
    urgency: str = "normal"
    kind: str = "report"
    public: bool = True
    track: str | None = None
    agent_answers: bool = False
    evidence: str = ""
    keywords: tuple[str, ...] = ()
    valid_from: date = date.min
    valid_to: date | None = None


@dataclass(frozen=True, slots=True)
class EscalationStep:
    """So long after the due time, this role is told of a case still late."""

    after: Amount
    to: str


@dataclass(frozen=True, slots=True)
class Extension:
    """How often and how far the resolve limit may be moved; `max_ratio` is of the limit itself, each time.

    `granted_by` head or centre; once more than `max` only the province's leadership may (`beyond_by` province), or
    nobody.
    """

    max: int = 1
    max_ratio: float = 1.0
    before_due: bool = True
    reason_required: bool = True
    granted_by: str = "head"
    beyond_by: str = "nobody"


@dataclass(frozen=True, slots=True)
class Defaults:
    """What is assumed of a case of some field while nobody has said."""

    urgency: str = "normal"
    kind: str = "report"
    public: bool = True
    track: str = "ordinary"
    agent_answers: bool = False


@dataclass(frozen=True)
class Rulebook:
    """One version of the rules with all it refers to: what `decide` decides by. Build it once, it is indexed."""

    code: str
    version: int
    valid_from: date
    valid_to: date | None
    directory: Directory
    calendar: Calendar
    fields: Mapping[str, CaseField]
    leads: tuple[LeadRule, ...]
    limits: tuple[LimitRule, ...]
    tracks: TrackTriggers = field(default_factory=TrackTriggers)
    note: str = ""
    source: str = ""
    remind: tuple[float, ...] = (0.5, 0.8, 1.0)
    escalate: tuple[EscalationStep, ...] = ()
    extend: Extension = field(default_factory=Extension)
    stop_while_waiting: tuple[str, ...] = ()
    day_end: Literal["close", "midnight"] = "close"
    approve_by: Literal["head", "centre"] = "head"
    give_backs_before_supervisor: int = 3
    close_after: Amount = FIFTEEN_DAYS
    reopen_within: Amount = FIFTEEN_DAYS
    progress_when_late_every: Amount = A_WEEK
    directive_review_within: Amount = A_WORKING_DAY
    decided: dict[tuple[Hashable, ...], "Decision"] = field(init=False, repr=False, compare=False)
    _index: dict[tuple[str | None, str, str, str], tuple[tuple[LeadRule, ...], tuple[tuple[LimitRule, ...], ...]]] = (
        field(init=False, repr=False, compare=False)
    )
    _field_keys: frozenset[str] = field(init=False, repr=False, compare=False)
    _asks_area: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        conditions = [rule.when for rule in self.leads] + [rule.when for rule in self.limits]
        named = {pattern for condition in conditions for pattern in condition.fields or ()}
        object.__setattr__(self, "leads", tuple(sorted(self.leads, key=lambda rule: rule.rank)))
        object.__setattr__(self, "limits", tuple(sorted(self.limits, key=lambda rule: rule.rank)))
        object.__setattr__(self, "decided", {})
        object.__setattr__(self, "_index", {})
        object.__setattr__(self, "_field_keys", frozenset(named))
        object.__setattr__(self, "_asks_area", any(when.areas is not None for when in conditions))

    @property
    def zone(self) -> ZoneInfo:
        """The province's time zone, in which dates are meant."""
        return self.calendar.zone

    def day_of(self, at: datetime) -> date:
        """The local day of an instant."""
        return at.astimezone(self.zone).date()

    def lineage(self, facts: Facts) -> frozenset[str]:
        """What conditions on areas are compared with; empty when no rule asks."""
        if not self._asks_area:
            return frozenset()
        return self.directory.lineage(facts.area, self.day_of(facts.received_at))

    def candidates(self, facts: Facts) -> tuple[tuple[LeadRule, ...], tuple[tuple[LimitRule, ...], ...]]:
        """The lead rules, and for each stage the limit rules, that field, urgency, track and mode leave possible."""
        name = facts.field
        if name is not None and name not in self._field_keys:
            # A field that no rule names shares the entry of its group, which keeps the index small.
            group = group_pattern(name)
            name = group if group in self._field_keys else None
        key = (name, facts.urgency, facts.track, facts.mode)
        found = self._index.get(key)
        if found is None:
            possible = [rule for rule in self.limits if rule.when.fits_class(*key)]
            found = self._index[key] = (
                tuple(rule for rule in self.leads if rule.when.fits_class(*key)),
                tuple(tuple(rule for rule in possible if rule.stage == stage) for stage in STAGES),
            )
        return found

    def defaults(self, field: str | None) -> Defaults:
        """Urgency, kind and the rest from the field, plain ones where the field is not known."""
        known = self.fields.get(field or "")
        if known is None:
            return Defaults()
        return Defaults(
            known.urgency,
            known.kind,
            known.public,
            self.tracks.fields.get(known.code, known.track or "ordinary"),
            known.agent_answers,
        )

    def detect_track(self, text: str, field: str | None = None, channel: str | None = None) -> str:
        """The track a message seems to belong to, `ordinary` when none; `tracks.find` also says why."""
        suspicion = self.tracks.find(text, field, channel)
        return "ordinary" if suspicion is None else suspicion.track

    def holder(self, stage: str, lead: str) -> str:
        """Who is charged with a stage while `lead` leads; each supporting unit holds its own `contribute`."""
        at_centre = stage in ("forward", "publish") or (stage == "reply" and self.approve_by == "centre")
        return self.directory.centre if at_centre else lead


@dataclass(frozen=True, slots=True)
class StageLimit:
    """The limit of one stage and the code of the rule that gave it."""

    stage: str
    amount: Amount
    rule: str


@dataclass(frozen=True)
class Decision:
    """Who leads, who helps, by when. `rules` are the codes that matched: the lead rule first, then one per limit."""

    lead: str
    supporting: tuple[str, ...]
    track: str
    limits: tuple[StageLimit, ...]
    escalation: tuple[EscalationStep, ...]
    rules: tuple[str, ...]
    explanation: tuple[str, ...]

    def limit(self, stage: str) -> StageLimit | None:
        """The limit of a stage, None where the rules set none."""
        return next((limit for limit in self.limits if limit.stage == stage), None)

    @cached_property
    def kept(self) -> str:
        """As JSON, how a case keeps it."""
        limits = {limit.stage: str(limit.amount) for limit in self.limits}
        kept = {"lead": self.lead, "supporting": self.supporting, "rules": self.rules, "limits": limits}
        return json.dumps(kept, ensure_ascii=False)


def decide(facts: Facts, rulebook: Rulebook) -> Decision:
    """Decide by the rulebook as it stood for the local day of `received_at`. Total on any rulebook that passes `check`.

    `facts.track` is taken as said: whether a text is a denunciation is asked before, with `Rulebook.detect_track`.
    Remembered, for of the moment only the day counts.
    """
    on = rulebook.day_of(facts.received_at)
    key = (on, *_BESIDES_MOMENT(facts))
    known = rulebook.decided.get(key)
    if known is None:
        if len(rulebook.decided) >= _REMEMBERED_DECISIONS:
            rulebook.decided.clear()
        known = rulebook.decided[key] = _decide(facts, on, rulebook)
    return known


def _decide(facts: Facts, on: date, rulebook: Rulebook) -> Decision:
    lineage = rulebook.lineage(facts)
    leads, limits_by_stage = rulebook.candidates(facts)
    resolve = rulebook.directory.resolve
    lead, matched = "", ""
    helpers: tuple[Selector, ...] = ()
    for rule in leads:
        if (
            rule.when.fits_case(facts, lineage)
            and (found := resolve(rule.lead, facts.area, facts.field, on)) is not None
        ):
            lead, matched, helpers = found, rule.code, rule.supporting
            break
    else:
        lead = rulebook.directory.centre
    supporting: list[str] = []
    for selector in helpers:
        found = resolve(selector, facts.area, facts.field, on)
        if found is not None and found != lead and found not in supporting:
            supporting.append(found)
    limits = []
    for stage, rules in zip(STAGES, limits_by_stage, strict=True):
        if stage == "contribute" and not supporting:
            continue
        for limit in rules:
            if limit.when.fits_case(facts, lineage):
                limits.append(StageLimit(stage, limit.amount, limit.code))
                break
    return Decision(
        lead=lead,
        supporting=tuple(supporting),
        track=facts.track,
        limits=tuple(limits),
        escalation=rulebook.escalate,
        rules=((matched,) if matched else ()) + tuple(limit.rule for limit in limits),
        explanation=(
            f"{matched or 'catch-all'}: {lead}",
            *[f"{limit.rule}: {limit.stage} {limit.amount}" for limit in limits],
        ),
    )
