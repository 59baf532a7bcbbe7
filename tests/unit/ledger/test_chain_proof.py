import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger.canonical import decode, encode
from ledger.chain_genesis import Genesis, GenesisParty, decode_genesis
from ledger.chain_proof import (
    AppRoots,
    ChainPart,
    Commit,
    LogLeaf,
    ProvenLeaf,
    ProvenState,
    SignedHeader,
    decode_chain_part,
    decode_log_leaf,
    encode_chain_part,
    verify_chain_part,
    verify_commit,
)
from ledger.comet import (
    BlockId,
    ChainHeader,
    Validator,
    in_set_order,
    validator_set_hash,
    vote_sign_bytes,
)
from ledger.errors import (
    FormatError,
    LedgerError,
    LimitError,
    ProofError,
    SignatureError,
    UncheckableError,
)
from ledger.hashing import leaf_hash
from ledger.merkle import MemoryTree
from ledger.signing import EDDSA
from ledger.state_map import MapProof, StateMap, state_map_of

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "cometbft.json").read_text())
VALIDATORS_KEY = encode(["validators"])


def time_ns(text: str) -> int:
    seconds, nanos = text.split("+")
    return int(seconds) * 1_000_000_000 + int(nanos)


def comet_validators(value: dict[str, Any]) -> tuple[Validator, ...]:
    return tuple(Validator(bytes.fromhex(row["key"]), row["power"]) for row in value["rows"])


def comet_signed_header(block: dict[str, Any]) -> SignedHeader:
    header, commit = block["header"], block["commit"]
    hashes = {name: bytes.fromhex(text) for name, text in header.items() if name.endswith("_hash")}
    last = header["last_block_id"]
    votes = tuple(
        (time_ns(vote["time"]), bytes.fromhex(vote["signature"])) if vote["flag"] == 2 else None
        for vote in commit["signatures"]
    )
    return SignedHeader(
        ChainHeader(
            block_version=header["version_block"],
            app_version=header["version_app"],
            chain_id=header["chain_id"],
            height=header["height"],
            time_ns=time_ns(header["time"]),
            last_block_id=BlockId(
                bytes.fromhex(last["hash"]), last["total"], bytes.fromhex(last["parts_hash"])
            ),
            proposer_address=bytes.fromhex(header["proposer_address"]),
            **hashes,
        ),
        Commit(
            commit["round"],
            commit["block_id"]["total"],
            bytes.fromhex(commit["block_id"]["parts_hash"]),
            votes,
        ),
    )


def party(name: str) -> GenesisParty:
    key = signing_key("party " + name).public_key()
    return GenesisParty(
        name, EDDSA, key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), 1
    )


def genesis_of(chain_id: str, validators: tuple[Validator, ...], parties_count: int = 1) -> Genesis:
    parties = tuple(party(f"company {number}") for number in range(parties_count))
    bound = [(v, parties[n % parties_count].party_id) for n, v in enumerate(validators)]
    return Genesis(
        chain_id=chain_id,
        app_version=1,
        time_ms=1_767_225_600_000,
        validators=tuple(bound),
        parties=parties,
        block_bytes_max=4 << 20,
        admission_votes_min=1,
    )


def comet_part() -> ChainPart:
    """A chain part over the real four-validator chain, whose set grew at height 2."""
    blocks, app = VECTORS["four"], VECTORS["app"]
    leaf, key, value = (bytes.fromhex(app[name]) for name in ("log_leaf", "map_key", "map_value"))
    held = StateMap().set(key, value)
    change = next(b for b in blocks if b["validators"]["hash"] != b["next_validators"]["hash"])
    return ChainPart(
        genesis=genesis_of("wharf-four", comet_validators(blocks[0]["validators"]), 3).encode(),
        changes=((comet_signed_header(change), comet_validators(change["next_validators"])),),
        signed_header=comet_signed_header(blocks[5]),
        app=AppRoots(1, leaf_hash(leaf), held.root),
        leaves=(ProvenLeaf(0, leaf, ()),),
        states=(ProvenState(key, value, held.prove(key)),),
    )


@pytest.mark.parametrize("block", VECTORS["one"] + VECTORS["four"])
def test_every_commit_of_real_chains_verifies(block: dict[str, Any]) -> None:
    verify_commit(comet_signed_header(block), comet_validators(block["validators"]))


def test_a_real_chain_proves_a_leaf_and_a_state_across_a_validator_change() -> None:
    part = decode_chain_part(encode_chain_part(comet_part()))
    assert comet_part() == part
    proven = verify_chain_part(part, trusted_genesis_sha256=decode_genesis(part.genesis).digest)
    assert (True, 6, 5, "wharf-four") == (
        proven.trusted,
        proven.height,
        proven.validator_count,
        proven.chain_id,
    )
    assert bytes.fromhex(VECTORS["app"]["log_leaf"]) == proven.leaves[0].encode()
    assert (4, b"F" * 16, 0, 7, 1000) == proven.leaves[0].record[:5]
    assert {bytes.fromhex(VECTORS["app"]["map_key"])} == set(proven.states)


def test_parties_behind_a_joined_validator_are_not_guessed() -> None:
    assert 1 == verify_chain_part(comet_part(), trusted_genesis_sha256=None).parties_count


# A chain of our own, to be signed as a test likes.


def signing_key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b".")[:32])


def validator(name: str, power: int = 1) -> Validator:
    return Validator(
        signing_key(name).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), power
    )


NAMES = ("first", "second", "third", "fourth")
KEY_OF = {validator(name).key: signing_key(name) for name in NAMES}


def sign(
    header: ChainHeader, validators: tuple[Validator, ...], voting: set[bytes]
) -> SignedHeader:
    block_id = BlockId(header.hash, 1, b"p" * 32)
    votes: list[tuple[int, bytes] | None] = []
    for number, item in enumerate(validators):
        stamp = header.time_ns + number
        tbs = vote_sign_bytes(
            chain_id=header.chain_id,
            height=header.height,
            round_=0,
            block_id=block_id,
            time_ns=stamp,
        )
        votes.append((stamp, KEY_OF[item.key].sign(tbs)) if item.key in voting else None)
    return SignedHeader(header, Commit(0, 1, b"p" * 32, tuple(votes)))


def header_of(
    validators: tuple[Validator, ...],
    app_hash: bytes,
    *,
    height: int = 5,
    following: tuple[Validator, ...] | None = None,
    app_version: int = 1,
) -> ChainHeader:
    return ChainHeader(
        block_version=11,
        app_version=app_version,
        chain_id="wharf-own",
        height=height,
        time_ns=1_767_225_600_123_456_789,
        last_block_id=BlockId(b"h" * 32, 1, b"q" * 32),
        last_commit_hash=b"1" * 32,
        data_hash=b"2" * 32,
        validators_hash=validator_set_hash(validators),
        next_validators_hash=validator_set_hash(following or validators),
        consensus_hash=b"3" * 32,
        app_hash=app_hash,
        last_results_hash=b"4" * 32,
        evidence_hash=b"5" * 32,
        proposer_address=b"6" * 20,
    )


LEAVES = [
    LogLeaf(
        tx_id=bytes([n]) * 32,
        item_index=n,
        code=0,
        time_ms=1_767_225_600_000 + n,
        chain_height=n,
        record=(4, b"f" * 16, 0, n, n + 2, b"r" * 32, b"b" * 32, b"d" * 32),
    )
    for n in range(5)
]
STATE = state_map_of((encode(["k", n]), encode([1, n])) for n in range(7))
TREE = MemoryTree([leaf_hash(leaf.encode()) for leaf in LEAVES])
ROOTS = AppRoots(TREE.size, TREE.root(), STATE.root)
SET = in_set_order(validator(name) for name in NAMES)
ALL = {item.key for item in SET}


def own_part(
    validators: tuple[Validator, ...] = SET, voting: set[bytes] = ALL, parties_count: int = 2
) -> ChainPart:
    keys = sorted([encode(["k", 3]), encode(["missing"]), encode(["gone"])])
    return ChainPart(
        genesis=genesis_of("wharf-own", validators, parties_count).encode(),
        changes=(),
        signed_header=sign(header_of(validators, ROOTS.app_hash), validators, voting),
        app=ROOTS,
        leaves=tuple(
            ProvenLeaf(n, LEAVES[n].encode(), tuple(TREE.inclusion_path(n))) for n in (1, 4)
        ),
        states=tuple(ProvenState(key, STATE.get(key), STATE.prove(key)) for key in keys),
    )


def trusted(part: ChainPart) -> bytes:
    return decode_genesis(part.genesis).digest


def test_leaves_states_and_absences_are_proven_under_a_trusted_genesis() -> None:
    part = own_part()
    proven = verify_chain_part(part, trusted_genesis_sha256=trusted(part))
    assert (LEAVES[1], LEAVES[4]) == proven.leaves
    assert encode([1, 3]) == proven.states[encode(["k", 3])]
    assert proven.states[encode(["missing"])] is None
    assert (5, 1_767_225_600_123, 4, 2) == (
        proven.height,
        proven.time_ms,
        proven.validator_count,
        proven.parties_count,
    )


def test_without_a_trust_root_nothing_is_called_trusted() -> None:
    assert not verify_chain_part(own_part(), trusted_genesis_sha256=None).trusted


def test_one_validator_rests_on_one_party() -> None:
    alone = (validator("first"),)
    part = own_part(alone, {alone[0].key}, 1)
    assert verify_chain_part(part, trusted_genesis_sha256=trusted(part)).parties_count == 1


def test_a_forged_chain_with_the_same_names_is_refuted() -> None:
    real = own_part()
    forged_set = in_set_order(validator(name) for name in ("first", "second"))
    forged = own_part(forged_set, {item.key for item in forged_set})
    verify_chain_part(forged, trusted_genesis_sha256=None)
    with pytest.raises(ProofError, match="another genesis"):
        verify_chain_part(forged, trusted_genesis_sha256=trusted(real))
    stolen = replace(forged, genesis=real.genesis)
    with pytest.raises(ProofError, match="another validator set"):
        verify_chain_part(stolen, trusted_genesis_sha256=trusted(real))


def test_every_changed_byte_of_a_chain_part_is_refused() -> None:
    part = own_part()
    good, root = encode_chain_part(part), trusted(part)
    wanted = {item.key for item in part.states}
    for at in range(len(good)):
        for flip in (0x01, 0x20, 0x80):
            bad = good[:at] + bytes([good[at] ^ flip]) + good[at + 1 :]
            try:
                proven = verify_chain_part(decode_chain_part(bad), trusted_genesis_sha256=root)
            except LedgerError:
                continue
            # The same path may prove that another key is absent too: true, but not what was asked.
            (other,) = set(proven.states) - wanted
            assert (STATE.get(other), proven.states[other]) == (None, None)


def test_cut_and_lengthened_chain_parts_are_refused() -> None:
    good = encode_chain_part(own_part())
    for bad in (good[:-1], good + b"\x00", good[: len(good) // 2], b""):
        with pytest.raises(LedgerError):
            decode_chain_part(bad)


def test_exactly_two_thirds_of_the_power_are_not_enough() -> None:
    three = in_set_order(validator(name) for name in NAMES[:3])
    part = own_part(three, {item.key for item in three[:2]})
    with pytest.raises(ProofError, match="2/3"):
        verify_chain_part(part, trusted_genesis_sha256=None)
    verify_chain_part(own_part(SET, {item.key for item in SET[:3]}), trusted_genesis_sha256=None)


def with_votes(part: ChainPart, votes: tuple[tuple[int, bytes] | None, ...]) -> ChainPart:
    signed = part.signed_header
    return replace(
        part, signed_header=SignedHeader(signed.header, replace(signed.commit, votes=votes))
    )


def test_one_wrong_vote_refutes_even_if_the_others_suffice() -> None:
    part = own_part()
    *votes, last = part.signed_header.commit.votes
    assert last
    with pytest.raises(SignatureError):
        verify_chain_part(
            with_votes(part, (*votes, (last[0] + 1, last[1]))), trusted_genesis_sha256=None
        )


def test_a_vote_is_counted_once_and_in_its_own_place() -> None:
    part = own_part()
    votes = part.signed_header.commit.votes
    for wrong in ((votes[0], votes[0], *votes[2:]), votes[:3], (*votes, votes[0])):
        with pytest.raises((SignatureError, ProofError)):
            verify_chain_part(with_votes(part, wrong), trusted_genesis_sha256=None)


def test_a_validator_that_stands_twice_in_a_set_is_refused() -> None:
    twice = (SET[0], SET[0])
    with pytest.raises(FormatError, match="twice"):
        decode_genesis(genesis_of("wharf-own", twice).encode())


def changed_part(
    following: tuple[Validator, ...], *, height: int = 3, named: tuple[Validator, ...] | None = None
) -> ChainPart:
    change = header_of(SET, b"a" * 32, height=height, following=named or following)
    return replace(
        own_part(),
        changes=((sign(change, SET, ALL), following),),
        signed_header=sign(header_of(following, ROOTS.app_hash), following, ALL),
    )


def test_a_validator_set_change_is_followed() -> None:
    part = changed_part(SET[:2])
    assert 2 == verify_chain_part(part, trusted_genesis_sha256=trusted(part)).validator_count


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (changed_part(SET[:2], named=SET[:3]), "names another next validator set"),
        (changed_part(SET), "does not change"),
        (changed_part(SET[:2], height=5), "not behind"),
        (changed_part(SET[:2], height=0), "ascending"),
    ],
)
def test_a_change_that_does_not_hold_is_refuted(part: ChainPart, reason: str) -> None:
    with pytest.raises(ProofError, match=reason):
        verify_chain_part(part, trusted_genesis_sha256=None)


def test_parties_of_a_changed_set_are_read_from_the_proven_state() -> None:
    following = in_set_order(validator(name, n + 1) for n, name in enumerate(NAMES[:3]))
    rows = [[item.key, item.power, bytes([n]) * 16] for n, item in enumerate(following)]
    held = STATE.set(VALIDATORS_KEY, encode([1, rows]))
    roots = AppRoots(TREE.size, TREE.root(), held.root)
    start = genesis_of("wharf-own", SET[:1])
    change = header_of(SET[:1], b"a" * 32, height=3, following=following)
    part = ChainPart(
        genesis=start.encode(),
        changes=((sign(change, SET[:1], ALL), following),),
        signed_header=sign(header_of(following, roots.app_hash), following, ALL),
        app=roots,
        leaves=(),
        states=(ProvenState(VALIDATORS_KEY, held.get(VALIDATORS_KEY), held.prove(VALIDATORS_KEY)),),
    )
    assert 3 == verify_chain_part(part, trusted_genesis_sha256=start.digest).parties_count
    broken = STATE.set(VALIDATORS_KEY, encode([1, [[1]]]))
    roots = AppRoots(TREE.size, TREE.root(), broken.root)
    bad = replace(
        part,
        app=roots,
        signed_header=sign(header_of(following, roots.app_hash), following, ALL),
        states=(
            ProvenState(VALIDATORS_KEY, broken.get(VALIDATORS_KEY), broken.prove(VALIDATORS_KEY)),
        ),
    )
    with pytest.raises(ProofError, match="wrong form"):
        verify_chain_part(bad, trusted_genesis_sha256=None)


def test_roots_of_another_state_are_refuted() -> None:
    bad = replace(own_part(), app=replace(ROOTS, log_size=ROOTS.log_size + 1))
    with pytest.raises(ProofError, match="not those of header"):
        verify_chain_part(bad, trusted_genesis_sha256=None)


def test_an_unknown_application_version_cannot_be_checked() -> None:
    header = header_of(SET, ROOTS.app_hash, app_version=2)
    with pytest.raises(UncheckableError):
        verify_chain_part(
            replace(own_part(), signed_header=sign(header, SET, ALL)), trusted_genesis_sha256=None
        )


def test_a_leaf_is_not_proven_at_another_index_or_as_absent_state() -> None:
    part = own_part()
    moved = replace(part, leaves=(replace(part.leaves[0], index=2),))
    hidden = replace(part, states=(replace(part.states[0], value=None),))
    assert part.states[0].value is not None or part.states[0].proof != MapProof(())
    for bad in (moved, *([hidden] if part.states[0].value else [])):
        with pytest.raises(ProofError):
            verify_chain_part(bad, trusted_genesis_sha256=None)


def edited(path: list[int], value: object) -> bytes:
    """The good part's bytes with one decoded element replaced."""
    whole = decode(encode_chain_part(own_part()))
    at = whole
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return encode(whole)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ([0], 2),
        ([2], [[]] * 10_001),
        ([3, 0, 0], -1),
        ([3, 0, 13], b"short"),
        ([3, 0, 4], [b"h" * 32, 1]),
        ([3, 1, 3, 0], [1, b"short"]),
        ([3, 1, 3, 0], [1 << 63, bytes(64)]),
        ([4, 0], -1),
        ([4, 1], b"short"),
        ([5], [[0, b"\x80", []]]),
        ([5, 0, 1], encode([1, b"short", 0, 0, 0, 0, [4]])),
        ([5, 0, 1], encode([1, bytes(32), -1, 0, 0, 0, [4]])),
        ([5, 0, 1], encode([1, bytes(32), 0, 0, 0, 0, []])),
        ([6, 0, 0], b"\x01"),
        ([6, 0, 2], []),
        ([1], b"\x80"),
    ],
)
def test_a_part_of_another_shape_is_refused(path: list[int], value: object) -> None:
    with pytest.raises(LedgerError):
        decode_chain_part(edited(path, value))


def test_leaves_and_states_stand_once_and_ascending() -> None:
    part = own_part()
    for bad in (
        replace(part, leaves=part.leaves[::-1]),
        replace(part, states=part.states[::-1]),
        replace(part, states=(part.states[0], part.states[0])),
    ):
        with pytest.raises(FormatError, match="ascending"):
            decode_chain_part(encode_chain_part(bad))


def test_a_part_beyond_the_size_limit_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.chain_proof.PART_BYTES_MAX", 10)
    with pytest.raises(LimitError):
        decode_chain_part(bytes(11))


def test_a_log_leaf_survives_its_own_encoding() -> None:
    assert LEAVES[2] == decode_log_leaf(LEAVES[2].encode())
