"""A part in a network namespace of its own, with loopback and nothing else: what a peer may want to
tell its maker, or fetch, it cannot.

`python -m tools.bench.alone PART REPEATS CACHE SCRATCH` is the inside: it measures one part and
prints its figures as JSON.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from tools.bench.figure import Figure, Goal
from tools.bench.session import BenchError, Session

if TYPE_CHECKING:
    from tools.bench.parts import Part

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
CANNOT_MEASURE = 3


def measure_alone(part: Part, session: Session) -> list[Figure]:
    """The figures of a part measured in its own namespace. Raises BenchError."""
    namespace = ["unshare", "--net"]
    if os.geteuid() != 0:
        namespace += ["--user", "--map-root-user"]
    inside = [sys.executable, "-m", "tools.bench.alone", part.name, str(session.repeats)]
    places = [str(session.cache), str(session.fresh_folder(part.name))]
    child = session.start(
        [*namespace, *inside, *places],
        cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.PIPE,
        stderr=None,
    )
    output, _ = child.communicate()
    if child.returncode == CANNOT_MEASURE:
        raise BenchError(output.strip())
    if child.returncode != 0:
        why = f"ended with {child.returncode}, see above; it needs `{' '.join(namespace)}`"
        raise BenchError(f"{why}: run it as root, or allow user namespaces")
    return [figure_from(value) for value in json.loads(output)]


def figure_from(value: dict[str, object]) -> Figure:
    """The figure that `asdict` took apart."""
    held = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
    goal = held.pop("goal")
    return Figure(**held, goal=Goal(**goal) if isinstance(goal, dict) else None)  # type: ignore[arg-type]  # the names and types that asdict gave


def loopback_up() -> None:
    """Brings up `lo`, which a fresh namespace has switched off (netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sH14x", b"lo", 0)
        _, flags = struct.unpack("16sH14x", fcntl.ioctl(handle, SIOCGIFFLAGS, request))
        fcntl.ioctl(handle, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def stop(_number: int, _frame: FrameType | None) -> None:
    """The session outside ends this process; its own children end with it."""
    raise SystemExit(130)


def main() -> int:
    """Measure one part inside."""
    from tools.bench.parts import PARTS  # noqa: PLC0415 - parts name modules that import this one

    signal.signal(signal.SIGTERM, stop)
    name, repeats, cache, scratch = sys.argv[1:]
    part = next(part for part in PARTS if part.name == name)
    loopback_up()
    with Session(repeats=int(repeats), cache=Path(cache), folder=Path(scratch)) as session:
        try:
            figures = part.measure(session)
        except BenchError as error:
            print(error)
            return CANNOT_MEASURE
    print(json.dumps([asdict(figure) for figure in figures]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
