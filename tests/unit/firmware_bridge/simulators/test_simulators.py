"""The parts of the simulators that invent: same seed, same trip; and a specification is read
strictly.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge.codecs.rfid_uhf import multi_poll, stop_poll
from firmware_bridge.errors import SpecError
from firmware_bridge.simulators.mqtt_devices import zigbee_payload
from firmware_bridge.simulators.reader import split_commands
from firmware_bridge.simulators.spec import Fleet, parse_fleet
from firmware_bridge.simulators.ticks import Ticks
from firmware_bridge.simulators.trip import Trip, on_curve, on_route


def fleet(**changes: Any) -> Fleet:
    device = {
        "id": "fridge",
        "kind": "zigbee2mqtt",
        "topic": "t",
        "curve": [[0, 4], [60, 8]],
        "noise": 0.5,
    }
    document = {"log_dir": "/logs", "clock": "trip", "start_unix_ms": 1_795_428_900_000}
    return parse_fleet({**document, "devices": [device], **changes})


def payloads(made: Fleet) -> list[bytes]:
    trip = Trip(made, made.devices[0])
    return [zigbee_payload(made.devices[0], trip, tick) for tick in range(20)]


def test_the_same_seed_gives_the_same_messages() -> None:
    assert payloads(fleet(seed=5)) == payloads(fleet(seed=5))
    assert payloads(fleet(seed=5)) != payloads(fleet(seed=6))


def test_trip_time_runs_at_the_fleets_speed() -> None:
    made = fleet(speed=60)
    state = json.loads(payloads(made)[2])
    assert "2026-11-23T10:17:00.000Z" == state["last_seen"]


def test_curves_are_straight_between_points_and_level_outside() -> None:
    curve = ((10.0, 4.0), (20.0, 8.0), (20.0, 1.0))
    values = [on_curve(curve, second) for second in (0, 10, 15, 20, 99)]
    assert [4.0, 4.0, 6.0, 8.0, 1.0] == values


def test_a_route_is_followed_by_metres_and_ends_where_it_ends() -> None:
    route = [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]
    lat, lon, course = on_route(route, 55_597.5)
    assert (0.0, 0.5, 90.0) == (lat, round(lon, 3), round(course, 3))
    assert (1.0, 1.0) == on_route(route, 10**9)[:2]


def test_commands_are_found_behind_noise_and_in_pieces() -> None:
    pending = bytearray(b"\x00\xbb\x01" + multi_poll(0xBB, 7) + stop_poll(0xBB)[:3])
    assert [(0x27, b"\x22\x00\x07")] == split_commands(pending, 0xBB)
    pending += stop_poll(0xBB)[3:]
    assert [(0x28, b"")] == split_commands(pending, 0xBB)


async def test_ticks_count_from_zero_and_end_with_stop() -> None:
    stop = asyncio.Event()
    seen = []
    async for tick in Ticks(1, stop):
        seen.append(tick)
        if tick == 3:
            stop.set()
    assert [0, 1, 2, 3] == seen


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"devices": []},
        {"log_dir": "/x", "colour": 1},
        {"log_dir": "/x", "clock": "sun"},
        {"log_dir": "/x", "broker": {"colour": 1}},
        {"log_dir": "/x", "devices": [{"id": "a", "kind": "toaster"}]},
        {"log_dir": "/x", "devices": [{"id": "a", "kind": "nmea", "colour": 1}]},
        {"log_dir": "/x", "devices": [{"id": "a", "kind": "nmea", "interval_ms": 0}]},
        {"log_dir": "/x", "devices": [{"id": "a", "kind": "nmea"}, {"id": "a", "kind": "nmea"}]},
    ],
)
def test_a_wrong_specification_is_refused(document: Any) -> None:
    with pytest.raises(SpecError):
        parse_fleet(document)


def test_logs_go_where_the_specification_says() -> None:
    assert Path("/logs") == fleet().log_dir
