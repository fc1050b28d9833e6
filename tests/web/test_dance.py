"""The whole dance of four people over HTTP, and who is charged with which late minute of it, worked out by hand.

The province works from 07:00 to 11:30 and from 13:30 to 17:00, Monday to Friday: 480 minutes a day. For a road:
forward 30 minutes of the wall clock, accept 8 working hours, give back 4, resolve 3 working days, reply 8 working
hours, publish 2 working days; who is asked to help beyond the rules has as long as the lead was given. No day of these
weeks of March 2026 is a holiday.
"""

import re
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from tests.factories import (
    CENTRE,
    LEAD,
    SUPPORT,
    As,
    Clock,
    a_report,
    act,
    deliver,
    done,
    journal_of,
    limit_differences,
    remind,
    settle,
)

CENTRE_CODE = "trung-tam-1022"
MARCH = {"from": "2026-03-01", "to": "2026-03-31"}


async def late_and_refused(app: FastAPI, client: AsyncClient, as_: As, clock: Clock) -> str:
    """Given back, taken late, more time asked for too late, returned, sent late, published late."""
    dispatcher, helper, officer, head = (as_(name) for name in ("dispatcher", "helper", "officer", "head"))
    clock.to("2026-03-03T08:15")  # Tuesday
    code, _ = await a_report(client)
    clock.to("2026-03-03T08:55")  # due 08:45: the centre's forward is 10 minutes late
    await done(dispatcher, code, "forward", {"lead": SUPPORT})
    clock.to("2026-03-03T09:30")
    await done(helper, code, "give_back", {"reason": "Đường do ngành xây dựng quản lý", "suggested": LEAD})
    clock.to("2026-03-03T09:50")  # forward afresh from 09:30, due 10:00: in time
    await done(dispatcher, code, "forward", {"lead": LEAD, "supporting": [SUPPORT]})
    # Accept: 1:40 and 3:30 on Tuesday, 2:50 on Wednesday: due Wednesday 09:50.
    await remind(app)
    clock.to("2026-03-04T10:20")  # 30 minutes late
    await done(officer, code, "accept")
    clock.to("2026-03-07T09:00")  # Saturday; to be resolved by Friday 17:00
    await remind(app)
    refused = await act(
        officer, code, "request_extension", {"until": "2026-03-10T17:00:00+07:00", "reason": "Chờ vật tư"}
    )
    assert refused.status_code == 409
    assert refused.json()["detail"] == "Chỉ được đề nghị gia hạn trước khi hết hạn (17:00 ngày 06/03/2026)."
    clock.to("2026-03-09T08:00")  # Monday; due Friday 17:00: 60 minutes late
    await done(helper, code, "contribute", {"text": "Đã cắt điện đoạn thi công"})
    clock.to("2026-03-09T09:00")  # 120 minutes after Friday 17:00
    await done(officer, code, "submit_answer", {"reply": "Đã vá."})
    clock.to("2026-03-10T09:10")  # reply: 2:30 and 3:30 on Monday, 2:00 on Tuesday: due 09:00, 10 minutes late
    await done(head, code, "return_answer", {"reason": "Nói rõ đoạn nào"})
    clock.to(
        "2026-03-10T10:00"
    )  # owed again since 09:10, still due on Friday: 50 minutes more, not the day of the head
    await done(officer, code, "submit_answer", {"reply": "Đã vá đoạn trước chợ.", "public_text": "Đã vá ổ gà."})
    clock.to("2026-03-10T16:00")  # reply: 1:30 and 3:30 on Tuesday, 3:00 on Wednesday: due Wednesday 10:00
    await done(head, code, "approve_answer")
    clock.to("2026-03-11T10:15")  # our own queue was 15 minutes late, not the head
    await deliver(app)
    clock.to("2026-03-16T07:25")  # Monday; published by Friday 17:00: 25 minutes late
    await done(dispatcher, code, "publish", {"public_text": "Đã vá ổ gà trước chợ."})
    return code


async def extended_and_in_time(app: FastAPI, client: AsyncClient, as_: As, clock: Clock) -> str:
    """More time asked for in time and granted; the lead keeps it, the unit that helps does not."""
    dispatcher, helper, officer, head = (as_(name) for name in ("dispatcher", "helper", "officer", "head"))
    clock.to("2026-03-17T08:15")  # Tuesday
    code, _ = await a_report(client)
    clock.to("2026-03-17T08:35")
    await done(dispatcher, code, "forward", {"lead": LEAD, "supporting": [SUPPORT]})
    clock.to("2026-03-17T14:00")
    await done(officer, code, "accept")
    clock.to("2026-03-18T09:00")  # due Friday 17:00; six working days at most: Wednesday 25 March
    until = "2026-03-24T17:00:00+07:00"
    await done(officer, code, "request_extension", {"until": until, "reason": "Mưa kéo dài"})
    clock.to("2026-03-18T10:00")
    await done(head, code, "grant_extension")
    await remind(app)
    clock.to("2026-03-23T08:30")  # Monday; the date of who helps did not move: due Friday 17:00, 90 minutes late
    await remind(app)
    await done(helper, code, "contribute", {"text": "Đã dời cột điện"})
    clock.to("2026-03-23T10:00")  # after the lead's old date and before the new one
    await done(officer, code, "submit_answer", {"reply": "Đã làm xong."})
    clock.to("2026-03-23T14:00")
    await done(head, code, "approve_answer")
    await deliver(app)
    clock.to("2026-03-23T15:00")
    await done(dispatcher, code, "publish", {"public_text": "Đã sửa đường."})
    return code


async def rows(client: AsyncClient, **period: str) -> list[tuple[str, str, int, int, int]]:
    answer = await client.get("/feed/v1/lateness", params=period)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return [(row["holder"], row["stage"], row["minutes"], row["limits"], row["cases"]) for row in items]


async def test_four_people_dance_and_each_late_minute_is_charged_to_who_held_the_clock(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock
):
    assert CENTRE == CENTRE_CODE
    late = await late_and_refused(app, client, as_, clock)
    in_time = await extended_and_in_time(app, client, as_, clock)
    clock.to("2026-04-01T08:00")
    await remind(app)
    assert await rows(as_("supervisor"), **MARCH) == [
        (LEAD, "resolve", 170, 1, 1),  # 120 and 50 of the first case, none of the extended one
        (SUPPORT, "contribute", 150, 2, 2),  # 60 and 90
        (LEAD, "accept", 30, 1, 1),
        (CENTRE, "publish", 25, 1, 1),
        (CENTRE, "delivery", 15, 1, 1),
        (LEAD, "reply", 10, 1, 1),
        (CENTRE, "forward", 10, 1, 1),
    ]
    # Of Monday 9 March alone: the unit that helps until 08:00, the lead until 09:00.
    assert await rows(as_("leader"), **{"from": "2026-03-09", "to": "2026-03-09"}) == [
        (LEAD, "resolve", 120, 1, 1),
        (SUPPORT, "contribute", 60, 1, 1),
    ]
    assert await rows(as_("leader"), **{"from": "2026-03-24", "to": "2026-03-31"}) == []
    shown = await browser("leader").get("/ioc/lateness", params={**MARCH, "holder": SUPPORT, "stage": "contribute"})
    assert shown.status_code == 200
    minutes = re.findall(r'<td class="num">(\d+)</td><td><time', shown.text)
    assert minutes == ["90", "60"]  # of the row's cases, the latest first
    assert f'href="/console/cases/{late}"' in shown.text
    assert f'href="/console/cases/{in_time}"' in shown.text
    assert (await as_("officer").get("/feed/v1/lateness", params=MARCH)).status_code == 403
    assert (await browser("officer").get("/ioc/lateness", params=MARCH)).status_code == 403
    assert await limit_differences(app) == []
    met = [
        (row.data["code"], op)
        for code in (late, in_time)
        for row in await journal_of(app, code)
        for op in row.data["limits"]
        if (op["op"], op["stage"]) == ("met", "resolve")
    ]
    assert [code for code, op in met if op.get("extended")] == [in_time]  # counted apart: in time by its new date alone
    await settle(app)
    figures = (await as_("leader").get("/feed/v1/aggregates", params=MARCH)).json()["items"]
    counted = {each["figure"]: each["value"] for each in figures}
    assert (counted["due_met.resolve"], counted["due_met_extended.resolve"]) == (1, 1)


async def test_a_case_that_turns_into_a_denunciation_leaves_the_report(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
):
    clock.to("2026-05-11T08:00")
    code, _ = await a_report(client)
    clock.to("2026-05-11T09:00")  # forward was due 08:30
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD})
    day = {"from": "2026-05-11", "to": "2026-05-11"}
    assert await rows(as_("leader"), **day) == [(CENTRE, "forward", 30, 1, 1)]
    await done(as_("supervisor"), code, "set_track", {"track": "denunciation"})
    assert await rows(as_("leader"), **day) == []


@pytest.mark.parametrize(
    ("period", "what"),
    [
        ({"from": "2026-01-01", "to": "2026-04-03"}, "93 days"),
        ({"from": "2026-03-02", "to": "2026-03-01"}, "backwards"),
    ],
    ids=["too-long", "backwards"],
)
async def test_a_period_nobody_can_mean_is_refused_with_a_sentence(
    as_: As, browser: As, clock: Clock, period: dict[str, str], what: str
):
    answer = await as_("leader").get("/feed/v1/lateness", params=period)
    assert answer.status_code == 422, what
    assert "92" in answer.json()["detail"]
    shown = await browser("leader").get("/ioc/lateness", params=period)
    assert shown.status_code == 422
    assert "92" in shown.text
