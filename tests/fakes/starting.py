"""Starts a stand-in for a vendor as a process of its own and stops it: `with started("zalo") as zalo: …`."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).parent


class Fake:
    """A running stand-in. Its control blocks: where the application runs in this very thread's event loop, ask for
    webhooks with `wait=False`."""

    def __init__(self, url: str) -> None:
        self.url = url
        # A connection kept open would outlive the port's closing in `away`.
        self.client = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), timeout=30, trust_env=False)

    def control(self, path: str, /, **body: Any) -> Any:
        """Ask `/_control/<path>`; its JSON. An error's answer is in the exception."""
        answer = self.client.post(f"{self.url}/_control/{path}", json=body)
        if answer.is_error:
            raise httpx.HTTPStatusError(answer.text, request=answer.request, response=answer)
        return answer.json()

    def away(self, seconds: float) -> None:
        """Refuse connections for so long, from now on."""
        self.control("away", seconds=seconds)
        with contextlib.suppress(httpx.ConnectError):
            while True:
                self.client.get(f"{self.url}/_control/counters")
                time.sleep(0.01)

    def back(self) -> None:
        """Return once it takes connections again."""
        while True:
            with contextlib.suppress(httpx.ConnectError):
                self.client.get(f"{self.url}/_control/counters")
                return
            time.sleep(0.02)


@contextmanager
def started(name: str, port: int = 0, **settings: Any) -> Iterator[Fake]:
    """The stand-in `tests/fakes/<name>.py` on a free port, ready, with these settings."""
    command = [sys.executable, str(HERE / f"{name}.py"), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline().split()
            assert said[:1] == ["ready"], f"{name} did not start: {said}"
            fake = Fake(f"http://127.0.0.1:{said[1]}")
            with fake.client:
                fake.control("settings", **settings)
                yield fake
        finally:
            process.terminate()
