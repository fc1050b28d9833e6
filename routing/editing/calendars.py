"""Working calendars: the province's, and those of units that keep hours of their own under their department's code.

An edit counts for limits that are opened or moved from then on; what runs keeps its due time until somebody has it
counted again (`cases.recount`). Other processes see an edit within twice `queries.FRESH_FOR` seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import Invalid, NotFound
from core.staff import Actor
from routing import models
from routing.calendars import HOLIDAY_YEARS, province_calendar
from routing.editing.shared import begin, changed, found, insert, note
from routing.queries import PROVINCE, read_calendars
from routing.working_time import Calendar, Span, overlap

PROVINCE_NAME = "Lịch của tỉnh"
MOST_WINDOWS = 12  # of one day


@dataclass(frozen=True, slots=True)
class CalendarHead:
    """A calendar in the list: windows by weekday, Monday first, and how many days differ from their weekday."""

    code: str
    name: str
    zone: str
    week: tuple[tuple[str, ...], ...]
    exceptions: int


@dataclass(frozen=True, slots=True)
class DayView:
    """A day of a calendar.

    `kind`: working, weekend (its weekday is free), off (a working day that is free), make_up (a free weekday that is
    worked). `exception`: it has a row of its own, which may also give a working day other windows. `usual`: the windows
    of its weekday.
    """

    day: date
    weekday: int  # 0 Monday … 6 Sunday
    kind: str
    windows: tuple[str, ...]
    exception: bool
    usual: tuple[str, ...]
    label: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class MonthView:
    """A month, its days in order."""

    number: int
    days: tuple[DayView, ...]


@dataclass(frozen=True, slots=True)
class WeekView:
    """Hours by weekday, Monday first, that hold from a day on; None: from the beginning."""

    since: date | None
    week: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class CalendarYear:
    """A year of a calendar; `week` are its newest hours, `weeks` all, oldest first.

    Without exceptions nobody has filled in its holidays yet.
    """

    code: str
    name: str
    year: int
    week: tuple[tuple[str, ...], ...]
    weeks: tuple[WeekView, ...]
    months: tuple[MonthView, ...]
    working_days: int
    exceptions: int


async def listed(session: AsyncSession) -> list[CalendarHead]:
    """The province's calendar first, then those of units, by code."""
    names, counted = await _names(session), models.CalendarDay.calendar
    days: Mapping[str, int] = dict((await session.exec(select(counted, func.count()).group_by(col(counted)))).all())
    heads = [
        CalendarHead(code, names.get(code, code), each.zone.key, _told(each.newest_week), days.get(code, 0))
        for code, each in (await read_calendars(session)).items()
    ]
    return sorted(heads, key=lambda head: (head.code != PROVINCE, head.code))


async def calendar_year(session: AsyncSession, code: str, year: int) -> CalendarYear:
    """Every day of a year, as `read_calendars` counts with it now; NotFound for a calendar that does not exist."""
    calendar = (await read_calendars(session)).get(code)
    if calendar is None:
        raise _unknown(code)
    return year_of(calendar, year, (await _names(session)).get(code, code))


def year_of(calendar: Calendar, year: int, name: str = "") -> CalendarYear:
    """The same of a calendar at hand."""
    first = date(year, 1, 1)
    days = [_day(calendar, first + timedelta(n)) for n in range((date(year, 12, 31) - first).days + 1)]
    months = tuple(MonthView(n, tuple(day for day in days if day.day.month == n)) for n in range(1, 13))
    return CalendarYear(
        code=calendar.code,
        name=name or calendar.code,
        year=year,
        week=_told(calendar.newest_week),
        weeks=tuple(WeekView(first, _told(week)) for first, week in ((None, calendar.week), *calendar.later)),
        months=months,
        working_days=sum(bool(day.windows) for day in days),
        exceptions=sum(day.exception for day in days),
    )


async def create(session: AsyncSession, by: Actor, at: datetime, department: str) -> CalendarHead:
    """A calendar of a department's own, with the province's week and days to begin with. Conflict when it has one."""
    await begin(session, by)
    unit = (await session.exec(select(models.Department).where(models.Department.code == department))).first()
    if unit is None:
        raise Invalid.at(
            "department", f"Không có đơn vị {department}.", f"There is no department {department}.", "unknown"
        )
    province = await _found(session, PROVINCE)
    await insert(session, models.WorkCalendar(code=department, zone=province.zone, week=[*province.week]))
    for row in await _days(session, PROVINCE):
        session.add(
            models.CalendarDay(
                calendar=department, day=row.day, windows=[*row.windows], label=row.label, source=row.source
            )
        )
    for dated in await _weeks(session, PROVINCE):
        session.add(models.CalendarWeek(calendar=department, valid_from=dated.valid_from, week=[*dated.week]))
    await note(session, by, "calendar.add", department, at)
    return await _head(session, department)


async def edit_week(
    session: AsyncSession,
    by: Actor,
    at: datetime,
    code: str,
    week: Sequence[Sequence[str]],
    since: date | None = None,
) -> CalendarHead:
    """Other windows by weekday: seven lists of `07:00-11:30`, Monday first; an empty one is a free weekday.

    They hold from the day `since`, today when it is not given, up to the next day from which others were said to hold;
    the days before keep theirs.
    """
    await begin(session, by)
    row = await _found(session, code)
    if len(week) != 7:
        raise Invalid.at("week", "Tuần có bảy ngày, từ thứ Hai.", "A week has seven days, Monday first.", "length")
    windows = [windows_given(day, f"week.{n}") for n, day in enumerate(week)]
    if not any(windows):
        raise Invalid.at("week", "Phải có ít nhất một ngày làm việc.", "There must be a working day.", "empty")
    since = since or at.astimezone(ZoneInfo(row.zone)).date()
    before = [[str(span) for span in day] for day in (await read_calendars(session))[code].week_on(since)]
    if windows != before:
        known = next((dated for dated in await _weeks(session, code) if dated.valid_from == since), None)
        if known is None:
            session.add(models.CalendarWeek(calendar=code, valid_from=since, week=windows))
        else:
            known.week = windows
        await note(session, by, "calendar.edit_week", code, at, since=since.isoformat())
        _note_change(session, by, at, code, "week", since, before, windows)
    return await _head(session, code)


async def put_day(
    session: AsyncSession,
    by: Actor,
    at: datetime,
    code: str,
    day: date,
    *,
    windows: Sequence[str] = (),
    label: str = "",
    source: str = "",
    everywhere: bool = False,
) -> DayView:
    """A day that differs from its weekday: off without `windows`, else worked in them; replaces what it was.

    `everywhere`: in the province's calendar and those of all units, as a public holiday is.
    """
    await begin(session, by)
    row = await _found(session, code)
    given = windows_given(windows, "windows")
    held = await read_calendars(session)
    for each in sorted(held if everywhere else [row.code]):
        before = [str(span) for span in held[each].windows(day)]
        known = await _known_day(session, each, day)
        if known is None:
            session.add(models.CalendarDay(calendar=each, day=day, windows=given, label=label, source=source))
        elif not changed(known, {"windows": given, "label": label, "source": source}):
            continue
        await note(session, by, "calendar.put_day", each, at, day=day.isoformat(), off=not given)
        _note_change(session, by, at, each, "day", day, before, given)
    return await day_view(session, code, day)


async def remove_day(session: AsyncSession, by: Actor, at: datetime, code: str, day: date) -> DayView:
    """Let a day be as its weekday is; nothing happens where it already was."""
    await begin(session, by)
    await _found(session, code)
    known = await _known_day(session, code, day)
    if known is not None:
        usual = (await read_calendars(session))[code].week_on(day)[day.weekday()]
        _note_change(session, by, at, code, "day", day, [*known.windows], [str(span) for span in usual])
        await session.delete(known)
        await note(session, by, "calendar.remove_day", code, at, day=day.isoformat())
    return await day_view(session, code, day)


async def fill_year(session: AsyncSession, by: Actor, at: datetime, code: str, year: int) -> int:
    """Add the public holidays of a year, as far as known today, where a day has no row yet; how many were added.

    Of years to come they are worked out by rule; the yearly notice may move them, which is then put right by hand.
    """
    await begin(session, by)
    await _found(session, code)
    first, last = HOLIDAY_YEARS
    if not first <= year <= last:
        raise Invalid.at(
            "year", f"Chỉ tính được ngày lễ từ {first} đến {last}.", f"Holidays are known from {first} to {last}."
        )
    shipped, known = province_calendar(), {row.day for row in await _days(session, code)}
    added = [row for row in shipped.exceptions([year]) if row.day not in known]
    for row in added:
        session.add(
            models.CalendarDay(
                calendar=code,
                day=row.day,
                windows=[str(span) for span in shipped.windows(row.day)],
                label=row.label,
                source=row.source,
            )
        )
    if added:
        days = [row.day.isoformat() for row in added]
        _note_change(session, by, at, code, "year", added[0].day, [], days)
        await note(session, by, "calendar.fill_year", code, at, year=year, added=len(added))
    return len(added)


async def day_view(session: AsyncSession, code: str, day: date) -> DayView:
    """One day as the calendar has it now."""
    calendar = (await read_calendars(session)).get(code)
    if calendar is None:
        raise _unknown(code)
    return _day(calendar, day)


def windows_given(windows: Sequence[str], where: str) -> list[str]:
    """Windows in order and in one way of writing; Invalid when one cannot be read or two overlap."""
    try:
        spans = sorted(Span.parse(window) for window in windows)
    except ValueError:
        raise Invalid.at(
            where, "Khung giờ viết như 07:00-11:30.", "A window is written as 07:00-11:30.", "window"
        ) from None
    if overlap(tuple(spans)) or len(spans) > MOST_WINDOWS:
        raise Invalid.at(where, "Các khung giờ chồng nhau.", "The windows overlap.", "overlap")
    return [str(span) for span in spans]


def _note_change(
    session: AsyncSession, by: Actor, at: datetime, code: str, what: str, since: date, was: list[Any], now: list[Any]
) -> None:
    """What `limits recompute` counts again on account of; the journal holds no windows."""
    if was != now:
        session.add(models.CalendarChange(calendar=code, what=what, since=since, was=was, now=now, by=by.id, at=at))


def _day(calendar: Calendar, day: date) -> DayView:
    usual, windows = calendar.week_on(day)[day.weekday()], calendar.windows(day)
    kind = ("working" if usual else "make_up") if windows else ("off" if usual else "weekend")
    return DayView(
        day=day,
        weekday=day.weekday(),
        kind=kind,
        windows=tuple(str(span) for span in windows),
        exception=day in calendar.days,
        usual=tuple(str(span) for span in usual),
        label=calendar.labels.get(day, ""),
        source=calendar.sources.get(day, ""),
    )


async def _names(session: AsyncSession) -> dict[str, str]:
    named = dict((await session.exec(select(models.Department.code, models.Department.name))).all())
    return {**named, PROVINCE: PROVINCE_NAME}


async def _found(session: AsyncSession, code: str) -> models.WorkCalendar:
    return await found(session, models.WorkCalendar, code, f"Không có lịch {code}.", f"There is no calendar {code}.")


def _unknown(code: str) -> NotFound:
    return NotFound(f"Không có lịch {code}.", f"There is no calendar {code}.")


async def _head(session: AsyncSession, code: str) -> CalendarHead:
    return next(head for head in await listed(session) if head.code == code)


async def _days(session: AsyncSession, code: str) -> list[models.CalendarDay]:
    return list((await session.exec(select(models.CalendarDay).where(models.CalendarDay.calendar == code))).all())


async def _known_day(session: AsyncSession, code: str, day: date) -> models.CalendarDay | None:
    statement = select(models.CalendarDay).where(models.CalendarDay.calendar == code, models.CalendarDay.day == day)
    return (await session.exec(statement)).first()


async def _weeks(session: AsyncSession, code: str) -> list[models.CalendarWeek]:
    return list((await session.exec(select(models.CalendarWeek).where(models.CalendarWeek.calendar == code))).all())


def _told(week: Sequence[Sequence[Span]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(str(span) for span in windows) for windows in week)
