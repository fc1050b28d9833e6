"""What is taken from people, what is refused and in which words, and that nothing but pixels is left of a picture."""

import asyncio
import hashlib
import io
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unicodedata
import zipfile
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

import piexif
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, PngImagePlugin

from core.errors import BadUpload
from core.files import (
    INLINE_TYPES,
    Limits,
    LocalStore,
    Stored,
    Upload,
    clean_name,
    content_disposition,
    small,
    take,
)
from core.filestore import key_of, small_key_of

AT = datetime(2026, 1, 5, 8, 30, tzinfo=UTC)
SMALL = Limits(side=64)


class Shelf:
    """A FileStore in memory that shows what was put."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    async def put(self, key: str, data: bytes) -> None:
        self.files[key] = data

    async def open(self, key: str) -> BinaryIO:
        return io.BytesIO(self.files[key])

    async def exists(self, key: str) -> bool:
        return key in self.files

    async def delete(self, key: str) -> None:
        self.files.pop(key, None)


# --- real bytes ---------------------------------------------------------------------------------------------------


def drawing(width: int = 40, height: int = 30, mode: str = "RGB") -> Image.Image:
    """White, its upper left quarter red: enough to tell which way is up."""
    image = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(image).rectangle((0, 0, width // 2 - 1, max(0, height // 2 - 1)), fill="red")
    return image.convert(mode)


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    small = Image.effect_noise((max(1, width // 4), max(1, height // 4)), 80).resize((width, height))
    return small.convert(mode)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


def gps(lat: tuple, lng: tuple, refs: str = "NE", orientation: int = 1) -> bytes:
    """EXIF with a position; `lat` and `lng` are three (numerator, denominator) pairs."""
    tags = {
        piexif.GPSIFD.GPSLatitudeRef: refs[0],
        piexif.GPSIFD.GPSLatitude: lat,
        piexif.GPSIFD.GPSLongitudeRef: refs[1],
        piexif.GPSIFD.GPSLongitude: lng,
    }
    zeroth = {piexif.ImageIFD.Orientation: orientation, piexif.ImageIFD.Make: "Máy ảnh".encode()}
    return cast(bytes, piexif.dump({"0th": zeroth, "GPS": tags}))


DONG_XOAI = gps(((11, 1), (32, 1), (600, 100)), ((106, 1), (53, 1), (2400, 100)))  # 11°32'6"N 106°53'24"E


def archive(**parts: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
        for name, text in parts.items():
            out.writestr(name.replace("__", "/").replace("Types", "[Content_Types].xml"), text)
    return target.getvalue()


def office(main: str, **parts: str) -> bytes:
    types = f'<Types><Override ContentType="application/vnd.openxmlformats-officedocument.{main}.main+xml"/></Types>'
    return archive(Types=types, **{"word__document.xml": "<w/>"}, **parts)


def crowded() -> bytes:
    """A document with more entries than any real one, so that listing them alone costs time."""
    types = "<Types>wordprocessingml.document.main+xml</Types>"
    return archive(Types=types, **{f"word__{number:0200}": "" for number in range(4500)})


def in_64_bits(data: bytes) -> bytes:
    """The same archive with a 64-bit directory record, which would outvote the sizes we look at."""
    end = data.rindex(b"PK\x05\x06")
    entries, size, start = struct.unpack_from("<HII", data, end + 10)
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, size, start)
    return data[:end] + record + struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1) + data[end:]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bomb_png(width: int, height: int) -> bytes:
    """A header that promises many pixels before a few bytes of them."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(bytes(1000))) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def scan_bomb() -> bytes:
    """A progressive JPEG whose last scan is repeated a thousand times: little to send, long to decode."""
    data = encoded(noise(64, 64), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 1000 + b"\xff\xd9"


def ftyp(brand: bytes) -> bytes:
    return struct.pack(">I", 24) + b"ftyp" + brand + b"\0\0\2\0" + b"isommp41" + struct.pack(">I", 8) + b"mdat"


MP3_FRAME = b"\xff\xfb\x90\x00" + bytes(413)  # MPEG 1 layer III, 128 kbit/s, 44.1 kHz: 417 bytes
ID3 = b"ID3\x04\0\0" + b"\0\0\0\x0a" + b"TIT2" + bytes(6)
OPUS = b"OggS\0\x02" + bytes(20) + b"\x01\x13" + b"OpusHead" + bytes(11)
WAV = (
    b"RIFF"
    + struct.pack("<I", 36)
    + b"WAVEfmt "
    + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
    + b"data\0\0\0\0"
)
PDF = b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
EXE = b"MZ\x90\x00" + bytes(200) + b"PE\0\0"
SVG = b'<?xml version="1.0"?><svg xmlns="urn:svg"><script>alert(1)</script></svg>'
PHOTO = encoded(drawing(), "JPEG")
DOCX = office("wordprocessingml.document")


async def one(name: str, data: bytes, *, use_location: bool = False, limits: Limits = SMALL) -> tuple[Stored, bytes]:
    shelf = Shelf()
    (stored,) = await take([Upload(name, data)], shelf, at=AT, use_location=use_location, limits=limits)
    return stored, shelf.files[stored.key]


async def refusal(*uploads: Upload, limits: Limits = SMALL) -> BadUpload:
    shelf = Shelf()
    with pytest.raises(BadUpload) as caught:
        await take(uploads, shelf, at=AT, limits=limits)
    assert shelf.files == {}
    return caught.value


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def red_corner(image: Image.Image) -> str:
    """Where the red quarter of `drawing` lies."""
    width, height = image.size
    rgb = image.convert("RGB")
    spots = {"upper left": (1, 1), "upper right": (width - 2, 1), "lower left": (1, height - 2)}
    spots["lower right"] = (width - 2, height - 2)
    (corner,) = [name for name, spot in spots.items() if cast(tuple, rgb.getpixel(spot))[1] < 128]
    return corner


# --- what is taken ------------------------------------------------------------------------------------------------

TAKEN = [
    # name as sent, bytes, name as kept, type
    ("ổ gà.jpg", PHOTO, "ổ gà.jpg", "image/jpeg"),
    ("IMG_1.JPEG", PHOTO, "IMG_1.jpeg", "image/jpeg"),
    ("chụp.jpg", encoded(drawing(), "PNG"), "chụp.png", "image/png"),  # a PNG under another picture's name
    ("sticker.webp", encoded(drawing(), "WEBP"), "sticker.png", "image/png"),
    ("động.gif", encoded(drawing(), "GIF", save_all=True, append_images=[noise(40, 30)]), "động.png", "image/png"),
    ("blob", PHOTO, "blob.jpg", "image/jpeg"),  # no extension, as vendors send
    ("báo cáo ngày 12.5", PDF, "báo cáo ngày 12.5.pdf", "application/pdf"),  # digits are no extension
    ("đơn.PDF", PDF, "đơn.pdf", "application/pdf"),
    ("đơn.docx", DOCX, "đơn.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (
        "bảng.xlsx",
        office("spreadsheetml.sheet"),
        "bảng.xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    ("a.mp4", ftyp(b"isom"), "a.mp4", "video/mp4"),
    ("a.m4a", ftyp(b"mp42"), "a.m4a", "audio/mp4"),  # recorders use the general brand for sound too
    ("a.m4a", ftyp(b"M4A "), "a.m4a", "audio/mp4"),
    ("a.mov", ftyp(b"qt  "), "a.mov", "video/quicktime"),
    ("a.mp4", ftyp(b"qt  "), "a.mov", "video/quicktime"),  # renamed by a messenger
    ("a.3gp", ftyp(b"3gp4"), "a.3gp", "video/3gpp"),
    ("a.mp3", ID3 + MP3_FRAME * 2, "a.mp3", "audio/mpeg"),
    ("a.mp3", ID3 + bytes(64) + MP3_FRAME * 2, "a.mp3", "audio/mpeg"),  # padding after the tag
    ("a.mp3", MP3_FRAME * 3, "a.mp3", "audio/mpeg"),  # no tag
    ("a.ogg", OPUS, "a.ogg", "audio/ogg"),
    ("a.opus", OPUS, "a.opus", "audio/ogg"),
    ("a.wav", WAV, "a.wav", "audio/wav"),
]


@pytest.mark.parametrize(("name", "data", "kept", "media_type"), TAKEN)
async def test_a_file_is_kept_under_its_true_type_and_a_name_that_agrees(name, data, kept, media_type):
    stored, written = await one(name, data)

    assert (stored.name, stored.media_type, stored.size) == (kept, media_type, len(written))
    assert stored.sha256 == hashlib.sha256(written).hexdigest()
    assert stored.original_sha256 == hashlib.sha256(data).hexdigest()
    assert stored.key == key_of(stored.sha256)
    assert stored.id.version == 7
    if not media_type.startswith("image/"):
        assert written == data
        assert (stored.width, stored.height, stored.lat, stored.lng) == (None,) * 4
        assert media_type not in INLINE_TYPES


async def test_a_file_on_disk_is_read_from_its_start():
    with tempfile.SpooledTemporaryFile(max_size=10) as spool:
        spool.write(PHOTO)
        stored = await take([Upload("a.jpg", cast(BinaryIO, spool))], Shelf(), at=AT)

    assert stored[0].original_sha256 == hashlib.sha256(PHOTO).hexdigest()


async def test_the_same_file_twice_in_a_message_gives_two_rows_on_one_key():
    first, second = await take([Upload("a.jpg", PHOTO), Upload("b.jpg", PHOTO)], Shelf(), at=AT)

    assert (first.key, first.name, second.name) == (second.key, "a.jpg", "b.jpg")
    assert first.id != second.id


# --- what is refused ----------------------------------------------------------------------------------------------

REFUSED = [
    # name, bytes, code, status
    ("ảnh.jpg", EXE, "wrong_type", 415),  # a program under a picture's name
    ("ảnh.exe", PHOTO, "name_mismatch", 415),
    ("ảnh.pdf", PHOTO, "name_mismatch", 415),
    ("đơn.jpg", PDF, "name_mismatch", 415),
    ("đơn.xlsx", DOCX, "name_mismatch", 415),
    ("ảnh.svg", SVG, "wrong_type", 415),
    ("ảnh.png", SVG, "wrong_type", 415),
    ("trang.html", b"<!doctype html><script>alert(1)</script>", "wrong_type", 415),
    ("trang.pdf", b"<html>%PDF-1.4", "wrong_type", 415),  # the mark must come first
    ("chạy.sh", b"#!/bin/sh\nrm -rf /\n", "wrong_type", 415),
    ("chữ.txt", "xin chào".encode(), "wrong_type", 415),
    ("nén.zip", archive(a="x"), "wrong_type", 415),
    ("nén.docx", archive(a="x"), "wrong_type", 415),  # an archive under a document's name
    ("trình.docx", office("presentationml.presentation"), "wrong_type", 415),
    ("đơn.docx", DOCX[: len(DOCX) // 2], "wrong_type", 415),  # cut off
    ("đơn.docx", office("wordprocessingml.document", **{"word__vbaProject.bin": "x"}), "macros", 422),
    ("đơn.docx", office("wordprocessingml.document", **{"WORD__VBAPROJECT.BIN": "x"}), "macros", 422),
    ("đơn.docm", archive(Types="application/vnd.ms-word.document.macroEnabled.main+xml"), "macros", 422),
    ("bảng.xlsx", office("spreadsheetml.sheet", **{"xl__macrosheets__sheet1.xml": "x"}), "macros", 422),
    ("đơn.docx", crowded(), "wrong_type", 415),
    ("đơn.docx", in_64_bits(DOCX), "wrong_type", 415),
    ("cũ.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "wrong_type", 415),
    ("ảnh.heic", ftyp(b"heic"), "wrong_type", 415),
    ("ảnh.jpg", ftyp(b"mif1"), "wrong_type", 415),
    ("a.mp4", ftyp(b"xxxx"), "wrong_type", 415),
    ("a.mp4", b"\xff\xff\xff\xffftypisom", "wrong_type", 415),  # a box longer than the file
    ("a.mp3", MP3_FRAME[:-1] + b"garbage", "wrong_type", 415),  # one frame and no second
    ("a.mp3", ID3 + EXE, "wrong_type", 415),
    ("a.mp3", b"ID3", "wrong_type", 415),
    ("a.ogg", b"OggS\0\x02" + bytes(22) + b"\x80theora" + bytes(20) + OPUS, "wrong_type", 415),
    ("a.wav", b"RIFF\0\0\0\0AVI LIST", "wrong_type", 415),
    ("trống.jpg", b"", "empty", 422),
    ("ảnh.jpg", PHOTO[: len(PHOTO) * 2 // 3], "broken_image", 422),
    ("ảnh.jpg", PHOTO[:20], "broken_image", 422),
    ("ảnh.png", encoded(noise(40, 30), "PNG")[:-200], "broken_image", 422),
    ("ảnh.webp", encoded(noise(40, 30), "WEBP")[:-50], "broken_image", 422),
    ("ảnh.gif", b"GIF89a" + bytes(20), "broken_image", 422),
    ("ảnh.png", bomb_png(40_000, 40_000), "too_many_pixels", 413),  # above the library's own bound
    ("ảnh.png", bomb_png(10_000, 9_000), "too_many_pixels", 413),  # where the library only warns
    ("ảnh.png", bomb_png(7_100, 7_100), "too_many_pixels", 413),  # where only our bound speaks
    ("ảnh.jpg", scan_bomb(), "broken_image", 422),
]


@pytest.mark.parametrize(("name", "data", "code", "status"), REFUSED)
async def test_a_bad_file_is_refused_with_a_sentence_that_names_it_and_its_neighbours_are_not_stored(
    name, data, code, status
):
    bad = await refusal(Upload("tốt.jpg", PHOTO), Upload(name, data), Upload("tốt.pdf", PDF))

    assert (bad.code, bad.status) == (code, status)
    assert bad.errors == [{"where": "attachments[1]", "detail": bad.vi, "code": code}]
    assert f"“{name}”" in bad.vi
    assert "Xin " in bad.vi or "xin " in bad.vi  # every sentence says what to do


async def test_heic_is_refused_with_the_way_to_send_a_jpeg():
    bad = await refusal(Upload("IMG_0001.HEIC", ftyp(b"heic")))

    assert "Tương thích nhất" in bad.vi
    assert "JPEG" in bad.vi


AMOUNTS = [
    # sizes in bytes, limits, where, code, status
    ([len(PHOTO)] * 11, Limits(), "attachments", "too_many", 422),
    ([len(PHOTO)] * 200, Limits(), "attachments", "too_many", 422),
    ([50 << 20], Limits(), "attachments[0]", "too_large", 413),
    ([1000, (20 << 20) + 1], Limits(), "attachments[1]", "too_large", 413),
    ([15 << 20, 15 << 20, 11 << 20], Limits(), "attachments", "too_large", 413),
    ([1000, 0], Limits(), "attachments[1]", "empty", 422),
]


@pytest.mark.parametrize(("sizes", "limits", "where", "code", "status"), AMOUNTS)
async def test_too_many_or_too_large_is_refused_before_anything_is_read(sizes, limits, where, code, status):
    class Unread(io.BytesIO):
        def read(self, *_):
            raise AssertionError("read")

    uploads = [Upload(f"{number}.pdf", Unread(bytes(size))) for number, size in enumerate(sizes)]
    bad = await refusal(*uploads, limits=limits)

    assert (bad.errors[0]["where"], bad.code, bad.status) == (where, code, status)


async def test_exactly_as_much_as_allowed_is_taken():
    stored = await take([Upload(f"{n}.pdf", PDF) for n in range(10)], Shelf(), at=AT, limits=Limits(each=len(PDF)))

    assert len(stored) == 10


async def test_a_size_just_above_the_limit_is_not_said_to_be_the_limit():
    bad = await refusal(Upload("a.pdf", bytes((20 << 20) + 1)), limits=Limits())

    assert "20,1 MB" in bad.vi
    assert "mức 20 MB" in bad.vi


# --- pictures -----------------------------------------------------------------------------------------------------


def with_secrets(form: str) -> bytes:
    """A picture with a place, a colour profile, XMP and comments, and a page hidden behind it."""
    tail = b"<html><script>alert('secret')</script></html>"
    profile = b"secret" * 20
    if form == "JPEG":
        xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">secret</x:xmpmeta>'
        data = encoded(drawing(), form, exif=DONG_XOAI, icc_profile=profile, comment="secret", xmp=xmp)
        return data + tail
    if form == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_text("Comment", "secret")
        return encoded(drawing(), form, exif=DONG_XOAI, icc_profile=profile, pnginfo=info) + tail
    if form == "WEBP":
        return encoded(drawing(), form, exif=DONG_XOAI, icc_profile=profile, xmp=b"secret", lossless=True) + tail
    return encoded(drawing(), form, comment=b"secret") + tail


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF"])
async def test_nothing_but_pixels_is_left_of_a_picture(form):
    sent = with_secrets(form)
    assert b"secret" in sent

    stored, written = await one(f"a.{form.lower()}", sent, use_location=True)

    image = opened(written)
    assert image.size == (stored.width, stored.height) == (40, 30)
    assert dict(image.getexif()) == {}
    assert not {"exif", "icc_profile", "comment", "xmp", "Comment", "photoshop", "mp"} & set(image.info)
    assert b"secret" not in written
    assert b"<html>" not in written
    assert stored.media_type in INLINE_TYPES
    assert red_corner(image) == "upper left"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
async def test_the_place_in_a_picture_is_read_only_with_consent_and_stripped_either_way(form):
    sent = encoded(drawing(), form, exif=DONG_XOAI)

    agreed, agreed_bytes = await one("a.jpg", sent, use_location=True)
    silent, silent_bytes = await one("a.jpg", sent)

    assert (agreed.lat, agreed.lng) == (11.535, 106.89)
    assert (silent.lat, silent.lng) == (None, None)
    assert agreed_bytes == silent_bytes
    assert dict(opened(agreed_bytes).getexif()) == {}


PLACES = [
    # EXIF, expected
    (gps(((11, 1), (32, 1), (6, 1)), ((106, 1), (53, 1), (24, 1)), "SW"), (-11.535, -106.89)),
    (gps(((11535, 1000), (0, 1), (0, 1)), ((10689, 100), (0, 1), (0, 1))), (11.535, 106.89)),  # decimal degrees
    (gps(((90, 1), (0, 1), (0, 1)), ((180, 1), (0, 1), (0, 1))), (90, 180)),
    (gps(((0, 1), (0, 1), (0, 1)), ((0, 1), (0, 1), (0, 1))), None),  # no fix
    (gps(((91, 1), (0, 1), (0, 1)), ((106, 1), (0, 1), (0, 1))), None),  # outside the world
    (gps(((11, 1), (0, 1), (0, 1)), ((181, 1), (0, 1), (0, 1))), None),
    (gps(((11, 0), (0, 1), (0, 1)), ((106, 1), (0, 1), (0, 1))), None),  # divided by zero
    (gps(((11, 1), (0, 0), (0, 1)), ((106, 1), (0, 1), (0, 1))), None),
    (gps(((11, 1), (75, 1), (0, 1)), ((106, 1), (0, 1), (0, 1))), None),  # 75 minutes
    (gps(((11, 1), (0, 1)), ((106, 1), (0, 1), (0, 1))), None),  # a part is missing
    (gps(((11, 1), (0, 1), (0, 1)), ((106, 1), (0, 1), (0, 1)), "XE"), None),
    (piexif.dump({"0th": {piexif.ImageIFD.Make: b"x"}}), None),
]


@pytest.mark.parametrize(("exif", "expected"), PLACES)
async def test_only_a_possible_place_is_believed(exif, expected):
    stored, _ = await one("a.jpg", encoded(drawing(), "JPEG", exif=exif), use_location=True)

    assert ((stored.lat, stored.lng) if stored.lat is not None else None) == expected


@pytest.mark.filterwarnings("ignore:Corrupt EXIF|Possibly corrupt EXIF|Truncated File:UserWarning")
async def test_damaged_exif_does_not_cost_a_good_photograph():
    sent = encoded(drawing(), "JPEG", exif=DONG_XOAI[:60])

    stored, written = await one("a.jpg", sent, use_location=True)

    assert (stored.lat, opened(written).size) == (None, (40, 30))


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_a_picture_is_stored_upright_whatever_its_orientation_tag(orientation):
    # How the camera would have held it: the picture turned by the inverse of what the tag asks for.
    held = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    image = drawing(128, 96) if held is None else drawing(128, 96).transpose(held)
    sent = encoded(image, "JPEG", exif=piexif.dump({"0th": {piexif.ImageIFD.Orientation: orientation}}))

    stored, written = await one("a.jpg", sent)

    assert (stored.width, stored.height) == opened(written).size == (64, 48)
    assert red_corner(opened(written)) == "upper left"


SHAPES = [
    # size as sent, size as stored with a longest side of 64
    ((64, 10), (64, 10)),
    ((65, 65), (64, 64)),
    ((1000, 500), (64, 32)),
    ((300, 1200), (16, 64)),
    ((2000, 1), (64, 1)),
]


@pytest.mark.parametrize(("sent", "expected"), SHAPES)
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
async def test_the_longest_side_is_bounded_and_the_shape_kept(sent, expected, form):
    stored, written = await one("a.jpg", encoded(drawing(*sent), form))

    assert (stored.width, stored.height) == opened(written).size == expected


def see_through() -> Image.Image:
    image = drawing(mode="RGBA")
    image.putpixel((39, 29), (0, 0, 0, 0))
    return image


def grey16() -> Image.Image:
    return Image.frombytes("I;16", (2, 1), struct.pack("<2H", 0x4000, 0xFFFF))


MODES = [
    # what was sent, form stored, mode stored
    (encoded(see_through(), "PNG"), "PNG", "RGBA"),
    (encoded(see_through(), "WEBP"), "PNG", "RGBA"),
    (encoded(drawing(mode="RGBA"), "PNG"), "PNG", "RGB"),  # opaque all over, as screenshots are
    (encoded(drawing(mode="P"), "PNG"), "PNG", "RGB"),
    (encoded(drawing().quantize(2), "PNG", transparency=0), "PNG", "RGBA"),
    (encoded(drawing(mode="1"), "PNG"), "PNG", "L"),
    (encoded(drawing(mode="L"), "JPEG"), "JPEG", "L"),
    (encoded(drawing(mode="CMYK"), "JPEG"), "JPEG", "RGB"),
    (encoded(noise(1200, 1200), "PNG", compress_level=0), "JPEG", "RGB"),  # over a megabyte: a photograph
    (encoded(drawing(), "MPO", save_all=True, append_images=[noise(9, 9)]), "JPEG", "RGB"),  # as some phones write
]


@pytest.mark.parametrize(("sent", "form", "mode"), MODES)
async def test_photographs_become_jpeg_and_see_through_or_small_drawings_png(sent, form, mode):
    stored, written = await one("a.png", sent)

    image = opened(written)
    assert (image.format, image.mode) == (form, mode)
    assert stored.name == {"PNG": "a.png", "JPEG": "a.jpg"}[form]


async def test_sixteen_bits_of_grey_are_scaled_not_clipped():
    _, written = await one("a.png", encoded(grey16(), "PNG"))

    assert opened(written).tobytes() == b"\x3f\xff"


async def test_the_same_photograph_gives_the_same_bytes():
    sent = encoded(noise(500, 400), "JPEG")

    (_, first), (_, second) = await one("a.jpg", sent), await one("a.jpg", sent)

    assert first == second


async def test_a_progressive_photograph_is_taken():
    stored, _ = await one("a.jpg", encoded(noise(500, 400), "JPEG", progressive=True, exif=DONG_XOAI))

    assert stored.width == 64


async def test_other_work_goes_on_while_a_picture_is_made_anew():
    sent = encoded(noise(3000, 2000), "JPEG")
    task = asyncio.create_task(take([Upload("a.jpg", sent)], Shelf(), at=AT))
    turns = 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1

    assert turns > 20


# --- names --------------------------------------------------------------------------------------------------------

NAMES = [
    # as sent, cleaned
    ("Ổ gà đường Hùng Vương.jpg", "Ổ gà đường Hùng Vương.jpg"),
    (unicodedata.normalize("NFD", "Ổ gà.jpg"), "Ổ gà.jpg"),
    ("a\0b\r\n.jpg", "ab.jpg"),
    ("../../etc/passwd", "passwd"),
    ("..\\..\\windows\\system.ini", "system.ini"),
    ("C:\\Users\\Lan\\ảnh.jpg", "ảnh.jpg"),
    ("/", "tệp"),
    ("", "tệp"),
    ("...", "tệp"),
    ("\u202e\u200b", "tệp"),
    (".htaccess", "htaccess"),
    ("photo\u202egpj.exe", "photogpj.exe"),  # shown as photoexe.jpg before
    ("evil.exe. .", "evil.exe"),
    ("con.jpg", "_con.jpg"),
    ("CON .jpg", "_CON.jpg"),
    ("contact.jpg", "contact.jpg"),
    ('a<b>:"|?*.jpg', "a_b______.jpg"),
    ("a \u00a0\t b.jpg", "a b.jpg"),
    ("x" * 300 + ".jpeg", "x" * 115 + ".jpeg"),
    ("ữ" * 300, "ữ" * 120),
    ("a\tb\u2029c.jpg", "a b c.jpg"),
    ("\ud800a.jpg", "a.jpg"),  # half a character
]


@pytest.mark.parametrize(("sent", "cleaned"), NAMES)
def test_a_name_is_made_harmless_and_stays_readable(sent, cleaned):
    assert clean_name(sent) == cleaned


@given(st.text(max_size=300))
def test_a_cleaned_name_holds_to_every_rule_and_stays_as_it_is(sent):
    name = clean_name(sent)

    assert 0 < len(name) <= 120
    assert unicodedata.is_normalized("NFC", name)
    assert not name.startswith(".")
    assert not re.search(r"[/\\\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]", name)
    assert clean_name(name) == name


DISPOSITIONS = [
    ("anh.jpg", "attachment; filename=\"anh.jpg\"; filename*=UTF-8''anh.jpg"),
    ("đơn 1.pdf", "attachment; filename=\"don 1.pdf\"; filename*=UTF-8''%C4%91%C6%A1n%201.pdf"),
    ("100%;x'.pdf", "attachment; filename=\"100__x_.pdf\"; filename*=UTF-8''100%25%3Bx%27.pdf"),
    ("日本.pdf", "attachment; filename=\"__.pdf\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.pdf"),
]


@pytest.mark.parametrize(("name", "header"), DISPOSITIONS)
def test_a_download_carries_its_name_for_old_and_new_browsers(name, header):
    assert content_disposition(name) == header


@given(st.text(max_size=200))
def test_no_name_breaks_out_of_the_header(name):
    header = content_disposition(name)

    assert re.fullmatch(r"attachment; filename=\"[ -!#-\[\]-~]+\"; filename\*=UTF-8''[A-Za-z0-9._~%-]+", header)


# --- anything at all ----------------------------------------------------------------------------------------------

GENUINE = [data for _, data, _, _ in TAKEN]
EXTENSIONS = ["", ".jpg", ".png", ".pdf", ".docx", ".mp4", ".mp3", ".exe"]


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """A genuine file with some bytes changed, cut off, or followed by others."""
    data = bytearray(draw(st.sampled_from(GENUINE)))
    for _ in range(draw(st.integers(0, 6))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))]) + draw(st.binary(max_size=40))


@pytest.mark.filterwarnings("default")  # the library warns of odd files; what counts is what take() does
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=st.one_of(
        spoiled(),
        st.binary(max_size=200),
        st.builds(bytes.__add__, st.sampled_from([data[:16] for data in GENUINE]), st.binary(max_size=200)),
    ),
    name=st.builds(str.__add__, st.text(max_size=40), st.sampled_from(EXTENSIONS)),
)
async def test_whatever_arrives_is_either_stored_clean_or_refused_in_words(data, name):
    shelf = Shelf()
    try:
        (stored,) = await take([Upload(name, data)], shelf, at=AT, use_location=True, limits=SMALL)
    except BadUpload:
        assert shelf.files == {}
        return
    written = shelf.files[stored.key]
    if stored.media_type in INLINE_TYPES:
        image = opened(written)
        assert image.size == (stored.width, stored.height)
        assert dict(image.getexif()) == {}
        assert max(image.size) <= SMALL.side
    else:
        assert not stored.media_type.startswith("image/")
        assert written == data


# --- small pictures -----------------------------------------------------------------------------------------------


async def shelved(store: LocalStore, name: str, data: bytes) -> Stored:
    (stored,) = await take([Upload(name, data)], store, at=AT)
    return stored


@pytest.mark.parametrize(
    ("picture", "form", "size"),
    [
        (drawing(1600, 1200), "JPEG", (320, 240)),
        (drawing(600, 1200), "PNG", (160, 320)),
        (drawing(40, 30), "PNG", (40, 30)),  # never larger than it is
        (drawing(640, 640, "RGBA"), "PNG", (320, 320)),
    ],
)
async def test_a_picture_has_a_small_one_made_once_and_kept_beside_it(tmp_path, monkeypatch, picture, form, size):
    store = LocalStore(tmp_path)
    stored = await shelved(store, f"a.{form.lower()}", encoded(picture, form))

    made = await small(store, stored.sha256, stored.media_type)

    assert made is not None
    image = opened(made)
    assert (image.format, image.size) == ("JPEG", size)
    assert red_corner(image) == "upper left"
    assert files_below(tmp_path) == sorted([stored.key, small_key_of(stored.sha256)])
    monkeypatch.setattr("core.files.shrink", None)  # and not asked again
    assert await small(store, stored.sha256, stored.media_type) == made


async def test_what_is_see_through_stands_on_white_in_a_small_picture(tmp_path):
    store = LocalStore(tmp_path)
    stored = await shelved(store, "a.png", encoded(Image.new("RGBA", (400, 400), (0, 0, 0, 0)), "PNG"))

    made = await small(store, stored.sha256, stored.media_type)

    assert made is not None
    assert opened(made).getpixel((10, 10)) == (255, 255, 255)


async def test_nothing_but_pixels_is_in_a_small_picture_even_of_bytes_that_hold_more(tmp_path):
    data = with_secrets("JPEG")  # as if an older version had stored them so
    digest = hashlib.sha256(data).hexdigest()
    store = LocalStore(tmp_path)
    await store.put(key_of(digest), data)

    made = await small(store, digest, "image/jpeg")

    assert made is not None
    assert b"secret" not in made
    assert dict(opened(made).getexif()) == {}


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (encoded(drawing(), "JPEG")[:200], "image/jpeg"),  # the disk lost its end
        (b"", "image/png"),
        (encoded(drawing(), "PNG"), "image/jpeg"),
        (bomb_png(60_000, 60_000), "image/png"),
        (b"%PDF-1.7", "application/pdf"),
        (b"\x00\x00\x00\x18ftypmp42", "video/mp4"),
    ],
)
async def test_what_is_no_sound_picture_has_no_small_one(tmp_path, data, media_type):
    digest = hashlib.sha256(data).hexdigest()
    store = LocalStore(tmp_path)
    await store.put(key_of(digest), data)

    assert await small(store, digest, media_type) is None
    assert files_below(tmp_path) == [key_of(digest)]


async def test_a_full_disk_does_not_cost_a_small_picture(tmp_path, monkeypatch):
    store = LocalStore(tmp_path)
    stored = await shelved(store, "a.jpg", encoded(drawing(), "JPEG"))

    async def full(key: str, data: bytes) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(store, "put", full)
    assert await small(store, stored.sha256, stored.media_type) is not None


async def test_a_small_picture_goes_with_its_picture(tmp_path):
    store = LocalStore(tmp_path)
    stored = await shelved(store, "a.jpg", encoded(drawing(), "JPEG"))
    await small(store, stored.sha256, stored.media_type)

    await store.delete(stored.key)

    assert files_below(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        await small(store, stored.sha256, stored.media_type)


# --- the local folder ---------------------------------------------------------------------------------------------

BYTES = b"noi dung"
KEY = key_of(hashlib.sha256(BYTES).hexdigest())


def files_below(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


async def test_bytes_come_back_and_go_when_told(tmp_path):
    store = LocalStore(tmp_path / "files")

    assert not await store.exists(KEY)
    with pytest.raises(FileNotFoundError):
        await store.open(KEY)
    await store.put(KEY, BYTES)
    await store.put(KEY, BYTES)
    with await store.open(KEY) as file:
        assert file.read() == BYTES
    assert await store.exists(KEY)
    assert files_below(tmp_path / "files") == [KEY]
    await store.delete(KEY)
    await store.delete(KEY)
    assert not await store.exists(KEY)
    assert files_below(tmp_path / "files") == []


BAD_KEYS = [
    "",
    "../../etc/passwd",
    "/etc/passwd",
    KEY.upper(),
    KEY + "\n",
    KEY + "/x",
    "zz/" + KEY[3:],
    ("00" if KEY[:2] != "00" else "11") + KEY[2:],  # the folder is not the digest's
    ".incoming/" + KEY[3:],
    KEY + ".small",
    KEY[:3] + "." + KEY[3:],
    KEY.replace("/", "\\"),
]


@pytest.mark.parametrize("key", BAD_KEYS)
async def test_only_keys_of_digests_name_files(tmp_path, key):
    store = LocalStore(tmp_path)

    for act in (store.put(key, BYTES), store.open(key), store.exists(key), store.delete(key)):
        with pytest.raises(ValueError, match="not a key"):
            await act


async def test_bytes_under_a_wrong_digest_are_refused(tmp_path):
    with pytest.raises(ValueError, match="not the digest"):
        await LocalStore(tmp_path).put(KEY, b"something else")
    assert files_below(tmp_path) == []


async def test_links_planted_in_the_folder_lead_nowhere(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / KEY[3:]).write_bytes(b"secret")
    linked_file, linked_folder = LocalStore(tmp_path / "one"), LocalStore(tmp_path / "two")
    (tmp_path / "one" / KEY[:2]).mkdir()
    (tmp_path / "one" / KEY).symlink_to(outside / KEY[3:])
    (tmp_path / "two" / KEY[:2]).symlink_to(outside)

    assert not await linked_file.exists(KEY)
    with pytest.raises(FileNotFoundError):
        await linked_file.open(KEY)
    await linked_file.put(KEY, BYTES)  # takes the link's place
    with await linked_file.open(KEY) as file:
        assert file.read() == BYTES
    for act in (linked_folder.open(KEY), linked_folder.put(KEY, BYTES), linked_folder.delete(KEY)):
        with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
            await act
    assert (outside / KEY[3:]).read_bytes() == b"secret"


@pytest.mark.parametrize("call", ["fsync", "rename"])
async def test_a_write_that_fails_leaves_no_key_and_no_scrap(tmp_path, monkeypatch, call):
    store = LocalStore(tmp_path)

    def fail(*_args, **_kwargs):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match="disk full"):
            await store.put(KEY, BYTES)

    assert files_below(tmp_path) == []
    assert not await store.exists(KEY)


async def test_a_file_is_flushed_before_it_gets_its_key_and_the_folders_after(tmp_path, monkeypatch):
    store, calls = LocalStore(tmp_path), list[str]()
    fsync, rename = os.fsync, os.rename

    def seen_fsync(fd: int) -> None:
        calls.append(os.readlink(f"/proc/self/fd/{fd}"))
        fsync(fd)

    def seen_rename(old: str, new: str, **folders: int) -> None:
        calls.append("rename")
        rename(old, new, **folders)

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(os, "rename", seen_rename)

    await store.put(KEY, BYTES)

    written, *rest = calls
    assert Path(written).parent == tmp_path / ".incoming"
    assert rest == ["rename", str(tmp_path / KEY[:2]), str(tmp_path)]


async def test_scraps_of_a_dead_process_are_swept_and_fresh_ones_left(tmp_path):
    LocalStore(tmp_path)
    old, fresh = tmp_path / ".incoming" / "old", tmp_path / ".incoming" / "fresh"
    for scrap in (old, fresh):
        scrap.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)

    LocalStore(tmp_path)

    assert files_below(tmp_path) == [".incoming/fresh"]


WRITER = """
import asyncio, hashlib, os, sys
from pathlib import Path
from core.filestore import LocalStore, key_of
async def main():
    store = LocalStore(Path(sys.argv[1]))
    while True:
        data = os.urandom(200_000)
        key = key_of(hashlib.sha256(data).hexdigest())
        await store.put(key, data)
        print(key, flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("pause", [0.05, 0.11, 0.17])
def test_a_killed_writer_leaves_whole_files_and_all_it_acknowledged(tmp_path, pause):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline().strip()]
    time.sleep(pause)
    writer.send_signal(signal.SIGKILL)
    acknowledged += writer.communicate()[0].split()

    kept = [name for name in files_below(tmp_path) if not name.startswith(".incoming/")]
    for name in kept:
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == name[3:]
    assert {key for key in acknowledged if len(key) == len(KEY)} <= set(kept)  # the last line may be cut off
