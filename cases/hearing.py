"""What we hear of our own words: delivered, read, refused, rated; said in our name elsewhere; and words taken back."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select as sql_select
from sqlalchemy import union
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import people
from cases.desk import Office, perform
from cases.lines import words_of, write_line
from cases.models import Case, Identity
from cases.onward import message_failed
from cases.opting import refused
from cases.queries import follow_merges
from cases.senders import known_cases
from cases.states import Action, Status
from channels import inbox, threads
from channels.message import Address, InboundMessage
from channels.models import Outgoing, OutgoingPart, Thread
from core.journal import record
from core.staff import CITIZEN

NOTED_LATER: Final = timedelta(seconds=5)  # at most, between a vendor's own time of a message and our note of it


class TooEarly(Exception):
    """It speaks of a message of ours that is still being sent: what the vendor calls it is not written down yet."""


async def told(session: AsyncSession, office: Office, message: InboundMessage, at: datetime) -> str:
    """What became of messages of ours."""
    status = "read" if message.kind == "read" else message.status or "delivered"
    refs = list(message.refs)
    if watermark := message.thread.get("watermark"):
        refs += await _until(session, message, watermark)
    complained = await refused(session, message, at)
    changed = await threads.report_status(session, message.channel, refs, status, message.error, at)
    ours, part = _own_id(message.thread.get("message"))
    if ours is not None and refs and not changed:
        failed = await threads.settle_doubt(session, message.channel, ours, part, refs[0], status, message.error, at)
        changed = [failed] if failed is not None else []
    elif not changed and message.kind != "bounce":  # a mail's id is ours from the start
        await _not_too_early(session, message.channel, refs, message.sender.handle if message.sender else None)
    for outgoing in changed:
        case = await session.get(Case, outgoing.subject_id)
        if outgoing.state == threads.FAILED:
            await message_failed(session, office, outgoing, at)
        elif case is not None:
            await people.reachable(session, Address(outgoing.scheme, outgoing.handle), at)
            await record(
                session,
                f"message.{status}",
                at=at,
                actor_kind="system",
                case_id=case.id,
                subject=str(outgoing.id),
                restricted=case.restricted,
                data={"channel": outgoing.channel, "purpose": outgoing.purpose},
            )
    return complained or (status if changed else "no news")


def _own_id(repeated: object) -> tuple[UUID | None, int]:
    """Our own id of a message, as its vendor repeats it, and which part of it is meant: `<id>` or `<id>:<part>`."""
    id, _, part = str(repeated or "").partition(":")
    try:
        return UUID(id), int(part) if part.isascii() and part.isdigit() and len(part) < 4 else 0
    except ValueError:
        return None, 0


async def _not_too_early(session: AsyncSession, channel: str, refs: Sequence[str], handle: str | None) -> None:
    """TooEarly when these ids are unknown and may become known with what is being sent: vendors are that quick."""
    unknown = refs and await threads.subject_of(session, channel, refs) is None
    if unknown and await threads.being_sent(session, channel, handle):
        raise TooEarly


async def _until(session: AsyncSession, message: InboundMessage, watermark: str) -> list[str]:
    """Ids of what we sent to this person up to a moment: some vendors tell of readings by that alone."""
    if message.sender is None:
        return []
    moment = datetime.fromisoformat(watermark)
    whom = (Identity.scheme == message.channel, Identity.handle == message.sender.handle)
    who = (await session.exec(select(Identity.citizen_id).where(*whom))).first()
    talked = (col(Thread.channel) == message.channel, col(Thread.handle) == message.sender.handle)
    subjects = union(  # few, where otherwise all that was ever sent would be looked through
        sql_select(col(Thread.subject_id)).where(*talked), sql_select(col(Case.id)).where(people.cases_of(who))
    )
    sent = (
        select(OutgoingPart.vendor_id)
        .join(Outgoing, col(Outgoing.id) == col(OutgoingPart.outgoing_id))
        .where(
            col(Outgoing.subject_id).in_(subjects),
            col(Outgoing.channel) == message.channel,
            col(Outgoing.handle) == message.sender.handle,
            col(Outgoing.sent_at) <= moment + NOTED_LATER,
            col(Outgoing.state).in_(("sent", "delivered")),
        )
    )
    return list((await session.exec(sent)).all())


async def echoed(session: AsyncSession, message: InboundMessage, at: datetime) -> str:
    """Something was said in our name: by us, which we know, or by a colleague in the vendor's own inbox."""
    ours, part = _own_id(message.thread.get("outgoing"))
    if ours is not None:
        await threads.settle_doubt(session, message.channel, ours, part, message.external_id, "sent", None, at)
    if ours is not None or await threads.subject_of(session, message.channel, [message.external_id]) is not None:
        return "our own"
    handle = message.thread.get("to")
    if handle is None:
        return "nobody it was said to"
    await _not_too_early(session, message.channel, [message.external_id], handle)
    whom = (Identity.scheme == message.channel, Identity.handle == handle)  # a vendor's own ids are called as it is
    who = (await session.exec(select(Identity.citizen_id).where(*whom))).first()
    known = await known_cases(session, who, at) if who is not None else []
    here = [case for case in known if case.channel == message.channel]
    if not here:
        return "of no case"
    newest = max(here, key=lambda case: case.touched_at)
    case = await session.get_one(Case, newest.id, with_for_update=True)
    await write_line(session, case, "elsewhere", words_of(message), at, "message.elsewhere", message, to_citizen=True)
    return "said elsewhere"


async def rated(session: AsyncSession, office: Office, message: InboundMessage, at: datetime) -> str:
    """Stars a citizen gave in the vendor's own form, for the answer it was asked about."""
    subject = await threads.subject_of(session, message.channel, list(message.refs))
    rating = message.rating or {}
    if subject is None or rating.get("value") not in (1, 2, 3, 4, 5):
        return "rates nothing we know"
    body = {"rating": rating["value"]} | ({"text": rating["text"]} if rating.get("text") else {})
    case = await follow_merges(session, await session.get_one(Case, subject), lock=True)
    if case.status not in (Status.REPLIED, Status.CLOSED):
        return "not answered yet"
    await perform(session, office, CITIZEN, case.id, Action.RATE, body, at)
    return "rated"


async def taken_back(session: AsyncSession, message: InboundMessage, at: datetime) -> str:
    """The citizen took a message back where they wrote it: said on the case, which keeps it (Luật Lưu trữ)."""
    origin = await inbox.by_external_id(session, message.channel, message.account, list(message.refs))
    if origin is None or origin.subject_id is None:
        return "of no case"
    case = await follow_merges(session, await session.get_one(Case, origin.subject_id), lock=True)
    said = "Người dân đã xóa một tin nhắn trên kênh của họ."
    await write_line(session, case, "note", said, at, "message.deleted", message)
    return "noted"
