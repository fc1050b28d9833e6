"""Clocks of a case: a projection of the journal, written in the same transaction (DESIGN.md 4 and 6).

`Clocks` changes the limits of one case within one command and notes every change as an op for the journal row;
reminders and breaches are written by `cases.due_work` when their time has come.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.models import Case, Limit
from core.ids import uuid7
from routing.decide import Decision, Rulebook
from routing.queries import Routing
from routing.stretches import Stop
from routing.working_time import Amount, Calendar, Clock, at_fraction, due, worked

Op = dict[str, Any]
BESIDE = ("directive", "dispute")  # clocks of what stands above the units: they do not hang on the answer
ALL = 100  # per cent: the whole time of a limit is over


@dataclass(slots=True)
class Turning:
    """A limit whose turn may have come, as `cases.due_work` reads and writes thousands of them: without the ORM.

    Members are the row's columns; what is met, cancelled or stopped has no turn.
    """

    id: UUID
    case_id: UUID
    stage: str
    holder: str
    clock: str
    amount: int
    unit: str
    calendar: str
    opened_at: datetime
    due_at: datetime | None
    met_at: datetime | None
    cancelled_at: datetime | None
    breached_at: datetime | None
    moved_to: datetime | None
    stops: list[list[str]]
    reminded: int
    next_at: datetime | None


def stops_of(limit: Limit | Turning) -> list[tuple[datetime, datetime]]:
    """Closed stops of a limit as instants."""
    return [(datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in limit.stops]


def amount_of(limit: Limit) -> Amount:
    """The limit's amount as routing counts it."""
    return Amount.parse(f"{limit.amount}{limit.unit}/{limit.clock}")


def computed_due(limit: Limit, calendars: Mapping[str, Calendar], book: Rulebook) -> datetime:
    """Due time from opening, amount and stops alone, as if never extended."""
    return due(
        limit.opened_at, amount_of(limit), calendars[limit.calendar], day_end=book.day_end, stops=stops_of(limit)
    ).astimezone(UTC)


def next_threshold(limit: Limit | Turning, calendar: Calendar, book: Rulebook) -> datetime | None:
    """When the next reminder or the breach of this limit is to be written; None when nothing is left."""
    if limit.due_at is None or limit.met_at or limit.cancelled_at:
        return None
    if limit.breached_at and limit.reminded >= ALL:  # one that was extended after its breach is reminded again
        return None
    clock = cast(Clock, limit.clock)
    return _threshold(limit.opened_at, limit.due_at, clock, calendar, book, limit.reminded, stops_of(limit))


def still_told(limit: Limit, calendar: Calendar, book: Rulebook, at: datetime) -> int:
    """What it was reminded at (per cent) by `at`, when its due time is another: what lies ahead is told again, once.

    None of the shares that have passed is told a second time.
    """
    if limit.due_at is None:
        return limit.reminded
    clock, stops = cast(Clock, limit.clock), stops_of(limit)
    passed = [
        round(share * 100)
        for share in book.remind
        if share < 1 and at_fraction(limit.opened_at, limit.due_at, clock, calendar, share, stops=stops) <= at
    ]
    return min(limit.reminded, max(passed, default=0))


def _threshold(
    opened_at: datetime,
    due_at: datetime,
    clock: Clock,
    calendar: Calendar,
    book: Rulebook,
    reminded: int = 0,
    stops: Sequence[Stop] = (),
) -> datetime:
    fraction = next((f for f in book.remind if f < 1 and round(f * 100) > reminded), 1.0)
    return at_fraction(opened_at, due_at, clock, calendar, fraction, stops=stops).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class NewLimit:
    """A limit that starts to run, as a value: intake writes it without the ORM. Members are the row's columns."""

    id: UUID
    case_id: UUID
    stage: str
    holder: str
    clock: str
    amount: int
    unit: str
    calendar: str
    opened_at: datetime
    due_at: datetime
    next_at: datetime
    breached_at: datetime | None = None


def new_limit(
    case_id: UUID, stage: str, holder: str, amount: Amount, opened_at: datetime, routing: Routing, book: Rulebook
) -> NewLimit:
    """A limit that starts to run at `opened_at`."""
    calendar = routing.calendar_of(holder, book)
    due_at = due(opened_at, amount, calendar, day_end=book.day_end).astimezone(UTC)
    return NewLimit(
        id=uuid7(opened_at),
        case_id=case_id,
        stage=stage,
        holder=holder,
        clock=amount.clock,
        amount=amount.value,
        unit=amount.unit,
        calendar=calendar.code,
        opened_at=opened_at,
        due_at=due_at,
        next_at=_threshold(opened_at, due_at, amount.clock, calendar, book),
    )


class NextClock(NamedTuple):
    """The clock of a case that runs out next, as the case's row keeps it; all None when none is running."""

    due_at: datetime | None = None
    stage: str | None = None
    holder: str | None = None


def next_clock(limits: Iterable[Limit]) -> NextClock:
    """The clock that runs out next of these limits of one case: neither met nor cancelled nor stopped."""
    running = [
        (limit.due_at, limit.id, limit)
        for limit in limits
        if limit.due_at is not None and limit.met_at is None and limit.cancelled_at is None
    ]
    if not running:
        return NextClock()
    due_at, _, first = min(running)
    return NextClock(due_at, first.stage, first.holder)


def opened_op(limit: NewLimit) -> Op:
    """The journal's note of a new limit."""
    return op_of(
        "opened",
        limit,
        clock=limit.clock,
        amount=limit.amount,
        unit=limit.unit,
        calendar=limit.calendar,
        opened_at=limit.opened_at.isoformat(),
    )


class Clocks:
    """The limits of one locked case during one command. `ops` is what the command's journal row will say of them."""

    def __init__(self, case: Case, rows: Iterable[Limit], routing: Routing, book: Rulebook, at: datetime) -> None:
        self.case = case
        self.rows = list(rows)
        self.routing = routing
        self.book = book
        self.at = at
        self.ops: list[Op] = []
        self.added: list[Limit] = []

    def keep(self, session: AsyncSession) -> None:
        """The command is done: its new limits are written with the rest, and the case knows its next clock."""
        session.add_all(self.added)
        case = self.case
        case.next_due_at, case.next_stage, case.next_holder = next_clock(self.rows)

    @property
    def found_late(self) -> list[Limit]:
        """Running limits whose breach this command was the first to note."""
        noted = {op["id"] for op in self.ops if op["op"] == "breached"}
        return [limit for limit in self.running if str(limit.id) in noted]

    @property
    def running(self) -> list[Limit]:
        """Limits neither met nor cancelled."""
        return [row for row in self.rows if row.met_at is None and row.cancelled_at is None]

    def find(self, stage: str, holder: str | None = None) -> Limit | None:
        """The running limit of a stage, of this holder if given."""
        return next(
            (row for row in self.running if row.stage == stage and holder in (None, row.holder)),
            None,
        )

    def open(self, stage: str, holder: str, amount: Amount | None, opened_at: datetime | None = None) -> Limit | None:
        """Start a limit now, or at `opened_at`; None when the rules give the stage none, or one is running."""
        if amount is None or self.find(stage, holder) is not None:
            return None
        opened = new_limit(self.case.id, stage, holder, amount, opened_at or self.at, self.routing, self.book)
        limit = Limit(**asdict(opened))
        self.rows.append(limit)
        self.added.append(limit)
        self.ops.append(opened_op(opened))
        return limit

    def meet(self, stage: str, holder: str | None = None) -> None:
        """The stage is done, in time or late."""
        limit = self.find(stage, holder)
        if limit is None:
            return
        self._resume(limit)
        self._notice(limit)
        limit.met_at, limit.next_at = self.at, None
        self.ops.append(op_of("met", limit, at=self.at.isoformat(), **self._by_extension(limit, self.at)))

    def cancel(self, *, keep: Iterable[str] = (), only: Iterable[str] = (), holder: str | None = None) -> None:
        """Nothing more is owed, except for the stages in `keep`; of one holder, or of these stages, where said so."""
        for limit in self.running:
            meant = holder in (None, limit.holder) and (not only or limit.stage in only)
            if meant and limit.stage not in keep:
                self._cancel(limit)

    def _cancel(self, limit: Limit) -> None:
        self._notice(limit)
        limit.cancelled_at, limit.next_at, limit.stopped_at = self.at, None, None
        if limit.due_at is None:
            limit.due_at = limit.moved_to or computed_due(limit, self.routing.calendars, self.book)
        self.ops.append(op_of("cancelled", limit, at=self.at.isoformat()))

    def run_again(self, stage: str, holder: str) -> None:
        """What was met is owed again, with its due time as it stood."""
        met = [row for row in self.rows if row.stage == stage and row.met_at is not None and self._his(row, holder)]
        if not met:
            return
        limit = max(met, key=lambda row: row.opened_at)
        was_met = limit.met_at
        limit.met_at = None
        limit.next_at = self._next(limit)
        met_at = was_met.isoformat() if was_met else None
        extended = self._by_extension(limit, was_met) if was_met else {}
        self.ops.append(op_of("reopened", limit, at=self.at.isoformat(), met_at=met_at, **extended))
        if limit.holder != holder:
            self.hand(limit, holder)

    def _his(self, limit: Limit, holder: str) -> bool:
        """Whether a limit is this holder's, or was met by a department that it is the heir of."""
        case, directory, today = self.case, self.routing.directory, self.book.day_of(self.at)
        return holder in (limit.holder, directory.heir(limit.holder, case.area, case.field, today))

    def hand(self, limit: Limit, heir: str) -> None:
        """Another holder takes a running limit over as it stands: the same due time, the same calendar, what was told.

        A breach until now is the former holder's. Where the heir has such a limit running already, that one holds and
        this one is cancelled.
        """
        self._notice(limit)
        if self.find(limit.stage, heir) is not None:
            self._cancel(limit)
            return
        limit.holder, limit.handed_from = heir, limit.holder
        self.ops.append(op_of("handed", limit, at=self.at.isoformat(), was=limit.handed_from))

    def move(self, limit: Limit, until: datetime) -> None:
        """An extension was granted. A breach before it stands; the new due time is reminded of all the same."""
        self._notice(limit)
        was = limit.due_at
        limit.moved_to = until
        limit.due_at = until if limit.stopped_at is None else None
        self._new_due(limit)
        self.ops.append(op_of("moved", limit, was=was.isoformat() if was else None, until=until.isoformat()))

    def amend(self, decision: Decision) -> None:
        """The case was decided anew: running limits take the new amounts, counted from their own opening.

        Where that would already be over, the count begins now: nobody is late before the limit was theirs.
        """
        for limit in self.running:
            self._notice(limit)
            wanted = decision.limit(limit.stage)
            if wanted is None or wanted.amount == amount_of(limit) or limit.moved_to or limit.breached_at:
                continue
            was = limit.due_at
            limit.amount, limit.unit, limit.clock = wanted.amount.value, wanted.amount.unit, wanted.amount.clock
            if self._if_running(limit) <= self.at:
                limit.opened_at = self.at
            if limit.stopped_at is None:
                limit.due_at = computed_due(limit, self.routing.calendars, self.book)
            self._new_due(limit)
            self.ops.append(
                op_of(
                    "amended",
                    limit,
                    clock=limit.clock,
                    amount=limit.amount,
                    unit=limit.unit,
                    opened_at=limit.opened_at.isoformat(),
                    was=was.isoformat() if was else None,
                )
            )

    def stop(self, stages: Iterable[str]) -> None:
        """Clocks of these stages stand still from now on, where the rule set allows it; one that is late stays late."""
        for limit in self.running:
            self._notice(limit)
            if limit.stage in stages and limit.stopped_at is None and limit.breached_at is None:
                self.ops.append(op_of("stopped", limit, at=self.at.isoformat()))
                limit.stopped_at, limit.due_at, limit.next_at = self.at, None, None

    def resume(self) -> None:
        """Stopped clocks run on; their due time moves by the working time that was stopped."""
        for limit in self.running:
            self._resume(limit)

    def _resume(self, limit: Limit) -> None:
        if limit.stopped_at is None:
            return
        since = limit.stopped_at
        limit.stops = [*limit.stops, [since.isoformat(), self.at.isoformat()]]
        limit.stopped_at = None
        limit.due_at = computed_due(limit, self.routing.calendars, self.book)
        if limit.moved_to is not None:
            limit.due_at = limit.moved_to = max(limit.due_at, self._left_from_now(limit, since, limit.moved_to))
        if limit.stage == "resolve" and self.case.promised_at is not None:
            self.case.promised_at = max(self.case.promised_at, limit.due_at)  # the citizen is promised no less time
        limit.next_at = self._next(limit)
        self.ops.append(op_of("resumed", limit, **{"from": since.isoformat(), "at": self.at.isoformat()}))

    def _by_extension(self, limit: Limit, met_at: datetime) -> Op:
        """What the journal says besides of work that was in time by an extension alone."""
        if limit.stage != "resolve" or limit.moved_to is None or limit.breached_at is not None:
            return {}
        return {"extended": True} if met_at > computed_due(limit, self.routing.calendars, self.book) else {}

    def _notice(self, limit: Limit) -> None:
        """A breach the worker has not written yet is noted before anything else happens to the limit."""
        if limit.due_at is not None and self.at > limit.due_at and limit.breached_at is None:
            limit.breached_at = limit.due_at
            limit.reminded, limit.next_at = ALL, None
            self.ops.append(op_of("breached", limit, at=self.at.isoformat()))

    def _if_running(self, limit: Limit) -> datetime:
        """The due time of a limit counted from its opening, if it is stopped: as if it ran on now."""
        standing = [] if limit.stopped_at is None else [(limit.stopped_at, self.at)]
        calendar, stops = self.routing.calendars[limit.calendar], [*stops_of(limit), *standing]
        return due(limit.opened_at, amount_of(limit), calendar, day_end=self.book.day_end, stops=stops)

    def _new_due(self, limit: Limit) -> None:
        """A new due time is reminded of at its own shares: none that has passed and was told is told again."""
        limit.reminded = still_told(limit, self.routing.calendars[limit.calendar], self.book, self.at)
        limit.next_at = self._next(limit)

    def _left_from_now(self, limit: Limit, since: datetime, until: datetime) -> datetime:
        """The due time that leaves, from now, what was left of an extended limit when it was stopped."""
        if limit.clock == "calendar":
            return until + (self.at - since)
        calendar = self.routing.calendars[limit.calendar]
        left = ceil(worked(since, until, calendar) / timedelta(minutes=1))
        return due(self.at, Amount(left, "min", "working"), calendar).astimezone(UTC)

    def _next(self, limit: Limit) -> datetime | None:
        return next_threshold(limit, self.routing.calendars[limit.calendar], self.book)


async def limits_of(session: AsyncSession, case_id: UUID, *, lock: bool = False) -> list[Limit]:
    """All limits of a case, oldest first; locked against the worker's reminders when they will change."""
    statement = select(Limit).where(Limit.case_id == case_id).order_by(col(Limit.opened_at), col(Limit.id))
    return list((await session.exec(statement.with_for_update() if lock else statement)).all())


def dims(case: Case, routing: Routing) -> dict[str, str]:
    """The dimensions figures are counted by."""
    return {
        "department": case.lead or routing.directory.centre,
        "field": case.field or "",
        "channel": case.channel,
        "area": case.area or "",
    }


def op_of(name: str, limit: Limit | NewLimit | Turning, **more: Any) -> Op:
    """The journal's note that this happened to a limit, which is as it is after it."""
    return {
        "op": name,
        "id": str(limit.id),
        "stage": limit.stage,
        "holder": limit.holder,
        "due_at": limit.due_at.isoformat() if limit.due_at else None,
        "breached": limit.breached_at is not None,
        **more,
    }
