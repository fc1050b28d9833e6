"""Each look at a restricted case is one line that nobody can change; lists are no looks, and show nothing written."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import asyncpg
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from httpx import AsyncClient, Response
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from cases.looks import note
from core import staffing
from core.ids import uuid7
from core.sealed_files import Sealed
from core.staff import Actor
from hotline.models import CallSession, CallTask, Recording
from hotline.recordings import purpose_of
from tests.calling import a_sound
from tests.factories import As, a_photo, a_report, case_of, done, state
from tests.web.problems import problem
from web.rendering import NOT_PAGES

WORDS = "Tố cáo chủ tịch xã nhận tiền, chuyệnmậtxyz"


@dataclass(frozen=True, slots=True)
class Hidden:
    """A denunciation with a photo, a recording and a call that is owed, and an ordinary case."""

    code: str
    ordinary: str
    attachment: str
    recording: str
    task: str


@pytest.fixture(scope="module")
async def hidden(app: FastAPI, client: AsyncClient, as_: As) -> Hidden:
    parts: dict[str, Any] = {
        "text": (None, WORDS),
        "contact": (None, '{"phone": "0912345678"}'),
        "attachments": ("a.jpg", a_photo(), "image/jpeg"),
    }
    code = (await client.post("/api/v1/reports", files=parts)).json()["code"]
    here = state(app)
    async with here.database.transaction() as session:
        case, at = await case_of(session, code), here.clock()
        call = CallSession(
            id=uuid7(at), provider="twilio", provider_call_id="CA9", caller="+84912345678", number="1022",
            state="completed", opened_at=at, case_id=case.id,
        )  # fmt: skip
        session.add(call)
        await session.flush()
        sound = Recording(
            id=uuid7(at), session_id=call.id, provider="twilio", provider_recording_id="RE9", state="removed",
            announced_at=at, case_id=case.id, media_type="audio/wav",
        )  # fmt: skip
        sealed = Sealed.of(here.key, purpose_of(sound.id), a_sound())
        await here.files.put(sealed.key, sealed.data)
        sound.file = sealed.key
        session.add(sound)
        owed = CallTask(
            id=uuid7(at), kind="callback", phone="+84912345678", session_id=call.id, opened_at=at, case_id=case.id,
            apart=True,
        )  # fmt: skip
        session.add(owed)
        file = await session.scalar(text("SELECT id FROM attachments WHERE case_id = :id"), {"id": case.id})
    ordinary, _ = await a_report(client, text="Đèn đường tắt")
    return Hidden(code, ordinary, str(file), str(sound.id), str(owed.id))


async def lines(app: FastAPI, code: str) -> list[tuple[str, str]]:
    """Who looked at a case and at what, oldest first."""
    async with state(app).database.transaction() as session:
        rows = await session.execute(
            text(
                "SELECT s.email, l.what FROM case_looks l JOIN cases c ON c.id = l.case_id "
                "LEFT JOIN staff s ON s.id = l.staff_id WHERE c.code = :code ORDER BY l.id"
            ),
            {"code": code},
        )
        return [(email, what) for email, what in rows]


# How it is looked at, and what the line says.
WAYS = [
    ("api", "/api/v1/cases/{code}", "api"),
    ("timeline", "/api/v1/cases/{code}/timeline", "timeline"),
    ("explain", "/api/v1/cases/{code}/explain", "explain"),
    ("person", "/api/v1/citizens/{code}", "person"),
    ("file", "/api/v1/attachments/{attachment}", "attachment"),
    ("small file", "/api/v1/attachments/{attachment}?size=small", "attachment"),
    ("recording", "/api/v1/recordings/{recording}", "recording"),
    ("number to call", "/api/v1/call-tasks/{task}", "number"),
    ("page", "/console/cases/{code}", "page"),
    ("live part", "/console/cases/{code}?part=case", "live"),
    ("form", "/console/cases/{code}/note", "page"),
    ("why", "/console/cases/{code}/explain", "explain"),
    ("by its code", "/console/peek?into={code}", "peek"),
]


@pytest.mark.parametrize(("path", "what"), [row[1:] for row in WAYS], ids=[row[0] for row in WAYS])
async def test_each_look_is_one_line(app: FastAPI, as_: As, browser: As, hidden: Hidden, path: str, what: str) -> None:
    before = await lines(app, hidden.code)
    ways = asdict(hidden)
    client = browser("inspector") if path.startswith("/console") else as_("inspector")
    answer = await client.get(path.format(**ways))
    assert answer.status_code == 200, answer.text
    assert (await lines(app, hidden.code))[len(before) :] == [("inspector@demo", what)]
    assert answer.headers.get("cache-control", "no-store") == "no-store"  # to be seen again it is asked for again


# Routes by which nothing that somebody wrote is shown: rows of lists, what is public, what its citizen's key opens, and
# the screens' stream, which says codes only and never ends.
NO_LOOKS = {
    "GET /console/live",
    "GET /console/rows/{code}",
    "GET /cases/{code}",
    "GET /track/{code}",
    "GET /track/{code}/files/{attachment_id}",
    "GET /api/v1/reports/{code}",
    "GET /open311/v2/requests/{service_request_id}.{format}",
}
# Members of paths that name a restricted case or a part of it; those of all else.
NAMES_IT = {"code", "attachment_id", "recording", "task", "service_request_id"}
OTHERS = {
    "action": "note", "format": "json", "service_code": "infra.road", "token": "x", "channel": "email", "event": "1",
    "department": "so-yte", "field": "infra.road", "area": "bp-d-dong-xoai", "calendar": "province",
    "day": "2026-03-04", "sentence": "receipt", "form": "long", "language": "vi", "reform": "none", "rule_set": "x",
    "person": "x", "file": "x", "id": "x",
}  # fmt: skip


def ways_in(app: FastAPI, method: str) -> list[str]:
    return sorted(
        route.path or "" for route in iter_route_contexts(app.routes) if method in (route.methods or ()) and route.path
    )


async def asked(route: str, hidden: Hidden, as_: As, browser: As, **more: Any) -> Response:
    """The route as an inspector, with the case wherever a case can be named, in the path and behind it."""
    method, path = route.split()
    ids = {
        "code": hidden.code, "service_request_id": hidden.code, "attachment_id": hidden.attachment,
        "recording": hidden.recording, "task": hidden.task, "what": "undo",
    }  # fmt: skip
    client = as_("inspector") if path.startswith(NOT_PAGES) else browser("inspector")
    filled = path.format(**OTHERS | ids)  # a member that is not known here has to be thought about
    named = {"q": hidden.code, "into": hidden.code, "case": hidden.code, "restricted": "true"}
    return await client.request(method, filled, params=named, **more)


async def test_every_way_to_a_restricted_case_is_one_line_and_all_else_shows_nothing(
    app: FastAPI, as_: As, browser: As, hidden: Hidden
) -> None:
    shown = 0
    for path in ways_in(app, "GET"):
        route = f"GET {path}"
        if route == "GET /console/live":
            continue
        before = await lines(app, hidden.code)
        answer = await asked(route, hidden, as_, browser)
        added = (await lines(app, hidden.code))[len(before) :]
        names_it = any(f"{{{name}}}" in path for name in NAMES_IT)
        if "{recording}" in path:  # what one player asks for within some minutes is one listening
            assert len(added) <= 1, (route, added)
        elif names_it and answer.status_code == 200 and route not in NO_LOOKS:
            assert len(added) == 1, (route, added)
            shown += 1
        elif "chuyệnmậtxyz" in answer.text:
            assert len(added) == 1, (route, added)
        else:
            assert added == [], (route, added)
        assert route not in NO_LOOKS or "chuyệnmậtxyz" not in answer.text, route
    assert shown >= 9


async def test_every_act_that_shows_a_restricted_case_is_one_line(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, hidden: Hidden
) -> None:
    code, _ = await a_report(client, text=WORDS)
    fresh = replace(hidden, code=code)
    for path in [each for each in ways_in(app, "POST") if "{code}" in each]:
        before = await lines(app, code)
        answer = await asked(f"POST {path}", fresh, as_, browser, json={})
        added = (await lines(app, code))[len(before) :]
        assert len(added) == 1 if "chuyệnmậtxyz" in answer.text else len(added) <= 1, (path, answer.status_code, added)


async def test_an_act_is_a_look_too_for_its_answer_shows_the_case(
    app: FastAPI, as_: As, browser: As, hidden: Hidden
) -> None:
    before = len(await lines(app, hidden.code))
    await done(as_("inspector"), hidden.code, "note", {"text": "Đã đọc"})
    wrong = await browser("inspector").post(f"/console/cases/{hidden.code}/note", data={"text": ""})
    assert wrong.status_code == 422
    assert WORDS in wrong.text
    assert (await lines(app, hidden.code))[before:] == [("inspector@demo", "act")] * 2


async def test_the_screen_of_an_emergency_is_one_look_and_the_page_that_led_there_none(
    app: FastAPI, client: AsyncClient, as_: As, browser: As
) -> None:
    code, _ = await a_report(client, text=WORDS)
    async with state(app).database.transaction() as session:
        (await case_of(session, code)).urgency = "emergency"
    page = browser("inspector")
    led = await page.get(f"/console/cases/{code}")
    assert (led.status_code, led.headers["location"]) == (303, f"/console/emergencies/{code}")
    assert (await page.get(led.headers["location"])).status_code == 200
    assert await lines(app, code) == [("inspector@demo", "emergency")]


async def test_what_is_refused_shows_nothing_and_writes_nothing(app: FastAPI, as_: As, hidden: Hidden) -> None:
    before = await lines(app, hidden.code)
    inspector = as_("inspector")
    stale = await inspector.post(f"/api/v1/cases/{hidden.code}/note", json={"text": "x"}, headers={"If-Match": '"999"'})
    assert stale.status_code == 412
    assert "chuyệnmậtxyz" not in stale.text  # no line is kept of a refusal, so the case is not in it
    for who in ("agent", "admin", "leader", "officer"):
        problem(await as_(who).get(f"/api/v1/cases/{hidden.code}"), 404)
    assert await lines(app, hidden.code) == before


async def test_ordinary_cases_are_looked_at_without_a_line(app: FastAPI, as_: As, browser: As, hidden: Hidden) -> None:
    for who in ("agent", "inspector"):
        assert (await as_(who).get(f"/api/v1/cases/{hidden.ordinary}")).status_code == 200
        assert (await browser(who).get(f"/console/cases/{hidden.ordinary}")).status_code == 200
    assert await lines(app, hidden.ordinary) == []


async def test_a_list_shows_what_is_needed_to_choose_and_nothing_written(
    app: FastAPI, as_: As, browser: As, hidden: Hidden
) -> None:
    before = await lines(app, hidden.code)
    found = (await as_("inspector").get("/api/v1/cases", params={"restricted": "true"})).json()["items"]
    row = next(each for each in found if each["code"] == hidden.code)
    assert row["text"] == ""
    assert (row["track"], row["status"]) == ("denunciation", "received")
    page = (await browser("inspector").get("/console?view=restricted_received")).text
    assert hidden.code in page
    assert "chuyệnmậtxyz" not in page
    again = (await browser("inspector").get(f"/console/rows/{hidden.code}?view=restricted_received")).text
    assert hidden.code in again
    assert "chuyệnmậtxyz" not in again
    assert await lines(app, hidden.code) == before


async def test_other_cases_of_the_same_person_show_no_text_of_restricted_ones(
    client: AsyncClient, browser: As, as_: As, hidden: Hidden
) -> None:
    code, _ = await a_report(client, text="Tố cáo lần nữa", contact={"phone": "0912345678"})
    page = (await browser("inspector").get(f"/console/cases/{code}")).text
    assert hidden.code in page
    assert "chuyệnmậtxyz" not in page


async def test_no_look_without_its_line(app: FastAPI, as_: As, hidden: Hidden, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("the log cannot be written")

    monkeypatch.setattr("cases.looks.note", broken)
    answer = await as_("inspector").get(f"/api/v1/cases/{hidden.code}")
    assert answer.status_code == 500
    assert "chuyệnmậtxyz" not in answer.text


@pytest.mark.parametrize(
    "statement", ["UPDATE case_looks SET what = 'x'", "DELETE FROM case_looks", "TRUNCATE case_looks"]
)
async def test_no_line_can_be_changed_by_the_application_nor_by_its_owner(
    app: FastAPI, as_: As, database_url: str, hidden: Hidden, statement: str
) -> None:
    await as_("inspector").get(f"/api/v1/cases/{hidden.code}")
    with pytest.raises(DBAPIError) as refused:
        async with state(app).database.transaction() as session:
            await session.execute(text(statement))
    assert refused.value.orig is not None
    assert refused.value.orig.sqlstate == "42501"  # type: ignore[attr-defined]
    owner = await asyncpg.connect(database_url)
    try:
        with pytest.raises(asyncpg.RestrictViolationError):
            await owner.execute(statement)
    finally:
        await owner.close()


async def test_the_log_of_a_case_and_of_a_person(app: FastAPI, as_: As, hidden: Hidden) -> None:
    inspector = as_("inspector")
    await inspector.get(f"/api/v1/cases/{hidden.code}")
    told = (await inspector.get("/api/v1/looks", params={"case": hidden.code, "limit": 1})).json()
    assert told["items"][0] | {"at": None} == {
        "at": None,
        "what": "api",
        "case": hidden.code,
        "track": "denunciation",
        "who": "Đặng Thị Thanh Tra",
        "email": "inspector@demo",
    }
    assert told["next_cursor"] is not None
    second = await inspector.get(
        "/api/v1/looks", params={"case": hidden.code, "limit": 200, "cursor": told["next_cursor"]}
    )
    assert len(second.json()["items"]) == len(await lines(app, hidden.code)) - 1
    mine = (await inspector.get("/api/v1/looks", params={"person": "Inspector@Demo", "limit": 200})).json()["items"]
    assert len(mine) >= len(await lines(app, hidden.code))
    for nobody in ({"person": "agent@demo"}, {"case": "BP-26-0000000"}, {"case": "x"}, {"case": hidden.ordinary}):
        assert (await inspector.get("/api/v1/looks", params=nobody)).json()["items"] == []


async def test_an_administrator_reads_the_log_with_codes_only(as_: As, browser: As, hidden: Hidden) -> None:
    await as_("inspector").get(f"/api/v1/cases/{hidden.code}")
    rows = (await as_("admin").get("/api/v1/looks", params={"case": hidden.code})).json()["items"]
    assert rows
    assert {row["track"] for row in rows} == {None}
    page = (await browser("admin").get(f"/console/looks?case={hidden.code}")).text
    assert hidden.code in page
    assert "Tố cáo</span>" not in page
    assert "Tố cáo</span>" in (await browser("inspector").get(f"/console/looks?case={hidden.code}")).text


@pytest.mark.parametrize("who", ["agent", "dispatcher", "supervisor", "officer", "head", "leader"])
async def test_nobody_else_reads_it(as_: As, browser: As, who: str) -> None:
    problem(await as_(who).get("/api/v1/looks"), 403)
    assert (await browser(who).get("/console/looks")).status_code == 403


async def test_a_key_of_another_system_leaves_its_line(app: FastAPI, hidden: Hidden) -> None:
    here = state(app)
    async with here.database.transaction() as session:
        case = await case_of(session, hidden.code)
        key, _ = await staffing.make_api_key(session, "other", ["feed.read"], here.clock())
        await note(session, Actor(kind="api_key", id=key), case, "api", here.clock())
    async with here.database.transaction() as session:
        last = await session.execute(text("SELECT staff_id, api_key_id FROM case_looks ORDER BY id DESC LIMIT 1"))
        assert last.one() == (None, key)
