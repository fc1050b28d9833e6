"""The real system as its operator runs it: `main.py run --demo` with a DATA_DIR and a port of its own."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from core.postgres import Cluster

TOP = Path(__file__).parents[1]
PASSWORD = "demo-pass-1"  # of the demo accounts
PATIENCE = 120.0  # seconds on a crowded machine; a test fails by it only when something does not happen at all


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(true: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait for something to become true; say what did not."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


class System:
    """One DATA_DIR and what runs on it. `settings` are HOTLINE_ variables without their prefix."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = data.with_name(f"{data.name}-{self.port}.log")
        self.process: subprocess.Popen[bytes] | None = None
        plain = {name: value for name, value in os.environ.items() if not name.startswith("HOTLINE_")}
        given = {"DATA_DIR": str(data), "DEMO_PASSWORD": PASSWORD, "DEMO_CASES": "no", "RATE_LIMITS": "off", **settings}
        self.environment = plain | {f"HOTLINE_{name}": value for name, value in given.items()}

    def start(self, *words: str) -> None:
        """Start it, or another command that goes on, as the leader of a process group, as a shell would."""
        words = words or ("run", "--demo")
        port = () if words[0] == "worker" else ("--port", str(self.port))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, TOP / "main.py", *words, *port],
                cwd=self.data.parent, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                process_group=0,
            )  # fmt: skip

    def ready(self) -> bool:
        """Whether /readyz says 200 now; a system that ended instead is an error."""
        assert self.process is None or self.process.poll() is None, self.said()
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def wait_ready(self, seconds: float = PATIENCE) -> None:
        """Return once it answers."""
        until(self.ready, "readyz", seconds)

    def stop(self, number: int = signal.SIGINT, *, group: bool = True) -> int:
        """Signal it (its group, as Ctrl-C does, or the process alone) and wait; its exit status."""
        assert self.process is not None
        (os.killpg if group else os.kill)(self.process.pid, number)
        return self.process.wait(PATIENCE)

    def destroy(self) -> None:
        """Leave nothing behind, whatever happened."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        until(self._emptied, "end of all processes")
        shutil.rmtree(self.database().socket_dir, ignore_errors=True)

    def _emptied(self) -> bool:
        with handles(self.pids) as left:
            for each in left:
                kill(each)
        return not left

    def command(self, *words: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run `main.py …` on this DATA_DIR. `settings` are added to the environment."""
        more = {f"HOTLINE_{name}": value for name, value in options.pop("settings", {}).items()}
        return subprocess.run(
            [sys.executable, TOP / "main.py", *words],
            cwd=self.data.parent, env=self.environment | more, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=PATIENCE, **options,
        )  # fmt: skip

    def pids(self, role: str | None = None) -> list[int]:
        """Processes that belong to this DATA_DIR; of a role (web, worker, backend, postmaster), those only."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if self._ours(entry) and role in (None, self._role(entry)):
                    found.append(int(entry.name))
            except (OSError, ValueError):
                continue  # it ended while we looked
        return found

    def _ours(self, entry: Path) -> bool:
        if (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return False
        if str(self.data).encode() in (entry / "cmdline").read_bytes():
            return True
        if f"HOTLINE_DATA_DIR={self.data}".encode() in (entry / "environ").read_bytes().split(b"\0"):
            return True
        return (self.data / "postgres").exists() and (entry / "cwd").samefile(self.data / "postgres")

    def _role(self, entry: Path) -> str | None:
        words = (entry / "cmdline").read_bytes().split(b"\0")
        if words[0].startswith(b"postgres: "):
            return "backend" if b" hotline " in words[0] else None
        if words[0].endswith(b"/postgres"):
            return "postmaster"
        for role in ("web", "worker"):
            if words[1:3] == [str(TOP / "main.py").encode(), role.encode()]:
                return role
        return None

    def said(self) -> str:
        """What it printed and logged."""
        return self.log.read_text() if self.log.exists() else ""

    def database(self) -> Cluster:
        """The way to its embedded server; not attached."""
        return Cluster(self.data)

    def report(self, text: str, **members: Any) -> dict[str, Any]:
        """Send a citizen's report; what its reporter keeps."""
        answer = httpx.post(f"{self.url}/api/v1/reports", json={"text": text, **members}, timeout=30)
        assert answer.status_code == 201, answer.text
        receipt: dict[str, Any] = answer.json()
        return receipt

    def follow(self, receipt: dict[str, Any]) -> httpx.Response:
        """How far a report is, with the key its reporter was given."""
        headers = {"Tracking-Key": receipt["tracking_key"]}
        return httpx.get(f"{self.url}/api/v1/reports/{receipt['code']}", headers=headers, timeout=30)

    def token(self, email: str, password: str = PASSWORD) -> httpx.Response:
        """Sign in."""
        return httpx.post(f"{self.url}/api/v1/auth/token", data={"username": email, "password": password}, timeout=30)


@contextmanager
def handles(pids: Callable[[], list[int]]) -> Iterator[list[int]]:
    """Handles of the processes `pids` finds: a signal through one never reaches a stranger who got the number."""
    opened: dict[int, int] = {}
    try:
        for pid in pids():
            with contextlib.suppress(ProcessLookupError):
                opened[pid] = os.pidfd_open(pid)
        still = pids()
        yield [handle for pid, handle in opened.items() if pid in still]
    finally:
        for handle in opened.values():
            os.close(handle)


def kill(handle: int) -> bool:
    """SIGKILL; False when it was dead already."""
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def running(data: Path, **settings: str) -> Iterator[System]:
    """A system that answers, and is gone afterwards."""
    system = System(data, **settings)
    try:
        system.start()
        system.wait_ready()
        yield system
    except BaseException:
        print(system.said()[-8000:])
        raise
    finally:
        system.destroy()
