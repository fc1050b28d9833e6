"""Whose event it is: the citizen of an address, what is theirs, and which case they speak of."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Uuid, bindparam, func, text
from sqlalchemy import select as sql_select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import citizens, joining, merging, people
from cases.codes import read_code
from cases.models import Case, Entry, Identity
from cases.states import Status
from channels import inbox, threads
from channels.message import Address, InboundMessage
from core.db import Moment
from core.errors import Invalid
from core.ids import uuid7

PROVEN: Final = frozenset({"telegram"})  # channels that a shared number is proved to be the sharer's own by
LONGEST_LOOK_BACK = timedelta(days=60)
_CODE = re.compile(r"\b[A-Za-z]{1,4}[-\s]?[0-9]{2}[-\s]?[0-9]{7,12}\b")

ReplyCode = Callable[[InboundMessage], str | None]


async def citizen_at(session: AsyncSession, sender: Address, at: datetime) -> UUID:
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


async def learn_contact(session: AsyncSession, who: UUID, message: InboundMessage, at: datetime) -> None:
    """A number the citizen shared themselves: theirs from now on unless it is somebody else's already.

    Where the vendor has proved that it is theirs, that somebody is the same person, unless a colleague knows better.
    """
    phone = phone_of((message.contact or {}).get("phone"))
    if phone is None:
        return
    new = insert(Identity).values(id=uuid7(at), citizen_id=who, scheme="phone", handle=phone, seen_at=at)
    new = new.on_conflict_do_nothing(index_elements=["scheme", "handle"])
    if (await session.execute(new.returning(col(Identity.id)))).first() is None and message.channel in PROVEN:
        owner = select(Identity.citizen_id).where(Identity.scheme == "phone", Identity.handle == phone)
        await merging.merge_proven(session, (await session.exec(owner)).one(), who, at)


def phone_of(number: str | None) -> str | None:
    try:
        return citizens.phone_number(number) if number else None
    except Invalid:
        return None


async def named_case(session: AsyncSession, reply_code: ReplyCode, message: InboundMessage) -> tuple[Case | None, bool]:
    """The case a message names, and whether only somebody who had mail or a message of that case could name it so.

    Strong to weak: a reply address we signed, what it answers, a code in its text or subject. The last anybody can
    type: by itself it leads nowhere but to a case of the sender's own.
    """
    if (code := reply_code(message)) is not None and (case := await _case_of(session, code)) is not None:
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


async def known_cases(session: AsyncSession, who: UUID, at: datetime) -> list[joining.Known]:
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
        sql_select(
            col(Case.id), col(Case.status), col(Case.received_at), heard, touched, col(Case.channel), col(Case.text)
        )
        .where(
            people.cases_of(who),
            col(Case.merged_into).is_(None),
            col(Case.status) != Status.SPAM.value,
            col(Case.received_at) > at - LONGEST_LOOK_BACK,
        )
        .order_by(col(Case.received_at).desc())
        .limit(20)
    )
    return [
        joining.Known(id, Status(status), received, said or received, last or received, channel, words)
        for id, status, received, said, last, channel, words in found.all()
    ]
