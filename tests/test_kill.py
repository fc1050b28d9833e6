"""`kill -9` of any process at any moment under load: nothing acknowledged is lost, nothing happens twice.

HOTLINE_KILL_SEED repeats the choices of an earlier run; the seed is printed.
"""

import asyncio
import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.killing import Killer, Load, plan, under_fire
from tests.running import PATIENCE, System, running

Ask = Callable[[str], Awaitable[list[Any]]]


@pytest.mark.timeout(400)
async def test_nothing_is_lost_or_repeated_in_five_rounds(tmp_path: Path) -> None:
    await shoot_and_look(tmp_path, 5, hurry=True)


@pytest.mark.soak
@pytest.mark.timeout(3000)
async def test_nothing_is_lost_or_repeated_in_fifty_rounds(tmp_path: Path) -> None:
    await shoot_and_look(tmp_path, 50, hurry=False)


async def shoot_and_look(folder: Path, rounds: int, *, hurry: bool) -> None:
    """The whole test. `hurry` moves the leases of dead senders forward instead of waiting a minute for their end."""
    seed = int(os.environ.get("HOTLINE_KILL_SEED") or random.randrange(1_000_000))
    print(f"\nHOTLINE_KILL_SEED={seed}")
    with running(folder / "data") as system:
        load, killer = await under_fire(system, plan(seed, rounds))
        print(summary(load, killer))
        await look(system, load, hurry=hurry)
        assert await asyncio.to_thread(system.stop) == 0
        assert system.pids() == []
        assert "Traceback" not in system.said()


def summary(load: Load, killer: Killer) -> str:
    """What happened, for the one who reads the output."""
    acknowledged = Counter(name for (_, name), done in load.actions.items() if done)
    messages = sum(done for _, done in load.messages.values())
    return (
        f"kills {dict(killer.kills)}; answers {dict(load.answers)}; cases acknowledged {len(load.reports)}; "
        f"messages {messages} of {len(load.messages)}; actions {dict(acknowledged)}, "
        f"{sum(not done for done in load.actions.values())} found done after doubt"
    )


async def look(system: System, load: Load, *, hurry: bool) -> None:
    """Everything that must hold once the work is drained."""
    connection = await asyncpg.connect(**system.database().connect_args())
    try:
        await drain(connection, hurry=hurry)
        await cases_are_there_once(connection.fetch, load)
        await messages_and_actions_are_there_once(connection.fetch, load)
        await nothing_is_sent_twice(
            connection.fetch, await asyncio.to_thread((system.data / "would-send.jsonl").read_text)
        )
        await the_journal_is_whole(connection.fetch)
    finally:
        await connection.close()
    with ThreadPoolExecutor() as pool:
        await asyncio.gather(
            *(asyncio.get_running_loop().run_in_executor(pool, check, system, len(load.asked)) for check in COMMANDS)
        )
    for receipt in random.sample([each for each in load.reports.values() if "text" not in each], 10):
        assert (await asyncio.to_thread(system.follow, receipt)).json()["code"] == receipt["code"]


async def drain(connection: Any, *, hurry: bool) -> None:
    """Until nothing is due, the journal is numbered and counted. `hurry`: see `shoot_and_look`."""
    end = time.monotonic() + PATIENCE
    quiet, queued = time.monotonic(), -1
    while True:
        left = await connection.fetchrow(
            """
            SELECT (SELECT count(*) FROM outgoing WHERE run_at IS NOT NULL AND state <> 'sending') AS queued,
                   (SELECT count(*) FROM outgoing WHERE state = 'sending') AS sending,
                   (SELECT count(*) FROM journal) - (SELECT count(*) FROM journal_positions) AS unnumbered,
                   (SELECT coalesce(max(position), 0) FROM journal_positions)
                   - (SELECT position FROM figure_cursor) AS uncounted
            """
        )
        if not any(left):
            return
        assert time.monotonic() < end, f"still to do: {dict(left)}"
        if left["queued"] != queued:  # some wait for a message to the same person whose sender is dead
            quiet, queued = time.monotonic(), left["queued"]
        elif hurry and left["sending"] and time.monotonic() - quiet > 2:
            await connection.execute("UPDATE outgoing SET lease_until = now() WHERE state = 'sending'")
        await asyncio.sleep(0.2)


async def cases_are_there_once(ask: Ask, load: Load) -> None:
    """One case for each key, under the code that was told."""
    rows = await ask("SELECT r.external_id AS key, c.code FROM received r LEFT JOIN cases c ON c.id = r.subject_id")
    assert Counter(row["key"] for row in rows) == Counter(load.asked)
    assert {row["key"]: row["code"] for row in rows} == {key: told["code"] for key, told in load.reports.items()}
    codes = Counter(row["code"] for row in await ask("SELECT code FROM cases"))
    assert codes == Counter(told["code"] for told in load.reports.values())


async def messages_and_actions_are_there_once(ask: Ask, load: Load) -> None:
    """What was acknowledged exactly once; a message whose sender never learned its fate at most once."""
    rows = await ask("SELECT e.text, c.code FROM entries e JOIN cases c ON c.id = e.case_id WHERE e.kind = 'message'")
    kept = Counter((row["text"], row["code"]) for row in rows)
    assert set(kept.values()) <= {1}
    assert {text for text, _ in kept} <= set(load.messages)
    assert {(text, code) for text, (code, acknowledged) in load.messages.items() if acknowledged} <= set(kept)
    rows = await ask(
        """
        SELECT data ->> 'code' AS code, replace(kind, 'case.', '') AS action FROM journal
        WHERE kind IN ('case.forward', 'case.accept', 'case.submit_answer', 'case.approve_answer')
        """
    )
    assert Counter((row["code"], row["action"]) for row in rows) == Counter(load.actions.keys())
    rows = await ask("SELECT data ->> 'code' AS code FROM journal WHERE kind = 'case.open'")
    assert Counter(row["code"] for row in rows) == Counter(told["code"] for told in load.reports.values())
    rows = await ask("SELECT data ->> 'code' AS code FROM journal WHERE kind = 'case.add_message'")
    assert Counter(row["code"] for row in rows) == Counter(code for _, code in kept)


async def nothing_is_sent_twice(ask: Ask, written: str) -> None:
    """A message known to have left has left once; one in doubt at most once and is kept for a person to see."""
    lines = Counter(re.findall(r'"id": "([0-9a-f-]{36})"', written))
    assert set(lines.values()) == {1}
    rows = await ask(
        """
        SELECT o.id::text, o.state, o.channel, o.purpose, o.run_at, o.dead_at, c.status, c.channel AS origin,
               (SELECT count(*) FROM delivery_attempts a WHERE a.outgoing_id = o.id AND a.outcome = 'sent') AS sent
        FROM outgoing o JOIN cases c ON c.id = o.subject_id
        """
    )
    console = [row for row in rows if row["channel"] in ("sms", "email")]
    assert set(lines) <= {row["id"] for row in console}
    for row in rows:
        assert row["run_at"] is None, dict(row)
        if row["channel"] in ("web", "app"):  # repeating it does no harm, so none may end in doubt
            assert row["state"] == "sent", dict(row)
        elif row["state"] == "sent":
            assert (lines[row["id"]], row["sent"]) == (1, 1), dict(row)
        else:
            assert (row["state"], row["sent"], row["dead_at"] is None) == ("unknown", 0, False), dict(row)
        if row["purpose"] == "answer":
            assert row["status"] == ("replied" if row["state"] == "sent" else "answered"), dict(row)
    print(f"sent by console {len(lines)}, states {dict(Counter(row['state'] for row in rows))}")
    twice = await ask("SELECT subject_id FROM outgoing GROUP BY subject_id, purpose, entry_id HAVING count(*) > 1")
    assert twice == []
    receipts = await ask(
        """
        SELECT c.code, count(o.id) AS receipts FROM cases c
        LEFT JOIN outgoing o ON o.subject_id = c.id AND o.purpose = 'receipt'
        WHERE c.channel IN ('web', 'app') GROUP BY c.code HAVING count(o.id) <> 1
        """
    )
    assert receipts == []


async def the_journal_is_whole(ask: Ask) -> None:
    """Each case's versions run from 1 to its own, in order; each row has one position, positions have no gap."""
    broken = await ask(
        """
        SELECT c.code, c.version, array_agg((j.data ->> 'version')::int ORDER BY j.id) AS versions
        FROM cases c LEFT JOIN journal j ON j.case_id = c.id AND j.data ? 'version'
        GROUP BY c.id
        HAVING array_agg((j.data ->> 'version')::int ORDER BY j.id)
               IS DISTINCT FROM ARRAY(SELECT generate_series(1, c.version))
        """
    )
    assert broken == []
    (counts,) = await ask(
        """
        SELECT (SELECT count(*) FROM journal) AS rows, count(*) AS positions, count(DISTINCT journal_id) AS numbered,
               min(position) AS first, max(position) AS last FROM journal_positions
        """
    )
    assert counts["rows"] == counts["positions"] == counts["numbered"] == counts["last"]
    assert counts["first"] == 1
    backwards = await ask(
        """
        SELECT case_id FROM (
            SELECT j.case_id, j.id, lag(j.id) OVER (PARTITION BY j.case_id ORDER BY p.position) AS before
            FROM journal j JOIN journal_positions p ON p.journal_id = j.id WHERE j.case_id IS NOT NULL
        ) ordered WHERE id < before
        """
    )
    assert backwards == []


def reconcile_says_nothing(system: System, cases: int) -> None:
    done = system.command("ioc", "reconcile")
    assert (done.returncode, done.stdout) == (0, "difference 0\n"), done


def limits_are_as_the_journal_says(system: System, cases: int) -> None:
    done = system.command("limits", "verify")
    assert done.returncode == 0, done
    assert re.fullmatch(r"[1-9]\d* limits, difference 0\n", done.stdout), done


def as_many_received_as_there_are_cases(system: System, cases: int) -> None:
    today = datetime.now(UTC).date()
    days = [str(today + timedelta(days=days)) for days in (-1, 1)]
    done = system.command("ioc", "figures", "--from", days[0], "--to", days[1], "--json")
    assert done.returncode == 0, done
    assert [each["value"] for each in json.loads(done.stdout) if each["figure"] == "received"] == [cases]


COMMANDS = (reconcile_says_nothing, limits_are_as_the_journal_says, as_many_received_as_there_are_cases)
