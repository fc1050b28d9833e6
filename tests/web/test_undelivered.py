"""Messages that did not leave: who sees them, what of them, and another try."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import text

from channels.adapter import Failure, SendFailed
from channels.console import ConsoleChannel
from channels.message import OutboundMessage
from core.ids import uuid7
from core.staff import Role, RoleGrant
from ioc.reconcile import reconcile
from tests.factories import (
    As,
    Clock,
    act,
    by_citizen,
    deliver,
    done,
    journal_of,
    limit_differences,
    settle,
    staff_id,
    state,
)
from tests.web.problems import problem

URL = "/api/v1/outbox"
REASON = "the gateway knows no such number"
PHONE, REPORT = "0912345678", "Cống nghẹt trước nhà số 7"
QUESTION = "Nước dâng tới đâu rồi ạ?"


class Refusing(ConsoleChannel):
    """A vendor that takes nothing."""

    async def send(self, message: OutboundMessage) -> str:
        raise SendFailed(Failure.FINAL, REASON)


@pytest.fixture
async def failed(app: FastAPI, as_: As, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Codes and keys of three cases whose question was not taken; nothing else waits."""
    here = state(app)
    async with here.database.transaction() as session:
        await session.execute(text("UPDATE outgoing SET state = 'dropped', run_at = NULL"))
    keys = {}
    for _ in range(3):
        clock.move(minutes=1)
        body = {"text": REPORT, "channel": "sms", "contact": {"phone": PHONE}}
        opened = (await as_("agent").post("/api/v1/cases", json=body)).json()
        keys[opened["code"]] = opened["tracking_key"]
        await done(as_("agent"), opened["code"], "ask_citizen", {"question": QUESTION})
    with monkeypatch.context() as broken:
        broken.setitem(here.adapters, "sms", Refusing("sms"))
        await deliver(app)
    return keys


async def listed(client: AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await client.get(URL, params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def test_what_did_not_leave_is_listed_with_the_reason_and_without_text_or_address(
    as_: As, failed: dict[str, str]
) -> None:
    answer = await as_("supervisor").get(URL)
    assert PHONE[1:] not in answer.text
    assert REPORT not in answer.text
    assert QUESTION not in answer.text
    page = answer.json()
    assert [item["case"] for item in page["items"]] == list(failed)
    assert page["next_cursor"] is None
    item = page["items"][0]
    assert item.pop("id")
    assert item == {
        "case": next(iter(failed)),
        "channel": "sms",
        "purpose": "question",
        "department": None,
        "state": "failed",
        "failure": "final",
        "reason": REASON,
        "attempts": 1,
        "tried": [],
        "call": True,
        "created_at": "2026-03-03T08:16:00+07:00",
    }


async def test_the_list_goes_on_where_the_page_ended(as_: As, failed: dict[str, str]) -> None:
    first = await listed(as_("dispatcher"), limit=2)
    rest = await listed(as_("dispatcher"), limit=2, cursor=first["next_cursor"])
    assert [item["case"] for item in first["items"] + rest["items"]] == list(failed)
    assert rest["next_cursor"] is None
    problem(await as_("dispatcher").get(URL, params={"cursor": "x"}), 422)


async def test_tried_again_it_leaves_once_and_the_journal_says_who_wanted_it(
    app: FastAPI, as_: As, failed: dict[str, str]
) -> None:
    item, code = (await listed(as_("admin")))["items"][0], next(iter(failed))
    again = f"{URL}/{item['id']}/resend"
    answer = await as_("admin").post(again)
    assert (answer.status_code, answer.json()["state"]) == (200, "queued")
    problem(await as_("supervisor").post(again), 409)
    await settle(app)
    problem(await as_("supervisor").post(again), 409)
    assert code not in {each["case"] for each in (await listed(as_("admin")))["items"]}
    wanted = [row for row in await journal_of(app, code) if row.kind == "message.resend"]
    assert [(row.actor_id, row.subject, row.data["was"]) for row in wanted] == [
        (await staff_id(app, "admin@demo"), item["id"], "failed")
    ]
    shown = (await as_("admin").get(f"/api/v1/cases/{code}/timeline")).json()["items"]
    assert "message.resend" in {each["kind"] for each in shown}
    here = state(app)
    async with here.database.transaction() as session:
        assert await reconcile(session, here.settings.zone, here.clock()) == []
    assert await limit_differences(app) == []


async def test_a_message_nobody_knows_is_not_found(app: FastAPI, as_: As) -> None:
    problem(await as_("supervisor").post(f"{URL}/{uuid7(state(app).clock())}/resend"), 404)
    problem(await as_("supervisor").post(f"{URL}/x/resend"), 422)


async def test_messages_of_restricted_cases_are_for_those_who_may_know_of_them(
    app: FastAPI, client: AsyncClient, as_: As, failed: dict[str, str]
) -> None:
    ids = {item["case"]: item["id"] for item in (await listed(as_("supervisor")))["items"]}
    code, *others = failed
    assert (await by_citizen(client, code, failed[code], "messages", {"text": "Tới đầu gối"})).status_code == 201
    await act(as_("agent"), code, "set_track", {"track": "denunciation"})
    for who in ("supervisor", "dispatcher", "admin"):
        assert [item["case"] for item in (await listed(as_(who)))["items"]] == others
        problem(await as_(who).post(f"{URL}/{ids[code]}/resend"), 404)
    inspector = await staff_id(app, "inspector@demo")
    async with state(app).database.transaction() as session:
        session.add(RoleGrant(staff_id=inspector, role=Role.SUPERVISOR, granted_at=state(app).clock()))
    assert [item["case"] for item in (await listed(as_("inspector")))["items"]] == list(failed)
    assert (await as_("inspector").post(f"{URL}/{ids[code]}/resend")).status_code == 200
    async with state(app).database.transaction() as session:
        await session.execute(
            text("DELETE FROM role_grants WHERE staff_id = :id AND role = 'supervisor'"), {"id": inspector}
        )
    told = [row for row in await journal_of(app, code) if row.kind == "message.resend"]
    assert [row.restricted for row in told] == [True]
