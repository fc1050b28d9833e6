"""A mailbox at its mail server (IMAP, RFC 9051), and one connection to it, held in a thread.

Every call blocks. What goes wrong comes out as SendFailed with a sentence for the operator; the server's own words may
hold addresses and stay unsaid. Certificates are checked against the authorities the system trusts.
"""

import imaplib
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedReader
from typing import Final, Literal

from imap_tools import BaseMailBox, ImapToolsError, MailBox, MailBoxUnencrypted
from imap_tools.errors import MailboxFolderSelectError, MailboxLoginError

from channels.adapter import Failure, SendFailed
from core.settings import Settings

STEP: Final = 30.0  # seconds the server may take for one answer

_LATER = ("[UNAVAILABLE]", "[INUSE]", "[LIMIT]")  # RFC 5530: the account may be right


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Where our mail lies; `account` is the mailbox's address."""

    account: str
    host: str
    port: int
    tls: Literal["implicit", "starttls", "none"]
    user: str
    password: str = field(repr=False)
    folder: str = "INBOX"

    @classmethod
    def from_settings(cls, settings: Settings) -> "Mailbox":
        """As the settings describe it; IMAP_HOST is one of them."""
        assert settings.imap_host is not None
        assert settings.imap_user is not None
        assert settings.imap_password is not None
        return cls(
            settings.imap_account,
            settings.imap_host,
            settings.imap_at,
            settings.imap_tls,
            settings.imap_user,
            settings.imap_password,
            settings.imap_folder,
        )

    def check(self) -> None:
        """Connect, sign in and open the folder, changing nothing; SendFailed says what is wrong. Blocks."""
        connection = Connection(self)
        try:
            connection.open()
        finally:
            connection.close()


class Connection:
    """One connection; `abort` may come from another thread at any moment and ends what is under way."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.validity = 0  # UIDVALIDITY: while it stays, a UID means the same mail
        self.next_uid = 1  # UIDNEXT when the folder was opened
        self._box: BaseMailBox | None = None
        self._lock = threading.Lock()
        self._aborted = False
        self._idles = False

    def open(self) -> None:
        """Connect, encrypt, sign in, open the folder."""
        with _told(self.mailbox):
            box = self._connect()
            with self._lock:
                self._box = box
                if self._aborted:
                    raise SendFailed(Failure.RETRYABLE, "given up while connecting")
            if self.mailbox.tls == "starttls":
                box.client.starttls(ssl.create_default_context())
            box.login(self.mailbox.user, self.mailbox.password, initial_folder=None)
            box.folder.set(self.mailbox.folder)
            status = box.folder.status(self.mailbox.folder, ["UIDVALIDITY", "UIDNEXT"])
            self.validity, self.next_uid = status["UIDVALIDITY"], status["UIDNEXT"]
            _, said = box.client.capability()
            self._idles = b"IDLE" in b" ".join(said).upper().split()

    def unread(self) -> list[int]:
        """UIDs of what nobody has read, ascending."""
        return self._search("UNSEEN")

    def above(self, uid: int) -> list[int]:
        """UIDs above this one, ascending; for `n:*` a server names its last mail even where that is below n."""
        return [found for found in self._search(f"UID {uid + 1}:*") if found > uid]

    def size(self, uid: int) -> int | None:
        """Bytes of a mail; None when it is gone."""
        with _told(self.mailbox):
            for line in self._fetch(uid, "RFC822.SIZE"):
                if found := re.search(rb"RFC822\.SIZE (\d+)", line if isinstance(line, bytes) else line[0]):
                    return int(found[1])
        return None

    def whole(self, uid: int) -> bytes | None:
        """A mail to the byte, left unread; None when it is gone."""
        return self._literal(uid, "BODY.PEEK[]")

    def head(self, uid: int) -> bytes | None:
        """The headers of a mail, left unread; None when it is gone."""
        return self._literal(uid, "BODY.PEEK[HEADER]")

    def mark_read(self, uid: int) -> None:
        """For people who look into the mailbox. A mailbox that may only be read stays as it is."""
        with _told(self.mailbox):
            self._client.uid("STORE", str(uid), "+FLAGS.SILENT", r"(\Seen)")

    def wait(self, seconds: float) -> bool:
        """Until something happens in the folder, at most so long; False at once from a server that cannot tell."""
        if not self._idles:
            return False
        if self._client.untagged_responses.pop("EXISTS", None):
            return True  # a mail was told along with another answer, and IDLE does not tell it again
        with _told(self.mailbox):
            assert self._box is not None
            with self._box.idle as idle:
                if not _has_more(self._client):
                    idle.poll(timeout=seconds)
        return True

    def abort(self) -> None:
        """End it now, whatever it is doing."""
        with self._lock:
            self._aborted = True
            box = self._box
        if box is not None:
            with suppress(OSError):  # it may have ended by itself
                socket.socket.shutdown(box.client.sock, socket.SHUT_RDWR)  # wakes the thread, beneath its TLS

    def close(self) -> None:
        """Say goodbye, if anybody is there to hear it."""
        if self._box is None:
            return
        with suppress(OSError, imaplib.IMAP4.error, ImapToolsError):
            if not self._aborted:
                self._client.sock.settimeout(2.0)
                self._box.logout()
        with suppress(OSError):
            self._client.shutdown()

    def _connect(self) -> BaseMailBox:
        at = self.mailbox
        if at.tls == "implicit":
            return MailBox(at.host, at.port, timeout=STEP, ssl_context=ssl.create_default_context())
        return MailBoxUnencrypted(at.host, at.port, timeout=STEP)

    @property
    def _client(self) -> imaplib.IMAP4:
        assert self._box is not None
        return self._box.client

    def _search(self, criteria: str) -> list[int]:
        with _told(self.mailbox):
            assert self._box is not None
            return sorted(int(uid) for uid in self._box.uids(criteria, charset=None))

    def _fetch(self, uid: int, what: str) -> list[bytes | tuple[bytes, bytes]]:
        status, found = self._client.uid("FETCH", str(uid), f"({what})")
        if status != "OK":
            raise SendFailed(Failure.RETRYABLE, "the IMAP server does not give out a mail")
        return [each for each in found if each is not None]

    def _literal(self, uid: int, what: str) -> bytes | None:
        with _told(self.mailbox):
            for each in self._fetch(uid, what):
                if isinstance(each, tuple):
                    return each[1]
        return None


def _has_more(client: imaplib.IMAP4) -> bool:
    """Whether the server's words that follow `+ idling` were read along with it: no poll of the socket would tell.

    Then a mail came in the moment before, as happens often when several come at once.
    """
    before = client.sock.gettimeout()
    client.sock.settimeout(0)
    try:
        return isinstance(client.file, BufferedReader) and bool(client.file.peek(1))
    except OSError:
        return False  # nothing there
    finally:
        client.sock.settimeout(before)


@contextmanager
def _told(at: Mailbox) -> Iterator[None]:
    """What goes wrong, as one sentence for the operator."""
    try:
        yield
    except MailboxLoginError as error:
        if any(code in str(error).upper() for code in _LATER):
            raise SendFailed(Failure.RETRYABLE, "the IMAP server signs nobody in now") from None
        raise SendFailed(
            Failure.REAUTHORISE, "the IMAP server does not accept our account (see IMAP_USER, IMAP_PASSWORD)"
        ) from None
    except MailboxFolderSelectError:
        raise SendFailed(Failure.FINAL, f"the mailbox has no folder {at.folder} (see IMAP_FOLDER)") from None
    except ssl.SSLCertVerificationError as error:
        reason = f"the IMAP server's certificate is not trusted: {error.verify_message}"
        raise SendFailed(Failure.RETRYABLE, reason) from None
    except ssl.SSLError as error:
        raise SendFailed(
            Failure.RETRYABLE, f"no encryption with the IMAP server: {error.reason} (see IMAP_TLS)"
        ) from None
    except OSError as error:
        raise SendFailed(Failure.RETRYABLE, f"no connection to the IMAP server: {type(error).__name__}") from None
    except imaplib.IMAP4.abort as error:
        no_tls = "TLS not supported" in str(error)
        reason = "offers no STARTTLS (see IMAP_TLS)" if no_tls else "closed the connection"
        raise SendFailed(Failure.RETRYABLE, f"the IMAP server {reason}") from None
    except (imaplib.IMAP4.error, ImapToolsError) as error:
        raise SendFailed(Failure.RETRYABLE, f"the IMAP server refuses what we ask: {type(error).__name__}") from None
