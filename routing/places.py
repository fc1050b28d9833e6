"""The units of the province through time, and an index over their names.

Pure: reads no database and no clock; the table comes in as text, the day as an argument. Which unit a citizen's text
names is read in `recognising.py`.

Codes are ours and stable, since the statistics office changes its own between releases: `bp-d-…` a district and
`bp-c-<district>-…` a commune of Bình Phước before 1 July 2025, `dn-c-…` a unit of Đồng Nai since. Where two names
differ by tone alone the code ends in the Telex key of the tone (`loc-thanhf` Lộc Thành, `loc-thanhj` Lộc Thạnh), and
a unit that became a phường on 1 October 2022 keeps its older row under `…-xa` or `…-huyen`.
"""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from core.text import fold, nfc
from routing import place_words as words
from routing.directory import called
from routing.reading import WORD

COMMUNE = frozenset({"xã", "phường", "thị trấn"})
DISTRICT = frozenset({"huyện", "thị xã", "thành phố"})
PROVINCE = frozenset({"tỉnh"})
COLUMNS = ("code", "official_code", "name", "type", "parent", "valid_from", "valid_to", "successors", "lat", "lng")

MOST_NEAR = 5
_REMEMBERED = 10_000  # answers about what became of a unit
FARTHEST_KM = 60.0  # from every centre: the place is outside the province


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
    names: tuple[tuple[date, str], ...] = ()  # all it had and will have, each with its first day; none: `name` alone

    def name_at(self, on: date) -> str:
        """What it was called on that day."""
        return called(self.names, self.name, on)

    @property
    def every_name(self) -> tuple[str, ...]:
        """The present name and those of other times."""
        return tuple(dict.fromkeys((self.name, *(name for _, name in self.names))))

    def began(self, on: date) -> bool:
        return self.valid_from is None or self.valid_from <= on

    def valid(self, on: date) -> bool:
        return self.began(on) and (self.valid_to is None or on < self.valid_to)


class Candidate(NamedTuple):
    """A unit the text may mean; `score` between 0 and 1."""

    code: str
    score: float


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
class Name:
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
        self.names: dict[str, Name] = defaultdict(Name)
        for place in self.places:
            for folded in dict.fromkeys(map(fold, place.every_name)):
                name = self.names[folded]
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
        self.seconds = _seconds(self.names)
        self._origins = self._find_origins()
        self._successors: dict[tuple[str, date], tuple[str, ...]] = {}
        self._search_words = {
            place.code: fold(" ".join((self.label(place), *place.every_name[1:], *self._parent_names(place)))).split()
            for place in self.places
        }

    def get(self, code: str) -> Place | None:
        return self._by_code.get(code)

    def label(self, place: Place) -> str:
        """The unit with its type, as people read it: "Phường Tân Bình"."""
        return f"{place.type[0].upper()}{place.type[1:]} {place.name}"

    def successors(self, code: str, on: date) -> list[str]:
        """The units that stand for this one on that day: itself while it lives, later what became of it; remembered.

        Empty for an unknown code and before the unit began.
        """
        known = self._successors.get((code, on))
        return list(self._follow(code, on) if known is None else known)

    def _follow(self, code: str, on: date) -> tuple[str, ...]:
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
        if len(self._successors) >= _REMEMBERED:
            self._successors.clear()
        return self._successors.setdefault((code, on), tuple(found))

    def current(self, code: str, on: date) -> str | None:
        """The one unit that stands for this one on that day; None when there is none, or several."""
        found = self.successors(code, on)
        return found[0] if len(found) == 1 else None

    def origins(self, place: Place) -> frozenset[str]:
        """Folded names of the districts the unit lies in or was formed from."""
        return self._origins[place.code]

    def search(self, q: str, on: date, limit: int = 10) -> tuple[Place, ...]:
        """Type-ahead for a unit picker: each word of `q` begins a word of the unit's type, name or district.

        Needs no diacritics; units whose own name fits first, living before former ones, for people go on saying the old
        names.
        """
        asked = [part for word in WORD.findall(fold(q[:100])) for part in _ABBREVIATED.get(word, (word,))]
        found = [
            place
            for place in self.places
            if place.began(on) and all(any(w.startswith(a) for w in self._search_words[place.code]) for a in asked)
        ]
        found.sort(
            key=lambda p: (
                not any(_in_a_row(asked, fold(f"{p.type} {name}").split()) for name in p.every_name),
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
        if not on_earth(lat, lng):
            return ()
        distances = sorted(
            (kilometres(lat, lng, place.lat, place.lng), place.code)
            for place in self.places
            if place.type in COMMUNE and place.valid(on) and place.lat is not None and place.lng is not None
        )
        return tuple(
            Candidate(code, round(0.6 * math.exp(-km / 15), 3))
            for km, code in distances[:MOST_NEAR]
            if km <= FARTHEST_KM
        )

    def _parent_names(self, place: Place) -> tuple[str, ...]:
        return self._by_code[place.parent].every_name if place.parent else ()

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
                origins[code].update(map(fold, parent.every_name))
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


def _seconds(names: Iterable[str]) -> dict[str, frozenset[str]]:
    """First word -> the words that follow it in the names that begin with it."""
    found: dict[str, set[str]] = defaultdict(set)
    for name in names:
        first, *others = name.split()
        found[first].update(others[:1])
    return {first: frozenset(seconds) for first, seconds in found.items()}


_ABBREVIATED = {"tt": ("thi", "tran"), "tx": ("thi", "xa"), "tp": ("thanh", "pho"), "h": ("huyen",)}


def on_earth(lat: float, lng: float) -> bool:
    """Are these degrees of latitude and longitude at all?"""
    return -90 <= lat <= 90 and -180 <= lng <= 180  # false for what is not a number


def kilometres(lat: float, lng: float, other_lat: float, other_lng: float) -> float:
    """Distance along the earth's surface, on a sphere (within 0.5 %)."""
    a, b = math.radians(lat), math.radians(other_lat)
    h = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(math.radians(other_lng - lng) / 2) ** 2
    return 2 * 6371.0 * math.asin(min(1.0, math.sqrt(h)))
