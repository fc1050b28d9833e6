"""Folding the journal into the figures: every position exactly once, in order, by whichever worker holds the cursor."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlmodel.ext.asyncio.session import AsyncSession

from ioc.contributions import (
    MARKERS,
    Contribution,
    Dims,
    Event,
    contributions,
    counts,
    dims_of,
    marker_contributions,
)
from ioc.definitions import ALL, DIMENSIONS, SPLIT_BY_MONTH, is_listed

BATCH = 2_000  # positions a transaction: some tens of milliseconds, so that a killed worker loses little

Cell = tuple[Any, ...]  # the key of a table of sums

# A second worker finds the row locked and goes on with other work.
_CURSOR = text("SELECT position FROM figure_cursor WHERE id = 1 FOR UPDATE SKIP LOCKED")
_ROWS = """
    SELECT p.position, j.kind, j.case_id, j.occurred_at, j.restricted, j.data
    FROM journal_positions p JOIN journal j ON j.id = p.journal_id
"""
_NEW = text(_ROWS + "WHERE p.position > :after ORDER BY p.position LIMIT :limit")
_HISTORY = text(_ROWS + "WHERE j.case_id = ANY(:cases) AND p.position <= :after ORDER BY p.position")
_LAST_DIMS = text(
    """
    SELECT c.id, last.dims FROM unnest(CAST(:cases AS uuid[])) AS c (id), LATERAL (
        SELECT j.data -> 'dims' AS dims FROM journal j JOIN journal_positions p ON p.journal_id = j.id
        WHERE j.case_id = c.id AND p.position <= :after AND j.data ? 'dims' AND j.kind <> ALL(:markers)
        AND (j.kind LIKE 'case.%' OR j.kind LIKE 'limit.%')
        ORDER BY p.position DESC LIMIT 1
    ) last
    """
)
_CELLS = """
    unnest(CAST(:figures AS text[]), CAST(:days AS date[]), CAST(:departments AS text[]), CAST(:fields AS text[]),
           CAST(:channels AS text[]), CAST(:areas AS text[]), CAST(:buckets AS int[]), CAST(:values AS bigint[]))
"""
_CASES = """
    unnest(CAST(:cases AS uuid[]), CAST(:figures AS text[]), CAST(:days AS date[]), CAST(:departments AS text[]),
           CAST(:fields AS text[]), CAST(:channels AS text[]), CAST(:areas AS text[]), CAST(:values AS int[]))
"""


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of sums: how amounts are added to it, and how cells that came back to nothing leave it."""

    add: TextClause
    sweep: TextClause

    @classmethod
    def of(cls, name: str, key: tuple[str, ...], cells: str) -> "_Table":
        """Its statements; the cells are those of `key`, and their values."""
        keys, theirs, ours = (", ".join(f"{whose}{each}" for each in key) for whose in ("", "c.", "f."))
        add = f"""
            WITH added AS (
                INSERT INTO {name} ({keys}, value) SELECT * FROM {cells}
                ON CONFLICT ({keys}) DO UPDATE SET value = {name}.value + excluded.value RETURNING value
            )
            SELECT count(*) FROM added WHERE value = 0
        """  # noqa: S608 - constants of this module
        sweep = f"""
            DELETE FROM {name} f USING {cells} AS c ({keys}, value)
            WHERE f.value = 0 AND ({ours}) = ({theirs})
        """  # noqa: S608 - constants of this module
        return cls(text(add), text(sweep))

    async def put(self, session: AsyncSession, amounts: dict[Cell, int], names: tuple[str, ...]) -> None:
        """Add the amounts; `names` are those of the arrays that the cells' members go into."""
        if not amounts:
            return
        columns = zip(*((*cell, value) for cell, value in amounts.items()), strict=True)
        arrays = dict(zip((*names, "values"), map(list, columns), strict=True))
        if (await session.execute(self.add, arrays)).scalar_one():
            # A cell that came back to nothing must not tell that something restricted was once there.
            await session.execute(self.sweep, arrays)


_KEY = ("figure", "day", "department", "field", "channel", "area", "bucket")
_ARRAYS = ("figures", "days", "departments", "fields", "channels", "areas", "buckets")
_FIGURES = _Table.of("figures", _KEY, _CELLS)
_MONTHS = _Table.of("figure_months", _KEY, _CELLS)
_BEHIND = _Table.of("figure_cases", ("case_id", *_KEY[:-1]), _CASES)


async def project(session: AsyncSession, zone: tzinfo, at: datetime) -> int:
    """Fold up to BATCH new journal positions into the figures, and move the cursor in the same transaction.

    Returns how many positions were read: 0 when there are none or another worker is at it, BATCH when there may be
    more. `zone` is the centre's; `at` becomes the figures' as-of time.
    """
    after = (await session.execute(_CURSOR)).scalar_one_or_none()
    if after is None:
        return 0
    rows = (await session.execute(_NEW, {"after": after, "limit": BATCH})).all()
    await (await _amounts(session, rows, after, zone)).put(session)
    await session.execute(
        text("UPDATE figure_cursor SET position = :position, as_of = :at WHERE id = 1"),
        {"position": rows[-1].position if rows else after, "at": at},
    )
    return len(rows)


@dataclass(frozen=True, slots=True)
class _Amounts:
    """What a batch changes: sums by day and by month, and what each case has added to the figures people open."""

    days: dict[Cell, int]
    months: dict[Cell, int]
    cases: dict[Cell, int]

    async def put(self, session: AsyncSession) -> None:
        """Add them to the tables."""
        await _FIGURES.put(session, _changed(self.days), _ARRAYS)
        await _MONTHS.put(session, _changed(self.months), _ARRAYS)
        await _BEHIND.put(session, _changed(self.cases), ("cases", *_ARRAYS[:-1]))


def _splits(entry: Contribution) -> Iterator[tuple[str, ...]]:
    """Where a month keeps an amount: in the total, and under each dimension that the figure is split by."""
    yield (ALL,) * len(DIMENSIONS)
    for name, split in SPLIT_BY_MONTH.items():
        if entry.figure in split:
            yield tuple(getattr(entry, each) if each == name else ALL for each in DIMENSIONS)


def _changed(amounts: dict[Cell, int]) -> dict[Cell, int]:
    return {cell: value for cell, value in amounts.items() if value}


async def _amounts(session: AsyncSession, rows: Iterable[Any], after: int, zone: tzinfo) -> _Amounts:
    """The change of every cell that these rows touch."""
    events = [(row.case_id, Event(row.kind, row.occurred_at, row.restricted, row.data)) for row in rows]
    events = [(case, event) for case, event in events if case is not None and counts(event)]
    marked = {case for case, event in events if event.kind in MARKERS}
    histories = await _histories(session, marked, after)
    dims = await _dims_before(session, {case for case, _ in events}, after)
    found = _Amounts(defaultdict(int), defaultdict(int), defaultdict(int))
    for case, event in events:
        for entry in _changes(event, histories.get(case, []), dims.get(case), zone):
            where = (entry.department, entry.field, entry.channel, entry.area)
            found.days[(entry.figure, entry.day, *where, entry.bucket)] += entry.value
            for summed in _splits(entry):
                found.months[(entry.figure, entry.day.replace(day=1), *summed, entry.bucket)] += entry.value
            if is_listed(entry.figure):
                found.cases[(case, entry.figure, entry.day, *where)] += entry.value
        if case in marked:
            histories[case].append(event)
        if event.kind not in MARKERS:
            dims[case] = dims_of(event)
    return found


def _changes(event: Event, history: list[Event], was: Dims | None, zone: tzinfo) -> list[Contribution]:
    if event.kind in MARKERS:
        return marker_contributions(history, event, zone)
    return [] if event.restricted else contributions(event, was, zone)


async def _histories(session: AsyncSession, cases: set[UUID], after: int) -> dict[UUID, list[Event]]:
    """All rows up to the cursor of the cases that are withdrawn or restored in this batch."""
    histories: dict[UUID, list[Event]] = {case: [] for case in cases}
    if cases:
        for row in await session.execute(_HISTORY, {"cases": list(cases), "after": after}):
            event = Event(row.kind, row.occurred_at, row.restricted, row.data)
            if counts(event):
                histories[row.case_id].append(event)
    return histories


async def _dims_before(session: AsyncSession, cases: set[UUID], after: int) -> dict[UUID, Dims]:
    """The dimensions each case had at the cursor; cases not yet there are absent."""
    found = await session.execute(_LAST_DIMS, {"cases": list(cases), "after": after, "markers": list(MARKERS)})
    return {row.id: Dims(*(row.dims[name] for name in Dims._fields)) for row in found}
