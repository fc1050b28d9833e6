"""What the console's reads cost in the database when it is old: every view of every role, counts, deep pages, search.

    python -m bench.reads [--cases 2000000] [--rounds 7] [--plans] [--only search]

Builds a year of cases on a fresh embedded database with the shipped province (one in a hundred open, sixty
departments), then asks each question through the product's own functions, takes the statements they sent, and runs
those again under EXPLAIN (ANALYZE): planning and execution, without transport and without making objects. `client ms`
is the whole call, objects and transport included. Medians. The last line is JSON.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

import migrations
from bench.year import A_CASE, RARE, build
from cases import demo
from cases.lists import cases_of_phone, list_cases, view_counts
from cases.views import Ago, Filters, Order, View, views_for
from core.db import APP_ROLE, Database
from core.postgres import Cluster
from core.staff import Actor, Role, Staff
from routing import queries as routing_queries
from routing.queries import Routing

GOALS = {"view": 10.0, "page": 10.0, "filter": 10.0, "counts": 20.0, "search": 50.0}
LIMIT = 50

Ask = Callable[[AsyncSession], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Question:
    """One thing the console asks: its kind (a goal), its name, and how."""

    kind: str
    name: str
    ask: Ask


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question cost: milliseconds in the database and altogether, statements, rows that came back."""

    kind: str
    name: str
    database_ms: float
    client_ms: float
    statements: int
    rows: int


class Bench:
    """The old database and the people who look at it."""

    def __init__(self, database: Database, routing: Routing, people: dict[str, Actor], at: datetime) -> None:
        self.database = database
        self.routing = routing
        self.people = people
        self.at = at

    def page(self, who: str, filters: Filters, order: Order = "received", cursor: str | None = None) -> Ask:
        """One page of a list."""

        async def ask(session: AsyncSession) -> Any:
            return await list_cases(
                session, self.people[who], filters, self.routing, self.at, cursor=cursor, limit=LIMIT, order=order
            )

        return ask

    async def questions(self) -> list[Question]:
        """Everything that is measured."""
        found = []
        for who, actor in self.people.items():
            views = views_for(actor)
            for view in views:
                found.append(Question("view", f"{who}: {view.code}", self.page(who, view.filters, view.order)))
            found.append(Question("counts", f"{who}: {len(views)} views", self._counts(actor, views)))
        found += [Question("page", *deep) for deep in await self._deep_pages()]
        found += [Question("filter", f"{who}: {name}", self.page(who, filters)) for who, name, filters in FILTERS]
        found += [
            Question("search", f"{who}: {name}", self.page(who, filters, order))
            for who, name, filters, order in SEARCHES
        ]
        found.append(Question("search", "agent: cases of a number", self._of_phone()))
        return found

    def _counts(self, actor: Actor, views: tuple[View, ...]) -> Ask:
        async def ask(session: AsyncSession) -> Any:
            return await view_counts(session, actor, views, self.routing, self.at)

        return ask

    def _of_phone(self) -> Ask:
        async def ask(session: AsyncSession) -> Any:
            return await cases_of_phone(session, self.people["agent"], "0900 000 123")

        return ask

    async def _deep_pages(self) -> list[tuple[str, Ask]]:
        """The hundredth page of some lists, reached by their cursors."""
        deep = []
        for who, name, filters, order in DEEP:
            cursor: str | None = None
            async with self.database.transaction() as session:
                for _ in range(25):
                    page = await list_cases(
                        session, self.people[who], filters, self.routing, self.at, cursor=cursor, limit=200, order=order
                    )
                    cursor = page.next_cursor or cursor
            deep.append((f"{who}: {name}, row 5,000", self.page(who, filters, order, cursor)))
        return deep

    @contextmanager
    def listening(self) -> Iterator[list[tuple[str, tuple[Any, ...]]]]:
        """The statements sent meanwhile, with their arguments."""
        sent: list[tuple[str, tuple[Any, ...]]] = []

        def note(_: Any, __: Any, statement: str, parameters: tuple[Any, ...], *___: Any) -> None:
            sent.append((statement, parameters))

        engine = self.database.engine.sync_engine
        event.listen(engine, "before_cursor_execute", note)
        try:
            yield sent
        finally:
            event.remove(engine, "before_cursor_execute", note)

    async def measure(
        self, question: Question, connection: "asyncpg.Connection[asyncpg.Record]", rounds: int
    ) -> tuple[Answer, list[str]]:
        """One question, asked so often; its plans."""
        with self.listening() as sent:
            async with self.database.transaction() as session:
                found: Any = await question.ask(session)
        took: list[float] = []
        plans: list[str] = []
        for _ in range(rounds):
            spent, plans = 0.0, []
            for statement, arguments in sent:
                plan = await _explained(connection, statement, arguments)
                spent += plan["Planning Time"] + plan["Execution Time"]
                plans.append(told_plan(plan["Plan"]))
            took.append(spent)
        waited = []
        for _ in range(rounds):
            started = time.perf_counter()
            async with self.database.transaction() as session:
                await question.ask(session)
            waited.append((time.perf_counter() - started) * 1000)
        rows = sum(found.values()) if isinstance(found, dict) else len(getattr(found, "items", found))
        answer = Answer(question.kind, question.name, round(median(took), 2), round(median(waited), 2), len(sent), rows)
        return answer, plans


IN_WORK = ("forwarded", "in_progress", "waiting_citizen")
FILTERS: list[tuple[str, str, Filters]] = [
    ("supervisor", "everything", Filters()),
    ("supervisor", "late, any status", Filters(late=True)),
    ("supervisor", "status forwarded", Filters(status=("forwarded",))),
    ("supervisor", "status spam", Filters(status=("spam",))),
    ("supervisor", "field", Filters(field="infra.road")),
    ("supervisor", "field group", Filters(field="infra")),
    ("supervisor", "rare field", Filters(field="telecom.cable")),
    ("supervisor", "area", Filters(area="bp")),
    ("supervisor", "channel", Filters(channel="zalo")),
    ("supervisor", "urgency", Filters(urgency="emergency")),
    ("supervisor", "department", Filters(department="so-xd")),
    ("supervisor", "department, in work", Filters(department="so-xd", status=IN_WORK)),
    ("supervisor", "department, late", Filters(department="so-xd", open=True, late=True)),
    ("supervisor", "lead", Filters(lead="so-xd")),
    ("supervisor", "holder of the next clock", Filters(open=True, holder="so-xd")),
    ("supervisor", "closed in one week", Filters(closed_from=Ago(60), closed_to=Ago(54))),
    ("supervisor", "replied yesterday", Filters(replied_from=Ago(1), replied_to=Ago(1))),
    ("supervisor", "rated 1", Filters(rating=(1,))),
    ("supervisor", "field and one month", Filters(field="infra.road", received_from=Ago(90), received_to=Ago(60))),
    ("supervisor", "published", Filters(published=True)),
    ("officer", "everything", Filters()),
    ("officer", "assigned to me, ever", Filters(assigned="me")),
    ("inspector", "restricted", Filters(restricted=True)),
]
DEEP: list[tuple[str, str, Filters, Order]] = [
    ("supervisor", "all open, soonest due", Filters(open=True), "due"),
    ("supervisor", "everything, newest", Filters(), "received"),
    ("officer", "everything, newest", Filters(), "received"),
]
SEARCHES: list[tuple[str, str, Filters, Order]] = [
    ("agent", "a code", Filters(q=A_CASE), "received"),
    ("agent", "its digits", Filters(q=A_CASE.partition("-")[2].replace("-", "")), "received"),
    ("agent", "a phone number", Filters(q="0900 000 123"), "received"),
    ("agent", "o ga duong", Filters(q="o ga duong"), "received"),
    ("agent", "Ổ gà trên đường", Filters(q="Ổ gà trên đường"), "received"),
    ("agent", "a rare word", Filters(q=RARE), "received"),
    ("agent", "one common word", Filters(q="duong"), "received"),
    ("agent", "common words, phrase", Filters(q='"o ga" duong'), "received"),
    ("agent", "two phrases", Filters(q='"o ga" "nguyen van linh"'), "received"),
    ("agent", "common words that never meet", Filters(q="karaoke giang hoa"), "received"),
    ("agent", "ten words, no hit", Filters(q="duong den rac cong nuoc karaoke cap giang"), "received"),
    ("agent", "no such word", Filters(q="khongcotunay"), "received"),
    ("agent", "prefix kar", Filters(q="kar"), "received"),
    ("agent", "prefix tra", Filters(q="duong tra"), "received"),
    ("agent", "prefix ngu", Filters(q="ngu"), "received"),
    ("agent", "words + field", Filters(q="o ga duong", field="infra.road"), "received"),
    ("agent", "words + department + open", Filters(q="o ga duong", department="so-xd", open=True), "received"),
    ("agent", "words + open, soonest due", Filters(q="o ga duong", open=True), "due"),
    ("agent", "words + late", Filters(q="o ga duong", open=True, late=True), "due"),
    ("agent", "words + closed range", Filters(q="o ga duong", closed_from=Ago(200), closed_to=Ago(190)), "received"),
    ("officer", "o ga duong", Filters(q="o ga duong"), "received"),
    ("officer", "a rare word", Filters(q=RARE), "received"),
    ("inspector", "words, restricted", Filters(q="to cao duong", restricted=True), "received"),
]


async def _explained(
    connection: "asyncpg.Connection[asyncpg.Record]", statement: str, arguments: tuple[Any, ...]
) -> dict[str, Any]:
    given = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *arguments)
    plan: dict[str, Any] = json.loads(given)[0]
    return plan


def told_plan(node: dict[str, Any], depth: int = 0) -> str:
    """A plan as lines: what each step reads by which index, rows and milliseconds."""
    name = node["Node Type"] + "".join(f" {node[key]}" for key in ("Index Name", "Relation Name") if key in node)
    rows, loops = node.get("Actual Rows", 0), node.get("Actual Loops", 1)
    dropped = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    line = f"{'  ' * depth}{name}  rows={rows:g} loops={loops} dropped={dropped} ms={node.get('Actual Total Time', 0)}"
    buffers = f" hit={node.get('Shared Hit Blocks', 0)} read={node.get('Shared Read Blocks', 0)}"
    return "\n".join([line + buffers, *(told_plan(each, depth + 1) for each in node.get("Plans", ()))])


async def _people(database: Database, at: datetime) -> dict[str, Actor]:
    """The demo accounts as they are when signed in, by the first part of their address."""
    async with database.transaction() as session:
        await demo.make(session, "bench-reads-1", at)
        ids = {person.email: person.id for person in (await session.exec(select(Staff))).all()}
    return {
        email.partition("@")[0]: Actor(
            kind="staff",
            id=ids[email],
            name=name,
            email=email,
            roles=frozenset(map(Role, roles)),
            departments=frozenset(departments),
        )
        for email, name, roles, departments in demo.ACCOUNTS
        if email != "officer2@demo"
    }


async def run(given: argparse.Namespace, url: str) -> dict[str, Any]:
    """Build, ask, tell."""
    plain = url.replace("postgresql+asyncpg://", "postgresql://")
    await asyncio.to_thread(migrations.upgrade, plain)
    database = Database(url, pool=2)
    at = datetime.now(UTC)
    people = await _people(database, at)
    officers = {"officer": people["officer"].id, "inspector": people["inspector"].id}
    started = time.perf_counter()
    cases = await build(plain, given.cases, at, {name: str(key) for name, key in officers.items()})
    built = time.perf_counter() - started
    print(f"{cases:,} cases in {built:.0f} s", flush=True)
    async with database.transaction() as session:
        routing = await routing_queries.load(session)
    bench = Bench(database, routing, people, at + timedelta(seconds=1))
    connection = await asyncpg.connect(plain, server_settings={"role": APP_ROLE, "timezone": "UTC"})
    answers = []
    for question in await bench.questions():
        if given.only and given.only not in f"{question.kind} {question.name}":
            continue
        answer, plans = await bench.measure(question, connection, given.rounds)
        answers.append(answer)
        print(told(answer), flush=True)
        if given.plans or (given.slow_plans and answer.database_ms > GOALS[answer.kind]):
            print("\n".join(plans), flush=True)
    sizes = await connection.fetch(
        "SELECT c.relname AS name, pg_relation_size(c.oid) / 1048576 AS mb FROM pg_class c "
        "WHERE c.relname ~ '^(ix|pk|uq)_case(s|_search)_|^cases$|^case_search$' ORDER BY 2 DESC"
    )
    await connection.close()
    await database.close()
    return {
        "cases": cases,
        "built_seconds": round(built),
        "answers": [asdict(answer) for answer in answers],
        "worst": {kind: max((a.database_ms for a in answers if a.kind == kind), default=None) for kind in GOALS},
        "goals": GOALS,
        "megabytes": {row["name"]: int(row["mb"]) for row in sizes},
        "rounds": given.rounds,
        "processors": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
    }


def told(answer: Answer) -> str:
    """One line for people."""
    mark = "" if answer.database_ms <= GOALS[answer.kind] else f"  over {GOALS[answer.kind]:g}"
    return (
        f"{answer.kind:<7} {answer.name:<45} {answer.database_ms:>9.2f} ms  {answer.client_ms:>9.2f} ms client  "
        f"{answer.statements} statements  {answer.rows:>5} rows{mark}"
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--plans", action="store_true", help="print every plan")
    parser.add_argument("--slow-plans", action="store_true", help="print the plans of what misses its goal")
    parser.add_argument("--only", default="", help="only questions with this in their kind and name")
    given = parser.parse_args()
    if given.cases < 1_000:
        sys.exit("--cases must be at least 1000")
    with tempfile.TemporaryDirectory(prefix="hotline-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL runs as another account when we are root
        with Cluster(folder / "data") as cluster:
            result = asyncio.run(run(given, cluster.url))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
