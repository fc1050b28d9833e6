"""Faults a fresh reading of the code found once: each stays mended."""

from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlmodel import select

from cases.models import Limit
from channels.models import Outgoing
from tests.factories import LEAD, SUPPORT, As, Clock, Drive, a_report, act, by_citizen, case_of, done, settle, state


async def test_a_denunciation_split_off_leaves_no_trace_of_its_code(app: FastAPI, client: AsyncClient, as_: As) -> None:
    code, _ = await a_report(client)
    shown = await done(as_("dispatcher"), code, "split", {"text": "Tôi tố cáo ông chủ tịch xã nhận hối lộ"})
    await settle(app)
    async with state(app).database.transaction() as session:
        cases = await as_("inspector").get("/api/v1/cases", params={"track": "denunciation", "limit": 200})
        hidden = {row["code"] for row in cases.json()["items"]}
        parent = await case_of(session, code)
    assert hidden
    feed = await as_("leader").get("/feed/v1/events", params={"after": 0, "limit": 1000})
    told = await as_("dispatcher").get(f"/api/v1/cases/{code}/timeline")
    for text in (str(shown), feed.text, told.text, str(parent.decision)):
        assert not [each for each in hidden if each in text]


async def test_a_split_case_opens_with_the_key_of_its_origin(client: AsyncClient, as_: As) -> None:
    code, key = await a_report(client)
    await done(as_("dispatcher"), code, "split", {"text": "Đèn đường cũng hỏng", "field": "infra.light"})
    told = await as_("dispatcher").get(f"/api/v1/cases/{code}/timeline")
    new = next(item["data"]["new"] for item in told.json()["items"] if item["kind"] == "case.split")
    assert (await by_citizen(client, new, key, "")).status_code == 200


async def test_a_recall_after_the_due_time_notes_the_breach_first(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    clock.move(days=60)
    await done(as_("dispatcher"), code, "recall", {"reason": "Chuyển đơn vị khác"})
    async with state(app).database.transaction() as session:
        case = await case_of(session, code)
        row = (await session.exec(select(Limit).where(Limit.case_id == case.id, Limit.stage == "resolve"))).one()
    assert row.breached_at == row.due_at
    assert row.cancelled_at is not None


async def test_an_extension_request_does_not_outlive_the_unit_that_asked(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client, field="traffic.signal")
    await drive(code, "in_progress")
    due = next(
        limit["due_at"]
        for limit in (await as_("officer").get(f"/api/v1/cases/{code}")).json()["limits"]
        if limit["stage"] == "resolve"
    )
    until = (clock.now + timedelta(days=6)).isoformat()
    assert due < until
    await done(as_("officer"), code, "request_extension", {"until": until, "reason": "Chờ vật tư"})
    clock.move(minutes=5)
    await done(as_("dispatcher"), code, "recall", {"reason": "Nhầm đơn vị"})
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD})
    await done(as_("officer"), code, "accept")
    assert (await act(as_("head"), code, "grant_extension")).status_code == 409


async def test_reopened_it_is_no_longer_published_and_may_be_given_back(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, key = await a_report(client)
    await drive(code, "replied")
    await done(as_("agent"), code, "publish", {"public_text": "Đã vá mặt đường."})
    clock.move(days=3)
    assert (await by_citizen(client, code, key, "reopen", {"reason": "Vẫn hư"})).status_code == 200
    listed = await client.get("/api/v1/public/cases", params={"limit": 200})
    assert code not in [row["code"] for row in listed.json()["items"]]
    await done(as_("officer"), code, "give_back", {"reason": "Thuộc đơn vị khác"})


async def test_what_leaves_by_sms_or_email_is_addressed_to_the_reporter(
    app: FastAPI, as_: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = state(app)
    monkeypatch.setattr(here, "adapters", {**here.adapters, "sms": here.adapters["web"]})
    body = {"text": "Mất nước ba ngày", "channel": "sms", "contact": {"phone": "0990000555"}, "forward": {"lead": LEAD}}
    opened = await as_("agent").post("/api/v1/cases", json=body)
    assert opened.status_code == 201, opened.text
    async with here.database.transaction() as session:
        case = await case_of(session, opened.json()["code"])
        sent = (await session.exec(select(Outgoing).where(Outgoing.subject_id == case.id))).all()
    assert {(each.channel, each.scheme, each.handle) for each in sent} == {("sms", "phone", "+84990000555")}


async def test_a_supporting_unit_is_not_charged_after_the_reply(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD, "supporting": [SUPPORT]})
    await done(as_("officer"), code, "accept")
    await done(as_("officer"), code, "submit_answer", {"reply": "Đã xong."})
    await done(as_("head"), code, "approve_answer")
    await settle(app)
    clock.move(days=30)
    await settle(app)
    async with state(app).database.transaction() as session:
        case = await case_of(session, code)
        row = (await session.exec(select(Limit).where(Limit.case_id == case.id, Limit.stage == "contribute"))).one()
    assert row.breached_at is None
    assert row.cancelled_at is not None
