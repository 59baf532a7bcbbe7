"""Words to systemd: ready, alive, stopping (sd_notify, a datagram to the socket that it names)."""

import os
import socket
from typing import Final

SOCKET_VARIABLE: Final = "NOTIFY_SOCKET"
WATCHDOG_VARIABLE: Final = "WATCHDOG_USEC"


def notify(words: str) -> bool:
    """Tells the supervisor; False where nobody listens."""
    address = os.environ.get(SOCKET_VARIABLE)
    if not address:
        return False
    # A leading @ stands for the zero byte of an abstract socket (unix(7)).
    path = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.connect(path)
        line.sendall(words.encode("ascii"))
    return True


def watchdog_interval_s() -> float | None:
    """How often to say that we live: half of what the supervisor waits; None without a watchdog."""
    text = os.environ.get(WATCHDOG_VARIABLE, "")
    return int(text) / 2_000_000 if text.isdigit() and int(text) else None
