"""Transport and codec together: what a device sends becomes Arrivals in the sink.

Awaiting the sink is the back-pressure: while it waits, nothing more is read from the device.
"""

from collections.abc import Awaitable, Callable

from firmware_bridge.devices import Arrival, DeviceSpec

Sink = Callable[[Arrival], Awaitable[None]]


def no_wall_clock() -> int | None:
    """For callers without a clock: device times are then held only against fixed bounds."""
    return None


async def run_device(
    spec: DeviceSpec,
    sink: Sink,
    *,
    mono_us: Callable[[], int],
    wall_ms: Callable[[], int | None] = no_wall_clock,
) -> None:
    """Reads one device (serial:, replay: or w1:) until cancelled.

    mono_us: the clock of `received_mono_us`. wall_ms: UTC since 1970 if known, to mark device times
    that lie in the future. Returns at the end of a replay that does not loop. Raises TransportError
    when the port is lost (supervise and call again) and SpecError when the description is wrong (a
    human has to mend it).
    """
    raise NotImplementedError
