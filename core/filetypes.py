"""What a file is, told from its bytes alone: the kinds we take, and why another is refused.

A closed list with exact checks rather than a guessing library: a guess with a confidence is no ground for refusing or
serving a citizen's file. Nothing here reads names, decodes a picture or keeps anything.
"""

import io
import re
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file we take. Its first extension is the usual one; names are corrected only within a family."""

    media_type: str
    extensions: tuple[str, ...]
    family: str


JPEG = Kind("image/jpeg", ("jpg", "jpeg", "jpe", "jfif"), "picture")
PNG = Kind("image/png", ("png",), "picture")
WEBP = Kind("image/webp", ("webp",), "picture")
GIF = Kind("image/gif", ("gif",), "picture")
PDF = Kind("application/pdf", ("pdf",), "pdf")
DOCX = Kind("application/vnd.openxmlformats-officedocument.wordprocessingml.document", ("docx",), "docx")
XLSX = Kind("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ("xlsx",), "xlsx")
MP4 = Kind("video/mp4", ("mp4", "m4v"), "iso")
MOV = Kind("video/quicktime", ("mov", "qt"), "iso")
VIDEO_3GP = Kind("video/3gpp", ("3gp", "3gpp"), "iso")
M4A = Kind("audio/mp4", ("m4a", "m4b"), "iso")
MP3 = Kind("audio/mpeg", ("mp3",), "mp3")
OGG = Kind("audio/ogg", ("ogg", "oga", "opus"), "ogg")
WAV = Kind("audio/wav", ("wav", "wave"), "wav")
KINDS = (JPEG, PNG, WEBP, GIF, PDF, DOCX, XLSX, MP4, MOV, VIDEO_3GP, M4A, MP3, OGG, WAV)


class Reason(Enum):
    """Why bytes are not taken."""

    UNKNOWN = "unknown"
    HEIC = "heic"
    OLD_OFFICE = "old_office"
    MACROS = "macros"


class NotTaken(ValueError):
    """These bytes are none of the kinds we take."""

    def __init__(self, reason: Reason = Reason.UNKNOWN) -> None:
        super().__init__(reason.value)
        self.reason = reason


def sniff(data: bytes) -> tuple[Kind, ...]:
    """The kinds these bytes may be, likeliest first; more than one only where containers are alike (MP4 and M4A).

    Raises NotTaken for everything else.
    """
    for prefix, kinds_of in _BY_PREFIX:
        if data.startswith(prefix):
            return kinds_of(data)
    if data[4:8] == b"ftyp":
        return _iso(data)
    if _mp3_frames(data, 0):
        return (MP3,)
    raise NotTaken


# Brands of ISO base media files (ISO/IEC 14496-12). Recorders write M4A and 3GP with general brands, so those leave
# the choice to the name.
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis"})
_MP4_BRANDS = frozenset(
    {
        b"isom",
        b"iso2",
        b"iso3",
        b"iso4",
        b"iso5",
        b"iso6",
        b"mp41",
        b"mp42",
        b"avc1",
        b"mmp4",
        b"MSNV",
        b"M4V ",
        b"dash",
    }
)


def _iso(data: bytes) -> tuple[Kind, ...]:
    size = int.from_bytes(data[:4])
    if not 16 <= size <= len(data):
        raise NotTaken
    brand = data[8:12]
    if brand in _HEIF_BRANDS:
        raise NotTaken(Reason.HEIC)
    if brand in _MP4_BRANDS:
        return (MP4, M4A, VIDEO_3GP)
    if brand in (b"M4A ", b"M4B "):
        return (M4A,)
    if brand == b"qt  ":
        return (MOV,)
    if re.fullmatch(rb"3g[pse][0-9]", brand):
        return (VIDEO_3GP, MP4, M4A)
    raise NotTaken


def _riff(data: bytes) -> tuple[Kind, ...]:
    form = data[8:16]
    if form.startswith(b"WEBPVP8"):
        return (WEBP,)
    if form.startswith(b"WAVE") and b"fmt " in data[12:4096]:
        return (WAV,)
    raise NotTaken


def _ogg(data: bytes) -> tuple[Kind, ...]:
    # The first page of every stream names its codec; a video stream (Theora) is not on our list.
    head = data[:512]
    known = any(codec in head for codec in (b"OpusHead", b"\x01vorbis", b"Speex  ", b"\x7fFLAC"))
    if data[4:5] == b"\0" and known and b"theora" not in head:
        return (OGG,)
    raise NotTaken


def _id3(data: bytes) -> tuple[Kind, ...]:
    # An ID3v2 tag: ten bytes, the last four its length with seven bits each; some writers pad with zeros after it.
    size_bytes = data[6:10]
    if len(size_bytes) == 4 and max(size_bytes) < 0x80:
        size = 0
        for byte in size_bytes:
            size = size << 7 | byte
        first = re.compile(rb"[^\0]").search(data, 10 + size)
        if first and _mp3_frames(data, first.start()):
            return (MP3,)
    raise NotTaken


_BITRATES_V1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_BITRATES_V2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_SAMPLE_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def _mp3_frames(data: bytes, at: int) -> bool:
    """Whether two MPEG layer III frames follow each other at `at`, or one ends the file: one alone may be chance."""
    length = _mp3_frame_length(data, at)
    return bool(length) and (at + length == len(data) or bool(_mp3_frame_length(data, at + length)))


def _mp3_frame_length(data: bytes, at: int) -> int:
    if at + 4 > len(data):
        return 0
    header = int.from_bytes(data[at : at + 4])
    version, layer = header >> 19 & 3, header >> 17 & 3
    bitrate, rate, padding = header >> 12 & 15, header >> 10 & 3, header >> 9 & 1
    if header >> 21 != 0x7FF or version == 1 or layer != 1 or bitrate in (0, 15) or rate == 3:
        return 0
    kilobits = (_BITRATES_V1 if version == 3 else _BITRATES_V2)[bitrate]
    return (144 if version == 3 else 72) * kilobits * 1000 // _SAMPLE_RATES[version][rate] + padding


def _pdf(data: bytes) -> tuple[Kind, ...]:
    if re.match(rb"%PDF-[12]\.[0-9]", data):
        return (PDF,)
    raise NotTaken


_DIRECTORY_LIMIT = 1 << 20  # bytes; a real document has tens of entries of about 80 bytes
_TYPES_LIMIT = 1 << 20  # bytes of [Content_Types].xml once unpacked
_MACRO_PARTS = re.compile(r"(^|/)(vbaproject\.bin|vbadata\.xml|activex/.*|macrosheets/.*)$", re.IGNORECASE)


def _office(data: bytes) -> tuple[Kind, ...]:
    """Word and Excel files without macros (ECMA-376); any other archive is refused, however it is named."""
    end = data.rfind(b"PK\x05\x06")
    if end < 0 or end + 16 > len(data) or data[max(0, end - 20) :].startswith(b"PK\x06\x07"):
        raise NotTaken  # no directory, or a 64-bit one, which files of this size never need
    (directory_size,) = struct.unpack_from("<I", data, end + 12)
    if directory_size > _DIRECTORY_LIMIT:
        raise NotTaken
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            with archive.open("[Content_Types].xml") as part:
                types = part.read(_TYPES_LIMIT)
    except Exception as error:  # zipfile raises a dozen kinds on broken input, from KeyError to zlib.error
        raise NotTaken from error
    if any(_MACRO_PARTS.search(name) for name in names) or b"macroenabled" in types.lower():
        raise NotTaken(Reason.MACROS)
    if b"wordprocessingml.document.main+xml" in types:
        return (DOCX,)
    if b"spreadsheetml.sheet.main+xml" in types:
        return (XLSX,)
    raise NotTaken


def _old_office(data: bytes) -> tuple[Kind, ...]:
    raise NotTaken(Reason.OLD_OFFICE)


_BY_PREFIX: tuple[tuple[bytes, Callable[[bytes], tuple[Kind, ...]]], ...] = (
    (b"\xff\xd8\xff", lambda _: (JPEG,)),
    (b"\x89PNG\r\n\x1a\n", lambda _: (PNG,)),
    (b"GIF87a", lambda _: (GIF,)),
    (b"GIF89a", lambda _: (GIF,)),
    (b"RIFF", _riff),
    (b"%PDF-", _pdf),
    (b"PK\x03\x04", _office),
    (b"OggS", _ogg),
    (b"ID3", _id3),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _old_office),
)
