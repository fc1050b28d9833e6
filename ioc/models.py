"""Tables of the figures: sums per local day, month and dimension, the cases behind them, how far they reach."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, Index
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


class FigureMonth(SQLModel, table=True):
    """Sums over whole months, `day` being the first: what a long period is read from.

    Totals, and SPLIT_BY_MONTH one dimension at a time; ALL stands where a dimension is added up.
    """

    __tablename__ = "figure_months"

    figure: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    department: str = Field(primary_key=True)
    field: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    area: str = Field(primary_key=True)
    bucket: int = Field(default=0, primary_key=True)
    value: int = Field(sa_column=Column(BigInteger, nullable=False))


class FigureCase(SQLModel, table=True):
    """What one case has added to one cell of a figure that people open: the list behind the figure.

    No foreign key: cases are never deleted, and its check would lock them against the commands on them.
    """

    __tablename__ = "figure_cases"
    __table_args__ = (Index("ix_figure_cases_figure_day", "figure", "day"),)

    case_id: UUID = Field(primary_key=True)
    figure: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    department: str = Field(primary_key=True)
    field: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    area: str = Field(primary_key=True)
    value: int


class FigureCursor(SQLModel, table=True):
    """Single row: journal positions up to this one are in the figures, and when they were last proved right."""

    __tablename__ = "figure_cursor"

    id: int = Field(default=1, primary_key=True)
    position: int = Field(default=0, sa_type=BigInteger)
    as_of: datetime = Field(sa_type=Moment)
    reconciled_at: datetime | None = Field(default=None, sa_type=Moment)
    reconciled_position: int | None = Field(default=None, sa_type=BigInteger)
    differences: int | None = None
