"""What is measured with: sensors of a published seed, the same bytes on every machine and day."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from firmware_bridge.devices import Arrival, DeviceSpec, Observation
from firmware_bridge.drivers.zigbee2mqtt import decode_zigbee2mqtt
from gateway.clock import TimeModel, WallReading
from gateway.entry_maker import EntryMaker
from gateway.slots import SlotBook
from ledger.entry import CONTROL_SLOT, KIND_GENESIS, QUALITY_NONE, Entry, GTime, encode_entry
from ledger.hashing import sha256

SEED: Final = 20261123
SENSORS: Final = 40
AUDIENCE: Final = 1
INTERVAL_US: Final = 10_000_000
START_US: Final = 1_795_413_600_000_000  # 2026-11-23 06:00 UTC
NTP_POLL_US: Final = 1_024_000_000
DRIFT_PPM: Final = 500  # how fast the kernel lets its own error bound grow


@dataclass(frozen=True, slots=True)
class Delivery:
    """One MQTT message of a sensor and when it came."""

    device_id: str
    payload: bytes
    mono_us: int


class Sensors:
    """Thermometers that report every ten seconds, each a walk in hundredths of a degree.

    A message comes up to 200 ms after its turn; the clock is disciplined by NTP, read with a
    microsecond of scatter, and its error bound grows between polls as the kernel's does.
    """

    def __init__(self, seed: int = SEED, count: int = SENSORS) -> None:
        self._random = random.Random(seed)  # noqa: S311  # the same numbers everywhere are wanted
        self._centi = [400 + self._random.randrange(1600) for _ in range(count)]
        self._phase_us = sorted(self._random.randrange(INTERVAL_US) for _ in range(count))
        self.mono_us = 0

    @property
    def specs(self) -> dict[str, DeviceSpec]:
        """The sensors as a gateway's configuration has them."""
        names = [device_id(index) for index in range(len(self._centi))]
        return {
            name: DeviceSpec(
                id=name,
                driver="zigbee2mqtt",
                source=f"mqtt:{topic_of(name)}",
                interval_ms=INTERVAL_US // 1000,
            )
            for name in names
        }

    def deliveries(self) -> Iterator[Delivery]:
        """Messages in the order in which they come, without end."""
        begun_us = 1_000_000_000
        while True:
            for index, phase_us in enumerate(self._phase_us):
                late_us = self._random.randrange(200_000)
                self.mono_us = max(self.mono_us + 1, begun_us + phase_us + late_us)
                self._centi[index] += round(self._random.gauss(0, 3))
                celsius = f"{self._centi[index] / 100:.2f}"
                payload = f'{{"temperature": {celsius}}}'.encode()
                yield Delivery(device_id(index), payload, self.mono_us)
            begun_us += INTERVAL_US

    def wall(self) -> WallReading:
        """What the operating system would say of its clock now."""
        wall_us = START_US + self.mono_us + (self.mono_us >> 7 & 1)
        grown_us = self.mono_us % NTP_POLL_US * DRIFT_PPM // 1_000_000
        error_us = -(-(20_000 + grown_us) // 1000) * 1000  # as SystemWall rounds
        return WallReading(wall_us, synchronised=True, error_us=error_us)

    def clock(self) -> TimeModel:
        """The gateway's time model over this clock."""
        return TimeModel(1, lambda: self.mono_us, self.wall)


def device_id(index: int) -> str:
    """The sensor's name."""
    return f"thermometer-{index:02d}"


def topic_of(name: str) -> str:
    """The MQTT topic on which a sensor reports."""
    return f"zigbee2mqtt/{name}"


class Line:
    """From payloads to entries, by the gateway's own parts."""

    def __init__(self, sensors: Sensors, specs: dict[str, DeviceSpec] | None = None) -> None:
        """specs: of other devices, on the sensors' clock."""
        self._deliveries = sensors.deliveries()
        self.book = SlotBook()
        self.clock = sensors.clock()
        specs = specs or sensors.specs
        self.maker = EntryMaker(
            self.book, self.clock, audiences=dict.fromkeys(specs, AUDIENCE), specs=specs
        )
        self.genesis = genesis_entry()
        self.book.apply(self.genesis)

    def take(self, count: int) -> list[Delivery]:
        """The next so many messages."""
        return [next(self._deliveries) for _ in range(count)]

    def entries(self, arrivals: Sequence[Arrival]) -> list[Entry]:
        """What the messages become: descriptors of new channels, and readings."""
        return [entry for arrival in arrivals for entry in self.maker.from_arrival(arrival)]


def arrival_of(item: Delivery) -> Arrival:
    """The message as the bridge hands it on."""
    events = decode_zigbee2mqtt(item.payload, START_US // 1000)
    return Arrival(
        device_id=item.device_id,
        observations=tuple(event for event in events if isinstance(event, Observation)),
        rejected=(),
        received_mono_us=item.mono_us,
        acknowledge=partial(_nothing, item.device_id),
        qos=1,
        payload_digest=sha256(item.payload)[:16],
    )


def _nothing(_: str) -> None:
    """Nobody waits for this acknowledgement."""


def genesis_entry() -> Entry:
    """The first entry of the measured feed."""
    body = [1, sha256(b"bench")[:16], -7, b"spki", "bench", "bench", 0]
    return Entry(KIND_GENESIS, CONTROL_SLOT, GTime(0, 0, None, QUALITY_NONE, 0), 0, body)


def genesis_bytes() -> bytes:
    """Its bytes."""
    return encode_entry(genesis_entry())
