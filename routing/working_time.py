"""Limits on two clocks: plain elapsed time, and time counted through the windows of a working calendar.

Pure: reads no clock and no database. Which calendar holds, and where its days come from, is in `calendars.py`.

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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import count, pairwise
from typing import Literal, NamedTuple, Self, cast
from zoneinfo import ZoneInfo

Unit = Literal["min", "h", "d"]
Clock = Literal["working", "calendar"]
DayEnd = Literal["close", "midnight"]
Stop = tuple[datetime, datetime]

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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
        return f"{_minute(self.start_minute)}-{_minute(self.end_minute)}"


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
    Two calendars are compared by their `exceptions`.
    """

    code: str
    zone: ZoneInfo
    week: tuple[tuple[Span, ...], ...]
    days: Mapping[date, tuple[Span, ...]] = field(default_factory=dict)
    labels: Mapping[date, str] = field(default_factory=dict)
    sources: Mapping[date, str] = field(default_factory=dict)
    _instants: dict[int, tuple[tuple[int, int], ...]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.week) != 7:
            raise ValueError("a week has seven days")
        for name, windows in zip(WEEKDAYS, self.week, strict=True):
            if problem := overlap(windows):
                raise ValueError(f"{name}: {problem}")

    def windows(self, day: date) -> tuple[Span, ...]:
        """The windows of this day, in order; none when it is off."""
        special = self.days.get(day)
        return self.week[day.weekday()] if special is None else special

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
            opens = _micros(midnight + timedelta(minutes=span.start_minute))
            closes = _micros(midnight + timedelta(minutes=span.end_minute))
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


class Traced(NamedTuple):
    """A due time and how it came about, one plain sentence a line."""

    due: datetime
    lines: tuple[str, ...]


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
    breaks = _merge(stops) if stops else ()
    if amount.clock == "calendar":
        return _at(_elapse(_micros(start), amount.span, breaks), calendar.zone)
    ordinal = start.astimezone(calendar.zone).toordinal()
    if amount.unit == "d" and amount.value:
        return _at(_end_of_day(_count_days(ordinal, amount.value, calendar, breaks), calendar, day_end), calendar.zone)
    return _at(_advance(_micros(start), ordinal, _length(amount.span), calendar, breaks), calendar.zone)


def worked(start: datetime, end: datetime, calendar: Calendar, *, stops: Sequence[Stop] = ()) -> timedelta:
    """How much working time lies between two instants, stopped stretches left out; nothing when `end` is earlier."""
    first, last = _micros(start), _micros(end)
    breaks = _merge(stops)
    total = 0
    for ordinal in range(_ordinal(start, calendar), _ordinal(end, calendar) + 1):
        for opens, closes in _open(calendar.instants(ordinal), breaks):
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
    begins, ends = _micros(start), _micros(due)
    if clock == "working" and (total := _length(worked(start, due, calendar, stops=stops))):
        reached = _advance(begins, _ordinal(start, calendar), round(total * fraction), calendar, _merge(stops))
    elif clock == "calendar" and stops:
        stopped = sum(min(until, ends) - max(since, begins) for since, until in _within(stops, start, due))
        running = ends - begins - stopped
        reached = _elapse(begins, timedelta(microseconds=round(running * fraction)), _merge(stops))
    else:
        reached = begins + round((ends - begins) * fraction)
    return _at(min(reached, ends), calendar.zone)


def explain(
    start: datetime,
    amount: Amount,
    calendar: Calendar,
    *,
    day_end: DayEnd = "close",
    stops: Sequence[Stop] = (),
) -> Traced:
    """The same answer as `due`, told day by day and window by window."""
    end = due(start, amount, calendar, day_end=day_end, stops=stops)
    local = start.astimezone(calendar.zone)
    lines = [f"Start {_moment(local)} ({calendar.zone.key}), limit {amount.words()}."]
    if amount.clock == "calendar":
        lines += _told_by_the_clock(local, end, amount, stops)
    elif amount.unit == "d" and amount.value:
        lines += _told_by_days(local, end, amount, calendar, day_end, stops)
    else:
        lines += _told_by_windows(local, end, amount, calendar, stops)
    return Traced(end, (*lines, f"Due {_moment(end)}."))


def deadline_report(start_text: str, limit_text: str, calendar: Calendar) -> list[str]:
    """What the command `deadline` prints: `due: <ISO 8601>` and then the trace.

    A start without an offset is local time of the calendar. ValueError, with a sentence for people, for a date, a time
    or a limit that cannot be read.
    """
    amount = Amount.parse(limit_text)
    text = start_text.strip()
    try:
        start = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"start '{start_text}' is not a date and time such as 2022-04-29T15:30") from None
    if re.search(r"[0-9][Tt ][0-9]", text) is None:
        raise ValueError(f"start '{start_text}' has no time of day: write it as 2022-04-29T15:30")
    if not 1900 <= start.year <= 2999:
        raise ValueError(f"start '{start_text}' lies outside the years 1900 to 2999")
    if start.tzinfo is None:
        start = start.replace(tzinfo=calendar.zone)
    traced = explain(start, amount, calendar)
    return [f"due: {traced.due.isoformat(timespec='seconds')}", *traced.lines]


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
        for opens, closes in _open(spans, breaks) if breaks else spans:
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
            if not (breaks and _touched(spans, breaks)):
                wanted -= 1
                if not wanted:
                    return ordinal
            else:
                ordinal = max(ordinal, _day_after_break(spans[-1][1], calendar, breaks) - 1)
        ordinal += 1


def _elapse(start: int, span: timedelta, breaks: Sequence[tuple[int, int]]) -> int:
    end = start + _length(span)
    for since, until in breaks:
        if until > start and since < end:
            end += until - max(since, start)
    return end


def _end_of_day(ordinal: int, calendar: Calendar, day_end: DayEnd) -> int:
    if day_end == "close":
        return calendar.instants(ordinal)[-1][1]
    midnight = datetime.combine(date.fromordinal(ordinal + 1), time.min, tzinfo=calendar.zone)
    return _micros(midnight)


def _open(spans: Iterable[tuple[int, int]], breaks: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """What is left of the windows when the breaks are taken out."""
    for opens, closes in spans:
        for since, until in breaks:
            if until <= opens:
                continue
            if since >= closes:
                break
            if since > opens:
                yield opens, since
            opens = until
        if opens < closes:
            yield opens, closes


def _touched(spans: Iterable[tuple[int, int]], breaks: Sequence[tuple[int, int]]) -> bool:
    return any(since < closes and opens < until for opens, closes in spans for since, until in breaks)


def _day_after_break(closing: int, calendar: Calendar, breaks: Sequence[tuple[int, int]]) -> int:
    """The first day worth looking at after this closing: a break that swallows it may last for years."""
    for since, until in breaks:
        if since < closing <= until:
            return _at(until, calendar.zone).toordinal()
    return 0


def _merge(stops: Iterable[Stop]) -> tuple[tuple[int, int], ...]:
    """Stops in order, none touching another, none empty."""
    merged: list[tuple[int, int]] = []
    for since, until in sorted((_micros(since), _micros(until)) for since, until in stops):
        if until < since:
            raise ValueError("a stop cannot end before it begins")
        if until == since:
            continue
        if merged and since <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], until)
        else:
            merged.append((since, until))
    return tuple(merged)


def _within(stops: Iterable[Stop], start: datetime, end: datetime) -> list[tuple[int, int]]:
    """Merged stops that take something from between the two instants."""
    first, last = _micros(start), _micros(end)
    return [(since, until) for since, until in _merge(stops) if until > first and since < last]


def _micros(at: datetime) -> int:
    if at.tzinfo is None:
        raise ValueError("a time on a limit's clock needs a time zone")
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _length(span: timedelta) -> int:
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def _at(micros: int, zone: ZoneInfo) -> datetime:
    try:
        return (_EPOCH + timedelta(microseconds=micros)).astimezone(zone)
    except OverflowError:
        raise ValueError("the limit runs past the year 9999") from None


def _ordinal(at: datetime, calendar: Calendar) -> int:
    return at.astimezone(calendar.zone).toordinal()


def _no_working_time(calendar: Calendar) -> NoWorkingTime:
    return NoWorkingTime(f"calendar {calendar.code} has no working time in {_BARREN_DAYS} days on end")


# ---- telling


def _told_by_the_clock(local: datetime, end: datetime, amount: Amount, stops: Sequence[Stop]) -> Iterator[str]:
    yield f"The calendar clock runs day and night: {_duration(amount.span)}."
    for since, until in _within(stops, local, end):
        begins, ends = (_at(edge, cast(ZoneInfo, end.tzinfo)) for edge in (max(since, _micros(local)), until))
        yield f"Stopped from {_moment(begins)} to {_moment(ends)}: {_duration(ends - begins)} not counted."


def _told_by_days(
    local: datetime, end: datetime, amount: Amount, calendar: Calendar, day_end: DayEnd, stops: Sequence[Stop]
) -> Iterator[str]:
    breaks = _merge(stops)
    yield f"{_day(local.date())}: the day of the start is not counted."
    counted = 0
    for ordinal in count(local.toordinal() + 1):
        day = date.fromordinal(ordinal)
        spans = calendar.instants(ordinal)
        if not spans:
            yield _told_closed(day, calendar)
        elif _touched(spans, breaks):
            yield f"{_day(day)}: the clock is stopped for some of the day, not counted."
        else:
            counted += 1
            told = f"{_day(day)}: working day {counted} of {amount.value}{_reason(day, calendar)}"
            if counted == amount.value:
                closing = calendar.windows(day)[-1].end_minute
                ends = f"closes at {_minute(closing)}" if day_end == "close" else "ends at midnight"
                yield f"{told}, {ends}."
                return
            yield f"{told}."


def _told_by_windows(
    local: datetime, end: datetime, amount: Amount, calendar: Calendar, stops: Sequence[Stop]
) -> Iterator[str]:
    breaks, begins, ends = _merge(stops), _micros(local), _micros(end)
    used = 0
    for ordinal in range(local.toordinal(), _ordinal(end, calendar) + 1):
        day, spans = date.fromordinal(ordinal), calendar.instants(ordinal)
        if not spans:
            yield _told_closed(day, calendar)
            continue
        if spans[-1][1] < begins:
            yield f"{_day(day)}: closed after {_minute(calendar.windows(day)[-1].end_minute)}."
        why = _reason(day, calendar)
        stretches = [(max(a, begins), min(b, ends), True) for a, b in _open(spans, breaks)]
        stretches += [(max(a, o, begins), min(b, c, ends), False) for o, c in spans for a, b in breaks]
        for since, until, runs in sorted(stretch for stretch in stretches if stretch[0] < stretch[1]):
            length = timedelta(microseconds=until - since)
            hours = f"{_time(_at(since, calendar.zone))}-{_time(_at(until, calendar.zone))}"
            if not runs:
                yield f"{_day(day)} {hours}: the clock is stopped, {_duration(length)} not counted."
                continue
            used += until - since
            so_far = _duration(timedelta(microseconds=used))
            yield f"{_day(day)} {hours}{why}: {_duration(length)}, {so_far} of {_duration(amount.span)} used."


def _told_closed(day: date, calendar: Calendar) -> str:
    label = calendar.labels.get(day)
    return f"{_day(day)}: closed{f', {label}' if label else ''}."


def _reason(day: date, calendar: Calendar) -> str:
    label = calendar.labels.get(day)
    return f" ({label})" if label else ""


def _day(day: date) -> str:
    return f"{WEEKDAYS[day.weekday()]} {day.isoformat()}"


def _moment(at: datetime) -> str:
    return f"{_day(at.date())} {_time(at)}"


def _time(at: datetime) -> str:
    return f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"


def _minute(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _duration(span: timedelta) -> str:
    hours, rest = divmod(round(span.total_seconds()), 3600)
    parts = [f"{value} {unit}" for value, unit in ((hours, "h"), (rest // 60, "min"), (rest % 60, "s")) if value]
    return " ".join(parts) or "0 min"
