"""Why a case went where it went, and why by then: the rule set it was opened under, told for its facts."""

from typing import Any

from cases.facts import facts_of
from cases.models import Case
from routing.explaining import explain
from routing.queries import Routing


def explain_case(case: Case, routing: Routing) -> dict[str, Any]:
    """The decision rule by rule and the deadlines hour by hour, as if every stage opened at received_at."""
    book = routing.rulebook(case.rule_set_id)
    told = explain(facts_of(case), book).to_dict()
    return {"rule_set": f"{book.code} v{book.version}", **told}
