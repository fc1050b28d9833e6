"""Calls of the demo: callers go through the real menu; what they leave to do is worked out by the worker as ever."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from channels.adapter import Hook
from channels.message import InboundMessage
from channels.twilio import voice
from hotline.answering import Switchboard

NUMBER: Final = "+842713881022"
STEP: Final = timedelta(seconds=9)  # between two keys


@dataclass(frozen=True, slots=True)
class Caller:
    """Who called how many minutes before the demo began, and the keys they pressed until they hung up."""

    phone: str
    minutes: int
    keys: Sequence[str] = ()


CALLERS: Final = (
    Caller("+84912000101", 96, ("2",)),  # wanted to know how a case stands, and had no code at hand
    Caller("+84987000144", 52, ("0",)),  # wanted a person
    Caller("+84271388999", 41),
    Caller("+84912000177", 17),
    Caller("+84912000177", 12),  # and again
    Caller("anonymous", 9, ("9",)),
    Caller("+84356000123", 6, ("0",)),
)


async def tell(board: Switchboard, at: datetime) -> int:
    """Have them call; how many did. Told again nothing happens: the carrier's ids are the same."""
    for number, caller in enumerate(CALLERS):
        call = {"CallSid": f"CA{number:032d}", "From": caller.phone, "To": NUMBER, "Direction": "inbound"}
        moment = at - timedelta(minutes=caller.minutes)
        (state, _), _ = await board.answer(_event(call, CallStatus="ringing"), moment)
        for key in caller.keys:
            moment += STEP
            pressed = _event(call, CallStatus="in-progress", Digits=key, state=state.token())
            (state, _), _ = await board.answer(pressed, moment)
        await board.keep(_event(call, CallStatus="completed", SequenceNumber="3"), moment + STEP)
    return len(CALLERS)


def _event(call: dict[str, str], **members: str) -> InboundMessage:
    [message] = voice.parse(Hook(urlencode({**call, **members}).encode(), {}, {}), NUMBER)
    return message
