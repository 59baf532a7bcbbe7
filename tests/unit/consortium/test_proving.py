import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from consortium.compose import make_engine
from consortium.config import VALIDATOR_KEY_NAME
from consortium.errors import MalformedError, NotYetProvenError
from consortium.feeds import FeedRoom
from consortium.file_keys import make_key
from consortium.node import ChainNode
from consortium.proving import Prover, check_channel
from consortium.queries import SELECTORS_MAX
from consortium.transaction import KIND_MIRRORED
from ledger.chain_proof import decode_chain_part, verify_chain_part
from ledger.comet import Validator
from ledger.hashing import sha256
from ledger.proof_bundle import Request
from tests.fakes.gateway_feed import GatewayFeed
from tests.fakes.small_chain import TIME_NS, enrolment, genesis, tx
from tests.unit.ledger.feed_builder import good_scene

FEED = GatewayFeed("cold room").grow(3)
BATCH = 400


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[ChainNode]:
    public = make_key(tmp_path / VALIDATOR_KEY_NAME).public_key()
    validator = Validator(public.public_bytes(Encoding.Raw, PublicFormat.Raw), 10)
    document = replace(genesis(), validators=((validator, genesis().parties[0].party_id),))
    made = ChainNode(genesis=document, clock_ns=lambda: TIME_NS, waiting_max=9)
    await made.open(lambda: make_engine(tmp_path, document))
    making = asyncio.create_task(made.make_blocks())
    yield made
    making.cancel()
    await made.aclose()


async def test_a_proof_may_carry_more_statements_than_a_stranger_may_select(
    node: ChainNode,
) -> None:
    """A day of blocks every half minute has 2,880 of them, each mirrored and opened."""
    await node.submit(enrolment(FEED))
    digest = sha256(b"block")
    for first in range(0, SELECTORS_MAX + BATCH, BATCH):
        rows = [[FEED.feed_id, 0, height, digest] for height in range(first, first + BATCH)]
        await node.submit(tx(KIND_MIRRORED, [1, rows]))
    found = await node.statements(FEED.feed_id, 0, first=1, last=SELECTORS_MAX + 1)
    assert list(range(1, SELECTORS_MAX + 2)) == [leaf.record[3] for _, leaf in found]
    data = await node.chain_part_of([index for index, _ in found], [])
    trusted = verify_chain_part(decode_chain_part(data), trusted_genesis_sha256=node.genesis.digest)
    assert SELECTORS_MAX + 1 == len(trusted.leaves)


async def test_an_interval_that_ends_before_it_begins_is_refused_in_words(
    node: ChainNode,
) -> None:
    prover = Prover(cast("FeedRoom", None), node)
    backwards = Request(device_id="probe", channel=None, from_ms=2, to_ms=1)
    with pytest.raises(MalformedError, match="ends before it begins"):
        await prover.prove(backwards)


def test_a_channel_that_the_device_never_had_is_no_proof_of_its_other_channels() -> None:
    bundle = good_scene().bundle()
    asked = replace(bundle.request, channel="no such channel")
    with pytest.raises(NotYetProvenError, match="has no channel 'no such channel'"):
        check_channel(asked, bundle.feeds)
    check_channel(replace(asked, channel=None), bundle.feeds)
