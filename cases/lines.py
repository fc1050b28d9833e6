"""Lines of a conversation that a channel wrote: the words of an event, and what is noted of one for staff to read."""

from datetime import datetime
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from cases.models import Case, Entry
from channels.message import InboundMessage
from core.ids import uuid7
from core.journal import record
from routing.queries import Routing
from routing.recognising import recognise

NO_WORDS: Final = {True: "(Tệp gửi kèm, không có lời)", False: "(Vị trí, không có lời)"}


async def write_line(
    session: AsyncSession,
    case: Case,
    kind: str,
    said: str,
    at: datetime,
    journal: str,
    message: InboundMessage,
    *,
    to_citizen: bool = False,
) -> None:
    """A line that no person of ours wrote and that changes nothing else; screens hear of it by the journal."""
    session.add(
        Entry(
            id=uuid7(at),
            case_id=case.id,
            kind=kind,
            author_kind="system",
            text=said[:10_000],
            to_citizen=to_citizen,
            created_at=at,
        )
    )
    await record(
        session,
        journal,
        at=at,
        actor_kind="system",
        case_id=case.id,
        restricted=case.restricted,
        data={"code": case.code, "channel": message.channel},
    )


def words_of(message: InboundMessage) -> str:
    """What stands in the case as the citizen's words; a subject line says what the text alone may not."""
    lines = [message.subject, message.text] if message.channel == "email" else [message.text]
    lines += [file.url for file in message.attachments if file.media_type == "text/uri-list"]
    said = "\n\n".join(line for line in lines if line)
    if message.kind == "edited":
        said = f"(Sửa tin nhắn trước) {said}"
    return said[:10_000].strip() or NO_WORDS[bool(message.attachments)]


def say(case: Case, words: str, routing: Routing, at: datetime) -> None:
    """What a report says, where its words came after it; a place they name is the case's if none is known."""
    case.text = words
    if case.area is None:
        day = at.astimezone(routing.rulebook(case.rule_set_id).calendar.zone).date()
        case.area = recognise(words, routing.places, day, case.lat, case.lng).definite
