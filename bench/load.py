"""The load generator: keep-alive connections, requests made beforehand, answers read no further than needed.

python -m bench.load --ports 8101 --clients 32 --seconds 6 --seed 1
"""

import argparse
import asyncio
import re
import time
from collections.abc import Iterator
from itertools import cycle, islice
from typing import cast

from bench.reports import bodies
from bench.stint import WARM_UP, Meter, in_child

PATH = "/api/v1/reports"
PREPARED_A_SECOND = 2_500  # a server that answers faster (the echo) gets them a second time
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Client(asyncio.Protocol):
    """One connection with one request under way."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answered: asyncio.Future[bool] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready to send."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        """A server that hangs up spoils the measurement."""
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        """Collect until head and body are whole."""
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0 or self._answered is None:
            return
        length = _LENGTH.search(self._buffer, 0, head)
        if length is not None and len(self._buffer) >= head + 4 + int(length[1]):
            whole, self._buffer = self._buffer, b""
            if whole.startswith(b"HTTP/1.1 201"):
                self._answered.set_result(True)
            else:
                self._answered.set_exception(RuntimeError(whole[:600].decode(errors="replace")))

    async def work(self, requests: Iterator[bytes], meter: Meter) -> None:
        """Send, wait for the whole answer, note how long it took; until the time is up."""
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        while (sent := time.perf_counter()) < meter.until:
            self._answered = loop.create_future()
            self._transport.write(next(requests))
            await self._answered
            meter.took.append(time.perf_counter() - sent)


async def load(ports: list[int], clients: int, seconds: float, seed: int) -> None:
    """One stint."""
    prepared = [
        b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        % (PATH.encode(), len(body), body)
        for body in islice(bodies(seed), int((seconds + WARM_UP) * PREPARED_A_SECOND))
    ]
    requests = cycle(prepared)
    loop = asyncio.get_running_loop()
    connected = [
        (await loop.create_connection(Client, "127.0.0.1", ports[each % len(ports)]))[1] for each in range(clients)
    ]
    meter = Meter(seconds)
    await meter.stint(lambda: asyncio.gather(*(client.work(requests, meter) for client in connected)))


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ports", required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    given = parser.parse_args()
    in_child(load([int(port) for port in given.ports.split(",")], given.clients, given.seconds, given.seed))


if __name__ == "__main__":
    main()
