"""MQTT JSON: exact numbers, strict bounds, honest times."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.devices import Observation, Reason, Rejected
from firmware_bridge.drivers.tasmota import decode_tasmota
from firmware_bridge.drivers.zigbee2mqtt import decode_zigbee2mqtt
from logistics.reading import FLAG_STALE, FLAG_SUSPECT, FLAG_UNAUTHENTICATED, TagSighting, Telemetry

NOW_MS = 1_795_428_900_000  # 2026-11-23T10:15:00Z


def fridge(text: str, wall_ms: int | None = NOW_MS) -> list[Observation | Rejected]:
    return decode_zigbee2mqtt(text.encode("utf-8", "surrogatepass"), wall_ms)


def only(events: list[Observation | Rejected]) -> Telemetry:
    (event,) = events
    assert isinstance(event, Observation), event
    assert isinstance(event.record, Telemetry)
    return event.record


def reason(events: list[Observation | Rejected]) -> Reason:
    (event,) = events
    assert isinstance(event, Rejected), event
    return event.reason


@pytest.mark.parametrize(
    ("written", "value", "exponent"),
    [
        ("4.3", 4300, -3),
        ("-0.05", -50, -3),
        ("4", 4000, -3),
        ("4.12345", 412_345, -5),
        ("1e1", 10_000, -3),
        ("0.1", 100, -3),
        ("-0", 0, -3),
    ],
)
def test_a_number_is_stored_as_it_was_written(written: str, value: int, exponent: int) -> None:
    record = only(fridge(f'{{"temperature": {written}}}'))
    assert (value, exponent, "CEL") == (record.value, record.exponent, record.unit)


def test_a_state_message_gives_one_reading_per_known_field() -> None:
    events = fridge('{"temperature":4.25,"humidity":60.1,"battery":99,"linkquality":3,"x":{"y":1}}')
    channels = [e.channel for e in events if isinstance(e, Observation)]
    assert ["temperature", "humidity", "battery"] == channels


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{not json", Reason.JSON),
        ("", Reason.JSON),
        ('{"temperature": NaN}', Reason.NUMBER),
        ('{"temperature": Infinity}', Reason.NUMBER),
        ('{"temperature": 1e999}', Reason.NUMBER),
        ('{"temperature": ' + "9" * 5000 + "}", Reason.NUMBER),
        ('{"temperature": 4.1, "temperature": 9.9}', Reason.JSON),
        ("[" * 30_000, Reason.JSON),
        ('{"a":' * 17 + "1" + "}" * 17, Reason.JSON),
        ('{"temperature": 4.1}' + " " * 70_000, Reason.OVERSIZE),
        ("[1, 2]", Reason.UNKNOWN),
        ('{"state": "online"}', Reason.UNKNOWN),
        ('{"temperature": null}', Reason.SENTINEL),
        ('{"temperature": "4.1"}', Reason.FIELD),
        ('{"temperature": true}', Reason.FIELD),
        ('{"temperature": -327.68}', Reason.FIELD),
        ('{"humidity": 100.01}', Reason.FIELD),
    ],
)
def test_what_is_no_reading_is_rejected_by_name(text: str, expected: Reason) -> None:
    assert expected == reason(fridge(text))


def test_text_that_is_not_utf_8_is_rejected() -> None:
    assert Reason.JSON == reason(decode_zigbee2mqtt(b'{"temperature": 4.1, "x": "\xff"}'))
    assert Reason.JSON == reason(decode_zigbee2mqtt('{"temperature": 4.1}'.encode("utf-16")))


@pytest.mark.parametrize(
    ("last_seen", "time_ms", "flags"),
    [
        ('"2026-11-23T10:14:59.123Z"', NOW_MS - 877, 0),
        ('"2026-11-23T11:14:59.123+01:00"', NOW_MS - 877, 0),
        ("1795428899123", NOW_MS - 877, 0),
        ('"1970-01-01T00:00:05Z"', 5000, FLAG_SUSPECT),
        ('"2099-01-01T00:00:00Z"', 4_070_908_800_000, FLAG_SUSPECT),
        ('"2026-11-23T08:00:00Z"', NOW_MS - 8_100_000, FLAG_STALE),
        ('"2026-11-23T10:15:00"', None, 0),
        ('"1970-01-01T00:00:05"', None, FLAG_SUSPECT),
        ('"yesterday"', None, FLAG_SUSPECT),
        ("1e300", None, FLAG_SUSPECT),
        ("-5", None, FLAG_SUSPECT),
        ('{"a": 1}', None, FLAG_SUSPECT),
    ],
)
def test_a_device_time_is_kept_and_judged(last_seen: str, time_ms: int | None, flags: int) -> None:
    record = only(fridge(f'{{"temperature": 4.1, "last_seen": {last_seen}}}'))
    assert (4100, time_ms, flags) == (record.value, record.device_time_ms, record.flags)


def test_tasmota_gives_a_reading_per_sensor_in_the_units_it_names() -> None:
    payload = {
        "Time": "2026-11-23T10:15:00",
        "DS18B20-1": {"Id": "00000566CC39", "Temperature": 55.9},
        "AM2301": {"Temperature": 70.1, "Humidity": 40.5, "DewPoint": 44.7},
        "TempUnit": "F",
    }
    events = decode_tasmota(json.dumps(payload).encode(), NOW_MS)
    read = [e for e in events if isinstance(e, Observation) and isinstance(e.record, Telemetry)]
    found = {e.channel: (only([e]).value, e.unit) for e in read}
    assert {
        "DS18B20-1/temperature": (55_900, "FAH"),
        "AM2301/temperature": (70_100, "FAH"),
        "AM2301/humidity": (4050, "P1"),
    } == found


@pytest.mark.parametrize(("unit", "power_on"), [("C", 85), ("C", 85.0), ("F", 185.0)])
def test_a_tasmota_probe_that_was_just_powered_on_has_no_value(unit: str, power_on: float) -> None:
    payload = {"DS18B20": {"Temperature": power_on}, "TempUnit": unit}
    assert Reason.SENTINEL == reason(decode_tasmota(json.dumps(payload).encode()))


def test_a_card_is_a_sighting_that_nobody_vouches_for() -> None:
    (event,) = decode_tasmota(b'{"RC522":{"UID":"BA839D07","Data":"","Type":"MIFARE 1KB"}}')
    assert isinstance(event, Observation)
    expected = TagSighting(epc=bytes.fromhex("ba839d07"), flags=FLAG_UNAUTHENTICATED)
    assert ("RC522/tag", expected) == (event.channel, event.record)


def test_a_name_that_cannot_be_a_channel_is_rejected() -> None:
    assert Reason.FIELD == reason(decode_tasmota(b'{"\\ud800": {"Temperature": 4.1}}'))


@given(st.binary(max_size=200))
def test_no_bytes_raise(payload: bytes) -> None:
    assert decode_zigbee2mqtt(payload, NOW_MS)
    assert decode_tasmota(payload, NOW_MS)


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["temperature", "Temperature", "humidity", "last_seen", "Time", "UID"])
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON)
def test_no_document_raises_and_every_reading_has_a_legal_body(document: object) -> None:
    payload = json.dumps(document).encode()
    for event in decode_zigbee2mqtt(payload, NOW_MS) + decode_tasmota(payload, NOW_MS):
        if isinstance(event, Observation):
            assert event.record == type(event.record).from_body(event.record.to_body())
