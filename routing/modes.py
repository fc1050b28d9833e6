"""The centre's mode: normal times, an epidemic, a disaster. Switched on and off by a supervisor, in one act each.

What holds in a mode is said by the rule sets (`modes:` of a condition). A mode is for cases opened while it is on; they
keep it. In force in this process as soon as `RoutingCache.forget` is told, in others as fresh as they know the rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import Conflict, Invalid
from core.ids import uuid7
from core.journal import record
from core.staff import Actor, Staff
from routing.decide import MODES
from routing.models import Mode

SWITCH = "mode.switch"  # permission, and the journal's word for it
LOCK = 1022_018  # advisory lock: one switch at a time
LONGEST_REASON = 2_000  # characters
MOST_PAST = 50


@dataclass(frozen=True, slots=True)
class Spell:
    """A time in a mode; `until` None: it is on. Names are those of the people who switched."""

    mode: str
    reason: str
    since: datetime
    by: str
    until: datetime | None
    ended_by: str | None


async def switch(session: AsyncSession, by: Actor, mode: str, reason: str, at: datetime) -> Mode:
    """Put the centre into a mode; one that is on ends with it.

    NotAllowed for who may not, Invalid for no such mode or no reason, Conflict when it is on already.
    """
    await _begin(session, by)
    if mode not in MODES or mode == "normal":
        raise Invalid.at(
            "mode",
            "Hãy chọn tình huống: dịch bệnh hoặc thiên tai.",
            "Choose a mode: epidemic or disaster.",
            "unknown",
        )
    given = reason.strip()
    if not given or len(given) > LONGEST_REASON:
        raise Invalid.at(
            "reason",
            f"Hãy ghi lý do, nhiều nhất {LONGEST_REASON} ký tự.",
            f"A reason is needed, of at most {LONGEST_REASON} characters.",
            "missing" if not given else "too_long",
        )
    running = await _running(session)
    if running is not None and running.mode == mode:
        raise Conflict("Trung tâm đang ở tình huống này rồi.", "The centre is in this mode already.")
    if running is not None:
        _close(running, by, at)
        await session.flush()  # at most one is on at any time: the old one ends before the new one is there
    assert by.id is not None
    row = Mode(id=uuid7(at), mode=mode, reason=given, since=at, by=by.id)
    session.add(row)
    await session.flush()
    was = running.mode if running is not None else "normal"
    await record(
        session,
        SWITCH,
        at=at,
        actor_kind=by.kind,
        actor_id=by.id,
        subject=str(row.id),
        data={"mode": mode, "was": was},
    )
    return row


async def end(session: AsyncSession, by: Actor, at: datetime) -> Mode:
    """Back to normal times. Conflict when these are normal times."""
    await _begin(session, by)
    running = await _running(session)
    if running is None:
        raise Conflict("Trung tâm đang ở tình huống bình thường.", "These are normal times already.")
    _close(running, by, at)
    await session.flush()
    await record(
        session,
        "mode.end",
        at=at,
        actor_kind=by.kind,
        actor_id=by.id,
        subject=str(running.id),
        data={"was": running.mode},
    )
    return running


async def spells(session: AsyncSession) -> Sequence[Spell]:
    """The newest times in a mode, newest first."""
    ender = aliased(Staff)
    rows = await session.exec(
        select(Mode, col(Staff.name), col(ender.name))
        .join(Staff, col(Staff.id) == col(Mode.by))
        .join(ender, col(ender.id) == col(Mode.ended_by), isouter=True)
        .order_by(col(Mode.since).desc(), col(Mode.id).desc())
        .limit(MOST_PAST)
    )
    return [Spell(row.mode, row.reason, row.since, name, row.until, ended) for row, name, ended in rows]


async def _begin(session: AsyncSession, by: Actor) -> None:
    by.require(SWITCH)
    if by.kind != "staff":  # a person answers for it
        raise Conflict("Chỉ cán bộ được chuyển tình huống.", "Only a member of staff can switch the mode.")
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})


async def _running(session: AsyncSession) -> Mode | None:
    statement = select(Mode).where(col(Mode.until).is_(None)).execution_options(populate_existing=True)
    return (await session.exec(statement)).first()


def _close(running: Mode, by: Actor, at: datetime) -> None:
    running.until, running.ended_by = max(at, running.since), by.id
