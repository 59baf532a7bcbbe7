"""Blocks: the clear records that bind runs. Bytes in docs/formats/block.md.

block-header = [ version, feed-id, epoch, height, start, size, root, jseq-end,
                 prev-block-digest, [ [ audience, run-digest ] ] ]
run-head     = [ key-epoch, first, count, [ slot ], body-digest ]
run-body     = [ [ subtree hash ], codec, run-salt, key-commit, ct-digest, ct-bytes, plain-bytes ]
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.canonical import decode, encode
from ledger.entry import FEED_ID_BYTES, PUBLIC_AUDIENCE, audience_of
from ledger.errors import FormatError
from ledger.hashing import HASH_BYTES, leaf_hash, tagged
from ledger.merkle import dyadic_parts

VERSION: Final = 1
CODEC_ZSTD: Final = 1
CODEC_COLUMNS: Final = 2  # since 0.1.0's second format of runs (ADR 0030)
CODECS: Final = frozenset({CODEC_ZSTD, CODEC_COLUMNS})
AUDIENCES_MAX: Final = 64
BLOCK_LEAVES_MAX: Final = 65_536
PLAIN_BYTES_MAX: Final = 16 << 20
NO_PREVIOUS: Final = bytes(HASH_BYTES)
RUN_SALT_BYTES: Final = 32
AEAD_TAG_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockHeader:
    """Binds the runs of one block and the block before. `start` and `size` count leaves of the
    feed.
    """

    feed_id: bytes
    epoch: int
    height: int
    start: int
    size: int
    root: bytes
    jseq_end: int
    prev_digest: bytes
    runs: tuple[tuple[int, bytes], ...]

    def encode(self) -> bytes:
        """Canonical bytes."""
        return encode(
            [
                VERSION, self.feed_id, self.epoch, self.height, self.start, self.size,
                self.root, self.jseq_end, self.prev_digest, [list(run) for run in self.runs],
            ]
        )  # fmt: skip  # one line per group reads as the format does

    @property
    def digest(self) -> bytes:
        """Block digest: leaf `height` of the feed's header tree."""
        return leaf_hash(self.encode())

    def run_digest(self, audience: int) -> bytes | None:
        """Digest of an audience's run, None where this block has none."""
        return dict(self.runs).get(audience)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHead:
    """What a run covers: leaves [first, first + count), its slots, and its body by digest."""

    key_epoch: int
    first: int
    count: int
    slots: tuple[int, ...]
    body_digest: bytes

    def encode(self) -> bytes:
        """Canonical bytes."""
        return encode([self.key_epoch, self.first, self.count, list(self.slots), self.body_digest])

    @property
    def digest(self) -> bytes:
        """Run digest, as the block header lists it."""
        return tagged("wharf/rh/1", self.encode())

    def summary_index(self, slot: int) -> int:
        """The one legal leaf index of a slot's summary in this run."""
        return self.first + self.count - len(self.slots) + self.slots.index(slot)

    @property
    def summaries_first(self) -> int:
        """Leaf index of the first summary."""
        return self.first + self.count - len(self.slots)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBody:
    """How a run is encrypted, and the subtrees by which it folds into the feed's tree."""

    subtrees: tuple[bytes, ...]
    codec: int
    run_salt: bytes
    key_commit: bytes
    ct_digest: bytes
    ct_bytes: int
    plain_bytes: int

    def encode(self) -> bytes:
        """Canonical bytes."""
        return encode(
            [
                list(self.subtrees), self.codec, self.run_salt, self.key_commit,
                self.ct_digest, self.ct_bytes, self.plain_bytes,
            ]
        )  # fmt: skip  # one line per group reads as the format does

    @property
    def digest(self) -> bytes:
        """Body digest, as the run head names it."""
        return tagged("wharf/rb/1", self.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One audience's run, whole."""

    audience: int
    head: RunHead
    body: RunBody
    ciphertext: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block header and its runs in ascending audience order."""

    header: BlockHeader
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockParts:
    """A block as it travels: encoded header, and per run audience, head, body and ciphertext."""

    header: bytes
    runs: tuple[tuple[int, bytes, bytes, bytes], ...]


def decode_header(data: bytes) -> BlockHeader:
    """The block header that these bytes are; raises NotCanonicalError or FormatError."""
    value = decode(data)
    _shape("block header", value, (int, bytes, int, int, int, int, bytes, int, bytes, list))
    if value[0] != VERSION:
        raise FormatError("block header", f"version {value[0]} is not known")
    header = BlockHeader(
        feed_id=_fixed("feed-id", value[1], FEED_ID_BYTES),
        epoch=value[2],
        height=value[3],
        start=value[4],
        size=value[5],
        root=_fixed("root", value[6], HASH_BYTES),
        jseq_end=value[7],
        prev_digest=_fixed("previous block digest", value[8], HASH_BYTES),
        runs=_runs(value[9]),
    )
    leaves_count = header.size - header.start
    if not len(header.runs) <= leaves_count <= BLOCK_LEAVES_MAX or header.epoch >> 32:
        raise FormatError("block header", "number of leaves or epoch out of range")
    return header


def _runs(value: list[Any]) -> tuple[tuple[int, bytes], ...]:
    if not 1 <= len(value) <= AUDIENCES_MAX:
        raise FormatError("block header", f"{len(value)} runs")
    for run in value:
        _shape("block header run", run, (int, bytes))
        _fixed("run digest", run[1], HASH_BYTES)
    audiences = [run[0] for run in value]
    if audiences != sorted(set(audiences)) or audiences[0] != PUBLIC_AUDIENCE:
        raise FormatError("block header", "audiences do not ascend from 0")
    if audiences[-1] >> 16:
        raise FormatError("block header", "audience out of range")
    return tuple((run[0], run[1]) for run in value)


def decode_run_head(data: bytes) -> RunHead:
    """The run head that these bytes are; raises NotCanonicalError or FormatError."""
    value = decode(data)
    _shape("run head", value, (int, int, int, list, bytes))
    slots = value[3]
    if any(type(slot) is not int or slot < 0 or slot >> 32 for slot in slots):
        raise FormatError("run head", "a slot is not a 32-bit number")
    if not slots or slots != sorted(set(slots)) or value[2] < len(slots):
        raise FormatError("run head", "slots are empty, do not ascend, or outnumber the leaves")
    if len({audience_of(slot) for slot in slots}) != 1 or value[0] >> 32:
        raise FormatError("run head", "slots of two audiences, or a key epoch out of range")
    return RunHead(
        key_epoch=value[0],
        first=value[1],
        count=value[2],
        slots=tuple(slots),
        body_digest=_fixed("body digest", value[4], HASH_BYTES),
    )


def decode_run_body(data: bytes) -> RunBody:
    """The run body that these bytes are, within bounds; raises NotCanonicalError or FormatError."""
    value = decode(data)
    _shape("run body", value, (list, int, bytes, bytes, bytes, int, int))
    if value[1] not in CODECS:
        raise FormatError("run body", f"codec {value[1]} is not known")
    if not 0 < value[6] <= PLAIN_BYTES_MAX or not AEAD_TAG_BYTES < value[5] <= PLAIN_BYTES_MAX * 2:
        raise FormatError("run body", "sizes out of bounds")
    return RunBody(
        subtrees=tuple(_fixed("subtree", item, HASH_BYTES) for item in value[0]),
        codec=value[1],
        run_salt=_fixed("run salt", value[2], RUN_SALT_BYTES),
        key_commit=_fixed("key commitment", value[3], HASH_BYTES),
        ct_digest=_fixed("ciphertext digest", value[4], HASH_BYTES),
        ct_bytes=value[5],
        plain_bytes=value[6],
    )


def _shape(what: str, value: object, types: Sequence[type]) -> None:
    """Refuses anything but a list of exactly these types with no negative integer."""
    if not isinstance(value, list) or [type(item) for item in value] != list(types):
        raise FormatError(what, f"not {len(types)} elements of the right types")
    if any(type(item) is int and item < 0 for item in value):
        raise FormatError(what, "a negative number")


def _fixed(what: str, value: object, size_bytes: int) -> bytes:
    if type(value) is not bytes or len(value) != size_bytes:
        raise FormatError(what, f"not {size_bytes} bytes")
    return value


def subtree_count(first: int, count: int) -> int:
    """How many subtrees a run of these leaves has."""
    return sum(1 for _ in dyadic_parts(first, first + count))
