"""Zalo as a channel: consult messages within the window after a person wrote, and templates for the time after it."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Literal, TypeVar

import httpx
import structlog

from channels.adapter import Adapter, Failure, Hook, SendFailed
from channels.message import Capabilities, FileRef, InboundMessage, OutboundMessage
from channels.wire import pieces
from channels.zalo import events, signature
from channels.zalo.codes import BadParameter
from channels.zalo.consent import Consent
from channels.zalo.line import WHOLE, Line, TokenRefused
from channels.zalo.tokens import Tokens
from core.db import Database
from core.filetypes import DOCX, GIF, JPEG, PDF, PNG, WEBP
from core.pictures import BrokenPicture, TooManyPixels, shrink
from core.settings import Settings

Read = Callable[[str], Awaitable[bytes]]  # SHA-256 of a stored file → its bytes; FileNotFoundError
Result = TypeVar("Result")

MOST_TEXT: Final = 2000  # characters
MOST_IMAGE: Final = 1024 * 1024  # bytes; a larger one is made smaller, because telephones take larger ones
MOST_FILE: Final = 5 * 1024 * 1024  # bytes, of an animation too
PER_SECOND: Final = 20.0  # 4,000 calls a minute are allowed; a file needs two, and others need some
WINDOW_HOURS: Final = 7 * 24

# Where Zalo keeps what people send, and the hosts these addresses lead on to.
HOSTS: Final = (
    "zalo.me", "zaloapp.com", "zdn.vn", "zadn.vn", "dlfl.vn", "dlfl.me", "dlmd.me", "flchat.vn", "zcloud.vn",
)  # fmt: skip

# What a template must be registered with, and how much each takes.
TEMPLATE_CODE: Final = "ma_phan_anh"
TEMPLATE_TEXT: Final = "noi_dung"
MOST_TEMPLATE_CODE: Final = 30
MOST_TEMPLATE_TEXT: Final = 200

_PICTURES: Final = {kind.media_type: kind for kind in (JPEG, PNG, WEBP)}
_FILES: Final = (PDF.media_type, DOCX.media_type, "application/msword", "text/csv")
_SIDES: Final = (2048, 1280, 800)  # pixels tried one after the other
_PIXELS: Final = 64_000_000
_PATIENCE: Final = 28.0  # seconds for one send; the outbox has 30, and then nobody knows what became of the message
_CHECKED_AT: Final = "/v2.0/oa/getoa"

log = structlog.get_logger()


class Zalo:
    """One Official Account."""

    name = events.CHANNEL
    capabilities = Capabilities(
        max_text=MOST_TEXT,
        max_file=MOST_FILE,
        media_types=frozenset({*_PICTURES, GIF.media_type, *_FILES}),
        per_second=PER_SECOND,
        reply_window_hours=WINDOW_HOURS,
    )

    def __init__(self, app_id: str, oa_id: str, oa_secret_key: str, line: Line, tokens: Tokens, read: Read) -> None:
        """`read` gives the bytes of files we send; `tokens` is to be kept fresh by the worker."""
        self.account = oa_id
        self.tokens = tokens
        self._app_id = app_id
        self._secret = oa_secret_key
        self.line = line
        self._read = read

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        database: Database,
        read: Read,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> "Zalo":
        """The channel as the settings describe it; ZALO_APP_ID is one of them."""
        app_id, app_secret = settings.zalo_app_id, settings.zalo_app_secret
        oa_id, oa_secret_key, seed = settings.zalo_oa_id, settings.zalo_oa_secret_key, settings.zalo_refresh_token
        if not (app_id and app_secret and oa_id and oa_secret_key and seed):
            raise ValueError("Zalo is not configured")
        line = Line(settings.zalo_api_url, settings.zalo_business_url, app_secret, transport=transport)
        consent = Consent(app_id, app_secret, settings.zalo_oauth_url, transport=transport)
        return cls(app_id, oa_id, oa_secret_key, line, Tokens(database, settings.key, oa_id, seed, consent), read)

    def greet(self, hook: Hook) -> str | None:
        """The answer to Zalo's trying of the address; None for an event."""
        return signature.greet(hook)

    def verify(self, hook: Hook) -> None:
        """BadSignature unless Zalo signed these bytes with our OA Secret Key."""
        matched = signature.verify(hook, self._app_id, self.account, self._secret)
        log.debug("zalo signature", matched=matched)

    def parse(self, hook: Hook) -> list[InboundMessage]:
        """The event in normal form."""
        return events.parse(hook, self.account)

    async def send(self, message: OutboundMessage) -> str:
        """Send one text or one file; Zalo's id of it. It quotes the person's last message where that is known."""
        if message.to.scheme not in ("zalo", "anonymous"):
            raise SendFailed(Failure.FINAL, "the address is not one of Zalo")
        if len(message.attachments) > 1 or not (message.text or message.attachments):
            raise SendFailed(Failure.FINAL, "Zalo takes one text or one file at a time")
        until = asyncio.get_running_loop().time() + _PATIENCE
        said: dict[str, Any] = {"text": message.text} if message.text else {}
        if message.attachments:
            said["attachment"] = await self._attachment(message.attachments[0], until)
            if message.text and said["attachment"]["type"] == "file":
                raise SendFailed(Failure.FINAL, "Zalo takes no text beside a document")
        quoted = message.thread.get("message_id")
        if message.to.scheme == "zalo" and quoted and message.part == 0:
            try:
                return await self._say(message, {**said, "quote_message_id": str(quoted)}, until)
            except BadParameter:  # what it quotes may be gone: that is no reason not to answer
                pass
        return await self._say(message, said, until)

    def fetch(self, file: FileRef) -> AsyncIterator[bytes]:
        """The bytes of a file that a person sent, in pieces. SendFailed says why not.

        Nothing of ours is shown to the host: whoever has the address may have the file.
        """
        if not file.url:
            raise SendFailed(Failure.FINAL, "Zalo told no address of the file")
        own, address = self.line.api_url, file.url
        if address.startswith("http://") and not address.startswith(own):  # as it was told in old times
            address = f"https://{address.removeprefix('http://')}"
        return pieces(address, own=own, vendor=HOSTS, transport=self.line.transport)

    async def check(self) -> None:
        """SendFailed unless Zalo lets us in, as the account that the settings name."""
        found = await self.with_token(lambda token: self.line.ask(_CHECKED_AT, token))
        told = found.get("oa_id", found.get("oaid"))
        if told is not None and str(told) != self.account:
            raise SendFailed(Failure.REAUTHORISE, "ZALO_REFRESH_TOKEN belongs to another account than ZALO_OA_ID")

    def template(self, name: Literal["zalo_template", "zalo_phone"], template_id: str) -> "ZaloTemplate":
        """The same account's channel of templates, with the same tokens."""
        return ZaloTemplate(name, self, template_id)

    async def with_token(self, call: Callable[[str], Awaitable[Result]], until: float | None = None) -> Result:
        """`call` with an access token, and once more with another one if Zalo does not know it.

        It is not begun when it could last beyond `until`, a time of the loop: SendFailed says so.
        """
        latest = (until or asyncio.get_running_loop().time() + _PATIENCE) - WHOLE
        token = await self._token(latest)
        try:
            return await call(token)
        except TokenRefused:
            token = await self._token(latest, rejected=token)
        try:
            return await call(token)
        except TokenRefused:
            raise SendFailed(Failure.REAUTHORISE, "Zalo refuses even a new access token") from None

    async def _token(self, latest: float, rejected: str | None = None) -> str:
        try:
            async with asyncio.timeout_at(latest):
                return await self.tokens.access_token(rejected=rejected)
        except TimeoutError:
            raise SendFailed(Failure.RETRYABLE, "Zalo was too slow, no time was left for the message") from None

    async def _say(self, message: OutboundMessage, said: dict[str, Any], until: float) -> str:
        if message.to.scheme == "anonymous":
            conversation = message.thread.get("conversation_id")
            if not conversation:
                raise SendFailed(Failure.FINAL, "which conversation of the anonymous person it is, is not known")
            to = {"anonymous_id": message.to.handle, "conversation_id": str(conversation)}
            path = "/v2.0/oa/message"
        else:
            to, path = {"user_id": message.to.handle}, "/v3.0/oa/message/cs"
        body = {"recipient": to, "message": said}
        data = await self.with_token(lambda token: self.line.post(self.line.api_url + path, token, body), until)
        return _id_of(data)

    async def _attachment(self, file: FileRef, until: float) -> dict[str, Any]:
        """The file as a message refers to it, uploaded; what is uploaded lives for a week there."""
        data = await self._bytes(file)
        if file.media_type == GIF.media_type:
            width, height = _measure(data)
            id = await self._upload("gif", file, data, until)
            return _media({"media_type": "gif", "attachment_id": id, "width": width, "height": height})
        if file.media_type in _PICTURES:
            if len(data) > MOST_IMAGE or file.media_type == WEBP.media_type:
                data = await asyncio.to_thread(_smaller, data, file.media_type)
                file = FileRef(f"{file.name.rpartition('.')[0] or 'anh'}.jpg", JPEG.media_type)
            return _media({"media_type": "image", "attachment_id": await self._upload("image", file, data, until)})
        return {"type": "file", "payload": {"token": await self._upload("file", file, data, until)}}

    async def _bytes(self, file: FileRef) -> bytes:
        if file.media_type not in self.capabilities.media_types or file.sha256 is None:
            raise SendFailed(Failure.FINAL, "Zalo takes no such file")
        try:
            data = await self._read(file.sha256)
        except FileNotFoundError:
            raise SendFailed(Failure.FINAL, "the file is no longer there") from None
        except OSError as error:
            raise SendFailed(Failure.RETRYABLE, f"the file cannot be read now: {type(error).__name__}") from None
        if len(data) > MOST_FILE:
            raise SendFailed(Failure.FINAL, f"the file is larger than {MOST_FILE // 1024**2} MB")
        return data

    async def _upload(self, kind: Literal["image", "gif", "file"], file: FileRef, data: bytes, until: float) -> str:
        def upload(token: str) -> Awaitable[dict[str, Any]]:
            return self.line.upload(f"/v2.0/oa/upload/{kind}", token, file.name, file.media_type, data)

        found = await self.with_token(upload, until - WHOLE)  # the message itself needs its time too
        handle = found.get("token" if kind == "file" else "attachment_id")
        if not isinstance(handle, str | int) or not handle:
            raise SendFailed(Failure.RETRYABLE, "Zalo took the file and gave no handle for it")
        return str(handle)


class ZaloTemplate:
    """A registered template, which needs no window: to a Zalo id (`zalo_template`) or a number (`zalo_phone`).

    It carries the case's code and the beginning of the text; the rest stands on the tracking page.
    """

    capabilities = Capabilities(per_second=PER_SECOND, heard_on=events.CHANNEL)

    def __init__(self, name: Literal["zalo_template", "zalo_phone"], zalo: Zalo, template_id: str) -> None:
        self.name: str = name
        self._zalo = zalo
        self._template_id = template_id

    async def send(self, message: OutboundMessage) -> str:
        """Send the template; Zalo's id of it."""
        said = " ".join(message.text.split())
        data = {
            TEMPLATE_CODE: (message.reference or "1022")[:MOST_TEMPLATE_CODE],
            TEMPLATE_TEXT: said if len(said) <= MOST_TEMPLATE_TEXT else said[: MOST_TEMPLATE_TEXT - 1].rstrip() + "…",
        }
        body: dict[str, Any] = {"template_id": self._template_id, "template_data": data}
        if self.name == "zalo_phone":
            digits = message.to.handle.removeprefix("+")
            if message.to.scheme != "phone" or not digits.startswith("84") or not digits.isdigit():
                raise SendFailed(Failure.FINAL, "Zalo's templates go to Vietnamese numbers only")
            url = self._zalo.line.business_url + "/message/template"
            body |= {"phone": digits, "tracking_id": str(message.id)}
        else:
            if message.to.scheme != "zalo":
                raise SendFailed(Failure.FINAL, "the address is not one of Zalo")
            url = self._zalo.line.api_url + "/v3.0/oa/message/template"
            body |= {"user_id": message.to.handle}
        return _id_of(await self._zalo.with_token(lambda token: self._zalo.line.post(url, token, body)))


def zalo_channels(
    settings: Settings, database: Database, read: Read, *, transport: httpx.AsyncBaseTransport | None = None
) -> dict[str, Adapter]:
    """By name: nothing without ZALO_APP_ID, templates too where ZALO_TEMPLATE_ID is set."""
    if settings.zalo_app_id is None:
        return {}
    zalo = Zalo.from_settings(settings, database, read, transport=transport)
    made: dict[str, Adapter] = {zalo.name: zalo}
    if settings.zalo_template_id is not None:
        made["zalo_template"] = zalo.template("zalo_template", settings.zalo_template_id)
        made["zalo_phone"] = zalo.template("zalo_phone", settings.zalo_template_id)
    return made


def _media(element: dict[str, Any]) -> dict[str, Any]:
    return {"type": "template", "payload": {"template_type": "media", "elements": [element]}}


def _id_of(data: dict[str, Any]) -> str:
    """Empty where Zalo took the message and did not say its id: then nothing can be heard of it any more."""
    return str(data.get("message_id") or data.get("msg_id") or "")


def _measure(data: bytes) -> tuple[int, int]:
    """Width and height of a GIF in pixels, which Zalo wants to be told."""
    if data[:6] not in (b"GIF87a", b"GIF89a") or len(data) < 10:
        raise SendFailed(Failure.FINAL, "the file is no GIF")
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _smaller(data: bytes, media_type: str) -> bytes:
    """The picture as a JPEG that Zalo takes."""
    try:
        for side in _SIDES:
            made = shrink(data, _PICTURES[media_type], pixels=_PIXELS, side=side)
            if len(made) <= MOST_IMAGE:
                return made
    except (BrokenPicture, TooManyPixels):
        raise SendFailed(Failure.FINAL, "the picture cannot be made small enough for Zalo") from None
    raise SendFailed(Failure.FINAL, "the picture cannot be made small enough for Zalo")
