"""Limits longer than the law allows. Pure but for reading `seed/law.yaml`, which names each source.

Compared is the time that passes on the wall clock at the most in weeks without holidays: 11 working days may take 17
days.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import yaml

from routing.calendars import SEED
from routing.decide import Condition
from routing.rule_drafts import LimitDraft, RuleSetDraft
from routing.rule_problems import Problem
from routing.working_time import Amount, BadAmount

_MINUTES = {"min": 1, "h": 60, "d": 1440}
_DAYS_A_WEEK, _HOURS_A_DAY = 5, 8  # of work, as the Labour Code has them; only to compare


@dataclass(frozen=True, slots=True)
class LawLimit:
    """The longest that a stage of a track, or a setting, may be, and who says so."""

    code: str
    most: Amount
    source: str
    certain: bool  # False where the text may have been replaced: a warning then
    stage: str = ""
    track: str = ""
    setting: str = ""


@cache
def law() -> tuple[LawLimit, ...]:
    """What `seed/law.yaml` states."""
    document: dict[str, list[dict[str, Any]]] = yaml.safe_load((SEED / "law.yaml").read_text(encoding="utf-8"))
    rows = [*document["limits"], *document["settings"]]
    return tuple(LawLimit(**{**row, "most": Amount.parse(row["most"])}) for row in rows)


def over_the_law(draft: RuleSetDraft) -> Iterator[Problem]:
    """A problem for every limit or setting that may take longer than the law allows."""
    for each in law():
        if each.setting:
            written = str(getattr(draft, each.setting))
            if _longer(written, each.most):
                yield _problem(each, each.setting, f"Mục {each.setting}", f"Member {each.setting}", written)
            continue
        for rule in _of_track(draft, each.stage, each.track):
            if _longer(rule.amount, each.most):
                yield _problem(each, rule.code, f"Quy tắc {rule.code}", f"Rule {rule.code}", rule.amount)


def _of_track(draft: RuleSetDraft, stage: str, track: str) -> Iterator[LimitDraft]:
    """The limits that a case of this track may get: those before, and the one that takes every case of it."""
    for rule in sorted((rule for rule in draft.limits if rule.stage == stage), key=lambda rule: rule.rank):
        if rule.when.tracks is not None and track not in rule.when.tracks:
            continue
        yield rule
        if rule.when in (Condition(), Condition(tracks=rule.when.tracks)):
            return


def _longer(written: str, most: Amount) -> bool:
    try:
        return _elapsed(Amount.parse(written)) > _elapsed(most)
    except BadAmount:
        return False


def _elapsed(amount: Amount) -> int:
    """Minutes that pass at the most in weeks without holidays."""
    if amount.clock == "calendar":
        return amount.value * _MINUTES[amount.unit]
    days = amount.value if amount.unit == "d" else -(-amount.value * _MINUTES[amount.unit] // (_HOURS_A_DAY * 60))
    weekends = -(-days // _DAYS_A_WEEK)
    return (days + 2 * weekends) * _MINUTES["d"]


def _problem(law: LawLimit, where: str, vi: str, en: str, written: str) -> Problem:
    severity: Literal["error", "warning"] = "error" if law.certain else "warning"
    maybe = ("", "") if law.certain else (" (văn bản có thể đã được thay thế)", " (which may have been replaced)")
    return Problem(
        "over_the_law",
        where,
        f"{vi}: {written} có thể dài hơn mức {law.most} mà {law.source} cho phép{maybe[0]}.",
        f"{en}: {written} may be longer than the {law.most} that {law.source} allows{maybe[1]}.",
        severity,
    )
