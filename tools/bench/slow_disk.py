"""The ledger's work on a disk whose every sync takes 5 ms, beside SQLite doing the same work."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tools.bench.figure import Figure, ratio_at_least
from tools.bench.session import BenchError, Session
from tools.bench.worker import Worker

SYNC_US, GROUP, GROUPS = 5000, 1000, 24


def slowing(session: Session) -> dict[str, str]:
    """The environment in which a program's syncs are slow. Raises BenchError without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise BenchError("no C compiler: sudo apt-get install gcc libc6-dev")
    library = session.fresh_folder("slow") / "slow_sync.so"
    source = Path(__file__).with_name("slow_sync.c")
    try:
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True
        )
    except subprocess.CalledProcessError as error:
        raise BenchError("slow_sync.c does not compile: sudo apt-get install libc6-dev") from error
    return {"LD_PRELOAD": str(library), "SLOW_SYNC_US": str(SYNC_US)}


def measure(session: Session) -> list[Figure]:
    """Readings per second of both."""
    env = slowing(session)
    own = Worker(session, "own", group=GROUP, env=env)
    sqlite = Worker(session, "sqlite", group=GROUP, env=env)
    ours, theirs = session.interleaved(
        "5 ms a sync", lambda: own.rate(GROUPS), lambda: sqlite.rate(GROUPS)
    )
    return [
        Figure(
            name=f"the same work, {SYNC_US // 1000} ms more a sync", unit="readings/s",
            ours=ours, peer="SQLite, WAL, FULL", theirs=theirs, goal=ratio_at_least(1.1),
        )
    ]  # fmt: skip  # a figure a block
