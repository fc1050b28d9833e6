"""What people told us stays where it belongs: not in journal, figures, feed, metrics, logs or error messages, and not
before the eyes of those who have no part in it.
"""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from PIL import Image
from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select
from structlog.testing import capture_logs

from cases.conditions import conditions
from cases.models import Case
from cases.queries import visible_to
from cases.views import Filters
from core import auth
from core.ids import uuid7
from core.staff import Actor, Role, RoleGrant, Staff, StaffDepartment
from core.text import fold
from tests.factories import (
    LEAD,
    SUPPORT,
    As,
    Clock,
    Drive,
    a_photo,
    a_report,
    act,
    by_citizen,
    deliver,
    done,
    settle,
    state,
)
from tests.web.problems import problem
from web.app import build
from web.deps import COOKIE

SAMPLES = {
    row["id"]: row
    for row in map(json.loads, (Path(__file__).parents[1] / "data" / "sample-reports.jsonl").read_text().splitlines())
}
PHOTO = a_photo()
PEOPLE = (
    {"name": "Trần Thị Bích Ngọc", "phone": "0934 571 286", "email": "Bich.Ngoc@Example.vn"},
    {"name": "Điểu K'Rung", "phone": "+84 271 3888 999"},
    {"name": "Nông Văn Đền", "email": "nong.van.den@example.org"},
)
# As a careless program might print them: as typed, in international form, without the leading zero, grouped.
NUMBERS = ("0934571286", "84934571286", "934571286", "0934 571 286", "0934.571.286", "2713888999", "271 3888 999")
# One rare word in every text of the run; each is said in exactly one place.
KEPT: tuple[str, ...] = (
    "report",
    "address",
    "message",
    "note",
    "reason",
    "question",
    "progress",
    "extension",
    "grant",
    "return",
)
KEPT += (
    "reply",
    "public",
    "rating",
    "reopen",
    "split",
    "refusal",
    "redirect",
    "contribution",
    "reveal",
    "call",
    "file",
)
WORDS = {name: f"kín{n:02d}{name}" for n, name in enumerate((*KEPT, "password"))}
SEARCHED = ("journal", "journal_positions", "figures", "throttles", "duties", "figure_cursor")
NOW = Clock(datetime(2026, 3, 3, 1, 15, tzinfo=UTC))  # a Tuesday morning


def secrets() -> list[str]:
    """Everything that must not be found, folded as a search would be."""
    named = [value for person in PEOPLE for value in person.values()]
    parts = [part for person in PEOPLE for part in person["name"].split()[-2:] if len(part) > 4]
    return [fold(each) for each in [*named, *parts, *NUMBERS, *WORDS.values()]]


def found_in(told: str) -> list[str]:
    """Which secrets a text holds, whatever their spelling."""
    plain = fold(told)
    escaped = fold(told.encode().decode("unicode_escape", "replace")) if "\\u" in told else ""
    return [each for each in secrets() if each in plain or each in escaped]


def in_days(days: int) -> str:
    """A date ahead, as units write it."""
    return (NOW.now + timedelta(days=days)).isoformat()


async def walk_the_road(app: FastAPI, client: AsyncClient, as_: As) -> list[str]:
    """Every action that takes words, with a secret in each; the codes of the cases."""
    w = WORDS
    place = {"lat": 11.535, "lng": 106.883, "address": f"{w['address']}, ấp 3"}
    code, key = await a_report(client, text=f"Ổ gà {w['report']}", contact=PEOPLE[0], location=place)
    agent, dispatcher, officer, head = as_("agent"), as_("dispatcher"), as_("officer"), as_("head")
    await done(agent, code, "reveal_identity", {"reason": w["reveal"]})
    await done(agent, code, "classify", {"field": "infra.road", "note": w["note"]})
    await done(dispatcher, code, "forward", {"lead": LEAD, "supporting": [SUPPORT], "reason": w["reason"]})
    await done(officer, code, "accept")
    await done(officer, code, "ask_citizen", {"question": w["question"]})
    files: dict[str, Any] = {"text": (None, w["message"]), "attachments": (f"{w['file']}.jpg", PHOTO, "image/jpeg")}
    said = await client.post(f"/api/v1/reports/{code}/messages", files=files, headers={"Tracking-Key": key})
    assert said.status_code == 201, said.text
    await done(as_("helper"), code, "contribute", {"text": w["contribution"]})
    await done(officer, code, "tell_progress", {"text": w["progress"], "until": in_days(2)})
    await done(officer, code, "request_extension", {"reason": w["extension"], "until": in_days(8)})
    await done(head, code, "grant_extension", {"note": w["grant"]})
    answer = {"reply": w["reply"], "public_text": w["public"]}
    await done(officer, code, "submit_answer", answer)
    await done(head, code, "return_answer", {"reason": w["return"]})
    await done(officer, code, "submit_answer", answer)
    await done(head, code, "approve_answer")
    await deliver(app)
    await done(agent, code, "publish", {"public_text": w["public"]})
    assert (await by_citizen(client, code, key, "rating", {"rating": 2, "text": w["rating"]})).status_code == 200
    assert (await by_citizen(client, code, key, "reopen", {"reason": w["reopen"]})).status_code == 200

    second, _ = await a_report(client, text=f"Đèn tắt {w['report']}", contact=PEOPLE[1])
    await done(agent, second, "split", {"text": w["split"]})
    await done(agent, second, "refuse", {"reason_code": "unclear", "reply": w["refusal"]})
    third, _ = await a_report(client, text=f"Rác {w['report']}", contact=PEOPLE[2])
    await done(dispatcher, third, "redirect", {"to": "other", "reply": w["redirect"]})
    body = {"text": w["call"], "channel": "voice", "contact": PEOPLE[0]}
    fourth = await agent.post("/api/v1/cases", json=body)
    assert fourth.status_code == 201, fourth.text
    await settle(app)
    NOW.move(days=60)  # everything becomes late
    await settle(app)
    return [code, second, third, fourth.json()["code"]]


async def provoke(app: FastAPI, client: AsyncClient, as_: As, monkeypatch: pytest.MonkeyPatch) -> list[Response]:
    """Answers to wrong requests that hold secrets, and to right ones that fail inside."""
    w, person = WORDS, PEOPLE[0]
    url = "/api/v1/reports"
    good = {"text": w["report"], "contact": person}
    code, key = await a_report(client, **good)
    sent = [
        await client.post(url, json={**good, "field": w["report"]}),
        await client.post(url, json={**good, "contact": {"phone": f"{person['phone']} hoặc gọi {person['name']}"}}),
        await client.post(url, json={**good, "contact": {"email": f"{person['email']} {person['name']}"}}),
        await client.post(url, json={**good, "contact": {"name": [person["name"]]}}),
        await client.post(url, json={**good, "location": {"lat": w["address"], "lng": 1}}),
        await client.post(url, json={**good, "source": w["report"]}),
        await client.post(url, content=json.dumps(good)[:-1], headers={"Content-Type": "application/json"}),
        await client.post(url, files={"text": (None, w["report"]), "attachments": (f"{w['file']}.txt", b"MZ", "x/y")}),
        await client.get(f"{url}/{code}", params={"key": w["password"][:8]}),
        await client.get(f"{url}/{w['report']}", params={"key": key}),
        await client.get(f"/api/{w['report']}/{person['phone']}"),
        await client.post("/api/v1/auth/token", data={"username": person["email"], "password": w["password"]}),
        await as_("agent").get("/api/v1/cases", params={"q": w["report"], "cursor": w["report"]}),
        await as_("agent").get("/api/v1/cases", params={"q": w["report"] + "\x00"}),
        await as_("agent").get("/api/v1/cases", params={"status": w["report"]}),
        await act(as_("agent"), code, "refuse", {"reason_code": "x", "reply": w["refusal"]}),
        await act(as_("agent"), code, "submit_answer", {"reply": w["reply"]}),
        await act(as_("officer"), code, "submit_answer", {"reply": w["reply"]}),
        await act(as_("dispatcher"), code, "recall", {"reason": w["reason"]}),
        await act(as_("agent"), code, "note", {"text": w["note"] + "\x00"}),
        await act(as_("agent"), code, "request_extension", {"reason": w["extension"], "until": w["extension"]}),
        await act(as_("agent"), code, "assign_officer", {"officer": person["email"]}),
    ]
    with monkeypatch.context() as broken:

        async def fails(*_: Any, **__: Any) -> None:
            raise RuntimeError(f"could not keep {good}")

        broken.setattr("web.reports.open_case", fails)
        sent.append(await client.post(url, json=good))
        broken.setattr("web.following.case_file", fails)
        sent.append(await by_citizen(client, code, key, ""))
    with monkeypatch.context() as broken:  # the database itself complains about a value
        broken.setattr("web.cases.case_by_code", _asks_wrongly)
        sent.append(await as_("agent").get(f"/api/v1/cases/{code}"))
    return sent


async def _asks_wrongly(session: Any, *_: Any) -> None:
    await session.execute(text("SELECT CAST(:secret AS integer) + length(:secret)"), {"secret": WORDS["report"]})


# An ordinary file name is told back to its sender: "the file anh.jpg is empty" helps nobody without it.
TOLD_BACK = {WORDS["file"]}


@pytest.fixture(scope="module")
async def run(app: FastAPI, client: AsyncClient, as_: As) -> dict[str, Any]:
    """The whole road walked once, with everything that was logged on the way, and what was refused."""
    state(app).clock = NOW
    with capture_logs() as logged, pytest.MonkeyPatch.context() as patch:
        codes = await walk_the_road(app, client, as_)
        refused = await provoke(app, client, as_, patch)
        await settle(app)
    return {"codes": codes, "logged": logged, "refused": refused}


async def test_the_run_itself_is_kept_where_it_belongs(app: FastAPI, run: dict[str, Any]) -> None:
    """Otherwise the tests below would search for what was never said."""
    async with state(app).database.transaction() as session:
        kept = ""
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> ALL(:searched)"
        for table in (await session.execute(text(tables), {"searched": list(SEARCHED)})).scalars().all():
            kept += "\n".join((await session.execute(text(f"SELECT t::text FROM {table} t"))).scalars().all())
    assert [name for name in KEPT if fold(WORDS[name]) not in fold(kept)] == []


@pytest.mark.parametrize("table", SEARCHED)
async def test_no_row_of_it_holds_a_name_phone_or_text(app: FastAPI, run: dict[str, Any], table: str) -> None:
    async with state(app).database.transaction() as session:
        rows = (await session.execute(text(f"SELECT t::text FROM {table} t"))).scalars().all()
    if table in ("journal", "journal_positions", "figures"):
        assert len(rows) > 20
    assert found_in("\n".join(rows)) == []


FEEDS = (
    "/feed/v1/events?limit=1000",
    "/feed/v1/aggregates",
    "/feed/v1/aggregates?by=day,department",
    "/feed/v1/aggregates?by=field,area,channel",
    "/api/v1/public/figures",
    "/metrics",
    "/readyz",
    "/api/openapi.json",
)


@pytest.mark.parametrize("path", FEEDS)
async def test_what_leaves_the_house_holds_none_either(as_: As, run: dict[str, Any], path: str) -> None:
    answer = await as_("leader").get(path)
    if answer.status_code == 422 and "limit" in path:
        answer = await as_("leader").get(path.partition("?")[0], params={"limit": 200})
    assert answer.status_code == 200, answer.text
    assert len(answer.text) > 15
    assert found_in(answer.text) == []


async def test_lists_and_metrics_name_no_case(as_: As, run: dict[str, Any]) -> None:
    told = (await as_("leader").get("/metrics")).text
    assert not [code for code in run["codes"] if code in told]


async def test_problem_documents_do_not_repeat_what_was_sent(run: dict[str, Any]) -> None:
    assert {answer.status_code for answer in run["refused"]} >= {401, 403, 404, 409, 415, 422, 500}
    for answer in run["refused"]:
        problem(answer, answer.status_code)
        assert not set(found_in(answer.text)) - {fold(word) for word in TOLD_BACK}, answer.text


async def test_logs_say_what_failed_and_nothing_of_whom(run: dict[str, Any]) -> None:
    failures = [line for line in run["logged"] if line["event"] == "request failed"]
    assert {line["kind"] for line in failures} >= {"RuntimeError"}
    assert found_in(json.dumps(run["logged"], ensure_ascii=False, default=str)) == []


# ---- the journal's own guard

CHANGES = [
    f"{change} {table}{rest}"
    for table in ("journal", "journal_positions")
    for change, rest in (
        ("UPDATE", " SET position = 1" if table == "journal_positions" else " SET kind = 'x'"),
        ("DELETE FROM", ""),
        ("TRUNCATE", ""),
    )
]


@pytest.mark.parametrize("statement", CHANGES)
async def test_the_journal_cannot_be_changed_by_the_application_nor_by_its_owner(
    app: FastAPI, database_url: str, run: dict[str, Any], statement: str
) -> None:
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


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE journal DISABLE TRIGGER ALL",
        "DROP TRIGGER journal_append_only ON journal",
        "DROP TABLE journal",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
        "INSERT INTO journal (id, kind, actor_kind, occurred_at, data) VALUES (1, 'x', 'system', now(), '{}')",
    ],
)
async def test_the_application_cannot_take_the_guard_away(app: FastAPI, statement: str) -> None:
    with pytest.raises(DBAPIError):
        async with state(app).database.transaction() as session:
            await session.execute(text(statement))


# ---- restricted tracks

ORDINARY = ("agent", "dispatcher", "supervisor", "officer", "head", "helper", "officer2", "leader", "admin")
NEEDLE = "chuyệnmậtxyz"


@pytest.fixture(scope="module")
async def hidden(app: FastAPI, client: AsyncClient, as_: As, drive: Drive, run: dict[str, Any]) -> dict[str, Any]:
    """A complaint, a denunciation, and a case that became one after a unit had it; figures before and after."""
    await settle(app)
    before = await figures(as_)
    codes, keys = {}, {}
    for name, sample in (("complaint", "R039"), ("denunciation", "R040")):
        words = f"{SAMPLES[sample]['text']} {NEEDLE}"
        codes[name], keys[name] = await a_report(client, text=words, field=None, contact=PEOPLE[0])
    parts: dict[str, Any] = {
        "text": (None, f"Ổ gà {NEEDLE}"),
        "field": (None, "infra.road"),
        "contact": (None, json.dumps(PEOPLE[0])),
        "attachments": ("a.jpg", PHOTO, "image/jpeg"),
    }
    answer = await client.post("/api/v1/reports", files=parts)
    codes["set_track"], keys["set_track"] = answer.json()["code"], answer.json()["tracking_key"]
    await drive(codes["set_track"], "forwarded")
    assert (await as_("officer").get(f"/api/v1/cases/{codes['set_track']}")).status_code == 200
    moved = await act(as_("supervisor"), codes["set_track"], "set_track", {"track": "denunciation"})
    assert moved.status_code in (200, 404), moved.text
    await settle(app)
    case = (await as_("inspector").get(f"/api/v1/cases/{codes['set_track']}")).json()
    return {
        "codes": codes,
        "keys": keys,
        "attachment": case["attachments"][0]["id"],
        "before": before,
        "after": await figures(as_),
    }


async def figures(as_: As) -> dict[str, Any]:
    """All figures and open figures that count cases, by every dimension."""
    told = {}
    for by in ("", "day", "department", "field", "channel", "area"):
        answer = await as_("leader").get("/feed/v1/aggregates", params={"by": by} if by else {})
        assert answer.status_code == 200, answer.text
        told[by] = sorted(
            ((item["figure"], str(item["by"]), item["value"]) for item in answer.json()["items"] if item["value"]),
            key=str,
        )
    told["public"] = (await as_("leader").get("/api/v1/public/figures")).json()
    return told


async def everything_listed(client: AsyncClient, **filters: Any) -> list[dict[str, Any]]:
    """All pages of the list of cases."""
    rows: list[dict[str, Any]] = []
    cursor = None
    while True:
        query = {**filters, "limit": 3, **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/api/v1/cases", params=query)).json()
        rows += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return rows


def bare_answer(answer: Response) -> tuple[int, bytes]:
    """What somebody who guesses sees."""
    return answer.status_code, answer.content


@pytest.mark.parametrize("who", ORDINARY)
async def test_a_restricted_case_does_not_exist_for_ordinary_staff(as_: As, hidden: dict[str, Any], who: str) -> None:
    me, codes = as_(who), set(hidden["codes"].values())
    unknown = bare_answer(await me.get("/api/v1/cases/BP-26-0000000"))
    assert unknown[0] == 404
    assert not {row["code"] for row in await everything_listed(me)} & codes
    for filters in (
        {"q": NEEDLE},
        {"track": "denunciation"},
        {"track": "complaint"},
        {"urgency": "normal", "status": "received"},
        {"department": LEAD},
        {"late": "true"},
        *({"q": code} for code in codes),
    ):
        assert not {row["code"] for row in await everything_listed(me, **filters)} & codes, filters
    for code in codes:
        for path in ("", "/timeline", "/explain"):
            assert bare_answer(await me.get(f"/api/v1/cases/{code}{path}")) == unknown
        for action in ("note", "forward", "set_track", "attach", "reveal_identity", "redirect"):
            answer = await act(me, code, action, {"text": "x"})
            assert bare_answer(answer)[0] == 404
    problem(await me.get(f"/api/v1/attachments/{hidden['attachment']}"), 404)


async def test_nobody_can_tie_another_case_to_a_restricted_one(
    client: AsyncClient, as_: As, hidden: dict[str, Any]
) -> None:
    code, _ = await a_report(client)
    for action in ("merge", "link_incident"):
        for into in hidden["codes"].values():
            told = problem(await act(as_("dispatcher"), code, action, {"into": into}), 422)
            nowhere = problem(await act(as_("dispatcher"), code, action, {"into": "BP-26-0000000"}), 422)
            assert told == nowhere


async def test_the_inspector_sees_them_with_names_and_may_work_on_them(as_: As, hidden: dict[str, Any]) -> None:
    inspector = as_("inspector")
    assert {row["code"] for row in await everything_listed(inspector, q=NEEDLE)} == set(hidden["codes"].values())
    for name, code in hidden["codes"].items():
        shown = (await inspector.get(f"/api/v1/cases/{code}")).json()
        assert shown["track"] == ("complaint" if name == "complaint" else "denunciation")
        assert shown["citizen"]["name"] == PEOPLE[0]["name"]
        assert shown["citizen"]["phone"] == "+84934571286"
        assert {"note", "set_track", "redirect"} <= set(shown["actions"])
        for path in ("timeline", "explain"):
            assert (await inspector.get(f"/api/v1/cases/{code}/{path}")).status_code == 200
    photo = await inspector.get(f"/api/v1/attachments/{hidden['attachment']}")
    assert photo.status_code == 200
    assert photo.headers["content-type"].startswith("image/")


async def test_figures_are_as_if_restricted_cases_had_never_been(hidden: dict[str, Any]) -> None:
    assert hidden["after"] == hidden["before"]
    assert hidden["before"][""]


async def test_the_feed_withdraws_what_became_restricted_and_never_names_the_rest(
    as_: As, hidden: dict[str, Any]
) -> None:
    events: list[dict[str, Any]] = []
    after = 0
    while True:
        page = (await as_("leader").get("/feed/v1/events", params={"after": after, "limit": 50})).json()
        events += page["items"]
        if not page["items"]:
            break
        after = page["next_after"]
    told = json.dumps(events)
    assert hidden["codes"]["complaint"] not in told
    assert hidden["codes"]["denunciation"] not in told
    mine = [event for event in events if event["case"] == hidden["codes"]["set_track"]]
    assert mine[-1]["kind"] == "case.withdrawn"
    assert "denunciation" not in json.dumps(mine)


async def test_the_public_sees_nothing_of_them(client: AsyncClient, hidden: dict[str, Any]) -> None:
    for path in ("cases?limit=200", "cases.geojson?limit=200", "figures"):
        told = (await client.get(f"/api/v1/public/{path}")).text
        assert not [code for code in hidden["codes"].values() if code in told]


async def test_its_citizen_still_follows_it_and_learns_nothing_of_the_inside(
    client: AsyncClient, hidden: dict[str, Any]
) -> None:
    for name, code in hidden["codes"].items():
        answer = await by_citizen(client, code, hidden["keys"][name], "")
        assert answer.status_code == 200
        shown = answer.json()
        assert shown["lead"] is None
        assert shown["limits"] == []
        assert "inspect" not in answer.text


# ---- whom a denunciation is about


@pytest.fixture(scope="module")
async def accused(app: FastAPI, hidden: dict[str, Any], as_: As) -> AsyncIterator[tuple[str, AsyncClient]]:
    """A denunciation of LEAD by its code, and an inspector who works there (officer and head of it besides)."""
    here, at = state(app), NOW.now
    async with here.database.transaction() as session:
        person = Staff(id=uuid7(at), email="inspector2@demo", name="X", password_hash="-", created_at=at)
        session.add(person)
        await session.flush()
        session.add_all(RoleGrant(staff_id=person.id, role=r, granted_at=at) for r in ("inspector", "officer", "head"))
        session.add(StaffDepartment(staff_id=person.id, department=LEAD))
        token = await auth.sign_in(session, person.id, "bearer", datetime(2090, 1, 1, tzinfo=UTC))
    code = hidden["codes"]["denunciation"]
    headers = {"Authorization": f"Bearer {token}"}
    async with AsyncClient(transport=ASGITransport(app), base_url="http://1022.test", headers=headers) as them:
        assert (await them.get(f"/api/v1/cases/{code}")).status_code == 200  # before anybody has said whom it is about
        shown = await done(as_("inspector"), code, "set_track", {"track": "denunciation", "accused": [LEAD]})
        assert [unit["code"] for unit in shown["accused"]] == [LEAD]
        await settle(app)
        yield code, them


async def test_an_inspector_of_the_accused_unit_does_not_know_of_it(
    as_: As, hidden: dict[str, Any], accused: tuple[str, AsyncClient]
) -> None:
    code, them = accused
    unknown = bare_answer(await them.get("/api/v1/cases/BP-26-0000000"))
    for path in ("", "/timeline", "/explain"):
        assert bare_answer(await them.get(f"/api/v1/cases/{code}{path}")) == unknown
    for filters in (
        {},
        {"q": NEEDLE},
        {"q": code},
        {"restricted": "true"},
        {"track": "denunciation"},
        {"open": "true"},
    ):
        listed = {row["code"] for row in await everything_listed(them, **filters)}
        assert code not in listed, filters
    # The others of the restricted tracks are theirs to work on still.
    restricted = {row["code"] for row in await everything_listed(them, restricted="true")}
    assert restricted == set(hidden["codes"].values()) - {code}
    for action in ("note", "redirect", "set_track", "hand_over", "assign_officer"):
        assert (await act(them, code, action, {"text": "x"})).status_code == 404
    for into in (code, "BP-26-0000000"):
        other = hidden["codes"]["complaint"]
        assert (await act(them, other, "merge", {"into": into})).status_code == 403
    looks = (await them.get("/api/v1/looks", params={"limit": 200})).json()["items"]
    assert code not in {row["case"] for row in looks}
    assert (await as_("inspector").get(f"/api/v1/cases/{code}")).status_code == 200


async def test_nobody_of_the_accused_unit_can_be_given_the_case(as_: As, accused: tuple[str, AsyncClient]) -> None:
    code, _ = accused
    told = problem(await act(as_("inspector"), code, "assign_officer", {"officer": "inspector2@demo"}), 422)
    assert told["errors"][0]["where"] == "officer"
    await done(as_("inspector"), code, "assign_officer", {"officer": "inspector@demo"})


@pytest.mark.parametrize("who", ["officer", "head", "leader", "supervisor", "admin"])
async def test_what_the_accused_unit_reads_tells_nothing_of_it(
    as_: As, hidden: dict[str, Any], accused: tuple[str, AsyncClient], who: str
) -> None:
    code, them = accused
    for client in (as_(who), them):
        for path in ("/api/v1/cases", "/api/v1/outbox", "/api/v1/calls", "/api/v1/call-tasks", "/feed/v1/events"):
            answer = await client.get(path)
            assert code not in answer.text, path
            assert NEEDLE not in answer.text, path


async def test_figures_by_unit_are_as_if_it_had_never_been(
    app: FastAPI, as_: As, accused: tuple[str, AsyncClient]
) -> None:
    code, _ = accused
    await settle(app)
    before = await figures(as_)
    await done(as_("inspector"), code, "note", {"text": NEEDLE})
    await done(as_("inspector"), code, "set_track", {"track": "denunciation", "accused": [LEAD, "so-yte"]})
    await settle(app)
    assert await figures(as_) == before
    assert any("so-xd" in by for _, by, _ in before["department"])  # the unit has figures, of its ordinary cases


async def test_somebody_has_to_be_left_who_may_know_of_it(
    app: FastAPI, client: AsyncClient, as_: As, accused: tuple[str, AsyncClient]
) -> None:
    """Both inspectors work for one of two units: accusing both would hide the case from everybody."""
    code, _ = await a_report(client, text="Tố cáo cả hai nơi")
    here = state(app)
    async with here.database.transaction() as session:
        inspector = (await session.exec(select(Staff.id).where(Staff.email == "inspector@demo"))).one()
        session.add(StaffDepartment(staff_id=inspector, department="so-yte"))
    try:
        both = {"track": "denunciation", "accused": [LEAD, "so-yte"]}
        told = problem(await act(as_("inspector"), code, "set_track", both), 422)
        assert [(e["where"], e["code"]) for e in told["errors"]] == [("accused", "nobody_left")]
        assert (await as_("inspector").get(f"/api/v1/cases/{code}")).json()["accused"] == []
    finally:
        async with here.database.transaction() as session:
            await session.execute(text("DELETE FROM staff_departments WHERE staff_id = :id"), {"id": inspector})
    told = problem(await act(as_("inspector"), code, "set_track", {"track": "denunciation", "accused": ["x"]}), 422)
    assert told["errors"][0]["where"] == "accused"


async def test_who_took_over_the_accused_units_work_does_not_see_it_either(client: AsyncClient, as_: As) -> None:
    code, _ = await a_report(client, text="Tố cáo thanh tra giao thông nhận tiền")
    shown = await done(as_("inspector"), code, "set_track", {"track": "denunciation", "accused": ["so-gtvt"]})
    assert {unit["code"] for unit in shown["accused"]} == {"so-gtvt", LEAD}  # LEAD is its heir
    lifted = await done(as_("inspector"), code, "set_track", {"track": "ordinary"})
    assert lifted["accused"] == []


async def test_who_works_in_a_part_of_the_accused_unit_does_not_see_it_either(client: AsyncClient, as_: As) -> None:
    code, _ = await a_report(client, text="Tố cáo giám đốc Sở Y tế nhận tiền")
    shown = await done(as_("inspector"), code, "set_track", {"track": "denunciation", "accused": ["so-yte"]})
    assert {unit["code"] for unit in shown["accused"]} == {"so-yte", "cdc", "tram-y-te", "tram-y-te-luu-dong"}
    part = await done(as_("inspector"), code, "set_track", {"track": "denunciation", "accused": ["cdc"]})
    assert {unit["code"] for unit in part["accused"]} == {"cdc"}  # who is above it may look into it


async def test_units_named_in_the_text_are_offered_and_take_no_effect_by_themselves(
    client: AsyncClient, as_: As, browser: As, accused: tuple[str, AsyncClient]
) -> None:
    code, _ = await a_report(client, text="Kính gửi thanh tra: to cáo cán bộ Sở Xây dựng nhận hối lộ")
    assert (await as_("inspector").get(f"/api/v1/cases/{code}")).json()["accused"] == []
    _, them = accused
    assert (await them.get(f"/api/v1/cases/{code}")).status_code == 200
    form = (await browser("inspector").get(f"/console/cases/{code}/set_track")).text
    assert f'name="accused" value="{LEAD}" checked' in form


async def test_the_inspectors_list_walks_an_index(
    app: FastAPI, database_url: str, accused: tuple[str, AsyncClient]
) -> None:
    """The filter is asked of rows that an index gives in order: no list reads all cases to leave a few out."""
    who = Actor(kind="staff", roles=frozenset({Role.INSPECTOR}), departments=frozenset({LEAD}))
    async with state(app).database.transaction() as session:
        routing = await state(app).routing.get(session)
    wanted = conditions(who, Filters(restricted=True), routing, NOW.now)
    listed = select(Case.code).where(visible_to(who), *wanted)
    ordered = listed.order_by(col(Case.received_at).desc(), col(Case.id).desc()).limit(51)
    statement = ordered.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
    many = """
        INSERT INTO cases SELECT (jsonb_populate_record(c, jsonb_build_object(
            'id', gen_random_uuid(), 'code', 'X' || n || c.code, 'received_at', c.received_at - make_interval(mins => n)
        ))).* FROM cases c, generate_series(1, 400) n WHERE NOT c.restricted OR n <= 4
    """
    connection = await asyncpg.connect(database_url)
    try:
        work = connection.transaction()
        await work.start()
        await connection.execute(many)
        await connection.execute("ANALYZE cases")
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN ANALYZE {statement}"))
        await work.rollback()
    finally:
        await connection.close()
    assert "ix_cases_restricted" in plan, plan
    assert "Seq Scan" not in plan, plan
    assert "accused_units &&" in plan, plan


# ---- units, leaders, citizens


async def test_an_officer_sees_the_cases_of_the_unit_and_no_others(client: AsyncClient, as_: As, drive: Drive) -> None:
    mine, theirs = (await a_report(client))[0], (await a_report(client))[0]
    await drive(mine, "in_progress")
    await done(as_("dispatcher"), theirs, "forward", {"lead": "so-yte"})
    listed = {row["code"] for row in await everything_listed(as_("officer"))}
    assert mine in listed
    assert theirs not in listed
    assert {row["code"] for row in await everything_listed(as_("officer2"))} >= {theirs}
    assert mine not in {row["code"] for row in await everything_listed(as_("officer2"))}
    for who, code in (("officer", theirs), ("officer2", mine), ("helper", theirs)):
        for path in ("", "/timeline", "/explain"):
            problem(await as_(who).get(f"/api/v1/cases/{code}{path}"), 404)
    # After it is taken back, it is theirs no more.
    await done(as_("dispatcher"), mine, "recall", {"reason": "x"})
    problem(await as_("officer").get(f"/api/v1/cases/{mine}"), 404)
    assert await everything_listed(as_("officer"), q=mine) == []


async def test_identities_are_masked_until_revealed_and_for_leaders_always(client: AsyncClient, as_: As) -> None:
    code, _ = await a_report(client, contact=PEOPLE[0])
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD})

    async def citizen(who: str) -> str:
        return json.dumps((await as_(who).get(f"/api/v1/cases/{code}")).json()["citizen"], ensure_ascii=False)

    workers = ("agent", "dispatcher", "supervisor", "officer", "head")
    lookers = ("leader", "admin", "inspector")
    for who in (*workers, *lookers):
        assert found_in(await citizen(who)) == [], who
        assert found_in((await as_(who).get(f"/api/v1/cases/{code}/timeline")).text) == []
    await done(as_("agent"), code, "reveal_identity", {"reason": "gọi lại"})
    for who in workers:
        assert PEOPLE[0]["name"] in await citizen(who), who
    for who in lookers:
        assert found_in(await citizen(who)) == [], who


async def test_anonymous_means_that_nothing_of_the_reporter_is_kept(app: FastAPI, client: AsyncClient) -> None:
    person = {"name": "Người Ẩn Danh", "phone": "0987000111", "email": "an.danh@example.vn"}
    await a_report(client, anonymous=True, contact=person)
    async with state(app).database.transaction() as session:
        for table in ("cases", "received", "citizens", "identities", "entries", "journal", "outgoing"):
            rows = (await session.execute(text(f"SELECT t::text FROM {table} t"))).scalars().all()
            told = fold("\n".join(rows))
            assert not [part for part in ("an danh", "987000111", "an.danh@") if part in told], table


async def test_files_are_for_their_case_and_key_alone(client: AsyncClient, as_: As, drive: Drive) -> None:
    parts: dict[str, Any] = {"text": (None, "x"), "attachments": ("a.jpg", PHOTO, "image/jpeg")}
    answer = (await client.post("/api/v1/reports", files=parts)).json()
    code, key = answer["code"], answer["tracking_key"]
    other, other_key = await a_report(client)
    mine = (await by_citizen(client, code, key, "")).json()["attachments"][0]["id"]
    await drive(code, "forwarded")
    inside = await as_("agent").post(
        f"/api/v1/cases/{code}/attach", files={"attachments": ("b.jpg", PHOTO, "image/jpeg")}
    )
    internal = next(file["id"] for file in inside.json()["attachments"] if file["id"] != mine)

    async def fetch(file: str, **given: str) -> int:
        """Its answer, which is the same for the file and for its small picture."""
        whole = await client.get(f"/api/v1/attachments/{file}", params=given)
        small = await client.get(f"/api/v1/attachments/{file}", params={**given, "size": "small"})
        assert small.status_code == whole.status_code
        return whole.status_code

    assert await fetch(mine, code=code, key=key) == 200
    assert await fetch(mine) == 401
    assert await fetch(mine, code=code) == 401
    assert await fetch(mine, code=code, key="AAAAAA") == 404
    assert await fetch(mine, code=other, key=other_key) == 404
    assert await fetch(mine, code=other, key=key) == 404
    assert await fetch(internal, code=code, key=key) == 404
    assert [file["id"] for file in (await by_citizen(client, code, key, "")).json()["attachments"]] == [mine]
    assert (await as_("officer").get(f"/api/v1/attachments/{internal}")).status_code == 200
    for size in ("", "?size=small"):
        assert (await as_("officer2").get(f"/api/v1/attachments/{mine}{size}")).status_code == 404
    # The key does not lend a stranger of the staff the citizen's eyes, nor does a stale cookie take them away.
    answered = await as_("officer2").get(f"/api/v1/attachments/{mine}", params={"code": code, "key": key})
    assert answered.status_code == 404
    headers = {"Cookie": f"{COOKIE}=stale"}
    assert (await client.get(f"/api/v1/attachments/{mine}", headers=headers)).status_code == 401


async def test_a_small_picture_is_small_and_kept_by_its_reader_alone_and_other_files_come_whole(
    client: AsyncClient, as_: As
) -> None:
    parts = [("text", (None, "x")), ("attachments", ("a.png", a_photo(900), "image/png"))]
    parts.append(("attachments", ("b.pdf", b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n", "application/pdf")))
    sent: dict[str, Any] = {"files": parts}
    answer = (await client.post("/api/v1/reports", **sent)).json()
    case = (await as_("agent").get(f"/api/v1/cases/{answer['code']}")).json()
    files = {each["name"]: each["id"] for each in case["attachments"]}

    picture = await as_("agent").get(f"/api/v1/attachments/{files['a.png']}", params={"size": "small"})
    document = await as_("agent").get(f"/api/v1/attachments/{files['b.pdf']}", params={"size": "small"})
    unknown = await as_("agent").get(f"/api/v1/attachments/{files['a.png']}", params={"size": "huge"})

    assert picture.headers["content-type"] == "image/jpeg"
    assert Image.open(BytesIO(picture.content)).size == (320, 320)
    assert picture.headers["cache-control"].startswith("private, max-age=2592000")
    assert picture.headers["x-content-type-options"] == "nosniff"
    assert document.headers["content-type"] == "application/pdf"
    assert document.headers["content-disposition"].startswith("attachment")
    problem(unknown, 422)


async def test_a_crash_in_an_app_with_real_logging_shows_nothing(
    app: FastAPI, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = state(app)
    other = build(here.settings, here.database, here.adapters, demo=True)

    async def fails(*_: Any, **__: Any) -> None:
        raise ValueError(f"{WORDS['report']} {PEOPLE[0]['name']}")

    monkeypatch.setattr("web.reports.open_case", fails)
    async with AsyncClient(transport=ASGITransport(other), base_url="http://1022.test") as client:
        answer = await client.post("/api/v1/reports", json={"text": WORDS["report"]})
    problem(answer, 500)
    printed = capfd.readouterr()
    assert found_in(printed.out + printed.err) == []
