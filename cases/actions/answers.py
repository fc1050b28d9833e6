"""Answers: written by the unit or the centre, approved, and sent to the citizen."""

from uuid import UUID

from sqlalchemy import update
from sqlmodel import col, select

from cases import commitments, documents, publishing, replies
from cases.actions.triage import withdraw_requests
from cases.bodies import AnswerDirectly, ApproveAnswer, Body, Reason, SubmitAnswer
from cases.desk import Desk, action
from cases.limits import BESIDE
from cases.models import Entry
from cases.states import Action
from core.attachments import Attachment
from core.errors import Conflict, Invalid
from routing.working_time import due


@action(Action.ANSWER_DIRECTLY, AnswerDirectly)
async def answer_directly(desk: Desk, given: AnswerDirectly) -> None:
    """The centre knows the answer: approved as it is given."""
    entry = desk.write("answer", given.reply)
    await desk.attach(entry)
    desk.clocks.meet("forward")
    desk.case.answer_id = entry.id
    desk.case.approved_at = desk.at
    desk.first_response()
    await desk.tell("answer", replies.answer(given.reply), entry=entry)


@action(Action.SUBMIT_ANSWER, SubmitAnswer)
async def submit_answer(desk: Desk, given: SubmitAnswer) -> None:
    """The lead's answer, now waiting for its head."""
    case = desk.case
    _nothing_public(desk, given.public_text)
    entry = desk.write("answer", given.reply)
    signed = documents.sent_along(desk, given.document)
    inner = signed is not None and given.document is not None and not given.document.public
    await desk.attach(entry, [stored for stored in desk.files if not (inner and stored is signed)])
    await desk.session.flush()
    desk.clocks.resume()
    case.waiting_from = None
    desk.clocks.meet("resolve")
    desk.clocks.meet("accept")
    desk.clocks.cancel(only=("dispute",))  # who answers has taken it for theirs
    lead = desk.lead.department if desk.lead else desk.routing.directory.centre
    desk.clocks.open("reply", desk.book.holder("reply", lead), desk.amount("reply"))
    await commitments.settle(desk.session, case, lead, desk.at, "kept")
    case.answer_id, case.approved_at = entry.id, None
    case.public_text = given.public_text if case.published_at is None else case.public_text
    if given.attachments:
        await _move_files(desk, given.attachments, entry.id)
    if given.document is not None:
        await documents.keep(desk, entry, given.document, signed)


@action(Action.RETURN_ANSWER, Reason)
async def return_answer(desk: Desk, given: Reason) -> None:
    """It is wanted better: the lead's clock runs again, with its due time as it stood."""
    if desk.case.approved_at is not None:
        raise Conflict("Câu trả lời đã được duyệt và đang được gửi.", "The answer is approved and being sent.")
    desk.write("reason", given.reason)
    desk.clocks.cancel(keep=("contribute", *BESIDE))
    if desk.lead is not None:
        desk.clocks.run_again("resolve", desk.lead.department)
    desk.case.answer_id = None


@action(Action.APPROVE_ANSWER, ApproveAnswer)
async def approve_answer(desk: Desk, given: ApproveAnswer) -> None:
    """The answer may go out; it is sent from the outbox. The text for the public is the approver's to correct."""
    case = desk.case
    if case.approved_at is not None:
        raise Conflict("Câu trả lời đã được duyệt.", "The answer is already approved.")
    _nothing_public(desk, given.public_text)
    entry = (await desk.session.exec(select(Entry).where(Entry.id == case.answer_id))).one()
    case.approved_at = desk.at
    desk.clocks.cancel(only=("contribute",))  # the answer is given without it
    if given.public_text is not None and case.published_at is None:
        case.public_text = publishing.checked(case, given.public_text, given.left)
        desk.data["changed"] = ["public_text"]
    document = await documents.document_of(desk.session, entry.id)
    reference = documents.reference(document, case.language) if document is not None and document.public else None
    await desk.tell("answer", replies.answer(entry.text, reference), entry=entry)


@action(Action.REPLY, Body)
async def reply(desk: Desk, given: Body) -> None:
    """The answer has reached the citizen's channel, or stands on the tracking page."""
    case = desk.case
    if case.approved_at is None or case.answer_id is None:
        raise Conflict("Câu trả lời chưa được duyệt.", "The answer is not approved.")
    await desk.session.execute(
        update(Entry)
        .where(col(Entry.id) == case.answer_id)
        .values(to_citizen=True)
        .execution_options(synchronize_session=False)
    )
    desk.clocks.cancel(keep=("reply",))
    desk.clocks.meet("reply")
    desk.first_response()
    await withdraw_requests(desk)
    case.replied_at = desk.at
    case.close_after = due(desk.at, desk.book.close_after, desk.book.calendar, day_end=desk.book.day_end)
    if case.public and desk.book.defaults(case.field).public and not case.restricted:
        desk.clocks.open("publish", desk.routing.directory.centre, desk.amount("publish"))
    if desk.lead is not None:
        desk.lead.state = "answered"


def _nothing_public(desk: Desk, public_text: str | None) -> None:
    """Invalid when a restricted case is given a text for the public: there is never one."""
    if desk.case.restricted and public_text is not None:
        raise Invalid.at(
            "public_text",
            "Luồng hạn chế không bao giờ có nội dung công khai.",
            "On a restricted track nothing is ever published.",
            "restricted",
        )


async def _move_files(desk: Desk, ids: list[str], entry_id: UUID) -> None:
    """Files attached to the case before become part of the answer."""
    try:
        wanted = {UUID(each) for each in ids}
    except ValueError:
        wanted = set()
    moved = await desk.session.execute(
        update(Attachment)
        .where(col(Attachment.id).in_(wanted), col(Attachment.case_id) == desk.case.id)
        .values(entry_id=entry_id)
        .returning(col(Attachment.id))
        .execution_options(synchronize_session=False)
    )
    if len(moved.all()) != len(ids):
        raise Invalid.at("attachments", "Có tệp không thuộc phản ánh này.", "A file does not belong to this case.")
