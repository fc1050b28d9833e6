"""Who may know of a case is one rule: of a case at hand it is what the database's filter says."""

from itertools import chain, combinations
from uuid import UUID

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import text
from sqlmodel import col, select

from cases.models import Case
from cases.queries import sees, visible_to
from core.staff import Actor, Role
from tests.factories import LEAD, OTHER, SUPPORT, a_report, state

UNITS: tuple[tuple[str, ...], ...] = ((), (LEAD,), (LEAD, SUPPORT), (OTHER,))
SOMEBODY = UUID(int=1)
# Restricted, track, confirmed, units that handle it, units it is about, staff it is about.
CASES = [(False, "ordinary", False, units, (), ()) for units in UNITS] + [
    (True, track, confirmed, (LEAD,), accused, staff)
    for track, confirmed in (("denunciation", False), ("crime_tip", False), ("crime_tip", True))
    for accused, staff in (((), ()), ((SUPPORT, OTHER), ()), ((), (SOMEBODY,)))
]


@pytest.mark.parametrize("departments", [(), (LEAD,), (SUPPORT, OTHER), (OTHER,)])
async def test_the_rule_of_a_case_at_hand_is_the_filter_of_all_lists(
    app: FastAPI, client: AsyncClient, departments: tuple[str, ...]
) -> None:
    """Every set of roles there can be, over every kind of case."""
    here = state(app)
    every = list(chain.from_iterable(combinations(Role, n) for n in range(len(Role) + 1)))
    people = [Actor("staff", SOMEBODY, roles=frozenset(some), departments=frozenset(departments)) for some in every]
    assert len(people) == 2 ** len(Role)
    code, _ = await a_report(client)
    told = set()
    for restricted, track, confirmed, units, accused, staff in CASES:
        async with here.database.transaction() as session:
            given = {"r": restricted, "t": track, "f": confirmed, "u": units, "a": accused, "s": staff, "code": code}
            await session.execute(
                text(
                    "UPDATE cases SET restricted = :r, track = :t, track_confirmed = :f, units = :u, "
                    "accused_units = :a, accused_staff = :s WHERE code = :code"
                ),
                {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()},
            )
            columns = [visible_to(who).label(f"n{n}") for n, who in enumerate(people)]
            row = (await session.execute(select(Case).add_columns(*columns).where(col(Case.code) == code))).one()
            case, *answers = row
            assert [sees(who, case) for who in people] == answers, given
            told |= {*answers}
    assert told == {True, False}
