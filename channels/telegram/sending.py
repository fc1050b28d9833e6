"""Answers through Telegram's Bot API, by python-telegram-bot's `Bot`.

Telegram repeats nothing and knows no ids of ours: what it may have taken is never sent again by itself. Addresses of
the Bot API hold the bot's token, so none of the library's own words reach an error or a log.
"""

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, Final, TypeVar

import httpx
from telegram import Bot, Message, ReplyParameters, User
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    RetryAfter,
    TelegramError,
)
from telegram.request import HTTPXRequest

from channels.adapter import Failure, Hook, SendDoubtful, SendFailed
from channels.message import Capabilities, FileRef, InboundMessage, OutboundMessage
from channels.telegram import events
from channels.wire import MOST, NOT_SENT, TIMEOUT, pieces, tls
from core.settings import Settings

os.environ.setdefault("PTB_TIMEDELTA", "true")  # durations as the library's next major version gives them
logging.getLogger("telegram").setLevel(logging.CRITICAL)  # it writes whole answers, with people's names, as errors

PHOTOS: Final = frozenset({"image/jpeg", "image/png"})
MOST_PHOTO: Final = 10 * 1024 * 1024  # bytes; a larger picture goes as a document

T = TypeVar("T")
Read = Callable[[str], Awaitable[bytes]]


class Telegram:
    """The bot: verifies, parses, sends. `read` gives the bytes of a file of ours by its SHA-256."""

    capabilities = Capabilities(
        max_text=4096,
        max_file=MOST,
        media_types=frozenset(
            {"image/jpeg", "image/png", "image/gif", "application/pdf", "video/mp4", "audio/mp4", "audio/mpeg"}
        ),
        per_second=25,
    )

    def __init__(
        self,
        token: str,
        secret_token: str,
        *,
        read: Read,
        api_url: str = "https://api.telegram.org",
        name: str = "telegram",
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.name = name
        self.account = token.partition(":")[0]
        self._secret = secret_token
        self._read = read
        self._base = api_url.rstrip("/")
        self._token = token
        self._transport = transport

    @classmethod
    def from_settings(cls, settings: Settings, read: Read) -> "Telegram":
        """The channel as the settings describe it; the TELEGRAM_ ones are among them."""
        assert settings.telegram_token is not None
        return cls(
            settings.telegram_token,
            settings.telegram_secret_token or "",
            read=read,
            api_url=settings.telegram_api_url,
        )

    def greet(self, hook: Hook) -> str | None:
        """Telegram never asks whether we are there."""
        return None

    def verify(self, hook: Hook) -> None:
        """BadSignature unless the request repeats our secret."""
        events.verify(hook, self._secret)

    def parse(self, hook: Hook) -> list[InboundMessage]:
        """The update of the post in its normal form."""
        return events.parse(hook, self.account)

    async def send(self, message: OutboundMessage) -> str:
        """Hand over one text or one file; `<chat id>:<message id>`. A chat that moved is followed once.

        An answer goes to the person's own chat even if they wrote in a group, where all would read it.
        """
        if message.to.scheme != "telegram":
            raise SendFailed(Failure.FINAL, "whoever wrote did so in a group's name: there is nobody to answer")
        about: dict[str, Any] = {"reply_parameters": _quoted(message)}
        if message.attachments:
            member, data = await self._file(message.attachments[0])
            about |= {member: data, "filename": message.attachments[0].name, "caption": message.text or None}
        elif message.text.strip():
            member, about = "message", {**about, "text": message.text}
        else:
            raise SendFailed(Failure.FINAL, "there is nothing to send")

        async def hand_over(bot: Bot) -> Message:
            way: Callable[..., Awaitable[Message]] = getattr(bot, f"send_{member}")
            try:
                return await way(chat_id=message.to.handle, **about)
            except ChatMigrated as moved:
                return await way(chat_id=moved.new_chat_id, **about)

        sent = await self._ask(hand_over)
        return f"{sent.chat.id}:{sent.message_id}"

    async def check(self) -> None:
        """SendFailed unless Telegram knows our token."""

        async def who(bot: Bot) -> User:
            return await bot.get_me()

        await self._ask(who, harmless=True)

    async def fetch(self, file: FileRef) -> AsyncIterator[bytes]:
        """The bytes in pieces; Telegram gives bots files of up to 20 MB."""

        async def find(bot: Bot) -> tuple[str, int]:
            found = await bot.get_file(file.vendor_id or "")
            return found.file_path or "", found.file_size or 0

        if file.vendor_id is None:
            raise SendFailed(Failure.FINAL, "the file has no id at Telegram")
        address, size = await self._ask(find, harmless=True)
        if size > MOST:
            raise SendFailed(Failure.FINAL, f"the file is larger than {MOST // 1024**2} MB")
        if not address.startswith(f"{self._base}/file/bot{self._token}/"):
            raise SendFailed(Failure.FINAL, "Telegram keeps the file where we do not fetch from")
        async for piece in pieces(address, own=self._base, transport=self._transport):
            yield piece

    async def _file(self, file: FileRef) -> tuple[str, bytes]:
        """As what Telegram is to take it, and its bytes."""
        try:
            data = await self._read(file.sha256 or "")
        except OSError:
            raise SendFailed(Failure.RETRYABLE, "the file cannot be read from where we keep it") from None
        return "photo" if file.media_type in PHOTOS and len(data) <= MOST_PHOTO else "document", data

    async def _ask(self, question: Callable[[Bot], Awaitable[T]], *, harmless: bool = False) -> T:
        """What Telegram answers; SendFailed or, unless the question is `harmless`, SendDoubtful by what it did not."""
        request = HTTPXRequest(
            read_timeout=TIMEOUT.read,
            write_timeout=TIMEOUT.write,
            connect_timeout=TIMEOUT.connect,
            httpx_kwargs={"verify": tls(), "trust_env": False, "transport": self._transport},
        )
        try:
            bot = Bot(
                self._token,
                base_url=f"{self._base}/bot",
                base_file_url=f"{self._base}/file/bot",
                request=request,
                get_updates_request=request,
            )
            return await question(bot)
        except Exception as error:
            problem = _problem(error)
        finally:
            await request.shutdown()
        if harmless and isinstance(problem, SendDoubtful):
            raise SendFailed(Failure.RETRYABLE, problem.reason)
        raise problem  # outside of `except`: the library's error holds addresses, and would hang on as its context


def _problem(error: Exception) -> SendFailed | SendDoubtful:
    """The library's error in our words: its own may hold the token or a person's name."""
    if isinstance(error, RetryAfter):
        wait = error.retry_after
        seconds = wait.total_seconds() if isinstance(wait, timedelta) else wait
        return SendFailed(Failure.RATE_LIMITED, "Telegram takes no more from us for now", timedelta(seconds=seconds))
    if isinstance(error, TelegramError) and isinstance(error.__cause__, NOT_SENT):
        return SendFailed(Failure.RETRYABLE, f"no connection to Telegram: {type(error.__cause__).__name__}")
    for kind, failure, reason in _REFUSALS:
        if isinstance(error, kind):
            return SendFailed(failure, reason, gone=kind is Forbidden)
    what = type(error.__cause__ or error).__name__
    return SendDoubtful(f"Telegram had the request and gave no answer that can be read: {what}")


_REFUSALS: Final = (
    (InvalidToken, Failure.REAUTHORISE, "Telegram does not know the bot's token"),
    (Forbidden, Failure.FINAL, "the person blocked the bot or left the chat"),
    (BadRequest, Failure.FINAL, "Telegram refuses the message: the chat is not known or the message is malformed"),
    (ChatMigrated, Failure.FINAL, "the chat moved again while it was followed"),
    (Conflict, Failure.RETRYABLE, "Telegram is busy with another request of the bot"),
)


def _quoted(message: OutboundMessage) -> ReplyParameters | None:
    """What the person last wrote, in front of the first part; not if that was in a group."""
    chat, _, id = str(message.thread.get("reply_to") or "").rpartition(":")
    if message.part or chat != message.to.handle or not id.isdecimal():
        return None
    return ReplyParameters(int(id), allow_sending_without_reply=True)
