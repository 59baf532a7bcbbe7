"""Ten thousand message sequences of hostile peers: nothing changes, nothing is exhausted, nobody
honest is accused.

Each sequence begins with what an honest peer would send and goes wrong somewhere: sizes, orders,
forged heads, other feeds, doubled and left-out messages, flipped bytes, compressed bombs.
"""

import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from ledger.canonical import decode, encode
from ledger.errors import LedgerError
from ledger.gossip import (
    BLOCK,
    GRANT,
    HAVE,
    HEAD,
    MESSAGE_BYTES_MAX,
    NO,
    NOTICE,
    PART,
    STATE,
    WANT,
    FeedReceiver,
    FeedSender,
    block_messages,
    message,
)
from ledger.mirror import blocks_held, conflicts_of, signed_height
from ledger.signing import PublicKey
from ledger.store import TABLES, Store, Transaction
from ledger.store_exchange import StoreSink, StoreSource
from tests.unit.ledger.feed_builder import FeedBuilder, grown
from tests.unit.ledger.held_feed import open_store, parts_of

SEQUENCES, NIGHTLY_SEQUENCES = 600, 10_000
GROWTH_BYTES_MAX = 8 << 20
FEED, STRANGER = grown(FeedBuilder()), grown(FeedBuilder("a stranger"))
FORGER = grown(FeedBuilder("truck", salt="another history"))
BOMB = zstandard.ZstdCompressor(level=19).compress(bytes(64 << 20))
KNOWN = {FEED.feed[0]: FEED.key}


def honest(feed: FeedBuilder) -> list[bytes]:
    """All that an honest peer sends of a feed."""
    blocks = len(feed.blocks)
    words = [message(HAVE, *feed.feed, blocks, blocks - 1)]
    for height, block in enumerate(feed.blocks):
        words += block_messages(feed.feed, height, parts_of(block))
    return [*words, message(HEAD, feed.head().encode())]


WORDS = honest(FEED)
OTHERS = honest(STRANGER)
UNSIGNED = honest(FORGER)[1:-1]  # anybody who knows a feed's name can make blocks up


def noise(chance: random.Random) -> bytes:
    """A message that nobody honest sends."""
    feed_id, epoch = chance.choice([FEED.feed, STRANGER.feed, (chance.randbytes(16), 0)])
    far = chance.choice([0, 1, 2**31, 2**62, 2**63 - 1])
    made = [
        lambda: chance.randbytes(chance.randrange(400)),
        lambda: message(HAVE, feed_id, epoch, far, chance.choice([-1, far])),
        lambda: message(WANT, feed_id, epoch, far, far),
        lambda: message(STATE, feed_id, epoch, far, -1),
        lambda: message(NO, feed_id, chance.randrange(20), "x" * chance.randrange(5000)),
        lambda: message(NOTICE, feed_id, chance.randrange(20), chance.randbytes(2000)),
        lambda: message(PART, feed_id, epoch, far, 1, far, chance.randbytes(50)),
        lambda: message(GRANT, feed_id, epoch, 1, far & 0xFFFF, chance.randbytes(120)),
        lambda: message(PART, *FEED.feed, 1, 1, 0, BOMB[: 100 << 10]),
        lambda: bytes(MESSAGE_BYTES_MAX + 1),
        lambda: encode([1, chance.randrange(20), [[[[[]]]]], chance.randbytes(8)]),
    ]
    return chance.choice(made)()


def forged(chance: random.Random) -> bytes:
    """A head that its key did not sign."""
    head = bytearray(FEED.head(chance.randrange(len(FEED.blocks))).encode())
    head[chance.randrange(len(head))] ^= 1 << chance.randrange(8)
    return message(HEAD, bytes(head))


def bombed(chance: random.Random) -> list[bytes]:
    """A block whose run is a frame that grows a thousandfold, bound as it should not be."""
    parts = parts_of(FEED.blocks[0])
    audience, head, body, _ = parts.runs[0]
    value = decode(body)
    value[5] = chance.choice([len(BOMB), 1 << 40])
    return [
        message(BLOCK, parts.header, [[audience, head, encode(value)]]),
        *(
            message(PART, *FEED.feed, 0, audience, at, BOMB[at : at + 1000])
            for at in range(0, len(BOMB), 1000)
        ),
    ]


def sequence(chance: random.Random) -> Iterator[bytes]:
    """One hostile peer."""
    words = list(chance.choice([WORDS, WORDS, OTHERS]))
    del words[chance.randrange(1, len(words) + 1) :]
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(words) + 1)
        act = chance.randrange(6)
        if act == 0:
            words.insert(at, noise(chance))
        elif act == 1:
            words.insert(at, forged(chance))
        elif act == 2 and at < len(words):
            data = bytearray(words[at])
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            words[at] = bytes(data)
        elif act == 3 and words:
            words.insert(at, chance.choice(words))
        elif act == 4 and len(words) > 1:
            del words[chance.randrange(len(words))]
        else:
            words[at:at] = bombed(chance)
    yield from words


def key_of(feed_id: bytes) -> PublicKey | None:
    return KNOWN.get(feed_id)


def held(txn: Transaction) -> dict[str, list[tuple[bytes, bytes]]]:
    return {table: list(txn.scan(table, b"")) for table in TABLES}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A mirror that holds the honest feed whole."""
    with open_store(tmp_path) as made:
        receiver = FeedReceiver(StoreSink(made, key_of, lambda _: None))
        for word in WORDS:
            receiver.receive(word)
        yield made


def test_hostile_peers_change_nothing_exhaust_nothing_and_accuse_no_one_honest(
    store: Store, nightly: bool
) -> None:
    before, chance = store.read(held), random.Random(20261124)
    tracemalloc.start()
    start_bytes = tracemalloc.get_traced_memory()[0]
    for _ in range(NIGHTLY_SEQUENCES if nightly else SEQUENCES):
        receiver = FeedReceiver(StoreSink(store, key_of, lambda _: None))
        try:
            for word in sequence(chance):
                receiver.receive(word)
        except LedgerError:
            continue  # cut off
    grown_bytes = tracemalloc.get_traced_memory()[0] - start_bytes
    tracemalloc.stop()
    assert grown_bytes < GROWTH_BYTES_MAX
    assert store.read(held) == before
    assert [] == store.read(lambda txn: conflicts_of(txn, FEED.feed))
    whole = (len(FEED.blocks), len(FEED.blocks) - 1)
    assert whole == store.read(
        lambda txn: (blocks_held(txn, FEED.feed), signed_height(txn, FEED.feed))
    )


def test_a_half_held_feed_comes_through_after_any_hostile_peer(tmp_path: Path) -> None:
    """What a liar left behind, unsigned, never stands in the way of the true blocks."""
    chance = random.Random(7)
    for number in range(20):
        with open_store(tmp_path / str(number)) as store:
            liar = FeedReceiver(StoreSink(store, key_of, lambda _: None))
            try:
                for word in [WORDS[0], *UNSIGNED, *sequence(chance)]:
                    liar.receive(word)
            except LedgerError:
                pass
            with open_store(tmp_path / f"own-{number}") as own:
                _fill(own)
                _carried(own, store)
            top = store.read(lambda txn: signed_height(txn, FEED.feed))
            assert len(FEED.blocks) - 1 == top
            assert [] == store.read(lambda txn: conflicts_of(txn, FEED.feed))


def _fill(own: Store) -> None:
    receiver = FeedReceiver(StoreSink(own, key_of, lambda _: None))
    for word in WORDS:
        receiver.receive(word)


def _carried(own: Store, store: Store) -> None:
    sender = FeedSender(StoreSource(own))
    receiver = FeedReceiver(StoreSink(store, key_of, lambda _: None))
    for _ in range(8):
        for word in sender.outgoing():
            for answer in receiver.receive(word):
                sender.receive(answer)


def test_a_sender_is_no_softer(store: Store) -> None:
    chance = random.Random(3)
    before = store.read(held)
    for _ in range(500):
        sender = FeedSender(StoreSource(store))
        sent = sum(len(word) for word in sender.outgoing())
        try:
            for _ in range(chance.randint(1, 5)):
                sender.receive(noise(chance))
                sent += sum(len(word) for word in sender.outgoing())
        except LedgerError:
            continue
        assert sent < 32 << 20
    assert store.read(held) == before
