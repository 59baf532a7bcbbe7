import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consortium.app.refusal import Code
from consortium.compose import make_engine, read_genesis
from consortium.config import VALIDATOR_KEY_NAME
from consortium.engine import EmbeddedEngine
from consortium.errors import ChainStoreError, ChainUnavailableError
from consortium.file_keys import make_key
from consortium.founding import found_chain
from consortium.node import ChainNode
from ledger.chain_genesis import Genesis
from tests.fakes.gateway_feed import GatewayFeed
from tests.fakes.small_chain import TIME_NS, admission, anchors, enrolment, genesis

FEED = GatewayFeed("cold room").grow(3)


@pytest.fixture
async def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ChainNode]:
    made = ChainNode(genesis=start(tmp_path), clock_ns=lambda: TIME_NS, waiting_max=2)
    await made.open(lambda: make_engine(tmp_path, made.genesis))
    yield made
    await made.aclose()


def start(home: Path) -> Genesis:
    from dataclasses import replace

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from ledger.comet import Validator

    key = make_key(home / VALIDATOR_KEY_NAME).public_key()
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    rows = ((Validator(raw, 10), genesis().parties[0].party_id),)
    return replace(genesis(), validators=rows)


async def test_transactions_that_wait_together_share_a_block(node: ChainNode) -> None:
    waiting = [asyncio.create_task(node.submit(data)) for data in (enrolment(FEED), b"noise")]
    await asyncio.sleep(0)
    with pytest.raises(ChainUnavailableError, match="too many"):
        await node.submit(admission("carrier"))
    making = asyncio.create_task(node.make_blocks())
    enrolled, noise = await asyncio.gather(*waiting)
    assert (Code.ACCEPTED, 2) == (enrolled.code, enrolled.height)
    assert (Code.MALFORMED, None) == (noise.code, noise.height)
    again = await node.submit(enrolment(FEED))
    assert (Code.REPLAYED, enrolled.tx_id, None) == (again.code, again.tx_id, again.height)
    assert node.status().height == 3
    making.cancel()


async def test_state_is_read_by_key_and_by_feed(node: ChainNode) -> None:
    making = asyncio.create_task(node.make_blocks())
    assert not node.is_enrolled(FEED.feed_id)
    assert node.anchored(FEED.feed_id, 0) is None
    await node.submit(enrolment(FEED))
    await node.submit(anchors([FEED.item(None, 1)]))
    assert node.is_enrolled(FEED.feed_id)
    assert [FEED.feed_id] == node.enrolled_feeds()
    anchored = node.anchored(FEED.feed_id, 0)
    assert anchored
    assert (1, FEED.sizes[1]) == (anchored.height, anchored.size)
    assert [[1, 1]] == [
        row[:2] for row in await node.anchors(FEED.feed_id, 0, first_height=0, limit=9)
    ]
    around = await node.anchors_around(FEED.feed_id, 0, from_ms=1 << 62, to_ms=0)
    assert [place[0] for place in around if place] == [1, 1, 1]
    assert await node.anchors_around(bytes(16), 0, from_ms=1 << 62, to_ms=0) == (None, None, None)
    assert node.get("device", "nothing") is None
    making.cancel()


async def test_a_store_that_fails_ends_the_machine_and_no_sender_waits_for_ever(
    node: ChainNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ChainStoreError("disk is gone")

    engine = node.engine
    assert isinstance(engine, EmbeddedEngine)
    monkeypatch.setattr(engine._blocks, "propose", broken)
    making = asyncio.create_task(node.make_blocks())
    sending = asyncio.create_task(node.submit(enrolment(FEED)))
    with pytest.raises(ChainStoreError):
        await making
    with pytest.raises(asyncio.CancelledError):
        await sending


async def test_a_machine_that_is_not_open_says_so() -> None:
    closed = ChainNode(genesis=genesis(), clock_ns=lambda: 0, waiting_max=1)
    with pytest.raises(ChainUnavailableError):
        closed.status()
    with pytest.raises(ChainUnavailableError):
        await closed.anchors(bytes(16), 0, first_height=0, limit=1)
    await closed.aclose()


def test_a_founded_folder_opens(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    now = datetime(2026, 1, 1, tzinfo=UTC)
    found_chain(tmp_path, chain_id="c", party_name="P", listen="127.0.0.1:0", now=now)
    engine, _ = make_engine(tmp_path, read_genesis(tmp_path))
    assert engine.height == 1
    engine.close()
