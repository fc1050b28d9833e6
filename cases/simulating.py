"""A draft of the rules tried on the cases of a period, the newest first: they are read some at a time, each time in a
short transaction of its own, and replayed in a thread (`routing.simulating`), so that neither the process nor a
connection is kept from its work, however long the period is.

Restricted tracks are left out, as from every figure. So is what was never work of a department's: spam, merged,
refused, redirected.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.facts import facts_of
from cases.models import Case
from cases.states import Status
from core.db import Database, bare
from core.errors import Conflict, Invalid, NotFound
from routing import models
from routing.decide import Rulebook
from routing.queries import Routing, as_in_force, load, local_midnight, read_draft
from routing.rule_building import build
from routing.rule_drafts import RuleSetDraft
from routing.rulesets import BadRuleSet
from routing.simulating import PastCase, Ran, Result, compare
from routing.working_time import NoWorkingTime

EARLIEST, LATEST = date(2000, 1, 1), date(2199, 12, 31)  # days this system can have something on
BATCH = 250  # cases read in one go: meanwhile nothing else of the process gets its turn, a hundredth of a second
_NOBODYS_WORK = [status.value for status in (Status.SPAM, Status.MERGED, Status.REFUSED, Status.REDIRECTED)]


class _Row(NamedTuple):
    """What is read of a case. A fact that is asked for and not read is an error, not taken for unknown."""

    id: UUID
    code: str
    received_at: datetime
    status: str
    lead: str | None
    rule_set_id: UUID
    field: str | None
    urgency: str
    kind: str
    track: str
    area: str | None
    channel: str
    mode: str
    competence: str | None
    asset_owner: str | None
    road_class: str | None
    flags: list[str]
    units: list[str]


# Read by the driver: a page of the past is a hundred thousand rows, of which the ORM would make as many objects.
_CASES = f"""
    SELECT {", ".join(_Row._fields)} FROM cases
    WHERE received_at >= $1 AND (received_at, id) < ($2, $3) AND NOT restricted AND status <> ALL($4)
    ORDER BY received_at DESC, id DESC LIMIT $5
"""  # noqa: S608 - our own names
_CLOCKS = """
    SELECT case_id, stage, holder, opened_at, met_at, cancelled_at, moved_to, stopped_at, stops FROM limits
    WHERE case_id = ANY($1) ORDER BY opened_at, id
"""
_Place = tuple[datetime, UUID]


@dataclass(frozen=True, slots=True)
class Simulation:
    """What was found; `whole` is False where older cases of the period were left out."""

    draft: Rulebook
    result: Result
    whole: bool


def book_of(draft: RuleSetDraft, routing: Routing) -> Rulebook:
    """A draft as it would be in force: with the departments, fields and calendars that are stored. Invalid with the
    first problem of a draft that cannot be built."""
    try:
        return as_in_force(build(draft, routing.directory, routing.fields), routing.calendars)
    except BadRuleSet as bad:
        problem = str(bad)
        raise Invalid(
            f"Bộ quy tắc này chưa dùng thử được: {problem}. Hãy sửa trước.",
            f"This rule set cannot be tried yet: {problem}",
        ) from None


async def stored_book(session: AsyncSession, rule_set: UUID, routing: Routing) -> Rulebook:
    """A stored rule set, whatever its state, as it would be in force."""
    row = (await session.exec(select(models.RuleSet).where(models.RuleSet.id == rule_set))).first()
    if row is None:
        raise NotFound("Không có bộ quy tắc này.", "There is no such rule set.")
    return book_of(await read_draft(session, row), routing)


async def simulate(
    database: Database,
    routing: Routing,
    draft: Rulebook,
    first: date,
    last: date,
    at: datetime,
    *,
    zone: ZoneInfo,
    most: int | None = None,
) -> Simulation:
    """Replay the cases received from the first to the last local day, both included; the newest `most` of them.

    Invalid for days that are no period, and when a calendar that is asked has no working time; Conflict when cases
    came meanwhile under a rule set that was not in force yet.
    """
    if not EARLIEST <= first <= last <= LATEST:
        raise Invalid.at("until", "Ngày cuối phải từ ngày đầu trở đi.", "The last day must not be before the first.")
    since, until = local_midnight(first, zone), local_midnight(last + timedelta(days=1), zone)
    # Copies, for what is remembered while deciding on the past is of no use to intake, and must not crowd out its own.
    books = {dated.id: replace(dated.book) for dated in routing.rulebooks}
    result, left = Result(), most
    before: _Place = (until, UUID(int=0))
    while left is None or left > 0:
        wanted = BATCH if left is None else min(BATCH, left)
        rows, clocks = await _read(database, since, before, wanted)
        if not rows:
            return Simulation(draft, result, whole=True)
        if not books.keys() >= {row.rule_set_id for row in rows}:
            raise Conflict(
                "Một bộ quy tắc vừa được đưa vào áp dụng trong lúc chạy thử. Mời bấm chạy lại.",
                "A rule set was put in force meanwhile. Please run it again.",
            )
        before = (rows[-1].received_at, rows[-1].id)
        pairs = _pairs(rows, clocks, books, at)
        try:
            await asyncio.to_thread(compare, pairs, draft, routing.calendars, at, result)
        except NoWorkingTime as none:
            raise Invalid(
                "Có lịch làm việc không có giờ làm nào, nên không tính được hạn.", f"Limits cannot be counted: {none}."
            ) from None
        for book in (draft, *books.values()):  # hardly asked again, and a burden on every look for garbage
            book.decided.clear()
        left = None if left is None else left - len(rows)
    rows, _ = await _read(database, since, before, 1)
    return Simulation(draft, result, whole=not rows)


async def simulate_command(
    database: Database, draft: RuleSetDraft, first: date, last: date, at: datetime, zone: ZoneInfo
) -> Simulation:
    """`simulate` for whoever runs the system: a draft out of a file, on all cases of the period."""
    async with database.transaction(frozen=True) as session:
        routing = await load(session)
    return await simulate(database, routing, book_of(draft, routing), first, last, at, zone=zone)


def told(done: Simulation) -> str:
    """The tables for people who run the command."""
    found = done.result.to_dict()
    if not found["cases"]:
        return f"{done.draft.code} v{done.draft.version}: no cases in these days"
    lines = [
        f"{done.draft.code} v{done.draft.version} on {found['cases']} cases, received "
        f"{found['first_received'][:10]} to {found['last_received'][:10]}",
        "",
        f"{'stage':<12}{'clocks':>9}{'earlier':>9}{'later':>9}{'gone':>8}{'shift':>10}{'on time':>10}{'after':>9}"
        f"{'newly late':>12}{'no longer':>11}",
    ]
    for row in found["stages"]:
        shift = "" if row["mean_shift_minutes"] is None else f"{row['mean_shift_minutes']:+d} min"
        lines.append(
            f"{row['stage']:<12}{row['clocks']:>9}{row['earlier']:>9}{row['later']:>9}{row['gone']:>8}{shift:>10}"
            f"{_share(row['before']):>10}{_share(row['after']):>9}{row['newly_late']:>12}{row['newly_on_time']:>11}"
        )
    lines += ["", f"{'department':<32}{'led':>8}{'after':>8}{'on time':>10}{'after':>9}"]
    for row in found["departments"]:
        led, kept = row["led"], row["resolve"]
        lines.append(
            f"{row['department']:<32}{led['before']:>8}{led['after']:>8}"
            f"{_share(kept['before']):>10}{_share(kept['after']):>9}"
        )
    lines += ["", f"{sum(row['cases'] for row in found['moved_leads'])} cases with another lead"]
    lines += [f"{row['cases']:>8}  {row['from']} -> {row['to']}" for row in found["moved_leads"]]
    return "\n".join(lines)


def _share(kept: dict[str, Any]) -> str:
    return "-" if kept["rate"] is None else f"{kept['rate'] * 100:.1f} %"


async def _read(
    database: Database, since: datetime, before: _Place, limit: int
) -> tuple[list[_Row], list[asyncpg.Record]]:
    """The cases of the period next older than `before`, the newest first, and their clocks."""
    async with database.transaction(frozen=True) as session:
        driver = await bare(session)
        rows = [_Row(*row) for row in await driver.fetch(_CASES, since, *before, _NOBODYS_WORK, limit)]
        return rows, await driver.fetch(_CLOCKS, [row.id for row in rows])


def _pairs(
    rows: Sequence[_Row], clocks: Sequence[asyncpg.Record], books: Mapping[UUID, Rulebook], at: datetime
) -> Iterator[tuple[PastCase, Rulebook]]:
    """Cases and the rulebooks they were opened under; made where they are asked for, which is the thread."""
    ran: dict[UUID, list[Ran]] = defaultdict(list)
    for clock in clocks:
        ran[clock["case_id"]].append(_ran(clock, at))
    for row in rows:
        facts = facts_of(cast(Case, row))
        waits = row.status == Status.RECEIVED
        yield PastCase(row.code, facts, row.lead, tuple(ran.get(row.id, ())), awaits_lead=waits), books[row.rule_set_id]


def _ran(clock: asyncpg.Record, at: datetime) -> Ran:
    _, stage, holder, opened_at, met_at, cancelled_at, moved_to, stopped_at, stops = clock
    stopped = [(datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in stops]
    if stopped_at is not None and stopped_at < at:
        stopped.append((stopped_at, at))
    return Ran(stage, holder, opened_at, met_at or cancelled_at, met_at is not None, tuple(stopped), moved_to)
