"""The feed and the aggregates over HTTP: who may read, pages, entity tags, and what of restricted cases is told."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import httpx
import pytest

from core.auth import new_api_key
from core.db import Database
from core.ids import uuid7
from core.journal import number_positions
from core.settings import Settings
from core.staff import ApiKey
from ioc.project import project
from ioc.reconcile import reconcile
from tests.ioc.histories import ZONE, Story, in_time, stories, write, write_tables
from web.app import build

AT = datetime(2026, 6, 1, 1, 0, tzinfo=UTC)
YEAR = {"from": "2026-01-01", "to": "2026-12-31"}


async def a_key(database: Database, scopes: list[str]) -> str:
    key, digest = new_api_key()
    async with database.transaction() as session:
        session.add(ApiKey(id=uuid7(AT), name="test", key_hash=digest, scopes=scopes, created_at=AT))
    return key


@pytest.fixture
async def client(empty: Database, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(data_dir=tmp_path, secret_key="k" * 32, rate_limits="off")
    app = build(settings, empty, {})
    app.state.hotline.clock = lambda: AT
    key = await a_key(empty, ["feed.read"])
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers={"X-Api-Key": key}) as made:
        yield made


async def tell(database: Database, told: list[Story]) -> None:
    async with database.transaction() as session:
        await write(session, in_time(told))
        await write_tables(session, told)
    async with database.transaction() as session:
        await number_positions(session)
    async with database.transaction() as session:
        while await project(session, ZONE, AT):
            pass


async def read_all(client: httpx.AsyncClient, limit: int) -> list[dict]:
    items: list[dict] = []
    after = 0
    while True:
        page = (await client.get("/feed/v1/events", params={"after": after, "limit": limit})).json()
        items += page["items"]
        if page["next_after"] == after:
            return items
        after = page["next_after"]


@pytest.mark.parametrize("path", ["/feed/v1/events", "/feed/v1/aggregates"])
async def test_the_feed_is_for_those_with_the_scope(client: httpx.AsyncClient, empty: Database, path: str):
    assert (await client.get(path)).status_code == 200
    assert (await client.get(path, headers={"X-Api-Key": await a_key(empty, ["case.read"])})).status_code == 403
    assert (await client.get(path, headers={"X-Api-Key": ""})).status_code == 401
    assert (await client.get(path, headers={"X-Api-Key": "wrong"})).status_code == 401


async def test_pages_of_any_size_hold_the_same_events_once(client: httpx.AsyncClient, empty: Database):
    told = stories(1, 30, 20)
    await tell(empty, told)
    whole = await read_all(client, 1000)
    assert await read_all(client, 7) == whole
    visible = {story.code for story in told if not story.restricted}
    rows = [row for story in told if story.code in visible for row in story.rows if not row.restricted]
    shown = [item for item in whole if item["case"] in visible]
    assert len(shown) == len(rows)
    assert {"position", "id", "kind", "occurred_at", "recorded_at", "case", "data"} == shown[0].keys()


async def test_of_a_restricted_case_only_the_withdrawal_is_told_and_only_its_code(
    client: httpx.AsyncClient, empty: Database
):
    told = stories(2, 40, 20)
    hidden = {story.code for story in told if story.restricted}
    withdrawn = {
        story.code for story in told if story.restricted and any(r.kind == "case.withdrawn" for r in story.rows)
    }
    await tell(empty, told)
    items = [item for item in await read_all(client, 1000) if item["case"] in hidden]
    assert withdrawn
    assert {item["case"] for item in items} == withdrawn
    assert all(item["kind"] == "case.withdrawn" and item["data"] == {} for item in items)


async def test_a_page_that_did_not_change_is_304(client: httpx.AsyncClient, empty: Database):
    await tell(empty, stories(3, 5))
    first = await client.get("/feed/v1/events")
    tag = first.headers["etag"]
    for named in (tag, f'"x", W/{tag}', "*"):
        again = await client.get("/feed/v1/events", headers={"If-None-Match": named})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    await tell(empty, [Story(Random(9), 900, AT, restricts=False)])
    changed = await client.get("/feed/v1/events", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


@pytest.mark.parametrize(
    "query",
    [
        {"after": -1}, {"after": "x"}, {"after": 2**63}, {"limit": 0}, {"limit": 1001},
    ],
)  # fmt: skip
async def test_a_position_or_limit_that_is_none_is_refused(client: httpx.AsyncClient, query: dict):
    assert (await client.get("/feed/v1/events", params=query)).status_code == 422


@pytest.mark.parametrize(
    "query",
    [
        {"from": "2026-02-30"}, {"from": "2026-02-02", "to": "2026-02-01"}, {"by": "citizen"}, {"by": "day,value"},
        {"by": "department; DROP TABLE figures"},
    ],
)  # fmt: skip
async def test_a_period_or_dimension_that_is_none_is_refused(client: httpx.AsyncClient, query: dict):
    assert (await client.get("/feed/v1/aggregates", params=query)).status_code == 422


@pytest.mark.parametrize("period", [("0001-01-01", "9999-12-31"), ("9999-12-31", "9999-12-31"), (None, "0001-01-01")])
async def test_the_ends_of_time_are_periods_too(client: httpx.AsyncClient, empty: Database, period: tuple):
    await tell(empty, stories(4, 5))
    query = {name: day for name, day in zip(("from", "to"), period, strict=True) if day}
    for path in ("/feed/v1/aggregates", "/api/v1/public/figures"):
        answer = await client.get(path, params=query)
        assert answer.status_code == 200, answer.text


async def test_aggregates_say_what_they_mean_how_fresh_and_how_proved(client: httpx.AsyncClient, empty: Database):
    told = stories(5, 60, 20)
    await tell(empty, told)
    answer = (await client.get("/feed/v1/aggregates", params={**YEAR, "by": "department,field"})).json()
    assert answer["reconciled"] is None
    assert answer["position"] == sum(len(story.rows) for story in told)
    defined = {definition["code"] for definition in answer["definitions"]}
    assert {item["figure"] for item in answer["items"]} == defined
    assert all(item["by"].keys() == {"department", "field"} for item in answer["items"])
    received = [item["value"] for item in answer["items"] if item["figure"] == "received"]
    assert sum(received) == sum(not story.restricted for story in told)
    async with empty.transaction() as session:
        assert await reconcile(session, ZONE, AT) == []
    stamp = (await client.get("/feed/v1/aggregates", params=YEAR)).json()["reconciled"]
    assert (stamp["position"], stamp["differences"]) == (answer["position"], 0)


async def test_anybody_may_read_the_open_figures_without_small_cells(client: httpx.AsyncClient, empty: Database):
    told = stories(6, 60, 20)
    await tell(empty, told)
    answer = (await client.get("/api/v1/public/figures", params=YEAR, headers={"X-Api-Key": ""})).json()
    assert answer["totals"]["received"] == sum(not story.restricted for story in told)
    for table in answer["received_by"].values():
        assert all(value >= 5 for value in [*table["cells"].values(), table["other"] or 5])
    assert {definition["code"] for definition in answer["definitions"]} == answer["totals"].keys()
