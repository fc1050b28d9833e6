"""People at work while processes are shot: a load that remembers what it was promised, and a killer with a plan."""

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.running import PATIENCE, System, handles, kill

KINDS = ("web", "worker", "postmaster", "backend", "all")
SUPERVISOR_EVERY = 10  # rounds in which `main.py run` itself is killed once, in addition
CITIZENS, CLERKS = 6, 6
LEAD = "so-xd"
WHO = {
    "open": "agent@demo",
    "forward": "dispatcher@demo",
    "accept": "officer@demo",
    "submit_answer": "officer@demo",
    "approve_answer": "head@demo",
}


@dataclass(frozen=True, slots=True)
class Shot:
    """One kill: after how many seconds, whom, which one of several, whether to wait until work goes on afterwards.

    `aimed` waits for the worst moment: a message has just left by the console and nobody has noted it yet.
    """

    after: float
    kind: str
    pick: float
    recover: bool
    aimed: bool


def plan(seed: int, rounds: int) -> list[Shot]:
    """The killer's choices. Every kind has its turn before one comes again; the supervisor comes on top."""
    chance = random.Random(seed)
    kinds: list[str] = []
    while len(kinds) < rounds:
        kinds += chance.sample(KINDS, len(KINDS))
    del kinds[rounds:]
    for block in range(0, rounds, SUPERVISOR_EVERY):
        kinds.insert(block + chance.randint(1, min(SUPERVISOR_EVERY, rounds)), "supervisor")
    return [
        Shot(
            after=chance.uniform(0.2, 1.5),
            kind=kind,
            pick=chance.random(),
            recover=chance.random() < 0.7,
            aimed=chance.random() < 0.5 or kind == "worker",
        )
        for kind in kinds
    ]


@dataclass
class Load:
    """What was asked for and what was promised. Every answer that is not expected ends the work with an error."""

    system: System
    client: httpx.AsyncClient
    tokens: dict[str, str] = field(default_factory=dict)
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)  # Idempotency-Key → receipt
    asked: set[str] = field(default_factory=set)  # keys of all cases asked for
    messages: dict[str, tuple[str, bool]] = field(default_factory=dict)  # text → (code, acknowledged)
    actions: dict[tuple[str, str], bool] = field(default_factory=dict)  # (code, action) → acknowledged by a 2xx
    answers: Counter[str] = field(default_factory=Counter)  # HTTP statuses and broken connections
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def done(self) -> int:
        """How much was acknowledged so far."""
        return len(self.reports) + len(self.actions) + sum(acknowledged for _, acknowledged in self.messages.values())

    async def sign_in(self) -> None:
        """Everybody comes to work before the shooting."""
        for email in sorted(set(WHO.values())):
            form = {"username": email, "password": self.system.environment["HOTLINE_DEMO_PASSWORD"]}
            answer = await self.client.post("/api/v1/auth/token", data=form)
            answer.raise_for_status()
            self.tokens[email] = answer.json()["access_token"]

    async def work(self) -> None:
        """Until `stopping` is set; each then finishes what it has begun."""
        async with asyncio.TaskGroup() as people:
            for number in range(CITIZENS):
                people.create_task(self.repeat(self.citizen, number))
            for number in range(CLERKS):
                people.create_task(self.repeat(self.clerk, number))

    async def repeat(self, journey: Callable[[random.Random], Awaitable[None]], number: int) -> None:
        """One person, again and again."""
        chance = random.Random(number)
        while not self.stopping.is_set():
            await journey(chance)

    async def citizen(self, chance: random.Random) -> None:
        """Report until acknowledged, sometimes once more than needed; add messages, each once whatever comes of it."""
        key = str(uuid.uuid4())
        body = {
            "text": f"Nắp cống bị vỡ trước nhà tôi, đường Hùng Vương. {key}",
            "source": chance.choice(("web", "app")),
            "contact": {"phone": f"09{chance.randint(10_000_000, 99_999_999)}"},
        }
        self.asked.add(key)
        receipt = await self.insist("/api/v1/reports", body, {"Idempotency-Key": key})
        self.reports[key] = receipt
        if chance.random() < 0.3:
            again = await self.insist("/api/v1/reports", body, {"Idempotency-Key": key})
            assert again == receipt
        while chance.random() < 0.4:
            text = f"Tôi gửi thêm: {uuid.uuid4()}"
            self.messages[text] = (receipt["code"], False)
            path = f"/api/v1/reports/{receipt['code']}/messages"
            answer = await self.post(path, {"text": text}, {"Tracking-Key": receipt["tracking_key"]})
            if answer is not None:
                assert answer.status_code == 201, answer.text
                self.messages[text] = (receipt["code"], True)

    async def clerk(self, chance: random.Random) -> None:
        """A case by SMS or e-mail from its opening to its approved answer, whose messages leave by the console."""
        key = str(uuid.uuid4())
        body: dict[str, Any] = {
            "text": f"Đèn đường tắt nhiều đêm ở phường Tân Phú. {key}",
            "channel": chance.choice(("sms", "email")),
            "contact": {"phone": f"09{chance.randint(10_000_000, 99_999_999)}", "email": f"{key}@example.org"},
        }
        at_once = chance.random() < 0.5
        if at_once:
            body["forward"] = {"lead": LEAD}
        self.asked.add(key)
        case = await self.insist("/api/v1/cases", body, {"Idempotency-Key": key, **self.as_("open")})
        self.reports[key] = case
        if at_once:
            self.actions[case["code"], "forward"] = True
        else:
            await self.act(case["code"], "forward", {"lead": LEAD})
        steps = [("accept", {}), ("submit_answer", {"reply": "Đã thay bóng đèn."}), ("approve_answer", {})]
        for name, given in steps[: chance.choice((0, 1, 3, 3, 3))]:
            await self.act(case["code"], name, given)

    async def act(self, code: str, name: str, body: dict[str, Any]) -> None:
        """Do one action as whoever may, on the version seen before; a try in doubt is repeated and may find it done.

        Nobody else touches the case, so a refusal after a try in doubt means that the try had succeeded.
        """
        version = await self.version(code, name)
        doubt = False
        while (answer := await self.post(f"/api/v1/cases/{code}/{name}", body, self.on(version, name))) is None:
            doubt = True
            await asyncio.sleep(0.2)
        assert answer.status_code == 200 or (doubt and answer.status_code in (409, 412)), answer.text
        self.actions[code, name] = answer.status_code == 200

    def on(self, version: int, name: str) -> dict[str, str]:
        """Headers of an action on one version of the case."""
        return {"If-Match": f'"{version}"', **self.as_(name)}

    async def version(self, code: str, name: str) -> int:
        """Which version of the case the person who is to act sees."""
        while True:
            answer = await self.ask("GET", f"/api/v1/cases/{code}", None, self.as_(name))
            if answer is not None:
                assert answer.status_code == 200, answer.text
                return int(answer.json()["version"])
            await asyncio.sleep(0.2)

    def as_(self, name: str) -> dict[str, str]:
        """Headers of the person who does this."""
        return {"Authorization": f"Bearer {self.tokens[WHO[name]]}"}

    async def insist(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        """Send under the same key until it is acknowledged."""
        while (answer := await self.post(path, body, headers)) is None:  # noqa: ASYNC110 - polls another process
            await asyncio.sleep(0.2)
        assert answer.status_code == 201, answer.text
        members: dict[str, Any] = answer.json()
        return members

    async def post(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> httpx.Response | None:
        """One try. None when nobody knows what came of it: a broken connection or 503."""
        return await self.ask("POST", path, body, headers)

    async def ask(self, method: str, path: str, body: Any, headers: dict[str, str]) -> httpx.Response | None:
        """One request, counted by what it was answered with. A 500 is an error: being killed must not look like one."""
        try:
            answer = await self.client.request(method, path, json=body, headers=headers)
        except httpx.TransportError:
            self.answers["broken"] += 1
            return None
        self.answers[str(answer.status_code)] += 1
        assert answer.status_code in (200, 201, 409, 412, 503), answer.text
        return answer if answer.status_code != 503 else None


@dataclass
class Killer:
    """Carries out a plan and counts."""

    system: System
    load: Load
    kills: Counter[str] = field(default_factory=Counter)

    async def run(self, shots: list[Shot]) -> None:
        """Shoot, and see work go on before the next round, except where the plan strikes into the recovery."""
        for shot in shots:
            await asyncio.sleep(shot.after)
            before = self.load.done
            await self.fire(shot)
            self.kills[shot.kind] += 1
            if shot.recover:
                await self.progress(before + 5)
        await self.progress(self.load.done + 20)

    async def progress(self, wanted: int) -> None:
        """Work goes on."""
        async with asyncio.timeout(PATIENCE):
            while self.load.done < wanted:  # noqa: ASYNC110 - what is acknowledged tells nobody
                await asyncio.sleep(0.05)

    async def fire(self, shot: Shot) -> None:
        """SIGKILL, once there is somebody to kill: the victim may just be coming back from the last time."""
        async with asyncio.timeout(PATIENCE):
            while not await self.hit(shot):  # noqa: ASYNC110 - processes do not announce themselves
                await asyncio.sleep(0.02)

    async def hit(self, shot: Shot) -> bool:
        """Kill who is there of this kind; False when nobody was."""
        if shot.kind == "supervisor":
            assert self.system.process is not None
            self.system.process.kill()
            self.system.process.wait()
            self.system.start()
            return True
        with handles(lambda: self.victims(shot)) as marked:
            if marked and shot.aimed:
                await self.message_leaves()
            if marked and shot.kind == "backend":
                marked = [marked[int(shot.pick * len(marked))]]
            return sum(kill(each) for each in marked) > 0

    def victims(self, shot: Shot) -> list[int]:
        """Whom the shot is for; for `all` everybody, and only when all are there."""
        if shot.kind != "all":
            return sorted(self.system.pids(shot.kind))
        found = [self.system.pids(kind) for kind in KINDS if kind != "all"]
        return [pid for pids in found for pid in pids] if all(found) else []

    async def message_leaves(self) -> None:
        """The instant after a message has left and before its sender has noted it; not for ever."""
        file = self.system.data / "would-send.jsonl"
        size, loop = file.stat().st_size if file.exists() else 0, asyncio.get_running_loop()
        end = loop.time() + 5
        while loop.time() < end and (not file.exists() or file.stat().st_size == size):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)


async def under_fire(system: System, shots: list[Shot]) -> tuple[Load, Killer]:
    """The whole story: people at work, the killer's plan, and everybody's work brought to its end."""
    async with httpx.AsyncClient(base_url=system.url, timeout=20) as client:
        load = Load(system, client)
        await load.sign_in()
        killer = Killer(system, load)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(load.work())
            try:
                await killer.run(shots)
            finally:
                load.stopping.set()
    return load, killer
