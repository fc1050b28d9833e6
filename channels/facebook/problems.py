"""What the Graph API's errors mean for a message of ours (Messenger Platform, common error codes). Pure.

Meta's own words are left out: they may name people.
"""

from typing import Any, Final

from channels.adapter import Failure, SendDoubtful, SendFailed
from channels.reading import dict_of, read_json

_WINDOW: Final = "the person has to write to us again first"
_AWAY: Final = "the person cannot be reached: they left, blocked the page or are not known"
_BUSY: Final = "Meta takes no more for now"
_TOKEN: Final = "the page's token is not valid any more"
_RIGHT: Final = "our app lacks a permission for this"
_OUT: Final = "Meta is out of order for now"
_BLOCKED: Final = "Meta's policy holds this message back"

BY_SUBCODE: Final = {
    2018278: (Failure.WINDOW_CLOSED, _WINDOW),
    2534022: (Failure.WINDOW_CLOSED, _WINDOW),
    1893063: (Failure.REAUTHORISE, "Meta restricts the page for now"),
    1545041: (Failure.FINAL, _AWAY),
    2018001: (Failure.FINAL, _AWAY),
    2018218: (Failure.FINAL, _AWAY),
}
BY_CODE: Final = {
    2: (Failure.RETRYABLE, _OUT),
    3: (Failure.REAUTHORISE, _RIGHT),
    4: (Failure.RATE_LIMITED, _BUSY),
    10: (Failure.REAUTHORISE, _RIGHT),
    17: (Failure.RATE_LIMITED, _BUSY),
    32: (Failure.RATE_LIMITED, _BUSY),
    100: (Failure.FINAL, "Meta finds the message malformed"),
    102: (Failure.REAUTHORISE, _TOKEN),
    190: (Failure.REAUTHORISE, _TOKEN),
    230: (Failure.REAUTHORISE, _RIGHT),
    341: (Failure.RATE_LIMITED, _BUSY),
    368: (Failure.FINAL, _BLOCKED),
    551: (Failure.FINAL, _AWAY),
    613: (Failure.RATE_LIMITED, _BUSY),
    1200: (Failure.RETRYABLE, _OUT),
    10900: (Failure.WINDOW_CLOSED, "this comment was answered privately before"),
    80004: (Failure.RATE_LIMITED, _BUSY),
    80006: (Failure.RATE_LIMITED, _BUSY),
}
UNKNOWN_ERROR: Final = 1  # among them 1357046, "invalid JSON reply", known to come although the message was sent


def settled(status: int, body: bytes) -> dict[str, Any]:
    """The object of a good answer. SendFailed by the error it names, SendDoubtful when it names none."""
    answer = read_json(body)
    if answer is not None and "error" in answer:
        raise _failure(dict_of(answer["error"]), status)
    if 200 <= status < 300:
        if answer is None:
            raise SendDoubtful("Meta answered something that is not JSON")
        return answer
    if status == 401:
        raise SendFailed(Failure.REAUTHORISE, f"{_TOKEN} ({status})")
    if status == 429:
        raise SendFailed(Failure.RATE_LIMITED, f"{_BUSY} ({status})")
    if 300 <= status < 500:
        raise SendFailed(Failure.FINAL, f"what answers at FACEBOOK_GRAPH_URL is not the Graph API ({status})")
    raise SendDoubtful(f"Meta broke down over the request ({status})")


def _failure(error: dict[str, Any], status: int) -> SendFailed | SendDoubtful:
    code, subcode = _number(error.get("code")), _number(error.get("error_subcode"))
    numbers = "/".join(str(each) for each in (code, subcode) if each is not None) or str(status)
    if code == UNKNOWN_ERROR or subcode == 1357046:
        return SendDoubtful(f"Meta reports an error that also comes with messages it sent ({numbers})")
    known = BY_SUBCODE.get(subcode or 0) or BY_CODE.get(code or 0)
    if known is None and code is not None and 200 <= code < 300:
        known = (Failure.REAUTHORISE, _RIGHT)
    if known is None:
        known = (Failure.RETRYABLE, _OUT) if error.get("is_transient") is True else (Failure.FINAL, "Meta refuses it")
    return SendFailed(known[0], f"{known[1]} ({numbers})", gone=known[1] == _AWAY)


def _number(value: object) -> int | None:
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError):
        return None
