"""The command line of 1022: everything an operator runs. Wiring only; what it wires lives in the packages.

Three processes start here, and small commands that somebody waits for. Each imports what it needs itself: all of it
together takes seconds, and memory that a supervisor or a worker has no use for.
"""

import asyncio
import io
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar, cast, get_args
from uuid import UUID

import typer
from pydantic import ValidationError

from core import logs, ports
from core.errors import DomainError, Unusable
from core.settings import Settings
from core.supervise import Child, supervise

if TYPE_CHECKING:
    from cases.demo_stories import Outcome
    from channels.adapter import Adapter
    from core.db import Database
    from core.postgres import Cluster

T = TypeVar("T")
WEB_PATIENCE = 30.0  # seconds a request's statement may take; the browser has given up long before

cli = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, help=__doc__
)
rules_cli = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Check a rule set, explain a decision.")
cases_cli = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="One case and its history.")
ioc_cli = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Figures of the operations centre.")
reforms_cli = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Areas and departments that change.")
limits_cli = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The clocks of cases.")
search_cli = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Finding cases by their words.")
channels_cli = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="What came in from vendors.")
staff_cli = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Accounts of staff and keys of other systems."
)
cli.add_typer(rules_cli, name="rules")
cli.add_typer(cases_cli, name="cases")
cli.add_typer(ioc_cli, name="ioc")
cli.add_typer(reforms_cli, name="reforms")
cli.add_typer(limits_cli, name="limits")
cli.add_typer(search_cli, name="search")
cli.add_typer(channels_cli, name="channels")
cli.add_typer(staff_cli, name="staff")


def adapters_for(settings: Settings, database: "Database", *, demo: bool) -> "dict[str, Adapter]":
    """The channels that can be used; the demo shows in a file what those it has no settings for would send."""
    from channels import registry
    from channels.console import ConsoleChannel
    from core.filestore import LocalStore

    adapters = registry.adapters_for(registry.House(settings, database, LocalStore(settings.files_dir)))
    if demo:
        would_send = settings.data_dir / "would-send.jsonl"
        adapters = {name: ConsoleChannel(name, would_send) for name in ("sms", "email")} | adapters
    return adapters


@cli.command()
def run(
    demo: Annotated[bool, typer.Option("--demo", help="With the demo province and its accounts")] = False,
    host: Annotated[str | None, typer.Option(help="Address to listen on")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port to listen on")] = None,
) -> None:
    """Database if none is configured, migrations, web and worker, until Ctrl-C."""
    from cases import demo as demo_province
    from hotline.menu import menu_of

    settings = _settings()
    host, port = host or settings.host, port or settings.port
    ports.check(host, port)
    menu_of(settings.menu_file)
    with _database(settings) as (url, cluster):
        _insist(lambda: prepare(settings, url, datetime.now(UTC), demo=demo), cluster)
        if demo:
            print(_insist(lambda: tell_stories(settings, url, datetime.now(UTC)), cluster), flush=True)
        flags = ["--demo"] if demo else []
        me = [sys.executable, str(Path(__file__).resolve())]
        print(f"1022: http://{host}:{port}   (API: /api/docs)", flush=True)
        if demo:
            password = demo_province.password(settings.data_dir, settings.demo_password)
            names = ", ".join(account[0] for account in demo_province.ACCOUNTS)
            print(f"Demo accounts: {names}\nPassword: {password}", flush=True)
        supervise(
            [
                Child("web", [*me, "web", *flags, "--host", host, "--port", str(port)]),
                Child("worker", [*me, "worker", *flags]),
            ],
            cluster.ensure_running if cluster else None,
        )


@cli.command()
def web(
    demo: Annotated[bool, typer.Option("--demo")] = False,
    host: Annotated[str | None, typer.Option()] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535)] = None,
) -> None:
    """The web process alone; any number may run behind a balancer."""
    from core.db import Database
    from web import app as web_app
    from web.serving import serve

    settings = _settings()
    host, port = host or settings.host, port or settings.port
    ports.check(host, port)
    with _database(settings) as (url, _):
        database = Database(url, pool=settings.database_pool, application="hotline-web", patience=WEB_PATIENCE)
        app = web_app.build(settings, database, adapters_for(settings, database, demo=demo), demo=demo)
        serve(app, settings, host, port, before_end=app.state.hotline.live.close)


@cli.command()
def worker(demo: Annotated[bool, typer.Option("--demo")] = False) -> None:
    """The worker alone: deliveries, limits, journal, figures; any number may run."""
    from core.db import Database
    from worker import run_worker

    settings = _settings()

    async def work(url: str) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, stop.set)
        database = Database(url, pool=settings.database_pool, application="hotline-worker")
        try:
            await run_worker(settings, database, adapters_for(settings, database, demo=demo), stop)
        finally:
            await database.close()

    with _database(settings) as (url, _):
        _run(work(url))


@cli.command()
def migrate() -> None:
    """Bring the database to the newest version."""
    import migrations

    with _database(_settings()) as (url, _):
        migrations.upgrade(_plain(url))
    print(f"database is at {migrations.newest()}")


@cli.command()
def parse(
    channel: Annotated[str, typer.Argument(help="zalo, facebook, telegram, email, sms or voice")],
    file: Annotated[
        Path,
        typer.Argument(
            help="The raw body as received: JSON, a form, or a whole mail. Also many of them: an mbox, a list in JSON, "
            "or one JSON document or form a line. No folder"
        ),
    ],
    headers: Annotated[Path | None, typer.Option(help="Its HTTP headers, one 'Name: value' a line")] = None,
) -> None:
    """Show a vendor's payload in the normal form of a message, one JSON object an event; no signature is checked.

    The exit status is 0 whatever the file holds: what nobody can read is an object of kind "unknown" with the reason.
    """
    from channels import registry
    from channels.adapter import Hook
    from channels.dumps import bodies

    known = {name: each.parse for name, each in registry.CHANNELS.items() if each.parse is not None}
    if channel not in known:
        _fail(f"There is no channel {channel}: it is one of {', '.join(known)}.")
    try:
        body = file.read_bytes()
        lines = headers.read_text().splitlines() if headers else []
    except (OSError, UnicodeDecodeError) as error:
        folder = ": it is a folder; parse takes one file" if isinstance(error, IsADirectoryError) else ""
        _fail(f"Cannot read {error.filename if isinstance(error, OSError) else headers}{folder}.")
    given = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # JSON, whatever the terminal's language
    for each in bodies(channel, body):
        for message in known[channel](Hook(each, given, {}), ""):
            print(json.dumps(message.form(), ensure_ascii=False))


@channels_cli.command("unread")
def channels_unread() -> None:
    """List the events that nobody could read or that failed for good: id, channel, when, why. No content is shown."""
    from channels import inbox
    from core.db import Database

    settings = _settings()

    async def work(url: str) -> None:
        database = Database(url, pool=2)
        try:
            after: UUID | None = None
            while True:
                async with database.transaction() as session:
                    rows = await inbox.dead(session, after=after, limit=200)
                for row in rows:
                    print(f"{row.id} {row.channel} {row.received_at:%Y-%m-%dT%H:%M:%S%z} {row.last_error}")
                if not rows:
                    return
                after = rows[-1].id
        finally:
            await database.close()

    with _database(settings) as (url, _):
        _run(work(url))


@channels_cli.command("reread")
def channels_reread(
    channel: Annotated[str | None, typer.Option(help="Only this channel")] = None,
) -> None:
    """Have the worker try those events again, as after a new version whose parser understands them."""
    from channels import inbox
    from core.db import Database

    settings = _settings()

    async def work(url: str) -> int:
        database = Database(url, pool=2)
        try:
            async with database.transaction() as session:
                return await inbox.reread(session, datetime.now(UTC), channel=channel)
        finally:
            await database.close()

    with _database(settings) as (url, _):
        print(f"{_run(work(url))} events are due again")


@cli.command()
def demo() -> None:
    """Make the demo province, its accounts and its cases of the last two weeks in the configured database."""
    from cases import demo as demo_province

    settings = _settings()
    with _database(settings) as (url, _):
        prepare(settings, url, datetime.now(UTC), demo=True)
        print(tell_stories(settings, url, datetime.now(UTC)))
    print(f"Password of the demo accounts: {demo_province.password(settings.data_dir, settings.demo_password)}")


@cli.command()
def doctor() -> None:
    """Print every setting with its meaning, and what is missing or wrong."""
    import migrations
    from core import doctor as doctoring
    from core.db import FAILURES
    from core.postgres import DatabaseUnavailable
    from hotline.menu import BadMenu, menu_of

    try:
        settings = Settings()
    except ValidationError as problem:
        _fail(_told(problem))
    try:
        with _database(settings) as (url, _):
            report, healthy = _run(
                doctoring.report(settings, url, migrations.newest(), datetime.now(settings.zone).date())
            )
            for channel, trouble in _run(_channel_troubles(settings, url)).items():
                report.append(
                    f"WRONG {channel}: {trouble}" if trouble else f"ok    {channel} works with these settings"
                )
                healthy = healthy and trouble is None
            for good, line in _run(_tokens_and_unread(settings, url, datetime.now(UTC))):
                report.append(f"{'ok   ' if good else 'WRONG'} {line}")
                healthy = healthy and good
    except (DatabaseUnavailable, *FAILURES) as problem:
        report, healthy = doctoring.without_database(settings, str(problem) or type(problem).__name__), False
    try:
        menu_of(settings.menu_file)
        report.append(f"ok    voice menu: {settings.menu_file or 'the shipped one'}")
    except BadMenu as bad:
        report += [f"WRONG voice menu: {problem}" for problem in bad.problems]
        healthy = False
    print("\n".join(report))
    if not healthy:
        raise typer.Exit(1)


@cli.command()
def deadline(
    start: Annotated[str, typer.Option("--from", help="2022-04-29T15:30, local unless it has an offset")],
    limit: Annotated[str, typer.Option(help="8h/working, 30min/calendar, 5d/working")],
    calendar: Annotated[Path | None, typer.Option(help="YAML, the calendar part of a rule set")] = None,
) -> None:
    """When a limit is due, and how that comes about. Needs no database."""
    from routing.calendars import parse_calendar, province_calendar
    from routing.telling import deadline_report

    try:
        days = parse_calendar(calendar.read_text(encoding="utf-8")) if calendar else province_calendar()
        print("\n".join(deadline_report(start, limit, days)))
    except (ValueError, OSError) as problem:
        _fail(_why(problem))


@rules_cli.command("check")
def rules_check(file: Path) -> None:
    """Say in LANGUAGE what is wrong with a rule set file; exit 1 if it could not be activated."""
    from routing import commands as routing_commands
    from routing.rulesets import BadRuleSet, load_rule_set

    try:
        problems = routing_commands.checked(load_rule_set(file))
    except (BadRuleSet, UnicodeDecodeError, OSError) as unreadable:
        _fail(_why(unreadable))
    english = _settings().language == "en"
    for each in problems:
        print(f"{each.severity}: {each.where}: {each.message_en if english else each.message_vi}")
    wrong = sum(each.severity == "error" for each in problems)
    print(f"{file.name}: {wrong} errors, {len(problems) - wrong} warnings")
    if wrong:
        raise typer.Exit(1)


@rules_cli.command("explain")
def rules_explain(facts: Path) -> None:
    """Decide on facts given as JSON by the rule sets in force, and say why: one JSON object."""
    from routing import queries as routing_queries
    from routing.decide import BadFacts
    from routing.explaining import facts_from_dict

    settings = _settings()

    async def told(url: str) -> dict[str, Any]:
        async with _session(url) as session:
            routing = await routing_queries.load(session)
        newest = routing.at(datetime.now(UTC)).book  # knows the zone of a time that names none
        book = routing.at(facts_from_dict(given, newest).received_at).book
        return routing.explain(facts_from_dict(given, book), book).to_dict()

    try:
        given = json.loads(facts.read_text(encoding="utf-8"))
    except (ValueError, OSError) as problem:
        _fail(_why(problem))
    try:
        with _database(settings) as (url, _):
            prepare(settings, url, datetime.now(UTC), demo=False)
            print(json.dumps(_run(told(url)), ensure_ascii=False, indent=2))
    except BadFacts as problem:
        _fail(str(problem))


@rules_cli.command("simulate")
def rules_simulate(
    file: Path,
    since: Annotated[str, typer.Option(help="First local day of receipt, YYYY-MM-DD")],
    until: Annotated[str, typer.Option(help="Last local day, inclusive")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables")] = False,
) -> None:
    """Try a rule set file on past cases: who would have led, which due times would have moved. Changes nothing."""
    from cases.simulating import simulate_command, told
    from core.db import Database
    from routing.rulesets import BadRuleSet, load_rule_set

    settings = _settings()
    try:
        draft = load_rule_set(file)
    except (BadRuleSet, UnicodeDecodeError, OSError) as unreadable:
        _fail(_why(unreadable))
    try:
        first, last = date.fromisoformat(since), date.fromisoformat(until)
    except ValueError as problem:
        _fail(f"--since and --until are days such as 2026-03-02: {problem}")

    async def work(url: str) -> Any:
        database = Database(url, pool=2, application="hotline-command")
        try:
            return await simulate_command(database, draft, first, last, datetime.now(UTC), settings.zone)
        finally:
            await database.close()

    with _database(settings) as (url, _):
        done = _run(work(url))
    print(json.dumps(done.result.to_dict(), ensure_ascii=False) if as_json else told(done))


@cases_cli.command("explain")
def cases_explain(code: str) -> None:
    """Say why a case went where it went, and why by then, with every later change: one JSON object, as the API's."""
    from cases.explain import explain_command
    from routing import queries as routing_queries

    settings = _settings()

    async def told(url: str) -> dict[str, Any]:
        async with _session(url, frozen=True) as session:
            return await explain_command(session, code, await routing_queries.load(session))

    with _database(settings) as (url, _):
        print(json.dumps(_run(told(url)), ensure_ascii=False, indent=2))


@ioc_cli.command("figures")
def ioc_figures(
    since: Annotated[str, typer.Option("--from", help="First local day, YYYY-MM-DD")],
    to: Annotated[str, typer.Option(help="Last local day, inclusive")],
    by: Annotated[str, typer.Option(help="department,field,channel,area,day")] = "",
    geography: Annotated[str, typer.Option(help="Of --by area: stored, as cases have them, or today")] = "stored",
    as_json: Annotated[bool, typer.Option("--json", help="A list of {figure, from, to, by, value}")] = False,
) -> None:
    """Figures of a period."""
    from cases.views import Geography
    from ioc import queries as ioc_queries

    settings = _settings()
    if geography not in get_args(Geography):
        _fail(f"--geography is one of: {', '.join(get_args(Geography))}")
    try:
        first, last = date.fromisoformat(since), date.fromisoformat(to)
        dims = ioc_queries.dimensions([part for part in by.split(",") if part])
    except ValueError as problem:
        _fail(f"--from and --to are days such as 2026-03-02: {problem}")

    async def rows(url: str) -> list[dict[str, Any]]:
        await _catch_up(url, settings)
        async with _session(url) as session:
            today = datetime.now(settings.zone).date()
            return await ioc_queries.figures_command(session, first, last, dims, cast(Geography, geography), today)

    with _database(settings) as (url, _):
        found = _run(rows(url))
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return
    for row in found:
        cells = " ".join(f"{name}={value}" for name, value in row["by"].items())
        print(f"{row['figure']:<32}{row['value']!s:>14}  {cells}")


@ioc_cli.command("reconcile")
def ioc_reconcile_command() -> None:
    """Compare the figures with the journal and the cases; exit 1 and say where if they differ."""
    from ioc import reconcile as ioc_reconcile

    settings = _settings()

    async def compare(url: str) -> list[Any]:
        await _catch_up(url, settings)
        async with _session(url) as session:
            return await ioc_reconcile.reconcile(session, settings.zone, datetime.now(UTC))

    with _database(settings) as (url, _):
        differences = _run(compare(url))
    for difference in differences:
        print(difference)
    print(f"difference {len(differences)}")
    if differences:
        raise typer.Exit(1)


@limits_cli.command("verify")
def limits_verify() -> None:
    """Recompute every limit from the journal and compare; exit 1 and say where if they differ."""
    from cases import verify

    settings = _settings()

    async def compare(url: str) -> tuple[int, list[str]]:
        async with _session(url, frozen=True) as session:
            return await verify.limits(session, datetime.now(UTC))

    with _database(settings) as (url, _):
        checked, differences = _run(compare(url))
    for difference in differences:
        print(difference)
    print(f"{checked} limits, difference {len(differences)}")
    if differences:
        raise typer.Exit(1)


@limits_cli.command("restart")
def limits_restart() -> None:
    """Let limits run again that could not be counted (`limit.stuck`), after a mend; exit 1 and say which cannot yet."""
    from cases import stuck
    from core.staff import SYSTEM
    from routing import queries

    settings = _settings()

    async def do(url: str) -> tuple[int, list[tuple[str, str]]]:
        started, left, last, more = 0, list[tuple[str, str]](), None, True
        while more:
            async with _session(url) as session:
                routing = await queries.load(session)
                step = await stuck.restart(session, routing, SYSTEM, datetime.now(UTC), last)
            started, left, last, more = started + step.started, left + step.left, step.last, step.last is not None
        return started, left

    with _database(settings) as (url, _):
        started, left = _run(do(url))
    for limit, error in left:
        print(f"{limit}: {error}")
    print(f"{started} limits run again")
    if left:
        raise typer.Exit(1)


@limits_cli.command("recompute")
def limits_recompute(
    calendar: Annotated[str, typer.Option(help="province, or the code of a unit with a calendar of its own")],
    since: Annotated[str, typer.Option(help="First local day that is counted otherwise, YYYY-MM-DD")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
) -> None:
    """Count limits again that a change of their calendar moves: shows which, asks, and keeps the old due times.

    May be killed and run again at any time; what was counted already is found as it should be.
    """
    from cases import recount
    from core.errors import NotFound
    from core.staff import SYSTEM
    from routing import queries

    settings = _settings()
    try:
        day = date.fromisoformat(since)
    except ValueError as problem:
        _fail(f"--since is a day such as 2026-03-02: {problem}")

    async def look(url: str) -> list[recount.Difference]:
        async with _session(url, frozen=True) as session:
            await recount.change_of(session, calendar)
            routing = await queries.load(session)
            return (await recount.preview(session, routing, calendar, day, datetime.now(UTC))).differences

    async def do(url: str) -> int:
        moved, last, more = 0, None, True
        async with _session(url, frozen=True) as session:
            routing, change = await queries.load(session), await recount.change_of(session, calendar)
        while more:
            async with _session(url) as session:
                at = datetime.now(UTC)
                step = await recount.apply_some(session, routing, change, day, SYSTEM, at, last)
            moved, last, more = moved + step.moved, step.last, step.last is not None
        return moved

    with _database(settings) as (url, _):
        try:
            found = _run(look(url))
        except NotFound as problem:
            _fail(problem.en)
        for each in found:
            print(each.told(settings.zone))
        print(f"{len(found)} limits would move")
        if not found:
            _run(do(url))  # so that nobody is asked to count again any more
        elif yes or typer.confirm("Count them again?"):
            print(f"{_run(do(url))} limits moved")


@reforms_cli.command("rehearse")
def reforms_rehearse(
    file: Annotated[
        Path | None, typer.Argument(help="A reform as YAML; the shipped one of 1 July 2025 if none")
    ] = None,
    first: Annotated[str | None, typer.Option("--from", help="As of this day, YYYY-MM-DD; 11 days before it")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Until this day; the day after it")] = None,
    places: Annotated[int | None, typer.Option(min=1, help="Of each department at most so many places")] = None,
) -> None:
    """Step a province through a reform, in a database of its own that is thrown away; exit 1 if anything goes wrong."""
    import tempfile

    import migrations
    from cases import rehearsal
    from core.db import Database
    from core.postgres import Cluster
    from ioc import project, reconcile
    from routing.editing.reforms import SHIPPED, read

    settings = _settings()
    try:
        document = (file or SHIPPED).read_text(encoding="utf-8")
        day = read(document).effective_on
        since = date.fromisoformat(first) if first else day - timedelta(days=11)
        until = date.fromisoformat(last) if last else day + timedelta(days=1)
        if not since < day <= until or (until - since).days > rehearsal.LONGEST:
            _fail(f"The days must hold {day}, begin before it, and be at most {rehearsal.LONGEST}.")
    except (ValueError, OSError) as problem:
        _fail(_why(problem))
    except DomainError as problem:
        _refuse(problem)

    async def figures(session: Any, at: datetime) -> list[str]:
        while await project.project(session, settings.zone, at):
            pass
        return [str(each) for each in await reconcile.reconcile(session, settings.zone, at)]

    async def play(url: str) -> rehearsal.Outcome:
        database = Database(url, application="hotline-rehearsal")
        try:
            proofs = {"figures against the journal": figures}
            return await rehearsal.run(database, document, since, until, most=places, proofs=proofs)
        finally:
            await database.close()

    with (
        tempfile.TemporaryDirectory(prefix="1022-rehearsal-") as folder,
        Cluster(Path(folder), binaries=settings.postgres_bin) as cluster,
    ):
        migrations.upgrade(_plain(cluster.url))
        try:
            outcome = _run(play(cluster.url))
        except DomainError as problem:
            _refuse(problem)
    for line in outcome.lines():
        print(line)
    if outcome.wrong:
        raise typer.Exit(1)


@search_cli.command("rebuild")
def search_rebuild() -> None:
    """Have the worker sort the words of all cases in again; until it is through, cases are found as before."""
    from cases import search as case_search

    settings = _settings()

    async def start(url: str) -> None:
        async with _session(url) as session:
            await case_search.rebuild(session)

    with _database(settings) as (url, _):
        _run(start(url))
    print("The worker goes through all cases again.")


@staff_cli.command("add")
def staff_add(
    email: str,
    name: Annotated[str, typer.Option(prompt=True)],
    role: Annotated[list[str] | None, typer.Option(help="May be repeated")] = None,
    department: Annotated[list[str] | None, typer.Option(help="Code; may be repeated")] = None,
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, envvar="HOTLINE_NEW_PASSWORD")] = "",
) -> None:
    """Make an account."""
    from core import staffing

    async def work(session: Any) -> str:
        person = await staffing.add(session, email, name, password, role or [], department or [], datetime.now(UTC))
        return f"added {person.email}"

    _staff(work)


@staff_cli.command("grant")
def staff_grant(
    email: str,
    role: Annotated[list[str] | None, typer.Option(help="May be repeated")] = None,
    department: Annotated[list[str] | None, typer.Option(help="Code; may be repeated")] = None,
) -> None:
    """Add roles and departments to an account."""
    from core import staffing

    async def work(session: Any) -> str:
        person = await staffing.found(session, email)
        await staffing.grant(session, person, role or [], department or [], datetime.now(UTC))
        return f"granted to {person.email}"

    _staff(work)


@staff_cli.command("reset-password")
def staff_reset_password(
    email: str,
    password: Annotated[
        str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, envvar="HOTLINE_NEW_PASSWORD")
    ] = "",
) -> None:
    """Set a new password; whoever is signed in is signed out."""
    from core import staffing

    async def work(session: Any) -> str:
        person = await staffing.found(session, email)
        await staffing.reset_password(session, person, password, datetime.now(UTC))
        return f"new password for {person.email}"

    _staff(work)


@staff_cli.command("api-key")
def staff_api_key(name: str, scope: Annotated[list[str], typer.Option(help="May be repeated: feed.read, …")]) -> None:
    """Make a key for another system; it is shown this once."""
    from core import staffing

    async def work(session: Any) -> str:
        _, key = await staffing.make_api_key(session, name, scope, datetime.now(UTC))
        return key

    _staff(work)


@cli.command()
def backup(directory: Path) -> None:
    """Write database, files and (embedded) secret key to a new folder."""
    from core import backup as backups

    settings = _settings()
    try:
        with _database(settings) as (url, _):
            backups.backup(
                _plain(url),
                directory,
                at=datetime.now(UTC),
                files_dir=settings.files_dir,
                secret_key=_key_file(settings) if settings.key else None,
                binaries=settings.postgres_bin,
            )
    except backups.BackupError as problem:
        _fail(str(problem))
    print(f"backup written to {directory}")


@cli.command()
def restore(directory: Path) -> None:
    """Put a backup into an empty database; the journal is numbered before anything opens."""
    from core import backup as backups
    from core import journal

    settings = _settings()
    try:
        with _database(settings) as (url, _):
            backups.restore(
                _plain(url),
                directory,
                files_dir=settings.files_dir,
                secret_key=_key_file(settings),
                binaries=settings.postgres_bin,
                finish_sql=journal.NUMBER_AFTER_RESTORE,
            )
    except backups.BackupError as problem:
        _fail(str(problem))
    print(f"restored from {directory}")


# ---- shared


async def _channel_troubles(settings: Settings, url: str) -> dict[str, str | None]:
    """What keeps each channel from working, if anything does."""
    from channels import registry
    from core.db import Database
    from core.filestore import LocalStore

    database = Database(url, pool=2)
    try:
        return await registry.troubles(registry.House(settings, database, LocalStore(settings.files_dir)))
    finally:
        await database.close()


async def _tokens_and_unread(settings: Settings, url: str, at: datetime) -> list[tuple[bool, str]]:
    """How the tokens of vendors stand, and how many events nobody could read."""
    from channels.standing import standing
    from channels.unread import counted
    from core.db import FAILURES

    try:
        async with _session(url) as session:
            channels = await standing(session, settings, (), at)
            unread = sum((await counted(session)).values())
    except FAILURES:  # not migrated yet, which stands in the report
        return []
    told = [(True, f"{unread} events of vendors that nobody could read: main.py channels unread")]
    for channel in channels:
        for token in channel.tokens:
            until = f"live until {token.live_until:%Y-%m-%d %H:%M}" if token.live_until else "not live"
            alarm = f": {token.alarm.reason}" if token.alarm else ""
            line = f"token of {channel.name} {token.state}, {until}, grant until {token.grant_until:%Y-%m-%d}{alarm}"
            told.append((not (token.alarm and token.alarm.urgent), line))
    return told


class _database:
    """The database's address, embedded if none is configured; the last user stops an embedded one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cluster: Cluster | None = None

    def __enter__(self) -> "tuple[str, Cluster | None]":
        if self._settings.database_url:
            return self._settings.database_url, None
        from core.postgres import Cluster

        self._cluster = Cluster(self._settings.data_dir, binaries=self._settings.postgres_bin)
        self._cluster.attach()
        return self._cluster.url, self._cluster

    def __exit__(self, *error: object) -> None:
        if self._cluster is not None:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # an impatient second Ctrl-C must not leave the server running
            self._cluster.detach()


@asynccontextmanager
async def _session(url: str, *, frozen: bool = False) -> AsyncIterator[Any]:
    from core.db import Database

    database = Database(url, pool=2, application="hotline-command")
    try:
        async with database.transaction(frozen=frozen) as session:
            yield session
    finally:
        await database.close()


async def _catch_up(url: str, settings: Settings) -> None:
    """Number and count what has happened up to now, as the worker does all the time."""
    from core import journal
    from ioc import project as ioc_project

    async with _session(url) as session:
        await journal.number_positions(session)
    async with _session(url) as session:
        while await ioc_project.project(session, settings.zone, datetime.now(UTC)):
            pass


def prepare(settings: Settings, url: str, at: datetime, *, demo: bool) -> None:
    """Migrations, and the province shipped here where the tables are empty."""
    import migrations
    from cases import demo as demo_province
    from routing import commands as routing_commands

    migrations.upgrade(_plain(url))

    async def seed() -> None:
        async with _session(url) as session:
            if demo:
                password = demo_province.password(settings.data_dir, settings.demo_password)
                await demo_province.make(session, password, at, mailboxes=settings.smtp_host is None)
            else:
                await routing_commands.seed(session, at)

    _run(seed())


def tell_stories(settings: Settings, url: str, at: datetime) -> str:
    """Bring the demo to life as of `at` if nobody has; what came of it, in one sentence.

    Before web and worker start: the stories step the clock of the due work through the past, which a worker at the
    present moment would run ahead of, and the first page somebody opens is not empty.
    """
    from cases import demo_stories
    from cases.desk import Office
    from cases.intake import CaseNumbers, IntakeDesk
    from core.db import Database
    from core.filestore import LocalStore
    from core.spool import Spool
    from hotline import demo as demo_calls
    from hotline.answering import Switchboard
    from hotline.menu import menu_of
    from routing import queries as routing_queries
    from worker import Worker

    if not settings.demo_cases:
        return "Demo cases: none, HOTLINE_DEMO_CASES is off"
    began = time.monotonic()

    async def tell() -> "Outcome":
        database = Database(url, pool=4, application="hotline-demo")
        duties = Worker(settings, database, {}, asyncio.Event(), lambda: at)
        try:
            async with database.transaction() as session:
                routing = await routing_queries.load(session)
            site = settings.public_url.rstrip("/")
            desk = IntakeDesk(routing, CaseNumbers(), settings.code_prefix, settings.key, site=site)
            office = Office(routing, frozenset(adapters_for(settings, database, demo=True)), desk)
            teller = demo_stories.Teller(database, office, LocalStore(settings.files_dir), duties, settings.zone, at)
            outcome = await teller.tell(demo_stories.stories())
            if outcome.cases:
                menu, spool = menu_of(settings.menu_file), Spool(settings.spool_dir)
                await demo_calls.tell(Switchboard(database, menu, spool, settings.code_prefix), at)
            return outcome
        finally:
            await database.close()

    try:
        outcome = _run(tell())
    except demo_stories.Occupied as reason:
        return f"Demo cases: none, {reason}"
    if not outcome.cases + outcome.acts:
        return "Demo cases: as they were"
    return f"Demo cases: {outcome.cases} reports and {outcome.acts} acts in {time.monotonic() - began:.1f} s"


def _staff(work: Any) -> None:
    import routing.models  # noqa: F401 - accounts refer to departments

    async def run_it(url: str) -> str:
        async with _session(url) as session:
            return str(await work(session))

    with _database(_settings()) as (url, _):
        print(_run(run_it(url)))


def _settings() -> Settings:
    try:
        settings = Settings()
    except ValidationError as problem:
        _fail(_told(problem))
    logs.configure(settings.log_level)
    return settings


def _told(problem: ValidationError) -> str:
    lines = []
    for error in problem.errors(include_url=False, include_input=False, include_context=False):
        name = "_".join(str(step) for step in error["loc"]).upper()
        what = error["msg"].removeprefix("Value error, ")
        lines.append(f"HOTLINE_{name}: {what}" if name else what)
    return "; ".join(lines)


def _why(problem: ValueError | OSError) -> str:
    """What is wrong with a file or a value that was given, as one sentence."""
    if isinstance(problem, OSError):
        return f"{problem.filename}: {problem.strerror}"
    if isinstance(problem, UnicodeDecodeError):
        return f"the file is not UTF-8 text (byte {problem.start})"
    return str(problem)


def _key_file(settings: Settings) -> Path | None:
    return None if settings.secret_key else settings.data_dir / "secret_key"


def _plain(url: str) -> str:
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def _insist(work: Callable[[], T], cluster: "Cluster | None") -> T:
    """What a start needs done, again if the database breaks off under it: all of it is made to be repeated."""
    from core.db import FAILURES

    for pause in (0.5, 2.0):
        try:
            return work()
        except FAILURES as problem:
            print(f"the database broke off ({type(problem).__name__}), trying again", file=sys.stderr)
        time.sleep(pause)
        if cluster is not None:
            cluster.ensure_running()
    return work()


def _refuse(problem: DomainError) -> NoReturn:
    """Every place of a document that is not right, then the exit."""
    for each in problem.errors:
        print(f"line {each.get('line')}: {each.get('detail_en')}", file=sys.stderr)
    _fail(problem.en)


def _fail(sentence: str) -> NoReturn:
    print(f"error: {sentence}", file=sys.stderr)
    raise typer.Exit(1)


def _end(number: int, frame: object) -> NoReturn:
    """Asked to end: as an exception, so that whatever was begun is undone, such as a database that was started."""
    sys.exit(128 + number)


def main() -> None:
    """Run a command; whatever goes wrong is one clear sentence and an exit status."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # one that is ignored, as under nohup, stays so
            signal.signal(number, _end)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also for a background job, where a shell ignores it
    try:
        cli()
    except DomainError as problem:
        print(f"error: {problem.en}", file=sys.stderr)
        sys.exit(1)
    except Unusable as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(1)
    except Exception as problem:
        from core.db import FAILURES

        if not isinstance(problem, FAILURES):
            raise
        print(f"error: the database cannot be used: {type(problem).__name__}. Try: main.py doctor", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
