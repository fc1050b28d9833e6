"""How each channel stands: set up or what is missing for that, what came and left last, what waits, what went wrong."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from channels.models import VendorToken
from channels.zalo.alarms import TokenAlarm, alarm_of
from core.ids import first_of
from core.settings import Settings

LOOK_BACK: Final = timedelta(days=30)  # for what came and left last

_ZALO = ("zalo_app_id", "zalo_app_secret", "zalo_oa_id", "zalo_oa_secret_key", "zalo_refresh_token")
_TWILIO = ("twilio_account_sid", "twilio_auth_token", "twilio_number")
NEEDS: Final[Mapping[str, tuple[str, ...]]] = {  # settings without which a channel does not work, or only by half
    "web": (),
    "app": (),
    "zalo": _ZALO,
    "zalo_template": (*_ZALO, "zalo_template_id"),
    "facebook": ("facebook_page_id", "facebook_page_token", "facebook_app_secret", "facebook_verify_token"),
    "telegram": ("telegram_token", "telegram_secret_token"),
    "email": ("smtp_host", "smtp_from", "imap_host", "imap_user", "imap_password"),
    "sms": _TWILIO,
    "voice": _TWILIO,
}


@dataclass(frozen=True, slots=True)
class Token:
    """What lets us in at a vendor: until when, and what is wrong with it."""

    account: str
    state: str  # live | refreshing | unknown | dead
    live_until: datetime | None
    grant_until: datetime
    alarm: TokenAlarm | None


@dataclass(frozen=True, slots=True)
class Standing:
    """One channel. `missing` are names of settings; last_in and last_out look LOOK_BACK back and no further."""

    name: str
    works: bool  # can be written to from here, or read
    missing: tuple[str, ...]
    last_in: datetime | None
    last_out: datetime | None
    coming: int  # events that wait to be made something of
    going: int  # messages that wait to be sent
    failed: int
    unread: int
    tokens: tuple[Token, ...] = ()


async def standing(
    session: AsyncSession, settings: Settings, adapters: Collection[str], at: datetime
) -> Sequence[Standing]:
    """All channels there are, in the order of NEEDS."""
    since = first_of(at - LOOK_BACK)
    came = await _by_channel(session, _CAME, since=since)
    went = await _by_channel(session, _WENT, since=since)
    waits = await _by_channel(session, _WAITS)
    leaves = await _by_channel(session, _LEAVES)
    tokens = (await session.exec(select(VendorToken).order_by(col(VendorToken.account)))).all()
    found = []
    for name, needs in NEEDS.items():
        missing = tuple(need for need in needs if not getattr(settings, need))
        coming, unread = waits.get(name, (0, 0))
        going, failed = leaves.get(name, (0, 0))
        found.append(
            Standing(
                name,
                works=name in adapters or (name == "voice" and not missing),
                missing=missing,
                last_in=came.get(name, (None,))[0],
                last_out=went.get(name, (None,))[0],
                coming=coming,
                going=going,
                failed=failed,
                unread=unread,
                tokens=tuple(_token(row, at) for row in tokens if row.channel == name),
            )
        )
    return found


def _token(row: VendorToken, at: datetime) -> Token:
    return Token(row.account, row.state, row.expires_at, row.grant_until, alarm_of(row, at))


# By the key, which begins with the time, so that a long past is not looked through.
_CAME = "SELECT channel, max(received_at) FROM received WHERE id >= :since GROUP BY channel"
_WENT = "SELECT channel, max(sent_at) FROM outgoing WHERE id >= :since AND sent_at IS NOT NULL GROUP BY channel"
_WAITS = (
    "SELECT channel, count(*) FILTER (WHERE run_at IS NOT NULL), count(*) FILTER (WHERE dead_at IS NOT NULL) "
    "FROM received WHERE run_at IS NOT NULL OR dead_at IS NOT NULL GROUP BY channel"
)
_LEAVES = (
    "SELECT channel, count(*) FILTER (WHERE run_at IS NOT NULL AND state IN ('queued', 'sending')), "
    "count(*) FILTER (WHERE state IN ('failed', 'unknown')) "
    "FROM outgoing WHERE run_at IS NOT NULL OR state IN ('failed', 'unknown') GROUP BY channel"
)


async def _by_channel(session: AsyncSession, statement: str, **values: Any) -> dict[str, Sequence[Any]]:
    rows = await session.execute(text(statement), values)
    return {row[0]: row[1:] for row in rows.all()}
