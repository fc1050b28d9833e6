"""What a message of Zalo holds: text, files, a place, a business card; and the contact a person shares. Pure."""

import json
import mimetypes
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from channels.message import FileRef
from channels.reading import clean, dict_of, dicts_of, ident, place, web_address

MOST_NAME = 150  # characters of a file's name

# Type of attachment → media type and extension where neither name nor address says it.
_MEDIA: Final[dict[str, tuple[str, str]]] = {
    "image": ("image/jpeg", "jpg"),
    "photo": ("image/jpeg", "jpg"),
    "gif": ("image/gif", "gif"),
    "sticker": ("image/png", "png"),
    "audio": ("audio/amr", "amr"),
    "voice": ("audio/amr", "amr"),
    "video": ("video/mp4", "mp4"),
    "file": ("application/octet-stream", "bin"),
}
_ADDITIONAL: Final = {  # not in every system's table of media types
    "amr": "audio/amr",
    "aac": "audio/aac",
    "m4a": "audio/mp4",
    "webp": "image/webp",
    "heic": "image/heic",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv",
}
_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+", re.IGNORECASE)
_EXTENSION = re.compile(r"[A-Za-z0-9]{1,5}")
_TYPES: Final = mimetypes.MimeTypes()  # the library's own table: not that of the machine we happen to run on


@dataclass(frozen=True, slots=True)
class Content:
    """What the person sent; false when that is nothing."""

    text: str | None = None
    files: tuple[FileRef, ...] = ()
    location: tuple[float, float] | None = None
    card: dict[str, str] | None = None

    def __bool__(self) -> bool:
        return bool(self.text or self.files or self.location or self.card)


def content_of(message: dict[str, Any]) -> Content:
    """The text with the links that were sent, files, place and card of a `message` member."""
    given = message.get("attachments", message.get("attachment"))
    parts = dicts_of(given) if isinstance(given, list) else [given] if isinstance(given, dict) else []
    parts += [{"type": "link", "payload": each} for each in dicts_of(message.get("links"))]
    words, files, card = [clean(message.get("text"))], [], None
    location = _location(dict_of(message.get("location")))
    for part in parts:
        type, payload = (clean(part.get("type")) or "").lower(), _object(part.get("payload"))
        if type == "location":
            location = _location(payload) or location
            words.append(clean(payload.get("address")))
        elif type in ("link", "business_card", "contact", "list", "template", ""):
            found = _card(payload)
            card = card or found
            words += [] if found else _link(payload)
        elif file := _file(type, payload):
            files.append(file)
            words.append(clean(payload.get("description")))
    return Content(_joined(words), tuple(files), location, card)


def contact_of(info: dict[str, Any]) -> dict[str, str]:
    """Name, phone and address that somebody shared, in today's members and in those of before 2025."""
    whole = info.get("full_address")
    new = _object(whole)
    parts = [new.get("user_address"), new.get("user_ward"), new.get("user_district"), new.get("user_city")]
    old = [info.get("address"), info.get("ward"), info.get("district"), info.get("city")]
    said = [_words(part) for part in (parts if any(parts) else [whole, *old])]
    contact = {"name": _words(info.get("name")), "phone": _phone(info.get("phone")), "address": _comma(said)}
    return {name: value for name, value in contact.items() if value}


def e164(number: str) -> str | None:
    """`84912345678` and `0912345678` → `+84912345678`; None for what is no Vietnamese number."""
    found = re.fullmatch(r"(?:\+?84|0)([0-9]{8,10})", re.sub(r"[\s.()-]", "", number))
    return f"+84{found[1]}" if found else None


def _phone(value: object) -> str | None:
    number = _words(value)
    return (e164(number) or number) if number else None


def _words(value: object) -> str | None:
    """Text; a number is text without quotes."""
    return clean(value) or clean(ident(value))


def _comma(parts: list[str | None]) -> str:
    return ", ".join(dict.fromkeys(filter(None, parts)))


def _object(value: object) -> dict[str, Any]:
    """An object, also one that was written as text."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return dict_of(value)


def _location(payload: dict[str, Any]) -> tuple[float, float] | None:
    for told in (_object(payload.get("coordinates")), payload):
        lat = told.get("latitude", told.get("lat"))
        lng = next((told[name] for name in ("longitude", "long", "lng", "lon") if name in told), None)
        if found := place(lat, lng):
            return found
    return None


def _card(payload: dict[str, Any]) -> dict[str, str] | None:
    """A business card looks like a link whose description is an object with a telephone number."""
    told = _object(payload.get("description")) or payload
    if not told.get("phone"):
        return None
    names = (told.get("name"), told.get("displayName"), told.get("display_name"), payload.get("title"))
    card = {"name": next(filter(None, map(_words, names)), None), "phone": _phone(told.get("phone"))}
    return {name: value for name, value in card.items() if value}


def _link(payload: dict[str, Any]) -> list[str | None]:
    names = ("text", "title", "description", "url", "link_url")
    return [clean(payload.get(name)) for name in names]


def _joined(words: list[str | None]) -> str | None:
    """One below the other, each thing once: the text of a link often repeats its address."""
    said: list[str] = []
    for word in filter(None, words):
        if not any(word in earlier for earlier in said):
            said.append(word)
    return clean("\n".join(said))


def _file(type: str, payload: dict[str, Any]) -> FileRef | None:
    url = web_address(ident(payload.get("url")))
    handle = ident(payload.get("id")) if url is None else None
    if url is None and handle is None:
        return None
    media_type, extension = _MEDIA.get(type, _MEDIA["file"])
    told, name = clean(payload.get("type")) or "", _base(clean(payload.get("name")) or "")
    address = _base(unquote(urlsplit(url).path)) if url and not _broken(url) else ""
    known = _extension(name) or (told if _EXTENSION.fullmatch(told) else "") or _extension(address)
    if _MEDIA_TYPE.fullmatch(told):
        media_type = told.lower()
    elif known:
        media_type = _media_type(known, media_type)
    if not name:
        name = address if _extension(address) else f"{type if type in _MEDIA else 'file'}.{known or extension}"
    elif not _extension(name) and known:
        name = f"{name}.{known.lower()}"
    size = ident(payload.get("size"))
    bytes_told = int(size) if size and re.fullmatch(r"[0-9]{1,15}", size) else None
    return FileRef(name, media_type, bytes_told, url=url, vendor_id=handle)


def _broken(url: str) -> bool:
    try:
        urlsplit(url)
    except ValueError:  # such as an unfinished IPv6 address
        return True
    return False


def _base(name: str) -> str:
    """The last part of a path, short enough, its extension kept."""
    name = " ".join((clean(name.replace("\\", "/").rpartition("/")[2]) or "").split()).strip(".")
    if len(name) <= MOST_NAME:
        return name
    extension = _extension(name)
    return name[: MOST_NAME - 8].rstrip() + (f".{extension}" if extension else "")


def _extension(name: str) -> str:
    suffix = PurePosixPath(name).suffix.removeprefix(".")
    return suffix if _EXTENSION.fullmatch(suffix) else ""


def _media_type(extension: str, otherwise: str) -> str:
    extension = extension.lower()
    return _ADDITIONAL.get(extension) or _TYPES.guess_type(f"x.{extension}")[0] or otherwise
