"""Departments: list, add, edit, abolish with an heir, take an abolition back."""

from typing import Annotated

from fastapi import APIRouter, Query

from cases.bodies import Code, Short
from routing.editing import departments
from routing.editing.departments import DepartmentChange, DepartmentRow
from web.administration.edge import (
    Admin,
    Body,
    CodeInPath,
    Cursor,
    Limit,
    Nothing,
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
    prefix="/api/v1/admin/departments",
    tags=["administration: departments"],
    responses=PROBLEMS,
    dependencies=[RulesChange],
)


class NewDepartment(Body):
    """A department; without `valid_from` it exists from today."""

    code: Code
    name: Short
    kind: Code
    area: Code | None = None
    parent: Code | None = None
    email: Short | None = None
    valid_from: Day | None = None


class DepartmentEdit(Body):
    """What is given replaces what was; null empties area, parent and email."""

    name: Short | None = None
    kind: Code | None = None
    area: Code | None = None
    parent: Code | None = None
    email: Short | None = None


class Abolition(Body):
    """The first day it no longer exists, and who takes over."""

    valid_to: Day
    successor: Code | None = None


@router.get("")
async def listed(
    session: Db,
    who: Admin,
    today: Today,
    q: Part = "",
    kind: Annotated[str | None, Query(max_length=80)] = None,
    living: Annotated[bool | None, Query(description="Today")] = None,
    on: Day | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[DepartmentRow]:
    """Departments of every period by name; `living` and `heir` as of `on`, today if absent."""
    found = await departments.listed(session, on or today, q=q, kind=kind, living=living)
    return page_of(found, lambda row: row.code, cursor, limit)


@router.post("", status_code=201)
async def add(session: Db, who: Admin, at: Now, today: Today, body: NewDepartment) -> DepartmentChange:
    """A new department; 409 when the code is taken."""
    members = body.model_dump(exclude={"valid_from"})
    return await departments.add(session, who, at, valid_from=body.valid_from or today, **members)


@router.get("/{department}")
async def one(session: Db, who: Admin, today: Today, department: CodeInPath) -> DepartmentRow:
    """One department."""
    return await departments.one(session, department, today)


@router.patch("/{department}")
async def edit(
    session: Db, who: Admin, at: Now, today: Today, department: CodeInPath, body: DepartmentEdit
) -> DepartmentChange:
    """Change members; `findings` are what that newly makes wrong with the rules in force."""
    before = (await departments.one(session, department, today)).name
    change = await departments.edit(session, who, at, department, body.model_dump(exclude_unset=True))
    await found_by(session, change.department.name, before)
    return change


@router.post("/{department}/abolish")
async def abolish(session: Db, who: Admin, at: Now, department: CodeInPath, body: Abolition) -> DepartmentChange:
    """End it; said again, correct the day or the heir. 409 for a circle of heirs or when the centre would be gone."""
    return await departments.abolish(session, who, at, department, valid_to=body.valid_to, successor=body.successor)


@router.post("/{department}/restore")
async def restore(
    session: Db, who: Admin, at: Now, department: CodeInPath, body: Nothing | None = None
) -> DepartmentChange:
    """Take the abolition back."""
    return await departments.restore(session, who, at, department)
