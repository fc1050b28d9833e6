"""Messages that did not leave, or of which nobody knows: a person looks, tries again, or calls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from cases import undelivered as listing
from cases.undelivered import MOST_AT_ONCE, Sought
from channels import failures, waiting
from channels.models import Outgoing
from channels.waiting import Jam
from core.errors import Invalid
from web.deps import Db, Now, Rules
from web.names import NAMES
from web.pages import FromHere, Looking, PageForm
from web.rendering import go, is_partial, language_of, render, say, toast
from web.shapes import named_department

router = APIRouter(include_in_schema=False, prefix="/console/outbox", dependencies=[FromHere])
ROWS = 50
_HERE = "/console/outbox"

Word = Annotated[str, Query(max_length=40)]


@dataclass(frozen=True, slots=True)
class Undelivered:
    """One message: neither its text nor its address; whoever may, reads them in the case."""

    message: Outgoing
    code: str
    to: str | None  # the unit it is for; None for the citizen
    road: Sequence[Outgoing]  # the ways it failed on, this one last
    call: bool  # every way has failed: somebody has to call
    by_phone: bool  # it can be settled by having been said on the telephone


@dataclass(frozen=True, slots=True)
class OutboxPage:
    """What waits for a person, oldest first, and which vendors take nothing for now."""

    rows: Sequence[Undelivered]
    next: str | None
    jams: Sequence[Jam]
    sought: Sought
    channels: Sequence[str]
    reasons: Sequence[str]
    here: str  # this list with its filter, to come back to
    sent: int  # what came of sending many again, just now
    refused: int


@router.get("")
async def outbox(
    request: Request,
    session: Db,
    who: Looking,
    routing: Rules,
    cursor: UUID | None = None,
    channel: Word = "",
    reason: Word = "",
    sent: Annotated[int, Query(ge=0, le=MOST_AT_ONCE)] = 0,
    refused: Annotated[int, Query(ge=0, le=MOST_AT_ONCE)] = 0,
) -> Response:
    """Messages that failed for good or may have left; of restricted cases only to inspectors."""
    who.require("outbox.read")
    sought = _sought(channel, reason)
    found = await listing.not_delivered(session, who, after=cursor, limit=ROWS + 1, sought=sought)
    roads = await waiting.roads(session, [message for message, _ in found[:ROWS]])
    rows = [
        Undelivered(
            message,
            code,
            (named_department(message.addressee, routing) or {}).get("name"),
            [*roads.get(message.id, ()), message],
            listing.needs_call(message),
            listing.may_be_told(message),
        )
        for message, code in found[:ROWS]
    ]
    page = OutboxPage(
        rows,
        _address(sought, cursor=rows[-1].message.id) if len(found) > ROWS else None,
        await listing.jams(session, who),
        sought,
        _CHANNELS,
        failures.WORDS,
        _address(sought),
        sent,
        refused,
    )
    return render(request, "console/outbox.html", page, who=who)


@router.post("/resend")
async def resend_all(session: Db, who: Looking, at: Now, form: PageForm) -> Response:
    """Try those that were ticked again; some may be on their way by now, which hinders no other."""
    who.require("outbox.read")
    told = await listing.resend_all(session, who, _ids(form.all("id")), at)
    sent = sum(isinstance(came, Outgoing) for _, came, _ in told)
    sought = _sought(form.text("channel"), form.text("reason"))
    return go(_address(sought, sent=sent, refused=len(told) - sent))


@router.post("/{id}/resend")
async def resend(request: Request, session: Db, who: Looking, at: Now, id: UUID) -> Response:
    """Try it again. One of which nobody knows may arrive twice; one on its way or gone is refused."""
    who.require("outbox.read")
    await listing.resend(session, who, id, at)
    return _gone(request, say(language_of(request), "Đã xếp hàng gửi lại."))


@router.post("/{id}/told")
async def told(request: Request, session: Db, who: Looking, routing: Rules, at: Now, id: UUID) -> Response:
    """I have called the citizen and said it; refused when nobody is to be called about it any more."""
    who.require("outbox.read")
    await listing.told_by_phone(session, who, routing, id, at)
    return _gone(request, say(language_of(request), "Đã ghi nhận: đã gọi điện báo người dân."))


def _gone(request: Request, text: str) -> Response:
    """The row is off the list: for its script nothing in its place, else the list anew."""
    return Response("", headers=toast(text)) if is_partial(request) else go(_HERE)


_CHANNELS = tuple(name for name in NAMES["way"] if name not in ("web", "app", "voice", "counter", "open311"))


def _sought(channel: str, reason: str) -> Sought:
    """What an address asks for; what there is not is no filter."""
    return Sought(channel if channel in _CHANNELS else None, reason if reason in failures.WORDS else None)


def _address(sought: Sought, **more: object) -> str:
    asked = {"channel": sought.channel, "reason": sought.reason, **more}
    query = urlencode({name: str(value) for name, value in asked.items() if value})
    return f"{_HERE}?{query}" if query else _HERE


def _ids(given: Sequence[str]) -> list[UUID]:
    if not given or len(given) > MOST_AT_ONCE:
        raise Invalid("Hãy chọn ít nhất một tin để gửi lại.", "Choose at least one message to send again.")
    try:
        return [UUID(each) for each in given]
    except ValueError:
        raise Invalid("Danh sách tin gửi lên không đọc được.", "The list of messages cannot be read.") from None
