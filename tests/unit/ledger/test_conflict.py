import pytest

from ledger.canonical import encode
from ledger.conflict import (
    check_conflict,
    conflict_of_header,
    conflict_of_heads,
    conflict_of_row,
    exclude_each_other,
)
from ledger.errors import InputError, RefutedError
from tests.unit.ledger.feed_builder import FeedBuilder, grown

FEED = grown(FeedBuilder())
FORK = grown(FeedBuilder(salt="restored backup"))
HEADS = [FEED.head(height) for height in range(7)]
OTHERS = [FORK.head(height) for height in range(7)]


@pytest.mark.parametrize("height", range(1, 7))
def test_two_heads_of_one_height_with_other_trees_are_a_conflict(height: int) -> None:
    assert exclude_each_other(HEADS[height].claim, OTHERS[height].claim)
    evidence = conflict_of_heads(HEADS[height].encode(), OTHERS[height].encode())
    assert evidence == conflict_of_heads(OTHERS[height].encode(), HEADS[height].encode())
    lower, higher = check_conflict(evidence, FEED.key)
    assert lower.height == higher.height == height


def test_one_size_with_two_roots_and_a_higher_head_with_fewer_leaves_are_conflicts() -> None:
    same_size = FEED.head(6, size=HEADS[5].claim.size, root=bytes(32))
    fewer = FEED.head(6, size=HEADS[5].claim.size - 1)
    for head in (same_size, fewer):
        check_conflict(conflict_of_heads(HEADS[5].encode(), head.encode()), FEED.key)


def test_another_date_or_token_count_is_no_conflict() -> None:
    for again in (FEED.head(5, issued_at_s=99), FEED.head(5, counter=7)):
        assert not exclude_each_other(HEADS[5].claim, again.claim)
        with pytest.raises(InputError):
            check_conflict(conflict_of_heads(HEADS[5].encode(), again.encode()), FEED.key)


def test_honest_heads_of_one_feed_are_never_a_conflict() -> None:
    for first in HEADS:
        for second in HEADS:
            with pytest.raises(InputError):
                check_conflict(conflict_of_heads(first.encode(), second.encode()), FEED.key)


def row_evidence(low: int, high: int) -> bytes:
    """A head of one history, and what the other history's row was at its height."""
    return conflict_of_row(
        OTHERS[low].encode(),
        HEADS[high].encode(),
        row=FEED.header_tree.root(low + 1),
        path=FEED.header_tree.consistency_path(low + 1, high + 1),
    )


@pytest.mark.parametrize(("low", "high"), [(1, 2), (1, 6), (3, 6), (5, 6), (4, 4)])
def test_a_head_against_a_later_one_of_another_history_is_a_conflict(low: int, high: int) -> None:
    check_conflict(row_evidence(low, high), FEED.key)


def test_a_head_that_signs_another_leaf_tree_than_its_header_is_a_conflict() -> None:
    strange = FEED.head(3, root=bytes(32))
    evidence = conflict_of_header(
        strange.encode(),
        HEADS[6].encode(),
        header=FEED.headers[3].encode(),
        path=FEED.header_tree.inclusion_path(3, 7),
    )
    check_conflict(evidence, FEED.key)


def honest_row(low: int, high: int) -> bytes:
    return conflict_of_row(
        HEADS[low].encode(),
        HEADS[high].encode(),
        row=FEED.header_tree.root(low + 1),
        path=FEED.header_tree.consistency_path(low + 1, high + 1),
    )


def test_nobody_makes_a_conflict_of_one_history() -> None:
    path = FEED.header_tree.inclusion_path(3, 7)
    header = FEED.headers[3].encode()
    lies = [
        honest_row(3, 6),
        conflict_of_row(HEADS[3].encode(), HEADS[6].encode(), row=bytes(32), path=path),
        conflict_of_header(HEADS[3].encode(), HEADS[6].encode(), header=header, path=path),
        conflict_of_header(HEADS[2].encode(), HEADS[6].encode(), header=header, path=path),
        encode([1, HEADS[3].encode(), HEADS[6].encode(), [3, b"", []]]),
        encode([1, HEADS[3].encode(), HEADS[6].encode(), [1]]),
        encode([2, HEADS[3].encode(), OTHERS[3].encode(), None]),
        encode([1, HEADS[3].encode(), b"", None]),
        encode([1, 5, 6, None]),
        bytes(70_000),
    ]
    for lie in lies:
        with pytest.raises((InputError, RefutedError)):
            check_conflict(lie, FEED.key)


def test_heads_of_two_feeds_or_keys_are_no_conflict() -> None:
    other = grown(FeedBuilder("other"))
    pairs = [(HEADS[3], other.head(3)), (other.head(3), other.head(3, root=bytes(32)))]
    for first, second in pairs:
        with pytest.raises((InputError, RefutedError)):
            check_conflict(conflict_of_heads(first.encode(), second.encode()), FEED.key)


def test_every_changed_byte_of_the_evidence_is_refused() -> None:
    good = row_evidence(2, 5)
    for at in range(len(good)):
        bad = good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :]
        with pytest.raises((InputError, RefutedError)):
            check_conflict(bad, FEED.key)
