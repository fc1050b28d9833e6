"""Tables of calls and of the work that calls leave behind. Their raw events are rows of `received`."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from core.db import Moment
from core.due import Due

GOING_ON = "ended_at IS NULL"


class CallSession(SQLModel, table=True):
    """One call as the caller lived it. `state` only rises (hotline.states); `menu` is as far as they came in it."""

    __tablename__ = "call_sessions"
    __table_args__ = (
        Index("uq_call_sessions_provider_provider_call_id", "provider", "provider_call_id", unique=True),
        Index("ix_call_sessions_opened_at_id", "opened_at", "id"),
        Index("ix_call_sessions_caller", "caller", "opened_at", postgresql_where=text("caller IS NOT NULL")),
        Index("ix_call_sessions_going_on", "opened_at", postgresql_where=text(GOING_ON)),
        Index("ix_call_sessions_case_id", "case_id", postgresql_where=text("case_id IS NOT NULL")),
        Index("ix_call_sessions_task_id", "task_id", postgresql_where=text("task_id IS NOT NULL")),
        CheckConstraint("kind IN ('inbound')", name="kind"),
    )

    id: UUID = Field(primary_key=True)
    provider: str  # twilio
    provider_call_id: str
    kind: str = "inbound"
    caller: str | None = None  # E.164; NULL: withheld, or no number at all
    number: str  # of ours that was called
    state: str  # a hotline.states.CallState
    seq: int | None = None  # number of the report that said so, where the carrier numbers them
    menu: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB, sa_column_kwargs={"server_default": "{}"})
    opened_at: datetime = Field(sa_type=Moment)  # when we first heard of it, or the carrier's earlier word
    answered_at: datetime | None = Field(default=None, sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)
    outcome: str = ""  # a hotline.steps.Outcome: what came of it so far, for good once it has ended
    case_id: UUID | None = Field(default=None, foreign_key="cases.id")  # what came of a voicemail
    task_id: UUID | None = None  # the CallTask this call counts in, whatever became of that since


class CallLeg(SQLModel, table=True):
    """One connection of a call at the carrier: the caller's, and those made to others."""

    __tablename__ = "call_legs"
    __table_args__ = (Index("uq_call_legs_provider_provider_leg_id", "provider", "provider_leg_id", unique=True),)

    id: UUID = Field(primary_key=True)
    session_id: UUID = Field(foreign_key="call_sessions.id", index=True)
    role: str = "caller"  # caller | other
    provider: str
    provider_leg_id: str
    state: str
    seq: int | None = None
    opened_at: datetime = Field(sa_type=Moment)
    answered_at: datetime | None = Field(default=None, sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)
    cause: str | None = None  # why it failed, in the carrier's code


class CallTask(SQLModel, table=True):
    """A caller somebody has to call: one open task a number, however often they tried.

    `state`: open | done (a person says so) | reached (the caller got through meanwhile).
    """

    __tablename__ = "call_tasks"
    __table_args__ = (
        Index(
            "uq_call_tasks_phone",
            "phone",
            unique=True,
            postgresql_where=text("state = 'open' AND phone IS NOT NULL AND NOT apart"),
        ),
        Index("ix_call_tasks_open", "opened_at", "id", postgresql_where=text("state = 'open'")),
        Index("ix_call_tasks_session_id", "session_id"),
        Index("ix_call_tasks_case_id", "case_id", postgresql_where=text("case_id IS NOT NULL")),
        CheckConstraint("kind IN ('missed', 'callback')", name="kind"),
        CheckConstraint("state IN ('open', 'done', 'reached')", name="state"),
        CheckConstraint("calls > 0", name="calls"),
    )

    id: UUID = Field(primary_key=True)
    kind: str  # missed: hung up before they left word | callback: they asked for a person
    phone: str | None = None  # E.164; NULL: they said it in their voicemail
    session_id: UUID = Field(foreign_key="call_sessions.id")  # the first of the calls
    opened_at: datetime = Field(sa_type=Moment)
    due_at: datetime | None = Field(default=None, sa_type=Moment)
    calls: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    state: str = Field(default="open", sa_column_kwargs={"server_default": "open"})
    closed_at: datetime | None = Field(default=None, sa_type=Moment)
    closed_by: UUID | None = Field(default=None, foreign_key="staff.id")
    case_id: UUID | None = Field(default=None, foreign_key="cases.id")
    # Of a case that few may see: what the same number leaves to do otherwise must not vanish in it.
    apart: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})


class Recording(Due, table=True):
    """What a caller said after the tone: at the carrier first, then sealed among our files, then ours alone.

    `state`: announced (at the carrier) | kept (with us too) | removed (with us alone) | expired (its time was over) |
    lost (the carrier had it no more before we did) | short (a slip, not kept) | absent (the carrier has none).
    Due while its case is to be opened, its sound to be taken, or the carrier's copy to be removed.
    """

    __tablename__ = "recordings"
    __table_args__ = (
        Index("uq_recordings_provider_provider_recording_id", "provider", "provider_recording_id", unique=True),
        Index("ix_recordings_run_at", "run_at", postgresql_where=text("run_at IS NOT NULL")),
        Index("ix_recordings_dead", "id", postgresql_where=text("dead_at IS NOT NULL")),
        Index("ix_recordings_session_id", "session_id"),
        Index("ix_recordings_case_id", "case_id", postgresql_where=text("case_id IS NOT NULL")),
        Index("ix_recordings_retain_until", "retain_until", postgresql_where=text("state = 'removed'")),
        CheckConstraint(
            "state IN ('announced', 'kept', 'removed', 'expired', 'lost', 'short', 'absent')", name="state"
        ),
    )

    id: UUID = Field(primary_key=True)
    session_id: UUID = Field(foreign_key="call_sessions.id")
    provider: str
    provider_recording_id: str
    url: str | None = None  # at the carrier
    duration: int | None = None  # seconds, as the carrier says
    state: str = "announced"
    announced_at: datetime = Field(sa_type=Moment)
    case_id: UUID | None = Field(default=None, foreign_key="cases.id")
    entry_id: UUID | None = Field(default=None, foreign_key="entries.id")  # the line it hangs at
    sha256: str | None = None  # of the sound as the carrier gave it
    size: int | None = None
    media_type: str | None = None
    file: str | None = None  # key of the sealed file; written before the file itself is
    kept_at: datetime | None = Field(default=None, sa_type=Moment)
    removed_at: datetime | None = Field(default=None, sa_type=Moment)  # at the carrier
    retain_until: datetime | None = Field(default=None, sa_type=Moment)  # set when it is kept
    held: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})  # kept whatever its time


class RecordingAccess(SQLModel, table=True):
    """Who listened to a recording, when and what for."""

    __tablename__ = "recording_accesses"
    __table_args__ = (Index("ix_recording_accesses_recording_id_staff_id", "recording_id", "staff_id", "at"),)

    id: UUID = Field(primary_key=True)
    recording_id: UUID = Field(foreign_key="recordings.id")
    staff_id: UUID = Field(foreign_key="staff.id")
    at: datetime = Field(sa_type=Moment)
    purpose: str
