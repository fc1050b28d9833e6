"""What the names of units mean on one day: which units bear a name, in what role, and which unit goes on for another.

Pure. Nothing here depends on a text, so each answer is worked out once. Reports are read as of today, all with the
same answers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Literal

from routing.places import COMMUNE, DISTRICT, Gazetteer, Name, Place
from routing.reading import name_keys

Role = Literal["unit", "district", "province", "elsewhere"]


@dataclass(frozen=True, slots=True, eq=False)
class Option:
    """A unit that may be meant."""

    place: Place
    heir: Place  # the unit itself, or the one of its name, and its type where that is said, that goes on in its place
    family: str  # the code of the one of its name that goes on, whatever its type
    alive: bool
    districts: frozenset[str]  # folded names of those it lies in or was formed from


@dataclass(frozen=True, slots=True, eq=False)
class Meaning:
    """What a name means where a text gives it this type, or none."""

    role: Role
    fits: bool  # whether an option is of the type given
    options: tuple[Option, ...]
    kin: tuple[Option, ...]  # units of other kinds that bear the same name
    spelt: Mapping[tuple[str, ...], "Meaning"] = field(default_factory=dict)  # what is left to whoever writes accents


class Meanings(dict[tuple[str, str | None], Meaning | None]):
    """A folded name of the gazetteer and the type given with it -> what they mean on the day; None: nothing of ours."""

    def __init__(self, gazetteer: Gazetteer, on: date) -> None:
        self.gazetteer = gazetteer
        self.on = on
        self.ended = frozenset(place.code for place in gazetteer.places if not place.valid(on))
        self._heirs: dict[tuple[str, bool], Place] = {}

    def __missing__(self, asked: tuple[str, str | None]) -> Meaning | None:
        phrase, kind = asked
        self[asked] = meaning = self._find(self.gazetteer.names[phrase], kind)
        return meaning

    def heir(self, place: Place, *, by_type: bool = False) -> Place:
        """The unit itself, or the one of its name (and type, if asked) that goes on in its place on the day."""
        known = self._heirs.get((place.code, by_type))
        if known is None:
            known = self._heirs[place.code, by_type] = self._find_heir(place, by_type)
        return known

    def _find_heir(self, place: Place, by_type: bool) -> Place:
        if place.valid(self.on):
            return place
        code = self.gazetteer.current(place.code, self.on)
        heir = self.gazetteer.get(code) if code else None
        if heir is None or _keys(heir).isdisjoint(_keys(place)) or (by_type and heir.type != place.type):
            return place
        return heir

    def _find(self, name: Name, kind: str | None) -> Meaning | None:
        communes, districts, provinces = (
            [place for place in shelf if place.began(self.on)]
            for shelf in (name.communes, name.districts, name.provinces)
        )
        if name.street or (name.longer and kind is None):
            return None
        if kind in COMMUNE and communes:
            return self._meaning("unit", kind, communes)
        if kind == "tỉnh" or kind == "quận" or (kind in DISTRICT and not districts):
            return self._meaning("province" if provinces else "elsewhere", kind, provinces)
        if districts:
            return self._meaning("district", kind, districts, communes)
        if name.provinces:
            return self._meaning("province" if provinces else "elsewhere", kind, provinces, communes)
        return self._meaning("unit" if communes else "elsewhere", kind, communes)

    def _meaning(self, role: Role, kind: str | None, places: list[Place], kin: Iterable[Place] = ()) -> Meaning:
        by_type = role == "unit" and kind is not None
        near = tuple(self._option(place) for place in kin)

        def of(places: list[Place], spelt: Mapping[tuple[str, ...], Meaning]) -> Meaning:
            fitting = [place for place in places if place.type == kind] if by_type else places
            options = tuple(self._option(place, by_type=by_type) for place in fitting or places)
            return Meaning(role, bool(fitting) or not by_type, options, near, spelt)

        spellings = {keys for place in places for keys in _keys(place)}
        return of(places, {keys: of([p for p in places if keys in _keys(p)], {}) for keys in spellings})

    def _option(self, place: Place, *, by_type: bool = False) -> Option:
        return Option(
            place,
            self.heir(place, by_type=by_type),
            self.heir(place).code,
            place.code not in self.ended,
            self.gazetteer.origins(place),
        )


@lru_cache(8)  # today and a few days more; the rules read anew bring another gazetteer
def meanings_on(gazetteer: Gazetteer, on: date) -> Meanings:
    """What the names of this gazetteer mean on that day."""
    return Meanings(gazetteer, on)


def _keys(place: Place) -> set[tuple[str, ...]]:
    return {name_keys(name) for name in place.every_name}
