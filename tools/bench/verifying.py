"""What it costs to check readings: a whole block under one signature, and one reading's proof."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ed25519

from ledger.block import Run
from ledger.feed_store import node_reader
from ledger.frontier import Frontier
from ledger.hashing import leaf_hash
from ledger.head import verify_inclusion_receipt
from ledger.merkle import dyadic_parts, inclusion_path, tree_root
from ledger.opening import OpenedRun, open_run
from ledger.sealed import place_of, run_key
from ledger.store import TREE_LEAVES
from tools.bench.figure import Figure, at_most, ratio_at_least
from tools.bench.load import AUDIENCE
from tools.bench.path import AUDIENCE_KEY
from tools.bench.sealed_feed import SealedFeed, sealed_feed
from tools.bench.session import Session

BLOCKS, READINGS = 8, 4096
SIGNATURES = 500


def elapsed_us(action: Callable[[], object], times: int = 1) -> float:
    """Microseconds that an action takes, the mean of so many calls."""
    begun = time.perf_counter()
    for _ in range(times):
        action()
    return (time.perf_counter() - begun) / times * 1e6


@dataclass(frozen=True, slots=True)
class Checks:
    """The newest block of a feed, and what can be done with it."""

    feed: SealedFeed
    run: Run
    before: Frontier  # the leaf tree without that block

    def open(self) -> OpenedRun:
        """Decrypts the run and judges every entry."""
        header = self.feed.block.header
        place = place_of(header, audience=AUDIENCE, key_epoch=0)
        key = run_key(AUDIENCE_KEY, self.run.body.run_salt, place)
        return open_run(
            header=header, audience=AUDIENCE, head=self.run.head, body=self.run.body,
            ciphertext=self.run.ciphertext, key=key,
        )  # fmt: skip  # as it is declared

    def verify_leaves(self, opened: OpenedRun) -> None:
        """From the leaves to the signature: every reading of the block is what was signed."""
        frontier, first = self.before, self.run.head.first
        hashes = [leaf_hash(leaf) for leaf in opened.leaves]
        for level, index in dyadic_parts(first, first + len(hashes)):
            begin = (index << level) - first
            frontier, _ = frontier.grow(level, tree_root(hashes[begin : begin + (1 << level)]))
        assert frontier.root() == self.feed.head.claim.root
        self.feed.head.verify(self.feed.path.key.public)

    def receipt(self, opened: OpenedRun, index: int) -> bytes:
        """A reading's proof: its path to the signed root, from a block that is open."""

        def made(txn: object) -> bytes:
            read = opened.reader(node_reader(txn, self.feed.name, TREE_LEAVES))  # type: ignore[arg-type]  # the store's transaction
            path = inclusion_path(read, index, self.feed.head.claim.size)
            return self.feed.head.inclusion_receipt(index, path)

        return self.feed.durable.store.read(made)


def checks_of(feed: SealedFeed) -> Checks:
    """The checks of a feed's newest block, whose last run is the sensors'."""
    block, before = feed.block, feed.before
    for run in block.runs[:-1]:
        first = run.head.first
        parts = dyadic_parts(first, first + run.head.count)
        for (level, _), root in zip(parts, run.body.subtrees, strict=True):
            before, _ = before.grow(level, root)
    return Checks(feed, block.runs[-1], before)


def measure(session: Session) -> list[Figure]:
    """Block and proof."""
    feed = sealed_feed(session.fresh_folder("feed"), blocks=BLOCKS, block_readings=READINGS)
    checks = checks_of(feed)
    opened = checks.open()
    try:
        return [*_block(session, checks, opened), *_proof(session, checks, opened)]
    finally:
        feed.close()


def _block(session: Session, checks: Checks, opened: OpenedRun) -> list[Figure]:
    """Rates, so that the ratio says how many times cheaper."""
    count, entry = len(opened.leaves), opened.leaves[0]
    key = ed25519.Ed25519PrivateKey.generate()
    public, signature = key.public_key(), key.sign(entry)
    whole, judged, single = session.interleaved(
        "a block",
        lambda: count / elapsed_us(lambda: checks.verify_leaves(opened)) * 1e6,
        lambda: count / elapsed_us(checks.open) * 1e6,
        lambda: 1e6 / elapsed_us(lambda: public.verify(signature, entry), SIGNATURES),
    )
    unit, peer = "readings/s", "one Ed25519 check each"
    return [
        Figure(name="whole block verified, from its leaves to the signature", unit=unit,
               ours=whole, peer=peer, theirs=single, goal=ratio_at_least(40)),
        Figure(name="whole block decrypted and judged entry by entry", unit=unit,
               ours=judged, peer=peer, theirs=single),
    ]  # fmt: skip  # a figure a block


def _proof(session: Session, checks: Checks, opened: OpenedRun) -> list[Figure]:
    index = opened.head.first + opened.head.count // 3
    leaf, public = leaf_hash(opened.leaves[index - opened.head.first]), checks.feed.path.key.public
    receipt, head = checks.receipt(opened, index), checks.feed.head
    made, verified, opening, bare = (
        tuple(us / 1000 for us in samples)
        for samples in session.interleaved(
            "a proof",
            lambda: elapsed_us(lambda: checks.receipt(opened, index), 5),
            lambda: elapsed_us(lambda: verify_inclusion_receipt(receipt, leaf, public), 100),
            lambda: elapsed_us(lambda: checks.receipt(checks.open(), index)),
            lambda: elapsed_us(lambda: head.verify(public), 100),
        )
    )
    peer = "one ES256 check"
    return [
        Figure(name="a reading's proof made, its block open", unit="ms", ours=made,
               peer=peer, theirs=bare, goal=at_most(5), note=f"{len(receipt)} bytes"),
        Figure(name="a reading's proof verified", unit="ms", ours=verified,
               peer=peer, theirs=bare, goal=at_most(2)),
        Figure(name=f"a reading's proof made from a sealed block of {READINGS}", unit="ms",
               ours=opening, peer=peer, theirs=bare),
    ]  # fmt: skip  # a figure a block
