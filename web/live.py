"""Live updates of the console's pages, as server-sent events.

Sent, in this order of importance:

    event: BP-26-0482134     this case has changed, or is out of this person's sight; data as below
    event: case              the same for lists and counts; data: {"code", "kind", "version", "position"}, or
                             {"code", "left": true, "position"} for who lost it
    event: bell              the notices of this person have changed: count them anew; data: {}
    event: resync            read the page anew; data: {"position"}
    event: end               do not come back by yourself; data: {"reason": "signed-out" | "too-many"}

A page reads `core.journal.last_position` before anything else it shows and connects with it as `after`. A stream that
just ends (a restart, a database that is away) is opened again by the browser, with the id of the last event.
"""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from core import auth
from core.errors import NotSignedIn
from core.journal import last_position
from web.deps import COOKIE, Here, Now
from web.hub import Hub, Screen, farewell, kind_of

router = APIRouter(include_in_schema=False)


class Live(StreamingResponse):
    """The stream of one screen; leaves the hub however it ends."""

    media_type = "text/event-stream"

    def __init__(self, hub: Hub, screen: Screen) -> None:
        super().__init__(hub.stream(screen), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._hub, self._screen = hub, screen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the hub or the browser ends it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._hub.leave(self._screen)


@router.get("/console/live", response_model=None)
async def live(
    request: Request,
    here: Here,
    at: Now,
    after: Annotated[int | None, Query(ge=0, lt=1 << 63)] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """What happens from a position on, or from now, to cases this person sees. For pages: a cookie is asked for.

    A sign-in that is over is told in the stream's own words: a page tries again for ever after any other refusal.
    """
    token = request.cookies.get(COOKIE)
    if not token:
        raise NotSignedIn("Mời anh/chị đăng nhập.", "Please sign in.")
    try:
        async with here.database.transaction() as session:  # not kept while streaming
            who = await auth.who_is(session, token, "cookie", at)
            last = await last_position(session)
    except NotSignedIn:
        return Response(farewell("signed-out"), media_type=Live.media_type, headers={"Cache-Control": "no-store"})
    known = after if last_event_id is None else _read(last_event_id)
    unknown = known is not None and not 0 <= known <= last
    start = last if known is None or unknown else known
    return Live(here.live, Screen(token, kind_of(who), start, unknown, person=who.id))


def _read(last_event_id: str) -> int:
    """The position a browser was told last; -1 when it is none of ours."""
    return int(last_event_id) if last_event_id.isdecimal() and len(last_event_id) < 19 else -1
