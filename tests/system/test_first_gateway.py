"""The how-to's commands, run as they stand in the page, on a simulated receiver."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.demo.ports import free_port

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "first-gateway.md"
TIMEOUT_S = 120


def commands() -> list[str]:
    """The page's bash blocks; the installing ones are `sh`, for a machine that is blank."""
    return re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Path]:
    """A GNSS receiver on a pseudo-terminal."""
    link, ready = tmp_path / "receiver", tmp_path / "ready"
    spec = tmp_path / "fleet.json"
    device = {"id": "rx", "kind": "nmea", "link": str(link), "interval_ms": 200, "kmh": 50}
    device["route"] = [[53.5, 9.9], [53.6, 9.8]]
    fleet = {"log_dir": str(tmp_path / "sent"), "ready_file": str(ready), "devices": [device]}
    spec.write_text(json.dumps(fleet), encoding="utf-8")
    command = [sys.executable, "-m", "firmware_bridge.simulators", str(spec)]
    with subprocess.Popen(command) as fleet_process:
        yield link
        fleet_process.terminate()


def test_a_stranger_gets_from_a_blank_machine_to_a_proven_bundle(
    receiver: Path, tmp_path: Path
) -> None:
    lines = [line for block in commands() for line in block.splitlines()]
    installing = 2
    assert len(lines) + installing <= 10
    script = "set -e\ntrap 'kill $(jobs -p); wait' EXIT\n" + "\n".join(lines)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PROBE": str(receiver),
        "PORT": str(free_port()),
    }
    process = subprocess.Popen(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=TIMEOUT_S)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, output
    assert "PROVEN: my-probe" in output
    assert "nothing between them is missing" in output
