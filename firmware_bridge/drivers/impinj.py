"""Impinj readers with the IoT device interface (R700 family) over MQTT: `tagInventory` events.

The EPC comes in base64 of the URL-safe alphabet, in hexadecimal if that is configured, or both.
Source: Impinj IoT device interface, "TagInventoryEvent".
"""

from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from typing import Any

from firmware_bridge.codecs.json_payload import Events, decode_object, device_time
from firmware_bridge.codecs.reader_json import (
    FieldError,
    hex_bytes,
    tag_seen,
    whole_or_none,
    wrong,
)
from firmware_bridge.driver import Driver, Payloads
from logistics.reading import EPC_BYTES_MAX


def decode_impinj(payload: bytes, wall_ms: int | None = None) -> Events:
    """The sighting of an event; wall_ms is UTC now, where known."""
    return decode_object(payload, lambda document: _fields(document, wall_ms))


def _fields(document: dict[str, Any], wall_ms: int | None) -> Events:
    event = document.get("tagInventoryEvent")
    if document.get("eventType", "tagInventory") != "tagInventory" or not isinstance(event, dict):
        return []
    time = event.get("lastSeenTime", document.get("timestamp"))
    try:
        seen = tag_seen(
            _epc(event),
            rssi_cdbm=whole_or_none(
                "peakRssiCdbm", event.get("peakRssiCdbm"), low=-20_000, high=5_000
            ),
            antenna=whole_or_none("antennaPort", event.get("antennaPort"), low=0, high=0xFFFF),
            pc=int.from_bytes(hex_bytes("pc", event["pc"])) & 0xFFFF if "pc" in event else None,
            when=device_time(time, wall_ms),
        )
    except FieldError as error:
        return [wrong(error)]
    return [seen]


def _epc(event: dict[str, Any]) -> bytes:
    """Raises FieldError where neither form is there, or both are and differ."""
    plain = hex_bytes("epcHex", event["epcHex"]) if "epcHex" in event else None
    if "epc" not in event and plain is not None:
        return plain
    coded = event.get("epc")
    try:
        text = coded if type(coded) is str else ""
        # Some firmware leaves the padding out; the plain alphabet is taken as well.
        padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        epc = urlsafe_b64decode(padded.replace("+", "-").replace("/", "_").encode("ascii"))
    except (Base64Error, ValueError) as error:
        raise FieldError("epc", coded) from error
    if not 0 < len(epc) <= EPC_BYTES_MAX or (plain is not None and plain != epc):
        raise FieldError("epc", coded)
    return epc


DRIVER = Driver(
    title="Impinj reader with the IoT device interface",
    schemes=("mqtt",),
    session=lambda _: Payloads(decode_impinj),
)
