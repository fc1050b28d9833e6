"""Lists of cases: pages by keyset, counts of views, the other cases of a citizen. They are narrowed in
`cases.conditions`."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, func, literal_column, true, tuple_
from sqlalchemy import select as sql_select
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import citizens, search
from cases.conditions import areas_meant, conditions, due_at, fields_meant, received_between
from cases.models import Case, CaseSearch, Identity
from cases.people import cases_of, knows_people
from cases.queries import reporter_known, visible_to
from cases.views import NONE, Filters, Order, View, is_open
from core.db import Moment
from core.errors import Invalid
from core.staff import CENTRE_ROLES, EVERYTHING_ORDINARY, RESTRICTED_ROLES, Actor, Staff
from routing.queries import Routing


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


_never: ColumnElement[datetime] = literal_column("'infinity'::timestamptz", Moment())


COUNTED = 1_000  # a view's count stops here and is shown as 999+
LOOKED_AT = 20_000  # newest cases a search walks through before it asks the index of words for all hits
PATIENCE = 5.0  # seconds one statement of a list may take
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
    the other order, and when so much has to be looked through that it takes longer than PATIENCE. One statement, two
    when a search has to look further than the newest cases.
    """
    after = read_cursor(cursor, order) if cursor else None
    wanted = [visible_to(actor, at_work=is_open(filters)), *conditions(actor, filters, routing, at), *also]
    sought = search.read(filters.q, actor) if filters.q and not filters.q.isspace() else None
    async with _within_patience():
        if sought is None or sought.words is None:
            if sought is not None:
                wanted.append(_sought(sought, actor))
            rows = await _rows(session, _ordered(_listed().where(*wanted), order, after), limit)
        else:
            first, before = received_between(filters, routing, at)
            received = col(CaseSearch.received_at)
            bounds = [received >= first] if first else []
            bounds += [received < before] if before else []
            if order == "received" and after is not None:
                bounds.append(tuple_(received, col(CaseSearch.case_id)) < tuple_(*after))
            units = None if actor.roles & (EVERYTHING_ORDINARY | RESTRICTED_ROLES) else actor.departments
            fields = fields_meant(filters.field, routing)
            areas = areas_meant(filters.area, filters.geography, routing, at)
            narrowed = search.facets(actor, _facets(filters, routing), fields, areas, units)
            matching = search.tsquery(sought.words, narrowed)
            rows = await _found(session, matching, bounds, wanted, order, after, limit)
    last = rows[limit - 1][0] if len(rows) > limit else None
    officers = {case.officer_id: Officer(email, name or "") for case, email, name in rows if case.officer_id and email}
    return Page([case for case, *_ in rows[:limit]], _cursor_of(last, order) if last else None, officers)


@asynccontextmanager
async def _within_patience() -> AsyncIterator[None]:
    """Common words may be in every case there is, and in the order of clocks all of them are sorted: such a statement
    is ended, with its connection, and whoever asked is told how to ask for less.
    """
    try:
        async with asyncio.timeout(PATIENCE):
            yield
    except TimeoutError:
        raise Invalid.at(
            "query.q",
            "Có quá nhiều phản ánh phải tìm qua nên đã dừng lại. Hãy thêm từ cần tìm, hoặc chọn thêm lĩnh vực, "
            "địa bàn, đơn vị hay khoảng ngày rồi tìm lại.",
            "There are too many cases to look through, so the search was stopped. Add a word, or choose a field, an "
            "area, a unit or days, and search again.",
            "too_broad",
        ) from None


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
            rows = rows.order_by(due_at, col(Case.id))
        counted = select(func.count()).select_from(rows.limit(COUNTED).subquery())
        counts.append(counted.scalar_subquery().label(f"view_{view.code}"))
    found = (await session.execute(sql_select(*counts))).one()
    return {view.code: count for view, count in zip(views, found, strict=True)}


async def citizen_history(session: AsyncSession, actor: Actor, case: Case) -> list[Case]:
    """Other cases of the same person that this member of staff may see, newest first, for those who know people."""
    if case.citizen_id is None or not knows_people(actor, case):
        return []
    return await _of_citizen(session, actor, cases_of(case.citizen_id), Case.id != case.id)


async def cases_of_phone(session: AsyncSession, actor: Actor, phone: str) -> list[Case]:
    """The newest cases of whoever reports from this number, for the centre. Invalid when it is no number."""
    number = citizens.phone_number(phone, "phone")
    if not actor.roles & CENTRE_ROLES:
        return []
    return await _of_citizen(session, actor, _reported_from(number))


async def _of_citizen(session: AsyncSession, actor: Actor, *whose: ColumnElement[bool] | bool) -> list[Case]:
    statement = (
        select(Case)
        .where(reporter_known(actor), *whose)
        .order_by(col(Case.received_at).desc(), col(Case.id).desc())
        .limit(PEOPLES_CASES)
    )
    return list((await session.exec(statement)).all())


def _reported_from(number: str) -> ColumnElement[bool]:
    whose = select(Identity.citizen_id).where(Identity.scheme == "phone", Identity.handle == number)
    return cases_of(whose.scalar_subquery())


def _sought(sought: search.Sought, actor: Actor) -> ColumnElement[bool]:
    """A code or a reporter's number; something without a single word finds nothing."""
    if sought.code is not None:
        return col(Case.code) == sought.code
    return and_(_reported_from(sought.phone), reporter_known(actor)) if sought.phone is not None else false()


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
            statement = statement.where(tuple_(due_at, case.id) > tuple_(*after))
        return statement.order_by(due_at, case.id)
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
