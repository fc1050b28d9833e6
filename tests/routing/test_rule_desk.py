"""A rule set on the desk: copied to a later day, edited, checked, in force, withdrawn, retired; its document."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from core.db import Database
from core.errors import Conflict, Invalid, NotAllowed, NotFound
from core.files import Stored
from core.ids import uuid7
from routing import models, rule_forms
from routing.decide import Condition
from routing.editing import rule_desk, rule_sets
from routing.editing.rule_sets import RuleSetHead
from routing.rule_drafts import LimitDraft
from tests.conftest import run_sql
from tests.routing.test_editing import (  # noqa: F401  the fixtures as_shipped and shipped give each test its tables
    ADMIN,
    AT,
    HEAD,
    NONE,
    a_set,
    as_shipped,
    does,
    journal,
    kept,
    refused,
    routing_now,
    shipped,
)

MONDAY = date(2026, 3, 9)
MIDNIGHT = datetime(2026, 3, 8, 17, tzinfo=UTC)  # of that Monday in Vietnam
TWO_DAYS = LimitDraft("", "resolve", "2d/working", when=Condition(fields=("infra.light",)))


async def in_force(database: Database) -> RuleSetHead:
    heads: list[RuleSetHead] = await does(database, lambda s: rule_sets.listed(s, AT))
    return next(head for head in heads if head.in_force)


async def copied(database: Database) -> RuleSetHead:
    """The set in force as a draft for Monday."""
    head = await in_force(database)
    made: RuleSetHead = await does(database, lambda s: rule_desk.next_version(s, ADMIN, AT, head.id, MONDAY))
    return made


async def edited(database: Database, made: RuleSetHead) -> None:
    """Street lights in two days."""
    await does(
        database,
        lambda s: rule_desk.edit(s, ADMIN, AT, made.id, lambda d, f: rule_forms.put_limit(d, TWO_DAYS, None, f)),
    )


async def test_from_a_council_that_changed_a_limit_to_active_from_monday(database: Database) -> None:
    made = await copied(database)
    assert (made.code, made.version, made.state, made.valid_from) == ("example-2025", 2, "draft", MIDNIGHT)
    await edited(database, made)
    desk = await does(database, lambda s: rule_desk.on_desk(s, made.id, AT))
    (change,) = desk.changes
    assert (change.when.fields, change.was, change.now) == (("infra.light",), ("3d/working",), ("2d/working",))
    assert desk.against is not None
    assert (desk.against.code, desk.against.version) == ("example-2025", 1)
    assert not [each for each in desk.findings if each.severity == "error"]
    checked = await does(database, lambda s: rule_desk.mark_checked(s, ADMIN, AT, made.id))
    assert (checked.rule_set.state, checked.rule_set.checked_at) == ("checked", AT)
    done = await does(database, lambda s: rule_sets.activate(s, ADMIN, AT, made.id))
    assert (done.rule_set.state, done.rule_set.in_force) == ("active", False)
    routing = await routing_now(database)
    assert routing.at(MIDNIGHT - timedelta(seconds=1)).book.version == 1
    assert routing.at(MIDNIGHT).book.version == 2
    assert [kind for kind, _ in await journal(database, str(made.id))] == [
        "rule_set.copy",
        "rule_set.rewrite",
        "rule_set.check",
        "rule_set.activate",
    ]
    desk = await does(database, lambda s: rule_desk.on_desk(s, made.id, AT))
    assert (desk.findings, desk.changes) == ((), ())


@pytest.mark.parametrize(
    "edit",
    [
        lambda s, id_: rule_desk.edit(s, ADMIN, AT, id_, lambda d, f: rule_forms.move(d, "R09", up=True)),
        lambda s, id_: rule_sets.rewrite(s, ADMIN, AT, id_, a_set("other")),
    ],
    ids=["a row", "the text"],
)
async def test_an_edit_makes_a_checked_set_a_draft_again(
    database: Database, edit: Callable[[Any, Any], Awaitable[Any]]
) -> None:
    made = await copied(database)
    await does(database, lambda s: rule_desk.mark_checked(s, ADMIN, AT, made.id))
    await does(database, lambda s: edit(s, made.id))
    head = rule_sets.head_of(await does(database, lambda s: rule_sets.found(s, made.id)), AT)
    assert (head.state, head.checked_at) == ("draft", None)


async def test_a_set_with_an_error_stays_a_draft(database: Database) -> None:
    made = await copied(database)
    wrong = replace(TWO_DAYS, stage="accept", amount="20d/working")
    await does(
        database,
        lambda s: rule_desk.edit(s, ADMIN, AT, made.id, lambda d, f: rule_forms.put_limit(d, wrong, None, f)),
    )
    told = await does(database, lambda s: rule_desk.mark_checked(s, ADMIN, AT, made.id))
    assert told.rule_set.state == "draft"
    assert "accept_after_resolve" in {each.code for each in told.findings}
    await refused(database, lambda s: rule_sets.activate(s, ADMIN, AT, made.id), Conflict)


async def test_a_set_that_waits_for_its_day_is_withdrawn_and_the_one_before_goes_on(database: Database) -> None:
    before, made = await in_force(database), await copied(database)
    await does(database, lambda s: rule_sets.activate(s, ADMIN, AT, made.id))
    await refused(database, lambda s: rule_desk.withdraw(s, HEAD, AT, made.id), NotAllowed)
    late = MIDNIGHT - timedelta(seconds=30)  # other processes may not hear of it in time
    await refused(database, lambda s: rule_desk.withdraw(s, ADMIN, late, made.id), Conflict)
    await refused(database, lambda s: rule_desk.withdraw(s, ADMIN, AT, before.id), Conflict)
    head = await does(database, lambda s: rule_desk.withdraw(s, ADMIN, AT, made.id))
    assert head.state == "draft"
    assert (await routing_now(database)).at(MIDNIGHT).book.version == 1
    assert (await in_force(database)).valid_to is None
    await does(database, lambda s: rule_sets.activate(s, ADMIN, AT, made.id))
    assert (await routing_now(database)).at(MIDNIGHT).book.version == 2


async def test_what_is_withdrawn_leaves_no_end_of_its_own_behind(database: Database) -> None:
    made = await copied(database)
    for_a_year: dict[str, Any] = {"valid_from": MONDAY, "valid_to": date(2027, 3, 8), "source": "", "note": ""}
    await does(
        database,
        lambda s: rule_desk.edit(s, ADMIN, AT, made.id, lambda d, f: rule_forms.put_head(d, **for_a_year)),
    )
    await does(database, lambda s: rule_sets.activate(s, ADMIN, AT, made.id))
    await does(database, lambda s: rule_desk.withdraw(s, ADMIN, AT, made.id))
    assert (await in_force(database)).valid_to is None  # else nobody could report anything after that year
    # One that was to hold between two others leaves the first until the second begins.
    await does(database, lambda s: rule_sets.activate(s, ADMIN, AT, made.id))
    head = await in_force(database)
    between = await does(database, lambda s: rule_desk.next_version(s, ADMIN, AT, head.id, date(2026, 3, 6)))
    until: dict[str, Any] = {"valid_from": date(2026, 3, 6), "valid_to": MONDAY, "source": "", "note": ""}
    await does(
        database,
        lambda s: rule_desk.edit(s, ADMIN, AT, between.id, lambda d, f: rule_forms.put_head(d, **until)),
    )
    await does(database, lambda s: rule_sets.activate(s, ADMIN, AT, between.id))
    await does(database, lambda s: rule_desk.withdraw(s, ADMIN, AT, between.id))
    assert (await in_force(database)).valid_to == MIDNIGHT


async def test_a_set_whose_time_is_over_is_retired_once_and_read_as_before(database: Database) -> None:
    made = await copied(database)
    await does(database, lambda s: rule_sets.activate(s, ADMIN, AT, made.id))
    over = {head.id for head in await does(database, lambda s: rule_sets.listed(s, MIDNIGHT)) if not head.in_force}
    assert await does(database, lambda s: rule_desk.retire_due(s, MIDNIGHT - timedelta(days=1))) == 1  # that of 2021
    assert await does(database, lambda s: rule_desk.retire_due(s, MIDNIGHT)) == 1
    assert await does(database, lambda s: rule_desk.retire_due(s, MIDNIGHT)) == 0
    states = {head.id: head for head in await does(database, lambda s: rule_sets.listed(s, MIDNIGHT))}
    assert {head.id for head in states.values() if head.state == "retired"} == over
    assert states[made.id].state == "active"
    assert (await routing_now(database)).at(MIDNIGHT - timedelta(seconds=1)).book.version == 1


@pytest.mark.parametrize("day", [date(2026, 3, 2), date(2200, 1, 1)])
async def test_no_copy_begins_in_the_past(database: Database, day: date) -> None:
    head = await in_force(database)
    act = lambda s: rule_desk.next_version(s, ADMIN, AT, head.id, day)  # noqa: E731
    await refused(database, act, Invalid, "valid_from")


async def test_nobody_else_edits_and_nothing_that_holds_is_edited(database: Database) -> None:
    head, made = await in_force(database), await copied(database)

    def edit(who: Any, id_: Any, code: str) -> Callable[[Any], Awaitable[Any]]:
        return lambda s: rule_desk.edit(s, who, AT, id_, lambda d, f: rule_forms.drop_rule(d, code))

    await refused(database, edit(HEAD, made.id, "R09"), NotAllowed)
    await refused(database, edit(ADMIN, head.id, "R09"), Conflict)
    await refused(database, edit(ADMIN, made.id, "none"), NotFound)
    await refused(database, edit(ADMIN, NONE, "R09"), NotFound)
    await refused(database, lambda s: rule_desk.mark_checked(s, ADMIN, AT, head.id), Conflict)
    nul = replace(TWO_DAYS, note="a\x00b")
    act = lambda s: rule_desk.edit(  # noqa: E731
        s, ADMIN, AT, made.id, lambda d, f: rule_forms.put_limit(d, nul, None, f)
    )
    await refused(database, act, Invalid)


@pytest.mark.parametrize(
    ("state", "statement"),
    [
        ("checked", "UPDATE rule_sets SET note = 'x' WHERE version = 2"),
        ("checked", "UPDATE rules SET rank = 1 FROM rule_sets s WHERE s.id = rule_set_id AND s.version = 2"),
        ("checked", "UPDATE rule_sets SET state = 'retired' WHERE version = 2"),
        ("checked", "UPDATE rule_sets SET checked_at = NULL WHERE version = 2"),
        ("active", "UPDATE rule_sets SET note = 'x' WHERE version = 2"),
        ("active", "UPDATE rule_sets SET state = 'checked' WHERE version = 2"),
        ("active", "DELETE FROM rule_set_files"),
        ("draft", "UPDATE rule_sets SET state = 'retired' WHERE version = 2"),
        ("draft", "UPDATE rule_sets SET state = 'done' WHERE version = 2"),
        ("draft", "UPDATE rule_set_files SET name = 'x'"),
    ],
)
async def test_the_database_keeps_what_was_checked_and_what_holds(
    database: Database, state: str, statement: str
) -> None:
    made = await copied(database)
    await does(database, lambda s: rule_desk.attach(s, ADMIN, AT, made.id, a_file()))
    if state != "draft":
        await does(database, lambda s: rule_desk.mark_checked(s, ADMIN, AT, made.id))
    if state == "active":
        await does(database, lambda s: rule_sets.activate(s, ADMIN, AT, made.id))
    with pytest.raises(DBAPIError):
        await does(database, lambda s: s.execute(text(statement)))


def a_file() -> Stored:
    return Stored(uuid7(AT), "ab" * 32, "cd" * 32, "QĐ 12.pdf", "application/pdf", 5, None, None, None, None, "ab")


@pytest.fixture(autouse=True)
async def no_files(database_url: str, as_shipped: None) -> Any:  # noqa: F811
    """The files of a test's sets go before its sets do."""
    yield
    await run_sql(
        database_url,
        "ALTER TABLE rule_set_files DISABLE TRIGGER USER",
        "DELETE FROM rule_set_files",
        "ALTER TABLE rule_set_files ENABLE TRIGGER USER",
    )


async def test_a_set_keeps_the_document_it_comes_from(database: Database) -> None:
    made = await copied(database)
    await refused(database, lambda s: rule_desk.attach(s, HEAD, AT, made.id, a_file()), NotAllowed)
    line = await does(database, lambda s: rule_desk.attach(s, ADMIN, AT, made.id, a_file()))
    assert (await does(database, lambda s: rule_desk.file_of(s, made.id, line.id))).name == "QĐ 12.pdf"
    other = await in_force(database)
    await refused(database, lambda s: rule_desk.file_of(s, other.id, line.id), NotFound)
    await does(database, lambda s: rule_desk.detach(s, ADMIN, AT, made.id, line.id))
    await refused(database, lambda s: rule_desk.file_of(s, made.id, line.id), NotFound)
    # the decision of a set that holds may be scanned later, and then stays
    line = await does(database, lambda s: rule_desk.attach(s, ADMIN, AT, other.id, a_file()))
    await refused(database, lambda s: rule_desk.detach(s, ADMIN, AT, other.id, line.id), Conflict)
    for _ in range(rule_desk.MOST_FILES - 1):
        await does(database, lambda s: rule_desk.attach(s, ADMIN, AT, other.id, a_file()))
    await refused(database, lambda s: rule_desk.attach(s, ADMIN, AT, other.id, a_file()), Conflict)


async def test_a_draft_is_deleted_with_its_files_whether_it_was_checked_or_not(database: Database) -> None:
    made = await copied(database)
    await does(database, lambda s: rule_desk.attach(s, ADMIN, AT, made.id, a_file()))
    await does(database, lambda s: rule_desk.mark_checked(s, ADMIN, AT, made.id))
    await does(database, lambda s: rule_sets.delete(s, ADMIN, AT, made.id))
    async with database.transaction() as session:
        assert (await session.exec(select(models.RuleSetFile))).all() == []


async def test_a_text_with_hours_of_its_own_is_told_that_they_have_no_effect(database: Database) -> None:
    usual = await kept(database, a_set("usual"))
    assert "calendar_unused" not in {each.code for each in usual.findings}
    hours = a_set("own").replace("07:00-11:30", "08:00-12:00")
    told = {each.code: each for each in (await kept(database, hours)).findings}
    assert "Lịch làm việc" in told["calendar_unused"].detail
    assert told["calendar_unused"].severity == "warning"
