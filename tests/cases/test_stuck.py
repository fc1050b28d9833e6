"""A limit that could not be counted is shown to the administrator and runs again after the mend, each turn once."""

import re

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import text

from cases import stuck
from core.staff import SYSTEM
from tests.cases.noticing import clear
from tests.cases.test_clocks import put
from tests.factories import As, Clock, a_report, done, journal_of, limit_differences, remind, staff_id, state


@pytest.fixture
async def quiet(app: FastAPI, clock: Clock) -> FastAPI:
    await clear(app)
    async with state(app).database.transaction() as session:  # what `clear` and other tests left standing
        await session.execute(text("UPDATE limits SET cancelled_at = :at WHERE met_at IS NULL"), {"at": clock()})
    return app


async def test_what_stood_still_runs_again_after_the_mend(
    quiet: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock
) -> None:
    admin = browser("admin")
    clock.to("2026-03-03T08:00")
    bad, code = (await a_report(client))[0], (await a_report(client))[0]
    await put(quiet, bad, "calendar", "no-such")
    clock.to("2026-03-03T08:30")
    await remind(quiet)
    page = (await admin.get("/admin")).text
    assert "Hạn đứng yên vì không tính được" in page
    assert (bad in page, code in page) == (True, False)
    # Not mended yet: it stands, and nobody is told that it runs.
    answer = await admin.post("/admin/limits/restart")
    assert answer.headers["location"] == "/admin?restarted=0"
    assert [row.kind for row in await journal_of(quiet, bad) if row.kind == "limit.restarted"] == []
    await put(quiet, bad, "calendar", "province")
    assert (await browser("supervisor").post("/admin/limits/restart")).status_code == 403
    answer = await admin.post("/admin/limits/restart")
    assert answer.headers["location"] == "/admin?restarted=1"
    shown = (await admin.get(answer.headers["location"])).text
    assert "Đã cho 1 hạn chạy lại." in shown
    assert "Hạn đứng yên" not in shown
    for _ in range(2):
        await remind(quiet)
    kinds = [row.kind for row in await journal_of(quiet, bad) if row.kind.startswith("limit.")]
    assert kinds == ["limit.stuck", "limit.restarted", "limit.reminded", "limit.reminded", "limit.breached"]
    assert [each for each in await limit_differences(quiet) if each.startswith(bad)] == []
    assert "chạy lại" in (await browser("agent").get(f"/console/cases/{bad}")).text


async def test_a_restricted_case_is_counted_and_not_named(
    quiet: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await done(as_("inspector"), code, "set_track", {"track": "denunciation"})
    async with state(quiet).database.transaction() as session:
        await session.execute(
            text("UPDATE limits SET next_at = NULL WHERE case_id = (SELECT id FROM cases WHERE code = :c)"), {"c": code}
        )
    page = (await browser("admin").get("/admin")).text
    assert re.search(r"Hạn đứng yên vì không tính được</h3><span class=\"count\">\d", page)
    assert code not in page
    async with state(quiet).database.transaction() as session:
        step = await stuck.restart(session, await state(quiet).routing.get(session), SYSTEM, clock())
    assert (step.started > 0, step.left) == (True, [])
    assert all(row.restricted for row in await journal_of(quiet, code) if row.kind == "limit.restarted")


async def test_departments_where_nobody_works_are_shown(quiet: FastAPI, browser: As, clock: Clock) -> None:
    admin = browser("admin")
    person = await staff_id(quiet, "head2@demo")
    shown = (await admin.get("/admin/departments?people=none")).text
    assert '/admin/departments/so-xd"' not in shown
    async with state(quiet).database.transaction() as session:
        home = await session.scalar(
            text("SELECT department FROM staff_departments WHERE staff_id = :id"), {"id": person}
        )
        others = await session.execute(
            text(
                "UPDATE staff SET active = false WHERE id IN "
                "(SELECT staff_id FROM staff_departments WHERE department = :d) RETURNING id"
            ),
            {"d": home},
        )
        closed = [row.id for row in others]
    try:
        assert f'/admin/departments/{home}"' in (await admin.get("/admin/departments?people=none")).text
        assert "Đơn vị chưa có cán bộ: việc của họ báo cho trưởng ca 1022" in (await admin.get("/admin")).text
    finally:
        async with state(quiet).database.transaction() as session:
            await session.execute(text("UPDATE staff SET active = true WHERE id = ANY(:ids)"), {"ids": closed})
    assert f'/admin/departments/{home}"' not in (await admin.get("/admin/departments?people=none")).text
