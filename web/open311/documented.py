"""How the OpenAPI document describes GeoReport v2; the shapes are made in `web.open311.shapes`."""

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, TypeAdapter

from web.docs import inlined
from web.open311.formats import CHALLENGE, MEDIA_TYPES, XML


class Endpoint(BaseModel):
    """One interface."""

    specification: str
    url: str
    changeset: str
    type: Literal["production", "test"]
    formats: list[str]


class Discovery(BaseModel):
    """What there is."""

    changeset: str
    contact: str
    key_service: str
    endpoints: list[Endpoint]


class Service(BaseModel):
    """Something that can be reported."""

    service_code: str
    service_name: str
    description: str
    metadata: bool
    type: Literal["realtime"]
    keywords: str | None
    group: str


class ServiceDefinition(BaseModel):
    """What is asked besides."""

    service_code: str
    attributes: list[dict[str, Any]]


class ServiceRequest(BaseModel):
    """A published request."""

    service_request_id: str
    status: Literal["open", "closed"]
    status_notes: str | None
    service_name: str | None
    service_code: str | None
    description: str | None
    agency_responsible: str | None
    service_notice: str | None
    requested_datetime: datetime
    updated_datetime: datetime | None
    expected_datetime: datetime | None
    address: str | None
    address_id: str | None
    zipcode: str | None
    lat: float | None
    long: float | None
    media_url: str | None


class Sent(BaseModel):
    """What whoever sent a request keeps."""

    service_request_id: str
    service_notice: str
    account_id: str | None


class Fault(BaseModel):
    """Why a request was refused."""

    code: int
    description: str


def _content(shape: Any, description: str) -> dict[str, Any]:
    """Both formats of an answer. XML is the same by the Spark convention, without a schema of its own."""
    whole = inlined(TypeAdapter(shape).json_schema())
    return {
        "description": description,
        "content": {kind: ({} if form == XML else {"schema": whole}) for form, kind in MEDIA_TYPES.items()},
    }


ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    400: _content(list[Fault], "Not as the specification has it; the parameter is named"),
    403: _content(list[Fault], "Nobody has this api_key"),
    404: _content(list[Fault], "Not there, or not public"),
    405: _content(list[Fault], "The path knows other methods"),
    413: _content(list[Fault], "Too large"),
    429: _content(list[Fault], f"Above the rate; see Retry-After and {CHALLENGE}"),
    503: _content(list[Fault], "Temporarily unavailable"),
}
ANSWERS: Final[dict[str, dict[int | str, dict[str, Any]]]] = {
    "discovery": {200: _content(Discovery, "What there is")},
    "services": {200: _content(list[Service], "The services")},
    "service_definition": {200: _content(ServiceDefinition, "The definition")},
    "service_requests": {200: _content(list[ServiceRequest], "The requests")},
    "sent": {201: _content(list[Sent], "It is a case now")},
}

_TEXT: Final = {"type": "string"}
FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["service_code"],
                    "properties": {
                        "api_key": _TEXT,
                        "jurisdiction_id": _TEXT,
                        "service_code": _TEXT,
                        "lat": _TEXT,
                        "long": _TEXT,
                        "address_string": _TEXT,
                        "description": {"type": "string", "maxLength": 4000},
                        "first_name": _TEXT,
                        "last_name": _TEXT,
                        "phone": _TEXT,
                        "email": _TEXT,
                        "media_url": {"type": "string", "maxLength": 2000, "description": "Kept, never fetched"},
                    },
                    "additionalProperties": True,
                }
            }
        },
    }
}
