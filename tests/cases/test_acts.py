"""The acts between offices: who decides after the third giving back, documents, orders, support, promises, disputes."""

from typing import Any

from fastapi import FastAPI
from httpx import AsyncClient

from tests.factories import LEAD, OTHER, As, Clock, Drive, a_report, act, done, journal_of

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
        assert refused.json()["detail"] == (
            "Các đơn vị đã trả lại 3 lần: chỉ trưởng ca được quyết định chuyển đi đâu."
        )
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
