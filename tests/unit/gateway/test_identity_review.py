from pathlib import Path

from gateway.config import AudienceConfig
from gateway.identity import Identity, audience_keys
from ledger.entry import KIND_GENESIS, QUALITY_NONE, Entry, GTime, encode_entry
from ledger.store import Store, is_in_use

GENESIS = encode_entry(Entry(KIND_GENESIS, 0, GTime(0, 0, None, QUALITY_NONE, 0), 0, [1]))
IDENTITY = Identity(genesis_entry=GENESIS, alg=-7, spki=b"key", level=0)


def test_an_audience_that_is_configured_no_more_keeps_its_key(tmp_path: Path) -> None:
    """Its slots are in every block to come: without the key nothing could be cut any more."""
    store = Store(tmp_path)
    both = {n: AudienceConfig(id=n, name="a", readers=()) for n in (1, 2)}
    first = store.write(lambda txn: audience_keys(txn, IDENTITY, both))
    second = store.write(lambda txn: audience_keys(txn, IDENTITY, {2: both[2]}))
    store.close()
    assert second == first


def test_a_store_is_in_use_only_while_a_program_has_it_open(tmp_path: Path) -> None:
    assert not is_in_use(tmp_path / "none")
    store = Store(tmp_path)
    assert is_in_use(tmp_path)
    store.close()
    assert not is_in_use(tmp_path)
