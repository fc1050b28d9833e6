"""What the administration's routes share: who is let in, the rules looked at anew after a change, pages of lists."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import search
from core.errors import Invalid
from core.staff import MANAGE, Actor
from routing.editing.shared import local_day
from web.deps import SAFE, Db, Here, Now, Who

T = TypeVar("T")


async def _admin(who: Who) -> Actor:
    who.require(MANAGE)
    return who


Admin = Annotated[Actor, Depends(_admin)]


async def _looked_at_anew(request: Request, here: Here) -> AsyncIterator[None]:
    """Entered before the transaction and left after its commit: this process sees its change in its next request."""
    try:
        yield
    finally:
        if request.method not in SAFE:
            here.routing.forget()


RulesChange = Depends(_looked_at_anew, scope="function")  # of a router whose writes change the rules' tables


async def _today(session: Db, at: Now) -> date:
    return await local_day(session, at)


Today = Annotated[date, Depends(_today)]


async def found_by(session: AsyncSession, name: str, before: str) -> None:
    """Cases are found by the new name of their area or department too, soon: the worker sorts their words in again."""
    if name != before:
        await search.rebuild(session)


CodeInPath = Annotated[str, Path(min_length=1, max_length=80, pattern=r"^[\w.\-]+$")]
Part = Annotated[str, Query(max_length=100, description="Part of a name or code, marks or none")]
Cursor = Annotated[str | None, Query(max_length=80, description="`next_cursor` of the page before")]
Limit = Annotated[int, Query(ge=1, le=200)]


class Body(BaseModel):
    """A body of the administration: members it does not know are refused."""

    model_config = ConfigDict(extra="forbid")


class Nothing(Body):
    """An act that needs no word: an empty object."""


class Page(BaseModel, Generic[T]):
    """A page of a list; ask again with `cursor=next_cursor`."""

    items: list[T] = Field(description="In the order of the list")
    next_cursor: str | None


def page_of(rows: Sequence[T], key: Callable[[T], str], cursor: str | None, limit: int) -> Page[T]:
    """The rows after the one whose key is the cursor. Invalid when the list has no such row (any more)."""
    start = 0
    if cursor is not None:
        start = next((n for n, row in enumerate(rows, 1) if key(row) == cursor), 0)
        if not start:
            raise Invalid.at("cursor", "Con trỏ trang không hợp lệ.", "Not a cursor of this list.")
    items = list(rows[start : start + limit])
    return Page(items=items, next_cursor=key(items[-1]) if len(rows) > start + limit else None)
