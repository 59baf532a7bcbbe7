"""The simulated devices as a program, and what they say they sent."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.fakes.yard import Program, until


class SimulatedDevices:
    """One `firmware_bridge.simulators` process with its folder."""

    def __init__(self, folder: Path, devices: list[dict[str, Any]]) -> None:
        folder.mkdir(parents=True)
        self._folder, self._ready = folder, folder / "ready"
        specification = {
            "seed": 7,
            "speed": 120,
            "log_dir": str(folder / "sent"),
            "ready_file": str(self._ready),
            "devices": devices,
        }
        path = folder / "fleet.json"
        path.write_text(json.dumps(specification), encoding="utf-8")
        command = [sys.executable, "-m", "firmware_bridge.simulators", str(path)]
        self.program = Program(command, folder / "devices.log")

    def start(self) -> None:
        self.program.start()
        until(lambda: self.program.check() and self._ready.exists(), "the simulated devices")

    def sent(self, device: str) -> list[dict[str, Any]]:
        """Each value that left the device: the lines of `sent_log` with `written`."""
        log = self._folder / "sent" / f"{device}.jsonl"
        records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        return [record for record in records if record.get("written")]
