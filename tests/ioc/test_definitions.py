"""What one journal row adds, and that restriction leaves no trace."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ioc.contributions import (
    MARKERS,
    RESTORED,
    WITHDRAWN,
    Contribution,
    Dims,
    Event,
    contributions,
    marker_contributions,
    standing,
    with_predecessors,
)
from ioc.definitions import DERIVED, LIVE, SUMS, definition_of
from ioc.durations import bucket_middle, bucket_of, percentile
from tests.ioc.histories import START, ZONE, Row, Story, is_open, plain, stories, today

SEEDS = st.integers(0, 2**32)


def story(seed: int, steps: int = 25, *, restricts: bool = True) -> Story:
    return Story(Random(seed), 1, START, restricts).live(steps)


def sums(entries: list[Contribution]) -> Counter[tuple]:
    """Cells with their totals, without those that came back to nothing."""
    cells: Counter[tuple] = Counter()
    for entry in entries:
        cells[entry[:-1]] += entry.value
    return Counter({cell: value for cell, value in cells.items() if value})


def as_they_come(rows: list[Row]) -> Counter[tuple]:
    """What a reader has who folds one row after the other."""
    entries: list[Contribution] = []
    history: list[Event] = []
    for event, was in with_predecessors([row.event for row in rows]):
        if event.kind in MARKERS:
            entries += marker_contributions(history, event, ZONE)
        elif not event.restricted:
            entries += contributions(event, was, ZONE)
        history.append(event)
    return sums(entries)


def all_of(rows: list[Row]) -> Counter[tuple]:
    return sums(
        [e for event, was in with_predecessors([r.event for r in rows]) for e in contributions(event, was, ZONE)]
    )


def total(cells: Counter[tuple], figure: str) -> int:
    return sum(value for cell, value in cells.items() if cell[1] == figure)


@given(SEEDS)
def test_a_restored_case_counts_as_if_it_had_never_been_restricted(seed: int):
    told = story(seed)
    if told.restricted:
        told.set_track()
    assert as_they_come(told.rows) == all_of(plain(told.rows))


@given(SEEDS)
def test_a_withdrawn_case_leaves_nothing_behind(seed: int):
    told = story(seed)
    if not told.restricted:
        told.set_track()
    assert not as_they_come(told.rows)


@given(SEEDS)
def test_folding_row_by_row_gives_the_sums_of_the_rows_that_stand(seed: int):
    rows = story(seed).rows
    history = [row.event for row in rows]
    stand = [
        entry
        for (event, was), counted in zip(with_predecessors(history), standing(history), strict=True)
        if counted
        for entry in contributions(event, was, ZONE)
    ]
    assert as_they_come(rows) == sums(stand)


@given(st.lists(st.sampled_from([WITHDRAWN, RESTORED, "plain", "hidden"]), max_size=12))
@example([WITHDRAWN, "plain", WITHDRAWN, RESTORED, RESTORED, "hidden", "plain"])
def test_markers_in_any_order_never_count_a_row_twice(kinds: list[str]):
    dims = {"department": "a", "field": "", "channel": "web", "area": ""}
    rows = [Row(story(1).id, k if k in MARKERS else "case.chase", START, k == "hidden", {"dims": dims}) for k in kinds]
    counted = as_they_come(rows)
    assert total(counted, "chased") == sum(standing([row.event for row in rows]))


@given(SEEDS)
def test_the_stock_and_received_stand_where_the_case_stands(seed: int):
    told = story(seed, restricts=False)
    cells = all_of(told.rows)
    place = tuple(told.dims.values())
    stock: Counter[tuple] = Counter()
    for cell, value in cells.items():
        if cell[1] == "open":
            stock[cell[2:6]] += value
    assert {at: n for at, n in stock.items() if n} == ({place: 1} if is_open(told) else {})
    received = {cell: value for cell, value in cells.items() if cell[1] == "received"}
    assert received == {(today(told.received_at), "received", *place, 0): 1}
    assert total(cells, "opened") - total(cells, "ended") == is_open(told)


@given(SEEDS)
def test_each_limit_is_in_the_due_cohort_once_when_met_in_time_or_breached(seed: int):
    told = story(seed, 40, restricts=False)
    cells = all_of(told.rows)
    for stage in ("forward", "resolve"):
        clocks = [clock for clock in told.clocks if clock.stage == stage]
        breached = [clock for clock in clocks if clock.breached_at]
        in_time = [clock for clock in clocks if clock.met_at and not clock.breached_at]
        assert total(cells, f"due.{stage}") == len(breached) + len(in_time)
        assert total(cells, f"due_met.{stage}") == len(in_time)
        extended = [clock for clock in in_time if clock.met_at and clock.met_at > clock.first_due]
        assert total(cells, f"due_met_extended.{stage}") == len(extended)
        assert total(cells, f"met.{stage}") == sum(1 for clock in clocks if clock.met_at)
        assert total(cells, f"breached.{stage}") == len(breached)
        days = Counter(
            [today(c.breached_at) for c in breached if c.breached_at] + [today(c.due) for c in in_time]
        )  # an extension granted after the breach leaves the limit on its first day
        assert {cell[0]: v for cell, v in due_by_day(cells, stage).items()} == dict(days)


def due_by_day(cells: Counter[tuple], stage: str) -> Counter[tuple]:
    days: Counter[tuple] = Counter()
    for cell, value in cells.items():
        if cell[1] == f"due.{stage}":
            days[(cell[0],)] += value
    return Counter({day: value for day, value in days.items() if value})


@given(SEEDS)
def test_ratings_count_each_case_once_with_its_last_rating(seed: int):
    told = story(seed, 40, restricts=False)
    cells = all_of(told.rows)
    last = told.rating
    assert (total(cells, "ratings"), total(cells, "rating_sum"), total(cells, "ratings_good")) == (
        (1, last, int(last >= 4)) if last else (0, 0, 0)
    )


DIMS = {"department": "so-xd", "field": "giao-thong", "channel": "zalo", "area": "p-tan-phu"}
LATE_EVENING = datetime(2026, 4, 30, 17, 30, tzinfo=UTC)  # 1 May 00:30 in the province


@pytest.mark.parametrize(
    ("kind", "data", "figures"),
    [
        ("case.forward", {"from": "received", "to": "forwarded"}, {"forwarded", "forward_time"}),
        ("case.refuse", {"from": "received", "to": "refused", "reason_code": "court"},
         {"refused", "refused.court", "ended", "open"}),
        ("case.reply", {"from": "answered", "to": "replied", "first_response": True},
         {"replied", "resolution", "first_response", "ended", "open"}),
        ("case.rate", {"from": "replied", "to": "closed", "rating": 5, "previous": None},
         {"ratings", "rating_sum", "ratings_good", "closed"}),  # a good rating closes
        ("case.note", {"from": "received", "to": "received"}, set()),
        ("case.answer_directly", {"from": "received", "to": "answered"}, {"answered_first_contact"}),  # still open
        ("limit.reminded", {"limits": [{"op": "reminded", "stage": "resolve", "holder": "so-xd"}]}, set()),
        ("staff.grant", {}, set()),
    ],
)  # fmt: skip
def test_each_act_adds_to_its_figures_on_its_local_day(kind: str, data: dict, figures: set[str]):
    data = {"code": "BP-26-0482134", "received_at": "2026-04-30T08:00:00+07:00", "dims": DIMS, "limits": [], **data}
    entries = contributions(Event(kind, LATE_EVENING, False, data), Dims(**DIMS), ZONE)
    assert {entry.figure for entry in entries} == figures
    assert {entry.day for entry in entries} <= {date(2026, 5, 1)}


def test_received_is_counted_on_the_day_of_receipt_not_of_entry():
    data: dict = {
        "received_at": "2026-04-29T23:59:59+07:00",
        "dims": DIMS,
        "from": None,
        "to": "received",
        "limits": [],
    }
    entries = contributions(Event("case.open", LATE_EVENING, False, data), None, ZONE)
    days = {entry.figure: entry.day for entry in entries}
    assert days == {"received": date(2026, 4, 29), "open": date(2026, 5, 1), "opened": date(2026, 5, 1)}


def test_a_give_back_counts_against_the_department_that_gave_back():
    data = {"received_at": "2026-04-29T08:00:00+07:00", "dims": DIMS, "from": "forwarded", "to": "received"}
    entries = contributions(Event("case.give_back", START, False, {**data, "department": "so-yt"}), Dims(**DIMS), ZONE)
    assert [(entry.figure, entry.department) for entry in entries] == [("give_backs", "so-yt")]


@given(st.floats(1, 3e8))
def test_a_duration_is_read_back_within_seven_per_cent(seconds: float):
    assert bucket_middle(bucket_of(seconds)) == pytest.approx(seconds, rel=0.07)


@pytest.mark.parametrize("seconds", [-5.0, 0.0, 0.2, 1.0])
def test_durations_of_no_length_fall_into_the_first_class(seconds: float):
    assert bucket_of(seconds) == 0


@given(st.lists(st.floats(1, 1e7), min_size=1, max_size=200), st.sampled_from([50, 90, 95]))
def test_a_percentile_is_within_its_class_of_the_exact_one(seconds: list[float], percent: int):
    exact = sorted(seconds)[max(0, -(-len(seconds) * percent // 100) - 1)]
    assert percentile(Counter(map(bucket_of, seconds)), percent) == pytest.approx(exact, rel=0.07)


def test_nothing_counted_has_no_percentile():
    assert percentile({}, 50) is None


def test_every_figure_that_a_history_makes_is_defined_in_both_languages():
    made = {cell[1] for told in stories(6, 300, 40) for cell in all_of(told.rows)}  # some in time by an extension alone
    for code in made:
        definition = definition_of(code)
        assert definition.code == code
        assert "{" not in definition.vi + definition.en
    families = {code.partition(".")[0] for code in made}
    assert {definition.code.partition(".")[0] for definition in SUMS} == families


def test_definitions_are_whole_and_unique():
    codes = [definition.code for definition in (*SUMS, *DERIVED, *LIVE)]
    assert len(codes) == len(set(codes))
    for definition in (*SUMS, *DERIVED, *LIVE):
        assert definition.definition_vi.endswith((".", ").")), definition.code
        assert definition.definition_en.endswith((".", ").")), definition.code
    with pytest.raises(KeyError):
        definition_of("no_such.figure")


def test_the_stories_reach_what_they_are_to_show():
    kinds = Counter(row.kind for told in stories(5, 200, 40) for row in told.rows)
    assert {WITHDRAWN, RESTORED, "limit.breached", "case.return_answer", "case.grant_extension"} <= kinds.keys()
    assert timedelta(0) < max(t.at for t in stories(5, 20)) - START
