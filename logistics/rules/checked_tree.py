"""The hash of a checked CEL syntax tree, the same in every process.

The library serialises a `cel.expr.CheckedExpr` whose maps come in any order, and with the places in
the source text. So the top fields are sorted and the source's places left out before hashing.
Source: checked.proto of the CEL specification; protobuf's wire format.
"""

from collections.abc import Iterator
from typing import Final

from ledger.canonical import encode
from ledger.hashing import tagged
from logistics.rules.errors import ContractError

_ANY_VALUE: Final = 2
_SOURCE_INFO: Final = 5
_LENGTH_DELIMITED: Final = 2


def tree_sha256(serialised: bytes) -> bytes:
    """The digest of a serialised checked expression; raises ContractError for anything else."""
    outer = dict(_fields(serialised))
    rows = [[number, data] for number, data in _fields(outer[_ANY_VALUE]) if number != _SOURCE_INFO]
    return tagged("wharf/rule-tree/1", encode(sorted(rows)))


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(field number, bytes) of a message that holds length-delimited fields only."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        size, at = _varint(data, at)
        if key & 7 != _LENGTH_DELIMITED or at + size > len(data):
            raise ContractError("expression", "a checked tree of another form")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, and the offset behind it."""
    number = shift = 0
    while at < len(data):
        number |= (data[at] & 127) << shift
        at += 1
        if not data[at - 1] & 128:
            return number, at
        shift += 7
    raise ContractError("expression", "a checked tree that ends early")
