"""Who is told that we have their message, where and how often: every channel's real parser in, its real road out."""

from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlmodel import select

from cases.arriving import AUTOMATIC
from channels.adapter import Hook
from channels.mail.reading import parse as read_mail
from channels.models import Outgoing
from tests.cases.hearing import (
    CENTRE,
    COUNT,
    WORDS,
    Hotline,
    a_number,
    address,
    anonymous,
    comment,
    mail,
    messenger,
    phone,
    sms,
    telegram,
    zalo,
)
from tests.factories import As, a_report

ROADS = [
    # who writes by what, on which channel the receipt goes to which scheme
    ("zalo", a_number, zalo, "zalo", "zalo"),
    ("zalo", a_number, anonymous, "zalo", "anonymous"),
    ("facebook", a_number, messenger, "facebook", "facebook"),
    ("facebook", a_number, comment, "facebook", "facebook"),
    ("telegram", a_number, telegram, "telegram", "telegram"),
    ("sms", phone, sms, "sms", "phone"),
    ("email", address, mail, "email", "email"),
]


@pytest.mark.parametrize(
    ("channel", "person", "writes", "by", "scheme"), ROADS, ids=lambda each: getattr(each, "__name__", each)
)
async def test_a_report_is_acknowledged_once_on_its_own_channel_whatever_is_repeated(
    hotline: Hotline, channel: str, person: Callable[[], str], writes: Callable[..., bytes], by: str, scheme: str
) -> None:
    who = person()
    body = writes(who, WORDS)
    for _ in range(3):  # the vendor says it three times, before and after it was worked on
        await hotline.hear(channel, body)
        await hotline.work()
    (case,) = await hotline.cases(who)
    (receipt,) = hotline.boxes[by].sent
    assert (receipt.to.scheme, receipt.to.handle, receipt.purpose) == (scheme, who, "receipt")
    assert case.code in receipt.text
    assert receipt.automatic
    assert len(receipt.text) <= 70 or channel != "sms"  # one SMS with marks
    assert not any(box.sent for name, box in hotline.boxes.items() if name != by)
    if writes is comment:
        assert receipt.thread.get("comment_id") == f"9_{who}"  # answered privately, not on the wall
    if writes is anonymous:
        assert receipt.thread.get("conversation_id") == f"c-{who}"

    await hotline.hear(channel, writes(who, f"Về phản ánh {case.code}: vẫn chưa sửa"))
    await hotline.work()
    assert len(await hotline.cases(who)) == 1
    assert len(hotline.boxes[by].sent) == 1  # a message more in an open case: its code is known


MACHINES = {
    "a bot": ("telegram", lambda: telegram(a_number(), WORDS, author={"is_bot": True})),
    "an auto-reply": ("email", lambda: mail(address(), WORDS, Auto_Submitted="auto-replied")),
    "bulk mail": ("email", lambda: mail(address(), WORDS, Precedence="bulk")),
    "a mailing list": ("email", lambda: mail(address(), WORDS, List_Id="<tin.nha.example>")),
    "an old mark": ("email", lambda: mail(address(), WORDS, X_Autoreply="yes")),
    "ourselves": ("email", lambda: mail(CENTRE[1], WORDS)),  # our own
    "a mailer daemon": ("email", lambda: mail("MAILER-DAEMON@nha.example", WORDS, Return_Path="<>")),
    "our own account": ("zalo", lambda: zalo("77", WORDS, event_name="oa_send_text", recipient={"id": a_number()})),
}


@pytest.mark.parametrize(("channel", "body"), MACHINES.values(), ids=MACHINES)
async def test_no_machine_is_ever_acknowledged(hotline: Hotline, channel: str, body: Callable[[], bytes]) -> None:
    await hotline.hear(channel, body())
    await hotline.work()
    assert not any(box.sent for box in hotline.boxes.values())


async def test_who_writes_on_the_page_reads_the_receipt_there(
    app: FastAPI, hotline: Hotline, client: AsyncClient
) -> None:
    for source in ("web", "app"):
        code, _ = await a_report(client, source=source, contact={"phone": "0912345678", "email": "hoa@nha.example"})
        await hotline.work()
        async with hotline.here.database.transaction() as session:
            row = await session.exec(select(Outgoing).where(Outgoing.reference == code))
            assert [(each.purpose, each.channel, each.scheme) for each in row.all()] == [
                ("receipt", source, "tracking")
            ]
    assert not any(box.sent for box in hotline.boxes.values())


async def test_whom_an_agent_writes_a_case_for_is_told_by_the_agent(app: FastAPI, hotline: Hotline, as_: As) -> None:
    body = {"text": WORDS, "channel": "voice", "contact": {"phone": "0912345678"}}
    answer = await as_("agent").post("/api/v1/cases", json=body)
    assert answer.status_code == 201, answer.text
    await hotline.work()
    assert not any(box.sent for box in hotline.boxes.values())


# ---- two mailboxes that answer each other


def headers_of(letter: bytes) -> EmailMessage:
    made = message_from_bytes(letter, policy=policy.default)
    assert isinstance(made, EmailMessage)
    return made


def out_of_office(letter: bytes, who: str) -> bytes:
    """As RFC 3834 wants it."""
    ours = headers_of(letter)
    return mail(
        who, "Tôi vắng mặt đến thứ Hai.", f"Trả lời tự động: {ours['Subject']}",
        Auto_Submitted="auto-replied", In_Reply_To=ours["Message-ID"], References=ours["Message-ID"],
    )  # fmt: skip


def threaded(letter: bytes, who: str) -> bytes:
    """No word of being a machine, but it answers in the thread."""
    ours = headers_of(letter)
    return mail(who, "Cảm ơn đã liên hệ.", f"Re: {ours['Subject']}", In_Reply_To=ours["Message-ID"])


def same_words(letter: bytes, who: str) -> bytes:
    """No mark, no thread, a subject of its own: the same words for everything that comes."""
    return mail(who, "Cảm ơn đã liên hệ. Chúng tôi sẽ trả lời sau.", "Xin chào")


def with_subject(letter: bytes, who: str) -> bytes:
    """Other words every time, under our subject."""
    return mail(
        who,
        f"Yêu cầu số {next(COUNT)} của bạn đã được ghi nhận.",
        f"[Ticket {next(COUNT)}] {headers_of(letter)['Subject']}",
    )


def tickets(letter: bytes, who: str) -> bytes:
    """The worst: another ticket system, unmarked, with a number and a subject of its own every time."""
    return mail(
        who, f"Yêu cầu số {next(COUNT)} của bạn đã được ghi nhận, chúng tôi sẽ phản hồi.", f"Ticket {next(COUNT)}"
    )


LOOPS = [
    # a mailbox that answers every mail, receipts of ours and cases in fifty rounds
    (out_of_office, 1, 1),
    (threaded, 1, 1),
    (with_subject, 1, 1),  # our subject names the case, and it is the sender's own
    (same_words, 2, 2),  # one for the report, one for the first of the machine's mails, which might be a report
    (tickets, AUTOMATIC[0], AUTOMATIC[0] + 1),  # nothing tells it from a person with much to report but how often
]


@pytest.mark.parametrize(("answers", "receipts", "cases"), LOOPS, ids=lambda each: getattr(each, "__name__", each))
async def test_two_mailboxes_that_answer_each_other_fall_silent(
    hotline: Hotline, answers: Callable[[bytes, str], bytes], receipts: int, cases: int
) -> None:
    who, box = address(), hotline.boxes["email"]
    await hotline.hear("email", mail(who, WORDS))
    await hotline.work()
    answered = 0
    for _ in range(50):
        hotline.clock.move(seconds=20)
        for letter in box.letters[answered:]:
            answered += 1
            await hotline.hear("email", answers(letter, who))
            await hotline.work()
    assert len(box.letters) == answered == receipts
    assert len(await hotline.cases(who)) == cases
    ours = headers_of(box.letters[0])
    assert ours["Auto-Submitted"] == "auto-replied"
    assert ours["X-Auto-Response-Suppress"] is not None


async def test_a_mailbox_of_ours_at_the_other_end_never_answers_our_receipt(hotline: Hotline) -> None:
    """Two hotlines of this make: what the one sends, the other reads as a machine's."""
    await hotline.hear("email", mail(address(), WORDS))
    await hotline.work()
    (letter,) = hotline.boxes["email"].letters
    (message,) = read_mail(Hook(letter, {}, {}), "1022@other.example")
    assert message.automatic or message.ignore_reason


async def test_a_machine_that_starts_by_itself_with_the_same_words_is_one_case_and_one_receipt(
    hotline: Hotline,
) -> None:
    who = address()
    for _ in range(12):
        await hotline.hear("email", same_words(b"", who))
        await hotline.work()
        hotline.clock.move(seconds=20)
    assert len(hotline.boxes["email"].letters) == 1
    (case,) = await hotline.cases(who)
    assert len(await hotline.lines(case)) == 12  # nothing of what came is lost


async def test_a_person_with_several_matters_in_an_hour_gets_a_receipt_for_each(hotline: Hotline) -> None:
    who = address()
    for number in range(AUTOMATIC[0]):
        await hotline.hear("email", mail(who, f"Ổ gà số {number} trên đường Phú Riềng Đỏ", f"Ổ gà {number}"))
        await hotline.work()
        hotline.clock.move(minutes=5)
    assert len(hotline.boxes["email"].letters) == len(await hotline.cases(who)) == AUTOMATIC[0]
    hotline.clock.move(hours=2)
    await hotline.hear("email", mail(who, "Cây đổ trước trường học", "Cây đổ"))
    await hotline.work()
    assert len(hotline.boxes["email"].letters) == AUTOMATIC[0] + 1
