"""What is sent to a chain that is measured: devices, one signature each, and heads of gateways."""

from __future__ import annotations

import itertools
import os
from collections.abc import Coroutine, Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.file_keys import FileSigner
from consortium.transaction import (
    KIND_ANCHORS,
    KIND_DEVICE,
    KIND_GATEWAY,
    NONCE_BYTES,
    SENDER_PARTY,
    Sender,
    new_transaction,
    sign_transaction,
)
from ledger.entry import Entry, GTime, encode_entry, feed_id_of, genesis_leaf
from ledger.feed import AnchorItem, AnchorState, anchor_state_of
from ledger.hashing import leaf_hash, sha256
from ledger.head import NO_HEAD, Head, HeadClaim
from ledger.merkle import MemoryTree
from ledger.signing import EDDSA, PublicKey

LEAVES_FIRST, LEAVES_MORE = 512, 40
NOT_AFTER: Final = 50_000
ITEMS: Final = 40  # heads in a transaction, as a chain machine sends them


def at_once(signing: Coroutine[object, None, bytes]) -> bytes:
    """What a file key signs; it never waits."""
    try:
        signing.send(None)
    except StopIteration as done:
        return bytes(done.value)
    raise AssertionError


class Feed:
    """A gateway's two trees and its key."""

    def __init__(self, number: int) -> None:
        self.signer = FileSigner(Ed25519PrivateKey.from_private_bytes(sha256(b"%d" % number)))
        entry = encode_entry(Entry(0, 0, GTime(1, 0, None, 0, 0), 0, [1, f"gateway {number}"]))
        self.feed_id, self.genesis_leaf = feed_id_of(entry), genesis_leaf(entry)
        self.leaves = MemoryTree([leaf_hash(self.genesis_leaf)])
        self.headers = MemoryTree()
        self.key = PublicKey(EDDSA, self.signer.public_key_der())
        self.state: AnchorState | None = None

    def sign(self, data: bytes) -> bytes:
        """The gateway's signature."""
        return at_once(self.signer.sign(data))

    def _grow(self) -> None:
        height = self.headers.size
        for number in range(LEAVES_MORE if height else LEAVES_FIRST):
            self.leaves.append(leaf_hash(b"%d %d" % (height, number)))
        self.headers.append(leaf_hash(b"header %d" % height))

    def next_item(self) -> AnchorItem:
        """One more block, its head and what proves that both trees only grew."""
        before = self.state
        self._grow()
        height, size = self.headers.size - 1, self.leaves.size
        claim = HeadClaim(
            alg=EDDSA, kid=self.signer.kid, issuer="gateway", subject="feed", issued_at_s=1,
            feed_id=self.feed_id, epoch=0, height=height, size=size, counter=None,
            block_root=self.headers.root(), prev_head_digest=NO_HEAD, root=self.leaves.root(),
        )  # fmt: skip  # as it is declared
        head = Head(claim, self.sign(claim.tbs())).encode()
        self.state = anchor_state_of(claim)
        if before is None:
            path = tuple(self.leaves.inclusion_path(0, size))
            return AnchorItem(
                head=head, previous_size=0, leaf_path=path, header_path=(),
                genesis_leaf=self.genesis_leaf,
            )  # fmt: skip  # as it is declared
        return AnchorItem(
            head=head,
            previous_size=before.size,
            leaf_path=tuple(self.leaves.consistency_path(before.size, size)),
            header_path=tuple(self.headers.consistency_path(before.height + 1, height + 1)),
            genesis_leaf=None,
        )


class Load:
    """An organisation's transactions, made before the clock runs."""

    def __init__(self, signer: FileSigner, *, chain_id: str, party_id: bytes, feeds: int) -> None:
        self._signer, self._chain_id, self._party_id = signer, chain_id, party_id
        self.feeds = [Feed(number) for number in range(feeds)]
        self._slots = itertools.count(1)

    def _tx(self, kind: int, body: object) -> bytes:
        transaction = new_transaction(
            self._signer,
            chain_id=self._chain_id,
            kind=kind,
            sender=Sender(SENDER_PARTY, self._party_id),
            nonce=os.urandom(NONCE_BYTES),
            not_after=NOT_AFTER,
            body=body,
        )
        return at_once(sign_transaction(transaction, self._signer))

    def enrolments(self) -> list[bytes]:
        """A transaction for each gateway."""
        return [
            self._tx(
                KIND_GATEWAY,
                [1, feed.feed_id, EDDSA, feed.key.spki, feed.genesis_leaf, "gateway", 0, []],
            )
            for feed in self.feeds
        ]

    def devices(self, count: int) -> list[bytes]:
        """Transactions that record a device each: one signature and nothing else to check."""
        feed_id = self.feeds[0].feed_id
        return [
            self._tx(KIND_DEVICE, [1, feed_id, [[f"probe {slot}", slot, bytes(32), 1, None]]])
            for slot in itertools.islice(self._slots, count)
        ]

    def anchors(self, items: Sequence[AnchorItem]) -> list[bytes]:
        """Transactions with these heads."""
        return [
            self._tx(KIND_ANCHORS, [1, [item.to_value() for item in items[at : at + ITEMS]]])
            for at in range(0, len(items), ITEMS)
        ]
