"""The driver's ceiling: intake's own statement with arguments made beforehand, one report a statement and a commit.

HOTLINE_DATABASE_URL=… python -m bench.bare --clients 32 --seconds 6 --seed 1
"""

import argparse
import asyncio
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from bench.reports import bodies
from bench.stint import WARM_UP, Meter, in_child
from cases.intake import CaseNumbers, IntakeDesk, prepare
from cases.opening import OPEN_CASE
from core.db import Database
from core.settings import Settings
from routing import queries
from web.reports import ReportIn, to_report

PREPARED_A_SECOND = 6_000  # statements are never repeated: a second one would find its key used and write nothing


async def _write(connection: Any, prepared: Iterator[Sequence[Any]], meter: Meter) -> None:
    while (sent := time.perf_counter()) < meter.until:
        if await connection.fetchrow(OPEN_CASE, *next(prepared)) is None:
            raise RuntimeError("the statement wrote nothing")
        meter.took.append(time.perf_counter() - sent)


async def bare(settings: Settings, clients: int, seconds: float, seed: int) -> None:
    """One stint."""
    assert settings.database_url is not None
    database = Database(settings.database_url, pool=clients, application="bench-bare")
    async with database.transaction() as session:
        routing = await queries.load(session)
    pool = await database.pool()
    desk = IntakeDesk(routing, CaseNumbers(), settings.code_prefix, settings.key)
    prepared = []
    for body in islice(bodies(seed), int((seconds + WARM_UP) * PREPARED_A_SECOND)):
        report = to_report(ReportIn.model_validate_json(body), routing)
        number = await desk.numbers.take(pool)
        _, arguments, _ = prepare(desk, report, number, key=str(uuid.uuid4()), at=datetime.now(UTC), account="portal")
        prepared.append(arguments)
    connections = [await pool.acquire() for _ in range(clients)]
    meter, waiting = Meter(seconds), iter(prepared)
    await meter.stint(lambda: asyncio.gather(*(_write(each, waiting, meter) for each in connections)))
    for each in connections:
        await pool.release(each)
    await database.close()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    given = parser.parse_args()
    in_child(bare(Settings(), given.clients, given.seconds, given.seed))


if __name__ == "__main__":
    main()
