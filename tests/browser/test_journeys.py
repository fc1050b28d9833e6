"""What people come for, from beginning to end, on a phone, a desk and a large desk."""

import re
from html import unescape
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.browsing import ACCEPT, APPROVE, ASK, FORWARD, SUBMIT, WIDTHS, Site, photo_file, settled

pytestmark = pytest.mark.timeout(300)  # the first test waits for the demo
on_every_width = pytest.mark.parametrize("width", WIDTHS)
TEXT = "Ổ gà sâu giữa đường Hùng Vương, xe máy dễ ngã khi trời mưa."


async def reload_until(page: Page, what: Locator) -> None:
    """Look again until it is there; the worker sends within a second or two."""
    for _ in range(20):
        if await what.count():
            return
        await page.wait_for_timeout(400)
        await page.reload()
    await expect(what).to_be_visible()


async def loaded(picture: Locator) -> None:
    """It is a picture with something in it."""
    await expect(picture).to_be_visible()
    await picture.evaluate("image => image.decode()")
    assert await picture.evaluate("image => image.naturalWidth") > 0


async def open_form(page: Page, title: str) -> None:
    """Open an action's form: from the bar, else from under "Khác"."""
    acts = page.get_by_role("navigation", name="Việc có thể làm")
    button = acts.get_by_role("link", name=title, exact=True).locator("visible=true")
    if not await button.count():
        await acts.locator("summary").click()
    await button.first.click()


def status(page: Page) -> Locator:
    """The status in the head of a case's page."""
    return page.locator("#case-head .badge").first


async def fill_in_report(page: Page, text: str, *, photo: bool) -> None:
    """The three steps, up to sending."""
    await page.get_by_label("Nội dung phản ánh").fill(text)
    if photo:
        await page.locator("#f-attachments").set_input_files(photo_file())
        await expect(page.get_by_text("o-ga.jpg")).to_be_visible()
    await page.get_by_role("button", name="Tiếp tục").click()
    await page.get_by_role("textbox", name=re.compile("^Địa chỉ")).fill("Trước số 12 đường Hùng Vương")
    unit = page.get_by_role("combobox", name=re.compile("^Xã, phường"))
    await unit.press_sequentially("tan phu")
    await page.get_by_role("option").first.click()
    assert await unit.input_value()
    await page.get_by_role("button", name="Tiếp tục").click()
    await page.get_by_label("Họ tên").fill("Lê Văn Dân")
    await page.get_by_role("textbox", name=re.compile("^Số điện thoại")).fill("0912 345 678")


@on_every_width
async def test_a_citizen_reports_with_a_photo_tracks_answers_back_and_rates(site: Site, width: int) -> None:
    page = await site.page(path="/", width=width)
    await fill_in_report(page, TEXT, photo=True)
    await page.get_by_role("button", name="Gửi phản ánh").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Đã nhận phản ánh")
    code, key = await page.locator("#code").inner_text(), await page.locator("#key").inner_text()
    assert re.fullmatch(r"BP-\d\d-\d{7}", code)
    assert re.fullmatch(r"[0-9A-Z]{6}", key)
    await expect(page.locator("svg.qr")).to_be_visible()
    await page.get_by_role("link", name="Theo dõi phản ánh").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(code)
    await loaded(page.get_by_role("img", name="o-ga.jpg"))

    at_home = await site.page(path="/track", width=width)  # another machine, which knows nothing of the report
    await at_home.get_by_label("Mã phản ánh").fill(code.lower().replace("-", " "))
    await at_home.get_by_label("Khóa theo dõi").fill(key.lower())
    await at_home.get_by_role("button", name="Xem phản ánh").click()
    await expect(at_home.locator("main")).to_contain_text(TEXT)

    await site.drive(code, FORWARD, ACCEPT, ASK)
    await at_home.reload()
    await expect(at_home.get_by_role("heading", name="Câu hỏi cho anh/chị")).to_be_visible()
    await expect(at_home.locator(".ask")).to_contain_text(ASK[2]["question"])
    await at_home.get_by_label("Anh/chị trả lời").fill("Đoạn trước cổng chợ, cách ngã ba khoảng 50 m.")
    await at_home.get_by_role("button", name="Gửi trả lời").click()
    await expect(at_home.get_by_text("Đã gửi thêm nội dung.")).to_be_visible()

    await site.drive(code, SUBMIT, APPROVE)
    await reload_until(at_home, at_home.get_by_role("heading", name=re.compile("Câu trả lời")))
    await expect(at_home.locator(".answer")).to_contain_text(SUBMIT[2]["reply"])
    await at_home.get_by_role("radio", name=re.compile("5")).check(force=True)
    await at_home.get_by_role("button", name="Gửi đánh giá").click()
    await expect(at_home.get_by_text("Cảm ơn anh/chị đã đánh giá.")).to_be_visible()
    await expect(at_home.get_by_role("img", name="5 trên 5 sao")).to_be_visible()
    assert (await site.asked("supervisor", f"/api/v1/cases/{code}"))["rating"] == 5


@on_every_width
async def test_an_agent_answers_directly_and_the_citizen_reads_exactly_what_was_shown_before(
    site: Site, width: int
) -> None:
    receipt = await site.report("Cho hỏi thủ tục cấp lại thẻ căn cước làm ở đâu?")
    code = receipt["code"]
    page = await site.page("agent", f"/console/cases/{code}", width=width)
    answer = "Anh/chị đến công an xã, phường nơi cư trú, mang theo thẻ cũ. Kết quả có trong 7 ngày làm việc."
    await page.locator("label[data-mode=answer_directly]").click()
    form = page.locator("#do-answer_directly")
    await form.get_by_label("Câu trả lời cho người dân").fill(answer)
    await form.get_by_role("button", name="Xem trước").click()
    await expect(form.locator(".preview")).to_contain_text(answer)
    shown = await form.locator(".preview .said").inner_text()
    await form.get_by_role("button", name="Gửi câu trả lời").click()
    await expect(page.locator("#toasts")).to_contain_text("Đã gửi câu trả lời.")
    await expect(status(page)).to_have_text("Đã trả lời")  # by the worker, shown without loading anew
    told = (await site.asked_by_citizen(receipt))["reply"]
    assert told in shown


@on_every_width
async def test_a_dispatcher_classifies_and_forwards_by_keyboard_alone(site: Site, width: int) -> None:
    code = (await site.report("Cột điện trước nhà văn hóa ấp 3 nghiêng, sắp đổ."))["code"]
    context = await site.context("dispatcher", width=width)
    await context.add_init_script(
        "window.pointed = 0; for (const kind of ['pointerdown', 'mousedown', 'touchstart'])"
        " addEventListener(kind, () => { window.pointed += 1; }, true)"
    )
    page = await context.new_page()
    await page.goto("/console")
    press, write = page.keyboard.press, page.keyboard.type
    await press("/")
    await write(code)
    await press("Enter")
    await expect(page.locator(f"#row-{code}")).to_be_visible()
    await press("j")
    await press("Enter")
    await expect(page.locator("#case-head")).to_contain_text(code)
    await settled(page)

    await press("c")
    await expect(page.get_by_role("searchbox", name="Tìm: Lĩnh vực")).to_be_focused()
    await write("chieu sang")
    await press("Enter")
    await press("Control+Enter")
    await expect(page.locator("#toasts")).to_contain_text("Đã phân loại lại.")
    assert (await site.asked("dispatcher", f"/api/v1/cases/{code}"))["field"]["name"].lower().startswith("chiếu sáng")
    await settled(page)

    await press("d")
    await expect(page.get_by_role("searchbox", name="Tìm: Đơn vị chủ trì")).to_be_focused()
    await write("so xay dung")
    await press("Enter")
    await press("Control+Enter")
    await expect(page.locator("#toasts")).to_contain_text("Đã chuyển Sở Xây dựng.")
    await expect(status(page)).to_have_text("Đã chuyển đơn vị")
    await settled(page)
    await press("Escape")
    await expect(page).to_have_url(re.compile(r"/console(\?.*)?$"))
    assert await page.evaluate("window.pointed") == 0
    shown = await site.asked("dispatcher", f"/api/v1/cases/{code}")
    assert (shown["status"], shown["lead"]["code"]) == ("forwarded", "so-xd")


@on_every_width
async def test_an_officer_accepts_and_answers_with_a_photo(site: Site, width: int) -> None:
    receipt = await site.report(TEXT, field="infra.road")
    code = receipt["code"]
    await site.drive(code, FORWARD)
    page = await site.page("officer", "/console", width=width, touch=width == 390)
    use = Locator.tap if width == 390 else Locator.click
    await use(page.locator(f"#row-{code} a.open"))
    await use(page.get_by_role("link", name="Nhận xử lý", exact=True))
    await use(page.locator("#case-form").get_by_role("button", name="Nhận xử lý"))
    await expect(status(page)).to_have_text("Đang xử lý")
    await settled(page)
    await use(page.locator("label[data-mode=submit_answer]"))
    form = page.locator("#do-submit_answer")
    await form.get_by_label("Câu trả lời cho người dân").fill("Đã vá xong ổ gà, ảnh kèm theo.")
    await form.locator("input[name=attachments]").set_input_files(photo_file("da-va.jpg"))
    await use(form.get_by_role("button", name="Trình lãnh đạo duyệt"))
    await expect(status(page)).to_have_text("Chờ duyệt")
    await loaded(page.locator("#case-talk").get_by_role("img", name="Ảnh da-va.jpg"))
    await site.drive(code, APPROVE)
    citizen = await site.page(path="/track", width=width)
    await citizen.get_by_label("Mã phản ánh").fill(code)
    await citizen.get_by_label("Khóa theo dõi").fill(receipt["tracking_key"])
    await citizen.get_by_role("button", name="Xem phản ánh").click()
    await reload_until(citizen, citizen.locator(".answer"))
    await loaded(citizen.locator(".answer").get_by_role("img", name="da-va.jpg"))


@on_every_width
async def test_a_head_returns_an_answer_and_approves_the_better_one(site: Site, width: int) -> None:
    code = (await site.report(TEXT, field="infra.road"))["code"]
    await site.drive(code, FORWARD, ACCEPT, SUBMIT)
    page = await site.page("head", f"/console/cases/{code}", width=width)
    await open_form(page, "Trả lại làm lại")
    form = page.locator("#do-return_answer")
    await form.get_by_role("button", name="Trả lại làm lại").click()
    await expect(form.locator("[aria-invalid=true]")).to_be_focused()  # a reason must be there
    await form.get_by_label("Lý do").fill("Nêu rõ ngày vá và ai kiểm tra.")
    await form.get_by_role("button", name="Trả lại làm lại").click()
    await expect(status(page)).to_have_text("Đang xử lý")
    await expect(page.locator("#case-story")).to_contain_text("Trả lại làm lại")
    better = "Đã vá ngày 20/11, Phòng Quản lý hạ tầng đã kiểm tra."
    await site.act("officer", code, "submit_answer", {"reply": better})
    await expect(status(page)).to_have_text("Chờ duyệt")  # live
    await settled(page)
    await expect(page.locator("#case-talk")).to_contain_text(better)
    await open_form(page, "Duyệt và gửi")
    form = page.locator("#do-approve_answer")
    await form.get_by_role("button", name="Xem trước").click()
    await expect(form.locator(".preview")).to_contain_text(better)
    await form.get_by_role("button", name="Duyệt và gửi").click()
    await expect(status(page)).to_have_text("Đã trả lời")


@on_every_width
async def test_a_supervisor_sees_what_is_late_and_every_number_opens_its_cases(site: Site, width: int) -> None:
    page = await site.page("supervisor", "/console?view=late", width=width)
    rows = page.locator("#cases > li")
    count = await rows.count()
    assert count > 0
    assert await page.locator("#cases > li .when .badge.late").count() == count
    assert await page.locator("#views [aria-current]").get_attribute("data-count") == str(count)
    await rows.first.locator("a.open").click()
    await expect(page.locator("#case-side .clocks .badge.late").first).to_be_visible()
    await page.goto("/ioc")
    links = page.locator("main a[href^='/console?']")
    assert await links.count() >= 6
    late = page.locator("main a[href*='late=true'], main a[href*='view=late'], main a[href*='figure=overdue']").first
    told = re.search(r"\d+", await late.inner_text())
    assert told, "the number of late cases stands in its link"
    await late.click()
    await expect(page.locator("#list-title")).to_be_visible()
    assert await page.locator("#cases > li").count() == int(told[0])


SECRET = "Tôi tố cáo cán bộ địa chính xã nhận tiền khi làm sổ đỏ, mong giữ kín tên tôi."


@on_every_width
async def test_an_inspector_sees_the_denunciation_and_nobody_else_does(site: Site, width: int) -> None:
    before: Any = {}
    for who in ("supervisor", "leader"):
        page = await site.page(who, "/ioc", width=width)
        before[who] = await numbers(page)
        assert len(before[who]) > 1
    code = (await site.report(SECRET))["code"]
    shown = await site.asked("inspector", f"/api/v1/cases/{code}")
    assert shown["track"] == "denunciation", "its words restrict a report at once"
    inspector = await site.page("inspector", "/console", width=width)
    await expect(inspector.locator(f"#row-{code}")).to_be_visible()
    await inspector.locator(f"#row-{code} a.open").click()
    await expect(inspector.locator("#case-talk")).to_contain_text(SECRET)
    await expect(inspector.get_by_text("Diện hạn chế: chỉ thanh tra thấy phản ánh này.")).to_be_visible()
    page = await site.page("supervisor", f"/console/cases/{code}", width=width)
    await expect(page.locator("main")).not_to_contain_text(SECRET[:40])
    for who in ("supervisor", "leader"):
        page = await site.page(who, "/ioc", width=width)
        assert await numbers(page) == before[who]
    public = await site.page(path="/cases", width=width)
    await expect(public.locator("main")).not_to_contain_text(SECRET[:40])


async def test_no_list_and_no_address_shows_a_denunciation_to_anybody_but_inspectors(site: Site) -> None:
    code = (await site.report(SECRET))["code"]
    lists = ("/console", f"/console?q={code}", "/console?q=dia+chinh+nhan+tien", "/console?restricted=true",
             "/console?status=received", "/console?received_from=2020-01-01")  # fmt: skip
    pages = ("", "/note", "/explain", "/forward", "?part=case")

    async def tries(who: str) -> None:
        client = await site.as_staff(who)
        async with client:
            for path in lists:
                answer = await client.get(path)
                assert answer.status_code in (200, 403), (who, path, answer.status_code)
                assert f'id="row-{code}"' not in answer.text, (who, path)
                assert SECRET[:40] not in answer.text, (who, path)
            for path in pages:
                answer = await client.get(f"/console/cases/{code}{path}")
                assert answer.status_code in (403, 404), (who, path)
                assert SECRET[:40] not in answer.text, (who, path)
            peek = await client.get(f"/console/peek?into={code}")
            assert SECRET[:40] not in peek.text

    for who in ("agent", "dispatcher", "supervisor", "officer", "head", "leader", "admin"):
        await tries(who)
    with pytest.raises(AssertionError):
        await tries("inspector")


async def numbers(page: Page) -> dict[str, str]:
    """The board's numbers that a report changes and time does not: what came in, and what is open."""
    links = await page.locator("a[data-number]").evaluate_all(
        "all => all.map(each => [each.getAttribute('href'), each.dataset.number])"
    )
    return {href: number for href, number in links if href.endswith("?open=true") or "received_from=" in href}


async def test_every_number_of_the_board_is_the_number_of_its_cases(site: Site) -> None:
    client = await site.as_staff("leader")
    async with client:
        board = (await client.get("/ioc?period=7")).text
        links = {unescape(href): int(n) for href, n in re.findall(r'href="([^"]+)" data-number="(\d+)"', board)}
        assert len(links) > 100
        for href, number in sorted(links.items())[::7]:
            listed = (await client.get(href)).text
            told = re.search(r'data-amount="(\d+)"', listed)
            if told:
                assert int(told[1]) == number, href
            elif number < 50:  # one page
                assert listed.count('class="case-row') == number, href


async def test_a_citizen_without_javascript_goes_all_the_way(site: Site) -> None:
    page = await site.page(path="/", width=390, script=False)
    await page.get_by_label("Nội dung phản ánh").fill(TEXT)
    await page.locator("#f-attachments").set_input_files(photo_file())
    await page.get_by_role("textbox", name=re.compile("^Địa chỉ")).fill("Trước số 12 đường Hùng Vương")
    await page.locator("#f-unit").fill("Tân Phú, Đồng Xoài")
    await page.get_by_label("Họ tên").fill("Lê Văn Dân")
    await page.get_by_role("button", name="Gửi phản ánh").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Đã nhận phản ánh")
    code = await page.locator("#code").inner_text()
    await page.get_by_role("link", name="Theo dõi phản ánh").click()
    await expect(page.get_by_role("img", name="o-ga.jpg")).to_be_visible()
    await site.drive(code, FORWARD, ACCEPT, ASK)
    await page.reload()
    await page.get_by_label("Anh/chị trả lời").fill("Trước cổng chợ.")
    await page.get_by_role("button", name="Gửi trả lời").click()
    await expect(page.get_by_text("Đã gửi thêm nội dung.")).to_be_visible()
    await site.drive(code, SUBMIT, APPROVE)
    await reload_until(page, page.get_by_role("heading", name=re.compile("Câu trả lời")))
    await page.locator("label.choice", has=page.locator("input[value='4']")).click()
    await page.get_by_role("button", name="Gửi đánh giá").click()
    await expect(page.get_by_text("Cảm ơn anh/chị đã đánh giá.")).to_be_visible()


async def test_an_officer_without_javascript_works_a_case(site: Site) -> None:
    code = (await site.report(TEXT, field="infra.road"))["code"]
    await site.drive(code, FORWARD)
    page = await site.page("officer", f"/console/cases/{code}", script=False)
    await open_form(page, "Nhận xử lý")
    await page.locator("#do-accept").get_by_role("button", name="Nhận xử lý").click()
    await expect(page.locator("#case-main, .case-main")).to_contain_text("Đã nhận xử lý.")
    await page.locator("label[data-mode=submit_answer]").click()
    form = page.locator("#do-submit_answer")
    await form.get_by_label("Câu trả lời cho người dân").fill("Đã vá xong.")
    await form.get_by_role("button", name="Trình lãnh đạo duyệt").click()
    await expect(status(page)).to_have_text("Chờ duyệt")


async def test_language_and_theme_are_chosen_on_the_page_and_stay(site: Site) -> None:
    page = await site.page(path="/", width=390)
    await page.get_by_role("button", name="English").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Send a report")
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    light = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    await page.get_by_role("button", name="Dark").click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    await page.goto("/track")
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")


async def test_an_english_speaker_reports_and_follows(site: Site) -> None:
    page = await site.page(path="/", lang="en", theme="dark", width=390)
    await (
        page.get_by_label("What happened").or_(page.locator("#f-text")).first.fill("Street light broken at the market.")
    )
    for _ in range(2):
        await page.locator("#next").click()
    await page.locator("#send").click()
    await expect(page.locator("#code")).to_be_visible()
    await page.locator("main .acts a.btn.primary").click()
    await expect(page.locator("main")).to_contain_text("Street light broken at the market.")
    vietnamese = re.compile(r"[ăâđêôơư]", re.IGNORECASE)
    for heading in await page.locator("main h1, main h2").all_inner_texts():
        assert not vietnamese.search(heading), heading
