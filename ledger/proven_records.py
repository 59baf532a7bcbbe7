"""What the chain says of gateways, devices, parties and blocks, read strictly (formats/chain.md).

Whoever makes a bundle with a chain of their own chooses these values: each is checked before use.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.chain_proof import RECORD_ANCHOR, RECORD_MIRROR, RECORD_OPENED, LogLeaf
from ledger.errors import FormatError, ProofError, UncheckableError
from ledger.signing import PublicKey

RECORD_VERSION: Final = 1
CODE_ACCEPTED: Final = 0
LEVEL_MAX: Final = 2
EARLIER_KEYS_MAX: Final = 64

FeedName = tuple[bytes, int]  # feed id, epoch
Types = tuple[type | tuple[type, ...], ...]

_NUMBER_OR_NONE: Final = (int, type(None))
_GATEWAY: Final[Types] = (int, bytes, int, bytes, int, bytes, int, _NUMBER_OR_NONE)
_GATEWAY_2: Final[Types] = (*_GATEWAY, bool, int, list)
_EARLIER: Final[Types] = (int, bytes, int, int, int)
_DEVICE_ROW: Final[Types] = (bytes, int, bytes, int, _NUMBER_OR_NONE)
_FEED: Final[Types] = (int, int, int, bytes, bytes, bytes, int)
_RECORDS: Final[dict[int, Types]] = {
    RECORD_ANCHOR: (int, bytes, int, int, int, bytes, bytes, bytes),
    RECORD_MIRROR: (int, bytes, int, int, bytes, bytes),
    RECORD_OPENED: (int, bytes, int, int, int, bytes, bool, bytes),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPeriod:
    """A key of a feed, and the chain times between which its heads were anchored."""

    key: PublicKey
    level: int
    from_ms: int
    to_ms: int | None  # None: it is the present one


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRecord:
    """What the chain says of a feed's gateway. `ended_ms`: its key was revoked, or it retired."""

    party: bytes
    keys: tuple[KeyPeriod, ...]  # in their order, the present one last
    genesis_hash: bytes
    ended_ms: int | None
    retired: bool

    def period(self, kid: bytes) -> KeyPeriod:
        """The feed's key with this id; raises ProofError where the feed never had it."""
        for period in self.keys:
            if period.key.kid == kid:
                return period
        raise ProofError("the head is signed by a key that is not the feed's")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """One place where the chain says that a device's readings stand."""

    feed_id: bytes
    slot: int
    descriptor_hash: bytes
    from_ms: int
    to_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockStatement:
    """A party's word on one block; `ok` is None for "mirrored", else what the opener found."""

    feed: FeedName
    height: int
    audience: int | None
    block_digest: bytes
    ok: bool | None
    party: bytes


def _fits(value: object, types: Types) -> bool:
    """True for a list or tuple of exactly these types."""
    if not isinstance(value, list | tuple) or len(value) != len(types):
        return False
    options = (kind if isinstance(kind, tuple) else (kind,) for kind in types)
    return all(type(item) in kinds for item, kinds in zip(value, options, strict=True))


def _layout(what: str, value: Sequence[Any], types: Types) -> Sequence[Any]:
    """The value, if it is version 1 of this layout; a later one is not wrong, but not known."""
    if not _fits(value, types) or value[0] != RECORD_VERSION:
        raise UncheckableError(f"{what} record of a layout that is not known here")
    return value


def gateway_record(value: list[Any]) -> GatewayRecord:
    """The record under `["gateway", feed-id]`; raises UncheckableError or FormatError."""
    retired, from_ms, earlier = False, None, []
    if value[:1] == [2] and _fits(value, _GATEWAY_2):
        retired, from_ms, earlier = value[8:]
        value = [RECORD_VERSION, *value[1:8]]
    _, party, alg, spki, level, genesis_hash, enrolled_ms, ended_ms = _layout(
        "gateway", value, _GATEWAY
    )
    if len(earlier) > EARLIER_KEYS_MAX or not all(_fits(row, _EARLIER) for row in earlier):
        raise UncheckableError("gateway record of a layout that is not known here")
    present = [alg, spki, level, enrolled_ms if from_ms is None else from_ms, None]
    return GatewayRecord(
        party=party,
        keys=tuple(_period(row) for row in [*earlier, present]),
        genesis_hash=genesis_hash,
        ended_ms=ended_ms,
        retired=retired,
    )


def _period(row: list[Any]) -> KeyPeriod:
    alg, spki, level, from_ms, to_ms = row
    if not 0 <= level <= LEVEL_MAX:
        raise UncheckableError(f"gateway key of level {level}")
    return KeyPeriod(key=PublicKey(alg, spki), level=level, from_ms=from_ms, to_ms=to_ms)


def device_rows(value: list[Any]) -> list[DeviceRow]:
    """The rows under `["device", device-id]`; raises UncheckableError."""
    _, rows = _layout("device", value, (int, list))
    if not all(_fits(row, _DEVICE_ROW) for row in rows):
        raise UncheckableError("device record of a layout that is not known here")
    return [
        DeviceRow(feed_id=row[0], slot=row[1], descriptor_hash=row[2], from_ms=row[3], to_ms=row[4])
        for row in rows
    ]


def last_anchored(value: list[Any] | None) -> bytes | None:
    """Digest of the head under `["feed", feed-id, epoch]`, None where nothing was anchored."""
    if value is None:
        return None
    digest: bytes = _layout("feed", value, _FEED)[5]
    return digest


def frozen_epoch(value: list[Any]) -> int:
    """The newest epoch with a conflict, under `["frozen", feed-id]`; raises UncheckableError."""
    types = (int, bytes, int, bytes, bytes, int, int)
    epoch: int = _layout("conflict", value, types)[5]
    return epoch


def entries_missing_max(value: list[Any] | None) -> int:
    """How many entries may be missing before an epoch, under `["epoch", feed-id, epoch]`.

    Raises ProofError where the epoch was never opened, FormatError or UncheckableError.
    """
    if value is None:
        raise ProofError("the feed's epoch was never opened")
    _, _, _, size, witnessed_size, _ = _layout("epoch", value, (int, bytes, int, int, int, int))
    if witnessed_size < size:
        raise FormatError("epoch record", "fewer entries were witnessed than it goes on from")
    missing: int = witnessed_size - size
    return missing


def party_name(value: list[Any]) -> str:
    """The name under `["party", party-id]`; raises UncheckableError."""
    row = _layout("party", value, (int, str, int, bytes, int, int))
    return str(row[1])


def check_record(leaf: LogLeaf) -> None:
    """Raises FormatError unless a leaf is an accepted anchor, mirror or opened record."""
    types = _RECORDS.get(leaf.record[0])
    if types is None or not _fits(leaf.record, types):
        raise FormatError("chain part", f"a record of kind {leaf.record[0]} is not a bundle's")
    if leaf.code != CODE_ACCEPTED:
        raise FormatError("chain part", "a record that was not accepted")


def feed_of(leaf: LogLeaf) -> FeedName:
    """The feed that a record is about; its form has been checked."""
    return leaf.record[1], leaf.record[2]


def block_statement(leaf: LogLeaf) -> BlockStatement:
    """The statement in a mirror or opened record, its form checked before."""
    record = leaf.record
    if record[0] == RECORD_MIRROR:
        _, _, _, height, digest, party = record
        audience, ok = None, None
    else:
        _, _, _, height, audience, digest, ok, party = record
    return BlockStatement(
        feed=feed_of(leaf),
        height=height,
        audience=audience,
        block_digest=digest,
        ok=ok,
        party=party,
    )
