"""Calls knock here: what comes in is kept, and the caller is told what comes next, always and at once.

Nothing in an address says anything about the caller: it names the state in the menu alone.
"""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from prometheus_client import Counter
from starlette.responses import Response

from channels.adapter import BadSignature
from channels.message import InboundMessage
from channels.twilio import signature, voice
from core.errors import NotFound, Unavailable
from hotline.steps import Act
from hotline.twiml import twiml
from web.deps import state_of
from web.docs import PROBLEMS
from web.problems import problem
from web.state import State
from web.webhooks import KEPT, REFUSED, hook_of

SPOOLED = Counter("hotline_voice_spooled", "Events of calls that went to the spool because the database was away")
LOST = Counter("hotline_voice_lost", "Events of calls that neither database nor spool could take")
STEP: Final = "/webhooks/twilio/voice/step"
EVENTS: Final = "/webhooks/twilio/events"

router = APIRouter(prefix="/webhooks/twilio", tags=["vendors"], responses=PROBLEMS)


@router.post("/voice", response_class=Response)
@router.post("/voice/step", response_class=Response)
async def answer(request: Request) -> Response:
    """A call comes in, or its caller has pressed or said something. TwiML: what they hear next."""
    here = state_of(request)
    messages = await _genuine(request, here)
    if isinstance(messages, Response):
        return messages
    [message] = messages
    (state, acts), where = await here.calls.answer(message, here.clock())
    _count(where)
    return _twiml(here, acts, state.token())


@router.post("/events", response_class=Response)
async def events(request: Request) -> Response:
    """How a call or a recording stands. An empty TwiML document once it is kept; 503 when nothing could take it."""
    here = state_of(request)
    messages = await _genuine(request, here)
    if isinstance(messages, Response):
        return messages
    [message] = messages
    where = await here.calls.keep(message, here.clock())
    _count(where)
    if where == "lost":
        raise Unavailable("Chưa ghi nhận được.", "The event could not be kept.")
    return _twiml(here, (), "")


async def _genuine(request: Request, here: State) -> list[InboundMessage] | Response:
    """The one event of the request; the refusal when it is not Twilio's."""
    token, account = here.settings.twilio_auth_token, here.settings.twilio_number
    if token is None or account is None:
        raise NotFound("Kênh này chưa được cài đặt.", "This channel is not set up.")
    hook = await hook_of(request, here)
    try:
        signature.verify(hook, token)
    except BadSignature:
        REFUSED.labels(voice.CHANNEL).inc()
        return problem(request, 403, "Chữ ký không đúng.", "The signature does not fit.", code="signature")
    return voice.parse(hook, account)


def _twiml(here: State, acts: Iterable[Act], token: str) -> Response:
    base = here.settings.public_url.rstrip("/")
    said = twiml(list(acts), to=f"{base}{STEP}?{urlencode({'state': token})}", recordings=f"{base}{EVENTS}")
    return Response(said, media_type="text/xml")


def _count(where: str) -> None:
    if where == "kept":
        KEPT.labels(voice.CHANNEL).inc()
    elif where == "spooled":
        SPOOLED.inc()
    elif where == "lost":
        LOST.inc()
