"""Twilio's REST interface over httpx: its own client made to speak through ours, and files fetched with our account.

No request is repeated here: what Twilio has taken it does not recognise when it comes again.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from twilio.http.response import Response

from channels import wire
from channels.adapter import Failure, SendFailed

VENDOR: Final = "https://api.twilio.com"
WHOLE: Final = 25.0  # seconds for one request with its answer, inside the outbox's own patience
STORES: Final = ("twilio.com", "twiliocdn.com", "s3-external-1.amazonaws.com")  # where the interface sends us for files


class Line:
    """Requests to Twilio, or to what stands in for it at `api_url`: scheme, host and perhaps a prefix.

    Twilio's client takes it for one of its own HTTP clients, of which it needs `is_async` and `request`.
    """

    is_async = True

    def __init__(
        self, api_url: str, auth: tuple[str, str], *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.api_url = api_url.rstrip("/")
        self._auth = auth
        self._transport = transport

    async def request(
        self,
        method: str,
        uri: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """As Twilio's client asks for it; errors of httpx pass through, TimeoutError when it all takes too long."""
        async with asyncio.timeout(WHOLE), wire.client(self._transport) as client:
            answer = await client.request(
                method, self._at_base(uri), params=params, data=data, headers=headers, auth=auth or self._auth
            )
        return Response(answer.status_code, answer.text, answer.headers)

    def download(self, address: str) -> AsyncIterator[bytes]:
        """A file in pieces. SendFailed when it is not Twilio's, too large, gone or not to be had now.

        Our account is shown to the interface alone, not to the store it sends us on to.
        """
        if address.startswith(f"{VENDOR}/"):
            address = self.api_url + address.removeprefix(VENDOR)
        return wire.pieces(
            address, own=self.api_url, vendor=STORES, auth=self._auth, transport=self._transport
        )  # fmt: skip

    async def remove(self, recording: str) -> None:
        """Have Twilio delete a recording, by its address; one that is gone is deleted. SendFailed says why not."""
        address = self._ours(recording)
        if not address.startswith(f"{self.api_url}/") or "/Recordings/" not in address:
            raise SendFailed(Failure.FINAL, "that is not the address of a recording")
        try:
            answer = await self.request("DELETE", address)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise SendFailed(Failure.RETRYABLE, f"no word from Twilio: {type(error).__name__}") from None
        if answer.status_code in (401, 403):
            raise SendFailed(Failure.REAUTHORISE, f"Twilio does not accept our account (HTTP {answer.status_code})")
        if answer.status_code not in (200, 204, 404):
            raise SendFailed(Failure.RETRYABLE, f"Twilio does not delete it now (HTTP {answer.status_code})")

    def _ours(self, address: str) -> str:
        """An address that Twilio told us, at our base where it is one of the interface."""
        return self.api_url + address.removeprefix(VENDOR) if address.startswith(f"{VENDOR}/") else address

    def _at_base(self, address: str) -> str:
        """An address as Twilio's client makes it, at our base."""
        if address.startswith(f"{self.api_url}/"):
            return address
        parts = urlsplit(address)
        return self.api_url + parts.path + (f"?{parts.query}" if parts.query else "")
