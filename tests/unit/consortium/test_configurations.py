"""Texts kept for the gateways that they are meant for, and for nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from consortium.client import ChainClient
from consortium.configuration_shelf import ConfigurationShelf
from consortium.configurations import (
    TEXT_BYTES_MAX,
    decode_notice,
    proven_state,
    signed_request,
)
from consortium.errors import MalformedError, NotYetProvenError
from consortium.node import ChainNode
from ledger.canonical import encode
from ledger.gossip import NOTICE, decode_message
from ledger.hashing import sha256
from ledger.signing import PublicKey
from ledger.store import Store
from tests.fakes.small_chain import CHAIN_ID, signer
from tests.fakes.virtual_time import virtual_time

FEED_ID, TEXT = b"f" * 16, b"[seal]\ncount = 9\n"
OWN = signer("gateway")
NONCE = bytes(16)


class Chain:
    """What the shelf asks of a chain machine."""

    class genesis:  # noqa: N801  # as the node's attribute is called
        chain_id = CHAIN_ID

    def __init__(self) -> None:
        self.newest: list[Any] | None = [3, sha256(TEXT), 1]

    def get(self, *key: object) -> list[Any] | None:
        return self.newest if key == ("configuration", FEED_ID) else None

    async def chain_part(self, selectors: object, keys: list[bytes]) -> bytes:
        assert sorted(keys) == keys
        return b"part"


class LateChain:
    """A machine whose newest state no header carries yet, so many times."""

    def __init__(self, times: int) -> None:
        self.times = times

    async def chain_part(self, selectors: object, keys: list[bytes]) -> bytes:
        self.times -= 1
        if self.times >= 0:
            raise NotYetProvenError("no signed header carries the newest state yet")
        return b"part"


@virtual_time
async def test_a_state_that_is_not_proven_yet_is_asked_for_again_within_a_bound() -> None:
    assert b"part" == await proven_state(cast("ChainClient", LateChain(3)), b"key")
    with pytest.raises(NotYetProvenError):
        await proven_state(cast("ChainClient", LateChain(10_000)), b"key")


def key_of(feed_id: bytes) -> PublicKey | None:
    return PublicKey(OWN.alg, OWN.public_key_der()) if feed_id == FEED_ID else None


@pytest.fixture
def chain() -> Chain:
    return Chain()


@pytest.fixture
def shelf(tmp_path: Path, chain: Chain) -> Iterator[ConfigurationShelf]:
    store = Store(tmp_path, map_bytes=16 << 20)
    yield ConfigurationShelf(store, cast("ChainNode", chain), key_of)
    store.close()


@pytest.fixture
async def filled(shelf: ConfigurationShelf) -> ConfigurationShelf:
    await shelf.keep([FEED_ID, TEXT])
    return shelf


async def asked(name: str = "gateway", **changed: Any) -> bytes:
    wish: dict[str, Any] = {"feed_id": FEED_ID, "chain_id": CHAIN_ID, "nonce": NONCE}
    return await signed_request(signer(name), **{**wish, **changed})


async def test_the_gateway_gets_its_text_with_the_chains_proof(filled: ConfigurationShelf) -> None:
    assert [TEXT, b"part"] == await filled.fetch([await asked()])


@pytest.mark.parametrize("changed", [{"feed_id": b"o" * 16}, {"chain_id": "other"}, {"nonce": b""}])
async def test_a_request_for_another_feed_chain_or_form_is_refused(
    filled: ConfigurationShelf, changed: dict[str, Any]
) -> None:
    with pytest.raises(MalformedError):
        await filled.fetch([await asked(**changed)])


async def test_nobody_else_gets_it(filled: ConfigurationShelf) -> None:
    with pytest.raises(MalformedError):
        await filled.fetch([await asked("stranger")])


async def test_no_flipped_bit_of_a_request_is_answered(filled: ConfigurationShelf) -> None:
    request = await asked()
    for place in range(len(request) * 8):
        flipped = bytearray(request)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(MalformedError):
            await filled.fetch([bytes(flipped)])


@pytest.mark.parametrize("text", [b"", TEXT + b" ", bytes(TEXT_BYTES_MAX + 1)])
async def test_only_the_text_that_the_chain_names_is_kept(
    shelf: ConfigurationShelf, text: bytes
) -> None:
    with pytest.raises(MalformedError):
        await shelf.keep([FEED_ID, text])
    assert shelf.notice(FEED_ID) is None


async def test_a_text_of_an_older_version_is_not_given_out(
    filled: ConfigurationShelf, chain: Chain
) -> None:
    chain.newest = [4, sha256(b"newer"), 2]
    assert filled.notice(FEED_ID) is None
    with pytest.raises(NotYetProvenError):
        await filled.fetch([await asked()])


async def test_a_notice_names_the_newest_version(filled: ConfigurationShelf) -> None:
    notice = filled.notice(FEED_ID)
    assert notice is not None
    kind, (feed_id, _, data) = decode_message(notice)
    assert (NOTICE, FEED_ID, 3) == (kind, feed_id, decode_notice(data))


@pytest.mark.parametrize("data", [b"", encode([0, bytes(32)]), encode([1, b""]), encode(7)])
def test_a_notice_of_another_form_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        decode_notice(data)
