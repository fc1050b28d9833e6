"""Limits counted again after their calendar was changed: what moves, what does not, and what the figures make of it.

Hours Monday to Friday 07:00-11:30 and 13:30-17:00; a road report is resolved within three working days, sent out on
Tuesday 3 March 2026 at 08:00: due on Friday the 6th at 17:00. On Thursday a storm closes every office.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import select

from cases import lateness, recount
from cases.explain import explain_command
from cases.models import Case, Limit, LimitRecount
from core.errors import NotFound
from core.staff import SYSTEM, Actor, Role
from ioc import reconcile
from routing.calendars import build
from routing.editing import calendars
from routing.queries import load
from routing.working_time import Amount, Calendar, Span, due, worked
from tests.factories import (
    LEAD,
    As,
    Clock,
    a_report,
    case_of,
    done,
    journal_of,
    limit_differences,
    remind,
    settle,
    state,
)

ADMIN = Actor("staff", roles=frozenset({Role.ADMIN}))
TOP = Path(__file__).parents[2]
THURSDAY = date(2026, 3, 5)
RESOLVE = f"resolve {LEAD}"


@pytest.fixture(autouse=True)
async def as_it_was(app: FastAPI, clock: Clock) -> AsyncIterator[None]:
    """After every story limits, journal, calendar and figures agree; the storm is forgotten."""
    clock.to("2026-03-03T08:00")
    yield
    await settle(app)
    assert await limit_differences(app) == []
    assert await figures_wrong(app) == []
    await change(app, clock, None)


async def change(app: FastAPI, clock: Clock, label: str | None) -> None:
    """Thursday is off, or as it was."""
    async with state(app).database.transaction() as session:
        if label is None:
            await calendars.remove_day(session, ADMIN, clock(), "province", THURSDAY)
        else:
            await calendars.put_day(session, ADMIN, clock(), "province", THURSDAY, label=label)
    state(app).routing.forget()


async def figures_wrong(app: FastAPI) -> list[str]:
    here = state(app)
    async with here.database.transaction() as session:
        return [str(each) for each in await reconcile.reconcile(session, here.settings.zone, here.clock())]


async def previewed(app: FastAPI, code: str = "") -> list[str]:
    here = state(app)
    async with here.database.transaction(frozen=True) as session:
        found = await recount.preview(session, await load(session), "province", THURSDAY, here.clock())
        told = [each for each in found.differences if code in each.code]
        return [each.told(here.settings.zone).removeprefix(f"{code} ") for each in told]


async def applied(app: FastAPI, batch: int = recount.BATCH, *, stop_after: int = 1_000) -> int:
    """As the command does it: a transaction for each batch; `stop_after` batches it is killed."""
    here = state(app)
    async with here.database.transaction() as session:
        routing, made = await load(session), await recount.change_of(session, "province")
    moved, last, more = 0, None, True
    while more and stop_after:
        async with here.database.transaction() as session:
            step = await recount.apply_some(session, routing, made, THURSDAY, SYSTEM, here.clock(), last, batch)
        moved, last, more, stop_after = moved + step.moved, step.last, step.last is not None, stop_after - 1
    return moved


async def resolve_of(app: FastAPI, code: str) -> Limit:
    async with state(app).database.transaction() as session:
        case = await case_of(session, code)
        return (await session.exec(select(Limit).where(Limit.case_id == case.id, Limit.stage == "resolve"))).one()


def local(moment: datetime | None) -> str:
    return f"{moment + timedelta(hours=7):%m-%d %H:%M}" if moment else ""


async def sent(client: AsyncClient, as_: As) -> str:
    code, _ = await a_report(client)
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD})
    await done(as_("officer"), code, "accept")
    return code


async def explained(app: FastAPI, code: str) -> dict[str, Any]:
    async with state(app).database.transaction() as session:
        return await explain_command(session, code, await load(session))


async def test_what_runs_moves_after_it_was_shown_and_the_old_due_time_is_kept(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock
) -> None:
    code = await sent(client, as_)
    await change(app, clock, "Bão")
    (told,) = (each for each in (await explained(app, code))["clocks"] if each["stage"] == "resolve")
    assert told["due_at"] == "2026-03-06T17:00:00+07:00"
    assert told["lines"][-2:] == [
        "Due Monday 2026-03-09 17:00.",
        "The calendar was changed since: it is still due by the calendar of then.",
    ]
    page = await browser("dispatcher").get(f"/console/cases/{code}/explain")
    assert page.text.count("hạn vẫn theo lịch lúc đó") == 1
    assert local((await resolve_of(app, code)).due_at) == "03-06 17:00"  # what runs keeps its due time
    assert await previewed(app, code) == [f"{RESOLVE}: 2026-03-06 17:00 -> 2026-03-09 17:00"]  # Wed 1, Fri 2, Mon 3
    assert local((await resolve_of(app, code)).due_at) == "03-06 17:00"  # looking changes nothing
    assert await applied(app) >= 1
    limit = await resolve_of(app, code)
    assert local(limit.due_at) == "03-09 17:00"
    row = (await journal_of(app, code))[-1]
    (op,) = row.data["limits"]
    assert (row.kind, op["op"], op["was"], op["breached"]) == (
        "limit.recounted", "recounted", "2026-03-06T10:00:00+00:00", False,
    )  # fmt: skip
    async with state(app).database.transaction() as session:
        (kept,) = (await session.exec(select(LimitRecount).where(LimitRecount.limit_id == limit.id))).all()
        case = await case_of(session, code)
    then = await explained(app, code)
    assert then["changes"][-1]["lines"] == [
        f"resolve, {LEAD}: counted again by the calendar, due moved from 2026-03-06 17:00 to 2026-03-09 17:00."
    ]
    assert not any("calendar of then" in line for each in then["clocks"] for line in each["lines"])
    assert (local(kept.was_due), local(kept.due)) == ("03-06 17:00", "03-09 17:00")
    assert (local(case.next_due_at), local(case.promised_at)) == ("03-09 17:00", "03-09 17:00")
    clock.to("2026-03-09T17:00")
    await remind(app)
    assert [row.kind for row in await journal_of(app, code)].count("limit.breached") == 1


async def test_a_second_time_nothing_is_found_and_nothing_written(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    code = await sent(client, as_)
    await change(app, clock, "Bão")
    assert await applied(app) >= 1
    before = len(await journal_of(app, code))
    assert await previewed(app) == []
    assert await applied(app) == 0
    assert len(await journal_of(app, code)) == before


async def test_killed_in_the_middle_it_goes_on(app: FastAPI, client: AsyncClient, as_: As, clock: Clock) -> None:
    codes = [await sent(client, as_) for _ in range(5)]
    await change(app, clock, "Bão")
    first = batches = 0
    while not first:  # limits of other stories come before
        first = await applied(app, 2, stop_after=(batches := batches + 1))
    assert first <= 2
    assert first + await applied(app, 2) >= 5
    for code in codes:
        assert local((await resolve_of(app, code)).due_at) == "03-09 17:00"
        assert [row.kind for row in await journal_of(app, code)].count("limit.recounted") == 1


async def test_until_it_came_to_its_end_it_is_still_to_be_done(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    for _ in range(3):
        await sent(client, as_)
    await change(app, clock, "Bão")
    batches = 0
    while not await applied(app, 2, stop_after=(batches := batches + 1)):
        pass  # limits of other stories come before
    assert await pending(app) == THURSDAY
    await applied(app)
    assert await pending(app) is None
    await change(app, clock, None)
    assert await pending(app) == THURSDAY


async def pending(app: FastAPI) -> date | None:
    async with state(app).database.transaction() as session:
        return await recount.pending(session, "province")


async def test_two_at_once_count_each_limit_once(app: FastAPI, client: AsyncClient, as_: As, clock: Clock) -> None:
    codes = [await sent(client, as_) for _ in range(4)]
    await change(app, clock, "Bão")
    await asyncio.gather(*(applied(app, 3) for _ in range(3)))
    for code in codes:
        assert [row.kind for row in await journal_of(app, code)].count("limit.recounted") == 1


async def test_a_limit_counted_by_an_old_reading_after_that_is_counted_again(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    code = await sent(client, as_)
    before = await resolve_of(app, code)
    await change(app, clock, "Bão")
    await applied(app)
    old = {"id": before.id, "due_at": before.due_at, "next_at": before.next_at}
    async with state(app).database.transaction() as session:  # another process that had not looked at the rules again
        await session.execute(text("UPDATE limits SET due_at = :due_at, next_at = :next_at WHERE id = :id"), old)
    assert await applied(app) == 1
    assert local((await resolve_of(app, code)).due_at) == "03-09 17:00"


async def test_a_share_that_lies_ahead_again_is_told_again_and_one_that_has_passed_is_not(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    """Tue 7 h, Wed 8, Thu 8, Fri 8 are 31 h, 80 % of them over on Fri at 08:48; without Thu, on Mon at 08:48."""
    running = await sent(client, as_)
    clock.to("2026-03-06T09:00")
    await settle(app)
    await change(app, clock, "Bão, ghi sau")
    await applied(app)
    assert (await resolve_of(app, running)).reminded == 50
    clock.to("2026-03-09T09:00")
    await settle(app)
    told = [op["percent"] for row in await journal_of(app, running) for op in row.data.get("limits", ())
            if op["op"] == "reminded" and op["stage"] == "resolve"]  # fmt: skip
    assert told == [50, 80, 80]


async def test_what_was_late_by_a_day_that_was_none_is_not_late_any_more(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    code = await sent(client, as_)
    clock.to("2026-03-06T18:00")
    await settle(app)
    assert (await resolve_of(app, code)).breached_at is not None
    await change(app, clock, "Bão, ghi sau")
    assert await previewed(app, code) == [f"{RESOLVE}: 2026-03-06 17:00 -> 2026-03-09 17:00, no longer late"]
    await applied(app)
    assert (await resolve_of(app, code)).breached_at is None
    reminders = [row.kind for row in await journal_of(app, code)].count("limit.reminded")
    await settle(app)
    assert [row.kind for row in await journal_of(app, code)].count("limit.reminded") == reminders  # 50 % is old news
    assert await figures_wrong(app) == []
    clock.to("2026-03-09T17:00")
    await settle(app)
    assert local((await resolve_of(app, code)).breached_at) == "03-09 17:00"


@pytest.mark.parametrize(("answered", "late_before"), [("2026-03-06T16:00", False), ("2026-03-09T09:00", True)])
async def test_what_was_answered_changes_only_whether_it_was_late(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, answered: str, late_before: bool
) -> None:
    code = await sent(client, as_)
    clock.to(answered)
    await settle(app)
    await done(as_("officer"), code, "submit_answer", {"reply": "Đã vá."})
    await settle(app)
    before = await resolve_of(app, code)
    assert (before.breached_at is not None) is late_before
    await change(app, clock, "Bão, ghi sau")
    assert len([each for each in await previewed(app, code) if "resolve" in each]) == int(late_before)
    await applied(app)
    after = await resolve_of(app, code)
    assert after.breached_at is None
    assert (after.due_at != before.due_at) is late_before
    await settle(app)
    assert await figures_wrong(app) == []
    # and back again: what had not been late by Thursday's work is late by it
    await change(app, clock, None)
    await applied(app)
    again = await resolve_of(app, code)
    assert ((again.breached_at is not None), local(again.due_at)) == (late_before, "03-06 17:00")


async def test_what_was_extended_or_is_over_or_counts_round_the_clock_stays(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    extended, emergency, gone = await sent(client, as_), await sent(client, as_), await sent(client, as_)
    body = {"until": "2026-03-10T10:00:00+07:00", "reason": "Chờ nhựa nóng"}
    await done(as_("officer"), extended, "request_extension", body)
    await done(as_("head"), extended, "grant_extension")
    await done(as_("dispatcher"), emergency, "classify", {"urgency": "emergency"})
    await done(as_("dispatcher"), gone, "recall", {"reason": "Nhầm"})
    await change(app, clock, "Bão")
    assert [await previewed(app, code) for code in (extended, emergency, gone)] == [[], [], []]


async def late_minutes(app: FastAPI, code: str) -> dict[str, int]:
    """What the unit is charged with for this case in March, by stage."""
    here = state(app)
    found: dict[str, int] = {}
    async with here.database.transaction(frozen=True) as session:
        given = (session, date(2026, 3, 1), date(2026, 3, 31), await load(session), here.clock(), here.settings.zone)
        for row in await lateness.report(*given):
            if row.holder == LEAD:
                cases = await lateness.behind(*given, holder=LEAD, stage=row.stage)
                for each in cases:
                    if each.code == code:
                        found[row.stage] = each.minutes
    return found


async def test_minutes_late_by_a_day_that_was_none_are_nobodys(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    code = await sent(client, as_)
    clock.to("2026-03-09T09:10")  # due on Friday at 17:00
    await settle(app)
    await done(as_("officer"), code, "submit_answer", {"reply": "Đã vá."})
    assert await late_minutes(app, code) == {"resolve": 130}
    await change(app, clock, "Bão, ghi sau")
    await applied(app)
    assert await late_minutes(app, code) == {}


async def test_a_case_said_to_be_urgent_later_is_late_by_the_hours_counted_from_then(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    code = await sent(client, as_)
    clock.to("2026-03-05T09:00")  # four hours since Tuesday are over: they are counted from now
    await done(as_("dispatcher"), code, "classify", {"urgency": "emergency"})
    (op,) = (op for op in (await journal_of(app, code))[-1].data["limits"] if op["stage"] == "resolve")
    assert (op["op"], op["opened_at"], op["due_at"]) == (
        "amended", "2026-03-05T02:00:00+00:00", "2026-03-05T06:00:00+00:00",
    )  # fmt: skip
    clock.to("2026-03-05T18:20")  # due at 13:00 on the clock on the wall
    await settle(app)
    await done(as_("officer"), code, "submit_answer", {"reply": "Đã vá."})
    assert await late_minutes(app, code) == {"resolve": 320}


async def test_late_minutes_are_those_of_the_week_that_held_then(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    code = await sent(client, as_)
    usual = [["07:00-11:30", "13:30-17:00"]] * 5 + [[], []]
    monday = date(2026, 3, 9)
    async with state(app).database.transaction() as session:
        await calendars.edit_week(session, ADMIN, clock(), "province", [usual[0][:1]] * 5 + usual[5:], monday)
    state(app).routing.forget()
    clock.to("2026-03-10T08:00")  # due on Friday at 17:00; since then Monday's morning and an hour of Tuesday's
    await settle(app)
    await done(as_("officer"), code, "submit_answer", {"reply": "Đã vá."})
    assert await late_minutes(app, code) == {"resolve": 4 * 60 + 30 + 60}
    async with state(app).database.transaction() as session:
        await calendars.edit_week(session, ADMIN, clock(), "province", usual, monday)
    state(app).routing.forget()


async def test_a_calendar_that_never_changed_has_nothing_to_count_again(app: FastAPI, clock: Clock) -> None:
    async with state(app).database.transaction() as session:
        with pytest.raises(NotFound):
            await recount.change_of(session, "so-yte")


async def test_the_page_says_how_many_would_move_and_counts_them_again(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.admin.calendars.LISTED", 1_000)
    hidden = await sent(client, as_)
    await done(as_("dispatcher"), hidden, "recall", {"reason": "x"})
    await done(as_("dispatcher"), hidden, "forward", {"lead": LEAD})
    await done(as_("supervisor"), hidden, "set_track", {"track": "denunciation"})
    code = await sent(client, as_)
    await change(app, clock, "Bão")
    page = await browser("admin").get("/admin/calendars/province")
    assert "hạn sẽ dời nếu tính lại theo lịch hiện nay, từ ngày 05/03/2026" in page.text
    assert f'href="/console/cases/{code}"' in page.text
    assert hidden in " ".join(await previewed(app))
    assert hidden not in page.text
    refused = await browser("officer").post("/admin/calendars/province/recount")
    assert refused.status_code == 403
    assert local((await resolve_of(app, code)).due_at) == "03-06 17:00"
    answer = await browser("admin").post("/admin/calendars/province/recount")
    assert answer.status_code == 303
    assert local((await resolve_of(app, code)).due_at) == "03-09 17:00"
    page = await browser("admin").get(answer.headers["location"])
    assert "Đã tính lại" in page.text
    assert "sẽ dời nếu" not in page.text
    story = (await browser("agent").get(f"/console/cases/{code}")).text
    assert "Xử lý – Sở Xây dựng: hạn 06/03/2026 17:00 dời thành 09/03/2026 17:00" in story


async def test_more_limits_than_a_request_can_take_are_the_commands(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = await sent(client, as_)
    await change(app, clock, "Bão")
    monkeypatch.setattr("web.admin.calendars.MOST", 1)
    page = (await browser("admin").get("/admin/calendars/province")).text
    assert "limits recompute --calendar province --since 2026-03-05" in page
    assert "/recount" not in page
    assert (await browser("admin").post("/admin/calendars/province/recount")).status_code == 409
    assert local((await resolve_of(app, code)).due_at) == "03-06 17:00"


async def test_the_command_shows_what_would_move_asks_and_keeps_what_was(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock, database_url: str, tmp_path: Path
) -> None:
    def command(*words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        given = {"DATABASE_URL": database_url, "DATA_DIR": str(tmp_path), "SECRET_KEY": "k" * 40}
        plain = {name: value for name, value in os.environ.items() if not name.startswith("HOTLINE_")}
        return subprocess.run(
            [sys.executable, "main.py", "limits", "recompute", *words],
            cwd=TOP, env=plain | {f"HOTLINE_{name}": value for name, value in given.items()},
            input=typed, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    province = ("--calendar", "province", "--since", "2026-03-05")
    code = await sent(client, as_)
    await change(app, clock, "Bão")
    asked = await asyncio.to_thread(command, *province, typed="n\n")
    assert f"{code} {RESOLVE}: 2026-03-06 17:00 -> 2026-03-09 17:00\n" in asked.stdout, asked.stderr
    assert local((await resolve_of(app, code)).due_at) == "03-06 17:00"
    counted = await asyncio.to_thread(command, *province, "--yes")
    assert (counted.returncode, "limits moved" in counted.stdout) == (0, True), counted.stderr
    assert local((await resolve_of(app, code)).due_at) == "03-09 17:00"
    assert (await asyncio.to_thread(command, *province, "--yes")).stdout == "0 limits would move\n"
    wrong = await asyncio.to_thread(command, "--calendar", "so-none", "--since", "2026-03-05")
    assert (wrong.returncode != 0, "Traceback" in wrong.stderr) == (True, False)
    await change(app, clock, None)
    await applied(app)  # the command's clock is not this story's: what it counted has to be as the calendar says


# ---- a property of counting again


@st.composite
def weeks(draw: st.DrawFn) -> list[tuple[Span, ...]]:
    """Five working days of some whole hours, and a free weekend."""
    hours = draw(st.lists(st.tuples(st.integers(0, 11), st.integers(12, 24)), min_size=5, max_size=5))
    return [(Span(first * 60, last * 60),) for first, last in hours] + [(), ()]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(weeks(), weeks(), st.integers(0, 20), st.integers(1, 4_000), st.integers(0, 20_000))
def test_counted_again_a_limit_lies_where_the_new_calendar_puts_it_and_stays_there(
    old: Any, new: Any, since: int, minutes: int, later: int
) -> None:
    zone, opened = "Asia/Ho_Chi_Minh", datetime(2026, 3, 2, 1, 15, tzinfo=UTC)
    first = date(2026, 3, 2) + timedelta(days=since)
    before, after = build("unit", zone, old, []), build("unit", zone, old, [], [(first, new)])
    amount = Amount(minutes, "min", "working")
    row, case = a_limit(opened, amount, before), Case.model_construct(id=None, code="x", rule_set_id=None)
    was = row.due_at
    assert was is not None
    found = recount.difference(row, case, only(after), opened + timedelta(minutes=later))
    counted = due(opened, amount, after).astimezone(UTC)
    assert (found.due if found else was) == counted
    assert worked(opened, counted, after) == timedelta(minutes=minutes)
    if was.astimezone(before.zone).date() < first:
        assert found is None  # it was over before anything changed
    row.due_at = counted
    assert recount.difference(row, case, only(after), opened) is None


def a_limit(opened: datetime, amount: Amount, calendar: Calendar) -> Limit:
    return Limit(
        id=UUID(int=1), case_id=UUID(int=1), stage="resolve", holder="unit", clock=amount.clock, amount=amount.value,
        unit=amount.unit, calendar=calendar.code, opened_at=opened, stops=[],
        due_at=due(opened, amount, calendar).astimezone(UTC),
    )  # fmt: skip


def only(calendar: Calendar) -> Any:
    """As much of the rules as counting again asks for."""

    class Book:
        day_end = "close"

    class Rules:
        def __init__(self) -> None:
            self.calendars = {calendar.code: calendar}

        def rulebook(self, _: object) -> Book:
            return Book()

    return Rules()
