"""Which deliveries of the broker are durable already, so that a repeated one becomes no second
reading.

A gateway may die between the journal's sync and the PUBACK; the broker then repeats the message.
Marks of
what was taken are journaled in the same sync as the entries, as frames that are no entries:

    mark frame = 0x00 | digest (16 bytes) ...
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from firmware_bridge.devices import Arrival

MARK: Final = b"\x00"
DIGEST_BYTES: Final = 16
# More than one group journals, and far fewer than packet ids exist: an id that has come round again
# under an equal payload names a message that is not durable here.
RECENT_MAX: Final = 8_192


class Deliveries:
    """The most recent deliveries."""

    def __init__(self, frames: Iterable[bytes] = ()) -> None:
        self._recent: OrderedDict[bytes, None] = OrderedDict()
        self.repeated = 0
        for data in frames:
            for at in range(len(MARK), len(data), DIGEST_BYTES):
                self._remember(data[at : at + DIGEST_BYTES])

    def _remember(self, digest: bytes) -> None:
        self._recent[digest] = None
        self._recent.move_to_end(digest)
        if len(self._recent) > RECENT_MAX:
            self._recent.popitem(last=False)

    def repeated_in(self, arrivals: Iterable[Arrival]) -> list[Arrival]:
        """Those that the broker repeats and that are durable here, or will be with this group: a
        connection may break while the first delivery waits for its sync.
        """
        group: set[bytes | None] = set()
        found = []
        for arrival in arrivals:
            digest = arrival.payload_digest
            if arrival.redelivered and (digest in self._recent or digest in group):
                found.append(arrival)
            group.add(digest)
        self.repeated += len(found)
        return found

    def mark(self, arrivals: Iterable[Arrival]) -> bytes | None:
        """The frame for these arrivals, None where none of them can be repeated."""
        digests = [
            arrival.payload_digest
            for arrival in arrivals
            if arrival.qos and arrival.payload_digest is not None
        ]
        for digest in digests:
            self._remember(digest)
        return MARK + b"".join(digests) if digests else None


def is_mark(data: bytes) -> bool:
    """True for a journal frame that is no entry."""
    return data[:1] == MARK
