"""Who leads a case, who helps, by when each step is due, and why: facts and a rulebook in, a decision out.

Pure: no database, no clock; the same facts and the same rulebook always give the same decision, so it can be replayed
on last month's cases. How a rulebook is written down, read and checked is in `rulesets.py`, how time is counted in
`working_time.py`. Nothing here is stored or changed while deciding.

* A rule's condition is a row of facts; what it leaves out matches anything. The first match by rank wins, then the
  order of writing. A lead rule whose selector finds nobody alive (an area not known, a unit abolished without one heir)
  is passed over, so the catch-all, which names the centre, is always reached.
* Each stage takes its limit from the first limit rule that matches for that stage.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, Protocol, Self
from zoneinfo import ZoneInfo

from core.text import nfc
from routing import working_time
from routing.working_time import Amount, Calendar

STAGES = ("forward", "accept", "give_back", "resolve", "contribute", "reply", "publish")
URGENCIES = ("emergency", "urgent", "normal", "complex")
TRACKS = ("ordinary", "complaint", "denunciation", "crime_tip", "admin_regulation", "national_portal")
MODES = ("normal", "epidemic", "disaster")
KINDS = ("report", "question", "proposal", "praise", "emergency", "other")

RESTRICTED_TRACKS = frozenset({"complaint", "denunciation", "crime_tip"})
"""Tracks seen only by those who hold the role for them."""

FIFTEEN_DAYS, A_WEEK, A_WORKING_DAY = Amount(15, "d", "calendar"), Amount(7, "d", "calendar"), Amount(1, "d", "working")

# A message may look like several things at once; the one whose sender has most to lose by a mistake comes first.
_TRACK_PRECEDENCE = ("denunciation", "crime_tip", "complaint", "admin_regulation", "national_portal")


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

    def __post_init__(self) -> None:
        if self.urgency not in URGENCIES:
            raise BadFacts("urgency", f"{self.urgency!r} is none of {', '.join(URGENCIES)}")
        if self.track not in TRACKS:
            raise BadFacts("track", f"{self.track!r} is none of {', '.join(TRACKS)}")
        if self.mode not in MODES:
            raise BadFacts("mode", f"{self.mode!r} is none of {', '.join(MODES)}")
        if self.received_at.tzinfo is None:
            raise BadFacts("received_at", "needs a time zone")


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
class Selector:
    """Which department: one by its code, or the one of a kind that is responsible where the case is.

    Written `so-xd`, `kind:ubnd_xa`, or `centre`.
    """

    how: Literal["code", "kind"]
    value: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the written form; ValueError when it is empty."""
        how, colon, value = text.strip().rpartition(":")
        if not value or (colon and how != "kind"):
            raise ValueError(f"{text!r} is neither a department code nor kind:NAME")
        return cls("kind", value) if colon or value == "centre" else cls("code", value)

    def __str__(self) -> str:
        return self.value if self.how == "code" or self.value == "centre" else f"kind:{self.value}"


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
class Department:
    """A unit that can hold a case. `valid_to` is the first day it no longer exists; no `area`: the whole province."""

    code: str
    name: str
    kind: str
    area: str | None = None
    parent: str | None = None
    valid_from: date = date.min
    valid_to: date | None = None
    successor: str | None = None

    def lives(self, on: date) -> bool:
        """Whether the unit exists on that day."""
        return self.valid_from <= on and (self.valid_to is None or on < self.valid_to)


class Area(Protocol):
    """What routing needs of an administrative unit; `valid_to` is the first day it no longer exists."""

    @property
    def code(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def parent(self) -> str | None: ...
    @property
    def valid_from(self) -> date | None: ...
    @property
    def valid_to(self) -> date | None: ...
    @property
    def successors(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class Directory:
    """Departments and areas as they were and are, and who answers for what on a given day.

    `kinds` says, for a kind of department, which other kinds take its place where it has none: `ubnd_huyen` → `ubnd_xa`
    once districts are gone, `local` → district division, else commune.
    """

    departments: Mapping[str, Department]
    areas: Mapping[str, Area]
    kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    _by_kind: dict[tuple[str, str | None], tuple[Department, ...]] = field(init=False, repr=False, compare=False)
    _origins: dict[str, list[str]] = field(init=False, repr=False, compare=False)
    _turns: list[date] = field(init=False, repr=False, compare=False)
    _resolved: dict[tuple[Selector, str | None, int], str | None] = field(init=False, repr=False, compare=False)
    _lineages: dict[tuple[str, int], frozenset[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_kind: dict[tuple[str, str | None], tuple[Department, ...]] = {}
        for department in self.departments.values():
            key = (department.kind, department.area)
            by_kind[key] = (*by_kind.get(key, ()), department)
        days = {day for department in self.departments.values() for day in (department.valid_from, department.valid_to)}
        days |= {day for area in self.areas.values() for day in (area.valid_from, area.valid_to)}
        turns = sorted(day for day in days if day is not None)
        origins: dict[str, list[str]] = {}
        for area in self.areas.values():
            for heir in area.successors:
                origins.setdefault(heir, []).append(area.code)
        for name, value in (("_by_kind", by_kind), ("_turns", turns), ("_origins", origins)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_resolved", {})
        object.__setattr__(self, "_lineages", {})

    @property
    def centre(self) -> str:
        """The code of the 1022 centre itself; LookupError when there is none."""
        for department in self._by_kind.get(("centre", None), ()):
            return department.code
        raise LookupError("the directory has no department of kind centre")

    def turning_days(self, since: date, until: date | None) -> tuple[date, ...]:
        """`since` and every later day before `until` on which a department or area begins or ends."""
        return (since, *(day for day in self._turns if since < day and (until is None or day < until)))

    def knows_kind(self, kind: str) -> bool:
        """Whether any department is of this kind, or another kind stands in for it."""
        return kind in self.kinds or any(kind == known for known, _ in self._by_kind)

    def living(self, code: str, on: date) -> str | None:
        """The department itself if it exists on that day, else its heir, else None."""
        seen: set[str] = set()
        step: str | None = code
        while step is not None and step not in seen:
            seen.add(step)
            department = self.departments.get(step)
            if department is None:
                return None
            if department.lives(on):
                return step
            step = department.successor
        return None

    def unit(self, area: str, on: date) -> str | None:
        """The administrative unit that an area is on that day, by its heirs or, for a name used too early, backwards.

        None when the area is not known, was split among several, or was made of several.
        """
        seen: set[str] = set()
        while area not in seen and (place := self.areas.get(area)) is not None:
            if place.valid_to is not None and place.valid_to <= on:
                steps = place.successors
            elif place.valid_from is not None and on < place.valid_from:
                steps = self._origins.get(area, ())
            else:
                return area
            if len(steps) != 1:
                return None
            seen.add(area)
            area = steps[0]
        return None

    def lineage(self, area: str | None, on: date) -> frozenset[str]:
        """The area, the unit it is on that day, and all they lie in: what a condition on areas is compared with."""
        if area is None or area not in self.areas:
            return frozenset()
        key = (area, self._turn(on))
        found = self._lineages.get(key)
        if found is None:
            found = self._lineages[key] = frozenset((*self._upward(area), *self._upward(area, on)))
        return found

    def resolve(self, selector: Selector, area: str | None, on: date) -> str | None:
        """The department meant by a selector for a case in `area`, alive on that day; None when there is none."""
        if area not in self.areas:
            area = None
        # Nothing changes between two turning days, which bounds what is remembered.
        key = (selector, area, self._turn(on))
        if key not in self._resolved:
            self._resolved[key] = (
                self.living(selector.value, on)
                if selector.how == "code"
                else self._of_kind(selector.value, self._upward(area, on), on)
            )
        return self._resolved[key]

    def _turn(self, on: date) -> int:
        return bisect_right(self._turns, on)

    def _upward(self, area: str | None, on: date | None = None) -> tuple[str, ...]:
        """The area and what it lies in, outwards: as written, or each as the unit it is on that day."""
        chain: list[str] = []
        while area is not None and area in self.areas:
            unit = area if on is None else self.unit(area, on)
            if unit is None or unit in chain:
                break
            chain.append(unit)
            area = self.areas[unit].parent
        return tuple(chain)

    def _of_kind(self, kind: str, chain: tuple[str, ...], on: date) -> str | None:
        """The nearest living department of the kind, from the unit itself outwards; then of the kinds that stand in."""
        kinds = [kind]
        for each in kinds:
            for unit in (*chain, None):
                candidates = self._by_kind.get((each, unit), ())
                for department in sorted(candidates, key=lambda d: not d.lives(on)):
                    if (code := self.living(department.code, on)) is not None:
                        return code
            kinds.extend(other for other in self.kinds.get(each, ()) if other not in kinds)
        return None


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
class TrackPhrases:
    """Wordings that make a message look like one track, and the everyday wordings around them that do not.

    Compared with the text as typed, in lower case, whole words only; `...` stands for up to eight words between.
    """

    track: str
    phrases: tuple[str, ...]
    unless: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Suspicion:
    """The track a message seems to belong to, and what made it so: `text: tố cáo`, `field: …` or `channel: …`.

    The wording is the rulebook's, never the citizen's.
    """

    track: str
    because: str


@dataclass(frozen=True)
class TrackTriggers:
    """When a message is taken for a complaint, a denunciation or another legal track, before a person has looked.

    A false alarm is undone by a person; a miss would show a denouncer to the people denounced.
    """

    texts: tuple[TrackPhrases, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    channels: Mapping[str, str] = field(default_factory=dict)
    _compiled: tuple[tuple[str, tuple[frozenset[str], ...], re.Pattern[str], re.Pattern[str] | None], ...] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        compiled = tuple(
            (t.track, tuple(map(_words_of, t.phrases)), phrases, _any_of(t.unless))
            for t in self.texts
            if (phrases := _any_of(t.phrases)) is not None
        )
        object.__setattr__(self, "_compiled", compiled)

    def find(self, text: str, field: str | None = None, channel: str | None = None) -> Suspicion | None:
        """What the message seems to be; None when it seems ordinary. The most protected track wins."""
        found: list[Suspicion] = []
        if field is not None and field in self.fields:
            found.append(Suspicion(self.fields[field], f"field: {field}"))
        if channel is not None and channel in self.channels:
            found.append(Suspicion(self.channels[channel], f"channel: {channel}"))
        plain = nfc(text.translate(_INVISIBLE)).lower()
        words = frozenset(_WORD.findall(plain))
        for track, needed, phrases, unless in self._compiled:
            if not any(each <= words for each in needed):
                continue  # spares nearly every text the search, which looks for every phrase at every letter
            rest = plain if unless is None else unless.sub(" ¦ ", plain)
            if hit := phrases.search(rest):
                written = next(t for t in self.texts if t.track == track).phrases[(hit.lastindex or 1) - 1]
                found.append(Suspicion(track, f"text: {written}"))
        # A rule set switches a field's track off by naming the ordinary one.
        legal = [suspicion for suspicion in found if suspicion.track != "ordinary"]
        return min(legal, key=lambda suspicion: _TRACK_PRECEDENCE.index(suspicion.track), default=None)


# Copied text carries zero-width characters inside words.
_INVISIBLE = dict.fromkeys((0x00AD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))


# What phrases and texts are compared by: letters and digits alone, for a phrase may stand in a text as to-cao or to_cao.
_WORD = re.compile(r"[^\W_]+")


def _words_of(phrase: str) -> frozenset[str]:
    """Words without which the phrase cannot stand in a text."""
    return frozenset(_WORD.findall(nfc(phrase).lower()))


def _any_of(phrases: Iterable[str]) -> re.Pattern[str] | None:
    alternatives = []
    for phrase in phrases:
        parts = [
            r"[\s_,\-]{1,3}".join(re.escape(word) for word in part.split()) for part in nfc(phrase).lower().split("...")
        ]
        alternatives.append("(" + r"(?:\W+\w+){0,8}?\W+".join(parts) + ")")
    return re.compile(rf"(?<!\w)(?:{'|'.join(alternatives)})(?!\w)") if alternatives else None


@dataclass(frozen=True, slots=True)
class EscalationStep:
    """So long after the due time, this role is told of a case still late."""

    after: Amount
    to: str


@dataclass(frozen=True, slots=True)
class Extension:
    """How often and how far the resolve limit may be moved; `max_ratio` is of the limit itself."""

    max: int = 1
    max_ratio: float = 1.0
    before_due: bool = True
    reason_required: bool = True
    granted_by: str = "head"


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


@dataclass(frozen=True, slots=True)
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


def decide(facts: Facts, rulebook: Rulebook) -> Decision:
    """Decide by the rulebook as it stood for the local day of `received_at`. Total on any rulebook that passes `check`.

    `facts.track` is taken as said: whether a text is a denunciation is asked before, with `Rulebook.detect_track`.
    """
    on = rulebook.day_of(facts.received_at)
    lineage = rulebook.lineage(facts)
    leads, limits_by_stage = rulebook.candidates(facts)
    resolve = rulebook.directory.resolve
    lead, matched = "", ""
    helpers: tuple[Selector, ...] = ()
    for rule in leads:
        if rule.when.fits_case(facts, lineage) and (found := resolve(rule.lead, facts.area, on)) is not None:
            lead, matched, helpers = found, rule.code, rule.supporting
            break
    else:
        lead = rulebook.directory.centre
    supporting: list[str] = []
    for selector in helpers:
        found = resolve(selector, facts.area, on)
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


@dataclass(frozen=True, slots=True)
class ExplainedLimit:
    """One limit as it would be if its stage opened at `received_at`."""

    stage: str
    amount: Amount
    holder: str
    due_at: datetime
    rule: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON; `due_at` in the province's zone."""
        return {
            "stage": self.stage,
            "amount": self.amount.value,
            "unit": self.amount.unit,
            "clock": self.amount.clock,
            "holder": self.holder,
            "due_at": self.due_at.isoformat(timespec="seconds"),
            "rule": self.rule,
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with its reasons, for a person who asks why this unit and why by then."""

    lead: str
    supporting: tuple[str, ...]
    track: str
    limits: tuple[ExplainedLimit, ...]
    rules: tuple[str, ...]
    explanation: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As the JSON object of `rules explain`."""
        return {
            "lead": self.lead,
            "supporting": list(self.supporting),
            "track": self.track,
            "limits": [limit.to_dict() for limit in self.limits],
            "rules": list(self.rules),
            "explanation": list(self.explanation),
        }


def explain(facts: Facts, rulebook: Rulebook, calendars: Mapping[str, Calendar] | None = None) -> Explanation:
    """`decide`, told rule by rule and each limit window by window, as if every stage opened at `received_at`.

    `calendars` are those of departments that keep their own, by department code; all others use the rulebook's.
    NoWorkingTime when a limit runs on a calendar that has none.
    """
    decision = decide(facts, rulebook)
    lines = [f"Rule set {rulebook.code} version {rulebook.version}, facts of {rulebook.day_of(facts.received_at)}."]
    lines += _leads_told(facts, rulebook, decision)
    limits: list[ExplainedLimit] = []
    for stage in STAGES:
        rules = [rule for rule in rulebook.limits if rule.stage == stage]
        limit = decision.limit(stage)
        if stage == "contribute" and not decision.supporting:
            lines += ["contribute: nobody supports, no limit."] if rules else []
            continue
        lines += _limits_told(facts, rulebook, stage, rules)
        if limit is None:
            continue
        lead_holder = rulebook.holder(stage, decision.lead)
        for holder in decision.supporting if stage == "contribute" else (lead_holder,):
            calendar = (calendars or {}).get(holder, rulebook.calendar)
            traced = working_time.explain(facts.received_at, limit.amount, calendar, day_end=rulebook.day_end)
            limits.append(ExplainedLimit(stage, limit.amount, holder, traced.due, limit.rule))
            lines += [f"{stage}, {holder}: {line}" for line in traced.lines]
    return Explanation(decision.lead, decision.supporting, decision.track, tuple(limits), decision.rules, tuple(lines))


def _leads_told(facts: Facts, rulebook: Rulebook, decision: Decision) -> list[str]:
    told = _Told("lead", facts)
    lineage, on = rulebook.lineage(facts), rulebook.day_of(facts.received_at)
    for rule in rulebook.leads:
        misses = rule.when.misses(facts, lineage)
        if misses:
            told.missed(rule.code, misses)
        elif rulebook.directory.resolve(rule.lead, facts.area, on) is None:
            told.say(f"lead: {rule.code} matches, but finds no living department for {rule.lead}: passed over.")
        else:
            helpers = f", supported by {', '.join(decision.supporting)}" if decision.supporting else ""
            told.say(f"lead: {rule.code} matches: {rule.lead} is {decision.lead}{helpers}.")
            break
    else:
        told.say(f"lead: no rule matches: the centre, {decision.lead}.")
    return told.lines


def _limits_told(facts: Facts, rulebook: Rulebook, stage: str, rules: Iterable[LimitRule]) -> list[str]:
    told = _Told(stage, facts)
    lineage = rulebook.lineage(facts)
    for rule in rules:
        misses = rule.when.misses(facts, lineage)
        if not misses:
            told.say(f"{stage}: {rule.code} matches: {rule.amount}.")
            break
        told.missed(rule.code, misses)
    else:
        told.say(f"{stage}: no rule matches, no limit.")
    return told.lines


class _Told:
    """Lines about rules in turn; neighbours that failed on the same facts share a line."""

    def __init__(self, about: str, facts: Facts) -> None:
        self.lines: list[str] = []
        self._about, self._facts = about, facts
        self._codes: list[str] = []
        self._misses: tuple[str, ...] = ()

    def missed(self, code: str, misses: tuple[str, ...]) -> None:
        if misses != self._misses:
            self._flush()
        self._codes.append(code)
        self._misses = misses

    def say(self, line: str) -> None:
        self._flush()
        self.lines.append(line)

    def _flush(self) -> None:
        if self._codes:
            why = ", ".join(f"{name} is {_shown(getattr(self._facts, name))}" for name in self._misses)
            self.lines.append(f"{self._about}: {', '.join(self._codes)} not: {why}.")
        self._codes, self._misses = [], ()


def _shown(value: object) -> str:
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, frozenset):
        return ", ".join(sorted(value)) or "none"
    return str(value)


_FACT_KEYS = tuple(Facts.__dataclass_fields__)


def facts_from_dict(data: Mapping[str, Any], rulebook: Rulebook | None = None) -> Facts:
    """Read facts from JSON. BadFacts names the first member at fault.

    `received_at` (ISO 8601) is required; without a zone it is local to the rulebook's calendar. What is left out or
    null is not known; with a rulebook, urgency, kind and track then come from the field, and fields and areas must be
    known.
    """
    if not isinstance(data, Mapping):
        raise BadFacts("facts", "must be an object")
    for key in data:
        if key not in _FACT_KEYS:
            raise BadFacts(str(key), f"unknown; known are {', '.join(_FACT_KEYS)}")
    given = {key: value for key, value in data.items() if value is not None}
    for key in ("field", "urgency", "kind", "track", "area", "channel", "mode", "asset_owner"):
        if key in given and (not isinstance(given[key], str) or not given[key]):
            raise BadFacts(key, "must be a text that is not empty")
    if not isinstance(given.get("competence_clear", True), bool):
        raise BadFacts("competence_clear", "must be true, false or null")
    given["received_at"] = _read_instant(given.get("received_at"), rulebook)
    given["flags"] = _read_flags(given.get("flags", ()))
    if rulebook is not None:
        for key, known in (("field", rulebook.fields), ("area", rulebook.directory.areas)):
            if key in given and given[key] not in known:
                raise BadFacts(key, f"{given[key]!r} is not known")
        assumed = rulebook.defaults(given.get("field"))
        given = {"urgency": assumed.urgency, "kind": assumed.kind, "track": assumed.track, **given}
    return Facts(**given)


def _read_instant(value: Any, rulebook: Rulebook | None) -> datetime:
    if not isinstance(value, str):
        raise BadFacts("received_at", "is required, such as 2022-04-29T15:30:00+07:00")
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise BadFacts("received_at", f"{value!r} is not a time such as 2022-04-29T15:30:00+07:00") from None
    if at.tzinfo is None and rulebook is not None:
        at = at.replace(tzinfo=rulebook.zone)
    return at


def _read_flags(value: Any) -> frozenset[str]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(flag, str) for flag in value):
        raise BadFacts("flags", "must be a list of names such as anonymous")
    return frozenset(value)
