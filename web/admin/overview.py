"""The administration at a glance: how much there is, and what needs a hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from cases import duty, stuck
from cases.stuck import Stuck
from cases.unit_mail import departments_without_email
from channels import unread
from channels.zalo.alarms import TokenAlarm, token_alarms
from core import people
from core.people import Person
from core.staff import Actor, Role
from routing.editing import areas, departments, fields, rule_sets
from routing.editing.calendars import year_of
from routing.editing.rule_sets import RuleSetHead
from routing.editing.shared import Finding, standing
from routing.models import Department
from routing.queries import Routing
from web.admin.ground import Admin, Pair
from web.administration.edge import Today
from web.deps import Db, Now, Rules
from web.pages import FromHere
from web.rendering import go, render

router = APIRouter(include_in_schema=False, dependencies=[FromHere])
NEXT_YEAR_FROM = 10  # month from which the year to come should be filled in
UNIT_ROLES = frozenset({Role.OFFICER, Role.HEAD})


@dataclass(frozen=True, slots=True)
class OverviewPage:
    """Counts, and every warning that matters."""

    accounts: int
    departments: int
    fields: int
    areas: int
    calendars: int
    in_force: RuleSetHead | None
    findings: Sequence[Finding]
    silent: Sequence[Department]  # without a mailbox
    empty_years: Sequence[tuple[Pair, int]]  # calendar, year
    roleless: Sequence[Person]
    homeless: Sequence[Person]  # work for a unit, but none is named
    unread: Mapping[str, int]  # events that nobody could read, by channel
    alarms: Sequence[TokenAlarm]
    empty: Sequence[Pair]  # departments where nobody could be told
    standing: int  # limits that could not be counted
    stuck: Sequence[Stuck]  # those of them that this person may know of
    restarted: int | None  # how many of them run again by the act before

    @property
    def calm(self) -> bool:
        """Nothing to warn of."""
        wrong = (self.findings, self.silent, self.empty_years, self.roleless, self.homeless, self.unread, self.alarms)
        return not any((*wrong, self.empty, self.standing)) and self.in_force is not None


@router.get("/admin")
async def overview(
    request: Request,
    session: Db,
    who: Admin,
    routing: Rules,
    at: Now,
    today: Today,
    restarted: Annotated[int | None, Query(ge=0, le=10**9)] = None,
) -> Response:
    """Where an administrator begins."""
    page = await _looked(session, who, routing, at, today, restarted)
    return render(request, "admin/overview.html", page, who=who)


@router.post("/admin/limits/restart")
async def restart(session: Db, who: Admin, routing: Rules, at: Now) -> Response:
    """Let limits run again that could not be counted."""
    return go(f"/admin?restarted={(await stuck.restart(session, routing, who, at)).started}")


async def _looked(
    session: AsyncSession, who: Actor, routing: Routing, at: datetime, today: date, restarted: int | None
) -> OverviewPage:
    standing_still, seen = await stuck.stuck(session, who)
    staff = await people.listed(session, active=True)
    groups = await fields.listed(session, today, closed=False)
    sets = await rule_sets.listed(session, at)
    years = [today.year, *([today.year + 1] if today.month >= NEXT_YEAR_FROM else [])]
    names = {code: row.name for code, row in routing.departments.items()}
    return OverviewPage(
        accounts=len(staff),
        departments=len(await departments.listed(session, today, living=True)),
        fields=sum(len(group.fields) for group in groups),
        areas=len(await areas.listed(session, today, valid=True)),
        calendars=len(routing.calendars),
        in_force=next((each for each in sets if each.in_force), None),
        findings=await standing(session, today),
        silent=await departments_without_email(session, today),
        empty_years=[
            ((code, names.get(code, "")), year)
            for code, calendar in routing.calendars.items()
            for year in years
            if not year_of(calendar, year).exceptions
        ],
        roleless=[person for person in staff if not person.roles],
        homeless=[person for person in staff if not person.departments and UNIT_ROLES & set(person.roles)],
        unread=await unread.counted(session),
        alarms=await token_alarms(session, at),
        empty=[(code, names.get(code, code)) for code in await duty.without_people(session, today)],
        standing=standing_still,
        stuck=seen,
        restarted=restarted,
    )
