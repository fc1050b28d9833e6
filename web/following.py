"""The citizen's side after the report: follow, add, ask again, rate, reopen."""

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Header, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import people
from cases.bodies import Message, Rate, ReopenByCitizen
from cases.codes import key_fits, read_code
from cases.desk import Office, not_found, perform
from cases.documents import document_of
from cases.models import Case
from cases.queries import CaseFile, case_file, follow_merges, reply_to, timeline
from cases.states import Action
from core import auth
from core.errors import Invalid
from core.files import Stored, Upload, take
from core.staff import CITIZEN
from routing.queries import Routing
from web.answers import CitizenCase
from web.bodies import read_body
from web.deps import Here, Now, client_address, office_of, transaction_of
from web.docs import PROBLEMS, answers, json_body, multipart_body
from web.shapes import case_to_citizen, document_shape
from web.state import State

router = APIRouter(prefix="/api/v1/reports", tags=["reports"], responses=PROBLEMS)
AS_IT_IS: dict[str, Any] = {
    "response_model": None,
    "responses": answers(CitizenCase, description="The report as it is now"),
}


class PreferredIn(BaseModel):
    """On which channel answers shall come, or null."""

    model_config = ConfigDict(extra="forbid")
    channel: Annotated[str, Field(max_length=20)] | None


B = TypeVar("B", bound=BaseModel)
Key = Annotated[str | None, Query(max_length=40, description="Tracking key, where no header can be sent")]
KeyHeader = Annotated[str | None, Header(alias="Tracking-Key", max_length=40)]


def wrong_tries(request: Request, here: State, code: str) -> dict[str, auth.Rate]:
    """Where a wrong way into this report is counted: at the address it comes from and at the report."""
    rate, standard = here.rates.get("key"), read_code(code)
    names = [f"key:{client_address(request)}", *([f"key:{standard}"] if standard else [])]
    return dict.fromkeys(names, rate) if rate else {}


async def own_case(
    request: Request, here: State, session: AsyncSession, code: str, key: str | None, at: datetime
) -> Case:
    """The case of a code and its key. A wrong key, an unknown code and none at all look the same, and are counted.

    A right key costs no write. A wrong one is counted before it is answered, and answered only within the rate, so that
    many guesses at once learn no more than the same one by one.
    """
    standard, buckets = read_code(code), wrong_tries(request, here, code)
    await auth.refuse_if_throttled(session, buckets, at)
    case = (await session.exec(select(Case).where(Case.code == standard))).first() if standard else None
    probe = case.key_of if case else uuid.UUID(int=0)
    if not key_fits(here.key, probe, case.key_version if case else 1, key or "") or case is None:
        await session.rollback()  # gives the connection back: nobody may hold one and wait for a second
        async with here.database.transaction() as counting:  # outlives the refusal of this request
            await auth.count_try(counting, buckets, at)
        raise not_found()
    return case


async def citizen_file(
    session: AsyncSession, case: Case, routing: Routing, at: datetime
) -> tuple[CaseFile, dict[str, Any]]:
    """The case with everything about it, and as its reporter sees it."""
    file = await case_file(session, case, at)
    shown = case_to_citizen(file, await timeline(session, case, internal=False), routing)
    if case.merged_into is not None:  # the answer to the case that went on is the answer to this one
        goes_on = await follow_merges(session, case)
        shown["reply"] = await reply_to(session, goes_on)
        if shown["reply"] is not None and goes_on.answer_id is not None:
            document = await document_of(session, goes_on.answer_id)
            named = document_shape(document if document is not None and document.public else None)
            shown["document"] = named and {**named, "file": None}  # its files stand with the other reporter's case
    return file, shown


@dataclass(frozen=True, slots=True)
class Follower:
    """A citizen who holds the key of a case, within one transaction."""

    session: AsyncSession
    office: Office
    at: datetime
    case: Case

    async def view(self) -> dict[str, Any]:
        """The case as its reporter sees it."""
        return (await self.file())[1]

    async def file(self) -> tuple[CaseFile, dict[str, Any]]:
        """The case with everything about it, and as its reporter sees it."""
        return await citizen_file(self.session, self.case, self.office.routing, self.at)

    def ways(self) -> list[str]:
        """Channels they may choose to be answered on."""
        return people.answerable_by(self.case, self.office.channels)

    async def preferred(self) -> str | None:
        """The one of them that they chose."""
        chosen = await people.preferred(self.session, [self.case.citizen_id]) if self.case.citizen_id else None
        return chosen if chosen in self.ways() else None

    async def prefer(self, channel: str | None) -> None:
        """Answers shall go there; None: they read the page. Invalid for what is not among the ways."""
        if channel is not None and channel not in self.ways():
            raise Invalid.at("channel", "Không gửi được qua kênh này.", "Answers cannot go by this channel.")
        await people.prefer(self.session, self.case, channel, self.at)

    async def do(self, action: Action, body: dict[str, Any], files: Sequence[Stored] = ()) -> None:
        """Do it. What is added to a merged case goes to the one that lives on."""
        live = self.case
        if action is Action.ADD_MESSAGE and self.case.merged_into is not None:
            live = await follow_merges(self.session, self.case, lock=True)
            body = {**body, "via": self.case.id}
        await perform(self.session, self.office, CITIZEN, live.id, action, body, self.at, files=tuple(files))


@asynccontextmanager
async def following(request: Request, here: State, at: datetime, code: str, key: str | None) -> AsyncIterator[Follower]:
    """Whoever holds the key of a report, in a transaction; NotFound for a wrong pair, TooMany for too many of them."""
    async with transaction_of(request, here) as session:
        office = office_of(here, await here.routing.get(session))
        yield Follower(session, office, at, await own_case(request, here, session, code, key, at))


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent this request with a code and a key.

    Holds no connection, so that a slow body and the decoding of pictures keep nobody else from one.
    """

    request: Request
    here: State
    at: datetime
    code: str
    key: str | None

    async def view(self) -> dict[str, Any]:
        """The case as its reporter sees it."""
        async with following(self.request, self.here, self.at, self.code, self.key) as own:
            return await own.view()

    async def read(self, shape: type[B]) -> tuple[B, list[Upload]]:
        """The body of the request, once the key has been found right."""
        async with following(self.request, self.here, self.at, self.code, self.key):
            pass
        return await read_body(self.request, shape)

    async def act(self, action: Action, body: dict[str, Any], uploads: list[Upload] | None = None) -> dict[str, Any]:
        """Do it, and show the case."""
        files = await take(uploads, self.here.files, at=self.at) if uploads else []
        async with following(self.request, self.here, self.at, self.code, self.key) as own:
            await own.do(action, body, files)
            return await own.view()


async def _caller(
    request: Request, here: Here, at: Now, code: str, key: Key = None, tracking_key: KeyHeader = None
) -> Caller:
    return Caller(request, here, at, code, tracking_key or key)


Own = Annotated[Caller, Depends(_caller)]


def _takes(shape: type[BaseModel], **more: Any) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {**json_body(shape), **more}}}


@router.get("/{code}", **AS_IT_IS)
async def follow(own: Own) -> dict[str, Any]:
    """How far the report is. The key goes into the header `Tracking-Key` or `?key=`."""
    return await own.view()


@router.post(
    "/{code}/messages",
    status_code=201,
    response_model=None,
    responses=answers(CitizenCase, 201, "The report with what was added"),
    openapi_extra=_takes(Message, **multipart_body(Message, "attachments")),
)
async def add_message(own: Own) -> dict[str, Any]:
    """Add something to the report. On a merged report it goes to the one that lives on."""
    given, uploads = await own.read(Message)
    return await own.act(Action.ADD_MESSAGE, given.model_dump(), uploads)


@router.post("/{code}/rating", openapi_extra=_takes(Rate), **AS_IT_IS)
async def rate(own: Own) -> dict[str, Any]:
    """Rate the answer from 1 to 5; 4 and 5 close the case."""
    given, _ = await own.read(Rate)
    return await own.act(Action.RATE, given.model_dump())


@router.post("/{code}/chase", **AS_IT_IS)
async def chase(own: Own) -> dict[str, Any]:
    """Ask again how far it is: whoever has it is reminded, and it is counted."""
    return await own.act(Action.CHASE, {})


@router.post("/{code}/preferred", openapi_extra=_takes(PreferredIn), **AS_IT_IS)
async def prefer(own: Own) -> dict[str, Any]:
    """Choose how to be told the answer: `sms` or `email` where the report states a number or mailbox, null for none."""
    given, _ = await own.read(PreferredIn)
    async with following(own.request, own.here, own.at, own.code, own.key) as follower:
        await follower.prefer(given.channel)
        return await follower.view()


@router.post("/{code}/reopen", openapi_extra=_takes(ReopenByCitizen), **AS_IT_IS)
async def reopen(own: Own) -> dict[str, Any]:
    """Say that it is not solved, within 15 days of the reply."""
    given, _ = await own.read(ReopenByCitizen)
    return await own.act(Action.REOPEN, given.model_dump())
