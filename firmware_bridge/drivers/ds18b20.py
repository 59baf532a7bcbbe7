"""DS18B20 probes through the kernel: each payload is the text of `w1_slave`."""

from firmware_bridge.codecs.probe import decode_w1_slave
from firmware_bridge.devices import Reason, rejected
from firmware_bridge.driver import Driver, Payloads, Reading


def _decode(text: bytes, _wall_ms: int | None) -> list[Reading]:
    # The kernel truncates the file while a probe is away and creates it empty on its return.
    return decode_w1_slave(text) if text else [rejected(text, Reason.FAULT)]


DRIVER = Driver(
    title="DS18B20 probe on the kernel's 1-Wire bus",
    schemes=("w1",),
    session=lambda _: Payloads(_decode),
    interval_ms=10_000,
)
