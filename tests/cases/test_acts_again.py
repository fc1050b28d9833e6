"""What a second look at the acts between offices found: who may decide, what is told, and what must not stay behind."""

import json
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response

from cases.telling import tells
from routing.decide import Extension
from routing.queries import load
from tests.cases.noticing import away, clear, tell, told
from tests.cases.test_acts import DOCUMENT, clocks, listed, seen, views_of
from tests.cases.test_commands import Fixed
from tests.factories import (
    LEAD,
    OTHER,
    SUPPORT,
    As,
    Clock,
    Drive,
    a_report,
    act,
    done,
    journal_of,
    limit_differences,
    remind,
    state,
)
from tests.house import PDF


async def test_a_unit_whose_answer_comes_back_promises_another_day(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    tell = {"text": "Đang làm", "until": "2026-03-04T10:00:00+07:00"}
    await done(as_("officer"), code, "tell_progress", tell)
    case = await done(as_("officer"), code, "submit_answer", {"reply": "Đã xong"})
    assert [each["state"] for each in case["commitments"]] == ["kept"]
    await done(as_("head"), code, "return_answer", {"reason": "Thiếu ảnh"})
    case = await done(as_("officer"), code, "tell_progress", {**tell, "until": "2026-03-05T10:00:00+07:00"})
    assert [(each["state"], each["current"]) for each in case["commitments"]] == [("kept", False), ("open", True)]


async def ruled(app: FastAPI, **members: Any) -> Any:
    """Rules like those in force, but for these members; what stood there before, to be put back."""
    here = state(app)
    async with here.database.transaction() as session:
        loaded = await load(session)
    books = tuple(replace(dated, book=replace(dated.book, **members)) for dated in loaded.rulebooks)
    kept, here.routing = here.routing, Fixed(replace(loaded, rulebooks=books))  # type: ignore[assignment]
    return kept


async def test_whoever_approves_answers_finds_them_and_also_returns_them(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "answered")
    assert (await act(as_("dispatcher"), code, "return_answer", {"reason": "x"})).status_code == 403
    assert "centre_to_approve" not in await views_of(as_, browser, "dispatcher")
    kept = await ruled(app, approve_by="centre")
    try:
        refused = await act(as_("head"), code, "return_answer", {"reason": "Thiếu ảnh"})
        assert refused.status_code == 403
        assert {"approve_answer", "return_answer"} <= set((await seen(as_, code, "dispatcher"))["actions"])
        assert "centre_to_approve" in await views_of(as_, browser, "dispatcher")
        case = await done(as_("dispatcher"), code, "return_answer", {"reason": "Thiếu ảnh"})
        assert case["status"] == "in_progress"
    finally:
        state(app).routing = kept


async def test_more_time_that_was_asked_for_goes_with_the_case_that_is_taken_away(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    assert "grant_extension" not in (await seen(as_, code, "head"))["actions"]  # nothing was asked for
    asked = {"until": "2026-03-09T10:00:00+07:00", "reason": "Chờ vật tư"}
    await done(as_("officer"), code, "request_extension", asked)
    assert "grant_extension" in (await seen(as_, code, "head"))["actions"]
    await done(as_("supervisor"), code, "recall", {"reason": "Nhầm đơn vị"})
    await done(as_("dispatcher"), code, "forward", {"lead": OTHER})
    await done(as_("officer2"), code, "accept")
    case = await seen(as_, code)
    assert [each["state"] for each in case["extensions"]] == ["withdrawn"]
    assert code not in await listed(as_, "head2", extension_asked="true")
    assert "grant_extension" not in (await seen(as_, code, "head2"))["actions"]


async def test_a_helper_may_still_contribute_while_the_head_reads_the_answer(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "answered")
    case = await done(as_("helper"), code, "contribute", {"text": "Đã cắt điện"})
    assert clocks(case, "contribute") == [(SUPPORT, clocks(case, "contribute")[0][1], "met")]
    other, _ = await a_report(client)
    await drive(other, "answered")
    case = await done(as_("head"), other, "approve_answer")
    assert clocks(case, "contribute")[0][2] == "cancelled"  # the answer is given without it
    assert "contribute" not in (await seen(as_, other, "helper"))["actions"]
    assert (await act(as_("helper"), other, "contribute", {"text": "Muộn"})).status_code == 409
    await remind(app)
    assert await limit_differences(app) == []


async def test_the_lead_hears_what_its_helpers_say_and_a_helper_that_it_is_released(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    await clear(app)
    await done(as_("helper"), code, "contribute", {"text": "Đã cắt điện"})
    await tell(app)
    assert await told(app, "officer", code=code) == ["contributed (officer)"]
    assert await told(app, "helper", code=code) == []


def test_both_sides_of_a_dispute_hear_its_decision() -> None:
    kept = tells("case.decide_dispute", {"lead": LEAD, "was": LEAD, "raised_by": SUPPORT})
    assert [(each.kind, each.holder) for each in kept] == [("dispute_decided", LEAD), ("dispute_decided", SUPPORT)]
    moved = tells("case.decide_dispute", {"lead": OTHER, "was": LEAD, "raised_by": SUPPORT})
    assert [(each.kind, each.holder) for each in moved] == [("dispute_decided", SUPPORT)]


# --- more time, once more


def until(day: str) -> dict[str, Any]:
    return {"until": f"2026-03-{day}T10:00:00+07:00", "reason": "Chờ vật tư"}


async def test_more_time_beyond_the_rule_is_the_leaderships_to_give(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, drive: Drive, clock: Clock
) -> None:
    code, key = await a_report(client)
    await drive(code, "in_progress")  # three working days: by Friday 6 March
    await done(as_("officer"), code, "request_extension", until("09"))
    await done(as_("head"), code, "grant_extension")
    await clear(app)
    for day, told_so in (("09", "phải sau hạn hiện tại"), ("17", "nhiều nhất đến")):  # three times three working days
        refused = await act(as_("officer"), code, "request_extension", until(day))
        assert (refused.status_code, told_so in refused.text) == (422, True), refused.text
    await done(as_("officer"), code, "request_extension", until("12"))
    for who in ("head", "dispatcher", "supervisor"):
        refused = await act(as_(who), code, "grant_extension")
        assert (refused.status_code, refused.json()["detail"]) == (403, "Việc này do lãnh đạo tỉnh quyết định."), who
        assert "grant_extension" not in (await seen(as_, code, who))["actions"]
    await tell(app)
    assert await told(app, "leader", code=code) == ["extension_asked (named)"]
    assert await told(app, "head", code=code) == []
    assert code in await listed(as_, "leader", extension_beyond="true")
    page = await browser("leader").get(f"/console/cases/{code}/grant_extension")
    assert "Chờ vật tư" in page.text
    assert "Đã hết số lần của bộ quy tắc: lãnh đạo tỉnh quyết định." in page.text
    case = await done(as_("leader"), code, "grant_extension")
    assert clocks(case, "resolve")[0][1] == "2026-03-12T10:00"
    assert [(each["state"], each["beyond"]) for each in case["extensions"]] == [("granted", False), ("granted", True)]
    third = await act(as_("officer"), code, "request_extension", until("13"))
    assert (third.status_code, third.json()["detail"]) == (409, "Đã gia hạn 2 lần, hết số lần cho phép.")
    shown = (await client.get(f"/api/v1/reports/{code}", headers={"Tracking-Key": key})).json()
    assert "Chờ vật tư" in shown["messages"][-1]["text"]


async def test_more_time_beyond_the_rule_is_asked_before_due_and_denied_with_a_reason(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    await done(as_("officer"), code, "request_extension", until("09"))
    await done(as_("head"), code, "grant_extension")
    clock.to("2026-03-09T10:01")
    late = await act(as_("officer"), code, "request_extension", until("12"))
    assert (late.status_code, "trước khi hết hạn" in late.json()["detail"]) == (409, True)
    other, _ = await a_report(client)
    await drive(other, "in_progress")
    kept = await ruled(app, extend=Extension(max=0, beyond_by="province"))
    try:
        await done(as_("officer"), other, "request_extension", until("13"))  # the first is theirs already
        assert (await act(as_("leader"), other, "deny_extension", {})).status_code == 422
        case = await done(as_("leader"), other, "deny_extension", {"reason": "Đã đủ thời gian"})
        assert [(each["state"], each["beyond"]) for each in case["extensions"]] == [("denied", True)]
    finally:
        state(app).routing = kept
    kept = await ruled(app, extend=Extension(max=0))
    try:
        nobody = await act(as_("officer"), other, "request_extension", until("13"))
        assert (nobody.status_code, "hết số lần" in nobody.json()["detail"]) == (409, True)
    finally:
        state(app).routing = kept


async def test_where_nobody_of_the_leadership_is_there_the_supervisor_decides(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    await clear(app)
    await done(as_("officer"), code, "dispute", {"text": "Đường của huyện"})
    decided = {"reason": "Sở Xây dựng chủ trì"}
    refused = await act(as_("supervisor"), code, "decide_dispute", decided)
    assert (refused.status_code, refused.json()["detail"]) == (403, "Việc này do lãnh đạo tỉnh quyết định.")
    assert "decide_dispute" not in (await seen(as_, code))["actions"]
    await away(app, "leader")
    try:
        await tell(app)
        assert await told(app, "supervisor", code=code) == ["dispute (supervisor)"]
        for who in ("dispatcher", "head"):
            assert (await act(as_(who), code, "decide_dispute", decided)).status_code == 403, who
        page = await browser("supervisor").get(f"/console/cases/{code}/decide_dispute")
        assert "Đường của huyện" in page.text
        case = await done(as_("supervisor"), code, "decide_dispute", decided)
        assert clocks(case, "dispute")[-1][2] == "met"
        await done(as_("officer"), code, "dispute", {"text": "Vẫn của huyện"})
        await done(as_("leader"), code, "decide_dispute", decided)  # away, and decides all the same
    finally:
        await clear(app)


# --- units that help, from the forward on


async def test_forwarding_asks_each_unit_that_helps_for_something_of_its_own(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, key = await a_report(client)
    by = "2026-03-04T10:00:00+07:00"
    body = {"lead": LEAD, "supporting": [{"unit": SUPPORT, "task": "Cắt điện", "until": by}, OTHER]}
    assert (await act(as_("officer"), code, "forward", body)).status_code in (403, 404)
    for member, wrong in (
        ({"unit": SUPPORT, "task": " "}, "supporting.0.task"),
        ({"unit": SUPPORT, "until": "2026-03-01T08:00:00+07:00"}, "supporting.0.until"),  # the past
        ({"unit": SUPPORT, "until": "2026-03-20T08:00:00+07:00"}, "supporting.0.until"),  # after the lead's own
        ({"unit": "so-gtvt"}, "supporting.0"),  # abolished
        ({"task": "x"}, "supporting.0.unit"),
        (7, "supporting.0"),
    ):
        refused = await act(as_("dispatcher"), code, "forward", {"lead": LEAD, "supporting": [member]})
        assert (refused.status_code, [each["where"] for each in refused.json()["errors"]]) == (422, [wrong])
    assert (await seen(as_, code))["status"] == "received"
    case = await done(as_("dispatcher"), code, "forward", body)
    parts = {each["department"]["code"]: each["task"] for each in case["assignments"]}
    assert parts == {LEAD: None, SUPPORT: "Cắt điện", OTHER: None}
    assert {holder: due for holder, due, _ in clocks(case, "contribute")} == {
        SUPPORT: "2026-03-04T10:00",
        OTHER: clocks(case, "resolve")[0][1],
    }
    row = (await journal_of(app, code))[-1]
    assert (row.kind, row.data["supporting"]) == ("case.forward", [SUPPORT, OTHER])
    assert "Cắt điện" not in str(row.data)  # words stand in the conversation
    assert "Cắt điện" not in (await client.get(f"/api/v1/reports/{code}", headers={"Tracking-Key": key})).text
    assert (await seen(as_, code, "helper"))["assignments"][1]["task"] == "Cắt điện"
    await remind(app)
    assert not [each for each in await limit_differences(app) if code in each]


async def test_the_form_of_a_forward_asks_what_each_unit_chosen_shall_do(
    client: AsyncClient, as_: As, browser: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    url = f"/console/cases/{code}/forward"
    chosen = {"lead": LEAD, "supporting": [SUPPORT, OTHER]}
    looked = unescape((await browser("dispatcher").post(url, data={**chosen, "look": "1"})).text)
    assert f'name="supporting.task.{SUPPORT}"' in looked
    assert f'name="supporting.until.{OTHER}"' in looked
    assert (await seen(as_, code))["status"] == "received"
    typed = {f"supporting.task.{SUPPORT}": "Cắt điện", f"supporting.until.{OTHER}": "2026-03-20T08:00"}
    refused = await browser("dispatcher").post(url, data={**chosen, **typed})
    assert refused.status_code == 422
    assert "Cắt điện</textarea>" in refused.text
    assert 'value="2026-03-20T08:00" aria-invalid="true"' in refused.text
    assert refused.text.count("Hạn phối hợp phải trước hạn xử lý") == 1
    assert refused.text.count('aria-invalid="true"') == 1  # the date alone
    typed[f"supporting.until.{OTHER}"] = "2026-03-04T10:00"
    sent = await browser("dispatcher").post(url, data={**chosen, **typed})
    assert sent.status_code == 303, sent.text[-800:]
    case = await seen(as_, code)
    assert {each["department"]["code"]: each["task"] for each in case["assignments"]}[SUPPORT] == "Cắt điện"
    assert (OTHER, "2026-03-04T10:00", "runs") in clocks(case, "contribute")
    page = (await browser("dispatcher").get(f"/console/cases/{code}")).text
    assert "Việc nhờ phối hợp · Sở Công Thương" in page  # for whom each task is
    for gone in ("2026-13-04T10:00", "mai"):
        other, _ = await a_report(client)
        bad = await browser("dispatcher").post(
            f"/console/cases/{other}/forward", data={**chosen, f"supporting.until.{SUPPORT}": gone}
        )
        assert (bad.status_code, "Hãy ghi ngày và giờ" in bad.text) == (422, True)


# --- the official document of an answer, for everybody


async def answered_by(as_: As, drive: Drive, code: str, document: dict[str, Any]) -> Response:
    await drive(code, "in_progress")
    return await as_("officer").post(
        f"/api/v1/cases/{code}/submit_answer",
        data={"reply": "Sở đã có văn bản trả lời.", "document": json.dumps({**DOCUMENT, **document})},
        files=[("attachments", ("van-ban.pdf", PDF))],
    )


@pytest.mark.parametrize(
    ("document", "named", "downloaded"),
    [
        ({"file": "van-ban.pdf", "file_public": True}, True, True),
        ({"file": "van-ban.pdf"}, True, False),
        ({"file": "van-ban.pdf", "public": False}, False, False),
    ],
    ids=["the file too", "number, date and signer", "staff only"],
)
async def test_a_published_case_names_its_document_and_gives_the_file_that_is_for_everybody(
    client: AsyncClient,
    as_: As,
    browser: As,
    drive: Drive,
    clock: Clock,
    document: dict[str, Any],
    named: bool,
    downloaded: bool,
) -> None:
    code, _ = await a_report(client)
    answer = await answered_by(as_, drive, code, document)
    assert answer.status_code == 200, answer.text
    form = (await browser("head").get(f"/console/cases/{code}/approve_answer")).text
    assert ("Tệp có chữ ký được đăng công khai." in form) == downloaded
    url = f"/cases/{code}/document"
    assert (await client.get(url)).status_code == 404  # not published yet
    await drive(code, "replied")
    form = (await browser("agent").get(f"/console/cases/{code}/publish")).text
    assert ("Hãy mở tệp xem có nêu tên" in form) == downloaded
    await done(as_("agent"), code, "publish", {"public_text": "Đã có văn bản trả lời."})
    page = (await client.get(f"/cases/{code}")).text
    assert ("Văn bản số 123/SXD-HT ngày 03/03/2026, Trần Văn Bình ký." in page) == named
    assert (url in page) == downloaded
    listed = (await client.get("/api/v1/public/cases")).json()["items"][0]
    told = {"number": "123/SXD-HT", "issued_on": "2026-03-03", "signer": "Trần Văn Bình"}
    assert listed["document"] == ({**told, "file": url if downloaded else None} if named else None)
    got = await client.get(url)
    assert (got.status_code, got.content == PDF) == ((200, True) if downloaded else (404, False))
    await done(as_("agent"), code, "unpublish", {"reason": "Nhầm"})
    assert (await client.get(url)).status_code == 404


@pytest.mark.parametrize(
    "document", [{"file_public": True}, {"file": "van-ban.pdf", "public": False, "file_public": True}]
)
async def test_only_a_signed_file_that_the_citizen_reads_is_published(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock, document: dict[str, Any]
) -> None:
    code, _ = await a_report(client)
    answer = await answered_by(as_, drive, code, document)
    assert (answer.status_code, answer.json()["errors"][0]["where"]) == (422, "document.file_public")


async def test_the_reporter_of_a_merged_case_reads_by_which_document_it_was_answered(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    twin, key = await a_report(client)
    await done(as_("agent"), twin, "merge", {"into": code})
    assert (await answered_by(as_, drive, code, {"file": "van-ban.pdf"})).status_code == 200
    headers = {"Tracking-Key": key}
    assert (await client.get(f"/api/v1/reports/{twin}", headers=headers)).json()["document"] is None
    await drive(code, "replied")
    shown = (await client.get(f"/api/v1/reports/{twin}", headers=headers)).json()
    assert (shown["document"]["number"], shown["document"]["file"]) == ("123/SXD-HT", None)


# --- until when a unit may give back


async def test_a_unit_sees_until_when_it_may_give_back_and_keeps_that_right_when_the_case_turns_urgent(
    client: AsyncClient, as_: As, browser: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    mine = (await seen(as_, code, "officer"))["assignments"][0]
    assert mine["give_back_until"] == "2026-03-03T14:15:00+07:00"  # four working hours
    form = (await browser("officer").get(f"/console/cases/{code}/give_back")).text
    assert "Được trả lại đến" in form
    clock.move(hours=1)
    await done(as_("dispatcher"), code, "classify", {"urgency": "emergency"})
    mine = (await seen(as_, code, "officer"))["assignments"][0]
    assert mine["give_back_until"] == "2026-03-03T09:45:00+07:00"  # half an hour, from when that was said
    clock.move(minutes=31)
    assert "Hạn trả lại đã hết lúc" in (await browser("officer").get(f"/console/cases/{code}/give_back")).text
    late = await act(as_("officer"), code, "give_back", {"reason": "Không thuộc thẩm quyền"})
    assert (late.status_code, "Đã hết hạn trả lại (09:45" in late.json()["detail"]) == (409, True)


async def test_a_draft_says_what_became_of_it(
    client: AsyncClient, as_: As, browser: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "answered")
    page = browser("agent")
    assert "Câu trả lời chờ duyệt" in (await page.get(f"/console/cases/{code}")).text
    await done(as_("head"), code, "return_answer", {"reason": "Thiếu ảnh"})
    assert "Câu trả lời đã bị trả lại" in (await page.get(f"/console/cases/{code}")).text
    into, _ = await a_report(client)
    other, _ = await a_report(client)
    await drive(other, "answered")
    await done(as_("agent"), other, "merge", {"into": into})
    shown = (await page.get(f"/console/cases/{other}")).text
    assert "Câu trả lời chưa gửi: phản ánh đã gộp" in shown
    assert "Câu trả lời chờ duyệt" not in shown


async def test_orders_and_disputes_end_when_nobody_who_owes_them_may_open_the_case(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "forwarded")
    await done(as_("officer"), code, "dispute", {"text": "Đường của huyện"})
    await done(as_("leader"), code, "direct", {"text": "Làm ngay"})
    await act(as_("supervisor"), code, "set_track", {"track": "denunciation"})
    case = await seen(as_, code, "inspector")
    assert [clocks(case, stage)[0][2] for stage in ("dispute", "directive")] == ["cancelled", "cancelled"]
    assert clocks(case, "resolve")[0][2] == "runs"
    assert not [each for each in await limit_differences(app) if code in each]
