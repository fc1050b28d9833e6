"""A town writes at once: a vendor's signed events fill the queue while nobody works on it, then workers empty it.

    python -m bench.arrivals [--events 10000] [--senders 2500] [--clients 32] [--web 1] [--workers 2] [--json]

One run on a fresh embedded database with the shipped province. Zalo's events, because Zalo waits the shortest time for
an answer: 2 seconds. Every sender says several things about one matter; the vendor itself is not there, so receipts are
queued and go nowhere. Measured are answers to the webhook while the queue fills and, a few a second, while it is
emptied; how fast either happens; and whether every sender's words stand in the case in the order they were said.
"""

import argparse
import asyncio
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

import migrations
from bench.intake import ROOT, Server
from core.db import Database
from core.postgres import Cluster
from routing import commands as routing_commands

LIMIT = 2.0  # seconds that Zalo waits for an answer
TRICKLE = 0.05  # seconds between two events while the queue is emptied
MATTERS = ("Mặt đường hư hỏng nặng", "Đèn đường tắt đã một tuần", "Cống nghẹt, nước tràn vào nhà", "Rác chất đống")
SETTINGS = {
    "ZALO_APP_ID": "1234567890123456789",
    "ZALO_APP_SECRET": "app-secret",
    "ZALO_OA_ID": "4318657068771012646",
    "ZALO_OA_SECRET_KEY": "oa-secret",
    "ZALO_REFRESH_TOKEN": "nobody-asks-for-it",
    **dict.fromkeys(("ZALO_API_URL", "ZALO_OAUTH_URL", "ZALO_BUSINESS_URL"), "http://127.0.0.1:9"),
}


@dataclass(frozen=True, slots=True)
class Waits:
    """How long answers took, in seconds."""

    count: int
    p50: float
    p99: float
    most: float

    @classmethod
    def of(cls, took: Sequence[float]) -> "Waits":
        """The figures of some measurements."""
        ordered = sorted(took) or [0.0]
        return cls(len(took), ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)], ordered[-1])


def requests(events: int, senders: int, first: int = 0) -> Iterator[bytes]:
    """Signed webhooks: everybody's first message, then everybody's second one, and so on."""
    for number in range(events):
        sender, turn = first + number % senders, number // senders
        now = str(int(time.time() * 1000))
        event = {
            "app_id": SETTINGS["ZALO_APP_ID"],
            "event_name": "user_send_text",
            "sender": {"id": f"{7_000_000_000_000 + sender}"},
            "recipient": {"id": SETTINGS["ZALO_OA_ID"]},
            "message": {"msg_id": f"m{sender}-{turn}", "text": f"{MATTERS[sender % len(MATTERS)]}, lần {turn}"},
            "timestamp": now,
        }
        body = json.dumps(event, ensure_ascii=False).encode()
        terms = (SETTINGS["ZALO_APP_ID"].encode(), body, now.encode(), SETTINGS["ZALO_OA_SECRET_KEY"].encode())
        yield b"\r\n".join(
            (
                b"POST /webhooks/zalo HTTP/1.1",
                b"Host: 127.0.0.1",
                b"Content-Type: application/json",
                b"X-ZEvent-Signature: mac=" + hashlib.sha256(b"".join(terms)).hexdigest().encode(),
                b"Content-Length: %d" % len(body),
                b"",
                body,
            )
        )


async def knock(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> float:
    """One webhook; the seconds until its whole answer. RuntimeError for any answer but 200."""
    began = time.perf_counter()
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
    body = await reader.readexactly(length)
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError(f"{head.decode()}{body.decode()}")
    return time.perf_counter() - began


async def pour(ports: Sequence[int], events: Iterator[bytes], clients: int, *, pause: float = 0) -> list[float]:
    """Send everything over so many connections, `pause` seconds after each answer; how long each answer took."""
    took: list[float] = []

    async def one(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in events:
            took.append(await knock(reader, writer, request))
            await asyncio.sleep(pause)
        writer.close()

    await asyncio.gather(*(one(ports[number % len(ports)]) for number in range(clients)))
    return took


async def trickle(port: int, over: asyncio.Event, first: int) -> list[float]:
    """A few new people a second, until told that it is over."""

    def people() -> Iterator[bytes]:
        yielded = 0
        while not over.is_set():
            yield from requests(1, 1, first + yielded)
            yielded += 1

    return await pour([port], people(), 1, pause=TRICKLE)


async def emptied(dsn: str, over: asyncio.Event, patience: float) -> float:
    """Wait until what waits now is done, then say that it is over; the seconds since the first of it was done."""
    connection = await asyncpg.connect(dsn)
    newest = await connection.fetchval("SELECT max(received_at) FROM received")
    left = "SELECT count(*) FROM received WHERE run_at IS NOT NULL AND received_at <= $1"
    total, end, began = await connection.fetchval(left, newest), time.monotonic() + patience, None
    try:
        while time.monotonic() < end:
            waiting = await connection.fetchval(left, newest)
            began = time.monotonic() if began is None and waiting < total else began
            if began is not None and not waiting:
                return time.monotonic() - began
            await asyncio.sleep(0.1)
    finally:
        over.set()
        await connection.close()
    raise RuntimeError(f"not emptied within {patience:.0f} s")


async def in_order(dsn: str, events: int, senders: int) -> bool:
    """Whether every sender has one case, which holds all they said in the order they said it."""
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(
        "SELECT i.handle, count(DISTINCT e.case_id) AS cases,"
        " array_agg(substring(e.text from 'lần (\\d+)')::int ORDER BY e.id) AS said"
        " FROM identities i JOIN cases c USING (citizen_id) JOIN entries e ON e.case_id = c.id"
        " WHERE i.handle::bigint < $1 AND e.author_kind = 'citizen' GROUP BY i.handle",
        7_000_000_000_000 + senders,
    )
    await connection.close()
    expected = {
        str(7_000_000_000_000 + sender): list(range((events - sender - 1) // senders + 1)) for sender in range(senders)
    }
    alone = all(row["cases"] == 1 for row in rows)
    return alone and {row["handle"]: row["said"] for row in rows} == expected


async def run(given: argparse.Namespace, folder: Path, url: str, environment: dict[str, str]) -> dict[str, Any]:
    """Fill, empty, look."""
    dsn = url.replace("postgresql+asyncpg://", "postgresql://")
    await asyncio.to_thread(migrations.upgrade, dsn)
    database = Database(url, pool=2)
    async with database.transaction() as session:
        await routing_commands.seed(session, datetime.now(UTC))
    await database.close()
    web = Server(["main.py", "web"], given.web, environment)
    workers = []
    try:
        await asyncio.to_thread(web.wait, "/readyz")
        await pour(web.ports, requests(50, 50, 8_000_000), 4)
        began = time.monotonic()
        filling = await pour(web.ports, requests(given.events, given.senders), given.clients)
        filled = time.monotonic() - began
        for _ in range(given.workers):
            workers.append(
                await asyncio.create_subprocess_exec(
                    sys.executable, "main.py", "worker", cwd=ROOT, env=environment, stdout=asyncio.subprocess.DEVNULL
                )
            )
        over = asyncio.Event()
        emptying, seconds = await asyncio.gather(
            trickle(web.ports[0], over, 9_000_000), emptied(dsn, over, 60 + given.events / 10)
        )
        ordered = await in_order(dsn, given.events, given.senders)
    finally:
        for each in workers:
            each.kill()
            await each.wait()
        web.stop()
    return {
        "filling": vars_of(Waits.of(filling)),
        "emptying": vars_of(Waits.of(emptying)),
        "arrivals_a_second": round(given.events / filled, 1),
        "taken_in_a_second": round(given.events / seconds, 1),
        "limit_over_slowest": round(LIMIT / max(*filling, *emptying), 1),
        "in_order": ordered,
    }


def vars_of(waits: Waits) -> dict[str, float]:
    """For JSON, in milliseconds."""
    times = {name: round(getattr(waits, name) * 1000, 1) for name in ("p50", "p99", "most")}
    return {"answers": waits.count, **times}


def told(result: dict[str, Any], given: argparse.Namespace) -> str:
    """For people."""
    lines = ["answers to the webhook   count   p50 ms   p99 ms   longest ms"]
    for name, words in (("filling", "while the queue fills"), ("emptying", "while it is emptied")):
        row = result[name]
        lines.append(f"{words:<22}{row['answers']:>8}{row['p50']:>9.1f}{row['p99']:>9.1f}{row['most']:>13.1f}")
    lines += [
        f"Zalo waits {result['limit_over_slowest']} times as long as the slowest answer took.",
        f"{given.events} events came {result['arrivals_a_second']} a second into {given.web} web process(es), and were "
        f"taken in {result['taken_in_a_second']} a second by {given.workers} worker(s): "
        f"{result['taken_in_a_second'] / result['arrivals_a_second']:.2f} of the rate they came at.",
        "Every sender's words are in one case, in order." if result["in_order"] else "WRONG: not all are in order.",
    ]
    return "\n".join(lines)


def main() -> None:
    """Read the arguments, run, print; exit 1 when an answer came too late or anything is out of order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--senders", type=int, default=2_500)
    parser.add_argument("--clients", type=int, default=32, help="connections of the vendor")
    parser.add_argument("--web", type=int, default=1, help="web processes")
    parser.add_argument("--workers", type=int, default=2, help="workers")
    parser.add_argument("--json", action="store_true", help="a line of JSON alone")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hotline-bench-")))
        folder.chmod(0o711)  # PostgreSQL runs as another account when we are root
        cluster = stack.enter_context(Cluster(folder / "data"))
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HOTLINE_")},
            **{f"HOTLINE_{name}": value for name, value in SETTINGS.items()},
            "PYTHONPATH": str(ROOT),
            "HOTLINE_DATA_DIR": str(folder / "data"),
            "HOTLINE_DATABASE_URL": cluster.url,
            "HOTLINE_SECRET_KEY": "bench" * 8,
            "HOTLINE_LOG_LEVEL": "error",
        }
        result = asyncio.run(run(given, folder, cluster.url, environment))
    if not given.json:
        print(told(result, given))
    print(json.dumps(result))
    if not result["in_order"] or result["limit_over_slowest"] < 1:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
