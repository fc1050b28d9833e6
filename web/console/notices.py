"""The bell: what a person is told, newest first, how many wait, and that they have been seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from cases import bell
from cases.bell import Line
from web.deps import Db, Now, Rules
from web.pages import FromHere, Looking, PageForm
from web.rendering import go, render

router = APIRouter(include_in_schema=False, prefix="/console/notices", dependencies=[FromHere])
ROWS = 50
LAST_ID = 2**63 - 1
_HERE = "/console/notices"

Cursor = Annotated[int | None, Query(ge=1, le=LAST_ID)]
Id = Annotated[int, Path(ge=1, le=LAST_ID)]


@dataclass(frozen=True, slots=True)
class NoticesPage:
    """A page of notices; `unseen` counts at most `most`."""

    rows: Sequence[Line]
    holders: Sequence[str]  # names of the departments, row by row
    unseen: int
    all: bool
    newest: int
    next: str | None
    most: int = bell.MOST_COUNTED


@router.get("")
async def page(
    request: Request, session: Db, who: Looking, routing: Rules, show: str = "", cursor: Cursor = None
) -> Response:
    """What waits, or with `show=all` everything."""
    everything = show == "all"
    found = await bell.listed(session, who, waiting=not everything, after=cursor, limit=ROWS + 1)
    rows = found[:ROWS]
    held = [routing.departments.get(row.notice.holder or "") for row in rows]
    names = [department.name if department is not None else "" for department in held]
    asked = {**({"show": "all"} if everything else {}), "cursor": rows[-1].notice.id if rows else 0}
    shown = NoticesPage(
        rows,
        names,
        await bell.unseen(session, who),
        everything,
        max((row.notice.id or 0 for row in rows), default=0),
        f"{_HERE}?{urlencode(asked)}" if len(found) > ROWS else None,
    )
    return render(request, "console/notices.html", shown, who=who)


@router.get("/count")
async def count(request: Request, session: Db, who: Looking) -> Response:
    """How many wait, for the bell."""
    return render(request, "console/notices_count.html", await bell.unseen(session, who), who=who)


@router.post("/seen")
async def see_all(session: Db, who: Looking, at: Now, form: PageForm) -> Response:
    """All that the page showed are seen; what came meanwhile is not."""
    upto = form.text("upto")
    if upto.isascii() and upto.isdecimal() and int(upto) <= LAST_ID:
        await bell.see_all(session, who, int(upto), at)
    return go(_HERE)


@router.post("/{id}")
async def see(session: Db, who: Looking, at: Now, id: Id) -> Response:
    """This one is seen: on to its case, where the person may open it."""
    code = await bell.see(session, who, id, at)
    return go(f"/console/cases/{code}" if code else _HERE)
