"""Accounts of staff: made, changed, ended, and their passwords. From the command line, the demo and the administration.

`by` is who does it: the system itself from the command line, else somebody who may `admin.manage`.
"""

import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, text
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core import auth
from core.errors import Conflict, Invalid, NotAllowed, NotFound
from core.ids import uuid7
from core.journal import record
from core.staff import MANAGE, PERMISSIONS, SYSTEM, Actor, ApiKey, Role, RoleGrant, Staff, StaffDepartment
from core.text import is_email

ADMINS_LOCK = 1022_002  # advisory lock: one act at a time that may take the last administrator away
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # without those that look alike


async def add(
    session: AsyncSession,
    email: str,
    name: str,
    password: str,
    roles: Iterable[str],
    departments: Iterable[str],
    at: datetime,
    by: Actor = SYSTEM,
) -> Staff:
    """A new account. Conflict when the e-mail is taken, Invalid for unknown roles or a short password."""
    _require(by)
    _check_password(password)
    email = email.strip().lower()
    if not is_email(email):
        raise Invalid.at("email", "Địa chỉ e-mail không đúng.", "Not an e-mail address.", "email")
    if await find(session, email) is not None:
        raise _taken(email)
    person = Staff(
        id=uuid7(at), email=email, name=name, password_hash=await auth.hash_password(password), created_at=at
    )
    session.add(person)
    try:
        await session.flush()
    except IntegrityError:  # somebody made the same just now
        raise _taken(email) from None
    await grant(session, person, roles, departments, at, by)
    await _note(session, by, "staff.add", person.id, at)
    return person


async def grant(
    session: AsyncSession,
    person: Staff,
    roles: Iterable[str],
    departments: Iterable[str],
    at: datetime,
    by: Actor = SYSTEM,
) -> None:
    """Add roles and departments to what the person has. Invalid names those that do not exist."""
    _require(by)
    wanted, homes = set(roles), set(departments)
    await _check_grants(session, wanted, homes)
    have_roles, have_homes = await auth.grants_of(session, person.id)
    await _write_grants(session, person.id, wanted - set(have_roles), homes - set(have_homes), at)
    await _note(session, by, "staff.grant", person.id, at, roles=sorted(wanted), departments=sorted(homes))


async def edit(
    session: AsyncSession,
    by: Actor,
    person_id: UUID,
    at: datetime,
    *,
    name: str | None = None,
    roles: Iterable[str] | None = None,
    departments: Iterable[str] | None = None,
) -> Staff:
    """Change a name, or replace roles or departments as a whole; None leaves them. Holds from the next request on.

    Conflict when the last active administrator would lose the role.
    """
    _require(by)
    person = await _held(session, person_id)
    had_roles, had_homes = (set(each) for each in await auth.grants_of(session, person.id))
    wanted = had_roles if roles is None else set(roles)
    homes = had_homes if departments is None else set(departments)
    await _check_grants(session, wanted, homes)
    if person.active and Role.ADMIN in had_roles - wanted:
        await _keep_an_admin(session, person.id)
    changed = [
        member
        for member, differs in (
            ("name", name is not None and name != person.name),
            ("roles", wanted != had_roles),
            ("departments", homes != had_homes),
        )
        if differs
    ]
    if not changed:
        return person
    person.name = person.name if name is None else name
    session.add(person)
    for role in had_roles - wanted:
        await session.execute(
            delete(RoleGrant).where(col(RoleGrant.staff_id) == person.id, col(RoleGrant.role) == role)
        )
    for home in had_homes - homes:
        await session.execute(
            delete(StaffDepartment).where(
                col(StaffDepartment.staff_id) == person.id, col(StaffDepartment.department) == home
            )
        )
    await _write_grants(session, person.id, wanted - had_roles, homes - had_homes, at)
    grants = {"roles": sorted(wanted), "departments": sorted(homes)}
    await _note(session, by, "staff.edit", person.id, at, changed=changed, **grants)
    return person


async def deactivate(session: AsyncSession, by: Actor, person_id: UUID, at: datetime) -> Staff:
    """Close an account; its sign-ins end at once. Conflict when it is the last active administrator's."""
    _require(by)
    person = await _held(session, person_id)
    if not person.active:
        return person
    if Role.ADMIN in (await auth.grants_of(session, person.id))[0]:
        await _keep_an_admin(session, person.id)
    person.active = False
    session.add(person)
    await auth.sign_out_everywhere(session, person.id)
    await _note(session, by, "staff.deactivate", person.id, at)
    return person


async def activate(session: AsyncSession, by: Actor, person_id: UUID, at: datetime) -> Staff:
    """Open a closed account again, with its old password; the person signs in afresh."""
    _require(by)
    person = await _held(session, person_id)
    if person.active:
        return person
    person.active = True
    session.add(person)
    await auth.sign_out_everywhere(session, person.id)  # a sign-in that was under way when the account was closed
    await _note(session, by, "staff.activate", person.id, at)
    return person


async def reset_password(session: AsyncSession, person: Staff, password: str, at: datetime, by: Actor = SYSTEM) -> None:
    """A new password; whoever is signed in is signed out."""
    _require(by)
    _check_password(password)
    person.password_hash = await auth.hash_password(password)
    session.add(person)
    await auth.sign_out_everywhere(session, person.id)
    await _note(session, by, "staff.reset_password", person.id, at)


async def change_own_password(
    session: AsyncSession, by: Actor, old: str, new: str, at: datetime, *, token: str
) -> bool:
    """A person's own new password; their other sign-ins than that of `token` end. False when `old` is wrong.

    The caller counts wrong tries. NotAllowed for who has no password, such as another system with its key.
    """
    if by.kind != "staff" or by.id is None:
        raise NotAllowed("Chỉ tài khoản cán bộ có mật khẩu.", "Only accounts of staff have a password.")
    _check_password(new, "new")
    if await auth.check_password(session, by.email, old) is None:
        return False
    person = await _held(session, by.id)
    person.password_hash = await auth.hash_password(new)
    session.add(person)
    await auth.sign_out_everywhere(session, person.id, but=token)
    await _note(session, by, "staff.change_password", person.id, at)
    return True


def one_time_password() -> str:
    """A random password to be read out or written down once: twelve characters in three groups, 59 bits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(3))


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


async def by_id(session: AsyncSession, person_id: UUID) -> Staff:
    """The account with this id, or NotFound."""
    person = (await session.exec(select(Staff).where(Staff.id == person_id))).first()
    if person is None:
        raise NotFound("Không có tài khoản này.", "There is no such account.")
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


def _require(by: Actor) -> None:
    if by is not SYSTEM:
        by.require(MANAGE)


async def _held(session: AsyncSession, person_id: UUID) -> Staff:
    """The person, held until the end of the transaction; nobody takes an administrator away meanwhile."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADMINS_LOCK})
    statement = select(Staff).where(Staff.id == person_id).with_for_update(key_share=True)
    person = (await session.exec(statement.execution_options(populate_existing=True))).first()
    if person is None:
        raise NotFound("Không có tài khoản này.", "There is no such account.")
    return person


async def _keep_an_admin(session: AsyncSession, without: UUID) -> None:
    """Conflict unless there is an active administrator besides this one."""
    statement = (
        select(Staff.id)
        .join(RoleGrant, col(RoleGrant.staff_id) == col(Staff.id))
        .where(col(Staff.active), RoleGrant.role == Role.ADMIN, Staff.id != without)
    )
    if (await session.exec(statement.limit(1))).first() is None:
        raise Conflict(
            "Đây là quản trị viên cuối cùng đang hoạt động. Hãy giao vai trò quản trị cho người khác trước.",
            "This is the last active administrator. Give the role to somebody else first.",
        )


async def _check_grants(session: AsyncSession, roles: set[str], homes: set[str]) -> None:
    """Invalid for roles and departments that do not exist."""
    if unknown := roles - set(Role):
        raise Invalid.at(
            "roles",
            f"Không có vai trò {', '.join(sorted(unknown))}. Có: {', '.join(Role)}.",
            f"Unknown role {', '.join(sorted(unknown))}; known: {', '.join(Role)}.",
        )
    statement = text("SELECT code FROM departments WHERE code = ANY(:codes)")
    there = set((await session.execute(statement, {"codes": sorted(homes)})).scalars())
    if missing := homes - there:
        raise Invalid.at(
            "departments",
            f"Không có đơn vị mã {', '.join(sorted(missing))}.",
            f"Unknown department {', '.join(sorted(missing))}.",
        )


async def _write_grants(session: AsyncSession, person_id: UUID, roles: set[str], homes: set[str], at: datetime) -> None:
    for role in sorted(roles):
        session.add(RoleGrant(staff_id=person_id, role=role, granted_at=at))
    for home in sorted(homes):
        session.add(StaffDepartment(staff_id=person_id, department=home))
    await session.flush()


async def _note(session: AsyncSession, by: Actor, kind: str, person_id: UUID, at: datetime, **data: Any) -> None:
    """The journal row of an act on an account: whose, by whom, and which members; never their values."""
    await record(session, kind, at=at, actor_kind=by.kind, actor_id=by.id, subject=str(person_id), data=data)


def _taken(email: str) -> Conflict:
    return Conflict(f"Đã có tài khoản {email}.", f"There is an account {email} already.")


def _check_password(password: str, where: str = "password") -> None:
    if len(password) < auth.PASSWORD_MIN:
        raise Invalid.at(
            where,
            f"Mật khẩu cần ít nhất {auth.PASSWORD_MIN} ký tự.",
            f"A password has at least {auth.PASSWORD_MIN} characters.",
            "too_short",
        )
