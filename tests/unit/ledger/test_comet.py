import json
from pathlib import Path
from typing import Any

import pytest

from ledger.comet import (
    BlockId,
    ChainHeader,
    Validator,
    in_set_order,
    uvarint,
    validator_set_hash,
    vote_sign_bytes,
)

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "cometbft.json").read_text())
BLOCKS = VECTORS["one"] + VECTORS["four"]


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


@pytest.mark.parametrize("block", BLOCKS)
def test_a_header_has_the_hash_that_cometbft_gives_it(block: dict[str, Any]) -> None:
    assert block["header"]["hash"].lower() == header(block["header"]).hash.hex()


def test_the_first_header_has_an_empty_last_block_id() -> None:
    assert BlockId() == header(VECTORS["one"][0]["header"]).last_block_id


@pytest.mark.parametrize("vote", VECTORS["sign_bytes"])
def test_a_vote_is_signed_over_cometbfts_own_bytes(vote: dict[str, Any]) -> None:
    signed = vote_sign_bytes(
        chain_id=vote["chain_id"],
        height=vote["height"],
        round_=vote["round"],
        block_id=block_id(vote["block_id"]),
        time_ns=time_ns(vote["time"]),
    )
    assert vote["sign_bytes"] == signed.hex()


@pytest.mark.parametrize("known", VECTORS["validator_sets"])
def test_a_validator_set_has_cometbfts_order_addresses_and_hash(known: dict[str, Any]) -> None:
    given = [Validator(bytes.fromhex(row["key"]), row["power"]) for row in known["given"]]
    ordered = in_set_order(given)
    assert [row["address"].lower() for row in known["rows"]] == [v.address.hex() for v in ordered]
    assert known["hash"] == validator_set_hash(ordered).hex()


def test_a_negative_number_takes_ten_bytes_as_protobuf_writes_it() -> None:
    assert bytes.fromhex("ffffffffffffffffff01") == uvarint(-1)
