"""Entries by columns, before compression: codec 2 of a run (docs/formats/block.md).

Readings of one sensor repeat each other but for small steps in two or three numbers. Held side by
side and as steps, those numbers take a third of what a general compressor makes of whole entries.
`unpack` gives back the bytes that the leaves hash. It judges what comes from outside: every count
and size is compared before work is done for it; that its entries are canonical is the opener's to
see, as with codec 1.
"""

import struct
from collections.abc import Iterator, Sequence
from itertools import accumulate
from operator import add, sub
from typing import Any, Final

from ledger.block import BLOCK_LEAVES_MAX
from ledger.canonical import decode, decode_sequence, encode, encode_again
from ledger.entry import ENTRY_BYTES_MAX, Entry
from ledger.errors import FormatError, LimitError, NotCanonicalError

VERSION: Final = 1
GROUPS_MAX: Final = 255
BODY_ITEMS_MAX: Final = 64
# Every entry has eight columns, behind them those of its body's items; two of the eight.
_MONO, _WALL, _FIXED = 3, 4, 8
SAME: Final = 0  # one item for all rows
ITEMS: Final = 1  # one item a row, as a CBOR sequence
STEPS: Final = 2  # integers, as differences from the row before, in planes of bytes
STEP_BYTES: Final = 8
_SCALARS: Final = (int, str, bytes, bool, type(None))


def pack(entries: Sequence[Entry]) -> bytes | None:
    """The entries by columns; None where this form does not suit them.

    Entries whose items are of the same types make a group, so that a column holds one type.
    """
    shapes: dict[tuple[type, ...], int] = {}
    groups: list[list[tuple[Any, ...]]] = []
    places = bytearray()
    for entry in entries:
        time, body = entry.time, entry.body
        if type(body) is not list or len(body) > BODY_ITEMS_MAX:
            return None
        wall_us = time.wall_us
        row = (
            entry.kind, entry.slot, time.boot, time.mono_us,
            None if wall_us is None else wall_us - time.mono_us,
            time.quality, time.unc_us, entry.srcseq, *body,
        )  # fmt: skip  # as the format lists them
        place = shapes.setdefault(tuple(map(type, row)), len(groups))
        if place == len(groups):
            if place == GROUPS_MAX:
                return None
            groups.append([])
        groups[place].append(row)
        places.append(place)
    try:
        columns = [[_packed(column) for column in zip(*rows, strict=True)] for rows in groups]
        return encode([VERSION, bytes(places), columns])
    except NotCanonicalError:
        return None  # a wall time further from the time since boot than 64 bits tell


def _packed(column: Sequence[Any]) -> list[Any]:
    first = column[0]
    if column.count(first) == len(column) and type(first) in _SCALARS:
        return [SAME, first]
    if type(first) is int:
        steps = [first, *map(sub, column[1:], column)]
        planes = _planes([step << 1 if step >= 0 else ~(step << 1) for step in steps])
        if planes is not None:
            return [STEPS, planes]
    return [ITEMS, b"".join(map(encode, column))]


def _planes(numbers: Sequence[int]) -> bytes | None:
    """The numbers' lowest bytes, then their next, and so on; None beyond 64 bits."""
    width = (max(numbers).bit_length() + 7) // 8
    if width > STEP_BYTES:
        return None
    raw = struct.pack(f"<{len(numbers)}Q", *numbers)
    return b"".join(raw[plane::STEP_BYTES] for plane in range(width))


def unpack(data: bytes, plain_bytes: int) -> bytes:
    """The entries' bytes, one behind the other; hardly more than `plain_bytes` are ever made.

    Raises LimitError where they are more, FormatError or NotCanonicalError for what is no columns.
    """
    value = decode(data)
    if not isinstance(value, list) or [type(item) for item in value] != [int, bytes, list]:
        raise FormatError("columns", "not three elements of the right types")
    version, places, groups = value
    if version != VERSION or not 0 < len(places) <= BLOCK_LEAVES_MAX or len(groups) > GROUPS_MAX:
        raise FormatError("columns", "version, rows or groups")
    counts = [places.count(place) for place in range(len(groups))]
    if sum(counts) != len(places) or not all(counts):
        raise FormatError("columns", "a row of no group, or a group of no row")
    rows = [_rows(group, count) for group, count in zip(groups, counts, strict=True)]
    size_bytes, entries = 0, []
    for place in places:
        entry = next(rows[place])
        size_bytes += len(entry)
        if size_bytes > plain_bytes:
            raise LimitError("bytes of the entries", size_bytes, plain_bytes)
        entries.append(entry)
    return b"".join(entries)


def _rows(group: object, count: int) -> Iterator[bytes]:
    """The entries of a group, each made when it is asked for."""
    if not isinstance(group, list) or not _FIXED <= len(group) <= _FIXED + BODY_ITEMS_MAX:
        raise FormatError("columns", "a group is not that many columns")
    columns = [_column(column, count) for column in group]
    columns[_WALL] = _walls(columns[_WALL], columns[_MONO])
    return (_entry(row) for row in zip(*columns, strict=True))


def _entry(row: tuple[Any, ...]) -> bytes:
    kind, slot, boot, mono_us, wall_us, quality, unc_us, srcseq, *body = row
    data = encode_again([kind, slot, [boot, mono_us, wall_us, quality, unc_us], srcseq, body])
    if len(data) > ENTRY_BYTES_MAX:
        raise FormatError("columns", f"an entry of {len(data)} bytes")
    return data


def _walls(distances: Sequence[Any], monos: Sequence[Any]) -> Sequence[Any]:
    """Wall times from their distances to the time since boot."""
    if all(distance is None for distance in distances):
        return distances
    if not all(type(number) is int for column in (distances, monos) for number in column):
        raise FormatError("columns", "a time that is no integer")
    return list(map(add, distances, monos))


def _column(column: object, count: int) -> Sequence[Any]:
    """The values of a column, one a row."""
    match column:
        case [int(form), value] if form == SAME:
            return [value] * count
        case [int(form), bytes(data)] if form == ITEMS:
            items = [value for value, _ in decode_sequence(data, items_max=count)]
            if len(items) != count:
                raise FormatError("columns", f"{len(items)} items for {count} rows")
            return items
        case [int(form), bytes(planes)] if form == STEPS:
            return _integers(planes, count)
    raise FormatError("columns", "a column of no known form")


def _integers(planes: bytes, count: int) -> list[int]:
    width, rest = divmod(len(planes), count)
    if rest or width > STEP_BYTES:
        raise FormatError("columns", f"{len(planes)} bytes of steps for {count} rows")
    raw = bytearray(STEP_BYTES * count)
    for plane in range(width):
        raw[plane::STEP_BYTES] = planes[plane * count : (plane + 1) * count]
    folded = struct.unpack(f"<{count}Q", raw)
    return list(accumulate(number >> 1 ^ -(number & 1) for number in folded))
