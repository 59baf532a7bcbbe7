"""captures.toml: proposed from content, read strictly."""

import json
from pathlib import Path

import pytest

from firmware_bridge.captures import FILE_NAME, Capture, load, propose, to_toml
from firmware_bridge.errors import SpecError
from firmware_bridge.transports.source import parse_source

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/devices.json").read_text())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/gnss.log").write_text("# x\n" + VECTORS["nmea_rmc"])
    (tmp_path / "a/gnss.log.chk").write_text(VECTORS["nmea_rmc"])
    (tmp_path / 'dock "1".bin').write_bytes(bytes.fromhex(VECTORS["r200_aa"]))
    (tmp_path / "other.log").write_text("hello")
    return tmp_path


EXPECTED = (
    Capture(file="a/gnss.log", codec="nmea", baud=9600, clock="device"),
    Capture(file='dock "1".bin', codec="r200", baud=115_200, clock="none"),
)


def test_files_are_recognised_by_what_decodes(folder: Path) -> None:
    assert EXPECTED == propose(folder) == load(folder)


def test_what_is_proposed_is_what_is_read_back(folder: Path) -> None:
    (folder / FILE_NAME).write_text(to_toml(EXPECTED))
    assert EXPECTED == load(folder)


def test_a_capture_is_a_device(folder: Path) -> None:
    spec = EXPECTED[0].spec(folder)
    source = parse_source(spec.source)
    assert (spec.id, spec.driver, source.path) == ("gnss", "nmea", str(folder / "a/gnss.log"))


@pytest.mark.parametrize(
    "text",
    [
        "[[capture]]\nfile='a/gnss.log'\n",
        "[[capture]]\nfile='a/gnss.log'\ncodec='morse'\n",
        "[[capture]]\nfile='a/gnss.log'\ncodec='nmea'\ncolour='red'\n",
        "[[capture]]\nfile='a/gnss.log'\ncodec='nmea'\nbaud=0\n",
        "[[capture]]\nfile='a/gnss.log'\ncodec='nmea'\nclock='mine'\n",
        "[[capture]]\nfile='nothing'\ncodec='nmea'\n",
        "other=1\n",
        "[[capture\n",
    ],
)
def test_a_wrong_file_is_refused_with_its_name(folder: Path, text: str) -> None:
    (folder / FILE_NAME).write_text(text)
    with pytest.raises(SpecError, match=FILE_NAME):
        load(folder)
