"""What /metrics tells the operator about work that stands still."""

import re
from datetime import UTC, datetime

from fastapi import FastAPI
from httpx import AsyncClient

from core import journal
from tests.conftest import run_sql
from tests.factories import settle, state

AT = datetime(2026, 3, 3, 1, 15, tzinfo=UTC)
PRESENT = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint"


async def behind(client: AsyncClient) -> float:
    found = re.search(r"^hotline_journal_behind (\S+)$", (await client.get("/metrics")).text, re.MULTILINE)
    assert found
    return float(found[1])


async def happen(app: FastAPI, times: int) -> None:
    for _ in range(times):
        async with state(app).database.transaction() as session:
            await journal.record(session, "test", at=AT, actor_kind="system")


async def test_rows_without_a_position_and_positions_without_figures_are_behind(
    app: FastAPI, client: AsyncClient
) -> None:
    await settle(app)
    assert await behind(client) == 0
    await happen(app, 3)
    assert await behind(client) == 3
    async with state(app).database.transaction() as session:
        assert await journal.number_positions(session) == 3
    await happen(app, 2)
    assert await behind(client) == 5
    await settle(app)
    assert await behind(client) == 0


async def test_a_journal_that_cannot_be_numbered_is_behind(
    app: FastAPI, client: AsyncClient, database_url: str
) -> None:
    await settle(app)
    await run_sql(database_url, f"UPDATE journal_cursor SET boundary = ({PRESENT} + 1000000)::text::xid8")
    await happen(app, 2)
    assert await behind(client) == 2
    await run_sql(database_url, f"UPDATE journal_cursor SET boundary = ({PRESENT} - 2)::text::xid8")


async def test_a_row_that_commits_after_a_later_one_was_numbered_is_behind(app: FastAPI, client: AsyncClient) -> None:
    await settle(app)
    database = state(app).database
    async with database.transaction() as slow:
        await journal.record(slow, "test.slow", at=AT, actor_kind="system")
        await slow.flush()
        await happen(app, 1)
        async with database.transaction() as session:
            assert await journal.number_positions(session) == 0  # the slow one holds back what came after it
        assert await behind(client) == 1
    assert await behind(client) == 2
    await settle(app)
    assert await behind(client) == 0
