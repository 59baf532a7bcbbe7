"""Offline proof of a chain's state: log leaves and map values under > 2/3 of the signatures.

    chain-part    = [ 1, genesis: bstr, [* [signed-header, [+ validator]]], signed-header,
                      app, [* leaf], [* state] ]
    signed-header = [ header, commit ]
    header        = [ block-version, app-version, height, time-ns, block-id / null,
                      last-commit-hash, data-hash, validators-hash, next-validators-hash,
                      consensus-hash, app-hash, last-results-hash, evidence-hash,
                      proposer-address ]                 ; the chain id is the genesis document's
    block-id      = [ hash, parts-total, parts-hash ]
    commit        = [ round, parts-total, parts-hash, [+ vote / null] ]  ; one per validator
    vote          = [ time-ns, signature ]
    app           = [ log-size, log-root, map-root ]
    leaf          = [ index, leaf: bstr, [* hash] ]                ; indexes ascending
    state         = [ key: bstr, value: bstr / null, map-proof ]   ; keys ascending, null = absent

The first signed headers are those whose block changed the validator set, each with the set that
it names as the next one. A vote for nil, or none, is null: only commits to the block are carried,
and all are checked. Nothing here trusts a height or a date of anybody but the validators.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.canonical import decode, encode
from ledger.chain_genesis import (
    Genesis,
    check_validator_set,
    decode_genesis,
    validator_from_value,
)
from ledger.comet import (
    ADDRESS_BYTES,
    BLOCK_VERSION,
    BlockId,
    ChainHeader,
    Validator,
    validator_set_hash,
    vote_sign_bytes,
)
from ledger.errors import (
    FormatError,
    InputError,
    LimitError,
    ProofError,
    SignatureError,
    UncheckableError,
)
from ledger.hashing import leaf_hash, sha256
from ledger.merkle import check_hashes, verify_inclusion
from ledger.state_map import MapProof, map_proof_from_value, verify_map

VERSION: Final = 1
LEAF_VERSION: Final = 1
APP_VERSION: Final = 1
APP_DOMAIN: Final = b"wharf/app/1"
PART_BYTES_MAX: Final = 64 << 20
CHANGES_MAX: Final = 10_000
HEIGHT_MAX: Final = (1 << 63) - 1
TIME_NS_MAX: Final = (1 << 63) - 1
SIGNATURE_BYTES: Final = 64
TX_ID_BYTES: Final = 32
_HEADER_TYPES: Final[list[type | tuple[type, ...]]] = [
    *[int] * 4,
    (list, type(None)),
    *[bytes] * 9,
]

RECORD_PARTY: Final = 1
RECORD_GATEWAY: Final = 2
RECORD_DEVICE: Final = 3
RECORD_ANCHOR: Final = 4
RECORD_MIRROR: Final = 5
RECORD_OPENED: Final = 6
RECORD_REVOKED: Final = 7
RECORD_CONFLICT: Final = 8


@dataclass(frozen=True, slots=True)
class Commit:
    """Votes for a block, one place per validator of its set: None, or (time in ns, signature)."""

    round: int
    parts_total: int
    parts_hash: bytes
    votes: tuple[tuple[int, bytes] | None, ...]


@dataclass(frozen=True, slots=True)
class SignedHeader:
    """A chain block's header with the votes for it."""

    header: ChainHeader
    commit: Commit


@dataclass(frozen=True, slots=True)
class AppRoots:
    """What the application hashed: its log's size and root, and its map's root."""

    log_size: int
    log_root: bytes
    map_root: bytes

    @property
    def app_hash(self) -> bytes:
        """SHA-256("wharf/app/1" || u64 log size || log root || map root)."""
        return sha256(APP_DOMAIN + self.log_size.to_bytes(8, "big") + self.log_root + self.map_root)


@dataclass(frozen=True, slots=True)
class ProvenLeaf:
    """A leaf of the log with its place and inclusion path."""

    index: int
    leaf: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ProvenState:
    """A key of the map with its value (None: not there) and proof."""

    key: bytes
    value: bytes | None
    proof: MapProof


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainPart:
    """The chain's part of a proof bundle, decoded and not yet verified."""

    genesis: bytes
    changes: tuple[tuple[SignedHeader, tuple[Validator, ...]], ...]
    signed_header: SignedHeader
    app: AppRoots
    leaves: tuple[ProvenLeaf, ...]
    states: tuple[ProvenState, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLeaf:
    """One accepted item of a transaction. `time_ms` is its chain block's time, ms since 1970."""

    tx_id: bytes
    item_index: int
    code: int
    time_ms: int
    chain_height: int
    record: tuple[Any, ...]

    def encode(self) -> bytes:
        """The leaf's bytes: [1, tx-id, item-index, code, time-ms, chain-height, record]."""
        return encode(
            [
                LEAF_VERSION,
                self.tx_id,
                self.item_index,
                self.code,
                self.time_ms,
                self.chain_height,
                self.record,
            ]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedChain:
    """What a chain part proves. `trusted`: its genesis is the one that the caller trusts.

    `parties_count`: distinct parties known to stand behind the validators, 1 where that is not
    proven.
    """

    chain_id: str
    genesis_sha256: bytes
    trusted: bool
    height: int
    time_ms: int
    validator_count: int
    parties_count: int
    leaves: tuple[LogLeaf, ...]
    states: Mapping[bytes, bytes | None]


def decode_log_leaf(data: bytes) -> LogLeaf:
    """The log leaf in these bytes; raises InputError subclasses."""
    value = decode(data)
    if not isinstance(value, list) or len(value) != 7 or value[0] != LEAF_VERSION:
        raise FormatError("log leaf", "not version 1")
    _, tx_id, item_index, code, time_ms, chain_height, record = value
    if type(tx_id) is not bytes or len(tx_id) != TX_ID_BYTES:
        raise FormatError("log leaf", "transaction id is not 32 bytes")
    if any(type(item) is not int or item < 0 for item in (item_index, code, time_ms, chain_height)):
        raise FormatError("log leaf", "a number is negative or no number")
    if not isinstance(record, list) or not record or type(record[0]) is not int:
        raise FormatError("log leaf", "record has no kind")
    return LogLeaf(
        tx_id=tx_id,
        item_index=item_index,
        code=code,
        time_ms=time_ms,
        chain_height=chain_height,
        record=tuple(record),
    )


def encode_chain_part(part: ChainPart) -> bytes:
    """The part's bytes."""
    return encode(
        [
            VERSION,
            part.genesis,
            [
                [signed_header_value(signed), [[item.key, item.power] for item in following]]
                for signed, following in part.changes
            ],
            signed_header_value(part.signed_header),
            [part.app.log_size, part.app.log_root, part.app.map_root],
            [[item.index, item.leaf, item.path] for item in part.leaves],
            [[item.key, item.value, item.proof.to_value()] for item in part.states],
        ]
    )


def signed_header_value(signed: SignedHeader) -> list[Any]:
    """A signed header in its order on the wire; the chain id is left out."""
    header, commit, last = signed.header, signed.commit, signed.header.last_block_id
    return [
        [
            header.block_version, header.app_version, header.height, header.time_ns,
            [last.hash, last.parts_total, last.parts_hash] if last != BlockId() else None,
            header.last_commit_hash, header.data_hash, header.validators_hash,
            header.next_validators_hash, header.consensus_hash, header.app_hash,
            header.last_results_hash, header.evidence_hash, header.proposer_address,
        ],
        [commit.round, commit.parts_total, commit.parts_hash, commit.votes],
    ]  # fmt: skip  # in the order of the format above


def _fields(value: object, what: str, *types: type | tuple[type, ...]) -> list[Any]:
    """The elements of a list of exactly these types."""
    if not isinstance(value, list) or len(value) != len(types):
        raise FormatError(what, f"not {len(types)} elements")
    for index, (item, expected) in enumerate(zip(value, types, strict=True)):
        options = expected if isinstance(expected, tuple) else (expected,)
        if type(item) not in options:
            raise FormatError(what, f"element {index} is of a wrong type")
    return value


def _ranged(what: str, *bounds: tuple[int, int]) -> None:
    """Raises LimitError unless each number is 0 to its limit."""
    for value, limit in bounds:
        if not 0 <= value <= limit:
            raise LimitError(what, value, limit)


def decode_chain_part(data: bytes) -> ChainPart:
    """The chain part in these bytes, nothing of it verified; raises InputError subclasses."""
    if len(data) > PART_BYTES_MAX:
        raise LimitError("chain part size", len(data), PART_BYTES_MAX)
    value = _fields(decode(data), "chain part", int, bytes, list, list, list, list, list)
    if value[0] != VERSION:
        raise FormatError("chain part", f"version {value[0]} is not known")
    if len(value[2]) > CHANGES_MAX:
        raise LimitError("number of validator-set changes", len(value[2]), CHANGES_MAX)
    chain_id = decode_genesis(value[1]).chain_id
    log_size, log_root, map_root = _fields(value[4], "application roots", int, bytes, bytes)
    _ranged("log size", (log_size, HEIGHT_MAX))
    check_hashes([log_root, map_root])
    part = ChainPart(
        genesis=value[1],
        changes=tuple(_change(item, chain_id) for item in value[2]),
        signed_header=signed_header_from_value(value[3], chain_id),
        app=AppRoots(log_size, log_root, map_root),
        leaves=tuple(_leaf(item) for item in value[5]),
        states=tuple(_state(item) for item in value[6]),
    )
    _check_ascending("leaves", [item.index for item in part.leaves])
    _check_ascending("states", [item.key for item in part.states])
    return part


def _check_ascending(what: str, places: list[Any]) -> None:
    if any(second <= first for first, second in pairwise(places)):
        raise FormatError("chain part", f"{what} not ascending, or one twice")


def _change(value: object, chain_id: str) -> tuple[SignedHeader, tuple[Validator, ...]]:
    signed, rows = _fields(value, "validator-set change", list, list)
    return signed_header_from_value(signed, chain_id), tuple(
        validator_from_value(row) for row in rows
    )


def _leaf(value: object) -> ProvenLeaf:
    index, leaf, path = _fields(value, "proven leaf", int, bytes, list)
    check_hashes(path)
    decode_log_leaf(leaf)
    return ProvenLeaf(index, leaf, tuple(path))


def _state(value: object) -> ProvenState:
    key, stored, proof = _fields(value, "proven state", bytes, (bytes, type(None)), list)
    for item in (key, *([] if stored is None else [stored])):
        if not isinstance(decode(item), list):
            raise FormatError("proven state", "key or value is not a list")
    return ProvenState(key, stored, map_proof_from_value(proof))


def signed_header_from_value(value: object, chain_id: str) -> SignedHeader:
    """The signed header in a decoded canonical value; raises InputError subclasses."""
    header, commit = _fields(value, "signed header", list, list)
    return SignedHeader(_header(header, chain_id), _commit(commit))


def _header(value: object, chain_id: str) -> ChainHeader:
    fields = _fields(value, "chain header", *_HEADER_TYPES)
    block_version, app_version, height, time_ns, last, *hashes = fields
    _ranged("chain header number", (block_version, HEIGHT_MAX), (app_version, HEIGHT_MAX))
    _ranged("chain header number", (height, HEIGHT_MAX), (time_ns, TIME_NS_MAX))
    check_hashes(hashes[:-1])
    if len(hashes[-1]) != ADDRESS_BYTES:
        raise FormatError("chain header", "proposer address is not 20 bytes")
    names = (
        "last_commit_hash", "data_hash", "validators_hash", "next_validators_hash",
        "consensus_hash", "app_hash", "last_results_hash", "evidence_hash", "proposer_address",
    )  # fmt: skip
    return ChainHeader(
        block_version=block_version,
        app_version=app_version,
        chain_id=chain_id,
        height=height,
        time_ns=time_ns,
        last_block_id=BlockId() if last is None else _block_id(last),
        **dict(zip(names, hashes, strict=True)),
    )


def _block_id(value: object) -> BlockId:
    hash_, total, parts_hash = _fields(value, "block id", bytes, int, bytes)
    check_hashes([hash_, parts_hash])
    _ranged("number of parts", (total, (1 << 32) - 1))
    return BlockId(hash_, total, parts_hash)


def _commit(value: object) -> Commit:
    round_, total, parts_hash, votes = _fields(value, "commit", int, int, bytes, list)
    check_hashes([parts_hash])
    _ranged("commit number", (round_, (1 << 31) - 1), (total, (1 << 32) - 1))
    return Commit(round_, total, parts_hash, tuple(_vote(vote) for vote in votes))


def _vote(value: object) -> tuple[int, bytes] | None:
    if value is None:
        return None
    time_ns, signature = _fields(value, "vote", int, bytes)
    _ranged("vote time", (time_ns, TIME_NS_MAX))
    if len(signature) != SIGNATURE_BYTES:
        raise FormatError("vote", "signature is not 64 bytes")
    return time_ns, signature


def verify_commit(signed: SignedHeader, validators: tuple[Validator, ...]) -> None:
    """Raises ProofError or SignatureError unless > 2/3 of the set's power committed to this
    header.
    """
    header, commit = signed.header, signed.commit
    if header.validators_hash != validator_set_hash(validators):
        raise ProofError(f"header {header.height} is for another validator set")
    if len(commit.votes) != len(validators):
        raise ProofError(f"header {header.height} has not one place per validator")
    block_id = BlockId(header.hash, commit.parts_total, commit.parts_hash)
    sign_bytes = partial(
        vote_sign_bytes,
        chain_id=header.chain_id,
        height=header.height,
        round_=commit.round,
        block_id=block_id,
    )
    power = 0
    for validator, vote in zip(validators, commit.votes, strict=True):
        if vote:
            _verify_vote(validator, sign_bytes(time_ns=vote[0]), vote[1])
            power += validator.power
    if 3 * power <= 2 * sum(item.power for item in validators):
        raise ProofError(f"header {header.height} is signed by 2/3 of the power or less")


def _verify_vote(validator: Validator, signed: bytes, signature: bytes) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(validator.key).verify(signature, signed)
    except (InvalidSignature, ValueError):
        raise SignatureError(f"vote of {validator.address.hex()} does not verify") from None


def verify_chain_part(part: ChainPart, *, trusted_genesis_sha256: bytes | None) -> VerifiedChain:
    """What the part proves; raises RefutedError subclasses, InputError or UncheckableError.

    trusted_genesis_sha256: the trust root, from outside the bundle; None proves consistency only.
    """
    digest = sha256(part.genesis)
    if trusted_genesis_sha256 is not None and digest != trusted_genesis_sha256:
        raise ProofError("the chain starts from another genesis than the trusted one")
    genesis = decode_genesis(part.genesis)
    validators = _follow_changes(part, genesis)
    header = part.signed_header.header
    if header.app_version != APP_VERSION or header.block_version != BLOCK_VERSION:
        raise UncheckableError(f"application version {header.app_version} is not known here")
    verify_commit(part.signed_header, validators)
    if part.app.app_hash != header.app_hash:
        raise ProofError(f"the application's roots are not those of header {header.height}")
    _verify_leaves(part)
    states = _verified_states(part)
    return VerifiedChain(
        chain_id=genesis.chain_id,
        genesis_sha256=digest,
        trusted=trusted_genesis_sha256 is not None,
        height=header.height,
        time_ms=header.time_ns // 1_000_000,
        validator_count=len(validators),
        parties_count=_parties_count(genesis, validators, states),
        leaves=tuple(decode_log_leaf(item.leaf) for item in part.leaves),
        states=states,
    )


def _follow_changes(part: ChainPart, genesis: Genesis) -> tuple[Validator, ...]:
    """The validator set that signed the last header, traced from genesis through every change."""
    validators, height = genesis.validator_set, 0
    for signed, following in part.changes:
        if signed.header.height <= height:
            raise ProofError("validator-set changes are not in ascending order")
        verify_commit(signed, validators)
        check_validator_set(following)
        if following == validators:
            raise ProofError(f"header {signed.header.height} does not change the validator set")
        if signed.header.next_validators_hash != validator_set_hash(following):
            raise ProofError(f"header {signed.header.height} names another next validator set")
        validators, height = following, signed.header.height
    if part.signed_header.header.height <= height:
        raise ProofError("the header is not behind the last validator-set change")
    return validators


def _verify_leaves(part: ChainPart) -> None:
    for item in part.leaves:
        verify_inclusion(
            leaf_hash=leaf_hash(item.leaf),
            index=item.index,
            size=part.app.log_size,
            path=item.path,
            root=part.app.log_root,
        )


def _verified_states(part: ChainPart) -> dict[bytes, bytes | None]:
    for item in part.states:
        verify_map(root=part.app.map_root, key=item.key, value=item.value, proof=item.proof)
    return {item.key: item.value for item in part.states}


def _parties_count(
    genesis: Genesis, validators: tuple[Validator, ...], states: Mapping[bytes, bytes | None]
) -> int:
    """Parties behind this set, from genesis or from the proven state `["validators"]`; else 1."""
    party_of = {item.key: party_id for item, party_id in genesis.validators}
    recorded = states.get(encode(["validators"]))
    if recorded is not None:
        party_of |= _recorded_parties(recorded)
    known = {party_of.get(item.key) for item in validators}
    return 1 if None in known else len(known)


def _recorded_parties(value: bytes) -> dict[bytes, bytes]:
    try:
        _, rows = _fields(decode(value), "validators state", int, list)
        return {
            key: party
            for key, _, party in (_fields(r, "validator", bytes, int, bytes) for r in rows)
        }
    except InputError as error:
        raise ProofError(f"proven state of a wrong form: {error}") from error
