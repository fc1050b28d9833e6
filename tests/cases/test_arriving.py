"""What vendors' events become: one case a matter, once, in order, whoever repeats what."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy import update
from sqlmodel import col, select

from cases.arriving import Arrivals
from cases.models import Case, CaseLink, Entry
from cases.reception import Reception
from channels import inbox, outbox
from channels.adapter import Failure, Hook, SendFailed
from channels.message import Address, Capabilities, FileRef, InboundMessage, OutboundMessage
from channels.models import Fetch, Outgoing, Received
from channels.reading import read_json, unread
from tests.factories import As, Clock, done, state
from web.deps import office_of
from web.state import State

PHOTO = {"name": "a.jpg", "media_type": "image/jpeg", "url": "https://zdn.vn/a.jpg"}
LAN = ("zalo", "3456789012345678901")
BINH = ("zalo", "99")


def parse(hook: Hook, account: str = "") -> list[InboundMessage]:
    """A vendor whose payload is our normal form, with the sender as two words."""
    event = read_json(hook.body)
    if event is None or "kind" not in event:
        return [unread("zalo", account, hook.body, "not JSON")]
    made = dict(event)
    made["sender"] = Address(*made["sender"]) if made.get("sender") else None
    made["attachments"] = tuple(FileRef(**file) for file in made.get("attachments", ()))
    made["refs"] = tuple(made.get("refs", ()))
    if made.get("location"):
        made["location"] = tuple(made["location"])
    return [InboundMessage(channel="zalo", account="oa", raw=hook.body.decode(), **made)]


@dataclass
class Vendor:
    """A channel that remembers what it was given to send."""

    name: str = "zalo"
    capabilities: Capabilities = field(default_factory=lambda: Capabilities(max_text=200))
    sent: list[OutboundMessage] = field(default_factory=list)
    mark: str = field(default_factory=lambda: uuid4().hex)

    async def send(self, message: OutboundMessage) -> str:
        """Take it."""
        self.sent.append(message)
        return f"v{len(self.sent)}-{self.mark}"


@dataclass
class Line:
    """The road from the vendor to the case, in the hands of a test."""

    here: State
    vendor: Vendor
    clock: Clock
    count: int = 0  # of the events; their ids are the vendor's own

    @property
    def first(self) -> str:
        """The vendor's id of the first message it was given."""
        return f"v1-{self.vendor.mark}"

    def reception(self) -> Reception:
        async def office(session: Any) -> Arrivals:
            routing = await self.here.routing.get(session)
            return Arrivals(office_of(self.here, routing))

        async def read(row: Received) -> list[InboundMessage]:
            return parse(Hook(row.raw.encode(), {}, {}), row.account)

        return Reception(self.here.database, read, office, self.clock)

    async def post(self, sender: tuple[str, str] | None = LAN, kind: str = "message", **members: Any) -> str:
        """One event; its id."""
        self.count += 1
        event = {"kind": kind, "sender": sender, "external_id": f"m{self.count}-{self.vendor.mark}", **members}
        await self.push(json.dumps(event, ensure_ascii=False).encode())
        return str(event["external_id"])

    async def push(self, body: bytes) -> int:
        """A request of the vendor as it came."""
        async with self.here.database.transaction() as session:
            return await inbox.accept(session, parse(Hook(body, {}, {})), self.clock())

    async def work(self) -> None:
        """The worker until nothing is left."""
        while await self.reception().round():
            pass

    async def says(self, text: str | None, sender: tuple[str, str] = LAN, **members: Any) -> str:
        """A message and the work on it; its id."""
        id = await self.post(sender, text=text, **members)
        await self.work()
        return id

    async def deliver(self) -> None:
        """Send what waits."""

        async def nothing(session: Any, outgoing: Outgoing, at: datetime) -> None:
            return

        await outbox.deliver_due(self.here.database, self.here.adapters, self.clock(), on_sent=nothing, channel="zalo")

    async def cases(self, sender: tuple[str, str] = LAN) -> list[Case]:
        """The sender's cases, oldest first."""
        async with self.here.database.transaction() as session:
            found = await session.exec(
                select(Case).where(col(Case.contact)[sender[0]].astext == sender[1]).order_by(col(Case.id))
            )
            return list(found.all())

    async def lines(self, case: Case) -> list[tuple[str, str]]:
        """Kind and text of each line."""
        async with self.here.database.transaction() as session:
            rows = await session.exec(select(Entry).where(Entry.case_id == case.id).order_by(col(Entry.id)))
            return [(row.kind, row.text) for row in rows.all()]

    async def out(self, case: Case) -> list[tuple[str, str]]:
        """Purpose and state of what was queued about a case."""
        async with self.here.database.transaction() as session:
            rows = await session.exec(select(Outgoing).where(Outgoing.subject_id == case.id).order_by(col(Outgoing.id)))
            return [(row.purpose, row.state) for row in rows.all()]


@pytest.fixture
async def line(app: FastAPI, clock: Clock) -> AsyncIterator[Line]:
    """A vendor's line into an application that has no case of these senders yet."""
    here = state(app)
    vendor = Vendor()
    before = here.adapters
    here.adapters = {**before, "zalo": vendor}
    async with here.database.transaction() as session:  # what another test left to be sent
        await session.execute(update(Outgoing).values(run_at=None, state="dropped"))
    for name in ("LAN", "BINH"):
        globals()[name] = ("zalo", f"{name}-{vendor.mark}")
    yield Line(here, vendor, clock)
    here.adapters = before


async def test_a_message_becomes_a_case_with_a_receipt_to_its_own_channel(line: Line) -> None:
    await line.says("Ổ gà lớn trước chợ Đồng Xoài", LAN)
    (case,) = await line.cases(LAN)
    assert (case.channel, case.status, case.text) == ("zalo", "received", "Ổ gà lớn trước chợ Đồng Xoài")
    await line.deliver()
    (receipt,) = line.vendor.sent
    assert (receipt.purpose, receipt.to.handle) == ("receipt", LAN[1])
    assert case.code in receipt.text
    assert receipt.unheard is not None
    assert receipt.unheard < timedelta(minutes=1)


async def test_the_same_event_thrice_is_one_case_and_one_line(line: Line) -> None:
    body = json.dumps(
        {"kind": "message", "sender": LAN, "external_id": f"same-{line.vendor.mark}", "text": "Mất điện"}
    ).encode()
    assert [await line.push(body) for _ in range(3)] == [1, 0, 0]
    await line.work()
    await line.push(body)
    await line.work()
    (case,) = await line.cases(LAN)
    assert await line.lines(case) == [("report", "Mất điện")]


async def test_two_messages_a_moment_apart_are_one_case_even_when_worked_on_at_once(line: Line) -> None:
    await line.post(LAN, text="Rác chất đống")
    await line.post(LAN, text="ở hẻm 12 đường Phú Riềng Đỏ")
    await asyncio.gather(*(line.work() for _ in range(3)))
    (case,) = await line.cases(LAN)
    assert await line.lines(case) == [("report", "Rác chất đống"), ("message", "ở hẻm 12 đường Phú Riềng Đỏ")]


JOINING = [
    # hours later, text, members, joins?
    (0.1, "Đã ba ngày nay rồi", {}, True),
    (1.0, "Xe tải chở đá chạy quá tốc độ trên đường ĐT741 đoạn qua xã Tân Lợi mỗi đêm gây nguy hiểm", {}, False),
    (1.0, "Bao giờ xong vậy?", {}, True),
    (80.0, "Bao giờ xong vậy?", {}, False),
    (20.0, None, {"location": [11.53, 106.88]}, True),
    (30.0, None, {"location": [11.53, 106.88]}, False),
]


@pytest.mark.parametrize(("hours", "text", "members", "joins"), JOINING)
async def test_what_plainly_continues_joins_and_anything_else_is_a_case_of_its_own(
    line: Line, clock: Clock, hours: float, text: str | None, members: dict[str, Any], joins: bool
) -> None:
    await line.says("Đèn đường hỏng ở phường Tân Phú", LAN)
    clock.move(hours=hours)
    await line.says(text, LAN, **members)
    cases = await line.cases(LAN)
    assert len(cases) == (1 if joins else 2)
    if not joins:
        async with line.here.database.transaction() as session:
            link = (await session.exec(select(CaseLink).where(CaseLink.other_id == cases[1].id))).one()
        assert (link.case_id, link.kind) == (cases[0].id, "maybe_same")


async def test_somebody_else_never_joins(line: Line) -> None:
    await line.says("Cống nghẹt", LAN)
    await line.says("Cống nghẹt", BINH)
    assert [len(await line.cases(who)) for who in (LAN, BINH)] == [1, 1]


async def test_an_answer_to_our_question_goes_into_its_case_however_late(line: Line, as_: As, clock: Clock) -> None:
    await line.says("Nước máy đục", LAN)
    (case,) = await line.cases(LAN)
    await done(as_("agent"), case.code, "ask_citizen", {"question": "Anh/chị ở đường nào ạ?"})
    clock.move(days=9)
    await line.says("Dạ ở đường Hùng Vương, đoạn gần Trường Tiểu học Tân Phú, từ hôm thứ hai tới nay chưa hết đục", LAN)
    (same,) = await line.cases(LAN)
    assert same.status == "received"


async def test_quoting_a_message_of_ours_names_its_case(line: Line, clock: Clock) -> None:
    await line.says("Cây đổ chắn đường", LAN)
    await line.deliver()
    clock.move(days=10)
    long = "Cây đổ này nay đã có người dọn một nửa, còn nửa kia vẫn nằm ngang đường từ sáng tới giờ chưa ai đến"
    await line.says(long, LAN, thread={"in_reply_to": line.first})
    (case,) = await line.cases(LAN)
    assert (await line.lines(case))[-1] == ("message", long)


async def test_a_stranger_who_types_a_code_does_not_enter_its_case(line: Line) -> None:
    await line.says("Tiếng ồn karaoke", LAN)
    (case,) = await line.cases(LAN)
    await line.says(f"Tôi hỏi về {case.code}", BINH)
    assert len(await line.lines(case)) == 1
    assert len(await line.cases(BINH)) == 1


async def test_its_own_citizen_may_name_a_case_by_its_code(line: Line, clock: Clock) -> None:
    await line.says("Tiếng ồn karaoke", LAN)
    (case,) = await line.cases(LAN)
    clock.move(days=8)
    await line.says(f"Về phản ánh {case.code}: tối qua quán vẫn hát tới một giờ sáng, cả xóm không ai ngủ được", LAN)
    assert len(await line.cases(LAN)) == 1


async def test_a_machine_gets_no_answer_and_opens_no_case(line: Line) -> None:
    await line.says("I am out of office", BINH, automatic=True)
    assert await line.cases(BINH) == []


async def test_a_machine_that_answers_us_is_noted_on_the_case(line: Line) -> None:
    await line.says("Cầu sập", LAN)
    await line.deliver()
    (case,) = await line.cases(LAN)
    await line.says("Tôi đang nghỉ phép", LAN, automatic=True, thread={"in_reply_to": line.first})
    assert (await line.lines(case))[-1][0] == "note"
    assert len(await line.out(case)) == 1


async def test_deliveries_and_readings_only_move_forward(line: Line) -> None:
    await line.says("Mất nước", LAN)
    await line.deliver()
    (case,) = await line.cases(LAN)
    for kind, expected in (("read", "read"), ("delivery", "read"), ("delivery", "read")):
        await line.post(None, kind=kind, refs=[line.first])
        await line.work()
        assert await line.out(case) == [("receipt", expected)]


async def test_a_reading_told_by_its_moment_alone_is_of_what_was_sent_before(line: Line, clock: Clock) -> None:
    await line.says("Mất nước", LAN)
    await line.deliver()
    clock.move(minutes=1)
    await line.post(BINH, kind="read", thread={"watermark": clock().isoformat()})
    await line.work()
    (case,) = await line.cases(LAN)
    assert await line.out(case) == [("receipt", "sent")]  # somebody else has read what they had
    await line.post(LAN, kind="read", thread={"watermark": clock().isoformat()})
    await line.work()
    assert await line.out(case) == [("receipt", "read")]


async def test_what_overtakes_our_own_note_of_a_send_is_taken_in_after_it(line: Line, clock: Clock) -> None:
    await line.says("Mất nước", LAN)
    send = line.vendor.send

    async def quick(message: OutboundMessage) -> str:
        id = await send(message)
        await line.post(None, kind="delivery", refs=[id])
        await line.post(("zalo", "oa"), kind="echo", external_id=id, text=message.text, thread={"to": LAN[1]})
        await line.work()
        return id

    line.vendor.send = quick  # type: ignore[method-assign]
    await line.deliver()
    clock.move(minutes=1)
    await line.work()
    (case,) = await line.cases(LAN)
    assert await line.out(case) == [("receipt", "delivered")]
    assert [kind for kind, _ in await line.lines(case)] == ["report"]  # nobody wrote it elsewhere


async def test_a_bounce_marks_the_message_undelivered(line: Line) -> None:
    await line.says("Mất nước", LAN)
    await line.deliver()
    await line.post(None, kind="bounce", refs=[line.first], status="failed", error="5.1.1")
    await line.work()
    (case,) = await line.cases(LAN)
    assert await line.out(case) == [("receipt", "failed")]


async def test_what_nobody_can_read_is_kept_and_read_again_after_a_mend(line: Line, monkeypatch: Any) -> None:
    body = json.dumps({"sender": LAN, "text": "Kẹt xe", "external_id": f"late-{line.vendor.mark}"}).encode()
    assert await line.push(body) == 1
    await line.work()
    async with line.here.database.transaction() as session:
        mine = [row for row in await inbox.dead(session, limit=200) if row.raw == body.decode()]
    assert len(mine) == 1
    whole = parse

    def mended(hook: Hook, account: str = "") -> list[InboundMessage]:
        event = read_json(hook.body) or {}
        return whole(Hook(json.dumps({"kind": "message", **event}).encode(), {}, {}), account)

    monkeypatch.setitem(globals(), "parse", mended)
    async with line.here.database.transaction() as session:
        assert await inbox.reread(session, line.clock(), channel="zalo") >= 1
    await line.work()
    assert len(await line.cases(LAN)) == 1


async def test_a_message_typed_in_the_vendors_own_inbox_stands_in_the_case(line: Line) -> None:
    await line.says("Đường ngập", LAN)
    await line.deliver()
    (case,) = await line.cases(LAN)
    await line.post(("zalo", "oa"), kind="echo", external_id=line.first, text="our own", thread={"to": LAN[1]})
    await line.post(("zalo", "oa"), kind="echo", text="Dạ chúng tôi đang cử người đến", thread={"to": LAN[1]})
    await line.work()
    assert (await line.lines(case))[1:] == [("elsewhere", "Dạ chúng tôi đang cử người đến")]


async def test_files_are_to_be_fetched_and_a_photo_alone_joins(line: Line, clock: Clock) -> None:
    await line.says("Biển báo gãy", LAN)
    clock.move(hours=2)
    await line.says(None, LAN, attachments=[PHOTO])
    (case,) = await line.cases(LAN)
    async with line.here.database.transaction() as session:
        (fetch,) = (await session.exec(select(Fetch).where(Fetch.subject_id == case.id))).all()
    assert fetch.file["url"] == PHOTO["url"]
    assert (await line.lines(case))[-1] == ("message", "(Tệp gửi kèm, không có lời)")


@pytest.mark.parametrize(
    ("first", "placeholder"),
    [
        pytest.param({"location": (11.53, 106.89)}, "(Vị trí, không có lời)", id="a place"),
        pytest.param({"attachments": [PHOTO]}, "(Tệp gửi kèm, không có lời)", id="a photo"),
    ],
)
async def test_what_comes_without_words_is_called_by_the_first_that_follow(
    line: Line, clock: Clock, first: dict[str, Any], placeholder: str
) -> None:
    await line.says(None, LAN, **first)
    (case,) = await line.cases(LAN)
    assert case.text == placeholder
    clock.move(minutes=1)
    await line.says("Ổ gà lớn ở phường Đồng Xoài", LAN)
    clock.move(minutes=1)
    await line.says("Đã có người ngã", LAN)
    (case,) = await line.cases(LAN)
    assert case.text == "Ổ gà lớn ở phường Đồng Xoài"
    assert [words for _, words in await line.lines(case)][-2:] == [case.text, "Đã có người ngã"]


async def test_a_long_answer_leaves_in_parts_and_goes_on_where_it_broke_off(line: Line) -> None:
    await line.says("Hỏi thủ tục", LAN)
    await line.deliver()
    (case,) = await line.cases(LAN)
    async with line.here.database.transaction() as session:
        await outbox.enqueue(
            session, subject_id=case.id, entry_id=case.id, purpose="answer", to=Address(*LAN), channel="zalo",
            text="Câu trả lời. " * 40, reference=case.code, at=line.clock(),
        )  # fmt: skip
    send = line.vendor.send
    broke: list[int] = []

    async def breaks(message: OutboundMessage) -> str:
        if message.part == 1 and not broke:
            broke.append(1)
            raise SendFailed(Failure.RETRYABLE, "down")
        return await send(message)

    line.vendor.send = breaks  # type: ignore[method-assign]
    await line.deliver()
    line.clock.move(minutes=5)
    await line.deliver()
    parts = [message for message in line.vendor.sent if message.purpose == "answer"]
    assert [message.part for message in parts] == [0, 1, 2]
    assert " ".join(message.text for message in parts) == ("Câu trả lời. " * 40).strip()


async def test_what_is_said_to_one_person_keeps_its_order_when_the_vendor_was_down(line: Line) -> None:
    await line.says("Hỏi thủ tục", LAN)
    (case,) = await line.cases(LAN)
    send = line.vendor.send

    async def down(message: OutboundMessage) -> str:
        raise SendFailed(Failure.RETRYABLE, "down")

    line.vendor.send = down  # type: ignore[method-assign]
    await line.deliver()
    for number in range(3):
        async with line.here.database.transaction() as session:
            await outbox.enqueue(
                session, subject_id=case.id, entry_id=uuid4(),
                purpose="progress", to=Address(*LAN), channel="zalo", text=f"Tin {number}", reference=case.code,
                at=line.clock.move(minutes=1),
            )  # fmt: skip
        await line.deliver()
    line.vendor.send = send  # type: ignore[method-assign]
    line.clock.move(hours=2)
    for _ in range(5):
        await line.deliver()
    assert [message.text for message in line.vendor.sent[1:]] == ["Tin 0", "Tin 1", "Tin 2"]
    assert line.vendor.sent[0].purpose == "receipt"
