"""Writes and syncs of journal and store in their order, and the power to let one of them fail.

The journal's calls are seen in its own module, LMDB's where its library calls libc. Real files
always hold what a running kernel would show; what a disk holds, `images` works out from the record.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

from ledger import journal as journal_module
from tests.integration.disk.libc_hooks import LmdbCalls

Kind = Literal["write", "sync", "lost", "create", "unlink", "folder", "note"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One thing that happened. lost: a failed sync, after which the kernel writes no more of it."""

    kind: Kind
    path: str = ""
    offset: int = 0
    data: bytes = b""
    through: bool = False  # O_DSYNC: durable when the call returns
    note: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """The call of this number fails with this error; a write may have done half of its work."""

    number: int
    code: int
    half: bool = False


class Recorder:
    """Records while `recording` is entered."""

    def __init__(
        self, root: Path, *, fault: Fault | None = None, unsynced: str = "no path"
    ) -> None:
        self.root, self.fault = root.resolve(), fault
        self._unsynced = unsynced  # syncs of paths that begin so are switched off
        self.ops: list[Op] = []
        self.calls: list[str] = []
        # ENOSPC: what needs new room fails; EROFS: every write does.
        self.full: int | None = None
        self._names: dict[int, str] = {}
        self._at: dict[int, int] = {}

    def note(self, *what: Any) -> None:
        """A mark of the test, in order with the calls."""
        self.ops.append(Op(kind="note", note=what))

    def notes(self, word: str, upto: int | None = None) -> list[tuple[Any, ...]]:
        """Marks of a word among the first ops, without the word."""
        return [op.note[1:] for op in self.ops[:upto] if op.kind == "note" and op.note[0] == word]

    @contextmanager
    def recording(self) -> Iterator[Recorder]:
        calls = LmdbCalls(self._lmdb)
        try:
            with (
                patch.object(journal_module, "os", _JournalOs(self)),
                patch.object(Path, "unlink", self._unlink(Path.unlink)),
            ):
                yield self
        finally:
            calls.restore()

    def _relative(self, path: str | os.PathLike[str]) -> str | None:
        whole = os.path.realpath(path)
        inside = whole.startswith(f"{self.root}{os.sep}")
        return whole[len(str(self.root)) + 1 :] if inside else None

    def _unlink(self, real: Callable[..., None]) -> Callable[..., None]:
        def unlink(path: Path, missing_ok: bool = False) -> None:
            name, there = self._relative(path), path.exists()
            if there and name is not None:
                self._count(f"unlink {name}")
            real(path, missing_ok=missing_ok)
            if there and name is not None:
                self.ops.append(Op(kind="unlink", path=name))

        return unlink

    def _count(self, call: str) -> bool:
        """Notes a call; True where it has to fail with half of its work done, else it raises."""
        self.calls.append(call)
        if self.fault is None or self.fault.number != len(self.calls) - 1:
            return False
        self.note("fault", call)
        if self.fault.half and call.startswith("write"):
            return True
        raise self._error()

    def _error(self) -> OSError:
        assert self.fault is not None
        return OSError(self.fault.code, os.strerror(self.fault.code))

    def _room(self, name: str, end: int) -> None:
        path = self.root / name
        grows = end > (path.stat().st_size if path.exists() else 0)
        if self.full == errno.EROFS or (self.full == errno.ENOSPC and grows):
            raise OSError(self.full, os.strerror(self.full))

    def write(
        self, name: str, data: bytes, *, offset: int, through: bool, real: Callable[[bytes], int]
    ) -> int:
        """One write; what fails may still have reached the disk or not."""
        try:
            half = self._count(f"write {name} {offset}")
            self._room(name, offset + len(data))
        except OSError:
            if through:
                self.ops.append(Op(kind="write", path=name, offset=offset, data=data))
            raise
        if half:
            part = data[: len(data) // 2]
            self.ops.append(Op(kind="write", path=name, offset=offset, data=part))
            real(part)
            raise self._error()
        done = real(data)
        kept = through and not name.startswith(self._unsynced)
        self.ops.append(Op(kind="write", path=name, offset=offset, data=data[:done], through=kept))
        return done

    def sync(self, name: str, *, folder: bool = False) -> None:
        """One sync; nothing real happens, because the record decides what the disk holds."""
        try:
            self._count(f"sync {name}")
        except OSError:
            self.ops.append(Op(kind="lost", path=name))
            raise
        if not f"{name}/".startswith(self._unsynced):
            self.ops.append(Op(kind="folder" if folder else "sync", path=name))

    def _lmdb(self, call: str, real: Callable[[], int], fd: int, *rest: int) -> int:
        name = self._relative(Path(f"/proc/self/fd/{fd}").readlink())
        if name is None or not name.endswith("data.mdb"):
            return real()
        if call == "lseek":
            self._at[fd] = real()
            return self._at[fd]
        if call in ("fdatasync", "fsync"):
            self.sync(name)
            return 0
        if call == "pwrite":
            data, offset = ctypes.string_at(rest[0], rest[1]), rest[2]
        elif call == "writev":
            data, offset = _gathered(rest[0], rest[1]), self._at[fd]
        else:
            raise AssertionError(f"LMDB calls {call}, which the record does not know")
        through = bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DSYNC)
        done = self.write(name, data, offset=offset, through=through, real=lambda _: real())
        if call == "writev":
            self._at[fd] += done
        return done


def _gathered(address: int, count: int) -> bytes:
    """The bytes of an array of iovec."""
    words = (ctypes.c_uint64 * (2 * count)).from_address(address)
    return b"".join(ctypes.string_at(words[2 * n], words[2 * n + 1]) for n in range(count))


class _JournalOs:
    """`os` as the journal sees it."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._names: dict[int, str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        name = self._recorder._relative(path) or ""
        if flags & os.O_CREAT:
            self._recorder._count(f"create {name}")
            self._recorder._room(name, 1)
            self._recorder.ops.append(Op(kind="create", path=name))
        fd = os.open(path, flags, mode)
        self._names[fd] = name
        return fd

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        return self._recorder.write(
            self._names[fd], data, offset=offset, through=False,
            real=lambda part: os.pwrite(fd, part, offset),
        )  # fmt: skip  # one line per group

    def fdatasync(self, fd: int) -> None:
        self._recorder.sync(self._names[fd])

    def fsync(self, fd: int) -> None:
        name = self._names[fd]
        self._recorder.sync(name, folder=(self._recorder.root / name).is_dir())
