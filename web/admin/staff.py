"""Accounts of staff on pages: found, added, edited, closed, given a new password."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from core import people, staffing
from core.people import Person
from core.staff import Role
from routing.queries import Routing
from web.admin.ground import Admin, Filled, Listing, Pair, Word, again, by_name, listing, read, texts, trying
from web.administration.staff import NewPerson, PersonEdit
from web.deps import Db, Now, Rules
from web.pages import Form, FromHere, PageForm
from web.rendering import go, render

router = APIRouter(include_in_schema=False, dependencies=[FromHere])
ROLES = tuple(Role)
NONE = "none"  # of the role filter: accounts that have none


@dataclass(frozen=True, slots=True)
class StaffPage:
    """Accounts; departments by code."""

    list: Listing[Person]
    departments: Sequence[Pair]
    names: Mapping[str, str]
    roles: Sequence[str] = ROLES
    none: str = NONE


@dataclass(frozen=True, slots=True)
class PersonPage:
    """An account, or the form of a new one; a password made just now is shown this once."""

    person: Person | None
    form: Filled
    departments: Sequence[Pair]
    roles: Sequence[str] = ROLES
    password: str = field(default="", repr=False)


@router.get("/admin/staff")
async def listed(
    request: Request,
    session: Db,
    who: Admin,
    routing: Rules,
    q: Word = "",
    role: Word = "",
    department: Word = "",
    state: Word = "",
) -> Response:
    """Accounts by name."""
    found = await people.listed(
        session,
        role=role if role not in ("", NONE) else None,
        department=department or None,
        active={"active": True, "closed": False}.get(state),
        q=q,
    )
    if role == NONE:
        found = [person for person in found if not person.roles]
    names = {code: row.name for code, row in routing.departments.items()}
    shown = listing(request, found, lambda person: str(person.id))
    return render(request, "admin/staff.html", StaffPage(shown, by_name(names.items()), names), who=who)


@router.get("/admin/new/account")
async def new(request: Request, who: Admin, routing: Rules, department: Word = "") -> Response:
    """The form of a new account."""
    form = Filled({"email": "", "name": "", "roles": [], "departments": [department] if department else []})
    return render(request, "admin/person.html", PersonPage(None, form, _departments(routing)), who=who)


@router.post("/admin/new/account")
async def add(request: Request, session: Db, who: Admin, routing: Rules, at: Now, form: PageForm) -> Response:
    """A new account; its first password is shown once."""
    values, password = {**texts(form, "email"), **_members(form)}, staffing.one_time_password()
    async with trying(session) as trial:
        body = read(NewPerson, values)
        made = await staffing.add(session, body.email, body.name, password, body.roles, body.departments, at, who)
    if trial.refused:
        page = PersonPage(None, again(request, trial.refused, values), _departments(routing))
        return render(request, "admin/person.html", page, who=who, status=page.form.status)
    return await _shown(request, session, who, routing, made.id, done="added", password=password)


@router.get("/admin/staff/{person}")
async def one(request: Request, session: Db, who: Admin, routing: Rules, person: UUID, done: Word = "") -> Response:
    """One account."""
    return await _shown(request, session, who, routing, person, done=done)


@router.post("/admin/staff/{person}")
async def edit(
    request: Request, session: Db, who: Admin, routing: Rules, at: Now, form: PageForm, person: UUID
) -> Response:
    """Another name, other roles or departments."""
    values = _members(form)
    async with trying(session) as trial:
        body = read(PersonEdit, values)
        await staffing.edit(session, who, person, at, name=body.name, roles=body.roles, departments=body.departments)
    if trial.refused:
        filled = again(request, trial.refused, values)
        return await _shown(request, session, who, routing, person, form=filled)
    return go(f"/admin/staff/{person}?done=saved")


@router.post("/admin/staff/{person}/deactivate")
async def deactivate(request: Request, session: Db, who: Admin, routing: Rules, at: Now, person: UUID) -> Response:
    """Close the account; its sign-ins end at once."""
    async with trying(session) as trial:
        await staffing.deactivate(session, who, person, at)
    if trial.refused:
        return await _shown(request, session, who, routing, person, form=again(request, trial.refused, {}))
    return go(f"/admin/staff/{person}?done=closed")


@router.post("/admin/staff/{person}/activate")
async def activate(session: Db, who: Admin, at: Now, person: UUID) -> Response:
    """Open it again."""
    await staffing.activate(session, who, person, at)
    return go(f"/admin/staff/{person}?done=opened")


@router.post("/admin/staff/{person}/reset-password")
async def reset_password(request: Request, session: Db, who: Admin, routing: Rules, at: Now, person: UUID) -> Response:
    """A new password, shown once; whoever is signed in is signed out."""
    password = staffing.one_time_password()
    await staffing.reset_password(session, await staffing.by_id(session, person), password, at, who)
    return await _shown(request, session, who, routing, person, password=password)


def _members(form: Form) -> dict[str, object]:
    return {"name": form.text("name"), "roles": form.all("roles"), "departments": form.all("departments")}


def _departments(routing: Routing) -> list[Pair]:
    return by_name((code, row.name) for code, row in routing.departments.items())


async def _shown(
    request: Request,
    session: Db,
    who: Admin,
    routing: Routing,
    person_id: UUID,
    *,
    form: Filled | None = None,
    done: str = "",
    password: str = "",
) -> Response:
    person = await people.person(session, person_id)
    values = {"name": person.name, "roles": person.roles, "departments": person.departments}
    filled = Filled(values, done=done) if form is None else form
    if form is not None and not form.values:
        filled = Filled(values, alert=form.alert)
    page = PersonPage(person, filled, _departments(routing), password=password)
    return render(request, "admin/person.html", page, who=who, status=filled.status)
