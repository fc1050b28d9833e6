"""`kill -9` of workers at any line: on a channel that does not recognise repetitions no message leaves twice."""

import asyncio
import json
import multiprocessing
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import delete
from sqlmodel import select

from channels import outbox
from channels.console import ConsoleChannel
from channels.message import Address
from channels.models import DeliveryAttempt, Outgoing, OutgoingPart
from core.db import Database
from core.ids import uuid7
from tests.channels import delivering

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.channels.delivering"])
PURPOSES = ("case.reply", "receipt")


@pytest.fixture(autouse=True)
async def empty(database: Database) -> AsyncIterator[None]:
    async def wipe() -> None:
        async with database.transaction() as session:
            for table in (DeliveryAttempt, OutgoingPart, Outgoing):
                await session.execute(delete(table))

    await wipe()
    yield
    await wipe()


async def queue(database: Database, amount: int) -> None:
    at = datetime.now(UTC)
    async with database.transaction() as session:
        for number in range(amount):
            await outbox.enqueue(
                session,
                subject_id=uuid7(at),
                entry_id=uuid7(at),
                purpose=PURPOSES[number % 2],
                to=Address("zalo", f"z-{number}"),
                channel="zalo",
                text="Chào chị",
                reference="BP-26-0482134",
                at=at,
            )


class Worker:
    """A process forked from one that has imported everything already, so that many can be killed in little time."""

    def __init__(self, database: Database, file: Path, *, ahead: float = 0, step: int | None = None) -> None:
        self.told, tell = FORKS.Pipe(duplex=False)
        self.process = FORKS.Process(target=delivering.run, args=(database.dsn, str(file), ahead, step, tell))
        self.process.start()
        tell.close()

    async def hear(self) -> int:
        """What it says next; EOFError when it died first."""
        return int(await asyncio.to_thread(self.told.recv))

    async def end(self, *, kill: bool) -> int | None:
        """Its exit code."""
        if kill:
            self.process.kill()
        await asyncio.to_thread(self.process.join)
        self.told.close()
        return self.process.exitcode


async def finish_up(database: Database, file: Path) -> None:
    """A healthy worker comes when every lease has run out."""

    async def on_sent(session: object, outgoing: Outgoing, at: datetime) -> None:
        pass

    channels = {"zalo": ConsoleChannel("zalo", file)}
    later = datetime.now(UTC) + timedelta(days=2)
    async with asyncio.timeout(60):
        while await anything_due(database, later):  # the server may still hold a dead worker's rows for a moment
            await outbox.deliver_due(database, channels, later, on_sent=on_sent)


async def anything_due(database: Database, at: datetime) -> bool:
    async with database.transaction() as session:
        return bool(await outbox.due_channels(session, at))


async def fates(database: Database) -> dict[UUID, tuple[str, str]]:
    async with database.transaction() as session:
        rows = (await session.exec(select(Outgoing.id, Outgoing.purpose, Outgoing.state, Outgoing.run_at))).all()
    assert [row for row in rows if row[3] is not None] == []
    return {row[0]: (row[1], row[2]) for row in rows}


def written(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


async def check(database: Database, file: Path, amount: int) -> Counter[str]:
    """Every message at most once in the file, every one accounted for; how many ended in which state."""
    lines = Counter(UUID(json.loads(line)["id"]) for line in written(file))
    assert [id for id, times in lines.items() if times > 1] == []
    fate = await fates(database)
    assert len(fate) == amount
    for id, (purpose, state) in fate.items():
        assert state in ("sent", "dropped" if purpose == "receipt" else "unknown"), (id, purpose, state)
        assert state != "sent" or lines[id] == 1, f"{id} is called sent and did not leave"
    return Counter(state for _, state in fate.values())


async def steps_of_a_run(database: Database, file: Path) -> int:
    await queue(database, 6)
    worker = Worker(database, file, step=0)
    await worker.hear()
    steps = await worker.hear()
    assert await worker.end(kill=False) == 0
    return steps


async def killed_at(database: Database, folder: Path, step: int) -> Counter[str]:
    file = folder / f"died-at-{step}.jsonl"
    async with database.transaction() as session:
        await session.execute(delete(DeliveryAttempt))
        await session.execute(delete(OutgoingPart))
        await session.execute(delete(Outgoing))
    await queue(database, 6)
    worker = Worker(database, file, step=step)
    assert await worker.end(kill=False) in (-signal.SIGKILL, 0)  # 0: this run took fewer steps
    await finish_up(database, file)
    return await check(database, file, 6)


async def test_a_worker_killed_at_any_of_its_steps_sends_nothing_twice(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "would-send.jsonl"
    steps = await steps_of_a_run(database, file)
    assert (await check(database, file, 6)) == {"sent": 6}
    fates: Counter[str] = Counter()
    for nth in range(8):
        fates += await killed_at(database, tmp_path, 1 + nth * steps // 8)
    assert fates["unknown"]  # otherwise the deaths came where they do no harm
    assert fates["sent"]


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_a_worker_killed_at_each_of_its_steps_sends_nothing_twice(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "would-send.jsonl"
    steps = await steps_of_a_run(database, file)
    for step in range(1, steps + 1):
        await killed_at(database, tmp_path, step)


async def several_workers_killed(database: Database, file: Path, rounds: int, amount: int) -> Counter[str]:
    """Two at a time on the same rows, one of them living ahead of the other's leases, killed under load."""
    await queue(database, amount)
    for _ in range(rounds):
        both = [Worker(database, file), Worker(database, file, ahead=90)]
        await asyncio.gather(*(worker.hear() for worker in both))
        await asyncio.sleep(random.uniform(0.02, 0.25))
        for worker in both:
            assert await worker.end(kill=True) == -signal.SIGKILL
    await finish_up(database, file)
    return await check(database, file, amount)


async def test_workers_killed_at_random_send_nothing_twice(database: Database, tmp_path: Path) -> None:
    fates = await several_workers_killed(database, tmp_path / "would-send.jsonl", rounds=5, amount=250)
    assert fates["sent"]


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_workers_killed_at_random_for_long_send_nothing_twice(database: Database, tmp_path: Path) -> None:
    fates = await several_workers_killed(database, tmp_path / "would-send.jsonl", rounds=50, amount=4000)
    assert fates["sent"]
    assert fates["unknown"]
