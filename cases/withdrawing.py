"""A person takes their data back, by the button their channel has for it (Luật Bảo vệ dữ liệu cá nhân 91/2025/QH15).

Nothing more is sent there from that moment. While a case of theirs is open their address is still needed to handle it:
the case says so, and it is given up when the last one has ended. What they reported stays in the files of the centre
(Luật Lưu trữ), without anything that says who they were. Each step is a row of the journal.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.models import Case, Citizen, Entry, Identity
from cases.people import cases_of, stop
from cases.people_models import Withdrawal
from cases.reach import CHANNEL_OF
from cases.states import OPEN
from channels.message import Address
from channels.models import Outgoing, Received, Thread
from core.ids import uuid7
from core.journal import record

DATA_WITHDRAWN: Final = "data_withdrawn"
SAID: Final = "Người dân đã rút lại dữ liệu cá nhân trên kênh này. Thông tin của họ được xóa khi phản ánh kết thúc."
_OPEN: Final = [status.value for status in OPEN]
CAME_BEFORE: Final = timedelta(days=1)  # an event is kept before anything is made of it


async def withdraw(session: AsyncSession, who: Address, at: datetime) -> str:
    """They want us to know nothing more of this address; in a word what that led to."""
    found = select(Identity).where(Identity.scheme == who.scheme, Identity.handle == who.handle)
    identity = (await session.exec(found.with_for_update())).first()
    if identity is None:
        return "of nobody we know"
    await stop(session, who, at, source=DATA_WITHDRAWN)
    waiting = select(Withdrawal).where(Withdrawal.identity_id == identity.id, col(Withdrawal.done_at).is_(None))
    if (await session.exec(waiting)).first() is not None:
        return "withdrawn already"
    asked = Withdrawal(id=uuid7(at), identity_id=identity.id, channel=_channel(identity), at=at)
    session.add(asked)
    await _note(session, "person.data_withdrawn", identity, None, at)
    open_cases = await _open_cases(session, identity.citizen_id)
    if not open_cases:
        await _forget(session, asked, identity, at)
        return "data given up"
    for case in open_cases:
        session.add(Entry(id=uuid7(at), case_id=case.id, kind="note", author_kind="system", text=SAID, created_at=at))
        await _note(session, "person.data_withdrawn", identity, case, at)
    return "data given up later"


async def give_up_due(session: AsyncSession, at: datetime, limit: int = 50) -> int:
    """Make unknown who asked for it and has no open case any more; how many."""
    waiting = select(Withdrawal, Identity).join(Identity, col(Identity.id) == col(Withdrawal.identity_id))
    waiting = waiting.where(col(Withdrawal.done_at).is_(None)).order_by(col(Withdrawal.at))
    done = 0
    for asked, identity in (await session.exec(waiting)).all():
        at_work = select(Case.id).where(cases_of(identity.citizen_id), col(Case.status).in_(_OPEN)).limit(1)
        if (await session.exec(at_work)).first() is not None:  # looked at without a lock: nobody is kept from them
            continue
        mine = select(Withdrawal).where(Withdrawal.id == asked.id, col(Withdrawal.done_at).is_(None))
        if (await session.exec(mine.with_for_update(skip_locked=True))).first() is None:
            continue
        await session.refresh(identity, with_for_update=True)
        if not await _open_cases(session, identity.citizen_id):
            await _forget(session, asked, identity, at)
            done += 1
        if done == limit:
            break
    return done


async def _open_cases(session: AsyncSession, citizen_id: UUID) -> list[Case]:
    theirs = select(Case).where(cases_of(citizen_id), col(Case.status).in_(_OPEN))
    return list((await session.exec(theirs.order_by(col(Case.id)).with_for_update())).all())


async def _forget(session: AsyncSession, asked: Withdrawal, identity: Identity, at: datetime) -> None:
    """Take out who it was: of the address, of the cases it is stated in, of what came and went by it."""
    handle, scheme, channel = identity.handle, identity.scheme, asked.channel
    theirs = (await session.exec(select(Case).where(Case.citizen_id == identity.citizen_id).with_for_update())).all()
    by_it = [case for case in theirs if case.contact.get(scheme) == handle]
    for case in by_it:
        case.contact = {}
        session.add(case)
        await _note(session, "person.forgotten", identity, case, at)
    gone = [identity]
    if len(by_it) == len(theirs):  # they are known to us by this channel alone: a number they shared there goes, too
        also = select(Identity).where(Identity.citizen_id == identity.citizen_id, col(Identity.id) != identity.id)
        gone += (await session.exec(also.with_for_update())).all()
    for each in gone:
        each.handle = f"withdrawn:{each.id}"
        session.add(each)
    nobody = identity.id.hex
    about = [case.id for case in theirs]
    to_them = (
        col(Outgoing.subject_id).in_(about),
        col(Outgoing.addressee).is_(None),
        col(Outgoing.scheme) == scheme,
        col(Outgoing.handle) == handle,
    )
    waits = (*to_them, col(Outgoing.state).in_(("queued", "sending", "failed")))
    dropped = {"state": "dropped", "run_at": None, "lease_until": None, "dead_at": None}
    for where, values in ((waits, dropped), (to_them, {"handle": nobody})):
        await session.execute(
            update(Outgoing).where(*where).values(values).execution_options(synchronize_session=False)
        )
    await session.execute(
        update(Thread)
        .where(col(Thread.subject_id).in_(about), col(Thread.channel) == channel, col(Thread.handle) == handle)
        .values(handle=nobody, thread={})
        .execution_options(synchronize_session=False)
    )
    born = (await session.exec(select(Citizen.created_at).where(Citizen.id == identity.citizen_id))).one()
    await session.execute(
        update(Received)
        .where(
            col(Received.received_at) >= born - CAME_BEFORE,
            col(Received.channel) == channel,
            col(Received.sender) == f"{scheme}:{handle}",
            or_(col(Received.run_at).is_(None), col(Received.kind) == "unfollow"),
        )
        .values(raw="", sender=None)
        .execution_options(synchronize_session=False)
    )
    asked.done_at = at
    session.add(asked)
    if not by_it:
        await _note(session, "person.forgotten", identity, None, at)


def _channel(identity: Identity) -> str:
    return CHANNEL_OF.get(identity.scheme, identity.scheme)


async def _note(session: AsyncSession, kind: str, identity: Identity, case: Case | None, at: datetime) -> None:
    await record(
        session,
        kind,
        at=at,
        actor_kind="citizen" if kind == "person.data_withdrawn" else "system",
        case_id=case.id if case else None,
        subject=str(identity.id),
        restricted=case.restricted if case else False,
        data={"channel": _channel(identity)} | ({"code": case.code} if case else {}),
    )
