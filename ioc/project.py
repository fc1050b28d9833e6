"""Folding the journal into the figures: every position exactly once, in order, by whichever worker holds the cursor."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, tzinfo
from typing import Any
from uuid import UUID

from sqlalchemy import text
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

BATCH = 2_000  # positions a transaction: some tens of milliseconds, so that a killed worker loses little

Cell = tuple[Any, ...]  # a Contribution without its value

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
_ADD = text(
    f"""
    WITH added AS (
        INSERT INTO figures (figure, day, department, field, channel, area, bucket, value)
        SELECT * FROM {_CELLS}
        ON CONFLICT (figure, day, department, field, channel, area, bucket)
        DO UPDATE SET value = figures.value + excluded.value
        RETURNING value
    )
    SELECT count(*) FROM added WHERE value = 0
    """  # noqa: S608 - constants of this module
)
# A cell that came back to nothing must not tell that something restricted was once there.
_SWEEP = text(
    f"""
    DELETE FROM figures f USING {_CELLS} AS c (figure, day, department, field, channel, area, bucket, value)
    WHERE f.value = 0 AND (f.figure, f.day, f.department, f.field, f.channel, f.area, f.bucket)
      = (c.figure, c.day, c.department, c.field, c.channel, c.area, c.bucket)
    """  # noqa: S608 - constants of this module
)


async def project(session: AsyncSession, zone: tzinfo, at: datetime) -> int:
    """Fold up to BATCH new journal positions into the figures, and move the cursor in the same transaction.

    Returns how many positions were read: 0 when there are none or another worker is at it, BATCH when there may be
    more. `zone` is the centre's; `at` becomes the figures' as-of time.
    """
    after = (await session.execute(_CURSOR)).scalar_one_or_none()
    if after is None:
        return 0
    rows = (await session.execute(_NEW, {"after": after, "limit": BATCH})).all()
    totals = await _totals(session, rows, after, zone)
    if totals:
        await _add(session, totals)
    await session.execute(
        text("UPDATE figure_cursor SET position = :position, as_of = :at WHERE id = 1"),
        {"position": rows[-1].position if rows else after, "at": at},
    )
    return len(rows)


async def _totals(session: AsyncSession, rows: Iterable[Any], after: int, zone: tzinfo) -> dict[Cell, int]:
    """The change of every cell that these rows touch."""
    events = [(row.case_id, Event(row.kind, row.occurred_at, row.restricted, row.data)) for row in rows]
    events = [(case, event) for case, event in events if case is not None and counts(event)]
    marked = {case for case, event in events if event.kind in MARKERS}
    histories = await _histories(session, marked, after)
    dims = await _dims_before(session, {case for case, _ in events}, after)
    totals: dict[Cell, int] = defaultdict(int)
    for case, event in events:
        for entry in _changes(event, histories.get(case, []), dims.get(case), zone):
            totals[entry[:-1]] += entry.value
        if case in marked:
            histories[case].append(event)
        if event.kind not in MARKERS:
            dims[case] = dims_of(event)
    return {cell: value for cell, value in totals.items() if value}


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


async def _add(session: AsyncSession, totals: dict[Cell, int]) -> None:
    cells = [Contribution._make((*cell, value)) for cell, value in totals.items()]
    arrays = {f"{name}s": [getattr(cell, name) for cell in cells] for name in Contribution._fields}
    if (await session.execute(_ADD, arrays)).scalar_one():
        await session.execute(_SWEEP, arrays)
