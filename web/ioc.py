"""What the operations centre and the public read: events, aggregates, open figures."""

import hashlib
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from ioc.definitions import Definition, definition_of
from ioc.feed import MOST_EVENTS, Aggregates, aggregates, events
from ioc.queries import PublicFigures, public_figures
from web.deps import Db, Here, Now, Who
from web.docs import PROBLEMS

router = APIRouter(tags=["operations centre"], responses=PROBLEMS)

From = Annotated[date | None, Query(alias="from", description="First local day; absent: 30 days before the last")]
To = Annotated[date | None, Query(description="Last local day, included; absent: today")]
By = Annotated[str, Query(max_length=100, description="Of day, department, field, channel, area, separated by commas")]


class EventShape(BaseModel):
    """One event. Of a `case.withdrawn` only the code is told: delete your copy of the case."""

    position: int
    id: int
    kind: str
    occurred_at: datetime
    recorded_at: datetime
    case: str
    data: dict[str, Any]


class EventsShape(BaseModel):
    """A page of events; ask again with `after=next_after`."""

    items: list[EventShape]
    next_after: int


class ReconciledShape(BaseModel):
    """When the figures were last held against journal and cases, and how many differences there were."""

    at: datetime
    position: int
    differences: int


class DefinitionShape(BaseModel):
    """What a figure means."""

    code: str
    vi: str
    en: str
    unit: str
    definition_vi: str
    definition_en: str
    scope: str
    exclusions: str
    stock: bool


class ItemShape(BaseModel):
    """One figure of the period for one combination of the dimensions asked for."""

    figure: str
    from_: date = Field(alias="from")
    to: date
    by: dict[str, str]
    value: int | float


class AggregatesShape(BaseModel):
    """Figures up to journal position `position`, folded at `as_of`."""

    as_of: datetime
    position: int
    reconciled: ReconciledShape | None
    definitions: list[DefinitionShape]
    items: list[ItemShape]


class TableShape(BaseModel):
    """Cells of five and more; the smaller ones together are `other`."""

    cells: dict[str, int]
    other: int


class PublicShape(BaseModel):
    """Open figures: totals of the period; reports received in its months `months_from` to `months_to`, split."""

    from_: date = Field(alias="from")
    to: date
    totals: dict[str, int | float]
    months_from: date | None
    months_to: date | None
    received_by: dict[str, TableShape]
    definitions: list[DefinitionShape]


@router.get(
    "/feed/v1/events",
    response_model=EventsShape,
    responses={304: {"description": "The page is the one named by If-None-Match"}},
)
async def feed_events(
    session: Db,
    who: Who,
    after: Annotated[int, Query(ge=0, lt=2**63, description="Position read last; 0: from the beginning")] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_EVENTS)] = 200,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Events of cases in order, each once; restricted cases are not among them."""
    who.require("feed.read")
    page = await events(session, after, limit)
    body = EventsShape.model_validate(page, from_attributes=True).model_dump_json().encode()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if _names(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


@router.get("/feed/v1/aggregates", response_model=AggregatesShape)
async def feed_aggregates(
    session: Db, who: Who, here: Here, at: Now, from_: From = None, to: To = None, by: By = ""
) -> dict[str, Any]:
    """Figures of a period with what they mean, how fresh they are and when they were proved."""
    who.require("feed.read")
    zone = here.settings.zone
    first, last = _period(from_, to, at.astimezone(zone).date())
    return _aggregates(await aggregates(session, first, last, by, at=at, zone=zone))


@router.get("/api/v1/public/figures", response_model=PublicShape)
async def open_figures(session: Db, here: Here, at: Now, from_: From = None, to: To = None) -> dict[str, Any]:
    """Open figures; in breakdowns nothing below five can be seen or found by subtraction."""
    first, last = _period(from_, to, at.astimezone(here.settings.zone).date())
    return _public(await public_figures(session, first, last), first, last)


def _names(if_none_match: str | None, tag: str) -> bool:
    """Whether the header names this entity, weakly compared as RFC 9110 says for GET."""
    named = [each.strip().removeprefix("W/") for each in (if_none_match or "").split(",")]
    return tag in named or "*" in named


def _period(from_: date | None, to: date | None, today: date) -> tuple[date, date]:
    last = to or today
    return from_ or date.fromordinal(max(1, last.toordinal() - 30)), last


def _aggregates(found: Aggregates) -> dict[str, Any]:
    return {
        "as_of": found.as_of,
        "position": found.position,
        "reconciled": found.reconciled and _members(found.reconciled, ReconciledShape),
        "definitions": [_members(definition, DefinitionShape) for definition in found.definitions],
        "items": [item.as_dict() for item in found.items],
    }


def _public(found: PublicFigures, first: date, last: date) -> dict[str, Any]:
    return {
        "from": first,
        "to": last,
        "totals": found.totals,
        "months_from": found.months_from,
        "months_to": found.months_to,
        "received_by": {name: _members(table, TableShape) for name, table in found.received_by.items()},
        "definitions": [_members(definition_of(code), DefinitionShape) for code in found.totals],
    }


def _members(value: Definition | object, shape: type[BaseModel]) -> dict[str, Any]:
    return {name: getattr(value, name) for name in shape.model_fields}
