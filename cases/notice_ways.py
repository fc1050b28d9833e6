"""How each person wants to be told outside the console: at once, in one letter a day, or not; and that it is theirs.

An address counts only after a code that was sent there has come back. On Telegram and Zalo the code goes the other way:
the page shows it and the person sends it to the centre (`cases.notice_links`).
"""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import notice_words
from cases.duty_models import Notice, NoticeCode, NoticeWay
from cases.notices import next_post
from channels import outbox
from channels.message import Address
from channels.models import Outgoing
from channels.waiting import UNDELIVERED
from core.errors import Conflict, Invalid, NotAllowed
from core.ids import uuid7
from core.journal import record
from core.sealing import checksum
from core.staff import Actor
from core.text import is_email
from routing.queries import Routing

MODES: Final = ("at_once", "digest", "none")
EMAIL, TELEGRAM, ZALO = "email", "telegram", "zalo"
CHANNELS: Final = (EMAIL, ZALO, TELEGRAM)
LASTS: Final = timedelta(minutes=10)
MOST_TRIES: Final = 5
USUAL_TIME: Final = time(7, 30)
CODE, NOTICES = "unit.code", "unit.notices"  # purposes: letters to those who work here, which no machine answers


async def ways_of(session: AsyncSession, who: Actor) -> Sequence[NoticeWay]:
    """The ways this person has proved to be theirs, by channel."""
    rows = select(NoticeWay).where(NoticeWay.staff_id == who.id).order_by(col(NoticeWay.channel))
    return (await session.exec(rows)).all()


async def waiting(session: AsyncSession, who: Actor, at: datetime) -> Sequence[NoticeCode]:
    """Codes that this person may still give back."""
    rows = select(NoticeCode).where(
        NoticeCode.staff_id == who.id, col(NoticeCode.expires_at) > at, col(NoticeCode.tries) < MOST_TRIES
    )
    return (await session.exec(rows)).all()


@dataclass(frozen=True, slots=True)
class Failing:
    """The last message by a way did not arrive: why, and whether it went another way of the same channel instead."""

    failure: str | None
    instead: bool


async def failing(session: AsyncSession, who: Actor) -> dict[str, Failing]:
    """The ways by which the last message did not arrive."""
    last: dict[str, Failing] = {}
    for channel in CHANNELS:
        newest = (
            select(Outgoing)
            .where(Outgoing.subject_id == who.id, Outgoing.purpose == NOTICES, Outgoing.channel == channel)
            .order_by(col(Outgoing.id).desc())
            .limit(1)
        )
        found = (await session.exec(newest)).first()
        if found is None or found.state not in (*UNDELIVERED, "passed"):
            continue
        onward = select(Outgoing.state).where(
            Outgoing.subject_id == who.id,
            Outgoing.purpose == NOTICES,
            Outgoing.entry_id == found.entry_id,
            Outgoing.step == found.step + 1,
        )
        then = (await session.exec(onward)).first()
        last[channel] = Failing(found.failure, then is not None and then not in UNDELIVERED)
    return last


async def ask(session: AsyncSession, secret: bytes, who: Actor, address: str, at: datetime) -> None:
    """Send a code to a mail address that shall be this person's; an earlier one is void. Invalid."""
    handle = address.strip().lower()
    if not is_email(handle):
        raise Invalid.at("address", "Địa chỉ e-mail không đúng.", "Not an e-mail address.", "email")
    digits = f"{secrets.randbelow(10**6):06}"
    person = person_of(who)
    await keep(session, person, EMAIL, handle, _digits_digest(secret, person, digits), at)
    title, said = notice_words.code_letter(digits, LASTS // timedelta(minutes=1))
    await outbox.enqueue(
        session,
        subject_id=person,  # not a case: none of the messages that staff look after
        entry_id=uuid7(at),
        purpose=CODE,
        to=Address(EMAIL, handle),
        channel=EMAIL,
        text=said,
        reference="",
        at=at,
        title=title,
    )


async def confirm(session: AsyncSession, secret: bytes, who: Actor, digits: str, at: datetime) -> bool:
    """The code that came by mail: from now on the address is theirs. The try counts either way: commit it."""
    person = person_of(who)
    counted = (
        update(NoticeCode)
        .where(
            col(NoticeCode.staff_id) == person,
            col(NoticeCode.channel) == EMAIL,
            col(NoticeCode.expires_at) > at,
            col(NoticeCode.tries) < MOST_TRIES,
        )
        .values(tries=col(NoticeCode.tries) + 1)
        .returning(col(NoticeCode.handle), col(NoticeCode.digest))
        .execution_options(synchronize_session=False)
    )
    live = (await session.execute(counted)).first()
    digest = live.digest if live is not None else bytes(32)
    right = hmac.compare_digest(_digits_digest(secret, person, digits.strip()), digest)
    if live is None or not right:
        return False
    await prove(session, person, EMAIL, live.handle, at)
    return True


async def choose(
    session: AsyncSession, routing: Routing, who: Actor, channel: str, mode: str, digest_at: str, at: datetime
) -> None:
    """At once, with one message a day at that local time, or not at all. Invalid, Conflict before it is proved."""
    if mode not in MODES:
        raise Invalid.at("mode", "Hãy chọn một cách nhận.", "Choose how to be told.", "unknown")
    try:
        moment = time.fromisoformat(digest_at) if digest_at else USUAL_TIME
    except ValueError:
        raise Invalid.at("digest_at", "Giờ nhận thư chưa đúng.", "Not a time.", "time") from None
    way = await session.get(NoticeWay, (person_of(who), channel), with_for_update=True)
    if way is None:
        raise Conflict("Hãy xác nhận địa chỉ trước.", "Prove the address first.")
    wanted_nothing = way.mode == "none"
    way.mode, way.digest_at = mode, moment.replace(second=0, microsecond=0, tzinfo=None)
    way.next_at = None
    if wanted_nothing:  # what happened meanwhile stays in the console
        way.upto = await _newest(session, way.staff_id)
    elif mode != "none" and await _unposted(session, way):
        way.next_at = next_post(way, at, routing.at(at).book.zone, pressing=False)
    session.add(way)
    await _note(session, who, "notices.choose", at, channel=channel, mode=mode)


async def drop(session: AsyncSession, who: Actor, channel: str, at: datetime) -> None:
    """This address is not to be written to any more; what waits for it does not leave."""
    person = person_of(who)
    await session.execute(delete(NoticeWay).where(col(NoticeWay.staff_id) == person, col(NoticeWay.channel) == channel))
    await session.execute(
        update(Outgoing)
        .where(
            col(Outgoing.subject_id) == person,
            col(Outgoing.purpose) == NOTICES,
            col(Outgoing.channel) == channel,
            col(Outgoing.state) == "queued",
        )
        .values(state="dropped", run_at=None, lease_until=None)
        .execution_options(synchronize_session=False)
    )
    await _note(session, who, "notices.drop", at, channel=channel)


async def forget(session: AsyncSession, at: datetime) -> int:
    """Codes that have run out."""
    gone = await session.execute(text("DELETE FROM notice_codes WHERE expires_at <= :at"), {"at": at})
    return int(gone.rowcount)  # type: ignore[attr-defined]


async def keep(
    session: AsyncSession, person: UUID, channel: str, handle: str | None, digest: bytes, at: datetime
) -> None:
    """A code by which this person may prove an address on this channel; the one before is void."""
    fresh = insert(NoticeCode).values(
        staff_id=person, channel=channel, handle=handle, digest=digest, tries=0, expires_at=at + LASTS
    )
    replaced = {name: fresh.excluded[name] for name in ("handle", "digest", "tries", "expires_at")}
    await session.execute(fresh.on_conflict_do_update(index_elements=["staff_id", "channel"], set_=replaced))


async def prove(session: AsyncSession, person: UUID, channel: str, handle: str, at: datetime) -> None:
    """The address is theirs from now on. What they were told before stays in the console."""
    await session.execute(
        delete(NoticeCode).where(col(NoticeCode.staff_id) == person, col(NoticeCode.channel) == channel)
    )
    fresh = insert(NoticeWay).values(
        staff_id=person,
        channel=channel,
        mode="digest",
        handle=handle,
        verified_at=at,
        digest_at=USUAL_TIME,
        upto=await _newest(session, person),
    )
    replaced = {name: fresh.excluded[name] for name in ("handle", "verified_at")}
    await session.execute(fresh.on_conflict_do_update(index_elements=["staff_id", "channel"], set_=replaced))
    await record(
        session,
        "notices.prove",
        at=at,
        actor_kind="staff",
        actor_id=person,
        subject=str(person),
        data={"channel": channel},
    )


async def _newest(session: AsyncSession, person: UUID) -> int:
    return (await session.exec(select(func.max(Notice.id)).where(Notice.staff_id == person))).one() or 0


async def _unposted(session: AsyncSession, way: NoticeWay) -> bool:
    left = select(Notice.id).where(
        Notice.staff_id == way.staff_id, col(Notice.seen_at).is_(None), col(Notice.id) > way.upto
    )
    return (await session.exec(left.limit(1))).first() is not None


def person_of(who: Actor) -> UUID:
    """Whose notices they are. NotAllowed: nobody's, as of an API key."""
    if who.kind != "staff" or who.id is None:
        raise NotAllowed("Chỉ cán bộ nhận thông báo.", "Only members of staff are told.")
    return who.id


def _digits_digest(secret: bytes, person: UUID, digits: str) -> bytes:
    return checksum(secret, f"notice code {person}", digits)


async def _note(session: AsyncSession, who: Actor, kind: str, at: datetime, **data: str) -> None:
    await record(session, kind, at=at, actor_kind=who.kind, actor_id=who.id, subject=str(who.id), data=data)
