"""Tables of who is on duty and stands in for whom, of what people are told, and of what went upwards."""

from datetime import datetime, time, timedelta
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index, SmallInteger, text
from sqlmodel import Field, SQLModel

from core.db import Moment


class DutyShift(SQLModel, table=True):
    """Somebody is on duty for a department from one moment to another; several may be at once."""

    __tablename__ = "duty_shifts"
    __table_args__ = (
        Index("uq_duty_shifts_department_staff_id_starts_at", "department", "staff_id", "starts_at", unique=True),
        Index("ix_duty_shifts_ends_at", "ends_at"),
        CheckConstraint("ends_at > starts_at", name="order"),
    )

    id: UUID = Field(primary_key=True)
    department: str = Field(foreign_key="departments.code")
    staff_id: UUID = Field(foreign_key="staff.id")
    starts_at: datetime = Field(sa_type=Moment)
    ends_at: datetime = Field(sa_type=Moment)


class Leave(SQLModel, table=True):
    """Somebody is away: told nothing meanwhile, unless nobody else is left."""

    __tablename__ = "leaves"
    __table_args__ = (
        Index("ix_leaves_staff_id_ends_at", "staff_id", "ends_at"),
        Index("ix_leaves_ends_at", "ends_at"),
        CheckConstraint("ends_at > starts_at", name="order"),
    )

    id: UUID = Field(primary_key=True)
    staff_id: UUID = Field(foreign_key="staff.id")
    starts_at: datetime = Field(sa_type=Moment)
    ends_at: datetime = Field(sa_type=Moment)

    @property
    def last(self) -> datetime:
        """The last moment of it, which lies in its last day."""
        return self.ends_at - timedelta(seconds=1)


class Deputy(SQLModel, table=True):
    """Who stands in for somebody who is away; the lowest rank first."""

    __tablename__ = "deputies"
    __table_args__ = (CheckConstraint("staff_id <> deputy_id", name="another"),)

    staff_id: UUID = Field(foreign_key="staff.id", primary_key=True)
    deputy_id: UUID = Field(foreign_key="staff.id", primary_key=True)
    rank: int = Field(sa_type=SmallInteger)


class NamedRole(SQLModel, table=True):
    """A person whom a step of the escalation ladder means."""

    __tablename__ = "named_roles"

    role: str = Field(primary_key=True)
    staff_id: UUID = Field(foreign_key="staff.id", primary_key=True)


class Notice(SQLModel, table=True):
    """Somebody is told of one thing that the journal says, once.

    `cause` is the row of the journal and `part` which of the things it says. No foreign key to the case: cases are
    never deleted, and its check would lock them against the commands on them.
    """

    __tablename__ = "notices"
    __table_args__ = (
        Index("uq_notices_cause_part_staff_id", "cause", "part", "staff_id", unique=True),
        Index("ix_notices_staff_id_id", "staff_id", "id"),
        Index("ix_notices_unseen", "staff_id", "id", postgresql_where=text("seen_at IS NULL")),
        Index("ix_notices_at", "at", postgresql_using="brin"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    staff_id: UUID = Field(foreign_key="staff.id")
    case_id: UUID
    cause: int = Field(sa_type=BigInteger)
    part: int = Field(sa_type=SmallInteger)
    kind: str
    how: str  # why this person: on_duty, deputy, head, supervisor …
    limit_id: UUID | None = None
    stage: str | None = None
    holder: str | None = None
    percent: int | None = Field(default=None, sa_type=SmallInteger)
    due_at: datetime | None = Field(default=None, sa_type=Moment)
    at: datetime = Field(sa_type=Moment)
    seen_at: datetime | None = Field(default=None, sa_type=Moment)


class NoticeCursor(SQLModel, table=True):
    """Single row: what the journal says up to here has been told."""

    __tablename__ = "notice_cursor"

    id: int = Field(default=1, primary_key=True)
    position: int = Field(sa_type=BigInteger)


class NoticeWay(SQLModel, table=True):
    """A way by which somebody wants to be told outside the console, proved to be theirs.

    `next_at` is when the next message may leave, NULL while there is nothing to tell; notices up to `upto` have left.
    """

    __tablename__ = "notice_ways"
    __table_args__ = (
        Index("ix_notice_ways_next_at", "next_at", postgresql_where=text("next_at IS NOT NULL")),
        CheckConstraint("mode IN ('at_once', 'digest', 'none')", name="mode"),
    )

    staff_id: UUID = Field(foreign_key="staff.id", primary_key=True)
    channel: str = Field(primary_key=True)
    mode: str
    handle: str
    verified_at: datetime = Field(sa_type=Moment)
    digest_at: time  # local time of the one digest of the day
    upto: int = Field(default=0, sa_type=BigInteger)
    posted_at: datetime | None = Field(default=None, sa_type=Moment)
    next_at: datetime | None = Field(default=None, sa_type=Moment)


class NoticeCode(SQLModel, table=True):
    """A one-time code by which somebody proves that an address is theirs; kept as its checksum."""

    __tablename__ = "notice_codes"
    __table_args__ = (Index("uq_notice_codes_digest", "digest", unique=True),)

    staff_id: UUID = Field(foreign_key="staff.id", primary_key=True)
    channel: str = Field(primary_key=True)
    handle: str | None = None  # NULL: it is known when the code comes from there
    digest: bytes
    tries: int = 0
    expires_at: datetime = Field(sa_type=Moment)


class Escalation(SQLModel, table=True):
    """A late limit went one step upwards: once for each step. No foreign key, as in EscalationDue."""

    __tablename__ = "escalations"

    limit_id: UUID = Field(primary_key=True)
    step: int = Field(sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    role: str
    at: datetime = Field(sa_type=Moment)


class EscalationDue(SQLModel, table=True):
    """A late limit that is still owed: when to look at it for its next step upwards.

    No foreign key: limits are never deleted, and its check would lock them against the commands on their cases.
    """

    __tablename__ = "escalations_due"
    __table_args__ = (Index("ix_escalations_due_run_at", "run_at"),)

    limit_id: UUID = Field(primary_key=True)
    run_at: datetime = Field(sa_type=Moment)
