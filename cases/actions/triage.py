"""What the centre does with a report: send it to a department, take it back, split it, join it."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from sqlmodel import select

from cases import replies
from cases.bodies import Body, Forward, Into, Reason, Split, within_reason
from cases.desk import Desk, action, writer_of
from cases.giving_back import give_back_until
from cases.intake import Report, open_case
from cases.models import Assignment, Extension, Limit
from cases.queries import live_case
from cases.states import OPEN, Action, Status
from core.db import bare
from core.errors import Conflict, Invalid
from core.ids import uuid7


@action(Action.FORWARD, Forward)
async def forward(desk: Desk, given: Forward) -> None:
    """Hand the case to the department that leads, and to those that help, each with a task and a date if it has one."""
    lead = check_department(desk, "lead", given.lead)
    supporting = [check_department(desk, f"supporting.{n}", each.unit) for n, each in enumerate(given.supporting)]
    if lead in supporting or len(set(supporting)) != len(supporting):
        raise Invalid.at(
            "supporting", "Mỗi đơn vị chỉ có một vai trò.", "A department leads or supports, once.", "repeated"
        )
    if desk.case.restricted:
        _check_restricted(desk, lead, supporting)
    desk.clocks.meet("forward")
    if desk.case.needs_supervisor:  # who decided is the supervisor, and nobody else could
        desk.case.needs_supervisor = False
        desk.data["decided"] = True
    tasks = {each.unit: desk.write("task", each.task).id for each in given.supporting if each.task}
    await desk.session.flush()  # the lines before the parts that refer to them
    assign(desk, lead, supporting, tasks)
    for n, each in enumerate(given.supporting):
        set_date(desk, each.unit, each.until, f"supporting.{n}.until")
    if given.reason:
        desk.write("reason", given.reason)
    desk.data |= {"lead": lead, "supporting": supporting}
    name = desk.routing.departments[lead].name
    if desk.case.promised_at is None:  # reopened, or on another track before
        promise(desk)
    promised = desk.local(desk.case.promised_at) if desk.case.promised_at else None
    await desk.tell("forwarded", replies.forwarded(name, promised))
    await tell_units(desk)


@action(Action.RECALL, Reason)
async def recall(desk: Desk, given: Reason) -> None:
    """Take the case back from the units."""
    desk.write("reason", given.reason)
    await withdraw_requests(desk)
    take_from_units(desk, "recalled")


@action(Action.SPLIT, Split)
async def split(desk: Desk, given: Split) -> None:
    """Open a case of its own for a second matter of the same report."""
    case = desk.case
    if given.field is not None:
        check_field(desk, given.field)
    report = Report(
        channel=case.channel,
        text=given.text,
        field=given.field,
        area=case.area,
        lat=case.lat,
        lng=case.lng,
        address=case.address,
        name=case.contact.get("name"),
        phone=case.contact.get("phone"),
        email=case.contact.get("email"),
        public=case.public,
        sender=(sender := writer_of(case)),
        language=case.language,
        receipt=sender is None,  # there the reporter is told below, in the talk about the first case
    )
    opened = await open_case(
        await bare(desk.session),
        desk.office.intake,
        report,
        key=f"split:{case.id}:{case.version}",
        at=desk.at,
        actor=desk.actor,
        account="centre",
        citizen_id=case.citizen_id,
        split_from=(case.id, case.key_of),
    )
    if opened.restricted:  # its code must not stand where those who may not know of it can read
        await desk.tell("split", replies.split(None))
        return
    desk.data["new"] = opened.answer["code"]
    await desk.tell("split", replies.split(opened.answer["code"]))


@action(Action.MERGE, Into)
async def merge(desk: Desk, given: Into) -> None:
    """Join a duplicate with the case that goes on; later messages follow that one."""
    case = desk.case
    target = await live_case(desk.session, desk.actor, given.into)
    if target.id == case.id:
        raise Conflict("Không thể gộp phản ánh vào chính nó.", "A case cannot be merged into itself.")
    if target.restricted != case.restricted:
        raise Conflict(
            "Chỉ gộp được hai phản ánh cùng luồng xử lý.", "Only cases of the same kind of track can be merged."
        )
    if Status(target.status) in (Status.SPAM, Status.REFUSED, Status.REDIRECTED):
        raise Conflict(f"Phản ánh {target.code} không còn được xử lý.", f"Case {target.code} is not being worked on.")
    desk.clocks.cancel()
    end_parts(desk, "merged")
    case.merged_into = target.id
    case.ended_at = desk.at
    desk.data["into"] = target.code
    await desk.tell("merged", replies.merged(target.code))


@action(Action.LINK_INCIDENT, Into)
async def link_incident(desk: Desk, given: Into) -> None:
    """One of many reports of the same incident."""
    incident = await live_case(desk.session, desk.actor, given.into)
    if incident.id == desk.case.id or incident.restricted or Status(incident.status) not in OPEN:
        raise Conflict("Không thể gắn với phản ánh này.", "This case cannot be the incident.")
    desk.case.incident_id = incident.id
    desk.data["into"] = incident.code


@action(Action.UNLINK_INCIDENT, Body)
async def unlink_incident(desk: Desk, given: Body) -> None:
    """It was something else."""
    if desk.case.incident_id is None:
        raise Conflict("Phản ánh không gắn với sự cố nào.", "The case is not linked to an incident.")
    desk.case.incident_id = None


def check_field(desk: Desk, code: str) -> None:
    """Invalid unless a field of the second level."""
    if code not in desk.routing.fields:
        raise Invalid.at("field", f"Không có lĩnh vực mã {code}.", f"Unknown field {code}.", "unknown")


def check_department(desk: Desk, where: str, code: str) -> str:
    """The code, if the department is alive today and is not the centre."""
    directory = desk.routing.directory
    if code not in directory.departments or code == directory.centre:
        raise Invalid.at(where, f"Không có đơn vị mã {code}.", f"Unknown department {code}.", "unknown")
    today = desk.book.day_of(desk.at)
    if not directory.departments[code].lives(today):
        heir = directory.heir(code, desk.case.area, desk.case.field, today)
        hint = f" Đơn vị kế thừa: {heir}." if heir else ""
        raise Invalid.at(
            where,
            f"Đơn vị {code} không còn hoạt động.{hint}",
            f"Department {code} is abolished; heir: {heir}.",
            "abolished",
        )
    return code


def _check_restricted(desk: Desk, lead: str, supporting: list[str]) -> None:
    """A restricted case is nobody's whom it is about, and nobody's who could not be told of it."""
    if lead in desk.case.accused_units:
        raise Invalid.at(
            "lead", "Phản ánh này nói về chính đơn vị đó.", "The case is about that very department.", "accused"
        )
    if supporting:
        raise Invalid.at(
            "supporting",
            "Luồng hạn chế không có đơn vị phối hợp.",
            "On a restricted track no department helps.",
            "restricted",
        )


def assign(desk: Desk, lead: str, supporting: list[str], tasks: Mapping[str, UUID] = MappingProxyType({})) -> None:
    """Give the case to its units and start their clocks, by the amounts the rules give for this case.

    `tasks`: the lines that say what a unit is asked to do.
    """
    case = desk.case
    for department, role in [(lead, "lead"), *((code, "supporting") for code in supporting)]:
        part = Assignment(
            id=uuid7(desk.at),
            case_id=case.id,
            department=department,
            role=role,
            state="open",
            opened_at=desk.at,
            task_id=tasks.get(department),
            asked_by=desk.actor.id if department in tasks else None,
        )
        desk.session.add(part)
        desk.assignments.append(part)
    case.lead, case.units = lead, [lead, *supporting]
    case.officer_id = None
    desk.start_clocks()


def set_date(desk: Desk, unit: str, until: datetime | None, where: str) -> Limit | None:
    """The running limit of a unit that helps, moved to a date of its own if one is given.

    Invalid at `where` unless the date leaves the lead time: ahead, and before the lead's, while that is ahead itself.
    """
    limit = desk.clocks.find("contribute", unit)
    if until is None:
        return limit
    if not within_reason(until, desk.at):
        raise Invalid.at(where, "Hạn phối hợp phải ở phía trước, trong vòng một năm.", "The date must lie ahead.")
    resolve = desk.clocks.find("resolve")
    if resolve is not None and resolve.due_at is not None and desk.at < resolve.due_at < until:
        latest = replies.day_and_time(desk.local(resolve.due_at))
        raise Invalid.at(
            where,
            f"Hạn phối hợp phải trước hạn xử lý của đơn vị chủ trì ({latest}).",
            "The date must be before the lead's own limit.",
            "too_far",
        )
    if limit is not None:
        desk.clocks.move(limit, until)
    return limit


async def tell_units(desk: Desk, *, again: bool = False) -> None:
    """Write to the units whose clocks start with this act; those without a mailbox are named in the journal."""
    post = desk.unit_post
    if post is None:
        return
    silent = []
    for part in desk.assignments:
        started = any(limit.holder == part.department for limit in desk.clocks.added)
        if part.ended_at is not None or not (started or part.opened_at == desk.at):
            continue
        until = give_back_until(desk.case, part, desk.routing, desk.book)
        if not await post.forwarded(desk.case, part, desk.clocks.added, again=again, back_until=until):
            silent.append(part.department)
    if silent:
        desk.data["without_mailbox"] = silent


def too_late_to_give_back(until: datetime, instead: str, instead_en: str) -> Conflict:
    """The limit for giving back is over; what to do instead."""
    return Conflict(
        f"Đã hết hạn trả lại ({replies.day_and_time(until)}). {instead}",
        f"The time to give back ended at {until.isoformat()}. {instead_en}",
        ended_at=until.isoformat(),
    )


def promise(desk: Desk) -> None:
    """The citizen may expect an answer by the limit to resolve that runs now, and by no day where none runs."""
    resolve = desk.clocks.find("resolve")
    desk.case.promised_at = resolve.due_at if resolve is not None and not desk.case.restricted else None


def end_parts(desk: Desk, state: str) -> None:
    """The units' parts in the case are over."""
    for part in desk.assignments:
        if part.ended_at is None:
            part.state, part.ended_at = state, desk.at


async def withdraw_requests(desk: Desk) -> None:
    """More time that was asked for is asked for no more: whoever did has the case no longer, or has answered."""
    statement = select(Extension).where(Extension.case_id == desk.case.id, Extension.state == "requested")
    for extension in (await desk.session.exec(statement.with_for_update())).all():
        extension.state = "withdrawn"


def take_from_units(desk: Desk, state: str) -> None:
    """The units lose the case and their limits; the centre holds it afresh. The promise to the citizen stays."""
    end_parts(desk, state)
    desk.case.lead, desk.case.units, desk.case.officer_id = None, [], None
    desk.clocks.cancel()
    desk.open_forward()
