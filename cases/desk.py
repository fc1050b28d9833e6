"""One command on one case: lock it, check who and whether, do it, note it in the journal. All actions run here."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ValidationError
from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import digests, states
from cases.codes import read_code
from cases.duty import LEADERS
from cases.facts import facts_of
from cases.limits import Clocks, dims, limits_of
from cases.models import Assignment, Case, Entry
from cases.queries import CRIME_TIP, CaseFile, sees, visible_to, works_on_restricted
from cases.reach import address_for
from cases.replies import Phrase
from cases.states import Action, Part, Status
from cases.unit_mail import CHANNEL, UnitPost
from cases.wording import TRACK, Words
from channels import outbox, waiting
from channels.message import Address, FileRef
from core.attachments import Attachment
from core.errors import Invalid, NotAllowed, NotFound, Stale
from core.files import Stored
from core.ids import uuid7
from core.journal import record
from core.staff import SYSTEM, Actor, Role
from core.validation import complaints, sentence
from routing.decide import Decision, Rulebook, decide
from routing.queries import Routing
from routing.working_time import Amount


@dataclass(frozen=True, slots=True)
class Office:
    """What commands need of their process: the rules, the channels that exist, how intake makes codes and keys."""

    routing: Routing
    channels: frozenset[str]
    intake: Any = None
    console: str | None = None  # address of the pages that letters to units link to; None: units get no letters

    @property
    def site(self) -> str:
        """The address of our pages, for links in messages to citizens."""
        return (self.intake.site if self.intake else None) or self.console or ""

    def page_of(self, code: str) -> str | None:
        """The address of a case's tracking page."""
        return f"{self.site}{TRACK}{code}" if self.site else None


@dataclass
class Desk:
    """One command in progress. Handlers change `case`, use `clocks`, `write` and `tell`, and note `data`."""

    session: AsyncSession
    office: Office
    case: Case
    actor: Actor
    at: datetime
    book: Rulebook
    clocks: Clocks
    assignments: list[Assignment]
    files: tuple[Stored, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)
    then: list[tuple[Action, dict[str, Any]]] = field(default_factory=list)

    @property
    def routing(self) -> Routing:
        """The rules in force."""
        return self.office.routing

    @property
    def lead(self) -> Assignment | None:
        """The lead's part, if the case has one."""
        return next((a for a in self.assignments if a.role == "lead" and a.ended_at is None), None)

    @property
    def unit_post(self) -> UnitPost | None:
        """The way to the units' mailboxes, if there is one."""
        if self.office.console is None or CHANNEL not in self.office.channels:
            return None
        return UnitPost(self.session, self.routing, self.office.console, self.at)

    @property
    def heir(self) -> str | None:
        """Who would take the case again: the department that leads or last led it if it lives, else its heir."""
        case = self.case
        if case.lead is None:
            return None
        return self.routing.directory.heir(case.lead, case.area, case.field, self.book.day_of(self.at))

    def decide(self) -> Decision:
        """Decide by the rule set the case was opened under."""
        return decide(facts_of(self.case), self.book)

    def amount(self, stage: str) -> Amount | None:
        """How long a stage of this case may take; None when the rules set no limit."""
        limit = self.decide().limit(stage)
        return limit.amount if limit else None

    def open_forward(self) -> None:
        """The centre holds the case afresh."""
        self.clocks.open("forward", self.routing.directory.centre, self.amount("forward"))

    def start_clocks(self) -> None:
        """Accepting and resolving are now owed by the lead, contributing by the units that help and have not yet."""
        decision = self.decide()
        contribute = decision.limit("contribute") or decision.limit("resolve")
        for part in self.assignments:
            if part.ended_at is not None:
                continue
            if part.role == "lead":
                if part.state == "open":
                    self.clocks.open("accept", part.department, self.amount("accept"))
                self.clocks.open("resolve", part.department, self.amount("resolve"))
            elif part.state == "open":
                self.clocks.open("contribute", part.department, contribute.amount if contribute else None)

    def local(self, moment: datetime) -> datetime:
        """A moment in the centre's zone, for sentences."""
        return moment.astimezone(self.book.calendar.zone)

    def write(self, kind: str, text: str, *, to_citizen: bool = False, case_id: UUID | None = None) -> Entry:
        """Add a line to the case's conversation, or to that of a case merged into it."""
        entry = Entry(
            id=uuid7(self.at),
            case_id=case_id or self.case.id,
            kind=kind,
            author_kind=self.actor.kind,
            author_id=self.actor.id,
            text=text,
            to_citizen=to_citizen,
            created_at=self.at,
        )
        self.session.add(entry)
        return entry

    @property
    def words(self) -> Words:
        """The sentences to citizens as they are worded now."""
        return Words(self.routing.wordings, self.office.site)

    async def tell(self, purpose: str, said: Phrase, *, kind: str = "notice", entry: Entry | None = None) -> Entry:
        """Queue a message on the citizen's own channel; the line of the tracking page where it stands too."""
        words, code, language = self.words, self.case.code, self.case.language
        line = entry or self.write(kind, words.on_page(said, code, language), to_citizen=True)
        await self.session.flush()
        channel, to = await address_for(self.session, self.case, self.office.channels)
        await outbox.enqueue(
            self.session,
            subject_id=self.case.id,
            entry_id=line.id,
            purpose=purpose,
            to=to,
            channel=channel,
            text=words.say(said, code, channel=channel, language=language),
            reference=code,
            at=self.at,
            title=words.title(purpose, code, language),
            attachments=await self.files_of(line) if entry is not None else (),
            link=self.office.page_of(code),
        )
        return line

    async def files_of(self, line: Entry) -> list[FileRef]:
        """The files of a line of the conversation, in the order they came."""
        rows = await self.session.exec(
            select(Attachment)
            .where(Attachment.entry_id == line.id)
            .order_by(col(Attachment.created_at), col(Attachment.id))
        )
        return [FileRef(file.name, file.media_type, file.size, sha256=file.sha256) for file in rows]

    async def attach(self, entry: Entry, files: Sequence[Stored] | None = None) -> None:
        """The files sent along, or these of them, become part of a line of the conversation."""
        taken = self.files if files is None else files
        if not taken:
            return
        await self.session.flush()  # the line before its files
        for stored in taken:
            self.session.add(
                Attachment(
                    id=stored.id,
                    case_id=self.case.id,
                    entry_id=entry.id,
                    name=stored.name,
                    media_type=stored.media_type,
                    size=stored.size,
                    sha256=stored.sha256,
                    original_sha256=stored.original_sha256,
                    width=stored.width,
                    height=stored.height,
                    created_at=self.at,
                )
            )
        self.data["files"] = [*self.data.get("files", ()), *(str(stored.id) for stored in taken)]

    def first_response(self) -> None:
        """A person has now answered or asked; only the first counts."""
        if self.case.first_response_at is None:
            self.case.first_response_at = self.at
            self.data["first_response"] = True


def writer_of(case: Case) -> Address | None:
    """The reporter's address on a vendor's channel, if the case came by one."""
    if case.channel == "email":  # anybody can state an address of mail; a vendor's own ids are its alone
        return None
    handle = case.contact.get(case.channel)
    return Address(case.channel, handle) if handle else None


Handler = Callable[[Desk, Any], Awaitable[Status | None]]
HANDLERS: dict[Action, tuple[type[BaseModel], Handler]] = {}


def action(name: Action, body: type[BaseModel]) -> Callable[[Handler], Handler]:
    """Register what an action does. A handler may return a status where the table leaves it to the case."""

    def register(handler: Handler) -> Handler:
        HANDLERS[name] = (body, handler)
        return handler

    return register


async def perform(
    session: AsyncSession,
    office: Office,
    actor: Actor,
    case_ref: str | UUID,
    name: Action,
    body: dict[str, Any],
    at: datetime,
    *,
    files: tuple[Stored, ...] = (),
    if_version: int | None = None,
    present: Callable[[Case], Awaitable[dict[str, Any]]] | None = None,
) -> Case:
    """Do one action as one person, in the caller's transaction.

    NotFound when the person may not see the case; NotAllowed and Conflict by the table; Stale when `if_version` is
    not the case's (with `present(case)` in the problem); Invalid when the body does not fit.
    """
    desk = await _sit_down(session, office, actor, case_ref, at)
    desk.files = files
    case = desk.case
    parts = parts_of(actor, case, desk.assignments)
    before = Status(case.status)
    if if_version is not None and if_version != case.version:
        raise Stale(
            "Phản ánh vừa được người khác thay đổi. Hãy xem bản mới rồi làm lại.",
            "Somebody changed this case first. Look at it again.",
            case=await present(case) if present else None,
        )
    after = states.step(
        before,
        name,
        parts,
        waiting_from=Status(case.waiting_from) if case.waiting_from else None,
        lead_lives=desk.heir is not None,
    )
    those = left_to(case, desk.book, await _above(desk, name)).get(name, parts)
    if not parts & those:
        raise _left_to_others(case, name, those)
    shape, handler = HANDLERS[name]
    given = _read(shape, body)
    was_restricted = case.restricted
    case.version += 1
    decided = await handler(desk, given)
    case.status = (decided or after).value
    if note := getattr(given, "note", None):
        desk.write("note", note)
    desk.clocks.keep(session)
    await session.flush()
    if case.restricted and not was_restricted:
        await waiting.withdraw_from_departments(session, case.id)
        await digests.redact(session, case.code)
    if (post := desk.unit_post) is not None:
        for limit in desk.clocks.found_late:  # the worker, who would have told of them, was not there in time
            await post.limit_reached(case, limit, 100)
    await _note(desk, name, before, was_restricted)
    for following, follow_body in desk.then:
        await perform(session, office, SYSTEM, case.id, following, follow_body, at)
    return case


async def _sit_down(session: AsyncSession, office: Office, actor: Actor, ref: str | UUID, at: datetime) -> Desk:
    code = read_code(ref) if isinstance(ref, str) else None
    statement = select(Case).where(Case.id == ref if isinstance(ref, UUID) else Case.code == code)
    if actor.kind in ("staff", "api_key"):
        statement = statement.where(visible_to(actor))
    case = (await session.exec(statement.with_for_update().execution_options(populate_existing=True))).first()
    if case is None:
        raise not_found()
    rows = (await session.exec(select(Assignment).where(Assignment.case_id == case.id))).all()
    book = office.routing.rulebook(case.rule_set_id)
    clocks = Clocks(case, await limits_of(session, case.id, lock=True), office.routing, book, at)
    return Desk(session, office, case, actor, at, book, clocks, list(rows))


def not_found() -> NotFound:
    """Unknown, hidden and mistyped look the same."""
    return NotFound("Không tìm thấy phản ánh này.", "No such case.")


def parts_of(actor: Actor, case: Case, assignments: list[Assignment]) -> frozenset[Part]:
    """What this person is to this case. On a restricted track only those who may know of it are anything."""
    if actor.kind == "citizen":
        return frozenset({Part.CITIZEN})
    if actor.kind == "system":
        return frozenset({Part.SYSTEM})
    if case.restricted:
        if not sees(actor, case):
            return frozenset()
        inspects = {Part.INSPECTOR} if Role.INSPECTOR in actor.roles else set()
        return frozenset(inspects | ({Part.HANDLER} if works_on_restricted(actor, case) else set()))
    parts = {Part(role.value) for role in actor.roles if role.value in set(Part)}
    for assignment in assignments:
        if assignment.ended_at is None and assignment.department in actor.departments:
            place = "lead" if assignment.role == "lead" else "supporting"
            parts |= {Part(f"{place}_{role.value}") for role in actor.roles if role in (Role.OFFICER, Role.HEAD)}
    return frozenset(parts)


class Above(NamedTuple):
    """What stands above the units: whether somebody of the leadership is there; more time asked for is theirs to give.

    Where nobody of them is there, the centre's supervisor decides in their place.
    """

    leaders: bool = True
    beyond: bool = False


def left_to(case: Case, book: Rulebook, above: Above) -> dict[Action, frozenset[Part]]:
    """Where the table names several parts, those that the rule set, or how the case stands, leaves it to.

    Inside a restricted track there are no others to leave it to.
    """
    if case.restricted:
        return {}
    named = {"head": frozenset({Part.LEAD_HEAD}), "centre": frozenset({Part.DISPATCHER})}
    deciding = frozenset({Part.LEADER} if above.leaders else {Part.LEADER, Part.SUPERVISOR})
    granting = deciding if above.beyond else named[book.extend.granted_by]
    return {
        Action.APPROVE_ANSWER: named[book.approve_by],
        Action.RETURN_ANSWER: named[book.approve_by],
        Action.DECIDE_DISPUTE: deciding,
        Action.GRANT_EXTENSION: granting,
        Action.DENY_EXTENSION: granting,
        # Given back too often it is the supervisor's to send on, and at other times it is not.
        Action.FORWARD: frozenset({Part.SUPERVISOR}) if case.needs_supervisor else states.CENTRE,
    }


async def _above(desk: Desk, name: Action) -> Above:
    """As far as this act asks."""
    if name not in (Action.DECIDE_DISPUTE, Action.GRANT_EXTENSION, Action.DENY_EXTENSION):
        return Above()
    row = (await desk.session.execute(_ABOVE, {"case": desk.case.id, "at": desk.at})).one()
    return Above(row.leaders, row.beyond)


_ABOVE = text(
    f"""
    SELECT {LEADERS} AS leaders,
           EXISTS (SELECT FROM extensions WHERE case_id = :case AND state = 'requested' AND beyond) AS beyond
    """  # noqa: S608 - a constant of cases.duty
)
_WHO = {
    Part.LEAD_HEAD: ("lãnh đạo đơn vị chủ trì", "head of the unit that leads"),
    Part.DISPATCHER: ("điều phối viên của trung tâm", "dispatcher"),
    Part.LEADER: ("lãnh đạo tỉnh", "leadership"),
    Part.SUPERVISOR: ("trưởng ca", "supervisor"),
}


def _left_to_others(case: Case, name: Action, those: frozenset[Part]) -> NotAllowed:
    """Whose decision it is instead."""
    if name == Action.FORWARD and case.needs_supervisor:
        return NotAllowed(
            f"Các đơn vị đã trả lại {case.give_backs} lần: chỉ trưởng ca được quyết định chuyển đi đâu.",
            f"Given back {case.give_backs} times: only the supervisor decides where it goes.",
        )
    if name == Action.FORWARD:
        return NotAllowed(
            "Chuyển đơn vị là việc của tổng đài viên và điều phối viên; trưởng ca chuyển khi phản ánh đã bị trả lại "
            "nhiều lần.",
            "Agents and dispatchers forward; the supervisor does once a case was given back too often.",
        )
    vi, en = (
        " hoặc ".join(_WHO[part][0] for part in sorted(those)),
        " or ".join(_WHO[part][1] for part in sorted(those)),
    )
    return NotAllowed(f"Việc này do {vi} quyết định.", f"This is left to the {en}.")


def offered(file: CaseFile, actor: Actor, book: Rulebook) -> list[Action]:
    """What this person may do now: the table's row, narrowed by the rule set and by what the case itself rules out."""
    case, parts = file.case, parts_of(actor, file.case, file.assignments)
    running = {(limit.stage, limit.holder) for limit in file.limits if not (limit.met_at or limit.cancelled_at)}
    pointless = set()
    if running.isdisjoint(("directive", department) for department in actor.departments):
        pointless.add(Action.ANSWER_DIRECTIVE)
    helping = [part for part in file.assignments if part.ended_at is None and part.role == "supporting"]
    if not helping:
        pointless.add(Action.RELEASE_SUPPORT)
    if not any(part.state == "open" and part.department in actor.departments for part in helping):
        pointless.add(Action.GIVE_BACK_SUPPORT)
    disputed = any(stage == "dispute" for stage, _ in running)
    pointless.add(Action.DISPUTE if disputed else Action.DECIDE_DISPUTE)
    if case.approved_at is not None:
        pointless |= {Action.APPROVE_ANSWER, Action.RETURN_ANSWER, Action.CONTRIBUTE}
    if case.published_at is None:
        pointless.add(Action.UNPUBLISH)
    if not case.public:
        pointless.add(Action.PUBLISH)
    if case.incident_id is None:
        pointless.add(Action.UNLINK_INCIDENT)
    if case.restricted and (case.track != CRIME_TIP or case.identity_revealed):
        pointless.add(Action.REVEAL_IDENTITY)
    waits = next((each for each in file.extensions if each.state == "requested"), None)
    if waits is None:
        pointless |= {Action.GRANT_EXTENSION, Action.DENY_EXTENSION}
    others = left_to(case, book, Above(file.leaders, waits is not None and waits.beyond))
    return [
        action
        for action in states.possible(Status(case.status), parts)
        if action not in pointless and parts & others.get(action, parts)
    ]


def _read(shape: type[BaseModel], body: dict[str, Any]) -> BaseModel:
    try:
        return shape.model_validate(body)
    except ValidationError as problem:
        raise invalid_body(problem) from None


def invalid_body(problem: ValidationError) -> Invalid:
    """A pydantic complaint as our own, without echoing what was sent."""
    told = complaints(problem.errors(include_url=False, include_input=False))
    return Invalid(
        f"Dữ liệu gửi lên chưa đúng. {sentence(told, 'detail')}",
        f"The input is not valid. {sentence(told, 'detail_en')}",
        errors=told,
    )


async def _note(desk: Desk, name: Action, before: Status, was_restricted: bool) -> None:
    """One journal row for the act; a second one when the case enters or leaves the restricted tracks."""
    case = desk.case
    data = {
        "code": case.code,
        "received_at": case.received_at.astimezone(UTC).isoformat(),
        "from": before.value,
        "to": case.status,
        "version": case.version,
        "dims": dims(case, desk.routing),
        "limits": desk.clocks.ops,
        **desk.data,
    }
    restricted = case.restricted or was_restricted
    await record(
        desk.session,
        f"case.{name.value}",
        at=desk.at,
        actor_kind=desk.actor.kind,
        actor_id=desk.actor.id,
        case_id=case.id,
        restricted=restricted,
        data=data,
    )
    if case.restricted != was_restricted:
        await desk.session.flush()  # the act before its consequence
        await record(
            desk.session,
            "case.withdrawn" if case.restricted else "case.restored",
            at=desk.at,
            actor_kind="system",
            case_id=case.id,
            data={"code": case.code},
        )
    await desk.session.flush()
