"""What departments do with a case they have."""

from datetime import datetime

from sqlmodel import col, select

from cases import commitments, replies
from cases.actions.disputes import decided_for
from cases.actions.triage import take_from_units, too_late_to_give_back, withdraw_requests
from cases.bodies import (
    Body,
    Contribute,
    GiveBack,
    GrantExtension,
    Reason,
    RequestExtension,
    TellProgress,
    within_reason,
)
from cases.desk import Desk, action
from cases.giving_back import give_back_until
from cases.limits import amount_of, stops_of
from cases.models import HANDED, Extension, Limit
from cases.states import Action
from core.errors import Conflict, Invalid, NotAllowed
from core.ids import uuid7
from routing.working_time import Amount, due


@action(Action.ACCEPT, Body)
async def accept(desk: Desk, given: Body) -> None:
    """The lead takes the case on."""
    desk.clocks.meet("accept")
    if desk.lead is not None:
        desk.lead.state, desk.lead.accepted_at = "accepted", desk.at
    if desk.case.officer_id is None:
        desk.case.officer_id = desk.actor.id


@action(Action.GIVE_BACK, GiveBack)
async def give_back(desk: Desk, given: GiveBack) -> None:
    """Not theirs: back to the centre, with the reason, within the limit for giving back."""
    lead = desk.lead
    if lead is None:
        raise Conflict("Phản ánh chưa có đơn vị chủ trì.", "The case has no lead.")
    until = give_back_until(desk.case, lead, desk.routing, desk.book)
    if until is not None and desk.at > until:
        raise too_late_to_give_back(
            until, "Hãy đề nghị điều phối viên thu hồi.", "Ask the dispatcher to recall the case."
        )
    if await decided_for(desk, lead.department):
        raise Conflict(
            "Cấp trên đã quyết định đơn vị chủ trì, nên không trả lại được.",
            "It was decided above that this unit leads: the case cannot be given back.",
        )
    if given.suggested is not None and given.suggested not in desk.routing.departments:
        raise Invalid.at("suggested", f"Không có đơn vị mã {given.suggested}.", "Unknown department.", "unknown")
    desk.write("reason", given.reason)
    desk.case.give_backs += 1
    if desk.case.give_backs >= desk.book.give_backs_before_supervisor and not desk.case.restricted:
        desk.case.needs_supervisor = True
    desk.data |= {
        "department": lead.department,
        "suggested": given.suggested,
        "count": desk.case.give_backs,
        "to_supervisor": desk.case.needs_supervisor,
    }
    await withdraw_requests(desk)
    take_from_units(desk, "given_back")


@action(Action.CONTRIBUTE, Contribute)
async def contribute(desk: Desk, given: Contribute) -> None:
    """A supporting unit has done its part, while it can still go into the answer."""
    if desk.case.approved_at is not None:
        raise Conflict("Câu trả lời đã được duyệt và đang được gửi.", "The answer is approved and being sent.")
    for part in desk.assignments:
        if part.ended_at is None and part.role == "supporting" and part.department in desk.actor.departments:
            desk.clocks.meet("contribute", part.department)
            part.state = "contributed"
            desk.data["department"] = part.department
    desk.write("contribution", given.text)


@action(Action.REQUEST_EXTENSION, RequestExtension)
async def request_extension(desk: Desk, given: RequestExtension) -> None:
    """Ask for more time, before it has run out, as often and as far as the rule set allows."""
    limit = _resolve_limit(desk)
    rules, asker = desk.book.extend, desk.actor.id
    if asker is None:
        raise NotAllowed("Thao tác này cần một cán bộ.", "Only a member of staff can do this.")
    states = [extension.state for extension in await _extensions(desk)]
    if "requested" in states:
        raise Conflict("Đang có đề nghị gia hạn chờ duyệt.", "An extension is already waiting for a decision.")
    granted = states.count("granted")
    beyond = granted == rules.max and rules.beyond_by == "province"
    if granted >= rules.max and not beyond:
        raise Conflict(
            f"Đã gia hạn {granted} lần, hết số lần cho phép.", f"Extended {granted} times already; no more is allowed."
        )
    if rules.before_due and limit.due_at is not None and desk.at > limit.due_at:
        raise Conflict(
            f"Chỉ được đề nghị gia hạn trước khi hết hạn ({replies.day_and_time(desk.local(limit.due_at))}).",
            "An extension must be asked for before the limit is due.",
            due_at=limit.due_at.isoformat(),
        )
    _check_until(desk, limit, given.until, granted)
    extension = Extension(
        id=uuid7(desk.at),
        case_id=desk.case.id,
        department=limit.holder,
        until=given.until,
        reason=given.reason,
        requested_by=asker,
        requested_at=desk.at,
        beyond=beyond,
    )
    desk.session.add(extension)
    desk.data |= {
        "extension": str(extension.id),
        "until": given.until.isoformat(),
        "department": limit.holder,
        "beyond": beyond,
    }


@action(Action.GRANT_EXTENSION, GrantExtension)
async def grant_extension(desk: Desk, given: GrantExtension) -> None:
    """More time, counted apart; the citizen hears the new date and why."""
    extension, granted = await _decided_extension(desk, "granted")
    limit = _resolve_limit(desk)
    extension.until = given.until or extension.until
    _check_until(desk, limit, extension.until, granted)
    desk.clocks.move(limit, extension.until)
    if not desk.case.restricted:  # what the law allows its authority is no promise of ours
        desk.case.promised_at = max(desk.case.promised_at or extension.until, extension.until)
    desk.data["until"] = extension.until.isoformat()
    await desk.tell("extended", replies.extended(desk.local(extension.until), extension.reason))


@action(Action.DENY_EXTENSION, Reason)
async def deny_extension(desk: Desk, given: Reason) -> None:
    """No more time."""
    await _decided_extension(desk, "denied")
    await desk.tell("extension_denied", replies.extension_denied(given.reason))


@action(Action.TELL_PROGRESS, TellProgress)
async def tell_progress(desk: Desk, given: TellProgress) -> None:
    """How far it is, and a date the unit commits itself to, which is kept or noticed to be broken."""
    lead = desk.lead
    if lead is None:
        raise Conflict("Phản ánh chưa có đơn vị chủ trì.", "The case has no lead.")
    if not within_reason(given.until, desk.at):
        raise Invalid.at("until", "Ngày cam kết phải ở phía trước, trong vòng một năm.", "The date must lie ahead.")
    desk.first_response()
    desk.data["until"] = given.until.isoformat()
    line = await desk.tell("progress", replies.progress(given.text, desk.local(given.until)), kind="progress")
    await commitments.make(desk.session, desk.case, lead.department, line.id, given.until, desk.at)
    desk.data["department"] = lead.department


def _resolve_limit(desk: Desk) -> Limit:
    limit = desk.clocks.find("resolve")
    if limit is None:
        raise Conflict("Phản ánh không có hạn xử lý đang chạy.", "No resolve limit is running.")
    return limit


def _check_until(desk: Desk, limit: Limit, until: datetime, granted: int) -> None:
    """The new date lies after the present one and within the bound of the rule set, each time anew."""
    bound = _longer(amount_of(limit), 1 + (granted + 1) * desk.book.extend.max_ratio)
    calendar = desk.routing.calendars[limit.calendar]
    latest = due(limit.opened_at, bound, calendar, day_end=desk.book.day_end, stops=stops_of(limit))
    if (limit.due_at is not None and until <= limit.due_at) or until <= desk.at:
        raise Invalid.at("until", "Ngày mới phải sau hạn hiện tại.", "The new date must be after the present limit.")
    if until > latest:
        raise Invalid.at(
            "until",
            f"Gia hạn nhiều nhất đến {replies.day_and_time(latest)}.",
            f"The rule set allows at most {latest.isoformat()}.",
            "too_far",
        )


def _longer(amount: Amount, times: float) -> Amount:
    minutes = {"min": 1, "h": 60, "d": 0}[amount.unit] * amount.value
    if minutes:
        return Amount(int(minutes * times), "min", amount.clock)
    return Amount(int(amount.value * times), "d", amount.clock)


async def _extensions(desk: Desk) -> list[Extension]:
    """What was asked for since the present lead has the case."""
    statement = select(Extension).where(
        Extension.case_id == desk.case.id, col(Extension.requested_at) >= _leads_since(desk)
    )
    return list((await desk.session.exec(statement.with_for_update())).all())


def _leads_since(desk: Desk) -> datetime:
    """Since when the present lead has the case, with the abolished departments it took it over from."""
    since = desk.lead.opened_at if desk.lead else desk.at
    handed = {part.ended_at: part.opened_at for part in desk.assignments if (part.role, part.state) == ("lead", HANDED)}
    while since in handed:
        since = handed.pop(since)
    return since


async def _decided_extension(desk: Desk, state: str) -> tuple[Extension, int]:
    """The one that waited, decided; how many were granted before it."""
    known = await _extensions(desk)
    waiting = [extension for extension in known if extension.state == "requested"]
    if not waiting:
        raise Conflict("Không có đề nghị gia hạn nào đang chờ.", "No extension is waiting for a decision.")
    extension, granted = waiting[0], sum(each.state == "granted" for each in known)
    extension.state, extension.decided_by, extension.decided_at = state, desk.actor.id, desk.at
    desk.data |= {"extension": str(extension.id), "department": extension.department, "beyond": extension.beyond}
    return extension, granted
