import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from consortium.errors import ChainUnavailableError
from gateway.retention import (
    ASK_BLOCKS,
    DAY_S,
    Keeper,
    RetentionPolicy,
    Room,
    released,
    signed_before,
)
from ledger.canonical import encode
from ledger.feed_store import feed_prefix, get_run
from ledger.proven_records import BlockStatement
from ledger.store import Store
from tests.unit.ledger.feed_builder import START_MS, ChainBuilder, FeedBuilder, X, grown
from tests.unit.ledger.held_feed import hold_own, open_store

BLOCKS = 9
ANY = RetentionPolicy(keep_days=0, mirrors=1)
PARTIES = [ChainBuilder.party_id(name) for name in ("insurer", "bank", "harbour")]
PLENTY = Room(used=1, file=1 << 20, limit=1 << 30, disk_free=1 << 30)
TIGHT = Room(used=9 << 20, file=10 << 20, limit=1 << 30, disk_free=0)
NOW_S = START_MS // 1000 + 1000 * DAY_S


async def look(keeper: Keeper) -> None:
    await keeper.ask()
    await keeper.let_go()


class Witness:
    """A chain that says what the test wants; it may be away."""

    def __init__(self, feed: FeedBuilder) -> None:
        self.feed, self.chain = feed, ChainBuilder()
        self.asked: list[tuple[int, int]] = []
        self.away = False
        self._said: list[tuple[int, int]] = []

    async def statements(self, feed_id: bytes, epoch: int, *, first: int, last: int) -> bytes:
        self.asked.append((first, last))
        if self.away:
            raise ChainUnavailableError("away")
        assert (feed_id, epoch) == self.feed.feed
        shown = [index for height, index in self._said if first <= height <= last]
        return self.chain.part(shown, [encode(["validators"])])

    def mirrored(self, height: int, party: bytes = PARTIES[0], digest: bytes | None = None) -> None:
        digest = digest or self.feed.headers[height].digest
        record = [5, *self.feed.feed, height, digest, party]
        self._said.append((height, self.chain.log(record, START_MS)))

    def opened(
        self, height: int, audience: int, *, ok: bool = True, party: bytes = PARTIES[1]
    ) -> None:
        header = self.feed.headers[height]
        record = [6, *self.feed.feed, height, audience, header.digest, ok, party]
        self._said.append((height, self.chain.log(record, START_MS)))

    def all_said(self, heights: Iterable[int]) -> None:
        for height in heights:
            self.mirrored(height)
            for audience, _ in self.feed.headers[height].runs:
                if audience:  # as readers do: the public run is stated by nobody
                    self.opened(height, audience)


class Box:
    """A gateway's store with its keeper."""

    def __init__(self, store: Store, blocks: int = BLOCKS) -> None:
        self.feed = grown(FeedBuilder(), blocks)
        self.store, self.witness = store, Witness(self.feed)
        self.room, self.now_s = PLENTY, NOW_S
        store.write(lambda txn: hold_own(txn, self.feed))

    def anchor(self, height: int) -> None:
        key = feed_prefix(self.feed.feed) + height.to_bytes(8, "big")
        self.store.write(lambda txn: txn.put("anchors", key, b"proof"))

    def keeper(self, policy: RetentionPolicy = ANY) -> Keeper:
        return Keeper(
            self.store,
            self.feed.feed,
            policy,
            witnesses=[(self.witness, self.witness.chain.trust)],
            now_s=lambda: self.now_s,
            room=lambda: self.room,
        )

    def look(self, policy: RetentionPolicy = ANY) -> tuple[int, int]:
        """(released below, pruned below) after one look."""
        keeper = self.keeper(policy)
        asyncio.run(look(keeper))
        return keeper.released_below, keeper.pruned_below


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with open_store(tmp_path / "store") as store:
        yield Box(store)


def test_readings_go_when_the_chain_proves_that_others_hold_and_opened_them(box: Box) -> None:
    box.anchor(BLOCKS - 1)
    box.witness.all_said(range(6))
    assert (6, 6) == box.look()
    feed = box.feed.feed
    gone = [
        box.store.read(lambda txn, h=h: get_run(txn, feed, height=h, audience=0))  # type: ignore[misc]  # bound now
        for h in range(BLOCKS)
    ]
    assert [True, *[False] * 5, True, True, True] == [run is not None for run in gone]


def test_what_is_not_anchored_never_goes_however_tight_it_is(box: Box) -> None:
    box.room = TIGHT
    box.witness.all_said(range(BLOCKS))
    assert (0, 0) == box.look(replace(ANY, mirrors=0, opened=False))
    assert [] == box.witness.asked
    box.anchor(3)
    assert (4, 4) == box.look(replace(ANY, mirrors=0, opened=False))


@pytest.mark.parametrize(
    ("spoil", "below"),
    [
        (lambda w: (w.mirrored(2, digest=bytes(32)), w.opened(2, 1), w.opened(2, 2)), 2),
        (lambda _: None, 2),
        (lambda w: (w.mirrored(2), w.opened(2, 1)), 2),
        (lambda w: (w.all_said([2]), w.opened(2, 1, ok=False)), 2),
        (lambda w: w.all_said([2]), BLOCKS),
    ],
    ids=["of another block", "unsaid", "one run unopened", "disputed", "all said"],
)  # fmt: skip
def test_one_block_of_which_too_little_is_said_holds_up_all_behind_it(
    box: Box, spoil: Callable[[Witness], object], below: int
) -> None:
    box.anchor(BLOCKS - 1)
    box.witness.all_said(range(2))
    box.witness.all_said(range(3, BLOCKS))
    spoil(box.witness)
    assert below == box.look()[0]


def test_mirrors_are_counted_by_party(box: Box) -> None:
    def said(*parties: bytes) -> list[BlockStatement]:
        return [
            BlockStatement(
                feed=box.feed.feed,
                height=0,
                audience=None,
                block_digest=box.feed.headers[0].digest,
                ok=None,
                party=party,
            )
            for party in parties
        ]

    two = RetentionPolicy(mirrors=2, opened=False)
    one, other = PARTIES[:2]
    assert 0 == released(box.feed.headers[:1], said(one, one), two)
    assert 1 == released(box.feed.headers[:1], said(one, other), two)


def test_the_default_policy_is_the_careful_one() -> None:
    policy = RetentionPolicy()
    assert (400, 2, True) == (policy.keep_days, policy.mirrors, policy.opened)


def test_young_readings_stay_while_there_is_room_and_go_when_there_is_none(box: Box) -> None:
    box.anchor(BLOCKS - 1)
    box.witness.all_said(range(BLOCKS))
    policy = replace(ANY, keep_days=10)
    box.now_s = START_MS // 1000 + 10 * DAY_S + 3  # heads are a second apart: three are older
    assert (BLOCKS, 3) == box.look(policy)
    box.room = TIGHT
    # The newest block always stays.
    assert (BLOCKS, BLOCKS - 1) == box.look(policy)


def test_without_a_trusted_clock_only_room_decides(box: Box) -> None:
    box.anchor(BLOCKS - 1)
    box.witness.all_said(range(BLOCKS))
    box.now_s = None  # type: ignore[assignment]  # a clock that nobody disciplines
    assert (BLOCKS, 0) == box.look(replace(ANY, keep_days=1))
    assert (BLOCKS, BLOCKS - 1) == box.look(ANY)  # zero days pass without a clock


def test_room_decides_without_a_clock_too(box: Box) -> None:
    box.anchor(BLOCKS - 1)
    box.witness.all_said(range(BLOCKS))
    box.now_s = None  # type: ignore[assignment]  # a clock that nobody disciplines
    box.room = TIGHT
    assert BLOCKS - 1 == box.look(replace(ANY, keep_days=400))[1]


def test_while_the_chain_is_away_what_was_released_before_may_still_go(box: Box) -> None:
    box.anchor(BLOCKS - 1)
    box.witness.all_said(range(6))
    box.look(replace(ANY, keep_days=36_500))
    box.witness.away, box.room = True, TIGHT
    assert (6, 6) == box.look()


def test_a_stricter_policy_asks_again(box: Box) -> None:
    box.anchor(BLOCKS - 1)
    box.witness.all_said(range(6))
    assert 6 == box.look(replace(ANY, keep_days=36_500))[0]
    assert 0 == box.look(replace(ANY, keep_days=36_500, mirrors=2))[0]


def test_a_long_backlog_is_asked_about_in_parts(tmp_path: Path) -> None:
    with open_store(tmp_path / "store") as store:
        box = Box(store, ASK_BLOCKS + 5)
        box.anchor(ASK_BLOCKS + 4)
        box.witness.all_said(range(ASK_BLOCKS + 5))
        assert ASK_BLOCKS + 5 == box.look()[0]
        assert [(0, ASK_BLOCKS - 1), (ASK_BLOCKS, ASK_BLOCKS + 4)] == box.witness.asked


def test_a_chain_of_another_genesis_releases_nothing(box: Box) -> None:
    box.anchor(BLOCKS - 1)
    box.witness.all_said(range(BLOCKS))
    keeper = Keeper(
        box.store,
        box.feed.feed,
        ANY,
        witnesses=[(box.witness, bytes(32))],
        now_s=lambda: NOW_S,
        room=lambda: PLENTY,
    )
    asyncio.run(look(keeper))
    assert 0 == keeper.released_below


def test_a_full_store_is_given_room_by_what_was_released(box: Box) -> None:
    box.anchor(BLOCKS - 1)
    box.witness.all_said(range(6))
    keeper = box.keeper(replace(ANY, keep_days=36_500))
    asyncio.run(look(keeper))
    assert (6, 0) == (keeper.released_below, keeper.pruned_below)
    assert box.store.make_room
    assert 6 == box.store.write(box.store.make_room)
    assert 0 == box.store.write(box.store.make_room)


def test_the_share_in_use_counts_freed_pages_as_free() -> None:
    assert 50 == Room(used=5, file=10, limit=100, disk_free=0).used_percent
    assert 25 == Room(used=5, file=10, limit=100, disk_free=10).used_percent
    assert 50 == Room(used=5, file=10, limit=10, disk_free=1000).used_percent


def test_heads_without_a_date_are_of_no_age(tmp_path: Path) -> None:
    feed = FeedBuilder()
    feed.describe(X)
    feed.cut()
    with open_store(tmp_path / "store") as store:
        store.write(lambda txn: hold_own(txn, feed, heads=False))
        assert 0 == store.read(lambda txn: signed_before(txn, feed.feed, NOW_S))
