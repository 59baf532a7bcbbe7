import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from consortium.feeds import FeedRoom
from consortium.node import ChainNode
from ledger.entry import Entry
from ledger.errors import InputError
from ledger.feed import AnchorState, check_anchor
from ledger.gossip import HAVE, STATE, WANT, block_messages, decode_message, message
from ledger.gossip import HEAD as HEAD_MESSAGE
from ledger.mirror import accept_block, accept_grant, keep_conflict
from ledger.opening import OpenedRun
from ledger.store import Store
from tests.unit.ledger.attacks import in_audience
from tests.unit.ledger.bad_runs import feed_with
from tests.unit.ledger.feed_builder import FeedBuilder, RunPart, X, grown
from tests.unit.ledger.held_feed import (
    READER,
    accept,
    granted,
    hold_mirrored,
    open_store,
    parts_of,
)

FEED = grown(FeedBuilder(), 5)  # X from height 1 in audience 1, Z from height 2 in audience 2
BAD_AT = 3


class Enrolled:
    """The chain's word on gateways, as far as feeds ask for it."""

    def __init__(self, *feeds: FeedBuilder) -> None:
        self.gateways = {
            feed.feed[0]: [b"party", feed.key.alg, feed.key.spki, 0, bytes(32), 1, None]
            for feed in feeds
        }
        self.frozen: dict[bytes, list[Any]] = {}

    def get(self, *key: object) -> list[Any] | None:
        rows = {"gateway": self.gateways, "frozen": self.frozen}[str(key[0])]
        return rows.get(cast("bytes", key[1]))


class Reader:
    """A read model that remembers what it was given."""

    def __init__(self) -> None:
        self.given: list[tuple[int, int]] = []  # height, audience
        self._loop, self._more = asyncio.get_running_loop(), asyncio.Event()

    def take(self, opened: OpenedRun) -> None:
        """Called on the thread that opens."""
        self.given.append((opened.header.height, opened.audience))
        self._loop.call_soon_threadsafe(self._more.set)

    async def has(self, count: int) -> None:
        """Returns once so many runs were given."""
        while len(self.given) < count:
            self._more.clear()
            await self._more.wait()


class Machine:
    """A store with feeds in it, and the room over it; `again` is a restart."""

    def __init__(self, store: Store, *feeds: FeedBuilder) -> None:
        self.store, self.node, self.reader = store, Enrolled(*feeds), Reader()
        self.pokes = 0
        self.room = self.again()

    def again(self) -> FeedRoom:
        self.room = FeedRoom(
            self.store,
            cast("ChainNode", self.node),
            reader_secret=READER,
            on_opened=self.reader.take,
        )
        self.room.on_change(self._poke)
        return self.room

    def _poke(self) -> None:
        self.pokes += 1

    def hold(self, feed: FeedBuilder) -> None:
        self.store.write(lambda txn: hold_mirrored(txn, feed))

    def grant(self, feed: FeedBuilder, audience: int) -> None:
        sealed = granted(feed, audience)
        self.store.write(
            lambda txn: accept_grant(txn, feed.feed, audience=audience, key_epoch=0, sealed=sealed)
        )

    async def open_all(self) -> list[tuple[int, int]]:
        """Opens until nothing is left; what the reader was given by it."""
        before = len(self.reader.given)
        while await asyncio.to_thread(self.room._open_some):
            pass
        return self.reader.given[before:]

    async def opened(self) -> list[tuple[int, int, bool]]:
        """Height, audience and outcome of what is to be stated."""
        return [(row[2], row[3], row[5]) for row in await self.room.opened_statements(100)]


@asynccontextmanager
async def machine(folder: Path, *feeds: FeedBuilder) -> AsyncIterator[Machine]:
    with open_store(folder) as store:
        made = Machine(store, *feeds)
        for feed in feeds:
            made.hold(feed)
        yield made


def nothing_anchored(feed_id: bytes, epoch: int) -> AnchorState | None:
    return None


# Opening ------------------------------------------------------------------------------------


async def test_what_this_machine_has_a_key_for_is_opened_in_order(tmp_path: Path) -> None:
    async with machine(tmp_path, FEED) as here:
        here.grant(FEED, 1)
        given = await here.open_all()
        public = [(height, 0) for height in range(5)]
        assert sorted(public + [(height, 1) for height in range(1, 5)]) == given


async def test_only_runs_of_others_that_were_opened_are_stated_as_good(tmp_path: Path) -> None:
    async with machine(tmp_path, FEED) as here:
        here.grant(FEED, 1)
        await here.open_all()
        assert [(height, 1, True) for height in range(1, 5)] == await here.opened()
        rows = await here.room.opened_statements(100)
        assert [header.digest for header in FEED.headers[1:]] == [row[4] for row in rows]


async def test_a_summary_that_is_not_its_readings_is_stated_as_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "consortium.feeds.slot_with_wrong_claim",
        lambda opened: 1 if (opened.header.height, opened.audience) == (2, 1) else None,
    )
    async with machine(tmp_path, FEED) as here:
        here.grant(FEED, 1)
        given = await here.open_all()
        assert (2, 1) not in given
        assert [(height, 1, height != 2) for height in range(1, 5)] == await here.opened()


async def test_without_a_key_only_the_public_runs_are_opened_and_nothing_is_stated(
    tmp_path: Path,
) -> None:
    async with machine(tmp_path, FEED) as here:
        assert [(height, 0) for height in range(5)] == await here.open_all()
        assert [] == await here.opened()


async def test_a_grant_learned_later_opens_the_earlier_blocks_too(tmp_path: Path) -> None:
    async with machine(tmp_path, FEED) as here:
        here.grant(FEED, 1)
        await here.open_all()
        await here.room.opened_recorded(await here.room.opened_statements(100))
        here.grant(FEED, 2)
        assert [(height, 2) for height in range(2, 5)] == await here.open_all()
        assert {(height, 2, True) for height in range(2, 5)} <= set(await here.opened())


async def test_a_grant_for_somebody_else_changes_nothing(tmp_path: Path) -> None:
    async with machine(tmp_path, FEED) as here:
        await here.open_all()
        here.store.write(
            lambda txn: accept_grant(txn, FEED.feed, audience=1, key_epoch=0, sealed=b"not ours")
        )
        assert [] == await here.open_all()


async def test_blocks_that_no_head_covers_are_not_opened(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        here = Machine(store, FEED)
        store.write(lambda txn: accept_block(txn, parts_of(FEED.blocks[0])))
        assert [] == await here.open_all()
        store.write(lambda txn: accept(txn, FEED, FEED.head(0)))
        assert [(0, 0)] == await here.open_all()


def bad_feed() -> FeedBuilder:
    """Two leaves of a run stand in the wrong order."""
    return feed_with(in_audience(1, lambda _, entries: [entries[1], entries[0], *entries[2:]]))


async def test_a_bad_run_is_stated_as_bad_and_given_to_no_reader(tmp_path: Path) -> None:
    feed = bad_feed()
    async with machine(tmp_path, feed) as here:
        here.grant(feed, 1)
        given = await here.open_all()
        assert (BAD_AT, 1) not in given
        assert [(h, 1, h != BAD_AT) for h in range(4)] == await here.opened()


async def test_a_run_behind_a_bad_one_is_not_blamed_for_it(tmp_path: Path) -> None:
    feed = bad_feed()
    feed.cut()
    async with machine(tmp_path, feed) as here:
        here.grant(feed, 1)
        given = await here.open_all()
        stated = {height: ok for height, _, ok in await here.opened()}
        assert (False, True) == (stated[BAD_AT], stated[BAD_AT + 2])
        assert BAD_AT + 1 not in stated  # it cannot be checked against the one before
        assert (BAD_AT + 2, 1) in given


async def test_a_run_that_does_not_go_on_from_the_one_before_is_bad(tmp_path: Path) -> None:
    def renumbered(_: RunPart, entries: list[Entry]) -> list[Entry]:
        return [replace(e, srcseq=e.srcseq + 1) if e.slot == X else e for e in entries]

    feed = feed_with(in_audience(1, renumbered))
    async with machine(tmp_path, feed) as here:
        here.grant(feed, 1)
        await here.open_all()
        assert (BAD_AT, 1, False) in await here.opened()


# Restart ------------------------------------------------------------------------------------


async def test_after_a_restart_opening_goes_on_where_it_was(tmp_path: Path) -> None:
    feed = grown(FeedBuilder("truck two"), 3)
    async with machine(tmp_path, feed) as here:
        here.grant(feed, 1)
        await here.open_all()
        feed.read((1 << 16) | 1, 2)
        feed.cut()
        here.store.write(lambda txn: accept_block(txn, parts_of(feed.blocks[3])))
        here.store.write(lambda txn: accept(txn, feed, feed.head(3)))
        here.again()
        assert [(3, 0), (3, 1)] == await here.open_all()
        assert (3, 1, True) in await here.opened()


async def test_a_read_model_that_lost_its_tail_is_given_it_again(tmp_path: Path) -> None:
    async with machine(tmp_path, FEED) as here:
        here.grant(FEED, 1)
        everything = await here.open_all()
        for held, missing in (
            ({}, everything),
            ({(*FEED.feed, 0): 4, (*FEED.feed, 1): 2}, [(3, 1), (4, 1)]),
            ({(*FEED.feed, 0): 4, (*FEED.feed, 1): 4}, []),
        ):
            here.reader.given.clear()
            here.again()
            here.room.feed_again(held)
            assert missing == here.reader.given


async def test_a_bad_run_is_not_given_again_and_does_not_stop_the_machine_at_its_start(
    tmp_path: Path,
) -> None:
    feed = bad_feed()
    async with machine(tmp_path, feed) as here:
        here.grant(feed, 1)
        everything = await here.open_all()
        here.reader.given.clear()
        here.again()
        here.room.feed_again({})
        assert everything == here.reader.given


# Statements ---------------------------------------------------------------------------------


async def test_every_signed_block_is_stated_as_mirrored_until_that_is_recorded(
    tmp_path: Path,
) -> None:
    async with machine(tmp_path, FEED) as here:
        rows = await here.room.mirror_statements(100)
        assert [(*FEED.feed, h, FEED.headers[h].digest) for h in range(5)] == rows
        assert rows[:2] == await here.room.mirror_statements(2)
        await here.room.mirror_recorded(rows[:2])
        assert rows[2:] == await here.room.mirror_statements(100)
        here.again()
        assert rows[2:] == await here.room.mirror_statements(100)


async def test_opened_runs_are_stated_block_by_block_until_that_is_recorded(
    tmp_path: Path,
) -> None:
    async with machine(tmp_path, FEED) as here:
        here.grant(FEED, 1)
        here.grant(FEED, 2)
        await here.open_all()
        stated = []
        while rows := await here.room.opened_statements(3):
            stated += [(row[2], row[3]) for row in rows]
            await here.room.opened_recorded(rows)
        runs = [(h, a) for h, header in enumerate(FEED.headers) for a, _ in header.runs if a]
        assert runs == stated


# Anchors ------------------------------------------------------------------------------------


async def test_the_newest_head_is_offered_with_what_the_chain_demands(tmp_path: Path) -> None:
    async with machine(tmp_path, FEED) as here:
        (first,) = await here.room.anchor_items(nothing_anchored, 10)
        state = check_anchor(None, first, FEED.key)
        assert (4, FEED.headers[4].size) == (state.height, state.size)

        def all_anchored(feed_id: bytes, epoch: int) -> AnchorState | None:
            return state

        assert [] == await here.room.anchor_items(all_anchored, 10)


async def test_a_later_head_is_offered_with_its_growth_since_the_last_anchor(
    tmp_path: Path,
) -> None:
    feed = grown(FeedBuilder("truck three"), 2)
    async with machine(tmp_path, feed) as here:
        (first,) = await here.room.anchor_items(nothing_anchored, 10)
        state = check_anchor(None, first, feed.key)
        feed.cut()
        here.store.write(lambda txn: accept_block(txn, parts_of(feed.blocks[2])))
        here.store.write(lambda txn: accept(txn, feed, feed.head(2)))

        def anchored(feed_id: bytes, epoch: int) -> AnchorState | None:
            return state

        (second,) = await here.room.anchor_items(anchored, 10)
        assert 2 == check_anchor(state, second, feed.key).height


async def test_evidence_of_a_conflict_is_offered_until_the_chain_has_it(tmp_path: Path) -> None:
    async with machine(tmp_path, FEED) as here:
        assert [] == await here.room.conflicts(8)
        here.store.write(lambda txn: keep_conflict(txn, FEED.feed, b"evidence"))
        assert [(FEED.feed[0], b"evidence")] == await here.room.conflicts(8)
        here.node.frozen[FEED.feed[0]] = [b"evidence", 1, b"", b"", 0, 9]
        assert [] == await here.room.conflicts(8)


async def test_a_frozen_feed_is_not_offered_and_a_round_has_its_bound(tmp_path: Path) -> None:
    others = [grown(FeedBuilder(f"truck {number}"), 2) for number in range(3)]
    async with machine(tmp_path, *others) as here:
        assert 2 == len(await here.room.anchor_items(nothing_anchored, 2))
        here.node.frozen[others[0].feed[0]] = [b"evidence", 1, b"", b"", 0, 9]
        assert 2 == len(await here.room.anchor_items(nothing_anchored, 10))


async def test_a_feed_that_cannot_be_offered_holds_up_no_other(tmp_path: Path) -> None:
    liar = FeedBuilder("liar")
    # The public run of block 0 does not open: there is no genesis leaf to show.
    liar.cut(in_audience(0, lambda _, entries: [*entries[1:], entries[0]]))
    async with machine(tmp_path, liar, FEED) as here:
        items = await here.room.anchor_items(nothing_anchored, 10)
        assert [4] == [check_anchor(None, item, FEED.key).height for item in items]


# Gossip -------------------------------------------------------------------------------------


async def test_a_session_takes_a_feed_and_wakes_what_waits_for_it(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        here = Machine(store, FEED)
        running = asyncio.create_task(here.room.open_runs())
        session = await here.room.open_session()
        (want,) = await session.receive(message(HAVE, *FEED.feed, 5, 4))
        assert (WANT, 0) == (decode_message(want)[0], decode_message(want)[1][2])
        answers = []
        for height, block in enumerate(FEED.blocks):
            for data in block_messages(FEED.feed, height, parts_of(block)):
                answers += await session.receive(data)
        answers += await session.receive(message(HEAD_MESSAGE, FEED.head(4).encode()))
        kind, fields = decode_message(answers[-1])
        assert (STATE, 5, 4) == (kind, fields[2], fields[3])
        await here.reader.has(5)
        assert here.pokes > 0
        running.cancel()


async def test_a_feed_that_is_not_enrolled_or_revoked_is_not_taken(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        here = Machine(store)
        assert here.room.key_of(FEED.feed[0]) is None
        here = Machine(store, FEED)
        assert FEED.key == here.room.key_of(FEED.feed[0])
        here.node.gateways[FEED.feed[0]][6] = 5
        assert here.room.key_of(FEED.feed[0]) is None


async def test_a_session_that_talks_nonsense_is_cut_off_and_one_that_ends_says_no_more(
    tmp_path: Path,
) -> None:
    with open_store(tmp_path) as store:
        session = await Machine(store, FEED).room.open_session()
        with pytest.raises(InputError):
            await session.receive(b"\xff")
        session.close()
        assert [] == [word async for word in session.outgoing()]


async def test_a_session_tells_each_new_notice_once_and_only_of_what_the_peer_offers(
    tmp_path: Path,
) -> None:
    with open_store(tmp_path) as store:
        here, notices = Machine(store, FEED), {FEED.feed[0]: b"version 1", b"o" * 16: b"other"}
        here.room.notice_for = notices.get
        session = await here.room.open_session()
        await session.receive(message(HAVE, *FEED.feed, 5, 4))
        words = aiter(session.outgoing())
        assert b"version 1" == await anext(words)
        notices[FEED.feed[0]] = b"version 2"
        assert b"version 2" == await anext(words)
        session.close()
        assert [] == [word async for word in words]
