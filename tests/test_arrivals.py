"""Hundreds of events wait while nobody works: the vendor is answered in time all the same, and nothing changes places.

`bench/arrivals.py` does the same with ten thousand.
"""

import asyncio
from pathlib import Path

import pytest

from bench.arrivals import LIMIT, SETTINGS, emptied, in_order, pour, requests, trickle
from tests.house import house

EVENTS, SENDERS = 500, 125


@pytest.mark.soak  # a minute; `bench.arrivals` does the same with ten thousand
@pytest.mark.timeout(300)
def test_a_full_queue_neither_delays_answers_nor_loses_order(tmp_path: Path, server_url: str, template: str) -> None:
    with house(tmp_path / "house", server_url, template, webs=2, workers=0, **SETTINGS) as home:
        ports = [int(web.rpartition(":")[2]) for web in home.webs]
        filling = asyncio.run(pour(ports, requests(EVENTS, SENDERS), 16))
        assert home.waiting()["received"] == EVENTS
        home.hire(2)

        async def empty() -> list[float]:
            over = asyncio.Event()
            answers, _ = await asyncio.gather(trickle(ports[0], over, 9_000_000), emptied(home.dsn, over, 90))
            return answers

        emptying = asyncio.run(empty())
        home.calm(20, of=["received"])
        assert len(filling) == EVENTS
        assert len(emptying) > 10
        assert max(filling) < LIMIT
        assert max(emptying) < LIMIT
        assert asyncio.run(in_order(home.dsn, EVENTS, SENDERS))
        assert not home.rows("SELECT 1 FROM received WHERE dead_at IS NOT NULL")
        [cases] = home.rows("SELECT count(*) AS n FROM cases")
        assert cases["n"] == SENDERS + len(emptying)
