"""What reaches the disk when readings come in small groups: cards wear by bytes written.

Measured at a block device of its own, a file behind a loop device with ext4: the kernel's count of
a process charges a whole folio of the page cache for each byte that changes in it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.bench.figure import Figure, at_most
from tools.bench.session import BenchError, Session
from tools.bench.worker import Worker

GROUP, GROUPS = 10, 820  # two blocks of the gateway's default size
DISK_BYTES = 512 << 20
SECTOR_BYTES = 512
SECTORS_WRITTEN = 6  # field of /sys/block/*/stat (Linux, Documentation/block/stat.rst)


@contextmanager
def own_disk(session: Session) -> Iterator[tuple[Path, Path]]:
    """(mount point, the device's statistics) of an empty ext4. Raises BenchError."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        raise BenchError("a loop device is needed: run as root, with e2fsprogs installed")
    image, folder = session.scratch / "disk.img", session.fresh_folder("disk")
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    try:
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
        subprocess.run(["mount", "-o", "loop,noatime", image, folder], check=True)
    except subprocess.CalledProcessError as error:
        raise BenchError(
            f"no loop device can be mounted here ({error}); is there /dev/loop-control?"
        ) from error
    try:
        number = folder.stat().st_dev
        yield folder, Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/stat")
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def measure(session: Session) -> list[Figure]:
    """Bytes a reading that came to the device."""
    with own_disk(session) as (folder, stat):
        own, sqlite = (
            Worker(session, kind, group=GROUP, folder=folder / kind) for kind in ("own", "sqlite")
        )

        def written() -> int:
            os.sync()
            return int(stat.read_text(encoding="ascii").split()[SECTORS_WRITTEN]) * SECTOR_BYTES

        def bytes_of(worker: Worker) -> float:
            before = written()
            worker.run(GROUPS)
            return (written() - before) / (GROUP * GROUPS)

        ours, theirs = session.interleaved(
            "groups of 10", lambda: bytes_of(own), lambda: bytes_of(sqlite)
        )
        own.end()
        sqlite.end()
    return [
        Figure(
            name="bytes written in groups of 10", unit="bytes a reading",
            ours=ours, peer="SQLite, WAL, FULL", theirs=theirs, goal=at_most(600),
            note="at the block device, file system included",
        )
    ]  # fmt: skip  # a figure a block
