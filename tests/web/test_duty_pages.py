"""The duty roster on pages: heads plan their own people, supervisors the centre, administrators everybody."""

import asyncio
import re

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import text

from tests.factories import CENTRE, LEAD, OTHER, As, Clock, staff_id, state


@pytest.fixture
async def empty(app: FastAPI, clock: Clock) -> None:
    async with state(app).database.transaction() as session:
        for table in ("duty_shifts", "leaves", "deputies", "named_roles"):
            await session.execute(text(f"DELETE FROM {table}"))


async def now(page: AsyncClient, department: str = "") -> str:
    """Who would be told if something came now, and why."""
    shown = (await page.get("/admin/duty", params={"department": department})).text
    found = re.search(r'người được báo là <span class="strong">(.*?)</span> <span class="muted">\((.*?)\)', shown)
    assert found, shown
    return f"{found[1]}: {found[2]}"


async def test_a_head_plans_the_week_of_the_unit(app: FastAPI, browser: As, clock: Clock, empty: None) -> None:
    head, officer = browser("head"), str(await staff_id(app, "officer@demo"))
    me = str(await staff_id(app, "head@demo"))
    assert await now(head) == "Hoàng Thị Lãnh Đạo Sở: thủ trưởng đơn vị"
    shift = {"person": officer, "starts": "2026-03-03T07:00", "ends": "2026-03-03T17:00", "weeks": "3"}
    saved = await head.post(f"/admin/duty/{LEAD}/shifts", data=shift)
    assert saved.headers["location"] == f"/admin/duty?department={LEAD}&done=saved"
    assert await now(head) == "Phạm Văn Chuyên Viên: đang trực"
    page = (await head.get("/admin/duty")).text
    assert page.count("Bỏ ca này</title>") or page.count('aria-label="Bỏ ca này"') == 3
    await head.post(f"/admin/duty/{LEAD}/leaves", data={"person": officer, "first": "2026-03-03", "last": "2026-03-04"})
    assert await now(head) == "Hoàng Thị Lãnh Đạo Sở: thủ trưởng đơn vị"
    await head.post(f"/admin/duty/{LEAD}/people/{officer}/deputies", data={"deputies": [me, ""]})
    assert await now(head) == "Hoàng Thị Lãnh Đạo Sở: thay người nghỉ"
    clock.to("2026-03-10T07:00")  # a week later they are back
    assert await now(head) == "Phạm Văn Chuyên Viên: đang trực"
    clock.to("2026-03-03T08:15")
    (leave,) = re.findall(rf"/admin/duty/{LEAD}/leaves/([0-9a-f-]+)/drop", (await head.get("/admin/duty")).text)
    assert (await head.post(f"/admin/duty/{LEAD}/leaves/{leave}/drop")).status_code == 303
    assert await now(head) == "Phạm Văn Chuyên Viên: đang trực"
    shifts = re.findall(rf"/admin/duty/{LEAD}/shifts/([0-9a-f-]+)/drop", (await head.get("/admin/duty")).text)
    for each in shifts:
        assert (await browser("head2").post(f"/admin/duty/{LEAD}/shifts/{each}/drop")).status_code == 403
        assert (await head.post(f"/admin/duty/{LEAD}/shifts/{each}/drop")).status_code == 303
    assert "Chưa xếp ca nào." in (await head.get("/admin/duty")).text


@pytest.mark.parametrize(
    ("what", "changed", "said"),
    [
        ("shifts", {"person": ""}, "Hãy chọn một cán bộ."),
        ("shifts", {"person": "stranger"}, "Không có cán bộ này trong đơn vị."),
        ("shifts", {"starts": "mai"}, "Hãy ghi ngày và giờ."),
        ("shifts", {"ends": "2026-03-03T06:00"}, "Lúc kết thúc phải sau lúc bắt đầu"),
        ("shifts", {"ends": "2026-03-13T06:00"}, "không quá 7 ngày"),
        ("shifts", {"starts": "2026-03-02T07:00", "ends": "2026-03-02T17:00"}, "Thời gian này đã qua."),
        ("leaves", {"first": "2026-03-01", "last": "2026-03-02"}, "Thời gian này đã qua."),
        ("shifts", {"weeks": "27"}, "Lặp lại từ 1 đến 26 tuần."),
        ("shifts", {"weeks": "-1"}, "Lặp lại từ 1 đến 26 tuần."),
        ("leaves", {"first": "x"}, "Hãy ghi ngày."),
        ("leaves", {"last": "2026-03-01"}, "Ngày cuối phải từ ngày đầu trở đi."),
    ],
)
async def test_what_cannot_be_is_said_beside_what_was_typed(
    app: FastAPI, browser: As, empty: None, what: str, changed: dict[str, str], said: str
) -> None:
    values = {
        "person": str(await staff_id(app, "officer@demo")),
        "starts": "2026-03-03T07:00",
        "ends": "2026-03-03T17:00",
        "weeks": "1",
        "first": "2026-03-03",
        "last": "2026-03-04",
        **changed,
    }
    if values["person"] == "stranger":
        values["person"] = str(await staff_id(app, "officer2@demo"))
    answer = await browser("head").post(f"/admin/duty/{LEAD}/{what}", data=values)
    assert answer.status_code == 422
    assert said in answer.text
    assert await now(browser("head")) == "Hoàng Thị Lãnh Đạo Sở: thủ trưởng đơn vị"


async def test_each_plans_their_own(app: FastAPI, browser: As, empty: None) -> None:
    agent = str(await staff_id(app, "dispatcher@demo"))
    shift = {"person": agent, "starts": "2026-03-03T07:00", "ends": "2026-03-03T17:00", "weeks": "1"}
    assert (await browser("supervisor").post(f"/admin/duty/{CENTRE}/shifts", data=shift)).status_code == 303
    assert await now(browser("supervisor")) == "Trần Văn Điều Phối: đang trực"
    assert (await browser("supervisor").get(f"/admin/duty?department={LEAD}")).status_code == 403
    assert (await browser("head").get(f"/admin/duty?department={CENTRE}")).status_code == 403
    assert (await browser("head").get(f"/admin/duty?department={OTHER}")).status_code == 403
    for department in (CENTRE, LEAD, OTHER):
        assert (await browser("admin").get(f"/admin/duty?department={department}")).status_code == 200
    assert "Ai nhận báo cáo quá hạn" not in (await browser("head").get("/admin/duty")).text


async def test_an_administrator_names_who_hears_of_the_steps_upwards(app: FastAPI, browser: As, empty: None) -> None:
    leader = str(await staff_id(app, "leader@demo"))
    admin = browser("admin")
    named = await admin.post("/admin/named-roles/vice_chair", data={"people": leader, "department": LEAD})
    assert named.headers["location"] == f"/admin/duty?department={LEAD}&done=saved"
    assert f'<option value="{leader}" selected>' in (await admin.get("/admin/duty")).text
    assert (await admin.post("/admin/named-roles/vice_chair", data={"people": ""})).status_code == 303
    assert f'<option value="{leader}" selected>' not in (await admin.get("/admin/duty")).text
    assert (await admin.post("/admin/named-roles/king", data={"people": leader})).status_code == 422
    blind = str(await staff_id(app, "head@demo"))  # sees only the cases of the unit, and could do nothing about others
    refused = await admin.post("/admin/named-roles/owner_dept", data={"people": blind})
    assert (refused.status_code, "không mở được mọi phản ánh" in refused.text) == (422, True)
    page = (await admin.get("/admin/duty")).text
    assert f'<option value="{blind}">Hoàng' not in page.partition("r-owner_dept")[2]
    assert "chưa có ai" in page.partition("r-owner_dept")[2]


async def test_two_who_press_at_once_plan_it_once(app: FastAPI, browser: As, empty: None) -> None:
    officer, me = str(await staff_id(app, "officer@demo")), str(await staff_id(app, "head@demo"))
    shift = {"person": officer, "starts": "2026-03-03T07:00", "ends": "2026-03-03T17:00", "weeks": "2"}
    leave = {"person": officer, "first": "2026-03-05", "last": "2026-03-06"}
    for what, values in (
        ("shifts", shift),
        ("leaves", leave),
        (f"people/{officer}/deputies", {"deputies": [me]}),
    ):
        sent = [browser(who).post(f"/admin/duty/{LEAD}/{what}", data=values) for who in ("head", "admin") * 3]
        assert {answer.status_code for answer in await asyncio.gather(*sent)} == {303}, what
    page = (await browser("head").get("/admin/duty")).text
    assert page.count('aria-label="Bỏ ca này"') + page.count("Bỏ ca này</title>") == 2
    assert page.count(f"/admin/duty/{LEAD}/leaves/") == 1
    (gone,) = re.findall(rf"/admin/duty/{LEAD}/leaves/([0-9a-f-]+)/drop", page)
    dropped = await asyncio.gather(*(browser("head").post(f"/admin/duty/{LEAD}/leaves/{gone}/drop") for _ in range(3)))
    assert sorted(answer.status_code for answer in dropped) == [303, 404, 404]
