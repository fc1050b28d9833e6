"""A draft tried on past cases: what moves, what stays, who is in time, by hand; and as asking the rules again says."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.decide import CaseField, Condition, Facts, LeadRule, LimitRule, Rulebook, decide
from routing.directory import Department, Directory, Selector
from routing.simulating import PastCase, Ran, Verdict, compare, replay
from routing.working_time import Amount, Calendar, Span, due

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
DAY = (Span(7 * 60, 11 * 60 + 30), Span(13 * 60 + 30, 17 * 60))
PROVINCE = Calendar("province", ZONE, (DAY,) * 5 + ((), ()))
MORNINGS = Calendar("b", ZONE, (DAY[:1],) * 5 + ((), ()))  # b works in the mornings
DIRECTORY = Directory(
    {code: Department(code, code, "centre" if code == "centre" else "x") for code in ("centre", "a", "b")}, {}
)
FIELDS = {code: CaseField(code, code) for code in ("infra.road", "infra.light")}
NOW = datetime(2026, 3, 31, 17, tzinfo=ZONE)


def at(local: str) -> datetime:
    """March 2026, `03T10:20`: the 3rd is a Tuesday."""
    return datetime.fromisoformat(f"2026-03-{local}+07:00")


def a_book(road: str = "a", resolve: str = "2d/working", **changed: Any) -> Rulebook:
    limits = {"forward": "30min/calendar", "accept": "4h/working", "resolve": resolve, "reply": "8h/working"}
    book = Rulebook(
        code="test",
        version=1,
        valid_from=date(2021, 1, 1),
        valid_to=None,
        directory=DIRECTORY,
        calendar=PROVINCE,
        fields=FIELDS,
        leads=(
            LeadRule("road", 10, Condition(fields=("infra.road",)), Selector.parse(road)),
            LeadRule("all", 1000, Condition(), Selector.parse("centre")),
        ),
        limits=tuple(
            LimitRule(name, name, 10, Condition(), Amount.parse(text)) for name, text in limits.items() if text
        ),
    )
    return replace(book, **changed)


OLD = a_book()


def a_case(*clocks: Ran, lead: str | None = "a", field: str = "infra.road", **more: Any) -> PastCase:
    return PastCase("BP-1", Facts(received_at=at("03T08:00"), field=field), lead, clocks, **more)


def resolving(ended: str | None = None, *, met: bool = True, holder: str = "a", **more: Any) -> Ran:
    return Ran("resolve", holder, at("03T08:30"), at(ended) if ended else None, met=bool(ended) and met, **more)


def one(past: PastCase, draft: Rulebook, old: Rulebook = OLD) -> Verdict:
    return replay(past, old, draft, {"b": MORNINGS}, NOW)


# Opened Tuesday 08:30. 2 working days: Thursday 17:00; 1: Wednesday 17:00; 3: Friday 17:00.
ENDINGS = {
    "in time in both": (resolving("04T10:00"), "1d/working", True, True),
    "becomes late": (resolving("05T10:00"), "1d/working", True, False),
    "no longer late": (resolving("06T10:00"), "3d/working", False, True),
    "late in both": (resolving("10T10:00"), "3d/working", False, False),
    "at the very minute": (resolving("04T17:00"), "1d/working", True, True),
    "given up before either date": (resolving("04T10:00", met=False), "1d/working", None, None),
    "given up after the new date only": (resolving("05T10:00", met=False), "1d/working", None, False),
    "still open, late in both": (resolving(), "1d/working", False, False),
    "still open, not due by the draft": (resolving(), "30d/working", False, None),
    "no limit by the draft": (resolving("05T10:00"), "", True, None),
    # Extended to Monday 9 17:00, done that morning: a date that was granted stays.
    "extended": (resolving("09T10:00", granted=at("09T17:00")), "1d/working", True, True),
    "the rule alone gives more than was granted": (
        resolving("12T10:00", granted=at("09T17:00")),
        "8d/working",
        False,
        True,
    ),
    # Stopped all of Wednesday: 1 working day ends on Thursday.
    "stopped": (resolving("05T10:00", stops=((at("04T00:00"), at("05T00:00")),)), "1d/working", True, True),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_in_time_is_judged_by_when_it_was_really_done(name: str):
    clock, amount, before, after = ENDINGS[name]
    (replayed,) = one(a_case(clock), a_book(resolve=amount)).clocks
    assert (replayed.kept, replayed.kept_after) == (before, after)


def test_a_shorter_limit_moves_its_due_times_and_nothing_else():
    forward = Ran("forward", "centre", at("03T08:00"), at("03T08:20"), met=True)
    found = compare([(a_case(forward, resolving("05T10:00")), OLD)], a_book(resolve="1d/working"), {}, NOW)
    resolve, sent = found.stages["resolve"], found.stages["forward"]
    assert (resolve.earlier, resolve.later, resolve.mean_shift) == (1, 0, timedelta(days=-1))
    assert (resolve.before.rate, resolve.after.rate, resolve.newly_late) == (1.0, 0.0, 1)
    assert (sent.earlier, sent.later, sent.mean_shift, sent.newly_late) == (0, 0, None, 0)
    assert found.moved == {}
    assert found.late_codes == ["BP-1"]
    assert (found.units["a"].led, found.units["a"].led_after) == (1, 1)


def test_the_same_rules_change_nothing():
    found = compare([(a_case(resolving("05T10:00")), OLD)], a_book(), {}, NOW)
    assert all(not each.earlier + each.later + each.newly_late + each.newly_kept for each in found.stages.values())
    assert found.moved == {}


def test_another_lead_takes_the_load_and_its_own_hours():
    # 4 working hours from Tuesday 08:30: a has 3:00 before lunch and 1:00 after, due 14:30; b works in the mornings and
    # has 1:00 left for Wednesday: 08:00.
    accept = Ran("accept", "a", at("03T08:30"), at("03T15:00"), met=True)
    found = one(a_case(accept), a_book(road="b"))
    (clock,) = found.clocks
    assert (found.lead, found.lead_after, clock.holder, clock.holder_after) == ("a", "b", "a", "b")
    assert (clock.due, clock.due_after) == (at("03T14:30"), at("04T08:00"))
    assert (clock.kept, clock.kept_after) == (False, True)
    result = compare([(a_case(accept), OLD)], a_book(road="b"), {"b": MORNINGS}, NOW)
    assert result.moved == {("a", "b"): 1}
    assert [(code, unit.led, unit.led_after) for code, unit in result.by_load()] == [("a", 1, 0), ("b", 0, 1)]


def test_a_lead_that_a_person_chose_stays_where_the_rules_agree():
    chosen = a_case(resolving("05T10:00", holder="b"), lead="b")
    assert one(chosen, a_book(resolve="1d/working")).lead_after == "b"
    assert one(chosen, a_book(road="centre")).lead_after == "centre"


def test_what_waits_at_the_centre_goes_where_the_rules_say_and_what_was_answered_there_is_nobodys_load():
    waiting, answered = a_case(lead=None, awaits_lead=True), a_case(lead=None)
    assert (one(waiting, a_book(road="b")).lead, one(waiting, a_book(road="b")).lead_after) == ("a", "b")
    assert (one(answered, a_book(road="b")).lead, one(answered, a_book(road="b")).lead_after) == (None, None)


def test_who_helped_keeps_their_part_whoever_leads():
    helped = Ran("contribute", "b", at("03T08:30"), at("05T10:00"), met=True)
    (clock,) = one(a_case(helped), a_book(road="centre", resolve="1d/working")).clocks
    # No rule gives who helps a limit of their own: they have as long as the lead. b's mornings close at 11:30.
    assert (clock.holder_after, clock.due, clock.due_after) == ("b", at("05T11:30"), at("04T11:30"))


def test_the_draft_may_leave_the_reply_to_the_centre():
    reply = Ran("reply", "a", at("03T08:30"), at("03T10:00"), met=True)
    (clock,) = one(a_case(reply), a_book(approve_by="centre")).clocks
    assert (clock.holder, clock.holder_after) == ("a", "centre")


def test_a_result_goes_on_where_it_stood():
    pairs = [(a_case(resolving("05T10:00")), OLD)] * 3
    draft, whole = a_book(resolve="1d/working"), None
    for pair in pairs:
        whole = compare([pair], draft, {}, NOW, whole)
    assert whole == compare(pairs, draft, {}, NOW)


AMOUNTS = st.sampled_from(["30min/calendar", "4h/working", "1d/working", "5d/working", "15d/calendar"])
MOMENTS = st.integers(0, 60 * 24 * 60).map(lambda minutes: at("01T00:00") - timedelta(minutes=minutes))


@given(AMOUNTS, AMOUNTS, MOMENTS, st.timedeltas(timedelta(), timedelta(days=20)), st.sampled_from(["a", "b"]))
def test_a_replay_is_what_the_rules_say_when_asked_again(
    old: str, new: str, opened: datetime, took: timedelta, lead: str
):
    before, after = a_book(resolve=old), a_book(road=lead, resolve=new)
    facts = Facts(received_at=opened, field="infra.road")
    past = PastCase("x", facts, "a", (Ran("resolve", "a", opened, opened + took, met=True),))
    (found,) = replay(past, before, after, {"b": MORNINGS}, NOW).clocks
    limit = decide(facts, replace(after)).limit("resolve")
    assert limit is not None
    wanted = due(opened, limit.amount, MORNINGS if lead == "b" else PROVINCE)
    assert found.due_after == wanted
    assert found.kept_after == (opened + took <= wanted)
    assert found.due == due(opened, Amount.parse(old), PROVINCE)
