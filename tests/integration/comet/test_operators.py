"""What operators do with a running network: look, measure, back up, begin again, prune."""

import asyncio
import json
import shutil
import time
import urllib.request
from pathlib import Path
from typing import Any

from consortium.comet.backup import MARGIN_BLOCKS
from consortium.comet.files import NODE_FOLDER, address_hex, read_node_keys
from gateway.demo.ports import free_ports
from tests.fakes.anchoring import Gateway
from tests.fakes.chain_process import wharf
from tests.fakes.comet_network import CometNetwork, Organisation
from tests.fakes.voting import change_power

ALL = (0, 1, 2, 3)


def status(organisation: Organisation) -> Any:
    """What `wharf chain status --json` says."""
    done = wharf("chain", "status", "--home", str(organisation.home), "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def meshed(organisation: Organisation, *, peers: int, timeout_s: float = 30) -> Any:
    """The status once so many others are connected: they dial each other after a start."""
    deadline = time.monotonic() + timeout_s
    while len((seen := status(organisation))["network"]["peers"]) != peers:
        assert time.monotonic() < deadline, seen
        await asyncio.sleep(0.2)
    return seen


def set_option(organisation: Organisation, old: str, new: str) -> None:
    """Changes a line of chain.toml."""
    path = organisation.home / "chain.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def votes_of(organisation: Organisation, height: int) -> set[str]:
    """Addresses of the validators that voted for a height."""
    rows = organisation.rpc.call("commit", height=str(height))["signed_header"]["commit"]
    return {row["validator_address"] for row in rows["signatures"] if row["block_id_flag"] == 2}


async def test_status_shows_peers_lag_votes_and_that_all_agree(network: CometNetwork) -> None:
    gateway = Gateway(await network.enrol("status"))
    await gateway.anchor(network, 0)
    await network.until_equal(who=ALL)
    seen = await meshed(network[0], peers=3)
    report = seen["network"]
    assert (True, True, 0, 0) == (
        report["node_answers"],
        report["app_hash_agrees"],
        report["lag"],
        report["misbehaviour"],
    )
    assert {height for _, height in report["peers"]} == {seen["height"]}
    assert len(report["votes"]) == 4
    network[3].kill()
    for _ in range(3):
        await gateway.anchor(network, 0)
    text = wharf("chain", "status", "--home", str(network[0].home)).stdout
    own = address_hex(read_node_keys(network[3].home).validator_key).lower()
    assert f"{own[:8]} ABSENT" in text
    assert len(status(network[0])["network"]["peers"]) == 2
    network[3].start().until_listening()
    await network.until_equal(who=ALL)


async def test_prometheus_is_told_how_the_machine_stands(network: CometNetwork) -> None:
    (port,) = free_ports(1)
    set_option(
        network[1],
        'metrics = ""                 # host:port where',
        f'metrics = "127.0.0.1:{port}" #',
    )
    network[1].stop()
    network[1].start().until_listening()
    await network.until_equal(who=ALL)

    def scrape() -> dict[str, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        rows = (line.split() for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in rows}

    found = await asyncio.to_thread(scrape)
    deadline = time.monotonic() + 30
    while found["wharf_chain_peers"] < 3 and time.monotonic() < deadline:
        await asyncio.sleep(0.2)  # its peers dial it again
        found = await asyncio.to_thread(scrape)
    assert found["wharf_chain_height"] == await network[1].height()
    assert (found["wharf_chain_app_hash_agrees"], found["wharf_chain_node_answers"]) == (1, 1)
    assert found["wharf_chain_peers"] == 3
    assert found["wharf_chain_lag_blocks"] == 0


async def test_a_restored_validator_takes_the_chain_from_the_others_and_cannot_sign_twice(
    network: CometNetwork, tmp_path: Path
) -> None:
    lost, gateway = network[3], Gateway(await network.enrol("restored"))
    own = address_hex(read_node_keys(lost.home).validator_key)
    kept = tmp_path / "kept.tar"
    home = str(lost.home)
    assert wharf("chain", "backup", "--home", home, "-o", str(kept)).returncode == 0
    assert kept.stat().st_mode & 0o777 == 0o600
    for _ in range(3):
        await gateway.anchor(network, 0)
    lost.kill()
    shutil.rmtree(lost.home)
    height = await network[0].height()
    done = wharf("chain", "restore", str(kept), "--home", home, "--height", str(height), "--json")
    assert done.returncode == 0, done.stderr
    guard = json.loads(done.stdout)["signs_only_after_height"]
    assert guard == height + MARGIN_BLOCKS
    lost.start().until_listening()
    await network.until_height(await network[0].height(), who=[3])
    while await network[0].height() < guard + 4:
        await gateway.anchor(network, 0)
    await network.until_equal(who=ALL)
    last = await network[0].height()
    silent = [own in votes_of(network[0], at) for at in range(height + 1, guard + 1)]
    assert not any(silent)
    assert any(own in votes_of(network[0], at) for at in range(guard + 1, last + 1))
    again = wharf("chain", "restore", str(kept), "--home", home, "--height", str(height))
    assert "is not empty" in again.stderr


async def test_what_proofs_need_outlives_the_pruned_blocks(network: CometNetwork) -> None:
    gateway = Gateway(await network.enrol("pruned"))
    await gateway.anchor(network, 0)
    set_option(network[2], "keep_blocks = 0", "keep_blocks = 10")
    network[2].stop()
    network[2].start().until_listening()
    await network.until_equal(who=ALL)
    await change_power(network, 1, 11, at=0)
    changed_at = await network[0].height()
    while await network[0].height() < changed_at + 25:
        await gateway.anchor(network, 0)
    await network.until_equal(who=ALL)
    sync = network[2].rpc.call("status")["sync_info"]
    assert int(sync["earliest_block_height"]) > changed_at
    for at in ALL:
        proven = await gateway.proof(network, at)
        assert proven.validator_count == 4
    await change_power(network, 1, 10, at=2)
    await gateway.anchor(network, 2)
    await gateway.proof(network, 2)
    assert (network[2].home / NODE_FOLDER / "data" / "priv_validator_state.json").exists()
