"""The life of the embedded server: begun by its first user, shared by all of them, stopped by the last."""

import fcntl
import hashlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

from core.postgres.account import Account, Place, belongs_to_another, choose
from core.postgres.binaries import DatabaseUnavailable, find_binaries, version_of

# Given on every start, so a new version of ours reaches old data folders too. Failed statements are the application's
# to report and are not logged here (log_min_messages), since they can hold what a citizen wrote.
SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "huge_pages": "off",
    "jit": "off",
    "fsync": "on",
    "synchronous_commit": "on",
    "wal_compression": "off",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "log",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] ",
}
USER = "postgres"
LOG_LIMIT = 4 * 1024 * 1024
GIVE_WAY_SECONDS = 10.0  # how long a killed predecessor may take to disappear
SILENT_SECONDS = 120.0  # crash recovery logs its progress every 10 s; only silence is a failure
STOP_SECONDS = 60.0

# (Our process, server it started), to reap them when they die; after a fork they are not the child's.
_children: set[tuple[int, int]] = set()


class Cluster:
    """One PostgreSQL server whose data lie in DATA_DIR, on a private unix socket, with a password made at random.

    Users are counted by shared locks on a file, which the kernel drops when a process dies in whatever way. Every
    method blocks (call it through asyncio.to_thread) and raises DatabaseUnavailable with a sentence for the operator.
    `database` is created together with the data folder.
    """

    def __init__(self, data_dir: Path, *, database: str = "hotline", binaries: Path | None = None) -> None:
        self.data_dir = data_dir.resolve()
        self.database = database
        self.log = self.data_dir / "postgres.log"
        # Below /tmp because a socket's path has less than 107 bytes; no variable decides, so all users agree on it.
        self.socket_dir = Path("/tmp") / f"hotline-{hashlib.sha256(bytes(self.data_dir)).hexdigest()[:12]}"
        self._binaries = binaries
        self._link = self.data_dir / "postgres"
        self._user_lock: IO[bytes] | None = None
        self._attached_by = 0

    @property
    def url(self) -> str:
        """For SQLAlchemy with asyncpg. Contains the password: never log it."""
        return f"postgresql+asyncpg://{USER}:{self._password()}@/{self.database}?host={self.socket_dir}"

    def connect_args(self) -> dict[str, str | int]:
        """Keyword arguments for `asyncpg.connect`."""
        return {
            "host": str(self.socket_dir),
            "port": int(SETTINGS["port"]),
            "user": USER,
            "password": self._password(),
            "database": self.database,
        }

    def attach(self) -> None:
        """Become a user of the server; make and start it first where needed. Harmless when attached already."""
        if self._attached():
            return
        try:
            with self._start_lock():
                lock = self._open("postgres.users.lock")
                fcntl.flock(lock, fcntl.LOCK_SH)
                self._user_lock, self._attached_by = lock, os.getpid()
                self._make_sure()
        except Exception:
            self._leave()
            raise
        except BaseException:  # Ctrl-C: a server we have just started must not stay behind without a user
            self.detach()
            raise

    def ensure_running(self) -> bool:
        """Start the server again if it died, and keep its log short. True if it had to be started."""
        self._trim_log()
        if self._serving():
            return False
        with self._start_lock():
            return self._make_sure()

    def detach(self) -> None:
        """Stop being a user; the last one stops the server and waits for it. Harmless when not attached."""
        if not self._attached() or self._user_lock is None:
            return
        lock, self._user_lock = self._user_lock, None
        with lock, self._start_lock():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            self._stop()

    def _leave(self) -> None:
        """Stop being a user and leave the server as it is."""
        lock, self._user_lock = self._user_lock, None
        if lock is not None:
            lock.close()

    def __enter__(self) -> Self:
        self.attach()
        return self

    def __exit__(self, *error: object) -> None:
        self.detach()

    def _attached(self) -> bool:
        # A forked child shares the parent's lock but is no user by itself, and must not give the lock away.
        return self._user_lock is not None and self._attached_by == os.getpid()

    # Starting: everything below happens under the start lock.

    def _make_sure(self) -> bool:
        """True if the server had to be started."""
        for _, child in list(_children):
            self._lives(child)  # reaps those that died
        if self._serving() and self._wait_ready(self._pid()):
            return False
        place = choose(self._link, find_binaries(self._binaries))
        if not place.data.exists():
            self._create(place)
        self._check_version(place)
        patience = time.monotonic() + GIVE_WAY_SECONDS
        while not self._launch(place):
            if time.monotonic() > patience:
                raise self._unavailable(
                    f"An earlier PostgreSQL server holds {self._link} but does not answer on {self.socket_dir}."
                    f" Stop it (process {self._pid() or 'unknown'}) and try again."
                )
            time.sleep(0.2)
        return True

    def _create(self, place: Place) -> None:
        """initdb into a fresh folder, then one rename: a data folder is either complete or not there."""
        for leftover in place.data.parent.glob("postgres.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=place.data.parent))
        place.account.give(fresh)
        self._prepare_socket_dir(place.account)
        with self._open("postgres.password") as password:
            if not password.read():
                password.write(secrets.token_hex(24).encode())
        # initdb reads the password as its own account, which may not see into DATA_DIR.
        handed_over = self.socket_dir / "password"
        handed_over.touch(0o600)
        handed_over.write_text(self._password())
        place.account.give(handed_over)
        ctype = "C.UTF-8" if os.uname().sysname == "Linux" else "C"
        words = [f"--pgdata={fresh}", f"--username={USER}", f"--pwfile={handed_over}", "--data-checksums"]
        words += ["--auth-local=scram-sha-256", "--auth-host=reject", "--encoding=UTF8", f"--locale={ctype}"]
        if int(version_of(place.binaries).split(".")[0]) >= 17:
            words += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        try:
            self._run(place, "initdb", *words)
        finally:
            handed_over.unlink()
        # Single-user mode needs no client program and no server, so the rename publishes the database with the rest.
        create = f'CREATE DATABASE "{self.database}"\n'
        self._run(place, "postgres", "--single", "-D", fresh, "-c", "exit_on_error=on", USER, text=create)
        fresh.rename(place.data)
        folder = os.open(place.data.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        if place.data != self._link.resolve():
            self._link.symlink_to(place.data)

    def _run(self, place: Place, program: str, *words: str | Path, text: str = "") -> None:
        command = place.account.command(place.binaries / program, *words)
        done = subprocess.run(command, input=text, text=True, capture_output=True, **place.account.options())
        if done.returncode != 0:
            with self._open("postgres.log", os.O_APPEND) as log:
                log.write((done.stdout + done.stderr).encode())
            raise self._unavailable(f"Making the database folder {self._link} failed in {program}.")

    def _check_version(self, place: Place) -> None:
        made_by = (place.data / "PG_VERSION").read_text().strip()
        major = version_of(place.binaries).split(".")[0]
        if made_by != major:
            raise DatabaseUnavailable(
                f"{self._link} was made by PostgreSQL {made_by}, but {place.binaries} is version {major}."
                " Set HOTLINE_POSTGRES_BIN to the old version, run `backup`, then `restore` into a new DATA_DIR."
            )

    def _launch(self, place: Place) -> bool:
        """Start once. False when a predecessor still stands in the way, so it is worth trying again."""
        if self._is_server(self._pid()):
            return self._serving() and self._wait_ready(self._pid())
        self._clear_stale_pid()
        self._prepare_socket_dir(place.account)
        if place.data.stat().st_uid != place.account.uid:
            place.account.give_tree(place.data)
        self._trim_log()
        settings = SETTINGS | {"unix_socket_directories": str(self.socket_dir)}
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = place.account.command(place.binaries / "postgres", "-D", place.data, *words)
        with self._open("postgres.log", os.O_APPEND) as log:
            before = log.seek(0, os.SEEK_END)
            # Its own session: Ctrl-C at the terminal is for us; the server goes on until its last user has finished.
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                **place.account.options(),
            )  # fmt: skip
        child.returncode = 0  # the server may well outlive us, so we reap it ourselves and Popen need not warn
        _children.add((os.getpid(), child.pid))
        try:
            if self._wait_ready(child.pid):
                return True
        except (KeyboardInterrupt, SystemExit):  # it may be too young to be found by its pid file
            self._end(child.pid)
            raise
        said = self._logged_since(before)
        if not re.search(rb"lock file .* already exists|still in use", said):
            raise self._unavailable("PostgreSQL did not start.")
        self._end_orphans()
        return False

    def _wait_ready(self, pid: int) -> bool:
        """Wait while the server lives and, in crash recovery, makes progress. False if it died."""
        heard, size = time.monotonic(), -1
        while self._lives(pid):
            if self._pid_file()[7:8] == ["ready"] and self._pid() == pid and self._serving():
                return True
            if self._log_size() != size:
                heard, size = time.monotonic(), self._log_size()
            if time.monotonic() - heard > SILENT_SECONDS:
                raise self._unavailable(f"PostgreSQL (process {pid}) starts without progress. Try again later.")
            time.sleep(0.02)
        return False

    def _prepare_socket_dir(self, account: Account) -> None:
        """A new private folder for the socket: one that is there is a dead server's, or a trap set in /tmp."""
        try:
            if self.socket_dir.is_dir() and not self.socket_dir.is_symlink():
                shutil.rmtree(self.socket_dir)
            self.socket_dir.unlink(missing_ok=True)
            self.socket_dir.mkdir(0o700)
        except OSError as error:
            raise DatabaseUnavailable(f"{self.socket_dir} is in the way ({error.strerror}). Remove it.") from error
        account.give(self.socket_dir)

    def _clear_stale_pid(self) -> None:
        """PostgreSQL takes a zombie, or a stranger who got the old number, for a living server; we have looked closer.

        Shared memory keyed by the data folder still keeps two servers apart.
        """
        if self._pid() == 0 or Path(f"/proc/{self._pid()}").exists():
            (self._link / "postmaster.pid").unlink(missing_ok=True)

    def _end_orphans(self) -> None:
        """Server processes whose postmaster was killed end by themselves, but a busy one only after its statement."""
        for entry in Path("/proc").glob("[0-9]*"):
            if self._is_server(int(entry.name)):
                os.kill(int(entry.name), signal.SIGQUIT)

    # Stopping

    def _stop(self) -> None:
        pid = self._pid()
        if self._is_server(pid):
            self._end(pid)
        shutil.rmtree(self.socket_dir, ignore_errors=True)

    def _end(self, pid: int) -> None:
        for order, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, GIVE_WAY_SECONDS)):
            if not self._lives(pid):
                break
            os.kill(pid, order)  # fast, then immediate: the next start recovers, nothing committed is lost
            patience = time.monotonic() + seconds
            while self._lives(pid) and time.monotonic() < patience:
                time.sleep(0.02)

    # What is there

    def _serving(self) -> bool:
        """Does somebody listen on our socket? A process number alone would prove nothing."""
        try:
            if self.socket_dir.stat().st_uid != self._link.stat().st_uid:
                return False
            with socket.socket(socket.AF_UNIX) as knock:
                knock.settimeout(2)
                knock.connect(f"{self.socket_dir}/.s.PGSQL.{SETTINGS['port']}")
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except PermissionError as error:
            raise belongs_to_another(self._link, self.socket_dir.stat().st_uid) from error
        except OSError:
            return True  # too busy to answer at once
        return True

    def _lives(self, pid: int) -> bool:
        if (os.getpid(), pid) not in _children:
            return self._is_server(pid)
        try:
            gone, _ = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            gone = pid
        if gone:
            _children.remove((os.getpid(), pid))
        return not gone

    def _is_server(self, pid: int) -> bool:
        """Is this number a running PostgreSQL process of this data folder, and neither a zombie nor a stranger?"""
        if pid <= 0:
            return False
        process = Path(f"/proc/{pid}")
        try:
            if not Path("/proc/self").exists():
                os.kill(pid, 0)
                return True
            # All of a server's processes work in its data folder; a zombie works nowhere.
            return (process / "comm").read_text() == "postgres\n" and (process / "cwd").samefile(self._link)
        except OSError:
            return False

    def _pid_file(self) -> list[str]:
        """Lines of postmaster.pid: process, folder, start, port, socket folder, address, memory, state."""
        try:
            return [line.strip() for line in (self._link / "postmaster.pid").read_text().splitlines()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except PermissionError as error:
            raise belongs_to_another(self._link, self._link.stat().st_uid) from error

    def _pid(self) -> int:
        lines = self._pid_file()
        return int(lines[0]) if lines and lines[0].isdecimal() else 0

    # Files in DATA_DIR

    def _password(self) -> str:
        try:
            return (self.data_dir / "postgres.password").read_text()
        except OSError as error:
            raise DatabaseUnavailable(
                f"The database password in {self.data_dir / 'postgres.password'} cannot be read ({error.strerror})."
                " Run as the user who owns DATA_DIR, or restore that file from your backup."
            ) from error

    @contextmanager
    def _start_lock(self) -> Iterator[None]:
        """One process at a time makes, starts or stops the server. Waits for the others."""
        try:
            # Root's account for PostgreSQL must be able to pass through, though not to look around.
            self.data_dir.mkdir(0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseUnavailable(f"The folder {self.data_dir} cannot be made ({error.strerror}).") from error
        with self._open("postgres.start.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _open(self, name: str, flags: int = 0) -> IO[bytes]:
        """A private file of DATA_DIR, owned like the folder even if root makes it, so that its owner can go on."""
        path = self.data_dir / name
        owner = self.data_dir.stat()
        try:
            number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
        except PermissionError as error:
            raise belongs_to_another(self.data_dir, owner.st_uid) from error
        except OSError as error:
            raise DatabaseUnavailable(f"{path} cannot be opened ({error.strerror}).") from error
        if os.geteuid() == 0:
            os.fchown(number, owner.st_uid, owner.st_gid)
        return os.fdopen(number, "r+b", buffering=0)

    def _trim_log(self) -> None:
        """The server appends to this file for months; keep one older part. Cutting is safe for an appending writer."""
        if self._log_size() > LOG_LIMIT:
            with self._open("postgres.log.1", os.O_TRUNC) as older, self.log.open("rb") as log:
                shutil.copyfileobj(log, older)
            os.truncate(self.log, 0)

    def _log_size(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def _logged_since(self, position: int) -> bytes:
        with self.log.open("rb") as log:
            log.seek(position)
            return log.read()

    def _unavailable(self, sentence: str) -> DatabaseUnavailable:
        return DatabaseUnavailable(f"{sentence} The last lines of {self.log} say why.")
