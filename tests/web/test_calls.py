"""Calls for staff: who has to be called, which came, and their recordings, heard by who may and by nobody else."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response
from sqlalchemy import update
from sqlmodel import col, select

from cases.models import Case
from core.journal import Journal
from hotline import tasks
from hotline.models import CallSession, CallTask, Recording, RecordingAccess
from tests.calling import Telephone, a_sound
from tests.factories import As, Clock, a_report, case_of, done, state
from web.recordings import part_of


@pytest.fixture
async def telephone(app: FastAPI, clock: Clock) -> Telephone:
    """Nothing waits of what earlier tests left."""
    here = state(app)
    async with here.database.transaction() as session:
        await session.execute(update(Recording).values(run_at=None, dead_at=None))
        await session.execute(update(CallTask).values(state="done"))
    return Telephone(here, clock)


async def missed(telephone: Telephone, caller: str, outcome: str = "missed") -> CallTask:
    """A call that came to nothing, and what it leaves to do."""
    call = await telephone.call(caller, "", outcome=outcome)
    async with telephone.here.database.transaction() as session:
        mine = await session.get_one(CallSession, call.id)
        await tasks.settle(session, mine, await telephone.here.routing.get(session))
    async with telephone.here.database.transaction() as session:
        return (await session.exec(select(CallTask).where(CallTask.phone == caller, CallTask.state == "open"))).one()


async def restrict(telephone: Telephone, row: Recording) -> None:
    async with telephone.here.database.transaction() as session:
        await session.execute(
            update(Case).where(col(Case.id) == row.case_id).values(restricted=True, track="denunciation")
        )


async def listened_to(telephone: Telephone, row: Recording) -> list[RecordingAccess]:
    async with telephone.here.database.transaction() as session:
        found = select(RecordingAccess).where(RecordingAccess.recording_id == row.id).order_by(col(RecordingAccess.at))
        return list((await session.exec(found)).all())


async def journal_of(telephone: Telephone, subject: UUID) -> list[Journal]:
    async with telephone.here.database.transaction() as session:
        found = select(Journal).where(Journal.subject == str(subject)).order_by(col(Journal.id))
        return list((await session.exec(found)).all())


async def heard(client: AsyncClient, row: Recording, **headers: str) -> Response:
    return await client.get(f"/api/v1/recordings/{row.id}", headers=headers)


# ---- listening

#  who, → an ordinary case's recording, a restricted one's
EARS: list[tuple[str, int, int]] = [
    ("agent", 200, 404),
    ("dispatcher", 200, 404),
    ("supervisor", 200, 404),
    ("inspector", 200, 200),
    ("officer", 404, 404),  # of a unit that has no part in it
    ("leader", 403, 403),
    ("admin", 403, 403),
]


@pytest.mark.parametrize(("who", "ordinary", "restricted"), EARS)
async def test_a_recording_is_heard_by_who_sees_its_case_and_has_the_right(
    telephone: Telephone, as_: As, who: str, ordinary: int, restricted: int
) -> None:
    row = await telephone.voicemail()
    assert (await heard(as_(who), row)).status_code == ordinary
    await restrict(telephone, row)
    assert (await heard(as_(who), row)).status_code == restricted
    assert len(await listened_to(telephone, row)) == (ordinary == 200) + (restricted == 200 and ordinary != 200)


async def test_the_unit_that_has_the_case_hears_it_and_no_other(telephone: Telephone, as_: As) -> None:
    row = await telephone.voicemail()
    case = await telephone.case_of(row)
    await done(as_("dispatcher"), case.code, "classify", {"field": "infra.road"})
    await done(as_("dispatcher"), case.code, "forward", {"lead": "so-xd"})
    assert (await heard(as_("officer"), row)).status_code == 200
    assert (await heard(as_("officer2"), row)).status_code == 404


async def test_nobody_hears_anything_without_signing_in(telephone: Telephone, client: AsyncClient) -> None:
    row = await telephone.voicemail()
    assert (await heard(client, row)).status_code == 401
    case = await telephone.case_of(row)
    answer = await client.get(f"/api/v1/recordings/{row.id}?code={case.code}&key=abc")
    assert answer.status_code == 401
    assert await listened_to(telephone, row) == []


async def test_the_sound_is_whole_and_kept_by_nothing_in_between(telephone: Telephone, as_: As) -> None:
    sound = a_sound(20)
    sid, _ = await telephone.leaves(await telephone.call(), sound=sound)
    await telephone.work()
    answer = await heard(as_("agent"), await telephone.recording(sid))
    assert answer.content == sound
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-length"] == str(len(sound))


#  what is asked for of 200,000 bytes → status, from, up to
RANGES: list[tuple[str, int, int, int]] = [
    ("bytes=0-", 206, 0, 200_000),
    ("bytes=0-1", 206, 0, 2),
    ("bytes=100-199", 206, 100, 200),
    ("bytes=65000-70000", 206, 65_000, 70_001),  # over the edge of a piece
    ("bytes=199999-", 206, 199_999, 200_000),
    ("bytes=-500", 206, 199_500, 200_000),
    ("bytes=-999999", 206, 0, 200_000),
    ("bytes=150000-999999", 206, 150_000, 200_000),
    ("bytes=200000-", 416, 0, 0),
    ("bytes=-0", 416, 0, 0),
    ("bytes=5-4", 200, 0, 200_000),
    ("bytes=-", 200, 0, 200_000),
    ("bytes=0-1,5-6", 200, 0, 200_000),
    ("pieces=0-1", 200, 0, 200_000),
    ("bytes=a-b", 200, 0, 200_000),
]


@pytest.fixture(scope="module")
def long_ones() -> dict[str, Any]:
    """The one long recording of this module."""
    return {}


@pytest.mark.parametrize(("asked", "status", "start", "end"), RANGES)
async def test_a_player_gets_the_part_it_asks_for(
    telephone: Telephone, as_: As, long_ones: dict[str, Any], asked: str, status: int, start: int, end: int
) -> None:
    if not long_ones:
        sound = (a_sound(14) * 2)[:200_000]
        sid, _ = await telephone.leaves(await telephone.call(), sound=sound)
        await telephone.work()
        long_ones.update(row=await telephone.recording(sid), sound=sound)
    row, sound = long_ones["row"], long_ones["sound"]
    assert len(sound) == 200_000
    answer = await heard(as_("agent"), row, Range=asked)
    assert answer.status_code == status
    assert answer.content == sound[start:end]
    if status == 206:
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/200000"
    elif status == 416:
        assert answer.headers["content-range"] == "bytes */200000"


def test_no_part_of_nothing() -> None:
    assert part_of("bytes=0-", 0) == ()
    assert part_of(None, 0) is None


async def test_every_listening_is_written_down_with_its_purpose_and_once_for_one_player(
    telephone: Telephone, as_: As, clock: Clock
) -> None:
    row = await telephone.voicemail()
    for part in ("bytes=0-", "bytes=1000-", "bytes=500-"):
        await heard(as_("agent"), row, Range=part)
    await as_("supervisor").get(f"/api/v1/recordings/{row.id}")
    clock.move(minutes=11)
    await heard(as_("agent"), row, Range="bytes=700-")
    await as_("agent").get(f"/api/v1/recordings/{row.id}?purpose=quality")
    purposes = ["handling", "quality", "handling", "quality"]
    assert [each.purpose for each in await listened_to(telephone, row)] == purposes
    told = [each for each in await journal_of(telephone, row.id) if each.kind == "recording.play"]
    assert [each.data["purpose"] for each in told] == purposes
    assert all(set(each.data) == {"code", "recording", "purpose"} for each in told), "no personal data"
    assert (await as_("agent").get(f"/api/v1/recordings/{row.id}?purpose=fun")).status_code == 422


#  state of the recording → what is said instead of a sound
SILENT: list[tuple[str, str]] = [
    ("announced", "Bản ghi chưa được chép về. Xin thử lại sau ít phút."),
    ("lost", "Nhà mạng không còn bản ghi này."),
    ("expired", "Bản ghi đã hết thời gian lưu và đã được xóa."),
]


@pytest.mark.parametrize(("status", "told"), SILENT)
async def test_where_there_is_no_sound_it_is_said_why_and_nobody_has_listened(
    telephone: Telephone, as_: As, status: str, told: str
) -> None:
    row = await telephone.voicemail()
    async with telephone.here.database.transaction() as session:
        await session.execute(update(Recording).where(col(Recording.id) == row.id).values(state=status))
    answer = await heard(as_("agent"), row)
    assert (answer.status_code, answer.json()["detail"]) == (404, told)
    assert await listened_to(telephone, row) == []


async def test_a_file_that_was_changed_on_the_disk_is_not_played(telephone: Telephone, as_: As) -> None:
    one, other = await telephone.voicemail(), await telephone.voicemail()
    async with telephone.here.database.transaction() as session:
        await session.execute(update(Recording).where(col(Recording.id) == one.id).values(file=other.file))
    assert (await heard(as_("agent"), one)).status_code == 404
    assert (await as_("agent").get(f"/api/v1/recordings/{uuid4()}")).status_code == 404


async def test_a_recording_is_held_as_evidence_by_who_may(telephone: Telephone, as_: As) -> None:
    row = await telephone.voicemail()
    url = f"/api/v1/recordings/{row.id}/hold"
    assert (await as_("agent").post(url, json={"held": True})).status_code == 403
    assert (await as_("supervisor").post(url, json={"held": True})).json()["held"] is True
    assert (await telephone.recording(row.provider_recording_id)).held
    assert (await as_("inspector").post(url, json={"held": False})).json()["held"] is False
    kinds = [each.kind for each in await journal_of(telephone, row.id)]
    assert kinds[-2:] == ["recording.hold", "recording.release"]


# ---- who has to be called


async def test_whoever_waits_is_listed_due_first_with_number_masked(
    telephone: Telephone, as_: As, client: AsyncClient, clock: Clock
) -> None:
    await a_report(client, contact={"phone": "0912000101"})
    first = await missed(telephone, "+84912000101")
    clock.move(minutes=1)
    await missed(telephone, "+84912000101")
    clock.move(minutes=5)
    asked = await missed(telephone, "+84912000102", "callback")
    clock.move(minutes=5)
    row = await telephone.voicemail("+84912000103")
    items = (await as_("agent").get("/api/v1/call-tasks")).json()["items"]
    case = await telephone.case_of(row)
    assert [(each["phone"], each["kind"], each["calls"], each["earlier_cases"], each["case"]) for each in items] == [
        ("*********102", "callback", 1, 0, None),
        ("*********103", "callback", 1, 0, case.code),
        ("*********101", "missed", 2, 1, None),
    ]
    assert items[0]["due_at"] < items[1]["due_at"]
    assert items[2]["due_at"] is None
    assert items[2]["last_at"] > items[2]["opened_at"]
    assert {items[0]["id"], items[2]["id"]} == {str(asked.id), str(first.id)}


#  who → reads the lists, sees the number and closes
STAFF: list[tuple[str, int, int]] = [
    ("agent", 200, 200),
    ("dispatcher", 200, 200),
    ("supervisor", 200, 200),
    ("inspector", 200, 200),
    ("officer", 403, 403),
    ("leader", 403, 403),
    ("admin", 403, 403),
]


@pytest.mark.parametrize(("who", "reads", "works"), STAFF)
async def test_calls_are_the_centres(telephone: Telephone, as_: As, who: str, reads: int, works: int) -> None:
    task = await missed(telephone, "+84912000104")
    client = as_(who)
    assert (await client.get("/api/v1/calls")).status_code == reads
    assert (await client.get("/api/v1/call-tasks")).status_code == reads
    assert (await client.get(f"/api/v1/call-tasks/{task.id}")).status_code == works
    assert (await client.post(f"/api/v1/call-tasks/{task.id}/close", json={})).status_code == works


async def test_calls_are_nobodys_who_is_not_signed_in(telephone: Telephone, client: AsyncClient) -> None:
    task = await missed(telephone, "+84912000105")
    for url in ("/api/v1/calls", "/api/v1/call-tasks", f"/api/v1/call-tasks/{task.id}"):
        assert (await client.get(url)).status_code == 401
    assert (await client.post(f"/api/v1/call-tasks/{task.id}/close", json={})).status_code == 401


async def test_the_number_is_shown_to_who_calls_and_that_is_written_down(telephone: Telephone, as_: As) -> None:
    task = await missed(telephone, "+84912000106")
    answer = await as_("agent").get(f"/api/v1/call-tasks/{task.id}")
    assert answer.json()["phone"] == "+84912000106"
    last = (await journal_of(telephone, task.id))[-1]
    assert (last.kind, last.data) == ("call_task.number", {"task": str(task.id)})


async def test_a_task_is_closed_once_with_what_came_of_it(telephone: Telephone, as_: As) -> None:
    task = await missed(telephone, "+84912000107")
    url = f"/api/v1/call-tasks/{task.id}/close"
    assert (await as_("agent").post(url, json={"outcome": "nonsense"})).status_code == 422
    closed = await as_("agent").post(url, json={"outcome": "unreachable"})
    assert closed.json()["state"] == "done"
    assert (await as_("agent").post(url, json={})).status_code == 200, "again by the same person"
    assert (await as_("supervisor").post(url, json={})).status_code == 409
    last = (await journal_of(telephone, task.id))[-1]
    assert (last.kind, last.data["came"]) == ("call_task.close", "unreachable")
    assert (await as_("agent").get("/api/v1/call-tasks")).json()["items"] == []


async def test_calls_of_restricted_cases_are_told_to_inspectors_only(telephone: Telephone, as_: As) -> None:
    row = await telephone.voicemail("+84912000108")
    await restrict(telephone, row)
    case = await telephone.case_of(row)
    task = await telephone.task_of(case)
    assert task is not None
    for who, sees in (("agent", False), ("supervisor", False), ("inspector", True)):
        client = as_(who)
        calls = (await client.get("/api/v1/calls")).json()["items"]
        waiting = (await client.get("/api/v1/call-tasks")).json()["items"]
        assert (case.code in [each["case"] for each in calls]) is sees
        assert (case.code in [each["case"] for each in waiting]) is sees
        assert (str(row.session_id) in [each["id"] for each in calls]) is sees
        assert (await client.get(f"/api/v1/call-tasks/{task.id}")).status_code == (200 if sees else 404)
        if not sees:
            assert (await client.post(f"/api/v1/call-tasks/{task.id}/close", json={})).status_code == 404


async def test_a_call_owed_in_a_restricted_case_stays_owed_when_somebody_else_speaks_with_the_number(
    telephone: Telephone, as_: As
) -> None:
    row = await telephone.voicemail("+84912000116")
    await restrict(telephone, row)
    task = await telephone.task_of(await telephone.case_of(row))
    assert task is not None
    body = {"text": "Đèn đường tắt trước nhà", "channel": "voice", "contact": {"phone": "0912 000 116"}}
    assert (await as_("agent").post("/api/v1/cases", json=body)).status_code == 201
    waiting = (await as_("inspector").get("/api/v1/call-tasks")).json()["items"]
    assert str(task.id) in [each["id"] for each in waiting]


async def test_calls_are_listed_newest_first_page_by_page(telephone: Telephone, as_: As, clock: Clock) -> None:
    clock.to("2026-03-11T09:00")
    made = []
    for _ in range(5):
        clock.move(minutes=1)
        made.append(str((await telephone.call(outcome="served")).id))
    client, seen, cursor = as_("agent"), [], ""
    for _ in range(3):
        page = (await client.get(f"/api/v1/calls?limit=2{cursor}")).json()
        seen += page["items"]
        cursor = f"&cursor={page['next_cursor']}"
    assert [each["id"] for each in seen][:5] == made[::-1]
    assert all(re.fullmatch(r"\*+\d{3}", each["caller"]) for each in seen)
    assert (await client.get("/api/v1/calls?cursor=nonsense")).status_code == 422


# ---- pages


async def test_the_page_shows_who_waits_and_what_came(telephone: Telephone, browser: As) -> None:
    task = await missed(telephone, "+84912000109")
    row = await telephone.voicemail("+84912000110")
    case = await telephone.case_of(row)
    html = (await browser("agent").get("/console/calls")).text
    assert f'id="task-{task.id}"' in html
    assert f'src="/api/v1/recordings/{row.id}"' in html
    assert f"/console/cases/{case.code}" in html
    assert f"/console/new?task={task.id}" in html
    assert "912000109" not in html
    assert "912000110" not in html


@pytest.mark.parametrize("who", ["officer", "leader", "admin"])
async def test_the_page_and_its_place_in_the_rail_are_the_centres(telephone: Telephone, browser: As, who: str) -> None:
    assert (await browser(who).get("/console/calls")).status_code == 403
    assert (await browser(who).get("/console/calls/count")).status_code == 403
    if who == "officer":
        assert 'href="/console/calls"' not in (await browser(who).get("/console")).text
    assert 'href="/console/calls"' in (await browser("agent").get("/console")).text


async def test_the_rail_counts_who_waits(telephone: Telephone, browser: As) -> None:
    assert (await browser("agent").get("/console/calls/count")).text.strip() == ""
    await missed(telephone, "+84912000111")
    assert re.search(r">1<", (await browser("agent").get("/console/calls/count")).text)


async def test_the_page_tells_that_it_is_old(telephone: Telephone, browser: As, clock: Clock) -> None:
    clock.to("2026-03-12T09:00")
    since = int(clock().timestamp())
    url = f"/console/calls/news?since={since}"
    assert (await browser("agent").get(url)).status_code == 204
    clock.move(minutes=1)
    await missed(telephone, "+84912000112")
    answer = await browser("agent").get(url)
    assert (answer.status_code, "tải lại" in answer.text) == (200, True)
    for bad in ("-1", "x", str(10**15)):
        assert (await browser("agent").get(f"/console/calls/news?since={bad}")).status_code == 422


async def test_number_and_outcome_by_the_pages_own_buttons(telephone: Telephone, browser: As) -> None:
    task = await missed(telephone, "+84912000113")
    agent, partial = browser("agent"), {"HX-Request": "true"}
    shown = await agent.post(f"/console/calls/{task.id}/number", headers=partial)
    assert "0912 000 113" in shown.text
    assert 'href="tel:+84912000113"' in shown.text
    wrong = await agent.post(f"/console/calls/{task.id}/close", data={"came": "x"}, headers=partial)
    assert wrong.status_code == 422
    closed = await agent.post(f"/console/calls/{task.id}/close", data={"came": "reached"}, headers=partial)
    assert (closed.status_code, closed.text) == (200, "")
    assert str(task.id) not in (await agent.get("/console/calls")).text


async def test_a_number_of_no_country_is_shown_as_it_came(telephone: Telephone, browser: As) -> None:
    task = await missed(telephone, "+99912000115")
    shown = await browser("agent").post(f"/console/calls/{task.id}/number", headers={"HX-Request": "true"})
    assert (shown.status_code, ">+99912000115<" in shown.text.replace("</svg>", "</svg>>")) == (200, True)


async def test_a_button_of_another_site_does_nothing(telephone: Telephone, browser: As) -> None:
    task = await missed(telephone, "+84912000114")
    answer = await browser("agent").post(f"/console/calls/{task.id}/close", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


async def test_a_callers_case_is_taken_in_without_the_number_in_any_address(telephone: Telephone, browser: As) -> None:
    task = await missed(telephone, "+84912000115")
    agent = browser("agent")
    page = (await agent.get(f"/console/new?task={task.id}")).text
    assert 'value="+84912000115"' in page
    assert 'value="+84912000115"' not in (await agent.get("/console/new?phone=%2B84912000115")).text
    assert (await agent.get(f"/console/new?task={uuid4()}")).status_code == 404
    taken = await agent.post(
        "/console/new", data={"channel": "voice", "phone": "0912000115", "text": "Cây đổ trước cổng trường tiểu học"}
    )
    assert taken.status_code == 200
    async with telephone.here.database.transaction() as session:
        now = await session.get_one(CallTask, task.id)
        assert now.case_id is not None
        assert (now.state, (await session.get_one(Case, now.case_id)).channel) == ("reached", "voice")


async def test_the_line_of_the_case_has_a_player_and_the_call_that_is_owed(
    telephone: Telephone, browser: As, clock: Clock
) -> None:
    row = await telephone.voicemail()
    case = await telephone.case_of(row)
    page = await browser("agent").get(f"/console/cases/{case.code}")
    assert f'<audio controls controlslist="nodownload" preload="none" src="/api/v1/recordings/{row.id}"' in page.text
    assert "0:42" in page.text
    assert "Gọi lại người dân" in page.text
    assert "media-src 'self'" in page.headers["content-security-policy"]
    assert f'src="/api/v1/recordings/{row.id}"' not in (await browser("leader").get(f"/console/cases/{case.code}")).text


#  state of the recording → what the line says
SAID = [
    ("announced", "Bản ghi đang được chép về, xin chờ ít phút."),
    ("lost", "Nhà mạng không còn bản ghi này."),
    ("expired", "Bản ghi đã hết thời gian lưu và đã được xóa."),
]


@pytest.mark.parametrize(("status", "told"), SAID)
async def test_a_line_without_sound_says_why(telephone: Telephone, browser: As, status: str, told: str) -> None:
    row = await telephone.voicemail()
    async with telephone.here.database.transaction() as session:
        await session.execute(update(Recording).where(col(Recording.id) == row.id).values(state=status))
        case = await session.get_one(Case, row.case_id)
    page = (await browser("agent").get(f"/console/cases/{case.code}")).text
    assert told in page
    assert "<audio" not in page


async def test_a_citizen_never_finds_a_recording_on_the_tracking_page(
    telephone: Telephone, client: AsyncClient
) -> None:
    row = await telephone.voicemail()
    case = await telephone.case_of(row)
    answer = await client.get(f"/api/v1/reports/{case.code}")
    assert str(row.id) not in answer.text
    async with telephone.here.database.transaction() as session:
        assert (await case_of(session, case.code)).received_at - row.announced_at == timedelta(0)
