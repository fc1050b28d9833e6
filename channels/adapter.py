"""The contract of a channel: verify → parse → send. A new channel is one file that keeps it and one line in main."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol, runtime_checkable

from channels.message import Capabilities, FileRef, InboundMessage, OutboundMessage


@dataclass(frozen=True, slots=True)
class Hook:
    """A vendor's request as it came: enough to verify and parse without a web framework."""

    body: bytes
    headers: Mapping[str, str]
    query: Mapping[str, str]
    url: str = ""


class BadSignature(Exception):
    """The request is not from the vendor."""


class Failure(StrEnum):
    """Why a send failed; the outbox decides on this alone."""

    RETRYABLE = "retryable"
    FINAL = "final"
    WINDOW_CLOSED = "window_closed"
    REAUTHORISE = "reauthorise"
    RATE_LIMITED = "rate_limited"


class SendFailed(Exception):
    """The vendor did not take the message. `reason` is one sentence for the operator, without personal data.

    `retry_after`: how long the vendor asks us to wait. `gone`: nothing reaches this address any more, because nobody
    is there or because they blocked us.
    """

    def __init__(
        self, failure: Failure, reason: str, retry_after: timedelta | None = None, *, gone: bool = False
    ) -> None:
        super().__init__(reason)
        self.failure = failure
        self.reason = reason
        self.retry_after = retry_after
        self.gone = gone


class SendDoubtful(Exception):
    """The vendor may or may not have the message. `reason` is one sentence for the operator, without personal data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Adapter(Protocol):
    """One channel."""

    name: str
    capabilities: Capabilities

    async def send(self, message: OutboundMessage) -> str:
        """Hand the message to the vendor; its id there. SendFailed says why not, SendDoubtful that nobody knows."""
        ...


@runtime_checkable
class HookAdapter(Adapter, Protocol):
    """A channel whose vendor pushes events to us."""

    account: str  # ours at the vendor: OA id, page id, bot id, number

    def greet(self, hook: Hook) -> str | None:
        """The answer to a request that only asks whether we are there; None when it carries events."""
        ...

    def verify(self, hook: Hook) -> None:
        """BadSignature unless the vendor signed these bytes."""
        ...

    def parse(self, hook: Hook) -> list[InboundMessage]:
        """Normal forms of what the request holds; pure, sees no session, never raises: what it cannot read is one
        event of kind `unknown` whose `ignore_reason` says why."""
        ...


@runtime_checkable
class FileFetcher(Protocol):
    """A channel that keeps the files of its messages until we take them."""

    def fetch(self, file: FileRef) -> AsyncIterator[bytes]:
        """The bytes in pieces, from the vendor's own hosts only. SendFailed says why not: retryable or final."""
        ...


@runtime_checkable
class Checked(Protocol):
    """A channel whose live settings can be tried."""

    async def check(self) -> None:
        """Nothing, or SendFailed says what is wrong with the settings. No message is sent."""
        ...


class RecordingGone(Exception):
    """The carrier has no such recording: not yet, or no longer."""


class Recorder(Protocol):
    """A carrier of calls that keeps their recordings until we have taken them."""

    def fetch_recording(self, address: str) -> AsyncIterator[bytes]:
        """The sound in pieces, by the address the carrier told. RecordingGone; SendFailed says why not else."""
        ...

    async def remove_recording(self, address: str) -> None:
        """Have the carrier forget it; one that is gone is forgotten. SendFailed says why not."""
        ...
