"""Writes beside the table of actions: a reply that has left, windows that are over."""

from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import actions  # noqa: F401 - registers what each action does
from cases.desk import Office, perform
from cases.models import Case
from cases.states import Action, Status
from channels.models import Outgoing
from core.staff import SYSTEM
from routing.queries import Routing


async def reply_sent(session: AsyncSession, routing: Routing, outgoing: Outgoing, at: datetime) -> None:
    """A message has left: if it is the answer that stands, the case is now replied. Anything else changes nothing."""
    if outgoing.purpose != "answer":
        return
    case = (await session.exec(select(Case).where(Case.id == outgoing.subject_id).with_for_update())).first()
    if case is not None and case.status == Status.ANSWERED and case.answer_id == outgoing.entry_id:
        await perform(session, Office(routing, frozenset()), SYSTEM, case.id, Action.REPLY, {}, at)


async def close_due(session: AsyncSession, routing: Routing, at: datetime, limit: int = 100) -> int:
    """Close replied cases whose window for rating and reopening is over; returns how many."""
    statement = (
        select(Case.id)
        .where(Case.status == Status.REPLIED.value, col(Case.close_after) <= at)
        .order_by(col(Case.close_after))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = (await session.exec(statement)).all()
    for case_id in found:
        await perform(session, Office(routing, frozenset()), SYSTEM, case_id, Action.CLOSE, {}, at)
    return len(found)
