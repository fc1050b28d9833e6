"""The loop that does what is due: deliver, remind, close, number the journal, keep the figures, sweep, reconcile.

Any number of workers may run. Deliveries are shared row by row, periodic duties as rows of `duties`; both are found by
looking, and a NOTIFY only shortens the wait. A worker may be killed at any line.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, time, timedelta
from functools import partial

import structlog

from cases import (
    bell,
    commands,
    commitments,
    digests,
    due_work,
    escalation,
    notice_ways,
    notices,
    one_time,
    onward,
    rehoming,
    search,
    withdrawing,
)
from cases.arriving import Arrivals
from cases.desk import Office
from cases.gathering import Gathering
from cases.intake import CaseNumbers, IntakeDesk
from cases.reception import Reception
from channels import inbox, outbox
from channels.adapter import Adapter
from channels.mail.fetching import run_mailbox
from channels.mail.replying import reply_key, token_fits
from channels.message import InboundMessage
from channels.models import Outgoing
from channels.registry import House, read_again, recorders_for
from channels.zalo.sending import Zalo
from core import auth, due, journal, wake
from core.db import Database
from core.files import LocalStore
from core.settings import Settings
from core.spool import Spool
from hotline import recordings
from hotline.answering import replay
from hotline.menu import menu_of
from hotline.recordings import Keeping
from hotline.sessions import Calls
from hotline.voicemail import Voicemails
from ioc import project, reconcile
from routing.editing import reforms, rule_desk
from routing.queries import Routing, RoutingCache

IDLE, LONGEST_IDLE = 0.25, 1.0  # seconds between two looks for something to deliver
BEAT = 0.2  # seconds between two looks at the duties: figures and screens follow the journal within a second
HEIR_BEAT = 30.0  # seconds between two looks for open cases of departments that have ended
LIMIT_BEAT = 0.5  # seconds between two looks for limits whose time has come
TELL_BEAT = 1.0  # seconds between two looks for what people are to be told
TOKEN_BEAT = 600.0  # seconds between two looks at vendors' tokens, which last for hours
SLOW_BEAT = 5.0  # seconds between two looks at the duties that tidy and check
FIRST_TROUBLE, LONGEST_TROUBLE = 0.2, 5.0  # seconds to wait after an error
GRACE = 4.0  # seconds that sends under way may still take when asked to stop
BATCH = 50
QUICK_LEASE, SLOW_LEASE = timedelta(seconds=10), timedelta(minutes=15)
NIGHT = time(2, 15)  # local time of the nightly duties

log = structlog.get_logger()


def now() -> datetime:
    """The clock of the edge."""
    return datetime.now(UTC)


async def run_worker(
    settings: Settings,
    database: Database,
    adapters: Mapping[str, Adapter],
    stop: asyncio.Event,
    *,
    clock: Callable[[], datetime] = now,
) -> None:
    """Work until `stop` is set, then end within five seconds. `clock` is read once a round."""
    worker = Worker(settings, database, adapters, stop, clock)
    doors = {wake.DOOR: worker.knock}
    listening = asyncio.create_task(wake.listen(settings.database_direct_url or database.dsn, doors))
    tasks = [
        asyncio.create_task(worker.rounds("delivery", worker.deliver, worker.knocked, IDLE, LONGEST_IDLE)),
        asyncio.create_task(worker.rounds("reception", worker.take_in, worker.rung, IDLE, LONGEST_IDLE)),
        asyncio.create_task(worker.rounds("tokens", worker.keep_tokens, stop, TOKEN_BEAT, TOKEN_BEAT)),
        asyncio.create_task(worker.rounds("files", worker.gather_files, stop, IDLE, LONGEST_IDLE)),
        asyncio.create_task(worker.rounds("recordings", worker.keep_recordings, stop, IDLE, LONGEST_IDLE)),
        asyncio.create_task(worker.rounds("limits", worker.keep_limits, stop, LIMIT_BEAT, LIMIT_BEAT)),
        asyncio.create_task(worker.rounds("notices", worker.keep_telling, stop, TELL_BEAT, TELL_BEAT)),
        asyncio.create_task(worker.rounds("heirs", worker.rehome, stop, HEIR_BEAT, HEIR_BEAT)),
        asyncio.create_task(worker.rounds("spool", worker.empty_spool, stop, IDLE, LONGEST_IDLE)),
        asyncio.create_task(worker.rounds("positions", worker.run_prompt, stop, BEAT, BEAT)),
        asyncio.create_task(worker.rounds("duties", worker.run_quick, stop, BEAT, BEAT)),
        asyncio.create_task(worker.rounds("slow duties", worker.run_slow, stop, SLOW_BEAT, SLOW_BEAT)),
    ]
    if settings.imap_host is not None:
        tasks.append(asyncio.create_task(run_mailbox(settings, database, worker.gathering.files, stop, clock)))
    try:
        await stop.wait()
        worker.knock()
        await asyncio.wait([*tasks, *worker.busy.values()], timeout=GRACE)
    finally:
        left = [listening, *tasks, *worker.busy.values()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


class Worker:
    """What the loops of one process share."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        adapters: Mapping[str, Adapter],
        stop: asyncio.Event,
        clock: Callable[[], datetime],
    ) -> None:
        self.settings = settings
        self.zone = settings.zone
        self.site = settings.public_url.rstrip("/")
        self.console = self.site if "email" in adapters else None
        self.database = database
        self.adapters = adapters
        self.stop = stop
        self.clock = clock
        self.routing = RoutingCache()
        self.numbers = CaseNumbers()
        self.reply_key = reply_key(settings.key)
        house = House(settings, database, LocalStore(settings.files_dir))
        self.calls = Calls(menu_of(settings.menu_file), self.arrivals)
        self.spool = Spool(settings.spool_dir)
        handlers = {"voice": self.calls.take}
        self.reception = Reception(database, partial(read_again, house), self.arrivals, clock, handlers)
        self.gathering = Gathering(database, adapters, house.files, clock)
        self.keeping = Keeping(
            database,
            recorders_for(settings),
            house.files,
            settings.key,
            settings.recordings_days,
            Voicemails(self.arrivals).open_case,
            clock,
        )
        self.knocked = asyncio.Event()
        self.rung = asyncio.Event()
        self.busy: dict[str, asyncio.Task[None]] = {}
        self.ensured = False
        self.prompt: dict[str, tuple[timedelta, due.Work]] = {
            "journal.number": (timedelta(milliseconds=200), self.number),
        }
        self.quick: dict[str, tuple[timedelta, due.Work]] = {
            "ioc.project": (timedelta(milliseconds=400), self.project),
            "search.index": (timedelta(milliseconds=400), self.sort_in),
            "cases.close": (timedelta(seconds=10), self.close),
            "commitments.run": (timedelta(seconds=10), self.hold_to_dates),
        }
        self.slow: dict[str, tuple[timedelta, due.Work]] = {
            "sweep": (timedelta(hours=1), self.sweep),
            "calls.lost": (timedelta(minutes=10), self.calls.give_up),
            "codes.forget": (timedelta(minutes=1), self.forget_codes),
            "people.give_up": (timedelta(hours=1), withdrawing.give_up_due),
            "rules.retire": (timedelta(hours=1), rule_desk.retire_due),
        }
        self.nightly: dict[str, tuple[timedelta, due.Work]] = {
            "ioc.reconcile": (timedelta(days=1), self.reconcile),
            "recordings.sweep": (timedelta(days=1), self.forget_recordings),
        }

    def knock(self) -> None:
        """There is something to send or to take in."""
        self.knocked.set()
        self.rung.set()

    async def rounds(
        self, name: str, look: Callable[[], Awaitable[bool]], hint: asyncio.Event, idle: float, longest: float
    ) -> None:
        """Look for work until asked to stop: at once at a `hint`, soon while there is some, less often when idle."""
        pause, trouble = idle, FIRST_TROUBLE
        while not self.stop.is_set():
            try:
                pause = idle if await look() else min(pause * 2, longest)
            except Exception as error:
                log.warning("round failed", loop=name, error=type(error).__name__, again_in=trouble)
                await _rest(self.stop, trouble)  # no hint shortens this one
                trouble = min(trouble * 2, LONGEST_TROUBLE)
                continue
            trouble = FIRST_TROUBLE
            await _rest(hint, pause)
            if hint is not self.stop:
                hint.clear()

    async def deliver(self) -> bool:
        """Start a delivery for every channel that has something due and is not at it already."""
        at = self.clock()
        async with self.database.transaction() as session:
            waiting = await outbox.due_channels(session, at)
        fresh = [channel for channel in waiting if channel not in self.busy]
        for channel in fresh:
            self.busy[channel] = asyncio.create_task(self.deliver_channel(channel))
        return bool(fresh)

    async def deliver_channel(self, channel: str) -> None:
        """Deliver until this channel has nothing more; another channel's slow vendor does not hold it up."""
        try:
            more = True
            while more and not self.stop.is_set():
                sent = await outbox.deliver_due(
                    self.database,
                    self.adapters,
                    self.clock(),
                    on_sent=self.reply_sent,
                    on_failed=self.message_failed,
                    limit=BATCH,
                    channel=channel,
                )
                more = sent >= BATCH
        except Exception as error:
            log.warning("delivery failed", channel=channel, error=type(error).__name__)
            await _rest(self.stop, FIRST_TROUBLE)
        finally:
            del self.busy[channel]
            self.knocked.set()

    async def take_in(self) -> bool:
        """Make cases of what came in, as long as there is something whose turn it is."""
        while not self.stop.is_set() and await self.reception.round():
            pass
        return False

    async def empty_spool(self) -> bool:
        """Put into the database what came while it was away."""
        return self.spool.waiting() and await replay(self.database, self.spool) > 0

    async def keep_tokens(self) -> bool:
        """Renew what vendors let us in by before it runs out."""
        zalo = self.adapters.get("zalo")
        if isinstance(zalo, Zalo):
            await zalo.tokens.keep_fresh()
        return False

    async def gather_files(self) -> bool:
        """Take the files of messages while their vendors still have them."""
        return await self.gathering.round() > 0

    async def keep_recordings(self) -> bool:
        """Cases of voicemails, and their sound from the carrier to us alone."""
        return await self.keeping.round() > 0

    async def arrivals(self, session: due.Session) -> Arrivals:
        """What taking in an event needs, by the rules of this moment."""
        routing = await self.routing.get(session)
        settings = self.settings
        desk = IntakeDesk(
            routing, self.numbers, settings.code_prefix, settings.key, site=self.site, language=settings.language
        )
        return Arrivals(Office(routing, frozenset(self.adapters), desk, self.console), self.reply_code)

    def reply_code(self, message: InboundMessage) -> str | None:
        """The case whose reply address a mail was sent to, if we signed that address."""
        code, token = message.thread.get("case_token"), message.thread.get("reply_token")
        return code if code and token and token_fits(self.reply_key, code, token) else None

    async def keep_limits(self) -> bool:
        """Reminders and breaches: all that are due, in batches that the workers share row by row."""
        found = due_work.BATCH
        while found == due_work.BATCH and not self.stop.is_set():
            async with self.database.transaction() as session:
                found = await self.remind(session, self.clock())
        return found > 0

    async def rehome(self) -> bool:
        """Departments are called what they are called today, and open cases of those that ended pass to their heirs."""
        async with self.database.transaction() as session:
            await reforms.turn_names(session, self.clock())
        async with self.database.transaction() as session:
            await rehoming.accuse_heirs(session, await self.routing.get(session), self.clock())
        step = rehoming.Step(0, 0, None)
        while not self.stop.is_set():
            async with self.database.transaction() as session:
                office = (await self.arrivals(session)).office
                step = await rehoming.run(session, office, self.clock(), step.last)
            if step.last is None:
                break
        return False

    async def keep_telling(self) -> bool:
        """Notices of all that the journal says, and what is due to go upwards: in batches, as long as they are full."""
        told = await self.all_of(notices.follow, notices.BATCH)
        told += await self.all_of(escalation.run, escalation.BATCH)
        return await self.all_of(self.post_notices, digests.BATCH) + told > 0

    async def post_notices(self, session: due.Session, routing: Routing, at: datetime, limit: int) -> int:
        """One message to everybody who wants to be told outside the console and has something to be told."""
        return await digests.run(session, routing, self.adapters, at, site=self.site, limit=limit)

    async def all_of(self, work: Callable[[due.Session, Routing, datetime, int], Awaitable[int]], batch: int) -> int:
        """Do `work(session, routing, at, batch)` until it finds less than a batch; how much there was."""
        total, found = 0, batch
        while found == batch and not self.stop.is_set():
            async with self.database.transaction() as session:
                found = await work(session, await self.routing.get(session), self.clock(), batch)
            total += found
        return total

    async def run_prompt(self) -> bool:
        """What every screen waits for, so that it waits for no other duty."""
        return await self.run({name: work for name, (_, work) in self.prompt.items()}, QUICK_LEASE)

    async def run_quick(self) -> bool:
        """The duties that keep up with what happens."""
        return await self.run({name: work for name, (_, work) in self.quick.items()}, QUICK_LEASE)

    async def run_slow(self) -> bool:
        """The duties that tidy and check."""
        both = {**self.slow, **self.nightly}
        return await self.run({name: work for name, (_, work) in both.items()}, SLOW_LEASE)

    async def run(self, works: Mapping[str, due.Work], lease: timedelta) -> bool:
        """Those that are due; their rows are made first."""
        at = self.clock()
        if not self.ensured:
            async with self.database.transaction() as session:
                await due.ensure_duties(session, _periods({**self.prompt, **self.quick, **self.slow}), at)
                await due.ensure_duties(session, _periods(self.nightly), self.next_night(at))
            self.ensured = True
        return await due.run_duties(self.database, works, at, lease=lease) > 0

    def next_night(self, at: datetime) -> datetime:
        """The next NIGHT in the centre's time zone."""
        local = at.astimezone(self.zone)
        tonight = datetime.combine(local.date(), NIGHT, self.zone)
        return tonight if tonight > local else datetime.combine(local.date() + timedelta(days=1), NIGHT, self.zone)

    async def number(self, session: due.Session, at: datetime) -> int:
        """Give committed journal rows their positions."""
        return await journal.number_positions(session)

    async def project(self, session: due.Session, at: datetime) -> int:
        """Bring the figures up to the last position."""
        return await project.project(session, self.zone, at)

    async def sort_in(self, session: due.Session, at: datetime) -> int:
        """Have cases found by their words."""
        return await search.index(session, await self.routing.get(session), at)

    async def remind(self, session: due.Session, at: datetime) -> int:
        """Reminders and breaches of limits."""
        return await due_work.run_due(session, await self.routing.get(session), at, console=self.console)

    async def close(self, session: due.Session, at: datetime) -> int:
        """Close answered cases whose citizens had their time to speak."""
        return await commands.close_due(session, await self.routing.get(session), at, BATCH)

    async def hold_to_dates(self, session: due.Session, at: datetime) -> int:
        """Note dates that units committed themselves to and that have passed."""
        return await commitments.run(session, at, BATCH)

    async def reply_sent(self, session: due.Session, outgoing: Outgoing, at: datetime) -> None:
        """A message has left; if it is the answer that stands, its case is now replied."""
        await commands.reply_sent(session, await self.routing.get(session), outgoing, at)

    async def message_failed(self, session: due.Session, outgoing: Outgoing, at: datetime) -> None:
        """A message will not leave the way it was to: it goes on another one, or waits for a person."""
        await onward.message_failed(session, (await self.arrivals(session)).office, outgoing, at)

    async def sweep(self, session: due.Session, at: datetime) -> int:
        """Drop what has run out: sign-ins, throttles, idempotency keys."""
        await auth.sweep(session, at)
        await bell.forget(session, at)
        return await inbox.forget_keys(session, at)

    async def forget_codes(self, session: due.Session, at: datetime) -> int:
        """One-time codes that have run out, and the texts that held them."""
        return await one_time.forget(session, at) + await notice_ways.forget(session, at)

    async def forget_recordings(self, session: due.Session, at: datetime) -> int:
        """Recordings whose time is over; those given up are tried once more."""
        return await recordings.sweep(session, self.keeping.files, at)

    async def reconcile(self, session: due.Session, at: datetime) -> int:
        """Compare the figures with the journal; a difference is an alarm for the operator."""
        differences = await reconcile.reconcile(session, self.zone, at)
        if differences:
            log.error("figures differ from the journal", differences=len(differences))
        return 0


def _periods(duties: Mapping[str, tuple[timedelta, due.Work]]) -> dict[str, int]:
    return {name: int(every / timedelta(milliseconds=1)) for name, (every, _) in duties.items()}


async def _rest(hint: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await hint.wait()
