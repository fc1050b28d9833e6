"""What has changed, for the screens of those who may know: rows of the journal by position, and who hears of each."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, false, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.models import Assignment, Case
from cases.queries import visible_to
from core.journal import Journal, JournalPosition
from core.staff import EVERYTHING_ORDINARY, RESTRICTED_ROLES, Actor, Role

AT_ONCE = 200  # kinds of people asked for in one statement; each takes two of its at most 1,664 columns


@dataclass(frozen=True, slots=True)
class Heard:
    """One change as one kind of people hears of it. Who has lost sight of a case learns that, and nothing else."""

    position: int
    code: str
    left: bool
    kind: str | None = None
    version: int | None = None  # of the case as it is now, not as the row left it


async def heard_by(
    session: AsyncSession, after: int, until: int, people: Collection[Actor]
) -> dict[Actor, list[Heard]]:
    """What each of these people hears of the rows at positions `after` < p ≤ `until`, in their order.

    Judged by who sees the case now: a row that was written while a case was still theirs is told to nobody who may not
    know of it any more, except that they lost it.
    """
    heard: dict[Actor, list[Heard]] = {who: [] for who in people}
    everybody = list(people)
    for first in range(0, len(everybody), AT_ONCE):
        some = everybody[first : first + AT_ONCE]
        columns = [visible_to(who).label(f"sees_{n}") for n, who in enumerate(some)]
        columns += [taken_from(who).label(f"lost_{n}") for n, who in enumerate(some)]
        rows = await session.execute(
            select(JournalPosition.position, Journal.kind, Case.code, Case.version)
            .add_columns(*columns)
            .select_from(JournalPosition)
            .join(Journal, col(Journal.id) == col(JournalPosition.journal_id))
            .join(Case, col(Case.id) == col(Journal.case_id))
            .where(col(JournalPosition.position) > after, col(JournalPosition.position) <= until)
            .order_by(col(JournalPosition.position))
        )
        for position, kind, code, version, *answers in rows:
            for who, sees, lost in zip(some, answers, answers[len(some) :], strict=False):
                if sees:
                    heard[who].append(Heard(position, code, False, kind, version))
                elif lost:
                    heard[who].append(Heard(position, code, True))
    return heard


def taken_from(actor: Actor) -> ColumnElement[bool]:
    """Whether a row of the journal may have taken its case out of this person's sight; asked where it is out of sight.

    Everything ordinary is lost by withdrawal only, what is restricted to a role by the act that says so. A unit loses a
    case when its part ends, or when a case is opened again whose parts an earlier end had left in sight. What is done
    afterwards, or inside a restricted track, concerns them no more.
    """
    hidden = [
        col(Journal.data)["hidden_from"].contains([role.value]) for role in sorted(actor.roles & RESTRICTED_ROLES)
    ]
    return or_(_ordinary_taken_from(actor), *hidden)


def _ordinary_taken_from(actor: Actor) -> ColumnElement[bool]:
    if actor.roles & EVERYTHING_ORDINARY:
        return col(Journal.kind) == "case.withdrawn"
    if not actor.departments or not actor.roles & {Role.OFFICER, Role.HEAD}:
        return false()
    part = (
        select(Assignment.id)
        .where(
            Assignment.case_id == Case.id,
            col(Assignment.department).in_(sorted(actor.departments)),
            col(Assignment.opened_at) <= col(Journal.occurred_at),
            or_(
                col(Assignment.ended_at).is_(None),
                col(Assignment.ended_at) >= col(Journal.occurred_at),
                and_(col(Assignment.state) == "ended", col(Journal.kind) == "case.reopen"),
            ),
        )
        .correlate(Case, Journal)
    )
    return and_(col(Journal.restricted).is_(False), part.exists())
