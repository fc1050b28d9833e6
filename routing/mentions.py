"""The names of units in a citizen's text: where they stand, and as what.

Pure. A name may be written without accents, with its type before it or bare, and be part of a street, a market or a
person's name. What the names of one text mean together is told in `recognising.py`.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cache, lru_cache
from itertools import accumulate
from typing import Literal

from core.text import fold, nfc
from routing import place_words as words
from routing.places import COMMUNE, DISTRICT, WORD, Gazetteer, Name, Place


class _Flat(dict[int, str]):
    """Folds character by character, so that positions in the folded text are positions in the original."""

    def __missing__(self, point: int) -> str:
        character = chr(point)
        if point >= 0x2000:  # past all Vietnamese letters; remembering these would only grow
            return character
        folded = fold(character)
        self[point] = flat = folded if len(folded) == 1 else character
        return flat


_FLAT = _Flat()


class _FlatWords(dict[str, str]):
    """Folds word by word, likewise; syllables are few, so nearly every word of a text was met before."""

    def __missing__(self, word: str) -> str:
        flat = word.translate(_FLAT)
        if len(word) <= 8 and word.isalpha() and len(self) < 50_000:
            self[word] = flat
        return flat


_FLAT_WORDS = _FlatWords()
_TONES = frozenset("\u0300\u0301\u0303\u0309\u0323")
_TYPE_GAP = re.compile(r"\s*[.:]?\s*")
_STOP = re.compile(r"[^\w\s]|\n")
_WORDS_AND_GAPS = re.compile(f"({WORD.pattern})")
_TYPE_KEYS = {"xa": {"xa", "xa\u0303"}, "phuong": {"phuong", "phu\u031bo\u031bng\u0300"}}
_TYPES: dict[tuple[str, ...], str] = words.COMMUNE_TYPES | words.UPPER_TYPES


@cache
def name_keys(name: str) -> tuple[str, ...]:
    """The words of a name with their accents: names that differ by tone alone have different keys."""
    return tuple(_key(word) for word in WORD.findall(name))


@lru_cache(4096)
def _key(word: str) -> str:
    """A word with its accents, in the one form that hoà and hòa, Đak and Đắk share."""
    letters = unicodedata.normalize("NFD", word.lower())
    key = "".join(c for c in letters if c not in _TONES) + "".join(c for c in letters if c in _TONES)
    return "đak" if fold(word) == "dak" and key != "dak" else key


class Text:
    """A text cut into words, each known as written and folded."""

    __slots__ = ("_ends", "text", "words")

    def __init__(self, text: str) -> None:
        self.text = nfc(text)
        parts = _WORDS_AND_GAPS.split(self.text)  # gap, word, gap, …, word, gap
        self.words = list(map(_FLAT_WORDS.__getitem__, parts[1::2]))
        self._ends = list(accumulate(map(len, parts)))

    def gap(self, i: int) -> str:
        """What stands between word i-1 and word i."""
        return self.text[self._ends[2 * i - 1] : self._ends[2 * i]]

    def joined(self, i: int, j: int) -> bool:
        """Nothing but white space between the words i to j-1."""
        return all(self.gap(k).isspace() for k in range(i + 1, j))

    def before(self, i: int, back: int = 1) -> str:
        return self.words[i - back] if i >= back else ""

    def written(self, i: int) -> str:
        return self.text[self._ends[2 * i] : self._ends[2 * i + 1]]

    def titled(self, i: int) -> bool:
        """Written with a capital and not all in capitals, or a number."""
        word = self.written(i)
        return word.isdigit() or (word[:1].isupper() and (len(word) == 1 or word[1:].islower()))

    def accented(self, i: int, j: int) -> bool:
        return any(self.written(k).lower() != self.words[k] for k in range(i, j))

    def stops_before(self, i: int) -> bool:
        """A stop stands between word i-1 and word i."""
        return _STOP.search(self.gap(i)) is not None

    def ends_at(self, j: int) -> bool:
        """A stop, or the end of the text, follows word j-1."""
        return j >= len(self.words) or self.stops_before(j)


Role = Literal["unit", "district", "province", "elsewhere"]
Standing = Literal["typed", "wrong type", "bare", "facility", "hamlet"]


@dataclass(slots=True)
class Mention:
    """A name in the text. Words `start` to `j`; the name itself from `i`."""

    role: Role
    phrase: str
    start: int
    i: int
    j: int
    standing: Standing
    type: str | None
    options: list[Place]
    misspelt: bool = False
    kin: list[Place] = field(default_factory=list)  # units of other kinds that bear the same name

    @property
    def bare(self) -> bool:
        return self.type is None

    @property
    def aside(self) -> bool:
        """Part of another name (a market, a hamlet): a hint, never evidence."""
        return self.standing in ("facility", "hamlet")


def find_mentions(text: Text, gazetteer: Gazetteer, on: date) -> Iterator[Mention]:
    """The names of units in a text, in order, as read on that day; units that begin later are not thought of."""
    return _Finder(text, gazetteer, on).find()


class _Finder:
    """Goes through one text, name by name."""

    def __init__(self, text: Text, gazetteer: Gazetteer, on: date) -> None:
        self.text = text
        self.gazetteer = gazetteer
        self.on = on

    def find(self) -> Iterator[Mention]:
        written, names, lengths = self.text.words, self.gazetteer.names, self.gazetteer.lengths
        floor = 0
        for i in [i for i, word in enumerate(written) if word in lengths]:
            if i < floor:
                continue
            for size in lengths[written[i]]:
                j = i + size
                name = names.get(" ".join(written[i:j]))
                if name is None or j > len(written) or not self._stands(name, i, j):
                    continue
                mention = self._understand(name, i, j, floor)
                if mention is not None:
                    yield mention
                floor = j
                break

    def _stands(self, name: Name, i: int, j: int) -> bool:
        """Do these words, which make the name, mean it as a whole?"""
        text, names = self.text, self.gazetteer.names
        if not text.joined(i, j):
            return False
        if name.longer and any(
            " ".join(text.words[k : k + 2]) in names for k in range(i + 2, j)
        ):  # "tan phu dong xoai" is Tân Phú in Đồng Xoài, not Tân Phú Đông
            return False
        # "xa phu rieng do" is xã Phú Riềng đó
        return not (name.street and (text.before(i),) in words.COMMUNE_TYPES)

    def _type_before(self, i: int, floor: int) -> tuple[str | None, int]:
        text = self.text
        for size in (2, 1):
            start = i - size
            kind = _TYPES.get(tuple(text.words[start:i])) if start >= floor else None
            if kind is None or _TYPE_GAP.fullmatch(text.gap(i)) is None:
                continue
            if size == 2 and _TYPE_GAP.fullmatch(text.gap(i - 1)) is None:
                continue
            if size == 1 and not self._is_type_word(start, i):
                return None, i
            return kind, start
        return None, i

    def _is_type_word(self, k: int, i: int) -> bool:
        text = self.text
        word = text.words[k]
        if (allowed := _TYPE_KEYS.get(word)) is not None:
            key = _key(text.written(k))
            if key not in allowed:
                return False  # xả, xá, phương
            if key == "xa" and text.accented(i, i + 1):
                return False  # whoever writes accents means "far"
            if key == word and text.before(k) in words.NOT_A_TYPE_AFTER[word]:
                return False  # cach xa, dia phuong
            if word == "xa" and text.before(k) == "tac":
                return False  # hợp tác xã
        return True

    def _understand(self, name: Name, i: int, j: int, floor: int) -> Mention | None:
        """What this name is here; None when it is a street, a person or nothing of ours."""
        kind, start = self._type_before(i, floor)
        role, options, kin = self._role(name, kind)
        if role is None:
            return None
        standing: Standing = "typed" if kind else "bare"
        if kind is None:
            if self._is_street(i) or self._is_person(i, floor):
                return None
            if self._is_hamlet(i):
                standing = "hamlet"
            elif self._is_facility(i, floor):
                standing = "facility"
        mention = Mention(role, " ".join(self.text.words[i:j]), start, i, j, standing, kind, options, kin=kin)
        self._spell(mention)
        if role == "unit" and kind is not None:
            fitting = [place for place in mention.options if place.type == kind]
            mention.standing = "typed" if fitting else "wrong type"
            mention.options = fitting or mention.options
        return mention

    def _role(self, name: Name, kind: str | None) -> tuple[Role | None, list[Place], list[Place]]:
        communes, districts, provinces = (
            [place for place in shelf if place.began(self.on)]
            for shelf in (name.communes, name.districts, name.provinces)
        )
        if name.street or (name.longer and kind is None):
            return None, [], []
        if kind in COMMUNE and communes:
            return "unit", communes, []
        if kind == "tỉnh" or kind == "quận" or (kind in DISTRICT and not districts):
            return ("province", provinces, []) if provinces else ("elsewhere", [], [])
        if districts:
            return "district", districts, communes
        if name.provinces:
            return ("province" if provinces else "elsewhere"), provinces, communes
        return ("unit", communes, []) if communes else ("elsewhere", [], [])

    def _spell(self, mention: Mention) -> None:
        """Where the writer uses accents they must be the unit's own: Lộc Thành is not Lộc Thạnh."""
        if not mention.options or not self.text.accented(mention.start, mention.j):
            return
        keys = tuple(_key(self.text.written(k)) for k in range(mention.i, mention.j))
        spelt = [place for place in mention.options if any(name_keys(name) == keys for name in place.every_name)]
        mention.misspelt = not spelt
        mention.options = spelt or mention.options

    # -- the words before a bare name

    def _is_street(self, i: int) -> bool:
        before = self.text.before(i)
        return before in words.STREETS and not (before == "pho" and self.text.before(i, 2) in ("khu", "thanh"))

    def _is_hamlet(self, i: int) -> bool:
        before = self.text.before(i)
        return before in words.HAMLETS or (before == "pho" and self.text.before(i, 2) == "khu")

    def _is_person(self, i: int, floor: int) -> bool:
        return i > floor and self.text.before(i) in words.PEOPLE_BEFORE and self.text.gap(i).isspace()

    def _is_facility(self, i: int, floor: int) -> bool:
        for k in range(i - 1, max(floor, i - 3) - 1, -1):
            if self.text.stops_before(k + 1) or self.text.words[k] in words.LOCATIVES:
                return False
            if self.text.words[k] in words.FACILITIES:
                return True
        return False
