"""Who may be the same person: what people state about themselves, held against the addresses of others.

Only strong signals: a number or mailbox that one stated (in a report, or by sharing their contact) and by which the
other is known. The same name in the same place says nothing in a country of Nguyễns, so it is not asked for. Nobody is
merged by this: a person decides, and says no for good, too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal_column, or_, tuple_
from sqlalchemy import select as sql_select
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.models import STATED_EMAIL, STATED_PHONE, Case, Citizen, Identity
from cases.people import members
from cases.people_models import Apart
from cases.queries import reporter_known
from core.staff import Actor

MOST: Final = 5  # people suggested
LOOKED_AT: Final = 200  # newest cases of a person whose statements are read
STATED: Final = ("phone", "email")  # what people state that says who they are


@dataclass(frozen=True, slots=True)
class Reason:
    """A handle that the one stated in a case and the other is known by. `mine`: it was this person who stated it."""

    scheme: str
    handle: str
    mine: bool
    case: str

    @property
    def signal(self) -> str:
        """Its name in the merge that is made by it."""
        return f"stated_{self.scheme}"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Another citizen who may be this person: why, and their newest case that is shown."""

    citizen_id: UUID
    reasons: tuple[Reason, ...]
    newest: Case
    cases: int


async def suggest(session: AsyncSession, actor: Actor, citizen_id: UUID) -> list[Suggestion]:
    """Who else this person may be, by the cases that this member of staff sees and by nothing else."""
    mine = await members(session, citizen_id)
    reasons: dict[UUID, list[Reason]] = {}
    for other, reason in [*await _i_stated(session, actor, mine), *await _others_stated(session, actor, mine)]:
        found = reasons.setdefault(other, [])
        if all((each.scheme, each.handle) != (reason.scheme, reason.handle) for each in found):
            found.append(reason)
    for other in await _known_apart(session, mine):
        reasons.pop(other, None)
    made = []
    for other, why in reasons.items():
        seen = await _seen_of(session, actor, await members(session, other))
        if seen is not None:  # whoever has only cases out of this person's sight is not there
            made.append(Suggestion(other, tuple(why), *seen))
    return sorted(made, key=lambda each: each.newest.received_at, reverse=True)[:MOST]


async def _i_stated(session: AsyncSession, actor: Actor, mine: Sequence[UUID]) -> list[tuple[UUID, Reason]]:
    """What this person stated in their cases by which somebody else is known."""
    newest = (
        select(Case.code, Case.contact)
        .where(col(Case.citizen_id).in_(mine), reporter_known(actor))
        .order_by(col(Case.received_at).desc())
        .limit(LOOKED_AT)
    )
    stated = {
        (scheme, contact[scheme]): code
        for code, contact in (await session.exec(newest)).all()
        for scheme in STATED
        if contact.get(scheme)
    }
    if not stated:
        return []
    here = tuple_(col(Identity.scheme), col(Identity.handle)).in_(list(stated))
    known = sql_select(col(Identity.scheme), col(Identity.handle), _person_of(Identity)).join(
        Citizen, col(Citizen.id) == col(Identity.citizen_id)
    )
    rows = (await session.execute(known.where(here, col(Identity.citizen_id).not_in(mine)))).all()
    return [(who, Reason(scheme, handle, True, stated[scheme, handle])) for scheme, handle, who in rows]


async def _others_stated(session: AsyncSession, actor: Actor, mine: Sequence[UUID]) -> list[tuple[UUID, Reason]]:
    """What others stated in their cases by which this person is known."""
    known = select(Identity.scheme, Identity.handle).where(
        col(Identity.citizen_id).in_(mine), col(Identity.scheme).in_(STATED)
    )
    handles: dict[str, list[str]] = {}
    for scheme, handle in (await session.exec(known)).all():
        handles.setdefault(scheme, []).append(handle)
    found = []
    for scheme, theirs in handles.items():
        stated: ColumnElement[str] = literal_column(f"(cases.contact ->> '{scheme}')")  # written as the index is
        narrowed: ColumnElement[bool] = literal_column(STATED_PHONE if scheme == "phone" else STATED_EMAIL)
        rows = await session.execute(
            sql_select(stated, col(Case.code), _person_of(Case))
            .join(Citizen, col(Citizen.id) == col(Case.citizen_id))
            .where(stated.in_(theirs), narrowed, col(Case.citizen_id).not_in(mine), reporter_known(actor))
            .order_by(col(Case.received_at).desc())
            .limit(LOOKED_AT)
        )
        found += [(who, Reason(scheme, handle, False, code)) for handle, code, who in rows.all()]
    return found


def _person_of(table: type[Identity] | type[Case]) -> ColumnElement[UUID]:
    """Who stands for the citizen of a row; merged ones count as one."""
    return func.coalesce(col(Citizen.merged_into), col(table.citizen_id))


async def _known_apart(session: AsyncSession, mine: Sequence[UUID]) -> set[UUID]:
    """Who stands for those that somebody said are not this person."""
    pairs = select(Apart.one_id, Apart.other_id).where(or_(col(Apart.one_id).in_(mine), col(Apart.other_id).in_(mine)))
    others = {id for pair in (await session.exec(pairs)).all() for id in pair} - set(mine)
    return {id for other in others for id in (await members(session, other))[:1]}


async def _seen_of(session: AsyncSession, actor: Actor, people: Iterable[UUID]) -> tuple[Case, int] | None:
    """The newest case of a person that is shown, and how many there are."""
    seen = (col(Case.citizen_id).in_(list(people)), reporter_known(actor))
    newest = (await session.exec(select(Case).where(*seen).order_by(col(Case.received_at).desc()).limit(1))).first()
    if newest is None:
        return None
    count = (await session.exec(select(func.count()).select_from(Case).where(*seen))).one()
    return newest, int(count)
