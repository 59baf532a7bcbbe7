"""Modbus RTU loggers and transmitters on RS-485: asked in turn, one question on the bus at a time.

Source: Modbus over Serial Line V1.02, section 2.5; Modbus Application Protocol V1.1b3, 6.3, 6.4, 7.
`01 04 0001 0001 600A` is answered by `01 04 02 0131 7974`: 30.5 degrees at a scale of 10.
"""

from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from pymodbus.framer.rtu import FramerRTU
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
    ReadInputRegistersRequest,
)

from firmware_bridge.codecs.modbus_profile import Request, profile, requests
from firmware_bridge.codecs.resync import NoiseRun
from firmware_bridge.devices import Reason, rejected
from firmware_bridge.driver import Driver, Event, Moment, Options, Send, Session
from firmware_bridge.errors import SpecError

UNIT_MAX: Final = 247
_FAILED: Final = 0x80  # is set in the function of an exception answer
_REQUESTS: Final = {3: ReadHoldingRegistersRequest, 4: ReadInputRegistersRequest}
_FRAMER: Final = FramerRTU(DecodePDU(is_server=False))


def question(unit: int, request: Request) -> bytes:
    """The frame that asks for the request's registers."""
    message = _REQUESTS[request.function](dev_id=unit, address=request.address, count=request.count)
    return _FRAMER.buildFrame(message)


class _Poll(Session):
    """Asks for one block of registers after the other, then waits for the next round."""

    def __init__(
        self, unit: int, asked: Sequence[Request], *, interval_ms: int, timeout_ms: int
    ) -> None:
        self._unit, self._requests = unit, tuple(asked)
        self._interval_ms, self._timeout_ms = interval_ms, timeout_ms
        self._next, self._round_ms, self._wake_ms = 0, 0, 0
        self._asked: Request | None = None
        self._pending, self._noise = bytearray(), NoiseRun()

    @property
    def wake_ms(self) -> int | None:
        return self._wake_ms

    @property
    def busy(self) -> bool:
        return self._asked is not None

    def turn(self, at: Moment) -> Sequence[Event]:
        """Gives up on an answer that is overdue, or asks the next question that is due."""
        if self._asked is not None:
            late = [rejected(question(self._unit, self._asked), Reason.TIMEOUT)]
            return [*self._dropped(), *late, *self._done(at)]
        if at.mono_ms < self._wake_ms:
            return ()
        if self._next == 0:
            self._round_ms = at.mono_ms
        self._asked = self._requests[self._next]
        self._wake_ms = at.mono_ms + self._timeout_ms
        return (Send(question(self._unit, self._asked)),)

    def feed(self, data: bytes, at: Moment) -> Sequence[Event]:
        """The readings of the answer, or why there are none; nothing counts that was not asked."""
        self._pending += data
        events: list[Event] = []
        while self._pending:
            size = None if self._asked is None else self._answer_size(self._asked)
            if size is not None and len(self._pending) < size:
                break
            if size is None or self._asked is None:
                events += self._noise.add(self._pending.pop(0))
            elif not _is_intact(self._pending[:size]):
                events += self._noise.add(self._pending.pop(0), Reason.CHECKSUM)
            else:
                frame = bytes(self._pending[:size])
                del self._pending[:size]
                events += [*self._noise.flush(), *_meaning(self._asked, frame), *self._done(at)]
        return events

    def _answer_size(self, asked: Request) -> int | None:
        """Bytes of the answer that may begin here; None if none does. Decides on three bytes."""
        expected = bytes((self._unit, asked.function, 2 * asked.count))
        head = bytes(self._pending[: len(expected)])
        if head == expected[: len(head)]:
            return len(expected) + 2 * asked.count + 2
        failed = bytes((self._unit, asked.function | _FAILED))
        return 5 if head[:2] == failed[: len(head)] else None

    def _done(self, at: Moment) -> Sequence[Event]:
        """On to the next block, or to the next round."""
        self._asked = None
        self._next = (self._next + 1) % len(self._requests)
        is_over = self._next == 0
        self._wake_ms = max(at.mono_ms, self._round_ms + self._interval_ms * is_over)
        return ()

    def _dropped(self) -> Sequence[Event]:
        events: list[Event] = []
        for octet in self._pending:
            events += self._noise.add(octet)
        self._pending.clear()
        return [*events, *self._noise.flush()]


def _is_intact(frame: bytearray) -> bool:
    return FramerRTU.check_CRC(bytes(frame[:-2]), int.from_bytes(frame[-2:], "big"))


def _meaning(asked: Request, frame: bytes) -> Sequence[Event]:
    if frame[1] & _FAILED:
        return (rejected(frame, Reason.FAULT),)
    answer = ReadHoldingRegistersResponse()
    answer.decode(frame[2:])
    return asked.readings(answer.registers)


def _open(options: Options) -> Session:
    path = options.text("profile_file", "")
    try:
        own = files("firmware_bridge.drivers").joinpath("modbus_profiles.toml")
        text = open(path, encoding="utf-8").read() if path else own.read_text("utf-8")  # noqa: PTH123, SIM115  # drivers import no pathlib
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError("options.profile_file", f"cannot be read: {error}") from error
    return _Poll(
        options.number("unit", 1, low=1, high=UNIT_MAX),
        requests(profile(text, options.text("profile"))),
        interval_ms=options.number("interval_ms", 10_000, low=100, high=3_600_000),
        timeout_ms=options.number("timeout_ms", 500, low=20, high=10_000),
    )


DRIVER = Driver(
    title="Modbus RTU logger or transmitter on RS-485",
    schemes=("serial",),
    session=_open,
    options=("profile", "profile_file", "unit", "interval_ms", "timeout_ms"),
    is_bus=True,
)
