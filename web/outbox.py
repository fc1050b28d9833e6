"""Messages that did not leave, or of which nobody knows: what waits, and another try."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from cases import commands, queries
from channels.models import Outgoing
from routing.queries import Routing
from web.answers import OutboxPage, Undelivered
from web.deps import Db, Now, Rules, Who
from web.docs import PROBLEMS, answers
from web.shapes import named_department, when, zone_of

router = APIRouter(prefix="/api/v1/outbox", tags=["outbox"], responses=PROBLEMS)


@router.get("", response_model=None, responses=answers(OutboxPage, description="A page of messages"))
async def undelivered(
    session: Db,
    who: Who,
    routing: Rules,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """Messages that failed for good or may have left, oldest first; of restricted cases only to inspectors."""
    who.require("outbox.read")
    found = await queries.not_delivered(session, who, after=cursor, limit=limit + 1)
    page = found[:limit]
    return {
        "items": [_shown(message, code, routing) for message, code in page],
        "next_cursor": str(page[-1][0].id) if len(found) > limit else None,
    }


@router.post("/{id}/resend", response_model=None, responses=answers(Undelivered, description="The message, queued"))
async def resend(session: Db, who: Who, routing: Rules, at: Now, id: UUID) -> dict[str, Any]:
    """Try it again. One of which nobody knows may arrive twice; one that is on its way or has left is refused (409)."""
    who.require("outbox.read")
    message, case = await commands.resend(session, who, id, at)
    return _shown(message, case.code, routing)


def _shown(message: Outgoing, code: str, routing: Routing) -> dict[str, Any]:
    """Neither text nor address: whoever may, reads them in the case."""
    return {
        "id": str(message.id),
        "case": code,
        "channel": message.channel,
        "purpose": message.purpose,
        "department": named_department(message.addressee, routing),
        "state": message.state,
        "reason": message.last_error,
        "attempts": message.attempts,
        "created_at": when(message.created_at, zone_of(routing)),
    }
