"""Calls knock: signed ones are kept once and answered at once, with the same words for the same step."""

import asyncio
import errno
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4
from xml.etree import ElementTree

import httpx
import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from prometheus_client import REGISTRY
from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from sqlmodel import col, select
from twilio.request_validator import RequestValidator

from cases.models import Case
from channels.models import Received
from core.spool import Spool
from hotline.answering import LOOKS, PAUSE, replay
from hotline.menu import SEED, parse_menu, shipped_menu
from hotline.models import CallSession
from tests.factories import Clock, a_report, state
from tests.factories import _worker as worker_of

TOKEN, NUMBER, HOA, BINH = "a" * 32, "+842713891022", "+84912345678", "+84987654321"
SITE = "https://1022.example.vn"
IN, STEP, EVENTS = "/webhooks/twilio/voice", "/webhooks/twilio/voice/step", "/webhooks/twilio/events"


@pytest.fixture(scope="module", autouse=True)
def account(app: FastAPI) -> Iterator[None]:
    """The application as one that has an account at Twilio."""
    here = state(app)
    before = here.settings
    account = {"twilio_account_sid": "AC1", "twilio_auth_token": TOKEN, "twilio_number": NUMBER, "public_url": SITE}
    here.settings = before.model_copy(update=account)
    yield
    here.settings = before


@pytest.fixture(autouse=True)
def spool(app: FastAPI, tmp_path: Any) -> Iterator[Spool]:
    """A spool of this test's own, and a switchboard that has no bad memories."""
    calls = state(app).calls
    before, calls.spool = calls.spool, Spool(tmp_path / "spool")
    calls._again_at = 0.0
    yield calls.spool
    calls.spool = before


@dataclass
class Line:
    """One call of one person."""

    client: AsyncClient
    caller: str = HOA
    sid: str = field(default_factory=lambda: "CA" + uuid4().hex)
    to: str = SITE + IN
    status: str = "ringing"
    heard: httpx.Response | None = None

    async def post(self, url: str, token: str = TOKEN, **fields: str) -> httpx.Response:
        form = {"CallSid": self.sid, "AccountSid": "AC1", "From": self.caller, "To": NUMBER, "Direction": "inbound"}
        form |= {"CallStatus": self.status} | fields
        headers = {"X-Twilio-Signature": RequestValidator(token).compute_signature(url, form)}
        return await self.client.post(url.removeprefix(SITE), data=form, headers=headers)

    async def goes_on(self, **fields: str) -> "Line":
        """Ask where the carrier would ask, and hear what is said there."""
        self.heard = await self.post(self.to, **fields)
        assert (self.heard.status_code, self.heard.headers["content-type"].partition(";")[0]) == (200, "text/xml")
        self.to, self.status = self.next(), "in-progress"
        return self

    async def presses(self, *keys: str) -> "Line":
        for each in keys:
            await self.goes_on(Digits=each, msg="Gather End")
        return self

    def next(self) -> str:
        assert self.heard is not None
        found = ElementTree.fromstring(self.heard.text).find("Redirect")
        return found.text or "" if found is not None else self.to

    def said(self) -> str:
        assert self.heard is not None
        return " ".join(verb.text or "" for verb in ElementTree.fromstring(self.heard.text).iter("Say"))


@pytest.fixture
def line(client: AsyncClient, clock: Clock) -> Line:
    return Line(client)


async def rows_of(app: FastAPI, sid: str) -> list[Received]:
    async with state(app).database.transaction() as session:
        mine = select(Received).where(Received.channel == "voice", col(Received.raw).contains(sid))
        return list((await session.exec(mine.order_by(col(Received.id)))).all())


async def work(app: FastAPI) -> None:
    """The worker's round."""
    while await worker_of(app).reception.round():
        pass


async def call_of(app: FastAPI, sid: str) -> CallSession:
    async with state(app).database.transaction() as session:
        return (await session.exec(select(CallSession).where(CallSession.provider_call_id == sid))).one()


# ---- the menu


async def test_a_caller_hears_the_notice_first_and_then_the_menu(line: Line) -> None:
    await line.goes_on()
    assert line.said().startswith("Tổng đài 1022 xin nghe. Cuộc gọi được ghi âm")
    assert line.said().endswith("bấm phím sao.")
    assert urlsplit(line.to)._replace(query="").geturl() == SITE + STEP


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["1"], "Sau tiếng bíp, xin nói nội dung phản ánh"),
        (["2"], "Xin bấm các chữ số của mã phản ánh"),
        (["3"], "Công an, 113"),
        (["9"], "To leave a report, press 1"),
        (["0"], "Các điện thoại viên đang bận"),
        (["*"], "Để gửi phản ánh"),
        (["7"], "Phím vừa bấm không có"),
        ([""], "chưa nhận được phím bấm"),
        (["2", "123"], "Mã phản ánh không đúng"),
        (["7", "7", "7"], "Các điện thoại viên đang bận"),
    ],
)
async def test_every_key_does_what_the_menu_says(line: Line, keys: list[str], words: str) -> None:
    await line.goes_on()
    await line.presses(*keys)
    assert words in line.said()


async def test_what_is_kept_becomes_a_call(app: FastAPI, line: Line) -> None:
    await line.goes_on()
    await line.presses("9", "0")
    line.status = "completed"
    assert (await line.post(SITE + EVENTS, SequenceNumber="3")).text.endswith("<Response />")
    await work(app)
    call = await call_of(app, line.sid)
    assert (call.caller, call.number, call.state, call.outcome) == (HOA, NUMBER, "completed", "callback")
    assert call.menu["token"].split("~")[2] == "en"


async def test_nothing_in_an_address_says_anything_about_the_caller(line: Line) -> None:
    await line.goes_on()
    for keys in ("2", "260482134", "9", "0"):
        await line.presses(keys)
        assert line.heard is not None
        for address in re.findall(r'(?:action="|>)(https://[^"<]+)', line.heard.text):
            given = parse_qs(urlsplit(address).query)
            assert set(given) <= {"state"}
            assert re.fullmatch(r"[a-z_]+~[a-z_]+~[a-z]{2}(~\d+){3}~[a-z]*~[a-z]*~[01]", given.get("state", ["?"])[0])
        assert not re.search(r"912345678|260482134|CA[0-9a-f]{8}", line.heard.text)


async def test_outside_opening_hours_that_is_said_first_and_again_the_same(
    app: FastAPI, line: Line, clock: Clock
) -> None:
    calls = state(app).calls
    text = (SEED / "menu.yaml").read_text().replace("mon-sun", "mon-fri").replace("00:00-24:00", "07:00-17:00")
    calls.menu = parse_menu(text)
    try:
        clock.to("2026-03-03T18:00")
        await line.goes_on()
        assert "Hiện đã hết giờ làm việc" in line.said()
        await line.presses("0")
        assert "gọi lại trong giờ làm việc" in line.said()
        clock.to("2026-03-04T09:00")
        morning = Line(line.client, sid=line.sid)
        await morning.goes_on()
        assert "Hiện đã hết giờ làm việc" in morning.said()  # the same event is told the same
        assert "hết giờ" not in (await Line(line.client).goes_on()).said()
    finally:
        calls.menu = shipped_menu()


# ---- once


async def test_the_same_step_is_answered_the_same_in_any_order_and_kept_once(app: FastAPI, line: Line) -> None:
    steps: list[tuple[str, dict[str, str], str]] = []
    for fields in ({}, {"Digits": "9"}, {"Digits": "3"}, {"Digits": "0"}):
        url, status = line.to, line.status
        await line.goes_on(**fields)
        assert line.heard is not None
        steps.append((url, {"CallStatus": status, **fields}, line.heard.text))
    for url, fields, text in [*reversed(steps), *steps]:
        assert (await line.post(url, **fields)).text == text
    assert len(await rows_of(app, line.sid)) == len(steps)
    await work(app)
    assert (await call_of(app, line.sid)).menu["wish"] == "agent"


async def test_one_step_twenty_times_at_once_is_one_row_and_one_answer(app: FastAPI, line: Line) -> None:
    answers = await asyncio.gather(*(line.post(SITE + IN) for _ in range(20)))
    assert len({answer.text for answer in answers}) == 1
    assert len(await rows_of(app, line.sid)) == 1


async def test_a_report_is_kept_once(app: FastAPI, line: Line) -> None:
    for _ in range(3):
        answer = await line.post(SITE + EVENTS, SequenceNumber="0")
        assert (answer.status_code, answer.text.endswith("<Response />")) == (200, True)
    assert [row.external_id for row in await rows_of(app, line.sid)] == [f"{line.sid}:ringing:0"]


# ---- who may


@pytest.mark.parametrize("path", [IN, STEP, EVENTS])
@pytest.mark.parametrize("how", ["another token", "another address", "nothing"])
async def test_what_is_not_signed_leaves_nothing_but_a_count(app: FastAPI, line: Line, path: str, how: str) -> None:
    before = REGISTRY.get_sample_value("hotline_webhook_refused_total", {"channel": "voice"}) or 0
    if how == "nothing":
        answer = await line.client.post(path, data={"CallSid": line.sid, "CallStatus": "ringing"})
    elif how == "another token":
        answer = await line.post(SITE + path, token="b" * 32)
    else:
        form = {"CallSid": line.sid, "CallStatus": "ringing"}
        signed = RequestValidator(TOKEN).compute_signature("https://elsewhere.example" + path, form)
        answer = await line.client.post(path, data=form, headers={"X-Twilio-Signature": signed})
    assert answer.status_code == 403
    assert await rows_of(app, line.sid) == []
    assert REGISTRY.get_sample_value("hotline_webhook_refused_total", {"channel": "voice"}) == before + 1


async def test_a_state_that_somebody_changed_is_not_signed(line: Line) -> None:
    await line.goes_on()
    form = {"CallSid": line.sid, "CallStatus": "in-progress", "Digits": "1"}
    headers = {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(line.to, form)}
    changed = line.to.removeprefix(SITE).replace("menu", "record")
    assert (await line.client.post(changed, data=form, headers=headers)).status_code == 403


async def test_without_an_account_there_is_nobody_to_knock(app: FastAPI, client: AsyncClient) -> None:
    here = state(app)
    settings, here.settings = here.settings, here.settings.model_copy(update={"twilio_auth_token": None})
    try:
        for path in (IN, STEP, EVENTS):
            assert (await client.post(path, data={"CallSid": "CA1"})).status_code == 404
            assert (await client.get(path)).status_code in (404, 405)
    finally:
        here.settings = settings


@pytest.mark.parametrize("body", [{}, {"MessageSid": "SM1"}, {"CallSid": ""}, {"x": "\x00"}], ids=str)
@pytest.mark.parametrize("path", [IN, STEP, EVENTS])
async def test_what_nobody_can_read_is_kept_and_answered(
    app: FastAPI, client: AsyncClient, clock: Clock, body: dict[str, str], path: str
) -> None:
    form = {**body, "Odd": uuid4().hex}
    headers = {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(SITE + path, form)}
    answer = await client.post(path, data=form, headers=headers)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/xml")
    assert ("Tổng đài 1022" in answer.text) is (path != EVENTS)
    [row] = await rows_of(app, form["Odd"])
    assert (row.kind, row.dead_at is not None) == ("unknown", True)


# ---- how a case stands


@pytest.fixture
async def case(client: AsyncClient, clock: Clock) -> str:
    """Digits of the code of a case of Hoa's number."""
    code, _ = await a_report(client, contact={"phone": "0912 345 678"})
    return re.sub(r"[^0-9]", "", code)


async def asks(line: Line, digits: str) -> str:
    await line.goes_on()
    await line.presses("2", digits)
    return line.said()


async def test_the_number_a_case_was_reported_from_hears_its_status_and_no_more(line: Line, case: str) -> None:
    said = await asks(line, case)
    assert said.startswith(f"Phản ánh mã số {', '.join(case)}. Phản ánh đã được tiếp nhận.")


@pytest.mark.parametrize("caller", [BINH, "anonymous", "+266696687", "1022"])
async def test_nobody_else_learns_that_there_is_such_a_case(client: AsyncClient, case: str, caller: str) -> None:
    theirs = await asks(Line(client, caller), case)
    nobodys = await asks(Line(client, caller), "269999905")
    assert "không tìm thấy phản ánh có mã này" in theirs
    assert theirs == nobodys


async def test_a_restricted_case_is_not_spoken_of(app: FastAPI, line: Line, case: str) -> None:
    async with state(app).database.transaction() as session:
        mine = col(Case.code) == f"BP-{case[:2]}-{case[2:]}"
        await session.execute(update(Case).where(mine).values(track="complaint", restricted=True))
    assert "không tìm thấy" in await asks(line, case)


async def test_a_repetition_hears_the_status_of_then(app: FastAPI, line: Line, case: str) -> None:
    await line.goes_on()
    await line.presses("2")
    url = line.to
    first = await line.post(url, Digits=case)
    async with state(app).database.transaction() as session:
        await session.execute(
            update(Case).where(col(Case.code) == f"BP-{case[:2]}-{case[2:]}").values(status="in_progress")
        )
    assert (await line.post(url, Digits=case)).text == first.text


async def test_codes_are_not_tried_without_end(client: AsyncClient, case: str, clock: Clock) -> None:
    clock.move(hours=5)
    tried = 0
    while tried < LOOKS[0]:
        line = Line(client)
        await line.goes_on()
        await line.presses("2")
        for digits in ("269999905", "269999905"):
            await line.presses(digits)
            tried += 1
    assert "không tìm thấy" in await asks(Line(client), case)
    clock.move(seconds=LOOKS[1] + 1)
    assert "đã được tiếp nhận" in await asks(Line(client), case)


# ---- without the database


@asynccontextmanager
async def away(app: FastAPI, how: str) -> AsyncIterator[None]:
    """The database refuses, or stands still."""
    calls = state(app).calls
    real = calls.database

    class Gone:
        @asynccontextmanager
        async def transaction(self) -> AsyncIterator[Any]:
            if how == "refuses":
                raise OperationalError("", {}, OSError("refused"))
            await asyncio.sleep(60)
            yield

    calls.database = Gone()  # type: ignore[assignment]
    try:
        yield
    finally:
        calls.database = real
        calls._again_at = 0.0


@pytest.mark.parametrize("how", ["refuses", "stands still"])
async def test_without_the_database_the_call_goes_on_and_nothing_is_lost(
    app: FastAPI, line: Line, spool: Spool, how: str
) -> None:
    twin = Line(line.client)
    await twin.goes_on()
    await line.goes_on()
    async with away(app, how):
        began = time.monotonic()
        await line.presses("9", "0")
        assert time.monotonic() - began < 2 + 2  # two answers
        line.status = "completed"
        assert (await line.post(SITE + EVENTS, SequenceNumber="3")).status_code == 200
    await twin.presses("9", "0")
    assert line.heard is not None
    assert twin.heard is not None
    assert line.heard.text == twin.heard.text
    assert len(await rows_of(app, line.sid)) == 1
    assert await replay(state(app).database, spool) == 3
    assert (spool.waiting(), len(await rows_of(app, line.sid))) == (False, 4)
    assert len({row.received_at for row in await rows_of(app, line.sid)}) == 1  # as of when they came
    await work(app)
    assert (await call_of(app, line.sid)).outcome == "callback"


async def test_a_call_may_begin_without_the_database(app: FastAPI, line: Line, spool: Spool) -> None:
    async with away(app, "refuses"):
        await line.goes_on()
        assert line.said().startswith("Tổng đài 1022 xin nghe")
        await line.presses("2", "269999905")
        assert "chưa tra cứu được" in line.said()
    await line.presses("1")
    assert await replay(state(app).database, spool) == 3
    assert len(await rows_of(app, line.sid)) == 4


#  what is wrong with an event that the spool holds
NEVER_TAKEN: list[dict[str, Any]] = [
    {"raw": "CallSid=CAbad&CallStatus=ringing&From=%2B84912000001", "account": "a\0b"},  # refused by the database
    {"raw": "CallSid=CAbad&CallStatus=ringing", "account": NUMBER, "answer": None, "received_at": "yesterday"},
    {"account": NUMBER},  # of another version
]


@pytest.mark.parametrize("bad", NEVER_TAKEN)
async def test_an_event_that_can_never_be_kept_holds_up_no_other(
    app: FastAPI, line: Line, spool: Spool, bad: dict[str, Any]
) -> None:
    async with away(app, "refuses"):
        await line.goes_on()
        spool.write({"channel": "voice", "received_at": "2026-03-03T08:15:00+07:00", "answer": None} | bad)
        await line.presses("9")
    assert await replay(state(app).database, spool) == 2
    assert (spool.waiting(), len(await rows_of(app, line.sid))) == (False, 2)
    assert [path.suffix for path in spool.folder.iterdir()] == [".damaged"]  # for a person


async def test_a_database_that_is_away_takes_nothing_out_of_the_spool(app: FastAPI, line: Line, spool: Spool) -> None:
    async with away(app, "refuses"):
        await line.goes_on()
        with pytest.raises(OperationalError):
            await replay(state(app).calls.database, spool)
    assert spool.waiting()
    assert await replay(state(app).database, spool) == 1


async def test_what_was_kept_and_spooled_is_one_event(app: FastAPI, line: Line, spool: Spool) -> None:
    await line.goes_on()
    async with away(app, "refuses"):
        assert (await line.post(SITE + IN, CallStatus="ringing")).status_code == 200
    assert await replay(state(app).database, spool) == 0
    assert len(await rows_of(app, line.sid)) == 1


async def test_a_database_that_is_away_is_left_alone_for_a_moment(app: FastAPI, line: Line) -> None:
    async with away(app, "stands still"):
        await line.goes_on()
        began = time.monotonic()
        await asyncio.gather(*(Line(line.client).goes_on() for _ in range(10)))
        assert time.monotonic() - began < 1 < PAUSE


async def test_a_full_disk_does_not_cost_the_caller_the_call(
    app: FastAPI, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Spool, entry: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Spool, "write", full)
    before = REGISTRY.get_sample_value("hotline_voice_lost_total") or 0
    async with away(app, "refuses"):
        await line.goes_on()
        assert line.said().startswith("Tổng đài 1022 xin nghe")
        assert (await line.post(SITE + EVENTS, SequenceNumber="0")).status_code == 503  # let the carrier try again
    assert REGISTRY.get_sample_value("hotline_voice_lost_total") == before + 2


async def test_a_disk_that_stands_still_does_not_either(
    app: FastAPI, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Spool, "write", lambda self, entry: time.sleep(2))
    async with away(app, "refuses"):
        began = time.monotonic()
        await line.goes_on()
        assert time.monotonic() - began < 2
    await asyncio.to_thread(state(app).calls._writer.submit(int).result)


async def test_a_fault_of_ours_in_one_step_does_not_silence_the_menu(
    app: FastAPI, line: Line, monkeypatch: pytest.MonkeyPatch, spool: Spool
) -> None:
    async def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(state(app).calls, "_look", broken)
    assert "chưa tra cứu được" in await asks(line, "269999905")
    assert spool.waiting()
