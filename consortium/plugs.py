"""What `wharf chain run` plugs into the bare chain machine: store of others' feeds, gossip,
proofs.
"""

import os
from pathlib import Path
from typing import Any, Final

from consortium.compose import NodeParts, Plugins
from consortium.errors import ConfigError
from consortium.feeds import FeedRoom
from consortium.file_keys import write_private
from consortium.proving import Prover
from consortium.transaction import fields
from ledger.opening import OpenedRun
from ledger.proof_bundle import Request
from ledger.sealed import KEY_BYTES, reader_public
from ledger.store import Store

READER_KEY_NAME: Final = "reader_key"
FEEDS_NAME: Final = "ledger.store"


def reader_secret(home: Path) -> bytes:
    """The X25519 secret by which this machine opens grants; made at first use."""
    path = home / READER_KEY_NAME
    if not path.exists():
        write_private(path, os.urandom(KEY_BYTES).hex().encode() + b"\n")
    try:
        secret = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if len(secret) != KEY_BYTES:
        raise ConfigError(f"{path}: not {KEY_BYTES} bytes in hexadecimal")
    return secret


def reader_key(home: Path) -> bytes:
    """The public key that gateways grant to, 32 bytes."""
    return reader_public(reader_secret(home))


async def plug_in(parts: NodeParts) -> Plugins:
    """The plug-ins of a chain machine, open and ready."""
    home = parts.config.home
    store = Store(home / FEEDS_NAME)
    room = FeedRoom(store, parts.node, reader_secret=reader_secret(home), on_opened=_not_kept)
    room.on_change(parts.poke)
    prover = Prover(room, parts.node)

    async def prove(request: list[Any]) -> object:
        device_id, channel, from_ms, to_ms = fields(request, str, (str, type(None)), int, int)
        asked = Request(device_id=device_id, channel=channel, from_ms=from_ms, to_ms=to_ms)
        return await prover.prove(asked)

    async def aclose() -> None:
        store.close()

    return Plugins(
        gossip=room,
        heads=room,
        statements=room,
        operator_methods={"Prove": prove},
        tasks=[room.open_runs],
        aclose=aclose,
    )


def _not_kept(opened: OpenedRun) -> None:
    del opened
