"""What Twilio tells us about calls, in normal form: each request for instructions and each report. Pure.

Every event of a call is late, repeated and out of order as it likes; `hotline/` ranks them. `thread` holds what it
needs: `event` (which of the requests below it was), `call_sid`, `parent_call_sid`, `digits`, `recording`, and `state`,
what we wrote into the address that was asked.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from channels.adapter import Hook
from channels.message import InboundMessage
from channels.reading import clean, hashed, kept, unread, web_address
from channels.twilio.form import Fields, line, person, read

CHANNEL: Final = "voice"

STATUSES: Final = frozenset(
    {
        "queued", "initiated", "ringing", "in-progress",
        "completed", "busy", "failed", "no-answer", "canceled",
    }
)  # fmt: skip

# Events that say how long something was or how it ended, none of which changes what is done for the caller.
NO_NEWS: Final = {
    "conference": "conferences are not used",
    "transcription": "transcriptions are not used",
    "machine": "nobody asks whether a machine answered",
    "waiting": "queues at Twilio are not used",
}


def parse(hook: Hook, account: str = "") -> list[InboundMessage]:
    """One event, whatever the bytes; `account` is the line called where the form does not say."""
    fields, raw = read(hook)
    event = next((name for name, holds in _EVENTS if holds(fields)), None)
    if event is None:
        if fields.get("MessageSid", "SmsSid"):
            return [unread(CHANNEL, account, kept(raw), "an event of a message, not of a call")]
        return [unread(CHANNEL, account, kept(raw), "names no call")]
    status = _status(fields)
    odd = status is not None and status not in STATUSES
    # A leg that we make has the person at its other end, unless that is an agent's softphone.
    outward = fields.get("Direction").lower().startswith("outbound") and not _is_softphone(fields.get("To"))
    theirs, ours = ("To", "From") if outward else ("From", "To")
    other = {"From": "Caller", "To": "Called"}
    given = fields.raw(theirs) or fields.raw(other[theirs])
    call = fields.get("CallSid")
    # A report on a recording names no caller: that is somebody unknown only until it meets its call.
    named = bool(given) or event in ("incoming", "step")
    name = clean(fields.raw("CallerName")) if theirs == "From" else None
    return [
        InboundMessage(
            CHANNEL,
            (not _is_softphone(fields.get(ours)) and line(fields.raw(ours) or fields.raw(other[ours]))) or account,
            _external_id(event, fields),
            "call",
            person(given, call or _external_id(event, fields), name) if named else None,
            status=None if odd else status,
            error=_error(fields),
            thread=_thread(event, fields),
            sent_at=_moment(fields.get("Timestamp", "RecordingStartTime")),
            ignore_reason=f"unknown event CallStatus {status[:60]}" if odd and status else NO_NEWS.get(event),
            raw=raw,
        )
    ]


def _asked(fields: Fields) -> bool:
    return any(name in fields for name in ("Digits", "SpeechResult", "UnstableSpeechResult")) or "Gather" in fields.get(
        "msg"
    )


def _reported(fields: Fields) -> bool:
    told = any(name in fields for name in ("CallbackSource", "SequenceNumber", "CallDuration", "Duration"))
    return told or (_status(fields) not in (None, "ringing", "queued", "in-progress"))


# In this order: the first that holds names the event.
_EVENTS: Final[tuple[tuple[str, Callable[[Fields], bool]], ...]] = (
    ("transcription", lambda fields: "TranscriptionSid" in fields or "TranscriptionStatus" in fields),
    ("conference", lambda fields: bool(fields.get("ConferenceSid"))),
    ("recording", lambda fields: bool(fields.get("RecordingStatus")) and bool(fields.get("RecordingSid"))),
    ("dial", lambda fields: bool(fields.get("DialCallStatus"))),
    ("queue", lambda fields: bool(fields.get("QueueResult"))),
    ("waiting", lambda fields: bool(fields.get("CallSid")) and ("QueuePosition" in fields or "QueueTime" in fields)),
    ("recorded", lambda fields: bool(fields.get("RecordingUrl", "RecordingSid"))),
    ("machine", lambda fields: "MachineDetectionDuration" in fields and bool(fields.get("CallSid"))),
    ("digits", lambda fields: bool(fields.get("CallSid")) and _asked(fields)),
    ("status", lambda fields: bool(fields.get("CallSid")) and _reported(fields)),
    ("step", lambda fields: bool(fields.get("CallSid")) and bool(fields.get("state"))),
    ("incoming", lambda fields: bool(fields.get("CallSid")) and _status(fields) in (None, "ringing", "queued")),
    ("step", lambda fields: bool(fields.get("CallSid"))),
)


def _external_id(event: str, fields: Fields) -> str:
    """CallSid:CallStatus or RecordingSid:status, and what tells two such events of one call apart."""
    call = ":".join(filter(None, (fields.get("CallSid"), _status(fields))))
    recording = fields.get("RecordingSid") or hashed(CHANNEL, fields.get("RecordingUrl"))
    first = {
        "recording": f"{recording}:{fields.get('RecordingStatus').lower()}",
        "recorded": f"{recording}:recorded",
        "conference": f"{fields.get('ConferenceSid')}:{fields.get('StatusCallbackEvent')}:{fields.get('CallSid')}",
        "transcription": f"{fields.get('TranscriptionSid')}:{fields.get('TranscriptionStatus').lower()}",
        "dial": f"{call}:dial:{fields.get('DialCallStatus')}:{fields.get('DialCallSid', 'DialSid')}",
        "queue": f"{call}:queue:{fields.get('QueueResult')}:{fields.get('QueueSid')}",
        "waiting": f"{call}:waiting:{fields.get('QueueSid')}:{fields.get('QueueTime')}",
        "machine": f"{call}:machine:{fields.get('AnsweredBy')}",
        "digits": f"{call}:digits:{fields.get('Digits') or _heard(fields)}",
    }.get(event, call)
    at = fields.get("SequenceNumber") or ("" if event == "status" else fields.get("state"))
    return ":".join(part for part in (first.rstrip(":"), at) if part)


def _thread(event: str, fields: Fields) -> dict[str, Any]:
    members: dict[str, Any] = {
        "event": event,
        "call_sid": fields.get("CallSid"),
        "parent_call_sid": fields.get("ParentCallSid"),
        "state": fields.get("state"),
        "sequence": _whole(fields.get("SequenceNumber")),
        "direction": fields.get("Direction"),
        "forwarded_from": fields.get("ForwardedFrom"),
        "duration": _whole(fields.get("CallDuration")),
        "speech": clean(fields.raw("SpeechResult")),
    }
    if event == "digits" or fields.get("Digits"):
        members["digits"] = fields.get("Digits")
    if event in ("recording", "recorded"):
        members["recording"] = _some(
            sid=fields.get("RecordingSid"),
            url=web_address(fields.get("RecordingUrl")),
            duration=_whole(fields.get("RecordingDuration")),
            status=fields.get("RecordingStatus").lower(),
        )
    if event == "dial":
        members["dial"] = _some(
            status=fields.get("DialCallStatus").lower(),
            call_sid=fields.get("DialCallSid"),
            duration=_whole(fields.get("DialCallDuration")),
        )
    if event == "queue":
        members["queue"] = _some(
            result=fields.get("QueueResult").lower(),
            sid=fields.get("QueueSid"),
            seconds=_whole(fields.get("QueueTime")),
        )
    return {name: value for name, value in members.items() if value not in ("", None) or name == "digits"}


def _some(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in ("", None)}


def _status(fields: Fields) -> str | None:
    """The call's state in Twilio's present words; the first version of its interface knew two others."""
    said = fields.get("CallStatus").lower().replace("_", "-")
    return {"in progress": "in-progress", "answered": "in-progress", "cancelled": "canceled"}.get(said, said) or None


def _error(fields: Fields) -> str | None:
    """Twilio's own code of what went wrong at its end, or the telephone network's where that says it."""
    code = fields.get("ErrorCode")
    if code.strip("0"):
        return code[:60]
    answer = fields.get("SipResponseCode")
    return f"SIP {answer[:20]}" if answer.isdigit() and not answer.startswith("2") else None


def _heard(fields: Fields) -> str:
    """Speech in an id only as a mark of it: ids are written to logs."""
    said = fields.get("SpeechResult")
    return hashed(said)[:12] if said else ""


def _is_softphone(address: str) -> bool:
    return address.lower().startswith("client:")


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _moment(text: str) -> datetime | None:
    """`Tue, 15 Nov 2022 08:12:31 +0000`."""
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
