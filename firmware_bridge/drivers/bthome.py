"""BTHome v2 over Bluetooth: objects in the clear, or under AES-CCM with a key of our own.

Counters must rise: a repeated advertisement is not told again, an older one is refused. The counter
is the packet id (u8, wraps) in the clear, and the u32 that the cipher covers where there is a key.
A sensor for which a key is configured is never believed in the clear.
Source: bthome.io, format and encryption, version 2.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from firmware_bridge.codecs.ble_advert import SERVICE_DATA_16, find
from firmware_bridge.codecs.bthome_objects import OBJECTS, Measure
from firmware_bridge.devices import Observation, Reason, Rejected, rejected
from firmware_bridge.driver import Driver, Event, Moment, Options, Session
from firmware_bridge.errors import SpecError
from logistics.reading import FLAG_OK, FLAG_UNAUTHENTICATED, Telemetry

SERVICE: Final = b"\xd2\xfc"  # 0xFCD2
_ENCRYPTED, _VERSION_MASK, _VERSION_2 = 0x01, 0xE0, 0x40
_PACKET_ID: Final = 0x00
_MIC_BYTES, _COUNTER_BYTES = 4, 4


class _Sensor(Session):
    def __init__(self, key: bytes | None) -> None:
        self._cipher = None if key is None else AESCCM(key, tag_length=_MIC_BYTES)
        self._counter: int | None = None
        self._last = b""

    def feed(self, data: bytes, at: Moment) -> Sequence[Event]:
        """The readings of one advertisement; `at.topic` is the sender's address."""
        payload = find(data, SERVICE_DATA_16, SERVICE)
        if payload is None:
            return (rejected(data, Reason.UNKNOWN),)
        if payload == self._last:
            return ()
        if not payload or payload[0] & _VERSION_MASK != _VERSION_2:
            return (rejected(payload, Reason.FRAME),)
        if bool(payload[0] & _ENCRYPTED) != (self._cipher is not None):
            return (rejected(payload, Reason.ENCRYPTED),)
        told = self._open(payload, at.topic) if self._cipher else self._clear(payload[1:])
        if isinstance(told, Reason):
            return (rejected(payload, told),)
        self._last = payload
        return told

    def _open(self, payload: bytes, address: str) -> Reason | list[Observation | Rejected]:
        """Decrypts; the counter counts only once the sender is proven by the cipher."""
        sealed, counter = payload[1 : -_COUNTER_BYTES - _MIC_BYTES], payload[-8:-4]
        try:
            mac = bytes.fromhex(address.replace(":", ""))
            nonce = mac + SERVICE + payload[:1] + counter
            if self._cipher is None or len(mac) != 6 or not sealed:
                return Reason.ENCRYPTED
            clear = self._cipher.decrypt(nonce, sealed + payload[-_MIC_BYTES:], None)
        except (ValueError, InvalidTag):
            return Reason.ENCRYPTED
        number = int.from_bytes(counter, "little")
        if self._counter is not None and number <= self._counter:
            return Reason.COUNTER
        self._counter = number
        return _objects(clear, number, FLAG_OK)

    def _clear(self, objects: bytes) -> Reason | list[Observation | Rejected]:
        number = objects[1] if len(objects) > 1 and objects[0] == _PACKET_ID else None
        if number is not None:
            ahead = 1 if self._counter is None else number - self._counter & 255
            if not 0 < ahead < 128:
                return Reason.COUNTER
            self._counter = number
        return _objects(objects, number, FLAG_UNAUTHENTICATED)


def _objects(data: bytes, counter: int | None, flags: int) -> list[Observation | Rejected]:
    """What the objects say; the first unknown one ends it, because its size is unknown too."""
    events, seen, at = list[Observation | Rejected](), Counter[str](), 0
    while at < len(data):
        measure = OBJECTS.get(data[at])
        if measure is None or at + 1 + measure.size_bytes > len(data):
            events.append(rejected(data[at:], Reason.UNKNOWN if measure is None else Reason.FRAME))
            break
        raw = data[at + 1 : at + 1 + measure.size_bytes]
        at += 1 + measure.size_bytes
        if measure.quantity is not None:
            seen[measure.quantity] += 1
            number = seen[measure.quantity]
            channel = measure.quantity if number == 1 else f"{measure.quantity}/{number}"
            events.append(_reading(channel, measure, raw, counter=counter, flags=flags))
    return events


def _reading(
    channel: str, measure: Measure, raw: bytes, *, counter: int | None, flags: int
) -> Observation | Rejected:
    value = int.from_bytes(raw, "little", signed=measure.is_signed) * measure.factor
    none = b"\x80" if measure.is_signed else b"\xff"
    rest = b"\x00" if measure.is_signed else b"\xff"
    if len(raw) > 1 and raw == rest * (len(raw) - 1) + none:
        return rejected(channel.encode() + b"=" + raw, Reason.SENTINEL)
    if not measure.low <= value <= measure.high:
        return rejected(channel.encode() + b"=" + raw, Reason.FIELD)
    unit, quantity = measure.unit, measure.quantity or channel
    record = Telemetry(
        value=value, exponent=measure.exponent, unit=unit, flags=flags, device_counter=counter
    )
    return Observation(channel=channel, quantity=quantity, unit=unit, record=record)


def _session(options: Options) -> Session:
    path = options.text("key_file", "")
    if not path:
        return _Sensor(None)
    try:
        key = bytes.fromhex(open(path, encoding="ascii").read().strip())  # noqa: PTH123, SIM115  # drivers import no pathlib
    except (OSError, ValueError):
        key = b""
    if len(key) != 16:
        raise SpecError("options.key_file", f"{path} does not hold 32 hexadecimal digits")
    return _Sensor(key)


DRIVER = Driver(
    title="BTHome v2 sensor over Bluetooth",
    schemes=("ble",),
    session=_session,
    options=("key_file",),
)
