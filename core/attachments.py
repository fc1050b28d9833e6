"""Rows of files kept for cases; the bytes lie in the file store under their checksum."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from core.db import Moment


class Attachment(SQLModel, table=True):
    """One file of one case. `sha256` is of the stored bytes and is its key in the store."""

    __tablename__ = "attachments"
    __table_args__ = (Index("ix_attachments_case_id", "case_id", "id"),)

    id: UUID = Field(primary_key=True)
    case_id: UUID = Field(foreign_key="cases.id")
    entry_id: UUID = Field(foreign_key="entries.id")
    name: str
    media_type: str
    size: int
    sha256: str
    original_sha256: str
    width: int | None = None
    height: int | None = None
    created_at: datetime = Field(sa_type=Moment)
