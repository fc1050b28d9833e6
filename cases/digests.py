"""One message instead of forty: what somebody has not seen yet, when it may leave by the way they chose.

A way is woken by `cases.notices` and is due here. All that waits for the person becomes one message of the outbox, and
how far it reached is noted with it in one transaction: nothing leaves twice, and nothing is left out.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import duty
from cases.duty_models import NoticeWay
from cases.notice_ways import EMAIL, NOTICES
from cases.notice_words import LATE, MOST_LINES, Told, letter
from channels import outbox
from channels.message import Address
from core.staff import Actor, Role
from routing.queries import Routing

BATCH = 100  # ways a transaction
NOT_NOW = timedelta(hours=1)  # until a channel that is absent is tried again
HIDDEN = "(hạn chế)"  # what stands in a letter that has not left, once its case is restricted

# One row for each case of which something is not seen and still owed: the worst that is told of it, the newest of that.
_WAITING = text(
    """
    SELECT *, count(*) OVER () AS total, count(*) FILTER (WHERE kind = ANY(:late)) OVER () AS late,
           count(*) FILTER (WHERE restricted) OVER () AS hidden
    FROM (
        SELECT DISTINCT ON (n.case_id) n.id, n.kind, n.stage, n.due_at, c.code, c.restricted,
               c.urgency = 'emergency' AS pressing, count(*) OVER (PARTITION BY n.case_id) AS things
        FROM notices n JOIN cases c ON c.id = n.case_id LEFT JOIN limits l ON l.id = n.limit_id
        WHERE n.staff_id = :person AND n.id > :after AND n.seen_at IS NULL
          AND l.met_at IS NULL AND l.cancelled_at IS NULL
          AND (NOT c.restricted
               OR NOT c.accused_units && CAST(:homes AS varchar[]) AND NOT :person = ANY(c.accused_staff)
               AND CASE WHEN c.track <> 'crime_tip' THEN :inspects
                        ELSE :police OR (:inspects AND NOT c.track_confirmed) END)
        ORDER BY n.case_id, n.kind <> ALL(:late), n.kind <> 'reminder', n.id DESC
    ) one
    ORDER BY restricted, NOT pressing, kind <> ALL(:late), due_at, id LIMIT :limit
    """
)
_NEWEST = text("SELECT coalesce(max(id), 0) FROM notices WHERE staff_id = :person")


async def run(
    session: AsyncSession, routing: Routing, channels: Collection[str], at: datetime, *, site: str, limit: int = BATCH
) -> int:
    """Leave a message for everybody whose next one may leave now; how many were looked at. Workers share them."""
    due = (
        select(NoticeWay)
        .where(col(NoticeWay.next_at) <= at)
        .order_by(col(NoticeWay.next_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ways = (await session.exec(due)).all()
    if not ways:
        return 0
    people = (await duty.roster(session, routing.directory.centre, at)).people
    zone = routing.at(at).book.zone
    messages = []
    for way in ways:
        person = people.get(way.staff_id)
        if way.channel not in channels and person is not None:
            way.next_at = at + NOT_NOW
            continue
        way.next_at = None
        if person is None or way.mode == "none":  # the account was closed
            continue
        newest = await session.scalar(_NEWEST, {"person": way.staff_id})
        rows = await _waiting(session, person, way.upto)
        if rows:
            told = [_told(row, zone) for row in rows]
            title, said = letter(told, rows[0].total, rows[0].late, rows[0].hidden, f"{site}/console/notices")
            messages.append(_message(way, newest, title, said, at))
            way.posted_at = at
        way.upto = newest
        session.add(way)
    await session.flush()
    await outbox.enqueue_all(session, messages)
    return len(ways)


async def redact(session: AsyncSession, code: str) -> None:
    """A case has become restricted: no letter that has not left yet names it any more."""
    await session.execute(_REDACT, {"purpose": NOTICES, "code": code, "hidden": HIDDEN})


_REDACT = text(
    "UPDATE outgoing SET text = replace(text, :code, :hidden) "
    "WHERE run_at IS NOT NULL AND state = 'queued' AND purpose = :purpose AND strpos(text, :code) > 0"
)


async def _waiting(session: AsyncSession, person: Actor, after: int) -> Sequence[Any]:
    found = await session.execute(
        _WAITING,
        {
            "person": person.id,
            "after": after,
            "late": sorted(LATE),
            "inspects": Role.INSPECTOR in person.roles,
            "police": Role.POLICE in person.roles,
            "homes": sorted(person.departments),
            "limit": MOST_LINES,
        },
    )
    return found.all()


def _told(row: Any, zone: Any) -> Told:
    due_at = row.due_at.astimezone(zone) if row.due_at else None
    return Told(None if row.restricted else row.code, row.kind, row.stage, due_at, row.pressing, row.things)


def _message(way: NoticeWay, newest: int, title: str, said: str, at: datetime) -> dict[str, Any]:
    """On channels without a subject line it stands above the text."""
    cause: UUID = uuid5(way.staff_id, f"{way.channel} {newest}")
    return outbox.message(
        subject_id=way.staff_id,  # not a case: none of the messages that staff look after
        entry_id=cause,
        purpose=NOTICES,
        to=Address(way.channel, way.handle),
        channel=way.channel,
        text=said if way.channel == EMAIL else f"{title}\n\n{said}",
        reference="",
        at=at,
        title=title,
    )
