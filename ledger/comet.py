"""CometBFT 0.39 bytes: what its validators hash and sign. Pure; the few protobuf forms are written
out.

Sources: CometBFT v0.39.4, `types/block.go` (Header.Hash), `types/validator_set.go`
(ValidatorSet.Hash), `types/canonical.go` and `proto/tendermint/types/canonical.proto` (vote sign
bytes), whose messages are protobuf 3: absent numbers, strings and bytes are left out, non-nullable
messages never are. Known answers of the Go code itself stand in tests/vectors/cometbft.json.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.hashing import leaf_hash, sha256
from ledger.merkle import tree_root

BLOCK_VERSION: Final = 11
ADDRESS_BYTES: Final = 20
CHAIN_ID_CHARACTERS_MAX: Final = 50
PRECOMMIT: Final = 2
NS_PER_SECOND: Final = 1_000_000_000
_INT64_MASK: Final = (1 << 64) - 1
_VARINT, _FIXED64, _BYTES = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Validator:
    """A chain machine's Ed25519 key (32 bytes) and voting power (>= 1)."""

    key: bytes
    power: int

    @property
    def address(self) -> bytes:
        """First 20 bytes of SHA-256 of the key."""
        return sha256(self.key)[:ADDRESS_BYTES]


@dataclass(frozen=True, slots=True)
class BlockId:
    """Hash of a chain block's header, and number and root of the parts of its bytes."""

    hash: bytes = b""
    parts_total: int = 0
    parts_hash: bytes = b""

    def encode(self) -> bytes:
        """Protobuf BlockID; the part-set header stands there even when empty."""
        parts = number(1, self.parts_total) + data(2, self.parts_hash)
        return data(1, self.hash) + message(2, parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainHeader:
    """Header of a chain block; times are nanoseconds since 1970 (UTC)."""

    block_version: int
    app_version: int
    chain_id: str
    height: int
    time_ns: int
    last_block_id: BlockId
    last_commit_hash: bytes
    data_hash: bytes
    validators_hash: bytes
    next_validators_hash: bytes
    consensus_hash: bytes
    app_hash: bytes
    last_results_hash: bytes
    evidence_hash: bytes
    proposer_address: bytes

    @property
    def hash(self) -> bytes:
        """Merkle root over the fourteen encoded fields."""
        version = number(1, self.block_version) + number(2, self.app_version)
        hashes = (
            self.last_commit_hash, self.data_hash, self.validators_hash, self.next_validators_hash,
            self.consensus_hash, self.app_hash, self.last_results_hash, self.evidence_hash,
            self.proposer_address,
        )  # fmt: skip  # the order of the hash, not of taste
        return merkle_root(
            [
                version,
                data(1, self.chain_id.encode()),
                number(1, self.height),
                timestamp(self.time_ns),
                self.last_block_id.encode(),
                *(data(1, item) for item in hashes),
            ]
        )

    def encode(self) -> bytes:
        """Protobuf Header, as it stands in a block's bytes."""
        version = number(1, self.block_version) + number(2, self.app_version)
        return b"".join(
            [
                message(1, version),
                data(2, self.chain_id.encode()),
                number(3, self.height),
                message(4, timestamp(self.time_ns)),
                message(5, self.last_block_id.encode()),
                data(6, self.last_commit_hash),
                data(7, self.data_hash),
                data(8, self.validators_hash),
                data(9, self.next_validators_hash),
                data(10, self.consensus_hash),
                data(11, self.app_hash),
                data(12, self.last_results_hash),
                data(13, self.evidence_hash),
                data(14, self.proposer_address),
            ]
        )


def uvarint(value: int) -> bytes:
    """Protobuf base-128 number; negative ones as 64-bit two's complement."""
    value &= _INT64_MASK
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int) -> bytes:
    """A varint field; nothing for zero."""
    return uvarint(field << 3 | _VARINT) + uvarint(value) if value else b""


def data(field: int, value: bytes) -> bytes:
    """A bytes or string field; nothing when empty."""
    return message(field, value) if value else b""


def message(field: int, encoded: bytes) -> bytes:
    """A non-nullable message field: there even when empty."""
    return uvarint(field << 3 | _BYTES) + uvarint(len(encoded)) + encoded


def _sfixed64(field: int, value: int) -> bytes:
    return (
        uvarint(field << 3 | _FIXED64) + value.to_bytes(8, "little", signed=True) if value else b""
    )


def timestamp(time_ns: int) -> bytes:
    """google.protobuf.Timestamp: seconds rounded down, nanoseconds never negative."""
    seconds, nanos = divmod(time_ns, NS_PER_SECOND)
    return number(1, seconds) + number(2, nanos)


def merkle_root(leaves: Iterable[bytes]) -> bytes:
    """CometBFT's Merkle root over encoded leaves (RFC 6962)."""
    return tree_root([leaf_hash(leaf) for leaf in leaves])


def in_set_order(validators: Iterable[Validator]) -> tuple[Validator, ...]:
    """Validators as their set orders them: by power falling, then by address."""
    return tuple(sorted(validators, key=lambda item: (-item.power, item.address)))


def validator_set_hash(validators: Sequence[Validator]) -> bytes:
    """Hash of a set that is given in set order."""
    return merkle_root(message(1, data(1, item.key)) + number(2, item.power) for item in validators)


def vote_sign_bytes(
    *, chain_id: str, height: int, round_: int, block_id: BlockId, time_ns: int
) -> bytes:
    """What a validator signs when it commits to a block: a CanonicalVote with its length before
    it.
    """
    vote = b"".join(
        [
            number(1, PRECOMMIT),
            _sfixed64(2, height),
            _sfixed64(3, round_),
            message(4, block_id.encode()),
            message(5, timestamp(time_ns)),
            data(6, chain_id.encode()),
        ]
    )
    return uvarint(len(vote)) + vote
