"""Who is told: whoever is on duty, else who stands in, else the head, else the centre's supervisor. Never nobody. Pure.

A `Roster` is one moment: who works here as what, who has a shift, who is away, who stands in for whom. What a person
may not know of they are not told, so every question takes `sees`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from core.staff import RESTRICTED_ROLES, Actor, Role

Sees = Callable[[Actor], bool]

# Who can do what somebody of this role is asked for, beside those who hold it.
_ALSO = {Role.OFFICER: {Role.HEAD}, Role.DISPATCHER: {Role.SUPERVISOR}}


class How(StrEnum):
    """Why it is this person who is told."""

    ON_DUTY = "on_duty"
    OFFICER = "officer"  # the case is theirs
    DEPUTY = "deputy"  # of somebody who is away
    HEAD = "head"
    NAMED = "named"  # by the administrator, for a step upwards
    INSPECTOR = "inspector"
    SUPERVISOR = "supervisor"  # of the centre, because nobody nearer is there
    ADMIN = "admin"


class Told(NamedTuple):
    """People, in the order of their ids, and why they."""

    people: tuple[UUID, ...]
    how: How


def everybody(_: Actor) -> bool:
    """No secret: of what everybody here may know."""
    return True


@dataclass(frozen=True, slots=True)
class Roster:
    """One moment. `people` are active accounts; `shifts` those on duty by department; `deputies` by rank."""

    centre: str
    people: Mapping[UUID, Actor]
    shifts: Mapping[str, tuple[UUID, ...]] = field(default_factory=dict)
    away: frozenset[UUID] = frozenset()
    deputies: Mapping[UUID, tuple[UUID, ...]] = field(default_factory=dict)
    named: Mapping[str, tuple[UUID, ...]] = field(default_factory=dict)
    _homes: dict[str, list[UUID]] = field(init=False, repr=False, compare=False)
    _roles: dict[Role, list[UUID]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        homes: dict[str, list[UUID]] = {}
        roles: dict[Role, list[UUID]] = {}
        for id, person in self.people.items():
            for department in person.departments:
                homes.setdefault(department, []).append(id)
            for role in person.roles:
                roles.setdefault(role, []).append(id)
        object.__setattr__(self, "_homes", homes)
        object.__setattr__(self, "_roles", roles)

    def on_duty(self, department: str, role: Role, sees: Sees = everybody) -> Told:
        """Who answers for a role in a department now.

        Those with a shift; stand-ins of those whose shift it is but who are away; the head or who stands in for the
        head; the centre's supervisor.
        """
        here = self._of(department, sees)
        roles = {role, *_ALSO.get(role, ())}
        planned = [person for person in self.shifts.get(department, ()) if self._holds(person, roles, here)]
        if present := self._present(planned):
            return Told(present, How.ON_DUTY)
        if instead := self._stand_ins(planned, here):
            return Told(instead, How.DEPUTY)
        heads = [person for person in here if Role.HEAD in self.people[person].roles]
        if present := self._present(heads):
            return Told(present, How.HEAD)
        if instead := self._stand_ins(heads, here):
            return Told(instead, How.DEPUTY)
        return self.supervisor(sees)

    def owing(self, officer: UUID | None, department: str, role: Role, sees: Sees = everybody) -> Told:
        """Who owes something: the officer whose case it is or who stands in for them, else whoever is on duty."""
        here = self._of(department, sees)
        if officer in here:
            if present := self._present([officer]):
                return Told(present, How.OFFICER)
            if instead := self._stand_ins([officer], here):
                return Told(instead, How.DEPUTY)
        return self.on_duty(department, role, sees)

    def supervisor(self, sees: Sees = everybody) -> Told:
        """The centre's supervisor on duty, else all who are there, else who stands in, else all; else admins."""
        everyone = self._holding(Role.SUPERVISOR, sees)
        at_centre = self._of(self.centre, sees)
        on_shift = [person for person in self.shifts.get(self.centre, ()) if person in everyone]
        for found in (
            self._present(on_shift),
            self._present(everyone),
            self._stand_ins(everyone, at_centre),
            _sorted(everyone),
        ):
            if found:
                return Told(found, How.SUPERVISOR)
        return Told(_sorted(self._holding(Role.ADMIN, sees)), How.ADMIN)

    def inspectors(self, sees: Sees) -> Told:
        """Who is told of a restricted case: those who work on such and may know of it, away or not when no other is
        left."""
        holding = (person for role in sorted(RESTRICTED_ROLES) for person in self._holding(role, sees))
        all_who_may = list(dict.fromkeys(holding))
        found = self._present(all_who_may) or self._stand_ins(all_who_may, all_who_may) or _sorted(all_who_may)
        return Told(found, How.INSPECTOR)

    def holder(self, role: str, sees: Sees = everybody) -> Told | None:
        """Who is named for a step upwards, or stands in for them; None: nobody is named."""
        named = [person for person in self.named.get(role, ()) if person in self.people and sees(self.people[person])]
        if (
            found := self._present(named)
            or self._stand_ins(named, [id for id, person in self.people.items() if sees(person)])
            or _sorted(named)
        ):
            return Told(found, How.NAMED)
        return None

    def above(self, sees: Sees = everybody) -> Told:
        """Who decides what units cannot: those of the leadership who are there, the named ones alone if any is named;
        where nobody is there, the centre's supervisor. Only who may decide is asked."""
        found = self.leaders(sees)
        if found is None:
            return self.supervisor(sees)
        named = [person for person in self.named.get("vice_chair", ()) if person in found.people]
        return Told(_sorted(named) or found.people, How.NAMED)

    def leaders(self, sees: Sees = everybody) -> Told | None:
        """Accounts of the province's leadership that are there; None: there is none."""
        found = self._present(self._holding(Role.LEADER, sees))
        return Told(found, How.NAMED) if found else None

    def _of(self, department: str, sees: Sees) -> list[UUID]:
        return [id for id in self._homes.get(department, ()) if sees(self.people[id])]

    def _holding(self, role: Role, sees: Sees) -> list[UUID]:
        return [id for id in self._roles.get(role, ()) if sees(self.people[id])]

    def _holds(self, person: UUID, roles: Iterable[Role], here: Iterable[UUID]) -> bool:
        return person in here and not self.people[person].roles.isdisjoint(roles)

    def _present(self, people: Iterable[UUID]) -> tuple[UUID, ...]:
        return _sorted(person for person in people if person not in self.away)

    def _stand_ins(self, people: Iterable[UUID], among: Iterable[UUID]) -> tuple[UUID, ...]:
        """For each who is away the first deputy who is there, or that deputy's; only `among` these."""
        allowed, found = set(among), set()
        for person in people:
            seen, asked = {person}, list(self.deputies.get(person, ()))
            while asked:
                deputy = asked.pop(0)
                if deputy in seen:
                    continue
                seen.add(deputy)
                if deputy in allowed and deputy not in self.away:
                    found.add(deputy)
                    break
                asked += self.deputies.get(deputy, ())
        return _sorted(found)


def _sorted(people: Iterable[UUID]) -> tuple[UUID, ...]:
    return tuple(sorted(set(people)))
