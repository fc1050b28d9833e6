"""Which unit of the province a citizen's text names, as read on a given day.

Pure: reads no database and no clock.

`recognise` would rather offer candidates than be wrong. It calls a unit definite only when the text leaves one reading:
its type and name together are borne by one unit, or a district named with it leaves one; nothing else in the text
speaks against it. What remains open is shown to the dispatcher, best guess first.
"""

import re
from datetime import date
from itertools import islice
from typing import NamedTuple

from routing import place_words as words
from routing.meanings import Option, meanings_on
from routing.mentions import Mention, find_mentions
from routing.places import COMMUNE, Candidate, Gazetteer, Place, kilometres, on_earth
from routing.reading import Text, read

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
    reading = _Reading(read(text), gazetteer, on)
    scores = reading.scores()
    definite = reading.definite()
    ended = reading.meanings.ended
    if definite is not None:
        scores[definite.code] = 1.0
        if definite.code in ended:
            for code in gazetteer.successors(definite.code, on):
                scores[code] = 0.8
    kept = definite.code if definite else None
    if lat is not None and lng is not None and on_earth(lat, lng):
        kept = _weigh_point(scores, kept, gazetteer, on, lat, lng)
    ranked = sorted([(code != kept, -round(score, 3), code in ended, code) for code, score in scores.items()])
    return Recognised(kept, tuple([Candidate(code, -score) for _, score, _, code in ranked[:MOST_CANDIDATES]]))


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
        self.meanings = meanings_on(gazetteer, on)
        self.mentions = list(islice(find_mentions(text, gazetteer, on), _MOST_MENTIONS + 1))
        self.flooded = len(self.mentions) > _MOST_MENTIONS
        del self.mentions[_MOST_MENTIONS:]
        for k, mention in enumerate(self.mentions):
            if mention.role == "unit":
                mention.district = self._district_of(k)
                mention.sure = mention.standing == "typed" and self._sure(k)

    # -- what the mentions say of each other

    def _next(self, k: int) -> Mention | None:
        return self.mentions[k + 1] if k + 1 < len(self.mentions) else None

    def _district_of(self, k: int) -> Mention | None:
        """The district an address gives with mention k: right after it, or before a typed name."""
        mention, after = self.mentions[k], self._next(k)
        if after is not None and after.role == "district" and self._follows(mention, after):
            return after
        before = self.mentions[k - 1] if k else None
        if before is None or before.role != "district" or mention.bare or before.j != mention.start:
            return None
        gap = _ADDRESS_GAP if before.bare else _DASHED_GAP
        return before if gap.fullmatch(self.text.gap(mention.start)) else None

    def _follows(self, mention: Mention, district: Mention) -> bool:
        between = self.text.words[mention.j : district.start]
        if len(between) > 2 or not words.OF.issuperset(between):
            return False
        gap = _ADDRESS_GAP if mention.bare or district.bare else _DASHED_GAP  # a dash may be a bus line
        return all(map(gap.fullmatch, self.text.gaps(mention.j, district.start)))

    # -- beyond doubt

    def definite(self) -> Place | None:
        """The one unit the text names beyond doubt."""
        if self.flooded:
            return None
        settled: dict[str, Place] = {}
        anchors: list[Mention] = []
        for mention in self.mentions:
            place = self._settled(mention) if mention.role == "unit" else None
            if place is not None:
                settled[place.code] = place
                anchors.append(mention)
        if len(settled) != 1:
            return None
        (place,) = settled.values()
        for k, mention in enumerate(self.mentions):
            if mention not in anchors and self._against(k, place, anchors):
                return None
        return place

    def _settled(self, mention: Mention) -> Place | None:
        if mention.misspelt:
            return None
        district = mention.district
        if mention.standing == "typed":
            if not mention.sure or (district is None and self._has_namesake(mention)):
                return None
        elif mention.standing != "bare" or district is None or not self._opens_address(mention):
            return None
        options = _within(mention, district) if district else mention.options
        heirs = {option.heir.code: option.heir for option in options}
        return next(iter(heirs.values())) if len(heirs) == 1 else None

    def _sure(self, k: int) -> bool:
        """Is this typed name surely a name, whole, and the place of the matter?"""
        mention, after, text = self.mentions[k], self._next(k), self.text
        if self._denied(mention):
            return False
        if after is not None and after.start == mention.j:
            return True
        following = tuple(text.words[mention.j : mention.j + 2])
        if following in words.UPPER_TYPES or (
            following[:1] in words.UPPER_TYPES and following[:1] not in words.OFTEN_OTHER_WORDS
        ):
            return False  # a district we do not know: "xã Tân Phước, huyện Gò Công"
        if text.ends_at(mention.j) or following[0] == "cu":
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
        before = text.before(k)
        if before in words.ELSEWHERE_BEFORE or (
            before.isdigit() and text.written(k) in ("p", "ph", "x") and text.gap(mention.i).isspace()
        ):
            return text.gap(k).isspace()
        if words.DENIALS.isdisjoint(text.words[max(k - 3, 0) : k]):
            return False
        return any(text.words[n] in words.DENIALS and text.joined(n, k + 1) for n in range(max(k - 3, 0), k))

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
            family = self.meanings.heir(place).code
            return all(option.family != family for option in mention.options)
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

        def add(option: Option, score: float) -> None:
            code = option.heir.code
            if score > scores.get(code, 0.0):
                scores[code] = score

        units = [m for m in self.mentions if m.role == "unit" and not m.aside]
        districts = [m for m in self.mentions if m.role == "district" and not m.aside]
        named = bool(units or districts)
        for mention in self.mentions:
            if mention.role == "unit":
                district = mention.district or (districts[0] if len(districts) == 1 else None)
                inside = _within(mention, district) if district else ()
                score = _unit_score(mention)
                for option in mention.options:
                    add(option, score + 0.2 * (1 - score) if option in inside else score * 0.5 if inside else score)
            elif mention.role == "district":
                if any(_within(unit, mention) for unit in units):
                    continue  # part of that unit's address
                score = (0.3 if units else 0.6 if not mention.bare else 0.45) * (0.5 if mention.aside else 1)
                add(max(mention.options, key=lambda option: option.place.valid_to or date.max), score)
                for option in mention.kin:
                    add(option, score * (1 if mention.bare and option.alive else 0.7))
            else:
                for option in () if named else mention.options:
                    add(option, 0.3)
                for option in mention.kin:
                    add(option, 0.15 if named else 0.35 if option.alive else 0.2)
        likely = {code: score for code, score in scores.items() if score > 0.1}
        return likely or scores


def _within(unit: Mention, district: Mention) -> list[Option]:
    """Which of the units meant lie in this district."""
    return [] if district.misspelt else [option for option in unit.options if district.phrase in option.districts]


def _unit_score(mention: Mention) -> float:
    common = mention.phrase in words.PEOPLE_TOO
    if mention.standing == "typed":
        score = 0.6 if not mention.sure else 0.9 if len(mention.options) == 1 else 0.75
    elif mention.standing == "hamlet":
        return 0.1
    else:
        score = {"wrong type": 0.5, "facility": 0.2 if common else 0.3}.get(mention.standing, 0.3 if common else 0.5)
    return score * (0.7 if mention.misspelt else 1)
