"""Tables of what came in and what goes out. A case is only a `subject_id` here."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from core.db import Moment
from core.due import Due


class Received(Due, table=True):
    """A raw inbound event, kept before anything is made of it; unique per (channel, account, external id).

    Due while it waits to be made something of; dead when nobody could read it or what it asked for failed for good.
    """

    __tablename__ = "received"
    __table_args__ = (
        Index("uq_received_channel_account_external_id", "channel", "account", "external_id", unique=True),
        Index("ix_received_run_at", "run_at", postgresql_where=text("run_at IS NOT NULL")),
        Index("ix_received_received_at", "received_at", postgresql_using="brin"),
        # Whose turn it is: the oldest that waits of each sender.
        Index("ix_received_turns", "channel", "sender", "id", postgresql_where=text("run_at IS NOT NULL")),
        Index("ix_received_ref", "channel", "ref", postgresql_where=text("ref IS NOT NULL")),
        Index("ix_received_dead", "id", postgresql_where=text("dead_at IS NOT NULL")),
        Index("ix_received_album", "channel", "album", postgresql_where=text("album IS NOT NULL")),
    )

    id: UUID = Field(primary_key=True)
    channel: str
    account: str
    external_id: str
    received_at: datetime = Field(sa_type=Moment)
    kind: str | None = None  # of the event, as its parser named it; NULL: a report of our own forms
    sender: str | None = None  # scheme:handle; events of one sender are taken in the order they came
    ref: str | None = None  # by which later events speak of this message, where that is not its external id
    album: str | None = None  # what several events are one message by: the vendor sends each of its files alone
    raw: str  # the event as received (`channels.reading.keep`), or the parsed members of a form
    fingerprint: bytes | None = None  # SHA-256 of parsed members and original files: the same request again?
    subject_id: UUID | None = None
    answer: dict[str, Any] | None = Field(default=None, sa_type=JSONB)


class Outgoing(Due, table=True):
    """A message to be sent, written in the transaction of what caused it; once per (subject, purpose, entry, step).

    `step` counts the ways tried before for the same cause: a message that failed for good goes on as the next one.
    """

    __tablename__ = "outgoing"
    __table_args__ = (
        Index("uq_outgoing_cause_step", "subject_id", "purpose", "entry_id", "step", unique=True),
        Index("ix_outgoing_run_at", "run_at", postgresql_where=text("run_at IS NOT NULL")),
        # The oldest that waits for each person; what stands on the tracking page waits for nothing.
        Index(
            "ix_outgoing_turns",
            "channel",
            "handle",
            "id",
            postgresql_where=text("run_at IS NOT NULL AND scheme <> 'tracking'"),
        ),
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
    link: str | None = None  # where the rest can be read: a page of ours
    step: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    # queued | sending | sent | delivered | read | failed | unknown | dropped | passed (failed, and went another way)
    state: str = "queued"
    failure: str | None = None  # what stopped it last, in one of the words of `channels.failures`
    vendor_id: str | None = None
    created_at: datetime = Field(sa_type=Moment)
    sent_at: datetime | None = Field(default=None, sa_type=Moment)
    delivered_at: datetime | None = Field(default=None, sa_type=Moment)
    read_at: datetime | None = Field(default=None, sa_type=Moment)


class OutgoingPart(SQLModel, table=True):
    """One vendor message of an outgoing one, which may need several: the text in pieces, each file by itself."""

    __tablename__ = "outgoing_parts"
    __table_args__ = (Index("ix_outgoing_parts_channel_vendor_id", "channel", "vendor_id"),)

    outgoing_id: UUID = Field(foreign_key="outgoing.id", primary_key=True)
    part: int = Field(primary_key=True)
    channel: str
    vendor_id: str  # by which deliveries, reads and answers speak of it; empty while it is being sent
    state: str = "sent"  # sending | sent | delivered | read | failed
    file: str | None = None  # name of the file that it is; NULL: text
    at: datetime | None = Field(default=None, sa_type=Moment)  # when its sending began


class Pace(SQLModel, table=True):
    """When a vendor takes the next message from us, all workers together."""

    __tablename__ = "paces"

    channel: str = Field(primary_key=True)
    next_at: datetime = Field(sa_type=Moment)


class Thread(SQLModel, table=True):
    """Where the talk about a subject goes on, on one channel: what an answer must repeat to come out there."""

    __tablename__ = "threads"
    __table_args__ = (Index("ix_threads_channel_handle_heard_at", "channel", "handle", "heard_at"),)

    subject_id: UUID = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    handle: str
    heard_at: datetime = Field(sa_type=Moment)  # when the citizen last wrote there
    thread: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)


class Fetch(Due, table=True):
    """A file of a message that is still at the vendor and becomes part of a line of the conversation."""

    __tablename__ = "fetches"
    __table_args__ = (
        Index("ix_fetches_run_at", "run_at", postgresql_where=text("run_at IS NOT NULL")),
        Index("ix_fetches_subject_id", "subject_id"),
    )

    id: UUID = Field(primary_key=True)
    subject_id: UUID
    entry_id: UUID
    channel: str
    file: dict[str, Any] = Field(sa_type=JSONB)  # a FileRef
    created_at: datetime = Field(sa_type=Moment)


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


class VendorToken(SQLModel, table=True):
    """The right to speak for an account of ours at a vendor whose tokens rotate; tokens are sealed.

    `state`: live | refreshing (the old refresh token is being used this moment, or whoever used it died) | unknown
    (it was used and nobody knows what came of it) | dead (a person must consent again).
    """

    __tablename__ = "vendor_tokens"
    __table_args__ = (CheckConstraint("state IN ('live', 'refreshing', 'unknown', 'dead')", name="state"),)

    channel: str = Field(primary_key=True)
    account: str = Field(primary_key=True)
    access_token: str | None = None
    refresh_token: str
    seed: bytes  # checksum of the refresh token in the settings that this row began with
    expires_at: datetime | None = Field(default=None, sa_type=Moment)  # of the access token
    grant_until: datetime = Field(sa_type=Moment)  # of the refresh token
    state: str = "live"
    refreshed_at: datetime | None = Field(default=None, sa_type=Moment)
    tried_at: datetime | None = Field(default=None, sa_type=Moment)  # when a refresh was last begun
    retried_at: datetime | None = Field(default=None, sa_type=Moment)  # the one try while `unknown`
    note: str | None = None  # what went wrong last; empty while all is well


class MailboxPlace(SQLModel, table=True):
    """How far we are in a folder of a mailbox: all up to `last_uid` is kept, as long as `uid_validity` stays."""

    __tablename__ = "mailboxes"

    account: str = Field(primary_key=True)
    folder: str = Field(primary_key=True)
    uid_validity: int = Field(sa_type=BigInteger)
    last_uid: int = Field(sa_type=BigInteger)
