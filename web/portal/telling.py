"""How far a report is, in plain words: what is happening, what comes next and by when, and honestly when it is late."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cases.states import OPEN
from web import times
from web.names import Lang
from web.rendering import say

STAGE_OF = {"received": "forward", "forwarded": "accept", "in_progress": "resolve", "waiting_citizen": "resolve"}


@dataclass(frozen=True, slots=True)
class Story:
    """Where a report stands: `now` what is happening, `then` what comes next and by when, `late` how late that is."""

    status: str
    now: str
    then: tuple[str, ...]
    late: str = ""


def by(moment: datetime, at: datetime, zone: ZoneInfo, lang: Lang) -> str:
    """10:30 hôm nay; 10:30 ngày mai; 10:30 thứ Ba, 24/11/2026."""
    local, today = moment.astimezone(zone), at.astimezone(zone).date()
    hour = f"{local:%H:%M}"
    if local.date() == today:
        return say(lang, "%(hour)s hôm nay", hour=hour)
    if local.date() == today + timedelta(days=1):
        return say(lang, "%(hour)s ngày mai", hour=hour)
    if local.date() == today - timedelta(days=1):
        return say(lang, "%(hour)s hôm qua", hour=hour)
    day = times.weekday(moment.astimezone(zone), zone, lang)
    return f"{hour} {day[0].lower() + day[1:] if lang == 'vi' else day}"


def promises(shown: dict[str, Any], at: datetime, zone: ZoneInfo, lang: Lang) -> list[str]:
    """What the reporter may expect of a report that has just come in."""
    told = []
    if (forward := _due(shown, "forward")) is not None:
        when = by(forward, at, zone, lang)
        told.append(say(lang, "Trung tâm 1022 xem và chuyển đến đơn vị phụ trách trước %(when)s.", when=when))
    if shown["promised_at"]:
        when = by(datetime.fromisoformat(shown["promised_at"]), at, zone, lang)
        told.append(say(lang, "Dự kiến có trả lời trước %(when)s.", when=when))
    return told


def story(shown: dict[str, Any], at: datetime, zone: ZoneInfo, lang: Lang) -> Story:
    """The state of a report in the shape for its reporter."""
    status = str(shown["status"])
    unit = shown["lead"]["name"] if shown["lead"] else say(lang, "Đơn vị có trách nhiệm")
    due = _due(shown, STAGE_OF.get(status, ""))
    promised = datetime.fromisoformat(shown["promised_at"]) if shown["promised_at"] else None
    then: list[str] = []
    if due is not None and due >= at and status in ("received", "forwarded"):
        when = by(due, at, zone, lang)
        if status == "received":
            then.append(say(lang, "Trung tâm chuyển đến đơn vị phụ trách trước %(when)s.", when=when))
        else:
            then.append(say(lang, "Đơn vị phải nhận việc trước %(when)s.", when=when))
    if promised is not None and status in OPEN and promised >= at:
        when = by(promised, at, zone, lang)
        then.append(say(lang, "Dự kiến có trả lời trước %(when)s.", when=when))
    return Story(status, _now(status, unit, lang), tuple(then), _late(status, due, promised, at, zone, lang))


def _now(status: str, unit: str, lang: Lang) -> str:
    """One sentence for each status; a name of a unit is Vietnamese in both languages."""
    sentences = {
        "received": say(lang, "Trung tâm 1022 đang xem phản ánh của anh/chị."),
        "forwarded": say(lang, "Phản ánh đã được chuyển đến %(unit)s.", unit=unit),
        "in_progress": say(lang, "%(unit)s đã nhận và đang xử lý.", unit=unit),
        "waiting_citizen": say(lang, "Cần anh/chị trả lời câu hỏi bên dưới thì mới xử lý tiếp được."),
        "answered": say(lang, "Đã có kết quả. Lãnh đạo đang kiểm tra trước khi gửi anh/chị."),
        "replied": say(lang, "Đã có trả lời. Mời anh/chị xem và cho biết đã được hay chưa."),
        "closed": say(lang, "Phản ánh đã kết thúc."),
        "refused": say(lang, "Trung tâm không tiếp nhận được phản ánh này. Lý do và hướng dẫn có ở bên dưới."),
        "redirected": say(lang, "Nội dung đã được chuyển đến cơ quan có thẩm quyền. Xem hướng dẫn ở bên dưới."),
        "merged": say(lang, "Phản ánh trùng với một phản ánh khác và được xử lý chung. Mã này vẫn dùng được."),
        "spam": say(lang, "Trung tâm không xử lý nội dung này."),
    }
    return sentences[status]


def _late(
    status: str, due: datetime | None, promised: datetime | None, at: datetime, zone: ZoneInfo, lang: Lang
) -> str:
    """What was promised and has not happened; the promise of an answer weighs more than the step before it."""
    if status not in OPEN:
        return ""
    if promised is not None and promised < at:
        when, late = by(promised, at, zone, lang), times.span(at - promised, lang)
        return say(lang, "Lẽ ra đã có trả lời trước %(when)s, nay trễ %(late)s.", when=when, late=late)
    if due is not None and due < at:
        when, late = by(due, at, zone, lang), times.span(at - due, lang)
        return say(lang, "Bước này lẽ ra phải xong trước %(when)s, nay trễ %(late)s.", when=when, late=late)
    return ""


def _due(shown: dict[str, Any], stage: str) -> datetime | None:
    """When the running clock of a stage ends; a stopped or finished one has none."""
    running = [each for each in shown["limits"] if each["stage"] == stage and not each["met_at"] and each["due_at"]]
    return datetime.fromisoformat(running[-1]["due_at"]) if running else None
