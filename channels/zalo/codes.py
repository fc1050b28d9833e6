"""Zalo's error numbers and what each means for a message of ours: a closed list. Pure.

Numbers of the OA interface and of the one for templates to telephone numbers; where both use a number they agree.
Vendor's texts are not repeated: they may quote the message.
"""

from typing import Final

from channels.adapter import Failure, SendFailed

REFRESH: Final = frozenset({-216, 216, -220, -124, 401, -401, 452})  # access token invalid or expired

_BAD_PARAMETER: Final = -201
_AGAIN, _LIMIT = Failure.RETRYABLE, Failure.RATE_LIMITED
_NEVER, _OPERATOR, _CLOSED = Failure.FINAL, Failure.REAUTHORISE, Failure.WINDOW_CLOSED

_MEANS: Final[dict[int, tuple[Failure, str]]] = {
    # later
    -32: (_LIMIT, "too many requests in this minute"),
    -100: (_AGAIN, "the uploaded file has expired there, or an error without a name"),
    -133: (_AGAIN, "templates do not go out at night"),
    -144: (_LIMIT, "the day's number of templates is used up"),
    -147: (_LIMIT, "the day's number of this template is used up"),
    -200: (_AGAIN, "sending failed there"),
    -211: (_LIMIT, "the account's quota is used up"),
    -214: (_AGAIN, "it is still being processed"),
    -218: (_LIMIT, "the person gets no more messages for now"),
    -234: (_AGAIN, "this kind of message does not go out at night"),
    # the person must write first
    -230: (_CLOSED, "the person has not written for 7 days"),
    -232: (_CLOSED, "the person has not written, or too long ago"),
    -305: (_CLOSED, "the person has not written for 48 hours"),
    -311: (_CLOSED, "all free answers to the person are used up"),
    # the operator must do something
    -101: (_OPERATOR, "the app is not valid"),
    -102: (_OPERATOR, "the app does not exist"),
    -103: (_OPERATOR, "the app is not active"),
    -104: (_OPERATOR, "the app's secret is wrong"),
    -105: (_OPERATOR, "the app is linked to no account"),
    -115: (_OPERATOR, "there is no money left for templates"),
    -117: (_OPERATOR, "the account may not use this template"),
    -135: (_OPERATOR, "the account may not send templates"),
    -137: (_OPERATOR, "the payment for templates failed"),
    -204: (_OPERATOR, "the account is switched off"),
    -205: (_OPERATOR, "the account does not exist"),
    -209: (_OPERATOR, "the app is not active for this"),
    -212: (_OPERATOR, "the app is not registered for this"),
    -219: (_OPERATOR, "the app was removed or switched off"),
    -221: (_OPERATOR, "the account is not verified"),
    -223: (_OPERATOR, "the account has not granted this to the app"),
    -224: (_OPERATOR, "the account's package does not include this"),
    -235: (_OPERATOR, "accounts of this type may not do this"),
    -240: (_OPERATOR, "this interface has been shut down"),
    -242: (_OPERATOR, "the proof of the app's secret is wrong"),
    -320: (_OPERATOR, "the app has no billing account"),
    -321: (_OPERATOR, "the billing account cannot be charged"),
    -1351: (_OPERATOR, "the account may not send templates"),
    # never this message to this person
    -108: (_NEVER, "the telephone number is not valid"),
    -109: (_NEVER, "the template does not exist"),
    -111: (_NEVER, "the template's data are empty"),
    -112: (_NEVER, "the template's data do not fit"),
    -114: (_NEVER, "the person cannot be reached there"),
    -118: (_NEVER, "the number has no account there"),
    -119: (_NEVER, "the person cannot get templates"),
    -131: (_NEVER, "the template is not approved"),
    -139: (_NEVER, "the person wants no such templates"),
    -141: (_NEVER, "the person wants no messages of this account"),
    -201: (_NEVER, "a part of the message is not valid"),
    -210: (_NEVER, "a part of the message is too large"),
    -213: (_NEVER, "the person does not follow the account"),
    -217: (_NEVER, "the person has blocked invitations"),
    -227: (_NEVER, "the person was banned or away for 45 days"),
    -233: (_NEVER, "this kind of message is not supported"),
    -237: (_NEVER, "the group is switched off"),
    -244: (_NEVER, "the person has restricted such messages"),
    -248: (_NEVER, "the platform's rules forbid it"),
    -249: (_NEVER, "the template cannot go to a Zalo id"),
    -1121: (_NEVER, "a part of the template's data is too long"),
    -1122: (_NEVER, "a part of the template's data is missing"),
    -1123: (_NEVER, "the template's QR code could not be made"),
    -1124: (_NEVER, "a part of the template's data is not valid"),
}


# Nobody is there, or they want nothing from the account: only a word of theirs changes that.
_GONE: Final = frozenset({-118, -141, -213, -217, -227, -244})


class BadParameter(SendFailed):
    """A part of the message is not valid; without it the message may be taken."""


def failure_of(code: int) -> SendFailed:
    """What to raise for an error number; one that nobody knows is final, with its number for the operator."""
    failure, sentence = _MEANS.get(code, (Failure.FINAL, "an error we do not know"))
    made = BadParameter if code == _BAD_PARAMETER else SendFailed
    return made(failure, f"Zalo: {sentence} ({code})", gone=code in _GONE)
