"""A gateway that is killed again and again under load loses nothing, doubles nothing, signs once.

SEED=n repeats a run's moments; the seed is printed.
"""

from __future__ import annotations

import os
import random
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.publisher import Publisher
from tests.fakes.simulated import SimulatedDevices
from tests.fakes.stores import HeldFeed, held_feed
from tests.fakes.yard import Device, GatewayBox, Yard

KILLS, KILLS_NIGHTLY = 30, 200
RATE_HZ = 400
RECOVERY_S_MAX = 5.0
UP_S_MAX = 2.2  # lifetimes end somewhere in here, after it accepted
YOUNG_S_MAX = 0.4  # one lifetime in four ends in here, whether it accepted or not
SEAL_COUNT = 150  # several blocks and heads in each lifetime
TOPIC = "zigbee2mqtt/fridge-1"
SERIAL = "truck-gnss"
SLACK_US = 1_000_000  # a line's own delay, and the second within which silence is noticed


Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class SerialLine:
    """What a device said and when (microseconds), what of it was opened, and the signed gaps."""

    sent: list[tuple[int, Place]]
    opened: list[Place]
    gaps: list[tuple[int, int]]

    def uncovered(self) -> list[int]:
        """When it said what is neither opened nor in a gap, from first to last opened reading.

        What comes after is no loss yet: silence is told after three intervals.
        """
        held = set(self.opened)
        places = [index for index, (_, place) in enumerate(self.sent) if place in held]
        return [
            time_us
            for time_us, place in self.sent[places[0] : places[-1]]
            if place not in held
            and not any(low - SLACK_US <= time_us <= high + SLACK_US for low, high in self.gaps)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """What there is when everything was killed, anchored, opened and stopped."""

    published: list[int]
    taken: set[int]
    opened: list[int]
    states: set[str]
    serial: SerialLine
    recoveries_s: list[float]
    kills: int
    log: str
    own: HeldFeed
    theirs: HeldFeed
    fsck: list[subprocess.CompletedProcess[str]]


def kill_often(box: GatewayBox, kills: int, chance: random.Random) -> list[float]:
    """Kills and starts again; the seconds until it accepted, where it lived that long."""
    recoveries_s = []
    for number in range(kills):
        if number % 4 == 3:
            box.program.start()
            time.sleep(chance.uniform(0, YOUNG_S_MAX))
        else:
            if number:
                recoveries_s.append(box.start())
            time.sleep(chance.uniform(0, UP_S_MAX))
        box.kill()
    recoveries_s.append(box.start())
    return recoveries_s


def fridge_readings(report: dict[str, Any]) -> int:
    return sum(row["readings"] for row in report["channels"] if row["device"] == "fridge-1")


def serial_line(yard: Yard, devices: SimulatedDevices) -> SerialLine:
    rows = yard.machine.readings(SERIAL, "position")
    gaps = yard.machine.gaps(SERIAL)
    return SerialLine(
        sent=[(item["unix_us"], tuple(item["value"])) for item in devices.sent(SERIAL)],
        opened=[(row["lat_e7"], row["lon_e7"]) for row in rows],
        gaps=[
            (gap["from_wall_us"], gap["to_wall_us"])
            for gap in gaps
            if gap["from_wall_us"] and gap["to_wall_us"]
        ],
    )


@pytest.fixture(scope="module")
def aftermath(yard: Yard, tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    """Return what is left after the kills of this volume."""
    nightly = os.environ.get("WHARF_VOLUME") == "nightly"
    kills = KILLS_NIGHTLY if nightly else KILLS
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"SEED={seed}")
    link = tmp_path_factory.mktemp("line") / "gnss"
    line = {
        "id": SERIAL, "kind": "nmea", "link": str(link), "interval_ms": 100,
        "route": [[53.5, 9.9], [53.0, 8.8], [53.5, 8.5]], "kmh": 70,
    }  # fmt: skip  # one device
    devices = SimulatedDevices(yard.folder / "devices", [line])
    devices.start()
    try:
        box = yard.add_gateway(
            "gateway",
            [
                Device("fridge-1", "zigbee2mqtt", f"mqtt:{TOPIC}"),
                Device(SERIAL, "nmea", f"serial:{link}?baud=9600", 1),
            ],
            seal_count=SEAL_COUNT,
        )
        publisher = Publisher(yard.broker.port, TOPIC, rate_hz=RATE_HZ)
        try:
            recoveries_s = kill_often(box, kills, random.Random(seed))
            publisher.finish()
        finally:
            publisher.close()
        box.until(
            lambda r: fridge_readings(r) >= len(publisher.sent),
            "everything published in the journal",
            limit_s=120,
        )
    finally:
        devices.program.end()
    box.settle()
    return gather(yard, box, publisher, devices, recoveries_s=recoveries_s, kills=kills)


def fsck(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ledger", "fsck", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def gather(
    yard: Yard,
    box: GatewayBox,
    publisher: Publisher,
    devices: SimulatedDevices,
    *,
    recoveries_s: list[float],
    kills: int,
) -> Aftermath:
    """Stops gateway and chain machine, and reads what both hold."""
    rows = yard.machine.readings("fridge-1", "temperature")
    assert box.stop() == 0
    assert yard.machine.program.end() == 0
    return Aftermath(
        published=publisher.sent,
        taken=publisher.taken(),
        opened=[row["value"] for row in rows],
        states={row["state"] for row in rows},
        serial=serial_line(yard, devices),
        recoveries_s=recoveries_s,
        kills=kills,
        log=box.program.text(),
        own=held_feed(box.data_dir / "store", box.feed_id),
        theirs=held_feed(yard.machine.home / "ledger.store", box.feed_id),
        fsck=[fsck(box.data_dir), fsck(yard.machine.home / "ledger.store")],
    )


@pytest.mark.timeout(3600)
def test_no_published_reading_is_missing_or_there_twice(aftermath: Aftermath) -> None:
    assert len(aftermath.published) > 200 * aftermath.kills
    assert aftermath.taken == set(aftermath.published)
    opened, published = Counter(aftermath.opened), Counter(aftermath.published)
    assert sorted((published - opened).elements()) == []
    assert sorted((opened - published).elements()) == []


def test_every_opened_reading_is_anchored(aftermath: Aftermath) -> None:
    assert aftermath.states == {"anchored"}


def test_the_serial_line_lost_nothing_that_no_signed_gap_covers(aftermath: Aftermath) -> None:
    line = aftermath.serial
    assert len(line.opened) > 2 * aftermath.kills
    assert len(line.gaps) >= aftermath.kills // 4
    assert line.uncovered() == []


def test_no_sentence_of_the_serial_line_became_two_readings(aftermath: Aftermath) -> None:
    said = Counter(place for _, place in aftermath.serial.sent)
    assert sorted((Counter(aftermath.serial.opened) - said).elements()) == []


def test_after_each_kill_it_accepts_again_in_time(aftermath: Aftermath) -> None:
    times_s = sorted(aftermath.recoveries_s)
    print(
        f"kills={aftermath.kills} recovery_s min={times_s[0]:.2f} "
        f"median={statistics.median(times_s):.2f} max={times_s[-1]:.2f} "
        f"published={len(aftermath.published)} heads={len(aftermath.own.heads)}"
    )
    assert len(times_s) >= aftermath.kills // 2
    assert times_s[-1] < RECOVERY_S_MAX


def test_no_height_has_a_second_head_or_a_second_block(aftermath: Aftermath) -> None:
    own, theirs = aftermath.own, aftermath.theirs
    for mine, others in ((own.heads, theirs.heads), (own.blocks, theirs.blocks)):
        both = mine.keys() & others.keys()
        assert len(both) > aftermath.kills // 4
        assert {height for height in both if mine[height] != others[height]} == set()
    assert (own.conflicts, theirs.conflicts) == (0, 0)


def test_the_log_tells_of_one_signature_size_for_each_height(aftermath: Aftermath) -> None:
    signed: dict[str, set[str]] = {}
    for height, size in re.findall(r"head_signed height=(\d+) size=(\d+)", aftermath.log):
        signed.setdefault(height, set()).add(size)
    assert len(signed) > aftermath.kills // 4
    assert {height: sizes for height, sizes in signed.items() if len(sizes) > 1} == {}


def test_no_start_found_damage(aftermath: Aftermath) -> None:
    for word in ("journal_damaged", "entry_quarantined", "signing_stopped", "Traceback"):
        assert word not in aftermath.log


def test_all_that_both_stores_hold_follows_from_their_raw_data(aftermath: Aftermath) -> None:
    assert [
        (run.returncode, run.stdout, run.stderr) for run in aftermath.fsck if run.returncode
    ] == []
