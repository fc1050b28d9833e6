"""What the forms of the rule desk say: a row, the settings, the head of a set, read from a page and shown in it."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from core.errors import Invalid
from routing.decide import STAGES, Condition, Extension
from routing.editing.rule_sets import DAYS
from routing.rule_drafts import CONDITION_LISTS, EscalationDraft, LeadDraft, LimitDraft, RuleSetDraft
from routing.working_time import Amount, BadAmount
from web.pages import Form

AMOUNTS = ("close_after", "reopen_within", "progress_when_late_every", "directive_review_within")
STEPS = 5  # of the escalation ladder, as many as the form shows
_LONGEST, _MOST = 500, 200  # characters of a text, values of a condition
_CLEAR = {"true": True, "false": False}


def limit_of(form: Form) -> LimitDraft:
    """The limit a form describes. Invalid names each member that does not fit."""
    stage = form.text("stage")
    if stage not in STAGES:
        raise Invalid.at("stage", "Chọn một bước.", "Choose a stage.", "missing")
    return LimitDraft(
        code="",
        stage=stage,
        amount=_amount(form, "amount"),
        when=condition_of(form),
        note=text_of(form, "note"),
        source=text_of(form, "source"),
    )


def lead_of(form: Form) -> LeadDraft:
    """The lead rule a form describes. Invalid names each member that does not fit."""
    lead = text_of(form, "lead")
    if not lead:
        raise Invalid.at("lead", "Chọn đơn vị chủ trì.", "Choose who leads.", "missing")
    supporting = _values(form, "supporting")
    return LeadDraft(
        code="",
        lead=lead,
        when=condition_of(form),
        supporting=tuple(unit for unit in supporting if unit != lead),
        note=text_of(form, "note"),
    )


def condition_of(form: Form) -> Condition:
    """What is ticked and chosen; nothing of a kind means any."""
    lists = {key: _values(form, key) or None for key in CONDITION_LISTS}
    return Condition(**lists, competence_clear=_CLEAR.get(form.text("competence_clear")))


def settings_of(form: Form, draft: RuleSetDraft) -> dict[str, Any]:
    """The members of SETTINGS a form gives."""
    remind = [share.strip() for share in form.text("remind").replace(";", ",").split(",") if share.strip()]
    ladder = [
        EscalationDraft(_amount(form, f"after-{step}", where="escalate"), form.text(f"to-{step}"))
        for step in range(STEPS)
        if form.text(f"after-{step}-value") or form.text(f"to-{step}")
    ]
    return {
        "remind": tuple(share if share.endswith("%") else f"{share}%" for share in remind),
        "escalate": tuple(ladder),
        "extend": Extension(
            max=_number(form, "extend_max", 0, 20),
            max_ratio=_number(form, "extend_share", 0, 1000) / 100,
            before_due=draft.extend.before_due,
            reason_required=draft.extend.reason_required,
            granted_by=form.text("extend_by"),
            beyond_by=form.text("extend_beyond"),
        ),
        "stop_while_waiting": _values(form, "stop_while_waiting"),
        "day_end": form.text("day_end"),
        "approve_by": form.text("approve_by"),
        "give_backs_before_supervisor": _number(form, "give_backs_before_supervisor", 1, 20),
        **{name: _amount(form, name) for name in AMOUNTS},
    }


def head_members(form: Form) -> dict[str, Any]:
    """First and last day, source and note."""
    valid_from, valid_to = first_day(form), day_of(form, "valid_to")
    if valid_to is not None and valid_to <= valid_from:
        raise Invalid.at(
            "valid_to", "Ngày này phải sau ngày bắt đầu áp dụng.", "It must be later than the first day.", "too_early"
        )
    return {
        "valid_from": valid_from,
        "valid_to": valid_to,
        "source": text_of(form, "source"),
        "note": text_of(form, "note"),
    }


def first_day(form: Form) -> date:
    """From which day a set is to hold. Invalid without one."""
    day = day_of(form, "valid_from")
    if day is None:
        raise Invalid.at("valid_from", "Chọn ngày bắt đầu áp dụng.", "Choose the first day.", "missing")
    return day


def day_of(form: Form, name: str) -> date | None:
    """A day as browsers send it; None where the box is empty."""
    written = form.text(name)
    if not written:
        return None
    try:
        day = date.fromisoformat(written)
    except ValueError:
        day = date.min
    if not DAYS[0] <= day <= DAYS[1]:
        raise Invalid.at(name, "Ngày không hợp lệ.", "Not a day.", "date")
    return day


def shown_limit(row: LimitDraft) -> dict[str, Any]:
    """A limit as its form shows it."""
    return {
        **shown_condition(row.when),
        **shown_amount("amount", row.amount),
        "stage": row.stage,
        "note": row.note,
        "source": row.source,
    }


def shown_lead(row: LeadDraft) -> dict[str, Any]:
    """A lead rule as its form shows it."""
    return {**shown_condition(row.when), "lead": row.lead, "supporting": list(row.supporting), "note": row.note}


def shown_condition(when: Condition) -> dict[str, Any]:
    """A condition as lists of values."""
    clear = "" if when.competence_clear is None else str(when.competence_clear).lower()
    return {**{key: list(getattr(when, key) or ()) for key in CONDITION_LISTS}, "competence_clear": clear}


def shown_amount(name: str, written: str) -> dict[str, str]:
    """An amount as number, unit and clock; as one text where it cannot be read."""
    try:
        amount = Amount.parse(written)
    except BadAmount:
        return {f"{name}-value": written, f"{name}-unit": "d", f"{name}-clock": "working"}
    return {f"{name}-value": str(amount.value), f"{name}-unit": amount.unit, f"{name}-clock": amount.clock}


def shown_settings(draft: RuleSetDraft) -> dict[str, Any]:
    """The settings as their form shows them."""
    values: dict[str, Any] = {
        "remind": ", ".join(draft.remind),
        "day_end": draft.day_end,
        "approve_by": draft.approve_by,
        "give_backs_before_supervisor": str(draft.give_backs_before_supervisor),
        "extend_max": str(draft.extend.max),
        "extend_share": f"{draft.extend.max_ratio * 100:g}",
        "extend_by": draft.extend.granted_by,
        "extend_beyond": draft.extend.beyond_by,
        "stop_while_waiting": list(draft.stop_while_waiting),
    }
    for name in AMOUNTS:
        values |= shown_amount(name, getattr(draft, name))
    for step in range(STEPS):
        known = draft.escalate[step] if step < len(draft.escalate) else None
        values |= shown_amount(f"after-{step}", known.after if known else "")
        values[f"to-{step}"] = known.to if known else ""
    return values


def typed(form: Form, blank: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed into a form that begins as `blank`, to be shown again: lists for what may be several."""
    return {name: form.all(name) if isinstance(value, list) else form.text(name) for name, value in blank.items()}


def _amount(form: Form, name: str, *, where: str = "") -> str:
    """`2d/working` from a number, a unit and a clock; Invalid at `name` where they are none."""
    written = f"{form.text(f'{name}-value')}{form.text(f'{name}-unit')}/{form.text(f'{name}-clock')}"
    try:
        amount = Amount.parse(written)
    except BadAmount:
        amount = Amount(0, "d", "calendar")
    if amount.value <= 0:
        vi, en = (
            "Viết một số nguyên lớn hơn 0, nhiều nhất mười năm.",
            "Write a whole number above 0, at most ten years.",
        )
        raise Invalid.at(where or name, vi, en, "amount")
    return str(amount)


def _number(form: Form, name: str, least: int, most: int) -> int:
    written = form.text(name)
    if not (written.isascii() and written.isdigit() and len(written) <= 6 and least <= int(written) <= most):
        raise Invalid.at(
            name, f"Viết một số từ {least} đến {most}.", f"Write a number from {least} to {most}.", "number"
        )
    return int(written)


def text_of(form: Form, name: str) -> str:
    """A text as it was typed. Invalid when it is too long to keep."""
    written = form.text(name)
    if len(written) > _LONGEST or "\x00" in written:
        raise Invalid.at(name, f"Nhiều nhất {_LONGEST} ký tự.", f"At most {_LONGEST} characters.", "too_long")
    return written


def _values(form: Form, name: str) -> tuple[str, ...]:
    values = tuple(dict.fromkeys(form.all(name)))
    if len(values) > _MOST or any(len(value) > 100 or "\x00" in value for value in values):
        raise Invalid.at(name, "Có giá trị không hợp lệ.", "A value does not fit.", "value")
    return values


BLANK_LIMIT = shown_limit(LimitDraft("", "resolve", ""))
BLANK_LEAD = shown_lead(LeadDraft("", ""))
BLANK_SETTINGS = shown_settings(RuleSetDraft("", 1, date.min))
BLANK_HEAD = {"valid_from": "", "valid_to": "", "source": "", "note": ""}
