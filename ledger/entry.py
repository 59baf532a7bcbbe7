"""Entries: what a feed counts. Opaque to the ledger but for kind, slot, time and srcseq.

entry = [ kind, slot, time: gtime, srcseq, body ]
gtime = [ boot, mono-us, wall-us / null, quality 0..4, unc-us ]
leaf  = salt (16 bytes) || entry bytes
"""

from dataclasses import dataclass
from typing import Any, Final

from ledger.canonical import decode, encode
from ledger.errors import FormatError, LimitError
from ledger.hashing import tagged

ENTRY_BYTES_MAX: Final = 65_535
SALT_BYTES: Final = 16
FEED_ID_BYTES: Final = 16

KIND_GENESIS: Final = 0
KIND_TELEMETRY: Final = 1
KIND_TAG_SIGHTING: Final = 2
KIND_POSITION: Final = 3
KIND_BUSINESS_EVENT: Final = 4
KIND_DOCUMENT_HASH: Final = 5
KIND_DESCRIPTOR: Final = 6
KIND_GAP: Final = 7
KIND_CLOCK_STEP: Final = 8
KIND_KEY_CHANGE: Final = 9
KIND_HEALTH: Final = 10
KIND_PADDING: Final = 11
KIND_SUMMARY: Final = 12
KIND_BOOT: Final = 13
KIND_RETIREMENT: Final = 14
SEALER_KINDS: Final = frozenset({KIND_GENESIS, KIND_SUMMARY, KIND_BOOT})

QUALITY_NONE, QUALITY_RTC, QUALITY_NTP, QUALITY_GNSS, QUALITY_AUTHENTICATED = range(5)

PUBLIC_AUDIENCE: Final = 0
CONTROL_SLOT: Final = 0  # slot of audience 0 that carries genesis, boots, clock steps, key changes


@dataclass(frozen=True, slots=True)
class GTime:
    """When an entry was counted: boot number, time since boot, wall time if known, how far to trust
    it.
    """

    boot: int
    mono_us: int
    wall_us: int | None
    quality: int
    unc_us: int

    def to_value(self) -> list[int | None]:
        """The five elements in their order on the wire."""
        return [self.boot, self.mono_us, self.wall_us, self.quality, self.unc_us]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; `body` is any canonical value."""

    kind: int
    slot: int
    time: GTime
    srcseq: int
    body: Any

    @property
    def order(self) -> tuple[int, int]:
        """Place of its time inside one gateway: (boot, mono_us)."""
        return self.time.boot, self.time.mono_us


def audience_of(slot: int) -> int:
    """The audience that may read a slot."""
    return slot >> 16


def slot_number(audience: int, n: int) -> int:
    """The slot with number n of an audience; n = 0 is the audience's control slot."""
    return audience << 16 | n


def encode_entry(entry: Entry) -> bytes:
    """Canonical bytes of an entry; raises LimitError over 65,535 bytes."""
    data = encode([entry.kind, entry.slot, entry.time.to_value(), entry.srcseq, entry.body])
    if len(data) > ENTRY_BYTES_MAX:
        raise LimitError("entry size in bytes", len(data), ENTRY_BYTES_MAX)
    return data


def decode_entry(data: bytes) -> Entry:
    """The entry that these bytes are; raises NotCanonicalError, FormatError or LimitError."""
    if len(data) > ENTRY_BYTES_MAX:
        raise LimitError("entry size in bytes", len(data), ENTRY_BYTES_MAX)
    return entry_from_value(decode(data))


def entry_from_value(value: object) -> Entry:
    """The entry in a decoded canonical value."""
    if not isinstance(value, list) or len(value) != 5:
        raise FormatError("entry", "not five elements")
    kind, slot, time, srcseq, body = value
    if not all(_uint(item) for item in (kind, slot, srcseq)) or slot >> 32:
        raise FormatError("entry", "kind, slot or srcseq is not an unsigned integer in range")
    return Entry(kind, slot, gtime_from_value(time), srcseq, body)


def gtime_from_value(value: object) -> GTime:
    """The time in a decoded canonical value; raises FormatError."""
    if not isinstance(value, list) or len(value) != 5:
        raise FormatError("gtime", "not five elements")
    boot, mono_us, wall_us, quality, unc_us = value
    if not all(_uint(item) for item in (boot, mono_us, quality, unc_us)) or quality > 4:
        raise FormatError("gtime", "boot, mono, quality or uncertainty out of range")
    if wall_us is not None and type(wall_us) is not int:
        raise FormatError("gtime", "wall time is not an integer")
    if wall_us is None and quality:
        raise FormatError("gtime", "a quality without a wall time")
    return GTime(boot, mono_us, wall_us, quality, unc_us)


def _uint(value: object) -> bool:
    return type(value) is int and value >= 0


def feed_id_of(genesis_entry: bytes) -> bytes:
    """The feed's name: first 16 bytes of SHA-256("wharf/feed/1" || genesis entry)."""
    return tagged("wharf/feed/1", genesis_entry)[:FEED_ID_BYTES]


def genesis_leaf(genesis_entry: bytes) -> bytes:
    """Leaf 0 of a feed: its salt is zero, so that the feed's name can be checked without a key."""
    return bytes(SALT_BYTES) + genesis_entry
