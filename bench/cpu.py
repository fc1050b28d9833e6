"""Processor time of processes, from /proc, in seconds."""

import os
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
BACKGROUND = ("checkpointer", "walwriter", "background writer", "io worker")  # they live as long as the server


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def of_process(pid: int) -> float:
    """User and system time of one process."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICK


def of_server(postmaster: int) -> tuple[float, float]:
    """Of a PostgreSQL server: all its processes together, and how much of that its background writers took.

    Backends that ended meanwhile are in the postmaster's account of its children.
    """
    fields = _stat(postmaster)
    total = sum(int(field) for field in fields[11:15]) / TICK
    background = 0.0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if int(_stat(int(entry.name))[1]) != postmaster:
                continue
            used, title = of_process(int(entry.name)), (entry / "cmdline").read_text()
        except OSError:
            continue
        total += used
        if any(name in title for name in BACKGROUND):
            background += used
    return total, background
