"""Working calendars: weeks, days that differ, a year at a glance."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field
from starlette.responses import Response

from cases.bodies import Code, clean_text, no_controls
from routing.editing import calendars
from routing.editing.calendars import CalendarHead, CalendarYear, DayView
from web.administration.edge import Admin, Body, CodeInPath, RulesChange, Today
from web.deps import Day, Db, Now
from web.docs import PROBLEMS

router = APIRouter(
    prefix="/api/v1/admin/calendars",
    tags=["administration: calendars"],
    responses=PROBLEMS,
    dependencies=[RulesChange],
)

Window = Annotated[str, Field(max_length=20, description="07:00-11:30")]
Windows = Annotated[list[Window], Field(max_length=calendars.MOST_WINDOWS)]
Remark = Annotated[str, BeforeValidator(clean_text), Field(max_length=500), AfterValidator(no_controls)]
Year = Annotated[int, Field(ge=2000, le=2199)]


class NewCalendar(Body):
    """A calendar of a department's own; it begins as the province's."""

    department: Code


class Week(Body):
    """Windows by weekday, Monday first; none: free."""

    week: Annotated[list[Windows], Field(min_length=7, max_length=7)]
    since: Annotated[Day | None, Field(description="The first day it holds; absent: today")] = None


class DayEdit(Body):
    """Off without windows, else worked in them; `everywhere`: in the calendars of all units too."""

    windows: Windows = Field(default_factory=list)
    label: Remark = ""
    source: Remark = ""
    everywhere: bool = False


class YearToFill(Body):
    """Whose public holidays are to be added."""

    year: Year


class Calendars(BaseModel):
    """The province's calendar first."""

    items: list[CalendarHead]


class Filled(BaseModel):
    """How many days were added."""

    added: int


@router.get("")
async def listed(session: Db, who: Admin) -> Calendars:
    """The province's calendar and those of units."""
    return Calendars(items=await calendars.listed(session))


@router.post("", status_code=201)
async def create(session: Db, who: Admin, at: Now, body: NewCalendar) -> CalendarHead:
    """A calendar of a department's own; 409 when it has one."""
    return await calendars.create(session, who, at, body.department)


@router.get("/{calendar}")
async def year(
    session: Db,
    who: Admin,
    today: Today,
    calendar: CodeInPath,
    year: Annotated[Year | None, Query(description="Absent: this year")] = None,
) -> CalendarYear:
    """Every day of a year."""
    return await calendars.calendar_year(session, calendar, year or today.year)


@router.put("/{calendar}/week")
async def edit_week(session: Db, who: Admin, at: Now, calendar: CodeInPath, body: Week) -> CalendarHead:
    """Other hours from a day on; what runs keeps its due time until it is counted again."""
    return await calendars.edit_week(session, who, at, calendar, body.week, body.since)


@router.put("/{calendar}/days/{day}")
async def put_day(session: Db, who: Admin, at: Now, calendar: CodeInPath, day: Day, body: DayEdit) -> DayView:
    """A day off, or a day with hours of its own, for limits opened from now on."""
    return await calendars.put_day(session, who, at, calendar, day, **body.model_dump())


@router.delete("/{calendar}/days/{day}", status_code=204)
async def remove_day(session: Db, who: Admin, at: Now, calendar: CodeInPath, day: Day) -> Response:
    """Let a day be as its weekday is."""
    await calendars.remove_day(session, who, at, calendar, day)
    return Response(status_code=204)


@router.post("/{calendar}/fill")
async def fill_year(session: Db, who: Admin, at: Now, calendar: CodeInPath, body: YearToFill) -> Filled:
    """Add a year's public holidays, as far as known today, where a day has no row yet."""
    return Filled(added=await calendars.fill_year(session, who, at, calendar, body.year))
