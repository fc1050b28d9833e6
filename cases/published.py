"""Published cases, as anybody may read them."""

from collections.abc import Sequence

from sqlalchemy import and_, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.codes import read_code
from cases.conditions import one_of
from cases.lists import Page, make_cursor, read_cursor
from cases.models import Case
from core.errors import NotFound

_PUBLISHED = and_(col(Case.published_at).is_not(None), col(Case.restricted).is_(False))


async def published(
    session: AsyncSession,
    *,
    cursor: str | None,
    limit: int,
    fields: Sequence[str] = (),
    area: str | None = None,
) -> Page:
    """Published cases, newest publication first; of these fields or this area where they are named."""
    statement = select(Case).where(_PUBLISHED)
    if fields:
        statement = statement.where(one_of(col(Case.field), fields))
    if area is not None:
        statement = statement.where(Case.area == area)
    if cursor:
        statement = statement.where(tuple_(col(Case.published_at), col(Case.id)) < tuple_(*read_cursor(cursor)))
    statement = statement.order_by(col(Case.published_at).desc(), col(Case.id).desc()).limit(limit + 1)
    rows = list((await session.exec(statement)).all())
    more = rows[limit - 1] if len(rows) > limit else None
    return Page(rows[:limit], make_cursor(more.published_at, more.id) if more and more.published_at else None)


async def published_one(session: AsyncSession, code: str) -> Case:
    """The published case of a code; NotFound for every other one."""
    found = (await session.exec(select(Case).where(_PUBLISHED, Case.code == read_code(code)))).first()
    if found is None:
        raise NotFound("Không có phản ánh công khai nào mang mã này.", "No published case has this code.")
    return found
