"""Zalo's OAuth v4 as far as a running system needs it: a refresh token for a new pair.

The first consent is given in a browser by an administrator of the account; its refresh token goes into the settings.
"""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import httpx

from channels.reading import dict_of, ident
from channels.wire import NOT_SENT, client

WHOLE: Final = 15.0  # seconds for the request with its answer
_GRANT_GONE: Final = ("-118", "-14014")  # invalid grant, invalid refresh token
_DAY: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class NewPair:
    """What a refresh brought. Only in memory until it is saved."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    lives: timedelta
    grant_lives: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A refresh that brought no pair. `arrived`: Zalo may have used the token up; `answered`: it said that it did not.

    `burnt`: it says the token is good for nothing.
    """

    reason: str
    arrived: bool = True
    answered: bool = False
    burnt: bool = False


class Consent:
    """The app at Zalo's OAuth host. Nothing is ever repeated here."""

    def __init__(
        self, app_id: str, app_secret: str, oauth_url: str, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._app_id = app_id
        self._app_secret = app_secret
        self._url = f"{oauth_url.rstrip('/')}/v4/oa/access_token"
        self._transport = transport

    async def refresh(self, refresh_token: str) -> NewPair | Outcome:
        """The pair that follows on this token, or why there is none."""
        form = {"refresh_token": refresh_token, "app_id": self._app_id, "grant_type": "refresh_token"}
        try:
            async with asyncio.timeout(WHOLE), client(self._transport) as http:
                answer = await http.post(self._url, data=form, headers={"secret_key": self._app_secret})
        except NOT_SENT as error:
            return Outcome(f"no connection to Zalo's OAuth host: {type(error).__name__}", arrived=False)
        except (httpx.HTTPError, TimeoutError) as error:
            return Outcome(f"no answer to a refresh: {type(error).__name__}")
        return read(answer.status_code, answer.content)


def read(status: int, content: bytes) -> NewPair | Outcome:
    """What the answer means. Failures come with status 200 too; their texts are not repeated, numbers are."""
    try:
        body = dict_of(json.loads(content))
    except (ValueError, RecursionError):
        body = {}
    data = dict_of(body.get("data")) if "access_token" not in body else body
    access, refresh = data.get("access_token"), data.get("refresh_token")
    if isinstance(access, str) and isinstance(refresh, str) and access and refresh:
        return NewPair(access, refresh, _span(data, "expires_in") or timedelta(hours=25), _grant(data))
    code = ident(body.get("error")) or ident(body.get("error_code")) or ident(body.get("code"))
    if code in (None, "0") and not body.get("error_name"):  # half a pair, too: the old one may be used up
        if 300 <= status < 500 or status == 503:  # somebody in front of it, who did not pass the request on
            return Outcome(f"Zalo's OAuth host is not to be had ({status})", arrived=False)
        return Outcome(f"an answer to a refresh that nobody can read ({status})")
    burnt = code in _GRANT_GONE or "refresh token" in str(body.get("error_name")).lower().replace("_", " ")
    named = code if code and code.lstrip("-").isdigit() else "no number"
    return Outcome(f"Zalo refuses to refresh ({named})", answered=True, burnt=burnt)


def _span(data: dict[str, Any], name: str) -> timedelta | None:
    """Seconds, as text or number."""
    told = ident(data.get(name))
    return timedelta(seconds=int(told)) if told and told.isdigit() and 0 < int(told) < 400 * _DAY else None


def _grant(data: dict[str, Any]) -> timedelta | None:
    return _span(data, "refresh_token_expires_in")
