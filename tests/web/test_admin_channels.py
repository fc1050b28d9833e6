"""Words to citizens, channels and unread events as an administrator works on them, and as nobody else can."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import delete, func
from sqlmodel import col, select

from channels import inbox
from channels.message import InboundMessage
from channels.models import Received, VendorToken
from channels.reading import unread as unread_event
from channels.zalo.sending import Zalo
from core.journal import Journal
from core.settings import Settings
from tests.factories import As, Clock, state

NO_EVENT = "00000000-0000-0000-0000-000000000001"
ROLES = ("agent", "dispatcher", "officer", "head", "supervisor", "inspector", "leader")
PAGES = (
    "/admin/wording",
    "/admin/wording/receipt/long/vi",
    "/admin/wording/receipt/short/en",
    "/admin/wording/title.answer/long/vi",
    "/admin/channels",
    "/admin/events",
    "/admin/events?channel=zalo",
    "/admin/alarms",
)
WRITES = (
    "/admin/wording/receipt/long/vi",
    "/admin/wording/receipt/long/vi/reset",
    "/admin/channels/zalo/token",
    "/admin/events/reread",
    f"/admin/events/{NO_EVENT}",
    f"/admin/events/{NO_EVENT}/reread",
)
WRITE_API = (
    "/api/v1/inbox/reread",
    f"/api/v1/inbox/{NO_EVENT}/reread",
    "/api/v1/admin/channels/zalo/token",
)
SECRET = "tin riêng của người dân"


@pytest.mark.parametrize("path", PAGES)
async def test_each_page_is_for_administrators_alone(browser: As, client: AsyncClient, path: str) -> None:
    assert (await browser("admin").get(path)).status_code == 200
    for role in ROLES:
        assert (await browser(role).get(path)).status_code == 403, role
    assert (await client.get(path)).status_code == 303


@pytest.mark.parametrize("path", WRITES)
async def test_nobody_else_changes_anything_nor_does_another_site(browser: As, path: str) -> None:
    for role in ROLES:
        assert (await browser(role).post(path, data={"text": "x"})).status_code == 403, role
    foreign = await browser("admin").post(path, data={}, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
    assert (await browser("admin").post(path, data={}, headers={"X-CSRF-Token": ""})).status_code == 403


@pytest.mark.parametrize("path", WRITE_API)
async def test_nobody_else_may_do_so_by_the_api(as_: As, client: AsyncClient, path: str) -> None:
    for role in ROLES:
        assert (await as_(role).post(path, json={"refresh_token": "x"})).status_code in (403, 422), role
        assert (await as_(role).post(path, json={} if "inbox" in path else {"refresh_token": "x"})).status_code == 403
    assert (await client.post(path, json={})).status_code in (401, 422)


# ---- words


async def test_a_sentence_is_tried_saved_and_put_back_on_its_page(browser: As) -> None:
    admin, path = browser("admin"), "/admin/wording/receipt/short/vi"
    tried = unescape((await admin.post(path, data={"text": "Ma <b>{code}</b>", "try": "1"})).text)
    assert "Ma <b>BP-26-0482134</b>" in tried
    assert "1 tin SMS" in tried
    assert "Ma <b>{code}</b>" not in unescape((await admin.get(path)).text)  # trying keeps nothing
    wrong = await admin.post(path, data={"text": "Ma {ma}"})
    assert wrong.status_code == 422
    page = unescape(wrong.text)
    assert "Thiếu chỗ điền {code}: mã phản ánh." in page
    assert "Câu này không có chỗ điền {ma}." in page
    assert ">Ma {ma}</textarea>" in page
    saved = await admin.post(path, data={"text": "Ma {code}"})
    assert saved.headers["location"] == f"{path}?done=saved"
    page = unescape((await admin.get(saved.headers["location"])).text)
    assert "Đã lưu." in page
    assert "Ma BP-26-0482134" in page
    assert (await admin.post(path, data={"text": "Ma {code}"})).status_code == 422  # it is worded so already
    reset = await admin.post(f"{path}/reset")
    page = unescape((await admin.get(reset.headers["location"])).text)
    assert "Đã dùng lại lời mặc định." in page
    assert "Ma {code}" in page  # in the history


async def test_a_sentence_that_is_none_is_not_found(browser: As) -> None:
    for path in ("receipts", "receipt/long/fr", "title.answer/short/vi"):
        assert (await browser("admin").get(f"/admin/wording/{path}")).status_code == 404, path
    assert (await browser("admin").get("/admin/wording/receipt")).headers["location"].endswith("/receipt/long/vi")


# ---- events


@pytest.fixture
async def strange(app: FastAPI, clock: Clock) -> list[Received]:
    """Three genuine events nobody could read: two of Zalo, one of Telegram."""
    here = state(app)
    bodies = [("zalo", f'{{"event": "{SECRET}"'), ("zalo", "\0\x01 binary"), ("telegram", "[]")]
    async with here.database.transaction() as session:
        await session.execute(delete(Received).where(col(Received.channel).in_(("zalo", "telegram"))))
        for channel, body in bodies:
            await inbox.accept(session, [unread_event(channel, "oa", body.encode(), "not a JSON object")], clock())
        rows = (await session.exec(select(Received).where(col(Received.dead_at).is_not(None)))).all()
    return sorted(rows, key=lambda row: row.id)


async def test_unread_events_are_listed_without_what_they_hold(as_: As, browser: As, strange: list[Received]) -> None:
    page = (await as_("supervisor").get("/api/v1/inbox?limit=2")).json()
    assert [each["channel"] for each in page["items"]] == ["zalo", "zalo"]
    assert page["counts"] == {"zalo": 2, "telegram": 1}
    assert page["items"][0]["reason"] == "not a JSON object"
    assert page["items"][0]["size"] > 10
    rest = (await as_("supervisor").get(f"/api/v1/inbox?cursor={page['next_cursor']}")).json()
    assert [each["channel"] for each in rest["items"]] == ["telegram"]
    only = (await as_("admin").get("/api/v1/inbox?channel=telegram")).json()
    assert len(only["items"]) == 1
    shown = await browser("admin").get("/admin/events")
    for text in (str(page), shown.text):
        assert SECRET not in text
    for role in ("agent", "dispatcher", "officer", "head", "inspector", "leader"):
        assert (await as_(role).get("/api/v1/inbox")).status_code == 403, role


async def test_the_overview_counts_them(browser: As, strange: list[Received]) -> None:
    page = unescape((await browser("admin").get("/admin")).text)
    assert "Sự kiện chưa đọc" in page.partition('id="needs"')[2]
    assert 'href="/admin/events?channel=telegram"' in page


async def journal(app: FastAPI, kind: str, subject: str) -> list[dict[str, Any]]:
    async with state(app).database.transaction() as session:
        rows = await session.exec(select(Journal).where(Journal.kind == kind, Journal.subject == subject))
        return [row.data for row in rows.all()]


async def test_what_an_event_holds_is_for_administrators_and_that_they_looked_is_kept(
    app: FastAPI, as_: As, browser: As, strange: list[Received]
) -> None:
    path = f"/api/v1/inbox/{strange[0].id}/raw"
    for role in ROLES:
        assert (await as_(role).get(path)).status_code == 403, role
    assert await journal(app, "inbox.shown", str(strange[0].id)) == []
    answer = await as_("admin").get(path)
    assert (answer.text, answer.headers["content-type"]) == (f'{{"event": "{SECRET}"', "application/octet-stream")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert await journal(app, "inbox.shown", str(strange[0].id)) == [{"channel": "zalo"}]
    shown = await browser("admin").post(f"/admin/events/{strange[0].id}")
    assert SECRET in shown.text
    assert len(await journal(app, "inbox.shown", str(strange[0].id))) == 2
    binary = await browser("admin").post(f"/admin/events/{strange[1].id}")
    assert "\N{REPLACEMENT CHARACTER}\x01 binary" in binary.text
    assert (await as_("admin").get(f"/api/v1/inbox/{uuid4()}/raw")).status_code == 404


async def test_one_event_a_channel_or_all_are_read_again(
    app: FastAPI, as_: As, browser: As, strange: list[Received]
) -> None:
    admin = as_("admin")
    assert (await admin.post(f"/api/v1/inbox/{strange[0].id}/reread")).json() == {"events": 1}
    assert (await admin.post(f"/api/v1/inbox/{strange[0].id}/reread")).status_code == 404  # it is no longer dead
    assert (await admin.post("/api/v1/inbox/reread", json={"channel": "zalo"})).json() == {"events": 1}
    assert (await admin.post("/api/v1/inbox/reread", json={"channels": "zalo"})).status_code == 422
    again = await browser("admin").post("/admin/events/reread", data={"channel": ""})
    assert again.headers["location"] == "/admin/events?done=1"
    assert "Đã xếp 1 sự kiện" in unescape((await browser("admin").get(again.headers["location"])).text)
    assert await journal(app, "inbox.reread", str(strange[0].id)) == [{"channel": "zalo", "events": 1}]
    async with state(app).database.transaction() as session:
        rows = (await session.exec(select(Received).where(col(Received.id).in_([row.id for row in strange])))).all()
    assert all(row.run_at is not None and row.dead_at is None for row in rows)


# ---- channels and tokens


class Asked:
    """Zalo's OAuth, which gives one pair after another."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """One refresh."""
        body = dict(part.split("=") for part in request.content.decode().split("&"))
        self.tokens.append(body["refresh_token"])
        return httpx.Response(200, json={"access_token": "a1", "refresh_token": "r1", "expires_in": "90000"})


@pytest.fixture
async def zalo(app: FastAPI, clock: Clock) -> AsyncIterator[tuple[Zalo, Asked]]:
    """The application with a Zalo account of its own."""
    here, asked = state(app), Asked()
    settings = Settings(
        secret_key="k" * 40, database_url="postgresql://none/none", zalo_app_id="1", zalo_app_secret="s",
        zalo_oa_id="77", zalo_oa_secret_key="o", zalo_refresh_token="seed",
    )  # fmt: skip

    async def read(sha256: str) -> bytes:
        raise FileNotFoundError(sha256)

    made = Zalo.from_settings(settings, here.database, read, transport=httpx.MockTransport(asked))
    made.tokens._clock = clock
    before, here.adapters = here.adapters, {**here.adapters, "zalo": made}
    yield made, asked
    here.adapters = before
    async with here.database.transaction() as session:
        await session.execute(delete(VendorToken))


async def a_token(app: FastAPI, clock: Clock, **members: Any) -> None:
    async with state(app).database.transaction() as session:
        await session.execute(delete(VendorToken))
        row: dict[str, Any] = {"channel": "zalo", "account": "77", "refresh_token": "x", "seed": b"", "state": "live"}
        row |= {"grant_until": clock() + timedelta(days=90), "expires_at": clock() + timedelta(hours=20)}
        session.add(VendorToken(**{**row, "refreshed_at": clock(), **members}))


async def test_the_page_says_how_each_channel_stands(
    app: FastAPI, as_: As, browser: As, strange: list[Received]
) -> None:
    rows = {row["name"]: row for row in (await as_("admin").get("/api/v1/admin/channels")).json()["items"]}
    assert (rows["web"]["works"], rows["web"]["missing"]) == (True, [])
    assert (rows["telegram"]["works"], rows["telegram"]["unread"]) == (False, 1)
    assert rows["telegram"]["missing"] == ["HOTLINE_TELEGRAM_TOKEN", "HOTLINE_TELEGRAM_SECRET_TOKEN"]
    page = unescape((await browser("admin").get("/admin/channels")).text)
    assert "HOTLINE_TELEGRAM_TOKEN" in page
    assert "HOTLINE_WEB" not in page
    for role in ROLES:
        assert (await as_(role).get("/api/v1/admin/channels")).status_code == 403, role


async def test_what_came_left_and_waits_is_counted(app: FastAPI, as_: As, client: AsyncClient, clock: Clock) -> None:
    clock.now = datetime.now(UTC)
    before = {row["name"]: row for row in (await as_("admin").get("/api/v1/admin/channels")).json()["items"]}["zalo"]
    async with state(app).database.transaction() as session:
        event = InboundMessage("zalo", "77", uuid4().hex, "message", text="x", raw="{}")
        await inbox.accept(session, [event], clock())
    after = {row["name"]: row for row in (await as_("admin").get("/api/v1/admin/channels")).json()["items"]}["zalo"]
    assert after["coming"] == before["coming"] + 1
    assert datetime.fromisoformat(after["last_in"]) == clock()


ALARMS = [
    # days before the end of the grant, told?, urgent?, the words
    (45, False, False, ""),
    (30, True, False, "không quá 30 ngày"),
    (15, True, False, "không quá 30 ngày"),
    (14, True, False, "không quá 14 ngày"),
    (7, True, True, "không quá 7 ngày"),
    (1, True, True, "không quá 1 ngày"),
]


@pytest.mark.parametrize(("days", "told", "urgent", "words"), ALARMS)
async def test_the_end_of_a_grant_is_told_ever_more_urgently(
    app: FastAPI, as_: As, browser: As, clock: Clock, zalo: Any, days: int, told: bool, urgent: bool, words: str
) -> None:
    await a_token(app, clock, grant_until=clock() + timedelta(days=days))
    rows = {row["name"]: row for row in (await as_("admin").get("/api/v1/admin/channels")).json()["items"]}
    (token,) = rows["zalo"]["tokens"]
    assert (token["alarm"] is not None, token["urgent"]) == (told, urgent)
    banner = unescape((await browser("admin").get("/admin/alarms")).text)
    assert (words in banner) if told else banner.strip() == ""
    assert ('class="alert bad"' in banner) == urgent
    overview = unescape((await browser("admin").get("/admin")).text)
    assert ("Token của nhà cung cấp" in overview) == told


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"state": "dead", "note": "refused"}, "ủy quyền đã mất"),
        ({"state": "unknown", "note": "no answer"}, "chưa rõ token còn dùng được không"),
        ({"expires_at": datetime(2026, 1, 1, tzinfo=UTC)}, "token chưa được làm mới"),
    ],
)
async def test_a_token_in_trouble_is_told_in_plain_words(
    app: FastAPI, browser: As, clock: Clock, zalo: Any, members: dict[str, Any], words: str
) -> None:
    await a_token(app, clock, **members)
    for path in ("/admin/channels", "/admin/alarms"):
        assert words in unescape((await browser("admin").get(path)).text)


async def test_a_new_consent_begins_anew_and_is_never_shown(
    app: FastAPI, browser: As, clock: Clock, zalo: tuple[Zalo, Asked]
) -> None:
    await a_token(app, clock, state="dead", note="refused", access_token="x")
    answer = await browser("admin").post("/admin/channels/zalo/token", data={"refresh_token": " new-consent_1 "})
    assert answer.headers["location"] == "/admin/channels?done=consent"
    async with state(app).database.transaction() as session:
        row = (await session.exec(select(VendorToken))).one()
    assert (row.state, row.access_token, "new-consent_1" in row.refresh_token) == ("live", None, False)
    assert row.grant_until == clock() + timedelta(days=90)
    assert "new-consent_1" not in (await browser("admin").get("/admin/channels")).text
    assert await zalo[0].tokens.access_token() == "a1"
    assert zalo[1].tokens == ["new-consent_1"]
    assert await journal(app, "channels.token", "77") == [{"channel": "zalo"}]


@pytest.mark.parametrize("given", ["", "  ", "hai từ", "một", "a b", "x" * 4001])
async def test_what_cannot_be_a_token_is_refused_and_not_repeated(
    app: FastAPI, browser: As, as_: As, clock: Clock, zalo: Any, given: str
) -> None:
    await a_token(app, clock, state="dead", note="refused")
    refused = await browser("admin").post("/admin/channels/zalo/token", data={"refresh_token": given})
    assert refused.status_code == 422
    assert not given.strip() or f'value="{given.strip()}"' not in unescape(refused.text)
    answer = await as_("admin").post("/api/v1/admin/channels/zalo/token", json={"refresh_token": given})
    assert answer.status_code == 422
    async with state(app).database.transaction() as session:
        assert (await session.exec(select(VendorToken.state))).one() == "dead"


async def test_no_consent_is_taken_while_a_refresh_is_under_way_nor_without_zalo(
    app: FastAPI, as_: As, clock: Clock, zalo: tuple[Zalo, Asked]
) -> None:

    async with state(app).database.transaction() as session:
        await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("zalo:77", 1022))))
        busy = await as_("admin").post("/api/v1/admin/channels/zalo/token", json={"refresh_token": "r"})
        assert busy.status_code == 409
    here = state(app)
    here.adapters = {name: each for name, each in here.adapters.items() if name != "zalo"}
    none = await as_("admin").post("/api/v1/admin/channels/zalo/token", json={"refresh_token": "r"})
    assert none.status_code == 409


async def test_every_page_an_administrator_works_on_asks_for_the_alarms(browser: As) -> None:
    assert 'hx-get="/admin/alarms"' in (await browser("admin").get("/console")).text
    assert 'hx-get="/admin/alarms"' not in (await browser("officer").get("/console")).text
