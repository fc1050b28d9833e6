"""Where the talk about a subject goes on, and what became of the parts of what we sent."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Interval, func, literal, update
from sqlalchemy import select as sql_select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from channels.message import Address
from channels.models import Outgoing, OutgoingPart, Pace, Thread
from core.db import Moment

RANKS: Final = ("sent", "delivered", "read")  # later ones are never undone by earlier ones that come late
FAILED: Final = "failed"


async def heard(
    session: AsyncSession, subject_id: UUID, channel: str, sender: Address, thread: dict[str, Any], at: datetime
) -> None:
    """The citizen wrote about this subject on this channel; what is older than what we know changes nothing."""
    fresh = insert(Thread).values(
        subject_id=subject_id, channel=channel, handle=sender.handle, heard_at=at, thread=thread
    )
    await session.execute(
        fresh.on_conflict_do_update(
            index_elements=["subject_id", "channel"],
            set_={
                "handle": fresh.excluded.handle,
                "heard_at": fresh.excluded.heard_at,
                "thread": fresh.excluded.thread,
            },
            where=col(Thread.heard_at) <= fresh.excluded.heard_at,
        )
    )


async def thread_of(
    session: AsyncSession, subject_id: UUID, channel: str, handle: str, at: datetime
) -> tuple[dict[str, Any], timedelta | None]:
    """What an answer must repeat, and how long ago the addressee wrote to us there, about whatever subject."""
    thread = await session.get(Thread, (subject_id, channel))
    newest = (
        select(Thread.heard_at)
        .where(col(Thread.channel) == channel, col(Thread.handle) == handle)
        .order_by(col(Thread.heard_at).desc())
        .limit(1)
    )
    last = (await session.exec(newest)).first()
    same = thread is not None and thread.handle == handle
    return (thread.thread if thread and same else {}), (at - last if last else None)


async def parts_left(session: AsyncSession, outgoing_id: UUID) -> dict[int, str]:
    """Numbers of the parts of a message that have left, with the vendor's ids."""
    rows = await session.exec(select(OutgoingPart).where(col(OutgoingPart.outgoing_id) == outgoing_id))
    return {row.part: row.vendor_id for row in rows.all()}


async def part_left(session: AsyncSession, outgoing_id: UUID, part: int | None, channel: str, vendor_id: str) -> None:
    """A part has left; None: the last one."""
    number: Any = part
    if part is None:
        number = (
            sql_select(func.coalesce(func.max(OutgoingPart.part) + 1, 0))
            .where(col(OutgoingPart.outgoing_id) == outgoing_id)
            .scalar_subquery()
        )
    await session.execute(
        insert(OutgoingPart)
        .values(outgoing_id=outgoing_id, part=number, channel=channel, vendor_id=vendor_id, state="sent")
        .on_conflict_do_nothing()
    )


async def turn(session: AsyncSession, channel: str, per_second: float, at: datetime) -> timedelta:
    """Take the next turn at a vendor that all workers share; how long until it comes. Turns missed are not made up."""
    gap = timedelta(seconds=1 / per_second)
    fresh = insert(Pace).values(channel=channel, next_at=at + gap)
    row = await session.execute(
        fresh.on_conflict_do_update(
            index_elements=["channel"],
            set_={"next_at": func.greatest(col(Pace.next_at), literal(at, Moment)) + literal(gap, Interval())},
        ).returning(col(Pace.next_at))
    )
    mine: datetime = row.scalar_one()
    return max(timedelta(0), mine - gap - at)


async def subject_of(session: AsyncSession, channel: str, refs: Sequence[str]) -> UUID | None:
    """The subject of the message of ours that one of these vendor ids names, in their order."""
    if not refs:
        return None
    found = await session.execute(
        select(OutgoingPart.vendor_id, Outgoing.subject_id)
        .join(Outgoing, col(Outgoing.id) == col(OutgoingPart.outgoing_id))
        .where(col(OutgoingPart.channel) == channel, col(OutgoingPart.vendor_id).in_(refs))
    )
    subjects = {row.vendor_id: row.subject_id for row in found.all()}
    return next((subjects[ref] for ref in refs if ref in subjects), None)


async def report_status(
    session: AsyncSession, channel: str, refs: Sequence[str], status: str, error: str | None, at: datetime
) -> list[Outgoing]:
    """The vendor says what became of messages of ours. The outgoing rows that changed by it.

    Statuses only move forward: a delivery that is told after the reading changes nothing, and a failure only what was
    not delivered. A message of several parts is delivered when all are, and failed as soon as one is.
    """
    beaten = ("sent",) if status == FAILED else RANKS[: RANKS.index(status)] if status in RANKS else ()
    if not refs or not beaten:
        return []
    moved = await session.execute(
        update(OutgoingPart)
        .where(
            col(OutgoingPart.channel) == channel,
            col(OutgoingPart.vendor_id).in_(refs),
            col(OutgoingPart.state).in_(beaten),
        )
        .values(state=status)
        .returning(col(OutgoingPart.outgoing_id))
        .execution_options(synchronize_session=False)
    )
    changed = []
    for id in sorted(set(moved.scalars())):
        row = (await session.exec(select(Outgoing).where(col(Outgoing.id) == id).with_for_update())).one()
        states = (await session.exec(select(OutgoingPart.state).where(col(OutgoingPart.outgoing_id) == id))).all()
        now = FAILED if FAILED in states else min(states, key=RANKS.index)
        if row.state in RANKS and now != row.state and (now == FAILED or RANKS.index(now) > RANKS.index(row.state)):
            row.state = now
            if now == FAILED:
                row.dead_at, row.last_error = at, error or "the vendor reports that it was not delivered"
            session.add(row)
            changed.append(row)
    return changed
