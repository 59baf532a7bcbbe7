"""What a device is to the bridge, and what the bridge hands on: frozen records, no behaviour.

DeviceSpec goes in (from the configuration); Arrival comes out, one per frame, payload or read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from logistics.business_event import FrameDigest
from logistics.reading import Position, TagSighting, Telemetry

RAW_BYTES_MAX: Final = 256  # what is kept of rejected bytes


class Reason(StrEnum):
    """Why bytes are not a reading; counters and logs use these words."""

    NOISE = "noise"  # bytes between frames
    FRAME = "frame"  # a frame that breaks its own form
    CHECKSUM = "checksum"  # the frame's own check is wrong or absent
    EPC_CRC = "epc-crc"  # the frame is whole, but the tag's CRC inside it is wrong
    NO_FIX = "no-fix"  # a receiver that does not know where it is
    SENTINEL = "sentinel"  # "no value" in the form of a value, as 85.000 degrees
    FAULT = "fault"  # the device itself reports that it failed
    FIELD = "field"  # a field is missing, of the wrong type or out of range
    NUMBER = "number"  # NaN, Infinity, or more digits than 64 bits hold
    JSON = "json"  # not JSON, or nested too deep
    OVERSIZE = "oversize"  # longer than this transport takes
    TIMEOUT = "timeout"  # a device that was asked gave no answer in time
    COUNTER = "counter"  # a counter that did not rise: an old message, or a forged one
    ENCRYPTED = "encrypted"  # no key for it, or the key is wrong
    UNKNOWN = "unknown"  # well-formed, but nothing in it that the driver knows


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSpec:
    """One configured device.

    source is a URI: `serial:/dev/serial/by-id/...?baud=9600`, `tcp:reader.local:5084`,
    `replay:/path/file.log?rate=10&loop=0`, `w1:/sys/bus/w1/devices/28-xxx/w1_slave`,
    `mqtt:zigbee2mqtt/fridge-1`.
    """

    id: str
    driver: str  # a name in the entry point group wharfinger.drivers
    source: str
    interval_ms: int | None = None  # how often a value is due; None where nobody knows
    options: Mapping[str, str | int | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One value of one channel of a device."""

    channel: str
    quantity: str
    unit: str | None  # UN/ECE Rec 20; None for what is no number
    record: Telemetry | TagSighting | Position | FrameDigest


@dataclass(frozen=True, slots=True)
class Rejected:
    """Bytes that gave no reading, and why; raw holds at most RAW_BYTES_MAX of size_bytes."""

    raw: bytes
    reason: Reason
    size_bytes: int


def rejected(raw: bytes, reason: Reason) -> Rejected:
    """The rejection of these bytes, of which only the first RAW_BYTES_MAX are kept."""
    return Rejected(bytes(raw[:RAW_BYTES_MAX]), reason, len(raw))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What one frame, payload or read gave.

    acknowledge: call it once everything in here, and all that came before, is durable; None where
    nobody waits for it. MQTT messages without observations are acknowledged by the bridge itself.
    """

    device_id: str
    observations: tuple[Observation, ...]
    rejected: tuple[Rejected, ...]
    received_mono_us: int
    acknowledge: Callable[[], None] | None = None
    qos: int | None = None  # of the MQTT message
    retained: bool = False
    redelivered: bool = False  # the broker says that it sent this message before
    # 16 bytes, the same at a redelivery and at no other delivery
    payload_digest: bytes | None = None
