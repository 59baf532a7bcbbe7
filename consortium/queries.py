"""Reads with proofs: the chain's part of a proof bundle, for selectors of `consortium.wire`."""

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any, Final, Protocol

from consortium.app.state import ChainState
from consortium.errors import MalformedError, NotYetProvenError
from consortium.transaction import ID_BYTES, fields
from consortium.wire import (
    SELECT_ANCHOR_FROM_HEIGHT,
    SELECT_ANCHOR_FROM_TIME,
    SELECT_ANCHOR_TO_HEIGHT,
    SELECT_ANCHOR_TO_TIME,
    SELECT_INDEX,
    SELECT_MIRRORED,
    SELECT_OPENED,
)
from ledger.chain_proof import (
    RECORD_ANCHOR,
    RECORD_MIRROR,
    RECORD_OPENED,
    ChainPart,
    ProvenLeaf,
    ProvenState,
    SignedHeader,
)
from ledger.comet import Validator
from ledger.merkle import inclusion_path

SELECTORS_MAX: Final = 1_000
KEYS_MAX: Final = 1_000
LEAVES_MAX: Final = 20_000
EPOCH_MAX: Final = (1 << 32) - 1
HEIGHT_MAX: Final = (1 << 63) - 1

Place = tuple[int, int, int]  # height in the feed, index in the log, chain time in ms


class LogReader(Protocol):
    """The committed log, as `consortium.state_store.StateStore` holds it."""

    def leaf(self, index: int) -> bytes | None:
        """A leaf of the log."""

    def node(self, level: int, index: int) -> bytes:
        """Hash of a complete subtree."""

    def places(
        self, kind: int, feed_id: bytes, epoch: int, *, first_height: int
    ) -> Iterable[Place]:
        """Places of a feed's records of a kind, heights ascending."""

    def last_place(
        self, kind: int, feed_id: bytes, epoch: int, *, below_height: int
    ) -> Place | None:
        """The last of them below a height."""


def select(log: LogReader, selectors: object) -> list[int]:
    """Indexes of the leaves that the selectors ask for, ascending.

    Raises MalformedError, or NotYetProvenError where a single anchor that was asked for is not
    there.
    """
    if not isinstance(selectors, list) or len(selectors) > SELECTORS_MAX:
        raise MalformedError(f"selectors are not a list of at most {SELECTORS_MAX}")
    chosen: set[int] = set()
    for selector in selectors:
        chosen.update(_selected(log, selector))
    if len(chosen) > LEAVES_MAX:
        raise MalformedError(
            f"{len(chosen)} leaves are more than {LEAVES_MAX}; ask for less at once"
        )
    return sorted(chosen)


def _selected(log: LogReader, selector: object) -> list[int]:
    kind = selector[0] if isinstance(selector, list) and selector else None
    if kind == SELECT_INDEX:
        return [fields(selector, int, int)[1]]
    if kind in (SELECT_MIRRORED, SELECT_OPENED):
        _, feed_id, epoch, first, last = fields(selector, int, bytes, int, int, int)
        _check_place(feed_id, epoch, first)
        record = RECORD_MIRROR if kind == SELECT_MIRRORED else RECORD_OPENED
        return statements(log, record, feed_id, epoch=epoch, first=first, last=last)
    if kind in _ANCHOR_CHOICES:
        _, feed_id, epoch, bound = fields(selector, int, bytes, int, int)
        _check_place(feed_id, epoch, bound)
        return [_anchor(log, kind, feed_id=feed_id, epoch=epoch, bound=bound)]
    raise MalformedError("selector of an unknown kind")


def statements(
    log: LogReader, record: int, feed_id: bytes, *, epoch: int, first: int, last: int
) -> list[int]:
    """Indexes of a feed's mirror or opened statements about heights first to last."""
    places = log.places(record, feed_id, epoch, first_height=first)
    return [index for _, index, _ in takewhile(lambda place: place[0] <= last, places)]


_ANCHOR_CHOICES: Final = frozenset(
    {
        SELECT_ANCHOR_FROM_HEIGHT,
        SELECT_ANCHOR_TO_HEIGHT,
        SELECT_ANCHOR_TO_TIME,
        SELECT_ANCHOR_FROM_TIME,
    }
)


def _check_place(feed_id: bytes, epoch: int, bound: int) -> None:
    if len(feed_id) != ID_BYTES or not 0 <= epoch <= EPOCH_MAX or not 0 <= bound <= HEIGHT_MAX:
        raise MalformedError("feed id, epoch, height or time out of range")


def _anchor(log: LogReader, kind: int, *, feed_id: bytes, epoch: int, bound: int) -> int:
    if kind == SELECT_ANCHOR_FROM_HEIGHT:
        found = next(iter(log.places(RECORD_ANCHOR, feed_id, epoch, first_height=bound)), None)
    elif kind == SELECT_ANCHOR_TO_HEIGHT:
        found = log.last_place(RECORD_ANCHOR, feed_id, epoch, below_height=bound + 1)
    elif kind == SELECT_ANCHOR_FROM_TIME:
        found = anchor_from(log, feed_id, epoch, time_ms=bound)
    else:
        found = anchor_to(log, feed_id, epoch, time_ms=bound)
    if found is None:
        raise NotYetProvenError("no such anchor on the chain")
    return found[1]


def anchor_from(log: LogReader, feed_id: bytes, epoch: int, *, time_ms: int) -> Place | None:
    """The first anchor of a feed's epoch that is dated then or after.

    Looks at O(log height) places: a feed's anchors only grow in height as the chain's time does.
    """
    last = log.last_place(RECORD_ANCHOR, feed_id, epoch, below_height=HEIGHT_MAX + 1)
    if last is None or last[2] < time_ms:
        return None
    low, found = 0, last
    while low < found[0]:
        middle = (low + found[0]) // 2
        place = next(iter(log.places(RECORD_ANCHOR, feed_id, epoch, first_height=middle)))
        if place[2] < time_ms:
            low = place[0] + 1
        elif place[0] < found[0]:
            found = place
        else:  # nothing stands between the middle and what was found
            below = log.last_place(RECORD_ANCHOR, feed_id, epoch, below_height=middle)
            if below is None or below[2] < time_ms:
                break
            found = below
    return found


def anchor_to(log: LogReader, feed_id: bytes, epoch: int, *, time_ms: int) -> Place | None:
    """The last anchor of a feed's epoch that is dated then or before."""
    after = anchor_from(log, feed_id, epoch, time_ms=time_ms + 1)
    below = after[0] if after else HEIGHT_MAX + 1
    return log.last_place(RECORD_ANCHOR, feed_id, epoch, below_height=below)


def anchor_places(
    log: LogReader, feed_id: bytes, epoch: int, *, first_height: int, limit: int
) -> list[Place]:
    """(height, log index, chain time ms) of a feed's anchors, heights ascending, at most
    `limit`.
    """
    _check_place(feed_id, epoch, first_height)
    places = []
    for place in log.places(RECORD_ANCHOR, feed_id, epoch, first_height=first_height):
        places.append(place)
        if len(places) >= limit:
            break
    return places


def build_chain_part(
    *,
    genesis: bytes,
    changes: Sequence[tuple[SignedHeader, tuple[Validator, ...]]],
    signed_header: SignedHeader,
    state: ChainState,
    log: LogReader,
    indexes: Sequence[int],
    keys: Sequence[bytes],
) -> ChainPart:
    """The chain part for leaves and map keys under one signed header.

    Raises NotYetProvenError where header and state do not belong together.
    """
    if signed_header.header.app_hash != state.roots.app_hash:
        raise NotYetProvenError("no signed header carries the newest state yet")
    return ChainPart(
        genesis=genesis,
        changes=tuple(changes),
        signed_header=signed_header,
        app=state.roots,
        leaves=tuple(_leaf(log, index, state.log.size) for index in indexes),
        states=tuple(ProvenState(key, state.map.get(key), state.map.prove(key)) for key in keys),
    )


def checked_keys(keys: Any) -> list[bytes]:
    """Map keys that were asked for, ascending; raises MalformedError."""
    if (
        not isinstance(keys, list)
        or len(keys) > KEYS_MAX
        or any(type(k) is not bytes for k in keys)
    ):
        raise MalformedError(f"keys are not a list of at most {KEYS_MAX} byte strings")
    return sorted(set(keys))


def _leaf(log: LogReader, index: int, size: int) -> ProvenLeaf:
    leaf = log.leaf(index) if 0 <= index < size else None
    if leaf is None:
        raise NotYetProvenError(f"the log has no leaf {index}")
    return ProvenLeaf(index, leaf, tuple(inclusion_path(log.node, index, size)))
