"""Where the reporter of a case can be written to: their own channel first, then every other address they have."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text, tuple_
from sqlmodel import col, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.models import Case, Identity
from channels.message import Address
from channels.models import Thread

ON_THE_PAGE: Final = frozenset({"web", "app"})  # channels whose answers stand on the tracking page
CHANNEL_OF: Final = {  # how somebody at an address is written to
    "phone": "sms",
    "email": "email",
    "zalo": "zalo",
    "facebook": "facebook",
    "telegram": "telegram",
    "anonymous": "zalo",  # who is not signed in there; the id of one conversation only
}  # any other scheme is called as the channel is whose own ids say who somebody is


@dataclass(frozen=True, slots=True)
class Way:
    """One address of the reporter and the channel that reaches it."""

    channel: str
    to: Address


async def ways(session: AsyncSession, case: Case) -> tuple[Way, ...]:
    """Every address at which the reporter of a case can be written to, best first.

    First on the case's own channel, then on the one the citizen prefers, then what else is known of them, last heard
    of first. Not where they want no messages or where the vendor says that nothing arrives; but on the case's own
    channel they are still answered if they wrote there again after stopping. On restricted tracks only at what the
    case itself states: who else a reporter may be is nobody's business there.
    """
    return (await _reach(session, case))[0]


async def address_for(session: AsyncSession, case: Case, channels: Collection[str]) -> tuple[str, Address]:
    """The channel on which the citizen of this case is told something, and where: one of `channels`, or the page.

    Who wrote on the web reads the page, and is written to only on a channel they said they prefer.
    """
    found, preferred = await _reach(session, case)
    on_the_page = case.channel in ON_THE_PAGE
    for way in found:
        if way.channel in channels and (not on_the_page or way.channel == preferred):
            return way.channel, way.to
    return case.channel if on_the_page else "web", Address("tracking", case.code)


async def _reach(session: AsyncSession, case: Case) -> tuple[tuple[Way, ...], str | None]:
    """The ways, and the channel that the citizen prefers."""
    schemes = CHANNEL_OF | {scheme: scheme for scheme in case.contact if scheme not in (*CHANNEL_OF, "name")}
    stated = [
        Way(case.channel if scheme == "anonymous" else by, Address(scheme, case.contact[scheme]))
        for scheme, by in schemes.items()
        if case.contact.get(scheme)
    ]
    person, preferred = await _person(session, case)
    known = await _identities(session, person, stated)
    wrote_again = await _wrote_again(session, case, known)
    shut = {
        (each.scheme, each.handle)
        for each in known
        if each.unreachable_at is not None or (each.stopped_at is not None and each.handle not in wrote_again)
    }
    theirs = [Way(CHANNEL_OF.get(each.scheme, each.scheme), Address(each.scheme, each.handle)) for each in known]
    found = [
        way
        for way in dict.fromkeys(stated if case.restricted else [*theirs, *stated])
        if (way.to.scheme, way.to.handle) not in shut and (way.to.scheme != "anonymous" or _own(case, way))
    ]
    return tuple(sorted(found, key=lambda way: (not _own(case, way), way.channel != preferred))), preferred


def _own(case: Case, way: Way) -> bool:
    return way.channel == case.channel and case.contact.get(way.to.scheme) == way.to.handle


_PERSON: Final = text(  # whoever is the person of a case; first who said last how to be answered
    "WITH RECURSIVE up AS ("
    "SELECT id, merged_into FROM citizens WHERE id = :who "
    "UNION SELECT c.id, c.merged_into FROM citizens c JOIN up ON c.id = up.merged_into"
    "), same AS ("
    "SELECT id FROM up UNION SELECT c.id FROM citizens c JOIN same ON c.merged_into = same.id"
    ") SELECT id, preferred_channel FROM citizens WHERE id IN (SELECT id FROM same) "
    "ORDER BY preferred_at DESC NULLS LAST"
)


async def _person(session: AsyncSession, case: Case) -> tuple[list[Any], str | None]:
    if case.citizen_id is None:
        return [], None
    rows = (await session.execute(_PERSON, {"who": case.citizen_id})).all()
    return [row.id for row in rows], rows[0].preferred_channel


async def _identities(session: AsyncSession, person: Iterable[Any], stated: Iterable[Way]) -> list[Identity]:
    """What is known of every address of this person, and of those the case states, last heard of first."""
    addresses = [(way.to.scheme, way.to.handle) for way in stated]
    of_them = col(Identity.citizen_id).in_(list(person))
    here = tuple_(col(Identity.scheme), col(Identity.handle)).in_(addresses)
    rows = await session.exec(select(Identity).where(or_(of_them, here)).order_by(col(Identity.seen_at).desc()))
    return list(rows.all())


async def _wrote_again(session: AsyncSession, case: Case, known: Iterable[Identity]) -> set[str]:
    """Handles on the case's own channel that wanted no messages and from which somebody has written since."""
    stopped = {each.handle: at for each in known if (at := each.stopped_at) is not None}
    if not stopped:
        return set()
    heard = await session.exec(
        select(Thread.handle, func.max(Thread.heard_at))
        .where(Thread.channel == case.channel, col(Thread.handle).in_(stopped))
        .group_by(col(Thread.handle))
    )
    return {handle for handle, at in heard.all() if at > stopped[handle]}
