"""Which slot a device's channel has, and what comes next in it. Pure; saved with every cut.

Slot numbers of an audience are consecutive and never return; a channel keeps its slot for ever.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from ledger.entry import (
    KIND_DESCRIPTOR,
    KIND_GAP,
    KIND_GENESIS,
    KIND_HEALTH,
    KIND_RETIREMENT,
    KIND_SUMMARY,
    Entry,
    GTime,
    audience_of,
    slot_number,
)
from logistics.reading import Descriptor

BOOK_VERSION: Final = 1
SLOTS_MAX: Final = 65_535
Channel = tuple[str, str]  # device id, channel


@dataclass(slots=True)
class SlotLine:
    """One slot: what it is, its next srcseq, when it last held a reading, how many readings it
    held.
    """

    slot: int
    next_srcseq: int
    descriptor: list[Any] | None
    last_wall_us: int | None = None
    last_order: tuple[int, int] = (0, 0)
    readings: int = 0
    since_ms: int = 0  # when the slot's first descriptor was counted


class SlotBook:
    """All slots of a feed."""

    def __init__(self) -> None:
        self._lines: dict[int, SlotLine] = {}
        self._channels: dict[Channel, int] = {}

    def lines(self) -> Iterable[SlotLine]:
        """Every slot, in the order in which they were given."""
        return self._lines.values()

    def find(self, channel: Channel) -> SlotLine | None:
        """The slot of a channel, None before its first value."""
        slot = self._channels.get(channel)
        return None if slot is None else self._lines[slot]

    def channel(self, line: SlotLine) -> Channel | None:
        """The channel of a slot, None for control slots."""
        if line.descriptor is None:
            return None
        return line.descriptor[1], line.descriptor[2]

    def new_slot(self, audience: int) -> int:
        """The number that the audience's next slot gets."""
        taken = [slot for slot in self._lines if audience_of(slot) == audience]
        return max(taken, default=slot_number(audience, 0)) + 1

    def apply(self, entry: Entry) -> None:
        """Brings the book up to date with an entry that is durable."""
        line = self._lines.get(entry.slot)
        if line is None:
            line = SlotLine(entry.slot, 0, None)
            self._lines[entry.slot] = line
        if entry.kind == KIND_DESCRIPTOR:
            line.descriptor = entry.body
            if entry.srcseq == 0:
                line.since_ms = (entry.time.wall_us or 0) // 1000
            descriptor = Descriptor.from_body(entry.body)
            self._channels[descriptor.device_id, descriptor.channel] = entry.slot
        elif entry.kind == KIND_RETIREMENT:
            # The number stays taken; should the channel speak again, that is another slot.
            self._channels.pop(self.channel(line) or ("", ""), None)
            line.descriptor = None
        elif entry.kind not in (KIND_GENESIS, KIND_GAP, KIND_HEALTH, KIND_SUMMARY):
            line.readings += 1
            line.last_wall_us = entry.time.wall_us
        line.last_order = max(line.last_order, entry.order)
        line.next_srcseq = entry.srcseq + 1

    def next_time(self, slot: int, time: GTime) -> GTime:
        """The time, moved forward where the slot's last entry is later: order never runs
        backwards.
        """
        line = self._lines.get(slot)
        if line is None or line.last_order <= (time.boot, time.mono_us):
            return time
        boot, mono_us = line.last_order
        return GTime(boot, mono_us, time.wall_us, time.quality, time.unc_us)

    def next_srcseq(self, slot: int) -> int:
        """The number that the slot's next entry gets."""
        line = self._lines.get(slot)
        return line.next_srcseq if line else 0

    def to_value(self) -> list[Any]:
        """The book as a canonical value."""
        lines = [
            [
                line.slot, line.next_srcseq, line.descriptor, line.last_wall_us,
                list(line.last_order), line.readings, line.since_ms,
            ]
            for line in self._lines.values()
        ]  # fmt: skip  # one line per group reads as the format does
        return [BOOK_VERSION, lines]


def book_from_value(value: Any) -> SlotBook:
    """The book that `to_value` gave; an empty one for None."""
    book = SlotBook()
    if value is None:
        return book
    for slot, next_srcseq, descriptor, last_wall_us, order, readings, since_ms in value[1]:
        line = SlotLine(
            slot, next_srcseq, descriptor, last_wall_us, (order[0], order[1]), readings, since_ms
        )
        book._lines[slot] = line  # noqa: SLF001  # the same module builds what it reads
        if descriptor is not None:
            book._channels[descriptor[1], descriptor[2]] = slot  # noqa: SLF001  # as above
    return book
