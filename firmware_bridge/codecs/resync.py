"""What a stream decoder does with bytes that belong to no frame: collect them, tell them once.

Split-independent: a run of noise is told when a frame follows it or when it reaches its bound,
never at the end of a chunk.
"""

from firmware_bridge.devices import RAW_BYTES_MAX, Reason, Rejected, rejected

_LINE_ENDS = b"\r\n"


class NoiseRun:
    """The bytes since the last frame that no frame took. Holds at most RAW_BYTES_MAX."""

    def __init__(self) -> None:
        self._run = bytearray()
        self._reason = Reason.NOISE

    def add(self, octet: int, reason: Reason = Reason.NOISE) -> list[Rejected]:
        """Takes one byte; returns the run if it is full. Line ends between frames are no noise."""
        if octet in _LINE_ENDS and not self._run:
            return []
        self._run.append(octet)
        # A frame that failed its own check says more than that bytes were left over.
        self._reason = reason if reason is not Reason.NOISE else self._reason
        return self.flush() if len(self._run) >= RAW_BYTES_MAX else []

    def flush(self) -> list[Rejected]:
        """The run so far, if there is one; empties it."""
        if not self._run:
            return []
        event = rejected(bytes(self._run), self._reason)
        self._run.clear()
        self._reason = Reason.NOISE
        return [event]
