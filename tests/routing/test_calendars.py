"""Working calendars: Vietnam's days off and make-up days, the YAML form and its errors, to rows and back."""

import subprocess
import sys
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.calendars import BadCalendar, build, parse_calendar, province_calendar
from routing.telling import deadline_report
from routing.working_time import DayRow, Span

OFFICE = (Span.parse("07:00-11:30"), Span.parse("13:30-17:00"))
WEEK = {"mon-fri": ["07:00-11:30", "13:30-17:00"]}

# What the government announced: weekdays off (day/month), then Saturdays worked instead.
ANNOUNCED = {
    2021: ("1/1 10/2 11/2 12/2 15/2 16/2 21/4 30/4 3/5 2/9 3/9", ""),
    2022: ("3/1 31/1 1/2 2/2 3/2 4/2 11/4 2/5 3/5 1/9 2/9", ""),
    2023: ("2/1 20/1 23/1 24/1 25/1 26/1 1/5 2/5 3/5 1/9 4/9", ""),
    2024: ("1/1 8/2 9/2 12/2 13/2 14/2 18/4 29/4 30/4 1/5 2/9 3/9", "4/5"),
    2025: ("1/1 27/1 28/1 29/1 30/1 31/1 7/4 30/4 1/5 2/5 1/9 2/9", "26/4"),
    2026: ("1/1 2/1 16/2 17/2 18/2 19/2 20/2 27/4 30/4 1/5 31/8 1/9 2/9 24/11", "10/1 22/8"),
    2027: ("1/1 4/2 5/2 8/2 9/2 10/2 16/4 30/4 3/5 2/9 3/9 24/11", ""),
}


def days_of(year: int, text: str) -> set[date]:
    return {date(year, int(month), int(day)) for day, month in (part.split("/") for part in text.split())}


@pytest.mark.parametrize("year", ANNOUNCED)
def test_the_province_is_off_and_at_work_on_the_announced_days(year: int) -> None:
    off, made_up = (days_of(year, text) for text in ANNOUNCED[year])
    calendar = province_calendar()
    for day in (date(year, 1, 1) + timedelta(days=n) for n in range(365 + (year % 4 == 0))):
        works = day in made_up or (day.weekday() < 5 and day not in off)
        assert calendar.windows(day) == (OFFICE if works else ()), day


def test_every_special_day_says_why_and_on_whose_word() -> None:
    rows = {row.day: row for row in province_calendar().exceptions(range(2021, 2029))}
    assert rows[date(2026, 1, 2)].source == rows[date(2026, 1, 10)].source == "12729/VPCP-KGVX, 25/12/2025"
    assert rows[date(2022, 2, 1)].label == "Tết Nguyên Đán"
    assert rows[date(2024, 5, 4)].label == "Ngày làm bù"
    assert rows[date(2022, 2, 1)].source.startswith("holidays ")
    assert all(row.label and row.source for row in rows.values())


def test_the_correction_is_a_working_day_less_and_a_saturday_more_only_where_it_is_wanted() -> None:
    package = parse_calendar({"week": WEEK, "holidays": "vn", "overrides": "none"})
    bare = parse_calendar({"week": WEEK})
    swapped, made_up = date(2026, 1, 2), date(2026, 1, 10)
    assert [bool(c.windows(swapped)) for c in (province_calendar(), package, bare)] == [False, True, True]
    assert [bool(c.windows(made_up)) for c in (province_calendar(), package, bare)] == [True, False, False]
    assert bare.windows(date(2022, 2, 1)) == OFFICE


def test_holidays_are_kept_to_the_years_asked_for() -> None:
    calendar = parse_calendar({"week": WEEK, "holidays": "vn", "years": [2022, 2022]})
    assert [bool(calendar.windows(date(year, 4, 30 if year == 2021 else 11))) for year in (2021, 2022)] == [True, False]
    assert list(calendar.days) == [row.day for row in calendar.exceptions([2021, 2022, 2023])]
    assert len(calendar.days) == len(list(calendar.days)) > 11
    assert date(2021, 4, 30) not in calendar.days


def test_own_days_win_over_holidays_and_may_have_their_own_hours() -> None:
    calendar = parse_calendar(
        """
        calendar:
          tz: Asia/Ho_Chi_Minh
          week: {mon-fri: ["07:00-11:30", "13:30-17:00"]}
          holidays: vn
          off:
            - {date: 2022-05-16, label: Bão số 1, source: công điện}
            - 2022-05-17
          work:
            - {date: 2022-05-02, label: Trực lễ, source: lịch trực}
            - {date: "2022-05-07", hours: ["07:30-11:00"]}
        """
    )
    assert calendar.windows(date(2022, 5, 16)) == calendar.windows(date(2022, 5, 17)) == ()
    assert calendar.labels[date(2022, 5, 16)] == "Bão số 1"
    assert calendar.sources[date(2022, 5, 16)] == "công điện"
    assert calendar.windows(date(2022, 5, 2)) == OFFICE  # Monday off for 30 April, worked here
    assert calendar.windows(date(2022, 5, 7)) == (Span(450, 660),)
    assert calendar.windows(date(2022, 5, 3)) == ()


@pytest.mark.parametrize(
    ("week", "expected"),
    [
        ({"mon-fri": ["07:00-11:30"], "sat": "08:00-10:00"}, "1111120"),
        ({"Monday - Wednesday": ["07:00-11:30"], "SUN": ["08:00-10:00"]}, "1110002"),
        ({"mon-fri": ["07:00-11:30"], "sat": False, "sun": "off"}, "1111100"),
        ({"mon-sun": ["00:00-24:00"]}, "3333333"),
        ({"tue": ["07:00-09:00", "09:00-11:30"]}, "0400000"),  # windows may touch
        ({"tue": ["09:00-11:30", "07:00-09:00"]}, "0400000"),  # in any order
    ],
)
def test_a_week_is_given_by_days_and_ranges(week: dict[str, object], expected: str) -> None:
    kinds = {
        (): "0",
        (Span(420, 690),): "1",
        (Span(480, 600),): "2",
        (Span(0, 1440),): "3",
        (Span(420, 540), Span(540, 690)): "4",
    }
    assert "".join(kinds[windows] for windows in parse_calendar({"week": week}).week) == expected


def test_a_make_up_day_without_hours_works_like_monday_or_like_the_first_working_day() -> None:
    saturday = date(2024, 5, 4)
    short = parse_calendar({"week": {"mon": ["08:00-10:00"], "tue-fri": ["07:00-11:30"]}, "holidays": "vn"})
    late = parse_calendar({"week": {"tue-fri": ["07:00-11:30"]}, "work": [saturday]})
    assert short.windows(saturday) == (Span(480, 600),)
    assert late.windows(saturday) == (Span(420, 690),)


def test_the_key_off_is_read_however_the_yaml_was_read() -> None:
    day = date(2022, 5, 16)
    for part in (f"week: {{mon-fri: [07:00-11:30]}}\noff: [{day}]", {"week": WEEK, False: [day]}):
        assert parse_calendar(part).windows(day) == ()


# fmt: off
BAD = [
    ("just words", ["calendar: must be a mapping with the key week"]),
    ("", ["calendar: must be a mapping with the key week"]),
    ("calendar: 5", ["calendar: must be a mapping with the key week"]),
    ("week: [", ["calendar: not readable as YAML"]),
    ("week: {mon: [07:00-11:30]}\noff: [2022-02-30]", ["calendar: not readable as YAML"]),
    ("tz: Asia/Ho_Chi_Minh", ["week: must give windows by weekday"]),
    ("week: {}", ["week: must give windows by weekday"]),
    ("week: {mon-fri: []}", ["week: no working time on any day"]),
    ({"week": {"mon-fri": ["07:00-11:30", "11:00-17:00"]}}, ["week.mon-fri: 11:00-17:00 overlaps 07:00-11:30"]),
    ({"week": {"mon-fri": ["11:30-07:00"]}}, ["week.mon-fri: '11:30-07:00' ends before it starts"]),
    ({"week": {"mon-fri": ["7 to 11"]}}, ["week.mon-fri: '7 to 11' is not a window"]),
    ({"week": {"mon-fri": 7}}, ["week.mon-fri: '7' is not a window"]),
    ({"week": {"funday": ["07:00-11:30"]}}, ["week.funday: unknown weekday"]),
    ({"week": {"fri-mon": ["07:00-11:30"]}}, ["week.fri-mon: unknown weekday"]),
    ({"week": {"mon-fri": ["07:00-11:30"], "wed": ["07:00-11:30"]}}, ["week.wed: wed is given twice"]),
    ({"week": WEEK, "tz": "Asia/Nowhere"}, ["tz: 'Asia/Nowhere' is not a time zone"]),
    ({"week": WEEK, "tz": 7}, ["tz: '7' is not a time zone"]),
    ({"week": WEEK, "tz": "../../etc/passwd"}, ["tz: '../../etc/passwd' is not a time zone"]),
    ({"week": WEEK, "holidays": "de"}, ["holidays: 'de' is not known"]),
    ({"week": WEEK, "holidays": "vn", "overrides": "mine.yaml"}, ["overrides: 'mine.yaml' is neither file nor none"]),
    ({"week": WEEK, "years": 2022}, ["years: must be the first and the last year"]),
    ({"week": WEEK, "years": [2028, 2021]}, ["years: must be the first and the last year"]),
    ({"week": WEEK, "years": [1, 99999]}, ["years: must be the first and the last year"]),
    ({"week": WEEK, "weekend": ["sat"]}, ["weekend: unknown key; known are tz, week"]),
    ({"week": WEEK, "off": "2022-05-16"}, ["off: must be a list of days"]),
    ({"week": WEEK, "off": [{"label": "x"}]}, ["off[0].date: 'None' is not a date"]),
    ({"week": WEEK, "off": [{"date": "16/5/2022"}]}, ["off[0].date: '16/5/2022' is not a date"]),
    ({"week": WEEK, "off": [{"date": "2022-05-16", "hours": []}]}, ["off[0].hours: unknown key"]),
    ({"week": WEEK, "work": [{"date": "2022-05-14", "hours": []}]}, ["work[0].hours: a working day needs a window"]),
    ({"week": WEEK, "work": [{"date": "2022-05-14", "hours": ["x"]}]}, ["work[0].hours: 'x' is not a window"]),
    ({"week": WEEK, "off": ["2022-05-16"], "work": ["2022-05-16"]}, ["work[0].date: 2022-05-16 is listed twice"]),
    # everything at once
    ({"tz": "Mars", "week": {"xyz": [], "mon": ["9"]}, "off": [5]},
     ["week.xyz: unknown weekday", "week.mon: '9' is not a window", "tz: 'Mars'", "off[0].date: '5'"]),
]
# fmt: on


@pytest.mark.parametrize(("source", "says"), BAD)
def test_a_bad_calendar_names_every_key_and_what_is_wrong_with_it(source: object, says: list[str]) -> None:
    with pytest.raises(BadCalendar) as caught:
        parse_calendar(source)  # type: ignore[arg-type]
    problems = caught.value.problems
    assert len(problems) == len(says), problems
    for words in says:
        assert any(problem.startswith(words) for problem in problems), problems
    assert str(caught.value) == "; ".join(problems)


def test_a_calendar_goes_to_rows_and_comes_back_the_same() -> None:
    province, years = province_calendar(), range(2021, 2029)
    rows = province.exceptions(years)
    assert [row.day for row in rows] == sorted(row.day for row in rows)
    again = build("copy", "Asia/Ho_Chi_Minh", province.week, rows)
    assert again.exceptions(years) == rows
    for start in ("2022-04-29T15:30", "2026-01-09T16:00"):
        assert deadline_report(start, "8h/working", again) == deadline_report(start, "8h/working", province)


def test_a_stored_make_up_day_without_hours_works_the_usual_day() -> None:
    rows = [DayRow(date(2022, 5, 14), "work", None, "", ""), DayRow(date(2022, 5, 16), "off", None, "", "")]
    calendar = build("x", ZoneInfo("Asia/Ho_Chi_Minh"), (OFFICE,) * 5 + ((), ()), rows)
    assert calendar.windows(date(2022, 5, 14)) == OFFICE
    assert calendar.windows(date(2022, 5, 16)) == ()


def test_a_stored_day_with_overlapping_windows_is_refused() -> None:
    row = DayRow(date(2022, 5, 14), "work", (Span(420, 690), Span(660, 720)), "", "")
    with pytest.raises(ValueError, match="2022-05-14: 11:00-12:00 overlaps 07:00-11:30"):
        build("x", "Asia/Ho_Chi_Minh", (OFFICE,) * 7, [row])


def test_reading_the_provinces_calendar_looks_up_no_holidays() -> None:
    program = (
        "import sys; from routing.calendars import province_calendar; calendar = province_calendar();"
        "assert 'holidays' not in sys.modules;"
        "import datetime; assert not calendar.windows(datetime.date(2022, 2, 1)); assert 'holidays' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert province_calendar() is province_calendar()


@pytest.mark.parametrize("language", ["en_US", "th", "vi"])
def test_labels_do_not_depend_on_the_language_of_the_machine(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    monkeypatch.setenv("LANGUAGE", language)
    assert parse_calendar({"week": WEEK, "holidays": "vn"}).labels[date(2023, 9, 1)] == "Quốc khánh"


KEYS = ["calendar", "tz", "week", "mon-fri", "off", "work", "date", "hours", "years", "holidays"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.dates() | st.text(max_size=12) | st.just("07:00-11:30"),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
        max_leaves=20,
    )
)
def test_whatever_is_read_is_a_usable_calendar_or_a_bad_one(document: object) -> None:
    try:
        calendar = parse_calendar(document)  # type: ignore[arg-type]
    except BadCalendar:
        return
    assert any(calendar.week)
