"""The journal: what happened, in order, never changed (DESIGN.md 4).

Rows hold ids, codes, amounts and names of changed fields, never free text or personal data. Readers follow
`journal_positions`, numbered by `number_positions`, because a sequence alone lets a reader skip a late commit.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity, Index, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import UserDefinedType
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from core import wake
from core.db import Moment

NUMBERING_LOCK = 1022_001  # advisory lock: one numberer at a time


class Xid8(UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id; read and compared in SQL only."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The column type's name."""
        return "xid8"


class Journal(SQLModel, table=True):
    """One thing that happened. `restricted` rows are for holders of the role only and never leave by the feed."""

    __tablename__ = "journal"
    __table_args__ = (Index("ix_journal_txid", "txid"), Index("ix_journal_case_id", "case_id", "id"))

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    txid: int | None = Field(
        default=None, sa_column=Column(Xid8(), server_default=text("pg_current_xact_id()"), nullable=False)
    )
    kind: str
    case_id: UUID | None = None
    subject: str | None = None
    actor_kind: str
    actor_id: UUID | None = None
    occurred_at: datetime = Field(sa_type=Moment)
    recorded_at: datetime | None = Field(
        default=None, sa_column=Column(Moment, server_default=text("clock_timestamp()"), nullable=False)
    )
    restricted: bool = False
    data: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)


class JournalPosition(SQLModel, table=True):
    """The order readers see: dense, without gaps, never changed."""

    __tablename__ = "journal_positions"

    position: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    journal_id: int = Field(sa_column=Column(BigInteger, nullable=False, unique=True))


class JournalCursor(SQLModel, table=True):
    """Single row: transactions below `boundary` are numbered; rows up to `floor_id` came from a restored backup."""

    __tablename__ = "journal_cursor"

    id: int = Field(default=1, primary_key=True)
    boundary: int = Field(sa_column=Column(Xid8(), nullable=False))
    floor_id: int = Field(default=0, sa_type=BigInteger)


async def record(
    session: AsyncSession,
    kind: str,
    *,
    at: datetime,
    actor_kind: str,
    actor_id: UUID | None = None,
    case_id: UUID | None = None,
    subject: str | None = None,
    restricted: bool = False,
    data: dict[str, Any] | None = None,
) -> None:
    """Append one row in the caller's transaction. `data` holds no free text and no personal data."""
    session.add(
        Journal(
            kind=kind,
            occurred_at=at,
            actor_kind=actor_kind,
            actor_id=actor_id,
            case_id=case_id,
            subject=subject,
            restricted=restricted,
            data=data or {},
        )
    )


class Line(NamedTuple):
    """A row to be, about a case, for `record_all`."""

    kind: str
    case_id: UUID
    restricted: bool
    data: dict[str, Any]


_RECORD_ALL = text(
    """
    INSERT INTO journal (kind, case_id, restricted, data, actor_kind, actor_id, occurred_at)
    SELECT kind, case_id, restricted, CAST(data AS jsonb), :actor_kind, :actor_id, :at
    FROM unnest(CAST(:kinds AS text[]), CAST(:cases AS uuid[]), CAST(:restricted AS boolean[]), CAST(:data AS text[]))
        WITH ORDINALITY AS line (kind, case_id, restricted, data, n)
    ORDER BY n
    """
).bindparams(bindparam("at", type_=Moment), bindparam("actor_id", type_=Uuid()))


async def record_all(
    session: AsyncSession, lines: Sequence[Line], *, at: datetime, actor_kind: str, actor_id: UUID | None = None
) -> None:
    """Append many rows about cases in the caller's transaction, in this order, with one statement."""
    await session.execute(
        _RECORD_ALL,
        {
            "kinds": [line.kind for line in lines],
            "cases": [line.case_id for line in lines],
            "restricted": [line.restricted for line in lines],
            "data": [json.dumps(line.data, ensure_ascii=False) for line in lines],
            "actor_kind": actor_kind,
            "actor_id": actor_id,
            "at": at,
        },
    )


class ForeignBoundary(RuntimeError):
    """Transactions "already numbered" that this server has not begun: nothing new would ever get a position."""


_NUMBER = text(
    """
    WITH cursor AS (SELECT boundary, floor_id FROM journal_cursor WHERE id = 1),
    horizon AS (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS xmin),
    fresh AS (
        SELECT j.id, row_number() OVER (ORDER BY j.id) AS n
        FROM journal j, cursor, horizon
        WHERE j.txid >= cursor.boundary AND j.txid < horizon.xmin AND j.id > cursor.floor_id
    ),
    numbered AS (
        INSERT INTO journal_positions (position, journal_id)
        SELECT coalesce((SELECT max(position) FROM journal_positions), 0) + n, id FROM fresh
        RETURNING 1
    ),
    moved AS (
        UPDATE journal_cursor SET boundary = horizon.xmin FROM horizon
        WHERE journal_cursor.id = 1 AND journal_cursor.boundary < horizon.xmin RETURNING 1
    )
    SELECT (SELECT count(*) FROM numbered), (SELECT boundary > pg_snapshot_xmax(pg_current_snapshot()) FROM cursor)
    """
)

# Numbers everything a restored backup brought, then goes on from this server's own transactions. Transaction ids of
# another server say nothing about order here, so the rows keep their old order by id and `floor_id` keeps them out of
# later rounds. It belongs to the transaction that loads the rows: none of them is ever seen without its number.
NUMBER_AFTER_RESTORE = """
    INSERT INTO journal_positions (position, journal_id)
        SELECT coalesce((SELECT max(position) FROM journal_positions), 0) + row_number() OVER (ORDER BY id), id
        FROM journal j WHERE NOT EXISTS (SELECT 1 FROM journal_positions p WHERE p.journal_id = j.id);
    UPDATE journal_cursor SET boundary = pg_snapshot_xmin(pg_current_snapshot()),
        floor_id = coalesce((SELECT max(id) FROM journal), 0) WHERE id = 1;
"""


async def number_positions(session: AsyncSession) -> int:
    """Number every row of a finished transaction below the oldest running one; returns how many.

    Within a round rows go by id, which is given under the lock of their case or of the limits they speak of, which
    every act on a case holds too; so acts on one case keep their order.
    Runs under an advisory lock; when another process holds it, 0. ForeignBoundary when the rows were brought here from
    another server by other means than our restore.
    """
    held = await session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": NUMBERING_LOCK})
    if not held:
        return 0
    numbered, foreign = (await session.execute(_NUMBER)).one()
    if foreign:
        raise ForeignBoundary("the journal was numbered by another server: bring it here with `main.py restore`")
    if numbered:
        await wake.knock(session, wake.POSITIONS)
    return int(numbered)


async def last_position(session: AsyncSession) -> int:
    """How far the journal is numbered, 0 when nothing is: all rows up to here are committed and none comes in between.

    What is read after this, in the same or a later statement, knows everything up to here.
    """
    return int(await session.scalar(text("SELECT coalesce(max(position), 0) FROM journal_positions")) or 0)
