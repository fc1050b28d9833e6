"""What the board costs in the database: a year of figures, read for each period it offers.

    python -m bench.board [--rows 500000] [--open 20000] [--rounds 7] [--plans]

Fills `figures` with so many rows spread over two years of days (what a day adds to a cell is at random), sums them by
month as the projection does, and makes so many open cases; then runs the board's own two statements under EXPLAIN
(ANALYZE), where the best of the rounds tells most on a busy machine. "days only" is the same reading with the months
left unused. The last line is JSON.
"""

import argparse
import asyncio
import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import asyncpg
from sqlalchemy import event

import migrations
from bench.reads import told_plan
from bench.year import build
from cases import demo
from core.db import APP_ROLE, Database
from core.postgres import Cluster
from ioc.board import READ, Scope, board_figures, stock
from ioc.definitions import SPLIT_BY_MONTH
from ioc.periods import Period
from routing import queries as routing_queries

GOAL = 20.0
DAYS = 730
FILL = """
    INSERT INTO figures (figure, day, department, field, channel, area, bucket, value)
    SELECT names.figure, CAST($1 AS date) - (n % $3), 'd' || floor(power(random(), 2) * 60),
           'f' || floor(random() * 50),
           (ARRAY['web', 'voice', 'zalo', 'app', 'email'])[1 + floor(power(random(), 2) * 5)],
           'a' || floor(power(random(), 3) * 95),
           CASE WHEN names.figure = 'first_response' THEN 40 + floor(random() * 60) ELSE 0 END, 1 + floor(random() * 4)
    FROM generate_series(1, $2) n, LATERAL (SELECT ($4::text[])[1 + (n / $3) % cardinality($4)] AS figure) names
    ON CONFLICT DO NOTHING
"""
MONTHS = """
    INSERT INTO figure_months
    SELECT * FROM (
        SELECT figure, CAST(date_trunc('month', day) AS date) AS month, coalesce(department, '*') AS department,
               coalesce(field, '*') AS field, coalesce(channel, '*') AS channel, coalesce(area, '*') AS area, bucket,
               sum(value)
        FROM figures
        GROUP BY GROUPING SETS ((1, 2, bucket), (1, 2, bucket, figures.department), (1, 2, bucket, figures.field),
                                (1, 2, bucket, figures.channel), (1, 2, bucket, figures.area))
    ) summed
    WHERE '*' = ALL (ARRAY[department, field, channel, area])
       OR department <> '*' AND figure = ANY($1) OR '*' = department AND figure = ANY($2)
"""
OTHERS = (
    "forwarded", "closed", "opened", "ended", "open", "chased", "resolution", "forward_time", "due.accept",
    "due_met.accept", "met.accept", "met_in_time.accept", "due.forward", "due_met.forward", "met.forward",
    "met_in_time.forward", "refused.unclear", "refused.private",
)  # fmt: skip


async def run(given: argparse.Namespace, url: str) -> dict[str, Any]:
    """Fill, ask, tell."""
    plain = url.replace("postgresql+asyncpg://", "postgresql://")
    await asyncio.to_thread(migrations.upgrade, plain)
    database, at = Database(url, pool=2), datetime.now(UTC)
    today = at.date()
    async with database.transaction() as session:
        await demo.make(session, "bench-board-1", at)
        routing = await routing_queries.load(session)
    owner = await asyncpg.connect(plain)
    names = [figure for figure in (*READ, *OTHERS) for _ in range(3 if figure == "first_response" else 1)]
    await owner.execute(FILL, today, given.rows * DAYS // 365, DAYS, names)
    await owner.execute(MONTHS, list(SPLIT_BY_MONTH["department"]), list(SPLIT_BY_MONTH["field"]))
    looking = await owner.fetch("SELECT id, split_part(email, '@', 1) AS name FROM staff WHERE email ~ '^(off|insp)'")
    await build(plain, given.open * 100, at, {row["name"]: str(row["id"]) for row in looking})
    await owner.execute("VACUUM ANALYZE")
    rows = await owner.fetchval("SELECT count(*) FROM figures WHERE day > $1", today - timedelta(days=365))
    months = await owner.fetchval("SELECT count(*) FROM figure_months")
    opened = await owner.fetchval("SELECT count(*) FROM cases WHERE ended_at IS NULL AND replied_at IS NULL")
    print(f"{rows:,} figure rows in a year, {months:,} of months, {opened:,} open cases", flush=True)
    connection = await asyncpg.connect(plain, server_settings={"role": APP_ROLE, "timezone": "UTC"})
    answers: dict[str, dict[str, float]] = {}

    async def measure(name: str, ask: Any) -> None:
        sent: list[tuple[str, tuple[Any, ...]]] = []

        def note(_: Any, __: Any, statement: str, parameters: tuple[Any, ...], *___: Any) -> None:
            sent.append((statement, parameters))

        event.listen(database.engine.sync_engine, "before_cursor_execute", note)
        async with database.transaction() as session:
            await ask(session)
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)
        took, plan = [], {}
        statement, arguments = sent[-1]
        for _ in range(given.rounds):
            told = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *arguments)
            plan = json.loads(told)[0]
            took.append(plan["Planning Time"] + plan["Execution Time"])
        answers[name] = {"median": round(median(took), 1), "fastest": round(min(took), 1)}
        print(f"{name:<46} {median(took):>8.1f} ms  {min(took):>8.1f} ms at best", flush=True)
        if given.plans:
            print(told_plan(plan["Plan"]), flush=True)

    year = Period(today.replace(month=1, day=1), today)
    periods = {f"{days} days": Period(today - timedelta(days=days - 1), today) for days in (1, 7, 30, 90, 365)}
    for name, period in {**periods, "this year": year}.items():
        await measure(name, lambda session, period=period: board_figures(session, period, Scope()))
    await measure("this year, one department", lambda session: board_figures(session, year, Scope(department="d1")))
    with patch.object(Period, "months", lambda self: (self.to + timedelta(days=1),) * 2):
        await measure("365 days, days only", lambda session: board_figures(session, periods["365 days"], Scope()))
    centre = routing.directory.centre
    await measure("the stock", lambda session: stock(session, at, UTC, centre, Scope()))
    await connection.close()
    await owner.close()
    await database.close()
    return {"rows": rows, "months": months, "open": opened, "goal": GOAL, "milliseconds": answers}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--open", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--plans", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hotline-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL runs as another account when we are root
        with Cluster(folder / "data") as cluster:
            result = asyncio.run(run(given, cluster.url))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
