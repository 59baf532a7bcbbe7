"""What a field measures, told by its name: for dialects whose payloads name no units.

Names are compared in lower case, without what stands between words. A device that uses other names
has them in its option `quantities = "coldRoomA=temperature, probe2=temperature_f"`.
"""

import re
from collections.abc import Mapping
from typing import Final

from firmware_bridge.codecs.json_payload import (
    HUMIDITY,
    PRESSURE,
    TEMPERATURE,
    TEMPERATURE_F,
    Quantity,
)
from firmware_bridge.errors import SpecError

QUANTITIES: Final[Mapping[str, Quantity]] = {
    "temperature": TEMPERATURE,
    "temperature_f": TEMPERATURE_F,
    "humidity": HUMIDITY,
    "pressure": PRESSURE,
    "battery": Quantity("battery", "P1", 0, 0, 100),
    "battery_voltage": Quantity("voltage", "VLT", -3, 0, 100),
    "illuminance": Quantity("illuminance", "LUX", 0, 0, 1_000_000),
    "contact": Quantity("contact", "C62", 0, 0, 1),
    "water_leak": Quantity("water_leak", "C62", 0, 0, 1),
}
# Names that codecs in the field use and that leave no doubt; "battery" alone is volts or percent.
_NAMES: Final = {
    "temperature": "temperature", "temp": "temperature", "tempc": "temperature",
    "tempcsht": "temperature", "tempcds": "temperature", "tempc1": "temperature",
    "airtemperature": "temperature", "ambienttemperature": "temperature",
    "temperaturec": "temperature", "tempf": "temperature_f", "temperaturef": "temperature_f",
    "humidity": "humidity", "relativehumidity": "humidity", "humsht": "humidity",
    "airhumidity": "humidity", "rh": "humidity",
    "pressure": "pressure", "airpressure": "pressure", "barometricpressure": "pressure",
    "batterypercent": "battery", "batterylevel": "battery", "batv": "battery_voltage",
    "batteryvoltage": "battery_voltage", "vbat": "battery_voltage",
    "illuminance": "illuminance", "contact": "contact", "waterleak": "water_leak",
}  # fmt: skip  # a table reads by columns
_BETWEEN = re.compile(r"[\s_.-]+")


def parse_quantities(text: str) -> dict[str, Quantity]:
    """The names and quantities of `a=temperature, b=humidity`. Raises SpecError."""
    found: dict[str, Quantity] = {}
    for piece in text.split(",") if text else ():
        name, _, quantity = (part.strip() for part in piece.partition("="))
        if not name or quantity not in QUANTITIES or name in found:
            known = ", ".join(QUANTITIES)
            raise SpecError("options.quantities", f"{piece[:40]!r} is not NAME=one of {known}")
        found[name] = QUANTITIES[quantity]
    return found


def quantity_of(name: str, told: Mapping[str, Quantity]) -> Quantity | None:
    """What a field of this name measures: as it was told, else by the name; None if unclear."""
    if name in told:
        return told[name]
    word = _NAMES.get(_BETWEEN.sub("", name.lower()))
    return None if word is None else QUANTITIES[word]
