"""What each action needs to be told (DESIGN.md 7.3 and 7.6), checked before anything is done."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from core.text import nfc

LONGEST_TEXT = 10_000


def clean_text(value: object) -> object:
    """NFC, without surrounding space; characters that cannot be kept or shown are refused by `no_controls`."""
    return nfc(value).strip() if isinstance(value, str) else value


_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def no_controls(value: str) -> str:
    """Refuse NUL and other control characters, except line ends and tabs, and half surrogates."""
    if _CONTROL.search(value):
        raise PydanticCustomError("control_character", "A control character is not allowed")
    return value


Text = Annotated[
    str, BeforeValidator(clean_text), Field(min_length=1, max_length=LONGEST_TEXT), AfterValidator(no_controls)
]
Short = Annotated[str, BeforeValidator(clean_text), Field(min_length=1, max_length=500), AfterValidator(no_controls)]
Code = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[\w.\-]+$")]
Urgency = Literal["emergency", "urgent", "normal", "complex"]
Track = Literal["ordinary", "complaint", "denunciation", "crime_tip", "admin_regulation", "national_portal"]
Kind = Literal["report", "question", "proposal", "praise", "emergency", "other"]


class Body(BaseModel):
    """Common to every action: an internal note kept with it."""

    model_config = ConfigDict(extra="forbid")

    note: Text | None = None


class Note(BaseModel):
    """An internal note."""

    model_config = ConfigDict(extra="forbid")

    text: Text


class AssignOfficer(Body):
    """Who in the unit, or at the centre, works on it: staff e-mail; null takes it away."""

    officer: Short | None


class Classify(Body):
    """New classification; what is left out stays. `not_said` takes a fact back, an empty list takes all flags away."""

    field: Code | None = None
    area: Code | None = None
    urgency: Urgency | None = None
    kind: Kind | None = None
    competence: Literal["clear", "unclear", "not_said"] | None = None
    asset_owner: Code | None = None
    road_class: Code | None = None
    flags: list[Code] | None = Field(default=None, max_length=20)


class SetTrack(Body):
    """Which legal track the matter belongs to; the units and the staff (by e-mail) it is about, which counts on a
    restricted track only. What is left out stays."""

    track: Track
    accused: list[Code] | None = Field(default=None, max_length=20)
    accused_staff: list[Short] | None = Field(default=None, max_length=20)


class AnswerDirectly(Body):
    """The answer the centre knows itself."""

    reply: Text


def _or_code(schema: dict[str, Any]) -> None:
    whole = dict(schema)
    schema.clear()
    schema["anyOf"] = [{"type": "string", "description": "The unit's code"}, whole]


class Support(BaseModel):
    """A unit that helps: with what, and by when if not as the rules say. Its code alone says neither."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_or_code)

    unit: Code
    task: Text | None = None
    until: AwareDatetime | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_code(cls, given: Any) -> Any:
        return {"unit": given} if isinstance(given, str) else given


class Forward(Body):
    """To which department, and which ones help: each as a code, or with a task and a date of its own."""

    lead: Code
    supporting: list[Support] = Field(default_factory=list, max_length=20)
    reason: Text | None = None


class Reason(Body):
    """An act that needs its reason."""

    reason: Text


class GiveBack(Reason):
    """Why it is not theirs, and whose it may be."""

    suggested: Code | None = None


class AskCitizen(Body):
    """What the citizen should tell."""

    question: Text


class Contribute(Body):
    """What a supporting unit adds."""

    text: Text


class RequestExtension(Reason):
    """Until when, and why."""

    until: AwareDatetime


class GrantExtension(Body):
    """Until when, if not what was asked for."""

    until: AwareDatetime | None = None


class TellProgress(Body):
    """How far it is, and the date the unit commits itself to."""

    text: Text
    until: AwareDatetime


class OfficialDocument(BaseModel):
    """The document an answer is given by; `file` is the signed one: the name of a file sent along, or an id.

    `public`: its citizen may read it; everybody then reads number, date and signer once the case is published, and the
    file only with `file_public`.
    """

    model_config = ConfigDict(extra="forbid")

    number: Short
    issued_on: Annotated[date, Field(ge=date(2000, 1, 1), le=date(2199, 12, 31))]
    signer: Short
    file: Short | None = None
    public: bool = True
    file_public: bool = False


class SubmitAnswer(Body):
    """The reply to the citizen, a separate text for the public, files by id as returned by `attach`, the document."""

    reply: Text
    public_text: Text | None = None
    attachments: list[str] = Field(default_factory=list, max_length=10)
    document: OfficialDocument | None = None


class ApproveAnswer(Body):
    """The text for the public as the approver has it, if it is to be another; what in it may stay, as in `Publish`."""

    public_text: Text | None = None
    left: list[Short] = Field(default_factory=list, max_length=200)


class Publish(Body):
    """The text for the public that a person has checked; words in it that look personal and may stay, as written."""

    public_text: Text
    left: list[Short] = Field(default_factory=list, max_length=200)


class Refuse(Body):
    """Why it cannot be taken; the text sent, if it should differ from the reason's own."""

    reason_code: Code
    reply: Text | None = None


class Redirect(Body):
    """Where it was handed over to, by which document (the transfer record), and what the citizen is told."""

    track: Track | None = None
    to: Literal["113", "114", "115", "reception_board", "inspectorate", "police", "other"] | None = None
    reply: Text
    document: OfficialDocument | None = None


class HandOver(Body):
    """Who has the emergency now, whom there we spoke with, and what they were told."""

    to: Literal["113", "114", "115"]
    text: Text
    spoke_with: Short | None = None


class AskSupport(Body):
    """Which unit is asked for what, and by when if not as the rules say."""

    unit: Code
    task: Text
    until: AwareDatetime | None = None


class ReleaseSupport(Reason):
    """Which unit need not help any more, and why."""

    unit: Code


class GiveBackSupport(Reason):
    """Why this unit cannot help, and which one may."""

    suggested: Code | None = None


class Raise(Body):
    """What the units disagree about."""

    text: Text


class DecideDispute(Reason):
    """The decision and why; which unit leads from now on, if another one."""

    lead: Code | None = None


class Direct(Body):
    """What the leadership orders, which unit of the case (the lead if none is named), and by when it has to answer."""

    text: Text
    to: Code | None = None
    until: AwareDatetime | None = None


class AnswerDirective(Body):
    """What the unit has done about the order."""

    text: Text


class Into(Body):
    """The code of another case."""

    into: Short


class Split(Body):
    """The second matter of the report."""

    text: Text
    field: Code | None = None


class Rate(BaseModel):
    """The citizen's judgement."""

    model_config = ConfigDict(extra="forbid")

    rating: Annotated[int, Field(ge=1, le=5, strict=True)]
    text: Text | None = None


class Message(BaseModel):
    """What the citizen adds."""

    model_config = ConfigDict(extra="forbid")

    text: Text


class AddMessage(Message):
    """The same, for the case that goes on: the merged case by whose code it came, and a place sent along."""

    via: UUID | None = None
    lat: Annotated[float, Field(ge=-90, le=90)] | None = None
    lng: Annotated[float, Field(ge=-180, le=180)] | None = None


class ReopenByCitizen(BaseModel):
    """What is not solved."""

    model_config = ConfigDict(extra="forbid")

    reason: Text


def within_reason(until: datetime, at: datetime) -> bool:
    """A date somebody commits to lies ahead, and not years ahead."""
    return 0 < (until - at).total_seconds() < 366 * 86_400
