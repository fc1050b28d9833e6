"""Departments, fields, areas, calendars and rule sets as administrators change them, and what routing makes of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import col, select

from core.db import Database
from core.errors import Conflict, DomainError, Invalid, NotAllowed, NotFound
from core.ids import uuid7
from core.journal import Journal
from core.staff import Actor, Role
from routing import models, queries
from routing.directory import Selector
from routing.editing import areas, calendars, departments, fields, reforms, rule_sets
from routing.rule_lines import line_of, lines_of
from routing.rulesets import dump, parse_rule_set
from routing.seeds import seed_rule_sets
from routing.working_time import Amount, due
from tests.conftest import run_sql

AT = datetime(2026, 3, 3, 1, 15, tzinfo=UTC)  # Tuesday, 8:15
TODAY = date(2026, 3, 3)
HANOI = ZoneInfo("Asia/Ho_Chi_Minh")
ADMIN = Actor(kind="staff", id=uuid7(AT), roles=frozenset({Role.ADMIN}))
HEAD = Actor(kind="staff", id=uuid7(AT), roles=frozenset(set(Role) - {Role.ADMIN}))
CENTRE = "trung-tam-1022"
NONE = UUID(int=0)

Act = Callable[[Any], Awaitable[Any]]


CALENDARS = ("calendars", "calendar_weeks", "calendar_days")
TABLES = ("areas", "departments", "fields", *CALENDARS, "rule_sets", "rules")
KEPT = (*TABLES, "calendar_changes", "area_names", "department_names", "department_heirs", "reforms", "journal")


@pytest.fixture(scope="module")
async def shipped(database_url: str) -> str:
    """The tables as they are shipped, kept beside them."""
    await run_sql(database_url, *(f"CREATE TABLE kept_{table} AS TABLE {table}" for table in TABLES))
    return database_url


@pytest.fixture(autouse=True)
async def as_shipped(shipped: str) -> AsyncIterator[None]:
    """Every test finds the tables as they are shipped, and no journal."""
    yield
    await run_sql(
        shipped,
        *(f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in KEPT),
        *(f"DELETE FROM {table}" for table in reversed(KEPT)),
        *(f"INSERT INTO {table} TABLE kept_{table}" for table in TABLES),
        *(f"ALTER TABLE {table} ENABLE TRIGGER USER" for table in KEPT),
    )


async def does(database: Database, act: Act) -> Any:
    """One act in a transaction of its own."""
    async with database.transaction() as session:
        return await act(session)


async def refused(database: Database, act: Act, problem: type[DomainError], where: str | None = None) -> DomainError:
    """What an act that must not succeed is answered with."""
    with pytest.raises(problem) as error:
        await does(database, act)
    assert error.value.vi
    assert error.value.en
    if where is not None:
        assert [each["where"] for each in error.value.errors] == [where]
    return error.value


async def routing_now(database: Database) -> queries.Routing:
    async with database.transaction() as session:
        return await queries.load(session)


async def journal(database: Database, subject: str) -> list[tuple[str, dict[str, Any]]]:
    async with database.transaction() as session:
        rows = (await session.exec(select(Journal).where(Journal.subject == subject).order_by(col(Journal.id)))).all()
    assert all(row.case_id is None and row.actor_id == ADMIN.id for row in rows)
    return [(row.kind, row.data) for row in rows]


# --- who may -----------------------------------------------------------------------------------------------------

REFORM = """reform: {code: chia, name: Chia sở, effective_on: 2026-05-01}
areas:
  new: [{code: dn-c-xa-moi, name: Xã Mới, type: xã, parent: dn}]
departments:
  new:
    - {code: so-duong, name: Sở Đường, kind: so_xd, email: duong@x.vn}
    - {code: so-nha, name: Sở Nhà, kind: so_xd}
  renamed: {so-yte: Sở Y tế và Dân số}
  ended:
    so-xd: {to: so-nha, heirs: [{to: so-duong, fields: [infra.*], areas: dn-c-dong-xoai}]}
"""
EDITS: dict[str, Callable[[Any, Actor], Awaitable[Any]]] = {
    "departments.add": lambda s, by: departments.add(
        s, by, AT, code="so-moi", name="Sở Mới", kind="so_xd", valid_from=TODAY
    ),
    "departments.edit": lambda s, by: departments.edit(s, by, AT, "so-xd", {"name": "Sở Xây"}),
    "departments.abolish": lambda s, by: departments.abolish(
        s, by, AT, "so-yte", valid_to=date(2026, 4, 1), successor="so-xd"
    ),
    "departments.restore": lambda s, by: departments.restore(s, by, AT, "so-gtvt"),
    "reforms.store": lambda s, by: reforms.store(s, by, AT, REFORM),
    "reforms.move_people": lambda s, by: reforms.move_people(s, by, AT),
    "fields.add": lambda s, by: fields.add(s, by, AT, code="infra.bridge", name="Cầu", valid_from=TODAY),
    "fields.edit": lambda s, by: fields.edit(s, by, AT, "infra.road", {"urgency": "urgent"}),
    "fields.close": lambda s, by: fields.close(s, by, AT, "infra.road", valid_to=date(2026, 4, 1)),
    "fields.reopen": lambda s, by: fields.reopen(s, by, AT, "infra.road"),
    "areas.add": lambda s, by: areas.add(
        s, by, AT, code="dn-c-moi", name="Mới", type="xã", parent="dn", valid_from=TODAY
    ),
    "areas.edit": lambda s, by: areas.edit(s, by, AT, "dn-c-dong-xoai", {"name": "Đồng Xoài Mới"}),
    "areas.end": lambda s, by: areas.end(s, by, AT, "dn-c-dong-xoai", valid_to=date(2026, 4, 1), successors=[]),
    "calendars.create": lambda s, by: calendars.create(s, by, AT, "so-yte"),
    "calendars.edit_week": lambda s, by: calendars.edit_week(s, by, AT, "province", [["07:00-11:00"]] * 7),
    "calendars.put_day": lambda s, by: calendars.put_day(s, by, AT, "province", date(2026, 3, 4)),
    "calendars.remove_day": lambda s, by: calendars.remove_day(s, by, AT, "province", date(2026, 4, 30)),
    "calendars.fill_year": lambda s, by: calendars.fill_year(s, by, AT, "province", 2030),
    "rule_sets.store": lambda s, by: rule_sets.store(s, by, AT, a_set("may")),
}


@pytest.mark.parametrize("edit", EDITS)
async def test_administrators_may_edit_and_nobody_else(database: Database, edit: str) -> None:
    await refused(database, lambda s: EDITS[edit](s, HEAD), NotAllowed)
    await does(database, lambda s: EDITS[edit](s, ADMIN))


# --- departments -------------------------------------------------------------------------------------------------


async def test_a_department_is_added_edited_and_read(database: Database) -> None:
    members: dict[str, Any] = {
        "code": "so-moi",
        "name": "Sở Mới",
        "kind": "so_xd",
        "valid_from": TODAY,
        "email": "moi@x.vn",
    }
    made = await does(database, lambda s: departments.add(s, ADMIN, AT, parent="so-xd", **members))
    assert (made.department.living, made.department.heir, made.department.parent_name) == (
        True,
        "so-moi",
        "Sở Xây dựng",
    )
    changed: dict[str, Any] = {"area": "bp-d-dong-xoai", "email": None, "parent": None}
    after = (await does(database, lambda s: departments.edit(s, ADMIN, AT, "so-moi", changed))).department
    assert (after.area_name, after.email, after.parent, after.name) == ("thành phố Đồng Xoài", None, None, "Sở Mới")
    await does(database, lambda s: departments.edit(s, ADMIN, AT, "so-moi", changed))  # nothing more to change
    assert await journal(database, "so-moi") == [
        ("department.add", {"kind": "so_xd", "valid_from": "2026-03-03"}),
        ("department.edit", {"changed": ["area", "email", "parent"]}),
    ]


@pytest.mark.parametrize(
    ("members", "problem", "where"),
    [
        ({"code": "so-xd"}, Conflict, None),  # taken
        ({"code": "Sở"}, Invalid, "code"),
        ({"code": "so_moi"}, Invalid, "code"),
        ({"code": "so--moi"}, Invalid, "code"),
        ({"code": "x" * 61}, Invalid, "code"),
        ({"code": "centre"}, Invalid, "code"),  # a selector
        ({"code": "province"}, Invalid, "code"),  # the province's calendar
        ({"name": "  "}, Invalid, "name"),
        ({"kind": "so_la"}, Invalid, "kind"),
        ({"kind": "centre"}, Conflict, None),  # there is one
        ({"area": "bp-x"}, Invalid, "area"),
        ({"parent": "so-none"}, Invalid, "parent"),
        ({"email": "moi@x.vn, b@x.vn"}, Invalid, "email"),
        ({"email": "moi@x.vn\r\nBcc: b@x.vn"}, Invalid, "email"),
    ],
)
async def test_a_department_that_cannot_be_is_refused_in_words(
    database: Database, members: dict[str, Any], problem: type[DomainError], where: str | None
) -> None:
    given: dict[str, Any] = {"code": "so-moi", "name": "Sở Mới", "kind": "so_xd", "valid_from": TODAY, **members}
    await refused(database, lambda s: departments.add(s, ADMIN, AT, **given), problem, where)
    assert "so-moi" not in (await routing_now(database)).departments


async def test_a_department_never_stands_below_itself(database: Database) -> None:
    await does(database, lambda s: departments.edit(s, ADMIN, AT, "so-xd", {"parent": "so-yte"}))
    await refused(database, lambda s: departments.edit(s, ADMIN, AT, "so-yte", {"parent": "so-xd"}), Invalid, "parent")
    await refused(database, lambda s: departments.edit(s, ADMIN, AT, "so-xd", {"parent": "so-xd"}), Invalid, "parent")


async def test_what_rules_give_to_an_abolished_department_goes_to_its_living_heir(database: Database) -> None:
    day = date(2026, 4, 1)
    done = await does(database, lambda s: departments.abolish(s, ADMIN, AT, "so-yte", valid_to=day, successor="so-xd"))
    assert done.findings == ()  # the rules still find somebody
    directory = (await routing_now(database)).directory
    health = Selector("code", "so-yte")
    assert [directory.resolve(health, None, None, each) for each in (day - timedelta(1), day)] == ["so-yte", "so-xd"]
    # the heir ends too, and the chain is followed
    await does(database, lambda s: departments.abolish(s, ADMIN, AT, "so-xd", valid_to=day, successor="so-congthuong"))
    directory = (await routing_now(database)).directory
    assert directory.resolve(health, None, None, day) == "so-congthuong"
    assert await journal(database, "so-yte") == [
        ("department.abolish", {"valid_to": "2026-04-01", "successor": "so-xd"})
    ]


async def test_an_abolition_without_heir_tells_which_rules_find_nobody(database: Database) -> None:
    done = await does(
        database, lambda s: departments.abolish(s, ADMIN, AT, "so-yte", valid_to=date(2026, 4, 1), successor=None)
    )
    assert {(each.code, each.rule_set) for each in done.findings} == {("dead_department", "example-2025 v1")}
    assert all("so-yte" in each.detail for each in done.findings)
    back = await does(database, lambda s: departments.restore(s, ADMIN, AT, "so-yte"))
    assert back.department.valid_to is None
    assert back.findings == ()


@pytest.mark.parametrize(
    ("code", "valid_to", "successor", "problem"),
    [
        ("so-none", date(2026, 4, 1), None, NotFound),
        ("so-yte", date(1997, 1, 1), None, Invalid),  # on the day it began
        ("so-yte", date(2026, 4, 1), "so-none", Invalid),
        ("so-yte", date(2026, 4, 1), "so-yte", Conflict),
        ("so-yte", date(2026, 4, 1), "so-gtvt", Conflict),  # abolished in 2025
        ("so-xd", date(2026, 4, 1), "so-gtvt", Conflict),  # whose heir is so-xd: a circle
        (CENTRE, date(2026, 4, 1), None, Conflict),  # the centre would be gone
        (CENTRE, date(2020, 1, 1), None, Conflict),
    ],
)
async def test_an_abolition_that_leads_nowhere_is_refused(
    database: Database, code: str, valid_to: date, successor: str | None, problem: type[DomainError]
) -> None:
    await refused(
        database, lambda s: departments.abolish(s, ADMIN, AT, code, valid_to=valid_to, successor=successor), problem
    )
    assert await journal(database, code) == []


async def test_the_centre_may_have_an_heir_but_that_one_must_stay(database: Database) -> None:
    day = date(2026, 4, 1)
    await does(database, lambda s: departments.abolish(s, ADMIN, AT, CENTRE, valid_to=day, successor="so-khcn"))
    routing = await routing_now(database)
    assert routing.directory.resolve(Selector("kind", "centre"), None, None, day) == "so-khcn"
    await refused(
        database, lambda s: departments.abolish(s, ADMIN, AT, "so-khcn", valid_to=day, successor=None), Conflict
    )
    await refused(database, lambda s: departments.edit(s, ADMIN, AT, CENTRE, {"kind": "so_xd"}), Conflict)
    await refused(database, lambda s: departments.edit(s, ADMIN, AT, CENTRE, {"area": "bp-d-dong-xoai"}), Conflict)


async def test_two_abolitions_at_once_make_no_circle_of_heirs(database: Database) -> None:
    async def abolish(code: str, successor: str) -> str:
        try:
            await does(
                database,
                lambda s: departments.abolish(s, ADMIN, AT, code, valid_to=date(2026, 4, 1), successor=successor),
            )
        except Conflict:
            return "refused"
        return "done"

    assert sorted(await asyncio.gather(abolish("so-yte", "so-xd"), abolish("so-xd", "so-yte"))) == ["done", "refused"]


@pytest.mark.parametrize(
    ("asked", "there", "absent"),
    [
        ({"q": "xay dung"}, "so-xd", "so-yte"),
        ({"q": "SO-XD"}, "so-xd", "so-yte"),
        ({"kind": "centre"}, CENTRE, "so-xd"),
        ({"living": True}, "so-xd", "so-gtvt"),
        ({"living": False}, "so-gtvt", "so-xd"),
    ],
)
async def test_departments_are_listed(database: Database, asked: dict[str, Any], there: str, absent: str) -> None:
    rows = {row.code: row for row in await does(database, lambda s: departments.listed(s, TODAY, **asked))}
    assert there in rows
    assert absent not in rows
    if there == "so-gtvt":
        assert rows[there].heir == "so-xd"


# --- fields ------------------------------------------------------------------------------------------------------


async def test_a_new_field_can_be_chosen_and_is_told_to_have_no_rule(database: Database) -> None:
    assert (
        await does(database, lambda s: fields.add(s, ADMIN, AT, code="sea", name="Biển", valid_from=TODAY))
    ).findings == ()
    new: dict[str, Any] = {
        "code": "sea.oil",
        "name": "Tràn dầu",
        "urgency": "urgent",
        "track": "ordinary",
        "valid_from": TODAY,
    }
    done = await does(database, lambda s: fields.add(s, ADMIN, AT, **new))
    assert [(each.code, each.rule_set) for each in done.findings] == [("no_rule", "example-2025 v1")]
    assert done.field.track is None
    # a group that rules name as a whole covers its new fields
    assert (
        await does(database, lambda s: fields.add(s, ADMIN, AT, code="edu.sport", name="x", valid_from=TODAY))
    ).findings == ()
    assert (await routing_now(database)).fields["sea.oil"].urgency == "urgent"
    groups = {group.group.code: group for group in await does(database, lambda s: fields.listed(s, TODAY))}
    assert [row.code for row in groups["sea"].fields] == ["sea.oil"]


@pytest.mark.parametrize(
    ("members", "problem", "where"),
    [
        ({"code": "infra.road"}, Conflict, None),
        ({"code": "Infra.bridge"}, Invalid, "code"),
        ({"code": "infra.bridge.steel"}, Invalid, "code"),
        ({"code": "sea.oil"}, Invalid, "code"),  # no such group
        ({"code": "infra.bridge", "valid_from": date(1990, 1, 1)}, Invalid, "code"),  # before its group
        ({"name": ""}, Invalid, "name"),
        ({"urgency": "soon"}, Invalid, "urgency"),
        ({"track": "secret"}, Invalid, "track"),
        ({"code": "sea", "urgency": "urgent"}, Invalid, "code"),  # groups have none
    ],
)
async def test_a_field_that_cannot_be_is_refused_in_words(
    database: Database, members: dict[str, Any], problem: type[DomainError], where: str | None
) -> None:
    given: dict[str, Any] = {"code": "infra.bridge", "name": "Cầu", "valid_from": TODAY, **members}
    await refused(database, lambda s: fields.add(s, ADMIN, AT, **given), problem, where)


@pytest.mark.parametrize(
    ("code", "members", "where"),
    [
        ("infra.road", {"urgency": None}, "urgency"),
        ("infra.road", {"public": None}, "public"),
        ("infra.road", {"name": None}, "name"),
        ("infra", {"track": "crime_tip"}, "code"),
    ],
)
async def test_an_edit_of_a_field_names_what_is_wrong(
    database: Database, code: str, members: dict[str, Any], where: str
) -> None:
    await refused(database, lambda s: fields.edit(s, ADMIN, AT, code, members), Invalid, where)


async def test_a_closed_field_stays_readable_and_the_rules_that_name_it_are_told(database: Database) -> None:
    day = date(2026, 4, 1)
    done = await does(database, lambda s: fields.close(s, ADMIN, AT, "infra.road", valid_to=day))
    assert {each.code for each in done.findings} == {"closed_field"}
    assert done.field.open  # until the day
    routing = await routing_now(database)
    assert routing.field_rows["infra.road"].valid_to == day
    assert (await does(database, lambda s: fields.one(s, "infra.road", day))).open is False
    assert "infra.road" not in {
        row.code
        for group in await does(database, lambda s: fields.listed(s, day, closed=False))
        for row in group.fields
    }
    assert (await does(database, lambda s: fields.reopen(s, ADMIN, AT, "infra.road"))).field.valid_to is None
    assert [kind for kind, _ in await journal(database, "infra.road")][-2:] == ["field.close", "field.reopen"]


async def test_a_group_is_closed_after_its_fields(database: Database) -> None:
    day = date(2026, 4, 1)
    await does(database, lambda s: fields.add(s, ADMIN, AT, code="sea", name="Biển", valid_from=TODAY))
    await does(database, lambda s: fields.add(s, ADMIN, AT, code="sea.oil", name="Tràn dầu", valid_from=TODAY))
    await refused(database, lambda s: fields.close(s, ADMIN, AT, "sea", valid_to=day), Conflict)
    await does(database, lambda s: fields.close(s, ADMIN, AT, "sea.oil", valid_to=day))
    await does(database, lambda s: fields.close(s, ADMIN, AT, "sea", valid_to=day))
    await refused(database, lambda s: fields.reopen(s, ADMIN, AT, "sea.oil"), Conflict)
    await refused(
        database, lambda s: fields.add(s, ADMIN, AT, code="sea.tar", name="x", valid_from=day), Invalid, "code"
    )


# --- areas -------------------------------------------------------------------------------------------------------


async def test_an_area_is_added_edited_and_ended_and_old_names_lead_to_the_new(database: Database) -> None:
    new: dict[str, Any] = {
        "code": "dn-c-moi",
        "name": "Tân Mới",
        "type": "phường",
        "parent": "dn",
        "valid_from": date(2026, 4, 1),
    }
    made = await does(database, lambda s: areas.add(s, ADMIN, AT, **new))
    assert made.area.valid is False  # it begins in April
    assert {each.code for each in made.findings} <= {"dead_department"}  # no people's committee there yet
    await does(
        database, lambda s: areas.edit(s, ADMIN, AT, "dn-c-moi", {"lat": 11.5, "lng": 106.9, "official_code": "1"})
    )
    await does(
        database,
        lambda s: areas.end(s, ADMIN, AT, "dn-c-dong-xoai", valid_to=date(2026, 4, 1), successors=["dn-c-moi"] * 2),
    )
    routing = await routing_now(database)
    assert routing.directory.unit("dn-c-dong-xoai", date(2026, 4, 1)) == "dn-c-moi"
    assert routing.places.search("tan moi", date(2026, 4, 2), 5)[0].code == "dn-c-moi"
    assert await journal(database, "dn-c-dong-xoai") == [
        ("area.end", {"valid_to": "2026-04-01", "successors": ["dn-c-moi"]}),
    ]


@pytest.mark.parametrize(
    ("members", "problem", "where"),
    [
        ({"code": "dn"}, Conflict, None),
        ({"code": "DN-c"}, Invalid, "code"),
        ({"name": "!!!"}, Invalid, "name"),  # the index over names needs a word
        ({"name": "\u0301"}, Invalid, "name"),
        ({"type": "bang"}, Invalid, "type"),
        ({"parent": "dn-x"}, Invalid, "parent"),
        ({"parent": "bp"}, Invalid, "parent"),  # gone since 2025
        ({"lat": 11.0}, Invalid, "lat"),
        ({"lat": 11.0, "lng": 181.0}, Invalid, "lat"),
        ({"lat": float("nan"), "lng": 1.0}, Invalid, "lat"),
    ],
)
async def test_an_area_that_cannot_be_is_refused_in_words(
    database: Database, members: dict[str, Any], problem: type[DomainError], where: str | None
) -> None:
    given: dict[str, Any] = {
        "code": "dn-c-moi",
        "name": "Mới",
        "type": "xã",
        "parent": "dn",
        "valid_from": TODAY,
        **members,
    }
    await refused(database, lambda s: areas.add(s, ADMIN, AT, **given), problem, where)
    await routing_now(database)


@pytest.mark.parametrize(
    ("code", "valid_to", "successors", "problem"),
    [
        ("dn-c-dong-xoai", date(2025, 7, 1), [], Invalid),  # the day it began
        ("dn-c-dong-xoai", date(2026, 4, 1), ["dn-c-x"], Invalid),
        ("dn-c-dong-xoai", date(2026, 4, 1), ["bp"], Conflict),  # gone
        ("dn-c-dong-xoai", date(2026, 4, 1), ["dn-c-dong-xoai"], Conflict),  # itself
        ("dn", date(2026, 4, 1), [], Conflict),  # with all that lies in it
        ("dn-c-x", date(2026, 4, 1), [], NotFound),
    ],
)
async def test_an_end_that_leads_nowhere_is_refused(
    database: Database, code: str, valid_to: date, successors: list[str], problem: type[DomainError]
) -> None:
    await refused(database, lambda s: areas.end(s, ADMIN, AT, code, valid_to=valid_to, successors=successors), problem)


@pytest.mark.parametrize(
    ("asked", "there", "absent"),
    [
        ({"q": "dong xoai"}, "bp-d-dong-xoai", "dn"),
        ({"q": "689"}, "bp-d-dong-xoai", "dn"),
        ({"type": "thành phố"}, "bp-d-dong-xoai", "dn-c-dong-xoai"),
        ({"parent": "dn"}, "dn-c-dong-xoai", "bp-d-dong-xoai"),
        ({"valid": True}, "dn-c-dong-xoai", "bp-d-dong-xoai"),
        ({"valid": False}, "bp-d-dong-xoai", "dn-c-dong-xoai"),
    ],
)
async def test_areas_are_listed_old_and_new(database: Database, asked: dict[str, Any], there: str, absent: str) -> None:
    codes = {row.code for row in await does(database, lambda s: areas.listed(s, TODAY, **asked))}
    assert there in codes
    assert absent not in codes


# --- calendars ---------------------------------------------------------------------------------------------------

EIGHT_HOURS = Amount.parse("8h/working")


async def test_a_limit_opened_after_a_change_is_counted_by_it(database: Database) -> None:
    # Tuesday 8:15 + 8 h of 7:00-11:30 and 13:30-17:00 is Wednesday 8:15
    async def promised() -> datetime:
        routing = await routing_now(database)
        return due(AT, EIGHT_HOURS, routing.calendar_of("so-xd", routing.at(AT).book)).astimezone(HANOI)

    assert await promised() == datetime(2026, 3, 4, 8, 15, tzinfo=HANOI)
    await does(database, lambda s: calendars.put_day(s, ADMIN, AT, "province", date(2026, 3, 4), label="Bão"))
    assert await promised() == datetime(2026, 3, 5, 8, 15, tzinfo=HANOI)
    await does(database, lambda s: calendars.remove_day(s, ADMIN, AT, "province", date(2026, 3, 4)))
    # hours of its own: seven to three without a break
    await does(database, lambda s: calendars.create(s, ADMIN, AT, "so-xd"))
    await does(database, lambda s: calendars.edit_week(s, ADMIN, AT, "so-xd", [["07:00-15:00"]] * 5 + [[], []]))
    assert await promised() == datetime(2026, 3, 4, 8, 15, tzinfo=HANOI)
    await does(database, lambda s: calendars.edit_week(s, ADMIN, AT, "so-xd", [["07:00-17:15"]] * 7))
    assert await promised() == datetime(2026, 3, 3, 16, 15, tzinfo=HANOI)


async def test_a_week_holds_from_its_day_on_and_leaves_the_days_before_theirs(database: Database) -> None:
    summer = [["06:30-11:00"]] * 5 + [[], []]
    june, day = date(2026, 6, 1), date(2026, 6, 2)
    await does(database, lambda s: calendars.edit_week(s, ADMIN, AT, "province", summer, june))
    held = (await routing_now(database)).calendars["province"]
    assert [str(span) for span in held.windows(date(2026, 5, 29))] == ["07:00-11:30", "13:30-17:00"]  # Friday before
    assert [str(span) for span in held.windows(june)] == ["06:30-11:00"]
    # Fri 29 May 16:00: 1 h, Mon 4.5 h, Tue 2.5 h
    start = datetime(2026, 5, 29, 16, tzinfo=HANOI)
    assert due(start, EIGHT_HOURS, held) == datetime(2026, 6, 2, 9, tzinfo=HANOI)
    await does(database, lambda s: calendars.create(s, ADMIN, AT, "so-yte"))  # begins with all the province's weeks
    assert (await routing_now(database)).calendars["so-yte"].windows(june) == held.windows(june)
    await does(database, lambda s: calendars.edit_week(s, ADMIN, AT, "province", [["07:00-17:00"]] * 7, day))
    held = (await routing_now(database)).calendars["province"]
    assert [[str(span) for span in held.windows(each)] for each in (june, day)] == [["06:30-11:00"], ["07:00-17:00"]]
    changes = await does(
        database, lambda s: s.exec(select(models.CalendarChange).order_by(col(models.CalendarChange.id)))
    )
    told = [(each.calendar, each.what, each.since, each.now[0]) for each in changes.all()]
    assert told == [("province", "week", june, ["06:30-11:00"]), ("province", "week", day, ["07:00-17:00"])]
    await does(
        database, lambda s: calendars.edit_week(s, ADMIN, AT, "province", [["07:00-17:00"]] * 7, day)
    )  # the same
    assert len([kind for kind, _ in await journal(database, "province")]) == 2


async def test_a_year_shows_every_day_and_why_it_is_as_it_is(database: Database) -> None:
    windows = ["13:30-17:00", "7:00-11:30"]
    async with database.transaction() as session:
        for day, given in ((date(2026, 3, 7), windows), (date(2026, 3, 4), ["07:00-11:30"])):
            await calendars.put_day(session, ADMIN, AT, "province", day, windows=given, label="Làm bù", source="CV 1")
    year = await does(database, lambda s: calendars.calendar_year(s, "province", 2026))
    days = {day.day: day for month in year.months for day in month.days}
    assert len(days) == 365
    assert [len(month.days) for month in year.months][:2] == [31, 28]
    shown = {day: (days[day].kind, days[day].exception, len(days[day].windows)) for day in days}
    assert shown[date(2026, 3, 3)] == ("working", False, 2)
    assert shown[date(2026, 3, 4)] == ("working", True, 1)  # a short day
    assert shown[date(2026, 3, 8)] == ("weekend", False, 0)
    assert shown[date(2026, 3, 7)] == ("make_up", True, 2)
    assert shown[date(2026, 4, 30)] == ("off", True, 0)
    assert shown[date(2026, 1, 2)] == ("off", True, 0)  # put right by the shipped corrections
    assert days[date(2026, 3, 7)].windows == ("07:00-11:30", "13:30-17:00")
    assert (days[date(2026, 3, 7)].label, days[date(2026, 3, 7)].source) == ("Làm bù", "CV 1")
    assert year.working_days == sum(bool(day.windows) for day in days.values())
    with pytest.raises(NotFound):
        await does(database, lambda s: calendars.calendar_year(s, "so-yte", 2026))


async def test_a_calendar_of_ones_own_begins_as_the_provinces_and_goes_its_own_way(database: Database) -> None:
    head = await does(database, lambda s: calendars.create(s, ADMIN, AT, "so-yte"))
    province = (await does(database, calendars.listed))[0]
    assert (province.code, head.name) == ("province", "Sở Y tế")
    assert (head.week, head.exceptions) == (province.week, province.exceptions)
    await refused(database, lambda s: calendars.create(s, ADMIN, AT, "so-yte"), Conflict)
    await refused(database, lambda s: calendars.create(s, ADMIN, AT, "so-none"), Invalid, "department")
    day = date(2026, 5, 19)
    await does(database, lambda s: calendars.put_day(s, ADMIN, AT, "province", day, label="Một nơi"))
    assert (await does(database, lambda s: calendars.day_view(s, "so-yte", day))).kind == "working"
    await does(database, lambda s: calendars.put_day(s, ADMIN, AT, "province", day, label="Mọi nơi", everywhere=True))
    assert (await does(database, lambda s: calendars.day_view(s, "so-yte", day))).label == "Mọi nơi"
    assert [kind for kind, _ in await journal(database, "so-yte")][-2:] == ["calendar.add", "calendar.put_day"]
    row = next(row for row in await does(database, lambda s: departments.listed(s, TODAY)) if row.code == "so-yte")
    assert row.own_calendar


@pytest.mark.parametrize(
    "week",
    [
        [],
        [["07:00-11:30"]] * 6,
        [[]] * 7,  # nobody ever works
        [["11:30-07:00"]] + [[]] * 6,
        [["07:00-25:00"]] + [[]] * 6,
        [["07:00-11:30", "11:00-12:00"]] + [[]] * 6,
        [["x"]] + [[]] * 6,
        [[f"{n:02}:00-{n:02}:30" for n in range(13)]] + [[]] * 6,
    ],
)
async def test_a_week_that_cannot_be_is_refused(database: Database, week: list[list[str]]) -> None:
    await refused(database, lambda s: calendars.edit_week(s, ADMIN, AT, "province", week), Invalid)


async def test_a_years_holidays_are_added_where_nobody_said_otherwise(database: Database) -> None:
    new_year = date(2031, 1, 1)
    await does(database, lambda s: calendars.put_day(s, ADMIN, AT, "province", new_year, windows=["07:00-08:00"]))
    added = await does(database, lambda s: calendars.fill_year(s, ADMIN, AT, "province", 2031))
    assert added >= 8
    view = await does(database, lambda s: calendars.day_view(s, "province", new_year))
    assert view.windows == ("07:00-08:00",)
    assert (await does(database, lambda s: calendars.day_view(s, "province", date(2031, 4, 30)))).kind == "off"
    assert await does(database, lambda s: calendars.fill_year(s, ADMIN, AT, "province", 2031)) == 0
    await refused(database, lambda s: calendars.fill_year(s, ADMIN, AT, "province", 2150), Invalid, "year")


# --- rule sets ---------------------------------------------------------------------------------------------------


def a_set(code: str, version: int = 1, since: str = "2026-04-01", until: str = "null", more: str = "") -> str:
    """The newest shipped set as YAML under another name and dates."""
    document = dump(seed_rule_sets()[1]).split("calendar:", 1)[1]
    head = f"ruleset: {{code: {code}, version: {version}, valid_from: {since}, valid_to: {until}, note: x}}"
    return f"{head}\n{more}calendar:{document}"


async def kept(database: Database, text_: str) -> rule_sets.RuleSetChange:
    change: rule_sets.RuleSetChange = await does(database, lambda s: rule_sets.store(s, ADMIN, AT, text_))
    return change


async def test_a_set_is_read_as_tables_and_as_the_yaml_it_came_from(database: Database) -> None:
    made = await kept(database, a_set("tables"))
    assert {each.severity for each in made.findings} == {"warning"}
    view = await does(database, lambda s: rule_sets.one(s, made.rule_set.id, AT))
    shipped = seed_rule_sets()[1]
    assert {line.code for line in view.leads} == {rule.code for rule in shipped.leads}
    assert [line.rank for line in view.leads] == sorted(line.rank for line in view.leads)
    assert view.leads[-1].lead_name == "Trung tâm 1022"
    assert sum(len(stage.limits) for stage in view.limits) == len(shipped.limits)
    assert [stage.stage for stage in view.limits][:2] == ["forward", "accept"]
    settings = {setting.name: setting.values for setting in view.settings}
    assert settings["remind"] == ("50%", "80%", "100%")
    assert settings["extend.reason_required"] == ("true",)
    written = parse_rule_set(await does(database, lambda s: rule_sets.yaml_of(s, made.rule_set.id)))
    assert {rule.code: rule for rule in written.limits} == {rule.code: rule for rule in shipped.limits}
    assert written.code == "tables"


@pytest.mark.parametrize(
    ("text_", "where", "line"),
    [
        ("{", "document", 1),
        ("ruleset:\n  code: x\n\t- y", "document", 3),
        ("ruleset: {code: x, valid_from: tomorrow}", "ruleset.valid_from", 1),
        ("ruleset: {code: x, valid_from: 2026-04-01}\nleads:\n- {code: a, lead: [1]}", "leads[a].lead", 3),
        ("ruleset: {code: x, valid_from: 2026-04-01}\nlimits:\n- {code: a, stage: s}", "limits[a].amount", 3),
        ("ruleset: {code: x, valid_from: 2026-04-01}\nlead: []", "document", None),
        ("ruleset: {code: x, valid_from: 1026-04-01}", "ruleset.valid_from", 1),
        ("ruleset: {code: x, valid_from: 2026-04-01, version: 9999999999}", "ruleset.version", 1),
        ("ruleset: {code: a b, valid_from: 2026-04-01}", "ruleset.code", 1),
        ("ruleset: {code: x, valid_from: 2026-04-01, valid_to: 2026-04-01}", "ruleset.valid_to", 1),
        ('ruleset: {code: x, valid_from: 2026-04-01, note: "a\\0b"}', "document", None),
        ('ruleset: {code: x, valid_from: 2026-04-01, note: "\\uD800"}', "document", None),
        ("ruleset: {code: x, valid_from: 2026-04-01}\nextend: {max_ratio: .nan}", "document", None),
        ("ruleset: {code: x, valid_from: 2026-04-01}\ncalendar: {week: !!set {a}}", "document", None),
        ("ruleset: {code: x, valid_from: !!bool x}", "document", None),
        ("a: &a [1]\nb: *a", "document", None),
        (
            "ruleset: {code: x, valid_from: 2026-04-01}\nleads:\n- {code: a, lead: centre}\n- {code: a, lead: centre}",
            "a",
            4,
        ),
    ],
)
async def test_what_cannot_be_read_is_named_with_its_line(
    database: Database, text_: str, where: str, line: int | None
) -> None:
    error = await refused(database, lambda s: rule_sets.store(s, ADMIN, AT, text_), Invalid)
    assert (where, line) in {(each["where"], each["line"]) for each in error.errors}
    assert all(each["detail"] for each in error.errors)


async def test_a_faulty_draft_is_kept_told_line_by_line_and_cannot_be_put_in_force(database: Database) -> None:
    text_ = "ruleset: {code: faulty, valid_from: 2026-04-01}\nleads:\n- {code: a, lead: so-none}\n"
    made = await kept(database, text_)
    found = {(each.code, each.where, each.line) for each in made.findings if each.severity == "error"}
    assert ("unknown_department", "a", 3) in found
    assert {code for code, _, _ in found} >= {"no_catch_all", "bad_calendar", "missing_limit"}
    error = await refused(database, lambda s: rule_sets.activate(s, ADMIN, AT, made.rule_set.id), Conflict)
    assert {each["where"] for each in error.errors} == {where for _, where, _ in found}


async def test_a_draft_is_rewritten_and_deleted(database: Database) -> None:
    made = await kept(database, a_set("draft"))
    await refused(database, lambda s: rule_sets.store(s, ADMIN, AT, a_set("draft")), Conflict)
    await kept(database, a_set("draft", 2))
    await refused(database, lambda s: rule_sets.rewrite(s, ADMIN, AT, made.rule_set.id, a_set("draft", 2)), Conflict)
    again = await does(
        database, lambda s: rule_sets.rewrite(s, ADMIN, AT, made.rule_set.id, a_set("draft", 3, "2026-05-01"))
    )
    assert (again.rule_set.id, again.rule_set.version) == (made.rule_set.id, 3)
    await does(database, lambda s: rule_sets.delete(s, ADMIN, AT, made.rule_set.id))
    await refused(database, lambda s: rule_sets.delete(s, ADMIN, AT, made.rule_set.id), NotFound)
    assert [kind for kind, _ in await journal(database, str(made.rule_set.id))] == [
        "rule_set.store",
        "rule_set.rewrite",
        "rule_set.delete",
    ]


@pytest.mark.parametrize(
    ("since", "until", "code"),
    [
        ("2026-03-02", "null", "past_validity"),  # yesterday, while another set holds
        ("2025-03-01", "null", "past_validity"),  # the very day the set in force began
        ("2026-03-03", "2026-04-01", None),  # today; what comes after it is only a warning
    ],
)
async def test_a_draft_is_told_what_stands_against_its_dates(
    database: Database, since: str, until: str, code: str | None
) -> None:
    made = await kept(database, a_set("dates", 1, since, until))
    errors = {each.code for each in made.findings if each.severity == "error"}
    assert (code in errors) if code else not errors
    if until != "null":
        assert "validity_gap" in {each.code for each in made.findings if each.severity == "warning"}
    if code:
        await refused(database, lambda s: rule_sets.activate(s, ADMIN, AT, made.rule_set.id), Conflict)


async def test_every_tag_of_the_yaml_gives_a_line() -> None:
    lines = lines_of(a_set("x"))
    assert lines["ruleset.code"] == lines["ruleset"] == 1
    assert line_of("calendar.week.sunday", lines) == lines["calendar.week"]
    code = seed_rule_sets()[1].limits[3].code
    assert lines[code] == lines[f"limits[{code}]"] == lines["limits[3]"]
    assert line_of(f"{code}, other", lines) == lines[code]
    assert line_of("departments", lines) is None
    assert lines_of("{") == {}


async def test_activation_ends_the_set_before_and_holds_for_cases_from_then_on(database: Database) -> None:
    made = await kept(database, a_set("next"))
    at_april = datetime(2026, 3, 31, 17, tzinfo=UTC)
    await refused(database, lambda s: rule_sets.activate(s, HEAD, AT, made.rule_set.id), NotAllowed)
    await refused(database, lambda s: rule_sets.activate(s, ADMIN, AT, NONE), NotFound)
    done = await does(database, lambda s: rule_sets.activate(s, ADMIN, AT, made.rule_set.id))
    assert (done.rule_set.state, done.rule_set.in_force) == ("active", False)
    routing = await routing_now(database)
    assert routing.at(at_april - timedelta(seconds=1)).book.code == "example-2025"
    assert routing.at(at_april).book.code == "next"
    heads = {head.code: head for head in await does(database, lambda s: rule_sets.listed(s, at_april))}
    assert (heads["next"].in_force, heads["example-2025"].in_force) == (True, False)
    assert heads["example-2025"].valid_to == at_april
    # what holds never changes again, and nothing else can hold within its dates
    for act in (
        lambda s: rule_sets.activate(s, ADMIN, AT, made.rule_set.id),
        lambda s: rule_sets.rewrite(s, ADMIN, AT, made.rule_set.id, a_set("next", 2)),
        lambda s: rule_sets.delete(s, ADMIN, AT, made.rule_set.id),
    ):
        await refused(database, act, Conflict)
    for since, until, wrong in (
        ("2026-03-15", "null", True),  # would reach into April
        ("2026-03-15", "2026-04-02", True),
        ("2026-04-01", "null", True),  # begins the same day
        ("2026-03-15", "2026-04-01", False),
    ):
        other = await kept(database, a_set(f"other-{since}-{until}", 1, since, until))
        assert ("overlapping_validity" in {each.code for each in other.findings}) is wrong
        if wrong:
            with pytest.raises(Conflict):
                async with database.transaction() as session:
                    await rule_sets.activate(session, ADMIN, AT, other.rule_set.id)
    async with database.transaction() as session:
        assert await session.scalar(select(models.RuleSet.state).where(models.RuleSet.code == "next")) == "active"


async def test_of_two_activations_at_once_for_the_same_days_one_holds(database: Database) -> None:
    sets = [await kept(database, a_set(f"twin-{n}", 1, "2027-01-01")) for n in range(2)]

    async def activate(made: rule_sets.RuleSetChange) -> str:
        try:
            await does(database, lambda s: rule_sets.activate(s, ADMIN, AT, made.rule_set.id))
        except Conflict:
            return "refused"
        return "done"

    assert sorted(await asyncio.gather(*(activate(each) for each in sets))) == ["done", "refused"]


# --- what other processes see ------------------------------------------------------------------------------------


async def test_a_process_that_forgets_sees_a_change_at_once_and_others_soon(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = queries.RoutingCache(), queries.RoutingCache()
    monkeypatch.setattr(queries, "FRESH_FOR", 60.0)

    async def name(cache: queries.RoutingCache) -> str:
        async with database.transaction() as session:
            return (await cache.get(session)).departments["so-yte"].name

    assert await name(ours) == await name(theirs) == "Sở Y tế"
    await does(database, lambda s: departments.edit(s, ADMIN, AT, "so-yte", {"name": "Sở Y tế mới"}))
    ours.forget()
    assert await name(ours) == "Sở Y tế mới"
    assert await name(theirs) == "Sở Y tế"  # within FRESH_FOR seconds
    monkeypatch.setattr(queries, "FRESH_FOR", 0.0)
    assert await name(theirs) == "Sở Y tế mới"


async def test_what_was_read_before_a_change_is_not_kept_after_it(database: Database) -> None:
    cache = queries.RoutingCache()
    async with database.transaction() as session:
        reading = asyncio.create_task(cache.get(session))
        await asyncio.sleep(0)  # it has begun, and waits for the database
        assert cache._looking
        cache.forget()  # a change was committed while the tables are being read
        await reading
    assert cache.fresh is None


# --- reforms -----------------------------------------------------------------------------------------------------


async def test_a_reform_is_in_the_tables_as_a_whole_and_once(database: Database) -> None:
    await does(database, lambda s: reforms.store(s, ADMIN, AT, REFORM.replace("chia", "chia-so")))
    error = await refused(database, lambda s: reforms.store(s, ADMIN, AT, "reform: {code: chia so}"), Invalid)
    assert {each["line"] for each in error.errors} == {1}
    await does(database, lambda s: reforms.apply(s, ADMIN, AT, "chia-so"))
    directory = await does(database, queries.read_directory)
    day = date(2026, 5, 1)
    heirs = [
        directory.heir("so-xd", area, field, day)
        for area, field in (("dn-c-dong-xoai", "infra.road"), ("dn-c-loc-ninh", "infra.road"), (None, None))
    ]
    assert heirs == ["so-duong", "so-nha", "so-nha"]
    assert directory.heir("so-xd", None, None, TODAY) == "so-xd"
    names = [directory.name_at("so-yte", each) for each in (TODAY, day)]
    assert names == ["Sở Y tế", "Sở Y tế và Dân số"]
    assert directory.departments["so-yte"].name == "Sở Y tế"  # until the day
    await does(database, lambda s: reforms.turn_names(s, datetime(2026, 4, 30, 16, 59, tzinfo=UTC)))
    assert (await does(database, queries.read_directory)).departments["so-yte"].name == "Sở Y tế"
    await does(database, lambda s: reforms.turn_names(s, datetime(2026, 4, 30, 17, 0, tzinfo=UTC)))
    assert (await does(database, queries.read_directory)).departments["so-yte"].name == "Sở Y tế và Dân số"
    assert directory.areas["dn-c-xa-moi"].parent == "dn"
    await refused(database, lambda s: reforms.apply(s, ADMIN, AT, "chia-so"), Conflict)
    await refused(database, lambda s: reforms.store(s, ADMIN, AT, REFORM.replace("chia", "chia-so")), Conflict)
    await refused(database, lambda s: reforms.drop(s, ADMIN, AT, "chia-so"), Conflict)
    await refused(database, lambda s: reforms.apply(s, ADMIN, AT, "khong-co"), NotFound)
    [row] = [row for row in await does(database, journal_rows) if row.kind == "reform.apply"]
    assert (row.subject, row.data["changes"]["department_begins"]) == ("chia-so", 2)


async def test_a_reform_that_cannot_be_applied_writes_nothing(database: Database) -> None:
    wrong = REFORM.replace("to: so-nha,", "to: so-gtvt,")
    await does(database, lambda s: reforms.store(s, ADMIN, AT, wrong))
    error = await refused(database, lambda s: reforms.apply(s, ADMIN, AT, "chia"), Invalid)
    assert [each["line"] for each in error.errors] == [10]
    assert "so-duong" not in (await does(database, queries.read_directory)).departments
    await refused(database, lambda s: reforms.apply(s, HEAD, AT, "chia"), NotAllowed)
    await does(database, lambda s: reforms.drop(s, ADMIN, AT, "chia"))
    assert await does(database, reforms.listed) == []


async def test_an_applied_reform_is_withdrawn_before_its_day(database: Database) -> None:
    before = await does(database, queries.read_directory)
    await does(database, lambda s: reforms.store(s, ADMIN, AT, REFORM))
    await refused(database, lambda s: reforms.withdraw(s, ADMIN, AT, "chia"), Conflict)
    await does(database, lambda s: reforms.apply(s, ADMIN, AT, "chia"))
    assert (await does(database, queries.read_directory)) != before
    later = datetime(2026, 5, 1, 1, 0, tzinfo=UTC)
    await refused(database, lambda s: reforms.withdraw(s, ADMIN, later, "chia"), Conflict)
    await refused(database, lambda s: reforms.withdraw(s, HEAD, AT, "chia"), NotAllowed)
    await does(database, lambda s: reforms.withdraw(s, ADMIN, AT, "chia"))
    after = await does(database, queries.read_directory)
    assert after.areas == before.areas
    assert {code: replace(each, names=()) for code, each in after.departments.items()} == before.departments
    await does(database, lambda s: reforms.apply(s, ADMIN, AT, "chia"))  # a draft again


async def both(database: Database, *acts: Act) -> list[Any]:
    return await asyncio.gather(*(does(database, act) for act in acts), return_exceptions=True)


async def test_of_two_who_apply_at_once_one_is_told(database: Database) -> None:
    other = (
        REFORM.replace("code: chia", "code: khac")
        .replace("code: dn-c-xa-moi", "code: dn-c-khac")
        .replace("so-nha", "so-la")
    )
    for document in (REFORM, other):
        await does(database, lambda s, text=document: reforms.store(s, ADMIN, AT, text))  # type: ignore[misc]
    same = await both(database, *[lambda s: reforms.apply(s, ADMIN, AT, "chia")] * 2)
    assert sorted(type(each).__name__ for each in same) == ["Conflict", "tuple"]
    await does(database, lambda s: reforms.withdraw(s, ADMIN, AT, "chia"))
    # Two reforms that end one department otherwise cannot both be.
    told = await both(
        database, lambda s: reforms.apply(s, ADMIN, AT, "chia"), lambda s: reforms.apply(s, ADMIN, AT, "khac")
    )
    assert sorted(type(each).__name__ for each in told) == ["Invalid", "tuple"]
    [wrong] = [each for each in told if isinstance(each, Invalid)]
    assert "với nơi kế thừa khác" in wrong.vi
    listed = await does(database, reforms.listed)
    assert [head.applied_at is not None for head in listed].count(True) == 1


async def test_nobody_applies_or_overwrites_a_text_that_he_has_not_seen(database: Database) -> None:
    await does(database, lambda s: reforms.store(s, ADMIN, AT, REFORM, ""))
    await refused(database, lambda s: reforms.store(s, ADMIN, AT, REFORM, ""), Conflict)  # two add the same code
    seen, mine = rule_sets.stamp(REFORM), REFORM.replace("Sở Nhà", "Sở Nhà ở")
    told = await both(database, *[lambda s: reforms.store(s, ADMIN, AT, mine, seen)] * 2)
    assert sorted(type(each).__name__ for each in told) == ["Conflict", "Reform"]
    await refused(database, lambda s: reforms.apply(s, ADMIN, AT, "chia", seen), Conflict)
    await does(database, lambda s: reforms.apply(s, ADMIN, AT, "chia", rule_sets.stamp(mine)))


LATER_REFORMS = {
    "a department ends": "departments: {ended: {so-nha: {to: so-yte}}}",
    "an area becomes another": "areas: {ended: {dn-c-xa-moi: dn-c-dong-xoai}}",
    "an area becomes it": "areas: {ended: {dn-c-dong-xoai: dn-c-xa-moi}}",
    "a department begins there": "departments: {new: [{code: tram, name: Trạm, kind: so_xd, area: dn-c-xa-moi}]}",
}


@pytest.mark.parametrize("what", LATER_REFORMS)
async def test_what_a_later_reform_builds_on_is_not_withdrawn(database: Database, what: str) -> None:
    await does(database, lambda s: reforms.store(s, ADMIN, AT, REFORM))
    await does(database, lambda s: reforms.apply(s, ADMIN, AT, "chia"))
    later = "reform: {code: sau, name: Sau, effective_on: 2026-09-01}\n" + LATER_REFORMS[what]
    await does(database, lambda s: reforms.store(s, ADMIN, AT, later))
    await does(database, lambda s: reforms.apply(s, ADMIN, AT, "sau"))
    await refused(database, lambda s: reforms.withdraw(s, ADMIN, AT, "chia"), Conflict)
    await does(database, lambda s: reforms.withdraw(s, ADMIN, AT, "sau"))
    await does(database, lambda s: reforms.withdraw(s, ADMIN, AT, "chia"))


async def test_a_split_is_shown_and_forgotten_with_its_end(database: Database) -> None:
    await does(database, lambda s: reforms.store(s, ADMIN, AT, REFORM))
    await does(database, lambda s: reforms.apply(s, ADMIN, AT, "chia"))
    row = await does(database, lambda s: departments.one(s, "so-xd", TODAY))
    assert (row.shared_among, row.successor) == ({"so-duong": "Sở Đường"}, "so-nha")
    day, place, field = date(2026, 5, 1), "dn-c-dong-xoai", "infra.road"
    again: Act = lambda s: departments.abolish(s, ADMIN, AT, "so-xd", valid_to=day, successor="so-yte")  # noqa: E731
    await does(database, again)  # said again by hand: one heir for all
    assert (await does(database, queries.read_directory)).heir("so-xd", place, field, day) == "so-yte"
    await does(database, lambda s: departments.restore(s, ADMIN, AT, "so-xd"))
    await does(database, again)
    assert (await does(database, queries.read_directory)).departments["so-xd"].heirs == ()


async def test_a_department_is_renamed_before_it_begins(database: Database) -> None:
    day = TODAY + timedelta(days=30)
    given: dict[str, Any] = {"code": "so-moi", "name": "Sở Nhầm", "kind": "so_xd", "valid_from": day}
    await does(database, lambda s: departments.add(s, ADMIN, AT, **given))
    await does(database, lambda s: departments.edit(s, ADMIN, AT, "so-moi", {"name": "Sở Đúng"}))
    await does(database, lambda s: reforms.turn_names(s, AT + timedelta(days=31)))
    directory = await does(database, queries.read_directory)
    assert (directory.departments["so-moi"].name, directory.name_at("so-moi", day)) == ("Sở Đúng", "Sở Đúng")


AREA_RENAMED = """reform: {code: doi-ten, name: Đổi tên xã, effective_on: 2026-05-01}
committees: true
areas:
  renamed: {dn-c-bom-bo: Hòa Bình Mới}
"""


async def test_an_area_that_is_renamed_stays_the_same_area(database: Database) -> None:
    await does(database, lambda s: reforms.store(s, ADMIN, AT, AREA_RENAMED))
    await does(database, lambda s: reforms.apply(s, ADMIN, AT, "doi-ten"))
    routing, day = await routing_now(database), date(2026, 5, 1)
    place, known = routing.places.get("dn-c-bom-bo"), routing.directory
    assert place is not None
    assert [place.name_at(each) for each in (TODAY, day)] == ["Bom Bo", "Hòa Bình Mới"]
    assert [known.name_at("ubnd-dn-c-bom-bo", each) for each in (TODAY, day)] == [
        "UBND xã Bom Bo",
        "UBND xã Hòa Bình Mới",
    ]
    assert (place.name, place.valid_to) == ("Bom Bo", None)
    await does(database, lambda s: reforms.turn_names(s, datetime(2026, 4, 30, 17, 0, tzinfo=UTC)))
    row = await does(database, lambda s: areas.one(s, "dn-c-bom-bo", day))
    assert (row.name, row.former_names, row.valid) == ("Hòa Bình Mới", ("Bom Bo",), True)
    for q in ("bom bo", "hoa binh moi"):
        found = await does(database, lambda s, q=q: areas.listed(s, day, q=q, type="xã"))  # type: ignore[misc]
        assert "dn-c-bom-bo" in [each.code for each in found]
    other = AREA_RENAMED.replace("doi-ten", "lai").replace("Hòa Bình Mới", "Khác")
    await does(database, lambda s: reforms.store(s, ADMIN, AT, other))
    error = await refused(database, lambda s: reforms.apply(s, ADMIN, AT, "lai"), Invalid)
    assert "đã có tên khác: “Hòa Bình Mới”" in error.vi
    await does(database, lambda s: reforms.withdraw(s, ADMIN, AT, "doi-ten"))
    after = (await routing_now(database)).places.get("dn-c-bom-bo")
    assert after is not None
    assert after.name_at(day) == "Bom Bo"


async def test_an_area_renamed_by_hand_keeps_its_name_before(database: Database) -> None:
    await does(
        database, lambda s: areas.edit(s, ADMIN, AT, "dn-c-bom-bo", {"name": "Hòa Bình Mới", "lat": 11.9, "lng": 107})
    )
    row = await does(database, lambda s: areas.one(s, "dn-c-bom-bo", TODAY))
    assert (row.name, row.former_names, row.lat) == ("Hòa Bình Mới", ("Bom Bo",), 11.9)
    assert await journal(database, "dn-c-bom-bo") == [("area.edit", {"changed": ["lat", "lng", "name"]})]
    place = (await routing_now(database)).places.get("dn-c-bom-bo")
    assert place is not None
    assert [place.name_at(each) for each in (TODAY - timedelta(days=1), TODAY)] == ["Bom Bo", "Hòa Bình Mới"]


async def journal_rows(session: Any) -> list[Journal]:
    return list((await session.exec(select(Journal).order_by(col(Journal.id)))).all())


async def test_a_name_changed_by_hand_keeps_the_ones_before(database: Database) -> None:
    await does(database, lambda s: departments.edit(s, ADMIN, AT, "so-yte", {"name": "Sở Y tế một"}))
    await does(database, lambda s: departments.edit(s, ADMIN, AT, "so-yte", {"name": "Sở Y tế hai"}))
    row = await does(database, lambda s: departments.one(s, "so-yte", TODAY))
    assert (row.name, row.former_names) == ("Sở Y tế hai", ("Sở Y tế",))  # two names on one day: the last
    later = AT + timedelta(days=30)
    await does(database, lambda s: departments.edit(s, ADMIN, later, "so-yte", {"name": "Sở Y tế ba"}))
    row = await does(database, lambda s: departments.one(s, "so-yte", TODAY))
    assert (row.name, row.former_names) == ("Sở Y tế ba", ("Sở Y tế", "Sở Y tế hai"))
    assert [each.code for each in await does(database, lambda s: departments.listed(s, TODAY, q="y te hai"))] == [
        "so-yte"
    ]
