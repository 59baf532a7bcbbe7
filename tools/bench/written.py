"""What reaches the disk when readings come in small groups: cards wear by bytes written."""

from __future__ import annotations

from tools.bench.figure import Figure, at_most
from tools.bench.session import Session
from tools.bench.worker import Worker

GROUP, GROUPS = 10, 820  # two blocks of the gateway's default size


def measure(session: Session) -> list[Figure]:
    """Bytes written a reading, as the kernel counts them for the process."""
    own, sqlite = (Worker(session, kind, group=GROUP) for kind in ("own", "sqlite"))

    def bytes_of(worker: Worker) -> float:
        return float(worker.run(GROUPS)["written"]) / (GROUP * GROUPS)

    ours, theirs = session.interleaved(
        "groups of 10", lambda: bytes_of(own), lambda: bytes_of(sqlite)
    )
    return [
        Figure(
            name="bytes written in groups of 10", unit="bytes a reading",
            ours=ours, peer="SQLite, WAL, FULL", theirs=theirs, goal=at_most(600),
        )
    ]  # fmt: skip  # a figure a block
