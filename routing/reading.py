"""A citizen's text cut into words, once for all who look for something in it.

Pure. What the words mean is told elsewhere: names of places in `mentions.py`, legal matters in `tracks.py`.
"""

import re
import unicodedata
from functools import cache, lru_cache
from operator import ne

from core.text import fold, nfc

WORD = re.compile(r"[^\W_]+")
_WORDS_AND_GAPS = re.compile(f"({WORD.pattern})")
_STOP = re.compile(r"[^\w\s]|\n")
_TONES = frozenset("\u0300\u0301\u0303\u0309\u0323")


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
    """Folds word by word, likewise; syllables are few, so nearly every word of a text was met before.

    Long numbers are each another, and some are somebody's telephone.
    """

    def __missing__(self, word: str) -> str:
        flat = word.lower() if word.isascii() else word.translate(_FLAT)
        if (len(word) <= 4 or (len(word) <= 8 and word.isalpha())) and len(self) < 50_000:
            self[word] = flat
        return flat


_FLAT_WORDS = _FlatWords()


class Text:
    """A text cut into words, each known as written and folded."""

    __slots__ = ("_parts", "text", "words")

    def __init__(self, text: str) -> None:
        self.text = nfc(text)
        self._parts = _WORDS_AND_GAPS.split(self.text)  # gap, word, gap, …, word, gap
        self.words = list(map(_FLAT_WORDS.__getitem__, self._parts[1::2]))

    def spelt(self) -> frozenset[str]:
        """Its words in lower case, with their accents."""
        return frozenset(map(str.lower, self._parts[1::2]))

    def gap(self, i: int) -> str:
        """What stands between word i-1 and word i."""
        return self._parts[2 * i]

    def gaps(self, i: int, j: int) -> list[str]:
        """What stands before each of the words i to j."""
        return self._parts[2 * i : 2 * j + 1 : 2]

    def joined(self, i: int, j: int) -> bool:
        """Nothing but white space between the words i to j-1."""
        return all(map(str.isspace, self._parts[2 * i + 2 : 2 * j : 2]))

    def before(self, i: int, back: int = 1) -> str:
        return self.words[i - back] if i >= back else ""

    def written(self, i: int) -> str:
        return self._parts[2 * i + 1]

    def titled(self, i: int) -> bool:
        """Written with a capital and not all in capitals, or a number."""
        word = self.written(i)
        return word.isdigit() or (word[:1].isupper() and (len(word) == 1 or word[1:].islower()))

    def accented(self, i: int, j: int) -> bool:
        return any(map(ne, map(str.lower, self._parts[2 * i + 1 : 2 * j : 2]), self.words[i:j]))

    def keys(self, i: int, j: int) -> tuple[str, ...]:
        """The words i to j-1 with their accents, as `name_keys` gives those of a name."""
        return tuple(map(key, self._parts[2 * i + 1 : 2 * j : 2]))

    def stops_before(self, i: int) -> bool:
        """A stop stands between word i-1 and word i."""
        return (gap := self._parts[2 * i]) != " " and _STOP.search(gap) is not None

    def ends_at(self, j: int) -> bool:
        """A stop, or the end of the text, follows word j-1."""
        return j >= len(self.words) or self.stops_before(j)


read = lru_cache(4)(Text)  # a report is asked for its place, then for its track


@cache
def name_keys(name: str) -> tuple[str, ...]:
    """The words of a name with their accents: names that differ by tone alone have different keys."""
    return tuple(map(key, WORD.findall(name)))


@lru_cache(4096)
def key(word: str) -> str:
    """A word with its accents, in the one form that hoà and hòa, Đak and Đắk share."""
    letters = unicodedata.normalize("NFD", word.lower())
    marked = "".join(c for c in letters if c not in _TONES) + "".join(c for c in letters if c in _TONES)
    return "đak" if fold(word) == "dak" and marked != "dak" else marked
