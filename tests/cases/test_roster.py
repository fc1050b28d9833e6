"""Who is told: on duty, else the stand-in, else the head, else the centre's supervisor; never nobody."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from cases import duty
from cases.roster import How, Roster
from core.errors import Invalid, NotAllowed
from core.staff import Actor, Role
from tests.factories import CENTRE, LEAD, OTHER, staff_id, state

AT = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)
UNIT = "so-xd"
WHO: Mapping[str, tuple[tuple[Role, ...], tuple[str, ...]]] = {
    "an": ((Role.OFFICER,), (UNIT,)),
    "binh": ((Role.OFFICER,), (UNIT,)),
    "chi": ((Role.HEAD,), (UNIT,)),
    "dung": ((Role.HEAD,), (UNIT,)),
    "em": ((Role.OFFICER,), ("so-yte",)),
    "giang": ((Role.SUPERVISOR,), (CENTRE,)),
    "hoa": ((Role.SUPERVISOR,), (CENTRE,)),
    "khanh": ((Role.DISPATCHER,), (CENTRE,)),
    "lan": ((Role.ADMIN,), ()),
    "minh": ((Role.INSPECTOR,), ()),
    "nga": ((Role.INSPECTOR,), (UNIT,)),
    "oanh": ((Role.LEADER,), ()),
}
IDS = {name: UUID(int=number) for number, name in enumerate(WHO, 1)}
NAMES = {id: name for name, id in IDS.items()}


def roster(
    *,
    shifts: Mapping[str, str] = {},
    away: str = "",
    deputies: Mapping[str, str] = {},
    named: Mapping[str, str] = {},
    without: str = "",
) -> Roster:
    """Names in words; `without`: who does not work here."""
    people = {
        IDS[name]: Actor("staff", IDS[name], name, roles=frozenset(roles), departments=frozenset(homes))
        for name, (roles, homes) in WHO.items()
        if name not in without.split()
    }

    def ids(names: str) -> tuple[UUID, ...]:
        return tuple(IDS[name] for name in names.split())

    return Roster(
        CENTRE,
        people,
        {department: ids(names) for department, names in shifts.items()},
        frozenset(ids(away)),
        {IDS[name]: ids(names) for name, names in deputies.items()},
        {role: ids(names) for role, names in named.items()},
    )


def told(names: str, how: How) -> tuple[set[str], How]:
    return set(names.split()), how


@pytest.mark.parametrize(
    ("role", "given", "expected"),
    [
        # on duty
        (Role.OFFICER, {"shifts": {UNIT: "an"}}, told("an", How.ON_DUTY)),
        (Role.OFFICER, {"shifts": {UNIT: "an binh"}}, told("an binh", How.ON_DUTY)),
        (Role.OFFICER, {"shifts": {UNIT: "an binh"}, "away": "an"}, told("binh", How.ON_DUTY)),
        (Role.OFFICER, {"shifts": {UNIT: "chi"}}, told("chi", How.ON_DUTY)),  # a head takes a shift
        (Role.HEAD, {"shifts": {UNIT: "an dung"}}, told("dung", How.ON_DUTY)),  # an officer is no head
        # the stand-in of who should be on duty
        (Role.OFFICER, {"shifts": {UNIT: "an"}, "away": "an", "deputies": {"an": "binh"}}, told("binh", How.DEPUTY)),
        (
            Role.OFFICER,
            {"shifts": {UNIT: "an"}, "away": "an binh", "deputies": {"an": "binh dung"}},
            told("dung", How.DEPUTY),  # the next one
        ),
        (
            Role.OFFICER,
            {"shifts": {UNIT: "an"}, "away": "an binh", "deputies": {"an": "binh", "binh": "dung an"}},
            told("dung", How.DEPUTY),  # the stand-in's stand-in; a circle ends
        ),
        (
            Role.OFFICER,
            {"shifts": {UNIT: "an"}, "away": "an", "deputies": {"an": "em"}},
            told("chi dung", How.HEAD),  # of another department: knows nothing of these cases
        ),
        # the head
        (Role.OFFICER, {}, told("chi dung", How.HEAD)),  # nobody is planned
        (Role.OFFICER, {"shifts": {"so-yte": "em"}}, told("chi dung", How.HEAD)),
        (Role.OFFICER, {"away": "chi"}, told("dung", How.HEAD)),
        (Role.HEAD, {"away": "chi dung", "deputies": {"chi": "an"}}, told("an", How.DEPUTY)),
        # the centre's supervisor
        (Role.OFFICER, {"away": "chi dung"}, told("giang hoa", How.SUPERVISOR)),
        (Role.OFFICER, {"away": "chi dung", "shifts": {CENTRE: "hoa khanh"}}, told("hoa", How.SUPERVISOR)),
        (Role.OFFICER, {"away": "chi dung giang"}, told("hoa", How.SUPERVISOR)),
        (
            Role.OFFICER,
            {"away": "chi dung giang hoa", "deputies": {"hoa": "khanh"}},
            told("khanh", How.SUPERVISOR),
        ),
        (Role.OFFICER, {"away": "chi dung giang hoa"}, told("giang hoa", How.SUPERVISOR)),  # away, but never nobody
        (Role.OFFICER, {"without": "chi dung giang hoa"}, told("lan", How.ADMIN)),
    ],
)
def test_the_chain_goes_from_the_duty_to_the_supervisor(role: Role, given: dict, expected: tuple) -> None:
    found = roster(**given).on_duty(UNIT, role)
    assert ({NAMES[id] for id in found.people}, found.how) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"shifts": {CENTRE: "khanh"}}, told("khanh", How.ON_DUTY)),
        ({"shifts": {CENTRE: "hoa"}}, told("hoa", How.ON_DUTY)),
        ({}, told("giang hoa", How.SUPERVISOR)),  # the centre has no head
    ],
)
def test_at_the_centre_dispatchers_are_on_duty(given: dict, expected: tuple) -> None:
    found = roster(**given).on_duty(CENTRE, Role.DISPATCHER)
    assert ({NAMES[id] for id in found.people}, found.how) == expected


@pytest.mark.parametrize(
    ("officer", "given", "expected"),
    [
        ("an", {"shifts": {UNIT: "binh"}}, told("an", How.OFFICER)),  # whose case it is, on duty or not
        ("an", {"away": "an", "deputies": {"an": "binh"}}, told("binh", How.DEPUTY)),
        ("an", {"away": "an", "shifts": {UNIT: "binh"}}, told("binh", How.ON_DUTY)),
        ("an", {"without": "an"}, told("chi dung", How.HEAD)),
        ("em", {"shifts": {UNIT: "binh"}}, told("binh", How.ON_DUTY)),  # the officer of another unit in the same case
    ],
)
def test_whose_case_it_is_comes_before_whoever_is_on_duty(officer: str, given: dict, expected: tuple) -> None:
    found = roster(**given).owing(IDS[officer], UNIT, Role.OFFICER)
    assert ({NAMES[id] for id in found.people}, found.how) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "minh"),
        ({"away": "minh", "deputies": {"minh": "nga"}}, "minh"),  # the stand-in belongs to the accused unit
        ({"away": "minh"}, "minh"),
    ],
)
def test_of_a_restricted_case_only_inspectors_hear_who_may(given: dict, expected: str) -> None:
    found = roster(**given).inspectors(lambda who: Role.INSPECTOR in who.roles and UNIT not in who.departments)
    assert ({NAMES[id] for id in found.people}, found.how) == told(expected, How.INSPECTOR)


def test_who_may_not_see_it_is_passed_over_on_every_step() -> None:
    given = roster(shifts={UNIT: "an"}, deputies={"an": "binh"})
    found = given.on_duty(UNIT, Role.OFFICER, lambda who: who.name not in ("an", "binh", "chi", "dung", "giang"))
    assert ({NAMES[id] for id in found.people}, found.how) == told("hoa", How.SUPERVISOR)


def test_a_named_person_who_is_away_is_stood_in_for() -> None:
    given = roster(named={"vice_chair": "oanh"}, away="oanh", deputies={"oanh": "lan"})
    found = given.holder("vice_chair")
    assert found is not None
    assert ({NAMES[id] for id in found.people}, found.how) == told("lan", How.NAMED)
    assert given.holder("owner_dept") is None


_some = st.lists(st.sampled_from(sorted(WHO)), unique=True).map(" ".join)


@given(
    _some,
    _some,
    _some,
    st.dictionaries(st.sampled_from(sorted(WHO)), _some, max_size=5),
    st.sampled_from([Role.OFFICER, Role.HEAD, Role.DISPATCHER, Role.SUPERVISOR]),
    st.sampled_from([UNIT, CENTRE, "abolished"]),
)
def test_it_is_never_nobody(
    shifts: str, away: str, gone: str, deputies: dict[str, str], role: Role, department: str
) -> None:
    without = " ".join(name for name in gone.split() if name != "lan")  # the last administrator cannot be closed
    given = roster(shifts={UNIT: shifts}, away=away, deputies=deputies, without=without)
    found = given.on_duty(department, role)
    assert found.people
    assert all(person in given.people for person in found.people)


async def test_shifts_leave_and_deputies_are_kept_by_the_head_of_the_unit(app: FastAPI) -> None:
    officer, head, other = [await staff_id(app, f"{who}@demo") for who in ("officer", "head", "head2")]
    by_head = Actor("staff", head, roles=frozenset({Role.HEAD}), departments=frozenset({LEAD}))
    stranger = Actor("staff", other, roles=frozenset({Role.HEAD}), departments=frozenset({OTHER}))
    hour = timedelta(hours=1)
    async with state(app).database.transaction() as session:
        assert await duty.on_duty(session, LEAD, Role.OFFICER, AT) == [head]
        added = await duty.add_shift(session, by_head, CENTRE, LEAD, officer, AT, AT + hour, AT, weeks=2)
        assert added == 2
        assert await duty.add_shift(session, by_head, CENTRE, LEAD, officer, AT, AT + hour, AT) == 0  # twice is once
        for moment, told in (
            (AT - timedelta(seconds=1), head),
            (AT, officer),
            (AT + hour, head),  # the end is the next one's beginning
            (AT + timedelta(weeks=1), officer),
        ):
            assert await duty.on_duty(session, LEAD, Role.OFFICER, moment) == [told]
        zone = state(app).settings.zone
        today = AT.astimezone(zone).date()
        await duty.add_leave(session, by_head, CENTRE, LEAD, officer, today, today, zone, AT)
        assert await duty.on_duty(session, LEAD, Role.OFFICER, AT) == [head]
        with pytest.raises(NotAllowed):
            await duty.add_shift(session, stranger, CENTRE, LEAD, officer, AT, AT + hour, AT)
        for person, begins, ends, weeks in (
            (other, AT, AT + hour, 1),  # works elsewhere
            (officer, AT, AT, 1),
            (officer, AT, AT + timedelta(days=8), 1),
            (officer, AT, AT + hour, 27),
        ):
            with pytest.raises(Invalid):
                await duty.add_shift(session, by_head, CENTRE, LEAD, person, begins, ends, AT, weeks=weeks)
        with pytest.raises(Invalid):
            await duty.set_deputies(session, by_head, CENTRE, LEAD, officer, [other], AT)
        with pytest.raises(Invalid):
            await duty.set_deputies(session, by_head, CENTRE, LEAD, officer, [officer], AT)
        await duty.set_deputies(session, by_head, CENTRE, LEAD, officer, [head], AT)
        found = (await duty.roster(session, CENTRE, AT)).on_duty(LEAD, Role.OFFICER)
        assert (found.people, found.how) == ((head,), How.DEPUTY)
        planned = await duty.plan(session, LEAD, AT, AT + timedelta(days=30))
        assert [name for _, name in planned.shifts] == ["Phạm Văn Chuyên Viên"] * 2
        with pytest.raises(NotAllowed):
            await duty.name(session, by_head, "vice_chair", [head], AT)
