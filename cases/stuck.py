"""Clocks that stand still because they could not be counted or written (`limit.stuck`): found, and started again.

`cases.due_work` sets such a limit aside so that it keeps no other waiting. After a mend (a calendar that was missing, a
new version) it is due again; what its time has brought meanwhile is written in the worker's next round, once.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, ColumnElement, func, literal_column, update
from sqlalchemy import select as sql_select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.limits import next_threshold
from cases.models import STUCK, Case, Limit
from cases.queries import visible_to
from core.journal import record
from core.staff import Actor
from routing.queries import Routing

BATCH = 1_000
_STANDS: ColumnElement[bool] = literal_column(f"({STUCK})", Boolean())


@dataclass(frozen=True, slots=True)
class Stuck:
    """A limit that stands still, with the code of its case."""

    code: str
    stage: str
    holder: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Restart:
    """A step: how many limits are due again, which cannot be counted yet and why, and whether there are more."""

    started: int
    left: list[tuple[str, str]]  # code and stage, name of the error
    last: UUID | None


async def stuck(session: AsyncSession, who: Actor, limit: int = 50) -> tuple[int, list[Stuck]]:
    """(how many there are, the oldest of those whose cases this person may know of)."""
    total = await session.scalar(sql_select(func.count()).select_from(Limit).where(_STANDS))
    seen = (
        sql_select(col(Case.code), col(Limit.stage), col(Limit.holder), col(Limit.due_at))
        .join(Case, col(Case.id) == col(Limit.case_id))
        .where(_STANDS, visible_to(who))
        .order_by(col(Limit.id))
        .limit(limit)
    )
    return int(total or 0), [Stuck(*row) for row in (await session.execute(seen)).all()]


async def restart(
    session: AsyncSession, routing: Routing, by: Actor, at: datetime, after: UUID | None = None, limit: int = BATCH
) -> Restart:
    """Make limits that stand still due again, after the one of the step before; journalled one by one.

    What a command holds this moment is left out: the command itself counts it.
    """
    standing = (
        sql_select(Limit, col(Case.code), col(Case.restricted), col(Case.rule_set_id))
        .join(Case, col(Case.id) == col(Limit.case_id))
        .where(_STANDS, *(() if after is None else (col(Limit.id) > after,)))
        .order_by(col(Limit.id))
        .limit(limit)
        .with_for_update(of=Limit, skip_locked=True, key_share=True)
    )
    rows = (await session.execute(standing)).all()
    started, left = 0, list[tuple[str, str]]()
    for row, code, restricted, rule_set_id in rows:
        try:
            next_at = next_threshold(row, routing.calendars[row.calendar], routing.rulebook(rule_set_id))
        except Exception as error:  # whatever is wrong with one, the others run again
            left.append((f"{code} {row.stage}", type(error).__name__))
            continue
        await session.execute(update(Limit).where(col(Limit.id) == row.id).values(next_at=next_at))
        data: dict[str, Any] = {"code": code, "limit": str(row.id), "stage": row.stage, "holder": row.holder}
        await record(
            session,
            "limit.restarted",
            at=at,
            actor_kind=by.kind,
            actor_id=by.id,
            case_id=row.case_id,
            restricted=restricted,
            data=data,
        )
        started += 1
    return Restart(started, left, rows[-1][0].id if len(rows) == limit else None)
