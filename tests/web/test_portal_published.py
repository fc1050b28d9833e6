"""What everyone may read: the list of published cases and one of them."""

import re

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from tests.factories import As, Drive, a_report, done
from tests.web.portal import phone, refused, statements, words
from web.portal import published as pages

MOST = 4  # statements a list may take, whatever its length


@pytest.fixture(scope="module")
async def known(client: AsyncClient, as_: As, drive: Drive) -> list[str]:
    """Codes of three published cases, oldest publication first, and of one that is not published."""
    codes = []
    for n, field in enumerate(("infra.road", "infra.light", "infra.road")):
        area = {"area": "dn-c-dong-xoai"} if n == 2 else {"address": "12 hẻm bí mật"}
        code, _ = await a_report(
            client, text=f"Lời riêng {n}", field=field, location=area, contact={"name": "Tên riêng"}
        )
        await drive(code, "replied")
        await done(as_("agent"), code, "publish", {"public_text": f"Bản tóm tắt số {n} <i>"})
        codes.append(code)
    hidden, _ = await a_report(client, text="Chưa công khai")
    await drive(hidden, "replied")
    return [*codes, hidden]


def listed(page: str) -> list[str]:
    return re.findall(r'href="/cases/(BP[^"]+)"', page)


async def test_the_list_shows_checked_texts_only_newest_first(app: FastAPI, known: list[str]) -> None:
    page = (await phone(app).get("/cases")).text
    assert listed(page) == known[2::-1]
    assert "Bản tóm tắt số 0 &lt;i&gt;" in page
    for private in ("Lời riêng", "Tên riêng", "hẻm bí mật", "Chưa công khai", known[3]):
        assert private not in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("field=infra.road", [2, 0]),
        ("field=infra", [2, 1, 0]),  # a group means its fields
        ("area=dn-c-dong-xoai", [2]),
        ("field=infra.light&area=dn-c-dong-xoai", []),
        ("field=atlantis", []),
        ("field=&area=", [2, 1, 0]),
    ],
)
async def test_the_list_is_narrowed_by_field_and_area(
    app: FastAPI, known: list[str], query: str, found: list[int]
) -> None:
    page = (await phone(app).get(f"/cases?{query}")).text
    assert listed(page) == [known[n] for n in found]
    if not found:
        assert "Thử bỏ bớt điều kiện lọc" in words(page)


async def test_the_list_goes_on_behind_its_last_case_and_keeps_its_filter(
    app: FastAPI, known: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "AT_ONCE", 1)
    reader, seen, at = phone(app), [], "/cases?field=infra.road"
    while at:
        page = (await reader.get(at)).text
        seen += listed(page)
        more = re.search(r'href="(/cases\?[^"]+)" rel="next"', page)
        at = more[1].replace("&amp;", "&") if more else ""
    assert seen == [known[2], known[0]]


async def test_the_communes_to_choose_from_are_those_of_today(app: FastAPI) -> None:
    page = (await phone(app).get("/cases")).text
    assert '<option value="dn-c-dong-xoai"' in page
    assert 'value="bp-c-dong-xoai-tan-phu"' not in page


async def test_a_cursor_that_is_none_is_told(app: FastAPI) -> None:
    assert "Con trỏ trang" in words(refused(await phone(app).get("/cases?cursor=nonsense"), 422))


async def test_the_list_takes_few_statements(app: FastAPI, known: list[str]) -> None:
    with statements(app) as seen:
        await phone(app).get("/cases?field=infra&area=dn-c-dong-xoai")
    assert 0 < len(seen) <= MOST


async def test_one_published_case_has_a_page_and_every_other_code_looks_the_same(
    app: FastAPI, known: list[str]
) -> None:
    reader = phone(app)
    page = words((await reader.get(f"/cases/{known[2]}")).text)
    assert "Bản tóm tắt số 2" in page
    assert "phường Đồng Xoài" in page
    assert "Lời riêng" not in page
    hidden, unknown, none = [
        words(refused(await reader.get(f"/cases/{code}"), 404)) for code in (known[3], "BP-26-0000000", "x")
    ]
    assert hidden == unknown == none
