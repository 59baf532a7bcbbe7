"""The chain's state, and the draft that a block's transactions write to.

State is a Merkle map (what holds now), a Merkle log (what was accepted, in order) and marks. Marks
are digests of what was accepted before: the log implies them, so they are in no hash of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol

from ledger.canonical import decode, encode
from ledger.chain_genesis import Genesis
from ledger.chain_proof import AppRoots, LogLeaf
from ledger.frontier import Frontier
from ledger.hashing import leaf_hash
from ledger.signing import kid_of
from ledger.state_map import StateMap

KEYS_CACHED: Final = 16_384

Key = tuple[object, ...]


class Marks(Protocol):
    """Digests (32 bytes) of what was accepted in earlier blocks."""

    def __contains__(self, mark: object) -> bool:
        """Whether this was accepted."""


@dataclass(frozen=True, slots=True)
class ChainState:
    """Map and log after a block."""

    map: StateMap
    log: Frontier

    @property
    def roots(self) -> AppRoots:
        """The three values under the application's hash."""
        return AppRoots(self.log.size, self.log.root(), self.map.root)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the genesis document and the engine fix for good.

    votes_min: yes votes that a proposal needs at least; 1 lets an operator admit alone.
    validators_min: the set never gets smaller than this. validators_fixed: the engine has one set.
    """

    votes_min: int = 1
    validators_min: int = 1
    validators_fixed: bool = False


@dataclass(frozen=True, slots=True)
class BlockContext:
    """The chain block that is being worked on; its time is the chain's, ms since 1970."""

    chain_id: str
    height: int
    time_ms: int
    rules: Rules = Rules()


@dataclass(frozen=True, slots=True)
class Drafted:
    """A record for the log: which item of its transaction, the outcome, the record."""

    item_index: int
    record: tuple[Any, ...]


# Keys are typed by the rules that make them, so that 1 and True never meet here.
_encoded_key = lru_cache(maxsize=KEYS_CACHED)(encode)


class Draft:
    """State under work. A fork is dropped as a whole, or adopted as a whole.

    What is put stays beside the map until the map is asked for: a block changes it once.
    """

    def __init__(self, map_: StateMap, marks: Marks, parent: "Draft | None" = None) -> None:
        self._base = map_
        self._marks = marks
        self._parent = parent
        self._seen: dict[bytes, bytes | None] = {}
        if parent is not None:
            self._seen = parent._seen  # noqa: SLF001  # its own class
        self.puts: dict[bytes, bytes] = {}
        self.new_marks: dict[bytes, int | None] = {}
        self.records: list[Drafted] = []

    @property
    def map(self) -> StateMap:
        """The map with all that was put into this draft and into those below it."""
        below = self._parent.map if self._parent else self._base
        return below.set_all(self.puts)

    def fork(self) -> "Draft":
        """A draft on top of this one."""
        return Draft(self._base, self._marks, self)

    def adopt(self, fork: "Draft") -> None:
        """Takes over what a fork of this draft did."""
        self.puts |= fork.puts
        self.new_marks |= fork.new_marks
        self.records += fork.records

    def get(self, *key: object) -> list[Any] | None:
        """The decoded value under a key, without its version; None if there is none."""
        value = self._value(_encoded_key(key))
        return decode(value)[1:] if value is not None else None

    def _value(self, key: bytes) -> bytes | None:
        """The bytes under a key: the newest put, else what the map holds, read once a block."""
        draft: Draft | None = self
        while draft is not None:
            if key in draft.puts:
                return draft.puts[key]
            draft = draft._parent  # noqa: SLF001  # its own class
        if key not in self._seen:
            self._seen[key] = self._base.get(key)
        return self._seen[key]

    def put(self, key: Key, *value: object, version: int = 1) -> None:
        """Sets the value, with its version before it, under a key."""
        self.puts[_encoded_key(key)] = encode([version, *value])

    def record(self, item_index: int, *record: object) -> None:
        """Adds a record to the log."""
        self.records.append(Drafted(item_index, record))

    def is_marked(self, mark: bytes) -> bool:
        """Whether this was accepted before, in an earlier block or in this draft."""
        draft: Draft | None = self
        while draft is not None:
            if mark in draft.new_marks:
                return True
            draft = draft._parent  # noqa: SLF001  # its own class
        return mark in self._marks

    def mark(self, mark: bytes, until_height: int | None = None) -> None:
        """Remembers a digest, for ever or until a chain height."""
        self.new_marks[mark] = until_height


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A transaction's bytes with its place in the block, the chain's time, and its log records."""

    index: int
    time_ms: int
    data: bytes
    records: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All that a block changes: what a store has to write in one transaction.

    accepted: every transaction that changed something. In no hash: pages are built of them.
    """

    height: int
    state: ChainState
    puts: Mapping[bytes, bytes]
    leaves: tuple[LogLeaf, ...]
    marks: Mapping[bytes, int | None]
    accepted: tuple[Accepted, ...] = ()


def genesis_state(genesis: Genesis) -> ChainState:
    """The state before the first block: parties, their keys, validators; an empty log."""
    draft = Draft(StateMap(), frozenset())
    for party in genesis.parties:
        put_party(
            draft,
            (party.party_id, party.name, party.alg, party.spki, party.role),
            genesis.time_ms,
        )
    rows = [[item.key, item.power, party_id] for item, party_id in genesis.validators]
    draft.put(("validators",), rows)
    return ChainState(draft.map, Frontier())


def put_party(draft: Draft, party: tuple[bytes, str, int, bytes, int], now_ms: int) -> None:
    """Sets a party (id, name, algorithm, key, role) and the entry of its key."""
    party_id, name, alg, spki, role = party
    draft.put(("party", party_id), name, alg, spki, role, now_ms)
    draft.put(("signer", kid_of(spki)), party_id, now_ms, None)


def extended(log: Frontier, leaves: tuple[LogLeaf, ...]) -> Frontier:
    """The log's frontier with these leaves more."""
    return log.extend(leaf_hash(leaf.encode()) for leaf in leaves)
