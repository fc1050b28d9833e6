"""Two real workers tell, take upwards and post; one is shot in the middle of a transaction: everything is told once."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from bench import notices as bench
from core.db import Database
from tests.running import PATIENCE, TOP

PEOPLE = 80  # five of them on duty in the unit that owes it all
LATE = timedelta(days=20)  # every step of the ladder is over by now, whatever holidays there were
# What is held back → the statement at which a worker stands still in the middle of its transaction.
IN_THE_MIDDLE = {
    "notices": "LOCK TABLE notice_ways IN SHARE MODE",
    "upwards": "LOCK TABLE escalations IN SHARE MODE",
}


@contextmanager
def worker(folder: Path, database_url: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker process of its own, gone afterwards."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("HOTLINE_")}
    ours = {"HOTLINE_DATA_DIR": str(folder), "HOTLINE_DATABASE_URL": database_url, "HOTLINE_SECRET_KEY": "k" * 40}
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, TOP / "main.py", "worker", "--demo"], cwd=folder, env=plain | ours, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def until(connection: Any, question: str, what: str) -> None:
    """Wait for the database to say yes."""
    end = datetime.now(UTC) + timedelta(seconds=PATIENCE)
    while not await connection.fetchval(question):
        assert datetime.now(UTC) < end, what
        await connection.execute("SELECT pg_sleep(0.05)")


LISTENING = (
    "SELECT count(*) = {n} FROM pg_stat_activity WHERE application_name = 'hotline-listen' "
    "AND datname = current_database()"
)
STANDS = (
    "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'hotline-worker' "
    "AND datname = current_database() AND wait_event_type = 'Lock'"
)
DONE = """
    SELECT (SELECT count(*) FROM limits WHERE next_at IS NOT NULL) = 0
       AND (SELECT count(*) FROM escalations_due) = 0
       AND (SELECT max(id) FROM journal) = (SELECT journal_id FROM journal_positions ORDER BY position DESC LIMIT 1)
       AND (SELECT position FROM notice_cursor) = (SELECT max(position) FROM journal_positions)
       AND (SELECT count(*) FROM escalations) = 3 * (SELECT count(*) FROM limits)
       AND (SELECT count(*) FROM notice_ways WHERE next_at <= now()) = 0
"""
# Of each thing that the journal says of a limit: how often it says it, and to how many different people it was told.
TOLD = """
    WITH said AS (
        SELECT j.id, 0 AS part, j.data ->> 'limit' AS about, j.kind || (j.data ->> 'step') AS what, 1 AS people
        FROM journal j WHERE j.kind = 'limit.escalated'
        UNION ALL
        SELECT j.id, op.n - 1, op.value ->> 'id', j.kind || coalesce(op.value ->> 'percent', ''),
               CASE op.value ->> 'holder' WHEN 'so-xd' THEN 5 ELSE 1 END
        FROM journal j, jsonb_array_elements(j.data -> 'limits') WITH ORDINALITY op (value, n)
        WHERE j.kind IN ('limit.reminded', 'limit.breached')
    )
    SELECT what, count(*) AS times, count(DISTINCT about) AS limits,
           count(*) FILTER (WHERE told = people AND rows = people) AS right
    FROM (SELECT s.*, (SELECT count(*) FROM notices n WHERE n.cause = s.id AND n.part = s.part) AS rows,
                 (SELECT count(DISTINCT staff_id) FROM notices n WHERE n.cause = s.id AND n.part = s.part) AS told
          FROM said s) counted
    GROUP BY what ORDER BY what
"""


async def story(folder: Path, database: Database, database_url: str, cases: int, *middles: str) -> None:
    """Workers are shot one after the other, each where it stands; the last one does what is left."""
    dsn = database_url.replace("postgresql+asyncpg://", "postgresql://")
    await bench.fill(database, dsn, cases, PEOPLE, datetime.now(UTC) - LATE)
    looking, holding = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    gates = [holding] + [await asyncpg.connect(dsn) for _ in middles[1:]]
    held = []
    try:
        for gate, middle in zip(gates, middles, strict=True):
            transaction = gate.transaction()
            await transaction.start()
            await gate.execute(IN_THE_MIDDLE[middle])
            held.append(transaction)
        with ExitStack() as stack:
            present = stack.enter_context(worker(folder, database_url))
            for middle, transaction in zip(middles, held, strict=True):
                await until(looking, STANDS, f"a worker in the middle of {middle}")
                following = stack.enter_context(worker(folder, database_url))
                await until(looking, LISTENING.format(n=2), "a second worker")
                os.kill(present.pid, signal.SIGKILL)
                present.wait()
                await transaction.rollback()
                present = following
            await until(looking, DONE, "everything told")
        rows = [tuple(row) for row in await looking.fetch(TOLD)]
        limits = await looking.fetchval("SELECT count(*) FROM limits")
        letters = await looking.fetch("SELECT subject_id FROM outgoing WHERE purpose = 'unit.notices'")
    finally:
        for each in {looking, *gates}:
            await each.close()
    assert {row[0] for row in rows} >= {
        "limit.reminded50", "limit.reminded80", "limit.breached",
        "limit.escalated1", "limit.escalated2", "limit.escalated3",
    }  # fmt: skip
    for what, times, about, right in rows:
        assert times == about == right, what
    assert {row[0]: row[1] for row in rows}["limit.breached"] == limits
    assert len(letters) == len({row["subject_id"] for row in letters}) == 7  # one each within ten minutes


async def test_a_worker_killed_while_it_tells_leaves_nothing_untold_and_nothing_twice(
    tmp_path: Path, database: Database, database_url: str
) -> None:
    await story(tmp_path, database, database_url, 60, "notices")


@pytest.mark.soak
async def test_workers_killed_while_they_tell_and_take_upwards(
    tmp_path: Path, database: Database, database_url: str
) -> None:
    await story(tmp_path, database, database_url, 5_000, "notices", "upwards")
