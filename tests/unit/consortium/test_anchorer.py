import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from consortium.anchorer import Anchored, Anchorer, ConflictRow, MirrorRow, OpenedRow, PartyIdentity
from consortium.app.anchors import anchored_state
from consortium.app.state import Draft
from consortium.errors import ChainUnavailableError
from consortium.node import ChainNode
from consortium.transaction import Sender, new_transaction, sign_transaction
from consortium.wire import Submitted
from ledger.conflict import conflict_of_heads
from ledger.feed import AnchorItem, AnchorState
from ledger.signing import Signer
from tests.fakes.gateway_feed import GatewayFeed
from tests.fakes.small_chain import CHAIN_ID, SmallChain, enrolment, party_id, signer


class FakeNode:
    """The application behind the node's calls, without engine or disk."""

    def __init__(self) -> None:
        self.chain = SmallChain()
        self.kinds: list[int] = []

    def anchored(self, feed_id: bytes, epoch: int) -> AnchorState | None:
        return anchored_state(Draft(self.chain.app.state.map, frozenset()), feed_id, epoch)

    def get(self, *key: object) -> bytes | None:
        return self.chain.get(*key)

    async def submit_signed(
        self, own: Signer, *, kind: int, sender: Sender, body: object, nonce: bytes
    ) -> Submitted:
        self.kinds.append(kind)
        transaction = new_transaction(
            own,
            chain_id=CHAIN_ID,
            kind=kind,
            sender=sender,
            nonce=nonce,
            not_after=1_000,
            body=body,
        )
        (result,) = self.chain.block(await sign_transaction(transaction, own))
        return Submitted(
            tx_id=transaction.tx_id,
            code=int(result.code),
            height=1,
            item_codes=tuple(int(code) for code in result.item_codes),
            text=result.text,
        )


class Heads:
    """Feeds that offer their newest head."""

    def __init__(self, *feeds: GatewayFeed) -> None:
        self.feeds, self.asked = feeds, 0
        self.evidence: list[ConflictRow] = []

    async def contradictions(self, _: Anchored, limit: int) -> Sequence[ConflictRow]:
        return []

    async def conflicts(self, limit: int) -> Sequence[ConflictRow]:
        return self.evidence[:limit]

    async def anchor_items(self, anchored: Anchored, limit: int) -> Sequence[AnchorItem]:
        self.asked += 1
        items = []
        for feed in self.feeds:
            state = anchored(feed.feed_id, 0)
            if state is None or state.height < len(feed.sizes) - 1:
                items.append(feed.item(state.height if state else None))
        return items[:limit]


class Statements:
    """Rows that wait until they are recorded."""

    def __init__(self, mirrored: list[MirrorRow], opened: list[OpenedRow]) -> None:
        self.mirrored, self.opened = mirrored, opened

    async def mirror_statements(self, limit: int) -> Sequence[MirrorRow]:
        return self.mirrored[:limit]

    async def opened_statements(self, limit: int) -> Sequence[OpenedRow]:
        return self.opened[:limit]

    async def mirror_recorded(self, rows: Sequence[MirrorRow]) -> None:
        self.mirrored = [row for row in self.mirrored if row not in rows]

    async def opened_recorded(self, rows: Sequence[OpenedRow]) -> None:
        self.opened = [row for row in self.opened if row not in rows]


def anchorer(node: FakeNode, heads: Any = None, statements: Any = None, batch: int = 2) -> Anchorer:
    count = iter(range(1_000))
    return Anchorer(
        cast("ChainNode", node),
        PartyIdentity(party_id=party_id("operator"), signer=signer("operator")),
        heads=heads,
        statements=statements,
        new_nonce=lambda: next(count).to_bytes(16, "big"),
        interval_s=0.01,
        batch_max=batch,
    )


@pytest.fixture
def feeds() -> list[GatewayFeed]:
    return [GatewayFeed(f"gateway {n}").grow(2) for n in range(3)]


async def test_heads_are_anchored_in_batches_until_none_is_newer(feeds: list[GatewayFeed]) -> None:
    node = FakeNode()
    node.chain.block(*[enrolment(feed) for feed in feeds])
    work = anchorer(node, Heads(*feeds))
    assert [True, False, False] == [await work.round() for _ in range(3)]
    assert [4, 4] == node.kinds
    feeds[1].grow(3)
    await work.round()
    assert [1, 4, 1] == [
        state.height for feed in feeds if (state := node.anchored(feed.feed_id, 0))
    ]


async def test_a_head_that_is_refused_is_asked_for_again_only_after_a_pause(
    feeds: list[GatewayFeed],
) -> None:
    node = FakeNode()
    work = anchorer(node, Heads(*feeds), batch=1)
    assert await work.round() is False


class Forked(Heads):
    """Offers another history than what is anchored."""

    async def anchor_items(self, anchored: Anchored, limit: int) -> Sequence[AnchorItem]:
        return [feed.item(0, 1) for feed in self.feeds]


async def test_a_forked_head_is_reported_once_as_evidence(feeds: list[GatewayFeed]) -> None:
    node = FakeNode()
    node.chain.block(*[enrolment(feed) for feed in feeds])
    await anchorer(node, Heads(feeds[0])).round()
    fork = GatewayFeed("gateway 0").grow(2, "another history")
    work = anchorer(node, Forked(fork), batch=9)
    work._new_nonce = iter([b"%016d" % n for n in range(9)]).__next__
    await work.round()
    await work.round()
    assert [4, 4, 8, 4] == node.kinds
    assert node.get("frozen", fork.feed_id) is not None


async def test_evidence_that_is_held_freezes_the_feed_before_anything_is_anchored(
    feeds: list[GatewayFeed],
) -> None:
    node, heads = FakeNode(), Heads(feeds[0])
    node.chain.block(enrolment(feeds[0]))
    fork = GatewayFeed("gateway 0").grow(2, "another history")
    both = conflict_of_heads(feeds[0].head(1), fork.head(1))
    heads.evidence = [(fork.feed_id, both)]
    work = anchorer(node, heads, batch=9)
    work._new_nonce = iter([b"%016d" % n for n in range(9)]).__next__
    await work.round()
    await work.round()
    assert [8, 4, 4] == node.kinds
    assert node.anchored(fork.feed_id, 0) is None


async def test_statements_are_given_until_they_are_recorded(feeds: list[GatewayFeed]) -> None:
    node = FakeNode()
    node.chain.block(enrolment(feeds[0]))
    feed_id = feeds[0].feed_id
    source = Statements(
        [(feed_id, 0, height, b"d" * 32) for height in range(3)],
        [(feed_id, 0, 0, 1, b"d" * 32, True)],
    )
    work = anchorer(node, statements=source)
    assert [True, False] == [await work.round(), await work.round()]
    assert ([], []) == (source.mirrored, source.opened)
    assert [5, 6, 5] == node.kinds
    assert 5 == node.chain.app.state.log.size


async def test_the_task_goes_on_after_a_refusal_and_at_once_when_poked(
    feeds: list[GatewayFeed],
) -> None:
    node, heads = FakeNode(), Heads(feeds[0])
    work = anchorer(node, heads)

    async def full(*_: object, **__: object) -> Submitted:
        raise ChainUnavailableError("too many transactions wait")

    real, node.submit_signed = node.submit_signed, full  # type: ignore[method-assign]  # until it is mended
    running = asyncio.create_task(work.run())
    while heads.asked < 2:
        work.poke()
        await asyncio.sleep(0)
    node.chain.block(enrolment(feeds[0]))
    node.submit_signed = real  # type: ignore[method-assign]  # mended
    while node.anchored(feeds[0].feed_id, 0) is None:
        work.poke()
        await asyncio.sleep(0)
    running.cancel()
