"""Modes of the centre: switched in one act, in force for the next report, shown everywhere, undone as easily."""

from collections.abc import AsyncIterator
from datetime import datetime

import asyncpg
import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import text
from sqlmodel import col, select

from core.journal import Journal
from core.staff import Actor, Role
from routing import modes
from routing.queries import RoutingCache
from tests.factories import LEAD, As, Clock, a_report, done, staff_id, state
from tests.web.problems import problem, where

REASON = "Bão số 7, nhiều nơi ngập"
OTHERS = ("agent", "dispatcher", "officer", "head", "inspector", "leader", "admin")


@pytest.fixture
async def normal(app: FastAPI, as_: As) -> AsyncIterator[None]:
    """Normal times before and after."""
    yield
    await as_("supervisor").post("/api/v1/mode/end")


async def switch(as_: As, mode: str, reason: str = REASON) -> None:
    answer = await as_("supervisor").post("/api/v1/mode", json={"mode": mode, "reason": reason})
    assert answer.status_code == 200, answer.text
    assert answer.json()["mode"] == mode


async def forwarded(as_: As) -> tuple[str, dict[str, str]]:
    """The code of an urgent report about food that a unit has now, and its amounts by stage."""
    body = {"text": "Chợ bán thịt ôi", "field": "food.safety", "urgency": "urgent", "channel": "counter"}
    opened = await as_("agent").post("/api/v1/cases", json=body)
    assert opened.status_code == 201, opened.text
    case = await done(as_("dispatcher"), opened.json()["code"], "forward", {"lead": LEAD})
    return case["code"], {each["stage"]: each["amount"] for each in case["limits"]}


async def rules_of(as_: As, code: str) -> set[str]:
    return set((await as_("agent").get(f"/api/v1/cases/{code}/explain")).json()["rules"])


async def test_the_same_report_gets_the_limits_of_the_mode_it_is_opened_in_and_keeps_them(
    as_: As, clock: Clock, normal: None
) -> None:
    before, usual = await forwarded(as_)
    await switch(as_, "epidemic")
    epidemic, ill = await forwarded(as_)
    await switch(as_, "disaster")  # one act: the epidemic ends with it
    disaster, flood = await forwarded(as_)
    ended = await as_("supervisor").post("/api/v1/mode/end")
    assert ended.json() == {"mode": "normal", "since": None, "reason": None}
    after, again = await forwarded(as_)

    assert usual["resolve"] == again["resolve"] == "3d/working"
    assert ill["resolve"] == "24h/calendar"
    assert flood["resolve"] == "1d/working"
    assert "R14" in await rules_of(as_, epidemic)
    assert "R08-disaster" in await rules_of(as_, disaster)
    for code, mode in ((before, "normal"), (epidemic, "epidemic"), (disaster, "disaster"), (after, "normal")):
        assert (await as_("agent").get(f"/api/v1/cases/{code}")).json()["mode"] == mode
    # Classified again in other times, a case still has the limits of its own.
    kept = await done(as_("agent"), epidemic, "classify", {"kind": "proposal"})
    assert {each["stage"]: each["amount"] for each in kept["limits"]}["resolve"] == "24h/calendar"


async def test_a_citizens_report_is_under_the_mode_at_once(client: AsyncClient, as_: As, normal: None) -> None:
    await a_report(client)  # the rules are fresh in this process now
    await switch(as_, "disaster")
    code, _ = await a_report(client)
    assert (await as_("agent").get(f"/api/v1/cases/{code}")).json()["mode"] == "disaster"


async def test_another_process_knows_it_when_it_looks_again(app: FastAPI, as_: As, normal: None) -> None:
    other = RoutingCache()
    async with state(app).database.transaction() as session:
        assert (await other.get(session)).mode == "normal"
    await switch(as_, "epidemic")
    other.forget()  # what FRESH_FOR does by itself
    async with state(app).database.transaction() as session:
        assert (await other.get(session)).mode == "epidemic"
    assert other.mode == "epidemic"


async def test_a_mode_read_before_the_switch_is_not_kept_after_it(app: FastAPI, as_: As, normal: None) -> None:
    here = state(app)
    async with here.database.transaction(frozen=True) as session:
        here.routing.begin(session)
        await session.execute(text("SELECT 1"))  # this transaction sees the database as of now
        await switch(as_, "disaster")
        assert (await here.routing.get(session)).mode in ("normal", "disaster")
    async with here.database.transaction() as session:
        assert (await here.routing.get(session)).mode == "disaster"


@pytest.mark.parametrize("who", OTHERS)
async def test_only_a_supervisor_may(as_: As, browser: As, who: str) -> None:
    for path, body in (("mode", {"mode": "disaster", "reason": REASON}), ("mode/end", {})):
        problem(await as_(who).post(f"/api/v1/{path}", json=body), 403)
    assert (await browser(who).get("/console/mode")).status_code == 403
    assert (await browser(who).post("/console/mode", data={"mode": "disaster", "reason": REASON})).status_code == 403
    assert (await as_(who).get("/api/v1/mode")).json()["mode"] == "normal"


async def test_a_mode_needs_its_reason_and_is_not_switched_on_twice(as_: As, normal: None) -> None:
    supervisor = as_("supervisor")
    assert where(problem(await supervisor.post("/api/v1/mode", json={"mode": "disaster", "reason": "  "}), 422)) == [
        "reason"
    ]
    problem(await supervisor.post("/api/v1/mode", json={"mode": "normal", "reason": "x"}), 422)
    problem(await supervisor.post("/api/v1/mode/end"), 409)
    await switch(as_, "disaster")
    problem(await supervisor.post("/api/v1/mode", json={"mode": "disaster", "reason": "x"}), 409)


async def test_the_journal_says_who_and_what_but_not_why(app: FastAPI, as_: As, normal: None) -> None:
    await switch(as_, "epidemic")
    await switch(as_, "disaster")
    await as_("supervisor").post("/api/v1/mode/end")
    async with state(app).database.transaction() as session:
        rows = await session.exec(select(Journal).where(col(Journal.kind).like("mode.%")).order_by(col(Journal.id)))
        told = [(row.kind, row.actor_id, row.data) for row in rows.all()][-3:]
    who = await staff_id(app, "supervisor@demo")
    assert told == [
        ("mode.switch", who, {"mode": "epidemic", "was": "normal"}),
        ("mode.switch", who, {"mode": "disaster", "was": "epidemic"}),
        ("mode.end", who, {"was": "disaster"}),
    ]


async def test_the_database_has_at_most_one_mode_at_a_time(
    app: FastAPI, as_: As, database_url: str, normal: None
) -> None:
    await switch(as_, "disaster")
    who = await staff_id(app, "supervisor@demo")
    owner = await asyncpg.connect(database_url)
    statement = "INSERT INTO modes (id, mode, reason, since, by) VALUES (gen_random_uuid(), $1, 'x', now(), $2)"
    try:
        with pytest.raises(asyncpg.UniqueViolationError):
            await owner.execute(statement, "epidemic", who)
        with pytest.raises(asyncpg.CheckViolationError):
            await owner.execute(statement, "normal", who)
    finally:
        await owner.close()


CONSOLE = (
    ("agent", "/console"),
    ("agent", "/console/new"),
    ("agent", "/console/calls"),
    ("supervisor", "/console/outbox"),
    ("supervisor", "/ioc"),
    ("supervisor", "/console/mode"),
    ("officer", "/console"),
    ("head", "/account"),
    ("inspector", "/console/looks"),
    ("admin", "/admin"),
    ("admin", "/admin/rules"),
)
PORTAL = ("/", "/track", "/cases", "/track/lost", "/sign-in", "/cases/BP-26-0000000")


async def test_every_screen_says_so_while_it_lasts(browser: As, client: AsyncClient, as_: As, normal: None) -> None:
    await switch(as_, "disaster")
    for who, path in CONSOLE:
        page = await browser(who).get(path)
        assert page.status_code == 200, path
        assert 'class="badge late"' in page.text, path
        assert "Thiên tai" in page.text, path
        assert REASON not in page.text or path == "/console/mode", path
    for path in PORTAL:
        page = await client.get(path)
        assert "Đang có thiên tai." in page.text, path
        assert "114" in page.text
        assert REASON not in page.text, path
    assert "Thiên tai" in (await browser("officer").get("/console/mode/banner")).text
    await as_("supervisor").post("/api/v1/mode/end")
    assert "Thiên tai" not in (await browser("officer").get("/console/mode/banner")).text
    for who, path in CONSOLE[:2]:
        assert 'class="badge late">' not in (await browser(who).get(path)).text.partition("</header>")[0]
    assert "Đang có thiên tai." not in (await client.get("/")).text


async def test_a_page_that_asks_no_rules_learns_of_a_switch_in_another_process(
    app: FastAPI, client: AsyncClient, as_: As, normal: None
) -> None:
    here = state(app)
    assert "Đang có thiên tai." not in (await client.get("/sign-in")).text
    who = Actor(kind="staff", id=await staff_id(app, "supervisor@demo"), roles=frozenset({Role.SUPERVISOR}))
    async with here.database.transaction() as session:  # as another process does it: nothing here is told
        await modes.switch(session, who, "disaster", REASON, here.clock())
    here.routing.forget()  # what was read is older than FRESH_FOR
    assert "Đang có thiên tai." in (await client.get("/sign-in")).text


async def test_the_page_switches_and_undoes(browser: As, as_: As, normal: None) -> None:
    page = browser("supervisor")
    wrong = await page.post("/console/mode", data={"mode": "epidemic", "reason": ""})
    assert wrong.status_code == 422
    assert "Hãy ghi lý do" in wrong.text
    assert 'value="epidemic" checked' in wrong.text  # nothing that was chosen is lost
    on = await page.post("/console/mode", data={"mode": "epidemic", "reason": "Sốt xuất huyết"})
    assert (on.status_code, on.headers["location"]) == (303, "/console/mode")
    shown = (await page.get("/console/mode")).text
    assert "Sốt xuất huyết" in shown
    assert 'value="epidemic"' not in shown  # it is on: only the other one can be chosen
    assert (await page.post("/console/mode/end")).status_code == 303
    assert (await page.post("/console/mode/end")).status_code == 303  # somebody else was quicker
    assert (await as_("agent").get("/api/v1/mode")).json()["mode"] == "normal"


async def test_the_answer_says_since_when(as_: As, clock: Clock, normal: None) -> None:
    await switch(as_, "epidemic")
    told = (await as_("officer").get("/api/v1/mode")).json()
    assert datetime.fromisoformat(told["since"]) == clock.now
    assert told["since"].endswith("+07:00")
    assert told["reason"] == REASON
