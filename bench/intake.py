"""What taking a report costs: the whole road over HTTP, against the framework alone and against the driver alone.

    python -m bench.intake [--seconds 6] [--rounds 3] [--clients 4,32] [--cases 1000000] [--web 1] [--json]

One run on a fresh embedded database with the shipped province. Three kinds of stint follow each other in rounds, so
that a machine that speeds up or slows down does so for all of them, and ratios are medians over rounds:

    echo  a FastAPI route that validates the same body and a receipt, served as the product is (bench.echo)
    bare  intake's one statement with prepared arguments over N driver connections (bench.bare)
    http  the product: `main.py web`, throttle off, one statement and one commit a report, answered after the commit

Then a second database of the same server is filled to --cases cases and `http` on both is measured in turns. The
worker is off: what it does with the rows is not part of taking the report.
"""

import argparse
import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg

import migrations
from bench import cpu
from bench.fill import fill
from bench.stint import Child, Seen
from core.db import Database
from core.postgres import Cluster
from routing import commands as routing_commands

ROOT = Path(__file__).resolve().parent.parent
GOALS = {"http_of_bare": 0.30, "http_of_echo": 0.28, "cpu_ms": 2.0, "old_of_young": 0.80}


@dataclass(frozen=True, slots=True)
class Measured:
    """One stint and the processor milliseconds it took per request, by whom."""

    seen: Seen
    app: float
    database: float
    background: float
    generator: float


@dataclass(frozen=True, slots=True)
class Row:
    """Medians of one kind of stint at one number of clients."""

    kind: str
    clients: int
    rate: float
    p50: float
    p99: float
    app_ms: float
    database_ms: float
    background_ms: float
    generator_ms: float


class Server:
    """`count` processes of one command, each on a port of its own, as behind a balancer."""

    def __init__(self, command: list[str], count: int, environment: dict[str, str]) -> None:
        self.ports = [_free_port() for _ in range(count)]
        self.processes = [
            subprocess.Popen([sys.executable, *command, "--port", str(port)], env=environment, cwd=ROOT)
            for port in self.ports
        ]

    def wait(self, path: str) -> None:
        """Until every process answers; what it says does not matter."""
        for port in self.ports:
            for _ in range(200):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).close()
                    break
                except urllib.error.HTTPError:
                    break
                except OSError:
                    time.sleep(0.1)
            else:
                raise RuntimeError("a server did not start")

    def stop(self) -> None:
        """End the processes."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(30)


class Bench:
    """A run: the server's processes, the load on them, what came of it."""

    def __init__(self, given: argparse.Namespace, postmaster: int, environment: dict[str, str]) -> None:
        self.given = given
        self.postmaster = postmaster
        self.environment = environment
        self.seed = 0

    def stint(self, module: str, clients: int, server: Server | None, environment: dict[str, str]) -> Measured:
        """Load from a process of its own, with the processor times of everybody before and after."""
        self.seed += 1
        arguments = ["--clients", str(clients), "--seconds", str(self.given.seconds), "--seed", str(self.seed)]
        if server is not None:
            arguments += ["--ports", ",".join(map(str, server.ports))]
        child = Child(module, arguments, environment)
        before = self._times(server)
        seen = child.measure()
        after = self._times(server)
        child.end()
        app, database, background = ((b - a) / seen.requests * 1000 for a, b in zip(before, after, strict=True))
        return Measured(seen, app, database, background, seen.cpu / seen.requests * 1000)

    def http(self, clients: int, server: Server) -> Measured:
        """One stint over HTTP, against the product or the echo."""
        return self.stint("bench.load", clients, server, self.environment)

    def _times(self, server: Server | None) -> tuple[float, float, float]:
        app = sum(cpu.of_process(each.pid) for each in server.processes) if server else 0.0
        return app, *cpu.of_server(self.postmaster)


def compare(given: argparse.Namespace) -> dict[str, Any]:
    """The whole run."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hotline-bench-")))
        folder.chmod(0o711)  # PostgreSQL runs as another account when we are root
        cluster = stack.enter_context(Cluster(folder / "data"))
        young, old = cluster.url, cluster.url.replace(f"/{cluster.database}?", "/old?")
        asyncio.run(_province(young))
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "HOTLINE_DATA_DIR": str(folder / "data"),
            "HOTLINE_DATABASE_URL": young,
            "HOTLINE_SECRET_KEY": "bench" * 8,
            "HOTLINE_RATE_LIMITS": "off",
        }
        postmaster = int((folder / "data" / "postgres" / "postmaster.pid").read_text().split()[0])
        bench = Bench(given, postmaster, environment)
        load_before = os.getloadavg()[0]
        product = stack.enter_context(_serving(["main.py", "web"], given.web, environment, "/readyz"))
        rounds = _against_ceilings(bench, product)
        rows = [_row(kind, clients, taken) for (kind, clients), taken in rounds.items()]
        ratios = {}
        for clients in given.clients:
            for ceiling in ("bare", "echo"):
                ratios[f"http_of_{ceiling}_{clients}"] = _ratio(rounds["http", clients], rounds[ceiling, clients])
        cases = 0
        if given.cases:
            aged = stack.enter_context(
                _serving(["main.py", "web"], given.web, environment | {"HOTLINE_DATABASE_URL": old}, "/readyz")
            )
            bench.http(4, aged)
            cases = asyncio.run(fill(_plain(old), given.cases))
            pairs = _against_age(bench, product, aged)
            rows += [_row(kind, clients, taken) for (kind, clients), taken in pairs.items()]
            for clients in given.clients:
                ratios[f"old_of_young_{clients}"] = _ratio(pairs["old", clients], pairs["young", clients])
        return {
            "rows": [asdict(row) for row in rows],
            "ratios": {name: round(value, 3) for name, value in ratios.items()},
            "cpu_ms": {str(row.clients): round(row.app_ms + row.database_ms, 3) for row in rows if row.kind == "http"},
            "goals": GOALS,
            "web": given.web,
            "seconds": given.seconds,
            "rounds": given.rounds,
            "cases": cases,
            "processors": os.cpu_count(),
            "load_average": [round(load_before, 1), round(os.getloadavg()[0], 1)],
        }


def _against_ceilings(bench: Bench, product: Server) -> dict[tuple[str, int], list[Measured]]:
    taken: dict[tuple[str, int], list[Measured]] = {}
    with _serving(["-m", "bench.echo"], bench.given.web, bench.environment, "/openapi.json") as echo:
        for _ in range(bench.given.rounds):
            for clients in bench.given.clients:
                taken.setdefault(("echo", clients), []).append(bench.http(clients, echo))
                taken.setdefault(("bare", clients), []).append(
                    bench.stint("bench.bare", clients, None, bench.environment)
                )
                taken.setdefault(("http", clients), []).append(bench.http(clients, product))
    return taken


def _against_age(bench: Bench, young: Server, old: Server) -> dict[tuple[str, int], list[Measured]]:
    taken: dict[tuple[str, int], list[Measured]] = {}
    for _ in range(bench.given.rounds):
        for clients in bench.given.clients:
            taken.setdefault(("young", clients), []).append(bench.http(clients, young))
            taken.setdefault(("old", clients), []).append(bench.http(clients, old))
    return taken


async def _province(url: str) -> None:
    """Tables, rules and areas as a new installation has them, in two databases."""
    plain = _plain(url)
    await asyncio.to_thread(migrations.upgrade, plain)
    database = Database(url, pool=2)
    async with database.transaction() as session:
        await routing_commands.seed(session, datetime.now(UTC))
    await database.close()
    connection = await asyncpg.connect(re.sub(r"/[^/?]+\?", "/postgres?", plain))
    name = re.search(r"/([^/?]+)\?", plain)
    assert name is not None
    await connection.execute(f'CREATE DATABASE old TEMPLATE "{name[1]}"')
    await connection.close()


@contextmanager
def _serving(command: list[str], count: int, environment: dict[str, str], path: str) -> Iterator[Server]:
    server = Server(command, count, environment)
    try:
        server.wait(path)
        yield server
    finally:
        server.stop()


def _row(kind: str, clients: int, taken: list[Measured]) -> Row:
    def middle(values: Iterator[float]) -> float:
        return round(median(values), 3)

    return Row(
        kind,
        clients,
        middle(each.seen.rate for each in taken),
        middle(each.seen.p50 for each in taken),
        middle(each.seen.p99 for each in taken),
        middle(each.app for each in taken),
        middle(each.database for each in taken),
        middle(each.background for each in taken),
        middle(each.generator for each in taken),
    )


def _ratio(over: list[Measured], under: list[Measured]) -> float:
    return median(a.seen.rate / b.seen.rate for a, b in zip(over, under, strict=True))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _plain(url: str) -> str:
    return url.replace("postgresql+asyncpg://", "postgresql://")


def told(result: dict[str, Any]) -> str:
    """The tables for people."""
    lines = [
        f"{result['processors']} processors, load average {result['load_average'][0]} to {result['load_average'][1]}, "
        f"web processes {result['web']}, {result['rounds']} rounds of {result['seconds']:g} s; medians",
        "CPU in milliseconds per report: app, database with its background writers (of which they), load generator",
        "",
        "kind   clients  requests/s   p50 ms   p99 ms     app  database (of which)  generator",
    ]
    lines += [
        f"{row['kind']:<7}{row['clients']:>7}{row['rate']:>12.0f}{row['p50']:>9.2f}{row['p99']:>9.2f}"
        f"{row['app_ms']:>8.3f}{row['database_ms']:>10.3f}{row['background_ms']:>11.3f}{row['generator_ms']:>11.3f}"
        for row in result["rows"]
    ]
    lines.append("")
    for name, value in result["ratios"].items():
        goal = result["goals"][name.rpartition("_")[0]]
        lines.append(f"{name:<18}{value:>8.1%}  goal {goal:.0%}  {'reached' if value >= goal else 'missed'}")
    goal = result["goals"]["cpu_ms"]
    for clients, value in result["cpu_ms"].items():
        verdict = "reached" if value <= goal else "missed"
        lines.append(f"{f'cpu_ms_{clients}':<18}{value:>8.2f}  goal {goal:g}  {verdict}")
    if result["cases"]:
        lines.append(f"young: the database measured above; old: one with {result['cases']:,} cases")
    return "\n".join(lines)


def main() -> None:
    """Read the arguments, run, print the tables and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6, help="length of one stint")
    parser.add_argument("--rounds", type=int, default=3, help="stints of each kind and number of clients")
    parser.add_argument("--clients", default="4,32", help="numbers of clients, comma separated")
    parser.add_argument("--cases", type=int, default=1_000_000, help="cases of the old database; 0 leaves that out")
    parser.add_argument("--web", type=int, default=1, help="processes of the product, and of the echo")
    parser.add_argument("--json", action="store_true", help="the line of JSON alone")
    given = parser.parse_args()
    given.clients = [int(each) for each in given.clients.split(",")]
    result = compare(given)
    if not given.json:
        print(told(result))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
