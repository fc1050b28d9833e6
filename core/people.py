"""Reads of staff for the administration."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import NotFound
from core.text import fold


@dataclass(frozen=True, slots=True)
class Person:
    """An account as administrators see it; roles and departments sorted."""

    id: UUID
    email: str
    name: str
    active: bool
    roles: tuple[str, ...]
    departments: tuple[str, ...]
    created_at: datetime


_PEOPLE = """
    SELECT s.id, s.email, s.name, s.active, s.created_at,
           ARRAY(SELECT role FROM role_grants WHERE staff_id = s.id ORDER BY 1) AS roles,
           ARRAY(SELECT department FROM staff_departments WHERE staff_id = s.id ORDER BY 1) AS departments
    FROM staff s
"""
_ALL = text(_PEOPLE)
_ONE = text(_PEOPLE + "WHERE s.id = :id")


async def listed(
    session: AsyncSession,
    *,
    role: str | None = None,
    department: str | None = None,
    active: bool | None = None,
    q: str = "",
) -> list[Person]:
    """Accounts by name. `q` is part of a name or e-mail, marks or none; a province has some thousands of them."""
    wanted = fold(q)
    people = [_person(row) for row in (await session.execute(_ALL)).all()]
    return sorted(
        (
            person
            for person in people
            if (role is None or role in person.roles)
            and (department is None or department in person.departments)
            and (active is None or person.active is active)
            and (wanted in fold(person.name) or wanted in fold(person.email))
        ),
        key=lambda person: (fold(person.name), person.email),
    )


async def person(session: AsyncSession, person_id: UUID) -> Person:
    """One account, or NotFound."""
    row = (await session.execute(_ONE, {"id": person_id})).first()
    if row is None:
        raise NotFound("Không có tài khoản này.", "There is no such account.")
    return _person(row)


def _person(row: Any) -> Person:
    return Person(row.id, row.email, row.name, row.active, tuple(row.roles), tuple(row.departments), row.created_at)
