"""Fields (lĩnh vực) in groups: read, added, edited, closed. A closed field stays readable in the cases that have it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import Conflict, Invalid
from core.staff import Actor
from routing import models
from routing.decide import URGENCIES, in_patterns
from routing.editing.shared import (
    LONGEST_CODE,
    Finding,
    begin,
    changed,
    ends_after,
    found,
    in_force_from,
    insert,
    local_day,
    name_given,
    note,
)
from routing.queries import read_draft
from routing.tracks import TRACKS

MEMBERS = frozenset({"name", "urgency", "public", "track"})
_GROUP = re.compile(r"[a-z][a-z0-9_]*")
_FIELD = re.compile(r"[a-z][a-z0-9_]*\.[a-z0-9][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class FieldRow:
    """A field or a group as administrators see it; `open` as of the day asked for."""

    code: str
    name: str
    parent: str | None
    urgency: str
    public: bool
    track: str | None
    valid_from: date
    valid_to: date | None
    open: bool


@dataclass(frozen=True, slots=True)
class FieldGroup:
    """A group and its fields, by code."""

    group: FieldRow
    fields: tuple[FieldRow, ...]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field after an edit, and what to know about it."""

    field: FieldRow
    findings: tuple[Finding, ...] = ()


async def listed(session: AsyncSession, on: date, *, closed: bool = True) -> list[FieldGroup]:
    """Groups with their fields, by code; without the closed ones if so asked."""
    rows = (await session.exec(select(models.CaseField).order_by(models.CaseField.code))).all()
    shown = [_shown(row, on) for row in rows]
    return [
        FieldGroup(group, tuple(row for row in shown if row.parent == group.code and (closed or row.open)))
        for group in shown
        if group.parent is None and (closed or group.open)
    ]


async def one(session: AsyncSession, code: str, on: date) -> FieldRow:
    """One field or group, or NotFound."""
    return _shown(await _found(session, code), on)


async def add(
    session: AsyncSession,
    by: Actor,
    at: datetime,
    *,
    code: str,
    name: str,
    valid_from: date,
    urgency: str = "normal",
    public: bool = True,
    track: str | None = None,
) -> FieldChange:
    """A new group `name`, or a new field `group.name` of an open group. Told when no rule speaks of the field."""
    await begin(session, by)
    today, group = await local_day(session, at), code.partition(".")[0]
    field = "." in code
    if len(code) > LONGEST_CODE or not (_FIELD if field else _GROUP).fullmatch(code):
        raise Invalid.at(
            "code",
            f"Mã nhóm là chữ thường không dấu, mã lĩnh vực là nhóm.tên; nhiều nhất {LONGEST_CODE} ký tự.",
            f"A group's code is in small letters, a field's is group.name; at most {LONGEST_CODE} characters.",
            "code",
        )
    if field:
        parent = (await session.exec(select(models.CaseField).where(models.CaseField.code == group))).first()
        if parent is None or not _shown(parent, valid_from).open:
            raise Invalid.at(
                "code",
                f"Không có nhóm {group} vào ngày {valid_from}.",
                f"There is no group {group} on {valid_from}.",
                "unknown",
            )
    members = {"name": name, "urgency": urgency, "public": public, "track": track}
    _check(members, group=not field)
    await insert(
        session, models.CaseField(code=code, parent=group if field else None, valid_from=valid_from, **_clean(members))
    )
    await note(session, by, "field.add", code, at, valid_from=valid_from.isoformat())
    findings: list[Finding] = []
    if field:
        for row in await in_force_from(session, max(today, valid_from)):
            if not await _named_by(session, row, code):
                vi = f"Chưa có quy tắc nào nêu lĩnh vực {code}: phản ánh sẽ theo quy tắc bao trùm."
                en = f"No rule speaks of the field {code} yet: its cases follow the catch-all."
                findings.append(Finding("no_rule", code, vi, en, rule_set=f"{row.code} v{row.version}"))
    return FieldChange(await one(session, code, today), tuple(findings))


async def edit(session: AsyncSession, by: Actor, at: datetime, code: str, members: Mapping[str, Any]) -> FieldChange:
    """Change some of MEMBERS; what is not named stays. Holds for cases opened or classified from then on."""
    await begin(session, by)
    row = await _found(session, code)
    _check(members, group=row.parent is None)
    names = changed(row, _clean(members))
    session.add(row)
    if names:
        await note(session, by, "field.edit", code, at, changed=names)
    return FieldChange(await one(session, code, await local_day(session, at)))


async def close(session: AsyncSession, by: Actor, at: datetime, code: str, *, valid_to: date) -> FieldChange:
    """Close a field from a day on. Told which rules in force still name it: they stay, for cases that have it.

    Conflict for a group with fields that are open longer.
    """
    await begin(session, by)
    row, today = await _found(session, code), await local_day(session, at)
    ends_after(row.valid_from, valid_to)
    if row.parent is None:
        fields = (await session.exec(select(models.CaseField).where(models.CaseField.parent == code))).all()
        longer = sorted(each.code for each in fields if each.valid_to is None or each.valid_to > valid_to)
        if longer:
            some = ", ".join(longer[:5]) + (" …" if len(longer) > 5 else "")
            raise Conflict(
                f"Nhóm còn lĩnh vực đang dùng: {some}. Hãy đóng các lĩnh vực đó trước.",
                f"The group has open fields: {some}. Close those first.",
            )
    if changed(row, {"valid_to": valid_to}):
        session.add(row)
        await note(session, by, "field.close", code, at, valid_to=valid_to.isoformat())
    findings = [
        Finding(
            "closed_field",
            rule,
            f"Quy tắc {rule} còn nêu lĩnh vực {code}.",
            f"Rule {rule} still speaks of the field {code}.",
            rule_set=f"{rules.code} v{rules.version}",
        )
        for rules in await in_force_from(session, max(today, valid_to))
        for rule in await _named_by(session, rules, code, patterns=False)
    ]
    return FieldChange(await one(session, code, today), tuple(findings))


async def reopen(session: AsyncSession, by: Actor, at: datetime, code: str) -> FieldChange:
    """Take back a closing. Conflict for a field whose group is closed."""
    await begin(session, by)
    row, today = await _found(session, code), await local_day(session, at)
    if row.parent is not None and (await _found(session, row.parent)).valid_to is not None:
        raise Conflict(
            f"Nhóm {row.parent} đã đóng. Hãy mở lại nhóm trước.", f"The group {row.parent} is closed. Open it first."
        )
    if changed(row, {"valid_to": None}):
        session.add(row)
        await note(session, by, "field.reopen", code, at)
    return FieldChange(await one(session, code, today))


async def _found(session: AsyncSession, code: str) -> models.CaseField:
    return await found(session, models.CaseField, code, f"Không có lĩnh vực {code}.", f"There is no field {code}.")


async def _named_by(session: AsyncSession, row: models.RuleSet, code: str, *, patterns: bool = True) -> list[str]:
    """The lead rules of a set that speak of a field: by its code, or by its group too."""
    draft = await read_draft(session, row)
    return [
        rule.code
        for rule in draft.leads
        if rule.when.fields is not None
        and (in_patterns(code, rule.when.fields) if patterns else code in rule.when.fields)
    ]


def _check(members: Mapping[str, Any], *, group: bool) -> None:
    """Invalid names the member that cannot be; a group has a name and nothing else to change."""
    if "name" in members:
        name_given(members["name"])
    if (urgency := members.get("urgency", "normal")) not in URGENCIES:
        raise Invalid.at(
            "urgency",
            f"Không có mức {urgency}; các mức là {', '.join(URGENCIES)}.",
            f"There is no urgency {urgency}; known are {', '.join(URGENCIES)}.",
            "unknown",
        )
    if not isinstance(members.get("public", True), bool):
        raise Invalid.at("public", "Chỉ nhận có hoặc không.", "Must be true or false.", "bool_type")
    track = members.get("track")
    if track is not None and track not in TRACKS:
        raise Invalid.at(
            "track",
            f"Không có luồng {track}; các luồng là {', '.join(TRACKS)}.",
            f"There is no track {track}; known are {', '.join(TRACKS)}.",
            "unknown",
        )
    if group and (urgency != "normal" or track is not None or members.get("public", True) is not True):
        raise Invalid.at(
            "code",
            "Mức khẩn, công khai và luồng thuộc về từng lĩnh vực, không thuộc nhóm.",
            "Urgency, publication and track belong to single fields, not to a group.",
            "group",
        )


def _clean(members: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: name_given(value) if name == "name" else value for name, value in members.items()}
    if given.get("track") == "ordinary":
        given["track"] = None
    return given


def _shown(row: models.CaseField, on: date) -> FieldRow:
    return FieldRow(
        code=row.code,
        name=row.name,
        parent=row.parent,
        urgency=row.urgency,
        public=row.public,
        track=row.track,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        open=row.valid_from <= on and (row.valid_to is None or on < row.valid_to),
    )
