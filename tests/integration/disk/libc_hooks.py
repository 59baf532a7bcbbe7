"""The calls that LMDB's library makes into libc, passed through functions of the test.

A shared library reaches libc through slots of its global offset table; a slot that is overwritten
sends the call elsewhere (System V ABI, ELF64, relocation types JUMP_SLOT and GLOB_DAT). So writes
and syncs that Python never sees are recorded, and made to fail, with no tool from outside.
"""

from __future__ import annotations

import ctypes
import importlib
import mmap
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

CALLS: Final = ("pwrite", "writev", "write", "lseek", "fdatasync", "fsync", "ftruncate")
_SHT_RELA, _SHT_DYNSYM = 4, 11
# (JUMP_SLOT, GLOB_DAT) on x86_64 and aarch64
_SLOT_TYPES: Final = {7, 6, 1026, 1025}
_LONG: Final = ctypes.c_ssize_t
_SHAPES: Final[dict[str, Any]] = {
    "pwrite": (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64),
    "writev": (ctypes.c_int, ctypes.c_void_p, ctypes.c_int),
    "write": (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t),
    "lseek": (ctypes.c_int, ctypes.c_int64, ctypes.c_int),
    "fdatasync": (ctypes.c_int,),
    "fsync": (ctypes.c_int,),
    "ftruncate": (ctypes.c_int, ctypes.c_int64),
}


def _sections(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """(type, offset, size, link) of each section of an ELF64 file."""
    (start,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    for number in range(count):
        _, kind, _, _, at, length, link = struct.unpack_from(
            "<IIQQQQI", data, start + number * size
        )
        yield kind, at, length, link


def slots(library: Path) -> dict[str, list[int]]:
    """Offsets, from the library's base, of the table slots of each function that it imports."""
    data = library.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        raise OSError(f"{library} is not ELF64, little-endian")
    sections = list(_sections(data))
    _, symbols, _, names = next(item for item in sections if item[0] == _SHT_DYNSYM)
    text = sections[names][1]
    found: dict[str, list[int]] = {}
    for kind, at, length, _ in sections:
        if kind != _SHT_RELA:
            continue
        for offset, info, _ in struct.iter_unpack("<QQq", data[at : at + length]):
            if info & 0xFFFFFFFF in _SLOT_TYPES:
                start = text + struct.unpack_from("<I", data, symbols + (info >> 32) * 24)[0]
                name = data[start : data.index(b"\x00", start)].decode()
                found.setdefault(name.removesuffix("64"), []).append(offset)
    return found


def _base(library: Path) -> int:
    for line in Path("/proc/self/maps").read_text().splitlines():
        if line.endswith(str(library)):
            return int(line.split("-")[0], 16)
    raise OSError(f"{library} is not loaded")


class LmdbCalls:
    """Puts functions of the test in the place of libc's; `restore` puts libc's back.

    Each function is called with (call through to libc, arguments) and returns what libc would; an
    OSError that it raises becomes -1 and errno.
    """

    def __init__(self, through: Callable[..., int]) -> None:
        self._through = through
        self._kept: list[Any] = []
        self._old: list[tuple[int, int]] = []
        library = Path(str(importlib.import_module("lmdb.cpython").__file__)).resolve()
        base, found = _base(library), slots(library)
        self.hooked = sorted(name for name in CALLS if name in found)
        libc = ctypes.CDLL(None, use_errno=True)
        for name in self.hooked:
            callback = self._callback(name, libc)
            self._kept.append(callback)
            target = ctypes.cast(callback, ctypes.c_void_p).value
            for offset in found[name]:
                self._put(base + offset, target or 0)

    def _callback(self, name: str, libc: Any) -> Any:
        real = getattr(libc, name)
        real.restype, real.argtypes = _LONG, _SHAPES[name]

        def call(*arguments: int) -> int:
            try:
                return self._through(name, lambda: _checked(real(*arguments)), *arguments)
            except OSError as error:
                ctypes.set_errno(error.errno or 0)
                return -1

        return ctypes.CFUNCTYPE(_LONG, *_SHAPES[name], use_errno=True)(call)

    def _put(self, address: int, value: int) -> None:
        page = address & ~(mmap.PAGESIZE - 1)
        protect = ctypes.CDLL(None).mprotect
        protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        if protect(page, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE):
            raise OSError("the table of LMDB's library cannot be made writable")
        slot = ctypes.c_uint64.from_address(address)
        self._old.append((address, slot.value))
        slot.value = value

    def restore(self) -> None:
        for address, value in reversed(self._old):
            ctypes.c_uint64.from_address(address).value = value
        self._old.clear()


def _checked(result: int) -> int:
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
