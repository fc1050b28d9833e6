"""The supervisor keeps its children running and leaves nothing behind, however it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Children say who they are in a file and then do as their name says.
PROGRAM = """
import sys, time, pathlib
from core import supervise
from core.supervise import Child

here = pathlib.Path(sys.argv[1])
CHILD = '''
import os, pathlib, signal, subprocess, sys, time
here, name = pathlib.Path(sys.argv[1]), sys.argv[2]
if name == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if name == "polite":
    signal.signal(signal.SIGTERM, lambda *_: ((here / "goodbye").touch(), sys.exit(0)))
pids = [os.getpid()]
if name == "parent":
    pids.append(subprocess.Popen(["sleep", "60"]).pid)
with open(here / name, "a") as file:
    file.write("".join(f"{pid}\\\\n" for pid in pids))
if name == "frail":
    sys.exit(3)
time.sleep(60)
'''
supervise.GRACE = float(sys.argv[2])
calls = []
def ensure():
    with open(here / "ensured", "a") as file:
        file.write(f"{time.monotonic()}\\n")
    raise RuntimeError("not there")
children = [Child(name, [sys.executable, "-c", CHILD, str(here), name]) for name in sys.argv[3:]]
status = supervise.supervise(children, ensure)
(here / "ended").touch()
sys.exit(status)
"""


def wait_for(what: Callable[[], object], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def pids(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    started: list[subprocess.Popen[bytes]] = []

    def run(*names: str, grace: float = 5) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path), str(grace), *names],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        started.append(process)
        wait_for(lambda: all(pids(tmp_path / name) for name in names))
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
    for file in tmp_path.iterdir():
        if file.name not in ("ensured", "ended", "goodbye"):
            for pid in filter(lives, pids(file)):
                os.kill(pid, signal.SIGKILL)


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_children_politely_and_leaves_nothing(start: Start, tmp_path: Path, number: int) -> None:
    supervisor = start("polite", "parent")
    os.kill(supervisor.pid, number)
    assert supervisor.wait(4) == 0
    assert (tmp_path / "ended").exists()
    assert (tmp_path / "goodbye").exists()
    everybody = pids(tmp_path / "polite") + pids(tmp_path / "parent")
    assert len(everybody) == 3  # the grandchild too
    assert [pid for pid in everybody if lives(pid)] == []


def test_ctrl_c_in_a_terminal_reaches_the_supervisor_only(start: Start, tmp_path: Path) -> None:
    supervisor = start("polite")
    assert os.getpgid(pids(tmp_path / "polite")[0]) != os.getpgid(supervisor.pid)


def test_a_child_that_does_not_listen_is_killed(start: Start, tmp_path: Path) -> None:
    supervisor = start("deaf", grace=0.5)
    asked = time.monotonic()
    supervisor.terminate()
    assert supervisor.wait(4) == 0
    assert time.monotonic() - asked > 0.4
    assert not lives(pids(tmp_path / "deaf")[0])


def test_a_second_signal_does_not_wait(start: Start, tmp_path: Path) -> None:
    supervisor = start("deaf", grace=60)
    supervisor.terminate()
    time.sleep(0.3)
    assert supervisor.poll() is None
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(4) == 0
    assert not lives(pids(tmp_path / "deaf")[0])


def test_a_child_that_dies_is_started_again(start: Start, tmp_path: Path) -> None:
    start("polite", "deaf")
    (first,) = pids(tmp_path / "polite")
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: len(pids(tmp_path / "polite")) == 2)
    assert lives(pids(tmp_path / "polite")[1])
    assert len(pids(tmp_path / "deaf")) == 1


def test_a_child_that_keeps_dying_is_started_less_and_less_often(start: Start, tmp_path: Path) -> None:
    start("frail")
    time.sleep(2.5)  # starts after 0.2, 0.4, 0.8 … s of pause
    assert 2 <= len(pids(tmp_path / "frail")) <= 5


@pytest.mark.parametrize("name", ["polite", "deaf"])
def test_children_die_with_a_supervisor_that_is_killed(start: Start, tmp_path: Path, name: str) -> None:
    supervisor = start(name)
    supervisor.kill()
    supervisor.wait()
    wait_for(lambda: not lives(pids(tmp_path / name)[0]), seconds=3)


def test_a_child_whose_supervisor_died_before_it_began_does_not_begin(tmp_path: Path) -> None:
    from core.supervise import _BIND_TO_PARENT

    nobody = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True, check=True).stdout.strip()
    left = subprocess.run(
        [sys.executable, "-c", _BIND_TO_PARENT, nobody, "touch", str(tmp_path / "begun")], check=False
    )
    assert left.returncode == 1
    assert not (tmp_path / "begun").exists()


def test_the_database_is_looked_after_all_the_while(start: Start, tmp_path: Path) -> None:
    supervisor = start("polite")
    wait_for(lambda: (tmp_path / "ensured").exists() and len((tmp_path / "ensured").read_text().split()) >= 4)
    calls = [float(line) for line in (tmp_path / "ensured").read_text().split()]
    assert 0.25 < (calls[3] - calls[0]) / 3 < 1.5  # every 0.3 s, although it fails
    supervisor.terminate()
    supervisor.wait(4)
    ended = (tmp_path / "ensured").read_text()
    time.sleep(0.5)
    assert (tmp_path / "ensured").read_text() == ended
