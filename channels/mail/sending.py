"""E-mail: one message is one mail, handed to the centre's own mail server (SMTP, RFC 5321) over TLS.

What SMTP can promise: once the server has answered 250 to the end of the data, the mail is its responsibility. What it
cannot: when the connection breaks after the data and before that answer, nobody can ask whether it was taken, so such
a send is SendDoubtful and is never repeated by itself. Every try of one message is the same mail to the byte, with the
Message-ID made from the message's id: a person who has it sent again makes a copy that mail programs know for one.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from channels.adapter import Failure, SendDoubtful, SendFailed
from channels.mail.composing import (
    MOST_FILES,
    compose,
    is_automatic,
    is_for_department,
    message_id,
    wire_address,
)
from channels.mail.files import contents
from channels.mail.replying import reply_address, reply_key
from channels.mail.smtp import NO_WORD, Conversation, Relay
from channels.message import Capabilities, FileRef, OutboundMessage
from channels.parts import left_out
from core.filetypes import KINDS
from core.settings import Settings

AT_ONCE: Final = 8  # conversations with the server; most allow ten or more from one client
TURN: Final = 6.0  # seconds to wait for one of them to end
CONVERSATION: Final = 20.0  # seconds a whole one may take; with TURN inside the outbox's own patience


@dataclass(frozen=True, slots=True)
class Answers:
    """How answers to mail find their case: the address they reach us at, and the key that signs the case's code."""

    address: str
    key: bytes = field(repr=False)


Read = Callable[[str], Awaitable[bytes]]  # SHA-256 of a stored file → its bytes; FileNotFoundError


async def _no_files(sha256: str) -> bytes:
    raise FileNotFoundError(sha256)


class Mail:
    """The e-mail channel: sends. The server's certificate is checked against the authorities the system trusts."""

    capabilities = Capabilities(
        max_file=MOST_FILES, media_types=frozenset(kind.media_type for kind in KINDS), whole=True, idempotent=False
    )

    def __init__(
        self,
        relay: Relay,
        sender: tuple[str, str],
        name: str = "email",
        *,
        answers: Answers | None = None,
        read: Read = _no_files,
    ) -> None:
        """`sender` is the name people see and the address that mail comes from and bounces to.

        Without `answers` no mail says that it can be answered. `read` gives the bytes of files to send.
        """
        self.name = name
        self.relay = relay
        self.sender = sender
        self.answers = answers
        self._read = read
        self._turns = asyncio.Semaphore(AT_ONCE)

    @classmethod
    def from_settings(cls, settings: Settings, read: Read = _no_files) -> "Mail":
        """The channel as the settings describe it; SMTP_HOST is one of them. Answers need a mailbox that is fetched."""
        assert settings.smtp_host is not None
        relay = Relay(
            settings.smtp_host, settings.smtp_at, settings.smtp_tls, settings.smtp_user, settings.smtp_password
        )
        fetched = settings.imap_host is not None and settings.imap_plus
        answers = Answers(settings.imap_account, reply_key(settings.key)) if fetched else None
        return cls(relay, settings.smtp_sender, answers=answers, read=read)

    async def send(self, message: OutboundMessage) -> str:
        """Hand one mail to the server; its Message-ID. SendFailed when it was not taken, SendDoubtful when unknown.

        Files that are too large together are named in the text: they stand on the tracking page.
        """
        files, room, left = [], MOST_FILES, list[FileRef]()
        for file in message.attachments:
            data = await self._bytes_of(file)
            if len(data) <= room:
                files.append((file, data))
                room -= len(data)
            else:
                left.append(file)
        if left:
            message = replace(message, text=f"{message.text}\n\n{left_out(left, message.link)}")
        to, answer_to = wire_address(message.to.handle), self._answer_to(message)
        letter = await asyncio.to_thread(compose, message, self.sender, answer_to=answer_to, files=files)
        talk = Conversation(self.relay, self.sender[1])
        await self._hold(talk, lambda: talk.hand_over(to, letter, automatic=is_automatic(message)))
        return message_id(message, self.sender)

    def _answer_to(self, message: OutboundMessage) -> str | None:
        """Where an answer shall go that is to become part of the case; departments answer in the console."""
        if self.answers is None or message.reference is None or is_for_department(message):
            return None
        return reply_address(self.answers.key, self.answers.address, message.reference)

    async def _bytes_of(self, file: FileRef) -> bytes:
        try:
            return await self._read(file.sha256 or "")
        except (FileNotFoundError, ValueError):
            raise SendFailed(Failure.FINAL, "a file of the message is not kept here any more") from None
        except OSError as error:
            raise SendFailed(Failure.RETRYABLE, f"a file cannot be read now: {type(error).__name__}") from None

    async def fetch(self, file: FileRef) -> AsyncIterator[bytes]:
        """The bytes of a file of a mail that came in; its `vendor_id` is the digest of the mail, which lies here."""
        try:
            mail = await self._read(file.vendor_id or "")
        except (FileNotFoundError, ValueError):
            raise SendFailed(Failure.FINAL, "the mail is not kept here any more") from None
        for each, data in await asyncio.to_thread(contents, mail):
            if each.sha256 == file.sha256:
                yield data
                return
        raise SendFailed(Failure.FINAL, "the mail holds no such file")

    async def check(self) -> None:
        """Connect, sign in and name ourselves as the sender, sending nothing; SendFailed says what is wrong."""
        talk = Conversation(self.relay, self.sender[1])
        await self._hold(talk, talk.greet)

    async def _hold(self, talk: Conversation, work: Callable[[], None]) -> None:
        """Have a conversation in a thread, in its turn and not for too long."""
        try:
            async with asyncio.timeout(TURN):
                await self._turns.acquire()
        except TimeoutError:
            raise SendFailed(Failure.RETRYABLE, "the mail server is slow: no connection became free") from None
        over = _in_thread(work, talk.leave, self._turns.release)
        try:
            async with asyncio.timeout(CONVERSATION):
                await over
        except TimeoutError:
            talk.abort()
            if talk.state == "offered":
                raise SendDoubtful(NO_WORD) from None
            if talk.state != "taken":
                raise SendFailed(Failure.RETRYABLE, f"the mail server took more than {CONVERSATION:.0f} s") from None
        except asyncio.CancelledError:
            talk.abort()
            raise


def _in_thread(
    work: Callable[[], None], leave: Callable[[], None], release: Callable[[], None]
) -> asyncio.Future[None]:
    """Run `work` in a thread that does not keep the process from ending; then `leave` there, then `release` here."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if over.done():  # nobody waits any more
            return
        if error is None:
            over.set_result(None)
        else:
            over.set_exception(error)

    def run() -> None:
        error = None
        try:
            work()
        except Exception as problem:
            error = problem
        with suppress(RuntimeError):  # the loop has ended before us
            loop.call_soon_threadsafe(settle, error)
        try:
            leave()
        finally:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(release)

    threading.Thread(target=run, name="smtp", daemon=True).start()
    return over
