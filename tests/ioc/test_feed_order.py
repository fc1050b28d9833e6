"""The feed under fire: twenty writers, one of them slow, a reader killed at random; every event once and in order."""

import asyncio
import os
import sys
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.journal import number_positions, record
from tests.ioc.feed_reader import pages
from tests.ioc.histories import START

WRITERS, COMMITS, KILLS = 20, 25, 5
SLOW = 0  # this writer keeps its transaction open long after others with later numbers have committed
ROOT = Path(__file__).parents[2]


async def write(database: Database, writer: int, commits: int) -> None:
    random = Random(writer)
    for n in range(commits):
        try:
            async with database.transaction() as session:
                for part in range(random.randint(1, 3)):
                    await record(
                        session,
                        "case.note",
                        at=START,
                        actor_kind="system",
                        case_id=UUID(int=writer),
                        restricted=random.random() < 0.1,
                        data={"code": f"BP-26-{writer:07d}", "writer": writer, "n": n * 10 + part},
                    )
                    await session.flush()
                    await asyncio.sleep(random.random() * (0.5 if writer == SLOW else 0.03))
                if random.random() < 0.1:
                    raise InterruptedError  # rolled back: its numbers stay unused
        except InterruptedError:
            pass


async def number(database: Database, done: asyncio.Event) -> None:
    while True:
        last = done.is_set()
        async with database.transaction() as session:
            await number_positions(session)
        if last:
            return
        await asyncio.sleep(0.01)


async def read_and_be_killed(kept: Path, url: str, done: asyncio.Event, horizon: list[int]) -> int:
    """Keep a reader running until it has read up to the horizon; returns how often it was killed before."""
    random, kills = Random(7), 0
    while True:
        reader = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.ioc.feed_reader", str(kept), cwd=ROOT, env={**os.environ, "FEED_DATABASE": url}
        )
        try:
            before = len(pages(kept))
            while len(pages(kept)) < before + random.randint(1, 8):  # it is killed in the middle of reading
                if done.is_set() and horizon and pages(kept)[-1:] and pages(kept)[-1]["next_after"] >= horizon[0]:
                    return kills
                await asyncio.sleep(0.02)
        finally:
            reader.kill()
            await reader.wait()
        kills += 1


async def run(database: Database, url: str, kept: Path, commits: int) -> int:
    done, horizon = asyncio.Event(), list[int]()
    reading = asyncio.create_task(read_and_be_killed(kept, url, done, horizon))
    numbering = asyncio.create_task(number(database, done))
    await asyncio.gather(*(write(database, writer, commits) for writer in range(WRITERS)))
    done.set()
    await numbering
    async with database.transaction() as session:
        horizon.append((await session.execute(text("SELECT max(position) FROM journal_positions"))).scalar_one())
    return await asyncio.wait_for(reading, 60)


async def check(database: Database, kept: Path) -> None:
    async with database.transaction() as session:
        rows = await session.execute(
            text("SELECT id, restricted, data ->> 'writer' AS writer, data ->> 'n' AS n FROM journal ORDER BY id")
        )
        written = [(row.id, int(row.writer), int(row.n)) for row in rows if not row.restricted]
    read = [item for page in pages(kept) for item in page["items"]]
    assert sorted(item[1] for item in read) == [row[0] for row in written], "every event, and once"
    positions = [item[0] for item in read]
    assert positions == sorted(set(positions)), "in order"
    for writer in range(WRITERS):
        assert [item[3] for item in read if item[2] == writer] == [row[2] for row in written if row[1] == writer]
    assert [item[1] for item in read] != sorted(item[1] for item in read), "no late commit put this to the test"


async def test_a_killed_reader_sees_every_event_once_and_in_order(empty: Database, database_url: str, tmp_path: Path):
    kept = tmp_path / "pages"
    kills = await run(empty, database_url, kept, COMMITS)
    await check(empty, kept)
    assert kills >= 1


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_a_reader_killed_many_times_sees_every_event_once_and_in_order(
    empty: Database, database_url: str, tmp_path: Path
):
    kept = tmp_path / "pages"
    kills = await run(empty, database_url, kept, COMMITS * 12)
    await check(empty, kept)
    assert kills >= KILLS
