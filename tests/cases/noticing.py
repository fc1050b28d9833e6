"""What tests of notices are made of: a round of the worker that tells, and what somebody was told."""

from typing import Any

from fastapi import FastAPI
from sqlalchemy import text

from cases import escalation, notices
from core.journal import number_positions
from tests.factories import remind, staff_id, state


async def tell(app: FastAPI) -> None:
    """Reminders and breaches that are due, then notices of all that happened, and steps upwards with theirs."""
    here = state(app)
    await remind(app)
    for work in (notices.follow, escalation.run, notices.follow):
        more = 1
        while more:
            async with here.database.transaction() as session:
                await number_positions(session)
            async with here.database.transaction() as session:
                more = await work(session, await here.routing.get(session), here.clock())


async def clear(app: FastAPI) -> None:
    """Nothing has been told, nobody is on duty or away, and nothing of before is told any more."""
    here = state(app)
    await tell(app)
    async with here.database.transaction() as session:
        for table in (
            "notices", "escalations", "escalations_due", "duty_shifts", "leaves", "deputies", "named_roles",
            "notice_ways", "notice_codes",
        ):  # fmt: skip
            await session.execute(text(f"DELETE FROM {table}"))
        await session.execute(text("UPDATE limits SET next_at = NULL"))


async def told(app: FastAPI, who: str, *, code: str | None = None) -> list[str]:
    """What stands in this person's notices, oldest first: kind, stage, percent and why they."""
    rows = await rows_of(app, who)
    return [_said(row) for row in rows if code in (None, row.code)]


async def rows_of(app: FastAPI, who: str) -> list[Any]:
    person = await staff_id(app, f"{who}@demo")
    async with state(app).database.transaction() as session:
        found = await session.execute(
            text(
                "SELECT n.*, c.code FROM notices n JOIN cases c ON c.id = n.case_id WHERE staff_id = :id ORDER BY n.id"
            ),
            {"id": person},
        )
        return list(found.all())


def _said(row: Any) -> str:
    percent = f" {row.percent}" if row.percent else ""
    return f"{row.kind}{' ' + row.stage if row.stage else ''}{percent} ({row.how})"


async def on_shift(app: FastAPI, department: str, who: str, hours: float = 100_000) -> None:
    """This person is on duty from an hour ago on."""
    await _put(
        app,
        "INSERT INTO duty_shifts VALUES (gen_random_uuid(), :department, :person, "
        "CAST(:at AS timestamptz) - interval '1 h', CAST(:at AS timestamptz) + make_interval(secs => :seconds))",
        who,
        department=department,
        seconds=hours * 3600,
    )


async def away(app: FastAPI, who: str) -> None:
    """This person is on leave for a week, from an hour ago on."""
    await _put(
        app,
        "INSERT INTO leaves VALUES (gen_random_uuid(), :person, CAST(:at AS timestamptz) - interval '1 h', "
        "CAST(:at AS timestamptz) + interval '7 d')",
        who,
    )


async def stands_in(app: FastAPI, deputy: str, who: str) -> None:
    """The deputy stands in for this person."""
    other = await staff_id(app, f"{deputy}@demo")
    await _put(app, "INSERT INTO deputies VALUES (:person, :other, 0)", who, other=other)


async def _put(app: FastAPI, statement: str, who: str, **values: Any) -> None:
    here, person = state(app), await staff_id(app, f"{who}@demo")
    bound = {"person": person, "at": here.clock(), **values}
    async with here.database.transaction() as session:
        await session.execute(text(statement), {name: bound[name] for name in bound if f":{name}" in statement})
