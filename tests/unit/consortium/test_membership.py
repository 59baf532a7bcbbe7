"""An organisation's own desk against a real chain machine in this process."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consortium.client import OperatorClient
from consortium.compose import run_chain
from consortium.config import OPERATOR_SOCKET_NAME, read_config
from consortium.enrolment import EnrolmentCode, encode_enrolment
from consortium.errors import ConfigError, EnrolmentCodeError, RefusedError
from consortium.founding import found_chain
from consortium.membership import admit_party, enrol_for_party
from tests.fakes.gateway_feed import GatewayFeed

FEED = GatewayFeed("truck").grow(1)
CODE = encode_enrolment(
    EnrolmentCode(
        feed_id=FEED.feed_id,
        alg=-8,
        spki=FEED.spki,
        genesis_leaf=FEED.genesis_leaf,
        gateway_name="truck",
        party_name="Carrier",
    )
)


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Path]:
    """The folder of a running chain machine; its file names the port that it listens on."""
    found_chain(
        tmp_path, chain_id="wharf-test", party_name="operator", listen="127.0.0.1:0",
        now=datetime.now(UTC),
    )  # fmt: skip  # two lines of arguments
    stop, listening = asyncio.Event(), asyncio.get_running_loop().create_future()
    running = asyncio.create_task(
        run_chain(read_config(tmp_path), stop=stop, ready=listening.set_result)
    )
    await asyncio.wait({running, listening}, return_when=asyncio.FIRST_COMPLETED)
    config = tmp_path / "chain.toml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("127.0.0.1:0", f"127.0.0.1:{listening.result()}"))
    yield tmp_path
    stop.set()
    await running


async def test_a_party_is_admitted_with_a_key_of_its_own_and_enrols_its_gateway(
    home: Path, tmp_path: Path
) -> None:
    key = tmp_path / "carrier.key"
    party_id = await admit_party(home, "Carrier", key)
    assert 0o600 == key.stat().st_mode & 0o777
    assert party_id == await admit_party(home, "Carrier", key)
    feed_id = await enrol_for_party(home, CODE, party_name="Carrier", key_path=key)
    async with OperatorClient(home / OPERATOR_SOCKET_NAME) as operator:
        assert [[feed_id, 0, None]] == await operator.call("Gateways")


async def test_a_stranger_enrols_nothing(home: Path, tmp_path: Path) -> None:
    await admit_party(home, "Carrier", tmp_path / "carrier.key")
    with pytest.raises(RefusedError, match="not on this chain"):
        await enrol_for_party(home, CODE, party_name="Somebody", key_path=tmp_path / "carrier.key")


async def test_a_missing_key_and_a_cut_code_are_named_before_anything_is_sent(
    home: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="cannot read the key"):
        await enrol_for_party(home, CODE, party_name="Carrier", key_path=tmp_path / "none")
    with pytest.raises(EnrolmentCodeError):
        await enrol_for_party(home, CODE[:-2], party_name="Carrier", key_path=tmp_path / "none")


def test_the_enrolment_of_these_tests_is_the_feeds() -> None:
    assert replace(FEED.item(None), head=b"").genesis_leaf == FEED.genesis_leaf
