"""The files of a mail: their names, their kinds and their bytes. Pure: nothing is opened or run."""

import hashlib
import logging
import mimetypes
import re
import struct
from collections.abc import Iterator
from typing import Final

from tnefparse import TNEF

from channels.mail.charsets import decode
from channels.mail.parts import Part, leaves, uudecoded, whole
from channels.mail.sorting import Sorted, sorted_parts
from channels.message import FileRef
from core.text import nfc

_MAILS: Final = frozenset({"message/rfc822", "message/global", "message/rfc2822"})
_TNEF: Final = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
_MOST_OBJECTS: Final = 1000  # of a TNEF file
_TNEF_SIGNATURE: Final = b"\x78\x9f\x3e\x22"

_LONGEST_NAME: Final = 240
_CONTROLS: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufffc\ud800-\udfff]"
)
_CID: Final = re.compile(rb"(?i)cid:([^\s\"'<>)]{1,300})")
_UU: Final = re.compile(rb"(?m)^begin [0-7]{3,4} ([^\r\n]{1,200})\r?\n(?=[ -`]{2,80}\r?$)")
UU_TEXT: Final = re.compile(r"(?m)^begin [0-7]{3,4} [^\n]{1,200}\n(?:[ -`]{1,80}\n){1,200000}end[ \t]*$")

_TYPES: Final = mimetypes.MimeTypes()  # the library's own table, not the machine's
_EXTENSIONS: Final = {
    "image/jpeg": ".jpg", "image/jpg": ".jpg", "image/pjpeg": ".jpg", "image/heic": ".heic", "image/webp": ".webp",
    "audio/mpeg": ".mp3", "audio/mp4": ".m4a", "audio/amr": ".amr", "audio/ogg": ".ogg", "video/3gpp": ".3gp",
    "text/plain": ".txt", "text/calendar": ".ics", "text/x-vcard": ".vcf", "text/vcard": ".vcf",
    "text/directory": ".vcf", "application/pkcs7-mime": ".p7m", "application/x-pkcs7-mime": ".p7m",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.ms-excel": ".xls", "application/msword": ".doc", "application/octet-stream": ".bin",
}  # fmt: skip
_MEDIA_TYPES: Final = {extension: kind for kind, extension in reversed(_EXTENSIONS.items())}

logging.getLogger("tnefparse").setLevel(logging.CRITICAL)  # it would log what the files hold


def contents(raw: bytes) -> list[tuple[FileRef, bytes]]:
    """The files of a mail with their bytes, in the order in which `reading.parse` names them."""
    mail = whole(raw)
    return files_of(mail, sorted_parts(mail))


def files_of(mail: Part, parts: Sorted) -> list[tuple[FileRef, bytes]]:
    """The files among the parts of a mail, winmail.dat unpacked; two of one name get numbers."""
    shown = _shown(mail) if any(part.raw("content-id") for part in parts.files) else frozenset()
    made: list[tuple[FileRef, bytes]] = []
    taken: set[str] = set()
    for part in parts.files:
        inline = _id_of(part) in shown
        for name, media_type, data in _unpacked(part):
            made.append((_ref(_unlike(name, taken), media_type, data, inline=inline), data))
    for part in parts.texts:
        for name, data in _uuencoded(part):
            made.append((_ref(_unlike(name, taken), _type_of(name), data), data))
    return made


def _ref(name: str, media_type: str, data: bytes, *, inline: bool = False) -> FileRef:
    return FileRef(name, media_type, size=len(data), inline=inline, sha256=hashlib.sha256(data).hexdigest())


def _unpacked(part: Part) -> Iterator[tuple[str, str, bytes]]:
    """Name, media type and bytes of a part, or of the files packed in it."""
    kind, name = part.media_type, file_name(part.filename or "")
    if kind in _MAILS:
        inner = part.inside()
        name = name or file_name(inner.header("subject")[:100].replace("/", "-"))
        name = name or "message.eml"
        named = name if name.lower().endswith((".eml", ".msg")) else f"{name}.eml"
        yield named, "message/rfc822", part.content()
        return
    data = part.content()
    if kind in _TNEF or name.lower() == "winmail.dat":
        packed = list(_tnef(data))
        if packed:
            yield from packed
            return
        kind = "application/ms-tnef"
    if kind.startswith("multipart/"):
        kind = "application/octet-stream"
    if not name:
        name = _name_for(kind)
    yield name, kind, data


def file_name(given: str) -> str:
    """A name that is only a name: without its path, control and direction characters; empty if nothing is left."""
    plain = nfc(" ".join(_CONTROLS.sub("", given.replace("\t", " ")).split()))
    plain = re.split(r"[/\\]", plain.rstrip("/\\"))[-1].strip(" .")
    if len(plain) > _LONGEST_NAME:
        stem, dot, extension = plain.rpartition(".")
        plain = f"{stem[: _LONGEST_NAME - 12]}.{extension}" if dot and len(extension) <= 10 else plain[:_LONGEST_NAME]
    return plain.strip()


def _name_for(kind: str) -> str:
    """A name for a file that has none."""
    main = kind.partition("/")[0]
    stem = main if main in ("image", "audio", "video", "text") else "file"
    extension = _EXTENSIONS.get(kind) or _TYPES.guess_extension(kind) or ".bin"
    return f"{'invite' if extension == '.ics' else stem}{extension}"


def _type_of(name: str) -> str:
    """The media type that an extension stands for."""
    dot = name.lower().rpartition(".")
    return _MEDIA_TYPES.get(f".{dot[2]}") or _TYPES.guess_type(f"x.{dot[2]}")[0] or "application/octet-stream"


def _unlike(name: str, taken: set[str]) -> str:
    """The name with a number where another file of the mail has it already."""
    stem, dot, extension = name.rpartition(".") if "." in name else (name, "", "")
    number, made = 1, name
    while made.lower() in taken:
        number += 1
        made = f"{stem}-{number}{dot}{extension}"
    taken.add(made.lower())
    return made


def _shown(mail: Part) -> frozenset[bytes]:
    """Ids of the pictures that the HTML shows."""
    found: set[bytes] = set()
    for part in leaves(mail):
        if part.media_type != "text/html":
            continue
        found.update(name.replace(b"%40", b"@").lower() for name in _CID.findall(part.content(2_000_000)))
    return frozenset(found)


def _id_of(part: Part) -> bytes:
    return part.raw("content-id").strip(b" <>\t").lower() or b"\0"


def _tnef(data: bytes) -> Iterator[tuple[str, str, bytes]]:
    """The files in a TNEF file; none if it cannot be read."""
    if not _is_sound(data):
        return
    try:
        for one in TNEF(data, do_checksum=False).attachments:
            name = file_name(_text_of(one.long_filename()) or _text_of(one.name)) or "file.bin"
            yield name, _type_of(name), bytes(one.data or b"")
    except Exception:  # of a library that reads what anybody sends
        return


def _text_of(name: object) -> str:
    text = decode(name) if isinstance(name, bytes) else str(name or "")
    return text.rstrip("\0")


def _is_sound(data: bytes) -> bool:
    """Whether its objects follow each other and are not too many: the library copies the rest at each."""
    if not data.startswith(_TNEF_SIGNATURE):
        return False
    place, count = 6, 0
    while place + 12 < len(data):
        place += 9 + int(struct.unpack_from("<I", data, place + 5)[0]) + 2
        count += 1
        if count > _MOST_OBJECTS:
            return False
    return True


def _uuencoded(part: Part) -> Iterator[tuple[str, bytes]]:
    """Files that stand in a text as old programs put them there."""
    if part.media_type != "text/plain" or b"begin " not in part.data[part.start : part.end]:
        return
    data = part.content()
    place = 0
    while found := _UU.search(data, place):
        end = data.find(b"\nend", found.end())
        if end < 0:
            return
        yield file_name(decode(found[1])) or "file.bin", uudecoded(data[found.end() : end])
        place = end
