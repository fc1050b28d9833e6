"""Fields (lĩnh vực): list by group, add, edit, close, open again."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from cases.bodies import Code, Short, Track, Urgency
from routing.editing import fields
from routing.editing.fields import FieldChange, FieldGroup, FieldRow
from web.administration.edge import Admin, Body, CodeInPath, Nothing, RulesChange, Today
from web.deps import Day, Db, Now
from web.docs import PROBLEMS

router = APIRouter(
    prefix="/api/v1/admin/fields", tags=["administration: fields"], responses=PROBLEMS, dependencies=[RulesChange]
)


class NewField(Body):
    """A group `name`, or a field `group.name`; without `valid_from` it exists from today."""

    code: Code
    name: Short
    urgency: Urgency = "normal"
    public: bool = True
    track: Track | None = None
    valid_from: Day | None = None


class FieldEdit(Body):
    """What is given replaces what was; `track` null or ordinary: none of its own."""

    name: Short | None = None
    urgency: Urgency | None = None
    public: bool | None = None
    track: Track | None = None


class Closing(Body):
    """The first day it can no longer be chosen."""

    valid_to: Day


class Groups(BaseModel):
    """Every group with its fields."""

    items: list[FieldGroup]


@router.get("")
async def listed(
    session: Db, who: Admin, today: Today, closed: Annotated[bool, Query(description="Closed ones too")] = True
) -> Groups:
    """Groups with their fields, by code."""
    return Groups(items=await fields.listed(session, today, closed=closed))


@router.post("", status_code=201)
async def add(session: Db, who: Admin, at: Now, today: Today, body: NewField) -> FieldChange:
    """A new group or field; 409 when the code is taken. `findings` say when no rule speaks of it."""
    members = body.model_dump(exclude={"valid_from"})
    return await fields.add(session, who, at, valid_from=body.valid_from or today, **members)


@router.get("/{field}")
async def one(session: Db, who: Admin, today: Today, field: CodeInPath) -> FieldRow:
    """One field or group."""
    return await fields.one(session, field, today)


@router.patch("/{field}")
async def edit(session: Db, who: Admin, at: Now, field: CodeInPath, body: FieldEdit) -> FieldChange:
    """Change members."""
    given = body.model_dump(exclude_unset=True)
    return await fields.edit(session, who, at, field, given)


@router.post("/{field}/close")
async def close(session: Db, who: Admin, at: Now, field: CodeInPath, body: Closing) -> FieldChange:
    """Close it; cases that have it keep it. `findings` name the rules that still speak of it."""
    return await fields.close(session, who, at, field, valid_to=body.valid_to)


@router.post("/{field}/reopen")
async def reopen(session: Db, who: Admin, at: Now, field: CodeInPath, body: Nothing | None = None) -> FieldChange:
    """Take the closing back."""
    return await fields.reopen(session, who, at, field)
