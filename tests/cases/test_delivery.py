"""From the answer to the citizen: the chain over their addresses, files along, calls, reports, and what pages say."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import text, update
from sqlmodel import col, select

from cases.arriving import Arrivals, arrive
from cases.models import Citizen, Identity
from cases.reach import Way, ways
from channels.adapter import Failure, SendDoubtful, SendFailed
from channels.chains import CHAINS
from channels.facebook.sending import FacebookComment
from channels.message import Address, Capabilities, InboundMessage, OutboundMessage
from channels.models import Outgoing, Received, Thread
from core.ids import uuid7
from tests.factories import As, Clock, a_photo, a_report, case_of, deliver, done, drive, journal_of, staff_id, state
from tests.web.problems import problem
from web.deps import office_of
from web.state import State

REPLY = "Đã vá xong ổ gà trước chợ."
PHONE, MAIL = "+84912345678", "lan@example.vn"
URL = "/api/v1/outbox"


@dataclass
class Vendor:
    """A channel that keeps what it took; `fails` says why it takes nothing."""

    name: str
    fails: Exception | None = None
    capabilities: Capabilities = field(default_factory=lambda: Capabilities(media_types=frozenset({"image/png"})))
    taken: list[OutboundMessage] = field(default_factory=list)

    async def send(self, message: OutboundMessage) -> str:
        """Take it, or not."""
        if self.fails is not None:
            raise self.fails
        self.taken.append(message)
        return f"{self.name}-{message.id}-{message.part}"


CLOSED = SendFailed(Failure.WINDOW_CLOSED, "the person has not written for 7 days (-230)")
GONE = SendFailed(Failure.FINAL, "the person blocked us", gone=True)
NEVER = SendFailed(Failure.FINAL, "no such thing")


@dataclass
class House:
    """An application whose channels are in the hands of a test."""

    app: FastAPI
    here: State
    clock: Clock
    as_: As
    client: AsyncClient
    vendors: dict[str, Vendor]

    async def case(self, channel: str = "zalo", **contact: str) -> str:
        """A case that came in by a channel, with these addresses stated; its code."""
        code, _ = await a_report(self.client)
        own = {channel: uuid4().hex} if channel in ("zalo", "facebook", "telegram") else {}
        async with self.here.database.transaction() as session:
            case = await case_of(session, code)
            await session.execute(
                update(Outgoing).where(col(Outgoing.subject_id) == case.id).values(state="dropped", run_at=None)
            )
            session.add(person := Citizen(id=uuid7(self.clock()), created_at=self.clock()))
            await session.flush()
            case.channel, case.contact, case.citizen_id = channel, {**own, **contact}, person.id
            session.add_all(self.identity(person.id, *each) for each in case.contact.items())
        return code

    def identity(self, whose: UUID | None, scheme: str, handle: str) -> Identity:
        """An address of somebody."""
        assert whose is not None
        return Identity(id=uuid7(self.clock()), citizen_id=whose, scheme=scheme, handle=handle, seen_at=self.clock())

    async def answer(self, code: str, files: bool = False) -> None:
        """The centre answers, and what can be sent is sent."""
        if files:
            photo = {"attachments": ("vá xong.png", a_photo(), "image/png")}
            answer = await self.as_("dispatcher").post(
                f"/api/v1/cases/{code}/answer_directly", data={"reply": REPLY}, files=photo
            )
            assert answer.status_code == 200, answer.text
        else:
            await done(self.as_("dispatcher"), code, "answer_directly", {"reply": REPLY})
        await self.deliver()

    async def deliver(self) -> None:
        """Send all that is due, step after step."""
        for _ in range(8):
            self.clock.move(minutes=1)
            await deliver(self.app)

    async def road(self, code: str, purpose: str = "answer") -> list[tuple[str, str]]:
        """Channel and state of every way of the answer."""
        return [(row.channel, row.state) for row in await self.rows(code, purpose)]

    async def rows(self, code: str, purpose: str = "answer") -> list[Outgoing]:
        """Every way of the answer."""
        async with self.here.database.transaction() as session:
            case = await case_of(session, code)
            found = select(Outgoing).where(Outgoing.subject_id == case.id, Outgoing.purpose == purpose)
            return list((await session.exec(found.order_by(col(Outgoing.step)))).all())

    async def status(self, code: str) -> str:
        """Of the case."""
        async with self.here.database.transaction() as session:
            return (await case_of(session, code)).status

    async def hears(self, kind: str = "delivery", channel: str = "zalo", **members: Any) -> str:
        """A vendor tells; in a word what came of it."""
        message = InboundMessage(channel, "oa", uuid4().hex, kind, **members)
        row = Received(
            id=uuid7(self.clock()), channel=channel, account="oa", external_id=message.external_id,
            received_at=self.clock(), raw="",
        )  # fmt: skip
        async with self.here.database.transaction() as session:
            office = office_of(self.here, await self.here.routing.get(session))
            return await arrive(session, Arrivals(office), row, message, self.clock())

    async def listed(self, **query: Any) -> list[dict[str, Any]]:
        """What the list shows a supervisor."""
        answer = await self.as_("supervisor").get(URL, params={"limit": 200, **query})
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items


@pytest.fixture
async def house(app: FastAPI, as_: As, client: AsyncClient, clock: Clock) -> AsyncIterator[House]:
    here = state(app)
    vendors = {name: Vendor(name) for name in CHAINS.ways}
    vendors["facebook_comment"].capabilities = FacebookComment.capabilities
    before = here.adapters
    here.adapters = {**before, **vendors}
    async with here.database.transaction() as session:
        await session.execute(text("UPDATE outgoing SET state = 'dropped', run_at = NULL"))
        await session.execute(text("UPDATE identities SET handle = handle || id WHERE scheme IN ('phone', 'email')"))
    yield House(app, here, clock, as_, client, vendors)
    here.adapters = before


# ---- the chain


@pytest.mark.parametrize(
    ("contact", "fails", "road"),
    [
        # the window is closed: the template goes to the same id
        ({"phone": PHONE}, ["zalo"], [("zalo", "passed"), ("zalo_template", "sent")]),
        (
            {"phone": PHONE},
            ["zalo", "zalo_template"],
            [("zalo", "passed"), ("zalo_template", "passed"), ("zalo_phone", "sent")],
        ),
        (
            {"phone": PHONE, "email": MAIL},
            ["zalo", "zalo_template", "zalo_phone"],
            [("zalo", "passed"), ("zalo_template", "passed"), ("zalo_phone", "passed"), ("sms", "sent")],
        ),
        # no number is known: those ways are passed over
        (
            {"email": MAIL},
            ["zalo", "zalo_template"],
            [("zalo", "passed"), ("zalo_template", "passed"), ("email", "sent")],
        ),
        # nothing is left: it waits for somebody who calls
        ({}, ["zalo", "zalo_template"], [("zalo", "passed"), ("zalo_template", "failed")]),
    ],
)
async def test_an_answer_goes_on_by_the_addresses_the_citizen_has(
    house: House, contact: dict[str, str], fails: list[str], road: list[tuple[str, str]]
) -> None:
    code = await house.case(**contact)
    for name in fails:
        house.vendors[name].fails = CLOSED
    await house.answer(code)
    assert await house.road(code) == road
    arrived = road[-1][1] == "sent"
    assert await house.status(code) == ("replied" if arrived else "answered")
    replies = [row for row in await journal_of(house.app, code) if row.kind == "case.reply"]
    assert len(replies) == arrived


async def test_a_channel_that_does_not_exist_here_is_passed_over(house: House) -> None:
    house.here.adapters = {
        name: made for name, made in house.here.adapters.items() if name not in ("zalo_template", "zalo_phone")
    }
    code = await house.case(phone=PHONE)
    house.vendors["zalo"].fails = CLOSED
    await house.answer(code)
    assert await house.road(code) == [("zalo", "passed"), ("sms", "sent")]


async def test_a_short_message_says_that_there_is_an_answer_and_nothing_of_it(house: House) -> None:
    code = await house.case(phone=PHONE)
    for name in ("zalo", "zalo_template", "zalo_phone"):
        house.vendors[name].fails = CLOSED
    await house.answer(code, files=True)
    (message,) = house.vendors["sms"].taken
    site = house.here.settings.public_url.rstrip("/")
    assert message.text == f"1022 đã trả lời phản ánh {code}. Xem tại {site}/track/{code}"
    assert message.attachments == ()
    assert message.to == Address("phone", PHONE)


async def test_a_mail_says_all_of_it_and_brings_the_files(house: House) -> None:
    code = await house.case(email=MAIL)
    house.vendors["zalo"].fails = house.vendors["zalo_template"].fails = NEVER
    await house.answer(code, files=True)
    taken = house.vendors["email"].taken
    assert taken[0].text == REPLY
    assert [file.name for message in taken for file in message.attachments] == ["vá xong.png"]


@pytest.mark.parametrize(
    ("thread", "road"),
    [
        ({"comment_id": "10_11"}, [("facebook", "passed"), ("facebook_comment", "sent")]),
        ({}, [("facebook", "passed"), ("sms", "sent")]),  # a talk in Messenger has no comment to answer
    ],
)
async def test_a_comment_is_answered_in_public_without_a_word_of_the_matter(
    house: House, thread: dict[str, str], road: list[tuple[str, str]]
) -> None:
    code = await house.case("facebook", phone=PHONE)
    async with house.here.database.transaction() as session:
        case = await case_of(session, code)
        session.add(
            Thread(
                subject_id=case.id, channel="facebook", handle=case.contact["facebook"], heard_at=house.clock(),
                thread=thread,
            )
        )  # fmt: skip
    house.vendors["facebook"].fails = CLOSED
    await house.answer(code)
    assert await house.road(code) == road
    for message in house.vendors["facebook_comment"].taken:
        assert message.thread == thread
        assert code not in message.text
        assert REPLY not in message.text
        assert "/track" in message.text


async def with_a_receipt_on_its_way(house: House) -> str:
    """A case of Zalo whose receipt has not left yet."""
    code = await house.case(phone=PHONE, email=MAIL)
    async with house.here.database.transaction() as session:
        case = await case_of(session, code)
        await session.execute(
            update(Outgoing)
            .where(col(Outgoing.subject_id) == case.id)
            .values(state="queued", run_at=house.clock(), channel="zalo", scheme="zalo", handle=case.contact["zalo"])
        )
    return code


async def test_receipts_that_our_own_account_is_refused_for_wait_and_cost_no_sms(house: House) -> None:
    code = await with_a_receipt_on_its_way(house)
    house.vendors["zalo"].fails = SendFailed(Failure.REAUTHORISE, "the token is dead")
    for _ in range(4):  # each goes on for eight minutes
        await house.deliver()
    assert await house.road(code, "receipt") == [("zalo", "failed")]
    assert [item["case"] for item in await house.listed() if item["case"] == code] == [code]
    assert house.vendors["sms"].taken == []


async def test_a_receipt_goes_on_by_one_short_message_and_asks_nobody_to_call(house: House) -> None:
    code = await with_a_receipt_on_its_way(house)
    house.vendors["zalo"].fails = NEVER
    house.vendors["sms"].fails = NEVER
    await house.deliver()
    assert await house.road(code, "receipt") == [("zalo", "passed"), ("sms", "failed")]
    (item,) = [item for item in await house.listed() if item["case"] == code]
    assert (item["call"], item["tried"]) == (False, [{"channel": "zalo", "failure": "final"}])


async def test_doubt_is_for_a_person(house: House) -> None:
    code = await house.case(phone=PHONE)
    house.vendors["zalo"].fails = SendDoubtful("no answer came")
    await house.answer(code)
    assert await house.road(code) == [("zalo", "unknown")]
    assert await house.status(code) == "answered"


async def test_an_answer_on_the_web_stands_on_its_page(house: House) -> None:
    code = await house.case("web", phone=PHONE)
    await house.answer(code)
    assert await house.road(code) == [("web", "sent")]
    assert await house.status(code) == "replied"
    assert house.vendors["sms"].taken == []


async def test_who_called_is_answered_by_message_where_a_number_is_known(house: House) -> None:
    code = await house.case("voice", phone=PHONE)
    await house.answer(code)
    assert await house.road(code) == [("sms", "sent")]


# ---- who is not written to


async def test_an_address_that_is_gone_is_remembered_and_not_written_to_again(house: House) -> None:
    code = await house.case(phone=PHONE)
    house.vendors["zalo"].fails = GONE
    await house.answer(code)
    # The same id at the same vendor is as gone for a template.
    assert await house.road(code) == [("zalo", "passed"), ("zalo_phone", "sent")]
    async with house.here.database.transaction() as session:
        case = await case_of(session, code)
        assert Way("zalo", Address("zalo", case.contact["zalo"])) not in await ways(session, case)
        zalo = (await session.exec(select(Identity).where(Identity.handle == case.contact["zalo"]))).one()
        assert zalo.unreachable_why == "the person blocked us"


@pytest.mark.parametrize(
    ("stopped", "wrote", "reached"), [(False, False, True), (True, False, False), (True, True, True)]
)
async def test_who_wants_no_messages_is_answered_only_where_they_wrote_again(
    house: House, stopped: bool, wrote: bool, reached: bool
) -> None:
    code = await house.case()
    async with house.here.database.transaction() as session:
        case = await case_of(session, code)
        if stopped:
            await session.execute(
                update(Identity).where(col(Identity.handle) == case.contact["zalo"]).values(stopped_at=house.clock())
            )
        if wrote:
            later: datetime = house.clock.move(minutes=5)
            session.add(Thread(subject_id=case.id, channel="zalo", handle=case.contact["zalo"], heard_at=later))
        await session.flush()
        assert (Way("zalo", Address("zalo", case.contact["zalo"])) in await ways(session, case)) is reached


async def test_on_a_restricted_track_only_what_the_case_states_is_used(house: House) -> None:
    code = await house.case(phone=PHONE)
    async with house.here.database.transaction() as session:
        case = await case_of(session, code)
        other = uuid4().hex
        session.add(house.identity(case.citizen_id, "telegram", other))
        await session.flush()
        assert Way("telegram", Address("telegram", other)) in await ways(session, case)
        case.restricted, case.track = True, "denunciation"
        await session.flush()
        assert [way.channel for way in await ways(session, case)] == ["zalo", "sms"]


# ---- calls


async def test_somebody_calls_and_the_case_is_replied_once(house: House) -> None:
    code = await house.case()
    house.vendors["zalo"].fails = house.vendors["zalo_template"].fails = NEVER
    await house.answer(code)
    (item,) = [item for item in await house.listed() if item["case"] == code]
    assert (item["call"], item["failure"]) == (True, "final")
    problem(await house.as_("officer").post(f"{URL}/{item['id']}/told"), 403)
    answer = await house.as_("supervisor").post(f"{URL}/{item['id']}/told")
    assert (answer.status_code, answer.json()) == (200, {"case": code, "state": "delivered"})
    assert await house.status(code) == "replied"
    assert (await house.road(code))[-1] == ("voice", "delivered")
    problem(await house.as_("supervisor").post(f"{URL}/{item['id']}/told"), 409)
    problem(await house.as_("supervisor").post(f"{URL}/{item['id']}/resend"), 409)
    assert [item for item in await house.listed() if item["case"] == code] == []
    told = [row for row in await journal_of(house.app, code) if row.kind == "message.told"]
    assert [row.actor_id for row in told] == [await staff_id(house.app, "supervisor@demo")]
    problem(await house.as_("supervisor").post(f"{URL}/{uuid7(house.clock())}/told"), 404)


async def test_a_letter_to_a_unit_is_nothing_to_call_about(house: House) -> None:
    code = await house.case()
    async with house.here.database.transaction() as session:
        await session.execute(text("UPDATE departments SET email = 'so-xd@example.vn' WHERE code = 'so-xd'"))
    house.here.routing = type(house.here.routing)()
    house.vendors["email"].fails = NEVER
    await drive(house.app, house.client, house.as_, code, "forwarded")
    await house.deliver()
    (item,) = [item for item in await house.listed(channel="email") if item["case"] == code]
    assert item["department"] is not None
    assert (item["call"], item["purpose"]) == (False, "unit.forwarded")
    problem(await house.as_("supervisor").post(f"{URL}/{item['id']}/told"), 409)


# ---- many at once


async def test_many_are_tried_again_at_once_and_one_refused_hinders_no_other(house: House) -> None:
    codes = [await house.case() for _ in range(3)]
    house.vendors["zalo"].fails = house.vendors["zalo_template"].fails = NEVER
    for code in codes:
        await house.answer(code)
    ids = {item["case"]: item["id"] for item in await house.listed()}
    house.vendors["zalo"].fails = house.vendors["zalo_template"].fails = None
    supervisor = house.as_("supervisor")
    assert (await supervisor.post(f"{URL}/{ids[codes[0]]}/resend")).status_code == 200
    unknown = str(uuid7(house.clock()))
    answer = await supervisor.post(f"{URL}/resend", json={"ids": [*(ids[code] for code in codes), unknown]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["sent"] == [ids[codes[1]], ids[codes[2]]]
    assert [each["id"] for each in answer.json()["refused"]] == [ids[codes[0]], unknown]
    await house.deliver()
    assert [await house.status(code) for code in codes] == ["replied"] * 3
    wrong: tuple[dict[str, Any], ...] = ({"ids": []}, {"ids": ["x"]}, {"ids": [unknown] * 201}, {})
    for body in wrong:
        problem(await supervisor.post(f"{URL}/resend", json=body), 422)
    problem(await house.as_("officer").post(f"{URL}/resend", json={"ids": [unknown]}), 403)


async def test_the_list_is_narrowed_by_channel_and_reason(house: House) -> None:
    closed, doubtful = await house.case(), await house.case("telegram")
    house.vendors["zalo"].fails = house.vendors["zalo_template"].fails = CLOSED
    house.vendors["telegram"].fails = SendDoubtful("no answer came")
    await house.answer(closed)
    await house.answer(doubtful)

    async def codes(**query: str) -> set[str]:
        return {item["case"] for item in await house.listed(**query)} & {closed, doubtful}

    assert await codes() == {closed, doubtful}
    assert await codes(channel="telegram") == {doubtful}
    assert await codes(channel="zalo_template", reason="window_closed") == {closed}
    assert await codes(reason="unknown") == {doubtful}
    assert await codes(channel="sms") == set()
    problem(await house.as_("supervisor").get(URL, params={"reason": "bad luck"}), 422)


async def test_a_vendor_that_is_down_stands_above_the_list(house: House) -> None:
    code = await house.case()
    house.vendors["zalo"].fails = SendFailed(Failure.RETRYABLE, "down")
    await done(house.as_("dispatcher"), code, "answer_directly", {"reply": REPLY})
    await deliver(house.app)
    (jam,) = (await house.as_("supervisor").get(URL)).json()["waiting"]
    assert (jam["channel"], jam["failure"], jam["waiting"]) == ("zalo", "retryable", 1)
    assert jam["since"].startswith("2026-03-03T08:1")


# ---- what vendors tell later


async def test_a_report_that_it_did_not_arrive_begins_the_chain(house: House) -> None:
    code = await house.case(phone=PHONE)
    await house.answer(code)
    (row,) = await house.rows(code)
    ref = f"zalo-{row.id}-0"
    assert await house.hears(refs=(ref,), status="failed", error="blocked") == "failed"
    assert await house.hears(refs=(ref,), status="failed", error="blocked") == "no news"
    await house.deliver()
    assert await house.road(code) == [("zalo", "passed"), ("zalo_template", "sent")]
    kinds = [row.kind for row in await journal_of(house.app, code)]
    assert (kinds.count("message.passed"), kinds.count("case.reply")) == (1, 1)


@pytest.mark.parametrize(
    ("channel", "told"),
    [
        ("sms", {"kind": "delivery", "status": "delivered", "refs": ("SM1",), "member": "message"}),
        ("facebook", {"kind": "echo", "member": "outgoing"}),
    ],
)
async def test_what_a_vendor_says_by_our_own_id_ends_doubt_and_the_case_is_replied(
    house: House, channel: str, told: dict[str, Any]
) -> None:
    code = await house.case(channel, **({"phone": PHONE} if channel == "sms" else {}))
    house.vendors[channel].fails = SendDoubtful("no answer came")
    await house.answer(code)
    (row,) = await house.rows(code)
    assert (row.state, await house.status(code)) == ("unknown", "answered")
    house.vendors[channel].fails = None
    member = told.pop("member")
    await house.hears(channel=channel, thread={member: f"{row.id}"}, **told)
    await house.deliver()
    assert house.vendors[channel].taken == []
    assert await house.road(code) == [(channel, "delivered" if channel == "sms" else "sent")]
    assert await house.status(code) == "replied"
    told["member"] = member


# ---- files and pages


async def test_the_answers_files_travel_along_and_the_page_says_how_far_they_are(house: House, browser: As) -> None:
    code = await house.case()
    await house.answer(code, files=True)
    taken = house.vendors["zalo"].taken
    assert [(message.text, [file.name for file in message.attachments]) for message in taken] == [
        (REPLY, []), ("", ["vá xong.png"]),
    ]  # fmt: skip
    assert taken[1].attachments[0].sha256 is not None
    (row,) = await house.rows(code)
    for part in range(2):
        await house.hears(refs=(f"zalo-{row.id}-{part}",), status="delivered")
    page = (await browser("dispatcher").get(f"/console/cases/{code}")).text
    assert "vá xong.png" in page
    assert "đã nhận" in page


async def test_files_that_a_channel_does_not_take_stand_behind_a_link(house: House) -> None:
    code = await house.case()
    house.vendors["zalo"].capabilities = Capabilities()
    await house.answer(code, files=True)
    (message,) = house.vendors["zalo"].taken
    site = house.here.settings.public_url.rstrip("/")
    assert message.text == f"{REPLY}\n\nTệp kèm theo (vá xong.png) xem tại trang theo dõi phản ánh: {site}/track/{code}"


async def test_the_case_tells_every_way_in_words(house: House, browser: As) -> None:
    code = await house.case(phone=PHONE)
    house.vendors["zalo"].fails = CLOSED
    await house.answer(code)
    page = (await browser("dispatcher").get(f"/console/cases/{code}")).text
    told = page[page.index('class="road"') :]
    assert told.index("quá hạn được phép trả lời trên kênh") < told.index("Zalo, tin theo mẫu") < told.index("đã gửi")


async def test_the_page_of_what_did_not_leave(house: House, browser: As) -> None:
    called, doubtful = await house.case(), await house.case("telegram")
    for name in ("zalo", "zalo_template"):
        house.vendors[name].fails = CLOSED
    house.vendors["telegram"].fails = SendDoubtful("no answer came")
    await house.answer(called)
    await house.answer(doubtful)
    supervisor = browser("supervisor")
    page = (await supervisor.get("/console/outbox")).text
    for words in (
        "Cần gọi lại",
        "Đã gọi, đã báo",
        "Không rõ đã đến chưa",
        "quá hạn được phép trả lời trên kênh",
        called,
    ):
        assert words in page
    assert REPLY not in page
    narrowed = (await supervisor.get("/console/outbox", params={"channel": "telegram"})).text
    assert doubtful in narrowed
    assert called not in narrowed
    ids = {item["case"]: item["id"] for item in await house.listed()}
    told = await supervisor.post(f"/console/outbox/{ids[called]}/told")
    assert (told.status_code, told.headers["location"]) == (303, "/console/outbox")
    assert await house.status(called) == "replied"
    house.vendors["telegram"].fails = None
    many = await supervisor.post(
        "/console/outbox/resend", data={"id": [ids[doubtful], ids[called]], "channel": "telegram"}
    )
    assert many.headers["location"] == "/console/outbox?channel=telegram&sent=1&refused=1"
    shown = (await supervisor.get(many.headers["location"])).text
    assert "Đã xếp hàng gửi lại 1 tin." in shown
    assert "1 tin không còn gửi lại được." in shown
    for given in ({}, {"id": "x"}):
        assert (await supervisor.post("/console/outbox/resend", data=given)).status_code == 422
    for path in ("resend", f"{ids[doubtful]}/told"):
        assert (await browser("officer").post(f"/console/outbox/{path}", data={"id": ids[doubtful]})).status_code == 403
