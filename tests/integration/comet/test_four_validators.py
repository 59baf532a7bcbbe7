"""Four organisations, four real nodes: what kills, lies and restarts may and may not do.

The tests of this file share one network, because starting it takes longer than most of them; each
leaves it whole.
"""

import asyncio
import time
from collections.abc import Iterator

import pytest

from consortium.errors import ChainUnavailableError, ConsortiumError
from consortium.wire import Submitted
from ledger.canonical import encode
from ledger.chain_proof import decode_chain_part, verify_chain_part
from tests.fakes.comet_network import CometNetwork, again_until, anchor_tx
from tests.fakes.gateway_feed import GatewayFeed

ALL = (0, 1, 2, 3)
BASE_UNKNOWN = 103  # the head does not rest on what this organisation knows as anchored


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CometNetwork]:
    made = CometNetwork(tmp_path_factory.mktemp("n"))
    try:
        yield made.start()
    finally:
        made.end()


class Gateway:
    """A gateway that anchors height after height, at whichever organisation answers."""

    def __init__(self, feed: GatewayFeed) -> None:
        self.feed, self.anchored = feed, -1

    async def anchor(self, network: CometNetwork, at: int, timeout_s: float = 60) -> None:
        """Anchors the next height. Sends again until it is answered."""
        height = self.anchored + 1
        while height >= len(self.feed.sizes):
            self.feed.grow(5)
        item = self.feed.item(self.anchored if height else None, height)
        data = await anchor_tx(self.feed, item)
        async with network[at].client(timeout_s=8) as client:

            async def send() -> Submitted:
                answer = await client.submit(data)
                if answer.code == BASE_UNKNOWN:
                    raise ChainUnavailableError("this organisation has not seen the last one yet")
                return answer

            answer = await again_until(send, timeout_s)
            # A resend after a lost answer is told that it was taken before.
            assert answer.code in (0, 6), answer
            self.anchored = height
            rows = await client.anchors(self.feed.feed_id, 0)
        assert height in {row[0] for row in rows}


async def verified_at_all(network: CometNetwork, gateway: Gateway) -> None:
    """Every organisation gives a proof of the newest anchor, and each verifies offline."""
    feed = gateway.feed
    frozen = encode(["frozen", feed.feed_id])
    for organisation in network.organisations:
        async with organisation.client() as client:
            data = await client.chain_part([[2, feed.feed_id, 0, gateway.anchored]], [frozen])
        proven = verify_chain_part(
            decode_chain_part(data), trusted_genesis_sha256=network.genesis.digest
        )
        assert proven.trusted
        assert (proven.validator_count, proven.parties_count) == (4, 4)
        assert proven.leaves[0].record[:4] == (4, feed.feed_id, 0, gateway.anchored)
        assert proven.states[frozen] is None


async def test_an_anchor_is_proven_by_more_than_two_thirds_at_every_organisation(
    network: CometNetwork,
) -> None:
    gateway = Gateway(await network.enrol("proven"))
    for at in ALL:
        await gateway.anchor(network, at)
    await network.until_equal(who=ALL)
    await verified_at_all(network, gateway)


async def test_an_anchor_after_a_silence_is_dated_when_it_was_made(network: CometNetwork) -> None:
    gateway = Gateway(await network.enrol("silent"))
    await asyncio.sleep(4)
    before_ms = time.time_ns() // 1_000_000
    await gateway.anchor(network, 1)
    async with network[1].client() as client:
        ((_, _, time_ms),) = await client.anchors(gateway.feed.feed_id, 0)
    assert before_ms - 2_500 < time_ms <= time.time_ns() // 1_000_000


@pytest.mark.parametrize("parts", [("node",), ("application",), ("node", "application")])
async def test_one_validator_is_killed_and_the_others_go_on(
    network: CometNetwork, parts: tuple[str, ...]
) -> None:
    gateway = Gateway(await network.enrol(f"one {parts}"))
    await gateway.anchor(network, 0)
    network[3].kill(*parts)
    for _ in range(5):
        await gateway.anchor(network, 0)
    await network.until_height(
        await network[0].height(), who=ALL
    )  # its supervisor has brought the pair back
    await network.until_equal(who=ALL)


async def test_two_validators_gone_halt_the_chain_and_one_back_resumes_it(
    network: CometNetwork,
) -> None:
    gateway = Gateway(await network.enrol("two"))
    await gateway.anchor(network, 0)
    network[2].kill()
    network[3].kill()
    with pytest.raises(ConsortiumError):
        await gateway.anchor(network, 0, timeout_s=5)
    network[2].start()
    await gateway.anchor(network, 0)
    network[3].start()
    for at in (2, 3):
        network[at].until_listening()
    await network.until_equal(who=ALL)
    await verified_at_all(network, gateway)


async def test_all_eight_processes_killed_at_once_come_back_to_one_state(
    network: CometNetwork,
) -> None:
    gateways = [Gateway(await network.enrol(f"eight {n}")) for n in range(4)]

    async def load(gateway: Gateway, at: int) -> None:
        while True:
            await gateway.anchor(network, at)

    work = [asyncio.create_task(load(gateway, at)) for at, gateway in enumerate(gateways)]
    await asyncio.sleep(2)
    for organisation in network.organisations:
        organisation.kill()
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)
    assert all(gateway.anchored > 0 for gateway in gateways)
    network.start()
    await network.until_equal(who=ALL)
    for at, gateway in enumerate(gateways):
        async with network[at].client() as client:
            rows = await client.anchors(gateway.feed.feed_id, 0)
        assert set(range(gateway.anchored + 1)) <= {row[0] for row in rows}
    await gateways[0].anchor(network, 0)
    await verified_at_all(network, gateways[0])
