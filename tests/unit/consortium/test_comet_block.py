import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from consortium.comet_block import (
    CommitSignature,
    LastCommit,
    block_bytes,
    block_id_of,
    consensus_hash,
    data_hash,
    results_hash,
)
from ledger.comet import BlockId, ChainHeader

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "cometbft.json").read_text())
CHAINS = [VECTORS["one"], VECTORS["four"]]
PLACES = [(chain, at) for chain in CHAINS for at in range(len(chain))]


def time_ns(text: str) -> int:
    seconds, nanos = text.split("+")
    return int(seconds) * 1_000_000_000 + int(nanos)


def block_id(value: dict[str, Any]) -> BlockId:
    return BlockId(bytes.fromhex(value["hash"]), value["total"], bytes.fromhex(value["parts_hash"]))


def header(value: dict[str, Any]) -> ChainHeader:
    hashes = {name: bytes.fromhex(text) for name, text in value.items() if name.endswith("_hash")}
    return ChainHeader(
        block_version=value["version_block"],
        app_version=value["version_app"],
        chain_id=value["chain_id"],
        height=value["height"],
        time_ns=time_ns(value["time"]),
        last_block_id=block_id(value["last_block_id"]),
        proposer_address=bytes.fromhex(value["proposer_address"]),
        **hashes,
    )


def commit(value: dict[str, Any]) -> LastCommit:
    signatures = tuple(
        CommitSignature(
            item["flag"],
            bytes.fromhex(item["address"]),
            time_ns(item["time"]),
            bytes.fromhex(item["signature"]),
        )
        for item in value["signatures"]
    )
    return LastCommit(value["height"], value["round"], block_id(value["block_id"]), signatures)


def transactions(block: dict[str, Any]) -> list[bytes]:
    return [
        bytes(int(text.split(":")[1])) if ":" in text else bytes.fromhex(text)
        for text in block["txs"]
    ]


@pytest.mark.parametrize(("chain", "at"), PLACES)
def test_a_block_has_cometbfts_bytes_parts_and_id(chain: list[dict[str, Any]], at: int) -> None:
    last = commit(chain[at - 1]["commit"]) if at else LastCommit()
    block, txs = chain[at], transactions(chain[at])
    encoded = block_bytes(header(block["header"]), txs, last)
    assert (block["block_bytes"], block["block_sha256"]) == (
        len(encoded),
        sha256(encoded).hexdigest(),
    )
    assert block_id(block["block_id"]) == block_id_of(header(block["header"]), txs, last)


@pytest.mark.parametrize(("chain", "at"), PLACES)
def test_hashes_of_data_results_and_commit_are_cometbfts(
    chain: list[dict[str, Any]], at: int
) -> None:
    block = chain[at]
    assert block["header"]["data_hash"].lower() == data_hash(transactions(block)).hex()
    assert block["commit"]["hash"].lower() == commit(block["commit"]).hash.hex()
    if not any(item["gas_used"] for item in block["results"]):
        results = [(item["code"], bytes.fromhex(item["data"])) for item in block["results"]]
        assert block["results_hash"] == results_hash(results).hex()


@pytest.mark.parametrize("known", VECTORS["params"])
def test_consensus_parameters_are_hashed_as_cometbft_does(known: dict[str, Any]) -> None:
    own = consensus_hash(block_bytes_max=known["max_bytes"], gas_max=known["max_gas"])
    assert known["hash"] == own.hex()
