"""One try of one message: its adapter called part by part, and in a word what came of it. Nothing is settled here.

A message of several parts leaves marks: a part is `sending` from before its vendor is called until it is known to have
left. So a worker that takes over from a dead one knows whether anything was on its way, and goes on with the next part.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from channels import failures, threads
from channels.adapter import Adapter, Failure, SendDoubtful, SendFailed
from channels.message import Address, FileRef, OutboundMessage
from channels.models import Outgoing
from channels.parts import left_out, parts_of
from core.db import FAILURES, Database

SENT, UNKNOWN = "sent", failures.UNKNOWN
TRACKING: Final = "tracking"  # scheme of messages that only stand on the tracking page: nothing leaves the house
WRITTEN: Final = frozenset({"answer", "question", "progress", "refused", "redirected"})  # a person wrote or chose them
MOST_WAIT = timedelta(seconds=15)  # for our turn at a vendor; what would wait longer is due again later
SEND_TIMEOUT = timedelta(seconds=30)  # for one vendor message

Insist = Callable[[Callable[[AsyncSession], Awaitable[None]]], Awaitable[str | None]]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one try: sent, a Failure, or unknown."""

    outcome: str
    reason: str | None = None
    vendor_id: str | None = None
    part: int = 0  # the last one, when it was sent
    file: str | None = None  # the name of the file that the last part was
    pause: timedelta | None = None  # the vendor asked us to wait so long
    failure: str | None = None  # one of failures.WORDS
    untried: bool = False  # its turn at the vendor did not come: no try of its own, and none the less for it


DIED: Final = Result(UNKNOWN, "the worker that was sending it died", failure=UNKNOWN)


class NotOurTurn(SendFailed):
    """The vendor was not called, because others of ours are before us or the process is to end."""

    def __init__(self, reason: str) -> None:
        super().__init__(Failure.RATE_LIMITED, reason)


@dataclass(frozen=True, slots=True)
class Sender:
    """Calls adapters. `until` is when the lease of the rows is near its end; `insist` writes through trouble."""

    database: Database
    adapters: Mapping[str, Adapter]
    now: Callable[[], datetime]
    until: datetime
    insist: Insist

    def repeatable(self, row: Outgoing) -> bool:
        """Whether sending this again can do no harm."""
        adapter = self.adapters.get(row.channel)
        return adapter is not None and adapter.capabilities.idempotent

    def heard_on(self, row: Outgoing) -> str:
        """The channel whose events tell what becomes of this message, and whose thread it goes on."""
        adapter = self.adapters.get(row.channel)
        return (adapter.capabilities.heard_on if adapter is not None else None) or row.channel

    async def call(self, row: Outgoing) -> Result:
        """One call of the adapter. No answer and no SendFailed leaves open whether the message left."""
        adapter = self.adapters.get(row.channel)
        if adapter is None:
            return Result(Failure.FINAL, "channel not configured", failure=failures.ABSENT)
        if self.now() > self.until:  # this process was held up: the lease might end in mid-send
            return Result(Failure.RETRYABLE, "the worker was held up before sending", failure=Failure.RETRYABLE)
        try:
            return await self._send(adapter, row)
        except NotOurTurn as later:
            return Result(later.failure, later.reason, failure=later.failure, untried=True)
        except SendFailed as failed:
            word = failures.GONE if failed.gone else failed.failure
            return Result(failed.failure, failed.reason, pause=failed.retry_after, failure=word)
        except SendDoubtful as doubtful:
            reason = doubtful.reason
        except TimeoutError:
            reason = f"no answer within {SEND_TIMEOUT.total_seconds():.0f} s"
        except Exception as error:
            reason = f"the adapter failed: {type(error).__name__}"
            log.error("adapter failed", channel=row.channel, error=type(error).__name__)
        outcome = Failure.RETRYABLE if self.repeatable(row) else UNKNOWN
        return Result(outcome, reason, failure=outcome)

    async def _send(self, adapter: Adapter, row: Outgoing) -> Result:
        """Send what is not known to have left yet, in order."""
        message = message_of(row)
        patience = SEND_TIMEOUT.total_seconds()
        if row.scheme == TRACKING:
            async with asyncio.timeout(patience):
                return Result(SENT, vendor_id=await adapter.send(message))
        by = self.heard_on(row)
        try:
            async with self.database.transaction() as session:
                thread, unheard = await threads.thread_of(session, row.subject_id, by, row.handle, self.now())
                left = await threads.parts_left(session, row.id)
        except FAILURES as error:  # nothing was on its way yet
            raise SendFailed(Failure.RETRYABLE, f"the database was away: {type(error).__name__}") from None
        parts = parts_of(replace(message, thread=thread, unheard=unheard), adapter.capabilities)
        waiting = [each for each in parts if each.part not in left]
        last = parts[-1]
        for each in waiting:
            await self._paced(adapter, row.channel)
            if self.now() > self.until:
                raise SendFailed(Failure.RETRYABLE, "no time was left to send it, or all of it")
            if len(parts) > 1:
                await self._mark(row, each, by)
            async with asyncio.timeout(patience):
                vendor_id = await self._hand_over(adapter, each)
            if each is last:
                return Result(SENT, vendor_id=vendor_id, part=last.part, file=_file(last))
            await self._note(row, each, by, vendor_id)
        return Result(SENT, vendor_id=left.get(last.part), part=last.part, file=_file(last))

    async def _hand_over(self, adapter: Adapter, part: OutboundMessage) -> str:
        """Send one part; a file by itself that the vendor will not have is named instead, with where it stands."""
        try:
            return await adapter.send(part)
        except SendFailed as failed:
            if failed.failure is not Failure.FINAL or failed.gone or part.text or not part.part:
                raise
        return await adapter.send(replace(part, text=left_out(part.attachments, part.link), attachments=()))

    async def _mark(self, row: Outgoing, part: OutboundMessage, by: str) -> None:
        ours = False

        async def write(session: AsyncSession) -> None:
            nonlocal ours
            ours = await threads.part_begins(session, row, part.part, by, _file(part), self.now())

        error = await self.insist(write)
        if error or not ours:
            raise SendFailed(Failure.RETRYABLE, f"its sending could not be noted: {error or 'another worker has it'}")

    async def _note(self, row: Outgoing, part: OutboundMessage, by: str, vendor_id: str) -> None:
        async def write(session: AsyncSession) -> None:
            await threads.part_left(session, row.id, part.part, by, vendor_id, _file(part))

        if error := await self.insist(write):
            raise SendDoubtful(f"a part has left and could not be noted: {error}")

    async def _paced(self, adapter: Adapter, channel: str) -> None:
        """Wait for our turn at a vendor that takes so many messages a second from all of us together."""
        if adapter.capabilities.per_second is None:
            return
        try:
            async with self.database.transaction() as session:
                wait = await threads.turn(session, channel, adapter.capabilities.per_second, self.now(), MOST_WAIT)
        except FAILURES as error:
            raise SendFailed(Failure.RETRYABLE, f"the database was away: {type(error).__name__}") from None
        if wait is None:
            raise NotOurTurn("the vendor's rate is used up for now")
        try:
            await asyncio.sleep(wait.total_seconds())
        except asyncio.CancelledError:  # the process is to end: nothing was on its way, and that is written down
            raise NotOurTurn("the process ended before it was sent") from None


def message_of(row: Outgoing) -> OutboundMessage:
    """A row in the normal form."""
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
        link=row.link,
    )


def _file(part: OutboundMessage) -> str | None:
    return part.attachments[0].name if part.attachments and not part.text else None
