"""The acts between offices: who decides after the third giving back, documents, orders, support, promises, disputes."""

import asyncio
import json
import re
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from html import unescape
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response
from sqlmodel import select

from cases import commitments
from cases.acts import Promise
from cases.commitments import owed_since
from channels.models import Outgoing
from routing.calendars import province_calendar
from routing.decide import Condition, LimitRule
from routing.queries import load
from routing.working_time import Amount
from tests.cases.test_commands import Fixed
from tests.factories import (
    LEAD,
    OTHER,
    SUPPORT,
    As,
    Clock,
    Drive,
    a_photo,
    a_report,
    act,
    by_citizen,
    deliver,
    done,
    journal_of,
    limit_differences,
    remind,
    state,
)
from tests.house import PDF
from web.portal import keys

Case = dict[str, Any]


async def seen(as_: As, code: str, who: str = "supervisor") -> Case:
    answer = await as_(who).get(f"/api/v1/cases/{code}")
    assert answer.status_code == 200, answer.text
    case: Case = answer.json()
    return case


# --- the third giving back


async def test_after_the_third_giving_back_the_supervisor_alone_sends_it_on(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    refused = await act(as_("supervisor"), code, "forward", {"lead": LEAD})
    assert refused.status_code == 403  # not given back yet: not the supervisor's
    assert "forward" not in (await seen(as_, code))["actions"]
    for _ in range(3):
        await drive(code, "forwarded")
        await done(as_("officer"), code, "give_back", {"reason": "Không thuộc thẩm quyền"})
    for who in ("dispatcher", "agent"):
        refused = await act(as_(who), code, "forward", {"lead": LEAD})
        assert refused.status_code == 403
        assert refused.json()["detail"] == ("Các đơn vị đã trả lại 3 lần: chỉ trưởng ca được quyết định chuyển đi đâu.")
        assert "forward" not in (await seen(as_, code, who))["actions"]
    assert (await seen(as_, code))["needs_supervisor"]
    assert "forward" in (await seen(as_, code))["actions"]
    decided = await done(as_("supervisor"), code, "forward", {"lead": OTHER, "reason": "Đã thống nhất với Sở"})
    assert (decided["status"], decided["lead"]["code"], decided["needs_supervisor"]) == ("forwarded", OTHER, False)
    assert (await journal_of(app, code))[-1].data["decided"] is True
    await done(as_("officer2"), code, "give_back", {"reason": "Vẫn không phải"})  # a fourth time: it goes up again
    assert (await seen(as_, code))["needs_supervisor"]


async def test_a_case_that_waits_for_the_supervisor_still_does_so_when_it_comes_back_from_refusal(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    for _ in range(3):
        await drive(code, "forwarded")
        await done(as_("officer"), code, "give_back", {"reason": "Không thuộc thẩm quyền"})
    await done(as_("dispatcher"), code, "refuse", {"reason_code": "unclear"})
    again = await done(as_("agent"), code, "reopen", {"reason": "Người dân gọi lại"})
    assert (again["status"], again["needs_supervisor"]) == ("received", True)


# --- the official document of an answer

DOCUMENT = {"number": "123/SXD-HT", "issued_on": "2026-03-03", "signer": "Trần Văn Bình"}


def at_citizen(client: AsyncClient, code: str, key: str) -> Any:
    return client.get(f"/api/v1/reports/{code}", headers={"Tracking-Key": key})


async def with_pdf(as_: As, code: str, document: Case) -> Response:
    return await as_("officer").post(
        f"/api/v1/cases/{code}/submit_answer",
        data={"reply": "Sở đã có văn bản trả lời.", "document": json.dumps(document)},
        files=[("attachments", ("van-ban.pdf", PDF)), ("attachments", ("anh.png", a_photo()))],
    )


async def test_an_answer_by_document_names_it_to_the_head_and_to_the_citizen_with_its_signed_file(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, drive: Drive, clock: Clock
) -> None:
    code, key = await a_report(client, contact={"phone": "0912345678"})
    await drive(code, "in_progress")
    answer = await with_pdf(as_, code, {**DOCUMENT, "file": "van-ban.pdf"})
    assert answer.status_code == 200, answer.text
    case = answer.json()
    signed = next(each["id"] for each in case["attachments"] if each["name"] == "van-ban.pdf")
    assert case["document"] == {**DOCUMENT, "file": signed, "public": True, "file_public": False}
    assert (await at_citizen(client, code, key)).json()["document"] is None  # nobody has approved it
    form = (await browser("head").get(f"/console/cases/{code}/approve_answer")).text
    assert "Văn bản số 123/SXD-HT ngày 03/03/2026, Trần Văn Bình ký." in form
    assert form.count("Bản ký") == 3  # in the form, in the conversation, in the list of files
    await done(as_("head"), code, "approve_answer")
    await deliver(app)
    told = (await at_citizen(client, code, key)).json()
    assert told["document"] == {**DOCUMENT, "file": signed, "public": True, "file_public": False}
    assert told["reply"] == "Sở đã có văn bản trả lời."
    assert {each["name"] for each in told["attachments"]} == {"van-ban.pdf", "anh.png"}
    shown = await client.get(f"/track/{code}", headers={"Cookie": f"{keys.PREFIX}{code}={key}"})
    assert "Văn bản số 123/SXD-HT ngày 03/03/2026, Trần Văn Bình ký." in shown.text
    assert shown.text.count("Bản ký") == 1
    async with state(app).database.transaction() as session:
        sent = select(Outgoing.text).where(Outgoing.purpose == "answer", Outgoing.reference == code)
        assert "Văn bản số 123/SXD-HT ngày 03/03/2026, Trần Văn Bình ký." in (await session.exec(sent)).one()


async def test_a_document_for_staff_only_stays_with_them(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, key = await a_report(client)
    await drive(code, "in_progress")
    answer = await with_pdf(as_, code, {**DOCUMENT, "file": "van-ban.pdf", "public": False})
    assert answer.json()["document"]["public"] is False
    signed = answer.json()["document"]["file"]
    await done(as_("head"), code, "approve_answer")
    await deliver(app)
    told = (await at_citizen(client, code, key)).json()
    assert (told["status"], told["document"]) == ("replied", None)
    assert [each["name"] for each in told["attachments"]] == ["anh.png"]
    own = await client.get(f"/api/v1/attachments/{signed}", params={"code": code}, headers={"Tracking-Key": key})
    assert own.status_code == 404
    assert (await as_("head").get(f"/api/v1/attachments/{signed}")).status_code == 200


async def test_a_document_may_name_a_file_that_was_attached_before(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    attached = await as_("officer").post(f"/api/v1/cases/{code}/attach", files={"attachments": ("ky.pdf", PDF)})
    before = attached.json()["attachments"][0]["id"]
    case = await done(as_("officer"), code, "submit_answer", {"reply": "x", "document": {**DOCUMENT, "file": before}})
    assert case["document"]["file"] == before
    await done(as_("head"), code, "return_answer", {"reason": "Sai ngày"})
    again = await done(as_("officer"), code, "submit_answer", {"reply": "y"})
    assert again["document"] is None  # what was returned was another answer


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({**DOCUMENT, "issued_on": "2026-03-04"}, "document.issued_on"),  # tomorrow
        ({**DOCUMENT, "file": "khac.pdf"}, "document.file"),
        ({**DOCUMENT, "file": "0193b6a0-0000-7000-8000-000000000000"}, "document.file"),
        ({"number": "1", "issued_on": "2026-03-03"}, "document.signer"),
        ({**DOCUMENT, "issued_on": "hôm qua"}, "document.issued_on"),
    ],
    ids=["tomorrow", "no such name", "no such file", "no signer", "no day"],
)
async def test_a_document_that_cannot_be_is_refused_at_its_member(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock, document: Case, where: str
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    answer = await act(as_("officer"), code, "submit_answer", {"reply": "x", "document": document})
    assert answer.status_code == 422
    assert [error["where"] for error in answer.json()["errors"]] == [where]
    assert (await seen(as_, code))["status"] == "in_progress"


async def test_the_form_of_an_answer_takes_its_document(
    client: AsyncClient, browser: As, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    typed = {"reply": "Đã trả lời bằng văn bản.", "document.number": "7/UBND", "document.public": "no"}
    url = f"/console/cases/{code}/submit_answer"
    wrong = await browser("officer").post(url, data=typed)
    assert wrong.status_code == 422
    assert 'id="submit_answer-document.signer-told"' in wrong.text
    assert 'value="7/UBND"' in wrong.text
    typed |= {"document.issued_on": "2026-03-02", "document.signer": "Lê Thị Hoa"}
    sent = await browser("officer").post(url, data=typed, files={"document.file": ("ky.pdf", PDF)})
    assert sent.status_code == 303, sent.text[-500:]
    document = (await seen(as_, code))["document"]
    assert (document["number"], document["issued_on"], document["signer"], document["public"]) == (
        "7/UBND", "2026-03-02", "Lê Thị Hoa", False,
    )  # fmt: skip
    assert document["file"]


# --- nothing personal is published unseen

SAID = "Đã gặp ông Nguyễn Văn An (0912 345 678) và vá ổ gà trước số 45 đường Hùng Vương."
SHOWN = "Đã gặp ông [họ tên] ([số điện thoại]) và vá ổ gà trước [số nhà] đường Hùng Vương."


async def replied(app: FastAPI, client: AsyncClient, as_: As, drive: Drive, public_text: str, **report: Any) -> str:
    code, _ = await a_report(client, **report)
    await drive(code, "in_progress")
    await done(as_("officer"), code, "submit_answer", {"reply": "Đã vá.", "public_text": public_text})
    await done(as_("head"), code, "approve_answer")
    await deliver(app)
    return code


def published(text: str) -> str:
    """What a form says everybody would read."""
    shown = text.partition('<div class="muted smaller">Mọi người sẽ đọc</div><div class="said">')[2]
    return unescape(re.sub(r"<[^>]*>", "", shown.partition("</div>")[0]))


async def test_a_text_with_somebody_in_it_is_not_published_until_a_person_has_looked_at_every_place(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code = await replied(app, client, as_, drive, SAID)
    refused = await act(as_("agent"), code, "publish", {"public_text": SAID})
    assert refused.status_code == 422
    problem = refused.json()
    assert problem["errors"][0]["where"] == "public_text"
    assert [each["kind"] for each in problem["spans"]] == ["name", "phone", "address"]
    assert problem["suggested"] == SHOWN
    some = {"public_text": SAID, "left": ["số 45", "0912 345 678"]}
    assert (await act(as_("agent"), code, "publish", some)).json()["spans"] == [
        {"kind": "name", "text": "Nguyễn Văn An", "instead": "[họ tên]"}
    ]
    assert (await client.get(f"/api/v1/public/cases/{code}")).status_code == 404
    made = await done(as_("agent"), code, "publish", {"public_text": problem["suggested"]})
    assert made["public_text"] == SHOWN
    assert (await journal_of(app, code))[-1].data["left"] == 0


async def test_the_reporters_own_name_is_found_however_it_is_written(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    contact = {"name": "Điểu Bô", "phone": "0987 111 222"}
    code = await replied(app, client, as_, drive, "Đã trả lời dieu bo.", contact=contact)
    refused = await act(as_("agent"), code, "publish", {"public_text": "Đã trả lời dieu bo."})
    assert refused.json()["suggested"] == "Đã trả lời [họ tên]."


async def test_the_form_for_publishing_covers_and_a_person_may_undo_each_place(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, drive: Drive, clock: Clock
) -> None:
    code = await replied(app, client, as_, drive, SAID)
    url, agent = f"/console/cases/{code}/publish", browser("agent")
    fresh = (await agent.get(url)).text
    assert published(fresh) == SHOWN
    assert re.findall(r'name="covered" value="([^"]+)" checked', fresh) == ["Nguyễn Văn An", "0912 345 678", "số 45"]
    seen_before = {"personal": ["Nguyễn Văn An", "0912 345 678", "số 45"]}
    looked = await agent.post(url, data={"public_text": SAID, **seen_before, "covered": ["Nguyễn Văn An"], "look": "1"})
    assert looked.status_code == 200
    assert published(looked.text) == SAID.replace("Nguyễn Văn An", "[họ tên]")
    assert (await seen(as_, code))["published_at"] is None  # looking does nothing
    more = SAID + " Xe 93A-123.45 đã dời."
    new = await agent.post(url, data={"public_text": more, **seen_before, "covered": ["Nguyễn Văn An", "0912 345 678"]})
    assert new.status_code == 422  # the plate is new: nobody has looked at it
    assert "còn biển số xe" in unescape(new.text)
    seen_before["personal"].append("93A-123.45")
    covered = ["Nguyễn Văn An", "0912 345 678", "93A-123.45"]
    sent = await agent.post(url, data={"public_text": more, **seen_before, "covered": covered})
    assert sent.status_code == 303, sent.text[-800:]
    assert (await seen(as_, code))["public_text"] == (
        "Đã gặp ông [họ tên] ([số điện thoại]) và vá ổ gà trước số 45 đường Hùng Vương. Xe [biển số] đã dời."
    )


async def test_the_head_who_approves_sees_the_public_text_covered_too(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    await done(as_("officer"), code, "submit_answer", {"reply": "Đã vá.", "public_text": SAID})
    url, head = f"/console/cases/{code}/approve_answer", browser("head")
    assert published((await head.get(url)).text) == SHOWN
    uncovered = await act(as_("head"), code, "approve_answer", {"public_text": SAID})
    assert uncovered.status_code == 422
    words = ["Nguyễn Văn An", "0912 345 678", "số 45"]
    sent = await head.post(url, data={"public_text": SAID, "personal": words, "covered": words})
    assert sent.status_code == 303, sent.text[-800:]
    assert (await seen(as_, code))["public_text"] == SHOWN
    hidden, _ = await a_report(client, public=False)
    await drive(hidden, "answered")
    assert 'name="public_text"' not in (await head.get(f"/console/cases/{hidden}/approve_answer")).text


# --- orders of the leadership


def clocks(case: Case, stage: str) -> list[tuple[str, str, str]]:
    """(holder, due, how it stands) of the clocks of a stage."""
    rows = [each for each in case["limits"] if each["stage"] == stage]
    return [
        (
            each["holder"],
            (each["due_at"] or "")[:16],
            "cancelled"
            if each["cancelled_at"]
            else "met"
            if each["met_at"] and not each["breached_at"]
            else "late"
            if each["breached_at"]
            else "runs",
        )
        for each in rows
    ]


async def views_of(as_: As, browser: As, who: str) -> set[str]:
    """The saved views of somebody that hold something."""
    page = (await browser(who).get("/console/views")).text
    return {code for code, count in re.findall(r"view=(\w+)[^>]*data-count=\"(\w*)\"", page) if count not in ("", "0")}


async def test_an_order_is_owed_an_answer_by_the_rule_sets_time_and_stands_on_the_case_and_in_the_queues(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, drive: Drive, clock: Clock
) -> None:
    code, key = await a_report(client)
    await drive(code, "in_progress")
    clock.to("2026-03-09T09:00")  # Monday; due Friday 17:00
    await remind(app)
    for who in ("dispatcher", "agent", "officer", "head", "admin", "inspector"):
        assert (await act(as_(who), code, "direct", {"text": "Làm ngay"})).status_code == 403, who
    assert (await act(as_("leader"), code, "note", {"text": "x"})).status_code == 403  # that is all a leader may do
    case = await done(as_("leader"), code, "direct", {"text": "Sở báo cáo nguyên nhân chậm, xong trong tuần."})
    assert clocks(case, "directive") == [(LEAD, "2026-03-10T17:00", "runs")]  # 1 working day after Monday
    assert (await journal_of(app, code))[-1].data["late"] is True
    again = await act(as_("supervisor"), code, "direct", {"text": "Nhắc lại"})
    assert again.status_code == 409
    page = (await browser("officer").get(f"/console/cases/{code}")).text
    assert "Sở báo cáo nguyên nhân chậm" in page
    assert "Lãnh đạo chỉ đạo" in page
    assert {"directives"} <= await views_of(as_, browser, "leader") & await views_of(as_, browser, "supervisor")
    assert "to_answer_directive" in await views_of(as_, browser, "officer")
    assert "to_answer_directive" not in await views_of(as_, browser, "helper")
    assert code in [row["code"] for row in (await as_("leader").get("/api/v1/cases?above=directive")).json()["items"]]
    told = (await at_citizen(client, code, key)).text
    assert "chỉ đạo" not in told.lower()
    assert "nguyên nhân chậm" not in told
    refused = await act(as_("helper"), code, "answer_directive", {"text": "Không phải của chúng tôi"})
    assert refused.status_code == 409
    assert "answer_directive" not in (await seen(as_, code, "helper"))["actions"]
    clock.to("2026-03-10T17:01")
    await remind(app)
    assert clocks(await seen(as_, code), "directive") == [(LEAD, "2026-03-10T17:00", "late")]
    case = await done(as_("officer"), code, "answer_directive", {"text": "Thiếu vật tư; thứ Tư thi công."})
    order = case["directives"][0]
    assert (order["owed"], order["answer"], order["department"]["code"]) == (
        False,
        "Thiếu vật tư; thứ Tư thi công.",
        LEAD,
    )
    assert "to_answer_directive" not in await views_of(as_, browser, "officer")
    assert (await act(as_("officer"), code, "answer_directive", {"text": "Lần nữa"})).status_code == 409


async def test_an_order_goes_to_the_unit_named_by_the_date_given_and_outlives_a_returned_answer(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    await done(as_("supervisor"), code, "direct", {"text": "Báo cáo", "until": "2026-03-03T11:00:00+07:00"})
    case = await done(as_("leader"), code, "direct", {"text": "Cắt điện", "to": SUPPORT})
    assert clocks(case, "directive") == [
        (LEAD, "2026-03-03T11:00", "runs"),
        (SUPPORT, "2026-03-04T17:00", "runs"),
    ]
    await done(as_("officer"), code, "submit_answer", {"reply": "Đã vá"})
    case = await done(as_("head"), code, "return_answer", {"reason": "Chưa rõ"})
    assert [state for *_, state in clocks(case, "directive")] == ["runs", "runs"]
    await done(as_("helper"), code, "answer_directive", {"text": "Đã cắt"})
    await drive(code, "replied")
    case = await seen(as_, code)
    assert [state for *_, state in clocks(case, "directive")] == ["cancelled", "met"]
    await remind(app)
    assert await limit_differences(app) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"text": "x", "to": OTHER}, 422),  # does not have the case
        ({"text": "x", "to": "khong-co"}, 422),
        ({"text": "x", "until": "2026-03-01T11:00:00+07:00"}, 422),
        ({"text": " "}, 422),
    ],
    ids=["a stranger", "nobody", "the past", "no words"],
)
async def test_an_order_that_cannot_be_is_refused(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock, body: Case, status: int
) -> None:
    code, _ = await a_report(client)
    await drive(code, "forwarded")
    assert (await act(as_("leader"), code, "direct", body)).status_code == status
    assert (await seen(as_, code))["directives"] == []


# --- units that help


async def test_a_unit_is_asked_for_something_of_its_own_by_its_own_date_and_the_lead_sees_what_is_outstanding(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, drive: Drive, clock: Clock
) -> None:
    code, key = await a_report(client)
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD})
    await done(as_("officer"), code, "accept")
    assert (await as_("helper").get(f"/api/v1/cases/{code}")).status_code == 404
    ask = {"unit": SUPPORT, "task": "Cắt điện đoạn thi công", "until": "2026-03-04T10:00:00+07:00"}
    for who in ("agent", "supervisor", "leader"):
        assert (await act(as_(who), code, "ask_support", ask)).status_code == 403, who
    case = await done(as_("officer"), code, "ask_support", ask)
    assert clocks(case, "contribute") == [(SUPPORT, "2026-03-04T10:00", "runs")]
    part = case["assignments"][-1]
    assert (part["department"]["code"], part["role"], part["task"]) == (SUPPORT, "supporting", ask["task"])
    shown = (await browser("officer").get(f"/console/cases/{code}")).text
    assert "Cắt điện đoạn thi công" in shown
    assert "Chưa có ý kiến phối hợp của: Sở Công Thương." in shown  # above the form of the answer
    assert "support_owed" in await views_of(as_, browser, "officer")
    assert code in await listed(as_, "officer", support_owed="true")
    assert "Cắt điện" not in (await at_citizen(client, code, key)).text
    twice = await act(as_("head"), code, "ask_support", {"unit": SUPPORT, "task": "Thêm việc"})
    assert twice.status_code == 409
    await done(as_("helper"), code, "contribute", {"text": "Đã cắt lúc 8 giờ"})
    assert code not in await listed(as_, "officer", support_owed="true")
    case = await done(as_("dispatcher"), code, "ask_support", {"unit": SUPPORT, "task": "Đóng điện lại"})  # once more
    assert [state for *_, state in clocks(case, "contribute")] == ["met", "runs"]
    await remind(app)
    assert await limit_differences(app) == []


async def test_a_unit_is_released_or_gives_its_task_back_and_the_lead_goes_on(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")  # SUPPORT helps since the forward
    refused = await act(as_("helper"), code, "release_support", {"unit": SUPPORT, "reason": "x"})
    assert refused.status_code == 403
    case = await done(as_("head"), code, "release_support", {"unit": SUPPORT, "reason": "Không cần nữa"})
    assert clocks(case, "contribute")[-1][2] == "cancelled"
    assert (case["status"], case["supporting"], case["assignments"][-1]["state"]) == ("in_progress", [], "released")
    assert "release_support" not in case["actions"]
    assert (await as_("helper").get(f"/api/v1/cases/{code}")).status_code == 404
    gone = await act(as_("head"), code, "release_support", {"unit": SUPPORT, "reason": "Lần nữa"})
    assert gone.status_code == 422
    await done(as_("officer"), code, "ask_support", {"unit": SUPPORT, "task": "Cắt điện"})
    assert (await act(as_("officer"), code, "give_back_support", {"reason": "x"})).status_code == 403
    sent = await act(as_("helper"), code, "give_back_support", {"reason": "Lưới này của Điện lực", "suggested": OTHER})
    assert sent.status_code == 200
    case = await seen(as_, code)
    assert (case["status"], case["lead"]["code"], case["give_backs"]) == ("in_progress", LEAD, 0)
    assert [each["state"] for each in case["assignments"] if each["role"] == "supporting"] == ["released", "given_back"]
    row = (await journal_of(app, code))[-1]
    assert (row.kind, row.data["department"], row.data["suggested"]) == ("case.give_back_support", SUPPORT, OTHER)


async def test_a_task_is_given_back_within_the_limit_for_giving_back(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    clock.to("2026-03-03T14:16")  # 4 working hours from 08:15 end at 14:15
    late = await act(as_("helper"), code, "give_back_support", {"reason": "Không thuộc phạm vi"})
    assert late.status_code == 409
    assert "trao đổi với đơn vị chủ trì" in late.json()["detail"]
    await done(as_("helper"), code, "contribute", {"text": "Thôi thì làm"})
    assert "give_back_support" not in (await seen(as_, code, "helper"))["actions"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"unit": LEAD, "task": "x"}, "unit"),  # leads
        ({"unit": "so-gtvt", "task": "x"}, "unit"),  # abolished
        ({"unit": OTHER, "task": " "}, "task"),
        ({"unit": OTHER, "task": "x", "until": "2026-03-01T08:00:00+07:00"}, "until"),
        ({"unit": OTHER, "task": "x", "until": "2026-03-20T08:00:00+07:00"}, "until"),  # after the lead's own
    ],
    ids=["the lead", "abolished", "no words", "the past", "after the lead"],
)
async def test_a_unit_that_cannot_be_asked_so_is_refused_at_the_member(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock, body: Case, where: str
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    answer = await act(as_("officer"), code, "ask_support", body)
    assert (answer.status_code, [each["where"] for each in answer.json()["errors"]]) == (422, [where])


async def test_rules_may_ask_whether_several_units_have_the_case(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    here = state(app)
    async with here.database.transaction() as session:
        loaded = await load(session)
    together = LimitRule("together", "resolve", 1, Condition(flags=("several_units",)), Amount(15, "d", "calendar"))
    books = tuple(
        replace(dated, book=replace(dated.book, limits=(together, *dated.book.limits))) for dated in loaded.rulebooks
    )
    kept, here.routing = here.routing, Fixed(replace(loaded, rulebooks=books))  # type: ignore[assignment]
    try:
        code, _ = await a_report(client)
        await done(as_("dispatcher"), code, "forward", {"lead": LEAD})
        assert clocks(await seen(as_, code), "resolve") == [(LEAD, "2026-03-06T17:00", "runs")]  # 3 working days
        case = await done(as_("officer"), code, "ask_support", {"unit": SUPPORT, "task": "Cắt điện"})
        assert clocks(case, "resolve") == [(LEAD, "2026-03-18T08:15", "runs")]  # 15 days from the forward
        case = await done(as_("head"), code, "release_support", {"unit": SUPPORT, "reason": "Không cần"})
        assert clocks(case, "resolve") == [(LEAD, "2026-03-06T17:00", "runs")]
        await remind(app)
        assert await limit_differences(app) == []
    finally:
        here.routing = kept


# --- disputes


async def test_units_that_disagree_get_a_decision_from_above_that_nobody_gives_back(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, drive: Drive, clock: Clock
) -> None:
    code, key = await a_report(client)
    await drive(code, "in_progress")
    for who in ("agent", "dispatcher", "supervisor", "leader"):
        assert (await act(as_(who), code, "dispute", {"text": "x"})).status_code == 403, who
    none = await act(as_("leader"), code, "decide_dispute", {"reason": "x"})
    assert none.status_code == 409
    case = await done(as_("helperhead"), code, "dispute", {"text": "Cột điện chứ không phải đường."})
    assert clocks(case, "dispute") == [("van-phong-ubnd", "2026-03-04T17:00", "runs")]
    assert [state for *_, state in clocks(case, "resolve")] == ["runs"]  # nobody gains time by disagreeing
    assert (await act(as_("officer"), code, "dispute", {"text": "Ngược lại"})).status_code == 409
    assert "disputes" in await views_of(as_, browser, "leader") & await views_of(as_, browser, "supervisor")
    assert (
        "Cột điện chứ không phải đường." in (await browser("leader").get(f"/console/cases/{code}/decide_dispute")).text
    )
    for who in ("officer", "head", "dispatcher", "supervisor"):
        assert (await act(as_(who), code, "decide_dispute", {"reason": "x"})).status_code == 403, who
    clock.to("2026-03-04T09:00")
    decided = {"reason": "Công Thương chủ trì: cột điện là nguyên nhân.", "lead": SUPPORT}
    case = await done(as_("leader"), code, "decide_dispute", decided)
    assert (case["status"], case["lead"]["code"], case["supporting"]) == ("forwarded", SUPPORT, [])
    assert clocks(case, "dispute")[-1][2] == "met"
    assert clocks(case, "accept")[-1][0] == SUPPORT
    assert clocks(case, "resolve") == [(LEAD, "2026-03-06T17:00", "cancelled"), (SUPPORT, "2026-03-09T17:00", "runs")]
    assert case["disputes"][0]["lead"]["code"] == SUPPORT
    assert (await as_("officer").get(f"/api/v1/cases/{code}")).status_code == 404
    back = await act(as_("helper"), code, "give_back", {"reason": "Vẫn không chịu"})
    assert back.status_code == 409
    assert "Cấp trên đã quyết định" in back.json()["detail"]
    await done(as_("helper"), code, "accept")
    told = await at_citizen(client, code, key)
    assert "Sở Công Thương" in told.json()["messages"][-1]["text"]  # whose it is now, and nothing of the quarrel
    assert "cột điện" not in told.text.lower()
    await remind(app)
    assert await limit_differences(app) == []


async def test_a_decision_may_leave_the_lead_and_an_answer_settles_a_dispute(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "waiting_citizen")
    await done(as_("officer"), code, "dispute", {"text": "Đường của huyện"})
    case = await done(as_("leader"), code, "decide_dispute", {"reason": "Sở Xây dựng chủ trì"})
    assert (case["status"], case["lead"]["code"]) == ("waiting_citizen", LEAD)
    assert (await act(as_("officer"), code, "give_back", {"reason": "Không"})).status_code == 409
    await done(as_("helper"), code, "dispute", {"text": "Chưa đồng ý"})
    case = await done(as_("officer"), code, "submit_answer", {"reply": "Đã xong"})
    assert [state for *_, state in clocks(case, "dispute")] == ["met", "cancelled"]


async def test_a_waiting_case_that_goes_to_another_lead_waits_no_more(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, key = await a_report(client)
    await drive(code, "waiting_citizen")
    await done(as_("head"), code, "dispute", {"text": "Đường của huyện"})
    case = await done(as_("leader"), code, "decide_dispute", {"reason": "Giao nơi khác", "lead": OTHER})
    assert (case["status"], [each["code"] for each in case["supporting"]]) == ("forwarded", [SUPPORT])
    await by_citizen(client, code, key, "messages", {"text": "Ở trước chợ"})
    assert (await seen(as_, code))["status"] == "forwarded"


# --- dates that units commit themselves to

EVERY = Amount(7, "d", "calendar")


def moment(local: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-{local}:00+07:00")


def told(at: str, until: str, *, current: bool = True) -> Promise:
    return Promise(LEAD, UUID(int=1), moment(at), moment(until), "open", None, current)


@pytest.mark.parametrize(
    ("dates", "since"),
    [
        ([], "06T17:00"),  # nothing was said: since it is late
        ([told("04T08:00", "09T10:00")], "09T10:00"),  # said before: when that is over
        ([told("04T08:00", "05T10:00")], "06T17:00"),  # over before the limit was
        ([told("07T08:00", "30T10:00")], "14T08:00"),  # far ahead: again after seven days
        ([told("07T08:00", "09T10:00"), told("09T09:00", "12T10:00")], "12T10:00"),  # the newest counts
        ([told("07T08:00", "09T10:00", current=False)], "06T17:00"),  # replaced, and nothing stands
    ],
)
def test_who_is_late_owes_a_date_and_a_new_one_when_it_is_over_or_old(dates: list[Promise], since: str) -> None:
    calendar = province_calendar()
    assert owed_since(moment("06T17:00"), dates, EVERY, calendar) == moment(since)
    assert owed_since(None, dates, EVERY, calendar) is None


async def test_a_broken_promise_is_noticed_once_and_asked_for_anew(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")  # to be resolved by Friday 6 March 17:00
    assert (await seen(as_, code))["progress_owed_since"] is None
    clock.to("2026-03-09T08:00")
    await remind(app)
    case = await seen(as_, code)
    assert case["progress_owed_since"] == "2026-03-06T17:00:00+07:00"
    page = (await browser("officer").get(f"/console/cases/{code}")).text
    assert "còn nợ người dân một lời báo tiến độ" in page
    assert {"progress_owed"} <= await views_of(as_, browser, "officer") & await views_of(as_, browser, "head")
    tell = {"text": "Đang chờ nhựa đường", "until": "2026-03-10T10:00:00+07:00"}
    refused = await act(as_("helper"), code, "tell_progress", tell)
    assert refused.status_code == 403
    case = await done(as_("officer"), code, "tell_progress", tell)
    assert [(each["state"], each["current"]) for each in case["commitments"]] == [("open", True)]
    assert case["progress_owed_since"] == "2026-03-10T10:00:00+07:00"
    assert "còn nợ người dân" not in (await browser("officer").get(f"/console/cases/{code}")).text
    assert code not in await listed(as_, "officer", promise="none", late="true")
    clock.to("2026-03-10T10:01")
    await asyncio.gather(remind(app), remind(app))
    kinds = [row.kind for row in await journal_of(app, code)]
    assert kinds.count("commitment.broken") == 1
    assert code in await listed(as_, "supervisor", promise="broken")
    assert "promise_broken" in await views_of(as_, browser, "supervisor") & await views_of(as_, browser, "head")
    page = (await browser("head").get(f"/console/cases/{code}")).text
    assert "Thất hẹn với người dân" in page
    assert "còn nợ người dân" in page
    case = await done(as_("officer"), code, "tell_progress", {**tell, "until": "2026-03-11T10:00:00+07:00"})
    assert [(each["state"], each["current"]) for each in case["commitments"]] == [("broken", False), ("open", True)]
    assert code not in await listed(as_, "supervisor", promise="broken")
    clock.to("2026-03-11T09:00")
    case = await done(as_("officer"), code, "submit_answer", {"reply": "Đã vá."})
    assert [each["state"] for each in case["commitments"]] == ["broken", "kept"]
    clock.to("2026-03-12T09:00")
    await remind(app)
    assert [row.kind for row in await journal_of(app, code)].count("commitment.broken") == 1


async def listed(as_: As, who: str, **filters: str) -> list[str]:
    answer = await as_(who).get("/api/v1/cases", params={"open": "true", "limit": 200, **filters})
    return [row["code"] for row in answer.json()["items"]]


async def test_a_date_that_is_over_before_the_worker_came_is_broken_all_the_same(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    tell = {"text": "Đang làm", "until": "2026-03-03T10:00:00+07:00"}
    await done(as_("officer"), code, "tell_progress", tell)
    await done(as_("officer"), code, "tell_progress", {**tell, "until": "2026-03-03T11:00:00+07:00"})
    clock.to("2026-03-03T11:30")
    case = await done(as_("officer"), code, "submit_answer", {"reply": "Đã xong"})
    assert [(each["state"], each["current"]) for each in case["commitments"]] == [
        ("replaced", False),
        ("broken", False),
    ]
    assert "commitment.broken" in [row.kind for row in await journal_of(app, code)]


async def test_a_worker_that_dies_at_it_leaves_the_date_to_the_next(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    await done(as_("officer"), code, "tell_progress", {"text": "Xem", "until": "2026-03-03T10:00:00+07:00"})
    at = clock.to("2026-03-03T10:01")
    with suppress(Killed):
        async with state(app).database.transaction() as session:
            assert await commitments.run(session, at) >= 1
            raise Killed
    assert "commitment.broken" not in [row.kind for row in await journal_of(app, code)]
    await remind(app)
    await remind(app)
    assert [row.kind for row in await journal_of(app, code)].count("commitment.broken") == 1


class Killed(Exception):
    """The process ends here."""


async def test_nobody_breaks_a_promise_about_a_case_that_is_no_longer_theirs(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    await done(as_("officer"), code, "tell_progress", {"text": "Xem", "until": "2026-03-03T10:00:00+07:00"})
    await done(as_("supervisor"), code, "recall", {"reason": "Nhầm đơn vị"})
    clock.to("2026-03-03T10:01")
    await remind(app)
    assert [each["state"] for each in (await seen(as_, code))["commitments"]] == ["ended"]
    assert "commitment.broken" not in [row.kind for row in await journal_of(app, code)]
