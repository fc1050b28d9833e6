"""Writes to the coordination rules: seeds, rule sets, their activation."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import Conflict, Invalid
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
            await activate(session, row.id, province_calendar().zone)


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
    zone = ZoneInfo(str(draft.calendar.get("tz", "Asia/Ho_Chi_Minh")))
    row = models.RuleSet(
        id=uuid7(at),
        code=draft.code,
        version=draft.version,
        state="draft",
        valid_from=local_midnight(draft.valid_from, zone),
        valid_to=local_midnight(draft.valid_to, zone) if draft.valid_to else None,
        note=draft.note,
        source_document=draft.source,
        created_at=at,
        settings=document,
    )
    session.add(row)
    await session.flush()
    for kind, rules in (("lead", leads), ("limit", limits)):
        for position, body in enumerate(rules):
            session.add(
                models.RuleRow(
                    rule_set_id=row.id,
                    code=body["code"],
                    kind=kind,
                    rank=body["rank"],
                    position=position,
                    body=body,
                )
            )
    await session.flush()
    return row


async def activate(session: AsyncSession, rule_set_id: UUID, zone: ZoneInfo) -> None:
    """Put a draft in force for its dates; the set that was in force until then ends where it begins.

    Cases opened before keep the set they were opened under. Invalid when `check` finds errors; Conflict when another
    set's dates still overlap.
    """
    from_draft = (
        await session.exec(select(models.RuleSet).where(models.RuleSet.id == rule_set_id).with_for_update())
    ).one()
    if from_draft.state != "draft":
        raise Conflict("Bộ quy tắc này không còn là bản nháp.", "Only a draft can be activated.")
    before = (
        await session.exec(
            select(models.RuleSet)
            .where(
                models.RuleSet.state == "active",
                col(models.RuleSet.valid_from) < from_draft.valid_from,
                (col(models.RuleSet.valid_to).is_(None)) | (col(models.RuleSet.valid_to) > from_draft.valid_from),
            )
            .with_for_update()
        )
    ).all()
    for row in before:
        row.valid_to = from_draft.valid_from
    await session.flush()
    from_draft.state = "active"
    await session.flush()


def checked(draft: RuleSetDraft) -> list[Problem]:
    """What `check` finds with the departments and fields shipped here."""
    places = load_areas((SEED / "areas.csv").read_text(encoding="utf-8"))
    directory = seeds.seed_directory({place.code: place for place in places})
    return check(draft, directory, seeds.seed_fields())


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
