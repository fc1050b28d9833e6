"""Calls as lists: those somebody has to return, and those that came."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import tuple_
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import looks
from cases.lists import make_cursor, read_cursor
from cases.models import Case, Identity
from cases.people import same_person
from cases.queries import reporter_known, sees_identity, visible_to
from core.errors import NotAllowed, NotFound
from core.journal import record
from core.staff import Actor
from hotline.models import CallSession, CallTask, Recording

LONGEST_CALL: Final = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class ToCall:
    """Somebody to call: the case they left word in, when they last called, how many other cases their number has."""

    task: CallTask
    case: str | None
    last_at: datetime
    earlier: int


@dataclass(frozen=True, slots=True)
class Came:
    """A call that came, what it became, and what was recorded of it."""

    call: CallSession
    case: str | None
    recordings: Sequence[Recording]


@dataclass(frozen=True, slots=True)
class CallPage:
    """Calls, newest first; `next_cursor` leads on."""

    items: Sequence[Came]
    next_cursor: str | None


async def to_call(session: AsyncSession, who: Actor, *, limit: int = 100, id: UUID | None = None) -> list[ToCall]:
    """Open tasks this person may know of: what is due soonest first, then whoever has waited longest.

    `id`: that one alone, open or not.
    """
    who.require("calls.read")
    last = select(func.max(CallSession.opened_at)).where(CallSession.task_id == CallTask.id).scalar_subquery()
    statement = _known_to(who, select(CallTask, Case.code, last, _earlier(who)), CallTask.case_id)
    which = CallTask.state == "open" if id is None else CallTask.id == id
    order = (col(CallTask.due_at).nulls_last(), col(CallTask.opened_at), col(CallTask.id))
    rows = (await session.exec(statement.where(which).order_by(*order).limit(limit))).all()
    return [ToCall(task, code, at or task.opened_at, earlier) for task, code, at, earlier in rows]


async def count_to_call(session: AsyncSession, who: Actor) -> int:
    """How many callers wait."""
    who.require("calls.read")
    statement = _known_to(who, select(func.count()).select_from(CallTask), CallTask.case_id)
    return int((await session.exec(statement.where(CallTask.state == "open"))).one())


async def task_for(session: AsyncSession, who: Actor, id: UUID) -> ToCall:
    """A task this person may know of; NotFound otherwise."""
    found = await to_call(session, who, id=id)
    if not found:
        raise NotFound("Không có việc gọi lại này.", "There is no such call to make.")
    return found[0]


async def number_of(session: AsyncSession, who: Actor, id: UUID, at: datetime) -> ToCall:
    """The task with the number in full, for whoever makes the call; that they saw it stands in the journal.

    It is what somebody told us of themselves, so that of a restricted case it is a look at the case. NotAllowed where
    the sender is hidden even from who may know of the case.
    """
    who.require("calls.work")
    found = await task_for(session, who, id)
    told = {"task": str(id)}
    if found.task.case_id is not None and (case := await session.get(Case, found.task.case_id)) is not None:
        if case.restricted and not sees_identity(who, case):
            raise NotAllowed(
                "Người gửi tin báo tội phạm được giấu tên và số điện thoại.", "Who sent a crime tip is hidden."
            )
        await looks.note(session, who, case, "number", at)
    await record(session, "call_task.number", at=at, actor_kind=who.kind, actor_id=who.id, subject=str(id), data=told)
    return found


async def calls_that_came(session: AsyncSession, who: Actor, *, cursor: str | None = None, limit: int = 50) -> CallPage:
    """Calls, newest first. Those that became a case this person does not see are not told of."""
    who.require("calls.read")
    statement = _known_to(who, select(CallSession, Case.code), CallSession.case_id)
    if cursor is not None:
        statement = statement.where(tuple_(col(CallSession.opened_at), col(CallSession.id)) < read_cursor(cursor))
    order = (col(CallSession.opened_at).desc(), col(CallSession.id).desc())
    rows = (await session.exec(statement.order_by(*order).limit(limit + 1))).all()
    page = rows[:limit]
    sounds = await _recordings(session, [call.id for call, _ in page])
    last = page[-1][0] if len(rows) > limit else None
    return CallPage(
        [Came(call, code, sounds[call.id]) for call, code in page],
        make_cursor(last.opened_at, last.id) if last else None,
    )


async def came_since(session: AsyncSession, who: Actor, since: datetime) -> bool:
    """Whether calls have come or ended since."""
    who.require("calls.read")
    statement = _known_to(who, select(CallSession.id), CallSession.case_id)
    fresh = (col(CallSession.opened_at) > since) | (col(CallSession.ended_at) > since)
    recent = col(CallSession.opened_at) > since - LONGEST_CALL  # by the index
    return (await session.exec(statement.where(recent, fresh).limit(1))).first() is not None


async def call_back_of(session: AsyncSession, case: Case) -> CallTask | None:
    """The call that is owed to the reporter of a case: one of a number, however many cases its calls became."""
    counted = select(CallSession.task_id).where(CallSession.case_id == case.id)
    owed = select(CallTask).where(
        CallTask.state == "open", (col(CallTask.case_id) == case.id) | col(CallTask.id).in_(counted)
    )
    return (await session.exec(owed.limit(1))).first()


async def _recordings(session: AsyncSession, calls: Sequence[UUID]) -> defaultdict[UUID, list[Recording]]:
    found: defaultdict[UUID, list[Recording]] = defaultdict(list)
    theirs = select(Recording).where(col(Recording.session_id).in_(calls)).order_by(col(Recording.announced_at))
    for each in (await session.exec(theirs)).all():
        found[each.session_id].append(each)
    return found


def _known_to(who: Actor, statement: Any, case_id: Any) -> Any:
    """The rows of no case and of cases this person sees."""
    joined = statement.join(Case, col(Case.id) == col(case_id), isouter=True)
    return joined.where(col(case_id).is_(None) | visible_to(who))


def _earlier(who: Actor) -> Any:
    """How many other cases there are of the person with the task's number, of those a list may count."""
    theirs = select(Identity.citizen_id).where(Identity.scheme == "phone", Identity.handle == CallTask.phone)
    whose = theirs.correlate(CallTask).scalar_subquery()
    others = (col(Case.citizen_id).in_(same_person(whose)), col(Case.id).is_distinct_from(CallTask.case_id))
    counted = select(func.count()).select_from(Case).where(*others, reporter_known(who))
    return counted.correlate(CallTask).scalar_subquery()
