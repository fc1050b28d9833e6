"""A channel nobody has heard of yet: one file, one line, and a report on it is a case that is answered there."""

import hashlib
import hmac
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from channels import registry
from channels.registry import Channel, House
from tests.factories import As, deliver, done, receive, state

FILE = '''\
"""The notice board of a neighbourhood: JSON comes and goes, signed with a common secret."""

import hashlib
import hmac

import httpx

from channels.adapter import BadSignature, Failure, Hook, SendFailed
from channels.message import Address, Capabilities, InboundMessage, OutboundMessage
from channels.reading import clean, header, ident, read_json, unread

NAME, SECRET = "bulletin", b"common secret"


def parse(hook: Hook, account: str = "") -> list[InboundMessage]:
    event = read_json(hook.body) or {}
    id, author = ident(event.get("id")), ident(event.get("from"))
    if id is None or author is None:
        return [unread(NAME, account, hook.body, "no JSON with an id and an author")]
    sender, raw = Address(NAME, author), hook.body.decode()
    return [InboundMessage(NAME, account, id, "message", sender, clean(event.get("text")), raw=raw)]


class Bulletin:
    name, account, capabilities, transport = NAME, "board", Capabilities(max_text=500), None

    def greet(self, hook: Hook) -> str | None:
        return None

    def verify(self, hook: Hook) -> None:
        made = hmac.new(SECRET, hook.body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(made, header(hook.headers, "x-signature")):
            raise BadSignature

    def parse(self, hook: Hook) -> list[InboundMessage]:
        return parse(hook, self.account)

    async def send(self, message: OutboundMessage) -> str:
        async with httpx.AsyncClient(transport=self.transport) as http:
            answer = await http.post("https://board.test", json={"to": message.to.handle, "text": message.text})
        if answer.status_code != 200:
            raise SendFailed(Failure.RETRYABLE, f"the board answers {answer.status_code}")
        return str(answer.json()["id"])
'''


@pytest.fixture
def bulletin(tmp_path: Path) -> ModuleType:
    """The new file, as a module."""
    (tmp_path / "bulletin.py").write_text(FILE)
    spec = importlib.util.spec_from_file_location("bulletin", tmp_path / "bulletin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_one_file_and_one_line_make_a_channel(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, bulletin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    board: list[dict[str, str]] = []

    def vendor(request: httpx.Request) -> httpx.Response:
        board.append(json.loads(request.content))
        return httpx.Response(200, json={"id": f"b{len(board)}"})

    monkeypatch.setattr(bulletin.Bulletin, "transport", httpx.MockTransport(vendor))
    # The line:
    monkeypatch.setitem(
        registry.CHANNELS,
        "bulletin",
        Channel(bulletin.parse, lambda house: {"bulletin": bulletin.Bulletin()}),
    )
    here = state(app)
    made = registry.adapters_for(House(here.settings, here.database, here.files))
    monkeypatch.setattr(here, "adapters", {**here.adapters, "bulletin": made["bulletin"]})

    body = json.dumps({"id": 7, "from": "to-dan-pho-3", "text": "Đèn hẻm 12 đường Hùng Vương tắt cả tuần"}).encode()
    signature = {"X-Signature": hmac.new(bulletin.SECRET, body, hashlib.sha256).hexdigest()}
    assert (await client.post("/webhooks/bulletin", content=body, headers={"X-Signature": "no"})).status_code == 403
    for _ in range(2):
        assert (await client.post("/webhooks/bulletin", content=body, headers=signature)).status_code == 200
    await receive(app)
    [row] = (await as_("agent").get("/api/v1/cases", params={"channel": "bulletin"})).json()["items"]
    assert row["text"] == "Đèn hẻm 12 đường Hùng Vương tắt cả tuần"
    await done(as_("agent"), row["code"], "answer_directly", {"reply": "Đã thay bóng đèn."})
    await deliver(app)
    assert [row["to"] for row in board] == ["to-dan-pho-3"] * 2
    assert row["code"] in board[0]["text"]  # the receipt
    assert "Đã thay bóng đèn." in board[1]["text"]
    case = (await as_("agent").get(f"/api/v1/cases/{row['code']}")).json()
    assert (case["status"], case["channel"]) == ("replied", "bulletin")
    for page in ("/console", f"/console/cases/{row['code']}"):
        assert (await browser("supervisor").get(page, follow_redirects=True)).status_code == 200, page


def test_the_file_is_as_small_as_the_smallest_should_be() -> None:
    assert len([line for line in FILE.splitlines() if line.strip()]) <= 40
