"""A knock on a door: NOTIFY that leaves with a commit, so that nobody waits for the next look.

`due` is the worker's door, for new work; `positions` and `sign_outs` those of the web processes, for new positions of
the journal and for sign-ins that are over; at `bell` it is said whose notices have changed. It is only an acceleration:
work is found by looking at rows, and a lost knock costs at most the pause between two looks.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import asyncpg
from sqlalchemy import func
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.db import APP_ROLE, FAILURES

DOOR, POSITIONS, SIGN_OUTS, BELL = "due", "positions", "sign_outs", "bell"
APPLICATION = "hotline-listen"  # as PostgreSQL lists the connection
KNOCK = func.pg_notify(DOOR, "")  # to be selected by a statement that leaves work
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between tries to connect


async def knock(session: AsyncSession, door: str = DOOR, said: str = "") -> None:
    """Knock when the caller's transaction commits; several knocks of one transaction are one.

    `said` goes with it: less than 8,000 bytes, and nothing that is a secret.
    """
    await session.execute(select(func.pg_notify(door, said)))


async def listen(
    dsn: str, doors: Mapping[str, Callable[[], None]], said: Mapping[str, Callable[[str], None]] | None = None
) -> None:
    """Call what stands at a door at every knock on it, over one connection, until cancelled; comes back by itself.

    `said`: doors that are told what goes with the knock, and of no knock that was lost. `dsn` must reach the server
    itself: a transaction pooler in between hands LISTEN to a connection it then takes away.
    """
    settings = {"role": APP_ROLE, "application_name": APPLICATION}
    pause = FIRST_PAUSE
    while True:
        with contextlib.suppress(*FAILURES):
            connection = await asyncpg.connect(dsn, timeout=5, server_settings=settings)
            pause = FIRST_PAUSE
            await _listen_until_lost(connection, doors, said or {})
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


async def _listen_until_lost(
    connection: Any, doors: Mapping[str, Callable[[], None]], said: Mapping[str, Callable[[str], None]]
) -> None:
    lost = asyncio.Event()
    try:
        connection.add_termination_listener(lambda *_: lost.set())
        for door, heard in doors.items():
            await connection.add_listener(door, lambda *_, heard=heard: heard())
            heard()  # what was committed while nobody listened
        for door, told in said.items():
            await connection.add_listener(door, lambda *knock, told=told: told(knock[-1]))
        await lost.wait()
    finally:
        connection.terminate()
