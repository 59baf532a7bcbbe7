"""`wharf devices replace`: what it leaves for the gateway, and what it refuses."""

import argparse
import hashlib
import json
from pathlib import Path

import pytest

from gateway.calibrations import FOLDER, read
from gateway.devices_cli import register

CONFIG = """\
[gateway]
name = "cold-room"
party = "Cold Store Ltd"
data_dir = "data"
development = true
[key]
uri = "file:key.pem"
[[audience]]
id = 1
name = "own goods"
readers = []
[[device]]
id = "probe"
driver = "ds18b20"
source = "w1:/sys/probe"
audience = 1
"""
GIVEN = {
    "--probe": "28-0316a2794bff",
    "--number": "K-2291",
    "--issuer": "Norddeutsches Labor",
    "--dated": "2026-05-04",
    "--due": "2027-05-04",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gateway.toml").write_text(CONFIG)
    (tmp_path / "K-2291.pdf").write_bytes(b"certificate")
    return tmp_path


def replace(folder: Path, device: str = "probe", *more: str, **changed: str) -> int:
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    given = {
        "--config": str(folder / "gateway.toml"),
        "--certificate": str(folder / "K-2291.pdf"),
        **GIVEN,
        **{f"--{name}": value for name, value in changed.items()},
    }
    words = [word for pair in given.items() for word in pair]
    args = parser.parse_args(["devices", "replace", device, *words, *more])
    return int(args.run(args))


def test_the_replacement_waits_for_the_gateway(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 0 == replace(folder, "probe", "--json")
    told = json.loads(capsys.readouterr().out)
    (path,) = (folder / "data" / FOLDER).glob("*.json")
    item = read(path)
    assert ("probe", None) == (item.device_id, item.channel)
    assert hashlib.sha256(b"certificate").hexdigest() == item.calibration.sha256
    assert told["calibration"] == item.calibration.to_text()


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        ({"due": "2026-05-03"}, 64, "calibration"),
        ({"dated": "yesterday"}, 64, "2027-05-04"),
        ({"certificate": "/nothing"}, 66, "cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, str], code: int, said: str
) -> None:
    assert code == replace(folder, **changed)
    assert said in capsys.readouterr().err
    assert not (folder / "data" / FOLDER).exists()


def test_a_device_that_is_not_configured_is_refused_with_those_that_are(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 64 == replace(folder, "prob")
    assert "there are: probe" in capsys.readouterr().err
