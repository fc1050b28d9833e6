"""Published cases, as anybody may read them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.act_models import AnswerDocument
from cases.codes import read_code
from cases.conditions import one_of
from cases.lists import Page, make_cursor, read_cursor
from cases.models import Case
from cases.states import OPEN
from core.attachments import Attachment
from core.errors import NotFound

_PUBLISHED = and_(col(Case.published_at).is_not(None), col(Case.restricted).is_(False), col(Case.public).is_(True))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which published cases: received and published within these moments, open or over, of these fields; or by code.

    Both ends of a range belong to it; `over` None is either.
    """

    received: tuple[datetime | None, datetime | None] = (None, None)
    published: tuple[datetime | None, datetime | None] = (None, None)
    over: bool | None = None
    fields: Sequence[str] = ()
    codes: Sequence[str] | None = None


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


async def published_among(session: AsyncSession, wanted: Wanted, *, limit: int, offset: int = 0) -> list[Case]:
    """Published cases of this kind, latest report first."""
    statement = select(Case).where(_PUBLISHED, *_conditions(wanted))
    statement = statement.order_by(col(Case.received_at).desc(), col(Case.id).desc()).limit(limit).offset(offset)
    return list((await session.exec(statement)).all())


def _conditions(wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    if wanted.codes is not None:
        yield one_of(col(Case.code), wanted.codes)
    for column, (since, until) in ((Case.received_at, wanted.received), (Case.published_at, wanted.published)):
        if since is not None:
            yield col(column) >= since
        if until is not None:
            yield col(column) <= until
    if wanted.over is not None:
        at_work = [status.value for status in OPEN]
        yield col(Case.status).not_in(at_work) if wanted.over else col(Case.status).in_(at_work)
    if wanted.fields:
        yield one_of(col(Case.field), wanted.fields)


async def documents(session: AsyncSession, cases: Sequence[Case]) -> dict[UUID, AnswerDocument]:
    """The official documents that published cases were answered by, by case, where everybody may know of them."""
    answers = [case.answer_id for case in cases if case.answer_id is not None]
    if not answers:
        return {}
    statement = select(AnswerDocument).where(col(AnswerDocument.entry_id).in_(answers), AnswerDocument.public)
    return {each.case_id: each for each in (await session.exec(statement)).all()}


async def published_file(session: AsyncSession, code: str) -> Attachment:
    """The signed file of a published case's document; NotFound where there is none that everybody may read."""
    case = await published_one(session, code)
    statement = select(Attachment).join(AnswerDocument, col(AnswerDocument.file_id) == col(Attachment.id))
    meant = statement.where(
        AnswerDocument.entry_id == case.answer_id, AnswerDocument.public, AnswerDocument.file_public
    )
    if (found := (await session.exec(meant)).first()) is None:
        raise NotFound("Văn bản này không được đăng công khai.", "This document is not published.")
    return found


async def published_one(session: AsyncSession, code: str) -> Case:
    """The published case of a code; NotFound for every other one."""
    found = (await session.exec(select(Case).where(_PUBLISHED, Case.code == read_code(code)))).first()
    if found is None:
        raise NotFound("Không có phản ánh công khai nào mang mã này.", "No published case has this code.")
    return found
