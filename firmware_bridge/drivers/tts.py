"""Devices behind The Things Stack v3: `v3/APP@TENANT/devices/ID/up` in JSON.

Source: The Things Stack documentation, "Data Formats": empty, zero and false fields are absent.
"""

from collections.abc import Mapping
from typing import Any

from firmware_bridge.codecs.json_payload import (
    Events,
    JsonNumber,
    Quantity,
    decode_object,
    device_time,
)
from firmware_bridge.codecs.lorawan import Uplink, uplink_events
from firmware_bridge.codecs.named_quantities import parse_quantities
from firmware_bridge.driver import Driver, Options, Payloads, Session


def _fields(document: dict[str, Any], wall_ms: int | None, told: Mapping[str, Quantity]) -> Events:
    ids, message = document.get("end_device_ids"), document.get("uplink_message")
    if not isinstance(ids, dict) or not isinstance(message, dict):
        return []
    uplink = Uplink(
        eui=ids.get("dev_eui"),
        counter=message.get("f_cnt", JsonNumber(0)),
        frame=message.get("frm_payload"),
        decoded=message.get("decoded_payload"),
        when=device_time(message.get("received_at"), wall_ms),
    )
    return uplink_events(uplink, told)


def _open(options: Options) -> Session:
    told = parse_quantities(options.text("quantities", ""))
    return Payloads(lambda data, now: decode_object(data, lambda doc: _fields(doc, now, told)))


DRIVER = Driver(
    title="LoRaWAN device behind The Things Stack v3",
    schemes=("mqtt",),
    session=_open,
    options=("quantities",),
)
