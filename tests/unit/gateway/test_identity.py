from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config import AudienceConfig, GatewayConfig
from gateway.errors import IdentityError, NotInitialisedError
from gateway.identity import (
    Identity,
    audience_keys,
    get_identity,
    new_identity,
    next_boot,
    put_identity,
)
from ledger.entry import KIND_GENESIS, decode_entry, feed_id_of
from ledger.mirror import grants_of
from ledger.sealed import open_grant, reader_public
from ledger.store import Store
from tests.fakes.gateway_parts import MAP_BYTES

CONFIG = GatewayConfig(
    path=Path("gateway.toml"),
    name="cold-room",
    party="Cold Store Ltd",
    data_dir=Path("data"),
    development=True,
    key_uri="file:key.pem",
)
SECRETS = [bytes([number]) * 32 for number in (1, 2, 3)]


def made(config: GatewayConfig = CONFIG) -> Identity:
    return new_identity(config, alg=-7, spki=b"spki", level=0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path, map_bytes=MAP_BYTES)
    yield opened
    opened.close()


def audience(number: int, *secrets: bytes) -> AudienceConfig:
    readers = tuple(reader_public(secret) for secret in secrets)
    return AudienceConfig(id=number, name="goods", readers=readers)


def test_the_feed_is_named_by_its_genesis_entry_which_holds_key_and_names() -> None:
    identity = made()
    entry = decode_entry(identity.genesis_entry)
    assert (KIND_GENESIS, 0, 0) == (entry.kind, entry.slot, entry.srcseq)
    assert [-7, b"spki", "Cold Store Ltd", "cold-room", 0] == entry.body[2:]
    assert feed_id_of(identity.genesis_entry) == identity.feed_id


def test_two_gateways_of_one_name_and_key_are_two_feeds() -> None:
    assert made().feed_id != made().feed_id


def test_an_identity_is_kept_and_never_overwritten(store: Store) -> None:
    with pytest.raises(NotInitialisedError, match="wharf gateway init"):
        store.read(get_identity)
    identity = made()
    store.write(lambda txn: put_identity(txn, identity))
    with pytest.raises(IdentityError, match="never overwritten"):
        store.write(lambda txn: put_identity(txn, made()))
    assert identity == store.read(get_identity)


def test_the_boot_number_rises_with_each_boot_of_the_kernel_and_with_nothing_else(
    store: Store,
) -> None:
    boots = [store.write(lambda txn, b=b: next_boot(txn, b)) for b in ("a", "a", "b", "b", "a")]  # type: ignore[misc]  # bound now
    assert [1, 1, 2, 2, 3] == boots


def test_each_reader_is_granted_the_audiences_key_once(store: Store) -> None:
    identity, goods = made(), audience(1, *SECRETS[:2])
    first = store.write(lambda txn: audience_keys(txn, identity, {1: goods}))
    again = store.write(lambda txn: audience_keys(txn, identity, {1: goods}))
    grants = store.read(lambda txn: grants_of(txn, (identity.feed_id, 0)))
    assert (first, 2) == (again, len(grants))
    for secret in SECRETS[:2]:
        opened = [grant for grant in (open_grant(sealed, secret) for sealed in grants) if grant]
        assert [first[1].key] == [grant.key for grant in opened]
        assert (identity.feed_id, 1) == (opened[0].feed_id, opened[0].audience)
    assert not any(open_grant(sealed, SECRETS[2]) for sealed in grants)


def test_a_reader_may_be_added_later(store: Store) -> None:
    identity = made()
    store.write(lambda txn: audience_keys(txn, identity, {1: audience(1, *SECRETS[:2])}))
    keys = store.write(lambda txn: audience_keys(txn, identity, {1: audience(1, *SECRETS)}))
    grants = store.read(lambda txn: grants_of(txn, (identity.feed_id, 0)))
    opened = [grant for grant in (open_grant(sealed, SECRETS[2]) for sealed in grants) if grant]
    assert (3, [keys[1].key]) == (len(grants), [grant.key for grant in opened])


def test_audiences_have_keys_of_their_own(store: Store) -> None:
    audiences = {number: audience(number, *SECRETS[:2]) for number in (1, 2)}
    keys = store.write(lambda txn: audience_keys(txn, made(), audiences))
    assert keys[1].key != keys[2].key
