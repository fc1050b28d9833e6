"""What is heard of calls becomes sessions and legs, in the worker: any order, any repetition, the same end.

Every member of a session is the furthest, the first or the least of what was heard of it, never the last. The call's
row is the lock of its events.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.arriving import Arrivals
from channels.message import InboundMessage
from channels.models import Received
from channels.twilio.form import is_full
from core.ids import uuid7
from hotline import recordings, tasks
from hotline.menu import Menu
from hotline.models import CallLeg, CallSession
from hotline.states import OVER, CallState, Standing, advance
from hotline.steps import HungUp, Outcome, State, Unavailable, event_of, further, state_of, step
from routing.queries import Routing

PROVIDER: Final = "twilio"
SILENT_FOR: Final = timedelta(hours=4)  # no caller stays so long: its end was not told


@dataclass(frozen=True, slots=True)
class Calls:
    """What the worker makes events of the channel `voice` with."""

    menu: Menu
    office: Callable[[AsyncSession], Awaitable[Arrivals]]

    async def take(self, session: AsyncSession, row: Received, message: InboundMessage, at: datetime) -> str:
        """One event, in the transaction that also finishes it; in a word what it was, for the log."""
        thread = message.thread
        sid = thread.get("call_sid")
        if not sid:
            return "names no call"
        routing = (await self.office(session)).office.routing
        told_at = message.sent_at or row.received_at
        call = await _session_of(session, thread.get("parent_call_sid") or sid, message, told_at)
        _know(call, message, told_at)
        await _leg(session, call, sid, message, told_at)
        if sid == call.provider_call_id:
            if message.status is not None:
                _rise(call, CallState(message.status), thread.get("sequence"), told_at)
            _walk(call, self.menu, message, row)
        await self.conclude(session, call, routing)
        if (recording := thread.get("recording")) is not None:
            await recordings.announce(session, call, recording, min(told_at, at), shortest=self.menu.shortest)
        return str(thread.get("event"))

    async def give_up(self, session: AsyncSession, at: datetime) -> int:
        """Calls whose end nobody told us of are over all the same; how many."""
        silent = (
            select(CallSession)
            .where(col(CallSession.ended_at).is_(None), col(CallSession.opened_at) <= at - SILENT_FOR)
            .order_by(col(CallSession.opened_at))
            .limit(100)
            .with_for_update(skip_locked=True)
        )
        found = (await session.exec(silent)).all()
        for call in found:
            _rise(call, CallState.LOST, None, at)
            await self.conclude(session, call, (await self.office(session)).office.routing)
        return len(found)

    async def conclude(self, session: AsyncSession, call: CallSession, routing: Routing) -> None:
        """What came of the call by all that is known of it, and what that leaves to do."""
        call.outcome = outcome_of(call, self.menu)
        session.add(call)
        await session.flush()
        await tasks.settle(session, call, routing)


def outcome_of(call: CallSession, menu: Menu) -> Outcome:
    """The most that was heard of; once it is over, whoever got nothing at all has missed us."""
    heard: Outcome = call.menu.get("heard", "")
    if call.state not in OVER:
        return heard
    token = call.menu.get("token")
    state = state_of(menu, token) if token else State()
    over, _ = step(menu, replace(state, reachable=call.caller is not None), HungUp(), True)
    return further(heard, over.outcome)


async def _session_of(session: AsyncSession, sid: str, message: InboundMessage, told_at: datetime) -> CallSession:
    """The call's row, locked, made if this is the first that is heard of it."""
    fresh = insert(CallSession).values(
        id=uuid7(told_at), provider=PROVIDER, provider_call_id=sid, kind="inbound", number=message.account,
        state=CallState.QUEUED.value, menu={}, opened_at=told_at, outcome="",
    )  # fmt: skip
    await session.execute(fresh.on_conflict_do_nothing(index_elements=["provider", "provider_call_id"]))
    mine = select(CallSession).where(CallSession.provider == PROVIDER, CallSession.provider_call_id == sid)
    return (await session.exec(mine.with_for_update())).one()


def _know(call: CallSession, message: InboundMessage, told_at: datetime) -> None:
    """Who called whom, and since when."""
    call.opened_at = min(call.opened_at, told_at)
    if message.sender is None or message.thread.get("parent_call_sid"):
        return  # a report on a recording names nobody, and that on another leg the other
    call.number = message.account
    if message.sender.scheme == "phone" and is_full(message.sender.handle):
        call.caller = message.sender.handle


async def _leg(
    session: AsyncSession, call: CallSession, sid: str, message: InboundMessage, told_at: datetime
) -> CallLeg:
    """The connection the event speaks of, made if this is the first that is heard of it."""
    known = select(CallLeg).where(CallLeg.provider == PROVIDER, CallLeg.provider_leg_id == sid)
    leg = (await session.exec(known)).first()  # the call's row is locked: nobody else makes it now
    if leg is None:
        role = "caller" if sid == call.provider_call_id else "other"
        leg = CallLeg(
            id=uuid7(told_at),
            session_id=call.id,
            role=role,
            provider=PROVIDER,
            provider_leg_id=sid,
            state=CallState.QUEUED.value,
            opened_at=told_at,
        )
    leg.opened_at = min(leg.opened_at, told_at)
    if message.status is not None:
        _rise(leg, CallState(message.status), message.thread.get("sequence"), told_at)
    leg.cause = max(filter(None, (leg.cause, message.error)), default=None)
    session.add(leg)
    return leg


def _rise(what: CallSession | CallLeg, state: CallState, seq: int | None, told_at: datetime) -> None:
    """To a further state, never back; the first moment of each kind counts."""
    was = CallState(what.state)
    standing = advance(Standing(was, what.seq), state, seq)
    what.state, what.seq = standing.state.value, standing.seq
    if state == CallState.IN_PROGRESS:
        what.answered_at = min(what.answered_at or told_at, told_at)
    if state in OVER:
        guessed = was == CallState.LOST and state != CallState.LOST
        what.ended_at = told_at if what.ended_at is None or guessed else min(what.ended_at, told_at)


def _walk(call: CallSession, menu: Menu, message: InboundMessage, row: Received) -> None:
    """How far the caller came, and the most that was heard of them."""
    after = _after(menu, message, row)
    heard: Outcome = further(call.menu.get("heard", ""), after.outcome if after else "")
    if _is_word(menu, message.thread):
        heard = further(heard, "voicemail")
    kept: dict[str, Any] = {**call.menu, "heard": heard}
    if after is not None and _place(after.token()) > _place(call.menu.get("token", "")):
        kept |= {"token": after.token(), "wish": after.wish}
    call.menu = kept


def _after(menu: Menu, message: InboundMessage, row: Received) -> State | None:
    """Where the caller stood after this event, as they were told when it came; None: it was no step of theirs."""
    event = event_of(message)
    if event is None or isinstance(event, HungUp):
        return None
    before = state_of(menu, message.thread.get("state", ""))
    if row.answer and "token" in row.answer:
        told = state_of(menu, row.answer["token"])
        return told if told.at != "start" else None
    after, _ = step(menu, before, event, menu.is_open(row.received_at))
    return step(menu, after, Unavailable(), True)[0] if after.at == "looking" else after


def _is_word(menu: Menu, thread: dict[str, Any]) -> bool:
    """Whether this tells of a message that somebody can listen to."""
    recording = thread.get("recording", {})
    done = thread.get("event") == "recording" and recording.get("status") == "completed"
    return done and int(recording.get("duration", menu.shortest)) >= menu.shortest


def _place(token: str) -> tuple[int, str]:
    """Tokens in the order of their steps."""
    parts = token.split("~")
    return (int(parts[5]) if len(parts) > 5 and parts[5].isdigit() else -1, token)
