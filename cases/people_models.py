"""Tables of what is known of people beyond their addresses: who is the same person, and what they agreed to."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from core.db import Moment


class Merge(SQLModel, table=True):
    """Somebody decided that two citizens are one person; `undone_at` when somebody took that back.

    Nothing is moved by it: identities and cases stay with the citizen they came by, `citizens.merged_into` follows from
    the merges that stand. `moved` holds the ids of what came under the other citizen that day.
    """

    __tablename__ = "merges"
    __table_args__ = (
        Index("uq_merges_standing", "from_id", "into_id", unique=True, postgresql_where=text("undone_at IS NULL")),
        Index("ix_merges_into_id", "into_id"),
        Index("ix_merges_from_id", "from_id"),
        CheckConstraint("from_id <> into_id", name="two"),
    )

    id: UUID = Field(primary_key=True)
    from_id: UUID = Field(foreign_key="citizens.id")
    into_id: UUID = Field(foreign_key="citizens.id")
    why: str  # signals of cases.likeness, comma separated; "told": a person knew
    note: str | None = None
    staff_id: UUID | None = Field(default=None, foreign_key="staff.id")  # NULL: the vendor proved it
    at: datetime = Field(sa_type=Moment)
    moved: dict[str, Any] = Field(sa_type=JSONB)
    undone_at: datetime | None = Field(default=None, sa_type=Moment)
    undone_by: UUID | None = Field(default=None, foreign_key="staff.id")


class Apart(SQLModel, table=True):
    """Somebody decided that two citizens are not the same person, so that nobody is asked again."""

    __tablename__ = "people_apart"
    __table_args__ = (CheckConstraint("one_id < other_id", name="in_order"),)

    one_id: UUID = Field(foreign_key="citizens.id", primary_key=True)
    other_id: UUID = Field(foreign_key="citizens.id", primary_key=True, index=True)
    staff_id: UUID = Field(foreign_key="staff.id")
    at: datetime = Field(sa_type=Moment)


class Consent(SQLModel, table=True):
    """What a citizen agreed to or took back, on one channel for one purpose; the newest counts, all are kept."""

    __tablename__ = "consents"
    __table_args__ = (Index("ix_consents_citizen_id", "citizen_id", "at"),)

    id: UUID = Field(primary_key=True)
    citizen_id: UUID = Field(foreign_key="citizens.id")
    identity_id: UUID | None = Field(default=None, foreign_key="identities.id")  # NULL: every address on the channel
    channel: str
    purpose: str  # answers | care_calls | surveys
    given: bool
    source: str  # where it was said: sms, follow, complaint, tracking_page, staff…
    staff_id: UUID | None = Field(default=None, foreign_key="staff.id")
    at: datetime = Field(sa_type=Moment)


class Withdrawal(SQLModel, table=True):
    """A request, by the vendor's own button, that we give up a person's data; `done_at` when they were made unknown."""

    __tablename__ = "withdrawals"
    __table_args__ = (Index("ix_withdrawals_waiting", "at", postgresql_where=text("done_at IS NULL")),)

    id: UUID = Field(primary_key=True)
    identity_id: UUID = Field(foreign_key="identities.id", index=True)
    channel: str
    at: datetime = Field(sa_type=Moment)
    done_at: datetime | None = Field(default=None, sa_type=Moment)
