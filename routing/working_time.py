"""Limits on two clocks: plain elapsed time, and time counted through the windows of a working calendar.

Pure: reads no clock and no database. Which calendar holds, and where its days come from, is in `calendars.py`;
a due time is told hour by hour in `telling.py`.

The rules, once for all:

* The instant at which a window closes still counts as open: a limit that ends exactly at closing is due at closing.
  A limit of nothing given in closed time is due at the next opening, in open time at once.
* Working days follow the Civil Code 2015, art. 147 and 148: the day of the start (the local day, working or not) is
  not counted, and a limit whose last day is off ends on the next working day. It ends when that day closes for
  business, or at its midnight where the rule set says so.
* While a limit is stopped its clock does not run. For minutes and hours the stopped stretch is taken out of the
  windows. A working day of which any working time is stopped is not counted.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Literal, NamedTuple, Self, cast
from zoneinfo import ZoneInfo

from routing.stretches import Stop, from_micros, left_open, length, merge, to_micros, touched, within

Unit = Literal["min", "h", "d"]
Clock = Literal["working", "calendar"]
DayEnd = Literal["close", "midnight"]

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_LAST_ORDINAL = date.max.toordinal()
_BARREN_DAYS = 400  # longer than any year's holidays: past this a calendar has no working time to offer
_REMEMBERED_DAYS = 20_000
_LONGEST = {"min": 10 * 366 * 24 * 60, "h": 10 * 366 * 24, "d": 10 * 366}  # ten years, far above any rule


class BadAmount(ValueError):
    """A limit that cannot be read, or is negative or longer than ten years."""


class NoWorkingTime(ValueError):
    """The calendar offers no working time in which the limit could run out."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A window of one local day, in minutes from its midnight: 0 ≤ `start_minute` < `end_minute` ≤ 1440."""

    start_minute: int
    end_minute: int

    def __post_init__(self) -> None:
        if not 0 <= self.start_minute < self.end_minute <= 1440:
            raise ValueError(f"a window must end after it starts and stay within the day, not {self}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `07:00-11:30`; the end may be `24:00`. ValueError says what is wrong."""
        match = re.fullmatch(r"([0-9]{1,2}):([0-9]{2})\s*[-–]\s*([0-9]{1,2}):([0-9]{2})", text.strip())
        if match is None:
            raise ValueError(f"'{text}' is not a window such as 07:00-11:30")
        hour, minute, end_hour, end_minute = (int(part) for part in match.groups())
        start, end = hour * 60 + minute, end_hour * 60 + end_minute
        if minute > 59 or end_minute > 59 or start > 1440 or end > 1440:
            raise ValueError(f"'{text}' names a time that no day has")
        if end <= start:
            raise ValueError(f"'{text}' ends before it starts")
        return cls(start, end)

    def __str__(self) -> str:
        return f"{wall_time(self.start_minute)}-{wall_time(self.end_minute)}"


class DayRow(NamedTuple):
    """A day that differs from its weekday, in the form in which it is stored.

    `windows` is None for a day off; for a working day None means the usual working day of the calendar.
    """

    day: date
    kind: Literal["off", "work"]
    windows: tuple[Span, ...] | None
    label: str
    source: str


@dataclass(frozen=True, eq=False)
class Calendar:
    """When work is done: windows per weekday (Monday first), and the days that differ from their weekday.

    `days` gives such a day its own windows, none for a day off; `labels` and `sources` say why, and on whose word.
    `later` are weeks that hold from a day on, by date; `week` holds before the first.
    Two calendars are compared by their `exceptions`.
    """

    code: str
    zone: ZoneInfo
    week: tuple[tuple[Span, ...], ...]
    days: Mapping[date, tuple[Span, ...]] = field(default_factory=dict)
    labels: Mapping[date, str] = field(default_factory=dict)
    sources: Mapping[date, str] = field(default_factory=dict)
    later: tuple[tuple[date, tuple[tuple[Span, ...], ...]], ...] = ()
    _instants: dict[int, tuple[tuple[int, int], ...]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for week in (self.week, *(week for _, week in self.later)):
            if len(week) != 7:
                raise ValueError("a week has seven days")
            for name, windows in zip(WEEKDAYS, week, strict=True):
                if problem := overlap(windows):
                    raise ValueError(f"{name}: {problem}")

    def windows(self, day: date) -> tuple[Span, ...]:
        """The windows of this day, in order; none when it is off."""
        special = self.days.get(day)
        return self.week_on(day)[day.weekday()] if special is None else special

    def week_on(self, day: date) -> tuple[tuple[Span, ...], ...]:
        """The week that holds on this day."""
        for first, week in reversed(self.later):
            if first <= day:
                return week
        return self.week

    @property
    def newest_week(self) -> tuple[tuple[Span, ...], ...]:
        """The week that holds in the end."""
        return self.later[-1][1] if self.later else self.week

    def ordinal(self, at: datetime) -> int:
        """The proleptic ordinal of the local day of an instant."""
        return at.astimezone(self.zone).toordinal()

    @cached_property
    def usual_day(self) -> tuple[Span, ...]:
        """What a make-up day without hours of its own works: Monday's windows, else the week's first working day's."""
        return next((windows for windows in self.week if windows), ())

    def exceptions(self, years: Iterable[int]) -> list[DayRow]:
        """The days of these years that differ from their weekday, by date."""
        rows = []
        for year in years:
            for ordinal in range(date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal() + 1):
                day = date.fromordinal(ordinal)
                windows = self.days.get(day)
                if windows is not None:
                    label, source = self.labels.get(day, ""), self.sources.get(day, "")
                    rows.append(DayRow(day, "work" if windows else "off", windows or None, label, source))
        return rows

    def instants(self, ordinal: int) -> tuple[tuple[int, int], ...]:
        """The windows of the local day with this proleptic ordinal, in microseconds since 1970 UTC; remembered."""
        known = self._instants.get(ordinal)
        return self._measure(ordinal) if known is None else known

    def _measure(self, ordinal: int) -> tuple[tuple[int, int], ...]:
        if ordinal > _LAST_ORDINAL:
            raise NoWorkingTime(f"calendar {self.code} has no working time left before the year 10000")
        day = date.fromordinal(ordinal)
        midnight = datetime.combine(day, time.min, tzinfo=self.zone)
        found: list[tuple[int, int]] = []
        for span in self.windows(day):
            # Adding to a time in a zone moves the hands of its clock, so each end gets the offset it has on that day.
            opens = to_micros(midnight + timedelta(minutes=span.start_minute))
            closes = to_micros(midnight + timedelta(minutes=span.end_minute))
            if found:
                opens = max(opens, found[-1][1])
            if opens < closes:
                found.append((opens, closes))
        if len(self._instants) >= _REMEMBERED_DAYS:
            self._instants.clear()
        return self._instants.setdefault(ordinal, tuple(found))


def overlap(windows: Sequence[Span]) -> str | None:
    """Say which windows of one day overlap or stand in the wrong order, if any do."""
    for before, after in pairwise(windows):
        if after.end_minute <= before.start_minute:
            return f"{after} stands after {before}"
        if after.start_minute < before.end_minute:
            return f"{after} overlaps {before}"
    return None


def wall_time(minute: int) -> str:
    """`07:30` for a minute of the day."""
    return f"{minute // 60:02}:{minute % 60:02}"


@dataclass(frozen=True, slots=True)
class Amount:
    """How much time a limit gives, in which unit and on which clock: `8h/working`, `15d/calendar`, `30min/calendar`.

    A day is 24 hours on the calendar clock and a working day on the working clock.
    """

    value: int
    unit: Unit
    clock: Clock
    span: timedelta = field(init=False, repr=False, compare=False)  # of min and h on both clocks, of d on the calendar

    def __post_init__(self) -> None:
        longest = _LONGEST.get(self.unit)
        if longest is None:
            raise BadAmount(f"unknown unit '{self.unit}': use min, h or d")
        if self.clock not in ("working", "calendar"):
            raise BadAmount(f"unknown clock '{self.clock}': use working or calendar")
        if self.value < 0:
            raise BadAmount(f"a limit cannot be negative: {self}")
        if self.value > longest:
            raise BadAmount(f"a limit cannot be longer than ten years: {self}")
        minutes = self.value * {"min": 1, "h": 60, "d": 1440}[self.unit]
        object.__setattr__(self, "span", timedelta(minutes=minutes))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `8h/working`. BadAmount says what is wrong and what is wanted."""
        number, slash, clock = text.strip().partition("/")
        if not slash:
            raise BadAmount(f"limit '{text}' names no clock: write it as 8h/working or 8h/calendar")
        match = re.fullmatch(r"(-?[0-9]{1,12})\s*([^\W\d_]+)", number.strip())
        if match is None:
            raise BadAmount(f"limit '{text}' is not a whole number with a unit and a clock, such as 8h/working")
        value, unit = match.groups()
        # What is not one of the literals is refused by the constructor, in its words.
        return cls(int(value), cast(Unit, unit), cast(Clock, clock.strip()))

    def __str__(self) -> str:
        return f"{self.value}{self.unit}/{self.clock}"

    def words(self) -> str:
        """`8 working hours`, `1 day`: for a trace."""
        noun = {"min": "minute", "h": "hour", "d": "day"}[self.unit]
        working = "working " if self.clock == "working" else ""
        return f"{self.value} {working}{noun}{'' if self.value == 1 else 's'}"


def due(
    start: datetime,
    amount: Amount,
    calendar: Calendar,
    *,
    day_end: DayEnd = "close",
    stops: Sequence[Stop] = (),
) -> datetime:
    """When a limit that began at `start` runs out, in the calendar's zone.

    `day_end` says when a working day ends for a limit in days. `stops` are stretches, in any order and overlapping or
    not, in which the limit's clock does not run. NoWorkingTime when the calendar has none; ValueError for a time
    without a zone or a stop that ends before it begins.
    """
    if start.tzinfo is None:
        raise ValueError("the start of a limit needs a time zone")
    if amount.clock == "calendar" and not stops:
        return (start.astimezone(UTC) + amount.span).astimezone(calendar.zone)
    breaks = merge(stops) if stops else ()
    if amount.clock == "calendar":
        return from_micros(_elapse(to_micros(start), amount.span, breaks), calendar.zone)
    ordinal = start.astimezone(calendar.zone).toordinal()
    if amount.unit == "d" and amount.value:
        return from_micros(
            _end_of_day(_count_days(ordinal, amount.value, calendar, breaks), calendar, day_end), calendar.zone
        )
    return from_micros(_advance(to_micros(start), ordinal, length(amount.span), calendar, breaks), calendar.zone)


def worked(start: datetime, end: datetime, calendar: Calendar, *, stops: Sequence[Stop] = ()) -> timedelta:
    """How much working time lies between two instants, stopped stretches left out; nothing when `end` is earlier."""
    first, last = to_micros(start), to_micros(end)
    breaks = merge(stops)
    total = 0
    for ordinal in range(calendar.ordinal(start), calendar.ordinal(end) + 1):
        for opens, closes in left_open(calendar.instants(ordinal), breaks):
            total += max(0, min(closes, last) - max(opens, first))
    return timedelta(microseconds=total)


def at_fraction(
    start: datetime,
    due: datetime,
    clock: Clock,
    calendar: Calendar,
    fraction: float,
    *,
    stops: Sequence[Stop] = (),
) -> datetime:
    """The instant at which this fraction (0 to 1) of a limit has passed, counted on the limit's own clock.

    Between `start` and `due`, both included. Where the limit holds no working time, elapsed time stands in for it.
    """
    if not 0 <= fraction <= 1:
        raise ValueError("a fraction of a limit lies between 0 and 1")
    if fraction == 1:
        return due.astimezone(calendar.zone)
    begins, ends = to_micros(start), to_micros(due)
    if clock == "working" and (total := length(worked(start, due, calendar, stops=stops))):
        reached = _advance(begins, calendar.ordinal(start), round(total * fraction), calendar, merge(stops))
    elif clock == "calendar" and stops:
        stopped = sum(min(until, ends) - max(since, begins) for since, until in within(stops, start, due))
        running = ends - begins - stopped
        reached = _elapse(begins, timedelta(microseconds=round(running * fraction)), merge(stops))
    else:
        reached = begins + round((ends - begins) * fraction)
    return from_micros(min(reached, ends), calendar.zone)


# ---- counting, in microseconds since 1970 UTC


def _advance(start: int, ordinal: int, need: int, calendar: Calendar, breaks: Sequence[tuple[int, int]]) -> int:
    """The instant at which `need` has been worked since `start`, which lies in the local day `ordinal`."""
    barren = 0
    while True:
        spans = calendar.instants(ordinal)
        ordinal += 1
        if not spans:
            barren += 1
            if barren > _BARREN_DAYS:
                raise _no_working_time(calendar)
            continue
        barren = 0
        for opens, closes in left_open(spans, breaks) if breaks else spans:
            if closes < start:
                continue
            begins = opens if opens > start else start
            if need <= closes - begins:
                return begins + need
            need -= closes - begins
        if breaks:
            ordinal = max(ordinal, _day_after_break(spans[-1][1], calendar, breaks))


def _count_days(first: int, wanted: int, calendar: Calendar, breaks: Sequence[tuple[int, int]]) -> int:
    """The ordinal of the `wanted`th working day after the day `first`."""
    barren, ordinal = 0, first + 1
    while True:
        spans = calendar.instants(ordinal)
        if not spans:
            barren += 1
            if barren > _BARREN_DAYS:
                raise _no_working_time(calendar)
        else:
            barren = 0
            if not (breaks and touched(spans, breaks)):
                wanted -= 1
                if not wanted:
                    return ordinal
            else:
                ordinal = max(ordinal, _day_after_break(spans[-1][1], calendar, breaks) - 1)
        ordinal += 1


def _elapse(start: int, span: timedelta, breaks: Sequence[tuple[int, int]]) -> int:
    end = start + length(span)
    for since, until in breaks:
        if until > start and since < end:
            end += until - max(since, start)
    return end


def _end_of_day(ordinal: int, calendar: Calendar, day_end: DayEnd) -> int:
    if day_end == "close":
        return calendar.instants(ordinal)[-1][1]
    midnight = datetime.combine(date.fromordinal(ordinal + 1), time.min, tzinfo=calendar.zone)
    return to_micros(midnight)


def _day_after_break(closing: int, calendar: Calendar, breaks: Sequence[tuple[int, int]]) -> int:
    """The first day worth looking at after this closing: a break that swallows it may last for years."""
    for since, until in breaks:
        if since < closing <= until:
            return from_micros(until, calendar.zone).toordinal()
    return 0


def _no_working_time(calendar: Calendar) -> NoWorkingTime:
    return NoWorkingTime(f"calendar {calendar.code} has no working time in {_BARREN_DAYS} days on end")
