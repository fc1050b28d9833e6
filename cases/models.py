"""Tables of cases and the people who report them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, String, Uuid, text
from sqlalchemy import Identity as DbIdentity
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR
from sqlmodel import Field, SQLModel

from core.db import Moment

# Written the same in indexes and queries, or the planner does not know that the one serves the other.
IS_OPEN = "status IN ('received', 'forwarded', 'in_progress', 'waiting_citizen', 'answered')"
SET_ASIDE = "status IN ('refused', 'redirected', 'merged', 'spam')"  # few among many
IS_OVER = f"NOT ({IS_OPEN})"
DUE = "coalesce(next_due_at, 'infinity'::timestamptz)"  # what is due never comes last
TRACKED = "track <> 'ordinary'"
FLAGGED = "needs_supervisor OR give_backs > 0"
BADLY_RATED = "rating <= 2"
STATED_PHONE = "channel IN ('zalo', 'facebook', 'telegram') AND (contact ->> 'phone') IS NOT NULL"
# Clocks of what stands above the units' own work: orders of the leadership, disputes.
ABOVE = "stage IN ('directive', 'dispute') AND met_at IS NULL AND cancelled_at IS NULL"
# Clocks that should have a next turn and have none: they could not be counted.
STUCK = (
    "next_at IS NULL AND due_at IS NOT NULL AND met_at IS NULL AND cancelled_at IS NULL "
    "AND (breached_at IS NULL OR reminded < 100)"
)
HANDED = "handed"  # a part in a case that passed to the heir of an abolished department
STATED_EMAIL = "(contact ->> 'phone') IS NOT NULL AND (contact ->> 'email') IS NOT NULL"


class Citizen(SQLModel, table=True):
    """A person who reports, known by identities; the row itself holds nothing about them."""

    __tablename__ = "citizens"
    __table_args__ = (
        Index("ix_citizens_merged_into", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
    )

    id: UUID = Field(primary_key=True)
    created_at: datetime = Field(sa_type=Moment)
    preferred_channel: str | None = None  # on which they want to be answered; NULL: where they wrote
    preferred_at: datetime | None = Field(default=None, sa_type=Moment)  # when they said so: the newest counts
    # The one citizen that stands for all who are the same person, never itself merged: kept by cases.merging alone.
    merged_into: UUID | None = Field(default=None, foreign_key="citizens.id")


class Identity(SQLModel, table=True):
    """One handle of a citizen: phone in E.164, e-mail, Zalo id… Its upsert is the per-sender lock of intake."""

    __tablename__ = "identities"
    __table_args__ = (Index("uq_identities_scheme_handle", "scheme", "handle", unique=True),)

    id: UUID = Field(primary_key=True)
    citizen_id: UUID = Field(foreign_key="citizens.id", index=True)
    scheme: str
    handle: str
    seen_at: datetime = Field(sa_type=Moment)
    stopped_at: datetime | None = Field(default=None, sa_type=Moment)  # they want no messages there (STOP, unfollowed)
    unreachable_at: datetime | None = Field(default=None, sa_type=Moment)  # the vendor says nothing arrives there
    unreachable_why: str | None = None


class Case(SQLModel, table=True):
    """One matter of one report. Status changes only through cases.states; history is the journal."""

    __tablename__ = "cases"
    __table_args__ = (
        Index("ix_cases_received_at_id", "received_at", "id"),
        Index("ix_cases_lead_received_at_id", "lead", "received_at", "id", postgresql_where=text("lead IS NOT NULL")),
        # Apart from those of open cases, or a long past would be looked through for what is at work.
        Index(
            "ix_cases_done_units",
            "units",
            postgresql_using="gin",
            postgresql_where=text(f"{IS_OVER} AND units <> '{{}}'"),
        ),
        Index("ix_cases_published_at", "published_at", "id", postgresql_where=text("published_at IS NOT NULL")),
        Index("ix_cases_published_received", "received_at", "id", postgresql_where=text("published_at IS NOT NULL")),
        Index("ix_cases_citizen_id", "citizen_id", postgresql_where=text("citizen_id IS NOT NULL")),
        Index(
            "ix_cases_officer_id_received_at_id",
            "officer_id",
            "received_at",
            "id",
            postgresql_where=text("officer_id IS NOT NULL"),
        ),
        Index(
            "ix_cases_field_received_at_id", "field", "received_at", "id", postgresql_where=text("field IS NOT NULL")
        ),
        Index("ix_cases_area_received_at_id", "area", "received_at", "id", postgresql_where=text("area IS NOT NULL")),
        Index("ix_cases_replied_at_id", "replied_at", "id", postgresql_where=text("replied_at IS NOT NULL")),
        Index("ix_cases_ended_at_id", "ended_at", "id", postgresql_where=text("ended_at IS NOT NULL")),
        Index("ix_cases_set_aside", "status", "received_at", "id", postgresql_where=text(SET_ASIDE)),
        Index("ix_cases_badly_rated", "received_at", "id", postgresql_where=text(BADLY_RATED)),
        Index("ix_cases_incident_id", "incident_id", postgresql_where=text("incident_id IS NOT NULL")),
        # The queues: what is at work, soonest due first. They stay small however many cases there are.
        Index("ix_cases_open_due", text(DUE), "id", postgresql_where=text(IS_OPEN)),
        Index("ix_cases_open_status_due", "status", text(DUE), "id", postgresql_where=text(IS_OPEN)),
        Index(
            "ix_cases_open_lead_due",
            "lead",
            text(DUE),
            "id",
            postgresql_where=text(f"{IS_OPEN} AND lead IS NOT NULL"),
        ),
        Index(
            "ix_cases_open_officer_due",
            "officer_id",
            text(DUE),
            "id",
            postgresql_where=text(f"{IS_OPEN} AND officer_id IS NOT NULL"),
        ),
        Index("ix_cases_open_flagged", text(DUE), "id", postgresql_where=text(f"{IS_OPEN} AND ({FLAGGED})")),
        Index(
            "ix_cases_open_units",
            "units",
            postgresql_using="gin",
            postgresql_where=text(f"{IS_OPEN} AND units <> '{{}}'"),
        ),
        Index("ix_cases_publish_due", text(DUE), "id", postgresql_where=text("next_stage = 'publish'")),
        Index("ix_cases_close_after", "close_after", postgresql_where=text("status = 'replied'")),
        Index("ix_cases_restricted", "received_at", "id", postgresql_where=text("restricted")),
        # What somebody stated about themselves that does not say who they are: sought by cases.likeness.
        Index("ix_cases_stated_phone", text("(contact ->> 'phone')"), postgresql_where=text(STATED_PHONE)),
        Index("ix_cases_stated_email", text("(contact ->> 'email')"), postgresql_where=text(STATED_EMAIL)),
        # Tracks that a text suggests and nobody has confirmed.
        Index("ix_cases_suggested_track", "received_at", "id", postgresql_where=text("suggested_track IS NOT NULL")),
        # The queues of the tracks that are nobody's secret: few at work among all that is.
        Index("ix_cases_open_track", "track", text(DUE), "id", postgresql_where=text(f"{IS_OPEN} AND {TRACKED}")),
        CheckConstraint("(track IN ('complaint', 'denunciation', 'crime_tip')) = restricted", name="restricted"),
        CheckConstraint("competence IN ('clear', 'unclear')", name="competence"),
        CheckConstraint("restricted OR accused_units = '{}'", name="accused"),
        CheckConstraint("restricted OR accused_staff = '{}'", name="accused_staff"),
        CheckConstraint("NOT restricted OR num_nonnulls(public_text, published_at) = 0", name="never_published"),
        CheckConstraint("(handed_over_to IS NULL) = (handed_over_at IS NULL)", name="handed_over"),
    )

    id: UUID = Field(primary_key=True)
    code: str = Field(unique=True)
    version: int = 1
    status: str
    track: str
    track_confirmed: bool = False
    suggested_track: str | None = None  # what the text seems to be, without effect until a person says so
    restricted: bool = False
    urgency: str
    kind: str
    mode: str
    channel: str
    received_at: datetime = Field(sa_type=Moment)
    created_at: datetime = Field(sa_type=Moment)
    citizen_id: UUID | None = Field(default=None, foreign_key="citizens.id")
    contact: dict[str, str] = Field(default_factory=dict, sa_type=JSONB)  # name, phone, email as stated here
    identity_revealed: bool = False
    key_of: UUID  # the case whose id the tracking key derives from: its own, or that of the report it was split from
    key_version: int = 1
    language: str = Field(default="vi", sa_column_kwargs={"server_default": "vi"})  # what the reporter reads: vi | en
    text: str
    field: str | None = Field(default=None, foreign_key="fields.code")
    area: str | None = Field(default=None, foreign_key="areas.code")
    area_candidates: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)
    lat: float | None = None
    lng: float | None = None
    address: str | None = None
    lead: str | None = Field(default=None, foreign_key="departments.code")
    units: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(String), nullable=False, server_default="{}"))
    officer_id: UUID | None = Field(default=None, foreign_key="staff.id")
    rule_set_id: UUID = Field(foreign_key="rule_sets.id")
    decision: dict[str, Any] = Field(sa_type=JSONB)  # suggested lead, supporting, rules matched
    promised_at: datetime | None = Field(default=None, sa_type=Moment)
    # The clock that runs out next: a copy kept by cases.limits, so that queues need no join. None: nothing is running.
    next_due_at: datetime | None = Field(default=None, sa_type=Moment)
    next_stage: str | None = None
    next_holder: str | None = None
    waiting_from: str | None = None
    give_backs: int = 0
    needs_supervisor: bool = False
    chased: int = 0
    public: bool = True  # the citizen agrees to publication
    public_text: str | None = None
    published_at: datetime | None = Field(default=None, sa_type=Moment)
    answer_id: UUID | None = None  # entry of the answer that stands
    approved_at: datetime | None = Field(default=None, sa_type=Moment)
    first_response_at: datetime | None = Field(default=None, sa_type=Moment)
    replied_at: datetime | None = Field(default=None, sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)
    close_after: datetime | None = Field(default=None, sa_type=Moment)
    rating: int | None = None
    merged_into: UUID | None = Field(default=None, foreign_key="cases.id")
    incident_id: UUID | None = Field(default=None, foreign_key="cases.id")
    # Facts that people state for the rules; NULL: not said.
    competence: str | None = None  # clear | unclear
    asset_owner: str | None = None
    road_class: str | None = None
    flags: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(String), nullable=False, server_default="{}"))
    # Departments a restricted case is about: nobody who works for one of them knows of it.
    accused_units: list[str] = Field(
        default_factory=list, sa_column=Column(ARRAY(String), nullable=False, server_default="{}")
    )
    # The same of persons, whatever else they are here.
    accused_staff: list[UUID] = Field(
        default_factory=list, sa_column=Column(ARRAY(Uuid), nullable=False, server_default="{}")
    )
    handed_over_to: str | None = None  # 113, 114 or 115 has the emergency; the case goes on
    handed_over_at: datetime | None = Field(default=None, sa_type=Moment)


class CaseLook(SQLModel, table=True):
    """Somebody looked at a restricted case. Only ever added; no foreign key, so that nothing ties its hands."""

    __tablename__ = "case_looks"
    __table_args__ = (
        Index("ix_case_looks_case_id_id", "case_id", "id"),
        Index("ix_case_looks_staff_id_id", "staff_id", "id"),
        CheckConstraint("num_nonnulls(staff_id, api_key_id) = 1", name="one_looker"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, DbIdentity(always=True), primary_key=True))
    case_id: UUID
    staff_id: UUID | None = None
    api_key_id: UUID | None = None
    what: str
    at: datetime = Field(sa_type=Moment)


class Entry(SQLModel, table=True):
    """A line of the case's conversation. Lines `to_citizen` are what the reporter reads."""

    __tablename__ = "entries"
    __table_args__ = (
        Index("ix_entries_case_id", "case_id", "id"),
        Index("ix_entries_album", "album", postgresql_where=text("album IS NOT NULL")),
    )

    id: UUID = Field(primary_key=True)
    case_id: UUID = Field(foreign_key="cases.id")
    kind: str  # report, message, note, reason, question, progress, answer, contribution, notice, task, order, dispute
    author_kind: str
    author_id: UUID | None = None
    text: str
    to_citizen: bool = False
    created_at: datetime = Field(sa_type=Moment)
    album: str | None = None  # of the vendor's message this is a line of, whose files come one by one


class Assignment(SQLModel, table=True):
    """A department's part in a case."""

    __tablename__ = "assignments"
    __table_args__ = (
        Index("ix_assignments_case_id", "case_id"),
        Index(
            "uq_assignments_one_lead",
            "case_id",
            unique=True,
            postgresql_where=text("role = 'lead' AND ended_at IS NULL"),
        ),
        Index(
            "uq_assignments_one_place",
            "case_id",
            "department",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: UUID = Field(primary_key=True)
    case_id: UUID = Field(foreign_key="cases.id")
    department: str = Field(foreign_key="departments.code")
    role: str  # lead | supporting
    state: str  # open, accepted, contributed, answered, given_back, recalled, released, overruled, handed
    opened_at: datetime = Field(sa_type=Moment)
    accepted_at: datetime | None = Field(default=None, sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)
    task_id: UUID | None = Field(default=None, foreign_key="entries.id")  # what a supporting unit was asked to do
    asked_by: UUID | None = Field(default=None, foreign_key="staff.id")


class Limit(SQLModel, table=True):
    """A running or finished clock of a case, charged to its holder: a projection of the journal."""

    __tablename__ = "limits"
    __table_args__ = (
        Index("ix_limits_case_id", "case_id"),
        Index(
            "uq_limits_one_open",
            "case_id",
            "holder",
            "stage",
            unique=True,
            postgresql_where=text("met_at IS NULL AND cancelled_at IS NULL"),
        ),
        Index("ix_limits_next_at", "next_at", postgresql_where=text("next_at IS NOT NULL")),
        Index("ix_limits_recount", "calendar", "id", postgresql_where=text("clock = 'working'")),
        Index(
            "ix_limits_breached",  # who was late in a period: over after it began, late before it ended
            text("COALESCE(met_at, cancelled_at, 'infinity'::timestamptz)"),
            "breached_at",
            postgresql_where=text("breached_at IS NOT NULL"),
        ),
        Index(
            "ix_limits_late",
            "due_at",
            postgresql_where=text("met_at IS NULL AND cancelled_at IS NULL"),
        ),
        Index("ix_limits_above", "stage", "case_id", postgresql_where=text(ABOVE)),
        Index("ix_limits_stuck", "id", postgresql_where=text(STUCK)),
    )

    id: UUID = Field(primary_key=True)
    case_id: UUID = Field(sa_column=Column(ForeignKey("cases.id"), nullable=False))
    stage: str
    holder: str
    clock: str  # working | calendar
    amount: int
    unit: str  # min | h | d
    calendar: str
    opened_at: datetime = Field(sa_type=Moment)
    due_at: datetime | None = Field(sa_type=Moment)  # NULL while stopped
    met_at: datetime | None = Field(default=None, sa_type=Moment)
    cancelled_at: datetime | None = Field(default=None, sa_type=Moment)
    breached_at: datetime | None = Field(default=None, sa_type=Moment)
    moved_to: datetime | None = Field(default=None, sa_type=Moment)  # set by an extension
    stopped_at: datetime | None = Field(default=None, sa_type=Moment)
    stops: list[list[str]] = Field(default_factory=list, sa_column=Column(JSONB, nullable=False, server_default="[]"))
    reminded: int = Field(default=0, sa_column_kwargs={"server_default": "0"})  # per cent last reminded at
    next_at: datetime | None = Field(default=None, sa_type=Moment)  # next reminder or breach
    handed_from: str | None = None  # who had it before the present holder, who took it over as it stood


class LimitRecount(SQLModel, table=True):
    """A limit that was counted again after its calendar was changed: once for each change. The old due time stays."""

    __tablename__ = "limit_recounts"
    __table_args__ = (Index("uq_limit_recounts_limit_id_change_id", "limit_id", "change_id", unique=True),)

    id: UUID = Field(primary_key=True)
    limit_id: UUID = Field(foreign_key="limits.id")
    change_id: int = Field(sa_column=Column(BigInteger, ForeignKey("calendar_changes.id"), nullable=False))
    was_due: datetime = Field(sa_type=Moment)
    due: datetime = Field(sa_type=Moment)
    was_breached: bool
    now_breached: bool
    by: UUID | None = None
    at: datetime = Field(sa_type=Moment)


class Extension(SQLModel, table=True):
    """A request for more time and what became of it."""

    __tablename__ = "extensions"
    __table_args__ = (
        Index("uq_extensions_one_open", "case_id", unique=True, postgresql_where=text("state = 'requested'")),
        Index("ix_extensions_case_id", "case_id"),
    )

    id: UUID = Field(primary_key=True)
    case_id: UUID = Field(foreign_key="cases.id")
    department: str
    until: datetime = Field(sa_type=Moment)
    reason: str
    state: str = "requested"  # requested, granted, denied; withdrawn: the unit has the case no more, or has answered
    beyond: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})  # above the unit to grant
    requested_by: UUID
    requested_at: datetime = Field(sa_type=Moment)
    decided_by: UUID | None = None
    decided_at: datetime | None = Field(default=None, sa_type=Moment)


class Rating(SQLModel, table=True):
    """The citizen's judgement of an answer; a later one replaces the earlier in the case, both stay here."""

    __tablename__ = "ratings"
    __table_args__ = (
        Index("ix_ratings_case_id", "case_id", "at"),
        CheckConstraint("rating BETWEEN 1 AND 5", name="one_to_five"),
    )

    id: UUID = Field(primary_key=True)
    case_id: UUID = Field(foreign_key="cases.id")
    rating: int
    text: str | None = None
    at: datetime = Field(sa_type=Moment)


class CaseLink(SQLModel, table=True):
    """Two cases that belong together: `split` (from → new)."""

    __tablename__ = "case_links"

    case_id: UUID = Field(foreign_key="cases.id", primary_key=True)
    other_id: UUID = Field(foreign_key="cases.id", primary_key=True, index=True)
    kind: str = Field(primary_key=True)
    at: datetime = Field(sa_type=Moment)


class Reveal(SQLModel, table=True):
    """Who opened a reporter's identity to the units, when and why; the citizen can ask for it."""

    __tablename__ = "reveals"
    __table_args__ = (Index("ix_reveals_case_id", "case_id"),)

    id: UUID = Field(primary_key=True)
    case_id: UUID = Field(foreign_key="cases.id")
    staff_id: UUID = Field(foreign_key="staff.id")
    reason: str
    at: datetime = Field(sa_type=Moment)


class CaseSearch(SQLModel, table=True):
    """The words of a case, folded, and by what searches are narrowed: a copy for finding, kept by cases.search.

    No foreign key: cases are never deleted, and its check would lock cases against the commands on them.
    """

    __tablename__ = "case_search"
    __table_args__ = (
        Index("ix_case_search_received_at_case_id", "received_at", "case_id"),
        # A short list of what is not sorted in yet: every search reads it through.
        Index("ix_case_search_tsv", "tsv", postgresql_using="gin", postgresql_with={"gin_pending_list_limit": "256"}),
    )

    case_id: UUID = Field(primary_key=True)
    received_at: datetime = Field(sa_type=Moment)
    tsv: str = Field(sa_column=Column(TSVECTOR, nullable=False))


class SearchWord(SQLModel, table=True):
    """A word that stands in some case, so that one still being typed can be completed.

    `cases` is in how many it stood when they were first sorted in, counted to a bound: the common ones come first.
    """

    __tablename__ = "search_words"

    word: str = Field(sa_column=Column(String(collation="C"), primary_key=True))
    cases: int = Field(default=0, sa_column_kwargs={"server_default": "0"})


class SearchCursor(SQLModel, table=True):
    """Single row: the journal is in `case_search` up to here."""

    __tablename__ = "search_cursor"

    id: int = Field(default=1, primary_key=True)
    position: int = Field(sa_type=BigInteger)
