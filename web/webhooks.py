"""Vendors knock here: verify, take the events apart, keep them, answer. What becomes of them is the worker's work."""

from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from prometheus_client import Counter
from starlette.responses import PlainTextResponse, Response

from channels import inbox
from channels.adapter import BadSignature, Hook, HookAdapter
from channels.message import InboundMessage
from channels.reading import one_of_a_kind
from core.errors import NotFound
from web.deps import state_of
from web.docs import PROBLEMS
from web.problems import problem
from web.state import State

REFUSED = Counter("hotline_webhook_refused", "Requests of vendors whose signature did not fit", ["channel"])
KEPT = Counter("hotline_webhook_events", "Events of vendors kept for the first time", ["channel"])
TWILIO = {"sms": "sms", "sms-status": "sms"}  # one vendor, several channels below its name

router = APIRouter(prefix="/webhooks", tags=["vendors"], responses=PROBLEMS)


@router.post("/twilio/{what}", response_class=PlainTextResponse)
async def twilio(request: Request, what: str) -> Response:
    """A message or what became of one. The answer is an empty TwiML document: nothing is said back."""
    answer = await knock(request, TWILIO.get(what, "twilio"))
    return Response("<Response/>", media_type="text/xml") if answer.status_code == 200 else answer


@router.get("/{channel}", response_class=PlainTextResponse)
@router.post("/{channel}", response_class=PlainTextResponse)
async def knock(request: Request, channel: str) -> Response:
    """An event of a vendor. 200 once it is kept, also when nobody can read it; 403 for a wrong signature."""
    here = state_of(request)
    adapter = hook_adapter(here, channel)
    hook = await hook_of(request, here)
    try:
        if (greeting := adapter.greet(hook)) is not None:
            return PlainTextResponse(greeting)
        adapter.verify(hook)
    except BadSignature:
        REFUSED.labels(channel).inc()
        return problem(request, 403, "Chữ ký không đúng.", "The signature does not fit.", code="signature")
    await keep(here, channel, adapter.parse(hook))
    return PlainTextResponse("")


async def keep(here: State, channel: str, messages: list[InboundMessage]) -> None:
    """Commit the events; only then may the vendor hear that we have them."""
    async with here.database.transaction() as session:
        fresh = await inbox.accept(session, one_of_a_kind(messages), here.clock())
    KEPT.labels(channel).inc(fresh)


def hook_adapter(here: State, channel: str) -> HookAdapter:
    """The channel whose vendor pushes here; NotFound when it is not set up."""
    adapter = here.adapters.get(channel)
    if adapter is None or not isinstance(adapter, HookAdapter):
        raise NotFound("Kênh này chưa được cài đặt.", "This channel is not set up.")
    return adapter


async def hook_of(request: Request, here: State) -> Hook:
    """The request as it came, under the address the vendor knows us by: what a proxy made of it does not count."""
    path = request.scope.get("raw_path") or request.url.path.encode()
    query = request.scope["query_string"].decode("latin-1")
    prefix = urlsplit(here.settings.public_url)
    url = f"{prefix.scheme}://{prefix.netloc}{prefix.path.rstrip('/')}{path.decode('latin-1').partition('?')[0]}"
    return Hook(
        await request.body(),
        {name.lower(): value for name, value in request.headers.items()},
        dict(request.query_params),
        f"{url}?{query}" if query else url,
    )
