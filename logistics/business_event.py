"""What follows from readings, and what readings were made of: zone events and frame digests.

Bodies of entries of kind 4 and 5 (docs/formats/business-event.md).
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from logistics.reading import (
    EPC_BYTES_MAX,
    FLAG_OK,
    FLAGS_ALL,
    TIME_MS_MAX,
    UINT64_MAX,
    Items,
)

EVENT_VERSION: Final = 1
SENDER_BYTES_MAX: Final = 16


class ZoneStep(IntEnum):
    """What a tag did; the numbers are part of the format and are never given anew."""

    ARRIVED = 1
    MOVED = 2
    DEPARTED = 3
    DISPLACED = 4  # forgotten, because the zone held as many as it may


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneEvent:
    """A tag came into a zone, went from another into it, or left it. Entry kind 4."""

    step: ZoneStep
    epc: bytes
    zone: str
    from_zone: str | None = None  # of MOVED
    reads: int  # sightings that the step rests on; of the stay for DEPARTED
    dwell_ms: int  # first to last of them
    rssi_cdbm: int | None = None  # the strongest of them

    def to_body(self) -> list[Any]:
        """[1, step, epc, zone, from_zone, reads, dwell_ms, rssi_cdbm]."""
        return [
            EVENT_VERSION,
            int(self.step),
            self.epc,
            self.zone,
            self.from_zone,
            self.reads,
            self.dwell_ms,
            self.rssi_cdbm,
        ]

    @staticmethod
    def from_body(value: object) -> "ZoneEvent":
        """The record of a decoded body. Raises BodyError."""
        items = Items("zone event", value, 8)
        return ZoneEvent(
            step=ZoneStep(items.integer("step", min(ZoneStep), max(ZoneStep))),
            epc=items.octets("epc", EPC_BYTES_MAX),
            zone=items.text("zone"),
            from_zone=items.text_or_none("from_zone"),
            reads=items.integer("reads", 0, UINT64_MAX),
            dwell_ms=items.integer("dwell_ms", 0, UINT64_MAX),
            rssi_cdbm=items.integer_or_none("rssi_cdbm", -20_000, 5_000),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameDigest:
    """The digest of a frame that readings were decoded from elsewhere. Entry kind 5."""

    sha256: bytes
    size_bytes: int
    sender: bytes  # the device's own address, such as an EUI-64
    counter: int | None = None  # the sender's
    flags: int = FLAG_OK
    device_time_ms: int | None = None

    def to_body(self) -> list[Any]:
        """[1, sha256, size_bytes, sender, counter, flags, device_time_ms]."""
        return [
            EVENT_VERSION,
            self.sha256,
            self.size_bytes,
            self.sender,
            self.counter,
            self.flags,
            self.device_time_ms,
        ]

    @staticmethod
    def from_body(value: object) -> "FrameDigest":
        """The record of a decoded body. Raises BodyError."""
        items = Items("frame digest", value, 7)
        return FrameDigest(
            sha256=items.octets_of("sha256", 32),
            size_bytes=items.integer("size_bytes", 0, UINT64_MAX),
            sender=items.octets("sender", SENDER_BYTES_MAX),
            counter=items.integer_or_none("counter", 0, UINT64_MAX),
            flags=items.integer("flags", 0, FLAGS_ALL),
            device_time_ms=items.integer_or_none("device_time_ms", 0, TIME_MS_MAX),
        )
