"""The cases behind a figure: the list that a number on the board opens, and how often each case is in it."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, and_, case, func
from sqlalchemy import select as sql_select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.models import Case
from core.errors import Invalid
from ioc.definitions import LISTED_DIFFERENCES, is_listed
from ioc.models import FigureCase


@dataclass(frozen=True, slots=True)
class Behind:
    """One figure of the local days `from_` to `to`, both included, where it is counted; None is everywhere, "" is
    where the dimension was not known."""

    figure: str
    from_: date
    to: date
    department: str | None = None
    fields: tuple[str, ...] | None = None
    channel: str | None = None
    areas: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not (is_listed(self.figure) or self.figure in LISTED_DIFFERENCES):
            raise Invalid.at(
                "figure", "Số liệu này không có danh sách.", "There is no list behind this figure.", "unknown"
            )


@dataclass(frozen=True, slots=True)
class Counted:
    """What the figure is, and of how many cases: one answered twice counts twice and is one case."""

    amount: int
    cases: int


def cases_behind(asked: Behind) -> ColumnElement[bool]:
    """The condition on cases that they added to the figure, after all that was taken out again."""
    own = (col(FigureCase.case_id) == col(Case.id), *_where(asked))
    added = sql_select(func.sum(_signed(asked))).where(*own).scalar_subquery()
    # The first says the same to the planner in a way that an index answers.
    some = sql_select(col(FigureCase.case_id)).where(*own, col(FigureCase.figure) == _names(asked)[0]).exists()
    return and_(some, added > 0)


async def counted(session: AsyncSession, asked: Behind) -> Counted:
    """The figure as its list adds it up, in one statement."""
    each = (
        sql_select(func.sum(_signed(asked)).label("amount"))
        .where(*_where(asked))
        .group_by(col(FigureCase.case_id))
        .subquery()
    )
    statement = sql_select(func.coalesce(func.sum(each.c.amount), 0), func.count().filter(each.c.amount > 0))
    amount, cases = (await session.execute(statement.select_from(each))).one()
    return Counted(int(amount), cases)


def _names(asked: Behind) -> tuple[str, ...]:
    return LISTED_DIFFERENCES.get(asked.figure, (asked.figure,))


def _signed(asked: Behind) -> ColumnElement[int]:
    first = _names(asked)[0]
    value = col(FigureCase.value)
    return case((col(FigureCase.figure) == first, value), else_=-value)


def _where(asked: Behind) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = [
        col(FigureCase.figure).in_(_names(asked)),
        col(FigureCase.day).between(asked.from_, asked.to),
    ]
    for column, value in (
        (FigureCase.department, asked.department),
        (FigureCase.channel, asked.channel),
    ):
        if value is not None:
            wanted.append(col(column) == value)
    for column, values in ((FigureCase.field, asked.fields), (FigureCase.area, asked.areas)):
        if values is not None:
            wanted.append(col(column).in_(values))
    return wanted
