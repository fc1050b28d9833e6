"""From an act to every open screen: how long a console waits until it hears of what somebody else did.

    python -m bench.live [--consoles 100] [--pace 10] [--seconds 30] [--web 1] [--json]

One run on a fresh embedded database with the demo's people: `main.py web` and `main.py worker` as they are served,
consoles in a process of their own, acts from this one at a steady pace. A case is reported, forwarded, accepted and
noted on, in turns; each act is heard by every console of the centre, by those of the unit from its forwarding on. The
time runs from the answer to the act, which is after its commit, to the moment the event has been read by the console.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import httpx
import uvloop
from sqlmodel import select

from bench.intake import ROOT, Server
from cases import demo
from core import auth
from core.db import Database
from core.due import Duty
from core.postgres import Cluster
from core.staff import Staff
from web.deps import COOKIE
from web.hub import MOST_SCREENS

PASSWORD = "bench-pass-1"
CENTRE = ("agent@demo", "dispatcher@demo", "supervisor@demo", "leader@demo", "inspector@demo", "admin@demo")
UNIT = ("officer@demo", "head@demo")
WATCHING = (*CENTRE, *UNIT)
GOAL = 1.0  # seconds from the act to the last screen
SETTLING = 3.0  # seconds the last events may take
ACTS: tuple[tuple[str, str, dict[str, str]], ...] = (  # who does what to a case, in turn; the first is its report
    ("", "open", {"text": "Đèn đường tắt nhiều đêm trước cổng chợ", "field": "infra.light"}),
    ("dispatcher@demo", "forward", {"lead": demo.OFFICERS}),
    ("officer@demo", "accept", {}),
    ("agent@demo", "note", {"text": "Người dân gọi lại hỏi thăm"}),
)


async def watch(port: int, cookies: list[str]) -> None:
    """The consoles' process: connect, say so, listen until told to end, print [console, case, act, moment]."""
    heard: list[tuple[int, str, str, float]] = []

    async def console(number: int, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            if line.startswith(b"event: "):
                general = line == b"event: case\n"
            elif line.startswith(b"data: ") and general:
                data = json.loads(line[6:])
                heard.append((number, data["code"], str(data.get("kind")), time.monotonic()))

    tasks = []
    for number, cookie in enumerate(cookies):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /console/live HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {COOKIE}={cookie}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise RuntimeError(head.decode())
        await reader.readuntil(b"id: ")  # it stands in the hub
        tasks.append(asyncio.create_task(console(number, reader)))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(json.dumps({"heard": heard, "ended": sum(task.done() for task in tasks)}), flush=True)
    for task in tasks:
        task.cancel()


async def act(url: str, tokens: dict[str, str], pace: float, seconds: float) -> list[tuple[str, str, float, float]]:
    """Acts at a steady pace, whatever they take: (case, act, moment of the answer, how long it took)."""
    acts: list[tuple[str, str, float, float]] = []
    under_way: set[asyncio.Task[None]] = set()
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:

        async def a_case(begin: float) -> None:
            code = ""
            for n, (who, name, body) in enumerate(ACTS):
                await asyncio.sleep(begin + n * len(ACTS) / pace - time.monotonic())
                headers = {"Authorization": f"Bearer {tokens[who]}"} if who else {}
                sent = time.monotonic()
                answer = await client.post(
                    f"/api/v1/cases/{code}/{name}" if who else "/api/v1/reports", json=body, headers=headers
                )
                answer.raise_for_status()
                code = code or answer.json()["code"]
                acts.append((code, f"case.{name}", time.monotonic(), time.monotonic() - sent))

        began = time.monotonic()
        for n in range(int(seconds * pace / len(ACTS))):
            task = asyncio.create_task(a_case(began + n * len(ACTS) / pace))
            under_way.add(task)
            await asyncio.sleep(began + n * len(ACTS) / pace - time.monotonic())
        await asyncio.gather(*under_way)
    await asyncio.sleep(SETTLING)
    return acts


async def people(url: str, consoles: int) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Bearer tokens of those who act, and (account, cookie) of each console; so many of one browser as it may have."""
    database, at = Database(url, pool=2), datetime.now(UTC)
    async with database.transaction() as session:
        await demo.make(session, PASSWORD, at)
        staff = {person.email: person.id for person in (await session.exec(select(Staff))).all()}
        tokens = {who: await auth.sign_in(session, staff[who], "bearer", at) for who, _, _ in ACTS if who}
        cookies = []
        for who in islice(cycle(WATCHING), -(-consoles // MOST_SCREENS)):
            cookie = await auth.sign_in(session, staff[who], "cookie", at)
            cookies += [(who, cookie)] * MOST_SCREENS
    await database.close()
    return tokens, cookies[:consoles]


async def at_work(url: str) -> None:
    """Return when the worker has started: its first round makes the rows of its duties."""
    database = Database(url, pool=2)
    found = False
    while not found:
        await asyncio.sleep(0.1)
        async with database.transaction() as session:
            found = (await session.exec(select(Duty).limit(1))).first() is not None
    await database.close()


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """The whole run."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hotline-bench-")))
        folder.chmod(0o711)  # PostgreSQL runs as another account when we are root
        cluster = stack.enter_context(Cluster(folder / "data"))
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "HOTLINE_DATA_DIR": str(folder / "data"),
            "HOTLINE_RATE_LIMITS": "off",
        }
        subprocess.run([sys.executable, "main.py", "migrate"], cwd=ROOT, env=environment, check=True, stdout=2)
        tokens, cookies = asyncio.run(people(cluster.url, given.consoles))
        server = Server(["main.py", "web"], given.web, environment)
        stack.callback(server.stop)
        server.wait("/readyz")
        worker = subprocess.Popen([sys.executable, "main.py", "worker"], env=environment, cwd=ROOT)
        stack.callback(worker.wait, 30)
        stack.callback(worker.terminate)
        watchers = [_Watchers(port, cookies[n :: given.web], environment) for n, port in enumerate(server.ports)]
        asyncio.run(at_work(cluster.url))
        load_before = os.getloadavg()[0]
        acts = asyncio.run(act(f"http://127.0.0.1:{server.ports[0]}", tokens, given.pace, given.seconds))
        heard = [each for watcher in watchers for each in watcher.end()]
        return {**_judged(acts, heard, [who for who, _ in cookies]), **_circumstances(given, load_before)}


class _Watchers:
    """The consoles of one web process, in a process of their own."""

    def __init__(self, port: int, cookies: list[tuple[str, str]], environment: dict[str, str]) -> None:
        self.whose = [who for who, _ in cookies]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.live", "--watch", str(port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
        )  # fmt: skip
        self._say(json.dumps([cookie for _, cookie in cookies]))
        if self._line() != "ready":
            raise RuntimeError("the consoles did not connect")

    def end(self) -> list[tuple[str, str, str, float]]:
        """(account, case, act, moment) of everything heard."""
        self._say("enough")
        told = json.loads(self._line())
        self._process.wait(30)
        if told["ended"]:
            raise RuntimeError(f"{told['ended']} streams ended before their time")
        return [(self.whose[number], code, kind, at) for number, code, kind, at in told["heard"]]

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def _judged(
    acts: list[tuple[str, str, float, float]], heard: list[tuple[str, str, str, float]], whose: list[str]
) -> dict[str, Any]:
    answered = {(code, kind): at for code, kind, at, _ in acts}
    arrived: dict[tuple[str, str], list[float]] = {each: [] for each in answered}
    for who, code, kind, at in heard:
        early = kind == "case.open" and who not in CENTRE  # read late, when the unit had the case already
        if (code, kind) in arrived and not early:
            arrived[code, kind].append(max(0.0, at - answered[code, kind]))
    centre = sum(who in CENTRE for who in whose)
    wanted = sum(centre if kind == "case.open" else len(whose) for _, kind in answered)
    waits = sorted(wait for each in arrived.values() for wait in each)
    last = sorted(max(each) for each in arrived.values() if each)
    return {
        "acts": len(acts),
        "events": len(waits),
        "events_wanted": wanted,
        "event": _spread(waits),
        "last_screen": _spread(last),
        "answer": _spread(sorted(took for *_, took in acts)),
        "goal_s": GOAL,
        "reached": len(waits) == wanted and waits[-1] <= GOAL,
    }


def _spread(ordered: list[float]) -> dict[str, float]:
    return {
        "p50_ms": round(ordered[len(ordered) // 2] * 1000, 1),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1000, 1),
        "max_ms": round(ordered[-1] * 1000, 1),
    }


def _circumstances(given: argparse.Namespace, load_before: float) -> dict[str, Any]:
    return {
        "consoles": given.consoles,
        "pace": given.pace,
        "seconds": given.seconds,
        "web": given.web,
        "processors": os.cpu_count(),
        "load_average": [round(load_before, 1), round(os.getloadavg()[0], 1)],
    }


def told(result: dict[str, Any]) -> str:
    """The table for people."""
    lines = [
        f"{result['consoles']} consoles on {result['web']} web processes, {result['acts']} acts, {result['pace']:g} a "
        f"second; {result['processors']} processors, load average {result['load_average'][0]} to "
        f"{result['load_average'][1]}",
        "",
        "from the answer to                 p50 ms    p99 ms    max ms",
    ]
    rows = (("event", "the event on each screen"), ("last_screen", "the event on the last screen"))
    for name, title in (*rows, ("answer", "(the act's own answer, from its request)")):
        row = result[name]
        lines.append(f"{title:<31}{row['p50_ms']:>10.0f}{row['p99_ms']:>10.0f}{row['max_ms']:>10.0f}")
    verdict = "reached" if result["reached"] else "missed"
    lines += ["", f"{result['events']} of {result['events_wanted']} events; goal {GOAL:g} s at most: {verdict}"]
    return "\n".join(lines)


def main() -> None:
    """Read the arguments, run, print the table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--consoles", type=int, default=100, help="open console pages")
    parser.add_argument("--pace", type=float, default=10, help="acts a second")
    parser.add_argument("--seconds", type=float, default=30, help="how long cases are begun")
    parser.add_argument("--web", type=int, default=1, help="web processes; acts go to the first")
    parser.add_argument("--json", action="store_true", help="the line of JSON alone")
    parser.add_argument("--watch", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.watch:
        uvloop.run(watch(given.watch, json.loads(sys.stdin.readline())))
        return
    result = measure(given)
    if not given.json:
        print(told(result))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
