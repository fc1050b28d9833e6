"""A changed limit tried on past cases: how long it takes, what the process is like meanwhile, and whether it is right.

    python -m bench.simulate [--cases 50000] [--sample 1000] [--seed 1] [--json]

A fresh embedded database with the shipped province, an own calendar for one department in ten, and --cases cases of
half a year written straight into the tables, with clocks as the rules in force give them: met in time and late, some
stopped, some extended, some given up, some still running. The draft gives the quick fields two working days instead of
three, and noise to another lead.

For a sample the verdicts are held against a re-run of the rules: rows read by the bare driver, `decide` by a rulebook
of its own, `due` from the limit's opening. All must be equal, or there is nothing to print. `pause` is the longest time
in which nothing else of the process got its turn.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import asyncpg

import migrations
from cases.codes import make_code
from cases.limits import new_limit
from cases.simulating import book_of, simulate
from core.db import Database
from core.ids import uuid7
from core.postgres import Cluster
from routing import commands as routing_commands
from routing import queries
from routing.decide import CHANNELS, URGENCIES, Facts, Rulebook, decide
from routing.queries import PROVINCE, Routing
from routing.rule_building import build
from routing.rule_drafts import RuleSetDraft
from routing.seeds import seed_rule_sets
from routing.simulating import PastCase, Result, Verdict
from routing.working_time import due

GOAL = 30.0  # seconds for 50,000 cases
DAYS = 180
CASE = (
    "id", "code", "version", "status", "track", "track_confirmed", "restricted", "urgency", "kind", "mode", "channel",
    "received_at", "created_at", "contact", "identity_revealed", "key_of", "key_version", "text", "field", "area",
    "area_candidates", "lead", "units", "rule_set_id", "decision", "give_backs", "needs_supervisor", "chased", "public",
)  # fmt: skip
LIMIT = (
    "id", "case_id", "stage", "holder", "clock", "amount", "unit", "calendar", "opened_at", "due_at", "met_at",
    "cancelled_at", "moved_to", "stops",
)  # fmt: skip


@dataclass(slots=True)
class Past:
    """The rows of one case."""

    case: tuple[Any, ...]
    limits: list[tuple[Any, ...]]


def a_draft() -> RuleSetDraft:
    """The example with one limit changed and one lead."""
    example = seed_rule_sets()[-1]
    limits = tuple(replace(rule, amount="2d/working") if rule.code == "R09" else rule for rule in example.limits)
    leads = tuple(replace(rule, lead="so-yte") if rule.code == "noise" else rule for rule in example.leads)
    return replace(example, code="tried", limits=limits, leads=leads)


def past(rng: random.Random, number: int, routing: Routing, fields: list[str], areas: list[str], at: datetime) -> Past:
    """A case and its clocks, each as the rules in force give it."""
    received = at - timedelta(minutes=rng.randrange(DAYS * 24 * 60))
    dated = routing.at(received)
    facts = Facts(
        received_at=received,
        field=rng.choice(fields),
        urgency=rng.choices(URGENCIES, (1, 4, 90, 5))[0],
        area=rng.choice(areas),
        channel=rng.choice(CHANNELS),
        competence_clear=True,
    )
    decision, book = decide(facts, dated.book), dated.book
    key, lead = uuid7(received), decision.lead
    if lead == routing.directory.centre or rng.random() < 0.05:
        lead = "so-xd"  # a person's choice
    sent = received + timedelta(minutes=rng.expovariate(1 / 20))
    taken = sent + timedelta(hours=rng.expovariate(1 / 8))
    solved = sent + timedelta(days=rng.expovariate(1 / 3))
    replied = solved + timedelta(hours=rng.expovariate(1 / 5))
    clocks = [("forward", routing.directory.centre, received, sent), ("accept", lead, sent, taken)]
    clocks += [("contribute", each, sent, sent + (solved - sent) / 2) for each in decision.supporting if each != lead]
    clocks += [("resolve", lead, sent, solved), ("reply", book.holder("reply", lead), solved, replied)]
    limits = []
    for stage, holder, opened, ended in clocks:
        limit = decision.limit(stage)
        if limit is None or opened > at:
            continue
        row = new_limit(key, stage, holder, limit.amount, opened, routing, book)
        stops = [[opened.isoformat(), (opened + (ended - opened) / 3).isoformat()]] if rng.random() < 0.05 else []
        moved = row.due_at + timedelta(days=2) if stage == "resolve" and rng.random() < 0.05 else None
        over, given_up = ended if ended < at else None, rng.random() < 0.03
        limits.append(
            (row.id, key, stage, holder, row.clock, row.amount, row.unit, row.calendar, opened, moved or row.due_at,
             None if given_up else over, over if given_up else None, moved, json.dumps(stops))
        )  # fmt: skip
    status = "closed" if replied < at else "answered" if solved < at else "in_progress"
    case = (
        key, make_code("BP", received.year % 100, 100_000 + number), 1, status, "ordinary", True, False, facts.urgency,
        facts.kind, facts.mode, facts.channel, received, received, "{}", False, key, 1, "x", facts.field, facts.area,
        "[]", lead, [lead], dated.id, decision.kept, 0, False, 0, True,
    )  # fmt: skip
    return Past(case, limits)


async def fill(plain: str, routing: Routing, count: int, seed: int, at: datetime) -> None:
    """Write the past, a stretch at a time."""
    rng, fields, areas = random.Random(seed), sorted(routing.fields), sorted(routing.directory.areas)
    connection = await asyncpg.connect(plain)
    try:
        await connection.execute("SET session_replication_role = replica")
        for first in range(0, count, 5_000):
            rows = [past(rng, number, routing, fields, areas, at) for number in range(first, min(first + 5_000, count))]
            cases, limits = [row.case for row in rows], [limit for row in rows for limit in row.limits]
            await connection.copy_records_to_table("cases", columns=CASE, records=cases)
            await connection.copy_records_to_table("limits", columns=LIMIT, records=limits)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


async def own_calendars(plain: str) -> None:
    """One department in ten works in the mornings only."""
    connection = await asyncpg.connect(plain)
    try:
        await connection.execute(
            "INSERT INTO calendars (code, zone, week) "
            'SELECT code, \'Asia/Ho_Chi_Minh\', \'[["07:00-11:30"],["07:00-11:30"],["07:00-11:30"],'
            '["07:00-11:30"],["07:00-11:30"],[],[]]\' FROM ('
            "SELECT code, row_number() OVER (ORDER BY code) AS n FROM departments WHERE kind <> 'centre') d "
            "WHERE n % 10 = 3"
        )
    finally:
        await connection.close()


async def rerun(plain: str, sample: Mapping[str, Verdict], routing: Routing) -> int:
    """How many clocks of the sample were held against the rules asked again. RuntimeError when one differs."""
    stored = routing.calendars
    draft = replace(build(a_draft(), routing.directory, routing.fields), calendar=stored[PROVINCE])
    connection = await asyncpg.connect(plain)
    compared = 0
    try:
        cases = await connection.fetch("SELECT * FROM cases WHERE code = ANY($1)", list(sample))
        for case in cases:
            rows = await connection.fetch("SELECT * FROM limits WHERE case_id = $1", case["id"])
            compared += _hold(case, rows, sample[case["code"]], routing.rulebook(case["rule_set_id"]), draft, routing)
    finally:
        await connection.close()
    return compared


def _hold(case: Any, rows: list[Any], verdict: Verdict, old: Rulebook, draft: Rulebook, routing: Routing) -> int:
    """The clocks of one case against `decide` and `due`."""
    facts = Facts(
        received_at=case["received_at"], field=case["field"], urgency=case["urgency"], kind=case["kind"],
        track=case["track"], area=case["area"], channel=case["channel"], mode=case["mode"],
        competence_clear=case["field"] is not None,
    )  # fmt: skip
    was, now = decide(facts, old), decide(facts, draft)
    lead = case["lead"] if was.lead == now.lead else now.lead
    wanted = []
    for row in rows:
        mine = row["stage"] in ("accept", "resolve", "reply", "give_back") and row["holder"] == case["lead"]
        holder = lead if mine else row["holder"]
        for decision, book, who in ((was, old, row["holder"]), (now, draft, holder)):
            limit = decision.limit(row["stage"]) or (
                decision.limit("resolve") if row["stage"] == "contribute" else None
            )
            until = None
            if limit is not None:
                calendar = routing.calendars.get(who, routing.calendars[PROVINCE])
                read = datetime.fromisoformat
                stops = [(read(start), read(end)) for start, end in json.loads(row["stops"])]
                until = due(row["opened_at"], limit.amount, calendar, day_end=book.day_end, stops=stops)
                until = max(until, row["moved_to"] or until)
            wanted.append((row["stage"], who, until))
    told = [
        each
        for clock in verdict.clocks
        for each in (
            (clock.stage, clock.holder, clock.due),
            (clock.stage, clock.holder_after, clock.due_after),
        )
    ]
    if sorted(map(str, _plain(told))) != sorted(map(str, _plain(wanted))) or verdict.lead_after != lead:
        raise RuntimeError(f"{case['code']}: simulated {told}, {verdict.lead_after}; asked again {wanted}, {lead}")
    return len(told)


def _plain(rows: list[Any]) -> Iterator[tuple[str, str, str]]:
    for stage, holder, until in rows:
        yield stage, holder, until.astimezone(UTC).isoformat() if until else ""


async def run(given: argparse.Namespace, url: str) -> dict[str, Any]:
    """Fill, simulate, hold against the rules."""
    plain = url.replace("postgresql+asyncpg://", "postgresql://")
    await asyncio.to_thread(migrations.upgrade, plain)
    database, at = Database(url, pool=2), datetime.now(UTC)
    async with database.transaction() as session:
        await routing_commands.seed(session, at)
    await own_calendars(plain)
    async with database.transaction() as session:
        routing = await queries.load(session)
    began = time.perf_counter()
    await fill(plain, routing, given.cases, given.seed, at)
    filled = time.perf_counter() - began
    verdicts: dict[str, Verdict] = {}
    real, chosen = Result.add, max(1, given.cases // given.sample)

    def noting(result: Result, past: PastCase, verdict: Verdict) -> None:
        if result.cases % chosen == 0:
            verdicts[past.code] = verdict
        real(result, past, verdict)

    pauses: list[float] = []

    async def tick() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            pauses.append(time.perf_counter() - before - 0.005)

    gc.collect()  # as the web process does when it starts, or pauses are those of looking through the rules for garbage
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    ticking = asyncio.create_task(tick())
    days = (at - timedelta(days=DAYS + 1)).date(), at.date()
    cpu, began = time.process_time(), time.perf_counter()
    with patch.object(Result, "add", noting):
        done = await simulate(
            database, routing, book_of(a_draft(), routing), *days, at, zone=routing.rulebooks[-1].book.zone
        )
    took, spent = time.perf_counter() - began, time.process_time() - cpu
    ticking.cancel()
    compared = await rerun(plain, verdicts, routing)
    await database.close()
    found = done.result.to_dict()
    return {
        "cases": found["cases"],
        "clocks": sum(row["clocks"] for row in found["stages"]),
        "moved_leads": sum(row["cases"] for row in found["moved_leads"]),
        "moved_dues": sum(row["earlier"] + row["later"] for row in found["stages"]),
        "filled_seconds": round(filled, 1),
        "seconds": round(took, 2),
        "processor_seconds": round(spent, 2),
        "pause_ms": round(1000 * max(pauses), 1),
        "pause_p99_ms": round(1000 * sorted(pauses)[len(pauses) * 99 // 100], 1),
        "sampled_cases": len(verdicts),
        "sampled_clocks_equal": compared,
        "goal_seconds": GOAL,
        "processors": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
    }


def told(result: dict[str, Any]) -> str:
    """The table for people."""
    over = "" if result["seconds"] <= GOAL else "   over the goal"
    return "\n".join(
        [
            f"{result['cases']:,} cases with {result['clocks']:,} clocks, written in {result['filled_seconds']} s",
            f"simulated in              {result['seconds']:>8.2f} s (goal {GOAL:g}){over}",
            f"processor                 {result['processor_seconds']:>8.2f} s",
            f"pause, longest and p99    {result['pause_ms']:>8.1f} ms, {result['pause_p99_ms']} ms",
            f"moved                     {result['moved_leads']:>8,} leads, {result['moved_dues']:,} due times",
            f"asked again, all equal    {result['sampled_cases']:>8,} cases, "
            f"{result['sampled_clocks_equal']:,} due times",
        ]
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=50_000)
    parser.add_argument("--sample", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="the line of JSON alone")
    given = parser.parse_args()
    if given.cases < 100 or given.sample < 1:
        sys.exit("--cases must be at least 100, --sample at least 1")
    with tempfile.TemporaryDirectory(prefix="hotline-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL runs as another account when we are root
        with Cluster(folder / "data") as cluster:
            result = asyncio.run(run(given, cluster.url))
    if not given.json:
        print(told(result))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
