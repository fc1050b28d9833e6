"""Departments (đơn vị): read, added, edited, abolished with an heir. Many at once on one day: `editing.reforms`.

Whatever the rules give to an abolished department goes to its living heir from that day on (`Directory.living`), and to
the next rule where there is none; its open cases pass to the heir by themselves (`cases.rehoming`). A department that
is renamed keeps the names it had.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import Conflict, Invalid
from core.staff import Actor
from core.text import fold, is_email
from routing import models
from routing.directory import Directory
from routing.editing.reforms import rename
from routing.editing.shared import (
    Finding,
    begin,
    centre_lives,
    changed,
    consequences,
    ends_after,
    found,
    insert,
    local_day,
    name_given,
    new_code,
    note,
    standing,
)
from routing.queries import directory_of, read_directory
from routing.seeds import seed_kind_names

MEMBERS = frozenset({"name", "kind", "area", "parent", "email"})
_CENTRE = "centre"
_Joined = tuple[models.Department, models.Area | None, str | None]


@dataclass(frozen=True, slots=True)
class DepartmentRow:
    """A department as administrators see it. `heir` is who answers for it on the day asked for, null when nobody."""

    code: str
    name: str
    kind: str
    kind_name: str
    area: str | None
    area_name: str | None
    parent: str | None
    parent_name: str | None
    email: str | None
    valid_from: date
    valid_to: date | None
    successor: str | None
    successor_name: str | None
    living: bool
    heir: str | None
    own_calendar: bool
    former_names: tuple[str, ...] = ()
    shared_among: Mapping[str, str] = field(default_factory=dict)  # heirs of some places or fields: code → name


@dataclass(frozen=True, slots=True)
class DepartmentChange:
    """A department after an edit, and what that newly makes wrong with the rules in force."""

    department: DepartmentRow
    findings: tuple[Finding, ...] = ()


def kinds() -> Mapping[str, str]:
    """The kinds a department may be of, with their Vietnamese names."""
    return seed_kind_names()


async def listed(
    session: AsyncSession, on: date, *, q: str = "", kind: str | None = None, living: bool | None = None
) -> list[DepartmentRow]:
    """Departments by name; `q` is part of a name (a former one too) or code, marks or none; `living` as of the day."""
    statement = (
        select(models.Department, models.Area, models.WorkCalendar.code)
        .outerjoin(models.Area, col(models.Area.code) == models.Department.area)
        .outerjoin(models.WorkCalendar, col(models.WorkCalendar.code) == models.Department.code)
    )
    found = cast(Sequence[_Joined], (await session.exec(statement)).all())
    rows = [row for row, _, _ in found]
    names = (await session.exec(select(models.DepartmentName))).all() if q else ()
    heirs = (await session.exec(select(models.DepartmentHeir).order_by(col(models.DepartmentHeir.position)))).all()
    directory = directory_of(rows, [area for _, area, _ in found if area is not None], names, heirs)
    own = {calendar for _, _, calendar in found if calendar is not None}
    wanted = fold(q)
    return [
        _shown(row, directory, own, on)
        for row in sorted(rows, key=lambda row: (fold(row.name), row.code))
        if (kind is None or row.kind == kind)
        and (living is None or directory.departments[row.code].lives(on) is living)
        and (any(wanted in fold(name) for name in _names(row, directory)) or wanted in row.code)
    ]


async def one(session: AsyncSession, code: str, on: date) -> DepartmentRow:
    """One department, or NotFound."""
    return _shown(await _found(session, code), await read_directory(session), await _own_calendars(session), on)


async def add(
    session: AsyncSession,
    by: Actor,
    at: datetime,
    *,
    code: str,
    name: str,
    kind: str,
    valid_from: date,
    area: str | None = None,
    parent: str | None = None,
    email: str | None = None,
) -> DepartmentChange:
    """A new department. Conflict when the code is taken, or for a second centre."""
    await begin(session, by)
    directory = await read_directory(session)
    new_code(code)
    members = {"name": name, "kind": kind, "area": area, "parent": parent, "email": email}
    _check(code, members, directory)
    await insert(session, models.Department(code=code, valid_from=valid_from, **_clean(members)))
    await note(session, by, "department.add", code, at, kind=kind, valid_from=valid_from.isoformat())
    return DepartmentChange(await one(session, code, await local_day(session, at)))


async def edit(
    session: AsyncSession, by: Actor, at: datetime, code: str, members: Mapping[str, Any]
) -> DepartmentChange:
    """Change some of MEMBERS; what is not named stays, null empties area, parent or e-mail."""
    await begin(session, by)
    row, today = await _found(session, code), await local_day(session, at)
    _check(code, members, await read_directory(session))
    routes = any(name in members and members[name] != getattr(row, name) for name in ("kind", "area"))
    before = await standing(session, today) if routes else []
    given = _clean(members)
    names = ["name"] if given.get("name", row.name) != row.name else []
    if names:
        await rename(session, row, given["name"], today, today)
    names += changed(row, {name: value for name, value in given.items() if name != "name"})
    session.add(row)
    await session.flush()
    if routes:
        centre_lives(await read_directory(session), today)
    if names:
        await note(session, by, "department.edit", code, at, changed=sorted(names))
    findings = await consequences(session, today, before) if routes else ()
    return DepartmentChange(await one(session, code, today), findings)


async def abolish(
    session: AsyncSession, by: Actor, at: datetime, code: str, *, valid_to: date, successor: str | None
) -> DepartmentChange:
    """End a department: `valid_to` is the first day it no longer exists, `successor` lives on that day.

    Said again it corrects the day or the heir. Conflict for a circle of heirs, or when the centre would be gone.
    """
    await begin(session, by)
    row, today = await _found(session, code), await local_day(session, at)
    ends_after(row.valid_from, valid_to)
    directory = await read_directory(session)
    if successor is not None:
        _check_heir(code, successor, valid_to, directory)
    before = await standing(session, today)
    names = changed(row, {"valid_to": valid_to, "successor": successor})
    if successor is not None:  # one heir for all; said without one it only corrects the day of a split
        await _no_split(session, code)
    session.add(row)
    await session.flush()
    centre_lives(await read_directory(session), min(today, valid_to))
    if names:
        await note(session, by, "department.abolish", code, at, valid_to=valid_to.isoformat(), successor=successor)
    return DepartmentChange(await one(session, code, today), await consequences(session, today, before))


async def restore(session: AsyncSession, by: Actor, at: datetime, code: str) -> DepartmentChange:
    """Take back an abolition: the department exists without end, and has no heir."""
    await begin(session, by)
    row, today = await _found(session, code), await local_day(session, at)
    before = await standing(session, today)
    if changed(row, {"valid_to": None, "successor": None}):
        session.add(row)
        await _no_split(session, code)
        await note(session, by, "department.restore", code, at)
    return DepartmentChange(await one(session, code, today), await consequences(session, today, before))


async def _no_split(session: AsyncSession, code: str) -> None:
    """The heirs that a reform named for some places and fields are forgotten."""
    await session.execute(delete(models.DepartmentHeir).where(col(models.DepartmentHeir.department) == code))


async def _found(session: AsyncSession, code: str) -> models.Department:
    return await found(session, models.Department, code, f"Không có đơn vị {code}.", f"There is no department {code}.")


def _check(code: str, members: Mapping[str, Any], directory: Directory) -> None:
    """Invalid names the member that cannot be; Conflict for a second centre."""
    if "name" in members:
        name_given(members["name"])
    if "kind" in members:
        kind = members["kind"]
        if kind not in kinds():
            raise Invalid.at(
                "kind", f"Không có loại đơn vị {kind}.", f"There is no kind of department {kind}.", "unknown"
            )
        if kind == _CENTRE and any(d.kind == _CENTRE and d.code != code for d in directory.departments.values()):
            raise Conflict("Đã có trung tâm 1022; chỉ có một.", "There is a 1022 centre already; there is only one.")
    if (area := members.get("area")) is not None and area not in directory.areas:
        raise Invalid.at("area", f"Không có địa bàn {area}.", f"There is no area {area}.", "unknown")
    if (parent := members.get("parent")) is not None:
        if parent not in directory.departments:
            raise Invalid.at("parent", f"Không có đơn vị {parent}.", f"There is no department {parent}.", "unknown")
        above: str | None = parent
        seen: set[str] = set()
        while above is not None and above not in seen and above in directory.departments:
            if above == code:
                raise Invalid.at(
                    "parent",
                    "Đơn vị cấp trên không được nằm dưới chính đơn vị này.",
                    "A department cannot stand below itself.",
                    "circle",
                )
            seen.add(above)
            above = directory.departments[above].parent
    if (email := members.get("email")) is not None and not is_email(email):
        raise Invalid.at("email", "Địa chỉ e-mail không đúng.", "Not an e-mail address.", "email")


def _clean(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: name_given(value) if name == "name" else value for name, value in members.items()}


def _check_heir(code: str, successor: str, day: date, directory: Directory) -> None:
    heir = directory.departments.get(successor)
    if heir is None:
        raise Invalid.at(
            "successor", f"Không có đơn vị {successor}.", f"There is no department {successor}.", "unknown"
        )
    step, seen = heir, set[str]()
    while step.code not in seen:
        if step.code == code:
            raise Conflict(
                "Các đơn vị kế thừa không được nối thành vòng tròn.", "The heirs of a department cannot form a circle."
            )
        seen.add(step.code)
        step = directory.departments.get(step.successor or "", step)
    if not heir.lives(day):
        raise Conflict(
            f"Đơn vị {successor} không tồn tại vào ngày {day}. Hãy chọn đơn vị còn hoạt động.",
            f"The department {successor} does not exist on {day}. Choose a living one.",
        )


def _names(row: models.Department, directory: Directory) -> list[str]:
    return [row.name, *(name for _, name in directory.departments[row.code].names)]


async def _own_calendars(session: AsyncSession) -> set[str]:
    return set((await session.exec(select(models.WorkCalendar.code))).all())


def _shown(row: models.Department, directory: Directory, own: set[str], on: date) -> DepartmentRow:
    def name_of(code: str | None) -> str | None:
        known = directory.departments.get(code or "")
        return known.name if known else code

    area = directory.areas.get(row.area or "")
    return DepartmentRow(
        code=row.code,
        name=row.name,
        kind=row.kind,
        kind_name=kinds().get(row.kind, row.kind),
        area=row.area,
        area_name=f"{area.type} {area.name}" if area else row.area,
        parent=row.parent,
        parent_name=name_of(row.parent),
        email=row.email,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        successor=row.successor,
        successor_name=name_of(row.successor),
        living=directory.departments[row.code].lives(on),
        heir=directory.living(row.code, on),
        own_calendar=row.code in own,
        shared_among={each.to: name_of(each.to) or each.to for each in directory.departments[row.code].heirs},
        former_names=tuple(dict.fromkeys(name for name in _names(row, directory) if name != row.name)),
    )
