"""One stint of load in a process of its own: it makes ready, waits for the word, runs, and tells what it saw.

The child warms up, prints `ready`, waits for a line on its input, measures, and prints one line of JSON; it keeps its
connections until its input closes, so that the parent can read processor times before anything ends.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass

import uvloop

WARM_UP = 0.5  # seconds before the clock starts: connections made, statements planned


@dataclass(frozen=True, slots=True)
class Seen:
    """What a stint measured: finished requests, seconds they took together, latencies in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    cpu: float  # seconds of processor time the generator itself took

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


class Meter:
    """Latencies of one stint; `until` is the moment to stop."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.until = 0.0
        self.took: list[float] = []

    async def run(self, clients: Callable[[], Awaitable[object]], seconds: float) -> Seen:
        """Let the clients work for so long."""
        self.took.clear()
        started, cpu = time.perf_counter(), time.process_time()
        self.until = started + seconds
        await clients()
        ran, used = time.perf_counter() - started, time.process_time() - cpu
        ordered = sorted(self.took) or [0.0]
        return Seen(
            len(self.took),
            ran,
            round(ordered[len(ordered) // 2] * 1000, 3),
            round(ordered[int(len(ordered) * 0.99)] * 1000, 3),
            used,
        )

    async def stint(self, clients: Callable[[], Awaitable[object]]) -> None:
        """The child's side of the conversation."""
        await self.run(clients, WARM_UP)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        print(json.dumps(asdict(await self.run(clients, self._seconds))), flush=True)
        await asyncio.to_thread(sys.stdin.read)


def in_child(work: Awaitable[None]) -> None:
    """Run a stint on the loop the server runs on."""

    async def to_end() -> None:
        await work

    uvloop.run(to_end())


class Child:
    """The parent's side: one process `python -m module arguments`."""

    def __init__(self, module: str, arguments: list[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(environment),
        )
        if self._line() != "ready":
            raise RuntimeError(f"{module} did not get ready")

    def measure(self) -> Seen:
        """Give the word and wait for the figures."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return Seen(**json.loads(self._line()))

    def end(self) -> None:
        """Let it go."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"a load process ended with status {self._process.wait(30)}")
        return line
