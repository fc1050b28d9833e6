"""Late work goes upwards, step by step as the rule set of its case says, in working time, each step once.

`cases.notices` puts a limit in line when the journal says that it is late; here each is looked at when its next step
may be due. What is due is decided by the limit as it is then: done or taken away it leaves the line, extended it waits
for its new due time. A step is a row of `escalations`, a line in the journal, and so notices to whom the step means.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import telling
from core.journal import Line, record_all
from routing.decide import Rulebook
from routing.queries import Routing
from routing.working_time import Calendar, due

BATCH = 1_000
LOOK_AGAIN = timedelta(hours=1)  # at a limit that cannot be counted now

_CLAIM = text(
    """
    SELECT e.limit_id, l.stage, l.holder, l.calendar, l.due_at, l.breached_at, l.met_at, l.cancelled_at,
           c.id AS case_id, c.code, c.restricted, c.rule_set_id,
           (SELECT count(*) FROM escalations x WHERE x.limit_id = e.limit_id) AS done
    FROM escalations_due e JOIN limits l ON l.id = e.limit_id JOIN cases c ON c.id = l.case_id
    WHERE e.run_at <= :at ORDER BY e.run_at LIMIT :limit FOR UPDATE OF e SKIP LOCKED
    """
)
_STEPS = text(
    """
    INSERT INTO escalations (limit_id, step, role, at)
    SELECT limit_id, step, role, :at FROM unnest(CAST(:limits AS uuid[]), CAST(:steps AS smallint[]),
        CAST(:roles AS text[])) AS t (limit_id, step, role)
    """
)
_LATER = text(
    """
    UPDATE escalations_due e SET run_at = t.run_at
    FROM unnest(CAST(:limits AS uuid[]), CAST(:run_at AS timestamptz[])) AS t (limit_id, run_at)
    WHERE e.limit_id = t.limit_id
    """
)
_DONE = text("DELETE FROM escalations_due WHERE limit_id = ANY(:limits)")

log = structlog.get_logger()


async def run(session: AsyncSession, routing: Routing, at: datetime, limit: int = BATCH) -> int:
    """Take the steps upwards that are due; how many late limits were looked at. Workers share them row by row.

    Of several steps due at once, as after a standstill, each is taken: everybody on the ladder is to know.
    """
    rows = (await session.execute(_CLAIM, {"at": at, "limit": limit})).mappings().all()
    lines: list[Line] = []
    steps: list[tuple[UUID, int, str]] = []
    later: dict[UUID, datetime] = {}
    done: list[UUID] = []
    for row in rows:
        id = row["limit_id"]
        if row["breached_at"] is None or row["met_at"] is not None or row["cancelled_at"] is not None:
            done.append(id)
            continue
        try:
            book = routing.rulebook(row["rule_set_id"])
            turns, again = due_steps(book, routing.calendars[row["calendar"]], row["due_at"], row["done"], at)
        except Exception as error:  # whatever one is wrong in, the others go their way
            log.error("late limit not taken upwards", case=row["code"], stage=row["stage"], error=type(error).__name__)
            later[id] = at + LOOK_AGAIN
            continue
        for step in turns:
            role = book.escalate[step].to
            steps.append((id, step, role))
            lines.append(Line(telling.ESCALATED, row["case_id"], row["restricted"], _data(row, step, role)))
        if again is None:
            done.append(id)
        else:
            later[id] = again
    await _write(session, steps, lines, later, done, at)
    return len(rows)


def due_steps(
    book: Rulebook, calendar: Calendar, due_at: datetime | None, done: int, at: datetime
) -> tuple[list[int], datetime | None]:
    """The steps of the ladder that are due now for what was due at `due_at`, and when to look for the next.

    `done`: how many were taken before. None: the ladder is over. A clock that stands still is looked at later.
    """
    if due_at is None:
        return [], at + LOOK_AGAIN
    turns: list[int] = []
    for step in range(done, len(book.escalate)):
        moment = due(due_at, book.escalate[step].after, calendar, day_end=book.day_end)
        if moment > at:
            return turns, moment
        turns.append(step)
    return turns, None


def _data(row: Mapping[Any, Any], step: int, role: str) -> dict[str, Any]:
    return {
        "code": row["code"],
        "limit": str(row["limit_id"]),
        "stage": row["stage"],
        "holder": row["holder"],
        "due_at": row["due_at"].isoformat(),
        "step": step + 1,
        "to": role,
    }


async def _write(
    session: AsyncSession,
    steps: list[tuple[UUID, int, str]],
    lines: list[Line],
    later: Mapping[UUID, datetime],
    done: list[UUID],
    at: datetime,
) -> None:
    if steps:
        limits, numbers, roles = zip(*steps, strict=True)
        await session.execute(_STEPS, {"limits": limits, "steps": numbers, "roles": roles, "at": at})
        await record_all(session, lines, at=at, actor_kind="system")
    if later:
        await session.execute(_LATER, {"limits": list(later), "run_at": list(later.values())})
    if done:
        await session.execute(_DONE, {"limits": done})
