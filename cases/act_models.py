"""Tables of what offices owe each other about a case: documents, promised dates, orders from above, disputes.

Words stand in `entries`, clocks in `limits`: whether an order or a dispute is still open is said by its limit alone.
"""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from core.db import Moment

STANDING = "current AND state IN ('open', 'broken')"


class AnswerDocument(SQLModel, table=True):
    """The official document an answer was given by, where a unit answers by document."""

    __tablename__ = "answer_documents"
    __table_args__ = (Index("ix_answer_documents_case_id", "case_id"),)

    entry_id: UUID = Field(primary_key=True, foreign_key="entries.id")  # of the answer
    case_id: UUID = Field(foreign_key="cases.id")
    number: str
    issued_on: date
    signer: str
    file_id: UUID | None = Field(default=None, foreign_key="attachments.id")  # the signed one
    public: bool = True  # the citizen reads it with the answer, everybody what it is with the published case
    file_public: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})  # and the signed file


class Commitment(SQLModel, table=True):
    """A date a unit committed itself to when it told its progress, and what became of it. The newest is `current`."""

    __tablename__ = "commitments"
    __table_args__ = (
        Index("ix_commitments_until", "until", postgresql_where=text("state = 'open'")),
        Index("ix_commitments_case_id", "case_id"),
        Index("ix_commitments_standing", "case_id", "state", postgresql_where=text(STANDING)),
        Index("uq_commitments_one_current", "case_id", "department", unique=True, postgresql_where=text("current")),
        CheckConstraint("state IN ('open', 'kept', 'broken', 'replaced', 'ended')", name="state"),
        CheckConstraint("until > told_at", name="ahead"),
        CheckConstraint("(state = 'open') = (settled_at IS NULL)", name="settled"),
    )

    id: UUID = Field(primary_key=True)
    case_id: UUID = Field(foreign_key="cases.id")
    department: str = Field(foreign_key="departments.code")
    entry_id: UUID = Field(foreign_key="entries.id")
    told_at: datetime = Field(sa_type=Moment)
    until: datetime = Field(sa_type=Moment)
    state: str = Field(default="open", sa_column_kwargs={"server_default": "open"})
    settled_at: datetime | None = Field(default=None, sa_type=Moment)
    current: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})


class Directive(SQLModel, table=True):
    """An order of the leadership to a unit that has the case; it owes an answer, by the clock of stage `directive`."""

    __tablename__ = "directives"
    __table_args__ = (
        Index("ix_directives_case_id", "case_id"),
        Index("uq_directives_limit_id", "limit_id", unique=True),
        CheckConstraint("(answer_id IS NULL) = (answered_at IS NULL)", name="answered"),
    )

    id: UUID = Field(primary_key=True)
    case_id: UUID = Field(foreign_key="cases.id")
    limit_id: UUID = Field(foreign_key="limits.id")
    department: str = Field(foreign_key="departments.code")
    by: UUID = Field(foreign_key="staff.id")
    entry_id: UUID = Field(foreign_key="entries.id")
    opened_at: datetime = Field(sa_type=Moment)
    answer_id: UUID | None = Field(default=None, foreign_key="entries.id")
    answered_at: datetime | None = Field(default=None, sa_type=Moment)


class Dispute(SQLModel, table=True):
    """Units that have a case disagree whose it is; who stands above them decides, by the clock of stage `dispute`."""

    __tablename__ = "disputes"
    __table_args__ = (
        Index("ix_disputes_case_id", "case_id"),
        Index("uq_disputes_limit_id", "limit_id", unique=True),
        CheckConstraint("num_nulls(decision_id, decided_at, decided_by, lead) IN (0, 4)", name="decided"),
    )

    id: UUID = Field(primary_key=True)
    case_id: UUID = Field(foreign_key="cases.id")
    limit_id: UUID = Field(foreign_key="limits.id")
    department: str = Field(foreign_key="departments.code")  # that raised it
    entry_id: UUID = Field(foreign_key="entries.id")
    opened_at: datetime = Field(sa_type=Moment)
    decision_id: UUID | None = Field(default=None, foreign_key="entries.id")
    decided_at: datetime | None = Field(default=None, sa_type=Moment)
    decided_by: UUID | None = Field(default=None, foreign_key="staff.id")
    lead: str | None = Field(default=None, foreign_key="departments.code")  # who leads by that decision
