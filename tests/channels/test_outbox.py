"""A message leaves once or ends visibly unknown; the case hears of it in the same transaction."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from channels import inbox, outbox, sending, settling, waiting
from channels.adapter import Failure, SendFailed
from channels.message import Address, Capabilities, FileRef, InboundMessage, OutboundMessage
from channels.models import DeliveryAttempt, Outgoing, OutgoingPart, Received
from core import due, wake
from core.db import Database
from core.errors import Conflict, NotFound
from core.ids import uuid7

AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
PAST_LEASE = AT + outbox.LEASE


class Vendor:
    """An adapter that keeps what it was given and then does as told."""

    name = "zalo"

    def __init__(self, *, idempotent: bool = False, then: Callable[[OutboundMessage], object] | None = None) -> None:
        self.capabilities = Capabilities(media_types=frozenset({"image/jpeg"}), whole=True, idempotent=idempotent)
        self.taken: list[OutboundMessage] = []
        self.then = then

    async def send(self, message: OutboundMessage) -> str:
        self.taken.append(message)
        if self.then is not None:
            result = self.then(message)
            if asyncio.iscoroutine(result):
                await result
        return f"v-{len(self.taken)}"


class Case:
    """What the world above does when a message has left."""

    def __init__(self, fails: int = 0, error: type[Exception] = RuntimeError) -> None:
        self.heard: list[tuple[UUID, datetime]] = []
        self.fails = fails
        self.error = error

    async def on_sent(self, session: AsyncSession, outgoing: Outgoing, at: datetime) -> None:
        if self.fails:
            self.fails -= 1
            raise self.error
        self.heard.append((outgoing.id, at))


def refuse(failure: Failure) -> Callable[[OutboundMessage], None]:
    def then(message: OutboundMessage) -> None:
        raise SendFailed(failure, "the vendor said no")

    return then


@pytest.fixture(autouse=True)
async def empty(database: Database) -> AsyncIterator[None]:
    async def wipe() -> None:
        async with database.transaction() as session:
            for table in (OutgoingPart, DeliveryAttempt, Outgoing, Received):
                await session.execute(delete(table))

    await wipe()
    yield
    await wipe()


async def enqueue(
    session: AsyncSession,
    subject: UUID,
    purpose: str = "case.reply",
    channel: str = "zalo",
    at: datetime = AT,
    text: str = "Chào chị",
) -> None:
    await outbox.enqueue(
        session,
        subject_id=subject,
        entry_id=subject,
        purpose=purpose,
        to=Address("zalo", f"z-{uuid4()}", "Hồng"),  # each to somebody else: one person's wait for one another
        channel=channel,
        text=text,
        reference="BP-26-0482134",
        at=at,
        attachments=[FileRef("ảnh.jpg", "image/jpeg", 10, sha256="00")],
    )


async def put(database: Database, purpose: str = "case.reply", *, subject: UUID | None = None, **more: Any) -> UUID:
    """A queued message; its id."""
    subject = subject or uuid7(AT)
    async with database.transaction() as session:
        await enqueue(session, subject, purpose, **more)
    async with database.transaction() as session:
        return (await session.exec(select(Outgoing.id).where(Outgoing.subject_id == subject))).one()


async def look(database: Database, id: UUID) -> Outgoing:
    async with database.transaction() as session:
        return (await session.exec(select(Outgoing).where(Outgoing.id == id))).one()


async def outcomes(database: Database, id: UUID) -> list[str]:
    tries = select(DeliveryAttempt.outcome).where(DeliveryAttempt.outgoing_id == id)
    async with database.transaction() as session:
        return list((await session.exec(tries.order_by(col(DeliveryAttempt.at), col(DeliveryAttempt.id)))).all())


async def deliver(database: Database, vendor: Vendor, at: datetime = AT, case: Case | None = None) -> int:
    return await outbox.deliver_due(database, {"zalo": vendor}, at, on_sent=(case or Case()).on_sent)


async def died_while_sending(database: Database, purpose: str = "case.reply") -> UUID:
    """A message whose worker was killed between the two transactions."""
    id = await put(database, purpose)
    async with database.transaction() as session:
        await due.claim(session, Outgoing, AT, limit=1, lease=outbox.LEASE, values={"state": "sending"})
    return id


async def test_a_message_is_sent_once_and_the_case_hears_of_it(database: Database) -> None:
    vendor, case = Vendor(), Case()
    id = await put(database)
    assert await deliver(database, vendor, case=case) == 1
    assert await deliver(database, vendor, AT + timedelta(days=1), case) == 0
    (message,) = vendor.taken
    assert (message.id, message.text, message.reference) == (id, "Chào chị", "BP-26-0482134")
    assert message.attachments == (FileRef("ảnh.jpg", "image/jpeg", 10, sha256="00"),)
    sent = await look(database, id)
    assert (sent.state, sent.vendor_id, sent.run_at, sent.dead_at) == ("sent", "v-1", None, None)
    assert sent.sent_at is not None
    assert timedelta(0) <= sent.sent_at - AT < timedelta(seconds=10)  # the round's clock, not the machine's
    assert [heard for heard, _ in case.heard] == [id]
    assert await outcomes(database, id) == ["sent"]


async def test_the_same_cause_leaves_one_message(database: Database) -> None:
    subject = uuid7(AT)
    await put(database, subject=subject, text="first")
    await put(database, subject=subject, text="second")
    vendor = Vendor()
    await deliver(database, vendor)
    assert [message.text for message in vendor.taken] == ["first"]


async def test_a_message_of_a_transaction_that_fails_does_not_exist(database: Database) -> None:
    async def cause() -> None:
        async with database.transaction() as session:
            await enqueue(session, uuid7(AT))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await cause()
    assert await deliver(database, Vendor()) == 0


async def test_the_vendor_is_called_outside_any_transaction(database: Database) -> None:
    id = await put(database)
    seen: list[str] = []

    async def look_from_outside(message: OutboundMessage) -> None:
        seen.append((await look(database, message.id)).state)

    await deliver(database, Vendor(then=look_from_outside))
    assert seen == ["sending"]
    assert (await look(database, id)).state == "sent"


@pytest.mark.parametrize("failure", [Failure.RETRYABLE, Failure.RATE_LIMITED, Failure.REAUTHORISE])
async def test_a_failure_that_may_pass_is_tried_again_later(database: Database, failure: Failure) -> None:
    id = await put(database)
    await deliver(database, Vendor(then=refuse(failure)))
    waiting = await look(database, id)
    assert (waiting.state, waiting.lease_until, waiting.last_error) == ("queued", None, "the vendor said no")
    assert waiting.run_at is not None
    assert waiting.run_at > AT + timedelta(seconds=3)
    vendor = Vendor()
    assert await deliver(database, vendor, AT + timedelta(seconds=3)) == 0
    pause = timedelta(minutes=6) if failure is Failure.REAUTHORISE else timedelta(seconds=30)
    assert await deliver(database, vendor, AT + pause) == 1
    assert await outcomes(database, id) == [failure, "sent"]


@pytest.mark.parametrize("failure", [Failure.FINAL, Failure.WINDOW_CLOSED])
async def test_a_failure_for_good_waits_for_a_person(database: Database, failure: Failure) -> None:
    id, case = await put(database), Case()
    await deliver(database, Vendor(then=refuse(failure)), case=case)
    failed = await look(database, id)
    assert (failed.state, failed.run_at, failed.last_error) == ("failed", None, "the vendor said no")
    assert failed.dead_at is not None
    assert await outcomes(database, id) == [failure]
    assert case.heard == []


@pytest.mark.parametrize(("failure", "tries"), [(Failure.RETRYABLE, due.MAX_ATTEMPTS), (Failure.REAUTHORISE, 4)])
async def test_retries_end(database: Database, failure: Failure, tries: int) -> None:
    id = await put(database)
    vendor = Vendor(then=refuse(failure))
    for hours in range(due.MAX_ATTEMPTS * 2):
        await deliver(database, vendor, AT + 2 * timedelta(hours=hours))
    assert len(vendor.taken) == tries
    assert (await look(database, id)).state == "failed"


async def test_a_channel_that_is_not_configured_says_so(database: Database) -> None:
    id = await put(database, channel="telegram")
    assert await deliver(database, Vendor()) == 1
    failed = await look(database, id)
    assert (failed.state, failed.last_error) == ("failed", "channel not configured")


@pytest.mark.parametrize(
    ("purpose", "state", "dead"),
    [
        ("receipt", "dropped", False),  # better lost than sent twice; the code was shown already
        ("case.reply", "unknown", True),  # an answer waits for a person
    ],
)
class TestDoubt:
    async def test_a_worker_that_died_while_sending_leaves_doubt(
        self, database: Database, purpose: str, state: str, dead: bool
    ) -> None:
        id, vendor = await died_while_sending(database, purpose), Vendor()
        assert await deliver(database, vendor, PAST_LEASE - timedelta(seconds=1)) == 0
        assert await deliver(database, vendor, PAST_LEASE) == 1
        assert await deliver(database, vendor, AT + timedelta(days=9)) == 0
        assert vendor.taken == []
        after = await look(database, id)
        assert (after.state, after.dead_at is not None) == (state, dead)
        assert await outcomes(database, id) == ["unknown"]

    async def test_an_adapter_that_breaks_leaves_doubt(
        self, database: Database, purpose: str, state: str, dead: bool
    ) -> None:
        def breaks(message: OutboundMessage) -> None:
            raise ValueError(message.to.handle)

        id = await put(database, purpose)
        await deliver(database, Vendor(then=breaks))
        after = await look(database, id)
        assert (after.state, after.dead_at is not None) == (state, dead)
        assert "z-" not in (after.last_error or "")

    async def test_a_vendor_that_does_not_answer_leaves_doubt(
        self, database: Database, purpose: str, state: str, dead: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sending, "SEND_TIMEOUT", timedelta(milliseconds=50))
        id = await put(database, purpose)
        await deliver(database, Vendor(then=lambda _: asyncio.sleep(5)))
        after = await look(database, id)
        assert (after.state, after.dead_at is not None) == (state, dead)


async def test_an_idempotent_channel_is_asked_again_after_a_death(database: Database) -> None:
    id, vendor, case = await died_while_sending(database), Vendor(idempotent=True), Case()
    assert await deliver(database, vendor, PAST_LEASE, case) == 1
    assert (await look(database, id)).state == "sent"
    assert len(case.heard) == 1
    assert await outcomes(database, id) == ["unknown", "sent"]


async def test_an_idempotent_channel_is_asked_again_after_silence(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SEND_TIMEOUT", timedelta(milliseconds=50))
    id = await put(database)
    await deliver(database, Vendor(idempotent=True, then=lambda _: asyncio.sleep(5)))
    assert (await look(database, id)).state == "queued"


async def test_a_message_that_kills_its_worker_every_time_is_given_up(database: Database) -> None:
    id, vendor = await died_while_sending(database), Vendor(idempotent=True)
    async with database.transaction() as session:
        row = await session.get_one(Outgoing, id)
        row.attempts = due.MAX_ATTEMPTS
    await deliver(database, vendor, PAST_LEASE)
    assert vendor.taken == []
    assert (await look(database, id)).state == "unknown"


async def test_a_slow_worker_that_did_send_settles_the_doubt(database: Database) -> None:
    id, case = await put(database), Case()

    async def meanwhile(message: OutboundMessage) -> None:
        await deliver(database, Vendor(), PAST_LEASE, case)
        assert (await look(database, id)).state == "unknown"

    await deliver(database, Vendor(then=meanwhile), case=case)
    after = await look(database, id)
    assert (after.state, after.dead_at) == ("sent", None)
    assert len(case.heard) == 1


async def test_a_slow_worker_whose_send_failed_leaves_the_row_to_its_new_holder(database: Database) -> None:
    id = await put(database)

    async def meanwhile(message: OutboundMessage) -> None:
        await deliver(database, Vendor(), PAST_LEASE)
        raise SendFailed(Failure.RETRYABLE, "busy")

    await deliver(database, Vendor(then=meanwhile))
    assert (await look(database, id)).state == "unknown"  # a second send would be one too many


@pytest.mark.parametrize(
    "error", [None, SendFailed(Failure.RETRYABLE, "no"), SendFailed(Failure.FINAL, "no"), ValueError()]
)
async def test_what_a_slow_worker_learns_changes_nothing_once_the_message_has_left(
    database: Database, error: Exception | None
) -> None:
    id, case = await put(database), Case()

    async def meanwhile(message: OutboundMessage) -> None:
        await deliver(database, Vendor(), PAST_LEASE, case)
        async with database.transaction() as session:
            await waiting.resend(session, id, PAST_LEASE)
        await deliver(database, Vendor(), PAST_LEASE, case)
        if error is not None:
            raise error

    await deliver(database, Vendor(then=meanwhile), case=case)
    assert (await look(database, id)).state == "sent"
    assert len(case.heard) == 1


async def test_a_worker_that_was_held_up_before_sending_does_not_send(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    id, vendor = await put(database), Vendor()
    monkeypatch.setattr(outbox, "LEASE", sending.SEND_TIMEOUT)  # nothing is left of it when the send would begin
    await deliver(database, vendor)
    assert vendor.taken == []
    assert (await look(database, id)).state == "queued"


@pytest.mark.parametrize("error", [RuntimeError, OSError])  # a fault of ours; a database that was away
async def test_a_case_that_cannot_hear_of_it_now_hears_of_it_later_and_once(
    database: Database, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "SETTLE_PAUSES", (0.01,))
    id, vendor, case = await put(database), Vendor(), Case(fails=3, error=error)
    await deliver(database, vendor, case=case)
    sent = await look(database, id)
    assert (sent.state, sent.vendor_id, sent.last_error) == ("sent", "v-1", f"follow-up: {error.__name__}")
    for hours in range(1, 9):
        await deliver(database, vendor, AT + timedelta(hours=hours), case)
    assert len(vendor.taken) == 1
    assert [heard for heard, _ in case.heard] == [id]
    assert (await look(database, id)).run_at is None


async def test_a_database_that_is_away_for_a_moment_leaves_no_doubt(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "SETTLE_PAUSES", (0.01, 0.01, 0.01))
    id, case = await put(database), Case(fails=2, error=ConnectionResetError)
    await deliver(database, Vendor(), case=case)
    assert (await look(database, id)).run_at is None
    assert await outcomes(database, id) == ["sent"]
    assert len(case.heard) == 1


async def test_messages_are_sent_side_by_side(database: Database) -> None:
    for _ in range(10):
        await put(database)
    inside = asyncio.Barrier(10)
    async with asyncio.timeout(5):
        assert await deliver(database, Vendor(then=lambda _: inside.wait())) == 10


async def test_many_workers_send_each_message_once(database: Database) -> None:
    ids = [await put(database) for _ in range(100)]
    vendor, case = Vendor(then=lambda _: asyncio.sleep(0.001)), Case()

    async def work() -> None:
        while await outbox.deliver_due(database, {"zalo": vendor}, AT, on_sent=case.on_sent, limit=7):
            pass

    await asyncio.gather(*(work() for _ in range(5)))
    assert sorted(message.id for message in vendor.taken) == sorted(ids)
    assert sorted(id for id, _ in case.heard) == sorted(ids)


@pytest.mark.parametrize("fails", [0, 2])  # the second time the batch is settled one by one
async def test_receipts_of_an_idempotent_channel_are_settled_together(database: Database, fails: int) -> None:
    ids = [await put(database, "receipt") for _ in range(5)]
    refused = ids[1]

    def then(message: OutboundMessage) -> None:
        if message.id == refused:
            raise SendFailed(Failure.RETRYABLE, "busy")

    case = Case(fails=fails)
    await deliver(database, Vendor(idempotent=True, then=then), case=case)
    states = [(await look(database, id)).state for id in ids]
    assert states == ["sent", "queued", "sent", "sent", "sent"]
    assert [await outcomes(database, id) for id in ids] == [["sent"], ["retryable"], ["sent"], ["sent"], ["sent"]]
    await deliver(database, Vendor(idempotent=True), AT + timedelta(hours=2), case)
    assert sorted(id for id, _ in case.heard) == sorted(ids)


async def test_one_channel_can_be_served_apart(database: Database) -> None:
    await put(database, channel="zalo")
    await put(database, channel="web")
    await put(database, channel="sms", at=AT + timedelta(hours=1))
    async with database.transaction() as session:
        assert await outbox.due_channels(session, AT) == ["web", "zalo"]
    vendor = Vendor()
    await outbox.deliver_due(database, {"zalo": vendor, "web": vendor}, AT, on_sent=Case().on_sent, channel="web")
    assert [message.channel for message in vendor.taken] == ["web"]
    async with database.transaction() as session:
        assert await outbox.due_channels(session, AT) == ["zalo"]


class TestPeople:
    async def test_they_see_what_did_not_arrive(self, database: Database) -> None:
        refused = await put(database)
        await deliver(database, Vendor(then=refuse(Failure.FINAL)))
        doubtful = await died_while_sending(database)
        await deliver(database, Vendor(), PAST_LEASE)
        await died_while_sending(database, "receipt")
        await deliver(database, Vendor(), PAST_LEASE)
        await put(database)
        async with database.transaction() as session:
            listed = await waiting.not_delivered(session)
            page = await waiting.not_delivered(session, after=listed[0].id, limit=1)
        assert {each.id for each in listed} == {refused, doubtful}
        assert [each.id for each in page] == [listed[1].id]

    async def test_they_may_have_it_tried_again(self, database: Database) -> None:
        id = await put(database)
        await deliver(database, Vendor(then=refuse(Failure.FINAL)))
        async with database.transaction() as session:
            await waiting.resend(session, id, AT)
        assert await deliver(database, Vendor()) == 1
        sent = await look(database, id)
        assert (sent.state, sent.dead_at, sent.attempts) == ("sent", None, 1)

    async def test_they_may_not_repeat_what_is_on_its_way_or_has_left(self, database: Database) -> None:
        id = await put(database)
        for _ in ("queued", "sent"):
            with pytest.raises(Conflict):
                async with database.transaction() as session:
                    await waiting.resend(session, id, AT)
            await deliver(database, Vendor())

    async def test_an_unknown_message_is_not_found(self, database: Database) -> None:
        with pytest.raises(NotFound):
            async with database.transaction() as session:
                await waiting.resend(session, uuid7(AT), AT)


async def test_new_messages_knock_on_the_workers_door(database: Database) -> None:
    knocked = asyncio.Event()
    listening = asyncio.create_task(wake.listen(database.dsn, {wake.DOOR: knocked.set}))
    try:
        async with asyncio.timeout(5):
            await knocked.wait()  # connected: look once for what came before
            knocked.clear()
            await put(database)
            await knocked.wait()
    finally:
        listening.cancel()


async def test_a_lost_connection_of_the_listener_comes_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wake, "FIRST_PAUSE", 0.01)
    knocks: asyncio.Queue[None] = asyncio.Queue()
    listening = asyncio.create_task(wake.listen(database.dsn, {wake.DOOR: lambda: knocks.put_nowait(None)}))
    try:
        async with asyncio.timeout(5):
            await knocks.get()
            owner = await asyncpg.connect(database.dsn)
            await owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = $1 AND datname = current_database()",
                wake.APPLICATION,
            )
            await owner.close()
            await knocks.get()
            await put(database)
            await knocks.get()
    finally:
        listening.cancel()


def an_event(external_id: str, account: str = "oa", channel: str = "zalo") -> InboundMessage:
    """A vendor's event of some kind."""
    return InboundMessage(channel, account, external_id, "message", raw='{"event": 1}')


class TestInbox:
    async def test_an_event_is_accepted_once(self, database: Database) -> None:
        async def accept(external_id: str, account: str = "oa") -> int:
            async with database.transaction() as session:
                return await inbox.accept(session, [an_event(external_id, account)], AT)

        assert [await accept("m1"), await accept("m1"), await accept("m2"), await accept("m1", "other oa")] == [
            1, 0, 1, 1,
        ]  # fmt: skip
        at_once = await asyncio.gather(*(accept("m3") for _ in range(5)))
        assert sorted(at_once) == [0, 0, 0, 0, 1]
        async with database.transaction() as session:
            rows = (await session.exec(select(Received).where(Received.external_id == "m1"))).all()
        assert [(row.raw, row.run_at) for row in rows] == [('{"event": 1}', AT)] * 2

    @pytest.mark.parametrize(
        ("channel", "account", "age", "freed"),
        [
            ("web", "portal", timedelta(days=30), True),
            ("app", "portal", timedelta(days=31), True),
            ("voice", "centre", timedelta(days=31), True),  # a key of the program that entered the call
            ("zalo", "centre", timedelta(days=31), True),
            ("web", "portal", timedelta(days=29, hours=23), False),  # still answers with what it answered
            ("zalo", "oa", timedelta(days=31), False),  # a vendor's id, not a key
        ],
    )
    async def test_keys_are_forgotten_after_thirty_days(
        self, database: Database, channel: str, account: str, age: timedelta, freed: bool
    ) -> None:
        async with database.transaction() as session:
            await inbox.accept(session, [an_event("key", account, channel)], AT - age)
        async with database.transaction() as session:
            assert await inbox.forget_keys(session, AT) == freed
        async with database.transaction() as session:
            assert await inbox.forget_keys(session, AT) == 0
            assert await inbox.accept(session, [an_event("key", account, channel)], AT) == freed
