"""What everyone may read: published cases."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, Response

from cases.published import documents, published
from web.answers import FeatureCollection, PublishedPage
from web.deps import Db, Rules
from web.docs import PROBLEMS, answers
from web.shapes import published_case

router = APIRouter(prefix="/api/v1/public", tags=["public"], responses=PROBLEMS)
Cursor = Annotated[str | None, Query(max_length=100)]
Limit = Annotated[int, Query(ge=1, le=200)]


class GeoJson(JSONResponse):
    """GeoJSON by its own media type (RFC 7946)."""

    media_type = "application/geo+json"


@router.get("/cases", response_model=None, responses=answers(PublishedPage, description="A page of cases"))
async def cases(session: Db, routing: Rules, cursor: Cursor = None, limit: Limit = 50) -> dict[str, Any]:
    """Published cases, newest first, anonymised and checked by a person."""
    page = await published(session, cursor=cursor, limit=limit)
    by = await documents(session, page.items)
    items = [published_case(case, routing, by.get(case.id)) for case in page.items]
    return {"items": items, "next_cursor": page.next_cursor}


@router.get(
    "/cases.geojson",
    response_class=GeoJson,
    response_model=None,
    responses=answers(FeatureCollection, description="A page of cases"),
)
async def cases_on_map(session: Db, routing: Rules, cursor: Cursor = None, limit: Limit = 200) -> Response:
    """The same as GeoJSON points at the centre of the unit, never at a home."""
    page = await published(session, cursor=cursor, limit=limit)
    features, by = [], await documents(session, page.items)
    for case in page.items:
        shown = published_case(case, routing, by.get(case.id))
        place = shown.pop("location")
        geometry = {"type": "Point", "coordinates": [place["lng"], place["lat"]]} if place else None
        features.append({"type": "Feature", "id": case.code, "geometry": geometry, "properties": shown})
    return GeoJson({"type": "FeatureCollection", "features": features, "next_cursor": page.next_cursor})
