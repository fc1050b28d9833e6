"""The citizen's side: report, follow, add, rate, reopen."""

import json
import uuid
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from cases import citizens
from cases.bodies import Code, Message, Rate, ReopenByCitizen, Short, Text, clean_text, no_controls
from cases.codes import key_fits, read_code
from cases.desk import Office, not_found, perform
from cases.intake import Report, open_case
from cases.models import Case
from cases.queries import case_file, follow_merges, reply_to, timeline
from cases.states import Action
from core import auth
from core.errors import Invalid
from core.files import Stored, Upload, take
from core.staff import CITIZEN
from routing.queries import Routing
from web.answers import CitizenCase
from web.bodies import read_body
from web.deps import AtOffice, Db, Here, Now, Rules, client_address, desk_of, state_of
from web.docs import PROBLEMS, answers, json_body, multipart_body
from web.shapes import case_to_citizen
from web.state import State

router = APIRouter(prefix="/api/v1/reports", tags=["reports"], responses=PROBLEMS)


class LocationIn(BaseModel):
    """Where: a point, an address in words, an area by code; any of them."""

    model_config = ConfigDict(extra="forbid")

    lat: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)] | None = None
    lng: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)] | None = None
    address: Short | None = None
    area: Code | None = None


class ContactIn(BaseModel):
    """Who, as far as they want to say."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=200)] | None = None
    phone: Annotated[str, Field(max_length=40)] | None = None
    email: Annotated[str, Field(max_length=254)] | None = None


class ReportIn(BaseModel):
    """A citizen's report. Unknown members are refused, so that a typing error loses nothing silently."""

    model_config = ConfigDict(extra="forbid")

    text: Text
    field: Code | None = None
    location: LocationIn | None = None
    contact: ContactIn | None = None
    anonymous: bool = False
    public: bool = True
    source: Literal["web", "app"] = "web"
    use_photo_location: bool = Field(default=False, description="The citizen agrees that the place in a photo is read")
    attachments: Annotated[list[Any], Field(max_length=0, description="Files come as multipart")] = []


class Receipt(BaseModel):
    """What the reporter keeps."""

    code: str
    tracking_key: str
    status: str
    received_at: str
    promised_at: str | None
    limits: list[dict[str, Any]]


@router.post(
    "",
    status_code=201,
    response_model=Receipt,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {**json_body(ReportIn), **multipart_body(ReportIn, "attachments")},
        }
    },
)
async def report(
    request: Request,
    idempotency_key: Annotated[str | None, Header(max_length=200, pattern=r"^[\x21-\x7e]+$")] = None,
    altcha: Annotated[str | None, Header(max_length=2000, description="Solution of a proof of work asked for")] = None,
) -> Response:
    """Send a report. The same `Idempotency-Key` with the same content gives the same answer; other content 422."""
    here = state_of(request)  # read here, for three dependencies would cost as much as the checks of the body
    at = here.clock()
    here.throttle.check(client_address(request), altcha)
    routing = here.routing.fresh
    if routing is None:
        async with here.database.transaction() as session:
            routing = await here.routing.get(session)
    given, uploads = await read_body(request, ReportIn)
    checked = to_report(given, routing)
    if uploads:
        stored = await take(uploads, here.files, at=at, use_location=given.use_photo_location)
        checked = with_files(checked, stored)
    opened = await open_case(
        await here.database.pool(),
        desk_of(here, routing),
        checked,
        key=idempotency_key or str(uuid.uuid4()),
        at=at,
        account="portal",
    )
    # Sorted, because the database gives a kept answer back in an order of its own: a replay is the same to the byte.
    return Response(json.dumps(opened.answer, sort_keys=True), 201, media_type="application/json")


def to_report(
    given: ReportIn,
    routing: Routing,
    *,
    channel: str | None = None,
    urgency: str | None = None,
    kind: str | None = None,
) -> Report:
    """The checked members as intake takes them; Invalid names what does not exist."""
    place = given.location or LocationIn()
    if (place.lat is None) != (place.lng is None):
        raise Invalid.at("location", "Tọa độ cần cả vĩ độ và kinh độ.", "A point needs both lat and lng.")
    if given.field is not None and given.field not in routing.fields:
        raise Invalid.at("field", "Không có lĩnh vực mã này.", "There is no such field.", "unknown")
    if place.area is not None and routing.area(place.area) is None:
        raise Invalid.at("location.area", "Không có địa bàn mã này.", "There is no such area.", "unknown")
    # An anonymous reporter's contact is not kept at all, whatever a form still holds.
    contact = ContactIn() if given.anonymous or given.contact is None else given.contact
    name = str(clean_text(contact.name)) if contact.name and contact.name.strip() else None
    if name is not None:
        try:
            no_controls(name)
        except ValueError as problem:
            raise Invalid.at("contact.name", "Tên có ký tự không hợp lệ.", str(problem)) from None
    return Report(
        channel=channel or given.source,
        text=given.text,
        field=given.field,
        area=place.area,
        lat=place.lat,
        lng=place.lng,
        address=place.address,
        name=name,
        phone=citizens.phone_number(contact.phone) if contact.phone and contact.phone.strip() else None,
        email=citizens.email_address(contact.email) if contact.email and contact.email.strip() else None,
        public=given.public,
        urgency=urgency,
        kind=kind,
    )


def with_files(report: Report, stored: list[Stored]) -> Report:
    """The report with its files; where it names no place itself, that of the first photo which has one."""
    found = next(((s.lat, s.lng) for s in stored if s.lat is not None), None)
    if found is not None and report.lat is None:
        report = replace(report, lat=found[0], lng=found[1])
    return replace(report, files=tuple(stored))


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


async def citizen_view(session: AsyncSession, case: Case, routing: Routing) -> dict[str, Any]:
    """The case as its reporter sees it."""
    file = await case_file(session, case)
    shown = case_to_citizen(file, await timeline(session, case, internal=False), routing)
    if case.merged_into is not None:  # the answer to the case that went on is the answer to this one
        shown["reply"] = await reply_to(session, await follow_merges(session, case))
    return shown


@router.get("/{code}", response_model=None, responses=answers(CitizenCase, description="The report as it is now"))
async def follow(
    request: Request,
    here: Here,
    session: Db,
    routing: Rules,
    at: Now,
    code: str,
    key: Key = None,
    tracking_key: KeyHeader = None,
) -> dict[str, Any]:
    """How far the report is. The key goes into the header `Tracking-Key` or `?key=`."""
    case = await own_case(request, here, session, code, tracking_key or key, at)
    return await citizen_view(session, case, routing)


async def _act(
    request: Request,
    here: State,
    session: AsyncSession,
    office: Office,
    at: datetime,
    code: str,
    key: str | None,
    action: Action,
    body: dict[str, Any],
    uploads: list[Upload] | None = None,
) -> dict[str, Any]:
    case = live = await own_case(request, here, session, code, key, at)
    if action is Action.ADD_MESSAGE and case.merged_into is not None:
        live = await follow_merges(session, case, lock=True)
        body = {**body, "via": case.id}
    files = await take(uploads, here.files, at=at) if uploads else []
    await perform(session, office, CITIZEN, live.id, action, body, at, files=tuple(files))
    return await citizen_view(session, case, office.routing)


@router.post(
    "/{code}/messages",
    status_code=201,
    response_model=None,
    responses=answers(CitizenCase, 201, "The report with what was added"),
    openapi_extra={
        "requestBody": {"required": True, "content": {**json_body(Message), **multipart_body(Message, "attachments")}}
    },
)
async def add_message(
    request: Request,
    here: Here,
    session: Db,
    office: AtOffice,
    at: Now,
    code: str,
    key: Key = None,
    tracking_key: KeyHeader = None,
) -> dict[str, Any]:
    """Add something to the report. On a merged report it goes to the one that lives on."""
    given, uploads = await read_body(request, Message)
    return await _act(
        request, here, session, office, at, code, tracking_key or key, Action.ADD_MESSAGE, given.model_dump(), uploads
    )


@router.post(
    "/{code}/rating",
    response_model=None,
    responses=answers(CitizenCase, description="The report as it is now"),
    openapi_extra={"requestBody": {"required": True, "content": json_body(Rate)}},
)
async def rate(
    request: Request,
    here: Here,
    session: Db,
    office: AtOffice,
    at: Now,
    code: str,
    key: Key = None,
    tracking_key: KeyHeader = None,
) -> dict[str, Any]:
    """Rate the answer from 1 to 5; 4 and 5 close the case."""
    given, _ = await read_body(request, Rate)
    return await _act(request, here, session, office, at, code, tracking_key or key, Action.RATE, given.model_dump())


@router.post(
    "/{code}/chase",
    response_model=None,
    responses=answers(CitizenCase, description="The report as it is now"),
)
async def chase(
    request: Request,
    here: Here,
    session: Db,
    office: AtOffice,
    at: Now,
    code: str,
    key: Key = None,
    tracking_key: KeyHeader = None,
) -> dict[str, Any]:
    """Ask again how far it is: whoever has it is reminded, and it is counted."""
    return await _act(request, here, session, office, at, code, tracking_key or key, Action.CHASE, {})


@router.post(
    "/{code}/reopen",
    response_model=None,
    responses=answers(CitizenCase, description="The report as it is now"),
    openapi_extra={"requestBody": {"required": True, "content": json_body(ReopenByCitizen)}},
)
async def reopen(
    request: Request,
    here: Here,
    session: Db,
    office: AtOffice,
    at: Now,
    code: str,
    key: Key = None,
    tracking_key: KeyHeader = None,
) -> dict[str, Any]:
    """Say that it is not solved, within 15 days of the reply."""
    given, _ = await read_body(request, ReopenByCitizen)
    return await _act(request, here, session, office, at, code, tracking_key or key, Action.REOPEN, given.model_dump())
