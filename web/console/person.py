"""The panel of a case's page about the person who sent it, for those who may know people."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from cases.citizens import masked_handle
from cases.likeness import Reason
from cases.looks import text_in_list
from cases.models import Case, Identity
from cases.people import AGREEABLE, PREFERABLE, PURPOSES
from cases.people_models import Merge
from cases.person_file import PERMISSION, person_file
from cases.queries import CRIME_TIP
from cases.reach import CHANNEL_OF
from core.staff import Actor
from web.console import picking
from web.names import name_of
from web.rendering import Viewer


@dataclass(frozen=True, slots=True)
class Handle:
    """An address as the page shows it: its channel, the handle masked or whole, and whether anything goes there."""

    channel: str
    text: str
    seen_at: datetime | None = None
    stopped_at: datetime | None = None
    unreachable_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Likely:
    """Somebody who may be the same person: their newest case, and why in words."""

    case: Case
    line: str
    cases: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """A merge that stands, in words."""

    id: str
    why: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Wish:
    """What they said about one channel and purpose."""

    text: str
    given: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class PersonView:
    """Everything the panel shows. `changes`: whether this member of staff decides anything here."""

    handles: tuple[Handle, ...]
    wishes: tuple[Wish, ...]
    preferred: str
    channels: tuple[tuple[str, str], ...]
    purposes: tuple[tuple[str, str], ...]  # somebody can agree to
    consentable: tuple[tuple[str, str], ...]  # channels they can agree to be reached by
    likely: tuple[Likely, ...]
    merges: tuple[Joined, ...]
    changes: bool


async def person_view(session: AsyncSession, who: Actor, case: Case, view: Viewer) -> PersonView | None:
    """The panel; None where nobody is known or for who is not to know."""
    found = await person_file(session, who, case)
    if found is None:
        return None
    lang = view.lang
    return PersonView(
        tuple(_handle(each) for each in found.identities),
        tuple(
            Wish(f"{name_of('consent', purpose, lang)} · {name_of('channel', channel, lang)}", said.given, said.at)
            for (channel, purpose), said in sorted(found.consents.items())
        ),
        found.preferred or "",
        tuple((code, name_of("channel", code, lang)) for code in PREFERABLE),
        tuple((code, name_of("consent", code, lang)) for code in PURPOSES),
        tuple((code, name_of("channel", code, lang)) for code in AGREEABLE),
        tuple(
            Likely(
                each.newest,
                picking.first_line(text_in_list(each.newest)),
                each.cases,
                tuple(_reason(why, view) for why in each.reasons),
            )
            for each in found.suggestions
        ),
        tuple(Joined(str(each.id), _why(each, view), by, each.at) for each, by in found.merges),
        who.may(PERMISSION),
    )


def stated(case: Case, plain: bool) -> tuple[Handle, ...]:
    """Where a case came from on a vendor's channel, which its name, number and mailbox do not say."""
    return tuple(
        Handle(by, case.contact[scheme] if plain else masked_handle(scheme, case.contact[scheme]))
        for scheme, by in CHANNEL_OF.items()
        if scheme not in ("phone", "email") and case.contact.get(scheme) and (plain or case.track != CRIME_TIP)
    )


def _handle(found: Identity) -> Handle:
    return Handle(
        CHANNEL_OF.get(found.scheme, found.scheme),
        masked_handle(found.scheme, found.handle),
        found.seen_at,
        found.stopped_at,
        found.unreachable_at,
    )


def _reason(why: Reason, view: Viewer) -> str:
    """Which of the two stated what, and where."""
    shown = {"handle": masked_handle(why.scheme, why.handle), "code": why.case}
    if why.scheme == "phone":
        if why.mine:
            return view.say("Người này để lại số %(handle)s ở %(code)s, là số của người kia.", **shown)
        return view.say("Người kia để lại số %(handle)s ở %(code)s, là số của người này.", **shown)
    if why.mine:
        return view.say("Người này để lại hộp thư %(handle)s ở %(code)s, là của người kia.", **shown)
    return view.say("Người kia để lại hộp thư %(handle)s ở %(code)s, là của người này.", **shown)


def _why(merge: Merge, view: Viewer) -> str:
    told = "; ".join(name_of("same_person", code, view.lang) for code in merge.why.split(","))
    return f"{told}: {merge.note}" if merge.note else told
