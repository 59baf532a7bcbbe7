"""GNSS receivers on a serial line: NMEA 0183 sentences, with UBX frames mixed in.

Sentence: `$`, printable text, `*`, XOR of the text between as two hex digits, line end. A sentence
without a checksum is rejected; one that is whole but tells no place (GSV, VTG ...) gives nothing.
"""

import re
from functools import reduce
from operator import xor
from typing import Final

from pynmeagps import NMEAReader
from pynmeagps.exceptions import (
    NMEAMessageError,
    NMEAParseError,
    NMEAStreamError,
    NMEATypeError,
)

from firmware_bridge.codecs import ubx
from firmware_bridge.codecs.nmea_epochs import EpochJoiner, Outcome
from firmware_bridge.codecs.nmea_fields import gga, rmc, zda
from firmware_bridge.codecs.resync import NoiseRun
from firmware_bridge.devices import Observation, Reason, Rejected, rejected
from logistics.reading import Position

# The standard's limit is 82; receivers' own sentences (channel tables) run to several hundred.
SENTENCE_BYTES_MAX: Final = 512
CHANNEL: Final = "position"
_DOLLAR, _LF, _CR, _SYNC_1 = 0x24, 0x0A, 0x0D, 0xB5
_SENTENCE = re.compile(rb"\$([!-),-~][ -)+-~]*)\*([0-9A-Fa-f]{2})\r?\n\Z")
_ADDRESS = re.compile(rb"[A-Z]{2}(RMC|GGA|ZDA),")
# FieldError is a ValueError; the library lets plain ones through too.
_FIELD_ERRORS = (NMEAMessageError, NMEAParseError, NMEAStreamError, NMEATypeError, ValueError)


class NmeaDecoder:
    """Bytes in any split; the split never alters what comes out. Holds at most one frame."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._noise = NoiseRun()
        self._epochs = EpochJoiner()

    def feed(self, data: bytes) -> list[Observation | Rejected]:
        """What these bytes complete."""
        self._pending += data
        done: list[Observation | Rejected] = []
        while self._pending:
            octet = self._pending[0]
            if octet == _DOLLAR:
                events = self._take_sentence()
            elif octet == _SYNC_1:
                events = self._take_ubx()
            else:
                events = self._skip(Reason.NOISE)
            if events is None:
                break
            done += events
        return done

    def _skip(self, reason: Reason) -> list[Observation | Rejected]:
        return [*self._noise.add(self._pending.pop(0), reason)]

    def _take(self, size: int) -> bytes:
        taken = bytes(self._pending[:size])
        del self._pending[:size]
        return taken

    def _take_sentence(self) -> list[Observation | Rejected] | None:
        """The events of the sentence at the front; None while it is incomplete."""
        size = _sentence_size(self._pending)
        if size is None:
            return None
        line = self._take(abs(size))
        reason = _judge(line) if size > 0 else Reason.FRAME
        before = [*self._noise.flush()]
        if reason is not None:
            return [*before, rejected(line, reason)]
        return [*before, *self._meaning(line)]

    def _meaning(self, line: bytes) -> list[Observation | Rejected]:
        try:
            outcomes = self._join(line)
        except _FIELD_ERRORS:
            return [rejected(line, Reason.FIELD)]
        return [_event(outcome, line) for outcome in outcomes]

    def _join(self, line: bytes) -> list[Outcome]:
        if _ADDRESS.match(line, 1) is None:
            return []
        message = NMEAReader.parse(line, validate=1)
        if message is None:
            return []
        fields = [str(field) for field in message.payload]
        match message.msgID:
            case "RMC":
                return [] if (r := rmc(fields)) is None else self._epochs.take_rmc(r)
            case "GGA":
                return [] if (g := gga(fields)) is None else self._epochs.take_gga(g)
        return [] if (z := zda(fields)) is None else self._epochs.take_zda(z)

    def _take_ubx(self) -> list[Observation | Rejected] | None:
        """The events of the UBX frame at the front, one byte forward if it is none, None to
        wait.
        """
        if len(self._pending) < len(ubx.SYNC):
            return None
        if not self._pending.startswith(ubx.SYNC):
            return self._skip(Reason.NOISE)
        if len(self._pending) < 6:
            return None
        size = ubx.frame_size(self._pending[:6])
        if size is None:
            return self._skip(Reason.NOISE)
        if len(self._pending) < size:
            return None
        if not ubx.is_intact(bytes(self._pending[:size])):
            return self._skip(Reason.CHECKSUM)
        return [*self._noise.flush(), *self._frame_meaning(self._take(size))]

    def _frame_meaning(self, frame: bytes) -> list[Observation | Rejected]:
        found = ubx.decode(frame)
        if found is None:
            return []
        outcomes = [found] if isinstance(found, Reason) else self._epochs.take_fix(found)
        return [_event(outcome, frame) for outcome in outcomes]


def _sentence_size(pending: bytearray) -> int | None:
    """Bytes of the sentence at the front; negative where it breaks off there; None to wait."""
    for index in range(1, min(len(pending), SENTENCE_BYTES_MAX)):
        octet = pending[index]
        if octet == _LF:
            return index + 1
        if octet == _CR:
            if index + 1 >= len(pending):
                return None
            return index + 2 if pending[index + 1] == _LF else -index
        if octet == _DOLLAR or not 0x20 <= octet <= 0x7E:
            return -index
    return -SENTENCE_BYTES_MAX if len(pending) >= SENTENCE_BYTES_MAX else None


def _judge(line: bytes) -> Reason | None:
    """Why a whole line is no sentence, or None."""
    if b"*" not in line:
        return Reason.CHECKSUM  # nothing vouches for its content
    match = _SENTENCE.match(line)
    if match is None:
        return Reason.FRAME
    return None if reduce(xor, match[1]) == int(match[2], 16) else Reason.CHECKSUM


def holds_sentence(data: bytes) -> bool:
    """Whether a line of the bytes is a sentence with a right checksum, whatever it tells."""
    return any(
        line.startswith(b"$") and _judge(line) is None for line in data.splitlines(keepends=True)
    )


def _event(outcome: Outcome, raw: bytes) -> Observation | Rejected:
    if isinstance(outcome, Position):
        return Observation(channel=CHANNEL, quantity="position", unit=None, record=outcome)
    return rejected(raw, outcome)
