"""GeoReport v2 on the wire: one value, written as XML or as JSON.

JSON follows the XML by the Spark convention: lists stand without their wrapper, an empty element is null.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from xml.etree import ElementTree

from starlette.responses import Response

ROOT: Final = "/open311/"
XML, JSON = "xml", "json"
MEDIA_TYPES: Final = {XML: "text/xml", JSON: "application/json"}
CHALLENGE: Final = "Altcha-Challenge"  # header with the proof of work that a refusal asks for

_ONE: Final = {  # what one member of a list is called
    "endpoints": "endpoint",
    "formats": "format",
    "services": "service",
    "attributes": "attribute",
    "service_requests": "request",
    "errors": "error",
}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML 1.0 cannot hold
# "404 for resources that don't exist, 403 for errors because of wrong or missing api_key and basically 400 for any
# other error"; what HTTP itself has a number for keeps it.
_BAD_REQUEST: Final = frozenset({401, 409, 412, 415, 422})


def written(form: str, name: str, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The answer: `value` under the element `name`."""
    text = json.dumps(value, ensure_ascii=False) if form == JSON else _document(name, value)
    told = {"Content-Type": f"{MEDIA_TYPES[form]}; charset=utf-8", **(headers or {})}
    return Response(text.encode(), status, told)


def refused(
    path: str, status: int, sentences: Iterable[str], headers: Mapping[str, str], challenge: object = None
) -> Response:
    """The errors of a request, in the format its path asks for."""
    status = 400 if status in _BAD_REQUEST else status
    told = [{"code": status, "description": sentence} for sentence in sentences]
    asked = {CHALLENGE: json.dumps(challenge)} if challenge is not None else {}
    return written(JSON if path.endswith(f".{JSON}") else XML, "errors", told, status, {**headers, **asked})


def _document(name: str, value: Any) -> str:
    root = ElementTree.tostring(_element(name, value), encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{root}\n'


def _element(name: str, value: Any) -> ElementTree.Element:
    made = ElementTree.Element(name)
    if isinstance(value, dict):
        made.extend(_element(member, each) for member, each in value.items())
    elif isinstance(value, list):
        made.extend(_element(_ONE[name], each) for each in value)
    elif isinstance(value, bool):
        made.text = str(value).lower()
    elif value is not None:
        made.text = _NOT_XML.sub("\ufffd", str(value))
    return made
