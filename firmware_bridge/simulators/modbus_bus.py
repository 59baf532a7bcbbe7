"""Modbus units on one RS-485 line: temperature in input register 1, humidity in 2, both in tenths.

A unit answers when it is asked; what it answered is logged under its own id. Questions for
registers that it does not have are refused with exception 2, other units' are heard and ignored.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pymodbus.framer.rtu import FramerRTU

from firmware_bridge.codecs.modbus_profile import Request, Value
from firmware_bridge.devices import Observation
from firmware_bridge.errors import SpecError
from firmware_bridge.simulators.pty_line import PtyLine
from firmware_bridge.simulators.sent_log import SentLog
from firmware_bridge.simulators.spec import SimulatedDevice
from firmware_bridge.simulators.ticks import Ticks, unix_us
from firmware_bridge.simulators.trip import Trip, on_curve

_QUESTION_BYTES: Final = 8
_READ_INPUT, _NO_SUCH_REGISTER = 4, 2
_ROOM: Final = {"quantity": "", "function": _READ_INPUT, "type": "i16", "low": -400, "high": 1250}
_VALUES: Final = (
    Value(channel="temperature", unit="CEL", address=1, exponent=-1, **_ROOM),  # type: ignore[arg-type]  # a table
    Value(channel="humidity", unit="P1", address=2, exponent=-1, **_ROOM),  # type: ignore[arg-type]  # a table
)


@dataclass(slots=True)
class _Unit:
    """One logger: its log, its curve, how often it answered."""

    log: SentLog
    fields: Mapping[str, Any]
    seq: int = 0

    def registers(self, second: float) -> list[int]:
        """Registers 1 and 2 at this second of the trip."""
        points = self.fields.get("curve", [[0, 4.0]])
        curve = tuple((float(at), float(value)) for at, value in points)
        return [round(on_curve(curve, second) * 10) & 0xFFFF, 600]


def with_check(frame: bytes) -> bytes:
    """The frame with its CRC."""
    return frame + FramerRTU.compute_CRC(frame).to_bytes(2, "big")


def answer(question: bytes, registers: list[int]) -> tuple[bytes, bool]:
    """The answer of a unit that holds these from address 1 on, and whether it is no exception."""
    unit, function = question[0], question[1]
    address, count = (int.from_bytes(question[at : at + 2], "big") for at in (2, 4))
    chosen = registers[address - 1 : address - 1 + count] if address else []
    if function != _READ_INPUT or len(chosen) != count or not count:
        return with_check(bytes((unit, function | 0x80, _NO_SUCH_REGISTER))), False
    data = b"".join(register.to_bytes(2, "big") for register in chosen)
    return with_check(bytes((unit, function, len(data))) + data), True


async def run_modbus(device: SimulatedDevice, trip: Trip, *, log: SentLog, ticks: Ticks) -> None:
    """Answers until the ticks end; looks for questions at each tick."""
    units = {}
    for item in device.fields.get("units", []):
        if not isinstance(item, dict) or not {"id", "unit"} <= set(item):
            raise SpecError(f"devices.{device.id}.units", "not [{id, unit, curve}, ...]")
        units[int(item["unit"])] = _Unit(log.of(item["id"]), item)
    questions, pending = asyncio.Queue[bytes](), bytearray()
    with PtyLine(Path(device.text("link"))) as line:
        line.on_bytes(questions)
        async for tick in ticks:
            while not questions.empty():
                pending += questions.get_nowait()
            while len(pending) >= _QUESTION_BYTES:
                question = bytes(pending[:_QUESTION_BYTES])
                if with_check(question[:-2]) != question:
                    del pending[0]
                    continue
                del pending[:_QUESTION_BYTES]
                unit = units.get(question[0])
                if unit is not None:
                    _reply(line, question, unit, trip.second(tick))


def _reply(line: PtyLine, question: bytes, unit: _Unit, second: float) -> None:
    registers, now_us = unit.registers(second), unix_us()
    frame, is_told = answer(question, registers)
    written = line.write(frame)
    if not is_told:
        return
    for event in Request(_READ_INPUT, 1, _VALUES).readings(registers):
        if isinstance(event, Observation):
            unit.log.sent(event, unix_us=now_us, seq=unit.seq, written=written)
    unit.seq += 1
