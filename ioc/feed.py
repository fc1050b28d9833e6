"""The feed of the operations centre: events by position, and aggregates with their definitions and proof."""

from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from ioc.contributions import WITHDRAWN
from ioc.definitions import Definition, definition_of
from ioc.queries import Item, dimensions, figures, live

MOST_EVENTS = 1_000
SCANNED = 5_000  # positions looked at by one request, so that a long restricted or foreign stretch stays cheap


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One event as other systems see it: codes, dimensions and amounts, no text and no person."""

    position: int
    id: int
    kind: str
    occurred_at: datetime
    recorded_at: datetime
    case: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in order of position; reading goes on after `next_after`, which is `after` when there is nothing new."""

    items: list[FeedEvent]
    next_after: int


@dataclass(frozen=True, slots=True)
class Reconciled:
    """When the figures were last proved against journal and cases, up to which position, with how many differences."""

    at: datetime
    position: int
    differences: int


@dataclass(frozen=True, slots=True)
class Aggregates:
    """Figures of a period with what they mean, how far into the journal they reach, and when that was proved."""

    as_of: datetime
    position: int
    reconciled: Reconciled | None
    definitions: list[Definition]
    items: list[Item]


# One statement, hence one snapshot: the horizon it returns has no hole below it.
_EVENTS = text(
    """
    WITH window_ AS (
        SELECT position, journal_id FROM journal_positions WHERE position > :after ORDER BY position LIMIT :scanned
    ),
    shown AS (
        SELECT w.position, j.id, j.kind, j.occurred_at, j.recorded_at,
               coalesce(c.code, j.data ->> 'code') AS code, j.data - 'code' AS data
        FROM window_ w JOIN journal j ON j.id = w.journal_id LEFT JOIN cases c ON c.id = j.case_id
        WHERE j.case_id IS NOT NULL AND (j.kind LIKE 'case.%' OR j.kind LIKE 'limit.%')
        AND NOT j.restricted AND (NOT coalesce(c.restricted, false) OR j.kind = :withdrawn)
        ORDER BY w.position LIMIT :limit
    )
    SELECT shown.*, seen.horizon FROM (SELECT max(position) AS horizon FROM window_) seen LEFT JOIN shown ON true
    ORDER BY shown.position
    """
)


async def events(session: AsyncSession, after: int, limit: int) -> EventPage:
    """Events of cases after a position, at most `limit` and at most MOST_EVENTS.

    Rows written while a case was restricted are never here; of a case restricted now only the withdrawal is, with
    the code alone, upon which a consumer deletes its copy. A page may be empty although `next_after` moved.
    """
    limit = min(limit, MOST_EVENTS)
    rows = (
        await session.execute(_EVENTS, {"after": after, "scanned": SCANNED, "limit": limit, "withdrawn": WITHDRAWN})
    ).all()
    items = [
        FeedEvent(
            position=row.position,
            id=row.id,
            kind=row.kind,
            occurred_at=row.occurred_at,
            recorded_at=row.recorded_at,
            case=row.code,
            data={} if row.kind == WITHDRAWN else row.data,
        )
        for row in rows
        if row.position is not None
    ]
    horizon = rows[0].horizon
    if horizon is None:
        return EventPage([], after)
    return EventPage(items, items[-1].position if len(items) == limit else horizon)


_CURSOR = text(
    "SELECT position, as_of, reconciled_at, reconciled_position, differences FROM figure_cursor WHERE id = 1"
)
STEADY_TRIES = 3


async def aggregates(
    session: AsyncSession, from_: date, to: date, by: str, *, at: datetime, zone: tzinfo
) -> Aggregates:
    """Figures of the local days `from_` to `to`, both included, and what is late or open at `at`.

    `by` names dimensions separated by commas; Invalid when it names others or the period is none. Read again when the
    cursor moved meanwhile, so that all sums are of one position.
    """
    dims = dimensions(by)
    cursor = (await session.execute(_CURSOR)).one()
    for _ in range(STEADY_TRIES):
        items = await figures(session, from_, to, dims)
        read_at, cursor = cursor, (await session.execute(_CURSOR)).one()
        if read_at.position == cursor.position:
            break
    items += await live(session, at, at.astimezone(zone).date(), dims)
    return Aggregates(
        as_of=read_at.as_of,
        position=read_at.position,
        reconciled=Reconciled(cursor.reconciled_at, cursor.reconciled_position, cursor.differences)
        if cursor.reconciled_at is not None
        else None,
        definitions=[definition_of(code) for code in sorted({item.figure for item in items})],
        items=items,
    )
