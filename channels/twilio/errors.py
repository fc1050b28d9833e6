"""Twilio's error codes that a message can meet, and what each means for us. Pure.

From its public reference of error and warning codes; a code that is not here is judged by its HTTP status alone. None
of the sentences holds anything of the vendor's own text, which may quote numbers and messages.
"""

from typing import Final

from channels.adapter import Failure

_FINAL, _AUTH, _RATE = Failure.FINAL, Failure.REAUTHORISE, Failure.RATE_LIMITED

MEANINGS: Final[dict[int, tuple[Failure, str]]] = {
    # the account and its settings
    20003: (_AUTH, "the account or its token is not accepted"),
    20004: (_AUTH, "this key may not send messages"),
    20005: (_AUTH, "the account is not active"),
    20006: (_AUTH, "access is denied"),
    20008: (_AUTH, "these are test credentials"),
    20010: (_AUTH, "the account is closed or suspended"),
    20404: (_AUTH, "there is no such account"),
    21212: (_AUTH, "our own number is not one that can send"),
    21408: (_FINAL, "the account may not send to this country"),
    21603: (_AUTH, "our own number is missing"),
    21606: (_AUTH, "our own number cannot send messages"),
    21609: (_AUTH, "the address for delivery reports is not one that can be reached (see PUBLIC_URL)"),
    21611: (_RATE, "the queue of our number is full"),
    21659: (_AUTH, "our own number does not belong to the account"),
    21660: (_AUTH, "our own number belongs to another account"),
    # how much may be sent
    14107: (_RATE, "too many messages at once"),
    20429: (_RATE, "too many requests at once"),
    30001: (_RATE, "the queue of our number is full"),
    30022: (_RATE, "the carrier takes no more from our number for now"),
    63018: (_RATE, "too many messages at once"),
    # who it goes to
    21211: (_FINAL, "the number is not a phone number"),
    21214: (_FINAL, "the number cannot be reached"),
    21217: (_FINAL, "the number is not a phone number"),
    21265: (_FINAL, "the number is a short code, which takes no messages"),
    21604: (_FINAL, "the number is missing"),
    21607: (_FINAL, "our own number cannot send to this one"),
    21608: (_FINAL, "a trial account sends to verified numbers only"),
    21610: (_FINAL, "the person has asked not to get messages from us (STOP)"),
    21612: (_FINAL, "there is no way to this number from ours"),
    21614: (_FINAL, "the number takes no messages: it is not a mobile one"),
    21635: (_FINAL, "the number takes no messages: it is a landline"),
    # what it says
    21602: (_FINAL, "the message is empty"),
    21605: (_FINAL, "the message is too long"),
    21617: (_FINAL, "the message is too long"),
    21619: (_FINAL, "the message is empty"),
    # what a delivery report says
    30002: (_AUTH, "the account is suspended"),
    30003: (_FINAL, "the phone is switched off or out of reach"),
    30004: (_FINAL, "the person or the carrier blocks our messages"),
    30005: (_FINAL, "the number does not exist or is no longer in use"),
    30006: (_FINAL, "the number is a landline or its carrier cannot be reached"),
    30007: (_FINAL, "the carrier took the message for spam"),
    30008: (_FINAL, "the carrier gives no reason"),
    30009: (_FINAL, "a part of the message was lost"),
    30010: (_FINAL, "the message costs more than the limit set for it"),
    30032: (_AUTH, "our toll-free number is not verified"),
    30034: (_AUTH, "our number is not registered with the carriers"),
    30410: (_FINAL, "the carrier did not answer in time"),
    30450: (_FINAL, "the carrier's filter refused the message"),
    30454: (_FINAL, "the number has had the same message too often"),
    30500: (_FINAL, "Twilio itself failed"),
    63003: (_FINAL, "there is no such account of the person"),
    63016: (Failure.WINDOW_CLOSED, "the time for a free answer is over"),
    63024: (_FINAL, "the number takes no messages of this kind"),
}

# Nobody is there, or they want nothing from us.
GONE: Final = frozenset({21211, 21214, 21217, 21265, 21610, 21614, 21635, 30005})


def of_answer(status: int, code: int | None) -> tuple[Failure, str]:
    """What Twilio's refusal means: the outbox acts on the failure, the operator reads the sentence."""
    said = str(code if code is not None else f"HTTP {status}")
    if code in MEANINGS:
        failure, meaning = MEANINGS[code]
        return _RATE if status == 429 else failure, f"{meaning} ({said})"
    if status == 429:
        return _RATE, f"too many requests at once ({said})"
    if status in (401, 403, 404):
        return _AUTH, f"Twilio does not accept our account ({said})"
    return _FINAL, f"Twilio refuses the message ({said})"


def of_report(code: str, status: str) -> str:
    """Why a delivery report says that a message was not delivered, the code first where it has one."""
    if not (code.isascii() and code.isdigit()) or not code.strip("0"):
        return status
    _, meaning = MEANINGS.get(int(code[:9]), (_FINAL, ""))
    return f"{code}: {meaning}" if meaning else code
