"""The person behind a report, for the staff who may know: addresses, wishes, who else they are and may be."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import looks, person_file
from cases.citizens import masked_handle
from cases.likeness import Suggestion
from cases.person_file import PersonFile
from cases.queries import case_by_code
from cases.reach import CHANNEL_OF
from core.staff import Actor
from routing.queries import Routing
from web.deps import Db, Now, Rules, Who
from web.docs import PROBLEMS, answers
from web.shapes import when, zone_of

router = APIRouter(prefix="/api/v1/citizens", tags=["citizens"], responses=PROBLEMS)

Code = Annotated[str, Field(max_length=40)]
Channel = Annotated[str, Field(max_length=20)]


class AddressShape(BaseModel):
    """One address, masked."""

    scheme: str
    channel: str
    handle: str
    seen_at: str
    stopped_at: str | None
    unreachable_at: str | None


class ConsentShape(BaseModel):
    """What they said last about one channel and purpose."""

    channel: str
    purpose: str
    given: bool
    source: str
    at: str


class MergeShape(BaseModel):
    """A merge that stands; `by` is empty where the vendor proved it."""

    id: UUID
    at: str
    by: str
    why: list[str]
    note: str | None


class ReasonShape(BaseModel):
    """A handle, masked, that the one stated in a case and the other is known by. `stated_here`: by this person."""

    signal: str
    handle: str
    stated_here: bool
    case: str


class SuggestionShape(BaseModel):
    """Somebody who may be the same person, by their newest case that is shown."""

    case: str
    cases: int
    reasons: list[ReasonShape]


class SuggestionList(BaseModel):
    """Who else this person may be."""

    items: list[SuggestionShape]


class PersonShape(BaseModel):
    """One person over all channels."""

    identities: list[AddressShape]
    preferred_channel: str | None
    consents: list[ConsentShape]
    merges: list[MergeShape]
    suggestions: list[SuggestionShape]


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class SameIn(_Given):
    """`with`: the code of a case whose reporter it is. Without a suggestion `note` says how that is known."""

    with_: Code = Field(alias="with")
    note: str = Field(default="", max_length=500)


class ApartIn(_Given):
    """`with`: the code of a case whose reporter is somebody else."""

    with_: Code = Field(alias="with")


class UndoIn(_Given):
    """Which merge."""

    merge: UUID


class PreferredIn(_Given):
    """The channel, or null: where they wrote."""

    channel: Channel | None


class ConsentIn(_Given):
    """What they agreed to, or took back."""

    channel: Channel
    purpose: Channel
    given: bool


PERSON: dict[str, Any] = {"response_model": None, "responses": answers(PersonShape, description="The person")}


@router.get("/{code}", **PERSON)
async def person(session: Db, who: Who, routing: Rules, at: Now, code: str) -> dict[str, Any]:
    """The person behind this case. For the centre; of restricted cases for inspectors. Nothing else about them leaks:
    who has only cases that the reader does not see is not there."""
    return await _person(session, who, routing, at, code)


@router.get(
    "/{code}/suggestions", response_model=None, responses=answers(SuggestionList, description="Who they may be")
)
async def suggestions(session: Db, who: Who, routing: Rules, at: Now, code: str) -> dict[str, Any]:
    """Who else may be this person, and why; a person decides."""
    return {"items": (await _person(session, who, routing, at, code))["suggestions"]}


@router.post("/{code}/merge", **PERSON)
async def merge(session: Db, who: Who, routing: Rules, at: Now, code: str, given: SameIn) -> dict[str, Any]:
    """The reporters of both cases are one person. 409 when they are already."""
    case = await case_by_code(session, who, code)
    await person_file.same_as(session, who, case, given.with_, at, given.note)
    return await _person(session, who, routing, at, code)


@router.post("/{code}/apart", **PERSON)
async def apart(session: Db, who: Who, routing: Rules, at: Now, code: str, given: ApartIn) -> dict[str, Any]:
    """They are not: it is not suggested again."""
    case = await case_by_code(session, who, code)
    await person_file.not_same_as(session, who, case, given.with_, at)
    return await _person(session, who, routing, at, code)


@router.post("/{code}/undo", **PERSON)
async def undo(session: Db, who: Who, routing: Rules, at: Now, code: str, given: UndoIn) -> dict[str, Any]:
    """Undo a merge; what came since stays where it was written to."""
    case = await case_by_code(session, who, code)
    await person_file.part(session, who, case, given.merge, at)
    return await _person(session, who, routing, at, code)


@router.post("/{code}/preferred", **PERSON)
async def preferred(session: Db, who: Who, routing: Rules, at: Now, code: str, given: PreferredIn) -> dict[str, Any]:
    """The channel they said they want to be answered on."""
    case = await case_by_code(session, who, code)
    await person_file.set_preferred(session, who, case, given.channel, at)
    return await _person(session, who, routing, at, code)


@router.post("/{code}/consents", **PERSON)
async def consents(session: Db, who: Who, routing: Rules, at: Now, code: str, given: ConsentIn) -> dict[str, Any]:
    """What they told this member of staff they agree to or take back; purposes: answers, care_calls, surveys."""
    case = await case_by_code(session, who, code)
    await person_file.set_consent(session, who, case, given.channel, given.purpose, given.given, at)
    return await _person(session, who, routing, at, code)


async def _person(session: AsyncSession, who: Actor, routing: Routing, at: datetime, code: str) -> dict[str, Any]:
    case = await case_by_code(session, who, code)
    await looks.note(session, who, case, "person", at)
    person_file.may_know(who, case)
    await session.flush()  # what was just decided, before it is read
    return shape(await person_file.person_file(session, who, case), routing)


def shape(found: PersonFile | None, routing: Routing) -> dict[str, Any]:
    """The person in JSON; nobody where nothing is known."""
    zone = zone_of(routing)
    if found is None:
        return {"identities": [], "preferred_channel": None, "consents": [], "merges": [], "suggestions": []}
    return {
        "identities": [
            {
                "scheme": each.scheme,
                "channel": CHANNEL_OF.get(each.scheme, each.scheme),
                "handle": masked_handle(each.scheme, each.handle),
                "seen_at": when(each.seen_at, zone),
                "stopped_at": when(each.stopped_at, zone),
                "unreachable_at": when(each.unreachable_at, zone),
            }
            for each in found.identities
        ],
        "preferred_channel": found.preferred,
        "consents": [
            {
                "channel": channel,
                "purpose": purpose,
                "given": said.given,
                "source": said.source,
                "at": when(said.at, zone),
            }
            for (channel, purpose), said in sorted(found.consents.items())
        ],
        "merges": [
            {"id": str(each.id), "at": when(each.at, zone), "by": by, "why": each.why.split(","), "note": each.note}
            for each, by in found.merges
        ],
        "suggestions": [_suggestion(each) for each in found.suggestions],
    }


def _suggestion(found: Suggestion) -> dict[str, Any]:
    return {
        "case": found.newest.code,
        "cases": found.cases,
        "reasons": [
            {
                "signal": each.signal,
                "handle": masked_handle(each.scheme, each.handle),
                "stated_here": each.mine,
                "case": each.case,
            }
            for each in found.reasons
        ],
    }
