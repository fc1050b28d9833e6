"""What comes in: kept raw, once per (channel, account, external id), before anything is made of it."""

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import String, cast, literal, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from channels.models import Received
from core.ids import uuid7

KEY_LIFETIME = timedelta(days=30)  # how long an Idempotency-Key answers with what it answered before
KEYED_ACCOUNTS = ("portal", "centre")  # of our own: there the external id is a key chosen by the client


async def accept(session: AsyncSession, channel: str, account: str, external_id: str, raw: str, at: datetime) -> bool:
    """Keep a vendor's event, due at once. True when new, False when the vendor has sent it before."""
    kept = (
        insert(Received)
        .values(
            id=uuid7(at),
            channel=channel,
            account=account,
            external_id=external_id,
            received_at=at,
            raw=raw,
            run_at=at,
        )
        .on_conflict_do_nothing(index_elements=["channel", "account", "external_id"])
        .returning(col(Received.id))
    )
    return (await session.execute(kept)).first() is not None


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
