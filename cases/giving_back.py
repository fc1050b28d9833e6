"""Until when a unit may give back what it was given: a right that ends, not a debt that is late.

So it is no clock of `cases.limits`, which would be reminded of and charged; it is worked out by the present calendars.
"""

from datetime import datetime

from cases.facts import facts_of
from cases.models import Assignment, Case
from routing.decide import Rulebook, decide
from routing.queries import Routing
from routing.working_time import due

STAGE = "give_back"
SINCE = "give_back_since"  # member of a case's decision: when its limit for giving back became another


def give_back_until(case: Case, part: Assignment, routing: Routing, book: Rulebook) -> datetime | None:
    """Until when, in the zone of the unit's calendar; None when the rules set no limit.

    Counted from when the unit was given the case. Where a case that was decided anew has another limit, which would
    have been over at that moment already, the count begins then: nobody loses a right before they can know of it.
    """
    limit = decide(facts_of(case), book).limit(STAGE)
    if limit is None:
        return None
    calendar = routing.calendar_of(part.department, book)
    until = due(part.opened_at, limit.amount, calendar, day_end=book.day_end)
    since = datetime.fromisoformat(case.decision[SINCE]) if SINCE in case.decision else part.opened_at
    return due(since, limit.amount, calendar, day_end=book.day_end) if until <= since else until
