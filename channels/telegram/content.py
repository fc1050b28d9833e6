"""What a Telegram message holds: files, places, cards. Pure.

Only the members we need are read, each by itself: payloads of several years leave out what the Bot API calls mandatory.
"""

from typing import Any, Final

from channels.message import FileRef
from channels.reading import clean, dict_of, dicts_of, ident, place

STICKER: Final = "image/x-sticker"

# member → name and media type where the payload gives none; a second name of the same file comes later
_FILES: Final = {
    "animation": ("animation.mp4", "video/mp4"),
    "document": ("document", "application/octet-stream"),
    "video": ("video.mp4", "video/mp4"),
    "video_note": ("video.mp4", "video/mp4"),
    "voice": ("voice.ogg", "audio/ogg"),
    "audio": ("audio.mp3", "audio/mpeg"),
}
_MOST_NAME = 120  # characters

Place = tuple[float, float]


def files_of(message: dict[str, Any]) -> tuple[FileRef, ...]:
    """The files of a message by their `file_id`. An animation also comes as a document: one file."""
    found: dict[str, FileRef] = {}
    if (photo := _largest(message.get("photo"))) is not None:
        _add(found, photo, "photo.jpg", "image/jpeg")
    for member, (name, media_type) in _FILES.items():
        about = dict_of(message.get(member))
        _add(found, about, clean(about.get("file_name")) or name, _media_type(about, media_type))
    sticker = dict_of(message.get("sticker"))
    _add(found, sticker, "sticker", STICKER)
    return tuple(found.values())


def place_of(message: dict[str, Any]) -> Place | None:
    """Where the person is or what place they mean."""
    venue = dict_of(message.get("venue"))
    for about in (dict_of(message.get("location")), dict_of(venue.get("location"))):
        if (found := place(about.get("latitude"), about.get("longitude"))) is not None:
            return found
    return None


def text_of(message: dict[str, Any]) -> str | None:
    """What was written: the text, a file's caption, a place's name and address, a poll's question, another's card."""
    venue = dict_of(message.get("venue"))
    named = "\n".join(filter(None, (clean(venue.get("title")), clean(venue.get("address")))))
    question = clean(dict_of(message.get("poll")).get("question"))
    card, own = card_of(message)
    shown = "\n".join(card.values()) if card and not own else None
    return clean(message.get("text")) or clean(message.get("caption")) or named or question or shown


def card_of(message: dict[str, Any]) -> tuple[dict[str, str] | None, bool]:
    """The card of a person, and whether it is the sender's own, which only Telegram's `user_id` proves."""
    card = dict_of(message.get("contact"))
    name = " ".join(filter(None, (clean(card.get("first_name")), clean(card.get("last_name")))))
    phone = ident(card.get("phone_number")) or ""
    if phone[:1] in set("123456789"):
        phone = f"+{phone}"  # Telegram leaves the plus away
    stated = {member: value for member, value in (("name", name), ("phone", phone)) if value}
    owner = ident(card.get("user_id"))
    return stated or None, owner is not None and owner == ident(dict_of(message.get("from")).get("id"))


def _largest(photo: object) -> dict[str, Any] | None:
    """A photo comes in several sizes, as a rule the smallest first."""
    sizes = [each for each in dicts_of(photo) if ident(each.get("file_id"))]
    return max(
        sizes,
        key=lambda each: (_number(each, "width") * _number(each, "height"), _number(each, "file_size")),
        default=None,
    )


def _add(found: dict[str, FileRef], about: dict[str, Any], name: str, media_type: str) -> None:
    if (id := ident(about.get("file_id"))) is None:
        return
    same = ident(about.get("file_unique_id")) or id
    found.setdefault(
        same, FileRef(name[-_MOST_NAME:], media_type, size=_number(about, "file_size") or None, vendor_id=id)
    )


def _media_type(about: dict[str, Any], usual: str) -> str:
    given = clean(about.get("mime_type")) or ""
    return given.lower() if given.isascii() and 3 <= len(given) <= 100 and given.count("/") == 1 else usual


def _number(about: dict[str, Any], member: str) -> int:
    value = about.get(member)
    return value if isinstance(value, int) and value > 0 else 0
