"""Files of vendors' messages, taken while the vendor still has them, checked as uploads are, and hung on their line."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlmodel import col

from cases.models import Case, Entry
from channels.adapter import Adapter, Failure, FileFetcher, SendFailed
from channels.message import FileRef
from channels.models import Fetch
from core import due
from core.attachments import Attachment
from core.db import Database
from core.due import Session
from core.errors import BadUpload
from core.files import FileStore, Stored, Upload, take
from core.ids import uuid7
from core.journal import record

AT_ONCE = 4  # files a process takes at the same time
LEASE = timedelta(minutes=3)
PATIENCE = 120.0  # seconds for one file
LARGEST = 20 << 20  # bytes, as for an upload

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Gathering:
    """What a round needs."""

    database: Database
    adapters: Mapping[str, Adapter]
    files: FileStore
    clock: Callable[[], datetime]

    async def round(self) -> int:
        """Take what is due; how many files there were."""
        async with self.database.transaction() as session:
            rows = await due.claim(session, Fetch, self.clock(), limit=AT_ONCE, lease=LEASE)
        await asyncio.gather(*(self.take_one(row) for row in rows))
        return len(rows)

    async def take_one(self, row: Fetch) -> None:
        """One file: fetched outside any transaction, then hung on its line and done in one."""
        file = FileRef(**row.file)
        try:
            async with asyncio.timeout(PATIENCE):
                data = await self.bytes_of(row.channel, file)
            (stored,) = await take([Upload(file.name, data)], self.files, at=self.clock())
        except SendFailed as failed:
            final = failed.failure in (Failure.FINAL, Failure.WINDOW_CLOSED)
            await self.failed(row, file, failed.reason, final=final)
        except BadUpload as bad:
            await self.failed(row, file, bad.en, final=True)
        except TimeoutError:
            await self.failed(row, file, f"took more than {PATIENCE:.0f} s", final=False)
        except Exception as error:
            await self.failed(row, file, type(error).__name__, final=False)
        else:
            async with self.database.transaction() as session:
                if await due.finish(session, Fetch, row.id, where=_mine(row)):
                    await self.hang(session, row, stored)

    async def bytes_of(self, channel: str, file: FileRef) -> bytes:
        """The file from its vendor; SendFailed when it is not to be had, or is larger than an upload may be."""
        adapter = self.adapters.get(channel)
        if not isinstance(adapter, FileFetcher):
            raise SendFailed(Failure.RETRYABLE, "this channel is not set up")
        data = bytearray()
        async for piece in adapter.fetch(file):
            data += piece
            if len(data) > LARGEST:
                raise SendFailed(Failure.FINAL, f"larger than {LARGEST >> 20} MB")
        return bytes(data)

    async def hang(self, session: Session, row: Fetch, stored: Stored) -> None:
        """The file is an attachment of its line; the first photo that says where it was taken places the case."""
        session.add(
            Attachment(
                id=stored.id,
                case_id=row.subject_id,
                entry_id=row.entry_id,
                name=stored.name,
                media_type=stored.media_type,
                size=stored.size,
                sha256=stored.sha256,
                original_sha256=stored.original_sha256,
                width=stored.width,
                height=stored.height,
                created_at=self.clock(),
            )
        )
        await self.note(session, row, "message.file", {"file": str(stored.id)})

    async def failed(self, row: Fetch, file: FileRef, reason: str, *, final: bool) -> None:
        """Tried again later; in the end the case says that a file is missing, and why."""
        async with self.database.transaction() as session:
            if not final:
                final = not await due.retry(
                    session, Fetch, row.id, self.clock(), row.attempts, reason, where=_mine(row)
                )
            elif not await due.bury(session, Fetch, row.id, self.clock(), reason, where=_mine(row)):
                return
            if not final:
                return
            text = f"Không lấy được tệp {file.name} mà người dân gửi: {reason}."
            session.add(
                Entry(
                    id=uuid7(self.clock()),
                    case_id=row.subject_id,
                    kind="note",
                    author_kind="system",
                    text=text,
                    created_at=self.clock(),
                )
            )
            await self.note(session, row, "message.file_lost", {})
        log.warning("file not fetched", channel=row.channel, reason=reason)

    async def note(self, session: Session, row: Fetch, kind: str, data: dict[str, str]) -> None:
        """For the screens; a withdrawn case stays withdrawn."""
        case = await session.get_one(Case, row.subject_id)
        await record(
            session,
            kind,
            at=self.clock(),
            actor_kind="system",
            case_id=case.id,
            restricted=case.restricted,
            data={"code": case.code, "channel": row.channel, **data},
        )


def _mine(row: Fetch) -> tuple[object, ...]:
    return (col(Fetch.lease_until) == row.lease_until,)
