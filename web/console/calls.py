"""Calls: who has to be called, and which came. A number is shown in full to whoever is about to call it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, get_args
from uuid import UUID

import phonenumbers
from fastapi import APIRouter, Query, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from core.errors import Invalid
from core.staff import Actor
from hotline import tasks
from hotline.call_lists import (
    Came,
    ToCall,
    calls_that_came,
    came_since,
    count_to_call,
    number_of,
    to_call,
)
from hotline.models import Recording
from web.calls import masked
from web.console.sounds import Sound, sound_of
from web.deps import Db, Now
from web.pages import FromHere, Looking, PageForm
from web.rendering import Viewer, go, is_partial, language_of, render, say, toast, viewer_of

router = APIRouter(include_in_schema=False, prefix="/console/calls", dependencies=[FromHere])
TASKS, ROWS = 100, 30
LAST: Final = 7_258_118_400  # the year 2200, in seconds
Cursor = Annotated[str | None, Query(max_length=100)]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody to call, and their number as far as it is shown."""

    it: ToCall
    number: str | None
    shown: bool = False

    @property
    def number_said(self) -> str:
        """The number as it is read out and dialled here; one of a country that does not exist as it came."""
        try:
            found = phonenumbers.parse(self.number or "", "VN")
        except phonenumbers.NumberParseException:
            return self.number or ""
        return phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.NATIONAL)


@dataclass(frozen=True, slots=True)
class Row:
    """A call that came."""

    came: Came
    number: str | None
    sounds: Sequence[Sound]


@dataclass(frozen=True, slots=True)
class CallsPage:
    """Who has to be called, due first, and the calls of late."""

    waiting: Sequence[Waiting]
    rows: Sequence[Row]
    next: str | None
    works: bool  # whether this person calls people
    first: bool  # of the pages
    since: int  # when it was read, in seconds


@router.get("")
async def calls(request: Request, session: Db, who: Looking, cursor: Cursor = None) -> Response:
    """The page."""
    view = viewer_of(request, who)
    waiting = [] if cursor else await to_call(session, who, limit=TASKS)
    page = await calls_that_came(session, who, cursor=cursor, limit=ROWS)
    shown = CallsPage(
        [Waiting(each, masked(each.task.phone)) for each in waiting],
        [Row(each, masked(each.call.caller), _sounds(each.recordings, who, view)) for each in page.items],
        f"/console/calls?cursor={page.next_cursor}" if page.next_cursor else None,
        who.may("calls.work"),
        cursor is None,
        int(view.at.timestamp()),
    )
    return render(request, "console/calls.html", shown, who=who)


@router.get("/news")
async def news(
    request: Request, session: Db, who: Looking, since: Annotated[int, Query(ge=0, le=LAST)] = 0
) -> Response:
    """Whether the page is older than what it shows: the list does not jump under its reader's eyes."""
    if not await came_since(session, who, datetime.fromtimestamp(since, UTC)):
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    return render(request, "console/calls_news.html", None, who=who)


@router.get("/count")
async def count(request: Request, session: Db, who: Looking) -> Response:
    """How many wait, for the rail of every page."""
    return render(request, "console/calls_count.html", await count_to_call(session, who), who=who)


@router.post("/{id}/number")
async def number(request: Request, session: Db, who: Looking, at: Now, id: UUID) -> Response:
    """The number to call, in full."""
    found = await number_of(session, who, id, at)
    if not is_partial(request):
        return go(f"/console/new?task={id}")  # there it stands in the form
    return render(request, "console/calls_number.html", Waiting(found, found.task.phone, True), who=who)


@router.post("/{id}/close")
async def close(request: Request, session: Db, who: Looking, at: Now, id: UUID, form: PageForm) -> Response:
    """Somebody has called, or need not."""
    came = form.text("came") or "reached"
    if came not in get_args(tasks.Came):
        raise Invalid.at("came", "Kết quả này không có.", "There is no such outcome.", "unknown")
    await tasks.close(session, who, id, at, came)  # type: ignore[arg-type]  # one of them: just checked
    if is_partial(request):
        return Response("", headers=toast(say(language_of(request), "Đã ghi nhận cuộc gọi lại.")))
    return go("/console/calls")


async def number_to_take_in(session: AsyncSession, who: Actor, task: UUID | None, at: datetime) -> str:
    """The number of a task, for the form of a caller's case."""
    return "" if task is None else (await number_of(session, who, task, at)).task.phone or ""


def _sounds(recordings: Sequence[Recording], who: Actor, view: Viewer) -> list[Sound]:
    return [sound_of(each, who, view) for each in recordings]
