"""The gateway's own process on a small disk, a real broker before it, each PUBACK counted on the
wire: a disk that is full, that turns read-only, whose sync fails.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from firmware_bridge.codecs.probe import encode_w1_slave
from ledger.fsck import check_folder
from logistics.reading import GapReason
from tests.fakes.mqtt_tap import MqttTap
from tests.fakes.publisher import Publisher, payload_of
from tests.fakes.yard import Device, Yard, until, wharf_result
from tests.integration.disk.small_disk import SmallDisk

RATE_HZ = 100
TOPIC = "zigbee2mqtt/fridge-1"
SEGMENT_BYTES = 1 << 15  # three seconds of these readings
SHIM = Path(__file__).parents[2] / "fakes" / "failing_sync.c"
QUEUE_MAX = 10  # filled by the broker's messages at once: the probe is not heard any more
SMALL = f"""\
import sys
from gateway import intake
from ledger.journal import Journal
Journal.open.__func__.__kwdefaults__["segment_bytes"] = {SEGMENT_BYTES}
intake.QUEUE_MAX = {QUEUE_MAX}
from ledger.cli import main
sys.exit(main())
"""


class Scene:
    """A gateway whose data lies on the small disk, its broker, and a device that publishes."""

    def __init__(self, folder: Path) -> None:
        self.disk = SmallDisk(folder, memory=False)
        assert "loop" in self.disk.vehicle, "loop devices and the right to mount are needed"
        self.yard = Yard(folder / "yard", autosave_changes=1_000_000)
        self.tap = MqttTap(self.yard.broker.port)
        self.trigger = folder / "failing"
        probe = folder / "w1_slave"
        probe.write_text(encode_w1_slave(64), encoding="ascii")
        devices = [
            Device("fridge-1", "zigbee2mqtt", f"mqtt:{TOPIC}"),
            Device("probe-1", "ds18b20", f"w1:{probe}", 1),
        ]
        self.box = self.yard.add_gateway("gateway", devices, broker_port=self.tap.port)
        self._move(folder)
        self.box.start()
        self.publisher = Publisher(self.yard.broker.port, TOPIC, rate_hz=RATE_HZ)
        self.goes_on()

    def _move(self, folder: Path) -> None:
        self.box.stop()
        data = self.box.data_dir
        shutil.copytree(data, self.disk.folder / "data")
        shutil.rmtree(data)
        data.symlink_to(self.disk.folder / "data")
        shim = folder / "failing_sync.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", shim, SHIM, "-ldl"], check=True)
        program = self.box.program
        program.command = [sys.executable, "-c", SMALL, *program.command[-4:]]
        extra = {"LD_PRELOAD": str(shim), "WHARF_FAILING_SYNC": str(self.trigger)}
        program.environment = {**program.environment, **extra}

    def acknowledged(self) -> int:
        return len(self.tap.acknowledged)

    def goes_on(self) -> None:
        """Returns when more was acknowledged than now."""
        count = self.acknowledged() + 100
        until(lambda: self.box.program.check() and self.acknowledged() > count, "acknowledgements")

    def publishes(self, count: int) -> None:
        """Returns when the device has published so many more."""
        wanted = len(self.publisher.sent) + count
        until(lambda: len(self.publisher.sent) > wanted, "publishing")

    def ended(self) -> int:
        """The exit code of a gateway that ends by itself."""
        process = self.box.program.process
        assert process is not None
        until(lambda: process.poll() is not None, "the gateway's end")
        self.box.program.process = None
        return process.wait()

    def close(self) -> None:
        with suppress(AssertionError):
            self.publisher.close()
        self.yard.close()
        self.tap.close()
        self.disk.unmount()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    made = Scene(tmp_path_factory.mktemp("disk"))
    try:
        yield made
    finally:
        made.close()


def test_a_full_disk_stops_acceptance_is_said_everywhere_and_left_without_help(
    scene: Scene,
) -> None:
    box = scene.box
    scene.disk.fill()
    box.until(lambda r: "disk full" in str(r["faults"]), "the fault")
    before = scene.acknowledged()
    scene.publishes(3 * RATE_HZ)
    assert before == scene.acknowledged()
    doctor = wharf_result("doctor", "--config", str(box.config), environment=box.environment)
    assert 1 == doctor.returncode
    assert "disk full: nothing is accepted until there is room" in doctor.stdout
    status = wharf_result("gateway", "status", "--config", str(box.config))
    assert "disk full: nothing is accepted until there is room" in status.stdout
    assert "disk_full stop=accepting" in box.program.text()
    scene.disk.make_room()
    box.until(lambda r: "full" not in str(r["faults"]), "acceptance by itself")
    scene.goes_on()
    assert "disk_has_room accepting=again" in box.program.text()


def test_a_failed_sync_ends_the_program_and_nothing_more_is_acknowledged(scene: Scene) -> None:
    scene.trigger.touch()
    try:
        assert 0 != scene.ended()
        before = scene.acknowledged()
        scene.publishes(RATE_HZ)
        assert before == scene.acknowledged()
        assert "Input/output error" in scene.box.program.tail()
    finally:
        scene.trigger.unlink()
    scene.box.start()
    scene.goes_on()


def test_a_disk_that_turns_read_only_ends_the_program_until_it_is_mended(scene: Scene) -> None:
    scene.disk.refuse_writes()
    assert 0 != scene.ended()
    before = scene.acknowledged()
    scene.box.program.start()  # as systemd does
    assert 0 != scene.ended()
    assert before == scene.acknowledged()
    scene.disk.mend()
    scene.box.start()
    scene.goes_on()


def test_afterwards_all_that_was_acknowledged_is_there_once_and_the_loss_is_counted(
    scene: Scene,
) -> None:
    scene.publisher.finish()
    wanted = {payload_of(value) for value in scene.publisher.taken()}
    until(lambda: wanted <= set(scene.tap.acknowledged), "the rest is acknowledged")
    scene.box.settle()
    rows = scene.yard.machine.readings("fridge-1", "temperature")
    there = Counter(payload_of(row["value"]) for row in rows)
    print(f"acknowledged={len(set(scene.tap.acknowledged))} sealed={len(there)}")
    assert set(scene.tap.acknowledged) <= there.keys()
    assert {1} == set(there.values())
    gaps = scene.yard.machine.gaps("probe-1")
    full = [gap for gap in gaps if gap["reason"] == GapReason.DISK_FULL]
    print(f"gaps of the full disk: {[gap['count'] for gap in full]}")
    assert full
    assert all(gap["count"] for gap in full)
    assert 0 == scene.box.stop()
    assert [] == check_folder(scene.box.data_dir).found
