"""The vendor's rate, shared by all workers: turns follow each other and are not taken by those who cannot wait."""

import asyncio
from datetime import UTC, datetime, timedelta

from channels import threads
from core.db import Database

AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
MOST = timedelta(seconds=15)


async def turns(database: Database, channel: str, count: int, at: datetime) -> list[float | None]:
    """The waits of so many who ask at the same moment, at a vendor that takes two messages a second."""

    async def one() -> float | None:
        async with database.transaction() as session:
            wait = await threads.turn(session, channel, 2, at, MOST)
        return None if wait is None else wait.total_seconds()

    return await asyncio.gather(*(one() for _ in range(count)))


async def test_turns_follow_each_other(database: Database) -> None:
    waits = [wait for wait in await turns(database, "sms", 10, AT) if wait is not None]
    assert sorted(waits) == [number / 2 for number in range(10)]
    later = await turns(database, "sms", 2, AT + timedelta(minutes=1))
    assert sorted(wait for wait in later if wait is not None) == [0, 0.5]  # what was missed is not made up


async def test_a_crowd_that_cannot_be_served_leaves_the_turns_to_those_who_can(database: Database) -> None:
    waits = await turns(database, "zalo", 200, AT)
    served = sorted(wait for wait in waits if wait is not None)
    assert served == [number / 2 for number in range(31)]  # 15 seconds and no more
    (soon,) = await turns(database, "zalo", 1, AT + timedelta(seconds=10))
    assert soon == 5.5  # the other 169 have not pushed it away
