"""Events that nobody could read or that failed for good: listed for a person, shown, and read again after a mend."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from channels import inbox
from channels.models import Received
from channels.reading import kept, read_json
from core import due, wake
from core.errors import NotFound
from core.files import FileStore
from core.filestore import key_of
from core.journal import record
from core.staff import MANAGE, Actor

MOST_SHOWN: Final = 1 << 20  # bytes of an event that are given out


@dataclass(frozen=True, slots=True)
class UnreadEvent:
    """One of them without its content; `reason` is a short phrase in English, `size` in bytes as it is kept."""

    id: UUID
    channel: str
    account: str
    kind: str | None
    received_at: datetime
    reason: str | None
    attempts: int
    size: int


async def listed(
    session: AsyncSession, *, channel: str | None = None, after: UUID | None = None, limit: int = 50
) -> list[UnreadEvent]:
    """Oldest first."""
    row = Received
    chosen = select(
        row.id, row.channel, row.account, row.kind, row.received_at, row.last_error, row.attempts,
        func.octet_length(row.raw),
    )  # type: ignore[call-overload]  # fmt: skip
    chosen = chosen.where(col(row.dead_at).is_not(None)).order_by(col(row.id)).limit(limit)
    if channel is not None:
        chosen = chosen.where(row.channel == channel)
    if after is not None:
        chosen = chosen.where(col(row.id) > after)
    return [UnreadEvent(*each) for each in (await session.exec(chosen)).all()]


async def counted(session: AsyncSession) -> Mapping[str, int]:
    """How many of each channel, the most first."""
    number = func.count()
    found = await session.exec(
        select(Received.channel, number)
        .where(col(Received.dead_at).is_not(None))
        .group_by(Received.channel)
        .order_by(number.desc(), Received.channel)
    )
    return dict(found.all())


async def shown(session: AsyncSession, who: Actor, files: FileStore, id: UUID, at: datetime) -> tuple[Received, bytes]:
    """An event as it came, a mail as it lies among the files; that somebody looked is kept in the journal.

    Administrators only, because it may hold anything that a citizen wrote. Not more than MOST_SHOWN bytes.
    """
    who.require(MANAGE)
    row = await _dead(session, id)
    await record(
        session, "inbox.shown", at=at, actor_kind=who.kind, actor_id=who.id, subject=str(id),
        data={"channel": row.channel},
    )  # fmt: skip
    mail = read_json(row.raw.encode()) if row.channel == "email" else None
    if mail is None or not isinstance(mail.get("eml"), str):
        return row, kept(row.raw)[:MOST_SHOWN]
    try:
        with await files.open(key_of(mail["eml"])) as file:
            return row, await asyncio.to_thread(file.read, MOST_SHOWN)
    except FileNotFoundError:
        return row, kept(row.raw)[:MOST_SHOWN]


async def read_again(
    session: AsyncSession, who: Actor, at: datetime, *, id: UUID | None = None, channel: str | None = None
) -> int:
    """Have the worker try one of them again, those of a channel, or all; how many."""
    who.require(MANAGE)
    if id is None:
        count = await inbox.reread(session, at, channel=channel)
    else:
        channel = (await _dead(session, id)).channel
        count = int(await due.revive(session, Received, id, at, where=(col(Received.dead_at).is_not(None),)))
        await wake.knock(session)
    await record(
        session, "inbox.reread", at=at, actor_kind=who.kind, actor_id=who.id, subject=str(id or ""),
        data={"channel": channel, "events": count},
    )  # fmt: skip
    return count


async def _dead(session: AsyncSession, id: UUID) -> Received:
    row = (await session.exec(select(Received).where(Received.id == id, col(Received.dead_at).is_not(None)))).first()
    if row is None:
        raise NotFound("Không có sự kiện chưa đọc này.", "There is no such unread event.")
    return row
