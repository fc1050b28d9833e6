"""Notices of the person who asks, for programs: what stands behind their bell, and that it has been seen."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from cases import bell
from cases.bell import Line
from cases.notice_ways import person_of
from core.errors import NotFound
from core.staff import Actor
from web.administration.edge import Limit, Nothing
from web.deps import Db, Now, Who
from web.docs import PROBLEMS

router = APIRouter(prefix="/api/v1/notices", tags=["notices"], responses=PROBLEMS)
LAST_ID = 2**63 - 1


async def _person(who: Who) -> Actor:
    person_of(who)
    return who


Person = Annotated[Actor, Depends(_person)]  # keys of programs have no bell
Id = Annotated[int, Path(ge=1, le=LAST_ID)]


class NoticeAnswer(BaseModel):
    """One thing somebody was told."""

    id: int
    code: str = Field(description="Of the case")
    urgency: str
    kind: str
    why: str = Field(description="Why this person: on_duty, officer, deputy, head, named, inspector, supervisor, admin")
    stage: str | None
    holder: str | None = Field(description="Code of the department that owes it")
    percent: int | None = Field(description="Of the time that was over")
    due_at: datetime | None
    at: datetime
    seen_at: datetime | None


class NoticePage(BaseModel):
    """Newest first; `unseen` of all there are, counted up to 100."""

    items: list[NoticeAnswer]
    next_cursor: int | None
    unseen: int


class Unseen(BaseModel):
    """How many notices wait, counted up to 100."""

    unseen: int


class SeenIn(BaseModel):
    """Up to which notice all have been seen: the newest id that was shown."""

    model_config = ConfigDict(extra="forbid")

    upto: Annotated[int, Field(ge=1, le=LAST_ID)]


@router.get("")
async def listed(
    session: Db,
    who: Person,
    unseen: Annotated[bool, Query(description="Only those not seen yet")] = False,
    cursor: Annotated[int | None, Query(ge=1, le=LAST_ID)] = None,
    limit: Limit = 50,
) -> NoticePage:
    """One's own notices, of cases that one may open now."""
    found = await bell.listed(session, who, waiting=unseen, after=cursor, limit=limit + 1)
    items = [_told(line) for line in found[:limit]]
    more = items[-1].id if len(found) > limit else None
    return NoticePage(items=items, next_cursor=more, unseen=await bell.unseen(session, who))


@router.get("/count")
async def count(session: Db, who: Person) -> Unseen:
    """How many wait."""
    return Unseen(unseen=await bell.unseen(session, who))


@router.post("/seen")
async def see_all(session: Db, who: Person, at: Now, given: SeenIn) -> Unseen:
    """All up to one are seen; what came after it is not."""
    await bell.see_all(session, who, given.upto, at)
    return Unseen(unseen=await bell.unseen(session, who))


@router.post("/{number}/seen")
async def see(session: Db, who: Person, at: Now, number: Id, given: Nothing | None = None) -> Unseen:
    """This one is seen; 404 when it is not one's own, or its case is out of sight."""
    if await bell.see(session, who, number, at) is None:
        raise NotFound("Không có thông báo này.", "There is no such notice.")
    return Unseen(unseen=await bell.unseen(session, who))


def _told(line: Line) -> NoticeAnswer:
    notice = line.notice
    members = {"code": line.code, "urgency": line.urgency, "why": notice.how}
    same = ("id", "kind", "stage", "holder", "percent", "due_at", "at", "seen_at")
    return NoticeAnswer.model_validate(members | {name: getattr(notice, name) for name in same})
