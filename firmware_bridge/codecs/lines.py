"""Streams of lines, bounded: what is longer than a line may be is given up and told once."""

from firmware_bridge.devices import Reason, Rejected, rejected


class LineSplitter:
    """Bytes in any split; holds at most one line."""

    def __init__(self, line_bytes_max: int) -> None:
        self._pending, self._max = bytearray(), line_bytes_max
        self._is_skipping = False

    def feed(self, data: bytes) -> list[bytes | Rejected]:
        """The whole lines without their ends, and the beginnings of those that were too long."""
        self._pending += data
        done: list[bytes | Rejected] = []
        while self._pending:
            end = self._pending.find(b"\n", 0, self._max)
            if end < 0 and len(self._pending) < self._max:
                break
            size = end + 1 if end >= 0 else self._max
            piece = bytes(self._pending[:size])
            del self._pending[:size]
            if not self._is_skipping:
                done.append(piece.rstrip(b"\r\n") if end >= 0 else rejected(piece, Reason.OVERSIZE))
            self._is_skipping = end < 0
        return done
