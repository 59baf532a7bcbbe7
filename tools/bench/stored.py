"""Bytes that a reading takes for ever: of the published sensors, and of the recorded captures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from firmware_bridge.captures import Capture, load
from firmware_bridge.codecs.probe import decode_w1_slave, encode_w1_slave
from firmware_bridge.devices import Arrival, DeviceSpec, Observation
from firmware_bridge.driver import Event, Moment
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
PROBE = DeviceSpec(id="office", driver="ds18b20", source="w1:/dev/null", interval_ms=3_600_000)
TEMPERATURES = "temperature/nab_ambient_temperature_system_failure.csv"
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
    return [sensors(session), *captures(session)]


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


def captures(session: Session) -> list[Figure]:
    """Bytes stored of the recordings beside the bytes that the devices sent."""
    folder = Path(os.environ.get("WHARF_CAPTURES", CAPTURES))
    if not folder.is_dir():
        raise BenchError(f"no recordings in {folder}: name their folder in WHARF_CAPTURES")
    found = [item for item in load(folder) if find_driver(item.codec).is_stream]
    short = _kept(session, folder, found, series=False)
    whole = _kept(session, folder, found, series=True)
    peer = "bytes as they arrived"
    return [
        Figure(
            name="stored of the captures", unit="bytes", ours=whole[:1], peer=peer,
            theirs=whole[1:], goal=ratio_at_most(0.15),
            note="receivers' lines, and the office's temperatures as a probe's file tells them",
        ),
        Figure(
            name="stored of the receivers' lines alone", unit="bytes", ours=short[:1], peer=peer,
            theirs=short[1:], note="some seconds of four receivers: a block's own bytes weigh most",
        ),
    ]  # fmt: skip  # a figure a block


def _kept(
    session: Session, folder: Path, found: Sequence[Capture], *, series: bool
) -> tuple[float, float]:
    """(bytes stored, bytes that arrived) of the recordings, with or without the temperatures."""
    durable, sensors = OwnFiles(session.fresh_folder("captures")), Sensors()
    specs = {item.spec(folder).id: item.spec(folder) for item in found} | {PROBE.id: PROBE}
    path = LedgerPath(durable, Line(sensors, specs), block_entries=1 << 62)
    arrived = sum(_replay(path, sensors, item, folder) for item in found)
    if series:
        arrived += _probe(path, sensors, folder / TEMPERATURES)
    path.seal()
    held = held_bytes(durable.store)
    path.close()
    durable.close()
    return float(held), float(arrived)


def _probe(path: LedgerPath, sensors: Sensors, file: Path) -> int:
    """The series, hour by hour, as a DS18B20 rounds it; how many bytes the kernel gave."""
    arrived = 0
    for line in file.read_text(encoding="ascii").splitlines()[1:]:
        celsius = (float(line.partition(",")[2]) - 32) / 1.8
        text = encode_w1_slave(round(celsius * 16)).encode()
        sensors.mono_us += 3_600_000_000
        _take_in(path, PROBE.id, decode_w1_slave(text), sensors.mono_us)
        arrived += len(text)
    return arrived


def _replay(path: LedgerPath, sensors: Sensors, item: Capture, folder: Path) -> int:
    """Takes a recording in, one second of its line at a time; how many bytes it has."""
    spec, data = item.spec(folder), without_comments((folder / item.file).read_bytes())
    driver = find_driver(item.codec).open({})
    driver.turn(Moment())
    step = item.baud // 10  # eight bits between a start bit and a stop bit
    for at in range(0, len(data), step):
        sensors.mono_us += 1_000_000
        events = driver.feed(data[at : at + step], Moment(mono_ms=sensors.mono_us // 1000))
        _take_in(path, spec.id, events, sensors.mono_us)
    return len(data)


def _take_in(path: LedgerPath, device: str, events: Iterable[Event], mono_us: int) -> None:
    seen = tuple(event for event in events if isinstance(event, Observation))
    if seen:
        arrival = Arrival(
            device_id=device, observations=seen, rejected=(), received_mono_us=mono_us
        )
        path.take_in([arrival])
