"""Installing and restoring without a superuser: the application can take on its role, or a sentence says why not."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text

import migrations
from core.backup import BackupError, backup, restore
from core.db import APP_ROLE, Database
from core.postgres import Cluster

SYSTEM = Path("/usr/lib/postgresql/15/bin")
AT = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
SERVERS = [
    pytest.param(None, id="the wheel's"),
    pytest.param(
        SYSTEM,
        id="15",
        marks=pytest.mark.skipif(not SYSTEM.exists(), reason="PostgreSQL 15 of the system is not installed"),
    ),
]


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server of this module's own, since roles belong to a server and not to a database."""
    with Cluster(tmp_path_factory.mktemp("roles") / "data", binaries=request.param) as made:
        yield made


async def as_superuser(server: Cluster, *statements: str) -> None:
    connection = await asyncpg.connect(**server.connect_args())
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def empty(server: Cluster) -> None:
    """No databases and roles but the server's own."""
    await as_superuser(
        server,
        "DROP DATABASE IF EXISTS town",
        "DROP DATABASE IF EXISTS village",
        *(f"DROP ROLE IF EXISTS {role}" for role in (APP_ROLE, "townsman", "villager")),
    )


async def an_account(server: Cluster, name: str, database: str, rights: str = "") -> str:
    """Address of a new database as its owner, who is not a superuser."""
    await as_superuser(
        server, f"CREATE ROLE {name} LOGIN PASSWORD 'x' {rights}", f"CREATE DATABASE {database} OWNER {name}"
    )
    return f"postgresql://{name}:x@/{database}?host={server.socket_dir}"


async def migrated(url: str) -> None:
    await asyncio.to_thread(migrations.upgrade, url)


async def works(url: str) -> bool:
    """Whether the application gets in, as the role that owns nothing."""
    database = Database(url, pool=1)
    try:
        async with database.transaction() as session:
            return bool(await session.scalar(text("SELECT current_user = 'hotline_app' FROM journal_cursor")))
    finally:
        await database.close()


@pytest.mark.usefixtures("empty")
async def test_an_account_that_may_create_roles_makes_it_and_may_use_it(server: Cluster) -> None:
    url = await an_account(server, "townsman", "town", "CREATEROLE")
    await migrated(url)
    assert await works(url)


@pytest.mark.usefixtures("empty")
async def test_an_account_that_may_not_uses_what_a_superuser_made(server: Cluster) -> None:
    url = await an_account(server, "townsman", "town")
    await as_superuser(server, "CREATE ROLE hotline_app NOLOGIN", "GRANT hotline_app TO townsman")
    await migrated(url)
    assert await works(url)


@pytest.mark.usefixtures("empty")
async def test_without_the_role_it_says_what_a_superuser_does(server: Cluster) -> None:
    url = await an_account(server, "townsman", "town")
    with pytest.raises(
        migrations.Refused, match=r"^This account may not create.*NOLOGIN; GRANT hotline_app TO townsman;"
    ):
        await migrated(url)


@pytest.mark.usefixtures("empty")
async def test_with_a_role_it_was_never_granted_it_says_so(server: Cluster) -> None:
    url = await an_account(server, "townsman", "town")
    await as_superuser(server, "CREATE ROLE hotline_app NOLOGIN")
    with pytest.raises(migrations.Refused, match=r"^This account may not work.*GRANT hotline_app TO townsman;"):
        await migrated(url)


@pytest.mark.usefixtures("empty")
async def test_a_backup_comes_back_to_an_account_that_may_create_roles(server: Cluster, tmp_path: Path) -> None:
    old = await an_account(server, "townsman", "town", "CREATEROLE")
    await migrated(old)
    backup(old, tmp_path / "saved", at=AT, files_dir=None, secret_key=None)
    await as_superuser(server, "DROP DATABASE town", "DROP ROLE townsman", "DROP ROLE hotline_app")
    new = await an_account(server, "villager", "village", "CREATEROLE")
    restore(new, tmp_path / "saved", files_dir=None, secret_key=None)
    assert await works(new)


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    ("before", "said"),
    [
        ((), "CREATE ROLE hotline_app NOLOGIN; GRANT hotline_app TO villager;"),
        (("CREATE ROLE hotline_app NOLOGIN",), "may not work as hotline_app.*GRANT hotline_app TO villager;"),
    ],
)
async def test_a_restore_that_could_not_be_used_is_refused_in_a_sentence(
    server: Cluster, tmp_path: Path, before: tuple[str, ...], said: str
) -> None:
    old = await an_account(server, "townsman", "town", "CREATEROLE")
    await migrated(old)
    backup(old, tmp_path / "saved", at=AT, files_dir=None, secret_key=None)
    await as_superuser(server, "DROP DATABASE town", "DROP ROLE townsman", "DROP ROLE hotline_app", *before)
    new = await an_account(server, "villager", "village")
    with pytest.raises(BackupError, match=said):
        restore(new, tmp_path / "saved", files_dir=None, secret_key=None)
