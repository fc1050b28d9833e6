"""What the API answers, as the OpenAPI document describes it. Documentation only: `web.shapes` makes the answers, and
the tests hold one against the other.
"""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from cases.bodies import Kind, Track, Urgency
from cases.states import STAFF_ACTIONS, Action, Status

StaffAction = Annotated[str, Field(json_schema_extra={"enum": [action.value for action in STAFF_ACTIONS]})]


class Named(BaseModel):
    """A code with its name."""

    code: str
    name: str


class NamedArea(Named):
    """An area as it was named at intake."""

    type: str


class AreaCandidate(NamedArea):
    """An area the text may mean, 0–1."""

    parent: str | None
    score: float


class Location(BaseModel):
    """Where, as far as it is known."""

    lat: float | None
    lng: float | None
    address: str | None
    area: str | None


class LimitAnswer(BaseModel):
    """One clock as a citizen sees it."""

    stage: str
    clock: Literal["working", "calendar"]
    holder: str
    opened_at: datetime
    due_at: datetime | None
    met_at: datetime | None
    breached_at: datetime | None


class StaffLimit(LimitAnswer):
    """One clock as staff see it."""

    amount: str
    cancelled_at: datetime | None
    stopped_at: datetime | None


class File(BaseModel):
    """A file; its bytes are at `url`."""

    id: str
    name: str
    media_type: str
    size: int
    sha256: str
    url: str


class NextDue(BaseModel):
    """The clock that runs out next, and who owes it."""

    stage: str
    holder: Named
    due_at: datetime


class CaseRow(BaseModel):
    """A case in a list; `text` is cut at 280 characters, and empty for restricted ones, which have to be opened."""

    code: str
    version: int
    status: Status
    kind: Kind
    track: Track
    suggested_track: Annotated[Track | None, Field(description="What the text seems to be; no limits follow yet")]
    channel: str
    urgency: Urgency
    mode: str
    text: str
    field: Named | None
    area: NamedArea | None
    lead: Named | None
    public: bool
    officer: str | None
    needs_supervisor: bool
    next_due: NextDue | None
    promised_at: datetime | None
    received_at: datetime
    created_at: datetime


class Part(BaseModel):
    """A department's part in a case."""

    department: Named
    role: Literal["lead", "supporting"]
    state: str
    opened_at: datetime
    accepted_at: datetime | None
    task: Annotated[str | None, Field(description="What a supporting unit was asked for")]
    ended_at: datetime | None
    give_back_until: Annotated[datetime | None, Field(description="Until when the unit may give its part back")]


class Suggested(BaseModel):
    """Whom the rules would give it to."""

    lead: Named | None
    supporting: list[Named]


class Reporter(BaseModel):
    """Who reported it: masked unless revealed."""

    name: str | None
    phone: str | None
    email: str | None
    revealed: bool


class HandedOver(BaseModel):
    """Who has the emergency, and since when."""

    to: Literal["113", "114", "115"]
    at: datetime


class DocumentAnswer(BaseModel):
    """The official document of an answer; `file` is the signed one among the attachments."""

    number: str
    issued_on: date
    signer: str
    file: str | None
    public: bool
    file_public: Annotated[bool, Field(description="Everybody reads the signed file once the case is published")]


class PublishedDocument(BaseModel):
    """The official document of a published answer; `file`: where the signed one is read, if everybody may."""

    number: str
    issued_on: date
    signer: str
    file: str | None


class Line(BaseModel):
    """One line of the conversation."""

    id: str
    kind: str
    author: str
    text: str
    to_citizen: bool
    at: datetime


class ExtensionAnswer(BaseModel):
    """A wish for more time and what became of it."""

    department: str
    until: datetime
    reason: str
    state: str
    beyond: Annotated[bool, Field(description="Once more than the unit's own head may grant")]
    requested_at: datetime


class CommitmentAnswer(BaseModel):
    """A date a unit committed itself to; `current`: its newest."""

    department: Named
    told_at: datetime
    until: datetime
    state: Literal["open", "kept", "broken", "replaced", "ended"]
    current: bool


class DisputeAnswer(BaseModel):
    """What units disagreed about, and the decision: `lead` is who leads by it."""

    raised_by: Named
    text: str
    opened_at: datetime
    due_at: datetime | None
    decided_at: datetime | None
    decision: str | None
    lead: Named | None


class DirectiveAnswer(BaseModel):
    """An order of the leadership to a unit, and its answer; `owed` while it is still waited for."""

    department: Named
    text: str
    opened_at: datetime
    due_at: datetime | None
    answered_at: datetime | None
    answer: str | None
    owed: bool


class StaffCase(CaseRow):
    """A case with everything this person may see, and in `actions` what they may do now."""

    track_confirmed: bool
    competence: Literal["clear", "unclear"] | None
    asset_owner: str | None
    road_class: str | None
    flags: list[str]
    accused: Annotated[list[Named], Field(description="Units that a restricted case is about")]
    accused_staff: Annotated[list[str], Field(description="Staff that a restricted case is about, by e-mail")]
    handed_over: HandedOver | None
    location: Location
    attachments: list[File]
    assignments: list[Part]
    area_candidates: list[AreaCandidate]
    supporting: list[Named]
    suggested: Suggested
    limits: list[StaffLimit]
    citizen: Reporter
    entries: list[Line]
    commitments: list[CommitmentAnswer]
    progress_owed_since: Annotated[datetime | None, Field(description="The late lead owes a date from then on")]
    disputes: list[DisputeAnswer]
    directives: list[DirectiveAnswer]
    extensions: list[ExtensionAnswer]
    give_backs: int
    chased: int
    rating: int | None
    public_text: str | None
    published_at: datetime | None
    document: Annotated[DocumentAnswer | None, Field(description="Of the answer that stands")]
    approved_at: datetime | None
    replied_at: datetime | None
    ended_at: datetime | None
    merged_into: str | None
    incident: str | None
    rule_set: str
    actions: list[StaffAction]


class OpenedCase(StaffCase):
    """The case just opened for somebody, with the key for that person."""

    tracking_key: str


class CasePage(BaseModel):
    """A page of a list; ask again with `cursor=next_cursor`."""

    items: list[CaseRow]
    next_cursor: str | None


class Happening(BaseModel):
    """One item of a timeline."""

    at: datetime
    kind: str
    actor: str
    data: dict[str, Any]
    text: str | None


class Timeline(BaseModel):
    """What happened, oldest first."""

    items: list[Happening]


class CitizenLine(BaseModel):
    """One line of the conversation with the citizen."""

    id: str
    kind: str
    from_: Literal["citizen", "centre"] = Field(alias="from")
    text: str
    at: datetime


class CitizenCase(BaseModel):
    """A case as its reporter follows it."""

    code: str
    status: Status
    received_at: datetime
    promised_at: datetime | None
    text: str
    field: Named | None
    area: NamedArea | None
    location: Location
    lead: Named | None
    limits: list[LimitAnswer]
    messages: list[CitizenLine]
    timeline: list[Happening]
    attachments: list[File]
    reply: str | None
    document: DocumentAnswer | None
    rating: int | None
    merged_into: str | None
    actions: list[Action]


class CodeAsked(BaseModel):
    """For how many seconds a code holds, if one was sent."""

    expires_in: int


class KeyGiven(BaseModel):
    """The way into a report."""

    code: str
    tracking_key: str


class Point(BaseModel):
    """The centre of a unit."""

    lat: float
    lng: float


class PublishedCase(BaseModel):
    """A published case, anonymised."""

    code: str
    status: Status
    text: str
    field: Named | None
    area: NamedArea | None
    lead: Named | None
    location: Point | None
    received_on: date
    replied_on: date | None
    published_at: datetime
    document: PublishedDocument | None
    rating: int | None


class PublishedPage(BaseModel):
    """A page of published cases."""

    items: list[PublishedCase]
    next_cursor: str | None


class FeatureCollection(BaseModel):
    """GeoJSON."""

    type: Literal["FeatureCollection"]
    features: list[dict[str, Any]]
    next_cursor: str | None


class Tried(BaseModel):
    """A way the message failed on before."""

    channel: str
    failure: str | None


class Refused(BaseModel):
    """A message that cannot be sent again, and why."""

    id: str
    detail: str


class Undelivered(BaseModel):
    """A message that waits for a person; neither its text nor where it goes."""

    id: str
    case: str
    channel: str
    purpose: str
    department: Named | None  # the unit it was for; null: the citizen
    state: str
    failure: str | None  # why, in one word; `reason` is what the channel said
    reason: str | None
    attempts: int
    tried: list[Tried]
    call: bool  # every way has failed: somebody has to call the citizen
    created_at: datetime


class Jam(BaseModel):
    """A channel that takes nothing for now: its messages are tried again by themselves."""

    channel: str
    failure: str | None
    waiting: int
    since: datetime


class OutboxPage(BaseModel):
    """A page of messages; ask again with `cursor=next_cursor`."""

    items: list[Undelivered]
    next_cursor: str | None
    waiting: list[Jam]


class Resent(BaseModel):
    """What came of sending many again."""

    sent: list[str]
    refused: list[Refused]


class Told(BaseModel):
    """A message that a person said on the telephone."""

    case: str
    state: str


class Me(BaseModel):
    """Who is signed in."""

    name: str
    email: str
    roles: list[str]
    departments: list[str]


class Csrf(BaseModel):
    """What writes with the cookie must bring in `X-CSRF-Token`."""

    csrf_token: str


class DepartmentAnswer(Named):
    """A department and its place in time."""

    kind: str
    area: str | None
    parent: str | None
    valid_from: date
    valid_to: date | None
    successor: str | None


class FieldAnswer(Named):
    """A field (lĩnh vực) of the first or second level."""

    parent: str | None
    urgency: str | None
    public: bool
    valid_from: date
    valid_to: date | None


class SuggestedField(Named):
    """A field that a text may be about; `score` from 0 to 1 says how much speaks for it."""

    score: float


class SuggestedFields(BaseModel):
    """The likeliest first; empty when nothing in the text speaks for any."""

    items: list[SuggestedField]


class AreaAnswer(NamedArea):
    """An area and its place in time; `score` only near a point.

    `label` is the name with its type, `within` that of the unit above; `now` what a former unit belongs to today.
    """

    official_code: str | None
    parent: str | None
    valid_from: date
    valid_to: date | None
    successors: list[str]
    label: str
    within: str | None
    now: list[str]


class Reason(Named):
    """A reason for refusing, with the citizen's text."""

    text: str


class Health(BaseModel):
    """How the process is."""

    status: str


class Missing(Health):
    """What is not there yet."""

    missing: list[str]
