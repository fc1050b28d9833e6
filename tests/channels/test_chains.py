"""A message that one channel did not take goes the next way, once, or waits for a person; parts go on where they broke
off; what a vendor says of a message by our own id ends doubt."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from channels import outbox, settling, threads, waiting
from channels.adapter import Failure, SendDoubtful, SendFailed
from channels.chains import CHAINS, BadChains, read
from channels.facebook.sending import Facebook, FacebookComment
from channels.message import Address, Capabilities, FileRef, OutboundMessage
from channels.models import DeliveryAttempt, Outgoing, OutgoingPart
from channels.parts import parts_of
from channels.zalo.sending import ZaloTemplate
from core.db import Database

AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
PAST_LEASE = AT + outbox.LEASE
PHOTO = FileRef("hố ga.jpg", "image/jpeg", 10, sha256="00")
PAPER = FileRef("biên bản.pdf", "application/pdf", 10, sha256="11")
PAGE = "https://1022.example/track/BP-26-0482134"

# ---- the chains as data


@pytest.mark.parametrize(
    ("purpose", "tried", "left"),
    [
        ("answer", ["zalo"], ["zalo_template", "zalo_phone", "sms", "email"]),
        ("answer", ["zalo", "zalo_phone"], ["sms", "email"]),  # the template had no address: it is not gone back to
        ("answer", ["zalo", "zalo_template", "zalo_phone", "sms"], ["email"]),
        ("answer", ["zalo", "email"], []),
        ("answer", ["facebook"], ["facebook_comment", "sms", "email"]),
        ("answer", ["telegram"], ["zalo_template", "zalo_phone", "sms", "email"]),
        ("answer", ["sms"], ["zalo_phone", "email"]),
        ("answer", ["email"], ["zalo_phone", "sms"]),
        ("question", ["email", "zalo_phone"], ["sms"]),
        ("receipt", ["zalo"], ["sms"]),  # one short message at most
        ("receipt", ["zalo", "sms"], []),
        ("forwarded", ["zalo"], ["zalo_template", "sms", "email"]),
        ("answer", ["web"], []),  # it stands on the page, which does not fail
        ("answer", ["zalo", "voice"], ["zalo_template", "zalo_phone", "sms", "email"]),
    ],
)
def test_the_ways_that_are_left(purpose: str, tried: list[str], left: list[str]) -> None:
    assert [step.channel for step in CHAINS.steps(purpose, tried)] == left


@pytest.mark.parametrize(("purpose", "calls"), [("answer", True), ("redirected", True), ("receipt", False)])
def test_what_is_worth_a_call(purpose: str, calls: bool) -> None:
    assert CHAINS.ends_in_a_call(purpose) is calls


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ways: [", "not YAML"),
        ("ways: {}\nafter: {}", "purposes"),
        ("ways: {sms: {scheme: phone, says: shout}}\nafter: {}\npurposes: {other: {by: all, then: call}}", "says"),
        ("ways: {sms: {scheme: phone, says: short, to: x}}\nafter: {}\npurposes: {}", "to"),
        ("ways: {}\nafter: {sms: []}\npurposes: {other: {by: all, then: call}}", "sms is no way"),
        (
            "ways: {sms: {scheme: phone, says: short}}\nafter: {sms: [fax]}\npurposes: {other: {by: all, then: call}}",
            "fax is no way",
        ),
        (
            "ways: {sms: {scheme: phone, says: short}}\nafter: {sms: [sms]}\npurposes: {other: {by: all, then: call}}",
            "leads back",
        ),
        (
            "ways: {a: {scheme: b, says: whole}, c: {scheme: d, says: whole}}\nafter: {a: [c, c]}\n"
            "purposes: {other: {by: all, then: call}}",
            "twice",
        ),
        ("ways: {}\nafter: {}\npurposes: {}", "other is missing"),
    ],
)
def test_a_file_that_makes_no_sense_says_where(text: str, said: str) -> None:
    with pytest.raises(BadChains, match=said):
        read(text)


def test_every_way_is_one_that_can_be_built() -> None:
    built = {"zalo", "zalo_template", "zalo_phone", "facebook", "telegram", "sms", "email"}
    assert set(CHAINS.ways) == built | {FacebookComment.name}
    assert (ZaloTemplate.capabilities.heard_on, FacebookComment.capabilities.heard_on) == ("zalo", "facebook")


# ---- the outbox


class Vendor:
    """An adapter that keeps what it was given, and then does as told."""

    def __init__(self, name: str = "zalo", then: Callable[[OutboundMessage], object] | None = None, **can: Any) -> None:
        self.name = name
        self.capabilities = Capabilities(media_types=frozenset({"image/jpeg", "application/pdf"}), **can)
        self.then = then
        self.taken: list[OutboundMessage] = []

    async def send(self, message: OutboundMessage) -> str:
        if self.then is not None:
            self.then(message)
        self.taken.append(message)
        return f"{self.name}-{message.id}-{message.part}"


class Killed(BaseException):
    """The process dies at this line."""


def refuse(failure: Failure, **more: Any) -> Callable[[OutboundMessage], None]:
    def then(message: OutboundMessage) -> None:
        raise SendFailed(failure, "the vendor said no", **more)

    return then


class Above:
    """The world above: hears what left and what failed, and sends what failed on by SMS."""

    def __init__(self, *breaks: BaseException) -> None:
        self.sent: list[UUID] = []
        self.failed: list[str | None] = []
        self.breaks = list(breaks)

    async def on_sent(self, session: AsyncSession, outgoing: Outgoing, at: datetime) -> None:
        self.sent.append(outgoing.id)

    async def on_failed(self, session: AsyncSession, outgoing: Outgoing, at: datetime) -> None:
        if outgoing.channel == "zalo":
            to = Address("phone", "+84912345678")
            await outbox.go_on(session, outgoing, channel="sms", to=to, text="Xem trang", whole=False, at=at)
        if self.breaks:
            raise self.breaks.pop(0)
        self.failed.append(outgoing.failure)


@pytest.fixture(autouse=True)
async def empty(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(settling, "SETTLE_PAUSES", (0.01,))

    async def wipe() -> None:
        async with database.transaction() as session:
            for table in (OutgoingPart, DeliveryAttempt, Outgoing):
                await session.execute(delete(table))

    await wipe()
    yield
    await wipe()


async def put(database: Database, purpose: str = "answer", text: str = "Đã vá xong.", **more: Any) -> UUID:
    """A queued message; its id."""
    cause = uuid4()
    values: dict[str, Any] = {"to": Address("zalo", f"z-{cause}"), "channel": "zalo", **more}
    async with database.transaction() as session:
        await outbox.enqueue(
            session, subject_id=cause, entry_id=cause, purpose=purpose, text=text, reference="BP-26-0482134", at=AT,
            title="Trả lời", link=PAGE, **values,
        )  # fmt: skip
    async with database.transaction() as session:
        return (await session.exec(select(Outgoing.id).where(Outgoing.subject_id == cause))).one()


async def everything(database: Database) -> list[Outgoing]:
    async with database.transaction() as session:
        return list((await session.exec(select(Outgoing).order_by(col(Outgoing.step), col(Outgoing.id)))).all())


async def states(database: Database) -> list[tuple[str, str, int]]:
    return [(row.channel, row.state, row.step) for row in await everything(database)]


async def parts(database: Database) -> list[tuple[int, str, str | None, str]]:
    async with database.transaction() as session:
        rows = await session.exec(select(OutgoingPart).order_by(col(OutgoingPart.part)))
        return [(row.part, row.state, row.file, row.channel) for row in rows]


async def deliver(database: Database, *vendors: Vendor, at: datetime = AT, above: Above | None = None) -> int:
    above = above or Above()
    named = {vendor.name: vendor for vendor in vendors}
    return await outbox.deliver_due(database, named, at, on_sent=above.on_sent, on_failed=above.on_failed)


@pytest.mark.parametrize("failure", [Failure.FINAL, Failure.WINDOW_CLOSED])
async def test_what_failed_for_good_goes_on_in_the_transaction_that_says_so(
    database: Database, failure: Failure
) -> None:
    id, above, sms = await put(database, attachments=[PHOTO]), Above(), Vendor("sms")
    await deliver(database, Vendor(then=refuse(failure)), above=above)
    first, second = await everything(database)
    assert (first.id, first.state, first.failure, first.dead_at) == (id, "passed", failure, None)
    assert (second.channel, second.state, second.step, second.text, second.attachments) == (
        "sms", "queued", 1, "Xem trang", [],
    )  # fmt: skip
    assert (second.entry_id, second.purpose, second.link) == (first.entry_id, "answer", PAGE)
    await deliver(database, sms, at=AT + timedelta(minutes=1), above=above)
    assert above.sent == [second.id]
    assert [message.text for message in sms.taken] == ["Xem trang"]
    async with database.transaction() as session:
        assert await waiting.not_delivered(session) == []


@pytest.mark.parametrize(("failure", "tries"), [("retryable", 16), ("rate_limited", 16), ("reauthorise", 4)])
async def test_what_may_pass_goes_on_only_when_its_tries_are_used_up(
    database: Database, failure: str, tries: int
) -> None:
    await put(database)
    zalo, sms = Vendor(then=refuse(Failure(failure))), Vendor("sms")
    for hours in range(tries):
        assert await states(database) == [("zalo", "queued", 0)]
        await deliver(database, zalo, at=AT + timedelta(hours=2 * hours))
    await deliver(database, zalo, sms, at=AT + timedelta(days=3))
    assert await states(database) == [("zalo", "passed", 0), ("sms", "sent", 1)]


async def test_what_nobody_knows_of_never_goes_on_by_itself(database: Database) -> None:
    def doubt(message: OutboundMessage) -> None:
        raise SendDoubtful("no answer came")

    await put(database)
    above = Above()
    await deliver(database, Vendor(then=doubt), above=above)
    await deliver(database, Vendor(), at=AT + timedelta(days=1), above=above)
    assert await states(database) == [("zalo", "unknown", 0)]
    assert above.failed == []


@pytest.mark.parametrize("breaks", [OSError(), RuntimeError()])  # a database that was away; a fault of ours
async def test_a_next_step_that_fails_is_tried_again_or_a_person_sees_it(
    database: Database, breaks: BaseException
) -> None:
    id = await put(database)
    await deliver(database, Vendor(then=refuse(Failure.FINAL)), above=Above(breaks))
    if isinstance(breaks, OSError):
        assert await states(database) == [("zalo", "passed", 0), ("sms", "queued", 1)]
    else:
        assert await states(database) == [("zalo", "failed", 0)]
        async with database.transaction() as session:
            assert [row.id for row in await waiting.not_delivered(session)] == [id]


@pytest.mark.parametrize("idempotent", [True, False])
async def test_a_process_that_dies_between_the_failure_and_the_next_step_leaves_exactly_one(
    database: Database, idempotent: bool
) -> None:
    await put(database)
    refusing = Vendor(then=refuse(Failure.FINAL), idempotent=idempotent)
    with pytest.raises(Killed):
        await deliver(database, refusing, above=Above(Killed()))
    assert await states(database) == [("zalo", "sending", 0)]  # neither the failure nor the next step
    for minutes in (1, 2, 3):
        await deliver(database, refusing, at=PAST_LEASE + timedelta(minutes=minutes))
    if idempotent:
        assert [each[:2] for each in await states(database)] == [("zalo", "passed"), ("sms", "failed")]
    else:  # nobody knows whether the vendor took it: a person decides
        assert await states(database) == [("zalo", "unknown", 0)]


async def test_two_who_learn_of_one_failure_make_one_next_step(database: Database) -> None:
    id, above = await put(database), Above()
    await deliver(database, Vendor(), above=above)

    async def told() -> None:
        async with database.transaction() as session:
            for row in await threads.report_status(session, "zalo", [f"zalo-{id}-0"], "failed", "blocked", AT):
                await above.on_failed(session, row, AT)

    await asyncio.gather(*(told() for _ in range(4)))
    assert await states(database) == [("zalo", "passed", 0), ("sms", "queued", 1)]
    assert above.failed == ["reported"]


# ---- parts


async def test_a_worker_that_died_between_parts_is_followed_by_one_that_sends_the_next_only(database: Database) -> None:
    await put(database, attachments=[PHOTO, PAPER])

    def dies(message: OutboundMessage) -> None:
        if message.part == 2:
            raise Killed

    first = Vendor(then=dies)
    with pytest.raises(Killed):
        await deliver(database, first)
    assert [message.part for message in first.taken] == [0, 1]
    # It died in the middle of the third: nobody knows.
    assert await parts(database) == [
        (0, "sent", None, "zalo"), (1, "sent", PHOTO.name, "zalo"), (2, "sending", PAPER.name, "zalo"),
    ]  # fmt: skip
    second = Vendor()
    await deliver(database, second, at=PAST_LEASE)
    assert (second.taken, await states(database)) == ([], [("zalo", "unknown", 0)])


async def test_one_that_died_after_a_part_was_noted_leaves_no_doubt(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(database, attachments=[PHOTO, PAPER])
    noted = threads.part_begins

    async def dies(session: AsyncSession, row: Outgoing, part: int, *rest: Any) -> bool:
        if part == 2:
            raise Killed
        return await noted(session, row, part, *rest)

    with monkeypatch.context() as broken:
        broken.setattr(threads, "part_begins", dies)
        with pytest.raises(Killed):
            await deliver(database, Vendor())
    above, vendor = Above(), Vendor()
    await deliver(database, vendor, at=PAST_LEASE, above=above)
    assert [message.attachments for message in vendor.taken] == [(PAPER,)]
    assert [each[1] for each in await states(database)] == ["sent"]
    assert len(above.sent) == 1
    assert [(part, file) for part, _, file, _ in await parts(database)] == [(0, None), (1, PHOTO.name), (2, PAPER.name)]


async def test_a_part_that_was_refused_is_known_not_to_have_left(database: Database) -> None:
    await put(database, attachments=[PHOTO])

    def busy(message: OutboundMessage) -> None:
        if message.part:
            raise SendFailed(Failure.RETRYABLE, "busy")

    await deliver(database, Vendor(then=busy))
    assert await parts(database) == [(0, "sent", None, "zalo")]
    again = Vendor()
    await deliver(database, again, at=AT + timedelta(minutes=5))
    assert [message.part for message in again.taken] == [1]


async def test_a_file_that_the_vendor_will_not_have_is_named_with_where_it_stands(database: Database) -> None:
    await put(database, attachments=[PHOTO])

    def picky(message: OutboundMessage) -> None:
        if message.attachments:
            raise SendFailed(Failure.FINAL, "the file is too large for us")

    vendor = Vendor(then=picky)
    await deliver(database, vendor)
    assert [message.text for message in vendor.taken] == [
        "Đã vá xong.", f"Tệp kèm theo ({PHOTO.name}) xem tại trang theo dõi phản ánh: {PAGE}",
    ]  # fmt: skip
    assert [each[1] for each in await states(database)] == ["sent"]


@pytest.mark.parametrize(
    ("thread", "files", "shown"),
    [({}, 2, "Đã vá xong."), ({"comment_id": "c"}, 0, f"{PHOTO.name}, {PAPER.name}")],
)
def test_a_talk_that_takes_one_message_gets_one(thread: dict[str, str], files: int, shown: str) -> None:
    message = OutboundMessage(
        uuid4(), "facebook", Address("facebook", "1"), "Đã vá xong.", "answer", (PHOTO, PAPER), thread=thread, link=PAGE
    )
    made = parts_of(message, Facebook.capabilities)
    assert sum(len(each.attachments) for each in made) == files
    assert shown in made[0].text
    long = parts_of(
        OutboundMessage(uuid4(), "facebook", message.to, "Dài. " * 900, "answer", thread=thread), Facebook.capabilities
    )
    assert (len(long) == 1) is bool(thread)
    assert all(len(each.text) <= 2000 for each in long)


async def test_templates_are_known_by_the_channel_that_reports_of_them(database: Database) -> None:
    id = await put(database, channel="zalo_template")
    await deliver(database, Vendor("zalo_template", heard_on="zalo"))
    assert await parts(database) == [(0, "sent", None, "zalo")]
    async with database.transaction() as session:
        (changed,) = await threads.report_status(session, "zalo", [f"zalo_template-{id}-0"], "delivered", None, AT)
    assert (changed.state, changed.delivered_at) == ("delivered", AT)


# ---- doubt


async def in_doubt(database: Database, **more: Any) -> UUID:
    """A message whose answer got lost."""

    def lost(message: OutboundMessage) -> None:
        raise SendDoubtful("no answer came")

    id = await put(database, channel="sms", to=Address("phone", f"+84{uuid4().int % 10**9}"), **more)
    await deliver(database, Vendor("sms", then=lost))
    return id


async def told(database: Database, id: UUID, status: str, part: int = 0, channel: str = "sms") -> Outgoing | None:
    async with database.transaction() as session:
        return await threads.settle_doubt(session, channel, id, part, f"SM{part}", status, "30005: nobody", AT)


@pytest.mark.parametrize(("status", "after"), [("sent", "sent"), ("delivered", "delivered"), ("read", "read")])
async def test_a_report_that_names_our_own_id_settles_doubt(database: Database, status: str, after: str) -> None:
    id, above, vendor = await in_doubt(database), Above(), Vendor("sms")
    assert await told(database, id, status) is None
    await deliver(database, vendor, above=above)
    assert (vendor.taken, await states(database), above.sent) == ([], [("sms", after, 0)], [id])


async def test_a_report_that_it_failed_settles_doubt_too(database: Database) -> None:
    id, vendor = await in_doubt(database), Vendor("sms")
    failed = await told(database, id, "failed")
    assert failed is not None
    assert (failed.state, failed.failure, failed.last_error) == ("failed", "gone", "30005: nobody")
    await deliver(database, vendor)
    assert vendor.taken == []


@pytest.mark.parametrize(("channel", "known"), [("zalo", True), ("sms", False)])
async def test_a_report_of_another_channel_or_of_nothing_settles_nothing(
    database: Database, channel: str, known: bool
) -> None:
    id = await in_doubt(database)
    assert await told(database, id if known else uuid4(), "delivered", channel=channel) is None
    assert await states(database) == [("sms", "unknown", 0)]


@pytest.mark.parametrize(("status", "after"), [("delivered", "delivered"), ("failed", "failed")])
async def test_a_report_that_is_quicker_than_the_vendors_answer_is_not_lost(
    database: Database, status: str, after: str
) -> None:
    id, above = await put(database, channel="sms", to=Address("phone", "+84912345678")), Above()

    class Slow(Vendor):
        async def send(self, message: OutboundMessage) -> str:
            await super().send(message)
            await told(database, message.id, status)
            return "SM0"

    await deliver(database, Slow("sms"), above=above)
    assert [each[:2] for each in await states(database)] == [("sms", after)]
    assert above.sent == [id]
    assert len(above.failed) == (status == "failed")


async def test_a_talk_goes_on_with_the_part_after_the_one_that_was_in_doubt(database: Database) -> None:
    def lost(message: OutboundMessage) -> None:
        if message.part == 1:
            raise SendDoubtful("no answer came")

    id, vendor = await put(database, attachments=[PHOTO, PAPER]), Vendor()
    await deliver(database, Vendor(then=lost))
    assert await told(database, id, "sent", part=1, channel="zalo") is None
    await deliver(database, vendor)
    assert [message.attachments for message in vendor.taken] == [(PAPER,)]
    assert await states(database) == [("zalo", "sent", 0)]


# ---- vendors that are down


async def test_a_vendor_that_is_down_is_named_with_what_waits_for_it(database: Database) -> None:
    for _ in range(3):
        await put(database)
    await put(database, channel="sms", to=Address("phone", "+84912345678"))
    down = Vendor(then=refuse(Failure.RETRYABLE))
    await deliver(database, down, Vendor("sms"))
    await deliver(database, down, at=AT + timedelta(minutes=1))
    async with database.transaction() as session:
        (jam,) = await waiting.jams(session)
    assert (jam.channel, jam.failure, jam.waiting) == ("zalo", "retryable", 3)
    assert timedelta(0) <= jam.since - AT < timedelta(seconds=10)
    await deliver(database, Vendor(), at=AT + timedelta(hours=2))
    async with database.transaction() as session:
        assert await waiting.jams(session) == []
