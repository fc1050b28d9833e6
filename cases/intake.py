"""From a report to a case, in one statement: raw row, identity, citizen, case, entry, files, limit, receipt, journal.

Everything is worked out in Python first (code, decision, due time), then written by one statement that is a
transaction of its own on the web's hot path, or part of the caller's transaction. Written as SQL because the ORM costs
many times the processor time here (docs/decisions); this is its one place.
"""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from pydantic_core import to_json

from cases import replies
from cases.codes import make_code, tracking_key
from cases.limits import new_limit, opened_op
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
CASE_ID, IDENTITY = 7, slice(9, 11)  # where they stand among the arguments of the statement
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
        """What is stated about the reporter; their address on a vendor's channel stands under its scheme."""
        stated = {"name": self.name, "phone": self.phone, "email": self.email}
        if self.sender is not None:
            stated[self.sender.scheme] = self.sender.handle
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
        """The parsed members as kept in the raw row; files by the checksum of what was sent."""
        return {
            "channel": self.channel,
            "text": self.text,
            "field": self.field,
            "location": [self.lat, self.lng, self.address, self.area],
            "contact": self.contact,
            "public": self.public,
            "urgency": self.urgency,
            "kind": self.kind,
            "files": [[stored.name, stored.original_sha256] for stored in self.files],
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
        async with self._lock:
            if not self._free:
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
    # The bare pool gives JSON as text; a connection lent by the session has it read already.
    answer = json.loads(first["answer"]) if isinstance(first["answer"], str) else dict(first["answer"])
    answer["tracking_key"] = tracking_key(desk.secret, first["subject_id"], 1)
    return Opened(first["subject_id"], answer, replayed=True)


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
) -> tuple[str, Sequence[Any], Opened]:
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
    answer = {
        "code": code,
        "status": "received",
        "received_at": received_at,
        "promised_at": promised.isoformat() if promised else None,
        "limits": [
            {
                "stage": "forward",
                "clock": limit.clock,
                "holder": centre,
                "opened_at": received_at,
                "due_at": limit.due_at.astimezone(local.tzinfo).isoformat(),
                "met_at": None,
                "breached_at": None,
            }
        ],
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
    arguments = (
        received or uuid7(at),  # 1 received.id
        report.channel,
        account,
        key,
        at,
        raw,
        fingerprint,
        case_id,
        _json(answer),
        # identity: 10
        handle[0],
        handle[1],
        uuid7(at) if handle[1] else None,
        citizen_id or (uuid7(at) if handle[1] else None),
        citizen_id is None and handle[1] is not None,
        also,
        uuid7(at) if also else None,
        # case: 17
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
        # entry: 35
        entry_id,
        actor.kind,
        actor.id,
        # limit: 38
        limit.id,
        limit.holder,
        limit.clock,
        limit.amount,
        limit.unit,
        limit.calendar,
        limit.due_at,
        limit.next_at,
        # receipt: 46
        receipt_id,
        words.say(replies.receipt(local), code, channel=report.channel, language=language) if report.receipt else None,
        # journal: 48
        _json(journal),
        key_of,  # 49
        *_receipt_to(report, code),  # 50
        language,  # 52
        words.title("receipt", code, language),
        suggested,  # 54
    )
    told = {**answer, "tracking_key": tracking_key(desk.secret, key_of, 1)}
    if received is not None:
        return OPEN_CASE_OF_EVENT, arguments, Opened(case_id, told, restricted)
    if not report.files and split_from is None:
        return OPEN_CASE, arguments, Opened(case_id, told, restricted)
    more = (
        # files: 55
        [stored.id for stored in report.files],
        [stored.name for stored in report.files],
        [stored.media_type for stored in report.files],
        [stored.size for stored in report.files],
        [stored.sha256 for stored in report.files],
        [stored.original_sha256 for stored in report.files],
        [stored.width for stored in report.files],
        [stored.height for stored in report.files],
        split_from[0] if split_from else None,  # 63
    )
    return OPEN_CASE_WITH_MORE, (*arguments, *more), Opened(case_id, told, restricted)


def _kept(report: Report) -> tuple[str, bytes]:
    """The report as the raw row keeps it, and the fingerprint by which it is known again."""
    raw = _sorted_json(report.members())
    return raw, hashlib.sha256(raw.encode()).digest()


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


_sorted_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


_RAW = """
WITH raw AS (
    INSERT INTO received (id, channel, account, external_id, received_at, raw, fingerprint, subject_id, answer)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (channel, account, external_id) DO NOTHING
    RETURNING received_at AS at
)"""
_EVENT = """
WITH raw AS (
    UPDATE received SET fingerprint = $7, subject_id = $8, answer = $9
    WHERE id = $1 AND channel = $2 AND account = $3 AND external_id = $4 AND subject_id IS NULL
        AND $6::varchar IS NOT NULL
    RETURNING $5::timestamptz AS at
)"""
_CASE = """, who AS (
    INSERT INTO identities AS i (id, citizen_id, scheme, handle, seen_at)
    SELECT $12, $13, $10, $11, at FROM raw WHERE $14
    ON CONFLICT (scheme, handle) DO UPDATE SET seen_at = greatest(i.seen_at, excluded.seen_at)
    RETURNING citizen_id
), person AS (
    INSERT INTO citizens (id, created_at)
    SELECT citizen_id, at FROM who, raw WHERE citizen_id = $13 AND $14
), also AS (
    INSERT INTO identities (id, citizen_id, scheme, handle, seen_at)
    SELECT $16, citizen_id, 'email', $15, at FROM who, raw WHERE $15::varchar IS NOT NULL
    ON CONFLICT (scheme, handle) DO NOTHING
), opened AS (
    INSERT INTO cases (
        id, code, version, status, track, track_confirmed, restricted, urgency, kind, mode, channel, received_at,
        created_at, citizen_id, contact, identity_revealed, key_of, key_version, text, field, area, area_candidates,
        lat, lng, address, rule_set_id, decision, promised_at, give_backs, needs_supervisor, chased, public,
        next_due_at, next_stage, next_holder, language, suggested_track
    )
    SELECT $8, $17, 1, 'received', $18, false, $19, $20, $21, $22, $2, at,
        at, coalesce((SELECT citizen_id FROM who), $13), $23, false, $49, 1, $24, $25, $26, $27, $28, $29,
        $30, $31, $32, $33, 0, false, 0, $34, $44, 'forward', $39, $52, $54
    FROM raw
), said AS (
    INSERT INTO entries (id, case_id, kind, author_kind, author_id, text, to_citizen, created_at)
    SELECT $35, $8, 'report', $36, $37, $24, true, at FROM raw
), clock AS (
    INSERT INTO limits (id, case_id, stage, holder, clock, amount, unit, calendar, opened_at, due_at, next_at)
    SELECT $38, $8, 'forward', $39, $40, $41, $42, $43, at, $44, $45 FROM raw
), receipt AS (
    INSERT INTO outgoing (
        id, subject_id, entry_id, purpose, channel, scheme, handle, text, reference, title, state, created_at, run_at
    )
    SELECT $46, $8, $35, 'receipt', $2, $50, $51, $47, $17, $53, 'queued', at, at FROM raw
    WHERE $47::varchar IS NOT NULL AND $50::varchar IS NOT NULL
), noted AS (
    INSERT INTO journal (kind, case_id, actor_kind, actor_id, occurred_at, restricted, data)
    SELECT 'case.open', $8, $36, $37, at, $19, $48 FROM raw
)
"""
_MORE = """, files AS (
    INSERT INTO attachments (
        id, case_id, entry_id, name, media_type, size, sha256, original_sha256, width, height, created_at
    )
    SELECT f.*, raw.at FROM raw, (
        SELECT a.id, $8::uuid, $35::uuid, a.name, a.media_type, a.size, a.sha256, a.original, a.width, a.height
        FROM unnest($55::uuid[], $56::text[], $57::text[], $58::int[], $59::text[], $60::text[], $61::int[], $62::int[])
            AS a (id, name, media_type, size, sha256, original, width, height)
    ) f
), tie AS (
    INSERT INTO case_links (case_id, other_id, kind, at)
    SELECT $63::uuid, $8, 'split', at FROM raw WHERE $63::uuid IS NOT NULL
)
"""
_NEW = "SELECT $8 AS new FROM raw"
OPEN_CASE = _RAW + _CASE + _NEW
OPEN_CASE_OF_EVENT = _EVENT + _CASE + _NEW
OPEN_CASE_WITH_MORE = _RAW + _CASE + _MORE + _NEW  # files or another case it was split from, which few reports have
