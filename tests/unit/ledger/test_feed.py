from dataclasses import replace
from typing import Any

import pytest

from ledger.entry import Entry, GTime, encode_entry
from ledger.errors import (
    AnchorError,
    AnchorForkedError,
    AnchorFutureError,
    AnchorInconsistentError,
    AnchorKeyError,
    AnchorSmallerError,
    ConflictError,
    FormatError,
    InputError,
    ProofError,
)
from ledger.feed import (
    FUTURE_S_MAX,
    AnchorItem,
    AnchorState,
    anchor_item_from_value,
    anchor_state_of,
    check_anchor,
    check_follows,
    check_head_fits,
    check_structure,
    feed_id_of_leaf,
)
from ledger.frontier import Frontier
from ledger.head import Head
from ledger.mirror import frontier_at
from tests.unit.ledger.feed_builder import START_MS, FeedBuilder, grown

FEED = grown(FeedBuilder())
FORK = grown(FeedBuilder(salt="restored backup"))


def state(height: int | None, feed: FeedBuilder = FEED) -> AnchorState | None:
    return None if height is None else anchor_state_of(feed.claim(height))


def item(
    previous: int | None, height: int, feed: FeedBuilder = FEED, head: Head | None = None
) -> AnchorItem:
    """What leads from an anchored height to a higher one."""
    size = feed.headers[height].size
    data = (head or feed.head(height)).encode()
    if previous is None:
        path = tuple(feed.tree.inclusion_path(0, size))
        return AnchorItem(
            head=data, previous_size=0, leaf_path=path, header_path=(), genesis_leaf=feed.leaves[0]
        )
    old = feed.headers[previous].size
    return AnchorItem(
        head=data,
        previous_size=old,
        leaf_path=tuple(feed.tree.consistency_path(old, size)) if old <= size else (),
        header_path=tuple(feed.header_tree.consistency_path(previous + 1, height + 1))
        if previous <= height
        else (),
        genesis_leaf=None,
    )


@pytest.mark.parametrize(("previous", "height"), [(None, 0), (None, 6), (0, 1), (0, 6), (3, 5)])
def test_a_head_that_grows_from_what_is_anchored_is_taken(
    previous: int | None, height: int
) -> None:
    taken = check_anchor(state(previous), item(previous, height), FEED.key)
    assert state(height) == taken
    assert taken == check_anchor(taken, item(previous, height), FEED.key), "a resend is harmless"


def test_an_item_comes_back_from_its_value() -> None:
    for made in (item(None, 3), item(2, 5)):
        assert made == anchor_item_from_value(made.to_value())


@pytest.mark.parametrize("at", range(5))
@pytest.mark.parametrize("value", [None, -1, "text", [b"short"], [5], {}])
def test_items_of_another_shape_are_refused(at: int, value: Any) -> None:
    fields = item(None, 3).to_value()
    if (at == 4 and value is None) or (at == 1 and value == -1):
        return
    fields[at] = value
    with pytest.raises((InputError, ProofError)):
        anchor_item_from_value(fields)
    with pytest.raises(FormatError):
        anchor_item_from_value(fields[:4])


REFUSED: dict[str, tuple[type[AnchorError], AnchorState | None, AnchorItem]] = {
    "a lower height": (AnchorSmallerError, state(5), item(5, 3)),
    "the same height with other trees": (AnchorForkedError, state(5), item(4, 5, FORK)),
    "the same size at another height": (
        AnchorForkedError, state(5), item(4, 6, head=FEED.head(6, size=FEED.headers[5].size))),
    "another history": (AnchorInconsistentError, state(3), item(3, 6, FORK)),
    "a path from another size": (AnchorInconsistentError, state(3), item(2, 6)),
    "two rows of headers over one leaf tree": (
        AnchorInconsistentError, state(3), item(3, 6, head=FEED.head(6, block_root=bytes(32)))),
    "another leaf tree under one row of headers": (
        AnchorInconsistentError, state(3), item(3, 6, head=FEED.head(6, root=bytes(32)))),
    "a genesis leaf where none belongs": (
        AnchorInconsistentError, state(3), replace(item(3, 6), genesis_leaf=FEED.leaves[0])),
    "no genesis leaf at first": (
        AnchorInconsistentError, None, replace(item(None, 3), genesis_leaf=None)),
    "a first head that claims a predecessor": (
        AnchorInconsistentError, None, replace(item(None, 3), previous_size=2)),
    "a genesis path that does not lead to the root": (
        AnchorInconsistentError, None, replace(item(None, 3), leaf_path=(bytes(32),))),
    "another feed's genesis": (
        AnchorKeyError, None,
        replace(item(None, 3), genesis_leaf=grown(FeedBuilder("other"), 1).leaves[0])),
    "a leaf that is no genesis": (
        AnchorKeyError, None, replace(item(None, 3), genesis_leaf=FEED.leaves[1])),
    "junk for a genesis": (AnchorKeyError, None, replace(item(None, 3), genesis_leaf=bytes(40))),
    "another epoch": (AnchorKeyError, state(3), item(3, 5, head=FEED.head(5, epoch=1))),
    "another key": (
        AnchorKeyError, state(3),
        item(3, 5, head=Head(FEED.claim(5), FeedBuilder("thief").sign(FEED.claim(5).tbs())))),
    "no head at all": (AnchorKeyError, state(3), replace(item(3, 5), head=b"")),
}  # fmt: skip  # one refusal a line or two


@pytest.mark.parametrize("why", REFUSED)
def test_not_anchored(why: str) -> None:
    error, previous, refused = REFUSED[why]
    with pytest.raises(error):
        check_anchor(previous, refused, FEED.key)


def test_each_refusal_has_its_stable_number() -> None:
    numbers = {
        AnchorError: 100, AnchorSmallerError: 101, AnchorForkedError: 102,
        AnchorInconsistentError: 103, AnchorKeyError: 104, AnchorFutureError: 105,
    }  # fmt: skip
    assert {kind: kind.code for kind in numbers} == numbers


def test_a_genesis_leaf_with_a_salt_or_in_another_slot_names_no_feed() -> None:
    leaf = FEED.leaves[0]
    assert FEED.feed[0] == feed_id_of_leaf(leaf)
    elsewhere = Entry(0, 5, GTime(1, 1, None, 0, 0), 0, [1])
    for lie in (b"\x01" + leaf[1:], bytes(16) + encode_entry(elsewhere), b""):
        with pytest.raises(AnchorKeyError):
            feed_id_of_leaf(lie)


@pytest.mark.parametrize(("ahead_s", "taken"), [(-(10**9), True), (FUTURE_S_MAX, True)])
def test_a_head_may_be_old_but_not_of_the_far_future(ahead_s: int, taken: bool) -> None:
    now_ms = START_MS
    head = FEED.head(3, issued_at_s=now_ms // 1000 + ahead_s)
    check_anchor(None, item(None, 3, head=head), FEED.key, now_ms=now_ms)
    later = FEED.head(3, issued_at_s=now_ms // 1000 + FUTURE_S_MAX + 1)
    with pytest.raises(AnchorFutureError):
        check_anchor(None, item(None, 3, head=later), FEED.key, now_ms=now_ms)
    undated = FEED.head(3, issued_at_s=None)
    check_anchor(None, item(None, 3, head=undated), FEED.key, now_ms=now_ms)


# Links and structure -----------------------------------------------------------------------------


def test_honest_blocks_follow_each_other() -> None:
    previous, leaves = None, Frontier()
    for height, block in enumerate(FEED.blocks):
        check_follows(previous, block.header)
        triples = [(run.audience, run.head, run.body) for run in block.runs]
        leaves, _ = check_structure(block.header, triples, leaves)
        headers = frontier_at(FEED.header_tree.read, height + 1)
        check_head_fits(FEED.head(height), block.header, headers)
        previous = block.header


@pytest.mark.parametrize(
    "change",
    [
        {"height": 9}, {"start": 1}, {"prev_digest": bytes(32)}, {"jseq_end": 0}, {"epoch": 3},
        {"feed_id": bytes(16)},
    ],
)  # fmt: skip
def test_a_header_that_does_not_follow_is_a_conflict(change: dict[str, Any]) -> None:
    with pytest.raises(ConflictError):
        check_follows(FEED.headers[3], replace(FEED.headers[4], **change))


@pytest.mark.parametrize("change", [{"height": 1}, {"start": 1}, {"prev_digest": b"x" * 32}])
def test_a_first_header_begins_the_feed(change: dict[str, Any]) -> None:
    with pytest.raises(ConflictError, match="not at height 0"):
        check_follows(None, replace(FEED.headers[0], **change))


def test_a_block_on_another_tree_does_not_fold() -> None:
    triples = [(run.audience, run.head, run.body) for run in FEED.blocks[4].runs]
    with pytest.raises(ConflictError, match="no tree ends"):
        check_structure(FEED.headers[4], triples, Frontier())
    strange = frontier_at(FORK.tree.read, FEED.headers[4].start)
    with pytest.raises(ConflictError, match="fold"):
        check_structure(FEED.headers[4], triples, strange)


def test_runs_must_tile_the_block_in_order() -> None:
    block, leaves = FEED.blocks[4], frontier_at(FEED.tree.read, FEED.headers[4].start)
    for change in ({"first": block.runs[1].head.first + 1}, {"slots": (5,)}):
        head = replace(block.runs[1].head, **change)
        header = replace(
            block.header,
            runs=((0, block.runs[0].head.digest), (1, head.digest)),
        )
        triples = [
            (0, block.runs[0].head, block.runs[0].body), (1, head, block.runs[1].body),
        ]  # fmt: skip
        with pytest.raises(ConflictError):
            check_structure(header, triples, leaves)


def test_a_head_signs_exactly_its_header_and_row() -> None:
    header, row = FEED.headers[4], frontier_at(FEED.header_tree.read, 5)
    with pytest.raises(FormatError, match="for another"):
        check_head_fits(FEED.head(3), header, row)
    with pytest.raises(ConflictError, match="differ"):
        check_head_fits(FEED.head(4, root=bytes(32)), header, row)
    for head, frontier in (
        (FEED.head(4, block_root=bytes(32)), row),
        (FEED.head(4), frontier_at(FEED.header_tree.read, 4)),
    ):
        with pytest.raises(ConflictError, match="another row"):
            check_head_fits(head, header, frontier)
