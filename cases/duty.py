"""The duty roster as it is kept: shifts of a department, leave, deputies, and who is named for steps upwards.

Whoever heads a department plans its people, a supervisor those of the centre, an administrator everybody. Deciding who
is told is `cases.roster`'s.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import delete, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.duty_models import Deputy, DutyShift, Leave, NamedRole
from cases.roster import Roster
from core.errors import Invalid, NotAllowed, NotFound
from core.ids import uuid7
from core.journal import record
from core.staff import EVERYTHING_ORDINARY, MANAGE, Actor, Role, roles_from

LONGEST_SHIFT = timedelta(days=7)
LONGEST_LEAVE = timedelta(days=366)
MOST_DEPUTIES = 5
MOST_WEEKS = 26  # that a shift is repeated at once
LEADERS = """EXISTS (
        SELECT FROM staff s JOIN role_grants g ON g.staff_id = s.id AND g.role = 'leader'
        WHERE s.active AND NOT EXISTS (
            SELECT FROM leaves l WHERE l.staff_id = s.id AND l.starts_at <= :at AND l.ends_at > :at
        )
    )"""  # SQL: somebody of the leadership is there at a moment, as `Roster.leaders` finds them
NAMED = ("owner_dept", "provincial_office", "vice_chair")  # roles a person can be named for

_PEOPLE = text(
    """
    SELECT s.id, s.name, s.email, coalesce(r.roles, '{}') AS roles, coalesce(d.departments, '{}') AS departments
    FROM staff s
    LEFT JOIN (SELECT staff_id, array_agg(role) AS roles FROM role_grants GROUP BY 1) r ON r.staff_id = s.id
    LEFT JOIN (SELECT staff_id, array_agg(department) AS departments FROM staff_departments GROUP BY 1) d
        ON d.staff_id = s.id
    WHERE s.active
    """
)


async def roster(session: AsyncSession, centre: str, at: datetime) -> Roster:
    """Who works here, who is on duty, away or stands in at a moment. Five statements, whatever is asked of it."""
    people = {
        row.id: Actor("staff", row.id, row.name, row.email, roles_from(row.roles), frozenset(row.departments))
        for row in (await session.execute(_PEOPLE)).all()
    }
    running = select(DutyShift.department, DutyShift.staff_id).where(
        col(DutyShift.ends_at) > at, col(DutyShift.starts_at) <= at
    )
    shifts: dict[str, list[UUID]] = defaultdict(list)
    for department, person in (await session.exec(running.order_by(col(DutyShift.id)))).all():
        shifts[department].append(person)
    away = select(Leave.staff_id).where(col(Leave.ends_at) > at, col(Leave.starts_at) <= at)
    deputies: dict[UUID, list[UUID]] = defaultdict(list)
    for row in (await session.exec(select(Deputy).order_by(col(Deputy.rank)))).all():
        deputies[row.staff_id].append(row.deputy_id)
    named: dict[str, list[UUID]] = defaultdict(list)
    for each in (await session.exec(select(NamedRole))).all():
        named[each.role].append(each.staff_id)
    return Roster(
        centre,
        people,
        {department: tuple(each) for department, each in shifts.items()},
        frozenset((await session.exec(away)).all()),
        {person: tuple(each) for person, each in deputies.items()},
        {role: tuple(each) for role, each in named.items()},
    )


async def without_people(session: AsyncSession, on: date) -> list[str]:
    """Departments that live on that day and where nobody could be told of their work: it goes to the supervisor."""
    return list((await session.execute(_EMPTY, {"on": on})).scalars())


_EMPTY = text(
    """
    SELECT d.code FROM departments d
    WHERE d.valid_from <= :on AND (d.valid_to IS NULL OR d.valid_to > :on) AND NOT EXISTS (
        SELECT FROM staff_departments h
        JOIN staff s ON s.id = h.staff_id AND s.active
        JOIN role_grants r ON r.staff_id = s.id
        WHERE h.department = d.code
          AND r.role = ANY(CASE WHEN d.kind = 'centre' THEN ARRAY['dispatcher', 'supervisor']
                                ELSE ARRAY['officer', 'head'] END))
    ORDER BY d.name, d.code
    """
)


async def on_duty(session: AsyncSession, department: str, role: Role, at: datetime) -> list[UUID]:
    """Who answers for a role in a department at a moment; nobody only where there is not even an administrator."""
    centre = await session.scalar(text("SELECT code FROM departments WHERE kind = 'centre' ORDER BY code LIMIT 1"))
    return list((await roster(session, centre or "", at)).on_duty(department, role).people)


def may_plan(who: Actor, department: str, centre: str) -> bool:
    """Whether this person keeps the roster of a department."""
    if who.may(MANAGE):
        return True
    if department == centre:
        return Role.SUPERVISOR in who.roles
    return Role.HEAD in who.roles and department in who.departments


def plannable(who: Actor, departments: Collection[str], centre: str) -> list[str]:
    """The departments whose roster this person keeps, sorted."""
    return sorted(code for code in departments if may_plan(who, code, centre))


@dataclass(frozen=True, slots=True)
class Colleague:
    """Somebody of a department: by whom they are represented, and when they are or will be away."""

    id: UUID
    name: str
    roles: tuple[str, ...]
    deputies: tuple[UUID, ...]
    leaves: tuple[Leave, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The roster of a department from a moment on."""

    shifts: Sequence[tuple[DutyShift, str]]  # with the person's name
    people: Sequence[Colleague]


async def plan(session: AsyncSession, department: str, at: datetime, until: datetime) -> Plan:
    """Shifts that are not over at `at` and begin before `until`, and the people who can be planned."""
    people = [row for row in (await session.execute(_PEOPLE)).all() if department in row.departments]
    names = {row.id: row.name for row in people}
    shifts = await session.exec(
        select(DutyShift)
        .where(DutyShift.department == department, col(DutyShift.ends_at) > at, col(DutyShift.starts_at) < until)
        .order_by(col(DutyShift.starts_at), col(DutyShift.id))
    )
    leaves: dict[UUID, list[Leave]] = defaultdict(list)
    theirs = select(Leave).where(col(Leave.staff_id).in_(names), col(Leave.ends_at) > at)
    for leave in (await session.exec(theirs.order_by(col(Leave.starts_at)))).all():
        leaves[leave.staff_id].append(leave)
    deputies: dict[UUID, list[UUID]] = defaultdict(list)
    for row in (
        await session.exec(select(Deputy).where(col(Deputy.staff_id).in_(names)).order_by(col(Deputy.rank)))
    ).all():
        deputies[row.staff_id].append(row.deputy_id)
    colleagues = [
        Colleague(row.id, row.name, tuple(sorted(row.roles)), tuple(deputies[row.id]), tuple(leaves[row.id]))
        for row in sorted(people, key=lambda row: (row.name, row.id))
    ]
    return Plan([(shift, names[shift.staff_id]) for shift in shifts if shift.staff_id in names], colleagues)


async def add_shift(
    session: AsyncSession,
    by: Actor,
    centre: str,
    department: str,
    person: UUID,
    starts_at: datetime,
    ends_at: datetime,
    at: datetime,
    *,
    weeks: int = 1,
) -> int:
    """Somebody is on duty, in `weeks` weeks at the same time each; how many shifts are new.

    NotAllowed, Invalid. A week is seven days of 24 hours: the country keeps one time all year.
    """
    must_plan(by, department, centre)
    await _people(session, [person], department)
    _in_order(starts_at, ends_at)
    if not 1 <= weeks <= MOST_WEEKS:
        raise Invalid.at("weeks", f"Lặp lại từ 1 đến {MOST_WEEKS} tuần.", f"From 1 to {MOST_WEEKS} weeks.", "range")
    _ahead(ends_at + timedelta(weeks=weeks - 1), at)
    await _lock(session, f"roster {person}")
    had = await session.exec(
        select(DutyShift.starts_at).where(DutyShift.department == department, DutyShift.staff_id == person)
    )
    known, added = set(had.all()), 0
    for week in range(weeks):
        begins = starts_at + timedelta(weeks=week)
        if begins not in known:
            ends = ends_at + timedelta(weeks=week)
            shift = DutyShift(id=uuid7(at), department=department, staff_id=person, starts_at=begins, ends_at=ends)
            session.add(shift)
            added += 1
    await session.flush()
    await _note(session, by, "duty.add_shift", person, at, department=department, shifts=added)
    return added


async def drop_shift(session: AsyncSession, by: Actor, centre: str, department: str, id: UUID, at: datetime) -> None:
    """This shift of the department is not to be. NotAllowed, NotFound."""
    must_plan(by, department, centre)
    shift = await session.get(DutyShift, id, with_for_update=True)
    if shift is None or shift.department != department:
        raise NotFound("Không có ca trực này.", "There is no such shift.")
    await session.delete(shift)
    await _note(session, by, "duty.drop_shift", shift.staff_id, at, department=department)


async def add_leave(
    session: AsyncSession,
    by: Actor,
    centre: str,
    department: str,
    person: UUID,
    first: date,
    last: date,
    zone: ZoneInfo,
    at: datetime,
) -> None:
    """Somebody of the department is away, both days included; the same leave is noted once. NotAllowed, Invalid."""
    must_plan(by, department, centre)
    await _people(session, [person], department)
    if not first <= last <= first + LONGEST_LEAVE:
        raise Invalid.at("last", "Ngày cuối phải từ ngày đầu trở đi.", "The last day comes after the first.", "order")
    starts_at = datetime.combine(first, time(), zone)
    ends_at = datetime.combine(last + timedelta(days=1), time(), zone)
    _ahead(ends_at, at)
    await _lock(session, f"roster {person}")
    same = select(Leave.id).where(Leave.staff_id == person, Leave.starts_at == starts_at, Leave.ends_at == ends_at)
    if (await session.exec(same.limit(1))).first() is not None:
        return
    session.add(Leave(id=uuid7(at), staff_id=person, starts_at=starts_at, ends_at=ends_at))
    await _note(session, by, "duty.add_leave", person, at, department=department)


async def drop_leave(session: AsyncSession, by: Actor, centre: str, department: str, id: UUID, at: datetime) -> None:
    """They are there after all."""
    must_plan(by, department, centre)
    leave = await session.get(Leave, id, with_for_update=True)
    if leave is None:
        raise NotFound("Không có lượt nghỉ này.", "There is no such leave.")
    await _people(session, [leave.staff_id], department)
    await session.delete(leave)
    await _note(session, by, "duty.drop_leave", leave.staff_id, at, department=department)


async def set_deputies(
    session: AsyncSession,
    by: Actor,
    centre: str,
    department: str,
    person: UUID,
    deputies: Sequence[UUID],
    at: datetime,
) -> None:
    """Who stands in for somebody, the first who is there; all of the same department. NotAllowed, Invalid."""
    must_plan(by, department, centre)
    await _people(session, [person], department)
    await _people(session, deputies, department, "deputies")
    chosen = list(dict.fromkeys(deputies))
    if person in chosen or len(chosen) > MOST_DEPUTIES:
        raise Invalid.at(
            "deputies",
            f"Chọn nhiều nhất {MOST_DEPUTIES} người khác làm người thay.",
            f"Choose at most {MOST_DEPUTIES} others.",
        )
    await _lock(session, f"roster {person}")
    await session.execute(delete(Deputy).where(col(Deputy.staff_id) == person))
    session.add_all(Deputy(staff_id=person, deputy_id=each, rank=rank) for rank, each in enumerate(chosen))
    await _note(session, by, "duty.set_deputies", person, at, department=department, deputies=len(chosen))


async def name(session: AsyncSession, by: Actor, role: str, people: Sequence[UUID], at: datetime) -> None:
    """Whom a step upwards means: people who may open the cases they hear of. Administrators only; Invalid.

    Nobody: whom `cases.notices.upwards` finds by itself.
    """
    by.require(MANAGE)
    if role not in NAMED:
        raise Invalid.at("role", "Không có vai này.", "There is no such role.", "unknown")
    chosen = list(dict.fromkeys(people))
    for found in await _people(session, chosen, None, "people"):
        if not EVERYTHING_ORDINARY & roles_from(found.roles):
            raise Invalid.at(
                "people",
                f"{found.name} không mở được mọi phản ánh. Hãy cấp vai Lãnh đạo (chỉ xem) trước.",
                f"{found.name} cannot open every case. Grant the role of a leader (reads only) first.",
                "blind",
            )
    await _lock(session, f"named {role}")
    await session.execute(delete(NamedRole).where(col(NamedRole.role) == role))
    session.add_all(NamedRole(role=role, staff_id=each) for each in chosen)
    data = {"role": role, "people": [str(each) for each in chosen]}
    await record(session, "duty.name", at=at, actor_kind=by.kind, actor_id=by.id, subject=role, data=data)


async def named(session: AsyncSession) -> dict[str, list[UUID]]:
    """Whom an administrator named, by role."""
    found: dict[str, list[UUID]] = {role: [] for role in NAMED}
    for row in (await session.exec(select(NamedRole))).all():
        found.setdefault(row.role, []).append(row.staff_id)
    return found


def must_plan(by: Actor, department: str, centre: str) -> None:
    """NotAllowed unless this person keeps the roster of the department."""
    if not may_plan(by, department, centre):
        raise NotAllowed(
            "Chỉ thủ trưởng đơn vị hoặc quản trị được xếp lịch trực của đơn vị này.",
            "Only the head of this department or an administrator keeps its roster.",
        )


async def _people(
    session: AsyncSession, wanted: Sequence[UUID], department: str | None, where: str = "person"
) -> list[Any]:
    """Rows of these people, all of the department if one is named. Invalid: somebody is not."""
    known = {row.id: row for row in (await session.execute(_PEOPLE)).all()}
    found = [known[each] for each in wanted if each in known]
    if len(found) < len(wanted) or not all(department in (None, *row.departments) for row in found):
        raise Invalid.at(where, "Không có cán bộ này trong đơn vị.", "Nobody of this department.", "unknown")
    return found


async def _lock(session: AsyncSession, what: str) -> None:
    """Until the end of the transaction nobody else plans this; two who press at once are one after the other."""
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 1022))"), {"what": what})


def _in_order(starts_at: datetime, ends_at: datetime) -> None:
    if ends_at <= starts_at or ends_at - starts_at > LONGEST_SHIFT:
        days = LONGEST_SHIFT // timedelta(days=1)
        raise Invalid.at(
            "ends",
            f"Lúc kết thúc phải sau lúc bắt đầu, không quá {days} ngày.",
            f"The end must come after the beginning, by at most {days} days.",
            "order",
        )


def _ahead(ends_at: datetime, at: datetime) -> None:
    """Invalid when it is over already: it would be kept and never seen."""
    if ends_at <= at:
        raise Invalid.at("ends", "Thời gian này đã qua.", "That time is over.", "past")


async def _note(session: AsyncSession, by: Actor, kind: str, person: UUID, at: datetime, **data: Any) -> None:
    """The journal's row: about whom, by whom, in which department."""
    await record(session, kind, at=at, actor_kind=by.kind, actor_id=by.id, subject=str(person), data=data)
