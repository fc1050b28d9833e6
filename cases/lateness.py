"""Minutes late by holder and stage in a period, folded from the journal; `cases.charging` says who is charged for what.

Only minutes that lie in the period count, whenever the clock ran out. Restricted tracks are left out, as from every
figure. Cases are read one after another, so memory does not grow with the period.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from zoneinfo import ZoneInfo

from sqlalchemy import literal_column, union
from sqlalchemy import select as sql_select
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.charging import Charge, Said, charges
from cases.models import Case, Limit
from core.db import Moment
from core.errors import Invalid
from core.journal import Journal
from routing.queries import PROVINCE, Routing, local_midnight
from routing.working_time import Calendar

LONGEST = 92  # days of a period: every journal row of its late cases is read
EARLIEST, LATEST = date(2000, 1, 1), date(2199, 12, 31)  # days this system can have something on
BATCH = 500
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Row:
    """What one holder is charged with in one stage. `minutes` are whole ones on the limits' own clocks."""

    holder: str
    stage: str
    minutes: int
    limits: int
    cases: int


@dataclass(frozen=True, slots=True)
class LateCase:
    """One case of a row."""

    code: str
    minutes: int
    since: datetime
    until: datetime


@dataclass(slots=True)
class _Sum:
    late: timedelta = timedelta()
    limits: int = 0
    cases: int = 0


async def report(
    session: AsyncSession, first: date, last: date, routing: Routing, at: datetime, zone: ZoneInfo
) -> list[Row]:
    """Every holder and stage with late minutes between two local days, both included, the most minutes first.

    Invalid for a period that is longer than LONGEST days or ends before it begins.
    """
    sums: dict[tuple[str, str], _Sum] = {}
    async for _, charged in _charged(session, first, last, routing, at, zone):
        for key, group in _by_row(charged):
            total = sums.setdefault(key, _Sum())
            total.late += sum((each.late for each in group), timedelta())
            total.limits += len({each.limit for each in group})
            total.cases += 1
    rows = [
        Row(holder, stage, total.late // MINUTE, total.limits, total.cases) for (holder, stage), total in sums.items()
    ]
    return sorted(rows, key=lambda row: (-row.minutes, row.holder, row.stage))


async def behind(
    session: AsyncSession,
    first: date,
    last: date,
    routing: Routing,
    at: datetime,
    zone: ZoneInfo,
    *,
    holder: str,
    stage: str,
    most: int = 200,
) -> list[LateCase]:
    """The cases behind one row, those with the most minutes first."""
    found = []
    async for code, charged in _charged(session, first, last, routing, at, zone):
        for key, group in _by_row(charged):
            if key == (holder, stage):
                late = sum((each.late for each in group), timedelta())
                edges = min(each.since for each in group), max(each.until for each in group)
                found.append(LateCase(code, late // MINUTE, *edges))
    return sorted(found, key=lambda case: (-case.minutes, case.code))[:most]


def _by_row(charged: list[Charge]) -> list[tuple[tuple[str, str], list[Charge]]]:
    key = attrgetter("holder", "stage")
    return [(each, list(group)) for each, group in groupby(sorted(charged, key=key), key)]


async def _charged(
    session: AsyncSession, first: date, last: date, routing: Routing, at: datetime, zone: ZoneInfo
) -> AsyncIterator[tuple[str, list[Charge]]]:
    """(code, what is charged) of every case with a clock that was late in the period."""
    if not 0 <= (last - first).days < LONGEST or not EARLIEST <= first <= last <= LATEST:
        raise Invalid.at(
            "to",
            f"Kỳ dài nhất là {LONGEST} ngày, và ngày cuối không trước ngày đầu.",
            f"The period is at most {LONGEST} days, and its last day not before its first.",
        )
    since, until = local_midnight(first, zone), min(at, local_midnight(last + timedelta(days=1), zone))

    def calendar_of(code: str) -> Calendar:
        return routing.calendars.get(code) or routing.calendars[PROVINCE]

    async for code, history in _histories(session, since, until):
        charged = charges(history, calendar_of, routing.directory.centre, since, until)
        if charged:
            yield code, charged


async def _histories(session: AsyncSession, since: datetime, until: datetime) -> AsyncIterator[tuple[str, list[Said]]]:
    """The journal of every case with a clock that ran out before `until` and was not over before `since`."""
    ended = literal_column("COALESCE(met_at, cancelled_at, 'infinity'::timestamptz)", Moment())  # of ix_limits_breached
    late = union(
        select(Limit.case_id).where(col(Limit.breached_at) < until, ended > since),
        select(Limit.case_id).where(  # since a moment ago: no breach is written yet
            col(Limit.met_at).is_(None), col(Limit.cancelled_at).is_(None), col(Limit.due_at) < until
        ),
    )
    statement = (
        sql_select(col(Case.code), col(Journal.occurred_at), col(Journal.kind), col(Journal.data)["limits"])
        .join(Journal, col(Journal.case_id) == col(Case.id))
        .where(col(Case.id).in_(late), col(Case.restricted).is_(False), col(Journal.kind) != "limit.reminded")
        .order_by(col(Journal.case_id), col(Journal.id))
    )
    present, history = "", list[Said]()
    async for code, at, kind, ops in await session.stream(statement.execution_options(yield_per=BATCH)):
        if code != present:
            if history:
                yield present, history
            present, history = code, []
        history.append(Said(at, kind, ops or ()))
    if history:
        yield present, history
