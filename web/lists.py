"""Code lists: departments, fields, areas."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from cases.bodies import Text
from routing import suggesting
from routing.places import Place
from routing.queries import Routing
from web.answers import AreaAnswer, DepartmentAnswer, FieldAnswer, SuggestedFields
from web.deps import Now, Rules
from web.docs import PROBLEMS, answers
from web.shapes import zone_of

router = APIRouter(prefix="/api/v1", tags=["code lists"], responses=PROBLEMS)
On = Annotated[date | None, Query(description="As of this day; absent: today. `all=true` for every period")]
Every = Annotated[bool, Query(alias="all", description="Of every period")]


@router.get("/departments", response_model=list[DepartmentAnswer])
async def departments(routing: Rules, at: Now, on: On = None, every: Every = False) -> Any:
    """Departments, alive on the day."""
    day = on or at.astimezone(zone_of(routing)).date()
    return [
        {
            "code": row.code,
            "name": row.name,
            "kind": row.kind,
            "area": row.area,
            "parent": row.parent,
            "valid_from": row.valid_from,
            "valid_to": row.valid_to,
            "successor": row.successor,
        }
        for row in sorted(routing.departments.values(), key=lambda row: row.name)
        if every or routing.directory.departments[row.code].lives(day)
    ]


@router.get("/fields", response_model=list[FieldAnswer])
async def fields(routing: Rules, at: Now, on: On = None, every: Every = False) -> Any:
    """Fields (lĩnh vực) of both levels, in force on the day."""
    day = on or at.astimezone(zone_of(routing)).date()
    return [
        {
            "code": row.code,
            "name": row.name,
            "parent": row.parent,
            "urgency": row.urgency,
            "public": row.public,
            "valid_from": row.valid_from,
            "valid_to": row.valid_to,
        }
        for row in sorted(routing.field_rows.values(), key=lambda row: row.code)
        if every or (row.valid_from <= day and (row.valid_to is None or day < row.valid_to))
    ]


class SuggestIn(BaseModel):
    """What somebody has written so far; the beginning is enough."""

    model_config = ConfigDict(extra="forbid")

    text: Text


@router.post("/fields/suggest", response_model=SuggestedFields)
async def suggest_fields(given: SuggestIn, routing: Rules, at: Now) -> Any:
    """At most three fields that a text may be about, by key phrases, with or without marks. A POST, because what people
    write belongs in no address; nothing is kept. Fields of restricted tracks are for people to choose, never suggested.
    """
    phrases = suggesting.offered(routing.fields.values(), at.astimezone(zone_of(routing)).date())
    found = suggesting.suggest(given.text, phrases)
    return {
        "items": [{"code": each.code, "name": routing.fields[each.code].name, "score": each.score} for each in found]
    }


@router.get("/areas", response_model=None, responses=answers(list[AreaAnswer], description="Areas"))
async def areas(
    routing: Rules,
    at: Now,
    q: Annotated[str | None, Query(max_length=100, description="Part of a name, old or new, marks or none")] = None,
    lat: Annotated[float | None, Query(ge=-90, le=90, allow_inf_nan=False)] = None,
    lng: Annotated[float | None, Query(ge=-180, le=180, allow_inf_nan=False)] = None,
    on: On = None,
    every: Every = False,
) -> Any:
    """Areas: all valid on the day, those whose name fits `q` (old names too), or those near a point."""
    day = on or at.astimezone(zone_of(routing)).date()
    if lat is not None and lng is not None:
        found = [(routing.places.get(code), score) for code, score in routing.places.near(lat, lng, day)]
        return [{**_area(place, routing, day), "score": round(score, 2)} for place, score in found if place is not None]
    if q:
        return [_area(place, routing, day) for place in routing.places.search(q, day, 20)]
    return [
        _area(place, routing, day)
        for place in (routing.places.get(code) for code in routing.directory.areas)
        if place is not None and (every or place.valid(day))
    ]


def _area(place: Place, routing: Routing, on: date) -> dict[str, Any]:
    parent, places = routing.area(place.parent), routing.places
    heirs = [] if place.valid(on) else [routing.area(code) for code in places.successors(place.code, on)]
    return {
        "code": place.code,
        "official_code": place.official_code or None,
        "name": place.name,
        "type": place.type,
        "parent": place.parent,
        "valid_from": place.valid_from,
        "valid_to": place.valid_to,
        "successors": list(place.successors),
        "label": places.label(place),
        "within": places.label(parent) if parent else None,
        "now": [places.label(heir) for heir in heirs if heir is not None],
    }
