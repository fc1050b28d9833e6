"""Messages that did not leave, or of which nobody knows: a person looks and tries again."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from cases import commands, queries
from channels.models import Outgoing
from web.deps import Db, Now, Rules
from web.pages import FromHere, Looking
from web.rendering import go, is_partial, language_of, render, say, toast
from web.shapes import named_department

router = APIRouter(include_in_schema=False, prefix="/console/outbox", dependencies=[FromHere])
ROWS = 50


@dataclass(frozen=True, slots=True)
class Undelivered:
    """One message: neither its text nor its address; whoever may, reads them in the case."""

    message: Outgoing
    code: str
    to: str | None  # the unit it is for; None for the citizen


@dataclass(frozen=True, slots=True)
class OutboxPage:
    """What waits for a person, oldest first."""

    rows: Sequence[Undelivered]
    next: str | None


@router.get("")
async def outbox(request: Request, session: Db, who: Looking, routing: Rules, cursor: UUID | None = None) -> Response:
    """Messages that failed for good or may have left; of restricted cases only to inspectors."""
    who.require("outbox.read")
    found = await queries.not_delivered(session, who, after=cursor, limit=ROWS + 1)
    rows = [
        Undelivered(message, code, (named_department(message.addressee, routing) or {}).get("name"))
        for message, code in found[:ROWS]
    ]
    more = f"/console/outbox?cursor={rows[-1].message.id}" if len(found) > ROWS else None
    return render(request, "console/outbox.html", OutboxPage(rows, more), who=who)


@router.post("/{id}/resend")
async def resend(request: Request, session: Db, who: Looking, at: Now, id: UUID) -> Response:
    """Try it again. One of which nobody knows may arrive twice; one on its way or gone is refused."""
    who.require("outbox.read")
    await commands.resend(session, who, id, at)
    if is_partial(request):
        return Response("", headers=toast(say(language_of(request), "Đã xếp hàng gửi lại.")))
    return go("/console/outbox")
