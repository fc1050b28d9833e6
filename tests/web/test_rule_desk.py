"""The rule desk as an administrator uses it without a script, and what cases make of it."""

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response

from routing.calendars import SEED
from tests.factories import As, Clock, a_report, done
from tests.web.problems import problem
from tests.web.test_admin_pages import gone_on, in_force, refused
from web.rendering import LANG_COOKIE

API = "/api/v1/admin/rule-sets"
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
LIGHTS = {"stage": "resolve", "fields": "infra.light", "source": "NQ 12/NQ-HĐND"} | {
    "amount-value": "2",
    "amount-unit": "d",
    "amount-clock": "working",
}


async def copy_of_it(app: FastAPI, admin: AsyncClient, day: str = "2099-11-30") -> str:
    """The page of a draft that is to take the place of the set in force."""
    answer = await admin.post(f"/admin/rules/{await in_force(app)}/change", data={"valid_from": day})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"].partition("?")[0])


async def the_end_of(admin: AsyncClient, path: str) -> None:
    """A draft goes as it came."""
    assert (await admin.post(f"{path}/delete")).status_code == 303


async def test_from_a_council_that_changed_a_limit_to_active_from_monday(app: FastAPI, browser: As) -> None:
    admin = browser("admin")
    listed = unescape((await admin.get("/admin/rules")).text)
    link = re.search(r'href="(/admin/rules/[^"]+/change)"', listed)
    assert link
    assert "Thay đổi từ ngày…" in listed
    form = unescape((await admin.get(link[1])).text)
    assert re.search(r'name="valid_from" type="date" value="\d{4}-\d\d-\d\d"', form)
    copied = await admin.post(link[1], data={"valid_from": "2099-11-30", "source": "NQ 12/NQ-HĐND"})
    page = await gone_on(admin, copied)
    path = copied.headers["location"].partition("?")[0]
    assert "Đã lập bản nháp" in page
    assert "NQ 12/NQ-HĐND" in page
    assert "Chưa có gì khác đối với phản ánh." in page
    page = await gone_on(admin, await admin.post(f"{path}/limit", data=LIGHTS))
    assert re.search(r"Chiếu sáng công cộng:</span> 3 ngày làm việc → <span[^>]*>2 ngày làm việc<", page)
    page = await gone_on(admin, await admin.post(f"{path}/check"))
    assert "Đã kiểm tra, không có lỗi" in page
    assert "Áp dụng từ thứ Hai 30/11/2099" in page
    draft = path.rpartition("/")[2]
    assert f'href="/admin/simulate?set={draft}"' in page
    first = re.search(r'<option value="([^"]+)"[^>]*>([^<]+)', unescape((await admin.get("/admin/simulate")).text))
    assert first  # what was checked is still a draft
    assert (first[1], first[2]) == (draft, "example-2025 v2 – bản nháp")
    page = await gone_on(admin, await admin.post(f"{path}/activate"))
    assert "Sẽ áp dụng từ thứ Hai 30/11/2099" in page
    admin.cookies.set(LANG_COOKIE, "en")
    assert "In force from Monday 30/11/2099" in unescape((await admin.get(path)).text)
    admin.cookies.delete(LANG_COOKIE)
    page = await gone_on(admin, await admin.post(f"{path}/withdraw"))
    assert "Bước 1: sửa và kiểm tra" in page
    refused(await admin.post(f"{path}/withdraw"), "chưa đến ngày áp dụng", status=409)
    await the_end_of(admin, path)


async def test_a_row_is_edited_moved_and_taken_out(app: FastAPI, browser: As) -> None:
    admin = browser("admin")
    path = await copy_of_it(app, admin)
    form = unescape((await admin.get(f"{path}/limit?code=R09")).text)
    assert 'value="3"' in form
    assert re.search(r'<option value="infra.\*" selected>', form)
    members = {**LIGHTS, "was": "R09", "amount-value": "4", "fields": ["infra.*", "order.*"]}
    page = await gone_on(admin, await admin.post(f"{path}/limit", data=members))
    assert "3 ngày làm việc → " in page
    codes = re.findall(r'<tr id="rule-([^"]+)"', page)
    moved = await gone_on(admin, await admin.post(f"{path}/move", data={"code": "R09", "direction": "up"}))
    again = re.findall(r'<tr id="rule-([^"]+)"', moved)
    assert again.index("R09") == codes.index("R09") - 1
    dropped = await gone_on(admin, await admin.post(f"{path}/drop", data={"code": "R09"}))
    assert 'id="rule-R09"' not in dropped
    lead = {"lead": "so-xd", "supporting": ["dien-luc", "so-xd"], "fields": ["infra.light"], "note": "<b>"}
    page = await gone_on(admin, await admin.post(f"{path}/lead", data=lead))
    assert "Sở Xây dựng; phối hợp" in page
    assert "&lt;b&gt;" in (await admin.get(path)).text
    assert (await admin.get(f"{path}/lead?code=lead-infra-light")).status_code == 200
    for gone in ("limit?code=R09", "lead?code=none"):
        assert (await admin.get(f"{path}/{gone}")).status_code == 404
    assert (await admin.post(f"{path}/drop", data={"code": "R09"})).status_code == 404
    await the_end_of(admin, path)


def seen(form: str) -> str:
    found = re.search(r'name="seen" value="([0-9a-f]{32})"', form)
    assert found, form
    return found[1]


@pytest.mark.parametrize(
    ("page", "one", "other", "lost"),
    [
        (
            "limit?code=R09",
            {**LIGHTS, "was": "R09", "amount-value": "4"},
            {**LIGHTS, "was": "R09", "amount-value": "6"},
            'value="4"',
        ),
        (
            "head",
            {"valid_from": "2099-12-07", "source": "NQ 1"},
            {"valid_from": "2099-12-07", "source": "NQ 2"},
            "NQ 1",
        ),
    ],
)
async def test_what_somebody_else_just_changed_is_not_written_over_unseen(
    app: FastAPI, browser: As, page: str, one: dict[str, str], other: dict[str, str], lost: str
) -> None:
    admin = browser("admin")
    path = await copy_of_it(app, admin)
    first = seen((await admin.get(f"{path}/{page}")).text)
    moved = await admin.post(f"{path}/move", data={"code": "R09", "direction": "up"})
    assert moved.status_code == 303  # another place is no other content
    part = page.partition("?")[0]
    assert (await admin.post(f"{path}/{part}", data={**one, "seen": first})).status_code == 303
    told = await admin.post(f"{path}/{part}", data={**other, "seen": first})
    assert told.status_code == 422
    assert "Người khác vừa sửa chỗ này" in unescape(told.text)
    assert lost in unescape((await admin.get(f"{path}/{page}")).text)
    assert (await admin.post(f"{path}/{part}", data={**other, "seen": seen(told.text)})).status_code == 303
    assert lost not in unescape((await admin.get(f"{path}/{page}")).text)
    await the_end_of(admin, path)


@pytest.mark.parametrize(
    ("part", "members", "told"),
    [
        ("limit", {**LIGHTS, "amount-value": "two"}, "Viết một số nguyên lớn hơn 0, nhiều nhất mười năm."),
        ("limit", {**LIGHTS, "amount-value": "0"}, "Viết một số nguyên lớn hơn 0, nhiều nhất mười năm."),
        ("limit", {**LIGHTS, "amount-unit": "week"}, "Viết một số nguyên lớn hơn 0, nhiều nhất mười năm."),
        ("limit", {**LIGHTS, "stage": "finish"}, "Chọn một bước."),
        ("limit", {**LIGHTS, "note": "x" * 501}, "Nhiều nhất 500 ký tự."),
        ("limit", {**LIGHTS, "fields": "x" * 101}, "Có giá trị không hợp lệ."),
        ("lead", {"lead": ""}, "Chọn đơn vị chủ trì."),
        ("head", {"valid_from": "monday"}, "Ngày không hợp lệ."),
        ("head", {"valid_from": ""}, "Chọn ngày bắt đầu áp dụng."),
        ("head", {"valid_from": "2099-01-01", "valid_to": "2099-01-01"}, "Ngày này phải sau ngày bắt đầu áp dụng."),
        ("limit", {**LIGHTS, "amount-value": "9999"}, "nhiều nhất mười năm."),
        ("settings", {"extend_max": "many"}, "Viết một số từ 0 đến 20."),
        ("settings", {"extend_max": "000000999"}, "Viết một số từ 0 đến 20."),
    ],
)
async def test_a_form_that_does_not_fit_is_shown_again(
    app: FastAPI, browser: As, part: str, members: dict[str, Any], told: str
) -> None:
    admin = browser("admin")
    path = await copy_of_it(app, admin)
    refused(await admin.post(f"{path}/{part}", data=members), told)
    await the_end_of(admin, path)


async def test_a_copy_needs_a_day_that_is_to_come(app: FastAPI, browser: As) -> None:
    admin, path = browser("admin"), f"/admin/rules/{await in_force(app)}/change"
    refused(await admin.post(path, data={"valid_from": "2020-01-06"}), "Chọn hôm nay hoặc một ngày sau đó.")
    refused(await admin.post(path, data={"valid_from": ""}), "Chọn ngày bắt đầu áp dụng.")


def _form_of(page: Response) -> dict[str, list[str]]:
    """What a browser would send of the settings as they are shown."""

    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.found: dict[str, list[str]] = {}
            self.chosen = ""

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            given = {name: value or "" for name, value in attrs}
            if tag == "select":
                self.chosen = given["name"]
            elif tag == "option" and (self.chosen not in self.found or "selected" in given):
                self.found[self.chosen] = [given["value"]]
            elif tag == "input" and given.get("type") in (None, "text") and "name" in given:
                self.found[given["name"]] = [given.get("value", "")]
            elif tag == "input" and given.get("type") == "checkbox" and "checked" in given:
                self.found.setdefault(given["name"], []).append(given["value"])

    reader = Reader()
    reader.feed(page.text.partition('<form class="card narrow-card"')[2].partition("</form>")[0])
    return reader.found


async def test_settings_and_dates_are_forms_and_saving_them_as_shown_changes_nothing(app: FastAPI, browser: As) -> None:
    admin = browser("admin")
    path = await copy_of_it(app, admin)
    shown = _form_of(await admin.get(f"{path}/settings"))
    assert shown["close_after-value"] == ["15"]
    page = await gone_on(admin, await admin.post(f"{path}/settings", data=shown))
    assert "Chưa có gì khác đối với phản ánh." in page
    shown |= {"extend_max": ["2"], "day_end": ["midnight"], "remind": ["50, 90%"], "to-2": [""], "after-2-value": [""]}
    page = await gone_on(admin, await admin.post(f"{path}/settings", data=shown))
    assert "hết giờ làm việc → " in page
    assert "1 lần, mỗi lần nhiều nhất 100% hạn gốc, thủ trưởng đơn vị, thêm một lần do lãnh đạo tỉnh → <span" in page
    assert "50%, 90%" in page
    head = {"valid_from": "2099-12-07", "valid_to": "", "source": "QĐ 1", "note": "x"}
    page = await gone_on(admin, await admin.post(f"{path}/head", data=head))
    assert "thứ Hai 07/12/2099" in page
    await the_end_of(admin, path)


async def test_a_finding_stands_below_the_row_it_is_about(app: FastAPI, browser: As) -> None:
    admin = browser("admin")
    path = await copy_of_it(app, admin)
    slow = {**LIGHTS, "was": "R06-complaint", "stage": "accept", "tracks": "complaint", "amount-value": "30"}
    slow.pop("fields")
    assert (await admin.post(f"{path}/limit", data=slow)).status_code == 303
    page = await gone_on(admin, await admin.post(f"{path}/check"))
    assert "Lỗi được ghi ngay dưới dòng bị lỗi" in page
    row = page.partition('<tr id="rule-R06-complaint"')[2].partition("</tr>")[0]
    assert "Luật Khiếu nại 2011" in row
    assert "Áp dụng từ" not in page.partition("</h2>")[0]
    refused(await admin.post(f"{path}/activate"), "Luật Khiếu nại 2011", status=409)
    await the_end_of(admin, path)


async def test_a_text_that_was_opened_before_another_edit_does_not_undo_it(app: FastAPI, browser: As) -> None:
    admin = browser("admin")
    path = await copy_of_it(app, admin)
    opened = (await admin.get(f"{path}/edit")).text
    seen = re.search(r'name="seen" value="([^"]+)"', opened)
    assert seen
    text = unescape(opened.partition("<textarea")[2].partition(">")[2].partition("</textarea>")[0]).strip() + "\n"
    members = {"yaml": text, "seen": seen[1]}
    assert (await admin.post(f"{path}/limit", data=LIGHTS)).status_code == 303
    refused(await admin.post(f"{path}/edit", data=members), "Bản nháp đã được sửa ở nơi khác")
    assert 'id="rule-resolve-infra-light"' in (await admin.get(path)).text
    assert (await admin.post(f"{path}/drop", data={"code": "resolve-infra-light"})).status_code == 303
    assert (await admin.post(f"{path}/edit", data=members)).status_code in (200, 303)  # it says again what was seen
    await the_end_of(admin, path)


async def test_what_was_checked_and_is_not_fit_any_more_has_to_be_checked_again(
    app: FastAPI, browser: As, clock: Clock
) -> None:
    admin = browser("admin")
    clock.to("2026-03-08T23:50")
    path = await copy_of_it(app, admin, "2026-03-08")
    assert "Bước 2" in await gone_on(admin, await admin.post(f"{path}/check"))
    clock.to("2026-03-09T00:10")  # its day is over
    page = unescape((await admin.get(path)).text)
    assert "Bước 1" in page
    assert "còn 1 lỗi" in page
    assert "Ngày có hiệu lực 2026-03-08 đã qua" in page
    assert f'action="{path}/activate"' not in page
    page = await gone_on(admin, await admin.post(f"{path}/check"))
    assert "Còn 1 lỗi" in page
    assert "Bản nháp</span>" in page
    await the_end_of(admin, path)


async def test_the_document_is_kept_beside_the_set_and_only_real_files_are_taken(
    app: FastAPI, browser: As, client: AsyncClient
) -> None:
    admin = browser("admin")
    path = await copy_of_it(app, admin)
    refused(await admin.post(f"{path}/files", files={"file": ("x.pdf", b"MZ no", "application/pdf")}), "f-file-told")
    refused(await admin.post(f"{path}/files", data={}), "Chọn một tệp.")
    sent = await admin.post(f"{path}/files", files={"file": ("Nghị quyết 12.pdf", PDF, "application/pdf")})
    page = await gone_on(admin, sent)
    assert "Nghị quyết 12.pdf" in page
    link = re.search(r'href="(/admin/rules/[^"]+/files/[^"]+)"', page)
    assert link
    got = await admin.get(link[1])
    assert (got.status_code, got.content) == (200, PDF)
    assert "attachment" in got.headers["content-disposition"]
    for role in ("agent", "head", "leader"):
        assert (await browser(role).get(link[1])).status_code == 403
    assert (await client.get(link[1])).status_code == 303
    other = link[1].replace(path.rpartition("/")[2], await in_force(app))
    assert (await admin.get(other)).status_code == 404
    assert "Nghị quyết 12.pdf" not in await gone_on(admin, await admin.post(f"{link[1]}/delete"))
    await the_end_of(admin, path)


async def test_another_system_copies_checks_and_withdraws(app: FastAPI, as_: As) -> None:
    admin, head = as_("admin"), await in_force(app)
    made = await admin.post(f"{API}/{head}/next", json={"valid_from": "2099-11-30"})
    assert made.status_code == 201, made.text
    path = f"{API}/{made.json()['id']}"
    assert (await admin.post(f"{path}/check", json={})).json()["rule_set"]["state"] == "checked"
    assert (await admin.post(f"{path}/activate", json={})).json()["rule_set"]["state"] == "active"
    assert (await admin.post(f"{path}/withdraw", json={})).json()["state"] == "draft"
    problem(await admin.post(f"{path}/withdraw", json={}), 409)
    problem(await admin.post(f"{API}/{head}/next", json={"valid_from": "2020-01-01"}), 422)
    assert (await admin.delete(path)).status_code == 204
    for role in ("supervisor", "head"):
        problem(await as_(role).post(f"{API}/{head}/next", json={"valid_from": "2099-11-30"}), 403)


async def test_the_example_and_ho_chi_minh_citys_set_in_turn_and_cases_keep_theirs(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    admin, dispatcher = as_("admin"), as_("dispatcher")
    clock.to("2026-03-03T09:00")
    before, _ = await a_report(client, field="infra.light")
    # The file that is shipped, as an administrator reads it in: it extends another shipped one.
    shipped = (SEED / "ruleset-hcmc-2025.yaml").read_text(encoding="utf-8")
    today = shipped.replace("valid_from: 2025-09-04", "valid_from: 2026-03-04", 1)
    assert today != shipped
    made = (await admin.post(API, json={"yaml": today})).json()["rule_set"]
    assert (await admin.post(f"{API}/{made['id']}/activate", json={})).status_code == 200
    clock.to("2026-03-04T09:00")
    alone, _ = await a_report(client, field="infra.light")
    helped, _ = await a_report(client, field="infra.light")
    limits = {}
    for code, supporting in ((before, []), (alone, []), (helped, ["so-yte"])):
        case = await done(dispatcher, code, "forward", {"lead": "so-xd", "supporting": supporting})
        due = next(limit for limit in case["limits"] if limit["stage"] == "resolve")
        limits[code] = (case["rule_set"], due["clock"], due["due_at"][:16])
    assert limits == {
        # R09: three working days, Wednesday being the day of the start: Thursday, Friday, Monday at closing.
        before: ("example-2025 v1", "working", "2026-03-09T17:00"),
        alone: ("hcmc-2025 v1", "calendar", "2026-03-14T09:00"),  # 10 days
        helped: ("hcmc-2025 v1", "calendar", "2026-03-19T09:00"),  # 15 days, for two units must agree
    }
