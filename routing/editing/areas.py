"""Areas (địa bàn), old and new: read, added, edited, ended with their successors. A code is ours and never changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import Conflict, Invalid
from core.staff import Actor
from core.text import fold
from routing import models
from routing.editing.reforms import rename
from routing.editing.shared import (
    Finding,
    begin,
    changed,
    consequences,
    ends_after,
    found,
    insert,
    local_day,
    name_given,
    new_code,
    note,
    standing,
)
from routing.places import COMMUNE, DISTRICT, PROVINCE
from routing.reading import WORD

MEMBERS = frozenset({"name", "official_code", "lat", "lng"})
TYPES = (*sorted(PROVINCE), *sorted(DISTRICT), *sorted(COMMUNE))


@dataclass(frozen=True, slots=True)
class AreaRow:
    """An area as administrators see it; `valid` as of the day asked for."""

    code: str
    official_code: str | None
    name: str
    type: str
    parent: str | None
    parent_name: str | None
    valid_from: date
    valid_to: date | None
    successors: tuple[str, ...]
    lat: float | None
    lng: float | None
    valid: bool
    former_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AreaChange:
    """An area after an edit, and what that newly makes wrong with the rules in force."""

    area: AreaRow
    findings: tuple[Finding, ...] = ()


async def listed(
    session: AsyncSession,
    on: date,
    *,
    q: str = "",
    type: str | None = None,
    parent: str | None = None,
    valid: bool | None = None,
) -> list[AreaRow]:
    """Areas by name; `q` is part of a name (a former one too), code or official code; `valid` as of the day."""
    rows = {row.code: row for row in (await session.exec(select(models.Area))).all()}
    names = await _names(session)
    in_order = sorted(rows.values(), key=lambda row: (fold(row.name), row.code))
    return narrowed([_shown(row, rows, names, on) for row in in_order], q=q, type=type, parent=parent, valid=valid)


def narrowed(
    rows: Sequence[AreaRow],
    *,
    q: str = "",
    type: str | None = None,
    parent: str | None = None,
    valid: bool | None = None,
) -> list[AreaRow]:
    """Those of a list that are asked for, as `listed` understands it."""
    wanted = fold(q)
    return [
        row
        for row in rows
        if (type is None or row.type == type)
        and (parent is None or row.parent == parent)
        and (valid is None or row.valid is valid)
        and (
            any(wanted in fold(f"{row.type} {name}") for name in (row.name, *row.former_names))
            or wanted in row.code
            or wanted in (row.official_code or "")
        )
    ]


async def one(session: AsyncSession, code: str, on: date) -> AreaRow:
    """One area, or NotFound."""
    row = await _found(session, code)
    above = {} if row.parent is None else {row.parent: await _found(session, row.parent)}
    return _shown(row, above, await _names(session, code), on)


async def add(
    session: AsyncSession,
    by: Actor,
    at: datetime,
    *,
    code: str,
    name: str,
    type: str,
    valid_from: date,
    parent: str | None = None,
    official_code: str | None = None,
    lat: float | None = None,
    lng: float | None = None,
) -> AreaChange:
    """A new area. Told when rules find no department there: its people's committee is added as a department."""
    await begin(session, by)
    today = await local_day(session, at)
    new_code(code)
    _check({"name": name, "lat": lat, "lng": lng})
    if type not in TYPES:
        raise Invalid.at("type", f"Loại địa bàn là một trong: {', '.join(TYPES)}.", f"Not one of {', '.join(TYPES)}.")
    if parent is not None:
        above = await _known(session, parent, "parent")
        if not _valid(above, valid_from):
            raise Invalid.at(
                "parent",
                f"Địa bàn {parent} không tồn tại vào ngày {valid_from}.",
                f"The area {parent} does not exist on {valid_from}.",
                "not_valid",
            )
    before = await standing(session, today)
    await insert(
        session,
        models.Area(
            code=code,
            official_code=official_code or None,
            name=name_given(name),
            type=type,
            parent=parent,
            valid_from=valid_from,
            successors=[],
            lat=lat,
            lng=lng,
        ),
    )
    await note(session, by, "area.add", code, at, valid_from=valid_from.isoformat(), parent=parent)
    return AreaChange(await one(session, code, today), await consequences(session, today, before))


async def edit(session: AsyncSession, by: Actor, at: datetime, code: str, members: Mapping[str, Any]) -> AreaChange:
    """Change some of MEMBERS; what is not named stays, null empties official code or point; former names are kept."""
    await begin(session, by)
    row, today = await _found(session, code), await local_day(session, at)
    _check({"lat": row.lat, "lng": row.lng, **members})
    given = {name: name_given(value) if name == "name" else value for name, value in members.items()}
    if "official_code" in given:
        given["official_code"] = given["official_code"] or None
    names = ["name"] if given.get("name", row.name) != row.name else []
    if names:
        await rename(session, row, given["name"], today, today)
    if names := sorted([*names, *changed(row, {name: value for name, value in given.items() if name != "name"})]):
        session.add(row)
        await note(session, by, "area.edit", code, at, changed=names)
    return AreaChange(await one(session, code, today))


async def end(
    session: AsyncSession, by: Actor, at: datetime, code: str, *, valid_to: date, successors: Sequence[str]
) -> AreaChange:
    """End an area: `valid_to` is the first day it no longer exists; its successors exist on that day.

    Said again it corrects the day or the successors. Its department is abolished by itself (`departments.abolish`).
    """
    await begin(session, by)
    row, today = await _found(session, code), await local_day(session, at)
    ends_after(row.valid_from, valid_to)
    heirs = list(dict.fromkeys(successors))
    for heir in heirs:
        if not _valid(await _known(session, heir, "successors"), valid_to):
            raise Conflict(
                f"Địa bàn {heir} không tồn tại vào ngày {valid_to}.", f"The area {heir} does not exist on {valid_to}."
            )
    rows = {each.code: each for each in (await session.exec(select(models.Area))).all()}
    waiting, seen = list(heirs), set[str]()
    while waiting:
        step = waiting.pop()
        if step == code:
            raise Conflict(
                "Các địa bàn kế tiếp không được nối thành vòng tròn.", "The successors of an area cannot form a circle."
            )
        if step not in seen and step in rows:
            seen.add(step)
            waiting += rows[step].successors
    inside = sorted(each.code for each in rows.values() if each.parent == code and _valid(each, valid_to))
    if inside:
        some = ", ".join(inside[:5]) + (" …" if len(inside) > 5 else "")
        raise Conflict(
            f"Còn địa bàn trực thuộc đang tồn tại vào ngày {valid_to}: {some}. Hãy kết thúc chúng trước.",
            f"Areas within it still exist on {valid_to}: {some}. End those first.",
        )
    before = await standing(session, today)
    if changed(row, {"valid_to": valid_to, "successors": heirs}):
        session.add(row)
        await note(session, by, "area.end", code, at, valid_to=valid_to.isoformat(), successors=heirs)
    return AreaChange(await one(session, code, today), await consequences(session, today, before))


async def _found(session: AsyncSession, code: str) -> models.Area:
    return await found(session, models.Area, code, f"Không có địa bàn {code}.", f"There is no area {code}.")


async def _known(session: AsyncSession, code: str, where: str) -> models.Area:
    row = (await session.exec(select(models.Area).where(models.Area.code == code))).first()
    if row is None:
        raise Invalid.at(where, f"Không có địa bàn {code}.", f"There is no area {code}.", "unknown")
    return row


def _check(members: Mapping[str, Any]) -> None:
    """Invalid names the member that cannot be."""
    if "name" in members and not WORD.search(fold(name_given(members["name"]))):
        raise Invalid.at("name", "Tên địa bàn phải có chữ.", "The name of an area has letters.", "name")
    lat, lng = members.get("lat"), members.get("lng")
    if (lat is None) != (lng is None):
        raise Invalid.at("lat", "Vĩ độ và kinh độ phải đi cùng nhau.", "Latitude and longitude go together.", "point")
    if lat is not None and lng is not None and not (-90 <= lat <= 90 and -180 <= lng <= 180):
        raise Invalid.at("lat", "Tọa độ không có trên Trái Đất.", "There is no such point on earth.", "point")


def _valid(row: models.Area, on: date) -> bool:
    return row.valid_from <= on and (row.valid_to is None or on < row.valid_to)


async def _names(session: AsyncSession, code: str | None = None) -> dict[str, list[str]]:
    """Every name of areas that had more than one, by code and date; of one area, where given."""
    statement = select(models.AreaName).order_by(col(models.AreaName.valid_from))
    found: dict[str, list[str]] = {}
    for each in (
        await session.exec(statement if code is None else statement.where(models.AreaName.code == code))
    ).all():
        found.setdefault(each.code, []).append(each.name)
    return found


def _shown(row: models.Area, rows: Mapping[str, models.Area], names: Mapping[str, Sequence[str]], on: date) -> AreaRow:
    above = rows.get(row.parent or "")
    return AreaRow(
        code=row.code,
        official_code=row.official_code,
        name=row.name,
        type=row.type,
        parent=row.parent,
        parent_name=f"{above.type} {above.name}" if above else row.parent,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        successors=tuple(row.successors),
        lat=row.lat,
        lng=row.lng,
        valid=_valid(row, on),
        former_names=tuple(dict.fromkeys(name for name in names.get(row.code, ()) if name != row.name)),
    )
