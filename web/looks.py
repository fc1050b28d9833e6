"""The log of who looked at restricted cases: a page and the same for programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from cases import looks
from cases.looks import Look
from web.deps import Db, Rules, Who
from web.docs import PROBLEMS, answers
from web.pages import FromHere, Looking
from web.rendering import render
from web.shapes import when, zone_of

router = APIRouter(prefix="/api/v1/looks", tags=["access log"], responses=PROBLEMS)
pages = APIRouter(prefix="/console/looks", include_in_schema=False, dependencies=[FromHere])
ROWS = 50
LAST_ID = 2**63 - 1
Sought = Annotated[str | None, Query(max_length=254, pattern=r"^[^\x00]*$")]
Cursor = Annotated[int | None, Query(ge=1, le=LAST_ID)]


class LookRow(BaseModel):
    """Somebody saw what stands in a restricted case; `track` is null for those who may not know of the case."""

    at: datetime
    what: str
    case: str
    track: str | None
    who: str
    email: str | None


class LookPage(BaseModel):
    """Newest first; ask again with `cursor=next_cursor`."""

    items: list[LookRow]
    next_cursor: int | None


@router.get("", response_model=None, responses=answers(LookPage, description="Looks, newest first"))
async def listed(
    session: Db,
    who: Who,
    routing: Rules,
    case: Sought = None,
    person: Sought = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """Who looked at restricted cases: at one (`case`, its code), or what one person (e-mail) looked at."""
    found = await looks.log(session, who, code=case, person=person, after=cursor, limit=limit + 1)
    zone, page = zone_of(routing), found[:limit]
    return {
        "items": [
            {
                "at": when(each.at, zone),
                "what": each.what,
                "case": each.code,
                "track": each.track,
                "who": each.who,
                "email": each.email,
            }
            for each in page
        ],
        "next_cursor": page[-1].id if len(found) > limit else None,
    }


@dataclass(frozen=True, slots=True)
class LooksPage:
    """Looks, newest first, of one case or by one person if asked so."""

    rows: Sequence[Look]
    case: str
    person: str
    next: str | None


@pages.get("")
async def page(
    request: Request, session: Db, who: Looking, case: Sought = None, person: Sought = None, cursor: Cursor = None
) -> Response:
    """The log."""
    code, email = (case or "").strip(), (person or "").strip()
    found = await looks.log(session, who, code=code or None, person=email or None, after=cursor, limit=ROWS + 1)
    rows = found[:ROWS]
    sought = {name: value for name, value in (("case", code), ("person", email)) if value}
    more = f"/console/looks?{urlencode({**sought, 'cursor': rows[-1].id})}" if len(found) > ROWS else None
    return render(request, "console/looks.html", LooksPage(rows, code, email, more), who=who)
