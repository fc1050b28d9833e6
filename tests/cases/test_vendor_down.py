"""A vendor is away for an hour: nothing is lost, nobody's messages change places, and it is not run over afterwards."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlmodel import select

from cases.models import Case
from channels import outbox
from channels.message import Address
from channels.models import Outgoing
from channels.telegram.sending import Telegram
from core.ids import uuid7
from tests.factories import As, Clock, a_report, case_of, deliver, state
from tests.fakes.starting import started
from tests.running import free_port

PEOPLE, EACH = 10, 4
RATE = 25  # messages a second, of the adapter's own capabilities
LATE = 60.0  # minutes until the vendor is back


async def no_files(sha256: str) -> bytes:
    """None of these sends a file."""
    raise FileNotFoundError(sha256)


@pytest.fixture
async def port(app: FastAPI) -> AsyncIterator[int]:
    """Where the vendor will be: nobody is there yet."""
    here, port = state(app), free_port()
    before = here.adapters
    bot = Telegram("1022:bot-token", "a-secret", read=no_files, api_url=f"http://127.0.0.1:{port}")
    assert bot.capabilities.per_second == RATE
    here.adapters = {**before, "telegram": bot}
    yield port
    here.adapters = before


async def say(app: FastAPI, clock: Clock, case: Case, turn: int) -> None:
    """One more message to each person, about one case, written now."""
    async with state(app).database.transaction() as session:
        for person in range(PEOPLE):
            await outbox.enqueue(
                session, subject_id=case.id, entry_id=uuid7(clock()), purpose="progress",
                to=Address("telegram", str(500 + person)), channel="telegram", text=f"Tin {turn} cho {500 + person}",
                reference=case.code, at=clock(),
            )  # fmt: skip


async def states(app: FastAPI) -> list[str]:
    """Of everything for this vendor."""
    async with state(app).database.transaction() as session:
        found = await session.exec(select(Outgoing.state).where(Outgoing.channel == "telegram"))
        return list(found.all())


async def test_an_hour_without_the_vendor(app: FastAPI, client: AsyncClient, as_: As, clock: Clock, port: int) -> None:
    code, _ = await a_report(client)
    await deliver(app)
    async with state(app).database.transaction() as session:
        case = await case_of(session, code)
    written = 0
    for minute in range(0, int(LATE), 3):
        if minute % 15 == 0:
            await say(app, clock, case, written)
            written += 1
        await deliver(app)
        clock.move(minutes=3)
    assert written == EACH
    assert set(await states(app)) == {"queued"}  # neither lost nor given up
    shown = (await as_("supervisor").get("/api/v1/outbox")).json()
    assert [(jam["channel"], jam["failure"]) for jam in shown["waiting"]] == [("telegram", "retryable")]
    assert shown["waiting"][0]["waiting"] >= PEOPLE

    with started("telegram", port) as telegram:
        for person in range(PEOPLE):
            telegram.control("say", user=500 + person, text="Chào 1022", wait=False)
        back = clock()
        while {*await states(app)} != {"sent"}:
            await deliver(app)
            clock.move(minutes=1)
            assert (clock() - back).total_seconds() < 90 * 60, await states(app)
        sent = telegram.control("sent")
    said: dict[int, list[str]] = {}
    for row in sent:
        said.setdefault(row["to"], []).append(row["text"])
    assert said == {500 + n: [f"Tin {turn} cho {500 + n}" for turn in range(EACH)] for n in range(PEOPLE)}
    times = [row["at"] for row in sent]
    busiest = max(sum(at <= other < at + 1 for other in times) for at in times)
    assert busiest <= RATE * 1.1, busiest
