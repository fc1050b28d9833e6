"""The coordination rules in force, read from their tables into one immutable value that a process shares."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from datetime import time as wall_time
from math import inf
from typing import cast
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import Unavailable
from routing import models, seeds
from routing.calendars import build as build_calendar
from routing.decide import CaseField, Facts, Rulebook
from routing.directory import Department, Directory, Heir
from routing.explaining import Explanation, explain
from routing.places import Gazetteer, Place
from routing.rule_building import build
from routing.rule_drafts import RuleSetDraft
from routing.rulesets import parse_rule_set
from routing.working_time import Calendar, DayRow, Span

PROVINCE = "province"  # code of the calendar that holds where a department has none of its own
FRESH_FOR = 2.0  # seconds a process may go on with what it read; activation takes hold everywhere within twice that


@dataclass(frozen=True, slots=True)
class DatedRulebook:
    """A rulebook with its row's id and the moments between which cases are opened under it."""

    id: UUID
    valid_from: datetime
    valid_to: datetime | None
    book: Rulebook


@dataclass(frozen=True, slots=True)
class Routing:
    """Departments, fields, areas, calendars and every rule set that cases were ever opened under."""

    rulebooks: tuple[DatedRulebook, ...]
    directory: Directory
    fields: Mapping[str, CaseField]
    field_rows: Mapping[str, models.CaseField]
    places: Gazetteer
    calendars: Mapping[str, Calendar]
    departments: Mapping[str, models.Department]
    wordings: Mapping[tuple[str, str, str], str] = field(default_factory=dict)  # (sentence, form, language) → own words
    mode: str = "normal"  # of the centre now: what new cases are opened under

    def at(self, moment: datetime) -> DatedRulebook:
        """The rule set in force at a moment; before the first one, the first."""
        for dated in self.rulebooks:
            if dated.valid_from <= moment and (dated.valid_to is None or moment < dated.valid_to):
                return dated
        if self.rulebooks and moment < self.rulebooks[0].valid_from:
            return self.rulebooks[0]
        raise Unavailable(
            "Hệ thống chưa có bộ quy tắc phối hợp đang hiệu lực.", "No coordination rule set is in force."
        )

    def rulebook(self, rule_set_id: UUID) -> Rulebook:
        """The rulebook a case was opened under."""
        for dated in self.rulebooks:
            if dated.id == rule_set_id:
                return dated.book
        raise Unavailable("Bộ quy tắc của phản ánh này không còn.", f"Rule set {rule_set_id} is missing.")

    def calendar_of(self, holder: str, book: Rulebook) -> Calendar:
        """The calendar a department's working clock runs by: one stored under its code, else the province's."""
        return self.calendars.get(holder, book.calendar)

    def explain(self, facts: Facts, book: Rulebook) -> Explanation:
        """A decision told as clocks really run: departments that keep hours of their own by their own calendar."""
        return explain(facts, book, self.calendars)

    def area(self, code: str | None) -> Place | None:
        """The area with this code."""
        return self.places.get(code) if code else None


_BEGAN = "rules forgotten before"


class RoutingCache:
    """The process's present Routing; looked at again when older than FRESH_FOR, read again when something changed.

    One request looks for all: while it does, the others go on with what they have, for at most as long again.
    """

    def __init__(self) -> None:
        self._value: Routing | None = None
        self._stamp: object = None
        self._read_at = -inf
        self._looking = False
        self._forgotten = 0

    def forget(self) -> None:
        """Look again before the next use: what was changed here is seen here at once."""
        self._read_at = -inf
        self._forgotten += 1

    def begin(self, session: AsyncSession) -> None:
        """To be told of a session that sees one moment only, before it begins: it may not see what is changed later."""
        session.info[_BEGAN] = self._forgotten

    @property
    def fresh(self) -> Routing | None:
        """The value if it may still be used without asking the database."""
        usable = FRESH_FOR * 2 if self._looking else FRESH_FOR
        return self._value if time.monotonic() - self._read_at <= usable else None

    @property
    def mode(self) -> str:
        """The centre's mode as last read: for what is shown around a page."""
        return self._value.mode if self._value is not None else "normal"

    @property
    def directory(self) -> Directory | None:
        """Departments and areas as last read: for what is shown around a page."""
        return self._value.directory if self._value is not None else None

    async def get(self, session: AsyncSession) -> Routing:
        """The rules in force, at most FRESH_FOR seconds old; twice that while another request looks."""
        value = self.fresh
        if value is not None:
            return value
        self._looking = True
        began = session.info.get(_BEGAN, self._forgotten)
        try:
            stamp = await _stamp(session)
            value = self._value
            if value is None or stamp != self._stamp:
                value = await load(session)
                for row in (*value.departments.values(), *value.field_rows.values()):
                    session.expunge(row)  # else they would be lost to all when this request's transaction rolls back
            if began == self._forgotten:  # else it may have been read before the change that is to be seen
                self._value, self._stamp, self._read_at = value, stamp, time.monotonic()
        finally:
            self._looking = False
        return value


_TABLES = (
    "departments", "department_names", "department_heirs", "fields", "areas", "area_names", "calendars",
    "calendar_weeks", "calendar_days", "rule_sets", "wordings", "modes",
)  # fmt: skip
_STAMP = text(
    " UNION ALL ".join(f"SELECT count(*), sum(hashtextextended(t::text, 0)) FROM {table} t" for table in _TABLES)  # noqa: S608
)


async def _stamp(session: AsyncSession) -> object:
    """Differs whenever a table of the rules was written to, by whom or what ever."""
    return tuple(tuple(row) for row in (await session.execute(_STAMP)).all())


async def load(session: AsyncSession) -> Routing:
    """Read everything the rules consist of."""
    areas = (await session.exec(select(models.Area))).all()
    departments = {row.code: row for row in (await session.exec(select(models.Department))).all()}
    field_rows = {row.code: row for row in (await session.exec(select(models.CaseField))).all()}
    fields = _fields(field_rows.values())
    directory = await _directory(session, departments.values(), areas)
    gazetteer = Gazetteer([cast(Place, place) for place in directory.areas.values()])
    calendars = await read_calendars(session)
    sets = (
        await session.exec(
            select(models.RuleSet)
            .where(col(models.RuleSet.state).in_(("active", "retired")))
            .order_by(col(models.RuleSet.valid_from))
        )
    ).all()
    books = []
    for row in sets:
        book = as_in_force(build(await read_draft(session, row), directory, fields), calendars)
        books.append(DatedRulebook(row.id, row.valid_from, row.valid_to, book))
    own = await read_wordings(session)
    mode = await read_mode(session)
    return Routing(tuple(books), directory, fields, field_rows, gazetteer, calendars, departments, own, mode)


async def read_mode(session: AsyncSession) -> str:
    """The mode that is switched on, `normal` when none is."""
    return (await session.exec(select(models.Mode.mode).where(col(models.Mode.until).is_(None)))).first() or "normal"


def as_in_force(book: Rulebook, calendars: Mapping[str, Calendar]) -> Rulebook:
    """The rulebook as cases are counted by it: by the stored calendar of the province, not by the one it was written
    with, which holds where none is stored."""
    return replace(book, calendar=calendars[PROVINCE]) if PROVINCE in calendars else book


async def read_wordings(session: AsyncSession) -> dict[tuple[str, str, str], str]:
    """Sentences to citizens as the centre words them, where it does not leave them as shipped."""
    rows = (await session.exec(select(models.Wording).order_by(col(models.Wording.id)))).all()
    newest = {(row.name, row.form, row.language): row.text for row in rows}
    return {which: text for which, text in newest.items() if text is not None}


async def read_draft(session: AsyncSession, row: models.RuleSet) -> RuleSetDraft:
    """A stored rule set in the form of its YAML."""
    rules = (
        await session.exec(
            select(models.RuleRow)
            .where(models.RuleRow.rule_set_id == row.id)
            .order_by(col(models.RuleRow.rank), col(models.RuleRow.position))
        )
    ).all()
    return parse_rule_set(
        {
            **row.settings,
            "leads": [rule.body for rule in rules if rule.kind == "lead"],
            "limits": [rule.body for rule in rules if rule.kind == "limit"],
        }
    )


async def read_directory(session: AsyncSession) -> Directory:
    """Departments and areas as the tables have them now."""
    departments = (await session.exec(select(models.Department))).all()
    return await _directory(session, departments, (await session.exec(select(models.Area))).all())


async def _directory(
    session: AsyncSession, departments: Iterable[models.Department], areas: Iterable[models.Area]
) -> Directory:
    names = (await session.exec(select(models.DepartmentName))).all()
    heirs = (await session.exec(select(models.DepartmentHeir).order_by(col(models.DepartmentHeir.position)))).all()
    area_names = (await session.exec(select(models.AreaName))).all()
    return directory_of(departments, areas, names, heirs, area_names)


async def read_fields(session: AsyncSession) -> dict[str, CaseField]:
    """The fields of the second level as the table has them now."""
    return _fields((await session.exec(select(models.CaseField))).all())


async def read_calendars(session: AsyncSession) -> dict[str, Calendar]:
    """Every calendar as the tables have it now."""
    days: dict[str, list[DayRow]] = {}
    for day in (await session.exec(select(models.CalendarDay))).all():
        windows = tuple(Span.parse(window) for window in day.windows)
        days.setdefault(day.calendar, []).append(
            DayRow(day.day, "work" if windows else "off", windows or None, day.label, day.source)
        )
    weeks: dict[str, list[tuple[date, list[list[Span]]]]] = {}
    for dated in (await session.exec(select(models.CalendarWeek))).all():
        weeks.setdefault(dated.calendar, []).append((dated.valid_from, _spans(dated.week)))
    return {
        row.code: build_calendar(
            row.code, ZoneInfo(row.zone), _spans(row.week), days.get(row.code, []), weeks.get(row.code, [])
        )
        for row in (await session.exec(select(models.WorkCalendar))).all()
    }


def _spans(week: list[list[str]]) -> list[list[Span]]:
    return [[Span.parse(window) for window in windows] for windows in week]


def directory_of(
    departments: Iterable[models.Department],
    areas: Iterable[models.Area],
    names: Iterable[models.DepartmentName] = (),
    heirs: Iterable[models.DepartmentHeir] = (),
    area_names: Iterable[models.AreaName] = (),
) -> Directory:
    """These rows as the rules know them."""
    called: dict[str, list[tuple[date, str]]] = {}
    for name in names:
        called.setdefault(name.code, []).append((name.valid_from, name.name))
    places: dict[str, list[tuple[date, str]]] = {}
    for each in area_names:
        places.setdefault(each.code, []).append((each.valid_from, each.name))
    passed: dict[str, list[Heir]] = {}
    for heir in heirs:
        passed.setdefault(heir.department, []).append(Heir(heir.heir, tuple(heir.areas), tuple(heir.fields)))
    return Directory(
        {row.code: _department(row, called.get(row.code, ()), passed.get(row.code, ())) for row in departments},
        {row.code: _place(row, places.get(row.code, ())) for row in areas},
        seeds.seed_kinds(),
    )


def _fields(rows: Iterable[models.CaseField]) -> dict[str, CaseField]:
    shipped = seeds.seed_fields()
    return {
        row.code: CaseField(
            code=row.code,
            name=row.name,
            urgency=row.urgency,
            kind=shipped[row.code].kind if row.code in shipped else "report",
            public=row.public,
            track=row.track,
            agent_answers=row.code in shipped and shipped[row.code].agent_answers,
            keywords=shipped[row.code].keywords if row.code in shipped else (),
            valid_from=row.valid_from,
            valid_to=row.valid_to,
        )
        for row in rows
        if row.parent is not None
    }


def _place(row: models.Area, names: Iterable[tuple[date, str]]) -> Place:
    return Place(
        code=row.code,
        official_code=row.official_code or "",
        name=row.name,
        type=row.type,
        parent=row.parent,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        successors=tuple(row.successors),
        lat=row.lat,
        lng=row.lng,
        names=tuple(sorted(names)),
    )


def _department(row: models.Department, names: Iterable[tuple[date, str]], heirs: Iterable[Heir]) -> Department:
    return Department(
        code=row.code,
        name=row.name,
        kind=row.kind,
        area=row.area,
        parent=row.parent,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        successor=row.successor,
        heirs=tuple(heirs),
        names=tuple(sorted(names)),
    )


def local_midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a local day, in UTC."""
    return datetime.combine(day, wall_time(), zone).astimezone(UTC)
