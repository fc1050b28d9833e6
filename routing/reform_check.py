"""What is wrong with a reform by the directory as it is and as it would be. Pure; reforms: `routing.reforms`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from fnmatch import fnmatchcase

from core.text import fold
from routing.directory import RESERVED, Area, Department, Directory
from routing.reading import WORD
from routing.reforms import Ending, Fault, Reform, after


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
