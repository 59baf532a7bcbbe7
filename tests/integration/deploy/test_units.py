"""systemd's own judgement of the unit file; no systemd has to run for it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent.parent
UNIT = ROOT / "deploy" / "raspberrypi" / "wharf-gateway.service"
EXPOSURE_MAX = 25  # tenths: 0 is closed, 100 is open


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    assert program is not None, "systemd-analyze is missing: apt-get install systemd"
    command = [program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Return the unit with a program that exists here; all else as shipped."""
    copy = tmp_path / UNIT.name
    copy.write_text(
        re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(), flags=re.MULTILINE)
    )
    return copy


def test_systemd_has_nothing_to_say_against_the_unit(unit: Path) -> None:
    # A misspelt key is only a warning with exit code 0: any output at all is a failure.
    result = analyze("verify", unit)
    assert result.stdout + result.stderr == ""
    assert result.returncode == 0


def test_a_misspelt_key_would_be_seen(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("NoNewPrivileges=", "NoNewPriviledges="))
    assert "NoNewPriviledges" in analyze("verify", unit).stderr


def test_the_gateway_can_reach_little_of_the_machine(unit: Path) -> None:
    result = analyze("security", "--offline=true", f"--threshold={EXPOSURE_MAX}", unit)
    assert result.returncode == 0, result.stdout
