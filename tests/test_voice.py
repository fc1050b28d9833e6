"""Callers telephone the whole system, as processes of which some are stopped or shot meanwhile."""

import asyncio
import contextlib
import hashlib
import itertools
import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from hotline.answering import PATIENCE, PAUSE
from tests.fakes.starting import Fake
from tests.house import carrier
from tests.running import PASSWORD, System, handles, kill, until

NOTICE = "Tổng đài 1022 xin nghe"
BUDGET = 2.0  # seconds in which the carrier has its answer


@dataclass
class Exchange:
    """The running system and the carrier that puts calls through to it."""

    system: System
    fake: Fake
    numbers: Iterator[str] = field(default_factory=lambda: (f"+8491{number:07d}" for number in range(10**7)))

    def calls(self, *script: dict[str, Any], caller: str = "", **more: Any) -> dict[str, Any]:
        """Somebody calls and does this; what came of it at the carrier's end, and who it was."""
        sid, caller = "CA" + uuid4().hex, caller or next(self.numbers)
        row = self.fake.control("call", **{"from": caller}, sid=sid, script=list(script), **more)
        return {**row, "caller": caller}

    def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """What stands in the database."""

        async def ask() -> list[dict[str, Any]]:
            connection = await asyncpg.connect(**self.system.database().connect_args())
            try:
                return [dict(row) for row in await connection.fetch(statement, *values)]
            finally:
                await connection.close()

        return asyncio.run(ask())

    def session(self, call: dict[str, Any]) -> dict[str, Any]:
        """The call as the system has it."""
        found = self.rows("SELECT * FROM call_sessions WHERE provider_call_id = $1", call["sid"])
        return {**found[0], "menu": json.loads(found[0]["menu"])} if found else {"ended_at": None, "outcome": None}

    def tasks(self, caller: str) -> list[tuple[str, str, int]]:
        """What is to do for a number or was."""
        found = self.rows("SELECT kind, state, calls FROM call_tasks WHERE phone = $1 ORDER BY opened_at, id", caller)
        return [(row["kind"], row["state"], row["calls"]) for row in found]

    def over(self, call: dict[str, Any], outcome: str) -> None:
        """Wait until the system knows what came of the call."""
        until(lambda: (found := self.session(call))["ended_at"] and found["outcome"] == outcome, f"{outcome}", 40)

    def settled(self) -> None:
        """Wait until every event of a call is worked on."""
        mine = "SELECT count(*) AS n FROM received WHERE channel = 'voice' AND run_at IS NOT NULL"
        until(lambda: self.rows(mine)[0]["n"] == 0, "all events taken in", 40)

    def ledger(self) -> dict[str, Any]:
        """What the carrier has written down."""
        told: dict[str, Any] = self.fake.client.get(f"{self.fake.url}/_control/ledger").json()
        return told

    def answers(self, call: dict[str, Any]) -> list[dict[str, Any]]:
        """The webhooks of a call as the carrier saw them answered."""
        return [row for row in self.ledger()["webhooks"] if row["params"].get("CallSid") == call["sid"]]

    @contextmanager
    def database_stopped(self) -> Iterator[None]:
        """Every process of the server stands still: connections are taken and nothing is ever answered."""
        with handles(self.servers) as opened:
            for each in opened:
                signal.pidfd_send_signal(each, signal.SIGSTOP)
            try:
                yield
            finally:
                for each in opened:
                    with contextlib.suppress(ProcessLookupError):
                        signal.pidfd_send_signal(each, signal.SIGCONT)

    def servers(self) -> list[int]:
        """The database server and its children, the parent first so that it makes no more."""
        parents = self.system.pids("postmaster")
        return parents + [pid for pid in self.system.pids() if _parent(pid) in parents]

    def shoot(self, role: str) -> None:
        """SIGKILL for all of a kind."""
        with handles(lambda: self.system.pids(role)) as opened:
            assert sum(kill(each) for each in opened) > 0


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return int(stat.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def said(call: dict[str, Any]) -> str:
    """Everything the caller heard."""
    return " ".join(row["text"] for row in call["timeline"] if row["what"] == "say")


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """Everything started, and the carrier told where we are."""
    with carrier() as fake:
        told = fake.control("settings")
        system = System(
            tmp_path_factory.mktemp("voice") / "data",
            TWILIO_ACCOUNT_SID=told["account"], TWILIO_AUTH_TOKEN=told["token"], TWILIO_NUMBER=told["numbers"][0],
            TWILIO_API_URL=fake.url,
        )  # fmt: skip
        system.environment["HOTLINE_PUBLIC_URL"] = system.url
        try:
            system.start()
            system.wait_ready()
            hooks = f"{system.url}/webhooks/twilio"
            fake.control("settings", voice_url=f"{hooks}/voice", status_callback=f"{hooks}/events")
            yield Exchange(system, fake)
            assert "Traceback" not in system.said()
        except BaseException:
            print(system.said()[-6000:])
            raise
        finally:
            system.destroy()


@pytest.fixture(autouse=True)
def calm(line: Exchange) -> Iterator[None]:
    """The carrier behaves, whatever the last test told it."""
    line.fake.control("settings", repeat=1, hold=False, drop=[])
    yield
    line.fake.control("settings", repeat=1, hold=False, drop=[])


STEPS: dict[str, tuple[tuple[dict[str, Any], ...], str]] = {
    "at once": (({"hang_up": "at once"},), "missed"),
    "at the menu": (({"hang_up": True},), "missed"),
    "after a wrong key": (({"keys": "5"}, {"hang_up": True}), "missed"),
    "after silence": (({"silence": True}, {"hang_up": True}), "missed"),
    "before the tone": (({"keys": "1"}, {"hang_up": True}), "missed"),
    "at the code": (({"keys": "2"}, {"hang_up": True}), "missed"),
    "in another language": (({"keys": "9"}, {"hang_up": True}), "missed"),
    "after saying nothing": (({"keys": "1"}, {"silence": True}, {"hang_up": True}), "missed"),
    "waiting for a person": (({"keys": "0"}, {"hang_up": True}), "callback"),
}


def test_a_hang_up_at_every_step_is_a_missed_call_once(line: Exchange) -> None:
    line.fake.control("settings", repeat=3)
    calls = {name: line.calls(*script) for name, (script, _) in STEPS.items()}
    for name, call in calls.items():
        assert call["error"] is None, name
        line.over(call, STEPS[name][1])
    line.settled()
    assert {name: line.tasks(call["caller"]) for name, call in calls.items()} == {
        name: [(kind, "open", 1)] for name, (_, kind) in STEPS.items()
    }
    assert line.ledger()["answers_differ"] == []


def test_a_caller_who_gets_through_is_no_longer_missed(line: Exchange) -> None:
    first = line.calls({"hang_up": True})
    again = line.calls({"keys": "9"}, {"hang_up": True}, caller=first["caller"])
    line.over(again, "missed")
    line.settled()
    assert line.tasks(first["caller"]) == [("missed", "open", 2)]
    third = line.calls({"keys": "1"}, {"speak": 4}, caller=first["caller"])
    line.over(third, "voicemail")
    line.settled()
    assert line.tasks(first["caller"]) == [("missed", "reached", 2), ("callback", "open", 1)]


def test_words_left_are_a_case_with_a_recording_to_hear_and_a_call_back_in_time(line: Exchange) -> None:
    line.fake.control("settings", repeat=3)
    call = line.calls({"keys": "1"}, {"speak": 7})
    line.over(call, "voicemail")
    of_call = "SELECT r.* FROM recordings r JOIN call_sessions s ON s.id = r.session_id WHERE s.provider_call_id = $1"
    until(lambda: (found := line.rows(of_call, call["sid"])) and found[0]["state"] == "removed", "our own copy", 40)
    [recording] = line.rows(of_call, call["sid"])
    token = line.system.token("agent@demo", PASSWORD).json()["access_token"]
    with httpx.Client(base_url=line.system.url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as agent:
        heard = agent.get(f"/api/v1/recordings/{recording['id']}")
        part = agent.get(f"/api/v1/recordings/{recording['id']}", headers={"Range": "bytes=0-9"})
        tasks = agent.get("/api/v1/call-tasks").json()["items"]
    assert heard.status_code == 200
    assert heard.headers["content-type"] == "audio/mpeg"
    assert hashlib.sha256(heard.content).hexdigest() == recording["sha256"]
    assert (part.status_code, part.content) == (206, heard.content[:10])
    at_carrier = line.ledger()["recordings"][recording["provider_recording_id"]]
    assert at_carrier["deleted"]
    assert at_carrier["sha256"]["mp3"] == recording["sha256"]
    [case] = line.rows("SELECT * FROM cases WHERE contact->>'phone' = $1", call["caller"])
    assert (case["id"], case["channel"], case["status"]) == (recording["case_id"], "voice", "received")
    [task] = [each for each in tasks if each["case"] == case["code"]]
    assert task["kind"] == "callback"
    assert task["due_at"] is not None
    assert httpx.get(f"{line.system.url}/api/v1/recordings/{recording['id']}").status_code == 401
    line.settled()
    assert len(line.rows("SELECT 1 FROM recordings WHERE case_id = $1", case["id"])) == 1


def test_an_agent_who_takes_their_case_has_reached_them(line: Exchange) -> None:
    call = line.calls({"hang_up": True})
    line.over(call, "missed")
    token = line.system.token("agent@demo", PASSWORD).json()["access_token"]
    body = {"text": "Đèn đường tắt nhiều đêm", "channel": "voice", "contact": {"phone": call["caller"]}}
    headers = {"Authorization": f"Bearer {token}"}
    opened = httpx.post(f"{line.system.url}/api/v1/cases", json=body, headers=headers, timeout=30)
    assert opened.status_code == 201, opened.text
    assert line.tasks(call["caller"]) == [("missed", "reached", 1)]


@pytest.mark.parametrize("seed", [1, 2])
def test_reports_repeated_and_in_any_order_change_nothing(line: Exchange, seed: int) -> None:
    line.fake.control("settings", hold=True, repeat=2)
    call = line.calls({"keys": "1"}, {"speak": 3}, status_events=["ringing", "answered", "completed"])
    line.fake.control("flush", order="shuffled", times=3, seed=seed)
    line.over(call, "voicemail")
    line.settled()
    found = line.session(call)
    assert (found["state"], found["seq"], found["caller"]) == ("completed", 2, call["caller"])
    events = line.rows("SELECT external_id FROM received WHERE channel = 'voice' AND raw LIKE $1", f"%{call['sid']}%")
    assert len(events) == 3 + 4
    assert line.tasks(call["caller"]) == [("callback", "open", 1)]


def test_reports_that_get_lost_leave_the_call_where_it_was(line: Exchange) -> None:
    line.fake.control("settings", drop=["recording", "completed"])
    call = line.calls({"keys": "1"}, {"speak": 3})
    until(lambda: line.session(call)["outcome"] == "voicemail", "the voicemail", 40)
    assert line.session(call)["state"] == "in-progress"


def test_what_is_signed_by_somebody_else_leaves_nothing(line: Exchange) -> None:
    line.fake.control("settings", wrong_signature=True)
    try:
        call = line.calls({"keys": "1"})
    finally:
        line.fake.control("settings", wrong_signature=False)
    assert call["error"] == 11200
    assert {row["status"] for row in line.answers(call)} == {403}
    assert line.rows("SELECT 1 FROM received WHERE raw LIKE $1", f"%{call['sid']}%") == []


def test_with_the_database_stopped_the_caller_hears_the_menu_and_the_call_is_there_afterwards(line: Exchange) -> None:
    with line.database_stopped():
        call = line.calls({"keys": "2"}, {"keys": "260000081#"}, {"keys": "9"}, {"keys": "0"}, {"hang_up": True})
        spooled = list((line.system.data / "spool").glob("*.jsonl"))
    assert (call["error"], NOTICE in said(call)) == (None, True)
    assert "Hiện chưa tra cứu được" in said(call)
    assert "All our agents are busy" in said(call)
    assert spooled
    line.over(call, "callback")
    line.settled()
    assert line.tasks(call["caller"]) == [("callback", "open", 1)]
    assert line.session(call)["menu"]["wish"] == "agent"
    until(lambda: not list((line.system.data / "spool").glob("*.jsonl")), "the spool is empty", 20)


def test_the_carrier_never_waits_longer_than_it_may(line: Exchange) -> None:
    took: list[float] = []
    time.sleep(PAUSE)  # what it remembers of the last time
    with line.database_stopped():
        for _ in range(4):
            call = line.calls({"keys": "9"}, {"keys": "3"}, {"hang_up": True})
            times = [row["at"] for row in line.answers(call)]
            took += [after - before for before, after in itertools.pairwise(times)]
    assert PATIENCE < max(took) < BUDGET
    line.over(call, "missed")


def test_a_web_process_shot_after_it_spooled_has_lost_nothing_it_answered_for(line: Exchange) -> None:
    answered: list[dict[str, Any]] = []

    def telephone() -> None:
        for _ in range(4):
            with contextlib.suppress(httpx.HTTPError):
                answered.append(line.calls({"keys": "9"}, {"keys": "3"}, {"hang_up": True}))

    with line.database_stopped():
        callers = threading.Thread(target=telephone)
        callers.start()
        until(lambda: list((line.system.data / "spool").glob("*.jsonl")), "something is spooled", 20)
        line.shoot("web")
        callers.join()
    line.system.wait_ready()
    promised = {
        (row["params"]["CallSid"], row["params"].get("Digits"), row["params"]["CallStatus"])
        for call in answered
        for row in line.answers(call)
        if row["status"] == 200
    }
    assert promised

    def kept() -> bool:
        rows = line.rows("SELECT raw FROM received WHERE channel = 'voice'")
        found = {_event(row["raw"]) for row in rows}
        return promised <= found

    until(kept, "every event that was answered", 40)


def _event(raw: str) -> tuple[str | None, str | None, str | None]:
    form = dict(pair.partition("=")[::2] for pair in raw.split("&"))
    return form.get("CallSid"), form.get("Digits"), form.get("CallStatus")


def test_with_the_database_shot_the_caller_hears_the_menu(line: Exchange) -> None:
    line.shoot("postmaster")
    call = line.calls({"keys": "9"}, {"hang_up": True})
    assert (call["error"], NOTICE in said(call)) == (None, True)
    line.system.wait_ready()
    line.over(call, "missed")
    line.settled()
    assert line.tasks(call["caller"]) == [("missed", "open", 1)]
