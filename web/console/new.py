"""Taking in what a caller or visitor says, while they say it: earlier cases of the number, what and where it may be."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from cases.desk import invalid_body
from cases.lists import cases_of_phone
from cases.models import Case
from core.errors import BadUpload, Conflict, DomainError, Invalid
from routing import suggesting
from routing.decide import Facts, decide
from routing.queries import Routing
from routing.recognising import recognise
from web.cases import StaffReportIn, open_report
from web.console.calls import number_to_take_in
from web.console.case import Tap
from web.console.picking import Option, areas, chosen, departments, fields, named
from web.deps import AtOffice, Db, Here, Now, Rules
from web.pages import Form, FromHere, Looking, PageForm
from web.rendering import Viewer, language_of, render, viewer_of
from web.shapes import named_area, named_department, zone_of

router = APIRouter(include_in_schema=False, dependencies=[FromHere])

MEMBERS = ("channel", "text", "name", "phone", "field", "area", "address", "urgency", "forward", "lead")


@dataclass(frozen=True, slots=True)
class Hints:
    """What the text speaks for, and who would get the case by the rules."""

    fields: Sequence[Tap] = ()
    areas: Sequence[Tap] = ()
    lead: Option | None = None


@dataclass(frozen=True, slots=True)
class NewPage:
    """The form, with what was typed and what is wrong with it."""

    key: str
    values: Mapping[str, str]
    fields: Sequence[Option]
    areas: Sequence[Option]
    departments: Sequence[Option]
    urgencies: Sequence[Option]
    hints: Hints
    earlier: "CallerPage"
    wrong: Mapping[str, str] = field(default_factory=dict)
    alert: str = ""


@dataclass(frozen=True, slots=True)
class CallerPage:
    """Earlier cases of a number; `wrong` when it cannot be one."""

    asked: bool = False
    cases: Sequence[Case] = ()
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class TakenPage:
    """What is read aloud at the end of the call."""

    code: str
    key: str
    promised_at: datetime | None
    lead: str
    restricted: bool
    emergency: bool  # 113, 114 or 115 have to know of it


@router.get("/console/new")
async def new_page(
    request: Request, session: Db, who: Looking, routing: Rules, at: Now, task: uuid.UUID | None = None
) -> Response:
    """An empty form; with the number of a caller who is being called back. A number belongs in no address."""
    who.require("case.open")
    given = {"channel": "voice", "phone": await number_to_take_in(session, who, task, at)}
    page = await _page(session, who, routing, viewer_of(request, who), given, str(uuid.uuid4()))
    return render(request, "console/new.html", page, who=who)


@router.post("/console/new")
async def take_in(
    request: Request, here: Here, session: Db, who: Looking, office: AtOffice, at: Now, form: PageForm
) -> Response:
    """Open the case; sent twice it is opened once."""
    who.require("case.open")
    given = {name: form.text(name) for name in MEMBERS}
    key = form.text("key") or str(uuid.uuid4())
    try:
        async with session.begin_nested():
            report = _read(given, form)
            opened, case = await open_report(session, here, office, who, report, form.files(), key, at)
    except (Invalid, BadUpload, Conflict) as refused:
        view = viewer_of(request, who)
        page = await _page(session, who, office.routing, view, given, key, refused)
        return render(request, "console/new.html", page, who=who, status=refused.status)
    lead = named_department(case.lead, office.routing)
    taken = TakenPage(
        case.code,
        opened.answer["tracking_key"],
        case.promised_at,
        lead["name"] if lead else "",
        case.restricted,
        "emergency" in (case.urgency, case.kind) and not case.restricted,
    )
    return render(request, "console/new_taken.html", taken, who=who)


@router.post("/console/new/hints")
async def hints(request: Request, who: Looking, routing: Rules, form: PageForm) -> Response:
    """What the words typed so far speak for. By POST, for what people say belongs in no address."""
    who.require("case.open")
    given = {name: form.text(name) for name in MEMBERS}
    return render(request, "console/new_hints.html", _hints(given, routing, viewer_of(request, who)), who=who)


@router.post("/console/new/caller")
async def caller(request: Request, session: Db, who: Looking, form: PageForm) -> Response:
    """Earlier cases of the number being typed."""
    who.require("case.open")
    return render(
        request, "console/new_caller.html", await _earlier(session, who, form.text("phone"), request), who=who
    )


async def _earlier(session: AsyncSession, who: Any, phone: str, request: Request | None = None) -> CallerPage:
    if sum(char.isdigit() for char in phone) < 8:
        return CallerPage()
    try:
        return CallerPage(True, await cases_of_phone(session, who, phone))
    except Invalid as wrong:
        return CallerPage(True, (), wrong.en if request and language_of(request) == "en" else wrong.vi)


async def _page(
    session: AsyncSession,
    who: Any,
    routing: Routing,
    view: Viewer,
    given: Mapping[str, str],
    key: str,
    refused: DomainError | None = None,
) -> NewPage:
    on = view.at.astimezone(zone_of(routing)).date()
    values = {name: given.get(name, "") for name in MEMBERS}
    found = _hints(values, routing, view)
    suggested = [found.lead.value] if found.lead else []
    wrong: dict[str, str] = {}
    for error in refused.errors if refused else ():
        member = (
            str(error["where"]).replace("[", ".").rpartition(".")[2]
            if "attachments" not in error["where"]
            else "attachments"
        )
        told = str(error.get("detail_en") or "") if view.lang == "en" else str(error["detail"])
        wrong.setdefault(member, told or (refused.en if refused else ""))
    return NewPage(
        key,
        values,
        fields(routing, on),
        areas(routing, on, [tap.value for tap in found.areas]),
        chosen(
            departments(routing, on, suggested, view.say("gợi ý bởi quy tắc")),
            [values["lead"]] if values["lead"] else suggested,
        ),
        named("urgency", view.lang),
        found,
        await _earlier(session, who, values["phone"]),
        wrong,
        "" if wrong or refused is None else refused.en if view.lang == "en" else refused.vi,
    )


def _hints(given: Mapping[str, str], routing: Routing, view: Viewer) -> Hints:
    on = view.at.astimezone(zone_of(routing)).date()
    words = given.get("text", "")
    if not words:
        return Hints()
    phrases = suggesting.offered(routing.fields.values(), on)
    likely = [
        Tap("field", each.code, routing.field_rows[each.code].name, f"“{each.phrase}”")
        for each in suggesting.suggest(words[: suggesting.LONGEST_READ], phrases, 3)
    ]
    seen = recognise(" ".join((words[: suggesting.LONGEST_READ], given.get("address", ""))), routing.places, on)
    codes = [seen.definite] if seen.definite else [code for code, _ in seen.candidates[:4]]
    places = [_place(code, routing) for code in codes]
    # The area that the text names beyond doubt is what intake will take.
    where = given.get("area") or seen.definite
    return Hints(likely, places, _lead(given, where, routing, view))


def _place(code: str, routing: Routing) -> Tap:
    place = routing.area(code)
    above = named_area(place.parent, routing) if place and place.parent else None
    return Tap("area", code, place.name if place else code, above["name"] if above else "")


def _lead(given: Mapping[str, str], where: str | None, routing: Routing, view: Viewer) -> Option | None:
    """Who would lead by the rules, once a field is chosen."""
    name = given.get("field", "")
    if name not in routing.fields:
        return None
    book = routing.at(view.at).book
    usual = book.defaults(name)
    area = where if routing.area(where) else None
    urgency = given.get("urgency") or usual.urgency
    facts = Facts(
        view.at, name, urgency, usual.kind, usual.track, area, given.get("channel") or "voice", "normal", True
    )
    lead = decide(facts, book).lead
    if lead == routing.directory.centre:
        return None
    found = named_department(lead, routing)
    return Option(lead, found["name"] if found else lead)


def _read(given: Mapping[str, str], form: Form) -> StaffReportIn:
    """The form as the API takes a report; what is empty is left out."""
    body: dict[str, Any] = {
        "text": given["text"],
        "channel": given["channel"] or "voice",
        "public": form.flag("public"),
    }
    body |= {name: given[name] for name in ("field", "urgency") if given[name]}
    place = {name: given[name] for name in ("area", "address") if given[name]}
    contact = {name: given[name] for name in ("name", "phone") if given[name]}
    body |= {name: members for name, members in (("location", place), ("contact", contact)) if members}
    if given["forward"] and given["lead"]:
        body["forward"] = {"lead": given["lead"]}
    elif given["forward"]:
        raise Invalid.at("lead", "Hãy chọn đơn vị nhận.", "Choose the unit that gets it.", "missing")
    try:
        return StaffReportIn.model_validate(body)
    except ValidationError as problem:
        raise invalid_body(problem) from None
