"""Queues: the next clock on the case's row, saved views of each role, filters, orders, counts; what they cost."""

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import event, text

from cases import lists
from cases.limits import NextClock, limits_of, next_clock
from cases.lists import cases_of_phone, citizen_history, list_cases, view_counts
from cases.views import VIEWS, Ago, Filters, View, views_for
from core.db import Database
from core.errors import Invalid
from core.staff import Actor, Role
from routing.queries import Routing
from tests.factories import (
    EMAILS,
    LEAD,
    OTHER,
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
    limit_differences,
    remind,
    settle,
    state,
)
from tests.web.test_square import body_of

MOST = 4  # statements a list may take, whatever its length
CENTRE = ("agent", "dispatcher", "supervisor")
PHONE = "0912 345 678"


async def actor_of(app: FastAPI, email: str) -> Actor:
    """Somebody as the application knows them once signed in."""
    async with state(app).database.transaction() as session:
        found = (
            await session.execute(
                text(
                    "SELECT id, ARRAY(SELECT role FROM role_grants WHERE staff_id = s.id) AS roles, "
                    "ARRAY(SELECT department FROM staff_departments WHERE staff_id = s.id) AS departments "
                    "FROM staff s WHERE email = :email"
                ),
                {"email": email},
            )
        ).one()
    roles = frozenset(Role(name) for name in found.roles)
    return Actor("staff", found.id, email, email, roles, frozenset(found.departments))


async def routing_of(app: FastAPI) -> Routing:
    """The rules."""
    async with state(app).database.transaction() as session:
        return await state(app).routing.get(session)


async def codes(client: AsyncClient, **filters: Any) -> list[str]:
    """The codes of a list, all its pages."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        answer = await client.get(
            "/api/v1/cases", params={**filters, "limit": 50, **({"cursor": cursor} if cursor else {})}
        )
        assert answer.status_code == 200, answer.text
        found += [row["code"] for row in answer.json()["items"]]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return found


async def in_view(app: FastAPI, who: str, view: View) -> list[str]:
    """The codes that one view of this person holds."""
    actor, routing = await actor_of(app, f"{who}@demo"), await routing_of(app)
    async with state(app).database.transaction() as session:
        page = await list_cases(
            session, actor, view.filters, routing, state(app).clock(), cursor=None, limit=200, order=view.order
        )
    return [case.code for case in page.items]


async def views_holding(app: FastAPI, who: str, code: str) -> set[str]:
    """The views of this person in which a case stands."""
    return {
        view.code for view in views_for(await actor_of(app, f"{who}@demo")) if code in await in_view(app, who, view)
    }


async def next_of(app: FastAPI, code: str) -> tuple[NextClock, NextClock]:
    """What the row of a case says of its next clock, and what its limits say."""
    async with state(app).database.transaction() as session:
        case = await case_of(session, code)
        return NextClock(case.next_due_at, case.next_stage, case.next_holder), next_clock(
            await limits_of(session, case.id)
        )


# --- the next clock ---


async def test_a_new_report_knows_its_next_clock(app: FastAPI, client: AsyncClient, clock: Clock) -> None:
    code, _ = await a_report(client)
    kept, wanted = await next_of(app, code)
    assert kept == wanted
    assert kept.stage == "forward"


@pytest.mark.parametrize("seed", range(8))
async def test_the_next_clock_is_that_of_the_limits_on_any_road(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, seed: int
) -> None:
    """Random acts of those who may, with hours and days between them: the row always says what the limits say."""
    rng = random.Random(seed)
    code, key = await a_report(client)
    other, _ = await a_report(client)
    for _ in range(14):
        clock.move(hours=rng.choice((0, 1, 5, 30, 100)))
        who = rng.choice(("agent", "dispatcher", "supervisor", "officer", "head", "helper", "citizen"))
        if who == "citizen":
            await by_citizen(client, code, key, "messages", {"text": "Tôi bổ sung"})
        else:
            shown = await as_(who).get(f"/api/v1/cases/{code}")
            offered = [name for name in shown.json().get("actions", ()) if name not in ("attach", "merge", "set_track")]
            if not offered:
                continue
            case = shown.json()
            body = body_of(action := rng.choice(offered), case, other)
            if action in ("request_extension", "tell_progress"):
                due = next((x["due_at"] for x in case["limits"] if x["stage"] == "resolve"), None)
                body["until"] = (clock() + timedelta(days=1)).isoformat() if due is None else body["until"]
            await act(as_(who), code, action, body)
        if rng.random() < 0.3:
            await settle(app)
        kept, wanted = await next_of(app, code)
        assert kept == wanted
    await settle(app)
    assert await limit_differences(app) == []


async def test_verify_finds_a_wrong_next_clock(app: FastAPI, client: AsyncClient, database_url: str) -> None:
    code, _ = await a_report(client)
    await remind(app)  # what the roads above left running
    async with state(app).database.transaction() as session:
        case = await case_of(session, code)
        was, case.next_holder = case.next_holder, "so-yte"
    assert [each for each in await limit_differences(app) if each.startswith(f"{code}: the next clock is")]
    async with state(app).database.transaction() as session:
        (await case_of(session, code)).next_holder = was
    assert await limit_differences(app) == []


async def test_a_stopped_case_has_no_next_clock_and_stands_last(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    async with state(app).database.transaction() as session:
        await session.execute(
            text("UPDATE cases SET next_due_at = NULL, next_stage = NULL, next_holder = NULL WHERE code = :code"),
            {"code": code},
        )
    listed = await codes(as_("supervisor"), open="true", order="due")
    assert listed[-1] == code
    row = next(row for row in (await page(as_("supervisor"), open="true", q=code))["items"])
    assert row["next_due"] is None
    await done(as_("officer"), code, "note", {"text": "x"})  # any act puts it right
    assert (await next_of(app, code))[0].stage is not None


async def page(client: AsyncClient, **filters: Any) -> dict[str, Any]:
    """One page of a list."""
    answer = await client.get("/api/v1/cases", params=filters)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def test_a_row_says_what_is_due_next_and_who_works_on_it(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    (row,) = (await page(as_("supervisor"), q=code))["items"]
    case = (await as_("supervisor").get(f"/api/v1/cases/{code}")).json()
    running = [x for x in case["limits"] if x["due_at"] and not x["met_at"] and not x["cancelled_at"]]
    first = min(running, key=lambda x: x["due_at"])
    assert row["next_due"]["due_at"] == first["due_at"]
    assert row["next_due"]["stage"] == first["stage"]
    assert row["next_due"]["holder"]["code"] == first["holder"]
    assert row["officer"] == "officer@demo"
    assert case["next_due"] == row["next_due"]
    assert case["officer"] == "officer@demo"


async def test_the_migration_gives_every_case_its_next_clock(
    app: FastAPI, client: AsyncClient, drive: Drive, clock: Clock
) -> None:
    """What 0003 writes for cases that were there before it is what commands keep."""
    for status in ("received", "in_progress", "replied", "closed", "refused"):
        code, _ = await a_report(client)
        await drive(code, status)
    await settle(app)
    async with state(app).database.transaction() as session:
        await session.execute(text("UPDATE cases SET next_due_at = NULL, next_stage = NULL, next_holder = NULL"))
        await session.execute(text(import_module("migrations.versions.0003_queues_and_search").BACKFILL))
    assert [each for each in await limit_differences(app) if "next clock" in each] == []


# --- views ---

# Status reached along ROAD → who → the views it stands in, on the day it happens, before anything is due.
PLACES: dict[str, dict[str, set[str]]] = {
    "received": {
        "agent": {"received", "open"},
        "dispatcher": {"to_forward", "open", "due_soon"},
        "supervisor": {"open", "due_in_2h"},
        "leader": {"open"},
        "admin": {"open"},
        "officer": set(),
        "head": set(),
        "inspector": set(),
    },
    "forwarded": {
        "agent": {"open"},
        "dispatcher": {"open"},
        "officer": {"to_accept", "support_owed"},
        "head": {"unassigned", "unit_open"},
        "helper": {"to_contribute"},
        "helperhead": {"unit_open"},
        "officer2": set(),
        "head2": set(),
        "inspector": set(),
    },
    "in_progress": {
        "agent": {"open"},
        "officer": {"mine_in_work", "unit_in_work", "support_owed"},
        "head": {"unit_open"},
        "helper": {"to_contribute"},
    },
    "waiting_citizen": {
        "agent": {"waiting_citizen", "open"},
        "dispatcher": {"waiting_citizen", "open"},
        "officer": {"mine_in_work", "unit_in_work", "support_owed"},
        "helper": {"to_contribute"},
    },
    "answered": {
        "agent": {"open"},
        "officer": set(),
        "head": {"to_approve", "unit_open"},
        "supervisor": {"open"},
        "helper": {"to_contribute"},
    },
    "replied": {"agent": {"replied", "to_publish"}, "head": set(), "leader": set(), "supervisor": set()},
    "closed": {"agent": {"to_publish"}, "leader": {"done_today"}, "admin": {"done_today"}, "officer": set()},
    "refused": {"agent": set(), "leader": {"done_today"}},
    "spam": {"dispatcher": set(), "leader": {"done_today"}},
}


@pytest.mark.parametrize("status", PLACES)
async def test_a_case_stands_in_the_views_of_those_whose_turn_it_is(
    app: FastAPI, client: AsyncClient, drive: Drive, clock: Clock, status: str
) -> None:
    code, _ = await a_report(client)
    await drive(code, status)
    found = {who: await views_holding(app, who, code) for who in PLACES[status]}
    assert found == PLACES[status]


async def test_what_is_late_moves_to_the_late_views(
    app: FastAPI, client: AsyncClient, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    clock.move(days=90)
    assert await views_holding(app, "supervisor", code) == {"late", "open"}
    assert await views_holding(app, "dispatcher", code) == {"units_late", "open"}
    late = {"unit_late", "progress_owed"}  # nobody has named a new date
    assert await views_holding(app, "officer", code) == {"mine_in_work", "unit_in_work", "support_owed", *late}
    assert await views_holding(app, "head", code) == {"unit_open", *late}
    assert await views_holding(app, "leader", code) == {"late", "open"}


async def test_what_was_given_back_three_times_waits_for_the_supervisor(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client)
    for _ in range(3):
        await drive(code, "forwarded")
        await done(as_("officer"), code, "give_back", {"reason": "Không thuộc thẩm quyền"})
    assert {"needs_supervisor", "given_back_often"} <= await views_holding(app, "supervisor", code)
    assert {"given_back", "needs_supervisor", "to_forward"} <= await views_holding(app, "dispatcher", code)


async def test_a_request_for_more_time_waits_for_the_head(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client, field="traffic.signal")
    await drive(code, "in_progress")
    case = (await as_("officer").get(f"/api/v1/cases/{code}")).json()
    await done(as_("officer"), code, "request_extension", body_of("request_extension", case, ""))
    assert "extensions" in await views_holding(app, "head", code)
    assert code in await codes(as_("dispatcher"), extension_asked="true")
    assert code not in await codes(as_("dispatcher"), extension_asked="false")
    await done(as_("head"), code, "deny_extension", {"reason": "Đủ thời gian"})
    assert "extensions" not in await views_holding(app, "head", code)


def test_codes_of_views_name_one_thing() -> None:
    """One code, one list, whichever role asks; and no role is without."""
    named: dict[str, View] = {}
    for role in Role:
        assert VIEWS[role]
        for view in VIEWS[role]:
            assert named.setdefault(view.code, view) == view
            assert view.code.replace("_", "a").isalnum()
            assert view.name
            assert view.name_en


def test_somebody_with_two_roles_has_the_views_of_both_once() -> None:
    both = views_for(Actor("staff", roles=frozenset({Role.AGENT, Role.SUPERVISOR})))
    assert [view.code for view in both] == list(dict.fromkeys(view.code for view in both))
    assert {view.code for view in both} == {view.code for role in (Role.AGENT, Role.SUPERVISOR) for view in VIEWS[role]}
    assert views_for(Actor("api_key")) == ()


@pytest.mark.parametrize("who", [email.partition("@")[0] for email in EMAILS])
async def test_counts_are_those_of_the_lists(app: FastAPI, who: str) -> None:
    actor, routing = await actor_of(app, f"{who}@demo"), await routing_of(app)
    views = views_for(actor)
    assert views
    async with state(app).database.transaction() as session:
        counts = await view_counts(session, actor, views, routing, state(app).clock())
    assert counts == {view.code: len(await in_view(app, who, view)) for view in views}


async def test_counts_stop_at_their_cap(app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        await a_report(client)
    monkeypatch.setattr(lists, "COUNTED", 2)
    actor, routing = await actor_of(app, "agent@demo"), await routing_of(app)
    async with state(app).database.transaction() as session:
        counts = await view_counts(session, actor, views_for(actor), routing, state(app).clock())
        assert counts["received"] == 2
        assert await view_counts(session, actor, (), routing, state(app).clock()) == {}


# --- restricted tracks ---


@pytest.fixture(scope="module")
async def denunciation(app: FastAPI, as_: As) -> str:
    """The code of a case that only inspectors know of."""
    body = {"text": "Tôi tố cáo ông chủ tịch xã nhận hối lộ", "channel": "voice", "contact": {"phone": PHONE}}
    answer = await as_("agent").post("/api/v1/cases", json=body)
    assert answer.status_code == 201, answer.text
    code: str = answer.json()["code"]
    return code


@pytest.mark.parametrize("who", [email.partition("@")[0] for email in EMAILS if not email.startswith("inspector")])
async def test_nobody_but_inspectors_meets_a_restricted_case(
    app: FastAPI, as_: As, denunciation: str, who: str
) -> None:
    await settle(app)
    assert await views_holding(app, who, denunciation) == set()
    for filters in ({}, {"restricted": "true"}, {"track": "denunciation"}, {"q": denunciation}, {"q": "hối lộ"}):
        assert denunciation not in await codes(as_(who), **filters)
    assert await codes(as_(who), restricted="true") == []
    actor, routing = await actor_of(app, f"{who}@demo"), await routing_of(app)
    hidden = View("x", "x", "x", Filters(restricted=True), "received")
    async with state(app).database.transaction() as session:
        assert await view_counts(session, actor, [hidden], routing, state(app).clock()) == {"x": 0}
        assert denunciation not in [case.code for case in await cases_of_phone(session, actor, PHONE)]


async def test_inspectors_have_restricted_cases_in_their_views(app: FastAPI, denunciation: str) -> None:
    found = await views_holding(app, "inspector", denunciation)
    assert {"restricted_received", "restricted_open", "restricted_all"} <= found


# --- the same citizen ---


async def test_the_centre_sees_what_else_a_citizen_reported(
    app: FastAPI, client: AsyncClient, denunciation: str
) -> None:
    theirs = [(await a_report(client, contact={"phone": PHONE}))[0] for _ in range(3)]
    await a_report(client, contact={"phone": "0987654321"})
    agent, officer = await actor_of(app, "agent@demo"), await actor_of(app, "officer@demo")
    inspector = await actor_of(app, "inspector@demo")
    async with state(app).database.transaction() as session:
        case = await case_of(session, theirs[-1])
        secret = await case_of(session, denunciation)
        assert [each.code for each in await citizen_history(session, agent, case)] == theirs[-2::-1]
        assert await citizen_history(session, officer, case) == []
        assert await citizen_history(session, inspector, case) == []
        assert {*theirs} <= {each.code for each in await citizen_history(session, inspector, secret)}
        assert [each.code for each in await cases_of_phone(session, agent, "+84 912 345 678")] == theirs[::-1]
        assert await cases_of_phone(session, officer, PHONE) == []
        assert await cases_of_phone(session, agent, "0911111111") == []
        with pytest.raises(Invalid):
            await cases_of_phone(session, agent, "không số")


async def test_who_left_no_contact_has_no_history(app: FastAPI, client: AsyncClient) -> None:
    codes_ = [(await a_report(client))[0] for _ in range(2)]
    agent = await actor_of(app, "agent@demo")
    async with state(app).database.transaction() as session:
        assert await citizen_history(session, agent, await case_of(session, codes_[0])) == []


# --- filters ---


@pytest.fixture(scope="module")
async def village(app: FastAPI, client: AsyncClient, as_: As) -> AsyncIterator[dict[str, str]]:
    """Cases that differ, on a day of their own, by what they are for."""
    here = state(app)
    wall, clock = here.clock, Clock(datetime(2026, 5, 11, 2, tzinfo=UTC))
    here.clock = clock
    made: dict[str, str] = {}
    try:
        for name in ("new", "given_back", "working", "answered", "published", "bad", "incident", "elsewhere"):
            made[name], key = await a_report(client, field="env.waste" if name == "elsewhere" else "infra.road")
            made[f"{name}_key"] = key
        await done(as_("dispatcher"), made["given_back"], "forward", {"lead": LEAD})
        await done(as_("officer"), made["given_back"], "give_back", {"reason": "Không thuộc"})
        await done(as_("dispatcher"), made["elsewhere"], "forward", {"lead": OTHER})
        for name in ("working", "answered"):
            await done(as_("dispatcher"), made[name], "forward", {"lead": LEAD, "supporting": [SUPPORT]})
            await done(as_("officer"), made[name], "accept")
        await done(as_("officer"), made["answered"], "submit_answer", {"reply": "Xong"})
        clock.to("2026-05-12T09:00")
        for name in ("published", "bad"):
            await done(as_("dispatcher"), made[name], "answer_directly", {"reply": "Đã xong"})
        await deliver(app)
        await done(as_("agent"), made["published"], "publish", {"public_text": "Đã xử lý"})
        rated = await by_citizen(client, made["bad"], made["bad_key"], "rating", {"rating": 2})
        assert rated.status_code == 200
        await done(as_("dispatcher"), made["incident"], "link_incident", {"into": made["new"]})
        clock.to("2026-05-13T09:00")
        await done(as_("agent"), made["published"], "close")
        yield made
    finally:
        here.clock = wall


ALL = {"new", "given_back", "working", "answered", "published", "bad", "incident", "elsewhere"}
OPEN = ALL - {"published", "bad"}
FOUND: list[tuple[dict[str, Any], set[str]]] = [
    ({}, ALL),
    ({"open": "true"}, OPEN),
    ({"lead": LEAD}, {"working", "answered"}),
    ({"lead": OTHER}, {"elsewhere"}),
    ({"department": SUPPORT}, {"working", "answered"}),
    ({"field": "env"}, {"elsewhere"}),
    ({"field": "env.waste"}, {"elsewhere"}),
    ({"stage": "forward"}, {"new", "given_back", "incident"}),
    ({"stage": "reply"}, {"answered"}),
    ({"holder": OTHER}, {"elsewhere"}),
    ({"given_back": 1}, {"given_back"}),
    ({"given_back": 2}, set()),
    ({"needs_supervisor": "true"}, set()),
    ({"needs_supervisor": "false"}, ALL),
    ({"incident": "true"}, {"incident"}),
    ({"incident": "false"}, ALL - {"incident"}),
    ({"published": "true"}, {"published"}),
    ({"published": "false"}, ALL - {"published"}),
    ({"rating": 2}, {"bad"}),
    ({"rating": [1, 2]}, {"bad"}),
    ({"rating": 5}, set()),
    ({"assigned": "none", "open": "true"}, {"new", "given_back", "incident", "elsewhere"}),
    ({"assigned": "officer@demo"}, {"working", "answered"}),
    ({"replied_from": "2026-05-12", "replied_to": "2026-05-12"}, {"published", "bad"}),
    ({"replied_to": "2026-05-11"}, set()),
    ({"closed_from": "2026-05-13"}, {"published"}),
    ({"ended_from": "2026-05-13", "ended_to": "2026-05-13"}, {"published"}),
    ({"ended_from": "2026-05-14"}, set()),
    ({"due_before": "2026-05-11T08:00:00+07:00"}, set()),
    ({"due_before": "2027-01-01T00:00:00+07:00", "open": "true"}, OPEN),
    ({"extension_asked": "true"}, set()),
    ({"status": "closed"}, {"published"}),
]


@pytest.mark.parametrize("order", ["received", "due"])
@pytest.mark.parametrize(
    ("filters", "expected"), FOUND, ids=lambda value: str(sorted(value)) if isinstance(value, set) else str(value)
)
async def test_filters_find_what_they_say(
    as_: As, village: dict[str, str], filters: dict[str, Any], expected: set[str], order: str
) -> None:
    named = {code: name for name, code in village.items()}
    day = {"received_from": "2026-05-11", "received_to": "2026-05-11"}
    found = await codes(as_("supervisor"), **day, **filters, order=order)
    assert sorted(named[code] for code in found) == sorted(expected)


async def test_late_is_what_ran_out_and_not_what_will(app: FastAPI, as_: As, village: dict[str, str]) -> None:
    day = {"received_from": "2026-05-11", "received_to": "2026-05-11"}
    late, not_late = (
        await codes(as_("supervisor"), **day, late="true"),
        await codes(as_("supervisor"), **day, late="false"),
    )
    assert sorted(late + not_late) == sorted(await codes(as_("supervisor"), **day))
    for code in late + not_late:
        case = (await as_("supervisor").get(f"/api/v1/cases/{code}")).json()
        running = [x["due_at"] for x in case["limits"] if x["due_at"] and not x["met_at"] and not x["cancelled_at"]]
        over = any(datetime.fromisoformat(when) < state(app).clock() for when in running)
        assert over == (code in late)


async def test_days_are_counted_back_from_the_day_of_asking(app: FastAPI, village: dict[str, str]) -> None:
    ended = View("x", "x", "x", Filters(ended_from=Ago(0), received_from=Ago(2), received_to=Ago(2)), "received")
    assert await in_view(app, "leader", ended) == [village["published"]]
    earlier = View("x", "x", "x", Filters(ended_to=Ago(1), received_from=Ago(2), received_to=Ago(2)), "received")
    assert await in_view(app, "leader", earlier) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"order": "oldest"},
        {"rating": 6},
        {"given_back": 0},
        {"due_before": "2026-05-11T08:00:00"},
        {"due_before": "0001-01-01T00:00:00+14:00"},
        {"closed_from": "1999-01-01"},
        {"cursor": "due~"},
        {"cursor": "due~.x", "order": "due"},
        {"cursor": "due~zz.00000000000000000000000000000000", "order": "due"},
    ],
    ids=str,
)
async def test_a_wrong_filter_is_answered_in_words(as_: As, wrong: dict[str, Any]) -> None:
    assert (await as_("supervisor").get("/api/v1/cases", params=wrong)).status_code == 422


# --- order and pages ---


@pytest.mark.parametrize("order", ["received", "due"])
async def test_pages_keep_their_place_while_cases_come_in(
    client: AsyncClient, as_: As, drive: Drive, clock: Clock, order: str
) -> None:
    """Nothing that was there comes twice or never, whatever is opened between two pages; several share one due time."""
    area = {"received_from": "2026-04-07", "received_to": "2026-04-08"}
    clock.to("2026-04-07T09:00")
    there = []
    for number in range(9):
        clock.move(minutes=number % 3)
        there.append((await a_report(client))[0])
    await drive(there[4], "in_progress")
    seen: list[str] = []
    cursor: str | None = None
    while True:
        given = {**area, "order": order, "limit": 2, **({"cursor": cursor} if cursor else {})}
        shown = await page(as_("supervisor"), **given)
        seen += [row["code"] for row in shown["items"]]
        cursor = shown["next_cursor"]
        if cursor is None:
            break
        clock.move(minutes=-1 if len(seen) % 4 else 1)
        await a_report(client)
    assert len(seen) == len(set(seen))
    assert set(there) <= set(seen)


async def test_soonest_due_comes_first(as_: As, village: dict[str, str]) -> None:
    rows = (await page(as_("supervisor"), order="due", limit=200))["items"]
    due = [row["next_due"]["due_at"] if row["next_due"] else "9999" for row in rows]
    assert due == sorted(due)


@pytest.mark.parametrize(("made_in", "used_in"), [("due", "received"), ("received", "due")])
async def test_a_cursor_of_the_other_order_is_refused(client: AsyncClient, as_: As, made_in: str, used_in: str) -> None:
    for _ in range(2):
        await a_report(client)
    cursor = (await page(as_("supervisor"), order=made_in, limit=1))["next_cursor"]
    answer = await as_("supervisor").get("/api/v1/cases", params={"order": used_in, "cursor": cursor})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == "cursor"


# --- what it costs ---


@contextmanager
def counting(database: Database) -> Iterator[list[str]]:
    """The statements that are sent meanwhile."""
    sent: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        sent.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)


@pytest.mark.parametrize("who", ["agent", "officer", "head", "inspector", "leader"])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"order": "due", "open": "true"},
        {"q": "ổ gà trước chợ"},
        {"q": "khongco"},
        {"q": "0912345678"},
        {"assigned": "officer@demo", "late": "true", "extension_asked": "false", "field": "infra"},
    ],
    ids=str,
)
async def test_a_list_takes_few_statements_whatever_its_length(
    app: FastAPI, client: AsyncClient, as_: As, who: str, given: dict[str, Any]
) -> None:
    """The whole request: who asks, whether the rules are still the same, the page with officers and next clocks."""
    for _ in range(4):
        await a_report(client)
    await settle(app)
    here = state(app)
    taken = []
    for limit in (2, 200):
        here.routing._read_at = 0.0  # the rules are looked at again, as they are every two seconds
        with counting(here.database) as sent:
            answer = await as_(who).get("/api/v1/cases", params={**given, "limit": limit})
        assert answer.status_code == 200, answer.text
        taken.append(len(sent))
    assert max(taken) <= MOST, taken


async def test_all_counts_of_a_person_are_one_statement(app: FastAPI) -> None:
    for who in ("agent", "dispatcher", "officer", "head", "supervisor", "inspector", "leader"):
        actor, routing = await actor_of(app, f"{who}@demo"), await routing_of(app)
        async with state(app).database.transaction() as session:
            with counting(state(app).database) as sent:
                await view_counts(session, actor, views_for(actor), routing, state(app).clock())
        assert len(sent) == 1
