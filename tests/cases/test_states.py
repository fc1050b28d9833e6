"""The table of states against what it was written from: every status × action × part, spelled out once more by hand."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.states import NOT_FOR_STAFF, STAFF_ACTIONS, Action, Part, Status, possible, step
from core.errors import Conflict, NotAllowed

STATUSES = (
    "received forwarded in_progress waiting_citizen answered replied closed refused redirected merged spam"
).split()
PARTS = (
    "agent dispatcher supervisor inspector lead_officer lead_head supporting_officer supporting_head citizen system"
).split()
OPEN = "received forwarded in_progress waiting_citizen answered"
ALL = " ".join(STATUSES)
HANDLE = "agent dispatcher supervisor inspector lead_officer lead_head supporting_officer supporting_head"

# DESIGN.md section 5, row by row: action → (who, from, to). `same`, `was` and `last_lead` depend on the case.
LIFE = {
    "add_message": [("citizen", ALL.replace(" merged spam", ""), "was")],
    "note": [(HANDLE, ALL, "same")],
    "assign_officer": [(HANDLE, ALL, "same")],
    "attach": [(HANDLE, ALL, "same")],
    "classify": [("agent dispatcher", "received forwarded in_progress", "same")],
    "set_track": [("agent supervisor inspector", "received forwarded", "same")],
    "answer_directly": [("agent dispatcher", "received", "answered")],
    "forward": [("agent dispatcher", "received", "forwarded")],
    "recall": [("dispatcher supervisor", "forwarded in_progress", "received")],
    "accept": [("lead_officer", "forwarded", "in_progress")],
    "give_back": [("lead_officer lead_head", "forwarded in_progress", "received")],
    "ask_citizen": [
        ("agent dispatcher", "received in_progress", "waiting_citizen"),
        ("lead_officer", "in_progress", "waiting_citizen"),  # before that it has no officer
    ],
    "contribute": [("supporting_officer", "forwarded in_progress waiting_citizen", "same")],
    "request_extension": [("lead_officer", "in_progress waiting_citizen", "same")],
    "grant_extension": [("lead_head dispatcher", "in_progress waiting_citizen", "same")],
    "deny_extension": [("lead_head dispatcher", "in_progress waiting_citizen", "same")],
    "tell_progress": [("lead_officer", "forwarded in_progress waiting_citizen", "same")],
    "submit_answer": [("lead_officer", "in_progress waiting_citizen", "answered")],
    "return_answer": [("lead_head", "answered", "in_progress")],
    "approve_answer": [("lead_head dispatcher", "answered", "same")],
    "reply": [("system", "answered", "replied")],
    "publish": [("agent dispatcher", "replied closed", "same")],
    "unpublish": [("agent dispatcher", "replied closed", "same")],
    "rate": [("citizen", "replied closed", "same")],
    "close": [("system agent", "replied", "closed")],
    "reopen": [("citizen agent supervisor", "replied closed refused", "last_lead")],
    "refuse": [("agent dispatcher", "received waiting_citizen", "refused")],
    "redirect": [("dispatcher inspector", "received forwarded", "redirected")],
    "mark_spam": [("agent dispatcher", "received", "spam")],
    "unmark_spam": [("agent dispatcher", "spam", "received")],
    "merge": [("agent dispatcher", OPEN, "merged")],
    "split": [("agent dispatcher", "received forwarded in_progress", "same")],
    "link_incident": [("dispatcher", OPEN, "same")],
    "unlink_incident": [("dispatcher", OPEN, "same")],
    "chase": [("agent citizen", "forwarded in_progress waiting_citizen answered", "same")],
    "reveal_identity": [("agent supervisor", ALL, "same")],
}


def after(status: str, action: str, part: str, *, was: str = "in_progress", lives: bool = True) -> str | int:
    """What LIFE says of one cell: the next status, or 403 (never theirs, or not theirs here) or 409 (not now)."""
    rows = LIFE[action]
    for who, froms, to in rows:
        if part in who.split() and status in froms.split():
            return {
                "same": status,
                "was": was if status == "waiting_citizen" else status,
                "last_lead": "forwarded" if lives else "received",
            }.get(to, to)
    ever = any(part in who.split() for who, _, _ in rows)
    somebody_now = any(status in froms.split() for _, froms, _ in rows)
    return 409 if ever and not somebody_now else 403


def tried(status: str, action: str, part: str, *, was: str = "in_progress", lives: bool = True) -> str | int:
    """What the code says of the same cell."""
    try:
        return step(
            Status(status), Action(action), frozenset({Part(part)}), waiting_from=Status(was), lead_lives=lives
        ).value
    except (NotAllowed, Conflict) as refused:
        return refused.status


def test_the_names_are_those_of_the_table() -> None:
    assert [status.value for status in Status] == STATUSES
    assert sorted(part.value for part in Part) == sorted(PARTS)
    assert sorted(action.value for action in Action) == sorted(LIFE)
    assert {action.value for action in NOT_FOR_STAFF} == {"reply", "add_message", "rate"}
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
        "accept", "give_back", "tell_progress", "note", "assign_officer", "attach",
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
    cells = (
        tried(status, action, part, lives=lives) for action in LIFE for part in PARTS for lives in (True, False)
    )
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
        try:
            reached = step(
                Status(status),
                Action(action),
                frozenset(Part(part) for part in parts),
                waiting_from=Status(was),
                lead_lives=lives,
            ).value
        except (NotAllowed, Conflict) as refused:
            assert not any(isinstance(cell, str) for cell in wanted)
            assert refused.status in wanted
            continue
        assert reached in wanted
        assert reached in STATUSES
        if reached == "waiting_citizen" and status != reached:
            was = status
        status = reached
