"""The server the product runs on."""

import socket
import sys
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from core.settings import Settings


class _Server(uvicorn.Server):
    """Ends the streams that never end by themselves before it waits for open answers."""

    def __init__(self, config: uvicorn.Config, before_end: Callable[[], None]) -> None:
        super().__init__(config)
        self._before_end = before_end

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Told to stop: the application hears of it only when all connections are closed."""
        self._before_end()
        await super().shutdown(sockets)


def serve(
    app: FastAPI, settings: Settings, host: str, port: int, *, before_end: Callable[[], None] = lambda: None
) -> None:
    """The server the product runs on, until it is told to stop; then `before_end` is called in its loop."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=4,
    )
    server = _Server(config, before_end)
    with suppress(KeyboardInterrupt):  # uvicorn ends in order and then raises the signal again
        server.run()
    if not server.started:
        sys.exit(uvicorn.config.STARTUP_FAILURE)
