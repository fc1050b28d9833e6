"""A message that comes as several events is one line; who is not signed in is answered where they wrote."""

import asyncio
import itertools
import json
import random
from datetime import timedelta

import pytest
from sqlmodel import select

from channels import inbox
from channels.adapter import Failure, Hook, SendFailed
from channels.models import Received
from channels.telegram.events import parse as read_telegram
from tests.cases.hearing import WORDS, Hotline, a_number, anonymous, telegram
from tests.factories import As, done

# ---- somebody who is not signed in at Zalo


async def test_an_answer_to_an_anonymous_person_goes_back_into_their_conversation(hotline: Hotline, as_: As) -> None:
    who = a_number()
    await hotline.hear("zalo", anonymous(who, WORDS))
    await hotline.work()
    (case,) = await hotline.cases(who)
    await done(as_("dispatcher"), case.code, "answer_directly", {"reply": "Đã sửa đèn."})
    await hotline.work()
    answer = hotline.boxes["zalo"].sent[-1]
    assert (answer.purpose, answer.to.scheme, answer.to.handle) == ("answer", "anonymous", who)
    assert answer.thread["conversation_id"] == f"c-{who}"


async def test_an_answer_that_no_longer_reaches_an_anonymous_person_is_seen_to_have_failed(
    hotline: Hotline, as_: As
) -> None:
    who = a_number()
    await hotline.hear("zalo", anonymous(who, WORDS))
    await hotline.work()
    (case,) = await hotline.cases(who)
    await done(as_("dispatcher"), case.code, "answer_directly", {"reply": "Đã sửa đèn."})
    hotline.boxes["zalo"].fails = SendFailed(Failure.WINDOW_CLOSED, "the conversation is over")
    await hotline.work()
    page = (await as_("supervisor").get("/api/v1/outbox?limit=200")).json()
    assert [(each["purpose"], each["state"]) for each in page["items"] if each["case"] == case.code] == [
        ("answer", "failed")
    ]


# ---- an album: one message that comes as several events


def album(who: str, caption_on: int | None, number: int = 3) -> list[bytes]:
    group = str(random.randrange(10**16))
    bodies = []
    for index in range(number):
        photo = [{"file_id": f"photo{index}", "file_unique_id": f"u{index}", "width": 90, "height": 90}]
        caption = {"caption": WORDS} if index == caption_on else {}
        bodies.append(telegram(who, None, media_group_id=group, photo=photo, **caption))
    return bodies


@pytest.mark.parametrize(
    ("order", "caption_on"), list(zip(itertools.permutations(range(3)), (0, 1, 2, None, 0, 1), strict=True)), ids=str
)
async def test_an_album_is_one_line_with_all_its_files_in_whatever_order_it_comes(
    hotline: Hotline, caption_on: int | None, order: tuple[int, ...]
) -> None:
    who = a_number()
    bodies = album(who, caption_on)
    for index in order:
        await hotline.hear("telegram", bodies[index])
    hotline.clock.move(seconds=2)
    await asyncio.gather(*(hotline.work() for _ in range(2)))
    (case,) = await hotline.cases(who)
    (line,) = await hotline.lines(case)
    assert line.text == case.text == (WORDS if caption_on is not None else "(Tệp gửi kèm, không có lời)")
    files = await hotline.files(case)
    assert [each.file["vendor_id"] for each in files] == ["photo0", "photo1", "photo2"]
    assert {each.entry_id for each in files} == {line.id}
    assert len(hotline.boxes["telegram"].sent) == 1
    async with hotline.here.database.transaction() as session:
        rows = await session.exec(select(Received).where(Received.sender == f"telegram:{who}"))
        assert {(row.subject_id, row.run_at) for row in rows.all()} == {(case.id, None)}


@pytest.mark.parametrize("late", [0, 1, 2])
async def test_what_of_an_album_comes_late_is_hung_on_its_line(hotline: Hotline, late: int) -> None:
    """As when a process was slow, or the vendor said one part again only after an hour; the words may be that part."""
    who = a_number()
    bodies = album(who, caption_on=0)
    for index in {0, 1, 2} - {late}:
        await hotline.hear("telegram", bodies[index])
    hotline.clock.move(seconds=2)
    await hotline.work()
    for pause in (timedelta(0), timedelta(hours=1)):
        hotline.clock.now += pause
        await hotline.hear("telegram", bodies[late])
        hotline.clock.move(seconds=2)
        await hotline.work()
    (case,) = await hotline.cases(who)
    (line,) = await hotline.lines(case)
    assert (line.text, case.text) == (WORDS, WORDS)
    assert sorted(each.file["vendor_id"] for each in await hotline.files(case)) == ["photo0", "photo1", "photo2"]
    assert {each.entry_id for each in await hotline.files(case)} == {line.id}
    assert len(hotline.boxes["telegram"].sent) == 1


async def test_two_albums_are_two_lines_and_a_strangers_album_of_the_same_name_is_his_own(hotline: Hotline) -> None:
    who, other = a_number(), a_number()
    first, second = album(who, 0), album(who, None)
    group = json.loads(first[0])["message"]["media_group_id"]
    same_name = telegram(other, None, media_group_id=group, photo=[{"file_id": "x", "file_unique_id": "x"}])
    for body in (*first, *second, same_name):
        await hotline.hear("telegram", body)
    hotline.clock.move(seconds=2)
    await hotline.work()
    (case,) = await hotline.cases(who)
    assert [line.kind for line in await hotline.lines(case)] == ["report", "message"]
    assert len(await hotline.files(case)) == 6
    (his,) = await hotline.cases(other)
    assert len(await hotline.files(his)) == 1


def test_the_parser_names_the_album() -> None:
    (message,) = read_telegram(Hook(album("5", 0)[0], {}, {}), "77")
    assert inbox.album_of(message) == f"5:{message.thread['media_group_id']}"
