"""Told outside the console: by proved addresses only, one message instead of forty, nothing of what citizens wrote."""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import text

from cases import digests
from cases.duty_models import NoticeWay
from cases.notice_words import Told, letter
from cases.notices import next_post
from channels.adapter import Adapter
from channels.mail.sending import Mail
from channels.mail.smtp import Relay
from tests.cases.hearing import Hotline, a_number, telegram
from tests.cases.noticing import clear, tell
from tests.factories import LEAD, As, Clock, a_report, deliver, done, state
from tests.mailing import SENDER, Sink, sink

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
PERSONAL = {
    "text": "Nhà chị Hạnh ở hẻm 27 bị ngập, gọi giùm",
    "contact": {"name": "Lê Thị Hạnh", "phone": "0912345678", "email": "hanh.le@example.vn"},
    "location": {"address": "hẻm 27 đường Hùng Vương", "lat": 11.53, "lng": 106.89},
}
WORDS = ("Hạnh", "hẻm", "ngập", "912345678", "hanh.le", "Hùng Vương", "11.53")
HEAD = "chi.head@tinh.example"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sink]:
    with sink(tmp_path_factory.mktemp("sink")) as running:
        yield running


@pytest.fixture
async def post(app: FastAPI, server: Sink, clock: Clock) -> AsyncIterator[Sink]:
    """Mail goes to a real mail server; nothing waits, nobody is told by any way yet."""
    here = state(app)
    before = here.adapters
    adapters: dict[str, Adapter] = {**before, "email": Mail(Relay("127.0.0.1", server.port, "none"), SENDER)}
    here.adapters = adapters
    await clear(app)
    async with here.database.transaction() as session:
        await session.execute(text("UPDATE outgoing SET state = 'dropped', run_at = NULL, dead_at = NULL"))
        await session.execute(text("DELETE FROM throttles"))
    server.forget()
    yield server
    here.adapters = before


async def posted(app: FastAPI) -> int:
    """What is due leaves; how many ways were looked at."""
    here = state(app)
    await tell(app)
    async with here.database.transaction() as session:
        done = await digests.run(
            session, await here.routing.get(session), here.adapters, here.clock(), site="http://1022.test"
        )
    await deliver(app)
    return done


async def choose(app: FastAPI, page: AsyncClient, post: Sink, mode: str, at: str = "07:30", to: str = HEAD) -> None:
    """The head proves an address, and chooses."""
    assert (await page.post("/account/notices/address", data={"address": to})).status_code == 303
    await deliver(app)
    (mail,) = post.mails(to)
    digits = re.match(r"\d{6}", mail.get_content())
    assert digits
    assert not re.search(r"\d{6}", mail["Subject"])
    answer = await page.post("/account/notices/code", data={"code": digits[0]})
    assert answer.headers["location"] == "/account/notices?done=proved"
    answer = await page.post("/account/notices/email", data={"mode": mode, "digest_at": at})
    assert answer.headers["location"] == "/account/notices?done=saved"
    post.forget()


async def forwarded(client: AsyncClient, as_: As, **members: Any) -> str:
    code, _ = await a_report(client, **members)
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD})
    return code


async def test_forty_things_are_one_letter_with_codes_and_nothing_of_the_citizens(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock, post: Sink
) -> None:
    await choose(app, browser("head"), post, "digest")
    codes = [await forwarded(client, as_, **(PERSONAL if n < 2 else {"text": PERSONAL["text"]})) for n in range(40)]
    await posted(app)
    assert post.mails(HEAD) == []  # it is 8:15: the letter of the day has gone
    clock.to("2026-03-04T07:29")
    await posted(app)
    assert post.mails(HEAD) == []
    clock.to("2026-03-04T07:30")
    for _ in range(3):
        await posted(app)
    (mail,) = post.mails(HEAD)
    said = mail.get_content()
    assert mail["Subject"] == "1022: 40 phản ánh cần anh/chị xem"
    assert all(code in said for code in codes)
    assert f"- {codes[0]}: sắp đến hạn, nhận việc, hạn 08:15 ngày 04/03/2026 (và 2 thông báo khác)" in said
    assert "http://1022.test/console/notices" in said
    (raw,) = [each for each in post.taken() if HEAD in each["to"][0]]
    for word in WORDS:
        assert word not in said
        assert word not in raw["data"]
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Reply-To"] is None
    assert mail["References"] is None
    # The next day there is nothing to tell, so there is no letter.
    post.forget()
    clock.to("2026-03-05T07:31")
    async with state(app).database.transaction() as session:
        await session.execute(text("UPDATE limits SET next_at = NULL"))
    await posted(app)
    assert post.mails(HEAD) == []


async def test_told_at_once_still_means_one_letter_for_what_comes_within_ten_minutes(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock, post: Sink
) -> None:
    await choose(app, browser("head"), post, "at_once")
    first = await forwarded(client, as_)
    await posted(app)
    (mail,) = post.mails(HEAD)
    assert (first in mail.get_content(), mail["Subject"]) == (True, "1022: 1 phản ánh cần anh/chị xem")
    post.forget()
    more = []
    for _ in range(9):
        clock.move(minutes=1)
        more.append(await forwarded(client, as_))
        await posted(app)
    assert post.mails(HEAD) == []
    clock.move(minutes=1)
    await posted(app)
    (mail,) = post.mails(HEAD)
    assert all(code in mail.get_content() for code in more)
    assert first not in mail.get_content()


async def test_what_waits_for_the_letter_of_the_day_leaves_when_at_once_is_chosen(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock, post: Sink
) -> None:
    await choose(app, browser("head"), post, "digest")
    code = await forwarded(client, as_)
    await posted(app)
    assert post.mails(HEAD) == []
    await browser("head").post("/account/notices/email", data={"mode": "at_once", "digest_at": "07:30"})
    await posted(app)
    (mail,) = post.mails(HEAD)
    assert code in mail.get_content()


async def test_what_was_seen_or_done_meanwhile_is_not_in_the_letter(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock, post: Sink
) -> None:
    await choose(app, browser("officer"), post, "digest", to="an@tinh.example")
    code = await forwarded(client, as_)
    await done(as_("officer"), code, "accept")
    clock.to("2026-03-06T16:00")  # reminded twice, which is one line of the letter
    await posted(app)
    other = await forwarded(client, as_)
    await done(as_("officer"), other, "accept")
    await done(as_("head"), other, "assign_officer", {"officer": "officer@demo"})
    await tell(app)
    clock.to("2026-03-09T07:30")
    await posted(app)
    (mail,) = post.mails("an@")
    assert mail["Subject"] == "1022: 2 phản ánh cần anh/chị xem, 1 quá hạn"
    lines = [line for line in mail.get_content().splitlines() if line.startswith("- ")]
    assert [line.split(": ")[0] for line in lines] == [f"- {code}", f"- {other}"]  # what is late first
    post.forget()
    clock.to("2026-03-09T08:00")
    async with state(app).database.transaction() as session:
        await session.execute(text("UPDATE limits SET next_at = NULL"))
    third = await forwarded(client, as_)
    await done(as_("officer"), third, "accept")
    clock.to("2026-03-10T16:00")
    await tell(app)
    await done(as_("officer"), third, "submit_answer", {"reply": "Đã vá."})
    await browser("officer").post("/console/notices/seen", data={"upto": str(2**62)})
    clock.to("2026-03-12T07:30")
    await posted(app)
    assert post.mails("an@") == []


async def test_an_emergency_does_not_wait_for_the_letter_of_the_day(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock, post: Sink
) -> None:
    await choose(app, browser("head"), post, "digest")
    body = {"text": "Cây đổ chắn đường", "field": "infra.tree", "urgency": "emergency", "channel": "voice"}
    code = (await as_("agent").post("/api/v1/cases", json=body)).json()["code"]
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD})
    await posted(app)
    (mail,) = post.mails(HEAD)
    assert f"- [KHẨN CẤP] {code}" in mail.get_content()


async def test_of_restricted_cases_a_letter_only_says_how_many_there_are(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock, post: Sink
) -> None:
    await choose(app, browser("inspector"), post, "at_once", to="minh@tinh.example")
    await choose(app, browser("head"), post, "at_once")
    code = await forwarded(client, as_)
    await done(as_("inspector"), code, "set_track", {"track": "denunciation"})
    clock.to("2026-03-20T09:00")
    await posted(app)
    assert post.mails(HEAD) == []
    (mail,) = post.mails("minh@")
    assert code not in mail.get_content()
    assert "phản ánh thuộc luồng hạn chế: chỉ xem được trong hệ thống." in mail.get_content()


async def test_a_letter_that_waits_forgets_a_case_that_becomes_restricted(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock, post: Sink
) -> None:
    await choose(app, browser("head"), post, "at_once")
    code, other = await forwarded(client, as_), await forwarded(client, as_)
    here = state(app)
    await tell(app)
    async with here.database.transaction() as session:
        await digests.run(session, await here.routing.get(session), here.adapters, clock(), site="http://1022.test")
    await done(as_("inspector"), code, "set_track", {"track": "denunciation"})
    await deliver(app)
    (mail,) = post.mails(HEAD)
    assert code not in mail.get_content()
    assert other in mail.get_content()


async def test_an_address_counts_only_after_its_code_has_come_back(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock, post: Sink
) -> None:
    head, other = browser("head"), browser("head2")
    wrong = await head.post("/account/notices/address", data={"address": "không phải thư"})
    assert (wrong.status_code, "Địa chỉ e-mail không đúng" in wrong.text) == (422, True)
    refused = await head.post("/account/notices/email", data={"mode": "at_once"})
    assert (refused.status_code, "xác nhận địa chỉ" in refused.text) == (422, True)
    await head.post("/account/notices/address", data={"address": HEAD})
    await deliver(app)
    (mail,) = post.mails(HEAD)
    digits = mail.get_content()[:6]
    await forwarded(client, as_)
    await posted(app)
    assert post.mails(HEAD) == [mail] or len(post.mails(HEAD)) == 1  # nothing but the code
    assert (await other.post("/account/notices/code", data={"code": digits})).status_code == 422  # somebody else
    for guess in ("000000" if digits != "000000" else "111111", "", "abc"):
        assert (await head.post("/account/notices/code", data={"code": guess})).status_code == 422
    assert (await head.post("/account/notices/code", data={"code": digits})).status_code == 303
    assert (await head.post("/account/notices/code", data={"code": digits})).status_code == 422  # once
    assert HEAD in (await head.get("/account/notices")).text
    # Five wrong tries end a code, and so do ten minutes.
    await head.post("/account/notices/address", data={"address": "moi@tinh.example"})
    await deliver(app)
    fresh = post.mails("moi@")[0].get_content()[:6]
    for _ in range(5):
        await head.post("/account/notices/code", data={"code": "x"})
    assert (await head.post("/account/notices/code", data={"code": fresh})).status_code == 422
    post.forget()
    await head.post("/account/notices/address", data={"address": "moi@tinh.example"})
    await deliver(app)
    clock.move(minutes=11)
    late = post.mails("moi@")[0].get_content()[:6]
    assert (await head.post("/account/notices/code", data={"code": late})).status_code == 422
    assert HEAD in (await head.get("/account/notices")).text
    # Nobody floods a mailbox with codes.
    answers = [await head.post("/account/notices/address", data={"address": "a@tinh.example"}) for _ in range(4)]
    assert answers[-1].status_code == 429


async def test_an_address_that_is_dropped_is_written_to_no_more(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock, post: Sink
) -> None:
    head = browser("head")
    await choose(app, head, post, "at_once")
    await head.post("/account/notices/email", data={"mode": "none"})
    await forwarded(client, as_)
    await posted(app)
    assert post.mails(HEAD) == []
    await head.post("/account/notices/email", data={"mode": "at_once"})
    await posted(app)
    assert post.mails(HEAD) == []  # what happened while nothing was wanted stays in the console
    await forwarded(client, as_)
    await tell(app)
    assert (await head.post("/account/notices/email/drop")).status_code == 303
    await posted(app)
    assert post.mails(HEAD) == []
    assert HEAD not in (await head.get("/account/notices")).text


async def test_a_worker_that_dies_between_leaves_neither_none_nor_two(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, clock: Clock, post: Sink
) -> None:
    here = state(app)
    await choose(app, browser("head"), post, "at_once")
    await forwarded(client, as_)
    await tell(app)

    async def dies() -> None:
        async with here.database.transaction() as session:
            found = await digests.run(
                session, await here.routing.get(session), here.adapters, clock(), site="http://1022.test"
            )
            assert found == 1
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        await dies()
    for _ in range(3):
        await posted(app)
    assert len(post.mails(HEAD)) == 1


async def test_who_starts_the_bot_with_their_code_is_told_there(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, hotline: Hotline
) -> None:
    await clear(app)
    head, who = browser("head"), a_number()
    page = (await head.post("/account/notices/invite", data={"channel": "telegram"})).text
    found = re.search(r"/start ([a-z0-9]{16})", page)
    assert found
    stranger = a_number()
    await hotline.hear("telegram", telegram(stranger, "/start abcdefgh23456789"))
    await hotline.hear("telegram", telegram(who, f"/start {found[1]}"))
    await hotline.hear("telegram", telegram(stranger, f"/start {found[1]}"))  # once
    await hotline.work()
    assert who in (await head.get("/account/notices")).text
    assert (await head.post("/account/notices/telegram", data={"mode": "at_once"})).status_code == 303
    assert await hotline.cases(who) == []
    code = await forwarded(client, as_)
    await posted(app)
    told = [message for message in hotline.boxes["telegram"].sent if message.purpose == "unit.notices"]
    assert [message.to.handle for message in told] == [who]
    assert told[0].text.startswith("1022: 1 phản ánh cần anh/chị xem\n")
    assert code in told[0].text


@pytest.mark.parametrize(
    ("mode", "posted_at", "pressing", "expected"),
    [
        ("at_once", None, False, "03-03T08:15"),
        ("at_once", "03-03T08:10", False, "03-03T08:20"),
        ("at_once", "03-03T07:00", False, "03-03T08:15"),
        ("digest", None, False, "03-04T07:30"),
        ("digest", None, True, "03-03T08:15"),
        ("digest", "03-03T08:10", True, "03-03T08:20"),
    ],
)
def test_when_the_next_message_may_leave(mode: str, posted_at: str | None, pressing: bool, expected: str) -> None:
    way = NoticeWay(
        staff_id=UUID(int=1),
        channel="email",
        mode=mode,
        handle=HEAD,
        verified_at=moment("03-01T08:00"),
        digest_at=time(7, 30),
        posted_at=moment(posted_at) if posted_at else None,
    )
    assert next_post(way, moment("03-03T08:15"), ZONE, pressing=pressing) == moment(expected)


def test_a_letter_counts_what_it_has_no_room_for() -> None:
    told = [Told("BP-26-0000019", "breach", "resolve", None, False, 1), Told(None, "breach", "resolve", None, False, 1)]
    title, said = letter(told, 100_000, 99_000, 7, "http://1022.test/console/notices")
    assert title == "1022: 100000 phản ánh cần anh/chị xem, 99000 quá hạn"
    assert "- BP-26-0000019: quá hạn, xử lý và trình kết quả" in said
    assert "và 99992 phản ánh khác." in said
    assert "7 phản ánh thuộc luồng hạn chế" in said


def moment(local: str) -> datetime:
    return datetime.fromisoformat(f"2026-{local}:00+07:00").astimezone(UTC)
