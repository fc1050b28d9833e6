"""Units that have a case cannot agree whose it is, or whether it is done: who stands above them decides."""

from sqlmodel import col, select

from cases import replies
from cases.act_models import Dispute
from cases.actions.triage import check_department, tell_units, withdraw_requests
from cases.bodies import DecideDispute, Raise
from cases.desk import Desk, action
from cases.models import Assignment
from cases.states import Action, Status
from core.errors import Conflict, NotAllowed
from core.ids import uuid7

STAGE = "dispute"
PROVINCIAL_OFFICE = "van_phong_ubnd"  # the kind of department that settles what units cannot among themselves


@action(Action.DISPUTE, Raise)
async def dispute(desk: Desk, given: Raise) -> None:
    """Ask for a decision from above. The clocks run on: nobody gains time by disagreeing."""
    part = next(
        (each for each in desk.assignments if each.ended_at is None and each.department in desk.actor.departments), None
    )
    if part is None:
        raise Conflict("Đơn vị không giữ phản ánh này.", "Your unit does not have the case.")
    if desk.clocks.find(STAGE) is not None:
        raise Conflict("Tranh chấp đang chờ cấp trên quyết định.", "A dispute is already waiting for a decision.")
    entry = desk.write("dispute", given.text)
    limit = desk.clocks.open(STAGE, _deciding(desk), desk.book.directive_review_within)
    assert limit is not None  # none was running, and the rule set always has an amount
    desk.session.add(limit)
    await desk.session.flush()  # line and clock before what refers to them
    desk.session.add(
        Dispute(
            id=uuid7(desk.at),
            case_id=desk.case.id,
            limit_id=limit.id,
            department=part.department,
            entry_id=entry.id,
            opened_at=desk.at,
        )
    )
    desk.data |= {"department": part.department, "until": limit.due_at.isoformat() if limit.due_at else None}


@action(Action.DECIDE_DISPUTE, DecideDispute)
async def decide_dispute(desk: Desk, given: DecideDispute) -> Status | None:
    """The decision holds: whoever is named leads from now on, with limits of their own, and cannot give it back."""
    limit = desk.clocks.find(STAGE)
    if limit is None or desk.lead is None:
        raise Conflict("Không có tranh chấp nào đang chờ quyết định.", "No dispute is waiting for a decision.")
    if desk.actor.id is None:
        raise NotAllowed("Thao tác này cần một cán bộ.", "Only a member of staff can do this.")
    before = desk.lead.department
    lead = before if given.lead is None else check_department(desk, "lead", given.lead)
    row = (await desk.session.exec(select(Dispute).where(Dispute.limit_id == limit.id))).one()
    entry = desk.write("decision", given.reason)
    await desk.session.flush()  # the line before what refers to it
    row.decision_id, row.decided_at, row.decided_by, row.lead = entry.id, desk.at, desk.actor.id, lead
    desk.clocks.meet(STAGE, limit.holder)
    desk.data |= {"lead": lead, "was": before, "raised_by": row.department}
    if lead == before:
        return None
    await withdraw_requests(desk)
    await _hand_to(desk, lead)
    promised = desk.local(desk.case.promised_at) if desk.case.promised_at else None
    await desk.tell("forwarded", replies.forwarded(desk.routing.departments[lead].name, promised))
    await tell_units(desk)
    return Status.FORWARDED


async def decided_for(desk: Desk, department: str) -> bool:
    """Whether it was decided above that this unit leads, since it has the case."""
    lead = desk.lead
    if lead is None or lead.department != department:
        return False
    statement = select(Dispute.id).where(
        Dispute.case_id == desk.case.id, Dispute.lead == department, col(Dispute.decided_at) >= lead.opened_at
    )
    return (await desk.session.exec(statement)).first() is not None


async def _hand_to(desk: Desk, lead: str) -> None:
    """Another unit leads; the others go on helping, but for the one that led."""
    case = desk.case
    for part in desk.assignments:
        if part.ended_at is None and (part.role == "lead" or part.department == lead):
            part.state, part.ended_at = "overruled", desk.at
            desk.clocks.cancel(holder=part.department)
    desk.clocks.resume()
    await desk.session.flush()  # the old lead has gone before the new one comes
    helpers = [part.department for part in desk.assignments if part.ended_at is None]
    part = Assignment(id=uuid7(desk.at), case_id=case.id, department=lead, role="lead", state="open", opened_at=desk.at)
    desk.session.add(part)
    desk.assignments.append(part)
    case.lead, case.units, case.officer_id, case.waiting_from = lead, [lead, *helpers], None, None
    desk.start_clocks()


def _deciding(desk: Desk) -> str:
    """Who owes the decision: the provincial office, or where a province has none the centre."""
    today = desk.book.day_of(desk.at)
    directory = desk.routing.directory
    kinds = directory.departments.items()
    offices = sorted(code for code, each in kinds if each.kind == PROVINCIAL_OFFICE and each.lives(today))
    return offices[0] if offices else directory.centre
