"""Facts that people state: they match the shipped rules, the decision is made anew, and they can be taken back."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from cases.facts import facts_of
from cases.models import Case
from tests.factories import As, Clock, a_report, case_of, done, journal_of, limit_differences, state
from tests.web.problems import problem, where

# field, what is stated → the rule that matches, its lead (codes of 2021 lead to their heirs of 2025)
STATED: list[tuple[str, dict[str, Any], str, str]] = [
    ("infra.road", {"asset_owner": "provincial_road"}, "road-of-province", "so-xd"),
    ("infra.road", {"road_class": "national"}, "road-of-province", "so-xd"),  # whose it is follows from its class
    ("infra.sidewalk_works", {"road_class": "provincial"}, "road-of-province", "so-xd"),
    ("infra.water", {"asset_owner": "rural_water"}, "water-rural", "so-nnmt"),
    ("food.safety", {"flags": ["farm_produce"]}, "food-farm", "so-nnmt"),
    ("food.safety", {"flags": ["industrial_food"]}, "food-industry", "so-congthuong"),
    ("food.safety", {"flags": ["farm_produce", "industrial_food"]}, "food-farm", "so-nnmt"),  # asked first
]


@pytest.mark.parametrize(("field", "stated", "rule", "lead"), STATED, ids=[f"{r[0]} {r[1]}" for r in STATED])
async def test_a_stated_fact_matches_the_shipped_rule(
    client: AsyncClient, as_: As, clock: Clock, field: str, stated: dict[str, Any], rule: str, lead: str
) -> None:
    code, _ = await a_report(client, field=field)
    before = (await as_("agent").get(f"/api/v1/cases/{code}/explain")).json()["rules"]
    assert rule not in before
    case = await done(as_("agent"), code, "classify", stated)
    assert {name: case[name] for name in stated} == stated
    assert case["suggested"]["lead"]["code"] == lead
    assert rule in (await as_("agent").get(f"/api/v1/cases/{code}/explain")).json()["rules"]


async def test_a_road_that_belongs_to_somebody_else_is_theirs(client: AsyncClient, as_: As, clock: Clock) -> None:
    code, _ = await a_report(client)
    case = await done(as_("agent"), code, "classify", {"road_class": "provincial", "asset_owner": "private"})
    assert case["suggested"]["lead"]["code"] != "so-xd"


async def test_unclear_competence_gives_the_hour_to_ask_and_clear_takes_it_back(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    code, _ = await a_report(client)

    async def forward(stated: str | None) -> str:
        body = {"competence": stated} if stated else {"kind": "report"}
        case = await done(as_("agent"), code, "classify", body)
        amount: str = next(each["amount"] for each in case["limits"] if each["stage"] == "forward")
        return amount

    assert await forward(None) == "30min/calendar"  # not said: clear, for the field is known
    assert await forward("unclear") == "1h/calendar"  # R04
    assert await forward("clear") == "30min/calendar"
    assert await forward("not_said") == "30min/calendar"
    assert await limit_differences(app) == []


async def test_a_report_of_no_field_is_unclear_until_somebody_says_whose_it_is(
    client: AsyncClient, as_: As, clock: Clock
) -> None:
    code, _ = await a_report(client, field=None)
    case = await done(as_("agent"), code, "classify", {"competence": "clear"})
    assert case["field"] is None
    assert next(each["amount"] for each in case["limits"] if each["stage"] == "forward") == "30min/calendar"


async def test_facts_are_taken_back_and_the_journal_names_what_changed(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    code, _ = await a_report(client, field="food.safety")
    agent = as_("agent")
    await done(agent, code, "classify", {"flags": ["farm_produce"], "asset_owner": "private", "competence": "clear"})
    kept = await done(agent, code, "classify", {"urgency": "urgent"})  # what is left out stays
    assert (kept["flags"], kept["asset_owner"], kept["competence"]) == (["farm_produce"], "private", "clear")
    gone = {"flags": [], "asset_owner": "not_said", "road_class": "not_said", "competence": "not_said"}
    case = await done(agent, code, "classify", gone)
    assert (case["flags"], case["asset_owner"], case["road_class"], case["competence"]) == ([], None, None, None)
    told = [row.data["changed"] for row in await journal_of(app, code) if row.kind == "case.classify"]
    assert told == [["asset_owner", "competence", "flags"], ["urgency"], ["asset_owner", "competence", "flags"]]


WRONG = [
    ({"asset_owner": "the_moon"}, "asset_owner"),
    ({"road_class": "highway_to_hell"}, "road_class"),
    ({"flags": ["farm_produce", "made_up"]}, "flags"),
    ({"competence": "perhaps"}, "competence"),
]


@pytest.mark.parametrize(("body", "member"), WRONG, ids=[member for _, member in WRONG])
async def test_a_value_nobody_knows_is_refused_by_name(
    client: AsyncClient, as_: As, body: dict[str, Any], member: str
) -> None:
    code, _ = await a_report(client)
    refused = problem(await as_("agent").post(f"/api/v1/cases/{code}/classify", json=body), 422)
    assert where(refused) == [member]
    problem(await as_("officer").post(f"/api/v1/cases/{code}/classify", json=body), 404)


async def test_the_form_states_them_and_a_tap_leaves_them_alone(
    app: FastAPI, client: AsyncClient, browser: As, clock: Clock
) -> None:
    code, _ = await a_report(client, field="food.safety")
    page = browser("agent")
    form = (await page.get(f"/console/cases/{code}/classify")).text
    for name in ("competence", "road_class", "asset_owner", "flags"):
        assert f'name="{name}"' in form
    sent = {"competence": "unclear", "road_class": "", "asset_owner": "", "flags_shown": "1", "flags": "farm_produce"}
    assert (await page.post(f"/console/cases/{code}/classify", data=sent)).status_code == 303
    assert (await page.post(f"/console/cases/{code}/classify", data={"field": "food.safety"})).status_code == 303
    case = await _stored(app, code)
    assert (case.competence, case.flags, case.asset_owner) == ("unclear", ["farm_produce"], None)
    why = (await page.get(f"/console/cases/{code}/explain")).text
    assert "nông sản" in why
    assert "food-farm" in why
    cleared = {"competence": "", "flags_shown": "1"}
    assert (await page.post(f"/console/cases/{code}/classify", data=cleared)).status_code == 303
    assert (await _stored(app, code)).flags == []


async def test_facts_of_a_case_are_what_the_rules_are_asked_with(app: FastAPI, client: AsyncClient, as_: As) -> None:
    code, _ = await a_report(client)
    await done(as_("agent"), code, "classify", {"road_class": "district", "flags": ["farm_produce"]})
    facts = facts_of(await _stored(app, code))
    assert (facts.asset_owner, facts.road_class) == ("district_road", "district")
    assert facts.flags == {"farm_produce"}
    assert facts.competence_clear is True


async def _stored(app: FastAPI, code: str) -> Case:
    async with state(app).database.transaction() as session:
        return await case_of(session, code)
