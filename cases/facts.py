"""The facts of a case as the rules see them, and which values of them may be stated."""

from collections.abc import Iterable, Iterator

from cases.models import Case
from routing.decide import Condition, Facts, Rulebook
from routing.rule_known import ASSET_OWNERS, ROAD_CLASSES, SEVERAL_UNITS, STATED_FLAGS

NOT_SAID = "not_said"  # takes back what was stated
COMPETENCE = {"clear": True, "unclear": False}
# Whose road it is follows from its class, unless somebody says otherwise.
OWNER_OF_ROAD = {each: f"{each}_road" for each in ("national", "provincial", "district", "commune")}


def facts_of(case: Case) -> Facts:
    """The case as the rules see it. Competence of which nobody spoke is clear as soon as the field is known."""
    return Facts(
        received_at=case.received_at,
        field=case.field,
        urgency=case.urgency,
        kind=case.kind,
        track=case.track,
        area=case.area,
        channel=case.channel,
        mode=case.mode,
        competence_clear=COMPETENCE.get(case.competence or "", case.field is not None),
        asset_owner=case.asset_owner or OWNER_OF_ROAD.get(case.road_class or ""),
        flags=frozenset((*case.flags, SEVERAL_UNITS)) if len(case.units) > 1 else frozenset(case.flags),
        road_class=case.road_class,
    )


def asset_owners(book: Rulebook) -> tuple[str, ...]:
    """Owners that may be stated: the usual ones and those the rules ask for."""
    return _with(ASSET_OWNERS, (when.asset_owners for when in _conditions(book)))


def road_classes(book: Rulebook) -> tuple[str, ...]:
    """Classes of roads that may be stated."""
    return _with(ROAD_CLASSES, (when.road_classes for when in _conditions(book)))


def flags(book: Rulebook) -> tuple[str, ...]:
    """Flags that may be set."""
    asked = (set(when.flags or ()) - {SEVERAL_UNITS} for when in _conditions(book))
    return _with(STATED_FLAGS, asked)


def _conditions(book: Rulebook) -> Iterator[Condition]:
    yield from (rule.when for rule in book.leads)
    yield from (rule.when for rule in book.limits)


def _with(usual: Iterable[str], asked: Iterable[Iterable[str] | None]) -> tuple[str, ...]:
    more = {value for values in asked for value in values or ()}
    return (*usual, *sorted(more.difference(usual)))
