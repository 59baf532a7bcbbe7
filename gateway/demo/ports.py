"""Ports on loopback for programs that are started for a while: claimed among all that ask here.

A port that is only found free may be another's by the time it is listened on, or while its own
program is being restarted. So each is claimed by a lock on a file, until the asking program ends.
"""

import fcntl
import os
import socket
import tempfile
from pathlib import Path
from typing import Final

from gateway.errors import GatewayError

# Below the range of outgoing connections: one of those could take a port that waits.
PORTS: Final = range(12_000, 32_000)
_claims: dict[int, int] = {}  # port -> descriptor that holds the lock


class NoPortError(GatewayError):
    """Every port of the range is taken."""


def free_port() -> int:
    """A TCP port on loopback that nobody listens on and that no other program is given."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """So many free ports in a row. Raises NoPortError."""
    start = (os.getpid() * 7 + len(_claims)) % len(PORTS)
    for number in (*PORTS[start:], *PORTS[:start]):
        row = range(number, number + count)
        if row.stop <= PORTS.stop and all(_claim(port) for port in row):
            return list(row)
    raise NoPortError(f"no {count} free ports in a row on loopback")


def _claim(port: int) -> bool:
    if port in _claims:
        return False
    folder = Path(tempfile.gettempdir()) / f"wharf-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(folder / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except OSError:
        os.close(lock)
        return False
    _claims[port] = lock
    return True
