"""POST /api/v1/fields/suggest: a suggestion while somebody writes, for everybody."""

from typing import Any

import pytest
from httpx import AsyncClient

ROUTE = "/api/v1/fields/suggest"


@pytest.mark.parametrize(
    ("text", "code"),
    [("Nắp cống bị bể, hở một lỗ to giữa đường", "infra.manhole"), ("den duong tat 3 hom nay, toi om", "infra.light")],
)
async def test_the_likeliest_field_comes_first_with_its_name(client: AsyncClient, text: str, code: str) -> None:
    answer = await client.post(ROUTE, json={"text": text})
    assert answer.status_code == 200, answer.text
    first, *others = answer.json()["items"]
    assert (first["code"], set(first)) == (code, {"code", "name", "score"})
    assert first["name"]
    assert len(others) <= 2
    assert all(0 < each["score"] <= first["score"] <= 1 for each in others)


async def test_where_nothing_fits_there_is_nothing(client: AsyncClient) -> None:
    assert (await client.post(ROUTE, json={"text": "Xin chào tổng đài"})).json() == {"items": []}


async def test_nobody_reads_that_they_denounce_somebody(client: AsyncClient) -> None:
    answer = await client.post(ROUTE, json={"text": "Tôi tố cáo cán bộ nhũng nhiễu, vòi tiền, nhận hối lộ"})
    assert "admin.corruption" not in [each["code"] for each in answer.json()["items"]]


@pytest.mark.parametrize(
    "body", [{}, {"text": ""}, {"text": "  "}, {"text": "x" * 10_001}, {"text": "x", "y": 1}, {"text": 5}]
)
async def test_other_bodies_are_refused(client: AsyncClient, body: dict[str, Any]) -> None:
    assert (await client.post(ROUTE, json=body)).status_code == 422


async def test_what_people_write_stands_in_no_address(client: AsyncClient) -> None:
    assert (await client.get(ROUTE, params={"text": "Nắp cống"})).status_code == 405
