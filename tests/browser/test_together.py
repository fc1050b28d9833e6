"""Two people at one case: nobody's work is lost, and whoever comes second sees what happened."""

import asyncio
import re
from time import monotonic

import httpx
import pytest
from playwright.async_api import Route, expect

from tests.browser.browsing import ACCEPT, FORWARD, Site, csrf_in, settled
from tests.browser.test_journeys import open_form, status

pytestmark = pytest.mark.timeout(300)  # the first test waits for the demo
TIMES = 50
EVENT_SECONDS = 1.0


async def form_of(client: httpx.AsyncClient, code: str, action: str) -> dict[str, str]:
    """The hidden fields of an action's form, as this person sees it now."""
    html = (await client.get(f"/console/cases/{code}/{action}")).text
    form = re.search(rf'<form[^>]*id="do-{action}".*?</form>', html, re.DOTALL)
    assert form, action
    version = re.search(r'name="version" value="(\d+)"', form[0])
    assert version
    return {"csrf": csrf_in(form[0]), "version": version[1]}


async def test_of_two_acts_in_the_same_second_one_wins_and_the_other_is_shown_it_fifty_times(site: Site) -> None:
    forwarder, refuser = await site.as_staff("dispatcher"), await site.as_staff("agent")
    won = {"forwarded": 0, "refused": 0}
    async with forwarder, refuser:
        for n in range(TIMES):
            code = (await site.report(f"Rác không ai thu gom ở hẻm số {n}.", field="env.waste"))["code"]
            message, reply = f"Lời nhắn số {n} cho đơn vị", f"Lời gửi người dân số {n}, xin xem lại."
            first, second = await asyncio.gather(form_of(forwarder, code, "forward"), form_of(refuser, code, "refuse"))
            assert first["version"] == second["version"]
            sent = [
                forwarder.post(f"/console/cases/{code}/forward", data={**first, "lead": "so-xd", "reason": message}),
                refuser.post(
                    f"/console/cases/{code}/refuse", data={**second, "reason_code": "unclear", "reply": reply}
                ),
            ]
            if n % 2:
                sent.reverse()
            answers = await asyncio.gather(*sent)
            if n % 2:
                answers.reverse()
            forward, refuse = answers
            shown = await site.asked("supervisor", f"/api/v1/cases/{code}")
            won[shown["status"]] += 1
            winner, loser, kept, done = (
                (forward, refuse, reply, "Chuyển đơn vị")
                if shown["status"] == "forwarded"
                else (refuse, forward, message, "Không tiếp nhận")
            )
            assert winner.status_code == 303, winner.text
            assert loser.status_code in (409, 412), loser.status_code
            conflict = re.search(r'class="conflict".*?<form|class="conflict".*', loser.text, re.DOTALL)
            assert conflict, "the second is told that the case changed"
            assert done in conflict[0], "and what was done"
            assert kept in loser.text, "and keeps what was typed"
            timeline = await site.asked("supervisor", f"/api/v1/cases/{code}/timeline")
            acts = [event for event in timeline["items"] if event["kind"].startswith("case.")]
            assert [event["data"]["version"] for event in acts] == [1, 2], "no version is lost, none is there twice"
            assert acts[1]["kind"] == {"forwarded": "case.forward", "refused": "case.refuse"}[shown["status"]]
    assert sum(won.values()) == TIMES


async def test_notes_written_in_the_same_second_are_all_kept(site: Site) -> None:
    """A note is no decision: it does not fight with another, and none is lost."""
    code = (await site.report("Đèn đường hỏng ở hẻm 5.", field="infra.light"))["code"]
    clients = [await site.as_staff(who) for who in ("agent", "dispatcher", "supervisor")]
    forms = [await form_of(client, code, "note") for client in clients]
    answers = await asyncio.gather(
        *(
            client.post(f"/console/cases/{code}/note", data={**form, "text": f"Ghi chú của người thứ {n}"})
            for n, (client, form) in enumerate(zip(clients, forms, strict=True))
        )
    )
    for n, (client, answer) in enumerate(zip(clients, answers, strict=True)):
        text = f"Ghi chú của người thứ {n}"
        if answer.status_code != 303:  # shown again with what was typed, to be sent once more
            assert re.search(rf"<textarea[^>]*>{text}</textarea>", answer.text)
            form = await form_of(client, code, "note")
            assert (await client.post(f"/console/cases/{code}/note", data={**form, "text": text})).status_code == 303
        await client.aclose()
    client = await site.as_staff("supervisor")
    async with client:
        page = (await client.get(f"/console/cases/{code}")).text
    assert all(f"Ghi chú của người thứ {n}" in page for n in range(3))


async def test_the_second_screen_shows_an_act_within_a_second_and_keeps_what_is_being_written(site: Site) -> None:
    code = (await site.report("Ổ gà trước cổng trường.", field="infra.road"))["code"]
    await site.drive(code, FORWARD, ACCEPT)
    officer = await site.page("officer", f"/console/cases/{code}")
    head = await site.page("head", f"/console/cases/{code}")
    for page in (officer, head):
        await expect(page.locator("[data-live]")).to_have_attribute("data-state", "on")
    await officer.locator("#do-submit_answer").get_by_label("Câu trả lời cho người dân").fill("Đã vá.")
    sent = officer.locator("#do-submit_answer").get_by_role("button", name="Trình lãnh đạo duyệt")
    async with officer.expect_response(lambda answer: answer.request.method == "POST") as answered:
        await sent.click()
    await answered.value
    began = monotonic()
    await expect(status(head)).to_have_text("Chờ duyệt", timeout=EVENT_SECONDS * 1000)
    assert monotonic() - began <= EVENT_SECONDS
    await settled(head)

    await open_form(head, "Trả lại làm lại")
    await head.locator("#do-return_answer").get_by_label("Lý do").fill("Đang soạn lý do")
    await site.act("officer", code, "note", {"text": "Đã báo tổ thi công."})
    news = head.locator("#case-news")
    await expect(news).to_contain_text("Có thay đổi mới lúc")
    await expect(head.locator("#do-return_answer").get_by_label("Lý do")).to_have_value("Đang soạn lý do")
    await news.get_by_role("button", name="Xem").click()
    await expect(head.locator("#case-talk")).to_contain_text("Đã báo tổ thi công.")
    await expect(head.locator("#do-return_answer").get_by_label("Lý do")).to_have_value("Đang soạn lý do")


async def test_the_bell_counts_what_comes_without_a_reload_and_sooner_than_it_is_polled(site: Site) -> None:
    head = await site.page("head", "/console")
    await expect(head.locator("[data-live]")).to_have_attribute("data-state", "on")
    before = (await site.asked("head", "/api/v1/notices/count"))["unseen"]
    await head.evaluate("window.stayed = true")
    code = (await site.report("Nắp hố ga vỡ trước chợ.", field="infra.road"))["code"]
    await site.drive(code, FORWARD)
    count = head.locator("[data-bell] .count")
    await expect(count).to_have_text(re.compile(rf"^{before + 1}\b"), timeout=15_000)  # polled every 30 s
    other = await site.page("head", "/console/notices")
    await other.get_by_role("button", name="Đánh dấu đã xem hết").click()
    await expect(head.locator("[data-bell] .count")).to_have_count(0, timeout=15_000)
    assert await head.evaluate("window.stayed")


async def test_a_conflict_on_screen_shows_both_versions_and_can_be_sent_again(site: Site) -> None:
    code = (await site.report("Ổ gà trước cổng chợ.", field="infra.road"))["code"]
    await site.drive(code, FORWARD, ACCEPT)
    page = await site.page("officer", f"/console/cases/{code}")
    form = page.locator("#do-submit_answer")
    await form.get_by_label("Câu trả lời cho người dân").fill("Đã vá xong.")
    await site.act("officer", code, "tell_progress", {"text": "Đang vá", "until": "2027-03-01T09:00:00+07:00"})
    await form.get_by_role("button", name="Trình lãnh đạo duyệt").click()
    await expect(page.locator(".conflict")).to_contain_text("Phản ánh đã thay đổi trong lúc anh/chị soạn")
    await expect(page.locator(".conflict")).to_contain_text("tiến độ")
    await expect(form.get_by_label("Câu trả lời cho người dân")).to_have_value("Đã vá xong.")
    await form.get_by_role("button", name="Gửi lại trên bản mới").click()
    await expect(status(page)).to_have_text("Chờ duyệt")


async def test_a_case_that_becomes_restricted_leaves_the_screens_of_all_but_inspectors(site: Site) -> None:
    code = (await site.report("Bãi rác tự phát sau chợ.", field="env.waste"))["code"]
    page = await site.page("supervisor", f"/console/cases/{code}")
    writing = await site.page("dispatcher", f"/console/cases/{code}")
    await writing.locator("label[data-mode=note]").click()
    await writing.locator("#do-note").get_by_label("Ghi chú nội bộ").fill("Bãi rác này của ai?")
    for each in (page, writing):
        await expect(each.locator("[data-live]")).to_have_attribute("data-state", "on")
    await site.act("agent", code, "set_track", {"track": "denunciation"})
    for each in (page, writing):
        await expect(each.locator("#case")).to_contain_text("không còn thấy phản ánh")
        await expect(each.locator("main")).not_to_contain_text("Bãi rác")
    await expect(writing.locator("form[data-form]")).to_have_count(0)


async def test_a_form_just_opened_stays_when_somebody_else_acts_and_is_sent_on_what_is_shown(site: Site) -> None:
    code = (await site.report("Ổ gà trước trạm y tế.", field="infra.road"))["code"]
    await site.drive(code, FORWARD)
    page = await site.page("officer", f"/console/cases/{code}")
    await expect(page.locator("[data-live]")).to_have_attribute("data-state", "on")
    await open_form(page, "Trả lại trung tâm")
    reason = page.locator("#do-give_back").get_by_label("Lý do")
    await expect(reason).to_be_visible()
    await site.drive(code, ACCEPT)
    await expect(status(page)).to_have_text("Đang xử lý")
    await settled(page)
    await expect(reason).to_be_visible()
    await reason.fill("Không thuộc đơn vị quản lý.")
    await page.locator("#do-give_back [data-send]").click()
    await expect(page.locator("main")).to_contain_text("Đã trả lại")
    assert (await site.asked("dispatcher", f"/api/v1/cases/{code}"))["status"] == "received"


async def test_keys_pressed_while_a_page_still_comes_are_not_lost(site: Site) -> None:
    code = (await site.report("Rác chắn đường vào chợ.", field="env.waste"))["code"]
    context = await site.context("dispatcher")
    page = await context.new_page()
    came = asyncio.Event()

    async def late(route: Route) -> None:
        await came.wait()
        await route.continue_()

    await page.route("**/js/console.js*", late)
    await page.goto(f"/console/cases/{code}", wait_until="commit")
    await expect(page.locator("#case-head")).to_contain_text(code)
    await page.keyboard.press("c")
    came.set()
    await expect(page.get_by_role("searchbox", name="Tìm: Lĩnh vực")).to_be_focused()
