"""The hour in which everything falls due: reminders and breaches of many limits, two workers, one of them killed.

    python -m bench.due [--cases 100000] [--spread 3600] [--workers 2] [--no-kill] [--json]

One run on a fresh embedded database with the shipped province. Every case has one limit of five minutes whose 50 % and
80 % reminders and breach fall into the run, `--spread` seconds from the first limit's to the last one's; with 0 all
fall into the same instant, as working days end at 17:00. Reports come in meanwhile, one after the other. After the
first quarter of what is to be written one worker is killed and does not come back. Measured are how long after its
moment each line was in the journal, whether every one is there exactly once, and how long intake took.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

import migrations
from bench.intake import ROOT, Server
from core.db import Database
from core.postgres import Cluster
from routing import commands as routing_commands

MINUTES = 5  # of a limit
TURNS = 3  # of each limit: two reminders and the breach
AHEAD = timedelta(seconds=20)  # between the filling and the first reminder
SOON_ENOUGH = 60.0  # seconds a breach may take to be seen
BETWEEN = 0.05  # seconds between two reports

# Copies of the one case there is, each with one limit of MINUTES; $1 how many, $2 the first due time, $3 the seconds
# from the first to the last of them.
FILL = (
    "CREATE TEMP TABLE sample AS SELECT * FROM cases LIMIT 1",
    """
    INSERT INTO cases SELECT made.* FROM sample, generate_series(1, $1) n, LATERAL jsonb_populate_record(
        sample, jsonb_build_object('id', md5('case' || n)::uuid, 'code', 'BP-00-' || lpad(n::text, 7, '0'),
            'status', 'in_progress', 'lead', 'so-xd', 'units', jsonb_build_array('so-xd'),
            'key_of', md5('case' || n)::uuid)) AS made
    """,
    f"""
    INSERT INTO limits (id, case_id, stage, holder, clock, amount, unit, calendar, opened_at, due_at, next_at)
    SELECT md5('limit' || n)::uuid, md5('case' || n)::uuid, 'resolve', 'so-xd', 'calendar', {MINUTES}, 'min',
           'province', due - interval '{MINUTES} min', due, due - interval '{MINUTES * 30} seconds'
    FROM (SELECT n, $2::timestamptz + make_interval(secs => $3::float8 * (n - 1) / $1) AS due
          FROM generate_series(1, $1) n) each
    """,  # noqa: S608 - a constant of this module
)
# How often each line is in the journal, and how many seconds after its moment; a line that is missing has none.
WRITTEN = f"""
    WITH told AS (
        SELECT op ->> 'id' AS id, coalesce(CAST(op ->> 'percent' AS int), 100) AS percent, count(*) AS times,
               min(recorded_at) AS at
        FROM journal, jsonb_array_elements(data -> 'limits') op
        WHERE kind IN ('limit.reminded', 'limit.breached') AND op ->> 'stage' = 'resolve' GROUP BY 1, 2
    )
    SELECT percent, count(*) FILTER (WHERE times = 1) AS once, count(*) FILTER (WHERE times > 1) AS repeated,
           count(*) FILTER (WHERE times IS NULL) AS missing,
           max(extract(epoch FROM at - moment)) AS last, min(extract(epoch FROM at - moment)) AS first,
           percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM at - moment)) AS p99
    FROM (SELECT id::text, percent, opened_at + (due_at - opened_at) * share AS moment
          FROM limits, (VALUES (50, 0.5), (80, 0.8), (100, 1.0)) AS shares (percent, share)
          WHERE stage = 'resolve' AND amount = {MINUTES}) owed
    LEFT JOIN told USING (id, percent) GROUP BY percent ORDER BY percent
"""  # noqa: S608 - constants of this module


async def fill(
    connection: "asyncpg.Connection[asyncpg.Record]", cases: int, first_due: datetime, spread: float
) -> None:
    """Copy the one case there is `cases` times, due from `first_due` on, the last `spread` seconds later."""
    await connection.execute("SET session_replication_role = replica")  # the references are right by construction
    await connection.execute(FILL[0])
    await connection.execute(FILL[1], cases)
    await connection.execute(FILL[2], cases, first_due, float(spread))
    await connection.execute("SET session_replication_role = origin")
    await connection.execute("ANALYZE")


async def report(port: int) -> float:
    """One report over HTTP; the seconds it took."""
    began = time.perf_counter()
    body = json.dumps({"text": "Đường hư nhiều ổ gà trước chợ", "field": "infra.road"}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/reports", body, {"Content-Type": "application/json"}
    )

    def ask() -> None:
        with urllib.request.urlopen(request, timeout=60) as answer:
            if answer.status != 201:
                raise RuntimeError(f"a report was answered with {answer.status}")

    await asyncio.to_thread(ask)
    return time.perf_counter() - began


async def reports(port: int, over: asyncio.Event) -> list[float]:
    """One report after the other until it is over; what each took."""
    took = []
    while not over.is_set():
        took.append(await report(port))
        await asyncio.sleep(BETWEEN)
    return took


async def watch(dsn: str, lines: int, ends: datetime, workers: list[Any], over: asyncio.Event, kill: bool) -> int:
    """Until every line is written or its time is long over; kills a worker after a quarter. How many then were left."""
    connection = await asyncpg.connect(dsn)
    count = f"SELECT sum((reminded >= 50)::int + (reminded >= 80)::int + (reminded = 100)::int) FROM limits WHERE amount = {MINUTES}"  # noqa: S608, E501 - a constant of this module
    written = 0
    try:
        while written < lines and datetime.now(UTC) < ends:
            await asyncio.sleep(1)
            written = await connection.fetchval(count)
            if kill and written >= lines / 4:
                workers[0].send_signal(signal.SIGKILL)
                kill = False
    finally:
        over.set()
        await connection.close()
    return lines - written


async def run(given: argparse.Namespace, url: str, environment: dict[str, str]) -> dict[str, Any]:
    """Fill, wait, look."""
    dsn = url.replace("postgresql+asyncpg://", "postgresql://")
    await asyncio.to_thread(migrations.upgrade, dsn)
    database = Database(url, pool=2)
    async with database.transaction() as session:
        await routing_commands.seed(session, datetime.now(UTC))
    await database.close()
    web, workers = Server(["main.py", "web"], 1, environment), []
    try:
        await asyncio.to_thread(web.wait, "/readyz")
        await report(web.ports[0])
        connection = await asyncpg.connect(dsn)
        began = datetime.now(UTC)
        # The first limit's first reminder is AHEAD of the end of the filling, which takes about a second for 10,000.
        first = began + AHEAD + timedelta(seconds=given.cases / 5_000) + timedelta(minutes=MINUTES / 2)
        await fill(connection, given.cases, first, given.spread)
        await connection.close()
        for _ in range(given.workers):
            workers.append(
                await asyncio.create_subprocess_exec(
                    sys.executable, "main.py", "worker", cwd=ROOT, env=environment, stdout=asyncio.subprocess.DEVNULL
                )
            )
        over = asyncio.Event()
        ends = first + timedelta(seconds=given.spread + 2 * SOON_ENOUGH)
        lines = given.cases * TURNS
        took, _ = await asyncio.gather(reports(web.ports[0], over), watch(dsn, lines, ends, workers, over, given.kill))
        connection = await asyncpg.connect(dsn)
        rows = await connection.fetch(WRITTEN)
        await connection.close()
    finally:
        for each in workers:
            if each.returncode is None:
                each.kill()
            await each.wait()
        web.stop()
    ordered = sorted(took)
    shares = {
        str(row["percent"]): {
            **{name: row[name] for name in ("once", "repeated", "missing")},
            **{f"{name}_s": round(float(row[name] or 0), 2) for name in ("first", "p99", "last")},
        }
        for row in rows
    }
    return {
        "shares": shares,
        "intake": {
            "reports": len(ordered),
            "p50_ms": round(ordered[len(ordered) // 2] * 1000, 1),
            "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1000, 1),
        },
        "ok": all(row["once"] == given.cases and row["first"] >= 0 and row["last"] <= SOON_ENOUGH for row in rows),
    }


def told(result: dict[str, Any]) -> str:
    """For people."""
    lines = ["share       once   repeated   missing   99 % within s   last after s"]
    for percent, row in result["shares"].items():
        lines.append(
            f"{percent + ' %':<6}{row['once']:>10}{row['repeated']:>11}{row['missing']:>10}"
            f"{row['p99_s']:>16.2f}{row['last_s']:>15.2f}"
        )
    intake = result["intake"]
    lines.append(
        f"Meanwhile {intake['reports']} reports were taken in: p50 {intake['p50_ms']} ms, p99 {intake['p99_ms']} ms."
    )
    return "\n".join(lines)


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """A run with everything of its own."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hotline-bench-")))
        folder.chmod(0o711)  # PostgreSQL runs as another account when we are root
        cluster = stack.enter_context(Cluster(folder / "data"))
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HOTLINE_")},
            "PYTHONPATH": str(ROOT),
            "HOTLINE_DATA_DIR": str(folder / "data"),
            "HOTLINE_DATABASE_URL": cluster.url,
            "HOTLINE_SECRET_KEY": "bench" * 8,
            "HOTLINE_LOG_LEVEL": "error",
            "HOTLINE_RATE_LIMITS": "off",
        }
        return asyncio.run(run(given, cluster.url, environment))


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--spread", type=float, default=3600, help="seconds from the first due time to the last")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--no-kill", dest="kill", action="store_false", help="let all workers live")
    parser.add_argument("--json", action="store_true", help="a line of JSON alone")
    return parser.parse_args(words)


def main() -> None:
    """Read the arguments, run, print; exit 1 when a line is missing, twice, or came too late."""
    given = arguments()
    result = measure(given)
    if not given.json:
        print(told(result))
    print(json.dumps(result))
    if not result["ok"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
