"""Open cases of abolished departments pass to their heirs: whole, once, with their clocks, whatever dies."""

import asyncio
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import text
from sqlmodel import col, select

from cases import desk, recount, rehoming, telling
from cases.act_models import Commitment, Directive
from cases.actions.rehoming import Fate, fates
from cases.models import Assignment, Case, Extension, Limit
from channels.models import Outgoing
from core.staff import Actor, Role, Staff, StaffDepartment
from ioc.queries import figures as ioc_figures
from ioc.reconcile import reconcile
from routing.editing import calendars
from routing.models import Department, DepartmentHeir, DepartmentName
from routing.queries import load
from tests.factories import (
    LEAD,
    SUPPORT,
    As,
    Clock,
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
from web.portal import keys
from worker import Worker

numbers = count(1)
BEGAN = date(2020, 1, 1)


# --- what becomes of the parts of one case

A, B, C = ("a", "lead"), ("b", "supporting"), ("c", "supporting")
# parts, heirs of those that end → their fates
FATES: dict[str, tuple[list[tuple[str, str]], dict[str, str | None], list[Fate]]] = {
    "all live": ([A, B], {}, []),
    "the lead ends": ([A, B], {"a": "n"}, [Fate("a", "n", True)]),
    "a helper ends": ([A, B], {"b": "n"}, [Fate("b", "n", True)]),
    "both into two": ([A, B], {"a": "n", "b": "m"}, [Fate("a", "n", True), Fate("b", "m", True)]),
    "both into one": ([B, A], {"a": "n", "b": "n"}, [Fate("a", "n", True), Fate("b", "n", False)]),
    "two helpers into one": ([A, B, C], {"b": "n", "c": "n"}, [Fate("b", "n", True), Fate("c", "n", False)]),
    "the heir of the lead helped": ([A, B], {"a": "b"}, [Fate("b", "b", False), Fate("a", "b", True)]),
    "and another helper's heir too": (
        [A, B, C],
        {"a": "b", "c": "b"},
        [Fate("b", "b", False), Fate("a", "b", True), Fate("c", "b", False)],
    ),
    "the heir of a helper leads": ([A, B], {"b": "a"}, [Fate("b", "a", False)]),
    "the heir of a helper helps": ([A, B, C], {"b": "c"}, [Fate("b", "c", False)]),
    "nobody for the lead": ([A, B], {"a": None}, [Fate("a", None, False)]),
    "nobody for a helper": ([A, B], {"b": None}, [Fate("b", None, False)]),
}


@pytest.mark.parametrize("name", FATES)
def test_the_fate_of_every_part(name: str) -> None:
    parts, heirs, wanted = FATES[name]
    assert fates(parts, lambda code: heirs.get(code, code)) == wanted


def test_the_heir_is_told_of_its_new_work_and_what_is_late_goes_upwards_with_it() -> None:
    due, late = "2026-03-06T10:00:00+00:00", UUID(int=2)
    ops = [
        {"op": "handed", "id": str(UUID(int=1)), "stage": "reply", "holder": "n", "due_at": due, "breached": False},
        {"op": "breached", "id": str(late), "stage": "resolve", "holder": "a", "due_at": due, "breached": True},
        {"op": "handed", "id": str(late), "stage": "resolve", "holder": "n", "due_at": due, "breached": True},
    ]
    told = telling.tells("case.rehome", {"limits": ops})
    assert [(each.kind, each.holder) for each in told if each.kind != "breach"] == [
        ("to_approve", "n"),
        ("assigned", "n"),
    ]
    assert telling.late_still("case.rehome", {"limits": ops}) == [late]


# --- cases in a database


async def unit(app: FastAPI, *people: str, **members: Any) -> str:
    """A department of its own for which these accounts work."""
    code = f"unit-{next(numbers)}"
    async with state(app).database.transaction() as session:
        given = {
            "name": f"Đơn vị {code}",
            "kind": "so_xd",
            "valid_from": BEGAN,
            "email": f"{code}@tinh.example",
            **members,
        }
        session.add(Department(code=code, **given))
        await session.flush()
        for name in people:
            person = (await session.exec(select(Staff.id).where(Staff.email == f"{name}@demo"))).one()
            session.add(StaffDepartment(staff_id=person, department=code))
    state(app).routing.forget()
    return code


async def ends(app: FastAPI, code: str, heir: str | None = None, *heirs: tuple[str, list[str], list[str]]) -> None:
    """The department ends on the day after the clock's."""
    here = state(app)
    async with here.database.transaction() as session:
        row = (await session.exec(select(Department).where(Department.code == code))).one()
        row.valid_to, row.successor = (here.clock() + timedelta(hours=7, days=1)).date(), heir
        for position, (to, areas, fields) in enumerate(heirs):
            session.add(DepartmentHeir(department=code, position=position, heir=to, areas=areas, fields=fields))
    here.routing.forget()


def worker(app: FastAPI) -> Worker:
    here = state(app)
    return Worker(here.settings, here.database, here.adapters, asyncio.Event(), here.clock)


async def morning(app: FastAPI, clock: Clock, hours: float = 24) -> None:
    """The next day, and a round of the worker."""
    clock.move(hours=hours)
    await worker(app).rehome()


async def forwarded(client: AsyncClient, as_: As, lead: str, *supporting: str, **members: Any) -> str:
    code, _ = await a_report(client, **members)
    await done(as_("dispatcher"), code, "forward", {"lead": lead, "supporting": list(supporting)})
    return code


async def of_case(app: FastAPI, code: str) -> tuple[Case, list[Assignment], list[Limit]]:
    async with state(app).database.transaction() as session:
        case = await case_of(session, code)
        parts = await session.exec(select(Assignment).where(Assignment.case_id == case.id).order_by(col(Assignment.id)))
        limits = await session.exec(select(Limit).where(Limit.case_id == case.id).order_by(col(Limit.id)))
        return case, list(parts), list(limits)


def live(parts: list[Assignment]) -> list[tuple[str, str, str]]:
    return sorted((part.department, part.role, part.state) for part in parts if part.ended_at is None)


def running(limits: list[Limit]) -> dict[str, datetime | None]:
    going = [limit for limit in limits if limit.met_at is None and limit.cancelled_at is None]
    assert len({(limit.stage, limit.holder) for limit in going}) == len(going)
    return {f"{limit.stage} {limit.holder}": limit.due_at for limit in going}


async def a_day_more(app: FastAPI, code: str) -> datetime:
    """A day after the limit to resolve that runs now."""
    due = [limit.due_at for limit in (await of_case(app, code))[2] if limit.stage == "resolve"][-1]
    assert due is not None
    return due + timedelta(days=1)


async def proved(app: FastAPI) -> None:
    """Clocks are the journal's, and so are the figures."""
    await settle(app)
    assert await limit_differences(app) == []
    here = state(app)
    async with here.database.transaction() as session:
        assert [str(each) for each in await reconcile(session, here.settings.zone, here.clock())] == []


ROAD: dict[str, list[tuple[str, str, dict[str, Any]]]] = {
    "forwarded": [],
    "in_progress": [("officer", "accept", {})],
    "waiting_citizen": [("officer", "accept", {}), ("officer", "ask_citizen", {"question": "Đoạn nào ạ?"})],
    "answered": [("officer", "accept", {}), ("officer", "submit_answer", {"reply": "Đã vá xong."})],
}


@pytest.mark.parametrize("status", ROAD)
async def test_a_case_goes_on_where_it_stood(
    status: str, app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    old = await unit(app, "officer", "head")
    new = await unit(app, "officer2", "head2")
    code = await forwarded(client, as_, old, SUPPORT)
    for who, action, body in ROAD[status]:
        await done(as_(who), code, action, body)
    _, parts, limits = await of_case(app, code)
    before, accepted_at = running(limits), parts[0].accepted_at
    await ends(app, old, new)
    await worker(app).rehome()  # on the last day nothing happens
    assert (await of_case(app, code))[0].lead == old
    await morning(app, clock)
    case, parts, limits = await of_case(app, code)
    assert (case.status, case.lead, case.units, case.officer_id) == (status, new, [new, SUPPORT], None)
    state_was = {"forwarded": "open"}.get(status, "accepted")
    assert live(parts) == sorted([(new, "lead", state_was), (SUPPORT, "supporting", "open")])
    assert [part.accepted_at for part in parts if part.department == new] == [accepted_at]  # as its page says
    assert [(part.department, part.state) for part in parts if part.ended_at is not None] == [(old, "handed")]
    assert running(limits) == {name.replace(old, new): due for name, due in before.items()}  # by the same moment
    assert {limit.handed_from for limit in limits if limit.holder == new} == {old}
    [row] = [row for row in await journal_of(app, code) if row.kind == "case.rehome"]
    assert (row.actor_kind, row.data["handed"]) == ("system", [{"department": old, "heir": new}])
    await worker(app).rehome()  # nothing is left to do
    assert [row.kind for row in await journal_of(app, code)].count("case.rehome") == 1
    # The officers of the heir go on, the old ones do not know of it any more.
    assert (await as_("officer").get(f"/api/v1/cases/{code}")).status_code == 404
    if status == "waiting_citizen":
        key = (await as_("officer2").get(f"/api/v1/cases/{code}")).json()
        assert key["status"] == "waiting_citizen"
        await done(as_("officer2"), code, "submit_answer", {"reply": "Đã vá xong."})
    if status == "forwarded":
        await done(as_("officer2"), code, "accept")
    if status in ("forwarded", "in_progress"):
        await done(as_("officer2"), code, "submit_answer", {"reply": "Đã vá xong."})
    await done(as_("head2"), code, "approve_answer")
    await deliver(app)
    assert (await of_case(app, code))[0].status == "replied"


async def test_an_answer_that_is_returned_is_owed_by_the_heir(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    old, new = await unit(app, "officer", "head"), await unit(app, "officer2", "head2")
    code = await forwarded(client, as_, old)
    await done(as_("officer"), code, "accept")
    await done(as_("officer"), code, "submit_answer", {"reply": "Đã vá xong."})
    [resolve] = [limit for limit in (await of_case(app, code))[2] if limit.stage == "resolve"]
    await ends(app, old, new)
    await morning(app, clock)
    await done(as_("head2"), code, "return_answer", {"reason": "Xin nói rõ hơn"})
    _, _, limits = await of_case(app, code)
    assert running(limits) == {f"resolve {new}": resolve.due_at}
    await done(as_("officer2"), code, "submit_answer", {"reply": "Đã vá xong ngày 3/3."})
    await proved(app)


async def test_an_approved_answer_goes_out_though_nobody_is_left(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    old = await unit(app, "officer", "head")
    code = await forwarded(client, as_, old)
    await done(as_("officer"), code, "accept")
    await done(as_("officer"), code, "submit_answer", {"reply": "Đã vá xong."})
    await done(as_("head"), code, "approve_answer")
    await ends(app, old)
    await morning(app, clock)
    case, parts, limits = await of_case(app, code)
    assert (case.status, case.lead, live(parts)) == ("answered", None, [])
    assert [name.split()[0] for name in running(limits)] == ["reply"]
    assert old not in str(running(limits))
    await deliver(app)
    assert (await of_case(app, code))[0].status == "replied"
    await proved(app)


@pytest.mark.parametrize("status", ROAD)
async def test_without_an_heir_the_centre_has_it_and_is_told_why(
    status: str, app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    old = await unit(app, "officer", "head")
    code = await forwarded(client, as_, old, SUPPORT)
    for who, action, body in ROAD[status]:
        await done(as_(who), code, action, body)
    if status == "in_progress":
        until = await a_day_more(app, code)
        await done(as_("officer"), code, "request_extension", {"until": until.isoformat(), "reason": "Mưa"})
    await ends(app, old)
    await morning(app, clock)
    case, parts, limits = await of_case(app, code)
    assert (case.status, case.lead, case.units, case.answer_id, live(parts)) == ("received", None, [], None, [])
    assert [name.split()[0] for name in running(limits)] == ["forward"]
    shown = await as_("dispatcher").get(f"/api/v1/cases/{code}/timeline")
    [told] = [item for item in shown.json()["items"] if item["kind"] == "case.rehome"]
    assert "Không xác định được đơn vị kế thừa" in told["text"]
    assert "chưa ghi địa bàn" in told["text"]
    async with state(app).database.transaction() as session:
        asked = await session.exec(select(Extension.state).where(Extension.case_id == case.id))
        assert set(asked) <= {"withdrawn"}
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD})


async def test_more_time_asked_for_is_decided_by_the_heir(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    old, new = await unit(app, "officer", "head"), await unit(app, "officer2", "head2")
    code = await forwarded(client, as_, old)
    await done(as_("officer"), code, "accept")
    until = await a_day_more(app, code)
    await done(as_("officer"), code, "request_extension", {"until": until.isoformat(), "reason": "Mưa lớn"})
    await ends(app, old, new)
    await morning(app, clock)
    await done(as_("head2"), code, "grant_extension")
    _, _, limits = await of_case(app, code)
    assert running(limits) == {f"resolve {new}": until}
    again = await act(
        as_("officer2"), code, "request_extension", {"until": (until + timedelta(days=1)).isoformat(), "reason": "x"}
    )
    # the heir has no more extensions than the unit it follows had left: the next is above both
    assert [each["beyond"] for each in again.json()["extensions"]] == [False, True]


async def test_an_order_and_a_promise_bind_the_heir(app: FastAPI, client: AsyncClient, as_: As, clock: Clock) -> None:
    old, new = await unit(app, "officer"), await unit(app, "officer2")
    code = await forwarded(client, as_, old)
    await done(as_("officer"), code, "accept")
    until = await a_day_more(app, code)
    await done(as_("officer"), code, "tell_progress", {"text": "Đang vá", "until": until.isoformat()})
    await done(as_("leader"), code, "direct", {"text": "Báo cáo vì sao chậm"})
    await ends(app, old, new)
    await morning(app, clock)
    _, _, limits = await of_case(app, code)
    assert f"directive {new}" in running(limits)
    async with state(app).database.transaction() as session:
        case = await case_of(session, code)
        for table in (Directive, Commitment):
            whose = await session.exec(select(table.department).where(table.case_id == case.id))
            assert list(whose) == [new]
    await done(as_("officer2"), code, "answer_directive", {"text": "Chờ nhựa đường, xong trong tuần"})
    await proved(app)


async def test_what_an_office_without_a_part_owes_is_owed_by_its_heir(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    office = await unit(app, kind="van_phong_ubnd")  # before the shipped one, by its code: it decides
    heir = await unit(app)
    code = await forwarded(client, as_, LEAD)
    await done(as_("officer"), code, "accept")
    await done(as_("head"), code, "dispute", {"text": "Không thuộc địa bàn của chúng tôi"})
    case, _, limits = await of_case(app, code)
    before = running(limits)
    assert case.next_holder == office
    await ends(app, office, heir)
    await morning(app, clock)
    _, parts, limits = await of_case(app, code)
    assert running(limits) == {name.replace(office, heir): due for name, due in before.items()}
    assert live(parts) == [(LEAD, "lead", "accepted")]
    await proved(app)


async def test_what_was_late_stays_with_the_old_unit(app: FastAPI, client: AsyncClient, as_: As, clock: Clock) -> None:
    old, new = await unit(app, "officer", "head"), await unit(app, "officer2", "head2")
    code = await forwarded(client, as_, old)
    clock.move(days=40)
    await settle(app)
    await ends(app, old, new)
    await morning(app, clock)
    _, _, limits = await of_case(app, code)
    assert all(limit.breached_at is not None for limit in limits if limit.handed_from == old)
    await settle(app)
    await done(as_("officer2"), code, "accept")
    rows = await journal_of(app, code)
    breaches = [op["holder"] for row in rows for op in row.data.get("limits", []) if op["op"] == "breached"]
    assert set(breaches) == {old}
    assert len(breaches) == len(set(breaches)) * 2  # to accept and to resolve, each once
    await proved(app)


async def figures_of(app: FastAPI, *codes: str) -> dict[str, list[float]]:
    """What each unit is charged with for limits to resolve: due, breached, met in time."""
    await settle(app)
    async with state(app).database.transaction() as session:
        items = await ioc_figures(session, date(2026, 3, 1), date(2026, 3, 31), ("department",))
    known = {(item.by["department"], item.figure): item.value for item in items}
    names = ("due.resolve", "breached.resolve", "due_met.resolve")
    return {code: [known.get((code, name), 0) for name in names] for code in codes}


async def test_a_breach_that_a_late_announced_storm_takes_back_leaves_the_unit_that_had_it(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    clock.to("2026-03-03T08:00")  # Tuesday; three working days: due on Friday at 17:00
    old, heir, last = await unit(app, "officer"), await unit(app), await unit(app, "officer2")
    code = await forwarded(client, as_, old)
    await done(as_("officer"), code, "accept")
    clock.to("2026-03-06T18:00")
    await remind(app)
    await ends(app, old, heir)
    await morning(app, clock)  # Saturday
    await ends(app, heir, last)
    await morning(app, clock)  # Sunday: passed on twice since it was late
    assert await figures_of(app, old, heir, last) == {old: [1, 1, 0], heir: [0, 0, 0], last: [0, 0, 0]}
    admin, storm = Actor("staff", roles=frozenset({Role.ADMIN})), date(2026, 3, 5)
    async with state(app).database.transaction() as session:
        await calendars.put_day(session, admin, clock(), "province", storm, label="Bão")
    state(app).routing.forget()
    try:
        async with state(app).database.transaction() as session:
            routing, made = await load(session), await recount.change_of(session, "province")
            assert await recount.apply(session, routing, made, storm, admin, clock()) >= 1
        assert await figures_of(app, old, heir, last) == {old: [0, 0, 0], heir: [0, 0, 0], last: [0, 0, 0]}
        clock.to("2026-03-09T16:00")  # Monday, due at 17:00 now
        await done(as_("officer2"), code, "submit_answer", {"reply": "Đã vá xong."})
        assert await figures_of(app, old, heir, last) == {old: [0, 0, 0], heir: [0, 0, 0], last: [1, 0, 1]}
        await proved(app)
    finally:
        async with state(app).database.transaction() as session:
            await calendars.remove_day(session, admin, clock(), "province", storm)
        state(app).routing.forget()


async def test_two_helpers_that_merge_have_one_part_and_one_clock(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    one, two, new = [await unit(app) for _ in range(3)]
    code = await forwarded(client, as_, LEAD, one, two)
    await ends(app, one, new)
    await ends(app, two, new)
    await morning(app, clock)
    case, parts, limits = await of_case(app, code)
    assert case.units == [LEAD, new]
    assert live(parts) == sorted([(LEAD, "lead", "open"), (new, "supporting", "open")])
    assert sum(name == f"contribute {new}" for name in running(limits)) == 1
    assert not [name for name in running(limits) if one in name.split() or two in name.split()]


async def test_what_one_helper_still_owes_is_owed_by_the_one_it_merged_into(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    old = await unit(app)
    code = await forwarded(client, as_, LEAD, SUPPORT, old)
    await done(as_("helper"), code, "contribute", {"text": "Điện ở đó bình thường"})
    await ends(app, old, SUPPORT)
    await morning(app, clock)
    _, parts, limits = await of_case(app, code)
    assert live(parts) == sorted([(LEAD, "lead", "open"), (SUPPORT, "supporting", "open")])
    assert f"contribute {SUPPORT}" in running(limits)


@pytest.mark.parametrize("asked_first", [True, False])
async def test_of_two_helpers_that_merge_the_task_that_is_not_done_is_the_new_ones(
    asked_first: bool, app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    one, two = await unit(app, "officer2"), await unit(app, "helper")
    code = await forwarded(client, as_, LEAD, one, two)
    await done(as_("helper" if asked_first else "officer2"), code, "contribute", {"text": "Cột không nghiêng"})
    asked = one if asked_first else two
    await done(as_("dispatcher"), code, "ask_support", {"unit": asked, "task": "Đo lại điện áp"})
    new = await unit(app, "officer2")
    await ends(app, one, new)
    await ends(app, two, new)
    await morning(app, clock)
    _, parts, limits = await of_case(app, code)
    [part] = [part for part in parts if part.ended_at is None and part.department == new]
    assert (part.state, part.task_id is not None) == ("open", True)
    assert f"contribute {new}" in running(limits)
    await done(as_("officer2"), code, "contribute", {"text": "Điện áp bình thường"})
    _, _, limits = await of_case(app, code)
    assert f"contribute {new}" not in running(limits)
    await proved(app)


async def test_a_helper_that_becomes_the_heir_of_the_lead_leads(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    old, other = await unit(app), await unit(app)
    code = await forwarded(client, as_, old, SUPPORT, other)
    await ends(app, old, SUPPORT)
    await ends(app, other, SUPPORT)
    await morning(app, clock)
    case, parts, limits = await of_case(app, code)
    assert (case.lead, case.units, live(parts)) == (SUPPORT, [SUPPORT], [(SUPPORT, "lead", "open")])
    assert sorted(running(limits)) == [f"accept {SUPPORT}", f"resolve {SUPPORT}"]
    await done(as_("helper"), code, "accept")


async def test_of_a_split_unit_each_case_goes_where_its_field_and_place_say(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    old, roads, north, rest = [await unit(app) for _ in range(4)]
    place = "dn-c-loc-ninh"
    cases = {
        roads: await forwarded(client, as_, old, field="infra.road", location={"area": place}),
        north: await forwarded(client, as_, old, field="infra.light", location={"area": place}),
        rest: await forwarded(client, as_, old, field="infra.light", location={"area": "dn-c-dong-xoai"}),
    }
    await ends(app, old, rest, (roads, [], ["infra.road"]), (north, [place], []))
    await morning(app, clock)
    assert {heir: (await of_case(app, code))[0].lead for heir, code in cases.items()} == {heir: heir for heir in cases}


async def letters(app: FastAPI, code: str, purpose: str) -> list[str]:
    async with state(app).database.transaction() as session:
        case = await case_of(session, code)
        sent = select(Outgoing.text).where(Outgoing.subject_id == case.id, Outgoing.purpose == purpose)
        sent = sent.order_by(col(Outgoing.created_at))
        return [str(each) for each in await session.exec(sent)]


async def test_the_heirs_mailbox_hears_of_it_once(app: FastAPI, client: AsyncClient, as_: As, clock: Clock) -> None:
    old, new = await unit(app), await unit(app)
    code = await forwarded(client, as_, old)
    await ends(app, old, new)
    clock.move(days=1)
    made = worker(app)
    made.console = "https://1022.example"  # where the letters link to
    await made.rehome()
    await made.rehome()
    _, letter = await letters(app, code, "unit.forwarded")  # the first was the old unit's
    assert f"tiếp nhận phản ánh {code} của Đơn vị {old}" in letter
    assert "Thời hạn không thay đổi" in letter


async def test_a_restricted_case_moves_in_silence_and_is_hidden_from_the_heirs_of_whom_it_is_about(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    old, new = await unit(app, "officer"), await unit(app, "officer2")
    accused, heir = await unit(app), await unit(app)
    code = await forwarded(client, as_, old)
    await done(as_("supervisor"), code, "set_track", {"track": "denunciation"})
    await done(as_("inspector"), code, "set_track", {"track": "denunciation", "accused": [accused]})
    await ends(app, old, new)
    await ends(app, accused, heir)
    await morning(app, clock)
    case, _, _ = await of_case(app, code)
    assert (case.lead, case.accused_units) == (new, sorted([accused, heir]))
    rows = [row for row in await journal_of(app, code) if row.kind in ("case.accuse_heirs", "case.rehome")]
    assert [(row.kind, row.restricted) for row in rows] == [("case.accuse_heirs", True), ("case.rehome", True)]
    assert (await as_("inspector").get(f"/api/v1/cases/{code}")).status_code == 200
    for who in ("officer", "officer2", "supervisor"):
        assert (await as_(who).get(f"/api/v1/cases/{code}")).status_code == 404
    async with state(app).database.transaction() as session:
        person = (await session.exec(select(Staff.id).where(Staff.email == "inspector@demo"))).one()
        session.add(StaffDepartment(staff_id=person, department=heir))
    assert (await as_("inspector").get(f"/api/v1/cases/{code}")).status_code == 404
    async with state(app).database.transaction() as session:
        await session.execute(text("DELETE FROM staff_departments WHERE staff_id = :person"), {"person": person})
    await worker(app).rehome()
    assert [row.kind for row in await journal_of(app, code)].count("case.accuse_heirs") == 1
    await proved(app)


async def test_a_restricted_case_is_not_hidden_from_the_last_inspector(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    old, accused = await unit(app, "officer"), await unit(app)
    code = await forwarded(client, as_, old)
    await done(as_("supervisor"), code, "set_track", {"track": "denunciation"})
    await done(as_("inspector"), code, "set_track", {"track": "denunciation", "accused": [accused]})
    heir = await unit(app, "inspector")
    await ends(app, accused, heir)
    await morning(app, clock)
    assert (await of_case(app, code))[0].accused_units == [accused]
    assert (await as_("inspector").get(f"/api/v1/cases/{code}")).status_code == 200
    async with state(app).database.transaction() as session:
        await session.execute(text("DELETE FROM staff_departments WHERE department = :heir"), {"heir": heir})
    await worker(app).rehome()  # once the inspector works elsewhere
    assert (await of_case(app, code))[0].accused_units == sorted([accused, heir])


async def test_a_case_about_the_heir_itself_goes_to_nobody_it_is_about(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    old, heir = await unit(app), await unit(app)
    code = await forwarded(client, as_, old)
    await done(as_("supervisor"), code, "set_track", {"track": "denunciation"})
    await done(as_("inspector"), code, "set_track", {"track": "denunciation", "accused": [heir]})
    await ends(app, old, heir)
    await morning(app, clock)
    case, parts, _ = await of_case(app, code)
    assert (case.lead, live(parts), case.status) == (None, [], "received")


async def test_workers_share_the_cases_and_one_that_dies_leaves_them_whole(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = await unit(app), await unit(app)
    codes = [await forwarded(client, as_, old) for _ in range(7)]
    await ends(app, old, new)
    clock.move(days=1)
    monkeypatch.setattr(rehoming, "BATCH", 2)
    here = state(app)
    async with here.database.transaction() as session:
        office = (await worker(app).arrivals(session)).office

    async def killed_before_its_commit() -> None:
        async with here.database.transaction() as session:
            assert (await rehoming.run(session, office, clock(), batch=3)).moved == 3
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await killed_before_its_commit()
    assert {(await of_case(app, code))[0].lead for code in codes} == {old}
    await asyncio.gather(worker(app).rehome(), worker(app).rehome())
    await worker(app).rehome()
    for code in codes:
        case, parts, _ = await of_case(app, code)
        assert (case.lead, live(parts)) == (new, [(new, "lead", "open")])
        assert [row.kind for row in await journal_of(app, code)].count("case.rehome") == 1
    await proved(app)


async def test_one_case_that_cannot_be_moved_keeps_no_other_waiting(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = await unit(app), await unit(app)
    first, second = [await forwarded(client, as_, old) for _ in range(2)]
    await ends(app, old, new)
    broken = (await of_case(app, first))[0].id
    real = desk.perform

    async def perform(session: Any, office: Any, actor: Any, case: Any, *more: Any) -> Any:
        if case == broken:
            await session.execute(text("SELECT 1/0"))
        return await real(session, office, actor, case, *more)

    monkeypatch.setattr(desk, "perform", perform)
    await morning(app, clock)
    assert [(await of_case(app, code))[0].lead for code in (first, second)] == [old, new]
    monkeypatch.setattr(desk, "perform", real)
    await worker(app).rehome()
    assert (await of_case(app, first))[0].lead == new


async def test_history_keeps_the_name_of_its_day(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock
) -> None:
    old = await unit(app, name="Sở Rất Cũ")
    code = await forwarded(client, as_, old)
    async with state(app).database.transaction() as session:
        for since, name in ((BEGAN, "Sở Rất Cũ"), (date(2026, 3, 4), "Sở Hoàn Toàn Mới")):
            session.add(DepartmentName(code=old, valid_from=since, name=name))
    state(app).routing.forget()
    await morning(app, clock)  # turns the name
    state(app).routing.forget()
    assert (await as_("dispatcher").get(f"/api/v1/cases/{code}")).json()["lead"]["name"] == "Sở Hoàn Toàn Mới"
    page = (await browser("dispatcher").get(f"/console/cases/{code}")).text
    assert "Sở Rất Cũ" in page
    assert "Sở Hoàn Toàn Mới" in page


async def test_a_citizen_reads_that_somebody_else_goes_on(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    old, new, helper = await unit(app), await unit(app), await unit(app)
    reports = [await a_report(client, text=f"Đèn hỏng ở cột số {n}") for n in range(4)]
    followed, lost, helped, hidden = (code for code, _ in reports)
    for code, lead in ((followed, old), (lost, helper), (helped, LEAD), (hidden, old)):
        await done(as_("dispatcher"), code, "forward", {"lead": lead, "supporting": [old] if lead == LEAD else []})
    await done(as_("supervisor"), hidden, "set_track", {"track": "denunciation"})
    await ends(app, old, new)
    await ends(app, helper)
    await morning(app, clock)
    told = {}
    for code, key in reports:
        shown = (await by_citizen(client, code, key, "")).json()
        told[code] = [item["data"] for item in shown["timeline"] if item["kind"] == "case.rehome"]
    was, then = f"Đơn vị {old}", f"Đơn vị {new}"
    assert told[followed] == [{"to": "forwarded", "was": was, "lead": then}]
    assert told[lost] == [{"to": "received", "was": f"Đơn vị {helper}"}]
    assert told[helped] == []  # who helps is nothing to the citizen
    assert told[hidden] == [{"to": "forwarded"}]  # of a restricted case no unit is told

    async def page(code: str) -> str:
        key = dict(reports)[code]
        return (await client.get(f"/track/{code}", headers={"Cookie": f"{keys.PREFIX}{code}={key}"})).text

    assert f"{was} đã kết thúc hoạt động. {then} phụ trách từ đây, hạn không đổi." in await page(followed)
    shown = await page(lost)
    assert "Trung tâm tìm đơn vị mới phụ trách" in shown
    assert "Đơn vị kế thừa tiếp tục" not in shown
    assert "kết thúc hoạt động" not in await page(helped) + await page(hidden)


async def test_nobody_does_it_by_hand(client: AsyncClient, as_: As, clock: Clock) -> None:
    code = await forwarded(client, as_, LEAD)
    for who in ("dispatcher", "supervisor", "admin", "officer"):
        assert (await act(as_(who), code, "rehome")).status_code == 404


async def test_a_preview_counts_by_heir_and_tells_nothing_of_restricted_ones(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    old, new = await unit(app), await unit(app)
    for _ in range(2):
        await forwarded(client, as_, old)
    hidden = await forwarded(client, as_, old)
    await done(as_("supervisor"), hidden, "set_track", {"track": "denunciation"})
    await ends(app, old, new)
    here = state(app)
    async with here.database.transaction() as session:
        routing = await here.routing.get(session)
        moves = await rehoming.preview(session, routing.directory, clock.now.date() + timedelta(days=1))
    assert [move for move in moves if move.department == old] == [rehoming.Move(old, new, 2)]
