"""What Telegram posts to us: its secret, and every update in its normal form. Pure.

One post is one update. Ids of messages are `<chat id>:<message id>`, because Telegram counts within each chat; such an
id stands in `refs`, in `thread.in_reply_to` and, of the message itself, in `thread.reply_to`, for an answer to quote.
"""

import hmac
import json
import re
from dataclasses import replace
from typing import Any, Final

from channels.adapter import BadSignature, Hook
from channels.message import Address, InboundMessage
from channels.reading import clean, dict_of, dicts_of, hashed, header, ident, keep, moment, read_json, unread
from channels.telegram import content

CHANNEL: Final = "telegram"

_COMMAND = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@[A-Za-z0-9_]{1,64})?(?:\s+(.*))?", re.DOTALL)
_FORWARDED = ("forward_origin", "forward_date", "forward_from", "forward_from_chat", "forward_sender_name")
_GONE = frozenset({"kicked", "left", "banned"})
_ANONYMOUS_ADMIN: Final = "1087968824"  # Telegram's own account behind which administrators of groups write
_ENVELOPE = frozenset(
    {
        "message_id", "from", "chat", "date", "sender_chat", "message_thread_id", "is_topic_message", "via_bot",
        "reply_to_message", "external_reply", "quote", "edit_date", "has_protected_content", "media_group_id",
        "author_signature", "entities", "caption_entities", "link_preview_options", "effect_id", "reply_markup",
        "show_caption_above_media", "has_media_spoiler", "sender_boost_count", "is_from_offline", "reply_to_story",
        *_FORWARDED,
    }
)  # fmt: skip
_CONTENT = frozenset(
    {"text", "caption", "photo", "document", "video", "video_note", "voice", "audio", "animation", "sticker", "poll"}
    | {"contact", "location", "venue"}
)
_SAYING = {"message": "message", "edited_message": "edited"}
_ELSEWHERE = {
    "channel_post": "message",
    "edited_channel_post": "edited",
    "business_message": "message",
    "edited_business_message": "edited",
}


def verify(hook: Hook, secret_token: str) -> None:
    """BadSignature unless the request repeats the secret that we gave Telegram with the webhook's address."""
    given = header(hook.headers, "X-Telegram-Bot-Api-Secret-Token")
    if not secret_token or not hmac.compare_digest(secret_token.encode(), given.encode("utf-8", "replace")):
        raise BadSignature("X-Telegram-Bot-Api-Secret-Token is not ours")


def parse(hook: Hook, account: str = "") -> list[InboundMessage]:
    """The update of a post. `account` is our bot's id, which updates do not name."""
    update = read_json(hook.body)
    if update is None:
        return [unread(CHANNEL, account, hook.body, "not a JSON object")]
    try:
        made = _read(update, account)
    except Exception as error:  # whatever Telegram may send: an update that fails blocks those behind it
        return [unread(CHANNEL, account, hook.body, f"unreadable: {type(error).__name__}")]
    id = ident(update.get("update_id")) or hashed(CHANNEL, account, json.dumps(update, sort_keys=True))
    return [replace(made, account=account, external_id=id, raw=keep(hook.body))]


def message_ref(message: dict[str, Any]) -> str | None:
    """`<chat id>:<message id>`; None when either is missing."""
    chat, id = ident(dict_of(message.get("chat")).get("id")), ident(message.get("message_id"))
    return f"{chat}:{id}" if chat and id else None


def _read(update: dict[str, Any], account: str) -> InboundMessage:
    name = next((name for name in update if name != "update_id" and isinstance(update[name], dict)), None)
    event = dict_of(update.get(name or ""))
    if name in _SAYING:
        return _message(event, _SAYING[name])
    if name in _ELSEWHERE:
        where = "a channel" if "channel" in name else "somebody's business account"
        return replace(_message(event, _ELSEWHERE[name]), kind=_ELSEWHERE[name], ignore_reason=f"written in {where}")
    if name == "callback_query":
        return _pressed(event)
    if name == "message_reaction":
        return _reacted(event)
    if name == "my_chat_member":
        return _joined_or_left(event)
    known = (clean(name) or "")[:40]
    reason = f"unknown event {known}" if name else "no event in it"
    return _event("unknown", sender=_person(event.get("from")), ignore_reason=reason)


def _event(kind: str, thread: dict[str, Any] | None = None, **members: Any) -> InboundMessage:
    stated = {name: value for name, value in (thread or {}).items() if value}
    return InboundMessage(CHANNEL, "", "", kind, thread=stated, **members)


def _message(message: dict[str, Any], kind: str) -> InboundMessage:
    chat = dict_of(message.get("chat"))
    own = message_ref(message)
    text, files, where = content.text_of(message), content.files_of(message), content.place_of(message)
    card, owned = content.card_of(message)
    thread = {
        "chat_id": ident(chat.get("id")),
        "chat_type": _group(chat),
        "topic_id": ident(message.get("message_thread_id")),
        "reply_to": own,
        "in_reply_to": message_ref({"chat": chat, **dict_of(message.get("reply_to_message"))}),
        "media_group_id": ident(message.get("media_group_id")),
        "forwarded": any(message.get(each) for each in _FORWARDED),
    }
    command = _COMMAND.fullmatch(text) if text and kind == "message" and message.get("text") else None
    if command is not None:
        kind = "postback"
        thread |= {"command": command[1].lower(), "payload": clean(command[2])}
    elif card is not None and owned and kind == "message":
        kind = "contact_shared"
    made = _event(
        kind,
        thread,
        sender=_sender(message),
        text=text,
        attachments=files,
        location=where,
        contact=card,
        refs=(own,) if own and kind == "edited" else (),
        sent_at=moment(message.get("edit_date") if kind == "edited" else None) or moment(message.get("date")),
    )
    if (reason := _not_for_us(message, kind)) is not None:
        return replace(made, ignore_reason=reason)
    if not (text or files or where or card):
        return _without_words(message, made)
    return made


def _not_for_us(message: dict[str, Any], kind: str) -> str | None:
    """Why a message is nobody's report: a machine wrote it, or the telephone of somebody who walks on."""
    author = dict_of(message.get("from"))
    if kind == "edited" and isinstance(message.get("location"), dict):
        return "a live location moved on"
    if message.get("is_automatic_forward"):
        return "passed on by a channel"
    if author.get("is_bot") is True and ident(author.get("id")) != _ANONYMOUS_ADMIN:
        return "written by a bot"
    return None


def _without_words(message: dict[str, Any], made: InboundMessage) -> InboundMessage:
    """A message of which nothing can be shown: a notice about the chat, or content we do not know."""
    name = next((name for name, value in message.items() if value and name not in _ENVELOPE), "")
    if name in _CONTENT or not name:
        return made
    return replace(made, kind="unknown", ignore_reason=f"unknown content {clean(name[:40])}")


def _pressed(query: dict[str, Any]) -> InboundMessage:
    """A button under a message of ours."""
    message = dict_of(query.get("message"))
    data = clean(query.get("data"))
    under = message_ref(message)
    return _event(
        "postback",
        {
            "chat_id": ident(dict_of(message.get("chat")).get("id")),
            "in_reply_to": under,
            "payload": data,
            "callback_query_id": ident(query.get("id")),
        },
        sender=_person(query.get("from")),
        text=data or clean(query.get("game_short_name")),
        refs=(under,) if under else (),
    )


def _reacted(reaction: dict[str, Any]) -> InboundMessage:
    chosen = [clean(each.get("emoji")) or clean(each.get("type")) for each in dicts_of(reaction.get("new_reaction"))]
    about = message_ref(reaction)
    return _event(
        "reaction",
        {"chat_id": ident(dict_of(reaction.get("chat")).get("id"))},
        sender=_person(reaction.get("user")),
        text="".join(filter(None, chosen)) or None,
        status="react" if chosen else "unreact",
        refs=(about,) if about else (),
        sent_at=moment(reaction.get("date")),
    )


def _joined_or_left(change: dict[str, Any]) -> InboundMessage:
    """The person started, blocked or unblocked the bot; or somebody put it into a group."""
    chat, status = dict_of(change.get("chat")), clean(dict_of(change.get("new_chat_member")).get("status"))
    group = _group(chat)
    return _event(
        "unfollow" if status in _GONE else "follow",
        {"chat_id": ident(chat.get("id")), "chat_type": group},
        sender=_person(change.get("from")),
        status=status,
        sent_at=moment(change.get("date")),
        ignore_reason=f"the bot's place in a {group}" if group else None,
    )


def _sender(message: dict[str, Any]) -> Address | None:
    """Who wrote; in a private chat that is the chat, where `from` is missing."""
    chat = dict_of(message.get("chat"))
    author = dict_of(message.get("from"))
    if ident(author.get("id")) == _ANONYMOUS_ADMIN:
        group = ident(dict_of(message.get("sender_chat")).get("id")) or ident(chat.get("id"))
        return Address("anonymous", group) if group else None
    return _person(author) or (None if _group(chat) else _person(chat))


def _person(about: object) -> Address | None:
    who = dict_of(about)
    handle = ident(who.get("id"))
    name = " ".join(filter(None, (clean(who.get("first_name")), clean(who.get("last_name")))))
    return Address("telegram", handle, name or clean(who.get("username"))) if handle else None


def _group(chat: dict[str, Any]) -> str | None:
    """The kind of a chat that is not private; ids of groups and channels are negative."""
    kind = clean(chat.get("type"))
    if kind in (None, "private"):
        return "group" if kind is None and (ident(chat.get("id")) or "").startswith("-") else None
    return kind
