"""Sync of feeds as two state machines without IO: messages in, messages out
(docs/formats/gossip.md).

`FeedSender` offers what it holds and sends what the other side asks for, within the bytes it was
allowed. `FeedReceiver` asks, assembles, and hands whole blocks to its sink. Any carrier may stand
between: every byte that counts is bound by a head's signature.

    message = [ 1, type, ... ]                      at most 256 KiB
      have  1  feed, epoch, blocks, head height / -1
      want  2  feed, epoch, from height, allowed bytes
      block 3  header, [ [ audience, run-head, run-body ] ]
      part  4  feed, epoch, height, audience, offset, bytes
      head  5  head
      grant 6  feed, epoch, audience, key epoch, sealed key
      state 7  feed, epoch, blocks held, highest head held / -1
      no    8  feed, code, text
      notice 9 feed, topic, bytes: a word for the feed's owner that the ledger does not read
      challenge 10 and hello 11: `peer.py`, before anything else on a stream
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from ledger.block import (
    PLAIN_BYTES_MAX,
    BlockParts,
    decode_header,
    decode_run_body,
    decode_run_head,
)
from ledger.canonical import decode, encode
from ledger.entry import FEED_ID_BYTES
from ledger.errors import (
    ConflictError,
    FormatError,
    InputError,
    LimitError,
    RefutedError,
    SignatureError,
    UncheckableError,
)
from ledger.head import EPOCH_MAX, decode_head
from ledger.peer import TIME_S_MAX

VERSION: Final = 1
MESSAGE_BYTES_MAX: Final = 256 << 10
PART_BYTES: Final = 192 << 10
ALLOWED_BYTES: Final = 8 << 20
HAVE, WANT, BLOCK, PART, HEAD, GRANT, STATE, NO, NOTICE, CHALLENGE, HELLO = range(1, 12)
NO_NOT_ENROLLED, NO_CONFLICT, NO_MALFORMED, NO_OUT_OF_TURN = range(1, 5)
TEXT_MAX: Final = 200
REFUSALS_KEPT: Final = 64
BLOCK_BYTES_MAX: Final = 2 * PLAIN_BYTES_MAX  # all ciphertexts of one block
AUDIENCE_MAX: Final = (1 << 16) - 1
FEEDS_MAX: Final = 1024
TOPIC_MAX: Final = 15
NOTICE_BYTES_MAX: Final = 1024
FeedName = tuple[bytes, int]

_SHAPES: Final[dict[int, tuple[type, ...]]] = {
    HAVE: (bytes, int, int, int),
    WANT: (bytes, int, int, int),
    BLOCK: (bytes, list),
    PART: (bytes, int, int, int, int, bytes),
    HEAD: (bytes,),
    GRANT: (bytes, int, int, int, bytes),
    STATE: (bytes, int, int, int),
    NO: (bytes, int, str),
    NOTICE: (bytes, int, bytes),
    CHALLENGE: (bytes, int, bytes),
    HELLO: (bytes, bytes, bytes),
}


HEIGHT_MAX: Final = (1 << 63) - 1
HEAD_HEIGHT_MAX: Final = HEIGHT_MAX - 1
_LIMITS: Final[dict[int, tuple[int, ...]]] = {  # of each field; bytes and text have none
    HAVE: (0, EPOCH_MAX, HEIGHT_MAX, HEAD_HEIGHT_MAX),
    WANT: (0, EPOCH_MAX, HEIGHT_MAX, HEIGHT_MAX),
    PART: (0, EPOCH_MAX, HEIGHT_MAX, AUDIENCE_MAX, HEIGHT_MAX),
    GRANT: (0, EPOCH_MAX, AUDIENCE_MAX, EPOCH_MAX),
    STATE: (0, EPOCH_MAX, HEIGHT_MAX, HEAD_HEIGHT_MAX),
    NO: (0, HEIGHT_MAX),
    NOTICE: (0, TOPIC_MAX),
    CHALLENGE: (0, TIME_S_MAX),
}


def decode_message(data: bytes) -> tuple[int, list[Any]]:
    """(type, fields) of a message; raises InputError subclasses."""
    if len(data) > MESSAGE_BYTES_MAX:
        raise LimitError("message size in bytes", len(data), MESSAGE_BYTES_MAX)
    value = decode(data)
    if not isinstance(value, list) or len(value) < 2 or value[0] != VERSION:
        raise FormatError("gossip message", "not a list of version 1")
    kind, fields = value[1], value[2:]
    shape = _SHAPES.get(kind) if type(kind) is int else None
    if shape is None or tuple(type(item) for item in fields) != shape:
        raise FormatError("gossip message", f"type {kind!r} with fields of wrong types")
    if kind in (HAVE, WANT, PART, GRANT, STATE) and len(fields[0]) != FEED_ID_BYTES:
        raise FormatError("gossip message", "feed id length")
    _check_ranges(kind, fields)
    return kind, fields


def _check_ranges(kind: int, fields: list[Any]) -> None:
    """Every number fits into the store-key that it becomes; -1 stands for "no head" only."""
    for item, limit in zip(fields, _LIMITS.get(kind, ()), strict=False):
        lowest = -1 if limit == HEAD_HEIGHT_MAX else 0
        if type(item) is int and not lowest <= item <= limit:
            raise LimitError("number in a gossip message", item, limit)


def message(kind: int, *fields: object) -> bytes:
    """The bytes of a message."""
    return encode([VERSION, kind, *fields])


class FeedSource(Protocol):
    """What a sender may give away."""

    def feeds(self) -> Sequence[tuple[bytes, int, int, int]]:
        """(feed id, epoch, blocks held, highest head or -1) of each feed."""

    def block(self, feed: FeedName, height: int) -> BlockParts | None:
        """A block in parts, None where it is not held any more."""

    def heads(self, feed: FeedName, above: int) -> Sequence[bytes]:
        """Heads above a height, lowest first; the newest is enough."""

    def grants(self, feed: FeedName) -> Sequence[tuple[int, int, bytes]]:
        """(audience, key epoch, signed grant) of a feed."""


@dataclass(slots=True)
class _Wanted:
    next_height: int
    allowed_bytes: int
    head_sent: int
    grants_sent: set[bytes] = field(default_factory=set)


class FeedSender:
    """The offering side of one connection."""

    def __init__(self, source: FeedSource) -> None:
        self._source = source
        self._wanted: dict[FeedName, _Wanted] = {}
        self._offered: dict[FeedName, tuple[int, int]] = {}
        self.held_by_peer: dict[FeedName, tuple[int, int]] = {}
        self.refusals: list[tuple[bytes, int, str]] = []
        self.not_held: dict[FeedName, int] = {}  # asked for, and not held whole any more
        self.notices: dict[tuple[bytes, int], bytes] = {}  # the newest by feed and topic

    def receive(self, data: bytes) -> None:
        """Takes one message of the peer; raises InputError for what no honest peer sends."""
        kind, fields = decode_message(data)
        if kind in (WANT, STATE) and (fields[0], fields[1]) not in self._offered:
            raise FormatError("gossip message", "about a feed that was not offered")
        if kind == WANT:
            feed = (fields[0], fields[1])
            held = self._wanted.get(feed)
            # Asked for again from below the head: the peer let go of blocks, so the head goes too.
            head_sent = held.head_sent if held and fields[2] > held.head_sent else -1
            grants = held.grants_sent if held else set()
            allowed = min(fields[3], ALLOWED_BYTES)
            self._wanted[feed] = _Wanted(fields[2], allowed, head_sent, grants_sent=grants)
            # It asks from the first height that it does not hold.
            _, head_height = self.held_by_peer.get(feed, (0, -1))
            self.held_by_peer[feed] = (fields[2], head_height)
        elif kind == STATE:
            self.held_by_peer[fields[0], fields[1]] = (fields[2], fields[3])
        elif kind == NO:
            self.refusals.append((fields[0], fields[1], fields[2][:TEXT_MAX]))
            del self.refusals[:-REFUSALS_KEPT]
        elif kind == NOTICE:
            self._note(*fields)
        else:
            raise FormatError("gossip message", f"type {kind} is not for a sender")

    def _note(self, feed_id: bytes, topic: int, data: bytes) -> None:
        if feed_id not in {feed for feed, _ in self._offered}:
            raise FormatError("gossip message", "a notice for a feed that was not offered")
        if len(data) > NOTICE_BYTES_MAX:
            raise LimitError("notice size in bytes", len(data), NOTICE_BYTES_MAX)
        self.notices[feed_id, topic] = data

    def outgoing(self) -> list[bytes]:
        """Messages due now: offers of what is new, then keys, blocks and heads asked for."""
        messages = []
        for feed_id, epoch, blocks, head_height in self._source.feeds():
            feed = (feed_id, epoch)
            if self._offered.get(feed) != (blocks, head_height):
                self._offered[feed] = (blocks, head_height)
                messages.append(message(HAVE, feed_id, epoch, blocks, head_height))
            wanted = self._wanted.get(feed)
            if wanted is not None:
                messages += self._serve(feed, wanted, blocks)
        return messages

    def _serve(self, feed: FeedName, wanted: _Wanted, blocks: int) -> list[bytes]:
        messages = []
        for audience, key_epoch, sealed in self._source.grants(feed):
            if sealed not in wanted.grants_sent:
                wanted.grants_sent.add(sealed)
                messages.append(message(GRANT, feed[0], feed[1], audience, key_epoch, sealed))
        while wanted.next_height < blocks and wanted.allowed_bytes > 0:
            parts = self._source.block(feed, wanted.next_height)
            if parts is None:
                self.not_held[feed] = wanted.next_height
                break
            self.not_held.pop(feed, None)
            for item in block_messages(feed, wanted.next_height, parts):
                wanted.allowed_bytes -= len(item)
                messages.append(item)
            wanted.next_height += 1
        for head in self._source.heads(feed, wanted.head_sent):
            height = _head_height(head)
            if height < wanted.next_height:
                messages.append(message(HEAD, head))
                wanted.head_sent = height
        return messages


def _head_height(head: bytes) -> int:
    return decode_head(head).claim.height


def block_messages(feed: FeedName, height: int, parts: BlockParts) -> list[bytes]:
    """A block as messages: its clear records, then each ciphertext in parts."""
    clear = [[audience, head, body] for audience, head, body, _ in parts.runs]
    messages = [message(BLOCK, parts.header, clear)]
    for audience, _, _, ciphertext in parts.runs:
        for offset in range(0, len(ciphertext), PART_BYTES):
            part = ciphertext[offset : offset + PART_BYTES]
            messages.append(message(PART, feed[0], feed[1], height, audience, offset, part))
    return messages


class FeedSink(Protocol):
    """Where a receiver's blocks go. Methods raise the ledger's errors; the receiver answers with
    them.
    """

    def enrolled(self, feed_id: bytes) -> bool:
        """True where the chain knows the feed."""

    def held(self, feed: FeedName) -> tuple[int, int]:
        """(blocks held, highest head held or -1)."""

    def accept_block(self, parts: BlockParts) -> None:
        """Checks and stores a whole block."""

    def accept_head(self, head: bytes) -> None:
        """Checks and stores a head."""

    def accept_grant(self, feed: FeedName, *, audience: int, key_epoch: int, sealed: bytes) -> None:
        """Keeps a sealed key."""


@dataclass(slots=True)
class _Assembly:
    """A block of which the ciphertexts are still arriving."""

    feed: FeedName
    height: int
    header: bytes
    clear: list[tuple[int, bytes, bytes]]
    sizes: dict[int, int]
    ciphertexts: dict[int, bytearray]

    def complete(self) -> bool:
        return all(len(self.ciphertexts[a]) == size for a, size in self.sizes.items())

    def parts(self) -> BlockParts:
        runs = [(a, h, b, bytes(self.ciphertexts[a])) for a, h, b in self.clear]
        return BlockParts(header=self.header, runs=tuple(runs))


class FeedReceiver:
    """The asking side of one connection. `receive` answers with the messages to send back."""

    def __init__(self, sink: FeedSink, *, allowed_bytes: int = ALLOWED_BYTES) -> None:
        self._sink, self._allowed_bytes = sink, allowed_bytes
        self._assembly: _Assembly | None = None
        self._offers: dict[FeedName, int] = {}
        self._asked_bytes: dict[FeedName, int] = {}

    def receive(self, data: bytes) -> list[bytes]:
        """Takes one message; raises InputError for what no honest peer sends (cut the peer off)."""
        kind, fields = decode_message(data)
        if kind == HAVE:
            return self._have(fields)
        if kind == BLOCK:
            return self._block(fields)
        if kind == PART:
            return self._part(fields)
        if kind == HEAD:
            return self._head(fields[0])
        if kind == GRANT:
            return self._grant(fields)
        raise FormatError("gossip message", f"type {kind} is not for a receiver")

    def taken_feeds(self) -> list[bytes]:
        """Ids of the enrolled feeds that the peer offers."""
        return sorted({feed_id for feed_id, _ in list(self._offers)})  # one thread adds, one asks

    def _have(self, fields: list[Any]) -> list[bytes]:
        feed_id, epoch, blocks, _ = fields
        feed = (feed_id, epoch)
        if not self._sink.enrolled(feed_id):
            return [message(NO, feed_id, NO_NOT_ENROLLED, "feed is not enrolled on the chain")]
        if len(self._offers) >= FEEDS_MAX and feed not in self._offers:
            raise LimitError("feeds offered", len(self._offers) + 1, FEEDS_MAX)
        first = feed not in self._offers
        self._offers[feed] = blocks
        return [self._want(feed)] if first else []

    def _want(self, feed: FeedName) -> bytes:
        held, _ = self._sink.held(feed)
        self._asked_bytes[feed] = self._allowed_bytes
        return message(WANT, feed[0], feed[1], held, self._allowed_bytes)

    def _state(self, feed: FeedName) -> bytes:
        return message(STATE, feed[0], feed[1], *self._sink.held(feed))

    def _block(self, fields: list[Any]) -> list[bytes]:
        header = decode_header(fields[0])
        feed = (header.feed_id, header.epoch)
        if feed not in self._offers:
            raise FormatError("gossip message", "a block of a feed that was not offered")
        clear, sizes = [], {}
        for item in fields[1]:
            if not isinstance(item, list) or [type(v) for v in item] != [int, bytes, bytes]:
                raise FormatError("gossip message", "runs of a wrong shape")
            decode_run_head(item[1])
            sizes[item[0]] = decode_run_body(item[2]).ct_bytes
            clear.append((item[0], item[1], item[2]))
        if [audience for audience, _, _ in clear] != [audience for audience, _ in header.runs]:
            raise FormatError("gossip message", "runs are not those of the header")
        if sum(sizes.values()) > BLOCK_BYTES_MAX:
            raise LimitError("block size in bytes", sum(sizes.values()), BLOCK_BYTES_MAX)
        empty = {audience: bytearray() for audience in sizes}
        self._assembly = _Assembly(feed, header.height, fields[0], clear, sizes, empty)
        return []

    def _part(self, fields: list[Any]) -> list[bytes]:
        feed_id, epoch, height, audience, offset, data = fields
        block = self._assembly
        if block is None or (block.feed, block.height) != ((feed_id, epoch), height):
            raise FormatError("gossip message", "a part of no block under way")
        held = block.ciphertexts.get(audience)
        if held is None or offset != len(held) or len(held) + len(data) > block.sizes[audience]:
            raise FormatError("gossip message", "a part out of place")
        held += data
        if not block.complete():
            return []
        self._assembly = None
        return self._take(block)

    def _take(self, block: _Assembly) -> list[bytes]:
        try:
            self._sink.accept_block(block.parts())
        except UncheckableError as error:
            text = str(error)[:TEXT_MAX]
            return [message(NO, block.feed[0], NO_OUT_OF_TURN, text), self._want(block.feed)]
        except ConflictError as error:
            return [message(NO, block.feed[0], NO_CONFLICT, str(error)[:TEXT_MAX])]
        except (InputError, RefutedError) as error:
            raise FormatError("block", str(error)) from error
        left = self._asked_bytes.get(block.feed, 0) - sum(block.sizes.values()) - PART_BYTES // 64
        self._asked_bytes[block.feed] = left
        more = [self._want(block.feed)] if left <= self._allowed_bytes // 2 else []
        return [self._state(block.feed), *more]

    def _head(self, data: bytes) -> list[bytes]:
        claim = decode_head(data).claim
        feed = (claim.feed_id, claim.epoch)
        if feed not in self._offers:
            raise FormatError("gossip message", "a head of a feed that was not offered")
        try:
            self._sink.accept_head(data)
        except UncheckableError as error:
            text = str(error)[:TEXT_MAX]
            return [message(NO, claim.feed_id, NO_OUT_OF_TURN, text), self._want(feed)]
        except ConflictError as error:
            return [message(NO, claim.feed_id, NO_CONFLICT, str(error)[:TEXT_MAX])]
        except RefutedError as error:
            raise FormatError("head", str(error)) from error
        return [self._state(feed)]

    def _grant(self, fields: list[Any]) -> list[bytes]:
        feed_id, epoch, audience, key_epoch, sealed = fields
        if (feed_id, epoch) not in self._offers:
            raise FormatError("gossip message", "a key of a feed that was not offered")
        try:
            self._sink.accept_grant(
                (feed_id, epoch), audience=audience, key_epoch=key_epoch, sealed=sealed
            )
        except SignatureError:
            return []  # by an earlier key of the feed, most often: its owner signs it anew
        return []
