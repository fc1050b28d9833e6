"""Fields on pages: groups with their fields, added, edited, closed, opened again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from routing.editing import fields
from routing.editing.fields import FieldChange, FieldGroup, FieldRow
from web.admin.ground import Admin, Filled, Pair, Word, again, given, read, texts, trying
from web.administration.edge import CodeInPath, RulesChange, Today
from web.administration.fields import Closing, FieldEdit, NewField
from web.deps import Db, Now
from web.names import NAMES
from web.pages import Form, FromHere, PageForm
from web.rendering import go, render

router = APIRouter(include_in_schema=False, dependencies=[FromHere, RulesChange])
URGENCIES, TRACKS = tuple(NAMES["urgency"]), tuple(NAMES["track"])


@dataclass(frozen=True, slots=True)
class FieldsPage:
    """Groups with their fields."""

    groups: Sequence[FieldGroup]
    closed: bool  # the closed ones too


@dataclass(frozen=True, slots=True)
class FieldPage:
    """A field or group, or the form of a new one, and the form that closes it."""

    field: FieldRow | None
    form: Filled
    ending: Filled
    groups: Sequence[Pair]
    urgencies: Sequence[str] = URGENCIES
    tracks: Sequence[str] = TRACKS


@router.get("/admin/fields")
async def listed(request: Request, session: Db, who: Admin, today: Today, closed: Word = "") -> Response:
    """All fields by group."""
    found = await fields.listed(session, today, closed=bool(closed))
    return render(request, "admin/fields.html", FieldsPage(found, bool(closed)), who=who)


@router.get("/admin/new/field")
async def new(request: Request, session: Db, who: Admin, today: Today, group: Word = "") -> Response:
    """The form of a new field or group."""
    values = {"group": group, "code": "", "name": "", "urgency": "normal", "public": True, "track": "ordinary"}
    form = Filled({**values, "valid_from": today.isoformat()})
    return await _show(request, session, who, today, None, form)


@router.post("/admin/new/field")
async def add(request: Request, session: Db, who: Admin, at: Now, today: Today, form: PageForm) -> Response:
    """A new field of a group, or a group where none is chosen."""
    values = {**texts(form, "group", "code", "name", "urgency", "track", "valid_from"), "public": form.flag("public")}
    members = {**values, "code": ".".join(filter(None, (values["group"], values["code"])))}
    del members["group"]
    if not values["group"]:
        members = {name: members[name] for name in ("code", "name", "valid_from")}
    async with trying(session) as trial:
        body = read(NewField, given(members, "code", "name"))
        asked = body.model_dump(exclude={"valid_from"})
        change = await fields.add(session, who, at, valid_from=body.valid_from or today, **asked)
    if trial.refused:
        return await _show(request, session, who, today, None, again(request, trial.refused, values))
    return await _after(request, session, who, today, change, "added")


@router.get("/admin/fields/{field}")
async def one(request: Request, session: Db, who: Admin, today: Today, field: CodeInPath, done: Word = "") -> Response:
    """One field or group."""
    row = await fields.one(session, field, today)
    return await _show(request, session, who, today, row, Filled(_values(row), done=done))


@router.post("/admin/fields/{field}")
async def edit(
    request: Request, session: Db, who: Admin, at: Now, today: Today, form: PageForm, field: CodeInPath
) -> Response:
    """Change it."""
    row = await fields.one(session, field, today)
    values = _sent(form, row)
    async with trying(session) as trial:
        body = read(FieldEdit, values)
        change = await fields.edit(session, who, at, field, body.model_dump(exclude_unset=True))
    if trial.refused:
        return await _show(request, session, who, today, row, again(request, trial.refused, values))
    return await _after(request, session, who, today, change, "saved")


@router.post("/admin/fields/{field}/close")
async def close(
    request: Request, session: Db, who: Admin, at: Now, today: Today, form: PageForm, field: CodeInPath
) -> Response:
    """Close it from a day on."""
    values = texts(form, "valid_to")
    async with trying(session) as trial:
        change = await fields.close(session, who, at, field, valid_to=read(Closing, values).valid_to)
    if trial.refused:
        row = await fields.one(session, field, today)
        ending = again(request, trial.refused, values)
        return await _show(request, session, who, today, row, Filled(_values(row)), ending)
    return await _after(request, session, who, today, change, "ended")


@router.post("/admin/fields/{field}/reopen")
async def reopen(request: Request, session: Db, who: Admin, at: Now, today: Today, field: CodeInPath) -> Response:
    """Take the closing back."""
    async with trying(session) as trial:
        change = await fields.reopen(session, who, at, field)
    if trial.refused:
        row = await fields.one(session, field, today)
        told = again(request, trial.refused, {})
        return await _show(request, session, who, today, row, Filled(_values(row), alert=told.alert))
    return await _after(request, session, who, today, change, "opened")


def _values(row: FieldRow) -> dict[str, Any]:
    return {"name": row.name, "urgency": row.urgency, "public": row.public, "track": row.track or "ordinary"}


def _sent(form: Form, row: FieldRow) -> dict[str, Any]:
    """A group has a name and nothing else to change."""
    if row.parent is None:
        return texts(form, "name")
    return {**texts(form, "name", "urgency", "track"), "public": form.flag("public")}


async def _after(
    request: Request, session: AsyncSession, who: Admin, today: Today, change: FieldChange, done: str
) -> Response:
    """On to the field; shown at once where there is something to know."""
    row = change.field
    if not change.findings:
        return go(f"/admin/fields/{row.code}?done={done}")
    form = Filled(_values(row), findings=change.findings, done=done)
    return await _show(request, session, who, today, row, form)


async def _show(
    request: Request,
    session: AsyncSession,
    who: Admin,
    today: Today,
    row: FieldRow | None,
    form: Filled,
    ending: Filled | None = None,
) -> Response:
    groups = [(each.group.code, each.group.name) for each in await fields.listed(session, today, closed=False)]
    ends = (row.valid_to if row and row.valid_to else today).isoformat()
    page = FieldPage(row, form, ending or Filled({"valid_to": ends}), groups)
    return render(request, "admin/field.html", page, who=who, status=max(form.status, page.ending.status))
