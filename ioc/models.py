"""Tables of the figures: sums per local day and dimension, and how far into the journal they reach."""

from datetime import date, datetime

from sqlalchemy import BigInteger, Column
from sqlmodel import Field, SQLModel

from core.db import Moment


class Figure(SQLModel, table=True):
    """Sum of one figure on one local day for one combination of dimensions; "" where a dimension is not known.

    The key begins with the figure, because every question names its figures and only a range of days.
    """

    __tablename__ = "figures"

    figure: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    department: str = Field(primary_key=True)
    field: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    area: str = Field(primary_key=True)
    bucket: int = Field(default=0, primary_key=True)  # duration class of a histogram, else 0: see ioc.durations
    value: int = Field(sa_column=Column(BigInteger, nullable=False))


class FigureCursor(SQLModel, table=True):
    """Single row: journal positions up to this one are in the figures, and when they were last proved right."""

    __tablename__ = "figure_cursor"

    id: int = Field(default=1, primary_key=True)
    position: int = Field(default=0, sa_type=BigInteger)
    as_of: datetime = Field(sa_type=Moment)
    reconciled_at: datetime | None = Field(default=None, sa_type=Moment)
    reconciled_position: int | None = Field(default=None, sa_type=BigInteger)
    differences: int | None = None
