"""SMS by Twilio: short messages both ways, and pictures sent to us.

Making a message there is not idempotent and cannot be asked for afterwards by an id of ours. So every message names,
in the address for its reports, our own id of it: the report on a message whose answer got lost says what became of it.
"""

from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import urlencode, urlsplit

import httpx
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.rest import Client

from channels import wire
from channels.adapter import Failure, Hook, SendDoubtful, SendFailed
from channels.message import Capabilities, FileRef, InboundMessage, OutboundMessage
from channels.reading import read_json
from channels.twilio import errors, events, signature
from channels.twilio.client import VENDOR, Line
from core.settings import Settings

REPORTS: Final = "/webhooks/twilio/sms-status"
ANSWER: Final = '<?xml version="1.0" encoding="UTF-8"?><Response/>'  # to every request: we answer in our own time

_NO_WORD: Final = "Twilio had the message and did not say whether it took it"


class Sms:
    """One number of one account."""

    name = events.CHANNEL
    capabilities = Capabilities(max_text=1600, per_second=1)

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        number: str,
        *,
        public_url: str,
        api_url: str = VENDOR,
        key: tuple[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`key` (its SID and secret) signs in instead of the account's token, which still vouches for webhooks."""
        self.account = number
        self._token = auth_token
        self._reports = public_url.rstrip("/") + REPORTS
        user, password = key or (account_sid, auth_token)
        self.line = Line(api_url, (user, password), transport=transport)
        self._client = Client(user, password, account_sid, http_client=self.line)

    @classmethod
    def from_settings(cls, settings: Settings) -> "Sms":
        """The channel as the settings describe it; TWILIO_ACCOUNT_SID is one of them."""
        assert settings.twilio_account_sid is not None
        assert settings.twilio_auth_token is not None
        assert settings.twilio_number is not None
        return cls(
            settings.twilio_account_sid,
            settings.twilio_auth_token,
            settings.twilio_number,
            public_url=settings.public_url,
            api_url=settings.twilio_api_url,
            key=settings.twilio_key,
        )

    def greet(self, hook: Hook) -> str | None:
        """Twilio never asks whether we are there."""
        return None

    def verify(self, hook: Hook) -> None:
        """BadSignature unless it was signed with our token."""
        signature.verify(hook, self._token)

    def parse(self, hook: Hook) -> list[InboundMessage]:
        """The one event of the request."""
        return events.parse(hook, self.account)

    async def send(self, message: OutboundMessage) -> str:
        """Hand one message over; its SID. SendFailed when it was not taken, SendDoubtful when nobody knows."""
        if message.to.scheme != "phone":
            raise SendFailed(Failure.FINAL, "the address is not a phone number")
        if not message.text.strip():
            raise SendFailed(Failure.FINAL, "the message is empty, and files do not travel by SMS")
        ours = f"{message.id}:{message.part}" if message.part else str(message.id)
        reports = f"{self._reports}?{urlencode({'message': ours}, safe=':')}"
        try:
            made = await self._client.messages.create_async(
                to=message.to.handle, from_=self.account, body=message.text, status_callback=reports
            )
        except (TwilioRestException, TwilioServiceException) as error:
            raise _refused(error) from None
        except wire.NOT_SENT as error:
            raise SendFailed(Failure.RETRYABLE, f"no connection to Twilio: {type(error).__name__}") from None
        except (httpx.HTTPError, TimeoutError):
            raise SendDoubtful(_NO_WORD) from None
        except (TwilioException, ValueError, TypeError, AttributeError):  # what it said is not its language
            raise SendDoubtful("Twilio's answer could not be read") from None
        if not made.sid:
            raise SendDoubtful("Twilio's answer names no message")
        return str(made.sid)

    async def fetch(self, file: FileRef) -> AsyncIterator[bytes]:
        """The bytes of a picture or of a recording. SendFailed says why not."""
        if not file.url:
            raise SendFailed(Failure.FINAL, "the file has no address")
        async for piece in self.line.download(file.url):
            yield piece

    async def check(self) -> None:
        """Ask Twilio for our number, sending nothing; SendFailed says what is wrong with the live settings."""
        if urlsplit(self._reports).scheme != "https" and self.line.api_url == VENDOR:
            raise SendFailed(Failure.REAUTHORISE, "PUBLIC_URL is not https: Twilio's reports would come in the open")
        numbers = f"{VENDOR}/2010-04-01/Accounts/{self._client.account_sid}/IncomingPhoneNumbers.json"
        try:
            answer = await self.line.request("GET", numbers, params={"PhoneNumber": self.account, "PageSize": 1})
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise SendFailed(Failure.RETRYABLE, f"no connection to Twilio: {type(error).__name__}") from None
        said = read_json(answer.text.encode()) or {}
        if 400 <= answer.status_code < 500:
            raise SendFailed(*errors.of_answer(answer.status_code, said.get("code")))
        if answer.status_code != 200 or "incoming_phone_numbers" not in said:
            raise SendFailed(Failure.RETRYABLE, f"Twilio answers HTTP {answer.status_code} (see TWILIO_API_URL)")
        if self.account.startswith("+") and not said["incoming_phone_numbers"]:
            raise SendFailed(Failure.REAUTHORISE, "TWILIO_NUMBER is not one of the account's numbers")


def _refused(error: TwilioRestException | TwilioServiceException) -> SendFailed | SendDoubtful:
    """What Twilio's answer means; its own words stay unsaid, because they quote numbers and texts."""
    status = int(error.status)
    code = error.code if isinstance(error.code, int) and error.code != status else None
    if status >= 500 or status == 408:
        return SendDoubtful(f"Twilio failed ({code or f'HTTP {status}'}) and did not say what it did")
    if status < 400:
        return SendFailed(Failure.RETRYABLE, f"Twilio sends us elsewhere (HTTP {status}, see TWILIO_API_URL)")
    return SendFailed(*errors.of_answer(status, code), gone=code in errors.GONE)
