"""Reforms: kept as they were written, looked at before they hold, and put into the tables as a whole.

Applying writes dates, on the day or long before it; what they lead to happens by itself when the day has come: routing
asks who lives, and workers pass open cases to heirs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, text
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core import auth, staffing
from core.errors import Conflict, Invalid, NotFound
from core.staff import Actor, Staff, StaffDepartment
from routing import models
from routing.calendars import SEED
from routing.directory import Directory
from routing.editing.rule_sets import stamp
from routing.editing.shared import Finding, begin, centre_lives, consequences, local_day, note, standing
from routing.queries import read_directory, read_fields
from routing.reform_check import check
from routing.reforms import BadReform, Fault, Reform, Step, after, parse, steps, whole
from routing.seeds import seed_kind_names

SHIPPED = SEED / "reform-2025-07-01.yaml"


@dataclass(frozen=True, slots=True)
class ReformHead:
    """A reform as the list of them shows it."""

    code: str
    name: str
    effective_on: date
    source: str
    applied_at: datetime | None


@dataclass(frozen=True, slots=True)
class Look:
    """What a reform would do: its changes, what is wrong with it, and the directory with it in."""

    reform: Reform
    steps: tuple[Step, ...]
    faults: tuple[Fault, ...]
    after: Directory


async def listed(session: AsyncSession) -> list[ReformHead]:
    """Every reform, the newest day first."""
    rows = (await session.exec(select(models.Reform))).all()
    heads = [ReformHead(row.code, row.name, row.effective_on, row.source, row.applied_at) for row in rows]
    return sorted(heads, key=lambda head: (head.effective_on, head.code), reverse=True)


async def one(session: AsyncSession, code: str) -> models.Reform:
    """A reform, or NotFound."""
    row = (await session.exec(select(models.Reform).where(models.Reform.code == code))).first()
    if row is None:
        raise NotFound(f"Không có đợt sắp xếp {code}.", f"There is no reform {code}.")
    return row


def read(document: str) -> Reform:
    """A reform from its document; Invalid names every place by its line."""
    try:
        return parse(document)
    except BadReform as bad:
        raise _invalid(bad.faults) from None


async def look(session: AsyncSession, reform: Reform) -> Look:
    """What it would do with departments and areas as they are now."""
    directory = await read_directory(session)
    complete = whole(reform, directory)
    faults = check(complete, directory, seed_kind_names(), await read_fields(session))
    return Look(complete, tuple(steps(complete, directory)), tuple(faults), after(complete, directory))


def _as_seen(row: models.Reform | None, seen: str | None) -> None:
    """Conflict when a document is not the one that was seen: nothing written meanwhile is lost, or holds unread."""
    if seen is not None and seen != (stamp(row.document) if row is not None else ""):
        raise Conflict(
            "Đợt sắp xếp này vừa được người khác sửa. Hãy xem bản mới rồi làm lại.",
            "Somebody else has just changed this reform. Look at it again first.",
        )


async def store(session: AsyncSession, by: Actor, at: datetime, document: str, seen: str | None = None) -> Reform:
    """Keep a reform, or another text of one that is not applied yet. It may still be wrong by the tables of today.

    `seen` is the `stamp` of the text that was edited, empty where there was none. Invalid when it cannot be read;
    Conflict when a reform of this code is applied, or says something else by now.
    """
    await begin(session, by)
    reform = read(document)
    row = await session.get(models.Reform, reform.code, populate_existing=True)
    if row is not None and row.applied_at is not None:
        raise Conflict(
            f"Đợt sắp xếp {reform.code} đã áp dụng nên không sửa được. Hãy dùng mã khác cho đợt mới.",
            f"The reform {reform.code} is applied. Give the new one another code.",
        )
    if row is not None and seen == "":
        raise Conflict(
            f"Đã có đợt sắp xếp mã {reform.code}. Hãy sửa đợt đó, hoặc dùng mã khác.",
            f"There is a reform {reform.code} already. Edit that one, or use another code.",
        )
    _as_seen(row, seen)
    row = row or models.Reform(
        code=reform.code, name="", effective_on=reform.effective_on, document="", added_at=at, added_by=by.id
    )
    row.name, row.effective_on, row.source, row.document = reform.name, reform.effective_on, reform.source, document
    session.add(row)
    await session.flush()
    await note(session, by, "reform.store", reform.code, at, effective_on=reform.effective_on.isoformat())
    return reform


async def drop(session: AsyncSession, by: Actor, at: datetime, code: str) -> None:
    """Forget a reform that is not applied."""
    await begin(session, by)
    row = await one(session, code)
    if row.applied_at is not None:
        raise Conflict("Đợt sắp xếp đã áp dụng nên không xóa được.", "An applied reform stays.")
    await session.delete(row)
    await note(session, by, "reform.drop", code, at)


async def apply(
    session: AsyncSession, by: Actor, at: datetime, code: str, seen: str | None = None
) -> tuple[Finding, ...]:
    """Write a kept reform into the tables, all of it or nothing; what it newly makes wrong with the rules in force.

    What the tables have already is left, so one that was half entered by hand is completed. Invalid names what cannot
    be, by its line; Conflict when it is applied already, would leave days without a centre, or is no longer the text
    that was looked at (`seen`, its `stamp`).
    """
    await begin(session, by)
    row, today = await one(session, code), await local_day(session, at)
    if row.applied_at is not None:
        raise Conflict("Đợt sắp xếp này đã áp dụng.", "This reform is applied already.")
    _as_seen(row, seen)
    looked = await look(session, read(row.document))
    if looked.faults:
        raise _invalid(looked.faults)
    before = await standing(session, today)
    wanted = [step for step in looked.steps if not step.already]
    await write(session, looked.reform, today)
    row.applied_at, row.applied_by = at, by.id
    session.add(row)
    await session.flush()
    centre_lives(await read_directory(session), min(today, looked.reform.effective_on))
    counts = {what: sum(step.what == what for step in wanted) for what in sorted({step.what for step in wanted})}
    day = looked.reform.effective_on.isoformat()
    await note(session, by, "reform.apply", code, at, effective_on=day, changes=counts)
    return await consequences(session, today, before)


async def withdraw(session: AsyncSession, by: Actor, at: datetime, code: str) -> None:
    """Take an applied reform back out of the tables before its day: it is a draft again.

    Conflict once the day has come, and when something refers already to a department or area that was to begin.
    """
    await begin(session, by)
    row, today = await one(session, code), await local_day(session, at)
    if row.applied_at is None or row.effective_on <= today:
        raise Conflict(
            "Chỉ rút được đợt sắp xếp đã áp dụng mà chưa đến ngày.",
            "Only an applied reform whose day has not come can be withdrawn.",
        )
    reform, day = whole(read(row.document), await read_directory(session)), row.effective_on
    fresh = {"units": [unit.code for unit in reform.new_departments], "areas": [area.code for area in reform.new_areas]}
    given = {"day": day, **fresh, "ended": list(reform.ended_departments), "gone": list(reform.ended_areas)}
    given |= {"renamed": list(reform.renamed), "renamed_areas": list(reform.renamed_areas)}
    if (
        await session.execute(
            _REFERRED,
            {"units": fresh["units"], "areas": fresh["areas"], "gone": given["gone"], "ended": given["ended"]},
        )
    ).scalar():
        raise _referred()
    try:
        async with session.begin_nested():
            for statement in _WITHDRAW:
                await session.execute(statement, {name: given[name] for name in statement.compile().params})
    except IntegrityError:
        raise _referred() from None
    row.applied_at = row.applied_by = None
    session.add(row)
    await session.flush()
    await note(session, by, "reform.withdraw", code, at, effective_on=day.isoformat())


def _referred() -> Conflict:
    return Conflict(
        "Đã có tài khoản, phản ánh, đợt sắp xếp sau hoặc dữ liệu khác dựa vào đơn vị, địa bàn mới. Hãy gỡ chúng trước.",
        "Accounts, cases, a later reform or other data refer to the new departments or areas. Take those away first.",
    )


# What keys do not see: a later end of what was to begin here, and lists of areas and heirs that name it.
_REFERRED = text(
    """
    SELECT EXISTS (SELECT FROM departments WHERE code = ANY(:units) AND valid_to IS NOT NULL)
        OR EXISTS (SELECT FROM areas WHERE code = ANY(:areas) AND valid_to IS NOT NULL)
        OR EXISTS (SELECT FROM areas WHERE successors && CAST(:areas AS varchar[]) AND code <> ALL(:gone))
        OR EXISTS (SELECT FROM departments WHERE (area = ANY(:areas) OR parent = ANY(:units)) AND code <> ALL(:units))
        OR EXISTS (SELECT FROM department_heirs
                   WHERE (areas && CAST(:areas AS varchar[]) OR heir = ANY(:units)) AND department <> ALL(:ended))
    """
)
_WITHDRAW = tuple(
    text(statement)
    for statement in (
        "DELETE FROM department_heirs WHERE department = ANY(:ended)",
        "UPDATE departments SET valid_to = NULL, successor = NULL WHERE code = ANY(:ended) AND valid_to = :day",
        "DELETE FROM department_names WHERE code = ANY(:renamed) AND valid_from = :day",
        "DELETE FROM area_names WHERE code = ANY(:renamed_areas) AND valid_from = :day",
        "DELETE FROM departments WHERE code = ANY(:units) AND valid_from = :day",
        "UPDATE areas SET valid_to = NULL, successors = '{}' WHERE code = ANY(:gone) AND valid_to = :day",
        # Parents begin with what lies in them.
        "DELETE FROM areas WHERE code = ANY(:areas) AND valid_from = :day AND parent = ANY(:areas)",
        "DELETE FROM areas WHERE code = ANY(:areas) AND valid_from = :day",
    )
)


async def write(session: AsyncSession, reform: Reform, today: date) -> None:
    """The rows of a whole reform that was checked."""
    day = reform.effective_on
    areas = {row.code: row for row in (await session.exec(select(models.Area))).all()}
    waiting = [new for new in reform.new_areas if new.code not in areas]
    while waiting:  # parents first; a circle of parents was refused, for none of them lives
        ready = [new for new in waiting if new.parent is None or new.parent in areas]
        for new in ready:
            areas[new.code] = models.Area(
                code=new.code,
                official_code=new.official_code or None,
                name=new.name,
                type=new.type,
                parent=new.parent,
                valid_from=day,
                successors=[],
                lat=new.lat,
                lng=new.lng,
            )
            session.add(areas[new.code])
        await session.flush()
        if not ready:
            raise Invalid("Bảng địa bàn có vòng lặp.", "The areas have a circle of parents.")
        waiting = [new for new in waiting if new.code not in areas]
    for code, name in reform.renamed_areas.items():
        await rename(session, areas[code], name, day, today)
    for code, heirs in reform.ended_areas.items():
        areas[code].valid_to, areas[code].successors = day, list(heirs)
        session.add(areas[code])
    units = {row.code: row for row in (await session.exec(select(models.Department))).all()}
    fresh = [unit for unit in reform.new_departments if unit.code not in units]
    for unit in fresh:
        units[unit.code] = models.Department(
            code=unit.code, name=unit.name, kind=unit.kind, area=unit.area, parent=unit.parent, email=unit.email,
            valid_from=day,
        )  # fmt: skip
        session.add(units[unit.code])
    await session.flush()
    for code, name in reform.renamed.items():
        await rename(session, units[code], name, day, today)
    for code, ending in reform.ended_departments.items():
        units[code].valid_to, units[code].successor = day, ending.to
        session.add(units[code])
        await session.execute(delete(models.DepartmentHeir).where(col(models.DepartmentHeir.department) == code))
        for position, each in enumerate(ending.heirs):
            session.add(
                models.DepartmentHeir(
                    department=code, position=position, heir=each.to, areas=list(each.areas), fields=list(each.fields)
                )
            )
    await session.flush()


async def rename(
    session: AsyncSession, row: models.Department | models.Area, name: str, since: date, today: date
) -> None:
    """Another name from a day on, or from its first; the one before is kept with its dates, the row has today's."""
    since = max(since, row.valid_from)
    table: Any = models.AreaName if isinstance(row, models.Area) else models.DepartmentName  # of the same members
    known = (await session.exec(select(table).where(table.code == row.code))).all()
    names = {each.valid_from: each for each in known}
    if not names:
        names[row.valid_from] = table(code=row.code, valid_from=row.valid_from, name=row.name)
    names.setdefault(since, table(code=row.code, valid_from=since, name=name)).name = name
    session.add_all(names.values())
    row.name = names[max((day for day in names if day <= today), default=min(names))].name
    session.add(row)
    await session.flush()


_TURN = tuple(
    text(
        f"""
        UPDATE {table} d SET name = n.name
        FROM (SELECT DISTINCT ON (code) code, name FROM {names} WHERE valid_from <= :today
              ORDER BY code, valid_from DESC) n
        WHERE n.code = d.code AND d.name <> n.name
        """  # noqa: S608 - constants
    )
    for table, names in (("departments", "department_names"), ("areas", "area_names"))
)


async def turn_names(session: AsyncSession, at: datetime) -> None:
    """Departments and areas whose new name begins are called so from now on."""
    today = await local_day(session, at)
    for statement in _TURN:
        await session.execute(statement, {"today": today})


@dataclass(frozen=True, slots=True)
class Stranded:
    """Somebody who still works for a department that has ended. `to`: its one heir; None: it has several, or none."""

    person: UUID
    email: str
    name: str
    department: str
    to: str | None


async def stranded(session: AsyncSession, at: datetime) -> list[Stranded]:
    """Active accounts in departments that have ended, by name."""
    directory, today = await read_directory(session), await local_day(session, at)
    statement = (
        select(Staff.id, Staff.email, Staff.name, StaffDepartment.department)
        .join(StaffDepartment, col(StaffDepartment.staff_id) == col(Staff.id))
        .where(col(Staff.active), col(StaffDepartment.department).in_(sorted(directory.ended(today))))
        .order_by(col(Staff.name), col(Staff.email), col(StaffDepartment.department))
    )
    found = []
    for person, email, name, department in (await session.exec(statement)).all():
        heirs = directory.heirs(department, today)
        found.append(Stranded(person, email, name, department, next(iter(heirs)) if len(heirs) == 1 else None))
    return found


async def move_people(session: AsyncSession, by: Actor, at: datetime) -> int:
    """Whoever works for an ended department with one heir works for that from now on; how many departments changed."""
    await begin(session, by)
    moves = [each for each in await stranded(session, at) if each.to is not None]
    for person in dict.fromkeys(each.person for each in moves):
        _, homes = await auth.grants_of(session, person)
        mine = {each.department: each.to for each in moves if each.person == person}
        wanted = {mine.get(home) or home for home in homes}
        await staffing.edit(session, by, person, at, departments=wanted)
    return len(moves)


async def seed_as_of(session: AsyncSession, day: date) -> None:
    """Take back from tables that were just seeded whatever the seeds know of later than a day.

    For a rehearsal, in a database of its own: areas and departments are then as they were known that evening.
    """
    statements = (
        "DELETE FROM departments WHERE valid_from > :day",
        "DELETE FROM areas WHERE parent IS NOT NULL AND valid_from > :day",
        "DELETE FROM areas WHERE valid_from > :day",
    )
    endings = (
        "UPDATE departments SET valid_to = NULL, successor = NULL WHERE valid_to > :day",
        "UPDATE areas SET valid_to = NULL, successors = '{}' WHERE valid_to > :day",
    )
    for statement in (*endings, *statements):
        await session.execute(text(statement), {"day": day})


def _invalid(faults: Sequence[Fault]) -> Invalid:
    """The faults with their lines, as an answer."""
    errors = [
        {"where": f"dòng {each.line}: {each.where}", "detail": each.vi, "detail_en": each.en, "line": each.line}
        for each in faults
    ]
    vi, en = (_sentence((each.line, each.where, getattr(each, name)) for each in faults) for name in ("vi", "en"))
    return Invalid(f"Tệp sắp xếp chưa đúng. {vi}", f"The reform is not right. {en}", errors=errors)


def _sentence(told: Iterable[tuple[int | None, str, str]]) -> str:
    return " ".join(f"({line}) {where}: {words}" for line, where, words in list(told)[:3])
