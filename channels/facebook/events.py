"""What Meta posts to us: signatures, the subscription's handshake, and every event in its normal form. Pure.

One post may hold several entries with several events each, of Messenger (`messaging`, `standby`) and of the page's
wall (`changes`, in `channels.facebook.wall`). Each becomes one InboundMessage; ignored ones say why.
"""

import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from channels.adapter import BadSignature, Hook
from channels.facebook import wall
from channels.facebook.files import files_of
from channels.facebook.wall import CHANNEL
from channels.message import Address, InboundMessage
from channels.reading import clean, dict_of, hashed, header, ident, keep, moment, one_of_a_kind, read_json, unread

OURS: Final = "hotline:"  # how the metadata of our own messages begins; their echoes bring it back

_CONTAINERS = ("messaging", "standby", "changes")
_HANDOVERS = frozenset({"pass_thread_control", "take_thread_control", "request_thread_control", "app_roles"})
_ENVELOPE = frozenset({"sender", "recipient", "timestamp", "hop_context", "prior_message"})


def verify(hook: Hook, app_secret: str) -> None:
    """BadSignature unless `X-Hub-Signature-256` is the HMAC of the bytes as they came.

    Meta signs what it sends, where letters beyond ASCII stand as `\\u1ed5`: JSON that was read and written anew has
    another signature.
    """
    expected = "sha256=" + hmac.new(app_secret.encode(), hook.body, sha256).hexdigest()
    given = header(hook.headers, "X-Hub-Signature-256")
    if not app_secret or not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
        raise BadSignature("X-Hub-Signature-256 does not fit the body")


def greet(hook: Hook, verify_token: str) -> str | None:
    """The challenge of a subscription that knows our verify token; BadSignature for another token."""
    if hook.query.get("hub.mode") != "subscribe":
        return None
    given = hook.query.get("hub.verify_token", "")
    if not verify_token or not hmac.compare_digest(verify_token.encode(), given.encode("utf-8", "replace")):
        raise BadSignature("hub.verify_token is not ours")
    return hook.query.get("hub.challenge", "")


def parse(hook: Hook, account: str = "") -> list[InboundMessage]:
    """Every event of a post. `account` is our page: events of another one are ignored."""
    payload = read_json(hook.body)
    if payload is None:
        return [unread(CHANNEL, account, hook.body, "not a JSON object")]
    of = payload.get("object", "page")
    if of != "page":
        return [unread(CHANNEL, account, hook.body, f"object {(clean(of) or '?')[:40]} is not a page")]
    found = list(_items(payload.get("entry")))
    if not found:
        return [unread(CHANNEL, account, hook.body, "no event in it")]
    made = []
    for entry, container, item in found:
        alone = hook.body if len(found) == 1 else _alone(entry, container, item)
        made.append(replace(_read(entry, container, item, account, alone), raw=keep(alone)))
    return one_of_a_kind(made)


def _items(entries: object) -> Iterator[tuple[dict[str, Any], str, Any]]:
    for each in entries if isinstance(entries, list) else [entries]:
        entry = dict_of(each)
        for container in _CONTAINERS:
            items = entry.get(container)
            for item in items if isinstance(items, list) else []:
                yield entry, container, item


def _alone(entry: dict[str, Any], container: str, item: Any) -> bytes:
    """A post that holds this one event."""
    envelope = {name: entry[name] for name in ("id", "time") if name in entry}
    return json.dumps({"object": "page", "entry": [{**envelope, container: [item]}]}).encode()


def _read(entry: dict[str, Any], container: str, item: Any, account: str, alone: bytes) -> InboundMessage:
    page = ident(entry.get("id")) or account
    if not isinstance(item, dict):
        return unread(CHANNEL, page, alone, "the event is not an object")
    try:
        if container == "changes":
            value = dict_of(item.get("value"))
            if "sender" in value and "recipient" in value:  # the dashboard's test button posts messages so
                made = _Talk.of(value, page, entry, False).read()
            else:
                made = wall.read(item, page, moment(entry.get("time")))
        else:
            made = _Talk.of(item, page, entry, container == "standby").read()
    except Exception as error:  # whatever a vendor may send: the rest of the post must not be lost
        return unread(CHANNEL, page, alone, f"unreadable: {type(error).__name__}")
    if account and made.account != account and made.ignore_reason is None:
        return replace(made, ignore_reason="another page")
    return made


@dataclass(frozen=True, slots=True)
class _Talk:
    """One event of a Messenger conversation. `page` is ours, whichever side wrote."""

    item: dict[str, Any]
    page: str
    sender: str | None
    recipient: str | None
    at: datetime | None
    standby: bool

    @classmethod
    def of(cls, item: dict[str, Any], page: str, entry: dict[str, Any], standby: bool) -> "_Talk":
        sender, recipient = (ident(dict_of(item.get(side)).get("id")) for side in ("sender", "recipient"))
        echo = bool(dict_of(item.get("message")).get("is_echo"))
        at = moment(item.get("timestamp")) or moment(entry.get("time"))
        return cls(item, page or (sender if echo else recipient) or "", sender, recipient, at, standby)

    def read(self) -> InboundMessage:
        for name, reader in _READERS.items():
            if isinstance(self.item.get(name), dict):
                return self.echo() if name == "message" and self.item[name].get("is_echo") else reader(self)
        name = next((name for name in self.item if name not in _ENVELOPE), "")
        reason = "handover" if name in _HANDOVERS else "unreadable" if name in _READERS else "unknown event"
        return self.event("unknown", ignore_reason=f"{reason} {(clean(name) or 'without a name')[:40]}")

    def event(
        self, kind: str, external_id: str | None = None, thread: dict[str, Any] | None = None, **members: Any
    ) -> InboundMessage:
        """An event of this conversation; without an id of the vendor's, its id is a hash of its content."""
        content = json.dumps(self.item, sort_keys=True)
        thread = {name: value for name, value in (thread or {}).items() if value}
        return InboundMessage(
            CHANNEL,
            self.page,
            external_id or hashed(CHANNEL, self.page, content),
            kind,
            sender=Address("facebook", self.sender) if self.sender else None,
            thread={**thread, "standby": True} if self.standby else thread,
            sent_at=self.at,
            **members,
        )

    def message(self) -> InboundMessage:
        message = self.item["message"]
        mid = ident(message.get("mid"))
        if message.get("is_deleted"):
            return self.event("deleted", f"{mid}:deleted" if mid else None, refs=(mid,) if mid else ())
        files, place = files_of(message.get("attachments"))
        thread = {
            "in_reply_to": ident(dict_of(message.get("reply_to")).get("mid")),
            "payload": clean(dict_of(message.get("quick_reply")).get("payload")),
            "referral": _referral(message.get("referral")),
        }
        error = "a kind of message that Messenger does not pass on" if message.get("is_unsupported") else None
        text = clean(message.get("text"))
        return self.event("message", mid, thread, text=text, attachments=files, location=place, error=error)

    def echo(self) -> InboundMessage:
        """What the page said: by us, which its metadata tells, or by a colleague in the page's own inbox."""
        message = self.item["message"]
        metadata = clean(message.get("metadata")) or ""
        files, place = files_of(message.get("attachments"))
        ours = metadata.startswith(OURS)
        return self.event(
            "echo",
            ident(message.get("mid")),
            {
                "to": self.recipient,
                "app_id": ident(message.get("app_id")),
                "outgoing": metadata.removeprefix(OURS) if ours else None,
            },
            text=clean(message.get("text")),
            attachments=files,
            location=place,
        )

    def postback(self) -> InboundMessage:
        postback = self.item["postback"]
        payload = clean(postback.get("payload"))
        thread = {"payload": payload, "referral": _referral(postback.get("referral"))}
        return self.event("postback", ident(postback.get("mid")), thread, text=clean(postback.get("title")) or payload)

    def told(self) -> InboundMessage:
        """Messages of ours that arrived or were read: by their ids, or all that were sent up to the watermark."""
        kind = "delivery" if isinstance(self.item.get("delivery"), dict) else "read"
        about = self.item[kind]
        mids = about.get("mids")
        refs = [ident(mid) for mid in (mids if isinstance(mids, list) else [about.get("mid")])]
        until = moment(about.get("watermark"))
        return self.event(
            kind,
            hashed(CHANNEL, self.page, self.sender or "", kind, str(about.get("watermark")), *filter(None, refs)),
            {"watermark": until.isoformat() if until else None},
            status="delivered" if kind == "delivery" else "read",
            refs=tuple(filter(None, refs)),
        )

    def reaction(self) -> InboundMessage:
        reaction = self.item["reaction"]
        mid = ident(reaction.get("mid"))
        said = clean(reaction.get("emoji")) or clean(reaction.get("reaction"))
        return self.event("reaction", refs=(mid,) if mid else (), text=said, status=clean(reaction.get("action")))

    def edit(self) -> InboundMessage:
        edit = self.item["message_edit"]
        mid = ident(edit.get("mid"))
        turn = ident(edit.get("num_edit")) or ident(self.item.get("timestamp"))
        return self.event(
            "edited",
            f"{mid}:edited:{turn}" if mid and turn else None,
            {"references": [mid] if mid else None},
            text=clean(edit.get("text")),
            refs=(mid,) if mid else (),
        )

    def referral(self) -> InboundMessage:
        return self.event("referral", thread={"referral": _referral(self.item["referral"])})

    def optin(self) -> InboundMessage:
        optin = self.item["optin"]
        about = {name: clean(optin.get(name)) for name in ("ref", "user_ref", "type", "payload")}
        reason = None if about["ref"] else "consent to notifications, which we do not send"
        return self.event("referral", thread={"referral": _stated(about)}, ignore_reason=reason)


_READERS: Final = {
    "message": _Talk.message,
    "postback": _Talk.postback,
    "delivery": _Talk.told,
    "read": _Talk.told,
    "reaction": _Talk.reaction,
    "message_edit": _Talk.edit,
    "referral": _Talk.referral,
    "optin": _Talk.optin,
}


def _referral(value: object) -> dict[str, str]:
    """Where the person came from: an m.me link, an advertisement, a code on a poster."""
    about = dict_of(value)
    return _stated({name: clean(about.get(name)) or ident(about.get(name)) for name in _REFERRAL})


_REFERRAL: Final = ("ref", "source", "type", "ad_id")


def _stated(about: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in about.items() if value}
