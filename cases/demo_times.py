"""When things happen in the demo's stories, told relative to the moment of the first start. Pure.

A beginning lies before the start and is written as

    -9w 19:42         on the ninth day with working hours before today, at 19:42
    -5d 08:15         five days ago, at 08:15
    -25min, -3h       so long before the start
    -6h/working       when six working hours were left until the start

and a later step, counted from the one before it, as

    12min, 3h/working after so much time, on the clock named as in rule sets
    19:30             the next time it is half past seven in the evening
    late resolve 2h/working   so long after the case's limit of that stage is due
    any beginning     at that moment

so that a story comes out right whatever the weekday of the start, on Sundays and in the week of Tết.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from routing.working_time import Amount, Calendar, due

_DAY = re.compile(r"-(\d+)([wd]) (\d\d):(\d\d)")
_LATE = re.compile(r"late (\w+) (\S+)")
_CLOCK = re.compile(r"(\d\d):(\d\d)")
_MINUTE = timedelta(minutes=1)


class BadTime(ValueError):
    """Not one of the forms above."""


@dataclass(frozen=True, slots=True)
class Times:
    """The start, in the zone of the calendar, and the province's working hours."""

    start: datetime
    calendar: Calendar

    def beginning(self, when: str) -> datetime:
        """The moment of a form that lies before the start. BadTime for any other text."""
        if found := _DAY.fullmatch(when):
            count, unit, hour, minute = found.groups()
            day = self.start.date()
            for _ in range(int(count)):
                day -= timedelta(days=1)
                while unit == "w" and not self.calendar.windows(day):
                    day -= timedelta(days=1)
            return datetime.combine(day, time(int(hour), int(minute)), self.calendar.zone)
        amount = _amount(when.removeprefix("-"))
        if not when.startswith("-") or amount.unit == "d":
            raise BadTime(when)
        return self._worked_ago(_minutes(amount)) if amount.clock == "working" else self.start - _span(amount)

    def step(self, when: str, after: datetime, due_at: Callable[[str], datetime]) -> datetime:
        """The moment of a step that follows one at `after`; `due_at(stage)` knows the case's limits."""
        if when.startswith("-"):
            return self.beginning(when)
        if found := _LATE.fullmatch(when):
            return self.later(due_at(found[1]), found[2])
        if found := _CLOCK.fullmatch(when):
            local = after.astimezone(self.calendar.zone)
            today = datetime.combine(local.date(), time(int(found[1]), int(found[2])), self.calendar.zone)
            return today if today > local else today + timedelta(days=1)
        return self.later(after, when)

    def later(self, moment: datetime, amount_text: str) -> datetime:
        """So much after a moment: `12min`, `3h/working`."""
        amount = _amount(amount_text)
        return due(moment, amount, self.calendar) if amount.clock == "working" else moment + _span(amount)

    def _worked_ago(self, left: int) -> datetime:
        """The moment from which `left` working minutes remain until the start."""
        day = self.start.date()
        while True:
            midnight = datetime.combine(day, time(), self.calendar.zone)
            for span in reversed(self.calendar.windows(day)):
                opens = midnight + span.start_minute * _MINUTE
                closes = min(midnight + span.end_minute * _MINUTE, self.start)
                open_for = max(0, int((closes - opens) / _MINUTE))
                if open_for >= left:
                    return closes - left * _MINUTE
                left -= open_for
            day -= timedelta(days=1)


def _amount(text: str) -> Amount:
    try:
        return Amount.parse(text if "/" in text else f"{text}/calendar")
    except ValueError:
        raise BadTime(text) from None


def _minutes(amount: Amount) -> int:
    return amount.value * {"min": 1, "h": 60, "d": 24 * 60}[amount.unit]


def _span(amount: Amount) -> timedelta:
    return _minutes(amount) * _MINUTE
