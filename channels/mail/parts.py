"""A mail taken apart: headers as bytes, parts as places in the whole (RFC 5322, 2045, 2231). Pure.

Not the standard library's parser, because mails come from anybody: that one takes quadratic time for nested parts,
gives up at some depth, loses the exact bytes of an enclosed mail, and trips over headers that people's programs write.
This one never fails and works in time proportional to the mail.
"""

import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz
from functools import cached_property
from typing import Final
from urllib.parse import unquote_to_bytes

from channels.mail.charsets import decode, from_base64, unfolded, words

DEEPEST: Final = 20  # parts in parts; what is deeper is one part
MOST_PARTS: Final = 1000  # of a whole mail; the rest is not looked at
_FARTHEST: Final = timedelta(hours=14)  # a zone from Greenwich
_HEADERS: Final = 1_000_000  # bytes that are read as headers, and of one of them
_HEADER: Final = 100_000

_NAMED: Final = re.compile(rb"([!-9;-~]{1,200})[ \t]*:(.*)", re.DOTALL)
# Blank lines, a byte order mark, what mailbox files put between mails, and spaces before the first header.
_BEFORE: Final = re.compile(
    rb"[ \t]{0,999}\r{0,3}\n|[ \t]{1,99}(?=[!-9;-~]{2,60}:[ \t])|\xef\xbb\xbf|>?From [^\r\n]{0,999}\r{0,3}\n"
)
_LINE: Final = re.compile(rb"[^\r\n]*(?:\r{0,3}\n|\r|\Z)")
_PARAMETER: Final = re.compile(
    r"""([^\s=;"']{1,200})\s{0,20}=\s{0,20}(?:"((?:[^"\\]|\\.)*)(?:"|\Z)|([^;]*))""", re.DOTALL
)
_UNQUOTED: Final = re.compile(r'\\(["\\])')  # not before letters: some programs write whole paths of Windows as names
_CLOSES: Final = re.compile(rb"--[^\w'()+,./:=?-]")  # the last boundary, and what should not stand behind it
_CHARSET: Final = re.compile(rb"""(?i)charset\s{0,9}=\s{0,9}["']?([\w.:-]{2,40})""")
_BASE64_LINE: Final = re.compile(rb"\s{0,99}([A-Za-z0-9+/]{4,1000}={0,2})\r{0,3}(?:\n|\Z)")
_NO_BASE64: Final = re.compile(rb"[^A-Za-z0-9+/=\s]")


@dataclass(frozen=True)
class Part:
    """A mail or a part of one: where its headers and its content lie in `data`."""

    data: bytes = field(repr=False)
    headers: tuple[tuple[str, bytes], ...]
    start: int
    end: int
    default: str = "text/plain"

    @cached_property
    def _by_name(self) -> Mapping[str, list[bytes]]:
        found: dict[str, list[bytes]] = {}
        for name, value in self.headers:
            found.setdefault(name, []).append(value)
        return found

    def all(self, name: str) -> list[bytes]:
        """The raw values of a header; its name in lower case."""
        return self._by_name.get(name, [])

    def raw(self, name: str) -> bytes:
        """The first raw value of a header, empty if there is none."""
        return next(iter(self.all(name)), b"")

    def header(self, name: str) -> str:
        """A header as people read it, empty if there is none."""
        return words(self.raw(name), self.charset or self._inner_charset)

    @cached_property
    def _inner_charset(self) -> str | None:
        """What the first of the parts declares: headers without encoded words are mostly in that."""
        if not self.media_type.startswith("multipart/"):
            return None
        found = _CHARSET.search(self.data, self.start, min(self.end, self.start + 20_000))
        return found[1].decode("latin-1") if found else None

    @cached_property
    def _type(self) -> tuple[str, dict[str, str]]:
        value, made = parameters(self.raw("content-type"))
        found = re.match(r"([\w.+-]{1,60})\s{0,5}/\s{0,5}([\w.+-]{1,100})", value.lower())
        if found is None:
            return (self.default if value.lower() != "text" else "text/plain"), made
        return f"{found[1]}/{found[2]}", made

    @property
    def media_type(self) -> str:
        """`text/plain`, in lower case."""
        return self._type[0]

    @property
    def parameters(self) -> Mapping[str, str]:
        """Of the media type."""
        return self._type[1]

    @property
    def charset(self) -> str | None:
        """The declared one."""
        return self.parameters.get("charset")

    @cached_property
    def disposition(self) -> tuple[str, dict[str, str]]:
        """`attachment`, `inline` or nothing, and its parameters."""
        value, made = parameters(self.raw("content-disposition"))
        return value.lower().strip(), made

    @property
    def filename(self) -> str | None:
        """The name the sender gave it, as it is written."""
        made = self.disposition[1]
        return made.get("filename") or self.parameters.get("name") or made.get("name")

    @property
    def encoding(self) -> str:
        """Of the content, in lower case."""
        found = re.search(rb"[a-z0-9-]+", unfolded(self.raw("content-transfer-encoding")).lower())
        return found[0].decode() if found else ""

    def content(self, most: int | None = None) -> bytes:
        """The decoded content; with `most`, not much more than that many bytes of it."""
        raw = self.data[self.start : self.end if most is None else min(self.end, self.start + 3 * most)]
        if self.encoding == "base64":
            return raw if self.media_type.startswith("text/") and _is_plain(raw[:2000]) else from_base64(raw)
        if self.encoding in ("quoted-printable", "quotedprintable"):
            return binascii.a2b_qp(raw)
        if self.encoding in ("x-uuencode", "uuencode", "x-uue", "uue"):
            return uudecoded(raw)
        return raw

    def text(self, most: int = 1_000_000) -> str:
        """The decoded content as text."""
        return decode(self.content(most)[:most], self.charset).replace("\r\n", "\n").replace("\r", "\n")

    def inside(self) -> "Part":
        """The mail enclosed in this part."""
        if self.encoding in ("base64", "quoted-printable"):
            return whole(self.content())
        return taken_apart(self.data, self.start, self.end)

    def children(self) -> "list[Part]":
        """The parts of a multipart; none where its boundary is nowhere."""
        boundary = self.parameters.get("boundary", "").rstrip().encode("latin-1", "replace")
        default = "message/rfc822" if self.media_type == "multipart/digest" else "text/plain"
        places = _between(self.data, boundary, self.start, self.end) if boundary else []
        if not places and (found := re.compile(rb"[\r\n]*--([^\r\n]{1,200})").match(self.data, self.start, self.end)):
            places = _between(self.data, found[1].rstrip(), self.start, self.end)  # declared wrongly, or not at all
        return [taken_apart(self.data, start, end, default) for start, end in places]


def whole(raw: bytes) -> Part:
    """A mail as it was received or saved."""
    if b"\n" not in raw and b"\r" in raw:
        raw = raw.replace(b"\r", b"\n")
    start = 0
    while found := _BEFORE.match(raw, start):
        start = found.end()
        if start > 10_000:
            break
    return taken_apart(raw, start, len(raw))


def taken_apart(data: bytes, start: int, end: int, default: str = "text/plain") -> Part:
    """Headers and content between two places."""
    headers: list[tuple[str, bytes]] = []
    place, last = start, min(end, start + _HEADERS)
    while place < last:
        found = _LINE.match(data, place, last)
        line = found[0] if found else b""
        after = place + len(line)
        text = line.rstrip(b"\r\n")
        if not text.strip() and not (headers and text and _goes_on(data, after, last)):
            place = after
            break
        named = None if text[:1] in b" \t" and headers else _NAMED.match(text)
        if named is not None:
            headers.append((named[1].decode("latin-1").lower(), named[2].strip()[:_HEADER]))
        elif headers and (text[:1] in b" \t" or _goes_on(data, after, last)):
            name, value = headers[-1]
            if len(value) < _HEADER:
                headers[-1] = name, value + b"\n " + text.strip()
        elif not (text.startswith((b"From ", b">From ")) and not headers):
            break  # no header and none follows: the content begins without a blank line
        place = after
    return Part(data, tuple(headers), min(place, end), end, default)


def _goes_on(data: bytes, place: int, end: int) -> bool:
    """Whether headers go on at the next line: then this one is a part of one that somebody broke."""
    found = re.compile(rb"([!-9;-~]{2,60}):[ \t\r\n]|[ \t]+\S").match(data, place, end)
    return found is not None


def _is_plain(sample: bytes) -> bool:
    """Whether what is said to be base64 was never encoded: it has other characters, or short words with spaces."""
    if (first := _BASE64_LINE.match(sample)) and len(first[1]) % 4 == 0:
        return False
    length, pieces = len(sample), len(sample.split())
    return len(_NO_BASE64.findall(sample)) * 30 > length or (pieces >= 5 and length < 12 * pieces)


def _between(data: bytes, boundary: bytes, start: int, end: int) -> list[tuple[int, int]]:
    """The places of parts between lines of a boundary; the last may lack its end."""
    mark = b"--" + boundary
    places: list[tuple[int, int]] = []
    begun: int | None = None
    place = start
    while len(places) < MOST_PARTS:
        at = data.find(mark, place, end)
        if at < 0:
            break
        place = at + len(mark)
        if at > start and data[at - 1] not in b"\r\n":
            continue
        line = _LINE.match(data, place, min(end, place + 1000))
        rest = line[0] if line else b""
        if rest.strip() not in (b"", b"--") and not _CLOSES.match(rest):
            continue
        if begun is not None:
            places.append((begun, max(begun, _before(data, at, begun))))
        place += len(rest)
        begun = None if rest.startswith(b"--") else place
        if begun is None and data.find(mark, place, end) < 0:
            break
    if begun is not None and begun < end and len(places) < MOST_PARTS:
        places.append((begun, end))
    return places


def _before(data: bytes, at: int, begun: int) -> int:
    """Without the line end that belongs to the boundary."""
    if at - 1 >= begun and data[at - 1 : at] == b"\n":
        at -= 1
    if at - 1 >= begun and data[at - 1 : at] == b"\r":
        at -= 1
    return at


def parameters(raw: bytes) -> tuple[str, dict[str, str]]:
    """A header's value before the first semicolon, and its parameters with RFC 2231 and encoded words undone."""
    line = unfolded(raw)[:20_000].decode("latin-1")
    value, _, rest = line.partition(";")
    plain: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[bool, str]]] = {}
    for found in _PARAMETER.finditer(rest):
        name = found[1].lower()
        text = _UNQUOTED.sub(r"\1", found[2]) if found[2] is not None else found[3].strip().strip('"')
        base, star, number = name.partition("*")
        if not star:
            plain.setdefault(base, text)
            continue
        encoded = number.endswith("*") or number == ""
        digits = number.rstrip("*")
        pieces.setdefault(base, {})[int(digits) if digits.isdecimal() and len(digits) < 5 else 0] = encoded, text
    made = {name: words(text.encode("latin-1")) for name, text in plain.items()}
    made |= {name: _joined(parts) for name, parts in pieces.items()}
    return value.strip(), {name: text for name, text in made.items() if text}


def _joined(pieces: Mapping[int, tuple[bool, str]]) -> str:
    """The value of a parameter cut in pieces, of which the first may name a charset (RFC 2231)."""
    charset, data = None, b""
    for number, (encoded, text) in sorted(pieces.items()):
        if encoded and number == 0 and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        data += unquote_to_bytes(text.encode("latin-1")) if encoded else text.encode("latin-1")
    return words(data) if data.startswith(b"=?") else decode(data, charset)


def uudecoded(raw: bytes) -> bytes:
    """The content of a uuencoded file; lines that are none are passed over."""
    made = []
    for line in raw.splitlines():
        if line.startswith((b"begin ", b"end")) or not line:
            continue
        try:
            made.append(binascii.a2b_uu(line))
        except binascii.Error:
            length = (((line[0] - 32) & 63) * 4 + 5) // 3
            try:
                made.append(binascii.a2b_uu(line[:length]))
            except binascii.Error:
                continue
    return b"".join(made)


def leaves(part: Part) -> Iterator[Part]:
    """The parts that are no multipart, in order, mails in it not opened."""
    left = MOST_PARTS
    stack = [(part, 0)]
    while stack and left:
        one, depth = stack.pop()
        inner = one.children() if one.media_type.startswith("multipart/") and depth < DEEPEST else []
        if inner:
            stack.extend((child, depth + 1) for child in reversed(inner))
        else:
            left -= 1
            yield one


def date_of(raw: bytes) -> datetime | None:
    """The moment a date header names, in the sender's zone; None where it is no date (RFC 5322 and what is near it)."""
    try:
        read = parsedate_tz(unfolded(raw)[:200].decode("latin-1"))
        if read is None:
            return None
        offset = timedelta(seconds=read[9] or 0)
        zone = timezone(offset) if offset and abs(offset) <= _FARTHEST else UTC
        return datetime(read[0], read[1], read[2], read[3], read[4], min(read[5], 59), tzinfo=zone)
    except (ValueError, IndexError, OverflowError, TypeError):
        return None
