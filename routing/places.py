"""The units of the province through time, and which of them a citizen's text names.

Pure: reads no database and no clock; the table comes in as text, the day as an argument.

Codes are ours and stable, since the statistics office changes its own between releases: `bp-d-…` a district and
`bp-c-<district>-…` a commune of Bình Phước before 1 July 2025, `dn-c-…` a unit of Đồng Nai since. Where two names
differ by tone alone the code ends in the Telex key of the tone (`loc-thanhf` Lộc Thành, `loc-thanhj` Lộc Thạnh), and
a unit that became a phường on 1 October 2022 keeps its older row under `…-xa` or `…-huyen`.

`recognise` would rather offer candidates than be wrong. It calls a unit definite only when the text leaves one reading:
its type and name together are borne by one unit, or a district named with it leaves one; nothing else in the text
speaks against it. What remains open is shown to the dispatcher, best guess first.
"""

import csv
import io
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache, lru_cache
from typing import Literal, NamedTuple

from core.text import fold, nfc
from routing import place_words as words

COMMUNE = frozenset({"xã", "phường", "thị trấn"})
DISTRICT = frozenset({"huyện", "thị xã", "thành phố"})
PROVINCE = frozenset({"tỉnh"})
COLUMNS = ("code", "official_code", "name", "type", "parent", "valid_from", "valid_to", "successors", "lat", "lng")

MOST_CANDIDATES = 8
MOST_NEAR = 5
FARTHEST_KM = 60.0  # from every centre: the place is outside the province
CONTRADICTION_KM = 40.0  # no unit reaches this far from its centre
AGREEMENT_KM = 15.0
_MERGER = date(2025, 7, 1)  # NQ 202/2025/QH15
_MOST_MENTIONS = 40  # a text that names more is a list, not an address


class BadAreas(ValueError):
    """The table of areas cannot be used; the message names the row."""


@dataclass(frozen=True, slots=True)
class Place:
    """One unit during one stretch of its life. `valid_to` is the first day it no longer exists; `parent` its last."""

    code: str
    official_code: str
    name: str
    type: str
    parent: str | None
    valid_from: date | None
    valid_to: date | None
    successors: tuple[str, ...]
    lat: float | None
    lng: float | None

    def began(self, on: date) -> bool:
        return self.valid_from is None or self.valid_from <= on

    def valid(self, on: date) -> bool:
        return self.began(on) and (self.valid_to is None or on < self.valid_to)


class Candidate(NamedTuple):
    """A unit the text may mean; `score` between 0 and 1."""

    code: str
    score: float


class Recognised(NamedTuple):
    """`definite` is the code of the one unit named beyond doubt, then also the first of `candidates` (best first)."""

    definite: str | None
    candidates: tuple[Candidate, ...]


def load_areas(text: str) -> tuple[Place, ...]:
    """Read the table of areas (CSV, columns as in `COLUMNS`).

    Raises `BadAreas` for a missing column, an unreadable value, a code used twice or a code that leads nowhere.
    """
    reader = csv.DictReader(io.StringIO(text))
    if missing := [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
        raise BadAreas(f"columns missing: {', '.join(missing)}")
    places: dict[str, Place] = {}
    for row in reader:
        try:
            place = _place(row)
        except (TypeError, ValueError) as error:
            raise BadAreas(f"line {reader.line_num}: {error}") from error
        if place.code in places:
            raise BadAreas(f"line {reader.line_num}: code {place.code} is used twice")
        places[place.code] = place
    for place in places.values():
        for code in (*place.successors, *([place.parent] if place.parent else [])):
            if code not in places:
                raise BadAreas(f"{place.code} refers to {code}, which is not in the table")
    return tuple(places.values())


def _place(row: Mapping[str, str]) -> Place:
    if not row["code"] or not row["name"]:
        raise ValueError("code and name are needed")
    kind = nfc(row["type"])
    if kind not in COMMUNE | DISTRICT | PROVINCE:
        raise ValueError(f"unknown type {kind!r}")
    return Place(
        code=row["code"],
        official_code=row["official_code"],
        name=nfc(row["name"]),
        type=kind,
        parent=row["parent"] or None,
        valid_from=date.fromisoformat(row["valid_from"]) if row["valid_from"] else None,
        valid_to=date.fromisoformat(row["valid_to"]) if row["valid_to"] else None,
        successors=tuple(filter(None, row["successors"].split("|"))),
        lat=float(row["lat"]) if row["lat"] else None,
        lng=float(row["lng"]) if row["lng"] else None,
    )


@dataclass(slots=True)
class _Name:
    """Everything that bears one folded name."""

    communes: list[Place] = field(default_factory=list)
    districts: list[Place] = field(default_factory=list)
    provinces: list[Place] = field(default_factory=list)
    elsewhere: bool = False
    longer: bool = False
    street: bool = False


class Gazetteer:
    """An index over the units, built once and then only read."""

    def __init__(self, places: Iterable[Place]) -> None:
        self.places = tuple(places)
        self._by_code = {place.code: place for place in self.places}
        self.names: dict[str, _Name] = defaultdict(_Name)
        for place in self.places:
            name = self.names[fold(place.name)]
            shelf = name.communes if place.type in COMMUNE else name.districts
            (name.provinces if place.type in PROVINCE else shelf).append(place)
        for phrase in words.PLACES_ELSEWHERE:
            self.names[phrase].elsewhere = True
        for phrase in words.LONGER_NAMES:
            self.names[phrase].longer = True
        for phrase in words.STREET_NAMES:
            self.names[phrase].street = True
        self.names = dict(self.names)
        self.lengths = _lengths(self.names)
        self._origins = self._find_origins()
        self._search_words = {
            place.code: f"{fold(self.label(place))} {fold(self._parent_name(place))}".split() for place in self.places
        }

    def get(self, code: str) -> Place | None:
        return self._by_code.get(code)

    def label(self, place: Place) -> str:
        """The unit with its type, as people read it: "Phường Tân Bình"."""
        return f"{place.type[0].upper()}{place.type[1:]} {place.name}"

    def successors(self, code: str, on: date) -> list[str]:
        """The units that stand for this one on that day: itself while it lives, later what became of it.

        Empty for an unknown code and before the unit began.
        """
        found: dict[str, None] = {}
        seen: set[str] = set()
        queue = [code]
        while queue:
            place = self._by_code.get(queue.pop(0))
            if place is None or place.code in seen or not place.began(on):
                continue
            seen.add(place.code)
            if place.valid(on):
                found[place.code] = None
            else:
                queue.extend(place.successors)
        return list(found)

    def current(self, code: str, on: date) -> str | None:
        """The one unit that stands for this one on that day; None when there is none, or several."""
        found = self.successors(code, on)
        return found[0] if len(found) == 1 else None

    def origins(self, place: Place) -> frozenset[str]:
        """Folded names of the districts the unit lies in or was formed from."""
        return self._origins[place.code]

    def search(self, q: str, on: date, limit: int = 10) -> tuple[Place, ...]:
        """Type-ahead for a unit picker: each word of `q` begins a word of the unit's type, name or district.

        Needs no diacritics; living units first, then former ones, for people go on saying the old names.
        """
        asked = [part for word in _WORD.findall(fold(q[:100])) for part in _ABBREVIATED.get(word, (word,))]
        found = [
            place
            for place in self.places
            if place.began(on) and all(any(w.startswith(a) for w in self._search_words[place.code]) for a in asked)
        ]
        found.sort(
            key=lambda p: (
                not _in_a_row(asked, self._search_words[p.code]),
                not p.valid(on),
                p.type not in COMMUNE,
                fold(p.name),
                p.code,
            )
        )
        return tuple(found[: max(limit, 0)])

    def near(self, lat: float, lng: float, on: date) -> tuple[Candidate, ...]:
        """The communes valid on that day whose centres are nearest, at most five.

        Without the shapes of the units a point proves nothing, so no score exceeds 0.6.
        """
        if not _on_earth(lat, lng):
            return ()
        distances = sorted(
            (_kilometres(lat, lng, place.lat, place.lng), place.code)
            for place in self.places
            if place.type in COMMUNE and place.valid(on) and place.lat is not None and place.lng is not None
        )
        return tuple(
            Candidate(code, round(0.6 * math.exp(-km / 15), 3))
            for km, code in distances[:MOST_NEAR]
            if km <= FARTHEST_KM
        )

    def _parent_name(self, place: Place) -> str:
        return self._by_code[place.parent].name if place.parent else ""

    def _find_origins(self) -> dict[str, frozenset[str]]:
        origins: dict[str, set[str]] = defaultdict(set)
        for place in self.places:
            if place.type not in COMMUNE or place.parent is None:
                continue
            parent = self._by_code[place.parent]
            if parent.type not in DISTRICT:
                continue
            reached, queue = {place.code}, [place.code]
            while queue:
                code = queue.pop()
                origins[code].add(fold(parent.name))
                queue += [s for s in self._by_code[code].successors if s not in reached]
                reached.update(queue)
        return {place.code: frozenset(origins[place.code]) for place in self.places}


def _in_a_row(asked: list[str], found: list[str]) -> bool:
    """Do the asked beginnings match words that follow one another?"""
    return any(
        all(word.startswith(beginning) for beginning, word in zip(asked, found[k:], strict=False))
        for k in range(len(found) - len(asked) + 1)
    )


def _lengths(names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """First word -> the lengths in words of the names that begin with it, longest first."""
    found: dict[str, set[int]] = defaultdict(set)
    for name in names:
        parts = name.split()
        found[parts[0]].add(len(parts))
    return {first: tuple(sorted(sizes, reverse=True)) for first, sizes in found.items()}


_ABBREVIATED = {"tt": ("thi", "tran"), "tx": ("thi", "xa"), "tp": ("thanh", "pho"), "h": ("huyen",)}


# --- reading a text ---------------------------------------------------------------------------------------------


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
_WORD = re.compile(r"[^\W_]+")
_TONES = frozenset("\u0300\u0301\u0303\u0309\u0323")
_TYPE_GAP = re.compile(r"\s*[.:]?\s*")
_ADDRESS_GAP = re.compile(r"[\s,(]+")
_DASHED_GAP = re.compile(r"[\s,(–—-]+")
_STOP = re.compile(r"[^\w\s]|\n")
_ROMAN = re.compile(r"[IVX]+")
_NUMBERED = re.compile(r"\d{1,4}[a-d]?|(?:kp|ap|to)\d{1,2}")
_TYPE_KEYS = {"xa": {"xa", "xa\u0303"}, "phuong": {"phuong", "phu\u031bo\u031bng\u0300"}}
_TYPES: dict[tuple[str, ...], str] = words.COMMUNE_TYPES | words.UPPER_TYPES


@cache
def _name_keys(name: str) -> tuple[str, ...]:
    return tuple(_key(word) for word in _WORD.findall(name))


@lru_cache(4096)
def _key(word: str) -> str:
    """A word with its accents, in the one form that hoà and hòa, Đak and Đắk share."""
    letters = unicodedata.normalize("NFD", word.lower())
    key = "".join(c for c in letters if c not in _TONES) + "".join(c for c in letters if c in _TONES)
    return "đak" if fold(word) == "dak" and key != "dak" else key


class _Text:
    """A text cut into words, each known as written and folded."""

    __slots__ = ("flat", "spans", "text", "words")

    def __init__(self, text: str) -> None:
        self.text = nfc(text)
        self.flat = self.text.translate(_FLAT)
        self.spans = [match.span() for match in _WORD.finditer(self.flat)]
        self.words = [self.flat[start:end] for start, end in self.spans]

    def gap(self, i: int) -> str:
        """What stands between word i-1 and word i."""
        return self.text[self.spans[i - 1][1] : self.spans[i][0]]

    def joined(self, i: int, j: int) -> bool:
        """Nothing but white space between the words i to j-1."""
        return all(self.gap(k).isspace() for k in range(i + 1, j))

    def before(self, i: int, back: int = 1) -> str:
        return self.words[i - back] if i >= back else ""

    def written(self, i: int) -> str:
        start, end = self.spans[i]
        return self.text[start:end]

    def titled(self, i: int) -> bool:
        """Written with a capital and not all in capitals, or a number."""
        word = self.written(i)
        return word.isdigit() or (word[:1].isupper() and (len(word) == 1 or word[1:].islower()))

    def accented(self, i: int, j: int) -> bool:
        return any(self.written(k).lower() != self.words[k] for k in range(i, j))

    def ends_at(self, j: int) -> bool:
        """A stop, or the end of the text, follows word j-1."""
        return j >= len(self.words) or _STOP.search(self.gap(j)) is not None


Role = Literal["unit", "district", "province", "elsewhere"]
Standing = Literal["typed", "wrong type", "bare", "facility", "hamlet"]


@dataclass(slots=True)
class _Mention:
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


def recognise(
    text: str, gazetteer: Gazetteer, on: date, lat: float | None = None, lng: float | None = None
) -> Recognised:
    """Which unit does this text name, as read on that day? Units that begin later are not thought of.

    A unit that goes on under its type and name is given as the one valid on the day; any other former unit as it was
    named, with its successors among the candidates. Coordinates (degrees) support or contradict, and never decide.
    """
    reading = _Reading(_Text(text), gazetteer, on)
    scores = reading.scores()
    definite = reading.definite()
    if definite is not None:
        scores[definite.code] = 1.0
        if not definite.valid(on):
            for code in gazetteer.successors(definite.code, on):
                scores[code] = 0.8
    kept = definite.code if definite else None
    if lat is not None and lng is not None and _on_earth(lat, lng):
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
        km = _kilometres(lat, lng, place.lat, place.lng)
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

    def __init__(self, text: _Text, gazetteer: Gazetteer, on: date) -> None:
        self.text = text
        self.gazetteer = gazetteer
        self.on = on
        self.mentions: list[_Mention] = []
        self.flooded = False
        for mention in self._find():
            if len(self.mentions) == _MOST_MENTIONS:
                self.flooded = True
                break
            self.mentions.append(mention)

    # -- finding names

    def _find(self) -> Iterator[_Mention]:
        text, lengths = self.text, self.gazetteer.lengths
        floor = 0
        for i in [i for i, word in enumerate(text.words) if word in lengths]:
            if i < floor:
                continue
            for size in lengths[text.words[i]]:
                name = self._name_at(i, size)
                if name is None:
                    continue
                mention = self._understand(name, i, i + size, floor)
                if mention is not None:
                    yield mention
                floor = i + size
                break

    def _name_at(self, i: int, size: int) -> _Name | None:
        text, names = self.text, self.gazetteer.names
        j = i + size
        name = names.get(" ".join(text.words[i:j])) if j <= len(text.words) else None
        if name is None or not text.joined(i, j):
            return None
        if name.longer and any(
            " ".join(text.words[k : k + 2]) in names for k in range(i + 2, j)
        ):  # "tan phu dong xoai" is Tân Phú in Đồng Xoài, not Tân Phú Đông
            return None
        if name.street and (text.before(i),) in words.COMMUNE_TYPES:  # "xa phu rieng do" is xã Phú Riềng đó
            return None
        return name

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

    def _understand(self, name: _Name, i: int, j: int, floor: int) -> _Mention | None:
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
        mention = _Mention(role, " ".join(self.text.words[i:j]), start, i, j, standing, kind, options, kin=kin)
        self._spell(mention)
        if role == "unit" and kind is not None:
            fitting = [place for place in mention.options if place.type == kind]
            mention.standing = "typed" if fitting else "wrong type"
            mention.options = fitting or mention.options
        return mention

    def _role(self, name: _Name, kind: str | None) -> tuple[Role | None, list[Place], list[Place]]:
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

    def _spell(self, mention: _Mention) -> None:
        """Where the writer uses accents they must be the unit's own: Lộc Thành is not Lộc Thạnh."""
        if not mention.options or not self.text.accented(mention.start, mention.j):
            return
        keys = tuple(_key(self.text.written(k)) for k in range(mention.i, mention.j))
        spelt = [place for place in mention.options if _name_keys(place.name) == keys]
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
            if _STOP.search(self.text.gap(k + 1)) or self.text.words[k] in words.LOCATIVES:
                return False
            if self.text.words[k] in words.FACILITIES:
                return True
        return False

    # -- what the mentions say of each other

    def _district_of(self, k: int) -> _Mention | None:
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

    def _follows(self, mention: _Mention, district: _Mention) -> bool:
        between = range(mention.j, district.start)
        if len(between) > 2 or any(self.text.words[k] not in words.OF for k in between):
            return False
        gap = _ADDRESS_GAP if mention.bare or district.bare else _DASHED_GAP  # a dash may be a bus line
        return all(gap.fullmatch(self.text.gap(k)) for k in range(mention.j, district.start + 1))

    def _within(self, options: list[Place], district: _Mention | None) -> list[Place]:
        if district is None or district.misspelt:
            return []
        return [place for place in options if district.phrase in self.gazetteer.origins(place)]

    def _standing_for(self, place: Place, *, by_type: bool) -> Place:
        """The unit itself, or the one of its name that goes on in its place on the day."""
        if place.valid(self.on):
            return place
        code = self.gazetteer.current(place.code, self.on)
        heir = self.gazetteer.get(code) if code else None
        if heir is None or _name_keys(heir.name) != _name_keys(place.name) or (by_type and heir.type != place.type):
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

    def _denied(self, mention: _Mention) -> bool:
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

    def _has_namesake(self, mention: _Mention) -> bool:
        if self.on < _MERGER or (mention.type, mention.phrase) not in words.NAMESAKES_IN_DONG_NAI:
            return False
        return not any(m.role == "province" and m.phrase == "binh phuoc" and not m.aside for m in self.mentions)

    def _opens_address(self, mention: _Mention) -> bool:
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
        return k == 0 or _STOP.search(text.gap(k)) is not None

    def _against(self, k: int, place: Place, anchors: list[_Mention]) -> bool:
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


def _on_earth(lat: float, lng: float) -> bool:
    return -90 <= lat <= 90 and -180 <= lng <= 180  # false for what is not a number


def _kilometres(lat: float, lng: float, other_lat: float, other_lng: float) -> float:
    """Distance along the earth's surface, on a sphere (within 0.5 %)."""
    a, b = math.radians(lat), math.radians(other_lat)
    h = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(math.radians(other_lng - lng) / 2) ** 2
    return 2 * 6371.0 * math.asin(min(1.0, math.sqrt(h)))
