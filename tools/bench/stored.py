"""Bytes that a reading takes for ever: of the published sensors, and of the recorded captures."""

from __future__ import annotations

import os
from pathlib import Path

from firmware_bridge.captures import Capture, load
from firmware_bridge.devices import Arrival, Observation
from firmware_bridge.driver import Moment
from firmware_bridge.driver_registry import find_driver
from firmware_bridge.transports.replay import without_comments
from ledger.store import CHECKSUM_BYTES, Store
from tools.bench.durable import OwnFiles
from tools.bench.figure import Figure, at_most, ratio_at_most
from tools.bench.load import SENSORS, Line, Sensors
from tools.bench.path import LedgerPath
from tools.bench.sealed_feed import sealed_feed
from tools.bench.session import BenchError, Session

BLOCK_READINGS, BLOCKS = 8192, 3
# What a block and its head are; slots, keys and the like are held once for all blocks.
TABLES = ("headers", "run_heads", "run_bodies", "ciphertexts", "heads", "nodes")
CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "captures"


def held_bytes(store: Store) -> int:
    """Keys, values and checksums of all blocks and heads."""
    return store.read(
        lambda txn: sum(
            len(key) + len(value) + CHECKSUM_BYTES
            for table in TABLES
            for key, value in txn.scan(table, b"")
        )
    )


def measure(session: Session) -> list[Figure]:
    """The same every time on every machine, but for what depends on random keys."""
    return [sensors(session), captures(session)]


def sensors(session: Session) -> Figure:
    """Bytes a reading in blocks of 8,192, over blocks behind the first."""
    folder = session.fresh_folder("sensors")
    feed = sealed_feed(folder, blocks=BLOCKS, block_readings=BLOCK_READINGS)
    cuts = [made for made in feed.path.cuts if made.block.header.height]
    held, readings = held_bytes(feed.durable.store), BLOCKS * BLOCK_READINGS
    plain = sum(run.body.plain_bytes for made in cuts for run in made.block.runs)
    feed.close()
    return Figure(
        name=f"stored of {SENSORS} sensors in blocks of {BLOCK_READINGS:,}", unit="bytes a reading",
        ours=(held / readings,), peer="the entries in clear", theirs=(plain / readings,),
        goal=at_most(12), note="encrypted, with proofs, heads and checksums",
    )  # fmt: skip  # a figure a block


def captures(session: Session) -> Figure:
    """Bytes stored of the recordings beside the bytes that the devices sent, in one block."""
    folder = Path(os.environ.get("WHARF_CAPTURES", CAPTURES))
    if not folder.is_dir():
        raise BenchError(f"no recordings in {folder}: name their folder in WHARF_CAPTURES")
    durable, sensors = OwnFiles(session.fresh_folder("captures")), Sensors()
    found = [item for item in load(folder) if find_driver(item.codec).is_stream]
    line = Line(sensors, {item.spec(folder).id: item.spec(folder) for item in found})
    path = LedgerPath(durable, line, block_entries=1 << 62)
    arrived = sum(_replay(path, sensors, item, folder) for item in found)
    path.seal()
    held = held_bytes(durable.store)
    path.close()
    durable.close()
    return Figure(
        name="stored of the captures", unit="bytes", ours=(float(held),),
        peer="bytes as they arrived", theirs=(float(arrived),), goal=ratio_at_most(0.15),
        note=f"{len(found)} recordings of receivers, all in one block",
    )  # fmt: skip  # a figure a block


def _replay(path: LedgerPath, sensors: Sensors, item: Capture, folder: Path) -> int:
    """Takes a recording in, one second of its line at a time; how many bytes it has."""
    spec, data = item.spec(folder), without_comments((folder / item.file).read_bytes())
    driver = find_driver(item.codec).open({})
    driver.turn(Moment())
    step = item.baud // 10  # eight bits between a start bit and a stop bit
    for at in range(0, len(data), step):
        sensors.mono_us += 1_000_000
        events = driver.feed(data[at : at + step], Moment(mono_ms=sensors.mono_us // 1000))
        seen = tuple(event for event in events if isinstance(event, Observation))
        arrival = Arrival(
            device_id=spec.id, observations=seen, rejected=(), received_mono_us=sensors.mono_us
        )
        if seen:
            path.take_in([arrival])
    return len(data)
