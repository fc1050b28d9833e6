"""The page of one case: the conversation, the clocks, who and where, and exactly what this person may do."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from cases import looks
from cases.acts import DocumentOf, Promise
from cases.codes import read_code
from cases.desk import Office, offered
from cases.dossier import Dossier, dossier
from cases.giving_back import give_back_until
from cases.models import Assignment, Case, Extension, Limit
from cases.queries import case_by_code, contact_shown, sees_identity
from cases.reach import address_for
from cases.states import STAFF_ACTIONS, Action, Status
from core.errors import Conflict, NotFound
from core.journal import last_position
from core.staff import Actor
from hotline.call_lists import call_back_of
from hotline.listening import recordings_of
from hotline.models import CallTask
from routing import suggesting
from routing.queries import Routing
from web.console import picking
from web.console.forms import FORMS, TALK, action_named
from web.console.person import Handle, PersonView, person_view, stated
from web.console.showing import Filled, FormView, amount_words, form_view
from web.console.sounds import sounds_by_line
from web.console.story import Line, Picture, conversation, pictures, timeline
from web.deps import AtOffice, Db, Now
from web.names import NAMES, Lang, name_of
from web.pages import FromHere, Looking
from web.rendering import Viewer, go, is_partial, render, viewer_of
from web.shapes import named_area, named_department, named_field, progress_owed, zone_of
from web.times import short

router = APIRouter(include_in_schema=False, dependencies=[FromHere])

_LANGS: tuple[Lang, ...] = ("vi", "en")
SHOWN_ON_PHONES, SHOWN = 3, 5  # buttons of the bar; the others are under "Khác"
MOST_SUGGESTIONS = 3


@dataclass(frozen=True, slots=True)
class Button:
    """Something this person may do now. `narrow`: under "Khác" on a phone."""

    action: Action
    title: str
    icon: str
    tone: str = ""
    key: str = ""
    talk: bool = False
    narrow: bool = False
    end: bool = False


@dataclass(frozen=True, slots=True)
class Clock:
    """A running or finished clock in words."""

    limit: Limit
    holder: str
    amount: str
    late: bool


@dataclass(frozen=True, slots=True)
class Unit:
    """A department's part in the case; `owed`: by when it has to contribute, where it has not yet."""

    name: str
    role: str
    state: str
    since: datetime
    ended: bool
    task: str = ""
    owed: bool = False
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DisputeView:
    """A dispute that waits for its decision."""

    unit: str
    text: str
    at: datetime
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order of the leadership to a unit; `state`: owed, late, answered, or over without an answer."""

    by: str
    unit: str
    text: str
    at: datetime
    due_at: datetime | None
    state: Literal["owed", "late", "answered", "over"]
    answer: str
    answered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a head decides on."""

    text: str
    files: tuple[Picture, ...]
    public_text: str
    document: DocumentOf | None


@dataclass(frozen=True, slots=True)
class Tap:
    """One tap that classifies: what is set to what, and how sure the suggestion is, per cent."""

    field: str
    value: str
    label: str
    hint: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class CasePage:
    """Everything the page of a case shows this person."""

    code: str
    case: Case
    position: int
    heading: str
    lines: list[Line]
    timeline: list[Line]
    bar: tuple[Button, ...]
    more: tuple[Button, ...]
    talk: tuple[FormView, ...]
    talking: Action | None
    form: FormView | None
    clocks: tuple[Clock, ...]
    past: tuple[Clock, ...]
    field: str
    area: str
    area_then: str  # what it was called when the case was received, if otherwise
    area_parent: str
    suggestions: tuple[Tap, ...]
    places: tuple[Tap, ...]
    units: tuple[Unit, ...]
    disputed: DisputeView | None
    suggested: str
    accused: tuple[str, ...]
    officer: str
    take: bool
    me: str
    citizen: Mapping[str, str | None]
    stated: tuple[Handle, ...]
    person: PersonView | None
    masked: bool
    may_reveal: bool
    hears_by: str
    sms: bool
    history: list[Case]
    related: list[tuple[str, Case]]
    files: tuple[Picture, ...]
    failed: int
    orders: tuple[OrderView, ...]
    promises: tuple[tuple[str, Promise], ...]  # with the unit's name, the newest last
    progress_owed: datetime | None  # since then, where it is so now
    back_until: datetime | None  # this person's unit may give its part back
    asked: Extension | None
    call_back: CallTask | None  # the call that is owed to the reporter
    answer: Answer | None
    rule_set: str
    rules: tuple[str, ...]
    words: str
    done: str = ""


@dataclass(frozen=True, slots=True)
class LeftPage:
    """The case is out of this person's sight, and why if it was their own doing."""

    code: str
    done: str = ""


Part = Annotated[Literal["case"] | None, Query()]


@router.get("/console/cases/{code}")
async def case_page(
    request: Request,
    session: Db,
    who: Looking,
    office: AtOffice,
    at: Now,
    code: str,
    part: Part = None,
    done: str = "",
    seen: bool = False,
) -> Response:
    """A case. `part=case` for its own script: what changed, or that it is gone.

    A new emergency first asks whether 113, 114 or 115 know of it; `seen`: it has asked.
    """
    position = await last_position(session)
    try:
        case = await case_by_code(session, who, code)
    except NotFound:
        if part is None or read_code(code) is None:
            raise
        return render(request, "console/case_left.html", LeftPage(code), who=who, status=404)
    told = await dossier(session, who, case, at)
    view = viewer_of(request, who)
    if part is None and not seen and not done and asks_for_hand_over(case, actions_for(told, who, office.routing)):
        return go(f"/console/emergencies/{case.code}")
    await looks.note(session, who, case, "live" if part else "page", at)
    made = done_sentence(case, name, view, office.routing, at) if (name := action_named(done)) else ""
    page = await case_view(session, told, who, office, view, position=position, done=made)
    return render(request, "console/case_main.html" if part else "console/case.html", page, who=who)


@router.get("/console/cases/{code}/{action}")
async def form_page(
    request: Request, session: Db, who: Looking, office: AtOffice, at: Now, code: str, action: str
) -> Response:
    """The form of an action: alone for the page's script, else the page with the form open."""
    position = await last_position(session)
    case = await case_by_code(session, who, code)
    await looks.note(session, who, case, "page", at)
    name = action_named(action)
    if name is None:
        raise NotFound("Không có trang này.", "No such page.")
    told = await dossier(session, who, case, at)
    if name not in actions_for(told, who, office.routing):
        raise Conflict(
            f"Lúc này không làm được việc “{name_of('action', action, 'vi')}” với phản ánh {case.code}.",
            f"“{name_of('action', action, 'en')}” is not possible for {case.code} now.",
        )
    view = viewer_of(request, who)
    page = await case_view(session, told, who, office, view, position=position, opened=name)
    part = "console/case_form.html" if page.form else "console/case_main.html"
    return render(request, part if is_partial(request) else "console/case.html", page, who=who)


def asks_for_hand_over(case: Case, may: Sequence[Action]) -> bool:
    """Whether this is a new emergency of which nobody has told those who come at once."""
    new = case.status == Status.RECEIVED and case.handed_over_at is None
    return new and "emergency" in (case.urgency, case.kind) and Action.HAND_OVER in may


def actions_for(told: Dossier, who: Actor, routing: Routing) -> list[Action]:
    """What this person may do to the case now."""
    book = routing.rulebook(told.file.case.rule_set_id)
    return [each for each in offered(told.file, who, book) if each in STAFF_ACTIONS]


async def case_view(
    session: AsyncSession,
    told: Dossier,
    who: Actor,
    office: Office,
    view: Viewer,
    *,
    position: int = 0,
    opened: Action | None = None,
    filled: Filled | None = None,
    done: str = "",
) -> CasePage:
    """The page, with the form of `opened` open, filled in as `filled` says."""
    case, routing, lang = told.file.case, office.routing, view.lang
    may = actions_for(told, who, routing)
    asked = next((each for each in told.file.extensions if each.state == "requested"), None)
    owed = progress_owed(told.file, routing)
    owed = owed if owed is not None and owed <= view.at else None
    buttons = _buttons(may, _first(case, asked, owed), lang)
    bar = [each for each in buttons if not each.end and not each.narrow]
    channel, to = await address_for(session, case, office.channels)
    talk = [
        await form_view(session, action, told, who, routing, view, filled if action == opened else None)
        for action in TALK
        if action in may or (action == opened and filled)
    ]
    alone = opened is not None and FORMS[opened].place != "talk"
    clocks = [_clock(each, routing, view) for each in told.file.limits]
    place, once = named_area(case.area, routing), named_area(case.area, routing, case.received_at)
    above = routing.area(case.area).parent if case.area and routing.area(case.area) else None  # type: ignore[union-attr]
    codes = {case.merged_into: view.say("Đã gộp vào"), case.incident_id: view.say("Sự cố")}
    sees = sees_identity(who, case)
    return CasePage(
        code=case.code,
        case=case,
        position=position,
        heading=picking.first_line(case.text),
        lines=conversation(told, view, routing, sounds_by_line(await recordings_of(session, case), who, view)),
        timeline=timeline(told, view, routing),
        bar=tuple(bar),
        more=tuple(_menu(buttons)),
        talk=tuple(talk),
        talking=_talking([each.action for each in talk], opened),
        form=await form_view(session, opened, told, who, routing, view, filled) if alone and opened else None,
        clocks=tuple(each for each in clocks if not (each.limit.met_at or each.limit.cancelled_at)),
        past=tuple(each for each in clocks if each.limit.met_at or each.limit.cancelled_at),
        field=(named_field(case.field, routing) or {"name": ""})["name"],
        area=place["name"] if place else "",
        area_then=once["name"] if once and once != place else "",
        area_parent=(named_area(above, routing) or {"name": ""})["name"],
        suggestions=tuple(_fields_suggested(case, routing, view)) if Action.CLASSIFY in may else (),
        places=tuple(_places(case, routing)) if Action.CLASSIFY in may else (),
        units=tuple(_unit(each, told, routing) for each in told.file.assignments),
        disputed=_disputed(told, routing),
        suggested=_suggested(case, routing),
        accused=(
            *((named_department(code, routing) or {"name": code})["name"] for code in case.accused_units),
            *(told.names.get(each, "") for each in case.accused_staff),
        ),
        officer=told.names.get(case.officer_id, "") if case.officer_id else "",
        take=Action.ASSIGN_OFFICER in may and case.officer_id != who.id and _works_on(who, case),
        me=who.email,
        citizen=contact_shown(who, case),
        stated=stated(case, sees),
        person=await person_view(session, who, case, view),
        masked=not sees and bool(case.contact),
        may_reveal=Action.REVEAL_IDENTITY in may and not case.identity_revealed,
        hears_by=name_of("channel", channel, lang) if to.scheme != "tracking" else view.say("trang tra cứu"),
        sms=channel == "sms",
        history=told.history,
        related=[(codes.get(each.id) or view.say("Liên quan"), each) for each in told.related],
        files=tuple(pictures(told.file)),
        failed=sum(each.state in ("failed", "unknown") for each in told.deliveries),
        orders=tuple(_orders(told, routing, view)),
        promises=tuple(
            ((named_department(each.department, routing) or {"name": each.department})["name"], each)
            for each in told.file.acts.promises
        ),
        progress_owed=owed,
        back_until=_back_until(told, who, routing),
        asked=asked,
        call_back=await call_back_of(session, case),
        answer=_answer(told),
        rule_set=(book := routing.rulebook(case.rule_set_id)).code + f" v{book.version}",
        rules=tuple(case.decision.get("rules", ())),
        words=_EVENT_WORDS[lang],
        done=done,
    )


def done_sentence(case: Case, action: Action, view: Viewer, routing: Routing, at: datetime) -> str:
    """What was done, and the clock that runs now."""
    lead = named_department(case.lead, routing)
    told = view.say(FORMS[action].done, lead=lead["name"] if lead else "") if "%(" in FORMS[action].done else None
    told = told or view.say(FORMS[action].done)
    if case.next_due_at is None or case.next_stage is None or case.next_due_at <= at:
        return told
    stage = name_of("stage", case.next_stage, view.lang).lower()
    return told + " " + view.say("Hạn %(stage)s: %(due)s.", stage=stage, due=short(case.next_due_at, view.zone, at))


def _first(case: Case, asked: Extension | None, owed: datetime | None) -> tuple[Action, ...]:
    """What the case waits for, if that is not what its kind of status usually waits for."""
    if case.restricted:
        if not case.track_confirmed:
            return (Action.SET_TRACK, Action.REDIRECT)
        # What a complaint is owed is to be told where it belongs; all else is taken on here, or handed over.
        road = {Status.RECEIVED: (Action.FORWARD, Action.REDIRECT), Status.FORWARDED: (Action.ACCEPT, Action.REDIRECT)}
        usual = road.get(Status(case.status), ())
        return usual[::-1] if case.track == "complaint" else usual
    if "emergency" in (case.urgency, case.kind) and case.status == Status.RECEIVED and case.handed_over_at is None:
        return (Action.HAND_OVER,)
    if asked:
        return (Action.GRANT_EXTENSION, Action.DENY_EXTENSION)
    return (Action.TELL_PROGRESS,) if owed is not None else ()


def _buttons(may: Sequence[Action], first: Sequence[Action], lang: Any) -> list[Button]:
    """All that can be done, in the order of the bar; what does not fit or is seldom wanted stands under "Khác"."""

    def order(action: Action) -> int:
        return first.index(action) if action in first else FORMS[action].order

    made, shown = [], 0
    for action in sorted(may, key=order):
        spec = FORMS[action]
        fits = (action in first or spec.place in ("talk", "bar")) and order(action) < 50 and shown < SHOWN
        shown += fits
        made.append(
            Button(
                action,
                name_of("action", action.value, lang),
                spec.icon,
                tone=("primary" if action in first else spec.tone) if fits and shown == 1 else "",
                key=spec.key,
                talk=spec.place == "talk",
                narrow=not fits,
                end=spec.place == "end" and not fits,
            )
        )
    return made


def _menu(buttons: Sequence[Button]) -> list[Button]:
    """What stands under "Khác": all beyond the three a phone shows; what ends a case last."""
    shown = [each for each in buttons if not each.narrow][:SHOWN_ON_PHONES]
    return sorted((each for each in buttons if each not in shown), key=lambda each: each.end)


def _talking(talk: Sequence[Action], opened: Action | None) -> Action | None:
    """Which form below the conversation is in front: the one asked for, else the first of weight, else the note."""
    if opened in talk:
        return opened
    return next((each for each in talk if FORMS[each].order < 45), talk[-1] if talk else None)


def _suggested(case: Case, routing: Routing) -> str:
    """The unit that the rules would forward the case to; none when that is the centre itself."""
    code = case.decision.get("lead")
    return "" if code == routing.directory.centre else (named_department(code, routing) or {"name": ""})["name"]


def _answer(told: Dossier) -> Answer | None:
    """The unit's answer that is or was to be approved."""
    case = told.file.case
    entry = next((each for each in told.file.entries if each.id == case.answer_id), None)
    if entry is None:
        return None
    document = told.file.acts.document(entry.id)
    shown = zip(told.file.attachments, pictures(told.file), strict=True)
    files = tuple(
        each for file, each in shown if file.entry_id == entry.id or (document and document.file_id == file.id)
    )
    return Answer(entry.text, files, case.public_text or "", document)


def _orders(told: Dossier, routing: Routing, view: Viewer) -> Iterator[OrderView]:
    """Orders of the leadership, oldest first."""
    said = {entry.id: entry.text for entry in told.file.entries}
    clocks = {limit.id: limit for limit in told.file.limits}
    for each in told.file.acts.orders:
        clock = clocks[each.limit_id]
        running = clock.met_at is None and clock.cancelled_at is None
        late = clock.due_at is not None and clock.due_at < view.at
        yield OrderView(
            told.names.get(each.by, ""),
            (named_department(each.department, routing) or {"name": each.department})["name"],
            said[each.entry_id],
            each.opened_at,
            clock.due_at,
            "answered" if each.answered_at else "over" if not running else "late" if late else "owed",
            said[each.answer_id] if each.answer_id else "",
            each.answered_at,
        )


def _clock(limit: Limit, routing: Routing, view: Viewer) -> Clock:
    named = named_department(limit.holder, routing) or {"name": limit.holder}
    until = limit.met_at or limit.cancelled_at or view.at
    late = limit.due_at is not None and limit.due_at < until
    return Clock(limit, named["name"], amount_words(limit.amount, limit.unit, limit.clock, view.lang), late)


def _unit(part: Assignment, told: Dossier, routing: Routing) -> Unit:
    named = named_department(part.department, routing) or {"name": part.department}
    owed = part.role == "supporting" and part.state == "open" and part.ended_at is None
    running = (
        each for each in told.file.limits if each.stage == "contribute" and not (each.met_at or each.cancelled_at)
    )
    due_at = next((each.due_at for each in running if each.holder == part.department), None) if owed else None
    task = next((each.text for each in told.file.entries if each.id == part.task_id), "")
    ended = part.ended_at is not None
    return Unit(named["name"], part.role, part.state, part.opened_at, ended, task, owed, due_at)


def _back_until(told: Dossier, who: Actor, routing: Routing) -> datetime | None:
    case = told.file.case
    parts = (each for each in told.file.assignments if each.ended_at is None and each.department in who.departments)
    mine = next(parts, None)
    return give_back_until(case, mine, routing, routing.rulebook(case.rule_set_id)) if mine is not None else None


def _disputed(told: Dossier, routing: Routing) -> DisputeView | None:
    """The dispute that is waiting, if one is."""
    clocks = {limit.id: limit for limit in told.file.limits}
    said = {entry.id: entry.text for entry in told.file.entries}
    for each in told.file.acts.disputes:
        clock = clocks[each.limit_id]
        if clock.met_at is None and clock.cancelled_at is None:
            name = (named_department(each.department, routing) or {"name": each.department})["name"]
            return DisputeView(name, said[each.entry_id], each.opened_at, clock.due_at)
    return None


def _works_on(who: Actor, case: Case) -> bool:
    """Whether the case can be given to this person: by the rules of `assign_officer`."""
    if case.restricted:
        return True  # only those who work on such see it
    return bool(who.departments & set(case.units)) or bool(who.roles & {"agent", "dispatcher", "supervisor"})


def _fields_suggested(case: Case, routing: Routing, view: Viewer) -> list[Tap]:
    """The fields the text may belong to, while none is set; taken by the keys 1 to 3."""
    if case.field is not None:
        return []
    phrases = suggesting.offered(routing.fields.values(), view.at.astimezone(zone_of(routing)).date())
    found = suggesting.suggest(case.text, phrases, MOST_SUGGESTIONS)
    return [
        Tap("field", each.code, routing.field_rows[each.code].name, f"“{each.phrase}”", str(n))
        for n, each in enumerate(found, 1)
    ]


def _places(case: Case, routing: Routing) -> list[Tap]:
    """Where the text may mean, while no area is set."""
    taps = []
    for each in case.area_candidates[:5]:
        above = named_area(each.get("parent"), routing)
        taps.append(Tap("area", each["code"], each["name"], above["name"] if above else ""))
    return taps


# What the page's script calls events that others cause while somebody is writing.
_EVENT_WORDS = {lang: json.dumps({kind: name_of("event", kind, lang) for kind in NAMES["event"]}) for lang in _LANGS}
