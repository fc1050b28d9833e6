"""How each channel stands, and a new consent of Zalo."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field, SecretStr

from channels.standing import Standing, standing
from channels.zalo.sending import Zalo
from core.errors import Conflict, Invalid
from core.journal import record
from core.staff import Actor
from web.administration.edge import Admin, Body
from web.deps import Db, Here, Now
from web.docs import PROBLEMS
from web.state import State

router = APIRouter(prefix="/api/v1/admin/channels", tags=["administration: channels"], responses=PROBLEMS)
LONGEST = 4000  # characters of a token


class TokenRow(BaseModel):
    """What lets us in at a vendor. `alarm` says what is wrong, `urgent` whether it cannot wait."""

    account: str
    state: str
    live_until: datetime | None
    grant_until: datetime
    alarm: str | None
    urgent: bool


class ChannelRow(BaseModel):
    """One channel; `missing` names settings; last_in and last_out look 30 days back."""

    name: str
    works: bool
    missing: list[str]
    last_in: datetime | None
    last_out: datetime | None
    coming: int
    going: int
    failed: int
    unread: int
    tokens: list[TokenRow]


class Channels(BaseModel):
    """All channels."""

    items: list[ChannelRow]


class NewConsent(Body):
    """The refresh token of a new consent; it is sealed at once and never shown."""

    refresh_token: Annotated[SecretStr, Field(min_length=1, max_length=LONGEST)]


@router.get("")
async def listed(session: Db, who: Admin, here: Here, at: Now) -> Channels:
    """Every channel: set up or what is missing, what came and left last, what waits, its tokens."""
    rows = await standing(session, here.settings, here.channels, at)
    return Channels(items=[_row(each) for each in rows])


@router.post("/zalo/token", status_code=204)
async def consent(session: Db, who: Admin, here: Here, at: Now, body: NewConsent) -> None:
    """Go on with a new consent; 409 when Zalo is not set up or a refresh is under way."""
    await begin_anew(session, here, who, at, body.refresh_token.get_secret_value())


async def begin_anew(session: Db, here: State, who: Actor, at: datetime, token: str) -> None:
    """Keep the refresh token of a new consent, sealed; the journal says who did so. Invalid if it cannot be one."""
    zalo = here.adapters.get("zalo")
    if not isinstance(zalo, Zalo):
        raise Conflict("Kênh Zalo chưa được cài đặt.", "Zalo is not set up.")
    token = token.strip()
    if not token or len(token) > LONGEST or not token.isascii() or not token.isprintable() or " " in token:
        raise Invalid.at(
            "refresh_token",
            "Đây không phải refresh token: mã chỉ gồm chữ không dấu, số và dấu nối, viết liền.",
            "Not a refresh token: it is one word of ASCII letters, digits and signs.",
        )
    await zalo.tokens.begin_anew(session, token)
    await record(
        session, "channels.token", at=at, actor_kind=who.kind, actor_id=who.id, subject=zalo.account,
        data={"channel": "zalo"},
    )  # fmt: skip


def _row(each: Standing) -> ChannelRow:
    tokens = [
        TokenRow(
            account=token.account,
            state=token.state,
            live_until=token.live_until,
            grant_until=token.grant_until,
            alarm=token.alarm.reason if token.alarm else None,
            urgent=bool(token.alarm and token.alarm.urgent),
        )
        for token in each.tokens
    ]
    return ChannelRow(
        name=each.name,
        works=each.works,
        missing=[f"HOTLINE_{name.upper()}" for name in each.missing],
        last_in=each.last_in,
        last_out=each.last_out,
        coming=each.coming,
        going=each.going,
        failed=each.failed,
        unread=each.unread,
        tokens=tokens,
    )
