"""The loop finds what is due, survives the database, and stops when asked."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import delete
from sqlmodel import col, select

import worker
from channels import outbox
from channels.adapter import Adapter
from channels.console import ConsoleChannel
from channels.message import Address, Capabilities, OutboundMessage
from channels.models import DeliveryAttempt, Outgoing
from channels.portal import Portal
from core import journal
from core.db import Database
from core.due import Duty
from core.ids import uuid7
from core.journal import Journal, JournalPosition
from core.settings import Settings

DUTIES = {
    "journal.number",
    "ioc.project",
    "search.index",
    "cases.close",
    "commitments.run",
    "sweep",
    "recordings.sweep",
    "codes.forget",
    "calls.lost",
    "people.give_up",
    "rules.retire",
    "ioc.reconcile",
}


class Slow:
    """A vendor that never answers."""

    name = "slow"
    capabilities = Capabilities()

    async def send(self, message: OutboundMessage) -> str:
        await asyncio.sleep(3600)
        return "never"


@pytest.fixture
async def empty(database: Database) -> None:
    async with database.transaction() as session:
        for table in (DeliveryAttempt, Outgoing, Duty):
            await session.execute(delete(table))


@asynccontextmanager
async def working(
    database: Database, adapters: dict[str, Adapter], clock: Callable[[], datetime] = worker.now
) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run_worker(Settings(), database, adapters, stop, clock=clock))
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(5):
            await task


async def put(database: Database, channel: str = "web", purpose: str = "receipt") -> UUID:
    at = datetime.now(UTC)
    subject = uuid7(at)
    async with database.transaction() as session:
        await outbox.enqueue(
            session,
            subject_id=subject,
            entry_id=subject,
            purpose=purpose,
            to=Address("tracking", "BP-26-0482134"),
            channel=channel,
            text="Chào chị",
            reference="BP-26-0482134",
            at=at,
        )
    return subject


async def state(database: Database, subject: UUID) -> str:
    async with database.transaction() as session:
        return (await session.exec(select(Outgoing.state).where(Outgoing.subject_id == subject))).one()


async def until(what: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await what():  # noqa: ASYNC110 - rows tell nobody that they changed
            await asyncio.sleep(0.02)


async def test_what_is_due_is_delivered_by_its_own_channel(database: Database, empty: None, tmp_path: Path) -> None:
    file = tmp_path / "would-send.jsonl"
    shown = await put(database, "zalo")
    async with working(database, {"web": Portal("web"), "zalo": ConsoleChannel("zalo", file)}):
        later = await put(database)

        async def both_sent() -> bool:
            return [await state(database, each) for each in (shown, later)] == ["sent", "sent"]

        await until(both_sent)
    assert [json.loads(line)["reference"] for line in file.read_text().splitlines()] == ["BP-26-0482134"]


async def test_a_slow_vendor_holds_up_neither_the_others_nor_the_end(database: Database, empty: None) -> None:
    stuck = await put(database, "slow")
    async with working(database, {"web": Portal("web"), "slow": Slow()}) as stop:

        async def being_sent() -> bool:
            return await state(database, stuck) == "sending"

        await until(being_sent)
        quick = await put(database)

        async def sent() -> bool:
            return await state(database, quick) == "sent"

        await until(sent)
        stopped = time.monotonic()
        stop.set()
    assert time.monotonic() - stopped < 5
    assert await state(database, stuck) == "sending"  # its lease will run out


async def test_journal_rows_get_their_position_within_a_second_or_so(database: Database, empty: None) -> None:
    async with working(database, {}):
        async with database.transaction() as session:
            await journal.record(session, "test.row", at=datetime.now(UTC), actor_kind="system", subject="worker")

        async def numbered() -> bool:
            statement = (
                select(JournalPosition.position)
                .join(Journal, col(Journal.id) == col(JournalPosition.journal_id))
                .where(Journal.subject == "worker")
            )
            async with database.transaction() as session:
                return (await session.exec(statement)).first() is not None

        await until(numbered)


async def test_every_duty_runs_by_the_clock_it_is_given(database: Database, empty: None) -> None:
    night = datetime(2026, 3, 2, 19, 14, 59, tzinfo=UTC)  # 02:14:59 local: reconcile is due in a second
    started = time.monotonic()

    def clock() -> datetime:
        return night + timedelta(seconds=time.monotonic() - started) * 10

    async with working(database, {}, clock):

        async def all_ran() -> bool:
            async with database.transaction() as session:
                duties = (await session.exec(select(Duty))).all()
            assert [(duty.name, duty.last_error) for duty in duties if duty.last_error] == []
            return {duty.name for duty in duties} == DUTIES and all(
                duty.run_at and duty.run_at > night.replace(minute=15, second=0) for duty in duties
            )

        await until(all_ran)
    async with database.transaction() as session:
        (reconcile,) = (await session.exec(select(Duty).where(Duty.name == "ioc.reconcile"))).all()
    assert reconcile.run_at == datetime(2026, 3, 3, 19, 15, tzinfo=UTC)  # tomorrow night


async def test_a_database_that_goes_away_is_waited_for(database: Database, empty: None) -> None:
    async with working(database, {"web": Portal("web")}):
        for _ in range(3):
            owner = await asyncpg.connect(database.dsn)
            await owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await owner.close()
            await asyncio.sleep(0.2)
        subject = await put(database)

        async def sent() -> bool:
            return await state(database, subject) == "sent"

        await until(sent)


@pytest.mark.parametrize(
    ("at", "night"),
    [
        (datetime(2026, 3, 2, 19, 14, tzinfo=UTC), datetime(2026, 3, 2, 19, 15, tzinfo=UTC)),  # 02:14 local
        (datetime(2026, 3, 2, 19, 15, tzinfo=UTC), datetime(2026, 3, 3, 19, 15, tzinfo=UTC)),  # 02:15: tomorrow's
        (datetime(2026, 3, 2, 3, 0, tzinfo=UTC), datetime(2026, 3, 2, 19, 15, tzinfo=UTC)),  # 10:00: tonight's
    ],
)
async def test_night_is_local(database: Database, at: datetime, night: datetime) -> None:
    one = worker.Worker(Settings(), database, {}, asyncio.Event(), worker.now)
    assert one.next_night(at) == night
