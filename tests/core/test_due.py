"""Work is a row that is due: claimed once, leased, retried with back-off, dead, revived; duties on their beat."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, text
from sqlmodel import col, select

from core import due
from core.db import Database
from core.due import Duty

AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
LEASE = timedelta(seconds=60)


@pytest.fixture(autouse=True)
async def no_other_work(database: Database) -> AsyncIterator[None]:
    async with database.transaction() as session:
        await session.execute(delete(Duty))
    yield
    async with database.transaction() as session:
        await session.execute(delete(Duty))


async def a_row(database: Database, name: str = "w", run_at: datetime | None = AT) -> None:
    async with database.transaction() as session:
        session.add(Duty(name=name, every_ms=1000, run_at=run_at))


async def claimed(database: Database, at: datetime, limit: int = 10) -> list[Duty]:
    async with database.transaction() as session:
        return await due.claim(session, Duty, at, limit=limit, lease=LEASE)


async def row(database: Database, name: str = "w") -> Duty:
    async with database.transaction() as session:
        return (await session.exec(select(Duty).where(Duty.name == name))).one()


async def test_only_what_is_due_is_claimed_oldest_first(database: Database) -> None:
    await a_row(database, "later", AT + timedelta(seconds=1))
    await a_row(database, "never", None)
    await a_row(database, "second", AT)
    await a_row(database, "first", AT - timedelta(hours=1))
    assert [each.name for each in await claimed(database, AT)] == ["first", "second"]


async def test_a_claim_is_a_lease_and_an_attempt(database: Database) -> None:
    await a_row(database)
    (mine,) = await claimed(database, AT)
    assert (mine.lease_until, mine.attempts) == (AT + LEASE, 1)
    assert await claimed(database, AT + LEASE - timedelta(milliseconds=1)) == []
    (again,) = await claimed(database, AT + LEASE)  # the worker died: its lease has run out
    assert (again.lease_until, again.attempts) == (AT + 2 * LEASE, 2)


async def test_a_claim_takes_no_more_than_its_limit_whatever_the_plan(database: Database) -> None:
    for number in range(20):
        await a_row(database, f"w{number:02}")
    async with database.transaction() as session:
        for way in ("hashjoin", "mergejoin", "material", "hashagg", "sort"):  # leaves a nested loop without a cache
            await session.execute(text(f"SET LOCAL enable_{way} = off"))
        assert len(await due.claim(session, Duty, AT, limit=3)) == 3


async def test_what_a_claim_sets_is_set_with_it(database: Database) -> None:
    await a_row(database)
    async with database.transaction() as session:
        (mine,) = await due.claim(session, Duty, AT, limit=1, values={"last_error": "at it"})
    assert mine.last_error == "at it"


async def test_many_workers_claim_each_row_once(database: Database) -> None:
    async with database.transaction() as session:
        session.add_all(Duty(name=f"w{number:03}", every_ms=1, run_at=AT) for number in range(200))

    async def work() -> list[str]:
        mine: list[str] = []
        while rows := await claimed(database, AT, limit=7):
            mine += [each.name for each in rows]
        return mine

    taken = [name for names in await asyncio.gather(*(work() for _ in range(8))) for name in names]
    assert sorted(taken) == [f"w{number:03}" for number in range(200)]


async def test_nobody_waits_for_a_worker_that_is_just_claiming(database: Database) -> None:
    await a_row(database, "a")
    await a_row(database, "b")
    async with database.transaction() as session:
        (first,) = await due.claim(session, Duty, AT, limit=1)
        async with asyncio.timeout(5):
            (second,) = await claimed(database, AT)
    assert {first.name, second.name} == {"a", "b"}


async def test_done_work_is_never_due_again(database: Database) -> None:
    await a_row(database)
    await claimed(database, AT)
    async with database.transaction() as session:
        assert await due.finish(session, Duty, "w")
    assert await claimed(database, AT + timedelta(days=365)) == []


async def test_failed_work_comes_back_later_and_dies_in_the_end(database: Database) -> None:
    await a_row(database)
    at, tries = AT, 0
    while mine := await claimed(database, at):
        tries += 1
        async with database.transaction() as session:
            lives = await due.retry(session, Duty, "w", at, mine[0].attempts, "busy")
        after = await row(database)
        assert lives == (tries < due.MAX_ATTEMPTS)
        if lives:
            assert after.run_at is not None
            assert await claimed(database, after.run_at - timedelta(milliseconds=1)) == []
            at = after.run_at
    assert tries == due.MAX_ATTEMPTS
    assert (after.run_at, after.dead_at, after.last_error) == (None, at, "busy")


async def test_dead_work_waits_for_a_person_who_revives_it(database: Database) -> None:
    await a_row(database)
    await claimed(database, AT)
    async with database.transaction() as session:
        await due.bury(session, Duty, "w", AT, "refused")
    assert await claimed(database, AT + timedelta(days=1)) == []
    later = AT + timedelta(days=2)
    async with database.transaction() as session:
        assert await due.revive(session, Duty, "w", later)
    (mine,) = await claimed(database, later)
    assert (mine.attempts, mine.dead_at) == (1, None)


async def test_a_slow_worker_finds_out_that_its_row_has_passed_to_another(database: Database) -> None:
    await a_row(database)
    (slow,) = await claimed(database, AT)
    (other,) = await claimed(database, AT + LEASE)
    async with database.transaction() as session:
        assert not await due.finish(session, Duty, "w", where=(col(Duty.lease_until) == slow.lease_until,))
    assert (await row(database)).lease_until == other.lease_until


@given(st.integers(min_value=-1, max_value=10**6))
def test_back_off_doubles_from_five_seconds_to_an_hour_within_a_fifth(attempts: int) -> None:
    plain = min(5 * 2 ** min(max(attempts - 1, 0), 30), 3600)
    assert 0.8 * plain <= due.backoff(attempts).total_seconds() <= 1.2 * plain


def test_back_off_spreads_a_crowd() -> None:
    assert len({due.backoff(3) for _ in range(100)}) > 50


class TestDuties:
    async def test_several_workers_make_the_rows_at_once(self, database: Database) -> None:
        async def start(every_ms: int) -> None:
            async with database.transaction() as session:
                await due.ensure_duties(session, {"b": every_ms, "a": 500}, AT)

        await asyncio.gather(*(start(1000) for _ in range(6)))
        await start(2000)  # a new version has another period
        assert ((await row(database, "a")).every_ms, (await row(database, "b")).every_ms) == (500, 2000)

    @pytest.mark.parametrize(
        ("ran", "again"),
        [
            (0, 60),  # on its beat
            (59.5, 60),  # late, but before the next one
            (60, 120),  # so late that the next beat is now
            (3600 * 30 + 7, 3600 * 30 + 60),  # after a day without workers: once, and on the old beat again
        ],
    )
    async def test_a_duty_keeps_its_beat(self, database: Database, ran: float, again: float) -> None:
        async with database.transaction() as session:
            await due.ensure_duties(session, {"w": 60_000}, AT)
        await due.run_duties(database, {"w": does(0)}, AT + timedelta(seconds=ran), lease=LEASE)
        assert (await row(database)).run_at == AT + timedelta(seconds=again)

    async def test_a_duty_and_its_next_run_are_one_transaction(self, database: Database) -> None:
        await a_row(database)
        await a_row(database, "other", None)

        async def half_done(session: due.Session, at: datetime) -> int:
            await due.revive(session, Duty, "other", at)
            raise ValueError("0901 234 567 cannot be read")

        assert await due.run_duties(database, {"w": half_done}, AT, lease=LEASE) == 0
        failed = await row(database)
        assert (await row(database, "other")).run_at is None
        assert failed.run_at == AT + due.AFTER_FAILURE
        assert failed.last_error == "ValueError"  # the message may hold personal data
        assert await due.run_duties(database, {"w": does(3)}, AT + due.AFTER_FAILURE, lease=LEASE) == 3
        assert (await row(database)).last_error is None

    async def test_a_failing_duty_does_not_hinder_the_next(self, database: Database) -> None:
        await a_row(database, "a")
        await a_row(database, "b")

        async def fails(session: due.Session, at: datetime) -> int:
            raise ValueError

        assert await due.run_duties(database, {"a": fails, "b": does(2)}, AT, lease=LEASE) == 2

    async def test_of_many_workers_one_runs_a_duty(self, database: Database) -> None:
        await a_row(database)
        runs = []

        async def once(session: due.Session, at: datetime) -> int:
            runs.append(at)
            await asyncio.sleep(0.05)
            return 1

        await asyncio.gather(*(due.run_duties(database, {"w": once}, AT, lease=LEASE) for _ in range(5)))
        assert runs == [AT]

    async def test_only_duties_this_worker_knows_are_claimed(self, database: Database) -> None:
        await a_row(database, "of a newer version")
        assert await due.run_duties(database, {"w": does(1)}, AT, lease=LEASE) == 0
        assert (await row(database, "of a newer version")).lease_until is None


def does(amount: int) -> due.Work:
    async def work(session: due.Session, at: datetime) -> int:
        return amount

    return work
