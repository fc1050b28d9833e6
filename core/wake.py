"""A knock on the worker's door: new work sends NOTIFY `due` with its commit, so that nobody waits for the next look.

Only an acceleration. Work is found by looking at rows; a lost knock costs at most the pause between two looks.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import asyncpg
from sqlalchemy import func
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.db import APP_ROLE, FAILURES

DOOR = "due"
APPLICATION = "hotline-listen"  # as PostgreSQL lists the connection
KNOCK = func.pg_notify(DOOR, "")  # to be selected by a statement that leaves work
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between tries to connect


async def knock(session: AsyncSession) -> None:
    """Knock when the caller's transaction commits; several knocks of one transaction are one."""
    await session.execute(select(KNOCK))


async def listen(dsn: str, heard: Callable[[], None]) -> None:
    """Call `heard` at every notification, over one connection of its own, until cancelled; comes back by itself.

    `dsn` must reach the server itself: a transaction pooler in between hands LISTEN to a connection it then takes away.
    """
    settings = {"role": APP_ROLE, "application_name": APPLICATION}
    pause = FIRST_PAUSE
    while True:
        with contextlib.suppress(*FAILURES):
            connection = await asyncpg.connect(dsn, timeout=5, server_settings=settings)
            pause = FIRST_PAUSE
            await _listen_until_lost(connection, heard)
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


async def _listen_until_lost(connection: Any, heard: Callable[[], None]) -> None:
    lost = asyncio.Event()
    try:
        connection.add_termination_listener(lambda *_: lost.set())
        await connection.add_listener(DOOR, lambda *_: heard())
        heard()  # what was committed while nobody listened
        await lost.wait()
    finally:
        connection.terminate()
