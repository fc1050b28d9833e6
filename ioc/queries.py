"""Figures for a period, by dimensions: sums, what derives from them, live stocks, and the public selection."""

import json
from calendar import monthrange
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.views import Geography
from core.errors import Invalid
from ioc.definitions import (
    AGES,
    DIMENSIONS,
    DURATIONS,
    ENOUGH_RATINGS,
    OPEN_STATUSES,
    PERCENTILES,
)
from ioc.durations import percentile
from routing.queries import read_directory

BY = ("day", *DIMENSIONS)
SMALLEST_CELL = 5
PUBLIC_TOTALS = (
    "received", "answered_first_contact", "forwarded", "replied", "refused", "redirected", "merged", "reopened", "open",
    "on_time_rate.resolve", "on_time_rate_closed.resolve", "resolution.p50", "resolution.p90", "ratings", "rating_mean",
    "rating_good_share",
)  # fmt: skip

Value = int | float
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One figure of a period for one combination of the dimensions asked for."""

    figure: str
    from_: date
    to: date
    by: dict[str, str]
    value: Value

    def as_dict(self) -> dict[str, Any]:
        """The item's JSON form."""
        return {
            "figure": self.figure,
            "from": self.from_.isoformat(),
            "to": self.to.isoformat(),
            "by": self.by,
            "value": self.value,
        }


def dimensions(names: str | Iterable[str]) -> tuple[str, ...]:
    """The dimensions of a breakdown from `department,field` or a list; Invalid names one that there is not."""
    wanted = [name.strip() for name in (names.split(",") if isinstance(names, str) else names)]
    for name in filter(None, wanted):
        if name not in BY:
            raise Invalid.at(
                "by",
                f"Không có chiều “{name[:40]}”. Có thể chia theo: {', '.join(BY)}.",
                f"There is no dimension “{name[:40]}”. Figures can be split by: {', '.join(BY)}.",
            )
    return tuple(name for name in BY if name in wanted)


def check_period(from_: date, to: date) -> None:
    """Raise Invalid when the period ends before it begins; both days belong to it."""
    if from_ > to:
        raise Invalid.at("to", "Ngày cuối phải từ ngày đầu trở đi.", "The last day must not be before the first.")


async def figures(
    session: AsyncSession, from_: date, to: date, by: Sequence[str] = (), counted_as: Mapping[str, str] | None = None
) -> list[Item]:
    """Every figure of the days `from_` to `to`, both included, split by `by` (names from BY).

    `counted_as` says of areas by which other they are counted, as by the geography of today; rates and percentiles are
    those of the areas together.

    The stock `open` is read at the end of the period; split by day, it is given for the first day and for each day
    on which it changed. Figures of value 0 and derived ones without a base are absent.
    """
    check_period(from_, to)
    dims = dimensions(by)
    sums: dict[Key, dict[str, int]] = defaultdict(dict)
    classes: dict[Key, dict[str, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
    for row in await _sums(session, from_, to, dims, counted_as):
        key = tuple(str(part) for part in row[:-3])
        if row.figure in DURATIONS:
            classes[key][row.figure][row.bucket] = row.value
        else:
            sums[key][row.figure] = row.value
    for row in await _stock(session, from_, to, dims, counted_as):
        sums[tuple(str(part) for part in row[:-1])]["open"] = row.value
    items: list[Item] = []
    for key in sorted(sums.keys() | classes.keys()):
        values: dict[str, Value] = {**sums[key], **_shares(sums[key]), **_percentiles(classes[key])}
        split = dict(zip(dims, key, strict=True))
        items += [Item(figure, from_, to, split, values[figure]) for figure in sorted(values)]
    return items


async def figures_command(
    session: AsyncSession, from_: date, to: date, by: str | Sequence[str], geography: Geography, today: date
) -> list[dict[str, Any]]:
    """`main.py ioc figures`: items as dictionaries; areas as cases have them, or as the units they are `today`."""
    counted_as = None
    if geography == "today":
        directory = await read_directory(session)
        every = {code: directory.counted_as(code, today) for code in directory.areas}
        counted_as = {code: now for code, now in every.items() if now != code}
    return [item.as_dict() for item in await figures(session, from_, to, dimensions(by), counted_as)]


async def live(session: AsyncSession, at: datetime, today: date, by: Sequence[str] = ()) -> list[Item]:
    """Late limits per stage and open cases by age at this moment, from the tables themselves; `today` labels them."""
    dims = dimensions(by)
    if "day" in dims:
        return []
    open_ = sorted(OPEN_STATUSES)
    late = f"""
        SELECT {_columns(dims, _LIMIT_COLUMNS)} 'late_now.' || l.stage AS figure, count(*) AS value
        FROM limits l JOIN cases c ON c.id = l.case_id
        WHERE l.due_at < :at AND l.met_at IS NULL AND l.cancelled_at IS NULL AND NOT c.restricted
        GROUP BY {_ordinals(len(dims) + 1)}
    """  # noqa: S608 - names come from fixed lists
    ladder = " ".join(
        f"WHEN c.received_at >= CAST(:at AS timestamptz) - interval '{days} days' THEN '{code}'" for days, code in AGES
    )
    ages = f"""
        SELECT {_columns(dims, _CASE_COLUMNS)} 'open_age.' || CASE {ladder} ELSE 'more' END AS figure, count(*) AS value
        FROM cases c WHERE c.status = ANY(:open) AND NOT c.restricted
        AND c.status IN ('received', 'forwarded', 'in_progress', 'waiting_citizen', 'answered')
        GROUP BY {_ordinals(len(dims) + 1)}
    """  # noqa: S608 - names come from fixed lists; the last condition only lets the partial index serve
    rows = [
        *(await session.execute(text(late), {"at": at})),
        *(await session.execute(text(ages), {"at": at, "open": open_})),
    ]
    return [
        Item(row.figure, today, today, dict(zip(dims, row[: len(dims)], strict=True)), row.value)
        for row in sorted(rows, key=tuple)
    ]


@dataclass(frozen=True, slots=True)
class PublicTable:
    """One breakdown: cells large enough to be shown, and how many fell into the others together."""

    cells: dict[str, int]
    other: int


@dataclass(frozen=True, slots=True)
class PublicFigures:
    """What anybody may read: totals of the period, and reports received in its months, split one way at a time."""

    totals: dict[str, Value]
    months_from: date | None
    months_to: date | None
    received_by: dict[str, PublicTable]


async def public_figures(session: AsyncSession, from_: date, to: date) -> PublicFigures:
    """Totals of the period, and `received` by each dimension, where no cell below SMALLEST_CELL can be found.

    Cells are merged within each calendar month and whole months are added up, so that two overlapping periods differ
    by published cells only; one dimension and one figure only, so that no second table fills in the first.
    """
    totals = {item.figure: item.value for item in await figures(session, from_, to) if item.figure in PUBLIC_TOTALS}
    tables: dict[str, PublicTable] = {}
    months: set[date] = set()
    for name in DIMENSIONS:
        monthly: dict[date, dict[str, int]] = defaultdict(dict)
        for row in await session.execute(text(_MONTHS.format(name=name)), {"from": from_, "to": to}):
            monthly[row.month][row.cell] = row.value
        months |= monthly.keys()
        tables[name] = _added_up([merge_small(cells) for cells in monthly.values()])
    return PublicFigures(
        totals=totals,
        months_from=min(months, default=None),
        months_to=_last_day(max(months)) if months else None,
        received_by=tables,
    )


def merge_small(cells: Mapping[str, int], smallest: int = SMALLEST_CELL) -> PublicTable:
    """One table with its cells below `smallest` merged into `other`, which nobody can take apart knowing the total.

    `other` holds at least two cells and at least `smallest`: where the small ones are too few, the next larger joins
    them. When all there is stays below `smallest`, nothing is told.
    """
    ranked = sorted((value, cell) for cell, value in cells.items() if value > 0)
    pooled = sum(1 for value, _ in ranked if value < smallest)
    other = sum(value for value, _ in ranked[:pooled])
    while 0 < pooled < len(ranked) and other < smallest:  # one small cell alone is never enough
        other += ranked[pooled][0]
        pooled += 1
    return PublicTable({cell: value for value, cell in ranked[pooled:]}, other if other >= smallest else 0)


def _added_up(tables: Iterable[PublicTable]) -> PublicTable:
    cells: dict[str, int] = defaultdict(int)
    other = 0
    for table in tables:
        other += table.other
        for cell, value in table.cells.items():
            cells[cell] += value
    return PublicTable(dict(sorted(cells.items())), other)


_LIMIT_COLUMNS = {
    "department": "l.holder",
    "field": "coalesce(c.field, '')",
    "channel": "c.channel",
    "area": "coalesce(c.area, '')",
}
_CENTRE = "(SELECT code FROM departments WHERE kind = 'centre' ORDER BY valid_to DESC NULLS FIRST LIMIT 1)"
_CASE_COLUMNS = {**_LIMIT_COLUMNS, "department": f"coalesce(c.lead, {_CENTRE}, '')"}
_MONTHS = """
    SELECT CAST(date_trunc('month', day) AS date) AS month, {name} AS cell, CAST(sum(value) AS bigint) AS value
    FROM figures
    WHERE figure = 'received' AND day >= date_trunc('month', CAST(:from AS date))
    AND day < date_trunc('month', CAST(:to AS date)) + interval '1 month'
    GROUP BY 1, 2
"""


def _columns(dims: Sequence[str], names: Mapping[str, str] | None = None) -> str:
    return "".join(f"{names[name] if names else name}, " for name in dims)


def _ordinals(count: int) -> str:
    return ", ".join(str(n + 1) for n in range(count))


def _counted(dims: Sequence[str], counted_as: Mapping[str, str] | None) -> tuple[str, dict[str, str]]:
    """Columns of `figures` under their own names, an area as what it is counted as, and what the statement is given."""
    if counted_as is None or "area" not in dims:
        return _columns(dims), {}
    known = {name: name for name in dims} | {"area": "coalesce(CAST(:counted_as AS jsonb) ->> area, area) AS area"}
    return _columns(dims, known), {"counted_as": json.dumps(counted_as)}


async def _sums(
    session: AsyncSession, from_: date, to: date, dims: Sequence[str], counted_as: Mapping[str, str] | None
) -> Sequence[Any]:
    columns, given = _counted(dims, counted_as)
    statement = f"""
        SELECT {columns} figure, bucket, CAST(sum(value) AS bigint) AS value FROM figures
        WHERE day BETWEEN :from AND :to AND figure = ANY(ARRAY(SELECT code FROM names WHERE code <> 'open'))
        GROUP BY {_ordinals(len(dims) + 2)} HAVING sum(value) <> 0
    """  # noqa: S608 - names come from BY
    return (await session.execute(text(NAMES_CTE + statement), {"from": from_, "to": to, **given})).all()


# Figure codes by hopping through the key, so that every figure is then one range of it.
NAMES_CTE = """
    WITH RECURSIVE names (code) AS (
        (SELECT figure FROM figures ORDER BY figure LIMIT 1)
        UNION ALL
        SELECT (SELECT figure FROM figures WHERE figure > code ORDER BY figure LIMIT 1) FROM names
        WHERE code IS NOT NULL
    )
"""


async def _stock(
    session: AsyncSession, from_: date, to: date, dims: Sequence[str], counted_as: Mapping[str, str] | None
) -> Sequence[Any]:
    """The running total of `open`, at the end of the period or of each day that changed it."""
    others = [name for name in dims if name != "day"]
    columns, given = _counted(others, counted_as)
    if "day" not in dims:
        statement = f"""
            SELECT {columns} CAST(sum(value) AS bigint) AS value FROM figures
            WHERE figure = 'open' AND day <= :to GROUP BY {_ordinals(len(others)) or "()"} HAVING sum(value) <> 0
        """  # noqa: S608 - names come from BY
    else:
        partition = f"PARTITION BY {', '.join(others)}" if others else ""
        statement = f"""
            SELECT * FROM (
                SELECT day, {_columns(others)} CAST(sum(sum(value)) OVER ({partition} ORDER BY day) AS bigint) AS value
                FROM (SELECT greatest(day, :from) AS day, {columns} value FROM figures
                      WHERE figure = 'open' AND day <= :to) flow
                GROUP BY {_ordinals(len(others) + 1)}
            ) running WHERE value <> 0
        """  # noqa: S608 - names come from BY
    values = {"from": from_, "to": to} if "day" in dims else {"to": to}
    return (await session.execute(text(statement), {**values, **given})).all()


def _shares(sums: Mapping[str, int]) -> dict[str, Value]:
    """Rates of sums, each only where it has a base."""
    shares: dict[str, Value] = {}
    for figure, base in sums.items():
        family, _, stage = figure.partition(".")
        if family == "due" and base > 0:
            shares[f"on_time_rate.{stage}"] = _share(sums.get(f"due_met.{stage}", 0), base)
        elif family == "met" and base > 0:
            shares[f"on_time_rate_closed.{stage}"] = _share(sums.get(f"met_in_time.{stage}", 0), base)
    ratios: tuple[tuple[str, str, str, int, Callable[[int, int], float]], ...] = (
        ("rating_mean", "rating_sum", "ratings", ENOUGH_RATINGS, lambda part, base: round(part / base, 3)),
        ("rating_good_share", "ratings_good", "ratings", ENOUGH_RATINGS, _share),
        ("first_contact_share", "answered_first_contact", "received", 1, _share),
        ("reopen_share", "reopened", "replied", 1, _share),
    )
    for figure, part, base_figure, least, ratio in ratios:
        base = sums.get(base_figure, 0)
        if base >= least:
            shares[figure] = ratio(sums.get(part, 0), base)
    return shares


def _share(part: int, base: int) -> float:
    return round(part / base, 4)


def _percentiles(histograms: Mapping[str, Mapping[int, int]]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for figure, classes in histograms.items():
        found[f"{figure}.n"] = sum(classes.values())
        for percent in PERCENTILES:
            seconds = percentile(classes, percent)
            if seconds is not None:
                found[f"{figure}.p{percent}"] = round(seconds)
    return found


def _last_day(month: date) -> date:
    return month.replace(day=monthrange(month.year, month.month)[1])
