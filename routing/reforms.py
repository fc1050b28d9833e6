"""A reform: areas and departments that begin, end, merge, split and are renamed together on one day.

Described as YAML (docs/operator.md, "Areas and departments change"), read into plain values, held against the directory
as it is, and turned into the directory as it will be. Pure: what writes it is `routing.editing.reforms`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from fnmatch import fnmatchcase
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

from core.text import fold, is_email, nfc
from core.validation import complaints
from routing.directory import RESERVED, Area, Department, Directory, Heir, called
from routing.places import COMMUNE, DISTRICT, PROVINCE, WORD, Place
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


def check(reform: Reform, directory: Directory, kinds: Mapping[str, str], fields: Iterable[str]) -> list[Fault]:
    """What is wrong with a whole reform by the directory as it is and as it would be; empty when it can be applied.

    `fields` are the codes that cases can have.
    """
    faults = [*_faults(reform, directory, kinds), *_unknown_fields(reform, tuple(fields))]
    return [replace(fault, line=reform.at(fault.where)) for fault in faults]


def _unknown_fields(reform: Reform, fields: Sequence[str]) -> Iterator[Fault]:
    for code, ending in reform.ended_departments.items():
        for number, each in enumerate(ending.heirs):
            for pattern in each.fields:
                if not any(fnmatchcase(field, pattern) for field in fields):
                    where = f"departments.ended.{code}.heirs[{number}]"
                    yield Fault(where, f"Không có lĩnh vực {pattern}.", f"There is no field {pattern}.")


def _faults(reform: Reform, directory: Directory, kinds: Mapping[str, str]) -> Iterator[Fault]:
    day, then = reform.effective_on, after(reform, directory)
    if not (
        reform.new_areas
        or reform.renamed_areas
        or reform.ended_areas
        or reform.new_departments
        or reform.renamed
        or reform.ended_departments
    ):
        yield Fault("reform", "Chưa có thay đổi nào.", "Nothing changes.")
    yield from _twice([each.code for each in reform.new_areas], "areas.new")
    yield from _twice([each.code for each in reform.new_departments], "departments.new")
    for number, area in enumerate(reform.new_areas):
        where, known = f"areas.new[{number}]", directory.areas.get(area.code)
        yield from _usable(where, area.code)
        if not WORD.search(fold(area.name)):
            yield Fault(where, "Tên địa bàn phải có chữ.", "The name of an area has letters.")
        if known is not None and known.valid_from != day:
            yield Fault(where, f"Mã {area.code} đã được dùng.", f"The code {area.code} is taken.")
        if area.parent is not None and not _lives(then.areas.get(area.parent), day):
            yield Fault(f"{where}.parent", *_gone("Địa bàn", "The area", area.parent, day))
    for code, name in reform.renamed_areas.items():
        where = f"areas.renamed.{code}"
        if not _lives(then.areas.get(code), day):
            yield Fault(where, *_gone("Địa bàn", "The area", code, day))
        elif not WORD.search(fold(name)):
            yield Fault(where, "Tên địa bàn phải có chữ.", "The name of an area has letters.")
        else:
            yield from _named_otherwise(where, code, name, directory.areas.get(code), day)
    for code, heirs in reform.ended_areas.items():
        yield from _ending_area(code, heirs, directory, then, day)
    for number, unit in enumerate(reform.new_departments):
        where, known_unit = f"departments.new[{number}]", directory.departments.get(unit.code)
        yield from _usable(where, unit.code)
        if known_unit is not None and known_unit.valid_from != day:
            yield Fault(where, f"Mã {unit.code} đã được dùng.", f"The code {unit.code} is taken.")
        if unit.kind not in kinds or unit.kind == "centre":
            yield Fault(f"{where}.kind", f"Không có loại đơn vị {unit.kind}.", f"There is no kind {unit.kind}.")
        if unit.area is not None and not _lives(then.areas.get(unit.area), day):
            yield Fault(f"{where}.area", *_gone("Địa bàn", "The area", unit.area, day))
        if unit.parent is not None and unit.parent not in then.departments:
            yield Fault(f"{where}.parent", *_gone("Đơn vị", "The department", unit.parent, day))
        elif _below_itself(unit.code, then):
            yield Fault(
                f"{where}.parent",
                f"Đơn vị {unit.code} nằm dưới chính nó.",
                f"The department {unit.code} stands below itself.",
            )
    for code, name in reform.renamed.items():
        where, renamed = f"departments.renamed.{code}", then.departments.get(code)
        if renamed is None or not renamed.lives(day):
            yield Fault(where, *_gone("Đơn vị", "The department", code, day))
        else:
            yield from _named_otherwise(where, code, name, directory.departments.get(code), day)
    for code, ending in reform.ended_departments.items():
        yield from _ending_department(code, ending, directory, then, day)


def _named_otherwise(where: str, code: str, name: str, known: Area | Department | None, day: date) -> Iterator[Fault]:
    other = dict(known.names).get(day) if known is not None else None
    if other not in (None, name):
        vi, en = f"Từ ngày {day} {code} đã có tên khác: “{other}”.", f"From {day} {code} has another name: “{other}”."
        yield Fault(where, vi, en)


def _usable(where: str, code: str) -> Iterator[Fault]:
    if code in RESERVED:
        yield Fault(where, f"Mã {code} có nghĩa riêng, không dùng được.", f"The code {code} has a meaning of its own.")


def _below_itself(code: str, then: Directory) -> bool:
    seen, step = {code}, then.departments[code].parent
    while step is not None and step not in seen and step in then.departments:
        seen.add(step)
        step = then.departments[step].parent
    return step == code


def _twice(codes: Sequence[str], where: str) -> Iterator[Fault]:
    for number, code in enumerate(codes):
        if code in codes[:number]:
            yield Fault(f"{where}[{number}]", f"Mã {code} được ghi hai lần.", f"The code {code} is written twice.")


def _ending_area(
    code: str, heirs: tuple[str, ...], directory: Directory, then: Directory, day: date
) -> Iterator[Fault]:
    where, known = f"areas.ended.{code}", directory.areas.get(code)
    if known is None:
        yield Fault(where, f"Không có địa bàn {code}.", f"There is no area {code}.")
        return
    if known.valid_to not in (None, day) or (known.valid_from or date.min) >= day:
        yield Fault(
            where, f"Địa bàn {code} không tồn tại đến ngày {day}.", f"The area {code} does not live until {day}."
        )
    elif known.valid_to == day and known.successors and set(known.successors) != set(heirs):
        yield Fault(where, *_otherwise("Địa bàn", "The area", code, known.successors))
    for heir in heirs:
        if not _lives(then.areas.get(heir), day):
            yield Fault(where, *_gone("Địa bàn", "The area", heir, day))
    inside = sorted(each.code for each in then.areas.values() if each.parent == code and _lives(each, day))
    if inside:
        some = ", ".join(inside[:5])
        yield Fault(where, f"Còn địa bàn trực thuộc: {some}.", f"Areas within it still live: {some}.")


def _ending_department(code: str, ending: Ending, directory: Directory, then: Directory, day: date) -> Iterator[Fault]:
    where, known = f"departments.ended.{code}", directory.departments.get(code)
    if known is None:
        yield Fault(where, f"Không có đơn vị {code}.", f"There is no department {code}.")
        return
    if known.kind == "centre" and ending.to is None:
        yield Fault(where, "Trung tâm 1022 phải có đơn vị kế thừa.", "The centre needs an heir.")
    if known.valid_to not in (None, day) or known.valid_from >= day:
        yield Fault(where, f"Đơn vị {code} không tồn tại đến ngày {day}.", f"{code} does not live until {day}.")
    elif known.valid_to == day and (told := _named(known)) and told != _heirs_in(ending):
        yield Fault(where, *_otherwise("Đơn vị", "The department", code, sorted(told)))
    named = [(f"{where}.heirs[{number}]", each.to) for number, each in enumerate(ending.heirs)]
    for place, heir in [*named, *([(f"{where}.to", ending.to)] if ending.to else [])]:
        living = then.departments.get(heir)
        if living is None or not living.lives(day):
            yield Fault(place, *_gone("Đơn vị kế thừa", "The heir", heir, day))
    for number, each in enumerate(ending.heirs):
        for area in each.areas:
            if area not in then.areas:
                yield Fault(f"{where}.heirs[{number}]", f"Không có địa bàn {area}.", f"There is no area {area}.")


def _heirs_in(ending: Ending) -> set[str]:
    return {*(each.to for each in ending.heirs), *([ending.to] if ending.to else [])}


def _named(department: Department) -> set[str]:
    """Its heirs as the directory has them, empty when it has none."""
    return {*(each.to for each in department.heirs), *([department.successor] if department.successor else [])}


def _otherwise(vi: str, en: str, code: str, heirs: Iterable[str]) -> tuple[str, str]:
    told = ", ".join(heirs)
    return (
        f"{vi} {code} đã được ghi kết thúc vào ngày này với nơi kế thừa khác: {told}.",
        f"{en} {code} ends on this day already, with other heirs: {told}.",
    )


def _lives(area: Area | None, day: date) -> bool:
    if area is None or (area.valid_from is not None and day < area.valid_from):
        return False
    return area.valid_to is None or day < area.valid_to


def _gone(vi: str, en: str, code: str, day: date) -> tuple[str, str]:
    return f"{vi} {code} không tồn tại vào ngày {day}.", f"{en} {code} does not exist on {day}."
