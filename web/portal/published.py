"""What everyone may read: published cases, as a person has checked them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from cases.conditions import fields_meant
from cases.published import documents, published, published_file, published_one
from routing.places import COMMUNE
from web.attachments import send
from web.deps import Db, Here, Now, Rules
from web.portal.report import Groups, groups
from web.rendering import render
from web.shapes import published_case, zone_of

router = APIRouter(prefix="/cases", include_in_schema=False)
AT_ONCE = 20

Chosen = Annotated[str, Query(max_length=80)]


@dataclass(frozen=True, slots=True)
class PublishedPage:
    """A page of published cases, newest publication first, and the choices that narrow it."""

    items: list[dict[str, Any]]
    more: str
    groups: Groups
    areas: Sequence[tuple[str, str]]
    field: str
    area: str
    later: bool


@dataclass(frozen=True, slots=True)
class PublishedCasePage:
    """One published case."""

    case: dict[str, Any]


@router.get("")
async def published_cases(
    request: Request,
    session: Db,
    routing: Rules,
    at: Now,
    field: Chosen = "",
    area: Chosen = "",
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """The list."""
    page = await published(
        session, cursor=cursor, limit=AT_ONCE, fields=fields_meant(field or None, routing), area=area or None
    )
    more = {"field": field, "area": area, "cursor": page.next_cursor or ""}
    day = at.astimezone(zone_of(routing)).date()
    living = [place for place in routing.places.places if place.type in COMMUNE and place.valid(day)]
    return render(
        request,
        "portal/published.html",
        PublishedPage(
            items=[published_case(case, routing) for case in page.items],
            more=f"/cases?{urlencode(more)}" if page.next_cursor else "",
            groups=groups(routing, day),
            areas=[(place.code, routing.places.label(place)) for place in living],
            field=field,
            area=area,
            later=cursor is not None,
        ),
    )


@router.get("/{code}")
async def published_page(request: Request, session: Db, routing: Rules, code: str) -> Response:
    """One of them. A case that is not published is not there."""
    case = await published_one(session, code)
    document = (await documents(session, [case])).get(case.id)
    return render(request, "portal/published_case.html", PublishedCasePage(published_case(case, routing, document)))


@router.get("/{code}/document")
async def published_document(here: Here, session: Db, code: str) -> Response:
    """The signed file of its answer, where everybody may read it."""
    return await send(here, await published_file(session, code), None, kept=False)
