"""Epochs and conflicts from an organisation's desk, on the application itself."""

import pytest

from consortium import feed_life
from consortium.errors import MalformedError, RefusedError
from ledger.conflict import conflict_of_heads
from tests.fakes.gateway_feed import GatewayFeed
from tests.fakes.small_chain import SmallChain, admission, anchors, enrolment
from tests.unit.consortium.test_life import Desk

FEED = GatewayFeed("cold room").grow(4)
FORK = GatewayFeed("cold room").grow(6, "another history")
BOTH = conflict_of_heads(FORK.head(2), FEED.head(2))


@pytest.fixture
def chain() -> SmallChain:
    on = SmallChain()
    on.block(admission("carrier"), admission("rival"), enrolment(FEED, "carrier"))
    on.block(anchors([FEED.item(None, 1)]), anchors([FEED.item(1, 2)]))
    return on


def test_a_rival_reports_and_the_owner_goes_on_in_the_next_epoch(chain: SmallChain) -> None:
    rival, owner = Desk(chain, "rival"), Desk(chain, "carrier")
    assert feed_life.conflicts(owner) == []
    feed_life.report(rival, FEED.feed_id, form="heads", evidence=BOTH)
    (frozen,) = feed_life.conflicts(owner)
    assert (FEED.feed_id.hex(), 0, None) == (frozen["feed"], frozen["epoch"], frozen["goes_on_in"])
    head = FEED.head(1)
    feed_life.open_epoch(owner, FEED.feed_id, last_head=head, witnessed_size=None)
    (opened,) = feed_life.epochs(owner)
    # The chain has seen ten entries and the owner names a head of seven.
    assert (1, 1, 7, 10, 3) == tuple(
        opened[name]
        for name in ("epoch", "from_height", "from_size", "witnessed_size", "may_be_missing")
    )
    (frozen,) = feed_life.conflicts(owner)
    assert frozen["goes_on_in"] == 1


def test_an_owner_says_that_more_was_seen_and_may_not_say_less(chain: SmallChain) -> None:
    owner = Desk(chain, "carrier")
    with pytest.raises(RefusedError, match="which is more"):
        feed_life.open_epoch(owner, FEED.feed_id, last_head=FEED.head(1), witnessed_size=9)
    feed_life.open_epoch(owner, FEED.feed_id, last_head=FEED.head(1), witnessed_size=500)
    assert [item["may_be_missing"] for item in feed_life.epochs(owner)] == [493]


def test_nobody_else_opens_an_epoch(chain: SmallChain) -> None:
    with pytest.raises(RefusedError, match="only the gateway's party"):
        feed_life.open_epoch(
            Desk(chain, "rival"), FEED.feed_id, last_head=FEED.head(2), witnessed_size=None
        )


def test_what_is_no_head_of_the_feed_is_said_before_it_is_sent(chain: SmallChain) -> None:
    owner = Desk(chain, "carrier")
    for feed_id, data, words in (
        (FEED.feed_id, b"junk", "not a head"),
        (b"x" * 16, FEED.head(2), "the head is of feed"),
    ):
        with pytest.raises(MalformedError, match=words):
            feed_life.open_epoch(owner, feed_id, last_head=data, witnessed_size=None)


@pytest.mark.parametrize(
    ("form", "size", "words"), [("rumour", 9, "is no form"), ("run", 256 << 10, "shorter evidence")]
)
def test_evidence_of_no_form_or_too_large_is_not_sent(
    chain: SmallChain, form: str, size: int, words: str
) -> None:
    with pytest.raises(MalformedError, match=words):
        feed_life.report(Desk(chain, "rival"), FEED.feed_id, form=form, evidence=bytes(size))
