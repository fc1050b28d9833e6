"""A due time told hour by hour (`routing.telling`) in Vietnamese. A sentence that is not here stays as it is."""

import re
from datetime import date
from zoneinfo import ZoneInfo

from web.names import Lang
from web.times import weekday

_DAY = r"[A-Z][a-z]{2,8} \d{4}-\d\d-\d\d"
_SENTENCES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), told)
    for pattern, told in (
        (r"Start (?P<a>.+) \((?P<zone>[^)]+)\), limit (?P<limit>.+)\.", "Bắt đầu {a}, thời hạn {limit}."),
        (r"Due (?P<a>.+)\.", "Hết hạn {a}."),
        (r"The calendar clock runs day and night: (?P<d>.+)\.", "Tính liên tục ngày đêm: {d}."),
        (
            r"Stopped from (?P<a>.+) to (?P<b>.+): (?P<d>.+) not counted\.",
            "Dừng từ {a} đến {b}: không tính {d}.",
        ),
        (r"(?P<a>.+): the day of the start is not counted\.", "{a}: không tính ngày bắt đầu."),
        (
            r"(?P<a>.+): the clock is stopped for some of the day, not counted\.",
            "{a}: có lúc dừng trong ngày, không tính.",
        ),
        (
            r"(?P<a>.+): working day (?P<n>\d+) of (?P<of>\d+)(?P<why> \(.+\))?, closes at (?P<t>\d\d:\d\d)\.",
            "{a}: ngày làm việc thứ {n}/{of}{why}, hết giờ lúc {t}.",
        ),
        (
            r"(?P<a>.+): working day (?P<n>\d+) of (?P<of>\d+)(?P<why> \(.+\))?, ends at midnight\.",
            "{a}: ngày làm việc thứ {n}/{of}{why}, hết ngày.",
        ),
        (
            r"(?P<a>.+): working day (?P<n>\d+) of (?P<of>\d+)(?P<why> \(.+\))?\.",
            "{a}: ngày làm việc thứ {n}/{of}{why}.",
        ),
        (r"(?P<a>.+): closed after (?P<t>\d\d:\d\d)\.", "{a}: đã hết giờ làm việc lúc {t}."),
        (r"(?P<a>.+): closed, (?P<why>.+)\.", "{a}: nghỉ, {why}."),
        (r"(?P<a>.+): closed\.", "{a}: nghỉ."),
        (
            r"(?P<a>.+): the clock is stopped, (?P<d>.+) not counted\.",
            "{a}: đang dừng, không tính {d}.",
        ),
        (
            r"(?P<a>.+): (?P<d>[^:]+), (?P<used>[^:]+) of (?P<of>[^:]+) used\.",
            "{a}: {d}, cộng {used} trên {of}.",
        ),
    )
)
_WORDS = (
    (re.compile(r"\bworking hours?\b"), "giờ làm việc"),
    (re.compile(r"\bworking days?\b"), "ngày làm việc"),
    (re.compile(r"\bworking minutes?\b"), "phút làm việc"),
    (re.compile(r"\bhours?\b|\bh\b"), "giờ"),
    (re.compile(r"\bminutes?\b|\bmin\b"), "phút"),
    (re.compile(r"\bdays?\b"), "ngày"),
    (re.compile(r"(?<=\d) s\b"), " giây"),
)


def in_vietnamese(line: str, lang: Lang = "vi") -> str:
    """A line of `routing.telling` in Vietnamese."""
    for pattern, told in _SENTENCES:
        if found := pattern.fullmatch(line):
            parts = {name: _plain(value or "", lang) for name, value in found.groupdict().items()}
            return told.format(**parts)
    return line


def _plain(text: str, lang: Lang) -> str:
    text = re.sub(_DAY, lambda found: _weekday(found[0], lang), text)
    for pattern, told in _WORDS:
        text = pattern.sub(told, text)
    return text


def _weekday(text: str, lang: Lang) -> str:
    return weekday(date.fromisoformat(text[-10:]), _ANY_ZONE, lang)


_ANY_ZONE = ZoneInfo("UTC")  # a day has none
