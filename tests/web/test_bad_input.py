"""What is not fit to be kept is refused in words, in the reader's language, and leaves nothing behind."""

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from altcha import v1 as altcha
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from PIL import Image
from sqlalchemy import text

from cases.codes import damm
from core import auth
from core.errors import TooMany
from routing.queries import RoutingCache
from tests.factories import PASSWORD, As, Drive, a_report, state
from tests.web.problems import problem, stored, where
from web.throttle import ReportThrottle

URL = "/api/v1/reports"
GOOD = {"text": "Đường hư nhiều ổ gà trước chợ", "field": "infra.road"}
JSON = {"Content-Type": "application/json"}
EXE = b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00" + bytes(2000)
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
OVERSIZED = 50 << 20


def jpeg() -> bytes:
    """A small honest picture."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 30, 30)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture(params=["vi", "en"])
def reader(request: pytest.FixtureRequest) -> dict[str, str]:
    """A reader of either language, as headers."""
    return {"Accept-Language": str(request.param)}


# What is sent as JSON → status, and the member that must be named.
BODIES: list[tuple[str, Any, str]] = [
    ("empty text", {"text": ""}, "text"),
    ("white space only", {"text": " \n\t\u00a0\u3000 "}, "text"),
    ("text of 10,001 characters", {"text": "ă" * 10_001}, "text"),
    ("no text", {"field": "infra.road"}, "text"),
    ("text that is a number", {"text": 1022}, "text"),
    ("text that is null", {"text": None}, "text"),
    ("NUL in the text", {"text": "ổ gà\x00"}, "text"),
    ("another control character in the text", {"text": "ổ \x1b[2J gà"}, "text"),
    ("NUL in the name", {**GOOD, "contact": {"name": "Lan\x00", "phone": "0912345678"}}, "contact.name"),
    ("NUL in the address", {**GOOD, "location": {"address": "12\x00 Hùng Vương"}}, "location.address"),
    ("NUL in a field code", {**GOOD, "field": "infra.road\x00"}, "field"),
    ("unknown field", {**GOOD, "field": "infra.nothing"}, "field"),
    ("unknown area", {**GOOD, "location": {"area": "nowhere"}}, "location.area"),
    ("unknown member", {**GOOD, "txet": "x"}, "txet"),
    ("unknown member of the place", {**GOOD, "location": {"latitude": 11.5}}, "location.latitude"),
    ("latitude outside the world", {**GOOD, "location": {"lat": 90.1, "lng": 106.8}}, "location.lat"),
    ("longitude outside the world", {**GOOD, "location": {"lat": 11.5, "lng": -180.5}}, "location.lng"),
    ("an enormous latitude", {**GOOD, "location": {"lat": 1e308, "lng": 106.8}}, "location.lat"),
    ("latitude alone", {**GOOD, "location": {"lat": 11.5}}, "location"),
    ("longitude alone", {**GOOD, "location": {"lng": 106.8}}, "location"),
    ("latitude in words", {**GOOD, "location": {"lat": "bắc", "lng": 106.8}}, "location.lat"),
    ("a place that is a list", {**GOOD, "location": [11.5, 106.8]}, "location"),
    ("phone abc", {**GOOD, "contact": {"phone": "abc"}}, "contact.phone"),
    ("phone of two digits", {**GOOD, "contact": {"phone": "12"}}, "contact.phone"),
    ("phone with NUL", {**GOOD, "contact": {"phone": "0912\x00345678"}}, "contact.phone"),
    ("phone too long", {**GOOD, "contact": {"phone": "0" * 41}}, "contact.phone"),
    ("bad e-mail", {**GOOD, "contact": {"email": "lan tại nhà"}}, "contact.email"),
    ("e-mail with NUL", {**GOOD, "contact": {"email": "lan\x00@example.vn"}}, "contact.email"),
    ("e-mail without a host", {**GOOD, "contact": {"email": "lan@"}}, "contact.email"),
    ("attachments in JSON", {**GOOD, "attachments": ["a.jpg"]}, "attachments"),
    ("unknown source", {**GOOD, "source": "zalo"}, "source"),
    ("anonymous in words", {**GOOD, "anonymous": "có lẽ"}, "anonymous"),
]


@pytest.mark.parametrize(("body", "member"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES])
async def test_a_member_that_does_not_fit_is_named_and_nothing_is_stored(
    app: FastAPI, client: AsyncClient, reader: dict[str, str], body: Any, member: str
) -> None:
    before = await stored(app)
    told = problem(await client.post(URL, content=json.dumps(body), headers={**JSON, **reader}), 422)
    assert where(told) == [member]
    assert await stored(app) == before


# Raw bodies: what they are, bytes, content type, status, the member named.
RAW: list[tuple[str, bytes, str, int, str]] = [
    ("nothing at all", b"", "application/json", 422, "body"),
    ("cut off", b'{"text": "x', "application/json", 422, "body"),
    ("an array", b'[{"text": "x"}]', "application/json", 422, "body"),
    ("a string", b'"x"', "application/json", 422, "body"),
    ("null", b"null", "application/json", 422, "body"),
    ("not UTF-8", b'{"text": "\xff\xfe"}', "application/json", 422, "body"),
    ("UTF-16", '{"text": "x"}'.encode("utf-16"), "application/json", 422, "body"),
    ("half a character", b'{"text": "\\ud83d"}', "application/json", 422, "body"),
    ("half a character as a name", b'{"text": "x", "\\ud83d": 1}', "application/json", 422, "body"),
    ("NaN as latitude", b'{"text": "x", "location": {"lat": NaN, "lng": 1}}', "application/json", 422, "location.lat"),
    ("infinity", b'{"text": "x", "location": {"lat": Infinity, "lng": 1}}', "application/json", 422, "location.lat"),
    ("1e999", b'{"text": "x", "location": {"lat": 1e999, "lng": 1}}', "application/json", 422, "location.lat"),
    ("deep nesting", b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "application/json", 422, "body"),
    ("a number of 10,000 digits", b'{"text": ' + b"9" * 10_000 + b"}", "application/json", 422, "body"),
    ("XML", b"<text>x</text>", "application/xml", 415, "Content-Type"),
    ("plain text", b'{"text": "x"}', "text/plain", 415, "Content-Type"),
    ("a form", b"text=x", "application/x-www-form-urlencoded", 415, "Content-Type"),
    ("multipart without boundary", b"text=x", "multipart/form-data", 422, "body"),
    (
        "multipart cut off",
        b'--b\r\nContent-Disposition: form-data; name="te',
        "multipart/form-data; boundary=b",
        422,
        "text",
    ),
    ("multipart of something else", b"hello", "multipart/form-data; boundary=b", 422, "body"),
    (
        "multipart in a charset that cannot read it",
        b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\n\xff\xff\r\n--b--\r\n',
        "multipart/form-data; boundary=b; charset=punycode",
        422,
        "body",
    ),
]


@pytest.mark.parametrize(("raw", "kind", "status", "member"), [row[1:] for row in RAW], ids=[row[0] for row in RAW])
async def test_a_body_that_cannot_be_read_is_refused_in_words(
    app: FastAPI, client: AsyncClient, reader: dict[str, str], raw: bytes, kind: str, status: int, member: str
) -> None:
    before = await stored(app)
    told = problem(await client.post(URL, content=raw, headers={"Content-Type": kind, **reader}), status)
    assert where(told) == [member]
    assert await stored(app) == before


# Parts of a multipart form: name, file name, bytes → status, the member named, the code of the complaint.
FORMS: list[tuple[str, list[tuple[str, Any]], int, str]] = [
    ("an exe named jpg", [("attachments", ("a.jpg", EXE, "image/jpeg"))], 415, "attachments[0]"),
    ("an svg", [("attachments", ("a.svg", SVG, "image/svg+xml"))], 415, "attachments[0]"),
    ("an svg named png", [("attachments", ("a.png", SVG, "image/png"))], 415, "attachments[0]"),
    (
        "a good one and then an exe",
        [("attachments", ("a.jpg", jpeg(), "image/jpeg")), ("attachments", ("b.jpg", EXE, "image/jpeg"))],
        415,
        "attachments[1]",
    ),
    ("an empty file", [("attachments", ("a.jpg", b"", "image/jpeg"))], 422, "attachments[0]"),
    ("half a picture", [("attachments", ("a.jpg", jpeg()[:200], "image/jpeg"))], 422, "attachments[0]"),
    ("200 files", [("attachments", (f"{n}.jpg", jpeg(), "image/jpeg")) for n in range(200)], 422, "attachments"),
    ("400 files", [("attachments", (f"{n}.jpg", jpeg(), "image/jpeg")) for n in range(400)], 422, "body"),
    ("a file under another name", [("photo", ("a.jpg", jpeg(), "image/jpeg"))], 422, "photo"),
    ("a text twice", [("text", (None, b"other"))], 422, "text"),
    ("a place that is no JSON", [("location", (None, b"{lat: 1}"))], 422, "location"),
    ("a place nested without end", [("location", (None, b"[" * 100_000))], 422, "location"),
    ("a place at NaN", [("location", (None, b'{"lat": NaN, "lng": 1}'))], 422, "location.lat"),
    ("half a character in the place", [("location", (None, b'{"address": "\\ud83d"}'))], 422, "location.address"),
    ("half a character as a name", [("location", (None, b'{"\\ud83d": 1}'))], 422, "location"),
    ("NUL in an unknown member", [("no\x00te", (None, b"x"))], 422, "no%00te"),
    ("unknown member", [("note", (None, b"x"))], 422, "note"),
    (
        "a photo with an unknown field",
        [("field", (None, b"a.b")), ("attachments", ("a.jpg", jpeg(), "image/jpeg"))],
        422,
        "field",
    ),
]


@pytest.mark.parametrize(("parts", "status", "member"), [row[1:] for row in FORMS], ids=[row[0] for row in FORMS])
async def test_a_form_that_does_not_fit_is_refused_as_a_whole(
    app: FastAPI, client: AsyncClient, reader: dict[str, str], parts: list[tuple[str, Any]], status: int, member: str
) -> None:
    before = await stored(app)
    told = problem(await client.post(URL, files=[("text", (None, b"x")), *parts], headers=reader), status)
    assert where(told) == [member]
    assert await stored(app) == before


async def test_a_text_of_exactly_10_000_characters_is_taken(client: AsyncClient) -> None:
    code, key = await a_report(client, text="ă" * 10_000)
    shown = (await client.get(f"{URL}/{code}", headers={"Tracking-Key": key})).json()
    assert shown["text"] == "ă" * 10_000


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=b"])
async def test_50_mb_are_refused_by_their_announcement_before_they_are_read(
    app: FastAPI, client: AsyncClient, reader: dict[str, str], kind: str
) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    before = await stored(app)
    headers = {"Content-Type": kind, "Content-Length": str(OVERSIZED), **reader}
    told = problem(await client.post(URL, content=never(), headers=headers), 413)
    assert where(told) == ["body"]
    assert await stored(app) == before


@pytest.mark.parametrize(
    "kind", ["application/json", "multipart/form-data; boundary=b", "Multipart/Form-Data; boundary=b"]
)
async def test_50_mb_that_come_unannounced_are_refused_when_the_limit_is_reached(
    app: FastAPI, client: AsyncClient, kind: str
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        start = b'--b\r\nContent-Disposition: form-data; name="attachments"; filename="a.jpg"\r\n\r\n'
        yield start if "b" in kind.partition("boundary=")[2] else b'{"text": "'
        while sent < OVERSIZED:
            sent += 1 << 20
            yield b"x" * (1 << 20)

    before = await stored(app)
    problem(await client.post(URL, content=endless(), headers={"Content-Type": kind}), 413)
    assert await stored(app) == before


# The last one is longer than Python turns into a number.
@pytest.mark.parametrize("length", ["99999999999999999999", "9" * 5000])
async def test_an_absurd_announcement_is_too_large_too(client: AsyncClient, length: str) -> None:
    problem(await client.post(URL, content=b"{}", headers={**JSON, "Content-Length": length}), 413)


# Header, value: ASCII that can be seen, at most 200 of them.
KEYS = ["k" * 201, "has space", "nul\x00", "xuống", "", "tab\tin it"]


@pytest.mark.parametrize("key", KEYS, ids=[repr(key[:10]) for key in KEYS])
async def test_an_idempotency_key_that_cannot_be_kept_is_refused(app: FastAPI, client: AsyncClient, key: str) -> None:
    before = await stored(app)
    sent = [(b"idempotency-key", key.encode()), (b"content-type", b"application/json")]
    told = problem(await client.post(URL, content=json.dumps(GOOD), headers=sent), 422)
    assert where(told) == ["header.idempotency-key"]
    assert await stored(app) == before


async def test_a_key_of_200_characters_is_taken(client: AsyncClient) -> None:
    answer = await client.post(URL, json=GOOD, headers={"Idempotency-Key": "k" * 200})
    assert answer.status_code == 201


# Method, path as sent, status.
PLACES: list[tuple[str, str, int]] = [
    ("GET", "/api/v1/cases/BP%00-26-0482134", 404),
    ("GET", "/api/v1/cases/%E0%A4%A", 404),
    ("GET", "/api/v1/cases/%ED%A0%80", 404),
    ("GET", "/api/v1/cases/BP-%D9%A2%D9%A6-0482134", 404),  # Arabic digits are digits to Python
    ("GET", "/api/v1/cases/BP-26-%D9%A0%D9%A4%D9%A8%D9%A2%D9%A1%D9%A3%D9%A4", 404),
    ("GET", "/api/v1/cases/BP-26-" + "0" * 5000, 404),
    ("GET", "/api/v1/cases?q=a%00b", 422),
    ("GET", "/api/v1/cases?assigned=a%00b", 422),
    ("GET", "/api/v1/cases?status=received%00", 422),
    ("GET", "/api/v1/cases?status=done", 422),
    ("GET", "/api/v1/cases?field=a%00b", 422),
    ("GET", "/api/v1/cases?cursor=a%00b", 422),
    ("GET", "/api/v1/cases?cursor=ffffffffffffffffffffff." + "0" * 32, 422),
    ("GET", "/api/v1/cases?limit=0", 422),
    ("GET", "/api/v1/cases?limit=201", 422),
    ("GET", "/api/v1/cases?limit=" + "9" * 5000, 422),
    ("GET", "/api/v1/cases?late=perhaps", 422),
    ("GET", "/api/v1/cases?received_to=9999-12-31", 422),
    ("GET", "/api/v1/cases?received_from=0001-01-01", 422),
    ("GET", "/api/v1/cases?received_from=yesterday", 422),
    ("GET", "/api/v1/attachments/not-a-uuid", 422),
    ("GET", "/api/v1/areas?lat=NaN&lng=1", 422),
    ("GET", "/api/v1/departments?on=31-12-2026", 422),
    ("GET", "/feed/v1/events?after=-1", 422),
    ("GET", "/feed/v1/events?after=9223372036854775808", 422),
    ("GET", "/api/v1/nowhere", 404),
    ("PATCH", "/api/v1/cases", 405),
    ("POST", "/api/v1/cases/BP-26-0482134/rate", 404),
]


@pytest.mark.parametrize(("method", "path", "status"), PLACES, ids=[f"{row[0]} {row[1][:50]}" for row in PLACES])
async def test_a_path_or_query_that_does_not_fit_is_a_problem_document(
    as_: As, reader: dict[str, str], method: str, path: str, status: int
) -> None:
    told = problem(await as_("supervisor").request(method, path, headers=reader), status)
    if status == 422 and "cursor" not in path:
        assert where(told)[0].startswith(("query.", "path."))


@pytest.mark.parametrize("version", ["seven", '"7', "²", "9" * 20, "-1", ""])
async def test_an_if_match_that_is_no_version_is_refused(client: AsyncClient, as_: As, version: str) -> None:
    code, _ = await a_report(client)
    answer = await as_("agent").post(
        f"/api/v1/cases/{code}/note", json={"text": "x"}, headers=[(b"if-match", version.encode("latin-1"))]
    )
    # One quotation mark alone is read as the number it holds.
    assert (answer.status_code == 412) if version == '"7' else where(problem(answer, 422)) == ["If-Match"]


# Action, who, body → the member named.
ACTIONS: list[tuple[str, str, Any, str]] = [
    ("forward", "dispatcher", {}, "lead"),
    ("forward", "dispatcher", {"lead": "so-khong-co"}, "lead"),
    ("forward", "dispatcher", {"lead": "so-xd", "supporting": ["so-khong-co"]}, "supporting.0"),
    ("forward", "dispatcher", {"lead": "so-xd", "supporting": ["so-xd"]}, "supporting"),
    ("forward", "dispatcher", {"lead": "so-xd", "supporting": ["x"] * 21}, "supporting"),
    ("forward", "dispatcher", {"lead": "so-xd", "to": "x"}, "to"),
    ("classify", "agent", {"field": "a.b"}, "field"),
    ("classify", "agent", {"urgency": "soon"}, "urgency"),
    ("classify", "agent", {"area": "x\x00"}, "area"),
    ("refuse", "agent", {"reason_code": "because"}, "reason_code"),
    ("note", "agent", {"text": "x" * 10_001}, "text"),
    ("note", "agent", {"text": "a\x00"}, "text"),
    ("merge", "agent", {"into": "BP-26-0000000"}, "into"),
    ("assign_officer", "agent", {}, "officer"),
    ("assign_officer", "agent", {"officer": "nobody@nowhere"}, "officer"),
    ("set_track", "supervisor", {"track": "secret"}, "track"),
    ("reveal_identity", "agent", {}, "reason"),
    ("hand_over", "agent", {"to": "115"}, "text"),
    ("hand_over", "agent", {"to": "1022", "text": "x"}, "to"),
    ("classify", "agent", {"asset_owner": "the_moon"}, "asset_owner"),
    ("classify", "agent", {"flags": ["x"]}, "flags"),
    ("classify", "agent", {"competence": "perhaps"}, "competence"),
]


@pytest.mark.parametrize(
    ("action", "who", "body", "member"), ACTIONS, ids=[f"{row[0]} {str(row[2])[:40]}" for row in ACTIONS]
)
async def test_an_action_that_is_told_wrongly_names_the_member_and_changes_nothing(
    app: FastAPI, client: AsyncClient, as_: As, reader: dict[str, str], action: str, who: str, body: Any, member: str
) -> None:
    code, _ = await a_report(client)
    before = await stored(app)
    answer = await as_(who).post(f"/api/v1/cases/{code}/{action}", json=body, headers=reader)
    assert where(problem(answer, 422)) == [member]
    assert await stored(app) == before
    assert (await as_(who).get(f"/api/v1/cases/{code}")).json()["version"] == 1


@pytest.mark.parametrize("raw", [b"{", b"[]", b"1", b'"x"', b"[" * 100_000, b'{"text": ' + b"9" * 5000 + b"}"])
async def test_an_action_whose_body_is_no_object_is_refused(client: AsyncClient, as_: As, raw: bytes) -> None:
    code, _ = await a_report(client)
    answer = await as_("agent").post(f"/api/v1/cases/{code}/note", content=raw, headers=JSON)
    assert where(problem(answer, 422)) == ["body"]


async def test_half_a_character_in_an_action_is_refused(app: FastAPI, client: AsyncClient, as_: As) -> None:
    code, _ = await a_report(client)
    before = await stored(app)
    for raw, member in ((b'{"text": "\\ud83d"}', "text"), (b'{"text": "x", "\\ud83d": 1}', "body")):
        answer = await as_("agent").post(f"/api/v1/cases/{code}/note", content=raw, headers=JSON)
        assert where(problem(answer, 422)) == [member]
    assert await stored(app) == before


async def test_an_action_the_status_forbids_says_what_is_allowed(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, reader: dict[str, str]
) -> None:
    code, _ = await a_report(client)
    await drive(code, "forwarded")
    before = await stored(app)
    answer = await as_("dispatcher").post(f"/api/v1/cases/{code}/forward", json={"lead": "so-yte"}, headers=reader)
    told = problem(answer, 409)
    assert told["case_status"] == "forwarded"
    assert "recall" in told["allowed"]
    assert "forward" not in told["allowed"]
    assert "recall" in told["detail"]
    assert await stored(app) == before


# ---- keys


def mistyped(code: str) -> str:
    """The code with another check digit."""
    return code[:-1] + str((int(code[-1]) + 1) % 10)


def unknown(code: str) -> str:
    """A well-formed code that no case has."""
    digits = code[3:5] + "999999"
    return f"{code[:3]}{digits[:2]}-{digits[2:]}{damm(digits)}"


def shown(answer: Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    """All that a guesser sees of an answer."""
    return answer.status_code, answer.content, sorted(answer.headers.items())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", None),
        ("/messages", {"text": "x"}),
        ("/rating", {"rating": 5}),
        ("/reopen", {"reason": "x"}),
        ("/chase", {}),
    ],
)
async def test_a_wrong_key_looks_exactly_like_an_unknown_code(
    app: FastAPI, client: AsyncClient, path: str, body: Any
) -> None:
    code, key = await a_report(client)
    before = await stored(app)
    tries = [(code, "AAAAAA"), (code, None), (code, key + "A"), (unknown(code), key), (mistyped(code), key), ("x", key)]
    answers = []
    for tried, with_key in tries:
        headers = {"Tracking-Key": with_key} if with_key else {}
        url = f"{URL}/{tried}{path}"
        answers.append(
            await (
                client.post(url, json=body, headers=headers) if body is not None else client.get(url, headers=headers)
            )
        )
    problem(answers[0], 404)
    assert len({str(shown(answer)) for answer in answers}) == 1
    assert await stored(app) == before


async def test_the_key_is_taken_as_people_type_it(client: AsyncClient) -> None:
    code, key = await a_report(client)
    for typed in (code.lower(), code.replace("-", ""), code.replace("-", " ")):
        answer = await client.get(f"{URL}/{typed}", params={"key": f" {key.lower()} "})
        assert answer.status_code == 200, typed


async def test_a_refusal_that_comes_first_takes_nothing_from_those_after_it(app: FastAPI, client: AsyncClient) -> None:
    code, key = await a_report(client)
    state(app).routing = RoutingCache()  # as in a process that has just started
    problem(await client.get(f"{URL}/{code}", headers={"Tracking-Key": "AAAAAA"}), 404)
    assert (await client.get(f"{URL}/{code}", headers={"Tracking-Key": key})).status_code == 200


@pytest.fixture
async def throttled(app: FastAPI) -> AsyncIterator[Callable[[str], AsyncClient]]:
    """The application with throttles on: a client at an address of one's choice."""
    here = state(app)
    here.rates.update({"key": (3, 300), "login": (3, 300), "report": (2, 60)})
    here.throttle = ReportThrottle(here.rates["report"], here.key)
    made: list[AsyncClient] = []

    def at(address: str) -> AsyncClient:
        transport = ASGITransport(app, client=(address, 4000))
        made.append(AsyncClient(transport=transport, base_url="http://1022.test"))
        return made[-1]

    yield at
    async with here.database.transaction() as session:
        await session.execute(text("DELETE FROM throttles"))
    here.rates.clear()
    here.throttle = ReportThrottle(None, here.key)
    for each in made:
        await each.aclose()


async def test_guessing_keys_ends_in_429_with_retry_after(
    client: AsyncClient, throttled: Callable[[str], AsyncClient], reader: dict[str, str]
) -> None:
    guesser = throttled("203.0.113.1")
    code, key = await a_report(throttled("203.0.113.2"))
    for _ in range(3):
        problem(await guesser.get(f"{URL}/{code}", headers={"Tracking-Key": "AAAAAA"}), 404)
    refused = await guesser.get(f"{URL}/{code}", headers={"Tracking-Key": "AAAAAB", **reader})
    problem(refused, 429)
    assert 0 < int(refused.headers["retry-after"]) <= 301
    # The address may not try other codes either; another case at another address is not disturbed.
    problem(await guesser.get(f"{URL}/{unknown(code)}", headers={"Tracking-Key": key}), 429)
    other, other_key = await a_report(throttled("203.0.113.3"))
    assert (
        await throttled("203.0.113.4").get(f"{URL}/{other}", headers={"Tracking-Key": other_key})
    ).status_code == 200


async def test_guessing_one_code_from_many_addresses_is_throttled_by_the_code(
    throttled: Callable[[str], AsyncClient],
) -> None:
    code, _ = await a_report(throttled("203.0.113.10"))
    answers = [
        await throttled(f"203.0.113.{n}").get(f"{URL}/{code}", headers={"Tracking-Key": "AAAAAA"})
        for n in range(11, 15)
    ]
    assert [answer.status_code for answer in answers] == [404, 404, 404, 429]


async def test_mistyped_codes_of_strangers_do_not_add_up(throttled: Callable[[str], AsyncClient]) -> None:
    for n in range(20, 26):
        problem(await throttled(f"203.0.113.{n}").get(f"{URL}/BP-26-0000001", headers={"Tracking-Key": "AAAAAA"}), 404)


async def test_many_wrong_keys_at_once_exhaust_no_connections(throttled: Callable[[str], AsyncClient]) -> None:
    async with asyncio.timeout(10):  # waiting for a second connection would take the pool's twenty seconds
        answers = await asyncio.gather(
            *(
                throttled(f"198.51.100.{n}").get(f"{URL}/BP-26-{n:06d}0", headers={"Tracking-Key": "AAAAAA"})
                for n in range(40)
            )
        )
    assert {answer.status_code for answer in answers} <= {404, 429}


async def test_wrong_keys_at_once_are_answered_no_oftener_than_one_after_the_other(
    throttled: Callable[[str], AsyncClient],
) -> None:
    guesser = throttled("203.0.113.30")
    code, key = await a_report(throttled("203.0.113.31"))
    answers = await asyncio.gather(
        *(guesser.get(f"{URL}/{code}", headers={"Tracking-Key": f"AAAA{n}"}) for n in range(22, 62))
    )
    assert sorted(answer.status_code for answer in answers) == [404] * 3 + [429] * 37
    assert all(0 < int(answer.headers["retry-after"]) <= 301 for answer in answers if answer.status_code == 429)
    problem(await throttled("203.0.113.32").get(f"{URL}/{code}", headers={"Tracking-Key": key}), 429)


async def test_right_keys_are_never_counted(app: FastAPI, throttled: Callable[[str], AsyncClient]) -> None:
    reader = throttled("203.0.113.40")
    code, key = await a_report(reader)
    answers = await asyncio.gather(*(reader.get(f"{URL}/{code}", headers={"Tracking-Key": key}) for _ in range(12)))
    assert {answer.status_code for answer in answers} == {200}
    async with state(app).database.transaction() as session:
        assert await session.scalar(text("SELECT count(*) FROM throttles")) == 0


def login(client: AsyncClient, email: str, password: str) -> Any:
    """One try."""
    return client.post("/api/v1/auth/token", data={"username": email, "password": password})


async def test_guessing_passwords_is_throttled_but_locks_nobody_out_elsewhere(
    throttled: Callable[[str], AsyncClient], reader: dict[str, str]
) -> None:
    guesser = throttled("192.0.2.1")
    for _ in range(3):
        problem(await login(guesser, "agent@demo", "wrong"), 401)
    refused = await guesser.post(
        "/api/v1/auth/token", data={"username": "agent@demo", "password": PASSWORD}, headers=reader
    )
    problem(refused, 429)
    assert int(refused.headers["retry-after"]) > 0
    # The same address may not go on with other accounts, nor by the other door.
    problem(await login(guesser, "head@demo", PASSWORD), 429)
    problem(await guesser.post("/api/v1/auth/session", data={"username": "head@demo", "password": PASSWORD}), 429)
    # The right password from elsewhere is served, for this account and for others.
    assert (await login(throttled("192.0.2.2"), "AGENT@demo ", PASSWORD)).status_code == 200
    assert (await login(throttled("192.0.2.2"), "head@demo", PASSWORD)).status_code == 200


async def test_guessing_one_password_from_many_addresses_is_throttled_by_the_account(
    app: FastAPI, throttled: Callable[[str], AsyncClient]
) -> None:
    state(app).rates["login"] = (1, 300)
    for n in range(10):
        problem(await login(throttled(f"192.0.2.{n + 10}"), "leader@demo", "wrong"), 401)
    problem(await login(throttled("192.0.2.99"), "leader@demo", PASSWORD), 429)


async def test_unknown_and_known_accounts_look_the_same(client: AsyncClient) -> None:
    answers = [
        await login(client, email, "wrong") for email in ("agent@demo", "nobody@demo", "'; --", "agent@demo\x00")
    ]
    assert len({answer.content for answer in answers[:3]}) == 1
    problem(answers[0], 401)
    problem(answers[3], 422)


async def test_reports_above_the_rate_are_served_for_a_proof_of_work_and_for_one_only(
    app: FastAPI, throttled: Callable[[str], AsyncClient], reader: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.throttle.COST", 500)
    citizen = throttled("198.51.100.200")
    for _ in range(2):
        await a_report(citizen)
    before = await stored(app)
    refused = await citizen.post(URL, json=GOOD, headers=reader)
    told = problem(refused, 429)
    assert int(refused.headers["retry-after"]) > 0
    assert await stored(app) == before

    asked = told["challenge"]
    solved = altcha.solve_challenge(asked["challenge"], asked["salt"], asked["algorithm"], asked["maxNumber"])
    assert solved is not None
    proof = base64.b64encode(
        json.dumps(
            {**{name: asked[name] for name in ("algorithm", "challenge", "salt", "signature")}, "number": solved.number}
        ).encode()
    ).decode()
    assert (await citizen.post(URL, json=GOOD, headers={"Altcha": proof})).status_code == 201
    after = await stored(app)
    problem(await citizen.post(URL, json=GOOD, headers={"Altcha": proof}), 429)  # the same proof again
    for forged in ("", "nonsense", base64.b64encode(b'{"challenge": 1}').decode(), proof[:-8]):
        problem(await citizen.post(URL, json=GOOD, headers={"Altcha": forged}), 429)
    assert await stored(app) == after
    await a_report(throttled("198.51.100.201"))  # nobody else is asked


@pytest.mark.parametrize("rate", [(0, 60), (1, 60)])
async def test_a_rate_of_none_asks_for_a_proof_from_the_start(rate: tuple[int, int]) -> None:
    throttle = ReportThrottle(rate, b"k" * 32)
    for _ in range(rate[0]):
        throttle.check("a", None)
    with pytest.raises(TooMany):
        throttle.check("a", None)


async def test_wrong_passwords_at_once_are_tried_no_oftener_than_one_after_the_other(
    throttled: Callable[[str], AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    matches = auth._matches

    def counted(stored: str, password: str) -> bool:
        tried.append(password)
        return matches(stored, password)

    monkeypatch.setattr(auth, "_matches", counted)
    guesser = throttled("192.0.2.30")
    words = [f"wrong-{n}" for n in range(19)] + [PASSWORD]
    answers = await asyncio.gather(*(login(guesser, "agent@demo", word) for word in words))
    assert sorted(answer.status_code for answer in answers) == [401] * 3 + [429] * 17
    assert len(tried) == 3


async def test_a_shift_that_signs_in_at_once_behind_one_address_is_let_in(
    app: FastAPI, throttled: Callable[[str], AsyncClient]
) -> None:
    office = throttled("192.0.2.40")
    people = [f"{name}@demo" for name in ("agent", "dispatcher", "supervisor", "officer", "head", "leader")] * 2
    answers = await asyncio.gather(*(login(office, who, PASSWORD) for who in people))
    assert [answer.status_code for answer in answers] == [200] * 12
    async with state(app).database.transaction() as session:
        assert not await session.scalar(text("SELECT sum(count) FROM throttles"))


async def test_a_right_password_takes_back_its_own_try_and_forgives_no_other_account(
    throttled: Callable[[str], AsyncClient],
) -> None:
    desk = throttled("192.0.2.50")
    for who, word, status in (
        ("agent@demo", "wrong", 401),
        ("agent@demo", "wrong", 401),
        ("agent@demo", PASSWORD, 200),
        ("agent@demo", PASSWORD, 200),
        ("head@demo", "wrong", 401),  # the third wrong one of the address
        ("head@demo", PASSWORD, 429),
    ):
        assert (await login(desk, who, word)).status_code == status


async def test_an_account_named_like_an_address_uses_up_nothing_of_that_address(
    throttled: Callable[[str], AsyncClient],
) -> None:
    for n in range(60, 64):
        await login(throttled(f"192.0.2.{n}"), "192.0.2.69", "wrong")
    assert (await login(throttled("192.0.2.69"), "agent@demo", PASSWORD)).status_code == 200
