"""Comments, visitors' posts and mentions: the `changes` of a page, in their normal form. Pure."""

import json
from datetime import datetime
from typing import Any, Final

from channels.facebook.files import pictures
from channels.message import Address, InboundMessage
from channels.reading import clean, dict_of, hashed, ident, moment, web_address

CHANNEL: Final = "facebook"

_POSTS = frozenset({"post", "status", "photo", "video"})
_KINDS = {"add": "comment", "edit": "edited", "edited": "edited", "update": "edited", "remove": "deleted"}
_FEELINGS = frozenset({"like", "reaction"})


def read(change: dict[str, Any], page: str, at: datetime | None) -> InboundMessage:
    """One change of the page; `at` is when Meta told, for changes that do not say when they happened."""
    value, field = dict_of(change.get("value")), clean(change.get("field")) or ""
    item = clean(value.get("item")) or ("comment" if ident(value.get("comment_id")) else "")
    if field == "mention" or (field == "feed" and item in {"comment", *_POSTS}):
        return _said(value, item, page, at, mention=field == "mention")
    content = json.dumps(change, sort_keys=True)
    about = ident(value.get("comment_id")) or ident(value.get("post_id"))
    feeling = field == "feed" and item in _FEELINGS
    what = f"{item or 'change'} on the page" if field == "feed" else f"unknown event {field[:40] or 'without a name'}"
    return InboundMessage(
        CHANNEL,
        page,
        hashed(CHANNEL, page, content),
        "reaction" if feeling else "unknown",
        sender=_author(value),
        text=clean(value.get("reaction_type")) if feeling else None,
        status=clean(value.get("verb")) if feeling else None,
        refs=(about,) if about and feeling else (),
        sent_at=moment(value.get("created_time")) or at,
        ignore_reason=what[:80],
    )


def _said(value: dict[str, Any], item: str, page: str, at: datetime | None, *, mention: bool) -> InboundMessage:
    """A comment on the page or a visitor's post there, or one elsewhere that names the page.

    Its id is the same when a comment under our own post also names us and so is told twice.
    """
    comment, post = ident(value.get("comment_id")), ident(value.get("post_id"))
    parent, created = ident(value.get("parent_id")), ident(value.get("created_time"))
    verb, author, text = clean(value.get("verb")) or "add", _author(value), clean(value.get("message"))
    if post is None and parent is not None and (comment or "").startswith(f"{parent}_"):
        post = parent  # before 2018 a comment's id began with its post's, which stood as parent only
    own_id, what = comment or post, item or "mention"
    kind = _KINDS.get(verb, "comment")
    files = pictures(_pictures_of(value)) + pictures([value.get("video")], "video")
    if author is not None and author.handle == page:
        reason = f"our own {what}"
    elif verb not in _KINDS:
        reason = f"{verb[:20]} of a {what}"
    elif kind == "comment" and comment is None and author is None and text is None:
        reason = f"{what} without author and text"
    else:
        reason = None
    answers = parent if comment and parent not in (None, post, comment) else None
    thread = {
        "comment_id": comment,
        "post_id": post,
        "parent_id": parent,
        "permalink": web_address(clean(dict_of(value.get("post")).get("permalink_url") or value.get("permalink_url"))),
        "in_reply_to": answers,
        "mention": mention or None,
    }
    changed = own_id is not None and kind != "comment"
    return InboundMessage(
        CHANNEL,
        page,
        ":".join(filter(None, (own_id, verb, created))) if own_id else hashed(CHANNEL, page, json.dumps(value)),
        kind,
        sender=author or (Address("anonymous", own_id) if own_id else None),
        text=text,
        attachments=files,
        refs=tuple(filter(None, (own_id, f"{own_id}:add:{created}" if created else None))) if changed else (),
        thread={name: member for name, member in thread.items() if member},
        sent_at=moment(created) or at,
        ignore_reason=reason,
    )


def _pictures_of(value: dict[str, Any]) -> list[object]:
    photos = value.get("photos")
    link = value.get("link") if value.get("item") == "photo" else None
    return [value.get("photo"), *(photos if isinstance(photos, list) else []), link]


def _author(value: dict[str, Any]) -> Address | None:
    """Who wrote: `from`, in dumps before 2018 `sender_id`; absent where the person or our permissions hide it."""
    who = dict_of(value.get("from"))
    handle = ident(who.get("id")) or ident(value.get("sender_id"))
    return Address("facebook", handle, clean(who.get("name")) or clean(value.get("sender_name"))) if handle else None
