"""The chain machine as a process: over TLS, over its operator socket, and killed under load."""

import asyncio
import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consortium.client import ChainClient
from consortium.config import CERTIFICATE_NAME, GENESIS_NAME, OPERATOR_SOCKET_NAME
from consortium.enrolment import EnrolmentCode, encode_enrolment
from consortium.errors import (
    ChainUnavailableError,
    ConfigError,
    MalformedError,
    NotYetProvenError,
    RefusedError,
)
from consortium.file_keys import FileSigner
from consortium.tls import make_certificate
from consortium.transaction import (
    KIND_ANCHORS,
    KIND_DEVICE,
    SENDER_GATEWAY,
    Sender,
    new_transaction,
    sign_transaction,
)
from consortium.wire import CHAIN_SERVICE
from ledger.canonical import decode, encode
from ledger.chain_proof import decode_chain_part, verify_chain_part
from ledger.feed import AnchorItem
from ledger.hashing import sha256
from tests.fakes.chain_process import ChainProcess, wharf
from tests.fakes.gateway_feed import GatewayFeed


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[ChainProcess]:
    made = ChainProcess(tmp_path / "c").found().start()
    yield made
    made.kill()


def code(feed: GatewayFeed) -> str:
    return encode_enrolment(
        EnrolmentCode(
            feed_id=feed.feed_id,
            alg=-8,
            spki=feed.spki,
            genesis_leaf=feed.genesis_leaf,
            gateway_name="gateway",
            party_name="operator",
        )
    )


_COUNT = itertools.count()


async def anchor_tx(feed: GatewayFeed, *items: AnchorItem) -> bytes:
    """A gateway sends its own heads."""
    own = FileSigner(feed.key)
    transaction = new_transaction(
        own,
        chain_id="wharf-test",
        kind=KIND_ANCHORS,
        sender=Sender(SENDER_GATEWAY, feed.feed_id),
        nonce=sha256(b"%d" % next(_COUNT))[:16],
        not_after=50_000,
        body=[1, [item.to_value() for item in items]],
    )
    return await sign_transaction(transaction, own)


async def test_a_gateway_is_enrolled_anchors_and_gets_its_proof(machine: ChainProcess) -> None:
    feed = GatewayFeed("cold room").grow(3)
    assert machine.founded
    enrolled = wharf("chain", "enrol", code(feed), "--home", str(machine.home), "--json")
    assert (0, "") == (enrolled.returncode, enrolled.stderr)
    answer = json.loads(enrolled.stdout)
    trust = bytes.fromhex(answer["genesis_sha256"])
    assert (machine.founded.genesis_sha256, machine.founded.certificate_sha256.hex()) == (
        trust,
        answer["certificate_sha256"],
    )
    async with machine.client() as client:
        assert sha256(await client.genesis()) == trust
        with pytest.raises(NotYetProvenError):
            await client.anchor_proof(feed.feed_id, 0, 0)
        data = await anchor_tx(feed, feed.item(None, 0), feed.item(0, 2))
        first = await client.submit(data)
        assert (0, (0, 0)) == (first.code, first.item_codes)
        again = await client.submit(data)
        assert (6, first.tx_id, None) == (again.code, again.tx_id, again.height)
        part = decode_chain_part(await client.anchor_proof(feed.feed_id, 0, 1))
        proven = verify_chain_part(part, trusted_genesis_sha256=trust)
        assert (4, feed.feed_id, 0, 2) == proven.leaves[0].record[:4]
        gateway, missing = encode(["gateway", feed.feed_id]), encode(["frozen", feed.feed_id])
        part = decode_chain_part(await client.chain_part([], [gateway, missing]))
        states = verify_chain_part(part, trusted_genesis_sha256=trust).states
        assert states[missing] is None
        assert decode(states[gateway] or b"")[2:4] == [-8, feed.spki]
        assert [0, 2] == [row[0] for row in await client.anchors(feed.feed_id, 0)]
        assert (await client.status()).log_size == 3
        with pytest.raises(MalformedError):
            await client.chain_part([["nonsense"]])
        with pytest.raises(MalformedError):
            await client._ask("AnchorProof", "not", "these")


async def test_noise_at_the_door_is_answered_and_harms_nothing(machine: ChainProcess) -> None:
    async with machine.client() as client:
        method: Any = client._channel.unary_unary(f"/{CHAIN_SERVICE}/Submit")
        for noise in (b"", b"\xff", encode([1]), encode([2, b""]), encode({1: 2})):
            assert decode(await method(noise))[1] == 1
        assert (await client.submit(b"noise")).code == 1
        assert (await client.status()).height == 1


async def test_the_operator_socket_is_the_operators_alone_and_speaks_in_words(
    machine: ChainProcess,
) -> None:
    feed = GatewayFeed("truck").grow(1)
    assert 0o600 == (machine.home / OPERATOR_SOCKET_NAME).stat().st_mode & 0o777
    wrong = wharf("chain", "enrol", code(feed)[:-4], "--home", str(machine.home))
    assert (1, "wharf chain: the code is mistyped or cut: copy it again, whole\n") == (
        wrong.returncode,
        wrong.stderr,
    )
    assert await machine.operate("Enrol", code(feed), 1)
    with pytest.raises(RefusedError) as refused:
        await machine.operate("Enrol", code(feed), 2)
    assert refused.value.code == 31
    shown = json.loads(wharf("chain", "status", "--home", str(machine.home), "--json").stdout)
    assert [{"feed": feed.feed_id.hex(), "level": 1, "anchored_height": None}] == shown["gateways"]
    revoked = wharf("chain", "revoke", feed.feed_id.hex(), "--home", str(machine.home))
    assert revoked.returncode == 0
    async with machine.client() as client:
        answer = await client.submit(await anchor_tx(feed, feed.item(None, 0)))
        assert answer.code == 9
    assert 64 == wharf("chain", "revoke", "xyz", "--home", str(machine.home)).returncode


async def test_a_client_that_pins_another_certificate_gets_nowhere(
    machine: ChainProcess, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    from datetime import UTC, datetime

    digest = make_certificate(other, tmp_path / "other.key", datetime.now(UTC))
    pem = (machine.home / CERTIFICATE_NAME).read_bytes()
    with pytest.raises(ConfigError, match="not the one that enrolment named"):
        ChainClient(machine.address, certificate_pem=pem, certificate_sha256=digest)
    async with ChainClient(
        machine.address, certificate_pem=other.read_bytes(), certificate_sha256=digest, timeout_s=2
    ) as client:
        with pytest.raises(ChainUnavailableError):
            await client.status()


def test_a_second_machine_on_the_same_folder_does_not_start(machine: ChainProcess) -> None:
    second = wharf("chain", "run", "--home", str(machine.home), "--listen", "127.0.0.1:0")
    assert second.returncode == 1
    assert "a chain machine runs there already" in second.stderr


def test_an_orderly_stop_leaves_no_socket_and_exit_code_0(machine: ChainProcess) -> None:
    assert machine.stop() == 0
    assert not (machine.home / OPERATOR_SOCKET_NAME).exists()
    silent = wharf("chain", "status", "--home", str(machine.home))
    assert "is `wharf chain run` running?" in silent.stderr


async def load(client: ChainClient, feed: GatewayFeed, seen: dict[int, int]) -> None:
    """Anchors height after height until the machine is gone; notes what was answered as
    accepted.
    """
    rows = await client.anchors(feed.feed_id, 0)
    previous = rows[-1][0] if rows else None
    while True:
        height = 0 if previous is None else previous + 1
        while height >= len(feed.sizes):
            feed.grow(5)
        answer = await client.submit(await anchor_tx(feed, feed.item(previous, height)))
        assert answer.code == 0, answer
        assert answer.height
        seen[height], previous = answer.height, height


async def test_killed_at_random_moments_it_goes_on_with_all_that_it_answered(
    machine: ChainProcess, nightly: bool
) -> None:
    seed = 20_261_123
    moments = random.Random(seed)
    feeds = [GatewayFeed(f"gateway {n}").grow(3) for n in range(3)]
    for feed in feeds:
        await machine.operate("Enrol", code(feed), None)
    seen: list[dict[int, int]] = [{} for _ in feeds]
    headers: dict[int, bytes] = {}
    assert machine.founded
    trust = machine.founded.genesis_sha256
    for _ in range(40 if nightly else 6):
        async with machine.client(timeout_s=5) as client:
            work = [load(client, feed, known) for feed, known in zip(feeds, seen, strict=True)]
            kill = machine.kill_soon(moments.uniform(0.05, 0.6))
            outcomes = await asyncio.gather(kill, *work, return_exceptions=True)
        assert all(isinstance(o, ChainUnavailableError) for o in outcomes[1:]), outcomes
        machine.start()
        async with machine.client() as client:
            for feed, known in zip(feeds, seen, strict=True):
                rows = await client.anchors(feed.feed_id, 0)
                assert set(known) <= {row[0] for row in rows}, f"seed {seed}"
            part = decode_chain_part(await client.chain_part([], []))
            proven = verify_chain_part(part, trusted_genesis_sha256=trust)
            assert headers.setdefault(proven.height, part.app.app_hash) == part.app.app_hash
    assert all(len(known) > 3 for known in seen)


async def test_the_same_blocks_lead_to_the_same_state_in_another_process(
    machine: ChainProcess, tmp_path: Path
) -> None:
    feed = GatewayFeed("cold room").grow(9)
    await machine.operate("Enrol", code(feed), None)
    async with machine.client() as client:
        for height in range(9):
            item = feed.item(height - 1 if height else None, height)
            await client.submit(await anchor_tx(feed, item))
        rows = [[f"device {n}", (1 << 16) + n, b"d" * 32, n, None] for n in range(1, 40)]
        own = FileSigner(feed.key)
        devices = new_transaction(
            own,
            chain_id="wharf-test",
            kind=KIND_DEVICE,
            sender=Sender(SENDER_GATEWAY, feed.feed_id),
            nonce=bytes(16),
            not_after=1_000,
            body=[1, feed.feed_id, rows],
        )
        assert (await client.submit(await sign_transaction(devices, own))).code == 0
        before = await client.status()
    machine.stop()
    import shutil

    shutil.rmtree(machine.home / "chain.store")
    again = ChainProcess(
        machine.home, PYTHONHASHSEED="4711", TZ="Asia/Shanghai", LC_ALL="tr_TR.UTF-8"
    )
    again.founded = machine.founded
    try:
        again.start()
        async with again.client() as client:
            assert replace(await client.status(), waiting=0) == replace(before, waiting=0)
    finally:
        again.kill()


def test_the_genesis_document_is_what_init_says(tmp_path: Path) -> None:
    home = tmp_path / "h"
    made = wharf("chain", "init", "--home", str(home), "--chain-id", "x", "--party", "P", "--json")
    assert made.returncode == 0
    digest = json.loads(made.stdout)["genesis_sha256"]
    assert digest == sha256((home / GENESIS_NAME).read_bytes()).hex()
