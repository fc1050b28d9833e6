"""A vendor's event becomes part of a case: the one it answers, the one it continues, or a new one.

Runs in the worker, one transaction an event, the oldest of each sender first. The identity's row is the lock of the
sender: two events of one person are never worked on at the same time, whoever claimed them.
"""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Uuid, bindparam, func, text
from sqlalchemy import select as sql_select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import (
    actions,  # noqa: F401 - registers what each action does
    citizens,
    joining,
)
from cases.codes import read_code
from cases.desk import WRITERS, Office, perform
from cases.intake import Report, prepare
from cases.models import Case, CaseLink, Entry, Identity
from cases.queries import follow_merges
from cases.states import Action, Status
from channels import inbox, threads
from channels.message import Address, InboundMessage
from channels.models import Fetch, Outgoing, OutgoingPart, Received
from core import auth
from core.db import Moment, bare
from core.errors import Invalid, TooMany
from core.ids import uuid7
from core.journal import record
from core.staff import CITIZEN

AUTOMATIC: Final = (5, 3600)  # answers by machine to one address in so many seconds: no loop lives on us
SAYING: Final = frozenset({"message", "comment", "contact_shared", "edited"})
TELLING: Final = frozenset({"delivery", "read", "bounce"})
NO_WORDS: Final = {True: "(Tệp gửi kèm, không có lời)", False: "(Vị trí, không có lời)"}
NO_FILES: Final = frozenset({"text/uri-list", "image/x-sticker"})  # a link that was shared; a vendor's own drawing
LONGEST_LOOK_BACK = timedelta(days=60)
_CODE = re.compile(r"\b[A-Za-z]{1,4}[-\s]?[0-9]{2}[-\s]?[0-9]{7,12}\b")

ReplyCode = Callable[[InboundMessage], str | None]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What taking in an event needs of its process; `reply_code` reads a case code that only we can have signed."""

    office: Office
    reply_code: ReplyCode = lambda message: None


async def arrive(session: AsyncSession, here: Arrivals, row: Received, message: InboundMessage, at: datetime) -> str:
    """Make of one event what there is to make of it; in a word what that was, for the row and the log."""
    if message.kind in TELLING:
        return await _told(session, message, at)
    if message.kind == "echo":
        return await _echoed(session, message, at)
    if message.kind == "rating":
        return await _rated(session, here, message, at)
    if message.kind == "deleted":
        return await _withdrawn(session, message, at)
    if message.kind in SAYING and message.sender is not None:
        return await _said(session, here, row, message, message.sender, at)
    return "nothing to do"


async def _said(
    session: AsyncSession, here: Arrivals, row: Received, message: InboundMessage, sender: Address, at: datetime
) -> str:
    """Words, files or a place from a person, or from a machine in their name."""
    who = await _who(session, sender, at)
    if message.kind == "contact_shared":
        await _learn_contact(session, who, message, at)
    named, trusted = await _named_case(session, here, message)
    if named is not None:
        live = await follow_merges(session, named, lock=True)
        theirs = live.citizen_id == who or named.citizen_id == who or live.contact.get(sender.scheme) == sender.handle
        if message.automatic or (trusted and not theirs):
            return await _noted(session, live, message, sender, at)
        if theirs and _takes(live, at):
            return await _add(session, here, row, message, live, sender, named if live is not named else None, at)
    if message.automatic:
        return "automatic, of no case"
    if _says_nothing(message):
        return "nothing said"
    known = await _known(session, who, at)
    place = joining.place_of(joining.Said(message.text, message.channel, at), known)
    if place.join is not None:
        case = await session.get_one(Case, place.join, with_for_update=True)
        if _takes(case, at):
            return await _add(session, here, row, message, case, sender, None, at)
    maybe = place.maybe or (named.id if named is not None and named.citizen_id == who else None)
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
        phone=_phone(own.get("phone")) or (sender.handle if sender.scheme == "phone" else None),
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
    line = (
        await session.exec(
            select(Entry.id).where(Entry.case_id == case.id, Entry.kind == "message").order_by(col(Entry.id).desc())
        )
    ).first()
    assert line is not None
    row.subject_id = case.id
    session.add(row)
    await _follow(session, message, case.id, line, sender, at)
    return "added"


async def _noted(session: AsyncSession, case: Case, message: InboundMessage, sender: Address, at: datetime) -> str:
    """What a machine or somebody else wrote into the thread of a case: for staff to read, and nothing happens by it."""
    shown = citizens.masked({"email": sender.handle} if sender.scheme == "email" else {"name": sender.name or ""})
    who = "Thư tự động" if message.automatic else "Người khác viết vào luồng này"
    from_whom = next((value for value in shown.values() if value), None)
    said = f"{who}{f' ({from_whom})' if from_whom else ''}:\n{words_of(message)}"
    await _write(session, case, "note", said, at, "message.noted", message)
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


async def _told(session: AsyncSession, message: InboundMessage, at: datetime) -> str:
    """What became of messages of ours."""
    status = "read" if message.kind == "read" else message.status or "delivered"
    refs = list(message.refs)
    if watermark := message.thread.get("watermark"):
        refs += await _until(session, message, watermark)
    changed = await threads.report_status(session, message.channel, refs, status, message.error, at)
    for outgoing in changed:
        case = await session.get(Case, outgoing.subject_id)
        if case is not None:
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
    return status if changed else "no news"


async def _until(session: AsyncSession, message: InboundMessage, watermark: str) -> list[str]:
    """Ids of what we sent to this person up to a moment: some vendors tell of readings by that alone."""
    if message.sender is None:
        return []
    moment = datetime.fromisoformat(watermark)
    sent = (
        select(OutgoingPart.vendor_id)
        .join(Outgoing, col(Outgoing.id) == col(OutgoingPart.outgoing_id))
        .where(
            col(Outgoing.channel) == message.channel,
            col(Outgoing.handle) == message.sender.handle,
            col(Outgoing.sent_at) <= moment,
            col(Outgoing.state).in_(("sent", "delivered")),
        )
    )
    return list((await session.exec(sent)).all())


async def _echoed(session: AsyncSession, message: InboundMessage, at: datetime) -> str:
    """Something was said in our name: by us, which we know, or by a colleague in the vendor's own inbox."""
    if await threads.subject_of(session, message.channel, [message.external_id]) is not None:
        return "our own"
    handle = message.thread.get("to")
    scheme = next((name for name in WRITERS if name == message.channel), None)
    if handle is None or scheme is None:
        return "nobody it was said to"
    who = (
        await session.exec(select(Identity.citizen_id).where(Identity.scheme == scheme, Identity.handle == handle))
    ).first()
    known = await _known(session, who, at) if who is not None else []
    here = [case for case in known if case.channel == message.channel]
    if not here:
        return "of no case"
    newest = max(here, key=lambda case: case.touched_at)
    case = await session.get_one(Case, newest.id, with_for_update=True)
    await _write(session, case, "elsewhere", words_of(message), at, "message.elsewhere", message, to_citizen=True)
    return "said elsewhere"


async def _rated(session: AsyncSession, here: Arrivals, message: InboundMessage, at: datetime) -> str:
    """Stars a citizen gave in the vendor's own form, for the answer it was asked about."""
    subject = await threads.subject_of(session, message.channel, list(message.refs))
    rating = message.rating or {}
    if subject is None or rating.get("value") not in (1, 2, 3, 4, 5):
        return "rates nothing we know"
    body = {"rating": rating["value"]} | ({"text": rating["text"]} if rating.get("text") else {})
    case = await follow_merges(session, await session.get_one(Case, subject), lock=True)
    if case.status not in (Status.REPLIED, Status.CLOSED):
        return "not answered yet"
    await perform(session, here.office, CITIZEN, case.id, Action.RATE, body, at)
    return "rated"


async def _withdrawn(session: AsyncSession, message: InboundMessage, at: datetime) -> str:
    """The citizen took a message back where they wrote it: said on the case, which keeps it (Luật Lưu trữ)."""
    origin = await inbox.by_external_id(session, message.channel, message.account, list(message.refs))
    if origin is None or origin.subject_id is None:
        return "of no case"
    case = await follow_merges(session, await session.get_one(Case, origin.subject_id), lock=True)
    said = "Người dân đã xóa một tin nhắn trên kênh của họ."
    await _write(session, case, "note", said, at, "message.deleted", message)
    return "noted"


async def _write(
    session: AsyncSession,
    case: Case,
    kind: str,
    said: str,
    at: datetime,
    journal: str,
    message: InboundMessage,
    *,
    to_citizen: bool = False,
) -> None:
    """A line that no person of ours wrote and that changes nothing else; screens hear of it by the journal."""
    session.add(
        Entry(
            id=uuid7(at),
            case_id=case.id,
            kind=kind,
            author_kind="system",
            text=said[:10_000],
            to_citizen=to_citizen,
            created_at=at,
        )
    )
    await record(
        session,
        journal,
        at=at,
        actor_kind="system",
        case_id=case.id,
        restricted=case.restricted,
        data={"code": case.code, "channel": message.channel},
    )


async def _who(session: AsyncSession, sender: Address, at: datetime) -> UUID:
    """The citizen of this address, made if there is none; holds the sender's lock until the transaction ends."""
    row = await session.execute(
        _WHO,
        {"id": uuid7(at), "new": uuid7(at), "scheme": sender.scheme, "handle": sender.handle, "at": at},
    )
    return UUID(str(row.scalar_one()))


_WHO = text(  # as in cases.intake: the identity's row is written even if it is known, and so locked
    "WITH who AS (INSERT INTO identities AS i (id, citizen_id, scheme, handle, seen_at) "
    "VALUES (:id, :new, :scheme, :handle, :at) "
    "ON CONFLICT (scheme, handle) DO UPDATE SET seen_at = greatest(i.seen_at, excluded.seen_at) RETURNING citizen_id), "
    "person AS (INSERT INTO citizens (id, created_at) SELECT citizen_id, :at FROM who WHERE citizen_id = :new) "
    "SELECT citizen_id FROM who"
).bindparams(bindparam("id", type_=Uuid()), bindparam("new", type_=Uuid()), bindparam("at", type_=Moment))


async def _learn_contact(session: AsyncSession, who: UUID, message: InboundMessage, at: datetime) -> None:
    """A number the citizen shared themselves: theirs from now on unless it is somebody else's already."""
    phone = _phone((message.contact or {}).get("phone"))
    if phone is None:
        return
    await session.execute(
        insert(Identity)
        .values(id=uuid7(at), citizen_id=who, scheme="phone", handle=phone, seen_at=at)
        .on_conflict_do_nothing(index_elements=["scheme", "handle"])
    )


async def _named_case(session: AsyncSession, here: Arrivals, message: InboundMessage) -> tuple[Case | None, bool]:
    """The case a message names, and whether only somebody who had mail or a message of that case could name it so.

    Strong to weak: a reply address we signed, what it answers, a code in its text or subject. The last anybody can
    type: by itself it leads nowhere but to a case of the sender's own.
    """
    if (code := here.reply_code(message)) is not None and (case := await _case_of(session, code)) is not None:
        return case, True
    thread = message.thread
    edited = message.refs if message.kind == "edited" else ()
    ids = [id for id in (*edited, thread.get("in_reply_to"), *reversed(thread.get("references") or [])) if id]
    subject = await threads.subject_of(session, message.channel, ids)
    if (
        subject is None
        and ids
        and (origin := await inbox.by_external_id(session, message.channel, message.account, ids))
    ):
        subject = origin.subject_id
    if subject is not None and (case := await session.get(Case, subject)) is not None:
        return case, True
    said = " ".join(filter(None, (thread.get("case_token"), message.subject, message.text)))
    for typed in _CODE.findall(said)[:5]:
        if (code := read_code(typed)) is not None and (case := await _case_of(session, code)) is not None:
            return case, False
    return None, False


async def _case_of(session: AsyncSession, code: str) -> Case | None:
    standard = read_code(code)
    return (await session.exec(select(Case).where(Case.code == standard))).first() if standard else None


async def _known(session: AsyncSession, who: UUID, at: datetime) -> list[joining.Known]:
    """The sender's cases that something may still be added to, newest first."""
    heard = (
        select(func.max(Entry.created_at))
        .where(Entry.case_id == Case.id, Entry.author_kind == "citizen")
        .correlate(Case)
        .scalar_subquery()
    )
    touched = (
        select(func.max(Entry.created_at))
        .where(Entry.case_id == Case.id, col(Entry.to_citizen))
        .correlate(Case)
        .scalar_subquery()
    )
    found = await session.execute(
        sql_select(col(Case.id), col(Case.status), col(Case.received_at), heard, touched, col(Case.channel))
        .where(
            col(Case.citizen_id) == who,
            col(Case.merged_into).is_(None),
            col(Case.status) != Status.SPAM.value,
            col(Case.received_at) > at - LONGEST_LOOK_BACK,
        )
        .order_by(col(Case.received_at).desc())
        .limit(20)
    )
    return [
        joining.Known(id, Status(status), received, said or received, last or received, channel)
        for id, status, received, said, last, channel in found.all()
    ]


def _takes(case: Case, at: datetime) -> bool:
    """Whether a message may still go into this case: it lives, or ended not long ago."""
    if case.status in (Status.SPAM, Status.MERGED):
        return False
    over = case.ended_at or case.replied_at
    return over is None or at - over <= joining.FRESH


async def _may_answer(session: AsyncSession, message: InboundMessage, sender: Address, at: datetime) -> bool:
    """Whether a machine of ours may answer: not to another machine, not where another one talks, not without end."""
    if message.automatic or message.thread.get("standby") or sender.scheme == "anonymous":
        return False
    try:
        await auth.count_try(session, {f"auto:{message.channel}:{sender.handle}": AUTOMATIC}, at)
    except TooMany:
        return False
    return True


def words_of(message: InboundMessage) -> str:
    """What stands in the case as the citizen's words; a subject line says what the text alone may not."""
    lines = [message.subject, message.text] if message.channel == "email" else [message.text]
    lines += [file.url for file in message.attachments if file.media_type == "text/uri-list"]
    said = "\n\n".join(line for line in lines if line)
    if message.kind == "edited":
        said = f"(Sửa tin nhắn trước) {said}"
    return said[:10_000].strip() or NO_WORDS[bool(message.attachments)]


def _says_nothing(message: InboundMessage) -> bool:
    stickers = all(file.media_type == "image/x-sticker" for file in message.attachments)
    return not message.text and not message.subject and message.location is None and stickers


def _phone(number: str | None) -> str | None:
    try:
        return citizens.phone_number(number) if number else None
    except Invalid:
        return None
