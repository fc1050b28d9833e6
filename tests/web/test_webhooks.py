"""Vendors knock: what is signed is kept once and answered at once, what is not leaves nothing but a count."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from prometheus_client import REGISTRY
from sqlmodel import col, select

from channels.facebook.sending import Facebook
from channels.models import Received
from channels.telegram.sending import Telegram
from tests.factories import state

APP_SECRET, SECRET_TOKEN = "app-secret", "secret-token"


async def no_files(sha256: str) -> bytes:
    """None of these sends a file."""
    raise FileNotFoundError(sha256)


@pytest.fixture(scope="module", autouse=True)
async def vendors(app: FastAPI) -> AsyncIterator[None]:
    """Two channels that vendors push to."""
    here = state(app)
    before = here.adapters
    here.adapters = {
        **before,
        "facebook": Facebook("1111", "page-token", APP_SECRET, "verify-token", read=no_files),
        "telegram": Telegram("42:token", SECRET_TOKEN, read=no_files),
    }
    yield
    here.adapters = before


def a_comment(number: int, text: str = "Ổ gà trước cổng trường") -> dict[str, Any]:
    """One message of one person to the page."""
    return {
        "sender": {"id": "99"},
        "recipient": {"id": "1111"},
        "timestamp": 1_700_000_000_000 + number,
        "message": {"mid": f"m_{number}", "text": text},
    }


def a_post(*events: dict[str, Any]) -> bytes:
    """As Meta sends it: every letter beyond ASCII escaped, slashes too."""
    body = {"object": "page", "entry": [{"id": "1111", "time": 1, "messaging": list(events)}]}
    return json.dumps(body).replace("/", "\\/").encode()


def signed(body: bytes, secret: str = APP_SECRET) -> dict[str, str]:
    """The header of a genuine request."""
    return {"X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


async def rows(app: FastAPI, channel: str) -> list[Received]:
    """What is kept of a channel."""
    async with state(app).database.transaction() as session:
        found = await session.exec(select(Received).where(Received.channel == channel).order_by(col(Received.id)))
        return list(found.all())


async def test_a_signed_batch_is_kept_event_by_event_and_once(app: FastAPI, client: AsyncClient) -> None:
    body = a_post(a_comment(1), a_comment(2, "thêm ảnh đây"))
    answers = [await client.post("/webhooks/facebook", content=body, headers=signed(body)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    kept = [row for row in await rows(app, "facebook") if row.external_id in ("m_1", "m_2")]
    assert [(row.kind, row.sender, row.account) for row in kept] == [("message", "facebook:99", "1111")] * 2
    assert "\\u1ed4" in body.decode()  # the signature was made over escaped bytes


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Hub-Signature-256": "sha256=" + "0" * 64}, {"X-Hub-Signature-256": ""}, signed(b"other"), "wrong secret"],
    ids=["missing", "zeros", "empty", "of other bytes", "of another secret"],
)
async def test_a_wrong_signature_leaves_nothing_but_a_count(
    app: FastAPI, client: AsyncClient, headers: dict[str, str] | str
) -> None:
    body = a_post(a_comment(3))
    given = signed(body, "another") if isinstance(headers, str) else headers
    before = REGISTRY.get_sample_value("hotline_webhook_refused_total", {"channel": "facebook"}) or 0
    answer = await client.post("/webhooks/facebook", content=body, headers=given)
    assert answer.status_code == 403
    assert answer.json()["title"] == "Không được phép"
    assert not [row for row in await rows(app, "facebook") if row.external_id == "m_3"]
    assert REGISTRY.get_sample_value("hotline_webhook_refused_total", {"channel": "facebook"}) == before + 1


async def test_a_genuine_repetition_an_hour_later_is_taken(app: FastAPI, client: AsyncClient, clock: Any) -> None:
    body = a_post(a_comment(4))
    clock.move(hours=1)
    assert (await client.post("/webhooks/facebook", content=body, headers=signed(body))).status_code == 200
    assert [row.external_id for row in await rows(app, "facebook")].count("m_4") == 1


@pytest.mark.parametrize("body", [b"", b"{", b"[1, 2]", b"\xff\xfe\x00", b'{"object": "page"}', b"null", b"{}" * 9])
async def test_what_is_genuine_and_unreadable_is_kept_and_answered(
    app: FastAPI, client: AsyncClient, body: bytes
) -> None:
    before = len(await rows(app, "facebook"))
    answer = await client.post("/webhooks/facebook", content=body, headers=signed(body))
    assert answer.status_code == 200
    after = await rows(app, "facebook")
    assert len(after) - before in (0, 1)
    for row in after[before:]:
        assert row.run_at is None


async def test_the_subscription_is_greeted_with_its_challenge(client: AsyncClient) -> None:
    asked = {"hub.mode": "subscribe", "hub.verify_token": "verify-token", "hub.challenge": "8675309"}
    answer = await client.get("/webhooks/facebook", params=asked)
    assert (answer.status_code, answer.text) == (200, "8675309")
    refused = await client.get("/webhooks/facebook", params={**asked, "hub.verify_token": "guessed"})
    assert refused.status_code == 403


async def test_twenty_at_once_of_one_event_are_one_row(app: FastAPI, client: AsyncClient) -> None:
    update = {"update_id": 7, "message": {"message_id": 1, "date": 1, "chat": {"id": 5, "type": "private"},
              "from": {"id": 5, "first_name": "Lan"}, "text": "Mất nước"}}  # fmt: skip
    headers = {"X-Telegram-Bot-Api-Secret-Token": SECRET_TOKEN}
    answers = await asyncio.gather(
        *(client.post("/webhooks/telegram", json=update, headers=headers) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len(await rows(app, "telegram")) == 1


async def test_a_channel_that_is_not_set_up_is_not_found(client: AsyncClient) -> None:
    for path in ("/webhooks/zalo", "/webhooks/web", "/webhooks/twilio/sms", "/webhooks/none"):
        assert (await client.post(path, content=b"{}")).status_code == 404


async def test_a_body_without_end_is_refused(client: AsyncClient) -> None:
    assert (await client.post("/webhooks/facebook", content=b"x" * (2 << 20))).status_code == 413
