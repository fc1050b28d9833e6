"""A database whose journal, figures and cases are empty, for every test of figures."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from core.db import Database

EMPTY = """
    SET session_replication_role = replica;
    TRUNCATE journal, journal_positions, figures, figure_months, figure_cases, limits, cases CASCADE;
    UPDATE journal_cursor SET boundary = pg_snapshot_xmin(pg_current_snapshot()), floor_id = 0;
    UPDATE figure_cursor SET position = 0, reconciled_at = NULL, reconciled_position = NULL, differences = NULL;
"""


@pytest.fixture
async def empty(database_url: str) -> AsyncIterator[Database]:
    """The database as its application, with nothing yet written; the owner alone can make it so."""
    owner = await asyncpg.connect(database_url)
    await owner.execute(EMPTY)
    await owner.close()
    database = Database(database_url, pool=24)
    yield database
    await database.close()
