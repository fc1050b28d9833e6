"""The citizen's report comes in."""

import re
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.responses import Response

from cases import citizens
from cases.bodies import Code, Short, Text, clean_text, no_controls
from cases.intake import Report, open_case
from core.errors import Invalid
from core.files import Stored, take
from core.ids import uuid7
from routing.queries import Routing
from web.bodies import read_body
from web.deps import client_address, desk_of, rules_in_force, state_of
from web.docs import PROBLEMS, header, json_body, multipart_body
from web.problems import language

KEY = re.compile(r"[\x21-\x7e]+")
KEY_LENGTH = 200
PROOF_LENGTH = 2000


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
        },
        "parameters": [
            header("Idempotency-Key", "A key of the sender's own for this report", KEY_LENGTH, KEY.pattern),
            header("Altcha", "Solution of a proof of work asked for", PROOF_LENGTH),
        ],
    },
)
async def report(request: Request) -> Response:
    """Send a report. The same `Idempotency-Key` with the same content gives the same answer; other content 422."""
    here = state_of(request)  # read here, as the headers are: dependencies would cost more than the checks of the body
    at = here.clock()
    key, proof = _key(request), request.headers.get("altcha")
    here.throttle.check(client_address(request), proof if proof and len(proof) <= PROOF_LENGTH else None)
    routing = await rules_in_force(here)
    given, uploads = await read_body(request, ReportIn)
    checked = to_report(given, routing, language=language(request))
    if uploads:
        stored = await take(uploads, here.files, at=at, use_location=given.use_photo_location)
        checked = with_files(checked, stored)
    opened = await open_case(
        here.together,
        desk_of(here, routing),
        checked,
        key=key or str(uuid7(at)),
        at=at,
        account="portal",
    )
    return Response(to_json(opened.answer), 201, media_type="application/json")


def _key(request: Request) -> str | None:
    """The key by which the same report is known again; Invalid when it is no such key."""
    given = request.headers.get("idempotency-key")
    if given is None or (len(given) <= KEY_LENGTH and KEY.fullmatch(given)):
        return given
    raise Invalid.at(
        "header.idempotency-key",
        f"Idempotency-Key gồm 1 đến {KEY_LENGTH} ký tự ASCII nhìn thấy được, không có khoảng trắng.",
        f"Idempotency-Key is 1 to {KEY_LENGTH} visible ASCII characters without spaces.",
        "key",
    )


def to_report(
    given: ReportIn,
    routing: Routing,
    *,
    channel: str | None = None,
    urgency: str | None = None,
    kind: str | None = None,
    language: str | None = None,
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
        language=language,
    )


def with_files(report: Report, stored: list[Stored]) -> Report:
    """The report with its files; where it names no place itself, that of the first photo which has one."""
    found = next(((s.lat, s.lng) for s in stored if s.lat is not None), None)
    if found is not None and report.lat is None:
        report = replace(report, lat=found[0], lng=found[1])
    return replace(report, files=tuple(stored))
