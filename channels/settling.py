"""What came of a try, written down: sent, to be tried again, failed for good, or in doubt; and what follows from it.

What failed for good may go on another way: `on_failed` decides that in the transaction that records the failure.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from channels import threads, waiting
from channels.adapter import Adapter, Failure
from channels.failures import REPORTED
from channels.models import DeliveryAttempt, Outgoing, OutgoingPart
from channels.sending import DIED, SENT, TRACKING, UNKNOWN, Result, Sender
from core import due
from core.db import FAILURES, Database
from core.ids import uuid7

RECEIPT: Final = "receipt"  # better lost than doubtful: the code was shown when the report was made
LEFT = (SENT, "delivered", "read")  # states of a message that is known to have left
PASSED: Final = "passed"  # failed for good, and goes on another way

NEXT_TURN = timedelta(seconds=2)  # until who found a vendor's turns taken asks again

SETTLE_PAUSES = (0.1, 0.3, 1.0, 2.0, 4.0, 6.0)  # seconds; a database that restarts must not leave doubt

# How often a message is tried that fails so, and how long to wait at least. Somebody has to let us in again where the
# vendor does not: they get a quarter of an hour before messages go other ways.
_TRIES: Final[Mapping[str, tuple[int, timedelta | None]]] = {
    Failure.RETRYABLE: (due.MAX_ATTEMPTS, None),
    Failure.RATE_LIMITED: (due.MAX_ATTEMPTS, None),
    Failure.REAUTHORISE: (4, timedelta(minutes=5)),
}
_CLEAN: Final[Mapping[str, Any]] = {"dead_at": None, "failure": None}

Follow = Callable[[AsyncSession, Outgoing, datetime], Awaitable[None]]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Delivery:
    """One round of deliver_due."""

    database: Database
    adapters: Mapping[str, Adapter]
    on_sent: Follow
    on_failed: Follow
    at: datetime
    until: datetime  # no send begins after it: the lease might end in its middle
    started: float

    def now(self) -> datetime:
        """The round's time moved on by what has passed since: the clock itself is read at the edge only."""
        return self.at + timedelta(seconds=time.monotonic() - self.started)

    @property
    def sender(self) -> Sender:
        """What calls the vendors."""
        return Sender(self.database, self.adapters, self.now, self.until, self.insist)

    async def send_together(self, rows: Sequence[Outgoing]) -> None:
        """Repeatable receipts, settled in one transaction: there is one for every report.

        The vendor's ids are kept with the attempts only. If one `on_sent` fails, each is sent again by itself.
        """
        if not rows:
            return
        results = await asyncio.gather(*(self.sender.call(row) for row in rows))

        async def write(session: AsyncSession) -> None:
            sent = [row for row, result in zip(rows, results, strict=True) if result.outcome == SENT]
            known = (col(Outgoing.state).not_in(LEFT),)
            news = await due.finish_many(
                session, Outgoing, [row.id for row in sent], where=known, state=SENT, sent_at=self.now(), **_CLEAN
            )
            for row, result in zip(rows, results, strict=True):
                if row.id in news:
                    await self.on_sent(session, row, self.now())
                elif result.outcome != SENT:
                    await self.write(session, row, result)
            tried = [(row, result) for row, result in zip(rows, results, strict=True) if not result.untried]
            session.add_all(attempt(row, self.now(), result) for row, result in tried)

        if await self.insist(write) is not None:
            for row in rows:
                await self.send(row)

    async def send(self, row: Outgoing) -> None:
        """Call the vendor, then write down what came of it."""
        await self.settle(row, await self.sender.call(row))

    async def resume(self, row: Outgoing) -> None:
        """A row somebody else began: `sending` by a worker that died, or sent and not followed up."""
        if row.state != "sending":
            await self.follow_up(row)
            return
        async with self.database.transaction() as session:
            parts = await threads.parts(session, row.id)
        if any(part.state == threads.FAILED for part in parts):
            await self.settle(
                row, Result(Failure.FINAL, "the vendor reports that it was not delivered", failure=REPORTED)
            )
        elif row.attempts > due.MAX_ATTEMPTS or not (self.sender.repeatable(row) or _between_parts(parts)):
            await self.settle(row, DIED, noted=True)
        else:
            await self.send(row)

    async def settle(self, row: Outgoing, result: Result, *, noted: bool = False) -> None:
        """Write down what came of a try, and what follows from it.

        If what follows fails, the result stands all the same: what left is followed up later, what failed waits for a
        person. `noted`: the try itself is already.
        """

        async def write(session: AsyncSession) -> None:
            if not noted and not result.untried:
                session.add(attempt(row, self.now(), result))
            await self.write(session, row, result)

        error = await self.insist(write)
        if error is not None and result.outcome != UNKNOWN:

            async def write_alone(session: AsyncSession) -> None:
                if not noted:
                    session.add(attempt(row, self.now(), result))
                await self.write(session, row, result, alone=error)

            error = await self.insist(write_alone)
        if error is not None:
            log.error("outgoing not settled", id=str(row.id), outcome=result.outcome, error=error)

    async def write(self, session: AsyncSession, row: Outgoing, result: Result, *, alone: str | None = None) -> None:
        """What the result means for the row; `alone`: without what follows from it, because of this error."""
        mine = (col(Outgoing.lease_until) == row.lease_until,)
        now, reason, word = self.now(), result.reason or result.outcome, result.failure
        if result.outcome == SENT:
            if await self.note_sent(session, row, result, follow_up=alone) and alone is None:
                await self.on_sent(session, row, now)
                await self.catch_up(session, row)
            return
        if result.outcome == UNKNOWN:
            if row.purpose == RECEIPT:
                await due.finish(session, Outgoing, row.id, where=mine, state="dropped", failure=word)
            else:
                await due.bury(session, Outgoing, row.id, now, reason, where=mine, state=UNKNOWN, failure=word)
            return
        if result.untried:
            await due.put_back(session, Outgoing, row.id, now + NEXT_TURN, where=mine, state="queued")
            return
        tries, pause = _TRIES.get(result.outcome, (0, None))
        again = row.attempts < tries
        if not again and tries and row.attempts < due.MAX_ATTEMPTS:
            again = await self.failed_so(session, row, result.outcome) < tries
        if again:
            pause = max(filter(None, (pause, result.pause)), default=None)
            again_as: dict[str, Any] = {"where": mine, "pause": pause, "state": "queued", "failure": word}
            ours = await due.retry(session, Outgoing, row.id, now, row.attempts, reason, **again_as)
        else:
            ours = await due.bury(session, Outgoing, row.id, now, reason, where=mine, state="failed", failure=word)
        if ours:
            await threads.nothing_left(session, row.id)
        if ours and not again and alone is None:
            await self.on_failed(session, await session.get_one(Outgoing, row.id), now)

    async def failed_so(self, session: AsyncSession, row: Outgoing, outcome: str) -> int:
        """How often it has failed in this way, this try included: the vendor's faults do not count among ours."""
        alike = (DeliveryAttempt.outgoing_id == row.id, DeliveryAttempt.outcome == outcome)
        return (await session.exec(select(func.count()).select_from(DeliveryAttempt).where(*alike))).one()

    async def note_sent(
        self, session: AsyncSession, row: Outgoing, result: Result, *, follow_up: str | None = None
    ) -> bool:
        """The message has left, whoever holds the row now. False when that was known. `follow_up`: why it is due."""
        now = self.now()
        news = (col(Outgoing.state).not_in((*LEFT, PASSED)),)
        sent: dict[str, Any] = {"state": SENT, "vendor_id": result.vendor_id, "sent_at": now, **_CLEAN}
        if follow_up is None:
            first = await due.finish(session, Outgoing, row.id, where=news, **sent)
        else:
            first = await due.retry(session, Outgoing, row.id, now, 1, f"follow-up: {follow_up}", where=news, **sent)
        if first and result.vendor_id is not None and row.scheme != TRACKING:
            by = self.sender.heard_on(row)
            await threads.part_left(session, row.id, result.part, by, result.vendor_id, result.file)
            if row.attempts > 1:  # the vendor is back: nobody else need wait out their pause
                await waiting.hurry(session, row.channel, now)
        return first

    async def catch_up(self, session: AsyncSession, row: Outgoing) -> None:
        """Reports that came while it was still being sent."""
        if row.scheme == TRACKING:
            return
        changed = await threads.caught_up(session, row.id, None, self.now())
        if changed is not None and changed.state == threads.FAILED:
            await self.on_failed(session, changed, self.now())

    async def follow_up(self, row: Outgoing) -> None:
        """`on_sent` of a message that left earlier; once, because the transaction that runs it ends the work."""
        mine = (col(Outgoing.lease_until) == row.lease_until,)

        async def run(session: AsyncSession) -> None:
            if await due.finish(session, Outgoing, row.id, where=mine):
                await self.on_sent(session, row, self.now())
                await self.catch_up(session, row)

        async def postpone(session: AsyncSession) -> None:
            tried = min(row.attempts, due.MAX_ATTEMPTS - 1)  # it has left, so this is never given up
            await due.retry(session, Outgoing, row.id, self.now(), tried, f"follow-up: {error}", where=mine)

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


async def nothing(session: AsyncSession, outgoing: Outgoing, at: datetime) -> None:
    """Nobody wants to hear of it."""


def _between_parts(parts: Sequence[OutgoingPart]) -> bool:
    """Whether it is known that nothing was on its way: parts have left, and no other was begun."""
    return bool(parts) and all(part.state in threads.RANKS for part in parts)


def attempt(row: Outgoing, at: datetime, result: Result) -> DeliveryAttempt:
    return DeliveryAttempt(
        id=uuid7(at),
        outgoing_id=row.id,
        at=at,
        outcome=str(result.outcome),
        reason=result.reason,
        vendor_id=result.vendor_id,
    )
