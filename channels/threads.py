"""Where the talk about a subject goes on, and what became of the parts of what we sent."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Interval, case, delete, func, literal, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from channels import failures
from channels.message import Address
from channels.models import Outgoing, OutgoingPart, Pace, Thread
from core import wake
from core.db import Moment

RANKS: Final = ("sent", "delivered", "read")  # later ones are never undone by earlier ones that come late
SENDING, FAILED = "sending", "failed"


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
    return {row.part: row.vendor_id for row in await parts(session, outgoing_id) if row.state in RANKS}


async def parts(session: AsyncSession, outgoing_id: UUID) -> list[OutgoingPart]:
    """What is known of the parts of a message, in their order."""
    rows = select(OutgoingPart).where(OutgoingPart.outgoing_id == outgoing_id).order_by(col(OutgoingPart.part))
    return list((await session.exec(rows)).all())


async def part_begins(
    session: AsyncSession, row: Outgoing, part: int, channel: str, file: str | None, at: datetime
) -> bool:
    """The vendor is about to be called with this part: whoever finds the mark knows that it may have left.

    False when the message is in the hands of somebody else by now.
    """
    ours = select(Outgoing.id).where(Outgoing.id == row.id, col(Outgoing.lease_until) == row.lease_until)
    if (await session.exec(ours.with_for_update())).first() is None:
        return False
    mark = insert(OutgoingPart).values(
        outgoing_id=row.id, part=part, channel=channel, vendor_id="", state=SENDING, file=file, at=at
    )
    await session.execute(
        mark.on_conflict_do_update(
            index_elements=["outgoing_id", "part"],
            set_={name: mark.excluded[name] for name in ("channel", "vendor_id", "state", "at")},
            where=col(OutgoingPart.state).not_in(RANKS),
        )
    )
    return True


async def nothing_left(session: AsyncSession, outgoing_id: UUID) -> None:
    """The part that was being sent is known not to have left."""
    await session.execute(
        delete(OutgoingPart).where(col(OutgoingPart.outgoing_id) == outgoing_id, col(OutgoingPart.state) == SENDING)
    )


async def part_left(
    session: AsyncSession,
    outgoing_id: UUID,
    part: int,
    channel: str,
    vendor_id: str,
    file: str | None = None,
    state: str = "sent",
) -> str:
    """A part has left; its state. What its vendor has told of it already stands, if it is the same vendor message."""
    fresh = insert(OutgoingPart).values(
        outgoing_id=outgoing_id, part=part, channel=channel, vendor_id=vendor_id, state=state, file=file
    )
    known = (col(OutgoingPart.vendor_id) == fresh.excluded.vendor_id) & (col(OutgoingPart.state) != SENDING)
    noted = await session.execute(
        fresh.on_conflict_do_update(
            index_elements=["outgoing_id", "part"],
            set_={
                "channel": fresh.excluded.channel,
                "vendor_id": fresh.excluded.vendor_id,
                "state": case((known, col(OutgoingPart.state)), else_=fresh.excluded.state),
                "file": func.coalesce(fresh.excluded.file, col(OutgoingPart.file)),
            },
        ).returning(col(OutgoingPart.state))
    )
    return str(noted.scalar_one())


async def turn(
    session: AsyncSession, channel: str, per_second: float, at: datetime, most: timedelta
) -> timedelta | None:
    """Take the next turn at a vendor that all workers share; how long until it comes. Turns missed are not made up.

    None when it would come later than in `most`: then it is left to somebody else, or the turns would run away from
    those who wait for them.
    """
    gap = timedelta(seconds=1 / per_second)
    fresh = insert(Pace).values(channel=channel, next_at=at + gap)
    row = await session.execute(
        fresh.on_conflict_do_update(
            index_elements=["channel"],
            set_={"next_at": func.greatest(col(Pace.next_at), literal(at, Moment)) + literal(gap, Interval())},
            where=col(Pace.next_at) <= at + most,
        ).returning(col(Pace.next_at))
    )
    mine: datetime | None = row.scalar_one_or_none()
    return None if mine is None else max(timedelta(0), mine - gap - at)


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


async def being_sent(session: AsyncSession, channel: str, handle: str | None) -> bool:
    """Whether something is on its way there this moment, to this person or, if nobody is named, to anybody."""
    sending = select(Outgoing.id).where(
        col(Outgoing.channel) == channel,
        col(Outgoing.state) == "sending",
        col(Outgoing.run_at).is_not(None),  # always so, and what the index of such rows asks for
    )
    sending = sending if handle is None else sending.where(col(Outgoing.handle) == handle)
    return (await session.exec(sending.limit(1))).first() is not None


async def report_status(
    session: AsyncSession, channel: str, refs: Sequence[str], status: str, error: str | None, at: datetime
) -> list[Outgoing]:
    """The vendor says what became of messages of ours. The outgoing rows that changed by it.

    Statuses only move forward: a delivery that is told after the reading changes nothing, and a failure only what was
    not delivered. A message of several parts is delivered when all are, and failed as soon as one is.
    """
    beaten = ("sent",) if status == FAILED else RANKS[: RANKS.index(status)] if status in RANKS else ()
    named = [ref for ref in refs if ref]
    if not named or not beaten:
        return []
    moved = await session.execute(
        update(OutgoingPart)
        .where(
            col(OutgoingPart.channel) == channel,
            col(OutgoingPart.vendor_id).in_(named),
            col(OutgoingPart.state).in_(beaten),
        )
        .values(state=status)
        .returning(col(OutgoingPart.outgoing_id))
        .execution_options(synchronize_session=False)
    )
    changed = [await caught_up(session, id, error, at) for id in sorted(set(moved.scalars()))]
    return [row for row in changed if row is not None]


async def caught_up(session: AsyncSession, outgoing_id: UUID, error: str | None, at: datetime) -> Outgoing | None:
    """Bring a message that has left to where its parts are; the row if that changed it."""
    states = [part.state for part in await parts(session, outgoing_id)]
    if SENDING in states or set(states) <= {"sent"}:
        return None
    row = await _locked(session, outgoing_id)
    if row is None or row.state not in RANKS:
        return None
    now = FAILED if FAILED in states else min(states, key=RANKS.index)
    if now != FAILED and RANKS.index(now) <= RANKS.index(row.state):
        return None
    row.state = now
    if now == FAILED:
        _not_delivered(row, error, at)
    else:
        row.delivered_at = row.delivered_at or at
        row.read_at = at if now == "read" else row.read_at
    session.add(row)
    return row


async def settle_doubt(
    session: AsyncSession,
    channel: str,
    outgoing_id: UUID,
    part: int,
    vendor_id: str,
    status: str,
    error: str | None,
    at: datetime,
) -> Outgoing | None:
    """The vendor names a message by our own id of it: so it has had it. The row if it thereby failed.

    One that nobody knew of is due again, to be settled as what has left, or to go on with its next part: nothing that
    is noted here is sent a second time. A worker that is still at it finds the note and settles the rest itself.
    """
    row = await _locked(session, outgoing_id)
    if row is None or row.channel != channel:
        return None
    if row.state not in (SENDING, failures.UNKNOWN) and (row.state, row.failure) != ("dropped", failures.UNKNOWN):
        return None
    await part_left(session, row.id, part, channel, vendor_id, state=status if status in (*RANKS, FAILED) else "sent")
    if row.state == SENDING:
        return None
    if status == FAILED:
        row.state = FAILED
        _not_delivered(row, error, at)
    else:
        row.state, row.failure = "queued", None
        row.run_at, row.lease_until, row.dead_at, row.attempts = at, None, None, 0
        await wake.knock(session)
    session.add(row)
    return row if status == FAILED else None


def _not_delivered(row: Outgoing, error: str | None, at: datetime) -> None:
    row.run_at = row.lease_until = None
    row.dead_at, row.last_error = at, error or "the vendor reports that it was not delivered"
    row.failure = failures.word_of_report(row.channel, error)


async def _locked(session: AsyncSession, outgoing_id: UUID) -> Outgoing | None:
    found = select(Outgoing).where(col(Outgoing.id) == outgoing_id).with_for_update()
    return (await session.exec(found.execution_options(populate_existing=True))).first()
