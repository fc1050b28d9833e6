"""Which tracks there are, and what makes a message look like a complaint, a denunciation or another legal matter.

Pure. The wordings come with the rule set; here is how a text is searched for them.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from core.text import nfc

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
    _compiled: tuple["_Search", ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        compiled = []
        for t in self.texts:
            if (phrases := _any_of(t.phrases)) is not None:
                needed: defaultdict[str, list[frozenset[str]]] = defaultdict(list)
                for phrase in map(_words_of, t.phrases):
                    needed[max(phrase, key=len, default="")].append(phrase)
                compiled.append(_Search(t.track, dict(needed), phrases, _any_of(t.unless)))
        object.__setattr__(self, "_compiled", tuple(compiled))

    def find(self, text: str, field: str | None = None, channel: str | None = None) -> Suspicion | None:
        """What the message seems to be; None when it seems ordinary. The most protected track wins."""
        found: list[Suspicion] = []
        if field is not None and field in self.fields:
            found.append(Suspicion(self.fields[field], f"field: {field}"))
        if channel is not None and channel in self.channels:
            found.append(Suspicion(self.channels[channel], f"channel: {channel}"))
        plain = nfc(_INVISIBLE.sub("", text)).lower()
        words = frozenset(_WORD.findall(plain))
        for track, needed, phrases, unless in self._compiled:
            if not any(each <= words for word in needed.keys() & words for each in needed[word]):
                continue
            rest = plain if unless is None else unless.sub(" ¦ ", plain)
            if hit := phrases.search(rest):
                written = next(t for t in self.texts if t.track == track).phrases[(hit.lastindex or 1) - 1]
                found.append(Suspicion(track, f"text: {written}"))
        # A rule set switches a field's track off by naming the ordinary one.
        legal = [suspicion for suspicion in found if suspicion.track != "ordinary"]
        return min(legal, key=lambda suspicion: _TRACK_PRECEDENCE.index(suspicion.track), default=None)


class _Search(NamedTuple):
    """How one track is looked for. The words spare nearly every text the search, which tries each phrase everywhere."""

    track: str
    needed: Mapping[str, list[frozenset[str]]]  # all words of each phrase, by the longest of them
    phrases: re.Pattern[str]
    unless: re.Pattern[str] | None


# Copied text carries zero-width characters inside words.
_INVISIBLE = re.compile("[\u00ad\u200b\u200c\u200d\u2060\ufeff]")

# What phrases and texts are compared by: letters and digits alone, for a phrase may stand in a text as to-cao or
# to_cao.
_WORD = re.compile(r"[^\W_]+")


def _words_of(phrase: str) -> frozenset[str]:
    """Words without which the phrase cannot stand in a text."""
    return frozenset(_WORD.findall(nfc(phrase).lower()))


def _any_of(phrases: Iterable[str]) -> re.Pattern[str] | None:
    alternatives = []
    for phrase in phrases:
        parts = [
            r"[\s_,\-]{1,3}".join(re.escape(word) for word in part.split()) for part in nfc(phrase).lower().split("...")
        ]
        alternatives.append("(" + r"(?:\W+\w+){0,8}?\W+".join(parts) + ")")
    return re.compile(rf"(?<!\w)(?:{'|'.join(alternatives)})(?!\w)") if alternatives else None
