"""Messages that wait: for a person who looks, or for a vendor that is down."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, func, tuple_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from channels.adapter import Failure
from channels.models import DeliveryAttempt, Outgoing
from core import due, wake
from core.errors import Conflict, NotFound

UNDELIVERED: Final = ("failed", "unknown")  # states that wait for a person


async def not_delivered(
    session: AsyncSession, *, after: UUID | None = None, limit: int = 50, where: Sequence[ColumnElement[bool]] = ()
) -> list[Outgoing]:
    """Messages that failed for good or whose fate is unknown, oldest first: a person must look."""
    waiting = select(Outgoing).where(col(Outgoing.state).in_(UNDELIVERED), *where)
    waiting = waiting.order_by(col(Outgoing.id)).limit(limit)
    if after is not None:
        waiting = waiting.where(col(Outgoing.id) > after)
    return list((await session.exec(waiting)).all())


async def roads(session: AsyncSession, messages: Sequence[Outgoing]) -> dict[UUID, list[Outgoing]]:
    """Of each of these messages, those that were sent for the same cause before it, in their order."""
    later = {(each.subject_id, each.purpose, each.entry_id): each for each in messages if each.step}
    if not later:
        return {}
    cause = tuple_(col(Outgoing.subject_id), col(Outgoing.purpose), col(Outgoing.entry_id))
    found: dict[UUID, list[Outgoing]] = {}
    for row in await session.exec(select(Outgoing).where(cause.in_(later)).order_by(col(Outgoing.step))):
        last = later[row.subject_id, row.purpose, row.entry_id]
        if row.step < last.step:
            found.setdefault(last.id, []).append(row)
    return found


async def withdraw_from_departments(session: AsyncSession, subject_id: UUID) -> None:
    """What has not left yet for departments about this subject shall not leave any more.

    One that is being sent this moment still counts as sent if it leaves, but is not tried again if it does not.
    """
    await session.execute(
        update(Outgoing)
        .where(
            col(Outgoing.subject_id) == subject_id,
            col(Outgoing.addressee).is_not(None),
            col(Outgoing.state).in_(("queued", "sending", "failed")),
        )
        .values(state="dropped", run_at=None, lease_until=None, dead_at=None)
        .execution_options(synchronize_session=False)
    )


async def resend(session: AsyncSession, id: UUID, at: datetime, *, handle: str | None = None) -> None:
    """A person decides that this message shall be tried again, at another `handle` if one is given.

    Conflict when it is under way or has left.
    """
    given_up = col(Outgoing.state).in_((*UNDELIVERED, "dropped"))
    corrected = {} if handle is None else {"handle": handle}
    if await due.revive(session, Outgoing, id, at, where=(given_up,), state="queued", **corrected):
        await wake.knock(session)
    elif await session.get(Outgoing, id) is None:
        raise NotFound("Không tìm thấy tin nhắn này.", "There is no such message.")
    else:
        raise Conflict(
            "Tin nhắn này đang được gửi hoặc đã gửi đi.", "This message is on its way or has already been sent."
        )


async def hurry(session: AsyncSession, channel: str, at: datetime) -> None:
    """What waits on this channel because its vendor was away is due now; what was told to go slower waits as told."""
    await session.execute(
        update(Outgoing)
        .where(
            col(Outgoing.channel) == channel,
            col(Outgoing.state) == "queued",
            col(Outgoing.run_at) > at,
            col(Outgoing.attempts) > 0,
            col(Outgoing.failure).is_distinct_from(Failure.RATE_LIMITED.value),
        )
        .values(run_at=at)
        .execution_options(synchronize_session=False)
    )


async def passed(session: AsyncSession, id: UUID) -> None:
    """A message that failed or is in doubt is said another way, and waits for nobody any more."""
    await session.execute(
        update(Outgoing)
        .where(col(Outgoing.id) == id)
        .values(state="passed", run_at=None, lease_until=None, dead_at=None)
        .execution_options(synchronize_session=False)
    )


@dataclass(frozen=True, slots=True)
class Jam:
    """A vendor that takes nothing for now: how many messages wait for it, and since when it has refused them."""

    channel: str
    failure: str | None
    waiting: int
    since: datetime


async def jams(session: AsyncSession, *, where: Sequence[ColumnElement[bool]] = ()) -> list[Jam]:
    """Channels with messages that were refused and are tried again by themselves, the longest first."""
    first = (
        select(func.min(DeliveryAttempt.at))
        .where(DeliveryAttempt.outgoing_id == Outgoing.id)
        .correlate(Outgoing)
        .scalar_subquery()
    )
    again = (col(Outgoing.state) == "queued", col(Outgoing.attempts) > 0, col(Outgoing.run_at).is_not(None))
    refused = select(Outgoing.channel, Outgoing.failure, first.label("since")).where(*again, *where).subquery()
    since = func.min(refused.c.since)
    rows = await session.execute(
        select(refused.c.channel, func.max(refused.c.failure), func.count(), since)
        .group_by(refused.c.channel)
        .order_by(since)
    )
    return [Jam(*row) for row in rows.all() if row[3] is not None]
