"""systemd's own judgement of the units; no systemd has to run for it."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[3] / "deploy"
GATEWAY = DEPLOY / "raspberrypi" / "wharf-gateway.service"
CHAIN = DEPLOY / "consortium" / "wharf-chain.service"
COMET = DEPLOY / "consortium" / "wharf-chain-cometbft.service"
UNITS = (GATEWAY, CHAIN, COMET)
EXPOSURE_MAX = 20  # tenths: 0 is closed, 100 is open


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    assert program is not None, "systemd-analyze is missing: apt-get install systemd"
    command = [program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(params=UNITS, ids=lambda path: path.stem)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return the unit with a program that exists here; all else as shipped."""
    shipped: Path = request.param
    copy = tmp_path / shipped.name
    copy.write_text(
        re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", shipped.read_text(), flags=re.MULTILINE)
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


def test_the_program_can_reach_little_of_the_machine(unit: Path) -> None:
    result = analyze("security", "--offline=true", f"--threshold={EXPOSURE_MAX}", unit)
    assert result.returncode == 0, result.stdout


def test_a_wider_unit_would_be_seen(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("CapabilityBoundingSet=\n", ""))
    result = analyze("security", "--offline=true", f"--threshold={EXPOSURE_MAX}", unit)
    assert result.returncode != 0


def test_the_mount_of_loose_files_is_sound() -> None:
    result = analyze("verify", DEPLOY / "raspberrypi" / "tmp.mount")
    assert result.stdout + result.stderr == ""


def words(unit: Path, section: str, key: str) -> list[str]:
    """Return a key's words, of all its lines."""
    values = dict[str, list[str]]()
    now = ""
    for line in unit.read_text().splitlines():
        if line.startswith("["):
            now = line.strip("[]")
        elif "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            values.setdefault(f"{now}.{name}", []).extend(value.split())
    return values.get(f"{section}.{key}", [])


def test_the_two_chain_units_differ_in_what_the_engine_asks_for_alone() -> None:
    own = {"Environment", "ExecStart", "KillMode", "TimeoutStopSec", "LimitNOFILE"}
    lines = [
        {line for line in unit.read_text().partition("[Service]")[2].splitlines() if "=" in line}
        for unit in (CHAIN, COMET)
    ]
    assert {line.partition("=")[0] for line in lines[0] ^ lines[1]} == own
    assert words(COMET, "Unit", "Conflicts") == [CHAIN.name]
    assert words(COMET, "Service", "KillMode") == ["mixed"]


def test_the_gateway_waits_for_nothing_that_may_never_come() -> None:
    before_it = set(words(GATEWAY, "Unit", "After")) | set(words(GATEWAY, "Unit", "Requires"))
    assert not {"time-sync.target", "network-online.target"} & before_it
    assert words(GATEWAY, "Unit", "Requires") == words(GATEWAY, "Unit", "BindsTo") == []


def test_the_gateway_leaves_before_its_broker() -> None:
    assert "mosquitto.service" in words(GATEWAY, "Unit", "After")
    assert words(GATEWAY, "Unit", "Wants") == ["mosquitto.service"]


def test_a_hung_gateway_is_ended_and_started_anew() -> None:
    assert words(GATEWAY, "Service", "Type") == ["notify"]
    assert words(GATEWAY, "Service", "WatchdogSec") == ["60"]
    assert words(GATEWAY, "Service", "Restart") == ["always"]


def test_the_gateway_may_ask_how_far_the_clock_is_trusted() -> None:
    # ProtectClock= and @privileged both forbid adjtimex, by which the kernel says it.
    assert words(GATEWAY, "Service", "ProtectClock") == []
    filters = [
        line for line in GATEWAY.read_text().splitlines() if line.startswith("SystemCallFilter=")
    ]
    assert "adjtimex" in filters[-1]
    assert "clock_adjtime" in filters[-1]
    assert words(GATEWAY, "Service", "CapabilityBoundingSet") == []


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_each_unit_starts_what_the_installer_makes(unit: Path) -> None:
    assert words(unit, "Service", "ExecStart")[0] == "/opt/wharf/current/bin/wharf"


def test_the_log_on_a_card_is_bounded() -> None:
    parser = configparser.ConfigParser()
    parser.read(DEPLOY / "raspberrypi" / "journald.conf")
    assert {"systemmaxuse", "runtimemaxuse", "maxretentionsec"} <= set(parser["Journal"])
