"""E-mail, the reading side: one raw mail becomes one message in its normal form (DESIGN.md 7.4). Pure.

`parse` never fails, and reads its own `raw` to the same event. Message-IDs are without their angle brackets
everywhere. What a mail says of itself is not believed: a case code is a `case_token` until somebody has checked it.
"""

import re
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from channels.adapter import Hook
from channels.mail.addresses import account_of, case_named, mailboxes, sender_of
from channels.mail.files import UU_TEXT, files_of
from channels.mail.kinds import Verdict, judge
from channels.mail.parts import Part, date_of, whole
from channels.mail.plain import tidy
from channels.mail.quoting import written
from channels.mail.sorting import readable, sorted_parts
from channels.message import InboundMessage
from channels.reading import clean, hashed, keep, unread

CHANNEL: Final = "email"
MOST_REFERENCES: Final = 100
_LONGEST_SUBJECT: Final = 1000
_ID: Final = re.compile(rb"<\s{0,3}([^<>]{1,900}?)\s{0,3}>")
_YEARS: Final = range(1990, 2100)  # of a date that can be one


def parse(hook: Hook, account: str = "") -> list[InboundMessage]:
    """The mail that the body is. `account` is the mailbox it was fetched from; else what the mail says of that."""
    try:
        return [_read(hook.body, account)]
    except Exception as error:  # whatever anybody can send; the raw mail is kept for a person
        return [unread(CHANNEL, account, hook.body, f"the mail cannot be read: {type(error).__name__}")]


def _read(raw: bytes, account: str) -> InboundMessage:
    mail = whole(raw)
    if not _is_mail(mail):
        return unread(CHANNEL, account, raw, "not a mail")
    parts = sorted_parts(mail)
    subject = (clean(mail.header("subject")) or "")[:_LONGEST_SUBJECT] or None
    shown = "\n\n".join(filter(str.strip, map(readable, parts.texts)))
    shown = UU_TEXT.sub("", shown) if "\nbegin " in f"\n{shown}" else shown
    verdict = judge(mail, subject or "", tidy(shown[:20_000]), account)
    message = InboundMessage(
        CHANNEL,
        account or account_of(mail),
        _external_id(mail),
        verdict.kind,
        sender=sender_of(mail),
        text=_text(shown, subject, mail, verdict),
        body=tidy(shown) or None,
        subject=subject,
        attachments=tuple(file for file, _ in files_of(mail, parts)),
        thread=_thread(mail, subject, verdict),
        sent_at=_sent_at(mail),
        automatic=verdict.automatic,
        ignore_reason=verdict.ignore,
        raw=keep(raw),
    )
    if verdict.kind == "message":
        return message
    return replace(message, status=verdict.status, error=verdict.error, refs=verdict.refs)


def _is_mail(mail: Part) -> bool:
    """Whether there is any header that mails have."""
    return any(
        mail.raw(name)
        for name in (
            "from",
            "subject",
            "to",
            "date",
            "message-id",
            "received",
            "sender",
            "mime-version",
            "content-type",
        )
    )


def _text(shown: str, subject: str | None, mail: Part, verdict: Verdict) -> str | None:
    """What the person wrote; of a server's notice, all of it."""
    if verdict.kind != "message":
        return clean(tidy(shown))
    reply = bool(mail.raw("in-reply-to") or mail.raw("references"))
    return clean(tidy(written(shown.replace("\r", ""), subject, reply=reply)))


def _external_id(mail: Part) -> str:
    """The Message-ID; where it is missing or not one, a hash of what is the same each time the mail comes."""
    given = {_first_id(value) for value in mail.all("message-id")}
    if len(given) == 1 and (only := given.pop()):
        return only
    named = (mail.raw(name) for name in ("from", "date", "subject", "to"))
    return hashed(*named, mail.data[mail.start : mail.end])


def _first_id(value: bytes) -> str:
    return next(iter(_ids(value)), "")


def _ids(value: bytes) -> list[str]:
    """The Message-IDs in a header, without brackets; in one that has no brackets, each word with an @ in it."""
    found = _ID.findall(value) or [word for word in value.split() if b"@" in word]
    made = (re.sub(r"\s", "", clean(one.decode("utf-8", "replace")) or "") for one in found)
    return list(dict.fromkeys(one for one in made if one))[-MOST_REFERENCES:]


def _thread(mail: Part, subject: str | None, verdict: Verdict) -> dict[str, Any]:
    """What it belongs to, in its own words."""
    references = [one for value in mail.all("references") for one in _ids(value)]
    made: dict[str, Any] = {
        "in_reply_to": _first_id(mail.raw("in-reply-to")) or None,
        "references": list(dict.fromkeys(references))[-MOST_REFERENCES:] or None,
        **case_named(mail, subject),
        "reply_to": next((address for _, address in mailboxes(mail.raw("reply-to"))), None),
        "recipient": verdict.recipient,
        "auto": verdict.why,
    }
    return {name: value for name, value in made.items() if value is not None}


def _sent_at(mail: Part) -> datetime | None:
    """When it was sent, by the sender's clock; None where that is no date or an impossible one."""
    moment = date_of(mail.raw("date"))
    return moment if moment is not None and moment.year in _YEARS else None
