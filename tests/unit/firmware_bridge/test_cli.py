"""`wharf devices` for people and for programs."""

import argparse
import json
from pathlib import Path

import pytest

from firmware_bridge.cli import register

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/devices.json").read_text())


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    args = parser.parse_args(["devices", *words])
    return int(args.run(args))


NOWHERE = ("--port", "/dev/nothing-is-here")  # this machine's own ports are left alone


def test_json_names_every_driver_with_its_sources(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run("--json", *NOWHERE)
    listed = json.loads(capsys.readouterr().out)
    assert "serial" in listed["drivers"]["nmea"]["sources"]
    assert {"serial", "w1", "drivers"} == set(listed)


def test_people_read_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run(*NOWHERE)
    assert "driver tasmota: Tasmota sensor or HF card reader (mqtt)" in capsys.readouterr().out


def test_a_folder_of_recordings_gets_its_proposal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "gnss.log").write_text(VECTORS["nmea_rmc"])
    assert 0 == run("--captures", str(tmp_path))
    assert 'file = "gnss.log"' in capsys.readouterr().out
    assert 64 == run("--captures", str(tmp_path / "nothing"))
