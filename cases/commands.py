"""Writes beside the table of actions: a reply that has left, windows that are over, a message tried again."""

from datetime import datetime
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import actions  # noqa: F401 - registers what each action does
from cases.desk import Office, perform
from cases.models import Case
from cases.queries import message_by_id
from cases.states import Action, Status
from cases.unit_mail import present_mailbox
from channels import outbox
from channels.models import Outgoing
from core.errors import Conflict
from core.journal import record
from core.staff import SYSTEM, Actor
from routing.queries import Routing


async def reply_sent(session: AsyncSession, routing: Routing, outgoing: Outgoing, at: datetime) -> None:
    """A message has left: if it is the answer that stands, the case is now replied. Anything else changes nothing."""
    if outgoing.purpose != "answer":
        return
    case = (await session.exec(select(Case).where(Case.id == outgoing.subject_id).with_for_update())).first()
    if case is not None and case.status == Status.ANSWERED and case.answer_id == outgoing.entry_id:
        await perform(session, Office(routing, frozenset()), SYSTEM, case.id, Action.REPLY, {}, at)


async def close_due(session: AsyncSession, routing: Routing, at: datetime, limit: int = 100) -> int:
    """Close replied cases whose window for rating and reopening is over; returns how many."""
    statement = (
        select(Case.id)
        .where(Case.status == Status.REPLIED.value, col(Case.close_after) <= at)
        .order_by(col(Case.close_after))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = (await session.exec(statement)).all()
    for case_id in found:
        await perform(session, Office(routing, frozenset()), SYSTEM, case_id, Action.CLOSE, {}, at)
    return len(found)


async def resend(session: AsyncSession, actor: Actor, message_id: UUID, at: datetime) -> tuple[Outgoing, Case]:
    """This person wants a message tried again that did not leave, or of which nobody knows; NotFound, Conflict.

    One to a unit goes to the mailbox the unit has now.
    """
    message, case = await message_by_id(session, actor, message_id)
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
        if message.state == "dropped":
            raise Conflict("Thư này đã được thu hồi, không gửi lại.", "This letter was withdrawn and stays so.")
        mailbox = await present_mailbox(session, message.addressee)
    await outbox.resend(session, message.id, at, handle=mailbox)
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
