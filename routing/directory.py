"""Departments and areas as they were and are: which department answers for what, where, on a given day.

Pure. Units end and pass what they did to their heirs, so everything is asked for a day.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, Protocol, Self


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
class Department:
    """A unit that can hold a case. `valid_to` is the first day it no longer exists; no `area`: the whole province."""

    code: str
    name: str
    kind: str
    area: str | None = None
    parent: str | None = None
    valid_from: date = date.min
    valid_to: date | None = None
    successor: str | None = None

    def lives(self, on: date) -> bool:
        """Whether the unit exists on that day."""
        return self.valid_from <= on and (self.valid_to is None or on < self.valid_to)


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
    _turns: list[date] = field(init=False, repr=False, compare=False)
    _resolved: dict[tuple[Selector, str | None, int], str | None] = field(init=False, repr=False, compare=False)
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
        for name, value in (("_by_kind", by_kind), ("_turns", turns), ("_origins", origins)):
            object.__setattr__(self, name, value)
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

    def resolve(self, selector: Selector, area: str | None, on: date) -> str | None:
        """The department meant by a selector for a case in `area`, alive on that day; None when there is none."""
        if area not in self.areas:
            area = None
        # Nothing changes between two turning days, which bounds what is remembered.
        key = (selector, area, self._turn(on))
        if key not in self._resolved:
            self._resolved[key] = (
                self.living(selector.value, on)
                if selector.how == "code"
                else self._of_kind(selector.value, self._upward(area, on), on)
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

    def _of_kind(self, kind: str, chain: tuple[str, ...], on: date) -> str | None:
        """The nearest living department of the kind, from the unit itself outwards; then of the kinds that stand in."""
        kinds = [kind]
        for each in kinds:
            for unit in (*chain, None):
                candidates = self._by_kind.get((each, unit), ())
                for department in sorted(candidates, key=lambda d: not d.lives(on)):
                    if (code := self.living(department.code, on)) is not None:
                        return code
            kinds.extend(other for other in self.kinds.get(each, ()) if other not in kinds)
        return None
