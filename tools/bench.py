"""Time the paths that docs/performance.md speaks of: `python tools/bench.py [--folder DIR]`.

Prints a table in Markdown. Each figure is the best of several rounds: on a shared machine the best
is what the code costs, the rest is what the neighbours cost. `--folder` names the journal's disk.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger.canonical import decode, encode
from ledger.entry import GTime
from ledger.hashing import leaf_hash
from ledger.journal import Journal
from ledger.merkle import MemoryTree, tree_root, verify_inclusion
from ledger.signing import ES256, PublicKey, low_s

ROUNDS = 5
GROUP = 200
LEAVES = 4096
VALUE = [
    1,
    65537,
    GTime(3, 1_000_000_000, 1_795_413_600_000_000, 2, 50_000).to_value(),
    7,
    [1, 4125],
]
ENTRY = encode(VALUE)


def microseconds(action: Callable[[], object], times: int) -> float:
    """Return the best time of one action, in microseconds, over ROUNDS rounds of `times` calls."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(times):
            action()
        best = min(best, (time.perf_counter() - started) / times)
    return best * 1e6


def cbor_rows() -> list[tuple[str, float]]:
    """Time writing and judging one entry of a reading."""
    size = f"{len(ENTRY)} bytes"
    return [
        (f"encode one entry ({size})", microseconds(lambda: encode(VALUE), 5_000)),
        (f"scan and decode one foreign entry ({size})", microseconds(lambda: decode(ENTRY), 5_000)),
    ]


def tree_rows() -> list[tuple[str, float]]:
    """Time the tree: a whole root per leaf, and one inclusion proof made and verified."""
    leaves = [leaf_hash(number.to_bytes(16)) for number in range(LEAVES)]
    tree = MemoryTree(leaves)
    root, path = tree.root(), tree.inclusion_path(1000)

    def verify() -> None:
        verify_inclusion(leaf_hash=leaves[1000], index=1000, size=LEAVES, path=path, root=root)

    return [
        (
            f"root over {LEAVES} leaves, per leaf",
            microseconds(lambda: tree_root(leaves), 5) / LEAVES,
        ),
        (
            f"inclusion path in {LEAVES} leaves",
            microseconds(lambda: tree.inclusion_path(1000), 500),
        ),
        (f"verify inclusion in {LEAVES} leaves", microseconds(verify, 500)),
    ]


def signature_rows() -> list[tuple[str, float]]:
    """Time verifying a head's signature; signing belongs to the token."""
    private = ec.generate_private_key(ec.SECP256R1())
    spki = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    r, s = decode_dss_signature(private.sign(ENTRY, ec.ECDSA(hashes.SHA256())))
    signature = low_s(r.to_bytes(32) + s.to_bytes(32))
    key = PublicKey(ES256, spki)
    return [("verify one ES256 signature", microseconds(lambda: key.verify(ENTRY, signature), 300))]


def journal_rows(folder: Path) -> list[tuple[str, float]]:
    """Time durable appends, alone and in groups, on the disk of the folder."""
    rows = []
    for count, times in ((1, 100), (GROUP, 20)):
        journal, _ = Journal.open(folder / f"journal-{count}")
        group = [ENTRY] * count
        each = microseconds(lambda: journal.append(group), times) / count  # noqa: B023 - used at once
        journal.close()
        rows.append((f"journal, synced in groups of {count}, per entry", each))
    return rows


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="time the ledger's paths")
    parser.add_argument("--folder", type=Path, default=None, help="where to put the journal")
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory(prefix="wharfinger-bench-", dir=folder) as scratch:
        rows = [*cbor_rows(), *tree_rows(), *signature_rows(), *journal_rows(Path(scratch))]
    print(
        f"{platform.machine()}, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}\n"
    )
    print("| path | µs |\n|---|---|")
    for name, each in rows:
        print(f"| {name} | {each:.1f} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
