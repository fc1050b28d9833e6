"""Writes to the coordination rules: seeds, rule sets, their activation."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import cast, func, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.db import Moment
from core.errors import Conflict, Invalid, NotFound
from core.ids import uuid7
from routing import models, seeds
from routing.calendars import SEED, province_calendar
from routing.places import load_areas
from routing.queries import PROVINCE, local_midnight
from routing.rule_check import Problem, check
from routing.rule_drafts import RuleSetDraft
from routing.rulesets import to_dict
from routing.working_time import Calendar

CALENDAR_YEARS = range(2021, 2029)
ACTIVATING_LOCK = 1022_003  # advisory lock: one activation at a time, for dates must not overlap


async def seed(session: AsyncSession, at: datetime) -> None:
    """Fill empty tables with the province shipped here: areas, departments, fields, calendar, example rule sets.

    What is there already is left as it is, so an edit in the console survives a restart.
    """
    places = load_areas((SEED / "areas.csv").read_text(encoding="utf-8"))
    if not await _any(session, models.Area):
        for place in _parents_first(places):
            session.add(
                models.Area(
                    code=place.code,
                    official_code=place.official_code or None,
                    name=place.name,
                    type=place.type,
                    parent=place.parent,
                    valid_from=place.valid_from or seeds.PROVINCE_SINCE,
                    valid_to=place.valid_to,
                    successors=list(place.successors),
                    lat=place.lat,
                    lng=place.lng,
                )
            )
        await session.flush()
    directory = seeds.seed_directory({place.code: place for place in places})
    if not await _any(session, models.Department):
        waiting = dict(directory.departments)
        while waiting:  # heirs first: a department refers to its successor
            for code, department in list(waiting.items()):
                if department.successor not in waiting:
                    session.add(
                        models.Department(
                            code=code,
                            name=department.name,
                            kind=department.kind,
                            area=department.area,
                            parent=department.parent,
                            valid_from=department.valid_from,
                            valid_to=department.valid_to,
                            successor=department.successor,
                        )
                    )
                    del waiting[code]
            await session.flush()
    if not await _any(session, models.CaseField):
        for code, name in seeds.seed_groups().items():
            session.add(models.CaseField(code=code, name=name, valid_from=seeds.PROVINCE_SINCE))
        await session.flush()
        for field in seeds.seed_fields().values():
            session.add(
                models.CaseField(
                    code=field.code,
                    name=field.name,
                    parent=field.code.partition(".")[0],
                    urgency=field.urgency,
                    public=field.public,
                    track=field.track,
                    valid_from=max(field.valid_from, seeds.PROVINCE_SINCE),
                    valid_to=field.valid_to,
                )
            )
    if not await _any(session, models.WorkCalendar):
        await store_calendar(session, PROVINCE, province_calendar(), CALENDAR_YEARS)
    await session.flush()
    if not await _any(session, models.RuleSet):
        for draft in seeds.seed_rule_sets():
            row = await store(session, draft, at)
            await activate(session, row.id)


async def store_calendar(session: AsyncSession, code: str, calendar: Calendar, years: Iterable[int]) -> None:
    """A calendar as rows an operator can correct day by day."""
    session.add(
        models.WorkCalendar(
            code=code, zone=calendar.zone.key, week=[[str(span) for span in windows] for windows in calendar.week]
        )
    )
    await session.flush()
    for row in calendar.exceptions(years):
        session.add(
            models.CalendarDay(
                calendar=code,
                day=row.day,
                windows=[str(span) for span in calendar.windows(row.day)],
                label=row.label,
                source=row.source,
            )
        )


async def store(session: AsyncSession, draft: RuleSetDraft, at: datetime) -> models.RuleSet:
    """Keep a rule set as a draft: its rules as rows, the rest beside them."""
    document = to_dict(draft)
    leads, limits = document.pop("leads"), document.pop("limits")
    taken = select(models.RuleSet).where(models.RuleSet.code == draft.code, models.RuleSet.version == draft.version)
    if (await session.exec(taken)).first() is not None:
        raise Conflict(
            f"Bộ quy tắc {draft.code} phiên bản {draft.version} đã có. Hãy tăng số phiên bản.",
            f"Rule set {draft.code} version {draft.version} exists. Raise the version.",
        )
    row = models.RuleSet(id=uuid7(at), state="draft", created_at=at, **_columns(draft, document))
    session.add(row)
    await session.flush()
    await _add_rules(session, row.id, leads, limits)
    return row


async def rewrite(session: AsyncSession, row: models.RuleSet, draft: RuleSetDraft) -> None:
    """Another content for a stored draft; its id and the day it was made stay."""
    document = to_dict(draft)
    leads, limits = document.pop("leads"), document.pop("limits")
    await drop_rules(session, row)
    for name, value in _columns(draft, document).items():
        setattr(row, name, value)
    session.add(row)
    await session.flush()
    await _add_rules(session, row.id, leads, limits)


async def drop_rules(session: AsyncSession, row: models.RuleSet) -> None:
    """Forget the rules of a stored draft; the database refuses it for a set that holds or held."""
    for rule in (await session.exec(select(models.RuleRow).where(models.RuleRow.rule_set_id == row.id))).all():
        await session.delete(rule)
    await session.flush()


def _columns(draft: RuleSetDraft, document: dict[str, Any]) -> dict[str, Any]:
    zone = zone_named(draft.calendar.get("tz"))
    return {
        "code": draft.code,
        "version": draft.version,
        "valid_from": local_midnight(draft.valid_from, zone),
        "valid_to": local_midnight(draft.valid_to, zone) if draft.valid_to else None,
        "note": draft.note,
        "source_document": draft.source,
        "settings": document,
    }


def zone_named(name: object) -> ZoneInfo:
    """The zone a draft names, the province's when it names none or one that does not exist, which `check` tells."""
    try:
        return ZoneInfo(name) if isinstance(name, str) else province_calendar().zone
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return province_calendar().zone


async def _add_rules(
    session: AsyncSession, rule_set_id: UUID, leads: Iterable[dict[str, Any]], limits: Iterable[dict[str, Any]]
) -> None:
    for kind, rules in (("lead", leads), ("limit", limits)):
        for position, body in enumerate(rules):
            session.add(
                models.RuleRow(
                    rule_set_id=rule_set_id,
                    code=body["code"],
                    kind=kind,
                    rank=body["rank"],
                    position=position,
                    body=body,
                )
            )
    await session.flush()


async def activate(session: AsyncSession, rule_set_id: UUID) -> models.RuleSet:
    """Put a draft in force for its dates; the set that was in force until then ends where it begins.

    Cases opened before keep the set they were opened under. NotFound without such a set; Conflict when it is no draft
    or another set's dates still overlap. What is wrong with the rules themselves the caller has looked at.
    """
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ACTIVATING_LOCK})
    statement = select(models.RuleSet).where(models.RuleSet.id == rule_set_id).with_for_update()
    draft = (await session.exec(statement.execution_options(populate_existing=True))).first()
    if draft is None:
        raise NotFound("Không có bộ quy tắc này.", "There is no such rule set.")
    if draft.state not in ("draft", "checked"):
        raise Conflict("Bộ quy tắc này không còn là bản nháp.", "Only a draft can be activated.")
    before = (
        await session.exec(
            select(models.RuleSet)
            .where(
                models.RuleSet.state == "active",
                col(models.RuleSet.valid_from) < draft.valid_from,
                (col(models.RuleSet.valid_to).is_(None)) | (col(models.RuleSet.valid_to) > draft.valid_from),
            )
            .with_for_update()
        )
    ).all()
    for row in before:
        row.valid_to = draft.valid_from
    await session.flush()
    if (other := await overlapping(session, draft)) is not None:
        raise Conflict(
            f"Bộ quy tắc {other.code} phiên bản {other.version} cũng có hiệu lực trong thời gian này. Hãy đổi ngày "
            "hiệu lực (valid_from) hoặc ngày hết hiệu lực (valid_to) của bản nháp.",
            f"Rule set {other.code} v{other.version} holds within these dates too. Change valid_from or valid_to.",
        )
    draft.state = "active"
    await session.flush()
    return draft


async def overlapping(session: AsyncSession, draft: models.RuleSet) -> models.RuleSet | None:
    """A set that holds, or held, within the draft's dates."""
    statement = select(models.RuleSet).where(
        col(models.RuleSet.state).in_(("active", "retired")),
        func.tstzrange(col(models.RuleSet.valid_from), col(models.RuleSet.valid_to)).op("&&")(
            func.tstzrange(cast(draft.valid_from, Moment), cast(draft.valid_to, Moment))
        ),
    )
    return (await session.exec(statement.order_by(col(models.RuleSet.valid_from)).limit(1))).first()


def checked(draft: RuleSetDraft) -> list[Problem]:
    """What `check` finds with the departments, fields and calendar shipped here."""
    places = load_areas((SEED / "areas.csv").read_text(encoding="utf-8"))
    directory = seeds.seed_directory({place.code: place for place in places})
    return check(draft, directory, seeds.seed_fields(), province_calendar())


async def _any(session: AsyncSession, table: type) -> bool:
    return (await session.exec(select(table).limit(1))).first() is not None


def _parents_first(places: Iterable) -> list:  # type: ignore[type-arg]
    waiting, placed, order = list(places), set(), []
    while waiting:
        ready = [place for place in waiting if place.parent is None or place.parent in placed]
        if not ready:
            raise Invalid("Bảng địa bàn có vòng lặp.", "The table of areas has a cycle of parents.")
        order += ready
        placed |= {place.code for place in ready}
        waiting = [place for place in waiting if place.code not in placed]
    return order
