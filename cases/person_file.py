"""What a member of staff who may know people is shown of the reporter of a case, beyond the case itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import exists, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import likeness, merging, people
from cases.codes import read_code
from cases.likeness import Suggestion
from cases.models import Case, Citizen, Identity
from cases.people_models import Consent, Merge
from cases.queries import reporter_known
from core.errors import Invalid, NotAllowed, NotFound
from core.staff import Actor, Staff

PERMISSION: Final = "people.manage"


@dataclass(frozen=True, slots=True)
class PersonFile:
    """One person: their addresses (last heard of first), what they want, who else they are and may be."""

    identities: list[Identity]
    preferred: str | None
    consents: Mapping[tuple[str, str], Consent]
    merges: list[tuple[Merge, str]]  # with the name of who did it, newest first
    suggestions: list[Suggestion]


async def person_file(session: AsyncSession, actor: Actor, case: Case) -> PersonFile | None:
    """The person behind a case; None where nothing is known of one, or for who is not to know."""
    if case.citizen_id is None or not people.knows_people(actor, case):
        return None
    shown = await _shown(session, actor, await people.members(session, case.citizen_id))
    identities = select(Identity).where(col(Identity.citizen_id).in_(shown), col(Identity.scheme) != "anonymous")
    merges = await merging.merges_of(session, shown)
    names = select(Staff.id, Staff.name).where(col(Staff.id).in_({each.staff_id for each in merges}))
    by = dict((await session.exec(names)).all())
    return PersonFile(
        list((await session.exec(identities.order_by(col(Identity.seen_at).desc(), col(Identity.id)))).all()),
        await people.preferred(session, shown),
        await people.agreements(session, shown),
        [(each, by.get(each.staff_id, "") if each.staff_id else "") for each in merges],
        await likeness.suggest(session, actor, case.citizen_id),
    )


async def _shown(session: AsyncSession, actor: Actor, same: Sequence[UUID]) -> list[UUID]:
    """Those of the citizens who are this person whom `actor` may know of: not who has cases, and all out of sight."""
    theirs = select(Case.id).where(Case.citizen_id == Citizen.id)
    seen, any_ = exists(theirs.where(reporter_known(actor))), exists(theirs)
    return list((await session.exec(select(Citizen.id).where(col(Citizen.id).in_(same), or_(seen, ~any_)))).all())


def may_know(actor: Actor, case: Case) -> None:
    """NotAllowed unless this member of staff is shown who a reporter is, and decides who else they are."""
    if not (actor.may(PERMISSION) and people.knows_people(actor, case)):
        raise NotAllowed("Anh/chị không được xem người gửi phản ánh này.", "You may not know who sent this report.")


async def same_as(session: AsyncSession, actor: Actor, case: Case, other: str, at: datetime, note: str = "") -> Merge:
    """Whoever sent the other case is the reporter of this one: by what is suggested, or by what somebody was told.

    Invalid without a reason of either kind or for a case out of sight; Conflict when they are one person already.
    """
    mine, theirs = await _both(session, actor, case, other)
    if theirs in await people.members(session, mine):
        raise merging.one_already()
    offered = {each.citizen_id: each for each in await likeness.suggest(session, actor, mine)}
    found = next((offered[id] for id in await people.members(session, theirs) if id in offered), None)
    why = tuple(dict.fromkeys(each.signal for each in found.reasons)) if found else ("told",)
    if found is None and not note:
        raise Invalid.at("note", "Hãy ghi vì sao biết đây là một người.", "Say how you know.", "missing")
    return await merging.merge(session, actor, theirs, mine, at, why=why, note=note or None, of=case)


async def not_same_as(session: AsyncSession, actor: Actor, case: Case, other: str, at: datetime) -> None:
    """Whoever sent the other case is somebody else."""
    mine, theirs = await _both(session, actor, case, other)
    for id in (await people.members(session, theirs))[:1]:
        await merging.keep_apart(session, actor, mine, id, at, of=case)


async def part(session: AsyncSession, actor: Actor, case: Case, merge_id: UUID, at: datetime) -> Merge:
    """Undo one of the merges that the reporter of this case is shown with; NotFound for any other."""
    mine = _reporter(actor, case)
    shown = await _shown(session, actor, await people.members(session, mine))
    if all(each.id != merge_id for each in await merging.merges_of(session, shown)):
        raise NotFound("Không có lần gộp này, hoặc đã được hoàn tác.", "There is no such merge, or it was undone.")
    return await merging.undo_merge(session, actor, merge_id, at, of=case)


async def set_preferred(session: AsyncSession, actor: Actor, case: Case, channel: str | None, at: datetime) -> None:
    """The reporter told this member of staff how they like to be answered."""
    _reporter(actor, case)
    await people.prefer(session, case, channel, at, actor)


async def set_consent(
    session: AsyncSession, actor: Actor, case: Case, channel: str, purpose: str, given: bool, at: datetime
) -> None:
    """The reporter told this member of staff what they agree to, or do not any more."""
    _reporter(actor, case)
    await people.agree(session, case, channel, purpose, given, at, actor=actor, source="staff")


def _reporter(actor: Actor, case: Case) -> UUID:
    """The citizen of a case, for those who may know; Conflict where nobody is known."""
    may_know(actor, case)
    if case.citizen_id is None:
        raise people.nobody()
    return case.citizen_id


async def _both(session: AsyncSession, actor: Actor, case: Case, other: str) -> tuple[UUID, UUID]:
    mine = _reporter(actor, case)
    standard = read_code(other)
    statement = select(Case.citizen_id).where(Case.code == standard, reporter_known(actor))
    theirs = (await session.exec(statement)).first() if standard else None
    if theirs is None:
        raise Invalid.at("with", "Không tìm thấy người gửi phản ánh này.", "Nobody is known by this case.", "unknown")
    return mine, theirs
