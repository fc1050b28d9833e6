"""What staff decide about the person behind a case, from the panel of its page."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from cases import looks, person_file
from cases.desk import Office
from cases.dossier import dossier
from cases.models import Case
from cases.queries import case_by_code
from core.errors import NotFound
from core.staff import Actor
from web.console.case import case_view
from web.deps import AtOffice, Db, Now
from web.pages import Form, FromHere, Looking, PageForm
from web.rendering import go, is_partial, render, toast, viewer_of

router = APIRouter(include_in_schema=False, dependencies=[FromHere])

DONE = {
    "same": "Đã gộp hai người làm một.",
    "apart": "Đã ghi: không phải cùng người.",
    "undo": "Đã hoàn tác lần gộp.",
    "preferred": "Đã ghi kênh muốn nhận trả lời.",
    "consent": "Đã ghi ý muốn của người dân.",
}


@router.post("/console/cases/{code}/person/{what}")
async def decide(
    request: Request, session: Db, who: Looking, office: AtOffice, at: Now, form: PageForm, code: str, what: str
) -> Response:
    """Merge with the reporter of another case or not, undo a merge, set the channel for answers, note a consent."""
    case = await case_by_code(session, who, code)
    await looks.note(session, who, case, "person", at)
    person_file.may_know(who, case)
    await _do(session, who, case, what, form, at)
    await session.flush()
    if not is_partial(request):
        return go(f"/console/cases/{case.code}#case-person")
    return await _shown(request, session, who, office, case, DONE[what])


async def _do(session: AsyncSession, who: Actor, case: Case, what: str, form: Form, at: datetime) -> None:
    if what == "same":
        await person_file.same_as(session, who, case, form.text("with"), at, form.text("note")[:500])
    elif what == "apart":
        await person_file.not_same_as(session, who, case, form.text("with"), at)
    elif what == "undo":
        await person_file.part(session, who, case, _id(form.text("merge")), at)
    elif what == "preferred":
        await person_file.set_preferred(session, who, case, form.text("channel") or None, at)
    elif what == "consent":
        given = form.text("given") == "yes"
        await person_file.set_consent(session, who, case, form.text("channel"), form.text("purpose"), given, at)
    else:
        raise NotFound("Không có việc này.", "No such action.")


def _id(given: str) -> UUID:
    try:
        return UUID(given)
    except ValueError:
        return UUID(int=0)


async def _shown(
    request: Request, session: AsyncSession, who: Actor, office: Office, case: Case, sentence: str
) -> Response:
    view = viewer_of(request, who)
    page = await case_view(session, await dossier(session, who, case, view.at), who, office, view)
    return render(request, "console/case_main.html", page, who=who, headers=toast(view.say(sentence)))
