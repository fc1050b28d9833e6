"""`main.py` as an operator uses it: starting, stopping, starting again, and every command with good and bad input."""

import asyncio
import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from core.postgres import Cluster, DatabaseUnavailable
from tests.running import PASSWORD, PATIENCE, TOP, System, free_port, running, until

SYSTEM_BINARIES = Path("/usr/lib/postgresql/15/bin")
SECRET = "a secret key of more than thirty-two characters"
TEXT = "Nắp cống vỡ trước số 12 đường Hùng Vương, phường Tân Phú."

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One running system for the commands that need one."""
    with running(tmp_path_factory.mktemp("system") / "data") as made:
        yield made


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[System]:
    """A system that was never started."""
    made = System(tmp_path / "data")
    try:
        yield made
    finally:
        made.destroy()


def nothing_is_left(system: System) -> bool:
    """No process, no socket folder, nobody on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", system.port))
    return not system.pids() and not system.database().socket_dir.exists()


# ---- starting and stopping


def test_a_cold_start_is_quick_and_however_it_is_stopped_the_data_stay(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(0o700)
    system = System(private / "data")
    try:
        system.start()
        began = time.monotonic()
        system.wait_ready()
        assert time.monotonic() - began < 60
        assert f"http://127.0.0.1:{system.port}" in system.said()
        assert PASSWORD in system.said()
        receipts = [system.report(TEXT)]
        for number, group in ((signal.SIGINT, True), (signal.SIGINT, False)):
            assert system.stop(number, group=group) == 0
            assert nothing_is_left(system)
            system.start()
            system.wait_ready()
            receipts.append(system.report(f"{TEXT} Lần {len(receipts)}."))
            for receipt in receipts:
                assert system.follow(receipt).json()["code"] == receipt["code"]
        assert system.stop(signal.SIGTERM, group=False) == 0
        assert nothing_is_left(system)
        assert "Traceback" not in system.said()
    finally:
        system.destroy()


def being_made(system: System) -> bool:
    return any(system.data.glob("postgres.new-*"))


def being_started(system: System) -> bool:
    return bool(system.pids("postmaster"))


def being_migrated(system: System) -> bool:
    return system.database()._pid_file()[7:8] == ["ready"]


def announced(system: System) -> bool:
    return "http://" in system.said()


@pytest.mark.parametrize(
    ("stage", "number"),
    [
        (being_made, signal.SIGINT),
        (being_started, signal.SIGTERM),
        (being_migrated, signal.SIGINT),
        (announced, signal.SIGTERM),
    ],
)
def test_stopped_while_it_starts_it_leaves_nothing_running(
    fresh: System, stage: Callable[[System], bool], number: int
) -> None:
    fresh.start()
    until(lambda: stage(fresh), stage.__name__)
    fresh.stop(number)
    until(lambda: nothing_is_left(fresh), "an empty machine", 10)
    assert "Traceback" not in fresh.said()


def test_web_or_worker_alone_start_and_stop_the_database_too(fresh: System) -> None:
    assert fresh.command("migrate").returncode == 0
    assert nothing_is_left(fresh)
    for role in ("web", "worker"):
        fresh.start(role)
        until(functools.partial(connected, fresh, f"hotline-{role}"), "its connection to the database")
        fresh.stop(signal.SIGTERM)
        assert nothing_is_left(fresh)


def connected(system: System, application: str) -> bool:
    """Whether a process of this name uses the database; `web` does when it is asked something."""
    with contextlib.suppress(httpx.TransportError):
        httpx.get(f"{system.url}/readyz", timeout=5)
    with contextlib.suppress(OSError, DatabaseUnavailable, asyncpg.PostgresError):
        return bool(
            asyncio.run(sql(system, f"SELECT 1 FROM pg_stat_activity WHERE application_name = '{application}'"))
        )
    return False


async def sql(system: System, query: str) -> list[Any]:
    """Ask the system's embedded database."""
    connection = await asyncpg.connect(**system.database().connect_args())
    try:
        found: list[Any] = await connection.fetch(query)
        return found
    finally:
        await connection.close()


def test_two_runs_on_one_data_dir_share_it_and_the_last_one_ends_it(tmp_path: Path) -> None:
    with running(tmp_path / "data") as first:
        receipt = first.report(TEXT)
        second = System(tmp_path / "data")
        second.start()
        second.wait_ready()
        assert second.follow(receipt).status_code == 200
        assert first.stop() == 0
        assert second.ready()
        again = second.report(TEXT)
        assert second.follow(again).status_code == 200
        assert second.stop(signal.SIGTERM) == 0
        assert nothing_is_left(second)


def test_a_port_in_use_is_told_in_one_sentence(system: System) -> None:
    for words in (["run", "--demo"], ["web"]):
        done = system.command(*words, "--port", str(system.port))
        told_in_one_sentence(done, f"Port {system.port} of 127.0.0.1 is in use")
    assert system.ready()


# ---- commands


@dataclass
class Commands:
    """Commands run in forks of one process; see tests.commanding."""

    process: "subprocess.Popen[str]"
    system: System
    folder: Path

    def run(self, *words: str, settings: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        """One command; what it printed and its exit status. A setting that is "" is taken away."""
        given = self.system.environment | {f"HOTLINE_{name}": value for name, value in (settings or {}).items()}
        out, err = self.folder / "out", self.folder / "err"
        order = {
            "words": words,
            "environment": {name: value for name, value in given.items() if value},
            "out": str(out),
            "err": str(err),
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(order), file=self.process.stdin, flush=True)
        status = int(self.process.stdout.readline())
        return subprocess.CompletedProcess(words, status, out.read_text(), err.read_text())


@pytest.fixture(scope="module")
def commands(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """Commands on the running system, and files for them to read."""
    folder = tmp_path_factory.mktemp("commands")
    files = {
        "bad.yaml": ":: [",
        "list.yaml": "- 1",
        "week.yaml": "week: {mon: ['25:00-26:00']}",
        "half.json": "[1",
        "list.json": "[1]",
        "unknown.json": '{"text": 1}',
        "time.json": '{"received_at": "yesterday"}',
        "field.json": '{"received_at": "2026-03-02T10:00", "field": "moon"}',
        "facts.json": '{"received_at": "2026-03-02T10:00", "field": null, "urgency": "urgent"}',
    }
    for name, content in files.items():
        (folder / name).write_text(content)
    (folder / "bytes").write_bytes(b"\xff\xfe\x00")
    (folder / "full").mkdir()
    (folder / "full" / "file").touch()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.commanding"],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(TOP)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield Commands(process, system, folder)
    finally:
        with process:
            if process.stdin is not None:
                process.stdin.close()
            process.wait(PATIENCE)


def told_in_one_sentence(done: "subprocess.CompletedProcess[str]", sentence: str) -> None:
    """It failed, and said why in a line that an operator understands."""
    assert done.returncode != 0, done
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.lower().startswith("error: "), done.stderr
    assert sentence in last, done.stderr


ELSEWHERE = {"DATABASE_URL": "postgresql://nobody:secret-word@127.0.0.1:1/none", "SECRET_KEY": SECRET}
PERIOD = ("--since", "2026-03-01", "--until", "2026-03-02")
EXAMPLE = str(TOP / "routing" / "seed" / "ruleset-example-2025.yaml")
DAYS = ("--from", "2026-03-01", "--to", "2026-03-02")
NEW = ("staff", "add", "a@example.org", "--name", "An", "--password", "long enough")


@pytest.mark.parametrize(
    ("words", "settings", "sentence"),
    [
        (("fly",), {}, "No such command 'fly'"),
        (("rules", "fly"), {}, "No such command 'fly'"),
        (("run", "--wings"), {}, "No such option: --wings"),
        (("run", "--port", "99999"), {}, "Invalid value for '--port'"),
        (("run", "--port", "many"), {}, "Invalid value for '--port'"),
        (("run", "--host", "192.0.2.1"), {}, "Nobody can listen at 192.0.2.1"),
        (("web", "--host", "no such host"), {}, "Nobody can listen at no such host"),
        # settings
        (("run",), {"PORT": "99999"}, "HOTLINE_PORT: "),
        (("run",), {"RATE_LIMITS": "often"}, "HOTLINE_RATE_LIMITS: RATE_LIMITS: 'often' is not one of"),
        (("doctor",), {"SECRET_KEY": "short"}, "HOTLINE_SECRET_KEY: "),
        (("doctor",), {"TIMEZONE": "Mars/Olympus"}, "HOTLINE_TIMEZONE: there is no time zone Mars"),
        (("migrate",), {"DATABASE_URL": "postgresql://x@127.0.0.1/x"}, "DATABASE_URL is set but SECRET_KEY is not"),
        (("migrate",), {**ELSEWHERE, "DATABASE_URL": "mysql://x@127.0.0.1/x"}, "HOTLINE_DATABASE_URL: must look like"),
        (("migrate",), {**ELSEWHERE, "DATABASE_URL": "nonsense"}, "HOTLINE_DATABASE_URL: must look like"),
        (("migrate",), {"DATA_DIR": "/proc/none"}, "The folder /proc/none cannot be made"),
        (("migrate",), {"DATA_DIR": "bytes"}, "cannot be made"),
        (("migrate",), {"DATA_DIR": "new", "POSTGRES_BIN": "/nowhere"}, "HOTLINE_POSTGRES_BIN is /nowhere"),
        # a database that is not there
        (("run", "--port", "{port}"), ELSEWHERE, "the database cannot be used"),
        (("web", "--port", "{port}"), {**ELSEWHERE, "DATABASE_URL": "nonsense"}, "HOTLINE_DATABASE_URL"),
        (("migrate",), ELSEWHERE, "the database cannot be used"),
        (("demo",), ELSEWHERE, "the database cannot be used"),
        (("limits", "verify"), ELSEWHERE, "the database cannot be used"),
        (("ioc", "reconcile"), ELSEWHERE, "the database cannot be used"),
        (("ioc", "figures", *DAYS), ELSEWHERE, "the database cannot be used"),
        ((*NEW, "--role", "agent"), ELSEWHERE, "the database cannot be used"),
        (("backup", "elsewhere"), ELSEWHERE, "The database cannot be reached"),
        # deadline
        (("deadline", "--limit", "8h/working"), {}, "Missing option '--from'"),
        (("deadline", "--from", "2022-13-45T15:30", "--limit", "8h/working"), {}, "'2022-13-45T15:30' is not a date"),
        (("deadline", "--from", "2022-04-29", "--limit", "8h/working"), {}, "has no time of day"),
        (("deadline", "--from", "2022-04-29T15:30", "--limit", "8x"), {}, "'8x' names no clock"),
        (("deadline", "--from", "2022-04-29T15:30", "--limit", "8x/working"), {}, "unknown unit 'x'"),
        (("deadline", "--from", "2022-04-29T15:30", "--limit", "-1h/working"), {}, "-1h/working"),
        (
            ("deadline", "--from", "2022-04-29T15:30", "--limit", "8h/working", "--calendar", "none"),
            {},
            "none: No such file",
        ),
        (("deadline", "--from", "2022-04-29T15:30", "--limit", "1d/working", "--calendar", "bad.yaml"), {}, "as YAML"),
        (("deadline", "--from", "2022-04-29T15:30", "--limit", "1d/working", "--calendar", "list.yaml"), {}, "mapping"),
        (("deadline", "--from", "2022-04-29T15:30", "--limit", "1d/working", "--calendar", "week.yaml"), {}, "week"),
        (("deadline", "--from", "2022-04-29T15:30", "--limit", "1d/working", "--calendar", "bytes"), {}, "not UTF-8"),
        # rules
        (("rules", "check", "none"), {}, "none: No such file"),
        (("rules", "check", "full"), {}, "full: Is a directory"),
        (("rules", "check", "bad.yaml"), {}, "not readable as YAML"),
        (("rules", "check", "bytes"), {}, "not UTF-8"),
        (("rules", "explain", "none"), {}, "none: No such file"),
        (("rules", "explain", "half.json"), {}, "line 1"),
        (("rules", "explain", "list.json"), {}, "facts: must be an object"),
        (("rules", "explain", "unknown.json"), {}, "text: unknown"),
        (("rules", "explain", "time.json"), {}, "'yesterday' is not a time"),
        (("rules", "explain", "field.json"), {}, "'moon' is not known"),
        (("rules", "explain", "bytes"), {}, "not UTF-8"),
        (("rules", "simulate", "none", *PERIOD), {}, "none: No such file"),
        (("rules", "simulate", "bad.yaml", *PERIOD), {}, "not readable as YAML"),
        (("rules", "simulate", EXAMPLE, "--since", "x", "--until", "2026-03-01"), {}, "days such as 2026-03-02"),
        (
            ("rules", "simulate", EXAMPLE, "--since", "2026-03-02", "--until", "2026-03-01"),
            {},
            "must not be before the first",
        ),
        # cases
        (("cases", "explain", "BP-26-0000018"), {}, "There is no case BP-26-0000018"),
        (("cases", "explain", "moon"), {}, "There is no case moon"),
        # figures
        (("ioc", "figures", "--from", "2026-13-01", "--to", "2026-03-01"), {}, "days such as 2026-03-02"),
        (("ioc", "figures", "--from", "2026-03-02", "--to", "2026-03-01"), {}, "must not be before the first"),
        (("ioc", "figures", *DAYS, "--by", "moon"), {}, "no dimension “moon”"),
        (("ioc", "figures", *DAYS, "--geography", "tomorrow"), {}, "one of: stored, today"),
        # staff
        ((*NEW, "--role", "king"), {}, "Unknown role king; known: agent,"),
        ((*NEW, "--role", "agent", "--department", "moon"), {}, "Unknown department moon"),
        (("staff", "add", "a@example.org", "--name", "An", "--password", "short"), {}, "at least 8 characters"),
        (("staff", "add", "nobody", "--name", "An", "--password", "long enough"), {}, "Not an e-mail address"),
        (("staff", "add", "agent@demo", "--name", "An", "--password", "long enough"), {}, "an account agent@demo"),
        (("staff", "grant", "nobody@example.org", "--role", "agent"), {}, "no account nobody@example.org"),
        (("staff", "grant", "agent@demo", "--role", "king"), {}, "Unknown role king"),
        (("staff", "reset-password", "agent@demo", "--password", "short"), {}, "at least 8 characters"),
        (("staff", "reset-password", "nobody@example.org", "--password", "long enough"), {}, "There is no account"),
        (("staff", "api-key", "board", "--scope", "moon"), {}, "Unknown scope moon; known: admin.manage, calls.read"),
        # backups
        (("backup", "full"), {}, "full is not empty"),
        (("restore", "none"), {}, "none is not a backup"),
        (("restore", "full"), {}, "full is not a backup"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_bad_input_is_refused_in_one_clear_sentence(
    commands: Commands, words: tuple[str, ...], settings: dict[str, str], sentence: str
) -> None:
    done = commands.run(*(word.format(port=free_port()) for word in words), settings=settings)
    told_in_one_sentence(done, sentence)
    assert "secret-word" not in done.stdout + done.stderr


def test_a_command_in_a_process_of_its_own_says_the_same(system: System) -> None:
    told_in_one_sentence(system.command("fly"), "No such command 'fly'")
    done = system.command("rules", "check", "none")
    told_in_one_sentence(done, "none: No such file or directory")
    assert done.returncode == 1


def test_doctor_names_every_setting_and_what_is_wrong(commands: Commands) -> None:
    good = commands.run("doctor")
    assert good.returncode == 0, good
    for name in ("DATA_DIR", "SECRET_KEY", "DATABASE_URL", "DEMO_PASSWORD"):
        assert f"HOTLINE_{name} " in good.stdout
    assert "WRONG" not in good.stdout
    assert PASSWORD not in good.stdout
    bad = commands.run("doctor", settings=ELSEWHERE)
    assert bad.returncode == 1, bad
    assert "WRONG database: " in bad.stdout
    assert SECRET not in bad.stdout + bad.stderr
    assert "secret-word" not in bad.stdout + bad.stderr


def test_deadline_needs_no_database(commands: Commands, tmp_path: Path) -> None:
    words = ("deadline", "--from", "2022-04-29T15:30", "--limit", "8h/working")
    done = commands.run(*words, settings={"DATA_DIR": str(tmp_path / "none"), **ELSEWHERE})
    assert done.returncode == 0, done
    assert done.stdout.splitlines()[0] == "due: 2022-05-04T15:30:00+07:00"  # Friday, over two holidays, to Wednesday
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("file", sorted((TOP / "routing" / "seed").glob("ruleset-*.yaml")), ids=lambda path: path.name)
def test_the_shipped_rule_sets_pass_their_check(commands: Commands, file: Path) -> None:
    done = commands.run("rules", "check", str(file))
    assert done.returncode == 0, done
    assert f"{file.name}: 0 errors" in done.stdout


def test_rules_explain_prints_one_object(commands: Commands) -> None:
    done = commands.run("rules", "explain", "facts.json")
    assert done.returncode == 0, done
    assert {"lead", "supporting", "track", "limits", "rules", "explanation"} <= set(json.loads(done.stdout))


def test_a_case_is_explained_and_a_rule_set_tried_on_it(commands: Commands, system: System) -> None:
    code = system.report(TEXT)["code"]
    done = commands.run("cases", "explain", code)
    assert done.returncode == 0, done
    told = json.loads(done.stdout)
    assert told["code"] == code
    assert [change["kind"] for change in told["changes"]] == ["case.open"]
    period = ("--since", "2026-01-01", "--until", "2099-01-01")
    tried = commands.run("rules", "simulate", EXAMPLE, *period, "--json")
    assert tried.returncode == 0, tried
    assert json.loads(tried.stdout)["cases"] >= 1
    assert "department" in commands.run("rules", "simulate", EXAMPLE, *period).stdout


def test_figures_are_a_list_of_rows(commands: Commands, system: System) -> None:
    system.report(TEXT)
    today = json.loads(commands.run("ioc", "figures", "--from", "2026-01-01", "--to", "2099-01-01", "--json").stdout)
    assert {frozenset(row) for row in today} == {frozenset({"figure", "from", "to", "by", "value"})}
    assert [row["by"] for row in today if row["figure"] == "received"] == [{}]
    split = commands.run(
        "ioc", "figures", "--from", "2026-01-01", "--to", "2099-01-01", "--by", "channel,day", "--json"
    )
    assert {frozenset(row["by"]) for row in json.loads(split.stdout)} == {frozenset({"channel", "day"})}
    plain = commands.run("ioc", "figures", "--from", "2026-01-01", "--to", "2099-01-01")
    assert any(line.split()[:1] == ["received"] for line in plain.stdout.splitlines())


def test_an_account_made_on_the_command_line_can_sign_in(commands: Commands, system: System) -> None:
    words = ("--name", "Lê Văn An", "--role", "agent", "--department", "trung-tam-1022", "--password", "first word 1")
    assert commands.run("staff", "add", "An@example.org", *words).returncode == 0
    token = system.token("an@example.org", "first word 1").json()["access_token"]
    granted = commands.run("staff", "grant", "an@example.org", "--role", "dispatcher", "--department", "so-xd")
    assert granted.returncode == 0, granted
    me = httpx.get(f"{system.url}/api/v1/me", headers={"Authorization": f"Bearer {token}"}, timeout=30).json()
    assert (me["roles"], me["departments"]) == (["agent", "dispatcher"], ["so-xd", "trung-tam-1022"])
    given = {"NEW_PASSWORD": "second word 2"}
    assert commands.run("staff", "reset-password", "an@example.org", settings=given).returncode == 0
    assert system.token("an@example.org", "first word 1").status_code == 401
    assert system.token("an@example.org", "second word 2").status_code == 200
    gone = httpx.get(f"{system.url}/api/v1/me", headers={"Authorization": f"Bearer {token}"}, timeout=30)
    assert gone.status_code == 401


# ---- backup, another server


def feed(system: System, after: int) -> list[dict[str, Any]]:
    """What a reader of the feed gets who stands at this position."""
    headers = {"Authorization": f"Bearer {system.token('leader@demo').json()['access_token']}"}
    answer = httpx.get(f"{system.url}/feed/v1/events?after={after}&limit=200", headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def opened(events: list[dict[str, Any]]) -> list[str]:
    """Codes of the cases that were opened, in order."""
    return [event["case"] for event in events if event["kind"] == "case.open"]


def test_a_backup_of_a_running_system_comes_back_whole(system: System, tmp_path: Path) -> None:
    before = [system.report(f"{TEXT} Trước lần sao lưu, {number}.") for number in range(3)]
    until(lambda: {each["code"] for each in before} <= set(opened(feed(system, 0))), "the feed's events")
    read = feed(system, 0)
    half = read[len(read) // 2]["position"]  # where another reader stands
    done = system.command("backup", tmp_path / "backup")
    assert done.returncode == 0, done
    system.report(f"{TEXT} Sau lần sao lưu.")
    told_in_one_sentence(system.command("restore", tmp_path / "backup"), "The database is not empty")

    restored = System(tmp_path / "restored" / "data")
    restored.data.parent.mkdir()
    done = restored.command("restore", tmp_path / "backup")
    assert done.returncode == 0, done
    assert nothing_is_left(restored)
    try:
        restored.start()
        restored.wait_ready()
        for receipt in before:
            assert restored.follow(receipt).json()["code"] == receipt["code"]
        assert feed(restored, 0) == read
        assert feed(restored, half) == [event for event in read if event["position"] > half]
        after = restored.report(f"{TEXT} Sau khi khôi phục.")
        until(lambda: after["code"] in opened(feed(restored, read[-1]["position"])), "the new case in the feed")
        assert opened(feed(restored, read[-1]["position"])) == [after["code"]]
        rows = asyncio.run(
            sql(restored, "SELECT position FROM journal_positions JOIN journal ON id = journal_id ORDER BY position")
        )
        (journal,) = asyncio.run(sql(restored, "SELECT count(*) AS rows FROM journal"))
        assert [row["position"] for row in rows] == list(range(1, journal["rows"] + 1))
        assert restored.command("ioc", "reconcile").stdout == "difference 0\n"
        assert restored.command("limits", "verify").stdout.endswith("limits, difference 0\n")
    finally:
        restored.destroy()


@pytest.mark.skipif(not SYSTEM_BINARIES.exists(), reason="PostgreSQL 15 of the system is not installed")
def test_it_runs_on_the_system_s_own_postgresql(tmp_path: Path) -> None:
    with Cluster(tmp_path / "server", binaries=SYSTEM_BINARIES) as server:
        url = server.url.replace("postgresql+asyncpg://", "postgresql://")
        with running(tmp_path / "data", DATABASE_URL=url, SECRET_KEY=SECRET) as system:
            receipt = system.report(TEXT)
            assert system.follow(receipt).json()["text"] == TEXT
            assert not (system.data / "postgres").exists()
            assert system.command("doctor").returncode == 0
            done = system.command("ioc", "reconcile")
            assert (done.returncode, done.stdout) == (0, "difference 0\n"), done
            assert system.stop() == 0
            assert system.pids() == []
