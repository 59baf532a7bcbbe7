"""Deterministic CBOR: the only encoder of hashed bytes, and the strict decoder of foreign ones.

RFC 8949, section 4.2.1, narrowed (docs/formats/cbor.md): integers of 64 bits, byte and text
strings, arrays, maps, tag 4, false, true, null. No floats, no bignums, no indefinite lengths, depth
<= 16. Foreign bytes never go to a general decoder: those accept several encodings of one value.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cbor2 import CBORTag, dumps

from ledger.errors import NotCanonicalError

DEPTH_MAX: Final = 16
TAG_DECIMAL_FRACTION: Final = 4
_UINT64_END: Final = 1 << 64
_INERT: Final = frozenset({bytes, str, bool, type(None)})
_SIMPLE: Final = {20: False, 21: True, 22: None}


def encode(value: object) -> bytes:
    """Canonical bytes of a value; raises NotCanonicalError for types outside the subset."""
    return dumps(_ordered(value, 0))


def encode_again(value: object) -> bytes:
    """Bytes of a value whose parts the strict decoder gave: their maps are in order already.

    What it makes of anything else may not be canonical, so its reader has to be strict.
    """
    return dumps(value)


def _ordered(value: object, depth: int) -> object:
    """The same value with every map in bytewise key order, so that the encoder may keep order."""
    if depth > DEPTH_MAX:
        raise NotCanonicalError("nested too deep", 0)
    kind = type(value)
    if kind is int:
        if not -_UINT64_END <= value < _UINT64_END:  # type: ignore[operator]  # an int, by the line above
            raise NotCanonicalError("integer beyond 64 bits", 0)
        return value
    if kind is bytes or kind is str or kind is bool or value is None:
        return value
    if isinstance(value, list | tuple):
        return _ordered_items(value, depth)
    if isinstance(value, Mapping):
        return _ordered_map(value, depth)
    if isinstance(value, CBORTag) and value.tag == TAG_DECIMAL_FRACTION:
        return CBORTag(value.tag, _ordered(value.value, depth + 1))
    raise NotCanonicalError(f"{kind.__name__} has no canonical form", 0)


def _ordered_items(items: Sequence[Any], depth: int) -> list[object]:
    if items and depth == DEPTH_MAX:
        raise NotCanonicalError("nested too deep", 0)
    # Nearly all are scalars, of which nearly all need no call of their own.
    return [
        item
        if (kind := type(item)) in _INERT or (kind is int and abs(item) < _UINT64_END)
        else _ordered(item, depth + 1)
        for item in items
    ]


def _ordered_map(value: Mapping[Any, object], depth: int) -> dict[Any, object]:
    if any(type(key) not in (int, str, bytes) for key in value):
        raise NotCanonicalError("map key is not an integer or a string", 0)
    return {key: _ordered(value[key], depth + 1) for key in sorted(value, key=dumps)}


def decode(data: bytes) -> Any:  # the shape is the caller's to check
    """The value of exactly one canonical item; raises NotCanonicalError, never anything else."""
    value, end = _item(data, 0, 0)
    if end != len(data):
        raise NotCanonicalError("bytes after the item", end)
    return value


def decode_sequence(data: bytes, *, items_max: int | None = None) -> list[tuple[Any, bytes]]:
    """The values of a CBOR sequence (RFC 8742) with the bytes of each, `items_max` at most; raises
    NotCanonicalError.
    """
    items: list[tuple[Any, bytes]] = []
    at = 0
    while at < len(data):
        if len(items) == items_max:
            raise NotCanonicalError("more items than asked for", at)
        value, end = _item(data, at, 0)
        items.append((value, data[at:end]))
        at = end
    return items


def _item(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    """One item at offset `at`, and the offset behind it."""
    if depth > DEPTH_MAX:
        raise NotCanonicalError("nested too deep", at)
    if at >= len(data):
        raise NotCanonicalError("ends early", at)
    major, low = data[at] >> 5, data[at] & 31
    if major == 7:
        if low not in _SIMPLE:
            raise NotCanonicalError("simple value or float", at)
        return _SIMPLE[low], at + 1
    number, body = (low, at + 1) if low < 24 else _argument(data, at, low)
    if major == 0:
        return number, body
    if major == 1:
        return -1 - number, body
    if major <= 3:
        return _string(data, body, number, text=major == 3)
    if major == 4:
        return _array(data, body, number, depth)
    if major == 5:
        return _map(data, body, number, depth)
    return _decimal(data, body, number, depth)


def _argument(data: bytes, at: int, low: int) -> tuple[int, int]:
    """The number behind an initial byte, refused unless in its shortest form."""
    if low > 27:
        raise NotCanonicalError("indefinite length or reserved", at)
    width = 1 << (low - 24)
    end = at + 1 + width
    if end > len(data):
        raise NotCanonicalError("ends early", at)
    number = int.from_bytes(data[at + 1 : end], "big")
    shortest_min = 24 if width == 1 else 1 << (4 * width)
    if number < shortest_min:
        raise NotCanonicalError("not the shortest form", at)
    return number, end


def _string(data: bytes, at: int, length: int, *, text: bool) -> tuple[bytes | str, int]:
    end = at + length
    if end > len(data):
        raise NotCanonicalError("string ends early", at)
    raw = data[at:end]
    if not text:
        return raw, end
    try:
        return raw.decode("utf-8"), end
    except UnicodeDecodeError:
        raise NotCanonicalError("text is not UTF-8", at) from None


def _array(data: bytes, at: int, count: int, depth: int) -> tuple[list[Any], int]:
    if count > len(data) - at:
        raise NotCanonicalError("array longer than the input", at)
    items = []
    for _ in range(count):
        item, at = _item(data, at, depth + 1)
        items.append(item)
    return items, at


def _map(data: bytes, at: int, count: int, depth: int) -> tuple[dict[Any, Any], int]:
    if count > len(data) - at:
        raise NotCanonicalError("map longer than the input", at)
    result: dict[Any, Any] = {}
    last_key = b""
    for _ in range(count):
        key, key_end = _item(data, at, depth + 1)
        if type(key) not in (int, str, bytes):
            raise NotCanonicalError("map key is not an integer or a string", at)
        if data[at:key_end] <= last_key:
            raise NotCanonicalError("map keys out of order or doubled", at)
        last_key = data[at:key_end]
        result[key], at = _item(data, key_end, depth + 1)
    return result, at


def _decimal(data: bytes, at: int, tag: int, depth: int) -> tuple[CBORTag, int]:
    if tag != TAG_DECIMAL_FRACTION:
        raise NotCanonicalError(f"tag {tag}", at)
    value, end = _item(data, at, depth + 1)
    if not (isinstance(value, list) and [type(part) for part in value] == [int, int]):
        raise NotCanonicalError("tag 4 is not two integers", at)
    return CBORTag(tag, value), end
