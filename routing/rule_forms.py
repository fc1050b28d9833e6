"""A rule set edited one row at a time: a draft and what a form says in, the draft after it out.

Pure; a row is found by its code. KeyError for a code that the draft has not. What a form says may be wrong: that is
left to `rule_check`, and the row is kept with its fault so that it can be put right.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

from routing.decide import MODES, URGENCIES, CaseField, Condition, Facts
from routing.directory import Directory
from routing.rule_drafts import LeadDraft, LimitDraft, RuleSetDraft
from routing.tracks import TRACKS

Rule = LeadDraft | LimitDraft
Row = TypeVar("Row", bound=Rule)
SETTINGS = (
    "remind", "escalate", "extend", "stop_while_waiting", "day_end", "approve_by", "give_backs_before_supervisor",
    "close_after", "reopen_within", "progress_when_late_every", "directive_review_within",
)  # fmt: skip
NOON = datetime(2000, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Known:
    """What rules speak of: the fields of the second level, departments and areas."""

    fields: Mapping[str, CaseField]
    directory: Directory


def lead_row(draft: RuleSetDraft, code: str) -> LeadDraft:
    """The lead rule of this code."""
    return _found(draft.leads, code)


def limit_row(draft: RuleSetDraft, code: str) -> LimitDraft:
    """The limit rule of this code."""
    return _found(draft.limits, code)


def shown(draft: RuleSetDraft, part: str, code: str | None = None) -> object:
    """What the form of a part shows: `limit` and `lead` a row but for its place, which others' rows move; None for a
    new one; `settings`, `head`.
    """
    if part == "settings":
        return [getattr(draft, name) for name in SETTINGS]
    if part == "head":
        return draft.valid_from, draft.valid_to, draft.source, draft.note
    if code is None:
        return None
    return replace(lead_row(draft, code) if part == "lead" else limit_row(draft, code), rank=0)


def put_lead(draft: RuleSetDraft, row: LeadDraft, was: str | None, known: Known) -> RuleSetDraft:
    """The draft with this lead rule in the place of `was`, or as a new one just before the rule that decides today.

    A new row's code is made here. The place is the one where it takes what it names and nothing else changes.
    """
    if was is not None:
        old = _found(draft.leads, was)
        return replace(draft, leads=_instead(draft.leads, was, replace(row, code=was, rank=old.rank)))
    row = replace(row, code=free_code(draft, _stem("lead", row.when)))
    return replace(
        draft, leads=_before(draft.leads, row, decides_today(draft.leads, row.when, known, draft.valid_from))
    )


def put_limit(draft: RuleSetDraft, row: LimitDraft, was: str | None, known: Known) -> RuleSetDraft:
    """As `put_lead`, for a limit; one that is moved to another stage takes its place there as a new one would."""
    if was is not None:
        old = _found(draft.limits, was)
        if old.stage == row.stage:
            return replace(draft, limits=_instead(draft.limits, was, replace(row, code=was, rank=old.rank)))
        rest = tuple(each for each in draft.limits if each.code != was)
        row = replace(row, code=was)
    else:
        rest, row = draft.limits, replace(row, code=free_code(draft, _stem(row.stage, row.when)))
    peers = [each for each in rest if each.stage == row.stage]
    return replace(draft, limits=_before(rest, row, decides_today(peers, row.when, known, draft.valid_from)))


def drop_rule(draft: RuleSetDraft, code: str) -> RuleSetDraft:
    """The draft without the rule of this code."""
    if any(row.code == code for row in draft.leads):
        return replace(draft, leads=tuple(row for row in draft.leads if row.code != code))
    _found(draft.limits, code)
    return replace(draft, limits=tuple(row for row in draft.limits if row.code != code))


def move(draft: RuleSetDraft, code: str, *, up: bool) -> RuleSetDraft:
    """The draft with this rule asked one step earlier or later among its own kind; the same where there is no step."""
    if any(row.code == code for row in draft.leads):
        return replace(draft, leads=_swapped(draft.leads, code, up, lambda row: True))
    stage = _found(draft.limits, code).stage
    return replace(draft, limits=_swapped(draft.limits, code, up, lambda row: row.stage == stage))


def put_settings(draft: RuleSetDraft, values: dict[str, Any]) -> RuleSetDraft:
    """The draft with these members of SETTINGS. KeyError for any other."""
    for name in values:
        if name not in SETTINGS:
            raise KeyError(name)
    return replace(draft, **values)


def put_head(draft: RuleSetDraft, *, valid_from: date, valid_to: date | None, source: str, note: str) -> RuleSetDraft:
    """The draft with these dates and words."""
    return replace(draft, valid_from=valid_from, valid_to=valid_to, source=source, note=note)


def next_version(draft: RuleSetDraft, version: int, valid_from: date, source: str) -> RuleSetDraft:
    """A copy that is to hold from a later day on, without an end; the source stays where none is named."""
    return replace(draft, version=version, valid_from=valid_from, valid_to=None, source=source or draft.source)


def next_monday(today: date) -> date:
    """The Monday after this day, when changes of rules mostly begin."""
    return today + timedelta(days=7 - today.weekday())


def all_rules(draft: RuleSetDraft) -> list[Rule]:
    """Every rule of the draft, who leads before how long."""
    return [*draft.leads, *draft.limits]


def in_order(rows: tuple[Row, ...]) -> list[Row]:
    """The rules as they are asked: by rank, then in the order of writing."""
    return sorted(rows, key=lambda row: row.rank)


def decides_today(rows: Sequence[Row], when: Condition, known: Known, on: date) -> Row | None:
    """The first rule that on this day takes an ordinary case of which `when` is true; None where none does."""
    facts = witness(when, known.fields)
    lineage = known.directory.lineage(facts.area, on) | frozenset(when.areas or ())  # also an area that is not known
    return next((row for row in sorted(rows, key=lambda row: row.rank) if not row.when.misses(facts, lineage)), None)


def witness(when: Condition, fields: Mapping[str, CaseField]) -> Facts:
    """An ordinary case of which the condition is true: of its first field, as urgent as such cases mostly are."""
    name = pattern = next(iter(when.fields or ()), None)
    if pattern is not None and pattern.endswith(".*"):
        name = next((code for code in sorted(fields) if code.startswith(pattern[:-1])), pattern.replace(".*", "."))
    known = fields.get(name or "")
    urgency = known.urgency if known is not None else "normal"
    return Facts(
        received_at=NOON,
        field=name,
        urgency=_one(when.urgencies, urgency, URGENCIES),
        kind=_one(when.kinds, known.kind if known is not None else "report"),
        track=_one(when.tracks, "ordinary", TRACKS),
        area=next(iter(when.areas or ()), None),
        channel=_one(when.channels, "web"),
        mode=_one(when.modes, "normal", MODES),
        competence_clear=True if when.competence_clear is None else when.competence_clear,
        asset_owner=next(iter(when.asset_owners or ()), None),
        road_class=next(iter(when.road_classes or ()), None),
        flags=frozenset(when.flags or ()),
    )


def free_code(draft: RuleSetDraft, stem: str) -> str:
    """The stem, with a number where it is taken."""
    taken = {row.code for row in all_rules(draft)}
    return next(code for n in range(1, len(taken) + 2) if (code := stem if n == 1 else f"{stem}-{n}") not in taken)


def _one(asked: tuple[str, ...] | None, usual: str, known: Sequence[str] = ()) -> str:
    """What is usual where the condition allows it, else the first that it does and that a case can be."""
    if not asked or usual in asked:
        return usual
    return next((value for value in asked if not known or value in known), usual)


def _stem(kind: str, when: Condition) -> str:
    """`resolve-infra-light`: what the rule is and the first that it asks."""
    asked = (when.fields, when.tracks, when.urgencies, when.modes, when.kinds, when.channels, when.areas)
    first = next((values[0] for values in asked if values), "all")
    return f"{kind}-{re.sub('[^a-z0-9]+', '-', first.lower()).strip('-')}"


def _found(rows: tuple[Row, ...], code: str) -> Row:
    for row in rows:
        if row.code == code:
            return row
    raise KeyError(code)


def _instead(rows: tuple[Row, ...], code: str, row: Row) -> tuple[Row, ...]:
    return tuple(row if each.code == code else each for each in rows)


def _before(rows: tuple[Row, ...], row: Row, other: Row | None) -> tuple[Row, ...]:
    """The row just before another; last of all where there is none."""
    if other is None:
        return (*rows, replace(row, rank=max((each.rank for each in rows), default=100)))
    at = rows.index(other)
    return (*rows[:at], replace(row, rank=other.rank), *rows[at:])


def _swapped(rows: tuple[Row, ...], code: str, up: bool, peer: Callable[[Row], bool]) -> tuple[Row, ...]:
    """The rule and its neighbour in each other's place: rank and order of writing, which together say who is first."""
    order = [row for row in in_order(rows) if peer(row)]
    here = next(index for index, row in enumerate(order) if row.code == code)
    there = here - 1 if up else here + 1
    if not 0 <= there < len(order):
        return rows
    one, other = order[here], order[there]
    places = {one.code: replace(other, rank=one.rank), other.code: replace(one, rank=other.rank)}
    return tuple(places.get(row.code, row) for row in rows)
