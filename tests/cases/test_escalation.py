"""Late work goes upwards in working time, to the roles the rule set names, each step once."""

import asyncio
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import text

from cases import escalation
from cases.escalation import due_steps
from ioc import reconcile
from routing.decide import EscalationStep, Rulebook
from routing.queries import PROVINCE, Routing, load
from routing.working_time import Amount
from tests.cases.noticing import clear, rows_of, tell, told
from tests.factories import (
    LEAD,
    SUPPORT,
    As,
    Clock,
    a_report,
    done,
    journal_of,
    limit_differences,
    settle,
    staff_id,
    state,
)

LADDER = (("unit_head", "1d/working"), ("owner_dept", "3d/working"), ("vice_chair", "5d/working"))


@pytest.fixture
async def quiet(app: FastAPI, clock: Clock) -> FastAPI:
    await clear(app)
    return app


async def taken_on(client: AsyncClient, as_: As) -> str:
    """A case that its unit must have resolved by Friday, 6 March, 17:00."""
    code, _ = await a_report(client)
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD, "supporting": []})
    await done(as_("officer"), code, "accept")
    return code


async def taken_upwards(app: FastAPI, code: str) -> list[tuple[str, str]]:
    """When (local) and to which role."""
    return [
        (f"{row.occurred_at.astimezone(state(app).settings.zone):%m-%d %H:%M}", row.data["to"])
        for row in await journal_of(app, code)
        if row.kind == "limit.escalated" and row.data["stage"] == "resolve"
    ]


async def test_each_step_is_taken_once_when_its_working_time_is_over(
    quiet: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    """Due on Friday 17:00. One working day after: Monday 17:00; three: Wednesday; five: Friday, each at closing."""
    code = await taken_on(client, as_)
    for moment in (
        "2026-03-06T17:00",  # the breach itself
        "2026-03-07T12:00",  # Saturday: no working time
        "2026-03-09T16:59",
        "2026-03-09T17:00",  # 1 working day
        "2026-03-10T09:00",
        "2026-03-11T16:59",
        "2026-03-11T17:00",  # 3
        "2026-03-13T17:00",  # 5
        "2026-03-20T17:00",
    ):
        clock.to(moment)
        for _ in range(2):
            await tell(quiet)
    assert await taken_upwards(quiet, code) == [
        ("03-09 17:00", "unit_head"),
        ("03-11 17:00", "owner_dept"),
        ("03-13 17:00", "vice_chair"),
    ]
    assert [line for line in await told(quiet, "head", code=code) if "escalated" in line] == [
        "escalated resolve (head)"
    ]
    assert await told(quiet, "supervisor", code=code) == ["escalated resolve (supervisor)"]  # for want of who may look
    assert await told(quiet, "leader", code=code) == ["escalated resolve (named)"]
    async with state(quiet).database.transaction() as session:
        left = await session.scalar(text("SELECT count(*) FROM escalations_due"))
    assert left == 0
    assert await limit_differences(quiet) == []  # a step upwards changes no clock, and no figure
    await settle(quiet)
    async with state(quiet).database.transaction() as session:
        assert await reconcile.reconcile(session, state(quiet).settings.zone, clock()) == []


async def test_whoever_is_told_upwards_may_open_the_case(
    quiet: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock
) -> None:
    """The head of the department 1022 belongs to has no part in the case: told once they read every case."""
    head = await staff_id(quiet, "unithead@demo")
    seen: dict[bool, list[str]] = {}
    for reads_all in (False, True):
        if reads_all:
            async with state(quiet).database.transaction() as session:
                await session.execute(
                    text("INSERT INTO role_grants VALUES (:id, 'leader', :at)"), {"id": head, "at": clock()}
                )
        code = await taken_on(client, as_)
        clock.move(days=14)
        await tell(quiet)
        clock.move(days=14)
        await tell(quiet)
        assert "owner_dept" in [role for _, role in await taken_upwards(quiet, code)]
        seen[reads_all] = await told(quiet, "unithead", code=code)
        assert (await browser("unithead").get(f"/console/cases/{code}")).status_code == (200 if reads_all else 404)
        everybody = ("head", "supervisor", "leader", "unithead", "admin", "officer", "officer2")
        for who in everybody:
            if await told(quiet, who, code=code):
                assert (await browser(who).get(f"/console/cases/{code}")).status_code == 200, who
    async with state(quiet).database.transaction() as session:
        await session.execute(text("DELETE FROM role_grants WHERE staff_id = :id AND role = 'leader'"), {"id": head})
    assert seen[False] == []
    assert "escalated resolve (head)" in seen[True]


async def test_who_is_named_hears_instead(quiet: FastAPI, client: AsyncClient, as_: As, clock: Clock) -> None:
    admin = await staff_id(quiet, "admin@demo")
    async with state(quiet).database.transaction() as session:
        for role in ("owner_dept", "vice_chair"):
            await session.execute(text("INSERT INTO named_roles VALUES (:role, :id)"), {"role": role, "id": admin})
    code = await taken_on(client, as_)
    clock.to("2026-03-06T17:00")
    await tell(quiet)
    clock.to("2026-03-13T17:00")  # all three at once, as after a standstill: everybody on the ladder hears
    await tell(quiet)
    assert [role for _, role in await taken_upwards(quiet, code)] == ["unit_head", "owner_dept", "vice_chair"]
    assert await told(quiet, "admin", code=code) == ["escalated resolve (named)"] * 2
    assert await told(quiet, "leader", code=code) == []


async def test_what_is_done_goes_no_further(quiet: FastAPI, client: AsyncClient, as_: As, clock: Clock) -> None:
    code = await taken_on(client, as_)
    clock.to("2026-03-06T17:00")
    await tell(quiet)
    clock.to("2026-03-09T17:00")
    await tell(quiet)
    clock.to("2026-03-10T09:00")
    await done(as_("officer"), code, "submit_answer", {"reply": "Đã vá."})
    clock.to("2026-03-10T10:00")
    await done(as_("head"), code, "approve_answer")
    clock.to("2026-03-30T17:00")
    await tell(quiet)
    assert [role for _, role in await taken_upwards(quiet, code)] == ["unit_head"]


async def test_an_answer_that_is_returned_late_goes_on_where_it_was(
    quiet: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    code = await taken_on(client, as_)
    clock.to("2026-03-06T17:00")
    await tell(quiet)
    clock.to("2026-03-09T17:00")
    await tell(quiet)
    await done(as_("officer"), code, "submit_answer", {"reply": "Đã vá."})
    clock.to("2026-03-11T17:00")
    await tell(quiet)  # nothing is owed now
    assert [role for _, role in await taken_upwards(quiet, code)] == ["unit_head"]
    clock.to("2026-03-12T08:00")
    await done(as_("head"), code, "return_answer", {"reason": "Thiếu ảnh"})
    await tell(quiet)
    steps = [role for _, role in await taken_upwards(quiet, code) if role != "unit_head"]
    assert steps == ["owner_dept"]  # the first was taken already


async def test_an_extension_that_was_granted_late_gives_its_time(
    quiet: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    code = await taken_on(client, as_)
    clock.to("2026-03-06T16:00")
    until = "2026-03-10T17:00:00+07:00"
    await done(as_("officer"), code, "request_extension", {"until": until, "reason": "Chờ vật tư"})
    clock.to("2026-03-06T17:01")
    await tell(quiet)
    await done(as_("head"), code, "grant_extension")
    for moment in ("2026-03-10T17:00", "2026-03-11T16:59", "2026-03-11T17:00"):
        clock.to(moment)
        await tell(quiet)
    assert await taken_upwards(quiet, code) == [("03-11 17:00", "unit_head")]  # a working day after the new date


async def test_workers_that_run_at_once_take_each_step_once(
    quiet: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    here = state(quiet)
    codes = [await taken_on(client, as_) for _ in range(4)]
    clock.to("2026-03-06T17:00")
    await tell(quiet)
    clock.to("2026-03-09T17:00")

    async def worker() -> int:
        total, found = 0, 1
        while found:
            async with here.database.transaction() as session:
                found = await escalation.run(session, await here.routing.get(session), here.clock(), 2)
                await asyncio.sleep(0)
            total += found
        return total

    assert sum(await asyncio.gather(worker(), worker(), worker())) >= len(codes)
    for code in codes:
        assert len(await taken_upwards(quiet, code)) == 1


async def test_of_a_restricted_case_nothing_goes_to_the_ladder(
    quiet: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD, "supporting": [SUPPORT]})
    await done(as_("inspector"), code, "set_track", {"track": "denunciation"})
    await tell(quiet)
    clock.to("2026-05-29T17:00")
    await tell(quiet)
    clock.to("2026-06-30T17:00")
    await tell(quiet)
    assert await taken_upwards(quiet, code)
    for who in ("head", "supervisor", "leader", "admin", "helperhead"):
        assert [row.kind for row in await rows_of(quiet, who) if row.code == code and row.kind == "escalated"] == []
    assert "escalated" in {row.kind for row in await rows_of(quiet, "inspector") if row.code == code}
    assert all(row.restricted for row in await journal_of(quiet, code) if row.kind == "limit.escalated")


@pytest.fixture(scope="module")
async def routing(app: FastAPI) -> Routing:
    async with state(app).database.transaction() as session:
        return await load(session)


@pytest.mark.parametrize(
    ("due_at", "done", "at", "steps", "again"),
    [
        ("03-06T17:00", 0, "03-06T17:00", [], "03-09T17:00"),
        ("03-06T17:00", 0, "03-09T17:00", [0], "03-11T17:00"),
        ("03-06T17:00", 0, "03-11T17:00", [0, 1], "03-13T17:00"),
        ("03-06T17:00", 2, "03-13T17:00", [2], None),
        ("03-06T17:00", 3, "03-13T17:00", [], None),
        ("03-06T17:00", 1, "03-09T18:00", [], "03-11T17:00"),  # told already
        ("03-10T17:00", 1, "03-12T08:00", [], "03-13T17:00"),  # extended: three working days after the new date
        ("03-05T10:30", 0, "03-05T10:30", [], "03-06T17:00"),  # the day itself does not count
    ],
)
def test_which_steps_are_due(
    routing: Routing, due_at: str, done: int, at: str, steps: list[int], again: str | None
) -> None:
    book: Rulebook = routing.at(datetime(2026, 3, 3, tzinfo=UTC)).book
    assert [(step.to, str(step.after)) for step in book.escalate] == [(to, after) for to, after in LADDER]
    found = due_steps(book, routing.calendars[PROVINCE], moment(due_at), done, moment(at))
    assert found == (steps, moment(again) if again else None)


def test_a_clock_that_stands_still_is_looked_at_later(routing: Routing) -> None:
    book = routing.at(datetime(2026, 3, 3, tzinfo=UTC)).book
    now = moment("03-06T17:00")
    assert due_steps(book, routing.calendars[PROVINCE], None, 0, now) == ([], now + escalation.LOOK_AGAIN)
    assert EscalationStep(Amount.parse("1d/working"), "unit_head") == book.escalate[0]


def moment(local: str) -> datetime:
    return datetime.fromisoformat(f"2026-{local}:00+07:00").astimezone(UTC)
