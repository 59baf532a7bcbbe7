"""A fleet of simulated devices, read from SPEC.json (its form is in `__main__`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from firmware_bridge.errors import SpecError

Curve = tuple[tuple[float, float], ...]

_FLEET: Final = frozenset(
    {
        "seed",
        "speed",
        "clock",
        "start_unix_ms",
        "log_dir",
        "ready_file",
        "broker",
        "pulls",
        "devices",
    }
)
_FIELDS: Final = {
    "nmea": {"link", "route", "kmh", "no_fix_s"},
    "r200": {"link", "head", "tags"},
    "llrp": {
        "port", "certificate", "key", "tags", "clock_ahead_ms",
        "cut_s", "garbage_s", "mute_s", "busy_s",
    },
    "ds18b20": {"file", "curve", "noise"},
    "zigbee2mqtt": {"topic", "curve", "humidity", "noise"},
    "tasmota": {"topic", "sensor", "curve", "noise"},
    "modbus": {"link", "units"},
    "teltonika": {"port", "imei", "route", "kmh", "curve", "noise"},
    "gpsd": {"port", "route", "kmh"},
}  # fmt: skip  # a kind a line


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where the MQTT devices publish."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulls:
    """How long cables stay in and out: the shortest and the longest time, seconds."""

    up_s: tuple[float, float]
    down_s: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedDevice:
    """One device; fields holds what is particular to its kind."""

    id: str
    kind: str
    interval_ms: int
    fields: Mapping[str, Any]

    def curve(self, name: str = "curve") -> Curve:
        """The [trip second, value] points of a field. Raises SpecError."""
        points = self.fields.get(name, [[0, 4.0]])
        try:
            return tuple((float(at), float(value)) for at, value in points)
        except (TypeError, ValueError) as error:
            raise SpecError(f"devices.{self.id}.{name}", "not [[second, value], ...]") from error

    def text(self, name: str, default: str | None = None) -> str:
        """A text field. Raises SpecError if it is absent without a default."""
        value = self.fields.get(name, default)
        if not isinstance(value, str):
            raise SpecError(f"devices.{self.id}.{name}", "missing or not a text")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All devices of one process."""

    seed: int = 1
    speed: float = 1.0
    clock: str = "real"
    start_unix_ms: int = 0
    log_dir: Path
    ready_file: Path | None = None
    broker: Broker = field(default_factory=Broker)
    pulls: Pulls | None = None
    devices: tuple[SimulatedDevice, ...]


def parse_fleet(document: Any) -> Fleet:
    """The fleet of a JSON document. Raises SpecError naming the field."""
    if not isinstance(document, dict) or set(document) - _FLEET:
        unknown = ", ".join(set(document) - _FLEET) if isinstance(document, dict) else ""
        raise SpecError("fleet", f"not an object, or unknown fields: {unknown}")
    clock = document.get("clock", "real")
    if clock not in ("real", "trip"):
        raise SpecError("clock", 'neither "real" nor "trip"')
    devices = tuple(_device(item) for item in document.get("devices", ()))
    if len({device.id for device in devices}) != len(devices):
        raise SpecError("devices", "an id occurs twice")
    try:
        ready = document.get("ready_file")
        return Fleet(
            seed=int(document.get("seed", 1)),
            speed=float(document.get("speed", 1)),
            clock=clock,
            start_unix_ms=int(document.get("start_unix_ms", 0)),
            log_dir=Path(document["log_dir"]),
            ready_file=None if ready is None else Path(ready),
            broker=Broker(**document.get("broker", {})),
            pulls=_pulls(document.get("pulls")),
            devices=devices,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SpecError("fleet", f"missing or wrong: {error}") from error


def _pulls(item: Any) -> Pulls | None:
    """The pulls of a fleet. Raises KeyError, TypeError, ValueError."""
    if item is None:
        return None
    (up_min, up_max), (down_min, down_max) = item["up_s"], item["down_s"]
    return Pulls(up_s=(float(up_min), float(up_max)), down_s=(float(down_min), float(down_max)))


def _device(item: Any) -> SimulatedDevice:
    if not isinstance(item, dict) or item.get("kind") not in _FIELDS or not item.get("id"):
        raise SpecError("devices", f"an item without id or with an unknown kind: {item!r:.80}")
    fields = {name: value for name, value in item.items() if name not in ("id", "kind")}
    interval_ms = fields.pop("interval_ms", 1000)
    unknown = set(fields) - _FIELDS[item["kind"]]
    if unknown or type(interval_ms) is not int or interval_ms < 1:
        raise SpecError(f"devices.{item['id']}", f"unknown fields {unknown} or wrong interval_ms")
    return SimulatedDevice(
        id=str(item["id"]), kind=item["kind"], interval_ms=interval_ms, fields=fields
    )
