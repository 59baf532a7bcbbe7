from hashlib import sha256
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ledger.canonical import decode, encode
from ledger.errors import FormatError, ProofError
from ledger.state_map import (
    EMPTY,
    MapProof,
    StateMap,
    map_proof_from_value,
    state_map_of,
    verify_map,
)

KEYS = st.integers(0, 40).map(lambda number: b"key %d" % number)
VALUES = st.binary(max_size=4)


def reference_root(entries: list[tuple[str, bytes]]) -> bytes:
    """The root by its definition alone: entries as (path in bits, hash of value), any order."""

    def root(prefix: str) -> bytes:
        inside = [item for item in entries if item[0].startswith(prefix)]
        if not inside:
            return bytes(32)
        if len(inside) == 1:
            path = int(inside[0][0], 2).to_bytes(32, "big")
            return sha256(b"\x00" + path + inside[0][1]).digest()
        return sha256(b"\x01" + root(prefix + "0") + root(prefix + "1")).digest()

    return root("")


def reference(model: dict[bytes, bytes]) -> bytes:
    return reference_root(
        [
            (f"{int.from_bytes(sha256(key).digest(), 'big'):0256b}", sha256(value).digest())
            for key, value in model.items()
        ]
    )


class MapMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.map, self.model = StateMap(), dict[bytes, bytes]()

    @rule(key=KEYS, value=VALUES)
    def set(self, key: bytes, value: bytes) -> None:
        before, root = self.map, self.map.root
        self.map = self.map.set(key, value)
        self.model[key] = value
        assert root == before.root

    @rule(key=KEYS)
    def delete(self, key: bytes) -> None:
        self.map = self.map.delete(key)
        self.model.pop(key, None)

    @rule(key=KEYS, lie=VALUES)
    def prove(self, key: bytes, lie: bytes) -> None:
        proof, held = self.map.prove(key), self.model.get(key)
        assert held == self.map.get(key)
        again = map_proof_from_value(decode(encode(proof.to_value())))
        verify_map(root=self.map.root, key=key, value=held, proof=again)
        for wrong in {lie, None} - {held}:
            with pytest.raises(ProofError):
                verify_map(root=self.map.root, key=key, value=wrong, proof=proof)

    @invariant()
    def has_the_root_that_the_definition_gives(self) -> None:
        assert reference(self.model) == self.map.root
        assert self.model == dict(self.map.items())


MapMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestMapAgainstDictionary = MapMachine.TestCase


def test_an_empty_map_has_a_root_of_zero_bytes() -> None:
    assert (EMPTY, bytes(32)) == (StateMap().root, EMPTY)


def test_a_map_of_one_entry_is_its_leaf() -> None:
    leaf = sha256(b"\x00" + sha256(b"k").digest() + sha256(b"v").digest()).digest()
    assert leaf == StateMap().set(b"k", b"v").root


@given(st.dictionaries(KEYS, VALUES, min_size=2), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_changes_does_not_alter_the_root(
    model: dict[bytes, bytes], random: Random
) -> None:
    items = list(model.items())
    random.shuffle(items)
    assert state_map_of(model.items()).root == state_map_of(items).root


def absent_beside_another() -> tuple[StateMap, bytes, MapProof]:
    held = state_map_of((b"key %d" % n, b"v") for n in range(9))
    for number in range(100, 200):
        proof = held.prove(b"key %d" % number)
        if proof.other:
            return held, b"key %d" % number, proof
    raise AssertionError


@given(
    st.dictionaries(KEYS, VALUES, max_size=30),
    st.lists(st.dictionaries(KEYS, VALUES, max_size=12), max_size=4),
)
def test_many_changes_at_once_are_the_same_map_as_one_after_the_other(
    first: dict[bytes, bytes], blocks: list[dict[bytes, bytes]]
) -> None:
    at_once = one_by_one = state_map_of(first.items())
    for block in blocks:
        at_once = at_once.set_all(block)
        for key, value in block.items():
            one_by_one = one_by_one.set(key, value)
        assert at_once == one_by_one
        assert all(at_once.get(key) == value for key, value in block.items())


def test_another_leaf_that_stands_elsewhere_proves_no_absence() -> None:
    held, key, proof = absent_beside_another()
    verify_map(root=held.root, key=key, value=None, proof=proof)
    elsewhere = next(
        k for k, _ in held.items() if sha256(k).digest()[0] >> 7 != sha256(key).digest()[0] >> 7
    )
    assert proof.other is not None
    lie = MapProof(held.prove(elsewhere).siblings, (sha256(elsewhere).digest(), proof.other[1]))
    with pytest.raises(ProofError, match="stand in the key's way"):
        verify_map(root=held.root, key=key, value=None, proof=lie)


def test_a_keys_own_leaf_proves_no_absence_of_it() -> None:
    held = state_map_of((b"key %d" % n, b"v") for n in range(9))
    own = (sha256(b"key 3").digest(), sha256(b"v").digest())
    lie = MapProof(held.prove(b"key 3").siblings, own)
    with pytest.raises(ProofError, match="stand in the key's way"):
        verify_map(root=held.root, key=b"key 3", value=None, proof=lie)


def test_a_proof_deeper_than_the_tree_is_refused() -> None:
    with pytest.raises(ProofError, match="longer"):
        verify_map(root=EMPTY, key=b"k", value=None, proof=MapProof((EMPTY,) * 257))


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        [[], None, 1],
        [None, None],
        [[b"short"], None],
        [["text"], None],
        [[], [b"1" * 32]],
        [[], b"1" * 32],
        [[], [b"1" * 32, 5]],
        [[bytes(32)] * 257, None],
    ],
)
def test_a_proof_of_another_shape_is_refused(value: object) -> None:
    with pytest.raises(FormatError):
        map_proof_from_value(value)
