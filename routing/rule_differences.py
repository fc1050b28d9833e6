"""What another rule set would change for cases: by what it decides, not by how it is written. Pure.

Each rule that was added, taken out, changed or moved is asked about ordinary cases: what they got before and what they
would get. There is one for each value that the rule names, of a group one for each field; where one set asks for an
urgency, a track, a channel … and the other does not, one for each that there is. Rules that read differently and decide
the same say nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any, Literal

from routing.decide import CHANNELS, KINDS, MODES, STAGES, URGENCIES, CaseField, Condition, Extension, group_pattern
from routing.rule_drafts import EscalationDraft, LeadDraft, LimitDraft, RuleSetDraft
from routing.rule_forms import SETTINGS, Known, Rule, decides_today, in_order
from routing.tracks import TRACKS

_ALL: Mapping[str, tuple[str, ...]] = {
    "urgencies": URGENCIES, "kinds": KINDS, "tracks": TRACKS, "channels": CHANNELS, "modes": MODES
}  # fmt: skip
_LISTS = ("fields", *_ALL, "areas", "asset_owners", "road_classes")
MOST_ASKED = 2_000  # cases one rule is asked about; beyond, one for each field


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that becomes different: `about` the lead, a stage or a setting, for cases of which `when` is true.

    `was` and `now` are as rules write them: a selector and its helpers, an amount, or empty where there is nothing.
    """

    kind: Literal["lead", "limit", "setting"]
    about: str
    when: Condition
    was: tuple[str, ...]
    now: tuple[str, ...]
    rule: str = ""


def differences(old: RuleSetDraft, new: RuleSetDraft, known: Known) -> tuple[Change, ...]:
    """What changes for cases and settings from one set to the other, on the new one's first day, stage by stage."""
    found = list(_joined(_leads(old, new, known), known.fields))
    for stage in STAGES:
        found += _joined(_limits(old, new, stage, known), known.fields)
    return (*found, *_settings(old, new))


def _leads(old: RuleSetDraft, new: RuleSetDraft, known: Known) -> Iterator[Change]:
    def outcome(row: LeadDraft | None) -> tuple[str, ...]:
        return () if row is None else (row.lead, *row.supporting)

    for rule, one in _asked(_touched(old.leads, new.leads), known.fields):
        was, now = (outcome(decides_today(each.leads, one, known, new.valid_from)) for each in (old, new))
        if was != now:
            yield Change("lead", "lead", one, was, now, rule)


def _limits(old: RuleSetDraft, new: RuleSetDraft, stage: str, known: Known) -> Iterator[Change]:
    before, after = ([row for row in each.limits if row.stage == stage] for each in (old, new))
    for rule, one in _asked(_touched(before, after), known.fields):
        was, now = (_amount(decides_today(rows, one, known, new.valid_from)) for rows in (before, after))
        if was != now:
            yield Change("limit", stage, one, was, now, rule)


def _amount(row: LimitDraft | None) -> tuple[str, ...]:
    return () if row is None else (row.amount,)


def _asked(
    rules: Sequence[tuple[str, list[Condition]]], fields: Mapping[str, CaseField]
) -> Iterator[tuple[str, Condition]]:
    """What each rule is asked about, nothing twice."""
    seen: set[Condition] = set()
    for rule, conditions in rules:
        for one in _singly(conditions, fields):
            if one not in seen:
                seen.add(one)
                yield rule, one


def _singly(conditions: list[Condition], fields: Mapping[str, CaseField]) -> Iterator[Condition]:
    """What a rule takes, before or after, one value of each kind at a time."""
    values: dict[str, list[Any]] = {name: _values(name, conditions, fields) for name in _LISTS}
    if prod(map(len, values.values())) > MOST_ASKED:
        first = {name: next((getattr(when, name) for when in conditions), None) for name in _LISTS}
        values = {name: [each[:1] if each else None] for name, each in first.items()} | {"fields": values["fields"]}
    clear = {when.competence_clear for when in conditions}
    values["competence_clear"] = [True, False] if len(clear) > 1 else [*clear]
    values["flags"] = list(dict.fromkeys(when.flags for when in conditions))
    for each in product(*values.values()):
        yield Condition(**dict(zip(values, each, strict=True)))


def _values(name: str, conditions: list[Condition], fields: Mapping[str, CaseField]) -> list[tuple[str] | None]:
    """The values of one kind to ask about; None: nothing is said of it."""
    given: list[tuple[str, ...] | None] = [getattr(when, name) for when in conditions]
    named = [value for each in given for value in each or ()]
    if name == "fields":
        named = [value for pattern in named for value in _inside(pattern, fields) or [pattern]]
    if None not in given:
        return [(value,) for value in dict.fromkeys(named)]
    if named and name in _ALL:
        return [(value,) for value in _ALL[name]]
    return [None, *((value,) for value in dict.fromkeys(named))]


def _inside(pattern: str, fields: Mapping[str, CaseField]) -> list[str]:
    """The fields of a group, none for a single field."""
    return [code for code in fields if group_pattern(code) == pattern]


def _gathered(names: tuple[str, ...], fields: Mapping[str, CaseField]) -> tuple[str, ...]:
    """Fields by their group where the whole group is there."""
    whole = {group for group in map(group_pattern, names) if set(_inside(group, fields)) <= set(names)}
    return tuple(dict.fromkeys(group if (group := group_pattern(name)) in whole else name for name in names))


def _touched(before: Sequence[Rule], after: Sequence[Rule]) -> list[tuple[str, list[Condition]]]:
    """Codes and conditions of the rules that differ in more than words, or stand elsewhere among the others."""
    old, new = _by_code(before), _by_code(after)
    common = [code for code in new if code in old]
    moved = _moved([code for code in old if code in new], common)
    found = []
    for code, row in new.items():
        if code not in old:
            found.append((code, [row.when]))
        elif code in moved or _bare(old[code]) != _bare(row):
            found.append((code, list(dict.fromkeys((row.when, old[code].when)))))
    return found + [(code, [row.when]) for code, row in old.items() if code not in new]


def _by_code(rows: Sequence[Rule]) -> dict[str, Rule]:
    """The rules by their code, in the order in which they are asked."""
    return {row.code: row for row in in_order(tuple(rows))}


def _bare(row: Rule) -> Rule:
    """The rule without its place and its words."""
    if isinstance(row, LimitDraft):
        return replace(row, rank=0, note="", source="")
    return replace(row, rank=0, note="")


def _moved(old: list[str], new: list[str]) -> frozenset[str]:
    """Codes from the first to the last place at which two orders of the same codes differ."""
    differing = [index for index, (one, other) in enumerate(zip(old, new, strict=True)) if one != other]
    return frozenset(new[differing[0] : differing[-1] + 1]) if differing else frozenset()


def _joined(changes: Iterator[Change], fields: Mapping[str, CaseField]) -> Iterator[Change]:
    """Changes of one rule that differ in the values of one kind alone, as one."""
    found = list(changes)
    for name in _LISTS:
        groups: dict[tuple[object, ...], list[Change]] = {}
        for each in found:
            key = (each.rule, replace(each.when, **{name: None}), each.was, each.now)
            groups.setdefault(key, []).append(each)
        found = [one for group in groups.values() for one in _together(name, group)]
    for each in found:
        names = each.when.fields
        yield replace(each, when=replace(each.when, fields=_gathered(names, fields))) if names else each


def _together(name: str, group: list[Change]) -> list[Change]:
    """Changes that differ in the values of this kind alone; that nothing is said of it is a value like another."""
    values: Any = tuple(value for each in group for value in getattr(each.when, name) or ())
    said = [each for each in group if getattr(each.when, name) is not None]
    unsaid = [each for each in group if getattr(each.when, name) is None]
    if not said:
        return unsaid
    if name in _ALL and set(values) == set(_ALL[name]):
        values = None
    return [*unsaid, replace(said[0], when=replace(said[0].when, **{name: values}))]


def _settings(old: RuleSetDraft, new: RuleSetDraft) -> Iterator[Change]:
    for name in SETTINGS:
        was, now = getattr(old, name), getattr(new, name)
        if was != now:
            yield Change("setting", name, Condition(), _texts(was), _texts(now))
    for name in ("tracks", "track_fields", "track_channels"):
        before, after = _triggers(getattr(old, name)), _triggers(getattr(new, name))
        if before != after:
            gone, more = (tuple(each for each in one if each not in other) for one, other in
                          ((before, after), (after, before)))  # fmt: skip
            yield Change("setting", name, Condition(), gone, more)


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, Extension):
        limits = (("late", value.before_due), ("no_reason", value.reason_required))
        return (
            f"{value.max} × {value.max_ratio:g}",
            value.granted_by,
            *([value.beyond_by] if value.beyond_by != "nobody" else []),
            *(name for name, usual in limits if not usual),
        )
    if isinstance(value, tuple):
        return tuple(f"{each.after} → {each.to}" if isinstance(each, EscalationDraft) else each for each in value)
    return (str(value),)


def _triggers(value: Any) -> tuple[str, ...]:
    """What makes a case look like a track, one thing each: `tố cáo → denunciation`."""
    if isinstance(value, Mapping):
        return tuple(f"{what} → {track}" for what, track in value.items())
    return tuple(
        f"{mark}{phrase} → {each.track}"
        for each in value
        for mark, phrases in (("", each.phrases), ("− ", each.unless))
        for phrase in phrases
    )
