"""Files, stickers, links and places of Facebook's messages and comments. Pure."""

import mimetypes
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from channels.message import FileRef
from channels.reading import clean, dict_of, dicts_of, ident, place, web_address

LINK: Final = "text/uri-list"  # RFC 2483: a page somebody shared; nothing to fetch
STICKER: Final = "image/x-sticker"

_USUAL = {
    "image": "image/jpeg",
    "audio": "audio/mp4",
    "video": "video/mp4",
    "file": "application/octet-stream",
}
_SITES = {"ig_reel": "https://www.instagram.com", "ig_post": "https://www.instagram.com"}
_KNOWN = mimetypes.MimeTypes(filenames=())  # the same on every machine
_MOST_NAME = 120  # characters

Place = tuple[float, float]


def files_of(attachments: object) -> tuple[tuple[FileRef, ...], Place | None]:
    """The attachments of a message: what can be fetched, what can only be looked up, and where the person is.

    A sticker comes as an image with a `sticker_id` until August 2026, then as both, then as `sticker` alone: one file.
    """
    found: dict[str, FileRef] = {}
    where: Place | None = None
    for each in dicts_of(attachments if isinstance(attachments, list) else [attachments]):
        payload = dict_of(each.get("payload"))
        if each.get("type") == "location":
            at = dict_of(payload.get("coordinates"))
            where = where or place(at.get("lat"), at.get("long", at.get("lng")))
        elif (made := _file(each, payload)) is not None:
            key = _sticker(each, payload) or made.url or made.name
            found[key] = found[key] if key in found and found[key].url else made
    return tuple(found.values()), where


def pictures(addresses: Sequence[object], kind: str = "image") -> tuple[FileRef, ...]:
    """Files of a comment, which gives addresses only; each once."""
    urls = dict.fromkeys(filter(None, (_address(each) for each in addresses)))
    return tuple(FileRef(_name(url, kind), _media_type(url, kind), url=url) for url in urls)


def _file(each: dict[str, Any], payload: dict[str, Any]) -> FileRef | None:
    kind = each.get("type")
    given = payload.get("url") or each.get("url") or each.get("URL")
    if isinstance(given, str) and given.startswith("/") and not given.startswith("//"):
        given = _SITES.get(str(kind), "https://www.facebook.com") + given
    url = _address(given)
    if (sticker := _sticker(each, payload)) is not None:
        return FileRef("sticker", STICKER, url=url, vendor_id=None if url else sticker)
    if url is None:
        return None
    if isinstance(kind, str) and kind in _USUAL:
        return FileRef(_name(url, kind), _media_type(url, kind), url=url)
    title = clean(payload.get("title")) or clean(each.get("title")) or url
    return FileRef(title[:_MOST_NAME], LINK, url=url)


def _sticker(each: dict[str, Any], payload: dict[str, Any]) -> str | None:
    given = ident(payload.get("sticker_id")) or ident(each.get("sticker_id"))
    return given or ("sticker" if each.get("type") == "sticker" else None)


def _address(value: object) -> str | None:
    return web_address(clean(value))


def _media_type(url: str, kind: str) -> str:
    guessed = _KNOWN.guess_type(urlsplit(url).path)[0]
    fits = guessed is not None and (kind == "file" or guessed.startswith(f"{kind}/"))
    return guessed if guessed is not None and fits else _USUAL[kind]


def _name(url: str, kind: str) -> str:
    """The last part of the address's path if it looks like a file's name."""
    last = clean(unquote(urlsplit(url).path).rpartition("/")[2]) or ""
    return last[-_MOST_NAME:] if "." in last.strip(".") else kind
