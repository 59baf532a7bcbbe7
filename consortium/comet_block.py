"""A chain block's own bytes as CometBFT 0.39 has them: parts, data, results, commit. Pure.

Sources: CometBFT v0.39.4, `types/block.go`, `types/part_set.go`, `types/results.go`,
`types/params.go`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.comet import (
    BlockId,
    ChainHeader,
    data,
    merkle_root,
    message,
    number,
    timestamp,
)
from ledger.hashing import sha256
from ledger.merkle import EMPTY_ROOT

PART_BYTES: Final = 65_536
FLAG_COMMIT: Final = 2
NO_EVIDENCE_HASH: Final = EMPTY_ROOT
NO_BLOCK: Final = BlockId()
# Go's zero time, 1 January of year 1, which stands in the places of absent votes.
ZERO_TIME_NS: Final = -62_135_596_800 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class CommitSignature:
    """One place of a commit: flag 1 absent, 2 for the block, 3 for nil."""

    flag: int
    address: bytes
    time_ns: int
    signature: bytes

    def encode(self) -> bytes:
        """Protobuf CommitSig."""
        return (
            number(1, self.flag)
            + data(2, self.address)
            + message(3, timestamp(self.time_ns))
            + data(4, self.signature)
        )


@dataclass(frozen=True, slots=True)
class LastCommit:
    """The votes that a block carries for the block before it; the first block's has none."""

    height: int = 0
    round: int = 0
    block_id: BlockId = NO_BLOCK
    signatures: tuple[CommitSignature, ...] = ()

    @property
    def hash(self) -> bytes:
        """The header's last-commit hash."""
        return merkle_root(item.encode() for item in self.signatures)

    def encode(self) -> bytes:
        """Protobuf Commit."""
        parts = [number(1, self.height), number(2, self.round), message(3, self.block_id.encode())]
        return b"".join([*parts, *(message(4, item.encode()) for item in self.signatures)])


def data_hash(txs: Sequence[bytes]) -> bytes:
    """The header's data hash over transactions."""
    return merkle_root(sha256(tx) for tx in txs)


def consensus_hash(*, block_bytes_max: int, gas_max: int) -> bytes:
    """The header's hash of consensus parameters: only these two are in it."""
    return sha256(number(1, block_bytes_max) + number(2, gas_max))


def results_hash(results: Sequence[tuple[int, bytes]]) -> bytes:
    """The next header's last-results hash over (code, data) of each transaction; no gas is used."""
    return merkle_root(number(1, code) + data(2, payload) for code, payload in results)


def block_bytes(header: ChainHeader, txs: Sequence[bytes], last_commit: LastCommit) -> bytes:
    """Protobuf Block, without evidence."""
    return (
        message(1, header.encode())
        + message(2, b"".join(message(1, tx) for tx in txs))
        + message(3, b"")
        + message(4, last_commit.encode())
    )


def block_id_of(header: ChainHeader, txs: Sequence[bytes], last_commit: LastCommit) -> BlockId:
    """The id that validators sign: the header's hash, and the root over the block's parts."""
    encoded = block_bytes(header, txs, last_commit)
    parts = [encoded[at : at + PART_BYTES] for at in range(0, len(encoded), PART_BYTES)]
    return BlockId(header.hash, len(parts), merkle_root(parts))
