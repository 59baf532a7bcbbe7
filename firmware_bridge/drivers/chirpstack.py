"""Devices behind ChirpStack v4: `application/ID/device/EUI/event/up` in JSON.

Source: chirpstack-api 4, integration.proto (UplinkEvent); zero and empty fields may be absent.
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
    info = document.get("deviceInfo")
    if not isinstance(info, dict):
        return []
    uplink = Uplink(
        eui=info.get("devEui"),
        counter=document.get("fCnt", JsonNumber(0)),
        frame=document.get("data"),
        decoded=document.get("object"),
        when=device_time(document.get("time"), wall_ms),
    )
    return uplink_events(uplink, told)


def _open(options: Options) -> Session:
    told = parse_quantities(options.text("quantities", ""))
    return Payloads(lambda data, now: decode_object(data, lambda doc: _fields(doc, now, told)))


DRIVER = Driver(
    title="LoRaWAN device behind ChirpStack v4",
    schemes=("mqtt",),
    session=_open,
    options=("quantities",),
)
