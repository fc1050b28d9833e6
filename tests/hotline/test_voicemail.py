"""Words left after the tone become a case that is called back, once, with the sound hanging at its line."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import update
from sqlmodel import col, select

from cases.models import Case, CaseLink, Identity
from channels.models import Outgoing, Received
from hotline import tasks
from hotline.models import CallSession, CallTask, Recording
from tests.calling import NUMBER, Telephone
from tests.factories import Clock, state


@pytest.fixture
async def telephone(app: FastAPI, clock: Clock) -> Telephone:
    """Nothing is due of what earlier tests left."""
    async with state(app).database.transaction() as session:
        await session.execute(update(Recording).values(run_at=None, dead_at=None))
    return Telephone(state(app), clock)


async def cases_of(telephone: Telephone, caller: str) -> list[Case]:
    async with telephone.here.database.transaction() as session:
        theirs = select(Case).where(col(Case.contact)["phone"].astext == caller).order_by(col(Case.id))
        return list((await session.exec(theirs)).all())


async def messages_of(telephone: Telephone, case: Case) -> list[Outgoing]:
    async with telephone.here.database.transaction() as session:
        return list((await session.exec(select(Outgoing).where(Outgoing.subject_id == case.id))).all())


async def test_a_voicemail_is_a_case_before_its_sound_is_fetched(telephone: Telephone) -> None:
    call = await telephone.call("+84912345678")
    sid, _ = await telephone.leaves(call, 42)
    telephone.carrier.sounds.clear()  # the carrier cannot give it now
    await telephone.work()
    row = await telephone.recording(sid)
    assert row.state == "announced"
    case = await telephone.case_of(row)
    assert (case.channel, case.status, case.contact) == ("voice", "received", {"phone": "+84912345678"})
    assert case.received_at == row.announced_at
    [line] = await telephone.entries(case)
    assert (line.id, line.kind, line.author_kind) == (row.entry_id, "report", "citizen")
    assert line.text == ("Tin nhắn thoại 0:42 từ số đuôi 678\nLúc 08:15 ngày 03/03/2026. Xin nghe bản ghi kèm theo.")
    async with telephone.here.database.transaction() as session:
        kept = (await session.exec(select(Received).where(Received.subject_id == case.id))).one()
        assert (kept.channel, kept.account, kept.external_id) == ("voice", NUMBER, f"{sid}:voicemail")
        assert (await session.get_one(CallSession, call.id)).case_id == case.id
        known = select(Identity).where(Identity.scheme == "phone", Identity.handle == "+84912345678")
        assert (await session.exec(known)).one().citizen_id == case.citizen_id


@pytest.mark.parametrize("wish", ["report", "agent", ""])
async def test_whoever_leaves_words_is_called_back_within_half_an_hour_of_work(
    telephone: Telephone, clock: Clock, wish: str
) -> None:
    clock.to("2026-03-03T16:45")
    row = await telephone.voicemail(wish=wish)
    case = await telephone.case_of(row)
    task = await telephone.task_of(case)
    assert task is not None
    assert (task.kind, task.state, task.calls, task.phone) == ("callback", "open", 1, case.contact["phone"])
    assert task.due_at is not None
    assert task.due_at.astimezone(clock.now.tzinfo) == datetime.fromisoformat("2026-03-04T07:15:00+07:00"), (
        "15 minutes are left of the day, 15 are of the next"
    )
    assert ("Người gọi muốn gặp điện thoại viên." in case.text) is (wish == "agent")


async def test_told_of_again_in_any_order_it_stays_one_case(telephone: Telephone) -> None:
    call = await telephone.call()
    sid, _ = await telephone.leaves(call)
    await telephone.work()
    for _ in range(3):
        await telephone.told(call, sid=sid, url=telephone.address(sid), duration=42, status="completed")
        await telephone.told(call, sid=sid, url=telephone.address(sid), duration=42)
        await telephone.work()
    assert len(await cases_of(telephone, call.caller or "")) == 1
    case = await telephone.case_of(await telephone.recording(sid))
    assert len(await telephone.entries(case)) == 1


async def test_two_recordings_of_one_call_are_two_lines_of_one_case(telephone: Telephone) -> None:
    call = await telephone.call()
    first, _ = await telephone.leaves(call, 20)
    second, _ = await telephone.leaves(call, 30)
    await telephone.work()
    rows = [await telephone.recording(sid) for sid in (first, second)]
    assert rows[0].case_id == rows[1].case_id
    assert rows[0].entry_id != rows[1].entry_id
    case = await telephone.case_of(rows[0])
    assert {line.id for line in await telephone.entries(case)} == {row.entry_id for row in rows}
    assert (await telephone.task_of(case)) is not None
    assert len(await messages_of(telephone, case)) == 1, "the code is told once"


#  minutes after the first voicemail, status its case has then → the second goes into it
CONTINUES: list[tuple[float, str, bool]] = [
    (3, "received", True),
    (9, "in_progress", True),
    (30, "received", False),
    (60 * 24, "received", False),
    (60 * 24 * 5, "waiting_citizen", True),
    (60 * 24, "closed", False),
]


@pytest.mark.parametrize(("minutes", "status", "joins"), CONTINUES)
async def test_a_second_voicemail_goes_where_a_second_message_would(
    telephone: Telephone, clock: Clock, minutes: float, status: str, joins: bool
) -> None:
    first = await telephone.voicemail()
    case = await telephone.case_of(first)
    async with telephone.here.database.transaction() as session:
        await session.execute(
            update(Case)
            .where(col(Case.id) == case.id)
            .values(status=status, waiting_from="in_progress" if status == "waiting_citizen" else None)
        )
    clock.move(minutes=minutes)
    second = await telephone.voicemail(case.contact["phone"])
    assert (second.case_id == case.id) is joins
    async with telephone.here.database.transaction() as session:
        links = (await session.exec(select(CaseLink).where(CaseLink.other_id == second.case_id))).all()
    assert [link.case_id for link in links] == ([case.id] if not joins and status == "received" else [])


async def test_a_hidden_number_is_a_case_without_a_number_and_a_task_to_hear_it_out(telephone: Telephone) -> None:
    row = await telephone.voicemail(caller=None)
    case = await telephone.case_of(row)
    assert "số không hiện" in case.text
    assert "phone" not in case.contact
    task = await telephone.task_of(case)
    assert task is not None
    assert task.phone is None


async def test_words_of_a_call_nothing_is_known_of_wait_for_it_a_little(telephone: Telephone, clock: Clock) -> None:
    call = await telephone.call(caller=None, menu={"heard": "voicemail"}, state="queued", ended_at=None)
    sid, _ = await telephone.leaves(call)
    await telephone.work()
    row = await telephone.recording(sid)
    assert (row.case_id, row.state) == (None, "removed"), "the sound does not wait"
    async with telephone.here.database.transaction() as session:
        known = {"caller": "+84987654321", "menu": {"token": "x", "wish": "report", "heard": "voicemail"}}
        await session.execute(update(CallSession).where(col(CallSession.id) == call.id).values(**known))
    clock.move(minutes=1)
    await telephone.work()
    case = await telephone.case_of(await telephone.recording(sid))
    assert case.contact == {"phone": "+84987654321"}


async def test_words_of_a_call_that_stays_unknown_become_a_case_all_the_same(
    telephone: Telephone, clock: Clock
) -> None:
    call = await telephone.call(caller=None, menu={}, state="queued", ended_at=None)
    sid, _ = await telephone.leaves(call)
    await telephone.work()
    clock.move(minutes=3)
    await telephone.work()
    assert "số không hiện" in (await telephone.case_of(await telephone.recording(sid))).text


#  number, → whether the code goes there by SMS
TOLD: list[tuple[str | None, bool]] = [
    ("+84912000001", True),
    ("+842713888999", False),  # a telephone on a table
    (None, False),
]


@pytest.mark.parametrize(("caller", "told"), TOLD)
async def test_the_code_goes_by_sms_where_the_number_takes_one(
    telephone: Telephone, caller: str | None, told: bool
) -> None:
    row = await telephone.voicemail(caller)
    case = await telephone.case_of(row)
    sent = await messages_of(telephone, case)
    assert [(each.channel, each.handle, each.purpose) for each in sent] == (
        [("sms", caller, "receipt")] if told else []
    )
    assert all(case.code in each.text for each in sent)


async def test_who_calls_without_end_is_not_written_to_without_end(telephone: Telephone, clock: Clock) -> None:
    told = 0
    for _ in range(8):
        clock.move(minutes=6, seconds=30)
        row = await telephone.voicemail("+84912000002")
        async with telephone.here.database.transaction() as session:
            await session.execute(update(Case).values(status="spam").where(col(Case.id) == row.case_id))
        told += len(await messages_of(telephone, await telephone.case_of(row)))
    assert told == 5


async def test_missed_calls_of_a_number_end_with_its_words_and_count_no_longer(
    telephone: Telephone, clock: Clock
) -> None:
    caller = "+84912000003"
    missed = await telephone.call(caller, "", outcome="missed")
    async with telephone.here.database.transaction() as session:
        call = await session.get_one(CallSession, missed.id)
        await tasks.settle(session, call, await telephone.here.routing.get(session))
    clock.move(minutes=2)
    row = await telephone.voicemail(caller)
    async with telephone.here.database.transaction() as session:
        found: Any = (await session.exec(select(CallTask).where(CallTask.phone == caller))).all()
    open_ones = [task for task in found if task.state == "open"]
    assert [(task.kind, task.calls, task.case_id) for task in open_ones] == [("callback", 1, row.case_id)]


async def test_a_restricted_track_is_found_in_no_voicemail(telephone: Telephone) -> None:
    """Nobody has heard the words yet: whoever does sets the track."""
    case = await telephone.case_of(await telephone.voicemail())
    assert (case.track, case.restricted) == ("ordinary", False)
    assert timedelta(0) < (case.next_due_at or case.received_at) - case.received_at
