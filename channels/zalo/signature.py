"""Whether a request is from Zalo: a plain SHA-256 over app id, body, time and secret, with the secret last. Pure.

There is no window on the time: Zalo repeats a failed delivery for an hour and, some say, for twelve. A replayed request
finds the event's id taken and changes nothing.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from channels.adapter import BadSignature, Hook
from channels.reading import dict_of

SIGNATURE: Final = "x-zevent-signature"
_TIMESTAMP: Final = "x-zevent-timestamp"
_MAC = re.compile(r"\s*(?:mac\s*=\s*)?\"?([0-9a-f]{64})\"?\s*", re.IGNORECASE)
_CHALLENGE = re.compile(r"[A-Za-z0-9_.-]{1,200}")


def greet(hook: Hook) -> str | None:
    """The answer to the request that tries a newly entered address: unsigned, with an empty object or a challenge."""
    challenge = hook.query.get("hub.challenge", "")
    if not hook.body.strip() and _CHALLENGE.fullmatch(challenge):
        return challenge
    probe = hook.body.strip() == b"{}" and header(hook.headers, SIGNATURE) is None
    return "ok" if probe else None


def verify(hook: Hook, app_id: str, oa_id: str, secret: str) -> str:
    """Which way of signing matched, such as `app_id, body time`; BadSignature if none did.

    `secret` is the OA Secret Key of the app's webhook page. The first term is the app id in the vendor's words and the
    account's id in some working receivers; the time stands in the body or, for some, in a header.
    """
    given = _MAC.fullmatch(header(hook.headers, SIGNATURE) or "")
    if not secret or given is None:
        raise BadSignature
    matched = ""
    for time_from, timestamp in _times(hook):
        for id_from, id in (("app_id", app_id), ("oa_id", oa_id)):
            made = hashlib.sha256(id.encode() + hook.body + timestamp.encode("utf-8", "replace") + secret.encode())
            if id and hmac.compare_digest(made.hexdigest(), given[1].lower()):
                matched = matched or f"{id_from}, {time_from} time"
    if not matched:
        raise BadSignature
    return matched


def header(headers: Mapping[str, str], name: str) -> str | None:
    """A header whatever the case of its name."""
    return next((value for each, value in headers.items() if each.lower() == name), None)


def _times(hook: Hook) -> Iterator[tuple[str, str]]:
    try:  # numbers stay as they are written: the signature is over the characters
        body = dict_of(json.loads(hook.body, parse_int=str, parse_float=str))
    except (ValueError, RecursionError):
        body = {}
    told = body.get("timestamp")
    if isinstance(told, str) and told:
        yield "body", told
    if in_header := header(hook.headers, _TIMESTAMP):
        yield "header", in_header.strip()
