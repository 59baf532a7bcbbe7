"""Days in short: two gateways under steady load whose memory, files and disk must stay level.

One box takes a reading a second, the other 5,000, as 500 messages a second of ten sensors each. Old
readings go by policy. `make test` runs the share of SHORT_S, `WHARF_VOLUME=lite` ten minutes,
`WHARF_VOLUME=nightly` two hours; the bounds do not grow with the time.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

import pytest

from tests.fakes.publisher import connected_client
from tests.fakes.yard import Device, GatewayBox, Yard

SHORT_S: Final = 30
SOAK_S: Final = {"lite": 600, "nightly": 7200}.get(os.environ.get("WHARF_VOLUME", ""), SHORT_S)
WARM_UP_S: Final = 12
SAMPLE_S: Final = max(0.5, SOAK_S / 600)
SLOW_HZ, FAST_HZ, SENSORS = 1, 500, 10
MEMORY_GROWTH_MAX: Final = 4 << 20
FILES_GROWTH_MAX: Final = 2
JOURNAL_BYTES: Final = 8 << 20  # a segment more or less at the moment of a sample
# What stays for ever of a block: header, run heads, tree nodes, head, anchor receipt.
BLOCK_BYTES_MAX: Final = 6 << 10
STORE_SLACK_BYTES: Final = 1 << 20  # readings between two looks of the retention
pytestmark = pytest.mark.timeout(SOAK_S + 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A gateway at one moment, bytes and counts."""

    anonymous: int  # resident; pages of the store's file are the kernel's to take back
    files: int
    disk: int
    store: int
    blocks: int
    journaled: int
    pruned_below: int
    pending: int


class Sensors:
    """Tasmota messages of several sensors with QoS 1 at a rate, until stopped."""

    def __init__(self, port: int, topic: str, *, rate_hz: int, sensors: int) -> None:
        self.sent = self._taken = 0
        self._topic, self._rate_hz, self._sensors = topic, rate_hz, sensors
        self._stop = threading.Event()
        self._client = connected_client(port, f"soak-{rate_hz}")
        self._client.on_publish = self._on_publish
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _on_publish(self, *_: object) -> None:
        self._taken += 1

    def _payload(self, number: int) -> bytes:
        values = ((number * 7 + sensor) % 400 for sensor in range(self._sensors))
        rows = (
            f'"DS18B20-{sensor}":{{"Id":"{sensor:012d}","Temperature":{value // 10}.{value % 10}}}'
            for sensor, value in enumerate(values, 1)
        )
        return ("{" + ",".join(rows) + ',"TempUnit":"C"}').encode()

    def _run(self) -> None:
        begun_s, numbers = time.monotonic(), count()
        while not self._stop.is_set():
            due = int((time.monotonic() - begun_s) * self._rate_hz)
            # A machine that is too slow is not buried in messages: the broker has to keep up.
            while self.sent < due and self.sent - self._taken < self._rate_hz:
                self._client.publish(self._topic, self._payload(next(numbers)), qos=1)
                self.sent += 1
            self._stop.wait(0.01)

    def finish(self) -> int:
        """Stops; the number of readings that the broker took."""
        self._stop.set()
        self._thread.join()
        deadline_s = time.monotonic() + 30
        while self._taken < self.sent:
            assert time.monotonic() < deadline_s, "not taken by the broker"
            time.sleep(0.02)
        self._client.disconnect()
        self._client.loop_stop()
        return self.sent * self._sensors


def disk_bytes(folder: Path) -> int:
    """What the files of a folder take on the disk; they come and go while it is counted."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:
            continue
    return total


def sample(box: GatewayBox) -> Sample:
    process = box.program.process
    assert process
    proc, report = Path(f"/proc/{process.pid}"), box.status()
    rows = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
    return Sample(
        anonymous=int(rows["RssAnon"].split()[0]) * 1024,
        files=len(list((proc / "fd").iterdir())),
        disk=disk_bytes(box.data_dir),
        store=(box.data_dir / "store" / "data.mdb").stat().st_size,
        blocks=report["sealed_height"] + 1,
        journaled=report["journaled"],
        pruned_below=report["pruned_below"],
        pending=report["pending"],
    )


def growth(values: Sequence[int]) -> int:
    """The last third's median above the first third's: no single sample decides."""
    third = max(1, len(values) // 3)
    return round(median(values[-third:]) - median(values[:third]))


def tenths(values: Sequence[int]) -> list[int]:
    """Medians of ten parts, for whoever looks for a leak."""
    part = max(1, len(values) // 10)
    return [round(median(values[at : at + part])) for at in range(0, len(values), part)]


def faults(samples: Sequence[Sample]) -> list[str]:
    """What is not level in these samples, in words."""

    def of(what: Callable[[Sample], int]) -> int:
        return growth([what(item) for item in samples])

    blocks = of(lambda item: item.blocks)
    limits = {
        "anonymous bytes": (of(lambda item: item.anonymous), MEMORY_GROWTH_MAX),
        "open files": (of(lambda item: item.files), FILES_GROWTH_MAX),
        "store bytes": (
            of(lambda item: item.store),
            STORE_SLACK_BYTES + blocks * BLOCK_BYTES_MAX,
        ),
        "disk bytes": (
            of(lambda item: item.disk),
            STORE_SLACK_BYTES + JOURNAL_BYTES + blocks * BLOCK_BYTES_MAX,
        ),
    }
    return [
        f"{name} grew by {grown:,}, more than {limit:,}"
        for name, (grown, limit) in limits.items()
        if grown > limit
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Soaked:
    """What came of one box."""

    samples: Sequence[Sample]
    sent: int
    journaled: int
    faults: Sequence[str]


@pytest.fixture(scope="module")
def soaked(yard: Yard) -> dict[str, Soaked]:
    """Return both boxes after their time under load, which they spend together."""
    policy = "[retention]\nkeep_days = 0\nmirrors = 1\n"
    slow = yard.add_gateway(
        "slow",
        [Device("slow-1", "tasmota", "mqtt:tele/slow/SENSOR")],
        name="slow",
        more=policy,
    )
    fast = yard.add_gateway(
        "fast",
        [Device("fast-1", "tasmota", "mqtt:tele/fast/SENSOR")],
        name="fast",
        seal_count=4096,
        # The load is the gateway's; opening as much is not this test's matter.
        more=policy + "opened = false\n",
        machine_reads=False,
    )
    boxes = {"slow": slow, "fast": fast}
    inputs = {
        "slow": Sensors(yard.broker.port, "tele/slow/SENSOR", rate_hz=SLOW_HZ, sensors=1),
        "fast": Sensors(yard.broker.port, "tele/fast/SENSOR", rate_hz=FAST_HZ, sensors=SENSORS),
    }
    samples: dict[str, list[Sample]] = {name: [] for name in boxes}
    begun_s = time.monotonic()
    while (now_s := time.monotonic() - begun_s) < SOAK_S:
        if now_s >= WARM_UP_S:
            for name, box in boxes.items():
                samples[name].append(sample(box))
        time.sleep(SAMPLE_S)
    done = {}
    for name, box in boxes.items():
        sent = inputs[name].finish()
        box.until(lambda r, n=sent: readings(r) >= n, "the last reading")  # type: ignore[misc]  # bound now
        report = box.status()
        done[name] = Soaked(
            samples=samples[name],
            sent=sent,
            journaled=readings(report),
            faults=report["faults"],
        )
        assert box.stop() == 0
    return done


def readings(report: dict[str, object]) -> int:
    channels = report["channels"]
    assert isinstance(channels, list)
    return sum(row["readings"] for row in channels)


BOXES = pytest.mark.parametrize("name", ["slow", "fast"])


@BOXES
def test_memory_files_and_disk_stay_level(soaked: dict[str, Soaked], name: str) -> None:
    box = soaked[name]
    first, last = box.samples[0], box.samples[-1]
    print(
        f"\n{name}: {len(box.samples)} samples in {SOAK_S} s; memory {first.anonymous >> 10} to "
        f"{last.anonymous >> 10} KiB, files {first.files} to {last.files}, "
        f"store {first.store >> 10} to {last.store >> 10} KiB in "
        f"{last.blocks - first.blocks} blocks, pruned below "
        f"{last.pruned_below} of {last.blocks}, {last.journaled - first.journaled} entries"
    )
    print("memory by tenths, KiB:", *tenths([item.anonymous >> 10 for item in box.samples]))
    assert faults(box.samples) == []


@BOXES
def test_every_reading_arrives_once_and_nothing_is_red(
    soaked: dict[str, Soaked], name: str
) -> None:
    box = soaked[name]
    assert box.journaled == box.sent
    assert box.faults == []


def test_the_load_is_the_one_that_is_stated(soaked: dict[str, Soaked]) -> None:
    for name, hz in (("slow", SLOW_HZ), ("fast", FAST_HZ * SENSORS)):
        assert soaked[name].sent >= 0.95 * hz * SOAK_S - hz


@BOXES
def test_old_readings_go_while_it_runs(soaked: dict[str, Soaked], name: str) -> None:
    first, last = soaked[name].samples[0], soaked[name].samples[-1]
    assert last.pruned_below > first.pruned_below
    # What waits is what is not yet anchored, and a look's time.
    assert last.blocks - last.pruned_below < 40


def test_a_leak_is_noticed() -> None:
    def at(number: int, **leak: int) -> Sample:
        level = {"anonymous": 50 << 20, "files": 20, "disk": 30 << 20, "store": 8 << 20}
        grown = {key: value + number * leak.get(key, 0) for key, value in level.items()}
        return Sample(**grown, blocks=number, journaled=0, pruned_below=0, pending=0)

    level = [at(number) for number in range(60)]
    assert [] == faults(level)
    for leak, what in (
        ({"anonymous": 200 << 10}, "anonymous bytes"),
        ({"files": 1}, "open files"),
        ({"store": 100 << 10}, "store bytes"),
        ({"disk": 1 << 20}, "disk bytes"),
    ):
        assert [what in fault for fault in faults([at(n, **leak) for n in range(60)])] == [True]
