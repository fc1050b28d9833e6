"""Which tracks there are, and what makes a message look like a complaint, a denunciation or another legal matter.

Pure. The wordings come with the rule set; here is how a text is searched for them.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from core.text import nfc
from routing.reading import Text, read

TRACKS = ("ordinary", "complaint", "denunciation", "crime_tip", "admin_regulation", "national_portal")

RESTRICTED_TRACKS = frozenset({"complaint", "denunciation", "crime_tip"})
"""Tracks seen only by those who hold the role for them."""

# A message may look like several things at once; the one whose sender has most to lose by a mistake comes first.
_TRACK_PRECEDENCE = ("denunciation", "crime_tip", "complaint", "admin_regulation", "national_portal")


@dataclass(frozen=True, slots=True)
class TrackPhrases:
    """Wordings that make a message look like one track, and the everyday wordings around them that do not.

    Compared with the text as typed, in lower case, whole words only; `...` stands for up to eight words between.
    """

    track: str
    phrases: tuple[str, ...]
    unless: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Suspicion:
    """The track a message seems to belong to, and what made it so: `text: tố cáo`, `field: …` or `channel: …`.

    The wording is the rulebook's, never the citizen's.
    """

    track: str
    because: str


@dataclass(frozen=True)
class TrackTriggers:
    """When a message is taken for a complaint, a denunciation or another legal track, before a person has looked.

    A false alarm is undone by a person; a miss would show a denouncer to the people denounced.
    """

    texts: tuple[TrackPhrases, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    channels: Mapping[str, str] = field(default_factory=dict)
    _searches: tuple["_Search", ...] = field(init=False, repr=False, compare=False)
    # All words of each phrase, and which search it is of, by the longest of the words: they spare nearly every text the
    # searches, which try each phrase everywhere.
    _needed: Mapping[str, list[tuple[frozenset[str], int]]] = field(init=False, repr=False, compare=False)
    _telling: frozenset[str] = field(init=False, repr=False, compare=False)  # those longest words

    def __post_init__(self) -> None:
        searches: list[_Search] = []
        needed: defaultdict[str, list[tuple[frozenset[str], int]]] = defaultdict(list)
        for texts in self.texts:
            if (phrases := _any_of(texts.phrases)) is not None:
                for phrase in map(_words_of, texts.phrases):
                    needed[max(phrase, key=len, default="")].append((phrase, len(searches)))
                searches.append(_Search(texts, phrases, _any_of(texts.unless)))
        object.__setattr__(self, "_searches", tuple(searches))
        object.__setattr__(self, "_needed", dict(needed))
        object.__setattr__(self, "_telling", frozenset(needed))

    def find(self, text: str, field: str | None = None, channel: str | None = None) -> Suspicion | None:
        """What the message seems to be; None when it seems ordinary. The most protected track wins."""
        found: list[Suspicion] = []
        if field is not None and field in self.fields:
            found.append(Suspicion(self.fields[field], f"field: {field}"))
        if channel is not None and channel in self.channels:
            found.append(Suspicion(self.channels[channel], f"channel: {channel}"))
        found += self._find_phrases(text)
        # A rule set switches a field's track off by naming the ordinary one.
        legal = [suspicion for suspicion in found if suspicion.track != "ordinary"]
        return min(legal, key=lambda suspicion: _TRACK_PRECEDENCE.index(suspicion.track), default=None)

    def _find_phrases(self, text: str) -> list[Suspicion]:
        said = read(text)
        if _MISLEADING.search(said.text):
            said = Text(nfc(_INVISIBLE.sub("", text)).lower())
        words = said.spelt()
        likely = {n for word in words & self._telling for phrase, n in self._needed[word] if phrase <= words}
        return [suspicion for n in sorted(likely) if (suspicion := self._searches[n].find(said.text.lower()))]


class _Search(NamedTuple):
    """How a text is searched for the phrases of one track."""

    texts: TrackPhrases
    phrases: re.Pattern[str]
    unless: re.Pattern[str] | None

    def find(self, plain: str) -> Suspicion | None:
        hit = self.phrases.search(plain if self.unless is None else self.unless.sub(" ¦ ", plain))
        return hit and Suspicion(self.texts.track, f"text: {self.texts.phrases[(hit.lastindex or 1) - 1]}")


# Copied text carries zero-width characters inside words.
_ZERO_WIDTH = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_INVISIBLE = re.compile(f"[{_ZERO_WIDTH}]")
# A text is cut at them, and after İ once it is in lower case: that is i and a dot.
_MISLEADING = re.compile(f"[{_ZERO_WIDTH}İ]")


def _words_of(phrase: str) -> frozenset[str]:
    """Words without which the phrase cannot stand in a text."""
    return Text(nfc(phrase).lower()).spelt()


def _any_of(phrases: Iterable[str]) -> re.Pattern[str] | None:
    alternatives = []
    for phrase in phrases:
        parts = [
            r"[\s_,\-]{1,3}".join(re.escape(word) for word in part.split()) for part in nfc(phrase).lower().split("...")
        ]
        alternatives.append("(" + r"(?:\W+\w+){0,8}?\W+".join(parts) + ")")
    return re.compile(rf"(?<!\w)(?:{'|'.join(alternatives)})(?!\w)") if alternatives else None
