"""Evidence of form 4: a head whose row of headers was another at the anchored height."""

from typing import Any

import pytest

from consortium.app.refusal import Code
from consortium.transaction import KIND_CONFLICT
from ledger.canonical import encode
from tests.fakes.gateway_feed import GatewayFeed
from tests.fakes.small_chain import SmallChain, anchors, enrolment, tx

FORM_ROW = 4
TRUE, OTHER = GatewayFeed("gateway").grow(3), GatewayFeed("gateway").grow(6, "another history")


def evidence(feed: GatewayFeed, anchored_height: int, **changed: Any) -> bytes:
    count, top = anchored_height + 1, len(feed.sizes) - 1
    row = changed.get("row", feed.headers.root(count))
    path = changed.get("path", list(feed.headers.consistency_path(count, top + 1)))
    return encode([1, changed.get("head", feed.head(top)), row, path])


@pytest.fixture
def chain() -> SmallChain:
    made = SmallChain()
    made.block(enrolment(TRUE), anchors([TRUE.item(None, 2)]))
    return made


def code(chain: SmallChain, data: bytes) -> Code:
    return chain.code(tx(KIND_CONFLICT, [1, TRUE.feed_id, FORM_ROW, data]))


def test_a_second_history_that_grew_past_the_anchored_one_freezes_the_feed(
    chain: SmallChain,
) -> None:
    assert Code.ACCEPTED == code(chain, evidence(OTHER, 2))
    assert chain.row("frozen", TRUE.feed_id) is not None


def test_the_anchored_history_itself_accuses_nobody(chain: SmallChain) -> None:
    honest = GatewayFeed("gateway").grow(6)
    assert Code.NO_CONFLICT == code(chain, evidence(honest, 2))
    assert chain.row("frozen", TRUE.feed_id) is None


def test_a_row_or_path_that_the_head_does_not_show_is_no_evidence(chain: SmallChain) -> None:
    honest = GatewayFeed("gateway").grow(6)
    made_up = {"row": bytes(32)}
    assert Code.NO_CONFLICT == code(chain, evidence(honest, 2, **made_up))
    assert Code.NO_CONFLICT == code(chain, evidence(OTHER, 2, path=[]))
    assert Code.NO_CONFLICT == code(chain, evidence(OTHER, 2, path=[bytes(32)] * 65))
    assert Code.NO_CONFLICT == code(chain, evidence(OTHER, 2, path=[1]))
    assert Code.NO_CONFLICT == code(chain, evidence(OTHER, 2, head=OTHER.head(1)))


def test_another_keys_head_is_no_evidence(chain: SmallChain) -> None:
    stranger = GatewayFeed("gateway").grow(6, "another history")
    stranger.follow("a key that is not the feed's")
    assert Code.NO_CONFLICT == code(chain, evidence(stranger, 2))
