"""Who plays: a chain machine, a cold room, a truck, their devices and their configurations."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

HARBOUR: Final = "Harbour Consortium"
COLD_STORE: Final = "Cold Store Ltd"
CARRIER: Final = "North Road Carriers"
CHAIN_ID: Final = "wharf-demo"
LOW_MILLI, HIGH_MILLI = 2_000, 8_000
SPEED: Final = 120  # trip seconds per real second
_ROUTE: Final = [
    [53.5350, 9.9680], [53.4700, 9.9900], [53.3300, 9.9500], [53.1800, 9.6200], [53.1000, 9.3800],
    [53.0900, 8.9800], [53.0800, 8.8100], [53.1500, 8.7000], [53.3000, 8.6200], [53.5400, 8.5800],
]  # fmt: skip  # two points a line would hide the way


@dataclass(frozen=True, slots=True)
class Actor:
    """A gateway of the play."""

    name: str
    party: str
    devices: tuple[dict[str, Any], ...]


@dataclass(slots=True)
class Channel:
    """A channel that the account follows."""

    actor: str
    device: str
    channel: str
    acknowledged: bool  # MQTT with QoS 1: the device knows what was taken
    sampled: bool = False  # read by the gateway when it likes: what is offered is not all taken
    limits: tuple[int, int] | None = field(default=(LOW_MILLI, HIGH_MILLI))


def fleet(folder: Path, broker_port: int) -> dict[str, Any]:
    """The simulators' specification."""
    return {
        "seed": 7,
        "speed": SPEED,
        "clock": "real",
        "log_dir": str(folder / "sent"),
        "ready_file": str(folder / "fleet-ready"),
        "broker": {"host": "127.0.0.1", "port": broker_port},
        "devices": [
            {
                "id": "probe-1", "kind": "ds18b20", "file": str(folder / "w1" / "w1_slave"),
                "interval_ms": 500, "noise": 0.1, "curve": [[0, 4.0], [3600, 4.6], [9000, 3.8]],
            },
            {
                "id": "dock-reader", "kind": "r200", "link": str(folder / "dock-reader"),
                "interval_ms": 1000,
                "tags": [{"epc": "3074257bf7194e4000001a85", "from_s": 0, "to_s": 20_000}],
            },
            {
                "id": "fridge-1", "kind": "zigbee2mqtt", "topic": "zigbee2mqtt/fridge-1",
                "interval_ms": 250, "noise": 0.15, "curve": [[0, 5.0], [7200, 5.6], [20000, 4.9]],
                "humidity": [[0, 62.0], [9000, 71.0]],
            },
            {
                "id": "truck-gnss", "kind": "nmea", "link": str(folder / "truck-gnss"),
                "interval_ms": 500, "route": _ROUTE, "kmh": 70,
            },
            {
                "id": "cargo-probe", "kind": "tasmota", "topic": "tele/cargo/SENSOR",
                "interval_ms": 250, "sensor": "DS18B20-1", "noise": 0.2,
                "curve": [[0, 4.5], [2400, 5.0], [4200, 9.4], [5400, 6.0], [20000, 5.0]],
            },
        ],
    }  # fmt: skip  # one group a line reads as the specification does


def actors(folder: Path) -> tuple[Actor, Actor]:
    """The two gateways with their devices."""
    cold_room = Actor(
        "cold-room",
        COLD_STORE,
        (
            _device("probe-1", "ds18b20", f"w1:{folder / 'w1' / 'w1_slave'}"),
            _device("dock-reader", "r200", f"serial:{folder / 'dock-reader'}?baud=115200"),
            _device("fridge-1", "zigbee2mqtt", "mqtt:zigbee2mqtt/fridge-1"),
        ),
    )
    truck = Actor(
        "truck",
        CARRIER,
        (
            _device("truck-gnss", "nmea", f"serial:{folder / 'truck-gnss'}?baud=9600"),
            _device("cargo-probe", "tasmota", "mqtt:tele/cargo/SENSOR"),
        ),
    )
    return cold_room, truck


def channels(*, broker_keeps: bool) -> tuple[Channel, ...]:
    """What the account and the page follow. broker_keeps: its PUBACK is a promise that holds."""
    return (
        Channel("cold-room", "probe-1", "temperature", acknowledged=False, sampled=True),
        Channel("cold-room", "dock-reader", "tags", acknowledged=False, limits=None),
        Channel("cold-room", "fridge-1", "temperature", acknowledged=broker_keeps),
        Channel("truck", "truck-gnss", "position", acknowledged=False, limits=None),
        Channel("truck", "cargo-probe", "DS18B20-1/temperature", acknowledged=broker_keeps),
    )


def _device(device_id: str, driver: str, source: str) -> dict[str, Any]:
    return {"id": device_id, "driver": driver, "source": source, "interval_s": 1}


def gateway_toml(
    actor: Actor,
    *,
    data_dir: Path,
    key_uri: str,
    development: bool,
    broker_port: int,
    broker_keeps: bool,
    node: tuple[str, Path, str],
    reader: str,
    recovery: str,
) -> str:
    """A gateway's configuration. node: address, certificate, genesis digest."""
    address, certificate, genesis = node
    lines = [
        f'[gateway]\nname = "{actor.name}"\nparty = "{actor.party}"\ndata_dir = "{data_dir}"',
        f"development = {str(development).lower()}",
        f'[key]\nuri = "{key_uri}"',
        "[seal]\ncount = 500\ninterval_s = 2\nidle_s = 4",
        "[status]\nport = 0",
        f"[broker]\nport = {broker_port}\npersistent = {str(broker_keeps).lower()}",
        f'[[consortium]]\naddress = "{address}"\ncertificate = "{certificate}"',
        f'genesis_sha256 = "{genesis}"',
        f'[[audience]]\nid = 1\nname = "the goods"\nreaders = ["{reader}", "{recovery}"]',
    ]
    for device in actor.devices:
        rows = [
            f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}"
            for key, value in device.items()
        ]
        lines.append("[[device]]\n" + "\n".join(rows) + "\naudience = 1")
    return "\n".join(lines) + "\n"
