"""What a person must know of a vendor's tokens, or soon will have to: while it can still be mended without a loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from channels.models import VendorToken

WARN: Final = (1, 7, 14, 30)  # days before the end of the grant from which it is said, each time more urgently
URGENT: Final = 7  # days from which it is no longer a warning but an error
PAUSE: Final = timedelta(minutes=1)  # between tries, when there is no usable token; longer than any request

UNSAVED: Final = "a refresh was begun and its result was never saved"
NEW_GRANT: Final = "consent again and set ZALO_REFRESH_TOKEN anew"


@dataclass(frozen=True, slots=True)
class TokenAlarm:
    """Something a person must look at, or soon will have to. `reason` holds no secret.

    `days` is the one of WARN that has been reached, where it is the grant that ends.
    """

    channel: str
    account: str
    state: str
    since: datetime | None
    reason: str
    urgent: bool
    days: int | None
    grant_until: datetime


async def token_alarms(session: AsyncSession, at: datetime) -> Sequence[TokenAlarm]:
    """What is wrong, or soon will be, with tokens of any vendor."""
    rows = (await session.exec(select(VendorToken).order_by(col(VendorToken.channel), col(VendorToken.account)))).all()
    return [alarm for row in rows if (alarm := alarm_of(row, at)) is not None]


def alarm_of(row: VendorToken, at: datetime) -> TokenAlarm | None:
    """What is wrong with one, or soon will be."""
    reason = _complaint(row, at)
    if reason is None:
        return None
    days = days_left(row, at)
    return TokenAlarm(
        row.channel,
        row.account,
        row.state,
        row.tried_at or row.refreshed_at,
        reason,
        urgent=row.state in ("dead", "unknown") or (days is not None and days <= URGENT),
        days=days,
        grant_until=row.grant_until,
    )


def days_left(row: VendorToken, at: datetime) -> int | None:
    """The least of WARN within which the grant ends; None while its end is far."""
    return next((days for days in WARN if at >= row.grant_until - timedelta(days=days)), None)


def _complaint(row: VendorToken, at: datetime) -> str | None:
    if row.state == "dead":
        return f"{row.note}: {NEW_GRANT}"
    if row.state == "refreshing" and row.tried_at is not None and at >= row.tried_at + PAUSE:
        return UNSAVED
    if row.note is not None:
        return row.note
    if days_left(row, at) is not None:
        return f"the grant ends on {row.grant_until:%Y-%m-%d} unless a refresh succeeds"
    if row.expires_at is not None and at >= row.expires_at:
        return "the access token has run out and no worker has refreshed it"
    return None
