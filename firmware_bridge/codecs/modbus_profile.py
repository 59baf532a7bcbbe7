"""What a Modbus device's registers mean: profiles of a TOML file, read strictly.

```
[xy-md02]
title = "XY-MD02 temperature and humidity"
[[xy-md02.value]]
channel = "temperature"
quantity = "temperature"
unit = "CEL"        # UN/ECE Rec 20
function = 4        # 3 holding, 4 input registers
address = 1         # as it stands on the wire, from 0
type = "i16"        # i16 u16 i32 u32 f32; "i32-swapped" and kin: low word first
exponent = -1       # the reading is register * 10**exponent (f32: rounded to that)
low = -400          # of that integer; outside is no value
high = 1250
none = [32767]      # register contents that mean "no value" (f32: NaN and infinities always do)
```
"""

import struct
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from firmware_bridge.codecs.json_payload import CHANNEL_NAME
from firmware_bridge.devices import Observation, Reason, Rejected, rejected
from firmware_bridge.errors import SpecError
from logistics.reading import Telemetry

VALUES_MAX: Final = 64
REGISTERS_MAX: Final = 64  # of one request: cheap transmitters take no more
_FUNCTIONS: Final = (3, 4)
_TYPES: Final = {"i16": ">h", "u16": ">H", "i32": ">i", "u32": ">I", "f32": ">f"}
_SWAPPED: Final = "-swapped"
_FIELDS: Final = {
    "channel": str, "quantity": str, "unit": str, "function": int, "address": int, "type": str,
    "exponent": int, "low": int, "high": int,
}  # fmt: skip  # one name a line would hide the list


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One channel: where its registers are and what they mean."""

    channel: str
    quantity: str
    unit: str
    function: int
    address: int
    type: str
    exponent: int
    low: int
    high: int
    none: tuple[int, ...] = ()

    @property
    def count(self) -> int:
        """How many registers it takes."""
        return struct.calcsize(_TYPES[self.type.removesuffix(_SWAPPED)]) // 2

    def reading(self, registers: Sequence[int]) -> Observation | Rejected:
        """What its registers say."""
        words = registers[::-1] if self.type.endswith(_SWAPPED) else registers
        raw = struct.pack(f">{len(words)}H", *words)
        (wire,) = struct.unpack(_TYPES[self.type.removesuffix(_SWAPPED)], raw)
        if int.from_bytes(raw, "big") in self.none or wire in self.none:
            return rejected(raw, Reason.SENTINEL)
        value = _rounded(wire, self.exponent) if isinstance(wire, float) else wire
        if value is None:
            return rejected(raw, Reason.SENTINEL)
        if not self.low <= value <= self.high:
            return rejected(raw, Reason.FIELD)
        record = Telemetry(value=value, exponent=self.exponent, unit=self.unit)
        return Observation(
            channel=self.channel, quantity=self.quantity, unit=self.unit, record=record
        )


def _rounded(wire: float, exponent: int) -> int | None:
    """The nearest multiple of 10**exponent, by exact arithmetic; None for NaN and infinities."""
    try:
        exact = Fraction(wire)
    except (ValueError, OverflowError):
        return None
    return round(exact / Fraction(10) ** exponent)


@dataclass(frozen=True, slots=True)
class Request:
    """One question: adjacent registers and the values in them."""

    function: int
    address: int
    values: tuple[Value, ...]

    @property
    def count(self) -> int:
        """How many registers are asked for."""
        return sum(value.count for value in self.values)

    def readings(self, registers: Sequence[int]) -> list[Observation | Rejected]:
        """What an answer with that many registers says."""
        found, at = list[Observation | Rejected](), 0
        for value in self.values:
            found.append(value.reading(registers[at : at + value.count]))
            at += value.count
        return found


def requests(values: Sequence[Value]) -> tuple[Request, ...]:
    """The fewest questions that read no register which no value names."""
    made: list[Request] = []
    for value in sorted(values, key=lambda item: (item.function, item.address)):
        last = made[-1] if made else None
        if (
            last is not None
            and last.function == value.function
            and last.address + last.count == value.address
            and last.count + value.count <= REGISTERS_MAX
        ):
            made[-1] = Request(last.function, last.address, (*last.values, value))
        else:
            made.append(Request(value.function, value.address, (value,)))
    return tuple(made)


def profile(text: str, name: str) -> tuple[Value, ...]:
    """The values of the named profile. Raises SpecError naming what is wrong."""
    try:
        profiles = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError("options.profile_file", f"not TOML: {error}") from error
    found = profiles.get(name)
    if not isinstance(found, dict):
        raise SpecError("options.profile", f"{name!r} is none of {', '.join(sorted(profiles))}")
    rows = found.get("value")
    if not isinstance(rows, list) or not 0 < len(rows) <= VALUES_MAX:
        raise SpecError("options.profile", f"{name}: 1 to {VALUES_MAX} [[{name}.value]] are needed")
    values = tuple(_value(name, row) for row in rows)
    if len({value.channel for value in values}) != len(values):
        raise SpecError("options.profile", f"{name}: a channel stands there twice")
    return values


def _value(name: str, row: Any) -> Value:
    where = f"{name}.{row.get('channel', 'value') if isinstance(row, dict) else 'value'}"
    if not isinstance(row, dict) or not set(_FIELDS) <= set(row) <= {*_FIELDS, "none"}:
        raise SpecError("options.profile", f"{where}: needs {', '.join(_FIELDS)} (and none)")
    none = row.get("none", [])
    wrong = [key for key, kind in _FIELDS.items() if type(row[key]) is not kind]
    if wrong or not isinstance(none, list) or any(type(item) is not int for item in none):
        raise SpecError("options.profile", f"{where}: wrong type in {', '.join(wrong) or 'none'}")
    value = Value(**{**row, "none": tuple(none)})
    is_known = value.function in _FUNCTIONS and value.type.removesuffix(_SWAPPED) in _TYPES
    if not is_known or not 0 <= value.address <= 0xFFFF - value.count:
        raise SpecError("options.profile", f"{where}: function, type or address cannot be")
    if not -18 <= value.exponent <= 18 or CHANNEL_NAME.match(value.channel) is None:
        raise SpecError("options.profile", f"{where}: exponent or channel cannot be")
    return value
