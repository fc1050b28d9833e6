"""A recording is told of often and kept once: with the carrier, with us sealed, with us alone, and in time nowhere."""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, BinaryIO

import httpx
import pytest
import structlog
from fastapi import FastAPI
from sqlalchemy import update
from sqlmodel import col, select

from cases.models import Case
from channels.adapter import Failure, RecordingGone, SendFailed
from channels.registry import recorders_for
from channels.twilio.client import Line
from channels.twilio.recordings import Recordings
from core.filestore import FileStore, LocalStore
from core.journal import Journal
from core.sealing import Unsealable
from core.settings import Settings
from hotline.models import Recording
from hotline.recordings import AT_ONCE, LEASE, open_sound
from tests.calling import KEY, Telephone, a_sound, files_of
from tests.factories import Clock, state

LATER = LEASE + timedelta(seconds=1)


class Killed(BaseException):
    """The worker dies here."""


@pytest.fixture
async def telephone(app: FastAPI, clock: Clock) -> Telephone:
    """Nothing is due of what earlier tests left."""
    async with state(app).database.transaction() as session:
        await session.execute(update(Recording).values(run_at=None, dead_at=None))
    return Telephone(state(app), clock)


@pytest.fixture
def files(telephone: Telephone) -> LocalStore:
    """The store, empty of what earlier tests left."""
    store = telephone.here.files
    assert isinstance(store, LocalStore)
    for path in store._root.rglob("*"):
        if path.is_file():
            path.unlink()
    return store


async def journal_of(telephone: Telephone, recording: Recording) -> list[str]:
    async with telephone.here.database.transaction() as session:
        rows = await session.exec(select(Journal).where(Journal.subject == str(recording.id)).order_by(col(Journal.id)))
        return [row.kind for row in rows]


DONE = {"status": "completed", "duration": 42}
TOLD: list[tuple[str, list[dict[str, Any]], str]] = [
    ("once", [DONE], "announced"),
    ("by both reports", [{"duration": 42}, DONE], "announced"),
    ("three times", [DONE, DONE, DONE], "announced"),
    ("its length in the second report only", [{"status": "completed"}, DONE], "announced"),
    ("while it is being made", [{"status": "in-progress"}, DONE], "announced"),
    ("of a slip", [{"status": "completed", "duration": 1}], "short"),
    ("of nothing", [{"status": "absent", "duration": 0}], "absent"),
    ("of nothing, then of something", [{"status": "absent"}, DONE], "announced"),
    ("of something, then of nothing", [DONE, {"status": "absent"}], "announced"),
]


@pytest.mark.parametrize(("events", "becomes"), [case[1:] for case in TOLD], ids=[case[0] for case in TOLD])
async def test_a_recording_is_one_row_however_it_is_told_of(
    telephone: Telephone, events: Sequence[dict[str, Any]], becomes: str
) -> None:
    call = await telephone.call()
    sid = f"RE{call.provider_call_id}"
    for event in events:
        await telephone.told(call, sid=sid, url=telephone.address(sid), **event)
    row = await telephone.recording(sid)
    assert row.state == becomes
    assert row.duration == (None if events == [{"status": "absent"}] else max(e.get("duration", 0) for e in events))
    await telephone.work()


async def test_a_recording_still_being_made_is_not_spoken_of(telephone: Telephone) -> None:
    call = await telephone.call()
    await telephone.told(call, sid="REnotyet", url=telephone.address("REnotyet"), status="in-progress")
    await telephone.told(call, status="completed")
    async with telephone.here.database.transaction() as session:
        assert (await session.exec(select(Recording).where(Recording.session_id == call.id))).all() == []


async def test_it_is_taken_sealed_checked_and_only_then_removed_at_the_carrier(
    telephone: Telephone, files: LocalStore
) -> None:
    sid, sound = await telephone.leaves(await telephone.call())
    await telephone.work()
    row = await telephone.recording(sid)
    assert (row.state, row.run_at, row.dead_at) == ("removed", None, None)
    assert (row.sha256, row.size, row.media_type) == (hashlib.sha256(sound).hexdigest(), len(sound), "audio/mpeg")
    assert row.retain_until == row.announced_at + timedelta(days=365)
    assert telephone.carrier.removed == [telephone.address(sid)]
    assert await journal_of(telephone, row) == ["recording.kept", "recording.removed"]
    [lying] = files_of(files)
    assert sound[:40] not in lying
    with await open_sound(files, KEY, row) as opened:
        assert b"".join(opened.read()) == sound


async def test_the_file_of_another_recording_does_not_open_in_its_place(
    telephone: Telephone, files: LocalStore
) -> None:
    one, other = await telephone.voicemail(), await telephone.voicemail()
    with pytest.raises(Unsealable):
        await open_sound(files, KEY, Recording(**{**one.model_dump(), "file": other.file}))
    assert await telephone.keeping().is_whole(one)


def damage(files: LocalStore, key: str) -> None:
    """One byte of a file that lies on the disk."""
    path = files._root / key
    path.write_bytes(path.read_bytes()[:-1] + b"?")


class DyingStore:
    """A store whose user dies before or after a write."""

    def __init__(self, store: FileStore, before: bool) -> None:
        self._store, self._before = store, before

    async def put(self, key: str, data: bytes) -> None:
        if not self._before:
            await self._store.put(key, data)
        raise Killed

    async def open(self, key: str) -> BinaryIO:
        return await self._store.open(key)

    async def exists(self, key: str) -> bool:
        return await self._store.exists(key)

    async def delete(self, key: str) -> None:
        await self._store.delete(key)


@pytest.mark.parametrize("where", ["in the sound", "before the file", "after the file", "at the removal", "twice"])
async def test_a_worker_killed_anywhere_leaves_one_file_one_case_and_nothing_at_the_carrier(
    telephone: Telephone, files: LocalStore, clock: Clock, where: str
) -> None:
    sid, sound = await telephone.leaves(await telephone.call())
    deaths: list[FileStore | None] = [None]
    if where == "in the sound":
        telephone.carrier.faults = [Killed()]
    elif where == "at the removal":
        real = telephone.carrier.remove_recording

        async def remove(address: str) -> None:
            await real(address)
            telephone.carrier.remove_recording = real  # type: ignore[method-assign]
            raise Killed

        telephone.carrier.remove_recording = remove  # type: ignore[method-assign]
    else:
        deaths = [DyingStore(files, where != "after the file")] * (2 if where == "twice" else 1)
    for store in deaths:
        with pytest.raises(Killed):
            await telephone.keeping(store).round()
        if where != "at the removal":
            assert telephone.address(sid) in telephone.carrier.sounds, "not removed before it is ours"
        clock.now += LATER
    await telephone.work()
    row = await telephone.recording(sid)
    assert row.state == "removed"
    assert telephone.address(sid) not in telephone.carrier.sounds
    assert len(files_of(files)) == 1
    with await open_sound(files, KEY, row) as opened:
        assert b"".join(opened.read()) == sound
    case = await telephone.case_of(row)
    assert len(await telephone.entries(case)) == 1
    assert await journal_of(telephone, row) == ["recording.kept", "recording.removed"]


async def test_after_the_file_is_there_it_is_not_fetched_again(
    telephone: Telephone, files: LocalStore, clock: Clock
) -> None:
    await telephone.leaves(await telephone.call())
    with pytest.raises(Killed):
        await telephone.keeping(DyingStore(files, before=False)).round()
    clock.now += LATER
    await telephone.work()
    assert len(telephone.carrier.fetched) == 1


async def test_a_file_that_was_damaged_before_it_counted_is_taken_anew(
    telephone: Telephone, files: LocalStore, clock: Clock
) -> None:
    sid, sound = await telephone.leaves(await telephone.call())
    with pytest.raises(Killed):
        await telephone.keeping(DyingStore(files, before=False)).round()
    half = await telephone.recording(sid)
    assert half.file is not None
    damage(files, half.file)
    clock.now += LATER
    await telephone.work()
    row = await telephone.recording(sid)
    assert (row.state, len(files_of(files))) == ("removed", 1)
    with await open_sound(files, KEY, row) as opened:
        assert b"".join(opened.read()) == sound


async def test_two_workers_at_once_keep_it_once(telephone: Telephone, files: LocalStore) -> None:
    sids = [(await telephone.leaves(await telephone.call()))[0] for _ in range(2 * AT_ONCE)]
    await asyncio.gather(*(telephone.work() for _ in range(3)))
    assert {(await telephone.recording(sid)).state for sid in sids} == {"removed"}
    assert len(telephone.carrier.fetched) == len(files_of(files)) == len(sids)


async def test_a_slow_worker_whose_row_has_passed_on_leaves_nothing(
    telephone: Telephone, files: LocalStore, clock: Clock
) -> None:
    sid, _ = await telephone.leaves(await telephone.call())
    real, slow = telephone.carrier.fetch_recording, asyncio.Event()

    async def fetch(address: str) -> Any:
        telephone.carrier.fetch_recording = real  # type: ignore[method-assign]
        async for piece in real(address):
            await slow.wait()
            yield piece

    telephone.carrier.fetch_recording = fetch  # type: ignore[method-assign]
    first = asyncio.create_task(telephone.keeping().round())
    await asyncio.sleep(0.2)
    clock.now += LATER
    await telephone.work()
    slow.set()
    await first
    row = await telephone.recording(sid)
    assert (row.state, row.run_at) == ("removed", None)
    assert len(files_of(files)) == 1


@pytest.mark.parametrize(
    "fault",
    [SendFailed(Failure.RETRYABLE, "down"), SendFailed(Failure.RATE_LIMITED, "too many"), OSError(), TimeoutError()],
    ids=["down", "rate", "broken", "slow"],
)
async def test_a_carrier_in_trouble_is_asked_again_and_later_each_time(
    telephone: Telephone, files: LocalStore, clock: Clock, fault: BaseException
) -> None:
    sid, _ = await telephone.leaves(await telephone.call())
    telephone.carrier.faults = [fault, fault]
    pauses = []
    for _ in range(2):
        await telephone.work()
        row = await telephone.recording(sid)
        assert row.state == "announced"
        assert row.case_id is not None, "its case does not wait for the sound"
        assert row.run_at is not None
        pauses.append(row.run_at - clock())
        clock.now = row.run_at
    assert pauses[1] > pauses[0] > timedelta(0)
    await telephone.work()
    assert (await telephone.recording(sid)).state == "removed"


async def test_what_cannot_be_removed_at_the_carrier_is_tried_again(
    telephone: Telephone, files: LocalStore, clock: Clock
) -> None:
    sid, _ = await telephone.leaves(await telephone.call())
    real = telephone.carrier.remove_recording

    async def refuse(address: str) -> None:
        raise SendFailed(Failure.REAUTHORISE, "the account is refused")

    telephone.carrier.remove_recording = refuse  # type: ignore[method-assign]
    await telephone.work()
    row = await telephone.recording(sid)
    assert (row.state, row.last_error) == ("kept", "the account is refused")
    telephone.carrier.remove_recording = real  # type: ignore[method-assign]
    clock.move(minutes=1)
    await telephone.work()
    assert (await telephone.recording(sid)).state == "removed"
    assert len(telephone.carrier.fetched) == 1


async def test_one_the_carrier_does_not_have_is_waited_for_then_lost_and_an_alarm(
    telephone: Telephone, files: LocalStore, clock: Clock
) -> None:
    sid, _ = await telephone.leaves(await telephone.call())
    sound = telephone.carrier.sounds.pop(telephone.address(sid))
    await telephone.work()
    assert (await telephone.recording(sid)).state == "announced", "it may not be ready yet"
    clock.move(minutes=11)
    with structlog.testing.capture_logs() as logs:
        await telephone.work()
    row = await telephone.recording(sid)
    assert (row.state, row.run_at) == ("lost", None)
    assert row.case_id is not None
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["recording lost at the carrier"]
    assert await journal_of(telephone, row) == ["recording.lost"]
    assert files_of(files) == []
    assert len(sound) > 0


@pytest.mark.parametrize(
    "sound",
    [b"<html>Service unavailable</html>", b"", b"\x89PNG\r\n\x1a\n" + b"\x00" * 100],
    ids=["page", "empty", "picture"],
)
async def test_what_is_no_sound_is_not_kept_and_stays_at_the_carrier(
    telephone: Telephone, files: LocalStore, sound: bytes
) -> None:
    sid, _ = await telephone.leaves(await telephone.call(), sound=sound)
    await telephone.work()
    row = await telephone.recording(sid)
    assert (row.state, row.last_error) == ("announced", "what the carrier gave is no sound")
    assert telephone.carrier.removed == []
    assert files_of(files) == []


async def test_what_is_too_large_is_given_up_with_an_alarm_and_tried_once_more_each_night(
    telephone: Telephone, files: LocalStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sid, _ = await telephone.leaves(await telephone.call())
    monkeypatch.setattr("hotline.recordings.LARGEST", 200)
    with structlog.testing.capture_logs() as logs:
        await telephone.work()
    row = await telephone.recording(sid)
    assert row.dead_at is not None
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["recording not settled"]
    monkeypatch.undo()
    clock.move(hours=20)
    await telephone.sweep(clock())
    await telephone.work()
    assert (await telephone.recording(sid)).state == "removed"


async def test_a_slip_is_removed_at_the_carrier_without_being_heard(telephone: Telephone, files: LocalStore) -> None:
    sid, _ = await telephone.leaves(await telephone.call(), seconds=1)
    await telephone.work()
    row = await telephone.recording(sid)
    assert (row.state, row.run_at, row.case_id) == ("short", None, None)
    assert telephone.carrier.removed == [telephone.address(sid)]
    assert telephone.carrier.fetched == []
    assert files_of(files) == []


class ForgetfulStore(DyingStore):
    """A store that says it has written."""

    async def put(self, key: str, data: bytes) -> None:
        return


async def test_what_cannot_be_read_again_is_not_removed_at_the_carrier(
    telephone: Telephone, files: LocalStore, clock: Clock
) -> None:
    sid, _ = await telephone.leaves(await telephone.call())
    await telephone.work(ForgetfulStore(files, before=True))
    assert (await telephone.recording(sid)).state == "announced"
    assert telephone.carrier.removed == []
    clock.move(minutes=1)
    await telephone.work()
    assert (await telephone.recording(sid)).state == "removed"


#  days old, status of the case, restricted, held → gone
KEPT: list[tuple[int, str, bool, bool, bool]] = [
    (364, "closed", False, False, False),
    (366, "closed", False, False, True),
    (366, "replied", False, False, True),
    (366, "spam", False, False, True),
    (366, "in_progress", False, False, False),
    (366, "waiting_citizen", False, False, False),
    (3000, "received", False, False, False),
    (366, "closed", True, False, False),
    (5 * 365 + 1, "closed", True, False, True),
    (366, "closed", False, True, False),
    (3000, "closed", True, True, False),
]


@pytest.mark.parametrize(("days", "status", "restricted", "held", "gone"), KEPT)
async def test_a_recording_is_forgotten_when_its_time_is_over_unless_it_is_needed(
    telephone: Telephone,
    files: LocalStore,
    clock: Clock,
    days: int,
    status: str,
    restricted: bool,
    held: bool,
    gone: bool,
) -> None:
    row = await telephone.voicemail()
    async with telephone.here.database.transaction() as session:
        await session.execute(
            update(Case)
            .where(col(Case.id) == row.case_id)
            .values(status=status, restricted=restricted, track="complaint" if restricted else "ordinary")
        )
        await session.execute(update(Recording).where(col(Recording.id) == row.id).values(held=held))
    await telephone.sweep(clock() + timedelta(days=days))
    now = await telephone.recording(row.provider_recording_id)
    assert (now.state, len(files_of(files))) == (("expired", 0) if gone else ("removed", 1))
    assert ("recording.expired" in await journal_of(telephone, row)) is gone
    async with telephone.here.database.transaction() as session:  # out of the way of the next
        await session.execute(update(Recording).values(retain_until=None))


async def test_a_night_forgets_all_whose_time_is_over_however_many(
    telephone: Telephone, files: LocalStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotline.recordings.SWEPT_AT_ONCE", 1)
    rows = [await telephone.voicemail() for _ in range(3)]
    async with telephone.here.database.transaction() as session:
        theirs = col(Case.id).in_([row.case_id for row in rows])
        await session.execute(update(Case).where(theirs).values(status="closed"))
    assert await telephone.sweep(clock() + timedelta(days=366)) == 3
    assert files_of(files) == []


async def test_one_the_carrier_still_has_is_not_forgotten(
    telephone: Telephone, files: LocalStore, clock: Clock
) -> None:
    row = await telephone.voicemail()
    async with telephone.here.database.transaction() as session:
        await session.execute(update(Case).where(col(Case.id) == row.case_id).values(status="closed"))
        await session.execute(update(Recording).where(col(Recording.id) == row.id).values(state="kept"))
    assert await telephone.sweep(clock() + timedelta(days=400)) == 0


# ---- Twilio


def twilio(answer: Any) -> Recordings:
    return Recordings(Line("https://api.twilio.com", ("AC1", "t"), transport=httpx.MockTransport(answer)))


ADDRESS = "https://api.twilio.com/2010-04-01/Accounts/AC1/Recordings/RE1"


async def taken(recordings: Recordings, address: str = ADDRESS) -> bytes:
    return b"".join([piece async for piece in recordings.fetch_recording(address)])


async def test_twilio_is_asked_for_the_small_form_and_shown_our_account() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, content=b"sound")

    assert await taken(twilio(answer)) == b"sound"
    assert [str(each.url) for each in asked] == [ADDRESS + ".mp3"]
    assert asked[0].headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("sound", "row", "raised"),
    [
        (404, 404, RecordingGone),
        (404, 200, SendFailed),
        (403, 200, SendFailed),
        (500, 404, SendFailed),
        (401, 401, SendFailed),
    ],
)
async def test_gone_is_what_twilio_itself_does_not_know(sound: int, row: int, raised: type[Exception]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(row if request.url.path.endswith(".json") else sound)

    with pytest.raises(raised):
        await taken(twilio(answer))


async def test_an_address_that_is_not_twilios_is_not_asked() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    with pytest.raises(SendFailed):
        await taken(twilio(answer), "https://elsewhere.test/Recordings/RE1")


def test_there_is_a_recorder_where_there_is_an_account() -> None:
    assert recorders_for(Settings(_env_file=None)) == {}  # type: ignore[call-arg]
    made = recorders_for(
        Settings(_env_file=None, twilio_account_sid="AC1", twilio_auth_token="t", twilio_number="+842713891022")  # type: ignore[call-arg]
    )
    assert set(made) == {"twilio"}
    assert a_sound() != a_sound()
