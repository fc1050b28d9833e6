"""What the spool was given is on the disk when it says so, whoever is killed, and is given back once."""

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from core.spool import CURRENT, Spool, entry_of, line_of


def an_entry(number: int) -> dict[str, Any]:
    return {"raw": f"CallSid=CA{number}&Digits=1", "name": "Lê Thị Hoa\n\x00", "number": number}


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


def drained(spool: Spool) -> list[dict[str, Any]]:
    """Everything, as a worker takes it."""
    found: list[dict[str, Any]] = []
    for path in spool.segments():
        segment = spool.read(path)
        found += segment.entries
        spool.done(segment)
    return found


def test_what_is_written_is_given_back_in_order_and_once(spool: Spool) -> None:
    assert not spool.waiting()
    for number in range(3):
        spool.write(an_entry(number))
    assert spool.waiting()
    assert drained(spool) == [an_entry(number) for number in range(3)]
    assert (spool.waiting(), drained(spool)) == (False, [])


def test_what_comes_while_it_is_drained_goes_into_another_file(spool: Spool) -> None:
    spool.write(an_entry(1))
    [path] = spool.segments()
    spool.write(an_entry(2))
    spool.done(spool.read(path))
    assert drained(spool) == [an_entry(2)]


def test_a_drain_that_is_killed_before_its_end_begins_again(spool: Spool) -> None:
    spool.write(an_entry(1))
    [path] = spool.segments()
    assert spool.read(path).entries == (an_entry(1),)
    assert drained(spool) == [an_entry(1)]
    assert spool.read(path).entries == ()  # somebody else was through with it


def test_a_full_file_is_followed_by_another(tmp_path: Path) -> None:
    spool = Spool(tmp_path, most=300)
    for number in range(10):
        spool.write(an_entry(number))
    assert len(list(tmp_path.iterdir())) > 3
    assert drained(spool) == [an_entry(number) for number in range(10)]


@pytest.mark.parametrize("left", [1, 10, 80, -1])
def test_a_line_torn_by_a_kill_is_passed_over_and_swallows_nothing(spool: Spool, left: int) -> None:
    spool.write(an_entry(1))
    with (spool.folder / CURRENT).open("ab") as file:
        file.write(line_of(an_entry(2))[:left])
    [path] = spool.segments()
    segment = spool.read(path)
    assert (segment.entries, segment.torn, segment.damaged) == ((an_entry(1),), True, 0)
    path.rename(spool.folder / CURRENT)
    spool.write(an_entry(3))  # the next process goes on behind it
    assert [entry["number"] for entry in drained(spool)] == ([1, 2, 3] if left == -1 else [1, 3])


def test_a_line_that_rotted_is_left_for_a_person(spool: Spool) -> None:
    for number in (1, 2):
        spool.write(an_entry(number))
    file = spool.folder / CURRENT
    file.write_bytes(file.read_bytes().replace(b"CA1", b"CA7"))
    assert drained(spool) == [an_entry(2)]
    assert [path.suffix for path in spool.folder.iterdir()] == [".damaged"]
    assert not spool.waiting()


@pytest.mark.parametrize("line", [b"", b"null", b"[]", b"{}", b'{"sha256": 1, "entry": "{}"}', b"\xff", b"[" * 99_999])
def test_what_nobody_wrote_is_no_entry(line: bytes) -> None:
    assert entry_of(line) is None


def test_a_full_disk_is_said_and_leaves_no_half_line(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    spool.write(an_entry(1))
    real = os.write

    def full(file: int, data: bytes) -> int:
        real(file, data[:7])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        spool.write(an_entry(2))
    monkeypatch.undo()
    spool.write(an_entry(3))
    assert drained(spool) == [an_entry(1), an_entry(3)]
    assert list(spool.folder.iterdir()) == []


def test_it_is_on_the_disk_before_write_returns(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync = os.fsync

    def synced(file: int) -> None:
        sync(file)
        done.append("synced")

    monkeypatch.setattr(os, "fsync", synced)
    spool.write(an_entry(1))
    assert done == ["synced"] * 3  # where the folder stands, the line, and the folder that names its file


def test_nobody_else_may_read_it(spool: Spool) -> None:
    spool.write(an_entry(1))
    assert (spool.folder.stat().st_mode & 0o777, (spool.folder / CURRENT).stat().st_mode & 0o777) == (0o700, 0o600)


def test_writers_and_a_drain_at_once_lose_and_repeat_nothing(spool: Spool) -> None:
    def write(first: int) -> None:
        for number in range(first, first + 40):
            spool.write(an_entry(number))

    writers = [threading.Thread(target=write, args=(100 * each,)) for each in range(4)]
    for writer in writers:
        writer.start()
    found: list[dict[str, Any]] = []
    while any(writer.is_alive() for writer in writers):
        found += drained(spool)
    found += drained(spool)
    assert sorted(entry["number"] for entry in found) == [100 * each + n for each in range(4) for n in range(40)]


WRITER = """
import sys
from pathlib import Path
from core.spool import Spool
spool = Spool(Path(sys.argv[1]))
for number in range(10_000):
    spool.write({"number": number})
    print(number, flush=True)
"""


def test_what_a_killed_process_said_it_had_kept_is_there(spool: Spool) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, spool.folder], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while int(process.stdout.readline()) < 50:
            pass
        process.send_signal(signal.SIGKILL)
        told = [50, *map(int, process.stdout.read().split())]
    kept = [entry["number"] for entry in drained(spool)]
    assert kept == list(range(len(kept)))
    assert len(kept) > told[-1]
