"""Tables of the coordination rules: departments, fields, areas, calendars, rule sets."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Column, ForeignKey, Identity, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
from sqlmodel import Field, SQLModel

from core.db import Moment


class Department(SQLModel, table=True):
    """A unit that can hold a case. The centre itself is one. `code` is ours and never changes."""

    __tablename__ = "departments"

    code: str = Field(primary_key=True)
    name: str
    kind: str
    area: str | None = None
    parent: str | None = None
    email: str | None = None
    valid_from: date
    valid_to: date | None = None  # the first day it no longer exists
    successor: str | None = Field(default=None, foreign_key="departments.code")


class DepartmentName(SQLModel, table=True):
    """What a department is called from a day on; its row has the present name. None: it never had another."""

    __tablename__ = "department_names"

    code: str = Field(sa_column=Column(ForeignKey("departments.code"), primary_key=True))
    valid_from: date = Field(primary_key=True)
    name: str


class AreaName(SQLModel, table=True):
    """What an area is called from a day on; its row has the present name. None: it never had another."""

    __tablename__ = "area_names"

    code: str = Field(sa_column=Column(ForeignKey("areas.code"), primary_key=True))
    valid_from: date = Field(primary_key=True)
    name: str


class DepartmentHeir(SQLModel, table=True):
    """One of several that an abolished department's cases go to; asked in order, before `successor`."""

    __tablename__ = "department_heirs"

    department: str = Field(sa_column=Column(ForeignKey("departments.code"), primary_key=True))
    position: int = Field(primary_key=True)
    heir: str = Field(foreign_key="departments.code")
    areas: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))  # empty: any
    fields: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))  # `roads.*`: all of a group


class Reform(SQLModel, table=True):
    """Areas and departments that change together on one day: the document, and whether it is in the tables."""

    __tablename__ = "reforms"

    code: str = Field(primary_key=True)
    name: str
    effective_on: date
    source: str = ""
    document: str  # YAML, as it was given
    added_at: datetime = Field(sa_type=Moment)
    added_by: UUID | None = None  # a person or another system's key
    applied_at: datetime | None = Field(default=None, sa_type=Moment)
    applied_by: UUID | None = None


class CaseField(SQLModel, table=True):
    """A field (lĩnh vực), two levels: a group, or a field `group.name` within it."""

    __tablename__ = "fields"

    code: str = Field(primary_key=True)
    name: str
    parent: str | None = Field(default=None, foreign_key="fields.code")
    urgency: str = "normal"
    public: bool = True
    track: str | None = None
    valid_from: date
    valid_to: date | None = None


class Area(SQLModel, table=True):
    """An administrative unit of one period. `official_code` is an attribute: the state renumbers, we do not."""

    __tablename__ = "areas"

    code: str = Field(primary_key=True)
    official_code: str | None = None
    name: str
    type: str
    parent: str | None = Field(default=None, foreign_key="areas.code")
    valid_from: date
    valid_to: date | None = None
    successors: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    lat: float | None = None
    lng: float | None = None


class WorkCalendar(SQLModel, table=True):
    """A calendar. `week`: seven lists of windows as "07:00-11:30", Monday first; it holds before any that is dated."""

    __tablename__ = "calendars"

    code: str = Field(primary_key=True)
    zone: str
    week: list[list[str]] = Field(sa_type=JSONB)


class CalendarWeek(SQLModel, table=True):
    """The windows per weekday of a calendar from a day on; before its first row those of the calendar hold."""

    __tablename__ = "calendar_weeks"

    calendar: str = Field(sa_column=Column(ForeignKey("calendars.code"), primary_key=True))
    valid_from: date = Field(primary_key=True)
    week: list[list[str]] = Field(sa_type=JSONB)


class CalendarChange(SQLModel, table=True):
    """What an edit made of a calendar from which day on: limits are counted again on its account."""

    __tablename__ = "calendar_changes"
    __table_args__ = (Index("ix_calendar_changes_calendar_id", "calendar", "id"),)

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    calendar: str = Field(foreign_key="calendars.code")
    what: str  # week | day | year | recounted (all limits were counted again, for the changes up to the one in `now`)
    since: date  # the first day that is counted otherwise, or was counted again
    was: list[Any] = Field(sa_type=JSONB)  # windows of the day or week before; of a year nothing
    now: list[Any] = Field(sa_type=JSONB)  # windows now; of a year the days that were added
    by: UUID | None = None
    at: datetime = Field(sa_type=Moment)


class CalendarDay(SQLModel, table=True):
    """An exception: a day off, or a make-up day with its windows, and where that is stated."""

    __tablename__ = "calendar_days"

    calendar: str = Field(sa_column=Column(ForeignKey("calendars.code"), primary_key=True))
    day: date = Field(primary_key=True)
    windows: list[str] = Field(sa_type=JSONB)  # empty: off
    label: str = ""
    source: str = ""


class RuleSet(SQLModel, table=True):
    """A dated version of the coordination rules. Once active its content is never changed, only retired."""

    __tablename__ = "rule_sets"
    __table_args__ = (
        Index("uq_rule_sets_code_version", "code", "version", unique=True),
        ExcludeConstraint(
            (text("tstzrange(valid_from, valid_to)"), "&&"),
            name="ex_rule_sets_one_at_a_time",
            using="gist",
            where=text("state IN ('active', 'retired')"),
        ),
        CheckConstraint("state IN ('draft', 'checked', 'active', 'retired')", name="state"),
        CheckConstraint("state <> 'checked' OR checked_at IS NOT NULL", name="checked"),
    )

    id: UUID = Field(primary_key=True)
    code: str
    version: int
    state: str  # draft | checked | active | retired
    valid_from: datetime = Field(sa_type=Moment)
    valid_to: datetime | None = Field(default=None, sa_type=Moment)
    note: str = ""
    source_document: str = ""
    created_at: datetime = Field(sa_type=Moment)
    settings: dict[str, Any] = Field(sa_type=JSONB)  # everything of the set that is not a rule
    checked_at: datetime | None = Field(default=None, sa_type=Moment)  # found without errors, and not edited since
    checked_by: UUID | None = None  # a person or another system's key
    retired_at: datetime | None = Field(default=None, sa_type=Moment)


class RuleSetFile(SQLModel, table=True):
    """A file of the document a rule set comes from; its bytes lie in the file store under `sha256`."""

    __tablename__ = "rule_set_files"
    __table_args__ = (Index("ix_rule_set_files_rule_set_id", "rule_set_id"),)

    id: UUID = Field(primary_key=True)
    rule_set_id: UUID = Field(foreign_key="rule_sets.id")
    name: str
    media_type: str
    size: int  # bytes
    sha256: str
    added_by: UUID | None = None  # a person or another system's key
    added_at: datetime = Field(sa_type=Moment)


class RuleRow(SQLModel, table=True):
    """One rule of a set: `kind` lead or limit, its condition and its outcome as the YAML states them."""

    __tablename__ = "rules"
    __table_args__ = (Index("ix_rules_rule_set_id", "rule_set_id", "rank", "position"),)

    rule_set_id: UUID = Field(foreign_key="rule_sets.id", primary_key=True)
    code: str = Field(primary_key=True)
    kind: str
    rank: int
    position: int  # order of writing: rules of equal rank are asked in it
    body: dict[str, Any] = Field(sa_type=JSONB)


class Wording(SQLModel, table=True):
    """How the centre words a sentence to citizens from `at` on; the newest of a sentence, form and language holds.

    Rows are only ever added: the older ones are the history.
    """

    __tablename__ = "wordings"
    __table_args__ = (Index("ix_wordings_name_form_language", "name", "form", "language", "id"),)

    id: UUID = Field(primary_key=True)
    name: str
    form: str  # long | short
    language: str  # vi | en
    text: str | None = None  # NULL: as shipped again
    at: datetime = Field(sa_type=Moment)
    by: UUID | None = Field(default=None, foreign_key="staff.id")


class Mode(SQLModel, table=True):
    """A time in which other rules hold, while `until` is NULL: now. None open: normal times."""

    __tablename__ = "modes"
    __table_args__ = (
        Index("uq_modes_one_open", text("(true)"), unique=True, postgresql_where=text("until IS NULL")),
        CheckConstraint("mode IN ('epidemic', 'disaster')", name="mode"),
        CheckConstraint("until >= since", name="order"),
        CheckConstraint("(until IS NULL) = (ended_by IS NULL)", name="ended"),
    )

    id: UUID = Field(primary_key=True)
    mode: str  # epidemic | disaster
    reason: str
    since: datetime = Field(sa_type=Moment)
    by: UUID = Field(foreign_key="staff.id")
    until: datetime | None = Field(default=None, sa_type=Moment)
    ended_by: UUID | None = Field(default=None, foreign_key="staff.id")
