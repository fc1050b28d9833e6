"""Accounts of staff: who may change them, what ends at once, and that an administrator always remains."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import col, select

from core import auth, people, staffing
from core.db import Database
from core.errors import Conflict, DomainError, Invalid, NotAllowed, NotFound, NotSignedIn
from core.ids import uuid7
from core.journal import Journal
from core.staff import Actor, Role, Staff

AT = datetime(2026, 3, 3, 1, 15, tzinfo=UTC)
ADMIN = Actor(kind="staff", id=uuid7(AT), roles=frozenset({Role.ADMIN}))
NOBODY = [
    Actor(kind="staff", id=uuid7(AT), roles=frozenset(set(Role) - {Role.ADMIN}), departments=frozenset({"so-xd"})),
    Actor(kind="citizen"),
    Actor(kind="api_key", id=uuid7(AT), scopes=frozenset({"feed.read"})),
    Actor(kind="system"),  # made by somebody else than the command line
]
PASSWORD = "an-old-password"
KEY = UUID(int=0)


@pytest.fixture(autouse=True)
async def nobody_yet(database: Database) -> None:
    """Every test starts without accounts."""
    await forget_all(database)


async def forget_all(database: Database) -> None:
    async with database.transaction() as session:
        connection = await session.connection()
        for table in ("sign_ins", "role_grants", "staff_departments", "staff"):
            await connection.exec_driver_sql(f"DELETE FROM {table}")


async def a_person(
    database: Database, email: str, *roles: str, departments: tuple[str, ...] = (), password: str = PASSWORD
) -> UUID:
    async with database.transaction() as session:
        return (await staffing.add(session, email, email.partition("@")[0], password, roles, departments, AT)).id


async def shown(database: Database, person_id: UUID) -> people.Person:
    async with database.transaction() as session:
        return await people.person(session, person_id)


async def signed_in(database: Database, person_id: UUID) -> str:
    async with database.transaction() as session:
        return await auth.sign_in(session, person_id, "bearer", AT)


async def is_in(database: Database, token: str) -> bool:
    async with database.transaction() as session:
        try:
            await auth.who_is(session, token, "bearer", AT + timedelta(minutes=1))
        except NotSignedIn:
            return False
        return True


async def journal(database: Database, person_id: UUID) -> list[Journal]:
    async with database.transaction() as session:
        statement = select(Journal).where(Journal.subject == str(person_id)).order_by(col(Journal.id))
        return list((await session.exec(statement)).all())


# What an administrator does to an account; everybody else is refused.
ACTS: dict[str, Callable[[Any, Actor, UUID], Awaitable[Any]]] = {
    "add": lambda s, by, _: staffing.add(s, "new@x.vn", "Mới", PASSWORD, [], [], AT, by),
    "edit": lambda s, by, who: staffing.edit(s, by, who, AT, name="Tên khác"),
    "deactivate": lambda s, by, who: staffing.deactivate(s, by, who, AT),
    "activate": lambda s, by, who: staffing.activate(s, by, who, AT),
}


@pytest.mark.parametrize("act", ACTS)
async def test_an_administrator_may_and_nobody_else(database: Database, act: str) -> None:
    who = await a_person(database, "b@x.vn", "agent")
    for actor in NOBODY:
        with pytest.raises(NotAllowed):
            async with database.transaction() as session:
                await ACTS[act](session, actor, who)
    assert (await shown(database, who)).name == "b"
    async with database.transaction() as session:
        await ACTS[act](session, ADMIN, who)


async def test_roles_and_departments_are_replaced_as_a_whole_and_what_is_not_given_stays(database: Database) -> None:
    who = await a_person(database, "a@x.vn", "agent", "head", departments=("so-xd",))
    async with database.transaction() as session:
        await staffing.edit(session, ADMIN, who, AT, roles=["officer"], departments=["so-yte", "so-xd"])
    person = await shown(database, who)
    assert (person.name, person.roles, person.departments) == ("a", ("officer",), ("so-xd", "so-yte"))
    async with database.transaction() as session:
        await staffing.edit(session, ADMIN, who, AT, name="Nguyễn Văn A", departments=[])
    person = await shown(database, who)
    assert (person.name, person.roles, person.departments) == ("Nguyễn Văn A", ("officer",), ())


@pytest.mark.parametrize(
    ("members", "where"),
    [
        ({"roles": ["king"]}, "roles"),
        ({"departments": ["so-none"]}, "departments"),
        ({"roles": ["agent"], "departments": ["so-xd", "so-none"]}, "departments"),
    ],
)
async def test_an_edit_names_what_does_not_exist(database: Database, members: dict[str, Any], where: str) -> None:
    who = await a_person(database, "a@x.vn", "agent")
    with pytest.raises(Invalid) as error:
        async with database.transaction() as session:
            await staffing.edit(session, ADMIN, who, AT, **members)
    assert error.value.errors[0]["where"] == where
    assert (await shown(database, who)).roles == ("agent",)


@pytest.mark.parametrize(
    ("email", "password", "problem"),
    [
        ("a@x.vn", PASSWORD, Conflict),  # taken
        ("A@X.VN ", PASSWORD, Conflict),  # the same
        ("a", PASSWORD, Invalid),
        ("a@b@x.vn", PASSWORD, Invalid),
        ("a@x.vn\nBcc: b@x.vn", PASSWORD, Invalid),
        ("a\x00@x.vn", PASSWORD, Invalid),
        ("b@x.vn", "short", Invalid),
    ],
)
async def test_an_account_needs_an_address_of_its_own_and_a_password(
    database: Database, email: str, password: str, problem: type[DomainError]
) -> None:
    await a_person(database, "a@x.vn")
    with pytest.raises(problem):
        await a_person(database, email, password=password)


async def test_a_closed_account_is_out_at_once_and_comes_back_by_signing_in(database: Database) -> None:
    who = await a_person(database, "a@x.vn", "agent")
    token = await signed_in(database, who)
    assert await is_in(database, token)
    async with database.transaction() as session:
        await staffing.deactivate(session, ADMIN, who, AT)
    assert not await is_in(database, token)
    late = await signed_in(database, who)  # was under way when the account was closed
    async with database.transaction() as session:
        await staffing.activate(session, ADMIN, who, AT)
    assert not await is_in(database, token)
    assert not await is_in(database, late)
    assert await is_in(database, await signed_in(database, who))


async def test_a_reset_password_is_random_works_and_ends_every_sign_in(database: Database) -> None:
    who = await a_person(database, "a@x.vn", "agent")
    token = await signed_in(database, who)
    password = staffing.one_time_password()
    assert password != staffing.one_time_password()
    assert len(password) == 14
    async with database.transaction() as session:
        await staffing.reset_password(session, await staffing.by_id(session, who), password, AT, ADMIN)
    assert not await is_in(database, token)
    async with database.transaction() as session:
        assert await auth.check_password(session, "a@x.vn", password)
        assert await auth.check_password(session, "a@x.vn", PASSWORD) is None


async def test_ones_own_password_needs_the_old_one_and_ends_the_other_sign_ins(database: Database) -> None:
    who = await a_person(database, "a@x.vn", "agent")
    here, elsewhere = await signed_in(database, who), await signed_in(database, who)
    me = Actor(kind="staff", id=who, email="a@x.vn", roles=frozenset({Role.AGENT}))
    for old, new, there in (("wrong-password", "a-new-password", True), (PASSWORD, "a-new-password", False)):
        async with database.transaction() as session:
            done = await staffing.change_own_password(session, me, old, new, AT, token=here)
        assert done is not there
        assert await is_in(database, here)
        assert await is_in(database, elsewhere) is there
    with pytest.raises(Invalid):
        async with database.transaction() as session:
            await staffing.change_own_password(session, me, "a-new-password", "short", AT, token=here)
    with pytest.raises(NotAllowed):
        async with database.transaction() as session:
            await staffing.change_own_password(session, NOBODY[2], PASSWORD, "a-new-password", AT, token=here)


# --- the last administrator --------------------------------------------------------------------------------------

LOSING = {
    "deactivate": lambda s, who: staffing.deactivate(s, ADMIN, who, AT),
    "edit": lambda s, who: staffing.edit(s, ADMIN, who, AT, roles=["agent"]),
}


@pytest.mark.parametrize("act", LOSING)
async def test_the_last_active_administrator_stays_one(database: Database, act: str) -> None:
    last = await a_person(database, "last@x.vn", "admin", "agent")
    closed = await a_person(database, "closed@x.vn", "admin")
    await a_person(database, "agent@x.vn", "agent")
    async with database.transaction() as session:
        await staffing.deactivate(session, ADMIN, closed, AT)  # an account that is closed is no administrator
    with pytest.raises(Conflict):
        async with database.transaction() as session:
            await LOSING[act](session, last)
    assert (await shown(database, last)).roles == ("admin", "agent")
    await a_person(database, "another@x.vn", "admin")
    async with database.transaction() as session:
        await LOSING[act](session, last)


async def test_the_last_administrator_may_be_renamed_and_get_other_roles_beside(database: Database) -> None:
    last = await a_person(database, "last@x.vn", "admin")
    async with database.transaction() as session:
        await staffing.edit(session, ADMIN, last, AT, name="Tên khác", roles=["admin", "head"])
    assert (await shown(database, last)).roles == ("admin", "head")


@pytest.mark.parametrize("first", LOSING)
@pytest.mark.parametrize("second", LOSING)
async def test_two_requests_at_once_leave_an_administrator(database: Database, first: str, second: str) -> None:
    for _ in range(5):
        await forget_all(database)
        ids = [await a_person(database, f"{name}@x.vn", "admin") for name in "ab"]

        async def lose(act: str, who: UUID) -> str:
            try:
                async with database.transaction() as session:
                    await LOSING[act](session, who)
            except Conflict:
                return "refused"
            return "done"

        assert sorted(await asyncio.gather(lose(first, ids[0]), lose(second, ids[1]))) == ["done", "refused"]
        left = [person for person in [await shown(database, each) for each in ids] if person.active]
        assert sum("admin" in person.roles for person in left) == 1


# --- reads and the journal ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["Ánh", "Bé Đỗ", "Chín"]),
        ({"q": "do"}, ["Bé Đỗ"]),  # without marks
        ({"q": "ĐỖ"}, ["Bé Đỗ"]),
        ({"q": "CHIN@"}, ["Chín"]),  # by e-mail
        ({"role": "head"}, ["Ánh", "Chín"]),
        ({"department": "so-xd"}, ["Ánh"]),
        ({"active": False}, ["Chín"]),
        ({"active": True, "role": "head"}, ["Ánh"]),
        ({"q": "none"}, []),
    ],
)
async def test_staff_are_listed_by_name_and_filtered(
    database: Database, asked: dict[str, Any], found: list[str]
) -> None:
    await a_person(database, "chin@x.vn", "head")
    await a_person(database, "be@x.vn", "agent")
    await a_person(database, "anh@x.vn", "head", departments=("so-xd",))
    async with database.transaction() as session:
        for email, name in (("chin@x.vn", "Chín"), ("be@x.vn", "Bé Đỗ"), ("anh@x.vn", "Ánh")):
            await staffing.edit(session, ADMIN, (await staffing.found(session, email)).id, AT, name=name)
        await staffing.deactivate(session, ADMIN, (await staffing.found(session, "chin@x.vn")).id, AT)
    async with database.transaction() as session:
        assert [person.name for person in await people.listed(session, **asked)] == found


async def test_the_journal_says_who_did_what_and_no_personal_data(database: Database) -> None:
    who = await a_person(database, "secret-address@x.vn", "agent")
    async with database.transaction() as session:
        person = await staffing.by_id(session, who)
        await staffing.edit(session, ADMIN, who, AT, name="Họ Tên Bí Mật", roles=["head"], departments=["so-xd"])
        await staffing.edit(session, ADMIN, who, AT, name="Họ Tên Bí Mật")  # changes nothing
        await staffing.reset_password(session, person, "secret-password", AT, ADMIN)
        await staffing.deactivate(session, ADMIN, who, AT)
        await staffing.activate(session, ADMIN, who, AT)
    rows = await journal(database, who)
    assert [(row.kind, row.actor_kind, row.actor_id == ADMIN.id) for row in rows] == [
        ("staff.grant", "system", False),
        ("staff.add", "system", False),
        ("staff.edit", "staff", True),
        ("staff.reset_password", "staff", True),
        ("staff.deactivate", "staff", True),
        ("staff.activate", "staff", True),
    ]
    assert rows[2].data == {
        "changed": ["name", "roles", "departments"],
        "roles": ["head"],
        "departments": ["so-xd"],
    }
    assert all(row.case_id is None for row in rows)
    assert not any(secret in str(row.data) for row in rows for secret in ("secret", "Bí Mật"))


async def test_an_account_that_does_not_exist_is_not_found(database: Database) -> None:
    for act in ("edit", "deactivate", "activate"):
        with pytest.raises(NotFound):
            async with database.transaction() as session:
                await ACTS[act](session, ADMIN, KEY)
    async with database.transaction() as session:
        assert (await session.exec(select(Staff))).all() == []
