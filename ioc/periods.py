"""A period as whole months and the days at its edges, so that long ones are read from few rows. Pure."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta

LONGEST_BY_DAY = 92  # longer periods are drawn by month


@dataclass(frozen=True, slots=True)
class Period:
    """Local days `from_` to `to`, both included."""

    from_: date
    to: date

    @property
    def days(self) -> int:
        """How many."""
        return (self.to - self.from_).days + 1

    @property
    def before(self) -> "Period":
        """As many days, just before."""
        length = min(self.days, (self.from_ - date.min).days or 1)
        return Period(self.from_ - timedelta(days=length), self.from_ - timedelta(days=1))

    @property
    def by_month(self) -> bool:
        """Whether it is drawn by month."""
        return self.days > LONGEST_BY_DAY

    def months(self) -> tuple[date, date]:
        """[first, after): the whole months inside; empty and behind the last day when there are none."""
        first = self.from_ if self.from_.day == 1 else _next_month(self.from_)
        end = self.to + timedelta(days=1)
        after = end.replace(day=1)
        return (first, after) if first < after else (end, end)

    def steps(self) -> list["Period"]:
        """The days, or of a long period the months cut at its ends, in order."""
        if not self.by_month:
            days = [self.from_ + timedelta(days=n) for n in range(self.days)]
            return [Period(day, day) for day in days]
        found, first = [], self.from_
        while first <= self.to:
            last = min(first.replace(day=monthrange(first.year, first.month)[1]), self.to)
            found.append(Period(first, last))
            first = last + timedelta(days=1)
        return found


def _next_month(day: date) -> date:
    return day.replace(day=1) + timedelta(days=monthrange(day.year, day.month)[1])
