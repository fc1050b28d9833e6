"""Areas, old and new: list, add, edit, end with their successors."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from cases.bodies import Code, Short
from routing.editing import areas
from routing.editing.areas import AreaChange, AreaRow
from web.administration.edge import (
    Admin,
    Body,
    CodeInPath,
    Cursor,
    Limit,
    Page,
    Part,
    RulesChange,
    Today,
    found_by,
    page_of,
)
from web.deps import Day, Db, Now
from web.docs import PROBLEMS

router = APIRouter(
    prefix="/api/v1/admin/areas", tags=["administration: areas"], responses=PROBLEMS, dependencies=[RulesChange]
)

Lat = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Lng = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
Official = Annotated[str, Field(max_length=20, pattern=r"^[0-9A-Za-z.\-]*$")]


class NewArea(Body):
    """An administrative unit; without `valid_from` it exists from today."""

    code: Code
    name: Short
    type: Short
    parent: Code | None = None
    official_code: Official | None = None
    lat: Lat | None = None
    lng: Lng | None = None
    valid_from: Day | None = None


class AreaEdit(Body):
    """What is given replaces what was; null empties official code and point."""

    name: Short | None = None
    official_code: Official | None = None
    lat: Lat | None = None
    lng: Lng | None = None


class Ending(Body):
    """The first day it no longer exists, and what it became."""

    valid_to: Day
    successors: Annotated[list[Code], Field(max_length=50)] = Field(default_factory=list)


@router.get("")
async def listed(
    session: Db,
    who: Admin,
    today: Today,
    q: Part = "",
    type: Annotated[str | None, Query(max_length=40)] = None,
    parent: Annotated[str | None, Query(max_length=80)] = None,
    valid: bool | None = None,
    on: Day | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[AreaRow]:
    """Areas of every period by name; `valid` as of `on`, today if absent."""
    found = await areas.listed(session, on or today, q=q, type=type, parent=parent, valid=valid)
    return page_of(found, lambda row: row.code, cursor, limit)


@router.post("", status_code=201)
async def add(session: Db, who: Admin, at: Now, today: Today, body: NewArea) -> AreaChange:
    """A new area; 409 when the code is taken. `findings` say which rules find no department there."""
    members = body.model_dump(exclude={"valid_from"})
    return await areas.add(session, who, at, valid_from=body.valid_from or today, **members)


@router.get("/{area}")
async def one(session: Db, who: Admin, today: Today, area: CodeInPath) -> AreaRow:
    """One area."""
    return await areas.one(session, area, today)


@router.patch("/{area}")
async def edit(session: Db, who: Admin, at: Now, today: Today, area: CodeInPath, body: AreaEdit) -> AreaChange:
    """Another name from today (the ones before are kept), official code or point; its own code never changes."""
    before = (await areas.one(session, area, today)).name
    change = await areas.edit(session, who, at, area, body.model_dump(exclude_unset=True))
    await found_by(session, change.area.name, before)
    return change


@router.post("/{area}/end")
async def end(session: Db, who: Admin, at: Now, area: CodeInPath, body: Ending) -> AreaChange:
    """End it; said again, correct the day or the successors. 409 while areas within it exist longer."""
    return await areas.end(session, who, at, area, valid_to=body.valid_to, successors=body.successors)
