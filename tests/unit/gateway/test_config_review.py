from pathlib import Path

import pytest

from gateway.compose import check_audiences
from gateway.config import parse_config, read_config
from gateway.errors import ConfigError
from gateway.slots import SlotBook
from ledger.entry import KIND_DESCRIPTOR, QUALITY_NONE, Entry, GTime, slot_number
from logistics.reading import Descriptor

PATH = Path("/etc/wharf/gateway.toml")
MAIN = """\
[gateway]
name = "cold-room"
party = "Cold Store Ltd"
data_dir = "data"
development = true
[key]
uri = "file:/key.pem"
[[audience]]
id = 1
name = "own goods"
readers = []
"""
DEVICE = """\
[[device]]
id = "{id}"
driver = "nmea"
source = "{source}"
audience = 1
"""
FIRST = DEVICE.format(id="gps-1", source="serial:/dev/gps-1")


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, PATH)
    return str(caught.value)


def line_of(text: str, part: str) -> int:
    return text[: text.rindex(part)].count("\n") + 1


def test_a_wrong_key_in_the_second_device_is_told_with_its_own_line() -> None:
    text = MAIN + FIRST + DEVICE.format(id="gps-2", source="serial:/dev/gps-2") + "interval_s = 'x'"
    assert f":{line_of(text, 'interval_s')}: interval_s: " in refusal(text)
    text = MAIN + FIRST + 'colour = "red"\n' + DEVICE.format(id="b", source="w1:/b")
    assert f":{line_of(text, 'colour')}: colour: unknown key" in refusal(text)


def test_a_device_id_given_twice_is_told_with_the_second_line() -> None:
    text = MAIN + FIRST + FIRST
    assert f":{line_of(text, 'id = ')}: id: 'gps-1' is given twice" in refusal(text)


def test_an_audience_id_given_twice_is_refused() -> None:
    text = MAIN + '[[audience]]\nid = 1\nname = "other"\nreaders = []\n'
    assert f":{line_of(text, 'id = 1')}: id: 1 is another audience's" in refusal(text)


@pytest.mark.parametrize("source", ["bogus:x", "serial:relative", "serial:/dev/x?speed=1"])
def test_a_source_that_no_transport_takes_is_refused_before_the_start(source: str) -> None:
    assert ": source: " in refusal(MAIN + DEVICE.format(id="gps", source=source))


def test_a_driver_that_does_not_fit_its_source_is_refused_before_the_start() -> None:
    assert ": source: " in refusal(MAIN + DEVICE.format(id="gps", source="w1:/sys/x"))


@pytest.mark.parametrize("name", ["", "x" * 101, "a\\nb"])
def test_a_device_name_that_the_chain_would_refuse_is_refused_here(name: str) -> None:
    assert ": id: must be 1 to 100" in refusal(MAIN + DEVICE.format(id=name, source="serial:/x"))


def test_a_slash_in_a_device_name_is_refused_because_it_parts_device_from_channel() -> None:
    assert ": id: " in refusal(MAIN + DEVICE.format(id="a/b", source="serial:/x"))


def test_a_file_that_is_no_text_is_told_and_not_traced(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="no text in UTF-8"):
        read_config(path)


def test_a_counted_device_is_never_given_to_other_readers() -> None:
    descriptor = Descriptor(
        device_id="gps-1",
        channel="position",
        quantity="position",
        unit=None,
        driver="nmea",
        interval_ms=None,
    )
    book = SlotBook()
    time = GTime(1, 1, None, QUALITY_NONE, 0)
    book.apply(Entry(KIND_DESCRIPTOR, slot_number(2, 1), time, 0, descriptor.to_body()))
    with pytest.raises(ConfigError, match="give it a new id"):
        check_audiences(parse_config(MAIN + FIRST, PATH), book)
    check_audiences(parse_config(MAIN, PATH), book)
