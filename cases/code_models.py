"""The table of one-time codes."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from core.db import Moment


class OneTimeCode(SQLModel, table=True):
    """The live code of a case and an address, or of a pair that fits no case, which looks the same from outside.

    It holds neither the code nor the address: `sought` is the keyed checksum of case code and address, `digest` that of
    the digits. `case_id` NULL: nothing fits, whatever is entered.
    """

    __tablename__ = "one_time_codes"
    __table_args__ = (Index("uq_one_time_codes_sought", "sought", unique=True),)

    id: UUID = Field(primary_key=True)
    sought: bytes
    issue: UUID  # of this code; another one under the same row is another issue
    case_id: UUID | None = None
    digest: bytes
    tries: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    expires_at: datetime = Field(sa_type=Moment)
