"""Live screens: one reader of the journal a process tells every open console what it may know, within a second.

The worker numbers the journal and knocks; the hub reads what is above its last position once, in one short transaction,
for every kind of people (roles and departments) that has a screen open, and puts the same bytes into the queue of each
of their screens. No screen holds a database connection. Positions are dense and in the order of numbering, so whatever
a screen has missed is a range of them, and it is read again when the screen comes back.

What somebody is told rings the bells of their own screens. A sign-out knocks as well and ends its screens in every
process at once. What no knock tells of (a sign-in that has run out, other roles, a knock that was lost) is found within
CHECK_EVERY.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import structlog
from fastapi.sse import format_sse_event

from cases.changes import Heard, heard_by
from core import auth, wake
from core.db import FAILURES, Database
from core.errors import NotSignedIn
from core.journal import last_position
from core.staff import RESTRICTED_ROLES, Actor

LOOK_EVERY = 3.0  # seconds between two looks when nobody knocks: a knock can be lost
LOOK_WITHIN = 10.0  # seconds a look may take; a connection that hangs is given up
KEEP_ALIVE = 15.0  # seconds of silence after which a screen is told where it stands
CHECK_EVERY = 60.0  # seconds between two looks at the sign-ins behind the screens
FIRST_TROUBLE, LONGEST_TROUBLE = 0.2, 5.0  # seconds to wait after an error
AFTER_FLOOD = 2.0  # seconds between two looks while more happens than screens can show
MOST_CHANGES = 500  # told one by one; when a screen has missed more, it is told to read everything anew
MOST_WAITING = 64  # batches that wait for one slow screen
MOST_SCREENS = 4  # of one sign-in, hence one browser: without HTTP/2 a browser has six connections to a host in all
RETRY_MS = 2000  # after which a browser comes back

log = structlog.get_logger()


@dataclass(eq=False)
class Screen:
    """One open console: whose it is, what it knew when it connected, and what waits to be sent."""

    token: str
    who: Actor
    after: int
    unknown: bool = False  # it claims a position there never was, as after a restore
    waiting: deque[bytes] = field(default_factory=deque)
    over: bool = False
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    person: UUID | None = None  # whose bell it shows

    def tell(self, words: bytes, position: int) -> None:
        """Queue what happened up to a position; a screen that is too slow loses it all and reads anew."""
        if self.over:
            return
        if len(self.waiting) >= MOST_WAITING:
            self.waiting.clear()
            words = resync(position)
        self.waiting.append(words)
        self.awake.set()

    def end(self, words: bytes = b"") -> None:
        """Say these last words instead of what waits."""
        self.waiting.clear()
        if words:
            self.waiting.append(words)
        self.over = True
        self.awake.set()

    async def next(self) -> bytes | None:
        """What to send now; empty after a time of silence, None at the end."""
        while not self.waiting:
            if self.over:
                return None
            self.awake.clear()
            try:
                async with asyncio.timeout(KEEP_ALIVE):
                    await self.awake.wait()
            except TimeoutError:
                if not self.waiting and not self.over:  # it may have been told in this very moment
                    return b""
        return self.waiting.popleft()


class Hub:
    """The screens of one process and how far they have been told."""

    def __init__(self, database: Database, dsn: str) -> None:
        self.screens: dict[Screen, None] = {}  # oldest first
        self.open = False
        self._database = database
        self._dsn = dsn
        self._position: int | None = None
        self._knocked = asyncio.Event()
        self._signed_out = asyncio.Event()
        self._reading = asyncio.Lock()  # a screen that came during a look would miss it

    @asynccontextmanager
    async def running(self, clock: Callable[[], datetime]) -> AsyncIterator[None]:
        """Follow the journal while the block lasts."""
        doors = {wake.POSITIONS: self._knocked.set, wake.SIGN_OUTS: self._signed_out.set}
        tasks = [
            asyncio.create_task(wake.listen(self._dsn, doors, {wake.BELL: self.ring})),
            asyncio.create_task(self._follow()),
            asyncio.create_task(self._part()),
            asyncio.create_task(self._guard(clock)),
        ]
        self.open = True
        try:
            yield
        finally:
            self.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def position(self) -> int | None:
        """How far the journal has been told; a page shown now connects with it. None before the first look."""
        return self._position

    def close(self) -> None:
        """End every stream now, and let no new one begin; browsers come back to whoever answers then."""
        self.open = False
        for screen in self.screens:
            screen.end()

    async def stream(self, screen: Screen) -> AsyncIterator[bytes]:
        """Everything this screen is to hear: what it has missed, then what happens, until either side ends it."""
        yield f"retry: {RETRY_MS}\n\n".encode()
        try:
            start = await self._join(screen)
            missed = await self._missed(screen, start)
        except (*FAILURES, TimeoutError) as error:
            log.warning("screen sent away", error=type(error).__name__)
            return
        yield missed + standing(max(start, screen.after))
        while (words := await screen.next()) is not None:
            yield words or standing(max(self._position or 0, screen.after))

    def ring(self, people: str) -> None:
        """The notices of these people (ids, one a word) have changed: their screens count them anew."""
        ids = set(people.split())
        for screen in self.screens:
            if str(screen.person) in ids:
                screen.tell(BELL, max(self._position or 0, screen.after))

    def leave(self, screen: Screen) -> None:
        """The stream is over."""
        self.screens.pop(screen, None)

    async def _join(self, screen: Screen) -> int:
        """Queue for this screen from now on; the position after which its queue begins."""
        async with self._reading:
            if self._position is None:
                self._position = await self._last()
            if not self.open:
                screen.end()
                return self._position
            mine = [each for each in self.screens if each.token == screen.token]
            for each in mine[: max(0, len(mine) - MOST_SCREENS + 1)]:
                each.end(farewell("too-many"))
                self.leave(each)
            self.screens[screen] = None
            return self._position

    async def _missed(self, screen: Screen, start: int) -> bytes:
        """What happened between the screen's own position and the beginning of its queue."""
        if screen.unknown or start - screen.after > MOST_CHANGES:
            return resync(max(start, screen.after))
        if start <= screen.after:
            return b""
        async with asyncio.timeout(LOOK_WITHIN), self._database.transaction() as session:
            heard = await heard_by(session, screen.after, start, [screen.who])
        return told(heard[screen.who])

    async def _follow(self) -> None:
        trouble = FIRST_TROUBLE
        while True:
            self._knocked.clear()
            try:
                flooded = await self._look()
            except Exception as error:  # whatever it is, screens must not stand still for ever
                log.warning("live look failed", error=type(error).__name__, again_in=trouble)
                await asyncio.sleep(trouble)
                trouble = min(trouble * 2, LONGEST_TROUBLE)
                continue
            trouble = FIRST_TROUBLE
            if flooded:
                await asyncio.sleep(AFTER_FLOOD)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY):
                    await self._knocked.wait()

    async def _look(self) -> bool:
        """Tell everybody what is new. True when it was too much to be told."""
        async with self._reading:
            before = self._position
            people = {screen.who for screen in self.screens}
            heard: dict[Actor, list[Heard]] = {}
            async with asyncio.timeout(LOOK_WITHIN), self._database.transaction() as session:
                last = await last_position(session)
                if before is None or last == before:
                    self._position = last
                    return False
                countable = before < last <= before + MOST_CHANGES  # else a flood, or a journal that was restored
                if countable and people:
                    heard = await heard_by(session, before, last, people)
            self._position = last
            if countable:
                self._spread(heard, before, last)
            else:
                self._start_anew(last)
            return not countable and bool(people)

    def _spread(self, heard: dict[Actor, list[Heard]], before: int, last: int) -> None:
        made: dict[tuple[Actor, int], bytes] = {}  # encoded once for all who hear the same
        for screen in self.screens:
            known = (screen.who, max(screen.after, before))  # a page may know more than this process did
            if known not in made:
                made[known] = told(each for each in heard[screen.who] if each.position > known[1])
            if made[known]:
                screen.tell(made[known], last)

    def _start_anew(self, position: int) -> None:
        for screen in self.screens:
            screen.after = position
            screen.tell(resync(position), position)

    async def _part(self) -> None:
        while True:
            await self._signed_out.wait()
            self._signed_out.clear()
            try:
                await self._end_signed_out()
            except Exception as error:  # the next round of the guard finds them
                log.warning("sign-outs of screens not seen", error=type(error).__name__)

    async def _end_signed_out(self) -> None:
        tokens = {screen.token for screen in self.screens}
        if not tokens:
            return
        async with asyncio.timeout(LOOK_WITHIN), self._database.transaction() as session:
            over = await auth.forgotten(session, tokens)
        for screen in [each for each in self.screens if each.token in over]:
            self._dismiss(screen)

    def _dismiss(self, screen: Screen) -> None:
        screen.end(farewell("signed-out"))
        self.leave(screen)

    async def _guard(self, clock: Callable[[], datetime]) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY)
            try:
                await self._check_sign_ins(clock())
            except Exception as error:
                log.warning("sign-ins of screens not checked", error=type(error).__name__)

    async def _check_sign_ins(self, at: datetime) -> None:
        """End the screens of sign-ins that are over; who has other roles or departments now reads everything anew."""
        present: dict[str, Actor | None] = {}
        async with asyncio.timeout(LOOK_WITHIN), self._database.transaction() as session:
            for token in {screen.token for screen in self.screens}:
                try:
                    present[token] = kind_of(await auth.who_is(session, token, "cookie", at))
                except NotSignedIn:
                    present[token] = None
        async with self._reading:
            for screen in [each for each in self.screens if each.token in present]:
                who = present[screen.token]
                if who is None:
                    self._dismiss(screen)
                elif who != screen.who:
                    screen.who = who
                    screen.tell(resync(self._position or 0), self._position or 0)

    async def _last(self) -> int:
        async with asyncio.timeout(LOOK_WITHIN), self._database.transaction() as session:
            return await last_position(session)


def kind_of(who: Actor) -> Actor:
    """What decides which cases somebody sees; who they are only where a case may be about them."""
    me = who.id if who.roles & RESTRICTED_ROLES else None
    return Actor(kind=who.kind, id=me, roles=who.roles, departments=who.departments)


def told(changes: Iterable[Heard]) -> bytes:
    """Each change twice: named by its case, for what shows this case, and as `case`, for lists and counts.

    Only the second carries the id, so that a stream that breaks between them repeats both.
    """
    words = []
    for each in changes:
        data: dict[str, object] = {"code": each.code, "position": each.position}
        data |= {"left": True} if each.left else {"kind": each.kind, "version": each.version}
        body = json.dumps(data)
        words.append(format_sse_event(event=each.code, data_str=body))
        words.append(format_sse_event(event="case", data_str=body, id=str(each.position)))
    return b"".join(words)


def resync(position: int) -> bytes:
    """Read everything anew: nobody can say what has happened since, up to this position."""
    return format_sse_event(event="resync", data_str=json.dumps({"position": position}), id=str(position))


def farewell(reason: str) -> bytes:
    """The stream ends and shall not be opened again by itself."""
    return format_sse_event(event="end", data_str=json.dumps({"reason": reason}))


BELL = format_sse_event(event="bell", data_str="{}")


def standing(position: int) -> bytes:
    """No event, but the browser remembers that it knows everything up to here."""
    return format_sse_event(comment="", id=str(position))
