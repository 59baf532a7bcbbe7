"""The hardware's count in every head, and what it betrays: a store that is older than the count.

A claim carries the count; its intent is synced before the hardware counts. Found after a crash:

    hardware = intent - 1   the crash came first: count, then sign
    hardware = intent       counted, perhaps signed: sign the same claim again
    hardware > intent       another store went on since: a restored backup, or a clone
    hardware < intent - 1   another hardware, or one that was reset
"""

from collections.abc import Callable
from typing import Protocol

from gateway.errors import RollbackError


class Counter(Protocol):
    """A number in hardware that only goes up."""

    async def read(self) -> int:
        """Its value; raises SignerUnavailableError."""

    async def advance(self) -> int:
        """Counts one; its value then. Raises SignerUnavailableError."""


class HeadCounter:
    """Counts at the first head of each start, and then no more often than `every_s`: counters
    wear.
    """

    def __init__(self, device: Counter, *, every_s: int, mono_s: Callable[[], float]) -> None:
        self._device, self._every_s, self._mono_s = device, every_s, mono_s
        self._counted_s: float | None = None

    async def next_value(self, *, signed: int | None, intended: int | None) -> int:
        """The count that the next claim carries.

        signed, intended: what the newest head and the last intent carry. Raises RollbackError
        where the hardware's count is neither, SignerUnavailableError.
        """
        value = await self._device.read()
        if signed is not None:
            check_count(value, low=signed, high=max(signed, intended or 0))
        now_s = self._mono_s()
        due = self._counted_s is None or now_s - self._counted_s >= self._every_s
        return value + 1 if due else value

    async def bring_to(self, claimed: int) -> None:
        """Returns once the hardware stands at what a synced intent claims."""
        value = await self._device.read()
        check_count(value, low=claimed - 1, high=claimed)
        if value < claimed:
            value = await self._device.advance()
            self._counted_s = self._mono_s()
            check_count(value, low=claimed, high=claimed)


def check_count(value: int, *, low: int, high: int) -> None:
    """Raises RollbackError unless the hardware's count is one that this store has led to."""
    if value > high:
        raise RollbackError(
            f"the hardware counter stands at {value}, this store knows of {high}: it is an old "
            "copy (a restored backup, or a cloned card). Put the newest store back; if there is "
            "none, revoke this gateway and enrol the box anew"
        )
    if value < low:
        raise RollbackError(
            f"the hardware counter stands at {value}, this store knows of {low}: the hardware was "
            "exchanged or reset. Put the right one back, or enrol the box anew"
        )
