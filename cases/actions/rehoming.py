"""A department that had a part in the case no longer exists: what it had passes to its heir.

The act of the system alone (`cases.rehoming`). History keeps the old department: its part ends as `handed`, and only
what is still owed has a new holder, with the due time it had.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import update
from sqlmodel import col, select

from cases.act_models import Commitment, Directive
from cases.actions.triage import end_parts, take_from_units, withdraw_requests
from cases.bodies import Body
from cases.desk import Desk, action
from cases.giving_back import give_back_until
from cases.models import HANDED, Assignment, Extension
from cases.states import Action, Status
from core.ids import uuid7
from core.staff import StaffDepartment


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one part: an heir `takes` it; or has one already, in which it ends; or nobody is found (None)."""

    department: str
    heir: str | None
    takes: bool


def fates(parts: Sequence[tuple[str, str]], heir_of: Callable[[str], str | None]) -> list[Fate]:
    """What becomes of these parts, each (department, role); those that live on as they are do not come in. Pure.

    The lead comes first: an heir that already supports leads from now on, and its supporting part ends. A department
    has one part in a case, so of two that merge the second ends in the first.
    """
    found: list[Fate] = []
    taken = {department for department, _ in parts if heir_of(department) == department}
    for department, role in sorted(parts, key=lambda part: part[1] != "lead"):
        heir = heir_of(department)
        if heir == department:
            continue
        if role == "lead" and heir in taken:
            found.append(Fate(heir, heir, False))
            taken.discard(heir)
        takes = heir is not None and heir not in taken
        found.append(Fate(department, heir, takes))
        if heir is not None:
            taken.add(heir)
    return found


@action(Action.REHOME, Body)
async def rehome(desk: Desk, given: Body) -> Status | None:
    """Every part of a department that has ended passes to its heir; without one for the lead, the centre has it."""
    case, lead = desk.case, desk.lead
    live = [part for part in desk.assignments if part.ended_at is None]
    decided = fates([(part.department, part.role) for part in live], lambda code: _heir(desk, code))
    desk.data["handed"] = [{"department": fate.department, "heir": fate.heir} for fate in decided]
    desk.data["was"] = lead.department if lead is not None else None
    if any(lead is not None and fate.department == lead.department and fate.heir is None for fate in decided):
        return await _to_the_centre(desk)
    was = {part.department: part for part in live}
    for fate in decided:  # the clocks first, while it is known whose they are
        _pass_clocks(desk, fate, was)
    for fate in decided:
        part = was[fate.department]
        part.ended_at = desk.at
    await desk.session.flush()  # the old parts end before the new ones are there
    fresh = []
    for fate in decided:
        old = was[fate.department]
        if fate.takes and fate.heir is not None:
            fresh.append((_follow(desk, old, fate.heir), old))
    for fate in decided:
        if not fate.takes:
            _owed_too(desk, was[fate.department], fate.heir)
    for fate in decided:
        was[fate.department].state = HANDED
    units = [part for part in desk.assignments if part.ended_at is None]
    units.sort(key=lambda part: part.role != "lead")
    case.lead = desk.lead.department if desk.lead is not None else None
    case.units = [part.department for part in units]
    desk.data |= {"lead": case.lead, "supporting": [part.department for part in units if part.role != "lead"]}
    _clocks_of_others(desk)
    for fate in decided:
        await _pass_promises(desk, fate)
    await _release_officer(desk, set(was) - set(case.units))
    await _ask_again(desk)
    await desk.session.flush()
    await _tell(desk, fresh)
    return None


def _heir(desk: Desk, code: str) -> str | None:
    """The heir of a department for this case; nobody the case is about."""
    case, today = desk.case, desk.book.day_of(desk.at)
    heir = desk.routing.directory.heir(code, case.area, case.field, today)
    return None if heir != code and heir in case.accused_units else heir


def _pass_clocks(desk: Desk, fate: Fate, was: dict[str, Assignment]) -> None:
    leads = fate.heir is not None and desk.lead is not None and _heir(desk, desk.lead.department) == fate.heir
    if fate.heir is None or fate.heir == fate.department or (leads and was[fate.department].role != "lead"):
        desk.clocks.cancel(holder=fate.department)
        return
    for limit in desk.clocks.running:
        if limit.holder == fate.department:
            desk.clocks.hand(limit, fate.heir)


def _follow(desk: Desk, old: Assignment, heir: str) -> Assignment:
    """The heir's part: where the old one stood. It may give the case back as if it had just been given it."""
    part = Assignment(
        id=uuid7(desk.at),
        case_id=desk.case.id,
        department=heir,
        role=old.role,
        state=old.state,
        opened_at=desk.at,
        accepted_at=old.accepted_at,
        task_id=old.task_id,
        asked_by=old.asked_by,
    )
    desk.session.add(part)
    desk.assignments.append(part)
    return part


def _owed_too(desk: Desk, old: Assignment, heir: str | None) -> None:
    """What a helper still owed is owed by the part it ended in, its task with it where that has none to do."""
    if (old.role, old.state) != ("supporting", "open"):
        return
    for part in desk.assignments:
        if part.ended_at is None and (part.department, part.role) == (heir, "supporting"):
            if part.state != "open" or part.task_id is None:
                part.task_id, part.asked_by = old.task_id, old.asked_by
            part.state = "open"


async def _pass_promises(desk: Desk, fate: Fate) -> None:
    """Orders of the leadership that wait, and a date the unit promised, bind who takes its part."""
    if fate.heir is None or not fate.takes:
        return
    orders = update(Directive).where(col(Directive.case_id) == desk.case.id, col(Directive.answered_at).is_(None))
    promises = update(Commitment).where(col(Commitment.case_id) == desk.case.id, col(Commitment.current))
    for statement, whose in ((orders, col(Directive.department)), (promises, col(Commitment.department))):
        mine = statement.where(whose == fate.department).values(department=fate.heir)
        await desk.session.execute(mine.execution_options(synchronize_session=False))


def _clocks_of_others(desk: Desk) -> None:
    """What somebody owes who has no part in the case and no longer exists."""
    ended = desk.routing.directory.ended(desk.book.day_of(desk.at))
    for limit in desk.clocks.running:
        if limit.holder in ended:
            desk.clocks.hand(limit, _heir(desk, limit.holder) or desk.routing.directory.centre)


async def _to_the_centre(desk: Desk) -> Status | None:
    """Nobody leads any more. An answer on its way goes out all the same; else the centre looks for a new lead."""
    case, today = desk.case, desk.book.day_of(desk.at)
    lead = case.lead or ""
    ended = desk.routing.directory.departments[lead].valid_to
    name = desk.routing.directory.name_at(lead, today)
    desk.data |= {"lead": None, "supporting": []}
    await withdraw_requests(desk)
    if case.status == Status.ANSWERED and case.approved_at is not None:
        desk.clocks.cancel(keep=("reply",))
        end_parts(desk, HANDED)
        case.lead, case.units, case.officer_id = None, [], None
        _clocks_of_others(desk)
        return None
    take_from_units(desk, HANDED)
    case.answer_id, case.waiting_from = None, None
    place = desk.routing.area(case.area)
    why = f"địa bàn đã ghi: {place.type} {place.name}" if place is not None else "phản ánh chưa ghi địa bàn"
    day = f" từ ngày {ended:%d/%m/%Y}" if ended is not None else ""
    desk.write(
        "note",
        f"{name} kết thúc hoạt động{day}. Không xác định được đơn vị kế thừa cho phản ánh này ({why}), nên phản ánh "
        "trở về trung tâm. Đề nghị xác định lại địa bàn và chuyển đến đơn vị mới.",
    )
    return Status.RECEIVED


async def _ask_again(desk: Desk) -> None:
    """More time that was asked for is now asked for by the heir."""
    statement = select(Extension).where(Extension.case_id == desk.case.id, Extension.state == "requested")
    for extension in (await desk.session.exec(statement.with_for_update())).all():
        extension.department = desk.case.lead or extension.department


async def _release_officer(desk: Desk, ended: set[str]) -> None:
    """Whoever worked on it for a department that has ended, and works for none that has it now, no longer does."""
    if desk.case.officer_id is None:
        return
    statement = select(StaffDepartment.department).where(col(StaffDepartment.staff_id) == desk.case.officer_id)
    homes = set((await desk.session.exec(statement)).all())
    if homes & ended and homes.isdisjoint(desk.case.units):
        desk.case.officer_id = None


async def _tell(desk: Desk, fresh: Sequence[tuple[Assignment, Assignment]]) -> None:
    """The heirs' mailboxes hear of it; those without one are named in the journal."""
    post = desk.unit_post
    if post is None:
        return
    today, silent = desk.book.day_of(desk.at), []
    for part, old in fresh:
        owed = [limit for limit in desk.clocks.running if limit.due_at is not None]
        told = await post.forwarded(
            desk.case,
            part,
            owed,
            again=False,
            back_until=give_back_until(desk.case, part, desk.routing, desk.book),
            came_from=desk.routing.directory.name_at(old.department, today),
        )
        if not told:
            silent.append(part.department)
    if silent:
        desk.data["without_mailbox"] = silent
