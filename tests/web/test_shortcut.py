"""The short way answers as the framework's own would: the same requests to both, one after the other."""

import json
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import patch

import pytest
from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from httpx import ASGITransport, AsyncClient, Response

from tests.factories import state
from tests.web.test_bad_input import EXE, GOOD, JSON, jpeg
from web import app as web_app
from web.app import build
from web.ops import REQUESTS
from web.shortcut import Shortcut

URL = "/api/v1/reports"
DRAWN = ("code", "tracking_key", "received_at", "opened_at", "due_at", "promised_at")  # anew for each report

SENT: list[tuple[str, str, str, dict[str, Any]]] = [
    ("a report", "POST", URL, {"json": GOOD}),
    ("with a photo", "POST", URL, {"data": GOOD, "files": [("attachments", ("a.jpg", jpeg()))]}),
    ("with a key", "POST", URL, {"json": GOOD, "headers": {"Idempotency-Key": "{way}-way"}}),
    ("in English", "POST", URL, {"json": {"text": ""}, "headers": {"Accept-Language": "en"}}),
    ("no text", "POST", URL, {"json": {"field": "infra.road"}}),
    ("not JSON", "POST", URL, {"content": b"{", "headers": JSON}),
    ("another media type", "POST", URL, {"content": b"x", "headers": {"Content-Type": "text/plain"}}),
    ("a program", "POST", URL, {"data": GOOD, "files": [("attachments", ("a.jpg", EXE))]}),
    ("not a form", "POST", URL, {"content": b"--", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}),
    ("too large", "POST", URL, {"content": b" " * (2 << 20), "headers": JSON}),
    ("a wrong key", "POST", URL, {"json": GOOD, "headers": {"Idempotency-Key": "a b"}}),
    ("read", "GET", URL, {}),
    ("looked at", "HEAD", URL, {}),
    ("put", "PUT", URL, {"json": GOOD}),
    ("asked what may be done", "OPTIONS", URL, {}),
    ("with a stroke behind", "POST", f"{URL}/", {"json": GOOD}),
    ("another path", "POST", "/api/v1/report", {"json": GOOD}),
]


@pytest.fixture(scope="module")
async def both(app: FastAPI) -> AsyncIterator[dict[str, AsyncClient]]:
    """The application with its short way, and one that has none."""

    class Never(Shortcut):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self._app(scope, receive, send)

    here = state(app)
    with patch.object(web_app, "Shortcut", Never):
        other = build(here.settings, here.database, here.adapters, demo=True)
        made = {
            way: AsyncClient(transport=ASGITransport(each, raise_app_exceptions=False), base_url="http://test")
            for way, each in (("short", app), ("long", other))
        }
        yield made
    for each in made.values():
        await each.aclose()


@pytest.mark.parametrize(("method", "path", "given"), [sent[1:] for sent in SENT], ids=[sent[0] for sent in SENT])
async def test_it_answers_as_the_long_way_does(
    both: dict[str, AsyncClient], method: str, path: str, given: dict[str, Any]
) -> None:
    answers = {}
    for way, client in both.items():
        before = _counted()
        answer = await client.request(method, path, **_for(way, given))
        answers[way] = _told(answer), {labels for labels, n in _counted().items() if n != before.get(labels)}
    assert answers["short"] == answers["long"]


async def test_what_fails_unforeseen_is_told_as_everywhere(both: dict[str, AsyncClient]) -> None:
    with patch("web.reports.open_case", side_effect=ZeroDivisionError("a name")):
        answers = [_told(await client.post(URL, json=GOOD)) for client in both.values()]
    assert answers[0] == answers[1]
    assert answers[0][0] == 500


async def test_reports_take_it_and_nothing_else_does(app: FastAPI, client: AsyncClient) -> None:
    taken = []

    async def watched(self: Any, scope: Any, receive: Any, send: Any) -> None:
        taken.append((scope["method"], scope["path"]))
        await inner(self, scope, receive, send)

    inner = AsyncExitStackMiddleware.__call__
    with patch.object(AsyncExitStackMiddleware, "__call__", watched):
        assert (await client.post(URL, json=GOOD)).status_code == 201
        assert (await client.get("/api/v1/fields")).status_code == 200
    assert taken == [("GET", "/api/v1/fields")]


def _for(way: str, given: dict[str, Any]) -> dict[str, Any]:
    """A key of its own for either way: under one key the second would be told the first's answer."""
    headers = {name: value.format(way=way) for name, value in given.get("headers", {}).items()}
    return {**given, "headers": headers}


def _told(answer: Response) -> tuple[int, dict[str, str], Any]:
    """Status, headers and body, without what is drawn anew for each report."""
    body: Any = answer.content
    if "json" in answer.headers.get("content-type", "") and answer.content:
        body = json.loads(answer.content, object_hook=_without_drawn)
    return answer.status_code, dict(answer.headers), body


def _without_drawn(members: dict[str, Any]) -> dict[str, Any]:
    return {name: None if name in DRAWN else value for name, value in members.items()}


def _counted() -> dict[tuple[str, ...], float]:
    """How often each (method, route, status) was counted."""
    return {
        tuple(sample.labels.values()): sample.value
        for metric in REQUESTS.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }
