"""Numbering the journal on another server than the one that wrote it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from core import journal
from core.backup import BackupError, backup, restore
from core.db import Database
from tests.conftest import at_database, run_sql

AT = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
# As if the server that wrote it had been at work for years.
FAR_ON = """
    UPDATE journal_cursor
    SET boundary = (pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 1000000)::text::xid8
"""


async def happens(database: Database, kind: str) -> None:
    async with database.transaction() as session:
        await journal.record(session, kind, at=AT, actor_kind="system")


async def number(database: Database) -> int:
    async with database.transaction() as session:
        return await journal.number_positions(session)


async def order(database: Database) -> list[tuple[int, str]]:
    async with database.transaction() as session:
        rows = await session.execute(
            text(
                "SELECT position, kind FROM journal_positions p JOIN journal j ON j.id = p.journal_id "
                "WHERE kind LIKE 'test.%' ORDER BY position"
            )
        )
        return [(row.position, row.kind) for row in rows]


@pytest.fixture
async def target(server_url: str) -> AsyncIterator[str]:
    """Address of an empty database."""
    await run_sql(server_url, "DROP DATABASE IF EXISTS restored WITH (FORCE)", "CREATE DATABASE restored")
    yield at_database(server_url, "restored")
    await run_sql(server_url, "DROP DATABASE restored WITH (FORCE)")


@pytest.fixture
async def saved(database: Database, database_url: str, tmp_path: Path) -> Path:
    """A backup with one numbered row and one without a number, from a server that was far on."""
    await number(database)
    await happens(database, "test.first")
    await number(database)
    await happens(database, "test.second")
    await run_sql(database_url, FAR_ON)
    backup(database_url, tmp_path / "saved", at=AT, files_dir=None, secret_key=None)
    await run_sql(database_url, "UPDATE journal_cursor SET boundary = pg_snapshot_xmin(pg_current_snapshot())")
    return tmp_path / "saved"


async def test_what_a_backup_brought_is_numbered_by_the_time_it_is_there_and_numbering_goes_on(
    saved: Path, target: str
) -> None:
    await asyncio.to_thread(
        restore, target, saved, files_dir=None, secret_key=None, finish_sql=journal.NUMBER_AFTER_RESTORE
    )
    database = Database(target, pool=1)
    try:
        before = await order(database)
        assert [kind for _, kind in before] == ["test.first", "test.second"]
        assert await number(database) == 0
        await happens(database, "test.third")
        assert await number(database) == 1
        assert await order(database) == [*before, (before[-1][0] + 1, "test.third")]
    finally:
        await database.close()


async def test_a_restore_that_cannot_be_finished_leaves_nothing(saved: Path, target: str, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"nothing was kept.*division by zero"):
        restore(target, saved, files_dir=None, secret_key=None, finish_sql="SELECT 1 / 0")
    restore(target, saved, files_dir=None, secret_key=None, finish_sql=journal.NUMBER_AFTER_RESTORE)


async def test_positions_of_another_server_are_an_error_and_not_a_silence(
    database: Database, database_url: str
) -> None:
    await number(database)
    await run_sql(database_url, FAR_ON)
    await happens(database, "test.unseen")
    with pytest.raises(journal.ForeignBoundary, match="another server"):
        await number(database)
    await run_sql(database_url, "UPDATE journal_cursor SET boundary = '3'::xid8")
