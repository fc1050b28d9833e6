"""The callers of the demo leave the work that callers leave."""

import asyncio

from fastapi import FastAPI
from sqlmodel import col, select

from hotline import demo
from hotline.models import CallSession, CallTask
from tests.factories import Clock, state
from worker import Worker


async def test_the_callers_of_the_demo_are_sessions_and_calls_to_make_once(app: FastAPI, clock: Clock) -> None:
    here = state(app)
    for _ in range(2):
        assert await demo.tell(here.calls, clock()) == len(demo.CALLERS)
        await Worker(here.settings, here.database, {}, asyncio.Event(), clock).take_in()
    async with here.database.transaction() as session:
        calls = (await session.exec(select(CallSession).where(CallSession.number == demo.NUMBER))).all()
        tasks = (await session.exec(select(CallTask).order_by(col(CallTask.opened_at)))).all()
    assert len(calls) == len(demo.CALLERS)
    assert all(call.ended_at is not None for call in calls)
    assert [(task.phone, task.kind, task.calls) for task in tasks] == [
        ("+84912000101", "missed", 1),
        ("+84987000144", "callback", 1),
        ("+84271388999", "missed", 1),
        ("+84912000177", "missed", 2),
        ("+84356000123", "callback", 1),
    ]
