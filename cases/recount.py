"""`limits recompute`: count limits again that a change of their calendar would move, after a person has seen which.

A limit keeps the due time it had in the journal (`limit.recounted`) and in `limit_recounts`, once for each change of
the calendar: a second run finds nothing, and one that was killed goes on. One that came to its end is noted among the
calendar's changes, so that nobody is asked to count again what was counted. Left alone are limits that were extended,
which are due when it was granted, those that stand still, which are counted when they run on, and what was cancelled.
One that is met changes only if another due time makes it late, or no longer late.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import load_only
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.limits import ALL, computed_due, dims, next_clock, next_threshold, op_of, still_told
from cases.models import Case, Limit, LimitRecount
from core.errors import NotFound
from core.ids import uuid7
from core.journal import Line, record_all
from core.staff import Actor
from routing.editing.shared import one_at_a_time
from routing.models import CalendarChange
from routing.queries import Routing, local_midnight

BATCH = 500
RECOUNTED = "recounted"  # among a calendar's changes: limits were counted again for those before it
_OF_A_CASE = [getattr(Case, name) for name in ("code", "rule_set_id", "restricted")]


@dataclass(frozen=True, slots=True)
class Difference:
    """A limit that the calendar of now counts otherwise. `late` and `was_late`: whether its breach stands.

    A page names no `restricted` case.
    """

    limit_id: UUID
    case_id: UUID
    code: str
    restricted: bool
    stage: str
    holder: str
    was: datetime
    due: datetime
    was_late: bool
    late: bool

    def told(self, zone: ZoneInfo) -> str:
        """In one line, for the operator."""
        was, due = (f"{each.astimezone(zone):%Y-%m-%d %H:%M}" for each in (self.was, self.due))
        became = {(True, False): ", no longer late", (False, True): ", now late"}.get((self.was_late, self.late), "")
        return f"{self.code} {self.stage} {self.holder}: {was} -> {due}{became}"


async def change_of(session: AsyncSession, calendar: str) -> CalendarChange:
    """The newest change of a calendar, on whose account limits are counted again; NotFound where it never changed."""
    statement = (
        select(CalendarChange)
        .where(CalendarChange.calendar == calendar, CalendarChange.what != RECOUNTED)
        .order_by(col(CalendarChange.id).desc())
    )
    change = (await session.exec(statement.limit(1))).first()
    if change is None:
        raise NotFound(
            f"Lịch {calendar} chưa từng được sửa.", f"Calendar {calendar} does not exist or was never changed."
        )
    return change


@dataclass(frozen=True, slots=True)
class Preview:
    """What would change, in the order of limits. `whole`: all limits were looked at, so there is nothing else."""

    differences: list[Difference]
    whole: bool


async def preview(
    session: AsyncSession, routing: Routing, calendar: str, since: date, at: datetime, *, most: int | None = None
) -> Preview:
    """What counting again would change, by a look at all limits of the calendar or at `most` of them."""
    found: list[Difference] = []
    after, left = None, most
    while left is None or left > 0:
        wanted = BATCH if left is None else min(BATCH, left)
        looked = await _candidates(session, routing, calendar, since, after, wanted)
        found += [each for row, case in looked if (each := difference(row, case, routing, at)) is not None]
        if len(looked) < wanted:
            return Preview(found, whole=True)
        after, left = looked[-1][0].id, None if left is None else left - len(looked)
    return Preview(found, whole=False)


def difference(row: Limit, case: Case, routing: Routing, at: datetime) -> Difference | None:
    """What the calendar of now makes of this limit, None when that is what it already is."""
    if row.due_at is None or row.moved_to is not None or row.cancelled_at is not None or row.clock != "working":
        return None
    due = computed_due(row, routing.calendars, routing.rulebook(case.rule_set_id))
    was_late = row.breached_at is not None
    # One that runs and is not late yet is left to those who write breaches.
    late = row.met_at > due if row.met_at is not None else was_late and due <= at
    if due == row.due_at or (row.met_at is not None and late == was_late):
        return None
    return Difference(
        row.id, case.id, case.code, case.restricted, row.stage, row.holder, row.due_at, due, was_late, late
    )


async def pending(session: AsyncSession, calendar: str) -> date | None:
    """The first day that changes of this calendar count otherwise for which limits were not counted again yet."""
    every = select(CalendarChange).where(CalendarChange.calendar == calendar).order_by(col(CalendarChange.id))
    rows = (await session.exec(every)).all()
    done = [(row.now[0], row.since) for row in rows if row.what == RECOUNTED]
    left = [
        row.since
        for row in rows
        if row.what != RECOUNTED and not any((row.id or 0) <= upto and since <= row.since for upto, since in done)
    ]
    return min(left, default=None)


async def apply(
    session: AsyncSession, routing: Routing, change: CalendarChange, since: date, by: Actor, at: datetime
) -> int:
    """Count again whatever differs, all of it, in the caller's transaction; how many limits moved."""
    moved, after = 0, None
    while True:
        step = await apply_some(session, routing, change, since, by, at, after)
        moved, after = moved + step.moved, step.last
        if after is None:
            return moved


@dataclass(frozen=True, slots=True)
class Step:
    """How many limits of a batch moved, and the last one looked at; None: there are no more."""

    moved: int
    last: UUID | None


async def apply_some(
    session: AsyncSession,
    routing: Routing,
    change: CalendarChange,
    since: date,
    by: Actor,
    at: datetime,
    after: UUID | None,
    batch: int = BATCH,
) -> Step:
    """The next `batch` limits after the one named, those that differ. After the last ones it is noted that all were
    counted. The caller commits before the next ones are taken, or does it all in one transaction.
    """
    await one_at_a_time(session)
    looked = await _candidates(session, routing, change.calendar, since, after, batch)
    wanted = sorted({case.id for row, case in looked if difference(row, case, routing, at) is not None})
    statement = select(Case).where(col(Case.id).in_(wanted)).order_by(col(Case.id))
    locked = (await session.exec(_fresh(statement))).all()  # in one order, so that two of us never block each other
    mine = select(Limit).where(col(Limit.case_id).in_(wanted)).order_by(col(Limit.case_id), col(Limit.id))
    rows: dict[UUID, list[Limit]] = {case.id: [] for case in locked}
    for row in (await session.exec(_fresh(mine))).all():
        rows[row.case_id].append(row)
    looked_at = {row.id for row, _ in looked}
    moved = [
        (case, row, each)
        for case in locked
        for row in rows[case.id]
        if row.id in looked_at and (each := difference(row, case, routing, at)) is not None
    ]
    told = await _told(session, [each for *_, each in moved if each.was_late])
    lines = [_line(case, row, each, routing, told.get(str(row.id)), at) for case, row, each in moved]
    for case in locked:
        case.next_due_at, case.next_stage, case.next_holder = next_clock(rows[case.id])
    if moved:
        await record_all(session, lines, at=at, actor_kind=by.kind, actor_id=by.id)
        await _keep(session, change, [each for *_, each in moved], by, at)
    last = looked[-1][0].id if len(looked) == batch else None
    if last is None:
        session.add(_noted(change, since, by, at))
    await session.flush()
    return Step(len(moved), last)


def _noted(change: CalendarChange, since: date, by: Actor, at: datetime) -> CalendarChange:
    upto = [change.id]
    return CalendarChange(calendar=change.calendar, what=RECOUNTED, since=since, was=[], now=upto, by=by.id, at=at)


def _fresh(statement: Any) -> Any:
    """Locked, and as it is now and not when it was looked at."""
    return statement.with_for_update().execution_options(populate_existing=True)


async def _candidates(
    session: AsyncSession, routing: Routing, calendar: str, since: date, after: UUID | None, batch: int
) -> Sequence[tuple[Limit, Case]]:
    """Limits of this calendar that were running on some day from `since` on, in the order of their ids."""
    known = routing.calendars.get(calendar)
    if known is None:
        raise NotFound(f"Không có lịch {calendar}.", f"There is no calendar {calendar}.")
    statement = (
        select(Limit, Case)
        .join(Case, col(Case.id) == col(Limit.case_id))
        .where(
            Limit.calendar == calendar,
            Limit.clock == "working",
            col(Limit.due_at) >= local_midnight(since, known.zone),
            col(Limit.cancelled_at).is_(None),
            col(Limit.moved_to).is_(None),
            *(() if after is None else (col(Limit.id) > after,)),
        )
        .order_by(col(Limit.id))
        .limit(batch)
        .options(load_only(*_OF_A_CASE))
    )
    return [(row, case) for row, case in (await session.exec(statement)).all()]


def _line(case: Case, row: Limit, each: Difference, routing: Routing, told: "_Told | None", at: datetime) -> Line:
    """Give the limit its new due time; the journal's line of that."""
    calendar, book = routing.calendars[row.calendar], routing.rulebook(case.rule_set_id)
    row.due_at = each.due
    row.breached_at = each.due if each.late else None
    row.reminded = ALL if each.late else still_told(row, calendar, book, row.met_at or at)
    if row.met_at is None:
        row.next_at = next_threshold(row, calendar, book)
        if row.stage == "resolve" and case.promised_at is not None:
            case.promised_at = max(case.promised_at, each.due)  # the citizen is promised no less time
    op = op_of(
        "recounted",
        row,
        was=each.was.isoformat(),
        was_breached=each.was_late,
        met_at=row.met_at.isoformat() if row.met_at else None,
        told_at=told.at.isoformat() if told else None,
        charged=told.dims if told else None,
    )
    about = {
        "code": case.code,
        "received_at": case.received_at.astimezone(UTC).isoformat(),
        "dims": dims(case, routing),
        "limits": [op],
    }
    return Line("limit.recounted", case.id, case.restricted, about)


_TOLD = text(
    """
    SELECT DISTINCT ON (op ->> 'id') op ->> 'id', occurred_at,
           data -> 'dims' || jsonb_build_object('department', op ->> 'holder')
    FROM journal, jsonb_array_elements(data -> 'limits') op
    WHERE case_id = ANY(CAST(:cases AS uuid[])) AND op ->> 'id' = ANY(CAST(:limits AS text[]))
    AND (op ->> 'op' = 'breached' OR op ->> 'op' = 'recounted' AND CAST(op ->> 'breached' AS boolean)
         AND NOT CAST(op ->> 'was_breached' AS boolean))
    ORDER BY 1, occurred_at DESC, journal.id DESC
    """
)


class _Told(NamedTuple):
    """Where the figures count a breach: on the day it was told, with who held the limit and what the case was then."""

    at: datetime
    dims: dict[str, str]


async def _told(session: AsyncSession, were_late: list[Difference]) -> dict[str, _Told]:
    """How the breaches of these limits, by id, were told: its holder may have passed it to an heir since."""
    if not were_late:
        return {}
    given: dict[str, Any] = {
        "cases": [each.case_id for each in were_late],
        "limits": [str(each.limit_id) for each in were_late],
    }
    return {row[0]: _Told(row[1], row[2]) for row in (await session.execute(_TOLD, given)).all()}


async def _keep(
    session: AsyncSession, change: CalendarChange, moved: list[Difference], by: Actor, at: datetime
) -> None:
    rows = [
        {
            "id": uuid7(at),
            "limit_id": each.limit_id,
            "change_id": change.id,
            "was_due": each.was,
            "due": each.due,
            "was_breached": each.was_late,
            "now_breached": each.late,
            "by": by.id,
            "at": at,
        }
        for each in moved
    ]
    # One that was counted by an old reading after it had been counted again keeps the due time it had at first.
    once = insert(LimitRecount.__table__).on_conflict_do_nothing(  # type: ignore[attr-defined]
        index_elements=["limit_id", "change_id"]
    )
    await session.execute(once, rows)
