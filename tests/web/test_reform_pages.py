"""Reforms as an administrator meets them: written, looked at, applied; and what people of an ended unit are told."""

import asyncio
import re
from datetime import date
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response
from sqlmodel import select

from core.staff import Staff, StaffDepartment
from routing.editing.reforms import SHIPPED
from routing.models import Department, DepartmentName
from tests.factories import As, Clock, a_report, done, settle, state
from worker import Worker

OLD, NEW = "cu-1", "moi-1"
DOCUMENT = f"""reform:
  code: thu
  name: "Đợt thử"
  effective_on: 2026-04-01
  source: "Nghị quyết thử"
departments:
  new:
    - {{code: {NEW}, name: "Sở Mới Thử", kind: so_xd}}
  renamed:
    so-tp: "Sở Tư pháp và Pháp chế"
  ended:
    {OLD}: {{to: {NEW}}}
"""


@pytest.fixture(scope="module")
async def old(app: FastAPI) -> str:
    """A department with officer2@demo in it."""
    async with state(app).database.transaction() as session:
        session.add(Department(code=OLD, name="Sở Cũ Thử", kind="so_xd", valid_from=date(2020, 1, 1)))
        await session.flush()
        person = (await session.exec(select(Staff.id).where(Staff.email == "officer2@demo"))).one()
        session.add(StaffDepartment(staff_id=person, department=OLD))
    state(app).routing.forget()
    return OLD


async def post(page: AsyncClient, path: str, **form: str) -> Response:
    return await page.post(path, data=form)


def seen_in(page: str) -> str:
    found = re.search(r'name="seen" value="(\w+)"', page)
    assert found is not None
    return found[1]


async def work(app: FastAPI) -> None:
    here = state(app)
    await Worker(here.settings, here.database, here.adapters, asyncio.Event(), here.clock).rehome()


async def test_a_reform_from_its_text_to_its_day(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock, old: str
) -> None:
    admin = browser("admin")
    code, _ = await a_report(client, text="Cầu tạm bị gãy một nhịp")
    await done(as_("dispatcher"), code, "forward", {"lead": old})
    # A fault is told with its line, and nothing is kept.
    wrong = await post(admin, "/admin/new/reform", yaml=DOCUMENT.replace("to: moi-1", "too: moi-1"))
    assert wrong.status_code == 422
    assert "dòng 12" in wrong.text
    assert "too" in wrong.text
    kept = await post(admin, "/admin/new/reform", yaml=DOCUMENT)
    assert (kept.status_code, kept.headers["location"]) == (303, "/admin/reforms/thu?done=stored")
    shown = (await admin.get("/admin/reforms/thu")).text
    for told in ("Sở Cũ Thử", "Sở Mới Thử: 1", "Sở Tư pháp và Pháp chế", "Áp dụng từ ngày"):
        assert told in shown, told
    assert "reform" in (await admin.get("/admin/reforms/thu/yaml")).text
    # What is wrong only by the tables stands beside it, and it cannot be applied.
    bad = DOCUMENT.replace(f"{{to: {NEW}}}", "{to: so-gtvt}")
    assert (await post(admin, "/admin/reforms/thu/edit", yaml=bad)).status_code == 303
    shown = (await admin.get("/admin/reforms/thu")).text
    assert "so-gtvt không tồn tại" in shown
    assert 'action="/admin/reforms/thu/apply"' not in shown
    assert (await post(admin, "/admin/reforms/thu/apply")).status_code == 409
    other = await post(admin, "/admin/reforms/thu/edit", yaml=DOCUMENT.replace("code: thu", "code: khac"))
    assert other.status_code == 422
    seen = seen_in((await admin.get("/admin/reforms/thu/edit")).text)
    assert (await post(admin, "/admin/reforms/thu/edit", yaml=DOCUMENT, seen=seen)).status_code == 303
    # Somebody else, who still sees the text before, neither overwrites nor applies it.
    for act in ("edit", "apply"):
        late = await post(admin, f"/admin/reforms/thu/{act}", yaml=bad, seen=seen)
        assert late.status_code == 409
        assert "vừa được người khác sửa" in late.text
    taken = await post(admin, "/admin/new/reform", yaml=DOCUMENT)
    assert (taken.status_code, "Đã có đợt sắp xếp mã thu" in taken.text) == (409, True)
    # Applied in advance: nothing moves yet, the unit's people are told.
    seen = seen_in((await admin.get("/admin/reforms/thu")).text)
    assert (await post(admin, "/admin/reforms/thu/apply", seen=seen)).headers[
        "location"
    ] == "/admin/reforms/thu?done=applied"
    assert 'action="/admin/reforms/thu/withdraw"' in (await admin.get("/admin/reforms/thu")).text
    assert (await post(admin, "/admin/reforms/thu/withdraw")).headers["location"] == "/admin/reforms/thu?done=withdrawn"
    assert (await post(admin, "/admin/reforms/thu/apply")).status_code == 303
    assert (await post(admin, "/admin/reforms/thu/apply")).status_code == 409
    assert (await post(admin, "/admin/new/reform", yaml=DOCUMENT)).status_code == 409
    await work(app)
    assert (await as_("officer2").get(f"/api/v1/cases/{code}")).json()["lead"]["code"] == old
    inbox = (await browser("officer2").get("/console")).text
    assert "Sở Cũ Thử kết thúc hoạt động từ ngày" in inbox
    assert "không cần chuyển tay" in inbox
    assert "kết thúc hoạt động" not in (await browser("officer").get("/console")).text
    assert (await as_("agent").get("/api/v1/departments")).status_code == 200
    # The day.
    clock.to("2026-04-01T00:05")
    assert (await post(admin, "/admin/reforms/thu/withdraw")).status_code == 409
    state(app).routing.forget()
    await work(app)
    case = (await as_("dispatcher").get(f"/api/v1/cases/{code}")).json()
    assert case["lead"] == {"code": NEW, "name": "Sở Mới Thử"}
    inbox = (await browser("officer2").get("/console")).text
    assert "Sở Cũ Thử đã kết thúc hoạt động" in inbox
    assert "Sở Mới Thử" in inbox
    departments = await admin.get("/admin/departments", params={"q": "so tu phap"})
    assert "Sở Tư pháp và Pháp chế" in departments.text
    assert "Sở Tư pháp" in (await admin.get("/admin/departments/so-tp")).text
    # Its people go along with one press of a button.
    listed = (await admin.get("/admin/reforms")).text
    assert "officer2@demo" in listed
    assert (await post(admin, "/admin/reforms/people")).headers["location"] == "/admin/reforms?done=people"
    assert "officer2@demo" not in (await admin.get("/admin/reforms")).text
    assert (await as_("officer2").get(f"/api/v1/cases/{code}")).status_code == 200
    assert "kết thúc hoạt động" not in (await browser("officer2").get("/console")).text
    # Found by the old name as by the new one.
    await settle(app)
    for words in ("so cu thu", "so moi thu"):
        found = (await as_("dispatcher").get("/api/v1/cases", params={"q": words})).json()
        assert [each["code"] for each in found["items"]] == [code], words


async def test_a_draft_is_deleted(browser: As, clock: Clock, old: str) -> None:
    admin = browser("admin")
    await post(admin, "/admin/new/reform", yaml=DOCUMENT.replace("code: thu", "code: bo"))
    assert (await post(admin, "/admin/reforms/bo/delete")).headers["location"] == "/admin/reforms?done=dropped"
    assert (await admin.get("/admin/reforms/bo")).status_code == 404


async def test_the_shipped_reform_is_offered_and_adds_only_what_is_missing(
    app: FastAPI, browser: As, as_: As, clock: Clock
) -> None:
    admin = browser("admin")
    assert "template=shipped" in (await admin.get("/admin/reforms")).text
    form = (await admin.get("/admin/new/reform", params={"template": "shipped"})).text
    assert "sap-xep-2025-07-01" in form
    assert (await post(admin, "/admin/new/reform", yaml=SHIPPED.read_text(encoding="utf-8"))).status_code == 303
    shown = (await admin.get("/admin/reforms/sap-xep-2025-07-01")).text
    assert "Những chỗ chưa đúng" not in shown
    assert "4 thay đổi được ghi" in shown
    assert (await post(admin, "/admin/reforms/sap-xep-2025-07-01/apply")).status_code in (200, 303)
    assert "template=shipped" not in (await admin.get("/admin/reforms")).text
    async with state(app).database.transaction() as session:
        names = await session.exec(select(DepartmentName.name).where(DepartmentName.code == "bql-kkt"))
        assert set(names) == {"Ban Quản lý Khu kinh tế", "Ban Quản lý các khu công nghiệp, khu kinh tế"}
        ended = (await session.exec(select(Department).where(Department.code == "bo-doi-bien-phong"))).one()
        assert (ended.valid_to, ended.successor) == (date(2025, 7, 1), "bch-quan-su")


async def test_a_name_that_is_edited_is_kept(app: FastAPI, browser: As, clock: Clock) -> None:
    admin = browser("admin")
    form: dict[str, Any] = {"name": "Công ty Nước sạch", "kind": "cap_nuoc"}
    assert (await admin.post("/admin/departments/cap-nuoc", data=form)).status_code in (200, 303)
    shown = (await admin.get("/admin/departments/cap-nuoc")).text
    assert "Công ty Cấp thoát nước" in shown
    assert "cap-nuoc" in (await admin.get("/admin/departments", params={"q": "cap thoat nuoc"})).text


@pytest.mark.parametrize("who", ["supervisor", "dispatcher", "officer", "leader"])
async def test_reforms_are_for_administrators(browser: As, who: str) -> None:
    page = browser(who)
    for path in ("/admin/reforms", "/admin/new/reform", "/admin/reforms/thu", "/admin/reforms/thu/yaml"):
        assert (await page.get(path)).status_code == 403, path
    for path in ("/admin/new/reform", "/admin/reforms/thu/apply", "/admin/reforms/thu/delete", "/admin/reforms/people"):
        assert (await page.post(path)).status_code == 403, path
