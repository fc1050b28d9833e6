"""Which field a report may be about, by key phrases in its text. A suggestion for a person, never a decision. Pure.

Phrases are compared word by word. A text written with its marks must have those of the phrase, so that "giá" is not
found in "gia đình"; in one written without them letters are enough, and count a little less, the fewer words the more.
Where phrases overlap, the longest counts.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from core.text import fold
from routing.decide import CaseField
from routing.tracks import RESTRICTED_TRACKS

LONGEST_READ = 2_000  # characters; what a report is about stands at its beginning

# How sure one phrase makes, by its words: a single word is seldom enough.
_SURE = {1: 0.4, 2: 0.65, 3: 0.8}
_SURE_LONGER = 0.9
# What is left of that where the text has no marks.
_UNMARKED = {1: 0.6, 2: 0.85, 3: 0.95}
_MARKED_TEXT = 0.2  # share of words with marks from which a text counts as written with them

_WORD = re.compile(r"\w+")
_TONES = dict.fromkeys(map(ord, "\u0300\u0301\u0303\u0309\u0323"))


class Suggestion(NamedTuple):
    """A field's code, how much speaks for it (0 to 1, not a probability), and the strongest phrase found."""

    code: str
    score: float
    phrase: str


@dataclass(frozen=True, slots=True)
class Phrases:
    """Key phrases made ready to be looked for: by their words with marks, and without."""

    marked: Mapping[tuple[str, ...], tuple[str, tuple[str, ...]]]  # words → the phrase as written, its fields
    folded: Mapping[tuple[str, ...], tuple[str, tuple[str, ...]]]
    longest: int

    @classmethod
    def of(cls, phrases: Mapping[str, Iterable[str]]) -> "Phrases":
        """Those of each field, by code."""
        marked: dict[tuple[str, ...], tuple[str, list[str]]] = {}
        folded: dict[tuple[str, ...], tuple[str, list[str]]] = {}
        for code, written in phrases.items():
            for phrase in written:
                for table, words in ((marked, _marked(phrase)), (folded, _folded(phrase))):
                    fields = table.setdefault(tuple(words), (phrase, []))[1]
                    if code not in fields:
                        fields.append(code)
        longest = max(map(len, folded), default=0)
        return cls(_frozen(marked), _frozen(folded), longest)


def offered(fields: Iterable[CaseField], on: date, *, to_everybody: bool = True) -> Phrases:
    """The phrases of the fields that are alive on the day.

    `to_everybody` leaves out those of restricted tracks, for nobody is to read in a suggestion that they denounce
    somebody, and those for what is no report at all; staff may be shown them.
    """
    return _ready(
        tuple(
            (each.code, each.keywords)
            for each in fields
            if each.valid_from <= on and (each.valid_to is None or on < each.valid_to)
            if not (to_everybody and (each.track in RESTRICTED_TRACKS or each.kind == "other"))
        )
    )


@lru_cache(maxsize=4)
def _ready(phrases: tuple[tuple[str, tuple[str, ...]], ...]) -> Phrases:
    return Phrases.of(dict(phrases))


def suggest(text: str, phrases: Phrases, limit: int = 3) -> list[Suggestion]:
    """The fields that the phrases in the text speak for, the best first; none when no phrase is found.

    Several phrases add up; one that belongs to several fields speaks less for each.
    """
    text = text[:LONGEST_READ]
    words = _marked(text)
    with_marks = [word for word in words if not word.isascii()]
    unmarked = len(with_marks) < _MARKED_TEXT * len(words)
    table = phrases.folded if unmarked else phrases.marked
    if unmarked:
        words = _folded(text)
    doubt: dict[str, float] = defaultdict(lambda: 1.0)
    best: dict[str, tuple[float, str]] = {}
    seen = set()
    for found in _longest_first(words, table, phrases.longest):
        if found in seen:
            continue  # said twice is not twice as sure
        seen.add(found)
        phrase, fields = table[found]
        sure = _SURE.get(len(found), _SURE_LONGER) * (_UNMARKED.get(len(found), 1.0) if unmarked else 1.0)
        sure /= len(fields)
        for code in fields:
            doubt[code] *= 1 - sure
            best[code] = max(best.get(code, (0.0, "")), (sure, phrase))
    scored = [Suggestion(code, round(1 - left, 3), best[code][1]) for code, left in doubt.items()]
    return sorted(scored, key=lambda each: (-each.score, each.code))[:limit]


def _longest_first(
    words: list[str], table: Mapping[tuple[str, ...], object], longest: int
) -> Iterable[tuple[str, ...]]:
    """Phrases of the table in these words: longer ones first, and none on words that a longer one has taken."""
    taken = [False] * len(words)
    for size in range(min(longest, len(words)), 0, -1):
        for start in range(len(words) - size + 1):
            candidate = tuple(words[start : start + size])
            if candidate in table and not any(taken[start : start + size]):
                taken[start : start + size] = [True] * size
                yield candidate


def _folded(text: str) -> list[str]:
    return _WORD.findall(fold(text))


def _marked(text: str) -> list[str]:
    """Words in lower case with their marks, a tone put after the word: "hòa" and "hoà" are the same."""
    return [_toned(word) for word in _WORD.findall(unicodedata.normalize("NFC", text).lower())]


def _toned(word: str) -> str:
    if word.isascii():
        return word
    letters = unicodedata.normalize("NFD", word)
    bare = letters.translate(_TONES)
    return unicodedata.normalize("NFC", bare) + "".join(c for c in letters if ord(c) in _TONES)


def _frozen(
    table: Mapping[tuple[str, ...], tuple[str, list[str]]],
) -> dict[tuple[str, ...], tuple[str, tuple[str, ...]]]:
    return {words: (phrase, tuple(fields)) for words, (phrase, fields) in table.items()}
