"""Folding the journal: exactly once, however it is cut, whoever does it; and the proof that it is right."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.journal import number_positions
from ioc import project as projecting
from ioc.definitions import OPEN_STATUSES
from ioc.project import project
from ioc.queries import figures, live, public_figures
from ioc.reconcile import reconcile
from tests.ioc.histories import ZONE, Row, Story, in_time, is_open, plain, stories, write, write_tables

AT = datetime(2026, 6, 1, 1, 0, tzinfo=UTC)
FIRST, LAST = date(2026, 1, 1), date(2026, 12, 31)


async def append(database: Database, rows: Iterable[Row]) -> None:
    async with database.transaction() as session:
        await write(session, list(rows))
    async with database.transaction() as session:
        await number_positions(session)


async def fold(database: Database) -> int:
    """Project until nothing is left; how many positions."""
    done = 0
    while True:
        async with database.transaction() as session:
            read = await project(session, ZONE, AT)
        if not read:
            return done
        done += read


async def cells(database: Database) -> dict[tuple, int]:
    async with database.transaction() as session:
        rows = await session.execute(
            text(
                "SELECT 'days', figure, day, department, field, channel, area, bucket, value FROM figures UNION ALL "
                "SELECT 'months', figure, day, department, field, channel, area, bucket, value FROM figure_months "
                "UNION ALL SELECT 'lists', figure, day, department, field, channel, area, 0, sum(value) "
                "FROM figure_cases GROUP BY 2, 3, 4, 5, 6, 7"
            )
        )
        return {tuple(row[:-1]): row[-1] for row in rows}


async def forget(database: Database) -> None:
    async with database.transaction() as session:
        for table in ("figures", "figure_months", "figure_cases"):
            await session.execute(text(f"DELETE FROM {table}"))


async def start_over(database: Database) -> None:
    await forget(database)
    async with database.transaction() as session:
        await session.execute(text("UPDATE figure_cursor SET position = 0"))


async def differences(database: Database) -> list:
    async with database.transaction() as session:
        return await reconcile(session, ZONE, AT)


async def a_world(database: Database, seed: int = 1, count: int = 80) -> list[Story]:
    told = stories(seed, count, 30)
    await append(database, in_time(told))
    async with database.transaction() as session:
        await write_tables(session, told)
    return told


async def test_any_cut_into_batches_gives_the_same_table(empty: Database, monkeypatch: pytest.MonkeyPatch):
    rows = in_time(stories(2, 25, 30))
    await append(empty, rows)
    seen = []
    for batch in (10_000, 1, 3, 17):
        monkeypatch.setattr(projecting, "BATCH", batch)
        await start_over(empty)
        assert await fold(empty) == len(rows)
        seen.append(await cells(empty))
    assert seen[0]
    assert all(other == seen[0] for other in seen)


async def test_four_workers_at_once_count_every_row_once(empty: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(projecting, "BATCH", 20)
    rows = in_time(stories(3, 60, 30))
    await append(empty, rows)
    await fold(empty)
    alone = await cells(empty)
    await start_over(empty)
    done = 0

    async def work() -> None:
        nonlocal done
        while done < len(rows):
            async with empty.transaction() as session:
                read = await project(session, ZONE, AT)
            done += read

    await asyncio.wait_for(asyncio.gather(*(work() for _ in range(4))), 60)
    assert done == len(rows)
    assert await cells(empty) == alone


async def test_a_batch_that_fails_is_not_counted_at_all(empty: Database, monkeypatch: pytest.MonkeyPatch):
    await append(empty, in_time(stories(4, 20)))
    with pytest.raises(RuntimeError, match="killed"):
        await die_before_the_commit(empty)
    assert await cells(empty) == {}
    await fold(empty)
    assert await differences_in_figures(empty) == []


async def die_before_the_commit(database: Database) -> None:
    async with database.transaction() as session:
        assert await project(session, ZONE, AT)
        raise RuntimeError("killed")


async def differences_in_figures(database: Database) -> list:
    return [each for each in await differences(database) if each.check == "figures"]


async def test_figures_agree_with_the_journal_computed_the_other_way(empty: Database):
    await a_world(empty, seed=5, count=200)
    await fold(empty)
    assert await differences(empty) == []
    async with empty.transaction() as session:
        stamp = (
            await session.execute(text("SELECT reconciled_position = position, differences FROM figure_cursor"))
        ).one()
    assert tuple(stamp) == (True, 0)


async def test_restriction_taken_back_leaves_the_figures_of_a_world_without_it(empty: Database):
    told = stories(6, 40, 30)
    for story in told:
        if story.restricted:
            story.set_track()
    rows = in_time(told)
    await append(empty, rows)
    await fold(empty)
    with_restriction = await cells(empty)
    await forget(empty)
    await append(empty, [Row(UUID(int=row.case.int ^ 1), row.kind, row.at, False, row.data) for row in plain(rows)])
    await fold(empty)
    assert await cells(empty) == with_restriction


async def test_a_withdrawn_case_is_in_no_cell_not_even_as_nothing(empty: Database):
    story = stories(7, 1, 30, restricts=False)[0]
    await append(empty, story.rows)
    await fold(empty)
    assert await cells(empty)
    before = len(story.rows)
    story.set_track()
    await append(empty, story.rows[before:])
    await fold(empty)
    assert await cells(empty) == {}


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        ("UPDATE figures SET value = value + 1 WHERE figure = 'received' AND day = (SELECT max(day) FROM figures "
         "WHERE figure = 'received')", "figures months"),
        ("DELETE FROM figures WHERE figure = 'due.resolve'", "figures months lists"),
        ("UPDATE figure_months SET value = value + 1 WHERE figure = 'received'", "months"),
        ("DELETE FROM figure_cases WHERE figure = 'replied'", "lists"),
        ("INSERT INTO figure_cases VALUES (gen_random_uuid(), 'ratings', '2026-05-01', '', '', 'web', '', 1)", "lists"),
        ("INSERT INTO figures VALUES ('closed', '2026-05-01', 'nowhere', '', 'web', '', 0, 3)", "figures months"),
        ("UPDATE cases SET status = 'closed' WHERE status = 'received'", "status"),
        ("UPDATE cases SET field = NULL", "status"),
        ("UPDATE cases SET received_at = received_at - interval '1 day'", "cases"),
        ("UPDATE cases SET restricted = false, track = 'ordinary' WHERE restricted", "restricted"),
        ("UPDATE limits SET met_at = due_at WHERE met_at IS NULL AND cancelled_at IS NULL", "limits"),
        ("UPDATE limits SET breached_at = NULL", "limits"),
    ],
)  # fmt: skip
async def test_reconcile_says_where_something_was_damaged(empty: Database, damage: str, check: str):
    await a_world(empty)
    await fold(empty)
    async with empty.transaction() as session:
        await session.execute(text(damage))
    found = await differences(empty)
    assert {each.check for each in found} == set(check.split())
    assert all(each.expected != each.found and each.where for each in found)


async def test_the_stock_equals_the_open_cases_in_every_place(empty: Database):
    told = await a_world(empty, seed=8, count=150)
    await fold(empty)
    async with empty.transaction() as session:
        items = await figures(session, FIRST, LAST, ("department", "field"))
    stock = {(i.by["department"], i.by["field"]): i.value for i in items if i.figure == "open"}
    standing: dict[tuple[str, str], int] = {}
    for story in told:
        if is_open(story) and not story.restricted:
            at = (story.dims["department"], story.dims["field"])
            standing[at] = standing.get(at, 0) + 1
    assert stock == standing


async def test_breakdowns_add_up_to_the_totals(empty: Database):
    await a_world(empty, seed=9, count=150)
    await fold(empty)
    async with empty.transaction() as session:
        whole = {i.figure: i.value for i in await figures(session, FIRST, LAST)}
        for by in (("day",), ("department",), ("field", "channel"), ("day", "area")):
            split = await figures(session, FIRST, LAST, by)
            for figure in ("received", "replied", "due.resolve", "refused", "resolution.n"):
                assert sum(i.value for i in split if i.figure == figure) == whole[figure], (by, figure)
    assert whole["on_time_rate.resolve"] == round(whole["due_met.resolve"] / whole["due.resolve"], 4)
    assert whole["open"] == whole["opened"] - whole["ended"]


async def test_the_stock_by_day_ends_at_the_stock_of_the_period(empty: Database):
    await a_world(empty, seed=10)
    await fold(empty)
    from_, to = date(2026, 4, 5), date(2026, 4, 9)
    async with empty.transaction() as session:
        daily = {i.by["day"]: i.value for i in await figures(session, from_, to, ("day",)) if i.figure == "open"}
        for day in (from_, date(2026, 4, 7), to):
            whole = {i.figure: i.value for i in await figures(session, FIRST, day)}
            assert daily[max(d for d in daily if d <= day.isoformat())] == whole["open"]
    assert min(daily) == from_.isoformat()


async def test_no_mean_of_few_ratings(empty: Database):
    told = stories(11, 300, 40, restricts=False)
    rated = [story for story in told if story.rating]
    few, many = rated[:19], rated[:20]
    await append(empty, in_time(few))
    await fold(empty)
    async with empty.transaction() as session:
        assert "rating_mean" not in {i.figure for i in await figures(session, FIRST, LAST)}
    await append(empty, many[-1].rows)
    await fold(empty)
    async with empty.transaction() as session:
        whole = {i.figure: i.value for i in await figures(session, FIRST, LAST)}
    assert whole["rating_mean"] == round(sum(story.rating or 0 for story in many) / 20, 3)


async def test_late_now_and_ages_come_from_the_tables_without_restricted_cases(empty: Database):
    told = await a_world(empty, seed=12, count=150)
    at = max(story.at for story in told) + timedelta(hours=1)
    async with empty.transaction() as session:
        items = await live(session, at, date(2026, 6, 1))
        split = await live(session, at, date(2026, 6, 1), ("department", "field", "channel", "area"))
    seen = [story for story in told if not story.restricted]
    late = sum(1 for s in seen for c in s.clocks if c.running and c.due < at)
    assert late
    assert sum(i.value for i in items if i.figure.startswith("late_now.")) == late
    ages = sum(i.value for i in items if i.figure.startswith("open_age."))
    assert ages == sum(is_open(story) for story in seen)
    assert sum(i.value for i in split) == late + ages
    assert OPEN_STATUSES


async def test_public_figures_show_no_small_cell_and_none_by_subtraction(empty: Database):
    await a_world(empty, seed=13, count=120)
    await fold(empty)
    periods = [(date(2026, 3, 1), date(2026, 3, 31)), (date(2026, 3, 31), date(2026, 4, 1)), (FIRST, LAST)]
    async with empty.transaction() as session:
        told = [await public_figures(session, *period) for period in periods]
    march, both = told[0], told[1]
    assert both.months_from == date(2026, 3, 1)
    assert both.months_to == date(2026, 4, 30)
    for name, table in both.received_by.items():
        single = march.received_by[name]
        assert all(value >= 5 for value in table.cells.values())
        shrunk = [table.cells[c] - single.cells.get(c, 0) for c in table.cells]
        assert all(value == 0 or value >= 5 for value in [*shrunk, table.other - single.other, table.other])
    assert (
        told[2].totals["received"]
        == sum(both.received_by["channel"].cells.values()) + both.received_by["channel"].other
    )
