"""Bytes of a mail as text, whatever it says of itself: bodies and headers. Pure.

The ladder: the declared charset, UTF-8, Vietnamese windows-1258, a guess, Latin-1. Text of declared charsets is not
believed blindly, because the names are often those of the sender's computer and not of the text.
"""

import binascii
import codecs
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from charset_normalizer import from_bytes

from channels.mail.oldfonts import from_tcvn, from_viscii, from_vni, is_vietnamese, undressed
from core.text import nfc

# Names as mails have them, without what is no letter or digit, and the codec that reads what they are used for: as
# browsers do, the larger brother of a standard (WHATWG Encoding).
_ALIASES: Final = {
    "ascii": "", "usascii": "", "ansi": "", "ansix341968": "", "xunknown": "", "unknown": "", "unknown8bit": "",
    "8bit": "", "7bit": "", "default": "", "defaultcharset": "", "none": "", "null": "", "xuserdefined": "",
    "iso88591": "cp1252", "latin1": "cp1252", "iso8859": "cp1252", "88591": "cp1252", "windows": "cp1252",
    "cp819": "cp1252", "xansi": "cp1252", "iso885915": "iso8859-15", "iso88599": "cp1254", "latin5": "cp1254",
    "utf8": "utf-8", "unicode": "utf-8", "utf8mb4": "utf-8", "xunicode20utf8": "utf-8", "cp65001": "utf-8",
    "windows65001": "utf-8", "unicode11utf7": "utf-7", "unicode20utf7": "utf-7", "xunicode20utf7": "utf-7",
    "gb2312": "gb18030", "gb231280": "gb18030", "gbk": "gb18030", "xgbk": "gb18030", "cp936": "gb18030",
    "windows936": "gb18030", "euccn": "gb18030", "hzgb2312": "hz", "big5": "big5hkscs", "cnbig5": "big5hkscs",
    "xxbig5": "big5hkscs", "xbig5": "big5hkscs", "ksc56011987": "cp949", "ksc5601": "cp949", "euckr": "cp949",
    "windows949": "cp949", "korean": "cp949", "shiftjis": "cp932", "xsjis": "cp932", "sjis": "cp932",
    "windows31j": "cp932", "mskanji": "cp932", "xmscp932": "cp932", "xeucjp": "euc_jp", "eucjp": "euc_jis_2004",
    "iso2022jp": "iso2022_jp_ext", "csiso2022jp": "iso2022_jp_ext", "iso2022jpms": "iso2022_jp_ext",
    "cp50220": "iso2022_jp_ext", "cp50221": "iso2022_jp_ext", "tis620": "cp874", "iso885911": "cp874",
    "windows874": "cp874", "iso88598i": "iso8859-8", "iso88598e": "iso8859-8", "logical": "iso8859-8",
    "macintosh": "mac_roman", "xmacroman": "mac_roman", "mac": "mac_roman", "xmaccyrillic": "mac_cyrillic",
    "xmacce": "mac_latin2", "dos866": "cp866", "koi8": "koi8-r", "xcp1258": "cp1258", "vietnamese": "cp1258",
    "xvietnamese": "cp1258",
}  # fmt: skip
_ONE_BYTE: Final = re.compile(r"cp125\d|cp8\d\d|iso8859-\d+|latin-1|mac[-_].*|koi8.*")
_NO_CHARSETS: Final = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "charmap"})
_OWN: Final[dict[str, Callable[[str], str]]] = {
    "tcvn": from_tcvn, "xtcvn": from_tcvn, "tcvn5712": from_tcvn, "tcvn57121": from_tcvn, "xviettcvn": from_tcvn,
    "tcvn571211993": from_tcvn, "xviettcvn5712": from_tcvn, "tcvn3": from_tcvn, "abc": from_tcvn, "xabc": from_tcvn,
    "vni": from_vni, "xvni": from_vni, "xvietvni": from_vni, "vniwindows": from_vni, "xvniwin": from_vni,
    "viscii": from_viscii, "csviscii": from_viscii, "xviscii": from_viscii, "xvietviscii": from_viscii,
    "viscii111": from_viscii,
}  # fmt: skip

# A tone of windows-1258 is a character of its own behind the vowel: grave, hook, tilde, acute, dot below.
_TONED: Final = re.compile(rb"[aeiouyAEIOUY\xe2\xc2\xe3\xc3\xea\xca\xf4\xd4\xf5\xd5\xfd\xdd][\xcc\xd2\xde\xec\xf2]")
_HIGH: Final = re.compile(rb"[\x80-\xff]")
_HIGH_WORD: Final = re.compile(rb"[\x80-\xff]{3,}")  # western letters with marks hardly ever stand together
_USUAL: Final = {
    "cp1252": frozenset("àâçéèêëîïôùûœæäöüßáíóúñãõåøìòÀÉÈÄÖÜÑÅØÆÁÍÓÚÂÊÔÇ¿¡«»–—‘’“”„…€£§°ºª·•™©®\u00a0"),
    "cp1254": frozenset("ğışçöüâîĞİŞÇÖÜ«»–—‘’“”„…\u00a0"),
    "koi8-r": frozenset("абвгдежзийклмнопрстуфхцчшщъыьэюяё"),
    "cp1251": frozenset("абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєў«»–—“”„…№\u00a0"),
}
_ESCAPED: Final = re.compile(rb"(\x1b(?:\$[@B]|\$\(D|\([A-Z]))")
_PAIRS: Final = re.compile(rb"[\xa1-\xfe]{2}")
_KANA: Final = re.compile("[\u3041-\u30fc]")
_BEYOND: Final = re.compile("[^\x00-\x7f]")
_SAMPLE: Final = 40_000  # bytes that are guessed from
_SPOILT: Final = 0.05  # share of letters beyond ASCII that may be broken before another charset is tried

_WORD: Final = re.compile(r"=\?([^?*\s=]{1,60})(?:\*[^?\s]{0,20})?\?([bBqQ])\?(.{0,2000}?)\?=", re.DOTALL)
_UNCLOSED: Final = re.compile(r"=\?([^?*\s=]{1,60})(?:\*[^?\s]{0,20})?\?([bBqQ])\?([^?]{1,2000})\??$")
_FOLD: Final = re.compile(rb"\r{0,3}\n[ \t]*|\r[ \t]*")


def decode(data: bytes, declared: str | None = None) -> str:
    """The text in NFC. Never fails; where nothing fits, characters come out wrong and the mail itself is kept."""
    return nfc(_decode(data, declared)).removeprefix("\ufeff")


def _decode(data: bytes, declared: str | None) -> str:
    name = re.sub(r"[^a-z0-9]", "", (declared or "").lower()[:80])
    if own := _OWN.get(name):
        return own(data.decode("latin-1"))
    codec = _codec(name, (declared or "").strip().strip("'\""))
    if codec == "utf-7" or (codec and codec.startswith(("iso2022", "hz"))):
        return _from_jis(data, codec) if codec.startswith("iso2022_jp") else _through(data, codec)
    if data.isascii():
        return _from_jis(data, "iso2022_jp_ext") if b"\x1b$" in data else data.decode()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    if codec is None or _ONE_BYTE.fullmatch(codec):
        return _one_byte(data, codec)
    return _many_bytes(data, codec)


def _one_byte(data: bytes, codec: str | None) -> str:
    """Text whose charset takes any bytes, or that names none: what the bytes say goes first."""
    if (text := _exactly(data, "utf-8")) is not None:
        return text
    high = len(_HIGH.findall(data[:_SAMPLE]))
    toned = len(_TONED.findall(data[:_SAMPLE]))
    if codec == "cp1258":
        return _through(data, codec)
    if codec is None and (japanese := _japanese(data)) is not None:
        return japanese
    if codec in (None, "cp1252") and toned >= 2 and toned * 5 >= high and is_vietnamese(_through(data, "cp1258")):
        return _through(data, "cp1258")
    if (close := _nearly(data, "utf-8")) is not None:
        return close
    if codec is None or codec == "cp1252":
        western = _through(data, "cp1252")
        if (meant := undressed(western)) is not western:
            return meant
        guessed = _guess(data) if codec is None else None
        return guessed if guessed is not None else western
    return _through(data, codec)


def _many_bytes(data: bytes, codec: str) -> str:
    """Text whose charset not all bytes fit: if these do not, the name was wrong or a few are broken."""
    text = _exactly(data, codec)
    if text is None:
        text = _nearly(data, codec)
    if text is None and codec == "utf-8":
        return _one_byte(data, None)
    if text is None:
        text = _exactly(data, "utf-8")
    if text is None:
        text = _nearly(data, "utf-8") or _guess(data) or _through(data, codec)
    return undressed(text) if codec == "utf-8" else text


def _from_jis(data: bytes, codec: str) -> str:
    """ISO-2022-JP; where it holds signs that only Windows knew there (encircled numbers), by a later standard."""
    if (text := _exactly(data, codec)) is not None:
        return text
    made, mode = "", b""
    for piece in _ESCAPED.split(data):
        if _ESCAPED.fullmatch(piece):
            mode = piece
        elif mode in (b"\x1b$B", b"\x1b$@"):
            made += bytes(byte | 0x80 if byte > 0x20 else byte for byte in piece).decode("euc_jis_2004", "replace")
        else:
            made += _through(mode + piece, codec)
    return made


def _through(data: bytes, codec: str) -> str:
    """By that codec, whatever it takes; bytes that windows-125x leaves open are the control characters of Latin-1."""
    if codec.startswith("cp125"):
        text = _exactly(data, codec)
        if text is None:
            text = "".join(_windows(codec)[byte] for byte in data)
        return text
    try:
        return data.decode(codec, "replace")
    except (UnicodeError, ValueError):  # some codecs of the standard library know no "replace"
        return data.decode("latin-1")


@lru_cache
def _windows(codec: str) -> list[str]:
    """The character of each byte."""
    single = [bytes([byte]) for byte in range(256)]
    return [_exactly(byte, codec) or byte.decode("latin-1") for byte in single]


def _exactly(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except (UnicodeError, ValueError):
        return None


def _nearly(data: bytes, codec: str) -> str | None:
    """The text if only a small share of it is broken, such as a letter cut in two."""
    try:
        text = data.decode(codec, "replace")
    except (UnicodeError, ValueError):
        return None
    beyond = sum(1 for char in text[:_SAMPLE] if char >= "\x80")
    broken = text[:_SAMPLE].count("\ufffd")
    return text if broken <= max(1, beyond * _SPOILT) and broken < beyond else None


def _guess(data: bytes) -> str | None:
    """The charset in which the text looks like writing: western, Cyrillic, East Asian, else what a library makes of it.

    The library takes short western text for Polish and short Russian for Japanese.
    """
    high = b"".join(_HIGH.findall(data[:_SAMPLE]))
    in_words = sum(map(len, _HIGH_WORD.findall(data[:_SAMPLE]))) * 2 > len(high)
    for codec, usual in _USUAL.items():
        text = high.decode(codec, "replace")
        if in_words == (codec not in ("cp1252", "cp1254")) and sum(char in usual for char in text) >= 0.9 * len(text):
            return _through(data, codec)
    if (asian := _chinese_or_korean(data)) is not None:
        return asian
    if len(high) < 8:
        return None
    try:
        best = from_bytes(data[:_SAMPLE], steps=5, chunk_size=512).best()
    except Exception:  # it promises nothing, and Latin-1 is left
        return None
    if best is None or best.encoding.startswith(("utf_16", "utf_32", "cp037", "cp500", "cp1026", "cp1140", "cp273")):
        return None
    return _through(data, best.encoding)


def _japanese(data: bytes) -> str | None:
    """Japanese, known by its kana; None where the bytes are none."""
    for codec in ("cp932", "euc_jp"):
        text = _exactly(data, codec)
        if text and len(_KANA.findall(text[:_SAMPLE])) * 5 >= len(_BEYOND.findall(text[:_SAMPLE])):
            return text
    return None


def _chinese_or_korean(data: bytes) -> str | None:
    """Their bytes are of one form; each has its signs in other rows. None where the bytes are none or too few."""
    pairs = _PAIRS.findall(data[:_SAMPLE])
    if len(pairs) < 4 or sum(map(len, pairs)) != len(_HIGH.findall(data[:_SAMPLE])):
        return None
    signs = [pair[0] for pair in pairs if pair[0] >= 0xB0]  # below are digits, brackets and other letters
    korean = sum(row <= 0xC8 for row in signs)
    chinese = sum(row <= 0xD7 for row in signs)
    if korean >= 0.98 * len(signs):
        return _exactly(data, "cp949")
    return _exactly(data, "gb18030") if chinese >= 0.85 * len(signs) else None


@lru_cache(maxsize=256)
def _codec(name: str, declared: str) -> str | None:
    """Python's name of the codec that a mail means; None when it means none that reads text."""
    alias = _ALIASES.get(name)
    if alias is not None:
        return alias or None
    if windows := re.fullmatch(r"(?:x|ms)?(?:windows|win|cp|ibm|dos)(\d{3,4})", name):
        declared = "cp" + windows[1]
    elif iso := re.fullmatch(r"(?:x)?iso8859(\d{1,2})", name):
        declared = "iso8859-" + iso[1]
    for spelt in (declared, name):
        try:
            found = codecs.lookup(spelt)
        except (LookupError, ValueError, UnicodeError):
            continue
        if found.name in _NO_CHARSETS or not getattr(found, "_is_text_encoding", False):
            return None
        return None if found.name == "ascii" else "cp1252" if found.name == "iso8859-1" else found.name
    return None


def unfolded(raw: bytes) -> bytes:
    """A header's value on one line."""
    return _FOLD.sub(b" ", raw).strip()


def words(raw: bytes, declared: str | None = None) -> str:
    """A header's value as people read it: encoded words (RFC 2047), raw 8-bit text, both mixed, or broken ones.

    `declared` is the charset of the body, which raw 8-bit headers are mostly in.
    """
    line = unfolded(raw)
    text = _encoded_words(line.decode("latin-1"), declared) if b"=?" in line else decode(line, declared)
    return " ".join(nfc(text).split())


def _encoded_words(line: str, declared: str | None) -> str:
    """Neighbours in one charset are joined before they are decoded: some programs cut within a letter."""
    pieces: list[tuple[str | None, bytes]] = []
    done = 0
    for found in _WORD.finditer(line):
        between = line[done : found.start()]
        done = found.end()
        if between and not (between.isspace() and pieces and pieces[-1][0] is not None):
            pieces.append((None, between.encode("latin-1")))
        _append(pieces, found[1].lower(), _bytes_of(found[2], found[3]))
    rest = line[done:]
    if unclosed := _UNCLOSED.search(rest[-2100:]):
        before = rest[: len(rest) - len(rest[-2100:]) + unclosed.start()]
        if before.strip():
            pieces.append((None, before.encode("latin-1")))
        _append(pieces, unclosed[1].lower(), _bytes_of(unclosed[2], unclosed[3]))
    elif rest:
        pieces.append((None, rest.encode("latin-1")))
    return "".join(decode(data, charset or declared) for charset, data in pieces)


def _append(pieces: list[tuple[str | None, bytes]], charset: str, data: bytes) -> None:
    if pieces and pieces[-1][0] == charset and not charset.startswith(("utf-7", "iso-2022")):
        pieces[-1] = (charset, pieces[-1][1] + data)
    else:
        pieces.append((charset, data))


def _bytes_of(encoding: str, payload: str) -> bytes:
    data = payload.encode("latin-1")
    if encoding in "qQ":
        return binascii.a2b_qp(data.strip(), header=True)
    return from_base64(data)


def from_base64(data: bytes) -> bytes:
    """What base64 holds, though its padding or single characters are wrong."""
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        pass
    letters = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
    letters = letters[: len(letters) - 1] if len(letters) % 4 == 1 else letters
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
