"""What GeoReport v2 shows of us: the services there are, and of cases what is published."""

import hashlib
import json
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from cases.models import Case
from cases.replies import day_and_time
from cases.states import OPEN
from routing.queries import Routing
from web.names import name_of
from web.open311.formats import MEDIA_TYPES
from web.portal.keys import PATH as TRACK
from web.portal.report import groups
from web.shapes import published_case, zone_of

SPECIFICATION = "http://wiki.open311.org/GeoReport_v2"


def discovery(url: str, routing: Routing, on: date, *, live: bool) -> dict[str, Any]:
    """Where the interface is and what it speaks; `changeset` changes when the services do, and sorts by its day."""
    changeset = _changeset(services(routing, on), routing, on)
    return {
        "changeset": changeset,
        "contact": f"Tổng đài 1022, {url}",
        "key_service": f"Khóa do quản trị viên của tổng đài 1022 cấp ({url}). Không có khóa vẫn gửi được, số lượng ít.",
        "endpoints": [
            {
                "specification": SPECIFICATION,
                "url": f"{url}/open311/v2",
                "changeset": changeset,
                "type": "production" if live else "test",
                "formats": list(MEDIA_TYPES.values()),
            }
        ],
    }


def services(routing: Routing, on: date) -> list[dict[str, Any]]:
    """What can be reported on that day: the living fields. Codes of requests are given at once, so all are realtime."""
    return [
        {
            "service_code": code,
            "service_name": name,
            "description": f"{group}: {name}",
            "metadata": False,
            "type": "realtime",
            "keywords": ", ".join(routing.fields[code].keywords) or None,
            "group": group,
        }
        for group, fields in groups(routing, on)
        for code, name in fields
    ]


def request(case: Case, routing: Routing) -> dict[str, Any]:
    """A published case. Text and place are those that a person checked and the centre of the unit; it was last changed,
    for the world, when it was published."""
    shown, zone = published_case(case, routing), zone_of(routing)
    field, lead, place = shown["field"] or {}, shown["lead"] or {}, shown["location"] or {}
    return {
        "service_request_id": shown["code"],
        "status": "open" if case.status in OPEN else "closed",
        "status_notes": name_of("citizen_status", case.status, "vi"),
        "service_name": field.get("name"),
        "service_code": field.get("code"),
        "description": shown["text"],
        "agency_responsible": lead.get("name"),
        "service_notice": None,
        "requested_datetime": _w3c(case.received_at, zone),
        "updated_datetime": _w3c(case.published_at, zone) if case.published_at else None,
        "expected_datetime": None,
        "address": _address(case, routing),
        "address_id": None,
        "zipcode": None,
        "lat": place.get("lat"),
        "long": place.get("lng"),
        "media_url": None,
    }


def sent(answer: dict[str, Any], url: str) -> dict[str, Any]:
    """What whoever sent a report keeps. The notice holds the way to follow it, which is theirs alone."""
    code, key = answer["code"], answer["tracking_key"]
    notice = f"Theo dõi và nhận trả lời tại {url}{TRACK}?code={code}&key={key} (mã {code}, khóa {key})."
    if answer["promised_at"]:
        notice += f" Dự kiến có trả lời trước {day_and_time(datetime.fromisoformat(answer['promised_at']))}."
    return {"service_request_id": code, "service_notice": notice, "account_id": None}


def _changeset(listed: list[dict[str, Any]], routing: Routing, on: date) -> str:
    days = [day for row in routing.field_rows.values() for day in (row.valid_from, row.valid_to) if day and day <= on]
    content = hashlib.sha256(json.dumps(listed).encode()).hexdigest()[:8]
    return f"{max(days, default=on).isoformat()} {content}"


def _address(case: Case, routing: Routing) -> str | None:
    place = routing.area(case.area)
    if place is None:
        return None
    above = routing.area(place.parent)
    return ", ".join(routing.places.label(each) for each in (place, above) if each is not None)


def _w3c(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).isoformat(timespec="seconds")
