"""Vietnamese from before Unicode: TCVN3 (ABC), VNI and VISCII, which Python has no codecs for. Pure.

TCVN3 and VNI are encodings of fonts: a mail in one says it is Latin-1 and shows nonsense in any other font. They are
known by what comes out: only of the right table are the words Vietnamese syllables.
"""

import re
import unicodedata
from typing import Final

from core.text import nfc

# TCVN 5712:1993 VN1 from 0x80 on, as glibc has it; VN3 (the ABC fonts) is its part from 0xA1 on.
_TCVN: Final = (
    "ÀẢÃÁẠẶẬÈẺẼÉẸỆÌỈĨÍỊÒỎÕÓỌỘỜỞỠỚỢÙỦŨ\u00a0ĂÂÊÔƠƯĐăâêôơưđẰ\u0300\u0309\u0303\u0301\u0323àảãáạẲằẳẵắẴẮẦẨẪẤỀặầẩẫấậèỂẻẽéẹềểễế"
    "ệìỉỄẾỒĩíịòỔỏõóọồổỗốộờởỡớợùỖủũúụừửữứựỳỷỹýỵỐ"
)
_TCVN_LOW: Final = dict(zip("\x01\x02\x04\x05\x06\x11\x12\x13\x14\x15\x16\x17", "ÚỤỪỬỮỨỰỲỶỸÝỴ", strict=True))
# RFC 1456
_VISCII: Final = (
    "ẠẮẰẶẤẦẨẬẼẸẾỀỂỄỆỐỒỔỖỘỢỚỜỞỊỎỌỈỦŨỤỲÕắằặấầẩậẽẹếềểễệốồổỗỠƠộờởịỰỨỪỬơớƯÀÁÂÃẢĂẳẵÈÉÊẺÌÍĨỳĐứÒÓÔạỷừửÙÚỹỵÝỡưàáâãảăữẫ"
    "èéêẻìíĩỉđựòóôõỏọụùúũủýợỮ"
)
_VISCII_LOW: Final = dict(zip("\x02\x05\x06\x14\x19\x1e", "ẲẴẪỶỸỴ", strict=True))

_TONES: Final = {"acute": "\u0301", "grave": "\u0300", "hook": "\u0309", "tilde": "\u0303", "dot": "\u0323"}
_BREVE, _HAT, _HORN = "\u0306", "\u0302", "\u031b"
# VNI writes most vowels as the letter and a second character for its marks.
_VNI_MARKS: Final = {
    **dict(zip("ùøûõï", _TONES.values(), strict=True)),
    "â": _HAT,
    **{mark: _HAT + tone for mark, tone in zip("áàåãä", _TONES.values(), strict=True)},
    "ê": _BREVE,
    **{mark: _BREVE + tone for mark, tone in zip("éèúüë", _TONES.values(), strict=True)},
}
_VNI_LETTERS: Final = {"ô": "ơ", "ö": "ư", "ñ": "đ", "í": "í", "ì": "ì", "æ": "ỉ", "ó": "ĩ", "ò": "ị", "î": "ỵ"}
_VNI_PAIR: Final = re.compile("([aeiouyôö])([ùøûõïâáàåãäêéèúüë])|([ôöñíìæóòî])", re.IGNORECASE)

_ONSET: Final = "ngh?|nh|n|gi|gh?|ch|c|kh?|ph|p|qu|q|th|tr|t|b|đ|d|h|l|m|r|s|v|x"
_RHYMES: Final = (
    "oai|oay|oao|oeo|uây|uya|uyê|uyu|iêu|yêu|uôi|ươi|ươu|ia|iê|yê|ya|ua|uô|ưa|ươ|ai|ao|au|ay|âu|ây|eo|êu|iu|oi|ôi|ơi|"
    "ui|ưi|ưu|oa|oă|oe|oo|uâ|uê|uy|uơ|a|ă|â|e|ê|i|o|ô|ơ|u|ư|y"
)
_SYLLABLE: Final = re.compile(f"(?:{_ONSET})?(?:{_RHYMES})(?:ch|c|m|ng|nh|n|p|t)?")
_WORD: Final = re.compile(r"[^\W\d_]+")
# Besides letters, what the fonts put marks at that Unicode calls signs: a word in a font's clothes.
_DRESSED: Final = re.compile(r"(?:[^\W\d_]|[\u00a1-\u00ff])+")
_HIGH: Final = re.compile("[\u00a1-\u00ff]")
_SIGNS: Final = re.compile("[\u00a1-\u00bf\u00d7\u00f7]")  # hardly ever part of a word in Latin-1
_TONE_MARKS: Final = re.compile("[\u0300\u0301\u0303\u0309\u0323]")

_SAMPLE = 20_000  # characters that are judged
_SURE = 0.8  # share of words that must be Vietnamese by a table


def from_tcvn(text: str) -> str:
    """What bytes in TCVN mean, given as Latin-1 characters."""
    return _by_table(text, _TCVN, _TCVN_LOW)


def from_viscii(text: str) -> str:
    """What bytes in VISCII mean, given as Latin-1 characters."""
    return _by_table(text, _VISCII, _VISCII_LOW)


def from_vni(text: str) -> str:
    """What text in a VNI font means, given as Latin-1 characters."""
    return nfc(_VNI_PAIR.sub(_vni_letter, text))


def undressed(text: str) -> str:
    """The text as it was meant if it surely is Latin-1 that a TCVN3 or VNI font would show; else as it is."""
    sample = text[:_SAMPLE]
    dressed = [word for word in _DRESSED.findall(sample) if _HIGH.search(word)]
    if sum(len(word) > 1 for word in dressed) < 2 or _vietnamese(dressed) > 0.5:
        return text
    if len(set(_HIGH.findall(sample))) < 3 and not _SIGNS.search("".join(dressed)):
        return text  # a few umlauts
    for convert in (from_vni, _from_tcvn3):
        made = convert(" ".join(dressed)).split()
        if len(made) == len(dressed) and _vietnamese(made) >= _SURE and _marked(made) >= _SURE:
            return convert(text)
    return text


def is_vietnamese(text: str) -> bool:
    """Whether most of the words that have marks are built as in Vietnamese."""
    words = [word for word in _WORD.findall(text[:_SAMPLE]) if not word.isascii()]
    return _vietnamese(words) >= 0.6


def _from_tcvn3(text: str) -> str:
    """Only what the fonts of TCVN3 show: nothing below 0xA1."""
    return nfc(text.translate(_TCVN3))


_TCVN3: Final = {0x80 + place: char for place, char in enumerate(_TCVN) if place > 0x20}


def _by_table(text: str, upper: str, low: dict[str, str]) -> str:
    table = {0x80 + place: char for place, char in enumerate(upper)} | {ord(code): char for code, char in low.items()}
    return nfc(text.translate(table))


def _vni_letter(found: re.Match[str]) -> str:
    base, mark, alone = found.groups()
    letter = (base or alone).lower()
    made = _VNI_LETTERS.get(letter, letter) if letter in "ôöñíìæóòî" else letter
    if mark:
        composed = unicodedata.normalize("NFC", made + _VNI_MARKS[mark.lower()])
        if len(composed) > 1:  # no such letter: it was no pair
            return made + mark if letter in "ôö" else found[0]
        made = composed
    return made.upper() if (base or alone).isupper() else made


def _vietnamese(words: list[str]) -> float:
    """The share of words that are built like Vietnamese syllables."""
    return sum(map(_is_syllable, words)) / max(len(words), 1)


def _marked(words: list[str]) -> float:
    """The share of words that have a letter no other language of Latin letters has much of, or a mark at all."""
    return sum(not word.isascii() for word in words) / max(len(words), 1)


def _is_syllable(word: str) -> bool:
    split = unicodedata.normalize("NFD", word.lower().strip(".,;:!?\"'()"))
    tones = len(_TONE_MARKS.findall(split))
    plain = unicodedata.normalize("NFC", _TONE_MARKS.sub("", split))
    return tones <= 1 and _SYLLABLE.fullmatch(plain) is not None
