"""Screens that keep themselves up to date: who hears what, that nothing is lost, and how a stream ends."""

import asyncio
import functools
import gc
import json
import random
import re
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import delete, text
from sqlmodel import col

from cases.changes import Heard
from core import auth, journal, wake
from core.db import Database
from core.staff import Actor, RoleGrant, SignIn, StaffDepartment
from tests.factories import LEAD, NEVER_ENDS, OTHER, PASSWORD, SUPPORT, As, a_report, case_of, done, staff_id, state
from tests.running import System, free_port, handles, kill, running
from web import hub
from web.deps import COOKIE
from worker import run_worker

PATIENCE = 20.0  # seconds; what is waited for takes a fraction of one
EVERYBODY = ("agent", "supervisor", "leader", "inspector", "officer", "helper", "officer2")
ORDINARY = ("agent", "supervisor", "leader", "inspector")  # who sees every ordinary case


@dataclass(frozen=True)
class Event:
    """One event as a browser gets it, with the id it would come back with."""

    name: str
    data: dict[str, Any]
    last_id: str


@dataclass
class Console:
    """One browser's stream and all it has heard."""

    heard: list[Event] = field(default_factory=list)
    last_id: str = ""
    status: int = 0
    headers: httpx.Headers = field(default_factory=httpx.Headers)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    broken: str = ""

    async def read(self, answer: httpx.Response) -> None:
        """Follow the stream to its end, as the standard for event streams says."""
        name, data = "", list[str]()
        try:
            async for line in answer.aiter_lines():
                member, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if member == "event":
                    name = value
                elif member == "data":
                    data.append(value)
                elif member == "id":
                    self.last_id = value
                elif not line:
                    if data:
                        self.heard.append(Event(name, json.loads("\n".join(data)), self.last_id))
                    name, data = "", []
        except httpx.HTTPError as error:
            self.broken = type(error).__name__
        finally:
            self.ended.set()

    async def until(self, true: Callable[[], object], what: str) -> None:
        """Wait for something to become true."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not true():  # noqa: ASYNC110 - what was heard tells nobody
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pytest.fail(f"not heard: {what}; heard {[each.name for each in self.heard]}")

    async def hears(self, name: str) -> Event:
        """The first event of that name."""
        await self.until(lambda: any(each.name == name for each in self.heard), name)
        return next(each for each in self.heard if each.name == name)

    def about(self, code: str) -> list[str]:
        """Kinds of what it heard of a case in order, `left` where it lost it; both events of each change agree."""
        named = [each.data for each in self.heard if each.name == code]
        general = [each.data for each in self.heard if each.name == "case" and each.data["code"] == code]
        assert named == general
        return ["left" if each.get("left") else each["kind"] for each in general]


@asynccontextmanager
async def console(url: str, cookie: str, last_id: str | None = None, **query: int) -> AsyncIterator[Console]:
    """An open stream."""
    headers = {"Cookie": f"{COOKIE}={cookie}"} | ({"Last-Event-ID": last_id} if last_id is not None else {})
    made = Console()
    async with (
        AsyncClient(base_url=url, timeout=None) as client,
        client.stream("GET", "/console/live", headers=headers, params=query) as answer,
    ):
        made.status, made.headers = answer.status_code, answer.headers
        reading = asyncio.create_task(made.read(answer))
        if made.status == 200:
            await made.until(lambda: made.last_id, "where it stands")
        try:
            yield made
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def sign_in(app: FastAPI, who: str) -> str:
    """A cookie of an account, without the cost of its password."""
    person = await staff_id(app, f"{who}@demo")
    async with state(app).database.transaction() as session:
        return await auth.sign_in(session, person, "cookie", NEVER_ENDS)


@pytest.fixture(scope="module")
async def url(app: FastAPI, database_url: str) -> AsyncIterator[str]:
    """Where the application really listens, with a worker beside it; what takes a minute takes a moment."""
    here, port = state(app), free_port()
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=3)
    server, stop = uvicorn.Server(config), asyncio.Event()
    database, threshold = Database(database_url, pool=5), gc.get_threshold()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub, "CHECK_EVERY", 0.3)
        patch.setattr(hub, "KEEP_ALIVE", 0.5)
        tasks = [
            asyncio.create_task(server.serve()),
            asyncio.create_task(run_worker(here.settings, database, here.adapters, stop)),
        ]
        while not server.started:  # noqa: ASYNC110 - it has no event for this
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
        here.live.close()
        server.should_exit = True
        stop.set()
        await asyncio.gather(*tasks)
    await database.close()
    gc.unfreeze()
    gc.set_threshold(*threshold)


@pytest.fixture
async def consoles(app: FastAPI, url: str) -> AsyncIterator[dict[str, Console]]:
    """A console of everybody in EVERYBODY."""
    async with AsyncExitStack() as stack:
        yield {who: await stack.enter_async_context(console(url, await sign_in(app, who))) for who in EVERYBODY}


Quiet = Callable[[], Awaitable[None]]


@pytest.fixture
def quiet(client: AsyncClient, as_: As, consoles: dict[str, Console]) -> Quiet:
    """`await quiet()`: everybody has heard everything that happened before, since they heard something later."""

    async def waited() -> None:
        code, _ = await a_report(client)
        await done(as_("dispatcher"), code, "forward", {"lead": LEAD, "supporting": [SUPPORT, OTHER]})
        for each in consoles.values():
            await each.hears(code)

    return waited


async def heard_of(consoles: dict[str, Console], code: str) -> dict[str, list[str]]:
    """What each has heard of a case and has not been asked for yet."""
    told = {who: each.about(code) for who, each in consoles.items()}
    for each in consoles.values():
        each.heard = [event for event in each.heard if event.data.get("code") != code]
    return {who: kinds for who, kinds in told.items() if kinds}


# ---- who hears what


async def test_everybody_who_sees_a_case_hears_of_it_and_units_hear_when_they_lose_it(
    consoles: dict[str, Console], quiet: Quiet, client: AsyncClient, as_: As
) -> None:
    code, _ = await a_report(client)
    forward = {"lead": LEAD, "supporting": [SUPPORT]}
    reason = {"reason": "Không thuộc thẩm quyền"}
    units = ("officer", "helper")
    story: list[tuple[str, str, dict[str, Any], dict[str, str]]] = [
        # who does what → what those hear who do not just hear the act: nothing, or that they lost it
        ("dispatcher", "forward", forward, {"officer2": ""}),
        ("officer", "accept", {}, {"officer2": ""}),
        ("officer", "give_back", reason, {**dict.fromkeys(units, "left"), "officer2": ""}),
        ("agent", "note", {"text": "Gọi lại"}, dict.fromkeys((*units, "officer2"), "")),
        ("dispatcher", "forward", {"lead": OTHER}, dict.fromkeys(units, "")),
        ("dispatcher", "recall", reason, {**dict.fromkeys(units, ""), "officer2": "left"}),
        ("dispatcher", "forward", forward, {"officer2": ""}),  # once more with the units that had given it back
    ]
    await quiet()
    assert await heard_of(consoles, code) == {key: ["case.open"] for key in ORDINARY}
    for who, action, body, others in story:
        await done(as_(who), code, action, body)
        await quiet()
        wanted = {each: others.get(each, f"case.{action}") for each in EVERYBODY}
        assert await heard_of(consoles, code) == {each: [kind] for each, kind in wanted.items() if kind}, action


async def test_a_unit_still_sees_a_merged_case_and_hears_of_its_end(
    consoles: dict[str, Console], quiet: Quiet, client: AsyncClient, as_: As
) -> None:
    code, _ = await a_report(client)
    into, _ = await a_report(client)
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD})
    await quiet()
    await heard_of(consoles, code)
    await done(as_("dispatcher"), code, "merge", {"into": into})
    await quiet()
    assert await heard_of(consoles, code) == {key: ["case.merge"] for key in (*ORDINARY, "officer")}
    assert (await as_("officer").get(f"/api/v1/cases/{code}")).json()["status"] == "merged"


async def test_a_case_that_becomes_restricted_vanishes_and_then_only_inspectors_hear_of_it(
    consoles: dict[str, Console], quiet: Quiet, client: AsyncClient, as_: As
) -> None:
    code, _ = await a_report(client)
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD})
    await quiet()
    await heard_of(consoles, code)
    await done(as_("supervisor"), code, "set_track", {"track": "denunciation"})
    await quiet()
    agents = [each.data for each in consoles["agent"].heard if each.name == code]
    assert [set(data) for data in agents] == [{"code", "position", "left"}]  # not what became of it
    inspector = ["case.set_track", "case.withdrawn"]
    assert await heard_of(consoles, code) == {
        **{key: ["left"] for key in ("agent", "supervisor", "leader", "officer")},
        "inspector": inspector,
    }
    await done(as_("inspector"), code, "note", {"text": "Đã gặp"})
    await quiet()
    assert await heard_of(consoles, code) == {"inspector": ["case.note"]}
    await done(as_("inspector"), code, "set_track", {"track": "ordinary"})
    await quiet()
    back = ["case.set_track", "case.restored"]
    assert await heard_of(consoles, code) == dict.fromkeys((*ORDINARY, "officer"), back)


async def test_of_a_case_that_was_restricted_from_its_opening_only_inspectors_ever_hear(
    consoles: dict[str, Console], quiet: Quiet, client: AsyncClient, as_: As
) -> None:
    code, _ = await a_report(client, field="security.gambling", text="Tố giác đánh bạc")
    shown = (await as_("inspector").get(f"/api/v1/cases/{code}")).json()
    assert shown["track"] != "ordinary"
    await done(as_("inspector"), code, "note", {"text": "Đã nhận"})
    await quiet()
    assert await heard_of(consoles, code) == {"inspector": ["case.open", "case.note"]}


async def test_a_unit_hears_when_a_case_that_was_refused_is_opened_again_without_it(
    consoles: dict[str, Console], quiet: Quiet, client: AsyncClient, as_: As
) -> None:
    code, _ = await a_report(client)
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD, "supporting": [SUPPORT]})
    await done(as_("officer"), code, "accept")
    await done(as_("officer"), code, "ask_citizen", {"question": "Ở đâu ạ?"})
    await done(as_("dispatcher"), code, "refuse", {"reason_code": "unclear"})
    await quiet()
    assert (await heard_of(consoles, code))["helper"][-1] == "case.refuse"
    await done(as_("supervisor"), code, "reopen", {"reason": "Đã rõ"})
    await quiet()
    told = await heard_of(consoles, code)
    assert (told["officer"], told["helper"]) == (["case.reopen"], ["left"])


async def test_the_data_say_which_version_a_page_must_reach(
    consoles: dict[str, Console], client: AsyncClient, as_: As
) -> None:
    code, _ = await a_report(client)
    shown = await done(as_("agent"), code, "note", {"text": "Gọi lại"})
    leader = consoles["leader"]
    await leader.until(lambda: "case.note" in leader.about(code), "case.note")
    named = [each for each in leader.heard if each.name == code]
    general = [each for each in leader.heard if each.name == "case" and each.data["code"] == code]
    assert named[-1].data["version"] == shown["version"]
    assert general[-1].last_id == str(general[-1].data["position"])
    assert int(named[-1].last_id) < named[-1].data["position"]  # broken off here, both would come again


async def test_a_screen_is_told_where_it_stands_although_nothing_is_for_it(
    app: FastAPI, consoles: dict[str, Console], client: AsyncClient
) -> None:
    stranger = consoles["officer2"]
    before = int(stranger.last_id)
    await a_report(client)
    await stranger.until(lambda: int(stranger.last_id) > before, "its new position")
    assert stranger.heard == []


async def test_the_bell_rings_at_who_is_told_and_on_their_other_screens_when_it_is_seen(
    app: FastAPI, url: str, consoles: dict[str, Console], client: AsyncClient, as_: As, browser: As
) -> None:
    code, _ = await a_report(client)
    async with console(url, await sign_in(app, "head")) as head, console(url, await sign_in(app, "head2")) as other:
        start = time.monotonic()
        await done(as_("dispatcher"), code, "forward", {"lead": LEAD})
        rung = await head.hears("bell")
        print(f"bell after {time.monotonic() - start:.2f} s")
        assert (rung.data, rung.last_id.isdecimal()) == ({}, True)  # it changes nothing in where the screen stands
        head.heard.clear()
        async with state(app).database.transaction() as session:
            newest = await session.scalar(text("SELECT max(id) FROM notices"))
        assert (await browser("head").post("/console/notices/seen", data={"upto": str(newest)})).status_code == 303
        await head.hears("bell")
        assert not [each for each in other.heard if each.name == "bell"]
    assert not [each for who in ("officer2", "agent") for each in consoles[who].heard if each.name == "bell"]


# ---- nothing is lost


async def test_what_happens_between_a_page_and_its_stream_is_told_once(
    app: FastAPI, url: str, client: AsyncClient
) -> None:
    cookie = await sign_in(app, "agent")
    async with state(app).database.transaction() as session:
        shown = await journal.last_position(session)
    codes = [(await a_report(client))[0] for _ in range(3)]
    await numbered(app)
    async with console(url, cookie, after=shown) as agent:
        codes.append((await a_report(client))[0])
        await agent.hears(codes[-1])
        assert [each.data["code"] for each in agent.heard if each.name == "case"] == codes


@pytest.mark.parametrize("page", ["/console", "/console/cases/{code}"])
async def test_a_page_connects_with_the_position_at_which_it_was_read(
    app: FastAPI, url: str, client: AsyncClient, page: str
) -> None:
    cookie, (code, _) = await sign_in(app, "agent"), await a_report(client)
    await numbered(app)
    async with console(url, cookie) as agent, state(app).database.transaction() as session:
        last = await journal.last_position(session)
        await agent.until(lambda: state(app).live.position == last, "everything there is")
    async with AsyncClient(base_url=url, cookies={COOKIE: cookie}) as browser:
        shown = (await browser.get(page.format(code=code))).text
    assert re.findall(r'sse-connect="/console/live\?after=(\d+)"', shown) == [str(last)]


async def test_what_a_stream_was_told_last_counts_and_not_the_older_or_newer_position_of_its_page(
    app: FastAPI, url: str, client: AsyncClient
) -> None:
    cookie = await sign_in(app, "agent")
    async with state(app).database.transaction() as session:
        before = await journal.last_position(session)
    code, _ = await a_report(client)
    await numbered(app)
    async with state(app).database.transaction() as session:
        last = await journal.last_position(session)
    async with console(url, cookie, str(before), after=last) as agent:
        await agent.hears(code)
    async with console(url, cookie, str(last), after=before) as agent:
        later, _ = await a_report(client)
        await agent.hears(later)
        assert agent.about(code) == []


def test_a_page_that_knows_more_than_this_process_did_hears_only_what_is_newer(app: FastAPI) -> None:
    anyone = Actor(kind="staff")
    live = hub.Hub(state(app).database, "")
    early, ahead = hub.Screen("token", anyone, after=5), hub.Screen("token", anyone, after=8)
    live.screens |= {early: None, ahead: None}
    heard = [Heard(position, f"BP-26-000000{position}", False, "case.note", 1) for position in (7, 8, 9)]
    live._spread({anyone: heard}, 6, 9)
    assert (list(early.waiting), list(ahead.waiting)) == ([hub.told(heard)], [hub.told(heard[2:])])


async def numbered(app: FastAPI) -> None:
    """The worker has numbered everything there is."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async with state(app).database.transaction() as session:
                left = await session.scalar(
                    text("SELECT count(*) FROM journal WHERE id NOT IN (SELECT journal_id FROM journal_positions)")
                )
            if not left:
                return
            await asyncio.sleep(0.05)


async def test_a_browser_that_comes_and_goes_loses_nothing_while_ten_write_and_one_is_slow(
    app: FastAPI, url: str, client: AsyncClient, database: Database
) -> None:
    code, _ = await a_report(client)
    async with database.transaction() as session:
        case = await case_of(session, code)
    chance = random.Random(7)

    async def happens(kind: str, hold: float) -> None:
        async with database.transaction() as session:
            at = datetime.now(UTC)
            await journal.record(session, kind, at=at, actor_kind="system", case_id=case.id, data={"code": code})
            await session.flush()
            await asyncio.sleep(hold)

    async def writer(number: int) -> None:
        for n in range(3 if number == 0 else 30):
            await happens(f"test.{number}.{n}", 0.9 if number == 0 else chance.uniform(0, 0.02))
            await asyncio.sleep(chance.uniform(0, 0.1))

    cookie = await sign_in(app, "agent")
    heard: list[tuple[int, str]] = []

    def note(agent: Console) -> str:
        heard.extend((each.data["position"], each.data["kind"]) for each in agent.heard if each.name == "case")
        assert not any(each.name == "resync" for each in agent.heard)
        return agent.last_id

    async with console(url, cookie) as agent:
        last_id = agent.last_id
    writers = [asyncio.create_task(writer(number)) for number in range(10)]
    while not all(each.done() for each in writers):
        async with console(url, cookie, last_id) as agent:
            await asyncio.sleep(chance.uniform(0, 0.15))
            last_id = note(agent)
    await asyncio.gather(*writers)
    await numbered(app)
    await happens("test.last", 0)
    async with console(url, cookie, last_id) as agent:
        await agent.until(lambda: any(each.data.get("kind") == "test.last" for each in agent.heard), "the last")
        note(agent)
    of_test = [(position, kind) for position, kind in heard if kind.startswith("test.")]
    async with database.transaction() as session:
        rows = await session.execute(
            text(
                "SELECT p.position, j.kind FROM journal_positions p JOIN journal j ON j.id = p.journal_id "
                "WHERE j.case_id = :case AND j.kind LIKE 'test.%' ORDER BY 1"
            ),
            {"case": case.id},
        )
        assert of_test == [tuple(row) for row in rows]
    assert len(of_test) == 9 * 30 + 3 + 1


async def test_connections_that_are_killed_come_back_and_nothing_is_lost(
    consoles: dict[str, Console], database_url: str, client: AsyncClient, app: FastAPI, url: str
) -> None:
    owner = await asyncpg.connect(database_url)
    agent = consoles["agent"]
    codes = [(await a_report(client))[0]]
    killed = 0
    for _ in range(3):
        killed += len(
            await owner.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await client.post("/api/v1/reports", json={"text": "Cây đổ chắn đường"})
                if answer.status_code == 201:
                    codes.append(answer.json()["code"])
                    break
        await asyncio.sleep(0.3)
    await owner.close()
    assert killed >= 3 * 3  # the hub's, the worker's, those of requests
    for code in codes:
        await agent.hears(code)
    assert not agent.ended.is_set()
    assert not any(each.name == "resync" for each in agent.heard)


@pytest.mark.parametrize("lost_knock", [False, True])
async def test_a_change_is_on_the_screen_soon_and_without_a_knock_a_little_later(
    consoles: dict[str, Console], client: AsyncClient, monkeypatch: pytest.MonkeyPatch, lost_knock: bool
) -> None:
    if lost_knock:
        monkeypatch.setattr(wake, "POSITIONS", "elsewhere")
    code, _ = await a_report(client)
    began = time.monotonic()
    await consoles["agent"].hears(code)
    assert time.monotonic() - began < (hub.LOOK_EVERY + 2 if lost_knock else 2)


@pytest.mark.parametrize(
    ("query", "last_id"),
    [
        pytest.param({"after": 10**12}, None, id="a page of before a restore"),
        pytest.param({"after": 0}, None, id="too long ago"),
        pytest.param({}, "999999999999", id="a stream of before a restore"),
        pytest.param({}, "nonsense", id="an id that is none of ours"),
        pytest.param({"after": 5}, "0", id="the id wins over the page's position"),
    ],
)
async def test_a_screen_that_missed_too_much_or_nobody_knows_how_much_is_told_to_read_anew(
    app: FastAPI,
    url: str,
    client: AsyncClient,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    query: dict[str, int],
    last_id: str | None,
) -> None:
    cookie = await sign_in(app, "agent")
    async with console(url, cookie) as watching:
        for _ in range(3):
            await watching.hears((await a_report(client))[0])  # so that nothing waits any more
    monkeypatch.setattr(hub, "MOST_CHANGES", 2)
    async with database.transaction() as session:
        last = await journal.last_position(session)
    async with console(url, cookie, last_id, **query) as agent:
        told = await agent.hears("resync")
        assert told.data["position"] >= last
        assert told.last_id == str(told.data["position"])
        assert [each.name for each in agent.heard] == ["resync"]
        code, _ = await a_report(client)
        await agent.hears(code)  # and goes on from there


async def test_more_at_once_than_a_screen_can_show_is_told_as_such(
    app: FastAPI, consoles: dict[str, Console], database: Database, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "AFTER_FLOOD", 0.1)
    code, _ = await a_report(client)
    agent = consoles["agent"]
    await agent.hears(code)
    async with database.transaction() as session:
        case = await case_of(session, code)
        for _ in range(hub.MOST_CHANGES + 1):
            await journal.record(session, "test.flood", at=datetime.now(UTC), actor_kind="system", case_id=case.id)
    told = await agent.hears("resync")
    assert agent.about(code) == ["case.open"]
    assert int(agent.last_id) >= told.data["position"]


async def test_a_slow_screen_loses_its_queue_and_reads_anew() -> None:
    screen = hub.Screen("token", Actor(kind="staff"), after=0)
    for position in range(1, hub.MOST_WAITING + 1):
        screen.tell(b"change %d" % position, position)
    assert len(screen.waiting) == hub.MOST_WAITING
    screen.tell(b"one too many", 100)
    screen.tell(b"change 101", 101)
    assert [await screen.next(), await screen.next()] == [hub.resync(100), b"change 101"]


# ---- who may listen, and how a stream ends


async def test_only_a_cookie_opens_a_stream(app: FastAPI, url: str, as_: As) -> None:
    cookie = await sign_in(app, "agent")
    async with state(app).database.transaction() as session:
        bearer = await auth.sign_in(session, await staff_id(app, "agent@demo"), "bearer", NEVER_ENDS)
    async with AsyncClient(base_url=url) as stranger:
        for headers in ({}, {"Authorization": f"Bearer {bearer}"}):
            answer = await stranger.get("/console/live", headers=headers)
            assert answer.status_code == 401
            assert answer.headers["content-type"] == "application/problem+json"
        answer = await stranger.get("/console/live?after=-1", headers={"Cookie": f"{COOKIE}={cookie}"})
        assert answer.status_code == 422
    async with console(url, cookie) as agent:
        assert agent.headers["content-type"].startswith("text/event-stream")
        assert agent.headers["cache-control"] == "no-store"
        assert agent.headers["x-accel-buffering"] == "no"
        assert "content-encoding" not in agent.headers


async def test_a_sign_in_that_is_over_opens_no_stream_and_the_page_is_told_not_to_try_again(
    app: FastAPI, url: str
) -> None:
    over = await sign_in(app, "agent")
    async with state(app).database.transaction() as session:
        bearer = await auth.sign_in(session, await staff_id(app, "agent@demo"), "bearer", NEVER_ENDS)
        await auth.sign_out(session, over)
    async with AsyncClient(base_url=url) as browser:
        for token in (over, bearer, "made-up"):
            answer = await browser.get("/console/live", headers={"Cookie": f"{COOKIE}={token}"})
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.content == hub.farewell("signed-out")


async def test_a_sign_in_that_is_over_ends_its_streams(app: FastAPI, url: str) -> None:
    mine, other = await sign_in(app, "agent"), await sign_in(app, "agent")
    async with console(url, mine) as first, console(url, mine) as second, console(url, other) as third:
        async with state(app).database.transaction() as session:
            await auth.sign_out(session, mine)
        for each in (first, second):
            assert (await each.hears("end")).data == {"reason": "signed-out"}
            await each.ended.wait()
            assert each.broken == ""
        async with state(app).database.transaction() as session:
            await session.execute(delete(SignIn).where(col(SignIn.kind) == "cookie"))
        await third.hears("end")
    assert not state(app).live.screens


@pytest.mark.parametrize("way", ["button", "api", "deactivated", "password"])
async def test_a_sign_out_ends_its_streams_before_anybody_checks_them(
    app: FastAPI, url: str, as_: As, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    unchecked = asyncio.Event()
    monkeypatch.setattr(state(app).live, "_check_sign_ins", lambda at: unchecked.wait())
    mine, other = await sign_in(app, "officer2"), await sign_in(app, "agent")
    person = await staff_id(app, "officer2@demo")
    async with console(url, mine) as first, console(url, other) as bystander:
        async with AsyncClient(base_url=url, cookies={COOKIE: mine}) as browser:
            csrf = auth.csrf_token(state(app).key, mine)
            if way == "button":
                assert (await browser.post("/sign-out", data={"csrf": csrf})).status_code == 303
            elif way == "api":
                ended = await browser.delete("/api/v1/auth/session", headers={"X-CSRF-Token": csrf})
                assert ended.status_code == 204
            else:
                act = {"deactivated": "deactivate", "password": "reset-password"}[way]
                assert (await as_("admin").post(f"/api/v1/admin/staff/{person}/{act}")).is_success
        assert (await first.hears("end")).data == {"reason": "signed-out"}
        await first.ended.wait()
        assert not bystander.ended.is_set()
    if way == "deactivated":
        assert (await as_("admin").post(f"/api/v1/admin/staff/{person}/activate")).is_success
    unchecked.set()


async def test_who_gets_other_work_reads_everything_anew_and_hears_of_that(
    app: FastAPI, url: str, client: AsyncClient, as_: As
) -> None:
    person = await staff_id(app, "helperhead@demo")
    async with console(url, await sign_in(app, "helperhead")) as moved:
        async with state(app).database.transaction() as session:
            await session.execute(delete(StaffDepartment).where(col(StaffDepartment.staff_id) == person))
            session.add(StaffDepartment(staff_id=person, department=OTHER))
        await moved.hears("resync")
        first, second = (await a_report(client))[0], (await a_report(client))[0]
        await done(as_("dispatcher"), first, "forward", {"lead": SUPPORT})
        await done(as_("dispatcher"), second, "forward", {"lead": OTHER})
        await moved.hears(second)
        assert moved.about(first) == []
        async with state(app).database.transaction() as session:
            await session.execute(delete(RoleGrant).where(col(RoleGrant.staff_id) == person))
        await moved.until(lambda: [e.name for e in moved.heard].count("resync") == 2, "a second resync")


async def test_one_browser_has_so_many_streams_and_the_oldest_makes_room(app: FastAPI, url: str) -> None:
    mine, other = await sign_in(app, "agent"), await sign_in(app, "agent")
    async with AsyncExitStack() as stack:
        bystander = await stack.enter_async_context(console(url, other))
        opened = [await stack.enter_async_context(console(url, mine)) for _ in range(hub.MOST_SCREENS + 1)]
        assert (await opened[0].hears("end")).data == {"reason": "too-many"}
        await opened[0].ended.wait()
        assert not any(each.ended.is_set() for each in (bystander, *opened[1:]))
        assert len(state(app).live.screens) == hub.MOST_SCREENS + 1


async def test_open_streams_hold_no_connection_and_are_counted(app: FastAPI, url: str, client: AsyncClient) -> None:
    here = state(app)
    async with AsyncExitStack() as stack:
        for _ in range(4):
            cookie = await sign_in(app, "agent")
            for _ in range(hub.MOST_SCREENS):
                await stack.enter_async_context(console(url, cookie))
        async with asyncio.timeout(PATIENCE):  # what began a stream gives its connection back after the first words
            while here.database.engine.pool.checkedout():  # type: ignore[attr-defined]  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert "hotline_live_screens 16.0" in (await client.get("/metrics")).text
    async with asyncio.timeout(PATIENCE):
        while here.live.screens:  # noqa: ASYNC110 - the server notices the end of a connection by itself
            await asyncio.sleep(0.01)


# ---- the real system


@pytest.mark.timeout(300)
async def test_kills_are_survived_and_ctrl_c_ends_twenty_streams_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "live"
    folder.mkdir(0o755)
    context = running(folder / "data")
    system = await asyncio.to_thread(context.__enter__)
    try:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(AsyncClient(base_url=system.url, timeout=30))
            opened = []
            for _ in range(5):
                form = {"username": "agent@demo", "password": PASSWORD}
                answer = await client.post("/api/v1/auth/session", data=form)
                cookie = answer.cookies[COOKIE]
                opened += [await stack.enter_async_context(console(system.url, cookie)) for _ in range(4)]
            client.cookies.clear()
            for role in ("worker", "backend"):  # one backend that is shot brings all of PostgreSQL down and up again
                with handles(functools.partial(one_of, system, role)) as marked:
                    assert [kill(each) for each in marked] == [True]
                code = await insist(client)
                for each in opened:
                    await each.hears(code)
            assert not any(each.ended.is_set() for each in opened)
            began = time.monotonic()
            assert await asyncio.to_thread(system.stop, signal.SIGINT) == 0
            assert time.monotonic() - began < 5
            for each in opened:
                await each.until(each.ended.is_set, "the end")
                assert each.broken == ""
            assert "killed" not in system.said()
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


def one_of(system: System, role: str) -> list[int]:
    """A process of this role."""
    return system.pids(role)[:1]


async def insist(client: AsyncClient) -> str:
    """The code of a report that is sent until it is taken."""
    async with asyncio.timeout(60):
        while True:
            answer = await client.post("/api/v1/reports", json={"text": "Cây đổ chắn đường trước chợ"})
            if answer.status_code == 201:
                return str(answer.json()["code"])
            await asyncio.sleep(0.2)
