"""A new emergency: 113, 114 or 115 first, over the whole screen, and the case goes on by a clock of its own."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from tests.factories import LEAD, As, Clock, a_report, act, done, journal_of, limit_differences, settle
from tests.web.problems import problem

TOLD = {"to": "115", "text": "Một người ngã xe, tỉnh, chảy máu đầu", "spoke_with": "chị Hoa"}


async def an_emergency(as_: As, **members: Any) -> str:
    body = {"text": "Có người ngã xe ở ngã tư", "urgency": "emergency", "channel": "voice", "field": "infra.road"}
    opened = await as_("agent").post("/api/v1/cases", json=body | members)
    assert opened.status_code == 201, opened.text
    code: str = opened.json()["code"]
    return code


async def test_a_hand_over_keeps_the_case_and_starts_its_clock_from_that_moment(
    app: FastAPI, as_: As, clock: Clock
) -> None:
    code = await an_emergency(as_)  # 08:15, by telephone: five minutes to forward
    clock.move(minutes=3)
    case = await done(as_("agent"), code, "hand_over", TOLD)
    assert case["status"] == "received"
    assert case["handed_over"] == {"to": "115", "at": "2026-03-03T08:18:00+07:00"}
    met, running = [each for each in case["limits"] if each["stage"] == "forward"]
    assert met["met_at"] == "2026-03-03T08:18:00+07:00"  # three minutes: in time
    assert (running["opened_at"], running["due_at"]) == ("2026-03-03T08:18:00+07:00", "2026-03-03T08:23:00+07:00")
    assert running["met_at"] is None
    assert await limit_differences(app) == []
    row = (await journal_of(app, code))[-1]
    assert (row.kind, row.data["destination"]) == ("case.hand_over", "115")
    assert "chị Hoa" not in str(row.data)  # what was said stands in the case
    assert any("chị Hoa" in each["text"] for each in case["entries"])
    after = await done(as_("dispatcher"), code, "forward", {"lead": LEAD})
    assert after["status"] == "forwarded"
    await settle(app)
    assert await limit_differences(app) == []


async def test_a_late_hand_over_is_late(as_: As, clock: Clock) -> None:
    code = await an_emergency(as_)
    clock.move(minutes=9)
    case = await done(as_("agent"), code, "hand_over", TOLD)
    met, running = [each for each in case["limits"] if each["stage"] == "forward"]
    assert met["breached_at"] == "2026-03-03T08:20:00+07:00"
    assert running["due_at"] == "2026-03-03T08:29:00+07:00"


async def test_a_second_hand_over_wins_no_time(as_: As, clock: Clock) -> None:
    code = await an_emergency(as_)
    await done(as_("agent"), code, "hand_over", TOLD)
    clock.move(minutes=4)
    case = await done(as_("dispatcher"), code, "hand_over", {"to": "113", "text": "Tắc đường, cần người điều tiết"})
    assert len([each for each in case["limits"] if each["stage"] == "forward"]) == 2
    assert case["next_due"]["due_at"] == "2026-03-03T08:20:00+07:00"
    assert case["handed_over"]["to"] == "113"


async def test_units_hand_nothing_over(client: AsyncClient, as_: As, clock: Clock) -> None:
    code = await an_emergency(as_)
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD})
    for who in ("officer", "head", "leader", "admin"):
        problem(await act(as_(who), code, "hand_over", TOLD), 403)
    case = await done(as_("supervisor"), code, "hand_over", TOLD)  # with the unit already: its clocks run on
    assert {each["stage"] for each in case["limits"] if each["met_at"] is None} == {"accept", "resolve"}


async def test_the_page_of_a_new_emergency_asks_first(as_: As, browser: As, clock: Clock) -> None:
    code = await an_emergency(as_, location={"address": "Ngã tư Sóc Miên"})
    page, here = browser("agent"), f"/console/cases/{code}"
    first = await page.get(here)
    assert (first.status_code, first.headers["location"]) == (303, f"/console/emergencies/{code}")
    screen = (await page.get(f"/console/emergencies/{code}")).text
    for number in ("113", "114", "115"):
        assert f'name="to" value="{number}"' in screen
        assert f'href="tel:{number}"' in screen
    assert "Có người ngã xe ở ngã tư" in screen
    assert "Ngã tư Sóc Miên" in screen
    assert (await page.get(f"{here}?seen=true")).status_code == 200  # it asks, it does not stand in the way
    assert (await page.get(f"{here}?part=case")).status_code == 200  # nor in that of the page's own script
    sent = await page.post(f"{here}/hand_over", data=TOLD)
    assert sent.status_code == 303
    assert (await page.get(here)).status_code == 200  # told: it asks no more


async def test_who_cannot_hand_over_sees_the_case(as_: As, browser: As, clock: Clock) -> None:
    code = await an_emergency(as_)
    assert (await browser("leader").get(f"/console/cases/{code}")).status_code == 200
    assert (await browser("leader").get(f"/console/emergencies/{code}")).status_code == 403
    assert (await browser("officer").get(f"/console/emergencies/{code}")).status_code == 404


async def test_nothing_said_is_asked_for_again_and_nothing_chosen_is_lost(as_: As, browser: As, clock: Clock) -> None:
    code = await an_emergency(as_)
    again = await browser("agent").post(f"/console/cases/{code}/hand_over", data={"to": "114", "text": ""})
    assert again.status_code == 422
    assert '<option value="114" selected>' in again.text


async def test_a_case_that_is_over_is_shown_as_it_is(client: AsyncClient, as_: As, browser: As, clock: Clock) -> None:
    code = await an_emergency(as_)
    await done(as_("agent"), code, "mark_spam")
    told = await browser("agent").get(f"/console/emergencies/{code}")
    assert (told.status_code, told.headers["location"]) == (303, f"/console/cases/{code}")


async def test_an_ordinary_case_does_not_ask(client: AsyncClient, browser: As) -> None:
    code, _ = await a_report(client)
    assert (await browser("agent").get(f"/console/cases/{code}")).status_code == 200


async def test_whoever_takes_an_emergency_in_is_led_there(browser: As, clock: Clock) -> None:
    form = {"channel": "voice", "text": "Cháy nhà", "urgency": "emergency", "field": "infra.road"}
    taken = await browser("agent").post("/console/new", data=form)
    assert taken.status_code == 200
    assert "/console/emergencies/BP-" in taken.text
    calm = await browser("agent").post("/console/new", data=form | {"urgency": "normal"})
    assert "/console/emergencies/" not in calm.text


# ---- tracks that are suggested


SUGGESTED = [
    ("Kiến nghị sửa đổi quy định về cấp phép xây dựng", "admin_regulation"),
    ("Kiến nghị bãi bỏ lệ phí này", "admin_regulation"),
]


@pytest.mark.parametrize(("words", "track"), SUGGESTED, ids=["change", "abolish"])
async def test_a_suggested_track_changes_nothing_until_a_person_confirms_it(
    client: AsyncClient, as_: As, browser: As, clock: Clock, words: str, track: str
) -> None:
    plain = (
        await client.post("/api/v1/reports", json={"text": "Cần sửa đường", "field": "construction.permit"})
    ).json()
    given = (await client.post("/api/v1/reports", json={"text": words, "field": "construction.permit"})).json()
    assert given["promised_at"] == plain["promised_at"]
    code = given["code"]
    case = (await as_("agent").get(f"/api/v1/cases/{code}")).json()
    assert (case["track"], case["suggested_track"], case["track_confirmed"]) == ("ordinary", track, False)
    told = (await as_("supervisor").get("/api/v1/cases", params={"track_suggested": "true"})).json()["items"]
    assert code in {row["code"] for row in told}
    assert code in (await browser("supervisor").get("/console?view=track_suggested")).text
    form = (await browser("supervisor").get(f"/console/cases/{code}/set_track")).text
    assert f'<option value="{track}" selected>' in form
    confirmed = await done(as_("supervisor"), code, "set_track", {"track": track})
    assert (confirmed["track"], confirmed["suggested_track"], confirmed["track_confirmed"]) == (track, None, True)
    assert confirmed["promised_at"] != plain["promised_at"]
    assert "R12" in (await as_("agent").get(f"/api/v1/cases/{code}/explain")).json()["rules"]
    assert code not in (await browser("supervisor").get("/console?view=track_suggested")).text
    assert code in (await browser("dispatcher").get("/console?view=admin_regulation")).text


async def test_a_suggestion_is_dismissed_by_saying_that_it_is_ordinary(client: AsyncClient, as_: As) -> None:
    code, _ = await a_report(client, text=SUGGESTED[0][0])
    case = await done(as_("supervisor"), code, "set_track", {"track": "ordinary"})
    assert (case["track"], case["suggested_track"]) == ("ordinary", None)


async def test_who_may_lose_by_a_delay_is_hidden_at_once(client: AsyncClient, as_: As) -> None:
    code, _ = await a_report(client, text="Tố cáo cán bộ nhận hối lộ và kiến nghị bãi bỏ quy định")
    problem(await as_("agent").get(f"/api/v1/cases/{code}"), 404)
    case = (await as_("inspector").get(f"/api/v1/cases/{code}")).json()
    assert (case["track"], case["suggested_track"]) == ("denunciation", None)
