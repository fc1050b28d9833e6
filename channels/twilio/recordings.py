"""Recordings that Twilio keeps of calls, until we have them ourselves."""

from collections.abc import AsyncIterator
from typing import Final

import httpx

from channels.adapter import Failure, RecordingGone, SendFailed
from channels.twilio.client import VENDOR, Line
from core.settings import Settings

SOUND: Final = ".mp3"  # without an ending Twilio gives a WAV of eight times the size


class Recordings:
    """Those of one account."""

    def __init__(self, line: Line) -> None:
        self.line = line

    @classmethod
    def from_settings(cls, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> "Recordings":
        """As the settings describe the account; TWILIO_ACCOUNT_SID is one of them."""
        assert settings.twilio_account_sid is not None
        assert settings.twilio_auth_token is not None
        key = settings.twilio_key or (settings.twilio_account_sid, settings.twilio_auth_token)
        return cls(Line(settings.twilio_api_url or VENDOR, key, transport=transport))

    async def fetch_recording(self, address: str) -> AsyncIterator[bytes]:
        """As in Recorder."""
        try:
            async for piece in self.line.download(address + SOUND):
                yield piece
        except SendFailed as failed:
            if failed.failure is Failure.FINAL and await self._is_gone(address):
                raise RecordingGone from None
            raise

    async def remove_recording(self, address: str) -> None:
        """As in Recorder."""
        await self.line.remove(address)

    async def _is_gone(self, address: str) -> bool:
        """Whether Twilio itself says that there is none: a store behind it may refuse for other reasons."""
        if not address.startswith((f"{VENDOR}/", f"{self.line.api_url}/")):
            return False
        try:
            answer = await self.line.request("GET", f"{address}.json")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise SendFailed(Failure.RETRYABLE, f"no word from Twilio: {type(error).__name__}") from None
        return answer.status_code in (404, 410)
