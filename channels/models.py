"""Tables of what came in and what goes out. A case is only a `subject_id` here."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from core.db import Moment
from core.due import Due


class Received(Due, table=True):
    """A raw inbound event, kept before anything is made of it; unique per (channel, account, external id)."""

    __tablename__ = "received"
    __table_args__ = (
        Index("uq_received_channel_account_external_id", "channel", "account", "external_id", unique=True),
        Index("ix_received_run_at", "run_at", postgresql_where=text("run_at IS NOT NULL")),
        Index("ix_received_received_at", "received_at", postgresql_using="brin"),
    )

    id: UUID = Field(primary_key=True)
    channel: str
    account: str
    external_id: str
    received_at: datetime = Field(sa_type=Moment)
    raw: str  # the body as received, or the parsed members of a form
    fingerprint: bytes | None = None  # SHA-256 of parsed members and original files: the same request again?
    subject_id: UUID | None = None
    answer: dict[str, Any] | None = Field(default=None, sa_type=JSONB)


class Outgoing(Due, table=True):
    """A message to be sent, written in the transaction of what caused it; once per (subject, purpose, entry)."""

    __tablename__ = "outgoing"
    __table_args__ = (
        Index("uq_outgoing_subject_id_purpose_entry_id", "subject_id", "purpose", "entry_id", unique=True),
        Index("ix_outgoing_run_at", "run_at", postgresql_where=text("run_at IS NOT NULL")),
        Index("ix_outgoing_undelivered", "id", postgresql_where=text("state IN ('failed', 'unknown')")),
    )

    id: UUID = Field(primary_key=True)
    subject_id: UUID
    entry_id: UUID  # what in the subject it is about: a line of the conversation, a part in it, a turn of a clock
    purpose: str
    channel: str
    scheme: str
    handle: str
    text: str
    reference: str
    title: str | None = None  # the subject line, on channels that have one
    addressee: str | None = None  # code of the department it is for; NULL: the person the subject is about
    attachments: list[dict[str, Any]] = Field(
        default_factory=list, sa_type=JSONB, sa_column_kwargs={"server_default": "[]"}
    )
    state: str = "queued"  # queued | sending | sent | delivered | read | failed | unknown | dropped
    vendor_id: str | None = None
    created_at: datetime = Field(sa_type=Moment)
    sent_at: datetime | None = Field(default=None, sa_type=Moment)


class DeliveryAttempt(SQLModel, table=True):
    """One try of one outgoing message and what came of it."""

    __tablename__ = "delivery_attempts"
    __table_args__ = (Index("ix_delivery_attempts_outgoing_id", "outgoing_id", "at"),)

    id: UUID = Field(primary_key=True)
    outgoing_id: UUID = Field(foreign_key="outgoing.id")
    at: datetime = Field(sa_type=Moment)
    outcome: str  # sent | a Failure
    reason: str | None = None
    vendor_id: str | None = None
