"""What it costs to tell people: notices, letters and steps upwards of many limits that fall due together.

    python -m bench.notices [--cases 100000] [--people 3000] [--json]

One run on a fresh embedded database with the shipped province, in one process and without a web server. Every case has
one limit whose two reminders and breach are in the journal (written by `cases.due_work`, measured by `bench.due`) when
the clock starts; people are told by `cases.notices`, and a working day later `cases.escalation` takes each limit
one step upwards. `--people` accounts work here, a tenth of them in the unit that owes it all, five of those on duty.
"""

import argparse
import asyncio
import json
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

import migrations
from bench import due
from cases import digests, due_work, escalation, notices
from cases.intake import CaseNumbers, IntakeDesk, Report, open_case
from core import journal
from core.db import Database, bare
from core.postgres import Cluster
from routing import commands as routing_commands
from routing.queries import Routing, load

STAFF = """
    INSERT INTO staff (id, email, name, password_hash, active, created_at)
    SELECT md5('staff' || n)::uuid, 'p' || n || '@bench', 'Người ' || n, '-', true, now() FROM generate_series(1, $1) n
"""
ROLES = """
    INSERT INTO role_grants SELECT md5('staff' || n)::uuid,
        CASE n WHEN 1 THEN 'head' WHEN 2 THEN 'supervisor' WHEN 3 THEN 'admin' ELSE 'officer' END, now()
    FROM generate_series(1, $1) n
"""
HOMES = """
    INSERT INTO staff_departments SELECT md5('staff' || n)::uuid,
        CASE WHEN n = 2 THEN 'trung-tam-1022' WHEN n <= 1 + $1 / 10 THEN 'so-xd' ELSE 'so-yte' END
    FROM generate_series(1, $1) n
"""
SHIFTS = """
    INSERT INTO duty_shifts SELECT md5('shift' || n)::uuid, 'so-xd', md5('staff' || n)::uuid,
        now() - interval '1 day', now() + interval '30 days' FROM generate_series(4, 8) n
"""
WAYS = """
    INSERT INTO notice_ways (staff_id, channel, mode, handle, verified_at, digest_at, upto)
    SELECT md5('staff' || n)::uuid, 'email', 'at_once', 'p' || n || '@bench.invalid', now(), '07:30', 0
    FROM generate_series(1, $1) n
"""


async def fill(database: Database, dsn: str, cases: int, people: int, at: datetime) -> Routing:
    """The province, its people, and cases whose limits are over."""
    async with database.transaction() as session:
        await routing_commands.seed(session, at)
        routing = await load(session)
        desk = IntakeDesk(routing, CaseNumbers(), "BP", b"k" * 40)
        report = Report(channel="web", text="Đường hư nhiều ổ gà", field="infra.road")
        await open_case(await bare(session), desk, report, key="bench", at=at)
    connection = await asyncpg.connect(dsn)
    for statement in (STAFF, ROLES, HOMES, WAYS):
        await connection.execute(statement, people)
    await connection.execute(SHIFTS)
    await due.fill(connection, cases, at - timedelta(minutes=1), 0)
    await connection.close()
    return routing


async def run(given: argparse.Namespace, url: str) -> dict[str, Any]:
    """Fill, write the journal, tell."""
    dsn = url.replace("postgresql+asyncpg://", "postgresql://")
    await asyncio.to_thread(migrations.upgrade, dsn)
    database, at = Database(url, pool=2), datetime.now(UTC)
    routing = await fill(database, dsn, given.cases, given.people, at)
    found = due_work.BATCH
    while found == due_work.BATCH:
        async with database.transaction() as session:
            found = await due_work.run_due(session, routing, at)
    async with database.transaction() as session:
        await journal.number_positions(session)
        await notices.follow(session, routing, at, 1)  # what opening the one report said

    async def whole(work: Any, moment: datetime, batch: int) -> tuple[int, float, float, float]:
        """How much there was, how long it took, how much of that this process worked, the longest transaction."""
        total, longest, began, more, busy = 0, 0.0, time.perf_counter(), batch, time.process_time()
        while more == batch:
            start = time.perf_counter()
            async with database.transaction() as session:
                more = await work(session, routing, moment, batch)
            longest, total = max(longest, time.perf_counter() - start), total + more
        return total, time.perf_counter() - began, time.process_time() - busy, longest

    def letters(session: Any, rules: Routing, moment: datetime, limit: int) -> Any:
        return digests.run(session, rules, {"email"}, moment, site="", limit=limit)

    later = at + timedelta(days=5)
    result: dict[str, Any] = {"cases": given.cases, "people": given.people}
    for name, work, moment, batch in (
        ("followed", notices.follow, at, notices.BATCH),
        ("letters", letters, at, digests.BATCH),
        ("upwards", escalation.run, later, escalation.BATCH),
    ):
        total, took, busy, longest = await whole(work, moment, batch)
        result[name] = {
            "rows": total,
            "seconds": round(took, 2),
            "cpu_s": round(busy, 2),
            "per_second": round(total / took) if total else 0,
            "longest_ms": round(longest * 1000),
        }
    connection = await asyncpg.connect(dsn)
    for name in ("notices", "escalations_due", "escalations"):
        result[name] = await connection.fetchval(f"SELECT count(*) FROM {name}")  # noqa: S608 - constants
    result["kept_mb"] = round(await connection.fetchval("SELECT pg_total_relation_size('notices')") / 2**20)
    began = time.perf_counter()
    person = await connection.fetchval("SELECT staff_id FROM notices GROUP BY 1 ORDER BY count(*) DESC LIMIT 1")
    began = time.perf_counter()
    await connection.fetchval(
        "SELECT count(*) FROM (SELECT 1 FROM notices n JOIN cases c ON c.id = n.case_id WHERE staff_id = $1 "
        "AND seen_at IS NULL AND NOT c.restricted LIMIT 100) few",
        person,
    )
    result["bell_ms"] = round((time.perf_counter() - began) * 1000, 1)
    await connection.close()
    await database.close()
    return result


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--people", type=int, default=3_000)
    parser.add_argument("--json", action="store_true", help="a line of JSON alone")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hotline-bench-")))
        folder.chmod(0o711)  # PostgreSQL runs as another account when we are root
        cluster = stack.enter_context(Cluster(folder / "data"))
        result = asyncio.run(run(given, cluster.url))
    if not given.json:
        print("              rows   seconds   busy here   rows/s   longest transaction")
        for name in ("followed", "letters", "upwards"):
            each = result[name]
            told = f"{name:<10}{each['rows']:>8}{each['seconds']:>10.1f}{each['cpu_s']:>12.1f}{each['per_second']:>9}"
            print(f"{told}{each['longest_ms']:>14} ms")
        print(f"{result['notices']} notices in {result['kept_mb']} MB; the bell takes {result['bell_ms']} ms.")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
