"""Whose turn it is: one person's messages in their order, a vendor's rate shared, and nothing tried that was not."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest
from sqlalchemy import delete, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from channels import outbox, sending, threads, waiting
from channels.adapter import Failure, SendFailed
from channels.message import Address, Capabilities, OutboundMessage
from channels.models import DeliveryAttempt, Outgoing, OutgoingPart, Pace
from channels.twilio.sms import Sms
from core import due
from core.db import Database
from core.ids import uuid7

AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


class Vendor:
    """Takes what it is given, at a rate, or refuses it."""

    name = "sms"

    def __init__(self, per_second: float | None = None, refuse: Failure | None = None) -> None:
        self.capabilities = Capabilities(per_second=per_second)
        self.refuse = refuse
        self.taken: list[UUID] = []

    async def send(self, message: OutboundMessage) -> str:
        if self.refuse is not None:
            raise SendFailed(self.refuse, "the vendor said no")
        self.taken.append(message.id)
        return f"v-{message.id}"


async def nobody(session: AsyncSession, outgoing: Outgoing, at: datetime) -> None:
    """Nobody to tell."""


@pytest.fixture(autouse=True)
async def empty(database: Database) -> AsyncIterator[None]:
    yield
    async with database.transaction() as session:
        for table in (OutgoingPart, DeliveryAttempt, Outgoing, Pace):
            await session.execute(delete(table))


async def put(database: Database, handle: str) -> UUID:
    subject = uuid7(AT)
    async with database.transaction() as session:
        await outbox.enqueue(
            session,
            subject_id=subject,
            entry_id=subject,
            purpose="answer",
            to=Address("phone", handle),
            channel="sms",
            text="Chào chị",
            reference="BP-26-0482134",
            at=AT,
        )
    async with database.transaction() as session:
        return (await session.exec(select(Outgoing.id).where(Outgoing.subject_id == subject))).one()


async def look(database: Database, id: UUID) -> Outgoing:
    async with database.transaction() as session:
        return (await session.exec(select(Outgoing).where(Outgoing.id == id))).one()


async def deliver(database: Database, vendor: Vendor, at: datetime = AT, **more: Any) -> int:
    return await outbox.deliver_due(database, {"sms": vendor}, at, on_sent=nobody, channel="sms", **more)


async def due_channels(database: Database, at: datetime) -> list[str]:
    async with database.transaction() as session:
        return await outbox.due_channels(session, at)


async def tries(database: Database) -> int:
    async with database.transaction() as session:
        return len((await session.exec(select(DeliveryAttempt.id))).all())


async def test_a_message_behind_one_that_is_tried_later_calls_no_worker(database: Database) -> None:
    first = await put(database, "+84900000001")
    await deliver(database, Vendor(refuse=Failure.RETRYABLE))
    second = await put(database, "+84900000001")
    assert await due_channels(database, AT + timedelta(seconds=1)) == []
    vendor = Vendor()
    for _ in range(2):
        assert await due_channels(database, AT + timedelta(seconds=30)) == ["sms"]
        await deliver(database, vendor, AT + timedelta(seconds=30))
    assert vendor.taken == [first, second]


async def test_a_message_waits_for_the_one_another_worker_is_sending_to_the_same_person(database: Database) -> None:
    await put(database, "+84900000001")
    async with database.transaction() as session:
        await due.claim(session, Outgoing, AT, limit=1, lease=outbox.LEASE, values={"state": "sending"})
    await put(database, "+84900000001")
    other = await put(database, "+84900000002")
    vendor = Vendor()
    assert await deliver(database, vendor, AT + timedelta(seconds=1)) == 1
    assert vendor.taken == [other]
    assert await due_channels(database, AT + timedelta(seconds=1)) == []


async def test_who_finds_the_turns_taken_is_none_the_worse_for_it(database: Database) -> None:
    id = await put(database, "+84900000001")
    async with database.transaction() as session:
        session.add(Pace(channel="sms", next_at=AT + timedelta(minutes=2)))
    vendor = Vendor(per_second=1)
    for second in range(due.MAX_ATTEMPTS + 4):
        await deliver(database, vendor, AT + timedelta(seconds=2.5 * second))
    row = await look(database, id)
    assert (row.state, row.attempts, row.lease_until, await tries(database)) == ("queued", 0, None, 0)
    await deliver(database, vendor, AT + timedelta(minutes=3))
    assert vendor.taken == [id]


async def test_no_more_is_begun_than_the_vendor_takes_meanwhile(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "MOST_WAIT", timedelta(seconds=0.3))
    ids = [await put(database, f"+8490000000{number}") for number in range(5)]
    vendor = Vendor(per_second=10)
    assert await deliver(database, vendor) == 3
    assert sorted(vendor.taken) == ids[:3]


async def test_a_process_that_ends_while_a_message_waits_for_its_turn_leaves_no_doubt(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, turn = asyncio.Event(), threads.turn

    async def asked(*arguments: Any) -> timedelta | None:
        waits.set()
        return await turn(*arguments)

    monkeypatch.setattr(threads, "turn", asked)
    id = await put(database, "+84900000001")
    async with database.transaction() as session:
        session.add(Pace(channel="sms", next_at=AT + timedelta(seconds=14)))
    vendor = Vendor(per_second=1)
    work = asyncio.create_task(deliver(database, vendor))
    await waits.wait()
    await asyncio.sleep(0.5)  # the turn is written down
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert vendor.taken == []
    row = await look(database, id)
    assert (row.state, row.lease_until, row.attempts) == ("queued", None, 0)


async def test_a_database_that_is_away_before_the_vendor_was_called_leaves_no_doubt(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise ConnectionRefusedError

    id, vendor = await put(database, "+84900000001"), Vendor()
    monkeypatch.setattr(threads, "thread_of", away)
    await deliver(database, vendor)
    row = await look(database, id)
    assert (row.state, row.failure, vendor.taken) == ("queued", "retryable", [])


async def test_what_was_told_to_go_slower_is_not_hurried(database: Database) -> None:
    slow, down = await put(database, "+84900000001"), await put(database, "+84900000002")
    later = AT + timedelta(hours=1)
    async with database.transaction() as session:
        for id, failure in ((slow, "rate_limited"), (down, "retryable")):
            values = {"run_at": later, "attempts": 2, "failure": failure}
            await session.execute(update(Outgoing).where(col(Outgoing.id) == id).values(**values))
        await waiting.hurry(session, "sms", AT)
    assert [(await look(database, id)).run_at for id in (slow, down)] == [later, AT]


async def test_reports_on_a_long_sms_say_which_part_they_are_about() -> None:
    asked: list[str] = []

    def taken(request: httpx.Request) -> httpx.Response:
        asked.append(parse_qs(request.content.decode())["StatusCallback"][0])
        return httpx.Response(201, json={"sid": "SM1"})

    sms = Sms("AC1", "t", "+84281022", public_url="https://1022.example", transport=httpx.MockTransport(taken))
    id = uuid7(AT)
    for part in (0, 1):
        await sms.send(OutboundMessage(id, "sms", Address("phone", "+84900000001"), "Chào", "answer", part=part))
    assert [parse_qs(urlsplit(each).query)["message"] for each in asked] == [[str(id)], [f"{id}:1"]]
