"""Who is charged with which late minute: one journal a row, the answer worked out by hand."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.charging import DELIVERY, Said, charges
from routing.working_time import Calendar, Span

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
DAY = (Span(7 * 60, 11 * 60 + 30), Span(13 * 60 + 30, 17 * 60))  # 480 minutes
OFFICE = Calendar("province", ZONE, (DAY,) * 5 + ((), ()))
MORNINGS = Calendar("unit", ZONE, (DAY[:1],) * 5 + ((), ()))
CALENDARS = {"province": OFFICE, "unit": MORNINGS}
SINCE, UNTIL = datetime(2026, 3, 1, tzinfo=ZONE), datetime(2026, 4, 1, tzinfo=ZONE)


def at(local: str) -> str:
    """March 2026, `03T10:20`: the 3rd is a Tuesday."""
    return datetime.fromisoformat(f"2026-03-{local}+07:00").isoformat()


def opened(due: str, *, stage: str = "resolve", holder: str = "a", calendar: str = "province", **more: Any) -> Said:
    op = {"op": "opened", "id": stage, "stage": stage, "holder": holder, "clock": "working", "calendar": calendar}
    return said("03T08:00", {**op, "opened_at": at("03T08:00"), "due_at": at(due), **more})


def said(when: str, *ops: Mapping[str, Any], kind: str = "case.note") -> Said:
    return Said(datetime.fromisoformat(at(when)), kind, ops)


def did(name: str, when: str, due: str | None, *, stage: str = "resolve", **more: Any) -> Said:
    op = {"op": name, "id": stage, "stage": stage, "holder": "a", "at": at(when)}
    return said(when, {**op, "due_at": at(due) if due else None, **more})


def told(*history: Said, since: datetime = SINCE, until: datetime = UNTIL) -> dict[tuple[str, str], int]:
    """Minutes by (holder, stage)."""
    sums: dict[tuple[str, str], timedelta] = {}
    for charge in charges(history, CALENDARS.__getitem__, "centre", since, until):
        key = (charge.holder, charge.stage)
        sums[key] = sums.get(key, timedelta()) + charge.late
    return {key: late // timedelta(minutes=1) for key, late in sums.items()}


CASES = {
    # Due Tuesday 16:00, met 16:30.
    "met late": ([opened("03T16:00"), did("met", "03T16:30", "03T16:00")], {("a", "resolve"): 30}),
    "met in time": ([opened("03T16:00"), did("met", "03T15:59", "03T16:00")], {}),
    "met at the very minute": ([opened("03T16:00"), did("met", "03T16:00", "03T16:00")], {}),
    # Due at closing, met the next morning at 07:20: the night is nobody's.
    "over a night": ([opened("03T17:00"), did("met", "04T07:20", "03T17:00")], {("a", "resolve"): 20}),
    # Due Friday 6 at closing, met Monday 9 at 08:00.
    "over a weekend": ([opened("06T17:00"), did("met", "09T08:00", "06T17:00")], {("a", "resolve"): 60}),
    # Met on Saturday: late, though not by a minute of work.
    "met on a day off": ([opened("06T17:00"), did("met", "07T10:00", "06T17:00")], {}),
    # A unit with mornings alone: Tuesday 11:00 to Wednesday 07:10 is half an hour and ten minutes.
    "another calendar": (
        [opened("03T11:00", calendar="unit"), did("met", "04T07:10", "03T11:00")],
        {("a", "resolve"): 40},
    ),
    # On the clock on the wall: 17:00 to 19:30, whatever the hours of the office.
    "elapsed time": (
        [opened("03T17:00", clock="calendar"), did("met", "03T19:30", "03T17:00")],
        {("a", "resolve"): 150},
    ),
    "given up late": ([opened("03T16:00"), did("cancelled", "03T16:10", "03T16:00")], {("a", "resolve"): 10}),
    # Due 16:00, passed on at 16:10, met by the heir at 16:30: to each the minutes in its hands.
    "handed to an heir late": (
        [
            opened("03T16:00"),
            did("handed", "03T16:10", "03T16:00", holder="b", was="a"),
            did("met", "03T16:30", "03T16:00", holder="b"),
        ],
        {("a", "resolve"): 10, ("b", "resolve"): 20},
    ),
    # Stopped from 15:00 to Wednesday 08:00, passed on meanwhile; due 09:00, met 09:05 by the heir.
    "handed to an heir while it stood still": (
        [
            opened("03T16:00"),
            did("stopped", "03T15:00", None),
            did("handed", "03T15:30", None, holder="b", was="a"),
            did("resumed", "04T08:00", "04T09:00", holder="b"),
            did("met", "04T09:05", "04T09:00", holder="b"),
        ],
        {("b", "resolve"): 5},
    ),
    "noticing the breach charges nothing": (
        [opened("03T16:00"), did("breached", "03T16:01", "03T16:00"), did("met", "03T16:10", "03T16:00")],
        {("a", "resolve"): 10},
    ),
    # Asked in time, granted an hour late: that hour stays; then in time by the new date.
    "extended late": (
        [opened("03T15:00"), did("moved", "03T16:00", "05T15:00"), did("met", "05T14:00", "05T15:00")],
        {("a", "resolve"): 60},
    ),
    # An hour before it was granted, 20 minutes after the new date.
    "extended late and late again": (
        [opened("03T15:00"), did("moved", "03T16:00", "05T15:00"), did("met", "05T15:20", "05T15:00")],
        {("a", "resolve"): 80},
    ),
    # At 16:00 it turns out to be an emergency that would have been due at 10:00: late from 16:00 on, not before.
    "said to be urgent later": (
        [opened("05T17:00"), did("amended", "03T16:00", "03T10:00"), did("met", "03T16:30", "03T10:00")],
        {("a", "resolve"): 30},
    ),
    # Decided anew while it stood still, to hours of the clock on the wall: those that are late then are such hours.
    "amended while it stood still": (
        [
            opened("03T16:00"),
            did("stopped", "03T15:00", None),
            did("amended", "03T15:30", None, clock="calendar", opened_at=at("03T08:00")),
            did("resumed", "03T16:00", "03T16:30"),
            did("met", "03T18:30", "03T16:30"),
        ],
        {("a", "resolve"): 120},
    ),
    # Counted from now on, for counted from its opening it would be over: an hour late on the clock on the wall.
    "amended with a later opening": (
        [
            opened("05T17:00"),
            did("amended", "04T16:00", "04T20:00", clock="calendar", opened_at=at("04T16:00"), was=at("05T17:00")),
            did("met", "04T21:00", "04T20:00"),
        ],
        {("a", "resolve"): 60},
    ),
    # Stopped at 15:00, due 16:00; goes on Wednesday 08:00, due 09:00; met 09:05.
    "stopped in time": (
        [
            opened("03T16:00"),
            did("stopped", "03T15:00", None),
            did("resumed", "04T08:00", "04T09:00"),
            did("met", "04T09:05", "04T09:00"),
        ],
        {("a", "resolve"): 5},
    ),
    # Met at 15:00; returned on Wednesday 08:00, long after it was due: 30 minutes until it is met again.
    "returned after it was due": (
        [
            opened("03T16:00"),
            did("met", "03T15:00", "03T16:00"),
            did("reopened", "04T08:00", "03T16:00"),
            did("met", "04T08:30", "03T16:00"),
        ],
        {("a", "resolve"): 30},
    ),
    # Approved in time at 15:30, sent at 16:20: the head was not late, the sending was.
    "sent late": (
        [
            opened("03T16:00", stage="reply"),
            said("03T15:30", kind="case.approve_answer"),
            did("met", "03T16:20", "03T16:00", stage="reply"),
        ],
        {("centre", DELIVERY): 20},
    ),
    # Approved ten minutes late, sent after ten more.
    "approved late and sent": (
        [
            opened("03T16:00", stage="reply"),
            said("03T16:10", kind="case.approve_answer"),
            did("met", "03T16:20", "03T16:00", stage="reply"),
        ],
        {("a", "reply"): 10, ("centre", DELIVERY): 10},
    ),
    # A make-up day announced later: the due time that was known was wrong from the beginning.
    "recounted": (
        [
            opened("03T15:00"),
            did("recounted", "03T16:00", "03T16:30", was=at("03T15:00")),
            did("met", "03T16:40", "03T16:30"),
        ],
        {("a", "resolve"): 10},
    ),
    # Not finished: from Monday 30 March 16:00 to the end of the month, 60 and 480.
    "still running": ([opened("30T16:00")], {("a", "resolve"): 540}),
}


@pytest.mark.parametrize("name", CASES)
def test_minutes_are_charged_to_who_held_the_clock(name: str):
    history, wanted = CASES[name]
    assert told(*history) == wanted


def test_only_minutes_of_the_period_count():
    history = [opened("03T16:00"), did("met", "05T08:00", "03T16:00")]  # 60 on Tuesday, 480, 60 on Thursday
    days = [datetime(2026, 3, day, tzinfo=ZONE) for day in range(3, 7)]
    by_day = [told(*history, since=day, until=next_).get(("a", "resolve"), 0) for day, next_ in pairwise(days)]
    assert by_day == [60, 480, 60]


MOMENTS = st.integers(0, 20 * 24 * 3600).map(lambda seconds: SINCE + timedelta(seconds=seconds))


@given(st.lists(MOMENTS, min_size=3, max_size=3), st.lists(MOMENTS, min_size=1, max_size=5))
def test_a_period_cut_into_parts_has_the_minutes_of_its_parts(three: list[datetime], cuts: list[datetime]):
    begun, due, met = sorted(three)
    op = {"id": "x", "stage": "resolve", "holder": "a", "due_at": due.isoformat()}
    history = [
        Said(
            begun,
            "case.forward",
            [{**op, "op": "opened", "clock": "working", "calendar": "province", "opened_at": begun.isoformat()}],
        ),
        Said(met, "case.submit_answer", [{**op, "op": "met", "at": met.isoformat()}]),
    ]

    def late(since: datetime, until: datetime) -> timedelta:
        found = charges(history, CALENDARS.__getitem__, "centre", since, until)
        return sum((each.late for each in found), timedelta())

    edges = sorted([SINCE, *cuts, UNTIL])
    assert sum((late(*pair) for pair in pairwise(edges)), timedelta()) == late(SINCE, UNTIL)
