"""UHF readers of the R200 / M100 family: armed at the start, and again whenever they fall silent.

A reader tells even empty rounds, so silence means that its rounds ended.
"""

from collections.abc import Sequence
from typing import Final

from firmware_bridge.codecs.rfid_uhf import R200Decoder, holds_frame, multi_poll
from firmware_bridge.driver import LINES, Driver, Event, Moment, Options, Send, Session

ROUNDS: Final = 10_000
SILENCE_MS: Final = 3_000


class _Inventory(Session):
    def __init__(self, head: int) -> None:
        self._decoder, self._head = R200Decoder(), head
        self._wake_ms: int | None = None

    def feed(self, data: bytes, at: Moment) -> Sequence[Event]:
        self._wake_ms = at.mono_ms + SILENCE_MS
        return self._decoder.feed(data)

    def turn(self, at: Moment) -> Sequence[Event]:
        self._wake_ms = at.mono_ms + SILENCE_MS
        return (Send(multi_poll(self._head, ROUNDS)),)

    @property
    def wake_ms(self) -> int | None:
        return self._wake_ms


def _open(options: Options) -> Session:
    return _Inventory(int(options.choice("head", ("bb", "aa"), "bb"), 16))


DRIVER = Driver(
    title="UHF reader: R200 / M100 family",
    schemes=LINES,
    session=_open,
    options=("head",),  # "aa": boards that frame with AA..DD
    baud=115_200,
    recognises=holds_frame,
    probes=({"head": "bb"}, {"head": "aa"}),
)
