"""What every edit of the rules' tables shares: who may, one at a time, what the journal says, what it leads to.

Edits are rare and look at whole tables (heirs without a circle, a centre that lives), so they take turns under one
advisory lock, which holds all rows for them at once and keeps nobody else waiting.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import Conflict, Invalid, NotFound
from core.journal import record
from core.staff import MANAGE, Actor
from routing import models
from routing.calendars import province_calendar
from routing.directory import RESERVED, Directory
from routing.queries import PROVINCE, local_midnight, read_directory, read_draft, read_fields
from routing.rule_check import Problem, check

EDITING_LOCK = 1022_004  # advisory lock: one edit of the rules' tables at a time
LONGEST_CODE = 60
_CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

Row = TypeVar("Row", bound=SQLModel)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to know about a rule set. `where` is a rule's code or a member of the document, `line` its line.

    `code` names the kind of finding, `detail` says it in Vietnamese and `detail_en` in English; with an `error` no set
    is put in force.
    """

    code: str
    where: str
    detail: str
    detail_en: str
    severity: str = "warning"  # error | warning
    line: int | None = None
    rule_set: str | None = None


async def begin(session: AsyncSession, by: Actor) -> None:
    """First thing in every edit: NotAllowed for who may not; waits for another edit to end."""
    by.require(MANAGE)
    await one_at_a_time(session)


async def one_at_a_time(session: AsyncSession) -> None:
    """Until the end of this transaction nobody else edits the rules' tables, or acts on an edit for all cases."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": EDITING_LOCK})


async def found(session: AsyncSession, table: type[Row], code: str, vi: str, en: str) -> Row:
    """The row with this code; NotFound in the given words. In an edit, after `begin`, it is as others left it."""
    statement = select(table).where(table.code == code)  # type: ignore[attr-defined]
    row = (await session.exec(statement.execution_options(populate_existing=True))).first()
    if row is None:
        raise NotFound(vi, en)
    return row


async def insert(session: AsyncSession, row: Row) -> None:
    """Add a row; Conflict when its code is taken."""
    table, code = type(row), row.code  # type: ignore[attr-defined]
    taken = select(table).where(table.code == code)  # type: ignore[attr-defined]
    if (await session.exec(taken)).first() is not None:
        raise Conflict(f"Mã {code} đã được dùng.", f"The code {code} is taken.")
    session.add(row)
    await session.flush()


async def note(session: AsyncSession, by: Actor, kind: str, subject: str, at: datetime, /, **data: Any) -> None:
    """The journal row of an edit: codes, dates and names of changed members, never texts."""
    await record(session, kind, at=at, actor_kind=by.kind, actor_id=by.id, subject=subject, data=data)


def changed(row: SQLModel, members: Mapping[str, Any]) -> list[str]:
    """Set the members that differ; their names, sorted."""
    names = sorted(name for name, value in members.items() if getattr(row, name) != value)
    for name in names:
        setattr(row, name, members[name])
    return names


def new_code(code: str, where: str = "code") -> str:
    """A code of ours: small letters, digits, single hyphens. Invalid otherwise, or for a word that means something."""
    if len(code) > LONGEST_CODE or not _CODE.fullmatch(code) or code in RESERVED:
        raise Invalid.at(
            where,
            f"Mã chỉ gồm chữ thường không dấu, chữ số và dấu gạch nối, nhiều nhất {LONGEST_CODE} ký tự, "
            f"và không phải {', '.join(sorted(RESERVED))}.",
            f"A code has small letters, digits and hyphens, at most {LONGEST_CODE} characters, and is none of "
            f"{', '.join(sorted(RESERVED))}.",
            "code",
        )
    return code


def name_given(name: object) -> str:
    """A name; Invalid when it is empty, as an edit may say."""
    if not isinstance(name, str) or not name.strip():
        raise Invalid.at("name", "Tên không được để trống.", "A name is needed.", "missing")
    return name.strip()


def ends_after(valid_from: date, valid_to: date) -> date:
    """The day something ends; Invalid unless it is later than the day it began."""
    if valid_to <= valid_from:
        raise Invalid.at(
            "valid_to",
            f"Ngày kết thúc phải sau ngày bắt đầu ({valid_from}).",
            f"The end must be later than the beginning ({valid_from}).",
            "too_early",
        )
    return valid_to


async def zone_of_province(session: AsyncSession) -> ZoneInfo:
    """The zone of the province's calendar."""
    row = (await session.exec(select(models.WorkCalendar).where(models.WorkCalendar.code == PROVINCE))).first()
    return ZoneInfo(row.zone) if row is not None else province_calendar().zone


async def local_day(session: AsyncSession, at: datetime) -> date:
    """The province's day at a moment."""
    return at.astimezone(await zone_of_province(session)).date()


async def in_force_from(session: AsyncSession, day: date) -> list[models.RuleSet]:
    """The active sets that hold on this day or later, by date."""
    since = local_midnight(day, await zone_of_province(session))
    ends = col(models.RuleSet.valid_to)
    statement = select(models.RuleSet).where(models.RuleSet.state == "active", ends.is_(None) | (ends > since))
    return list((await session.exec(statement.order_by(col(models.RuleSet.valid_from)))).all())


async def standing(session: AsyncSession, day: date) -> list[Finding]:
    """What the checker finds in the sets that hold on this day or later, with the tables as they are now."""
    directory, fields = await read_directory(session), await read_fields(session)
    found: list[Finding] = []
    for row in await in_force_from(session, day):
        draft = await read_draft(session, row)
        problems = await asyncio.to_thread(check, draft, directory, fields)
        found += [as_finding(problem, f"{row.code} v{row.version}") for problem in problems]
    return found


def as_finding(problem: Problem, rule_set: str | None = None, line: int | None = None) -> Finding:
    """A problem of the checker as people are told it."""
    return Finding(
        problem.code, problem.where, problem.message_vi, problem.message_en, problem.severity, line, rule_set
    )


async def consequences(session: AsyncSession, day: date, before: list[Finding]) -> tuple[Finding, ...]:
    """What an edit has newly made wrong with the sets in force: told, not refused, for routing falls back by itself."""
    await session.flush()
    known = set(before)
    return tuple(finding for finding in await standing(session, day) if finding not in known)


def centre_lives(directory: Directory, since: date) -> None:
    """Conflict when there is a day from `since` on without a centre, to whom everything falls that has no unit."""
    try:
        centre = directory.centre
    except LookupError:
        centre = ""
    if not centre or any(directory.living(centre, day) is None for day in directory.turning_days(since, None)):
        raise Conflict(
            "Sẽ có ngày không còn trung tâm 1022 nào. Hãy chọn đơn vị kế thừa còn hoạt động.",
            "There would be days without a 1022 centre. Name a living successor.",
        )
