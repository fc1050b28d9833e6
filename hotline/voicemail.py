"""Who leaves words after the tone has a case and is called back. Neither waits for the sound: that is fetched later, so
no network stands between the call and its case.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import phonenumbers
from pydantic_core import to_json
from sqlmodel import col, select

from cases.arriving import AUTOMATIC, Arrivals, arrive
from cases.models import Case, Entry
from cases.reach import address_for
from cases.replies import day_and_time, receipt
from channels import inbox, outbox
from channels.message import Address, InboundMessage
from channels.models import Received
from core import auth
from core.due import Session
from core.errors import TooMany
from core.ids import uuid7
from hotline import tasks
from hotline.models import CallSession, Recording

CHANNEL: Final = "voice"
UNKNOWN_FOR: Final = timedelta(minutes=2)  # how long a recording waits for news of its call
_TAKES_SMS: Final = frozenset({phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE})


@dataclass(frozen=True, slots=True)
class Voicemails:
    """What opening cases of voicemails needs of its process."""

    arrivals: Callable[[Session], Awaitable[Arrivals]]

    async def open_case(self, session: Session, call: CallSession, recording: Recording, at: datetime) -> bool:
        """The case of a recording, once; False while too little is known of the call. Both are locked by the caller.

        It goes the road of a message: into a case of this caller that waits for them or that they spoke of just now,
        else into a new one, in the raw row that stands for the voicemail.
        """
        unknown = call.caller is None and "token" not in call.menu
        if unknown and at - recording.announced_at < UNKNOWN_FOR:
            return False
        here = await self.arrivals(session)
        message = _message(recording, call, here)
        row = Received(
            id=uuid7(at),
            channel=CHANNEL,
            account=message.account,
            external_id=message.external_id,
            received_at=recording.announced_at,
            kind="voicemail",
            sender=inbox.turn_of(message),
            raw=message.raw,
        )
        session.add(row)
        await session.flush()  # the statement of the intake finds it there
        came = await arrive(session, here, row, message, at)
        await session.refresh(row)
        case = await session.get_one(Case, row.subject_id)
        recording.case_id, recording.entry_id = case.id, await _line(session, case)
        call.case_id = case.id
        session.add_all((recording, call))
        await tasks.settle(session, call, here.office.routing)
        await tasks.attach(session, call, case.id)
        if came == "opened":
            await _tell_code(session, here, case, recording, at)
        return True


def _message(recording: Recording, call: CallSession, here: Arrivals) -> InboundMessage:
    """The voicemail in normal form. Its words name no number in full: units read them, and the contact has it."""
    zone = here.office.routing.at(recording.announced_at).book.calendar.zone
    length = "" if recording.duration is None else f" {clock_of(recording.duration)}"
    number = f"số đuôi {call.caller[-3:]}" if call.caller else "số không hiện"
    said = f"Tin nhắn thoại{length} từ {number}\nLúc {day_and_time(recording.announced_at.astimezone(zone))}."
    if call.menu.get("wish") == "agent":
        said += " Người gọi muốn gặp điện thoại viên."
    return InboundMessage(
        channel=CHANNEL,
        account=call.number,
        external_id=f"{recording.provider_recording_id}:voicemail",
        kind="message",
        sender=Address("phone", call.caller) if call.caller else Address("anonymous", call.provider_call_id),
        text=f"{said} Xin nghe bản ghi kèm theo.",
        sent_at=recording.announced_at,
        raw=to_json({"recording": recording.provider_recording_id}).decode(),
    )


def clock_of(seconds: int) -> str:
    """0:42, 3:05."""
    return f"{seconds // 60}:{seconds % 60:02d}"


async def _line(session: Session, case: Case) -> UUID | None:
    """The line of the conversation that the voicemail has just become."""
    lines = select(Entry.id).where(Entry.case_id == case.id, col(Entry.kind).in_(("report", "message")))
    return (await session.exec(lines.order_by(col(Entry.id).desc()))).first()


async def _tell_code(session: Session, here: Arrivals, case: Case, recording: Recording, at: datetime) -> None:
    """The code, by SMS where the number takes some: who has only spoken has nothing in hand."""
    channel, to = await address_for(session, case, here.office.channels)
    if to.scheme != "phone" or recording.entry_id is None or not _takes_sms(to.handle):
        return
    try:
        await auth.count_try(session, {f"auto:{channel}:{to.handle}": AUTOMATIC}, at)
    except TooMany:
        return
    words = here.office.intake.words
    zone = here.office.routing.rulebook(case.rule_set_id).calendar.zone
    await outbox.enqueue(
        session,
        subject_id=case.id,
        entry_id=recording.entry_id,
        purpose="receipt",
        to=to,
        channel=channel,
        text=words.say(receipt(case.received_at.astimezone(zone)), case.code, channel=channel, language=case.language),
        reference=case.code,
        title=words.title("receipt", case.code, case.language),
        at=at,
    )


def _takes_sms(number: str) -> bool:
    try:
        return phonenumbers.number_type(phonenumbers.parse(number)) in _TAKES_SMS
    except phonenumbers.NumberParseException:
        return False
