"""Times on pages: days and hours of the centre's zone, and how long is left. Pure; `at` is the moment of asking."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from web.names import Lang

SOON = timedelta(hours=2)
_WEEKDAYS = {
    "vi": ("Thứ Hai", "Thứ Ba", "Thứ Tư", "Thứ Năm", "Thứ Sáu", "Thứ Bảy", "Chủ nhật"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}


def day(moment: datetime | date, zone: ZoneInfo) -> str:
    """22/11/2026."""
    local = moment.astimezone(zone) if isinstance(moment, datetime) else moment
    return f"{local:%d/%m/%Y}"


def weekday(moment: datetime | date, zone: ZoneInfo, lang: Lang) -> str:
    """Chủ nhật, 22/11/2026."""
    local = moment.astimezone(zone).date() if isinstance(moment, datetime) else moment
    return f"{_WEEKDAYS[lang][local.weekday()]}, {local:%d/%m/%Y}"


def moment(value: datetime, zone: ZoneInfo) -> str:
    """22/11/2026 08:52."""
    return f"{value.astimezone(zone):%d/%m/%Y %H:%M}"


def short(value: datetime, zone: ZoneInfo, at: datetime) -> str:
    """08:52 today, 21/11 08:52 this year, 21/11/2025 before."""
    local, now = value.astimezone(zone), at.astimezone(zone)
    if local.date() == now.date():
        return f"{local:%H:%M}"
    return f"{local:%d/%m %H:%M}" if local.year == now.year else f"{local:%d/%m/%Y}"


def span(length: timedelta, lang: Lang) -> str:
    """38 phút; 2 giờ 5 phút; 3 ngày 4 giờ: the two largest parts, rounded down to the minute."""
    minutes = int(abs(length).total_seconds()) // 60
    days, hours, minutes = minutes // 1440, minutes % 1440 // 60, minutes % 60
    named = zip(
        (days, hours, minutes),
        ("ngày", "giờ", "phút") if lang == "vi" else ("d", "h", "min"),
        strict=True,
    )
    parts = [f"{count} {unit}" for count, unit in named if count]
    return " ".join(parts[:2]) or ("dưới 1 phút" if lang == "vi" else "under 1 min")


def left(due: datetime, at: datetime, lang: Lang) -> str:
    """Còn 38 phút, or Quá hạn 14 phút."""
    told = span(due - at, lang)
    if due < at:
        return f"Quá hạn {told}" if lang == "vi" else f"{told} overdue"
    return f"Còn {told}" if lang == "vi" else f"{told} left"


def tone(due: datetime, at: datetime, opened: datetime | None = None) -> str:
    """late once overdue; warn within the shorter of two hours and a fifth of the term; else calm."""
    if due < at:
        return "late"
    soon = min(SOON, (due - opened) / 5) if opened else SOON
    return "warn" if due - at <= soon else "calm"
