"""What people say about being written to at all: they follow and unfollow, send STOP and START, block us, complain.

Pressed buttons and commands are read here too, because /start and /stop are two of them.
"""

from datetime import datetime
from typing import Final

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.people import resume, stop, unreachable
from cases.withdrawing import DATA_WITHDRAWN, withdraw
from channels.message import Address, InboundMessage
from channels.models import Outgoing, OutgoingPart

OPTING: Final = frozenset({"follow", "unfollow", "postback"})
COMMANDS: Final = {"start": "follow", "stop": "unfollow"}
NO_SUCH_MAILBOX: Final = ("5.1.", "5.2.1", "550")  # RFC 3463: the address is bad, or its mailbox takes nothing


async def opted(session: AsyncSession, message: InboundMessage, sender: Address, at: datetime) -> str:
    """They want messages from now on, or none; in a word what that changed."""
    command = str(message.thread.get("command") or "")
    kind = COMMANDS.get(command, "") if message.kind == "postback" else message.kind
    if kind == "unfollow" and message.status == DATA_WITHDRAWN:
        return await withdraw(session, sender, at)
    if kind == "unfollow":
        source = "blocked" if message.status == "kicked" else command or message.kind
        return "stopped" if await stop(session, sender, at, source=source) else "no news"
    if kind == "follow":
        return "resumed" if await resume(session, sender, at, source=command or message.kind) else "no news"
    return "nothing to do"


async def refused(session: AsyncSession, message: InboundMessage, at: datetime) -> str | None:
    """What a mail server says of our mail in its reader's name: that it is unwanted, or that nobody is there.

    Believed only of a mail that we sent, by its Message-ID, and of whom it went to: anybody can write such a notice.
    """
    unwanted = message.status == "complaint"
    nobody = message.status == "failed" and (message.error or "").startswith(NO_SUCH_MAILBOX)
    if message.kind != "bounce" or not message.refs or not (unwanted or nobody):
        return None
    sent = (
        select(Outgoing.scheme, Outgoing.handle)
        .join(OutgoingPart, col(OutgoingPart.outgoing_id) == col(Outgoing.id))
        .where(
            col(OutgoingPart.channel) == message.channel,
            col(OutgoingPart.vendor_id).in_(message.refs),
            col(Outgoing.addressee).is_(None),
        )
        .distinct()
    )
    for scheme, handle in (await session.exec(sent)).all():
        if unwanted:
            await stop(session, Address(scheme, handle), at, source="complaint")
        else:
            await unreachable(session, Address(scheme, handle), message.error or "", at)
    return "complained" if unwanted else None
