"""Trackers on a gateway that is killed again and again: each record is kept once."""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from functools import partial
from pathlib import Path

from gateway.demo.account import read_sent
from gateway.demo.ports import free_port
from tests.fakes.yard import Device, Program, Yard, until

IMEIS = {"truck-1": "356307042441013", "truck-2": "356307042441021"}
KILLS, KILLS_NIGHTLY = 2, 30
RECORDS_BETWEEN_KILLS = 20


def test_a_record_that_was_answered_is_kept_and_none_is_kept_twice(
    yard: Yard, tmp_path: Path, nightly: bool
) -> None:
    seed, port = random.SystemRandom().getrandbits(32), free_port()
    print(f"seed {seed}")
    trucks = [
        {"id": name, "kind": "teltonika", "imei": imei, "port": port, "interval_ms": 50,
         "curve": [[0, 4.0]], "noise": 40.0}
        for name, imei in IMEIS.items()
    ]  # fmt: skip  # a device
    spec = tmp_path / "fleet.json"
    spec.write_text(
        json.dumps({"seed": seed, "log_dir": str(tmp_path / "sent"), "devices": trucks})
    )
    devices = [
        Device(name, "teltonika", f"listen:127.0.0.1:{port}", 1, {"imei": imei})
        for name, imei in IMEIS.items()
    ]
    box = yard.add_gateway("gateway", devices)
    simulators = Program(
        [sys.executable, "-m", "firmware_bridge.simulators", str(spec)], tmp_path / "fleet.log"
    )
    simulators.start()

    def taken(name: str) -> int:
        path = tmp_path / "sent" / f"{name}.jsonl"
        return path.read_text().count('"puback"') if path.exists() else 0

    def reached(wanted: dict[str, int]) -> bool:
        return all(taken(name) >= count for name, count in wanted.items())

    try:
        for _ in range(KILLS_NIGHTLY if nightly else KILLS):
            wanted = {name: taken(name) + RECORDS_BETWEEN_KILLS for name in IMEIS}
            until(partial(reached, wanted), "more answers")
            box.kill()
            box.start()
    finally:
        simulators.end()
    box.settle()
    for name in IMEIS:
        lines = (tmp_path / "sent" / f"{name}.jsonl").read_text().splitlines()
        held = Counter(row["value"] for row in yard.machine.readings(name, "probe-1"))
        sent = read_sent(lines, "probe-1")
        promised = Counter(item.value[0] for item in sent if item.puback)
        offered = Counter(item.value[0] for item in sent)
        print(f"{name}: made {len(sent)}, answered {promised.total()}, kept {held.total()}")
        assert promised.total() >= KILLS * RECORDS_BETWEEN_KILLS
        assert not promised - held
        assert not held - offered
