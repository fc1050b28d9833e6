"""The contract of a channel: verify → parse → send. A new channel is one file that keeps it and one line in main."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from channels.message import Capabilities, InboundMessage, OutboundMessage


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
    """The vendor did not take the message. `reason` is one sentence for the operator, without personal data."""

    def __init__(self, failure: Failure, reason: str) -> None:
        super().__init__(reason)
        self.failure = failure
        self.reason = reason


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


class HookAdapter(Adapter, Protocol):
    """A channel whose vendor pushes events to us."""

    def verify(self, hook: Hook) -> None:
        """BadSignature unless the vendor signed these bytes."""
        ...

    def parse(self, hook: Hook) -> list[InboundMessage]:
        """Normal forms of what the request holds; pure, sees no session."""
        ...
