"""The citizen's form: what is taken, what is shown again with everything typed, and that it is sent once."""

import base64
import json
import re
from collections.abc import Iterator
from datetime import date
from hashlib import sha256
from html import unescape
from io import BytesIO
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from PIL import ExifTags, Image

from tests.factories import As, a_photo, case_of, state
from tests.web.portal import filled, key_of, phone, refused, rows, sent, statements, value, words, wrong_at
from web.portal.form import unit_named
from web.throttle import ReportThrottle

EXE = b"MZ\x90\x00" + bytes(200)
TYPED = {
    "text": "Đèn đường tắt cả đoạn",
    "address": "Gần bưu điện",
    "unit": "phường Đồng Xoài",
    "name": "Nguyễn Văn A",
    "phone": "0912 345 678",
    "email": "a@example.vn",
}


def a_file(name: str = "a.png", data: bytes = b"") -> tuple[str, tuple[str, bytes, str]]:
    return ("attachments", (name, data or a_photo(), "image/png"))


def a_placed_photo() -> bytes:
    """A photo that says where it was taken."""
    exif, made = Image.Exif(), BytesIO()
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (11.0, 32.0, 6.0), 3: "E", 4: (106.0, 53.0, 24.0)}
    Image.new("RGB", (8, 8)).save(made, "JPEG", exif=exif)
    return made.getvalue()


# what is typed otherwise than above, files, the field that is told, the words, the status
BAD: list[tuple[dict[str, str], list[Any], str, str, int]] = [
    ({"text": ""}, [], "text", "viết vài chữ", 422),
    ({"text": "   \n "}, [], "text", "viết vài chữ", 422),
    ({"text": "a" * 10_001}, [], "text", "10001 ký tự", 422),
    ({"text": "a\x00b"}, [], "text", "ký tự điều khiển", 422),
    ({"phone": "abc"}, [], "phone", "10 chữ số", 422),
    ({"email": "a@"}, [], "email", "e-mail", 422),
    ({"name": "A\x00"}, [], "name", "ký tự không hợp lệ", 422),
    ({"name": "A" * 201}, [], "name", "200", 422),
    ({"address": "a\x00"}, [], "address", "ký tự điều khiển", 422),
    ({"address": "a" * 501}, [], "address", "500", 422),
    ({"field": "atlantis"}, [], "field", "lĩnh vực", 422),
    ({"field": "<script>"}, [], "field", "ký tự", 422),
    ({"area": "atlantis"}, [], "unit", "địa bàn", 422),
    ({"lat": "north", "lng": "106"}, [], "place", "số", 422),
    ({"lat": "NaN", "lng": "106"}, [], "place", "số", 422),
    ({"lat": "11.5"}, [], "place", "vĩ độ và kinh độ", 422),
    ({}, [a_file("photo.jpg", EXE)], "attachments", "photo.jpg", 415),
    ({}, [a_file()] * 6, "attachments", "tối đa 5 tệp", 422),
    ({}, [a_file()] * 40, "attachments", "tối đa 5 tệp", 422),
    ({}, [a_file("cut.png", a_photo(64)[:60])], "attachments", "bị hỏng", 422),
]


@pytest.fixture
def citizen(app: FastAPI) -> AsyncClient:
    """A browser that keeps cookies and runs no script."""
    return phone(app)


@pytest.mark.parametrize(("typed", "files", "field", "says", "status"), BAD)
async def test_bad_input_is_told_at_its_field_with_all_that_was_typed_and_nothing_stored(
    app: FastAPI, citizen: AsyncClient, typed: dict[str, str], files: list[Any], field: str, says: str, status: int
) -> None:
    before = await rows(app)
    form = await filled(citizen, **{**TYPED, **typed})
    page = refused(await citizen.post("/", data=form, files=files or None), status)
    assert says in wrong_at(page, field)
    assert f'href="#f-{field}"' in page  # the list above the form leads there
    shown = unescape(page)
    for name, given in form.items():
        if name not in ("field", "area", "text"):
            assert value(page, name) == given.strip().replace("\x00", "\ufffd") or value(page, name) == given.strip()
    assert form["text"].strip() in shown
    assert await rows(app) == before


async def test_each_wrong_field_is_told_at_once(citizen: AsyncClient) -> None:
    page = refused(await citizen.post("/", data=await filled(citizen, text="", phone="abc", email="abc")), 422)
    assert all(wrong_at(page, name) for name in ("text", "phone", "email"))
    assert not wrong_at(page, "name")


async def test_files_chosen_have_to_be_chosen_again_and_that_is_said(citizen: AsyncClient) -> None:
    form = await filled(citizen, phone="abc")
    assert "chọn lại" in wrong_at((await citizen.post("/", data=form, files=[a_file()])).text, "attachments")
    with_script = await citizen.post("/", data={**form, "script": "1"}, files=[a_file()])
    assert not wrong_at(with_script.text, "attachments")  # the script has them still


async def test_the_longest_text_is_taken(app: FastAPI, citizen: AsyncClient) -> None:
    code = await sent(citizen, text="ă" * 10_000)
    async with state(app).database.transaction() as session:
        assert len((await case_of(session, code)).text) == 10_000


async def test_sent_twice_it_is_one_report_with_one_receipt(app: FastAPI, citizen: AsyncClient) -> None:
    form = await filled(citizen, **TYPED)
    before = await rows(app)
    answers = [await citizen.post("/", data=form, files=[a_file()]) for _ in range(3)]
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert (await rows(app))["cases"] == before["cases"] + 1


async def test_other_content_under_a_used_form_is_told_and_sent_as_another_report(citizen: AsyncClient) -> None:
    form = await filled(citizen)
    first = await citizen.post("/", data=form)
    form["text"] = "Một chuyện khác"
    page = refused(await citizen.post("/", data=form), 422)
    assert "nội dung khác" in words(page)
    assert "Một chuyện khác" in page
    form["key"] = value(page, "key")
    second = await citizen.post("/", data=form)
    assert second.status_code == 303
    assert second.headers["location"] != first.headers["location"]


async def test_a_browser_without_cookies_gets_its_receipt_as_the_answer(app: FastAPI) -> None:
    stranger = phone(app, cookies=False)
    form = await filled(stranger)
    stranger.cookies.clear()
    page = await stranger.post("/", data=form)
    assert page.status_code == 200
    assert re.search(r"BP-\d\d-\d+", words(page.text))
    assert "Khóa theo dõi" in words(page.text)


async def test_an_anonymous_report_keeps_no_contact_even_a_wrong_one(app: FastAPI, citizen: AsyncClient) -> None:
    code = await sent(citizen, **{**TYPED, "phone": "abc", "anonymous": "1"})
    async with state(app).database.transaction() as session:
        case = await case_of(session, code)
        assert (case.contact, case.citizen_id) == ({}, None)


async def test_what_was_ticked_holds(app: FastAPI, citizen: AsyncClient) -> None:
    ordinary, private = await sent(citizen), await sent(citizen, private="1", lat="11.53", lng="106.89")
    async with state(app).database.transaction() as session:
        assert (await case_of(session, ordinary)).public
        case = await case_of(session, private)
        assert (case.public, case.lat, case.lng) == (False, 11.53, 106.89)


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("phường Đồng Xoài", "dn-c-dong-xoai"),
        ("Đồng Xoài", "dn-c-dong-xoai"),  # the ward of today before the town of yesterday
        ("phuong dong xoai", "dn-c-dong-xoai"),
        ("phường Tân Phú, Đồng Xoài", "bp-c-dong-xoai-tan-phu"),  # an old name, as it was
        ("Tân Phú", None),  # several
        ("chợ gần nhà", None),
        ("", None),
    ],
)
async def test_the_name_of_a_commune_is_known_without_a_script(app: FastAPI, typed: str, code: str | None) -> None:
    here = state(app)
    async with here.database.transaction() as session:
        routing = await here.routing.get(session)
    assert unit_named(typed, routing, date(2026, 3, 3)) == code


async def test_a_name_in_doubt_is_kept_where_people_read_it(app: FastAPI, citizen: AsyncClient) -> None:
    code = await sent(citizen, address="Quốc lộ 14", unit="Tân Phú")
    async with state(app).database.transaction() as session:
        case = await case_of(session, code)
        assert (case.area, case.address) == (None, "Quốc lộ 14, Tân Phú")


@pytest.fixture
def one_report_a_minute(app: FastAPI) -> Iterator[None]:
    """Reports from one address are throttled."""
    here = state(app)
    was, here.throttle = here.throttle, ReportThrottle((1, 60), here.key)
    yield
    here.throttle = was


@pytest.mark.usefixtures("one_report_a_minute")
async def test_above_the_rate_the_form_comes_back_and_a_proof_of_work_sends_it(
    app: FastAPI, citizen: AsyncClient
) -> None:
    await sent(citizen)
    before = await rows(app)
    form = await filled(citizen, **TYPED)
    answer = await citizen.post("/", data=form, files=[a_file()])
    page = refused(answer, 429)
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert f"chờ {answer.headers['retry-after']} giây" in words(page)
    assert TYPED["text"] in page
    assert await rows(app) == before
    found = re.search(r'data-challenge="([^"]*)"', page)
    assert found is not None
    form["altcha"] = solved(json.loads(unescape(found[1])))
    assert (await citizen.post("/", data=form, files=[a_file()])).status_code == 303
    form["key"] = "another-form"
    refused(await citizen.post("/", data=form), 429)  # a proof counts once


@pytest.mark.usefixtures("one_report_a_minute")
async def test_a_report_sent_again_is_answered_above_the_rate_too(app: FastAPI, citizen: AsyncClient) -> None:
    form = await filled(citizen, **TYPED)
    first = await citizen.post("/", data=form, files=[a_file()])
    stored = await rows(app)
    again = await citizen.post("/", data=form, files=[a_file()])
    assert again.status_code == first.status_code == 303
    assert again.headers["location"] == first.headers["location"]
    refused(await citizen.post("/", data={**form, "text": "Việc khác"}, files=[a_file()]), 422)
    assert await rows(app) == stored


def solved(challenge: dict[str, Any]) -> str:
    """The answer to a challenge, as portal.js finds it."""
    number = next(
        n
        for n in range(int(challenge["maxNumber"]) + 1)
        if sha256(f"{challenge['salt']}{n}".encode()).hexdigest() == challenge["challenge"]
    )
    members = {name: challenge[name] for name in ("algorithm", "challenge", "salt", "signature")}
    return base64.b64encode(json.dumps({**members, "number": number}).encode()).decode()


@pytest.mark.parametrize("member", ["text", "address", "unit", "name", "phone", "email", "lat", "key", "area", "field"])
async def test_markup_in_any_member_is_shown_as_text(citizen: AsyncClient, member: str) -> None:
    evil = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}"
    answer = await citizen.post("/", data=await filled(citizen, **{"phone": "abc", member: evil}))
    assert "<script>alert" not in answer.text
    assert "<img" not in answer.text
    assert ">49<" not in answer.text


async def test_a_page_of_another_site_cannot_send_it(app: FastAPI, citizen: AsyncClient) -> None:
    before = await rows(app)
    answer = await citizen.post("/", data=await filled(citizen), headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert await rows(app) == before


async def test_in_english_mistakes_are_told_in_english(app: FastAPI) -> None:
    citizen = phone(app, lang="en")
    page = (await citizen.post("/", data=await filled(citizen, text="", phone="abc"))).text
    assert wrong_at(page, "text") == "Please write a few words about what happened."
    assert "phone number" in wrong_at(page, "phone")


async def test_the_form_asks_the_database_for_nothing_once_the_rules_are_known(
    app: FastAPI, citizen: AsyncClient
) -> None:
    await citizen.get("/")
    with statements(app) as seen:
        page = await citizen.get("/")
    assert not seen
    assert 'value="infra.road"' in page.text


@pytest.mark.parametrize(
    ("code", "since", "until", "offered"),
    [
        ("infra.since", "2020-01-01", None, True),
        ("infra.closed", "2020-01-01", "2020-06-01", False),
        ("infra.later", "2190-01-01", None, False),
    ],
)
async def test_the_form_offers_the_fields_of_today(
    citizen: AsyncClient, as_: As, code: str, since: str, until: str | None, offered: bool
) -> None:
    path = "/api/v1/admin/fields"
    made = await as_("admin").post(path, json={"code": code, "name": "Việc khác", "valid_from": since})
    assert made.status_code == 201, made.text
    if until:
        closed = await as_("admin").post(f"{path}/{code}/close", json={"valid_to": until})
        assert closed.status_code == 200, closed.text
    for page in ("/", "/cases"):
        assert (f'value="{code}"' in (await citizen.get(page)).text) is offered, page


@pytest.mark.parametrize(("agreed", "place"), [({"use_photo_location": "1"}, True), ({}, False)])
async def test_the_place_in_a_photo_is_read_only_where_its_sender_agrees(
    app: FastAPI, citizen: AsyncClient, agreed: dict[str, str], place: bool
) -> None:
    form = await filled(citizen, **agreed)
    answer = await citizen.post("/", data=form, files=[("attachments", ("a.jpg", a_placed_photo(), "image/jpeg"))])
    code = answer.headers["location"].removeprefix("/track/").removesuffix("?new=1")
    async with state(app).database.transaction() as session:
        case = await case_of(session, code)
        assert (case.lat is not None, case.lng is not None) == (place, place)


async def test_the_key_lies_in_a_cookie_for_the_tracking_pages_only(citizen: AsyncClient) -> None:
    answer = await citizen.post("/", data=await filled(citizen))
    cookie = answer.headers["set-cookie"]
    assert all(word in cookie for word in ("Path=/track;", "HttpOnly", "SameSite=lax"))
    assert "key=" not in answer.headers["location"]
    code = answer.headers["location"].removeprefix("/track/").removesuffix("?new=1")
    assert len(key_of(citizen, code)) == 6


async def test_search_engines_are_kept_from_what_is_one_persons(citizen: AsyncClient) -> None:
    told = (await citizen.get("/robots.txt")).text
    assert "Disallow: /track" in told
    assert "Disallow: /\n" not in told


async def test_nothing_of_a_report_is_told_to_other_sites(citizen: AsyncClient) -> None:
    page = await citizen.get("/")
    assert page.headers["referrer-policy"] == "same-origin"
    policy = page.headers["content-security-policy"]
    assert "'unsafe" not in policy
    assert "script-src 'self';" in policy


async def test_the_list_of_communes_knows_old_names_and_what_they_belong_to(client: AsyncClient) -> None:
    found = (await client.get("/api/v1/areas", params={"q": "tan phu"})).json()
    assert all(place["name"].startswith("Tân Phú") for place in found[:2])  # before names that only end so
    old = next(place for place in found if place["code"] == "bp-c-dong-xoai-tan-phu")
    assert (old["label"], old["within"], old["now"]) == ("Phường Tân Phú", "Thành phố Đồng Xoài", ["Phường Bình Phước"])
    living = (await client.get("/api/v1/areas", params={"q": "phường Đồng Xoài"})).json()[0]
    assert (living["label"], living["now"]) == ("Phường Đồng Xoài", [])
