"""Ranked states of a call: the same reports end in the same place, in whatever order and however often they come."""

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.twilio import voice
from hotline.states import ENDED, OVER, CallState, Standing, advance, rank

S = CallState
REPORTS = st.tuples(st.sampled_from(S), st.one_of(st.none(), st.integers(0, 5)))


def told(reports: list[tuple[CallState, int | None]]) -> Standing | None:
    return reduce(lambda standing, report: advance(standing, *report), reports, None)


@given(st.data(), st.lists(REPORTS, min_size=1, max_size=8))
def test_any_order_and_repetition_of_reports_ends_in_the_same_state(data: st.DataObject, reports: list) -> None:
    repeated = reports + data.draw(st.lists(st.sampled_from(reports), max_size=6))
    assert told(data.draw(st.permutations(repeated))) == told(reports)


@given(st.lists(REPORTS, min_size=1, max_size=8), REPORTS)
def test_a_state_never_goes_back(reports: list, report: tuple) -> None:
    before = told(reports)
    assert before is not None
    after = advance(before, *report)
    assert rank(after.state) >= rank(before.state)
    assert before.state not in ENDED or after.state in ENDED


@pytest.mark.parametrize(
    ("old", "new", "then"),
    [
        (None, S.RINGING, S.RINGING),
        (S.QUEUED, S.INITIATED, S.INITIATED),
        (S.RINGING, S.QUEUED, S.RINGING),
        (S.IN_PROGRESS, S.RINGING, S.IN_PROGRESS),
        (S.RINGING, S.NO_ANSWER, S.NO_ANSWER),
        (S.COMPLETED, S.IN_PROGRESS, S.COMPLETED),
        (S.COMPLETED, S.LOST, S.COMPLETED),  # we only thought so
        (S.LOST, S.COMPLETED, S.COMPLETED),  # and the carrier knew better
        (S.LOST, S.IN_PROGRESS, S.LOST),
        (S.BUSY, S.COMPLETED, S.COMPLETED),
        (S.COMPLETED, S.BUSY, S.COMPLETED),
    ],
)
def test_from_one_state_to_the_next(old: CallState | None, new: CallState, then: CallState) -> None:
    assert advance(Standing(old) if old else None, new).state == then


def test_of_two_ends_the_later_report_holds() -> None:
    assert advance(Standing(S.COMPLETED, 2), S.FAILED, 3) == Standing(S.FAILED, 3)
    assert advance(Standing(S.COMPLETED, 3), S.FAILED, 2) == Standing(S.COMPLETED, 3)


def test_all_ends_are_equally_far_and_every_word_of_the_carrier_is_a_state() -> None:
    assert len({rank(state) for state in ENDED}) == 1
    assert set(map(str, S)) - {"lost"} == set(voice.STATUSES)
    assert ENDED < OVER
