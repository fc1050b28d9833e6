"""Clocks of cases: each edge case that broke another system is a row, its due times worked out by hand beside it.

Hours Monday to Friday 07:00-11:30 and 13:30-17:00, a day of 8 h; Sở Công Thương works 07:00-11:00 only. An ordinary
road report: the centre forwards within 30 min, the unit accepts within 8 working hours and resolves within 3 working
days, 4 h round the clock in an emergency. What is pure counting is in tests/routing/test_working_time.py.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import select

from cases import due_work
from cases.desk import Office, perform
from cases.limits import Clocks, next_threshold
from cases.models import Case, Limit
from cases.states import Action
from core.staff import Actor, Role
from routing.calendars import build, province_calendar
from routing.decide import Decision, Rulebook, StageLimit
from routing.directory import Directory
from routing.editing import calendars
from routing.places import Gazetteer
from routing.queries import Routing, load
from routing.working_time import Amount, Calendar, Span, worked
from tests.factories import (
    LEAD,
    OTHER,
    SUPPORT,
    As,
    Clock,
    a_report,
    by_citizen,
    case_of,
    deliver,
    done,
    journal_of,
    limit_differences,
    remind,
    staff_id,
    state,
)

ADMIN = Actor("staff", roles=frozenset({Role.ADMIN}))
MORNINGS = [["07:00-11:00"]] * 5 + [[], []]
Step = tuple[Any, ...]


@pytest.fixture(scope="module", autouse=True)
async def mornings_only(app: FastAPI) -> None:
    """Sở Công Thương has a calendar of its own."""
    here = state(app)
    async with here.database.transaction() as session:
        at = datetime(2026, 1, 6, tzinfo=UTC)
        await calendars.create(session, ADMIN, at, SUPPORT)
        await calendars.edit_week(session, ADMIN, at, SUPPORT, MORNINGS)
    here.routing.forget()


@pytest.fixture(autouse=True)
async def verified(app: FastAPI, clock: Clock) -> AsyncIterator[None]:
    """After every story the limits agree with the journal and with the calendar."""
    yield
    await remind(app)
    assert await limit_differences(app) == []


@pytest.fixture
async def rules(app: FastAPI) -> AsyncIterator[Callable[..., None]]:
    """`rules(stop_while_waiting=("resolve",))`: the rule sets in force, changed for one test."""
    here = state(app)
    async with here.database.transaction() as session:
        loaded = await load(session)
    kept = here.routing

    def change(**changes: Any) -> None:
        books = tuple(replace(dated, book=replace(dated.book, **changes)) for dated in loaded.rulebooks)
        here.routing = Fixed(replace(loaded, rulebooks=books))  # type: ignore[assignment]

    yield change
    here.routing = kept


class Fixed:
    """A RoutingCache that never looks again."""

    def __init__(self, routing: Routing) -> None:
        self.fresh = routing

    def begin(self, session: object) -> None:
        """Nothing is ever forgotten."""

    async def get(self, session: object) -> Routing:
        return self.fresh


@dataclass(frozen=True)
class Story:
    """Steps (moment, who, action, body), what the clocks then say, and which of them are breached in the end."""

    name: str
    steps: tuple[Step, ...]
    clocks: dict[str, str]  # `stage holder` → due time, and what became of it
    breaches: tuple[str, ...] = ()  # `stage holder`, once each, however long nobody does anything
    stops: tuple[str, ...] = ()  # stages whose clocks stand still while the citizen is asked


BOTH = (f"accept {LEAD}", f"resolve {LEAD}")
TO_LEAD = {"lead": LEAD}
ANSWER = ("submit_answer", {"reply": "Đã vá xong."})
ASK = ("agent", "ask_citizen", {"question": "Ở đoạn nào ạ?"})
BACK = ("officer", "give_back", {"reason": "Không thuộc thẩm quyền"})
REDIRECT = ("dispatcher", "redirect", {"to": "other", "reply": "Đã chuyển."})
SAYS = ("citizen", "messages", {"text": "Trước số nhà 12"})


def sent(moment: str, lead: str = LEAD) -> tuple[Step, ...]:
    """Reported and forwarded at the same moment."""
    return (moment, "citizen", "report", {}), (moment, "dispatcher", "forward", {"lead": lead})


def accepted(moment: str) -> tuple[Step, ...]:
    return *sent(moment), (moment, "officer", "accept", {})


STORIES = [
    # Tue 3 March: accept 3.5 h from 13:30, Wed 4.5 h. Resolve Wed 1, Thu 2, Fri 3.
    Story("in the lunch break", sent("2026-03-03T12:00"),
          {BOTH[0]: "2026-03-04T11:30", BOTH[1]: "2026-03-06T17:00"}, BOTH),
    # Tue evening: accept Wed 8 h. Resolve Wed 1, Thu 2, Fri 3.
    Story("after hours", sent("2026-03-03T20:00"),
          {BOTH[0]: "2026-03-04T17:00", BOTH[1]: "2026-03-06T17:00"}, BOTH),
    # Wed 18 February is in Tết (Mon 16 to Fri 20): accept Mon 23 8 h. Resolve Mon 1, Tue 2, Wed 3.
    Story("on a holiday", sent("2026-02-18T10:00"),
          {BOTH[0]: "2026-02-23T17:00", BOTH[1]: "2026-02-25T17:00"}, BOTH),
    # Sat 22 August makes up for Mon 31: accept 1.5 h, 3.5 h, Mon 24 3 h. Resolve Mon 1, Tue 2, Wed 3.
    Story("on a make-up Saturday", sent("2026-08-22T10:00"),
          {BOTH[0]: "2026-08-24T10:00", BOTH[1]: "2026-08-26T17:00"}, BOTH),
    # Mon 9 March, Sunday in UTC: accept Mon 8 h. Resolve: Mon is the first day; Tue 1, Wed 2, Thu 3.
    Story("on Monday at half past midnight", sent("2026-03-09T00:30"),
          {BOTH[0]: "2026-03-09T17:00", BOTH[1]: "2026-03-12T17:00"}, BOTH),
    # Mon 9 March: 8 h are the whole day, due at closing and not on Tue.
    Story("due exactly at closing", sent("2026-03-09T07:00"),
          {BOTH[0]: "2026-03-09T17:00", BOTH[1]: "2026-03-12T17:00"}, BOTH),
    # Wed 22 April: accept 1.5 h, 3.5 h, Thu 3 h. Resolve Thu 1, Fri 2, Mon 27 off for Giỗ Tổ on Sun, Tue 3.
    Story("a holiday on the due day", sent("2026-04-22T10:00"),
          {BOTH[0]: "2026-04-23T10:00", BOTH[1]: "2026-04-28T17:00"}, BOTH),
    # Fri 13 February: accept 1 h; off from Sat 14 to Sun 22; Mon 23 4.5 h and 2.5 h. Resolve Mon 1, Tue 2, Wed 3.
    Story("over the nine days of Tết", sent("2026-02-13T16:00"),
          {BOTH[0]: "2026-02-23T16:00", BOTH[1]: "2026-02-25T17:00"}, BOTH),
    # Tue 3 March 08:00, emergency: 4 h round the clock, stopped 30 and 15 min: 12:45.
    Story("two pauses on one day",
          (*sent("2026-03-03T08:00")[:1], ("2026-03-03T08:00", "agent", "classify", {"urgency": "emergency"}),
           *accepted("2026-03-03T08:00")[1:],
           ("2026-03-03T09:00", *ASK), ("2026-03-03T09:30", *SAYS),
           ("2026-03-03T10:00", *ASK), ("2026-03-03T10:15", *SAYS)),
          {BOTH[1]: "2026-03-03T12:45"}, BOTH[1:], stops=("resolve",)),
    # Thu 23 April. Fri 24 and Tue 28 are touched by the pause and do not count, Mon 27 is off: Wed 1; Thu 30 and
    # Fri 1 May off; Mon 4 May 2, Tue 3.
    Story("a pause across midnight and a holiday",
          (*accepted("2026-04-23T10:00"), ("2026-04-24T16:00", *ASK), ("2026-04-28T09:00", *SAYS)),
          {BOTH[1]: "2026-05-05T17:00"}, BOTH[1:], stops=("resolve",)),
    # Due Fri 6 March 17:00, asked on Mon 9: what is late does not stop, and is late from Friday on.
    Story("a pause while already late",
          (*accepted("2026-03-03T08:00"), ("2026-03-09T08:00", *ASK), ("2026-03-10T08:00", *SAYS)),
          {BOTH[1]: "2026-03-06T17:00 breached"}, BOTH[1:], stops=("resolve",)),
    # Answered in time; the limit of 6 March is met and silent, but nobody published by then. Reopened Tue 10 09:00:
    # accept 2.5 h, 3.5 h, Wed 2 h; resolve Wed 1, Thu 2, Fri 13 3.
    Story("reopened after it was due",
          (*accepted("2026-03-03T08:00"), ("2026-03-04T08:00", "officer", *ANSWER),
           ("2026-03-04T08:00", "head", "approve_answer", {}), ("2026-03-04T08:00", "worker", "deliver", {}),
           ("2026-03-10T09:00", "citizen", "reopen", {"reason": "Vẫn còn ổ gà"})),
          {BOTH[0]: "2026-03-11T09:00", BOTH[1]: "2026-03-13T17:00"}, (*BOTH, "publish trung-tam-1022")),
    # The same after a late answer: the old breach is told once, the new limits have their own.
    Story("reopened after it was answered late",
          (*accepted("2026-03-03T08:00"), ("2026-03-09T08:00", "officer", *ANSWER),
           ("2026-03-09T08:00", "head", "approve_answer", {}), ("2026-03-09T08:00", "worker", "deliver", {}),
           ("2026-03-10T09:00", "citizen", "reopen", {"reason": "Vẫn còn ổ gà"})),
          {BOTH[0]: "2026-03-11T09:00", BOTH[1]: "2026-03-13T17:00"},
          (BOTH[0], BOTH[1], BOTH[1])),
    # Taken back Tue 3 March 09:00 and sent to mornings of 4 h: accept Tue 2 h, Wed 4 h, Thu 2 h; resolve Fri 11:00.
    Story("reassigned to a unit with another calendar",
          (*accepted("2026-03-03T08:00"), ("2026-03-03T09:00", "dispatcher", "recall", {"reason": "Nhầm đơn vị"}),
           ("2026-03-03T09:00", "dispatcher", "forward", {"lead": SUPPORT})),
          {f"accept {SUPPORT}": "2026-03-05T09:00", f"resolve {SUPPORT}": "2026-03-06T11:00",
           BOTH[1]: "2026-03-06T17:00 cancelled"},
          (f"accept {SUPPORT}", f"resolve {SUPPORT}")),
    # Given back Tue 3 March 10:00: the centre has 30 min, and sends it on at 10:20: accept 70 min, 3.5 h, Wed 3 h 20.
    Story("given back and sent elsewhere",
          (*sent("2026-03-03T08:00"), ("2026-03-03T10:00", *BACK),
           ("2026-03-03T10:20", "dispatcher", "forward", {"lead": OTHER})),
          {"forward trung-tam-1022": "2026-03-03T10:30 met", f"accept {OTHER}": "2026-03-04T10:20",
           f"resolve {OTHER}": "2026-03-06T17:00", BOTH[0]: "2026-03-04T08:00 cancelled"},
          (f"accept {OTHER}", f"resolve {OTHER}")),
    # Sent on at 10:40, ten minutes late: charged to the centre, not to the unit that gave it back.
    Story("given back and sent elsewhere too late",
          (*sent("2026-03-03T08:00"), ("2026-03-03T10:00", *BACK),
           ("2026-03-03T10:40", "dispatcher", "forward", {"lead": OTHER})),
          {"forward trung-tam-1022": "2026-03-03T10:30 late", BOTH[1]: "2026-03-06T17:00 cancelled"},
          ("forward trung-tam-1022", f"accept {OTHER}", f"resolve {OTHER}")),
    # Redirected on Tue 3 March before anybody accepted: nothing is owed any more, and nothing is ever breached.
    Story("over before it was accepted",
          (*sent("2026-03-03T08:00"), ("2026-03-03T09:00", *REDIRECT)),
          {BOTH[0]: "2026-03-04T08:00 cancelled", BOTH[1]: "2026-03-06T17:00 cancelled"}),
    Story("merged while a unit has it",
          (*accepted("2026-03-03T08:00"), ("2026-03-03T09:00", "agent", "merge", {})),
          {BOTH[0]: "2026-03-04T08:00 met", BOTH[1]: "2026-03-06T17:00 cancelled"}),
    Story("spam",
          (("2026-03-03T08:00", "citizen", "report", {}), ("2026-03-03T08:10", "agent", "mark_spam", {})),
          {"forward trung-tam-1022": "2026-03-03T08:30 cancelled"}),
    Story("refused",
          (("2026-03-03T08:00", "citizen", "report", {}),
           ("2026-03-03T08:10", "dispatcher", "refuse", {"reason_code": "unclear"})),
          {"forward trung-tam-1022": "2026-03-03T08:30 met"}),
    # Taken back at 07:00 on the day after it was due: the breach of Tuesday is told, the rest is cancelled.
    Story("taken back while late",
          (*sent("2026-03-03T07:00"), ("2026-03-04T07:00", "dispatcher", "recall", {"reason": "Không ai nhận"}),
           ("2026-03-04T07:00", "dispatcher", "forward", {"lead": OTHER}),
           ("2026-03-04T07:00", "agent", "merge", {})),
          {BOTH[0]: "2026-03-03T17:00 cancelled", BOTH[1]: "2026-03-06T17:00 cancelled"}, BOTH[:1]),
    # Named an emergency Tue 3 March 13:15: 4 h from 08:00 were over at 12:00, so they run from 13:15 to 17:15.
    Story("named an emergency when its time would be over",
          (*accepted("2026-03-03T08:00"), ("2026-03-03T13:15", "dispatcher", "classify", {"urgency": "emergency"})),
          {BOTH[1]: "2026-03-03T17:15"}, BOTH[1:]),
    # Named one at 09:00: 4 h from its opening end at 12:00.
    Story("named an emergency in time",
          (*accepted("2026-03-03T08:00"), ("2026-03-03T09:00", "dispatcher", "classify", {"urgency": "emergency"})),
          {BOTH[1]: "2026-03-03T12:00"}, BOTH[1:]),
    # Asked for before Fri 6 March 17:00, granted on Mon 9: the breach stands and is one, the new date is Wed 11 10:00.
    Story("an extension granted after it was due",
          (*accepted("2026-03-03T08:00"),
           ("2026-03-06T16:00", "officer", "request_extension",
            {"until": "2026-03-11T10:00:00+07:00", "reason": "Chờ nhựa nóng"}),
           ("2026-03-09T08:00", "head", "grant_extension", {})),
          {BOTH[1]: "2026-03-11T10:00 breached"}, BOTH[1:]),
]  # fmt: skip


# A worker looks at every step, or only at the end; where all is done in one moment there is nothing between.
TOLD = [
    pytest.param(story, worker, id=f"{story.name}, {'a' if worker else 'no'} worker")
    for story in STORIES
    for worker in (True, False)
    if worker or len(story.steps) > 2
]


@pytest.mark.parametrize(("story", "worker"), TOLD)
async def test_a_case_is_due_when_a_careful_reader_of_the_calendar_says(
    app: FastAPI,
    client: AsyncClient,
    as_: As,
    clock: Clock,
    rules: Callable[..., None],
    story: Story,
    worker: bool,
) -> None:
    if story.stops:
        rules(stop_while_waiting=story.stops)
    code, key = "", ""
    for moment, who, action, body in story.steps:
        clock.to(moment)
        if worker:
            await remind(app)
        if action == "report":
            code, key = await a_report(client, **body)
        elif who == "worker":
            await deliver(app)
        elif who == "citizen":
            answer = await by_citizen(client, code, key, action, body)
            assert answer.status_code in (200, 201), answer.text
        elif action == "merge":
            await done(as_(who), code, action, {"into": (await a_report(client))[0]})
        else:
            await done(as_(who), code, action, body)
    told = await clocks_of(app, code)
    assert {name: told[name] for name in story.clocks} == story.clocks
    clock.move(days=90)
    await remind(app)
    assert sorted(await breaches_of(app, code)) == sorted(story.breaches)


async def clocks_of(app: FastAPI, code: str) -> dict[str, str]:
    """`stage holder` → local due time and what became of it; of several the newest."""
    async with state(app).database.transaction() as session:
        case = await case_of(session, code)
        rows = await session.exec(select(Limit).where(Limit.case_id == case.id).order_by(Limit.opened_at, Limit.id))  # type: ignore[arg-type]
        return {f"{row.stage} {row.holder}": _told(row) for row in rows.all()}


def _told(row: Limit) -> str:
    became = "met" if row.met_at else "cancelled" if row.cancelled_at else ""
    if row.breached_at and became != "cancelled":
        became = "late" if row.met_at else "breached"
    return f"{local(row.due_at)} {became}".rstrip()


def local(moment: datetime | None) -> str:
    return f"{moment + timedelta(hours=7):%Y-%m-%dT%H:%M}" if moment else "stopped"


async def breaches_of(app: FastAPI, code: str) -> list[str]:
    """`stage holder` of every breach in the journal, by the worker or by an act."""
    return [f"{op['stage']} {op['holder']}" for _, op in await ops_of(app, code) if op["op"] == "breached"]


async def ops_of(app: FastAPI, code: str) -> list[tuple[str, dict[str, Any]]]:
    return [(row.kind, op) for row in await journal_of(app, code) for op in row.data.get("limits", ())]


async def test_a_calendar_edited_afterwards_leaves_what_runs_and_counts_for_what_begins(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    here = state(app)
    clock.to("2026-03-03T08:00")
    before, _ = await a_report(client)
    await done(as_("dispatcher"), before, "forward", {"lead": SUPPORT})
    async with here.database.transaction() as session:
        await calendars.put_day(session, ADMIN, clock(), SUPPORT, date(2026, 3, 5), label="Bão")
    here.routing.forget()
    after, _ = await a_report(client)
    await done(as_("dispatcher"), after, "forward", {"lead": SUPPORT})
    # Mornings of 4 h from Tue 08:00: 3 h, Wed 4 h, Thu 1 h; three days are Wed, Thu, Fri.
    told = await clocks_of(app, before)
    assert told[f"accept {SUPPORT}"] == "2026-03-05T08:00"
    assert told[f"resolve {SUPPORT}"] == "2026-03-06T11:00"
    # Thursday is off now: Fri 1 h; three days are Wed, Fri, Mon 9.
    told = await clocks_of(app, after)
    assert told[f"accept {SUPPORT}"] == "2026-03-06T08:00"
    assert told[f"resolve {SUPPORT}"] == "2026-03-09T11:00"
    async with here.database.transaction() as session:
        await calendars.remove_day(session, ADMIN, clock(), SUPPORT, date(2026, 3, 5))
    here.routing.forget()


async def test_a_breach_is_there_as_soon_as_it_is_one_and_not_before(
    app: FastAPI, client: AsyncClient, clock: Clock
) -> None:
    clock.to("2026-03-03T08:00")
    code, _ = await a_report(client)  # the centre's half an hour: 08:30
    clock.move(minutes=30, microseconds=-1)
    await remind(app)
    assert await breaches_of(app, code) == []
    clock.move(microseconds=1)
    await remind(app)
    assert await breaches_of(app, code) == ["forward trung-tam-1022"]
    (row,) = [row for row in await journal_of(app, code) if row.kind == "limit.breached"]
    assert row.occurred_at == clock()


async def test_an_extension_granted_after_it_was_due_is_reminded_of_and_no_second_breach(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    clock.to("2026-03-03T08:00")
    code, _ = await a_report(client)
    await done(as_("dispatcher"), code, "forward", TO_LEAD)
    await done(as_("officer"), code, "accept")
    clock.to("2026-03-06T16:00")
    body = {"until": "2026-03-11T10:00:00+07:00", "reason": "Chờ nhựa nóng"}
    await done(as_("officer"), code, "request_extension", body)
    clock.to("2026-03-06T17:00")
    await remind(app)
    clock.to("2026-03-09T08:00")
    await done(as_("head"), code, "grant_extension")
    for moment in ("09T08", "09T17", "10T07", "10T08", "10T09", "11T09", "11T10", "11T11", "12T08"):
        clock.to(f"2026-03-{moment}:00")
        await remind(app)
    told = [
        (op["op"], local(row.occurred_at), op.get("percent"))
        for row in await journal_of(app, code)
        if row.kind.startswith("limit.") and row.occurred_at > datetime(2026, 3, 9, tzinfo=UTC)
        for op in row.data["limits"]
    ]
    # Tue 3 March 08:00 to Wed 11 10:00 are 50 h: Tue 7, Wed to Tue five times 8, Wed 3. 80 % are 40 h: 7 by Tue, 15 by
    # Wed, 23, 31 by Fri, 39 by Mon 17:00, so Tue 08:00; half was over before it was granted.
    assert told == [("reminded", "2026-03-10T08:00", 80), ("reminded", "2026-03-11T10:00", 100)]


async def test_what_is_late_when_the_citizen_is_asked_is_late_at_once(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, rules: Callable[..., None]
) -> None:
    rules(stop_while_waiting=("resolve",))
    clock.to("2026-03-03T08:00")
    code, _ = await a_report(client)
    await done(as_("dispatcher"), code, "forward", TO_LEAD)
    await done(as_("officer"), code, "accept")
    clock.to("2026-03-09T08:00")  # no worker ran
    await done(as_("officer"), code, "ask_citizen", {"question": "Ở đoạn nào ạ?"})
    assert await breaches_of(app, code) == ["resolve so-xd"]
    assert (await clocks_of(app, code))["resolve so-xd"] == "2026-03-06T17:00 breached"


async def test_a_stage_that_the_new_decision_brings_has_a_clock_from_then_on(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, rules: Callable[..., None]
) -> None:
    async with state(app).database.transaction() as session:
        limits = (await load(session)).rulebooks[-1].book.limits
    rules(limits=tuple(rule for rule in limits if rule.stage != "accept" or rule.code == "R06-emergency"))
    clock.to("2026-03-03T08:00")
    code, _ = await a_report(client)
    await done(as_("dispatcher"), code, "forward", TO_LEAD)
    assert "accept so-xd" not in await clocks_of(app, code)
    clock.to("2026-03-03T09:00")
    await done(as_("dispatcher"), code, "classify", {"urgency": "emergency"})
    assert (await clocks_of(app, code))["accept so-xd"] == "2026-03-03T09:30"  # half an hour from now
    await done(as_("officer"), code, "accept")
    await done(as_("dispatcher"), code, "classify", {"urgency": "complex"})
    await done(as_("dispatcher"), code, "classify", {"urgency": "emergency"})
    assert (await clocks_of(app, code))["accept so-xd"] == "2026-03-03T09:30 met"  # what is done is not owed again


async def test_one_limit_that_cannot_be_counted_keeps_no_other_waiting(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    clock.to("2026-03-03T08:00")
    bad, good = (await a_report(client))[0], (await a_report(client))[0]
    await put(app, bad, "calendar", "no-such")
    clock.to("2026-03-03T08:30")
    await remind(app)
    try:
        assert await breaches_of(app, good) == ["forward trung-tam-1022"]
        assert await breaches_of(app, bad) == []
        (row,) = [row for row in await journal_of(app, bad) if row.kind == "limit.stuck"]
        assert row.data["error"] == "KeyError"
        assert "dims" not in row.data  # no figure knows of it
        assert any(told.startswith(f"{bad} forward: there is no calendar no-such")
                   for told in await limit_differences(app))  # fmt: skip
        clock.move(minutes=1)
        await remind(app)
        assert len([row for row in await journal_of(app, bad) if row.kind == "limit.stuck"]) == 1
    finally:
        await put(app, bad, "calendar", "province")
        await done(as_("agent"), bad, "mark_spam")


async def test_a_worker_that_has_not_heard_of_a_calendar_yet_asks_before_it_gives_up(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    here = state(app)
    async with here.database.transaction() as session:
        old = await load(session)
        await calendars.create(session, ADMIN, clock(), OTHER)
    here.routing.forget()
    clock.to("2026-03-03T08:00")
    code, _ = await a_report(client)
    await done(as_("dispatcher"), code, "forward", {"lead": OTHER})
    clock.to("2026-03-09T08:00")
    async with here.database.transaction() as session:
        await due_work.run_due(session, old, clock())
    assert sorted(await breaches_of(app, code)) == [f"accept {OTHER}", f"resolve {OTHER}"]


async def test_a_case_whose_track_is_being_changed_waits_and_is_told_of_as_what_it_became(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    here = state(app)
    clock.to("2026-03-03T08:00")
    code, _ = await a_report(client)
    clock.to("2026-03-03T08:20")  # half of the centre's time is over
    async with here.database.transaction() as session:
        routing = await load(session)
    office = Office(routing, frozenset())
    async with here.database.transaction() as session:
        by = Actor("staff", id=await staff_id(app, "supervisor@demo"), roles=frozenset({Role.SUPERVISOR}))
        await perform(session, office, by, code, Action.SET_TRACK, {"track": "complaint"}, clock())
        async with here.database.transaction() as other:
            await due_work.run_due(other, routing, clock())
        assert "limit.reminded" not in [row.kind for row in await journal_of(app, code)]
    clock.to("2026-03-13T08:00")
    await remind(app)
    told = [row for row in await journal_of(app, code) if row.kind.startswith("limit.")]
    assert told
    assert all(row.restricted for row in told)


async def test_one_limit_that_the_database_refuses_keeps_no_other_waiting(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, database_url: str
) -> None:
    clock.to("2026-03-03T08:00")
    bad, good = (await a_report(client))[0], (await a_report(client))[0]
    owner = await asyncpg.connect(database_url)
    await owner.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF NEW.data ->> 'code' = '{bad}' AND NEW.kind = 'limit.breached' "
        "THEN RAISE 'no' USING ERRCODE = 'check_violation'; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER refused BEFORE INSERT ON journal FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    try:
        clock.to("2026-03-03T08:30")
        await remind(app)
    finally:
        await owner.execute("DROP FUNCTION refuse CASCADE")
        await owner.close()
    assert await breaches_of(app, good) == ["forward trung-tam-1022"]
    assert await breaches_of(app, bad) == []
    assert [row.data["error"] for row in await journal_of(app, bad) if row.kind == "limit.stuck"] == ["IntegrityError"]
    clock.move(minutes=1)
    await done(as_("agent"), bad, "mark_spam")  # notes the breach it finds
    assert await breaches_of(app, bad) == ["forward trung-tam-1022"]


async def put(app: FastAPI, code: str, member: str, value: str) -> None:
    async with state(app).database.transaction() as session:
        case = await case_of(session, code)
        await session.execute(
            text(f"UPDATE limits SET {member} = :value WHERE case_id = :case"), {"value": value, "case": case.id}
        )


# ---- properties: clocks without a database


VN_NAME = "Asia/Ho_Chi_Minh"
MINUTE = timedelta(minutes=1)
OPENED = datetime(2026, 3, 2, 1, 15, tzinfo=UTC)


@st.composite
def own_calendars(draw: st.DrawFn) -> Calendar:
    """A unit's own hours: some whole hours of each day, on at least one."""
    hours = draw(st.lists(st.tuples(st.integers(0, 11), st.integers(12, 24)), min_size=1, max_size=7))
    week = [(Span(first * 60, last * 60),) for first, last in hours]
    return build("unit", VN_NAME, (week + [()] * 7)[:7], [])


def clocks(own: Calendar, at: datetime, rows: list[Limit], **settings: Any) -> Clocks:
    """The clocks of a case whose unit works by a calendar of its own."""
    province = province_calendar()
    book = Rulebook(
        "t", 1, OPENED.date(), None, Directory({}, {}, {}), province, {}, (), (),
        stop_while_waiting=("resolve",), **settings,
    )  # fmt: skip
    routing = Routing(
        (), book.directory, {}, {}, Gazetteer([]), {"province": province, "unit": own}, {}
    )  # fmt: skip
    return Clocks(Case.model_construct(id=UUID(int=1), units=[]), rows, routing, book, at)


@settings(max_examples=200, deadline=None)
@given(
    own_calendars(),
    st.integers(1, 2_000),
    st.lists(st.tuples(st.integers(1, 3_000), st.integers(1, 3_000)), max_size=3),
    st.sampled_from(["unit", "elsewhere"]),
)
def test_a_clock_gives_its_holder_exactly_the_limit_by_the_holders_own_calendar(
    own: Calendar, limit: int, pauses: list[tuple[int, int]], holder: str
) -> None:
    at, rows = OPENED, list[Limit]()
    desk = clocks(own, at, rows)
    desk.open("resolve", holder, Amount(limit, "min", "working"))
    rows, stops = desk.rows, []
    calendar = own if holder == "unit" else province_calendar()
    assert rows[0].calendar == calendar.code
    for runs, stands in pauses:
        at += runs * MINUTE
        due_at = rows[0].due_at
        assert due_at is not None
        desk = clocks(own, at, rows)
        desk.stop(["resolve"])
        if at > due_at:  # late: it does not stop
            assert (rows[0].due_at, rows[0].breached_at) == (due_at, due_at)
            break
        assert rows[0].due_at is None
        stops.append((at, at + stands * MINUTE))
        at += stands * MINUTE
        desk = clocks(own, at, rows)
        desk.resume()
    due_at = rows[0].due_at
    assert due_at is not None
    assert worked(OPENED, due_at, calendar, stops=stops) == limit * MINUTE


@settings(max_examples=200, deadline=None)
@given(
    own_calendars(),
    st.integers(1, 3_000),
    st.integers(0, 5_000),
    st.integers(0, 3_000),
    st.sampled_from(["working", "calendar"]),
    st.sampled_from([0, 50, 80]),
)
def test_a_limit_decided_anew_is_never_late_before_it_was_known_and_tells_nothing_twice(
    own: Calendar, limit: int, later: int, anew: int, clock: Any, reminded: int
) -> None:
    desk = clocks(own, OPENED, [])
    desk.open("resolve", "unit", Amount(limit, "min", "working"))
    (row,) = desk.rows
    row.reminded = reminded
    row.next_at = next_threshold(row, own, desk.book)
    was, at = row.due_at, OPENED + later * MINUTE
    assert was is not None
    desk = clocks(own, at, [row])
    amount = Amount(anew, "min", clock)
    desk.amend(Decision("unit", (), "ordinary", (StageLimit("resolve", amount, "R"),), (), ("R",), ()))
    assert row.due_at is not None
    if at > was:
        assert (row.due_at, row.breached_at) == (was, was)
        return
    assert row.breached_at is None
    assert row.due_at >= at or row.due_at == was
    assert row.reminded <= reminded
    following = next_threshold(row, own, desk.book)
    assert following == row.next_at
    if following is not None and following <= at and following < row.due_at:  # a share that passed is told late, once
        assert reminded == row.reminded
