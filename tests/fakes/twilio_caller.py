"""The part of the stand-in for Twilio that makes calls: a person with a script, and the application's TwiML."""

from email.utils import formatdate
from typing import Any
from urllib.parse import urljoin
from uuid import uuid4
from xml.etree import ElementTree

from tests.fakes.twilio_carrier import Carrier

# Verbs of the first slice → their attributes; what may stand in a Gather.
VERBS = {
    "Say": {"voice", "language", "loop"},
    "Play": {"loop", "digits"},
    "Pause": {"length"},
    "Gather": {
        "input", "action", "method", "timeout", "speechTimeout", "finishOnKey", "numDigits", "language", "hints",
        "actionOnEmptyResult", "bargeIn",
    },
    "Record": {
        "action", "method", "timeout", "finishOnKey", "maxLength", "playBeep", "trim", "recordingStatusCallback",
        "recordingStatusCallbackMethod", "recordingStatusCallbackEvent", "transcribe", "transcribeCallback",
    },
    "Redirect": {"method"},
    "Hangup": set(),
    "Reject": {"reason"},
}  # fmt: skip
NESTED = ("Say", "Play", "Pause")
MOST_REQUESTS = 200


class HungUp(Exception):
    """The caller is gone."""


class Broken(Exception):
    """The application gave no TwiML that can be used; the code is Twilio's."""

    def __init__(self, code: int, url: str) -> None:
        super().__init__(f"{code} {url}")
        self.code, self.url = code, url


class Caller:
    """One call: a person with a script on one side, the application's TwiML on the other.

    The script is a list of what the person does, one for each time something is asked: `{"keys": "1#"}`,
    `{"silence": true}`, `{"speak": 12}` (seconds; also with `"hang_up": true` for ending a message so),
    `{"hang_up": true}`. At its end the person hangs up.
    """

    def __init__(self, carrier: Carrier, asked: dict[str, Any]) -> None:
        self.carrier, self.script = carrier, list(asked.get("script", []))
        told = carrier.settings
        self.sid = asked.get("sid") or "CA" + uuid4().hex
        self.direction = asked.get("direction", "inbound")
        self.base = {
            "AccountSid": told.account,
            "ApiVersion": "2010-04-01",
            "CallSid": self.sid,
            "Direction": self.direction,
            "From": asked.get("from", "+266696687"),
            "To": asked.get("to", told.numbers[0]),
        }
        self.base |= {"Caller": self.base["From"], "Called": self.base["To"]}
        self.callback = asked.get("status_callback", told.status_callback)
        self.events = set(asked.get("status_events", ["completed"]))
        self.timeline: list[dict[str, Any]] = []
        self.sequence = 0
        self.status = "ringing"
        self.requests = 0
        carrier.calls[self.sid] = self.row = {"sid": self.sid, "from": self.base["From"], "to": self.base["To"]}
        self.row |= {"status": "ringing", "direction": self.direction, "timeline": self.timeline, "error": None}

    def note(self, what: str, **more: Any) -> None:
        self.timeline.append({"what": what, **more})

    async def become(self, status: str, event: str) -> None:
        self.status = self.row["status"] = status
        if event in self.events:
            params = self.base | {"CallStatus": status, "CallbackSource": "call-progress-events"}
            params |= {"SequenceNumber": str(self.sequence), "Timestamp": formatdate(usegmt=True)}
            params |= {"CallDuration": "21", "Duration": "1"} if status == "completed" else {}
            await self.carrier.report(self.callback, params, "call")
        self.sequence += 1

    async def run(self, url: str) -> None:
        await self.become("ringing", "ringing")
        try:
            if self.script and self.script[0].get("hang_up") == "at once":
                await self.ask(url, {})
                raise HungUp
            document = await self.ask(url, {})
            await self.become("in-progress", "answered")
            while True:
                following = await self.play(document, url)
                if following is None:
                    break
                url, params = following
                document = await self.ask(url, params)
        except HungUp:
            self.note("hung up")
        except Broken as broken:
            self.row["error"] = broken.code
            self.note("application error", code=broken.code, url=broken.url)
        await self.become("completed", "completed")

    async def ask(self, url: str, params: dict[str, str]) -> ElementTree.Element:
        """TwiML from there, else from the fallback address, else the caller hears that something is wrong."""
        self.requests += 1
        if self.requests > MOST_REQUESTS:
            raise Broken(12100, "the call never ends")
        sent = self.base | {"CallStatus": self.status} | params
        try:
            return await self._document(url, sent)
        except Broken as broken:
            fallback = self.carrier.settings.voice_fallback_url
            if not fallback or url == fallback:
                raise
            self.note("fallback", code=broken.code)
            return await self._document(fallback, sent | {"ErrorCode": str(broken.code), "ErrorUrl": url})

    async def _document(self, url: str, params: dict[str, str]) -> ElementTree.Element:
        answer = await self.carrier.post(url, params, "twiml")
        if answer is None:
            raise Broken(11205, url)
        if answer.status_code >= 400:
            raise Broken(11200, url)
        if len(answer.content) > 65536:
            raise Broken(11750, url)
        if answer.headers.get("content-type", "").partition(";")[0] not in ("text/xml", "application/xml"):
            raise Broken(12300, url)
        try:
            root = ElementTree.fromstring(answer.content)
        except ElementTree.ParseError:
            raise Broken(12100, url) from None
        for verb in root:
            odd = set(verb.attrib) - VERBS.get(verb.tag, set())
            inside = {each.tag for each in verb} - (set(NESTED) if verb.tag == "Gather" else set())
            if root.tag != "Response" or verb.tag not in VERBS or odd or inside:
                raise Broken(12200, f"{url} {verb.tag} {sorted(odd)} {sorted(inside)}")
        return root

    async def play(self, document: ElementTree.Element, url: str) -> tuple[str, dict[str, str]] | None:
        """Walk one document: the next address and what is sent there, None when there is nothing more to do."""
        for verb in document:
            action = urljoin(url, verb.get("action") or url)
            if verb.tag in NESTED:
                await self.hear(verb)
            elif verb.tag == "Redirect":
                self.note("redirect")
                return urljoin(url, (verb.text or "").strip()), {}
            elif verb.tag in ("Hangup", "Reject"):
                self.note("told goodbye")
                return None
            elif verb.tag == "Gather":
                keys = await self.gather(verb)
                if keys or verb.get("actionOnEmptyResult") == "true":
                    finish = verb.get("finishOnKey", "#")
                    ended = finish if keys.endswith(finish) else ""
                    given = keys.removesuffix(finish) if finish else keys
                    most = int(verb.get("numDigits") or len(given) or 1)
                    return action, {"Digits": given[:most], "FinishedOnKey": ended, "msg": "Gather End"}
            elif verb.tag == "Record":
                said = await self.record(verb, action)
                if said is not None:
                    return action, said
        self.note("end of document")
        return None

    async def hear(self, verb: ElementTree.Element) -> None:
        self.note(verb.tag.lower(), text=(verb.text or "").strip(), language=verb.get("language"))

    def does(self) -> dict[str, Any]:
        """What the person does next."""
        done = self.script.pop(0) if self.script else {"hang_up": True}
        if done.get("hang_up") and "speak" not in done:
            raise HungUp
        return dict(done)

    async def gather(self, verb: ElementTree.Element) -> str:
        for inner in verb:
            await self.hear(inner)
        keys = str(self.does().get("keys", ""))
        self.note("keys", keys=keys)
        return keys

    async def record(self, verb: ElementTree.Element, action: str) -> dict[str, str] | None:
        """The person speaks: where that goes, and later, whether or not the call goes on, that it is ready."""
        self.note("beep")
        done = self.does()
        seconds = min(int(done.get("speak", 0)), int(verb.get("maxLength", 3600)))
        if not seconds:
            return None
        sid = self.carrier.recorded(self.sid, seconds)
        absent = self.carrier.settings.absent_recordings
        address = self.carrier.resource(f"Recordings/{sid}")
        self.note("recorded", sid=sid, seconds=seconds)
        ready = {
            "AccountSid": self.base["AccountSid"],
            "CallSid": self.sid,
            "RecordingSid": sid,
            "RecordingUrl": "" if absent else address,
            "RecordingStatus": "absent" if absent else "completed",
            "RecordingDuration": "" if absent else str(seconds),
            "RecordingChannels": "1",
            "RecordingSource": "RecordVerb",
            "RecordingStartTime": formatdate(usegmt=True),
            "ErrorCode": "16102" if absent else "0",
        }
        wanted = verb.get("recordingStatusCallbackEvent", "completed").split()
        if ready["RecordingStatus"] in wanted:
            url = urljoin(action, verb.get("recordingStatusCallback") or "")
            self.carrier.later(
                self.carrier.report(url if verb.get("recordingStatusCallback") else "", ready, "recording")
            )
        said = {"RecordingSid": sid, "RecordingUrl": address, "RecordingDuration": str(seconds)}
        if done.get("hang_up"):
            self.status = "completed"
            await self.carrier.post(action, self.base | {"CallStatus": "completed", "Digits": "hangup"} | said, "twiml")
            raise HungUp
        return said | {"Digits": str(done.get("keys", "#"))}
