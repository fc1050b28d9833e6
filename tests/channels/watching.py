"""A worker that only watches a mailbox, to be killed between the commit of a mail and its mark at the server."""

import asyncio
import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from channels.mail import fetching
from channels.mail.imap import Connection
from core.db import Database
from core.filestore import LocalStore
from core.settings import Settings


def _die(self: Connection, uid: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_before_the_mark(dsn: str, files: Path, imap: dict[str, Any]) -> None:
    """Take the first mail that comes, and no further."""
    Connection.mark_read = _die  # type: ignore[method-assign]

    async def watch() -> None:
        await fetching.run_mailbox(
            Settings(**imap), Database(dsn, pool=2), LocalStore(files), asyncio.Event(), lambda: datetime.now(UTC)
        )

    asyncio.run(watch())
