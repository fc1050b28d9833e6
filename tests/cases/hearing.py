"""A hotline that hears every vendor by its real parser and answers on its real road, in the hands of a test."""

import itertools
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from functools import partial
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy import update
from sqlmodel import col, select

from cases.arriving import Arrivals
from cases.models import Case, Entry
from cases.reception import Reception
from channels import inbox, outbox
from channels.adapter import Hook, SendFailed
from channels.mail.composing import compose
from channels.mail.fetching import Shelf
from channels.mail.reading import parse as read_mail
from channels.mail.replying import reply_address, reply_key
from channels.message import Capabilities, InboundMessage, OutboundMessage
from channels.models import Fetch, Outgoing, Received
from channels.registry import CHANNELS, House, read_again
from core.files import LocalStore
from tests.factories import Clock, state
from web.deps import office_of
from web.state import State

CENTRE = ("Tổng đài 1022", "1022@tinh.example")
VENDORS = ("zalo", "facebook", "telegram", "email", "sms")
COUNT = itertools.count(1)
WORDS = "Đèn đường hỏng trước chợ Đồng Xoài"


@dataclass
class Box:
    """A channel that keeps what it was given to send; mails as the bytes they are on the wire."""

    name: str
    key: bytes
    capabilities: Capabilities = field(default_factory=Capabilities)
    sent: list[OutboundMessage] = field(default_factory=list)
    letters: list[bytes] = field(default_factory=list)
    fails: SendFailed | None = None

    async def send(self, message: OutboundMessage) -> str:
        """Take it."""
        if self.fails is not None:
            raise self.fails
        self.sent.append(message)
        if self.name == "email":
            answer_to = reply_address(self.key, CENTRE[1], message.reference or "")
            self.letters.append(compose(message, CENTRE, answer_to=answer_to))
        return f"{self.name}-{message.id}-{message.part}"


@dataclass
class Hotline:
    """The road from any vendor to the case and back."""

    here: State
    clock: Clock
    boxes: dict[str, Box]
    key: bytes

    @property
    def house(self) -> House:
        return House(self.here.settings, self.here.database, LocalStore(self.here.settings.files_dir))

    async def hear(self, channel: str, body: bytes) -> None:
        """A vendor's request, or a mail in the mailbox."""
        if channel == "email":
            (message,) = read_mail(Hook(body, {}, {}), CENTRE[1])
            await Shelf(self.here.database, self.house.files, CENTRE[1]).keep(body, len(body), message, self.clock())
            return
        parse = CHANNELS[channel].parse
        assert parse is not None
        async with self.here.database.transaction() as session:
            await inbox.accept(session, parse(Hook(body, {}, {}), "77"), self.clock())

    def reception(self) -> Reception:
        async def office(session: Any) -> Arrivals:
            return Arrivals(office_of(self.here, await self.here.routing.get(session)), self.code_of)

        return Reception(self.here.database, partial(read_again, self.house), office, self.clock)

    def code_of(self, message: InboundMessage) -> str | None:
        """The case whose reply address a mail was sent to."""
        return message.thread.get("case_token") if message.thread.get("reply_token") else None

    async def work(self) -> None:
        """All that waits is made something of, and what is queued by that is sent."""
        while await self.reception().round():
            pass

        async def nothing(session: Any, outgoing: Outgoing, at: datetime) -> None:
            return

        while await outbox.deliver_due(self.here.database, self.here.adapters, self.clock(), on_sent=nothing):
            pass

    async def cases(self, *handles: str) -> list[Case]:
        """The cases of these senders, oldest first."""
        async with self.here.database.transaction() as session:
            found = (await session.exec(select(Case).order_by(col(Case.id)))).all()
        return [case for case in found if {*handles} & {*case.contact.values()}]

    async def lines(self, case: Case) -> list[Entry]:
        async with self.here.database.transaction() as session:
            rows = await session.exec(select(Entry).where(Entry.case_id == case.id).order_by(col(Entry.id)))
            return list(rows.all())

    async def files(self, case: Case) -> list[Fetch]:
        async with self.here.database.transaction() as session:
            rows = await session.exec(select(Fetch).where(Fetch.subject_id == case.id).order_by(col(Fetch.id)))
            return list(rows.all())


@pytest.fixture
async def hotline(app: FastAPI, clock: Clock) -> AsyncIterator[Hotline]:
    """The application with a box for every vendor."""
    here = state(app)
    clock.now = datetime(2026, 3, 3, 1, 15, tzinfo=UTC) + timedelta(days=next(COUNT))
    key = reply_key(here.key)
    boxes = {name: Box(name, key) for name in VENDORS}
    before, here.adapters = here.adapters, {**here.adapters, **boxes}
    async with here.database.transaction() as session:  # what another test left waiting
        await session.execute(update(Outgoing).values(run_at=None, state="dropped"))
        await session.execute(update(Received).values(run_at=None))
    yield Hotline(here, clock, boxes, key)
    here.adapters = before


def a_number() -> str:
    return f"90{next(COUNT):010d}{random.randrange(10**6):06d}"


def zalo(who: str, text: str | None, **members: Any) -> bytes:
    event: dict[str, Any] = {
        "app_id": "1",
        "sender": {"id": who},
        "recipient": {"id": "77"},
        "event_name": "user_send_text",
    }
    event |= {"timestamp": "1772500000000", "message": {"text": text, "msg_id": uuid4().hex}}
    return json.dumps({**event, **members}).encode()


def anonymous(who: str, text: str) -> bytes:
    message = {"text": text, "msg_id": uuid4().hex, "conversation_id": f"c-{who}"}
    return zalo(who, None, event_name="anonymous_send_text", message=message)


def messenger(who: str, text: str) -> bytes:
    item: dict[str, Any] = {"sender": {"id": who}, "recipient": {"id": "77"}, "timestamp": 1772500000000}
    item |= {"message": {"mid": uuid4().hex, "text": text}}
    return json.dumps({"object": "page", "entry": [{"id": "77", "time": 1, "messaging": [item]}]}).encode()


def comment(who: str, text: str) -> bytes:
    value: dict[str, Any] = {
        "item": "comment",
        "verb": "add",
        "comment_id": f"9_{who}",
        "post_id": "77_9",
        "message": text,
    }
    value |= {"created_time": 1772500000, "from": {"id": who, "name": "Hoa"}}
    changes = [{"field": "feed", "value": value}]
    return json.dumps({"object": "page", "entry": [{"id": "77", "time": 1, "changes": changes}]}).encode()


def telegram(who: str, text: str | None, **members: Any) -> bytes:
    author = {"id": int(who), "is_bot": False, "first_name": "Hoa", **members.pop("author", {})}
    message = {"message_id": next(COUNT), "from": author, "chat": {"id": int(who), "type": "private"}}
    message |= {"date": 1772500000, **({"text": text} if text else {}), **members}
    return json.dumps({"update_id": next(COUNT), "message": message}).encode()


def sms(who: str, text: str) -> bytes:
    form = {"MessageSid": f"SM{uuid4().hex}", "AccountSid": "AC1", "From": who, "To": "+842711022", "Body": text}
    return urlencode({**form, "NumMedia": "0", "SmsStatus": "received"}).encode()


def mail(who: str, text: str, subject: str = "Phản ánh", **headers: str) -> bytes:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = f"Hoa <{who}>", CENTRE[1], subject
    letter["Message-ID"] = f"<{uuid4().hex}@nha.example>"
    letter["Date"] = "Tue, 03 Mar 2026 08:15:00 +0700"
    for name, value in headers.items():
        letter[name.replace("_", "-")] = value
    letter.set_content(text)
    return letter.as_bytes()


def phone() -> str:
    return f"+8491{random.randrange(10**7):07d}"


def address() -> str:
    return f"hoa{uuid4().hex[:12]}@nha.example"
