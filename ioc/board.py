"""What the board shows: the stock at this moment from the cases, a period and the one before it from the figures.

Two statements, each one snapshot. The stock is counted by the same conditions as the lists it opens.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.models import IS_OPEN
from ioc.definitions import AGES, ALL, ENOUGH_RATINGS, SOON_HOURS, SPLIT_BY_MONTH
from ioc.durations import percentile
from ioc.feed import Reconciled
from ioc.periods import Period
from ioc.queries import NAMES_CTE

SOON = timedelta(hours=SOON_HOURS)
READ = (
    "received",
    "replied",
    "refused",
    "give_backs",
    "answered_first_contact",
    "due.resolve",
    "due_met.resolve",
    "due_met_extended.resolve",
    "met.resolve",
    "met_in_time.resolve",
    "first_response",
    "ratings",
    "rating_sum",
)
DRAWN = ("received", "replied")
AGE_CODES = (*(code for _, code in AGES), "more")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which part of the province is shown; None is all of it. `areas`: one, or all that have become one."""

    department: str | None = None
    fields: tuple[str, ...] | None = None
    channel: str | None = None
    areas: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Stock:
    """Cases at work: how many, late, due within SOON, by age in AGE_CODES."""

    open: int = 0
    late: int = 0
    soon: int = 0
    ages: tuple[int, ...] = (0,) * len(AGE_CODES)


@dataclass(frozen=True, slots=True)
class Totals:
    """Figures of one period, and the classes of its first responses."""

    sums: Mapping[str, int] = field(default_factory=dict)
    classes: Mapping[int, int] = field(default_factory=dict)

    def of(self, figure: str) -> int:
        """A sum, 0 where nothing was counted."""
        return self.sums.get(figure, 0)

    def share(self, part: str, base: str) -> float | None:
        """part ÷ base, none without a base."""
        return self.of(part) / self.of(base) if self.of(base) > 0 else None

    @property
    def on_time(self) -> float | None:
        """Of the resolution limits that fell due, the share met in time."""
        return self.share("due_met.resolve", "due.resolve")

    @property
    def on_time_finished(self) -> float | None:
        """Of the resolution limits met, the share met in time."""
        return self.share("met_in_time.resolve", "met.resolve")

    @property
    def rating(self) -> float | None:
        """The mean rating, none below ENOUGH_RATINGS."""
        return self.share("rating_sum", "ratings") if self.of("ratings") >= ENOUGH_RATINGS else None

    @property
    def responses(self) -> int:
        """How many first responses were measured."""
        return sum(self.classes.values())

    def response(self, percent: int) -> timedelta | None:
        """The time to the first response that so many per cent do not exceed."""
        seconds = percentile(self.classes, percent)
        return timedelta(seconds=seconds) if seconds is not None else None


@dataclass(frozen=True, slots=True)
class Figures:
    """What the figures say of a period, and how far into the journal they reach."""

    position: int
    as_of: datetime
    reconciled: Reconciled | None
    period: Totals
    before: Totals
    by: Mapping[str, Mapping[str, Totals]]  # dimension → code → sums
    steps: Mapping[date, Mapping[str, int]]  # first day (of a month: the first of it) → figure → sum


_DIM = """
    CASE GROUPING({names}) WHEN 15 THEN '' WHEN 7 THEN 'department' WHEN 11 THEN 'field' WHEN 13 THEN 'channel'
                           ELSE 'area' END
"""
_SIDES = "department, field, channel, area"
_DAYS = """
    SELECT figure, {step}, bucket, department, field, channel, area, value FROM figures
    WHERE figure = ANY(ARRAY(SELECT code FROM wanted)) AND {days} {narrowed}
"""
_MONTHS = """
    SELECT figure, day, bucket, value FROM figure_months
    WHERE figure = ANY(ARRAY(SELECT code FROM wanted)) AND day >= :{p}first AND day < :{p}after
    AND department = :all AND field = :all AND channel = :all AND area = :all
"""
_SPLIT = """
    SELECT 'by {name}' AS part, {name} AS code, figure, value FROM {table}
    WHERE figure = ANY(:split_{name}) {months}
"""
_NOTHING = "CAST(NULL AS timestamptz), CAST(NULL AS timestamptz), CAST(NULL AS bigint), CAST(NULL AS int)"


def _statement(scope: Scope, by_month: bool) -> str:
    """One statement: figures by cursor, total, side, period before and step.

    Of the whole province whole months are read from the sums by month; narrowed, all of it from the days.
    """
    conditions = (
        (scope.department, " AND department = :department"),
        (scope.fields, " AND field = ANY(:fields)"),
        (scope.channel, " AND channel = :channel"),
        (scope.areas, " AND area = ANY(:areas)"),
    )
    narrowed = "".join(condition for value, condition in conditions if value is not None)
    step = "CAST(date_trunc('month', day) AS date) AS day" if by_month else "day"

    def days(prefix: str, step: str) -> str:
        ends = (f"day >= :{prefix}from AND day < :{prefix}first", f"day >= :{prefix}after AND day <= :{prefix}to")
        return " UNION ALL ".join(_DAYS.format(step=step, days=each, narrowed=narrowed) for each in ends)

    splits = []
    for name in SPLIT_BY_MONTH:
        others = " AND ".join(
            f"{each} {'<>' if each == name else '='} :all" for each in ("department", "field", "channel", "area")
        )
        months = f"AND day >= :first AND day < :after AND {others}"
        splits.append(_SPLIT.format(name=name, table="figure_months", months=months))
        splits.append(_SPLIT.format(name=name, table="edges", months=""))
    # By day, whole months are of no use to the drawing: those two figures are read by day.
    drawn = (
        "(SELECT figure, day, value FROM edges UNION ALL SELECT figure, day, value FROM whole) drawn WHERE"
        if by_month
        else f"figures WHERE day BETWEEN :from AND :to {narrowed} AND"
    )
    return f"""
        {NAMES_CTE},
        wanted AS (SELECT code FROM names WHERE code = ANY(:read) OR code LIKE 'refused.%'),
        edges AS MATERIALIZED ({days("", step)}),
        whole AS MATERIALIZED ({_MONTHS.format(p="")}),
        earlier AS (SELECT figure, bucket, value FROM ({days("b", "day")}) days
                    UNION ALL SELECT figure, bucket, value FROM ({_MONTHS.format(p="b")}) months)
        SELECT 'cursor' AS part, NULL AS code, NULL AS figure, CAST(NULL AS date) AS day, 0 AS bucket,
               position AS value, as_of, reconciled_at, reconciled_position, differences
        FROM figure_cursor
        UNION ALL
        SELECT 'by ', NULL, figure, NULL, bucket, CAST(sum(value) AS bigint), {_NOTHING}
        FROM (SELECT figure, bucket, value FROM edges UNION ALL SELECT figure, bucket, value FROM whole) present
        GROUP BY figure, bucket
        UNION ALL
        SELECT part, code, figure, NULL, 0, CAST(sum(value) AS bigint), {_NOTHING}
        FROM ({" UNION ALL ".join(splits)}) split GROUP BY part, code, figure
        UNION ALL
        SELECT 'before', NULL, figure, NULL, bucket, CAST(sum(value) AS bigint), {_NOTHING}
        FROM earlier GROUP BY figure, bucket
        UNION ALL
        SELECT 'step', NULL, figure, day, 0, CAST(sum(value) AS bigint), {_NOTHING}
        FROM {drawn} figure = ANY(:drawn) GROUP BY figure, day
    """  # noqa: S608 - constants of this module


async def board_figures(session: AsyncSession, period: Period, scope: Scope) -> Figures:
    """The period's figures, the ones before it, their sides and steps, all of one snapshot and hence one position."""
    before = period.before
    given: dict[str, Any] = {"read": list(READ), "drawn": list(DRAWN), "all": ALL, **_narrowing(scope)}
    given |= {f"split_{name}": list(split) for name, split in SPLIT_BY_MONTH.items()}
    for prefix, each in (("", period), ("b", before)):
        behind = each.to + timedelta(days=1)
        first, after = each.months() if scope == Scope() else (behind, behind)
        given |= {f"{prefix}from": each.from_, f"{prefix}to": each.to}
        given |= {f"{prefix}first": first, f"{prefix}after": after}
    rows = (await session.execute(text(_statement(scope, period.by_month)), given)).all()
    cursor = next(row for row in rows if row.part == "cursor")
    sums: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    classes: dict[str, dict[int, int]] = defaultdict(dict)
    steps: dict[date, dict[str, int]] = defaultdict(dict)
    for row in rows:
        if row.part == "step":
            steps[row.day][row.figure] = row.value
        elif row is not cursor:
            sums[row.part, row.code or ""][row.figure] += row.value
            if row.figure == "first_response" and row.part in ("by ", "before"):
                classes[row.part][row.bucket] = row.value
    by: dict[str, dict[str, Totals]] = defaultdict(dict)
    for (part, code), values in sums.items():
        if part not in ("by ", "before"):
            by[part.removeprefix("by ")][code] = Totals(dict(values))
    return Figures(
        position=cursor.value,
        as_of=cursor.as_of,
        reconciled=Reconciled(cursor.reconciled_at, cursor.reconciled_position, cursor.differences)
        if cursor.reconciled_at is not None
        else None,
        period=Totals(dict(sums["by ", ""]), classes["by "]),
        before=Totals(dict(sums["before", ""]), classes["before"]),
        by=by,
        steps=steps,
    )


def _narrowing(scope: Scope) -> dict[str, Any]:
    given: dict[str, Any] = {"department": scope.department, "channel": scope.channel}
    for name, values in (("fields", scope.fields), ("areas", scope.areas)):
        given[name] = list(values) if values is not None else None
    return {name: value for name, value in given.items() if value is not None}


async def stock(
    session: AsyncSession, at: datetime, zone: tzinfo, centre: str | None, scope: Scope
) -> Mapping[str, Mapping[str, Stock]]:
    """Cases at work now: dimension → code → Stock; all of them under "" and "".

    Ages are in local days: received today or yesterday is the first class. What no department leads is the centre's.
    """
    today = at.astimezone(zone).date()
    bounds = [datetime.combine(today - timedelta(days=days), time(), zone) for days, _ in AGES]
    given: dict[str, Any] = {"at": at, "soon": at + SOON, "centre": centre or "", **_narrowing(scope)}
    given |= {f"age{n}": bound for n, bound in enumerate(bounds)}
    last = len(bounds)
    ages = ", ".join(
        f"count(*) FILTER (WHERE {_age(n, last)}) AS age{n}"  # from numbers of this function
        for n in range(last + 1)
    )
    narrowed = "".join(
        condition
        for name, condition in (
            ("department", " AND coalesce(lead, :centre) = :department"),
            ("fields", " AND coalesce(field, '') = ANY(:fields)"),
            ("channel", " AND channel = :channel"),
            ("areas", " AND coalesce(area, '') = ANY(:areas)"),
        )
        if name in given
    )
    statement = f"""
        SELECT {_DIM.format(names=_SIDES)} AS dim, coalesce({_SIDES}, '') AS code, count(*) AS open,
               count(*) FILTER (WHERE due < :at) AS late, count(*) FILTER (WHERE due >= :at AND due < :soon) AS soon,
               {ages}
        FROM (
            SELECT coalesce(lead, :centre) AS department, coalesce(field, '') AS field, channel,
                   coalesce(area, '') AS area, next_due_at AS due, received_at
            FROM cases WHERE {IS_OPEN} AND NOT restricted {narrowed}
        ) work
        GROUP BY GROUPING SETS ((), (department), (field), (channel), (area))
    """  # noqa: S608 - constants of this module
    found: dict[str, dict[str, Stock]] = defaultdict(dict)
    for row in await session.execute(text(statement), given):
        found[row.dim][row.code] = Stock(row.open, row.late, row.soon, tuple(row[5:]))
    return found


def _age(n: int, last: int) -> str:
    parts = ([f"received_at >= :age{n}"] if n < last else []) + ([f"received_at < :age{n - 1}"] if n else [])
    return " AND ".join(parts)


def age_days(today: date) -> list[tuple[str, date | None, date | None]]:
    """Each age class with the first and last local day of receipt."""
    found: list[tuple[str, date | None, date | None]] = []
    last: date | None = None
    for days, code in AGES:
        found.append((code, today - timedelta(days=days), last))
        last = today - timedelta(days=days + 1)
    return [*found, ("more", None, last)]
