"""Whoever is not the vendor leaves nothing but a count, on every channel; the vendor itself may come late and again."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response
from prometheus_client import REGISTRY
from sqlmodel import select

from channels.models import Received
from channels.registry import House, adapters_for
from core.settings import Settings
from tests.factories import Clock, state

PUBLIC = "https://1022.example"
TEXT = "Ổ gà trước Trường Tiểu học Tân Phú, phường Bình Phước"
KEYS = {
    "zalo_app_id": "1234567890123456789", "zalo_app_secret": "app-secret", "zalo_oa_id": "4318657068771012646",
    "zalo_oa_secret_key": "oa-secret", "zalo_refresh_token": "rt", "facebook_page_id": "1111",
    "facebook_page_token": "page-token", "facebook_app_secret": "app-secret", "facebook_verify_token": "verify-me",
    "telegram_token": "42:token", "telegram_secret_token": "our-secret", "twilio_account_sid": "AC" + "0" * 32,
    "twilio_auth_token": "token", "twilio_number": "+842713891022", "public_url": PUBLIC,
}  # fmt: skip


@dataclass(frozen=True)
class Post:
    """A webhook: its bytes and headers."""

    body: bytes
    headers: Mapping[str, str]
    path: str = ""


def zalo(number: int, secret: str = "oa-secret", **other: str) -> Post:
    """As Zalo signs: a plain hash with the secret last. `other` replaces what the hash is made of."""
    event = {
        "app_id": KEYS["zalo_app_id"], "event_name": "user_send_text", "timestamp": str(1_772_500_000_000 + number),
        "sender": {"id": f"70{number}"}, "recipient": {"id": KEYS["zalo_oa_id"]},
        "message": {"msg_id": f"z{number}", "text": TEXT},
    }  # fmt: skip
    body = json.dumps(event, ensure_ascii=False).encode()
    hashed = other.get("body", body.decode()) + other.get("time", str(event["timestamp"]))
    mac = hashlib.sha256(f"{event['app_id']}{hashed}{secret}".encode()).hexdigest()
    return Post(body, {"X-ZEvent-Signature": f"mac={mac}"}, "/webhooks/zalo")


def facebook(number: int, secret: str = "app-secret", **other: str) -> Post:
    """As Meta signs: HMAC over the escaped bytes as they are sent."""
    item = {
        "sender": {"id": f"99{number}"}, "recipient": {"id": "1111"}, "timestamp": 1_772_500_000_000 + number,
        "message": {"mid": f"f{number}", "text": TEXT},
    }  # fmt: skip
    whole = {"object": "page", "entry": [{"id": "1111", "time": 1, "messaging": [item]}]}
    body = json.dumps(whole).replace("/", "\\/").encode()
    assert b"\\u1ed4" in body
    mac = hmac.new(secret.encode(), other.get("body", body.decode()).encode(), hashlib.sha256).hexdigest()
    return Post(body, {"X-Hub-Signature-256": f"sha256={mac}"}, "/webhooks/facebook")


def unescaped(body: bytes) -> str:
    """What a receiver would sign that read the JSON before it verified."""
    return json.dumps(json.loads(body), ensure_ascii=False)


def telegram(number: int, secret: str = "our-secret") -> Post:
    """Telegram signs nothing and repeats our secret."""
    message = {
        "message_id": number, "date": 1_772_500_000, "chat": {"id": number, "type": "private"},
        "from": {"id": number, "is_bot": False, "first_name": "Lan"}, "text": TEXT,
    }  # fmt: skip
    body = json.dumps({"update_id": number, "message": message}).encode()
    return Post(body, {"X-Telegram-Bot-Api-Secret-Token": secret}, "/webhooks/telegram")


def sms(number: int, secret: str = "token", **other: str) -> Post:
    """As Twilio signs: the address and the sorted fields."""
    fields = {
        "MessageSid": f"SM{number:032}", "SmsSid": f"SM{number:032}", "AccountSid": str(KEYS["twilio_account_sid"]),
        "From": f"+8491200{number:04}", "To": "+842713891022", "Body": TEXT, "NumMedia": "0",
    }  # fmt: skip
    signed = fields | ({"Body": other["body"]} if "body" in other else {})
    text = other.get("address", f"{PUBLIC}/webhooks/twilio/sms") + "".join(k + signed[k] for k in sorted(signed))
    mac = base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()
    headers = {"X-Twilio-Signature": mac, "Content-Type": "application/x-www-form-urlencoded"}
    return Post(urlencode(fields).encode(), headers, "/webhooks/twilio/sms")


def bare(post: Post) -> Post:
    """Without any signature."""
    return Post(post.body, {n: v for n, v in post.headers.items() if n == "Content-Type"}, post.path)


def damaged(post: Post) -> Post:
    """Its signature with one letter changed."""
    name = next(name for name in post.headers if name != "Content-Type")
    value = post.headers[name]
    last = "a" if value[-3] != "a" else "b"
    return Post(post.body, {**post.headers, name: f"{value[:-3]}{last}{value[-2:]}"}, post.path)


GENUINE: dict[str, Callable[[int], Post]] = {"zalo": zalo, "facebook": facebook, "telegram": telegram, "sms": sms}
REFUSED: list[tuple[str, str, Callable[[int], Post]]] = [
    *((name, "missing", lambda n, made=made: bare(made(n))) for name, made in GENUINE.items()),
    *((name, "damaged", lambda n, made=made: damaged(made(n))) for name, made in GENUINE.items()),
    ("zalo", "of another secret", lambda n: zalo(n, "app-secret")),  # the one that is often taken for it
    ("zalo", "of another text", lambda n: zalo(n, body="{}")),
    ("zalo", "of another time", lambda n: zalo(n, time="1772400000000")),  # an old one under a new time
    ("facebook", "of another secret", lambda n: facebook(n, "verify-me")),
    ("facebook", "of another text", lambda n: facebook(n, body="{}")),
    ("facebook", "of the text unescaped", lambda n: facebook(n, body=unescaped(facebook(n).body))),
    ("telegram", "of another secret", lambda n: telegram(n, "another")),
    ("sms", "of another secret", lambda n: sms(n, "another")),
    ("sms", "of another text", lambda n: sms(n, body="Mất nước")),
    ("sms", "of another address", lambda n: sms(n, address="https://1022.example/webhooks/twilio/sms-status")),
]


@pytest.fixture(scope="module", autouse=True)
async def vendors(app: FastAPI) -> AsyncIterator[None]:
    """Every channel that vendors push to, as the settings make them."""
    here = state(app)
    before = here.adapters, here.settings
    here.settings = Settings(**(here.settings.model_dump() | KEYS))
    made = adapters_for(House(here.settings, here.database, here.files))
    here.adapters = {**here.adapters, **{name: made[name] for name in GENUINE}}
    yield
    here.adapters, here.settings = before


async def knock(client: AsyncClient, post: Post) -> Response:
    """As the vendor does it."""
    return await client.post(post.path, content=post.body, headers=dict(post.headers))


async def kept(app: FastAPI) -> list[Any]:
    """Everything that was ever kept of anything."""
    async with state(app).database.transaction() as session:
        return list((await session.exec(select(Received.id))).all())


def refused(channel: str) -> float:
    """How often that is counted."""
    return REGISTRY.get_sample_value("hotline_webhook_refused_total", {"channel": channel}) or 0


@pytest.mark.parametrize(("channel", "how", "made"), REFUSED, ids=[f"{channel} {how}" for channel, how, _ in REFUSED])
async def test_a_signature_that_does_not_fit_leaves_nothing_but_a_count(
    app: FastAPI, client: AsyncClient, channel: str, how: str, made: Callable[[int], Post]
) -> None:
    before, count = await kept(app), refused(channel)
    answer = await knock(client, made(1))
    assert (answer.status_code, answer.json()["title"]) == (403, "Không được phép")
    assert (await kept(app), refused(channel)) == (before, count + 1)


@pytest.mark.parametrize("channel", GENUINE)
async def test_the_vendor_itself_is_believed_at_once_and_an_hour_later(
    app: FastAPI, client: AsyncClient, clock: Clock, channel: str
) -> None:
    before, post = len(await kept(app)), GENUINE[channel](2)
    assert (await knock(client, post)).status_code == 200
    assert len(await kept(app)) == before + 1
    clock.move(hours=1)
    assert (await knock(client, post)).status_code == 200  # a repetition
    assert len(await kept(app)) == before + 1
    late = GENUINE[channel](3)  # one that never came through until now
    assert (await knock(client, late)).status_code == 200
    assert len(await kept(app)) == before + 2
