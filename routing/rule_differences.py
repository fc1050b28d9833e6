"""What another rule set would change for cases: by what it decides, not by how it is written. Pure.

Each rule that was added, taken out, changed or moved is asked about an ordinary case of each field it names: what it
got before and what it would get; a group is asked field by field. Rules that read differently and decide the same say
nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from routing.decide import STAGES, CaseField, Condition, group_pattern
from routing.rule_drafts import LeadDraft, LimitDraft, RuleSetDraft
from routing.rule_forms import SETTINGS, Rule, decides_today, in_order


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


def differences(old: RuleSetDraft, new: RuleSetDraft, fields: Mapping[str, CaseField]) -> tuple[Change, ...]:
    """What changes for cases and settings from one set to the other, stage by stage."""
    found = list(_joined(_leads(old, new, fields), fields))
    for stage in STAGES:
        found += _joined(_limits(old, new, stage, fields), fields)
    return (*found, *_settings(old, new))


def _leads(old: RuleSetDraft, new: RuleSetDraft, fields: Mapping[str, CaseField]) -> Iterator[Change]:
    def outcome(row: LeadDraft | None) -> tuple[str, ...]:
        return () if row is None else (row.lead, *row.supporting)

    for rule, one in _asked(_touched(old.leads, new.leads), fields):
        was, now = (outcome(decides_today(each.leads, one, fields)) for each in (old, new))
        if was != now:
            yield Change("lead", "lead", one, was, now, rule)


def _limits(old: RuleSetDraft, new: RuleSetDraft, stage: str, fields: Mapping[str, CaseField]) -> Iterator[Change]:
    before, after = ([row for row in each.limits if row.stage == stage] for each in (old, new))
    for rule, one in _asked(_touched(before, after), fields):
        was, now = (_amount(decides_today(rows, one, fields)) for rows in (before, after))
        if was != now:
            yield Change("limit", stage, one, was, now, rule)


def _amount(row: LimitDraft | None) -> tuple[str, ...]:
    return () if row is None else (row.amount,)


def _asked(rows: Sequence[tuple[str, Condition]], fields: Mapping[str, CaseField]) -> Iterator[tuple[str, Condition]]:
    """Each condition once for each field it names, itself or by its group."""
    seen: set[Condition] = set()
    for rule, when in rows:
        names = [name for pattern in when.fields or () for name in _inside(pattern, fields) or [pattern]]
        for one in [replace(when, fields=(name,)) for name in names] or [when]:
            if one not in seen:
                seen.add(one)
                yield rule, one


def _inside(pattern: str, fields: Mapping[str, CaseField]) -> list[str]:
    """The fields of a group, none for a single field."""
    return [code for code in fields if group_pattern(code) == pattern]


def _gathered(names: tuple[str, ...], fields: Mapping[str, CaseField]) -> tuple[str, ...]:
    """Fields by their group where the whole group is there."""
    whole = {group for group in map(group_pattern, names) if set(_inside(group, fields)) <= set(names)}
    return tuple(dict.fromkeys(group if (group := group_pattern(name)) in whole else name for name in names))


def _touched(before: Sequence[Rule], after: Sequence[Rule]) -> list[tuple[str, Condition]]:
    """Codes and conditions of the rules that differ in more than words, or stand elsewhere among the others."""
    old, new = _by_code(before), _by_code(after)
    common = [code for code in new if code in old]
    moved = _moved([code for code in old if code in new], common)
    found = []
    for code, row in new.items():
        if code not in old or code in moved or _bare(old[code]) != _bare(row):
            found.append((code, row.when))
    for code, row in old.items():
        if code not in new or row.when != new[code].when:
            found.append((code, row.when))
    return found


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
    """Changes of one rule that differ in their field alone, as one."""
    groups: dict[tuple[object, ...], Change] = {}
    for each in changes:
        key = (each.rule, replace(each.when, fields=None), each.was, each.now)
        known = groups.get(key)
        if known is None or not (known.when.fields and each.when.fields):
            groups[(*key, len(groups)) if known is not None else key] = each
        else:
            together = (*known.when.fields, *each.when.fields)
            groups[key] = replace(known, when=replace(known.when, fields=together))
    for each in groups.values():
        names = each.when.fields
        yield replace(each, when=replace(each.when, fields=_gathered(names, fields))) if names else each


def _settings(old: RuleSetDraft, new: RuleSetDraft) -> Iterator[Change]:
    for name in SETTINGS:
        was, now = getattr(old, name), getattr(new, name)
        if was != now:
            yield Change("setting", name, Condition(), _texts(was), _texts(now))


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, tuple):
        return tuple(f"{each.after} → {each.to}" if hasattr(each, "after") else str(each) for each in value)
    if hasattr(value, "granted_by"):
        return (f"{value.max} × {value.max_ratio:g}", value.granted_by)  # type: ignore[attr-defined]
    return (str(value),)
