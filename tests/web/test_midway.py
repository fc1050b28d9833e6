"""A page is read by several statements, and the case may change between any two of them."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import Engine, event, text
from sqlalchemy.util import await_only

from tests.factories import As, Drive, a_photo, a_report, deliver, done, state


@contextmanager
def between(engine: Engine, at: int, act: Callable[[], Awaitable[object]]) -> Iterator[list[int]]:
    """While this is open, `act` happens before the statement number `at`; what statements there were is counted."""
    count = [0]
    acting = [False]

    def watch(*_: Any) -> None:
        if not acting[0]:
            count[0] += 1
            if count[0] == at:
                acting[0] = True
                await_only(act())
                acting[0] = False

    event.listen(engine, "before_cursor_execute", watch)
    yield count
    event.remove(engine, "before_cursor_execute", watch)


async def _answer(as_: As, code: str) -> None:
    files = {"attachments": ("da-va.png", a_photo(), "image/png")}
    answer = await as_("officer").post(
        f"/api/v1/cases/{code}/submit_answer", data={"reply": "Đã vá xong."}, files=files
    )
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("change", ["in_progress", "answered", "sent"])
async def test_a_case_page_is_whole_whatever_happens_while_it_is_read(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, drive: Drive, change: str
) -> None:
    engine = state(app).database.engine.sync_engine
    number = statements = 1
    while number <= statements:
        code, _ = await a_report(client)
        await drive(code, "forwarded" if change == "in_progress" else "in_progress")
        if change == "sent":
            await _answer(as_, code)
            await done(as_("head"), code, "approve_answer")

        async def act(code: str = code) -> None:
            if change == "answered":
                await _answer(as_, code)
            elif change == "sent":
                await deliver(app)
            else:
                await done(as_("officer"), code, "accept")

        with between(engine, number, act) as count:
            page = await browser("officer").get(f"/console/cases/{code}?part=case")
        assert page.status_code == 200, (number, page.text)
        statements, number = count[0], number + 1
    assert statements > 10  # else they were not counted


async def test_rules_seen_before_a_change_are_not_kept_after_it(app: FastAPI) -> None:
    here = state(app)
    here.routing.forget()
    async with here.database.transaction(frozen=True) as session:
        here.routing.begin(session)
        await session.execute(text("SELECT 1"))
        here.routing.forget()
        await here.routing.get(session)
        assert here.routing.fresh is None
    async with here.database.transaction(frozen=True) as session:
        here.routing.begin(session)
        await here.routing.get(session)
        assert here.routing.fresh is not None
