"""The product as it runs in a centre: web and worker processes over one database, vendors as processes of their own.

Quicker than `tests.running`, because the database server is the session's: `with house(folder, server_url, template,
"zalo", "sms") as home: …`. A test may start further processes, kill them, and read the database.
"""

import asyncio
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from core.db import Database
from tests.factories import make_accounts, make_tokens
from tests.fakes.starting import Fake, started
from tests.running import TOP, free_port, until

SECRET, BOT_SECRET = "house" * 8, "a-secret"
FAKES = {"zalo": "zalo", "facebook": "graph", "telegram": "telegram"}
PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
CALM = 0.4  # seconds without anything due, after which nothing is on its way any more


def at_vendors(vendors: Mapping[str, Fake]) -> dict[str, str]:
    """The settings by which the product reaches these stand-ins."""
    made: dict[str, str] = {}
    if zalo := vendors.get("zalo"):
        told = zalo.control("settings")
        made |= {
            "ZALO_APP_ID": told["app_id"], "ZALO_APP_SECRET": told["app_secret"], "ZALO_OA_ID": told["oa_id"],
            "ZALO_OA_SECRET_KEY": told["oa_secret"], "ZALO_REFRESH_TOKEN": zalo.control("grant")["refresh_token"],
            "ZALO_API_URL": zalo.url, "ZALO_OAUTH_URL": zalo.url, "ZALO_BUSINESS_URL": zalo.url,
        }  # fmt: skip
    if graph := vendors.get("facebook"):
        told = graph.control("settings")
        made |= {
            "FACEBOOK_PAGE_ID": told["page"], "FACEBOOK_PAGE_TOKEN": told["token"],
            "FACEBOOK_APP_SECRET": told["app_secret"], "FACEBOOK_VERIFY_TOKEN": told["verify_token"],
            "FACEBOOK_GRAPH_URL": graph.url,
        }  # fmt: skip
    if telegram := vendors.get("telegram"):
        made |= {
            "TELEGRAM_TOKEN": telegram.control("settings")["token"], "TELEGRAM_SECRET_TOKEN": BOT_SECRET,
            "TELEGRAM_API_URL": telegram.url,
        }  # fmt: skip
    if sms := vendors.get("sms"):
        told = sms.control("settings")
        made |= {
            "TWILIO_ACCOUNT_SID": told["account"], "TWILIO_AUTH_TOKEN": told["token"],
            "TWILIO_NUMBER": told["numbers"][0], "TWILIO_API_URL": sms.url,
        }  # fmt: skip
    return made


@contextmanager
def carrier() -> Iterator[Fake]:
    """The stand-in for Twilio, which is told its port and does not say when it is ready."""
    port = free_port()
    command = [sys.executable, str(TOP / "tests/fakes/twilio.py"), "--port", str(port), "--control"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        fake = Fake(f"http://127.0.0.1:{port}")
        try:
            with fake.client:
                until(lambda: answers(f"{fake.url}/_control/ledger"), "the carrier", 30)
                yield fake
        finally:
            process.terminate()


def answers(url: str) -> bool:
    """Whether somebody answers there with 200."""
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@dataclass
class House:
    """A running one. `webs` are addresses; `workers` and `webs` may grow."""

    folder: Path
    dsn: str
    vendors: dict[str, Fake]
    environment: dict[str, str] = field(repr=False)
    port: int  # of the first web process, which is the address that vendors know and sign
    tokens: dict[str, str] = field(default_factory=dict, repr=False)
    webs: list[str] = field(default_factory=list)
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    clients: list[httpx.Client] = field(default_factory=list)

    # ---- processes

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        """A command of the product that goes on; what it prints is kept."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, TOP / "main.py", *words],
                cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def open_doors(self, count: int = 1) -> None:
        """So many web processes, ready."""
        ports = [free_port() if self.webs or number else self.port for number in range(count)]
        for port in ports:
            self.start("web", "--port", str(port))
        for port in ports:
            until(lambda port=port: answers(f"http://127.0.0.1:{port}/readyz"), "a web process", 60)  # type: ignore[misc]
            self.webs.append(f"http://127.0.0.1:{port}")

    def hire(self, count: int = 1) -> None:
        """So many workers."""
        self.workers += [self.start("worker") for _ in range(count)]

    def close(self) -> None:
        """End every process, whatever it is doing, and every client."""
        for client in self.clients:
            client.close()
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()

    def said(self) -> str:
        """What the processes printed and logged."""
        return (self.folder / "log").read_text()

    # ---- people and vendors

    def as_(self, name: str = "agent") -> httpx.Client:
        """A client signed in as that demo account."""
        headers = {"Authorization": f"Bearer {self.tokens[f'{name}@demo']}"}
        made = httpx.Client(base_url=self.webs[0], headers=headers, timeout=30, trust_env=False)
        self.clients.append(made)
        return made

    def connect(self) -> None:
        """Every vendor is told where our first web process is."""
        for name, vendor in self.vendors.items():
            if name == "sms":
                vendor.control("settings", sms_url=f"{self.webs[0]}/webhooks/twilio/sms")
                continue
            more = {"secret_token": BOT_SECRET} if name == "telegram" else {}
            vendor.control("settings", webhook_url=f"{self.webs[0]}/webhooks/{name}", **more)

    # ---- the database

    def rows(self, sql: str, *arguments: Any) -> list[dict[str, Any]]:
        """What a statement finds."""

        async def ask() -> list[dict[str, Any]]:
            connection = await asyncpg.connect(self.dsn)
            try:
                return [dict(row) for row in await connection.fetch(sql, *arguments)]
            finally:
                await connection.close()

        return asyncio.run(ask())

    def waiting(self) -> dict[str, int]:
        """How much is still to be done with what came in, what goes out and files at vendors."""
        [row] = self.rows(
            "SELECT (SELECT count(*) FROM received WHERE run_at IS NOT NULL) AS received,"
            " (SELECT count(*) FROM outgoing WHERE run_at IS NOT NULL) AS outgoing,"
            " (SELECT count(*) FROM fetches WHERE run_at IS NOT NULL) AS fetches"
        )
        return row

    def calm(self, seconds: float = 60, of: Sequence[str] = ("received", "outgoing", "fetches")) -> None:
        """Return when nothing of that has been to be done for a moment."""
        end, since = time.monotonic() + seconds, time.monotonic()
        while time.monotonic() - since < CALM:
            left = {name: count for name, count in self.waiting().items() if count and name in of}
            since = time.monotonic() if left else since
            assert time.monotonic() < end, f"not calm within {seconds:.0f} s: {left}"
            time.sleep(0.1)


@contextmanager
def house(
    folder: Path, server_url: str, template: str, *vendors: str, webs: int = 1, workers: int = 1, **settings: str
) -> Iterator[House]:
    """A house with these vendors (zalo, facebook, telegram, sms) on a database of its own; all gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        dsn = stack.enter_context(database(server_url, template))
        with ThreadPoolExecutor() as pool:  # each takes a second to start
            starting = {name: (carrier() if name == "sms" else started(FAKES[name])) for name in vendors}
            running = dict(zip(starting, pool.map(stack.enter_context, starting.values()), strict=True))
        port = free_port()
        plain = {name: value for name, value in os.environ.items() if not name.startswith("HOTLINE_")}
        given = {
            "DATA_DIR": str(folder / "data"), "DATABASE_URL": dsn, "SECRET_KEY": SECRET, "RATE_LIMITS": "off",
            "PUBLIC_URL": f"http://127.0.0.1:{port}", **at_vendors(running), **settings,
        }  # fmt: skip
        environment = plain | {f"HOTLINE_{name}": value for name, value in given.items()}
        made = House(folder, dsn, running, environment, port, asyncio.run(_people(dsn)))
        stack.callback(made.close)
        if webs:
            made.open_doors(webs)
            made.connect()
        made.hire(workers)
        try:
            yield made
        except BaseException:
            print(made.said()[-8000:])
            raise


@contextmanager
def database(server_url: str, template: str) -> Iterator[str]:
    """A copy of the template."""
    from tests.conftest import at_database, run_sql

    name = f"house_{uuid.uuid4().hex[:8]}"
    asyncio.run(run_sql(server_url, f"CREATE DATABASE {name} TEMPLATE {template}"))
    try:
        yield at_database(server_url, name)
    finally:
        asyncio.run(run_sql(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


async def _people(dsn: str) -> dict[str, str]:
    """The demo accounts, and a token for each."""
    made = Database(dsn, pool=2)
    try:
        await make_accounts(made, datetime.now(UTC))
        return await make_tokens(made)
    finally:
        await made.close()
