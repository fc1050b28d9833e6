"""After the reply: publishing, rating, closing, opening again."""

from datetime import datetime

from cases import publishing, replies
from cases.actions.triage import assign, end_parts, promise, take_from_units, tell_units
from cases.bodies import Body, Publish, Rate, Reason
from cases.desk import Desk, action
from cases.models import Case, Rating
from cases.states import Action, Status
from core.errors import Conflict
from core.ids import uuid7
from routing.decide import Rulebook
from routing.working_time import due

GOOD = 4  # a rating from here up closes the case


@action(Action.PUBLISH, Publish)
async def publish(desk: Desk, given: Publish) -> None:
    """A person has checked the text: it may be read by everyone. Never against the citizen's wish."""
    if not desk.case.public or desk.case.restricted:
        raise Conflict("Người dân không đồng ý công khai phản ánh này.", "The citizen does not agree to publication.")
    desk.case.public_text = publishing.checked(desk.case, given.public_text, given.left)
    desk.case.published_at = desk.at
    desk.data["left"] = len(given.left)
    desk.clocks.meet("publish")


@action(Action.UNPUBLISH, Reason)
async def unpublish(desk: Desk, given: Reason) -> None:
    """No longer for everyone."""
    if desk.case.published_at is None:
        raise Conflict("Phản ánh chưa được công khai.", "The case is not published.")
    desk.write("reason", given.reason)
    desk.case.published_at = None


@action(Action.RATE, Rate)
async def rate(desk: Desk, given: Rate) -> None:
    """The citizen's judgement; 4 and 5 close the case."""
    desk.data |= {"rating": given.rating, "previous": desk.case.rating}
    desk.session.add(Rating(id=uuid7(desk.at), case_id=desk.case.id, rating=given.rating, text=given.text, at=desk.at))
    desk.case.rating = given.rating
    if given.rating >= GOOD and desk.case.status == Status.REPLIED:
        desk.then.append((Action.CLOSE, {}))


@action(Action.CLOSE, Body)
async def close(desk: Desk, given: Body) -> None:
    """Nothing more is expected. Publishing may still be owed."""
    desk.clocks.cancel(keep=("publish",))
    desk.case.ended_at = desk.at
    desk.case.close_after = None


def reopen_until(case: Case, book: Rulebook) -> datetime | None:
    """Until when its citizen may say that it is not solved; None where nothing has been answered."""
    since = case.replied_at if case.status != Status.REFUSED else case.ended_at
    return None if since is None else due(since, book.reopen_within, book.calendar, day_end=book.day_end)


@action(Action.REOPEN, Reason)
async def reopen(desk: Desk, given: Reason) -> Status:
    """Not solved: back to the last lead if it still lives, with fresh limits, else to the centre."""
    case = desk.case
    if desk.actor.kind == "citizen":
        until = reopen_until(case, desk.book)
        if until is not None and desk.at > until:
            raise Conflict(
                f"Đã quá hạn mở lại ({replies.day_and_time(until)}). Anh/chị vui lòng gửi phản ánh mới.",
                f"The case could be reopened until {until.isoformat()}. Please send a new report.",
            )
    desk.write(
        "message" if desk.actor.kind == "citizen" else "reason", given.reason, to_citizen=desk.actor.kind == "citizen"
    )
    desk.clocks.cancel()
    case.ended_at = case.close_after = case.replied_at = case.approved_at = case.answer_id = case.rating = None
    case.published_at = None  # what was published says it is solved
    await desk.tell("reopened", replies.reopened())
    lead, heir = desk.lead, None if case.restricted else desk.heir
    desk.data["lead"] = heir
    if heir is None:
        take_from_units(desk, "ended")
        promise(desk)
        return Status.RECEIVED
    if lead is not None and heir == lead.department:
        lead.state, lead.opened_at, lead.accepted_at = "open", desk.at, None
        desk.start_clocks()
    else:
        end_parts(desk, "succeeded")
        await desk.session.flush()
        assign(desk, heir, [])
    promise(desk)
    await tell_units(desk, again=True)
    return Status.FORWARDED
