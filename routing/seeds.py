"""What is shipped with the project: groups and fields, departments, and the example rule sets.

Pure but for reading the seed files.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any

import yaml

from routing.calendars import SEED
from routing.decide import CaseField
from routing.directory import Area, Department, Directory
from routing.rule_drafts import COMMUNE_TYPES, DISTRICT_TYPES, RuleSetDraft
from routing.rulesets import load_rule_set

SEED_RULE_SETS = ("ruleset-example.yaml", "ruleset-example-2025.yaml")
PROVINCE_SINCE = date(1997, 1, 1)
"""From when units without a date of their own are taken to exist: the province was made on 1 January 1997."""


@cache
def seed_groups() -> Mapping[str, str]:
    """The groups of fields shipped with the project: code → Vietnamese name."""
    return {group["code"]: group["name"] for group in _seed("fields.yaml")["groups"]}


@cache
def seed_fields() -> Mapping[str, CaseField]:
    """The fields shipped with the project, by code."""
    return parse_fields(_seed("fields.yaml"))


def parse_fields(document: Mapping[str, Any]) -> dict[str, CaseField]:
    """Fields from the form of `fields.yaml`: groups, each with its fields. KeyError or TypeError on a faulty one."""
    return {
        row["code"]: CaseField(**{**row, "keywords": tuple(row.get("keywords", ()))})
        for group in document["groups"]
        for row in group["fields"]
    }


@cache
def seed_rule_sets() -> tuple[RuleSetDraft, ...]:
    """The example rule sets shipped with the project, by date."""
    return tuple(load_rule_set(SEED / name) for name in SEED_RULE_SETS)


def seed_directory(areas: Mapping[str, Area]) -> Directory:
    """The departments shipped with the project, with those of every district and commune among `areas`."""
    document = _seed("departments.yaml")
    listed = [Department(**{"valid_from": PROVINCE_SINCE, **row}) for row in document["departments"]]
    everyone = [*listed, *district_departments(areas.values()), *commune_departments(areas.values())]
    return Directory({department.code: department for department in everyone}, areas, seed_kinds())


@cache
def seed_kinds() -> Mapping[str, tuple[str, ...]]:
    """The kinds of department, each with the kinds that stand in for it: `Directory.kinds`."""
    return {row["code"]: tuple(row.get("then", ())) for row in _seed("departments.yaml")["kinds"]}


@cache
def seed_kind_names() -> Mapping[str, str]:
    """Vietnamese names of the kinds of department."""
    return {row["code"]: row["name"] for row in _seed("departments.yaml")["kinds"]}


def district_departments(areas: Iterable[Area]) -> list[Department]:
    """The people's committee of each district, `ubnd-` and the code of the area."""
    return _committees(areas, DISTRICT_TYPES, "ubnd_huyen")


def commune_departments(areas: Iterable[Area]) -> list[Department]:
    """The people's committee of each commune, `ubnd-` and the code of the area."""
    return _committees(areas, COMMUNE_TYPES, "ubnd_xa")


def _committees(areas: Iterable[Area], types: frozenset[str], kind: str) -> list[Department]:
    places = {area.code: area for area in areas if area.type in types and area.parent is not None}
    return [
        Department(
            code=f"ubnd-{area.code}",
            name=f"UBND {area.type} {area.name}",
            kind=kind,
            area=area.code,
            valid_from=area.valid_from or PROVINCE_SINCE,
            valid_to=area.valid_to,
            successor=_committee(area.successors, places),
        )
        for area in places.values()
    ]


def _committee(successors: Sequence[str], places: Mapping[str, Area]) -> str | None:
    """The heir of a committee, where its area has exactly one of the same level."""
    return f"ubnd-{successors[0]}" if len(successors) == 1 and successors[0] in places else None


def _seed(name: str) -> Any:
    return yaml.safe_load((SEED / name).read_text(encoding="utf-8"))
