"""Gateways that anchor on a network of several organisations, and the proofs they hold."""

from consortium.errors import ChainUnavailableError, NotYetProvenError
from consortium.wire import Submitted
from ledger.canonical import encode
from ledger.chain_proof import VerifiedChain, decode_chain_part, verify_chain_part
from tests.fakes.comet_network import CometNetwork, again_until, anchor_tx
from tests.fakes.gateway_feed import GatewayFeed

BASE_UNKNOWN = 103  # the head does not rest on what this organisation knows as anchored
SENDER_UNKNOWN = 7  # or was not enrolled yet when its newest block was made
ACCEPTED, REPLAYED = 0, 6


class Gateway:
    """A gateway that anchors height after height, at whichever organisation it is told."""

    def __init__(self, feed: GatewayFeed) -> None:
        self.feed, self.anchored = feed, -1

    async def anchor(self, network: CometNetwork, at: int, timeout_s: float = 60) -> None:
        """Anchors the next height. Sends the same bytes again until it is answered."""
        height = self.anchored + 1
        while height >= len(self.feed.sizes):
            self.feed.grow(5)
        item = self.feed.item(self.anchored if height else None, height)
        data = await anchor_tx(self.feed, item)
        async with network[at].client(timeout_s=min(8, timeout_s)) as client:

            async def send() -> Submitted:
                answer = await client.submit(data)
                if answer.code in (BASE_UNKNOWN, SENDER_UNKNOWN):
                    raise ChainUnavailableError("this organisation has not seen the last one yet")
                return answer

            answer = await again_until(send, timeout_s)
            # A resend after a lost answer is told that it was taken before.
            assert answer.code in (ACCEPTED, REPLAYED), answer
            self.anchored = height

    async def proof(self, network: CometNetwork, at: int) -> VerifiedChain:
        """The newest anchor's proof by one organisation, and that no conflict is known: verified
        offline against the genesis digest.
        """
        frozen, whose = encode(["frozen", self.feed.feed_id]), encode(["validators"])
        async with network[at].client() as client:

            async def ask() -> bytes:
                newest = [[2, self.feed.feed_id, 0, self.anchored]]
                try:
                    return await client.chain_part(newest, [frozen, whose])
                except NotYetProvenError as error:
                    # Its header is not signed yet, or this organisation is a block behind.
                    raise ChainUnavailableError(str(error)) from error

            data: bytes = await again_until(ask)
        proven = verify_chain_part(
            decode_chain_part(data), trusted_genesis_sha256=network.genesis.digest
        )
        assert proven.trusted
        assert proven.leaves[0].record[:4] == (4, self.feed.feed_id, 0, self.anchored)
        assert proven.states[frozen] is None
        return proven

    async def anchored_at(self, network: CometNetwork, at: int) -> set[int]:
        """Heights of this feed that an organisation has as anchored."""
        async with network[at].client() as client:
            return {row[0] for row in await client.anchors(self.feed.feed_id, 0)}
