"""What people are told in the console: what the journal says, each thing once, to who may know of it."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import text

from cases import bell, notices
from cases.telling import late_still, tells
from core.journal import number_positions, record
from tests.cases.noticing import away, clear, on_shift, rows_of, stands_in, tell, told
from tests.factories import LEAD, SUPPORT, As, Clock, a_report, by_citizen, done, remind, state
from worker import Worker

L1, L2 = UUID(int=1), UUID(int=2)
DUE = "2026-03-06T10:00:00+00:00"


def op(name: str, stage: str, holder: str = LEAD, id: UUID = L1, **more: Any) -> dict[str, Any]:
    return {"op": name, "id": str(id), "stage": stage, "holder": holder, "due_at": DUE, "breached": False, **more}


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("limit.reminded", {"limits": [op("reminded", "resolve", percent=80)]}, ["reminder owing so-xd officer 80"]),
        ("limit.reminded", {"limits": [op("reminded", "forward", percent=50)]}, ["reminder owing so-xd dispatcher 50"]),
        ("limit.breached", {"limits": [op("breached", "reply", breached=True)]}, ["breach owing so-xd head"]),
        # extended after the breach, and over again
        ("limit.reminded", {"limits": [op("reminded", "resolve", percent=100)]}, ["breach owing so-xd officer 100"]),
        ("limit.recounted", {"limits": [op("recounted", "resolve")]}, []),
        ("limit.stuck", {"limit": str(L1), "stage": "resolve", "holder": LEAD}, []),
        # one thing for each who is given work, whatever clocks that starts
        (
            "case.forward",
            {
                "limits": [
                    op("met", "forward", "centre"),
                    op("opened", "accept"),
                    op("opened", "resolve", id=L2),
                    op("opened", "contribute", SUPPORT),
                ]
            },
            ["assigned unit so-xd officer", f"assigned unit {SUPPORT} officer"],
        ),
        ("case.open", {"limits": [op("opened", "forward", "centre")]}, []),  # stands in the queue
        ("case.reopen", {"limits": [op("opened", "forward", "centre")]}, ["reopened unit centre dispatcher"]),
        ("case.reopen", {"limits": [op("opened", "accept")]}, ["reopened unit so-xd officer"]),
        (
            "case.submit_answer",
            {"limits": [op("met", "resolve"), op("opened", "reply", id=L2)]},
            ["to_approve unit so-xd head"],
        ),
        ("case.return_answer", {"limits": [op("reopened", "resolve")]}, ["returned owing so-xd officer"]),
        ("case.give_back", {"department": LEAD, "limits": []}, ["given_back unit  dispatcher"]),
        ("case.give_back", {"department": LEAD, "to_supervisor": True}, ["given_back unit  supervisor"]),
        ("case.request_extension", {"department": LEAD, "until": DUE}, ["extension_asked decider so-xd officer"]),
        (
            "case.request_extension",
            {"department": LEAD, "until": DUE, "beyond": True},
            ["extension_asked above so-xd officer"],
        ),
        ("case.grant_extension", {"department": LEAD, "until": DUE}, ["extension_granted owing so-xd officer"]),
        ("case.deny_extension", {"department": LEAD}, ["extension_denied owing so-xd officer"]),
        ("case.rehome", {"limits": [op("handed", "resolve")]}, ["assigned unit so-xd officer"]),
        ("case.chase", {"department": LEAD, "count": 1}, ["chased owing so-xd officer"]),
        ("case.direct", {"limits": [op("opened", "directive")]}, ["ordered unit so-xd head"]),
        ("case.answer_directive", {"department": LEAD, "by": str(L2)}, ["order_answered one  officer"]),
        ("case.dispute", {"limits": [op("opened", "dispute", "centre")]}, ["dispute above centre officer"]),
        ("case.decide_dispute", {"lead": LEAD, "was": LEAD}, ["dispute_decided owing so-xd officer"]),
        ("case.decide_dispute", {"lead": SUPPORT, "was": LEAD}, []),  # the new lead is told of its work
        ("case.give_back_support", {"department": SUPPORT, "lead": LEAD}, ["help_given_back owing so-xd officer"]),
        ("commitment.broken", {"department": LEAD}, ["broken_date owing so-xd officer"]),
        ("case.assign_officer", {"officer": str(L2)}, ["yours one  officer"]),
        ("case.assign_officer", {}, []),  # taken from somebody
        # found late by an act: told if it is still owed after it
        ("case.note", {"limits": [op("breached", "resolve")]}, ["breach owing so-xd officer"]),
        ("case.accept", {"limits": [op("breached", "accept"), op("met", "accept")]}, []),
        (
            "limit.escalated",
            {"limit": str(L1), "stage": "resolve", "holder": LEAD, "due_at": DUE, "step": 1, "to": "unit_head"},
            ["escalated named so-xd unit_head"],
        ),
        ("person.merged", {"limits": []}, []),
    ],
)
def test_what_a_row_of_the_journal_gives_to_tell(kind: str, data: dict[str, Any], expected: list[str]) -> None:
    said = [
        f"{each.kind} {each.to} {each.holder} {each.role}{f' {each.percent}' if each.percent else ''}"
        for each in tells(kind, data)
    ]
    assert said == expected


@pytest.mark.parametrize(
    ("kind", "ops", "late"),
    [
        ("limit.breached", [op("breached", "resolve", breached=True)], [L1]),
        ("limit.reminded", [op("reminded", "resolve", breached=True)], []),  # in line since its breach
        ("case.accept", [op("breached", "accept", breached=True), op("met", "accept", breached=True)], []),
        ("case.return_answer", [op("reopened", "resolve", breached=True)], [L1]),
        ("case.return_answer", [op("reopened", "resolve")], []),
        ("limit.recounted", [op("recounted", "resolve", breached=True)], [L1]),
        ("calendar.recount", ["not an op"], []),
    ],
)
def test_what_is_late_and_owed_goes_upwards_from_then_on(kind: str, ops: list[Any], late: list[UUID]) -> None:
    assert late_still(kind, {"limits": ops}) == late


@pytest.fixture
async def quiet(app: FastAPI, clock: Clock) -> FastAPI:
    """Nothing told, nobody planned."""
    await clear(app)
    return app


async def forwarded(client: AsyncClient, as_: As, **members: Any) -> tuple[str, str]:
    code, key = await a_report(client, **members)
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD, "supporting": [SUPPORT]})
    return code, key


async def test_new_work_goes_to_who_is_on_duty_or_to_the_head(quiet: FastAPI, client: AsyncClient, as_: As) -> None:
    code, _ = await forwarded(client, as_)
    await tell(quiet)
    assert await told(quiet, "head", code=code) == ["assigned resolve (head)"]
    assert await told(quiet, "officer", code=code) == []
    assert await told(quiet, "helperhead", code=code) == ["assigned contribute (head)"]
    await on_shift(quiet, LEAD, "officer")
    again, _ = await forwarded(client, as_)
    await tell(quiet)
    assert await told(quiet, "officer", code=again) == ["assigned resolve (on_duty)"]
    assert await told(quiet, "head", code=again) == []
    await away(quiet, "officer")
    await stands_in(quiet, "head", "officer")
    third, _ = await forwarded(client, as_)
    await tell(quiet)
    assert await told(quiet, "head", code=third) == ["assigned resolve (deputy)"]
    for stranger in ("officer2", "head2", "agent", "leader", "inspector"):
        assert await told(quiet, stranger) == []


async def test_the_worker_tells(quiet: FastAPI, client: AsyncClient, as_: As) -> None:
    here = state(quiet)
    code, _ = await forwarded(client, as_)
    await _number(quiet)
    worker = Worker(here.settings, here.database, here.adapters, asyncio.Event(), here.clock)
    assert await worker.keep_telling()
    assert await told(quiet, "head", code=code) == ["assigned resolve (head)"]
    assert not await worker.keep_telling()


async def test_reminders_and_the_breach_come_once_each_to_whose_case_it_is(
    quiet: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    code, _ = await forwarded(client, as_)
    await done(as_("officer"), code, "accept")
    for moment in ("2026-03-05T11:00", "2026-03-06T09:00", "2026-03-06T17:00", "2026-03-06T18:00"):
        clock.to(moment)
        for _ in range(3):
            await tell(quiet)
    assert await told(quiet, "officer", code=code) == [
        "reminder resolve 50 (officer)",
        "reminder resolve 80 (officer)",
        "breach resolve (officer)",
    ]
    assert await told(quiet, "head", code=code) == ["assigned resolve (head)"]
    # A cursor set back, as by a restored backup, tells nobody anything twice: the database knows each notice.
    before = len(await rows_of(quiet, "officer"))
    async with state(quiet).database.transaction() as session:
        await session.execute(text("UPDATE notice_cursor SET position = 0"))
    await tell(quiet)
    assert len([row for row in await rows_of(quiet, "officer") if row.code == code]) == before == 3


async def test_several_workers_tell_each_thing_once(quiet: FastAPI, client: AsyncClient, as_: As) -> None:
    here = state(quiet)
    codes = [(await forwarded(client, as_))[0] for _ in range(4)]
    await _number(quiet)

    async def worker() -> int:
        total = 0
        for _ in range(60):
            async with here.database.transaction() as session:
                found = await notices.follow(session, await here.routing.get(session), here.clock(), 3)
                await asyncio.sleep(0)
            total += found
        return total

    await asyncio.gather(worker(), worker(), worker())
    assert sorted(row.code for row in await rows_of(quiet, "head") if row.code in codes) == sorted(codes)


async def test_a_worker_that_dies_leaves_what_it_took_to_the_next(quiet: FastAPI, client: AsyncClient, as_: As) -> None:
    here = state(quiet)
    code, _ = await forwarded(client, as_)
    await _number(quiet)

    async def dies() -> None:
        async with here.database.transaction() as session:
            assert await notices.follow(session, await here.routing.get(session), here.clock()) > 0
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        await dies()
    assert await told(quiet, "head", code=code) == []
    await tell(quiet)
    assert await told(quiet, "head", code=code) == ["assigned resolve (head)"]


async def test_what_is_read_long_after_it_happened_is_history(
    quiet: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    """As after an import or a restored backup: nobody is told, and what is late goes upwards all the same."""
    code, _ = await forwarded(client, as_)
    await done(as_("officer"), code, "accept")
    clock.to("2026-03-06T17:00")
    await remind(quiet)
    clock.to("2026-03-20T08:00")
    await tell(quiet)
    kinds = {row.kind for who in ("officer", "head") for row in await rows_of(quiet, who) if row.code == code}
    assert kinds == {"escalated"}


async def test_a_row_that_cannot_be_read_keeps_nobody_else_waiting(
    quiet: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    async with state(quiet).database.transaction() as session:
        await record(session, "limit.breached", at=clock(), actor_kind="system", data={"limits": [{"op": "breached"}]})
        await record(session, "case.chase", at=clock(), actor_kind="system", case_id=L1, data={"department": LEAD})
    code, _ = await forwarded(client, as_)
    await tell(quiet)
    assert await told(quiet, "head", code=code) == ["assigned resolve (head)"]


async def test_the_way_of_a_case_is_told_and_never_to_who_did_it(
    quiet: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    code, key = await forwarded(client, as_)
    await done(as_("officer"), code, "accept")
    await done(as_("head"), code, "assign_officer", {"officer": "officer@demo"})
    await done(
        as_("officer"), code, "request_extension", {"until": "2026-03-09T17:00:00+07:00", "reason": "Chờ vật tư"}
    )
    await done(as_("head"), code, "grant_extension")
    assert (await by_citizen(client, code, key, "messages", {"text": "Gần cổng chợ"})).status_code == 201
    await done(as_("agent"), code, "chase")
    await done(as_("officer"), code, "submit_answer", {"reply": "Đã vá."})
    await done(as_("head"), code, "return_answer", {"reason": "Thiếu ảnh"})
    await tell(quiet)
    assert await told(quiet, "officer", code=code) == [
        "yours (officer)",
        "extension_granted (officer)",
        "message (officer)",
        "chased (officer)",
        "returned resolve (officer)",
    ]
    assert await told(quiet, "head", code=code) == [
        "assigned resolve (head)",
        "extension_asked (head)",
        "to_approve reply (head)",
    ]
    other, _ = await forwarded(client, as_)
    await done(as_("officer"), other, "give_back", {"reason": "Không thuộc đơn vị", "suggested": SUPPORT})
    await tell(quiet)
    assert await told(quiet, "supervisor", code=other) == ["given_back (supervisor)"]


async def test_of_a_restricted_case_only_inspectors_hear_who_may_know_of_it(
    quiet: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock
) -> None:
    code, _ = await forwarded(client, as_)
    await tell(quiet)
    assert (await told(quiet, "head", code=code)) != []
    before = await browser("head").get("/console/notices")
    assert code in before.text
    await done(as_("inspector"), code, "set_track", {"track": "denunciation"})
    clock.to("2026-04-30T09:00")  # everything that runs is late
    await tell(quiet)
    everybody = ("agent", "dispatcher", "supervisor", "officer", "head", "helper", "helperhead", "leader", "admin")
    for who in everybody:
        assert [row.kind for row in await rows_of(quiet, who) if row.code == code and row.kind != "assigned"] == []
        for path in ("/console/notices", "/console/notices?show=all"):
            assert code not in (await browser(who).get(path)).text
    assert {row.kind for row in await rows_of(quiet, "inspector") if row.code == code} >= {"breach"}
    assert code in (await browser("inspector").get("/console/notices")).text


async def test_the_bell_counts_what_waits_and_forgets_what_was_seen(
    quiet: FastAPI, client: AsyncClient, as_: As, browser: As
) -> None:
    codes = [(await forwarded(client, as_))[0] for _ in range(3)]
    await tell(quiet)
    head = browser("head")
    assert "bell" in (await head.get("/console")).text
    assert ">3<" in (await head.get("/console/notices/count")).text
    page = (await head.get("/console/notices")).text
    assert all(code in page for code in codes)
    assert "Việc mới của đơn vị" in page
    mine = await rows_of(quiet, "head")
    stranger = await browser("officer2").post(f"/console/notices/{mine[0].id}")
    assert stranger.headers["location"] == "/console/notices"  # not theirs: neither seen nor opened
    assert ">3<" in (await head.get("/console/notices/count")).text
    opened = await head.post(f"/console/notices/{mine[0].id}")
    assert opened.headers["location"] == f"/console/cases/{mine[0].code}"
    assert ">2<" in (await head.get("/console/notices/count")).text
    assert mine[0].code not in (await head.get("/console/notices")).text
    assert mine[0].code in (await head.get("/console/notices?show=all")).text
    late, _ = await forwarded(client, as_)  # came after the page was shown
    await tell(quiet)
    assert (await head.post("/console/notices/seen", data={"upto": str(mine[-1].id)})).status_code == 303
    assert ">1<" in (await head.get("/console/notices/count")).text
    assert late in (await head.get("/console/notices")).text
    assert (await head.post("/console/notices/seen", data={"upto": "x"})).status_code == 303
    assert "count" not in (await browser("leader").get("/console/notices/count")).text


async def _number(app: FastAPI) -> None:
    async with state(app).database.transaction() as session:
        await number_positions(session)


async def test_what_was_told_long_ago_is_forgotten(quiet: FastAPI, client: AsyncClient, as_: As, clock: Clock) -> None:
    await forwarded(client, as_)
    await tell(quiet)
    assert await rows_of(quiet, "head")
    async with state(quiet).database.transaction() as session:
        assert await bell.forget(session, clock() + bell.KEPT) == 0
        assert await bell.forget(session, clock.move(days=181)) > 0
    assert await rows_of(quiet, "head") == []
