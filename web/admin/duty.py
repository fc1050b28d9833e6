"""Who is on duty, on pages: shifts, leave and deputies of a department, and who is named for steps upwards.

For heads of departments, for supervisors (the centre) and for administrators; `cases.duty` says who may what.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from cases import duty, notices
from cases.duty import MOST_WEEKS, NAMED, Plan
from cases.queries import sees_everything
from cases.roster import How, Told
from core.errors import DomainError, Invalid, NotAllowed
from core.people import Person, listed
from core.staff import EVERYTHING_ORDINARY, MANAGE, Actor, Role
from routing.queries import Routing
from web.admin.ground import Filled, Pair, Word, again, by_name, texts, trying
from web.administration.edge import CodeInPath
from web.deps import Db, Now, Rules
from web.pages import FromHere, Looking, PageForm
from web.rendering import go, render

router = APIRouter(include_in_schema=False, dependencies=[FromHere])
AHEAD = timedelta(days=28)  # of shifts shown


@dataclass(frozen=True, slots=True)
class DutyPage:
    """The roster of a department: what is planned, who could be, and who would be told if something came now."""

    department: str
    name: str
    departments: Sequence[Pair]  # that this person plans
    plan: Plan
    now: Told
    names: Mapping[UUID, str]
    shift: Filled
    leave: Filled
    alert: str
    done: str
    roles: Mapping[str, Sequence[UUID]]  # who is named; for administrators
    everybody: Sequence[Person]  # who can be named
    ladder: Mapping[str, Told]  # who would be told of each step now
    nobody: Sequence[How] = (How.SUPERVISOR, How.ADMIN)  # told because whom it means is not there
    weeks: int = MOST_WEEKS


@router.get("/admin/duty")
async def page(
    request: Request, session: Db, who: Looking, routing: Rules, at: Now, department: Word = "", done: Word = ""
) -> Response:
    """A department's roster; without one named the first that this person plans."""
    return await _page(request, session, who, routing, at, department, done=done)


@router.post("/admin/duty/{department}/shifts")
async def add_shift(
    request: Request, session: Db, who: Looking, routing: Rules, at: Now, form: PageForm, department: CodeInPath
) -> Response:
    """Somebody is on duty, perhaps every week."""
    values = texts(form, "person", "starts", "ends", "weeks")
    async with trying(session) as trial:
        zone = _zone(routing, at)
        await duty.add_shift(
            session,
            who,
            routing.directory.centre,
            department,
            _person(values["person"]),
            _moment("starts", values["starts"], zone),
            _moment("ends", values["ends"], zone),
            at,
            weeks=_count(values["weeks"] or "1"),
        )
    if trial.refused:
        shown = again(request, trial.refused, values)
        return await _page(request, session, who, routing, at, department, shift=shown)
    return _back(department)


@router.post("/admin/duty/{department}/shifts/{id}/drop")
async def drop_shift(session: Db, who: Looking, routing: Rules, at: Now, department: CodeInPath, id: UUID) -> Response:
    """This shift is not to be."""
    await duty.drop_shift(session, who, routing.directory.centre, department, id, at)
    return _back(department)


@router.post("/admin/duty/{department}/leaves")
async def add_leave(
    request: Request, session: Db, who: Looking, routing: Rules, at: Now, form: PageForm, department: CodeInPath
) -> Response:
    """Somebody is away, both days included."""
    values = texts(form, "person", "first", "last")
    async with trying(session) as trial:
        zone = _zone(routing, at)
        first, last = _day("first", values["first"]), _day("last", values["last"] or values["first"])
        person = _person(values["person"])
        await duty.add_leave(session, who, routing.directory.centre, department, person, first, last, zone, at)
    if trial.refused:
        shown = again(request, trial.refused, values)
        return await _page(request, session, who, routing, at, department, leave=shown)
    return _back(department)


@router.post("/admin/duty/{department}/leaves/{id}/drop")
async def drop_leave(session: Db, who: Looking, routing: Rules, at: Now, department: CodeInPath, id: UUID) -> Response:
    """They are there after all."""
    await duty.drop_leave(session, who, routing.directory.centre, department, id, at)
    return _back(department)


@router.post("/admin/duty/{department}/people/{person}/deputies")
async def set_deputies(
    request: Request,
    session: Db,
    who: Looking,
    routing: Rules,
    at: Now,
    form: PageForm,
    department: CodeInPath,
    person: UUID,
) -> Response:
    """Who stands in for them, in this order."""
    async with trying(session) as trial:
        chosen = [_person(each) for each in form.all("deputies")]
        await duty.set_deputies(session, who, routing.directory.centre, department, person, chosen, at)
    if trial.refused:
        return await _page(request, session, who, routing, at, department, refused=trial.refused)
    return _back(department)


@router.post("/admin/named-roles/{role}")
async def name(
    request: Request, session: Db, who: Looking, routing: Rules, at: Now, form: PageForm, role: CodeInPath
) -> Response:
    """Whom a step upwards means; nobody chosen: whoever the system finds by itself."""
    who.require(MANAGE)
    async with trying(session) as trial:
        await duty.name(session, who, role, [_person(each) for each in form.all("people")], at)
    if trial.refused:
        return await _page(request, session, who, routing, at, form.text("department"), refused=trial.refused)
    return _back(form.text("department"))


def _back(department: str) -> Response:
    known = department if department.replace("-", "").replace("_", "").isalnum() else ""
    return go(f"/admin/duty?department={known}&done=saved")


def _zone(routing: Routing, at: datetime) -> ZoneInfo:
    return routing.at(at).book.zone


def _person(typed: str) -> UUID:
    try:
        return UUID(typed)
    except ValueError:
        raise Invalid.at("person", "Hãy chọn một cán bộ.", "Choose a person.", "missing") from None


def _moment(where: str, typed: str, zone: ZoneInfo) -> datetime:
    try:
        moment = datetime.fromisoformat(typed)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is not None or not 2000 <= moment.year < 2200:
        raise Invalid.at(where, "Hãy ghi ngày và giờ.", "A day and a time are needed.", "missing")
    return moment.replace(tzinfo=zone)


def _day(where: str, typed: str) -> date:
    try:
        day = date.fromisoformat(typed)
    except ValueError:
        day = date.min
    if not 2000 <= day.year < 2200:
        raise Invalid.at(where, "Hãy ghi ngày.", "A day is needed.", "missing")
    return day


def _count(typed: str) -> int:
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 4 else 0


async def _page(
    request: Request,
    session: AsyncSession,
    who: Actor,
    routing: Routing,
    at: datetime,
    department: str,
    *,
    shift: Filled | None = None,
    leave: Filled | None = None,
    refused: DomainError | None = None,
    done: str = "",
) -> Response:
    centre, zone = routing.directory.centre, _zone(routing, at)
    today = at.astimezone(zone).date()
    living = [code for code, each in routing.directory.departments.items() if each.lives(today)]
    theirs = duty.plannable(who, living, centre)
    chosen = department if department in theirs else (theirs or [""])[0] if not department else ""
    if not chosen:
        raise NotAllowed(
            "Chỉ thủ trưởng đơn vị hoặc quản trị được xếp lịch trực của đơn vị này.",
            "Only the head of this department or an administrator keeps its roster.",
        )
    plan = await duty.plan(session, chosen, at, at + AHEAD)
    roster = await duty.roster(session, centre, at)
    manages = who.may(MANAGE)
    alert = again(request, refused, {}).alert if refused else ""
    ladder = {
        role: notices.upwards(role, centre, roster, routing, at, sees_everything) for role in (NAMED if manages else ())
    }
    shown = DutyPage(
        chosen,
        routing.departments[chosen].name,
        by_name((code, routing.departments[code].name) for code in theirs),
        plan,
        roster.on_duty(chosen, Role.DISPATCHER if chosen == centre else Role.OFFICER),
        {id: person.name for id, person in roster.people.items()},
        shift or Filled(_next_shift(at, zone)),
        leave or Filled({"person": "", "first": "", "last": ""}),
        alert,
        done,
        {role: people for role, people in (await duty.named(session)).items() if role in NAMED} if manages else {},
        [each for each in await listed(session, active=True) if EVERYTHING_ORDINARY & set(each.roles)]
        if manages
        else [],
        ladder,
    )
    status = max(form.status for form in (shown.shift, shown.leave)) if not alert else 422
    return render(request, "admin/duty.html", shown, who=who, status=status)


def _next_shift(at: datetime, zone: ZoneInfo) -> dict[str, Any]:
    """Tomorrow's day shift, for the form to begin with."""
    tomorrow = at.astimezone(zone).date() + timedelta(days=1)
    return {"person": "", "starts": f"{tomorrow}T07:00", "ends": f"{tomorrow}T17:00", "weeks": "1"}
