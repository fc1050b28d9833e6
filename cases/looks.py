"""Who looked at restricted cases: one line for every look, written in the transaction that reads, and never changed.

A look is whatever shows what somebody told us: the case's page and each part of it, the API, its history, a file, a
recording. Lists are none: of a restricted case they show what is needed to choose which one to open (code, track,
field, place, clock, status) and nothing that was written. Else every list of the morning would be a look at all cases
at once, and the log would say nothing about anybody.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import literal
from sqlalchemy import select as sql_select
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.codes import read_code
from cases.models import Case, CaseLook
from cases.queries import about_others, visible_to
from core.staff import Actor, ApiKey, Role, Staff

READ = "looks.read"  # permission


@dataclass(frozen=True, slots=True)
class Look:
    """Somebody looked. `track` is None for those who may not know of the case itself."""

    id: int
    at: datetime
    what: str
    code: str
    track: str | None
    who: str
    email: str | None


async def note(session: AsyncSession, who: Actor, case: Case, what: str, at: datetime) -> None:
    """Write down that this person sees what stands in the case, if it is restricted. Without the line, no look."""
    if not case.restricted or who.id is None:
        return
    staff, key = (None, who.id) if who.kind == "api_key" else (who.id, None)
    session.add(CaseLook(case_id=case.id, staff_id=staff, api_key_id=key, what=what, at=at))
    await session.flush()


def text_in_list(case: Case) -> str:
    """What a list shows of the report."""
    return "" if case.restricted else case.text


async def log(
    session: AsyncSession,
    who: Actor,
    *,
    code: str | None = None,
    person: str | None = None,
    after: int | None = None,
    limit: int = 50,
) -> list[Look]:
    """The newest looks before `after`, of one case, by one person (e-mail), or all.

    An administrator reads all of them but learns nothing of the cases beyond their codes, and of those about themselves
    not even that; an inspector, or the police, those of the cases they may know of. NotAllowed for everybody else.
    """
    who.require(READ)
    sees = visible_to(who)
    wanted: list[Any] = [CaseLook, Case.code, Case.track, sees.label("sees"), Staff.name, Staff.email, ApiKey.name]
    statement = (
        sql_select(*wanted)
        .select_from(CaseLook)
        .join(Case, col(Case.id) == col(CaseLook.case_id))
        .join(Staff, col(Staff.id) == col(CaseLook.staff_id), isouter=True)
        .join(ApiKey, col(ApiKey.id) == col(CaseLook.api_key_id), isouter=True)
        .order_by(col(CaseLook.id).desc())
        .limit(limit)
    )
    statement = statement.where(about_others(who) if Role.ADMIN in who.roles else sees)
    if code is not None:
        standard = read_code(code)
        theirs = select(Case.id).where(Case.code == standard)
        statement = statement.where(col(CaseLook.case_id) == theirs.scalar_subquery() if standard else literal(False))
    if person is not None:
        known = select(Staff.id).where(Staff.email == person.strip().lower())
        statement = statement.where(col(CaseLook.staff_id) == known.scalar_subquery())
    if after is not None:
        statement = statement.where(col(CaseLook.id) < after)
    return [
        Look(look.id, look.at, look.what, code, track if seen else None, name or key or "", email)
        for look, code, track, seen, name, email, key in (await session.execute(statement)).all()
    ]
