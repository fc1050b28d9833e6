"""Messages that did not leave, or of which nobody knows: what waits, another try, and those said on the telephone."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from cases import undelivered as listing
from cases.undelivered import MOST_AT_ONCE, Sought
from channels import waiting
from channels.models import Outgoing
from core.errors import DomainError
from core.staff import Actor
from routing.queries import Routing
from web.answers import OutboxPage, Resent, Told, Undelivered
from web.deps import Db, Now, Rules, Who
from web.docs import PROBLEMS, answers
from web.problems import language
from web.shapes import named_department, when, zone_of

router = APIRouter(prefix="/api/v1/outbox", tags=["outbox"], responses=PROBLEMS)

Reason = Literal[
    "retryable", "final", "window_closed", "reauthorise", "rate_limited", "gone", "reported", "absent", "unknown"
]


async def _keeper(who: Who) -> Actor:
    who.require("outbox.read")
    return who


Keeper = Annotated[Actor, Depends(_keeper)]  # so that who may not is told so, whatever the body


class Resend(BaseModel):
    """Messages to be tried again."""

    model_config = ConfigDict(extra="forbid")

    ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST_AT_ONCE)]


@router.get("", response_model=None, responses=answers(OutboxPage, description="A page of messages"))
async def undelivered(
    session: Db,
    who: Keeper,
    routing: Rules,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    channel: Annotated[str | None, Query(pattern=r"^[a-z0-9_]{1,40}$")] = None,
    reason: Reason | None = None,
) -> dict[str, Any]:
    """Messages that failed for good or may have left, oldest first; of restricted cases only to inspectors.

    `waiting`: channels whose messages are tried again by themselves, because the vendor takes none for now.
    """
    sought = Sought(channel, reason)
    found = await listing.not_delivered(session, who, after=cursor, limit=limit + 1, sought=sought)
    page = found[:limit]
    roads = await waiting.roads(session, [message for message, _ in page])
    return {
        "items": [_shown(message, code, routing, roads.get(message.id, ())) for message, code in page],
        "next_cursor": str(page[-1][0].id) if len(found) > limit else None,
        "waiting": [
            {
                "channel": jam.channel,
                "failure": jam.failure,
                "waiting": jam.waiting,
                "since": when(jam.since, zone_of(routing)),
            }
            for jam in await listing.jams(session, who)
        ],
    }


@router.post("/resend", response_model=None, responses=answers(Resent, description="What came of each"))
async def resend_all(request: Request, session: Db, who: Keeper, at: Now, given: Resend) -> dict[str, Any]:
    """Try many again. Each that is on its way, has left or is not for this person's eyes is refused by itself."""
    vietnamese = language(request) == "vi"
    told = await listing.resend_all(session, who, given.ids, at)
    return {
        "sent": [str(id) for id, came, _ in told if isinstance(came, Outgoing)],
        "refused": [
            {"id": str(id), "detail": came.vi if vietnamese else came.en}
            for id, came, _ in told
            if isinstance(came, DomainError)
        ],
    }


@router.post("/{id}/resend", response_model=None, responses=answers(Undelivered, description="The message, queued"))
async def resend(session: Db, who: Keeper, routing: Rules, at: Now, id: UUID) -> dict[str, Any]:
    """Try it again. One of which nobody knows may arrive twice; one that is on its way or has left is refused (409)."""
    message, case = await listing.resend(session, who, id, at)
    roads = await waiting.roads(session, [message])
    return _shown(message, case.code, routing, roads.get(message.id, ()))


@router.post("/{id}/told", response_model=None, responses=answers(Told, description="It has arrived"))
async def told(session: Db, who: Keeper, routing: Rules, at: Now, id: UUID) -> dict[str, Any]:
    """I have called the citizen and said it. If it was the answer that stands, the case is replied now."""
    message, case = await listing.told_by_phone(session, who, routing, id, at)
    return {"case": case.code, "state": message.state}


def _shown(message: Outgoing, code: str, routing: Routing, before: Sequence[Outgoing]) -> dict[str, Any]:
    """Neither text nor address: whoever may, reads them in the case."""
    return {
        "id": str(message.id),
        "case": code,
        "channel": message.channel,
        "purpose": message.purpose,
        "department": named_department(message.addressee, routing),
        "state": message.state,
        "failure": message.failure,
        "reason": message.last_error,
        "attempts": message.attempts,
        "tried": [{"channel": each.channel, "failure": each.failure} for each in before],
        "call": listing.needs_call(message),
        "created_at": when(message.created_at, zone_of(routing)),
    }
