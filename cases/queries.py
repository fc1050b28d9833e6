"""Reads of cases, shaped for those who ask. Visibility lives in `visible_to` and nowhere else."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    String,
    and_,
    cast,
    false,
    func,
    literal_column,
    not_,
    or_,
    text,
    true,
    tuple_,
)
from sqlalchemy import select as sql_select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import citizens, search
from cases.codes import read_code
from cases.models import (
    BADLY_RATED,
    DUE,
    FLAGGED,
    IS_OPEN,
    IS_OVER,
    Assignment,
    Case,
    CaseSearch,
    Entry,
    Extension,
    Identity,
    Limit,
)
from cases.states import Status
from cases.views import NONE, Ago, Day, Filters, Order, View, is_open
from channels import outbox
from channels.models import Outgoing
from core.attachments import Attachment
from core.db import Moment
from core.errors import Conflict, Invalid, NotFound
from core.journal import Journal
from core.staff import CENTRE_ROLES, Actor, Role, Staff
from routing.queries import Routing

_AT_WORK: ColumnElement[bool] = literal_column(f"({IS_OPEN})", Boolean())
_OVER: ColumnElement[bool] = literal_column(f"({IS_OVER})", Boolean())
EVERYTHING_ORDINARY = CENTRE_ROLES | {Role.INSPECTOR, Role.LEADER, Role.ADMIN}


def visible_to(actor: Actor, *, at_work: bool = False) -> ColumnElement[bool]:
    """Which cases this person may know of. `at_work`: said only of open cases, for whoever lists nothing else.

    The centre, leaders and administrators: all ordinary ones. Units: those they lead or support. Restricted tracks:
    inspectors only.
    """
    ordinary = col(Case.restricted).is_(False)
    if actor.roles & EVERYTHING_ORDINARY:
        return true() if Role.INSPECTOR in actor.roles else ordinary
    if actor.departments and actor.roles & {Role.OFFICER, Role.HEAD}:
        return and_(ordinary, has_unit(actor.departments, at_work=at_work))
    return false()


def has_unit(departments: Iterable[str], *, at_work: bool = False) -> ColumnElement[bool]:
    """Whether one of these departments leads or supports the case; `at_work` when only open cases are asked for.

    Open cases and the others have an index each, so that the few at work are not sought among all there ever were.
    """
    some: ColumnElement[bool] = literal_column(
        "cases.units <> '{}'"
    )  # so that the partial index is known to hold every row wanted
    held = and_(some, col(Case.units).bool_op("&&")(cast(sorted(departments), ARRAY(String))))
    return held if at_work else or_(and_(_AT_WORK, held), and_(_OVER, held))


def sees_identity(actor: Actor, case: Case) -> bool:
    """Whether the reporter is shown unmasked: once revealed, and always inside a restricted track."""
    if case.restricted:
        return Role.INSPECTOR in actor.roles
    works_on_it = actor.roles - {Role.LEADER, Role.ADMIN, Role.INSPECTOR}
    return case.identity_revealed and bool(works_on_it)


async def case_by_code(session: AsyncSession, actor: Actor, code: str) -> Case:
    """The case, if this person may see it."""
    standard = read_code(code)
    statement = select(Case).where(Case.code == standard, visible_to(actor))
    found = (await session.exec(statement)).first() if standard else None
    if found is None:
        raise NotFound("Không tìm thấy phản ánh này.", "No such case.")
    return found


async def live_case(session: AsyncSession, actor: Actor, code: str) -> Case:
    """The case behind a code, following merges to the one that goes on; locked, so that it stays that one."""
    standard = read_code(code)
    statement = select(Case).where(Case.code == standard, visible_to(actor)).with_for_update()
    found = (await session.exec(statement)).first() if standard else None
    live = await follow_merges(session, found, lock=True) if found else None
    if live is None or (live.restricted and Role.INSPECTOR not in actor.roles):
        raise Invalid.at("into", "Không tìm thấy phản ánh này.", "No such case.", "unknown")
    return live


async def follow_merges(session: AsyncSession, case: Case, *, lock: bool = False) -> Case:
    """The case a merged one lives on in; itself if not merged."""
    seen = {case.id}
    while case.merged_into is not None:
        statement = select(Case).where(Case.id == case.merged_into)
        case = (await session.exec(statement.with_for_update() if lock else statement)).one()
        if case.id in seen:
            raise Conflict("Các phản ánh này đã gộp vòng tròn.", "These cases are merged in a circle.")
        seen.add(case.id)
    return case


async def reply_to(session: AsyncSession, case: Case) -> str | None:
    """The answer the citizen has been given, if any stands."""
    if case.replied_at is None or case.answer_id is None:
        return None
    return (await session.exec(select(Entry.text).where(Entry.id == case.answer_id))).first()


@dataclass(frozen=True, slots=True)
class Officer:
    """Who works on a case, as a list shows it."""

    email: str
    name: str


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, where it goes on, and the officers named in it by their ids."""

    items: list[Case]
    next_cursor: str | None
    officers: Mapping[UUID, Officer] = field(default_factory=dict)

    def officer_of(self, case: Case) -> str | None:
        """The e-mail of who works on a case of this page."""
        officer = self.officers.get(case.officer_id) if case.officer_id else None
        return officer.email if officer else None


Row = tuple[Case, str | None, str | None]

_due: ColumnElement[datetime] = literal_column(DUE, Moment())
_never: ColumnElement[datetime] = literal_column("'infinity'::timestamptz", Moment())
_FLAGGED: ColumnElement[bool] = literal_column(f"({FLAGGED})", Boolean())
_BADLY_RATED: ColumnElement[bool] = literal_column(BADLY_RATED, Boolean())
_RUNNING: ColumnElement[bool] = literal_column(f"({IS_OPEN} OR next_stage = 'publish')", Boolean())

COUNTED = 1_000  # a view's count stops here and is shown as 999+
LOOKED_AT = 20_000  # newest cases a search walks through before it asks the index of words for all hits
PEOPLES_CASES = 20  # other cases of the same citizen that are shown


async def list_cases(
    session: AsyncSession,
    actor: Actor,
    filters: Filters,
    routing: Routing,
    at: datetime,
    *,
    cursor: str | None,
    limit: int,
    order: Order = "received",
    also: Sequence[ColumnElement[bool]] = (),
) -> Page:
    """Cases this person may see, by keyset; `at` is the moment that "late" and days are counted from, `also` what is
    asked of them besides.

    "received": newest first. "due": the next clock first, cases without one last. Invalid when the cursor is that of
    the other order. One statement, two when a search has to look further than the newest cases.
    """
    after = read_cursor(cursor, order) if cursor else None
    wanted = [visible_to(actor, at_work=is_open(filters)), *conditions(actor, filters, routing, at), *also]
    sought = search.read(filters.q, actor) if filters.q and not filters.q.isspace() else None
    if sought is None or sought.words is None:
        if sought is not None:
            wanted.append(_sought(sought))
        rows = await _rows(session, _ordered(_listed().where(*wanted), order, after), limit)
    else:
        first, before = received_between(filters, routing, at)
        received = col(CaseSearch.received_at)
        bounds = [received >= first] if first else []
        bounds += [received < before] if before else []
        if order == "received" and after is not None:
            bounds.append(tuple_(received, col(CaseSearch.case_id)) < tuple_(*after))
        units = None if actor.roles & EVERYTHING_ORDINARY else actor.departments
        narrowed = search.facets(actor, _facets(filters, routing), fields_meant(filters.field, routing), units)
        matching = search.tsquery(sought.words, narrowed)
        rows = await _found(session, matching, bounds, wanted, order, after, limit)
    last = rows[limit - 1][0] if len(rows) > limit else None
    officers = {case.officer_id: Officer(email, name or "") for case, email, name in rows if case.officer_id and email}
    return Page([case for case, *_ in rows[:limit]], _cursor_of(last, order) if last else None, officers)


async def view_counts(
    session: AsyncSession, actor: Actor, views: Sequence[View], routing: Routing, at: datetime
) -> dict[str, int]:
    """How many cases each view holds for this person, up to COUNTED, in one statement."""
    if not views:
        return {}
    counts = []
    for view in views:
        seen = visible_to(actor, at_work=is_open(view.filters))
        rows = select(Case.id).where(seen, *conditions(actor, view.filters, routing, at))
        if view.order == "due" and not view.filters.status:  # the order keeps the planner on the index of open cases
            rows = rows.order_by(_due, col(Case.id))
        counted = select(func.count()).select_from(rows.limit(COUNTED).subquery())
        counts.append(counted.scalar_subquery().label(f"view_{view.code}"))
    found = (await session.execute(sql_select(*counts))).one()
    return {view.code: count for view, count in zip(views, found, strict=True)}


async def citizen_history(session: AsyncSession, actor: Actor, case: Case) -> list[Case]:
    """Other cases of the same citizen that this person may see, newest first: for the centre, and for inspectors while
    they look at a restricted one. Empty for everyone else."""
    asks = bool(actor.roles & CENTRE_ROLES) or (case.restricted and Role.INSPECTOR in actor.roles)
    if case.citizen_id is None or not asks:
        return []
    return await _of_citizen(session, actor, Case.citizen_id == case.citizen_id, Case.id != case.id)


async def cases_of_phone(session: AsyncSession, actor: Actor, phone: str) -> list[Case]:
    """The newest cases of whoever reports from this number, for the centre. Invalid when it is no number."""
    number = citizens.phone_number(phone, "phone")
    if not actor.roles & CENTRE_ROLES:
        return []
    return await _of_citizen(session, actor, _reported_from(number))


async def _of_citizen(session: AsyncSession, actor: Actor, *whose: ColumnElement[bool] | bool) -> list[Case]:
    statement = (
        select(Case)
        .where(visible_to(actor), *whose)
        .order_by(col(Case.received_at).desc(), col(Case.id).desc())
        .limit(PEOPLES_CASES)
    )
    return list((await session.exec(statement)).all())


def _reported_from(number: str) -> ColumnElement[bool]:
    whose = select(Identity.citizen_id).where(Identity.scheme == "phone", Identity.handle == number)
    return col(Case.citizen_id) == whose.scalar_subquery()


def _sought(sought: search.Sought) -> ColumnElement[bool]:
    """A code or a reporter's number; something without a single word finds nothing."""
    if sought.code is not None:
        return col(Case.code) == sought.code
    return _reported_from(sought.phone) if sought.phone is not None else false()


def _listed(case: Any = Case) -> Any:
    """What a list shows of each case: the case, and e-mail and name of who works on it.

    Looked up for the rows of the page; a join would be made for all that are sorted to find them.
    """
    who = [sql_select(column).where(col(Staff.id) == case.officer_id) for column in (col(Staff.email), col(Staff.name))]
    return sql_select(case, *(each.scalar_subquery() for each in who))


def _ordered(statement: Any, order: Order, after: tuple[Any, UUID] | None, case: Any = Case) -> Any:
    """The statement in this order, going on behind a cursor's place."""
    if order == "due":
        if after is not None:
            statement = statement.where(tuple_(_due, case.id) > tuple_(*after))
        return statement.order_by(_due, case.id)
    if after is not None:
        statement = statement.where(tuple_(case.received_at, case.id) < tuple_(*after))
    return statement.order_by(case.received_at.desc(), case.id.desc())


async def _rows(session: AsyncSession, statement: Any, limit: int) -> list[Row]:
    """The rows of a page, and one more when the list goes on."""
    return [tuple(row) for row in (await session.execute(statement.limit(limit + 1))).all()]


async def _found(
    session: AsyncSession,
    matching: ColumnElement[Any],
    bounds: Sequence[ColumnElement[bool]],
    wanted: list[ColumnElement[bool]],
    order: Order,
    after: tuple[Any, UUID] | None,
    limit: int,
) -> list[Row]:
    """The page of a search for words.

    Common words are met soon by walking back from the newest case; for the others the index of words gives all hits,
    few enough to be sorted. What the words' copy knows of the filters narrows the hits before cases are read.
    """
    tsv, case_id, received = col(CaseSearch.tsv), col(CaseSearch.case_id), col(CaseSearch.received_at)
    if order == "received":
        newest = sql_select(case_id, received, tsv).where(*bounds).order_by(received.desc(), case_id.desc())
        walked = newest.limit(LOOKED_AT).subquery("walked")
        met = sql_select(walked.c.case_id, walked.c.received_at).where(walked.c.tsv.bool_op("@@")(matching))
        rows = await _rows(session, _newest_hits(met.subquery("met"), wanted), limit)
        if len(rows) > limit:
            return rows
    hits = sql_select(case_id, received).where(tsv.bool_op("@@")(matching), *bounds).cte("hits")
    hits = hits.prefix_with("MATERIALIZED")
    if order == "received":
        return await _rows(session, _newest_hits(hits, wanted), limit)
    statement = _listed().join(hits, hits.c.case_id == col(Case.id)).where(*wanted)
    return await _rows(session, _ordered(statement, order, after), limit)


def _newest_hits(hits: Any, wanted: list[ColumnElement[bool]]) -> Any:
    """The cases of these hits, newest first, each looked at only until the page is full."""
    by_time = sql_select(hits.c.case_id, hits.c.received_at).order_by(hits.c.received_at.desc(), hits.c.case_id.desc())
    sorted_hits = by_time.subquery("sorted_hits")
    held = sql_select(Case).where(col(Case.id) == sorted_hits.c.case_id, *wanted).limit(1).lateral("held")
    listed = _listed(aliased(Case, held)).select_from(sorted_hits.join(held, true()))
    return listed.order_by(sorted_hits.c.received_at.desc(), sorted_hits.c.case_id.desc())


def _facets(filters: Filters, routing: Routing) -> Filters:
    """The filters as words know them: nothing stands there for what a case has not."""
    return replace(
        filters,
        lead=None if filters.lead == routing.directory.centre else filters.lead,
        field=None if filters.field == NONE else filters.field,
        area=None if filters.area == NONE else filters.area,
    )


def fields_meant(code: str | None, routing: Routing) -> list[str]:
    """A field and, of one of the first level, those below it."""
    if code is None:
        return []
    return [code, *(each for each, known in routing.field_rows.items() if known.parent == code)]


def conditions(actor: Actor, filters: Filters, routing: Routing, at: datetime) -> list[ColumnElement[bool]]:
    """The filters as conditions on cases, all but the words searched for. Of visibility they say nothing."""
    wanted: list[ColumnElement[bool]] = []
    if is_open(filters):
        wanted.append(_AT_WORK)
    if filters.status:
        wanted.append(col(Case.status).in_(list(filters.status)))
    for department in (filters.department, _unit_holding(filters, routing)):
        if department:
            wanted.append(has_unit({department}, at_work=is_open(filters)))
    if filters.field == NONE:
        wanted.append(col(Case.field).is_(None))
    elif filters.field:
        wanted.append(_one_of(col(Case.field), fields_meant(filters.field, routing)))
    if filters.area == NONE:
        wanted.append(col(Case.area).is_(None))
    elif filters.area:
        wanted.append(col(Case.area) == filters.area)
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
    return [
        *wanted,
        *_about_time(filters, at),
        *_about_work(filters),
        *_about_people(actor, filters),
        *_about_days(filters, routing, at),
    ]


def _unit_holding(filters: Filters, routing: Routing) -> str | None:
    """A unit that owes the next clock has the case: what is theirs is found by their cases."""
    return filters.holder if filters.holder != routing.directory.centre else None


def _about_time(filters: Filters, at: datetime) -> Iterator[ColumnElement[bool]]:
    before = filters.due_before
    if (filters.late or before is not None) and not is_open(filters):
        yield _RUNNING  # all that can be due
    if filters.late is not None:
        yield _due < at if filters.late else _due >= at
    if before is not None:
        yield _due < (at + before if isinstance(before, timedelta) else before)


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
    for column, is_there in (
        (Case.incident_id, filters.incident),
        (Case.approved_at, filters.approved),
        (Case.published_at, filters.published),
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
        ours = _one_of(col(Case.lead), sorted(actor.departments))
        helping = has_unit(actor.departments, at_work=is_open(filters))
        yield ours if filters.part == "lead" else and_(helping, not_(ours))
    if filters.contribution_owed:
        yield (
            select(Assignment.id)
            .where(
                Assignment.case_id == Case.id,
                Assignment.role == "supporting",
                Assignment.state == "open",
                col(Assignment.ended_at).is_(None),
                col(Assignment.department).in_(sorted(actor.departments)),
            )
            .exists()
        )


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


def _one_of(column: Any, values: Sequence[str]) -> ColumnElement[bool]:
    if not values:
        return false()
    wanted: ColumnElement[bool] = column == values[0] if len(values) == 1 else column.in_(values)
    return wanted


_DUE_CURSOR = "due~"


def _cursor_of(case: Case, order: Order) -> str:
    if order == "received":
        return make_cursor(case.received_at, case.id)
    if case.next_due_at is None:
        return f"{_DUE_CURSOR}.{case.id.hex}"
    return _DUE_CURSOR + make_cursor(case.next_due_at, case.id)


def make_cursor(at: datetime, case_id: UUID) -> str:
    """Where a list goes on, as an opaque token."""
    return f"{int(at.timestamp() * 1_000_000):x}.{case_id.hex}"


def read_cursor(cursor: str, order: Order = "received") -> tuple[Any, UUID]:
    """The place a list goes on behind, for comparing; Invalid for anything else and for a cursor of another order."""
    place = cursor.removeprefix(_DUE_CURSOR)
    if (place != cursor) != (order == "due"):
        raise Invalid.at(
            "cursor", "Con trỏ trang thuộc về thứ tự khác.", "This cursor belongs to another order of the list."
        )
    micros, _, key = place.partition(".")
    try:
        if order == "due" and not micros:
            return _never, UUID(hex=key)
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(micros, 16)), UUID(hex=key)
    except (ValueError, OverflowError):
        raise Invalid.at("cursor", "Con trỏ trang không hợp lệ.", "Not a cursor of this list.") from None


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case with everything a page about it shows."""

    case: Case
    entries: list[Entry]
    assignments: list[Assignment]
    limits: list[Limit]
    attachments: list[Attachment]
    extensions: list[Extension]
    officer: str | None
    merged_into: str | None
    incident: str | None


async def case_file(session: AsyncSession, case: Case) -> CaseFile:
    """Everything about one case, in a fixed number of statements."""
    entries = await session.exec(
        select(Entry).where(Entry.case_id == case.id).order_by(col(Entry.created_at), col(Entry.id))
    )
    assignments = await session.exec(
        select(Assignment).where(Assignment.case_id == case.id).order_by(col(Assignment.opened_at), col(Assignment.id))
    )
    limits = await session.exec(
        select(Limit).where(Limit.case_id == case.id).order_by(col(Limit.opened_at), col(Limit.id))
    )
    files = await session.exec(
        select(Attachment).where(Attachment.case_id == case.id).order_by(col(Attachment.created_at), col(Attachment.id))
    )
    extensions = await session.exec(
        select(Extension).where(Extension.case_id == case.id).order_by(col(Extension.requested_at))
    )
    names = (
        await session.execute(
            text(
                "SELECT (SELECT email FROM staff WHERE id = :officer) AS officer, "
                "(SELECT code FROM cases WHERE id = :merged) AS merged, "
                "(SELECT code FROM cases WHERE id = :incident) AS incident"
            ),
            {"officer": case.officer_id, "merged": case.merged_into, "incident": case.incident_id},
        )
    ).one()
    return CaseFile(
        case,
        list(entries),
        list(assignments),
        list(limits),
        list(files),
        list(extensions),
        names.officer,
        names.merged,
        names.incident,
    )


async def timeline(session: AsyncSession, case: Case, *, internal: bool) -> list[dict[str, Any]]:
    """What happened to a case, oldest first, from the journal and the conversation.

    `internal` False gives only what its citizen may know: no names of staff, no notes, no reasons between offices.
    """
    rows = (
        await session.exec(
            select(Journal, Staff.name)
            .join(Staff, col(Staff.id) == col(Journal.actor_id), isouter=True)
            .where(Journal.case_id == case.id)
            .order_by(col(Journal.id))
        )
    ).all()
    entries = (await session.exec(select(Entry).where(Entry.case_id == case.id).order_by(col(Entry.id)))).all()
    said: dict[datetime, list[Entry]] = {}
    for entry in entries:
        if internal or entry.to_citizen:
            said.setdefault(entry.created_at, []).append(entry)
    items = []
    for event, name in rows:
        if not internal and event.kind not in FOR_CITIZENS:
            continue
        lines = said.pop(event.occurred_at, [])
        data = {key: value for key, value in event.data.items() if key not in ("dims", "code", "received_at")}
        items.append(
            {
                "at": event.occurred_at,
                "kind": event.kind,
                "actor": (name or event.actor_kind) if internal else event.actor_kind,
                "data": data if internal else {"to": event.data.get("to")},
                "text": "\n".join(line.text for line in lines) or None,
            }
        )
    return items


FOR_CITIZENS = frozenset(
    f"case.{name}"
    for name in (
        "open",
        "add_message",
        "forward",
        "accept",
        "ask_citizen",
        "tell_progress",
        "grant_extension",
        "reply",
        "rate",
        "close",
        "reopen",
        "refuse",
        "redirect",
        "merge",
        "split",
        "publish",
    )
)


_PUBLISHED = and_(col(Case.published_at).is_not(None), col(Case.restricted).is_(False))


async def published(
    session: AsyncSession,
    *,
    cursor: str | None,
    limit: int,
    fields: Sequence[str] = (),
    area: str | None = None,
) -> Page:
    """Published cases, newest publication first; of these fields or this area where they are named."""
    statement = select(Case).where(_PUBLISHED)
    if fields:
        statement = statement.where(_one_of(col(Case.field), fields))
    if area is not None:
        statement = statement.where(Case.area == area)
    if cursor:
        statement = statement.where(tuple_(col(Case.published_at), col(Case.id)) < tuple_(*read_cursor(cursor)))
    statement = statement.order_by(col(Case.published_at).desc(), col(Case.id).desc()).limit(limit + 1)
    rows = list((await session.exec(statement)).all())
    more = rows[limit - 1] if len(rows) > limit else None
    return Page(rows[:limit], make_cursor(more.published_at, more.id) if more and more.published_at else None)


async def published_one(session: AsyncSession, code: str) -> Case:
    """The published case of a code; NotFound for every other one."""
    found = (await session.exec(select(Case).where(_PUBLISHED, Case.code == read_code(code)))).first()
    if found is None:
        raise NotFound("Không có phản ánh công khai nào mang mã này.", "No published case has this code.")
    return found


async def not_delivered(
    session: AsyncSession, actor: Actor, *, after: UUID | None, limit: int
) -> list[tuple[Outgoing, str]]:
    """Messages that wait for a person, oldest first, with the codes of their cases; only of cases this person sees."""
    seen = col(Outgoing.subject_id).in_(select(Case.id).where(visible_to(actor)))
    waiting = await outbox.not_delivered(session, after=after, limit=limit, where=(seen,))
    named = select(Case.id, Case.code).where(col(Case.id).in_({each.subject_id for each in waiting}))
    codes = dict((await session.exec(named)).all())
    return [(each, codes[each.subject_id]) for each in waiting]


async def message_by_id(session: AsyncSession, actor: Actor, message_id: UUID) -> tuple[Outgoing, Case]:
    """A message that leaves or left, and its case, if this person may see that."""
    statement = (
        select(Outgoing, Case)
        .join(Case, col(Case.id) == col(Outgoing.subject_id))
        .where(Outgoing.id == message_id, visible_to(actor))
    )
    found = (await session.exec(statement)).first()
    if found is None:
        raise NotFound("Không tìm thấy tin nhắn này.", "There is no such message.")
    message, case = found
    return message, case
