"""The application on this module's own database, and people who use it. The same fixtures serve tests/cases."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from channels.adapter import Adapter
from channels.console import ConsoleChannel
from channels.portal import Portal
from core import auth
from core.db import Database
from core.settings import Settings
from tests import factories
from tests.factories import As, Clock, Drive
from web.app import build
from web.deps import COOKIE


@pytest.fixture(scope="module")
async def app(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FastAPI]:
    """The web process over this module's database, with the demo accounts and a few more; throttles are off."""
    folder = tmp_path_factory.mktemp("web")
    settings = Settings(data_dir=folder, database_url=database_url, secret_key="k" * 40, rate_limits="off")
    adapters: dict[str, Adapter] = {"web": Portal("web"), "app": Portal("app")}
    adapters |= {name: ConsoleChannel(name, folder / "would-send.jsonl") for name in ("sms", "email")}
    database = Database(database_url, pool=10)
    await factories.make_accounts(database, datetime.now(UTC))
    yield build(settings, database, adapters, demo=True)
    await database.close()


@pytest.fixture(scope="module")
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Somebody who is not signed in."""
    async with _browser(app) as made:
        yield made


@pytest.fixture(scope="module")
async def as_(app: FastAPI) -> AsyncIterator[As]:
    """`as_("officer")` or `as_("officer@demo")`: a client signed in as that account."""
    tokens = await factories.make_tokens(factories.state(app).database)
    made: dict[str, AsyncClient] = {}

    def signed_in(name: str) -> AsyncClient:
        email = name if "@" in name else f"{name}@demo"
        if email not in made:
            made[email] = _browser(app, tokens[email])
        return made[email]

    yield signed_in
    for each in made.values():
        await each.aclose()


@pytest.fixture(scope="module")
async def browser(app: FastAPI) -> AsyncIterator[As]:
    """`browser("officer")`: a client signed in by cookie, as pages ask for, that sends its token as scripts do."""
    cookies = await factories.make_cookies(factories.state(app).database)
    made: dict[str, AsyncClient] = {}

    def signed_in(name: str) -> AsyncClient:
        email = name if "@" in name else f"{name}@demo"
        if email not in made:
            made[email] = _browser(app)
            made[email].cookies.set(COOKIE, cookies[email])
            made[email].headers["X-CSRF-Token"] = auth.csrf_token(factories.state(app).key, cookies[email])
        return made[email]

    yield signed_in
    for each in made.values():
        await each.aclose()


@pytest.fixture(scope="module")
def drive(app: FastAPI, client: AsyncClient, as_: As) -> Drive:
    """`await drive(code, "answered")`: the case, brought to that status by those who may."""

    async def to(code: str, status: str) -> None:
        await factories.drive(app, client, as_, code, status)

    return to


@pytest.fixture
def clock(app: FastAPI) -> Iterator[Clock]:
    """The application's clock, standing at a quarter past eight on an ordinary Tuesday until the test moves it."""
    here = factories.state(app)
    wall = here.clock
    made = Clock(datetime(2026, 3, 3, 1, 15, tzinfo=UTC))
    here.clock = made
    yield made
    here.clock = wall


def _browser(app: FastAPI, token: str | None = None) -> AsyncClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return AsyncClient(transport=ASGITransport(app), base_url="http://1022.test", headers=headers)
