"""What Zalo's webhook says, in normal form. Pure: also behind `main.py parse zalo`.

One request holds one event. Shapes have changed over the years and differ between accounts, so every member may be
missing, named in an older way, or of another type.

Decisions that the vendor's words do not force:

* `user_withdraw`, by which a person claims the rights of a data subject, is kind `unfollow` with status
  `data_withdrawn`: nothing more may be sent, and what the person's data must come to is for people to decide.
* An echo is anything our account sent, by us or by a colleague in Zalo's own inbox: `sender` is the account,
  `thread.to` the person, `thread.admin_id` the colleague.
* Receipts name the account as sender in most dumps and the person in some. Only the ids of the messages count.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from channels.adapter import Hook
from channels.message import Address, InboundMessage
from channels.reading import clean, dict_of, hashed, ident, keep, moment, read_json, unread
from channels.zalo.content import Content, contact_of, content_of, e164

CHANNEL: Final = "zalo"
WITHDRAWN: Final = "data_withdrawn"

_USER_SENT = re.compile(r"(user|anonymous)_send_(group_)?[a-z_]+")
_OA_SENT = re.compile(r"oa_send_(anonymous_|group_)?[a-z_]+")
_PHONE_SHAPED = re.compile(r"\+?[0-9]{9,12}")  # ids of Zalo have more digits
_HASHED_PHONE = re.compile(r"[0-9a-f]{64}")

# Known events that ask nothing of us → kind, and why nothing is done.
_NOT_OURS: Final[dict[str, tuple[str, str]]] = {
    "add_user_to_tag": ("echo", "tags are the account's own notes"),
    "remove_user_from_tag": ("echo", "tags are the account's own notes"),
    "remove_tag": ("echo", "tags are the account's own notes"),
    "oa_send_consent": ("echo", "consent to telephone calls over Zalo"),
    "user_reply_consent": ("postback", "consent to telephone calls over Zalo"),
    "user_call_oa": ("call", "calls over Zalo are not taken"),
    "oa_call_user": ("call", "calls over Zalo are not taken"),
    "oa_reacted_message": ("reaction", "our account's own reaction"),
    "update_user_info": ("echo", "the account's own notes about a person"),
    "widget_interaction_accepted": ("postback", "consent given in a widget"),
    "widget_failed_to_sync_user_external_id": ("echo", "a widget's own trouble"),
    "change_template_status": ("unknown", "a notice to the operator about templates"),
    "change_template_quality": ("unknown", "a notice to the operator about templates"),
    "change_template_quota": ("unknown", "a notice to the operator about templates"),
    "change_oa_template_tags": ("unknown", "a notice to the operator about templates"),
    "change_oa_daily_quota": ("unknown", "a notice to the operator about quotas"),
    "journey_time_out": ("echo", "the billing of a template"),
    "journey_acknowledged": ("echo", "the billing of a template"),
    "extension_purchased": ("unknown", "a notice to the operator about purchases"),
}
_GROUP = re.compile(
    r"(create|delete|update)_group(_info)?|(add|remove)_group_admin|user_(join|out|leave|request_join)_group"
    r"|(accept|reject)_request_join_group|react_request_join_group(_accept|_reject)?"
)


@dataclass(frozen=True, slots=True)
class _Payload:
    """The body of one request and what nearly every event has."""

    name: str
    body: dict[str, Any]
    account: str  # ours, where the body does not say it
    raw: bytes

    @property
    def message(self) -> dict[str, Any]:
        return dict_of(self.body.get("message"))

    @property
    def oa(self) -> str | None:
        return ident(self.body.get("oa_id")) or ident(self.body.get("oaId"))

    @property
    def message_id(self) -> str | None:
        """Of the message that the event is or speaks of."""
        found = (place.get(name) for place in (self.message, self.body) for name in ("msg_id", "message_id", "mid"))
        return next((id for id in map(ident, found) if id), None)

    @property
    def scheme(self) -> str:
        """Of the person's id: who is not signed in to Zalo has one for the conversation only."""
        return "anonymous" if self.name.startswith("anonymous_") else CHANNEL

    @property
    def timestamp(self) -> object:
        return self.body.get("timestamp")

    def end(self, name: str) -> str | None:
        """The id at one end: `sender`, `recipient` or `follower`."""
        return ident(dict_of(self.body.get(name)).get("id"))

    def person(self, name: str, scheme: str = CHANNEL) -> Address | None:
        """The person at one end, with the name if it is told."""
        told = dict_of(self.body.get(name))
        id = self.end(name)
        return Address(scheme, id, clean(told.get("name")) or clean(told.get("display_name"))) if id else None

    def content(self) -> str | bytes:
        """The same for the same content, however it is written."""
        try:
            return json.dumps(self.body, sort_keys=True)
        except RecursionError:
            return self.raw

    def made(self, kind: str, external_id: str | None, account: str | None, **members: Any) -> InboundMessage:
        """The normal form; without an id of the vendor's own, the content names the event."""
        if external_id is None:
            external_id = hashed(CHANNEL, self.content())
        members.setdefault("sent_at", moment(self.timestamp))
        return InboundMessage(CHANNEL, account or self.account, external_id, kind, **members)


def parse(hook: Hook, account: str = "") -> list[InboundMessage]:
    """The one event of a request. Never raises; `account` is ours, used where the payload does not name it."""
    body = read_json(hook.body)
    if body is None:
        return [unread(CHANNEL, account, hook.body, "not a JSON object")]
    name = clean(body.get("event_name")) or clean(body.get("event"))
    if name is None:
        reason = "no event_name" if body else "an empty request, as Zalo sends to try the address"
        return [unread(CHANNEL, account, hook.body, reason)]
    payload = _Payload(name.lower(), body, account, hook.body)
    return [replace(_reader(payload.name)(payload), raw=keep(hook.body))]


def _reader(name: str) -> Callable[[_Payload], InboundMessage]:
    if name in _READERS:
        return _READERS[name]
    if name in _NOT_OURS or _GROUP.fullmatch(name):
        return _not_ours
    if _USER_SENT.fullmatch(name):
        return _sent_by_user
    if _OA_SENT.fullmatch(name):
        return _sent_by_us
    return _pressed if name.startswith("user_click_") else _unknown


def _sent_by_user(payload: _Payload) -> InboundMessage:
    content, message = content_of(payload.message), payload.message
    group = "_send_group_" in payload.name
    thread = {
        "in_reply_to": ident(message.get("quote_msg_id")) or ident(message.get("quote_message_id")),
        "message_id": payload.message_id,  # an answer quotes it
        "conversation_id": ident(message.get("conversation_id")) or ident(payload.body.get("conversation_id")),
    }
    reason = "a message to a group, not to us" if group else None if content else "neither text nor file"
    return payload.made(
        "message",
        payload.message_id,
        payload.oa or (None if group else payload.end("recipient")),
        sender=payload.person("sender", payload.scheme),
        thread=_stated(thread),
        ignore_reason=reason,
        **_members(content),
    )


def _sent_by_us(payload: _Payload) -> InboundMessage:
    group = "_send_group_" in payload.name
    content, message = content_of(payload.message), payload.message
    account = payload.oa or payload.end("sender")
    thread = {
        "to": payload.end("recipient"),
        "message_id": payload.message_id,
        "admin_id": ident(dict_of(payload.body.get("sender")).get("admin_id")),
        "in_reply_to": ident(message.get("quote_msg_id")) or ident(message.get("quote_message_id")),
        "conversation_id": ident(message.get("conversation_id")) or ident(payload.body.get("conversation_id")),
    }
    return payload.made(
        "echo",
        payload.message_id,
        account,
        sender=Address(CHANNEL, account or payload.account) if account or payload.account else None,
        thread=_stated(thread),
        ignore_reason="a message to a group, not to a citizen" if group else None,
        **_members(content),
    )


def _receipt(payload: _Payload) -> InboundMessage:
    """Delivered or seen. The other end is a telephone number where a template was sent to one."""
    read = payload.name in _SEEN
    many = payload.message.get("msg_ids")
    ids = [id for id in map(ident, many) if id] if isinstance(many, list) else []
    refs = tuple(dict.fromkeys(ids or [id for id in (payload.message_id,) if id]))
    ends = [payload.end("sender"), payload.end("recipient")]
    turned = payload.account in ends[1:] or payload.oa in ends[1:]
    ours, theirs = reversed(ends) if turned and ends[1] else ends
    about = refs[0] if len(refs) == 1 else hashed(*refs) if refs else None
    delivered_at = moment(payload.message.get("delivery_time") or payload.body.get("delivery_time"))
    tracking = ident(payload.message.get("tracking_id")) or ident(payload.body.get("tracking_id"))
    return payload.made(
        "read" if read else "delivery",
        f"{payload.name}:{about}" if about else None,
        payload.oa or ours,
        sender=_reached(theirs),
        status="read" if read else "delivered",
        refs=refs,
        thread=_stated({"tracking_id": tracking}),
        sent_at=delivered_at or moment(payload.timestamp),
        ignore_reason=None if refs or tracking else "it names no message",
    )


def _reached(id: str | None) -> Address | None:
    if id is None or _HASHED_PHONE.fullmatch(id.lower()):
        return None
    return Address("phone", e164(id) or id) if _PHONE_SHAPED.fullmatch(id) else Address(CHANNEL, id)


def _reaction(payload: _Payload) -> InboundMessage:
    about = payload.message_id
    icon = payload.message.get("react_icon") or payload.body.get("react_icon")
    return payload.made(
        "reaction",
        f"{payload.name}:{about}:{ident(payload.timestamp) or ''}" if about else None,
        payload.oa or payload.end("recipient"),
        sender=payload.person("sender", payload.scheme),
        text=clean(icon),
        refs=(about,) if about else (),
    )


def _rating(payload: _Payload) -> InboundMessage:
    """A template's question was answered. It names nobody: the ids of what we sent say whose case it is."""
    message, about = payload.message, payload.message_id
    stars = ident(message.get("rate"))
    value = int(stars) if stars in ("1", "2", "3", "4", "5") else None
    chosen = message.get("feedbacks")
    said = [clean(message.get("note")), *(map(clean, chosen) if isinstance(chosen, list) else ())]
    when = ident(message.get("submit_time"))
    return payload.made(
        "rating",
        f"{payload.name}:{about}:{when or ''}" if about else None,
        payload.oa or payload.end("recipient"),
        sender=payload.person("sender"),
        rating=_stated({"value": value, "text": "\n".join(filter(None, said))}) or None,
        refs=(about,) if about else (),
        thread=_stated({"tracking_id": ident(message.get("tracking_id"))}),
        sent_at=moment(when) or moment(payload.timestamp),
        ignore_reason=None if value else "no rate from 1 to 5",
    )


def _follower(payload: _Payload) -> InboundMessage:
    follow = payload.name in _FOLLOWED
    person = payload.person("follower") or payload.person("sender") or _user(payload)
    account = payload.oa or payload.end("recipient")
    return payload.made("follow" if follow else "unfollow", None, account, sender=person)


def _withdrawn(payload: _Payload) -> InboundMessage:
    person = _user(payload) or payload.person("sender") or payload.person("follower")
    account = payload.oa or payload.end("recipient")
    return payload.made("unfollow", None, account, sender=person, status=WITHDRAWN)


def _shared(payload: _Payload) -> InboundMessage:
    contact = contact_of(dict_of(payload.body.get("info")))
    return payload.made(
        "contact_shared",
        payload.message_id,
        payload.oa or payload.end("recipient"),
        sender=payload.person("sender") or _user(payload),
        contact=contact or None,
        ignore_reason=None if contact else "nothing was shared",
    )


def _pressed(payload: _Payload) -> InboundMessage:
    return payload.made(
        "postback",
        payload.message_id,
        payload.oa or payload.end("recipient"),
        sender=payload.person("sender") or _user(payload),
        text=clean(payload.message.get("text")),
    )


def _not_ours(payload: _Payload) -> InboundMessage:
    kind, reason = _NOT_OURS.get(payload.name, ("unknown", "groups are not ours to read"))
    by_us = payload.name.startswith("oa_")
    account = payload.oa or payload.end("sender" if by_us else "recipient")
    person = None if by_us else payload.person("sender") or _user(payload)
    return payload.made(kind, None, account, sender=person, ignore_reason=reason)


def _unknown(payload: _Payload) -> InboundMessage:
    account = payload.oa or payload.end("recipient")
    return payload.made("unknown", None, account, ignore_reason=f"unknown event {payload.name[:80]}")


def _user(payload: _Payload) -> Address | None:
    id = ident(payload.body.get("user_id")) or ident(dict_of(payload.body.get("data")).get("user_id"))
    return Address(CHANNEL, id) if id else None


def _members(content: Content) -> dict[str, Any]:
    return {
        "text": content.text,
        "attachments": content.files,
        "location": content.location,
        "contact": content.card or None,
    }


def _stated(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value}


def _named(reader: Callable[[_Payload], InboundMessage], names: Sequence[str]) -> dict[str, Any]:
    return dict.fromkeys(names, reader)


_SEEN: Final = ("user_seen_message", "user_viewed_message")
_FOLLOWED: Final = ("follow", "user_follow", "user_follow_oa")
_READERS: Final[dict[str, Callable[[_Payload], InboundMessage]]] = {
    **_named(_receipt, ("user_received_message", "user_receive_message", *_SEEN)),
    **_named(_reaction, ("user_reacted_message", "user_react_message", "anonymous_reacted_message")),
    **_named(_follower, (*_FOLLOWED, "unfollow", "user_unfollow", "user_unfollow_oa")),
    "user_feedback": _rating,
    "user_submit_info": _shared,
    "user_withdraw": _withdrawn,
}
