"""A decision told to a person who asks why this unit and why by then, and the facts to ask about, read from JSON.

Pure. `decide.py` decides, `telling.py` tells each limit; here they are put side by side, rule by rule.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from routing import telling
from routing.decide import STAGES, BadFacts, Decision, Facts, LimitRule, Rulebook, decide
from routing.working_time import Amount, Calendar


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
            traced = telling.explain(facts.received_at, limit.amount, calendar, day_end=rulebook.day_end)
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
        elif rulebook.directory.resolve(rule.lead, facts.area, facts.field, on) is None:
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
    for key in ("field", "urgency", "kind", "track", "area", "channel", "mode", "asset_owner", "road_class"):
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
