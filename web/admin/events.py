"""Events that nobody could read, on a page: what lies there, its content, another try."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from channels import unread
from channels.unread import UnreadEvent
from web.admin.ground import Admin, Word
from web.deps import Db, Here, Now
from web.pages import FromHere, PageForm
from web.rendering import go, render

router = APIRouter(include_in_schema=False, prefix="/admin/events", dependencies=[FromHere])
ROWS = 50
MOST_SHOWN = 100_000  # characters of an event on the page


@dataclass(frozen=True, slots=True)
class Content:
    """An event as it came, as far as it is text."""

    id: UUID
    channel: str
    text: str
    cut: bool


@dataclass(frozen=True, slots=True)
class EventsPage:
    """Oldest first, of all channels or of the chosen one; `opened` is what somebody asked to see."""

    rows: Sequence[UnreadEvent]
    counts: Mapping[str, int]
    channel: str
    next: str | None
    opened: Content | None = None
    done: str = ""


@router.get("")
async def events(
    request: Request, session: Db, who: Admin, channel: Word = "", cursor: UUID | None = None, done: Word = ""
) -> Response:
    """What nobody could read."""
    return render(request, "admin/events.html", await _page(session, channel, cursor, done=done), who=who)


@router.post("/reread")
async def reread(session: Db, who: Admin, at: Now, form: PageForm) -> Response:
    """Try all of the chosen channel again, or all."""
    count = await unread.read_again(session, who, at, channel=form.text("channel") or None)
    return go(f"/admin/events?done={count}")


@router.post("/{id}/reread")
async def reread_one(session: Db, who: Admin, at: Now, id: UUID) -> Response:
    """Try this one again."""
    return go(f"/admin/events?done={await unread.read_again(session, who, at, id=id)}")


@router.post("/{id}")
async def show(request: Request, session: Db, who: Admin, here: Here, at: Now, id: UUID) -> Response:
    """The event as it came; the journal keeps that it was looked at, so it is asked for by a button."""
    row, body = await unread.shown(session, who, here.files, id, at)
    text = body.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    opened = Content(row.id, row.channel, text[:MOST_SHOWN], len(text) > MOST_SHOWN)
    return render(request, "admin/events.html", await _page(session, row.channel, None, opened=opened), who=who)


async def _page(
    session: AsyncSession, channel: str, cursor: UUID | None, *, opened: Content | None = None, done: str = ""
) -> EventsPage:
    found = await unread.listed(session, channel=channel or None, after=cursor, limit=ROWS + 1)
    rows = found[:ROWS]
    more = f"/admin/events?{urlencode({'channel': channel, 'cursor': rows[-1].id})}" if len(found) > ROWS else None
    return EventsPage(
        rows, await unread.counted(session), channel, more, opened, done if done.isdecimal() and done.isascii() else ""
    )
