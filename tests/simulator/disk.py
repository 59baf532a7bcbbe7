"""Disks that lose what was not synced, fill up and rot; and the store on them."""

import os as real_os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from errno import ENOSPC
from pathlib import Path
from typing import Any, Final, TypeVar
from unittest.mock import patch

from ledger import journal
from ledger.store import Store, StoreFullError, Transaction
from tests.simulator.clock import finished

Result = TypeVar("Result")
STORE_BYTES: Final = 64 << 20


class PowerCutError(BaseException):
    """The box has no power: no except clause of the program's own may go on."""


class Disk:
    """One box's disk. `cut_in`: the power fails at so many more operations."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder, self._chance = folder, chance
        self.is_full = False
        self.is_dead = False
        self.cut_in: int | None = None
        self._unsynced: list[tuple[str, int, bytes]] = []  # path, offset, what stood there
        self._waiting: list[tuple[Future[Any], Callable[[], Any]]] = []

    def operation(self) -> None:
        """Before each thing that the disk is asked."""
        if self.cut_in is not None:
            self.cut_in -= 1
            if self.cut_in <= 0:
                self.is_dead = True
        if self.is_dead:
            raise PowerCutError

    def wrote(self, path: str, offset: int, before: bytes) -> None:
        """A write that only the cache holds."""
        self._unsynced.append((path, offset, before))

    def synced(self, path: str) -> None:
        """What was written to this file stands on the disk."""
        self._unsynced = [item for item in self._unsynced if item[0] != path]

    def lose_unsynced(self) -> None:
        """What a power cut does: of each write that was not synced all, a part or nothing stays."""
        for path, offset, before in reversed(self._unsynced):
            lost_from = self._chance.choice([0, 0, len(before) // 2, len(before)])
            if lost_from < len(before) and Path(path).exists():
                with Path(path).open("r+b") as file:
                    file.seek(offset + lost_from)
                    file.write(before[lost_from:])
        self._unsynced = []
        self.is_dead, self.cut_in = False, None

    def rot(self) -> bool:
        """Flips a byte in the frames of a journal segment that is not the newest."""
        segments = sorted((self.folder / "journal").glob("*.seg"))[:-1]
        if not segments:
            return False
        path = self._chance.choice(segments)
        data = path.read_bytes().rstrip(b"\x00")
        if len(data) < 200:
            return False
        with path.open("r+b") as file:
            at = self._chance.randrange(64, len(data))
            file.seek(at)
            file.write(bytes([data[at] ^ 0x55]))
        return True


class SimOs:
    """`os` as the journal sees it: each file's disk is found by its path."""

    def __init__(self) -> None:
        self.disks: dict[str, Disk] = {}
        self._paths: dict[int, str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(real_os, name)

    def _disk(self, path: str) -> Disk | None:
        return next((disk for root, disk in self.disks.items() if path.startswith(root)), None)

    def open(self, path: Any, flags: int, mode: int = 0o777) -> int:
        disk = self._disk(str(path))
        if disk is not None:
            disk.operation()
            if disk.is_full and flags & real_os.O_CREAT:
                raise OSError(ENOSPC, real_os.strerror(ENOSPC))
        fd = real_os.open(path, flags, mode)
        self._paths[fd] = str(path)
        return fd

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        path = self._paths[fd]
        disk = self._disk(path)
        if disk is not None:
            disk.operation()
            with Path(path).open("rb") as file:
                file.seek(offset)
                before = file.read(len(data)).ljust(len(data), b"\x00")
            disk.wrote(path, offset, before)
        return real_os.pwrite(fd, data, offset)

    def fsync(self, fd: int) -> None:
        path = self._paths[fd]
        disk = self._disk(path)
        if disk is not None:
            disk.operation()
            disk.synced(path)

    fdatasync = fsync

    def close(self, fd: int) -> None:
        self._paths.pop(fd, None)
        real_os.close(fd)


@contextmanager
def simulated_os() -> Iterator[SimOs]:
    """The journal's calls go to simulated disks."""
    system = SimOs()
    with patch.object(journal, "os", system):
        yield system


class SimStore(Store):
    """The real store, its writing done in place, on a disk that may fail between transactions."""

    def __init__(self, disk: Disk, name: str = "store") -> None:
        self.disk = disk
        self._held_back: list[tuple[Future[Any], Callable[[Transaction], Any]]] = []
        super().__init__(disk.folder / name, map_bytes=STORE_BYTES)

    def write(self, work: Callable[[Transaction], Result]) -> Result:
        self.disk.operation()
        if self.disk.is_full:
            raise StoreFullError("the disk is full")
        result = self._write(work)
        self.disk.operation()  # committed, and nobody was told
        return result

    def write_later(self, work: Callable[[Transaction], Result]) -> "Future[Result]":
        if self.disk.is_full or self._held_back:
            waits: Future[Result] = Future()
            self._held_back.append((waits, work))
            return waits
        return finished(lambda: self.write(work))

    def has_room(self) -> None:
        """Does what waited for room, in its order."""
        held, self._held_back = self._held_back, []
        for waits, work in held:
            if waits.cancelled():
                continue
            try:
                waits.set_result(self.write(work))
            except BaseException as error:  # noqa: BLE001  # handed to who waits
                waits.set_exception(error)
