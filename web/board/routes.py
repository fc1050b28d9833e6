"""The board's page; asked for by a script it answers the part that changes."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from core.staff import RESTRICTED_ROLES
from ioc.board import board_figures, stock
from web.board.asking import read_asked
from web.board.shown import board_page
from web.deps import Db, Here, Now, Rules
from web.pages import FromHere, Looking
from web.rendering import is_partial, language_of, render

router = APIRouter(include_in_schema=False, dependencies=[FromHere])


@router.get("/ioc")
async def board(request: Request, here: Here, session: Db, who: Looking, routing: Rules, at: Now) -> Response:
    """Figures of a period and the stock now, for those who may read them."""
    who.require("feed.read")
    zone = here.settings.zone
    today = at.astimezone(zone).date()
    asked = read_asked(request, today, restricted=bool(who.roles & RESTRICTED_ROLES))
    scope = asked.scope(routing, at)
    figures = await board_figures(session, asked.period, scope)
    work = await stock(session, at, zone, routing.directory.centre, scope)
    page = board_page(asked, figures, work, routing, at, today, language_of(request))
    template = "board/numbers.html" if is_partial(request) else "board/board.html"
    return render(request, template, page, who=who, status=422 if asked.wrong else 200)
