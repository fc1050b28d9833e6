"""Sentences to citizens: what may stand in them, how they read, and that a change is used by whatever is sent next."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlmodel import col, select

from cases import replies
from cases.models import Case, Entry
from cases.sentences import FORMS, LANGUAGES, LONG, SENTENCES, SHORT
from cases.wording import EXAMPLE, PLACES, Words, check, tidy
from channels.models import Outgoing
from channels.segments import sms_of
from routing.queries import RoutingCache
from tests.factories import LEAD, As, a_report, done, state

AT = datetime(2026, 3, 3, 8, 15, tzinfo=ZoneInfo("Asia/Ho_Chi_Minh"))
API = "/api/v1/admin/wording"

CHECKED = [
    # sentence, form, text, what is wrong
    ("receipt", LONG, "Đã nhận, mã {code}.", []),
    ("receipt", LONG, "Mã {code}, lúc {time}, xem {link}", []),
    ("receipt", LONG, "{code}{code}", []),
    ("receipt", LONG, "Đã nhận phản ánh của anh/chị.", ["missing_place"]),
    ("receipt", LONG, "Mã {code}, khóa {key}", ["unknown_place"]),
    ("receipt", LONG, "Mã {department}", ["unknown_place", "missing_place"]),
    ("receipt", LONG, "", ["empty"]),
    ("receipt", LONG, "Mã {code} {", ["brace"]),
    ("receipt", LONG, "Mã { code }", ["missing_place", "brace"]),
    ("receipt", LONG, "Mã {code.__class__}", ["missing_place", "brace"]),
    ("receipt", LONG, "Mã {0} {code!r}", ["missing_place", "brace"]),
    ("receipt", LONG, "Mã {{code}}", ["brace"]),
    ("receipt", LONG, "Mã {CODE}", ["missing_place", "brace"]),
    ("receipt", LONG, "Mã {code}\x07", ["control"]),
    ("receipt", LONG, "Mã {code}\u202e", ["control"]),  # letters that turn the direction of what follows
    ("receipt", LONG, "Mã {code}\nDòng hai", []),
    ("receipt", LONG, "{code}" + "a" * 1494, []),
    ("receipt", LONG, "{code}" + "a" * 1495, ["too_long"]),
    ("receipt", SHORT, "Ma {code}" + " a" * 190, []),  # 3 SMS of the 7-bit alphabet
    ("receipt", SHORT, "Ma {code}" + " a" * 230, ["too_many_sms"]),
    ("receipt", SHORT, "Mã {code}" + " ạ" * 60, []),  # one marked letter, and 67 characters are one SMS
    ("receipt", SHORT, "Mã {code}" + " ạ" * 100, ["too_many_sms"]),
    ("forwarded_until", LONG, "Đã chuyển {department}.", ["missing_place"]),
    ("forwarded_until", LONG, "Đã chuyển {department}, trả lời trước {promised}.", []),
    ("forwarded", LONG, "Đã chuyển {department}, trả lời trước {promised}.", ["unknown_place"]),
    ("answer", LONG, "Kính gửi anh/chị,\n{text}\nTrân trọng.", []),
    ("answer", LONG, "Kính gửi anh/chị.", ["missing_place"]),
    ("refused.unclear", LONG, "Xin gửi lại.", []),
    ("refused.unclear", LONG, "Xin gửi lại {code}.", ["unknown_place"]),  # an officer may send it as their own words
    ("title.answer", LONG, "Trả lời {code}", []),
    ("title.answer", LONG, "Trả lời\n{code}", ["lines"]),
    ("title.answer", LONG, "{code} " + "a" * 114, ["too_long"]),
]


@pytest.mark.parametrize(("name", "form", "text", "wrong"), CHECKED)
def test_words_are_checked(name: str, form: str, text: str, wrong: list[str]) -> None:
    assert [each.code for each in check(SENTENCES[name], form, "vi", text, Words())] == wrong


@pytest.mark.parametrize("name", SENTENCES)
def test_what_is_shipped_passes_its_own_checks_and_names_only_places_that_are_explained(name: str) -> None:
    sentence = SENTENCES[name]
    for form in sentence.forms:
        for language in LANGUAGES:
            template = Words().template(name, form, language)
            assert check(sentence, form, language, tidy(template), Words()) == []
            assert "{" not in Words(site="https://1022.test").example(template, language)
    assert set(sentence.places) <= set(PLACES)
    assert set(sentence.places) - {"code", "link"} <= set(EXAMPLE)


def test_the_places_of_every_phrase_are_those_its_sentence_has() -> None:
    phrases = [
        replies.receipt(AT), replies.answer("x"), replies.question("x"), replies.forwarded("Sở Xây dựng", None),
        replies.forwarded("Sở Xây dựng", AT), replies.progress("x", AT), replies.extended(AT, "x"),
        replies.extension_denied("x"), replies.merged("x"), replies.split("x"), replies.split(None),
        replies.reopened(), replies.redirected("police", "x"), replies.refused("unclear", "x"),
        *(replies.refused(reason, None) for reason in replies.REFUSALS),
        *(replies.elsewhere(purpose) for purpose in ("answer", "question", "progress")),
    ]  # fmt: skip
    for phrase in phrases:
        assert set(phrase.values) | {"code", "link"} >= set(SENTENCES[phrase.name].places), phrase.name
        assert "{" not in Words().say(phrase, "BP-26-0000001")
    assert {phrase.name for phrase in phrases} == {name for name, each in SENTENCES.items() if not each.line}


def test_what_stands_in_a_place_is_never_read_as_a_place() -> None:
    words = Words({("answer", LONG, "vi"): "{code}: {text}"})
    assert words.say(replies.answer("{link} {code} {"), "BP-1") == "BP-1: {link} {code} {"


def test_own_words_go_before_shipped_ones_and_a_short_form_before_the_long_one() -> None:
    own = {("reopened", LONG, "vi"): "Mở lại {code}.", ("receipt", LONG, "vi"): "Đã nhận {code}."}
    words = Words(own, "https://1022.test")
    assert words.say(replies.reopened(), "BP-1") == "Mở lại BP-1."
    assert words.say(replies.reopened(), "BP-1", channel="sms") == "Mở lại BP-1."  # nothing short is shipped
    assert words.say(replies.reopened(), "BP-1", language="en") == "Your case was reopened and work goes on."
    assert words.say(replies.receipt(AT), "BP-1", channel="sms").startswith("1022 đã nhận phản ánh, mã BP-1")
    assert words.title("answer", "BP-1", "en") == "Answer to case BP-1"
    assert words.title("merged", "BP-1") == "Phản ánh BP-1"


def test_moments_and_names_read_in_the_citizens_language() -> None:
    said = Words().say(replies.redirected("police", "See below."), "BP-1", language="en")
    assert said == "See below.\nThe matter was handed over to the Provincial Police."
    assert "08:15 on 03/03/2026" in Words().say(replies.receipt(AT), "BP-1", language="en")
    assert "08:15 ngày 03/03/2026" in Words().say(replies.receipt(AT), "BP-1")


SMS = [
    # text, alphabet, units, SMS
    ("", "GSM-7", 0, 1),
    ("a" * 160, "GSM-7", 160, 1),
    ("a" * 161, "GSM-7", 161, 2),
    ("a" * 306, "GSM-7", 306, 2),
    ("a" * 307, "GSM-7", 307, 3),
    ("€" * 80, "GSM-7", 160, 1),  # two units each
    ("€" * 81, "GSM-7", 162, 2),
    ("à" * 160, "GSM-7", 160, 1),  # a mark that GSM's own alphabet has
    ("ư" * 70, "UCS-2", 70, 1),
    ("ư" * 71, "UCS-2", 71, 2),
    ("a" * 70 + "ư", "UCS-2", 71, 2),  # one letter turns all of it
    ("😀" * 35, "UCS-2", 70, 1),  # two units each
    ("😀" * 36, "UCS-2", 72, 2),
]


@pytest.mark.parametrize(("text", "encoding", "units", "segments"), SMS)
def test_an_sms_is_measured_as_telephones_do(text: str, encoding: str, units: int, segments: int) -> None:
    found = sms_of(text)
    assert (found.encoding, found.units, found.segments) == (encoding, units, segments)


async def sent(app: FastAPI, code: str) -> dict[str, tuple[str, str | None]]:
    """Text and title of what was queued about a case, by purpose."""
    async with state(app).database.transaction() as session:
        rows = await session.exec(
            select(Outgoing).join(Case, col(Case.id) == Outgoing.subject_id).where(Case.code == code)
        )
        return {row.purpose: (row.text, row.title) for row in rows.all()}


async def lines(app: FastAPI, code: str) -> list[str]:
    async with state(app).database.transaction() as session:
        rows = await session.exec(
            select(Entry.text).join(Case, col(Case.id) == Entry.case_id).where(Case.code == code, Entry.to_citizen)
        )
        return list(rows.all())


@pytest.fixture
async def as_shipped(app: FastAPI, as_: As):
    """Whatever a test words anew is as shipped again after it."""
    yield
    for each in (await as_("admin").get(API)).json()["items"]:
        for row in each["wordings"]:
            if row["own"]:
                await as_("admin").post(f"{API}/{each['name']}/{row['form']}/{row['language']}/reset")


async def test_a_new_wording_is_used_by_what_is_sent_next(
    app: FastAPI, client: AsyncClient, as_: As, as_shipped: None
) -> None:
    put = as_("admin").put
    for name, form, text in (
        ("receipt", "long", "Chào anh/chị! Mã: {code}. Xem tại {link}"),
        ("forwarded_until", "long", "{department} đang lo việc này, xong trước {promised}."),
        ("title.forwarded", "long", "[1022] {code} đã chuyển"),
        ("answer", "long", "Kính gửi anh/chị,\n{text}"),
    ):
        assert (await put(f"{API}/{name}/{form}/vi", json={"text": text})).status_code == 200, name
    code, _ = await a_report(client)
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD})
    await done(as_("officer"), code, "accept")
    await done(as_("officer"), code, "submit_answer", {"reply": "Đã vá xong."})
    await done(as_("head"), code, "approve_answer")
    out = await sent(app, code)
    assert out["receipt"][0] == f"Chào anh/chị! Mã: {code}. Xem tại {state(app).site}/track/{code}"
    assert out["forwarded"][0].startswith("Sở Xây dựng đang lo việc này, xong trước ")
    assert out["forwarded"][1] == f"[1022] {code} đã chuyển"
    assert out["answer"][0] == "Kính gửi anh/chị,\nĐã vá xong."
    shown = await lines(app, code)
    assert out["forwarded"][0] in shown
    assert not any(line.startswith("Kính gửi") for line in shown)  # the page shows the answer as it was written


async def test_a_change_in_one_process_holds_in_another_within_seconds(
    app: FastAPI, client: AsyncClient, as_: As, as_shipped: None
) -> None:
    async with state(app).database.transaction() as session:  # another process, with what it read before
        other = RoutingCache()
        assert ("reopened", "long", "vi") not in (await other.get(session)).wordings
    assert (await as_("admin").put(f"{API}/reopened/long/vi", json={"text": "Mở lại {code}"})).status_code == 200
    other.forget()  # as after FRESH_FOR
    async with state(app).database.transaction() as session:
        assert (await other.get(session)).wordings["reopened", "long", "vi"] == "Mở lại {code}"


async def test_a_reporter_is_told_in_the_language_they_asked_in(app: FastAPI, client: AsyncClient, as_: As) -> None:
    body = {"text": "A big pothole before the market", "field": "infra.road"}
    answer = await client.post("/api/v1/reports", json=body, headers={"Accept-Language": "en"})
    code = answer.json()["code"]
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD})
    out = await sent(app, code)
    assert out["receipt"][0].startswith("The 1022 hotline received your report at ")
    assert out["forwarded"][0].startswith("Your report was forwarded to ")
    other, _ = await a_report(client)
    assert (await sent(app, other))["receipt"][0].startswith("Tổng đài 1022 đã nhận")


async def test_a_refusal_proposed_by_the_form_is_the_sentence_of_its_reason(
    app: FastAPI, client: AsyncClient, as_: As, as_shipped: None
) -> None:
    path = f"{API}/refused.unclear/long/vi"
    assert (await as_("admin").put(path, json={"text": "Xin gửi lại cho rõ."})).status_code == 200
    reasons = (await as_("dispatcher").get("/api/v1/refusal-reasons")).json()
    assert next(each["text"] for each in reasons if each["code"] == "unclear") == "Xin gửi lại cho rõ."
    for reply, told in (
        (None, "Xin gửi lại cho rõ."),
        ("Xin gửi lại cho rõ.", "Xin gửi lại cho rõ."),
        ("Thiếu tên đường {code}.", "Thiếu tên đường {code}."),  # a person's words are no template
    ):
        code, _ = await a_report(client)
        await done(as_("dispatcher"), code, "refuse", {"reason_code": "unclear", **({"reply": reply} if reply else {})})
        assert (await sent(app, code))["refused"][0] == told


async def test_words_are_listed_tried_worded_kept_and_put_back(app: FastAPI, as_: As, as_shipped: None) -> None:
    admin, path = as_("admin"), f"{API}/receipt/short/vi"
    items = (await admin.get(API)).json()["items"]
    assert [each["name"] for each in items] == list(SENTENCES)
    assert {row["form"] for each in items for row in each["wordings"]} == set(FORMS)
    tried = (await admin.post(f"{path}/try", json={"text": " Ma {code} \r\n"})).json()
    assert (tried["text"], tried["sms"]) == ("Ma {code}", {"encoding": "GSM-7", "units": 16, "segments": 1})
    assert (await admin.get(path)).json()["own"] is False  # trying keeps nothing
    made = await admin.put(path, json={"text": "Ma {code}"})
    assert (made.json()["own"], made.json()["example"]) == (True, "Ma BP-26-0482134")
    assert (await admin.put(path, json={"text": "Ma {code}"})).status_code == 409
    refused = await admin.put(path, json={"text": "Ma {codes}"}, headers={"Accept-Language": "en"})
    assert refused.status_code == 422
    assert [each["code"] for each in refused.json()["errors"]] == ["unknown_place", "missing_place"]
    assert "{codes}" in refused.json()["detail"]
    assert (await admin.post(f"{path}/reset")).json()["own"] is False
    assert (await admin.post(f"{path}/reset")).status_code == 409
    past = (await admin.get(f"{path}/history")).json()["items"]
    assert [each["text"] for each in past[:2]] == [None, "Ma {code}"]
    assert all(each["by"] for each in past)


@pytest.mark.parametrize("path", ["receipts/long/vi", "title.answer/short/vi", "receipt/long/vi/histories"])
async def test_a_sentence_that_is_none_is_not_found(as_: As, path: str) -> None:
    assert (await as_("admin").get(f"{API}/{path}")).status_code == 404


@pytest.mark.parametrize("role", ["agent", "dispatcher", "officer", "head", "supervisor", "inspector", "leader"])
async def test_nobody_but_an_administrator_words_anything(as_: As, client: AsyncClient, role: str) -> None:
    path = f"{API}/receipt/long/vi"
    answers = [
        await as_(role).get(API),
        await as_(role).put(path, json={"text": "{code}"}),
        await as_(role).post(f"{path}/reset"),
        await as_(role).post(f"{path}/try", json={"text": "{code}"}),
        await as_(role).get(f"{path}/history"),
    ]
    assert {answer.status_code for answer in answers} == {403}
    assert (await client.get(API)).status_code == 401
