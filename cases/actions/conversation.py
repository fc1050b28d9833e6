"""Talking about a case and with its citizen."""

from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import func
from sqlmodel import select

from cases import replies
from cases.actions.classifying import suspect
from cases.bodies import AddMessage, AskCitizen, AssignOfficer, Body, Note, Reason
from cases.desk import Desk, action
from cases.models import Reveal
from cases.queries import sees
from cases.states import Action, Status
from core.errors import Conflict, Invalid
from core.ids import uuid7
from core.journal import Journal
from core.staff import CENTRE_ROLES, Actor, RoleGrant, Staff, StaffDepartment, roles_from

ASK_AGAIN_AFTER = timedelta(hours=1)  # between two reminders of one case by its citizens


@action(Action.ADD_MESSAGE, AddMessage)
async def add_message(desk: Desk, given: AddMessage) -> None:
    """The citizen adds something; a case that waited for it goes on where it was.

    Words of the reporter of a merged case stand in their own case for them, and here for staff only.
    """
    entry = desk.write("message", given.text, to_citizen=given.via is None)
    if given.via is not None:
        desk.write("message", given.text, to_citizen=True, case_id=given.via)
        desk.data["via"] = str(given.via)
    if given.lat is not None and given.lng is not None and desk.case.lat is None:
        desk.case.lat, desk.case.lng = given.lat, given.lng
        desk.data["changed"] = ["location"]
    await desk.attach(entry)
    await suspect(desk, given.text)
    if desk.case.status == Status.WAITING_CITIZEN:
        desk.clocks.resume()
        desk.case.waiting_from = None


@action(Action.NOTE, Note)
async def note(desk: Desk, given: Note) -> None:
    """An internal note."""
    desk.write("note", given.text)


@action(Action.ATTACH, Body)
async def attach(desk: Desk, given: Body) -> None:
    """Add files; they stand under a line of their own."""
    if not desk.files:
        raise Invalid.at("attachments", "Chưa có tệp nào được gửi.", "No file was sent.", "missing")
    await desk.attach(desk.write("files", ", ".join(stored.name for stored in desk.files)))


@action(Action.ASSIGN_OFFICER, AssignOfficer)
async def assign_officer(desk: Desk, given: AssignOfficer) -> None:
    """Name who works on it, within the departments that have the case or at the centre."""
    if given.officer is None:
        desk.case.officer_id = None
        return
    statement = select(Staff.id).where(Staff.email == given.officer.lower(), Staff.active)
    person = (await desk.session.exec(statement)).first()
    homes: set[str] = set()
    roles: set[str] = set()
    if person is not None:
        homes = set(
            (
                await desk.session.exec(select(StaffDepartment.department).where(StaffDepartment.staff_id == person))
            ).all()
        )
        roles = set((await desk.session.exec(select(RoleGrant.role).where(RoleGrant.staff_id == person))).all())
    units = {a.department for a in desk.assignments if a.ended_at is None}
    if desk.case.restricted:
        suits = sees(Actor("staff", person, roles=roles_from(roles), departments=frozenset(homes)), desk.case)
    else:
        suits = bool(homes & units or roles & CENTRE_ROLES)
    if person is None or not suits:
        raise Invalid.at(
            "officer",
            "Không có cán bộ này trong đơn vị đang xử lý phản ánh.",
            "No such officer in the units that have this case.",
        )
    desk.case.officer_id = person
    desk.data["officer"] = str(person)


@action(Action.ASK_CITIZEN, AskCitizen)
async def ask_citizen(desk: Desk, given: AskCitizen) -> None:
    """Ask the reporter; clocks stop only where the rule set says so."""
    desk.case.waiting_from = desk.case.status
    desk.clocks.stop(desk.book.stop_while_waiting)
    desk.first_response()
    await desk.tell("question", replies.question(given.question), kind="question")


@action(Action.CHASE, Body)
async def chase(desk: Desk, given: Body) -> None:
    """The citizen asks again: the holder is reminded and it is counted, no new case.

    Conflict within an hour of the last time the citizen did.
    """
    if desk.actor.kind == "citizen":
        await _asks_not_too_soon(desk)
    desk.case.chased += 1
    holder = desk.lead.department if desk.lead else desk.routing.directory.centre
    desk.data |= {"department": holder, "count": desk.case.chased}
    if (post := desk.unit_post) is not None:
        await post.chased(desk.case, holder, [limit for limit in desk.clocks.running if limit.due_at is not None])


async def _asks_not_too_soon(desk: Desk) -> None:
    """The case is locked, so what the journal says of it holds until this act is noted or refused."""
    asked = select(func.max(Journal.occurred_at)).where(
        Journal.case_id == desk.case.id, Journal.kind == "case.chase", Journal.actor_kind == "citizen"
    )
    last: datetime | None = (await desk.session.exec(asked)).one()
    if last is None or desk.at >= last + ASK_AGAIN_AFTER:
        return
    again = desk.local(last + ASK_AGAIN_AFTER)
    raise Conflict(
        f"Đơn vị xử lý vừa được nhắc lúc {replies.day_and_time(desk.local(last))}. "
        f"Anh/chị có thể nhắc lại từ {replies.day_and_time(again)}.",
        f"Whoever handles this was reminded at {replies.day_and_time(desk.local(last))}. "
        f"You can remind them again from {replies.day_and_time(again)}.",
        headers={"Retry-After": str(ceil((again - desk.at) / timedelta(seconds=1)))},
        possible_at=again.isoformat(),
    )


@action(Action.REVEAL_IDENTITY, Reason)
async def reveal_identity(desk: Desk, given: Reason) -> None:
    """Let those who have the case see who reported it; who did so and why is kept for the citizen."""
    if desk.actor.id is None:
        raise Invalid("Thao tác này cần một cán bộ.", "Only a member of staff can do this.")
    desk.case.identity_revealed = True
    reveal = Reveal(id=uuid7(desk.at), case_id=desk.case.id, staff_id=desk.actor.id, reason=given.reason, at=desk.at)
    desk.session.add(reveal)
    desk.data["reveal"] = str(reveal.id)
