"""Another signing key follows the present one: both sign, the chain records it, then it is used.

The transaction is kept before it is sent: whatever breaks off between, the same command goes on
where it stopped. What the chain has accepted it says again ("accepted before").
"""

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from consortium.transaction import KIND_ROTATE
from firmware_bridge.errors import KeyExistsError
from firmware_bridge.keys.registry import KeySigner, create_key, open_signer
from gateway.config import GatewayConfig, parse_config
from gateway.errors import ConfigError, IdentityError, RotationRefusedError
from gateway.identity import (
    LEVEL_DEVELOPMENT,
    LEVEL_HARDWARE_CLAIMED,
    Identity,
    get_identity,
    put_signing_key,
)
from ledger.feed_store import get_value, put_value
from ledger.key_change import KeyChange
from ledger.signing import ES256, Signer, kid_of
from ledger.store import Store, Transaction

PENDING: Final = "rotation"  # meta: [new uri, entry body, transaction], until the chain has it
TO_TELL: Final = "key-change"  # meta: an entry body that the feed does not hold yet
_ACCEPTED: Final = frozenset({0, 6})  # taken now, or before (`consortium.app.refusal`)


class RotationDoor(Protocol):
    """What rotation asks of a chain machine."""

    async def signed(self, signer: Signer, *, kind: int, feed_id: bytes, body: object) -> bytes:
        """A transaction in the gateway's own name."""

    async def submit(self, transaction: bytes) -> tuple[int, str]:
        """(code, text) of the chain's answer; raises ConsortiumError."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """Key ids before and after."""

    old_kid: bytes
    new_kid: bytes


async def rotate(config: GatewayConfig, new_uri: str, door: RotationDoor) -> Rotated:
    """Has the key of this URI follow; makes it if it is not there. The gateway must be stopped.

    Raises IdentityError, RotationRefusedError, KeyHolderErrors, ConsortiumErrors.
    """
    store = Store(config.data_dir / "store")
    try:
        identity = store.read(get_identity)
        new = await _new_key(config, new_uri)
        try:
            if new.kid == kid_of(identity.spki):
                # The chain has it and the store too: only the file was not written any more.
                rotated = Rotated(identity.genesis_kid, new.kid)
            else:
                await _hand_over(store, config, identity, new=(new_uri, new), door=door)
                rotated = Rotated(kid_of(identity.spki), new.kid)
        finally:
            await new.aclose()
    finally:
        store.close()
    write_key_uri(config.path, new_uri)
    return rotated


async def _new_key(config: GatewayConfig, uri: str) -> KeySigner:
    with suppress(KeyExistsError):
        await create_key(uri, alg=ES256, development=config.development)
    return await open_signer(uri, development=config.development)


async def _hand_over(
    store: Store,
    config: GatewayConfig,
    identity: Identity,
    *,
    new: tuple[str, KeySigner],
    door: RotationDoor,
) -> None:
    uri, signer = new
    pending = store.read(lambda txn: get_value(txn, PENDING))
    if pending is None or pending[0] != uri:
        pending = [uri, *await _prepared(config, identity, signer, door)]
        store.write(lambda txn: put_value(txn, PENDING, pending))
    _, body, transaction = pending
    code, text = await door.submit(transaction)
    if code not in _ACCEPTED:
        store.write(lambda txn: put_value(txn, PENDING, None))
        raise RotationRefusedError(code, text)
    level = body[5]

    def take_over(txn: Transaction) -> None:
        put_signing_key(txn, alg=signer.alg, spki=signer.public_key_der(), level=level)
        put_value(txn, TO_TELL, body)
        put_value(txn, PENDING, None)

    store.write(take_over)


async def _prepared(
    config: GatewayConfig, identity: Identity, new: KeySigner, door: RotationDoor
) -> tuple[list[Any], bytes]:
    """The entry's body and the transaction, signed by both keys."""
    level = LEVEL_HARDWARE_CLAIMED if new.info.hardware else LEVEL_DEVELOPMENT
    old = await open_signer(config.key_uri, development=config.development)
    try:
        if old.public_key_der() != identity.spki:
            raise IdentityError(
                "the key that the configuration names is not this feed's: put the right token "
                "in. A lost key cannot be followed: revoke the gateway, and enrol the box anew"
            )
        bare = KeyChange(
            feed_id=identity.feed_id,
            old_kid=old.kid,
            alg=new.alg,
            spki=new.public_key_der(),
            level=min(level, identity.level),  # only the party may say that it rests on more
        )
        change = await bare.signed(old, new)
        body = [
            1, change.feed_id, change.alg, change.spki, change.level,
            change.old_signature, change.new_signature,
        ]  # fmt: skip  # in the order of the format
        feed_id = identity.feed_id
        signed = await door.signed(old, kind=KIND_ROTATE, feed_id=feed_id, body=body)
        return change.to_body(), signed
    finally:
        await old.aclose()


def write_key_uri(path: Path, uri: str) -> None:
    """Writes the key's URI into a configuration, whole or not at all; all else stays as it is.

    Raises ConfigError where the file has no such line.
    """
    text = with_key_uri(path.read_text(encoding="utf-8"), uri, path)
    parse_config(text, path)
    partial = path.with_name(f".{path.name}.new")
    with partial.open("w", encoding="utf-8") as file:
        partial.chmod(path.stat().st_mode & 0o777)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def with_key_uri(text: str, uri: str, path: Path) -> str:
    """The configuration's text with another `uri` in its table [key]."""
    lines, inside = text.splitlines(keepends=True), False
    for number, line in enumerate(lines):
        if line.lstrip().startswith("["):
            inside = line.split("#")[0].strip() == "[key]"
        found = re.match(r"""(\s*uri\s*=\s*)("[^"]*"|'[^']*')(.*)""", line, re.DOTALL)
        if inside and found:
            lines[number] = f'{found[1]}"{uri}"{found[3]}'
            return "".join(lines)
    raise ConfigError(path, None, "uri", f"no such line in [key]; write it yourself: {uri}")
