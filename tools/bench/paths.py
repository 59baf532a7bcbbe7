"""Small paths of the ledger, each beside the bare operation that it cannot do without."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

import cbor2

from ledger.canonical import decode, encode
from ledger.entry import GTime
from ledger.hashing import leaf_hash
from ledger.merkle import MemoryTree, tree_root, verify_inclusion
from tools.bench.figure import Figure
from tools.bench.session import Session

LEAVES = 4096
ENTRY = [
    1,
    65537,
    GTime(3, 1_000_000_000, 1_795_413_600_000_000, 2, 50_000).to_value(),
    7,
    [1, 4125],
]


def microseconds(action: Callable[[], object], times: int) -> Callable[[], float]:
    """A sampler of an action's time: the mean of so many calls."""

    def sample() -> float:
        begun = time.perf_counter()
        for _ in range(times):
            action()
        return (time.perf_counter() - begun) / times * 1e6

    return sample


def measure(session: Session) -> list[Figure]:
    """Canonical form, tree and proof."""
    data = encode(ENTRY)
    leaves = [leaf_hash(number.to_bytes(16)) for number in range(LEAVES)]
    tree = MemoryTree(leaves)
    root, path = tree.root(), tree.inclusion_path(1000)

    def verify() -> None:
        verify_inclusion(leaf_hash=leaves[1000], index=1000, size=LEAVES, path=path, root=root)

    def hashes(count: int) -> Callable[[], None]:
        def work() -> None:
            for _ in range(count):
                hashlib.sha256(data).digest()

        return work

    rows: list[tuple[str, Callable[[], object], str, Callable[[], object], int]] = [
        ("encode one entry", lambda: encode(ENTRY), "cbor2", lambda: cbor2.dumps(ENTRY), 20_000),
        ("scan and decode one entry", lambda: decode(data), "cbor2",
         lambda: cbor2.loads(data), 20_000),
        (f"root over {LEAVES} leaves", lambda: tree_root(leaves),
         f"{LEAVES - 1} SHA-256", hashes(LEAVES - 1), 10),
        ("verify one inclusion path", verify, f"{len(path)} SHA-256", hashes(len(path)), 5_000),
    ]  # fmt: skip  # one row a figure
    figures = []
    for name, action, peer, other, times in rows:
        ours, theirs = session.interleaved(
            name, microseconds(action, times), microseconds(other, times)
        )
        figures.append(Figure(name=name, unit="µs", ours=ours, peer=peer, theirs=theirs))
    return figures
