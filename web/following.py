"""The citizen's side after the report: follow, add, ask again, rate, reopen."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from pydantic import BaseModel
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.bodies import Message, Rate, ReopenByCitizen
from cases.codes import key_fits, read_code
from cases.desk import Office, not_found, perform
from cases.models import Case
from cases.queries import CaseFile, case_file, follow_merges, reply_to, timeline
from cases.states import Action
from core import auth
from core.files import Upload, take
from core.staff import CITIZEN
from routing.queries import Routing
from web.answers import CitizenCase
from web.bodies import read_body
from web.deps import AtOffice, Db, Here, Now, client_address
from web.docs import PROBLEMS, answers, json_body, multipart_body
from web.shapes import case_to_citizen
from web.state import State

router = APIRouter(prefix="/api/v1/reports", tags=["reports"], responses=PROBLEMS)
AS_IT_IS: dict[str, Any] = {
    "response_model": None,
    "responses": answers(CitizenCase, description="The report as it is now"),
}

Key = Annotated[str | None, Query(max_length=40, description="Tracking key, where no header can be sent")]
KeyHeader = Annotated[str | None, Header(alias="Tracking-Key", max_length=40)]


async def own_case(
    request: Request, here: State, session: AsyncSession, code: str, key: str | None, at: datetime
) -> Case:
    """The case of a code and its key. A wrong key, an unknown code and none at all look the same, and are counted.

    A right key costs no write. A wrong one is counted before it is answered, and answered only within the rate, so that
    many guesses at once learn no more than the same one by one.
    """
    rate, standard = here.rates.get("key"), read_code(code)
    names = [f"key:{client_address(request)}", *([f"key:{standard}"] if standard else [])]
    buckets = dict.fromkeys(names, rate) if rate else {}
    await auth.refuse_if_throttled(session, buckets, at)
    case = (await session.exec(select(Case).where(Case.code == standard))).first() if standard else None
    probe = case.key_of if case else uuid.UUID(int=0)
    if not key_fits(here.key, probe, case.key_version if case else 1, key or "") or case is None:
        await session.rollback()  # gives the connection back: nobody may hold one and wait for a second
        async with here.database.transaction() as counting:  # outlives the refusal of this request
            await auth.count_try(counting, buckets, at)
        raise not_found()
    return case


async def citizen_file(session: AsyncSession, case: Case, routing: Routing) -> tuple[CaseFile, dict[str, Any]]:
    """The case with everything about it, and as its reporter sees it."""
    file = await case_file(session, case)
    shown = case_to_citizen(file, await timeline(session, case, internal=False), routing)
    if case.merged_into is not None:  # the answer to the case that went on is the answer to this one
        shown["reply"] = await reply_to(session, await follow_merges(session, case))
    return file, shown


@dataclass(frozen=True, slots=True)
class Follower:
    """A citizen who holds the key of a case."""

    here: State
    session: AsyncSession
    office: Office
    at: datetime
    case: Case

    async def view(self) -> dict[str, Any]:
        """The case as its reporter sees it."""
        return (await self.file())[1]

    async def file(self) -> tuple[CaseFile, dict[str, Any]]:
        """The case with everything about it, and as its reporter sees it."""
        return await citizen_file(self.session, self.case, self.office.routing)

    async def act(self, action: Action, body: dict[str, Any], uploads: list[Upload] | None = None) -> dict[str, Any]:
        """Do it, and show the case."""
        await self.do(action, body, uploads)
        return await self.view()

    async def do(self, action: Action, body: dict[str, Any], uploads: list[Upload] | None = None) -> None:
        """Do it. What is added to a merged case goes to the one that lives on."""
        live = self.case
        if action is Action.ADD_MESSAGE and self.case.merged_into is not None:
            live = await follow_merges(self.session, self.case, lock=True)
            body = {**body, "via": self.case.id}
        files = await take(uploads, self.here.files, at=self.at) if uploads else []
        await perform(self.session, self.office, CITIZEN, live.id, action, body, self.at, files=tuple(files))


async def _follower(
    request: Request,
    here: Here,
    session: Db,
    office: AtOffice,
    at: Now,
    code: str,
    key: Key = None,
    tracking_key: KeyHeader = None,
) -> Follower:
    case = await own_case(request, here, session, code, tracking_key or key, at)
    return Follower(here, session, office, at, case)


Own = Annotated[Follower, Depends(_follower)]


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
async def add_message(request: Request, own: Own) -> dict[str, Any]:
    """Add something to the report. On a merged report it goes to the one that lives on."""
    given, uploads = await read_body(request, Message)
    return await own.act(Action.ADD_MESSAGE, given.model_dump(), uploads)


@router.post("/{code}/rating", openapi_extra=_takes(Rate), **AS_IT_IS)
async def rate(request: Request, own: Own) -> dict[str, Any]:
    """Rate the answer from 1 to 5; 4 and 5 close the case."""
    given, _ = await read_body(request, Rate)
    return await own.act(Action.RATE, given.model_dump())


@router.post("/{code}/chase", **AS_IT_IS)
async def chase(own: Own) -> dict[str, Any]:
    """Ask again how far it is: whoever has it is reminded, and it is counted."""
    return await own.act(Action.CHASE, {})


@router.post("/{code}/reopen", openapi_extra=_takes(ReopenByCitizen), **AS_IT_IS)
async def reopen(request: Request, own: Own) -> dict[str, Any]:
    """Say that it is not solved, within 15 days of the reply."""
    given, _ = await read_body(request, ReopenByCitizen)
    return await own.act(Action.REOPEN, given.model_dump())
