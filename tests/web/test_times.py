"""Times as pages tell them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web import times

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
AT = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)  # Sunday 09:30 in Bình Phước


@pytest.mark.parametrize(
    ("minutes", "vi", "en"),
    [
        (38, "Còn 38 phút", "38 min left"),
        (125, "Còn 2 giờ 5 phút", "2 h 5 min left"),
        (120, "Còn 2 giờ", "2 h left"),
        (24 * 60 * 3 + 60 * 4 + 9, "Còn 3 ngày 4 giờ", "3 d 4 h left"),
        (0, "Còn dưới 1 phút", "under 1 min left"),
        (-14, "Quá hạn 14 phút", "14 min overdue"),
        (-24 * 60, "Quá hạn 1 ngày", "1 d overdue"),
    ],
)
def test_how_long_is_left(minutes: int, vi: str, en: str):
    due = AT + timedelta(minutes=minutes)
    assert times.left(due, AT, "vi") == vi
    assert times.left(due, AT, "en") == en


@pytest.mark.parametrize(
    ("left", "term", "tone"),
    [
        (timedelta(seconds=-1), None, "late"),
        (timedelta(0), None, "warn"),
        (timedelta(hours=2), None, "warn"),
        (timedelta(hours=2, seconds=1), None, "calm"),
        (timedelta(minutes=20), timedelta(hours=1), "calm"),  # a fifth of an hour is twelve minutes
        (timedelta(minutes=12), timedelta(hours=1), "warn"),
        (timedelta(hours=3), timedelta(days=10), "calm"),
    ],
)
def test_what_is_soon_depends_on_the_term(left: timedelta, term: timedelta | None, tone: str):
    due = AT + left
    assert times.tone(due, AT, due - term if term else None) == tone


def test_days_and_hours_are_those_of_the_centre():
    late_evening = datetime(2026, 11, 21, 18, 5, tzinfo=UTC)  # 01:05 on Sunday there
    assert times.day(late_evening, ZONE) == "22/11/2026"
    assert times.weekday(late_evening, ZONE, "vi") == "Chủ nhật, 22/11/2026"
    assert times.weekday(late_evening, ZONE, "en") == "Sunday, 22/11/2026"
    assert times.short(late_evening, ZONE, AT) == "01:05"
    assert times.short(late_evening - timedelta(days=1), ZONE, AT) == "21/11 01:05"
    assert times.short(late_evening - timedelta(days=400), ZONE, AT) == "18/10/2025"
    assert times.moment(late_evening, ZONE) == "22/11/2026 01:05"


@given(st.integers(-10_000_000, 10_000_000))
def test_a_span_never_rounds_up_and_has_at_most_two_parts(seconds: int):
    told = times.span(timedelta(seconds=seconds), "en").split()
    units = {"d": 86_400, "h": 3_600, "min": 60}
    if told[0] == "under":
        assert abs(seconds) < 60
        return
    value = sum(int(count) * units[unit] for count, unit in zip(told[::2], told[1::2], strict=True))
    assert value <= abs(seconds)
    assert len(told) <= 4
