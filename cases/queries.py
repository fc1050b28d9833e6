"""Reads of one case, shaped for those who ask. Visibility lives in `visible_to` and nowhere else; lists of cases are in
`cases.lists`."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import Boolean, ColumnElement, String, and_, any_, cast, false, literal_column, not_, or_, text, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import citizens
from cases.acts import COLUMNS, Acts, read_acts
from cases.codes import read_code
from cases.duty import LEADERS
from cases.models import IS_OPEN, IS_OVER, Assignment, Case, Entry, Extension, Limit
from cases.states import Status
from channels.models import Outgoing
from core.attachments import Attachment
from core.errors import Conflict, Invalid, NotFound
from core.journal import Journal
from core.staff import EVERYTHING_ORDINARY, RESTRICTED_ROLES, Actor, Role, Staff

AT_WORK: ColumnElement[bool] = literal_column(f"({IS_OPEN})", Boolean())
_OVER: ColumnElement[bool] = literal_column(f"({IS_OVER})", Boolean())
CRIME_TIP = "crime_tip"
_FOR_POLICE = and_(col(Case.track) == CRIME_TIP, col(Case.track_confirmed))


def visible_to(actor: Actor, *, at_work: bool = False) -> ColumnElement[bool]:
    """Which cases this person may know of. `at_work`: said only of open cases, for whoever lists nothing else.

    The centre, leaders and administrators: all ordinary ones. Units: those they lead or support. Restricted tracks:
    inspectors, crime tips the police and, until a person has confirmed what they are, inspectors too; and never whom
    the case is about, nor those who work for a unit that it is about.
    """
    ordinary = col(Case.restricted).is_(False)
    if Role.INSPECTOR in actor.roles:
        for_police = [] if Role.POLICE in actor.roles else [not_(_FOR_POLICE)]
        return and_(*for_police, about_others(actor))
    seen: list[ColumnElement[bool]] = []
    if sees_everything(actor):
        seen.append(ordinary)
    elif actor.departments and actor.roles & {Role.OFFICER, Role.HEAD}:
        seen.append(and_(ordinary, has_unit(actor.departments, at_work=at_work)))
    if Role.POLICE in actor.roles:
        tips = and_(col(Case.restricted), col(Case.track) == CRIME_TIP)  # as the index of restricted cases says it
        seen.append(and_(tips, about_others(actor)))
    return or_(*seen) if seen else false()


def about_others(actor: Actor) -> ColumnElement[bool]:
    """About neither this person nor a unit they work for. A filter of the rows read anyway: no index serves a negation.

    Who does not say who they are is nobody's accused.
    """
    wanted: list[ColumnElement[bool]] = []
    if actor.departments:
        theirs = cast(sorted(actor.departments), ARRAY(String))
        wanted.append(not_(col(Case.accused_units).bool_op("&&")(theirs)))
    if actor.id is not None:
        wanted.append(not_(any_(col(Case.accused_staff)) == actor.id))
    return and_(true(), *wanted)


class Known(Protocol):
    """What of a case decides who may know of it: the case itself, or what is at hand of it."""

    @property
    def restricted(self) -> bool:
        """Whether it is on a restricted track."""

    @property
    def track(self) -> str:
        """The track."""

    @property
    def track_confirmed(self) -> bool:
        """Whether a person has confirmed it."""

    @property
    def accused_units(self) -> Collection[str]:
        """Units that it is about."""

    @property
    def accused_staff(self) -> Collection[UUID]:
        """Staff whom it is about."""

    @property
    def units(self) -> Collection[str]:
        """Units that lead or support it."""


def sees_everything(actor: Actor) -> bool:
    """Whether this person may know of every ordinary case."""
    return bool(actor.roles & EVERYTHING_ORDINARY)


def sees(actor: Actor, case: Known) -> bool:
    """`visible_to` of a case at hand: the same rule, and a test holds the two equal for everybody there can be."""
    if case.restricted:
        about_them = actor.id in case.accused_staff or not actor.departments.isdisjoint(case.accused_units)
        return not about_them and bool(actor.roles & seen_by(case.track, confirmed=case.track_confirmed))
    if sees_everything(actor):
        return True
    return bool(actor.roles & {Role.OFFICER, Role.HEAD}) and not actor.departments.isdisjoint(case.units)


def seen_by(track: str, *, confirmed: bool) -> frozenset[Role]:
    """The roles that know of cases of a restricted track."""
    if track != CRIME_TIP:
        return frozenset({Role.INSPECTOR})
    return frozenset({Role.POLICE}) if confirmed else RESTRICTED_ROLES


def works_on_restricted(actor: Actor, case: Known) -> bool:
    """Whether this person brings a restricted case to its end: the police crime tips, inspectors all others."""
    worker = Role.POLICE if case.track == CRIME_TIP else Role.INSPECTOR
    return worker in actor.roles and sees(actor, case)


def reporter_known(actor: Actor) -> ColumnElement[bool]:
    """Cases that this person may know of and may find by who sent them: not by the sender of a crime tip, who is hidden
    until the police reveal them.
    """
    shown = and_(col(Case.track) == CRIME_TIP, col(Case.identity_revealed)) if Role.POLICE in actor.roles else false()
    return and_(visible_to(actor), or_(col(Case.track) != CRIME_TIP, shown))


def has_unit(departments: Iterable[str], *, at_work: bool = False) -> ColumnElement[bool]:
    """Whether one of these departments leads or supports the case; `at_work` when only open cases are asked for.

    Open cases and the others have an index each, so that the few at work are not sought among all there ever were.
    """
    some: ColumnElement[bool] = literal_column(
        "cases.units <> '{}'"
    )  # so that the partial index is known to hold every row wanted
    held = and_(some, col(Case.units).bool_op("&&")(cast(sorted(departments), ARRAY(String))))
    return held if at_work else or_(and_(AT_WORK, held), and_(_OVER, held))


def sees_identity(actor: Actor, case: Case) -> bool:
    """Whether the reporter is shown unmasked: once revealed, and always inside a restricted track, but for crime tips,
    whose sender is shown to the police alone, once revealed."""
    if case.restricted:
        hidden = case.track == CRIME_TIP and not (case.identity_revealed and works_on_restricted(actor, case))
        return sees(actor, case) and not hidden
    works_on_it = actor.roles - {Role.LEADER, Role.ADMIN, *RESTRICTED_ROLES}
    return case.identity_revealed and bool(works_on_it)


def contact_shown(actor: Actor, case: Case) -> dict[str, str | None]:
    """How the reporter is known, as far as this person is shown it; of a hidden sender of a tip not even the letters
    and digits that tell two people apart."""
    if sees_identity(actor, case):
        return citizens.plain(case.contact)
    return citizens.masked({} if case.track == CRIME_TIP else case.contact)


async def case_by_code(session: AsyncSession, actor: Actor, code: str) -> Case:
    """The case, if this person may see it."""
    standard = read_code(code)
    statement = select(Case).where(Case.code == standard, visible_to(actor))
    found = (await session.exec(statement)).first() if standard else None
    if found is None:
        raise NotFound("Không tìm thấy phản ánh này.", "No such case.")
    return found


async def live_case(session: AsyncSession, actor: Actor, code: str) -> Case:
    """The case behind a code, following merges to the one that goes on; locked, so that it stays that one."""
    standard = read_code(code)
    statement = select(Case).where(Case.code == standard, visible_to(actor)).with_for_update()
    found = (await session.exec(statement)).first() if standard else None
    live = await follow_merges(session, found, lock=True) if found else None
    if live is None or (live.restricted and not sees(actor, live)):
        raise Invalid.at("into", "Không tìm thấy phản ánh này.", "No such case.", "unknown")
    return live


async def follow_merges(session: AsyncSession, case: Case, *, lock: bool = False) -> Case:
    """The case a merged one lives on in; itself if not merged."""
    seen = {case.id}
    while case.merged_into is not None:
        statement = select(Case).where(Case.id == case.merged_into)
        case = (await session.exec(statement.with_for_update() if lock else statement)).one()
        if case.id in seen:
            raise Conflict("Các phản ánh này đã gộp vòng tròn.", "These cases are merged in a circle.")
        seen.add(case.id)
    return case


async def reply_to(session: AsyncSession, case: Case) -> str | None:
    """The answer the citizen has been given, if any stands."""
    if case.replied_at is None or case.answer_id is None:
        return None
    return (await session.exec(select(Entry.text).where(Entry.id == case.answer_id))).first()


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case with everything a page about it shows."""

    case: Case
    entries: list[Entry]
    assignments: list[Assignment]
    limits: list[Limit]
    attachments: list[Attachment]
    extensions: list[Extension]
    officer: str | None
    merged_into: str | None
    incident: str | None
    leaders: bool = True  # somebody of the leadership is there now
    acts: Acts = field(default_factory=Acts)
    accused_staff: list[str] = field(default_factory=list)  # e-mails


async def case_file(session: AsyncSession, case: Case, at: datetime) -> CaseFile:
    """Everything about one case now, in a fixed number of statements."""
    entries = await session.exec(
        select(Entry).where(Entry.case_id == case.id).order_by(col(Entry.created_at), col(Entry.id))
    )
    assignments = await session.exec(
        select(Assignment).where(Assignment.case_id == case.id).order_by(col(Assignment.opened_at), col(Assignment.id))
    )
    limits = await session.exec(
        select(Limit).where(Limit.case_id == case.id).order_by(col(Limit.opened_at), col(Limit.id))
    )
    files = await session.exec(
        select(Attachment).where(Attachment.case_id == case.id).order_by(col(Attachment.created_at), col(Attachment.id))
    )
    extensions = await session.exec(
        select(Extension).where(Extension.case_id == case.id).order_by(col(Extension.requested_at))
    )
    names = (
        await session.execute(
            _BESIDE,
            {
                "officer": case.officer_id,
                "merged": case.merged_into,
                "incident": case.incident_id,
                "accused": case.accused_staff,
                "case": case.id,
                "at": at,
            },
        )
    ).one()
    return CaseFile(
        case,
        list(entries),
        list(assignments),
        list(limits),
        list(files),
        list(extensions),
        names.officer,
        names.merged,
        names.incident,
        names.leaders,
        read_acts(names),
        list(names.accused),
    )


_BESIDE = text(
    f"""
    SELECT (SELECT email FROM staff WHERE id = :officer) AS officer,
           (SELECT code FROM cases WHERE id = :merged) AS merged,
           (SELECT code FROM cases WHERE id = :incident) AS incident,
           ARRAY(SELECT email FROM staff WHERE id = ANY(CAST(:accused AS uuid[])) ORDER BY email) AS accused,
           {LEADERS} AS leaders, {COLUMNS}
    """  # noqa: S608 - constants of cases.acts and cases.duty
)


async def timeline(session: AsyncSession, case: Case, *, internal: bool) -> list[dict[str, Any]]:
    """What happened to a case, oldest first, from the journal and the conversation.

    `internal` False gives only what its citizen may know: no names of staff, no notes, no reasons between offices.
    """
    rows = (
        await session.exec(
            select(Journal, Staff.name)
            .join(Staff, col(Staff.id) == col(Journal.actor_id), isouter=True)
            .where(Journal.case_id == case.id)
            .order_by(col(Journal.id))
        )
    ).all()
    entries = (await session.exec(select(Entry).where(Entry.case_id == case.id).order_by(col(Entry.id)))).all()
    said: dict[datetime, list[Entry]] = {}
    for entry in entries:
        if internal or entry.to_citizen:
            said.setdefault(entry.created_at, []).append(entry)
    items = []
    for event, name in rows:
        if not internal and (event.kind not in FOR_CITIZENS or _unfelt(event)):
            continue
        lines = said.pop(event.occurred_at, [])
        data = {key: value for key, value in event.data.items() if key not in ("dims", "code", "received_at")}
        items.append(
            {
                "at": event.occurred_at,
                "kind": event.kind,
                "actor": (name or event.actor_kind) if internal else event.actor_kind,
                "data": data if internal else {key: data.get(key) for key in _CITIZENS_DATA.get(event.kind, ("to",))},
                "text": "\n".join(line.text for line in lines) or None,
            }
        )
    return items


FOR_CITIZENS = frozenset(
    f"case.{name}"
    for name in (
        "open",
        "add_message",
        "forward",
        "accept",
        "ask_citizen",
        "tell_progress",
        "grant_extension",
        "reply",
        "rate",
        "close",
        "reopen",
        "refuse",
        "redirect",
        "merge",
        "split",
        "publish",
        "rehome",
    )
) | {"message.elsewhere"}


_CITIZENS_DATA = {"case.rehome": ("to", "was", "lead")}


def _unfelt(event: Journal) -> bool:
    """Whether a case passed on without another lead: its helpers alone, or an answer that was on its way already."""
    if event.kind != "case.rehome":
        return False
    was, lead = event.data.get("was"), event.data.get("lead")
    return was is None or lead == was or (lead is None and event.data.get("to") != Status.RECEIVED)


async def message_by_id(session: AsyncSession, actor: Actor, message_id: UUID) -> tuple[Outgoing, Case]:
    """A message that leaves or left, and its case, if this person may see that."""
    statement = (
        select(Outgoing, Case)
        .join(Case, col(Case.id) == col(Outgoing.subject_id))
        .where(Outgoing.id == message_id, visible_to(actor))
    )
    found = (await session.exec(statement)).first()
    if found is None:
        raise NotFound("Không tìm thấy tin nhắn này.", "There is no such message.")
    message, case = found
    return message, case
