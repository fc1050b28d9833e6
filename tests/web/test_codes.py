"""Who lost the tracking key gets in by a code to the phone or mailbox of the report; nobody else learns anything."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from html import unescape
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from cases import one_time
from cases.codes import read_code
from channels.adapter import Failure, SendFailed
from channels.console import ConsoleChannel
from channels.message import Capabilities, OutboundMessage
from tests.factories import As, Clock, a_report, by_citizen, case_of, deliver, done, state
from tests.web.portal import key_of, phone, refused, statements, words, wrong_at
from tests.web.problems import problem
from tests.web.test_portal_report import solved
from web.throttle import CODES, ReportThrottle

PHONE, MAIL = "0912 345 678", "Lan@Example.vn"
CONTACT = {"name": "Trần Thị Lan", "phone": PHONE, "email": MAIL}
UNKNOWN = "BP-26-0999993"
MISS = "Mã này không đúng, đã dùng hoặc đã hết hạn"


@pytest.fixture(scope="module")
async def report(client: AsyncClient) -> tuple[str, str]:
    """(code, key) of a report with a phone and a mailbox."""
    assert read_code(UNKNOWN) == UNKNOWN
    return await a_report(client, contact=CONTACT)


@pytest.fixture(autouse=True)
async def forgotten(app: FastAPI) -> AsyncIterator[None]:
    """Nothing is left of the codes of another test."""
    yield
    async with state(app).database.transaction() as session:
        await session.execute(text("DELETE FROM one_time_codes"))
        await session.execute(text("DELETE FROM throttles"))
        codes = "(SELECT id FROM outgoing WHERE purpose = 'code')"
        for table, column in (
            ("delivery_attempts", "outgoing_id"),
            ("outgoing_parts", "outgoing_id"),
            ("outgoing", "id"),
        ):
            await session.execute(text(f"DELETE FROM {table} WHERE {column} IN {codes}"))


async def ask(client: AsyncClient, code: str, **to: Any) -> Response:
    """Have a code sent, to the phone where nothing else is said."""
    return await client.post(f"/api/v1/reports/{code}/otp", json=to or {"phone": PHONE})


async def enter(client: AsyncClient, code: str, otp: str, **to: Any) -> Response:
    """Enter a code."""
    return await client.post(f"/api/v1/reports/{code}/otp/verify", json={"otp": otp, **(to or {"phone": PHONE})})


def last_sent(app: FastAPI) -> dict[str, Any]:
    """The last message that left by SMS or mail."""
    adapter = state(app).adapters["sms"]
    assert isinstance(adapter, ConsoleChannel)
    assert adapter.file is not None
    line: dict[str, Any] = json.loads(adapter.file.read_text().splitlines()[-1])
    return line


async def code_sent(app: FastAPI) -> str:
    """The digits of the code that leaves now."""
    await deliver(app)
    sent = last_sent(app)
    assert sent["purpose"] == one_time.PURPOSE
    return str(re.findall(r"\b[0-9]{6}\b", sent["text"])[0])


async def waiting(app: FastAPI) -> list[Any]:
    """The messages with codes, oldest first."""
    async with state(app).database.transaction() as session:
        rows = await session.execute(text("SELECT * FROM outgoing WHERE purpose = 'code' ORDER BY id"))
        return list(rows.all())


@pytest.mark.parametrize(
    ("to", "channel", "handle"),
    [
        ({"phone": PHONE}, "sms", "+84912345678"),
        ({"phone": "+84 912 345 678"}, "sms", "+84912345678"),
        ({"email": "LAN@example.vn"}, "email", "lan@example.vn"),
    ],
)
async def test_the_code_opens_the_report_once(
    app: FastAPI, client: AsyncClient, report: tuple[str, str], to: dict[str, str], channel: str, handle: str
) -> None:
    code, key = report
    asked = await ask(client, code, **to)
    assert (asked.status_code, asked.json()) == (202, {"expires_in": 600})
    digits = await code_sent(app)
    sent = last_sent(app)
    assert (sent["channel"], sent["to"]["handle"], sent["reference"]) == (channel, handle, code)
    assert f"{digits} là mã xem phản ánh {code}, dùng được trong 10 phút" in sent["text"]
    opened = await enter(client, code.lower(), digits, **to)
    assert (opened.status_code, opened.json()) == (200, {"code": code, "tracking_key": key})
    assert (await by_citizen(client, code, opened.json()["tracking_key"], "")).status_code == 200
    assert MISS in problem(await enter(client, code, digits, **to), 404)["detail"]  # a second time


async def test_who_reads_english_gets_an_english_code(app: FastAPI, client: AsyncClient, report: Any) -> None:
    await client.post(f"/api/v1/reports/{report[0]}/otp", json={"phone": PHONE}, headers={"Accept-Language": "en"})
    await code_sent(app)
    assert "Give it to nobody" in last_sent(app)["text"]


# What somebody may type who does not have what is on file. None of it may look otherwise than what fits.
STRANGERS: list[tuple[str | None, dict[str, str]]] = [
    (None, {"phone": "0987 654 321"}),
    (None, {"email": "other@example.vn"}),
    (UNKNOWN, {"phone": PHONE}),
    ("BP-26-0482135", {"phone": PHONE}),  # a wrong check digit
    ("x", {"email": MAIL}),
]


@pytest.mark.parametrize(("code", "to"), STRANGERS)
async def test_asking_tells_nobody_whether_it_fits(
    app: FastAPI, client: AsyncClient, report: tuple[str, str], code: str | None, to: dict[str, str]
) -> None:
    await ask(client, report[0])  # whatever is made at the first time only
    await deliver(app)
    with statements(app) as fitting:
        right = await ask(client, report[0], email=MAIL)
    with statements(app) as strange:
        wrong = await ask(client, code or report[0], **to)
    assert (wrong.status_code, wrong.content, wrong.headers) == (right.status_code, right.content, right.headers)
    assert strange == fitting  # the same work, in the same order
    fit, decoy = (await waiting(app))[-2:]
    assert (fit.channel, fit.scheme) == ("email", "email")
    assert (decoy.channel, decoy.scheme, decoy.handle) == ("web", "tracking", "-")
    for digits in re.findall(r"\b[0-9]{6}\b", decoy.text):  # even what was made up for it opens nothing
        problem(await enter(client, code or report[0], digits, **to), 404)
    await deliver(app)
    assert last_sent(app)["to"]["handle"] == "lan@example.vn"


async def test_entering_tells_nobody_whether_a_code_was_sent(
    app: FastAPI, client: AsyncClient, report: tuple[str, str]
) -> None:
    await ask(client, report[0])
    digits = await code_sent(app)
    wrong = f"{(int(digits) + 1) % 10**6:06}"
    answers = [
        await enter(client, report[0], wrong),
        await enter(client, report[0], digits, phone="0987654321"),  # asked for by nobody
        await enter(client, UNKNOWN, digits),
        await enter(client, "x", digits),
    ]
    assert len({(each.status_code, each.content, str(each.headers)) for each in answers}) == 1
    problem(answers[0], 404)
    assert (await enter(client, report[0], digits)).status_code == 200


async def test_a_mailbox_stated_elsewhere_opens_nothing(app: FastAPI, client: AsyncClient) -> None:
    """A report under somebody's number with one's own mailbox makes that one known of the same citizen."""
    code, _ = await a_report(client, contact={"phone": "0933 111 222"})
    mine, _ = await a_report(client, contact={"phone": "0933 111 222", "email": "thief@example.vn"})
    async with state(app).database.transaction() as session:
        first, second = await case_of(session, code), await case_of(session, mine)
    assert first.citizen_id == second.citizen_id
    await ask(client, code, email="thief@example.vn")
    assert (await waiting(app))[-1].scheme == "tracking"
    await ask(client, mine, email="thief@example.vn")
    assert (await waiting(app))[-1].handle == "thief@example.vn"


async def test_an_anonymous_report_has_no_such_way_in(app: FastAPI, client: AsyncClient) -> None:
    code, _ = await a_report(client, contact=CONTACT, anonymous=True)
    assert (await ask(client, code)).status_code == 202
    assert (await waiting(app))[-1].scheme == "tracking"


async def test_five_wrong_tries_end_a_code(app: FastAPI, client: AsyncClient, report: tuple[str, str]) -> None:
    await ask(client, report[0])
    digits = await code_sent(app)
    wrong = f"{(int(digits) + 1) % 10**6:06}"
    problem(await enter(client, report[0], wrong), 404)
    await asyncio.gather(*(enter(client, report[0], wrong) for _ in range(4)))
    problem(await enter(client, report[0], digits), 404)  # the sixth
    await ask(client, report[0])  # another one works again
    assert (await enter(client, report[0], await code_sent(app))).status_code == 200


async def test_the_fifth_try_still_counts(app: FastAPI, client: AsyncClient, report: tuple[str, str]) -> None:
    await ask(client, report[0])
    digits = await code_sent(app)
    for _ in range(4):
        problem(await enter(client, report[0], f"{(int(digits) + 1) % 10**6:06}"), 404)
    assert (await enter(client, report[0], digits)).status_code == 200


async def test_entered_twice_at_once_it_opens_once(app: FastAPI, client: AsyncClient, report: tuple[str, str]) -> None:
    await ask(client, report[0])
    digits = await code_sent(app)
    answers = await asyncio.gather(*(enter(client, report[0], digits) for _ in range(4)))
    assert sorted(each.status_code for each in answers) == [200, 404, 404, 404]


async def test_asking_again_voids_the_code_before(app: FastAPI, client: AsyncClient, report: tuple[str, str]) -> None:
    await ask(client, report[0])
    first = await code_sent(app)
    await ask(client, report[0])
    problem(await enter(client, report[0], first), 404)
    assert (await enter(client, report[0], await code_sent(app))).status_code == 200
    answers = await asyncio.gather(*(ask(client, report[0]) for _ in range(4)))
    assert {each.status_code for each in answers} == {202}
    live = [row for row in await waiting(app) if row.text]
    assert len(live) == 1


async def test_a_code_runs_out_after_ten_minutes(
    app: FastAPI, client: AsyncClient, clock: Clock, report: tuple[str, str]
) -> None:
    await ask(client, report[0])
    first = await code_sent(app)
    clock.move(minutes=9, seconds=59)
    await ask(client, report[0], email=MAIL)
    clock.move(seconds=1)
    problem(await enter(client, report[0], first), 404)
    other = await code_sent(app)
    clock.move(minutes=9, seconds=58)
    assert (await enter(client, report[0], other, email=MAIL)).status_code == 200


async def test_the_digits_are_kept_nowhere_once_they_are_used_or_too_old(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, report: tuple[str, str]
) -> None:
    here, code = state(app), report[0]
    await ask(client, code)
    used = await code_sent(app)
    assert (await enter(client, code, used)).status_code == 200
    await ask(client, code)
    old = await code_sent(app)
    await ask(client, UNKNOWN)  # never sent
    clock.move(minutes=11)
    async with here.database.transaction() as session:
        assert await one_time.forget(session, clock()) == 2
        assert await session.scalar(text("SELECT count(*) FROM one_time_codes")) == 0
        kept = ["one_time_codes", "outgoing", "delivery_attempts", "journal", "entries", "throttles"]
        for table in kept:
            rows = (
                await session.execute(
                    text(f"SELECT t::text FROM {table} t WHERE t::text LIKE :d OR t::text LIKE :e"),
                    {"d": f"%{used}%", "e": f"%{old}%"},
                )
            ).all()
            assert not [row for row in rows if re.search(rf"\b({used}|{old})\b", row[0])], table
    states = {row.state for row in await waiting(app)}
    assert states <= {"sent", "dropped"}
    shown = await as_("agent").get(f"/api/v1/cases/{code}")
    told = shown.text + (await as_("agent").get(f"/api/v1/cases/{code}/timeline")).text
    assert used not in told
    assert "mã xem phản ánh" not in told


class Broken:
    """A channel whose vendor is away."""

    name, capabilities = "sms", Capabilities()

    async def send(self, message: OutboundMessage) -> str:
        raise SendFailed(Failure.RETRYABLE, "away")


async def test_a_code_that_could_not_leave_in_time_never_leaves(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, report: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = state(app)
    whole = dict(here.adapters)
    monkeypatch.setattr(here, "adapters", {**whole, "sms": Broken()})
    await ask(client, report[0])
    await deliver(app)
    assert (await waiting(app))[-1].state == "queued"
    clock.move(minutes=11)
    async with here.database.transaction() as session:
        await one_time.forget(session, clock())
    row = (await waiting(app))[-1]
    assert (row.state, row.run_at, row.text) == ("dropped", None, "")
    undelivered = (await as_("supervisor").get("/api/v1/outbox")).json()["items"]
    assert report[0] not in {each["case"] for each in undelivered}


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "body"),
        ({"phone": PHONE, "email": MAIL}, "body"),
        ({"phone": " "}, "body"),
        ({"phone": "12"}, "phone"),
        ({"email": "nobody"}, "email"),
        ({"phone": PHONE, "name": "x"}, "name"),
        ({"phone": 912345678}, "phone"),
    ],
)
async def test_what_is_no_address_is_told_as_such(
    client: AsyncClient, report: tuple[str, str], body: dict[str, Any], where: str
) -> None:
    for path, more in (("otp", {}), ("otp/verify", {"otp": "123456"})):
        answer = await client.post(f"/api/v1/reports/{report[0]}/{path}", json={**body, **more})
        assert where in {error["where"] for error in problem(answer, 422)["errors"]}


@pytest.mark.parametrize("otp", ["", "12345", "1234567", "12345a", "١٢٣٤٥٦", 123456])
async def test_what_is_no_code_is_told_as_such(client: AsyncClient, report: tuple[str, str], otp: Any) -> None:
    problem(await client.post(f"/api/v1/reports/{report[0]}/otp/verify", json={"phone": PHONE, "otp": otp}), 422)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    code=st.one_of(st.text(max_size=30), st.sampled_from([UNKNOWN, "BP-26-0000000"])),
    to=st.one_of(st.text(max_size=60), st.from_regex(r"0[35789][0-9]{8}", fullmatch=True), st.emails()),
    otp=st.one_of(st.text(max_size=12), st.from_regex(r"[0-9]{6}", fullmatch=True)),
)
async def test_nothing_that_is_typed_brings_the_page_down(app: FastAPI, code: str, to: str, otp: str) -> None:
    citizen = phone(app)
    form = {
        name: value.encode("utf-8", "replace").decode() for name, value in {"code": code, "to": to, "otp": otp}.items()
    }
    for path in ("/track/lost", "/track/lost/open"):
        answer = await citizen.post(path, data=form)
        assert answer.status_code in (200, 404, 422), (path, answer.status_code)
        assert answer.headers["content-type"].startswith("text/html")


@pytest.fixture
def throttled(app: FastAPI) -> Iterator[None]:
    """Two codes an hour; three wrong tries."""
    here = state(app)
    here.rates.update({"code": (2, 3600), "key": (3, 300)})
    before, here.codes = here.codes, ReportThrottle((2, 3600), here.key, CODES)
    yield
    here.rates.clear()
    here.codes = before


def at_address(app: FastAPI, address: str) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app, client=(address, 4000)), base_url="http://1022.test")


async def test_who_asks_often_proves_work_and_nobody_else(
    app: FastAPI, throttled: None, report: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.throttle.COST", 500)
    asker = at_address(app, "192.0.2.1")
    for n in range(2):
        assert (await ask(asker, report[0], phone=f"090000000{n}")).status_code == 202
    refusal = await ask(asker, UNKNOWN, phone="0900000003")
    told = problem(refusal, 429)
    assert "xin mã" in told["detail"]
    assert int(refusal.headers["retry-after"]) > 0
    before = len(await waiting(app))
    proof = {"Altcha": solved(told["challenge"])}
    again = await asker.post(f"/api/v1/reports/{UNKNOWN}/otp", json={"phone": "0900000003"}, headers=proof)
    assert again.status_code == 202
    assert len(await waiting(app)) == before + 1
    again = await asker.post(f"/api/v1/reports/{UNKNOWN}/otp", json={"phone": "0900000003"}, headers=proof)
    problem(again, 429)  # a proof serves once
    elsewhere = at_address(app, "192.0.2.2")
    assert (await ask(elsewhere, UNKNOWN)).status_code == 202
    assert "challenge" in problem(await ask(elsewhere, report[0]), 429)  # that report was asked about twice
    problem(await ask(asker, UNKNOWN), 429)


async def test_a_phone_is_not_flooded_whoever_asks_and_whether_or_not_it_fits(
    app: FastAPI, client: AsyncClient, throttled: None
) -> None:
    other, _ = await a_report(client, contact={"phone": "0977 000 111"})
    fits, _ = await a_report(client, contact={"phone": "0977 000 222"})
    answers: list[Response] = []
    for code, to in ((other, "0977000111"), (fits, "0977000333")):
        for n in range(3):  # from everywhere, about everything
            about = code if n == 0 else f"no such report {n}"
            answers.append(await ask(at_address(app, f"198.51.100.{len(answers)}"), about, phone=to))
    assert [each.status_code for each in answers] == [202, 202, 429] * 2
    assert answers[2].content == answers[5].content
    told = problem(answers[2], 429)
    assert "challenge" not in told  # no proof of work opens somebody's phone to a flood


async def test_wrong_tries_are_counted_like_wrong_keys(app: FastAPI, throttled: None, report: tuple[str, str]) -> None:
    guesser = at_address(app, "203.0.113.9")
    codes = [f"BP-26-000000{n}" for n in range(4)]
    statuses = [(await enter(guesser, code, "123456")).status_code for code in codes]
    assert statuses == [404, 404, 404, 429]
    assert (await by_citizen(guesser, report[0], "AAAAAA", "")).status_code == 429  # the same bucket


async def test_without_the_channel_no_code_can_be_asked_for(
    app: FastAPI, client: AsyncClient, report: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = state(app)
    whole = dict(here.adapters)
    monkeypatch.setattr(here, "adapters", {name: each for name, each in whole.items() if name != "sms"})
    answers = [await ask(client, code) for code in (report[0], UNKNOWN)]
    assert answers[0].content == answers[1].content
    assert problem(answers[0], 422)["errors"][0]["code"] == "no_channel"
    page = (await phone(app).get("/track/lost")).text
    assert "Số điện thoại hoặc" not in page
    assert 'for="f-to">Thư điện tử' in page
    monkeypatch.setattr(here, "adapters", {"web": whole["web"]})
    page = (await phone(app).get("/track/lost")).text
    assert "chưa gửi được mã" in words(page)
    assert 'name="to"' not in page


async def test_lost_and_found_without_a_script(app: FastAPI, report: tuple[str, str]) -> None:
    code, key = report
    citizen = phone(app)
    assert 'href="/track/lost"' in (await citizen.get("/track")).text
    page = await citizen.get(f"/track/lost?code={code}")
    assert f'value="{code}"' in page.text
    assert page.headers["x-robots-tag"] == "noindex"
    page = await citizen.post("/track/lost", data={"code": code, "to": " 0912345678 "})
    assert page.status_code == 200
    assert "Bước 2" in words(page.text)
    assert "đang được gửi đến 0912345678" in words(page.text)
    digits = await code_sent(app)
    hidden = dict(re.findall(r'<input type="hidden" name="(code|to)" value="([^"]*)"', page.text))
    assert (await citizen.get("/track/" + code)).status_code == 404
    wrong = await citizen.post("/track/lost/open", data={**hidden, "otp": "00000"})
    assert MISS in wrong_at(refused(wrong, 404), "otp")
    opened = await citizen.post("/track/lost/open", data={**hidden, "otp": f"{digits[:3]} {digits[3:]}"})
    assert (opened.status_code, opened.headers["location"]) == (303, f"/track/{code}")
    assert key_of(citizen, code) == key
    cookie = opened.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "Path=/track;" in cookie
    assert key not in (await citizen.get(f"/track/{code}")).text.partition("<main")[0]
    assert (await citizen.get(f"/track/{code}")).status_code == 200


async def test_the_page_after_asking_is_the_same_for_everybody(app: FastAPI, report: tuple[str, str]) -> None:
    citizen = phone(app)
    right = await citizen.post("/track/lost", data={"code": report[0], "to": MAIL})
    await citizen.post("/track/lost", data={"code": UNKNOWN, "to": MAIL})
    other = await citizen.post("/track/lost", data={"code": UNKNOWN, "to": MAIL})
    assert right.text.replace(report[0], UNKNOWN) == other.text
    miss = [
        await citizen.post("/track/lost/open", data={"code": code, "to": MAIL, "otp": "12"})
        for code in (report[0], UNKNOWN)
    ]
    assert miss[0].text.replace(report[0], UNKNOWN) == miss[1].text


@pytest.mark.parametrize(
    ("form", "field", "told"),
    [
        ({"code": "", "to": PHONE}, "code", "Anh/chị hãy ghi mã phản ánh."),
        ({"code": UNKNOWN, "to": ""}, "to", "Số điện thoại không đúng"),
        ({"code": UNKNOWN, "to": "12"}, "to", "Số điện thoại không đúng"),
        ({"code": UNKNOWN, "to": "a@b"}, "to", "e-mail không đúng"),
        ({"code": UNKNOWN, "to": "<b>@x"}, "to", "e-mail không đúng"),
    ],
)
async def test_what_is_wrong_is_told_at_its_field(app: FastAPI, form: dict[str, str], field: str, told: str) -> None:
    page = refused(await phone(app).post("/track/lost", data=form), 422)
    assert told in wrong_at(page, field)
    assert "<b>@" not in page


async def test_above_the_rate_the_page_comes_back_with_its_proof_of_work(
    app: FastAPI, throttled: None, report: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.throttle.COST", 500)
    citizen, form = phone(app), {"code": report[0], "to": "0966 000 111"}
    for _ in range(2):
        assert "proof.js" not in (await citizen.post("/track/lost", data=form)).text
    other = {"code": UNKNOWN, "to": "0966 000 222"}
    answer = await citizen.post("/track/lost", data=other)
    page = refused(answer, 429)
    assert "chờ" in words(page)
    assert re.search(r"/js/proof\.js[^>]*></script><script src=\"[^\"]*/js/lost\.js", page)
    found = re.search(r'data-challenge="([^"]*)"', page)
    assert found is not None
    proof = solved(json.loads(unescape(found[1])))
    assert "Bước 2" in (await citizen.post("/track/lost", data={**other, "altcha": proof})).text


async def test_a_page_of_another_site_cannot_ask(app: FastAPI, report: tuple[str, str]) -> None:
    before = await waiting(app)
    for path in ("/track/lost", "/track/lost/open"):
        answer = await phone(app).post(
            path, data={"code": report[0], "to": PHONE, "otp": "1"}, headers={"Origin": "https://evil.example"}
        )
        assert answer.status_code == 403
    assert await waiting(app) == before


async def test_a_report_split_from_another_opens_with_the_key_of_both(
    app: FastAPI, client: AsyncClient, as_: As
) -> None:
    code, key = await a_report(client, contact=CONTACT)
    await done(as_("agent"), code, "split", {"text": "Đèn đường cũng hỏng", "field": "infra.light"})
    async with state(app).database.transaction() as session:
        mine = await case_of(session, code)
        part: str = (
            await session.execute(text("SELECT code FROM cases WHERE key_of = :id AND id <> :id"), {"id": mine.id})
        ).scalar_one()
    await ask(client, part)
    opened = await enter(client, part, await code_sent(app))
    assert opened.json() == {"code": part, "tracking_key": key}
