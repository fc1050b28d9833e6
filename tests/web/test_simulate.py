"""The page on which a draft is tried: who may, what it shows, what it says when it cannot."""

import asyncio

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from cases import simulating
from routing.rulesets import dump
from routing.seeds import seed_rule_sets
from tests.factories import As, Clock, a_report, done, state
from web.admin import simulate

MARCH = {"since": "2026-03-01", "until": "2026-03-31"}


@pytest.fixture(scope="module")
async def draft(as_: As) -> str:
    """The id of a draft that gives roads one day instead of three, to another unit."""
    text = dump(seed_rule_sets()[-1]).replace("code: example-2025", "code: tried", 1)
    text = text.replace("3d/working", "1d/working")
    stored = await as_("admin").post("/api/v1/admin/rule-sets", json={"yaml": text})
    assert stored.status_code == 201, stored.text
    found: str = stored.json()["rule_set"]["id"]
    return found


async def test_a_supervisor_sees_what_a_draft_would_have_done(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock, draft: str
):
    code, _ = await a_report(client)
    await done(as_("dispatcher"), code, "forward", {"lead": "so-xd"})
    await done(as_("officer"), code, "accept")
    clock.to("2026-03-05T10:00")  # Thursday: in time by three working days, late by one
    await done(as_("officer"), code, "submit_answer", {"reply": "Đã vá."})
    page = await browser("supervisor").get("/admin/simulate", params={**MARCH, "set": draft})
    assert page.status_code == 200, page.text
    for words in ("tried v", "100,0% → 0,0%", f"/console/cases/{code}", "trước 1, sau 1 phản ánh", "<svg"):
        assert words in page.text, words
    assert " style=" not in page.text
    admin = browser("admin")
    admin.cookies.set("lang", "en")
    english = await admin.get("/admin/simulate", params={**MARCH, "set": draft})
    admin.cookies.delete("lang")
    assert "resolved on time, before and after" in english.text


async def test_without_a_choice_there_is_the_form_with_drafts_first(browser: As, draft: str):
    page = (await browser("supervisor").get("/admin/simulate")).text
    assert page.index(draft) < page.index("đang áp dụng")
    assert "/admin/staff" not in page  # a supervisor is offered no other part of the administration


@pytest.mark.parametrize(
    ("asked", "status", "sentence"),
    [
        ({"since": "yesterday"}, 422, "Mời chọn bộ quy tắc"),
        ({"set": "example"}, 422, "Mời chọn bộ quy tắc"),
        ({"since": "2026-03-31", "until": "2026-03-01"}, 422, "Ngày cuối phải từ ngày đầu trở đi."),
        ({"since": "2024-01-01", "until": "2024-01-02"}, 200, "Không có phản ánh nào trong kỳ này."),
    ],
    ids=["no-day", "no-set", "backwards", "empty"],
)
async def test_what_cannot_be_tried_is_said_in_a_sentence(
    browser: As, clock: Clock, draft: str, asked: dict[str, str], status: int, sentence: str
):
    page = await browser("admin").get("/admin/simulate", params={"set": draft, **MARCH, **asked})
    assert page.status_code == status
    assert sentence in page.text


async def test_an_unknown_set_is_not_found(browser: As, clock: Clock):
    asked = {**MARCH, "set": "00000000-0000-0000-0000-000000000000"}
    assert (await browser("admin").get("/admin/simulate", params=asked)).status_code == 404


async def test_a_page_that_leaves_older_cases_out_says_so(
    client: AsyncClient, browser: As, clock: Clock, draft: str, monkeypatch: pytest.MonkeyPatch
):
    for _ in range(2):
        await a_report(client)
    monkeypatch.setattr(simulate, "MOST", 1)
    page = await browser("admin").get("/admin/simulate", params={**MARCH, "set": draft})
    assert "Kỳ này còn phản ánh cũ hơn chưa được tính" in page.text


async def test_while_one_runs_another_is_asked_to_wait_and_everything_else_goes_on(
    app: FastAPI, client: AsyncClient, browser: As, clock: Clock, draft: str, monkeypatch: pytest.MonkeyPatch
):
    begun, may_end, taken = asyncio.Event(), asyncio.Event(), []
    real = simulating.simulate

    async def slow(*given: object, **more: object) -> object:
        begun.set()
        taken.append(state(app).database.engine.pool.checkedout())  # type: ignore[attr-defined]
        await may_end.wait()
        return await real(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(simulate, "simulate", slow)
    first = asyncio.create_task(browser("admin").get("/admin/simulate", params={**MARCH, "set": draft}))
    await begun.wait()
    second = await browser("supervisor").get("/admin/simulate", params={**MARCH, "set": draft})
    assert second.status_code == 409
    assert "Đang có một lần chạy thử khác" in second.text
    await a_report(client)
    may_end.set()
    assert (await first).status_code == 200
    assert taken == [0]  # no connection is held while it runs
