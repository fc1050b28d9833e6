"""A rule set on its way: copied to a later day, edited row by row, checked, withdrawn, retired, its document attached.

Its text as YAML, its activation and its deletion are in `rule_sets.py`; what a row becomes is in `rule_forms.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import func, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import Conflict, Invalid, NotFound
from core.files import Stored
from core.ids import uuid7
from core.journal import record
from core.staff import SYSTEM, Actor
from routing import commands, models, rule_forms
from routing.editing.rule_sets import (
    DAYS,
    DRAFTS,
    RuleSetChange,
    RuleSetHead,
    check,
    findings_of,
    found,
    head_of,
    open_draft,
    reopened,
    stamp,
    unstorable,
)
from routing.editing.shared import Finding, begin, local_day, note
from routing.queries import local_midnight, read_directory, read_draft, read_fields
from routing.rule_differences import Change, differences
from routing.rule_drafts import RuleSetDraft
from routing.rule_forms import Known
from routing.rulesets import dump

WITHDRAW_UNTIL = timedelta(minutes=1)
"""So long before its first moment a set may still be withdrawn: other processes look at the rules every few seconds."""
MOST_FILES = 20

Edit = Callable[[RuleSetDraft, Known], RuleSetDraft]


@dataclass(frozen=True, slots=True)
class FileLine:
    """A file of the document a set comes from; `size` in bytes."""

    id: UUID
    name: str
    media_type: str
    size: int
    sha256: str
    added_at: datetime


@dataclass(frozen=True, slots=True)
class Seen:
    """The part of a draft that a form was made from, and its `part_stamp` then."""

    stamp: str
    part: str  # limit | lead | settings | head
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Desk:
    """A set as it lies on the desk: what it says, what is wrong with it, what it would change and since when.

    `against` is the set that holds when this one would begin; None where there is none.
    """

    head: RuleSetHead
    draft: RuleSetDraft
    findings: tuple[Finding, ...]
    against: RuleSetHead | None
    changes: tuple[Change, ...]
    files: tuple[FileLine, ...]


async def next_version(
    session: AsyncSession, by: Actor, at: datetime, rule_set_id: UUID, valid_from: date, source: str = ""
) -> RuleSetHead:
    """A copy of a set as a draft that is to hold from a day on, under the next version of its code.

    Invalid for a day that has begun to pass: rules never change for cases that were opened.
    """
    await begin(session, by)
    row = await found(session, rule_set_id)
    if valid_from < await local_day(session, at) or valid_from > DAYS[1]:
        raise Invalid.at(
            "valid_from", "Chọn hôm nay hoặc một ngày sau đó.", "Choose today or a later day.", "out_of_range"
        )
    last = select(func.max(models.RuleSet.version)).where(models.RuleSet.code == row.code)
    version = ((await session.exec(last)).one() or row.version) + 1
    draft = rule_forms.next_version(await read_draft(session, row), version, valid_from, source)
    made = await commands.store(session, _storable(draft), at)
    data = {"code": made.code, "version": made.version, "like": f"{row.code} v{row.version}"}
    await note(session, by, "rule_set.copy", str(made.id), at, **data)
    return head_of(made, at)


async def on_desk(session: AsyncSession, rule_set_id: UUID, at: datetime) -> Desk:
    """A set with all that its page shows; for a set that holds or held nothing is checked and nothing compared."""
    row = await found(session, rule_set_id)
    draft, known = await read_draft(session, row), await _known(session)
    files = await _files(session, row.id)
    if row.state not in DRAFTS:
        return Desk(head_of(row, at), draft, (), None, (), files)
    findings = await findings_of(session, row, draft, at, dump(draft))
    before = await _holding_before(session, row)
    changes = differences(await read_draft(session, before), draft, known) if before is not None else ()
    against = head_of(before, at) if before is not None else None
    return Desk(head_of(row, at), draft, findings, against, changes, files)


def part_stamp(draft: RuleSetDraft, part: str, code: str | None = None) -> str:
    """What tells a part of a draft (`rule_forms.shown`) from the same part that somebody edited meanwhile."""
    return stamp(repr(rule_forms.shown(draft, part, code)))


async def edit(
    session: AsyncSession, by: Actor, at: datetime, rule_set_id: UUID, change: Edit, seen: Seen | None = None
) -> RuleSetHead:
    """Another content for a draft, which is to be checked again.

    NotFound for a rule that it has not, Invalid for what cannot be kept, Conflict when the set holds or held, or when
    what was `seen` of it says something else by now, for that would be lost.
    """
    await begin(session, by)
    row = await open_draft(session, rule_set_id)
    try:
        before = await read_draft(session, row)
        if seen is not None and seen.stamp and seen.stamp != part_stamp(before, seen.part, seen.code):
            raise Conflict(
                "Người khác vừa sửa chỗ này. Anh/chị xem lại bản nháp; lưu lần nữa thì ghi đè bằng nội dung dưới đây.",
                "Somebody has just changed this. Look at the draft; saving again writes what stands below over it.",
            )
        draft = change(before, await _known(session))
    except KeyError:
        raise NotFound("Bản nháp không có quy tắc này.", "The draft has no such rule.") from None
    await reopened(session, row)
    await commands.rewrite(session, row, _storable(draft))
    await note(session, by, "rule_set.rewrite", str(row.id), at, code=row.code, version=row.version)
    return head_of(row, at)


async def mark_checked(session: AsyncSession, by: Actor, at: datetime, rule_set_id: UUID) -> RuleSetChange:
    """Ask the checker; without errors the draft is checked from now on, until the next edit.

    With errors it is a draft, also one that was checked: departments end and days pass meanwhile.
    """
    await begin(session, by)
    row = await open_draft(session, rule_set_id)
    findings = await check(session, rule_set_id, at)
    if any(finding.severity == "error" for finding in findings):
        await reopened(session, row)
    else:
        row.state, row.checked_at, row.checked_by = "checked", at, by.id
        await session.flush()
        await note(session, by, "rule_set.check", str(row.id), at, code=row.code, version=row.version)
    return RuleSetChange(head_of(row, at), findings)


async def withdraw(session: AsyncSession, by: Actor, at: datetime, rule_set_id: UUID) -> RuleSetHead:
    """Take back a set that was to hold from a later day on: a draft again, and the set before it holds on.

    Conflict when it is not in force or its first moment has come, or is less than WITHDRAW_UNTIL away.
    """
    await begin(session, by)
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": commands.ACTIVATING_LOCK})
    row = await found(session, rule_set_id)
    if row.state != "active" or row.valid_from - WITHDRAW_UNTIL <= at:
        raise Conflict(
            "Chỉ rút lại được bộ quy tắc đã hẹn ngày mà chưa đến ngày áp dụng.",
            "Only a set that waits for its first day can be withdrawn.",
        )
    row.state, row.checked_at, row.checked_by = "draft", None, None
    await session.flush()
    ends = select(models.RuleSet).where(models.RuleSet.state == "active", models.RuleSet.valid_to == row.valid_from)
    before = (await session.exec(ends)).first()
    if before is not None:
        before.valid_to = await _own_end(session, before, row.valid_from)
        await session.flush()
    await note(session, by, "rule_set.withdraw", str(row.id), at, code=row.code, version=row.version)
    return head_of(row, at)


async def _own_end(session: AsyncSession, row: models.RuleSet, since: datetime) -> datetime | None:
    """How long a set holds from `since` on: as long as it says, at most until another set begins."""
    draft = await read_draft(session, row)
    said = local_midnight(draft.valid_to, commands.zone_named(draft.calendar.get("tz"))) if draft.valid_to else None
    later = select(func.min(models.RuleSet.valid_from)).where(
        models.RuleSet.state == "active", models.RuleSet.valid_from > since
    )
    ends = (said if said is not None and said > since else None, (await session.exec(later)).one())
    return min((end for end in ends if end is not None), default=None)


async def retire_due(session: AsyncSession, at: datetime) -> int:
    """Retire the sets whose time is over and by which no open case is worked any more; how many.

    Work of a duty. A case that is reopened later still finds its set: retired ones are read as before.
    """
    over = select(models.RuleSet).where(
        models.RuleSet.state == "active",
        col(models.RuleSet.valid_to) <= at,
        text(
            "NOT EXISTS (SELECT FROM cases WHERE cases.rule_set_id = rule_sets.id AND cases.status IN"
            " ('received', 'forwarded', 'in_progress', 'waiting_citizen', 'answered'))"
        ),
    )
    rows = (await session.exec(over.with_for_update(skip_locked=True))).all()
    for row in rows:
        row.state, row.retired_at = "retired", at
        data = {"code": row.code, "version": row.version}
        await record(session, "rule_set.retire", at=at, actor_kind=SYSTEM.kind, subject=str(row.id), data=data)
    await session.flush()
    return len(rows)


async def attach(session: AsyncSession, by: Actor, at: datetime, rule_set_id: UUID, file: Stored) -> FileLine:
    """Keep a file of the document a set comes from. A set that holds takes one too: its decision may be scanned later.

    Conflict when it has MOST_FILES already.
    """
    await begin(session, by)
    row = await found(session, rule_set_id)
    if len(await _files(session, row.id)) >= MOST_FILES:
        raise Conflict(f"Mỗi bộ quy tắc kèm tối đa {MOST_FILES} tệp.", f"A rule set has at most {MOST_FILES} files.")
    made = models.RuleSetFile(
        id=uuid7(at),
        rule_set_id=row.id,
        name=file.name,
        media_type=file.media_type,
        size=file.size,
        sha256=file.sha256,
        added_by=by.id,
        added_at=at,
    )
    session.add(made)
    await session.flush()
    await note(session, by, "rule_set.attach", str(row.id), at, sha256=file.sha256, size=file.size)
    return _line(made)


async def detach(session: AsyncSession, by: Actor, at: datetime, rule_set_id: UUID, file_id: UUID) -> None:
    """Take a file from a draft. Conflict when the set holds or held, NotFound without such a file."""
    await begin(session, by)
    row = await open_draft(session, rule_set_id)
    file = await _file(session, row.id, file_id)
    await session.delete(file)
    await note(session, by, "rule_set.detach", str(row.id), at, sha256=file.sha256)


async def files_of(session: AsyncSession, rule_set_id: UUID) -> list[FileLine]:
    """The files of a set, the first one first; NotFound without such a set."""
    return list(await _files(session, (await found(session, rule_set_id)).id))


async def file_of(session: AsyncSession, rule_set_id: UUID, file_id: UUID) -> FileLine:
    """A file of a set, or NotFound."""
    return _line(await _file(session, rule_set_id, file_id))


async def _known(session: AsyncSession) -> Known:
    return Known(await read_fields(session), await read_directory(session))


async def _file(session: AsyncSession, rule_set_id: UUID, file_id: UUID) -> models.RuleSetFile:
    statement = select(models.RuleSetFile).where(
        models.RuleSetFile.id == file_id, models.RuleSetFile.rule_set_id == rule_set_id
    )
    file = (await session.exec(statement)).first()
    if file is None:
        raise NotFound("Không tìm thấy tệp này.", "No such file.")
    return file


async def _files(session: AsyncSession, rule_set_id: UUID) -> tuple[FileLine, ...]:
    statement = select(models.RuleSetFile).where(models.RuleSetFile.rule_set_id == rule_set_id)
    return tuple(_line(file) for file in (await session.exec(statement.order_by(col(models.RuleSetFile.id)))).all())


def _line(file: models.RuleSetFile) -> FileLine:
    return FileLine(file.id, file.name, file.media_type, file.size, file.sha256, file.added_at)


async def _holding_before(session: AsyncSession, row: models.RuleSet) -> models.RuleSet | None:
    """The set that holds at a draft's first moment."""
    ends = col(models.RuleSet.valid_to)
    statement = select(models.RuleSet).where(
        col(models.RuleSet.state).in_(("active", "retired")),
        col(models.RuleSet.valid_from) <= row.valid_from,
        ends.is_(None) | (ends > row.valid_from),
    )
    return (await session.exec(statement.order_by(col(models.RuleSet.valid_from).desc()).limit(1))).first()


def _storable(draft: RuleSetDraft) -> RuleSetDraft:
    """The draft; Invalid when it can be written down but not kept."""
    if problems := unstorable(draft):
        told = "; ".join(problems[:5])
        raise Invalid(f"Không lưu được: {told}.", f"It cannot be kept: {told}.")
    return draft
