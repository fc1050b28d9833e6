"""Open311 GeoReport v2: what is published is read, what is sent becomes a case, and nothing else is told."""

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from altcha import v1 as altcha
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from core.settings import Settings, parse_keys
from tests.factories import As, Drive, a_report, case_of, done, state
from tests.web.problems import stored
from web.open311.formats import CHALLENGE
from web.throttle import ReportThrottle

URL = "/open311/v2"
KEY, OTHER_KEY = "city-app-key-0001", "website-key-00002"
GOOD = {"service_code": "infra.road", "lat": "11.5349", "long": "106.8832", "description": "Ổ gà lớn trước chợ"}
LISTS = {"endpoints", "formats", "services", "attributes", "service_requests", "errors"}
MEMBERS = [
    "service_request_id",
    "status",
    "status_notes",
    "service_name",
    "service_code",
    "description",
    "agency_responsible",
    "service_notice",
    "requested_datetime",
    "updated_datetime",
    "expected_datetime",
    "address",
    "address_id",
    "zipcode",
    "lat",
    "long",
    "media_url",
]


@pytest.fixture(scope="module", autouse=True)
def clients(app: FastAPI) -> None:
    """Two clients have keys."""
    state(app).settings.open311_keys = f"city-app:{KEY},website:{OTHER_KEY}"


@pytest.fixture(scope="module")
async def known(client: AsyncClient, as_: As, drive: Drive) -> list[str]:
    """Codes of three published cases, oldest first, and of one that is not published."""
    codes = []
    for n, field in enumerate(("infra.road", "infra.light", "infra.road")):
        area = {"area": "dn-c-dong-xoai"} if n == 2 else {"address": "12 hẻm bí mật"}
        contact = {"name": "Tên riêng", "phone": "0912345678", "email": "rieng@example.vn"}
        code, _ = await a_report(client, text=f"Lời riêng {n}", field=field, location=area, contact=contact)
        await drive(code, "replied")
        await done(as_("agent"), code, "publish", {"public_text": f"Bản tóm tắt số {n} <i> & \ufffe"})
        codes.append(code)
    hidden, _ = await a_report(client, text="Chưa công khai")
    await drive(hidden, "replied")
    return [*codes, hidden]


def spark(element: ElementTree.Element) -> Any:
    """The value of an XML element by the Spark convention; every text stays a text."""
    if element.tag in LISTS:
        return [spark(each) for each in element]
    if len(element):
        return {each.tag: spark(each) for each in element}
    return element.text


def as_texts(value: Any) -> Any:
    """A JSON value with every plain member as the text that XML would hold."""
    if isinstance(value, dict):
        return {name: as_texts(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_texts(each) for each in value]
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value).replace("\ufffe", "\ufffd")


def root_of(answer: Response) -> ElementTree.Element:
    """The XML document of an answer, after checking how it announces itself."""
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    assert answer.text.startswith('<?xml version="1.0" encoding="utf-8"?>\n')
    return ElementTree.fromstring(answer.content)


def errors(answer: Response, status: int) -> str:
    """The descriptions of a refusal in either format, after checking its shape."""
    assert answer.status_code == status, answer.text
    if answer.headers["content-type"].startswith("text/xml"):
        root = root_of(answer)
        assert root.tag == "errors"
        told = spark(root)
    else:
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        told = answer.json()
        assert all(type(each["code"]) is int for each in told)
    assert told
    assert all(set(each) == {"code", "description"} and int(each["code"]) == status for each in told)
    return " ".join(each["description"] for each in told)


async def listed(client: AsyncClient, **query: Any) -> list[str]:
    """Ids of the requests that a query finds."""
    answer = await client.get(f"{URL}/requests.json", params=query)
    assert answer.status_code == 200, answer.text
    return [each["service_request_id"] for each in answer.json()]


async def send(
    client: AsyncClient, form: dict[str, Any] | None = None, format: str = "json", **headers: str
) -> Response:
    """A request sent as a form."""
    return await client.post(f"{URL}/requests.{format}", data=GOOD if form is None else form, headers=headers)


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("discovery", "discovery"),
        ("services", "services"),
        ("services/infra.road", "service_definition"),
        ("requests", "service_requests"),
        ("requests/{code}", "service_requests"),
        ("services/nothing", "errors"),
        ("requests/BP-26-0000000", "errors"),
        ("requests?start_date=never", "errors"),
        ("tokens/12345", "errors"),
    ],
)
async def test_both_formats_say_the_same(client: AsyncClient, known: list[str], path: str, root: str) -> None:
    resource, _, query = path.format(code=known[0]).partition("?")
    xml = await client.get(f"{URL}/{resource}.xml?{query}")
    plain = await client.get(f"{URL}/{resource}.json?{query}")
    assert plain.headers["content-type"] == "application/json; charset=utf-8"
    assert xml.status_code == plain.status_code
    document = root_of(xml)
    assert document.tag == root
    assert spark(document) == as_texts(plain.json())


async def test_discovery_names_the_interface(client: AsyncClient) -> None:
    told = (await client.get(f"{URL}/discovery.json")).json()
    assert set(told) == {"changeset", "contact", "key_service", "endpoints"}
    (endpoint,) = told["endpoints"]
    assert endpoint == {
        "specification": "http://wiki.open311.org/GeoReport_v2",
        "url": "http://127.0.0.1:8022/open311/v2",
        "changeset": told["changeset"],
        "type": "test",  # the demo's
        "formats": ["text/xml", "application/json"],
    }


async def test_the_services_are_the_living_fields_and_the_changeset_moves_with_them(
    client: AsyncClient, as_: As
) -> None:
    before = (await client.get(f"{URL}/discovery.json")).json()["changeset"]
    services = (await client.get(f"{URL}/services.json")).json()
    road = next(each for each in services if each["service_code"] == "infra.road")
    assert set(road) == {
        "service_code", "service_name", "description", "metadata", "type", "keywords", "group"
    }  # fmt: skip
    assert (road["metadata"], road["type"]) == (False, "realtime")
    assert "infra" not in {each["service_code"] for each in services}  # groups are not reported
    assert "infra.water" in {each["service_code"] for each in services}
    closed = await as_("admin").post("/api/v1/admin/fields/infra.water/close", json={"valid_to": "2026-01-02"})
    assert closed.status_code == 200, closed.text
    state_now = (await client.get(f"{URL}/services.json")).json()
    assert "infra.water" not in {each["service_code"] for each in state_now}
    errors(await client.get(f"{URL}/services/infra.water.json"), 404)
    errors(await send(client, {**GOOD, "service_code": "infra.water"}), 404)
    assert (await client.get(f"{URL}/discovery.json")).json()["changeset"] != before
    await as_("admin").post("/api/v1/admin/fields/infra.water/reopen", json={})


async def test_a_service_needs_nothing_besides(client: AsyncClient) -> None:
    told = await client.get(f"{URL}/services/infra.road.json")
    assert told.json() == {"service_code": "infra.road", "attributes": []}


async def test_a_published_request_shows_what_was_checked_and_nothing_private(
    client: AsyncClient, known: list[str]
) -> None:
    answer = await client.get(f"{URL}/requests/{known[2]}.json")
    (shown,) = answer.json()
    assert list(shown) == MEMBERS
    assert shown["service_request_id"] == known[2]
    assert shown["description"] == "Bản tóm tắt số 2 <i> & \ufffe"
    assert (shown["status"], shown["service_code"]) == ("closed", "infra.road")
    assert shown["address"].startswith("Phường Đồng Xoài")
    assert shown["requested_datetime"].endswith("+07:00")
    assert shown["media_url"] is shown["expected_datetime"] is None
    everything = (await client.get(f"{URL}/requests.xml")).text + (await client.get(f"{URL}/requests.json")).text
    for private in ("Lời riêng", "Tên riêng", "hẻm bí mật", "912345678", "rieng@", "Chưa công khai", known[3]):
        assert private not in everything


async def test_a_request_that_is_not_public_is_like_one_that_never_was(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, known: list[str]
) -> None:
    unknown = await client.get(f"{URL}/requests/BP-26-0000000.json")
    for path in (known[3], "x", "%00", "BP-26-0000000"):
        answer = await client.get(f"{URL}/requests/{path}.json")
        assert (answer.status_code, answer.content) == (404, unknown.content)
    assert await listed(client, service_request_id=",".join(known)) == known[2::-1]
    for away in ("unpublish", "reopen", "no longer agreed"):
        code, _ = await a_report(client)
        await drive(code, "replied")
        await done(as_("agent"), code, "publish", {"public_text": "Công khai"})
        assert (await client.get(f"{URL}/requests/{code}.json")).status_code == 200
        assert code in await listed(client)
        if away in ("unpublish", "reopen"):
            await done(as_("agent"), code, away, {"reason": "Có tên người"})
        else:
            async with state(app).database.transaction() as session:
                await session.execute(text("UPDATE cases SET public = false WHERE code = :code"), {"code": code})
        answer = await client.get(f"{URL}/requests/{code}.json")
        assert (answer.status_code, answer.content) == (404, unknown.content), away
        assert code not in await listed(client)
        assert await listed(client, service_request_id=code) == []
    code, _ = await a_report(client)
    await drive(code, "replied")
    await done(as_("agent"), code, "publish", {"public_text": "Công khai"})
    with pytest.raises(IntegrityError, match="never_published"):  # nothing published is ever restricted
        async with state(app).database.transaction() as session:
            await session.execute(
                text("UPDATE cases SET restricted = true, track = 'denunciation' WHERE code = :code"), {"code": code}
            )
    await done(as_("agent"), code, "unpublish", {"reason": "Có tên người"})


async def test_a_request_sent_is_a_case_that_its_sender_can_follow(app: FastAPI, client: AsyncClient) -> None:
    form = {
        **GOOD,
        "api_key": KEY,
        "jurisdiction_id": "127.0.0.1",
        "first_name": "Lan",
        "last_name": "Trần Thị",
        "phone": "0912 345 678",
        "email": "Lan@Example.vn",
        "address_string": "Chợ Đồng Xoài",
        "address_id": "77",
        "device_id": "abc",
        "account_id": "5",
        "media_url": "http://127.0.0.1:1/never-fetched.jpg",
        "attribute[depth]": "30 cm",
        "attribute[seen][]": ["sáng", "tối"],
    }
    answer = await send(client, form)
    assert answer.status_code == 201, answer.text
    (told,) = answer.json()
    assert set(told) == {"service_request_id", "service_notice", "account_id"}
    async with state(app).database.transaction() as session:
        case = await case_of(session, told["service_request_id"])
    assert (case.channel, case.field, case.public, case.status) == ("open311", "infra.road", True, "received")
    assert (case.lat, case.lng, case.address) == (11.5349, 106.8832, "Chợ Đồng Xoài")
    assert case.contact == {"name": "Trần Thị Lan", "phone": "+84912345678", "email": "lan@example.vn"}
    assert case.text.splitlines() == [
        "Ổ gà lớn trước chợ",
        "depth: 30 cm",
        "seen: sáng, tối",
        "Liên kết gửi kèm: http://127.0.0.1:1/never-fetched.jpg",
    ]
    key = told["service_notice"].partition("&key=")[2][:6]
    followed = await client.get(f"/api/v1/reports/{case.code}", headers={"Tracking-Key": key})
    assert followed.status_code == 200
    errors(await client.get(f"{URL}/requests/{case.code}.json"), 404)  # not published
    (xml,) = spark(root_of(await send(client, format="xml")))
    assert set(xml) == {"service_request_id", "service_notice", "account_id"}


async def test_without_a_description_the_service_says_what_it_is_about(app: FastAPI, client: AsyncClient) -> None:
    sent = await send(client, {"service_code": "infra.road", "address_string": "Chợ", "description": ""})
    assert sent.status_code == 201, sent.text
    async with state(app).database.transaction() as session:
        case = await case_of(session, sent.json()[0]["service_request_id"])
    names = {each["service_code"]: each["service_name"] for each in (await client.get(f"{URL}/services.json")).json()}
    assert case.text == names["infra.road"]


BAD: list[tuple[dict[str, str | None], int, str]] = [
    ({"service_code": None}, 400, "service_code"),
    ({"service_code": ""}, 400, "service_code"),  # empty is absent
    ({"service_code": "atlantis"}, 404, "service_code"),
    ({"service_code": "infra"}, 404, "service_code"),  # a group
    ({"lat": None, "long": None}, 400, "address_string"),
    ({"lat": None, "long": None, "address_id": "5"}, 400, "address_id"),
    ({"lat": None}, 400, "lat"),
    ({"lat": "91"}, 400, "lat"),
    ({"long": "NaN"}, 400, "long"),
    ({"long": "east"}, 400, "long"),
    ({"description": "x" * 4001}, 400, "description"),
    ({"description": "a\0b"}, 400, "description"),
    ({"media_url": "http://x/" + "x" * 2000}, 400, "media_url"),
    ({"address_string": "x" * 501}, 400, "address_string"),
    ({"phone": "12"}, 400, "phone"),
    ({"email": "nobody"}, 400, "email"),
    ({"first_name": "x" * 201}, 400, "first_name"),
    ({"jurisdiction_id": "sfgov.org"}, 404, "jurisdiction_id"),
    ({"api_key": "wrong"}, 403, "api_key"),
    ({"api_key": KEY[:-1]}, 403, "api_key"),
    ({"api_key": "khóa"}, 403, "api_key"),
]


@pytest.mark.parametrize(("change", "status", "named"), BAD)
@pytest.mark.parametrize("format", ["json", "xml"])
async def test_a_request_that_cannot_be_is_refused_in_its_own_format_and_keeps_nothing(
    app: FastAPI, client: AsyncClient, change: dict[str, str | None], status: int, named: str, format: str
) -> None:
    before = await stored(app)
    form = {name: value for name, value in {**GOOD, **change}.items() if value is not None}
    assert named in errors(await send(client, form, format), status)
    assert await stored(app) == before


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", json.dumps(GOOD)),
        ("multipart/form-data; boundary=x", "--x--"),
        ("text/plain", urlencode(GOOD)),
        ("", urlencode(GOOD)),
    ],
)
async def test_only_a_form_is_taken(client: AsyncClient, kind: str, body: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    assert "x-www-form-urlencoded" in errors(
        await client.post(f"{URL}/requests.xml", content=body, headers=headers), 400
    )


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "", 404),
        ("GET", "/nothing.json", 404),
        ("GET", "/services", 404),
        ("GET", "/services.html", 404),
        ("GET", "/requests.yaml", 404),
        ("POST", "/services.json", 405),
        ("DELETE", "/requests.xml", 405),
        ("GET", "/services.json?jurisdiction_id=sfgov.org", 404),
        ("GET", "/discovery.xml?jurisdiction_id=sfgov.org", 404),
        ("GET", "/tokens/BP-26-0000000.json", 404),
    ],
)
async def test_whatever_is_asked_the_errors_have_the_shape_of_the_specification(
    client: AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, URL + path)
    errors(answer, status)
    assert ("json" in answer.headers["content-type"]) == (path.partition("?")[0].endswith(".json"))


@pytest.mark.parametrize("given", ["", "127.0.0.1", "www.127.0.0.1", " 127.0.0.1 "])
async def test_the_one_jurisdiction_may_be_named_or_left_out(client: AsyncClient, given: str) -> None:
    assert (await client.get(f"{URL}/services.json", params={"jurisdiction_id": given})).status_code == 200


async def test_errors_speak_the_readers_language(client: AsyncClient) -> None:
    answer = await send(client, {**GOOD, "service_code": "atlantis"}, **{"Accept-Language": "en"})
    assert errors(answer, 404) == "service_code was not found."


async def test_the_same_key_and_content_give_the_same_request(app: FastAPI, client: AsyncClient) -> None:
    mine = {"Idempotency-Key": "once"}
    first = await send(client, {**GOOD, "api_key": KEY}, **mine)
    before = await stored(app)
    again = await send(client, {**GOOD, "api_key": KEY}, **mine)
    assert (again.status_code, again.content) == (201, first.content)
    errors(await send(client, {**GOOD, "api_key": KEY, "description": "Khác"}, **mine), 400)
    assert await stored(app) == before
    others = [await send(client, form, **mine) for form in ({**GOOD, "api_key": OTHER_KEY}, GOOD)]
    codes = {each.json()[0]["service_request_id"] for each in (first, *others)}
    assert len(codes) == 3  # the keys of other clients are other keys


@pytest.fixture
def throttled(app: FastAPI) -> Iterator[None]:
    """One request a minute without a key, two with one."""
    here = state(app)
    before = here.throttle, here.clients
    here.throttle, here.clients = ReportThrottle((1, 60), here.key), ReportThrottle((2, 60), here.key)
    yield
    here.throttle, here.clients = before


async def test_above_the_rate_a_proof_of_work_is_asked_for(
    app: FastAPI, client: AsyncClient, throttled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.throttle.COST", 500)
    assert (await send(client)).status_code == 201
    before = await stored(app)
    refused = await send(client)
    errors(refused, 429)
    assert int(refused.headers["retry-after"]) > 0
    assert await stored(app) == before
    assert (await send(client, format="xml", Altcha=solved(refused))).status_code == 201
    errors(await send(client, Altcha=solved(refused)), 429)  # the same proof again
    assert (await send(client, {**GOOD, "api_key": KEY})).status_code == 201  # a key is counted by itself


async def test_each_key_has_a_rate_of_its_own(app: FastAPI, client: AsyncClient, throttled: None) -> None:
    mine, theirs = {**GOOD, "api_key": KEY}, {**GOOD, "api_key": OTHER_KEY}
    assert [(await send(client, form)).status_code for form in (mine, mine, mine, theirs)] == [201, 201, 429, 201]
    elsewhere = ASGITransport(app, client=("192.0.2.9", 4000))
    async with AsyncClient(transport=elsewhere, base_url="http://1022.test") as other:
        errors(await send(other, mine), 429)  # from wherever it comes


def solved(refused: Response) -> str:
    """The proof of work that a refusal asks for."""
    asked = json.loads(refused.headers[CHALLENGE])
    found = altcha.solve_challenge(asked["challenge"], asked["salt"], asked["algorithm"], asked["maxNumber"])
    assert found is not None
    members = {name: asked[name] for name in ("algorithm", "challenge", "salt", "signature")}
    return base64.b64encode(json.dumps({**members, "number": found.number}).encode()).decode()


async def test_requests_are_narrowed_by_what_is_asked(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, known: list[str]
) -> None:
    async with state(app).database.transaction() as session:
        cases = [await case_of(session, code) for code in known[:3]]
        for n, case in enumerate(cases):  # 40 days apart, the last one of now
            case.received_at -= timedelta(days=40 * (2 - n))
            case.published_at = case.received_at + timedelta(days=3)
            session.add(case)
    a, b, _ = [
        (case.received_at.isoformat(timespec="seconds"), case.published_at.isoformat(timespec="seconds"))  # type: ignore[union-attr]
        for case in cases
    ]
    oldest, middle, newest = known[:3]
    ours = {"service_request_id": ",".join(known)}
    table: list[tuple[dict[str, Any], list[str]]] = [
        ({"service_code": "infra.light"}, [middle]),
        ({"service_code": "infra.light,infra.road", "page_size": 2}, [newest, middle]),
        ({"service_code": "atlantis"}, []),
        ({"status": "open"}, []),
        ({"status": ["open", "closed"], "service_code": "infra.light"}, [middle]),
        ({"status": "open,closed", "service_code": "infra.light"}, [middle]),
        ({"start_date": a[0], "end_date": a[0]}, [oldest]),  # both ends belong to it
        ({"start_date": a[0], "end_date": b[0]}, [middle, oldest]),
        ({"start_date": a[0].replace("+00:00", " 00:00"), "end_date": a[0]}, [oldest]),  # a plus not escaped
        ({"start_date": a[0].replace("+00:00", "Z"), "end_date": a[0]}, [oldest]),
        ({"start_date": a[0]}, [newest, middle, oldest]),  # 90 days from there
        ({"end_date": b[0]}, [middle, oldest]),  # 90 days before
        ({"start_date": "", "end_date": "", "status": "", "service_code": "infra.light"}, [middle]),  # empty is absent
        ({"updated_after": b[1], "updated_before": b[1]}, [middle]),
        ({"updated_after": a[1], "updated_before": b[1]}, [middle, oldest]),
        ({"updated_after": a[1], "start_date": b[0], "end_date": b[0]}, [middle]),
        ({**ours, "page_size": 1}, [newest]),
        ({**ours, "page_size": 1, "page": 3}, [oldest]),
        ({**ours, "page": 2}, []),
        ({**ours, "status": "open", "start_date": "never"}, [newest, middle, oldest]),  # ids override everything
        ({"service_request_id": f"{oldest.lower()},nonsense,BP-26-0000000"}, [oldest]),
    ]
    for query, found in table:
        assert [code for code in await listed(client, **query) if code in known] == found, query
    recent = await listed(client)
    assert {newest, middle, oldest} <= set(recent)
    async with state(app).database.transaction() as session:
        old = await case_of(session, oldest)
        old.received_at -= timedelta(days=11)
        session.add(old)
    assert oldest not in await listed(client)  # the last 90 days
    assert oldest in await listed(client, updated_before=old.published_at.isoformat())  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"start_date": "2026-01-01"}, "start_date"),  # without a zone
        ({"start_date": "2026-01-01T00:00:00"}, "start_date"),
        ({"start_date": "yesterday"}, "start_date"),
        ({"start_date": "0001-01-01T00:00:00+14:00"}, "start_date"),
        ({"end_date": "9999-12-31T23:59:59-12:00"}, "end_date"),
        ({"start_date": "2026-01-01T00:00:00Z", "end_date": "2026-04-01T00:00:01Z"}, "90"),
        ({"start_date": "2026-01-02T00:00:00Z", "end_date": "2026-01-01T00:00:00Z"}, "start_date"),
        ({"updated_after": "2026-01-01T00:00:00Z", "updated_before": "2027-01-01T00:00:00Z"}, "updated_after"),
        ({"status": "done"}, "status"),
        ({"page": "0"}, "page"),
        ({"page": "-1"}, "page"),
        ({"page": "1001"}, "page"),
        ({"page": "²"}, "page"),
        ({"page_size": "1001"}, "page_size"),
        ({"page_size": "many"}, "page_size"),
        ({"service_code": "a\0b"}, "service_code"),
        ({"service_request_id": ",".join(f"a{n}" for n in range(201))}, "service_request_id"),
        ({"service_code": "x" * 4001}, "service_code"),
    ],
)
async def test_a_question_that_cannot_be_names_its_parameter(
    client: AsyncClient, query: dict[str, str], named: str
) -> None:
    assert named in errors(await client.get(f"{URL}/requests.json", params=query), 400)


PARAMETERS = st.dictionaries(
    st.sampled_from(
        [
            "service_request_id",
            "service_code",
            "start_date",
            "end_date",
            "status",
            "updated_after",
            "updated_before",
            "page",
            "page_size",
            "jurisdiction_id",
            "lat",
            "long",
            "address_string",
            "description",
            "phone",
            "email",
            "first_name",
            "api_key",
            "media_url",
            "attribute[x]",
            "attribute[]",
            "attribute[x][]",
        ]
    ),
    st.one_of(
        st.text(max_size=40),
        st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()),
        st.integers().map(str),
        st.floats().map(str),
        st.sampled_from(
            ["infra.road", "open", "closed", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00+99:99", ",", "%", "\0"]
        ),
    ),
    max_size=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(members=PARAMETERS, form=st.sampled_from(["xml", "json"]), post=st.booleans())
async def test_no_parameters_bring_it_down(client: AsyncClient, members: dict[str, str], form: str, post: bool) -> None:
    sent = urlencode(members, errors="surrogatepass")
    if post:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await client.post(f"{URL}/requests.{form}", content=sent, headers=headers)
    else:
        answer = await client.get(f"{URL}/requests.{form}?{sent}")
    if answer.status_code in (200, 201):
        spark(root_of(answer)) if form == "xml" else answer.json()
    else:
        assert answer.status_code in (400, 403, 404), answer.text
        errors(answer, answer.status_code)


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        ("", {}),
        (f"a:{KEY}", {"a": KEY}),
        (f" a:{KEY} , b.c_d-e:{OTHER_KEY},", {"a": KEY, "b.c_d-e": OTHER_KEY}),
        (f"a:{KEY}:with:colons", {"a": f"{KEY}:with:colons"}),
    ],
)
def test_keys_are_read(given: str, keys: dict[str, str]) -> None:
    assert parse_keys(given) == keys


@pytest.mark.parametrize(
    "given",
    [
        "nonsense",
        "a:short",
        f":{KEY}",
        f"a/b:{KEY}",
        "a:khóa-có-dấu-tiếng-việt",
        f"a:{KEY},a:{OTHER_KEY}",
        f"a:{KEY},b:{KEY}",
    ],
)
def test_keys_that_cannot_be_are_refused_without_being_told(given: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(open311_keys=given)
    assert KEY not in str(refused.value)
