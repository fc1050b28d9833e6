"""The bell: what somebody was told, how much of it waits, and that it has been seen. Fed by `cases.notices`."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, text, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.duty_models import Notice
from cases.models import Case
from cases.queries import visible_to
from core import wake
from core.staff import Actor

KEPT = timedelta(days=180)
MOST_COUNTED = 100  # unseen notices; what is more is "99+"
MOST_SEEN = 10_000  # notices that are marked at once


async def unseen(session: AsyncSession, who: Actor) -> int:
    """How many notices wait for this person, counted up to MOST_COUNTED; of cases they may still open."""
    some = (
        select(Notice.id)
        .join(Case, col(Case.id) == col(Notice.case_id))
        .where(Notice.staff_id == who.id, col(Notice.seen_at).is_(None), visible_to(who))
        .limit(MOST_COUNTED)
        .subquery()
    )
    return (await session.exec(select(func.count()).select_from(some))).one()


@dataclass(frozen=True, slots=True)
class Line:
    """A notice with the code of its case."""

    notice: Notice
    code: str
    urgency: str


async def listed(
    session: AsyncSession, who: Actor, *, waiting: bool, after: int | None = None, limit: int = 50
) -> list[Line]:
    """This person's notices, newest first, before the notice `after`; `waiting`: those not seen yet.

    Of cases they may still open: one can become restricted, or pass to another unit.
    """
    statement = (
        select(Notice, Case.code, Case.urgency)
        .join(Case, col(Case.id) == col(Notice.case_id))
        .where(Notice.staff_id == who.id, visible_to(who))
        .order_by(col(Notice.id).desc())
        .limit(limit)
    )
    if waiting:
        statement = statement.where(col(Notice.seen_at).is_(None))
    if after is not None:
        statement = statement.where(col(Notice.id) < after)
    return [Line(notice, code, urgency) for notice, code, urgency in (await session.exec(statement))]


async def see(session: AsyncSession, who: Actor, id: int, at: datetime) -> str | None:
    """This person has seen it; the code of its case if they may open that. None too when there is no such notice."""
    await _seen(session, who, at, col(Notice.id) == id)
    theirs = select(Notice.case_id).where(Notice.id == id, Notice.staff_id == who.id).scalar_subquery()
    return (await session.exec(select(Case.code).where(Case.id == theirs, visible_to(who)))).first()


async def see_all(session: AsyncSession, who: Actor, upto: int, at: datetime) -> int:
    """This person has seen all up to the newest that their page showed; how many were new."""
    ids = (
        select(Notice.id)
        .where(Notice.staff_id == who.id, col(Notice.seen_at).is_(None), col(Notice.id) <= upto)
        .limit(MOST_SEEN)
    )
    return await _seen(session, who, at, col(Notice.id).in_(ids))


async def _seen(session: AsyncSession, who: Actor, at: datetime, which: ColumnElement[bool]) -> int:
    """These of the person's notices are seen, which their other screens hear of; how many were new."""
    done = await session.execute(
        update(Notice)
        .where(which, col(Notice.staff_id) == who.id, col(Notice.seen_at).is_(None))
        .values(seen_at=at)
        .returning(col(Notice.id))
        .execution_options(synchronize_session=False)
    )
    found = len(done.all())
    if found:
        await wake.knock(session, wake.BELL, str(who.id))
    return found


async def forget(session: AsyncSession, at: datetime) -> int:
    """Drop what was told long ago; the journal keeps it all."""
    gone = await session.execute(text("DELETE FROM notices WHERE at < :before"), {"before": at - KEPT})
    return int(gone.rowcount)  # type: ignore[attr-defined]
