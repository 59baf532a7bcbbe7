"""Evidence of a conflict: two heads of one key that no single history can hold.

    conflict = [ 1, head: bstr, other-head: bstr, proof ]     ; the lower one first
    proof    = null                                     ; the heads alone exclude each other
             / [ 1, block-root: hash, [* hash] ]        ; what the other's row of headers was then
             / [ 2, block-header: bstr, [* hash] ]      ; what stands at that height in the other's

A restored backup that sealed on looks the same as a lie: pages say "conflict", no more.
"""

from collections.abc import Sequence
from typing import Any, Final, Protocol

from ledger.block import decode_header
from ledger.canonical import decode, encode
from ledger.errors import FormatError, LimitError, SignatureError
from ledger.head import Head, HeadClaim, decode_head
from ledger.merkle import verify_consistency, verify_inclusion
from ledger.signing import PublicKey

VERSION: Final = 1
CONFLICT_BYTES_MAX: Final = 64 << 10
PROOF_ROW, PROOF_HEADER = 1, 2


class TreesClaim(Protocol):
    """What a head, or a witness's record of one, says of a feed's two trees."""

    @property
    def feed_id(self) -> bytes:
        """The feed."""

    @property
    def epoch(self) -> int:
        """Its epoch."""

    @property
    def height(self) -> int:
        """Height of the newest block."""

    @property
    def size(self) -> int:
        """Leaves up to there."""

    @property
    def root(self) -> bytes:
        """Root of the leaf tree."""

    @property
    def block_root(self) -> bytes:
        """Root of the row of headers."""


def exclude_each_other(lower: TreesClaim, higher: TreesClaim) -> bool:
    """True where two claims of one feed and epoch cannot both be true, by themselves."""
    if (lower.feed_id, lower.epoch) != (higher.feed_id, higher.epoch):
        return False
    if lower.height == higher.height:
        return _trees(lower) != _trees(higher)
    first, second = sorted((lower, higher), key=lambda claim: claim.height)
    # Every block has a leaf at least, so a later head signs more of them.
    return first.size >= second.size


def _trees(claim: TreesClaim) -> tuple[int, bytes, bytes]:
    return claim.size, claim.root, claim.block_root


def conflict_of_heads(first: bytes, second: bytes) -> bytes:
    """Evidence of two encoded heads that exclude each other by themselves."""
    pair = sorted((first, second), key=lambda data: (decode_head(data).claim.height, data))
    return encode([VERSION, *pair, None])


def conflict_of_row(lower: bytes, higher: bytes, *, row: bytes, path: Sequence[bytes]) -> bytes:
    """Evidence that the higher head's row of headers was another at the lower head's height."""
    return encode([VERSION, lower, higher, [PROOF_ROW, row, list(path)]])


def conflict_of_header(
    lower: bytes, higher: bytes, *, header: bytes, path: Sequence[bytes]
) -> bytes:
    """Evidence that the higher head's header at the lower one's height names another leaf tree."""
    return encode([VERSION, lower, higher, [PROOF_HEADER, header, list(path)]])


def verify_under(head: Head, keys: Sequence[PublicKey]) -> None:
    """Raises SignatureError unless one of a feed's keys, present or earlier, signed the head."""
    key = next((key for key in keys if key.kid == head.claim.kid), None)
    if key is None:
        raise SignatureError("the head is of a key that is not the feed's")
    head.verify(key)


def check_conflict(data: bytes, *keys: PublicKey) -> tuple[HeadClaim, HeadClaim]:
    """Both claims, if the evidence shows a conflict under these keys of one feed.

    Raises InputError or RefutedError subclasses where it does not.
    """
    if len(data) > CONFLICT_BYTES_MAX:
        raise LimitError("conflict evidence in bytes", len(data), CONFLICT_BYTES_MAX)
    value = decode(data)
    if not isinstance(value, list) or len(value) != 4 or value[0] != VERSION:
        raise FormatError("conflict", "not version 1")
    if type(value[1]) is not bytes or type(value[2]) is not bytes:
        raise FormatError("conflict", "heads are not byte strings")
    lower, higher = (decode_head(item) for item in value[1:3])
    verify_under(lower, keys)
    verify_under(higher, keys)
    _check_proof(lower.claim, higher.claim, value[3])
    return lower.claim, higher.claim


def _check_proof(lower: HeadClaim, higher: HeadClaim, proof: Any) -> None:
    if (lower.feed_id, lower.epoch) != (higher.feed_id, higher.epoch):
        raise FormatError("conflict", "heads of two feeds or epochs")
    if proof is None:
        if not exclude_each_other(lower, higher):
            raise FormatError("conflict", "the heads do not exclude each other")
        return
    if not isinstance(proof, list) or [type(v) for v in proof] != [int, bytes, list]:
        raise FormatError("conflict", "proof of a wrong shape")
    kind, claimed, path = proof
    if kind == PROOF_ROW:
        _check_row(lower, higher, claimed, path)
    elif kind == PROOF_HEADER:
        _check_header(lower, higher, claimed, path)
    else:
        raise FormatError("conflict", f"proof of kind {kind}")


def _check_row(lower: HeadClaim, higher: HeadClaim, row: bytes, path: Sequence[bytes]) -> None:
    verify_consistency(
        old_size=lower.height + 1,
        new_size=higher.height + 1,
        old_root=row,
        new_root=higher.block_root,
        path=path,
    )
    if row == lower.block_root:
        raise FormatError("conflict", "both heads have the same row of headers")


def _check_header(lower: HeadClaim, higher: HeadClaim, data: bytes, path: Sequence[bytes]) -> None:
    header = decode_header(data)
    verify_inclusion(
        leaf_hash=header.digest,
        index=lower.height,
        size=higher.height + 1,
        path=path,
        root=higher.block_root,
    )
    if (header.size, header.root) == (lower.size, lower.root):
        raise FormatError("conflict", "the head and the header name the same leaf tree")
