"""One story per use case, through the API: limits, what the citizen hears, who sees what, what the journal holds."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlmodel import select

from cases.models import Limit
from channels.models import Outgoing
from core.journal import Journal
from routing.directory import Directory
from routing.queries import Routing, load
from tests.factories import (
    ABOLISHED,
    CENTRE,
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
    limit_differences,
    remind,
    settle,
    state,
)

Case = dict[str, Any]


@pytest.fixture(autouse=True)
async def verified(app: FastAPI, clock: Clock) -> AsyncIterator[None]:
    """After every story the limits agree with the journal and with the calendar."""
    yield
    await remind(app)
    assert await limit_differences(app) == []


@pytest.fixture
async def rules(app: FastAPI) -> AsyncIterator[Callable[..., None]]:
    """`rules(stop_while_waiting=("resolve",))`: the rule sets in force, changed for one test."""
    here = state(app)
    async with here.database.transaction() as session:
        loaded = await load(session)
    kept = here.routing

    def change(**changes: Any) -> None:
        books = tuple(replace(dated, book=replace(dated.book, **changes)) for dated in loaded.rulebooks)
        here.routing = Fixed(replace(loaded, rulebooks=books))  # type: ignore[assignment]

    yield change
    here.routing = kept


class Fixed:
    """A RoutingCache that never looks again."""

    def __init__(self, routing: Routing) -> None:
        self.fresh = routing
        self.mode, self.directory = routing.mode, routing.directory  # what every page asks of it

    def begin(self, session: object) -> None:
        """Nothing is ever forgotten."""

    async def get(self, session: object) -> Routing:
        return self.fresh


async def seen(as_: As, code: str, who: str = "supervisor") -> Case:
    answer = await as_(who).get(f"/api/v1/cases/{code}")
    assert answer.status_code == 200, answer.text
    case: Case = answer.json()
    return case


async def at_citizen(client: AsyncClient, code: str, key: str) -> Case:
    answer = await by_citizen(client, code, key, "")
    assert answer.status_code == 200, answer.text
    case: Case = answer.json()
    return case


async def started(client: AsyncClient, drive: Drive, status: str, **members: Any) -> tuple[str, str]:
    code, key = await a_report(client, **members)
    await drive(code, status)
    return code, key


def limits(case: Case) -> dict[str, str]:
    """`stage holder` → open, met, late or cancelled; of several the newest."""
    return {f"{each['stage']} {each['holder']}": standing(each) for each in case["limits"]}


def standing(limit: Case) -> str:
    if limit["cancelled_at"]:
        return "cancelled"
    if limit["met_at"]:
        return "late" if limit["breached_at"] else "met"
    return "breached" if limit["breached_at"] else "open"


def due(case: Case, stage: str) -> str:
    """When the newest limit of a stage is due."""
    found: str = [each["due_at"] for each in case["limits"] if each["stage"] == stage][-1]
    return found


def heard(case: Case) -> list[str]:
    return [line["text"] for line in case["messages"]]


# --- limits along the road ---


async def test_a_case_along_the_road_opens_and_meets_the_limits_of_the_table(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    assert limits(await seen(as_, code)) == {f"forward {CENTRE}": "open"}
    clock.move(minutes=10)
    await drive(code, "forwarded")
    case = await seen(as_, code)
    assert limits(case) == {
        f"forward {CENTRE}": "met",
        f"accept {LEAD}": "open",
        f"resolve {LEAD}": "open",
        f"contribute {SUPPORT}": "open",
    }
    assert due(case, "accept") == "2026-03-04T08:25:00+07:00"  # 8 working hours from Tuesday 08:25: one whole day
    assert due(case, "resolve") == "2026-03-06T17:00:00+07:00"  # three working days: Friday, close of business
    await drive(code, "in_progress")
    assert limits(await seen(as_, code))[f"accept {LEAD}"] == "met"
    await done(as_("helper"), code, "contribute", {"text": "Đã kiểm tra chợ"})
    assert limits(await seen(as_, code))[f"contribute {SUPPORT}"] == "met"
    await drive(code, "answered")
    case = await seen(as_, code)
    assert limits(case)[f"resolve {LEAD}"] == "met"
    assert limits(case)[f"reply {LEAD}"] == "open"  # charged to the head
    await drive(code, "replied")
    case = await seen(as_, code)
    assert limits(case)[f"reply {LEAD}"] == "met"
    assert limits(case)[f"publish {CENTRE}"] == "open"
    await done(as_("agent"), code, "publish", {"public_text": "Đường trước chợ đã được vá"})
    await done(as_("agent"), code, "close")
    assert set(limits(await seen(as_, code)).values()) == {"met"}


async def test_a_contribution_still_owed_ends_with_the_answer_and_what_is_to_be_published_outlives_the_case(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await started(client, drive, "answered")
    assert limits(await seen(as_, code))[f"contribute {SUPPORT}"] == "open"
    await drive(code, "closed")
    case = await seen(as_, code)
    assert limits(case)[f"contribute {SUPPORT}"] == "cancelled"
    assert limits(case)[f"publish {CENTRE}"] == "open"


async def test_nothing_is_to_be_published_where_the_citizen_does_not_want_it(
    client: AsyncClient, as_: As, drive: Drive
) -> None:
    code, _ = await started(client, drive, "replied", public=False)
    assert f"publish {CENTRE}" not in limits(await seen(as_, code))
    assert (await act(as_("agent"), code, "publish", {"public_text": "x"})).status_code == 409


async def test_an_answer_from_the_centre_meets_forward_and_goes_out_by_itself(
    app: FastAPI, client: AsyncClient, as_: As
) -> None:
    code, key = await a_report(client)
    await done(as_("agent"), code, "answer_directly", {"reply": "Đoạn này sẽ được vá trong tuần."})
    await deliver(app)
    case = await at_citizen(client, code, key)
    assert (case["status"], case["reply"]) == ("replied", "Đoạn này sẽ được vá trong tuần.")
    assert limits(await seen(as_, code)) == {f"forward {CENTRE}": "met", f"publish {CENTRE}": "open"}


async def test_a_returned_answer_makes_resolve_run_again_with_its_own_due_time(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, key = await started(client, drive, "in_progress")
    before = due(await seen(as_, code), "resolve")
    clock.move(days=1)
    await drive(code, "answered")
    clock.move(hours=1)
    await done(as_("head"), code, "return_answer", {"reason": "Bổ sung ảnh"})
    case = await seen(as_, code)
    assert limits(case)[f"resolve {LEAD}"] == "open"
    assert limits(case)[f"reply {LEAD}"] == "cancelled"
    assert due(case, "resolve") == before
    assert await limit_differences(app) == []
    assert "Đã vá xong ổ gà." not in str(await at_citizen(client, code, key))
    clock.move(days=7)  # far beyond
    await done(as_("officer"), code, "submit_answer", {"reply": "Đã vá, có ảnh."})
    assert limits(await seen(as_, code))[f"resolve {LEAD}"] == "late"
    await drive(code, "replied")
    assert (await at_citizen(client, code, key))["reply"] == "Đã vá, có ảnh."


async def test_an_answer_is_approved_once(app: FastAPI, client: AsyncClient, as_: As, drive: Drive) -> None:
    code, _ = await started(client, drive, "answered")
    case = await done(as_("head"), code, "approve_answer")
    assert case["status"] == "answered"
    assert not {"approve_answer", "return_answer"} & set(case["actions"])
    assert (await act(as_("head"), code, "approve_answer")).status_code == 409
    assert (await act(as_("head"), code, "return_answer", {"reason": "x"})).status_code == 409
    await deliver(app)
    await deliver(app)
    rows = await journal_of(app, code)
    assert [row.kind for row in rows].count("case.reply") == 1


async def test_the_centre_approves_where_the_rule_set_says_so(
    client: AsyncClient, as_: As, drive: Drive, rules: Callable[..., None]
) -> None:
    code, _ = await started(client, drive, "answered")
    assert "approve_answer" not in (await seen(as_, code, "dispatcher"))["actions"]
    rules(approve_by="centre")
    assert "approve_answer" in (await seen(as_, code, "dispatcher"))["actions"]
    assert (await act(as_("head"), code, "approve_answer")).status_code == 403
    await done(as_("dispatcher"), code, "approve_answer")


# --- giving back, recalling ---


async def test_giving_back_cancels_the_units_limits_and_leaves_the_promise(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, key = await started(client, drive, "in_progress")
    promised = (await seen(as_, code))["promised_at"]
    clock.move(hours=2)
    await done(as_("officer"), code, "give_back", {"reason": "Đường của xã quản lý", "suggested": SUPPORT})
    case = await seen(as_, code)
    assert (case["status"], case["lead"], case["promised_at"]) == ("received", None, promised)
    assert limits(case) == {
        f"forward {CENTRE}": "open",
        f"accept {LEAD}": "met",
        f"resolve {LEAD}": "cancelled",
        f"contribute {SUPPORT}": "cancelled",
    }
    assert due(case, "forward") == "2026-03-03T10:45:00+07:00"  # fresh: 30 minutes from 10:15
    assert (await at_citizen(client, code, key))["promised_at"] == promised
    assert (await as_("officer").get(f"/api/v1/cases/{code}")).status_code == 404
    row = (await journal_of(app, code))[-1]
    assert (row.kind, row.data["department"], row.data["suggested"]) == ("case.give_back", LEAD, SUPPORT)


async def test_the_third_giving_back_goes_to_the_supervisor(client: AsyncClient, as_: As, drive: Drive) -> None:
    code, _ = await a_report(client)
    for count in (1, 2, 3):
        await drive(code, "forwarded")
        await done(as_("head"), code, "give_back", {"reason": "Không thuộc thẩm quyền"})
        case = await seen(as_, code)
        assert (case["give_backs"], case["needs_supervisor"]) == (count, count == 3)


async def test_giving_back_is_too_late_after_its_limit(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await started(client, drive, "forwarded")
    clock.to("2026-03-03T14:00")  # 4 working hours from 08:15 end at 14:15, after the lunch break
    other, _ = await started(client, drive, "forwarded")
    clock.to("2026-03-03T14:16")
    answer = await act(as_("officer"), code, "give_back", {"reason": "Không thuộc thẩm quyền"})
    assert answer.status_code == 409
    assert "ended_at" in answer.json()
    await done(as_("officer"), other, "give_back", {"reason": "Không thuộc thẩm quyền"})
    await done(as_("supervisor"), code, "recall", {"reason": "Chuyển nhầm"})


# --- extensions ---


async def test_an_extension_is_asked_for_before_the_limit_is_due_and_once(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await started(client, drive, "in_progress")
    body = {"until": "2026-03-09T10:00:00+07:00", "reason": "Chờ nhựa nóng"}
    too_far = {**body, "until": "2026-06-09T10:00:00+07:00"}
    earlier = {**body, "until": "2026-03-05T10:00:00+07:00"}
    assert (await act(as_("officer"), code, "request_extension", too_far)).status_code == 422
    assert (await act(as_("officer"), code, "request_extension", earlier)).status_code == 422
    clock.to("2026-03-06T17:00")  # the very moment it is due
    await done(as_("officer"), code, "request_extension", body)
    assert (await act(as_("officer"), code, "request_extension", body)).status_code == 409
    late, _ = await started(client, drive, "in_progress")
    clock.move(days=10)
    assert (await act(as_("officer"), late, "request_extension", {**body, "until": "2026-03-18T10:00:00+07:00"})
            ).status_code == 409  # fmt: skip


async def test_a_granted_extension_moves_resolve_and_tells_the_citizen(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, key = await started(client, drive, "in_progress")
    until = "2026-03-09T10:00:00+07:00"
    await done(as_("officer"), code, "request_extension", {"until": until, "reason": "Chờ nhựa nóng"})
    assert (await act(as_("officer"), code, "grant_extension")).status_code == 403
    await done(as_("head"), code, "grant_extension")
    case = await seen(as_, code)
    assert (due(case, "resolve"), case["promised_at"]) == (until, until)
    assert case["extensions"][0]["state"] == "granted"
    assert any("10:00 ngày 09/03/2026" in text and "Chờ nhựa nóng" in text for text in
               heard(await at_citizen(client, code, key)))  # fmt: skip
    op = (await journal_of(app, code))[-1].data["limits"][0]
    assert (op["op"], op["was"]) == ("moved", "2026-03-06T10:00:00+00:00")
    again = await act(as_("officer"), code, "request_extension", {"until": "2026-03-10T10:00:00+07:00", "reason": "x"})
    assert [each["beyond"] for each in again.json()["extensions"]] == [False, True]  # the rule set allows the unit one
    clock.to("2026-03-07T10:00")
    await settle(app)
    assert standing(next(x for x in (await seen(as_, code))["limits"] if x["stage"] == "resolve")) == "open"


async def test_a_denied_extension_moves_nothing_and_says_why(client: AsyncClient, as_: As, drive: Drive) -> None:
    code, key = await started(client, drive, "in_progress")
    before = due(await seen(as_, code), "resolve")
    assert (await act(as_("head"), code, "deny_extension", {"reason": "x"})).status_code == 409  # none was asked for
    await done(
        as_("officer"), code, "request_extension", {"until": "2026-03-09T10:00:00+07:00", "reason": "Chờ nhựa nóng"}
    )
    await done(as_("head"), code, "deny_extension", {"reason": "Đã đủ thời gian"})
    case = await seen(as_, code)
    assert (due(case, "resolve"), case["extensions"][0]["state"]) == (before, "denied")
    assert "Đã đủ thời gian" in heard(await at_citizen(client, code, key))[-1]


# --- waiting for the citizen ---


@pytest.mark.parametrize("status", ["received", "in_progress"])
async def test_a_waiting_case_goes_on_where_it_was_when_the_citizen_writes(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock, status: str
) -> None:
    code, key = await started(client, drive, status)
    await done(as_("agent"), code, "ask_citizen", {"question": "Ở đoạn nào ạ?"})
    before = await seen(as_, code)
    assert before["status"] == "waiting_citizen"
    assert "Ở đoạn nào ạ?" in heard(await at_citizen(client, code, key))
    clock.move(minutes=5)
    assert (await by_citizen(client, code, key, "messages", {"text": "Trước số nhà 12"})).status_code == 201
    case = await seen(as_, code)
    assert case["status"] == status
    assert [x["due_at"] for x in case["limits"]] == [x["due_at"] for x in before["limits"]]  # this rule set never stops


async def test_clocks_stand_still_while_waiting_only_where_the_rule_set_says(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock, rules: Callable[..., None]
) -> None:
    rules(stop_while_waiting=("accept", "resolve"))
    code, key = await started(client, drive, "in_progress")
    assert due(await seen(as_, code), "resolve") == "2026-03-06T17:00:00+07:00"
    await drive(code, "waiting_citizen")
    case = await seen(as_, code)
    assert due(case, "resolve") is None
    assert limits(case)[f"contribute {SUPPORT}"] == "open"
    clock.to("2026-03-05T08:15")  # two working days later
    await settle(app)
    assert (await by_citizen(client, code, key, "messages", {"text": "Trước số nhà 12"})).status_code == 201
    assert due(await seen(as_, code), "resolve") == "2026-03-10T17:00:00+07:00"  # Tuesday: the weekend lies between
    assert (await seen(as_, code))["promised_at"] == "2026-03-10T17:00:00+07:00"
    kinds = [op["op"] for row in await journal_of(app, code) for op in row.data["limits"] if op["stage"] == "resolve"]
    assert kinds == ["opened", "stopped", "resumed"]


async def test_an_answer_given_while_waiting_ends_the_stop(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock, rules: Callable[..., None]
) -> None:
    rules(stop_while_waiting=("resolve",))
    code, _ = await started(client, drive, "waiting_citizen")
    clock.move(days=30)
    await done(as_("officer"), code, "submit_answer", {"reply": "Đã tìm thấy và vá."})
    assert limits(await seen(as_, code))[f"resolve {LEAD}"] == "met"


async def test_an_extension_granted_while_waiting_holds_after_the_stop(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock, rules: Callable[..., None]
) -> None:
    rules(stop_while_waiting=("resolve",))
    code, key = await started(client, drive, "in_progress")
    until = "2026-03-09T10:00:00+07:00"
    await done(as_("officer"), code, "request_extension", {"until": until, "reason": "Chờ nhựa nóng"})
    await drive(code, "waiting_citizen")
    await done(as_("head"), code, "grant_extension")
    clock.to("2026-03-20T10:00")
    await settle(app)  # no breach while it stands still
    assert (await by_citizen(client, code, key, "messages", {"text": "Trước số nhà 12"})).status_code == 201
    assert due(await seen(as_, code), "resolve") > until
    assert limits(await seen(as_, code))[f"resolve {LEAD}"] == "open"


# --- merging, splitting, incidents ---


async def test_messages_by_a_merged_code_reach_the_case_that_goes_on(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive
) -> None:
    first, first_key = await a_report(client, contact={"name": "Lê Văn Một"}, text="Ổ gà lớn trước chợ Đồng Xoài")
    second, second_key = await a_report(client, text="Chợ có ổ gà, tôi bị té xe")
    third, third_key = await a_report(client)
    await done(as_("agent"), second, "merge", {"into": first})
    assert (await seen(as_, second))["merged_into"] == first
    assert limits(await seen(as_, second)) == {f"forward {CENTRE}": "cancelled"}
    await done(as_("agent"), first, "merge", {"into": third})
    answer = await by_citizen(client, second, second_key, "messages", {"text": "Tôi có ảnh"})
    assert answer.status_code == 201
    assert "Tôi có ảnh" in [line["text"] for line in (await seen(as_, third))["entries"]]
    # Each reporter reads their own words only.
    own = answer.json()
    assert (own["code"], own["status"], own["text"]) == (second, "merged", "Chợ có ổ gà, tôi bị té xe")
    assert "Tôi có ảnh" in heard(own)
    assert "Ổ gà lớn" not in str(own)
    for code, key in ((first, first_key), (third, third_key)):
        assert "Tôi có ảnh" not in str(await at_citizen(client, code, key))
    assert any(first in text for text in heard(own))
    await drive(third, "replied")
    assert (await at_citizen(client, second, second_key))["reply"] == "Đã vá xong ổ gà."


async def test_a_case_is_not_merged_into_itself_nor_in_a_circle(client: AsyncClient, as_: As) -> None:
    codes = [(await a_report(client))[0] for _ in range(3)]
    agent = as_("agent")
    assert (await act(agent, codes[0], "merge", {"into": codes[0]})).status_code == 409
    await done(agent, codes[0], "merge", {"into": codes[1]})
    await done(agent, codes[1], "merge", {"into": codes[2]})
    assert (await act(agent, codes[2], "merge", {"into": codes[0]})).status_code == 409
    assert (await act(agent, codes[2], "merge", {"into": "BP-26-0000000"})).status_code == 422
    spam, _ = await a_report(client)
    await done(agent, spam, "mark_spam")
    assert (await act(agent, codes[2], "merge", {"into": spam})).status_code == 409


async def test_two_merges_into_each_other_at_once_leave_one_alive(client: AsyncClient, as_: As) -> None:
    one, two = (await a_report(client))[0], (await a_report(client))[0]
    answers = await asyncio.gather(
        act(as_("agent"), one, "merge", {"into": two}), act(as_("dispatcher"), two, "merge", {"into": one})
    )
    assert sorted(answer.status_code for answer in answers) in ([200, 409], [200, 503])
    assert sorted([(await seen(as_, code))["status"] for code in (one, two)]) == ["merged", "received"]


async def test_a_second_matter_becomes_a_case_of_its_own(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive
) -> None:
    code, key = await started(client, drive, "in_progress", contact={"name": "Trần Thị Hai", "phone": "0912345678"})
    case = await done(as_("dispatcher"), code, "split", {"text": "Đèn đường cũng hỏng", "field": "infra.light"})
    assert case["status"] == "in_progress"
    row = (await journal_of(app, code))[-1]
    new = await seen(as_, row.data["new"])
    assert (new["status"], new["text"], new["field"]["code"]) == ("received", "Đèn đường cũng hỏng", "infra.light")
    assert limits(new) == {f"forward {CENTRE}": "open"}
    assert new["citizen"]["phone"].endswith("678")
    assert any(new["code"] in text for text in heard(await at_citizen(client, code, key)))


async def test_cases_of_one_incident_are_linked_and_unlinked(client: AsyncClient, as_: As) -> None:
    one, two = (await a_report(client))[0], (await a_report(client))[0]
    assert (await act(as_("dispatcher"), one, "link_incident", {"into": one})).status_code == 409
    assert (await act(as_("dispatcher"), one, "unlink_incident")).status_code == 409
    case = await done(as_("dispatcher"), one, "link_incident", {"into": two})
    assert case["incident"] == two
    assert (await done(as_("dispatcher"), one, "unlink_incident"))["incident"] is None


# --- reopening ---


async def test_reopened_it_is_the_last_leads_again_with_fresh_limits(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, key = await started(client, drive, "replied")
    clock.move(days=2)
    assert (await by_citizen(client, code, key, "rating", {"rating": 2})).status_code == 200
    answer = await by_citizen(client, code, key, "reopen", {"reason": "Vẫn còn ổ gà"})
    assert (answer.status_code, answer.json()["status"]) == (200, "forwarded")
    case = await seen(as_, code)
    assert case["lead"]["code"] == LEAD
    assert limits(case)[f"accept {LEAD}"] == "open"
    assert due(case, "resolve") == "2026-03-10T17:00:00+07:00"  # from Thursday
    assert case["promised_at"] == due(case, "resolve")
    assert limits(case)[f"publish {CENTRE}"] == "cancelled"
    assert (case["rating"], case["replied_at"]) == (None, None)
    await drive(code, "replied")
    assert (await at_citizen(client, code, key))["status"] == "replied"


@pytest.mark.parametrize("supporting", [[], [LEAD], [SUPPORT]])
async def test_reopened_after_a_reform_it_goes_to_the_heir_of_its_lead(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock, supporting: list[str]
) -> None:
    clock.to("2025-02-20T09:00")
    code, _ = await a_report(client)
    await done(as_("dispatcher"), code, "forward", {"lead": ABOLISHED, "supporting": supporting})
    await done(as_("gone"), code, "accept")
    await done(as_("gone"), code, "submit_answer", {"reply": "Đã vá."})
    await done(as_("gone"), code, "approve_answer")
    await deliver(app)
    clock.to("2025-03-04T09:00")
    case = await done(as_("agent"), code, "reopen", {"reason": "Người dân gọi lại: vẫn hư"})
    assert (case["status"], case["lead"]["code"]) == ("forwarded", LEAD)
    assert {a["department"]["code"] for a in case["assignments"] if a["ended_at"] is None} == {LEAD}
    assert (await as_("gone").get(f"/api/v1/cases/{code}")).status_code == 404
    await drive(code, "in_progress")


async def test_reopened_without_a_lead_it_is_received(app: FastAPI, client: AsyncClient, as_: As) -> None:
    code, key = await a_report(client)
    await done(as_("agent"), code, "answer_directly", {"reply": "Sẽ được vá."})
    await deliver(app)
    answer = await by_citizen(client, code, key, "reopen", {"reason": "Chưa vá"})
    assert answer.json()["status"] == "received"
    refused, key = await a_report(client)
    await done(as_("agent"), refused, "refuse", {"reason_code": "unclear"})
    answer = await by_citizen(client, refused, key, "reopen", {"reason": "Trước chợ Đồng Xoài"})
    assert answer.json()["status"] == "received"
    case = await seen(as_, refused)
    assert (limits(case), case["promised_at"]) == ({f"forward {CENTRE}": "open"}, None)
    case = await done(as_("dispatcher"), refused, "forward", {"lead": LEAD})
    assert case["promised_at"] == due(case, "resolve") is not None


async def test_reopened_when_its_lead_is_gone_without_heir_it_is_received(
    client: AsyncClient, as_: As, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _ = await started(client, drive, "closed")
    with monkeypatch.context() as reform:
        reform.setattr(Directory, "heir", lambda *_: None)
        case = await done(as_("supervisor"), code, "reopen", {"reason": "Người dân gọi lại"})
    assert (case["status"], case["lead"], case["supporting"]) == ("received", None, [])
    assert limits(case)[f"forward {CENTRE}"] == "open"
    await drive(code, "in_progress")  # to the same department again, as a part of its own


async def test_refused_while_its_lead_waited_and_reopened_it_is_that_leads_again(
    client: AsyncClient, as_: As, drive: Drive
) -> None:
    code, key = await started(client, drive, "waiting_citizen")
    await done(as_("agent"), code, "refuse", {"reason_code": "unclear"})
    answer = await by_citizen(client, code, key, "reopen", {"reason": "Xin lỗi, nay tôi mới trả lời được"})
    assert answer.json()["status"] == "forwarded"
    assert limits(await seen(as_, code))[f"accept {LEAD}"] == "open"
    await drive(code, "answered")


async def test_the_window_for_reopening_binds_the_citizen_but_not_the_centre(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, key = await started(client, drive, "replied")
    clock.move(days=15)  # 15d/calendar is 15 × 24 hours; the closing instant still counts
    assert (await by_citizen(client, code, key, "reopen", {"reason": "Vẫn hư"})).status_code == 200
    await drive(code, "replied")
    clock.move(days=15, minutes=1)
    assert (await by_citizen(client, code, key, "reopen", {"reason": "Vẫn hư"})).status_code == 409
    await settle(app)
    assert (await seen(as_, code))["status"] == "closed"
    await done(as_("agent"), code, "reopen", {"reason": "Người dân gọi lại"})


# --- rating and closing ---


@pytest.mark.parametrize(
    ("rating", "status"),
    [(1, "replied"), (2, "replied"), (3, "replied"), (4, "closed"), (5, "closed")],
)
async def test_a_good_rating_closes(client: AsyncClient, drive: Drive, rating: int, status: str) -> None:
    code, key = await started(client, drive, "replied")
    answer = await by_citizen(client, code, key, "rating", {"rating": rating, "text": "Cảm ơn"})
    assert (answer.status_code, answer.json()["status"], answer.json()["rating"]) == (200, status, rating)


async def test_a_later_rating_replaces_the_earlier(app: FastAPI, client: AsyncClient, as_: As, drive: Drive) -> None:
    code, key = await started(client, drive, "replied")
    for rating, status in ((2, "replied"), (5, "closed"), (1, "closed")):
        answer = await by_citizen(client, code, key, "rating", {"rating": rating})
        assert (answer.json()["rating"], answer.json()["status"]) == (rating, status)
    rated = [
        (row.data["rating"], row.data["previous"]) for row in await journal_of(app, code) if row.kind == "case.rate"
    ]
    assert rated == [(2, None), (5, 2), (1, 5)]
    for wrong in ({"rating": 0}, {"rating": 6}, {"rating": "5"}, {"rating": True}, {}):
        assert (await by_citizen(client, code, key, "rating", wrong)).status_code == 422


async def test_a_replied_case_closes_by_itself_after_its_window(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await started(client, drive, "replied")
    clock.move(days=15, minutes=-1)
    await settle(app)
    assert (await seen(as_, code))["status"] == "replied"
    clock.move(minutes=2)
    await settle(app)
    await settle(app)
    assert (await seen(as_, code))["status"] == "closed"
    closed = [row for row in await journal_of(app, code) if row.kind == "case.close"]
    assert [row.actor_kind for row in closed] == ["system"]


# --- refusing, redirecting ---


async def test_the_reasons_own_text_reaches_the_citizen(app: FastAPI, client: AsyncClient, as_: As) -> None:
    reasons = {row["code"]: row for row in (await as_("agent").get("/api/v1/refusal-reasons")).json()}
    code, key = await a_report(client)
    assert (await act(as_("agent"), code, "refuse", {"reason_code": "no_such"})).status_code == 422
    await done(as_("agent"), code, "refuse", {"reason_code": "court"})
    assert reasons["court"]["text"] in heard(await at_citizen(client, code, key))
    own, key = await a_report(client)
    await done(as_("agent"), own, "refuse", {"reason_code": "court", "reply": "Mời anh/chị đến tòa án."})
    assert "Mời anh/chị đến tòa án." in heard(await at_citizen(client, own, key))
    assert limits(await seen(as_, own)) == {f"forward {CENTRE}": "met"}
    assert (await journal_of(app, own))[-1].data["reason_code"] == "court"


@pytest.mark.parametrize(
    ("text", "track", "to"),
    [
        ("Tôi tố cáo ông chủ tịch xã nhận hối lộ", "denunciation", "inspectorate"),
        ("Tôi gửi đơn khiếu nại quyết định thu hồi đất", "complaint", "reception_board"),
        ("Tố giác nhóm bán ma túy gần trường", "crime_tip", "police"),
    ],
)
async def test_where_a_restricted_case_goes_follows_from_its_track(
    app: FastAPI, client: AsyncClient, as_: As, text: str, track: str, to: str
) -> None:
    code, key = await a_report(client, text=text, field=None)
    assert (await seen(as_, code, "inspector"))["track"] == track
    case = await done(as_("inspector"), code, "redirect", {"reply": "Chúng tôi đã chuyển nội dung của anh/chị."})
    assert case["status"] == "redirected"
    row = (await journal_of(app, code))[-1]
    assert (row.data["destination"], row.restricted) == (to, True)
    assert "Chúng tôi đã chuyển" in heard(await at_citizen(client, code, key))[-1]


async def test_an_ordinary_case_is_redirected_only_to_a_place_that_is_named(
    client: AsyncClient, as_: As, drive: Drive
) -> None:
    code, key = await started(client, drive, "forwarded")
    assert (await act(as_("dispatcher"), code, "redirect", {"reply": "Đã chuyển"})).status_code == 422
    await done(as_("dispatcher"), code, "redirect", {"to": "114", "reply": "Đã nối máy."})
    assert limits(await seen(as_, code)) == {
        f"forward {CENTRE}": "met",
        f"accept {LEAD}": "cancelled",
        f"resolve {LEAD}": "cancelled",
        f"contribute {SUPPORT}": "cancelled",
    }
    assert "114" in heard(await at_citizen(client, code, key))[-1]


async def test_spam_owes_nothing_until_it_turns_out_to_be_serious(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, key = await started(client, drive, "spam")
    assert limits(await seen(as_, code)) == {f"forward {CENTRE}": "cancelled"}
    assert (await by_citizen(client, code, key, "messages", {"text": "alo"})).status_code == 409
    clock.move(hours=1)
    case = await done(as_("dispatcher"), code, "unmark_spam")
    assert (case["status"], due(case, "forward")) == ("received", "2026-03-03T09:45:00+07:00")


# --- tracks and sight ---

BLIND = ("agent", "dispatcher", "supervisor", "leader", "admin", "officer", "head", "helper", "officer2")


async def hidden(app: FastAPI, as_: As, code: str, word: str) -> bool:
    """Whether nobody but the inspector finds the case, by code, list or search."""
    await settle(app)  # its words have been sorted in
    for who in BLIND:
        for path in ("", "/timeline", "/explain"):
            if (await as_(who).get(f"/api/v1/cases/{code}{path}")).status_code != 404:
                return False
        for query in ({}, {"q": code}, {"q": word}, {"track": "denunciation"}):
            found = (await as_(who).get("/api/v1/cases", params={"limit": 200, **query})).json()["items"]
            if any(row["code"] == code for row in found):
                return False
        if (await act(as_(who), code, "note", {"text": "x"})).status_code != 404:
            return False
    listed = (await as_("inspector").get("/api/v1/cases", params={"q": word})).json()["items"]
    return any(row["code"] == code for row in listed)


@pytest.mark.parametrize("status", ["received", "forwarded"])
async def test_an_agents_word_hides_a_case_at_once(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, status: str
) -> None:
    code, key = await started(client, drive, status, text=f"Chuyện ở xã cocanhbao{status}")
    await done(as_("agent"), code, "set_track", {"track": "denunciation"})
    assert await hidden(app, as_, code, f"cocanhbao{status}")
    case = await seen(as_, code, "inspector")
    assert (case["track"], case["track_confirmed"], case["promised_at"], case["public"]) == (
        "denunciation", False, None, False,
    )  # fmt: skip
    kinds = [(row.kind, row.restricted) for row in await journal_of(app, code)]
    assert ("case.set_track", True) in kinds
    assert ("case.withdrawn", False) in kinds
    own = await at_citizen(client, code, key)
    assert (own["status"], own["lead"]) == (status, None)
    confirmed = await done(as_("inspector"), code, "set_track", {"track": "denunciation"})
    assert confirmed["track_confirmed"] is True
    assert confirmed["actions"] != []
    back = await done(as_("inspector"), code, "set_track", {"track": "ordinary"})
    assert back["promised_at"] is not None if status == "received" else back["lead"]["code"] == LEAD
    assert (await journal_of(app, code))[-1].kind == "case.restored"
    await drive(code, "in_progress")


async def test_a_report_that_is_a_denunciation_is_hidden_from_the_start(
    app: FastAPI, client: AsyncClient, as_: As
) -> None:
    code, _ = await a_report(client, text="Tôi tố cáo cán bộ địa chính vòi tiền, motcaihen", field=None)
    assert await hidden(app, as_, code, "motcaihen")
    assert (await act(as_("inspector"), code, "note", {"text": "Đã đọc"})).status_code == 200


async def test_an_agent_who_types_in_a_denunciation_keeps_the_receipt_only(
    app: FastAPI, client: AsyncClient, as_: As
) -> None:
    body = {
        "text": "Người gọi tố cáo chủ tịch xã nhận hối lộ, haicaihen",
        "channel": "voice",
        "forward": {"lead": LEAD},
    }
    answer = await as_("agent").post("/api/v1/cases", json=body)
    assert answer.status_code == 201, answer.text
    assert set(answer.json()) == {"code", "tracking_key", "status", "received_at", "promised_at", "limits"}
    assert answer.json()["status"] == "received"  # nothing is forwarded to a department
    assert await hidden(app, as_, answer.json()["code"], "haicaihen")


async def test_a_case_opened_for_a_caller_is_forwarded_in_one_go(client: AsyncClient, as_: As) -> None:
    body = {"text": "Sập nắp cống", "channel": "voice", "field": "infra.manhole", "forward": {"lead": LEAD}}
    answer = await as_("agent").post("/api/v1/cases", json=body)
    assert (answer.status_code, answer.json()["status"], answer.json()["lead"]["code"]) == (201, "forwarded", LEAD)
    assert answer.headers["etag"] == '"2"'
    for who in ("officer", "leader", "admin", "inspector"):
        assert (await as_(who).post("/api/v1/cases", json=body)).status_code == 403
    wrong = await as_("agent").post("/api/v1/cases", json={**body, "forward": {"lead": "no-such"}})
    assert wrong.status_code == 422


async def test_identity_is_masked_until_revealed_and_never_shown_to_the_leader(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive
) -> None:
    contact = {"name": "Nguyễn Thị Kín", "phone": "0912345678", "email": "kin@example.vn"}
    code, _ = await started(client, drive, "in_progress", contact=contact)
    for who in ("agent", "dispatcher", "supervisor", "officer", "head", "helper", "leader", "admin", "inspector"):
        assert "Kín" not in str((await seen(as_, code, who))["citizen"])
    assert (await seen(as_, code, "officer"))["citizen"] == {
        "name": "N*** T*** K***", "phone": "*********678", "email": "k***@example.vn", "revealed": False,
    }  # fmt: skip
    await done(as_("agent"), code, "reveal_identity", {"reason": "Cần gọi lại để xác minh"})
    for who in ("agent", "officer", "head", "helper"):
        assert (await seen(as_, code, who))["citizen"]["phone"] == "+84912345678"
    for who in ("leader", "admin"):
        assert (await seen(as_, code, who))["citizen"]["phone"] == "*********678"
    assert "reveal" in (await journal_of(app, code))[-1].data
    restricted, _ = await a_report(client, text="Tôi tố cáo ông A nhận hối lộ", field=None, contact=contact)
    assert (await seen(as_, restricted, "inspector"))["citizen"]["name"] == "Nguyễn Thị Kín"


# --- two people at once ---


async def test_a_stale_version_is_refused_with_the_present_case(client: AsyncClient, as_: As, drive: Drive) -> None:
    code, _ = await started(client, drive, "forwarded")
    url = f"/api/v1/cases/{code}"
    etag = (await as_("officer").get(url)).headers["etag"]
    await done(as_("agent"), code, "note", {"text": "Người dân gọi lại"})
    for action in ("accept", "submit_answer"):  # also where the action would not be possible now
        stale = await as_("officer").post(f"{url}/{action}", json={"reply": "x"}, headers={"If-Match": etag})
        assert stale.status_code == 412
        assert stale.json()["case"]["version"] == int(etag.strip('"')) + 1
    fresh = (await as_("officer").get(url)).headers["etag"]
    answer = await as_("officer").post(f"{url}/accept", json={}, headers={"If-Match": fresh})
    assert (answer.status_code, answer.json()["status"]) == (200, "in_progress")
    assert (await as_("officer").post(f"{url}/note", json={"text": "x"}, headers={"If-Match": "x"})).status_code == 422


@pytest.mark.parametrize("matching", [False, True])
async def test_of_two_who_accept_at_once_one_wins(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, matching: bool
) -> None:
    code, _ = await started(client, drive, "forwarded")
    headers = {"If-Match": f'"{(await seen(as_, code))["version"]}"'} if matching else {}
    url = f"/api/v1/cases/{code}/accept"
    answers = await asyncio.gather(*(as_("officer").post(url, json={}, headers=headers) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 412 if matching else 409]
    assert [row.kind for row in await journal_of(app, code)].count("case.accept") == 1


# --- people within a case ---


async def test_an_officer_is_named_within_the_units_that_have_the_case(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive
) -> None:
    code, _ = await a_report(client)
    assert (await done(as_("agent"), code, "assign_officer", {"officer": "agent@demo"}))["officer"] == "agent@demo"
    assert (await act(as_("agent"), code, "assign_officer", {"officer": "officer@demo"})).status_code == 422
    await drive(code, "forwarded")
    assert (await seen(as_, code))["officer"] is None  # the centre's own was the centre's
    case = await done(as_("officer"), code, "accept")
    assert case["officer"] == "officer@demo"
    mine = (await as_("officer").get("/api/v1/cases", params={"assigned": "me"})).json()["items"]
    assert code in [row["code"] for row in mine]
    for wrong in ("officer2@demo", "nobody@demo", ""):
        assert (await act(as_("head"), code, "assign_officer", {"officer": wrong})).status_code == 422
    assert (await done(as_("head"), code, "assign_officer", {"officer": "helper@demo"}))["officer"] == "helper@demo"
    assert (await done(as_("head"), code, "assign_officer", {"officer": None}))["officer"] is None


async def test_what_was_said_stands_in_the_order_it_was_said(client: AsyncClient, as_: As) -> None:
    code, _ = await a_report(client)  # the clock stands still: every line has the same time
    for n in range(20):
        await done(as_("agent"), code, "note", {"text": f"Ghi chú {n}"})
    notes = [line["text"] for line in (await seen(as_, code))["entries"] if line["kind"] == "note"]
    assert notes == [f"Ghi chú {n}" for n in range(20)]


async def test_new_facts_are_decided_anew_from_the_limits_own_opening(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client, field=None)
    case = await seen(as_, code)
    assert due(case, "forward") == "2026-03-03T09:15:00+07:00"  # competence unclear: one hour
    assert case["promised_at"] == "2026-03-10T17:00:00+07:00"  # five working days
    clock.move(minutes=10)
    case = await done(as_("agent"), code, "classify", {"field": "infra.road"})
    assert due(case, "forward") == "2026-03-03T08:45:00+07:00"  # half an hour from 08:15
    assert case["promised_at"] == "2026-03-06T17:00:00+07:00"
    assert case["suggested"]["lead"] is not None
    await drive(code, "in_progress")
    case = await done(as_("dispatcher"), code, "classify", {"urgency": "emergency"})
    assert due(case, "resolve") == "2026-03-03T12:25:00+07:00"  # four hours from 08:25
    assert case["promised_at"] == "2026-03-06T17:00:00+07:00"  # the citizen was told
    assert (await act(as_("agent"), code, "classify", {"field": "no.such"})).status_code == 422
    assert (await act(as_("agent"), code, "classify", {"area": "no-such"})).status_code == 422


async def test_a_date_for_the_citizen_is_never_one_that_is_over(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    again, key = await a_report(client)
    await done(as_("agent"), again, "answer_directly", {"reply": "Sẽ được vá."})
    await deliver(app)
    late, _ = await a_report(client)
    clock.to("2026-03-10T08:15")  # three working days, and so the first promise of both, were over on the 6th
    assert (await by_citizen(client, again, key, "reopen", {"reason": "Chưa vá"})).status_code == 200
    for code in (again, late):
        case = await done(as_("agent"), code, "classify", {"field": "infra.road"})
        assert case["promised_at"] == "2026-03-13T17:00:00+07:00"
    clock.to("2026-03-11T08:15")  # a case that began anew is promised by its new beginning, not by each classifying
    case = await done(as_("agent"), again, "classify", {"field": "infra.road"})
    assert case["promised_at"] == "2026-03-13T17:00:00+07:00"


async def test_what_is_offered_is_what_would_succeed(client: AsyncClient, as_: As, drive: Drive) -> None:
    code, _ = await started(client, drive, "replied")
    case = await seen(as_, code, "agent")
    assert set(case["actions"]) == {
        "note", "assign_officer", "attach", "publish", "close", "reopen", "reveal_identity",
    }  # fmt: skip
    case = await done(as_("agent"), code, "publish", {"public_text": "Đã vá"})
    assert "unpublish" in case["actions"]
    assert (await seen(as_, code, "leader"))["actions"] == []


# --- reminders, breaches ---


async def test_reminders_and_breaches_are_written_once_each(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await started(client, drive, "forwarded")  # accept: Wednesday 08:15; resolve: Friday 17:00
    for _ in range(24):  # six days, looked at every six hours, and once more
        await settle(app)
        clock.move(hours=6)
    await settle(app)
    told = [
        (row.kind, op["stage"], op.get("percent"))
        for row in await journal_of(app, code)
        if row.kind.startswith("limit.")
        for op in row.data["limits"]
    ]
    assert sorted(told, key=str) == sorted(
        [
            *(
                ("limit.reminded", stage, percent)
                for stage in ("accept", "resolve", "contribute")
                for percent in (50, 80)
            ),
            *(("limit.breached", stage, None) for stage in ("accept", "resolve", "contribute")),
        ],
        key=str,
    )
    case = await seen(as_, code)
    assert limits(case)[f"resolve {LEAD}"] == "breached"
    assert [x["breached_at"] for x in case["limits"] if x["stage"] == "resolve"] == [due(case, "resolve")]
    rows = [row for row in await journal_of(app, code) if row.kind.startswith("limit.")]
    assert {row.data["dims"]["department"] for row in rows} == {LEAD}
    kinds = [item["kind"] for item in (await as_("officer").get(f"/api/v1/cases/{code}/timeline")).json()["items"]]
    assert {"limit.reminded", "limit.breached"} <= set(kinds)


async def test_what_is_met_late_notes_the_breach_before(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    clock.move(hours=2)  # no worker ran: nobody has noticed yet
    await drive(code, "forwarded")
    ops = [(op["op"], op["stage"]) for op in (await journal_of(app, code))[-1].data["limits"]]
    assert ops[:2] == [("breached", "forward"), ("met", "forward")]
    assert limits(await seen(as_, code))[f"forward {CENTRE}"] == "late"
    await settle(app)
    assert "limit.breached" not in [row.kind for row in await journal_of(app, code)]


async def test_a_citizen_asks_again_once_an_hour(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, key = await started(client, drive, "forwarded")
    other, other_key = await started(client, drive, "forwarded")
    both = await asyncio.gather(*(by_citizen(client, code, key, "chase") for _ in range(2)))
    assert sorted(answer.status_code for answer in both) == [200, 409]
    clock.move(minutes=20)
    before = await journal_of(app, code)
    refused = await by_citizen(client, code, key, "chase")
    assert (refused.status_code, refused.headers["retry-after"]) == (409, "2400")
    told = refused.json()
    assert told["possible_at"] == "2026-03-03T09:15:00+07:00"
    assert "nhắc lại từ 09:15 ngày 03/03/2026" in told["detail"]
    assert await journal_of(app, code) == before
    assert (await by_citizen(client, other, other_key, "chase")).status_code == 200
    await done(as_("agent"), code, "chase")  # the centre may at any time, and keeps no citizen from it
    clock.move(minutes=40)
    assert (await by_citizen(client, code, key, "chase")).status_code == 200
    assert (await seen(as_, code))["chased"] == 3


async def test_the_asking_again_of_a_citizen_is_counted(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive
) -> None:
    code, _ = await started(client, drive, "forwarded")
    await done(as_("agent"), code, "chase")
    assert (await done(as_("agent"), code, "chase"))["chased"] == 2
    row = (await journal_of(app, code))[-1]
    assert (row.data["department"], row.data["count"]) == (LEAD, 2)


# --- journal and outbox ---


async def test_every_act_is_one_row_with_its_dimensions_and_without_a_word_of_text(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive
) -> None:
    code, key = await started(
        client, drive, "waiting_citizen", text="Chữ bí mật trong bài", contact={"name": "Tên Bí Mật"}
    )
    await by_citizen(client, code, key, "messages", {"text": "Lời bí mật của dân"})
    await drive(code, "replied")
    await by_citizen(client, code, key, "rating", {"rating": 5, "text": "Khen bí mật"})
    rows = await journal_of(app, code)
    assert [row.kind for row in rows] == [
        f"case.{name}"
        for name in (
            "open", "forward", "accept", "ask_citizen", "add_message", "submit_answer", "approve_answer", "reply",
            "rate", "close",
        )
    ]  # fmt: skip
    assert [row.data["version"] for row in rows] == list(range(1, 11))
    assert [row.data["from"] for row in rows[1:]] == [row.data["to"] for row in rows[:-1]]
    for row in rows:
        assert set(row.data["dims"]) == {"department", "field", "channel", "area"}
        assert "bí mật" not in str(row.data).lower()
        assert row.data["code"] == code
    assert [row.data["dims"]["department"] for row in rows[:2]] == [CENTRE, LEAD]
    assert [row.data.get("first_response") for row in rows].count(True) == 1


async def test_the_citizen_hears_each_thing_once(app: FastAPI, client: AsyncClient, as_: As, drive: Drive) -> None:
    code, _ = await started(client, drive, "replied")
    await settle(app)
    async with state(app).database.transaction() as session:
        case = await case_of(session, code)
        sent = (await session.exec(select(Outgoing).where(Outgoing.subject_id == case.id))).all()
    assert sorted(row.purpose for row in sent) == ["answer", "forwarded", "receipt"]
    assert {row.state for row in sent} == {"sent"}
    assert len({(row.purpose, row.entry_id) for row in sent}) == 3


@pytest.mark.parametrize("member", ["due_at", "met_at", "opened_at", "holder", "breached_at"])
async def test_limits_verify_notices_a_changed_row(
    app: FastAPI, client: AsyncClient, drive: Drive, member: str
) -> None:
    code, _ = await started(client, drive, "in_progress")

    async def put(value: Any) -> Any:
        async with state(app).database.transaction() as session:
            case = await case_of(session, code)
            row = (await session.exec(select(Limit).where(Limit.case_id == case.id, Limit.stage == "accept"))).one()
            before = getattr(row, member)
            setattr(row, member, value)
            return before

    right = await put(CENTRE if member == "holder" else datetime(2026, 3, 3, 1, 16, tzinfo=UTC))
    try:
        assert any(f"{code} accept: {member}" in told for told in await limit_differences(app))
    finally:
        await put(right)


async def test_a_refused_act_leaves_no_trace(app: FastAPI, client: AsyncClient, as_: As, drive: Drive) -> None:
    code, _ = await started(client, drive, "forwarded")
    before = await seen(as_, code)
    assert (
        await act(as_("dispatcher"), code, "classify", {"field": "infra.light", "area": "no-such"})
    ).status_code == 422
    assert (await act(as_("officer"), code, "give_back", {"reason": "x", "suggested": "no-such"})).status_code == 422
    assert await seen(as_, code) == before
    async with state(app).database.transaction() as session:
        kinds = (
            await session.exec(select(Journal.kind).where(Journal.case_id == (await case_of(session, code)).id))
        ).all()
    assert "case.give_back" not in kinds


async def test_progress_is_told_with_the_date_the_unit_commits_itself_to(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, key = await started(client, drive, "in_progress")
    ahead = clock() + timedelta(days=1)
    await done(as_("officer"), code, "tell_progress", {"text": "Đang thi công", "until": ahead.isoformat()})
    assert "08:15 ngày 04/03/2026" in heard(await at_citizen(client, code, key))[-1]
    for wrong in (clock() - timedelta(minutes=1), clock() + timedelta(days=400)):
        answer = await act(as_("officer"), code, "tell_progress", {"text": "x", "until": wrong.isoformat()})
        assert answer.status_code == 422
