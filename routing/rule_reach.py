"""What a rule set says to no effect, and what it says nothing about. Pure.

Beside `rule_check`: fields that only the catch-all reaches, roles nobody has, and a calendar that is not used.
"""

from collections.abc import Iterator, Mapping

from routing.calendars import BadCalendar, parse_calendar
from routing.decide import CaseField, Condition, in_patterns
from routing.rule_drafts import RuleSetDraft
from routing.rule_known import ROLES
from routing.rule_problems import Problem
from routing.working_time import Calendar

_USUAL_CALENDAR = ("tz", "week", "holidays", "overrides")


def fields_without_rule(draft: RuleSetDraft, fields: Mapping[str, CaseField]) -> Iterator[Problem]:
    """Fields in use that no lead rule but the catch-all reaches. A set that tells no fields apart means to."""
    if not any(rule.when.fields for rule in draft.leads):
        return
    without = [
        code
        for code, known in sorted(fields.items())
        if (known.valid_to is None or known.valid_to > draft.valid_from)
        and not any(_reaches(rule.when, code) for rule in draft.leads)
    ]
    if without:
        some = ", ".join(fields[code].name for code in without[:5]) + (" …" if len(without) > 5 else "")
        vi = f"{len(without)} lĩnh vực chưa có quy tắc chủ trì riêng nên rơi vào quy tắc bao trùm: {some}."
        en = f"{len(without)} fields have no lead rule of their own and fall to the catch-all: {some}."
        yield Problem("field_without_rule", "leads", vi, en, "warning")


def _reaches(when: Condition, field: str) -> bool:
    if when.fields is not None:
        return in_patterns(field, when.fields)
    # Rules for a track or a kind take few of a field's cases; one by area or owner is a rule for whoever is there.
    return when != Condition() and when.tracks is None and when.kinds is None


def unknown_roles(draft: RuleSetDraft) -> Iterator[Problem]:
    """Steps of the escalation ladder that nobody would hear."""
    for index, step in enumerate(draft.escalate):
        if step.to not in ROLES:
            known = ", ".join(ROLES)
            vi = f"Bậc báo cáo {index + 1}: không có vai “{step.to}”; chỉ dùng {known}."
            en = f"Step {index + 1} of the ladder: there is no role “{step.to}”; use {known}."
            yield Problem("unknown_role", f"escalate[{index}]", vi, en)


def unused_calendar(draft: RuleSetDraft, province: Calendar) -> Iterator[Problem]:
    """A calendar in the text other than the province's, by which everything is counted whatever the text says."""
    try:
        written = parse_calendar(draft.calendar)
    except BadCalendar:
        return  # told already
    own_days = any(key not in _USUAL_CALENDAR for key in draft.calendar)
    if written.week == province.week and written.zone.key == province.zone.key and not own_days:
        return
    vi = (
        "Mục calendar của văn bản khác lịch của tỉnh và không có tác dụng: thời hạn luôn tính theo trang Lịch làm "
        "việc. Muốn đổi giờ làm việc, ngày nghỉ thì sửa ở trang đó."
    )
    en = (
        "The member calendar differs from the province's calendar and has no effect: limits are always counted by the "
        "page Working calendars. Change hours and days off there."
    )
    yield Problem("calendar_unused", "calendar", vi, en, "warning")
