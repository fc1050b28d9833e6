"""Channels on pages: how each stands, what to do about its tokens, a new consent of Zalo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from prometheus_client import REGISTRY
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from channels.standing import LOOK_BACK, Standing, standing
from channels.zalo.alarms import TokenAlarm, token_alarms
from channels.zalo.sending import Zalo
from web.admin.ground import Admin, Filled, Word, again, trying
from web.administration.channels import begin_anew
from web.deps import Db, Here, Now
from web.pages import FromHere, PageForm
from web.rendering import go, render
from web.state import State

router = APIRouter(include_in_schema=False, prefix="/admin", dependencies=[FromHere])


@dataclass(frozen=True, slots=True)
class ChannelsPage:
    """All channels; `refused` webhooks by channel, of this process since it started."""

    channels: Sequence[Standing]
    refused: Mapping[str, int]
    consenting: bool  # a new consent of Zalo can be entered
    form: Filled
    days: int = LOOK_BACK.days


@dataclass(frozen=True, slots=True)
class AlarmsPage:
    """What is wrong, or soon will be, with what lets us in at vendors."""

    alarms: Sequence[TokenAlarm]


@router.get("/channels")
async def channels(request: Request, session: Db, who: Admin, here: Here, at: Now, done: Word = "") -> Response:
    """How each channel stands."""
    page = await _page(session, here, at, Filled(done=done))
    return render(request, "admin/channels.html", page, who=who)


@router.post("/channels/zalo/token")
async def consent(request: Request, session: Db, who: Admin, here: Here, at: Now, form: PageForm) -> Response:
    """Go on with the refresh token of a new consent. It is not shown again, whatever came of it."""
    async with trying(session) as trial:
        await begin_anew(session, here, who, at, form.text("refresh_token"))
    if trial.refused is None:
        return go("/admin/channels?done=consent")
    told = again(request, trial.refused, {}, "refresh_token")
    page = await _page(session, here, at, told)
    return render(request, "admin/channels.html", page, who=who, status=told.status)


@router.get("/alarms")
async def alarms(request: Request, session: Db, who: Admin, at: Now) -> Response:
    """Part of every page that an administrator works on; nothing while all is well."""
    return render(request, "admin/alarms.html", AlarmsPage(await token_alarms(session, at)), who=who)


async def _page(session: AsyncSession, here: State, at: Now, form: Filled) -> ChannelsPage:
    rows = await standing(session, here.settings, here.channels, at)
    refused = {
        row.name: int(REGISTRY.get_sample_value("hotline_webhook_refused_total", {"channel": row.name}) or 0)
        for row in rows
    }
    return ChannelsPage(rows, refused, isinstance(here.adapters.get("zalo"), Zalo), form)
