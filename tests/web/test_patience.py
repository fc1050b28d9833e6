"""A statement that takes too long is ended by the server, and whoever asked is told in words to try again."""

from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import text

from core.db import Database
from web import problems


@pytest.fixture
async def hasty(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url, pool=1, patience=0.2)
    yield made
    await made.close()


@pytest.mark.parametrize("way", ["session", "pool"])
async def test_a_statement_that_takes_too_long_is_answered_in_words(hasty: Database, way: str) -> None:
    app = FastAPI()
    app.state.hotline = SimpleNamespace(settings=SimpleNamespace(language="vi"))
    problems.install(app)

    @app.get("/api/v1/slow")
    async def slow() -> None:
        if way == "pool":
            await (await hasty.pool()).execute("SELECT pg_sleep(20)")
        async with hasty.transaction() as session:
            await session.execute(text("SELECT pg_sleep(20)"))

    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        answer = await client.get("/api/v1/slow")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "tạm gián đoạn" in answer.json()["detail"]
    async with hasty.transaction() as session:  # the connection is good for the next one
        assert await session.scalar(text("SELECT 1")) == 1


async def test_without_a_bound_statements_take_as_long_as_they_do(database: Database) -> None:
    async with database.transaction() as session:
        assert await session.scalar(text("SHOW statement_timeout")) == "0"
