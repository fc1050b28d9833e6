"""A channel that shows what would be sent: for the demo, for trying out texts, and for the tests of the outbox."""

import asyncio
import json
import os
from dataclasses import asdict
from pathlib import Path

from channels.adapter import Failure, SendFailed
from channels.message import Capabilities, OutboundMessage


class ConsoleChannel:
    """Writes each message as one JSON line to `file` (mode 0600, it holds people's addresses), and says so in short.

    Like most vendors it does not recognise a message it has had before: sending twice writes two lines.
    """

    capabilities = Capabilities(idempotent=False)

    def __init__(self, name: str, file: Path | None = None) -> None:
        self.name = name
        self.file = file

    async def send(self, message: OutboundMessage) -> str:
        """The line is on disk when it returns. An error while writing leaves open whether it is there, and stays so."""
        if self.file is not None:
            line = json.dumps(asdict(message), ensure_ascii=False, default=str) + "\n"
            await asyncio.to_thread(_append, self.file, line.encode())
        print(f"{self.name}: would send {message.purpose} for {message.reference}, {len(message.text)} characters")
        return str(message.id)


def _append(file: Path, line: bytes) -> None:
    """One write, so that a line is there whole or not at all, then wait for the disk."""
    try:
        opened = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SendFailed(Failure.RETRYABLE, f"the file of {file.name} cannot be opened: {error.strerror}") from error
    try:
        if os.write(opened, line) < len(line):
            raise OSError("the disk took only part of the line")
        os.fsync(opened)
    finally:
        os.close(opened)
