"""The names of units in a citizen's text: where they stand, and as what.

Pure. A name may be written without accents, with its type before it or bare, and be part of a street, a market or a
person's name. What the names of one text mean together is told in `recognising.py`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from routing import place_words as words
from routing.meanings import Option, Role, meanings_on
from routing.places import Gazetteer, Name
from routing.reading import Text, key

_TYPE_GAP = re.compile(r"\s*[.:]?\s*")
_TYPE_KEYS = {"xa": {"xa", "xa\u0303"}, "phuong": {"phuong", "phu\u031bo\u031bng\u0300"}}
_TYPES: dict[tuple[str, ...], str] = words.COMMUNE_TYPES | words.UPPER_TYPES
_TYPE_ENDS = frozenset(kind[-1] for kind in _TYPES)

Standing = Literal["typed", "wrong type", "bare", "facility", "hamlet"]


@dataclass(slots=True, eq=False)
class Mention:
    """A name in the text. Words `start` to `j`; the name itself from `i`."""

    role: Role
    phrase: str
    start: int
    i: int
    j: int
    standing: Standing
    type: str | None
    options: tuple[Option, ...]
    kin: tuple[Option, ...]  # units of other kinds that bear the same name
    misspelt: bool
    # What the rest of the text says of a unit, found in `recognising.py`:
    district: "Mention | None" = None  # the one its address gives
    sure: bool = False  # surely a name, whole, and the place of the matter

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
        self.meanings = meanings_on(gazetteer, on)

    def find(self) -> Iterator[Mention]:
        written, names, lengths = self.text.words, self.gazetteer.names, self.gazetteer.lengths
        floor = 0
        for i in self._beginnings():
            if i < floor:
                continue
            for size in lengths[written[i]]:
                j = i + size
                phrase = " ".join(written[i:j])
                name = names.get(phrase)
                if name is None or j > len(written) or not self._stands(name, i, j):
                    continue
                mention = self._understand(phrase, i, j, floor)
                if mention is not None:
                    yield mention
                floor = j
                break

    def _beginnings(self) -> list[int]:
        """Where two words stand that begin a name, or one that is a name by itself."""
        written, names, seconds = self.text.words, self.gazetteer.names, self.gazetteer.seconds
        after = [*written[1:], ""]
        return [i for i, word in enumerate(written) if word in seconds and (after[i] in seconds[word] or word in names)]

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
        last = text.words[i - 1] if i > floor else ""
        if last not in _TYPE_ENDS or not self._goes_with_type(i):
            return None, i
        if i - 2 >= floor and (kind := _TYPES.get((text.words[i - 2], last))) and self._goes_with_type(i - 1):
            return kind, i - 2
        kind = _TYPES.get((last,))
        return (kind, i - 1) if kind and self._is_type_word(i - 1, i) else (None, i)

    def _goes_with_type(self, k: int) -> bool:
        """No more stands before this word than between a type, or its abbreviation, and the name."""
        gap = self.text.gap(k)
        return gap == " " or _TYPE_GAP.fullmatch(gap) is not None

    def _is_type_word(self, k: int, i: int) -> bool:
        text = self.text
        word = text.words[k]
        if (allowed := _TYPE_KEYS.get(word)) is not None:
            accents = key(text.written(k))
            if accents not in allowed:
                return False  # xả, xá, phương
            if accents == "xa" and text.accented(i, i + 1):
                return False  # whoever writes accents means "far"
            if accents == word and text.before(k) in words.NOT_A_TYPE_AFTER[word]:
                return False  # cach xa, dia phuong
            if word == "xa" and text.before(k) == "tac":
                return False  # hợp tác xã
        return True

    def _understand(self, phrase: str, i: int, j: int, floor: int) -> Mention | None:
        """What this name is here; None when it is a street, a person or nothing of ours."""
        kind, start = self._type_before(i, floor)
        meaning = self.meanings[phrase, kind]
        if meaning is None:
            return None
        standing: Standing = "typed"
        if kind is None:
            if self._is_street(i) or self._is_person(i, floor):
                return None
            standing = "hamlet" if self._is_hamlet(i) else "facility" if self._is_facility(i, floor) else "bare"
        misspelt = False
        # Where the writer uses accents they must be the unit's own: Lộc Thành is not Lộc Thạnh.
        if meaning.options and self.text.accented(start, j):
            spelt = meaning.spelt.get(self.text.keys(i, j))
            misspelt, meaning = spelt is None, spelt or meaning
        if not meaning.fits:
            standing = "wrong type"
        return Mention(meaning.role, phrase, start, i, j, standing, kind, meaning.options, meaning.kin, misspelt)

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
