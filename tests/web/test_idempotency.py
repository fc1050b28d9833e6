"""A report sent again under its key is the same report: however it is encoded, whoever takes it, at whatever moment."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from PIL import Image
from sqlalchemy import text

from channels import inbox
from core.db import Database
from tests.factories import As, state
from tests.web.problems import problem, stored, where
from web.app import build

URL = "/api/v1/reports"
BODY = {
    "text": "Đường hư nhiều ổ gà trước chợ",
    "field": "infra.road",
    "location": {"lat": 11.535, "lng": 106.883, "address": "Chợ Đồng Xoài"},
    "contact": {"name": "Trần Thị Lan", "phone": "0912 345 678"},
}
# The same report as other programs may write it.
TWINS: list[dict[str, Any]] = [
    dict(reversed(BODY.items())),
    {**BODY, "location": dict(reversed(BODY["location"].items()))},  # type: ignore[attr-defined]
    {**BODY, "public": True, "source": "web", "anonymous": False, "attachments": []},
    {**BODY, "text": "  Đường hư nhiều ổ gà trước chợ \n"},
    {**BODY, "text": "Đường hư nhiều ổ gà trước chợ"},  # decomposed letters
    {**BODY, "contact": {"name": "Trần Thị Lan", "phone": "+84912345678"}},
    {**BODY, "location": {"lat": 11.5350, "lng": 106.88300, "address": "Chợ Đồng Xoài", "area": None}},
]
OTHERS: list[dict[str, Any]] = [
    {**BODY, "text": "Đường hư nhiều ổ gà trước trường"},
    {**BODY, "field": "infra.light"},
    {**BODY, "contact": {"name": "Trần Thị Lan", "phone": "0912 345 679"}},
    {**BODY, "location": {"lat": 11.535, "lng": 106.884, "address": "Chợ Đồng Xoài"}},
    {**BODY, "public": False},
    {**BODY, "anonymous": True},
]


def photo(colour: int = 30) -> bytes:
    """A picture; another colour is another picture."""
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (200, colour, 30)).save(out, "JPEG")
    return out.getvalue()


def multipart(parts: list[tuple[str, str | None, bytes]], boundary: str) -> tuple[bytes, dict[str, str]]:
    """A form as bytes, with the boundary of one's choice."""
    body = b""
    for name, file, content in parts:
        kind = f'; filename="{file}"\r\nContent-Type: image/jpeg' if file else ""
        body += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{kind}\r\n\r\n'.encode() + content + b"\r\n"
        )
    return body + f"--{boundary}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def form(boundary: str = "aaa", *, colour: int = 30, name: str = "a.jpg", turned: bool = False) -> Any:
    """BODY with one photo: (bytes, headers)."""
    parts = [
        ("text", None, str(BODY["text"]).encode()),
        ("field", None, b"infra.road"),
        ("location", None, json.dumps(BODY["location"]).encode()),
        ("attachments", name, photo(colour)),
    ]
    return multipart(parts[::-1] if turned else parts, boundary)


async def send(client: AsyncClient, key: str, body: dict[str, Any]) -> Response:
    """One report as JSON."""
    return await client.post(URL, json=body, headers={"Idempotency-Key": key})


async def send_form(client: AsyncClient, key: str, sent: tuple[bytes, dict[str, str]]) -> Response:
    """One report as a form."""
    return await client.post(URL, content=sent[0], headers={**sent[1], "Idempotency-Key": key})


def same(first: Response, second: Response) -> None:
    """The client cannot tell the second answer from the first."""
    assert first.status_code == 201, first.text
    assert second.status_code == 201, second.text
    assert second.content == first.content


@pytest.fixture
async def second_process(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Another web process over the same database and files, sharing nothing in memory."""
    here = state(app)
    database = Database(here.database.dsn, pool=4)
    other = build(here.settings, database, here.adapters, demo=True)
    async with AsyncClient(transport=ASGITransport(other), base_url="http://1022.test") as client:
        yield client
    await database.close()


@pytest.mark.parametrize("twin", TWINS, ids=range(len(TWINS)))
async def test_the_same_report_again_gives_the_same_answer(
    app: FastAPI, client: AsyncClient, second_process: AsyncClient, twin: dict[str, Any]
) -> None:
    key = f"same-{TWINS.index(twin)}"
    first = await send(client, key, BODY)
    before = await stored(app)
    same(first, await send(client, key, twin))
    same(first, await send(second_process, key, twin))
    assert await stored(app) == before


@pytest.mark.parametrize("other", OTHERS, ids=range(len(OTHERS)))
async def test_another_report_under_a_used_key_is_refused(
    app: FastAPI, client: AsyncClient, other: dict[str, Any]
) -> None:
    key = f"other-{OTHERS.index(other)}"
    first = await send(client, key, BODY)
    before = await stored(app)
    told = problem(await send(client, key, other), 422)
    assert where(told) == ["Idempotency-Key"]
    assert "error" not in first.json()
    assert await stored(app) == before
    same(first, await send(client, key, BODY))  # the key still stands for the first one


async def test_a_form_with_a_photo_is_known_again_whatever_its_boundary_and_order(
    app: FastAPI, client: AsyncClient, second_process: AsyncClient
) -> None:
    first = await send_form(client, "photo", form())
    before = await stored(app)
    for again in (form(), form("zzz-another-boundary"), form("b", turned=True)):
        same(first, await send_form(client, "photo", again))
        same(first, await send_form(second_process, "photo", again))
    assert await stored(app) == before


async def test_another_photo_is_another_report(client: AsyncClient) -> None:
    await send_form(client, "other-photo", form())
    for other in (form(colour=200), form(name="b.jpg"), multipart([("text", None, b"x")], "aaa")):
        problem(await send_form(client, "other-photo", other), 422)
    problem(await send(client, "other-photo", BODY), 422)


@pytest.mark.parametrize("kind", ["json", "multipart"])
async def test_ten_that_arrive_at_once_are_one_case(
    app: FastAPI, client: AsyncClient, second_process: AsyncClient, kind: str
) -> None:
    before = await stored(app)
    people = [client, second_process] * 5
    if kind == "json":
        work = [send(person, "at-once-json", twin) for person, twin in zip(people, TWINS + TWINS, strict=False)]
    else:
        work = [send_form(person, "at-once-form", form(f"b{n}")) for n, person in enumerate(people)]
    answers = await asyncio.gather(*work)
    for answer in answers:
        same(answers[0], answer)
    after = await stored(app)
    assert after["cases"] - before["cases"] == 1
    assert after["received"] - before["received"] == 1
    assert after["entries"] - before["entries"] == 1
    assert after["outgoing"] - before["outgoing"] == 1
    assert after["attachments"] - before["attachments"] == (0 if kind == "json" else 1)


async def test_the_answer_stays_the_same_when_the_case_has_moved_on(client: AsyncClient, as_: As) -> None:
    first = await send(client, "moved-on", BODY)
    code = first.json()["code"]
    done = await as_("dispatcher").post(f"/api/v1/cases/{code}/forward", json={"lead": "so-xd"})
    assert done.status_code == 200
    same(first, await send(client, "moved-on", BODY))


async def test_web_and_app_keep_their_keys_apart(client: AsyncClient) -> None:
    first = await send(client, "both", BODY)
    second = await send(client, "both", {**BODY, "source": "app"})
    assert first.json()["code"] != second.json()["code"]


async def test_without_a_key_every_report_is_a_new_one(client: AsyncClient) -> None:
    answers = [await client.post(URL, json=BODY) for _ in range(2)]
    assert answers[0].json()["code"] != answers[1].json()["code"]


async def test_staff_open_a_case_once_per_key_and_forward_it_once(app: FastAPI, as_: As) -> None:
    body = {"text": "Người dân gọi báo ổ gà", "channel": "voice", "forward": {"lead": "so-xd"}}
    agent = as_("agent")
    answers = await asyncio.gather(
        *(agent.post("/api/v1/cases", json=body, headers={"Idempotency-Key": "staff"}) for _ in range(5))
    )
    assert [answer.status_code for answer in answers] == [201] * 5
    assert len({answer.json()["code"] for answer in answers}) == 1
    assert {answer.json()["status"] for answer in answers} == {"forwarded"}
    problem(await agent.post("/api/v1/cases", json={**body, "text": "x"}, headers={"Idempotency-Key": "staff"}), 422)


async def test_after_thirty_days_a_key_is_free_and_the_old_report_stays(app: FastAPI, client: AsyncClient) -> None:
    here = state(app)
    first = await send(client, "thirty-days", BODY)
    at = datetime.now(UTC)
    for day, forgotten in ((29, False), (31, True)):
        async with here.database.transaction() as session:
            freed = await inbox.forget_keys(session, at + timedelta(days=day))
        assert bool(freed) is forgotten
    second = await send(client, "thirty-days", {**BODY, "text": "Một chuyện khác"})
    assert second.status_code == 201, second.text
    assert second.json()["code"] != first.json()["code"]
    shown = await client.get(f"{URL}/{first.json()['code']}", headers={"Tracking-Key": first.json()["tracking_key"]})
    assert shown.json()["text"] == BODY["text"]
    async with here.database.transaction() as session:
        kept = await session.scalar(text("SELECT count(*) FROM received WHERE subject_id IS NOT NULL"))
        cases = await session.scalar(text("SELECT count(*) FROM cases"))
    assert kept == cases
