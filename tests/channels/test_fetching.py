"""A real Dovecot: mail comes in whole, once, and soon, whatever happens to us, to the server and to the mail."""

import asyncio
import hashlib
import itertools
import json
import multiprocessing
import random
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from imap_tools import MailBoxUnencrypted
from imap_tools.errors import MailboxLoginError
from pydantic import ValidationError
from sqlmodel import col, select

from channels import inbox
from channels.adapter import Failure, SendFailed
from channels.mail import fetching, reading
from channels.mail.fetching import run_mailbox
from channels.mail.imap import Connection, Mailbox
from channels.models import MailboxPlace, Received
from core.db import Database
from core.doctor import settings_table
from core.filestore import LocalStore, key_of
from core.settings import Settings
from tests.channels import watching
from tests.dovecot import Dovecot, dovecot, needed
from tests.mailing import certificate

pytestmark = needed
FORKS = multiprocessing.get_context("forkserver")
NUMBERS = itertools.count(1)
AT = datetime(2026, 3, 3, 1, 15, tzinfo=UTC)


def a_mail(text: str = "Đèn đường không sáng.", id: str | None = "1@dan.example.vn", **headers: str) -> bytes:
    given = {
        "From": "Dan <dan@example.vn>", "To": "1022@tinh.example", "Subject": "Phan anh",
        "Date": "Tue, 03 Mar 2026 08:15:00 +0700", **({"Message-ID": f"<{id}>"} if id else {}), "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=utf-8", "Content-Transfer-Encoding": "8bit", **headers,
    }  # fmt: skip
    return "".join(f"{name}: {value}\r\n" for name, value in given.items()).encode() + b"\r\n" + text.encode() + b"\r\n"


@dataclass
class Box:
    """A mailbox of a test's own, and our side of it."""

    server: Dovecot
    database: Database
    files: LocalStore
    folder: Path
    name: str

    @property
    def address(self) -> str:
        return f"{self.name}@tinh.example"

    @property
    def imap(self) -> dict[str, Any]:
        return {
            "imap_host": "127.0.0.1", "imap_port": self.server.imap, "imap_tls": "none",
            "imap_user": self.address, "imap_password": self.server.password,
        }  # fmt: skip

    def deliver(self, mail: bytes) -> None:
        self.server.deliver(mail, self.address)

    @asynccontextmanager
    async def watched(self, **settings: Any) -> AsyncIterator[None]:
        """Our side at work; it must end in time."""
        stop = asyncio.Event()
        watch = asyncio.create_task(
            run_mailbox(Settings(**{**self.imap, **settings}), self.database, self.files, stop, lambda: AT)
        )
        try:
            yield
            assert not watch.done()
        finally:
            stop.set()
            async with asyncio.timeout(2):
                await watch

    async def rows(self) -> list[Received]:
        async with self.database.transaction() as session:
            mine = select(Received).where(Received.account == self.address).order_by(col(Received.id))
            return list((await session.exec(mine)).all())

    async def until(self, count: int, seconds: float = 20.0) -> list[Received]:
        """The rows as soon as there are so many."""
        end = time.monotonic() + seconds
        while len(rows := await self.rows()) < count:
            assert time.monotonic() < end, f"{len(rows)} of {count}"
            await asyncio.sleep(0.02)
        return rows

    async def place(self) -> tuple[int, int] | None:
        """UIDVALIDITY and last UID, as kept."""
        async with self.database.transaction() as session:
            place = await session.get(MailboxPlace, (self.address, "INBOX"))
            return (place.uid_validity, place.last_uid) if place else None

    async def reached(self, uid: int, seconds: float = 20.0) -> None:
        """Wait until all up to this UID is done."""
        end = time.monotonic() + seconds
        while ((await self.place()) or (0, -1))[1] < uid:
            assert time.monotonic() < end, await self.place()
            await asyncio.sleep(0.02)

    async def eml(self, row: Received) -> bytes:
        kept = json.loads(row.raw)
        with await self.files.open(key_of(kept["eml"])) as stream:
            data = stream.read()
        assert hashlib.sha256(data).hexdigest() == kept["eml"]
        return data

    def seen(self) -> list[bool]:
        """Of each mail at the server, whether somebody has read it."""
        return ["S" in path.name.rpartition(",")[2] for path in self.server.files(self.name)]


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    with dovecot() as running:
        yield running


@pytest.fixture
def box(server: Dovecot, database: Database, tmp_path: Path) -> Box:
    return Box(server, database, LocalStore(tmp_path / "files"), tmp_path / "files", f"box{next(NUMBERS)}")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "FIRST_PAUSE", 0.1)
    monkeypatch.setattr(fetching, "LONGEST_PAUSE", 0.2)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every mail that was brought to the shelf, new or not."""
    brought = []
    keep = fetching.Shelf.keep

    async def noted(self: Any, raw: bytes, *rest: Any) -> bool:
        brought.append(raw)
        return await keep(self, raw, *rest)

    monkeypatch.setattr(fetching.Shelf, "keep", noted)
    return brought


# ---- soon, whole, once


async def test_a_mail_is_here_soon_after_it_came(box: Box) -> None:
    async with box.watched():
        await box.reached(0)
        await asyncio.sleep(0.3)  # listening by now
        started = time.monotonic()
        box.deliver(a_mail())
        (row,) = await box.until(1)
        assert time.monotonic() - started < 2
        await box.reached(1)
    for thread in threading.enumerate():
        if thread.name == "imap":  # it has said that it ends
            thread.join(1)
            assert not thread.is_alive()
    assert (row.channel, row.account, row.external_id) == ("email", box.address, "1@dan.example.vn")
    assert (row.kind, row.sender, row.received_at, row.run_at) == ("message", "email:dan@example.vn", AT, AT)
    assert box.seen() == [True]


async def test_every_byte_of_a_mail_is_kept(box: Box) -> None:
    noise = bytes(random.Random(1).randrange(128, 256) for _ in range(4000))  # no charset at all
    mail = a_mail(id="8bit@dan.example.vn") + b"\r\n".join(noise[at : at + 80] for at in range(0, 4000, 80)) + b"\r\n"
    async with box.watched():
        box.deliver(mail)
        (row,) = await box.until(1)
    data = await box.eml(row)
    assert data.endswith(mail)  # the server put its own headers on top
    assert json.loads(row.raw)["size"] == len(data)


async def test_mails_that_come_all_at_once_are_all_taken_in_their_order(box: Box) -> None:
    async with box.watched():
        await box.reached(0)
        for number in range(30):
            await asyncio.to_thread(box.deliver, a_mail(id=f"{number}@dan.example.vn"))
        rows = await box.until(30)
    assert [row.external_id for row in rows] == [f"{n}@dan.example.vn" for n in range(30)]


async def test_a_mail_that_is_told_along_with_another_answer_is_taken_at_once(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait, late = Connection.wait, ["1@dan.example.vn", "2@dan.example.vn"]

    def after_another_answer(self: Connection, seconds: float) -> bool:
        if late:
            box.deliver(a_mail(id=late.pop(0)))
            self._client.noop()
        return wait(self, seconds)

    monkeypatch.setattr(Connection, "wait", after_another_answer)
    async with box.watched():
        await box.until(2, seconds=10)


async def test_a_server_that_cannot_tell_is_asked(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "LOOK", 0.2)
    monkeypatch.setattr(Connection, "wait", lambda self, seconds: False)
    async with box.watched():
        await box.reached(0)
        box.deliver(a_mail())
        await box.until(1)


async def test_a_fresh_start_repeats_nothing(box: Box, kept: list[bytes]) -> None:
    box.deliver(a_mail())
    async with box.watched():
        await box.until(1)
        await box.reached(1)
    box.deliver(a_mail(id="2@dan.example.vn"))  # while nobody watches
    async with box.watched():
        rows = await box.until(2)
        await box.reached(2)
    async with box.watched():
        await asyncio.sleep(0.5)
    assert [row.external_id for row in rows] == ["1@dan.example.vn", "2@dan.example.vn"]
    assert len(kept) == 2


async def test_what_people_had_read_before_we_came_is_not_ours(box: Box) -> None:
    for number in range(3):
        box.deliver(a_mail(id=f"{number}@dan.example.vn"))
    with MailBoxUnencrypted("127.0.0.1", box.server.imap).login(box.address, box.server.password) as person:
        person.flag(["2"], [r"\Seen"], True)
    async with box.watched():
        await box.until(2)
        await box.reached(3)
    assert [row.external_id for row in await box.rows()] == ["0@dan.example.vn", "2@dan.example.vn"]


async def test_what_a_person_reads_before_us_is_ours_later(box: Box) -> None:
    async with box.watched():
        await box.reached(0)
    box.deliver(a_mail())
    with MailBoxUnencrypted("127.0.0.1", box.server.imap).login(box.address, box.server.password) as person:
        person.flag(["1"], [r"\Seen"], True)
    async with box.watched():
        await box.until(1)


async def test_new_uids_of_old_mails_double_nothing(box: Box, kept: list[bytes]) -> None:
    for number in range(3):
        box.deliver(a_mail(id=f"{number}@dan.example.vn"))
    async with box.watched():
        await box.until(3)
        await box.reached(3)
    before = await box.place()
    await asyncio.sleep(1)  # the server's process that served the first watch writes its index when it ends
    box.server.new_uids(box.name)
    await asyncio.sleep(1.1)  # the server makes the number from the time
    async with box.watched():
        box.deliver(a_mail(id="new@dan.example.vn"))
        await box.until(4)
        await box.reached(4)
    after = await box.place()
    assert before is not None
    assert after is not None
    assert before[0] != after[0]
    assert len(kept) == 7  # looked at again
    assert len(await box.rows()) == 4


async def test_a_mail_sent_twice_is_one_and_two_mails_with_one_id_are_two(box: Box) -> None:
    for text in ("Đèn đường không sáng.", "Đèn đường không sáng.", "Có ổ gà."):
        box.deliver(a_mail(text, id="scanner@dan.example.vn"))
    async with box.watched():
        rows = await box.until(2)
        await box.reached(3)
    assert [row.external_id.partition("#")[0] for row in rows] == ["scanner@dan.example.vn"] * 2
    assert "Có ổ gà.".encode() in await box.eml(rows[1])
    box.server.new_uids(box.name)
    await asyncio.sleep(1.1)
    async with box.watched():
        await box.reached(3)
    assert len(await box.rows()) == 2


async def test_killed_before_the_mail_is_marked_it_is_kept_once_and_marked_later(box: Box) -> None:
    box.deliver(a_mail())
    worker = FORKS.Process(target=watching.die_before_the_mark, args=(box.database.dsn, box.folder, box.imap))
    worker.start()
    await asyncio.to_thread(worker.join, 20)
    assert worker.exitcode == -signal.SIGKILL
    (row,) = await box.rows()
    assert (box.seen(), await box.place()) == ([False], None)
    async with box.watched():
        await box.reached(1)
    assert [each.id for each in await box.rows()] == [row.id]
    assert box.seen() == [True]


# ---- large, and what nobody can read


async def test_a_mail_of_thirty_megabytes_is_taken_whole(box: Box) -> None:
    line = b"x" * 76 + b"\r\n"
    mail = a_mail() + line * (30_000_000 // len(line))
    async with box.watched():
        await asyncio.to_thread(box.deliver, mail)
        (row,) = await box.until(1)
    assert (await box.eml(row)).endswith(mail)


async def test_of_a_mail_that_is_too_large_the_headers_stay_and_a_note(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "LARGEST", 1_000_000)
    monkeypatch.setattr(Connection, "whole", None)
    box.deliver(a_mail("ảnh " * 400_000, id="large@dan.example.vn", Subject="Nhieu\r\n anh"))
    async with box.watched():
        (row,) = await box.until(1)
        await box.reached(1)
    data = await box.eml(row)
    assert (row.external_id, row.kind, row.sender) == ("large@dan.example.vn", "message", "email:dan@example.vn")
    assert b"Subject: Nhieu\r\n anh\r\n" in data
    assert "quá lớn để nhận" in data.decode()
    assert len(data) < 2000
    assert json.loads(row.raw)["size"] > 2_000_000


@pytest.mark.parametrize(
    "mail",
    [
        b"\r\n",
        b"no headers at all\r\n",
        b"Subject: \xff\xfe\r\nContent-Type: multipart/mixed; boundary=\r\n\r\n--\r\n",
        a_mail(id=f"{'x' * 3000}@dan.example.vn"),
        a_mail(id="\x01\x02@dan.example.vn", From="\x07"),
        a_mail(**{"Content-Type": "text/plain; charset=x-unknown", "Content-Transfer-Encoding": "base64"}),
    ],
    ids=["empty", "no headers", "broken", "long id", "control characters", "unknown charset"],
)
async def test_an_odd_mail_is_kept_and_holds_up_no_other(box: Box, mail: bytes) -> None:
    box.deliver(mail)
    box.deliver(a_mail(id="after@dan.example.vn"))
    async with box.watched():
        odd, after = await box.until(2)
        await box.reached(2)
    assert (await box.eml(odd)).endswith(mail)
    assert after.external_id == "after@dan.example.vn"


async def test_a_mail_that_breaks_the_parser_waits_for_a_person(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    parse = reading.parse

    def fragile(hook: Any, account: str = "") -> Any:
        if b"poison" in hook.body:
            raise RecursionError
        return parse(hook, account)

    monkeypatch.setattr(reading, "parse", fragile)
    box.deliver(a_mail("poison"))
    box.deliver(a_mail(id="after@dan.example.vn"))
    async with box.watched():
        poison, after = await box.until(2)
        await box.reached(2)
    assert (poison.kind, poison.run_at, poison.dead_at) == ("unknown", None, AT)
    assert poison.last_error == "the parser failed: RecursionError"
    assert b"poison" in await box.eml(poison)
    assert (after.kind, box.seen()) == ("message", [True, True])


async def test_a_mail_the_server_does_not_give_out_is_told_of_and_holds_up_no_other(
    box: Box, monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    whole = Connection.whole

    def broken(self: Connection, uid: int) -> bytes | None:
        if uid == 1:
            raise SendFailed(Failure.RETRYABLE, "no")
        return whole(self, uid)

    monkeypatch.setattr(Connection, "whole", broken)
    box.deliver(a_mail())
    box.deliver(a_mail(id="after@dan.example.vn"))
    async with box.watched():
        told, after = await box.until(2)
        await box.reached(2)
    assert (told.kind, told.dead_at, after.kind) == ("unknown", AT, "message")
    assert "Không lấy được thư số 1" in (await box.eml(told)).decode()
    assert box.seen() == [False, True]


# ---- trouble


async def test_a_server_that_goes_and_comes_back_is_watched_again(
    database: Database, tmp_path: Path, quick: None
) -> None:
    with dovecot() as own:
        box = Box(own, database, LocalStore(tmp_path / "files"), tmp_path / "files", f"box{next(NUMBERS)}")
        async with box.watched():
            box.deliver(a_mail())
            await box.until(1)
            await asyncio.to_thread(own.stop)
            await asyncio.sleep(0.5)  # some tries in vain
            own.start()
            box.deliver(a_mail(id="2@dan.example.vn"))
            await box.until(2)


async def test_while_the_database_is_away_no_mail_is_lost(
    box: Box, monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    accept = inbox.accept
    failures = iter([OSError("away"), OSError("away")])

    async def flaky(*given: Any) -> Any:
        for error in failures:
            raise error
        return await accept(*given)

    monkeypatch.setattr(inbox, "accept", flaky)
    box.deliver(a_mail())
    async with box.watched():
        await box.until(1)
        await box.reached(1)
    assert box.seen() == [True]


async def test_it_ends_in_time_even_while_a_server_says_nothing(box: Box) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with box.watched(imap_port=silent.getsockname()[1]):
            await asyncio.sleep(0.2)


async def test_it_ends_in_time_while_it_waits_to_try_again(box: Box) -> None:
    async with box.watched(imap_password="guess"):
        await asyncio.sleep(0.5)
    assert await box.rows() == []


def whole_of(box: Box) -> Mailbox:
    return Mailbox.from_settings(Settings(**box.imap))


@pytest.mark.parametrize(
    ("other", "failure", "said"),
    [
        ({"password": "guess"}, Failure.REAUTHORISE, "does not accept our account"),
        ({"folder": "Phản ánh"}, Failure.FINAL, "no folder Phản ánh"),
        ({"port": 9}, Failure.RETRYABLE, "no connection"),
        ({"tls": "starttls"}, Failure.RETRYABLE, "offers no STARTTLS"),
        ({"tls": "implicit"}, Failure.RETRYABLE, "no encryption"),
    ],
)
def test_a_check_says_what_is_wrong(box: Box, other: dict[str, Any], failure: Failure, said: str) -> None:
    with pytest.raises(SendFailed) as failed:
        replace(whole_of(box), **other).check()
    assert failed.value.failure is failure
    assert said in failed.value.reason
    assert box.address not in failed.value.reason


def test_a_check_changes_nothing(box: Box) -> None:
    box.deliver(a_mail())
    whole_of(box).check()
    assert box.seen() == [False]


def test_a_server_that_is_busy_does_not_refuse_our_account(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(self: Any, *given: Any, **named: Any) -> None:
        raise MailboxLoginError(("NO", [b"[UNAVAILABLE] Temporary authentication failure"]), "OK")

    monkeypatch.setattr("imap_tools.BaseMailBox.login", busy)
    with pytest.raises(SendFailed) as failed:
        whole_of(box).check()
    assert failed.value.failure is Failure.RETRYABLE


def test_encryption_with_a_certificate_that_is_trusted_and_with_none_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    localhost = certificate(tmp_path, "localhost")
    with dovecot(certificate=localhost) as own:
        ports: dict[Any, int] = {"implicit": own.imaps, "starttls": own.imap}
        for tls, port in ports.items():
            mailbox = Mailbox("a@b.vn", "localhost", port, tls, "a@b.vn", own.password)
            with pytest.raises(SendFailed, match="certificate is not trusted"):
                mailbox.check()
            with monkeypatch.context() as trusting:
                trusting.setenv("SSL_CERT_FILE", str(localhost))
                mailbox.check()
                with pytest.raises(SendFailed, match="certificate is not trusted"):
                    replace(mailbox, host="127.0.0.1").check()


# ---- settings


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"imap_host": "mail.example"}, "needs both"),
        ({"imap_host": "mail.example", "imap_user": "a@b.vn"}, "needs both"),
        ({"imap_host": "mail.example:993"}, "IMAP_PORT"),
        ({"imap_host": "mail.example", "imap_user": "me", "imap_password": "s3cret"}, "which address"),
        (
            {"imap_host": "mail.example", "imap_user": "a@b.vn", "imap_password": "s3cret", "imap_tls": "none"},
            "in the open",
        ),
        ({"imap_host": "mail.example", "imap_user": "a@b.vn", "imap_password": "mật"}, "ASCII"),
        ({"imap_tls": "ssl"}, "starttls"),
    ],
)
def test_settings_that_cannot_work_are_refused(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint) as refused:
        Settings(**given)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "account", "port"),
    [
        ({"imap_user": "1022@Tinh.vn"}, "1022@tinh.vn", 993),
        ({"imap_user": "1022", "smtp_from": "Tổng đài <tong-dai@tinh.vn>"}, "tong-dai@tinh.vn", 993),
        ({"imap_user": "1022@tinh.vn", "imap_tls": "starttls"}, "1022@tinh.vn", 143),
        ({"imap_user": "1022@tinh.vn", "imap_port": 1993, "imap_folder": ""}, "1022@tinh.vn", 1993),
    ],
)
def test_the_mailbox_as_the_settings_describe_it(given: dict[str, Any], account: str, port: int) -> None:
    mailbox = Mailbox.from_settings(Settings(imap_host="mail.example", imap_password="s3cret", **given))
    assert (mailbox.account, mailbox.port, mailbox.folder) == (account, port, "INBOX")
    assert "s3cret" not in repr(mailbox)


def test_doctor_does_not_show_the_password() -> None:
    table = settings_table(Settings(imap_host="m.example", imap_user="a@b.vn", imap_password="s3cret"))
    assert "s3cret" not in "".join(table)


def test_empty_settings_are_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "PORT", "USER", "PASSWORD", "FOLDER", "TLS", "PLUS"):
        monkeypatch.setenv(f"HOTLINE_IMAP_{name}", "")
    settings = Settings()
    assert (settings.imap_host, settings.imap_folder, settings.imap_tls, settings.imap_plus) == (
        None, "INBOX", "implicit", True,
    )  # fmt: skip
