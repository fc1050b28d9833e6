"""Lists and the board read by areas as they were recorded, or by the units they are today."""

import re
from datetime import date, datetime

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from cases.views import Geography
from ioc.queries import figures_command
from tests.factories import As, Clock, a_report, done, settle, state

NOW = "dn-c-phuoc-long"  # since 1 July 2025
ONCE = ("bp-c-phuoc-long-thac-mo", "bp-c-phuoc-long-long-thuy")  # became it
DISTRICT = "bp-d-phuoc-long"  # became two


@pytest.fixture(scope="module")
async def cases(app: FastAPI, client: AsyncClient, as_: As) -> dict[str, str]:
    """A case of each area, recorded while it was there: area → code. The centre answers the first."""
    here = state(app)
    wall, made = here.clock, {}
    for when, areas in (("2025-06-20T09:00+07:00", (*ONCE, DISTRICT)), ("2025-07-02T09:00+07:00", (NOW,))):
        here.clock = Clock(datetime.fromisoformat(when))
        for area in areas:
            made[area], _ = await a_report(client, text=f"Đèn đường hỏng {area}", location={"area": area})
    await done(as_("agent"), made[ONCE[0]], "answer_directly", {"reply": "Đèn đã sáng lại."})
    await settle(app)
    here.clock = wall
    return made


async def codes(who: AsyncClient, **asked: str) -> set[str]:
    answer = await who.get("/api/v1/cases", params=asked)
    assert answer.status_code == 200, answer.text
    return {item["code"] for item in answer.json()["items"]}


async def test_a_list_of_one_area(cases: dict[str, str], as_: As) -> None:
    agent = as_("agent")
    everywhere = {cases[area] for area in (NOW, *ONCE)}
    assert await codes(agent, area=NOW) == {cases[NOW]}
    assert await codes(agent, area=NOW, geography="stored") == {cases[NOW]}
    assert await codes(agent, area=NOW, geography="today") == everywhere
    assert await codes(agent, area=NOW, geography="today", q="den duong") == everywhere  # by the index of words
    assert await codes(agent, area=ONCE[0]) == {cases[ONCE[0]]}  # by the old geography
    assert await codes(agent, area=DISTRICT, geography="today") == {cases[DISTRICT]}  # is no one unit today
    assert (await agent.get("/api/v1/cases", params={"geography": "tomorrow"})).status_code == 422


async def test_the_board_adds_up_either_way_and_opens_its_lists(cases: dict[str, str], browser: As, as_: As) -> None:
    board = browser("leader")
    asked = {"period": "own", "from": "2025-06-01", "to": "2025-07-31"}
    stored = (await board.get("/ioc", params=asked)).text
    for name in ("Thác Mơ", "Long Thủy"):
        assert f">{name}<" in stored
    today = (await board.get("/ioc", params={**asked, "geography": "today"})).text
    assert ">Thác Mơ<" not in today
    link = re.search(r'href="([^"]*received_from=2025-06-01[^"]*area=dn-c-phuoc-long[^"]*)"', today)
    assert link is not None
    href = link[1].replace("&amp;", "&")
    assert "geography=today" in href
    shown = (await board.get(href)).text
    assert all(cases[area] in shown for area in (NOW, *ONCE))
    assert cases[DISTRICT] not in shown
    # Narrowed to the unit, the board shows its three, and the list behind a figure is the same.
    narrowed = (await board.get("/ioc", params={**asked, "geography": "today", "area": NOW})).text
    assert re.search(r"<option value=\"today\" selected", narrowed)
    behind = {"figure": "answered_first_contact", "figure_from": "2025-06-01", "figure_area": NOW}
    assert await codes(as_("leader"), **behind) == set()
    assert await codes(as_("leader"), **behind, geography="today") == {cases[ONCE[0]]}


async def test_the_command_counts_areas_either_way(app: FastAPI, cases: dict[str, str], clock: Clock) -> None:
    async def counted(figure: str, by: str, geography: Geography) -> dict[str, float]:
        async with state(app).database.transaction() as session:
            days = date(2025, 6, 1), date(2025, 7, 31)
            items = await figures_command(session, *days, by, geography, date(2026, 3, 3))
        return {" ".join(item["by"].values()): item["value"] for item in items if item["figure"] == figure}

    assert await counted("received", "area", "stored") == dict.fromkeys((NOW, *ONCE, DISTRICT), 1)
    assert await counted("received", "area", "today") == {NOW: 3, DISTRICT: 1}
    assert await counted("open", "area", "today") == {NOW: 2, DISTRICT: 1}  # one is answered
    running = {day: value for day, value in (await counted("open", "day,area", "today")).items() if NOW in day}
    assert running == {f"2025-06-20 {NOW}": 2, f"2025-07-02 {NOW}": 2}  # one came, one was answered
    shares = await counted("first_contact_share", "area", "today")
    assert shares == {NOW: round(1 / 3, 4), DISTRICT: 0}  # of the three together


async def test_a_renamed_area_is_one_area_found_by_both_names_and_history_keeps_the_old_one(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock
) -> None:
    area = "dn-c-bom-bo"
    code, _ = await a_report(client, text="Cột điện nghiêng", location={"area": area})
    clock.move(days=2)
    renamed = await as_("admin").patch(f"/api/v1/admin/areas/{area}", json={"name": "Hòa Bình Mới"})
    assert (renamed.status_code, renamed.json()["area"]["former_names"]) == (200, ["Bom Bo"])
    assert (await as_("officer").patch(f"/api/v1/admin/areas/{area}", json={"name": "X"})).status_code == 403
    later, _ = await a_report(client, text="Cột điện đổ", location={"area": area})
    await settle(app)
    agent = as_("agent")
    for words in ("bom bo", "hoa binh moi"):
        assert await codes(agent, q=words) == {code, later}, words
    for geography in ("stored", "today"):
        assert await codes(agent, area=area, geography=geography) == {code, later}
    names = [(await agent.get(f"/api/v1/cases/{each}")).json()["area"]["name"] for each in (code, later)]
    assert names == ["Bom Bo", "Hòa Bình Mới"]
    page = (await browser("agent").get(f"/console/cases/{code}")).text
    assert "Hòa Bình Mới" in page
    assert "khi tiếp nhận: Bom Bo" in page
    assert "khi tiếp nhận" not in (await browser("agent").get(f"/console/cases/{later}")).text
    picked = (await client.get("/api/v1/areas", params={"q": "bom bo"})).json()
    assert [each["name"] for each in picked if each["code"] == area] == ["Hòa Bình Mới"]


async def test_the_queue_says_how_areas_are_read(cases: dict[str, str], browser: As) -> None:
    page = (await browser("agent").get("/console", params={"area": NOW, "geography": "today"})).text
    assert "Theo địa bàn hiện nay" in page
    assert "Địa bàn cũ" in page
