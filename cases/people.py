"""One person over many channels: who is the same, where they want no messages, how they like to be answered.

An address belongs to the citizen it came by for good. That two citizens are one person is said by
`citizens.merged_into` (cases.merging), and everything that asks for "the same person" asks here.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, any_, func, union_all
from sqlalchemy import select as sql_select
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.models import Case, Citizen, Identity
from cases.people_models import Consent
from cases.queries import sees_identity
from cases.reach import CHANNEL_OF
from channels.message import Address
from core.errors import Conflict, Invalid
from core.ids import uuid7
from core.journal import record
from core.staff import CENTRE_ROLES, CITIZEN, SYSTEM, Actor

PURPOSES: Final = ("answers", "care_calls", "surveys")
BY_MESSAGE: Final = ("answers", "surveys")  # what somebody takes back who wants no more messages on a channel
REMEMBERED: Final = frozenset({"phone", "email"})  # schemes whose handle may be stated to us by somebody who stopped
PREFERABLE: Final = ("sms", "email", "zalo", "facebook", "telegram")
AGREEABLE: Final = (*PREFERABLE, "voice")  # ways somebody agrees to be reached


def same_person(whose: Any) -> Any:
    """The ids of this citizen and of all who are the same person, as a query; `whose` is an id or a subquery of one."""
    me, other = aliased(Citizen), aliased(Citizen)
    root = func.coalesce(me.merged_into, me.id)
    return union_all(
        sql_select(root).where(col(me.id) == whose),
        sql_select(col(other.id)).join(me, col(other.merged_into) == root).where(col(me.id) == whose),
    )


def cases_of(whose: Any) -> ColumnElement[bool]:
    """Whether a case is one of this person's. An array, so that the index of cases by citizen serves any number."""
    return col(Case.citizen_id) == any_(func.array(same_person(whose).scalar_subquery()))


async def members(session: AsyncSession, citizen_id: UUID) -> list[UUID]:
    """The citizens that are this person, the one that stands for all first."""
    return [UUID(str(id)) for id in (await session.execute(same_person(citizen_id))).scalars()]


async def lock(session: AsyncSession, citizen_id: UUID) -> list[UUID]:
    """The same, holding the person: two events of one person are never worked on at once, nor while they are merged."""
    held, found = None, await members(session, citizen_id)
    while held != found[0]:  # they were merged while we waited: somebody else stands for them now
        held = found[0]
        await session.execute(
            sql_select(col(Citizen.id)).where(col(Citizen.id) == held).with_for_update(key_share=True)
        )
        found = await members(session, citizen_id)
    return found


def knows_people(actor: Actor, case: Case) -> bool:
    """Who is shown what else is known of a reporter: the centre, and inside a restricted track who is shown them."""
    return sees_identity(actor, case) if case.restricted else bool(actor.roles & CENTRE_ROLES)


async def stop(session: AsyncSession, who: Address, at: datetime, *, source: str = "asked") -> bool:
    """They want no messages at this address; whether that is news. `source`: how they said so.

    An unknown number or mailbox is remembered all the same: somebody may state it to us tomorrow.
    """
    identity = await _identity(session, who)
    if identity is None and who.scheme in REMEMBERED:
        identity = await _made(session, who, at)
    if identity is None or identity.stopped_at is not None:
        return False
    identity.stopped_at = at
    session.add(identity)
    await _agree(session, identity, BY_MESSAGE, False, source, at)
    await _note(session, "person.stopped", identity, at, source=source)
    return True


async def resume(session: AsyncSession, who: Address, at: datetime, *, source: str = "wrote") -> bool:
    """They wrote again, sent START, followed again: messages may go there, and arrive. Whether that is news.

    Who only writes again is answered; surveys stay taken back until they are asked for.
    """
    identity = await _identity(session, who)
    if identity is None or (identity.stopped_at is None and identity.unreachable_at is None):
        return False
    stopped = identity.stopped_at is not None
    identity.stopped_at = identity.unreachable_at = identity.unreachable_why = None
    session.add(identity)
    if stopped:
        await _agree(session, identity, ("answers",) if source == "wrote" else BY_MESSAGE, True, source, at)
    await _note(session, "person.resumed", identity, at, source=source)
    return True


async def unreachable(session: AsyncSession, who: Address, why: str, at: datetime) -> bool:
    """The vendor says that nothing arrives at this address: it blocked us, or nobody is there. Whether that is news."""
    identity = await _identity(session, who)
    if identity is None or identity.unreachable_at is not None:
        return False
    identity.unreachable_at, identity.unreachable_why = at, why[:200]
    session.add(identity)
    await _note(session, "person.unreachable", identity, at)
    return True


async def reachable(session: AsyncSession, who: Address, at: datetime) -> bool:
    """Something arrived there after all. Whether that is news; nothing is locked where it is not."""
    lost = select(Identity).where(
        Identity.scheme == who.scheme, Identity.handle == who.handle, col(Identity.unreachable_at).is_not(None)
    )
    identity = (await session.exec(lost.with_for_update().execution_options(populate_existing=True))).first()
    if identity is None:
        return False
    identity.unreachable_at = identity.unreachable_why = None
    session.add(identity)
    await _note(session, "person.reachable", identity, at)
    return True


async def prefer(session: AsyncSession, case: Case, channel: str | None, at: datetime, actor: Actor = CITIZEN) -> None:
    """The reporter of this case wants to be answered on a channel; None: where they wrote. Invalid for no channel."""
    if channel is not None and channel not in PREFERABLE:
        raise Invalid.at("channel", "Kênh này không dùng để trả lời được.", "Answers cannot go by this channel.")
    if case.citizen_id is None:
        raise nobody()
    citizen = await session.get_one(Citizen, case.citizen_id, with_for_update=True)
    citizen.preferred_channel, citizen.preferred_at = channel, at
    session.add(citizen)
    await record(
        session,
        "person.preferred",
        at=at,
        actor_kind=actor.kind,
        actor_id=actor.id,
        case_id=case.id,
        restricted=case.restricted,
        data={"code": case.code, "channel": channel},
    )


async def preferred(session: AsyncSession, person: Sequence[UUID]) -> str | None:
    """On which channel these citizens, who are one person, said last that they want to be answered."""
    newest = (
        select(Citizen.preferred_channel)
        .where(col(Citizen.id).in_(person), col(Citizen.preferred_at).is_not(None))
        .order_by(col(Citizen.preferred_at).desc())
        .limit(1)
    )
    return (await session.exec(newest)).first()


async def agree(
    session: AsyncSession,
    case: Case,
    channel: str,
    purpose: str,
    given: bool,
    at: datetime,
    *,
    actor: Actor = CITIZEN,
    source: str,
) -> None:
    """The reporter of this case agrees to something, or takes it back, on a channel; the history of it is kept."""
    if purpose not in PURPOSES:
        raise Invalid.at("purpose", "Mục đích này không có.", "There is no such purpose.")
    if channel not in AGREEABLE:
        raise Invalid.at("channel", "Kênh này không có.", "There is no such channel.")
    if case.citizen_id is None:
        raise nobody()
    session.add(
        Consent(
            id=uuid7(at),
            citizen_id=case.citizen_id,
            channel=channel,
            purpose=purpose,
            given=given,
            source=source,
            staff_id=actor.id if actor.kind == "staff" else None,
            at=at,
        )
    )
    await record(
        session,
        "person.consented" if given else "person.withdrew",
        at=at,
        actor_kind=actor.kind,
        actor_id=actor.id,
        case_id=case.id,
        restricted=case.restricted,
        data={"code": case.code, "channel": channel, "purpose": purpose},
    )


async def agreements(session: AsyncSession, person: Sequence[UUID]) -> dict[tuple[str, str], Consent]:
    """What these citizens said last about each channel and purpose; what they never spoke of is not there."""
    said = select(Consent).where(col(Consent.citizen_id).in_(person)).order_by(col(Consent.at), col(Consent.id))
    return {(each.channel, each.purpose): each for each in (await session.exec(said)).all()}


def answerable_by(case: Case, channels: Collection[str]) -> list[str]:
    """Channels the reporter may choose to be answered on, of those there are: by what they stated in this very case.

    Whoever holds its key learns nothing by it about who else they may be. None where the case came by a channel on
    which it is answered anyway.
    """
    if case.channel in PREFERABLE or case.citizen_id is None:
        return []
    stated = [by for scheme, by in CHANNEL_OF.items() if case.contact.get(scheme) and scheme != "anonymous"]
    return [by for by in stated if by in channels and by in PREFERABLE]


def nobody() -> Conflict:
    """A case whose reporter left nothing to be known by."""
    return Conflict("Không biết ai đã gửi phản ánh này.", "Nothing is known of who sent this report.")


async def _identity(session: AsyncSession, who: Address) -> Identity | None:
    found = select(Identity).where(Identity.scheme == who.scheme, Identity.handle == who.handle)
    return (await session.exec(found.with_for_update().execution_options(populate_existing=True))).first()


async def _made(session: AsyncSession, who: Address, at: datetime) -> Identity:
    citizen = Citizen(id=uuid7(at), created_at=at)
    session.add(citizen)
    await session.flush()  # the citizen before the address
    identity = Identity(id=uuid7(at), citizen_id=citizen.id, scheme=who.scheme, handle=who.handle, seen_at=at)
    session.add(identity)
    await session.flush()
    return identity


async def _agree(
    session: AsyncSession, identity: Identity, purposes: Sequence[str], given: bool, source: str, at: datetime
) -> None:
    for purpose in purposes:
        session.add(
            Consent(
                id=uuid7(at),
                citizen_id=identity.citizen_id,
                identity_id=identity.id,
                channel=CHANNEL_OF.get(identity.scheme, identity.scheme),
                purpose=purpose,
                given=given,
                source=source,
                at=at,
            )
        )


async def _note(session: AsyncSession, kind: str, identity: Identity, at: datetime, **data: str) -> None:
    await record(
        session,
        kind,
        at=at,
        actor_kind=SYSTEM.kind,
        subject=str(identity.id),
        data={"channel": CHANNEL_OF.get(identity.scheme, identity.scheme), **data},
    )
