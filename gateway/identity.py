"""Who this gateway is: made once by `wharf gateway init`, kept in the store, checked at every
start.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.config import AudienceConfig, GatewayConfig
from gateway.errors import IdentityError, NotInitialisedError
from ledger.entry import (
    CONTROL_SLOT,
    FEED_ID_BYTES,
    KIND_GENESIS,
    QUALITY_NONE,
    Entry,
    GTime,
    decode_entry,
    encode_entry,
    feed_id_of,
)
from ledger.feed_store import get_value, put_value
from ledger.mirror import accept_grant
from ledger.sealed import KEY_BYTES, Grant, seal_grant
from ledger.sealer import AudienceKey
from ledger.signing import kid_of
from ledger.store import Transaction

GENESIS_VERSION: Final = 1
IDENTITY_VERSION: Final = 1
LEVEL_DEVELOPMENT: Final = 0
LEVEL_HARDWARE_CLAIMED: Final = 1
FIRST_KEY_EPOCH: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The gateway's genesis entry and its present key. `level`: 0 development, 1 hardware
    claimed.
    """

    genesis_entry: bytes
    alg: int
    spki: bytes
    level: int

    @property
    def genesis_kid(self) -> bytes:
        """Key id of the key that the feed began with; the present one may be another."""
        body = decode_entry(self.genesis_entry).body
        return kid_of(body[3])

    @property
    def feed_id(self) -> bytes:
        """The feed's name, 16 bytes."""
        return feed_id_of(self.genesis_entry)


def new_identity(config: GatewayConfig, *, alg: int, spki: bytes, level: int) -> Identity:
    """A fresh identity: 16 random bytes make the feed's name unique for ever."""
    body = [
        GENESIS_VERSION, os.urandom(FEED_ID_BYTES), alg, spki, config.party, config.name, level,
    ]  # fmt: skip  # one line reads as the format does
    entry = Entry(KIND_GENESIS, CONTROL_SLOT, GTime(0, 0, None, QUALITY_NONE, 0), 0, body)
    return Identity(genesis_entry=encode_entry(entry), alg=alg, spki=spki, level=level)


def put_identity(txn: Transaction, identity: Identity) -> None:
    """Keeps the identity; raises IdentityError if the store has one already."""
    if get_value(txn, "identity") is not None:
        raise IdentityError("this data directory holds a gateway already; it is never overwritten")
    value = [
        IDENTITY_VERSION, identity.genesis_entry, identity.alg, identity.spki, identity.level,
    ]  # fmt: skip  # one line reads as the format does
    put_value(txn, "identity", value)


def get_identity(txn: Transaction) -> Identity:
    """The identity; raises NotInitialisedError where there is none."""
    value = get_value(txn, "identity")
    if value is None:
        raise NotInitialisedError("no gateway here yet; run `wharf gateway init` first")
    _, genesis_entry, alg, spki, level = value
    followed = get_value(txn, "signing-key")
    if followed is not None:
        _, alg, spki, level = followed
    return Identity(genesis_entry=genesis_entry, alg=alg, spki=spki, level=level)


def put_signing_key(txn: Transaction, *, alg: int, spki: bytes, level: int) -> None:
    """Has another key follow the one that the feed began with."""
    put_value(txn, "signing-key", [IDENTITY_VERSION, alg, spki, level])


def next_boot(txn: Transaction, boot_id: str) -> int:
    """The boot number: one more whenever the kernel booted anew, so that (boot, mono)
    keeps order.
    """
    held = get_value(txn, "boot")
    if held is not None and held[1] == boot_id:
        number: int = held[0]
        return number
    number = held[0] + 1 if held else 1
    put_value(txn, "boot", [number, boot_id])
    return number


def audience_keys(
    txn: Transaction, identity: Identity, audiences: Mapping[int, AudienceConfig]
) -> dict[int, AudienceKey]:
    """The key of each audience that is or ever was configured, made at first use, with a grant for
    each reader that has none.
    """
    feed = (identity.feed_id, 0)
    keys = {}
    for audience in audiences.values():
        place = audience.id.to_bytes(2, "big") + FIRST_KEY_EPOCH.to_bytes(4, "big")
        key = txn.get("audience_keys", place)
        if key is None:
            key = os.urandom(KEY_BYTES)
            txn.put("audience_keys", place, key)
        grant = Grant(
            feed_id=identity.feed_id, audience=audience.id, key_epoch=FIRST_KEY_EPOCH, key=key
        )
        for reader in audience.readers:
            name = f"granted-{audience.id}-{FIRST_KEY_EPOCH}-{reader.hex()}"
            if get_value(txn, name) is None:
                accept_grant(
                    txn,
                    feed,
                    audience=audience.id,
                    key_epoch=FIRST_KEY_EPOCH,
                    sealed=seal_grant(grant, reader),
                )
                put_value(txn, name, 1)
        keys[audience.id] = AudienceKey(key_epoch=FIRST_KEY_EPOCH, key=key)
    # An audience that is configured no more still has slots, and every block ends them.
    for place, key in txn.scan("audience_keys", b""):
        held = AudienceKey(key_epoch=int.from_bytes(place[2:], "big"), key=key)
        keys.setdefault(int.from_bytes(place[:2], "big"), held)
    return keys
