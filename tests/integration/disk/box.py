"""A gateway on a data folder of the test's choice, driven step by step, and what it holds."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from firmware_bridge.devices import Arrival
from gateway.compose import Opened, open_gateway
from gateway.config import GatewayConfig, read_config
from gateway.init import Wish, initialise
from gateway.service import Parts
from ledger.entry import KIND_GAP, KIND_TELEMETRY, Entry
from ledger.feed_store import FeedName, get_run, get_state, need_header, newest_head
from ledger.fsck import check_folder
from ledger.hashing import sha256
from ledger.opening import open_run
from ledger.sealed import place_of, reader_public, run_key
from ledger.signing import Signer
from ledger.store import Transaction
from tests.fakes.gateway_parts import arrival, celsius

AUDIENCE: Final = 1
GROUP_MAX: Final = 200  # the marks of a group have to fit into a small segment
KEPT, UNKEPT = "fridge", "probe"
_CONFIG: Final = """\
[gateway]
name = "box"
party = "Harbour"
data_dir = "{data_dir}"
development = true
[key]
uri = "file:{key}"
[status]
port = 0
[[audience]]
id = 1
name = "goods"
readers = ["{reader}"]
[[device]]
id = "fridge"
driver = "zigbee2mqtt"
source = "mqtt:zigbee2mqtt/fridge"
audience = 1
[[device]]
id = "probe"
driver = "ds18b20"
source = "w1:/sys/bus/w1/devices/28-0/w1_slave"
interval_s = 10
audience = 1
"""


async def make_box(folder: Path, data_dir: Path) -> GatewayConfig:
    """A gateway that never ran; configuration and key lie beside its data."""
    path = folder / "gateway.toml"
    reader = reader_public(sha256(b"reader")).hex()
    text = _CONFIG.format(data_dir=data_dir, key=folder / "key.pem", reader=reader)
    path.write_text(text)
    wish = Wish(
        config_path=path,
        name="box",
        party="Harbour",
        data_dir=data_dir,
        key_uri=None,
        development=True,
        address=None,
        certificate=None,
        genesis_sha256=None,
        readers=(),
    )
    await initialise(wish)
    return read_config(path)


def at(config: GatewayConfig, data_dir: Path) -> GatewayConfig:
    """The same gateway on another copy of its data."""
    return replace(config, data_dir=data_dir)


Note = Callable[..., None]


class _NotingSigner:
    """Tells when the key is asked, and for what."""

    def __init__(self, signer: Signer, note: Callable[[], None]) -> None:
        self._signer, self._note = signer, note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._signer, name)

    async def sign(self, tbs: bytes) -> bytes:
        self._note()
        return await self._signer.sign(tbs)


class Session:
    """A gateway that accepts readings; blocks and heads are made when asked."""

    def __init__(self, opened: Opened, note: Note) -> None:
        self.opened, self.parts, self._note = opened, opened.parts, note
        self.intake = asyncio.create_task(self.parts.intake.run())

    def message(self, value: int) -> Arrival:
        """A message of the broker; its acknowledgement is noted."""
        return arrival(
            celsius(value),
            device=KEPT,
            mono_us=self.parts.clock.mono_us(),
            qos=1,
            payload_digest=sha256(b"%d" % value)[:16],
            acknowledge=lambda: self._note("ack", value),
        )

    async def take(self, *values: int) -> None:
        """So many messages, durable and acknowledged when this returns; raises what ended it."""
        for start in range(0, len(values), GROUP_MAX):
            for value in values[start : start + GROUP_MAX]:
                await self.parts.intake.put(self.message(value))
            await self.drained()

    async def drained(self) -> None:
        drain = asyncio.create_task(self.parts.intake.drain())
        await asyncio.wait([drain, self.intake], return_when=asyncio.FIRST_COMPLETED)
        if self.intake.done():
            drain.cancel()
            self.intake.result()

    async def block(self) -> None:
        """Cuts and signs."""
        await self.parts.cutter.cut_all()
        signer = await self.parts.open_signer()
        try:
            claim = await self.parts.signer._next_claim(signer)
            while claim is not None:
                place = (claim.height, claim.digest)
                noting: Any = _NotingSigner(signer, lambda p=place: self._note("asked", *p))  # type: ignore[misc]  # bound now
                await self.parts.signer.sign(noting, claim)
                self._note("head", *place)
                claim = await self.parts.signer._next_claim(signer)
        finally:
            await signer.aclose()


@asynccontextmanager
async def session(config: GatewayConfig, note: Note = lambda *_: None) -> AsyncIterator[Session]:
    opened = open_gateway(config, [])
    made = Session(opened, note)
    try:
        yield made
    finally:
        made.intake.cancel()
        await asyncio.wait([made.intake])
        opened.close()


@dataclass(frozen=True, slots=True)
class Held:
    """Readings in blocks and pending, gap bodies with their slots, heads by height."""

    values: Counter[int]
    gaps: list[tuple[int, list[Any]]]
    heads: dict[int, bytes]


def held(parts: Parts) -> Held:
    """What an open gateway holds."""
    feed = (parts.feed_id, 0)
    entries = parts.store.read(lambda txn: _sealed(txn, feed))
    entries += [item.entry for item in parts.intake.pending]
    heads = parts.store.read(lambda txn: _heads(txn, feed))
    return Held(
        Counter(entry.body[1] for entry in entries if entry.kind == KIND_TELEMETRY),
        [(entry.slot, entry.body) for entry in entries if entry.kind == KIND_GAP],
        heads,
    )


def _heads(txn: Transaction, feed: FeedName) -> dict[int, bytes]:
    from ledger.feed_store import get_head

    newest = newest_head(txn, feed)
    rows = {}
    for height in range(newest.claim.height + 1 if newest else 0):
        head = get_head(txn, feed, height)
        if head is not None:
            rows[height] = head.claim.digest
    return rows


def _sealed(txn: Transaction, feed: FeedName) -> list[Entry]:
    state = get_state(txn, feed)
    place = AUDIENCE.to_bytes(2, "big") + bytes(4)
    key = txn.get("audience_keys", place)
    entries: list[Entry] = []
    for height in range(state.height if state else 0):
        header = need_header(txn, feed, height)
        run = get_run(txn, feed, height=height, audience=AUDIENCE)
        if run is None or key is None:
            continue
        where = place_of(header, audience=AUDIENCE, key_epoch=run.head.key_epoch)
        opened = open_run(
            header=header,
            audience=AUDIENCE,
            head=run.head,
            body=run.body,
            ciphertext=run.ciphertext,
            key=run_key(key, run.body.run_salt, where),
        )
        entries += opened.entries
    return entries


def differences(data_dir: Path) -> list[str]:
    """What `wharf`'s own check of store and journal finds; the gateway must be closed."""
    return [str(found) for found in check_folder(data_dir).found]
