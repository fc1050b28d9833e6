"""Open cases of departments that no longer exist pass to their heirs: found, and moved one by one by the table's act.

A case is moved whole or not at all, and one that has been moved is no longer found: a worker may be killed at any line,
and any number may be at it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import structlog
from sqlalchemy import String, cast, or_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import actions, desk  # noqa: F401 - actions: registers what each action does
from cases.accused import somebody_left, with_parts
from cases.desk import Office
from cases.models import Case
from cases.queries import AT_WORK, has_unit, seen_by
from cases.states import Action
from core.journal import record
from core.staff import SYSTEM
from routing.directory import Directory
from routing.queries import PROVINCE, Routing

BATCH = 50

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Step:
    """What one batch did: cases moved, those that could not be, and the last one looked at; None: there are no more."""

    moved: int
    failed: int
    last: UUID | None


def today_of(routing: Routing, at: datetime) -> date:
    """The province's day."""
    return at.astimezone(routing.calendars[PROVINCE].zone).date()


async def run(
    session: AsyncSession, office: Office, at: datetime, after: UUID | None = None, batch: int | None = None
) -> Step:
    """Move the next `batch` open cases of ended departments after the one named; the caller commits.

    A case that another worker or a command holds is left for the next round, and so is one that cannot be moved: it
    keeps nobody else waiting.
    """
    batch = batch or BATCH
    ended = office.routing.directory.ended(today_of(office.routing, at))
    if not ended:
        return Step(0, 0, None)
    # Found among open cases first: for the order PostgreSQL would else look through all cases there ever were, each
    # round anew. Asked once more of the row that is locked, for another worker may just have moved it.
    held = select(Case.id).where(AT_WORK, _held_by(ended)).cte("held").prefix_with("MATERIALIZED")
    statement = (
        select(Case.id)
        .join(held, held.c.id == col(Case.id))
        .where(AT_WORK, _held_by(ended))
        .order_by(col(Case.id))
        .limit(batch)
    )
    if after is not None:
        statement = statement.where(col(Case.id) > after)
    found = (await session.exec(statement.with_for_update(skip_locked=True, of=Case))).all()
    failed = 0
    for case_id in found:
        try:
            async with session.begin_nested():
                await desk.perform(session, office, SYSTEM, case_id, Action.REHOME, {}, at)
        except Exception as error:
            failed += 1
            log.error("case not moved to an heir", case=str(case_id), error=type(error).__name__)
    return Step(len(found) - failed, failed, found[-1] if len(found) == batch else None)


def _held_by(departments: Iterable[str]):  # type: ignore[no-untyped-def]
    codes = sorted(departments)
    return or_(has_unit(codes, at_work=True), col(Case.next_holder).in_(codes))


async def accuse_heirs(session: AsyncSession, routing: Routing, at: datetime) -> int:
    """Restricted cases about an ended department are hidden from those who took its work over; how many were.

    Where nobody would be left who may know of a case it stays as it was, and every round says so in the log.
    """
    directory, today = routing.directory, today_of(routing, at)
    ended = directory.ended(today)
    if not ended:
        return 0
    accused = col(Case.accused_units).bool_op("&&")(cast(sorted(ended), ARRAY(String)))
    statement = select(Case).where(col(Case.restricted), accused).order_by(col(Case.id))
    done = 0
    for case in (await session.exec(statement.with_for_update(skip_locked=True))).all():
        heirs = {heir for code in case.accused_units for heir in directory.heirs(code, today)}
        units = sorted(with_parts({*case.accused_units, *heirs}, directory.departments.values()))
        if units == sorted(case.accused_units):
            continue
        may_know = seen_by(case.track, confirmed=case.track_confirmed)
        if not await somebody_left(session, may_know, units, case.accused_staff):
            log.error("heirs of an accused department see its case: no inspector would be left", case=case.code)
            continue
        case.accused_units = units
        case.version += 1
        data = {"code": case.code, "accused": units}
        await record(
            session, "case.accuse_heirs", at=at, actor_kind="system", case_id=case.id, restricted=True, data=data
        )
        done += 1
    await session.flush()
    return done


@dataclass(frozen=True, slots=True)
class Move:
    """Open cases that would pass from one department to another, or (None) to the centre."""

    department: str
    heir: str | None
    cases: int


async def preview(session: AsyncSession, after: Directory, on: date) -> list[Move]:
    """What would become of the cases that are open now, by the directory `after` a reform, on its day.

    Counted are parts: a case that two ended departments have a part in is counted with each. Restricted ones are left
    out, for their number is told to nobody here.
    """
    ended = after.ended(on)
    if not ended:
        return []
    statement = select(Case.units, Case.area, Case.field).where(
        AT_WORK, col(Case.restricted).is_(False), has_unit(sorted(ended), at_work=True)
    )
    found: Counter[tuple[str, str | None]] = Counter()
    for units, area, field in (await session.exec(statement)).all():
        found.update((code, after.heir(code, area, field, on)) for code in units if code in ended)
    moves = [Move(department, heir, count) for (department, heir), count in found.items()]
    return sorted(moves, key=lambda move: (move.department, move.heir or ""))
