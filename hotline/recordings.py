"""Recordings of calls: told of by the carrier, sealed among our files, removed at the carrier, forgotten in time.

Each step is committed before the next one begins, and each may be taken again: a worker killed at any line leaves the
row due, and the sound is with the carrier, with us, or with both. What is written to the disk is sealed; the name of
the file stands in the row before the file is written, so that none lies there which no row knows.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from cases.models import Case
from cases.states import OPEN
from channels.adapter import Failure, Recorder, RecordingGone, SendFailed
from core import due, wake
from core.db import Database
from core.due import Session
from core.files import FileStore
from core.filetypes import NotTaken, sniff
from core.ids import uuid7
from core.journal import record
from core.sealed_files import Sealed, SealedFile, open_sealed
from core.sealing import Unsealable
from hotline.models import CallSession, Recording

AT_ONCE: Final = 3  # recordings a process works on at the same time
LEASE: Final = timedelta(minutes=3)
PATIENCE: Final = 120.0  # seconds for one recording
LARGEST: Final = 25 << 20  # bytes: three hours of speech
NOT_READY: Final = timedelta(minutes=10)  # a carrier may tell of a recording before it can give it
EVIDENCE: Final = timedelta(days=5 * 365)  # complaints, denunciations and tips are kept at least so long
SWEPT_AT_ONCE, SWEEPS_A_NIGHT = 500, 20

OpenCase = Callable[[Session, CallSession, Recording, datetime], Awaitable[bool]]
log = structlog.get_logger()


async def announce(
    session: Session, call: CallSession, recording: Mapping[str, Any], at: datetime, *, shortest: int
) -> None:
    """The carrier tells of a recording of this call: one row, however often and in whatever order it does.

    `recording` is what `thread` holds of it: sid, url, duration in seconds, status. One that turned out empty, or is a
    slip, below `shortest`, opens no case; one that is still being made is not spoken of yet.
    """
    address, seconds, status = recording.get("url"), recording.get("duration"), recording.get("status", "completed")
    name = recording.get("sid") or urlsplit(address or "").path.rpartition("/")[2]
    if not name or status not in ("completed", "absent", "failed"):
        return
    state = "absent" if status != "completed" or not address else "announced"
    if state == "announced" and seconds is not None and seconds < shortest:
        state = "short"
    row = insert(Recording).values(
        id=uuid7(at),
        session_id=call.id,
        provider=call.provider,
        provider_recording_id=name,
        url=address,
        duration=seconds,
        state=state,
        announced_at=at,
        run_at=None if state == "absent" else at,
    )
    better = row.on_conflict_do_update(
        index_elements=["provider", "provider_recording_id"],
        set_={name: row.excluded[name] for name in ("url", "duration", "state", "run_at")},
        where=(col(Recording.state) == "absent") & (row.excluded.state != "absent"),
    )
    # How long it was may stand in one of the reports only.
    await session.execute(better)
    await session.execute(
        update(Recording)
        .where(col(Recording.provider) == call.provider, col(Recording.provider_recording_id) == name)
        .values(duration=func.coalesce(col(Recording.duration), seconds))
        .execution_options(synchronize_session=False)
    )
    await wake.knock(session)


def purpose_of(recording_id: UUID) -> str:
    """For what its file is sealed: the file of another recording does not open in its place."""
    return f"recording:{recording_id}"


async def open_sound(files: FileStore, key: bytes, recording: Recording) -> SealedFile:
    """The sound of a recording we have. Raises FileNotFoundError and Unsealable."""
    if recording.file is None:
        raise FileNotFoundError(recording.id)
    return await open_sealed(files, recording.file, key, purpose_of(recording.id))


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a round needs. `days`: how long recordings are kept; `open_case` answers False while it is too early."""

    database: Database
    recorders: Mapping[str, Recorder]
    files: FileStore
    key: bytes
    days: int
    open_case: OpenCase
    clock: Callable[[], datetime]

    async def round(self) -> int:
        """Work on what is due; how many recordings there were."""
        async with self.database.transaction() as session:
            rows = await due.claim(session, Recording, self.clock(), limit=AT_ONCE, lease=LEASE)
        await asyncio.gather(*(self.take_one(row) for row in rows))
        return len(rows)

    async def take_one(self, row: Recording) -> None:
        """One recording, as far as it can be brought now. Its case does not wait for the sound, nor the other way."""
        met = [await self._tried(row, step) for step in (self.to_case, self.copy, self.remove)]
        troubles = [trouble for trouble in met if trouble is not None]
        async with self.database.transaction() as session:
            at, mine = self.clock(), _mine(row)
            if not troubles:
                await due.finish(session, Recording, row.id, where=mine)
                return
            reason = "; ".join(trouble.reason for trouble in troubles)
            if all(trouble.final for trouble in troubles):
                lives = not await due.bury(session, Recording, row.id, at, reason, where=mine)
            else:
                lives = await due.retry(session, Recording, row.id, at, row.attempts, reason, where=mine)
        (log.warning if lives else log.error)("recording not settled", recording=str(row.id), reason=reason)

    async def to_case(self, row: Recording) -> None:
        """Whoever left words has a case, in one transaction with the row that says so."""
        async with self.database.transaction() as session:
            # The call before its recording, as whoever hears of one locks them.
            call = select(CallSession).where(CallSession.id == row.session_id).with_for_update()
            held = (await session.exec(call)).one()
            now = await self._still(session, row)
            if now is None or now.case_id is not None or now.state in ("short", "absent"):
                return
            if not await self.open_case(session, held, now, self.clock()):
                raise SendFailed(Failure.RETRYABLE, "nothing is known of its call yet")

    async def copy(self, row: Recording) -> None:
        """From the carrier to our files. What cannot be read again as it came is not kept."""
        now = await self._read(row)
        if now is None or now.state != "announced":
            return
        if not await self.is_whole(now):
            try:
                async with asyncio.timeout(PATIENCE):
                    data = await self._fetch(now)
            except RecordingGone:
                await self._gone(now)
                return
            sealed = await asyncio.to_thread(Sealed.of, self.key, purpose_of(now.id), data)
            intended = await self._intend(now, sealed, data)
            if intended is None:
                return
            await self.files.put(sealed.key, sealed.data)
            if not await self.is_whole(intended):
                raise OSError("the file is not what was written")
        await self._settle(row, "recording.kept", lambda at: {
            "state": "kept", "kept_at": at, "retain_until": now.announced_at + timedelta(days=self.days),
        })  # fmt: skip

    async def remove(self, row: Recording) -> None:
        """At the carrier, once it is with us or is not wanted."""
        now = await self._read(row)
        if now is None or now.removed_at is not None or now.state not in ("kept", "short") or now.url is None:
            return
        await self._recorder(now).remove_recording(now.url)
        state = "removed" if now.state == "kept" else now.state
        await self._settle(row, "recording.removed", lambda at: {"state": state, "removed_at": at})

    async def is_whole(self, recording: Recording) -> bool:
        """Whether our file opens and is the sound whose checksum the row has."""
        try:
            with await open_sound(self.files, self.key, recording) as sound:
                return await asyncio.to_thread(_digest, sound) == recording.sha256
        except (FileNotFoundError, Unsealable):
            return False

    async def _tried(self, row: Recording, step: Callable[[Recording], Awaitable[None]]) -> "_Trouble | None":
        try:
            await step(row)
        except SendFailed as failed:
            return _Trouble(failed.reason, failed.failure is Failure.FINAL)
        except TimeoutError:
            return _Trouble(f"took more than {PATIENCE:.0f} s", False)
        except Exception as error:
            return _Trouble(type(error).__name__, False)
        return None

    async def _fetch(self, recording: Recording) -> bytes:
        data = bytearray()
        async for piece in self._recorder(recording).fetch_recording(recording.url or ""):
            data += piece
            if len(data) > LARGEST:
                raise SendFailed(Failure.FINAL, f"larger than {LARGEST >> 20} MB")
        _kind(bytes(data))
        return bytes(data)

    async def _gone(self, recording: Recording) -> None:
        """The carrier has it no more, or not yet."""
        if self.clock() - recording.announced_at < NOT_READY:
            raise SendFailed(Failure.RETRYABLE, "the carrier does not have it yet")
        await self._settle(recording, "recording.lost", lambda at: {"state": "lost"})
        log.error("recording lost at the carrier", recording=str(recording.id))

    async def _intend(self, recording: Recording, sealed: Sealed, data: bytes) -> Recording | None:
        """The row says what is about to be written; None when it has passed to another worker."""
        if recording.file is not None:
            await self.files.delete(recording.file)  # it was not whole
        async with self.database.transaction() as session:
            now = await self._still(session, recording)
            if now is None:
                return None
            now.file, now.size, now.media_type = sealed.key, len(data), _kind(data)
            now.sha256 = hashlib.sha256(data).hexdigest()
            session.add(now)
        return now

    async def _settle(self, row: Recording, kind: str, values: Callable[[datetime], dict[str, Any]]) -> None:
        """The next state, if the row is still ours, with its line in the journal."""
        async with self.database.transaction() as session:
            now, at = await self._still(session, row), self.clock()
            if now is None:
                return
            for name, value in values(at).items():
                setattr(now, name, value)
            session.add(now)
            await noted(session, now, kind, at)

    async def _read(self, row: Recording) -> Recording | None:
        async with self.database.transaction() as session:
            return await self._still(session, row)

    async def _still(self, session: Session, row: Recording) -> Recording | None:
        """The row as it is now, locked, if it is still ours to work on."""
        mine = select(Recording).where(Recording.id == row.id, *_mine(row)).with_for_update()
        return (await session.exec(mine)).first()

    def _recorder(self, recording: Recording) -> Recorder:
        found = self.recorders.get(recording.provider)
        if found is None:
            raise SendFailed(Failure.RETRYABLE, "this carrier is not set up")
        return found


async def sweep(session: Session, files: FileStore, at: datetime) -> int:
    """Forget the sound of recordings whose time is over, and try those once more that were given up. How many went.

    What belongs to a case that is open, or is held, stays; so does, for EVIDENCE, what belongs to a restricted one.
    """
    await session.execute(
        update(Recording)
        .where(
            col(Recording.dead_at).is_not(None),
            (col(Recording.announced_at) > at - timedelta(days=30)) | (col(Recording.state) == "kept"),
        )
        .values(run_at=at, dead_at=None, attempts=0)
        .execution_options(synchronize_session=False)
    )
    over = (
        select(Recording)
        .join(Case, col(Case.id) == col(Recording.case_id), isouter=True)
        .where(
            Recording.state == "removed",
            col(Recording.retain_until) <= at,
            col(Recording.held).is_(False),
            col(Case.id).is_(None) | col(Case.status).not_in(sorted(OPEN)),
            col(Case.id).is_(None) | col(Case.restricted).is_(False) | (col(Recording.announced_at) <= at - EVIDENCE),
        )
        .order_by(col(Recording.retain_until))
        .limit(SWEPT_AT_ONCE)
        .with_for_update(of=Recording, skip_locked=True)
    )
    count = 0
    for _ in range(SWEEPS_A_NIGHT):
        gone = (await session.exec(over)).all()
        for recording in gone:
            if recording.file is not None:
                await files.delete(recording.file)  # before the row says so: what is deleted twice does no harm
            recording.state, recording.file = "expired", None
            session.add(recording)
            await noted(session, recording, "recording.expired", at)
        await session.flush()
        count += len(gone)
        if len(gone) < SWEPT_AT_ONCE:
            break
    return count


async def noted(
    session: Session,
    recording: Recording,
    kind: str,
    at: datetime,
    *,
    staff_id: UUID | None = None,
    **data: str,
) -> None:
    """A line in the journal about a recording; screens of its case hear of it."""
    case = await session.get(Case, recording.case_id) if recording.case_id is not None else None
    await record(
        session,
        kind,
        at=at,
        actor_kind="staff" if staff_id else "system",
        actor_id=staff_id,
        case_id=case.id if case else None,
        subject=str(recording.id),
        restricted=bool(case and case.restricted),
        data={**({"code": case.code} if case else {}), "recording": str(recording.id), **data},
    )


@dataclass(frozen=True, slots=True)
class _Trouble:
    reason: str
    final: bool


def _mine(row: Recording) -> tuple[Any, ...]:
    return (col(Recording.lease_until) == row.lease_until,)


def _kind(data: bytes) -> str:
    """Its media type. SendFailed for what is no sound, such as a page that says what is wrong."""
    try:
        found = sniff(data)
    except NotTaken:
        found = ()
    sound = next((kind.media_type for kind in found if kind.media_type.startswith("audio/")), None)
    if sound is None:
        raise SendFailed(Failure.RETRYABLE, "what the carrier gave is no sound")
    return sound


def _digest(sound: SealedFile) -> str:
    digest = hashlib.sha256()
    for piece in sound.read():
        digest.update(piece)
    return digest.hexdigest()
