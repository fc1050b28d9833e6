"""What a page about one case shows beyond the case file: what happened and who did it, deliveries, related cases."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, exists, not_, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.lists import citizen_history
from cases.models import Case, CaseLink
from cases.queries import CaseFile, case_file, seen_by, visible_to
from channels.models import Outgoing, OutgoingPart
from core.journal import Journal
from core.staff import CENTRE_ROLES, Actor, Role, RoleGrant, Staff, StaffDepartment

MOST_RELATED = 20
MOST_COLLEAGUES = 500
MOST_STAFF = 5_000


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the journal about the case."""

    at: datetime
    kind: str
    actor_kind: str
    actor_id: UUID | None
    data: Mapping[str, Any]

    @property
    def version(self) -> int:
        """The version of the case this act made; 0 for what is no act."""
        return int(self.data.get("version", 0))


@dataclass(frozen=True, slots=True)
class Colleague:
    """Somebody work can be given to."""

    email: str
    name: str


@dataclass(frozen=True, slots=True)
class Dossier:
    """A case with all that its page shows. Lists are oldest first, other cases newest first."""

    file: CaseFile
    events: list[Event]
    names: Mapping[UUID, str]  # of staff who wrote, did or were given something
    deliveries: list[Outgoing]
    parts: Mapping[UUID, list[OutgoingPart]]  # of messages with files
    related: list[Case]  # merged into, same incident, split off, split from
    history: list[Case]  # other cases of the same citizen


async def dossier(session: AsyncSession, actor: Actor, case: Case, at: datetime) -> Dossier:
    """Everything on the page of a case this person sees now, in at most twelve statements."""
    file = await case_file(session, case, at)
    rows = await session.exec(select(Journal).where(Journal.case_id == case.id).order_by(col(Journal.id)))
    events = [Event(row.occurred_at, row.kind, row.actor_kind, row.actor_id, row.data) for row in rows]
    deliveries = await session.exec(
        select(Outgoing).where(Outgoing.subject_id == case.id).order_by(col(Outgoing.created_at), col(Outgoing.id))
    )
    sent = list(deliveries)
    return Dossier(
        file,
        events,
        await _names(session, case, events),
        sent,
        await _parts(session, [each.id for each in sent if each.attachments]),
        await _related(session, actor, case),
        await citizen_history(session, actor, case),
    )


async def events_after(session: AsyncSession, case: Case, version: int) -> tuple[list[Event], Mapping[UUID, str]]:
    """What was done to the case since a version of it, oldest first, and who did it."""
    rows = await session.exec(select(Journal).where(Journal.case_id == case.id).order_by(col(Journal.id)))
    every = [Event(row.occurred_at, row.kind, row.actor_kind, row.actor_id, row.data) for row in rows]
    since = [event for event in every if event.version > version]
    return since, await _names(session, case, since)


async def colleagues(session: AsyncSession, actor: Actor, case: Case) -> list[Colleague]:
    """Whom this person can give the case to, by name: in a unit its own people; at the centre everybody who may."""
    if case.restricted:
        may = _holds(seen_by(case.track, confirmed=case.track_confirmed))
        suits = and_(may, not_(_works_for(case.accused_units)), col(Staff.id).not_in(case.accused_staff))
    elif actor.roles & CENTRE_ROLES:
        suits = or_(_holds(CENTRE_ROLES), _works_for(case.units))
    else:
        suits = _works_for(sorted(actor.departments & set(case.units)))
    statement = (select(Staff.email, Staff.name).where(Staff.active, suits).order_by(Staff.name, Staff.email)).limit(
        MOST_COLLEAGUES
    )
    return [Colleague(email, name) for email, name in (await session.exec(statement)).all()]


async def everybody_here(session: AsyncSession) -> list[Colleague]:
    """All who work here, by name: a case may be about any of them."""
    statement = select(Staff.email, Staff.name).where(Staff.active).order_by(Staff.name, Staff.email)
    return [Colleague(email, name) for email, name in (await session.exec(statement.limit(MOST_STAFF))).all()]


async def _names(session: AsyncSession, case: Case, events: list[Event]) -> dict[UUID, str]:
    wanted = {event.actor_id for event in events if event.actor_kind == "staff" and event.actor_id}
    wanted |= {UUID(event.data["officer"]) for event in events if event.data.get("officer")}
    wanted |= {each for each in (case.officer_id, *case.accused_staff) if each is not None}
    return dict((await session.exec(select(Staff.id, Staff.name).where(col(Staff.id).in_(wanted)))).all())


async def _parts(session: AsyncSession, ids: list[UUID]) -> dict[UUID, list[OutgoingPart]]:
    found: dict[UUID, list[OutgoingPart]] = {}
    if ids:
        rows = select(OutgoingPart).where(col(OutgoingPart.outgoing_id).in_(ids)).order_by(col(OutgoingPart.part))
        for row in await session.exec(rows):
            found.setdefault(row.outgoing_id, []).append(row)
    return found


async def _related(session: AsyncSession, actor: Actor, case: Case) -> list[Case]:
    same = {case.id} | ({case.incident_id} if case.incident_id else set())
    ids = (
        select(Case.id)
        .where(col(Case.incident_id).in_(same))
        .union(
            select(CaseLink.other_id).where(CaseLink.case_id == case.id),
            select(CaseLink.case_id).where(CaseLink.other_id == case.id),
            select(Case.id).where(col(Case.id).in_({case.merged_into, case.incident_id} - {None})),
        )
    )
    statement = (
        select(Case)
        .where(visible_to(actor), col(Case.id).in_(ids), Case.id != case.id)
        .order_by(col(Case.received_at).desc())
        .limit(MOST_RELATED)
    )
    return list((await session.exec(statement)).all())


def _holds(roles: set[Role] | frozenset[Role]) -> Any:
    return exists().where(col(RoleGrant.staff_id) == col(Staff.id), col(RoleGrant.role).in_(sorted(roles)))


def _works_for(departments: list[str]) -> Any:
    return exists().where(
        col(StaffDepartment.staff_id) == col(Staff.id), col(StaffDepartment.department).in_(departments)
    )
