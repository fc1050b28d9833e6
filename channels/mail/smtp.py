"""One conversation with the mail server that takes our mail (SMTP, RFC 5321), held in a thread. Every call blocks.

What goes wrong comes out as SendFailed, or as SendDoubtful where the mail may have been taken. The server's words may
hold addresses and stay unsaid; its certificate is checked against the authorities the system trusts.
"""

import re
import smtplib
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Literal

from channels.adapter import Failure, SendDoubtful, SendFailed

STEP: Final = 15.0  # seconds the server may take for one answer
GOODBYE: Final = 2.0  # and for the one to QUIT, which changes nothing

_ACCOUNT_WANTED = frozenset({530, 534, 535, 538})  # RFC 4954: the server wants an account, or another one
_ENHANCED = re.compile(rb"([245]\.\d{1,3}\.\d{1,3})(?!\S)")  # RFC 3463
_NOBODY = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})


@dataclass(frozen=True, slots=True)
class Relay:
    """The mail server, and how we are known there."""

    host: str
    port: int
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    user: str | None = None
    password: str | None = field(default=None, repr=False)


NO_WORD: Final = "the mail server had the whole mail and did not say whether it took it"


class Conversation:
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

    def hand_over(self, recipient: str, letter: bytes, *, automatic: bool = False) -> None:
        """The whole conversation. SendFailed while nothing can have been taken, SendDoubtful where it may have been.

        Automatic mail goes without an envelope sender (RFC 3834), so that nothing answers it, not even a bounce; a
        server that takes none such from its customers gets ours.
        """
        data = re.sub(rb"(?m)^\.", b"..", letter)  # RFC 5321, 4.5.2
        try:
            smtp = self._connect()
            if not (automatic and self._taken_without_sender(smtp)):
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
            raise SendDoubtful(NO_WORD) from None
        if not (200 <= code < 300 or 400 <= code < 600):
            raise SendDoubtful(NO_WORD)
        _expect((code, said), "the mail", 250)
        self.state = "taken"

    def _taken_without_sender(self, smtp: smtplib.SMTP) -> bool:
        code, said = smtp.mail("")
        if not 500 <= code < 600 or code in _ACCOUNT_WANTED:
            _expect((code, said), "mail without a sender")
            return True
        _expect(smtp.rset(), "to start over")
        return False

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
        numbers = _numbers(code, said)
        raise SendFailed(fault, f"the mail server refuses {what} ({numbers})", gone=nobody_there(numbers))
    raise SendFailed(Failure.RETRYABLE, f"the mail server does not take {what} now ({_numbers(code, said)})")


def nobody_there(numbers: str) -> bool:
    """Whether a reply says that the mailbox or its host does not exist (RFC 3463, 3.2)."""
    return any(each in _NOBODY for each in numbers.split())


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
