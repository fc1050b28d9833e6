"""From a rule set as written to the rulebook that decides. Pure."""

from collections.abc import Mapping
from typing import Any, TypeVar

from routing.calendars import BadCalendar, parse_calendar
from routing.decide import CaseField, EscalationStep, LeadRule, LimitRule, Rulebook
from routing.directory import Directory, Selector
from routing.rule_drafts import RuleSetDraft, read_share
from routing.rulesets import BadRuleSet
from routing.tracks import TrackTriggers
from routing.working_time import Amount

T = TypeVar("T")


def build(draft: RuleSetDraft, directory: Directory, fields: Mapping[str, CaseField]) -> Rulebook:
    """The rulebook of a draft. BadRuleSet when an amount, selector, share or the calendar cannot be read.

    A draft that passes `rule_check.check` can always be built.
    """
    problems: list[str] = []

    def read(where: str, reading: Any, text: str, otherwise: T) -> T:
        try:
            value: T = reading(text)
        except ValueError as error:
            problems.append(f"{where}: {error}")
            return otherwise
        return value

    nothing, nobody = Amount(0, "min", "calendar"), Selector("kind", "centre")

    def amount(where: str, text: str) -> Amount:
        return read(where, Amount.parse, text, nothing)

    leads = tuple(
        LeadRule(
            rule.code,
            rule.rank,
            rule.when,
            read(rule.code, Selector.parse, rule.lead, nobody),
            tuple(read(rule.code, Selector.parse, selector, nobody) for selector in rule.supporting),
            rule.note,
        )
        for rule in draft.leads
    )
    limits = tuple(
        LimitRule(rule.code, rule.stage, rule.rank, rule.when, amount(rule.code, rule.amount), rule.note, rule.source)
        for rule in draft.limits
    )
    remind = tuple(read("remind", read_share, text, 1.0) for text in draft.remind)
    escalate = tuple(EscalationStep(amount("escalate", step.after), step.to) for step in draft.escalate)
    windows = {
        key: amount(key, getattr(draft, key))
        for key in ("close_after", "reopen_within", "progress_when_late_every", "directive_review_within")
    }
    if draft.day_end not in ("close", "midnight"):
        problems.append("day_end: must be close or midnight")
    if draft.approve_by not in ("head", "centre"):
        problems.append("approve_by: must be head or centre")
    try:
        calendar = parse_calendar(draft.calendar, code=draft.code)
    except BadCalendar as error:
        raise BadRuleSet([*problems, *(f"calendar.{problem}" for problem in error.problems)]) from None
    if problems:
        raise BadRuleSet(problems)
    by_field = {code: known.track for code, known in fields.items() if known.track is not None}
    return Rulebook(
        code=draft.code,
        version=draft.version,
        valid_from=draft.valid_from,
        valid_to=draft.valid_to,
        directory=directory,
        calendar=calendar,
        fields=fields,
        leads=leads,
        limits=limits,
        tracks=TrackTriggers(draft.tracks, {**by_field, **draft.track_fields}, draft.track_channels),
        note=draft.note,
        source=draft.source,
        remind=remind,
        escalate=escalate,
        extend=draft.extend,
        stop_while_waiting=draft.stop_while_waiting,
        day_end="midnight" if draft.day_end == "midnight" else "close",
        approve_by="centre" if draft.approve_by == "centre" else "head",
        give_backs_before_supervisor=draft.give_backs_before_supervisor,
        **windows,
    )
