"""What a caller is told at each step, within the carrier's limit whatever the database does.

Where a call stands travels in the address of the next step, which the carrier signs; what was told is kept beside the
event, so that a repetition hears the same. Without the database the same menu goes on from the same address: only the
state of a case cannot be looked up, and the event waits in the spool.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.models import Case
from channels import inbox
from channels.adapter import Hook
from channels.message import InboundMessage
from channels.reading import kept
from channels.twilio import voice
from core import auth
from core.db import FAILURES, Database
from core.errors import TooMany
from core.spool import Spool
from hotline.menu import Menu
from hotline.steps import Act, Arrived, Event, Found, Keys, Look, NotFound, State, Unavailable, event_of, state_of, step

PATIENCE: Final = 1.2  # seconds for the database; the caller hears silence meanwhile
DISK_PATIENCE: Final = 0.5
PAUSE: Final = 2.0  # seconds in which a database that did not answer is not asked again
LOOKS: Final = (10, 3600)  # codes a number may try in so many seconds
BATCH: Final = 100
NEVER: Final = frozenset({"22", "23", "54"})  # SQLSTATE: bad data, a broken constraint, above the server's limits

T = TypeVar("T")
Told = tuple[State, list[Act]]
log = structlog.get_logger()


class Away(Exception):
    """The database does not answer in time."""


class Switchboard:
    """One web process's side of the menu."""

    def __init__(
        self, database: Database, menu: Menu, spool: Spool, code_prefix: str, *, patience: float = PATIENCE
    ) -> None:
        self.database = database
        self.menu = menu
        self.spool = spool
        self.code_prefix = code_prefix
        self.patience = patience
        self._again_at = 0.0  # on the monotonic clock
        self._left: set[asyncio.Task[Any]] = set()  # what was given up, until it has noticed
        self._writer = ThreadPoolExecutor(1, "spool")

    async def answer(self, message: InboundMessage, at: datetime) -> tuple[Told, str]:
        """What the caller is told, and where the event is now: kept, known already, spooled or lost. Never raises."""
        try:
            return await self._in_time(partial(self._told, message=message, at=at))
        except Away:
            told, answer = self.tell(message, at, Unavailable())
            return told, await self._put_by(message, at, answer)

    async def keep(self, message: InboundMessage, at: datetime) -> str:
        """Keep a report, which nobody waits for: kept, known, spooled or lost."""
        try:
            fresh = await self._in_time(lambda session: inbox.accept(session, [message], at))
        except Away:
            return await self._put_by(message, at, None)
        return "kept" if fresh else "known"

    def tell(
        self, message: InboundMessage, at: datetime, looked: Event | None = None, now_open: bool | None = None
    ) -> tuple[Told, dict[str, Any]]:
        """The step from where the caller stood, and what is kept of it. Without `looked`, a look-up is left to do."""
        now_open = self.menu.is_open(at) if now_open is None else now_open
        before = state_of(self.menu, message.thread.get("state", ""))
        event = event_of(message) or (Keys() if message.thread.get("state") else Arrived(_number(message) is not None))
        state, acts = step(self.menu, before, event, now_open)
        kept: dict[str, Any] = {"open": now_open}
        if looked is not None and acts and isinstance(acts[0], Look):
            state, acts = step(self.menu, state, looked, now_open)
            kept["look"] = looked.status if isinstance(looked, Found) else type(looked).__name__
        return (state, acts), {**kept, "token": state.token()}

    async def _told(self, session: AsyncSession, message: InboundMessage, at: datetime) -> tuple[Told, str]:
        if (before := await inbox.answer_to(session, message)) is not None:
            return self._again(message, at, before), "known"
        told, answer = self.tell(message, at)
        if told[1] and isinstance(told[1][0], Look):
            looked = await self._look(session, told[1][0].digits, _number(message), at)
            told, answer = self.tell(message, at, looked)
        if await inbox.accept(session, [message], at, answer):
            return told, "kept"
        twin = await inbox.answer_to(session, message)  # it came twice at once, and the other one was first
        return (told if twin is None else self._again(message, at, twin)), "known"

    def _again(self, message: InboundMessage, at: datetime, answer: dict[str, Any]) -> Told:
        """What was told when this came before."""
        (_, acts), _ = self.tell(message, at, None, answer.get("open"))
        digits = acts[0].digits if acts and isinstance(acts[0], Look) else ""
        plain: dict[str, Event] = {"NotFound": NotFound(), "Unavailable": Unavailable()}
        looked = plain.get(answer.get("look", "Unavailable"), Found(digits, answer.get("look", "")))
        return self.tell(message, at, looked, answer.get("open"))[0]

    async def _look(self, session: AsyncSession, digits: str, caller: str | None, at: datetime) -> Event:
        """The status of a case, for the number it was reported from only; nobody else learns that there is one."""
        if caller is None:
            return NotFound()
        try:
            tries = await auth.count_try(session, {f"voice:{caller}": LOOKS}, at)
        except TooMany:
            return NotFound()
        theirs = select(Case.status).where(
            Case.code == f"{self.code_prefix}-{digits[:2]}-{digits[2:]}",
            col(Case.contact)["phone"].astext == caller,
            col(Case.restricted).is_(False),
        )
        status = (await session.exec(theirs)).first()
        if status is None:
            return NotFound()
        await auth.take_back(session, tries)
        return Found(digits, status)

    async def _in_time(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Do it in one transaction, or Away when that takes longer than a caller can wait.

        The work is left behind rather than waited for: a database that stands still does not let go of its connection
        either. What it may still commit is the same event, which is kept once.
        """
        if time.monotonic() < self._again_at:
            raise Away
        task = asyncio.ensure_future(self._transaction(work))
        done, _ = await asyncio.wait({task}, timeout=self.patience)
        if done and task.exception() is None:
            return task.result()
        self._again_at = time.monotonic() + PAUSE
        if not done:
            self._left.add(task)
            task.add_done_callback(self._forget)
            task.cancel()
            log.warning("call answered without the database", error="TimeoutError")
        elif isinstance(task.exception(), FAILURES):
            log.warning("call answered without the database", error=type(task.exception()).__name__)
        else:
            self._again_at = 0.0  # a fault of ours in this event: others need not suffer
            log.error("call answered without the database", error=type(task.exception()).__name__)
        raise Away

    async def _transaction(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        async with self.database.transaction() as session:
            return await work(session)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._left.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that nobody complains of it

    async def _put_by(self, message: InboundMessage, at: datetime, answer: dict[str, Any] | None) -> str:
        """Into the spool, on the disk before this returns; a disk that takes nothing does not cost anybody the call."""
        entry = {
            "channel": message.channel,
            "account": message.account,
            "received_at": at.isoformat(),
            "raw": message.raw,
            "answer": answer,
        }
        call = message.thread.get("call_sid")
        writing = asyncio.get_running_loop().run_in_executor(self._writer, self.spool.write, entry)
        try:
            async with asyncio.timeout(DISK_PATIENCE):
                await asyncio.shield(writing)
        except TimeoutError:
            writing.add_done_callback(lambda late: late.cancelled() or late.exception())
            log.error("event of a call may be lost: the disk does not answer", call=call)
            return "lost"
        except OSError as error:
            log.error("event of a call is lost: the disk takes nothing", errno=error.errno, call=call)
            return "lost"
        return "spooled"


async def replay(database: Database, spool: Spool) -> int:
    """Put what waits in the spool into the database, as of when it came; how many events. Again is harmless.

    An event that the database will never take does not hold up those after it: its file is kept for a person.
    """
    count = 0
    for path in spool.segments():
        segment, refused = spool.read(path), 0
        for first in range(0, len(segment.entries), BATCH):
            batch = segment.entries[first : first + BATCH]
            try:
                count += await _put_in(database, batch)
            except Exception as error:
                if not _is_refusal(error):
                    raise
                for entry in batch:  # all but the one at fault
                    try:
                        count += await _put_in(database, (entry,))
                    except Exception as found:
                        if not _is_refusal(found):
                            raise
                        refused += 1
                        log.error("event of the spool cannot be kept", file=path.name, error=type(found).__name__)
        spool.done(replace(segment, damaged=segment.damaged + refused))
        if segment.torn or segment.damaged:
            log.warning("spool had lines that were never finished", torn=segment.torn, damaged=segment.damaged)
        log.info("spool put into the database", events=len(segment.entries) - refused)
    return count


async def _put_in(database: Database, entries: Sequence[dict[str, Any]]) -> int:
    """These events, all or none; how many were not there yet."""
    count = 0
    async with database.transaction() as session:
        for entry in entries:
            hook = Hook(kept(entry["raw"]), {}, {})
            at = datetime.fromisoformat(entry["received_at"])
            count += await inbox.accept(session, voice.parse(hook, entry["account"]), at, entry["answer"])
    return count


def _is_refusal(error: Exception) -> bool:
    """Whether it is the event's own fault and will be each time, rather than of a database that is away or busy."""
    if isinstance(error, DBAPIError):
        return str(getattr(error.orig, "sqlstate", None))[:2] in NEVER
    return isinstance(error, LookupError | TypeError | ValueError | AttributeError) and not isinstance(error, FAILURES)


def _number(message: InboundMessage) -> str | None:
    sender = message.sender
    return sender.handle if sender is not None and sender.scheme == "phone" else None
