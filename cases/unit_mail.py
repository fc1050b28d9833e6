"""Who among the units gets a letter about a case, once each; the sentences are in `cases.letters`.

A letter goes to the mailbox of the department, into the outbox and the transaction of what caused it. About a case on a
restricted track nothing leaves the house at all: that there is one is a secret already.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import letters
from cases.letters import DueBy, Letter, Matter
from cases.limits import Turning
from cases.models import Assignment, Case, Limit
from channels import outbox
from channels.message import Address
from routing.models import Department
from routing.queries import Routing
from routing.working_time import Amount

CHANNEL = "email"
FORWARDED, REMINDED, BREACHED, CHASED = "unit.forwarded", "unit.reminded", "unit.breached", "unit.chased"
ORDERED = "unit.ordered"


@dataclass(frozen=True, slots=True)
class UnitPost:
    """The way to the units' mailboxes in one transaction. `console` is the address that letters link to."""

    session: AsyncSession
    routing: Routing
    console: str
    at: datetime

    async def forwarded(
        self,
        case: Case,
        part: Assignment,
        limits: Iterable[Limit],
        *,
        again: bool,
        back_until: datetime | None,
        came_from: str | None = None,
    ) -> bool:
        """This part of the case is the unit's now. False when the unit has no mailbox."""
        letter = letters.forwarded(
            self._name(part.department),
            self._matter(case),
            [self._due(case, limit) for limit in limits if limit.holder == part.department],
            leads=part.role == "lead",
            again=again,
            back_until=back_until,
            came_from=came_from,
        )
        cause = uuid5(part.id, part.opened_at.isoformat())  # a part that is opened again is told again
        return await self._put(case, part.department, FORWARDED, cause, letter)

    async def limit_reached(self, case: Case, limit: Limit, percent: int) -> None:
        """Part of a limit's time is over, or all of it (100): its holder hears, once for each due time."""
        letter = self.letter_of(case, limit, percent)
        if letter is not None:
            await outbox.enqueue_all(self.session, [letter])

    def letter_of(self, case: Case, limit: Limit | Turning, percent: int) -> dict[str, Any] | None:
        """The row of that letter; None where nobody gets one."""
        if limit.due_at is None or self._hears_nothing(case, limit.holder):
            return None
        name, matter, due = self._name(limit.holder), self._matter(case), self._due(case, limit)
        late = percent >= 100
        letter = letters.breach(name, matter, due) if late else letters.reminder(name, matter, due, percent)
        cause = uuid5(limit.id, f"{percent} {limit.due_at.isoformat()}")
        return self._message(case, limit.holder, BREACHED if late else REMINDED, cause, letter)

    async def chased(self, case: Case, holder: str, limits: Iterable[Limit]) -> None:
        """The citizen asks again: who leads hears of it, at most once a day."""
        dues = [self._due(case, limit) for limit in limits if limit.holder == holder]
        letter = letters.chase(self._name(holder), self._matter(case), case.chased, dues)
        cause = uuid5(case.id, f"chased {holder} {self._day(case)}")
        await self._put(case, holder, CHASED, cause, letter)

    async def ordered(self, case: Case, limit: Limit) -> None:
        """The leadership orders the unit something; its answer is due by this clock."""
        letter = letters.order(self._name(limit.holder), self._matter(case), self._due(case, limit))
        await self._put(case, limit.holder, ORDERED, limit.id, letter)

    async def _put(self, case: Case, department: str, purpose: str, cause: UUID, letter: Letter) -> bool:
        """Into the outbox, unless the unit hears nothing by mail; False: it has no mailbox."""
        if self._hears_nothing(case, department):
            return True
        made = self._message(case, department, purpose, cause, letter)
        if made is None:
            return False
        await outbox.enqueue_all(self.session, [made])
        return True

    def _hears_nothing(self, case: Case, department: str) -> bool:
        """The centre works in the console; of a restricted case nothing leaves the house."""
        return case.restricted or department == self.routing.directory.centre

    def _message(self, case: Case, department: str, purpose: str, cause: UUID, letter: Letter) -> dict[str, Any] | None:
        """The letter to the unit or its living heir, as a row of the outbox; None: no mailbox."""
        day = self._day(case)
        living = self.routing.directory.heir(department, case.area, case.field, day) or department
        mailbox = self.routing.departments[living].email
        if not mailbox:
            return None
        return outbox.message(
            subject_id=case.id,
            entry_id=cause,
            purpose=purpose,
            to=Address(CHANNEL, mailbox),
            channel=CHANNEL,
            text=letter.text,
            reference=case.code,
            at=self.at,
            title=letter.title,
            addressee=living,
        )

    def _matter(self, case: Case) -> Matter:
        field, area = self.routing.field_rows.get(case.field or ""), self.routing.area(case.area)
        above = self.routing.area(area.parent) if area is not None else None
        within = f", {above.type} {above.name}" if above is not None and above.parent is not None else ""
        return Matter(
            code=case.code,
            urgency=case.urgency,
            field=field.name if field is not None else None,
            area=f"{area.type} {area.name}{within}" if area is not None else None,
            lead=self._name(case.lead) if case.lead else None,
            supporting=[self._name(code) for code in case.units if code != case.lead],
            link=f"{self.console}/console/cases/{case.code}",
        )

    def _due(self, case: Case, limit: Limit | Turning) -> DueBy:
        assert limit.due_at is not None
        amount = None if limit.moved_to else Amount.parse(f"{limit.amount}{limit.unit}/{limit.clock}")
        return DueBy(limit.stage, limit.due_at.astimezone(self.routing.rulebook(case.rule_set_id).zone), amount)

    def _name(self, code: str) -> str:
        known = self.routing.departments.get(code)
        return known.name if known is not None else code

    def _day(self, case: Case) -> date:
        return self.routing.rulebook(case.rule_set_id).day_of(self.at)


async def departments_without_email(session: AsyncSession, on: date) -> list[Department]:
    """Units that live on that day and get no letters, for want of a mailbox; the centre needs none."""
    silent = select(Department).where(
        func.coalesce(Department.email, "") == "",
        col(Department.kind) != "centre",
        col(Department.valid_from) <= on,
        col(Department.valid_to).is_(None) | (col(Department.valid_to) > on),
    )
    return list((await session.exec(silent.order_by(col(Department.code)))).all())


async def present_mailbox(session: AsyncSession, department: str) -> str | None:
    """Where letters to this department go now."""
    return (await session.exec(select(Department.email).where(Department.code == department))).first() or None


async def give_demo_mailboxes(session: AsyncSession) -> None:
    """Give each unit of the demo province that has none a mailbox that cannot exist (RFC 2606)."""
    for department in (await session.exec(select(Department).where(col(Department.kind) != "centre"))).all():
        department.email = department.email or f"{department.code}@demo.invalid"
    await session.flush()
