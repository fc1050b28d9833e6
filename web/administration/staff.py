"""Accounts of staff: list, add, edit, close and open, a new password."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from cases.bodies import Code, Short
from core import people, staffing
from core.people import Person
from core.staff import Role
from web.administration.edge import Admin, Body, Cursor, Limit, Nothing, Page, Part, page_of
from web.deps import Db, Now
from web.docs import PROBLEMS

router = APIRouter(prefix="/api/v1/admin/staff", tags=["administration: staff"], responses=PROBLEMS)

Roles = Annotated[list[Role], Field(max_length=len(Role))]
Departments = Annotated[list[Code], Field(max_length=50)]


class NewPerson(Body):
    """An account; its first password is made at random."""

    email: Short
    name: Short
    roles: Roles = Field(default_factory=list)
    departments: Departments = Field(default_factory=list)


class PersonEdit(Body):
    """What is given replaces what was; roles and departments as a whole."""

    name: Short | None = None
    roles: Roles | None = None
    departments: Departments | None = None


class WithPassword(BaseModel):
    """The account and its new password, which is shown this once."""

    person: Person
    password: str


@router.get("")
async def listed(
    session: Db,
    who: Admin,
    role: Role | None = None,
    department: Annotated[str | None, Query(max_length=80)] = None,
    active: bool | None = None,
    q: Part = "",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[Person]:
    """Accounts by name."""
    found = await people.listed(session, role=role, department=department, active=active, q=q)
    return page_of(found, lambda person: str(person.id), cursor, limit)


@router.post("", status_code=201)
async def add(session: Db, who: Admin, at: Now, body: NewPerson) -> WithPassword:
    """A new account and its first password; 409 when the e-mail is taken."""
    password = staffing.one_time_password()
    made = await staffing.add(session, body.email, body.name, password, body.roles, body.departments, at, who)
    return WithPassword(person=await people.person(session, made.id), password=password)


@router.get("/{person}")
async def one(session: Db, who: Admin, person: UUID) -> Person:
    """One account."""
    return await people.person(session, person)


@router.patch("/{person}")
async def edit(session: Db, who: Admin, at: Now, person: UUID, body: PersonEdit) -> Person:
    """Another name, other roles or departments; 409 when the last active administrator would lose the role."""
    await staffing.edit(session, who, person, at, name=body.name, roles=body.roles, departments=body.departments)
    return await people.person(session, person)


@router.post("/{person}/deactivate")
async def deactivate(session: Db, who: Admin, at: Now, person: UUID, body: Nothing | None = None) -> Person:
    """Close the account; its sign-ins end at once. 409 for the last active administrator."""
    await staffing.deactivate(session, who, person, at)
    return await people.person(session, person)


@router.post("/{person}/activate")
async def activate(session: Db, who: Admin, at: Now, person: UUID, body: Nothing | None = None) -> Person:
    """Open a closed account again."""
    await staffing.activate(session, who, person, at)
    return await people.person(session, person)


@router.post("/{person}/reset-password")
async def reset_password(session: Db, who: Admin, at: Now, person: UUID, body: Nothing | None = None) -> WithPassword:
    """A new random password, shown this once; whoever is signed in is signed out."""
    password = staffing.one_time_password()
    await staffing.reset_password(session, await staffing.by_id(session, person), password, at, who)
    return WithPassword(person=await people.person(session, person), password=password)
