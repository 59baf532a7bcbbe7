"""A frozen feed goes on in its owner's next epoch, and what may be missing is on the chain."""

import pytest

from consortium.app.refusal import Code
from consortium.transaction import KIND_CONFLICT, KIND_EPOCH, KIND_REVOKE
from ledger.conflict import conflict_of_header, conflict_of_heads, conflict_of_row
from tests.fakes.gateway_feed import GatewayFeed
from tests.fakes.small_chain import (
    SmallChain,
    admission,
    anchors,
    delegate_tx,
    delegation,
    enrolment,
    tx,
)

FEED = GatewayFeed("cold room").grow(4)
FORK = GatewayFeed("cold room").grow(6, "another history")


def chain() -> SmallChain:
    on = SmallChain()
    on.block(admission("carrier"), admission("rival"), enrolment(FEED, "carrier"))
    on.block(anchors([FEED.item(None, 1)]), anchors([FEED.item(1, 2)]))
    return on


def frozen() -> SmallChain:
    on = chain()
    both = conflict_of_heads(FORK.head(2), FEED.head(2))
    assert on.code(tx(KIND_CONFLICT, [1, FEED.feed_id, 2, both], "rival")) == Code.ACCEPTED
    return on


def opening(height: int, witnessed: int, epoch: int = 1) -> list[object]:
    return [1, FEED.feed_id, epoch, FEED.head(height, epoch=epoch - 1), witnessed]


def test_the_owner_opens_the_next_epoch_at_an_anchored_head_and_anchors_go_on() -> None:
    on = frozen()
    assert on.code(anchors([FEED.item(2, 3)])) == Code.FEED_FROZEN
    assert on.code(tx(KIND_EPOCH, opening(1, 12), "carrier")) == Code.ACCEPTED
    row = on.row("epoch", FEED.feed_id, 1)
    assert row is not None
    assert [1, 7, 12] == row[1:4]
    assert on.code(anchors([FEED.item(1, 3, epoch=1)])) == Code.ACCEPTED
    assert on.code(anchors([FEED.item(2, 3)], nonce=b"another nonce 16")) == Code.FEED_FROZEN


def test_in_the_new_epoch_too_both_trees_must_have_grown_from_the_named_head() -> None:
    on = frozen()
    on.block(tx(KIND_EPOCH, opening(1, 12), "carrier"))
    assert on.code(anchors([FORK.item(1, 3, epoch=1)])) == Code.ANCHOR_INCONSISTENT


def test_the_new_epoch_begins_with_an_anchor_of_its_own_in_the_log() -> None:
    leaves = frozen().finalize(tx(KIND_EPOCH, opening(1, 12), "carrier")).outcome.leaves
    assert [15, 4] == [leaf.record[0] for leaf in leaves]
    assert (4, FEED.feed_id, 1, 1, 7) == leaves[1].record[:5]


@pytest.mark.parametrize(
    ("body", "sender", "code"),
    [
        (opening(1, 12), "rival", Code.UNAUTHORISED),
        (opening(1, 12), "operator", Code.UNAUTHORISED),
        (opening(1, 12, epoch=2), "carrier", Code.EPOCH_WRONG),
        (opening(3, 13), "carrier", Code.EPOCH_WRONG),
        (opening(1, 9), "carrier", Code.EPOCH_WRONG),
        (opening(1, 1 << 63), "carrier", Code.EPOCH_WRONG),
        ([1, FEED.feed_id, 1, b"head", 12], "carrier", Code.EPOCH_WRONG),
        ([1, FEED.feed_id, 1, FORK.head(1), 12], "carrier", Code.EPOCH_WRONG),
        ([1, b"x" * 16, 1, FEED.head(1), 12], "carrier", Code.GATEWAY_UNKNOWN),
        ([1, FEED.feed_id, 1], "carrier", Code.BODY_WRONG),
    ],
)
def test_an_epoch_record_that_does_not_hold_is_refused(
    body: list[object], sender: str, code: Code
) -> None:
    assert frozen().code(tx(KIND_EPOCH, body, sender)) == code


def test_what_a_conflict_showed_counts_as_witnessed() -> None:
    on = chain()
    higher = conflict_of_heads(FORK.head(2), FEED.head(2))
    on.block(tx(KIND_CONFLICT, [1, FEED.feed_id, 2, higher], "rival"))
    assert on.code(tx(KIND_EPOCH, opening(2, 9), "carrier")) == Code.EPOCH_WRONG
    assert on.code(tx(KIND_EPOCH, opening(2, 10), "carrier")) == Code.ACCEPTED


def test_the_same_record_again_changes_nothing_and_a_revoked_gateway_opens_none() -> None:
    on = frozen()
    on.block(tx(KIND_EPOCH, opening(1, 12), "carrier"))
    again = tx(KIND_EPOCH, opening(1, 12), "carrier", nonce=b"another nonce 16")
    assert on.finalize(again).results[0].records == 0
    on.block(tx(KIND_REVOKE, [1, FEED.feed_id], "carrier"))
    assert on.code(tx(KIND_EPOCH, opening(1, 12, 2), "carrier")) == Code.GATEWAY_REVOKED


def test_an_officer_opens_epochs_of_the_feeds_that_were_delegated() -> None:
    on = frozen()
    on.block(delegation("officer", "carrier", [KIND_EPOCH], feeds=[b"x" * 16]))
    other = delegate_tx("officer", "carrier", KIND_EPOCH, opening(1, 12))
    assert on.code(other) == Code.OUT_OF_SCOPE
    on.block(delegation("officer", "carrier", [KIND_EPOCH], feeds=[FEED.feed_id]))
    assert on.code(other) == Code.ACCEPTED


def test_trees_of_different_sizes_that_do_not_grow_from_each_other_freeze_the_feed() -> None:
    """The row of headers under the higher head was another at the lower one's height."""
    on = chain()
    row, path = FORK.headers.root(3), FORK.headers.consistency_path(3, 6)
    evidence = conflict_of_row(FEED.head(2), FORK.head(5), row=row, path=path)
    assert on.code(tx(KIND_CONFLICT, [1, FEED.feed_id, 2, evidence], "rival")) == Code.ACCEPTED
    held = on.row("frozen", FEED.feed_id)
    assert held is not None
    assert [0, 19] == held[4:]
    assert on.code(anchors([FEED.item(2, 3)])) == Code.FEED_FROZEN


def test_a_row_that_is_the_same_in_both_is_no_conflict() -> None:
    path = FEED.headers.consistency_path(2, 4)
    evidence = conflict_of_row(FEED.head(1), FEED.head(3), row=FEED.headers.root(2), path=path)
    code = chain().code(tx(KIND_CONFLICT, [1, FEED.feed_id, 2, evidence], "rival"))
    assert code == Code.NO_CONFLICT
    lie = conflict_of_header(FEED.head(1), FEED.head(3), header=b"header", path=path)
    assert chain().code(tx(KIND_CONFLICT, [1, FEED.feed_id, 2, lie], "rival")) == Code.NO_CONFLICT
