"""Working calendars on pages: weeks, a year at a glance, days that differ."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from cases import recount
from core.errors import Conflict, NotFound
from core.staff import MANAGE
from routing import queries
from routing.calendars import HOLIDAY_YEARS
from routing.editing import calendars
from routing.editing.calendars import CalendarHead, CalendarYear, DayView, WeekView
from routing.editing.shared import one_at_a_time
from routing.models import Department
from routing.queries import PROVINCE, Routing
from web.admin.ground import Admin, Filled, Pair, Word, again, by_name, read, texts, trying
from web.administration.calendars import DayEdit, NewCalendar, Week, YearToFill
from web.administration.edge import CodeInPath, RulesChange, Today
from web.deps import Day, Db, Now, Rules
from web.pages import FromHere, PageForm
from web.rendering import go, render

router = APIRouter(include_in_schema=False, dependencies=[FromHere, RulesChange])
Year = Annotated[int | None, Query(ge=2000, le=2199)]
DayInPath = Annotated[Day, Path()]
MOST = 5_000  # limits looked at, and counted again, by one request; what is more is the command's
LISTED = 20  # limits that would move, by name
_BETWEEN = re.compile(r"[\s,;]+")


@dataclass(frozen=True, slots=True)
class CalendarsPage:
    """The province's calendar and those of units; who may get one."""

    heads: Sequence[CalendarHead]
    form: Filled
    departments: Sequence[Pair]
    province: str = PROVINCE


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of a week; `days`: from which weekday to which the same windows hold. `now`: they hold today."""

    since: date | None
    now: bool
    days: Sequence[tuple[int, int, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Moving:
    """A limit that would move."""

    difference: recount.Difference
    holder: str


@dataclass(frozen=True, slots=True)
class CalendarPage:
    """A year of a calendar, its week and the form to fill it."""

    year: CalendarYear
    days: Sequence[DayView]  # that differ from their weekday
    today: date
    hours: Sequence[Hours]
    week: Filled
    alert: str = ""
    done: str = ""
    added: int | None = None
    province: str = PROVINCE
    fillable: bool = True
    since: date | None = None  # from when on changes count otherwise that running limits were not counted again for
    moves: int = 0  # limits that would move
    lifted: int = 0  # of them: would be late no longer
    late: int = 0  # would be late
    moving: Sequence[Moving] = ()  # some of them, of cases everybody here may know of
    most: int = MOST
    too_many: bool = False  # there are more limits than one request looks at
    opened: bool = False  # the form of the week


@dataclass(frozen=True, slots=True)
class DayPage:
    """One day of a calendar."""

    calendar: CalendarHead
    day: DayView
    form: Filled
    province: str = PROVINCE


@router.get("/admin/calendars")
async def listed(request: Request, session: Db, who: Admin, routing: Rules, today: Today) -> Response:
    """Every calendar."""
    return await _list(request, session, who, routing, today, Filled({"department": ""}))


@router.post("/admin/calendars")
async def create(
    request: Request, session: Db, who: Admin, routing: Rules, at: Now, today: Today, form: PageForm
) -> Response:
    """A calendar of a unit's own."""
    values = texts(form, "department")
    async with trying(session) as trial:
        made = await calendars.create(session, who, at, read(NewCalendar, values).department)
    if trial.refused:
        return await _list(request, session, who, routing, today, again(request, trial.refused, values))
    return go(f"/admin/calendars/{made.code}?done=added")


@router.get("/admin/calendars/{calendar}")
async def year(
    request: Request,
    session: Db,
    who: Admin,
    at: Now,
    today: Today,
    calendar: CodeInPath,
    year: Year = None,
    done: Word = "",
    added: int | None = None,
) -> Response:
    """A year at a glance, and what counting again would move."""
    since = await recount.pending(session, calendar)
    moved = None if since is None else await _moves(session, calendar, since, at)
    shown = year or today.year
    return await _year(request, session, who, today, calendar, shown, done=done, added=added, since=since, moved=moved)


@router.post("/admin/calendars/{calendar}/recount")
async def count_again(session: Db, who: Admin, at: Now, calendar: CodeInPath) -> Response:
    """Count running limits again by the calendar as it is now."""
    who.require(MANAGE)
    await one_at_a_time(session)
    since = await recount.pending(session, calendar)
    moved = 0
    if since is not None:
        if not (await _moves(session, calendar, since, at)).whole:
            raise Conflict(
                f"Có hơn {MOST} hạn cần xem lại: hãy chạy lệnh limits recompute trên máy chủ.",
                f"There are more than {MOST} limits to look at: run the command limits recompute on the server.",
            )
        change = await recount.change_of(session, calendar)
        moved = await recount.apply(session, await queries.load(session), change, since, who, at)
    return go(f"/admin/calendars/{calendar}?done=recounted&added={moved}")


@router.post("/admin/calendars/{calendar}/week")
async def edit_week(
    request: Request, session: Db, who: Admin, at: Now, today: Today, form: PageForm, calendar: CodeInPath
) -> Response:
    """Other windows by weekday."""
    hours = texts(form, *(f"week.{n}" for n in range(7)))
    values = {**hours, **texts(form, "since")}
    async with trying(session) as trial:
        body = read(Week, {"week": [_windows(value) for value in hours.values()], "since": values["since"] or None})
        await calendars.edit_week(session, who, at, calendar, body.week, body.since)
    if trial.refused:
        errors = [{**each, "where": ".".join(str(each["where"]).split(".")[:2])} for each in trial.refused.errors]
        trial.refused.errors = errors
        filled = again(request, trial.refused, values)
        return await _year(request, session, who, today, calendar, today.year, week=filled)
    return go(f"/admin/calendars/{calendar}?done=saved")


@router.post("/admin/calendars/{calendar}/fill")
async def fill(
    request: Request, session: Db, who: Admin, at: Now, today: Today, form: PageForm, calendar: CodeInPath
) -> Response:
    """A year's public holidays, where a day has no row yet."""
    values = texts(form, "year")
    async with trying(session) as trial:
        body = read(YearToFill, values)
        added = await calendars.fill_year(session, who, at, calendar, body.year)
    if trial.refused:
        told = again(request, trial.refused, {})
        return await _year(request, session, who, today, calendar, today.year, alert=told.alert)
    return go(f"/admin/calendars/{calendar}?year={body.year}&done=filled&added={added}")


@router.get("/admin/calendars/{calendar}/days/{day}")
async def one_day(request: Request, session: Db, who: Admin, calendar: CodeInPath, day: DayInPath) -> Response:
    """One day, and what may be said of it."""
    return await _day(request, session, who, calendar, day, None)


@router.post("/admin/calendars/{calendar}/days/{day}")
async def put_day(
    request: Request, session: Db, who: Admin, at: Now, form: PageForm, calendar: CodeInPath, day: DayInPath
) -> Response:
    """Off, or worked in hours of its own."""
    values: dict[str, Any] = {
        **texts(form, "kind", "windows", "label", "source"),
        "everywhere": form.flag("everywhere"),
    }
    members = {name: values[name] for name in ("label", "source", "everywhere")}
    members["windows"] = _windows(values["windows"]) if values["kind"] == "work" else []
    async with trying(session) as trial:
        body = read(DayEdit, members)
        await calendars.put_day(session, who, at, calendar, day, **body.model_dump())
    if trial.refused:
        return await _day(request, session, who, calendar, day, again(request, trial.refused, values))
    return go(f"/admin/calendars/{calendar}?year={day.year}&done=day")


@router.post("/admin/calendars/{calendar}/days/{day}/remove")
async def remove_day(session: Db, who: Admin, at: Now, calendar: CodeInPath, day: DayInPath) -> Response:
    """Let it be as its weekday is."""
    await calendars.remove_day(session, who, at, calendar, day)
    return go(f"/admin/calendars/{calendar}?year={day.year}&done=day")


def _windows(typed: str) -> list[str]:
    """07:00-11:30, 13:00–17:00 as people write it."""
    tight = re.sub(r"\s*[-–]\s*", "-", typed)
    return [window for window in _BETWEEN.split(tight) if window]


async def _moves(session: AsyncSession, calendar: str, since: date, at: datetime) -> recount.Preview:
    return await recount.preview(session, await queries.load(session), calendar, since, at, most=MOST)


def _hours(given: WeekView, now: bool) -> Hours:
    """A week in few words."""
    days: list[tuple[int, int, Sequence[str]]] = []
    for n, windows in enumerate(given.week):
        if days and days[-1][2] == windows:
            days[-1] = (days[-1][0], n, windows)
        else:
            days.append((n, n, windows))
    return Hours(given.since, now, days)


async def _list(
    request: Request, session: AsyncSession, who: Admin, routing: Routing, today: date, form: Filled
) -> Response:
    heads = await calendars.listed(session)
    have = {head.code for head in heads}
    units = (each for each in routing.directory.departments.values() if each.lives(today) and each.code not in have)
    page = CalendarsPage(heads, form, by_name((each.code, each.name) for each in units))
    return render(request, "admin/calendars.html", page, who=who, status=form.status)


async def _year(
    request: Request,
    session: AsyncSession,
    who: Admin,
    today: date,
    code: str,
    wanted: int,
    *,
    week: Filled | None = None,
    alert: str = "",
    done: str = "",
    added: int | None = None,
    since: date | None = None,
    moved: recount.Preview | None = None,
) -> Response:
    shown = await calendars.calendar_year(session, code, wanted)
    present = [each for each in shown.weeks if each.since is None or each.since <= today][-1]
    differences = [] if moved is None else moved.differences
    names = dict((await session.exec(select(Department.code, Department.name))).all()) if differences else {}
    page = CalendarPage(
        year=shown,
        days=[day for month in shown.months for day in month.days if day.exception],
        today=today,
        hours=[_hours(each, each is present) for each in shown.weeks],
        week=week
        or Filled(
            {**{f"week.{n}": ", ".join(windows) for n, windows in enumerate(present.week)}, "since": today.isoformat()}
        ),
        alert=alert,
        done=done,
        added=added,
        fillable=HOLIDAY_YEARS[0] <= wanted <= HOLIDAY_YEARS[1],
        opened=week is not None,
        since=since,
        moves=len(differences),
        lifted=sum(each.was_late and not each.late for each in differences),
        late=sum(each.late and not each.was_late for each in differences),
        moving=[
            Moving(each, names.get(each.holder, each.holder))
            for each in [each for each in differences if not each.restricted][:LISTED]
        ],
        too_many=moved is not None and not moved.whole,
    )
    return render(request, "admin/calendar.html", page, who=who, status=422 if alert or week else 200)


async def _day(
    request: Request, session: AsyncSession, who: Admin, code: str, day: date, form: Filled | None
) -> Response:
    head = next((each for each in await calendars.listed(session) if each.code == code), None)
    if head is None:
        raise NotFound(f"Không có lịch {code}.", f"There is no calendar {code}.")
    view = await calendars.day_view(session, code, day)
    worked = view.windows if view.exception else ()
    filled = form or Filled(
        {
            "kind": "work" if worked else "off",
            "windows": ", ".join(worked or view.usual or next(filter(None, head.week), ())),
            "label": view.label,
            "source": view.source,
            "everywhere": False,
        }
    )
    page = DayPage(head, view, filled)
    return render(request, "admin/day.html", page, who=who, status=filled.status)
