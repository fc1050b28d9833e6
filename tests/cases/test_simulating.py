"""A draft tried on the cases of a database: which cases are read, and that the result is that of asking anew."""

from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from cases import simulating
from cases.simulating import Simulation, book_of, simulate, told
from core.errors import Conflict, Invalid
from routing.queries import Routing, load
from routing.rule_drafts import RuleSetDraft
from routing.seeds import seed_rule_sets
from tests.factories import LEAD, As, Clock, a_report, deliver, done, state

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
MARCH = date(2026, 3, 1), date(2026, 3, 31)
DRAFT = seed_rule_sets()[-1]


def shorter(draft: RuleSetDraft = DRAFT, **amounts: str) -> RuleSetDraft:
    """The example with other amounts, by the rule's code."""
    limits = tuple(replace(rule, amount=amounts.get(rule.code, rule.amount)) for rule in draft.limits)
    return replace(draft, code="tried", limits=limits)


async def routing_of(app: FastAPI) -> Routing:
    async with state(app).database.transaction() as session:
        return await load(session)


async def tried(
    app: FastAPI, draft: RuleSetDraft, *, days: tuple[date, date] = MARCH, most: int | None = None
) -> Simulation:
    routing, here = await routing_of(app), state(app)
    first, last = days
    book = book_of(draft, routing)
    return await simulate(here.database, routing, book, first, last, here.clock(), zone=ZONE, most=most)


@pytest.fixture(scope="module")
async def past(app: FastAPI, client: AsyncClient, as_: As) -> list[str]:
    """Five roads answered after so many days, one refused, one a denunciation, one waiting; the clock of March."""
    here = state(app)
    wall, clock = here.clock, Clock(here.clock())
    here.clock = clock
    codes = []
    for day in (2, 3, 4, 5, 6):
        clock.to(f"2026-03-0{day}T08:00")
        code, _ = await a_report(client)
        await done(as_("dispatcher"), code, "forward", {"lead": LEAD})
        await done(as_("officer"), code, "accept")
        codes.append(code)
    refused, _ = await a_report(client)
    await done(as_("dispatcher"), refused, "refuse", {"reason_code": "unclear"})
    accused, _ = await a_report(client)
    await done(as_("supervisor"), accused, "set_track", {"track": "denunciation"})
    await a_report(client)
    clock.to("2026-03-09T10:00")  # three working days end on Thursday 5, Friday 6, Monday 9, Tuesday 10, Wednesday 11
    for code in codes:
        await done(as_("officer"), code, "submit_answer", {"reply": "Đã vá."})
        await done(as_("head"), code, "approve_answer")
    await deliver(app)
    here.clock = wall
    return codes


async def test_a_longer_limit_is_compared_with_when_the_work_was_really_done(
    app: FastAPI, clock: Clock, past: list[str]
):
    clock.to("2026-03-31T17:00")
    done_ = await tried(app, shorter(R09="4d/working"))
    found = done_.result
    assert done_.whole
    assert found.cases == 6  # neither the refused one nor the denunciation
    resolve = found.stages["resolve"]
    # Met Monday 9 10:00. Three days: two of five late. Four days end Friday 6 to Thursday 12: one late.
    assert (resolve.clocks, resolve.later, resolve.earlier) == (5, 5, 0)
    assert (resolve.before.on_time, resolve.before.due) == (3, 5)
    assert (resolve.after.on_time, resolve.after.due) == (4, 5)
    assert found.kept_codes == [past[1]]
    assert found.moved == {}
    assert "resolve" in told(done_)


async def test_the_stored_calendar_counts_not_the_one_a_set_was_written_with(
    app: FastAPI, clock: Clock, past: list[str]
):
    clock.to("2026-03-31T17:00")
    round_the_clock = replace(DRAFT, calendar={"tz": "Asia/Ho_Chi_Minh", "week": {"mon-sun": ["00:00-24:00"]}})
    stages = (await tried(app, round_the_clock)).result.stages
    assert all(not each.earlier and not each.later for each in stages.values())


async def test_batches_and_what_is_left_out_make_no_difference_to_what_is_counted(
    app: FastAPI, clock: Clock, past: list[str], monkeypatch: pytest.MonkeyPatch
):
    clock.to("2026-03-31T17:00")
    draft = shorter(R09="4d/working")
    whole = await tried(app, draft)
    monkeypatch.setattr(simulating, "BATCH", 2)
    assert (await tried(app, draft)).result == whole.result
    newest = await tried(app, draft, most=4)
    assert (newest.whole, newest.result.cases) == (False, 4)
    assert newest.result.last == whole.result.last
    assert (await tried(app, draft, most=6)).whole
    assert (await tried(app, draft, days=(date(2026, 3, 3), date(2026, 3, 3)))).result.cases == 1
    assert (await tried(app, draft, days=(date(2026, 2, 1), date(2026, 2, 2)))).result.cases == 0


async def test_nothing_of_the_live_rules_is_touched(app: FastAPI, clock: Clock, past: list[str]):
    clock.to("2026-03-31T17:00")
    routing, here = await routing_of(app), state(app)
    draft = book_of(DRAFT, routing)
    await simulate(here.database, routing, draft, *MARCH, here.clock(), zone=ZONE)
    assert all(not dated.book.decided for dated in routing.rulebooks)


@pytest.mark.parametrize(
    "days",
    [(date(2026, 3, 2), date(2026, 3, 1)), (date(1, 1, 1), date(2026, 3, 1)), (date(2026, 3, 1), date.max)],
    ids=["backwards", "before-time", "after-time"],
)
async def test_days_that_are_no_period_are_refused(app: FastAPI, days: tuple[date, date]):
    with pytest.raises(Invalid):
        await tried(app, DRAFT, days=days)


async def test_cases_of_a_set_put_in_force_meanwhile_are_said_to_be_such(app: FastAPI, past: list[str]):
    routing, here = await routing_of(app), state(app)
    before = replace(routing, rulebooks=())  # as they were read, moments ago
    with pytest.raises(Conflict, match="put in force meanwhile"):
        await simulate(here.database, before, book_of(DRAFT, routing), *MARCH, here.clock(), zone=ZONE)


async def test_a_set_that_cannot_be_built_is_refused_with_its_first_fault(app: FastAPI):
    with pytest.raises(Invalid, match="R09") as refused:
        await tried(app, shorter(R09="soon"))
    assert "R09" in refused.value.vi


async def test_a_unit_with_hours_of_its_own_is_counted_by_them(app: FastAPI, as_: As, clock: Clock, past: list[str]):
    clock.to("2026-03-31T17:00")  # the last test here: the lead keeps its hours
    admin = as_("admin")
    assert (await admin.post("/api/v1/admin/calendars", json={"department": LEAD})).status_code == 201
    hours = {"week": [["07:00-11:30"]] * 5 + [[], []], "since": "2026-03-01"}
    assert (await admin.put(f"/api/v1/admin/calendars/{LEAD}/week", json=hours)).status_code == 200
    found = await tried(app, shorter(R09="8h/working"))
    # Since 08:00: 3:30 that morning and 4:30 the next, until 11:30, as three days end: 2, 2, 4, 4 and 2 days earlier.
    assert found.result.stages["resolve"].mean_shift == timedelta(days=-2.8)
