"""What one dishonest or damaged organisation can do to the others: nothing, but be seen."""

import asyncio
import base64
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consortium.comet.files import NODE_FOLDER, make_node_keys
from consortium.comet.founding import Places, write_config
from consortium.comet.rpc import time_ns
from consortium.config import GENESIS_NAME, read_config
from gateway.demo.ports import free_ports
from ledger.canonical import encode
from tests.fakes import replay
from tests.fakes.anchoring import Gateway
from tests.fakes.comet_network import CometNetwork, Organisation

ALL = (0, 1, 2, 3)
LYING = str(Path(__file__).parents[2] / "fakes" / "lying")
ROOT = Path(__file__).parents[3]


def blocks_of(organisation: Organisation) -> list[dict[str, Any]]:
    """All blocks that its node holds, from height 1."""
    last = int(organisation.rpc.call("status")["sync_info"]["latest_block_height"])
    return [organisation.rpc.call("block", height=str(n))["block"] for n in range(1, last + 1)]


async def test_a_proposer_that_puts_in_junk_is_voted_down(
    network: CometNetwork, tmp_path: Path
) -> None:
    switch = tmp_path / "lie"
    network[3].stop()
    network[3].environment = {"PYTHONPATH": LYING, "WHARF_TEST_LIE": f"propose:{switch}"}
    network[3].start().until_listening()
    gateway = Gateway(await network.enrol("junk"))
    await network.until_equal(who=ALL)
    switch.touch()
    for _ in range(40):
        await gateway.anchor(network, 0)
        if switch.read_text():
            break
    lied_at = [int(word) for word in switch.read_text().split()]
    switch.unlink()
    await gateway.anchor(network, 0)
    assert lied_at
    told = [(network[n].home / "run.log").read_text() for n in (0, 1, 2)]
    assert all(f"proposal_refused height={lied_at[0]} " in log for log in told)
    blocks = {int(block["header"]["height"]): block for block in blocks_of(network[0])}
    assert all("anVuaw==" not in (b["data"]["txs"] or []) for b in blocks.values())
    assert int(blocks[lied_at[0] + 1]["last_commit"]["round"]) > 0, "another had to propose"
    await network.until_equal(who=ALL)


async def test_a_validator_that_signs_two_things_leaves_evidence(
    network: CometNetwork, tmp_path: Path
) -> None:
    """A second machine with the same validator key votes otherwise than the first."""
    switch = tmp_path / "lie"
    switch.touch()
    home = tmp_path / "t"
    home.mkdir(mode=0o700)
    own = network[3].home
    make_node_keys(home)
    for name in ("party_key.pem", "tls_certificate.pem", "tls_key.pem", GENESIS_NAME):
        (home / name).write_bytes((own / name).read_bytes())
        (home / name).chmod(0o600)
    key = Path(NODE_FOLDER) / "config" / "priv_validator_key.json"
    (home / key).write_bytes((own / key).read_bytes())
    server, port = (f"127.0.0.1:{port}" for port in free_ports(2))
    peers = ",".join(
        f"{item.rpc.call('status')['node_info']['id']}@{read_config(item.home).comet.listen}"
        for item in network.organisations[:3]
    )
    write_config(home, party="twin", places=Places(server=server, node=port), peers=peers)
    environment = {"PYTHONPATH": LYING, "WHARF_TEST_LIE": f"refuse:{switch}"}
    twin = Organisation(home, network.genesis, server, **environment).start()
    gateway = Gateway(await network.enrol("twin"))
    try:
        twin.until_listening()
        found: list[Any] = []
        deadline = time.monotonic() + 60
        seen = 1
        while not found and time.monotonic() < deadline:
            await gateway.anchor(network, 0)
            blocks = blocks_of(network[0])[seen - 1 :]
            seen += len(blocks)
            found = [item for block in blocks for item in block["evidence"]["evidence"]]
    finally:
        twin.end()
    assert found, "no evidence in a minute"
    vote = found[0]["value"]["vote_a"]
    public = json.loads((own / key).read_bytes())["address"]
    assert vote["validator_address"] == public
    deadline = time.monotonic() + 10
    while "misbehaviour type=1" not in (network[0].home / "run.log").read_text():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    await network.until_equal(who=ALL)


def tamper(home: Path, *, with_its_hash: bool) -> None:
    """Gives a party of the stored state another name; on request with a root that fits."""
    from consortium.app.state import ChainState
    from consortium.compose import read_genesis
    from consortium.state_store import StateStore
    from ledger.map_tiles import tile_changes

    genesis = read_genesis(home)
    party = genesis.parties[0]
    key = encode(["party", party.party_id])
    value = encode([1, "another", party.alg, party.spki, party.role, genesis.time_ms])
    store = StateStore(home, genesis.digest)
    loaded = store.load()
    assert loaded
    state = replace(loaded[1], map=loaded[1].map.set(key, value))
    assert isinstance(state, ChainState)
    changes = tile_changes(loaded[1].map, state.map, loaded[0])
    with store._env.begin(write=True) as txn:
        top = txn.get(b"top", db=store._meta)
        if with_its_hash:
            store._put_tiles(txn, changes, height=loaded[0])
            txn.put(b"roots", state.roots.app_hash, db=store._meta)
        else:
            txn.put(top, changes.puts[-1][1], db=store._tiles)
    store.close()


@pytest.mark.parametrize(
    ("with_its_hash", "words"),
    [
        (False, "the value is damaged"),
        (True, "end right after their start"),
    ],
)
async def test_a_validator_whose_state_was_tampered_with_refuses_to_run(
    network: CometNetwork, with_its_hash: bool, words: str
) -> None:
    organisation = network[2]
    await network.until_equal(who=ALL)
    organisation.stop()
    kept = organisation.home / "kept"
    store = organisation.home / "chain.store"
    shutil.copytree(store, kept)
    tamper(organisation.home, with_its_hash=with_its_hash)
    log = organisation.home / "run.log"
    log.write_text("")
    organisation.start()
    assert await asyncio.to_thread(organisation.wait, 60) != 0
    assert words in log.read_text()
    shutil.rmtree(store)
    kept.rename(store)
    organisation.start().until_listening()
    await network.until_equal(who=ALL)


def replayed(genesis: Path, blocks: Path) -> list[str]:
    """The application's hash after each block, from a process with another environment."""
    other = {"PYTHONHASHSEED": "4711", "TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8"}
    done = subprocess.run(
        [sys.executable, replay.__file__, str(genesis), str(blocks)],
        env=os.environ | other | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


async def test_the_same_transactions_lead_to_the_same_hashes_in_another_process(
    network: CometNetwork, tmp_path: Path
) -> None:
    gateway = Gateway(await network.enrol("replayed"))
    for at in ALL:
        await gateway.anchor(network, at)
    await network.until_equal(who=ALL)
    blocks = blocks_of(network[1])
    rows = [
        [
            int(block["header"]["height"]),
            time_ns(block["header"]["time"]),
            [base64.b64decode(tx) for tx in block["data"]["txs"] or []],
        ]
        for block in blocks
    ]
    (tmp_path / "blocks").write_bytes(encode(rows))
    hashes = replayed(network[1].home / GENESIS_NAME, tmp_path / "blocks")
    signed = [block["header"]["app_hash"].lower() for block in blocks]
    assert sum(bool(txs) for _, _, txs in rows) > 5
    assert hashes[:-1] == signed[1:]
