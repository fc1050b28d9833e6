"""Events of vendors that nobody could read: what lies there, its content for administrators, another try."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from channels import unread
from core.files import content_disposition
from web.administration.edge import Admin
from web.deps import Db, Here, Now, Who
from web.docs import PROBLEMS

router = APIRouter(prefix="/api/v1/inbox", tags=["inbox"], responses=PROBLEMS)
Channel = Annotated[str | None, Query(max_length=40, pattern=r"^[a-z0-9_]+$", description="Only this channel")]


class UnreadRow(BaseModel):
    """An event without its content; `reason` why nobody could read it, `size` in bytes."""

    id: UUID
    channel: str
    account: str
    kind: str | None
    received_at: datetime
    reason: str | None
    attempts: int
    size: int


class UnreadPage(BaseModel):
    """Oldest first; `counts` of all there are, by channel."""

    items: list[UnreadRow]
    next_cursor: UUID | None
    counts: dict[str, int]


class Again(BaseModel):
    """Which to read again: those of a channel, or without one all."""

    model_config = ConfigDict(extra="forbid")

    channel: Annotated[str, Field(max_length=40, pattern=r"^[a-z0-9_]+$")] | None = None


class Revived(BaseModel):
    """How many events are due again."""

    events: int


@router.get("")
async def listed(
    session: Db,
    who: Who,
    channel: Channel = None,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> UnreadPage:
    """Genuine events that nobody could read, or that failed for good."""
    who.require("inbox.read")
    found = await unread.listed(session, channel=channel, after=cursor, limit=limit + 1)
    page = [UnreadRow.model_validate(each, from_attributes=True) for each in found[:limit]]
    more = page[-1].id if len(found) > limit else None
    return UnreadPage(items=page, next_cursor=more, counts=dict(await unread.counted(session)))


@router.get(
    "/{event}/raw",
    response_class=Response,
    responses={200: {"description": "The bytes as they came", "content": {"application/octet-stream": {}}}},
)
async def raw(session: Db, who: Admin, here: Here, at: Now, event: UUID) -> Response:
    """The event as it came, at most 1 MB of it. For administrators; the journal keeps that it was looked at."""
    row, body = await unread.shown(session, who, here.files, event, at)
    name = f"{row.channel}-{row.id}.{'eml' if row.channel == 'email' else 'txt'}"
    headers = {"Content-Disposition": content_disposition(name), "Cache-Control": "no-store"}
    return Response(body, media_type="application/octet-stream", headers=headers)


@router.post("/reread")
async def reread(session: Db, who: Admin, at: Now, body: Again) -> Revived:
    """Have the worker try all of a channel again, or all there are, as after a new version that understands them."""
    return Revived(events=await unread.read_again(session, who, at, channel=body.channel))


@router.post("/{event}/reread")
async def reread_one(session: Db, who: Admin, at: Now, event: UUID) -> Revived:
    """Have the worker try this one again."""
    return Revived(events=await unread.read_again(session, who, at, id=event))
