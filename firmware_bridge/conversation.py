"""A session and its connection together: events become Arrivals in the sink, and bytes to send.

Awaiting the sink is the back-pressure: while it waits, nothing more is read from the device.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from firmware_bridge.devices import Arrival, Observation, Rejected
from firmware_bridge.driver import Delivery, Event, Hangup, Hello, Moment, Send, Session
from firmware_bridge.errors import TransportError

Sink = Callable[[Arrival], Awaitable[None]]
_logger = logging.getLogger(__name__)


def no_wall_clock() -> int | None:
    """For callers without a clock: device times are then held only against fixed bounds."""
    return None


@dataclass(frozen=True, slots=True)
class Clocks:
    """mono_us: microseconds that never fall. wall_ms: UTC since 1970, where known."""

    mono_us: Callable[[], int]
    wall_ms: Callable[[], int | None] = no_wall_clock

    def moment(self, topic: str = "") -> Moment:
        """This moment, as sessions are told it."""
        return Moment(mono_ms=self.mono_us() // 1000, wall_ms=self.wall_ms(), topic=topic)


class Line(Protocol):
    """A connection that a session owns."""

    async def read(self) -> bytes:
        """The next bytes, at least one. Raises TransportError when the connection is gone."""

    def write(self, data: bytes) -> None:
        """Sends. Raises TransportError."""


def _no_line(_data: bytes) -> None:
    """Where there is nobody to answer: a recording, a file, a broadcast."""


@dataclass(slots=True)
class _Group:
    """Readings that become one Arrival."""

    observations: list[Observation] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


class Conversation:
    """Brings one session's events to the sink and its answers to the line."""

    def __init__(
        self,
        device_id: str,
        session: Session,
        sink: Sink,
        *,
        clocks: Clocks,
        write: Callable[[bytes], None] = _no_line,
        admit: Callable[[str], str | None] | None = None,
    ) -> None:
        """admit: the device of the name that a caller gives, None to refuse it."""
        self._device_id, self._session, self._sink = device_id, session, sink
        self._clocks, self._write = clocks, write
        self._admit = admit or (lambda _: device_id)
        self.is_known = admit is None

    async def feed(self, data: bytes, topic: str = "") -> None:
        """Bytes from the device. Raises TransportError where the session hangs up."""
        received_us = self._clocks.mono_us()
        await self._take(self._session.feed(data, self._clocks.moment(topic)), received_us)

    async def turn(self) -> None:
        """The session's turn to speak. Raises TransportError."""
        moment = self._clocks.moment()
        await self._take(self._session.turn(moment), moment.mono_ms * 1000)

    def wait_s(self) -> float | None:
        """Seconds until the session wants its turn, not below 0; None: it does not."""
        wake_ms = self._session.wake_ms
        if wake_ms is None:
            return None
        return max(0.0, wake_ms / 1000 - self._clocks.mono_us() / 1_000_000)

    async def exchange(self, line: Line) -> None:
        """Takes its turn, and listens while an answer is awaited. Raises TransportError."""
        await self.turn()
        while self._session.busy:
            data = await within(self.wait_s(), line.read)
            await (self.turn() if data is None else self.feed(data))

    async def run(self, line: Line) -> None:
        """Listens and speaks until cancelled. Raises TransportError when the line is gone."""
        await self.turn()
        while True:
            data = await within(self.wait_s(), line.read)
            await (self.turn() if data is None else self.feed(data))

    async def _take(self, events: Sequence[Event], received_us: int) -> None:
        group = _Group()
        for event in events:
            match event:
                case Observation():
                    group.observations.append(event)
                case Rejected():
                    group.rejected.append(event)
                case Send(data, after_sync=False):
                    self._write(data)
                case Hello():
                    self._greet(event)
                case Hangup(why):
                    await self._put(group, received_us)
                    raise TransportError(f"{self._device_id}: hung up: {why}")
                case Send(data):
                    await self._put(group, received_us)
                    group = _Group()
                    await self._put_answer(data, received_us)
                case Delivery():
                    await self._put(group, received_us)
                    group = _Group()
                    await self._put_delivery(event, received_us)
        await self._put(group, received_us)

    def _greet(self, hello: Hello) -> None:
        device_id = self._admit(hello.name)
        if device_id is None:
            self._write(hello.refusal)
            raise TransportError(f"{hello.name} is no configured device")
        self._device_id, self.is_known = device_id, True
        self._write(hello.welcome)

    async def _put(self, group: _Group, received_us: int) -> None:
        if group.observations or group.rejected:
            await self._sink(
                Arrival(
                    device_id=self._device_id,
                    observations=tuple(group.observations),
                    rejected=tuple(group.rejected),
                    received_mono_us=received_us,
                )
            )

    async def _put_delivery(self, event: Delivery, received_us: int) -> None:
        await self._sink(
            Arrival(
                device_id=self._device_id,
                observations=event.observations,
                rejected=(),
                received_mono_us=received_us,
                qos=1,
                redelivered=True,  # it may be one: its digest alone decides
                payload_digest=event.digest,
            )
        )

    async def _put_answer(self, data: bytes, received_us: int) -> None:
        """An empty arrival, whose acknowledgement is the answer: the intake gives it in turn."""
        await self._sink(
            Arrival(
                device_id=self._device_id,
                observations=(),
                rejected=(),
                received_mono_us=received_us,
                acknowledge=lambda: self._answer(data),
            )
        )

    def _answer(self, data: bytes) -> None:
        """Called by the intake when all that came before is durable."""
        try:
            self._write(data)
        except TransportError as error:
            # The device has gone meanwhile; it sends again what it was not told about.
            _logger.info("answer_unsent device=%s error=%s", self._device_id, error)


async def within(seconds: float | None, read: Callable[[], Awaitable[bytes]]) -> bytes | None:
    """What was read, or None after so many seconds; None seconds wait for ever."""
    try:
        async with asyncio.timeout(seconds):
            return await read()
    except TimeoutError:
        return None
