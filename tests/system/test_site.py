"""A site configuration from the desk to the box: taken up, refused, returned, overridden."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge.codecs.probe import encode_w1_slave
from gateway.demo.ports import free_port
from ledger.entry import KIND_BOOT, KIND_HEALTH, KIND_SUMMARY
from tests.fakes.publisher import connected_client, payload_of
from tests.fakes.stores import public_entries
from tests.fakes.yard import Device, GatewayBox, Yard, run_wharf, wharf_result

PARTY = "Cold Store Ltd"
TRIAL_S = 6
REASON = "a spare probe is in its place"


@pytest.fixture(scope="module")
def probe(yard: Yard) -> Path:
    made = yard.folder / "w1_slave"
    made.write_text(encode_w1_slave(64), encoding="ascii")
    return made


@pytest.fixture(scope="module")
def box(yard: Yard, probe: Path) -> GatewayBox:
    """Return a gateway whose probe speaks every second and whose trials are short."""
    made = yard.add_gateway("gateway", [Device("probe-1", "ds18b20", f"w1:{probe}", 1)])
    made.stop()
    made.config.write_text(made.config.read_text() + f"\n[site]\ntrial_s = {TRIAL_S}\n")
    made.start()
    made.until(lambda r: r["anchored_height"] >= 0 and r["journaled"] > 5, "the first anchor")
    return made


class Desk:
    """The organisation's desk."""

    def __init__(self, yard: Yard, box: GatewayBox) -> None:
        self._box, self._machine = box, yard.machine
        self._audience = box.config.read_text().split("[[audience]]")[1].split("[[device]]")[0]
        self.file = yard.folder / "sent.toml"

    def write(self, *devices: Device, port: int | None = None) -> Path:
        broker = f"[broker]\nport = {port}\n" if port else ""
        rows = [
            f'[[device]]\nid = "{d.id}"\ndriver = "{d.driver}"\nsource = "{d.source}"\n'
            f"interval_s = {d.interval_s}\naudience = 1\n"
            for d in devices
        ]
        self.file.write_text(f"{broker}[[audience]]{self._audience}" + "".join(rows))
        return self.file

    def push(self, *devices: Device, port: int | None = None) -> int:
        """Sends a configuration; its version."""
        out = run_wharf(
            "site", "push", str(self.write(*devices, port=port)), "--json",
            "--feed", self._box.feed_id.hex(), "--home", str(self._machine.home),
            "--party", PARTY, "--party-key", str(self._machine.keys / f"{PARTY}.pem"),
        )  # fmt: skip  # a command line
        version: int = json.loads(out)["version"]
        return version

    def settled(self, version: int, outcome: str) -> dict[str, Any]:
        """The box's report once it has said what became of a version, and speaks again."""

        def said(report: dict[str, Any]) -> bool:
            verdict = report["site"]["verdict"]
            return bool(verdict) and (verdict["version"], verdict["outcome"]) == (version, outcome)

        return self._box.until(said, f"version {version} {outcome}")


@pytest.fixture(scope="module")
def desk(yard: Yard, box: GatewayBox) -> Desk:
    return Desk(yard, box)


def heard(report: dict[str, Any], device: str) -> int:
    return sum(row["readings"] for row in report["channels"] if row["device"] == device)


def test_a_configuration_is_taken_up_kept_and_named_in_every_block(
    yard: Yard, box: GatewayBox, desk: Desk, probe: Path
) -> None:
    fridge = Device("fridge-1", "zigbee2mqtt", "mqtt:zigbee2mqtt/fridge-1")
    version = desk.push(Device("probe-1", "ds18b20", f"w1:{probe}", 1), fridge)
    report = desk.settled(version, "kept")
    assert ("site", version) == (report["site"]["origin"], report["site"]["running"])
    device = connected_client(yard.broker.port, "fridge")
    try:
        box.until(lambda r: r["mqtt"] is not None and r["mqtt"]["connected"], "the broker")
        device.publish("zigbee2mqtt/fridge-1", payload_of(4000), qos=1)
        box.until(lambda r: heard(r, "fridge-1") >= 1, "the new device")
    finally:
        device.disconnect()
        device.loop_stop()
    assert [] == box.status()["faults"]


@pytest.mark.parametrize(
    ("device", "port", "cause"),
    [
        (Device("new", "ds18b20", "w1:/nowhere/w1_slave"), None, "dry_run"),
        (Device("new", "zigbee2mqtt", "mqtt:zigbee2mqtt/new"), -1, "dry_run"),
    ],
    ids=["no such port", "no such broker"],
)
def test_what_names_things_that_are_not_there_is_refused_before_anything_stops(
    box: GatewayBox, desk: Desk, device: Device, port: int | None, cause: str
) -> None:
    before = box.status()["site"]["running"]
    version = desk.push(device, port=free_port() if port else None)
    report = desk.settled(version, "refused")
    assert (cause, before) == (report["site"]["verdict"]["cause"], report["site"]["running"])
    assert any(f"site configuration {version} refused" in fault for fault in report["faults"])


def test_where_a_device_falls_silent_the_last_good_one_comes_back_by_itself(
    yard: Yard, box: GatewayBox, desk: Desk
) -> None:
    empty = yard.folder / "dead_probe"
    empty.write_text("", encoding="ascii")
    before = box.status()["site"]["running"]
    version = desk.push(Device("probe-1", "ds18b20", f"w1:{empty}", 1))
    report = desk.settled(version, "returned")
    assert "probe-1/temperature" in report["site"]["verdict"]["reason"]
    box.until(lambda r: r["site"]["running"] == before, "the version before")
    count = heard(box.status(), "probe-1")
    box.until(lambda r: heard(r, "probe-1") > count, "the probe again")


def test_a_text_that_no_box_could_read_never_leaves_the_desk(desk: Desk) -> None:
    file = desk.write()
    file.write_text("[broker]\nport = 70000\n")
    result = wharf_result(
        "site", "push", str(file), "--feed", "00" * 16, "--home", "/nowhere", "--check-only"
    )
    assert 0 != result.returncode
    assert "port: must be from 1 to 65535" in result.stderr


def test_an_override_on_the_spot_is_in_force_at_once_and_recorded(
    yard: Yard, box: GatewayBox, desk: Desk, probe: Path
) -> None:
    file = desk.write(Device("spare-1", "ds18b20", f"w1:{probe}", 1))
    command = ("gateway", "override", "--config", str(box.config))
    run_wharf(*command, str(file), "--reason", REASON)
    box.until(
        lambda r: r["site"]["override"] == REASON and heard(r, "spare-1") > 1, "the spare probe"
    )
    run_wharf(*command, "--end")
    report = box.until(lambda r: r["site"]["origin"] == "site", "the end of the override")
    assert report["site"]["override"] is None


def test_the_ledger_holds_what_ran_and_what_became_of_each_version(
    box: GatewayBox, desk: Desk
) -> None:
    box.settle()
    box.stop()
    entries = public_entries(box.data_dir / "store", box.feed_id)
    boots = {tuple(entry.body[3:]) for entry in entries if entry.kind == KIND_BOOT}
    assert {(0, 0, ""), (1, 1, ""), (1, 4, ""), (2, 0, REASON)} <= boots
    health = [entry.body for entry in entries if entry.kind == KIND_HEALTH]
    verdicts = [tuple(body[2:]) for body in health if body[1] == "configuration"]
    kept, refused, returned = (1, 1, 0), [(2, 3, 2), (3, 3, 2)], (4, 2, 3)
    assert [kept, *refused, returned] == verdicts
    summaries = [entry.body for entry in entries if entry.kind == KIND_SUMMARY]
    digests = {entry.body[2] for entry in entries if entry.kind == KIND_BOOT}
    assert len(digests) >= len({"own file", "version 1", "version 4", "override"})
    assert all(len(body[5]) == 1 and body[5][0] in digests for body in summaries)
