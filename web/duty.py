"""The duty roster for programs: shifts, leave and deputies of a department. `cases.duty` says who may what."""

from datetime import date, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field
from pydantic_core import PydanticCustomError
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import duty
from cases.duty import MOST_DEPUTIES, MOST_WEEKS
from core.errors import NotFound
from core.staff import Actor, Role
from routing.queries import Routing
from web.administration.edge import Body, CodeInPath
from web.deps import Day, Db, Now, Rules, Who
from web.docs import PROBLEMS
from web.shapes import zone_of

router = APIRouter(prefix="/api/v1/duty/{department}", tags=["duty roster"], responses=PROBLEMS)
AHEAD = 28  # days of shifts that an answer to a change shows


def _of_our_time(value: datetime) -> datetime:
    """Refuse what no calendar here reaches."""
    if not 2000 <= value.year < 2200:
        raise PydanticCustomError("year", "A year from 2000 to 2199")
    return value


Instant = Annotated[AwareDatetime, AfterValidator(_of_our_time)]


async def _planner(who: Who, routing: Rules, department: CodeInPath) -> Actor:
    duty.must_plan(who, department, routing.directory.centre)
    if department not in routing.directory.departments:
        raise NotFound("Không có đơn vị này.", "There is no such department.")
    return who


Planner = Annotated[Actor, Depends(_planner)]  # whoever keeps the roster of the department in the path


class Shift(BaseModel):
    """Somebody is on duty from one moment to another."""

    id: UUID
    person: UUID
    name: str
    starts_at: datetime
    ends_at: datetime


class LeaveAnswer(BaseModel):
    """Days on which somebody is away, both included."""

    id: UUID
    first: date
    last: date


class Colleague(BaseModel):
    """Somebody of the department; `deputies` stand in for them, the first who is there."""

    id: UUID
    name: str
    roles: list[str]
    deputies: list[UUID]
    leaves: list[LeaveAnswer]


class Roster(BaseModel):
    """What is planned, and who would be told if something came now: `told`, and `why` they."""

    department: str
    told: list[UUID]
    why: str
    shifts: list[Shift]
    people: list[Colleague]


class NewShift(Body):
    """Somebody is on duty, in so many weeks at the same time each."""

    person: UUID
    starts_at: Instant
    ends_at: Instant
    weeks: Annotated[int, Field(ge=1, le=MOST_WEEKS)] = 1


class NewLeave(Body):
    """Somebody is away, both days included; without `last` for one day."""

    person: UUID
    first: Day
    last: Day | None = None


class Deputies(Body):
    """Who stands in, in this order; nobody: an empty list."""

    deputies: Annotated[list[UUID], Field(max_length=MOST_DEPUTIES)]


@router.get("")
async def roster(
    session: Db,
    who: Planner,
    routing: Rules,
    at: Now,
    department: CodeInPath,
    days: Annotated[int, Query(ge=1, le=183, description="Of shifts to come")] = AHEAD,
) -> Roster:
    """The roster of a department, for whoever keeps it."""
    return await _roster(session, routing, department, at, days)


@router.post("/shifts", status_code=201)
async def add_shift(
    session: Db, who: Planner, routing: Rules, at: Now, department: CodeInPath, given: NewShift
) -> Roster:
    """Plan somebody; the same shift is planned once."""
    centre = routing.directory.centre
    begins, ends = given.starts_at, given.ends_at
    await duty.add_shift(session, who, centre, department, given.person, begins, ends, at, weeks=given.weeks)
    return await _roster(session, routing, department, at)


@router.delete("/shifts/{shift}", status_code=204)
async def drop_shift(session: Db, who: Planner, routing: Rules, at: Now, department: CodeInPath, shift: UUID) -> None:
    """This shift is not to be."""
    await duty.drop_shift(session, who, routing.directory.centre, department, shift, at)


@router.post("/leaves", status_code=201)
async def add_leave(
    session: Db, who: Planner, routing: Rules, at: Now, department: CodeInPath, given: NewLeave
) -> Roster:
    """Note that somebody is away; the same leave is noted once."""
    centre, last, zone = routing.directory.centre, given.last or given.first, zone_of(routing)
    await duty.add_leave(session, who, centre, department, given.person, given.first, last, zone, at)
    return await _roster(session, routing, department, at)


@router.delete("/leaves/{leave}", status_code=204)
async def drop_leave(session: Db, who: Planner, routing: Rules, at: Now, department: CodeInPath, leave: UUID) -> None:
    """They are there after all."""
    await duty.drop_leave(session, who, routing.directory.centre, department, leave, at)


@router.put("/people/{person}/deputies")
async def set_deputies(
    session: Db, who: Planner, routing: Rules, at: Now, department: CodeInPath, person: UUID, given: Deputies
) -> Roster:
    """Who stands in for them, instead of who did."""
    await duty.set_deputies(session, who, routing.directory.centre, department, person, given.deputies, at)
    return await _roster(session, routing, department, at)


async def _roster(session: AsyncSession, routing: Routing, department: str, at: datetime, days: int = AHEAD) -> Roster:
    centre, zone = routing.directory.centre, zone_of(routing)
    plan = await duty.plan(session, department, at, at + timedelta(days=days))
    now = await duty.roster(session, centre, at)
    told = now.on_duty(department, Role.DISPATCHER if department == centre else Role.OFFICER)
    return Roster(
        department=department,
        told=list(told.people),
        why=told.how.value,
        shifts=[
            Shift(id=shift.id, person=shift.staff_id, name=name, starts_at=shift.starts_at, ends_at=shift.ends_at)
            for shift, name in plan.shifts
        ],
        people=[
            Colleague(
                id=each.id,
                name=each.name,
                roles=list(each.roles),
                deputies=list(each.deputies),
                leaves=[
                    LeaveAnswer(
                        id=leave.id,
                        first=leave.starts_at.astimezone(zone).date(),
                        last=leave.last.astimezone(zone).date(),
                    )
                    for leave in each.leaves
                ],
            )
            for each in plan.people
        ],
    )
