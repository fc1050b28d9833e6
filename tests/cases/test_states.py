"""The table of states against what it was written from: every status × action × part, spelled out once more by hand."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.states import NOT_FOR_STAFF, STAFF_ACTIONS, Action, Part, Status, possible, step
from core.errors import Conflict, NotAllowed
from tests.cases.life import LIFE, PARTS, STATUSES, after


def tried(status: str, action: str, *parts: str, was: str = "in_progress", lives: bool = True) -> str | int:
    """What the code says of the same cell, for somebody of these parts."""
    who = frozenset(Part(part) for part in parts)
    try:
        return step(Status(status), Action(action), who, waiting_from=Status(was), lead_lives=lives).value
    except (NotAllowed, Conflict) as refused:
        return refused.status


def test_the_names_are_those_of_the_table() -> None:
    assert [status.value for status in Status] == STATUSES
    assert sorted(part.value for part in Part) == sorted(PARTS)
    assert sorted(action.value for action in Action) == sorted(LIFE)
    assert {action.value for action in NOT_FOR_STAFF} == {"reply", "add_message", "rate", "rehome"}
    assert set(STAFF_ACTIONS) == set(Action) - NOT_FOR_STAFF


@pytest.mark.parametrize("lives", [True, False])
@pytest.mark.parametrize("action", LIFE)
def test_every_cell_is_the_tables_or_is_refused(action: str, lives: bool) -> None:
    for status in STATUSES:
        for part in PARTS:
            for was in ("received", "in_progress"):
                wanted = after(status, action, part, was=was, lives=lives)
                assert tried(status, action, part, was=was, lives=lives) == wanted, (status, action, part)


@pytest.mark.parametrize("status", STATUSES)
def test_what_is_possible_now_is_what_would_succeed(status: str) -> None:
    for part in PARTS:
        offered = {action.value for action in possible(Status(status), frozenset({Part(part)}))}
        assert offered == {action for action in LIFE if isinstance(after(status, action, part), str)}


def test_nobody_and_those_without_a_part_may_do_nothing() -> None:
    for status in Status:
        assert possible(status, frozenset()) == []
        for action in Action:
            with pytest.raises(NotAllowed):
                step(status, action, frozenset(), waiting_from=None, lead_lives=True)


def test_the_parts_of_one_person_add_up() -> None:
    # The head of the lead who is an agent too: the one part may, the other may not.
    both = frozenset({Part.LEAD_HEAD, Part.AGENT})
    assert step(Status.ANSWERED, Action.RETURN_ANSWER, both, waiting_from=None, lead_lives=True) is Status.IN_PROGRESS
    assert step(Status.RECEIVED, Action.MARK_SPAM, both, waiting_from=None, lead_lives=True) is Status.SPAM


def test_a_refusal_by_status_names_what_is_allowed_now() -> None:
    with pytest.raises(Conflict) as refused:
        step(Status.FORWARDED, Action.SUBMIT_ANSWER, frozenset({Part.LEAD_OFFICER}), waiting_from=None, lead_lives=True)
    assert refused.value.extra["case_status"] == "forwarded"
    assert set(refused.value.extra["allowed"]) == {
        "accept", "give_back", "tell_progress", "note", "assign_officer", "attach", "answer_directive",
        "ask_support", "release_support", "dispute",
    }  # fmt: skip


def _next_of(status: str) -> set[str]:
    cells = (after(status, action, part, lives=lives) for action in LIFE for part in PARTS for lives in (True, False))
    return {to for to in cells if isinstance(to, str)} - {status}


def test_every_status_is_reached_from_received() -> None:
    seen, waiting = {"received"}, deque(["received"])
    while waiting:
        fresh = _next_of(waiting.popleft()) - seen
        seen |= fresh
        waiting.extend(fresh)
    assert seen == set(STATUSES)


@pytest.mark.parametrize(
    ("status", "to"),
    [
        ("received", "forwarded answered waiting_citizen refused redirected spam merged"),
        ("forwarded", "received in_progress redirected merged"),
        ("in_progress", "received waiting_citizen answered merged"),
        ("waiting_citizen", "in_progress answered refused merged"),
        ("answered", "in_progress replied merged"),
        ("replied", "closed forwarded received"),
        ("closed", "forwarded received"),
        ("refused", "forwarded received"),
        ("spam", "received"),
        ("redirected", ""),  # handed over
        ("merged", ""),  # lives on elsewhere
    ],
)
def test_every_status_but_the_two_ends_is_left(status: str, to: str) -> None:
    cells = (tried(status, action, part, lives=lives) for action in LIFE for part in PARTS for lives in (True, False))
    assert {found for found in cells if isinstance(found, str)} - {status} == set(to.split())


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(LIFE)), st.frozensets(st.sampled_from(PARTS), max_size=3), st.booleans()),
        max_size=60,
    )
)
def test_no_walk_leaves_the_table(acts: list[tuple[str, frozenset[str], bool]]) -> None:
    status, was = "received", "received"
    for action, parts, lives in acts:
        wanted = {after(status, action, part, was=was, lives=lives) for part in parts} or {403}
        reached = tried(status, action, *parts, was=was, lives=lives)
        assert reached in wanted
        if isinstance(reached, int):
            assert not any(isinstance(cell, str) for cell in wanted)
            continue
        assert reached in STATUSES
        if reached == "waiting_citizen" and status != reached:
            was = status
        status = reached
