"""Departments and areas as they were and are: which department answers for what, where, on a given day.

Pure. Units end and pass what they did to their heirs, so everything is asked for a day.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from typing import Literal, Protocol, Self

RESERVED = frozenset({"centre", "none", "province"})  # words with a meaning of their own where a code may stand


@dataclass(frozen=True, slots=True)
class Selector:
    """Which department: one by its code, or the one of a kind that is responsible where the case is.

    Written `so-xd`, `kind:ubnd_xa`, or `centre`.
    """

    how: Literal["code", "kind"]
    value: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the written form; ValueError when it is empty."""
        how, colon, value = text.strip().rpartition(":")
        if not value or (colon and how != "kind"):
            raise ValueError(f"{text!r} is neither a department code nor kind:NAME")
        return cls("kind", value) if colon or value == "centre" else cls("code", value)

    def __str__(self) -> str:
        return self.value if self.how == "code" or self.value == "centre" else f"kind:{self.value}"


@dataclass(frozen=True, slots=True)
class Heir:
    """One of several that a department's work goes to: cases in these areas and of these fields (`roads.*` for all of
    a group), empty meaning any.
    """

    to: str
    areas: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()

    def takes(self, lineage: frozenset[str], field: str | None) -> bool:
        """Whether a case is its: `lineage` is what the case lies in."""
        here = not self.areas or not lineage.isdisjoint(self.areas)
        return here and (not self.fields or any(fnmatchcase(field or "", each) for each in self.fields))


def called(names: Sequence[tuple[date, str]], name: str, on: date) -> str:
    """What something was called on a day, by the names it had and will have; `name` where it never had another."""
    worn = [each for since, each in sorted(names) if since <= on]
    return worn[-1] if worn else min(names, default=(on, name))[1]


@dataclass(frozen=True, slots=True)
class Department:
    """A unit that can hold a case. `valid_to` is the first day it no longer exists; no `area`: the whole province.

    `heirs` are asked in order before `successor`; `names` are those it had and will have, each with its first day.
    """

    code: str
    name: str
    kind: str
    area: str | None = None
    parent: str | None = None
    valid_from: date = date.min
    valid_to: date | None = None
    successor: str | None = None
    heirs: tuple[Heir, ...] = ()
    names: tuple[tuple[date, str], ...] = ()

    def lives(self, on: date) -> bool:
        """Whether the unit exists on that day."""
        return self.valid_from <= on and (self.valid_to is None or on < self.valid_to)

    def ended(self, on: date) -> bool:
        """Whether the unit existed and no longer does."""
        return self.valid_to is not None and self.valid_to <= on

    def name_at(self, on: date) -> str:
        """What it was called on that day."""
        return called(self.names, self.name, on)


class Area(Protocol):
    """What routing needs of an administrative unit; `valid_to` is the first day it no longer exists."""

    @property
    def code(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def parent(self) -> str | None: ...
    @property
    def valid_from(self) -> date | None: ...
    @property
    def valid_to(self) -> date | None: ...
    @property
    def successors(self) -> Sequence[str]: ...
    @property
    def names(self) -> tuple[tuple[date, str], ...]: ...


@dataclass(frozen=True)
class Directory:
    """Departments and areas as they were and are, and who answers for what on a given day.

    `kinds` says, for a kind of department, which other kinds take its place where it has none: `ubnd_huyen` → `ubnd_xa`
    once districts are gone, `local` → district division, else commune.
    """

    departments: Mapping[str, Department]
    areas: Mapping[str, Area]
    kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    _by_kind: dict[tuple[str, str | None], tuple[Department, ...]] = field(init=False, repr=False, compare=False)
    _origins: dict[str, list[str]] = field(init=False, repr=False, compare=False)
    _heirs_of: dict[str, list[str]] = field(init=False, repr=False, compare=False)
    _of_area: dict[str, list[Department]] = field(init=False, repr=False, compare=False)
    _turns: list[date] = field(init=False, repr=False, compare=False)
    _split: bool = field(init=False, repr=False, compare=False)
    _resolved: dict[tuple[Selector, str | None, str | None, int], str | None] = field(
        init=False, repr=False, compare=False
    )
    _lineages: dict[tuple[str, int], frozenset[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_kind: dict[tuple[str, str | None], tuple[Department, ...]] = {}
        for department in self.departments.values():
            key = (department.kind, department.area)
            by_kind[key] = (*by_kind.get(key, ()), department)
        days = {day for department in self.departments.values() for day in (department.valid_from, department.valid_to)}
        days |= {day for area in self.areas.values() for day in (area.valid_from, area.valid_to)}
        turns = sorted(day for day in days if day is not None)
        origins: dict[str, list[str]] = {}
        for area in self.areas.values():
            for heir in area.successors:
                origins.setdefault(heir, []).append(area.code)
        of_area: dict[str, list[Department]] = {}
        for department in self.departments.values():
            if department.area is not None:
                of_area.setdefault(department.area, []).append(department)
        before: dict[str, list[str]] = {}
        for code in self.departments:
            for heir in self._next_departments(code):
                before.setdefault(heir, []).append(code)
        made = {"_by_kind": by_kind, "_turns": turns, "_origins": origins, "_heirs_of": before, "_of_area": of_area}
        for name, value in made.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_split", any(each.heirs for each in self.departments.values()))
        object.__setattr__(self, "_resolved", {})
        object.__setattr__(self, "_lineages", {})

    @property
    def centre(self) -> str:
        """The code of the 1022 centre itself; LookupError when there is none."""
        for department in self._by_kind.get(("centre", None), ()):
            return department.code
        raise LookupError("the directory has no department of kind centre")

    def turning_days(self, since: date, until: date | None) -> tuple[date, ...]:
        """`since` and every later day before `until` on which a department or area begins or ends."""
        return (since, *(day for day in self._turns if since < day and (until is None or day < until)))

    def knows_kind(self, kind: str) -> bool:
        """Whether any department is of this kind, or another kind stands in for it."""
        return kind in self.kinds or any(kind == known for known, _ in self._by_kind)

    def living(self, code: str, on: date) -> str | None:
        """The department itself if it exists on that day, else its heir, else None."""
        seen: set[str] = set()
        step: str | None = code
        while step is not None and step not in seen:
            seen.add(step)
            department = self.departments.get(step)
            if department is None:
                return None
            if department.lives(on):
                return step
            step = department.successor
        return None

    def heir(self, code: str, area: str | None, field: str | None, on: date) -> str | None:
        """Who has a case of this department on that day: itself while it lives, else whoever its work went to.

        Of several heirs the one that takes cases of this place and field; for a committee without an heir of its own
        the committee of the place, if that lay where it answered. None: nobody can be found.
        """
        return self._heir(code, area, field, on, set())

    def _heir(self, code: str, area: str | None, field: str | None, on: date, seen: set[str]) -> str | None:
        department = self.departments.get(code)
        if department is None or code in seen:
            return None
        if department.lives(on):
            return code
        seen.add(code)
        lineage = self.lineage(area, on)
        named = [each.to for each in department.heirs if each.takes(lineage, field)]
        for each in (*named, *([department.successor] if department.successor else ())):
            if (found := self._heir(each, area, field, on, seen)) is not None:
                return found
        if area is None or department.area is None or department.area not in self._lay_in(area):
            return None
        return self._of_kind(department.kind, area, field, on, seen)

    def heirs(self, code: str, on: date) -> frozenset[str]:
        """All departments that live on that day and whose work any of this one's may have become."""

        def onwards(code: str) -> Sequence[str]:  # one that lives has its work, whoever is to follow it later
            return () if self.departments[code].lives(on) else self._next_departments(code)

        def became(area: str) -> Sequence[str]:
            known = self.areas.get(area)
            return known.successors if known is not None and known.valid_to is not None and known.valid_to <= on else ()

        found: set[str] = set()
        for each in (code, *_reached(code, onwards)) if code in self.departments else ():
            department = self.departments[each]
            if department.area is None or department.lives(on):
                found |= {each} if department.lives(on) else set()
                continue
            for area in _reached(department.area, became):
                for kind in self._standing_in(department.kind):
                    found |= {other.code for other in self._by_kind.get((kind, area), ()) if other.lives(on)}
        return frozenset(found)

    def name_at(self, code: str, on: date) -> str:
        """What a department was called on that day; its code where nobody knows it."""
        department = self.departments.get(code)
        return department.name_at(on) if department is not None else code

    def ended(self, on: date) -> frozenset[str]:
        """Departments that no longer exist on that day, but for the centre, which is always one."""
        return frozenset(code for code, each in self.departments.items() if each.ended(on) and each.kind != "centre")

    def kin(self, code: str) -> tuple[str, ...]:
        """Departments whose work came to this one or goes on from it, at any date, nearest first; without itself.

        To a committee belong those of all its place was or became: a district's had no one heir.
        """
        found = dict.fromkeys(_reached(code, self._next_departments, self._previous_departments))
        department = self.departments.get(code)
        if department is None or department.area is None:
            return tuple(found)
        for area in self.kin_areas(department.area):
            for other in self._of_area.get(area, ()):
                if department.kind in self._standing_in(other.kind) or other.kind in self._standing_in(department.kind):
                    found[other.code] = None
        return tuple(found)

    def kin_areas(self, area: str) -> tuple[str, ...]:
        """Areas that became this one or that it became, at any date, nearest first; without itself."""
        return _reached(area, self._became, self._made_of)

    def counted_as(self, area: str, on: date) -> str:
        """Where a case of this area is counted by the geography of that day: itself where it is no single unit then."""
        return self.unit(area, on) or area

    def counted_in(self, area: str, on: date) -> tuple[str, ...]:
        """All areas whose cases are counted there by the geography of that day."""
        return tuple(code for code in (area, *self.kin_areas(area)) if self.counted_as(code, on) == area)

    def _became(self, area: str) -> Sequence[str]:
        known = self.areas.get(area)
        return known.successors if known is not None else ()

    def _made_of(self, area: str) -> Sequence[str]:
        return self._origins.get(area, ())

    def _next_departments(self, code: str) -> Sequence[str]:
        known = self.departments.get(code)
        if known is None:
            return ()
        named = [each.to for each in known.heirs] + ([known.successor] if known.successor else [])
        return [each for each in dict.fromkeys(named) if each in self.departments]

    def _previous_departments(self, code: str) -> Sequence[str]:
        return self._heirs_of.get(code, ())

    def _lay_in(self, area: str) -> frozenset[str]:
        """All that this area, and the ones it was made of, ever lay in."""
        once = (area, *_reached(area, self._made_of))
        return frozenset(unit for each in once for unit in self._upward(each))

    def unit(self, area: str, on: date) -> str | None:
        """The administrative unit that an area is on that day, by its heirs or, for a name used too early, backwards.

        None when the area is not known, was split among several, or was made of several.
        """
        seen: set[str] = set()
        while area not in seen and (place := self.areas.get(area)) is not None:
            if place.valid_to is not None and place.valid_to <= on:
                steps = place.successors
            elif place.valid_from is not None and on < place.valid_from:
                steps = self._origins.get(area, ())
            else:
                return area
            if len(steps) != 1:
                return None
            seen.add(area)
            area = steps[0]
        return None

    def lineage(self, area: str | None, on: date) -> frozenset[str]:
        """The area, the unit it is on that day, and all they lie in: what a condition on areas is compared with."""
        if area is None or area not in self.areas:
            return frozenset()
        key = (area, self._turn(on))
        found = self._lineages.get(key)
        if found is None:
            found = self._lineages[key] = frozenset((*self._upward(area), *self._upward(area, on)))
        return found

    def resolve(self, selector: Selector, area: str | None, field: str | None, on: date) -> str | None:
        """The department meant by a selector for a case of `field` in `area`, alive on that day; None: there is none.

        Of one that ended it is the heir that an open case of this place and field goes to.
        """
        if area not in self.areas:
            area = None
        # Nothing changes between two turning days, which bounds what is remembered; fields matter to splits alone.
        key = (selector, area, field if self._split else None, self._turn(on))
        if key not in self._resolved:
            self._resolved[key] = (
                self.heir(selector.value, area, field, on)
                if selector.how == "code"
                else self._of_kind(selector.value, area, field, on, set())
            )
        return self._resolved[key]

    def _turn(self, on: date) -> int:
        return bisect_right(self._turns, on)

    def _upward(self, area: str | None, on: date | None = None) -> tuple[str, ...]:
        """The area and what it lies in, outwards: as written, or each as the unit it is on that day."""
        chain: list[str] = []
        while area is not None and area in self.areas:
            unit = area if on is None else self.unit(area, on)
            if unit is None or unit in chain:
                break
            chain.append(unit)
            area = self.areas[unit].parent
        return tuple(chain)

    def _of_kind(self, kind: str, area: str | None, field: str | None, on: date, seen: set[str]) -> str | None:
        """The nearest living department of the kind, from the unit itself outwards; then of the kinds that stand in."""
        chain = self._upward(area, on)
        for each in self._standing_in(kind):
            for unit in (*chain, None):
                candidates = self._by_kind.get((each, unit), ())
                for department in sorted(candidates, key=lambda d: not d.lives(on)):
                    if (code := self._heir(department.code, area, field, on, seen)) is not None:
                        return code
        return None

    def _standing_in(self, kind: str) -> list[str]:
        """The kind, then those that stand in for it, then those that stand in for them."""
        kinds = [kind]
        for each in kinds:
            kinds.extend(other for other in self.kinds.get(each, ()) if other not in kinds)
        return kinds


def _reached(start: str, *ways: Callable[[str], Sequence[str]]) -> tuple[str, ...]:
    """What is reached by going only forwards, and by going only backwards, nearest first: brothers are no kin."""
    found: dict[str, None] = {}
    for way in ways:
        seen, waiting = {start}, list(way(start))
        while waiting:
            code = waiting.pop(0)
            if code not in seen:
                seen.add(code)
                found[code] = None
                waiting += way(code)
    return tuple(found)
