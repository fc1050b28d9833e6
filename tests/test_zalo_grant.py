"""The grant of Zalo's account in the hands of real workers: one refresh, and a crash that everybody hears of."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from channels import outbox
from channels.message import Address
from channels.zalo.alarms import NEW_GRANT, UNSAVED, token_alarms
from core.db import Database
from core.ids import uuid7
from tests.house import House, house
from tests.running import until

ASKED = "/v4/oa/access_token"


@pytest.fixture
def home(tmp_path: Path, server_url: str, template: str) -> Iterator[House]:
    """Nobody is at work yet, and Zalo takes a moment to answer a refresh."""
    with house(tmp_path / "house", server_url, template, "zalo", webs=0, workers=0) as made:
        made.vendors["zalo"].control("fault", kind="slow", path=ASKED, seconds=1.0)
        yield made


def counted(home: House) -> tuple[int, int]:
    """Refreshes that Zalo made, and that it refused."""
    counters = home.vendors["zalo"].control("counters")
    return counters.get("refreshes", 0), counters.get("refresh refused", 0)


def state(home: House) -> str | None:
    """Of the grant, as the database has it."""
    rows = home.rows("SELECT state FROM vendor_tokens")
    return rows[0]["state"] if rows else None


def alarms(home: House) -> list[str]:
    """What the workers shouted, without anything secret."""
    said = home.said()
    assert not [word for word in ("at-", "rt-") if f'"{word}' in said]
    return [line for line in said.splitlines() if '"zalo tokens"' in line and '"level": "error"' in line]


@contextmanager
def locked(home: House) -> Iterator[None]:
    """Nobody can save a pair meanwhile."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(home.dsn))
        runner.run(connection.execute("BEGIN; SELECT 1 FROM vendor_tokens FOR UPDATE"))
        yield
        runner.run(connection.execute("ROLLBACK"))
        runner.run(connection.close())


async def two_messages(dsn: str) -> None:
    """Something to say to two people on Zalo."""
    at, database = datetime.now(UTC), Database(dsn, pool=2)
    for handle in ("501", "502"):
        async with database.transaction() as session:
            await outbox.enqueue(
                session, subject_id=uuid7(at), entry_id=uuid7(at), purpose="answer", to=Address("zalo", handle),
                channel="zalo", text="Đã vá xong ổ gà.", reference="BP-26-0482134", at=at,
            )  # fmt: skip
    await database.close()


async def shown(dsn: str) -> list[tuple[str, str]]:
    """What people are shown of it: the state and why."""
    database = Database(dsn, pool=2)
    async with database.transaction() as session:
        found = [(alarm.state, alarm.reason) for alarm in await token_alarms(session, datetime.now(UTC))]
    await database.close()
    return found


def fates(home: House) -> list[str | None]:
    """Why what was to be said has not been said."""
    return [row["failure"] for row in home.rows("SELECT failure FROM outgoing")]


def test_two_workers_that_begin_at_once_refresh_once(home: House) -> None:
    home.hire(2)
    until(lambda: state(home) == "live", "a live grant", 60)
    time.sleep(1.5)  # whoever would refresh as well would have asked by now
    assert counted(home) == (1, 0)
    assert alarms(home) == []


def test_a_pair_that_dies_with_its_worker_is_known_to_be_lost_and_burns_nothing_more(home: House) -> None:
    zalo = home.vendors["zalo"]
    home.hire()
    until(lambda: state(home) == "refreshing", "a refresh that has begun", 60)
    with locked(home):
        until(lambda: counted(home) == (1, 0), "Zalo's answer", 30)
        time.sleep(0.3)  # the worker has the pair in its hands now
        home.workers[0].kill()
        home.workers[0].wait()
    assert state(home) == "refreshing"
    zalo.control("heal")

    home.hire()
    until(lambda: state(home) == "unknown", "somebody who knows that a pair was lost", 60)
    assert [UNSAVED in line for line in alarms(home)] == [True]
    assert counted(home) == (1, 0)  # not at once: it may have been on its way

    home.rows("UPDATE vendor_tokens SET tried_at = tried_at - interval '61 seconds'")
    asyncio.run(two_messages(home.dsn))
    until(lambda: fates(home) == ["reauthorise", "reauthorise"], "two messages that cannot leave", 60)
    assert (state(home), counted(home)) == ("dead", (1, 1))  # the old token once more, and never again
    assert [(now, NEW_GRANT in why) for now, why in asyncio.run(shown(home.dsn))] == [("dead", True)]
    assert len(alarms(home)) == 2
    assert zalo.control("sent") == []
