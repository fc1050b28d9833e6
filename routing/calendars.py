"""Where a working calendar comes from: the `calendar` part of a rule set, stored rows, and Vietnam's public holidays.

Pure but for reading the seed files beside it. How time is counted is in `working_time.py`.

Public holidays come from the package `holidays`, year by year as they are asked for, and are put right by
`seed/holidays-vn.yaml`. They are those of units with a two-day weekend; a unit that also works on Saturdays
lists what differs under `work` and `off`, which win over the holidays.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

from routing.working_time import WEEKDAYS, Calendar, DayRow, Span, overlap

SEED = Path(__file__).parent / "seed"
HOLIDAY_YEARS = (2000, 2100)  # the package computes the lunar days up to 2100

_KEYS = ("tz", "week", "holidays", "overrides", "years", "off", "work")
_SHORT = tuple(name[:3].lower() for name in WEEKDAYS)

V = TypeVar("V")


class BadCalendar(ValueError):
    """A calendar that cannot be used; `problems` names each key and what is wrong with it."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@cache
def province_calendar() -> Calendar:
    """The calendar shipped for the province. Holidays are looked up only when a day of their year is asked for."""
    return parse_calendar((SEED / "calendar.yaml").read_text(encoding="utf-8"), code="province")


def parse_calendar(source: str | Mapping[Any, Any], *, code: str = "file") -> Calendar:
    """Read a calendar from YAML text or from a mapping: the `calendar` part of a rule set, or a document that has one.

    `tz` (default Asia/Ho_Chi_Minh); `week`: windows by weekday or range of weekdays, `mon-fri: ["07:00-11:30", …]`;
    `holidays`: `vn` or `none` (default); `overrides`: `file` (default: the shipped corrections to the holidays) or
    `none`; `years`: first and last year that takes holidays; `off` and `work`: days with `date`, `label`, `source`,
    and for `work` `hours` (default: Monday's windows, or the first working day's where Monday has none). They win
    over holidays. BadCalendar lists everything that is wrong.
    """
    document = _load(source) if isinstance(source, str) else source
    part = document.get("calendar", document) if isinstance(document, Mapping) else document
    if not isinstance(part, Mapping):
        raise BadCalendar(["calendar: must be a mapping with the key week"])
    return _Reader(part).calendar(code)


def build(
    code: str,
    zone: str | ZoneInfo,
    week: Sequence[Sequence[Span]],
    rows: Iterable[DayRow],
    later: Iterable[tuple[date, Sequence[Sequence[Span]]]] = (),
) -> Calendar:
    """A calendar from stored rows, the inverse of `Calendar.exceptions`; `later`: weeks that hold from a day on.

    ValueError for what no calendar can hold.
    """
    dated = tuple(sorted((first, tuple(tuple(day) for day in each)) for first, each in later))
    known = zone if isinstance(zone, ZoneInfo) else ZoneInfo(zone)
    windows = tuple(tuple(day) for day in week)
    usual = Calendar(code, known, windows).usual_day
    special = {row.day: row for row in rows}
    days = {day: _worked(row, usual) for day, row in special.items()}
    for day, spans in days.items():
        if problem := overlap(spans):
            raise ValueError(f"{day}: {problem}")
    labels = {day: row.label for day, row in special.items()}
    return Calendar(code, known, windows, days, labels, {day: row.source for day, row in special.items()}, dated)


def _worked(row: DayRow, usual: tuple[Span, ...]) -> tuple[Span, ...]:
    if row.kind == "off":
        return ()
    return usual if row.windows is None else row.windows


# ---- holidays, looked up by the year


class _Holidays:
    """A country's days off and make-up days, each year worked out once, when first asked for."""

    def __init__(self, years: tuple[int, int], corrections: Mapping[date, DayRow]) -> None:
        self.years = years
        self._corrections = corrections
        self._known: dict[int, dict[date, DayRow]] = {}

    def year(self, year: int) -> dict[date, DayRow]:
        if year not in self._known:
            first, last = self.years
            self._known[year] = self._work_out(year) if first <= year <= last else {}
        return self._known[year]

    def _work_out(self, year: int) -> dict[date, DayRow]:
        # Imported here: it costs more than the rest of a start together, and most processes read stored rows.
        import holidays

        found = holidays.country_holidays("VN", years=year, language="vi")
        source = f"holidays {version('holidays')}"
        rows = {day: DayRow(day, "off", None, found[day], source) for day in found}
        for day in found.weekend_workdays:
            rows[day] = DayRow(day, "work", None, "Ngày làm bù", source)
        rows.update(self._corrections)
        return {day: row for day, row in sorted(rows.items()) if day.year == year}


class _Column(Mapping[date, V]):
    """One column of a calendar's special days: those listed in it, then the holidays of the year."""

    def __init__(self, listed: Mapping[date, DayRow], holidays: _Holidays | None, pick: Callable[[DayRow], V]) -> None:
        self._listed, self._holidays, self._pick = listed, holidays, pick

    def __getitem__(self, day: date) -> V:
        row = self._listed.get(day)
        if row is None and self._holidays is not None:
            row = self._holidays.year(day.year).get(day)
        if row is None:
            raise KeyError(day)
        return self._pick(row)

    def __iter__(self) -> Iterator[date]:
        found = set(self._listed)
        if self._holidays is not None:
            for year in range(self._holidays.years[0], self._holidays.years[1] + 1):
                found.update(self._holidays.year(year))
        return iter(sorted(found))

    def __len__(self) -> int:
        return sum(1 for _ in self)


@cache
def _corrections() -> dict[date, DayRow]:
    reader = _Reader(_load((SEED / "holidays-vn.yaml").read_text(encoding="utf-8")))
    rows = reader.special_days()
    if reader.problems:
        raise BadCalendar(reader.problems)
    return rows


# ---- reading


def _load(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadCalendar([f"calendar: not readable as YAML: {' '.join(str(error).split())}"]) from None


class _Reader:
    """Reads one `calendar` part, and collects every problem before it gives up."""

    def __init__(self, part: Mapping[Any, Any]) -> None:
        # YAML 1.1 reads the bare word `off` as false, as a key too.
        self.part = {"off" if key is False else key: value for key, value in part.items()}
        self.problems: list[str] = []

    def calendar(self, code: str) -> Calendar:
        self.problems += [f"{key}: unknown key; known are {', '.join(_KEYS)}" for key in self.part if key not in _KEYS]
        zone, week, special, holidays = self._zone(), self._week(), self.special_days(), self._holidays()
        if not self.problems and not any(week):
            self.problems.append("week: no working time on any day")
        if zone is None or self.problems:
            raise BadCalendar(self.problems)
        usual = Calendar(code, zone, week).usual_day
        return Calendar(
            code,
            zone,
            week,
            days=_Column(special, holidays, lambda row: _worked(row, usual)),
            labels=_Column(special, holidays, lambda row: row.label),
            sources=_Column(special, holidays, lambda row: row.source),
        )

    def special_days(self) -> dict[date, DayRow]:
        rows: dict[date, DayRow] = {}
        for kind in ("off", "work"):
            listed = self.part.get(kind) or []
            if not isinstance(listed, list):
                self.problems.append(f"{kind}: must be a list of days")
                continue
            for index, item in enumerate(listed):
                row = self._special_day(f"{kind}[{index}]", kind == "off", item)
                if row is not None and row.day in rows:
                    self.problems.append(f"{kind}[{index}].date: {row.day} is listed twice")
                elif row is not None:
                    rows[row.day] = row
        return rows

    def _special_day(self, key: str, is_off: bool, item: Any) -> DayRow | None:
        fields = item if isinstance(item, Mapping) else {"date": item}
        allowed = ("date", "label", "source") if is_off else ("date", "hours", "label", "source")
        for name in fields:
            if name not in allowed:
                self.problems.append(f"{key}.{name}: unknown key; known are {', '.join(allowed)}")
        day = _as_date(fields.get("date"))
        if day is None:
            self.problems.append(f"{key}.date: '{fields.get('date')}' is not a date such as 2026-01-02")
        windows = None
        if "hours" in allowed and fields.get("hours") is not None:
            so_far = len(self.problems)
            windows = self._windows(f"{key}.hours", fields["hours"])
            if windows == () and len(self.problems) == so_far:
                self.problems.append(f"{key}.hours: a working day needs a window")
        if day is None:
            return None
        label, source = (str(fields.get(name) or "") for name in ("label", "source"))
        return DayRow(day, "off" if is_off else "work", windows, label, source)

    def _zone(self) -> ZoneInfo | None:
        name = self.part.get("tz", "Asia/Ho_Chi_Minh")
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
            self.problems.append(f"tz: '{name}' is not a time zone such as Asia/Ho_Chi_Minh")
            return None

    def _week(self) -> tuple[tuple[Span, ...], ...]:
        week: list[tuple[Span, ...] | None] = [None] * 7
        given = self.part.get("week")
        if not isinstance(given, Mapping) or not given:
            self.problems.append("week: must give windows by weekday, such as mon-fri: [07:00-11:30]")
            given = {}
        for name, listed in given.items():
            windows = self._windows(f"week.{name}", listed)
            days = _weekdays(str(name))
            if not days:
                self.problems.append(f"week.{name}: unknown weekday; use {', '.join(_SHORT)} or a range as mon-fri")
            for day in days:
                if week[day] is not None:
                    self.problems.append(f"week.{name}: {_SHORT[day]} is given twice")
                week[day] = windows
        return tuple(windows or () for windows in week)

    def _windows(self, key: str, listed: Any) -> tuple[Span, ...]:
        if listed in (None, False, "off"):
            return ()
        spans = []
        for text in [listed] if isinstance(listed, str) else listed if isinstance(listed, list) else [listed]:
            try:
                spans.append(Span.parse(str(text)))
            except ValueError as error:
                self.problems.append(f"{key}: {error}")
        windows = tuple(sorted(spans))
        if problem := overlap(windows):
            self.problems.append(f"{key}: {problem}")
            return ()
        return windows

    def _holidays(self) -> _Holidays | None:
        country, overrides = self.part.get("holidays", "none"), self.part.get("overrides", "file")
        years = self.part.get("years", list(HOLIDAY_YEARS))
        if overrides not in ("file", "none"):
            self.problems.append(f"overrides: '{overrides}' is neither file nor none; single days go to off and work")
        if not _is_range(years):
            self.problems.append("years: must be the first and the last year, such as [2021, 2028]")
        if country in (None, False, "none"):
            return None
        if not isinstance(country, str) or country.lower() != "vn":
            self.problems.append(f"holidays: '{country}' is not known; use vn or none")
        if self.problems:
            return None
        return _Holidays((years[0], years[1]), _corrections() if overrides == "file" else {})


def _weekdays(name: str) -> range:
    first, _, last = name.strip().lower().partition("-")
    known = {full.lower(): index for index, full in enumerate(WEEKDAYS)} | {day: i for i, day in enumerate(_SHORT)}
    start, end = known.get(first.strip()), known.get((last or first).strip())
    return range(0) if start is None or end is None else range(start, end + 1)


def _as_date(value: Any) -> date | None:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        return None


def _is_range(years: Any) -> bool:
    return (
        isinstance(years, list)
        and len(years) == 2
        and all(type(year) is int for year in years)
        and HOLIDAY_YEARS[0] <= years[0] <= years[1] <= HOLIDAY_YEARS[1]
    )
