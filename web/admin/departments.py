"""Departments on pages: found, added, edited, abolished with an heir, restored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from cases import duty
from routing.editing import departments
from routing.editing.departments import DepartmentChange, DepartmentRow
from routing.queries import Routing
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
from web.administration.departments import Abolition, DepartmentEdit, NewDepartment
from web.administration.edge import CodeInPath, RulesChange, Today, found_by
from web.deps import Db, Now, Rules
from web.pages import FromHere, PageForm
from web.rendering import go, render

router = APIRouter(include_in_schema=False, dependencies=[FromHere, RulesChange])
MEMBERS = ("name", "kind", "area", "parent", "email")


@dataclass(frozen=True, slots=True)
class DepartmentsPage:
    """Departments of every period."""

    list: Listing[DepartmentRow]
    kinds: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DepartmentPage:
    """A department, or the form of a new one, and the form that ends it."""

    department: DepartmentRow | None
    form: Filled
    ending: Filled
    kinds: Mapping[str, str]
    areas: Sequence[Pair]
    departments: Sequence[Pair]  # that live today


@router.get("/admin/departments")
async def listed(
    request: Request,
    session: Db,
    who: Admin,
    today: Today,
    q: Word = "",
    kind: Word = "",
    state: Word = "",
    email: Word = "",
    people: Word = "",
) -> Response:
    """Departments by name; with `email=none` those that get no letters, with `people=none` those where nobody works."""
    living = {"living": True, "abolished": False}.get(state)
    found = await departments.listed(session, today, q=q, kind=kind or None, living=living)
    if email == "none":
        found = [row for row in found if row.living and not row.email and row.kind != "centre"]
    if people == "none":
        empty = set(await duty.without_people(session, today))
        found = [row for row in found if row.code in empty]
    page = DepartmentsPage(listing(request, found, lambda row: row.code), departments.kinds())
    return render(request, "admin/departments.html", page, who=who)


@router.get("/admin/new/department")
async def new(request: Request, who: Admin, routing: Rules, today: Today) -> Response:
    """The form of a new department."""
    form = Filled({"code": "", **dict.fromkeys(MEMBERS, ""), "valid_from": today.isoformat()})
    return _show(request, who, routing, today, None, form)


@router.post("/admin/new/department")
async def add(
    request: Request, session: Db, who: Admin, routing: Rules, at: Now, today: Today, form: PageForm
) -> Response:
    """A new department."""
    values = texts(form, "code", *MEMBERS, "valid_from")
    async with trying(session) as trial:
        body = read(NewDepartment, given(values, "code", "name", "kind"))
        members = body.model_dump(exclude={"valid_from"})
        change = await departments.add(session, who, at, valid_from=body.valid_from or today, **members)
    if trial.refused:
        return _show(request, who, routing, today, None, again(request, trial.refused, values))
    return _after(request, who, routing, today, change, "added")


@router.get("/admin/departments/{department}")
async def one(
    request: Request, session: Db, who: Admin, routing: Rules, today: Today, department: CodeInPath, done: Word = ""
) -> Response:
    """One department."""
    row = await departments.one(session, department, today)
    return _show(request, who, routing, today, row, Filled(_values(row), done=done))


@router.post("/admin/departments/{department}")
async def edit(
    request: Request,
    session: Db,
    who: Admin,
    routing: Rules,
    at: Now,
    today: Today,
    form: PageForm,
    department: CodeInPath,
) -> Response:
    """Change it."""
    values = texts(form, *MEMBERS)
    async with trying(session) as trial:
        body = read(DepartmentEdit, nulled(values, "name", "kind"))
        before = (await departments.one(session, department, today)).name
        change = await departments.edit(session, who, at, department, body.model_dump(exclude_unset=True))
        await found_by(session, change.department.name, before)
    if trial.refused:
        row = await departments.one(session, department, today)
        return _show(request, who, routing, today, row, again(request, trial.refused, values))
    return _after(request, who, routing, today, change, "saved")


@router.post("/admin/departments/{department}/abolish")
async def abolish(
    request: Request,
    session: Db,
    who: Admin,
    routing: Rules,
    at: Now,
    today: Today,
    form: PageForm,
    department: CodeInPath,
) -> Response:
    """End it on a day, with or without an heir."""
    values = texts(form, "valid_to", "successor")
    async with trying(session) as trial:
        body = read(Abolition, nulled(values, "valid_to"))
        change = await departments.abolish(
            session, who, at, department, valid_to=body.valid_to, successor=body.successor
        )
    if trial.refused:
        row = await departments.one(session, department, today)
        ending = again(request, trial.refused, values)
        return _show(request, who, routing, today, row, Filled(_values(row)), ending)
    return _after(request, who, routing, today, change, "abolished")


@router.post("/admin/departments/{department}/restore")
async def restore(
    request: Request, session: Db, who: Admin, routing: Rules, at: Now, today: Today, department: CodeInPath
) -> Response:
    """Take the abolition back."""
    change = await departments.restore(session, who, at, department)
    return _after(request, who, routing, today, change, "restored")


def _values(row: DepartmentRow) -> dict[str, Any]:
    return {name: getattr(row, name) or "" for name in MEMBERS}


def _after(
    request: Request, who: Admin, routing: Routing, today: Today, change: DepartmentChange, done: str
) -> Response:
    """On to the department; shown at once where there is something to know."""
    row = change.department
    if not change.findings:
        return go(f"/admin/departments/{row.code}?done={done}")
    return _show(request, who, routing, today, row, Filled(_values(row), findings=change.findings, done=done))


def _show(
    request: Request,
    who: Admin,
    routing: Routing,
    today: Today,
    row: DepartmentRow | None,
    form: Filled,
    ending: Filled | None = None,
) -> Response:
    places = (place for place in map(routing.places.get, routing.directory.areas) if place and place.valid(today))
    page = DepartmentPage(
        department=row,
        form=form,
        ending=ending
        or Filled(
            {
                "valid_to": (row.valid_to if row and row.valid_to else today).isoformat(),
                "successor": row.successor or "" if row else "",
            }
        ),
        kinds=departments.kinds(),
        areas=by_name((place.code, f"{place.name} ({place.type})") for place in places),
        departments=by_name(
            (each.code, each.name) for each in routing.directory.departments.values() if each.lives(today)
        ),
    )
    return render(request, "admin/department.html", page, who=who, status=max(form.status, page.ending.status))
