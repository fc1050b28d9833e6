"""Two citizens turn out to be one person, and perhaps not after all.

The merges that stand are the truth. Who stands for whom (`citizens.merged_into`) is worked out from them anew each
time, so that undoing any of them, in whatever order, leaves exactly what would be there without it. Identities and
cases stay where they are.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, or_, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.models import Case, Citizen, Identity
from cases.people import members
from cases.people_models import Apart, Merge
from core.errors import Conflict, NotFound
from core.ids import uuid7
from core.journal import record
from core.staff import SYSTEM, Actor


def stand_for(merges: Iterable[tuple[UUID, UUID]]) -> dict[UUID, UUID]:
    """Who stands for each citizen that is merged with others, after these merges (from, into) in their order. Pure.

    The one that stands for `into` stands for all from then on; it stands for itself, too.
    """
    standing: dict[UUID, UUID] = {}
    for from_id, into_id in merges:
        gone, stays = standing.setdefault(from_id, from_id), standing.setdefault(into_id, into_id)
        standing |= {each: stays for each, root in standing.items() if root == gone}
    return standing


async def merge(
    session: AsyncSession,
    who: Actor,
    from_id: UUID,
    into_id: UUID,
    at: datetime,
    *,
    why: Sequence[str] = ("told",),
    note: str | None = None,
    of: Case | None = None,
) -> Merge:
    """These two citizens are one person. Conflict when they are already, or somebody changes them at the same time.

    `why` are signals of cases.likeness, or that a person was told so; `of` the case from whose page it was done.
    """
    joined = await _held(session, from_id, into_id)
    theirs = await members(session, from_id)
    if into_id in theirs:
        raise one_already()
    identities = await session.exec(select(Identity.id).where(col(Identity.citizen_id).in_(theirs)))
    cases = await session.exec(select(Case.id).where(col(Case.citizen_id).in_(theirs)).order_by(col(Case.id)))
    made = Merge(
        id=uuid7(at),
        from_id=from_id,
        into_id=into_id,
        why=",".join(why),
        note=note,
        staff_id=who.id if who.kind == "staff" else None,
        at=at,
        moved={"identities": [str(id) for id in identities], "cases": [str(id) for id in cases]},
    )
    session.add(made)
    await session.flush()  # before it is counted among those that stand
    await _work_out(session, joined)
    await _note(session, "person.merged", who, made, at, of, {"why": list(why), "moved": len(made.moved["cases"])})
    return made


async def merge_proven(session: AsyncSession, from_id: UUID, into_id: UUID, at: datetime) -> None:
    """The vendor proved that these are one person: merged unless they are already, or somebody said that they are not.

    Where people are merged by hand this very moment it is left to those who do it.
    """
    mine, theirs = await members(session, into_id), await members(session, from_id)
    apart = select(Apart.one_id).where(
        or_(
            and_(col(Apart.one_id).in_(mine), col(Apart.other_id).in_(theirs)),
            and_(col(Apart.one_id).in_(theirs), col(Apart.other_id).in_(mine)),
        )
    )
    if from_id in mine or (await session.exec(apart)).first() is not None:
        return
    with suppress(Conflict):
        await merge(session, SYSTEM, from_id, into_id, at, why=("contact_proven",))


def one_already() -> Conflict:
    """They need no merging."""
    return Conflict("Hai người này đã được gộp làm một.", "These two are one person already.")


async def undo_merge(
    session: AsyncSession, who: Actor, merge_id: UUID, at: datetime, *, of: Case | None = None
) -> Merge:
    """They are not one person after all. Conflict when that has been said already."""
    found = await session.get(Merge, merge_id)
    if found is None:
        raise NotFound("Không có lần gộp này.", "There is no such merge.")
    joined = await _held(session, found.from_id, found.into_id)
    await session.refresh(found)
    if found.undone_at is not None:
        raise Conflict("Lần gộp này đã được hoàn tác.", "This merge has been undone already.")
    found.undone_at, found.undone_by = at, who.id if who.kind == "staff" else None
    session.add(found)
    await session.flush()
    await _work_out(session, joined)
    await _note(session, "person.unmerged", who, found, at, of, {})
    return found


async def keep_apart(
    session: AsyncSession, who: Actor, one_id: UUID, other_id: UUID, at: datetime, *, of: Case | None = None
) -> None:
    """Somebody knows that these are two people: it is not suggested again."""
    if other_id in await members(session, one_id):
        raise Conflict("Hai người này đang được gộp làm một.", "These two are merged: undo that first.")
    one, other = sorted((one_id, other_id))
    kept = insert(Apart).values(one_id=one, other_id=other, staff_id=who.id, at=at).on_conflict_do_nothing()
    if (await session.execute(kept.returning(col(Apart.one_id)))).first() is not None:
        await _record(session, "person.apart", who, at, None, of, {})


async def merges_of(session: AsyncSession, people: Sequence[UUID]) -> list[Merge]:
    """The merges that stand between these citizens, newest first."""
    found = (
        select(Merge)
        .where(col(Merge.undone_at).is_(None), col(Merge.from_id).in_(people), col(Merge.into_id).in_(people))
        .order_by(col(Merge.at).desc(), col(Merge.id).desc())
    )
    return list((await session.exec(found)).all())


async def _held(session: AsyncSession, *people: UUID) -> list[UUID]:
    """Everybody who is one of these people, locked in the order of ids; Conflict when it is others by then."""
    wanted = {id for each in people for id in await members(session, each)}
    rows = select(Citizen.id).where(col(Citizen.id).in_(wanted)).order_by(col(Citizen.id))
    held = list((await session.exec(rows.with_for_update(key_share=True))).all())
    if {id for each in people for id in await members(session, each)} != set(held):
        raise Conflict(
            "Có người vừa gộp hoặc tách những người này. Hãy tải lại trang rồi xem lại.",
            "Somebody merged or parted these people just now. Load the page again and look.",
        )
    return held


async def _work_out(session: AsyncSession, people: Sequence[UUID]) -> None:
    """Write who stands for whom, by the merges that stand."""
    standing = select(Merge.from_id, Merge.into_id).where(
        col(Merge.undone_at).is_(None), or_(col(Merge.from_id).in_(people), col(Merge.into_id).in_(people))
    )
    roots = stand_for((await session.exec(standing.order_by(col(Merge.at), col(Merge.id)))).all())
    for each in people:
        root = roots.get(each, each)
        await session.execute(
            update(Citizen)
            .where(col(Citizen.id) == each)
            .values(merged_into=None if root == each else root)
            .execution_options(synchronize_session="fetch")
        )


async def _note(
    session: AsyncSession, kind: str, who: Actor, about: Merge, at: datetime, of: Case | None, data: dict[str, Any]
) -> None:
    await _record(session, kind, who, at, str(about.id), of, data)


async def _record(
    session: AsyncSession,
    kind: str,
    who: Actor,
    at: datetime,
    subject: str | None,
    of: Case | None,
    data: dict[str, Any],
) -> None:
    await record(
        session,
        kind,
        at=at,
        actor_kind=who.kind,
        actor_id=who.id,
        case_id=of.id if of else None,
        subject=subject,
        restricted=of.restricted if of else False,
        data=({"code": of.code} if of else {}) | data,
    )
