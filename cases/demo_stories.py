"""The demo comes to life: stories told through the real intake and commands, at their times, with the clock stepped.

The stories are `demo-stories.yaml`. Each tells one report and the steps that followed; those whose time has not come at
the start of the demo have not happened. What was done is read from the journal, so a demo that was killed goes on
where it stood, and one that is told is never told again.
"""

import heapq
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import structlog
import yaml
from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import citizens, demo_pictures
from cases.demo_times import Times
from cases.desk import Office, perform
from cases.intake import Report, open_case
from cases.models import Case, Limit
from cases.states import Action
from channels import outbox
from channels.adapter import Adapter
from channels.models import Outgoing
from channels.portal import Portal
from core import auth
from core.db import Database
from core.errors import DomainError, NotFound
from core.files import FileStore, Stored, Upload, take
from core.journal import record
from core.staff import CITIZEN, Actor, Staff, roles_from

HERE = Path(__file__).parent
ACCOUNT = "demo"  # of the raw rows the stories come in by; the story's id is its idempotency key
LOCK = 1022_010  # advisory lock: one teller at a time
BEGUN, TOLD = "demo.begun", "demo.told"
MINUTE = timedelta(minutes=1)

log = structlog.get_logger()


class Duties(Protocol):
    """The due work of the worker; each returns how much it found to do."""

    async def remind(self, session: AsyncSession, at: datetime) -> int:
        """Reminders and breaches of limits."""
        ...

    async def hold_to_dates(self, session: AsyncSession, at: datetime) -> int:
        """Note dates that units committed themselves to and that have passed."""
        ...

    async def close(self, session: AsyncSession, at: datetime) -> int:
        """Close what was answered long enough ago."""
        ...

    async def number(self, session: AsyncSession, at: datetime) -> int:
        """Journal positions."""
        ...

    async def project(self, session: AsyncSession, at: datetime) -> int:
        """Figures."""
        ...

    async def reply_sent(self, session: AsyncSession, outgoing: Outgoing, at: datetime) -> None:
        """A message has left."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """What one person does with the case; `when` as in `demo_times`."""

    when: str
    who: str
    action: Action
    body: Mapping[str, Any] = field(default_factory=dict)
    photos: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Story:
    """One report and what followed. `report` are members of `intake.Report`; `by` a member of staff, or the citizen."""

    id: str
    when: str
    channel: str
    text: str
    by: str = "citizen"
    report: Mapping[str, Any] = field(default_factory=dict)
    photos: Sequence[str] = ()
    steps: Sequence[Step] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the telling ended: cases opened and acts done now, and steps the rules refused, as `story: code`."""

    cases: int = 0
    acts: int = 0
    refused: tuple[str, ...] = ()


class Occupied(Exception):
    """The database holds cases that are not the demo's, or a worker is at work on it."""


@cache
def stories() -> tuple[Story, ...]:
    """The stories shipped with the project, in the order they are written."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the first is many times faster and not everywhere
    rows = yaml.load((HERE / "demo-stories.yaml").read_text(encoding="utf-8"), loader)  # noqa: S506 - a safe one
    with (HERE / "demo-samples.jsonl").open(encoding="utf-8") as lines:
        samples = {sample["id"]: sample["text"] for sample in map(json.loads, lines)}
    return tuple(_story(row, samples) for row in rows)


def _story(row: dict[str, Any], samples: Mapping[str, str]) -> Story:
    steps = []
    for when, who, action, *rest in row.pop("steps", ()):
        body = dict(rest[0]) if rest else {}
        steps.append(Step(when, who, Action(action), body, body.pop("photos", ())))
    fixed = {name: row.pop(name) for name in ("id", "when", "channel", "by", "photos") if name in row}
    words = row.pop("text", None) or samples[fixed["id"]]
    if "phone" in row:
        row["phone"] = citizens.phone_number(row["phone"])
    return Story(**fixed, text=words, report=row, steps=steps)


@dataclass
class _Told:
    """How far a story is."""

    story: Story
    case_id: UUID | None = None
    code: str = ""
    done: int = 0  # steps
    at: datetime | None = None  # of the last one, or of the report


class Teller:
    """Tells the stories into one database."""

    def __init__(
        self, database: Database, office: Office, files: FileStore, duties: Duties, zone: tzinfo, now: datetime
    ) -> None:
        self.database = database
        self.office = office
        self.files = files
        self.duties = duties
        self.adapters: dict[str, Adapter] = {name: Portal(name) for name in office.channels}  # nothing leaves the past
        self.times = Times(now.astimezone(zone), office.routing.at(now).book.calendar)
        self.clock = datetime.min.replace(tzinfo=UTC)  # never goes back
        self.actors: dict[str, Actor] = {}
        self.told: dict[str, _Told] = {}

    async def tell(self, told: Iterable[Story]) -> Outcome:
        """Tell what is not told yet. Occupied when this is no database for it."""
        async with (await self.database.pool()).acquire() as alone:
            await alone.execute("SELECT pg_advisory_lock($1)", LOCK)
            try:
                if not await self._begin():
                    return Outcome()
                await self._recall(told)
                outcome = await self._go_on()
                await self._finish()
                return outcome
            finally:
                await alone.execute("SELECT pg_advisory_unlock($1)", LOCK)

    async def _begin(self) -> bool:
        """Whether there is something to tell; the first time it is noted from when the stories count."""
        async with self.database.transaction() as session:
            rows = await session.execute(_MARKS, {"kinds": [BEGUN, TOLD]})
            marks = {row.kind: row.occurred_at for row in rows}
            if TOLD in marks:
                return False
            if (await session.execute(_WORKER)).first() is not None:
                raise Occupied("a worker is at work on this database; stop it, the demo steps the clock")
            if BEGUN in marks:
                self.times = Times(marks[BEGUN].astimezone(self.times.start.tzinfo), self.times.calendar)
                return True
            if (await session.exec(select(Case.id).limit(1))).first() is not None:
                raise Occupied("this database holds cases of its own")
            await record(session, BEGUN, at=self.times.start, actor_kind="system")
            return True

    async def _recall(self, told: Iterable[Story]) -> None:
        """What an earlier run did, and the accounts that act."""
        self.told = {story.id: _Told(story) for story in told}
        async with self.database.transaction() as session:
            for row in await session.execute(_DONE, {"account": ACCOUNT}):
                if one := self.told.get(row.external_id):
                    one.case_id, one.code, one.done, one.at = row.id, row.code, row.done, row.at
                    self.clock = max(self.clock, row.at)
            for person in (await session.exec(select(Staff).where(col(Staff.email).endswith("@demo")))).all():
                roles, homes = await auth.grants_of(session, person.id)
                self.actors[person.email.removesuffix("@demo")] = Actor(
                    "staff", person.id, person.name, person.email, roles_from(roles), frozenset(homes)
                )
        self.actors["citizen"] = CITIZEN

    async def _go_on(self) -> Outcome:
        cases, acts, refused = 0, 0, []
        waiting: list[tuple[datetime, int, _Told]] = []
        for number, one in enumerate(self.told.values()):
            if (moment := await self._next(one)) is not None:
                heapq.heappush(waiting, (moment, number, one))
        while waiting:
            moment, number, one = heapq.heappop(waiting)
            await self._catch_up(moment)
            self.clock = moment
            try:
                if one.case_id is None:
                    await self._open(one, moment)
                    cases += 1
                else:
                    await self._act(one, one.story.steps[one.done], moment)
                    acts += 1
            except DomainError as problem:  # a demo never keeps the system from starting: this story ends here
                log.warning("demo step refused", story=one.story.id, step=one.done, problem=problem.en)
                refused.append(f"{one.story.id} step {one.done}: {problem.en}")
                continue
            if (following := await self._next(one)) is not None:
                heapq.heappush(waiting, (following, number, one))
        await self._catch_up(self.times.start)
        return Outcome(cases, acts, tuple(refused))

    async def _finish(self) -> None:
        """Number and count all of it, then note that it is told."""
        async with self.database.transaction() as session:
            await record(session, TOLD, at=self.times.start, actor_kind="system")
        for work in (self.duties.number, self.duties.project):
            more = 1
            while more:
                async with self.database.transaction() as session:
                    more = await work(session, self.times.start)

    async def _next(self, one: _Told) -> datetime | None:
        """When the story goes on; None when it is at its end or at the start of the demo."""
        if one.case_id is None:
            moment = self.times.beginning(one.story.when)
        elif one.done == len(one.story.steps) or one.at is None:
            return None
        else:
            when, since = one.story.steps[one.done].when, one.at
            limits = await self._limits(one.case_id) if when.startswith("late") else {}
            moment = max(since + MINUTE, self.times.step(when, since, lambda stage: limits.get(stage, since)))
        return moment if moment <= self.times.start else None

    async def _limits(self, case_id: UUID) -> dict[str, datetime]:
        """When what the case is owed is due, by stage."""
        async with self.database.transaction() as session:
            running = select(Limit.stage, Limit.due_at).where(
                Limit.case_id == case_id, col(Limit.met_at).is_(None), col(Limit.cancelled_at).is_(None)
            )
            return {stage: due_at for stage, due_at in (await session.exec(running)).all() if due_at is not None}

    async def _open(self, one: _Told, at: datetime) -> None:
        story = one.story
        report = Report(
            channel=story.channel,
            text=story.text,
            files=tuple(await self._take(story.photos, at)),
            **story.report,
        )
        opened = await open_case(
            await self.database.pool(),
            self.office.intake,
            report,
            key=story.id,
            at=at,
            actor=self.actors[story.by],
            account=ACCOUNT,
        )
        one.case_id, one.code, one.at = opened.case_id, opened.answer["code"], at

    async def _act(self, one: _Told, step: Step, at: datetime) -> None:
        if one.case_id is None:
            raise NotFound("Chưa có phản ánh này.", "This case is not open yet.")
        files = tuple(await self._take(step.photos, at))
        body = dict(step.body)
        if "into" in body:
            body["into"] = self.told[body["into"]].code
        if "until" in body:
            since = at if step.action is Action.TELL_PROGRESS else (await self._limits(one.case_id)).get("resolve", at)
            body["until"] = self.times.later(max(since, at), body["until"])
        async with self.database.transaction() as session:
            if step.action is Action.FORWARD and "lead" not in body:
                body = {**await _suggested(session, one.case_id), **body}
            actor = self.actors[step.who]
            await perform(session, self.office, actor, one.case_id, step.action, body, at, files=files)
        one.done, one.at = one.done + 1, at

    async def _take(self, scenes: Sequence[str], at: datetime) -> list[Stored]:
        """Photos of these scenes, taken in as any other file."""
        uploads = [Upload(f"anh-{scene}.jpg", demo_pictures.picture(scene)) for scene in scenes]
        return await take(uploads, self.files, at=at) if uploads else []

    async def _catch_up(self, moment: datetime) -> None:
        """Do what falls due until this moment, each thing within a minute of its time."""
        before: object = None
        while True:
            async with self.database.transaction() as session:
                soonest = (await session.execute(_SOONEST, {"until": moment})).one()
            times = [time for time in soonest if time is not None]
            if not times or soonest == before:  # nothing, or nothing that moves
                return
            before = soonest
            self.clock = at = min(moment, max(self.clock, min(times) + MINUTE))
            async with self.database.transaction() as session:
                if soonest.reminding is not None and soonest.reminding <= at:
                    await self.duties.remind(session, at)
                if soonest.promised is not None and soonest.promised < at:
                    await self.duties.hold_to_dates(session, at)
                if soonest.closing is not None and soonest.closing <= at:
                    await self.duties.close(session, at)
            if soonest.sending is not None and soonest.sending <= at:
                await outbox.deliver_due(self.database, self.adapters, at, on_sent=self.duties.reply_sent)


async def _suggested(session: AsyncSession, case_id: UUID) -> dict[str, Any]:
    """The units the rules name for the case, as a dispatcher would take them over."""
    decision = (await session.exec(select(Case.decision).where(Case.id == case_id))).one()
    return {"lead": decision["lead"], "supporting": decision["supporting"]}


_MARKS = text("SELECT kind, occurred_at FROM journal WHERE kind = ANY(:kinds) AND case_id IS NULL")
_WORKER = text(
    "SELECT 1 FROM pg_stat_activity WHERE application_name = 'hotline-worker' AND datname = current_database() LIMIT 1"
)
# An act of a person is one journal row of its case; what follows from it is the system's.
_DONE = text(
    """
    SELECT r.external_id, c.id, c.code, max(j.occurred_at) AS at,
           count(*) FILTER (WHERE j.kind <> 'case.open') AS done
    FROM received r JOIN cases c ON c.id = r.subject_id JOIN journal j ON j.case_id = c.id
    WHERE r.account = :account AND j.kind LIKE 'case.%' AND j.actor_kind IN ('citizen', 'staff')
    GROUP BY r.external_id, c.id, c.code
    """
)
_SOONEST = text(
    """
    SELECT (
               SELECT min(greatest(run_at, lease_until)) FROM outgoing WHERE run_at <= :until
               AND (lease_until IS NULL OR lease_until <= :until)
           ) AS sending,
           (SELECT min(next_at) FROM limits WHERE next_at <= :until) AS reminding,
           (SELECT min(until) FROM commitments WHERE state = 'open' AND until <= :until) AS promised,
           (SELECT min(close_after) FROM cases WHERE status = 'replied' AND close_after <= :until) AS closing
    """
)
