"""The proof bundle: one file with all that an outsider needs (docs/formats/bundle.md has every
byte).

    bundle    = [ "wharf-bundle", 1, -16, [ request, [ + feed-part ], chain-part: bstr ], digest ]
    request   = [ device-id, channel / null, from-ms, to-ms ]
    feed-part = [ head: bstr, header-proof, [ * [ height, audience, run-head: bstr ] ],
                  [ + slot ], leaf-proof ]
    header-proof = [ first-height, [ + block-header: bstr ], [ * hash ] ]
    leaf-proof   = [ [ + [ first, count ] ], [ + leaf: bstr ], [ * hash ] ]

The digest finds damage, not lies: whoever can make a bundle can make its digest. Trust comes from
outside.
"""

from dataclasses import dataclass
from typing import Any, Final

from ledger.block import BlockHeader, RunHead, decode_header, decode_run_head
from ledger.canonical import decode, encode
from ledger.errors import FormatError, LimitError, ProofError
from ledger.hashing import HASH_BYTES, tagged

MAGIC: Final = "wharf-bundle"
VERSION: Final = 1
HASH_SHA256: Final = -16  # COSE algorithm id
BUNDLE_BYTES_MAX: Final = 256 << 20
FEEDS_MAX: Final = 64
SLOTS_MAX: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the bundle is an answer to. Times: UTC, milliseconds since 1970, both ends inside."""

    device_id: str
    channel: str | None
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPart:
    """One feed's part: a signed head, the headers of the span, and leaves with what leads to the
    root.
    """

    head: bytes
    first_height: int
    headers: tuple[BlockHeader, ...]
    header_path: tuple[bytes, ...]
    run_heads: tuple[tuple[int, int, RunHead], ...]
    slots: tuple[int, ...]
    ranges: tuple[tuple[int, int], ...]
    leaves: tuple[bytes, ...]
    leaf_path: tuple[bytes, ...]

    def to_value(self) -> list[Any]:
        """The part in its order on the wire."""
        return [
            self.head,
            [self.first_height, [h.encode() for h in self.headers], list(self.header_path)],
            [[height, audience, head.encode()] for height, audience, head in self.run_heads],
            list(self.slots),
            [[list(item) for item in self.ranges], list(self.leaves), list(self.leaf_path)],
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A whole bundle. `chain`: an encoded chain part (ledger.chain_proof)."""

    request: Request
    feeds: tuple[FeedPart, ...]
    chain: bytes

    def encode(self) -> bytes:
        """The file's bytes."""
        asked = self.request
        body = [
            [asked.device_id, asked.channel, asked.from_ms, asked.to_ms],
            [feed.to_value() for feed in self.feeds],
            self.chain,
        ]
        return encode([MAGIC, VERSION, HASH_SHA256, body, body_digest(body)])


def body_digest(body: list[Any]) -> bytes:
    """What the last element of a bundle must be."""
    return tagged("wharf/bundle/1", encode(body))


def decode_bundle(data: bytes) -> Bundle:
    """The bundle in a file, nothing of it verified; raises InputError subclasses or ProofError."""
    if len(data) > BUNDLE_BYTES_MAX:
        raise LimitError("bundle size in bytes", len(data), BUNDLE_BYTES_MAX)
    value = _list("bundle", decode(data), str, int, int, list, bytes)
    if value[:3] != [MAGIC, VERSION, HASH_SHA256]:
        raise FormatError("bundle", "not a proof bundle of version 1")
    body = _list("bundle body", value[3], list, list, bytes)
    if value[4] != body_digest(body):
        raise ProofError("the file's digest does not fit: it was damaged or edited")
    if not 1 <= len(body[1]) <= FEEDS_MAX:
        raise FormatError("bundle", f"{len(body[1])} feeds")
    return Bundle(
        request=_request(body[0]),
        feeds=tuple(feed_part_from_value(item) for item in body[1]),
        chain=body[2],
    )


def _request(value: list[Any]) -> Request:
    if len(value) == 4 and value[1] is None:
        device_id, _, from_ms, to_ms = _list("request", value, str, type(None), int, int)
        channel = None
    else:
        device_id, channel, from_ms, to_ms = _list("request", value, str, str, int, int)
    if from_ms > to_ms:
        raise FormatError("request", "ends before it begins")
    return Request(device_id=device_id, channel=channel, from_ms=from_ms, to_ms=to_ms)


def feed_part_from_value(value: object) -> FeedPart:
    """The part in a decoded canonical value, nothing of it verified; raises FormatError."""
    head, headers, run_heads, slots, leaves = _list(
        "feed part", value, bytes, list, list, list, list
    )
    first_height, encoded, header_path = _list("header proof", headers, int, list, list)
    ranges, leaf_bytes, leaf_path = _list("leaf proof", leaves, list, list, list)
    if not encoded or first_height < 0 or not 1 <= len(slots) <= SLOTS_MAX:
        raise FormatError("feed part", "no headers, no slots, or a number out of range")
    if any(type(slot) is not int for slot in slots) or slots != sorted(set(slots)):
        raise FormatError("feed part", "slots do not ascend")
    return FeedPart(
        head=head,
        first_height=first_height,
        headers=tuple(decode_header(_bytes("header", item)) for item in encoded),
        header_path=_hashes(header_path),
        run_heads=tuple(_run_head(item) for item in run_heads),
        slots=tuple(slots),
        ranges=tuple(_range(item) for item in ranges),
        leaves=tuple(_bytes("leaf", item) for item in leaf_bytes),
        leaf_path=_hashes(leaf_path),
    )


def _run_head(value: object) -> tuple[int, int, RunHead]:
    height, audience, data = _list("run head", value, int, int, bytes)
    return height, audience, decode_run_head(data)


def _range(value: object) -> tuple[int, int]:
    first, count = _list("range", value, int, int)
    return first, count


def _hashes(value: list[Any]) -> tuple[bytes, ...]:
    if any(type(item) is not bytes or len(item) != HASH_BYTES for item in value):
        raise FormatError("path", "an element is not a 32-byte hash")
    return tuple(value)


def _bytes(what: str, value: object) -> bytes:
    if type(value) is not bytes:
        raise FormatError(what, "not a byte string")
    return value


def _list(what: str, value: object, *types: type) -> list[Any]:
    if not isinstance(value, list) or tuple(type(item) for item in value) != types:
        raise FormatError(what, f"not {len(types)} elements of the right types")
    return value
