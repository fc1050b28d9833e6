"""One message instead of forty: what somebody has not seen yet, when it may leave by the way they chose.

A way is woken by `cases.notices` and is due here. All that waits for the person becomes one message of the outbox, and
how far it reached is noted with it in one transaction: nothing leaves twice, and nothing is left out.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import bindparam, func, text
from sqlalchemy import select as sql_select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import duty
from cases.duty_models import Notice, NoticeWay
from cases.models import Case, Limit
from cases.notice_ways import EMAIL, NOTICES, ZALO
from cases.notice_words import LATE, MOST_LINES, Told, letter, short
from cases.queries import visible_to
from channels import outbox
from channels.message import Address
from channels.models import Outgoing
from core.db import Moment
from core.staff import Actor
from routing.queries import Routing

BATCH = 100  # ways a transaction
NOT_NOW = timedelta(hours=1)  # until a channel that is absent is tried again
TEMPLATE = "zalo_template"
HIDDEN = "(hạn chế)"  # what stands in a letter that has not left, once its case is restricted

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


async def not_arrived(
    session: AsyncSession, channels: Collection[str], failed: Outgoing, at: datetime, *, site: str
) -> None:
    """A message failed for good: it goes the next way in line, so that nobody is left in silence.

    Zalo's template says that there is something to see where Zalo takes no free words any more. Otherwise a daily
    letter by another way of the person leaves now; what is told at once there has left already. Who has no other way
    sees it on the page of their ways, and the notices stay behind the bell.
    """
    if failed.channel == ZALO and TEMPLATE in channels:
        said = short(failed.title or "", f"{site}/console/notices")
        to = Address(failed.scheme, failed.handle)
        await outbox.go_on(session, failed, channel=TEMPLATE, to=to, text=said, whole=False, at=at)
        return
    tried = [ZALO, TEMPLATE] if failed.channel in (ZALO, TEMPLATE) else [failed.channel]
    await session.execute(_HURRY, {"person": failed.subject_id, "tried": tried, "at": at})


_HURRY = text(
    """
    UPDATE notice_ways w SET next_at = :at
    WHERE w.staff_id = :person AND w.channel <> ALL(:tried) AND w.mode = 'digest'
      AND (w.next_at IS NULL OR w.next_at > :at)
      AND EXISTS (SELECT FROM notices n WHERE n.staff_id = w.staff_id AND n.id > w.upto AND n.seen_at IS NULL)
    """
).bindparams(bindparam("at", type_=Moment))


async def redact(session: AsyncSession, code: str) -> None:
    """A case has become restricted: no letter that has not left yet names it any more."""
    await session.execute(_REDACT, {"purpose": NOTICES, "code": code, "hidden": HIDDEN})


_REDACT = text(
    "UPDATE outgoing SET text = replace(text, :code, :hidden) "
    "WHERE run_at IS NOT NULL AND state = 'queued' AND purpose = :purpose AND strpos(text, :code) > 0"
)


async def _waiting(session: AsyncSession, person: Actor, after: int) -> Sequence[Any]:
    """A row for each case of which something is not seen and still owed, as far as the person may open it now.

    The worst that is told of it, the newest of that; how many cases there are in all, late, and restricted.
    """
    late = col(Notice.kind).in_(sorted(LATE))
    one = (
        sql_select(
            col(Notice.id),
            col(Notice.kind),
            col(Notice.stage),
            col(Notice.due_at),
            col(Case.code),
            col(Case.restricted),
            (col(Case.urgency) == "emergency").label("pressing"),
            func.count().over(partition_by=col(Notice.case_id)).label("things"),
        )
        .join(Case, col(Case.id) == col(Notice.case_id))
        .join(Limit, col(Limit.id) == col(Notice.limit_id), isouter=True)
        .where(
            col(Notice.staff_id) == person.id,
            col(Notice.id) > after,
            col(Notice.seen_at).is_(None),
            col(Limit.met_at).is_(None),
            col(Limit.cancelled_at).is_(None),
            visible_to(person),
        )
        .ext(distinct_on(col(Notice.case_id)))
        .order_by(col(Notice.case_id), ~late, col(Notice.kind) != "reminder", col(Notice.id).desc())
        .subquery()
    )
    is_late = one.c.kind.in_(sorted(LATE))
    found = await session.execute(
        sql_select(
            one,
            func.count().over().label("total"),
            func.count().filter(is_late).over().label("late"),
            func.count().filter(one.c.restricted).over().label("hidden"),
        )
        .order_by(one.c.restricted, ~one.c.pressing, ~is_late, one.c.due_at, one.c.id)
        .limit(MOST_LINES)
    )
    return found.all()


def _told(row: Any, zone: Any) -> Told:
    due_at = row.due_at.astimezone(zone) if row.due_at else None
    return Told(None if row.restricted else row.code, row.kind, row.stage, due_at, row.pressing, row.things)


def _message(way: NoticeWay, newest: int, title: str, said: str, at: datetime) -> dict[str, Any]:
    """On channels without a subject line it stands above the text."""
    cause: UUID = uuid5(way.staff_id, f"{way.channel} {newest} {at.isoformat()}")  # asked for anew, it leaves anew
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
