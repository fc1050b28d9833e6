"""A new emergency, over the whole screen: call 113, 114 or 115 first, say what they were told, then go on."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request
from starlette.responses import Response

from cases import looks
from cases.dossier import dossier
from cases.models import Case
from cases.queries import case_by_code, contact_shown, sees_identity
from cases.states import Action, Status
from core.errors import NotAllowed
from web.console.case import actions_for
from web.deps import AtOffice, Db, Now
from web.names import NAMES
from web.pages import FromHere, Looking
from web.rendering import go, render, viewer_of
from web.shapes import named_area

router = APIRouter(include_in_schema=False, dependencies=[FromHere])


@dataclass(frozen=True, slots=True)
class EmergencyPage:
    """What whoever answers at 113, 114 or 115 asks for, and the buttons that say they were told."""

    case: Case
    place: str
    name: str | None
    phone: str | None
    masked: bool
    numbers: tuple[tuple[str, str], ...]  # and who answers there
    due_at: datetime | None  # until when the centre has to have handed it on


@router.get("/console/emergencies/{code}")
async def emergency(request: Request, session: Db, who: Looking, office: AtOffice, at: Now, code: str) -> Response:
    """The screen of the hand-over; a case that has got further is shown as it is."""
    case = await case_by_code(session, who, code)
    told = await dossier(session, who, case, at)
    may = actions_for(told, who, office.routing)
    view = viewer_of(request, who)
    if Action.HAND_OVER not in may:
        if case.status in (Status.RECEIVED, Status.FORWARDED, Status.IN_PROGRESS):
            raise NotAllowed("Việc này của tổng đài viên, điều phối viên.", "This is for the centre's people.")
        return go(f"/console/cases/{case.code}")
    await looks.note(session, who, case, "emergency", at)
    sees = sees_identity(who, case)
    contact = contact_shown(who, case)
    area = named_area(case.area, office.routing)
    place = ", ".join(part for part in (case.address, area["name"] if area else None) if part)
    page = EmergencyPage(
        case=case,
        place=place,
        name=contact["name"],
        phone=contact["phone"],
        masked=not sees and bool(case.contact),
        numbers=tuple((code, pair[view.lang == "en"]) for code, pair in NAMES["emergency"].items()),
        due_at=case.next_due_at,
    )
    return render(request, "console/emergency.html", page, who=who)
