"""A form as the page shows it: what is asked, what can be chosen, what was typed and what is wrong with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from cases import masking
from cases.accused import named_in
from cases.dossier import Dossier, colleagues, everybody_here
from cases.facts import NOT_SAID, asset_owners, flags, road_classes
from cases.models import Case
from cases.publishing import known_of
from cases.replies import TRACK_DESTINATION
from cases.states import Action
from cases.wording import Words
from core.staff import Actor
from core.text import nfc
from routing.queries import Routing
from web.console import picking
from web.console.forms import COVERED, FORMS, SEEN, FieldSpec, FormSpec, fields_of
from web.console.picking import Option
from web.console.story import Line
from web.console.typed import stay
from web.names import Lang, name_of
from web.rendering import Viewer
from web.shapes import named_area, named_department, named_field, zone_of


@dataclass(frozen=True, slots=True)
class Preview:
    """What the citizen will get: by which channel, under which code, in which words."""

    channel: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Filled:
    """A form that comes back: what was typed, why it was not done, what others did meanwhile."""

    values: Mapping[str, list[str]]
    wrong: Mapping[str, str] = field(default_factory=dict)
    alert: str = ""
    newer: Sequence[Line] = ()
    stale: bool = False
    still: bool = True  # the action is possible on the case as it is now
    preview: Preview | None = None
    files_lost: bool = False


@dataclass(frozen=True, slots=True)
class Personal:
    """Words of a text for the public that seem to tell of somebody, and whether they are to be covered."""

    words: str
    kind: str
    instead: str
    covered: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of that text as everybody would read it; `personal` where something is covered or was left."""

    text: str
    personal: str = ""  # covered | left


@dataclass(frozen=True, slots=True)
class Helper:
    """A unit that was chosen to help: what it is asked to do, and by when."""

    code: str
    name: str
    task: str
    until: str
    wrong_task: str
    wrong_until: str


@dataclass(frozen=True, slots=True)
class FieldView:
    """One field of a form on the page."""

    spec: FieldSpec
    id: str
    value: str
    wrong: str
    options: tuple[Option, ...] = ()
    now: str = ""  # how it stands in the case, beside a form that came too late
    personal: tuple[Personal, ...] = ()
    pieces: tuple[Piece, ...] = ()
    helpers: tuple[Helper, ...] = ()


@dataclass(frozen=True, slots=True)
class FormView:
    """A form on the page."""

    action: Action
    spec: FormSpec
    title: str
    version: int
    fields: tuple[FieldView, ...]
    filled: Filled | None = None

    @property
    def kept(self) -> bool:
        """Whether it holds what somebody typed."""
        return self.filled is not None


_NEVER_RESTRICTED = ("public_text", "supporting")  # nothing is published there, and no unit is asked to help


async def form_view(
    session: AsyncSession,
    action: Action,
    told: Dossier,
    who: Actor,
    routing: Routing,
    view: Viewer,
    filled: Filled | None = None,
) -> FormView:
    """The form of an action on this case for this person, filled in by the rules' suggestions or as it was sent."""
    case = told.file.case
    values = filled.values if filled else _suggested(action, told, routing, view)
    fields = []
    for spec in fields_of(action):
        if (spec.kind == "public" and not case.public) or (case.restricted and spec.name in _NEVER_RESTRICTED):
            continue
        given = list(values.get(spec.name, ()))
        text = nfc(given[-1]) if spec.kind == "public" and given else ""
        spans = masking.suggest(text, known_of(case))
        left = stay(values.get(SEEN, ()), values.get(COVERED, ()))
        options = await _options(session, spec, told, who, routing, view)
        fields.append(
            FieldView(
                spec,
                f"{action.value}-{spec.name}",
                given[-1] if given else "",
                filled.wrong.get(spec.name, "") if filled else "",
                picking.chosen(options, given) if spec.kind != "choice" else _in_order(options, given),
                _now(spec, case, routing, view.lang) if action == Action.CLASSIFY or (filled and filled.stale) else "",
                _personal(text, spans, left),
                _pieces(text, spans, left),
                _helpers(spec.name, given, options, values, filled) if spec.kind == "helpers" else (),
            )
        )
    return FormView(
        action, FORMS[action], name_of("action", action.value, view.lang), case.version, tuple(fields), filled
    )


def _helpers(
    name: str,
    given: Sequence[str],
    options: Sequence[Option],
    values: Mapping[str, list[str]],
    filled: Filled | None,
) -> tuple[Helper, ...]:
    """In the order they were sent in, by which complaints name them."""
    labels = {each.value: each.label for each in options}

    def last(member: str, code: str) -> str:
        return next(reversed(values.get(f"{name}.{member}.{code}", ())), "")

    def wrong(n: int, member: str) -> str:
        return filled.wrong.get(f"{name}.{n}.{member}", "") if filled else ""

    return tuple(
        Helper(code, labels[code], last("task", code), last("until", code), wrong(n, "task"), wrong(n, "until"))
        for n, code in enumerate(given)
        if code in labels
    )


def _personal(text: str, spans: Sequence[masking.Span], left: Sequence[str]) -> tuple[Personal, ...]:
    """Each of the words once, however often they stand there."""
    found = {span.of(text): span for span in spans}
    return tuple(Personal(words, each.kind, each.instead, words not in left) for words, each in found.items())


def _pieces(text: str, spans: Sequence[masking.Span], left: Sequence[str]) -> tuple[Piece, ...]:
    made, at = [], 0
    for span in spans:
        stays = span.of(text) in left
        made += [
            Piece(text[at : span.start]),
            Piece(span.of(text) if stays else span.instead, "left" if stays else "covered"),
        ]
        at = span.end
    return (*made, Piece(text[at:]))


def _in_order(options: Sequence[Option], given: Sequence[str]) -> tuple[Option, ...]:
    marked = {each.value: each for each in picking.chosen(options, given)}
    return tuple(marked[each.value] for each in options)


def _suggested(action: Action, told: Dossier, routing: Routing, view: Viewer) -> dict[str, list[str]]:
    """What a fresh form is filled in with."""
    case = told.file.case
    asked = next((each for each in told.file.extensions if each.state == "requested"), None)
    if action == Action.FORWARD:
        on = view.at.astimezone(zone_of(routing)).date()
        directory = routing.directory
        heirs = {code: directory.heir(code, case.area, case.field, on) for code in _decided(case)}
        alive = [code for code in dict.fromkeys(heirs.values()) if code is not None and code != directory.centre]
        lead = [code for code in alive if code == heirs.get(case.decision.get("lead", ""))]
        return {"lead": lead, "supporting": [code for code in alive if code not in lead]}
    if action == Action.GRANT_EXTENSION and asked:
        return {"until": [local_input(asked.until, view)]}
    if action in (Action.PUBLISH, Action.APPROVE_ANSWER):
        return {"public_text": [case.public_text or ""]}
    if action == Action.SET_TRACK:
        return {
            "track": [case.suggested_track or case.track],
            "accused": _accused(case, routing, view),
            "accused_staff": told.file.accused_staff,
        }
    if action == Action.CLASSIFY:
        return {"flags": case.flags}
    if action == Action.SPLIT:
        return {"text": [case.text]}
    if action == Action.REDIRECT:
        told_so = "Nội dung phản ánh của anh/chị thuộc thẩm quyền của cơ quan khác."
        return {"to": [TRACK_DESTINATION.get(case.track, "")], "reply": [told_so]}
    if action == Action.ASSIGN_OFFICER:
        return {"officer": []}
    return {}


def _accused(case: Case, routing: Routing, view: Viewer) -> list[str]:
    """Whom a restricted case is about: as it was said, else the units its text names, for a person to confirm."""
    if not case.restricted or case.accused_units:
        return list(case.accused_units)
    return named_in(case.text, routing.directory.departments.values(), view.at.astimezone(zone_of(routing)).date())


def _decided(case: Case) -> list[str]:
    lead = case.decision.get("lead")
    return [*([lead] if lead else []), *case.decision.get("supporting", [])]


async def _options(
    session: AsyncSession, spec: FieldSpec, told: Dossier, who: Actor, routing: Routing, view: Viewer
) -> list[Option]:
    case = told.file.case
    on = view.at.astimezone(zone_of(routing)).date()
    if spec.kind in ("department", "departments", "helpers"):
        suggested = _decided(case) if spec.name in ("lead", "supporting") else []
        units = picking.departments(routing, on, suggested, view.say("gợi ý bởi quy tắc"))
        return [each for each in units if spec.name != "lead" or each.value not in case.accused_units]
    if spec.kind == "field":
        return picking.fields(routing, on)
    if spec.kind == "area":
        return picking.areas(routing, on, [each["code"] for each in case.area_candidates])
    if spec.kind == "unit":
        live = [part for part in told.file.assignments if part.ended_at is None]
        live = [part for part in live if spec.choices != "helpers" or part.role == "supporting"]
        names = [(part.department, named_department(part.department, routing)) for part in live]
        return [Option(code, name["name"] if name else code) for code, name in names]
    if spec.kind == "people":
        return picking.people(await everybody_here(session))
    if spec.kind == "officer":
        return picking.people(await colleagues(session, who, case))
    if spec.kind == "flags":
        return picking.stated("flag", flags(routing.rulebook(case.rule_set_id)), view.lang)
    if spec.name in ("asset_owner", "road_class"):
        known = (asset_owners if spec.name == "asset_owner" else road_classes)(routing.rulebook(case.rule_set_id))
        return picking.stated(spec.name, (*known, NOT_SAID), view.lang)
    if spec.kind == "choice":
        return picking.named(spec.choices, view.lang, Words(routing.wordings), case.language)
    if spec.kind == "code":
        return picking.other_codes(told.history)
    return []


def _now(spec: FieldSpec, case: Case, routing: Routing, lang: Lang) -> str:
    """How this member stands in the case as it is now."""
    if spec.kind == "field":
        return (named_field(case.field, routing) or {"name": ""})["name"]
    if spec.kind == "area":
        return (named_area(case.area, routing) or {"name": ""})["name"]
    if spec.name in ("urgency", "kind", "track", "competence", "asset_owner", "road_class"):
        known = getattr(case, spec.name)
        return name_of(spec.name, known, lang) if known else ""
    if spec.name == "lead":
        return (named_department(case.lead, routing) or {"name": ""})["name"]
    return ""


def local_input(moment: datetime, view: Viewer) -> str:
    """A moment as a date-and-time field of the browser wants it, local to the centre."""
    return f"{moment.astimezone(view.zone):%Y-%m-%dT%H:%M}"


def amount_words(amount: int, unit: str, clock: str, lang: Lang) -> str:
    """8 giờ làm việc; 15 ngày liên tục."""
    if lang == "en":
        noun = {"min": "minute", "h": "hour", "d": "day"}[unit] + ("" if amount == 1 else "s")
        return f"{amount} working {noun}" if clock == "working" else f"{amount} {noun} round the clock"
    noun = {"min": "phút", "h": "giờ", "d": "ngày"}[unit]
    return f"{amount} {noun} {'làm việc' if clock == 'working' else 'liên tục'}"
