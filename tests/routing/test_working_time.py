"""Limits on both clocks. Every due time in the tables was worked out by hand from the calendar in the comment.

Hours Monday to Friday 07:00-11:30 and 13:30-17:00: 4.5 h and 3.5 h, a day of 8 h. Days off and make-up Saturdays are
those the government announced.
"""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from routing.calendars import build, parse_calendar, province_calendar
from routing.telling import deadline_report, explain
from routing.working_time import (
    Amount,
    BadAmount,
    Calendar,
    Clock,
    DayRow,
    NoWorkingTime,
    Span,
    at_fraction,
    due,
    worked,
)

VN = ZoneInfo("Asia/Ho_Chi_Minh")
OFFICE = (Span.parse("07:00-11:30"), Span.parse("13:30-17:00"))
NIGHT_AND_DAY = (Span(0, 1440),)


def at(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=VN)


def stretches(text: str) -> list[tuple[datetime, datetime]]:
    """`2022-05-16T08:00 > 2022-05-16T09:00, …`"""
    pairs = [part.split(" > ") for part in text.split(", ") if part]
    return [(at(since), at(until)) for since, until in pairs]


# fmt: off
DUE = [
    # --- within a day; Mon 2022-05-09 is an ordinary Monday
    ("2022-05-09T08:00", "2h/working", "2022-05-09T10:00"),  # Mon morning
    ("2022-05-09T08:00:00.250", "2h/working", "2022-05-09T10:00:00.250"),  # not a thousandth is lost
    ("2022-05-09T10:30", "2h/working", "2022-05-09T14:30"),  # Mon: 1 h to lunch, 1 h after
    ("2022-05-09T06:10", "30min/working", "2022-05-09T07:30"),  # Mon before opening: from 07:00
    ("2022-05-09T15:00", "8h/working", "2022-05-10T15:00"),  # Mon 2 h; Tue 4.5 h, 1.5 h after lunch
    # --- lunch break
    ("2022-05-09T12:00", "1h/working", "2022-05-09T14:30"),  # Mon in the break: from 13:30
    ("2022-05-09T11:30", "1h/working", "2022-05-09T14:30"),  # Mon as the break begins
    ("2022-05-09T13:30", "1h/working", "2022-05-09T14:30"),  # Mon as the break ends
    # --- a limit that ends exactly at closing is due at closing
    ("2022-05-09T07:00", "8h/working", "2022-05-09T17:00"),  # Mon, the whole day
    ("2022-05-09T07:00", "270min/working", "2022-05-09T11:30"),  # Mon, the whole morning
    ("2022-05-09T07:00", "271min/working", "2022-05-09T13:31"),  # Mon, one minute more
    ("2022-05-16T07:00", "40h/working", "2022-05-20T17:00"),  # Mon to Fri, the whole week
    # --- evening, night, seconds
    ("2022-05-09T20:00", "1h/working", "2022-05-10T08:00"),  # Mon evening -> Tue
    ("2022-05-09T17:00", "1min/working", "2022-05-10T07:01"),  # Mon at closing -> Tue
    ("2022-05-16T16:59:30", "1min/working", "2022-05-17T07:00:30"),  # Mon 30 s; Tue 30 s
    # --- Saturday, Sunday
    ("2022-05-14T10:00", "30min/working", "2022-05-16T07:30"),  # Sat -> Mon
    ("2022-05-15T23:59", "4h/working", "2022-05-16T11:00"),  # Sun -> Mon
    # --- Monday 00:30, which is still Sunday in UTC
    ("2022-05-16T00:30", "8h/working", "2022-05-16T17:00"),  # Mon
    ("2022-05-15T17:30+00:00", "8h/working", "2022-05-16T17:00"),  # the same instant: Mon
    ("2022-05-16T00:30", "1d/working", "2022-05-17T17:00"),  # Mon is the first day, not counted -> Tue
    ("2022-05-15T23:30", "1d/working", "2022-05-16T17:00"),  # Sun is the first day -> Mon
    ("2022-05-16T10:00-05:00", "1h/working", "2022-05-17T08:00"),  # Mon 22:00 here -> Tue
    # --- nothing
    ("2022-05-16T09:00", "0h/working", "2022-05-16T09:00"),  # Mon, open
    ("2022-05-16T11:30", "0min/working", "2022-05-16T11:30"),  # Mon, the closing instant is open
    ("2022-05-16T17:00", "0h/working", "2022-05-16T17:00"),  # Mon, the closing instant is open
    ("2022-05-16T12:00", "0min/working", "2022-05-16T13:30"),  # Mon, break
    ("2022-05-14T10:00", "0h/working", "2022-05-16T07:00"),  # Sat -> Mon
    ("2022-05-16T09:00", "0d/working", "2022-05-16T09:00"),  # Mon, open
    ("2022-05-14T09:00", "0d/working", "2022-05-16T07:00"),  # Sat -> Mon
    ("2022-05-14T10:00", "0min/calendar", "2022-05-14T10:00"),  # Sat
    # --- 30 April and 1 May 2022 fall on Sat and Sun: Mon 2 and Tue 3 May are off
    ("2022-04-29T15:30", "8h/working", "2022-05-04T15:30"),  # Fri 1.5 h; Wed 4.5 h, 2 h after lunch
    ("2022-04-29T15:30", "3d/working", "2022-05-06T17:00"),  # Fri; Wed 1, Thu 2, Fri 3
    # --- make-up Saturday 2024-05-04 for Mon 29 April
    ("2024-05-03T16:00", "2h/working", "2024-05-04T08:00"),  # Fri 1 h; Sat 1 h
    ("2024-05-04T10:00", "2h/working", "2024-05-04T14:00"),  # Sat 1.5 h, 0.5 h after lunch
    ("2024-04-26T16:00", "2h/working", "2024-05-02T08:00"),  # Fri 1 h; Sat to Wed off; Thu 1 h
    ("2024-05-02T09:00", "2d/working", "2024-05-04T17:00"),  # Thu; Fri 1, Sat 2
    ("2024-05-04T09:00", "1d/working", "2024-05-06T17:00"),  # Sat; Mon 1
    # --- make-up Saturday 2025-04-26 for Fri 2 May
    ("2025-04-25T16:30", "1h/working", "2025-04-26T07:30"),  # Fri 0.5 h; Sat 0.5 h
    ("2025-04-29T16:00", "2h/working", "2025-05-05T08:00"),  # Tue 1 h; Wed to Sun off; Mon 1 h
    # --- make-up Saturday 2026-08-22 for Mon 31 August
    ("2026-08-21T15:00", "8h/working", "2026-08-22T15:00"),  # Fri 2 h; Sat 4.5 h, 1.5 h after lunch
    ("2026-08-28T16:00", "2h/working", "2026-09-03T08:00"),  # Fri 1 h; Sat to Wed off; Thu 1 h
    # --- make-up Saturday 2026-01-10 for Fri 2 January, announced on 25/12/2025
    ("2025-12-31T16:00", "2h/working", "2026-01-05T08:00"),  # Wed 1 h; Thu to Sun off; Mon 1 h
    ("2026-01-09T16:00", "2h/working", "2026-01-10T08:00"),  # Fri 1 h; Sat 1 h
    ("2026-01-10T18:00", "1h/working", "2026-01-12T08:00"),  # Sat evening -> Mon
    ("2026-01-07T09:00", "3d/working", "2026-01-10T17:00"),  # Wed; Thu 1, Fri 2, Sat 3
    # --- Tết 2022: Mon 31 January to Fri 4 February, nine days with the weekends
    ("2022-01-28T16:00", "2h/working", "2022-02-07T08:00"),  # Fri 1 h; Mon 1 h
    ("2022-01-27T10:00", "3d/working", "2022-02-08T17:00"),  # Thu; Fri 1, Mon 7 Feb 2, Tue 3
    # --- Tết 2026: Mon 16 to Fri 20 February
    ("2026-02-13T16:00", "8h/working", "2026-02-23T16:00"),  # Fri 1 h; Mon 4.5 h, 2.5 h after lunch
    ("2026-02-18T10:00", "0min/working", "2026-02-23T07:00"),  # Wed in Tết -> Mon
    ("2026-02-18T10:00", "1d/working", "2026-02-23T17:00"),  # Wed in Tết; Mon 1
    # --- a holiday on the due day moves it to the next working day (art. 148)
    ("2026-04-23T10:00", "2d/working", "2026-04-28T17:00"),  # Thu; Fri 1; Mon off for Giỗ Tổ on Sun; Tue 2
    ("2022-08-29T10:00", "5d/working", "2022-09-07T17:00"),  # Mon; Tue 1, Wed 2; Thu, Fri off; Mon 3, Tue 4, Wed 5
    ("2026-11-23T16:30", "1h/working", "2026-11-25T07:30"),  # Mon 0.5 h; Tue 24/11 off; Wed 0.5 h
    # --- turn of the year, leap day
    ("2022-12-30T16:00", "2h/working", "2023-01-03T08:00"),  # Fri 1 h; Sat to Mon off; Tue 1 h
    ("2024-02-29T16:00", "2h/working", "2024-03-01T08:00"),  # Thu 1 h; Fri 1 h
    # --- the calendar clock runs day and night
    ("2022-05-14T23:50", "30min/calendar", "2022-05-15T00:20"),  # Sat -> Sun
    ("2022-05-14T10:00:45", "5min/calendar", "2022-05-14T10:05:45"),  # Sat, seconds kept
    ("2022-04-29T22:00", "4h/calendar", "2022-04-30T02:00"),  # Fri -> Sat, a holiday
    ("2022-04-29T15:30", "15d/calendar", "2022-05-14T15:30"),  # Fri + 360 h -> Sat
    ("2022-12-31T16:30+00:00", "1h/calendar", "2023-01-01T00:30"),  # Sat 23:30 here -> Sun
]
# fmt: on


@pytest.mark.parametrize(("start", "limit", "expected"), DUE)
def test_a_limit_is_due_when_a_careful_reader_of_the_calendar_says(start: str, limit: str, expected: str) -> None:
    calendar, amount = province_calendar(), Amount.parse(limit)
    answer = due(at(start), amount, calendar)
    assert answer == at(expected)
    assert answer.tzinfo is calendar.zone
    assert explain(at(start), amount, calendar).due == answer


# fmt: off
WITH_STOPS = [
    # Mon 2022-05-16 begins an ordinary week.
    # 1 h, stopped 1 h, 1 h, stopped 0.5 h, 1 h to lunch, 1 h after
    ("two on one day", "2022-05-16T07:00", "4h/working",
     "2022-05-16T08:00 > 2022-05-16T09:00, 2022-05-16T10:00 > 2022-05-16T10:30", "2022-05-16T14:30"),
    # 1 h to 08:00, 1 h from 09:30
    ("two that overlap, in the wrong order", "2022-05-16T07:00", "2h/working",
     "2022-05-16T08:30 > 2022-05-16T09:30, 2022-05-16T08:00 > 2022-05-16T09:00", "2022-05-16T10:30"),
    # Mon 0.5 h; Tue from 08:00 1.5 h
    ("across midnight", "2022-05-16T16:00", "2h/working", "2022-05-16T16:30 > 2022-05-17T08:00", "2022-05-17T09:30"),
    # Thu 0.5 h; Fri stopped, Sat to Tue off, Wed from 09:00 1.5 h
    ("across a holiday", "2022-04-28T16:00", "2h/working", "2022-04-28T16:30 > 2022-05-04T09:00", "2022-05-04T10:30"),
    ("while already late", "2022-05-16T09:00", "1h/working", "2022-05-16T11:00 > 2022-05-16T15:00", "2022-05-16T10:00"),
    ("beginning at the due instant", "2022-05-16T09:00", "1h/working",
     "2022-05-16T10:00 > 2022-05-16T12:00", "2022-05-16T10:00"),
    ("over before the start", "2022-05-16T08:00", "2h/working",
     "2022-05-16T06:00 > 2022-05-16T07:30", "2022-05-16T10:00"),
    ("begun before the start", "2022-05-16T08:00", "2h/working",
     "2022-05-16T07:00 > 2022-05-16T09:00", "2022-05-16T11:00"),
    ("only in the lunch break", "2022-05-16T11:00", "1h/working",
     "2022-05-16T11:30 > 2022-05-16T13:30", "2022-05-16T14:00"),
    # 0.5 h to 11:00; 0.5 h from 13:45
    ("through the lunch break", "2022-05-16T10:30", "1h/working",
     "2022-05-16T11:00 > 2022-05-16T13:45", "2022-05-16T14:15"),
    ("empty", "2022-05-16T09:00", "2h/working", "2022-05-16T10:00 > 2022-05-16T10:00", "2022-05-16T11:00"),
    ("empty, in days", "2022-05-16T10:00", "1d/working", "2022-05-17T10:00 > 2022-05-17T10:00", "2022-05-17T17:00"),
    ("nothing left, given in the first of two that touch", "2022-05-16T08:30", "0min/calendar",
     "2022-05-16T08:00 > 2022-05-16T09:00, 2022-05-16T09:00 > 2022-05-16T10:00", "2022-05-16T10:00"),
    ("nothing left, given while stopped", "2022-05-16T10:00", "0min/working",
     "2022-05-16T09:00 > 2022-05-16T11:00", "2022-05-16T11:00"),
    ("nothing left, stopped until evening", "2022-05-16T10:00", "0min/working",
     "2022-05-16T09:00 > 2022-05-16T18:00", "2022-05-17T07:00"),
    # Mon 1 h; Wed 2 January 2030 from 08:00 1 h
    ("of years", "2022-05-16T09:00", "2h/working", "2022-05-16T10:00 > 2030-01-02T08:00", "2030-01-02T09:00"),
    # --- days: a working day with any working time stopped is not counted
    ("on a day", "2022-05-16T10:00", "2d/working",  # Tue stopped; Wed 1, Thu 2
     "2022-05-17T14:00 > 2022-05-17T15:00", "2022-05-19T17:00"),
    ("on two days across midnight", "2022-05-16T10:00", "2d/working",  # Tue, Wed stopped; Thu 1, Fri 2
     "2022-05-17T16:00 > 2022-05-18T08:00", "2022-05-20T17:00"),
    ("only at night", "2022-05-16T10:00", "2d/working",  # Tue 1, Wed 2
     "2022-05-17T18:00 > 2022-05-18T06:00", "2022-05-18T17:00"),
    ("on the due day", "2022-05-16T10:00", "2d/working",  # Tue 1, Wed stopped, Thu 2
     "2022-05-18T09:00 > 2022-05-18T09:30", "2022-05-19T17:00"),
    ("on the day of the start", "2022-05-16T10:00", "2d/working",  # which is not counted anyway; Tue 1, Wed 2
     "2022-05-16T11:00 > 2022-05-16T17:00", "2022-05-18T17:00"),
    ("after the last day has closed", "2022-05-16T10:00", "2d/working",  # Tue 1, Wed 2
     "2022-05-18T17:00 > 2022-05-19T10:00", "2022-05-18T17:00"),
    ("across Tết", "2022-01-27T10:00", "2d/working",  # Thu; Fri stopped; Mon 7 Feb 1, Tue 2
     "2022-01-28T08:00 > 2022-02-07T06:00", "2022-02-08T17:00"),
    ("of years, in days", "2022-05-16T10:00", "1d/working",  # Wed 2 January 2030 stopped until 08:00; Thu 1
     "2022-05-16T11:00 > 2030-01-02T08:00", "2030-01-03T17:00"),
    # --- the calendar clock
    ("on the calendar clock", "2022-05-16T10:00", "4h/calendar",
     "2022-05-16T11:00 > 2022-05-16T12:00", "2022-05-16T15:00"),
    ("across midnight on the calendar clock", "2022-05-16T22:00", "4h/calendar",
     "2022-05-16T23:00 > 2022-05-17T01:00", "2022-05-17T04:00"),
    # 1 h to 11:00, 0.5 h to 12:30, 0.5 h from 13:00
    ("reached only because of another", "2022-05-16T10:00", "2h/calendar",
     "2022-05-16T11:00 > 2022-05-16T12:00, 2022-05-16T12:30 > 2022-05-16T13:00", "2022-05-16T13:30"),
    ("while already late on the calendar clock", "2022-05-16T10:00", "2h/calendar",
     "2022-05-16T12:00 > 2022-05-16T13:00", "2022-05-16T12:00"),
    ("begun before the start on the calendar clock", "2022-05-16T10:00", "1d/calendar",
     "2022-05-16T09:00 > 2022-05-16T11:00", "2022-05-17T11:00"),
    ("nothing left, given while stopped, on the calendar clock", "2022-05-16T10:00", "0min/calendar",
     "2022-05-16T09:00 > 2022-05-16T11:00", "2022-05-16T11:00"),
]
# fmt: on


@pytest.mark.parametrize(
    ("start", "limit", "stops", "expected"), [row[1:] for row in WITH_STOPS], ids=[row[0] for row in WITH_STOPS]
)
def test_a_stopped_limit_does_not_run(start: str, limit: str, stops: str, expected: str) -> None:
    amount, stopped = Amount.parse(limit), stretches(stops)
    answer = due(at(start), amount, province_calendar(), stops=stopped)
    assert answer == at(expected)
    assert explain(at(start), amount, province_calendar(), stops=stopped).due == answer


@pytest.mark.parametrize(
    ("start", "limit", "expected"),
    [
        ("2022-05-12T10:00", "1d/working", "2022-05-14T00:00"),  # Thu; Fri 1, to its midnight
        ("2022-05-12T10:00", "2h/working", "2022-05-12T14:00"),  # Thu 1.5 h, 0.5 h after lunch: hours are unaffected
        ("2022-05-12T10:00", "0d/working", "2022-05-12T10:00"),  # Thu, open
    ],
)
def test_a_rule_set_may_let_working_days_end_at_midnight(start: str, limit: str, expected: str) -> None:
    assert due(at(start), Amount.parse(limit), province_calendar(), day_end="midnight") == at(expected)


def test_a_unit_with_another_calendar_has_another_due_time() -> None:
    saturdays = parse_calendar({"week": {"mon-fri": ["07:00-11:30", "13:30-17:00"], "sat": ["07:00-11:30"]}})
    start, amount = at("2022-05-13T16:00"), Amount.parse("2h/working")  # Fri
    assert due(start, amount, province_calendar()) == at("2022-05-16T08:00")  # Mon
    assert due(start, amount, saturdays) == at("2022-05-14T08:00")  # Sat


def test_a_calendar_edited_afterwards_moves_the_due_time() -> None:
    start, amount = at("2022-05-13T16:00"), Amount.parse("2h/working")  # Fri
    storm = [DayRow(date(2022, 5, 16), "off", None, "Bão", "công điện")]
    before = build("x", VN, (OFFICE,) * 5 + ((), ()), [])
    after = build("x", VN, before.week, storm)
    assert due(start, amount, before) == at("2022-05-16T08:00")  # Mon
    assert due(start, amount, after) == at("2022-05-17T08:00")  # Tue


@pytest.mark.parametrize("limit", ["0min/working", "8h/working", "0d/working", "3d/working"])
@pytest.mark.parametrize("stops", ["", "2022-05-16T11:00 > 2030-01-02T08:00"])
def test_a_calendar_without_working_time_says_so_instead_of_searching_for_ever(limit: str, stops: str) -> None:
    closed = build("closed", VN, ((),) * 7, [DayRow(date(2022, 5, 17), "work", (Span(420, 421),), "", "")])
    with pytest.raises(NoWorkingTime, match="closed has no working time"):
        due(at("2022-05-17T12:00"), Amount.parse(limit), closed, stops=stretches(stops))


class Counted(dict[date, tuple[Span, ...]]):
    """Days that remember how often they were asked for."""

    asked = 0

    def get(self, key: date, default: object = None) -> object:  # type: ignore[override]
        self.asked += 1
        return super().get(key, default)


@pytest.mark.parametrize("limit", ["2h/working", "2d/working"])
def test_a_stop_of_thousands_of_years_is_stepped_over(limit: str) -> None:
    days = Counted()
    calendar = Calendar("x", VN, (OFFICE,) * 7, days)
    due(at("2022-05-16T09:00"), Amount.parse(limit), calendar, stops=stretches("2022-05-16T10:00 > 9000-01-01T08:00"))
    assert 0 < days.asked < 10


def test_a_calendar_remembers_only_so_many_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("routing.working_time._REMEMBERED_DAYS", 10)
    days = Counted()
    calendar = Calendar("x", VN, (OFFICE,) * 7, days)
    for _ in range(2):
        assert worked(at("2022-05-01T00:00"), at("2022-05-31T23:00"), calendar) == timedelta(hours=31 * 8)
    assert days.asked == 62  # 31 days do not fit in ten, so the second time asks again


def test_the_calendar_clock_needs_no_working_time() -> None:
    closed = build("closed", VN, ((),) * 7, [])
    assert due(at("2022-05-17T12:00"), Amount.parse("1h/calendar"), closed) == at("2022-05-17T13:00")


def test_working_time_before_the_end_of_time_runs_out_in_words() -> None:
    last = datetime(9999, 12, 31, 20, tzinfo=VN)
    with pytest.raises(NoWorkingTime, match="before the year 10000"):
        due(last, Amount.parse("1h/working"), province_calendar())


def test_hours_are_real_hours_where_clocks_change() -> None:
    berlin = build("berlin", "Europe/Berlin", (NIGHT_AND_DAY,) * 7, [])
    start = datetime(2022, 3, 26, 12, tzinfo=berlin.zone)  # Sat; at 02:00 on Sunday it becomes 03:00
    expected = datetime(2022, 3, 27, 13, tzinfo=berlin.zone)
    for limit in ("24h/working", "24h/calendar", "1d/calendar"):
        assert due(start, Amount.parse(limit), berlin).astimezone(UTC) == expected.astimezone(UTC)
    sunday = datetime(2022, 3, 27, tzinfo=berlin.zone), datetime(2022, 3, 28, tzinfo=berlin.zone)
    assert worked(*sunday, berlin) == timedelta(hours=23)


def test_a_window_that_a_clock_change_swallows_is_no_working_time() -> None:
    berlin = build("berlin", "Europe/Berlin", ((Span(120, 150), Span(180, 240)),) * 7, [])
    sunday = datetime(2022, 3, 27, tzinfo=berlin.zone), datetime(2022, 3, 28, tzinfo=berlin.zone)
    assert worked(*sunday, berlin) == timedelta(hours=1)  # 02:00 to 02:30 reads as 03:00 to 03:30


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("2022-05-16T07:00", "2022-05-16T17:00", 8),  # Mon
        ("2022-05-16T11:30", "2022-05-16T13:30", 0),  # Mon, break
        ("2022-04-29T15:30", "2022-05-04T15:30", 8),  # Fri to Wed
        ("2022-05-16T17:00", "2022-05-16T07:00", 0),  # the wrong way round
        ("2022-05-01T00:00", "2022-06-01T00:00", 160),  # May 2022: 22 weekdays, 2 of them off
    ],
)
def test_working_time_between_two_instants(start: str, end: str, hours: int) -> None:
    assert worked(at(start), at(end), province_calendar()) == timedelta(hours=hours)


def test_working_time_leaves_stopped_time_out() -> None:
    stops = stretches("2022-05-16T11:00 > 2022-05-16T14:00")
    opening, closing = at("2022-05-16T07:00"), at("2022-05-16T17:00")
    assert worked(opening, closing, province_calendar(), stops=stops) == timedelta(hours=7)


@pytest.mark.parametrize(
    ("start", "end", "clock", "fraction", "expected"),
    [
        ("2022-05-16T07:00", "2022-05-16T17:00", "working", 0.5, "2022-05-16T11:00"),  # Mon, 4 of 8 h
        ("2022-04-29T15:30", "2022-05-04T15:30", "working", 0.5, "2022-05-04T09:30"),  # Fri 1.5 h; Wed 2.5 h
        ("2022-05-14T10:00", "2022-05-16T11:00", "working", 0, "2022-05-16T07:00"),  # Sat; not before opening
        ("2022-05-16T07:00", "2022-05-16T17:00", "working", 1, "2022-05-16T17:00"),
        ("2022-05-12T10:00", "2022-05-14T00:00", "working", 1, "2022-05-14T00:00"),  # Fri, due at its midnight
        ("2022-05-14T10:00", "2022-05-14T12:00", "working", 0.5, "2022-05-14T11:00"),  # Sat, no working time: linear
        ("2022-05-14T10:00", "2022-05-14T20:00", "calendar", 0.8, "2022-05-14T18:00"),
        ("2022-05-14T10:00", "2022-05-14T10:00", "working", 0.5, "2022-05-14T10:00"),
        ("2022-05-14T10:00", "2022-05-13T10:00", "calendar", 0.5, "2022-05-13T10:00"),  # due before the start
    ],
)
def test_a_reminder_falls_on_its_share_of_the_limits_own_clock(
    start: str, end: str, clock: Clock, fraction: float, expected: str
) -> None:
    answer = at_fraction(at(start), at(end), clock, province_calendar(), fraction)
    assert answer == at(expected)
    assert answer.tzinfo is province_calendar().zone


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ("working", "2022-05-16T11:00"),  # Mon 1 h, stopped, 1.5 h to lunch, 1.5 h to 15:00: 4 h, half of it 2 h
        ("calendar", "2022-05-16T12:00"),  # Mon 1 h, stopped, 5 h: 6 h, half of it 3 h
    ],
)
def test_a_reminder_does_not_count_stopped_time(clock: Clock, expected: str) -> None:
    begins, ends = at("2022-05-16T07:00"), at("2022-05-16T15:00")
    stops = stretches("2022-05-16T08:00 > 2022-05-16T10:00")
    assert at_fraction(begins, ends, clock, province_calendar(), 0.5, stops=stops) == at(expected)


@pytest.mark.parametrize("fraction", [-0.1, 1.1])
def test_a_share_lies_between_nothing_and_all(fraction: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        at_fraction(at("2022-05-16T07:00"), at("2022-05-16T08:00"), "working", province_calendar(), fraction)


# ---- amounts and other input


@pytest.mark.parametrize("text", ["8h/working", "0min/calendar", "15d/calendar", "30min/working"])
def test_an_amount_reads_back_as_it_was_written(text: str) -> None:
    assert str(Amount.parse(text)) == text
    assert Amount.parse(f" {text} ") == Amount.parse(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("8h", "names no clock"),
        ("8h/", "unknown clock ''"),
        ("8h/lunar", "unknown clock 'lunar'"),
        ("8/working", "whole number with a unit"),
        ("h/working", "whole number with a unit"),
        ("", "names no clock"),
        ("8w/working", "unknown unit 'w'"),
        ("1.5h/working", "whole number"),
        ("-8h/working", "negative"),
        ("٨h/working", "whole number"),
        ("99999999d/calendar", "ten years"),
        ("9" * 5000 + "h/calendar", "whole number"),
    ],
)
def test_an_amount_that_cannot_be_read_says_why(text: str, says: str) -> None:
    with pytest.raises(BadAmount, match=says):
        Amount.parse(text)


@pytest.mark.parametrize(
    "text", ["7-11", "07:00", "07:60-08:00", "25:00-26:00", "11:30-07:00", "07:00-07:00", "24:00-24:30"]
)
def test_a_window_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"window|ends before|no day has"):
        Span.parse(text)


def test_a_window_reads_back_as_it_was_written() -> None:
    assert str(Span.parse("7:00 - 24:00")) == "07:00-24:00"
    with pytest.raises(ValueError, match="within the day"):
        Span(600, 1441)


def test_a_calendar_refuses_windows_that_overlap_or_stand_in_the_wrong_order() -> None:
    with pytest.raises(ValueError, match=r"Monday: 11:00-12:00 overlaps 07:00-11:30"):
        Calendar("x", VN, ((Span(420, 690), Span(660, 720)), *((),) * 6))
    with pytest.raises(ValueError, match=r"Tuesday: 07:00-11:30 stands after 13:30-17:00"):
        Calendar("x", VN, ((), OFFICE[::-1], *((),) * 5))
    with pytest.raises(ValueError, match="seven days"):
        Calendar("x", VN, ((),) * 6)


def test_times_without_a_zone_and_stops_that_run_backwards_are_refused() -> None:
    bare, good, amount = datetime.fromisoformat("2022-05-16T09:00"), at("2022-05-16T09:00"), Amount.parse("1h/working")
    for clock in ("working", "calendar"):
        with pytest.raises(ValueError, match="time zone"):
            due(bare, Amount.parse(f"1h/{clock}"), province_calendar())
    with pytest.raises(ValueError, match="time zone"):
        due(good, amount, province_calendar(), stops=[(bare, good)])
    with pytest.raises(ValueError, match="end before it begins"):
        due(good, amount, province_calendar(), stops=[(good, good - timedelta(hours=1))])


def test_a_stop_that_outlasts_the_calendar_of_python_is_refused_in_words() -> None:
    for_ever = [(at("2022-05-16T10:00"), datetime(9999, 12, 31, tzinfo=UTC))]
    with pytest.raises(ValueError, match=r"year 9999"):
        due(at("2022-05-16T09:00"), Amount.parse("2d/calendar"), province_calendar(), stops=for_ever)


# ---- the trace


def test_the_report_tells_the_deadline_window_by_window() -> None:
    assert deadline_report("2022-04-29T15:30", "8h/working", province_calendar()) == [
        "due: 2022-05-04T15:30:00+07:00",
        "Start Friday 2022-04-29 15:30 (Asia/Ho_Chi_Minh), limit 8 working hours.",
        "Friday 2022-04-29 15:30-17:00: 1 h 30 min, 1 h 30 min of 8 h used.",
        "Saturday 2022-04-30: closed, Ngày Chiến thắng.",
        "Sunday 2022-05-01: closed, Ngày Quốc tế Lao động.",
        "Monday 2022-05-02: closed, Ngày Chiến thắng (nghỉ bù).",
        "Tuesday 2022-05-03: closed, Ngày Quốc tế Lao động (nghỉ bù).",
        "Wednesday 2022-05-04 07:00-11:30: 4 h 30 min, 6 h of 8 h used.",
        "Wednesday 2022-05-04 13:30-15:30: 2 h, 8 h of 8 h used.",
        "Due Wednesday 2022-05-04 15:30.",
    ]


def test_the_report_tells_working_days_one_by_one() -> None:
    assert deadline_report("2024-05-02T09:00", "2d/working", province_calendar()) == [
        "due: 2024-05-04T17:00:00+07:00",
        "Start Thursday 2024-05-02 09:00 (Asia/Ho_Chi_Minh), limit 2 working days.",
        "Thursday 2024-05-02: the day of the start is not counted.",
        "Friday 2024-05-03: working day 1 of 2.",
        "Saturday 2024-05-04: working day 2 of 2 (Ngày làm bù), closes at 17:00.",
        "Due Saturday 2024-05-04 17:00.",
    ]


def test_the_report_tells_the_calendar_clock() -> None:
    assert deadline_report("2022-04-29T08:30:00+00:00", "15d/calendar", province_calendar()) == [
        "due: 2022-05-14T15:30:00+07:00",
        "Start Friday 2022-04-29 15:30 (Asia/Ho_Chi_Minh), limit 15 days.",
        "The calendar clock runs day and night: 360 h.",
        "Due Saturday 2022-05-14 15:30.",
    ]


def test_the_report_tells_a_start_after_closing_and_odd_seconds() -> None:
    assert deadline_report("2022-05-16T20:00:10", "0min/working", province_calendar())[1:] == [
        "Start Monday 2022-05-16 20:00:10 (Asia/Ho_Chi_Minh), limit 0 working minutes.",
        "Monday 2022-05-16: closed after 17:00.",
        "Due Tuesday 2022-05-17 07:00.",
    ]
    assert "1 min 30 s" in deadline_report("2022-05-16T16:58:30", "2min/working", province_calendar())[2]


def test_the_trace_tells_what_was_stopped() -> None:
    start, stops = at("2022-05-16T10:30"), stretches("2022-05-16T11:00 > 2022-05-16T13:45")
    hours = explain(start, Amount.parse("1h/working"), province_calendar(), stops=stops)
    assert hours.lines[1:] == (
        "Monday 2022-05-16 10:30-11:00: 30 min, 30 min of 1 h used.",
        "Monday 2022-05-16 11:00-11:30: the clock is stopped, 30 min not counted.",
        "Monday 2022-05-16 13:30-13:45: the clock is stopped, 15 min not counted.",
        "Monday 2022-05-16 13:45-14:15: 30 min, 1 h of 1 h used.",
        "Due Monday 2022-05-16 14:15.",
    )
    days = explain(
        at("2022-05-15T10:30"), Amount.parse("1d/working"), province_calendar(), stops=stops, day_end="midnight"
    )
    assert days.lines[2:] == (
        "Monday 2022-05-16: the clock is stopped for some of the day, not counted.",
        "Tuesday 2022-05-17: working day 1 of 1, ends at midnight.",
        "Due Wednesday 2022-05-18 00:00.",
    )
    plain = explain(start, Amount.parse("1h/calendar"), province_calendar(), stops=stops)
    assert plain.lines[2] == "Stopped from Monday 2022-05-16 11:00 to Monday 2022-05-16 13:45: 2 h 45 min not counted."


@pytest.mark.parametrize(
    ("start", "limit", "says"),
    [
        ("yesterday", "8h/working", "start 'yesterday' is not a date and time"),
        ("2022-02-30T10:00", "8h/working", "not a date and time"),
        ("2022-04-29T25:00", "8h/working", "not a date and time"),
        ("", "8h/working", "not a date and time"),
        ("2022-04-29", "8h/working", "no time of day"),
        ("0001-01-01T00:00", "8h/working", "1900 to 2999"),
        ("9999-12-31T23:59", "8h/working", "1900 to 2999"),
        ("2022-04-29T15:30", "8h", "names no clock"),
    ],
)
def test_a_report_that_cannot_be_made_says_why(start: str, limit: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        deadline_report(start, limit, province_calendar())


# ---- properties

MINUTE = timedelta(minutes=1)
day = datetime.fromisoformat  # Hypothesis wants its bounds without a zone

starts = st.datetimes(day("2021-01-01"), day("2027-12-31"), timezones=st.sampled_from([VN, UTC]))
minutes = st.integers(0, 5_000)


@st.composite
def windows(draw: st.DrawFn) -> tuple[Span, ...]:
    edges = sorted(draw(st.lists(st.integers(0, 1440), max_size=6, unique=True)))
    return tuple(Span(a, b) for a, b in pairwise(edges[: len(edges) // 2 * 2]))[::2]


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    if draw(st.booleans()):
        return province_calendar()
    week = tuple(draw(st.lists(windows(), min_size=7, max_size=7)))
    assume(any(week))
    zone = draw(st.sampled_from(["Asia/Ho_Chi_Minh", "Europe/Berlin", "America/St_Johns"]))
    return build("drawn", zone, week, [])


@st.composite
def stop_lists(draw: st.DrawFn, start: datetime) -> list[tuple[datetime, datetime]]:
    drawn = draw(st.lists(st.tuples(st.integers(-2_000, 6_000), st.integers(0, 4_000)), max_size=4))
    return [(start + since * MINUTE, start + (since + length) * MINUTE) for since, length in drawn]


def working(value: int, unit: str = "min") -> Amount:
    return Amount.parse(f"{value}{unit}/working")


@given(starts, starts, st.sampled_from(["0min", "90min", "8h", "0d", "1d", "5d"]), st.data())
def test_a_later_start_is_never_due_earlier(a: datetime, b: datetime, amount: str, data: st.DataObject) -> None:
    calendar, (first, second) = data.draw(calendars()), sorted((a, b))
    stops = data.draw(stop_lists(first))
    for clock in ("working", "calendar"):
        limit = Amount.parse(f"{amount}/{clock}")
        assert first <= due(first, limit, calendar, stops=stops) <= due(second, limit, calendar, stops=stops)


@given(starts, minutes, minutes, st.integers(0, 30), st.integers(0, 30), st.data())
def test_more_time_is_never_due_earlier(
    start: datetime, a: int, b: int, days: int, more: int, data: st.DataObject
) -> None:
    calendar = data.draw(calendars())
    stops = data.draw(stop_lists(start))
    for unit, (less, greater) in (("min", sorted((a, b))), ("d", sorted((days, more)))):
        for clock in ("working", "calendar"):
            small, large = (Amount.parse(f"{value}{unit}/{clock}") for value in (less, greater))
            assert due(start, small, calendar, stops=stops) <= due(start, large, calendar, stops=stops)


@given(starts, minutes, st.integers(0, 10), calendars())
def test_the_working_clock_is_never_due_in_a_closed_minute(
    start: datetime, value: int, days: int, calendar: Calendar
) -> None:
    for amount in (working(value), working(days, "d")):
        end = due(start, amount, calendar)
        spans = [span for ordinal in (-1, 0) for span in calendar.instants(end.toordinal() + ordinal)]
        instant = (end - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        assert any(opens <= instant <= closes for opens, closes in spans)


@given(starts, minutes, minutes, calendars(), st.data())
def test_minutes_add_up(start: datetime, a: int, b: int, calendar: Calendar, data: st.DataObject) -> None:
    stops = data.draw(stop_lists(start))
    halfway = due(start, working(a), calendar, stops=stops)
    assert due(halfway, working(b), calendar, stops=stops) == due(start, working(a + b), calendar, stops=stops)


@given(starts, st.integers(0, 100), calendars())
def test_an_hour_is_sixty_minutes(start: datetime, hours: int, calendar: Calendar) -> None:
    assert due(start, working(hours, "h"), calendar) == due(start, working(hours * 60), calendar)


@given(starts, minutes, calendars(), st.data())
def test_exactly_the_limit_is_worked_until_it_is_due(
    start: datetime, value: int, calendar: Calendar, data: st.DataObject
) -> None:
    stops = data.draw(stop_lists(start))
    assert worked(start, due(start, working(value), calendar, stops=stops), calendar, stops=stops) == value * MINUTE


@given(starts, st.integers(1, 20), calendars())
def test_as_many_working_days_lie_behind_the_start_as_the_limit_has(
    start: datetime, days: int, calendar: Calendar
) -> None:
    end = due(start, working(days, "d"), calendar)
    first = start.astimezone(calendar.zone).date()
    last = (end - timedelta(microseconds=1)).date()
    later = (first + timedelta(days=n) for n in range(1, (last - first).days + 1))
    counted = [each for each in later if calendar.windows(each)]
    assert len(counted) == days
    assert counted[-1] == last


@given(starts, minutes, st.floats(0, 1), st.floats(0, 1), calendars(), st.data())
def test_a_reminder_lies_between_start_and_due_and_in_order(
    start: datetime, value: int, a: float, b: float, calendar: Calendar, data: st.DataObject
) -> None:
    stops = data.draw(stop_lists(start))
    clocks: tuple[Clock, Clock] = ("working", "calendar")
    for clock in clocks:
        end = due(start, Amount(value, "min", clock), calendar, stops=stops)
        first, second = (at_fraction(start, end, clock, calendar, part, stops=stops) for part in sorted((a, b)))
        assert start <= first <= second <= end


@given(
    st.datetimes(day("2022-01-20"), day("2022-05-10"), timezones=st.just(VN)),
    st.integers(1, 900),
    st.data(),
)
def test_it_agrees_with_counting_every_single_minute(drawn: datetime, value: int, data: st.DataObject) -> None:
    calendar, start = province_calendar(), drawn.replace(second=0, microsecond=0)
    stops = data.draw(stop_lists(start))
    moment, left = start, value
    while left:
        minute = moment.hour * 60 + moment.minute
        runs = any(span.start_minute <= minute < span.end_minute for span in calendar.windows(moment.date()))
        left -= runs and not any(since <= moment < until for since, until in stops)
        moment += MINUTE
    assert due(start, working(value), calendar, stops=stops) == moment


@given(starts, st.integers(0, 20), st.sampled_from(["min", "h", "d"]), calendars(), st.data())
def test_the_trace_ends_where_the_limit_does(
    start: datetime, value: int, unit: str, calendar: Calendar, data: st.DataObject
) -> None:
    stops = data.draw(stop_lists(start))
    for clock in ("working", "calendar"):
        amount = Amount.parse(f"{value}{unit}/{clock}")
        traced = explain(start, amount, calendar, stops=stops)
        assert traced.due == due(start, amount, calendar, stops=stops)
        assert traced.lines[0].startswith("Start ")
        assert traced.lines[-1].startswith("Due ")
