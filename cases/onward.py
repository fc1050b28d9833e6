"""A message to a citizen has failed for good: the next way of its chain, or a person who calls.

Runs in the transaction that records the failure, whoever found it: the worker that was sending, or a vendor's report.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import digests, people, replies
from cases.desk import Office
from cases.models import Case
from cases.notice_ways import NOTICES
from cases.reach import CHANNEL_OF, ways
from cases.states import Status
from cases.wording import Words
from channels import failures, outbox
from channels.adapter import Failure
from channels.chains import CHAINS, Step
from channels.message import Address
from channels.models import Outgoing, Thread
from channels.settling import RECEIPT
from core.journal import record


async def message_failed(session: AsyncSession, office: Office, failed: Outgoing, at: datetime) -> None:
    """Let a failed message go on where its chain, its purpose and the citizen's addresses allow; else it stays.

    Letters to units and what only stands on the tracking page have no other way; one-time codes are of no case. What
    was for staff goes on by the ways that are theirs.
    """
    if failed.purpose == NOTICES:
        await digests.not_arrived(session, office.channels, failed, at, site=office.site)
        return
    case = await session.get(Case, failed.subject_id)
    if case is None:
        return
    by_chain = failed.addressee is None and failed.scheme != outbox.TRACKING
    to = await _pass_on(session, office, case, failed, at) if by_chain else None
    if to is None and by_chain and CHAINS.is_dropped(failed.purpose):
        failed.state, failed.dead_at = "dropped", None
        session.add(failed)
    await record(
        session,
        "message.failed" if to is None else "message.passed",
        at=at,
        actor_kind="system",
        case_id=case.id,
        subject=str(failed.id),
        restricted=case.restricted,
        data={
            "channel": failed.channel,
            "purpose": failed.purpose,
            "why": failed.failure,
            "to": to,
        },
    )


async def _pass_on(session: AsyncSession, office: Office, case: Case, failed: Outgoing, at: datetime) -> str | None:
    """The channel it goes on by; None when no way is left. An address where nobody is, is remembered as such."""
    if failed.failure == failures.GONE and CHANNEL_OF.get(failed.scheme) == failed.channel:
        await people.unreachable(session, Address(failed.scheme, failed.handle), failed.last_error or "", at)
        await session.flush()
    before = await _before(session, failed)
    found = None if case.status == Status.SPAM or _is_our_fault(failed) else await _next(session, office, case, before)
    if found is None:
        return None
    step, to = found
    text, whole = _text(office, case, before[0], step), step.way.says == "whole"
    await outbox.go_on(session, failed, channel=step.channel, to=to, text=text, whole=whole, at=at)
    return step.channel


def _is_our_fault(failed: Outgoing) -> bool:
    """A receipt whose vendor lets none of ours in. It stands on the list until that is mended and it is sent again:

    there is one for every report, and each would cost a message by telephone.
    """
    return failed.purpose == RECEIPT and failed.failure == Failure.REAUTHORISE


async def _before(session: AsyncSession, failed: Outgoing) -> Sequence[Outgoing]:
    """The messages for the same cause, the first one first."""
    rows = select(Outgoing).where(
        Outgoing.subject_id == failed.subject_id,
        Outgoing.purpose == failed.purpose,
        Outgoing.entry_id == failed.entry_id,
    )
    return (await session.exec(rows.order_by(col(Outgoing.step)))).all()


async def _next(
    session: AsyncSession, office: Office, case: Case, before: Sequence[Outgoing]
) -> tuple[Step, Address] | None:
    """The next way of the chain that exists here and by which the citizen has an address."""
    steps = CHAINS.steps(before[0].purpose, [each.channel for each in before])
    addresses = {way.to.scheme: way.to for way in reversed(await ways(session, case))}
    for step in steps:
        to = addresses.get(step.way.scheme)
        if to is not None and step.channel in office.channels and await _fits(session, case, step):
            return step, to
    return None


async def _fits(session: AsyncSession, case: Case, step: Step) -> bool:
    """Whether there is something to answer that way, and it has not been said there before."""
    if step.way.needs is not None:
        thread = await session.get(Thread, (case.id, step.way.scheme))
        if thread is None or not thread.thread.get(step.way.needs):
            return False
    if not step.way.once:
        return True
    said = select(Outgoing.id).where(Outgoing.subject_id == case.id, Outgoing.channel == step.channel)
    return (await session.exec(said.limit(1))).first() is None


def _text(office: Office, case: Case, first: Outgoing, step: Step) -> str:
    """As much of the message as the way is to carry."""
    if step.way.says == "whole":
        return first.text
    if step.way.says == "public":
        return replies.answered_elsewhere(office.site, case.language)
    words = Words(office.routing.wordings, office.site)
    said = replies.elsewhere(first.purpose)
    if first.purpose == RECEIPT:
        said = replies.receipt(case.received_at.astimezone(office.routing.rulebook(case.rule_set_id).zone))
    return words.say(said, case.code, channel=step.channel, language=case.language)
