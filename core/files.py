"""What people send along with a report: checked by content, pictures made anew, stored only if every file passes.

How kinds are told apart is in `core.filetypes`, how pictures are re-encoded in `core.pictures`, where bytes lie in
`core.filestore`; the attachment row is its caller's.
"""

import asyncio
import hashlib
import os
import re
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import BinaryIO
from urllib.parse import quote
from uuid import UUID

from core.errors import BadUpload
from core.filestore import FileStore, LocalStore, key_of, small_key_of
from core.filetypes import JPEG, KINDS, PNG, Kind, NotTaken, Reason, sniff
from core.ids import uuid7
from core.pictures import BrokenPicture, Place, TooManyPixels, remake, shrink
from core.text import nfc

__all__ = [
    "DEFAULT",
    "INLINE_TYPES",
    "FileStore",
    "Limits",
    "LocalStore",
    "Stored",
    "Upload",
    "clean_name",
    "content_disposition",
    "small",
    "take",
]

_WRITTEN = {kind.media_type: kind for kind in (JPEG, PNG)}
INLINE_TYPES = frozenset(_WRITTEN)
"""The only types a browser may show from our address: pictures that we wrote ourselves. All else is a download."""

SMALL_SIDE = 320  # pixels of the longest side of a small picture: sharp at 112 on a fine screen
_MIB = 1 << 20
_NAME_LENGTH = 120
# Decoding is CPU work, and the largest picture needs some 450 MB while it lasts: never more than two in a process.
_WORKERS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="files")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one message may bring: bytes unless said otherwise. Larger pictures than `side` pixels are scaled down."""

    files: int = 10
    each: int = 20 * _MIB
    together: int = 40 * _MIB
    pixels: int = 50_000_000
    side: int = 2560


DEFAULT = Limits()


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it came in, under the name its sender gave: whole bytes, or a seekable file the caller closes."""

    name: str
    data: bytes | BinaryIO

    def size(self) -> int:
        """Bytes, without reading them."""
        return len(self.data) if isinstance(self.data, bytes) else self.data.seek(0, os.SEEK_END)

    def read(self) -> bytes:
        """All bytes, from the start."""
        if isinstance(self.data, bytes):
            return self.data
        self.data.seek(0)
        return self.data.read()


@dataclass(frozen=True, slots=True)
class Stored:
    """A file as it was stored.

    `sha256` and `size` are of the stored bytes, `original_sha256` of the bytes as sent, by which a repeated request is
    known; `width`, `height` in pixels for pictures; `lat`, `lng` from EXIF, only where the sender agreed.
    """

    id: UUID
    sha256: str
    original_sha256: str
    name: str
    media_type: str
    size: int
    width: int | None
    height: int | None
    lat: float | None
    lng: float | None
    key: str


@dataclass(frozen=True, slots=True)
class _Checked:
    data: bytes
    original_sha256: str
    name: str
    kind: Kind
    width: int | None = None
    height: int | None = None
    place: Place | None = None


async def take(
    uploads: Sequence[Upload],
    store: FileStore,
    *,
    at: datetime,
    use_location: bool = False,
    limits: Limits = DEFAULT,
) -> list[Stored]:
    """Check all files of a message, then store them; `at` is when the message was received and dates the ids.

    Raises BadUpload for the first bad file, with nothing stored. EXIF location is read only with `use_location`.
    A caller whose transaction fails later leaves bytes no row names; they are stored once more under the same key
    when the message is sent again.
    """
    _check_amounts(uploads, limits)
    loop = asyncio.get_running_loop()
    checked = [
        # One after the other: one message never holds both workers.
        await loop.run_in_executor(_WORKERS, _check, upload, f"attachments[{index}]", use_location, limits)
        for index, upload in enumerate(uploads)
    ]
    return [await _store(file, store, at) for file in checked]


async def small(store: FileStore, sha256: str, media_type: str) -> bytes | None:
    """A JPEG of at most SMALL_SIDE pixels of a stored picture, made when it is first asked for and kept beside it.

    None for what is no picture, or one too damaged to decode. Raises FileNotFoundError when the bytes are gone.
    """
    kind = _WRITTEN.get(media_type)
    if kind is None:
        return None
    with suppress(FileNotFoundError):
        return await _bytes_of(store, small_key_of(sha256))
    data = await _bytes_of(store, key_of(sha256))
    loop = asyncio.get_running_loop()
    try:
        made = await loop.run_in_executor(_WORKERS, partial(shrink, data, kind, pixels=DEFAULT.pixels, side=SMALL_SIDE))
    except (BrokenPicture, TooManyPixels):
        return None
    with suppress(OSError):  # a full disk is no reason not to show it
        await store.put(small_key_of(sha256), made)
    return made


async def _bytes_of(store: FileStore, key: str) -> bytes:
    with await store.open(key) as stream:
        return await asyncio.to_thread(stream.read)


async def _store(file: _Checked, store: FileStore, at: datetime) -> Stored:
    sha256 = hashlib.sha256(file.data).hexdigest()
    key = key_of(sha256)
    await store.put(key, file.data)
    return Stored(
        id=uuid7(at),
        sha256=sha256,
        original_sha256=file.original_sha256,
        name=file.name,
        media_type=file.kind.media_type,
        size=len(file.data),
        width=file.width,
        height=file.height,
        lat=file.place.lat if file.place else None,
        lng=file.place.lng if file.place else None,
        key=key,
    )


def _check_amounts(uploads: Sequence[Upload], limits: Limits) -> None:
    if len(uploads) > limits.files:
        raise BadUpload(
            f"Mỗi lần chỉ gửi được tối đa {limits.files} tệp, anh/chị đang gửi {len(uploads)} tệp. "
            "Xin bớt tệp, hoặc gửi phần còn lại trong tin nhắn bổ sung.",
            where="attachments",
            code="too_many",
            status=422,
        )
    together = 0
    for index, upload in enumerate(uploads):
        size, where, name = upload.size(), f"attachments[{index}]", clean_name(upload.name)
        if size == 0:
            raise BadUpload(
                f"Tệp “{name}” trống, không có nội dung. Xin chọn lại tệp.", where=where, code="empty", status=422
            )
        if size > limits.each:
            raise BadUpload(
                f"Tệp “{name}” nặng {_megabytes(size)}, vượt mức {_megabytes(limits.each)} cho một tệp. "
                "Xin gửi tệp nhỏ hơn hoặc cắt ngắn video.",
                where=where,
                code="too_large",
                status=413,
            )
        together += size
    if together > limits.together:
        raise BadUpload(
            f"Các tệp cộng lại nặng {_megabytes(together)}, vượt mức {_megabytes(limits.together)} cho một lần gửi. "
            "Xin bớt tệp, hoặc gửi phần còn lại trong tin nhắn bổ sung.",
            where="attachments",
            code="too_large",
            status=413,
        )


def _megabytes(size: int) -> str:
    # Rounded up, so that a file just above the limit is never said to be as large as the limit.
    return f"{-(-size * 10 // _MIB) / 10:g} MB".replace(".", ",")


def _check(upload: Upload, where: str, use_location: bool, limits: Limits) -> _Checked:
    data, name = upload.read(), clean_name(upload.name)
    kind = _kind(data, name, where)
    digest = hashlib.sha256(data).hexdigest()
    if kind.family != "picture":
        return _Checked(data, digest, _named(name, kind), kind)
    try:
        picture = remake(data, kind, pixels=limits.pixels, side=limits.side, read_place=use_location)
    except TooManyPixels as error:
        raise BadUpload(
            f"Ảnh “{name}” có quá nhiều điểm ảnh (tối đa {limits.pixels // 1_000_000} megapixel). "
            "Xin gửi ảnh nhỏ hơn hoặc chụp màn hình ảnh đó rồi gửi.",
            where=where,
            code="too_many_pixels",
            status=413,
        ) from error
    except BrokenPicture as error:
        raise BadUpload(
            f"Ảnh “{name}” bị hỏng hoặc tải lên chưa đủ, không mở được. Xin chọn lại hoặc chụp lại ảnh.",
            where=where,
            code="broken_image",
            status=422,
        ) from error
    final = _named(name, picture.kind)
    return _Checked(picture.data, digest, final, picture.kind, picture.width, picture.height, picture.place)


_TAKEN = (
    "Xin gửi ảnh (JPEG, PNG, WebP, GIF), PDF, Word (.docx), Excel (.xlsx), "
    "video (MP4, MOV, 3GP) hoặc âm thanh (MP3, M4A, OGG, WAV)."
)
_WHY = {
    Reason.UNKNOWN: f"thuộc loại chúng tôi không nhận. {_TAKEN}",
    Reason.HEIC: (
        "là ảnh HEIC hoặc AVIF, hệ thống không mở được. Trên iPhone, xin vào Cài đặt > Camera > Định dạng, chọn "
        "“Tương thích nhất” rồi chụp lại; hoặc chụp màn hình ảnh đó và gửi ảnh chụp màn hình (JPEG, PNG)."
    ),
    Reason.OLD_OFFICE: "là tệp Office kiểu cũ. Xin lưu lại thành .docx, .xlsx hoặc PDF rồi gửi.",
    Reason.MACROS: "có chứa macro (mã chạy tự động) nên không được nhận. Xin lưu lại thành PDF rồi gửi.",
}


def _kind(data: bytes, name: str, where: str) -> Kind:
    try:
        candidates = sniff(data)
    except NotTaken as error:
        macros = error.reason is Reason.MACROS
        raise BadUpload(
            f"Tệp “{name}” {_WHY[error.reason]}",
            where=where,
            code="macros" if macros else "wrong_type",
            status=422 if macros else 415,
        ) from error
    extension = _split(name)[1]
    for kind in candidates:
        if extension in kind.extensions:
            return kind
    kind = candidates[0]
    if extension and not any(extension in other.extensions for other in KINDS if other.family == kind.family):
        raise BadUpload(
            f"Tên tệp “{name}” không khớp với nội dung: đuôi là .{extension} nhưng bên trong là "
            f"{kind.extensions[0].upper()}. Xin sửa đuôi tệp thành .{kind.extensions[0]} hoặc chọn lại tệp.",
            where=where,
            code="name_mismatch",
            status=415,
        )
    return kind


# Digits alone are no extension: “báo cáo ngày 12.5” has none.
_EXTENSION = re.compile(r"(?=.*[a-z])[a-z0-9]{1,8}")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9]) *(\.|$)", re.IGNORECASE)


def _split(name: str) -> tuple[str, str]:
    """The stem, and the extension in lower case or an empty string."""
    stem, dot, extension = name.rpartition(".")
    if dot and _EXTENSION.fullmatch(extension.lower()):
        return stem, extension.lower()
    return name, ""


def _named(name: str, kind: Kind) -> str:
    """The name with an extension of its kind, replaced or added, so that every system opens it as what it is."""
    stem, extension = _split(name)
    if extension in kind.extensions:
        return name
    return _shortened(stem, kind.extensions[0])


def clean_name(name: str) -> str:
    """A name safe to store, print and give back: one part, NFC, nothing invisible, at most 120 characters, never empty.

    Vietnamese letters stay. Path parts, leading dots, control and format characters (right-to-left overrides among
    them) go; what Windows reserves is replaced; the extension becomes lower case.
    """
    name = "".join(" " if c.isspace() else c for c in name)
    name = nfc("".join(c for c in name if not unicodedata.category(c).startswith("C")))
    name = re.split(r"[/\\]", name)[-1]
    name = re.sub(r'[<>:"|?*]', "_", name)
    name = " ".join(name.split()).strip(". ")
    if _RESERVED.match(name):
        name = "_" + name
    return _shortened(*_split(name)) if name else "tệp"


def _shortened(stem: str, extension: str) -> str:
    ending = f".{extension}" if extension else ""
    return stem[: _NAME_LENGTH - len(ending)].rstrip(". ") + ending


def content_disposition(name: str) -> str:
    """The header value that makes a browser save the file under `name` (RFC 6266, with RFC 5987 for its letters)."""
    name = clean_name(name)
    plain = unicodedata.normalize("NFKD", name.replace("đ", "d").replace("Đ", "D"))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    plain = re.sub(r"[^A-Za-z0-9._ ()\[\]+=,@-]", "_", plain)  # no quotes, and no % that old browsers would decode
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
