"""What comes in: kept raw, once per (channel, account, external id), before anything is made of it."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import String, cast, literal, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from channels.message import InboundMessage
from channels.models import Received
from core import due, wake
from core.ids import uuid7

UNREAD: Final = "unknown"  # kind of a genuine payload that no parser could read

KEY_LIFETIME = timedelta(days=30)  # how long an Idempotency-Key answers with what it answered before
KEYED_ACCOUNTS = ("portal", "centre")  # of our own: there the external id is a key chosen by the client


ALBUM_WAIT = timedelta(seconds=1.5)  # for the rest of a message that its vendor sends as several events


async def accept(
    session: AsyncSession, messages: Sequence[InboundMessage], at: datetime, answer: dict[str, Any] | None = None
) -> int:
    """Keep a vendor's events, due at once unless there is nothing to do for them. How many the vendor had not sent yet.

    What nobody could read is kept dead: it stands in the list of those and is read again by `reread`. `answer` is kept
    beside the event where the vendor was told something that a repetition must hear again.
    """
    if not messages:
        return 0
    rows = [
        {
            "id": uuid7(at),
            "channel": message.channel,
            "account": message.account,
            "external_id": message.external_id,
            "received_at": at,
            "kind": message.kind,
            "sender": turn_of(message),
            "ref": message.thread.get("reply_to") or message.thread.get("comment_id"),
            "raw": message.raw,
            "album": album_of(message),
            "run_at": None if message.ignore_reason else at + ALBUM_WAIT if album_of(message) else at,
            "dead_at": at if message.kind == UNREAD else None,
            "last_error": message.ignore_reason,
            **({} if answer is None else {"answer": answer}),
        }
        for message in messages
    ]
    kept = (
        insert(Received)
        .values(rows)
        .on_conflict_do_nothing(index_elements=["channel", "account", "external_id"])
        .returning(col(Received.id))
    )
    fresh = len((await session.execute(kept)).all())
    if fresh:
        await wake.knock(session)
    return fresh


async def answer_to(session: AsyncSession, message: InboundMessage) -> dict[str, Any] | None:
    """What was kept beside this very event when it came before."""
    found = await session.exec(
        select(Received.answer).where(
            col(Received.channel) == message.channel,
            col(Received.account) == message.account,
            col(Received.external_id) == message.external_id,
        )
    )
    answer = found.first()
    return dict(answer) if answer is not None else None


def album_of(message: InboundMessage) -> str | None:
    """What the events of one message have in common, where its vendor sends each of its files alone."""
    group = message.thread.get("media_group_id") if message.kind == "message" else None
    return f"{message.thread.get('chat_id') or ''}:{group}" if group else None


def turn_of(message: InboundMessage) -> str:
    """Whose events wait for one another; what has no sender waits for nobody but its own repetitions."""
    if message.kind == "echo" and message.thread.get("to"):  # our own account says them all, to many
        return f"echo:{message.thread['to']}"
    if message.sender is None:
        return f"event:{message.external_id}"
    return f"{message.sender.scheme}:{message.sender.handle}"


async def take_turns(
    session: AsyncSession, at: datetime, *, limit: int, lease: timedelta = due.LEASE
) -> list[Received]:
    """The oldest waiting event of each of up to `limit` senders; the caller commits before working on them."""
    earlier = aliased(Received)
    waits = (
        select(earlier.id)
        .where(
            col(earlier.channel) == col(Received.channel),
            col(earlier.sender) == col(Received.sender),
            col(earlier.run_at).is_not(None),
            col(earlier.id) < col(Received.id),
        )
        .exists()
    )
    return await due.claim(session, Received, at, limit=limit, lease=lease, where=(~waits,))


async def by_external_id(session: AsyncSession, channel: str, account: str, ids: Sequence[str]) -> Received | None:
    """The first of these messages that came in before and became part of a subject, in the order of `ids`.

    An id is that of the event or the one by which the vendor speaks of the message later.
    """
    found = await session.exec(
        select(Received).where(
            col(Received.channel) == channel,
            col(Received.account) == account,
            col(Received.external_id).in_(ids) | col(Received.ref).in_(ids),
            col(Received.subject_id).is_not(None),
        )
    )
    rows = {id: row for row in found.all() for id in (row.external_id, row.ref) if id is not None}
    return next((rows[id] for id in ids if id in rows), None)


async def dead(session: AsyncSession, *, after: UUID | None = None, limit: int = 50) -> list[Received]:
    """Events that nobody could read or that failed for good, oldest first: a person must look."""
    waiting = select(Received).where(col(Received.dead_at).is_not(None)).order_by(col(Received.id)).limit(limit)
    return list((await session.exec(waiting if after is None else waiting.where(col(Received.id) > after))).all())


async def reread(session: AsyncSession, at: datetime, *, channel: str | None = None) -> int:
    """Try all dead events again, of one channel or of all, as after a mended parser. How many."""
    chosen = (col(Received.channel) == channel,) if channel is not None else ()
    revived = await session.execute(
        update(Received)
        .where(col(Received.dead_at).is_not(None), *chosen)
        .values(run_at=at, dead_at=None, lease_until=None, attempts=0)
        .returning(col(Received.id))
        .execution_options(synchronize_session=False)
    )
    count = len(revived.all())
    if count:
        await wake.knock(session)
    return count


async def first_time(session: AsyncSession, channel: str, account: str, key: str, content: str, at: datetime) -> bool:
    """Whether this content comes for the first time under a key its sender chose; for good once the caller commits.

    A twin waits for the first one. Other content under the same key is something new: a form that was mended after the
    browser's way back must not be lost. Neither the key nor the content is kept, only the checksum of both.
    """
    checksum = hashlib.sha256(f"{key}\n{content}".encode()).hexdigest()
    kept = (
        insert(Received)
        .values(id=uuid7(at), channel=channel, account=account, external_id=checksum, received_at=at, raw="")
        .on_conflict_do_nothing(index_elements=["channel", "account", "external_id"])
        .returning(col(Received.id))
    )
    return (await session.execute(kept)).first() is not None


async def forget_keys(session: AsyncSession, at: datetime) -> int:
    """Free the idempotency keys that are older than KEY_LIFETIME; the rows stay. How many were freed.

    Looks back one more lifetime and no further, so that it reads a slice of the table instead of all of it; a key
    that was missed because no worker ran for a month is only kept longer.
    """
    archived = literal("archived:") + cast(col(Received.id), String)
    freed = await session.execute(
        update(Received)
        .where(
            col(Received.received_at) <= at - KEY_LIFETIME,
            col(Received.received_at) > at - 2 * KEY_LIFETIME,
            col(Received.account).in_(KEYED_ACCOUNTS),
            col(Received.external_id) != archived,
        )
        .values(external_id=archived)
        .returning(col(Received.id))
        .execution_options(synchronize_session=False)
    )
    return len(freed.all())
