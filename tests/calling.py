"""Calls as tests of what comes after them need them: rows of sessions, and a carrier that keeps sounds in memory."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlmodel import select

from cases.arriving import Arrivals
from cases.models import Case, Entry
from channels.adapter import RecordingGone, SendFailed
from core.due import Session
from core.files import FileStore
from core.filestore import LocalStore
from core.ids import uuid7
from hotline import recordings
from hotline.menu import shipped_menu
from hotline.models import CallSession, CallTask, Recording
from hotline.recordings import Keeping, announce
from hotline.voicemail import Voicemails
from tests.factories import Clock
from web.deps import office_of
from web.state import State

KEY = b"k" * 40  # of the application under test
FRAME = bytes.fromhex("fffb9064") + bytes(413)  # of MPEG-1 layer III, 26 ms
NUMBER = "+842713891022"
SHOWN = itertools.count(1)


def a_sound(seconds: float = 2) -> bytes:
    """An MP3 file unlike any other."""
    return FRAME * max(4, round(seconds / 0.026)) + uuid4().bytes


@dataclass
class Carrier:
    """Keeps recordings by their address; `faults` are raised by the next requests, one each."""

    sounds: dict[str, bytes] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)

    async def fetch_recording(self, address: str) -> AsyncIterator[bytes]:
        """In two pieces, so that it can break off between them."""
        self.fetched.append(address)
        if address not in self.sounds:
            raise RecordingGone
        sound = self.sounds[address]
        yield sound[:100]
        if self.faults:
            raise self.faults.pop(0)
        yield sound[100:]

    async def remove_recording(self, address: str) -> None:
        """Forget it."""
        if self.faults:
            raise self.faults.pop(0)
        self.removed.append(address)
        self.sounds.pop(address, None)


@dataclass
class Telephone:
    """Callers, the carrier and the worker's side of their recordings, in the hands of a test."""

    here: State
    clock: Clock
    carrier: Carrier = field(default_factory=Carrier)
    days: int = 365

    async def arrivals(self, session: Session) -> Arrivals:
        return Arrivals(office_of(self.here, await self.here.routing.get(session)))

    def keeping(self, files: FileStore | None = None, key: bytes = KEY) -> Keeping:
        """The worker's."""
        return Keeping(
            self.here.database,
            {"test": self.carrier},
            files or self.here.files,
            key,
            self.days,
            Voicemails(self.arrivals).open_case,
            self.clock,
        )

    async def call(self, caller: str | None = "", wish: str = "report", **members: Any) -> CallSession:
        """A call that is over; from a number nobody else has, unless one is given or hidden (None)."""
        at = self.clock()
        made = CallSession(
            **{
                "id": uuid7(at),
                "provider": "test",
                "provider_call_id": f"CA{uuid4().hex}",
                "caller": f"+8491{next(SHOWN):07d}" if caller == "" else caller,
                "number": NUMBER,
                "state": "completed",
                "opened_at": at,
                "ended_at": at,
                "outcome": "voicemail",
                "menu": {"token": "ended", "wish": wish, "heard": "voicemail"},
                **members,
            }
        )
        async with self.here.database.transaction() as session:
            session.add(made)
        return made

    async def told(self, call: CallSession, **recording: Any) -> None:
        """The carrier tells of a recording."""
        async with self.here.database.transaction() as session:
            await announce(session, call, recording, self.clock(), shortest=shipped_menu().shortest)

    async def leaves(
        self, call: CallSession, seconds: int | None = 42, sound: bytes | None = None
    ) -> tuple[str, bytes]:
        """The caller leaves words: the carrier has them and tells of them. (sid, sound)."""
        sid = f"RE{uuid4().hex}"
        sound = a_sound() if sound is None else sound
        self.carrier.sounds[self.address(sid)] = sound
        await self.told(call, sid=sid, url=self.address(sid), duration=seconds, status="completed")
        return sid, sound

    async def voicemail(self, caller: str | None = "", wish: str = "report", seconds: int = 42) -> Recording:
        """A call, its words and the work on them."""
        sid, _ = await self.leaves(await self.call(caller, wish), seconds)
        await self.work()
        return await self.recording(sid)

    async def work(self, files: FileStore | None = None) -> None:
        """Rounds until nothing is due."""
        while await self.keeping(files).round():
            pass

    async def sweep(self, at: datetime) -> int:
        """The nightly duty."""
        async with self.here.database.transaction() as session:
            return await recordings.sweep(session, self.here.files, at)

    @staticmethod
    def address(sid: str) -> str:
        """Where the carrier keeps it."""
        return f"https://carrier.test/Accounts/AC1/Recordings/{sid}"

    async def recording(self, sid: str) -> Recording:
        """The one row."""
        async with self.here.database.transaction() as session:
            return (await session.exec(select(Recording).where(Recording.provider_recording_id == sid))).one()

    async def case_of(self, recording: Recording) -> Case:
        """The case it was left for."""
        async with self.here.database.transaction() as session:
            return await session.get_one(Case, recording.case_id)

    async def entries(self, case: Case) -> list[Entry]:
        """The conversation."""
        async with self.here.database.transaction() as session:
            return list((await session.exec(select(Entry).where(Entry.case_id == case.id).order_by(Entry.id))).all())  # type: ignore[arg-type]

    async def task_of(self, case: Case) -> CallTask | None:
        """The call back that is due for a case."""
        async with self.here.database.transaction() as session:
            return (await session.exec(select(CallTask).where(CallTask.case_id == case.id))).first()


def files_of(store: LocalStore) -> list[bytes]:
    """Everything that lies in the store."""
    return [path.read_bytes() for path in store._root.rglob("*") if path.is_file()]


__all__ = ["Carrier", "SendFailed", "Telephone", "a_sound", "files_of"]
