"""Units that help the one that leads: asked for something, by a date of their own, released, or giving it back."""

from cases.actions.triage import check_department, set_date, tell_units, too_late_to_give_back
from cases.bodies import AskSupport, GiveBackSupport, ReleaseSupport
from cases.desk import Desk, action
from cases.giving_back import give_back_until
from cases.models import Assignment
from cases.states import Action
from core.errors import Conflict, Invalid
from core.ids import uuid7


@action(Action.ASK_SUPPORT, AskSupport)
async def ask_support(desk: Desk, given: AskSupport) -> None:
    """Ask a unit for something of its own, by its own date; one that has contributed already is asked once more."""
    unit = check_department(desk, "unit", given.unit)
    if desk.lead is not None and unit == desk.lead.department:
        raise Invalid.at("unit", "Đơn vị này đang chủ trì.", "This unit leads.", "repeated")
    part = _part_of(desk, unit)
    if part is not None and part.state == "open" and part.task_id is not None:
        raise Conflict(
            "Đơn vị này đang phối hợp và chưa gửi ý kiến; hãy chờ, hoặc cho thôi phối hợp rồi đề nghị lại.",
            "This unit is helping already and owes its contribution.",
        )
    task = desk.write("task", given.task)
    await desk.session.flush()  # the line before the part that refers to it
    if part is None:
        part = Assignment(
            id=uuid7(desk.at),
            case_id=desk.case.id,
            department=unit,
            role="supporting",
            state="open",
            opened_at=desk.at,
        )
        desk.session.add(part)
        desk.assignments.append(part)
        desk.case.units = [*desk.case.units, unit]
    elif part.state != "open":
        part.state, part.opened_at = "open", desk.at
    part.task_id, part.asked_by = task.id, desk.actor.id
    desk.start_clocks()
    limit = set_date(desk, unit, given.until, "until")
    desk.clocks.amend(desk.decide())  # several units may have other limits than one
    desk.data |= {"department": unit, "until": limit.due_at.isoformat() if limit and limit.due_at else None}
    await tell_units(desk)


@action(Action.RELEASE_SUPPORT, ReleaseSupport)
async def release_support(desk: Desk, given: ReleaseSupport) -> None:
    """A unit need not help any more; what it has contributed stays."""
    part = _part_of(desk, given.unit)
    if part is None:
        raise Invalid.at("unit", "Đơn vị này không phối hợp.", "This unit is not helping.", "no_part")
    desk.write("reason", given.reason)
    _end(desk, part, "released")


@action(Action.GIVE_BACK_SUPPORT, GiveBackSupport)
async def give_back_support(desk: Desk, given: GiveBackSupport) -> None:
    """What it is asked for is not this unit's: the lead goes on without it. Within the limit for giving back."""
    mine = [part for part in _helpers(desk) if part.department in desk.actor.departments]
    if not mine:
        raise Conflict("Đơn vị không phối hợp phản ánh này.", "Your unit is not helping with this case.")
    if given.suggested is not None and given.suggested not in desk.routing.departments:
        raise Invalid.at("suggested", f"Không có đơn vị mã {given.suggested}.", "Unknown department.", "unknown")
    part = next((each for each in mine if each.state == "open"), None)
    if part is None:
        raise Conflict("Đơn vị đã gửi ý kiến phối hợp.", "Your unit has contributed already.")
    until = give_back_until(desk.case, part, desk.routing, desk.book)
    if until is not None and desk.at > until:
        raise too_late_to_give_back(
            until, "Hãy trao đổi với đơn vị chủ trì.", "Ask the unit that leads to release yours."
        )
    desk.write("reason", given.reason)
    desk.data |= {"suggested": given.suggested, "lead": desk.case.lead}
    _end(desk, part, "given_back")


def _helpers(desk: Desk) -> list[Assignment]:
    return [part for part in desk.assignments if part.role == "supporting" and part.ended_at is None]


def _part_of(desk: Desk, unit: str) -> Assignment | None:
    return next((part for part in _helpers(desk) if part.department == unit), None)


def _end(desk: Desk, part: Assignment, state: str) -> None:
    """The unit's part is over, and what it owed; the others go on."""
    part.state, part.ended_at = state, desk.at
    desk.case.units = [unit for unit in desk.case.units if unit != part.department]
    desk.clocks.cancel(holder=part.department)
    desk.clocks.amend(desk.decide())
    desk.data["department"] = part.department
