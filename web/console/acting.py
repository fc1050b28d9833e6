"""Every action on a case as a form: done, or shown again with what was typed and what stands in its way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from cases import looks
from cases.actions import conversation  # noqa: F401 - registers all actions
from cases.desk import Office, perform
from cases.dossier import dossier, events_after
from cases.models import Case
from cases.publishing import known_of
from cases.queries import case_by_code
from cases.states import Action
from channels.models import Outgoing
from core.errors import BadUpload, Conflict, DomainError, Invalid, NotFound, Stale
from core.files import Stored, take
from core.staff import Actor
from web.console.case import LeftPage, actions_for, case_view, done_sentence
from web.console.forms import FORMS, action_named, fields_of
from web.console.picking import first_line
from web.console.showing import Filled, Preview
from web.console.story import since
from web.console.typed import body_of, values_of
from web.deps import AtOffice, Db, Here, Now
from web.names import name_of
from web.pages import Form, FromHere, Looking, PageForm
from web.rendering import Viewer, go, is_partial, render, toast, viewer_of
from web.shapes import zone_of
from web.state import State

router = APIRouter(include_in_schema=False, dependencies=[FromHere])


@router.post("/console/cases/{code}/{action}")
async def act(
    request: Request,
    here: Here,
    session: Db,
    who: Looking,
    office: AtOffice,
    at: Now,
    form: PageForm,
    code: str,
    action: str,
) -> Response:
    """Do it, or with `preview` only show what the citizen would get."""
    name = action_named(action)
    if name is None:
        raise NotFound("Không có việc này.", "No such action.")
    case = await case_by_code(session, who, code)
    await looks.note(session, who, case, "act", at)
    view, version = viewer_of(request, who), _version(form)
    if form.flag("look"):
        return await _looked(request, session, who, office, view, form, name, code)
    rehearsing = form.flag("preview")
    shown = None
    try:
        body = body_of(name, form, zone_of(office.routing), known_of(case))
        files = () if rehearsing else tuple(await _files(name, form, here, at, body))
        if rehearsing:
            shown = await _rehearse(here, office, who, case.code, name, body, at, view)
        else:
            async with session.begin_nested():
                case = await perform(session, office, who, case.code, name, body, at, files=files, if_version=version)
    except (Invalid, BadUpload, Conflict, Stale) as refused:
        return await _again(request, session, who, office, view, form, name, code, version, refused)
    if rehearsing:
        return await _previewed(request, session, who, office, view, form, name, code, version, shown)
    return await _done(request, session, who, office, view, at, name, case)


async def _files(name: Action, form: Form, here: State, at: Any, body: dict[str, Any]) -> list[Stored]:
    """The files chosen, stored; the signed one of a document is named in the body."""
    signed = form.files("document.file")[:1]
    uploads = [*form.files(), *signed]
    if not uploads or not FORMS[name].takes_files:
        return []
    stored = list(await take(uploads, here.files, at=at))
    if signed:
        body.setdefault("document", {})["file"] = str(stored[-1].id)
    return stored


async def _done(
    request: Request,
    session: AsyncSession,
    who: Actor,
    office: Office,
    view: Viewer,
    at: Any,
    name: Action,
    case: Case,
) -> Response:
    sentence = done_sentence(case, name, view, office.routing, at)
    code, here = case.code, f"/console/cases/{case.code}"
    try:
        case = await case_by_code(session, who, code)
    except NotFound:
        left = LeftPage(code, view.say(FORMS[name].done))
        template = "console/case_left.html" if is_partial(request) else "console/case_gone.html"
        return render(request, template, left, who=who, headers=_sent(name, left.done))
    if not is_partial(request):
        return go(f"{here}?done={name.value}")
    told = await dossier(session, who, case, at)
    page = await case_view(session, told, who, office, view)
    headers = {**_sent(name, sentence), "HX-Replace-Url": here}
    return render(request, "console/case_main.html", page, who=who, headers=headers)


def _sent(name: Action, sentence: str) -> dict[str, str]:
    """What the page's script is told: what to say, and whose draft is of no more use."""
    made = toast(sentence)
    made["HX-Trigger"] = made["HX-Trigger"].removesuffix("}") + f', "sent": {{"action": "{name.value}"}}}}'
    return made


async def _again(
    request: Request,
    session: AsyncSession,
    who: Actor,
    office: Office,
    view: Viewer,
    form: Form,
    name: Action,
    code: str,
    version: int | None,
    refused: DomainError,
) -> Response:
    """The form once more: nothing typed is lost, and whoever was there first is named."""
    case = await case_by_code(session, who, code)
    told = await dossier(session, who, case, view.at)
    stale = isinstance(refused, Stale)
    newer: Sequence[Any] = ()
    if version is not None and version < case.version:
        events, names = await events_after(session, case, version)
        newer = since(events, names, case, view, office.routing)
    known = {field.name for field in fields_of(name)}
    helping = {field.name for field in fields_of(name) if field.kind == "helpers"}
    wrong: dict[str, str] = {}
    for error in refused.errors:
        member = str(error["where"]).replace("[", ".")
        whole = member.partition(".")[0]
        within = helping and whole in helping and member.endswith((".task", ".until"))
        member = member if member in known or within else whole
        if member in known or within:
            wrong.setdefault(member, str(error.get("detail_en") or "") if view.lang == "en" else str(error["detail"]))
    if view.lang == "en" and len(refused.errors) == 1:
        wrong = {member: told_wrong or refused.en for member, told_wrong in wrong.items()}
    alert = "" if wrong or stale else refused.en if view.lang == "en" else refused.vi
    filled = Filled(
        values=values_of(name, form),
        wrong=wrong,
        alert=alert,
        newer=newer,
        stale=stale,
        still=name in actions_for(told, who, office.routing),
        files_lost=bool(form.uploads) and not is_partial(request),
    )
    page = await case_view(session, told, who, office, view, opened=name, filled=filled)
    template = "console/case_main.html" if is_partial(request) else "console/case.html"
    return render(request, template, page, who=who, status=refused.status)


async def _previewed(
    request: Request,
    session: AsyncSession,
    who: Actor,
    office: Office,
    view: Viewer,
    form: Form,
    name: Action,
    code: str,
    version: int | None,
    shown: Preview | None,
) -> Response:
    if is_partial(request):
        return render(request, "console/case_preview.html", shown, who=who)
    case = await case_by_code(session, who, code)
    told = await dossier(session, who, case, view.at)
    filled = Filled(values_of(name, form), preview=shown, files_lost=bool(form.uploads))
    page = await case_view(session, told, who, office, view, opened=name, filled=filled)
    return render(request, "console/case.html", page, who=who)


async def _looked(
    request: Request,
    session: AsyncSession,
    who: Actor,
    office: Office,
    view: Viewer,
    form: Form,
    name: Action,
    code: str,
) -> Response:
    """The form as it stands, with what of its text is covered now; nothing is done."""
    told = await dossier(session, who, await case_by_code(session, who, code), view.at)
    filled = Filled(values_of(name, form), files_lost=bool(form.uploads) and not is_partial(request))
    page = await case_view(session, told, who, office, view, opened=name, filled=filled)
    template = "console/case_main.html" if is_partial(request) else "console/case.html"
    return render(request, template, page, who=who)


class _OnlyRehearsed(Exception):
    """Ends a rehearsal, so that nothing of it stays."""


async def _rehearse(
    here: State, office: Office, who: Actor, code: str, name: Action, body: dict[str, Any], at: Any, view: Viewer
) -> Preview | None:
    """What the citizen would get: done and undone, so that the preview cannot differ from what is sent."""
    made: Preview | None = None
    try:
        async with here.database.transaction() as session:
            case = await perform(session, office, who, code, name, body, at)
            statement = (
                select(Outgoing)
                .where(Outgoing.subject_id == case.id, Outgoing.created_at == at, col(Outgoing.addressee).is_(None))
                .order_by(col(Outgoing.id).desc())
            )
            for message in await session.exec(statement):
                tracking = message.scheme == "tracking"
                by = view.say("trang tra cứu") if tracking else name_of("channel", message.channel, view.lang)
                made = Preview(by, message.reference, message.text)
                break
            raise _OnlyRehearsed
    except _OnlyRehearsed:
        return made


def _version(form: Form) -> int | None:
    given = form.text("version")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else None


@dataclass(frozen=True, slots=True)
class PeekPage:
    """Another case, as it is shown before something is joined with it."""

    case: Case
    line: str


@router.get("/console/peek")
async def peek(request: Request, session: Db, who: Looking, at: Now, into: str = "") -> Response:
    """What stands behind a code that is being typed: its first line, before anybody joins anything with it."""
    try:
        case = await case_by_code(session, who, into)
    except NotFound:
        return render(request, "console/case_peek.html", None, who=who)
    await looks.note(session, who, case, "peek", at)
    return render(request, "console/case_peek.html", PeekPage(case, first_line(case.text)), who=who)
