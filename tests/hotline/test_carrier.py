"""Our adapters and the stand-in for Twilio, over real HTTP: what one signs the other verifies, what one says the other
walks. The stand-in shares no code with us; the vendor's published signature is what both are held to."""

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from channels.adapter import BadSignature, Failure, Hook, SendDoubtful, SendFailed
from channels.message import Address, FileRef, InboundMessage, OutboundMessage
from channels.twilio import signature, voice
from channels.twilio.sms import ANSWER, Sms
from core.ids import uuid7
from hotline.menu import shipped_menu
from hotline.states import CallState, Standing, advance
from hotline.steps import Found, Look, NotFound, Outcome, event_of, further, state_of, step
from hotline.twiml import twiml
from tests.fakes.twilio_carrier import Carrier
from tests.running import free_port, until

FAKE = Path(__file__).parents[1] / "fakes" / "twilio.py"
ACCOUNT, TOKEN, NUMBER = "AC" + "0" * 32, "token", "+842713891022"
CODE = "260482134"


class Application:
    """What the web process will do with Twilio's requests, in a few lines and without a database."""

    def __init__(self, carrier_url: str) -> None:
        self.events: list[InboundMessage] = []
        self.refused = 0
        self.standings: dict[str, Standing] = {}
        self.outcomes: dict[str, Outcome] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, text = outer.answer(self.path, dict(self.headers), body)
                self.send_response(status)
                self.send_header("Content-Type", "text/xml")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.sms = Sms(ACCOUNT, TOKEN, NUMBER, public_url=self.url, api_url=carrier_url)
        self.broken = False
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        parts = urlsplit(path)
        hook = Hook(body, headers, dict(parse_qsl(parts.query, keep_blank_values=True)), self.url + path)
        try:
            signature.verify(hook, TOKEN)
        except BadSignature:
            self.refused += 1
            return 403, ""
        if "/sms" in parts.path:
            self.events += self.sms.parse(hook)
            return 200, ANSWER
        [message] = voice.parse(hook, NUMBER)
        self.events.append(message)
        if self.broken and parts.path.endswith("/voice"):
            return 500, ""
        self.follow(message)
        if parts.path.endswith("/events"):
            return 200, ANSWER
        return 200, self.say(message, hook)

    def follow(self, message: InboundMessage) -> None:
        call = message.thread["call_sid"]
        if message.status:
            seq = message.thread.get("sequence")
            self.standings[call] = advance(self.standings.get(call), CallState(message.status), seq)

    def say(self, message: InboundMessage, hook: Hook) -> str:
        menu, call = shipped_menu(), message.thread["call_sid"]
        event = event_of(message)
        assert event is not None
        state, acts = step(menu, state_of(menu, message.thread.get("state", "")), event, True)
        if isinstance(acts[0], Look):
            found = Found(CODE, "in_progress") if acts[0].digits == CODE else NotFound()
            state, acts = step(menu, state, found, True)
        self.outcomes[call] = further(self.outcomes.get(call, ""), state.outcome)
        to = f"{self.url}/webhooks/twilio/voice/step?{urlencode({'state': state.token()})}"
        return twiml(acts, to=to, recordings=f"{self.url}/webhooks/twilio/events")


class Fake:
    """The process, and its control."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = httpx.Client(base_url=url, timeout=30)

    def tell(self, path: str, **members: Any) -> Any:
        answer = self.client.post(f"/_control/{path}", json=members)
        answer.raise_for_status()
        return answer.json()

    def ledger(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get("/_control/ledger").json()
        return found

    def call(self, *script: dict[str, Any], caller: str = "+84912345678", **more: Any) -> dict[str, Any]:
        made: dict[str, Any] = self.tell("call", **{"from": caller}, script=list(script), **more)
        return made


@pytest.fixture(scope="module")
def process() -> Iterator[Fake]:
    port = free_port()
    with subprocess.Popen([sys.executable, FAKE, "--port", str(port), "--control"]) as running:
        fake = Fake(f"http://127.0.0.1:{port}")

        def up() -> bool:
            try:
                return fake.client.get("/_control/ledger").status_code == 200
            except httpx.ConnectError:
                return False

        until(up, "the stand-in for Twilio listens")
        yield fake
        fake.client.close()
        running.terminate()


@pytest.fixture
def app(process: Fake) -> Iterator[Application]:
    application = Application(process.url)
    process.tell("reset")
    process.tell(
        "settings",
        sms_url=f"{application.url}/webhooks/twilio/sms",
        voice_url=f"{application.url}/webhooks/twilio/voice",
        status_callback=f"{application.url}/webhooks/twilio/events",
    )
    yield application
    application.server.shutdown()
    application.server.server_close()


def a_message(to: str = "+84912345678", text: str = "Phản ánh đã được tiếp nhận.") -> OutboundMessage:
    return OutboundMessage(uuid7(datetime.now(UTC)), "sms", Address("phone", to), text, "receipt")


def said(call: dict[str, Any]) -> list[str]:
    """What the caller heard and did, the first words of it."""
    return [row["text"].partition(".")[0] if row["what"] == "say" else row["what"] for row in call["timeline"]]


def test_the_stand_in_signs_as_the_vendor_publishes() -> None:
    carrier = Carrier()
    carrier.settings.token = "12345"
    params = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    assert carrier.signature("https://mycompany.com/myapp.php?foo=1&bar=2", params) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


# ---- messages


async def test_a_message_leaves_and_its_reports_name_it(app: Application, process: Fake) -> None:
    message = a_message()
    sid = await app.sms.send(message)
    process.tell("settle")
    assert [event.status for event in app.events] == ["queued", "sent", "delivered"]
    assert {(event.refs, event.thread["message"]) for event in app.events} == {((sid,), str(message.id))}
    assert process.ledger()["messages"][0]["body"] == message.text


async def test_reports_that_come_backwards_and_twice_are_the_same_events(app: Application, process: Fake) -> None:
    process.tell("settings", hold=True)
    await app.sms.send(a_message())
    process.tell("settle")
    assert process.tell("flush", order="backwards", times=2) == 6
    assert len({event.external_id for event in app.events}) == 3


REFUSED: list[tuple[dict[str, Any], str, Failure]] = [
    ({"token": "another"}, "+84912345678", Failure.REAUTHORISE),
    ({"numbers": ["+84900000000"]}, "+84912345678", Failure.REAUTHORISE),
    ({"per_second": 0.5, "refuse": [20429]}, "+84912345678", Failure.RATE_LIMITED),
    ({"opted_out": ["+84912345678"]}, "+84912345678", Failure.FINAL),
    ({"landlines": ["+842713891023"]}, "+842713891023", Failure.FINAL),
    ({}, "191", Failure.FINAL),
]


@pytest.mark.parametrize(("told", "to", "failure"), REFUSED, ids=lambda value: str(value)[:24])
async def test_a_refusal_is_told_for_what_it_is(
    app: Application, process: Fake, told: dict[str, Any], to: str, failure: Failure
) -> None:
    process.tell("settings", **told)
    with pytest.raises(SendFailed) as refused:
        await app.sms.send(a_message(to))
    assert refused.value.failure == failure
    assert process.ledger()["messages"] == []


@pytest.mark.parametrize("fault", ["fail_after", "hang_after"])
async def test_a_message_taken_without_an_answer_is_doubtful_until_its_report(
    app: Application, process: Fake, fault: str
) -> None:
    process.tell("settings", **{fault: 1})
    message = a_message()
    with pytest.raises(SendDoubtful):
        await app.sms.send(message)
    process.tell("settle")
    assert {event.thread["message"] for event in app.events} == {str(message.id)}


async def test_a_failed_delivery_says_why(app: Application, process: Fake) -> None:
    process.tell("settings", undelivered={"+84912345678": "30003"})
    await app.sms.send(a_message())
    process.tell("settle")
    assert (app.events[-1].status, app.events[-1].error) == (
        "failed",
        "30003: the phone is switched off or out of reach",
    )


async def test_a_picture_comes_with_its_bytes(app: Application, process: Fake) -> None:
    answer = process.tell(
        "sms", **{"from": "+84912345678"}, text="Ổ gà", media=[{"type": "image/jpeg", "base64": "AAEC"}]
    )
    assert (answer["status"], answer["text"]) == (200, ANSWER)
    [event] = app.events
    [file] = event.attachments
    assert (event.text, file.media_type) == ("Ổ gà", "image/jpeg")
    pieces = app.sms.fetch(file)
    assert b"".join([piece async for piece in pieces]) == b"\x00\x01\x02"


async def test_stop_is_heard_by_both_sides(app: Application, process: Fake) -> None:
    process.tell("sms", **{"from": "+84912345678"}, text="STOP")
    assert app.events[0].kind == "unfollow"
    with pytest.raises(SendFailed, match="STOP"):
        await app.sms.send(a_message())


def test_what_is_signed_with_another_token_is_refused(app: Application, process: Fake) -> None:
    process.tell("settings", wrong_signature=True)
    assert process.tell("sms", **{"from": "+84912345678"}, text="x")["status"] == 403
    assert (app.refused, app.events) == (1, [])


async def test_the_check_against_a_live_account(app: Application, process: Fake) -> None:
    await app.sms.check()
    process.tell("settings", numbers=["+84900000000"])
    with pytest.raises(SendFailed, match="TWILIO_NUMBER"):
        await app.sms.check()


# ---- calls


async def test_a_caller_leaves_a_report_and_it_can_be_taken_and_deleted(app: Application, process: Fake) -> None:
    call = process.call({"keys": "1"}, {"speak": 3})
    assert said(call)[-4:] == ["beep", "recorded", "Tổng đài đã ghi nhận phản ánh của anh chị", "told goodbye"]
    assert (app.outcomes[call["sid"]], app.standings[call["sid"]].state) == ("voicemail", "completed")
    [ready] = [event for event in app.events if event.thread["event"] == "recording"]
    recording = ready.thread["recording"]
    assert (recording["status"], recording["duration"]) == ("completed", 3)
    for kind in ("wav", "mp3"):
        pieces = app.sms.fetch(FileRef(f"x.{kind}", "audio/x", url=f"{recording['url']}.{kind}"))
        content = b"".join([piece async for piece in pieces])
        assert hashlib.sha256(content).hexdigest() == process.ledger()["recordings"][recording["sid"]]["sha256"][kind]
    await app.sms.line.remove(recording["url"])
    await app.sms.line.remove(recording["url"])  # told twice
    assert process.ledger()["recordings"][recording["sid"]]["deleted"]
    with pytest.raises(SendFailed) as gone:
        await anext(app.sms.fetch(FileRef("x.wav", "audio/x", url=recording["url"])))
    assert gone.value.failure == Failure.FINAL


def test_a_message_ended_by_hanging_up_is_kept_too(app: Application, process: Fake) -> None:
    call = process.call({"keys": "1"}, {"speak": 5, "hang_up": True})
    assert (call["timeline"][-1]["what"], app.outcomes[call["sid"]]) == ("hung up", "voicemail")


def test_a_caller_hears_how_a_case_stands(app: Application, process: Fake) -> None:
    call = process.call({"keys": "2"}, {"keys": "123#"}, {"keys": f"{CODE}#"})
    assert "Mã phản ánh không đúng" in said(call)
    assert "Đơn vị đang xử lý phản ánh" in said(call)
    assert app.outcomes[call["sid"]] == "served"


STEPS: dict[str, tuple[dict[str, Any], ...]] = {
    "at once": ({"hang_up": "at once"},),
    "at the menu": ({"hang_up": True},),
    "after a wrong key": ({"keys": "5"}, {"hang_up": True}),
    "after silence": ({"silence": True}, {"hang_up": True}),
    "before the tone": ({"keys": "1"}, {"hang_up": True}),
    "at the code": ({"keys": "2"}, {"hang_up": True}),
    "in another language": ({"keys": "9"}, {"hang_up": True}),
    "after saying nothing": ({"keys": "1"}, {"silence": True}, {"hang_up": True}),
}


@pytest.mark.parametrize("script", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("repeat", [1, 3])
def test_a_caller_who_hangs_up_anywhere_is_told_of_once(
    app: Application, process: Fake, script: tuple[dict[str, Any], ...], repeat: int
) -> None:
    process.tell("settings", repeat=repeat)
    call = process.call(*script)
    assert (app.standings[call["sid"]].state, call["error"]) == ("completed", None)
    assert app.outcomes[call["sid"]] == ""  # nothing came of it, so the end makes it a missed call
    ends = {event.external_id for event in app.events if event.status == "completed"}
    assert len(ends) == 1
    assert process.ledger()["answers_differ"] == []


def test_silence_to_the_end_is_let_go(app: Application, process: Fake) -> None:
    call = process.call(*({"silence": True},) * 9)
    assert said(call)[-2:] == ["Cảm ơn anh chị đã gọi 1022", "told goodbye"]


@pytest.mark.parametrize("seed", range(3))
def test_the_same_reports_shuffled_and_repeated_end_alike(app: Application, process: Fake, seed: int) -> None:
    process.tell("settings", hold=True)
    call = process.call({"keys": "1"}, {"speak": 3}, status_events=["ringing", "answered", "completed"])
    process.tell("flush", order="shuffled", times=3, seed=seed)
    assert app.standings[call["sid"]] == Standing(CallState.COMPLETED, 2)
    ids = [event.external_id for event in app.events]
    assert (len(ids), len(set(ids))) == (3 + 4 * 3, 3 + 4)


def test_reports_that_get_lost_are_missed_and_nothing_else(app: Application, process: Fake) -> None:
    process.tell("settings", drop=["recording", "completed"])
    call = process.call({"keys": "1"}, {"speak": 3})
    assert app.outcomes[call["sid"]] == "voicemail"
    assert app.standings[call["sid"]].state == "in-progress"


def test_an_empty_recording_is_told_of(app: Application, process: Fake) -> None:
    process.tell("settings", absent_recordings=True)
    process.call({"keys": "1"}, {"speak": 3})
    [ready] = [event for event in app.events if event.thread["event"] == "recording"]
    assert (ready.thread["recording"]["status"], ready.error) == ("absent", "16102")


def test_when_the_application_fails_the_fallback_answers(app: Application, process: Fake) -> None:
    app.broken = True
    assert process.call({"keys": "1"})["error"] == 11200
    process.tell("settings", voice_fallback_url=f"{app.url}/webhooks/twilio/voice/fallback")
    call = process.call({"keys": "1"}, {"speak": 3})
    assert (call["error"], app.outcomes[call["sid"]]) == (None, "voicemail")


def test_who_withholds_the_number_is_anonymous(app: Application, process: Fake) -> None:
    call = process.call({"keys": "0"}, {"hang_up": True}, caller="+266696687")
    assert app.events[0].sender == Address("anonymous", call["sid"])
    assert any("không hiển thị" in row.get("text", "") for row in call["timeline"])
