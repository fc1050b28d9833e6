"""Made-up lives of cases as journal rows, with what must come out of them known by construction."""

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from core.db import bare
from ioc.contributions import MARKERS, RESTORED, WITHDRAWN, Event
from ioc.definitions import OPEN_STATUSES

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
START = datetime(2026, 3, 30, 1, 0, tzinfo=UTC)
CENTRE = "trung-tam-1022"
DEPARTMENTS = (CENTRE, "so-xd", "so-yt", "so-tnmt")
FIELDS = ("", "giao-thong.o-ga", "y-te.cap-cuu", "moi-truong.rac")
AREAS = ("", "p-tan-phu", "x-loc-ninh")
CHANNELS = ("web", "zalo", "voice", "email")
RULE_SET = UUID(int=1)


@dataclass(frozen=True)
class Row:
    """One journal row."""

    case: UUID
    kind: str
    at: datetime
    restricted: bool
    data: dict[str, Any]

    @property
    def event(self) -> Event:
        return Event(self.kind, self.at, self.restricted, self.data)


@dataclass
class Clock:
    """One limit of a case."""

    id: UUID
    stage: str
    holder: str
    due: datetime
    met_at: datetime | None = None
    cancelled_at: datetime | None = None
    breached_at: datetime | None = None

    def __post_init__(self) -> None:
        self.first_due = self.due

    @property
    def running(self) -> bool:
        return self.met_at is None and self.cancelled_at is None


@dataclass
class Story:
    """A case that lives at random: `rows` is its history, the rest is where it stands."""

    random: Random
    number: int
    at: datetime
    restricts: bool = True
    rows: list[Row] = field(default_factory=list)
    clocks: list[Clock] = field(default_factory=list)
    status: str | None = None
    restricted: bool = False
    rating: int | None = None
    responded: bool = False
    dims: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.id = UUID(int=self.random.getrandbits(128))
        self.code = f"BP-26-{self.number:07d}"
        self.received_at = self.at - timedelta(minutes=self.random.randrange(90))
        self.restricted = self.restricts and self.random.random() < 0.15
        self.dims = {
            "department": CENTRE,
            "field": self.random.choice(FIELDS),
            "channel": self.random.choice(CHANNELS),
            "area": self.random.choice(AREAS),
        }
        self.note("open", "received", [self.start("forward", CENTRE)])

    def live(self, steps: int) -> "Story":
        """Do up to `steps` things that the case's status allows."""
        for _ in range(steps):
            self.at += timedelta(minutes=self.random.choice((0, 3, 50, 700, 3000)), seconds=self.random.random() * 60)
            self.breach()
            acts = [getattr(self, name) for name in ACTS.get(self.status or "", ())]
            if self.restricts:
                acts.append(self.set_track)
            if acts:
                self.random.choice(acts)()
        return self

    def note(self, action: str, to: str | None = None, limits: list[dict[str, Any]] | None = None, **more: Any) -> None:
        """Write a row of an action and stand where it leads."""
        data = {
            "code": self.code,
            "received_at": self.received_at.isoformat(),
            "from": self.status,
            "to": to or self.status,
            "version": len(self.rows) + 1,
            "dims": dict(self.dims),
            "limits": limits or [],
            **more,
        }
        self.rows.append(Row(self.id, f"case.{action}", self.at, self.restricted, data))
        self.status = to or self.status

    def op(self, name: str, clock: Clock, **more: Any) -> dict[str, Any]:
        return {
            "op": name,
            "id": str(clock.id),
            "stage": clock.stage,
            "holder": clock.holder,
            "due_at": clock.due.isoformat(),
            "breached": clock.breached_at is not None,
            **more,
        }

    def start(self, stage: str, holder: str) -> dict[str, Any]:
        due = self.at + timedelta(minutes=self.random.choice((30, 600, 4000)))
        clock = Clock(UUID(int=self.random.getrandbits(128)), stage, holder, due)
        self.clocks.append(clock)
        return self.op("opened", clock, opened_at=self.at.isoformat())

    def meet(self, *stages: str) -> list[dict[str, Any]]:
        ops = []
        for clock in self.clocks:
            if clock.running and clock.stage in stages:
                clock.met_at = self.at
                ops.append(self.op("met", clock, at=self.at.isoformat(), **self.by_extension(clock, self.at)))
        return ops

    def by_extension(self, clock: Clock, met_at: datetime) -> dict[str, Any]:
        return {"extended": True} if clock.breached_at is None and met_at > clock.first_due else {}

    def cancel(self) -> list[dict[str, Any]]:
        ops = []
        for clock in self.clocks:
            if clock.running:
                clock.cancelled_at = self.at
                ops.append(self.op("cancelled", clock, at=self.at.isoformat()))
        return ops

    def breach(self) -> None:
        for clock in self.clocks:
            if clock.running and clock.breached_at is None and self.at > clock.due:
                clock.breached_at = clock.due
                data = {
                    "code": self.code,
                    "received_at": self.received_at.isoformat(),
                    "dims": dict(self.dims),
                    "limits": [self.op("breached", clock, at=self.at.isoformat())],
                }
                self.rows.append(Row(self.id, "limit.breached", self.at, self.restricted, data))

    def answered_a_person(self) -> dict[str, Any]:
        first, self.responded = not self.responded, True
        return {"first_response": True} if first else {}

    def classify(self) -> None:
        self.dims["field"], self.dims["area"] = self.random.choice(FIELDS), self.random.choice(AREAS)
        self.note("classify")

    def forward(self) -> None:
        ops = self.meet("forward")
        self.dims["department"] = lead = self.random.choice(DEPARTMENTS[1:])
        self.note("forward", "forwarded", [*ops, self.start("resolve", lead)], lead=lead)

    def accept(self) -> None:
        self.note("accept", "in_progress")

    def give_back(self) -> None:
        department = self.dims["department"]
        self.dims["department"] = CENTRE
        self.note("give_back", "received", [*self.cancel(), self.start("forward", CENTRE)], department=department)

    def submit(self) -> None:
        self.note("submit_answer", "answered", self.meet("resolve"))

    def return_answer(self) -> None:
        ops = []
        met = [clock for clock in self.clocks if clock.stage == "resolve" and clock.met_at]
        if met:
            clock = met[-1]
            was, clock.met_at = clock.met_at, None
            assert was
            more = self.by_extension(clock, was)
            ops.append(self.op("reopened", clock, at=self.at.isoformat(), met_at=was.isoformat(), **more))
        self.note("return_answer", "in_progress", ops)

    def extend(self) -> None:
        beyond = self.at.minute % 3 == 0
        self.note("request_extension", beyond=beyond)
        ops = []
        for clock in self.clocks:
            if clock.running and clock.stage == "resolve":
                was, clock.due = clock.due, clock.due + timedelta(days=2)
                ops.append(self.op("moved", clock, was=was.isoformat()))
        if self.random.random() < 0.7:
            self.note("grant_extension", None, ops, until=self.at.isoformat(), beyond=beyond)
        else:
            for op in ops:
                clock = next(c for c in self.clocks if str(c.id) == op["id"])
                clock.due -= timedelta(days=2)
            self.note("deny_extension")

    def answer_directly(self) -> None:
        self.note("answer_directly", "answered", self.meet("forward"), **self.answered_a_person())

    def reply(self) -> None:
        self.note("reply", "replied", **self.answered_a_person())

    def rate(self) -> None:
        rating = self.random.randint(1, 5)
        self.note("rate", "closed" if rating >= 4 else None, rating=rating, previous=self.rating)
        self.rating = rating

    def close(self) -> None:
        self.note("close", "closed")

    def reopen(self) -> None:
        self.note("reopen", "received", [self.start("forward", CENTRE)])

    def refuse(self) -> None:
        self.note("refuse", "refused", self.meet("forward"), reason_code=self.random.choice(("court", "unclear")))

    def redirect(self) -> None:
        self.note("redirect", "redirected", self.cancel())

    def merge(self) -> None:
        self.note("merge", "merged", self.cancel())

    def mark_spam(self) -> None:
        self.note("mark_spam", "spam", self.cancel())

    def unmark_spam(self) -> None:
        self.note("unmark_spam", "received", [self.start("forward", CENTRE)])

    def chase(self) -> None:
        self.note("chase")

    def set_track(self) -> None:
        """Become restricted or ordinary again: the act is written restricted both times, the marker never."""
        was, self.restricted = self.restricted, True
        self.note("set_track", track="ordinary" if was else "denunciation")
        self.restricted = not was
        kind = RESTORED if was else WITHDRAWN
        data = {**self.rows[-1].data, "limits": []}
        self.rows.append(Row(self.id, kind, self.at, False, data))


ACTS: dict[str, tuple[str, ...]] = {
    "received": ("classify", "forward", "forward", "answer_directly", "refuse", "redirect", "merge", "mark_spam"),
    "forwarded": ("accept", "accept", "give_back", "classify", "chase", "redirect"),
    "in_progress": ("submit", "submit", "extend", "give_back", "classify"),
    "answered": ("reply", "reply", "return_answer", "chase"),
    "replied": ("rate", "close", "reopen"),
    "closed": ("rate", "reopen"),
    "refused": ("reopen",),
    "spam": ("unmark_spam",),
}


def stories(seed: int, cases: int, steps: int = 14, *, restricts: bool = True) -> list[Story]:
    """So many cases, each living up to `steps` steps."""
    random = Random(seed)
    return [
        Story(random, n, START + timedelta(hours=random.randrange(400)), restricts).live(random.randrange(steps))
        for n in range(1, cases + 1)
    ]


def in_time(told: list[Story]) -> list[Row]:
    """All rows in the order they happened; rows of one case keep theirs."""
    return sorted((row for story in told for row in story.rows), key=lambda row: row.at)


def plain(rows: list[Row]) -> list[Row]:
    """The same history had the case never been restricted."""
    return [Row(row.case, row.kind, row.at, False, row.data) for row in rows if row.kind not in MARKERS]


def today(moment: datetime) -> date:
    return moment.astimezone(ZONE).date()


async def write(session: AsyncSession, rows: list[Row]) -> None:
    """Append rows to the journal as they are."""
    await (await bare(session)).executemany(
        "INSERT INTO journal (kind, case_id, actor_kind, occurred_at, restricted, data) "
        "VALUES ($1, $2, 'system', $3, $4, $5::jsonb)",
        [(row.kind, row.case, row.at, row.restricted, json.dumps(row.data)) for row in rows],
    )


async def write_tables(session: AsyncSession, told: list[Story]) -> None:
    """The rows of cases and limits that belong to the stories."""
    await session.execute(
        text(
            "INSERT INTO departments (code, name, kind, valid_from) SELECT code, code, CASE code WHEN :centre "
            "THEN 'centre' ELSE 'so' END, '2020-01-01' FROM unnest(CAST(:codes AS text[])) code ON CONFLICT DO NOTHING"
        ),
        {"codes": list(DEPARTMENTS), "centre": CENTRE},
    )
    await session.execute(
        text(
            "INSERT INTO fields (code, name, urgency, public, valid_from) SELECT code, code, 'normal', true, "
            "'2020-01-01' FROM unnest(CAST(:codes AS text[])) code ON CONFLICT DO NOTHING"
        ),
        {"codes": list(filter(None, FIELDS))},
    )
    await session.execute(
        text(
            "INSERT INTO areas (code, name, type, valid_from, successors) SELECT code, code, 'xa', '2020-01-01', '{}' "
            "FROM unnest(CAST(:codes AS text[])) code ON CONFLICT DO NOTHING"
        ),
        {"codes": list(filter(None, AREAS))},
    )
    await session.execute(
        text(
            "INSERT INTO rule_sets (id, code, version, state, valid_from, note, source_document, created_at, settings) "
            "VALUES (:id, 'test', 1, 'draft', now(), '', '', now(), '{}') ON CONFLICT DO NOTHING"
        ),
        {"id": RULE_SET},
    )
    connection = await bare(session)
    await connection.executemany(
        "INSERT INTO cases (id, code, version, status, track, track_confirmed, restricted, urgency, kind, mode, "
        "channel, received_at, created_at, contact, identity_revealed, key_of, key_version, text, field, area, "
        "area_candidates, lead, rule_set_id, decision, give_backs, needs_supervisor, chased, public) "
        "VALUES ($1, $2, 1, $3, $4, false, $5, 'normal', 'report', 'timed', $6, $7, $7, '{}', false, $1, 1, 'text', "
        "nullif($8, ''), nullif($9, ''), '[]', $10, $11, '{}', 0, false, 0, true)",
        [
            (
                story.id,
                story.code,
                story.status,
                "denunciation" if story.restricted else "ordinary",
                story.restricted,
                story.dims["channel"],
                story.received_at,
                story.dims["field"],
                story.dims["area"],
                None if story.dims["department"] == CENTRE else story.dims["department"],
                RULE_SET,
            )
            for story in told
        ],
    )
    await connection.executemany(
        "INSERT INTO limits (id, case_id, stage, holder, clock, amount, unit, calendar, opened_at, due_at, met_at, "
        "cancelled_at, breached_at) VALUES ($1, $2, $3, $4, 'working', 8, 'h', 'office', $5, $5, $6, $7, $8)",
        [
            (
                clock.id,
                story.id,
                clock.stage,
                clock.holder,
                clock.due,
                clock.met_at,
                clock.cancelled_at,
                clock.breached_at,
            )
            for story in told
            for clock in story.clocks
        ],
    )


def is_open(story: Story) -> bool:
    return story.status in OPEN_STATUSES
