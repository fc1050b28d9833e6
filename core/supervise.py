"""Starts the system's processes as children, keeps them running, and takes them down with itself, however it ends.

A child is started through a few lines of Python that ask the kernel to kill it when its parent dies (PR_SET_PDEATHSIG),
check that the parent has not died meanwhile, and become the program. So `kill -9` of the supervisor leaves nothing
behind, whatever the child is doing; asking between fork and exec instead (`preexec_fn`) may hang a parent that has
threads. The kernel means the *thread* that forked: children are started by the main thread only. A child leads a
session of its own: Ctrl-C reaches the supervisor alone, and what a child leaves behind is killed by its process group.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

import structlog

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0  # seconds before a child that died is started again
STEADY_AFTER = 10.0  # seconds after which a child counts as healthy and its next pause is short again
GRACE = 5.0  # seconds from asking a child to end to killing it
LOOK_EVERY = 0.05
ENSURE_EVERY = 0.3

_BIND_TO_PARENT = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Child:
    """A program to keep running; `environment` is added to ours."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


def supervise(children: Sequence[Child], ensure: Callable[[], object] | None = None) -> int:
    """Run until SIGTERM, SIGINT or SIGHUP, then stop everything; call it from the main thread. Returns an exit status.

    `ensure` is called every 0.3 s in a thread, for what is kept running otherwise: the embedded database. When this
    returns no call of it is under way. A second signal while stopping kills at once.
    """
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(number)  # no lock, no logging: this may interrupt anything

    before = {
        number: signal.signal(number, ask)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN  # under nohup it goes on
    }
    stopping = threading.Event()
    keeper = threading.Thread(target=_keep, args=(ensure, stopping), name="ensure") if ensure else None
    running = [_Running(child) for child in children]
    try:
        if keeper:
            keeper.start()
        while not asked:
            for each in running:
                each.look()
            time.sleep(LOOK_EVERY)
        log.info("stopping", signal=signal.Signals(asked[0]).name)
    finally:
        _stop(running, asked)
        stopping.set()
        if keeper and keeper.is_alive():
            keeper.join()
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


class _Running:
    """One child over all its lives."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.process: subprocess.Popen[bytes] | None = None
        self.born = 0.0
        self.again_at = 0.0
        self.pause = FIRST_PAUSE

    def look(self) -> None:
        """Start it if it is not running and its pause is over; note if it has died."""
        now = time.monotonic()
        if self.process is None:
            if now >= self.again_at:
                self.process, self.born = _start(self.child), now
        elif self.process.poll() is not None:
            if now - self.born >= STEADY_AFTER:
                self.pause = FIRST_PAUSE
            log.warning("child died", child=self.child.name, status=self.process.returncode, again_in=self.pause)
            self.kill()
            self.process, self.again_at = None, now + self.pause
            self.pause = min(self.pause * 2, LONGEST_PAUSE)

    def end(self) -> None:
        """Ask it to end."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def kill(self) -> None:
        """End it and what it started, by force, and collect it."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @property
    def alive(self) -> bool:
        """Whether it runs now."""
        return self.process is not None and self.process.poll() is None


def _start(child: Child) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-I", "-S", "-c", _BIND_TO_PARENT, str(os.getpid()), *child.argv]
    return subprocess.Popen(command, env={**os.environ, **child.environment}, start_new_session=True)


def _stop(running: Sequence[_Running], asked: Sequence[int]) -> None:
    signals = len(asked)
    for each in running:
        each.end()
    end = time.monotonic() + GRACE
    while any(each.alive for each in running) and time.monotonic() < end and len(asked) == signals:
        time.sleep(LOOK_EVERY)
    for each in running:
        if each.alive:
            log.warning("child killed", child=each.child.name)
        each.kill()


def _keep(ensure: Callable[[], object], stopping: threading.Event) -> None:
    while not stopping.wait(ENSURE_EVERY):
        try:
            ensure()
        except Exception as error:
            log.error("database not kept running", error=str(error))
