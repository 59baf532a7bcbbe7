"""LLRP 1.0.1 and 1.1, the protocol of fixed UHF readers: messages and their parameters.

Message: 3 bits reserved, 3 bits version, 10 bits type, u32 length with this header, u32 id, then
parameters. A parameter is TV (top bit set, 7 bits type, a length that the type fixes) or TLV
(6 bits reserved, 10 bits type, u16 length with these four bytes). All numbers are big-endian.

There is no checksum: what keeps noise out is that type, length and every parameter inside must fit.
Source: EPCglobal Low Level Reader Protocol 1.1, sections 16 and 17.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from firmware_bridge.codecs.resync import NoiseRun
from firmware_bridge.devices import Observation, Reason, Rejected, rejected
from logistics.reading import (
    EPC_BYTES_MAX,
    FLAG_OK,
    FLAG_STALE,
    FLAG_SUSPECT,
    TIME_MS_MAX,
    TagSighting,
)

HEADER_BYTES: Final = 10
MESSAGE_BYTES_MAX: Final = 48 * 1024  # some thousand tags; capabilities are far shorter
VERSION: Final = 1
_VERSIONS: Final = (1, 2)
CHANNEL: Final = "tags"
RSSI_DBM_MAX: Final = 50  # far more than any tag sends back
CLOCK_TOLERANCE_MS: Final = 3_600_000


class Type(IntEnum):
    """The messages that are spoken here; what a reader sends besides them is no LLRP."""

    GET_CAPABILITIES = 1
    SET_CONFIG = 3
    CLOSE_CONNECTION_RESPONSE = 4
    CAPABILITIES = 11
    CONFIG_RESPONSE = 12
    SET_CONFIG_RESPONSE = 13
    CLOSE_CONNECTION = 14
    ADD_ROSPEC = 20
    DELETE_ROSPEC = 21
    START_ROSPEC = 22
    ENABLE_ROSPEC = 24
    ADD_ROSPEC_RESPONSE = 30
    DELETE_ROSPEC_RESPONSE = 31
    START_ROSPEC_RESPONSE = 32
    STOP_ROSPEC_RESPONSE = 33
    ENABLE_ROSPEC_RESPONSE = 34
    REPORT = 61
    KEEPALIVE = 62
    READER_EVENT = 63
    KEEPALIVE_ACK = 72
    ERROR = 100
    CUSTOM = 1023


class Param(IntEnum):
    """The parameters that are looked into; TV below 128, TLV from there on."""

    ANTENNA = 1
    FIRST_SEEN_UTC = 2
    LAST_SEEN_UTC = 4
    PEAK_RSSI = 6
    PC = 12
    EPC_96 = 13
    UTC = 128
    GENERAL_CAPABILITIES = 137
    REGULATORY_CAPABILITIES = 143
    UHF_BAND = 144
    POWER_ENTRY = 145
    FREQUENCY_INFORMATION = 146
    HOP_TABLE = 147
    KEEPALIVE_SPEC = 220
    TAG_REPORT = 240
    EPC_DATA = 241
    EVENT_SPEC = 244
    EVENT_STATE = 245
    EVENT_DATA = 246
    READER_EXCEPTION = 252
    ANTENNA_EVENT = 255
    CONNECTION_ATTEMPT = 256
    CONNECTION_CLOSE = 257
    STATUS = 287
    MODE_TABLE = 328
    MODE_ENTRY = 329


# Bytes of each TV parameter's value (LLRP 1.1, 17.2.7.3; 15 and 18 included).
TV_BYTES: Final = {
    1: 2, 2: 8, 3: 8, 4: 8, 5: 8, 6: 1, 7: 2, 8: 2, 9: 4, 10: 2,
    11: 2, 12: 2, 13: 12, 14: 2, 15: 2, 16: 4, 17: 2, 18: 4, 19: 2, 20: 2,
}  # fmt: skip  # a table reads by columns
_FROM_READER: Final = frozenset(Type) - {
    Type.GET_CAPABILITIES, Type.SET_CONFIG, Type.CLOSE_CONNECTION, Type.ADD_ROSPEC,
    Type.DELETE_ROSPEC, Type.START_ROSPEC, Type.ENABLE_ROSPEC, Type.KEEPALIVE_ACK,
}  # fmt: skip  # what only we say
Parameters = list[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class Message:
    """One whole message."""

    type: Type
    id: int
    body: bytes


def encode_message(kind: Type, number: int, body: bytes = b"") -> bytes:
    """The bytes of a message of version 1.0.1."""
    size = HEADER_BYTES + len(body)
    return (
        (VERSION << 10 | kind).to_bytes(2, "big")
        + size.to_bytes(4, "big")
        + number.to_bytes(4, "big")
        + body
    )


def tlv(kind: int, body: bytes = b"") -> bytes:
    """The bytes of a TLV parameter."""
    return kind.to_bytes(2, "big") + (4 + len(body)).to_bytes(2, "big") + body


def tv(kind: int, value: int) -> bytes:
    """The bytes of a TV parameter that holds a number."""
    return bytes((0x80 | kind,)) + value.to_bytes(TV_BYTES[kind], "big", signed=kind == 6)


def parameters(body: bytes) -> Parameters | None:
    """(type, value) of the parameters that fill these bytes; None where they do not fit."""
    found: Parameters = []
    start = 0
    while start < len(body):
        if body[start] & 0x80:
            kind = body[start] & 0x7F
            head, size = 1, 1 + TV_BYTES.get(kind, -1)
        elif len(body) - start < 4:
            return None
        else:
            # The six bits before a TLV's type are reserved; a reader that sets them is none.
            kind, head = int.from_bytes(body[start : start + 2], "big"), 4
            size = int.from_bytes(body[start + 2 : start + 4], "big")
        if size < head or kind > 1023 or start + size > len(body):
            return None
        found.append((kind, body[start + head : start + size]))
        start += size
    return found


def first(found: Parameters | None, kind: int) -> bytes | None:
    """The value of the first parameter of a type."""
    return next((value for name, value in found or () if name == kind), None)


def each(found: Parameters | None, kind: int) -> Iterator[bytes]:
    """The values of all parameters of a type."""
    return (value for name, value in found or () if name == kind)


class LlrpFramer:
    """Bytes in any split into messages; holds at most MESSAGE_BYTES_MAX."""

    def __init__(self, accepted: frozenset[Type] = _FROM_READER) -> None:
        """accepted: the types that the other side may send."""
        self._pending, self._noise = bytearray(), NoiseRun()
        self._accepted = accepted

    def feed(self, data: bytes) -> list[Message | Rejected]:
        """What these bytes complete, and the noise between."""
        self._pending += data
        done: list[Message | Rejected] = []
        start = 0
        while len(self._pending) - start >= HEADER_BYTES:
            size = self._size(start)
            if size is None:
                done += self._noise.add(self._pending[start])
                start += 1
                continue
            if len(self._pending) - start < size:
                break
            done += self._noise.flush()
            done.append(_message(bytes(self._pending[start : start + size])))
            start += size
        del self._pending[:start]
        return done

    def _size(self, start: int) -> int | None:
        """The length that a header at this place announces; None where there is none."""
        head = int.from_bytes(self._pending[start : start + 2], "big")
        size = int.from_bytes(self._pending[start + 2 : start + 6], "big")
        is_known = head >> 10 in _VERSIONS and head & 1023 in self._accepted
        return size if is_known and HEADER_BYTES <= size <= MESSAGE_BYTES_MAX else None


def _message(data: bytes) -> Message:
    kind = Type(int.from_bytes(data[:2], "big") & 1023)
    return Message(kind, int.from_bytes(data[6:10], "big"), data[HEADER_BYTES:])


def sightings(report: Message, wall_ms: int | None = None) -> list[Observation | Rejected]:
    """The tags of a RO_ACCESS_REPORT; wall_ms: UTC now where known, to judge the reader's clock."""
    found = parameters(report.body)
    if found is None:
        return [rejected(report.body, Reason.FRAME)]
    return [_sighting(value, wall_ms) for value in each(found, Param.TAG_REPORT)]


def _sighting(value: bytes, wall_ms: int | None) -> Observation | Rejected:
    fields = parameters(value)
    epc = _epc(fields)
    if fields is None or epc is None:
        return rejected(value, Reason.FRAME)
    time_us = _number(fields, Param.FIRST_SEEN_UTC)
    time_us = _number(fields, Param.LAST_SEEN_UTC) if time_us is None else time_us
    time_ms = None if time_us is None or time_us // 1000 > TIME_MS_MAX else time_us // 1000
    rssi_dbm = int.from_bytes(first(fields, Param.PEAK_RSSI) or b"", "big", signed=True)
    if rssi_dbm > RSSI_DBM_MAX:
        return rejected(value, Reason.FIELD)
    record = TagSighting(
        epc=epc,
        pc=_number(fields, Param.PC),
        rssi_cdbm=None if first(fields, Param.PEAK_RSSI) is None else 100 * rssi_dbm,
        antenna=_number(fields, Param.ANTENNA),
        flags=clock_flags(time_ms, wall_ms),
        device_time_ms=time_ms,
    )
    return Observation(channel=CHANNEL, quantity="tag", unit=None, record=record)


def _number(fields: Parameters, kind: int) -> int | None:
    value = first(fields, kind)
    return None if value is None else int.from_bytes(value, "big")


def _epc(fields: Parameters | None) -> bytes | None:
    """The EPC's bytes; None where there is none, or its bits and bytes disagree."""
    short = first(fields, Param.EPC_96)
    if short is not None:
        return short
    data = first(fields, Param.EPC_DATA)
    if data is None or len(data) < 2:
        return None
    epc, bits = data[2:], int.from_bytes(data[:2], "big")
    fits = len(epc) == (bits + 7) // 8 and len(epc) <= EPC_BYTES_MAX
    return epc if fits else None


def clock_flags(time_ms: int | None, wall_ms: int | None) -> int:
    """How far a reader's clock may be believed: as for other devices, an hour is the bound."""
    if time_ms is None or wall_ms is None or abs(time_ms - wall_ms) <= CLOCK_TOLERANCE_MS:
        return FLAG_OK
    return FLAG_SUSPECT if time_ms > wall_ms else FLAG_STALE


def tag_report(sighting: TagSighting) -> bytes:
    """The TagReportData of a sighting; the inverse of decoding, for simulators."""
    if len(sighting.epc) == 12:
        body = bytes((0x80 | Param.EPC_96,)) + sighting.epc
    else:
        body = tlv(Param.EPC_DATA, (8 * len(sighting.epc)).to_bytes(2, "big") + sighting.epc)
    told = {
        Param.ANTENNA: sighting.antenna,
        Param.PEAK_RSSI: None if sighting.rssi_cdbm is None else sighting.rssi_cdbm // 100,
        Param.FIRST_SEEN_UTC: sighting.device_time_ms and 1000 * sighting.device_time_ms,
        Param.PC: sighting.pc,
    }
    fields = [tv(kind, value) for kind, value in told.items() if value is not None]
    return tlv(Param.TAG_REPORT, body + b"".join(fields))
