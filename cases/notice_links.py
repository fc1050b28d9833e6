"""What members of staff say to the centre's own accounts: the code that proves a chat is theirs, and THONGBAO.

On Telegram and Zalo the code goes from the person to us, which is how we learn who they are there. Zalo lets us write
only for seven days after a person's last word; THONGBAO is such a word that becomes no case.
"""

import re
import secrets
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import delete, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import notice_words
from cases.duty_models import NoticeCode, NoticeWay
from cases.notice_ways import CODE, TELEGRAM, ZALO, keep, person_of, prove
from channels import outbox
from channels.message import Address, InboundMessage
from core import auth
from core.errors import TooMany
from core.ids import uuid7
from core.sealing import checksum
from core.staff import Actor
from core.text import fold

CHATS: Final = (TELEGRAM, ZALO)
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_LENGTH: Final = {TELEGRAM: 16, ZALO: 10}  # one is pressed, the other may be typed
_SAID: Final = re.compile(rf"nhan[ :.]*([{_LETTERS}]{{{_LENGTH[ZALO]}}})")
_OPEN_AGAIN: Final = ("thongbao", "thong bao")
_AUTOMATIC: Final = (5, 3600)  # answers to one chat in so many seconds


async def invite(session: AsyncSession, secret: bytes, who: Actor, channel: str, at: datetime) -> str:
    """A code this person is to send to the centre there, once, from their own account; an earlier one is void."""
    code = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH[channel]))
    await keep(session, person_of(who), channel, None, _digest(secret, code), at)
    return code


async def heard(session: AsyncSession, secret: bytes, message: InboundMessage, at: datetime, site: str) -> str | None:
    """In a word what a member of staff said, who is answered; None: it is nothing of theirs."""
    sender = message.sender
    if sender is None or sender.scheme != message.channel or message.channel not in CHATS or message.automatic:
        return None
    if (code := _code_of(message)) is not None:
        person = await _linked(session, secret, message.channel, sender, code, at)
        said = notice_words.LINKED if person else notice_words.NO_SUCH_CODE
        await _answer(session, person, sender, said.format(site=site), at)
        return "a member of staff" if person else "a code that is none"
    if message.kind == "message" and fold(message.text or "") in _OPEN_AGAIN:
        return await _opened(session, sender, at)
    return None


def _code_of(message: InboundMessage) -> str | None:
    """What looks like a code of ours, right or not."""
    if message.channel == TELEGRAM:
        payload = message.thread.get("payload")
        started = message.kind == "postback" and message.thread.get("command") == "start"
        return payload if started and isinstance(payload, str) and payload else None
    said = _SAID.fullmatch(fold(message.text or "")) if message.kind == "message" else None
    return said[1] if said else None


async def _linked(
    session: AsyncSession, secret: bytes, channel: str, sender: Address, code: str, at: datetime
) -> UUID | None:
    """Whose code it was: they are told there from now on."""
    used = (
        delete(NoticeCode)
        .where(
            col(NoticeCode.digest) == _digest(secret, code),
            col(NoticeCode.channel) == channel,
            col(NoticeCode.expires_at) > at,
        )
        .returning(col(NoticeCode.staff_id))
    )
    person: UUID | None = (await session.execute(used)).scalar_one_or_none()
    if person is not None:
        await prove(session, person, channel, sender.handle, at)
    return person


async def _opened(session: AsyncSession, sender: Address, at: datetime) -> str | None:
    """They may be written to again: what they have not seen leaves now, also what could not be delivered before."""
    again = (
        update(NoticeWay)
        .where(
            col(NoticeWay.channel) == sender.scheme,
            col(NoticeWay.handle) == sender.handle,
            col(NoticeWay.mode) != "none",
        )
        .values(upto=0, next_at=at)
        .returning(col(NoticeWay.staff_id))
        .execution_options(synchronize_session=False)
    )
    people = (await session.execute(again)).scalars().all()
    if not people:
        return None
    await _answer(session, people[0], sender, notice_words.OPEN_AGAIN, at)
    return "a member of staff"


async def _answer(session: AsyncSession, person: UUID | None, sender: Address, said: str, at: datetime) -> None:
    """Say so there, but not without end: whoever talks may be a machine."""
    try:
        await auth.count_try(session, {f"auto:{sender.scheme}:{sender.handle}": _AUTOMATIC}, at)
    except TooMany:
        return
    await outbox.enqueue(
        session,
        subject_id=person or uuid7(at),  # not a case: none of the messages that staff look after
        entry_id=uuid7(at),
        purpose=CODE,
        to=sender,
        channel=sender.scheme,
        text=said,
        reference="",
        at=at,
    )


def _digest(secret: bytes, code: str) -> bytes:
    return checksum(secret, "notice link", code)
