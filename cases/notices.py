"""What people are told in the console: fed from the journal, each thing once, whatever dies on the way.

One worker at a time follows the numbered journal; a batch of it becomes notices and the cursor moves in the same
transaction. Beside that, the database knows a notice by its row of the journal, its place in it and the person.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import RowMapping, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import duty, telling
from cases.duty_models import NoticeWay
from cases.queries import sees
from cases.roster import How, Roster, Sees, Told
from cases.telling import Tell
from core import wake
from core.staff import Actor, Role
from routing.queries import Routing
from routing.working_time import due

BATCH = 2_000  # positions a transaction
AT_ONE_KNOCK = 200  # people whose bells ring; 37 bytes each
QUIET = timedelta(minutes=10)  # between two messages to somebody who is told at once: what comes meanwhile is one
OLD = timedelta(days=7)  # what is read later than this after it happened is history: imported, restored, of a demo

log = structlog.get_logger()

_CURSOR = text("SELECT position FROM notice_cursor WHERE id = 1 FOR UPDATE SKIP LOCKED")
_MOVE = text("UPDATE notice_cursor SET position = :position WHERE id = 1")
_ROWS = text(
    """
    SELECT p.position, j.id, j.kind, j.case_id, j.actor_id, j.occurred_at, j.data
    FROM journal_positions p JOIN journal j ON j.id = p.journal_id
    WHERE p.position > :after ORDER BY p.position LIMIT :limit
    """
)
_CASES = text(
    "SELECT id, restricted, track, track_confirmed, accused_units, accused_staff, "
    "units, officer_id, rule_set_id, urgency FROM cases WHERE id = ANY(:ids)"
)
_COLUMNS = {
    "staff_id": "uuid", "case_id": "uuid", "cause": "bigint", "part": "smallint", "kind": "text", "how": "text",
    "limit_id": "uuid", "stage": "text", "holder": "text", "percent": "smallint", "due_at": "timestamptz",
    "at": "timestamptz",
}  # fmt: skip
_ARRAYS = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _COLUMNS.items())
_INSERT = text(
    f"INSERT INTO notices ({', '.join(_COLUMNS)}) SELECT * FROM unnest({_ARRAYS}) "  # noqa: S608 - constants
    "ON CONFLICT (cause, part, staff_id) DO NOTHING"
)
_LATE = text(
    """
    INSERT INTO escalations_due (limit_id, run_at)
    SELECT * FROM unnest(CAST(:limits AS uuid[]), CAST(:run_at AS timestamptz[])) ON CONFLICT (limit_id) DO NOTHING
    """
)
_WAKE = text(
    """
    UPDATE notice_ways w SET next_at = least(coalesce(w.next_at, 'infinity'), t.next_at)
    FROM unnest(CAST(:people AS uuid[]), CAST(:channels AS text[]), CAST(:next_at AS timestamptz[]))
        AS t (staff_id, channel, next_at)
    WHERE w.staff_id = t.staff_id AND w.channel = t.channel
    """
)


class About(NamedTuple):
    """What deciding who is told must know of a case: as it is now."""

    restricted: bool
    track: str
    track_confirmed: bool
    accused_units: frozenset[str]
    accused_staff: frozenset[UUID]
    units: frozenset[str]
    officer: UUID | None
    rule_set_id: UUID
    pressing: bool


async def follow(session: AsyncSession, routing: Routing, at: datetime, limit: int = BATCH) -> int:
    """Tell what the next `limit` positions of the journal give to tell, and move the cursor in the same transaction.

    Returns how many positions were read: 0 when there are none or another worker is at it, `limit` when there may be
    more. Limits that were found late are put in line for their way upwards.
    """
    after = (await session.execute(_CURSOR)).scalar_one_or_none()
    if after is None:
        return 0
    rows = (await session.execute(_ROWS, {"after": after, "limit": limit})).mappings().all()
    if not rows:
        return 0
    told, late = _read(rows, at - OLD)
    if told or late:
        cases = await _cases(session, {each[0]["case_id"] for each in told} | {each[0]["case_id"] for each in late})
        await _put_in_line(session, routing, cases, late, at)
        await _tell(session, routing, cases, told, at)
    await session.execute(_MOVE, {"position": rows[-1]["position"]})
    return len(rows)


def _read(
    rows: Sequence[RowMapping], since: datetime
) -> tuple[list[tuple[RowMapping, int, Tell]], list[tuple[RowMapping, UUID]]]:
    """What these rows give to tell, and which limits they leave late. A row that cannot be read holds up no other.

    What happened before `since` is told to nobody any more; what is late still goes upwards.
    """
    told: list[tuple[RowMapping, int, Tell]] = []
    late: list[tuple[RowMapping, UUID]] = []
    for row in rows:
        try:
            tells = telling.tells(row["kind"], row["data"]) if row["occurred_at"] >= since else []
            owed = telling.late_still(row["kind"], row["data"])
        except Exception as error:
            log.error("journal row not told", row=row["id"], error=type(error).__name__)
            continue
        told += [(row, part, tell) for part, tell in enumerate(tells)]
        late += [(row, id) for id in owed]
    return told, late


async def _cases(session: AsyncSession, ids: Iterable[UUID]) -> dict[UUID, About]:
    rows = await session.execute(_CASES, {"ids": list(ids)})
    return {
        row.id: About(
            row.restricted,
            row.track,
            row.track_confirmed,
            frozenset(row.accused_units),
            frozenset(row.accused_staff),
            frozenset(row.units),
            row.officer_id,
            row.rule_set_id,
            row.urgency == "emergency",
        )
        for row in rows.all()
    }


async def _put_in_line(
    session: AsyncSession,
    routing: Routing,
    cases: Mapping[UUID, About],
    late: Sequence[tuple[RowMapping, UUID]],
    at: datetime,
) -> None:
    """When each of these limits is late enough for the first step; many are due at the same moment.

    One that cannot be counted here is looked at there at once, and again later.
    """
    known: dict[tuple[Any, ...], datetime | None] = {}
    lines: dict[UUID, datetime] = {}
    for row, id in late:
        if row["case_id"] not in cases:
            continue
        op = next(each for each in row["data"]["limits"] if each.get("id") == str(id))
        key = (cases[row["case_id"]].rule_set_id, op["holder"], op["due_at"])
        if key not in known:
            try:
                known[key] = _first_step(routing, *key)
            except Exception as error:
                log.error("late limit not counted", journal=row["id"], error=type(error).__name__)
                known[key] = at
        moment = known[key]
        if moment is not None:
            lines[id] = moment
    if lines:
        await session.execute(_LATE, {"limits": list(lines), "run_at": list(lines.values())})


def _first_step(routing: Routing, rule_set_id: UUID, holder: str, due_at: str | None) -> datetime | None:
    """When what was due then goes upwards for the first time; None: this rule set has no ladder."""
    book = routing.rulebook(rule_set_id)
    if not book.escalate or due_at is None:
        return None
    calendar = routing.calendar_of(holder, book)
    return due(datetime.fromisoformat(due_at), book.escalate[0].after, calendar, day_end=book.day_end)


async def _tell(
    session: AsyncSession,
    routing: Routing,
    cases: Mapping[UUID, About],
    told: Sequence[tuple[RowMapping, int, Tell]],
    at: datetime,
) -> None:
    if not told:
        return
    roster = await duty.roster(session, routing.directory.centre, at)
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    pressing: dict[UUID, bool] = {}
    asked: dict[tuple[Any, ...], Told] = {}  # what falls due together mostly goes to the same few people
    for row, part, tell in told:
        about = cases.get(row["case_id"])
        if about is None or _gone(tell, about, roster):
            continue
        key = (tell.to, tell.holder, tell.role, tell.person, *about)
        if key not in asked:
            try:
                asked[key] = recipients(tell, about, roster, routing, at)
            except Exception as error:  # whatever is wrong with one, somebody hears, and the others too
                log.error("nobody found to tell", journal=row["id"], error=type(error).__name__)
                asked[key] = Told((), How.ADMIN) if about.restricted else roster.supervisor()
        found = asked[key]
        for person in found.people:
            if person == row["actor_id"]:
                continue
            pressing[person] = pressing.get(person, False) or about.pressing
            for name, value in (
                ("staff_id", person),
                ("case_id", row["case_id"]),
                ("cause", row["id"]),
                ("part", part),
                ("kind", tell.kind),
                ("how", found.how.value),
                ("limit_id", tell.limit),
                ("stage", tell.stage),
                ("holder", tell.holder or None),
                ("percent", tell.percent),
                ("due_at", tell.due_at),
                ("at", row["occurred_at"]),
            ):
                columns[name].append(value)
    if columns["staff_id"]:
        await session.execute(_INSERT, columns)
        await _wake_ways(session, routing, pressing, at)
        people = [str(person) for person in pressing]
        for first in range(0, len(people), AT_ONE_KNOCK):
            await wake.knock(session, wake.BELL, " ".join(people[first : first + AT_ONE_KNOCK]))


_OF_THE_OFFICER = ("to_approve", "extension_asked")  # what others decide, on a restricted track too


def _gone(tell: Tell, about: About, roster: Roster) -> bool:
    """Whether the work that was given has been taken from the unit again meanwhile."""
    return tell.to == "unit" and tell.holder not in ("", roster.centre) and tell.holder not in about.units


def recipients(tell: Tell, about: About, roster: Roster, routing: Routing, at: datetime) -> Told:
    """Who is told of one thing, and why they: only people who may open the case."""

    def knows(person: Actor) -> bool:
        return sees(person, about)

    centre = roster.centre
    person = tell.person if tell.to == "one" else about.officer
    known = roster.people.get(person) if person is not None else None
    theirs = tell.to == "one" or (about.restricted and tell.kind not in _OF_THE_OFFICER)
    if theirs and person is not None and known is not None and knows(known) and person not in roster.away:
        return Told((person,), How.OFFICER)
    if about.restricted:
        return roster.inspectors(knows)
    if tell.to == "one":
        homes = known.departments & about.units if known is not None else about.units
        return roster.owing(tell.person, min(homes, default=centre), Role.OFFICER, knows)
    if tell.to == "named":
        return upwards(str(tell.role), tell.holder, roster, routing, at, knows)
    if tell.to == "above":
        return roster.above(knows)
    if tell.to == "decider":
        by_head = routing.rulebook(about.rule_set_id).extend.granted_by == "head"
        return roster.on_duty(tell.holder, Role.HEAD, knows) if by_head else roster.on_duty(centre, Role.DISPATCHER)
    role = Role(tell.role)
    holder = tell.holder or centre
    if holder == centre and role in (Role.OFFICER, Role.HEAD):
        role = Role.DISPATCHER
    if tell.to == "unit":
        return roster.on_duty(holder, role, knows)
    return roster.owing(about.officer if role is Role.OFFICER else None, holder, role, knows)


def upwards(role: str, holder: str, roster: Roster, routing: Routing, at: datetime, knows: Sees) -> Told:
    """Who a role of the escalation ladder is: people who may open what they are told of, else the supervisor.

    Whoever answers for 1022 above it needs a role that reads every case, as that of a leader: told of what they cannot
    open, they could do nothing about it.
    """
    if role == "unit_head":
        return roster.on_duty(holder, Role.HEAD, knows)
    if role == "supervisor":
        return roster.supervisor(knows)
    if (named := roster.holder(role, knows)) is not None:
        return named
    if role == "vice_chair":
        return roster.leaders(knows) or roster.supervisor(knows)
    directory, today = routing.directory, at.astimezone(routing.at(at).book.zone).date()
    if role == "owner_dept":
        parent = directory.departments[directory.centre].parent
    else:
        offices = (d.code for d in directory.departments.values() if d.kind == "van_phong_ubnd" and d.lives(today))
        parent = next(offices, None)
    owner = directory.living(parent, today) if parent else None
    return roster.on_duty(owner, Role.HEAD, knows) if owner else roster.supervisor(knows)


async def _wake_ways(session: AsyncSession, routing: Routing, people: Mapping[UUID, bool], at: datetime) -> None:
    """Those who want to hear outside the console will, when their next message may leave; `people`: is it pressing."""
    ways = (
        await session.exec(select(NoticeWay).where(col(NoticeWay.staff_id).in_(list(people)), NoticeWay.mode != "none"))
    ).all()
    if ways:
        zone = routing.at(at).book.zone
        await session.execute(
            _WAKE,
            {
                "people": [way.staff_id for way in ways],
                "channels": [way.channel for way in ways],
                "next_at": [next_post(way, at, zone, pressing=people[way.staff_id]) for way in ways],
            },
        )


def next_post(way: NoticeWay, at: datetime, zone: ZoneInfo, *, pressing: bool) -> datetime:
    """When what happened at `at` may leave: at once, but never two within QUIET; else with the digest of the day.

    Of emergencies it leaves at once either way.
    """
    if way.mode == "at_once" or pressing:
        return max(at, way.posted_at + QUIET) if way.posted_at else at
    return next_time(way.digest_at, at, zone)


def next_time(of_day: time, at: datetime, zone: ZoneInfo) -> datetime:
    """The next moment at which local clocks show this time."""
    local = at.astimezone(zone)
    today = datetime.combine(local.date(), of_day, zone)
    return today if today > local else datetime.combine(local.date() + timedelta(days=1), of_day, zone)
