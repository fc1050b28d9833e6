"""Work is a row that is due: `run_at`, a lease, attempts and a dead state, claimed with SKIP LOCKED.

One mechanism for every kind of work that calls the outside world or repeats: a worker claims rows (commit), does the
work outside any transaction, then settles each in a second short one. A worker that dies leaves a lease that runs out.
"""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

import structlog
from sqlalchemy import func, literal, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.db import Database, Moment

LEASE = timedelta(seconds=60)
FIRST_RETRY = timedelta(seconds=5)
LONGEST_RETRY = timedelta(hours=1)
MAX_ATTEMPTS = 16  # about six hours of back-off
AFTER_FAILURE = timedelta(seconds=2)  # a duty that failed is tried again this soon

Session: TypeAlias = AsyncSession  # for those who run work and know no database library
Work: TypeAlias = Callable[[Session, datetime], Awaitable[int]]  # what a duty does; how much it found to do
log = structlog.get_logger()


class Due(SQLModel):
    """Columns of a row that is work. `run_at` NULL means nothing left to do; `dead_at` set: a person must look."""

    run_at: datetime | None = Field(default=None, sa_type=Moment)
    lease_until: datetime | None = Field(default=None, sa_type=Moment)
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    dead_at: datetime | None = Field(default=None, sa_type=Moment)
    last_error: str | None = None


class Duty(Due, table=True):
    """A periodic duty of the system, such as numbering the journal; every worker may run it, one at a time."""

    __tablename__ = "duties"

    name: str = Field(primary_key=True)
    every_ms: int


Row = TypeVar("Row", bound=Due)


async def claim(
    session: AsyncSession,
    table: type[Row],
    at: datetime,
    *,
    limit: int,
    lease: timedelta = LEASE,
    where: Sequence[Any] = (),
    values: dict[str, Any] | None = None,
) -> list[Row]:
    """Take up to `limit` rows that are due and not leased, oldest first; the caller commits before working on them.

    Counts the attempt now, so that work which kills its worker still reaches the dead state. `values` are set on
    the claimed rows in the same statement. What is claimed is written as a CTE because PostgreSQL may run a plain
    subquery once per candidate and would then claim more than `limit`.
    """
    key = _key(table)
    due = (
        select(key)
        .where(
            col(table.run_at) <= at,
            (col(table.lease_until).is_(None)) | (col(table.lease_until) <= at),
            *where,
        )
        .order_by(col(table.run_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    claimed = await session.execute(
        update(table)
        .where(key.in_(select(due.c[0])))
        .values(lease_until=at + lease, attempts=col(table.attempts) + 1, **(values or {}))
        .returning(table)
        .execution_options(synchronize_session=False)
    )
    rows = list(claimed.scalars())
    return sorted(rows, key=lambda row: row.run_at or at)


async def finish(
    session: AsyncSession, table: type[Row], key: UUID | str, *, where: Sequence[Any] = (), **values: Any
) -> bool:
    """The work is done: nothing is due any more. False when `where` no longer holds and nothing was written.

    Here and below `where` lets a worker that was slow find out that its row has passed to somebody else.
    """
    return await _settle(session, table, key, where, run_at=None, lease_until=None, last_error=None, **values)


async def finish_many(
    session: AsyncSession, table: type[Row], keys: Sequence[UUID], *, where: Sequence[Any] = (), **values: Any
) -> set[UUID]:
    """`finish` for many rows in one statement; the keys of those for which `where` held."""
    rows = table.__table__  # type: ignore[attr-defined]
    done = update(rows).where(_key(table).in_(keys), *where).returning(_key(table))
    settled = await session.execute(done.values(run_at=None, lease_until=None, last_error=None, **values))
    return set(settled.scalars())


async def retry(
    session: AsyncSession,
    table: type[Row],
    key: UUID | str,
    at: datetime,
    attempts: int,
    error: str,
    *,
    where: Sequence[Any] = (),
    pause: timedelta | None = None,
    **values: Any,
) -> bool:
    """The work failed and may succeed later: back off with jitter, or die after MAX_ATTEMPTS. True if it lives.

    `pause`: at least so long, because somebody asked for it.
    """
    if attempts >= MAX_ATTEMPTS:
        await bury(session, table, key, at, error, where=where, **values)
        return False
    again = at + max(backoff(attempts), pause or timedelta(0))
    return await _settle(session, table, key, where, run_at=again, lease_until=None, last_error=error, **values)


async def put_back(
    session: AsyncSession, table: type[Row], key: UUID | str, at: datetime, *, where: Sequence[Any] = (), **values: Any
) -> bool:
    """Nothing was tried: due again at `at`, and the claim does not count."""
    before = col(table.attempts) - 1
    return await _settle(session, table, key, where, run_at=at, lease_until=None, attempts=before, **values)


async def bury(
    session: AsyncSession,
    table: type[Row],
    key: UUID | str,
    at: datetime,
    error: str,
    *,
    where: Sequence[Any] = (),
    **values: Any,
) -> bool:
    """The work cannot succeed by itself: keep it for a person to see, with the reason."""
    return await _settle(
        session, table, key, where, run_at=None, lease_until=None, dead_at=at, last_error=error, **values
    )


async def revive(
    session: AsyncSession,
    table: type[Row],
    key: UUID | str,
    at: datetime,
    *,
    where: Sequence[Any] = (),
    **values: Any,
) -> bool:
    """A person asked for another try of dead work."""
    return await _settle(session, table, key, where, run_at=at, lease_until=None, dead_at=None, attempts=0, **values)


def backoff(attempts: int) -> timedelta:
    """5 s doubled per attempt up to an hour, spread by ±20 % so that a crowd does not come back at once."""
    plain = min(FIRST_RETRY * 2 ** min(max(0, attempts - 1), MAX_ATTEMPTS), LONGEST_RETRY)
    return timedelta(seconds=plain.total_seconds() * random.uniform(0.8, 1.2))


async def ensure_duties(session: AsyncSession, duties: dict[str, int], at: datetime) -> None:
    """Make the rows of the periodic duties (name → milliseconds between runs); several workers start at once."""
    if not duties:
        return
    rows = [{"name": name, "every_ms": every_ms, "run_at": at} for name, every_ms in sorted(duties.items())]
    fresh = insert(Duty).values(rows)
    await session.execute(
        fresh.on_conflict_do_update(
            index_elements=[col(Duty.name)],
            set_={"every_ms": fresh.excluded.every_ms},
            where=col(Duty.every_ms) != fresh.excluded.every_ms,
        )
    )


async def run_duties(database: Database, works: Mapping[str, Work], at: datetime, *, lease: timedelta) -> int:
    """Run those of these duties that are due and that no other worker runs now; the sum of what they did.

    Each runs in a transaction of its own that also sets its next run, so a duty is done and noted or neither. One that
    fails is logged, due again soon and no hindrance to the others; a database that is away raises.
    """
    async with database.transaction() as session:
        mine = await claim(session, Duty, at, limit=len(works), lease=lease, where=(col(Duty.name).in_(works),))
    done = 0
    for name in sorted(duty.name for duty in mine):
        try:
            async with database.transaction() as session:
                done += await works[name](session, at)
                await next_round(session, name, at, None)
        except Exception as error:
            log.error("duty failed", duty=name, error=type(error).__name__)
            async with database.transaction() as session:
                await next_round(session, name, at, type(error).__name__)
    return done


async def next_round(session: AsyncSession, name: str, at: datetime, error: str | None) -> None:
    """A periodic duty has run: due again at its next beat after `at`, or after a short pause if it failed.

    Beats keep their phase, so that a nightly duty that once ran late is at night again next time.
    """
    seconds = col(Duty.every_ms) / 1000.0
    since = func.extract("epoch", literal(at, Moment) - col(Duty.run_at))
    beats = func.greatest(func.floor(since / seconds) + 1, 1)
    next_beat = col(Duty.run_at) + func.make_interval(0, 0, 0, 0, 0, 0, beats * seconds)
    await session.execute(
        update(Duty)
        .where(col(Duty.name) == name)
        .values(
            run_at=next_beat if error is None else at + AFTER_FAILURE,
            lease_until=None,
            attempts=0 if error is None else col(Duty.attempts),
            last_error=error,
        )
        .execution_options(synchronize_session=False)
    )


async def _settle(
    session: AsyncSession, table: type[Row], key: UUID | str, where: Sequence[Any], **values: Any
) -> bool:
    # On the bare table: the mapped class costs as much again in the mapper, and no object is to be refreshed.
    rows = table.__table__  # type: ignore[attr-defined]
    settled = await session.execute(
        update(rows).where(_key(table) == key, *where).values(**values).returning(_key(table))
    )
    return settled.first() is not None


def _key(table: type[SQLModel]) -> Any:
    return next(iter(table.__table__.primary_key.columns))  # type: ignore[attr-defined]
