"""Dates that units commit themselves to when they tell their progress: kept, broken, or made anew.

A unit that is late owes its citizen a date, and a new one each time the last was broken or has grown old.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.act_models import Commitment
from cases.models import Case
from cases.states import WITH_UNITS
from core.ids import uuid7
from core.journal import Line, record_all
from routing.working_time import Amount, Calendar, due

BROKEN = "commitment.broken"
BATCH = 500


class Told(Protocol):
    """A date as far as it is counted here."""

    @property
    def department(self) -> str: ...
    @property
    def told_at(self) -> datetime: ...
    @property
    def until(self) -> datetime: ...
    @property
    def current(self) -> bool: ...


def owed_since(due_at: datetime | None, told: Iterable[Told], every: Amount, calendar: Calendar) -> datetime | None:
    """From when on whoever is late owes word of the progress with a date: at once when there is none that stands,
    when it is broken, and again so long after it was told. None: no clock runs."""
    if due_at is None:
        return None
    standing = max((each for each in told if each.current), key=lambda each: each.told_at, default=None)
    if standing is None:
        return due_at
    return max(due_at, min(standing.until, due(standing.told_at, every, calendar)))


async def make(
    session: AsyncSession, case: Case, department: str, entry_id: UUID, until: datetime, at: datetime
) -> None:
    """A unit commits itself to a date; an earlier one of its own is replaced, or was broken."""
    await settle(session, case, department, at, "replaced")
    session.add(
        Commitment(id=uuid7(at), case_id=case.id, department=department, entry_id=entry_id, told_at=at, until=until)
    )


async def settle(session: AsyncSession, case: Case, department: str, at: datetime, as_: str) -> None:
    """What a unit's date has come to now: broken if it is over, else `as_` (kept, replaced). What was kept stays
    current until the unit makes another."""
    statement = select(Commitment).where(
        Commitment.case_id == case.id, Commitment.department == department, Commitment.current
    )
    for row in (await session.exec(statement.with_for_update())).all():
        if row.state == "open":
            broken = row.until < at
            row.state, row.settled_at = "broken" if broken else as_, at
            if broken:  # the worker was not there in time
                await record_all(session, [_line(row, case)], at=at, actor_kind="system")
        row.current = as_ == "kept" and row.state == "kept"  # still to be read; nobody has to do anything about it
    await session.flush()  # one current date a unit: the old one goes before a new one comes


async def run(session: AsyncSession, at: datetime, limit: int = BATCH) -> int:
    """Note the dates that have passed, each once; returns how many were looked at.

    The rows are shared among workers. A date of a unit that no longer has the case, or has answered, has ended.
    """
    statement = (
        select(Commitment, Case)
        .join(Case, col(Case.id) == col(Commitment.case_id))
        .where(Commitment.state == "open", col(Commitment.until) < at)
        .order_by(col(Commitment.until))
        .limit(limit)
        .with_for_update(of=(Commitment, Case), skip_locked=True, key_share=True)
    )
    found = (await session.exec(statement)).all()
    lines = []
    for row, case in found:
        stands = case.status in WITH_UNITS and case.lead == row.department
        row.state, row.settled_at = "broken" if stands else "ended", at
        if stands:
            lines.append(_line(row, case))
        else:
            row.current = False
    await session.flush()
    await record_all(session, lines, at=at, actor_kind="system")
    return len(found)


def _line(row: Commitment, case: Case) -> Line:
    data: dict[str, Any] = {
        "code": case.code,
        "department": row.department,
        "until": row.until.isoformat(),
        "told_at": row.told_at.isoformat(),
    }
    return Line(BROKEN, case.id, case.restricted, data)
