"""Can we listen there? Asked before anything is started, so that the answer is one sentence."""

import errno
import socket
import time

from core.errors import Unusable

GIVE_WAY = 3.0  # seconds a killed predecessor may take to let go of its port


class PortUnusable(Unusable):
    """Nobody can listen at this address now. The message tells the operator why."""


def check(host: str, port: int) -> None:
    """Raise PortUnusable unless a server could listen at this address now. Blocks for at most GIVE_WAY."""
    patience = time.monotonic() + GIVE_WAY
    while True:
        try:
            family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                return
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise PortUnusable(f"Nobody can listen at {host}:{port}: {error.strerror}.") from error
            if time.monotonic() > patience:
                raise PortUnusable(
                    f"Port {port} of {host} is in use. Stop who has it, or choose another: --port or HOTLINE_PORT."
                ) from error
        time.sleep(0.1)
