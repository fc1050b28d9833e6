"""A reform rehearsed: a province as it was on a day before it, open cases with all whom the reform ends, and the clock
stepped through the day by the same code that does it in earnest. In a database of its own, which is thrown away.

What is looked for afterwards is what could go wrong: a case in nobody's hands, lost, or in two hands; a clock that
changed; an old name that finds nothing.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import due_work, rehoming, search, verify
from cases.desk import Office, perform
from cases.intake import CaseNumbers, IntakeDesk, Report, open_case
from cases.models import Assignment, Case, CaseSearch, Limit
from cases.states import OPEN, Action
from core import journal
from core.db import Database, bare
from core.ids import uuid7
from core.staff import Actor, Role, RoleGrant, Staff
from core.text import fold
from routing import commands, queries
from routing.calendars import province_calendar
from routing.directory import Directory
from routing.editing import reforms
from routing.queries import Routing
from routing.reforms import Reform

SECRET = b"rehearsal" * 4
LONGEST = 92  # days of a rehearsal
TOGETHER = 25  # cases a transaction
ROADS: tuple[tuple[Action, ...], ...] = (
    (Action.FORWARD,),
    (Action.FORWARD, Action.ACCEPT),
    (Action.FORWARD, Action.ACCEPT, Action.ASK_CITIZEN),
    (Action.FORWARD, Action.ACCEPT, Action.SUBMIT_ANSWER),
)
_SPOT = UUID("0f6d5d6e-7a53-4c42-9d3b-0b0f0b7a1022")

Proof = Callable[[AsyncSession, datetime], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Scene:
    """A case as it stands on the eve: who has it, where it is, how far it came; `accused` makes it a denunciation."""

    lead: str
    supporting: tuple[str, ...]
    area: str | None
    field: str
    road: tuple[Action, ...]
    accused: str | None = None


@dataclass(slots=True)
class Outcome:
    """What a rehearsal found. `wrong` is empty when all went well."""

    reform: Reform
    first: date
    last: date
    counts: dict[str, int] = field(default_factory=dict)
    at_the_centre: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The report, for people."""
        told = [f"{self.reform.code}: {self.reform.name}"]
        told.append(f"rehearsed from {self.first} to {self.last}, in force from {self.reform.effective_on}")
        told += [f"{what + ':':<58}{count:>6}" for what, count in self.counts.items()]
        told += [f"  to the centre: {each}" for each in self.at_the_centre]
        told += [f"WRONG: {each}" for each in self.wrong]
        told.append("All went well." if not self.wrong else f"{len(self.wrong)} things went wrong.")
        return told


@dataclass(frozen=True, slots=True)
class _Held:
    """What must not change when a case passes on: its limits by stage and due time, and who had it."""

    lead: str | None
    units: tuple[str, ...]
    status: str
    clocks: tuple[tuple[str, datetime | None], ...]


async def run(
    database: Database,
    document: str,
    first: date,
    last: date,
    *,
    most: int | None = None,
    every: int = 1,
    proofs: Mapping[str, Proof] | None = None,
) -> Outcome:
    """Rehearse a reform in an empty, migrated database. Invalid when the document is not right.

    `most` bounds the places per department; None: every commune it answers for has a case of its own. Of `every` so
    many departments that end one has cases. `proofs` are asked at the end beside our own, and name what is wrong.
    """
    reform = reforms.read(document)
    stage = _Stage(database, reform, first, last)
    await stage.set_up(document)
    routing = await stage.routing()
    scenes = list(scenes_of(stage.reform, routing.directory, _ordinary(routing), first, most, every))
    await stage.open(scenes, routing)
    await stage.walk()
    await stage.prove(proofs or {})
    return stage.outcome


def _ordinary(routing: Routing) -> list[str]:
    """Fields whose cases no track hides."""
    return sorted(code for code, each in routing.fields.items() if each.track is None and each.valid_to is None)


def scenes_of(
    reform: Reform, directory: Directory, fields: Sequence[str], on: date, most: int | None = None, every: int = 1
) -> Iterable[Scene]:
    """A case for every department that ends and each place it answers for, in every status in turn; some are known by
    the district alone or by nothing, some only help, and some are denunciations.
    """
    ended = sorted(reform.ended_departments)
    alive = sorted(code for code, each in directory.departments.items() if each.lives(on) and each.kind != "centre")
    stays = [
        code for code in alive if code not in reform.ended_departments and directory.departments[code].area is None
    ]
    inside: dict[str, list[str]] = {}
    for code, known in sorted(directory.areas.items()):
        if (known.valid_from or date.min) <= on and (known.valid_to is None or on < known.valid_to):
            for above in directory.lineage(code, on):
                inside.setdefault(above, []).append(code)
    number = 0
    for place, code in enumerate(ended):
        if code not in alive or place % every:
            continue
        area = directory.departments[code].area
        within = [each for each in inside.get(area or "", ()) if each != area]
        places: list[str | None] = [*within[:most], *([area] if area else []), *([None] if within or not area else [])]
        for each in places:
            spot = fields[number % len(fields)]
            yield Scene(code, (), each, spot, ROADS[number % len(ROADS)])
            number += 1
        helper, near = stays[place % len(stays)], ended[place - 1]
        if place % 3 == 0 and near in alive and near != code:
            yield Scene(helper, (code, near), area, fields[number % len(fields)], ROADS[place % len(ROADS)])
        if place % 12 == 0:
            yield Scene(code, (), area, fields[number % len(fields)], ROADS[0], accused=near if near in alive else code)


@dataclass
class _Stage:
    """A rehearsal in progress."""

    database: Database
    reform: Reform
    first: date
    last: date
    outcome: Outcome = field(init=False)
    before: dict[UUID, _Held] = field(default_factory=dict)
    codes: dict[UUID, str] = field(default_factory=dict)
    accused: set[UUID] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.outcome = Outcome(self.reform, self.first, self.last)
        self.numbers = CaseNumbers()
        self.clerk: UUID | None = None
        self.read: dict[bool, Routing] = {}

    # ---- before the curtain

    async def set_up(self, document: str) -> None:
        """The province as it was on the first day, with the reform applied: known in advance, in force on its day."""
        at = self.moment(self.first, 7)
        async with self.database.transaction() as session:
            await commands.seed(session, at)
            await reforms.seed_as_of(session, self.first)
            person = Staff(id=uuid7(at), email="rehearsal@1022", name="", password_hash="-", created_at=at)
            session.add(person)
            await session.flush()
            session.add(RoleGrant(staff_id=person.id, role=Role.INSPECTOR.value, granted_at=at))
            self.clerk = person.id
        admin = Actor(kind="staff", id=self.clerk, roles=frozenset({Role.ADMIN}))
        async with self.database.transaction() as session:
            seen = await reforms.look(session, self.reform)
            self.reform = self.outcome.reform = seen.reform
            await reforms.store(session, admin, at, document)
            await reforms.apply(session, admin, at, self.reform.code)
        steps = Counter(step.what for step in seen.steps)
        self.count("areas that end", steps["area_ends"])
        self.count("areas that begin", steps["area_begins"])
        if steps["area_renamed"]:
            self.count("areas renamed", steps["area_renamed"])
        self.count("departments that end", steps["department_ends"])
        self.count("departments that begin", steps["department_begins"])
        self.count("departments renamed", steps["department_renamed"])

    def moment(self, day: date, hour: int, minute: int = 0) -> datetime:
        """A local time of the province in UTC."""
        return datetime.combine(day, time(hour, minute), province_calendar().zone).astimezone(UTC)

    def count(self, what: str, count: int) -> None:
        self.outcome.counts[what] = count

    async def routing(self, at: datetime | None = None) -> Routing:
        """The rules and the directory; read again once the day has come, for names have turned then."""
        come = at is not None and at >= self.moment(self.reform.effective_on, 0)
        if come not in self.read:
            async with self.database.transaction() as session:
                self.read[come] = await queries.load(session)
        return self.read[come]

    async def open(self, scenes: Sequence[Scene], routing: Routing) -> None:
        """Every scene as a case of its own, by the acts of those who do them."""
        office = Office(routing, frozenset(), IntakeDesk(routing, self.numbers, "TD", SECRET))
        at = self.moment(self.first, 8)
        for start in range(0, len(scenes), TOGETHER):
            async with self.database.transaction() as session:
                for number, scene in enumerate(scenes[start : start + TOGETHER], start):
                    await self._play(session, office, scene, number, at)
        self.before = await self._held()
        self.count("open cases on the eve", len(self.before))

    async def _play(self, session: AsyncSession, office: Office, scene: Scene, number: int, at: datetime) -> None:
        words = f"Phản ánh diễn tập số {number}"
        report = Report(channel="web", text=words, field=scene.field, area=scene.area, receipt=False)
        opened = await open_case(
            await bare(session), office.intake, report, key=str(uuid5(_SPOT, str(number))), at=at, account="rehearsal"
        )
        centre = Actor(kind="staff", id=self.clerk, roles=frozenset({Role.DISPATCHER, Role.SUPERVISOR}))
        unit = Actor(
            kind="staff", id=self.clerk, roles=frozenset({Role.OFFICER, Role.HEAD}), departments=frozenset({scene.lead})
        )
        inspector = Actor(kind="staff", id=self.clerk, roles=frozenset({Role.INSPECTOR}))
        bodies: dict[Action, tuple[Actor, dict[str, Any]]] = {
            Action.FORWARD: (centre, {"lead": scene.lead, "supporting": list(scene.supporting)}),
            Action.ACCEPT: (unit, {}),
            Action.ASK_CITIZEN: (unit, {"question": "Đoạn nào ạ?"}),
            Action.SUBMIT_ANSWER: (unit, {"reply": "Đã xử lý xong."}),
        }
        for action in scene.road:
            who, body = bodies[action]
            await perform(session, office, who, opened.case_id, action, body, at)
        if scene.accused is not None:
            track = {"track": "denunciation"}
            await perform(session, office, centre, opened.case_id, Action.SET_TRACK, track, at)
            self.accused.add(opened.case_id)
            told = {**track, "accused": [scene.accused]}
            await perform(session, office, inspector, opened.case_id, Action.SET_TRACK, told, at)
        self.codes[opened.case_id] = str(opened.answer["code"])

    # ---- the days

    async def walk(self) -> None:
        """Three times a day from the first to the last: at midnight, in the morning, at the end of work."""
        day = self.first
        while day <= self.last:
            for hour in (0, 8, 17):
                if (day, hour) > (self.first, 8):
                    await self.turn(self.moment(day, hour))
            if day + timedelta(days=1) == self.reform.effective_on:
                await self.turn(self.moment(day, 23, 59))
                await self.eve()
            day += timedelta(days=1)

    async def turn(self, at: datetime) -> None:
        """What workers do at this moment; the first batch of cases that pass on dies before it is written, once."""
        async with self.database.transaction() as session:
            await reforms.turn_names(session, at)
        routing = await self.routing(at)
        office = Office(routing, frozenset(), IntakeDesk(routing, self.numbers, "TD", SECRET))
        found = due_work.BATCH
        while found == due_work.BATCH:
            async with self.database.transaction() as session:
                found = await due_work.run_due(session, routing, at)
        async with self.database.transaction() as session:
            await rehoming.accuse_heirs(session, routing, at)
        if at >= self.moment(self.reform.effective_on, 0) and not self.outcome.counts.get("batches that died"):
            await self._die(office, at)
        after: UUID | None = None
        while True:
            async with self.database.transaction() as session:
                step = await rehoming.run(session, office, at, after)
            if step.failed:
                self.outcome.wrong.append(f"{step.failed} cases could not be moved")
            after = step.last
            if after is None:
                return

    async def _die(self, office: Office, at: datetime) -> None:
        try:
            async with self.database.transaction() as session:
                await rehoming.run(session, office, at)
                raise _DiedError
        except _DiedError:
            self.count("batches that died", 1)

    async def eve(self) -> None:
        """One minute before: nobody has moved."""
        now = await self._held()
        moved = [self.codes[key] for key, held in now.items() if held.lead != self.before[key].lead]
        self.outcome.wrong += [f"{code} moved before the day" for code in moved]
        self.before = now

    # ---- afterwards

    async def prove(self, proofs: Mapping[str, Proof]) -> None:
        """Everything that was promised, each looked for by itself."""
        at = self.moment(self.last, 17)
        routing = await self.routing(at)
        now = await self._held()
        self.count("open cases afterwards", len(now))
        lost = sorted(self.before.keys() - now.keys())
        self.outcome.wrong += [f"{self.codes[key]} is lost" for key in lost]
        await self._living(now, routing)
        await self._once(now, routing)
        self._clocks(now, routing)
        await self._found(routing, at)
        async with self.database.transaction() as session:
            while await journal.number_positions(session):
                pass
        async with self.database.transaction(frozen=True) as session:
            seen, differences = await verify.limits(session, at)
        self.count("limits equal to the journal", seen - len(differences))
        self.outcome.wrong += [f"limits: {each}" for each in differences[:10]]
        for name, proof in proofs.items():
            async with self.database.transaction() as session:
                found = await proof(session, at)
            self.count(f"{name}: differences", len(found))
            self.outcome.wrong += [f"{name}: {each}" for each in found[:10]]

    async def _held(self) -> dict[UUID, _Held]:
        async with self.database.transaction() as session:
            cases = (await session.exec(select(Case).where(col(Case.status).in_(sorted(OPEN))))).all()
            running = (col(Limit.met_at).is_(None), col(Limit.cancelled_at).is_(None))
            limits = (await session.exec(select(Limit).where(*running))).all()
        clocks: dict[UUID, list[tuple[str, datetime | None]]] = {}
        for limit in limits:
            clocks.setdefault(limit.case_id, []).append((limit.stage, limit.due_at))
        return {
            case.id: _Held(
                case.lead,
                tuple(case.units),
                case.status,
                tuple(
                    sorted(
                        clocks.get(case.id, ()), key=lambda each: (each[0], each[1] or datetime.max.replace(tzinfo=UTC))
                    )
                ),
            )
            for case in cases
        }

    async def _living(self, now: Mapping[UUID, _Held], routing: Routing) -> None:
        """Every open case is in the hands of departments that live, and so is every clock that runs."""
        directory = routing.directory
        gone = directory.ended(self.last)
        async with self.database.transaction() as session:
            open_parts = select(Assignment).where(col(Assignment.ended_at).is_(None))
            parts = (await session.exec(open_parts)).all()
            running = (col(Limit.met_at).is_(None), col(Limit.cancelled_at).is_(None))
            limits = (await session.exec(select(Limit).where(*running))).all()
        owed = {limit.case_id for limit in limits}
        for key, held in now.items():
            code = self.codes[key]
            if held.lead is None:
                if key not in owed:
                    self.outcome.wrong.append(f"{code} is in nobody's hands")
            elif not directory.departments[held.lead].lives(self.last):
                self.outcome.wrong.append(f"{code} is with {held.lead}, which has ended")
        self.outcome.wrong += [
            f"{self.codes[part.case_id]}: {part.department} has a part and has ended"
            for part in parts
            if part.case_id in now and part.department in gone
        ]
        self.outcome.wrong += [
            f"{self.codes[limit.case_id]}: {limit.holder} owes {limit.stage} and has ended"
            for limit in limits
            if limit.holder in gone
        ]
        moved = [key for key in now if self.before[key].lead != now[key].lead]
        self.count("passed to a living heir", sum(now[key].lead is not None for key in moved))
        centre = [key for key in moved if now[key].lead is None]
        self.count("back at the centre, with a notice", len(centre))
        by_unit: dict[str, list[str]] = {}
        for key in sorted(centre):
            why = "its place has no one heir, or is not known"
            if key in self.accused and directory.heirs(self.before[key].lead or "", self.last):
                why = "it is about whoever would take it over"
            name = directory.name_at(self.before[key].lead or "", self.first)
            by_unit.setdefault(f"{name}: {why}", []).append(self.codes[key])
        self.outcome.at_the_centre += [f"{unit}: {', '.join(codes)}" for unit, codes in sorted(by_unit.items())]

    async def _once(self, now: Mapping[UUID, _Held], routing: Routing) -> None:
        """Who had to pass on did so in one act, and nobody else; nothing is there twice."""
        gone = routing.directory.ended(self.last)
        async with self.database.transaction() as session:
            told = await session.execute(
                text("SELECT case_id, count(*) FROM journal WHERE kind = 'case.rehome' GROUP BY case_id")
            )
            acts = {row[0]: int(row[1]) for row in told}
            total = int(await session.scalar(text("SELECT count(*) FROM cases")) or 0)
            twice = (
                await session.execute(
                    text(
                        "SELECT case_id, department FROM assignments WHERE ended_at IS NULL "
                        "GROUP BY 1, 2 HAVING count(*) > 1"
                    )
                )
            ).all()
        for key, held in self.before.items():
            wanted = int(not gone.isdisjoint((*held.units, held.lead or "")))
            if acts.get(key, 0) != wanted:
                self.outcome.wrong.append(f"{self.codes[key]} passed on {acts.get(key, 0)} times, not {wanted}")
        if total != len(self.codes):
            self.outcome.wrong.append(f"{total} cases in the table, {len(self.codes)} were opened")
        self.outcome.wrong += [f"{self.codes[key]}: {unit} has two parts" for key, unit in twice]
        self.count("acts of passing on", sum(acts.values()))

    def _clocks(self, now: Mapping[UUID, _Held], routing: Routing) -> None:
        """Where one unit follows another the same is due at the same moments; two that merge owe it once."""
        same = 0
        for key, held in now.items():
            was = self.before[key]
            if held.lead is None or held.lead == was.lead:
                continue
            if set(held.clocks) != set(was.clocks):
                self.outcome.wrong.append(f"{self.codes[key]}: other clocks run than before")
            same += 1
        self.count("whose clocks run on unchanged", same)

    async def _found(self, routing: Routing, at: datetime) -> None:
        """Each case that moved is found by the old name of its place and of its unit, and by the new ones."""
        async with self.database.transaction() as session:
            while await journal.number_positions(session):
                pass
        more = 1
        while more:
            async with self.database.transaction() as session:
                more = await search.index(session, routing, at)
        names: dict[str, set[UUID]] = {}
        async with self.database.transaction() as session:
            cases = {case.id: case for case in (await session.exec(select(Case))).all()}
        for key, held in self.before.items():
            case = cases[key]
            if case.restricted or held.lead is None or case.lead in (None, held.lead):
                continue  # what came back to the centre says in its note whose it was
            units = [routing.directory.name_at(each, self.first) for each in (held.lead, case.lead or "")]
            place = routing.area(case.area)
            for name in (
                *units,
                *([f"{place.type} {place.name}"] if place is not None and place.type != "tỉnh" else []),
            ):
                names.setdefault(fold(name), set()).add(key)
        for name, wanted in sorted(names.items()):
            words = search.words_query(f'"{name}"')
            assert words is not None
            matching = col(CaseSearch.tsv).bool_op("@@")(search.tsquery(words))
            async with self.database.transaction() as session:
                hits = set((await session.exec(select(CaseSearch.case_id).where(matching))).all())
            self.outcome.wrong += [f"{self.codes[key]} is not found by “{name}”" for key in sorted(wanted - hits)]
        self.count("old and new names asked for", len(names))


class _DiedError(Exception):
    """A worker was killed in the middle of a batch."""
