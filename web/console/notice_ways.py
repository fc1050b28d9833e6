"""A person's own choice of how to be told outside the console: by mail, Zalo, Telegram, at once, once a day, or not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import APIRouter, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from cases import notice_links, notice_ways
from cases.digests import TEMPLATE
from cases.duty_models import NoticeCode, NoticeWay
from cases.notice_links import CHATS
from cases.notice_ways import CHANNELS, EMAIL, MODES, USUAL_TIME, Failing
from core import auth
from core.errors import Conflict, DomainError, Invalid, NotFound, TooMany
from core.staff import Actor
from web.admin.ground import Filled, Word, again, trying
from web.deps import Db, Here, Now, Rules
from web.pages import FromHere, Looking, PageForm
from web.rendering import go, render
from web.state import State

router = APIRouter(include_in_schema=False, prefix="/account/notices", dependencies=[FromHere])
HOURLY = int(timedelta(hours=1).total_seconds())
MOST_CODES = 5  # codes an hour that one person can have sent
MOST_GUESSES = 20  # an hour: a code itself stands five
_HERE = "/account/notices"


@dataclass(frozen=True, slots=True)
class WaysPage:
    """What is chosen, by channel; channels that exist here; a code that is awaited; one to be sent to us."""

    ways: Mapping[str, NoticeWay]
    channels: Sequence[str]
    failing: Mapping[str, Failing]  # channels whose last message did not arrive
    asked: NoticeCode | None  # for mail
    invited: str  # the chat, `telegram` or `zalo`, that `invitation` is for
    invitation: str  # shown this once
    form: Filled
    account: str  # the centre's Official Account on Zalo
    template: bool  # Zalo's template stands in where free words are over
    others: Sequence[str]  # ways by which this person is told besides Zalo
    modes: Sequence[str] = MODES
    usual: str = f"{USUAL_TIME:%H:%M}"


@router.get("")
async def page(request: Request, session: Db, here: Here, who: Looking, at: Now, done: Word = "") -> Response:
    """How this person is told."""
    return await _page(request, session, here, who, at, Filled(done=done))


@router.post("/address")
async def ask(request: Request, session: Db, here: Here, who: Looking, at: Now, form: PageForm) -> Response:
    """Send a code to a mail address. Counted, so that nobody floods somebody else's mailbox."""
    values = {"address": form.text("address")[:300]}
    async with trying(session) as trial:
        if EMAIL not in here.channels:
            raise Conflict("Hệ thống chưa gửi được thư.", "No mail can be sent from here.")
        await notice_ways.ask(session, here.key, who, values["address"], at)
        await auth.count_try(session, {f"notice code: {who.id}": (MOST_CODES, HOURLY)}, at)
    if trial.refused is not None:
        return await _page(request, session, here, who, at, again(request, trial.refused, values))
    return go(f"{_HERE}?done=asked")


@router.post("/code")
async def confirm(request: Request, session: Db, here: Here, who: Looking, at: Now, form: PageForm) -> Response:
    """The code from the letter. Answered, not raised, when it is wrong: the try stays counted."""
    wrong: DomainError | None = None
    try:
        await auth.count_try(session, {f"notice guess: {who.id}": (MOST_GUESSES, HOURLY)}, at)
        if not await notice_ways.confirm(session, here.key, who, form.text("code")[:20], at):
            wrong = Invalid.at("code", "Mã không đúng hoặc đã hết hạn.", "The code is wrong or has run out.", "wrong")
    except TooMany as refused:
        wrong = refused
    if wrong is not None:
        return await _page(request, session, here, who, at, again(request, wrong, {"code": ""}))
    return go(f"{_HERE}?done=proved")


@router.post("/invite")
async def invite(request: Request, session: Db, here: Here, who: Looking, at: Now, form: PageForm) -> Response:
    """A code to be sent to the centre on Telegram or Zalo, shown this once."""
    channel = form.text("channel")
    if channel not in CHATS or channel not in here.channels:
        raise NotFound("Hệ thống chưa nối kênh này.", "There is no such channel here.")
    code = await notice_links.invite(session, here.key, who, channel, at)
    return await _page(request, session, here, who, at, Filled(), invited=channel, invitation=code)


@router.post("/{channel}")
async def choose(
    request: Request, session: Db, here: Here, who: Looking, routing: Rules, at: Now, form: PageForm, channel: str
) -> Response:
    """At once, once a day, or not at all."""
    _known(channel)
    values = {"mode": form.text("mode"), "digest_at": form.text("digest_at")}
    async with trying(session) as trial:
        await notice_ways.choose(session, routing, who, channel, values["mode"], values["digest_at"], at)
    if trial.refused is not None:
        return await _page(request, session, here, who, at, again(request, trial.refused, values))
    return go(f"{_HERE}?done=saved")


@router.post("/{channel}/drop")
async def drop(session: Db, who: Looking, at: Now, channel: str) -> Response:
    """This address no more."""
    _known(channel)
    await notice_ways.drop(session, who, channel, at)
    return go(f"{_HERE}?done=dropped")


def _known(channel: str) -> None:
    if channel not in CHANNELS:
        raise NotFound("Không có kênh này.", "There is no such channel.")


async def _page(
    request: Request,
    session: AsyncSession,
    here: State,
    who: Actor,
    at: datetime,
    form: Filled,
    *,
    invited: str = "",
    invitation: str = "",
) -> Response:
    ways = {way.channel: way for way in await notice_ways.ways_of(session, who)}
    asked = {code.channel: code for code in await notice_ways.waiting(session, who, at)}
    channels = [channel for channel in CHANNELS if channel in here.channels or channel in ways]
    failing = await notice_ways.failing(session, who)
    shown = WaysPage(
        ways,
        channels,
        {channel: last for channel, last in failing.items() if channel in ways},
        asked.get(EMAIL),
        invited,
        invitation,
        form,
        here.settings.zalo_oa_id or "",
        TEMPLATE in here.channels,
        [channel for channel, way in ways.items() if channel != notice_ways.ZALO and way.mode != "none"],
    )
    return render(request, "notice_ways.html", shown, who=who, status=form.status)
