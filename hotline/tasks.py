"""Callers somebody has to call: those who hung up before they left word, and those who asked for a person or left word.

What a task says is worked out from the calls that count in it, each time one of them changes, so the order in which
calls and their events become known does not matter. Lock order: the call, then the task.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import func, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from cases.models import Case
from cases.queries import visible_to
from core.errors import Conflict, NotFound
from core.ids import uuid7
from core.journal import record
from core.staff import SYSTEM, Actor
from hotline.models import CallSession, CallTask
from routing.queries import Routing
from routing.working_time import Amount, due

CALL_BACK: Final = Amount.parse("30min/working")
Came = Literal["reached", "unreachable", "needless"]  # spoken with them, nobody answers, nothing is left to say


def kind_of(call: CallSession) -> str | None:
    """What this call leaves to do; None: nothing. Who has left word is called back, whatever they wished for."""
    if call.outcome in ("callback", "voicemail"):
        return "callback"
    return "missed" if call.outcome == "missed" and call.caller is not None else None


def callback_due(routing: Routing, at: datetime) -> datetime:
    """Until when a caller who asked at this moment is called back, in working time."""
    book = routing.at(at).book
    return due(at, CALL_BACK, book.calendar, day_end=book.day_end).astimezone(UTC)


async def settle(session: AsyncSession, call: CallSession, routing: Routing) -> None:
    """Count the call where it counts now. The caller holds its row; repeated, it changes nothing."""
    if call.outcome == "voicemail" and call.caller is not None:
        await _got_through(session, call, routing)
    kind, task = kind_of(call), await _locked(session, call.task_id)
    if task is not None and task.state != "open":
        return  # somebody called back, or the caller got through: done, whatever is heard of it yet
    over = kind == "missed" and await _is_over(session, call)
    others = task is not None and len(await _counted(session, task)) > 1
    # Whose call it was may be told last, and that they had got through meanwhile.
    if task is not None and (kind is None or task.phone != call.caller or (over and others)):
        call.task_id = None
        await _recount(session, task, routing)
        task = None
    if task is not None:
        await _recount(session, task, routing)
    elif kind is not None and not over:
        task = await _task_for(session, call, kind)
        call.task_id = task.id
        await _recount(session, task, routing)


async def attach(session: AsyncSession, call: CallSession, case_id: UUID) -> None:
    """The case that this call became stands on its task, where it has one."""
    task = await _locked(session, call.task_id)
    if task is not None and task.case_id is None:
        task.case_id = case_id
        session.add(task)


async def opened(session: AsyncSession, who: Actor, *, limit: int = 100) -> list[CallTask]:
    """What is to do, of what this person may know: who asked to be called first, each kind the oldest first."""
    who.require("calls.read")
    waiting = _known_to(who).where(CallTask.state == "open")
    order = (col(CallTask.kind), col(CallTask.opened_at), col(CallTask.id))
    return list((await session.exec(waiting.order_by(*order).limit(limit))).all())


async def close(session: AsyncSession, who: Actor, id: UUID, at: datetime, came: Came = "reached") -> CallTask:
    """This person has called, or says that nobody need. NotFound, or Conflict when somebody else has closed it."""
    who.require("calls.work")
    task = (await session.exec(_known_to(who).where(CallTask.id == id).with_for_update(of=CallTask))).first()
    if task is None:
        raise NotFound("Không có việc gọi lại này.", "There is no such call to make.")
    if task.state != "open" and task.closed_by != who.id:
        raise Conflict("Việc gọi lại này đã xong.", "This call has been made already.")
    if task.state == "open":
        await _close(session, task, "done", at, who, came)
    return task


async def reached(session: AsyncSession, who: Actor, phone: str, case: Case, at: datetime) -> None:
    """This person has just spoken with the number and opened a case: nobody has to call it any more.

    A call that is owed in a restricted case stays owed: whoever may not know of it has not made it.
    """
    owed = select(CallTask).join(Case, col(Case.id) == col(CallTask.case_id), isouter=True)
    owed = owed.where(CallTask.phone == phone, CallTask.state == "open", CallTask.opened_at <= at)
    owed = owed.where(col(Case.id).is_(None) | visible_to(who))
    for task in (await session.exec(owed.order_by(col(CallTask.id)).with_for_update(of=CallTask))).all():
        task.case_id = task.case_id or case.id
        await _close(session, task, "reached", at, who)


async def _got_through(session: AsyncSession, call: CallSession, routing: Routing) -> None:
    """Whoever leaves word has got through: their missed calls before this one need nobody any more."""
    task = (await session.exec(_open_of(call.caller).with_for_update())).first()
    if task is None:
        return
    counted = await _counted(session, task)
    over = [each.id for each in counted if kind_of(each) == "missed" and each.opened_at <= call.opened_at]
    if over and len(over) < len(counted):
        # One that is being worked on this moment is left out: its own event comes to the same (`_is_over`).
        free = select(CallSession).where(col(CallSession.id).in_(over)).order_by(col(CallSession.id))
        for each in (await session.exec(free.with_for_update(skip_locked=True))).all():
            each.task_id = None
            session.add(each)
    if over:
        await _recount(session, task, routing)


async def _task_for(session: AsyncSession, call: CallSession, kind: str) -> CallTask:
    """The open task of this number, made if there is none; two workers make one. A hidden number has its own."""
    await _set_apart(session, call.caller)
    made = insert(CallTask).values(
        id=uuid7(call.opened_at),
        kind=kind,
        phone=call.caller,
        session_id=call.id,
        opened_at=call.opened_at,
        case_id=call.case_id,
    )
    once = made.on_conflict_do_nothing(
        index_elements=["phone"], index_where=text("state = 'open' AND phone IS NOT NULL AND NOT apart")
    )
    fresh = (await session.execute(once.returning(col(CallTask.id)))).scalar()
    wanted = _open_of(call.caller) if fresh is None and call.caller else select(CallTask).where(CallTask.id == fresh)
    task = (await session.exec(wanted.with_for_update())).one()
    if fresh is not None:
        await _noted(session, task, "call_task.open", call.opened_at, SYSTEM)
    return task


async def _set_apart(session: AsyncSession, phone: str | None) -> None:
    """A task whose case few may see takes in no further call of its number: nobody at the centre would know of it."""
    hidden = select(Case.id).where(Case.id == CallTask.case_id, col(Case.restricted)).exists()
    await session.execute(
        update(CallTask)
        .where(col(CallTask.phone) == phone, col(CallTask.state) == "open", ~col(CallTask.apart), hidden)
        .values(apart=True)
        .execution_options(synchronize_session=False)
    )


async def _recount(session: AsyncSession, task: CallTask, routing: Routing) -> None:
    """Say on the open task what the calls in it come to; without any it never was.

    Missed calls before the caller got through count no more, and with nothing else in it the task is over.
    """
    await session.flush()
    calls = await _counted(session, task)
    if not calls:
        await session.delete(task)
        await session.flush()
        return
    through = await _got_through_at(session, task.phone)
    counted = [each for each in calls if kind_of(each) != "missed" or through is None or each.opened_at > through]
    if not counted:
        await _close(session, task, "reached", through or task.opened_at, SYSTEM)
        return
    asked = [call.opened_at for call in counted if kind_of(call) == "callback"]
    first = min(counted, key=lambda call: (call.opened_at, call.id))
    task.kind = "callback" if asked else "missed"
    task.calls, task.session_id, task.opened_at = len(counted), first.id, first.opened_at
    task.due_at = callback_due(routing, min(asked)) if asked else None
    task.case_id = task.case_id or next((call.case_id for call in counted if call.case_id is not None), None)
    session.add(task)
    await session.flush()


async def _counted(session: AsyncSession, task: CallTask) -> Sequence[CallSession]:
    return (await session.exec(select(CallSession).where(CallSession.task_id == task.id))).all()


async def _got_through_at(session: AsyncSession, phone: str | None) -> datetime | None:
    """When somebody last left word from this number."""
    if phone is None:
        return None
    left_word = select(func.max(CallSession.opened_at)).where(
        CallSession.caller == phone, CallSession.outcome == "voicemail"
    )
    return (await session.exec(left_word)).one()


async def _is_over(session: AsyncSession, call: CallSession) -> bool:
    through = await _got_through_at(session, call.caller)
    return through is not None and call.opened_at <= through


async def _locked(session: AsyncSession, id: UUID | None) -> CallTask | None:
    if id is None:
        return None
    return (await session.exec(select(CallTask).where(CallTask.id == id).with_for_update())).first()


def _open_of(phone: str | None) -> SelectOfScalar[CallTask]:
    return select(CallTask).where(CallTask.phone == phone, CallTask.state == "open", ~col(CallTask.apart))


async def _close(
    session: AsyncSession, task: CallTask, state: str, at: datetime, who: Actor, came: Came = "reached"
) -> None:
    task.state, task.closed_at, task.closed_by = state, at, who.id
    session.add(task)
    await _noted(session, task, "call_task.close", at, who, came)


async def _noted(
    session: AsyncSession, task: CallTask, kind: str, at: datetime, who: Actor, came: str | None = None
) -> None:
    """A line in the journal, by which screens learn of it; never with the number."""
    await session.flush()
    told = {"task": str(task.id), "state": task.state} | ({"came": came} if came else {})
    await record(session, kind, at=at, actor_kind=who.kind, actor_id=who.id, subject=str(task.id), data=told)


def _known_to(who: Actor) -> SelectOfScalar[CallTask]:
    """Tasks of no case, and of cases this person may see."""
    theirs = select(CallTask).join(Case, col(Case.id) == col(CallTask.case_id), isouter=True)
    return theirs.where(col(CallTask.case_id).is_(None) | visible_to(who))
