"""Backup into a folder and back: the database by pg_dump, attachments, and checksums of both. Blocking functions."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from core.postgres import candidates, version_of

DUMP = "hotline.dump"
FILES = "files"
MANIFEST = "manifest.json"
SECRET_KEY = "secret_key"
FORMAT = 1
KEY_INCLUDED = "included"
KEY_ELSEWHERE = "not included: keep HOTLINE_SECRET_KEY with this backup, the tracking keys of citizens derive from it"

PSQL = ("--no-psqlrc", "--quiet")

# Of an address for asyncpg, what libpq understands too; it calls ssl= sslmode=.
LIBPQ_OPTIONS = {"host", "port", "sslmode", "sslrootcert", "sslcert", "sslkey", "target_session_attrs", "options"}

TABLES = """
    SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
"""
# Roles that appear in grants: a dump names them but does not create them.
ROLES = """
    SELECT DISTINCT rolname FROM pg_shdepend JOIN pg_roles ON pg_roles.oid = refobjid
    WHERE refclassid = 'pg_authid'::regclass AND deptype = 'a' AND rolname ~ '^[a-z][a-z0-9_]*$' AND rolname !~ '^pg_'
      AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) ORDER BY rolname
"""
# As in the migration that makes the role: granted always, since PostgreSQL 16 the maker of a role may not work as it.
MAKE_ROLE = """
    DO $$ BEGIN
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{role}') THEN
            BEGIN
                CREATE ROLE "{role}" NOLOGIN;
            EXCEPTION WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'This account may not create roles. As a superuser run once: '
                    'CREATE ROLE {role} NOLOGIN; GRANT {role} TO %;', current_user;
            END;
        END IF;
        BEGIN
            EXECUTE format('GRANT "{role}" TO %I', current_user);
        EXCEPTION WHEN insufficient_privilege THEN NULL;
        END;
        IF NOT pg_has_role(
            current_user, '{role}',
            CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END
        ) THEN
            RAISE EXCEPTION 'This account may not work as {role}. As a superuser run once: '
                'GRANT {role} TO %;', current_user;
        END IF;
    END $$
"""


class BackupError(Exception):
    """Backup or restore was not done. The message tells the operator why, and what to do."""


@dataclass(frozen=True)
class Manifest:
    """What a backup holds. `files` maps each path inside it to its SHA-256; `secret_key` is a sentence for people."""

    created_at: str
    postgres: str
    alembic_revision: str | None
    roles: list[str]
    secret_key: str
    files: dict[str, str]
    format: int = FORMAT


def backup(
    url: str,
    directory: Path,
    *,
    at: datetime,
    files_dir: Path | None,
    secret_key: Path | None,
    binaries: Path | None = None,
) -> Manifest:
    """Write a complete backup to `directory`, which must be absent or empty; nothing half-made ever has that name.

    `files_dir` is None when attachments are kept elsewhere. `secret_key` is the key file of an embedded installation,
    None when the key is a setting. Raises BackupError.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise BackupError(f"{directory} is not empty. Name a new folder for each backup.")
    client = _Client.reaching(url, binaries)
    directory.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        has_migrations = client.query("SELECT to_regclass('alembic_version') IS NOT NULL") == "t"
        revision = client.query("SELECT version_num FROM alembic_version") if has_migrations else None
        # The database first: a file is stored before the row that names it, so every row finds its file.
        client.run("pg_dump", "--format=custom", "--file", fresh / DUMP)
        if files_dir is not None:
            _copy_files(files_dir, fresh / FILES)
        if secret_key is not None:
            _copy_private(secret_key, fresh / SECRET_KEY)
        manifest = Manifest(
            created_at=at.isoformat(),
            postgres=client.query("SHOW server_version").split(" ")[0],
            alembic_revision=revision,
            roles=client.query(ROLES).split(),
            secret_key=KEY_ELSEWHERE if secret_key is None else KEY_INCLUDED,
            files=_checksums(fresh),
        )
        (fresh / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2, ensure_ascii=False) + "\n")
        _flush(fresh)
        fresh.rename(directory)
        _flush_one(directory.parent)
    except OSError as error:
        raise BackupError(f"The backup could not be written to {directory}: {error}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return manifest


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a backup whose every file is there and unchanged. Raises BackupError."""
    try:
        manifest = Manifest(**json.loads((directory / MANIFEST).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise BackupError(f"{directory} is not a backup: {MANIFEST} is missing or cannot be read.") from error
    if not all(re.fullmatch(r"[a-z][a-z0-9_]*", role) for role in manifest.roles):
        raise BackupError(f"{directory}: {MANIFEST} names a role that is none of ours.")
    if manifest.format != FORMAT:
        raise BackupError(f"{directory} has format {manifest.format}, this version reads format {FORMAT}.")
    found = _checksums(directory)
    wrong = sorted(path for path in found.keys() | manifest.files.keys() if found.get(path) != manifest.files.get(path))
    if wrong:
        raise BackupError(
            f"The backup in {directory} is damaged: {wrong[0]} ({len(wrong)} files in all) is missing, changed or"
            " unknown to its manifest. Nothing was restored."
        )
    return manifest


def restore(
    url: str,
    directory: Path,
    *,
    files_dir: Path | None,
    secret_key: Path | None,
    binaries: Path | None = None,
    finish_sql: str = "",
) -> Manifest:
    """Put a backup into an empty database and an empty `files_dir`; all of the database or nothing of it.

    An included secret key goes to `secret_key` (one that lies there is kept beside it under another name). `finish_sql`
    runs last in the transaction that loads the database: the caller numbers the journal there. Raises BackupError.
    """
    manifest = read_manifest(directory)
    client = _Client.reaching(url, binaries)
    if client.query(TABLES) != "0":
        raise BackupError("The database is not empty. Restore into a new DATA_DIR or a new, empty database.")
    if client.server_major < int(manifest.postgres.split(".")[0]):
        raise BackupError(
            f"The backup comes from PostgreSQL {manifest.postgres}, the database is version {client.server_major}."
            " Restore into the same or a newer version."
        )
    if files_dir is not None and files_dir.exists() and any(_files_of(files_dir)):
        raise BackupError(f"{files_dir} is not empty. Restore into a new DATA_DIR, or empty that folder.")
    with ExitStack() as undo:  # files and key come first: committed rows must find them, whenever we are killed
        try:
            if files_dir is not None and (directory / FILES).exists():
                undo.callback(_empty, files_dir)
                _copy_files(directory / FILES, files_dir)
                _flush(files_dir)
            if secret_key is not None and (directory / SECRET_KEY).exists():
                _replace_key(secret_key, directory / SECRET_KEY, undo)
            for role in manifest.roles:
                client.query(MAKE_ROLE.replace("{role}", role))
            client.load(directory / DUMP, finish_sql)
        except BaseException:
            if not client.is_empty():
                undo.pop_all()  # stopped after the commit, or nobody knows: rows may need them
            raise
        undo.pop_all()
    return manifest


@dataclass(frozen=True)
class _Client:
    """PostgreSQL's client programs, of a version that suits one server, and the way to that server."""

    programs: Path
    address: str
    password: str
    server_major: int = 0

    @classmethod
    def reaching(cls, url: str, binaries: Path | None) -> "_Client":
        """The oldest programs not older than the server, among those that reach it (one wheel's know no TLS)."""
        address, password = _libpq(url)
        reached, problem = [], "no pg_dump is installed"
        for programs in candidates(binaries, ("pg_dump", "pg_restore", "psql")):
            try:
                server = int(cls(programs, address, password).query("SHOW server_version_num")) // 10000
            except BackupError as error:
                problem = str(error)
                continue
            reached.append((int(version_of(programs, "pg_dump").split(".")[0]), programs, server))
        if not reached:
            raise BackupError(f"The database cannot be reached: {problem}.")
        suitable = [found for found in reached if found[0] >= found[2]]
        if not suitable:
            newest, _, server = max(reached)
            raise BackupError(
                f"The server is PostgreSQL {server}, the newest client programs here are {newest}."
                f" Install postgresql-client-{server}, or set HOTLINE_POSTGRES_BIN to its folder."
            )
        _, programs, server = min(suitable)
        return cls(programs, address, password, server)

    def is_empty(self) -> bool:
        """Whether the database is known to hold no tables."""
        with suppress(BackupError):
            return self.query(TABLES) == "0"
        return False

    def query(self, sql: str) -> str:
        return self.run("psql", *PSQL, "--tuples-only", "--no-align", "--command", sql).strip()

    def run(self, program: str, *words: str | Path) -> str:
        done = subprocess.run(self._command(program, *words), env=self._environment(), capture_output=True, text=True)
        if done.returncode != 0:
            raise BackupError(f"{program} failed: {_first_error(done.stderr)}")
        return done.stdout

    def load(self, dump: Path, finish_sql: str) -> None:
        """The dump and `finish_sql` as a script into psql, all or nothing.

        By itself, pg_restore 17 and newer sets what older servers refuse.
        """
        listed = self.run("pg_restore", "--list", dump).splitlines(keepends=True)
        ordinary = [line for line in listed if " DEFAULT ACL " not in line]
        grants = [line for line in listed if " DEFAULT ACL " in line]
        command = self._command("psql", *PSQL, "--set=ON_ERROR_STOP=1")
        with (
            tempfile.TemporaryFile() as said,
            subprocess.Popen(
                command, env=self._environment(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said
            ) as psql,
        ):
            assert psql.stdin is not None
            try:
                psql.stdin.write(b"BEGIN;\n")
                self._write_script(dump, ordinary, psql.stdin)
                self._write_script(dump, grants, psql.stdin)
                psql.stdin.write(f"RESET search_path;\n{finish_sql};\n".encode())  # the dump has set it to nothing
                psql.stdin.write(b"COMMIT;\n")  # whatever fails above, at the mere end of its input psql rolls back
            except BrokenPipeError:
                pass  # psql stopped at an error, and its exit status says so
            finally:
                with suppress(BrokenPipeError):
                    psql.stdin.close()
            if psql.wait() != 0:
                said.seek(0)
                error = _first_error(said.read().decode())
                raise BackupError(f"Restoring the database failed, nothing was kept: {error}")

    def _write_script(self, dump: Path, listed: list[str], out: IO[bytes]) -> None:
        """The SQL of the listed entries, without what belongs to the old server or owner."""
        with tempfile.NamedTemporaryFile("w") as entries:
            entries.writelines(listed)
            entries.flush()
            words = ("--no-owner", "--no-comments", "--use-list", entries.name, "--file=-", dump)
            with subprocess.Popen(self._command("pg_restore", *words), stdout=subprocess.PIPE) as script:
                assert script.stdout is not None
                for line in script.stdout:
                    if not line.startswith(b"SET transaction_timeout"):
                        out.write(line)
                    if line.startswith(b"-- Name:"):
                        break  # end of the settings
                if any(" DEFAULT ACL " in line for line in listed):
                    # They name who owned the tables there; here that is whoever restores.
                    out.write(re.sub(rb"(ALTER DEFAULT PRIVILEGES) FOR ROLE \S+", rb"\1", script.stdout.read()))
                else:
                    shutil.copyfileobj(script.stdout, out)
            if script.returncode != 0:
                raise BackupError(f"{dump} cannot be read by pg_restore. Nothing was kept.")

    def _command(self, program: str, *words: str | Path) -> list[str | Path]:
        needs_address = program != "pg_restore"  # ours only reads files
        return [self.programs / program, *([f"--dbname={self.address}"] if needs_address else []), *words]

    def _environment(self) -> dict[str, str]:
        """The password goes this way, since everybody on the machine can read the words of a command."""
        password = {"PGPASSWORD": self.password} if self.password else {}
        return os.environ | password | {"PGCONNECT_TIMEOUT": "10", "LC_ALL": "C", "PGCLIENTENCODING": "UTF8"}


def _libpq(url: str) -> tuple[str, str]:
    """An address as SQLAlchemy, asyncpg and we write it → one libpq understands, without the password; the password."""
    parts = urlsplit(url)
    user, _, place = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    options = [("sslmode" if key == "ssl" else key, value) for key, value in parse_qsl(parts.query)]
    query = urlencode([(key, value) for key, value in options if key in LIBPQ_OPTIONS])
    return f"postgresql://{name}@{place}{parts.path}?{query}", unquote(password)


def _files_of(folder: Path) -> Iterator[Path]:
    """Stored files; names with a dot in front are half-written, or small pictures that can be made again."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name) for name in names if not name.startswith("."))


def _copy_files(source: Path, target: Path) -> None:
    target.mkdir(0o700, parents=True, exist_ok=True)
    for path in _files_of(source):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # deleted by law while we copy
            shutil.copy2(path, copy)


def _empty(files_dir: Path) -> None:
    for path in _files_of(files_dir):
        path.unlink()


def _replace_key(present: Path, saved: Path, undo: ExitStack) -> None:
    """The saved key in place of the present one, which is kept under another name; `undo` gets the way back."""
    if present.exists():
        if present.read_bytes() == saved.read_bytes():
            return
        kept = present.with_name(f"{present.name}.replaced-{present.stat().st_mtime_ns}")
        present.rename(kept)
        undo.callback(kept.rename, present)
    else:
        undo.callback(present.unlink, missing_ok=True)
    _copy_private(saved, present)
    _flush_one(present)
    _flush_one(present.parent)


def _copy_private(source: Path, target: Path) -> None:
    target.touch(0o600)
    shutil.copyfile(source, target)


def _flush(folder: Path) -> None:
    """Onto the disk with every file and folder, before the name says that the backup is complete."""
    for parent, _, names in os.walk(folder):
        for path in (*(Path(parent, name) for name in names), Path(parent)):
            _flush_one(path)


def _flush_one(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _checksums(folder: Path) -> dict[str, str]:
    sums = {}
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            if path != folder / MANIFEST:
                with path.open("rb") as file:
                    sums[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").hexdigest()
    return dict(sorted(sums.items()))


def _first_error(text: str) -> str:
    """The error itself: programs put hints and context below it, which may quote a person's data."""
    lines = [line for line in text.splitlines() if re.search("error|fatal", line, re.IGNORECASE)] or text.splitlines()
    return lines[0] if lines else "no message"
