"""E-mail that comes in: a mailbox is watched, and each mail of it kept whole before the mailbox is told anything.

One thread holds the connection; what it finds is kept through the loop of the worker. A mail is kept in this order:
its bytes in the file store, its row among what was received (committed), `\\Seen` at the server, and last its UID as
the last one done. Whoever dies in between does the same mail again, and the row's unique key knows it. Nothing is moved
or deleted: the mailbox stays whole for people and for a second try.

Any number of workers may watch one mailbox; each mail is still kept once.
"""

import asyncio
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar

import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from channels import inbox
from channels.adapter import Failure, Hook, SendFailed
from channels.mail import reading
from channels.mail.imap import Connection, Mailbox
from channels.message import InboundMessage
from channels.models import MailboxPlace, Received
from channels.reading import unread
from core.db import Database
from core.filestore import FileStore, key_of
from core.settings import Settings

CHANNEL: Final = "email"
LARGEST: Final = 35 << 20  # bytes; servers take 25 MB as a rule, which base64 makes a third more of
LISTEN: Final = 60.0  # seconds of one IDLE (RFC 2177: below 29 min): what a server forgets to tell waits no longer
LOOK: Final = 20.0  # seconds between two looks at a server that knows no IDLE
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds before connecting again
REFUSED_PAUSE: Final = 300.0  # after a refused password: servers lock accounts that are guessed at
MOST_TRIES: Final = 5  # to get one mail from the server, before the others get their turn
GRACE: Final = 1.5  # seconds the thread may take to end

log = structlog.get_logger()
T = TypeVar("T")


async def run_mailbox(
    settings: Settings, database: Database, files: FileStore, stop: asyncio.Event, clock: Callable[[], datetime]
) -> None:
    """Keep what comes into the mailbox of the settings until `stop` is set, then end within two seconds.

    Whatever trouble there is, it is logged and the mailbox is tried again. `clock` is read once a mail.
    """
    watch = _Watch(Mailbox.from_settings(settings), database, files, clock, asyncio.get_running_loop())
    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def run() -> None:
        try:
            watch.run()
        finally:
            with suppress(RuntimeError):  # the loop has ended before us
                loop.call_soon_threadsafe(over.set)

    threading.Thread(target=run, name="imap", daemon=True).start()
    try:
        await stop.wait()
    finally:
        watch.end()
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                await over.wait()


class _Watch:
    """The thread's work; `end` comes from outside."""

    def __init__(
        self,
        mailbox: Mailbox,
        database: Database,
        files: FileStore,
        clock: Callable[[], datetime],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.mailbox = mailbox
        self.shelf = Shelf(database, files, mailbox.account)
        self.clock = clock
        self.loop = loop
        self.ended = threading.Event()
        self.connection = Connection(mailbox)
        self.working = False  # all that was there has been taken since the last trouble
        self.failed: Counter[int] = Counter()  # how often the server did not give out the mail with this UID

    def end(self) -> None:
        """Stop, wherever it is."""
        self.ended.set()
        self.connection.abort()

    def run(self) -> None:
        """Watch until ended."""
        pause = 0.0
        while not self.ended.is_set():
            self.connection = connection = Connection(self.mailbox)
            if self.ended.is_set():  # `end` may have aborted the one before
                return
            refused = False
            try:
                connection.open()
                self.watch(connection)
            except SendFailed as failed:
                refused, reason = failed.failure is Failure.REAUTHORISE, failed.reason
            except Exception as error:
                reason = type(error).__name__
            finally:
                connection.close()
            if self.ended.is_set():
                return
            pause = 0.0 if self.working else pause
            pause = REFUSED_PAUSE if refused else max(FIRST_PAUSE, min(pause * 2, LONGEST_PAUSE))
            self.working = False
            log.warning("mailbox not read", folder=self.mailbox.folder, reason=reason, again_in=pause)
            self.ended.wait(pause)

    def watch(self, connection: Connection) -> None:
        """Take what is new, then wait for more, until ended or something breaks."""
        last = self.begin(connection)
        while not self.ended.is_set():
            for uid in connection.above(last):
                self.take(connection, uid)
                last = uid
                self.do(self.shelf.reached(self.mailbox.folder, connection.validity, last))
            self.working = True
            if not connection.wait(LISTEN):
                self.ended.wait(LOOK)

    def begin(self, connection: Connection) -> int:
        """The UID up to which all is done.

        A mailbox we never saw is taken over as people left it: what somebody has read is not ours. When the server
        gave its mails new UIDs, all are looked at again, and those we have are known by their ids.
        """
        place = self.do(self.shelf.place(self.mailbox.folder))
        if place is not None and place.uid_validity == connection.validity:
            return place.last_uid
        last = 0
        if place is None:
            for uid in connection.unread():
                self.take(connection, uid)
            last = connection.next_uid - 1
        self.do(self.shelf.reached(self.mailbox.folder, connection.validity, last))
        return last

    def take(self, connection: Connection, uid: int) -> None:
        """One mail, from the server to the shelf. One that is gone by now was deleted by a person."""
        if self.ended.is_set():
            raise SendFailed(Failure.RETRYABLE, "asked to end")
        if self.failed[uid] >= MOST_TRIES:
            return self.give_up(uid)
        try:
            got = self.get(connection, uid)
        except SendFailed:
            self.failed[uid] += not self.ended.is_set()
            raise
        if got is None:
            return None
        raw, size = got
        self.do(self.shelf.keep(raw, size, _read(raw, self.mailbox.account), self.clock()))
        return connection.mark_read(uid)

    def get(self, connection: Connection, uid: int) -> tuple[bytes, int] | None:
        """A mail's bytes, and how many there are at the server: of a very large one only the headers are taken."""
        size = connection.size(uid)
        if size is None:
            return None
        raw = connection.whole(uid) if size <= LARGEST else connection.head(uid)
        if raw is None or size <= LARGEST:
            return None if raw is None else (raw, size)
        return _in_place_of(raw, _TOO_LARGE.format(size=round(size / 1_000_000))), size

    def give_up(self, uid: int) -> None:
        """Tell a person of a mail that the server does not give out; it stays there, unread."""
        raw = _in_place_of(b"", _NOT_GIVEN.format(uid=uid, folder=self.mailbox.folder))
        message = unread(CHANNEL, self.mailbox.account, raw, "the IMAP server does not give out this mail")
        log.error("mail not fetched", uid=uid, folder=self.mailbox.folder)
        self.do(self.shelf.keep(raw, 0, message, self.clock()))
        del self.failed[uid]

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Have the loop do it and wait for that."""
        if self.ended.is_set():
            work.close()
            raise SendFailed(Failure.RETRYABLE, "asked to end")
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()


class Shelf:
    """Where mails of one mailbox are kept, and how far we are in it."""

    def __init__(self, database: Database, files: FileStore, account: str) -> None:
        self.database = database
        self.files = files
        self.account = account

    async def place(self, folder: str) -> MailboxPlace | None:
        """How far we are in a folder; None when we have never been there."""
        async with self.database.transaction() as session:
            return await session.get(MailboxPlace, (self.account, folder))

    async def reached(self, folder: str, validity: int, last_uid: int) -> None:
        """All up to this UID is kept."""
        fresh = insert(MailboxPlace).values(
            account=self.account, folder=folder, uid_validity=validity, last_uid=last_uid
        )
        news = {"uid_validity": fresh.excluded.uid_validity, "last_uid": fresh.excluded.last_uid}
        async with self.database.transaction() as session:
            await session.execute(fresh.on_conflict_do_update(index_elements=["account", "folder"], set_=news))

    async def keep(self, raw: bytes, size: int, message: InboundMessage, at: datetime) -> bool:
        """Keep a mail for good: bytes, then row. False when we had it. `size`: of the mail at the server.

        Scanners and some programs give every mail one Message-ID. So a mail whose id we know is a repetition only if
        it says the same as the one we have; otherwise its id is made its own.
        """
        digest = hashlib.sha256(raw).hexdigest()
        await self.files.put(key_of(digest), raw)
        message = replace(message, raw=json.dumps({"eml": digest, "size": size}))
        if await self._accept(message, at):
            return True
        known = await self._known(message.external_id)
        if known is None or known == raw:
            return False
        if _says(await asyncio.to_thread(_read, known, self.account)) == _says(message):
            return False
        return await self._accept(replace(message, external_id=f"{message.external_id}#{digest[:16]}"), at)

    async def _accept(self, message: InboundMessage, at: datetime) -> bool:
        async with self.database.transaction() as session:
            return await inbox.accept(session, [message], at) > 0

    async def _known(self, external_id: str) -> bytes | None:
        """The mail we have under an id; None if its bytes are not here any more."""
        mine = (Received.channel == CHANNEL, Received.account == self.account, Received.external_id == external_id)
        async with self.database.transaction() as session:
            kept = (await session.exec(select(col(Received.raw)).where(*mine))).first()
        try:
            with await self.files.open(key_of(json.loads(kept or "")["eml"])) as stream:
                return await asyncio.to_thread(stream.read)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None


def _read(raw: bytes, account: str) -> InboundMessage:
    """The mail as the channel's one event; one that cannot be read or kept as such is kept for a person."""
    try:
        (message,) = reading.parse(Hook(raw, {}, {}), account)
    except Exception as error:
        log.error("mail not read", error=type(error).__name__)
        return unread(CHANNEL, account, raw, f"the parser failed: {type(error).__name__}")
    words = (message.external_id, message.kind, inbox.turn_of(message), message.ignore_reason or "")
    if not all(_can_be_kept(each) for each in words):
        return unread(CHANNEL, account, raw, "its id or sender cannot be kept")
    return message


def _can_be_kept(text: str) -> bool:
    """Whether PostgreSQL takes it as text."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _says(message: InboundMessage) -> tuple[object, ...]:
    """What makes two mails the same to a reader, whatever way they came."""
    files = tuple((file.name, file.size) for file in message.attachments)
    return message.sender, message.subject, message.body or message.text, files


_TOO_LARGE: Final = (
    "Thư này nặng {size} MB, quá lớn để nhận: chỉ giữ lại phần đầu thư. Nội dung và tệp còn trong hộp thư của Tổng đài."
)
_NOT_GIVEN: Final = "Không lấy được thư số {uid} trong thư mục {folder}. Xin mở hộp thư của Tổng đài để đọc."


def _in_place_of(head: bytes, note: str) -> bytes:
    """A mail with the headers of one that we do not have, and a note to the reader instead of what it holds."""
    lines: list[bytes] = []
    dropped = False
    for line in head.replace(b"\r\n", b"\n").split(b"\n"):
        if not line.startswith((b" ", b"\t")):
            dropped = line.lower().startswith((b"content-", b"mime-version:"))
        if line and not dropped:
            lines.append(line)
    ours = [b"MIME-Version: 1.0", b"Content-Type: text/plain; charset=utf-8", b"Content-Transfer-Encoding: 8bit"]
    return b"\r\n".join([*lines, *ours, b"", note.encode(), b""])
