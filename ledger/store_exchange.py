"""A store as the two ends of gossip: what may be given away, and where what arrives is kept."""

from collections.abc import Callable, Sequence
from typing import Final

from ledger.block import BlockParts, decode_header
from ledger.entry import PUBLIC_AUDIENCE
from ledger.errors import ConflictError, UnsignedBlocksError
from ledger.feed_store import (
    FeedName,
    feed_prefix,
    feeds,
    get_header,
    get_run,
    get_state,
    newest_head,
)
from ledger.head import decode_head
from ledger.mirror import (
    KeyOf,
    accept_block,
    accept_grant,
    accept_head,
    blocks_held,
    drop_unsigned,
    keep_conflict,
    signed_height,
)
from ledger.signed_grant import GrantPlace, check_grant, is_signed
from ledger.store import Store, Transaction

GRANT_PLACE_BYTES: Final = 6  # audience and key epoch behind the feed's prefix


def block_parts(txn: Transaction, feed: FeedName, height: int) -> BlockParts | None:
    """A held block as it travels, None where a part of it is not held any more."""
    header = get_header(txn, feed, height)
    if header is None:
        return None
    runs = []
    for audience, _ in header.runs:
        run = get_run(txn, feed, height=height, audience=audience)
        if run is None:
            return None
        runs.append((audience, run.head.encode(), run.body.encode(), run.ciphertext))
    return BlockParts(header=header.encode(), runs=tuple(runs))


def sealed_grants(txn: Transaction, feed: FeedName) -> list[tuple[int, int, bytes]]:
    """(audience, key epoch, grant as it is held) of every grant of a feed."""
    grants = []
    prefix = feed_prefix(feed)
    for key, sealed in txn.scan("grants", prefix):
        place = key[len(prefix) : len(prefix) + GRANT_PLACE_BYTES]
        audience, key_epoch = int.from_bytes(place[:2], "big"), int.from_bytes(place[2:], "big")
        grants.append((audience, key_epoch, sealed))
    return grants


class StoreSource:
    """What a store may give away; `only`: just these feeds (a gateway's own), None for all."""

    def __init__(self, store: Store, only: Sequence[FeedName] | None = None) -> None:
        self._store, self._only = store, only

    def feeds(self) -> Sequence[tuple[bytes, int, int, int]]:
        """(feed id, epoch, blocks held, highest head or -1) of each feed."""
        return self._store.read(self._feeds)

    def _feeds(self, txn: Transaction) -> list[tuple[bytes, int, int, int]]:
        rows = []
        for feed in feeds(txn) if self._only is None else self._only:
            state, head = get_state(txn, feed), newest_head(txn, feed)
            blocks = state.height if state is not None else 0
            # A gateway offers its own feed before the first block: the answer says what a peer
            # holds of it, without which no block is cut.
            if blocks or self._only is not None:
                rows.append((*feed, blocks, head.claim.height if head else -1))
        return rows

    def block(self, feed: FeedName, height: int) -> BlockParts | None:
        """A block in parts, None where it is not held any more."""
        return self._store.read(lambda txn: block_parts(txn, feed, height))

    def heads(self, feed: FeedName, above: int) -> Sequence[bytes]:
        """The newest head where it is above a height: it covers all before."""
        head = self._store.read(lambda txn: newest_head(txn, feed))
        return [head.encode()] if head and head.claim.height > above else []

    def grants(self, feed: FeedName) -> Sequence[tuple[int, int, bytes]]:
        """(audience, key epoch, signed grant) of a feed; what nobody signed goes nowhere."""
        rows = self._store.read(lambda txn: sealed_grants(txn, feed))
        return [row for row in rows if is_signed(row[2])]


class StoreSink:
    """Keeps what arrives of enrolled feeds. `changed` is called with the feed after each change."""

    def __init__(self, store: Store, key_of: KeyOf, changed: Callable[[FeedName], None]) -> None:
        self._store, self._key_of, self._changed = store, key_of, changed

    def enrolled(self, feed_id: bytes) -> bool:
        """True where the chain knows the feed."""
        return self._key_of(feed_id) is not None

    def held(self, feed: FeedName) -> tuple[int, int]:
        """(blocks held, highest head held or -1)."""
        return self._store.read(lambda txn: (blocks_held(txn, feed), signed_height(txn, feed)))

    def accept_block(self, parts: BlockParts) -> None:
        """Checks and stores a whole block."""
        header = decode_header(parts.header)
        feed = (header.feed_id, header.epoch)
        self._guarded(feed, lambda txn: accept_block(txn, parts))
        self._changed(feed)

    def accept_head(self, head: bytes) -> None:
        """Checks and stores a head."""
        claim = decode_head(head).claim
        feed = (claim.feed_id, claim.epoch)
        self._guarded(feed, lambda txn: accept_head(txn, head, self._key_of))
        self._changed(feed)

    def _guarded(self, feed: FeedName, work: Callable[[Transaction], object]) -> None:
        """Writes; what a refusal leaves to do happens in a transaction of its own."""
        try:
            self._store.write(work)
        except UnsignedBlocksError:
            self._store.write(lambda txn: drop_unsigned(txn, feed))
            raise
        except ConflictError as error:
            evidence = error.evidence
            if evidence is not None:
                self._store.write(lambda txn: keep_conflict(txn, feed, evidence))
            raise

    def accept_grant(self, feed: FeedName, *, audience: int, key_epoch: int, sealed: bytes) -> None:
        """Keeps a sealed key that the feed's own key signed. Raises SignatureError, InputError."""
        key = self._key_of(feed[0])
        if audience != PUBLIC_AUDIENCE and key is not None:
            place = GrantPlace(
                feed_id=feed[0], epoch=feed[1], audience=audience, key_epoch=key_epoch
            )
            check_grant(sealed, place, key)
            self._store.write(
                lambda txn: accept_grant(
                    txn, feed, audience=audience, key_epoch=key_epoch, sealed=sealed
                )
            )
            self._changed(feed)
