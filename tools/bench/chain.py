"""Four validators on loopback, every signature checked by each, beside CometBFT's own kvstore."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from consortium.compose import own_party
from consortium.config import read_config
from consortium.errors import NotYetProvenError
from consortium.file_keys import FileSigner
from ledger.chain_proof import decode_chain_part, verify_chain_part
from ledger.feed import AnchorItem, anchor_item_from_value, check_anchor
from tools.bench.chain_load import Load
from tools.bench.chain_network import (
    CHAIN_ID,
    VALIDATORS,
    Hand,
    Network,
    in_batches,
    kvstore_network,
    one_by_one,
    our_network,
)
from tools.bench.chain_path import path_figures
from tools.bench.figure import Figure, at_most, ratio_at_least
from tools.bench.session import BenchError, Session
from tools.bench.verifying import elapsed_us

TRANSACTIONS: Final = 2_000
FEEDS: Final = 1_000
LATENCIES: Final = 20  # a sample's transactions, one after the other
PAUSE_S: Final = 0.2
TRIES_MAX: Final = 100


def measure(session: Session) -> list[Figure]:
    """Transactions, heads, latency and proof; then where the application's time goes."""
    ours, kvstore = our_network(session), kvstore_network(session)
    kvstore.sleep()
    party = own_party(read_config(ours.homes[0]), ours.genesis)
    assert isinstance(party.signer, FileSigner)
    load = Load(party.signer, chain_id=CHAIN_ID, party_id=party.party_id, feeds=FEEDS)
    session.say("  enrolling the gateways")
    ours.rate(load.enrolments())
    ours.rate(load.anchors([feed.next_item() for feed in load.feeds]))
    figures = [
        replace(
            _transactions(
                session, ours, kvstore, load=load, how="each in a call of its own", hand=one_by_one
            ),
            goal=ratio_at_least(0.5),
        ),
        _transactions(session, ours, kvstore, load=load, how="by hundreds", hand=in_batches),
        _heads(session, ours, load),
        *asyncio.run(_asked(session, ours, load)),
    ]
    ours.sleep()
    return [*figures, *path_figures(session)]


def _transactions(
    session: Session, ours: Network, kvstore: Network, *, load: Load, how: str, hand: Hand
) -> Figure:
    size = len(load.devices(1)[0])

    def our_rate() -> float:
        return ours.rate(load.devices(TRANSACTIONS), hand)

    def their_rate() -> float:
        ours.sleep()
        kvstore.wake()
        rate = kvstore.rate([_pair(size) for _ in range(TRANSACTIONS)], hand)
        kvstore.sleep()
        ours.wake()
        return rate

    our, their = session.interleaved(f"transactions {how}", our_rate, their_rate)
    return Figure(
        name=f"{VALIDATORS} validators: transactions of one signature committed, {how}",
        unit="tx/s", ours=our, peer="CometBFT's kvstore, which checks nothing", theirs=their,
        note=f"{size} bytes each",
    )  # fmt: skip  # one figure


def _pair(size: int) -> bytes:
    """A fresh `key=value` of this many bytes, as kvstore wants it."""
    return (b"%s=" % os.urandom(16).hex().encode()).ljust(size, b"v")


def _heads(session: Session, ours: Network, load: Load) -> Figure:
    """The ceiling: what the validators' share of the cores could check if they did nothing else."""
    share = (os.cpu_count() or 1) / VALIDATORS
    states = {}
    items: list[AnchorItem] = []

    def our_rate() -> float:
        states.update({feed.feed_id: feed.state for feed in load.feeds})
        items[:] = [feed.next_item() for feed in load.feeds]
        before = asyncio.run(_log_size(ours))
        txs = load.anchors(items)
        rate = ours.rate(txs) * len(items) / len(txs)
        grown = asyncio.run(_log_size(ours, at_least=before + len(items))) - before
        if grown != len(items):
            raise BenchError(f"{grown} of {len(items)} heads were anchored")
        return rate

    def ceiling() -> float:
        pairs = [(f, item.to_value()) for f, item in zip(load.feeds, items, strict=True)]

        def check() -> None:
            for feed, value in pairs:
                check_anchor(states[feed.feed_id], anchor_item_from_value(value), feed.key)

        ours.sleep()
        spent_us = elapsed_us(check)
        ours.wake()
        return share * len(items) / spent_us * 1e6

    our, most = session.interleaved("heads", our_rate, ceiling)
    return Figure(
        name=f"{VALIDATORS} validators: gateway heads anchored, in batches",
        unit="heads/s", ours=our,
        peer=f"{share:g} × one core's checks of a head with its paths", theirs=most,
        goal=ratio_at_least(0.5),
    )  # fmt: skip  # one figure


async def _log_size(ours: Network, *, at_least: int = 0) -> int:
    async with ours.client() as client:
        for _ in range(TRIES_MAX):
            size = (await client.status()).log_size
            if size >= at_least:
                break
            await asyncio.sleep(PAUSE_S)
        return size


async def _asked(session: Session, ours: Network, load: Load) -> list[Figure]:
    """What somebody waits for: a commit, and a proof's verdict."""
    data = await _proof(ours, load)
    waited, idle = list[float](), list[float]()
    async with ours.client() as client:

        async def timed(ask: Callable[[], object]) -> float:
            begun = time.perf_counter()
            await ask()  # type: ignore[misc]  # calls of the client
            return (time.perf_counter() - begun) * 1000

        for number in range(session.repeats):
            session.say(f"  one at a time: {number + 1} of {session.repeats}")
            took, asked = list[float](), list[float]()
            for tx in load.devices(LATENCIES):
                await asyncio.sleep(PAUSE_S)
                took.append(await timed(lambda tx=tx: client.submit(tx)))  # type: ignore[misc]  # bound now
                asked.append(await timed(client.status))
            waited.append(sorted(took)[len(took) // 2])
            idle.append(sorted(asked)[len(asked) // 2])
    return [_latency(waited, idle), _verified(session, ours, load, data)]


def _latency(waited: Sequence[float], idle: Sequence[float]) -> Figure:
    return Figure(
        name=f"{VALIDATORS} validators: from sending to committed, one at a time",
        unit="ms", ours=tuple(waited), peer="a question that is answered at once",
        theirs=tuple(idle), goal=at_most(150), note=f"medians of {LATENCIES}",
    )  # fmt: skip  # one figure


async def _proof(ours: Network, load: Load) -> bytes:
    """A chain part with the newest anchor of a gateway."""
    state = load.feeds[0].state
    assert state is not None
    async with ours.client() as client:
        while True:
            try:
                return await client.anchor_proof(state.feed_id, 0, state.height)
            except NotYetProvenError:
                await asyncio.sleep(PAUSE_S)


def _verified(session: Session, ours: Network, load: Load, data: bytes) -> Figure:
    feed = load.feeds[0]
    signed = b"a message"
    public = feed.key
    signature = feed.sign(signed)

    def verify() -> object:
        part = decode_chain_part(data)
        return verify_chain_part(part, trusted_genesis_sha256=ours.genesis.digest)

    proof, bare = session.interleaved(
        "a chain proof",
        lambda: elapsed_us(verify, 100) / 1000,
        lambda: elapsed_us(lambda: public.verify(signed, signature), 500) / 1000,
    )
    return Figure(
        name=f"a chain proof of {VALIDATORS} validators verified", unit="ms", ours=proof,
        peer="one Ed25519 check", theirs=bare, goal=at_most(2), note=f"{len(data)} bytes",
    )  # fmt: skip  # one figure
