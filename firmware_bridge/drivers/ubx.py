"""u-blox receivers that are asked for NAV-PVT, once a second as a rule; NMEA is read too."""

from collections.abc import Sequence
from typing import Final

from firmware_bridge.codecs.nmea import NmeaDecoder
from firmware_bridge.driver import LINES, Driver, Event, Moment, Options, Send, Session

POLL_NAV_PVT: Final = bytes.fromhex("b562010700000819")


class _Poll(Session):
    def __init__(self, interval_ms: int) -> None:
        self._decoder, self._interval_ms = NmeaDecoder(), interval_ms
        self._wake_ms: int | None = None

    def feed(self, data: bytes, at: Moment) -> Sequence[Event]:  # noqa: ARG002  # tells its own time
        return self._decoder.feed(data)

    def turn(self, at: Moment) -> Sequence[Event]:
        self._wake_ms = at.mono_ms + self._interval_ms
        return (Send(POLL_NAV_PVT),)

    @property
    def wake_ms(self) -> int | None:
        return self._wake_ms


def _open(options: Options) -> Session:
    return _Poll(options.number("interval_ms", 1_000, low=100, high=3_600_000))


DRIVER = Driver(
    title="u-blox receiver that is polled for UBX NAV-PVT",
    schemes=LINES,
    session=_open,
    options=("interval_ms",),
    probes=({},),
)
