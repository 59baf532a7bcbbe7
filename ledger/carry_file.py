"""Feeds in a file, for a USB stick: the messages that gossip would send (docs/formats/carry.md).

    file  = "wharf-carry-1\\n" || frame* || end
    frame = length u32 || crc32c u32 || message

Who carries the file can read nothing in it and change nothing unseen: it is taken by the rules by
which a stream is. A file that is not whole is refused by name, and writing goes on where it broke
off.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from google_crc32c import value as crc32c

from ledger.block import BlockParts, decode_header
from ledger.canonical import decode, encode
from ledger.errors import FormatError, InputError, LimitError, UncheckableError
from ledger.gossip import (
    BLOCK,
    GRANT,
    HEAD,
    MESSAGE_BYTES_MAX,
    PART,
    FeedName,
    FeedSource,
    block_messages,
    decode_message,
    message,
)
from ledger.hashing import sha256
from ledger.head import decode_head

MAGIC: Final = b"wharf-carry-1\n"
FRAME_BYTES: Final = 8
END_WORD: Final = "end"
FEEDS_MAX: Final = 1024
BLOCKS_MAX: Final = 1_000_000


class PartialFileError(UncheckableError):
    """The file breaks off before its end: whoever wrote it was interrupted, or the copy was."""

    def __init__(self, path: Path, messages: int, size_bytes: int) -> None:
        super().__init__(
            f"{path}: breaks off after {messages} whole messages ({size_bytes} bytes); export it "
            "again, which goes on where it stopped, or copy it again"
        )
        self.messages, self.size_bytes = messages, size_bytes


@dataclass(slots=True)
class _Frames:
    """The whole frames of a file, in order: offset and size of each message."""

    places: list[tuple[int, int]] = field(default_factory=list)
    end_bytes: int = len(MAGIC)
    is_complete: bool = False


def _frames(path: Path) -> _Frames:
    """What of a file is whole; raises InputError for a file of another kind, or altered bytes."""
    found, digest = _Frames(), b""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(len(MAGIC))
        if start != MAGIC:
            if MAGIC.startswith(start):
                found.end_bytes = 0
                return found
            raise FormatError("carried file", f"{path} is not one")
        while found.end_bytes + FRAME_BYTES <= size:
            head = file.read(FRAME_BYTES)
            length, checksum = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big")
            if length > MESSAGE_BYTES_MAX:
                raise LimitError("message in a carried file", length, MESSAGE_BYTES_MAX)
            data = file.read(length)
            if len(data) < length:
                return found
            if crc32c(data) != checksum:
                raise FormatError("carried file", f"{path}: altered at byte {found.end_bytes}")
            if _is_end(data):
                _check_end(path, data, len(found.places), digest)
                found.is_complete = found.end_bytes + FRAME_BYTES + length == size
                return found
            digest = sha256(digest + data)
            found.places.append((found.end_bytes + FRAME_BYTES, length))
            found.end_bytes += FRAME_BYTES + length
    return found


def _is_end(data: bytes) -> bool:
    value = decode(data)
    return isinstance(value, list) and value[:1] == [END_WORD]


def _check_end(path: Path, data: bytes, count: int, digest: bytes) -> None:
    if decode(data) != [END_WORD, count, digest]:
        raise FormatError("carried file", f"{path}: its end is not that of its messages")


def _frame(data: bytes) -> bytes:
    checksum: int = crc32c(data)
    return len(data).to_bytes(4, "big") + checksum.to_bytes(4, "big") + data


@dataclass(frozen=True, slots=True)
class Written:
    """What a file holds: blocks, bytes, and whether an earlier try was gone on with."""

    blocks: int
    size_bytes: int
    went_on: bool


def write_carried(path: Path, source: FeedSource, *, first: dict[FeedName, int]) -> Written:
    """Writes what a source holds of these feeds, each from a height on, to a file.

    The file stands under its name only once it is whole and synced; until then its name ends in
    `.part`, and another try goes on behind its last whole block. Raises OSError, InputError.
    """
    part = path.with_name(path.name + ".part")
    went_on = part.exists()
    if not went_on:
        part.write_bytes(MAGIC)
    frames = _frames(part)
    messages = [_at(part, place) for place in frames.places]
    held = _whole_prefix(messages)
    keep = frames.places[held - 1] if held else (len(MAGIC), 0)
    digest = b""
    for data in messages[:held]:
        digest = sha256(digest + data)
    written = {_height_of(data) for data in messages[:held]} - {None}
    count, blocks = held, len(written)
    with part.open("r+b") as file:
        file.write(MAGIC)
        file.truncate(max(len(MAGIC), sum(keep)))
        file.seek(0, os.SEEK_END)
        for data in _messages(source, first, written):
            file.write(_frame(data))
            digest, count = sha256(digest + data), count + 1
            blocks += decode_message(data)[0] == BLOCK
        file.write(_frame(encode([END_WORD, count, digest])))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    return Written(blocks, path.stat().st_size, went_on)


def _at(path: Path, place: tuple[int, int]) -> bytes:
    with path.open("rb") as file:
        file.seek(place[0])
        return file.read(place[1])


def _whole_prefix(messages: Sequence[bytes]) -> int:
    """How many messages end with the last whole block: its parts may be missing behind it."""
    return max((at for at, data in enumerate(messages) if _height_of(data)), default=0)


def _height_of(data: bytes) -> tuple[bytes, int, int] | None:
    kind, fields = decode_message(data)
    if kind != BLOCK:
        return None
    header = decode_header(fields[0])
    return header.feed_id, header.epoch, header.height


def _messages(source: FeedSource, first: dict[FeedName, int], written: set[Any]) -> Iterator[bytes]:
    for feed_id, epoch, blocks, _ in source.feeds():
        feed = (feed_id, epoch)
        if feed not in first:
            continue
        for height in range(first[feed], blocks):
            parts = None if (*feed, height) in written else source.block(feed, height)
            if parts is not None:
                yield from block_messages(feed, height, parts)
        for head in source.heads(feed, -1):
            yield message(HEAD, head)
        for audience, key_epoch, grant in source.grants(feed):
            yield message(GRANT, *feed, audience, key_epoch, grant)


class CarriedFeeds:
    """A file as a source of feeds (`gossip.FeedSource`).

    Raises PartialFileError where it breaks off, InputError where it is no such file.
    """

    def __init__(self, path: Path) -> None:
        frames = _frames(path)
        if not frames.is_complete:
            raise PartialFileError(path, len(frames.places), frames.end_bytes)
        self._path = path
        self._blocks: dict[FeedName, dict[int, list[tuple[int, int]]]] = {}
        self._heads: dict[FeedName, tuple[int, bytes]] = {}
        self._grants: dict[FeedName, list[tuple[int, int, bytes]]] = {}
        under_way: list[tuple[int, int]] = []
        for place in frames.places:
            kind, fields = decode_message(_at(path, place))
            if kind == BLOCK:
                under_way = self._begin(fields, place)
            elif kind == PART:
                under_way.append(place)
            elif kind == HEAD:
                claim = decode_head(fields[0]).claim
                self._heads[claim.feed_id, claim.epoch] = (claim.height, fields[0])
            elif kind == GRANT:
                rows = self._grants.setdefault((fields[0], fields[1]), [])
                rows.append((fields[2], fields[3], fields[4]))
            else:
                raise FormatError("carried file", f"message of type {kind}")

    def _begin(self, fields: list[Any], place: tuple[int, int]) -> list[tuple[int, int]]:
        header = decode_header(fields[0])
        held = self._blocks.setdefault((header.feed_id, header.epoch), {})
        if len(self._blocks) > FEEDS_MAX or len(held) > BLOCKS_MAX:
            raise LimitError("feeds or blocks in a carried file", len(held), BLOCKS_MAX)
        return held.setdefault(header.height, [place])

    def feeds(self) -> Sequence[tuple[bytes, int, int, int]]:
        """(feed id, epoch, blocks up to there, highest head or -1) of each feed."""
        return [
            (*feed, max(blocks) + 1, self._heads.get(feed, (-1, b""))[0])
            for feed, blocks in self._blocks.items()
        ]

    def first(self, feed: FeedName) -> int:
        """The lowest height that the file holds of a feed."""
        return min(self._blocks[feed])

    def block(self, feed: FeedName, height: int) -> BlockParts | None:
        """A block in parts, None where the file does not hold it."""
        places = self._blocks.get(feed, {}).get(height)
        if places is None:
            return None
        _, (header, clear) = decode_message(_at(self._path, places[0]))
        data: dict[int, bytearray] = {audience: bytearray() for audience, _, _ in clear}
        for place in places[1:]:
            _, fields = decode_message(_at(self._path, place))
            if fields[3] not in data:
                raise FormatError("carried file", "a part of no run")
            data[fields[3]] += fields[5]
        runs = tuple(
            (audience, head, body, bytes(data[audience])) for audience, head, body in clear
        )
        return BlockParts(header=header, runs=runs)

    def heads(self, feed: FeedName, above: int) -> Sequence[bytes]:
        """The head, where it is above a height."""
        height, head = self._heads.get(feed, (-1, b""))
        return [head] if height > above else []

    def grants(self, feed: FeedName) -> Sequence[tuple[int, int, bytes]]:
        """(audience, key epoch, signed grant) of a feed."""
        return self._grants.get(feed, [])


def is_carried_file(path: Path) -> bool:
    """Whether a file begins as one."""
    try:
        return bool(_frames(path).end_bytes)
    except (OSError, InputError):
        return False
