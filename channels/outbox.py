"""What goes out: written in the transaction of its cause, sent by the worker outside any, settled in a second one.

A row is `sending` from the commit before the vendor is called until the commit that says what came of it. Whoever finds
it so past its lease knows only that a worker died: an idempotent channel is asked again, any other only where it is
known that nothing was on its way (`channels.sending`), so that no message leaves twice. `lease_until` is the fence: a
worker that was only slow finds another value and writes nothing, except that the message did leave, which is true
whoever learns it (`channels.settling`).
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from channels import sending, waiting
from channels.adapter import Adapter
from channels.message import Address, FileRef
from channels.models import Outgoing
from channels.sending import DIED
from channels.settling import RECEIPT, Delivery, Follow, attempt, nothing
from core import due, wake
from core.db import Database
from core.ids import uuid7

TRACKING: Final = sending.TRACKING
PRESSING: Final = "code"  # purpose of what somebody sits waiting for
LEASE = timedelta(seconds=60)  # a send and its settling, with room


async def enqueue(
    session: AsyncSession,
    *,
    subject_id: UUID,
    entry_id: UUID,
    purpose: str,
    to: Address,
    channel: str,
    text: str,
    reference: str,
    at: datetime,
    attachments: Iterable[FileRef] = (),
    title: str | None = None,
    addressee: str | None = None,
    link: str | None = None,
    step: int = 0,
) -> None:
    """Leave a message to be sent when the caller's transaction commits; a second one for the same cause is ignored.

    `title` is the subject line where the channel has one; `addressee` the department it is for, if it is for one;
    `link` a page where the rest can be read; `step` how many ways were tried before it.
    """
    row = message(
        subject_id=subject_id,
        entry_id=entry_id,
        purpose=purpose,
        to=to,
        channel=channel,
        text=text,
        reference=reference,
        at=at,
        attachments=attachments,
        title=title,
        addressee=addressee,
        link=link,
        step=step,
    )
    left = _insert().values(row).returning(col(Outgoing.id)).cte("message")
    await session.execute(select(wake.KNOCK).select_from(left))


def message(
    *,
    subject_id: UUID,
    entry_id: UUID,
    purpose: str,
    to: Address,
    channel: str,
    text: str,
    reference: str,
    at: datetime,
    attachments: Iterable[FileRef] = (),
    title: str | None = None,
    addressee: str | None = None,
    link: str | None = None,
    step: int = 0,
) -> dict[str, Any]:
    """The row of a message to be sent, for `enqueue_all`; members as in `enqueue`."""
    return {
        "id": uuid7(at),
        "subject_id": subject_id,
        "entry_id": entry_id,
        "purpose": purpose,
        "channel": channel,
        "scheme": to.scheme,
        "handle": to.handle,
        "text": text,
        "reference": reference,
        "title": title,
        "addressee": addressee,
        "attachments": [asdict(file) for file in attachments],
        "link": link,
        "step": step,
        "state": "queued",
        "created_at": at,
        "run_at": at,
    }


async def enqueue_all(session: AsyncSession, messages: Sequence[dict[str, Any]]) -> None:
    """Leave many messages at once, each as `enqueue` does."""
    if messages:
        await session.execute(_insert(), messages)
        await wake.knock(session)


def _insert() -> Insert:
    """On the bare table; a second message for the same cause is ignored."""
    return insert(Outgoing.__table__).on_conflict_do_nothing(  # type: ignore[attr-defined]
        index_elements=["subject_id", "purpose", "entry_id", "step"]
    )


async def go_on(
    session: AsyncSession, failed: Outgoing, *, channel: str, to: Address, text: str, whole: bool, at: datetime
) -> None:
    """A message that failed for good goes on another way, once; it waits for nobody any more.

    `whole`: with its files and its subject line.
    """
    await enqueue(
        session,
        subject_id=failed.subject_id,
        entry_id=failed.entry_id,
        purpose=failed.purpose,
        to=to,
        channel=channel,
        text=text,
        reference=failed.reference,
        at=at,
        attachments=[FileRef(**file) for file in failed.attachments] if whole else (),
        title=failed.title,
        link=failed.link,
        step=failed.step + 1,
    )
    await waiting.passed(session, failed.id)


async def due_channels(session: AsyncSession, at: datetime) -> list[str]:
    """Channels that have something to deliver, so that each can be served apart: a slow vendor delays only its own.

    What waits for an earlier message is not to be delivered yet: a worker called for it would look again and again.
    """
    waiting = select(Outgoing.channel).where(
        col(Outgoing.run_at) <= at,
        col(Outgoing.lease_until).is_(None) | (col(Outgoing.lease_until) <= at),
        (col(Outgoing.state) != "queued") | ~_overtakes(),
    )
    return sorted((await session.exec(waiting.distinct())).all())


async def deliver_due(
    database: Database,
    adapters: Mapping[str, Adapter],
    at: datetime,
    *,
    on_sent: Follow,
    on_failed: Follow | None = None,
    limit: int = 50,
    channel: str | None = None,
) -> int:
    """Send up to `limit` due messages (of one channel, or of all) at once; how many rows were worked on.

    `on_sent(session, outgoing, at)` runs in the transaction that records the success. If it fails, the message still
    counts as sent and `on_sent` alone is due again. `on_failed` runs in the one that records that it failed for good;
    if it fails, the message waits for a person.
    """
    started = time.monotonic()
    limit = min(limit, _turns_to_come(adapters.get(channel or "")) or limit)
    only = () if channel is None else (col(Outgoing.channel) == channel,)
    queued = col(Outgoing.state) == "queued"
    async with database.transaction() as session:
        fresh = await due.claim(
            session,
            Outgoing,
            at,
            limit=limit,
            lease=LEASE,
            where=(queued, ~_overtakes(), *only),
            values={"state": "sending"},
        )
        left_over = await due.claim(session, Outgoing, at, limit=limit, lease=LEASE, where=(~queued, *only))
        for row in left_over:
            if row.state == "sending":
                session.add(attempt(row, at, DIED))
    until = at + LEASE - sending.SEND_TIMEOUT
    delivery = Delivery(database, adapters, on_sent, on_failed or nothing, at, until, started)
    together = [row for row in fresh if row.purpose == RECEIPT and delivery.sender.repeatable(row)]
    came = await asyncio.gather(
        delivery.send_together(together),
        *(delivery.send(row) for row in fresh if row not in together),
        *(delivery.resume(row) for row in left_over),
        return_exceptions=True,  # each is settled, whatever became of the others
    )
    for error in came:
        if error is not None:
            raise error
    return len(fresh) + len(left_over)


def _turns_to_come(adapter: Adapter | None) -> int | None:
    """How many messages a vendor that takes so many a second takes while one of them may wait; None: any number."""
    rate = adapter.capabilities.per_second if adapter is not None else None
    return None if rate is None else max(1, int(rate * sending.MOST_WAIT.total_seconds()))


def _overtakes() -> ColumnElement[bool]:
    """Whether an earlier message to the same person waits or is on its way: they leave in the order they were said.

    What somebody sits waiting for and is worth nothing in ten minutes passes the others.
    """
    earlier = aliased(Outgoing)
    return (col(Outgoing.purpose) != PRESSING) & (
        select(earlier.id)
        .where(
            col(earlier.channel) == col(Outgoing.channel),
            col(earlier.handle) == col(Outgoing.handle),
            col(earlier.state).in_(("queued", "sending")),
            col(earlier.run_at).is_not(None),
            col(earlier.scheme) != TRACKING,
            col(earlier.id) < col(Outgoing.id),
        )
        .exists()
    )
