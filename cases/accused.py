"""Whom a denunciation is about: units named in its text, and that somebody is left who may know of it.

Units found in a text are only offered. Denunciations are addressed to the inspectorate by name, and a machine that took
that for an accusation would hide them from everybody whose work they are.
"""

from collections.abc import Collection, Iterable
from datetime import date
from uuid import UUID

from sqlalchemy import exists, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.staff import Role, RoleGrant, Staff, StaffDepartment
from core.text import fold
from routing.directory import Department

MOST = 20  # units one case can be about
_SHORT = (("ubnd", "uy ban nhan dan"), ("tp", "thanh pho"), ("hdnd", "hoi dong nhan dan"))


def named_in(text: str, departments: Iterable[Department], on: date) -> list[str]:
    """Departments alive on the day whose names stand in a text as whole words, with or without marks, longest first."""
    plain = _plain(text)
    living = [(_plain(each.name), each.code) for each in departments if each.lives(on)]
    names = sorted(living, key=lambda pair: (-len(pair[0]), pair))
    found = []
    for name, code in names:
        if name.strip() and name in plain:
            found.append(code)
            plain = plain.replace(name, " ¦ ")  # a shorter name within this one is not another unit
    return found[:MOST]


def _plain(text: str) -> str:
    words = "".join(each if each.isalnum() else " " for each in fold(text)).split()
    whole = dict(_SHORT)
    return f" {' '.join(whole.get(word, word) for word in words)} "


def with_parts(units: Collection[str], departments: Iterable[Department]) -> set[str]:
    """These units and all that are parts of them, at whatever depth: who works in a part works for the whole."""
    known, found = list(departments), set(units)
    while more := {each.code for each in known if each.parent in found} - found:
        found |= more
    return found


async def somebody_left(
    session: AsyncSession, roles: Collection[Role], units: Collection[str] = (), people: Collection[UUID] = ()
) -> bool:
    """Whether somebody of one of these roles is left who is none of these people and works for none of these units."""
    works_there = exists().where(
        col(StaffDepartment.staff_id) == col(Staff.id), col(StaffDepartment.department).in_(sorted(units))
    )
    holds = exists().where(col(RoleGrant.staff_id) == col(Staff.id), col(RoleGrant.role).in_(sorted(roles)))
    others = (col(Staff.active), holds, ~works_there, col(Staff.id).not_in(people))
    left = select(func.count()).select_from(Staff).where(*others)
    return bool((await session.exec(left)).one())
