"""Minutes late by holder and stage, for other systems: as the board's page shows them."""

from datetime import date
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from cases.lateness import report
from web.deps import Db, Here, Now, Rules, Who
from web.docs import PROBLEMS
from web.ioc import From, To

router = APIRouter(tags=["operations centre"], responses=PROBLEMS)


class LateRow(BaseModel):
    """What one holder is charged with in one stage: whole minutes on the limits' own clocks."""

    holder: str = Field(description="Code of a department; the centre is one")
    stage: str = Field(description="A stage, or `delivery`: an approved answer on its way to the citizen")
    minutes: int
    limits: int
    cases: int


class Lateness(BaseModel):
    """Late minutes that lie in the period, the most first."""

    from_: date = Field(alias="from")
    to: date
    items: list[LateRow]


@router.get("/feed/v1/lateness", response_model=Lateness)
async def lateness(
    session: Db, who: Who, routing: Rules, here: Here, at: Now, from_: From = None, to: To = None
) -> dict[str, Any]:
    """Who was late by how much: each minute is charged to who held the clock then. At most 92 days."""
    who.require("feed.read")
    zone = here.settings.zone
    last = to or at.astimezone(zone).date()
    first = from_ or date.fromordinal(max(1, last.toordinal() - 30))
    rows = await report(session, first, last, routing, at, zone)
    return {"from": first, "to": last, "items": [LateRow.model_validate(row, from_attributes=True) for row in rows]}
