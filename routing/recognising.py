"""Which unit of the province a citizen's text names, as read on a given day.

Pure: reads no database and no clock.

`recognise` would rather offer candidates than be wrong. It calls a unit definite only when the text leaves one reading:
its type and name together are borne by one unit, or a district named with it leaves one; nothing else in the text
speaks against it. What remains open is shown to the dispatcher, best guess first.
"""

import re
from datetime import date
from typing import NamedTuple

from routing import place_words as words
from routing.mentions import Mention, Text, find_mentions, name_keys
from routing.places import COMMUNE, Candidate, Gazetteer, Place, kilometres, on_earth

MOST_CANDIDATES = 8
CONTRADICTION_KM = 40.0  # no unit reaches this far from its centre
AGREEMENT_KM = 15.0
_MERGER = date(2025, 7, 1)  # NQ 202/2025/QH15
_MOST_MENTIONS = 40  # a text that names more is a list, not an address
_ADDRESS_GAP = re.compile(r"[\s,(]+")
_DASHED_GAP = re.compile(r"[\s,(–—-]+")
_ROMAN = re.compile(r"[IVX]+")
_NUMBERED = re.compile(r"\d{1,4}[a-d]?|(?:kp|ap|to)\d{1,2}")


class Recognised(NamedTuple):
    """`definite` is the code of the one unit named beyond doubt, then also the first of `candidates` (best first)."""

    definite: str | None
    candidates: tuple[Candidate, ...]


def recognise(
    text: str, gazetteer: Gazetteer, on: date, lat: float | None = None, lng: float | None = None
) -> Recognised:
    """Which unit does this text name, as read on that day? Units that begin later are not thought of.

    A unit that goes on under its type and name is given as the one valid on the day; any other former unit as it was
    named, with its successors among the candidates. Coordinates (degrees) support or contradict, and never decide.
    """
    reading = _Reading(Text(text), gazetteer, on)
    scores = reading.scores()
    definite = reading.definite()
    if definite is not None:
        scores[definite.code] = 1.0
        if not definite.valid(on):
            for code in gazetteer.successors(definite.code, on):
                scores[code] = 0.8
    kept = definite.code if definite else None
    if lat is not None and lng is not None and on_earth(lat, lng):
        kept = _weigh_point(scores, kept, gazetteer, on, lat, lng)

    def rank(candidate: Candidate) -> tuple[bool, float, bool, str]:
        place = gazetteer.get(candidate.code)
        return candidate.code != kept, -candidate.score, place is not None and not place.valid(on), candidate.code

    candidates = sorted((Candidate(code, round(score, 3)) for code, score in scores.items()), key=rank)
    return Recognised(kept, tuple(candidates[:MOST_CANDIDATES]))


def _weigh_point(
    scores: dict[str, float], definite: str | None, gazetteer: Gazetteer, on: date, lat: float, lng: float
) -> str | None:
    for code, score in scores.items():
        place = gazetteer.get(code)
        if place is None or place.lat is None or place.lng is None or place.type not in COMMUNE:
            continue
        km = kilometres(lat, lng, place.lat, place.lng)
        if km > CONTRADICTION_KM:
            scores[code] = score * 0.55
            if code == definite:
                definite = None
        elif km < AGREEMENT_KM:
            scores[code] = score + (1 - score) * 0.5 * (1 - km / AGREEMENT_KM)
    for candidate in gazetteer.near(lat, lng, on):
        scores.setdefault(candidate.code, candidate.score * 0.8)
    return definite


class _Reading:
    """One text read once: its mentions, then what follows from them together."""

    def __init__(self, text: Text, gazetteer: Gazetteer, on: date) -> None:
        self.text = text
        self.gazetteer = gazetteer
        self.on = on
        self.mentions: list[Mention] = []
        self.flooded = False
        for mention in find_mentions(text, gazetteer, on):
            if len(self.mentions) == _MOST_MENTIONS:
                self.flooded = True
                break
            self.mentions.append(mention)

    # -- what the mentions say of each other

    def _district_of(self, k: int) -> Mention | None:
        """The district an address gives with mention k: right after it, or before a typed name."""
        mention = self.mentions[k]
        for other in self.mentions[k + 1 : k + 2]:
            if other.role == "district" and self._follows(mention, other):
                return other
        for other in self.mentions[max(k - 1, 0) : k]:
            if other.role == "district" and not mention.bare and other.j == mention.start:
                gap = _ADDRESS_GAP if other.bare else _DASHED_GAP
                if gap.fullmatch(self.text.gap(mention.start)):
                    return other
        return None

    def _follows(self, mention: Mention, district: Mention) -> bool:
        between = range(mention.j, district.start)
        if len(between) > 2 or any(self.text.words[k] not in words.OF for k in between):
            return False
        gap = _ADDRESS_GAP if mention.bare or district.bare else _DASHED_GAP  # a dash may be a bus line
        return all(gap.fullmatch(self.text.gap(k)) for k in range(mention.j, district.start + 1))

    def _within(self, options: list[Place], district: Mention | None) -> list[Place]:
        if district is None or district.misspelt:
            return []
        return [place for place in options if district.phrase in self.gazetteer.origins(place)]

    def _standing_for(self, place: Place, *, by_type: bool) -> Place:
        """The unit itself, or the one of its name that goes on in its place on the day."""
        if place.valid(self.on):
            return place
        code = self.gazetteer.current(place.code, self.on)
        heir = self.gazetteer.get(code) if code else None
        if heir is None or _keys(heir).isdisjoint(_keys(place)) or (by_type and heir.type != place.type):
            return place
        return heir

    def _family(self, place: Place) -> str:
        return self._standing_for(place, by_type=False).code

    # -- beyond doubt

    def definite(self) -> Place | None:
        """The one unit the text names beyond doubt."""
        if self.flooded:
            return None
        settled = {k: place for k in range(len(self.mentions)) if (place := self._settled(k)) is not None}
        places = {place.code: place for place in settled.values()}
        if len(places) != 1:
            return None
        (place,) = places.values()
        anchors = [self.mentions[k] for k in settled]
        if any(self._against(k, place, anchors) for k in range(len(self.mentions))):
            return None
        return place

    def _settled(self, k: int) -> Place | None:
        mention = self.mentions[k]
        if mention.role != "unit" or mention.misspelt:
            return None
        district = self._district_of(k)
        if mention.standing == "typed":
            if not self._sure(k):
                return None
            if district is None and self._has_namesake(mention):
                return None
        elif mention.standing != "bare" or district is None or not self._opens_address(mention):
            return None
        options = self._within(mention.options, district) if district else mention.options
        heirs = {p.code: p for p in (self._standing_for(o, by_type=not mention.bare) for o in options)}
        return next(iter(heirs.values())) if len(heirs) == 1 else None

    def _sure(self, k: int) -> bool:
        """Is this typed name surely a name, whole, and the place of the matter?"""
        mention, text = self.mentions[k], self.text
        if self._denied(mention):
            return False
        if any(other.start == mention.j for other in self.mentions[k + 1 : k + 2]):
            return True
        after = tuple(text.words[mention.j : mention.j + 2])
        if after in words.UPPER_TYPES or (after[:1] in words.UPPER_TYPES and after[:1] not in words.OFTEN_OTHER_WORDS):
            return False  # a district we do not know: "xã Tân Phước, huyện Gò Công"
        if text.ends_at(mention.j) or after[0] == "cu":
            return True
        titled = all(text.titled(n) for n in range(mention.i, mention.j))
        if mention.phrase in words.WORDS_TOO and not titled:
            return False
        if self._overlaps(mention.j):
            return False
        longer = titled and text.titled(mention.j) and text.gap(mention.j).isspace()
        return not longer and not _ROMAN.fullmatch(text.written(mention.j))

    def _overlaps(self, j: int) -> bool:
        """Does the last word of the name begin another one? "phuong tan binh duong" may end in Bình Dương."""
        text = self.text
        if not text.joined(j - 1, j + 1) or text.accented(j, j + 1):
            return False
        return any(" ".join(text.words[j - 1 : j - 1 + size]) in self.gazetteer.names for size in (2, 3))

    def _denied(self, mention: Mention) -> bool:
        """ "gần xã X", "không thuộc xã X", "quê em ở xã X", "30 p X" (minutes): named, but not as the place."""
        text, k = self.text, mention.start
        for back in range(1, min(3, k) + 1):
            if not text.gap(k - back + 1).isspace():
                return False
            word = text.before(k, back)
            if word in words.DENIALS or (back == 1 and word in words.ELSEWHERE_BEFORE):
                return True
            if back == 1 and word.isdigit() and text.written(k) in ("p", "ph", "x") and text.gap(mention.i).isspace():
                return True
        return False

    def _has_namesake(self, mention: Mention) -> bool:
        if self.on < _MERGER or (mention.type, mention.phrase) not in words.NAMESAKES_IN_DONG_NAI:
            return False
        return not any(m.role == "province" and m.phrase == "binh phuoc" and not m.aside for m in self.mentions)

    def _opens_address(self, mention: Mention) -> bool:
        """A bare name before its district is an address after "ở", a house or hamlet number, or at a sentence's start.

        At a sentence's start it may also be who writes: "Minh Đức, Hớn Quản" is a signature.
        """
        text, k = self.text, mention.start
        before = text.before(k)
        if before in words.LOCATIVES or (before == "ban" and text.before(k, 2) == "dia"):
            return True
        if before and _NUMBERED.fullmatch(before) and text.gap(k).isspace():
            return True
        if mention.phrase in words.PEOPLE_TOO:
            return False
        return k == 0 or text.stops_before(k)

    def _against(self, k: int, place: Place, anchors: list[Mention]) -> bool:
        mention = self.mentions[k]
        if mention.aside:
            return False
        if mention.role == "unit":
            if mention.bare and mention.phrase in words.PEOPLE_TOO and not self._listed(k):
                return False
            return self._family(place) not in {self._family(option) for option in mention.options}
        if mention.role == "district":
            return mention.phrase not in self.gazetteer.origins(place)
        if mention.role == "elsewhere":
            return any(0 <= mention.start - a.j <= 6 or 0 <= a.start - mention.j <= 4 for a in anchors)
        return False

    def _listed(self, k: int) -> bool:
        """One of several names in a row: "xã Tân Lập, Thống Nhất"."""
        for first, second in zip(self.mentions[max(k - 1, 0) : k + 1], self.mentions[k : k + 2], strict=False):
            between = self.text.words[first.j : second.start]
            if first is not second and len(between) <= 1 and all(word in words.AND for word in between):
                return True
        return False

    # -- candidates

    def scores(self) -> dict[str, float]:
        """Code -> how likely the text means it."""
        scores: dict[str, float] = {}

        def add(place: Place, score: float, *, by_type: bool = False) -> None:
            code = self._standing_for(place, by_type=by_type).code
            scores[code] = max(scores.get(code, 0.0), score)

        named = [m for m in self.mentions if not m.aside and m.role in ("unit", "district")]
        units = [m for m in named if m.role == "unit"]
        districts = [m for m in self.mentions if m.role == "district" and not m.aside]
        for k, mention in enumerate(self.mentions):
            if mention.role == "unit":
                district = self._district_of(k) or (districts[0] if len(districts) == 1 else None)
                inside = self._within(mention.options, district)
                score = self._unit_score(k)
                for option in mention.options:
                    fits = score + 0.2 * (1 - score) if option in inside else score * 0.5 if inside else score
                    add(option, fits, by_type=not mention.bare)
            elif mention.role == "district":
                if any(self._within(unit.options, mention) for unit in units):
                    continue  # part of that unit's address
                score = (0.3 if units else 0.6 if not mention.bare else 0.45) * (0.5 if mention.aside else 1)
                add(max(mention.options, key=lambda p: p.valid_to or date.max), score)
                for place in mention.kin:
                    add(place, score * (1 if mention.bare and place.valid(self.on) else 0.7))
            else:
                for place in () if named else mention.options:
                    add(place, 0.3)
                for place in mention.kin:
                    add(place, 0.15 if named else 0.35 if place.valid(self.on) else 0.2)
        if any(score > 0.1 for score in scores.values()):
            return {code: score for code, score in scores.items() if score > 0.1}
        return scores

    def _unit_score(self, k: int) -> float:
        mention = self.mentions[k]
        common = mention.phrase in words.PEOPLE_TOO
        if mention.standing == "typed":
            score = 0.6 if not self._sure(k) else 0.9 if len(mention.options) == 1 else 0.75
        elif mention.standing == "hamlet":
            return 0.1
        else:
            score = {"wrong type": 0.5, "facility": 0.2 if common else 0.3}.get(
                mention.standing, 0.3 if common else 0.5
            )
        return score * (0.7 if mention.misspelt else 1)


def _keys(place: Place) -> set[tuple[str, ...]]:
    return {name_keys(name) for name in place.every_name}
