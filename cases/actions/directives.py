"""Orders of the leadership about a case, above all a late one, and the answer that the unit owes to each."""

from sqlmodel import select

from cases.act_models import Directive
from cases.bodies import AnswerDirective, Direct, within_reason
from cases.desk import Desk, action
from cases.states import Action
from core.errors import Conflict, Invalid, NotAllowed
from core.ids import uuid7

STAGE = "directive"


@action(Action.DIRECT, Direct)
async def direct(desk: Desk, given: Direct) -> None:
    """The leadership orders something; the unit has to answer within the rule set's time, or by the date given."""
    if desk.actor.id is None:
        raise NotAllowed("Thao tác này cần một cán bộ.", "Only a member of staff can do this.")
    department = _addressee(desk, given.to)
    if desk.clocks.find(STAGE, department) is not None:
        raise Conflict(
            "Đơn vị chưa trả lời chỉ đạo trước; hãy chờ trả lời hoặc ghi thêm ý kiến.",
            "The unit still owes an answer to an earlier order.",
        )
    if given.until is not None and not within_reason(given.until, desk.at):
        raise Invalid.at("until", "Hạn trả lời phải ở phía trước, trong vòng một năm.", "The date must lie ahead.")
    desk.data["late"] = any(limit.due_at is not None and limit.due_at < desk.at for limit in desk.clocks.running)
    entry = desk.write("order", given.text)
    limit = desk.clocks.open(STAGE, department, desk.book.directive_review_within)
    assert limit is not None  # none was running, and the rule set always has an amount
    if given.until is not None:
        desk.clocks.move(limit, given.until)
    desk.session.add(limit)
    await desk.session.flush()  # line and clock before what refers to them
    desk.session.add(
        Directive(
            id=uuid7(desk.at),
            case_id=desk.case.id,
            limit_id=limit.id,
            department=department,
            by=desk.actor.id,
            entry_id=entry.id,
            opened_at=desk.at,
        )
    )
    desk.data |= {"department": department, "until": limit.due_at.isoformat() if limit.due_at else None}
    if (post := desk.unit_post) is not None:
        await post.ordered(desk.case, limit)


@action(Action.ANSWER_DIRECTIVE, AnswerDirective)
async def answer_directive(desk: Desk, given: AnswerDirective) -> None:
    """What the unit has done about the order, to whoever gave it."""
    owed = [each for each in desk.clocks.running if each.stage == STAGE and each.holder in desk.actor.departments]
    if not owed:
        raise Conflict("Không có chỉ đạo nào đang chờ đơn vị trả lời.", "Your unit owes no answer to an order.")
    limit = owed[0]
    directive = (await desk.session.exec(select(Directive).where(Directive.limit_id == limit.id))).one()
    entry = desk.write("order_answer", given.text)
    await desk.session.flush()  # the line before what refers to it
    directive.answer_id, directive.answered_at = entry.id, desk.at
    desk.clocks.meet(STAGE, limit.holder)
    desk.data["department"] = limit.holder


def _addressee(desk: Desk, code: str | None) -> str:
    """The unit that is named, or leads; it has to have the case."""
    live = {part.department: part for part in desk.assignments if part.ended_at is None}
    if code is None and desk.lead is None:
        raise Conflict("Phản ánh chưa ở đơn vị nào.", "No unit has the case.")
    department = code or (desk.lead.department if desk.lead else "")
    if department not in live:
        raise Invalid.at("to", "Đơn vị này không giữ phản ánh.", "This unit does not have the case.", "no_part")
    return department
