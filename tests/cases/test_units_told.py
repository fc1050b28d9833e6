"""Units hear of their cases by e-mail: on forward, reminder and breach, once each; nothing personal leaves us."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import text
from sqlmodel import select

from cases import unit_mail
from channels.adapter import Adapter
from channels.mail.sending import Mail
from channels.mail.smtp import Relay
from channels.models import Outgoing
from core.db import bare
from core.doctor import WITHOUT_MAILBOX
from routing.models import Department
from tests.factories import (
    LEAD,
    SUPPORT,
    As,
    Clock,
    Drive,
    a_report,
    act,
    by_citizen,
    case_of,
    deliver,
    done,
    journal_of,
    settle,
    state,
)
from tests.mailing import SENDER, Sink, sink

PERSONAL = {
    "text": "Nhà chị Hạnh ở hẻm 27 bị ngập, gọi giùm",
    "contact": {"name": "Lê Thị Hạnh", "phone": "0912345678", "email": "hanh.le@example.vn"},
    "location": {"address": "hẻm 27 đường Hùng Vương", "lat": 11.53, "lng": 106.89},
}
WORDS = ("Hạnh", "hẻm", "ngập", "912345678", "hanh.le", "Hùng Vương", "11.53", "106.89")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sink]:
    with sink(tmp_path_factory.mktemp("sink")) as running:
        yield running


@pytest.fixture
async def post(app: FastAPI, server: Sink, monkeypatch: pytest.MonkeyPatch) -> Sink:
    """The app sends its e-mail to a mail server, the lead has a mailbox and its helper too; nothing waits."""
    here = state(app)
    adapters: dict[str, Adapter] = {**here.adapters, "email": Mail(Relay("127.0.0.1", server.port, "none"), SENDER)}
    monkeypatch.setattr(here, "adapters", adapters)
    await set_mailbox(app, LEAD, "so-xd@tinh.example")
    await set_mailbox(app, SUPPORT, "so-congthuong@tinh.example")
    async with here.database.transaction() as session:
        await session.execute(text("UPDATE outgoing SET state = 'dropped', run_at = NULL, dead_at = NULL"))
        await session.execute(text("UPDATE limits SET next_at = NULL"))
    server.forget()
    return server


async def set_mailbox(app: FastAPI, code: str, address: str | None) -> None:
    here = state(app)
    async with here.database.transaction() as session:
        await session.execute(
            text("UPDATE departments SET email = :email WHERE code = :code"), {"email": address, "code": code}
        )
    here.routing = type(here.routing)()  # read again at once


async def settled(app: FastAPI) -> None:
    """A round of the worker, and what it wrote leaves."""
    await settle(app)
    await deliver(app)


async def forwarded(client: AsyncClient, as_: As, **members: Any) -> tuple[str, str]:
    code, key = await a_report(client, **members)
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD, "supporting": [SUPPORT], "reason": "Nhờ xem gấp"})
    return code, key


async def test_forwarding_tells_the_lead_and_its_helpers_once(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, post: Sink
) -> None:
    code, _ = await forwarded(client, as_)
    for _ in range(2):
        await deliver(app)
    (lead,) = post.mails("so-xd@")
    assert lead["Subject"] == f"{code}: Phản ánh mới, chủ trì xử lý"
    assert lead.get_content().replace("\r\n", "\n") == (
        f"Kính gửi Sở Xây dựng,\n\n"
        f"Tổng đài 1022 chuyển đến quý đơn vị phản ánh {code} để chủ trì xử lý.\n\n"
        "Lĩnh vực: Đường hư, ổ gà\n"
        "Địa bàn: chưa xác định\n"
        "Mức độ: Thường\n"
        "Chủ trì: Sở Xây dựng\n"
        "Phối hợp: Sở Công Thương\n\n"
        "Thời hạn của quý đơn vị:\n"
        "- Nhận việc: trước 08:15 ngày 04/03/2026 (8 giờ làm việc)\n"
        "- Xử lý và trình kết quả: trước 17:00 ngày 06/03/2026 (3 ngày làm việc)\n\n"
        "Nếu không đúng thẩm quyền, đề nghị trả lại kèm lý do và đơn vị phù hợp trước 14:15 ngày 03/03/2026.\n\n"
        "Xem nội dung và xử lý (cần đăng nhập):\n"
        f"http://127.0.0.1:8022/console/cases/{code}\n\n"
        "Thư do Tổng đài 1022 gửi tự động, xin không trả lời thư này.\n"
    )
    (helper,) = post.mails("so-congthuong@")
    assert helper["Subject"] == f"{code}: Phản ánh mới, phối hợp xử lý"
    assert "- Gửi ý kiến phối hợp: trước 17:00 ngày 06/03/2026 (3 ngày làm việc)" in helper.get_content()
    assert "đề nghị trả lại kèm lý do và đơn vị phù hợp trước 14:15 ngày 03/03/2026" in helper.get_content()
    assert {each["References"] for each in (lead, helper)} == {f"<{code}@tinh.example>"}


async def test_reminders_and_the_breach_come_once_each_to_who_holds_the_limit(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, post: Sink
) -> None:
    code, _ = await forwarded(client, as_)
    await done(as_("officer"), code, "accept")
    await settled(app)
    post.forget()
    told: list[str] = []
    for moment in (
        "2026-03-04T09:00",
        "2026-03-05T11:00",  # 50 % of three working days
        "2026-03-06T09:00",  # 80 %
        "2026-03-06T16:59",
        "2026-03-06T17:00",
        "2026-03-09T09:00",
    ):
        clock.to(moment)
        for _ in range(3):
            await settled(app)
        told += [f"{moment[8:]} {each['Subject'].removeprefix(code + ': ')}" for each in post.mails("so-xd@")]
        post.forget()
    assert told == [
        "05T11:00 Nhắc hạn xử lý và trình kết quả: trước 17:00 ngày 06/03/2026",
        "06T09:00 Nhắc hạn xử lý và trình kết quả: trước 17:00 ngày 06/03/2026",
        "06T17:00 Quá hạn xử lý và trình kết quả",
    ]


async def test_a_breach_says_what_is_owed_now(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, post: Sink
) -> None:
    code, _ = await forwarded(client, as_)
    await deliver(app)
    post.forget()
    clock.to("2026-03-06T18:00")  # no worker ran since: of all that passed, each limit's last turn is told
    await settled(app)
    assert sorted(each["Subject"] for each in post.mails("so-xd@")) == [
        f"{code}: Quá hạn nhận việc",
        f"{code}: Quá hạn xử lý và trình kết quả",
    ]
    assert [each["Subject"] for each in post.mails("so-congthuong@")] == [f"{code}: Quá hạn gửi ý kiến phối hợp"]
    (late,) = [each for each in post.mails("so-xd@") if "xử lý" in each["Subject"]]
    assert "báo tiến độ kèm ảnh hiện trường và ngày cam kết hoàn thành" in late.get_content()
    kinds = [row.kind for row in await journal_of(app, code)]
    assert kinds.count("limit.breached") == 3
    assert kinds.count("limit.reminded") == 6  # the journal keeps every turn


async def test_a_breach_that_a_command_finds_first_is_told_too(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, post: Sink
) -> None:
    code, _ = await forwarded(client, as_)
    await done(as_("officer"), code, "accept")
    await deliver(app)
    post.forget()
    clock.to("2026-03-09T09:00")
    await done(as_("dispatcher"), code, "classify", {"urgency": "complex"})  # looks at every running limit
    await settled(app)
    assert [each["Subject"] for each in post.mails("so-xd@")] == [f"{code}: Quá hạn xử lý và trình kết quả"]


async def test_a_limit_met_in_time_is_not_mentioned_again(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock, post: Sink
) -> None:
    code, _ = await a_report(client)
    await drive(code, "replied")
    post.forget()
    clock.move(days=20)
    await settled(app)
    assert post.mails("so-xd@") == []


async def test_an_emergency_says_so_and_counts_round_the_clock(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, post: Sink
) -> None:
    code, _ = await a_report(client)
    await done(as_("dispatcher"), code, "classify", {"urgency": "emergency", "area": "bp-d-dong-xoai"})
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD})
    await deliver(app)
    (lead,) = post.mails("so-xd@")
    assert lead["Subject"] == f"[KHẨN CẤP] {code}: Phản ánh mới, chủ trì xử lý"
    assert "trước 08:45 ngày 03/03/2026 (30 phút, tính cả ngoài giờ làm việc)" in lead.get_content()
    assert "Địa bàn: thành phố Đồng Xoài\r\n" in lead.get_content()


async def test_who_gets_a_case_back_hears_that_it_is_open_again(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock, post: Sink
) -> None:
    code, key = await a_report(client)
    await drive(code, "replied")
    post.forget()
    clock.move(days=1)
    assert (await by_citizen(client, code, key, "reopen", {"reason": "Ổ gà vẫn còn"})).status_code == 200
    await deliver(app)
    (lead,) = post.mails("so-xd@")
    assert lead["Subject"] == f"{code}: Phản ánh mở lại, chủ trì xử lý"
    assert "Ổ gà vẫn còn" not in lead.get_content()


async def test_forwarded_a_second_time_the_unit_hears_a_second_time(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, post: Sink
) -> None:
    code, _ = await forwarded(client, as_)
    await done(as_("officer"), code, "give_back", {"reason": "Không thuộc thẩm quyền"})
    clock.move(minutes=20)
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD})
    await deliver(app)
    assert len(post.mails("so-xd@")) == 2
    assert len(post.mails("so-congthuong@")) == 1


async def test_a_citizen_who_asks_again_is_passed_on_once_a_day(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, post: Sink
) -> None:
    code, key = await forwarded(client, as_)
    await deliver(app)
    post.forget()
    for _ in range(3):
        clock.move(hours=1)
        assert (await by_citizen(client, code, key, "chase")).status_code == 200
    clock.move(days=1)
    await done(as_("agent"), code, "chase")
    await deliver(app)
    assert sorted(each["Subject"] for each in post.mails("so-xd@")) == [
        f"{code}: Người dân hỏi lại lần 1",
        f"{code}: Người dân hỏi lại lần 4",
    ]
    assert post.mails("so-congthuong@") == []


async def test_after_a_change_of_lead_the_new_one_hears_of_it_the_same_day(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, post: Sink
) -> None:
    code, key = await forwarded(client, as_)
    assert (await by_citizen(client, code, key, "chase")).status_code == 200
    await done(as_("officer"), code, "give_back", {"reason": "Không thuộc thẩm quyền"})
    await done(as_("dispatcher"), code, "forward", {"lead": SUPPORT})
    await deliver(app)
    post.forget()
    clock.move(hours=1)
    assert (await by_citizen(client, code, key, "chase")).status_code == 200
    await deliver(app)
    assert [each["Subject"] for each in post.mails("so-congthuong@")] == [f"{code}: Người dân hỏi lại lần 2"]
    assert post.mails("so-xd@") == []


async def test_nothing_of_the_citizen_and_no_word_of_the_report_is_in_any_letter(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, post: Sink
) -> None:
    code, key = await forwarded(client, as_, **PERSONAL)
    assert (await by_citizen(client, code, key, "messages", {"text": "Hẻm 27 nước dâng rồi"})).status_code == 201
    assert (await by_citizen(client, code, key, "chase")).status_code == 200
    await done(as_("agent"), code, "reveal_identity", {"reason": "Cần gặp chị Hạnh"})
    clock.to("2026-03-12T09:00")
    await settled(app)
    taken = post.taken()
    assert len(taken) >= 6
    letters = post.mails()
    said = "\n".join([*(str(each) for each in letters), *(each.get_content() for each in letters)])
    said += "\n".join(f"{each['from']} {each['to']}" for each in taken)
    said = said.replace(code, "").replace("127.0.0.1", "")
    assert [word for word in (*WORDS, "Nhờ xem gấp", "dâng") if word.lower() in said.lower()] == []


@pytest.mark.parametrize(
    "name", ["Sở X\r\nBcc: evil@example.vn", "Sở\n\n.\r\nMAIL FROM:<evil@example.vn>", "Sở\u2028=?utf-8?q?=0D=0ABcc?="]
)
async def test_the_name_of_a_department_writes_no_headers(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, post: Sink, name: str
) -> None:
    here = state(app)
    rename = text("UPDATE departments SET name = :name WHERE code = :code")
    async with here.database.transaction() as session:
        before = (await session.exec(select(Department.name).where(Department.code == LEAD))).one()
        await session.execute(rename, {"name": name, "code": LEAD})
    here.routing = type(here.routing)()
    await forwarded(client, as_)
    await deliver(app)
    async with here.database.transaction() as session:
        await session.execute(rename, {"name": before, "code": LEAD})
    assert sorted(each["to"][0] for each in post.taken()) == [
        "TO:<so-congthuong@tinh.example>",
        "TO:<so-xd@tinh.example>",
    ]
    for each in post.mails():
        assert each["Bcc"] is None
        assert len(each.keys()) == 13


# ---- who gets none


async def test_a_unit_without_a_mailbox_is_named_in_the_journal_and_to_the_administrator(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, post: Sink
) -> None:
    await set_mailbox(app, SUPPORT, None)
    code, _ = await forwarded(client, as_)
    await deliver(app)
    assert len(post.taken()) == 1
    (act_of,) = [row for row in await journal_of(app, code) if row.kind == "case.forward"]
    assert act_of.data["without_mailbox"] == [SUPPORT]
    async with state(app).database.transaction() as session:
        silent = {row.code for row in await unit_mail.departments_without_email(session, clock().date())}
        assert SUPPORT in silent
        assert not {LEAD, "trung-tam-1022", "so-gtvt"} & silent  # has one; is the centre; is no more


async def test_doctor_counts_the_units_without_a_mailbox_as_the_administration_does(app: FastAPI, post: Sink) -> None:
    counts = set()
    async with state(app).database.transaction() as session:
        driver = await bare(session)
        for day in (date(2020, 1, 1), date(2025, 2, 28), date(2025, 3, 1), date(2026, 3, 3)):
            counted = await driver.fetchval(WITHOUT_MAILBOX, day)
            assert counted == len(await unit_mail.departments_without_email(session, day))
            counts.add(counted)
    assert len(counts) > 1


async def test_without_a_mail_channel_no_letter_is_written(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, post: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = state(app)
    monkeypatch.setattr(here, "adapters", {name: each for name, each in here.adapters.items() if name != "email"})
    code, _ = await forwarded(client, as_)
    clock.to("2026-03-12T09:00")
    await settled(app)
    assert await letters_about(app, code) == []
    assert [row.data.get("without_mailbox") for row in await journal_of(app, code) if row.kind == "case.forward"] == [
        None
    ]


async def test_about_a_restricted_case_nothing_leaves_the_house(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, post: Sink
) -> None:
    code, _ = await forwarded(client, as_)
    await done(as_("supervisor"), code, "set_track", {"track": "crime_tip"})  # before anything was sent
    clock.to("2026-05-12T09:00")
    await settled(app)
    assert post.mails("so-xd@") == post.mails("so-congthuong@") == []
    assert set(await letters_about(app, code)) == {("unit.forwarded", "dropped")}


async def test_the_centre_works_in_the_console_and_gets_no_letters(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, post: Sink
) -> None:
    await set_mailbox(app, "trung-tam-1022", "1022@tinh.example")
    await a_report(client)
    clock.move(days=1)  # its forward limit is long over
    await settled(app)
    assert post.taken() == []
    await set_mailbox(app, "trung-tam-1022", None)


async def letters_about(app: FastAPI, code: str) -> list[tuple[str, str]]:
    async with state(app).database.transaction() as session:
        case = await case_of(session, code)
        rows = await session.exec(select(Outgoing).where(Outgoing.subject_id == case.id))
        return [(row.purpose, row.state) for row in rows if row.addressee is not None]


# ---- letters that did not arrive


async def test_a_letter_that_failed_is_listed_with_its_unit_and_goes_to_the_mailbox_of_today(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, post: Sink
) -> None:
    await set_mailbox(app, LEAD, "so-xd@")
    code, _ = await forwarded(client, as_)
    await deliver(app)
    before = (await as_("supervisor").get(f"/api/v1/cases/{code}")).json()
    (item,) = [each for each in (await as_("supervisor").get("/api/v1/outbox")).json()["items"] if each["case"] == code]
    assert (item["purpose"], item["department"], item["state"]) == (
        "unit.forwarded",
        {"code": LEAD, "name": "Sở Xây dựng"},
        "failed",
    )
    assert item["reason"] == "the address is not an e-mail address"
    await set_mailbox(app, LEAD, "so-xd@tinh.example")
    assert (await as_("supervisor").post(f"/api/v1/outbox/{item['id']}/resend")).status_code == 200
    await deliver(app)
    assert len(post.mails("so-xd@tinh.example")) == 1
    after = (await as_("supervisor").get(f"/api/v1/cases/{code}")).json()
    assert (after["status"], after["version"]) == (before["status"], before["version"])


async def test_a_failed_letter_about_a_case_that_became_restricted_cannot_be_sent_again(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, post: Sink
) -> None:
    await set_mailbox(app, LEAD, "so-xd@")
    code, _ = await forwarded(client, as_)
    await deliver(app)
    (item,) = [each for each in (await as_("supervisor").get("/api/v1/outbox")).json()["items"] if each["case"] == code]
    await act(as_("agent"), code, "set_track", {"track": "denunciation"})
    assert (await as_("supervisor").post(f"/api/v1/outbox/{item['id']}/resend")).status_code == 404
    assert ("unit.forwarded", "failed") not in await letters_about(app, code)


async def test_a_letter_that_was_withdrawn_stays_so_when_the_case_is_ordinary_again(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, post: Sink
) -> None:
    await set_mailbox(app, LEAD, "so-xd@")
    code, _ = await forwarded(client, as_)
    await deliver(app)
    (item,) = [each for each in (await as_("supervisor").get("/api/v1/outbox")).json()["items"] if each["case"] == code]
    await done(as_("agent"), code, "set_track", {"track": "denunciation"})
    await done(as_("inspector"), code, "set_track", {"track": "ordinary"})
    answer = await as_("supervisor").post(f"/api/v1/outbox/{item['id']}/resend")
    assert (answer.status_code, "thu hồi" in answer.json()["detail"]) == (409, True)
    assert ("unit.forwarded", "dropped") in await letters_about(app, code)


async def test_no_letter_moves_a_case(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock, post: Sink
) -> None:
    code, _ = await a_report(client)
    await drive(code, "answered")
    clock.to("2026-03-12T09:00")  # the head's limit to approve is over
    await settled(app)
    assert f"{code}: Quá hạn duyệt câu trả lời" in [each["Subject"] for each in post.mails("so-xd@")]
    assert (await as_("supervisor").get(f"/api/v1/cases/{code}")).json()["status"] == "answered"


# ---- citizens who wrote by e-mail


async def test_a_citizen_who_wrote_by_mail_is_answered_by_mail(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, post: Sink
) -> None:
    body = {"text": "Đèn đường hỏng", "channel": "email", "contact": {"email": "dan@example.vn"}}
    code = (await as_("agent").post("/api/v1/cases", json=body)).json()["code"]
    await done(as_("agent"), code, "answer_directly", {"reply": "Đèn sẽ được thay trong hôm nay."})
    await deliver(app)
    (answer,) = post.mails("dan@")
    assert (answer["Subject"], answer.get_content().strip()) == (
        f"Trả lời phản ánh {code}",
        "Đèn sẽ được thay trong hôm nay.",
    )
    assert (await as_("agent").get(f"/api/v1/cases/{code}")).json()["status"] == "replied"


# ---- the demo


async def test_demo_units_get_mailboxes_that_cannot_exist(app: FastAPI, post: Sink) -> None:
    async with state(app).database.transaction() as session:
        await unit_mail.give_demo_mailboxes(session)
        given = dict((await session.exec(select(Department.code, Department.email))).all())
        assert given[LEAD] == "so-xd@tinh.example"  # one that is there stays
        assert given["so-yte"] == "so-yte@demo.invalid"
        assert given["trung-tam-1022"] is None
        await session.rollback()
