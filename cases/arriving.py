"""A vendor's event becomes part of a case: the one it answers, the one it continues, or a new one.

Runs in the worker, one transaction an event, the oldest of each sender first. The identity's row is the lock of the
sender: two events of one person are never worked on at the same time, whoever claimed them.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import (
    actions,  # noqa: F401 - registers what each action does
    albums,
    citizens,
    joining,
    notice_links,
    people,
)
from cases.desk import Office, perform
from cases.hearing import echoed, rated, taken_back, told
from cases.intake import Report, prepare
from cases.lines import NO_WORDS, say, words_of, write_line
from cases.models import Case, CaseLink, Entry
from cases.opting import OPTING, opted
from cases.queries import follow_merges
from cases.senders import ReplyCode, citizen_at, known_cases, learn_contact, named_case, phone_of
from cases.states import Action, Status
from channels import threads
from channels.message import Address, InboundMessage
from channels.models import Fetch, Received
from core import auth
from core.db import bare
from core.errors import TooMany
from core.ids import uuid7
from core.staff import CITIZEN

AUTOMATIC: Final = (5, 3600)  # answers by machine to one address in so many seconds: no loop lives on us
SAYING: Final = frozenset({"message", "comment", "contact_shared", "edited"})
TELLING: Final = frozenset({"delivery", "read", "bounce"})
SPOKEN: Final = "voice"  # nothing can be written into a call: who took the words tells the code elsewhere
NO_FILES: Final = frozenset({"text/uri-list", "image/x-sticker"})  # a link that was shared; a vendor's own drawing


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What taking in an event needs of its process; `reply_code` reads a case code that only we can have signed."""

    office: Office
    reply_code: ReplyCode = lambda message: None


async def arrive(session: AsyncSession, here: Arrivals, row: Received, message: InboundMessage, at: datetime) -> str:
    """Make of one event what there is to make of it; in a word what that was, for the row and the log."""
    if message.kind in TELLING:
        return await told(session, here.office, message, at)
    if message.kind == "echo":
        return await echoed(session, message, at)
    if message.kind == "rating":
        return await rated(session, here.office, message, at)
    if message.kind == "deleted":
        return await taken_back(session, message, at)
    intake = here.office.intake
    if staff := await notice_links.heard(session, intake.secret, message, at, here.office.site):
        return staff
    if message.kind in SAYING and message.sender is not None:
        return await _said(session, here, row, message, message.sender, at)
    if message.kind in OPTING and message.sender is not None:
        return await opted(session, message, message.sender, at)
    return "nothing to do"


async def _said(
    session: AsyncSession, here: Arrivals, row: Received, message: InboundMessage, sender: Address, at: datetime
) -> str:
    """Words, files or a place from a person, or from a machine in their name."""
    who = await citizen_at(session, sender, at)
    if message.kind == "contact_shared":
        await learn_contact(session, who, message, at)
    same = await people.lock(session, who)
    if not message.automatic:
        await people.resume(session, sender, at)
    if (line := await albums.line_of(session, row)) is not None:
        case = await albums.complete(session, here.office.routing, line, message.text, NO_WORDS[True], at)
        row.subject_id = case.id
        session.add(row)
        await _follow(session, message, case.id, line.id, sender, at)
        return "more of an album"
    named, trusted = await named_case(session, here.reply_code, message)
    if named is not None:
        live = await follow_merges(session, named, lock=True)
        theirs = bool({live.citizen_id, named.citizen_id} & {*same}) or (
            live.contact.get(sender.scheme) == sender.handle
        )
        if message.automatic or (trusted and not theirs):
            return await _noted(session, live, message, sender, at)
        if theirs and _takes(live, at):
            return await _add(session, here, row, message, live, sender, named if live is not named else None, at)
    if message.automatic:
        return "automatic, of no case"
    known = await known_cases(session, who, at)
    if _says_nothing(message):
        return await _number_alone(session, message, known, at) or "nothing said"
    place = joining.place_of(joining.Said(message.text, message.channel, at), known)
    if place.join is not None:
        case = await session.get_one(Case, place.join, with_for_update=True)
        if _takes(case, at):
            return await _add(session, here, row, message, case, sender, None, at)
    maybe = place.maybe or (named.id if named is not None and named.citizen_id in same else None)
    return await _open(session, here, row, message, sender, who, maybe, at)


async def _open(
    session: AsyncSession,
    here: Arrivals,
    row: Received,
    message: InboundMessage,
    sender: Address,
    who: UUID,
    maybe: UUID | None,
    at: datetime,
) -> str:
    """A new case, in the event's own row; linked with the one it may be the same as."""
    intake = here.office.intake
    driver = await bare(session)
    own = (message.contact or {}) if message.kind == "contact_shared" else {}  # anybody else's stands in the text
    report = Report(
        channel=message.channel,
        text=words_of(message),
        lat=message.location[0] if message.location else None,
        lng=message.location[1] if message.location else None,
        name=own.get("name") or sender.name,
        phone=phone_of(own.get("phone")) or (sender.handle if sender.scheme == "phone" else None),
        email=sender.handle if sender.scheme == "email" else None,
        sender=sender,
        receipt=await _may_answer(session, message, sender, at),
    )
    statement, arguments, opened = prepare(
        intake,
        report,
        await intake.numbers.take(driver),
        key=row.external_id,
        at=row.received_at,
        account=row.account,
        citizen_id=who,
        received=row.id,
    )
    if await driver.fetchrow(statement, *arguments) is None:
        raise RuntimeError("the event has a case already")
    if maybe is not None:
        session.add(CaseLink(case_id=maybe, other_id=opened.case_id, kind="maybe_same", at=at))
    first = (
        await session.exec(select(Entry.id).where(Entry.case_id == opened.case_id).order_by(col(Entry.id)))
    ).first()
    assert first is not None
    await albums.mark(session, row, first)
    await _follow(session, message, opened.case_id, first, sender, at)
    return "opened"


async def _add(
    session: AsyncSession,
    here: Arrivals,
    row: Received,
    message: InboundMessage,
    case: Case,
    sender: Address,
    came_by: Case | None,
    at: datetime,
) -> str:
    """A further message in a case; `came_by` is the merged one whose thread it came in."""
    body: dict[str, Any] = {"text": words_of(message)}
    if came_by is not None:
        body["via"] = came_by.id
    if message.location is not None:
        body |= {"lat": message.location[0], "lng": message.location[1]}
    await perform(session, here.office, CITIZEN, case.id, Action.ADD_MESSAGE, body, at)
    _keep_number(case, message)
    if message.text and case.text in NO_WORDS.values():  # a photo or a place came first, and now what it is about
        say(case, words_of(message), here.office.routing, at)
    line = (
        await session.exec(
            select(Entry.id).where(Entry.case_id == case.id, Entry.kind == "message").order_by(col(Entry.id).desc())
        )
    ).first()
    assert line is not None
    row.subject_id = case.id
    session.add(row)
    await albums.mark(session, row, line)
    await _follow(session, message, case.id, line, sender, at)
    return "added"


async def _noted(session: AsyncSession, case: Case, message: InboundMessage, sender: Address, at: datetime) -> str:
    """What a machine or somebody else wrote into the thread of a case: for staff to read, and nothing happens by it."""
    shown = citizens.masked({"email": sender.handle} if sender.scheme == "email" else {"name": sender.name or ""})
    who = "Thư tự động" if message.automatic else "Người khác viết vào luồng này"
    from_whom = next((value for value in shown.values() if value), None)
    said = f"{who}{f' ({from_whom})' if from_whom else ''}:\n{words_of(message)}"
    await write_line(session, case, "note", said, at, "message.noted", message)
    return "noted"


async def _follow(
    session: AsyncSession, message: InboundMessage, case_id: UUID, entry_id: UUID, sender: Address, at: datetime
) -> None:
    """Remember where to answer, and have the files fetched while the vendor still has them."""
    thread = {**message.thread, "message_id": message.external_id}
    await threads.heard(session, case_id, message.channel, sender, thread, message.sent_at or at)
    for file in message.attachments:
        if file.media_type in NO_FILES:
            continue
        session.add(
            Fetch(
                id=uuid7(at),
                subject_id=case_id,
                entry_id=entry_id,
                channel=message.channel,
                file=asdict(file),
                created_at=at,
                run_at=at,
            )
        )


def _keep_number(case: Case, message: InboundMessage) -> bool:
    """A number that was shared in the conversation is where its case can be rung back. Whether it was missing."""
    phone = phone_of((message.contact or {}).get("phone")) if message.kind == "contact_shared" else None
    if phone is None or "phone" in case.contact:
        return False
    case.contact = {**case.contact, "phone": phone}
    return True


async def _number_alone(
    session: AsyncSession, message: InboundMessage, known: Sequence[joining.Known], at: datetime
) -> str | None:
    """A number shared without a word belongs to what was being talked about; None where that is nothing."""
    here = [case for case in known if case.channel == message.channel]
    if message.kind != "contact_shared" or not here:
        return None
    newest = max(here, key=lambda case: case.touched_at)
    case = await session.get_one(Case, newest.id, with_for_update=True)
    if not _takes(case, at) or not _keep_number(case, message):
        return None
    session.add(case)
    await write_line(session, case, "note", "Người dân đã chia sẻ số điện thoại.", at, "message.contact", message)
    return "number kept"


def _takes(case: Case, at: datetime) -> bool:
    """Whether a message may still go into this case: it lives, or ended not long ago."""
    if case.status in (Status.SPAM, Status.MERGED):
        return False
    over = case.ended_at or case.replied_at
    return over is None or at - over <= joining.FRESH


async def _may_answer(session: AsyncSession, message: InboundMessage, sender: Address, at: datetime) -> bool:
    """Whether a machine of ours may answer: not to another machine, not where another one talks, not without end."""
    if message.automatic or message.thread.get("standby"):
        return False
    if sender.scheme == "anonymous" and not message.thread.get("conversation_id"):
        return False  # there is no way back, or it leads to a whole group
    if message.channel == SPOKEN:
        return False
    try:
        await auth.count_try(session, {f"auto:{message.channel}:{sender.handle}": AUTOMATIC}, at)
    except TooMany:
        return False
    return True


def _says_nothing(message: InboundMessage) -> bool:
    stickers = all(file.media_type == "image/x-sticker" for file in message.attachments)
    return not message.text and not message.subject and message.location is None and stickers
