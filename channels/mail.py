"""E-mail: one message is one mail, handed to the centre's own mail server (SMTP, RFC 5321) over TLS.

What SMTP can promise: once the server has answered 250 to the end of the data, the mail is its responsibility. What it
cannot: when the connection breaks after the data and before that answer, nobody can ask whether it was taken, so such
a send is SendDoubtful and is never repeated by itself. Every try of one message is the same mail to the byte, with the
Message-ID made from the message's id: a person who has it sent again makes a copy that mail programs know for one.
"""

import asyncio
import re
import smtplib
import socket
import ssl
import threading
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.charset import QP, Charset
from email.errors import MessageError
from email.generator import BytesGenerator
from email.header import Header
from email.headerregistry import Address as Mailbox
from email.message import Message
from email.policy import compat32
from email.utils import format_datetime
from io import BytesIO
from typing import Any, Final, Literal

from channels.adapter import Failure, SendDoubtful, SendFailed
from channels.message import Capabilities, OutboundMessage
from core.ids import moment_of
from core.settings import Settings

AT_ONCE: Final = 8  # conversations with the server; most allow ten or more from one client
TURN: Final = 6.0  # seconds to wait for one of them to end
CONVERSATION: Final = 20.0  # seconds a whole one may take; with TURN inside the outbox's own patience
STEP: Final = 15.0  # seconds the server may take for one answer
GOODBYE: Final = 2.0  # and for the one to QUIT, which changes nothing

_ACCOUNT_WANTED = frozenset({530, 534, 535, 538})  # RFC 4954: the server wants an account, or another one
_ENHANCED = re.compile(rb"([245]\.\d{1,3}\.\d{1,3})(?!\S)")  # RFC 3463


@dataclass(frozen=True, slots=True)
class Relay:
    """The mail server, and how we are known there."""

    host: str
    port: int
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    user: str | None = None
    password: str | None = field(default=None, repr=False)


class Mail:
    """The e-mail channel: sends. The server's certificate is checked against the authorities the system trusts."""

    capabilities = Capabilities(idempotent=False)

    def __init__(self, relay: Relay, sender: tuple[str, str], name: str = "email") -> None:
        """`sender` is the name people see and the address that mail comes from and bounces to."""
        self.name = name
        self.relay = relay
        self.sender = sender
        self._turns = asyncio.Semaphore(AT_ONCE)

    @classmethod
    def from_settings(cls, settings: Settings) -> "Mail":
        """The channel as the settings describe it; SMTP_HOST is one of them."""
        assert settings.smtp_host is not None
        relay = Relay(
            settings.smtp_host, settings.smtp_at, settings.smtp_tls, settings.smtp_user, settings.smtp_password
        )
        return cls(relay, settings.smtp_sender)

    async def send(self, message: OutboundMessage) -> str:
        """Hand one mail to the server; its Message-ID. SendFailed when it was not taken, SendDoubtful when unknown."""
        letter = compose(message, self.sender)
        talk = _Conversation(self.relay, self.sender[1])
        await self._hold(talk, lambda: talk.hand_over(wire_address(message.to.handle), letter))
        return message_id(message, self.sender)

    async def check(self) -> None:
        """Connect, sign in and name ourselves as the sender, sending nothing; SendFailed says what is wrong."""
        talk = _Conversation(self.relay, self.sender[1])
        await self._hold(talk, talk.greet)

    async def _hold(self, talk: "_Conversation", work: Callable[[], None]) -> None:
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
                raise SendDoubtful(_NO_WORD) from None
            if talk.state != "taken":
                raise SendFailed(Failure.RETRYABLE, f"the mail server took more than {CONVERSATION:.0f} s") from None
        except asyncio.CancelledError:
            talk.abort()
            raise


def compose(message: OutboundMessage, sender: tuple[str, str]) -> bytes:
    """The mail as it goes over the wire: the same for the same message and sender, always.

    SendFailed(FINAL) if it has no address. Its text is quoted-printable, because a server that knows no 8BITMIME may
    not be given anything else. Headers are `email.header`'s: the newer API of Python 3.11 drops spaces between words
    with marks when it folds.
    """
    domain = sender[1].rpartition("@")[2]
    utf8 = Charset("utf-8")
    utf8.body_encoding = QP
    letter: Message[Any, Any] = Message()
    letter["Message-ID"] = message_id(message, sender)
    letter["Date"] = format_datetime(moment_of(message.id))  # when it was written, however late it leaves
    letter["From"] = _mailbox("From", sender[0], sender[1])
    letter["To"] = _mailbox("To", message.to.name or "", wire_address(message.to.handle))
    letter["Subject"] = _words("Subject", _one_line(message.title or message.reference or "1022"))
    if message.reference:
        matter = f"<{re.sub(r'[^A-Za-z0-9.-]', '', message.reference)}@{domain}>"
        letter["In-Reply-To"] = letter["References"] = matter  # so that mail about one matter lies together
    letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: no machine shall answer
    letter["X-Auto-Response-Suppress"] = "All"
    letter.set_payload(_lines(message.text), utf8)
    flat = BytesIO()
    BytesGenerator(flat, mangle_from_=False, policy=compat32.clone(linesep="\r\n")).flatten(letter)
    return flat.getvalue()


def message_id(message: OutboundMessage, sender: tuple[str, str]) -> str:
    """Our own Message-ID, by which an answer, a bounce or a second copy is known."""
    return f"<{message.id}@{sender[1].rpartition('@')[2]}>"


def _mailbox(header: str, name: str, address: str) -> Header:
    """`name <address>`; a name with anything but letters and spaces is an encoded word, which needs no quoting."""
    name = _one_line(name)
    made = Header(header_name=header)
    if name:
        made.append(name, "us-ascii" if re.fullmatch(r"[A-Za-z0-9 ]+", name) else "utf-8")
    made.append(f"<{address}>" if name else address, "us-ascii")
    return made


def _words(header: str, text: str) -> Header:
    return Header(text, "us-ascii" if text.isascii() else "utf-8", header_name=header)


def wire_address(handle: str) -> str:
    """The address as it goes over the wire, its domain in ASCII; SendFailed(FINAL) unless it is one plain address.

    What stands before the @ must be ASCII: few servers take anything else (RFC 6531).
    """
    local, _, domain = handle.strip().rpartition("@")
    try:
        address = f"{local}@{domain.encode('idna').decode()}"
        plain = Mailbox(addr_spec=address).addr_spec == address
    except (ValueError, IndexError, MessageError):  # the parser raises whatever it stumbles over
        plain = False
    if not plain or not (local and domain):
        raise SendFailed(Failure.FINAL, "the address is not an e-mail address")
    return address


def _one_line(text: str) -> str:
    """For a header: one line without characters that control anything, and nothing that reads as an encoded word."""
    seen = "".join(" " if char.isspace() else char for char in text)
    return " ".join("".join(char for char in seen if unicodedata.category(char) not in ("Cc", "Cf")).split()).replace(
        "=?", "= ?"
    )[:200]


def _lines(text: str) -> str:
    """For the body: NFC, plain line ends, no control characters."""
    plain = "\n".join(unicodedata.normalize("NFC", text).splitlines())
    return "".join(char for char in plain if char in "\n\t" or unicodedata.category(char) != "Cc") + "\n"


_NO_WORD: Final = "the mail server had the whole mail and did not say whether it took it"


class _Conversation:
    """One connection to the server, held in a thread; `abort` may come from another one at any moment."""

    def __init__(self, relay: Relay, sender: str) -> None:
        self.relay = relay
        self.sender = sender
        self.state: Literal["open", "aborted", "offered", "taken"] = "open"
        self._lock = threading.Lock()
        self._smtp: smtplib.SMTP | None = None

    def abort(self) -> None:
        """End it now: a mail that was not offered yet never will be."""
        with self._lock:
            if self.state == "open":
                self.state = "aborted"
            connection = self._smtp.sock if self._smtp is not None else None
        if connection is not None:
            with suppress(OSError):  # it may have ended by itself
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # wakes the thread, beneath its TLS

    def greet(self) -> None:
        """Connect, encrypt, sign in, be let send from our address. SendFailed says what went wrong."""
        try:
            smtp = self._connect()
            _expect(smtp.mail(self.sender), "our sender", fault=Failure.REAUTHORISE)
            _expect(smtp.rset(), "to start over")
        except (OSError, smtplib.SMTPException) as error:
            raise _not_taken(error) from None

    def hand_over(self, recipient: str, letter: bytes) -> None:
        """The whole conversation. SendFailed while nothing can have been taken, SendDoubtful where it may have been."""
        data = re.sub(rb"(?m)^\.", b"..", letter)  # RFC 5321, 4.5.2
        try:
            smtp = self._connect()
            _expect(smtp.mail(self.sender), "our sender", fault=Failure.REAUTHORISE)
            _expect(smtp.rcpt(recipient), "the address")
            _expect(smtp.docmd("DATA"), "the mail", 354)
        except (OSError, smtplib.SMTPException) as error:
            raise _not_taken(error) from None
        with self._lock:
            if self.state == "aborted":
                raise SendFailed(Failure.RETRYABLE, "given up before the mail was offered")
            self.state = "offered"
        try:
            smtp.send(data + b".\r\n")
            code, said = smtp.getreply()
        except (OSError, smtplib.SMTPException):
            raise SendDoubtful(_NO_WORD) from None
        if not (200 <= code < 300 or 400 <= code < 600):
            raise SendDoubtful(_NO_WORD)
        _expect((code, said), "the mail", 250)
        self.state = "taken"

    def leave(self) -> None:
        """Say goodbye and close; what came of the mail has been told by then."""
        if self._smtp is None:
            return
        with suppress(OSError, smtplib.SMTPException):
            if self._smtp.sock is not None:
                self._smtp.sock.settimeout(GOODBYE)
                self._smtp.quit()
        with suppress(OSError):
            self._smtp.close()

    def _connect(self) -> smtplib.SMTP:
        relay, ours = self.relay, self.sender.rpartition("@")[2]
        smtp: smtplib.SMTP
        if relay.tls == "implicit":
            smtp = smtplib.SMTP_SSL(relay.host, relay.port, ours, timeout=STEP, context=ssl.create_default_context())
        else:
            smtp = smtplib.SMTP(relay.host, relay.port, ours, timeout=STEP)
        with self._lock:
            self._smtp = smtp
        smtp.ehlo_or_helo_if_needed()
        if relay.tls == "starttls":
            if not smtp.has_extn("starttls"):
                raise SendFailed(Failure.RETRYABLE, "the mail server offers no STARTTLS (see SMTP_TLS)")
            smtp.starttls(context=ssl.create_default_context())
            smtp.ehlo_or_helo_if_needed()
        if relay.user is not None and relay.password is not None:
            try:
                smtp.login(relay.user, relay.password)
            except (smtplib.SMTPResponseException, smtplib.SMTPServerDisconnected):
                raise
            except smtplib.SMTPException:
                raise SendFailed(Failure.REAUTHORISE, "the mail server offers no way to sign in that we know") from None
        return smtp


def _expect(answer: tuple[int, bytes], what: str, wanted: int = 250, *, fault: Failure = Failure.FINAL) -> None:
    """SendFailed by the server's answer: 4xx may pass, 5xx is `fault`. Its words may hold addresses and stay unsaid."""
    code, said = answer
    if code == wanted or (wanted == 250 and 200 <= code < 300):
        return
    if code in _ACCOUNT_WANTED:
        raise SendFailed(Failure.REAUTHORISE, f"the mail server does not accept our account ({_numbers(code, said)})")
    if 500 <= code < 600:
        raise SendFailed(fault, f"the mail server refuses {what} ({_numbers(code, said)})")
    raise SendFailed(Failure.RETRYABLE, f"the mail server does not take {what} now ({_numbers(code, said)})")


def _numbers(code: int, said: bytes) -> str:
    """`550 5.1.1`: the reply and the enhanced status code, if there is one."""
    enhanced = _ENHANCED.match(said)
    return f"{code} {enhanced[1].decode()}" if enhanced else str(code)


def _not_taken(error: Exception) -> SendFailed:
    """What to make of a conversation that broke before the mail was offered: not this mail's fault, as a rule."""
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error if isinstance(error.smtp_error, bytes) else b""
        numbers = _numbers(error.smtp_code, said)
        if isinstance(error, smtplib.SMTPAuthenticationError) and error.smtp_code >= 500:
            return SendFailed(Failure.REAUTHORISE, f"the mail server does not accept our account ({numbers})")
        return SendFailed(Failure.RETRYABLE, f"the mail server does not talk to us now ({numbers})")
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return SendFailed(Failure.RETRYABLE, "the mail server did not answer or closed the connection")
    if isinstance(error, ssl.SSLCertVerificationError):
        return SendFailed(Failure.RETRYABLE, f"the mail server's certificate is not trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return SendFailed(Failure.RETRYABLE, f"no encryption with the mail server: {error.reason}")
    return SendFailed(Failure.RETRYABLE, f"no connection to the mail server: {type(error).__name__}")


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
