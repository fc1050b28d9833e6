"""Areas on pages, old and new: found, added, edited, ended with their successors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from routing.editing import areas
from routing.editing.areas import AreaChange, AreaRow
from web.admin.ground import (
    Admin,
    Filled,
    Listing,
    Pair,
    Word,
    again,
    by_name,
    given,
    listing,
    nulled,
    read,
    texts,
    trying,
)
from web.administration.areas import AreaEdit, Ending, NewArea
from web.administration.edge import CodeInPath, RulesChange, Today, found_by
from web.deps import Db, Now
from web.pages import FromHere, PageForm
from web.rendering import go, render

router = APIRouter(include_in_schema=False, dependencies=[FromHere, RulesChange])
MEMBERS = ("name", "official_code", "lat", "lng")


@dataclass(frozen=True, slots=True)
class AreasPage:
    """Areas of every period; names by code, and the districts and provinces to narrow by."""

    list: Listing[AreaRow]
    names: Mapping[str, str]
    parents: Sequence[Pair]
    types: Sequence[str] = areas.TYPES


@dataclass(frozen=True, slots=True)
class AreaPage:
    """An area, or the form of a new one, and the form that ends it."""

    area: AreaRow | None
    form: Filled
    ending: Filled
    names: Mapping[str, str]
    choices: Sequence[Pair]  # areas that may be a parent or a successor
    types: Sequence[str] = areas.TYPES


@router.get("/admin/areas")
async def listed(
    request: Request,
    session: Db,
    who: Admin,
    today: Today,
    q: Word = "",
    type: Word = "",
    parent: Word = "",
    state: Word = "",
) -> Response:
    """Areas by name."""
    every = await areas.listed(session, today)
    valid = {"valid": True, "ended": False}.get(state)
    found = areas.narrowed(every, q=q, type=type or None, parent=parent or None, valid=valid)
    names = _names(every)
    above = {row.parent for row in every if row.parent}
    parents = by_name((code, names.get(code, code)) for code in above)
    page = AreasPage(listing(request, found, lambda row: row.code), names, parents)
    return render(request, "admin/areas.html", page, who=who)


@router.get("/admin/new/area")
async def new(request: Request, session: Db, who: Admin, today: Today, parent: Word = "") -> Response:
    """The form of a new area."""
    values = {"code": "", "type": "", "parent": parent, **dict.fromkeys(MEMBERS, ""), "valid_from": today.isoformat()}
    return await _show(request, session, who, today, None, Filled(values))


@router.post("/admin/new/area")
async def add(request: Request, session: Db, who: Admin, at: Now, today: Today, form: PageForm) -> Response:
    """A new area."""
    values = texts(form, "code", "type", "parent", *MEMBERS, "valid_from")
    async with trying(session) as trial:
        body = read(NewArea, given(values, "code", "name", "type"))
        members = body.model_dump(exclude={"valid_from"})
        change = await areas.add(session, who, at, valid_from=body.valid_from or today, **members)
    if trial.refused:
        return await _show(request, session, who, today, None, again(request, trial.refused, values))
    return await _after(request, session, who, today, change, "added")


@router.get("/admin/areas/{area}")
async def one(request: Request, session: Db, who: Admin, today: Today, area: CodeInPath, done: Word = "") -> Response:
    """One area."""
    row = await areas.one(session, area, today)
    return await _show(request, session, who, today, row, Filled(_values(row), done=done))


@router.post("/admin/areas/{area}")
async def edit(
    request: Request, session: Db, who: Admin, at: Now, today: Today, form: PageForm, area: CodeInPath
) -> Response:
    """Change it."""
    values = texts(form, *MEMBERS)
    async with trying(session) as trial:
        body = read(AreaEdit, nulled(values, "name"))
        before = (await areas.one(session, area, today)).name
        change = await areas.edit(session, who, at, area, body.model_dump(exclude_unset=True))
        await found_by(session, change.area.name, before)
    if trial.refused:
        row = await areas.one(session, area, today)
        return await _show(request, session, who, today, row, again(request, trial.refused, values))
    return await _after(request, session, who, today, change, "saved")


@router.post("/admin/areas/{area}/end")
async def end(
    request: Request, session: Db, who: Admin, at: Now, today: Today, form: PageForm, area: CodeInPath
) -> Response:
    """End it on a day, and say what it became."""
    values = {**texts(form, "valid_to"), "successors": form.all("successors")}
    async with trying(session) as trial:
        body = read(Ending, values)
        change = await areas.end(session, who, at, area, valid_to=body.valid_to, successors=body.successors)
    if trial.refused:
        row = await areas.one(session, area, today)
        ending = again(request, trial.refused, values)
        return await _show(request, session, who, today, row, Filled(_values(row)), ending)
    return await _after(request, session, who, today, change, "ended")


def _names(rows: Sequence[AreaRow]) -> dict[str, str]:
    return {row.code: f"{row.name} ({row.type})" for row in rows}


def _values(row: AreaRow) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in MEMBERS}
    return {name: "" if value is None else value for name, value in values.items()}


async def _after(
    request: Request, session: AsyncSession, who: Admin, today: Today, change: AreaChange, done: str
) -> Response:
    """On to the area; shown at once where there is something to know."""
    row = change.area
    if not change.findings:
        return go(f"/admin/areas/{row.code}?done={done}")
    form = Filled(_values(row), findings=change.findings, done=done)
    return await _show(request, session, who, today, row, form)


async def _show(
    request: Request,
    session: AsyncSession,
    who: Admin,
    today: Today,
    row: AreaRow | None,
    form: Filled,
    ending: Filled | None = None,
) -> Response:
    every = await areas.listed(session, today)
    names = _names(every)
    day = (row.valid_to if row and row.valid_to else today).isoformat()
    page = AreaPage(
        area=row,
        form=form,
        ending=ending or Filled({"valid_to": day, "successors": row.successors if row else ()}),
        names=names,
        choices=[(each.code, names[each.code]) for each in every if each.valid or each.valid_from > today],
    )
    return render(request, "admin/area.html", page, who=who, status=max(form.status, page.ending.status))
