"""The acts between offices: who decides after the third giving back, documents, orders, support, promises, disputes."""

import json
import re
from html import unescape
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response
from sqlmodel import select

from channels.models import Outgoing
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
    assert case["document"] == {**DOCUMENT, "file": signed, "public": True}
    assert (await at_citizen(client, code, key)).json()["document"] is None  # nobody has approved it
    form = (await browser("head").get(f"/console/cases/{code}/approve_answer")).text
    assert "Văn bản số 123/SXD-HT ngày 03/03/2026, Trần Văn Bình ký." in form
    assert form.count("Bản ký") == 3  # in the form, in the conversation, in the list of files
    await done(as_("head"), code, "approve_answer")
    await deliver(app)
    told = (await at_citizen(client, code, key)).json()
    assert told["document"] == {**DOCUMENT, "file": signed, "public": True}
    assert told["reply"] == "Sở đã có văn bản trả lời."
    assert {each["name"] for each in told["attachments"]} == {"van-ban.pdf", "anh.png"}
    shown = await client.get(f"/track/{code}", headers={"Cookie": f"{keys.PREFIX}{code}={key}"})
    assert "Văn bản số 123/SXD-HT ngày 03/03/2026, Trần Văn Bình ký." in shown.text
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
