"""One PostgreSQL server a session, one migrated and seeded template, a fresh copy of it for every test module.

HOTLINE_TEST_DATABASE_URL runs the same tests on another server, such as Debian's PostgreSQL 15.
"""

import asyncio
import os
import socket
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

import migrations
from core.db import Database
from core.postgres import Cluster
from routing import commands as routing_commands

SEEDED_AT = datetime(2026, 1, 5, 1, 0, tzinfo=UTC)


@pytest.fixture(scope="session", autouse=True)
def only_loopback() -> Iterator[None]:
    """No test leaves this machine."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0])  # type: ignore[index]
            if host not in ("127.0.0.1", "::1", "localhost"):
                raise OSError(f"tests may not connect to {host}")
        real(self, address)  # type: ignore[arg-type]

    socket.socket.connect = connect  # type: ignore[method-assign, assignment]
    yield
    socket.socket.connect = real  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a running server's own database, as its owner."""
    given = os.environ.get("HOTLINE_TEST_DATABASE_URL")
    if given:
        yield given
        return
    with Cluster(tmp_path_factory.mktemp("server")) as cluster:
        yield cluster.url.replace("postgresql+asyncpg://", "postgresql://")


def at_database(url: str, name: str) -> str:
    """The same server's database of that name."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def run_sql(url: str, *statements: str) -> None:
    """Statements outside a transaction, as the owner."""
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    """Name of a migrated database holding the province that is shipped."""
    name = f"template_{uuid.uuid4().hex[:8]}"
    url = at_database(server_url, name)
    asyncio.run(run_sql(server_url, f"CREATE DATABASE {name}"))
    migrations.upgrade(url)

    async def seed() -> None:
        database = Database(url)
        async with database.transaction() as session:
            await routing_commands.seed(session, SEEDED_AT)
        await database.close()

    asyncio.run(seed())
    return name


@pytest.fixture(scope="module")
def database_url(server_url: str, template: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of this module's own, as the owner of its tables."""
    name = f"t_{Path(request.module.__file__ or 'x').stem}_{uuid.uuid4().hex[:6]}"
    asyncio.run(run_sql(server_url, f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield at_database(server_url, name)
    asyncio.run(run_sql(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The application's own way into this module's database."""
    made = Database(database_url, pool=8)
    yield made
    await made.close()
