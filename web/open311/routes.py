"""Open311 GeoReport v2 (specification frozen in 2011): discovery, services, requests, tokens; XML and JSON.

Read without a key. Whoever sends without one is slowed down by address as on the portal; who has one, by name.
"""

import uuid
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from starlette.responses import Response

from cases.intake import open_case
from cases.published import published_among, published_one
from core.errors import NotFound, UnknownType
from routing.queries import Routing
from web.bodies import media_type
from web.deps import Db, Here, Now, Rules, client_address, desk_of, rules_in_force
from web.open311 import shapes
from web.open311.asking import Query as Members
from web.open311.asking import one, page_of
from web.open311.documented import ANSWERS, ERRORS, FORM
from web.open311.formats import MEDIA_TYPES, written
from web.open311.sending import ANONYMOUS, client_of, report_of
from web.pages import read_page_form
from web.shapes import zone_of
from web.state import State

router = APIRouter(prefix="/open311/v2", tags=["open311"], responses=ERRORS)

FORM_TYPE: Final = "application/x-www-form-urlencoded"
Named = Annotated[str | None, Query(description="Host of the public address; may be left out", max_length=200)]
Id = Annotated[str, Path(max_length=80)]
Text = Annotated[str | None, Query(max_length=4_000)]


@dataclass(frozen=True, slots=True)
class Asked:
    """How an answer is wanted, of which process, at which moment."""

    here: State
    at: datetime
    form: str

    @property
    def url(self) -> str:
        """Where people reach us."""
        return self.here.settings.public_url.rstrip("/")

    def answer(self, name: str, value: Any) -> Response:
        """`value` under the element `name`."""
        return written(self.form, name, value)

    def day(self, routing: Routing) -> date:
        """Today, where the centre is."""
        return self.at.astimezone(zone_of(routing)).date()

    def check_jurisdiction(self, given: str | None) -> None:
        """There is one jurisdiction: its id may be left out, and no other is known."""
        if given and given.strip() and given.strip().lower().removeprefix("www.") != jurisdiction_id(self.url):
            raise NotFound("Không có jurisdiction_id này.", "jurisdiction_id was not found.")


def jurisdiction_id(url: str) -> str:
    """The host of our public address, without www, as the specification suggests."""
    return (urlsplit(url).hostname or "").lower().removeprefix("www.")


async def _asked(
    here: Here,
    at: Now,
    format: Annotated[str, Path(json_schema_extra={"enum": list(MEDIA_TYPES)})],
    jurisdiction_id: Named = None,
) -> Asked:
    if format not in MEDIA_TYPES:
        raise NotFound("Chỉ có định dạng .xml và .json.", "There are .xml and .json only.")
    asked = Asked(here, at, format)
    asked.check_jurisdiction(jurisdiction_id)
    return asked


Ask = Annotated[Asked, Depends(_asked)]


@router.get("/discovery.{format}", response_model=None, responses=ANSWERS["discovery"])
async def discovery(asked: Ask) -> Response:
    """Where the interface is and what it speaks."""
    routing = await rules_in_force(asked.here)
    told = shapes.discovery(asked.url, routing, asked.day(routing), live=not asked.here.demo)
    return asked.answer("discovery", told)


@router.get("/services.{format}", response_model=None, responses=ANSWERS["services"])
async def services(asked: Ask) -> Response:
    """What can be reported."""
    routing = await rules_in_force(asked.here)
    return asked.answer("services", shapes.services(routing, asked.day(routing)))


@router.get("/services/{service_code}.{format}", response_model=None, responses=ANSWERS["service_definition"])
async def service_definition(asked: Ask, service_code: Id) -> Response:
    """What is asked besides for a service: nothing, for any."""
    routing = await rules_in_force(asked.here)
    if service_code not in _names(asked, routing):
        raise NotFound("Không có service_code này.", "service_code was not found.")
    return asked.answer("service_definition", {"service_code": service_code, "attributes": []})


@router.get("/requests.{format}", response_model=None, responses=ANSWERS["service_requests"])
async def requests(
    request: Request,
    asked: Ask,
    session: Db,
    routing: Rules,
    service_request_id: Text = None,
    service_code: Text = None,
    start_date: Text = None,
    end_date: Text = None,
    status: Text = None,
    updated_after: Text = None,
    updated_before: Text = None,
    page: Text = None,
    page_size: Text = None,
) -> Response:
    """Published requests, latest first: those named, else those of the last 90 days or of another such span."""
    query = request.query_params
    wanted = page_of({name: query.getlist(name) for name in query}, asked.at)  # parameters may be repeated
    found = await published_among(session, wanted.wanted, limit=wanted.limit, offset=wanted.offset)
    return asked.answer("service_requests", [shapes.request(case, routing) for case in found])


@router.post("/requests.{format}", status_code=201, response_model=None, responses=ANSWERS["sent"], openapi_extra=FORM)
async def send(
    request: Request,
    asked: Ask,
    idempotency_key: Annotated[str | None, Header(max_length=150, pattern=r"^[\x21-\x7e]+$")] = None,
    altcha: Annotated[str | None, Header(max_length=2000, description="Solution of a proof of work asked for")] = None,
) -> Response:
    """Send a request. The same `Idempotency-Key` with the same content gives the same answer; other content 400."""
    here, form = asked.here, await _form_of(request)
    asked.check_jurisdiction(one(form, "jurisdiction_id"))
    client = client_of(one(form, "api_key"), here.settings.open311_clients)
    if client == ANONYMOUS:
        here.throttle.check(client_address(request), altcha)
    else:
        here.clients.check(client, altcha)
    routing = await rules_in_force(here)
    report = report_of(form, _names(asked, routing), routing)
    opened = await open_case(
        here.together,
        desk_of(here, routing),
        report,
        key=f"{client}/{idempotency_key or uuid.uuid4()}",  # nobody gets the answer to another client's key
        at=asked.at,
        account="portal",
    )
    told = [shapes.sent(opened.answer, asked.url)]
    return written(asked.form, "service_requests", told, 201, {"Cache-Control": "no-store"})


@router.get("/requests/{service_request_id}.{format}", response_model=None, responses=ANSWERS["service_requests"])
async def request_by_id(asked: Ask, session: Db, routing: Rules, service_request_id: Id) -> Response:
    """One published request. Every other one is not there."""
    case = await published_one(session, service_request_id)
    return asked.answer("service_requests", [shapes.request(case, routing)])


@router.get("/tokens/{token}.{format}", response_model=None, responses={})
async def token(asked: Ask, token: Id) -> Response:
    """No token is ever given, because requests are answered with their id at once; so none is known."""
    raise NotFound("Không có token này.", "token was not found.")


async def _form_of(request: Request) -> Members:
    if media_type(request) != FORM_TYPE:
        raise UnknownType(f"Nội dung phải là {FORM_TYPE}.", f"The body must be {FORM_TYPE}.")
    return (await read_page_form(request)).members


def _names(asked: Asked, routing: Routing) -> dict[str, str]:
    """The services that take reports today, by code."""
    return {each["service_code"]: each["service_name"] for each in shapes.services(routing, asked.day(routing))}
