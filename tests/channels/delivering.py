"""A worker of the outbox alone, to be killed. Its channel writes a line for every send and recognises no repetition."""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

from channels import console, outbox, sending, settling, threads
from channels.mail.sending import Mail
from channels.mail.smtp import Relay
from channels.message import OutboundMessage
from channels.models import Outgoing
from core import due
from core.db import Database

WATCHED = {each.__file__ for each in (outbox, sending, settling, threads, due, console)}


class Steps:
    """Counts executed lines and dies at one of them, as `kill -9` would."""

    def __init__(self, die_at: int) -> None:
        self.die_at = die_at
        self.done = 0

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code.co_filename not in WATCHED:
            return None
        if event == "line":
            self.done += 1
            if self.done == self.die_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


async def on_sent(session: Any, outgoing: Outgoing, at: datetime) -> None:
    """Nobody to tell."""


def run(dsn: str, file: str, ahead: float, die_at: int | None, tell: Connection) -> None:
    """Deliver by a clock that is `ahead` seconds ahead, until killed; says so when it begins.

    With `die_at` it kills itself before that line of the outbox, of `due` or of the channel, and otherwise ends when
    nothing is left and tells how many lines that took.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the channel prints
    asyncio.run(_deliver(dsn, file, timedelta(seconds=ahead), None if die_at is None else Steps(die_at), tell))


class _Dying(Mail):
    """Dies between the mail server's yes and the moment it is written down."""

    async def send(self, message: OutboundMessage) -> str:
        await super().send(message)
        os.kill(os.getpid(), signal.SIGKILL)
        return "never"


def die_after_the_mail(dsn: str, port: int, at: datetime) -> None:
    """Deliver what is due to the mail server on this port."""

    async def deliver() -> None:
        channels = {"email": _Dying(Relay("127.0.0.1", port, "none"), ("1022", "1022@tinh.example"))}
        await outbox.deliver_due(Database(dsn, pool=2), channels, at, on_sent=on_sent)

    asyncio.run(deliver())


async def _deliver(dsn: str, file: str, ahead: timedelta, steps: Steps | None, tell: Connection) -> None:
    database = Database(dsn, pool=4)
    channels = {"zalo": console.ConsoleChannel("zalo", Path(file))}
    async with database.transaction():
        tell.send(0)
    if steps is not None:
        sys.settrace(steps)
    while True:
        done = await outbox.deliver_due(database, channels, datetime.now(UTC) + ahead, on_sent=on_sent, limit=5)
        if steps is not None and not done:
            break
        await asyncio.sleep(0 if done else 0.01)
    sys.settrace(None)
    tell.send(steps.done)
    await database.close()
