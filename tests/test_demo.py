"""The demo's stories: told at any start, once, by the real commands, whatever happens meanwhile."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import asyncpg
import httpx
import pytest
from sqlalchemy import text

from cases import demo, demo_pictures, verify
from cases.demo_stories import Occupied, Outcome, Step, Story, Teller, stories
from cases.demo_times import BadTime, Times
from cases.desk import Office
from cases.intake import CaseNumbers, IntakeDesk, Report, open_case
from cases.states import Action, Status
from core.db import Database
from core.filestore import LocalStore
from core.filetypes import JPEG
from core.pictures import remake
from core.settings import Settings
from ioc import reconcile
from routing import queries, seeds
from routing.calendars import province_calendar
from routing.working_time import Amount, due
from tests.conftest import at_database, run_sql
from tests.running import PASSWORD, TOP, System, until
from worker import Worker

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
CALENDAR = province_calendar()
STARTS = [
    pytest.param("2026-11-23T00:30", id="Monday, half past midnight", marks=pytest.mark.soak),
    pytest.param("2026-11-29T12:00", id="Sunday noon", marks=pytest.mark.soak),
    pytest.param("2027-02-08T10:00", id="third day of Tết"),
]
ACTS = sum(len(story.steps) for story in stories())

pytestmark = pytest.mark.timeout(300)


def local(moment: str) -> datetime:
    return datetime.fromisoformat(moment).replace(tzinfo=ZONE).astimezone(UTC)


@contextmanager
def a_database(server_url: str, template: str) -> Iterator[str]:
    """A migrated and seeded database of its own."""
    name = f"t_demo_{uuid.uuid4().hex[:8]}"
    asyncio.run(run_sql(server_url, f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield at_database(server_url, name)
    asyncio.run(run_sql(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


@asynccontextmanager
async def a_teller(url: str, folder: Path, now: datetime) -> AsyncIterator[Teller]:
    """What `main.py demo` makes, at a moment of our choice."""
    settings = Settings(data_dir=folder, database_url=url, secret_key="k" * 40)
    database = Database(url, pool=4)
    try:
        async with database.transaction() as session:
            await demo.make(session, PASSWORD, now)
        async with database.transaction() as session:
            routing = await queries.load(session)
        office = Office(
            routing, frozenset({"web", "app", "sms", "email"}), IntakeDesk(routing, CaseNumbers(), "BP", settings.key)
        )
        duties = Worker(settings, database, {}, asyncio.Event(), lambda: now)
        yield Teller(database, office, LocalStore(settings.files_dir), duties, ZONE, now)
    finally:
        await database.close()


@dataclass
class Province:
    """A demo that is told."""

    url: str
    folder: Path
    now: datetime
    outcome: Outcome

    def ask(self, query: str, *values: object) -> list[asyncpg.Record]:
        """Rows of its database."""

        async def fetch() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.url)
            try:
                rows: list[asyncpg.Record] = await connection.fetch(query, *values)
                return rows
            finally:
                await connection.close()

        return asyncio.run(fetch())

    def count(self, condition: str) -> int:
        """How many cases `c` it holds for; $1 is the start."""
        condition = condition.replace("$1", "$1::timestamptz")
        rows = self.ask(f"SELECT count(*) FROM cases c WHERE received_at <= $1 AND {condition}", self.now)
        return int(rows[0]["count"])


@pytest.fixture(scope="module", params=STARTS)
def province(
    request: pytest.FixtureRequest, server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Province]:
    """The demo, first started at each of STARTS."""
    now, folder = local(request.param), tmp_path_factory.mktemp("demo")
    with a_database(server_url, template) as url:
        began = time.monotonic()
        outcome = asyncio.run(told(url, folder, now))
        print(f"told in {time.monotonic() - began:.1f} s")
        yield Province(url, folder, now, outcome)


async def told(url: str, folder: Path, now: datetime) -> Outcome:
    async with a_teller(url, folder, now) as teller:
        return await teller.tell(stories())


# ---- what is there at a start


def test_every_story_is_told_to_its_end(province: Province) -> None:
    assert province.outcome == Outcome(cases=len(stories()), acts=ACTS, refused=())


def test_every_status_is_there(province: Province) -> None:
    found = {row["status"] for row in province.ask("SELECT DISTINCT status FROM cases")}
    assert found == {status.value for status in Status}


# What a visitor finds: conditions on `cases c`, and of how many at least. OWED is a limit that runs, $1 the start.
OWED = "EXISTS (SELECT 1 FROM limits l WHERE l.case_id = c.id AND l.met_at IS NULL AND l.cancelled_at IS NULL AND "
EXTENSION = "EXISTS (SELECT 1 FROM extensions e WHERE e.case_id = c.id AND e.state = "
ENTRY = "EXISTS (SELECT 1 FROM entries e WHERE e.case_id = c.id AND e.kind = "
NOTED = "EXISTS (SELECT 1 FROM journal j WHERE j.case_id = c.id AND j.kind = "
SO_XD = "lead = 'so-xd' AND status = "
THERE = {
    # the centre
    "unanswered reports of the last hour": ("status = 'received' AND received_at > $1 - interval '1 hour'", 8),
    "an emergency with little time left": (
        f"status = 'received' AND urgency = 'emergency' AND {OWED} l.due_at - $1 BETWEEN '1 min' AND '15 min')", 1
    ),
    "late at the centre": (f"status = 'received' AND {OWED} l.due_at < $1)", 1),
    "given back three times, for the supervisor": ("needs_supervisor AND status = 'received'", 1),
    "given back": ("give_backs > 0", 4),
    "of one incident": ("incident_id IS NOT NULL", 2),
    "split off": ("EXISTS (SELECT 1 FROM case_links k WHERE k.other_id = c.id AND k.kind = 'split')", 1),
    # officer@demo and head@demo
    "to accept, in time": (f"{SO_XD} 'forwarded' AND {OWED} l.stage = 'accept' AND l.due_at > $1)", 4),
    "to accept, late": (f"{SO_XD} 'forwarded' AND {OWED} l.stage = 'accept' AND l.due_at < $1)", 1),
    "at work, in time": (f"{SO_XD} 'in_progress' AND {OWED} l.stage = 'resolve' AND l.due_at > $1)", 2),
    "at work, late": (f"{SO_XD} 'in_progress' AND {OWED} l.stage = 'resolve' AND l.due_at < $1)", 3),
    "to approve": (f"{SO_XD} 'answered' AND approved_at IS NULL", 3),
    "to approve, late": (f"{SO_XD} 'answered' AND {OWED} l.due_at < $1)", 1),
    "an extension to decide": (f"lead = 'so-xd' AND {EXTENSION} 'requested')", 1),
    "an extension granted": (f"{EXTENSION} 'granted')", 1),
    "an extension denied": (f"{EXTENSION} 'denied')", 1),
    "a unit asked for something of its own": (
        "EXISTS (SELECT 1 FROM assignments a WHERE a.case_id = c.id AND a.task_id IS NOT NULL)", 1
    ),
    # officer2@demo, the leader and the inspector
    "an order to answer": (f"{OWED} l.stage = 'directive')", 1),
    "a promise broken": ("EXISTS (SELECT 1 FROM commitments m WHERE m.case_id = c.id AND m.state = 'broken')", 1),
    "for another department": ("'so-yte' = ANY(units) AND status NOT IN ('closed', 'replied')", 1),
    "a denunciation": ("track = 'denunciation' AND restricted AND status = 'received'", 1),
    "a complaint handed over": ("track = 'complaint' AND status = 'redirected'", 1),
    # what citizens did and see
    "rated well": ("rating >= 4", 15),
    "rated badly": ("rating <= 2", 1),
    "reopened": (f"{NOTED} 'case.reopen')", 2),
    "chased": ("chased > 0", 3),
    "asked, and answered by the citizen": (f"{ENTRY} 'question') AND {ENTRY} 'message')", 1),
    "published": ("published_at IS NOT NULL", 12),
    "with photos": ("EXISTS (SELECT 1 FROM attachments a WHERE a.case_id = c.id)", 10),
    # everywhere
    "helped by another unit": (
        "EXISTS (SELECT 1 FROM assignments a WHERE a.case_id = c.id AND a.state = 'contributed')", 3
    ),
    "reminded": (f"{NOTED} 'limit.reminded')", 20),
}  # fmt: skip


def test_every_role_finds_its_work(province: Province) -> None:
    found = {name: province.count(condition) for name, (condition, _) in THERE.items()}
    assert {name: count for name, count in found.items() if count < THERE[name][1]} == {}


def test_every_channel_has_brought_something(province: Province) -> None:
    found = {row["channel"] for row in province.ask("SELECT DISTINCT channel FROM cases")}
    assert found == {"web", "app", "zalo", "facebook", "telegram", "email", "sms", "voice", "counter"}


# ---- that it is true


def test_what_happened_is_in_order_and_nothing_in_the_future(province: Province) -> None:
    rows = province.ask(
        "SELECT j.kind, j.occurred_at AS at FROM journal_positions p JOIN journal j ON j.id = p.journal_id "
        "WHERE j.case_id IS NOT NULL ORDER BY p.position"
    )
    times = [row["at"] for row in rows]
    assert len(times) > ACTS
    a_delivery = timedelta(seconds=2)  # settles by the wall clock's few milliseconds later than the stepped one
    assert [(one, other) for one, other in pairwise(rows) if other["at"] < one["at"] - a_delivery] == []
    assert times[-1] <= province.now
    assert times[0] < province.now - timedelta(days=11)


def test_due_work_was_done_within_a_minute_of_its_time(province: Province) -> None:
    # Deliveries settle later than the stepped clock by what they took on the wall's; the rest is exact.
    late = province.ask(
        "SELECT count(*) FROM cases WHERE replied_at > approved_at + interval '90 s' UNION ALL "
        "SELECT count(*) FROM outgoing WHERE sent_at > created_at + interval '90 s' OR run_at <= $1 UNION ALL "
        "SELECT count(*) FROM limits WHERE next_at <= $1 UNION ALL "
        "SELECT count(*) FROM journal, jsonb_array_elements(data -> 'limits') op WHERE kind = 'limit.breached' "
        "AND occurred_at > (op ->> 'due_at')::timestamptz + interval '61 s'",
        province.now,
    )
    assert [row["count"] for row in late] == [0, 0, 0, 0]


def test_clocks_and_figures_agree_with_the_journal(province: Province) -> None:
    assert asyncio.run(differences(province.url, province.now)) == []


async def differences(url: str, at: datetime) -> list[object]:
    """What `limits verify` and `ioc reconcile` have to say."""
    database = Database(url)
    try:
        async with database.transaction(frozen=True) as session:
            _, limits = await verify.limits(session, at)
            return [*limits, *await reconcile.reconcile(session, ZONE, at)]
    finally:
        await database.close()


def test_people_acted_in_their_own_roles_and_units_in_working_hours_unless_it_burned(province: Province) -> None:
    rows = province.ask(
        "SELECT j.occurred_at AS at, c.code FROM journal j JOIN cases c ON c.id = j.case_id "
        "JOIN staff s ON s.id = j.actor_id WHERE s.email = ANY($1) AND c.urgency <> 'emergency' "
        "AND c.text NOT LIKE 'Mất điện%' AND j.occurred_at < $2",
        ["officer@demo", "head@demo", "officer2@demo", "unit@demo", "unithead@demo"],
        province.now - timedelta(minutes=30),
    )
    assert len(rows) > 80
    now_open = Amount(0, "min", "working")
    assert [row["code"] for row in rows if due(row["at"], now_open, CALENDAR) != row["at"]] == []


def test_told_again_nothing_happens_twice(province: Province) -> None:
    count = "SELECT count(*) FROM journal"
    before = province.ask(count)
    began = time.monotonic()
    assert asyncio.run(told(province.url, province.folder, province.now + timedelta(days=3))) == Outcome()
    assert time.monotonic() - began < 5
    assert province.ask(count) == before


# ---- whom it leaves alone


async def own_case(teller: Teller, at: datetime) -> None:
    report = Report(channel="web", text="Nắp cống vỡ trước số 12 đường Hùng Vương.")
    await open_case(await teller.database.pool(), teller.office.intake, report, key=str(uuid.uuid4()), at=at)


async def kinds(teller: Teller) -> Counter[str]:
    """What the journal holds, but for the making of accounts."""
    async with teller.database.transaction() as session:
        rows = await session.execute(text("SELECT kind FROM journal WHERE kind NOT LIKE 'staff.%'"))
        return Counter(rows.scalars())


NOW = local("2026-11-24T09:00")


def test_a_database_with_cases_of_its_own_is_left_alone(server_url: str, template: str, tmp_path: Path) -> None:
    async def work(url: str) -> None:
        async with a_teller(url, tmp_path, NOW) as teller:
            await own_case(teller, NOW)
            with pytest.raises(Occupied, match="cases of its own"):
                await teller.tell(stories())
            assert await kinds(teller) == {"case.open": 1}

    with a_database(server_url, template) as url:
        asyncio.run(work(url))


def test_a_database_with_a_worker_at_work_is_left_alone(server_url: str, template: str, tmp_path: Path) -> None:
    async def work(url: str) -> None:
        connection = await asyncpg.connect(url, server_settings={"application_name": "hotline-worker"})
        try:
            async with a_teller(url, tmp_path, NOW) as teller:
                with pytest.raises(Occupied, match="a worker is at work"):
                    await teller.tell(stories())
                assert await kinds(teller) == {}
        finally:
            await connection.close()

    with a_database(server_url, template) as url:
        asyncio.run(work(url))


def test_a_step_that_is_refused_ends_its_story_and_no_other(server_url: str, template: str, tmp_path: Path) -> None:
    wrong = Step("5min", "officer", Action.ACCEPT)
    some = [
        Story("A", "-3d 09:00", "web", "Đèn đường tắt.", steps=[wrong, Step("1min", "agent", Action.MARK_SPAM)]),
        Story("B", "-3d 10:00", "web", "Thử máy.", steps=[Step("5min", "agent", Action.MARK_SPAM)]),
    ]

    async def work(url: str) -> Outcome:
        async with a_teller(url, tmp_path, NOW) as teller:
            return await teller.tell(some)

    with a_database(server_url, template) as url:
        outcome = asyncio.run(work(url))
    assert (outcome.cases, outcome.acts) == (2, 1)
    assert [why.partition(":")[0] for why in outcome.refused] == ["A step 0"]


# ---- interrupted, twice at once, and as a whole


def acts_by_story(url: str) -> dict[str, tuple[int, int]]:
    """Of every story how often its case was opened and how many acts of people followed."""

    async def fetch() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(url)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(
                "SELECT r.external_id AS story, count(*) FILTER (WHERE j.kind = 'case.open') AS opened, "
                "count(*) FILTER (WHERE j.kind <> 'case.open') AS acts "
                "FROM received r JOIN journal j ON j.case_id = r.subject_id "
                "WHERE r.account = 'demo' AND j.kind LIKE 'case.%' AND j.actor_kind <> 'system' GROUP BY 1"
            )
            return rows
        finally:
            await connection.close()

    return {row["story"]: (row["opened"], row["acts"]) for row in asyncio.run(fetch())}


WHOLE = {story.id: (1, len(story.steps)) for story in stories()}


def test_killed_while_it_tells_it_goes_on_and_repeats_nothing(server_url: str, template: str, tmp_path: Path) -> None:
    with a_database(server_url, template) as url:
        given = {"DATA_DIR": str(tmp_path), "DATABASE_URL": url, "SECRET_KEY": "k" * 40, "DEMO_PASSWORD": PASSWORD}
        environment = os.environ | {f"HOTLINE_{name}": value for name, value in given.items()}
        command = [sys.executable, str(TOP / "main.py"), "demo"]
        for share in (0.1, 0.6):

            def told_so_far(share: float = share) -> bool:
                done = acts_by_story(url).values()
                return sum(opened + acts for opened, acts in done) > share * sum(map(sum, WHOLE.values()))

            process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
            until(told_so_far, f"{share:.0%} of the stories")
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        assert acts_by_story(url) != WHOLE
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done
        assert acts_by_story(url) == WHOLE
        again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert "Demo cases: as they were" in again.stdout
        assert acts_by_story(url) == WHOLE
        assert asyncio.run(differences(url, datetime.now(UTC))) == []


def test_two_at_once_tell_it_once(server_url: str, template: str, tmp_path: Path) -> None:
    some = stories()[:12]

    async def work(url: str) -> tuple[Outcome, Outcome]:
        async with a_teller(url, tmp_path, NOW) as one, a_teller(url, tmp_path, NOW) as other:
            return await asyncio.gather(one.tell(some), other.tell(some))

    with a_database(server_url, template) as url:
        outcomes = asyncio.run(work(url))
        assert acts_by_story(url) == {story.id: (1, len(story.steps)) for story in some}
    assert sorted(outcome.cases for outcome in outcomes) == [0, len(some)]


def test_make_run_shows_a_living_province_soon_and_starts_again_at_once(tmp_path: Path) -> None:
    system = System(tmp_path / "data", DEMO_CASES="yes")
    try:
        began = time.monotonic()
        system.start()
        system.wait_ready()
        print(f"ready after {time.monotonic() - began:.1f} s cold")
        assert time.monotonic() - began < 60
        assert f"Demo cases: {len(stories())} reports and {ACTS} acts" in system.said()
        assert "unit@demo" not in system.said()
        headers = {"Authorization": f"Bearer {system.token('officer@demo').json()['access_token']}"}
        waiting = httpx.get(f"{system.url}/api/v1/cases?status=forwarded", headers=headers, timeout=30).json()["items"]
        assert len(waiting) >= 5
        assert system.command("limits", "verify").returncode == 0
        assert system.command("ioc", "reconcile").stdout == "difference 0\n"
        assert system.stop() == 0
        system.start()
        system.wait_ready()
        assert "Demo cases: as they were" in system.said()
        assert system.stop() == 0
        assert "Traceback" not in system.said()
    finally:
        system.destroy()


# ---- the stories as data


def test_all_samples_are_told() -> None:
    samples = (TOP / "tests" / "data" / "sample-reports.jsonl").read_text().splitlines()
    texts = {story.text for story in stories()}
    assert len(samples) == 40
    assert [sample for sample in map(json.loads, samples) if sample["text"] not in texts] == []


def test_the_stories_name_only_what_exists() -> None:
    fields, scenes = seeds.seed_fields(), demo_pictures.SCENES
    people = {email.removesuffix("@demo") for email, *_ in (*demo.ACCOUNTS, *demo.OTHER_UNITS)} | {"citizen"}
    ids = [story.id for story in stories()]
    assert len(set(ids)) == len(ids)
    for story in stories():
        assert story.report.get("field") in {None, *fields}, story.id
        assert {story.by, *(step.who for step in story.steps)} <= people, story.id
        assert {*story.photos, *(name for step in story.steps for name in step.photos)} <= set(scenes), story.id
        assert {step.body["into"] for step in story.steps if "into" in step.body} <= set(ids), story.id


@pytest.mark.parametrize("scene", sorted(demo_pictures.SCENES))
def test_every_scene_is_a_picture_that_is_taken(scene: str) -> None:
    made = demo_pictures.picture(scene)
    assert 5_000 < len(made) < 200_000
    remade = remake(made, JPEG, pixels=50_000_000, side=2560, read_place=True)
    assert (remade.width, remade.height, remade.place) == (*demo_pictures.SIZE, None)


LIMITS = {"accept": "8h/working", "resolve": "5d/working", "forward": "1h/calendar"}  # the longest that go late


@pytest.mark.parametrize("hour", [0, 5, 7, 11, 13, 17, 20, 23])
@pytest.mark.parametrize("first", ["2026-11-23", "2027-02-04"], ids=["an ordinary week", "the week of Tet"])
def test_every_story_has_time_to_happen_whatever_the_start(first: str, hour: int) -> None:
    for day in range(7):
        start = local(first).astimezone(ZONE) + timedelta(days=day, hours=hour, minutes=31)
        times = Times(start, CALENDAR)
        for story in stories():
            at = times.beginning(story.when)
            for step in story.steps:
                after = at
                owed = {stage: due(after, Amount.parse(longest), CALENDAR) for stage, longest in LIMITS.items()}
                at = times.step(step.when, after, owed.__getitem__)
                assert at >= after, (story.id, step.when, start)
            assert at <= start, (story.id, start)


@pytest.mark.parametrize(
    ("start", "when", "moment"),
    [
        ("2026-11-17T09:10", "-25min", "2026-11-17T08:45"),  # Tuesday
        ("2026-11-17T09:10", "-3h", "2026-11-17T06:10"),
        ("2026-11-17T09:10", "-5d 08:15", "2026-11-12T08:15"),
        ("2026-11-17T09:10", "-1w 19:42", "2026-11-16T19:42"),
        ("2026-11-17T09:10", "-2w 19:42", "2026-11-13T19:42"),  # over the weekend
        ("2026-11-15T09:10", "-1w 07:00", "2026-11-13T07:00"),  # on a Sunday
        ("2026-11-17T09:10", "-2h/working", "2026-11-17T07:10"),
        ("2026-11-17T09:10", "-4h/working", "2026-11-16T15:10"),  # 2 h 10 min today, the rest of yesterday
        ("2026-11-16T00:30", "-1h/working", "2026-11-13T16:00"),  # Monday night: Friday afternoon
        ("2026-11-17T13:45", "-20min/working", "2026-11-17T11:25"),  # over the noon break
    ],
)
def test_beginnings(start: str, when: str, moment: str) -> None:
    assert Times(local(start).astimezone(ZONE), CALENDAR).beginning(when) == local(moment)


@pytest.mark.parametrize(
    ("after", "when", "moment"),
    [
        ("2026-11-13T16:50", "12min", "2026-11-13T17:02"),
        ("2026-11-13T16:50", "20min/working", "2026-11-16T07:10"),  # over the weekend
        ("2026-11-13T16:50", "19:30", "2026-11-13T19:30"),
        ("2026-11-13T20:50", "19:30", "2026-11-14T19:30"),  # the next evening
        ("2026-11-13T16:50", "late resolve 2h/working", "2026-11-16T09:00"),  # due that Friday at closing
        ("2026-11-11T16:50", "-1w 15:00", "2026-11-16T15:00"),
    ],
)
def test_steps(after: str, when: str, moment: str) -> None:
    times = Times(local("2026-11-17T09:10").astimezone(ZONE), CALENDAR)
    assert times.step(when, local(after), {"resolve": local("2026-11-13T17:00")}.__getitem__) == local(moment)


@pytest.mark.parametrize("when", ["", "soon", "5", "-5", "-1x 10:00", "-3d", "12min/lunch", "7h30"])
def test_other_forms_are_refused(when: str) -> None:
    times = Times(local("2026-11-17T09:10").astimezone(ZONE), CALENDAR)
    with pytest.raises(BadTime):
        times.beginning(when)
    with pytest.raises(BadTime):
        times.step(when, local("2026-11-13T16:50"), dict[str, datetime]().__getitem__)
