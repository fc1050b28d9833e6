"""What Twilio tells us about messages, in normal form: SMS and MMS that come in, and what became of ours. Pure."""

import re
from typing import Final

from channels.adapter import Hook
from channels.message import FileRef, InboundMessage
from channels.reading import clean, hashed, ident, kept, place, unread, web_address
from channels.twilio.errors import of_report
from channels.twilio.form import Fields, is_full, line, person, read

CHANNEL: Final = "sms"

# The vendor's word for where a message of ours is → ours, and why that is no news.
STATUSES: Final[dict[str, tuple[str, str | None]]] = {
    "accepted": ("queued", "the message still waits at Twilio"),
    "scheduled": ("queued", "the message still waits at Twilio"),
    "queued": ("queued", "the message still waits at Twilio"),
    "sending": ("queued", "the message still waits at Twilio"),
    "sent": ("sent", None),
    "delivered": ("delivered", None),
    "partially_delivered": ("delivered", None),
    "read": ("read", None),
    "undelivered": ("failed", None),
    "failed": ("failed", None),
    "canceled": ("failed", None),
}

# Twilio acts on these words itself where they stand alone; YES is left to people, who also answer questions with it.
_STOP = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "OPTOUT", "REVOKE"})
_START = frozenset({"START", "UNSTOP"})
_HELP = frozenset({"HELP", "INFO"})
_OPTED = {"STOP": "unfollow", "START": "follow", "HELP": "postback"}

_ENDINGS = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/heic": ".heic",
    "video/mp4": ".mp4",
    "video/3gpp": ".3gp",
    "audio/amr": ".amr",
    "audio/mpeg": ".mp3",
    "audio/mp4": ".m4a",
    "audio/ogg": ".ogg",
    "application/pdf": ".pdf",
    "text/vcard": ".vcf",
    "text/x-vcard": ".vcf",
    "text/plain": ".txt",
}


def parse(hook: Hook, account: str = "") -> list[InboundMessage]:
    """One event, whatever the bytes; `account` is ours where the form does not say which."""
    fields, raw = read(hook)
    sid = fields.get("MessageSid", "SmsSid", "SmsMessageSid")
    status = fields.get("MessageStatus", "SmsStatus").lower()
    if fields.get("CallSid") and not sid:
        return [unread(CHANNEL, account, kept(raw), "an event of a call, not of a message")]
    if status and status not in ("received", "receiving"):
        return [_report(fields, raw, account, sid, status)]
    event = fields.get("EventType")
    if event and "From" not in fields:
        return [unread(CHANNEL, account, kept(raw), f"unknown event {event[:60]}")]
    if not sid and not fields.get("From"):
        return [unread(CHANNEL, account, kept(raw), "neither a message nor a report on one")]
    return [_message(fields, raw, account, sid)]


def _message(fields: Fields, raw: str, account: str, sid: str) -> InboundMessage:
    text, media = fields.words("Body"), _media(fields)
    id = sid or hashed(CHANNEL, *(fields.raw(name) for name in ("From", "To", "Body", "MediaUrl0")))
    kind = "message" if media else _kind(fields.get("OptOutType"), text)
    sender = person(fields.raw("From") or fields.raw("Caller"), id, clean(fields.raw("ProfileName")))
    where = place(fields.get("Latitude"), fields.get("Longitude"))
    text = text or (fields.words("Address") if where else None)
    service = fields.get("From").partition(":")[0].lower() if ":" in fields.get("From") else ""
    empty = kind == "message" and not (text or media or where)
    return InboundMessage(
        CHANNEL,
        line(fields.raw("To") or fields.raw("Called")) or account,
        id,
        kind,
        sender,
        text,
        attachments=media,
        location=where,
        thread=_said(in_reply_to=fields.get("OriginalRepliedMessageSid"), service=service),
        automatic=sender.scheme == "phone" and not is_full(sender.handle),
        ignore_reason="an empty message" if empty else None,
        raw=raw,
    )


def _report(fields: Fields, raw: str, account: str, sid: str, status: str) -> InboundMessage:
    """What became of a message of ours. `thread.message` is our own id of it, out of the address we gave for this."""
    if status not in STATUSES:
        return unread(CHANNEL, account, kept(raw), f"unknown event MessageStatus {status[:60]}")
    state, no_news = STATUSES[status]
    id = sid or hashed(CHANNEL, fields.get("message"), fields.raw("To"), fields.raw("From"))
    named = fields.raw("To") or fields.raw("Called")
    return InboundMessage(
        CHANNEL,
        line(fields.raw("From") or fields.raw("Caller")) or account,
        f"{id}:{status}",
        "read" if state == "read" else "delivery",
        person(named, id) if named else None,
        status=state,
        error=of_report(fields.get("ErrorCode"), status) if state == "failed" else None,
        refs=(sid,) if sid else (),
        thread=_said(message=fields.get("message")),
        ignore_reason=no_news,
        raw=raw,
    )


def _kind(opted: str, text: str | None) -> str:
    if opted.upper() in _OPTED:
        return _OPTED[opted.upper()]
    word = (text or "").strip(" .!\n").upper()
    if word in _STOP:
        return "unfollow"
    if word in _START:
        return "follow"
    return "postback" if word in _HELP else "message"


def _media(fields: Fields) -> tuple[FileRef, ...]:
    """The files of an MMS, in order. Their addresses ask for our account; one that is no address is kept as a name."""
    found = []
    for index in sorted({int(name[8:]) for name in fields if re.fullmatch(r"MediaUrl[0-9]{1,2}", name)}):
        address = fields.get(f"MediaUrl{index}")
        if not address:
            continue
        media_type = fields.get(f"MediaContentType{index}").partition(";")[0].strip().lower()
        name = ident(re.split(r"[?#]", address)[0].rstrip("/").rpartition("/")[2]) or f"media-{index}"
        name = name if "." in name else name + _ENDINGS.get(media_type, "")
        url = web_address(address)
        media_type = media_type or "application/octet-stream"
        found.append(FileRef(name[:120], media_type, url=url, vendor_id=None if url else address[:500]))
    return tuple(found)


def _said(**members: str) -> dict[str, str]:
    return {name: value for name, value in members.items() if value}
