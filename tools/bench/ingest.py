"""Readings in groups of 1000 to a signed block on the disk, beside databases that promise less.

Ours: decode the payload, make the entry, journal with a sync, seal with salts, zstd, encryption and
signature, LMDB. immudb: 1000 values of the same size in one call, nothing decoded or encrypted.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb

from tools.bench.figure import Figure, ratio_at_least
from tools.bench.immudb import Immudb, built
from tools.bench.session import Session
from tools.bench.worker import Worker

GROUP, GROUPS = 1000, 40
ENTRY_BYTES = 35  # the mean entry of a reading


def raw_lmdb(folder: Path) -> Callable[[int], float]:
    """A sampler: values per second, 1000 in a synced transaction, nothing done with them."""
    env = lmdb.open(str(folder), map_size=1 << 30)
    state = {"next": 0}

    def rate(groups: int) -> float:
        value, begun = os.urandom(ENTRY_BYTES), time.perf_counter()
        for _ in range(groups):
            with env.begin(write=True) as txn:
                for key in range(state["next"], state["next"] + GROUP):
                    txn.put(key.to_bytes(8, "big"), value, append=True)
            state["next"] += GROUP
        return groups * GROUP / (time.perf_counter() - begun)

    return rate


def measure(session: Session) -> list[Figure]:
    """Readings per second beside each, and where our time goes."""
    folder = built(session)
    own = Worker(session, "own", group=GROUP)
    server = Immudb(session, folder, embedded=False, value_bytes=ENTRY_BYTES)
    embedded = Immudb(session, folder, embedded=True, value_bytes=ENTRY_BYTES)
    ceiling = raw_lmdb(session.fresh_folder("lmdb"))
    answers: list[dict[str, Any]] = []

    def rate() -> float:
        answers.append(own.run(GROUPS))
        return GROUP * GROUPS / float(answers[-1]["seconds"])

    ours, by_server, by_store, raw = session.interleaved(
        "groups of 1000", rate, lambda: server.rate(GROUPS), lambda: embedded.rate(GROUPS),
        lambda: ceiling(GROUPS),
    )  # fmt: skip  # one sampler after the other
    name, unit = "ingest in groups of 1000", "readings/s"
    return [
        Figure(name=name, unit=unit, ours=ours, peer="immudb, SetAll 1000", theirs=by_server,
               goal=ratio_at_least(3)),
        Figure(name=name, unit=unit, ours=ours, peer="immudb embedded", theirs=by_store),
        Figure(name=name, unit=unit, ours=ours, peer="raw LMDB, a synced commit a group",
               theirs=raw),
        *time_per_part(answers),
    ]  # fmt: skip  # a figure a block


def time_per_part(answers: list[dict[str, Any]]) -> list[Figure]:
    """The parts of a reading's way, each beside the processor time of all of it."""
    readings = GROUP * GROUPS
    whole = tuple(answer["cpu_s"] / readings * 1e6 for answer in answers)
    order = Counter[str]()
    for answer in answers:
        order.update(answer["parts"])
    return [
        Figure(
            name=f"a reading's way: {part}", unit="µs a reading",
            ours=tuple(answer["parts"][part] / readings * 1e6 for answer in answers),
            peer="processor time of the whole way", theirs=whole,
        )
        for part, _ in order.most_common()
    ]  # fmt: skip  # a figure a block
