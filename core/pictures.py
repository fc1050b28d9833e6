"""Pictures made anew: decoded within bounds, turned upright, scaled, and written again with nothing but pixels in them.

Re-encoding is what removes EXIF, XMP, colour profiles, comments and anything hidden behind or inside the picture.
"""

import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from PIL import ExifTags, Image

from core.filetypes import JPEG, PNG, Kind

_SMALL_PNG = 1 << 20  # bytes as sent; screenshots and drawings stay sharp as PNG, photographs are better as JPEG
_JPEG_QUALITY, _SMALL_QUALITY = 85, 75
_SCANS = 100  # progressive JPEGs have about ten; thousands of near-empty ones cost minutes of CPU
_UPRIGHT = {  # EXIF tag Orientation → what undoes it
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Place(NamedTuple):
    """Degrees, WGS 84."""

    lat: float
    lng: float


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it will be stored; `width` and `height` in pixels, upright."""

    data: bytes
    kind: Kind
    width: int
    height: int
    place: Place | None


class BrokenPicture(ValueError):
    """Cut off, corrupt, or built to do harm."""


class TooManyPixels(ValueError):
    """More pixels than the limit, told from the header before anything is decoded."""


def remake(data: bytes, kind: Kind, *, pixels: int, side: int, read_place: bool) -> Picture:
    """Decode a picture of `kind` of at most `pixels` pixels and write it anew, its longest side at most `side` pixels.

    The first frame of an animation is kept. The same bytes give the same bytes. EXIF location is read only with
    `read_place`, and is gone from the result either way. Raises BrokenPicture or TooManyPixels.
    """
    with _only_our_errors():
        image, exif = _read(data, kind, pixels, side)
        place = _place(exif) if read_place else None
        return _encode(image, kind, len(data), place)


def shrink(data: bytes, kind: Kind, *, pixels: int, side: int) -> bytes:
    """A JPEG of a picture of `kind`, small enough for a list of many; what is see-through stands on white.

    The longest side has at most `side` pixels. Raises BrokenPicture or TooManyPixels.
    """
    with _only_our_errors():
        image, _ = _read(data, kind, pixels, side)
        if image.mode == "RGBA":
            ground = Image.new("RGB", image.size, "white")
            ground.paste(image, mask=image.getchannel("A"))
            image = ground
        return _jpeg(image, _SMALL_QUALITY)


@contextmanager
def _only_our_errors() -> Iterator[None]:
    try:
        yield
    except (BrokenPicture, TooManyPixels):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixels from error
    except Exception as error:  # decoders answer broken bytes with whatever they stumble over
        raise BrokenPicture from error


def _read(data: bytes, kind: Kind, pixels: int, side: int) -> tuple[Image.Image, Image.Exif]:
    with Image.open(io.BytesIO(data), formats=[kind.media_type.removeprefix("image/").upper()]) as opened:
        if opened.width * opened.height > pixels:
            raise TooManyPixels
        if kind is JPEG and _progressive_scans(data) > _SCANS:
            raise BrokenPicture
        image, exif = _decode(opened, side)
    return _upright(image, exif), exif


def _decode(opened: Image.Image, side: int) -> tuple[Image.Image, Image.Exif]:
    scale = side / max(opened.size)
    size = (max(1, round(opened.width * scale)), max(1, round(opened.height * scale)))
    if scale < 1:
        opened.draft(None, size)  # lets the JPEG decoder skip detail that scaling would drop: less time and memory
    opened.load()
    # PNG may carry EXIF after the pixels, so it is read only now.
    try:
        exif = opened.getexif()
    except Exception:  # damaged EXIF is no reason to refuse a good photograph
        exif = Image.Exif()
    image = _plain(opened)
    if scale < 1:
        image = image.resize(size, Image.Resampling.LANCZOS)
    return image, exif


def _plain(image: Image.Image) -> Image.Image:
    """The picture in one of the modes L, RGB or, only if something is see-through, RGBA."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        lowest, _ = image.getchannel("A").getextrema()
        return image if lowest != 255 else image.convert("RGB")
    if image.mode.startswith("I"):  # 16 bits of grey, which convert() would clip instead of scale
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _upright(image: Image.Image, exif: Image.Exif) -> Image.Image:
    turn = _UPRIGHT.get(exif.get(ExifTags.Base.Orientation, 1))
    return image if turn is None else image.transpose(turn)


def _encode(image: Image.Image, kind: Kind, sent_size: int, place: Place | None) -> Picture:
    if image.mode == "RGBA" or (kind is not JPEG and sent_size <= _SMALL_PNG):
        return Picture(_written(image, "PNG"), PNG, *image.size, place)
    return Picture(_jpeg(image, _JPEG_QUALITY), JPEG, *image.size, place)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    return _written(image, "JPEG", quality=quality, optimize=True)


def _written(image: Image.Image, form: str, **options: Any) -> bytes:
    image.info.clear()  # the writers would take comments and colour profiles from here
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


def _place(exif: Image.Exif) -> Place | None:
    """The position in EXIF, to a tenth of a metre, or None unless a possible one; (0, 0) is a camera without a fix."""
    try:
        gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
        lat = _degrees(gps[ExifTags.GPS.GPSLatitude], gps[ExifTags.GPS.GPSLatitudeRef], "NS")
        lng = _degrees(gps[ExifTags.GPS.GPSLongitude], gps[ExifTags.GPS.GPSLongitudeRef], "EW")
    except Exception:  # absent, or written wrongly in one of many ways
        return None
    possible = abs(lat) <= 90 and abs(lng) <= 180 and (lat, lng) != (0, 0)
    return Place(lat, lng) if possible else None


def _degrees(parts: tuple[float, float, float], ref: str, signs: str) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    if not (degrees >= 0 and 0 <= minutes < 60 and 0 <= seconds <= 60 and math.isfinite(degrees)):
        raise ValueError
    value = degrees + minutes / 60 + seconds / 3600
    return round((value, -value)[signs.index(ref.strip("\0 ").upper())], 6)


# A marker inside compressed data: not a stuffed 0xFF, not a restart.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9


def _progressive_scans(data: bytes) -> int:
    """How many scans a progressive JPEG holds; 0 for one that is not progressive, whose scans cannot be near-empty."""
    at, scans, progressive = 2, 0, False
    while found := _MARKER.search(data, at):
        code = data[found.start() + 1]
        if code == _END_OF_IMAGE:
            break
        if code == _START_OF_SCAN:
            if not progressive:
                break
            scans += 1
        progressive = progressive or code in _PROGRESSIVE
        at = found.end() + max(2, int.from_bytes(data[found.end() : found.end() + 2]))
    return scans
