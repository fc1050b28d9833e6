"""What a board's address asks for: a period and a part of the province; and the addresses of the lists behind it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlencode

from fastapi import Request

from cases.conditions import areas_meant, fields_meant
from cases.views import NONE, Geography
from core.errors import Invalid
from ioc.board import Scope
from ioc.periods import Period
from routing.queries import Routing

PERIODS = ("today", "7", "14", "30", "90", "year", "own")
USUAL = "14"
EARLIEST, LONGEST = date(2000, 1, 1), 366 * 5  # days that may be asked for


@dataclass(frozen=True, slots=True)
class Asked:
    """A board as its address names it; `wrong` is what could not be understood, and the usual period is shown."""

    choice: str
    period: Period
    from_: str
    to: str
    department: str | None
    field: str | None
    area: str | None
    channel: str | None
    restricted: bool  # whether whoever looks sees restricted cases too, which no figure counts
    wrong: Invalid | None = None
    geography: Geography = "stored"

    def scope(self, routing: Routing, at: datetime) -> Scope:
        """The part of the province, as figures know it."""
        area = _known(self.area)
        areas = None if area is None else tuple(areas_meant(area, self.geography, routing, at))
        fields = None if self.field is None else tuple(fields_meant(_known(self.field), routing))
        return Scope(self.department, fields, self.channel, areas)

    @property
    def query(self) -> str:
        """The board again."""
        own = {"from": self.from_, "to": self.to} if self.choice == "own" else {}
        return urlencode(_said({"period": self.choice, **own, **self._sides, **self._by_today}))

    @property
    def _by_today(self) -> dict[str, str]:
        return {"geography": "today"} if self.geography == "today" else {}

    @property
    def narrowed(self) -> bool:
        """Whether only a part of the province is shown."""
        return any(self._sides.values())

    @property
    def _sides(self) -> dict[str, str | None]:
        return {"department": self.department, "field": self.field, "area": self.area, "channel": self.channel}

    def at_work(self, side: Mapping[str, str | None] | None = None, /, **more: str) -> str:
        """The list of cases at work here, or in one place besides."""
        return self._cases({"open": "true", **more}, side)

    def received(self, first: date | None, last: date | None, side: Mapping[str, str | None] | None = None) -> str:
        """The list of cases received on these days."""
        return self._cases(_days("received", first, last), side)

    def behind(self, figure: str, period: Period, side: Mapping[str, str | None] | None = None) -> str:
        """The list of cases behind a figure."""
        sides = {**self._sides, **(side or {})}
        where = {f"figure_{name}": value for name, value in sides.items()}
        return _console({"figure": figure, **_days("figure", period.from_, period.to), **where, **self._by_today})

    def _cases(self, asked: Mapping[str, str | None], side: Mapping[str, str | None] | None) -> str:
        sides = {**self._sides, **(side or {})}
        ordinary = {"restricted": "false"} if self.restricted else {}
        return _console({**asked, "lead": sides.pop("department"), **sides, **ordinary, **self._by_today})


def read_asked(request: Request, today: date, *, restricted: bool) -> Asked:
    """The board an address asks for; what it does not say is the usual."""
    given = {name: value.strip()[:80] for name, value in request.query_params.items()}
    choice = given.get("period") or USUAL
    wrong: Invalid | None = None
    try:
        period = _period(choice, given, today)
    except Invalid as problem:
        wrong, period = problem, _period(USUAL, given, today)
    return Asked(
        choice=choice if choice in PERIODS else USUAL,
        period=period,
        from_=given.get("from") or period.from_.isoformat(),
        to=given.get("to") or period.to.isoformat(),
        department=given.get("department") or None,
        field=given.get("field") or None,
        area=given.get("area") or None,
        channel=given.get("channel") or None,
        restricted=restricted,
        wrong=wrong,
        geography="today" if given.get("geography") == "today" else "stored",
    )


def _period(choice: str, given: Mapping[str, str], today: date) -> Period:
    if choice == "own":
        return _own(given.get("from", ""), given.get("to", ""), today)
    if choice == "year":
        return Period(today.replace(month=1, day=1), today)
    days = {"today": 1, "7": 7, "14": 14, "30": 30, "90": 90}.get(choice)
    if days is None:
        raise Invalid.at("period", "Không có kỳ số liệu này.", "There is no such period.")
    return Period(today - timedelta(days=days - 1), today)


def _own(first: str, last: str, today: date) -> Period:
    try:
        period = Period(date.fromisoformat(first), date.fromisoformat(last) if last else today)
    except ValueError:
        raise Invalid.at("from", "Mời chọn ngày đầu và ngày cuối.", "Choose the first and the last day.") from None
    if period.from_ > period.to:
        raise Invalid.at("to", "Ngày cuối phải từ ngày đầu trở đi.", "The last day must not be before the first.")
    if period.from_ < EARLIEST or period.to > today or period.days > LONGEST:
        raise Invalid.at("from", "Kỳ dài nhất là 5 năm, đến hôm nay.", "The longest period is five years, up to today.")
    return period


def _days(name: str, first: date | None, last: date | None) -> dict[str, str | None]:
    return {f"{name}_from": first.isoformat() if first else None, f"{name}_to": last.isoformat() if last else None}


def _said(asked: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in asked.items() if value}


def _console(asked: Mapping[str, str | None]) -> str:
    return f"/console?{urlencode(_said(asked))}"


def _known(code: str | None) -> str | None:
    return "" if code == NONE else code
