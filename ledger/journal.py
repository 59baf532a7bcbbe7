"""The journal: entries made durable and not yet sealed. Append-only segment files, one sync a
group.

    segment = "WHARFJ01" | segment id u32 | 20 zero bytes | frames | zeros
    frame   = length u32 | jseq u64 | crc32c u32 | entry        (big-endian)
    The checksum is seeded with the segment's id and covers length, jseq and entry.

A segment is filled with zeros and synced before use, so that appending writes data only. A bad
frame behind which nothing valid follows in the last segment is a torn tail: it was never
acknowledged. Any other bad frame is corruption: skipped, counted, reported, and nothing behind it
is dropped.
"""

import errno
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from google_crc32c import extend

from ledger.entry import ENTRY_BYTES_MAX
from ledger.errors import JournalError

MAGIC: Final = b"WHARFJ01"
SEGMENT_HEADER_BYTES: Final = 32
FRAME_HEADER_BYTES: Final = 16
SEGMENT_BYTES: Final = 8 << 20
SEGMENTS_KEPT: Final = 2
_NONZERO: Final = re.compile(rb"[^\x00]")
_NAME: Final = re.compile(r"journal-(\d{10})\.seg")


class JournalFullError(JournalError):
    """No room for the next segment. Nothing was written; asking again later is right."""


@dataclass(frozen=True, slots=True)
class Corruption:
    """A place where acknowledged entries may be lost: segment id, byte range, and the jseqs around
    it.
    """

    segment_id: int
    offset: int
    size_bytes: int
    after_jseq: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a journal held when it was opened: entries in order, and what could not be read."""

    entries: tuple[tuple[int, bytes], ...]
    corruptions: tuple[Corruption, ...]
    torn_bytes: int


@dataclass(slots=True)
class _Segment:
    id: int
    path: Path
    last_jseq: int


class Journal:
    """The open journal of one gateway. Not for use from two threads at once."""

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder, self._segment_bytes = folder, segment_bytes
        self._segments: list[_Segment] = []
        self._fd = -1
        self._offset = 0
        self._failed: str | None = None
        self._next_jseq = 1

    @classmethod
    def open(
        cls, folder: Path, *, next_jseq: int = 1, segment_bytes: int = SEGMENT_BYTES
    ) -> tuple["Journal", Recovered]:
        """The journal in a folder (made if missing) and what it holds.

        next_jseq: at least this number comes next, even where the journal is empty; what is found
        from it on is written again and synced. Raises JournalError.
        """
        journal = cls(folder, segment_bytes=segment_bytes)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            recovered = journal._recover(next_jseq)
        except OSError as error:
            raise JournalError(f"{folder}: {error}") from error
        journal._next_jseq = max(journal._next_jseq, next_jseq)
        return journal, recovered

    @property
    def next_jseq(self) -> int:
        """The number that the next entry gets."""
        return self._next_jseq

    @property
    def size_bytes(self) -> int:
        """Disk space that the segments take."""
        return len(self._segments) * self._segment_bytes

    def append(self, entries: Sequence[bytes]) -> int:
        """Writes a group and syncs it; returns the first entry's jseq. All durable, or an error.

        Raises JournalFullError (nothing written, try later) or JournalError (final: a failed write
        or sync leaves the file's state unknown, and asking again could report success for data that
        is gone).
        """
        if self._failed:
            raise JournalError(f"journal stopped: {self._failed}")
        room_max = self._segment_bytes - SEGMENT_HEADER_BYTES - FRAME_HEADER_BYTES
        for data in entries:
            if not 0 < len(data) <= min(ENTRY_BYTES_MAX, room_max):
                raise JournalError(f"an entry of {len(data)} bytes")
        first = self._next_jseq
        chunks = self._chunks(entries)
        # Every segment is made before anything is written: a full disk must refuse whole groups, or
        # the caller's next try would write the first part twice.
        ready = self._prepare_segments(len(chunks) - 1)
        for number, chunk in enumerate(chunks):
            if number:
                self._use(ready[number - 1])
            if chunk:
                self._write_chunk(chunk)
        return first

    def _chunks(self, entries: Sequence[bytes]) -> list[list[bytes]]:
        """The group in parts: what fits into the segment in use, then one part a new segment."""
        chunks: list[list[bytes]] = [[]]
        room = self._segment_bytes - self._offset if self._fd >= 0 else 0
        for data in entries:
            if len(data) + FRAME_HEADER_BYTES > room:
                chunks.append([])
                room = self._segment_bytes - SEGMENT_HEADER_BYTES
            chunks[-1].append(data)
            room -= len(data) + FRAME_HEADER_BYTES
        return chunks

    def _write_chunk(self, chunk: Sequence[bytes]) -> None:
        segment = self._segments[-1]
        frames, jseq = [], self._next_jseq
        for data in chunk:
            frames.append(frame(segment.id, jseq, data))
            jseq += 1
        block = b"".join(frames)
        try:
            written = os.pwrite(self._fd, block, self._offset)
            os.fdatasync(self._fd)
        except OSError as error:
            self._failed = str(error)
            raise JournalError(f"{segment.path}: {error}") from error
        if written != len(block):
            self._failed = "short write"
            raise JournalError(f"{segment.path}: {written} of {len(block)} bytes written")
        self._offset += len(block)
        self._next_jseq = jseq
        segment.last_jseq = jseq - 1

    def _prepare_segments(self, count: int) -> list[tuple[int, Path, int]]:
        """(id, path, descriptor) of new segments, all of them or none."""
        ready: list[tuple[int, Path, int]] = []
        last_id = self._segments[-1].id if self._segments else 0
        for segment_id in range(last_id + 1, last_id + 1 + count):
            path = self._folder / f"journal-{segment_id:010d}.seg"
            try:
                ready.append((segment_id, path, _prepare(path, segment_id, self._segment_bytes)))
            except OSError as error:
                for _, _, fd in ready:
                    os.close(fd)
                for made in [path, *(made for _, made, _ in reversed(ready))]:
                    # On a disk that takes no writes an empty segment stays; a start knows it.
                    with suppress(OSError):
                        made.unlink()
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    text = f"{path}: no room for {self._segment_bytes} bytes"
                    raise JournalFullError(text) from error
                self._failed = str(error)
                raise JournalError(f"{path}: {error}") from error
        return ready

    def _use(self, segment: tuple[int, Path, int]) -> None:
        self._close_fd()
        segment_id, path, self._fd = segment
        self._offset = SEGMENT_HEADER_BYTES
        self._segments.append(_Segment(segment_id, path, self._next_jseq - 1))

    def forget(self, jseq_end: int) -> None:
        """Deletes segments that hold nothing above this jseq; the newest two always stay.

        Raises JournalError.
        """
        while len(self._segments) > SEGMENTS_KEPT and self._segments[0].last_jseq <= jseq_end:
            path = self._segments.pop(0).path
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise JournalError(f"{path}: {error}") from error

    def close(self) -> None:
        """Closes the file; everything appended is durable already."""
        self._close_fd()

    def _close_fd(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _recover(self, unsealed_jseq: int) -> Recovered:
        scans = _scan_folder(self._folder)
        self._segments += [_Segment(scan.segment_id, path, scan.last_jseq) for path, scan in scans]
        recovered, torn = _recovered(scans)
        for path, scan in torn:
            _clear(path, scan.end, scan.torn_bytes)
        for path, scan in scans:
            if scan.last_jseq >= unsealed_jseq or (path, scan) == scans[-1]:
                _write_again(path, scan, unsealed_jseq)
        if scans:
            _sync_folder(self._folder)
            self._next_jseq = scans[-1][1].last_jseq + 1
            self._reopen_last(scans[-1][1])
        return recovered

    def _reopen_last(self, scan: "_Scan") -> None:
        path = self._segments[-1].path
        self._fd, self._offset = os.open(path, os.O_WRONLY), scan.end
        if not scan.has_header or path.stat().st_size != self._segment_bytes:
            # A segment left half made by a crash, or of another size: full, the next one is begun.
            self._offset = self._segment_bytes


def inspect(folder: Path) -> Recovered:
    """What the journal in a folder holds; nothing is changed and nothing is made."""
    return _recovered(_scan_folder(folder))[0]


def _scan_folder(folder: Path) -> list[tuple[Path, "_Scan"]]:
    scans: list[tuple[Path, _Scan]] = []
    for path in sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name)):
        last = scans[-1][1].last_jseq if scans else 0
        scans.append((path, _Scan(path.read_bytes(), int(path.name[8:18]), last)))
    return scans


def _recovered(
    scans: Sequence[tuple[Path, "_Scan"]],
) -> tuple[Recovered, list[tuple[Path, "_Scan"]]]:
    """What the segments hold, and those with a torn tail."""
    # A group may be torn while the segments made ready for its rest are still empty.
    tail = max((at for at, (_, scan) in enumerate(scans) if scan.entries), default=0)
    corruptions: list[Corruption] = []
    for at, (_, scan) in enumerate(scans):
        corruptions += scan.corruptions if at >= tail else scan.all_bad()
    torn = [item for at, item in enumerate(scans) if at >= tail and item[1].torn_bytes]
    entries = tuple(entry for _, scan in scans for entry in scan.entries)
    torn_bytes = sum(scan.torn_bytes for _, scan in torn)
    return Recovered(entries, tuple(corruptions), torn_bytes), torn


def _clear(path: Path, offset: int, size_bytes: int) -> None:
    """Makes a torn tail zeros again, so that later it is not taken for lost entries."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(fd, bytes(size_bytes), offset)
        os.fdatasync(fd)
    finally:
        os.close(fd)


def _write_whole(fd: int, data: bytes, offset: int) -> None:
    # A disk that fills up writes less than it was given, and says so at the next call only.
    if os.pwrite(fd, data, offset) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _write_again(path: Path, scan: "_Scan", unsealed_jseq: int) -> None:
    """Makes what a scan found durable from the first unsealed frame on.

    A killed program, or a failed sync, leaves frames that can be read and are not on the disk. A
    sync alone does not help: the kernel counts pages as clean after a sync that failed.
    """
    fd = os.open(path, os.O_RDWR)
    try:
        start = scan.offset_of(unsealed_jseq)
        data = os.pread(fd, scan.end - start, start)
        _write_whole(fd, data, start)
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def frame(segment_id: int, jseq: int, data: bytes) -> bytes:
    """One entry as it stands in a segment."""
    start = len(data).to_bytes(4, "big") + jseq.to_bytes(8, "big")
    crc: int = extend(extend(segment_id, start), data)
    return start + crc.to_bytes(4, "big") + data


def _prepare(path: Path, segment_id: int, size_bytes: int) -> int:
    """A new segment, zero-filled, synced with its folder; returns its descriptor."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        header = (MAGIC + segment_id.to_bytes(4, "big")).ljust(SEGMENT_HEADER_BYTES, b"\x00")
        zeros = bytes(1 << 20)
        for at in range(0, size_bytes, len(zeros)):
            _write_whole(fd, zeros[: size_bytes - at], at)
        os.pwrite(fd, header, 0)
        os.fsync(fd)
        _sync_folder(path.parent)
    except OSError:
        os.close(fd)
        raise
    return fd


class _Scan:
    """Reads one segment's frames, going on behind bad ones."""

    def __init__(self, data: bytes, segment_id: int, last_jseq: int) -> None:
        self._data, self.segment_id = data, segment_id
        self.entries: list[tuple[int, bytes]] = []
        self.corruptions: list[Corruption] = []
        self.last_jseq = last_jseq
        self.end = SEGMENT_HEADER_BYTES
        self.torn_bytes = 0
        self._offsets: list[int] = []
        header = MAGIC + segment_id.to_bytes(4, "big")
        self.has_header = data[: len(header)] == header
        self._read()
        self._data = b""

    def all_bad(self) -> list[Corruption]:
        """Corruptions where even a bad tail is one, because a later segment exists."""
        if not self.torn_bytes:
            return self.corruptions
        tail = Corruption(self.segment_id, self.end, self.torn_bytes, self.last_jseq)
        return [*self.corruptions, tail]

    def offset_of(self, jseq: int) -> int:
        """Where the first frame of at least this number begins; the end if there is none."""
        rows = zip(self.entries, self._offsets, strict=True)
        return next((at for (held, _), at in rows if held >= jseq), self.end)

    def _read(self) -> None:
        data, at = self._data, SEGMENT_HEADER_BYTES
        if not self.has_header and _NONZERO.search(data):
            self.corruptions.append(
                Corruption(self.segment_id, 0, SEGMENT_HEADER_BYTES, self.last_jseq)
            )
        while True:
            size = self._valid(at)
            if size:
                self._take(at, size)
                at += size
                continue
            found = _NONZERO.search(data, at)
            if not found:
                return
            resumed = self._next_valid(found.start())
            if resumed is None:
                self.torn_bytes = len(data.rstrip(b"\x00")) - at
                return
            lost = Corruption(self.segment_id, at, resumed - at, self.last_jseq)
            self.corruptions.append(lost)
            at = resumed

    def _take(self, at: int, size: int) -> None:
        jseq = int.from_bytes(self._data[at + 4 : at + 12], "big")
        self.entries.append((jseq, self._data[at + FRAME_HEADER_BYTES : at + size]))
        self._offsets.append(at)
        self.last_jseq, self.end = jseq, at + size

    def _valid(self, at: int) -> int:
        """Size of the valid frame at an offset, 0 if there is none."""
        data = self._data
        length = int.from_bytes(data[at : at + 4], "big")
        end = at + FRAME_HEADER_BYTES + length
        if not 0 < length <= ENTRY_BYTES_MAX or end > len(data):
            return 0
        if int.from_bytes(data[at + 4 : at + 12], "big") <= self.last_jseq:
            return 0
        crc = extend(
            extend(self.segment_id, data[at : at + 12]), data[at + FRAME_HEADER_BYTES : end]
        )
        return end - at if crc == int.from_bytes(data[at + 12 : at + 16], "big") else 0

    def _next_valid(self, start: int) -> int | None:
        """Offset of the first valid frame at or behind `start`."""
        last = len(self._data.rstrip(b"\x00"))
        # A frame begins with the zero bytes of its length, so the search steps back three.
        for at in range(max(SEGMENT_HEADER_BYTES, start - 3), last):
            if self._valid(at):
                return at
        return None
