"""A request that was sent: who sends it, and its form as a report."""

import hmac
import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from cases.desk import invalid_body
from cases.intake import Report
from core.errors import Invalid, NotAllowed, NotFound
from routing.queries import Routing
from web.open311.asking import Query, one
from web.reports import ReportIn, to_report

LONGEST_DESCRIPTION: Final = 4_000  # characters, as the specification has it
LONGEST_LINK: Final = 2_000
ANONYMOUS: Final = ""
CHANNEL: Final = "open311"

_ATTRIBUTE = re.compile(r"attribute\[([^\[\]]{1,80})\](\[\])?")
_CALLED: Final = {  # our members → the parameters they came by
    "text": "description",
    "field": "service_code",
    "location": "lat, long",
    "location.lat": "lat",
    "location.lng": "long",
    "location.address": "address_string",
    "contact.name": "first_name, last_name",
    "contact.phone": "phone",
    "contact.email": "email",
}


def client_of(given: str, clients: Mapping[str, str]) -> str:
    """The name of the client with this key; ANONYMOUS for none. NotAllowed when nobody has it."""
    if not given:
        return ANONYMOUS
    found = [name for name, key in clients.items() if hmac.compare_digest(key.encode(), given.encode())]
    if not found:
        raise NotAllowed("Khóa api_key không đúng.", "Invalid api_key received.")
    return found[0]


def report_of(form: Query, services: Mapping[str, str], routing: Routing) -> Report:
    """The report that a form makes; `services` are the names of those that take reports, by code.

    Invalid and NotFound name the parameter. What the form holds beyond ours is kept in the text and never fetched.
    """
    service = one(form, "service_code")
    if not service:
        raise Invalid.at("service_code", "Thiếu service_code.", "service_code was not provided.", "missing")
    if service not in services:
        raise NotFound("Không có service_code này.", "service_code was not found.")
    members: dict[str, Any] = {
        "text": _text(form, services[service]),
        "field": service,
        "location": _location(form),
        "contact": _contact(form),
    }
    try:
        return to_report(ReportIn.model_validate(members), routing, channel=CHANNEL)
    except ValidationError as problem:
        raise _renamed(invalid_body(problem)) from None
    except Invalid as problem:
        raise _renamed(problem) from None


def _text(form: Query, service: str) -> str:
    description, link = one(form, "description"), one(form, "media_url")
    if len(description) > LONGEST_DESCRIPTION:
        raise Invalid.at("description", "Nhiều nhất 4.000 ký tự.", "At most 4,000 characters.", "too_long")
    if len(link) > LONGEST_LINK:
        raise Invalid.at("media_url", "Nhiều nhất 2.000 ký tự.", "At most 2,000 characters.", "too_long")
    lines = [description or service]
    for name, values in form.items():
        stated = ", ".join(value.strip() for value in values if value.strip())
        if (named := _ATTRIBUTE.fullmatch(name)) is not None and stated:
            lines.append(f"{named[1]}: {stated}")
    if link:
        lines.append(f"Liên kết gửi kèm: {link}")
    return "\n".join(lines)


def _location(form: Query) -> dict[str, str]:
    given = {"lat": one(form, "lat"), "lng": one(form, "long"), "address": one(form, "address_string")}
    stated = {name: value for name, value in given.items() if value}
    if not stated:
        raise Invalid.at(
            "lat, long, address_string",
            "Cần lat và long, hoặc address_string. Ở đây không dùng address_id.",
            "Provide lat and long, or address_string. There are no address_id here.",
            "missing",
        )
    return stated


def _contact(form: Query) -> dict[str, str]:
    """Vietnamese names begin with the family's."""
    name = " ".join(filter(None, (one(form, "last_name"), one(form, "first_name"))))
    given = {"name": name, "phone": one(form, "phone"), "email": one(form, "email")}
    return {member: value for member, value in given.items() if value}


def _renamed(problem: Invalid) -> Invalid:
    for error in problem.errors:
        error["where"] = _CALLED.get(error["where"], error["where"])
    return problem
