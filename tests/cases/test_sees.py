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

AT_ONCE = 256  # people asked for in one statement
UNITS: tuple[tuple[str, ...], ...] = ((), (LEAD,), (LEAD, SUPPORT), (OTHER,))


@pytest.mark.parametrize("departments", [(), (LEAD,), (SUPPORT, OTHER), (OTHER,)])
async def test_the_rule_of_a_case_at_hand_is_the_filter_of_all_lists(
    app: FastAPI, client: AsyncClient, departments: tuple[str, ...]
) -> None:
    """Every set of roles there can be × units that handle the case × units it is about × restricted or not."""
    here = state(app)
    every = chain.from_iterable(combinations(Role, n) for n in range(len(Role) + 1))
    people = [Actor("staff", UUID(int=1), roles=frozenset(some), departments=frozenset(departments)) for some in every]
    assert len(people) == AT_ONCE
    code, _ = await a_report(client)
    compared = 0
    for restricted in (False, True):
        for units in UNITS:
            for accused in UNITS if restricted else UNITS[:1]:  # an ordinary case is about nobody
                async with here.database.transaction() as session:
                    await session.execute(
                        text(
                            "UPDATE cases SET restricted = :r, track = :t, units = :u, accused_units = :a "
                            "WHERE code = :code"
                        ),
                        {
                            "r": restricted,
                            "t": "denunciation" if restricted else "ordinary",
                            "u": list(units),
                            "a": list(accused),
                            "code": code,
                        },
                    )
                    columns = [visible_to(who).label(f"n{n}") for n, who in enumerate(people)]
                    row = (
                        await session.execute(select(Case).add_columns(*columns).where(col(Case.code) == code))
                    ).one()
                    case, *answers = row
                    assert [sees(who, case) for who in people] == answers, (restricted, units, accused)
                    compared += len(answers)
    assert compared == len(UNITS) * (len(UNITS) + 1) * AT_ONCE
