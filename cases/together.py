"""Reports that arrive at the same moment are written in one round trip and one commit.

Written one by one, each costs the server a wake-up, a round trip, a flush and a plan made ready of its own: more than
its rows. Nobody waits for others to come: what has gathered while the last group was being written goes next, so a
report that comes alone is written alone, at once. Each is answered after the commit that holds it, and one that cannot
be written fails alone.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from cases.opening import OPEN_CASE, OPEN_CASES, Arguments, case_of, identity_of

MOST: Final = 12  # reports in a group; were it more, the process would have little to do while they are written
SEVERAL: Final = 4  # for fewer, a plan made ready for each costs less than making arrays of them and one plan for all
PATIENCE: Final = 1.0  # seconds a group may take, for one of it may wait for somebody else's lock


class Pool(Protocol):
    """What this needs of the driver's pool."""

    async def fetch(self, query: str, *args: Any, timeout: float | None = None) -> Any:
        """All rows."""
        ...

    async def fetchrow(self, query: str, *args: Any) -> Any:
        """One row."""
        ...

    async def fetchmany(self, query: str, args: Sequence[Arguments], *, timeout: float) -> Any:
        """One statement with each of the arguments, in one transaction; the rows of all."""
        ...


class _Waiting(NamedTuple):
    statement: str
    arguments: Arguments
    written: asyncio.Future[Any]


class Together:
    """Intake's driver where its statement is a transaction of its own; one a process."""

    def __init__(self, pool: Callable[[], Awaitable[Pool]]) -> None:
        self._pool = pool
        self._waiting: deque[_Waiting] = deque()
        self._writing: asyncio.Task[None] | None = None  # one group at a time: two would be smaller, and no faster
        self._alone: set[asyncio.Task[None]] = set()

    async def fetch(self, query: str, *args: Any) -> Any:
        """All rows, by a connection of its own."""
        return await (await self._pool()).fetch(query, *args)

    async def fetchrow(self, query: str, *args: Any) -> Any:
        """The row of one of intake's statements; None where its key was used before."""
        written = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(query, args, written))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        return await written

    async def _write(self) -> None:
        """Write group after group until nobody waits."""
        while self._waiting:
            group = self._next_group()
            if not await self._as_one(group):
                for one in group:
                    task = asyncio.create_task(self._by_itself(one))
                    self._alone.add(task)
                    task.add_done_callback(self._alone.discard)

    def _next_group(self) -> Sequence[_Waiting]:
        """Those who wait longest, each another person: a row may be touched only once in a statement."""
        group = [self._waiting.popleft()]
        people = {identity_of(group[0].arguments)}
        while self._waiting and len(group) < MOST and group[0].statement == self._waiting[0].statement == OPEN_CASE:
            who = identity_of(self._waiting[0].arguments)
            if who in people and who[1] is not None:
                break
            people.add(who)
            group.append(self._waiting.popleft())
        # Everybody takes the rows of people in the same order, so that groups do not wait in a ring.
        return sorted(group, key=lambda one: str(identity_of(one.arguments)))

    async def _as_one(self, group: Sequence[_Waiting]) -> bool:
        """Whether the group was written; if not, or if nobody knows, each may be sent again, for keys are used once."""
        given = [one.arguments for one in group]
        try:
            pool = await self._pool()
            if len(given) < SEVERAL:
                rows = await pool.fetchmany(group[0].statement, given, timeout=PATIENCE)
            else:
                rows = await pool.fetch(OPEN_CASES, *zip(*given, strict=True), timeout=PATIENCE)
        except Exception:  # told by those whom it concerns, alone
            return False
        new = {row["new"]: row for row in rows}
        for one in group:
            if not one.written.done():
                one.written.set_result(new.get(case_of(one.arguments)))
        return True

    async def _by_itself(self, one: _Waiting) -> None:
        try:
            row = await (await self._pool()).fetchrow(one.statement, *one.arguments)
        except Exception as broken:
            if not one.written.done():
                one.written.set_exception(broken)
        else:
            if not one.written.done():
                one.written.set_result(row)
