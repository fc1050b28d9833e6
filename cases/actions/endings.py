"""Reports that do not become work of a department."""

from cases import documents, replies
from cases.actions.classifying import change_track
from cases.actions.triage import end_parts
from cases.bodies import Body, Redirect, Refuse
from cases.desk import Desk, action
from cases.sentences import LANGUAGES
from cases.states import Action
from core.errors import Invalid


@action(Action.REFUSE, Refuse)
async def refuse(desk: Desk, given: Refuse) -> None:
    """Not for us: the citizen hears why and where to go."""
    if given.reason_code not in replies.REFUSALS:
        raise Invalid.at(
            "reason_code",
            f"Lý do phải là một trong: {', '.join(replies.REFUSALS)}.",
            f"The reason must be one of: {', '.join(replies.REFUSALS)}.",
            "unknown",
        )
    _end(desk)
    desk.data["reason_code"] = given.reason_code
    desk.first_response()
    proposed = {desk.words.refusal(given.reason_code, language) for language in LANGUAGES}
    reply = None if given.reply in proposed else given.reply  # the form proposes the sentence of the reason
    await desk.tell("refused", replies.refused(given.reason_code, reply), kind="answer")


@action(Action.REDIRECT, Redirect)
async def redirect(desk: Desk, given: Redirect) -> None:
    """The hand-over to whom it belongs to is recorded; our part ends."""
    if given.track is not None and given.track != desk.case.track:
        change_track(desk, given.track)
    to = given.to or replies.TRACK_DESTINATION.get(desk.case.track)
    if to is None:
        raise Invalid.at("to", "Hãy ghi nơi chuyển đến.", "Say where it was handed over to.", "missing")
    _end(desk)
    desk.data["destination"] = to
    desk.first_response()
    line = await desk.tell("redirected", replies.redirected(to, given.reply), kind="answer")
    if given.document is not None:
        signed = documents.sent_along(desk, given.document)
        if signed is not None and given.document.public:
            await desk.attach(line, [signed])
        await documents.keep(desk, line, given.document, signed)
        desk.case.answer_id = line.id  # the page shows the document of what the citizen was told


@action(Action.MARK_SPAM, Body)
async def mark_spam(desk: Desk, given: Body) -> None:
    """Advertising, pranks, nothing: nothing is owed."""
    desk.clocks.cancel()
    desk.case.ended_at = desk.at


@action(Action.UNMARK_SPAM, Body)
async def unmark_spam(desk: Desk, given: Body) -> None:
    """It was serious after all."""
    desk.case.ended_at = None
    desk.open_forward()


def _end(desk: Desk) -> None:
    desk.clocks.resume()
    desk.clocks.meet("forward")
    desk.clocks.cancel()
    end_parts(desk, "ended")
    desk.case.waiting_from = None
    desk.case.ended_at = desk.at
