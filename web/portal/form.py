"""What a citizen's report form sent: kept as typed to be shown again, and read into a report or into what is wrong."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from pydantic import ValidationError

from cases import citizens
from cases.bodies import LONGEST_TEXT, clean_text
from cases.intake import Report
from core.errors import DomainError, Invalid
from core.text import fold
from core.validation import complaints
from routing.queries import Routing
from routing.recognising import recognise
from web.names import Lang
from web.pages import Form
from web.rendering import say
from web.reports import ReportIn, to_report

LONGEST_ADDRESS = 500
_KEY = re.compile(r"[\x21-\x7e]{8,64}")
# where a checked member complains → the field of the form that is told
FIELDS = {
    "text": "text",
    "field": "field",
    "location": "place",
    "location.lat": "place",
    "location.lng": "place",
    "location.address": "address",
    "location.area": "unit",
    "contact.name": "name",
    "contact.phone": "phone",
    "contact.email": "email",
}


def new_key() -> str:
    """What makes one filled-in form one report, however often it is sent."""
    return uuid.uuid4().hex


def key_in(form: Form) -> str:
    """The key a form was made with; a new one where it brings none that could be."""
    key = form.text("key")
    return key if _KEY.fullmatch(key) else new_key()


@dataclass(frozen=True, slots=True)
class Typed:
    """The form as its sender left it. `unit` is the name of a commune, `area` the code that a script put beside it."""

    key: str = field(default_factory=new_key)
    text: str = ""
    field: str = ""
    use_photo_location: bool = False
    lat: str = ""
    lng: str = ""
    address: str = ""
    unit: str = ""
    area: str = ""
    name: str = ""
    phone: str = ""
    email: str = ""
    anonymous: bool = False
    private: bool = False

    def with_new_key(self) -> "Typed":
        """The same content as another report."""
        return replace(self, key=new_key())


class Complaints(dict[str, str]):
    """What is wrong, by field; nothing is wrong with every other field."""

    def __missing__(self, field: str) -> str:
        return ""


class Wrong(Exception):
    """The form cannot be taken as it is."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__()
        self.fields = Complaints(fields)


def typed_in(form: Form) -> Typed:
    """The form as it was sent."""
    return Typed(
        key=key_in(form),
        text=form.text("text"),
        field=form.text("field"),
        use_photo_location=form.flag("use_photo_location"),
        lat=form.text("lat"),
        lng=form.text("lng"),
        address=form.text("address"),
        unit=form.text("unit"),
        area=form.text("area"),
        name=form.text("name"),
        phone=form.text("phone"),
        email=form.text("email"),
        anonymous=form.flag("anonymous"),
        private=form.flag("private"),
    )


def told(error: DomainError, lang: Lang) -> str:
    """The sentence of an error in the reader's language."""
    return error.en if lang == "en" else error.vi


def read(typed: Typed, routing: Routing, on: date, lang: Lang) -> Report:
    """The report that was typed; Wrong names every field that has to be mended."""
    wrong = _about_text(typed.text, lang)
    if not typed.anonymous:
        wrong |= _about_contact(typed, lang)
    area = typed.area or unit_named(typed.unit, routing, on)
    # A name that says nothing for certain is kept where people read it.
    address = ", ".join(part for part in (typed.address, "" if area else typed.unit) if part)
    if len(address) > LONGEST_ADDRESS:
        wrong["address"] = say(lang, "Địa chỉ dài quá, nhiều nhất %(most)s ký tự.", most=LONGEST_ADDRESS)
        address = ""
    members = {
        "text": "-" if "text" in wrong else typed.text,
        "field": typed.field or None,
        "location": {
            "lat": typed.lat or None,
            "lng": typed.lng or None,
            "address": address or None,
            "area": area or None,
        },
        "contact": {name: "" if name in wrong else getattr(typed, name) for name in ("name", "phone", "email")},
        "anonymous": typed.anonymous,
        "public": not typed.private,
    }
    wrong |= {name: text for name, text in _about_members(members, lang).items() if name not in wrong}
    if wrong:
        raise Wrong(wrong)
    try:
        return to_report(ReportIn.model_validate(members), routing)
    except Invalid as refused:
        raise Wrong({FIELDS.get(each["where"], "text"): told(refused, lang) for each in refused.errors}) from None


def _about_text(text: str, lang: Lang) -> dict[str, str]:
    length = len(str(clean_text(text)))
    if length == 0:
        return {"text": say(lang, "Anh/chị hãy viết vài chữ về sự việc.")}
    if length > LONGEST_TEXT:
        told = say(lang, "Nội dung dài %(length)s ký tự, nhiều nhất %(most)s.", length=length, most=LONGEST_TEXT)
        return {"text": told}
    return {}


def _about_contact(typed: Typed, lang: Lang) -> dict[str, str]:
    """Each handle by itself, so that both are told when both are wrong."""
    wrong = {}
    for name, read_one in (("phone", citizens.phone_number), ("email", citizens.email_address)):
        if value := getattr(typed, name):
            try:
                read_one(value)
            except Invalid as refused:
                wrong[name] = told(refused, lang)
    return wrong


def _about_members(members: dict[str, Any], lang: Lang) -> dict[str, str]:
    try:
        ReportIn.model_validate(members)
    except ValidationError as problem:
        found = complaints(problem.errors(include_url=False, include_input=False))
        return {FIELDS.get(each["where"], "text"): each["detail_en" if lang == "en" else "detail"] for each in found}
    return {}


def unit_named(text: str, routing: Routing, on: date) -> str | None:
    """The code of the one unit these words name, with or without its type, old names too; None when in doubt."""
    if not text:
        return None
    places = routing.places
    if (definite := recognise(text, places, on).definite) is not None:
        return definite
    wanted = fold(text)
    same = [place for place in places.search(text, on, 20) if wanted in (fold(place.name), fold(places.label(place)))]
    living = [place for place in same if place.valid(on)] or same
    return living[0].code if len(living) == 1 else None
