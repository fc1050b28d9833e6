"""The part of the stand-in for Twilio that has state: what it was told, messages, recordings, webhooks, faults."""

import asyncio
import base64
import hashlib
import hmac
import io
import random
import re
import time
import wave
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, urldefrag, urlencode
from uuid import uuid4

import httpx

STATUSES = ("queued", "sent", "delivered")
TLS = httpx.create_ssl_context()
BUDGET = 15.0  # seconds Twilio waits for an answer
SILENT_FRAME = bytes.fromhex("fffb9064") + bytes(413)  # one frame of MPEG-1 layer III, 26 ms


@dataclass
class Settings:
    """What a test sets: accounts, addresses of the application, how people and the network behave."""

    account: str = "AC" + "0" * 32
    token: str = "token"
    keys: dict[str, str] = field(default_factory=dict)  # API key SID → secret
    numbers: list[str] = field(default_factory=lambda: ["+842713891022"])
    sms_url: str = ""
    voice_url: str = ""
    voice_fallback_url: str = ""
    status_callback: str = ""  # of the number: told when a call is over
    opted_out: list[str] = field(default_factory=list)
    undelivered: dict[str, str] = field(default_factory=dict)  # number → error code of its delivery report
    landlines: list[str] = field(default_factory=list)
    per_second: float = 0  # messages taken; 0: any number
    delay: float = 0  # seconds before a REST answer
    down: bool = False  # REST answers 503 and takes nothing
    fail_after: int = 0  # so many creates are taken and answered with 500
    hang_after: int = 0  # so many creates are taken and the connection is broken off
    refuse: list[int] = field(default_factory=list)  # error codes for the next creates, in order
    repeat: int = 1  # times each webhook is sent
    hold: bool = False  # keep messages to us and reports back until they are flushed or taken
    drop: list[str] = field(default_factory=list)  # reports that get lost: message, call, recording, or a status
    wrong_signature: bool = False
    absent_recordings: bool = False  # recordings turn out empty


class Carrier:
    """Everything it knows."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.messages: dict[str, dict[str, Any]] = {}
        self.calls: dict[str, dict[str, Any]] = {}
        self.recordings: dict[str, dict[str, Any]] = {}
        self.media: dict[str, tuple[str, bytes]] = {}
        self.webhooks: list[dict[str, Any]] = []
        self.held: list[tuple[str, str, dict[str, str]]] = []
        self.answers_differ: list[str] = []
        self.taken_at: list[float] = []
        self.tasks: set[asyncio.Task[Any]] = set()
        self.base = ""
        self.client = httpx.AsyncClient(timeout=BUDGET, trust_env=False, verify=TLS)

    def later(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def resource(self, path: str) -> str:
        return f"{self.base}/2010-04-01/Accounts/{self.settings.account}/{path}"

    # ---- webhooks

    def signature(self, url: str, params: dict[str, str]) -> str:
        text = url + "".join(name + params[name] for name in sorted(params))
        secret = "another" if self.settings.wrong_signature else self.settings.token
        return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()

    async def post(self, url: str, params: dict[str, str], kind: str) -> httpx.Response | None:
        """One webhook, as often as told, each time the same and with the same token; the first answer counts."""
        plain, fragment = urldefrag(url)
        retries = int(parse_qs(fragment).get("rc", ["1"])[0])
        token, first = str(uuid4()), None
        for number in range(self.settings.repeat):
            answer = await self._try(plain, params, kind, token, retries)
            if number and answer is not None and first is not None and answer.text != first.text and kind == "twiml":
                self.answers_differ.append(plain)
            first = first or answer
        return first

    async def _try(
        self, url: str, params: dict[str, str], kind: str, token: str, retries: int
    ) -> httpx.Response | None:
        headers = {
            "X-Twilio-Signature": self.signature(url, params),
            "I-Twilio-Idempotency-Token": token,
            "User-Agent": "TwilioProxy/1.1",
        }
        row: dict[str, Any] = {
            "kind": kind,
            "url": url,
            "params": params,
            "status": None,
            "at": time.time(),
            "tries": 0,
        }
        self.webhooks.append(row)
        for _ in range(retries + 1):
            row["tries"] += 1
            try:
                answer = await self.client.post(url, data=params, headers=headers)
            except httpx.ConnectError:
                continue
            except httpx.HTTPError:
                return None
            row["status"], row["answer"] = answer.status_code, answer.text[:2000]
            return answer
        return None

    async def report(self, url: str, params: dict[str, str], kind: str) -> None:
        """A report nobody waits for: lost, kept back or sent, as told."""
        words = {kind, params.get("MessageStatus"), params.get("CallStatus"), params.get("RecordingStatus")}
        if not url or words & set(self.settings.drop):
            return
        if self.settings.hold:
            self.held.append((url, kind, params))
        else:
            await self.post(url, params, kind)

    async def flush(self, order: str, times: int, seed: int) -> int:
        """Send what was kept back: as it came, backwards or shuffled, each so many times."""
        waiting, self.held = self.held * times, []
        if order == "backwards":
            waiting.reverse()
        elif order == "shuffled":
            random.Random(seed).shuffle(waiting)
        for url, kind, params in waiting:
            await self.post(url, params, kind)
        return len(waiting)

    def hand_over(self) -> list[dict[str, Any]]:
        """What was kept back, signed, for a test that carries it to us itself."""
        waiting, self.held = self.held, []
        return [
            {
                "url": url,
                "kind": kind,
                "body": urlencode(params),
                "headers": {
                    "Content-Type": "application/x-www-form-urlencoded",
                    "X-Twilio-Signature": self.signature(url, params),
                },
            }
            for url, kind, params in waiting
        ]

    # ---- messages

    def refusal(self, form: dict[str, str]) -> tuple[int, int, str] | None:
        """(HTTP status, code, words) where Twilio would not take this message."""
        to, told = form.get("To", ""), self.settings
        if told.refuse:
            code = told.refuse.pop(0)
            return {20003: 401, 20429: 429}.get(code, 400), code, f"refused for {to}"
        now = time.monotonic()
        self.taken_at = [at for at in self.taken_at if now - at < 1]
        if told.per_second and len(self.taken_at) >= told.per_second:
            return 429, 20429, "Too Many Requests"
        if not to:
            return 400, 21604, "A 'To' phone number is required."
        if not re.fullmatch(r"\+[1-9][0-9]{7,14}", to):
            return 400, 21211, f"The 'To' number {to} is not a valid phone number."
        if form.get("From") not in told.numbers:
            return 400, 21606, f"The From phone number {form.get('From')} is not a valid one."
        if not form.get("Body"):
            return 400, 21602, "Message body is required."
        if len(form["Body"]) > 1600:
            return 400, 21617, "The concatenated message body exceeds the 1600 character limit"
        if to in told.opted_out:
            return 400, 21610, f"Attempt to send to unsubscribed recipient {to}"
        if to in told.landlines:
            return 400, 21614, f"'To' number {to} is not a valid mobile number"
        return None

    def take(self, form: dict[str, str]) -> dict[str, Any]:
        sid = "SM" + uuid4().hex
        self.taken_at.append(time.monotonic())
        made = {
            "sid": sid,
            "account_sid": self.settings.account,
            "api_version": "2010-04-01",
            "to": form["To"],
            "from": form["From"],
            "body": form["Body"],
            "status": "queued",
            "direction": "outbound-api",
            "date_created": formatdate(),
            "date_updated": formatdate(),
            "date_sent": None,
            "error_code": None,
            "error_message": None,
            "num_media": "0",
            "num_segments": "1",
            "price": None,
            "price_unit": "USD",
            "messaging_service_sid": None,
            "uri": f"/2010-04-01/Accounts/{self.settings.account}/Messages/{sid}.json",
            "subresource_uris": {"media": f"/2010-04-01/Accounts/{self.settings.account}/Messages/{sid}/Media.json"},
        }
        self.messages[sid] = made
        self.later(self._carry(made, form.get("StatusCallback", "")))
        return made

    async def _carry(self, message: dict[str, Any], url: str) -> None:
        code = self.settings.undelivered.get(message["to"])
        for status in (*STATUSES[:-1], "undelivered" if code else "delivered"):
            message["status"] = status
            if status == "undelivered":
                message["error_code"] = int(code or 0)
            params = {
                "SmsSid": message["sid"],
                "SmsStatus": status,
                "MessageStatus": status,
                "To": message["to"],
                "MessageSid": message["sid"],
                "AccountSid": self.settings.account,
                "From": message["from"],
                "ApiVersion": "2010-04-01",
            }
            await self.report(
                url, params | ({"ErrorCode": code} if code and status == "undelivered" else {}), "message"
            )

    async def texted(self, asked: dict[str, Any]) -> httpx.Response | None:
        """Somebody sends us a message, perhaps with pictures."""
        files = asked.get("media", [])
        sid = ("MM" if files else "SM") + uuid4().hex
        body = asked.get("text", "")
        params = {
            "ToCountry": "VN", "FromCountry": "VN", "ToCity": "", "FromCity": "", "ToState": "", "FromState": "",
            "ToZip": "", "FromZip": "", "SmsMessageSid": sid, "SmsSid": sid, "MessageSid": sid,
            "SmsStatus": "received", "AccountSid": self.settings.account, "ApiVersion": "2010-04-01",
            "From": asked["from"], "To": asked.get("to", self.settings.numbers[0]), "Body": body,
            "NumMedia": str(len(files)), "NumSegments": "1",
        }  # fmt: skip
        for number, file in enumerate(files):
            media = "ME" + uuid4().hex
            self.media[media] = (file["type"], base64.b64decode(file["base64"]))
            params[f"MediaUrl{number}"] = self.resource(f"Messages/{sid}/Media/{media}")
            params[f"MediaContentType{number}"] = file["type"]
        word = body.strip().upper()
        if word in ("STOP", "START", "HELP"):
            params["OptOutType"] = word
            self.settings.opted_out = [each for each in self.settings.opted_out if each != asked["from"]]
            self.settings.opted_out += [asked["from"]] if word == "STOP" else []
        if self.settings.hold:
            self.held.append((self.settings.sms_url, "sms", params))
            return None
        return await self.post(self.settings.sms_url, params, "sms")

    # ---- recordings

    def recorded(self, call: str, seconds: int) -> str:
        sid = "RE" + uuid4().hex
        made = io.BytesIO()
        with wave.open(made, "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(8000)
            sound.writeframes(random.Random(sid).randbytes(16000) * seconds)
        mp3 = SILENT_FRAME * (seconds * 1000 // 26) + sid.encode()
        self.recordings[sid] = {"call": call, "seconds": seconds, "wav": made.getvalue(), "mp3": mp3, "deleted": False}
        return sid
