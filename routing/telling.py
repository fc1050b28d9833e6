"""How a due time came about, told day by day and window by window; what the command `deadline` prints.

Pure. The counting itself is in `working_time.py`.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import count
from typing import NamedTuple, cast
from zoneinfo import ZoneInfo

from routing.stretches import Stop, from_micros, left_open, merge, to_micros, touched, within
from routing.working_time import WEEKDAYS, Amount, Calendar, DayEnd, due, wall_time


class Traced(NamedTuple):
    """A due time and how it came about, one plain sentence a line."""

    due: datetime
    lines: tuple[str, ...]


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


def _told_by_the_clock(local: datetime, end: datetime, amount: Amount, stops: Sequence[Stop]) -> Iterator[str]:
    yield f"The calendar clock runs day and night: {_duration(amount.span)}."
    for since, until in within(stops, local, end):
        begins, ends = (from_micros(edge, cast(ZoneInfo, end.tzinfo)) for edge in (max(since, to_micros(local)), until))
        yield f"Stopped from {_moment(begins)} to {_moment(ends)}: {_duration(ends - begins)} not counted."


def _told_by_days(
    local: datetime, end: datetime, amount: Amount, calendar: Calendar, day_end: DayEnd, stops: Sequence[Stop]
) -> Iterator[str]:
    breaks = merge(stops)
    yield f"{_day(local.date())}: the day of the start is not counted."
    counted = 0
    for ordinal in count(local.toordinal() + 1):
        day = date.fromordinal(ordinal)
        spans = calendar.instants(ordinal)
        if not spans:
            yield _told_closed(day, calendar)
        elif touched(spans, breaks):
            yield f"{_day(day)}: the clock is stopped for some of the day, not counted."
        else:
            counted += 1
            told = f"{_day(day)}: working day {counted} of {amount.value}{_reason(day, calendar)}"
            if counted == amount.value:
                closing = calendar.windows(day)[-1].end_minute
                ends = f"closes at {wall_time(closing)}" if day_end == "close" else "ends at midnight"
                yield f"{told}, {ends}."
                return
            yield f"{told}."


def _told_by_windows(
    local: datetime, end: datetime, amount: Amount, calendar: Calendar, stops: Sequence[Stop]
) -> Iterator[str]:
    breaks, begins, ends = merge(stops), to_micros(local), to_micros(end)
    used = 0
    for ordinal in range(local.toordinal(), calendar.ordinal(end) + 1):
        day, spans = date.fromordinal(ordinal), calendar.instants(ordinal)
        if not spans:
            yield _told_closed(day, calendar)
            continue
        if spans[-1][1] < begins:
            yield f"{_day(day)}: closed after {wall_time(calendar.windows(day)[-1].end_minute)}."
        why = _reason(day, calendar)
        stretches = [(max(a, begins), min(b, ends), True) for a, b in left_open(spans, breaks)]
        stretches += [(max(a, o, begins), min(b, c, ends), False) for o, c in spans for a, b in breaks]
        for since, until, runs in sorted(stretch for stretch in stretches if stretch[0] < stretch[1]):
            length = timedelta(microseconds=until - since)
            hours = f"{_time(from_micros(since, calendar.zone))}-{_time(from_micros(until, calendar.zone))}"
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


def _duration(span: timedelta) -> str:
    hours, rest = divmod(round(span.total_seconds()), 3600)
    parts = [f"{value} {unit}" for value, unit in ((hours, "h"), (rest // 60, "min"), (rest % 60, "s")) if value]
    return " ".join(parts) or "0 min"
