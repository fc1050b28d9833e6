"""What goes out: written in the transaction of its cause, sent by the worker outside any, settled in a second one.

A row is `sending` from the commit before the vendor is called until the commit that says what came of it. Whoever finds
it so past its lease knows only that a worker died: an idempotent channel is asked again, any other never, so that no
message leaves twice. `lease_until` is the fence: a worker that was only slow finds another value and writes nothing,
except that the message did leave, which is true whoever learns it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from channels import threads
from channels.adapter import Adapter, Failure, SendDoubtful, SendFailed
from channels.message import Address, FileRef, OutboundMessage
from channels.models import DeliveryAttempt, Outgoing
from channels.parts import parts_of
from core import due, wake
from core.db import FAILURES, Database
from core.errors import Conflict, NotFound
from core.ids import uuid7

RECEIPT: Final = "receipt"  # better lost than doubtful: the code was shown when the report was made
WRITTEN: Final = frozenset({"answer", "question", "progress"})  # purposes whose words a person wrote
SENT, UNKNOWN = "sent", "unknown"
LEFT = (SENT, "delivered", "read")  # states of a message that is known to have left
UNDELIVERED = ("failed", UNKNOWN)  # states that wait for a person

TRACKING: Final = "tracking"  # scheme of messages that only stand on the tracking page: nothing leaves the house
MOST_WAIT = timedelta(seconds=15)  # for our turn at a vendor; what would wait longer is due again later

SEND_TIMEOUT = timedelta(seconds=30)
LEASE = timedelta(seconds=60)  # a send and its settling, with room
SETTLE_PAUSES = (0.1, 0.3, 1.0, 2.0, 4.0, 6.0)  # seconds; a database that restarts must not leave doubt

OnSent = Callable[[AsyncSession, Outgoing, datetime], Awaitable[None]]
log = structlog.get_logger()


async def enqueue(
    session: AsyncSession,
    *,
    subject_id: UUID,
    entry_id: UUID,
    purpose: str,
    to: Address,
    channel: str,
    text: str,
    reference: str,
    at: datetime,
    attachments: Iterable[FileRef] = (),
    title: str | None = None,
    addressee: str | None = None,
) -> None:
    """Leave a message to be sent when the caller's transaction commits; a second one for the same cause is ignored.

    `title` is the subject line where the channel has one; `addressee` the department it is for, if it is for one.
    """
    message = (
        insert(Outgoing)
        .values(
            id=uuid7(at),
            subject_id=subject_id,
            entry_id=entry_id,
            purpose=purpose,
            channel=channel,
            scheme=to.scheme,
            handle=to.handle,
            text=text,
            reference=reference,
            title=title,
            addressee=addressee,
            attachments=[asdict(file) for file in attachments],
            state="queued",
            created_at=at,
            run_at=at,
        )
        .on_conflict_do_nothing(index_elements=["subject_id", "purpose", "entry_id"])
        .returning(col(Outgoing.id))
        .cte("message")
    )
    await session.execute(select(wake.KNOCK).select_from(message))


async def due_channels(session: AsyncSession, at: datetime) -> list[str]:
    """Channels that have something to deliver, so that each can be served apart: a slow vendor delays only its own."""
    waiting = select(Outgoing.channel).where(
        col(Outgoing.run_at) <= at, col(Outgoing.lease_until).is_(None) | (col(Outgoing.lease_until) <= at)
    )
    return sorted((await session.exec(waiting.distinct())).all())


async def deliver_due(
    database: Database,
    adapters: Mapping[str, Adapter],
    at: datetime,
    *,
    on_sent: OnSent,
    limit: int = 50,
    channel: str | None = None,
) -> int:
    """Send up to `limit` due messages (of one channel, or of all) at once; how many rows were worked on.

    `on_sent(session, outgoing, at)` runs in the transaction that records the success. If it fails, the message still
    counts as sent and `on_sent` alone is due again.
    """
    started = time.monotonic()
    only = () if channel is None else (col(Outgoing.channel) == channel,)
    queued = col(Outgoing.state) == "queued"
    earlier = aliased(Outgoing)
    overtakes = (  # what is said to one person leaves in the order it was said
        select(earlier.id)
        .where(
            col(earlier.channel) == col(Outgoing.channel),
            col(earlier.handle) == col(Outgoing.handle),
            col(earlier.state) == "queued",
            col(earlier.run_at).is_not(None),
            col(earlier.scheme) != TRACKING,
            col(earlier.id) < col(Outgoing.id),
        )
        .exists()
    )
    async with database.transaction() as session:
        fresh = await due.claim(
            session,
            Outgoing,
            at,
            limit=limit,
            lease=LEASE,
            where=(queued, ~overtakes, *only),
            values={"state": "sending"},
        )
        left_over = await due.claim(session, Outgoing, at, limit=limit, lease=LEASE, where=(~queued, *only))
        for row in left_over:
            if row.state == "sending":
                session.add(_attempt(row, at, _DIED))
    delivery = _Delivery(database, adapters, on_sent, at, started)
    together = [row for row in fresh if row.purpose == RECEIPT and delivery.repeatable(row)]
    await asyncio.gather(
        delivery.send_together(together),
        *(delivery.send(row) for row in fresh if row not in together),
        *(delivery.resume(row) for row in left_over),
    )
    return len(fresh) + len(left_over)


async def not_delivered(
    session: AsyncSession, *, after: UUID | None = None, limit: int = 50, where: Sequence[ColumnElement[bool]] = ()
) -> list[Outgoing]:
    """Messages that failed for good or whose fate is unknown, oldest first: a person must look."""
    waiting = select(Outgoing).where(col(Outgoing.state).in_(UNDELIVERED), *where)
    waiting = waiting.order_by(col(Outgoing.id)).limit(limit)
    if after is not None:
        waiting = waiting.where(col(Outgoing.id) > after)
    return list((await session.exec(waiting)).all())


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
    """Everything that waits to be tried again on this channel is due now."""
    await session.execute(
        update(Outgoing)
        .where(
            col(Outgoing.channel) == channel,
            col(Outgoing.state) == "queued",
            col(Outgoing.run_at) > at,
            col(Outgoing.attempts) > 0,
        )
        .values(run_at=at)
        .execution_options(synchronize_session=False)
    )


@dataclass(frozen=True, slots=True)
class _Result:
    """What came of one try: sent, a Failure, or unknown."""

    outcome: str
    reason: str | None = None
    vendor_id: str | None = None
    pause: timedelta | None = None  # the vendor asked us to wait so long


_DIED = _Result(UNKNOWN, "the worker that was sending it died")


@dataclass(frozen=True, slots=True)
class _Delivery:
    """One round of deliver_due."""

    database: Database
    adapters: Mapping[str, Adapter]
    on_sent: OnSent
    at: datetime
    started: float

    def now(self) -> datetime:
        """The round's time moved on by what has passed since: the clock itself is read at the edge only."""
        return self.at + timedelta(seconds=time.monotonic() - self.started)

    def repeatable(self, row: Outgoing) -> bool:
        """Whether sending this again can do no harm."""
        adapter = self.adapters.get(row.channel)
        return adapter is not None and adapter.capabilities.idempotent

    async def send_together(self, rows: Sequence[Outgoing]) -> None:
        """Repeatable receipts, settled in one transaction: there is one for every report.

        The vendor's ids are kept with the attempts only. If one `on_sent` fails, each is sent again by itself.
        """
        if not rows:
            return
        results = await asyncio.gather(*(self.call(row) for row in rows))

        async def write(session: AsyncSession) -> None:
            sent = [row for row, result in zip(rows, results, strict=True) if result.outcome == SENT]
            known = (col(Outgoing.state).not_in(LEFT),)
            news = await due.finish_many(
                session, Outgoing, [row.id for row in sent], where=known, state=SENT, sent_at=self.now(), dead_at=None
            )
            for row, result in zip(rows, results, strict=True):
                if row.id in news:
                    await self.on_sent(session, row, self.now())
                elif result.outcome != SENT:
                    await self.write(session, row, result)
            session.add_all(_attempt(row, self.now(), result) for row, result in zip(rows, results, strict=True))

        if await self.insist(write) is not None:
            for row in rows:
                await self.send(row)

    async def send(self, row: Outgoing) -> None:
        """Call the vendor, then write down what came of it."""
        result = await self.call(row)

        async def write(session: AsyncSession) -> None:
            session.add(_attempt(row, self.now(), result))
            await self.write(session, row, result)

        error = await self.insist(write)
        if error is not None and result.outcome == SENT:

            async def write_without_follow_up(session: AsyncSession) -> None:
                session.add(_attempt(row, self.now(), result))
                await self.note_sent(session, row, result, follow_up=error)

            error = await self.insist(write_without_follow_up)
        if error is not None:
            log.error("outgoing not settled", id=str(row.id), outcome=result.outcome, error=error)

    async def resume(self, row: Outgoing) -> None:
        """A row somebody else began: `sending` by a worker that died, or sent and not followed up."""
        if row.state != "sending":
            await self.follow_up(row)
        elif self.repeatable(row) and row.attempts <= due.MAX_ATTEMPTS:
            await self.send(row)
        elif error := await self.insist(lambda session: self.write(session, row, _DIED)):
            log.error("outgoing not settled", id=str(row.id), outcome=UNKNOWN, error=error)

    async def call(self, row: Outgoing) -> _Result:
        """One call of the adapter. No answer and no SendFailed leaves open whether the message left."""
        adapter = self.adapters.get(row.channel)
        if adapter is None:
            return _Result(Failure.FINAL, "channel not configured")
        if self.now() > self.at + LEASE - SEND_TIMEOUT:  # this process was held up: the lease might end in mid-send
            return _Result(Failure.RETRYABLE, "the worker was held up before sending")
        try:
            async with asyncio.timeout(SEND_TIMEOUT.total_seconds()):
                return _Result(SENT, vendor_id=await self.send_parts(adapter, row))
        except SendFailed as failed:
            return _Result(failed.failure, failed.reason, pause=failed.retry_after)
        except SendDoubtful as doubtful:
            reason = doubtful.reason
        except TimeoutError:
            reason = f"no answer within {SEND_TIMEOUT.total_seconds():.0f} s"
        except Exception as error:
            reason = f"the adapter failed: {type(error).__name__}"
            log.error("adapter failed", channel=row.channel, error=type(error).__name__)
        return _Result(Failure.RETRYABLE if self.repeatable(row) else UNKNOWN, reason)

    async def send_parts(self, adapter: Adapter, row: Outgoing) -> str:
        """Send what is not known to have left yet, in order; the id of the last part.

        Each part but the last is written down before the next is sent, so that a message that broke off in the middle
        goes on there when it is tried again.
        """
        message = _message(row)
        if row.scheme == TRACKING:
            return await adapter.send(message)
        async with self.database.transaction() as session:
            thread, unheard = await threads.thread_of(session, row.subject_id, row.channel, row.handle, self.now())
            left = await threads.parts_left(session, row.id)
        message = replace(message, thread=thread, unheard=unheard)
        *before, last = parts_of(message, adapter.capabilities)
        for each in before:
            if each.part not in left:
                await self.paced(adapter, row.channel)
                vendor_id = await adapter.send(each)

                async def write(session: AsyncSession, part: int = each.part, id: str = vendor_id) -> None:
                    await threads.part_left(session, row.id, part, row.channel, id)

                if error := await self.insist(write):
                    raise SendDoubtful(f"a part has left and could not be noted: {error}")
        await self.paced(adapter, row.channel)
        return await adapter.send(last)

    async def paced(self, adapter: Adapter, channel: str) -> None:
        """Wait for our turn at a vendor that takes so many messages a second from all of us together."""
        if adapter.capabilities.per_second is None:
            return
        async with self.database.transaction() as session:
            wait = await threads.turn(session, channel, adapter.capabilities.per_second, self.now())
        if wait > MOST_WAIT:
            raise SendFailed(Failure.RATE_LIMITED, "the vendor's rate is used up for now")
        await asyncio.sleep(wait.total_seconds())

    async def write(self, session: AsyncSession, row: Outgoing, result: _Result) -> None:
        """What the result means for the row."""
        mine = (col(Outgoing.lease_until) == row.lease_until,)
        now, reason = self.now(), result.reason or result.outcome
        if result.outcome == SENT:
            if await self.note_sent(session, row, result):
                await self.on_sent(session, row, now)
        elif result.outcome == UNKNOWN and row.purpose == RECEIPT:
            await due.finish(session, Outgoing, row.id, where=mine, state="dropped")
        elif result.outcome == UNKNOWN:
            await due.bury(session, Outgoing, row.id, now, reason, where=mine, state=UNKNOWN)
        elif result.outcome in (Failure.RETRYABLE, Failure.RATE_LIMITED) and row.attempts < due.MAX_ATTEMPTS:
            await due.retry(
                session, Outgoing, row.id, now, row.attempts, reason, where=mine, pause=result.pause, state="queued"
            )
        else:
            await due.bury(session, Outgoing, row.id, now, reason, where=mine, state="failed")

    async def note_sent(
        self, session: AsyncSession, row: Outgoing, result: _Result, *, follow_up: str | None = None
    ) -> bool:
        """The message has left, whoever holds the row now. False when that was known. `follow_up`: why it is due."""
        now = self.now()
        news = (col(Outgoing.state).not_in(LEFT),)
        sent: dict[str, Any] = {"state": SENT, "vendor_id": result.vendor_id, "sent_at": now, "dead_at": None}
        if follow_up is None:
            first = await due.finish(session, Outgoing, row.id, where=news, **sent)
        else:
            first = await due.retry(session, Outgoing, row.id, now, 1, f"follow-up: {follow_up}", where=news, **sent)
        if first and result.vendor_id is not None and row.scheme != TRACKING:
            await threads.part_left(session, row.id, None, row.channel, result.vendor_id)
            if row.attempts > 1:  # the vendor is back: nobody else need wait out their pause
                await hurry(session, row.channel, now)
        return first

    async def follow_up(self, row: Outgoing) -> None:
        """`on_sent` of a message that left earlier; once, because the transaction that runs it ends the work."""
        mine = (col(Outgoing.lease_until) == row.lease_until,)

        async def run(session: AsyncSession) -> None:
            if await due.finish(session, Outgoing, row.id, where=mine):
                await self.on_sent(session, row, self.now())

        async def postpone(session: AsyncSession) -> None:
            await due.retry(session, Outgoing, row.id, self.now(), row.attempts, f"follow-up: {error}", where=mine)

        if error := await self.insist(run):
            log.error("outgoing not followed up", id=str(row.id), error=error)
            await self.insist(postpone)

    async def insist(self, work: Callable[[AsyncSession], Awaitable[None]]) -> str | None:
        """Do `work` in a transaction, again while the database is away or disagrees; the error's name at the end."""
        for pause in (*SETTLE_PAUSES, None):
            try:
                async with self.database.transaction() as session:
                    await work(session)
                return None
            except FAILURES as error:
                name = type(error).__name__
            except Exception as error:
                return type(error).__name__
            if pause is not None:
                await asyncio.sleep(pause)
        return name


def _message(row: Outgoing) -> OutboundMessage:
    return OutboundMessage(
        id=row.id,
        channel=row.channel,
        to=Address(row.scheme, row.handle),
        text=row.text,
        purpose=row.purpose,
        attachments=tuple(FileRef(**file) for file in row.attachments),
        reference=row.reference,
        title=row.title,
        automatic=row.purpose not in WRITTEN,
    )


def _attempt(row: Outgoing, at: datetime, result: _Result) -> DeliveryAttempt:
    return DeliveryAttempt(
        id=uuid7(at),
        outgoing_id=row.id,
        at=at,
        outcome=str(result.outcome),
        reason=result.reason,
        vendor_id=result.vendor_id,
    )
