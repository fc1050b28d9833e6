"""`limits verify`: fold the journal into limits again and compare them with the table and with the calendar."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy import select as sql_select
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.limits import NextClock, computed_due, next_clock, next_threshold
from cases.models import Case, Limit, LimitRecount
from core.journal import Journal
from routing import queries
from routing.queries import Routing

BATCH = 1_000
SLACK = timedelta(seconds=2 * queries.FRESH_FOR)  # a process may count so long by what a calendar was
GRACE = timedelta(minutes=1)  # a breach is an event within a minute
COMPARED = (
    "stage",
    "holder",
    "clock",
    "amount",
    "unit",
    "calendar",
    "opened_at",
    "due_at",
    "met_at",
    "cancelled_at",
    "breached_at",
    "stopped_at",
    "moved_to",
    "handed_from",
)

Told = dict[str, dict[str, Any]]


async def limits(session: AsyncSession, at: datetime) -> tuple[int, list[str]]:
    """(limits looked at, differences), as of one moment: the session's transaction must be frozen.

    A difference names the case and says what differs: table and journal, table and calendar, the next clock on the
    case's row, or a reminder or breach that should have been written by `at`. Case by case, so memory does not grow
    with the table.
    """
    routing = await queries.load(session)
    edited = await _edited_calendars(session)
    recounted = await _recounted(session)
    differences: list[str] = []
    seen = 0
    rows = _by_case(
        session,
        sql_select(
            Limit,
            col(Case.code),
            col(Case.rule_set_id),
            col(Case.next_due_at),
            col(Case.next_stage),
            col(Case.next_holder),
        )
        .join(Case, col(Case.id) == col(Limit.case_id))
        .order_by(col(Limit.case_id), col(Limit.id)),
    )
    told = _by_case(
        session,
        select(Journal).where(col(Journal.case_id).is_not(None)).order_by(col(Journal.case_id), col(Journal.id)),
    )
    left, right = await anext(rows, None), await anext(told, None)
    while left is not None or right is not None:
        case_id = min(group[0] for group in (left, right) if group is not None)
        here = left[1] if left is not None and left[0] == case_id else []
        said: Told = {}
        if right is not None and right[0] == case_id:
            for event in right[1]:
                for op in event[0].data.get("limits", ()):
                    fold(said, op)
        seen += len(here)
        for row, code, rule_set_id, *_ in here:
            wrong = _wrong(row, said, routing, rule_set_id, at, edited, recounted)
            differences += [f"{code} {row.stage}: {what}" for what in wrong]
        differences += _wrong_next(here)
        differences += [f"{case_id} {each['stage']}: in the journal but not in the table" for each in said.values()]
        if left is not None and left[0] == case_id:
            left = await anext(rows, None)
        if right is not None and right[0] == case_id:
            right = await anext(told, None)
    return seen, differences


async def _edited_calendars(session: AsyncSession) -> dict[str, datetime]:
    """Calendars that were edited, and until when a process may have counted with what they were before."""
    statement = (
        select(Journal.subject, func.max(Journal.occurred_at))
        .where(col(Journal.kind).like("calendar.%"))
        .group_by(col(Journal.subject))
    )
    return {code: last + SLACK for code, last in (await session.exec(statement)).all() if code is not None}


async def _recounted(session: AsyncSession) -> dict[UUID, datetime]:
    """When limits were last counted again for a change of their calendar."""
    statement = select(LimitRecount.limit_id, func.max(LimitRecount.at)).group_by(col(LimitRecount.limit_id))
    return dict((await session.exec(statement)).all())


def _wrong(
    row: Limit,
    said: Told,
    routing: Routing,
    rule_set_id: UUID,
    at: datetime,
    edited: dict[str, datetime],
    recounted: dict[UUID, datetime],
) -> list[str]:
    wanted = said.pop(str(row.id), None)
    if wanted is None:
        return ["not in the journal"]
    wrong = [
        f"{name} is {getattr(row, name)}, the journal says {wanted.get(name)}"
        for name in COMPARED
        if getattr(row, name) != wanted.get(name)
    ]
    book = routing.rulebook(rule_set_id)
    if row.calendar not in routing.calendars:
        return [*wrong, f"there is no calendar {row.calendar}"]
    # What ran when its calendar was edited keeps its due time, so the calendar of today says nothing about it.
    counted_at = row.opened_at
    if row.id in recounted:  # by the tables themselves, so no process's older reading comes in
        counted_at = max(counted_at, recounted[row.id] + SLACK)
    as_now = row.clock != "working" or row.calendar not in edited or counted_at > edited[row.calendar]
    if as_now and row.due_at is not None and row.moved_to is None:
        by_calendar = computed_due(row, routing.calendars, book)
        if by_calendar != row.due_at:
            wrong.append(f"due_at is {row.due_at}, the calendar says {by_calendar}")
    next_at = next_threshold(row, routing.calendars[row.calendar], book)
    if as_now and next_at != row.next_at:
        wrong.append(f"next_at is {row.next_at}, it should be {next_at}")
    if next_at is not None and row.due_at is not None and at > row.due_at + GRACE:
        wrong.append(f"due at {row.due_at}, no breach was written")
    return wrong


def _wrong_next(here: list[Any]) -> list[str]:
    """What the case's row says of its next clock, against its limits."""
    if not here:
        return []
    _, code, _, *kept = here[0]
    wanted = next_clock(row for row, *_ in here)
    if NextClock(*kept) == wanted:
        return []
    return [f"{code}: the next clock is {tuple(map(str, kept))}, it should be {tuple(map(str, wanted))}"]


async def _by_case(session: AsyncSession, statement: Any) -> AsyncIterator[tuple[UUID, list[Any]]]:
    """Rows one case at a time; the statement is ordered by case, and its first member knows `case_id`."""
    found = await session.stream(statement.execution_options(yield_per=BATCH))
    present: tuple[UUID, list[Any]] | None = None
    async for row in found:
        case_id = row[0].case_id
        if present is not None and present[0] != case_id:
            yield present
            present = None
        if present is None:
            present = (case_id, [])
        present[1].append(row)
    if present is not None:
        yield present


def fold(told: Told, op: dict[str, Any]) -> None:
    """Apply one op of the journal to the limits told so far."""
    name, key = op["op"], op["id"]
    at = _moment(op.get("at"))
    limit = told.setdefault(key, {"stage": op["stage"], "holder": op["holder"]})
    limit["due_at"] = _moment(op.get("due_at"))
    if name in ("opened", "amended"):
        limit |= {each: op[each] for each in ("clock", "amount", "unit", "calendar") if each in op}
        limit["opened_at"] = _moment(op["opened_at"])
    elif name == "met":
        limit["met_at"] = at
    elif name == "cancelled":
        limit["cancelled_at"] = at
        limit["stopped_at"] = None
    elif name == "reopened":
        limit["met_at"] = None
    elif name == "recounted":
        limit["breached_at"] = limit["due_at"] if op["breached"] else None
    elif name == "breached":
        limit["breached_at"] = limit["due_at"]
    elif name == "handed":
        limit["holder"], limit["handed_from"] = op["holder"], op["was"]
    elif name == "moved":
        limit["moved_to"] = _moment(op["until"])
    elif name == "stopped":
        limit["due_at"], limit["stopped_at"] = None, at
    elif name == "resumed":
        limit["stopped_at"] = None
        if limit.get("moved_to"):
            limit["moved_to"] = limit["due_at"]


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
