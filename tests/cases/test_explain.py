"""Why a case is where it is: told by the calendars clocks really run by, and with everything that changed since."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from cases.explain import explain_command
from core.errors import NotAllowed, NotFound
from routing.explaining import facts_from_dict
from routing.queries import load
from tests.factories import CENTRE, LEAD, OTHER, SUPPORT, As, Clock, a_report, done, remind, state

MORNINGS = [["07:00-11:30"]] * 5 + [[], []]
PERMIT = "construction.permit"  # led by LEAD


@pytest.fixture(scope="module")
async def own_hours(as_: As) -> None:
    """The lead works in the mornings only, since the beginning of the year of these tests."""
    admin, hours = as_("admin"), {"week": MORNINGS, "since": "2026-01-01"}
    assert (await admin.post("/api/v1/admin/calendars", json={"department": LEAD})).status_code == 201
    assert (await admin.put(f"/api/v1/admin/calendars/{LEAD}/week", json=hours)).status_code == 200


async def told(client: AsyncClient, code: str) -> dict[str, Any]:
    answer = await client.get(f"/api/v1/cases/{code}/explain")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def command(app: FastAPI, code: str) -> dict[str, Any]:
    async with state(app).database.transaction(frozen=True) as session:
        return await explain_command(session, code, await load(session))


async def test_a_department_with_hours_of_its_own_is_told_the_due_time_of_its_running_clock(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, own_hours: None
):
    clock.to("2026-03-03T08:15")
    code, _ = await a_report(client, field=PERMIT)
    case = await done(as_("dispatcher"), code, "forward", {"lead": LEAD})  # at once, as the explanation assumes
    running = {limit["stage"]: limit["due_at"] for limit in case["limits"] if limit["holder"] == LEAD}
    # 8 working hours in the mornings: 3:15 on Tuesday, 4:30 on Wednesday, 0:15 on Thursday.
    assert running["accept"] == "2026-03-05T07:15:00+07:00"
    found = await told(as_("officer"), code)
    explained = {limit["stage"]: limit["due_at"] for limit in found["limits"] if limit["holder"] == LEAD}
    assert {stage: explained[stage] for stage in running} == running
    async with state(app).database.transaction() as session:
        routing = await load(session)
    facts = facts_from_dict({"received_at": "2026-03-03T08:15:00+07:00", "field": PERMIT, "channel": "web"})
    by_facts = routing.explain(facts, routing.at(facts.received_at).book).to_dict()["limits"]
    assert {limit["stage"]: limit["due_at"] for limit in by_facts if limit["holder"] == LEAD} == explained


async def test_every_change_of_decision_and_clocks_is_told_in_order(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
):
    dispatcher, officer, head = as_("dispatcher"), as_("officer2@demo"), as_("head2@demo")
    clock.to("2026-03-03T08:15")  # Tuesday
    code, _ = await a_report(client)
    clock.to("2026-03-03T08:20")
    await done(dispatcher, code, "classify", {"field": PERMIT})
    clock.to("2026-03-03T08:25")
    await done(dispatcher, code, "forward", {"lead": SUPPORT})
    clock.to("2026-03-03T09:00")
    await done(as_("helper"), code, "give_back", {"reason": "Không thuộc thẩm quyền", "suggested": OTHER})
    clock.to("2026-03-03T09:10")
    await done(dispatcher, code, "forward", {"lead": OTHER})
    clock.to("2026-03-03T14:00")
    await done(officer, code, "accept")
    clock.to("2026-03-04T09:00")  # five working days from Tuesday: the next one at closing
    until = "2026-03-13T17:00:00+07:00"
    await done(officer, code, "request_extension", {"until": until, "reason": "Chờ hồ sơ"})
    clock.to("2026-03-04T10:00")
    await done(head, code, "grant_extension")
    clock.to("2026-03-14T08:00")
    await remind(app)

    found = await told(officer, code)
    assert [change["kind"].partition(".")[2] for change in found["changes"]] == [
        "open",
        "classify",
        "forward",
        "give_back",
        "forward",
        "accept",
        "request_extension",
        "grant_extension",
        "breached",
    ]
    opened, classified, _, back, again, _, asked, granted, late = found["changes"]
    assert opened["lines"] == [f"forward, {CENTRE}: 30min/calendar from 2026-03-03 08:15, due 2026-03-03 08:45."]
    assert classified["said"]["changed"] == ["field", "urgency"]
    assert classified["lines"][0] == (
        f"Decided anew by {', '.join(classified['rules'])}; before by {', '.join(opened['rules'])}."
    )
    assert (back["said"]["department"], back["said"]["suggested"]) == (SUPPORT, OTHER)
    assert f"accept, {SUPPORT}: owed no more from 2026-03-03 09:00, was due 2026-03-04 08:25." in back["lines"]
    assert f"resolve, {OTHER}: 5d/working from 2026-03-03 09:10, due 2026-03-10 17:00." in again["lines"]
    assert (asked["said"]["until"], asked["lines"]) == (until, [])
    assert granted["lines"] == [f"resolve, {OTHER}: due moved from 2026-03-10 17:00 to 2026-03-13 17:00."]
    assert late["lines"] == [f"resolve, {OTHER}: late since 2026-03-13 17:00."]
    resolve = next(each for each in found["clocks"] if (each["stage"], each["holder"]) == ("resolve", OTHER))
    assert (resolve["moved_to"], resolve["due_at"]) == (until, until)
    assert resolve["lines"][-1] == "Due Tuesday 2026-03-10 17:00."
    assert await command(app, code.lower()) == found  # the command prints the same object


async def test_the_page_tells_the_changes_in_the_words_of_people(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock
):
    clock.to("2026-03-03T08:15")
    code, _ = await a_report(client)
    await done(as_("dispatcher"), code, "forward", {"lead": OTHER})
    clock.to("2026-03-03T09:00")
    await done(as_("officer2@demo"), code, "give_back", {"reason": "Không phải", "suggested": SUPPORT})
    page = (await browser("dispatcher").get(f"/console/cases/{code}/explain")).text
    for words in ("Từ đó đến nay", "Trả lại", "thôi tính", "gợi ý Sở Công Thương"):
        assert words in page, words


async def test_a_restricted_case_is_not_explained_by_the_command(app: FastAPI, client: AsyncClient, as_: As):
    code, _ = await a_report(client)
    await done(as_("supervisor"), code, "set_track", {"track": "denunciation"})
    with pytest.raises(NotAllowed):
        await command(app, code)
    assert (await as_("dispatcher").get(f"/api/v1/cases/{code}/explain")).status_code == 404
    assert (await told(as_("inspector"), code))["track"] == "denunciation"
    for unknown in ("BP-26-0000018", "nothing"):
        with pytest.raises(NotFound):
            await command(app, unknown)
