"""From a report to a case, in one statement: raw row, identity, citizen, case, entry, files, limit, receipt, journal.

Everything is worked out in Python first (code, decision, due time), then written by one statement (`cases.opening`)
that is a transaction of its own on the web's hot path, or part of the caller's transaction.
"""

import asyncio
import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from pydantic_core import to_json

from cases import replies
from cases.codes import make_code, tracking_key
from cases.limits import new_limit, opened_op
from cases.opening import OPEN_CASE, OPEN_CASE_OF_EVENT, OPEN_CASE_WITH_MORE, Arguments
from cases.wording import Words
from channels.message import Address
from core.errors import Invalid, Unavailable
from core.files import Stored
from core.ids import uuid7
from core.staff import CITIZEN, Actor
from routing.decide import Facts, decide
from routing.queries import Routing
from routing.recognising import recognise
from routing.tracks import RESTRICTED_TRACKS
from routing.working_time import due

PAGES = frozenset({"web", "app"})  # channels whose answers stand on the tracking page
NUMBERS_AT_ONCE = 32  # case numbers a process reserves at a time; a restart leaves at most this many unused


class Driver(Protocol):
    """What intake needs of a database connection: the driver's own, or its pool."""

    async def fetchrow(self, query: str, *args: Any) -> Any:
        """One row."""
        ...

    async def fetch(self, query: str, *args: Any) -> Any:
        """All rows."""
        ...


@dataclass(frozen=True, slots=True)
class Report:
    """A report whose members have been checked one by one, from any channel."""

    channel: str
    text: str
    field: str | None = None
    area: str | None = None
    lat: float | None = None
    lng: float | None = None
    address: str | None = None
    name: str | None = None
    phone: str | None = None
    email: str | None = None
    public: bool = True
    urgency: str | None = None
    kind: str | None = None
    files: tuple[Stored, ...] = ()
    sender: Address | None = None  # who wrote it, where the channel itself says so
    receipt: bool = True  # whether the sender is told the code; never a machine
    language: str | None = None  # vi or en, where it is known what the reporter reads

    @property
    def contact(self) -> dict[str, str]:
        """What is stated about the reporter, by name; their address on a vendor's channel stands under its scheme."""
        stated = {"email": self.email, "name": self.name, "phone": self.phone}
        if self.sender is not None:
            stated[self.sender.scheme] = self.sender.handle
            stated = dict(sorted(stated.items()))
        return {member: value for member, value in stated.items() if value}

    @property
    def identity(self) -> tuple[str, str] | tuple[None, None]:
        """The one address that says which citizen this is: the sender's, else the phone, else the mail stated."""
        if self.sender is not None:
            return self.sender.scheme, self.sender.handle
        if self.phone:
            return "phone", self.phone
        return ("email", self.email) if self.email else (None, None)

    def members(self) -> dict[str, Any]:
        """The parsed members as kept in the raw row, by name: the same report is told by the same bytes.

        Files stand there by the checksum of what was sent.
        """
        return {
            "channel": self.channel,
            "contact": self.contact,
            "field": self.field,
            "files": [[stored.name, stored.original_sha256] for stored in self.files],
            "kind": self.kind,
            "location": [self.lat, self.lng, self.address, self.area],
            "public": self.public,
            "text": self.text,
            "urgency": self.urgency,
        }


@dataclass(frozen=True, slots=True)
class Opened:
    """What the reporter is told: the code, its key, and the running limits."""

    case_id: UUID
    answer: dict[str, Any]
    restricted: bool = False
    replayed: bool = False


@dataclass(slots=True)
class CaseNumbers:
    """Numbers for case codes from the one sequence, reserved in small blocks per process."""

    _free: list[int] = field(default_factory=list)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def take(self, driver: Driver) -> int:
        """The next number."""
        if self._free:
            return self._free.pop()
        async with self._lock:
            if not self._free:  # another may have brought some meanwhile
                rows = await driver.fetch(
                    "SELECT nextval('case_numbers') AS n FROM generate_series(1, $1)", NUMBERS_AT_ONCE
                )
                self._free = sorted((int(row["n"]) for row in rows), reverse=True)
            return self._free.pop()


@dataclass(frozen=True, slots=True)
class IntakeDesk:
    """What opening a case needs of its process."""

    routing: Routing
    numbers: CaseNumbers
    prefix: str
    secret: bytes
    site: str = ""  # address of our pages, for links in messages
    language: str = "vi"  # of reporters who name none

    @property
    def words(self) -> Words:
        """The sentences to citizens as they are worded now."""
        return Words(self.routing.wordings, self.site)

    @property
    def mode(self) -> str:
        """The centre's mode, which cases opened now keep."""
        return self.routing.mode


async def open_case(
    driver: Driver,
    desk: IntakeDesk,
    report: Report,
    *,
    key: str,
    at: datetime,
    actor: Actor = CITIZEN,
    account: str = "centre",
    citizen_id: UUID | None = None,
    split_from: tuple[UUID, UUID] | None = None,
) -> Opened:
    """Open the case of a report, once per (channel, account, key): the same report again gives the same answer.

    Another report under a used key is Invalid (422). A twin that arrives while the first is being written waits for
    it. `citizen_id` names a known person instead of the contact given; `split_from` the case it is split from and the
    one whose tracking key opens it.
    """
    statement, arguments, opened = prepare(
        desk,
        report,
        await desk.numbers.take(driver),
        key=key,
        at=at,
        actor=actor,
        account=account,
        citizen_id=citizen_id,
        split_from=split_from,
    )
    if await driver.fetchrow(statement, *arguments) is not None:
        return opened
    kept = await driver.fetch(
        "SELECT fingerprint, subject_id, answer FROM received WHERE channel = $1 AND account = $2 AND external_id = $3",
        report.channel,
        account,
        key,
    )
    first = kept[0] if kept else None
    if first is None or first["subject_id"] is None:  # the first one vanished between our two statements
        raise Unavailable(
            "Vui lòng gửi lại sau giây lát.", "Please send again in a moment.", headers={"Retry-After": "1"}
        )
    if first["fingerprint"] != _kept(report)[1]:
        raise Invalid(
            "Khóa Idempotency-Key này đã dùng cho một phản ánh khác. Hãy dùng khóa mới cho nội dung mới.",
            "This Idempotency-Key was used for another report. Use a new key for new content.",
            errors=[{"where": "Idempotency-Key", "detail": "đã dùng cho nội dung khác", "code": "key_reused"}],
        )
    # The bare pool gives JSON as text; a connection lent by the session has it read already. Its members stand in an
    # order of the database's own.
    answer = json.loads(first["answer"]) if isinstance(first["answer"], str) else first["answer"]
    by_name = json.loads(json.dumps(answer, sort_keys=True))
    told = {**by_name, "tracking_key": tracking_key(desk.secret, first["subject_id"], 1)}
    return Opened(first["subject_id"], told, replayed=True)


async def is_known(driver: Driver, channel: str, account: str, key: str) -> bool:
    """Whether a report has come under this key: sending it again opens no case."""
    return bool(
        await driver.fetch(
            "SELECT 1 FROM received WHERE channel = $1 AND account = $2 AND external_id = $3", channel, account, key
        )
    )


def prepare(
    desk: IntakeDesk,
    report: Report,
    number: int,
    *,
    key: str,
    at: datetime,
    actor: Actor = CITIZEN,
    account: str = "centre",
    citizen_id: UUID | None = None,
    split_from: tuple[UUID, UUID] | None = None,
    received: UUID | None = None,
) -> tuple[str, Arguments, Opened]:
    """The statement that writes the report with its arguments, and what the reporter is told.

    `received` is the raw row of a vendor's event, which is there already and becomes this case's.
    """
    raw, fingerprint = _kept(report)
    routing, dated = desk.routing, desk.routing.at(at)
    book = dated.book
    case_id, entry_id, receipt_id = uuid7(at), uuid7(at), uuid7(at)
    local = at.astimezone(book.calendar.zone)
    received_at = local.isoformat()
    code = make_code(desk.prefix, local.year, number)
    words, language = desk.words, report.language or desk.language
    area, candidates = _place(routing, report, local.date())
    defaults = book.defaults(report.field)
    seems = book.detect_track(report.text, report.field, report.channel)
    restricted = seems in RESTRICTED_TRACKS
    # Who may lose by a delay is hidden at once; any other track changes limits only when a person says so.
    track = seems if restricted else "ordinary"
    suggested = None if seems == track else seems
    urgency, kind = report.urgency or defaults.urgency, report.kind or defaults.kind
    facts = Facts(
        received_at=at,
        field=report.field,
        urgency=urgency,
        kind=kind,
        track=track,
        area=area,
        channel=report.channel,
        mode=desk.mode,
        competence_clear=report.field is not None,
    )
    decision = decide(facts, book)
    centre = routing.directory.centre
    forward, resolve = decision.limit("forward"), decision.limit("resolve")
    if forward is None:
        raise Unavailable("Bộ quy tắc thiếu hạn chuyển.", "The rule set has no forward limit for these facts.")
    limit = new_limit(case_id, "forward", centre, forward.amount, at, routing, book)
    promised = None
    if resolve is not None and not restricted:
        promised = due(at, resolve.amount, routing.calendar_of(decision.lead, book), day_end=book.day_end)
    handle = report.identity
    also = report.email if report.email and handle[0] != "email" else None
    answer = {  # members by name, as when it is told again
        "code": code,
        "limits": [
            {
                "breached_at": None,
                "clock": limit.clock,
                "due_at": limit.due_at.astimezone(local.tzinfo).isoformat(),
                "holder": centre,
                "met_at": None,
                "opened_at": received_at,
                "stage": "forward",
            }
        ],
        "promised_at": promised.isoformat() if promised else None,
        "received_at": received_at,
        "status": "received",
    }
    journal = {
        "code": code,
        "received_at": at.isoformat(),
        "from": None,
        "to": "received",
        "version": 1,
        "dims": {"department": centre, "field": report.field or "", "channel": report.channel, "area": area or ""},
        "limits": [opened_op(limit)],
        "track": track,
        "urgency": urgency,
        "kind": kind,
        "mode": desk.mode,
        "rule_set": f"{book.code} v{book.version}",
        "rules": decision.rules,
    }
    if suggested is not None:
        journal["suggested_track"] = suggested
    key_of = split_from[1] if split_from else case_id
    arguments = (  # in the order of `cases.opening`
        received or uuid7(at),
        report.channel,
        account,
        key,
        at,
        raw,
        fingerprint,
        case_id,
        _json(answer),
        handle[0],
        handle[1],
        uuid7(at) if handle[1] else None,
        citizen_id or (uuid7(at) if handle[1] else None),
        citizen_id is None and handle[1] is not None,
        also,
        uuid7(at) if also else None,
        code,
        track,
        restricted,
        urgency,
        kind,
        desk.mode,
        _json(report.contact),
        report.text,
        report.field,
        area,
        _json(candidates),
        report.lat,
        report.lng,
        report.address,
        dated.id,
        decision.kept,
        promised,
        report.public and not restricted,
        entry_id,
        actor.kind,
        actor.id,
        limit.id,
        limit.holder,
        limit.clock,
        limit.amount,
        limit.unit,
        limit.calendar,
        limit.due_at,
        limit.next_at,
        receipt_id,
        words.say(replies.receipt(local), code, channel=report.channel, language=language) if report.receipt else None,
        _json(journal),
        key_of,
        *_receipt_to(report, code),
        language,
        words.title("receipt", code, language),
        suggested,
    )
    told = {**answer, "tracking_key": tracking_key(desk.secret, key_of, 1)}
    if received is not None:
        return OPEN_CASE_OF_EVENT, arguments, Opened(case_id, told, restricted)
    if not report.files and split_from is None:
        return OPEN_CASE, arguments, Opened(case_id, told, restricted)
    more = (
        [stored.id for stored in report.files],
        [stored.name for stored in report.files],
        [stored.media_type for stored in report.files],
        [stored.size for stored in report.files],
        [stored.sha256 for stored in report.files],
        [stored.original_sha256 for stored in report.files],
        [stored.width for stored in report.files],
        [stored.height for stored in report.files],
        split_from[0] if split_from else None,
    )
    return OPEN_CASE_WITH_MORE, (*arguments, *more), Opened(case_id, told, restricted)


def _kept(report: Report) -> tuple[str, bytes]:
    """The report as the raw row keeps it, and the fingerprint by which it is known again."""
    raw = to_json(report.members())
    return raw.decode(), hashlib.sha256(raw).digest()


def _place(routing: Routing, report: Report, on: Any) -> tuple[str | None, list[dict[str, Any]]]:
    """The area if it is beyond doubt, and the candidates a person chooses from."""
    if report.area is not None:
        return report.area, []
    found = recognise(report.text, routing.places, on, report.lat, report.lng)
    if found.definite is None and report.address:
        by_address = recognise(report.address, routing.places, on, report.lat, report.lng)
        if by_address.definite is not None or not found.candidates:
            found = by_address
    return found.definite, [
        {"code": place.code, "name": place.name, "type": place.type, "parent": place.parent, "score": round(score, 2)}
        for place, score in ((routing.places.get(code), score) for code, score in found.candidates)
        if place is not None
    ]


def _receipt_to(report: Report, code: str) -> tuple[str, str] | tuple[None, None]:
    """Where the receipt goes: back to who wrote, or onto the tracking page; nowhere for cases the centre enters."""
    if report.sender is not None:
        return report.sender.scheme, report.sender.handle
    return ("tracking", code) if report.channel in PAGES else (None, None)


def _json(value: object) -> str:
    return to_json(value).decode()
