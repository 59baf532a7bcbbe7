"""A gateway's feed in memory: two growing trees and the heads over them, as `ledger` signs them."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger.entry import Entry, GTime, encode_entry, feed_id_of, genesis_leaf
from ledger.feed import AnchorItem
from ledger.hashing import leaf_hash, sha256
from ledger.head import NO_HEAD, Head, HeadClaim
from ledger.key_change import KeyChange
from ledger.merkle import MemoryTree
from ledger.signing import EDDSA, kid_of


def _spki(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class GatewayFeed:
    """Grows by blocks of three leaves; signs a head for any height."""

    def __init__(self, name: str) -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(sha256(name.encode()))
        self.spki = _spki(self.key)
        genesis = encode_entry(Entry(0, 0, GTime(1, 0, None, 0, 0), 0, [1, name]))
        self.genesis_leaf, self.feed_id = genesis_leaf(genesis), feed_id_of(genesis)
        self.leaves = MemoryTree([leaf_hash(self.genesis_leaf)])
        self.headers, self.sizes = MemoryTree(), list[int]()

    def rotation(self, name: str, *, level: int = 0, signed_by: str | None = None) -> list[object]:
        """The body of the transaction by which the key with this name follows; see `follow`."""
        new = Ed25519PrivateKey.from_private_bytes(sha256(name.encode()))
        change = KeyChange(
            feed_id=self.feed_id, old_kid=kid_of(self.spki), alg=EDDSA, spki=_spki(new), level=level
        )
        other = Ed25519PrivateKey.from_private_bytes(sha256((signed_by or name).encode()))
        signatures = [key.sign(change.statement()) for key in (self.key, other)]
        return [1, self.feed_id, EDDSA, change.spki, level, *signatures]

    def follow(self, name: str) -> None:
        """From now on the key with this name signs."""
        self.key = Ed25519PrivateKey.from_private_bytes(sha256(name.encode()))
        self.spki = _spki(self.key)

    def grow(self, blocks: int = 1, word: str = "") -> "GatewayFeed":
        """More blocks; another word gives another history."""
        for _ in range(blocks):
            for _ in range(3):
                self.leaves.append(leaf_hash(b"%s %d" % (word.encode(), self.leaves.size)))
            self.sizes.append(self.leaves.size)
            self.headers.append(leaf_hash(b"header %s %d" % (word.encode(), len(self.sizes))))
        return self

    def head(self, height: int | None = None, *, epoch: int = 0, issued_at_s: int = 1) -> bytes:
        """A signed head of this height (default: the newest)."""
        height = len(self.sizes) - 1 if height is None else height
        size = self.sizes[height]
        claim = HeadClaim(
            alg=EDDSA,
            kid=kid_of(self.spki),
            issuer="gateway",
            subject="feed",
            issued_at_s=issued_at_s,
            feed_id=self.feed_id,
            epoch=epoch,
            height=height,
            size=size,
            counter=None,
            block_root=self.headers.root(height + 1),
            prev_head_digest=NO_HEAD,
            root=self.leaves.root(size),
        )
        return Head(claim, self.key.sign(claim.tbs())).encode()

    def item(
        self, previous: int | None, height: int | None = None, *, epoch: int = 0
    ) -> AnchorItem:
        """What anchors a height from the previously anchored one (None: the first)."""
        height = len(self.sizes) - 1 if height is None else height
        size = self.sizes[height]
        if previous is None:
            return AnchorItem(
                head=self.head(height, epoch=epoch),
                previous_size=0,
                leaf_path=tuple(self.leaves.inclusion_path(0, size)),
                header_path=(),
                genesis_leaf=self.genesis_leaf,
            )
        old = self.sizes[previous]
        return AnchorItem(
            head=self.head(height, epoch=epoch),
            previous_size=old,
            leaf_path=tuple(self.leaves.consistency_path(old, size)),
            header_path=tuple(self.headers.consistency_path(previous + 1, height + 1)),
            genesis_leaf=None,
        )
