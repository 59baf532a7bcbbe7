"""A small disk that can be filled and made read-only: a loop device where the machine allows it,
else a file system in memory, else the recorded calls refusing as a full disk does.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.integration.disk.recorder import Recorder

SIZE_BYTES: Final = 24 << 20
PIECES: Final = (1 << 20, 1 << 12, 1)


def _runs(*command: str) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        return False
    return done.returncode == 0


class SmallDisk:
    """`vehicle` says which kind it is."""

    def __init__(self, work: Path, *, memory: bool = True) -> None:
        """memory: false where a file system in memory cannot do what is asked."""
        self.folder, self._image = work / "disk", work / "disk.img"
        self.folder.mkdir()
        self._recorder: Recorder | None = None
        self.vehicle = next(
            name
            for name, made in (
                ("ext4 on a loop device", self._loop),
                ("tmpfs", self._memory if memory else lambda: False),
                ("refusing calls", self._calls),
            )
            if made()
        )
        print(f"vehicle: {self.vehicle}")

    def _loop(self) -> bool:
        with self._image.open("wb") as image:
            image.truncate(SIZE_BYTES)
        program = "mkfs.ext4" if _runs("mkfs.ext4", "-V") else "/usr/sbin/mkfs.ext4"
        return _runs(program, "-q", "-F", "-m", "0", str(self._image)) and self.mount()

    def mount(self) -> bool:
        return _runs("mount", "-o", "loop", str(self._image), str(self.folder))

    def _memory(self) -> bool:
        return _runs("mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "small", str(self.folder))

    def _calls(self) -> bool:
        self._recorder = Recorder(self.folder)
        return True

    @contextmanager
    def ready(self) -> Iterator[SmallDisk]:
        with ExitStack() as stack:
            if self._recorder is not None:
                stack.enter_context(self._recorder.recording())
            try:
                yield self
            finally:
                if self._recorder is None:
                    self.unmount()

    def unmount(self) -> None:
        assert _runs("umount", str(self.folder))

    def fill(self) -> None:
        """Leaves no byte."""
        if self._recorder is not None:
            self._recorder.full = errno.ENOSPC
            return
        with (self.folder / "ballast").open("ab", buffering=0) as file:
            for size in PIECES:
                with suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass
            with suppress(OSError):
                os.fsync(file.fileno())

    def make_room(self) -> None:
        if self._recorder is not None:
            self._recorder.full = None
            return
        (self.folder / "ballast").unlink()
        os.sync()

    def refuse_writes(self) -> None:
        """Read-only under open files, as a kernel does to a disk that errs."""
        if self._recorder is not None:
            self._recorder.full = errno.EROFS
        else:
            assert _runs("mount", "-o", "remount,abort", str(self.folder))

    def mend(self) -> None:
        """As after a repair: mounted anew, for writing."""
        if self._recorder is not None:
            self._recorder.full = None
            return
        self.unmount()
        assert self.mount()
