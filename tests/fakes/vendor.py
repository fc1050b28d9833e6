"""What the stand-ins for vendors have in common: a clock, faults, webhooks on their way, and control by a test.

Everything under `/_control/<name>` takes a JSON object and answers JSON. Common to all vendors:
`settings` (set and read), `clock` (`advance` seconds), `fault` and `heal`, `away` (the port is closed for `seconds`),
`flush` (held webhooks, in the order `same`, `reversed` or `shuffled` by `seed`), `take` (held webhooks are handed over
instead), `event` (any event at all, signed as usual), `settle`, `webhooks`, `sent`, `requests`, `counters`, `reset`.
No code is shared with the adapters.
"""

import asyncio
import base64
import contextlib
import json
import random
import re
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar
from uuid import uuid4

import httpx
import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Json = dict[str, Any]
TLS = httpx.create_ssl_context()
KEPT = 20_000  # characters of a request's body that are kept for the test to read
PIXEL = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDACgcHiMeGSgjISMtKygwPGRBPDc3PHtYXUlkkYCZlo+AjIqgtObDoKrarYqMyP/L2u71////m8H////6"
    "/+b9//j/wAALCAAIAAgBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAP/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AP//Z"
)  # a grey JPEG of 8 × 8


@dataclass
class Settings:
    """What a test sets for any vendor."""

    webhook_url: str = ""
    hold: bool = False  # keep webhooks back until they are flushed
    repeat: int = 1  # times each webhook is sent
    delay: float = 0  # seconds, by the vendor's clock, before a webhook is first sent
    drop: list[str] = field(default_factory=list)  # names of events that get lost, "*" for all
    ladder: list[float] = field(default_factory=list)  # seconds before each repeat of a failed webhook
    budget: float = 5  # seconds the vendor waits for an answer to a webhook
    signature: str = "right"  # or wrong, none, or a vendor's own variant
    media_base: str = ""  # scheme and host in links to files, where it is not this process's own


@dataclass
class Fault:
    """What goes wrong with requests whose path matches.

    `status` answers so and does nothing; `garbage` answers 200 with a page of HTML; `slow` waits, then goes on;
    `broken` does nothing and breaks the connection off; `lost` does the work and breaks off instead of answering.
    """

    kind: str
    path: str = ""  # regular expression
    times: int | None = None  # None: until healed
    seconds: float = 0
    status: int = 503
    body: str = "Service Unavailable"


@dataclass
class Delivery:
    """One webhook: its bytes, and what became of it. Its state is going, queued, waiting, held, dropped, unsent,
    delivered or given up."""

    names: list[str]
    events: list[Json]
    body: bytes
    state: str
    due: float = 0
    tries: list[Json] = field(default_factory=list)
    tried: bool = False  # the first sending is over
    extra: dict[str, str] = field(default_factory=dict)  # headers of this webhook alone

    def shown(self) -> Json:
        return {
            "names": self.names,
            "events": self.events,
            "body": self.body.decode(),
            "state": self.state,
            "tries": self.tries,
            "status": self.tries[-1]["status"] if self.tries else None,
        }


class Vendor:
    """State in memory and the way out. A vendor says how it signs, and when it takes an answer for a success."""

    ordered: ClassVar[bool] = False  # one webhook at a time; one that fails holds up those behind it
    batches: ClassVar[bool] = False  # one webhook may carry several events

    def __init__(self, settings: Settings) -> None:
        self.told = settings
        self.base = ""
        self.skew = 0.0
        self.faults: list[Fault] = []
        self.requests: list[Json] = []
        self.counters: Counter[str] = Counter()
        self.sent: list[Json] = []
        self.media: dict[str, tuple[str, bytes, float]] = {}  # path → media type, bytes, good until
        self.deliveries: list[Delivery] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.line = asyncio.Lock()
        self.closed_for = 0.0
        self.server: uvicorn.Server | None = None
        self.client = httpx.AsyncClient(trust_env=False, verify=TLS)

    # ---- what a vendor says

    def sign(self, delivery: Delivery, attempt: int) -> dict[str, str]:
        """Headers of a webhook's n-th sending, counted from 0."""
        raise NotImplementedError

    def render(self, events: list[Json]) -> bytes:
        """The body that carries these events."""
        [event] = events
        return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()

    def took(self, status: int) -> bool:
        """Whether the vendor is content with this answer."""
        return status == 200

    def gave_up(self) -> None:
        """The ladder of repeats is at its end."""

    # ---- clock and files

    def now(self) -> float:
        return time.time() + self.skew

    def put(self, path: str, media_type: str, content: bytes, life: float) -> str:
        """Keep a file under a path for `life` seconds; its address."""
        self.media[path] = (media_type, content, self.now() + life)
        return f"{self.told.media_base or self.base}/{path}"

    def file(self, path: str) -> Response:
        """A kept file, or 404 when there is none or its time is over."""
        media_type, content, until = self.media.get(path, ("", b"", 0.0))
        if self.now() >= until:
            return Response("URL signature expired", 404 if not until else 403)
        return Response(content, media_type=media_type)

    def note(self, **row: Any) -> Json:
        """Something we were given for somebody."""
        self.sent.append(row | {"at": self.now()})
        self.counters["sent"] += 1
        return row

    # ---- webhooks

    def push(self, name: str, event: Json, **extra: str) -> Delivery:
        """Send an event on its way, as the settings say."""
        told = self.told
        lost = name in told.drop or "*" in told.drop
        state = "dropped" if lost else "unsent" if not told.webhook_url else "held" if told.hold else "going"
        return self.launch(Delivery([name], [event], self.render([event]), state, extra=extra))

    def launch(self, delivery: Delivery) -> Delivery:
        self.deliveries.append(delivery)
        if delivery.state == "going":
            delivery.due = self.now() + self.told.delay
            delivery.state = "waiting" if self.told.delay else "queued" if self.ordered else "going"
            self.later(self.deliver(delivery))
        return delivery

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def deliver(self, delivery: Delivery) -> None:
        async with self.line if self.ordered else contextlib.nullcontext():
            for attempt in range(len(self.told.ladder) + 1):
                while self.now() < delivery.due:
                    delivery.state = "waiting"
                    await asyncio.sleep(min(0.02, max(0.0, delivery.due - self.now())))
                delivery.state = "going"
                if await self.knock(delivery, attempt):
                    for _ in range(self.told.repeat - 1):
                        await self.knock(delivery, attempt)
                    delivery.state = "delivered"
                    delivery.tried = True
                    return
                if attempt < len(self.told.ladder):
                    delivery.due = self.now() + self.told.ladder[attempt]
                    delivery.state = "waiting"
                delivery.tried = True
            delivery.state = "given up"
            self.gave_up()

    def forget(self) -> None:
        """Nothing that is on its way arrives."""
        for task in self.tasks:
            task.cancel()
        for each in self.deliveries:
            if each.state in ("going", "queued", "waiting", "held"):
                each.state = "dropped"

    async def knock(self, delivery: Delivery, attempt: int) -> bool:
        headers = {"Content-Type": "application/json", **self.sign(delivery, attempt), **delivery.extra}
        row: Json = {"at": self.now(), "headers": headers, "status": None, "error": ""}
        delivery.tries.append(row)
        self.counters["webhooks"] += 1
        try:
            answer = await self.client.post(
                self.told.webhook_url, content=delivery.body, headers=headers, timeout=self.told.budget
            )
        except httpx.HTTPError as error:
            row["error"] = type(error).__name__
            return False
        row["status"], row["answer"] = answer.status_code, answer.text[:2000]
        return self.took(answer.status_code)

    async def first_try(self, delivery: Delivery, asked: Json) -> Json:
        """What a test gets to know of a webhook it caused; with `"wait": false`, at once."""
        while (  # noqa: ASYNC110  # what stands in line behind a failure is not waited for
            asked.get("wait", True) and delivery.state in ("going", "queued") and not delivery.tried and self.busy()
        ):
            await asyncio.sleep(0.005)
        return delivery.shown()

    # ---- control

    async def control_settings(self, asked: Json) -> Json:
        for name, value in asked.items():
            if not hasattr(self.told, name):
                raise ValueError(f"no setting {name}")
            setattr(self.told, name, value)
        return asdict(self.told)

    async def control_clock(self, asked: Json) -> float:
        self.skew += float(asked.get("advance", 0))
        return self.now()

    async def control_fault(self, asked: Json) -> None:
        self.faults.append(Fault(**asked))

    async def control_heal(self, asked: Json) -> None:
        self.faults.clear()

    async def control_away(self, asked: Json) -> None:
        """Connections are refused from just after this answer, for so long."""
        assert self.server is not None
        self.closed_for = float(asked["seconds"])
        asyncio.get_running_loop().call_later(0.02, setattr, self.server, "should_exit", True)

    async def control_flush(self, asked: Json) -> list[Json]:
        """Send what was held, with `batch` in one webhook."""
        batch = bool(asked.get("batch"))
        if batch and not self.batches:
            raise ValueError("this vendor sends no batches")
        held = [each for each in self.deliveries if each.state == "held"]
        self.deliveries = [each for each in self.deliveries if each.state != "held"]
        order = asked.get("order", "same")
        if order == "reversed":
            held.reverse()
        if order == "shuffled":
            random.Random(asked.get("seed", 0)).shuffle(held)
        if batch and held:
            events = [event for each in held for event in each.events]
            held = [Delivery([name for each in held for name in each.names], events, self.render(events), "")]
        for each in held:
            each.state = "going"
            self.launch(each)
        return [await self.first_try(each, asked) for each in held]

    async def control_take(self, asked: Json) -> list[Json]:
        """Hand over what was held, signed, for a test that carries it to us itself: `body` and `headers` of each."""
        held = [each for each in self.deliveries if each.state == "held"]
        for each in held:
            each.state = "dropped"
        json_type = {"Content-Type": "application/json"}
        return [
            {"body": each.body.decode(), "headers": json_type | self.sign(each, 0) | each.extra, "names": each.names}
            for each in held
        ]

    async def control_event(self, asked: Json) -> Json:
        return await self.first_try(self.push(asked.get("name", "event"), asked["event"]), asked)

    async def control_settle(self, asked: Json) -> None:
        """Return when nothing is on its way: every webhook was taken, given up or waits for a later time."""
        while self.busy():  # noqa: ASYNC110  # the clock may be what is waited for
            await asyncio.sleep(0.01)

    def busy(self) -> bool:
        states = {each.state for each in self.deliveries}
        if any(each.state == "waiting" and each.due <= self.now() for each in self.deliveries):
            return True
        return "going" in states or ("queued" in states and "waiting" not in states)

    async def control_webhooks(self, asked: Json) -> list[Json]:
        return [each.shown() for each in self.deliveries]

    async def control_sent(self, asked: Json) -> list[Json]:
        return [each for each in self.sent if asked.get("to") in (None, each.get("to"))]

    async def control_requests(self, asked: Json) -> list[Json]:
        return [each for each in self.requests if re.search(asked.get("path", ""), each["path"])]

    async def control_counters(self, asked: Json) -> Json:
        return dict(self.counters)

    async def control_reset(self, asked: Json) -> None:
        """As if it had just been started."""
        base, server = self.base, self.server
        self.forget()
        await self.client.aclose()
        type(self).__init__(self)  # type: ignore[call-arg]  # every vendor brings its own settings
        self.base, self.server = base, server


def application(vendor: Vendor) -> FastAPI:
    """An application with the vendor's control."""
    app = FastAPI(openapi_url=None)

    @app.api_route("/_control/{name}", methods=["GET", "POST"])
    async def control(name: str, request: Request) -> Any:
        act = getattr(vendor, f"control_{name}", None)
        if act is None:
            raise HTTPException(404, f"no control {name}")
        try:
            return await act(json.loads(await request.body() or b"{}"))
        except (KeyError, TypeError, ValueError) as error:
            raise HTTPException(422, f"{type(error).__name__}: {error}") from error

    return app


def content_of(asked: Json, fallback: bytes = PIXEL) -> bytes:
    """Bytes of the file in a control request: `base64`, or `size` zeros, or a small picture."""
    if "size" in asked:
        return bytes(asked["size"])
    return base64.b64decode(asked["base64"]) if "base64" in asked else fallback


def digits(count: int) -> str:
    """A new number of so many digits that does not begin with 0."""
    return str(10 ** (count - 1) + uuid4().int % (9 * 10 ** (count - 1)))


class Gate:
    """In front of the vendor's own interface: notes every request and lets the faults happen."""

    def __init__(self, app: ASGIApp, vendor: Vendor) -> None:
        self.app, self.vendor = app, vendor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_control/"):
            await self.app(scope, receive, send)
            return
        body = bytearray()
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.note(scope, bytes(body))
        fault = await self.fault(scope["path"])
        if fault == "broken":
            await broken_off(send)
        elif isinstance(fault, Response):
            await fault(scope, receive, send)
        else:
            given = iter([{"type": "http.request", "body": bytes(body), "more_body": False}])
            await self.app(scope, replay(given), swallow if fault == "lost" else send)
            if fault == "lost":
                await broken_off(send)

    def note(self, scope: Scope, body: bytes) -> None:
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        binary = b"\0" in body or headers.get("content-type", "").startswith("multipart/")
        row = {"method": scope["method"], "path": scope["path"], "query": scope["query_string"].decode()}
        row |= {"headers": headers, "size": len(body), "at": self.vendor.now()}
        row["body"] = "" if binary else body.decode(errors="replace")[:KEPT]
        self.vendor.requests.append(row)
        self.vendor.counters["requests"] += 1

    async def fault(self, path: str) -> Response | str | None:
        """The first fault that ends the matter; slowness comes before any other."""
        for each in list(self.vendor.faults):
            if not re.search(each.path, path):
                continue
            if each.times is not None:
                each.times -= 1
                if each.times <= 0:
                    self.vendor.faults.remove(each)
            self.vendor.counters[f"fault {each.kind}"] += 1
            match each.kind:
                case "slow":
                    await asyncio.sleep(each.seconds)
                case "status":
                    return Response(each.body, each.status)
                case "garbage":
                    return Response("<html><body>upstream \ufffd</body></html>", 200, media_type="text/html")
                case _:
                    return each.kind
        return None


def replay(given: Any) -> Receive:
    async def receive() -> Message:
        following: Message = next(given, {"type": "http.disconnect"})
        return following

    return receive


async def swallow(message: Message) -> None:
    """Nobody hears it."""


async def broken_off(send: Send) -> None:
    """The beginning of an answer; the server closes the connection when the rest does not come."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})


async def _serve(vendor: Vendor, app: FastAPI, host: str, port: int) -> None:
    said = False
    while True:
        config = uvicorn.Config(
            Gate(app, vendor), host, port, log_level=60, lifespan="off", timeout_graceful_shutdown=1
        )
        vendor.server = uvicorn.Server(config)
        serving = asyncio.ensure_future(vendor.server.serve())
        while not vendor.server.started and not serving.done():  # noqa: ASYNC110  # uvicorn has no event for it
            await asyncio.sleep(0.01)
        if vendor.server.started:
            port = vendor.server.servers[0].sockets[0].getsockname()[1]
            vendor.base = f"http://{host}:{port}"
        if not said:
            print("ready", port, flush=True)
            said = True
        await serving
        if not vendor.closed_for:
            return
        await asyncio.sleep(vendor.closed_for)
        vendor.closed_for = 0.0


def serve(vendor: Vendor, app: FastAPI, host: str, port: int) -> None:
    """Say `ready <port>` (port 0: any free one) and serve until stopped."""

    async def run() -> None:
        await _serve(vendor, app, host, port)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())
