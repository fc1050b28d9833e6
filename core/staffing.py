"""Making accounts and granting roles, from the command line and the demo."""

import re
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core import auth
from core.errors import Conflict, Invalid, NotFound
from core.ids import uuid7
from core.journal import record
from core.staff import PERMISSIONS, ApiKey, Role, RoleGrant, SignIn, Staff, StaffDepartment


async def add(
    session: AsyncSession,
    email: str,
    name: str,
    password: str,
    roles: Iterable[str],
    departments: Iterable[str],
    at: datetime,
) -> Staff:
    """A new account. Conflict when the e-mail is taken, Invalid for unknown roles or a short password."""
    _check_password(password)
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", email.strip()):
        raise Invalid(f"{email} không phải địa chỉ e-mail.", f"{email} is not an e-mail address.")
    if await find(session, email) is not None:
        raise Conflict(f"Đã có tài khoản {email}.", f"There is an account {email} already.")
    person = Staff(
        id=uuid7(at),
        email=email.strip().lower(),
        name=name,
        password_hash=await auth.hash_password(password),
        created_at=at,
    )
    session.add(person)
    await session.flush()
    await grant(session, person, roles, departments, at)
    await record(session, "staff.add", at=at, actor_kind="system", subject=str(person.id))
    return person


async def grant(
    session: AsyncSession, person: Staff, roles: Iterable[str], departments: Iterable[str], at: datetime
) -> None:
    """Add roles and departments to what the person has. Invalid names those that do not exist."""
    wanted, homes = set(roles), set(departments)
    if unknown := wanted - set(Role):
        raise Invalid(
            f"Không có vai trò {', '.join(sorted(unknown))}. Có: {', '.join(Role)}.",
            f"Unknown role {', '.join(sorted(unknown))}; known: {', '.join(Role)}.",
        )
    statement = text("SELECT code FROM departments WHERE code = ANY(:codes)")
    found_homes = set((await session.execute(statement, {"codes": sorted(homes)})).scalars())
    if missing := homes - found_homes:
        raise Invalid(
            f"Không có đơn vị mã {', '.join(sorted(missing))}.", f"Unknown department {', '.join(sorted(missing))}."
        )
    have_roles, have_homes = await auth.grants_of(session, person.id)
    for role in sorted(wanted - set(have_roles)):
        session.add(RoleGrant(staff_id=person.id, role=role, granted_at=at))
    for home in sorted(homes - set(have_homes)):
        session.add(StaffDepartment(staff_id=person.id, department=home))
    await record(
        session,
        "staff.grant",
        at=at,
        actor_kind="system",
        subject=str(person.id),
        data={"roles": sorted(wanted), "departments": sorted(homes)},
    )
    await session.flush()


async def reset_password(session: AsyncSession, person: Staff, password: str, at: datetime) -> None:
    """A new password; whoever is signed in is signed out."""
    _check_password(password)
    person.password_hash = await auth.hash_password(password)
    session.add(person)
    await session.execute(delete(SignIn).where(col(SignIn.staff_id) == person.id))
    await record(session, "staff.reset_password", at=at, actor_kind="system", subject=str(person.id))


async def find(session: AsyncSession, email: str) -> Staff | None:
    """The account with this e-mail."""
    statement = select(Staff).where(func.lower(Staff.email) == email.strip().lower())
    return (await session.exec(statement)).first()


async def found(session: AsyncSession, email: str) -> Staff:
    """The account with this e-mail, or NotFound."""
    person = await find(session, email)
    if person is None:
        raise NotFound(f"Không có tài khoản {email}.", f"There is no account {email}.")
    return person


async def make_api_key(session: AsyncSession, name: str, scopes: list[str], at: datetime) -> tuple[UUID, str]:
    """(id, key) for another system; the key is shown this once. Invalid names scopes that open nothing."""
    if unknown := set(scopes) - set(PERMISSIONS):
        raise Invalid(
            f"Không có quyền {', '.join(sorted(unknown))}. Có: {', '.join(PERMISSIONS)}.",
            f"Unknown scope {', '.join(sorted(unknown))}; known: {', '.join(PERMISSIONS)}.",
        )
    key, digest = auth.new_api_key()
    row = ApiKey(id=uuid7(at), name=name, key_hash=digest, scopes=scopes, created_at=at)
    session.add(row)
    await record(session, "api_key.add", at=at, actor_kind="system", subject=str(row.id), data={"scopes": scopes})
    return row.id, key


def _check_password(password: str) -> None:
    if len(password) < auth.PASSWORD_MIN:
        raise Invalid(
            f"Mật khẩu cần ít nhất {auth.PASSWORD_MIN} ký tự.",
            f"A password has at least {auth.PASSWORD_MIN} characters.",
        )
