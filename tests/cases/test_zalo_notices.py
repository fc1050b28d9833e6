"""Zalo as a way to be told: proved by a code sent to the account, and never silent when Zalo takes nothing any more."""

import re

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import text

from cases import digests
from channels.adapter import Failure, SendFailed
from tests.cases.hearing import Box, Hotline, a_number, anonymous, zalo
from tests.cases.noticing import clear, tell
from tests.factories import LEAD, As, Clock, a_report, deliver, done, state

CLOSED = SendFailed(Failure.WINDOW_CLOSED, "Zalo: the person has not written for 7 days (-230)")
HEAD = "chi.head@tinh.example"


@pytest.fixture
async def quiet(app: FastAPI, hotline: Hotline) -> FastAPI:
    await clear(app)
    async with state(app).database.transaction() as session:
        await session.execute(text("DELETE FROM throttles"))
    return app


async def code_of(page: AsyncClient) -> str:
    shown = (await page.post("/account/notices/invite", data={"channel": "zalo"})).text
    found = re.search(r"NHAN ([a-z2-9]{10})<", shown)
    assert found, shown
    return found[1]


async def linked(hotline: Hotline, page: AsyncClient, mode: str = "at_once") -> str:
    """The person's id on Zalo, proved and chosen."""
    who = a_number()
    await hotline.hear("zalo", zalo(who, f"Nhận {await code_of(page)}"))
    await hotline.work()
    assert (await page.post("/account/notices/zalo", data={"mode": mode})).headers["location"].endswith("saved")
    hotline.boxes["zalo"].sent.clear()
    return who


async def forwarded(client: AsyncClient, as_: As) -> str:
    code, _ = await a_report(client)
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD})
    return code


async def posted(app: FastAPI, clock: Clock) -> None:
    here = state(app)
    await tell(app)
    for _ in range(3):  # what could not be delivered wakes another way
        async with here.database.transaction() as session:
            routing = await here.routing.get(session)
            await digests.run(session, routing, here.adapters, here.clock(), site="http://1022.test")
        await deliver(app)
        clock.move(seconds=1)  # what follows from a failure is due when that was noted


async def test_who_sends_their_code_to_the_account_is_told_there(
    quiet: FastAPI, client: AsyncClient, as_: As, browser: As, hotline: Hotline
) -> None:
    head, who, stranger = browser("head"), a_number(), a_number()
    code = await code_of(head)
    await hotline.hear("zalo", zalo(stranger, "nhan abcdefgh23"))  # no such code
    await hotline.hear("zalo", anonymous(stranger, f"NHAN {code}"))  # whose id lasts for one conversation only
    await hotline.hear("zalo", zalo(who, f"NHAN {code}"))
    await hotline.hear("zalo", zalo(stranger, f"NHAN {code}"))  # once
    await hotline.work()
    said = {message.to.handle: message.text for message in hotline.boxes["zalo"].sent if message.to.scheme == "zalo"}
    assert said[who].startswith("Đã nối: từ nay Tổng đài 1022 gửi thông báo")
    assert said[stranger].startswith("Mã này không đúng hoặc đã hết hạn.")
    assert await hotline.cases(who) == []
    assert who in (await head.get("/account/notices")).text
    assert who not in (await browser("head2").get("/account/notices")).text
    assert (await browser("head2").post("/account/notices/zalo", data={"mode": "at_once"})).status_code == 422
    assert (await head.post("/account/notices/zalo", data={"mode": "at_once"})).status_code == 303
    case = await forwarded(client, as_)
    await posted(quiet, hotline.clock)
    (told,) = [message for message in hotline.boxes["zalo"].sent if message.purpose == "unit.notices"]
    assert (told.to.handle, case in told.text) == (who, True)


async def test_a_code_that_has_run_out_is_answered_and_becomes_no_case(
    quiet: FastAPI, browser: As, hotline: Hotline
) -> None:
    code, who = await code_of(browser("head")), a_number()
    hotline.clock.move(minutes=11)
    for _ in range(8):
        await hotline.hear("zalo", zalo(who, f"nhan {code}"))
    await hotline.work()
    assert len(hotline.boxes["zalo"].sent) == 5  # and no end of answers for a machine
    assert await hotline.cases(who) == []
    assert (await browser("head").post("/account/notices/invite", data={"channel": "sms"})).status_code == 404


async def test_when_zalo_takes_no_more_its_template_says_so(
    quiet: FastAPI, client: AsyncClient, as_: As, browser: As, hotline: Hotline
) -> None:
    head = browser("head")
    box = hotline.boxes["zalo"]
    template = hotline.here.adapters["zalo_template"] = Box("zalo_template", hotline.key)  # type: ignore[index]
    try:
        who = await linked(hotline, head)
        box.fails = CLOSED
        code = await forwarded(client, as_)
        await posted(quiet, hotline.clock)
        (told,) = template.sent
        assert told.to.handle == who
        assert told.text.startswith("1022: 1 phản ánh cần anh/chị xem. Xem (cần đăng nhập): http")
        assert code not in told.text
        page = (await head.get("/account/notices")).text
        assert "Nhắn THONGBAO để mở lại." in page
        assert "Thay vào đó đã gửi một tin theo mẫu của Zalo." in page
        template.fails = SendFailed(Failure.FINAL, "Zalo: the template is not approved (-131)")
        hotline.clock.move(minutes=11)
        await forwarded(client, as_)
        await posted(quiet, hotline.clock)
        page = (await head.get("/account/notices")).text
        assert "Thay vào đó đã gửi" not in page
        assert "việc ấy chỉ có ở chuông trong hệ thống" in page
    finally:
        del hotline.here.adapters["zalo_template"]  # type: ignore[attr-defined]


async def test_without_a_template_the_persons_daily_letter_leaves_at_once(
    quiet: FastAPI, client: AsyncClient, as_: As, browser: As, hotline: Hotline
) -> None:
    head = browser("head")
    await linked(hotline, head)
    page = (await head.get("/account/notices")).text
    assert "anh/chị chưa có cách nhận nào khác ngoài chuông" in page
    await head.post("/account/notices/address", data={"address": HEAD})
    await hotline.work()
    letters = hotline.boxes["email"].sent
    await head.post("/account/notices/code", data={"code": letters[-1].text[:6]})
    letters.clear()
    hotline.boxes["zalo"].fails = CLOSED
    code = await forwarded(client, as_)
    await posted(quiet, hotline.clock)
    (letter,) = [each for each in letters if each.purpose == "unit.notices"]
    assert (letter.to.handle, code in letter.text) == (HEAD, True)
    assert "Việc ấy được báo ngay bằng cách khác" in (await head.get("/account/notices")).text
    await posted(quiet, hotline.clock)
    assert len([each for each in letters if each.purpose == "unit.notices"]) == 1


async def test_thongbao_opens_it_again_and_brings_what_was_not_delivered(
    quiet: FastAPI, client: AsyncClient, as_: As, browser: As, hotline: Hotline
) -> None:
    head, box = browser("head"), hotline.boxes["zalo"]
    who = await linked(hotline, head)
    box.fails = CLOSED
    code = await forwarded(client, as_)
    await posted(quiet, hotline.clock)
    assert "việc ấy chỉ có ở chuông trong hệ thống" in (await head.get("/account/notices")).text
    box.fails = None
    hotline.clock.move(minutes=1)
    await hotline.hear("zalo", zalo(who, "Thông báo"))
    await hotline.work()
    await posted(quiet, hotline.clock)
    assert [code in message.text for message in box.sent] == [False, True]  # the answer, and what waited
    assert await hotline.cases(who) == []
    assert "không đến được" not in (await head.get("/account/notices")).text
    citizen = a_number()  # from anybody else it is a message like others
    await hotline.hear("zalo", zalo(citizen, "Thông báo"))
    await hotline.work()
    assert len(await hotline.cases(citizen)) == 1


async def test_who_does_not_follow_is_told_so_on_the_page(
    quiet: FastAPI, client: AsyncClient, as_: As, browser: As, hotline: Hotline
) -> None:
    head = browser("head")
    await linked(hotline, head)
    hotline.boxes["zalo"].fails = SendFailed(Failure.FINAL, "Zalo: the person does not follow (-213)", gone=True)
    await forwarded(client, as_)
    await posted(quiet, hotline.clock)
    assert "chưa theo dõi, hoặc đã chặn tài khoản 1022" in (await head.get("/account/notices")).text
