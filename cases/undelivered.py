"""Messages that wait for a person: the list, another try for one or many, and "I have called and told them"."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.commands import reply_sent
from cases.models import Case
from cases.queries import message_by_id, visible_to
from cases.unit_mail import present_mailbox
from channels import failures, waiting
from channels.chains import CHAINS
from channels.models import Outgoing
from core.errors import Conflict, DomainError
from core.ids import uuid7
from core.journal import record
from core.staff import Actor
from routing.queries import Routing

BY_PHONE: Final = "voice"  # the channel a message went by that a person said on the telephone
MOST_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Sought:
    """Which of them: on one channel, for one reason. None: all."""

    channel: str | None = None
    reason: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """As a query has them."""
        found = [col(Outgoing.channel) == self.channel] if self.channel else []
        if self.reason == failures.UNKNOWN:
            return [*found, col(Outgoing.state) == failures.UNKNOWN]
        return [*found, col(Outgoing.failure) == self.reason] if self.reason else found


async def not_delivered(
    session: AsyncSession, actor: Actor, *, after: UUID | None, limit: int, sought: Sought = Sought()
) -> list[tuple[Outgoing, str]]:
    """Messages that wait for a person, oldest first, with the codes of their cases; only of cases this person sees."""
    where = (_seen(actor), *sought.conditions())
    found = await waiting.not_delivered(session, after=after, limit=limit, where=where)
    named = select(Case.id, Case.code).where(col(Case.id).in_({each.subject_id for each in found}))
    codes = dict((await session.exec(named)).all())
    return [(each, codes[each.subject_id]) for each in found]


async def jams(session: AsyncSession, actor: Actor) -> list[waiting.Jam]:
    """Vendors that take nothing for now, as far as cases are concerned that this person sees."""
    return await waiting.jams(session, where=(_seen(actor),))


def needs_call(message: Outgoing) -> bool:
    """Whether every way has failed and somebody has to call the citizen."""
    return message.state == "failed" and message.addressee is None and CHAINS.ends_in_a_call(message.purpose)


def may_be_told(message: Outgoing) -> bool:
    """Whether it can be settled by having been said on the telephone: what is for a citizen and has not arrived."""
    return message.state in waiting.UNDELIVERED and message.addressee is None


async def resend(session: AsyncSession, actor: Actor, message_id: UUID, at: datetime) -> tuple[Outgoing, Case]:
    """This person wants a message tried again that did not leave, or of which nobody knows; NotFound, Conflict.

    One to a unit goes to the mailbox the unit has now.
    """
    message, case = await message_by_id(session, actor, message_id)
    if message.state == "dropped":
        raise Conflict("Thư này đã được thu hồi, không gửi lại.", "This letter was withdrawn and stays so.")
    mailbox = None
    if message.addressee is not None:
        # As a change of track leaves it, which withdraws such letters under the same lock.
        await session.refresh(case, with_for_update=True)
        await session.refresh(message)
        if case.restricted:
            raise Conflict(
                "Phản ánh này nay thuộc luồng hạn chế, không gửi thư về nó ra ngoài.",
                "This case is on a restricted track now; no letter about it leaves the house.",
            )
        mailbox = await present_mailbox(session, message.addressee)
    await waiting.resend(session, message.id, at, handle=mailbox)
    await record(
        session,
        "message.resend",
        at=at,
        actor_kind=actor.kind,
        actor_id=actor.id,
        case_id=case.id,
        subject=str(message.id),
        restricted=case.restricted,
        data={"channel": message.channel, "purpose": message.purpose, "was": message.state},
    )
    await session.refresh(message)
    return message, case


async def resend_all(
    session: AsyncSession, actor: Actor, ids: Sequence[UUID], at: datetime
) -> list[tuple[UUID, Outgoing | DomainError, str]]:
    """`resend` for many; of each the message and its case's code, or why not. One refused does not hinder another."""
    told: list[tuple[UUID, Outgoing | DomainError, str]] = []
    for id in dict.fromkeys(ids):
        try:
            async with session.begin_nested():
                message, case = await resend(session, actor, id, at)
            told.append((id, message, case.code))
        except DomainError as refused:
            told.append((id, refused, ""))
    return told


async def told_by_phone(
    session: AsyncSession, actor: Actor, routing: Routing, message_id: UUID, at: datetime
) -> tuple[Outgoing, Case]:
    """This person has called the citizen and said what the message says: it has arrived. NotFound, Conflict.

    Noted as one more way of the message, so that it is settled once.
    """
    message, case = await message_by_id(session, actor, message_id)
    await session.refresh(message, with_for_update=True)
    if not may_be_told(message):
        raise Conflict(
            "Tin nhắn này không còn chờ ai gọi điện báo.", "Nobody is to be called about this message any more."
        )
    call = Outgoing(
        id=uuid7(at),
        subject_id=message.subject_id,
        entry_id=message.entry_id,
        purpose=message.purpose,
        channel=BY_PHONE,
        scheme="phone",
        handle=case.contact.get("phone", "-"),
        text=message.text,
        reference=message.reference,
        title=message.title,
        step=message.step + 1,
        state="delivered",
        created_at=at,
        sent_at=at,
        delivered_at=at,
    )
    await waiting.passed(session, message.id)
    session.add(call)
    await record(
        session,
        "message.told",
        at=at,
        actor_kind=actor.kind,
        actor_id=actor.id,
        case_id=case.id,
        subject=str(message.id),
        restricted=case.restricted,
        data={"channel": message.channel, "purpose": message.purpose, "was": message.state},
    )
    await session.flush()
    await reply_sent(session, routing, call, at)
    return call, case


def _seen(actor: Actor) -> ColumnElement[bool]:
    return col(Outgoing.subject_id).in_(select(Case.id).where(visible_to(actor)))
