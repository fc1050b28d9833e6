"""What the database cannot take now, kept in files until it can: one JSON line each, on the disk before the answer.

Any number of processes of one machine write and drain. A line carries its own checksum: what a killed process left of
one is recognised, and nobody was ever told that it is kept.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

MOST: Final = 8 << 20  # bytes of one file; then the next is begun
CURRENT: Final = "events.jsonl"


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of the spool: what can be read of it, and how much cannot."""

    path: Path
    entries: tuple[dict[str, Any], ...]
    torn: bool  # its last line was never finished
    damaged: int  # whole lines that are not what was written


@dataclass(frozen=True, slots=True)
class Spool:
    """A folder of such files: one is written to, the others wait to be drained."""

    folder: Path
    most: int = MOST

    def write(self, entry: Mapping[str, Any]) -> None:
        """Keep it; on the disk when this returns. OSError when the disk takes nothing."""
        if not self.folder.exists():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync(self.folder.parent)
        with self._locked() as file:
            size = os.fstat(file).st_size
            # What a killed process left without an end must not swallow the line after it.
            head = b"\n" if size and os.pread(file, 1, size - 1) != b"\n" else b""
            line = head + line_of(entry)
            try:
                _write_all(file, line)
                os.fsync(file)
            except OSError:
                os.ftruncate(file, size)  # a full disk leaves no half line either
                raise
            _sync(self.folder)  # its name, too, which whoever began it may not have lived to write down
            if size + len(line) >= self.most:
                self._close_current()

    def waiting(self) -> bool:
        """Whether there is anything to drain; costs one look at its folder."""
        try:
            return any(name.endswith(".jsonl") for name in os.listdir(self.folder))
        except FileNotFoundError:
            return False

    def segments(self) -> list[Path]:
        """The files to drain, the oldest first. What is written from now on goes into another."""
        if not self.folder.exists():
            return []
        if (self.folder / CURRENT).exists():
            with self._locked() as file:
                if os.fstat(file).st_size:
                    self._close_current()
        return sorted(path for path in self.folder.glob("*.jsonl") if path.name != CURRENT)

    def read(self, path: Path) -> Segment:
        """What stands in a closed file; one that somebody else has drained meanwhile is empty."""
        try:
            whole = path.read_bytes()
        except FileNotFoundError:
            return Segment(path, (), torn=False, damaged=0)
        *lines, last = whole.split(b"\n")
        found = [entry_of(line) for line in lines if line]
        kept = tuple(entry for entry in found if entry is not None)
        return Segment(path, kept, torn=bool(last), damaged=len(found) - len(kept))

    def done(self, segment: Segment) -> None:
        """All of it is in the database. A file with damaged lines stays, under another name, for a person."""
        with contextlib.suppress(FileNotFoundError):
            if segment.damaged:
                segment.path.rename(segment.path.with_suffix(".damaged"))
            else:
                segment.path.unlink()

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The current file, open and locked; whoever held it before may have closed it for good, so it is looked at."""
        while True:
            file = os.open(self.folder / CURRENT, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                if self._is_current(file):
                    yield file
                    return
            finally:
                os.close(file)

    def _is_current(self, file: int) -> bool:
        try:
            return os.stat(self.folder / CURRENT).st_ino == os.fstat(file).st_ino
        except FileNotFoundError:
            return False

    def _close_current(self) -> None:
        name = f"{time.time_ns():020d}-{os.getpid()}.jsonl"
        (self.folder / CURRENT).rename(self.folder / name)
        _sync(self.folder)


def line_of(entry: Mapping[str, Any]) -> bytes:
    """An entry as it stands in a file."""
    plain = json.dumps(entry, ensure_ascii=True, separators=(",", ":"))
    checksum = hashlib.sha256(plain.encode()).hexdigest()
    return json.dumps({"sha256": checksum, "entry": plain}).encode() + b"\n"


def entry_of(line: bytes) -> dict[str, Any] | None:
    """The entry of a line; None when it is not what was written."""
    try:
        members = json.loads(line)
        plain = members["entry"]
        if hashlib.sha256(plain.encode()).hexdigest() != members["sha256"]:
            return None
        entry = json.loads(plain)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _sync(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write_all(file: int, line: bytes) -> None:
    while line:
        line = line[os.write(file, line) :]
