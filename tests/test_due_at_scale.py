"""Everything falls due at once, and a worker is killed over it: each reminder and breach is written exactly once."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import asyncpg
import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlmodel import col, select

from bench import due as bench
from cases import due_work
from core.db import Database
from core.journal import Journal
from routing.queries import Routing, load
from tests.factories import Clock, a_report
from tests.web.conftest import app, client, clock

__all__ = ["app", "client", "clock"]

CASES = 60


class Died(Exception):
    """A worker's end before its commit."""


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_workers_that_share_and_die_write_every_turn_once(
    app: FastAPI, client: AsyncClient, clock: Clock, database: Database, database_url: str, seed: int
) -> None:
    await a_report(client)
    chance = random.Random(seed)
    first = clock() + timedelta(minutes=bench.MINUTES)
    owner = await asyncpg.connect(database_url)
    await owner.execute("DELETE FROM limits")
    await owner.execute("DELETE FROM cases WHERE code LIKE 'BP-00-%'")
    before: int = await owner.fetchval("SELECT coalesce(max(id), 0) FROM journal")
    await bench.fill(owner, CASES, first, 30)
    await owner.close()
    async with database.transaction() as session:
        routing = await load(session)
    deaths, rounds = 0, count()
    for _ in range(12):
        clock.move(seconds=chance.choice((5, 30, 60, 90)))
        ends = await asyncio.gather(
            *(worker(database, routing, clock, chance.randint(1, 40), rounds) for _ in range(4))
        )
        deaths += sum(ends)
    clock.move(minutes=bench.MINUTES)
    await worker(database, routing, clock, due_work.BATCH, None)
    async with database.transaction() as session:
        rows = (
            await session.exec(
                select(Journal).where(col(Journal.id) > before, col(Journal.kind).like("limit.%")).order_by(Journal.id)  # type: ignore[arg-type]
            )
        ).all()
    turns = Counter((op["id"], op["op"], op.get("percent")) for row in rows for op in row.data["limits"])
    assert len(turns) == CASES * 3
    assert set(turns.values()) == {1}
    assert deaths > 0
    order: dict[str, list[int]] = {}
    for row in rows:
        for op in row.data["limits"]:
            order.setdefault(op["id"], []).append(op.get("percent", 100))
    assert all(percents == [50, 80, 100] for percents in order.values())


async def worker(database: Database, routing: Routing, clock: Clock, batch: int, rounds: Iterator[int] | None) -> int:
    """Rounds until nothing is left to take; how often it died, in every third round of all. None: it does not."""
    died = 0
    while True:
        try:
            async with database.transaction() as session:
                found = await due_work.run_due(session, routing, clock(), batch)
                await asyncio.sleep(0)
                if rounds is not None and found and next(rounds) % 3 == 0:
                    raise Died
        except Died:
            died += 1
            continue
        if found < batch:
            return died


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("spread", [0, 60], ids=["all in one instant", "over a minute"])
def test_a_killed_worker_leaves_nothing_undone_and_nothing_twice(spread: int) -> None:
    words = ["--cases", "10000", "--spread", str(spread)]
    result = bench.measure(bench.arguments(words))
    print(bench.told(result))
    assert result["ok"], result
    assert result["intake"]["reports"] > 100
