"""The tokens of our Official Account, kept alive although every refresh burns the refresh token it is made with.

What would lose the grant, so that an administrator of the account must consent again in a browser, and what is done:

* Two refreshes at once: a refresh runs under a lock of the database, held longer than its request can take, and looks
  again inside whether it is still needed. Within a process all who wait share one.
* A crash between Zalo's answer and our saving it: that a refresh begins is committed before the request. Whoever finds
  it so, and the lock free, knows that its result is unknown.
* No answer: the same. The old token is then used once more after a pause, because it is good if the request never
  arrived, and never again: `unknown` becomes `live` or `dead`.
* A failure dressed as success: only an answer with both tokens replaces what we have.
* Using a pair before it is safe: it is committed before anybody sees it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import func, text
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from channels.adapter import Failure, SendFailed
from channels.models import VendorToken
from channels.zalo.alarms import NEW_GRANT, PAUSE, UNSAVED, days_left
from channels.zalo.consent import Consent, NewPair, Outcome
from core import sealing
from core.db import FAILURES, Database
from core.errors import Conflict

CHANNEL: Final = "zalo"
FRESH: Final = timedelta(hours=20)  # an access token lives 25 hours
MARGIN: Final = timedelta(minutes=2)  # before its end it is not used any more
GRANT: Final = timedelta(days=90)  # a refresh token lives three months
LONG_PAUSE: Final = timedelta(hours=1)  # while there is one
LOCK_WAIT: Final = "25s"  # longer than a request may take (`consent.WHOLE`), shorter than the outbox's patience

UNSAVED_AGAIN: Final = "the one further try was begun and its result was never saved"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Step:
    """What the row allows: a token to use, a refresh token to try, or neither."""

    usable: str | None = None
    refresh_with: str | None = None
    problem: SendFailed | None = None


def now_utc() -> datetime:
    """The time, where nobody gives another clock."""
    return datetime.now(UTC)


class Tokens:
    """The tokens of one account. `seed` is the refresh token of the settings, which begins a chain of pairs."""

    def __init__(
        self,
        database: Database,
        key: bytes,
        account: str,
        seed: str,
        consent: Consent,
        *,
        clock: Callable[[], datetime] = now_utc,
    ) -> None:
        self._database = database
        self._key = key
        self._account = account
        self._seed = seed
        self._consent = consent
        self._clock = clock
        self._purpose = f"{CHANNEL}:{account}"
        self._running: asyncio.Task[str] | None = None
        self._warned: datetime | None = None

    async def access_token(self, *, rejected: str | None = None) -> str:
        """A token that may be used now; `rejected` is one that Zalo has just refused. SendFailed when there is none."""
        try:
            async with self._database.transaction() as session:
                row = await session.get(VendorToken, (CHANNEL, self._account))
            found = self._usable(row, rejected) if row is not None else None
            return found or await self._refreshed(rejected, early=False)
        except FAILURES as error:
            reason = f"the tokens of Zalo cannot be read or refreshed: {type(error).__name__}"
            raise SendFailed(Failure.RETRYABLE, reason) from None

    async def keep_fresh(self) -> int:
        """The worker's duty: refresh in good time, and look after a refresh that went wrong. How many were tried."""
        async with self._database.transaction() as session:
            row = await session.get(VendorToken, (CHANNEL, self._account))
        now = self._clock()
        if row is not None:
            self._warn(row, now)
            if row.state == "live" and row.refreshed_at is not None and now < row.refreshed_at + FRESH:
                return 0
            if row.state == "dead" and row.seed == self._seed_sum():
                return 0
        try:
            await self._refreshed(None, early=True)
        except SendFailed as failed:
            log.warning("zalo tokens not refreshed", account=self._account, reason=failed.reason)
        return 1

    async def _refreshed(self, rejected: str | None, *, early: bool) -> str:
        """One refresh for all who ask meanwhile. It goes on when they give up: half of it would burn the token."""
        for _ in range(2):
            if self._running is None or self._running.done():
                self._running = asyncio.create_task(self._refresh(rejected, early), name="zalo tokens")
                self._running.add_done_callback(_heard)
            token = await asyncio.shield(self._running)
            if token != rejected:
                return token
        raise SendFailed(Failure.RETRYABLE, "Zalo refuses our access token and gives no other one")

    async def settle(self) -> None:
        """Wait for a refresh that is under way: before the process ends, so that its pair is saved."""
        if self._running is not None:
            await asyncio.wait([self._running])

    async def _refresh(self, rejected: str | None, early: bool) -> str:
        async with self._database.transaction() as guard:
            await guard.execute(text(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'"))
            await guard.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(self._purpose, 1022))))
            async with self._database.transaction() as session:
                step = self._next_step(await self._row(session), rejected, early)
            if step.problem is not None:
                raise step.problem
            if step.refresh_with is None:
                assert step.usable is not None
                return step.usable
            outcome = await self._consent.refresh(step.refresh_with)
            if isinstance(outcome, NewPair):
                await self._save(outcome)
                return outcome.access_token
            async with self._database.transaction() as session:
                self._fail(await self._row(session), outcome)
            if step.usable is not None:
                return step.usable
            raise SendFailed(
                Failure.REAUTHORISE if outcome.burnt else Failure.RETRYABLE,
                f"Zalo gives us no access token: {outcome.reason}",
            )

    async def begin_anew(self, session: AsyncSession, refresh_token: str) -> None:
        """An administrator has consented again: this refresh token begins a new chain of pairs, sealed from the start.

        Conflict while a refresh is under way, which would write over it. The settings' token counts only if that is
        renewed after this one has died.
        """
        lock = select(func.pg_try_advisory_xact_lock(func.hashtextextended(self._purpose, 1022)))
        if not (await session.exec(lock)).one():
            raise Conflict("Token đang được làm mới. Hãy thử lại sau một phút.", "A refresh is under way. Try again.")
        row = await self._row(session)
        row.refresh_token = sealing.seal(self._key, self._purpose, refresh_token)
        row.seed, row.state, row.grant_until = self._seed_sum(), "live", self._clock() + GRANT
        row.access_token = row.expires_at = row.refreshed_at = row.tried_at = row.retried_at = row.note = None
        session.add(row)

    async def _row(self, session: AsyncSession) -> VendorToken:
        """Ours, made from the settings if there is none, or if it is dead and they have been renewed.

        A living row is left alone: settings that were put back to an older state must not cost the grant.
        """
        row = await session.get(VendorToken, (CHANNEL, self._account), with_for_update=True)
        if row is None or (row.state == "dead" and row.seed != self._seed_sum()):
            if row is not None:
                await session.delete(row)
                await session.flush()  # the new row has the same key
                log.info("zalo tokens begun anew", account=self._account)
            row = VendorToken(
                channel=CHANNEL,
                account=self._account,
                refresh_token=sealing.seal(self._key, self._purpose, self._seed),
                seed=self._seed_sum(),
                grant_until=self._clock() + GRANT,
            )
            session.add(row)
        return row

    def _next_step(self, row: VendorToken, rejected: str | None, early: bool) -> _Step:
        """What may be done now, with the lock in our hands; the row says so too before anything is asked of Zalo."""
        now, usable = self._clock(), self._usable(row, rejected)
        if usable is not None and not (early and self._due(row, now)):
            return _Step(usable)  # somebody else has refreshed it
        if row.state == "refreshing":
            self._alarm(row, "unknown", UNSAVED)
        elif row.state == "unknown" and row.retried_at is not None:
            self._alarm(row, "dead", UNSAVED_AGAIN)
        if row.state == "dead":
            return _Step(problem=SendFailed(Failure.REAUTHORISE, f"Zalo no longer lets us in: {NEW_GRANT}"))
        if row.tried_at is not None and now < row.tried_at + (LONG_PAUSE if usable else PAUSE):
            waiting = SendFailed(Failure.RETRYABLE, f"no access token of Zalo for a moment: {row.note or 'refreshing'}")
            return _Step(usable, problem=None if usable else waiting)
        try:
            refresh_token = sealing.unseal(self._key, self._purpose, row.refresh_token)
        except sealing.Unsealable:
            self._alarm(row, "dead", "SECRET_KEY is not the one the tokens were sealed with")
            return _Step(problem=SendFailed(Failure.REAUTHORISE, f"the tokens cannot be read: {NEW_GRANT}"))
        row.tried_at = now
        if row.state == "live":
            row.state = "refreshing"
        else:
            row.retried_at = now
        return _Step(usable, refresh_token)

    async def _save(self, pair: NewPair) -> None:
        """The new pair for the old one. It must not get lost for want of patience."""
        for pause in (0.2, 0.5, 1.0, 2.0, 3.0, None):
            try:
                async with self._database.transaction() as session:
                    row, now = await self._row(session), self._clock()
                    row.access_token = sealing.seal(self._key, self._purpose, pair.access_token)
                    row.refresh_token = sealing.seal(self._key, self._purpose, pair.refresh_token)
                    row.expires_at = now + pair.lives
                    row.grant_until = now + (pair.grant_lives or GRANT)
                    row.state, row.refreshed_at = "live", now
                    row.tried_at = row.retried_at = row.note = None
                return
            except FAILURES as error:
                if pause is None:
                    log.error("zalo tokens received and not saved", account=self._account, error=type(error).__name__)
                    raise
            await asyncio.sleep(pause)

    def _fail(self, row: VendorToken, outcome: Outcome) -> None:
        """What the row is after a try that brought no pair; the old pair stays as it is."""
        last = row.retried_at is not None
        if outcome.burnt or (last and outcome.arrived):
            state = "dead"
        elif outcome.arrived and not outcome.answered:
            state = "unknown"
        else:
            state, row.retried_at = "unknown" if last else "live", None  # the token was not used: as before
        self._alarm(row, state, outcome.reason)

    def _alarm(self, row: VendorToken, state: str, reason: str) -> None:
        row.state, row.note = state, reason
        log.error("zalo tokens", account=row.account, state=state, reason=reason)

    def _warn(self, row: VendorToken, now: datetime) -> None:
        """Once a day while the grant nears its end."""
        if days_left(row, now) is not None and (self._warned is None or now - self._warned >= timedelta(days=1)):
            self._warned = now
            log.error("zalo grant ends soon", account=row.account, until=row.grant_until.isoformat())

    def _usable(self, row: VendorToken, rejected: str | None) -> str | None:
        if row.access_token is None or row.expires_at is None or self._clock() >= row.expires_at - MARGIN:
            return None
        try:
            token = sealing.unseal(self._key, self._purpose, row.access_token)
        except sealing.Unsealable:
            return None
        return token if token != rejected else None

    def _due(self, row: VendorToken, now: datetime) -> bool:
        return row.state != "live" or row.refreshed_at is None or now >= row.refreshed_at + FRESH

    def _seed_sum(self) -> bytes:
        return sealing.checksum(self._key, self._purpose, self._seed)


def _heard(task: "asyncio.Task[str]") -> None:
    """Whoever waited may have given up: its error is no surprise to the loop."""
    if not task.cancelled():
        task.exception()
