"""What is heard of calls becomes sessions and work: any order, repetition and loss short of the end, the same end."""

import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.models import Case
from channels import inbox
from channels.adapter import Hook
from channels.message import InboundMessage
from channels.models import Received
from channels.twilio import voice
from core.db import Database
from core.errors import Conflict, NotAllowed, NotFound
from core.ids import uuid7
from core.staff import Actor, Role
from hotline import tasks
from hotline.answering import Switchboard
from hotline.menu import shipped_menu
from hotline.models import CallLeg, CallSession, CallTask, Recording
from hotline.sessions import SILENT_FOR, Calls
from hotline.steps import OUTCOMES, Found, Look
from tests.factories import As, state
from tests.factories import _worker as worker_of

NUMBER, HOA, BINH = "+842713891022", "+84912345678", "+84987654321"
BEGIN = datetime(2026, 3, 3, 1, 0, tzinfo=UTC)  # eight o'clock of an ordinary Tuesday
Event = tuple[InboundMessage, dict[str, Any] | None, datetime]


class Telling:
    """What the carrier tells of one call, as it comes: the menu walked by keys, and the reports beside it."""

    def __init__(self, sid: str, caller: str = HOA, begin: datetime = BEGIN) -> None:
        self.base = {"CallSid": sid, "AccountSid": "AC1", "From": caller, "To": NUMBER, "Direction": "inbound"}
        self.at, self.token, self.seq = begin, "", 0
        self.events: list[Event] = []
        self.desk = Switchboard(None, shipped_menu(), None, "BP")  # type: ignore[arg-type]  # walks the menu only

    def heard(self, **fields: str) -> InboundMessage:
        self.at += timedelta(seconds=5)
        query = {"state": self.token} if self.token and "SequenceNumber" not in fields else {}
        [message] = voice.parse(Hook(urlencode(self.base | fields).encode(), {}, query), NUMBER)
        return message

    def step(self, **fields: str) -> "Telling":
        message = self.heard(**fields)
        told, answer = self.desk.tell(message, self.at)
        if told[1] and isinstance(told[1][0], Look):
            told, answer = self.desk.tell(message, self.at, Found(told[1][0].digits, "in_progress"))
        self.token = told[0].token()
        self.events.append((message, answer, self.at))
        return self

    def report(self, **fields: str) -> "Telling":
        self.events.append((self.heard(**fields), None, self.at))
        return self

    def status(self, status: str) -> "Telling":
        self.report(CallStatus=status, CallbackSource="call-progress-events", SequenceNumber=str(self.seq))
        self.seq += 1
        return self

    def comes(self) -> "Telling":
        return self.status("ringing").step(CallStatus="ringing").status("in-progress")

    def presses(self, *keys: str) -> "Telling":
        for key in keys:
            self.step(CallStatus="in-progress", Digits=key, msg="Gather End")
        return self

    def speaks(self, seconds: int = 7, status: str = "in-progress") -> "Telling":
        sid = "RE" + self.base["CallSid"][2:]
        sound = {
            "RecordingSid": sid,
            "RecordingUrl": f"https://api.twilio.com/2010-04-01/Accounts/AC1/Recordings/{sid}",
        }
        self.step(CallStatus=status, RecordingDuration=str(seconds), Digits="hangup", **sound)
        ready = {"CallSid": self.base["CallSid"], "RecordingStatus": "completed", "RecordingDuration": str(seconds)}
        [message] = voice.parse(Hook(urlencode(ready | sound).encode(), {}, {}), NUMBER)
        self.events.append((message, None, self.at + timedelta(seconds=2)))
        return self

    def ends(self, status: str = "completed") -> "Telling":
        return self.status(status)


ROADS: dict[str, tuple[Telling, str, str | None]] = {
    "hangs up at once": (Telling("CA01").status("ringing").ends("canceled"), "missed", "missed"),
    "hangs up in the menu": (Telling("CA02").comes().ends(), "missed", "missed"),
    "hangs up after a wrong key": (Telling("CA03").comes().presses("7").ends(), "missed", "missed"),
    "hangs up after silence": (Telling("CA04").comes().presses("").ends(), "missed", "missed"),
    "hangs up before the tone": (Telling("CA05").comes().presses("1").ends(), "missed", "missed"),
    "hangs up at the code": (Telling("CA06").comes().presses("2").ends(), "missed", "missed"),
    "hangs up in English": (Telling("CA07").comes().presses("9", "3").ends(), "missed", "missed"),
    "wants a person": (Telling("CA08").comes().presses("0").ends(), "callback", "callback"),
    "hears of a case": (Telling("CA09").comes().presses("2", "260482134").ends(), "served", None),
    "leaves word": (Telling("CA10").comes().presses("1").speaks().ends(), "voicemail", "callback"),
    "leaves word by hanging up": (
        Telling("CA11").comes().presses("1").speaks(status="completed").ends(), "voicemail", "callback",
    ),
    "leaves word for a person": (Telling("CA12").comes().presses("0").speaks().ends(), "voicemail", "callback"),
    "says nothing worth keeping": (Telling("CA13").comes().presses("1").speaks(1).ends(), "missed", "missed"),
    "shows no number": (Telling("CA14", "+266696687").comes().presses("1").ends(), "missed", None),
    "shows no number and wants a person": (
        Telling("CA15", "anonymous").comes().presses("0").ends(), "missed", None,
    ),
    "shows no number and leaves word": (
        Telling("CA16", "anonymous").comes().presses("0").speaks().ends(), "voicemail", "callback",
    ),
}  # fmt: skip


class Undone(Exception):
    """Ends a transaction that leaves nothing."""


@pytest.fixture
def calls(app: FastAPI) -> Calls:
    return worker_of(app).calls


async def take(session: AsyncSession, calls: Calls, events: Sequence[Event]) -> None:
    """The worker's side: each event is kept once and taken as often as it comes."""
    for message, answer, at in events:
        await inbox.accept(session, [message], at, answer)
        row = (await session.exec(select(Received).where(Received.external_id == message.external_id))).one()
        await calls.take(session, row, message, at)


async def standing(session: AsyncSession) -> dict[str, Any]:
    """Everything that came of all calls and is still to do."""
    await session.flush()
    calls = (await session.exec(select(CallSession).order_by(col(CallSession.provider_call_id)))).all()
    legs = (await session.exec(select(CallLeg).order_by(col(CallLeg.provider_leg_id)))).all()
    waiting = (await session.exec(select(CallTask).where(CallTask.state == "open").order_by(col(CallTask.phone)))).all()
    sounds = (await session.exec(select(Recording.provider_recording_id, Recording.state))).all()
    by_id = {call.id: call.provider_call_id for call in calls}
    return {
        "calls": [call.model_dump(exclude={"id", "task_id", "case_id"}) for call in calls],
        "legs": [leg.model_dump(exclude={"id", "session_id"}) for leg in legs],
        "open": [
            (task.kind, task.phone, task.calls, task.opened_at, task.due_at, by_id[task.session_id]) for task in waiting
        ],
        "counted": [call.provider_call_id for call in calls if any(call.task_id == task.id for task in waiting)],
        "sounds": sorted(sounds),
    }


async def outcome_of(database: Database, calls: Calls, events: Sequence[Event]) -> dict[str, Any]:
    """What comes of these events, of which nothing is left."""
    found: dict[str, Any] = {}
    try:
        async with database.transaction() as session:
            await take(session, calls, events)
            found = await standing(session)
            raise Undone
    except Undone:
        return found


@pytest.mark.parametrize(("told", "outcome", "left"), ROADS.values(), ids=ROADS)
async def test_every_road_ends_as_it_should(
    database: Database, calls: Calls, told: Telling, outcome: str, left: str | None
) -> None:
    found = await outcome_of(database, calls, told.events * 2)
    [call] = found["calls"]
    assert (call["outcome"], call["ended_at"] is not None) == (outcome, True)
    assert [(task[0], task[2]) for task in found["open"]] == ([(left, 1)] if left else [])
    assert [leg["role"] for leg in found["legs"]] == ["caller"]


MANY = settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@st.composite
def heard(draw: st.DrawFn) -> tuple[str, list[Event], list[Event]]:
    """A road; some of what was told of it, with its end; and the same shuffled, with repetitions."""
    road = draw(st.sampled_from(sorted(ROADS)))
    *before, end = ROADS[road][0].events
    chosen = [event for event in before if draw(st.booleans())] + [end]
    return road, chosen, draw(st.permutations(chosen + draw(st.lists(st.sampled_from(chosen), max_size=3))))


async def test_shuffled_and_repeated_reports_end_alike(database: Database, calls: Calls) -> None:
    examples: list[tuple[str, list[Event], list[Event]]] = []

    @MANY
    @given(heard())
    def collect(example: tuple[str, list[Event], list[Event]]) -> None:
        examples.append(example)

    collect()
    for road, chosen, shuffled in examples:
        once = await outcome_of(database, calls, chosen)
        assert await outcome_of(database, calls, shuffled) == once, road
        [call] = once["calls"]
        assert call["state"] == chosen[-1][0].status
        assert OUTCOMES.index(call["outcome"]) <= max(map(OUTCOMES.index, (ROADS[road][1], "missed")))


def three_calls() -> list[Event]:
    """One number: misses us, leaves word, misses us again; and another that misses us."""
    later = [BEGIN + timedelta(minutes=10 * number) for number in range(4)]
    return [
        *Telling("CA21", begin=later[0]).comes().ends().events,
        *Telling("CA22", begin=later[1]).comes().presses("1").speaks().ends().events,
        *Telling("CA23", begin=later[2]).comes().presses("9").ends().events,
        *Telling("CA24", BINH, begin=later[3]).comes().ends().events,
    ]


async def test_the_calls_of_one_number_end_alike_in_any_order(database: Database, calls: Calls) -> None:
    straight = await outcome_of(database, calls, three_calls())
    assert [(kind, phone, count) for kind, phone, count, *_ in straight["open"]] == [
        ("callback", HOA, 2), ("missed", BINH, 1),
    ]  # fmt: skip
    assert straight["counted"] == ["CA22", "CA23", "CA24"]
    for seed in range(8):
        events = three_calls()
        random.Random(seed).shuffle(events)
        assert await outcome_of(database, calls, events) == straight, seed


async def test_missed_calls_of_one_number_are_one_task_that_counts_them(database: Database, calls: Calls) -> None:
    events = [event for sid in ("CA31", "CA32", "CA33") for event in Telling(sid).comes().ends().events]
    found = await outcome_of(database, calls, events + events)
    assert [(kind, phone, count) for kind, phone, count, *_ in found["open"]] == [("missed", HOA, 3)]


async def test_a_missed_call_closes_itself_when_the_caller_leaves_word(database: Database, calls: Calls) -> None:
    try:
        async with database.transaction() as session:
            await take(session, calls, Telling("CA41").comes().ends().events)
            later = BEGIN + timedelta(minutes=5)
            await take(session, calls, Telling("CA42", begin=later).comes().presses("1").speaks().ends().events)
            found = (await session.exec(select(CallTask).order_by(col(CallTask.opened_at)))).all()
            assert [(task.kind, task.state) for task in found] == [("missed", "reached"), ("callback", "open")]
            raise Undone
    except Undone:
        pass


async def test_a_caller_who_asked_for_a_person_is_called_within_half_an_hour_of_work(
    database: Database, calls: Calls
) -> None:
    told = Telling("CA51", begin=datetime(2026, 3, 3, 10, 20, tzinfo=UTC)).comes().presses("0").ends()  # 17:20
    [(kind, _, _, opened_at, due_at, _)] = (await outcome_of(database, calls, told.events))["open"]
    zone = shipped_menu().hours.zone  # type: ignore[union-attr]
    assert (kind, due_at > opened_at, due_at.astimezone(zone).day) == ("callback", True, 4)


async def test_a_call_whose_end_nobody_tells_is_given_up_and_its_end_still_counts(
    database: Database, calls: Calls
) -> None:
    told = Telling("CA61").comes().presses("0").ends()
    try:
        async with database.transaction() as session:
            await take(session, calls, told.events[:-1])
            assert await calls.give_up(session, BEGIN + SILENT_FOR - timedelta(minutes=1)) == 0
            assert await calls.give_up(session, BEGIN + SILENT_FOR + timedelta(minutes=1)) == 1
            [call] = (await standing(session))["calls"]
            assert (call["state"], call["outcome"]) == ("lost", "callback")
            assert await calls.give_up(session, BEGIN + 2 * SILENT_FOR) == 0
            await take(session, calls, told.events[-1:])
            after = await standing(session)
            raise Undone
    except Undone:
        pass
    [call] = after["calls"]
    assert (call["state"], call["ended_at"], len(after["open"])) == ("completed", told.events[-1][2], 1)


async def test_a_step_of_which_no_answer_is_kept_is_walked_again(database: Database, calls: Calls) -> None:
    told = Telling("CA71").comes().presses("9", "0").ends()
    plain = [(message, None, at) for message, _, at in told.events]
    assert (await outcome_of(database, calls, plain))["calls"] == (await outcome_of(database, calls, told.events))[
        "calls"
    ]


async def test_another_leg_belongs_to_the_call_it_was_made_for(database: Database, calls: Calls) -> None:
    told = Telling("CA81").comes()
    leg = {"CallSid": "CA82", "ParentCallSid": "CA81", "Direction": "outbound-dial", "To": BINH, "From": NUMBER}
    told.report(CallStatus="no-answer", SequenceNumber="3", CallbackSource="call-progress-events", **leg)
    found = await outcome_of(database, calls, told.events)
    assert [(each["role"], each["state"]) for each in found["legs"]] == [
        ("caller", "in-progress"),
        ("other", "no-answer"),
    ]
    assert [(call["caller"], call["state"]) for call in found["calls"]] == [(HOA, "in-progress")]


# ---- people and the work


def staff(*roles: Role) -> Actor:
    return Actor(kind="staff", id=None, name="x", roles=frozenset(roles))


@pytest.fixture
async def missed(app: FastAPI, calls: Calls) -> AsyncIterator[CallTask]:
    """A task, and nothing of it afterwards."""
    database = state(app).database
    sid = f"CA{uuid7(BEGIN).hex}"
    async with database.transaction() as session:
        await take(session, calls, Telling(sid).comes().ends().events)
        call = (await session.exec(select(CallSession).where(CallSession.provider_call_id == sid))).one()
        task = await session.get_one(CallTask, call.task_id)
    yield task
    async with database.transaction() as session:
        left = await session.get(CallTask, task.id)
        if left is not None and left.state == "open":
            await session.delete(left)


@pytest.mark.parametrize(
    ("role", "may"),  # an inspector is the only one who sees the callers of restricted cases
    [(role, role in (Role.AGENT, Role.DISPATCHER, Role.SUPERVISOR, Role.INSPECTOR)) for role in Role],
)
async def test_who_may_close_a_task(app: FastAPI, missed: CallTask, role: Role, may: bool) -> None:
    async with state(app).database.transaction() as session:
        if not may:
            with pytest.raises(NotAllowed):
                await tasks.close(session, staff(role), missed.id, BEGIN)
            return
        closed = await tasks.close(session, staff(role), missed.id, BEGIN)
        assert (closed.state, closed.closed_at) == ("done", BEGIN)


async def test_what_is_closed_stays_closed_and_a_new_call_is_a_new_task(
    app: FastAPI, calls: Calls, missed: CallTask
) -> None:
    async with state(app).database.transaction() as session:
        agent = staff(Role.AGENT)
        await tasks.close(session, agent, missed.id, BEGIN)
        other = Actor(kind="staff", id=uuid7(BEGIN), name="y", roles=frozenset({Role.AGENT}))
        with pytest.raises(Conflict):
            await tasks.close(session, other, missed.id, BEGIN)
        with pytest.raises(NotFound):
            await tasks.close(session, agent, uuid7(BEGIN), BEGIN)
        assert missed.id not in [task.id for task in await tasks.opened(session, agent)]


@pytest.mark.parametrize("role", Role)
async def test_who_may_read_the_list(app: FastAPI, missed: CallTask, role: Role) -> None:
    async with state(app).database.transaction() as session:
        if role not in (Role.AGENT, Role.DISPATCHER, Role.SUPERVISOR, Role.INSPECTOR):
            with pytest.raises(NotAllowed):
                await tasks.opened(session, staff(role))
            return
        assert missed.id in [task.id for task in await tasks.opened(session, staff(role))]


async def test_a_case_taken_by_telephone_closes_what_the_number_waited_for(
    app: FastAPI, as_: As, missed: CallTask
) -> None:
    body = {"text": "Đèn đường tắt trước nhà", "channel": "voice", "contact": {"phone": "0912 345 678"}}
    other = {**body, "contact": {"phone": BINH}}
    assert (await as_("agent").post("/api/v1/cases", json=other)).status_code == 201
    async with state(app).database.transaction() as session:
        assert (await session.get_one(CallTask, missed.id)).state == "open"
    opened = await as_("agent").post("/api/v1/cases", json=body)
    assert opened.status_code == 201, opened.text
    async with state(app).database.transaction() as session:
        task = await session.get_one(CallTask, missed.id)
        case = (await session.exec(select(Case).where(Case.code == opened.json()["code"]))).one()
    assert (task.state, task.case_id, task.closed_by is not None) == ("reached", case.id, True)
