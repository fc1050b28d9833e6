"""A grant that one careless refresh would lose: refreshes at once, crashes in the middle, answers that never come."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from sqlalchemy import delete
from structlog.testing import capture_logs

from channels.adapter import Failure, SendFailed
from channels.models import VendorToken
from channels.zalo import consent
from channels.zalo.alarms import UNSAVED, token_alarms
from channels.zalo.consent import Consent, NewPair
from channels.zalo.tokens import Tokens
from core.db import Database

KEY = b"k" * 32
AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]


class Zalo:
    """The OAuth host: every refresh token is good once. `say` answers instead, or does something first."""

    def __init__(self) -> None:
        self.good = "r0"
        self.number = 0
        self.asked: list[str] = []
        self.say: Callable[[], Any] = lambda: None
        self.slow = 0.0
        self.heard = asyncio.Event()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        form = parse_qs(request.content.decode())
        assert form["grant_type"] == ["refresh_token"]
        assert request.headers["secret_key"] == "app-secret"
        [given] = form["refresh_token"]
        self.asked.append(given)
        self.heard.set()
        await asyncio.sleep(self.slow)
        answer = self.say()
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        if given != self.good:
            return httpx.Response(200, json={"error_name": "Invalid refresh token.", "error": -14014})
        self.number += 1
        self.good = f"r{self.number}"
        return httpx.Response(
            200, json={"access_token": f"a{self.number}", "refresh_token": self.good, "expires_in": "90000"}
        )


class Clock:
    def __init__(self) -> None:
        self.now = AT

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def zalo() -> Zalo:
    return Zalo()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
async def empty(database: Database) -> AsyncIterator[None]:
    yield
    async with database.transaction() as session:
        await session.execute(delete(VendorToken))


def a_keeper(database: Database, zalo: Zalo, clock: Clock, *, seed: str = "r0", key: bytes = KEY) -> Tokens:
    """As each worker has one."""
    ours = Consent("app", "app-secret", "https://oauth.test", transport=httpx.MockTransport(zalo))
    return Tokens(database, key, "oa", seed, ours, clock=clock)


@pytest.fixture
def keeper(database: Database, zalo: Zalo, clock: Clock) -> Tokens:
    return a_keeper(database, zalo, clock)


async def the_row(database: Database) -> VendorToken:
    async with database.transaction() as session:
        row = await session.get(VendorToken, ("zalo", "oa"))
    assert row is not None
    return row


async def alarms(database: Database, at: datetime) -> list[tuple[str, str]]:
    async with database.transaction() as session:
        return [(alarm.state, alarm.reason) for alarm in await token_alarms(session, at)]


async def test_the_token_of_the_settings_is_used_once_and_then_ours_are(
    keeper: Tokens, zalo: Zalo, clock: Clock
) -> None:
    assert await keeper.access_token() == "a1"
    clock.move(hours=19)
    assert (await keeper.access_token(), await keeper.keep_fresh()) == ("a1", 0)
    clock.move(hours=2)
    assert (await keeper.access_token(), await keeper.keep_fresh()) == ("a1", 1)  # the worker renews it in good time
    assert await keeper.access_token() == "a2"
    clock.move(hours=26)  # no worker ran
    assert await keeper.access_token() == "a3"
    assert zalo.asked == ["r0", "r1", "r2"]


async def test_nothing_readable_lies_in_the_database(keeper: Tokens, database: Database) -> None:
    await keeper.access_token()
    row = await the_row(database)
    assert row.state == "live"
    kept = f"{row.access_token} {row.refresh_token} {row.seed!r}"
    assert [secret for secret in ("a1", "r1", "r0") if f"{secret}'" in kept or kept.startswith(secret)] == []
    assert row.refresh_token.startswith("1.")


async def test_two_workers_refresh_at_once_with_one_request(database: Database, zalo: Zalo, clock: Clock) -> None:
    zalo.slow = 0.3
    workers = [a_keeper(database, zalo, clock) for _ in range(3)]
    got = await asyncio.gather(*(worker.access_token() for worker in workers * 4))
    assert (set(got), zalo.asked) == ({"a1"}, ["r0"])
    clock.move(hours=21)
    await asyncio.gather(*(worker.keep_fresh() for worker in workers))
    assert zalo.asked == ["r0", "r1"]
    got = await asyncio.gather(*(worker.access_token(rejected="a2") for worker in workers * 4))
    assert (set(got), zalo.asked) == ({"a3"}, ["r0", "r1", "r2"])
    assert await alarms(database, clock.now) == []


async def test_whoever_gives_up_waiting_does_not_stop_a_refresh(keeper: Tokens, database: Database, zalo: Zalo) -> None:
    zalo.slow = 0.5
    waiting = asyncio.create_task(keeper.access_token())
    await zalo.heard.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await the_row(database)).state == "refreshing"
    await keeper.settle()
    assert (await the_row(database)).state == "live"
    assert (await keeper.access_token(), zalo.asked) == ("a1", ["r0"])


async def test_a_pair_is_saved_before_anybody_uses_it(
    keeper: Tokens, database: Database, zalo: Zalo, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_save(self: Tokens, pair: NewPair) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Tokens, "_save", no_save)
        with pytest.raises(SendFailed) as failed:
            await keeper.access_token()
    assert failed.value.failure == Failure.RETRYABLE
    assert (await the_row(database)).state == "refreshing"
    await the_old_token_is_tried_once_and_the_grant_is_dead(database, zalo, clock)


async def the_old_token_is_tried_once_and_the_grant_is_dead(database: Database, zalo: Zalo, clock: Clock) -> None:
    """What everybody does who finds a refresh whose pair was lost."""
    other = a_keeper(database, zalo, clock)
    with capture_logs() as logs, pytest.raises(SendFailed) as failed:
        await other.access_token()
    assert (failed.value.failure, zalo.asked) == (Failure.RETRYABLE, ["r0"])  # not at once: it may still be on its way
    assert (await the_row(database)).state == "unknown"
    assert await alarms(database, clock.now) == [("unknown", UNSAVED)]
    clock.move(seconds=61)
    with capture_logs() as more:
        for _ in range(3):
            with pytest.raises(SendFailed) as failed:
                await other.access_token()
            clock.move(hours=2)
            await other.keep_fresh()
    assert (failed.value.failure, zalo.asked) == (Failure.REAUTHORISE, ["r0", "r0"])
    [(state, reason)] = await alarms(database, clock.now)
    assert (state, "-14014" in reason, "ZALO_REFRESH_TOKEN" in reason) == ("dead", True, True)
    told = [entry for entry in logs + more if entry["log_level"] == "error"]
    assert [entry["state"] for entry in told] == ["unknown", "dead"]
    assert not [secret for secret in ("a1", "r0", "r1") if secret in str(told)]


KILLED = """
import asyncio, os, signal, sys
import httpx
from channels.zalo.consent import Consent
from channels.zalo.tokens import Tokens
from core.db import Database

class Dies(Tokens):
    async def _save(self, pair):
        print(pair.access_token, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

def answer(request):
    return httpx.Response(200, json={"access_token": "a1", "refresh_token": "r1", "expires_in": "90000"})

async def main():
    ours = Consent("app", "app-secret", "https://oauth.test", transport=httpx.MockTransport(answer))
    await Dies(Database(sys.argv[1]), b"k" * 32, "oa", "r0", ours).access_token()

asyncio.run(main())
"""


async def test_a_worker_killed_between_the_answer_and_the_save_is_known_of(
    database: Database, zalo: Zalo, clock: Clock
) -> None:
    zalo.asked, zalo.good = ["r0"], "r1"  # what the child's request comes to at the vendor
    child = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", KILLED, database.dsn],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (child.returncode, child.stdout) == (-signal.SIGKILL, b"a1\n"), child.stderr.decode()
    row = await the_row(database)
    assert (row.state, row.access_token) == ("refreshing", None)
    assert row.tried_at is not None
    clock.now = row.tried_at  # the child went by the real time
    await the_old_token_is_tried_once_and_the_grant_is_dead(database, zalo, clock)


NO_ANSWER = [
    lambda: httpx.ReadTimeout("slow"),
    lambda: httpx.ReadError("reset"),
    lambda: httpx.Response(500),
    lambda: httpx.Response(200, text="<html>"),
    lambda: httpx.Response(200, json={"access_token": "half", "error": 0}),
]


@pytest.mark.parametrize("say", NO_ANSWER, ids=["timeout", "reset", "500", "page", "half a pair"])
async def test_without_an_answer_the_old_token_is_tried_once_more_and_lives_if_it_was_not_used(
    keeper: Tokens, database: Database, zalo: Zalo, clock: Clock, say: Callable[[], Any]
) -> None:
    zalo.say = say
    for _ in range(3):
        with pytest.raises(SendFailed) as failed:
            await keeper.access_token()
    assert (failed.value.failure, zalo.asked) == (Failure.RETRYABLE, ["r0"])  # nobody repeats it blindly
    assert [state for state, _ in await alarms(database, clock.now)] == ["unknown"]
    zalo.say = lambda: None  # the request had never arrived
    clock.move(minutes=2)
    assert (await keeper.access_token(), zalo.asked) == ("a1", ["r0", "r0"])
    assert await alarms(database, clock.now) == []


@pytest.mark.parametrize("say", NO_ANSWER, ids=["timeout", "reset", "500", "page", "half a pair"])
async def test_after_the_one_further_try_a_person_must_act(
    keeper: Tokens, database: Database, zalo: Zalo, clock: Clock, say: Callable[[], Any]
) -> None:
    zalo.say = say
    for state in ("unknown", "dead", "dead", "dead"):
        with pytest.raises(SendFailed) as failed:
            await keeper.access_token()
        assert [each for each, _ in await alarms(database, clock.now)] == [state]
        clock.move(hours=2)
    assert (failed.value.failure, zalo.asked) == (Failure.REAUTHORISE, ["r0", "r0"])
    assert [state for state, _ in await alarms(database, clock.now)] == ["dead"]


async def test_whatever_the_one_further_try_is_told_it_was_the_last(
    keeper: Tokens, database: Database, zalo: Zalo, clock: Clock
) -> None:
    zalo.say = lambda: httpx.ReadTimeout("slow")
    with pytest.raises(SendFailed):
        await keeper.access_token()
    for say, state in (
        (lambda: httpx.ConnectError("refused"), "unknown"),  # that was none
        (lambda: httpx.Response(200, json={"error": -14002}), "dead"),
    ):
        zalo.say = say
        clock.move(minutes=2)
        with pytest.raises(SendFailed):
            await keeper.access_token()
        assert [each for each, _ in await alarms(database, clock.now)] == [state]


async def test_a_crash_in_the_one_further_try_is_not_followed_by_another(
    keeper: Tokens, database: Database, zalo: Zalo, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    zalo.say = lambda: httpx.ReadTimeout("slow")
    with pytest.raises(SendFailed):
        await keeper.access_token()
    clock.move(minutes=2)

    async def crash(self: Consent, refresh_token: str) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(Consent, "refresh", crash)
        with pytest.raises(RuntimeError):
            await keeper.access_token()
    clock.move(minutes=2)
    with pytest.raises(SendFailed) as failed:
        await a_keeper(database, zalo, clock).access_token()
    assert (failed.value.failure, zalo.asked) == (Failure.REAUTHORISE, ["r0"])
    assert [state for state, _ in await alarms(database, clock.now)] == ["dead"]


@pytest.mark.parametrize(
    "say",
    [
        lambda: httpx.ConnectError("refused"),
        lambda: httpx.Response(503),
        lambda: httpx.Response(404, text="no such page"),
        lambda: httpx.Response(200, json={"error_name": "App not active", "error": -14002}),
        lambda: httpx.Response(200, json={"error": -32, "message": "limit"}),
    ],
    ids=["no connection", "503", "404", "app not active", "rate"],
)
async def test_a_refresh_that_was_surely_not_made_costs_nothing_however_long_it_lasts(
    keeper: Tokens, database: Database, zalo: Zalo, clock: Clock, say: Callable[[], Any]
) -> None:
    await keeper.access_token()
    zalo.say = say
    clock.move(hours=26)
    for _ in range(4):
        for _ in range(3):
            with pytest.raises(SendFailed) as failed:
                await keeper.access_token()
        assert failed.value.failure == Failure.RETRYABLE
        clock.move(minutes=2)
    assert len(zalo.asked) == 1 + 4  # one in a while, not one for each message
    assert [state for state, _ in await alarms(database, clock.now)] == ["live"]
    zalo.say = lambda: None
    assert await keeper.access_token() == "a2"
    assert await alarms(database, clock.now) == []


async def test_while_the_old_access_token_lives_it_is_used_whatever_happens_to_the_refresh(
    keeper: Tokens, database: Database, zalo: Zalo, clock: Clock
) -> None:
    await keeper.access_token()
    clock.move(hours=21)
    zalo.say = lambda: httpx.ReadTimeout("slow")
    await keeper.keep_fresh()
    assert (await the_row(database)).state == "unknown"
    clock.move(minutes=30)
    await keeper.keep_fresh()
    assert (await keeper.access_token(), zalo.asked) == ("a1", ["r0", "r1"])
    zalo.say = lambda: None
    clock.move(minutes=31)
    await keeper.keep_fresh()
    assert (await keeper.access_token(), zalo.asked) == ("a2", ["r0", "r1", "r1"])


async def test_a_new_consent_is_taken_up_when_the_old_one_is_dead_and_not_before(
    keeper: Tokens, database: Database, zalo: Zalo, clock: Clock
) -> None:
    await keeper.access_token()
    older_settings = a_keeper(database, zalo, clock, seed="an-older-one")
    clock.move(hours=26)
    assert await older_settings.access_token() == "a2"  # the living chain, not the settings
    zalo.good = "of-a-new-consent"  # and the chain is worth nothing any more
    clock.move(hours=26)
    with pytest.raises(SendFailed) as failed:
        await keeper.access_token()
    assert failed.value.failure == Failure.REAUTHORISE
    renewed = a_keeper(database, zalo, clock, seed="of-a-new-consent")
    assert await renewed.keep_fresh() == 1
    assert await renewed.access_token() == "a3"
    assert await alarms(database, clock.now) == []


async def test_a_consent_entered_by_a_person_goes_before_the_settings_token(
    keeper: Tokens, database: Database, zalo: Zalo, clock: Clock
) -> None:
    await keeper.access_token()
    async with database.transaction() as session:
        await keeper.begin_anew(session, "by-hand")
    zalo.good = "by-hand"
    assert zalo.asked == ["r0"]
    assert await keeper.access_token() == "a2"
    assert zalo.asked == ["r0", "by-hand"]
    assert (await the_row(database)).grant_until == clock.now + timedelta(days=90)
    assert await alarms(database, clock.now) == []


async def test_tokens_of_another_secret_key_are_not_guessed_at(
    keeper: Tokens, database: Database, zalo: Zalo, clock: Clock
) -> None:
    await keeper.access_token()
    with pytest.raises(SendFailed) as failed:
        await a_keeper(database, zalo, clock, key=b"another" * 6).access_token()
    assert (failed.value.failure, zalo.asked) == (Failure.REAUTHORISE, ["r0"])
    [(state, reason)] = await alarms(database, clock.now)
    assert (state, "SECRET_KEY" in reason) == ("dead", True)


async def test_the_end_of_a_grant_is_told_two_weeks_before(
    keeper: Tokens, database: Database, zalo: Zalo, clock: Clock
) -> None:
    await keeper.access_token()
    assert await alarms(database, AT + timedelta(hours=1)) == []
    assert "worker" in (await alarms(database, AT + timedelta(days=2)))[0][1]  # nobody refreshes
    [(state, reason)] = await alarms(database, AT + timedelta(days=77))
    assert (state, "2026-05-31" in reason) == ("live", True)
    zalo.say = lambda: httpx.ConnectError("refused")
    clock.move(days=77)
    with capture_logs() as logs:
        await keeper.keep_fresh()
        clock.move(hours=1)
        await keeper.keep_fresh()
    assert [entry["event"] for entry in logs].count("zalo grant ends soon") == 1


@pytest.mark.parametrize(
    ("body", "hours"),
    [
        ({"expires_in": "90000"}, 25),
        ({"expires_in": 3600}, 1),
        ({}, 25),
        ({"expires_in": "-5"}, 25),
        ({"expires_in": []}, 25),
    ],
)
def test_how_long_a_token_lives_is_told_in_several_ways(body: dict[str, Any], hours: int) -> None:
    pair = consent.read(200, httpx.Response(200, json={"access_token": "a", "refresh_token": "r", **body}).content)
    assert isinstance(pair, NewPair)
    assert pair.lives == timedelta(hours=hours)
    assert "a=" not in repr(pair)
    assert "access_token" not in repr(pair)


@pytest.mark.parametrize(
    ("status", "body", "arrived", "answered", "burnt"),
    [
        (200, {"error": -118, "error_name": "Invalid grant"}, True, True, True),
        (200, {"error": "-14014"}, True, True, True),
        (400, {"error_name": "Invalid refresh token.", "error_reason": "…"}, True, True, True),  # no number
        (200, {"error": -14002, "error_name": "App not active"}, True, True, False),
        (200, {"error": 0, "refresh_token": "half"}, True, False, False),
        (200, {"access_token": "", "refresh_token": ""}, True, False, False),
        (200, {}, True, False, False),
        (500, {}, True, False, False),
        (503, {}, False, False, False),
        (302, {}, False, False, False),
    ],
)
def test_a_failure_is_known_whatever_its_status(
    status: int, body: dict[str, Any], arrived: bool, answered: bool, burnt: bool
) -> None:
    outcome = consent.read(status, httpx.Response(200, json=body).content)
    assert isinstance(outcome, consent.Outcome)
    assert (outcome.arrived, outcome.answered, outcome.burnt) == (arrived, answered, burnt)
    assert "half" not in outcome.reason
