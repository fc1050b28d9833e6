"""A reform: areas and departments that begin, end, merge, split and are renamed together on one day.

Described as YAML (docs/operator.md, "Areas and departments change"), read into plain values, held against the directory
as it is, and turned into the directory as it will be. Pure: what writes it is `routing.editing.reforms`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from core.text import is_email, nfc
from core.validation import complaints
from routing.directory import Area, Department, Directory, Heir, called
from routing.places import COMMUNE, DISTRICT, PROVINCE, Place
from routing.rule_lines import has_aliases, line_in, line_of, lines_of

LONGEST = 500_000  # characters of a document
EARLIEST, LATEST = date(1900, 1, 1), date(2199, 12, 31)  # days a reform can take effect on
_LEVELS = ((DISTRICT, "ubnd_huyen"), (COMMUNE, "ubnd_xa"))


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a document, in two languages; `line` is where it stands, from 1."""

    where: str
    vi: str
    en: str
    line: int | None = None


class BadReform(ValueError):
    """A document that cannot be applied; `faults` names each place and what is wrong there."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"line {each.line}: {each.where}: {each.en}" for each in faults))
        self.faults = tuple(faults)


# --- the document ---------------------------------------------------------------------------------------------------


def _text(value: object) -> object:
    return nfc(value).strip() if isinstance(value, str) else value


def _printable(value: str) -> str:
    if any(not char.isprintable() for char in value):
        raise PydanticCustomError("control_character", "Contains a character that cannot be shown")
    return value


def _several(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _possible_day(value: date) -> date:
    if not EARLIEST <= value <= LATEST:
        raise PydanticCustomError("day", "Not a day from 1900 to 2199")
    return value


def _mailbox(value: str) -> str:
    if not is_email(value):
        raise PydanticCustomError("email", "Not an e-mail address")
    return value


def _known_type(value: str) -> str:
    if value not in PROVINCE | DISTRICT | COMMUNE:
        raise PydanticCustomError("area_type", "Not a type of area")
    return value


Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
Line = Annotated[str, BeforeValidator(_text), StringConstraints(max_length=500), AfterValidator(_printable)]
Name = Annotated[Line, StringConstraints(min_length=1, max_length=200)]
Codes = Annotated[tuple[Code, ...], BeforeValidator(_several)]
FieldPattern = Annotated[str, StringConstraints(pattern=r"^[a-z_]+\.([a-z_]+|\*)$", max_length=60)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Head(_Part):
    code: Code
    name: Name
    effective_on: Annotated[date, AfterValidator(_possible_day)]
    source: Line = ""


class NewArea(_Part):
    """An area that begins on the day."""

    code: Code
    name: Name
    type: Annotated[str, BeforeValidator(_text), AfterValidator(_known_type)]
    parent: Code | None = None
    official_code: Line = ""
    lat: Annotated[float, Field(ge=-90, le=90)] | None = None
    lng: Annotated[float, Field(ge=-180, le=180)] | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> "NewArea":
        if (self.lat is None) != (self.lng is None):
            raise PydanticCustomError("point", "Latitude and longitude go together")
        return self


class NewDepartment(_Part):
    """A department that begins on the day."""

    code: Code
    name: Name
    kind: str
    area: Code | None = None
    parent: Code | None = None
    email: Annotated[str, AfterValidator(_mailbox)] | None = None


class Passing(_Part):
    """One of several heirs: what it takes."""

    to: Code
    areas: Codes = ()
    fields: Annotated[tuple[FieldPattern, ...], BeforeValidator(_several)] = ()


class Ending(_Part):
    """A department's last day is the one before: who takes its work; nobody named, for a committee, is by place."""

    to: Code | None = None
    heirs: tuple[Passing, ...] = ()


class _Areas(_Part):
    new: tuple[NewArea, ...] = ()
    renamed: dict[Code, Name] = {}
    ended: dict[Code, Codes] = {}


class _Departments(_Part):
    new: tuple[NewDepartment, ...] = ()
    renamed: dict[Code, Name] = {}
    ended: dict[Code, Ending] = {}


class _Document(_Part):
    reform: _Head
    committees: bool = False
    areas: _Areas = _Areas()
    departments: _Departments = _Departments()


@dataclass(frozen=True, slots=True)
class Reform:
    """One reform as it is written. `committees`: the committee of each area begins and ends with it."""

    code: str
    name: str
    effective_on: date
    source: str = ""
    committees: bool = False
    new_areas: tuple[NewArea, ...] = ()
    renamed_areas: Mapping[str, str] = field(default_factory=dict)
    ended_areas: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    new_departments: tuple[NewDepartment, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    ended_departments: Mapping[str, Ending] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)

    def at(self, where: str) -> int | None:
        """The line of a member of the document."""
        return line_of(where, self.lines)


def parse(text: str) -> Reform:
    """Read a reform from YAML; BadReform lists everything that does not fit, by its line."""
    if len(text) > LONGEST or has_aliases(text):
        raise BadReform([Fault("", "Tệp quá lớn, hoặc dùng bí danh (&, *).", "Too large, or with aliases.", 1)])
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError, LookupError, AttributeError, TypeError) as error:
        told = " ".join(str(error).split())
        raise BadReform([Fault("", f"Không đọc được YAML: {told}", f"Not YAML: {told}", line_in(told))]) from None
    if not isinstance(document, dict):
        raise BadReform(
            [Fault("", "Tệp trống, hoặc không có các mục “tên: giá trị”.", "Empty, or no “name: value”.", 1)]
        )
    lines = lines_of(text)
    if repeated := list(_repeated(yaml.compose(text, Loader=yaml.SafeLoader))):
        raise BadReform(repeated)
    try:
        read = _Document.model_validate(document)
    except ValidationError as problem:
        told_of = complaints(problem.errors(include_url=False, include_input=False))
        faults = [
            _fault(_path(found["loc"]), each, lines) for found, each in zip(problem.errors(), told_of, strict=False)
        ]
        raise BadReform(faults) from None
    return Reform(
        code=read.reform.code,
        name=read.reform.name,
        effective_on=read.reform.effective_on,
        source=read.reform.source,
        committees=read.committees,
        new_areas=read.areas.new,
        renamed_areas=read.areas.renamed,
        ended_areas={code: tuple(dict.fromkeys(heirs)) for code, heirs in read.areas.ended.items()},
        new_departments=read.departments.new,
        renamed=read.departments.renamed,
        ended_departments=read.departments.ended,
        lines=lines,
    )


def _repeated(node: yaml.Node | None) -> Iterator[Fault]:
    """Members written twice, of which YAML would keep only the last."""
    if isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from _repeated(each)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                yield Fault(name, f"“{name}” được ghi hai lần.", f"{name} is written twice.", key.start_mark.line + 1)
            seen.add(name)
            yield from _repeated(value)


def _path(loc: Sequence[int | str]) -> str:
    """`areas.new[3].type`, as `lines_of` writes it."""
    path = ""
    for each in loc:
        if isinstance(each, int):
            path += f"[{each}]"
        elif each != "[key]":
            path += f".{each}" if path else each
    return path


def _fault(where: str, told: Mapping[str, Any], lines: Mapping[str, int]) -> Fault:
    detail = str(told["detail"])
    return Fault(where, detail, str(told.get("detail_en") or detail), line_of(where, lines) or 1)


# --- held against the directory -------------------------------------------------------------------------------------


def whole(reform: Reform, directory: Directory) -> Reform:
    """The reform with the committees that begin, end and are renamed with their areas, if it says so; those it names
    itself stay.
    """
    if not reform.committees:
        return reform
    kinds = {each.code: kind for each in reform.new_areas if (kind := _committee_of(each.type)) is not None}
    kinds |= {code: kind for code, area in directory.areas.items() if (kind := _committee_of(area.type)) is not None}
    named = {each.code for each in reform.new_departments}
    made = tuple(
        NewDepartment(
            code=f"ubnd-{area.code}", name=f"UBND {area.type} {area.name}", kind=kinds[area.code], area=area.code
        )
        for area in reform.new_areas
        if area.code in kinds and f"ubnd-{area.code}" not in named
    )
    ended = {}
    for code, heirs in reform.ended_areas.items():
        if code in kinds and f"ubnd-{code}" in directory.departments:
            same = len(heirs) == 1 and kinds.get(heirs[0]) == kinds[code]  # else by the place of each case
            ended[f"ubnd-{code}"] = Ending(to=f"ubnd-{heirs[0]}" if same else None)
    committees = {
        f"ubnd-{code}": f"UBND {directory.areas[code].type} {name}"
        for code, name in reform.renamed_areas.items()
        if code in kinds and f"ubnd-{code}" in directory.departments
    }
    return replace(
        reform,
        new_departments=(*reform.new_departments, *made),
        renamed={**committees, **reform.renamed},
        ended_departments={**ended, **reform.ended_departments},
    )


def _committee_of(type: str) -> str | None:
    return next((kind for types, kind in _LEVELS if type in types), None)


What = Literal["area_begins", "area_renamed", "area_ends", "department_begins", "department_ends", "department_renamed"]


@dataclass(frozen=True, slots=True)
class Step:
    """One change of a reform. `already`: the directory has it so, and nothing is written."""

    what: What
    code: str
    name: str
    to: tuple[str, ...] = ()  # names of who goes on, or the new name
    already: bool = False


def steps(reform: Reform, directory: Directory) -> list[Step]:
    """What a whole reform changes, in the order of the document."""
    day = reform.effective_on
    new_areas = {area.code: f"{area.type} {area.name}" for area in reform.new_areas}
    new_units = {unit.code: unit.name for unit in reform.new_departments}

    def area_name(code: str) -> str:
        known = directory.areas.get(code)
        return new_areas.get(code) or (_area_at(known, day) if known else code)

    def unit_name(code: str) -> str:
        return new_units.get(code) or directory.name_at(code, day - timedelta(days=1))

    found = [Step("area_begins", code, name, already=code in directory.areas) for code, name in new_areas.items()]
    for code, name in reform.renamed_areas.items():
        area = directory.areas.get(code)
        was = _area_at(area, day - timedelta(days=1)) if area is not None else code
        found.append(Step("area_renamed", code, was, (name,), area is not None and (day, name) in area.names))
    for code, heirs in reform.ended_areas.items():
        area = directory.areas.get(code)
        done = area is not None and area.valid_to == day and tuple(area.successors) == heirs
        found.append(Step("area_ends", code, area_name(code), tuple(map(area_name, heirs)), done))
    found += [
        Step("department_begins", code, name, already=code in directory.departments) for code, name in new_units.items()
    ]
    for code, name in reform.renamed.items():
        known = directory.departments.get(code)
        done = known is not None and (day, name) in known.names
        found.append(Step("department_renamed", code, unit_name(code), (name,), done))
    for code, ending in reform.ended_departments.items():
        known = directory.departments.get(code)
        done = known is not None and (known.valid_to, known.successor, known.heirs) == (
            day,
            ending.to,
            heirs_of(ending),
        )
        named = (*(each.to for each in ending.heirs), *([ending.to] if ending.to else []))
        found.append(Step("department_ends", code, unit_name(code), tuple(map(unit_name, named)), done))
    return found


def _area_at(area: Area, on: date) -> str:
    return f"{area.type} {called(area.names, area.name, on)}"


def heirs_of(ending: Ending) -> tuple[Heir, ...]:
    """The heirs of a split as the directory has them."""
    return tuple(Heir(each.to, each.areas, each.fields) for each in ending.heirs)


def after(reform: Reform, directory: Directory) -> Directory:
    """The directory with a whole reform in it; what it already has is as the reform says."""
    day = reform.effective_on
    areas: dict[str, Area] = dict(directory.areas)
    for new in reform.new_areas:
        areas.setdefault(
            new.code,
            Place(new.code, new.official_code, new.name, new.type, new.parent, day, None, (), new.lat, new.lng),
        )
    for code, name in reform.renamed_areas.items():
        if code in areas:
            areas[code] = replace(_place(areas[code]), names=_worn_from(areas[code], name, day))
    for code, heirs in reform.ended_areas.items():
        if code in areas:
            areas[code] = replace(_place(areas[code]), valid_to=day, successors=heirs)
    units = dict(directory.departments)
    for unit in reform.new_departments:
        units.setdefault(unit.code, Department(unit.code, unit.name, unit.kind, unit.area, unit.parent, valid_from=day))
    for code, name in reform.renamed.items():
        if code in units:
            units[code] = named_from(units[code], name, day)
    for code, ending in reform.ended_departments.items():
        if code in units:
            units[code] = replace(units[code], valid_to=day, successor=ending.to, heirs=heirs_of(ending))
    return Directory(units, areas, directory.kinds)


def named_from(department: Department, name: str, since: date) -> Department:
    """The department with another name from a day on; what it was called before is kept."""
    return replace(department, names=_worn_from(department, name, since))


def _worn_from(known: Area | Department, name: str, since: date) -> tuple[tuple[date, str], ...]:
    worn = dict(known.names) or {known.valid_from or date.min: known.name}
    return tuple(sorted({**worn, since: name}.items()))


def _place(area: Area) -> Place:
    official, lat, lng = (getattr(area, name, None) for name in ("official_code", "lat", "lng"))
    return Place(
        area.code, official or "", area.name, area.type, area.parent, area.valid_from, area.valid_to,
        tuple(area.successors), lat, lng, area.names,
    )  # fmt: skip
