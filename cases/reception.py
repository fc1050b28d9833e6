"""The worker's side of what comes in: take the oldest event of each sender, read it again, make something of it.

An event is read from its raw row every time, so that a mended parser reads what an older one could not. A row is done
in the transaction that changed the case: a worker killed at any line leaves it due.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from cases import albums
from cases.arriving import Arrivals, arrive
from cases.hearing import TooEarly
from channels import inbox
from channels.message import InboundMessage
from channels.models import Received
from channels.reading import one_of_a_kind
from core import due
from core.db import Database
from core.due import Session
from core.errors import DomainError

AT_ONCE = 8  # senders worked on together by one process
LEASE = timedelta(seconds=60)
TRIES = 6  # some five minutes; then the next event of the same sender has its turn

Read = Callable[[Received], Awaitable[list[InboundMessage]]]
Office = Callable[[Session], Awaitable[Arrivals]]
Handler = Callable[[Session, Received, InboundMessage, datetime], Awaitable[str]]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reception:
    """What a round needs; `read` gives the event of a row, `office` the rules and channels of the moment.

    `handlers`: channels whose events are not said by anybody and become something else than lines of a case.
    """

    database: Database
    read: Read
    office: Office
    clock: Callable[[], datetime]
    handlers: Mapping[str, Handler] = field(default_factory=dict)

    async def round(self) -> int:
        """Work on the events whose turn it is; how many there were."""
        async with self.database.transaction() as session:
            rows = await inbox.take_turns(session, self.clock(), limit=AT_ONCE, lease=LEASE)
        await asyncio.gather(*(self.take_in(row) for row in rows))
        return len(rows)

    async def take_in(self, row: Received) -> None:
        """One event, in one transaction; what fails is tried again, and in the end kept for a person to see."""
        try:
            messages = one_of_a_kind(await self.read(row))
            async with self.database.transaction() as session:
                mine = (await session.exec(_still(row).with_for_update())).first()
                if mine is None:
                    return
                came = await self.make_of(session, mine, messages)
                if came is not None:
                    await due.bury(session, Received, row.id, self.clock(), came)
                    return
                await due.finish(session, Received, row.id)
        except Exception as error:
            await self.failed(row, error)

    async def make_of(self, session: Session, row: Received, messages: Sequence[InboundMessage]) -> str | None:
        """None when it is done, otherwise why nobody can do it."""
        at = self.clock()
        if not messages:
            return "no parser for this channel"
        message = next((each for each in messages if each.external_id == row.external_id), None)
        others = [each for each in messages if each is not message and each.kind != inbox.UNREAD]
        await inbox.accept(session, others, at)  # it was kept as one because an older parser could not tell them apart
        if message is None:
            return None if others else messages[0].ignore_reason
        if message.kind == inbox.UNREAD:
            return message.ignore_reason or "not understood"
        if message.ignore_reason is None:
            message, rest = await albums.whole(session, row, message, self.read, at)
            handler = self.handlers.get(row.channel)
            if handler is not None:
                came = await handler(session, row, message, at)
            else:
                came = await arrive(session, await self.office(session), row, message, at)
            await albums.settle(session, row, rest)
            log.info("event taken in", channel=row.channel, kind=message.kind, came=came)
        return None

    async def failed(self, row: Received, error: Exception) -> None:
        """Tried again later unless it was refused for good or has been tried often."""
        name = type(error).__name__
        final = (isinstance(error, DomainError) and error.status < 500) or row.attempts >= TRIES
        log.warning("event not taken in", channel=row.channel, error=name, final=final)
        async with self.database.transaction() as session:
            mine = (col(Received.lease_until) == row.lease_until,)
            if final and isinstance(error, TooEarly):  # what it speaks of is not ours after all
                await due.finish(session, Received, row.id, where=mine)
            elif final:
                await due.bury(session, Received, row.id, self.clock(), name, where=mine)
            else:
                await due.retry(session, Received, row.id, self.clock(), row.attempts, name, where=mine)


def _still(row: Received) -> SelectOfScalar[Received]:
    """The row if it is still ours to work on."""
    return select(Received).where(col(Received.id) == row.id, col(Received.lease_until) == row.lease_until)
