"""What lists are narrowed by, as conditions on cases. Of visibility they say nothing: that is `cases.queries`."""

from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from sqlalchemy import Boolean, ColumnElement, and_, false, literal_column, not_, or_
from sqlmodel import col, select

from cases.act_models import STANDING, Commitment
from cases.models import ABOVE, BADLY_RATED, DUE, FLAGGED, IS_OPEN, TRACKED, Assignment, Case, Extension, Limit
from cases.queries import AT_WORK, has_unit
from cases.states import Status
from cases.views import NONE, Ago, Day, Filters, Geography, is_open
from core.db import Moment
from core.staff import Actor, Staff
from routing.decide import Rulebook
from routing.queries import Routing

due_at: ColumnElement[datetime] = literal_column(DUE, Moment())
_FLAGGED: ColumnElement[bool] = literal_column(f"({FLAGGED})", Boolean())
_TRACKED: ColumnElement[bool] = literal_column(TRACKED, Boolean())
_BADLY_RATED: ColumnElement[bool] = literal_column(BADLY_RATED, Boolean())
_RUNNING: ColumnElement[bool] = literal_column(f"({IS_OPEN} OR next_stage = 'publish')", Boolean())


def fields_meant(code: str | None, routing: Routing) -> list[str]:
    """A field and, of one of the first level, those below it."""
    if code is None:
        return []
    return [code, *(each for each, known in routing.field_rows.items() if known.parent == code)]


def areas_meant(code: str | None, geography: Geography, routing: Routing, at: datetime) -> list[str]:
    """The area itself, and by the geography of today all whose cases are counted there now."""
    if code is None:
        return []
    today = at.astimezone(routing.calendars["province"].zone).date()
    return [code] if geography == "stored" else sorted({code, *routing.directory.counted_in(code, today)})


def conditions(actor: Actor, filters: Filters, routing: Routing, at: datetime) -> list[ColumnElement[bool]]:
    """The filters as conditions on cases, all but the words searched for. Of visibility they say nothing."""
    wanted: list[ColumnElement[bool]] = []
    if is_open(filters):
        wanted.append(AT_WORK)
    if filters.status:
        wanted.append(col(Case.status).in_(list(filters.status)))
    for department in (filters.department, _unit_holding(filters, routing)):
        if department:
            wanted.append(has_unit({department}, at_work=is_open(filters)))
    if filters.field == NONE:
        wanted.append(col(Case.field).is_(None))
    elif filters.field:
        wanted.append(one_of(col(Case.field), fields_meant(filters.field, routing)))
    if filters.area == NONE:
        wanted.append(col(Case.area).is_(None))
    elif filters.area:
        wanted.append(one_of(col(Case.area), areas_meant(filters.area, filters.geography, routing, at)))
    if filters.centre_decides is not None:
        rules = [dated for dated in routing.rulebooks if _centre_decides(filters.centre_decides, dated.book)]
        wanted.append(col(Case.rule_set_id).in_([dated.id for dated in rules]))
    if filters.lead is not None:
        led = col(Case.lead) == filters.lead
        wanted.append(or_(led, col(Case.lead).is_(None)) if filters.lead == routing.directory.centre else led)
    for name, value in (
        ("channel", filters.channel),
        ("urgency", filters.urgency),
        ("track", filters.track),
        ("restricted", filters.restricted),
        ("next_stage", filters.stage),
        ("next_holder", filters.holder),
    ):
        if value is not None:
            wanted.append(getattr(Case, name) == value)
    if filters.track not in (None, "ordinary"):
        wanted.append(_TRACKED)  # so that the partial index is known to hold every row wanted
    return [
        *wanted,
        *_about_time(filters, at),
        *_about_work(filters),
        *_about_people(actor, filters),
        *_about_days(filters, routing, at),
    ]


def _centre_decides(what: str, book: Rulebook) -> bool:
    return (book.approve_by if what == "answer" else book.extend.granted_by) == "centre"


def _unit_holding(filters: Filters, routing: Routing) -> str | None:
    """A unit that owes the next clock has the case: what is theirs is found by their cases."""
    return filters.holder if filters.holder != routing.directory.centre else None


def _about_time(filters: Filters, at: datetime) -> Iterator[ColumnElement[bool]]:
    before = filters.due_before
    if (filters.late or before is not None) and not is_open(filters):
        yield _RUNNING  # all that can be due
    if filters.late is not None:
        yield due_at < at if filters.late else due_at >= at
    if before is not None:
        yield due_at < (at + before if isinstance(before, timedelta) else before)


def _about_work(filters: Filters) -> Iterator[ColumnElement[bool]]:
    if filters.needs_supervisor is not None:
        yield col(Case.needs_supervisor).is_(filters.needs_supervisor)
    if filters.given_back is not None:
        yield col(Case.give_backs) >= filters.given_back
    if filters.needs_supervisor or (filters.given_back or 0) > 0:
        yield _FLAGGED
    if filters.extension_asked is not None:
        asked = select(Extension.id).where(Extension.case_id == Case.id, Extension.state == "requested").exists()
        yield asked if filters.extension_asked else ~asked
    if filters.extension_beyond is not None:
        above = select(Extension.case_id).where(Extension.state == "requested", Extension.beyond)
        yield col(Case.id).in_(above) if filters.extension_beyond else col(Case.id).not_in(above)
    for column, is_there in (
        (Case.incident_id, filters.incident),
        (Case.approved_at, filters.approved),
        (Case.published_at, filters.published),
        (Case.suggested_track, filters.track_suggested),
    ):
        if is_there is not None:
            yield col(column).is_not(None) if is_there else col(column).is_(None)
    if filters.rating:
        yield col(Case.rating).in_(list(filters.rating))
        if max(filters.rating) <= 2:
            yield _BADLY_RATED


def _about_people(actor: Actor, filters: Filters) -> Iterator[ColumnElement[bool]]:
    if filters.assigned == "none":
        yield col(Case.officer_id).is_(None)
    elif filters.assigned == "me":
        yield col(Case.officer_id) == actor.id
    elif filters.assigned:
        named = select(Staff.id).where(Staff.email == filters.assigned.lower())
        yield col(Case.officer_id) == named.scalar_subquery()
    if filters.part is not None:
        ours = one_of(col(Case.lead), sorted(actor.departments))
        helping = has_unit(actor.departments, at_work=is_open(filters))
        yield ours if filters.part == "lead" else and_(helping, not_(ours))
    if filters.above is not None:
        running: list[ColumnElement[bool]] = [
            literal_column(f"({ABOVE})", Boolean()),
            col(Limit.stage) == filters.above,
        ]
        if filters.above_ours:
            running.append(col(Limit.holder).in_(sorted(actor.departments)))
        yield col(Case.id).in_(select(Limit.case_id).where(*running))
    if filters.promise is not None:
        standing = select(Commitment.case_id).where(literal_column(f"({STANDING})", Boolean()))
        if filters.promise == "broken":
            yield col(Case.id).in_(standing.where(Commitment.state == "broken"))
        else:
            made = standing.where(Commitment.state == "open", Commitment.case_id == Case.id)
            yield not_(made.exists())
    owing = select(Assignment.id).where(
        Assignment.case_id == Case.id,
        Assignment.role == "supporting",
        Assignment.state == "open",
        col(Assignment.ended_at).is_(None),
    )
    if filters.support_owed is not None:
        yield owing.exists() if filters.support_owed else ~owing.exists()
    if filters.contribution_owed:
        yield owing.where(col(Assignment.department).in_(sorted(actor.departments))).exists()


def _about_days(filters: Filters, routing: Routing, at: datetime) -> Iterator[ColumnElement[bool]]:
    first, before = received_between(filters, routing, at)
    if first is not None:
        yield col(Case.received_at) >= first
    if before is not None:
        yield col(Case.received_at) < before
    for column, since, until in (
        (Case.replied_at, filters.replied_from, filters.replied_to),
        (Case.ended_at, filters.ended_from, filters.ended_to),
        (Case.ended_at, filters.closed_from, filters.closed_to),
    ):
        if since is not None:
            yield col(column) >= _starts(since, routing, at)
        if until is not None:
            yield col(column) < _starts(until, routing, at, plus=1)
    if filters.closed_from is not None or filters.closed_to is not None:
        yield col(Case.status) == Status.CLOSED.value


def received_between(filters: Filters, routing: Routing, at: datetime) -> tuple[datetime | None, datetime | None]:
    """From when and before when such cases were received; what was answered or ended by a day was received by then."""
    first = _starts(filters.received_from, routing, at) if filters.received_from else None
    last = [day for day in (filters.received_to, filters.replied_to, filters.ended_to, filters.closed_to) if day]
    return first, min((_starts(day, routing, at, plus=1) for day in last), default=None)


def _starts(day: Day, routing: Routing, at: datetime, *, plus: int = 0) -> datetime:
    """When a local day begins."""
    zone = routing.calendars["province"].zone
    plain = at.astimezone(zone).date() - timedelta(days=day.days) if isinstance(day, Ago) else day
    return datetime.combine(plain + timedelta(days=plus), time(), zone)


def one_of(column: Any, values: Sequence[str]) -> ColumnElement[bool]:
    """Whether a column holds one of these values; with one value an index in its order can be walked."""
    if not values:
        return false()
    wanted: ColumnElement[bool] = column == values[0] if len(values) == 1 else column.in_(values)
    return wanted
