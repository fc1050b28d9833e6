"""Instants as whole microseconds since 1970 UTC, and what stops leave of the windows between them.

Pure. Whole numbers, because two datetimes of one zone are compared and subtracted by the wall clock, as if its changes
did not exist.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

Stop = tuple[datetime, datetime]
"""From when to when a limit's clock does not run."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_micros(at: datetime) -> int:
    """An aware instant in microseconds since 1970 UTC; ValueError where it has no zone."""
    if at.tzinfo is None:
        raise ValueError("a time on a limit's clock needs a time zone")
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def from_micros(micros: int, zone: ZoneInfo) -> datetime:
    """The instant so many microseconds after 1970 UTC, in a zone; ValueError past the year 9999."""
    try:
        return (_EPOCH + timedelta(microseconds=micros)).astimezone(zone)
    except OverflowError:
        raise ValueError("the limit runs past the year 9999") from None


def length(span: timedelta) -> int:
    """A duration in microseconds."""
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def merge(stops: Iterable[Stop]) -> tuple[tuple[int, int], ...]:
    """Stops in order, none touching another, none empty."""
    merged: list[tuple[int, int]] = []
    for since, until in sorted((to_micros(since), to_micros(until)) for since, until in stops):
        if until < since:
            raise ValueError("a stop cannot end before it begins")
        if until == since:
            continue
        if merged and since <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], until)
        else:
            merged.append((since, until))
    return tuple(merged)


def within(stops: Iterable[Stop], start: datetime, end: datetime) -> list[tuple[int, int]]:
    """Merged stops that take something from between the two instants."""
    first, last = to_micros(start), to_micros(end)
    return [(since, until) for since, until in merge(stops) if until > first and since < last]


def left_open(spans: Iterable[tuple[int, int]], breaks: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
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


def touched(spans: Iterable[tuple[int, int]], breaks: Sequence[tuple[int, int]]) -> bool:
    """Whether a break takes anything from the windows."""
    return any(since < closes and opens < until for opens, closes in spans for since, until in breaks)
