"""An album: one message of a citizen that its vendor sends as several events, one a file, the words with any of them.

They lie a moment (`channels.inbox`) and are then read as the one message they are. What comes later than that, as when
two processes took them in, is hung on the line that there is by then.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.lines import say
from cases.models import Case, Entry
from channels.message import InboundMessage
from channels.models import Received
from core.journal import record
from routing.queries import Routing

Read = Callable[[Received], Awaitable[list[InboundMessage]]]


async def whole(
    session: AsyncSession, row: Received, message: InboundMessage, read: Read, at: datetime
) -> tuple[InboundMessage, Sequence[UUID]]:
    """The message with what else of its album waits, and the rows of that; they are ours until the transaction ends."""
    if row.album is None:
        return message, ()
    free = col(Received.lease_until).is_(None) | (col(Received.lease_until) <= at)
    waiting = await session.exec(
        select(Received)
        .where(
            Received.channel == row.channel,
            Received.account == row.account,
            Received.album == row.album,
            Received.sender == row.sender,
            Received.id != row.id,
            col(Received.run_at).is_not(None),
            free,
        )
        .order_by(col(Received.id))
        .with_for_update(skip_locked=True)
    )
    parts, rows = [message], []
    for other in waiting.all():
        read_again = await read(other)
        part = next((each for each in read_again if each.external_id == other.external_id), None)
        if part is not None and part.kind == message.kind and part.ignore_reason is None:
            parts.append(part)
            rows.append(other.id)
    return together(message, parts), rows


def together(message: InboundMessage, parts: Sequence[InboundMessage]) -> InboundMessage:
    """One message of all: their words and files in the order they were sent. Pure."""
    sorted_ = sorted(parts, key=_order)
    words = "\n\n".join(dict.fromkeys(part.text for part in sorted_ if part.text))
    files = tuple(file for part in sorted_ for file in part.attachments)
    return replace(message, text=words or None, attachments=files)


def _order(part: InboundMessage) -> tuple[int, str]:
    """A vendor counts its messages; as text a longer number is a later one."""
    number = str(part.thread.get("reply_to") or part.external_id)
    return len(number), number


async def settle(session: AsyncSession, row: Received, others: Sequence[UUID]) -> None:
    """The others of the album are done with the first one, and of its subject: whoever quotes them means its case."""
    if not others:
        return
    subject = (await session.exec(select(Received.subject_id).where(Received.id == row.id))).one()
    await session.execute(
        update(Received)
        .where(col(Received.id).in_(others))
        .values(subject_id=subject, run_at=None, lease_until=None, dead_at=None, last_error=None)
        .execution_options(synchronize_session=False)
    )


async def mark(session: AsyncSession, row: Received, entry_id: UUID) -> None:
    """This line is the album's."""
    if row.album is not None:
        await session.execute(
            update(Entry)
            .where(col(Entry.id) == entry_id)
            .values(album=_name(row))
            .execution_options(synchronize_session=False)
        )


async def line_of(session: AsyncSession, row: Received) -> Entry | None:
    """The line that the album is already. With the sender's lock held nobody else makes it meanwhile."""
    if row.album is None:
        return None
    return (await session.exec(select(Entry).where(Entry.album == _name(row)).order_by(col(Entry.id)))).first()


async def complete(
    session: AsyncSession, routing: Routing, line: Entry, text: str | None, wordless: str, at: datetime
) -> Case:
    """The words of an album come after its line was written: they are the line's, and the report's if it is one.

    `wordless` is what stands there as long as there are no words. Where they name a place and none is known, it is
    the case's.
    """
    case = await session.get_one(Case, line.case_id, with_for_update=True)
    if not text:
        return case
    line.text = text if line.text == wordless else f"{line.text}\n\n{text}"[:10_000]
    if line.kind == "report":
        say(case, line.text, routing, at)
    session.add_all((line, case))
    await record(
        session,
        "message.completed",
        at=at,
        actor_kind="citizen",
        case_id=case.id,
        restricted=case.restricted,
        data={"code": case.code, "channel": case.channel},
    )
    return case


def _name(row: Received) -> str:
    return f"{row.channel}:{row.account}:{row.album}"
