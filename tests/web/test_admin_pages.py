"""The administration's pages as an administrator uses them without a script, and as nobody else can."""

import re
from datetime import datetime
from html import unescape
from uuid import uuid4

import pytest
import yaml
from fastapi import FastAPI
from httpx import AsyncClient, Response
from sqlalchemy import text

from core import staffing
from routing.rulesets import to_dict
from routing.seeds import seed_rule_sets
from tests.factories import PASSWORD, As, Clock, a_report, done, staff_id, state
from tests.web.test_queue_pages import counting
from web.rendering import LANG_COOKIE

XSS = '<img src=x onerror="alert(1)">'
ROLES = ("agent", "dispatcher", "officer", "head", "supervisor", "inspector", "leader")
PAGES = (
    "/admin",
    "/admin/staff",
    "/admin/staff?q=zzz",
    "/admin/new/account",
    "/admin/departments",
    "/admin/departments/so-xd",
    "/admin/departments/so-gtvt",
    "/admin/new/department",
    "/admin/fields",
    "/admin/fields?closed=1",
    "/admin/fields/infra",
    "/admin/fields/infra.road",
    "/admin/new/field",
    "/admin/new/field?group=infra",
    "/admin/areas",
    "/admin/areas/bp-d-dong-xoai",
    "/admin/new/area",
    "/admin/reforms",
    "/admin/new/reform",
    "/admin/new/reform?template=shipped",
    "/admin/calendars",
    "/admin/calendars/province",
    "/admin/calendars/province?year=2199",
    "/admin/calendars/province/days/2026-03-04",
    "/admin/rules",
    "/admin/new/rule-set",
    "/admin/rules/{rule_set}",
    "/admin/rules/{rule_set}/yaml",
    "/admin/rules/{rule_set}/check",
    "/admin/rules/{rule_set}/change",
)
WRITES = (
    "/admin/new/account",
    "/admin/staff/{person}",
    "/admin/staff/{person}/deactivate",
    "/admin/staff/{person}/activate",
    "/admin/staff/{person}/reset-password",
    "/admin/new/department",
    "/admin/departments/so-xd",
    "/admin/departments/so-xd/abolish",
    "/admin/departments/so-xd/restore",
    "/admin/new/field",
    "/admin/fields/infra.road",
    "/admin/fields/infra.road/close",
    "/admin/fields/infra.road/reopen",
    "/admin/new/area",
    "/admin/areas/bp-d-dong-xoai",
    "/admin/areas/bp-d-dong-xoai/end",
    "/admin/new/reform",
    "/admin/reforms/people",
    "/admin/calendars",
    "/admin/calendars/province/week",
    "/admin/calendars/province/fill",
    "/admin/calendars/province/recount",
    "/admin/calendars/province/days/2026-03-04",
    "/admin/calendars/province/days/2026-03-04/remove",
    "/admin/new/rule-set",
    "/admin/rules/{rule_set}/edit",
    "/admin/rules/{rule_set}/activate",
    "/admin/rules/{rule_set}/delete",
    "/admin/rules/{rule_set}/change",
    "/admin/rules/{rule_set}/limit",
    "/admin/rules/{rule_set}/lead",
    "/admin/rules/{rule_set}/move",
    "/admin/rules/{rule_set}/drop",
    "/admin/rules/{rule_set}/settings",
    "/admin/rules/{rule_set}/head",
    "/admin/rules/{rule_set}/check",
    "/admin/rules/{rule_set}/withdraw",
    "/admin/rules/{rule_set}/files",
    "/admin/rules/{rule_set}/files/00000000-0000-0000-0000-000000000000/delete",
)


async def in_force(app: FastAPI) -> str:
    async with state(app).database.transaction() as session:
        statement = "SELECT id FROM rule_sets WHERE state = 'active' AND valid_from <= now() ORDER BY valid_from DESC"
        return str(await session.scalar(text(f"{statement} LIMIT 1")))


async def named(app: FastAPI, path: str) -> str:
    """The path with the ids it needs."""
    if "{rule_set}" in path:
        path = path.replace("{rule_set}", await in_force(app))
    return path.replace("{person}", str(await staff_id(app, "officer2@demo"))) if "{person}" in path else path


async def gone_on(admin: AsyncClient, answer: Response) -> str:
    """The page that a form led to."""
    assert answer.status_code == 303, answer.text
    page = await admin.get(answer.headers["location"])
    assert page.status_code == 200
    return unescape(page.text)


def refused(answer: Response, *told: str, status: int = 422) -> str:
    """The form that is shown again, with these words."""
    assert answer.status_code == status, answer.text
    page = unescape(answer.text)
    for words in told:
        assert words in page
    return page


@pytest.mark.parametrize("path", PAGES)
async def test_each_page_is_for_administrators_alone(app: FastAPI, browser: As, client: AsyncClient, path: str) -> None:
    path = await named(app, path)
    page = await browser("admin").get(path)
    assert page.status_code == 200, page.text
    if not path.endswith("yaml"):
        assert page.text.count("<h1") == 1
    for role in ROLES:
        assert (await browser(role).get(path)).status_code == 403, role
    stranger = await client.get(path)
    assert (stranger.status_code, stranger.headers["location"][:8]) == (303, "/sign-in")


@pytest.mark.parametrize("path", WRITES)
async def test_nobody_else_changes_anything_nor_does_another_site(app: FastAPI, browser: As, path: str) -> None:
    path = await named(app, path)
    for role in ROLES:
        assert (await browser(role).post(path, data={"name": "x"})).status_code == 403, role
    foreign = await browser("admin").post(path, data={}, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
    tokenless = await browser("admin").post(path, data={}, headers={"X-CSRF-Token": ""})
    assert tokenless.status_code == 403


@pytest.mark.parametrize(
    "path", ["/admin/staff/{}", "/admin/rules/{}", "/admin/rules/{}/check", "/admin/rules/{}/edit"]
)
async def test_what_does_not_exist_is_not_found(browser: As, path: str) -> None:
    assert (await browser("admin").get(path.format(uuid4()))).status_code == 404


@pytest.mark.parametrize("path", ["departments/nowhere", "fields/nothing", "areas/nowhere", "calendars/so-yte"])
async def test_a_code_that_does_not_exist_is_not_found(browser: As, path: str) -> None:
    assert (await browser("admin").get(f"/admin/{path}")).status_code == 404


@pytest.mark.parametrize(
    ("path", "most"), [("staff", 4), ("departments", 4), ("fields", 4), ("areas", 4), ("rules", 4)]
)
async def test_a_list_takes_few_statements_whatever_its_length(app: FastAPI, browser: As, path: str, most: int) -> None:
    await browser("admin").get(f"/admin/{path}")
    with counting(app) as sent:
        assert (await browser("admin").get(f"/admin/{path}")).status_code == 200
    assert len(sent) <= most, sent


async def test_the_overview_names_what_needs_a_hand(app: FastAPI, browser: As, clock: Clock) -> None:
    here = state(app)
    async with here.database.transaction() as session:
        made = await staffing.add(session, "bare@x.vn", f"Trống {XSS}", PASSWORD, [], [], here.clock())
    page = (await browser("admin").get("/admin")).text
    assert XSS not in page
    assert f"Trống {XSS}" in unescape(page)
    assert "Tài khoản chưa có vai trò" in page
    assert "Đơn vị chưa có e-mail" in page
    assert "Chưa điền ngày lễ" not in page
    clock.to("2031-11-03T09:00")
    assert "Chưa điền ngày lễ" in (await browser("admin").get("/admin")).text
    async with here.database.transaction() as session:
        await session.execute(text("DELETE FROM staff WHERE id = :id"), {"id": made.id})


# --- staff -------------------------------------------------------------------------------------------------------


async def test_an_account_is_made_with_a_password_shown_once(app: FastAPI, browser: As, client: AsyncClient) -> None:
    admin = browser("admin")
    new = {"email": "Trang@x.vn", "name": f"Trang {XSS}", "roles": ["officer"], "departments": ["so-xd", ""]}
    page = await admin.post("/admin/new/account", data=new)
    assert page.status_code == 200
    assert XSS not in page.text
    secret = re.search(r"<output[^>]*>([a-z0-9-]{14})<", page.text)
    assert secret
    path = f"/admin/staff/{await staff_id(app, 'trang@x.vn')}"
    assert secret[1] not in (await admin.get(path)).text
    sign_in = {"username": "trang@x.vn", "password": secret[1]}
    assert (await client.post("/api/v1/auth/token", data=sign_in)).status_code == 200
    again = await admin.post(f"{path}/reset-password")
    assert again.status_code == 200
    assert secret[1] not in again.text
    assert (await client.post("/api/v1/auth/token", data=sign_in)).status_code == 401
    assert "Đã lưu." in await gone_on(admin, await admin.post(path, data={"name": "Trang", "roles": ["head"]}))
    assert "Đã khóa" in await gone_on(admin, await admin.post(f"{path}/deactivate"))
    assert "Mở lại tài khoản" in unescape((await admin.get(path)).text)
    assert "Đã mở lại." in await gone_on(admin, await admin.post(f"{path}/activate"))
    found = (await admin.get("/admin/staff", params={"q": "trang", "role": "head", "state": "active"})).text
    assert "trang@x.vn" in found
    assert "trang@x.vn" not in (await admin.get("/admin/staff?state=closed")).text
    assert "trang@x.vn" not in (await admin.get("/admin/staff?role=none")).text


async def test_a_form_of_an_account_keeps_what_was_typed(browser: As) -> None:
    admin = browser("admin")
    bad = {"email": "nope", "name": XSS, "roles": ["agent"]}
    page = await admin.post("/admin/new/account", data=bad)
    refused(page, 'value="nope"', "Địa chỉ e-mail không đúng.", 'value="agent" checked')
    assert XSS not in page.text
    refused(await admin.post("/admin/new/account", data={"email": "a@b.vn", "name": ""}), "Không được để trống.")
    refused(
        await admin.post("/admin/new/account", data={**bad, "email": "officer@demo", "name": "x"}), "Đã có tài khoản"
    )
    role = await admin.post("/admin/new/account", data={"email": "a@b.vn", "name": "x", "roles": ["king"]})
    refused(role, 'id="f-roles-told"')
    unit = await admin.post("/admin/new/account", data={"email": "a@b.vn", "name": "x", "departments": ["nowhere"]})
    refused(unit, "Không có đơn vị mã nowhere")


async def test_the_last_administrator_stays(app: FastAPI, browser: As) -> None:
    admin, path = browser("admin"), f"/admin/staff/{await staff_id(app, 'admin@demo')}"
    refused(await admin.post(f"{path}/deactivate"), "quản trị viên cuối cùng")
    refused(
        await admin.post(path, data={"name": "Khác", "roles": ["agent"]}), "quản trị viên cuối cùng", 'value="Khác"'
    )
    assert (await admin.get("/admin")).status_code == 200


# --- departments -------------------------------------------------------------------------------------------------


async def test_the_way_of_a_department(browser: As) -> None:
    admin, path = browser("admin"), "/admin/departments/so-moi"
    new = {
        "code": "so-moi",
        "name": f"Sở Mới {XSS}",
        "kind": "cap_nuoc",
        "email": "so-moi@x.vn",
        "valid_from": "2026-01-01",
    }
    added = await admin.post("/admin/new/department", data=new)
    assert "Đã thêm." in await gone_on(admin, added)
    assert XSS not in (await admin.get(path)).text
    assert XSS not in (await admin.get("/admin/departments?q=moi")).text
    edited = {"name": "Sở Mới", "kind": "cap_nuoc", "area": "", "parent": "", "email": "sai"}
    refused(await admin.post(path, data=edited), "Địa chỉ e-mail không đúng.", 'value="sai"')
    assert "Đã lưu." in await gone_on(admin, await admin.post(path, data={**edited, "email": ""}))
    assert "so-moi" in (await admin.get("/admin/departments?email=none&q=so-moi")).text
    early = await admin.post(f"{path}/abolish", data={"valid_to": "2025-01-01", "successor": "so-xd"})
    refused(early, "Ngày kết thúc phải sau ngày bắt đầu")
    nowhere = await admin.post(f"{path}/abolish", data={"valid_to": "", "successor": ""})
    assert '<details class="card ask" open>' in refused(nowhere)
    ended = await gone_on(
        admin, await admin.post(f"{path}/abolish", data={"valid_to": "2026-02-01", "successor": "so-xd"})
    )
    assert "Đã ghi ngày bãi bỏ." in ended
    assert "Sở Xây dựng" in ended
    assert "Đã hủy việc bãi bỏ." in await gone_on(admin, await admin.post(f"{path}/restore"))
    taken = await admin.post("/admin/new/department", data=new)
    refused(taken, "đã được dùng", 'value="so-moi"')


async def test_what_an_abolition_makes_wrong_with_the_rules_is_shown(browser: As) -> None:
    admin, path = browser("admin"), "/admin/departments/so-yte"
    page = await admin.post(f"{path}/abolish", data={"valid_to": "2026-01-01", "successor": ""})
    assert page.status_code == 200
    assert "Nên xem lại với bộ quy tắc đang áp dụng" in unescape(page.text)
    assert "Bộ quy tắc đang áp dụng" in unescape((await admin.get("/admin")).text)
    assert (await admin.post(f"{path}/restore")).status_code == 303


async def test_the_centre_cannot_go(app: FastAPI, browser: As, client: AsyncClient) -> None:
    admin = browser("admin")
    gone = await admin.post("/admin/departments/trung-tam-1022/abolish", data={"valid_to": "2026-01-01"})
    refused(gone, "không còn trung tâm 1022")
    await a_report(client)  # the refused edit was taken back: routing still has its centre
    assert "Đang hoạt động" in (await admin.get("/admin/departments/trung-tam-1022")).text


# --- fields ------------------------------------------------------------------------------------------------------


async def test_the_way_of_a_field(browser: As) -> None:
    admin = browser("admin")
    group = {"code": "moi", "name": "Nhóm mới", "valid_from": "2026-01-01", "urgency": "normal", "track": "ordinary"}
    assert "Đã thêm." in await gone_on(admin, await admin.post("/admin/new/field", data=group))
    field = {**group, "group": "moi", "code": "thu", "name": XSS, "public": "1"}
    page = await admin.post("/admin/new/field", data=field)
    assert page.status_code == 200  # no rule names it: told at once
    assert "Chưa có quy tắc nào nêu lĩnh vực moi.thu" in unescape(page.text)
    assert XSS not in page.text
    assert XSS not in (await admin.get("/admin/fields")).text
    bad = await admin.post("/admin/new/field", data={**field, "code": "Có Dấu"})
    refused(bad, 'id="f-code-told"', 'value="Có Dấu"')
    refused(await admin.post("/admin/fields/moi.thu", data={"name": "Thử", "urgency": "panic"}), 'id="f-urgency-told"')
    saved = await admin.post("/admin/fields/moi.thu", data={"name": "Thử", "urgency": "urgent", "track": "ordinary"})
    shown = await gone_on(admin, saved)
    assert 'name="public" value="1">' in shown
    refused(await admin.post("/admin/fields/moi/close", data={"valid_to": "2026-06-01"}), "Nhóm còn lĩnh vực đang dùng")
    closed = await gone_on(admin, await admin.post("/admin/fields/moi.thu/close", data={"valid_to": "2026-02-01"}))
    assert "Đã đóng" in closed
    assert "moi.thu" not in (await admin.get("/admin/fields")).text
    assert "moi.thu" in (await admin.get("/admin/fields?closed=1")).text
    assert (await admin.post("/admin/fields/moi/close", data={"valid_to": "2026-02-01"})).status_code == 303
    refused(await admin.post("/admin/fields/moi.thu/reopen"), "Hãy mở lại nhóm trước")
    assert "Đã mở lại." in await gone_on(admin, await admin.post("/admin/fields/moi/reopen"))
    named = await admin.post("/admin/fields/infra.road/close", data={"valid_to": "2026-01-02"})
    if named.status_code == 200:
        assert "còn nêu lĩnh vực infra.road" in unescape(named.text)
    assert (await admin.post("/admin/fields/infra.road/reopen")).status_code == 303


# --- areas -------------------------------------------------------------------------------------------------------


async def test_the_way_of_an_area(browser: As) -> None:
    admin, path = browser("admin"), "/admin/areas/x-moi"
    new = {"code": "x-moi", "name": f"Mới {XSS}", "type": "xã", "valid_from": "2026-01-01", "lat": "11.5", "lng": ""}
    refused(await admin.post("/admin/new/area", data=new), "phải đi cùng nhau", 'value="11.5"')
    refused(await admin.post("/admin/new/area", data={**new, "lat": "bắc"}), "Phải là số.", 'value="bắc"')
    refused(await admin.post("/admin/new/area", data={**new, "lng": "106.9", "type": "làng"}), 'id="f-type-told"')
    added = await admin.post("/admin/new/area", data={**new, "lng": "106.9"})
    assert added.status_code in (200, 303)
    assert XSS not in (await admin.get(path)).text
    assert XSS not in (await admin.get("/admin/areas?q=x-moi")).text
    edited = {"name": "Mới", "official_code": "", "lat": "", "lng": ""}
    assert "Đã lưu." in await gone_on(admin, await admin.post(path, data=edited))
    refused(await admin.post(path, data={**edited, "name": ""}), "Không được để trống.")
    heirs = {"valid_to": "2026-03-01", "successors": ["nowhere", ""]}
    refused(await admin.post(f"{path}/end", data=heirs), "Không có địa bàn nowhere")
    living = re.search(r'<option value="(dn-[\w-]+)"', (await admin.get(path)).text)
    assert living
    ended = await admin.post(f"{path}/end", data={**heirs, "successors": [living[1]]})
    assert ended.status_code in (200, 303)
    assert f'href="/admin/areas/{living[1]}"' in (await admin.get(path)).text
    assert "x-moi" in (await admin.get("/admin/areas?state=ended&q=x-moi")).text
    assert "/admin/areas/x-moi" not in (await admin.get("/admin/areas?state=valid&q=x-moi")).text


async def test_a_long_list_goes_on_where_it_stopped(browser: As) -> None:
    admin = browser("admin")
    seen, path = [], "/admin/areas?q=a"
    while path:
        page = (await admin.get(path)).text
        seen += re.findall(r'<a class="strong" href="/admin/areas/([\w-]+)"', page)
        more = re.search(r'class="btn" href="(/admin/areas\?[^"]*cursor[^"]*)"', page)
        path = unescape(more[1]) if more else ""
    assert len(seen) == len(set(seen)) > 60
    assert (await admin.get("/admin/areas?cursor=nobody")).status_code == 422


# --- calendars ---------------------------------------------------------------------------------------------------


async def test_a_day_that_is_set_off_moves_the_deadline(
    app: FastAPI, browser: As, as_: As, client: AsyncClient, clock: Clock
) -> None:
    """The unit's hours to accept run over Wednesday, until it is off."""
    admin = browser("admin")

    async def due() -> datetime:
        code, _ = await a_report(client, field="infra.road")
        case = await done(as_("agent"), code, "forward", {"lead": "so-xd"})
        limit = next(each for each in case["limits"] if each["stage"] == "resolve")
        return datetime.fromisoformat(limit["due_at"])

    before = await due()
    path = "/admin/calendars/province/days/2026-03-04"
    off = {"kind": "off", "windows": "07:00-11:30", "label": f"Nghỉ {XSS}", "source": "Thông báo", "everywhere": "1"}
    page = await gone_on(admin, await admin.post(path, data=off))
    assert "Đã ghi ngày này." in page
    assert XSS not in (await admin.get("/admin/calendars/province?year=2026")).text
    assert await due() > before
    assert (await admin.post(f"{path}/remove")).status_code == 303
    assert await due() == before


async def test_hours_are_written_as_people_write_them(browser: As) -> None:
    admin, path = browser("admin"), "/admin/calendars/province/days/2026-03-07"
    work = {"kind": "work", "windows": "7:30 – 11:30; 13:00-17:00"}
    answer = await admin.post(path, data={**work, "windows": "sáng"})
    refused(answer, "Khung giờ viết như 07:00-11:30.", 'value="sáng"')
    refused(await admin.post(path, data={**work, "windows": "07:00-11:30, 11:00-12:00"}), "chồng nhau")
    page = await gone_on(admin, await admin.post(path, data={**work, "windows": "07:30 – 11:30; 13:00-17:00"}))
    assert "làm bù" in page
    assert "07:30-11:30, 13:00-17:00" in page
    assert (await admin.post(f"{path}/remove")).status_code == 303


async def test_a_unit_gets_a_calendar_a_week_and_its_holidays(browser: As) -> None:
    admin = browser("admin")
    refused(await admin.post("/admin/calendars", data={"department": ""}), 'id="f-department-told"')
    assert "Đã thêm." in await gone_on(admin, await admin.post("/admin/calendars", data={"department": "so-yte"}))
    refused(await admin.post("/admin/calendars", data={"department": "so-yte"}), "đã được dùng")
    path = "/admin/calendars/so-yte"
    week = {f"week.{n}": "07:00-11:00, 13:00-17:00" for n in range(6)} | {"week.6": ""}
    assert "Đã lưu." in await gone_on(admin, await admin.post(f"{path}/week", data=week))
    page = refused(await admin.post(f"{path}/week", data={**week, "week.2": "trưa"}), 'value="trưa"')
    assert 'id="f-week-2-told"' in page
    refused(await admin.post(f"{path}/week", data={f"week.{n}": "" for n in range(7)}), "ít nhất một ngày làm việc")
    assert "chưa có ngày nghỉ lễ nào" in (await admin.get(f"{path}?year=2035")).text
    assert re.search(
        r"Đã thêm \d+ ngày lễ", await gone_on(admin, await admin.post(f"{path}/fill", data={"year": "2035"}))
    )
    assert "chưa có ngày nghỉ lễ nào" not in (await admin.get(f"{path}?year=2035")).text
    refused(await admin.post(f"{path}/fill", data={"year": "2150"}))
    assert "Lịch riêng" in (await admin.get("/admin/departments/so-yte")).text


# --- rule sets ---------------------------------------------------------------------------------------------------


def a_draft(version: int = 77) -> str:
    """The text of the shipped set as a later version."""
    made = to_dict(seed_rule_sets()[-1])
    made["ruleset"] = {**made["ruleset"], "version": version, "valid_from": "2099-01-01", "valid_to": None}
    return yaml.safe_dump(made, allow_unicode=True, sort_keys=False)


async def test_the_way_of_a_rule_set(app: FastAPI, browser: As) -> None:
    admin = browser("admin")
    broken = await admin.post("/admin/new/rule-set", data={"yaml": "ruleset:\n  code: [\n"})
    assert "ruleset:\n  code: [" in refused(broken, "Những chỗ chưa đọc được")
    stored = await admin.post("/admin/new/rule-set", files={"file": ("r.yaml", a_draft().encode(), "text/yaml")})
    assert stored.status_code in (200, 303), stored.text
    async with state(app).database.transaction() as session:
        draft = await session.scalar(text("SELECT id FROM rule_sets WHERE version = 77"))
    path = f"/admin/rules/{draft}"
    taken = await admin.post("/admin/new/rule-set", data={"yaml": a_draft()})
    refused(taken, "Hãy tăng số phiên bản")
    assert "Xóa bản nháp" in (await admin.get(path)).text
    edited = (await admin.get(f"{path}/yaml")).text.replace("lead: so-xd", "lead: so-khong-co", 1)
    page = await admin.post(f"{path}/edit", data={"yaml": edited})
    assert page.status_code == 200
    assert "so-khong-co" in page.text
    assert re.search(r"dòng \d+", page.text)
    assert "không có đơn vị so-khong-co" in unescape(page.text)
    admin.cookies.set(LANG_COOKIE, "en")
    assert "there is no department so-khong-co" in unescape((await admin.get(f"{path}/check")).text)
    refused(await admin.post(f"{path}/activate"), "there is no department so-khong-co", status=409)
    admin.cookies.delete(LANG_COOKIE)
    confirm = unescape((await admin.get(f"{path}/activate")).text)
    assert "chưa đưa vào áp dụng được" in confirm
    refused(await admin.post(f"{path}/activate"), status=409)
    assert (await admin.post(f"{path}/edit", data={"yaml": a_draft()})).status_code in (200, 303)
    confirm = unescape((await admin.get(f"{path}/activate")).text)
    assert "01/01/2099" in confirm
    assert "bộ này hết hiệu lực vào lúc đó" in confirm
    assert "Đã hẹn ngày áp dụng." in await gone_on(admin, await admin.post(f"{path}/activate"))
    refused(await admin.post(f"{path}/delete"), "không xóa được", status=409)
    assert (await admin.get(f"{path}/activate")).status_code == 409


async def test_a_draft_is_deleted_and_what_is_no_text_is_refused(app: FastAPI, browser: As) -> None:
    admin = browser("admin")
    assert (await admin.post("/admin/new/rule-set", data={"yaml": a_draft(78)})).status_code in (200, 303)
    async with state(app).database.transaction() as session:
        draft = await session.scalar(text("SELECT id FROM rule_sets WHERE version = 78"))
    assert "Đã xóa bản nháp." in await gone_on(admin, await admin.post(f"/admin/rules/{draft}/delete"))
    binary = await admin.post("/admin/new/rule-set", files={"file": ("r.yaml", b"\xff\xfe\x00", "text/yaml")})
    refused(binary, "Tệp không phải văn bản UTF-8.")
    refused(await admin.post("/admin/new/rule-set", data={"yaml": ""}), 'id="f-yaml-told"')
    escaped = await admin.post("/admin/new/rule-set", data={"yaml": f"</textarea>{XSS}"})
    assert XSS not in escaped.text


# --- the own account ---------------------------------------------------------------------------------------------


async def test_everybody_changes_their_own_password(app: FastAPI, browser: As, client: AsyncClient) -> None:
    assert (await client.get("/account")).status_code == 303
    for role in (*ROLES, "admin"):
        assert (await browser(role).get("/account")).status_code == 200, role
    own = browser("leader")
    new = {"old": PASSWORD, "new": "một câu dễ nhớ", "again": "một câu dễ nhớ"}
    refused(await own.post("/account", data={**new, "again": "khác"}), "không giống nhau")
    refused(await own.post("/account", data={**new, "old": "sai rồi"}), "Mật khẩu hiện tại không đúng.")
    short = refused(await own.post("/account", data={**new, "new": "bí-m", "again": "bí-m"}), 'id="f-new-told"')
    assert "bí-m" not in short.split("</header>")[1]
    assert "Đã đổi mật khẩu." in await gone_on(own, await own.post("/account", data=new))
    sign_in = {"username": "leader@demo", "password": new["new"]}
    assert (await client.post("/api/v1/auth/token", data=sign_in)).status_code == 200
    assert (await client.post("/api/v1/auth/token", data={**sign_in, "password": PASSWORD})).status_code == 401


async def test_wrong_tries_at_the_own_password_are_counted(
    app: FastAPI, browser: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(state(app).rates, "login", (2, 600))
    own, wrong = browser("helperhead@demo"), {"old": "sai", "new": "a-new-password", "again": "a-new-password"}
    tries = [(await own.post("/account", data=wrong)).status_code for _ in range(4)]
    assert tries == [422, 422, 429, 429]
