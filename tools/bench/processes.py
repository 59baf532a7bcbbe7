"""What the kernel says of a process: processor time and memory (proc(5))."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from tools.bench.session import BenchError

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
POLL_S = 0.02


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    # A child is listed under the thread that started it.
    named = [
        path.read_text(encoding="ascii").split()
        for path in (Path(f"/proc/{pid}/task").glob("*/children") if children.exists() else ())
    ]
    return [pid, *(found for row in named for child in row for found in family(int(child)))]


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and its descendants so far, user and system."""
    total = 0
    for member in family(pid):
        stat = Path(f"/proc/{member}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        total += int(stat[11]) + int(stat[12])
    return total * TICK_S


def resident_bytes(pid: int) -> int:
    """Resident memory of one process, shared pages included."""
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def wait_until(is_so: Callable[[], bool], what: str, *, within_s: float = 60) -> None:
    """Returns when it is so; raises BenchError when it takes too long."""
    deadline = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline:
            raise BenchError(f"waited {within_s:.0f} s in vain: {what}")
        time.sleep(POLL_S)
