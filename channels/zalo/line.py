"""Requests to Zalo's hosts, or to what stands in for them, and what came of each. Nothing is repeated here."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any, Final

import httpx

from channels.adapter import Failure, SendDoubtful, SendFailed
from channels.reading import dict_of
from channels.wire import NOT_SENT, client
from channels.zalo.codes import REFRESH, failure_of

WHOLE: Final = 12.0  # seconds for one request with its answer: an upload and a message fit the outbox's patience


class TokenRefused(Exception):
    """Zalo does not know the access token, so it did nothing; another one may be tried."""


class Line:
    """The OA interface and the one for templates to telephone numbers, with an access token given for each request."""

    def __init__(
        self, api_url: str, business_url: str, app_secret: str, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.api_url = api_url.rstrip("/")
        self.business_url = business_url.rstrip("/")
        self.transport = transport
        self._app_secret = app_secret

    async def ask(self, path: str, token: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
        """`data` of the answer to a GET, which changes nothing. SendFailed, TokenRefused."""
        query = {"data": json.dumps(data)} if data else None
        return await self._harmless(lambda http: http.get(self.api_url + path, params=query, headers=self._by(token)))

    async def upload(self, path: str, token: str, name: str, media_type: str, data: bytes) -> dict[str, Any]:
        """`data` of the answer to an upload, which nobody sees until it is sent. SendFailed, TokenRefused."""
        files = {"file": (name, data, media_type)}
        return await self._harmless(lambda http: http.post(self.api_url + path, files=files, headers=self._by(token)))

    async def post(self, url: str, token: str, body: dict[str, Any]) -> dict[str, Any]:
        """`data` of the answer to a message. SendFailed and TokenRefused if it was not taken, SendDoubtful if it may
        have been."""
        try:
            async with asyncio.timeout(WHOLE), client(self.transport) as http:
                answer = await http.post(url, json=body, headers=self._by(token))
        except NOT_SENT as error:
            raise SendFailed(Failure.RETRYABLE, f"no connection to Zalo: {type(error).__name__}") from None
        except (httpx.HTTPError, TimeoutError) as error:
            raise SendDoubtful(f"Zalo may have the message, no answer came: {type(error).__name__}") from None
        return _data(answer, SendDoubtful)

    async def _harmless(self, request: Callable[[httpx.AsyncClient], Any]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(WHOLE), client(self.transport) as http:
                answer = await request(http)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise SendFailed(Failure.RETRYABLE, f"no answer from Zalo: {type(error).__name__}") from None
        return _data(answer, _not_now)

    def _by(self, token: str) -> dict[str, str]:
        """The proof is asked for only of apps that say so in Zalo's console, and does no harm otherwise."""
        proof = hmac.new(self._app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        return {"access_token": token, "appsecret_proof": proof}


def _not_now(reason: str) -> SendFailed:
    return SendFailed(Failure.RETRYABLE, reason)


def _data(answer: httpx.Response, unclear: Callable[[str], Exception]) -> dict[str, Any]:
    """Zalo's envelope opened; `unclear` makes the error for what says neither yes nor no."""
    status = answer.status_code
    try:
        body = dict_of(json.loads(answer.content))
    except (ValueError, RecursionError):
        body = {}
    code = _number(body.get("error"))
    if code in REFRESH or (code is None and status == 401):
        raise TokenRefused
    if code:
        raise failure_of(code)
    if status == 429:
        raise SendFailed(Failure.RATE_LIMITED, "Zalo takes no more requests for now (429)")
    if status in (408, 503):
        raise SendFailed(Failure.RETRYABLE, f"Zalo does not serve us now ({status})")
    if 400 <= status < 500:
        raise SendFailed(Failure.FINAL, f"Zalo's interface refuses the request ({status})")
    data = body.get("data")
    if status != 200 or (code is None and not isinstance(data, dict)):
        raise unclear(f"Zalo's answer says neither yes nor no ({status})")
    return dict_of(data)


def _number(value: object) -> int | None:
    try:
        return int(value) if isinstance(value, int | str) else None
    except ValueError:
        return None
