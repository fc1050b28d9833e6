"""Reminders and breaches whose time has come, many limits in few statements.

The rows are shared: every worker takes those that no other holds, writes what it took with one statement a table, and
commits. One that dies leaves its rows as they were, for the others to take at once. Rows locked by a command are left
for the next round: the command itself notes a breach it finds. Their cases are read after that and not locked: whatever
changes a case's track or unit holds its limits too (`cases.desk`), and a lock is a write to a row ten times as wide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Uuid, any_, cast, text
from sqlalchemy import select as sql_select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import load_only
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.limits import ALL, Op, Turning, dims, next_threshold, op_of
from cases.models import Case, Limit
from cases.unit_mail import UnitPost
from channels import outbox
from core.journal import Line, record, record_all
from routing.decide import Rulebook
from routing.queries import Routing, load
from routing.working_time import Calendar

BATCH = 1_000
# Classes of SQLSTATE that a row may be guilty of: bad data, a constraint, a trigger. Anything else is tried again.
THE_ROWS_FAULT = ("22", "23", "P0")
_OF_A_CASE = [
    getattr(Case, name)
    for name in (
        "code",
        "received_at",
        "restricted",
        "rule_set_id",
        "lead",
        "units",
        "field",
        "channel",
        "area",
        "urgency",
    )
]

_OF_A_LIMIT = [getattr(Limit, each.name) for each in fields(Turning)]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Turned:
    """A limit whose turns have been counted, with what is to be written of them."""

    limit: Turning
    case: Case
    lines: tuple[Line, ...]
    letter: dict[str, Any] | None


async def run_due(
    session: AsyncSession, routing: Routing, at: datetime, limit: int = BATCH, *, console: str | None = None
) -> int:
    """Write the reminders and breaches whose time has come, each once; returns how many limits were looked at.

    With `console`, the address letters link to, the holder is written to: of several turns of one limit at once, the
    last is told. A limit that cannot be counted or written is set aside with a line in the journal, and keeps nobody
    else waiting.
    """
    found = await _claim(session, at, limit)
    cases = await _cases_of(session, found)
    if not _knows(routing, found, cases):
        routing = await load(session)  # what was read a moment ago may be older than a calendar or a rule set in use
    post = None if console is None else UnitPost(session, routing, console, at)
    turned = []
    for row in found:
        case = cases[row.case_id]
        try:
            turned.append(_turned(row, case, routing, at, post))
        except Exception as error:  # whatever one row is wrong in, the others have their time
            await _set_aside(session, row, case, at, error)
    if turned:
        await _write(session, turned, at)
    return len(found)


def turns(row: Turning, calendar: Calendar, book: Rulebook, at: datetime) -> list[tuple[str, Op]]:
    """(kind, op) of every reminder and breach of this limit until `at`, oldest first; it then waits for its next turn.

    A limit that was extended after its breach is reminded of its new due time, and told when that is over; the breach
    is one event.
    """
    said = []
    while row.next_at is not None and row.next_at <= at:
        if row.due_at is not None and row.next_at >= row.due_at:
            late_before = row.breached_at is not None
            row.reminded, row.next_at = ALL, None
            if late_before:
                said.append(("limit.reminded", op_of("reminded", row, percent=ALL)))
                continue
            row.breached_at = row.due_at
            said.append(("limit.breached", op_of("breached", row, at=at.isoformat())))
        else:
            row.reminded = min(round(share * 100) for share in book.remind if round(share * 100) > row.reminded)
            row.next_at = next_threshold(row, calendar, book)
            said.append(("limit.reminded", op_of("reminded", row, percent=row.reminded)))
    return said


async def _claim(session: AsyncSession, at: datetime, limit: int) -> list[Turning]:
    statement = (
        sql_select(*_OF_A_LIMIT)
        .where(col(Limit.next_at) <= at)
        .order_by(col(Limit.next_at))
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    )
    return [Turning(*row) for row in (await session.execute(statement)).all()]


async def _cases_of(session: AsyncSession, found: Sequence[Turning]) -> dict[UUID, Case]:
    """The cases of limits that we hold, in a statement after that: before it their tracks may be old ones."""
    ids = cast([row.case_id for row in found], ARRAY(Uuid()))
    statement = select(Case).where(col(Case.id) == any_(ids)).options(load_only(*_OF_A_CASE))
    return {case.id: case for case in (await session.exec(statement)).all()} if found else {}


def _knows(routing: Routing, found: Sequence[Turning], cases: Mapping[UUID, Case]) -> bool:
    """Whether these rules hold all that the limits and their cases are counted by."""
    books = {dated.id for dated in routing.rulebooks}
    return all(row.calendar in routing.calendars and cases[row.case_id].rule_set_id in books for row in found)


def _turned(row: Turning, case: Case, routing: Routing, at: datetime, post: UnitPost | None) -> Turned:
    said = turns(row, routing.calendars[row.calendar], routing.rulebook(case.rule_set_id), at)
    about = {"code": case.code, "received_at": case.received_at.isoformat(), "dims": dims(case, routing)}
    lines = tuple(Line(kind, case.id, case.restricted, {**about, "limits": [op]}) for kind, op in said)
    return Turned(row, case, lines, post.letter_of(case, row, row.reminded) if post is not None else None)


async def _write(session: AsyncSession, turned: list[Turned], at: datetime) -> None:
    """All of it, or where the database refuses something, all but that."""
    try:
        async with session.begin_nested():
            await record_all(session, [line for each in turned for line in each.lines], at=at, actor_kind="system")
            await session.execute(_UPDATE, _columns([each.limit for each in turned]))
            await outbox.enqueue_all(session, [each.letter for each in turned if each.letter is not None])
    except DBAPIError as error:
        if not str(getattr(error.orig, "sqlstate", "")).startswith(THE_ROWS_FAULT):
            raise
        if len(turned) == 1:
            await _set_aside(session, turned[0].limit, turned[0].case, at, error)
            return
        for each in turned:
            await _write(session, [each], at)


_UPDATE = text(
    """
    UPDATE limits SET next_at = t.next_at, reminded = t.reminded, breached_at = t.breached_at
    FROM unnest(CAST(:ids AS uuid[]), CAST(:next_at AS timestamptz[]), CAST(:reminded AS int[]),
                CAST(:breached_at AS timestamptz[])) AS t (id, next_at, reminded, breached_at)
    WHERE limits.id = t.id
    """
)


def _columns(rows: list[Turning]) -> dict[str, Any]:
    return {
        "ids": [row.id for row in rows],
        "next_at": [row.next_at for row in rows],
        "reminded": [row.reminded for row in rows],
        "breached_at": [row.breached_at for row in rows],
    }


async def _set_aside(session: AsyncSession, row: Turning, case: Case, at: datetime, error: Exception) -> None:
    """This limit has no next turn until something happens to it: a person must look; `limits verify` names it."""
    reason = type(error).__name__
    log.error("limit set aside", case=case.code, stage=row.stage, error=reason)
    await session.execute(_ASIDE, {"id": row.id})
    await record(
        session,
        "limit.stuck",
        at=at,
        actor_kind="system",
        case_id=case.id,
        restricted=case.restricted,
        data={"code": case.code, "limit": str(row.id), "stage": row.stage, "holder": row.holder, "error": reason},
    )


_ASIDE = text("UPDATE limits SET next_at = NULL WHERE id = :id")
