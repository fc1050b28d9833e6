"""Debian's Dovecot for a test: IMAP, and LMTP to put mail in byte for byte. Runs as whoever runs the tests, root too.

    with dovecot() as server:
        server.deliver(b"From: …")          # as a mail server would
        Mailbox("1022@tinh.example", "127.0.0.1", server.imap, "none", "1022@tinh.example", server.password)

A maildir each; the account is whatever stands before the @, any with the one password.
"""

import grp
import os
import pwd
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PROGRAM = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
LMTP = Path("/usr/lib/dovecot/lmtp")
IMAP = Path("/usr/lib/dovecot/imap")
MISSING = "needs Debian's packages dovecot-imapd and dovecot-lmtpd"
needed = pytest.mark.skipif(PROGRAM is None or not LMTP.exists() or not IMAP.exists(), reason=MISSING)

# Root may not read mail in Dovecot, so that mail belongs to nobody there; anybody else can only be himself.
CONFIG = """
protocols = imap lmtp
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
first_valid_gid = 1
ssl = {ssl}
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
mail_location = maildir:{folder}/mail/%n
mail_max_userip_connections = 50
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/home/%n allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {imap}
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {imaps}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
"""


@dataclass
class Dovecot:
    """A running one. `imaps` is there only with a certificate."""

    folder: Path
    imap: int
    imaps: int
    lmtp: int
    password: str = field(default="s3cret-mail", repr=False)
    certificate: Path | None = None
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    def start(self) -> None:
        """Start it, again after `stop` too, and wait until it takes mail."""
        root = os.geteuid() == 0
        user, group = "nobody", "nogroup"
        if not root:
            user, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
        tls = "no"
        if self.certificate is not None:
            tls = f"yes\nssl_cert = <{self.certificate}\nssl_key = <{self.certificate}"
        for name in ("run", "mail", "home"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            if root and name != "run":
                shutil.chown(self.folder / name, user, group)
        config = self.folder / "dovecot.conf"
        ports = {"imap": self.imap, "imaps": self.imaps if self.certificate else 0, "lmtp": self.lmtp}
        config.write_text(
            CONFIG.format(folder=self.folder, user=user, group=group, password=self.password, ssl=tls, **ports)
        )
        assert PROGRAM is not None
        self.process = subprocess.Popen(
            [PROGRAM, "-F", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.lmtp), 1).close()
                socket.create_connection(("127.0.0.1", self.imap), 1).close()
                return
            except OSError:
                if time.monotonic() > end:
                    raise AssertionError((self.folder / "log").read_text()) from None
                time.sleep(0.02)

    def stop(self) -> None:
        """End it and every connection."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)
            self.process = None

    def deliver(self, mail: bytes, to: str = "1022@tinh.example", sender: str = "dan@example.vn") -> None:
        """Put a mail into a mailbox, byte for byte; LMTP wants CRLF at the ends of lines."""
        with smtplib.LMTP("127.0.0.1", self.lmtp, local_hostname="localhost") as lmtp:
            lmtp.ehlo_or_helo_if_needed()
            assert lmtp.mail(sender)[0] == 250
            assert lmtp.rcpt(to)[0] == 250
            code, said = lmtp.data(mail)
            assert code == 250, said

    def files(self, account: str = "1022") -> list[Path]:
        """The mails of a mailbox as files, oldest first; a name that ends in S has been seen."""
        maildir = self.folder / "mail" / account
        found = [path for name in ("new", "cur") for path in (maildir / name).glob("*")]
        return sorted(found, key=lambda path: [int(number) for number in re.findall(r"\d+", path.name)[:2]])

    def new_uids(self, account: str = "1022") -> None:
        """Give all mails of a mailbox new UIDs, as after its index was lost."""
        for each in (self.folder / "mail" / account).glob("dovecot*"):
            each.unlink()


@contextmanager
def dovecot(*, certificate: Path | None = None) -> Iterator[Dovecot]:
    """One that runs until the block ends. Its folder is of its own: pytest closes its folders to anybody but root."""
    with tempfile.TemporaryDirectory(prefix="dovecot-") as folder:
        Path(folder).chmod(0o755)
        imap, imaps, lmtp = free_ports(3)
        server = Dovecot(Path(folder), imap, imaps, lmtp, certificate=certificate)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()
