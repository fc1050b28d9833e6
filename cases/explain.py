"""Why a case went where it went, and why by then: the rule set it was opened under, told for its facts."""

from typing import Any

from cases.models import Case
from routing.decide import Facts
from routing.explaining import explain
from routing.queries import Routing
from routing.rule_known import SEVERAL_UNITS


def facts_of(case: Case) -> Facts:
    """The case as the rules see it."""
    return Facts(
        received_at=case.received_at,
        field=case.field,
        urgency=case.urgency,
        kind=case.kind,
        track=case.track,
        area=case.area,
        channel=case.channel,
        mode=case.mode,
        competence_clear=case.field is not None,
        flags=frozenset({SEVERAL_UNITS}) if len(case.units) > 1 else frozenset(),
    )


def explain_case(case: Case, routing: Routing) -> dict[str, Any]:
    """The decision rule by rule and the deadlines hour by hour, as if every stage opened at received_at."""
    book = routing.rulebook(case.rule_set_id)
    told = explain(facts_of(case), book).to_dict()
    return {"rule_set": f"{book.code} v{book.version}", **told}
