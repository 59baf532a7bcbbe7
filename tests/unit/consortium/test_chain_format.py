"""docs/formats/chain.md, held: its examples are what the code makes, its table is the code's."""

import re
from pathlib import Path

from consortium.app.apply import deliver
from consortium.app.refusal import Code
from consortium.app.state import BlockContext, Draft, genesis_state
from consortium.transaction import decode_transaction
from ledger.chain_genesis import decode_genesis
from ledger.chain_proof import AppRoots, decode_log_leaf
from ledger.frontier import Frontier
from ledger.hashing import leaf_hash, sha256

PAGE = (Path(__file__).parents[3] / "docs" / "formats" / "chain.md").read_text()
EXAMPLES = {
    name: bytes.fromhex(text)
    for name, text in re.findall(r"```hex ([\w-]+)\n([0-9a-f\s]+)```", PAGE)
}


def test_the_page_lists_every_outcome_by_number_and_name() -> None:
    listed = re.findall(r"^\| (\d+) \| ([A-Z_]+) \|", PAGE, re.MULTILINE)
    assert listed == [(str(code.value), code.name) for code in Code]


def test_the_genesis_example_has_its_digest_and_its_state() -> None:
    genesis = decode_genesis(EXAMPLES["genesis"])
    assert sha256(EXAMPLES["genesis"]) == EXAMPLES["genesis-sha256"] == genesis.digest
    assert genesis_state(genesis).roots.app_hash == EXAMPLES["app-hash-0"]


def test_the_transaction_example_leads_to_its_leaf_and_hash() -> None:
    genesis = decode_genesis(EXAMPLES["genesis"])
    assert decode_transaction(EXAMPLES["tx"]).tx_id == EXAMPLES["tx-id"]
    leaf = decode_log_leaf(EXAMPLES["log-leaf"])
    draft = Draft(genesis_state(genesis).map, frozenset())
    context = BlockContext(genesis.chain_id, leaf.chain_height, leaf.time_ms)
    result, tx_id = deliver(draft, EXAMPLES["tx"], context)
    assert (Code.ACCEPTED, leaf.tx_id) == (result.code, tx_id)
    assert [leaf.record] == [drafted.record for drafted in draft.records]
    log = Frontier().append(leaf_hash(EXAMPLES["log-leaf"]))
    roots = AppRoots(log.size, log.root(), draft.map.root)
    assert roots.app_hash == EXAMPLES["app-hash-1"]
