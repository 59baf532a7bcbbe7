"""What a disk may hold after the power went: worked out from recorded writes and syncs.

What was synced is there. Everything else may be there or not, whole or by sectors, and a file's
name counts as synced only with its folder.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.integration.disk.recorder import Op

SECTORS: Final = (512, 4096)
WAYS: Final = ("nothing", "everything", "writes", "sectors 512", "sectors 4096")


@dataclass(slots=True)
class _File:
    durable: bytearray = field(default_factory=bytearray)
    waiting: list[tuple[int, bytes]] = field(default_factory=list)


def _put(data: bytearray, offset: int, piece: bytes) -> None:
    if len(data) < offset:
        data.extend(bytes(offset - len(data)))
    data[offset : offset + len(piece)] = piece


def _sectors(offset: int, data: bytes, size: int) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        end = min(len(data), (offset + at) // size * size + size - offset)
        yield offset + at, data[at:end]
        at = end


class Disk:
    """Follows a record; `crash` gives one of the states in which the disk may be found."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = {name: _File(bytearray(data)) for name, data in files.items()}
        self._names = {name: self._files[name] for name in files}
        self._changes: list[tuple[str, _File | None]] = []

    def follow(self, ops: Sequence[Op]) -> None:
        for op in ops:
            if op.kind == "create":
                self._files[op.path] = _File()
                self._changes.append((op.path, self._files[op.path]))
            elif op.kind == "unlink":
                del self._files[op.path]
                self._changes.append((op.path, None))
            elif op.kind == "folder":
                self._settle_names()
            elif op.kind == "write":
                self._write(op)
            elif op.kind == "sync":
                self._sync(self._files[op.path])
            elif op.kind == "lost" and op.path in self._files:
                self._files[op.path].waiting.clear()

    def _write(self, op: Op) -> None:
        if op.through:
            _put(self._files[op.path].durable, op.offset, op.data)
        else:
            self._files[op.path].waiting.append((op.offset, op.data))

    @staticmethod
    def _sync(file: _File) -> None:
        for offset, data in file.waiting:
            _put(file.durable, offset, data)
        file.waiting.clear()

    def _settle_names(self) -> None:
        for name, file in self._changes:
            if file is None:
                self._names.pop(name, None)
            else:
                self._names[name] = file
        self._changes.clear()

    def crash(self, way: str, chance: random.Random) -> dict[str, bytes]:
        """Files by name, as the next start finds them."""
        names = dict(self._names)
        for name, file in self._changes:
            if way == "nothing" or (way != "everything" and chance.random() < 0.5):
                continue
            if file is None:
                names.pop(name, None)
            else:
                names[name] = file
        return {name: self._found(file, way, chance) for name, file in names.items()}

    @staticmethod
    def _found(file: _File, way: str, chance: random.Random) -> bytes:
        data = bytearray(file.durable)
        for offset, piece in file.waiting:
            parts = [(offset, piece)]
            if way.startswith("sectors"):
                parts = list(_sectors(offset, piece, int(way.split()[1])))
            for at, part in parts:
                if way == "everything" or (way != "nothing" and chance.random() < 0.5):
                    _put(data, at, part)
        return bytes(data)


def files_below(folder: Path, *suffixes: str) -> dict[str, bytes]:
    """The files of a folder by relative name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in suffixes
    }


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
