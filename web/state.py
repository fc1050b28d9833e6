"""What a web process holds: made once in `web.app`, read by the dependencies."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cases.intake import CaseNumbers
from cases.together import Together
from channels.adapter import Adapter
from core.auth import HASHING_AT_ONCE
from core.db import Database
from core.files import FileStore
from core.settings import Settings
from hotline.answering import Switchboard
from routing.queries import RoutingCache
from web.hub import Hub
from web.throttle import ReportThrottle


def wall_clock() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)


@dataclass
class State:
    """One web process."""

    settings: Settings
    database: Database
    adapters: Mapping[str, Adapter]
    files: FileStore
    key: bytes
    rates: dict[str, tuple[int, int]]
    throttle: ReportThrottle
    clients: ReportThrottle  # Open311 clients with a key
    codes: ReportThrottle  # wishes for one-time codes
    live: Hub
    calls: Switchboard
    demo: bool = False
    clock: Callable[[], datetime] = wall_clock
    routing: RoutingCache = field(default_factory=RoutingCache)
    numbers: CaseNumbers = field(default_factory=CaseNumbers)
    signing_in: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(HASHING_AT_ONCE))
    together: Together = field(init=False)

    def __post_init__(self) -> None:
        self.together = Together(self.database.pool)

    @property
    def site(self) -> str:
        """The address of our pages, for links."""
        return self.settings.public_url.rstrip("/")

    @property
    def channels(self) -> frozenset[str]:
        """Channels that can be written to from here."""
        return frozenset(self.adapters)
